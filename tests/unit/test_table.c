/* What `pit` prints for people. */
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "text.h"

static void
assert_printed(const struct table *table, const char *want)
{
    char *got = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&got, &n);

    assert_non_null(out);
    table_print(table, out);
    fclose(out);
    assert_string_equal(got, want);
    free(got);
}

static void
test_columns_are_as_wide_as_they_need(void **state)
{
    static const char *const heads[] = {"NAME", "N", "NOTE"};
    struct table table;

    (void)state;
    table_init(&table, "lrl", heads);
    assert_printed(&table, "NAME  N  NOTE\n");
    table_add(&table, "m\xc3\xbcsli");
    table_add(&table, "%d", 12345);
    table_add(&table, "long enough");
    table_add(&table, "b");
    table_add(&table, "%d", 1);
    table_add(&table, "%s", "");
    assert_printed(&table, "NAME       N  NOTE\n"
                           "m\xc3\xbcsli  12345  long enough\n"
                           "b          1  -\n");
    table_clear(&table);
}

static void
test_no_text_takes_over_the_terminal(void **state)
{
    struct table table;

    (void)state;
    table_init(&table, "l", NULL);
    table_add(&table, "a\x1b[31mb\nc\x7f\xc2\x9b"
                      "d\xff");
    assert_printed(&table, "a?[31mb?c???d?\n");
    table_clear(&table);
}

static void
test_long_cells_are_cut_between_characters(void **state)
{
    char text[2 * TABLE_CELL_MAX + 1];
    struct table table;

    (void)state;
    for (size_t i = 0; i < TABLE_CELL_MAX; i++)
        memcpy(text + 2 * i, "\xc3\xa4", 2);
    text[2 * TABLE_CELL_MAX] = '\0';
    table_init(&table, "l", NULL);
    table_add(&table, "%s", text);
    assert_int_equal(strlen(table.cells[0]), TABLE_CELL_MAX - 2);
    assert_null(strchr(table.cells[0], '?'));
    table_clear(&table);
}

static void
test_times(void **state)
{
    char text[TEXT_SIZE];

    (void)state;
    assert_string_equal(text_time(1, text), "1970-01-01T00:00:00.001Z");
    assert_string_equal(text_time(CLOCK_LAST_MS, text),
                        "9999-12-31T23:59:59.999Z");
    assert_string_equal(text_time(0, text), "");
    assert_string_equal(text_time(INT64_MIN, text), "");
    assert_string_equal(text_time(CLOCK_LAST_MS + 1, text), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_as_wide_as_they_need),
        cmocka_unit_test(test_no_text_takes_over_the_terminal),
        cmocka_unit_test(test_long_cells_are_cut_between_characters),
        cmocka_unit_test(test_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

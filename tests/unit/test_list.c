/* The intrusive list: order, unlinking while walking, splicing. */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    int before; /* so that the link is not the element's first field */
    struct list link;
    int number;
};

/* Checks both directions against @numbers, which end with 0. */
static void
assert_list(struct list *head, const int *numbers)
{
    struct list *previous = head;
    size_t n = 0;

    LIST_FOREACH (link, head) {
        assert_int_equal(LIST_ENTRY(link, struct item, link)->number,
                         numbers[n++]);
        assert_ptr_equal(link->prev, previous);
        previous = link;
    }
    assert_int_equal(numbers[n], 0);
    assert_ptr_equal(head->prev, previous);
}

#define ASSERT_LIST(head, ...) assert_list(head, (const int[]){__VA_ARGS__, 0})

static void
test_order(void **state)
{
    struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
    struct list head;

    (void)state;
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_shift(&head));
    list_append(&head, &b.link);
    list_append(&head, &c.link);
    list_prepend(&head, &a.link);
    ASSERT_LIST(&head, 1, 2, 3);
    assert_false(list_empty(&head));
    assert_ptr_equal(list_shift(&head), &a.link);
    ASSERT_LIST(&head, 2, 3);
    /* Shifted off means unlinked. */
    assert_true(list_empty(&a.link));
}

static void
test_removing(void **state)
{
    struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
    struct list head;

    (void)state;
    list_init(&head);
    list_append(&head, &a.link);
    list_append(&head, &b.link);
    list_append(&head, &c.link);
    list_remove(&b.link);
    list_remove(&b.link);
    ASSERT_LIST(&head, 1, 3);
    list_remove(&c.link);
    list_remove(&a.link);
    assert_true(list_empty(&head));
}

static void
test_removing_while_walking(void **state)
{
    struct item items[5];
    struct list head;

    (void)state;
    list_init(&head);
    for (int i = 0; i < 5; i++) {
        items[i].number = i + 1;
        list_append(&head, &items[i].link);
    }
    LIST_FOREACH_SAFE (link, following, &head) {
        if (LIST_ENTRY(link, struct item, link)->number % 2)
            list_remove(link);
    }
    ASSERT_LIST(&head, 2, 4);
}

static void
test_splicing(void **state)
{
    struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
    struct list to, from;

    (void)state;
    list_init(&to);
    list_init(&from);
    list_splice(&to, &from);
    assert_true(list_empty(&to));
    list_append(&from, &a.link);
    list_append(&from, &b.link);
    list_splice(&to, &from);
    ASSERT_LIST(&to, 1, 2);
    assert_true(list_empty(&from));
    list_splice(&to, &from);
    ASSERT_LIST(&to, 1, 2);
    list_append(&from, &c.link);
    list_splice(&to, &from);
    ASSERT_LIST(&to, 1, 2, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_removing),
        cmocka_unit_test(test_removing_while_walking),
        cmocka_unit_test(test_splicing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Table: cells are kept until all are there, since the widest decides. */
#include "table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "text.h"

void
table_init(struct table *table, const char *align, const char *const *heads)
{
    *table = (struct table){
        .heads = heads, .columns = strlen(align), .align = align};
    assert(table->columns > 0 && table->columns <= TABLE_COLUMNS_MAX);
}

void
table_clear(struct table *table)
{
    for (size_t i = 0; i < table->len; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct table){0};
}

void
table_add(struct table *table, const char *fmt, ...)
{
    char text[TABLE_CELL_MAX];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        text[0] = '\0';
    if (n >= TABLE_CELL_MAX) /* cut, but not within a character */
        text[utf8_floor(text, sizeof text - 1)] = '\0';
    text_make_printable(text, strlen(text));
    if (table->len == table->cap) {
        table->cap = table->cap ? 2 * table->cap : 64;
        table->cells = reallocarray(table->cells, table->cap, sizeof(char *));
        if (!table->cells)
            log_fatal("out of memory");
    }
    table->cells[table->len++] = xstrdup(text[0] ? text : "-");
}

/* Characters, which is what a terminal counts (as long as none is wide). */
static size_t
width_of(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += !utf8_is_tail(*text);
    return n;
}

static void
print_row(const struct table *table, const char *const *row,
          const size_t *widths, FILE *out)
{
    for (size_t i = 0; i < table->columns; i++) {
        int pad = (int)(widths[i] - width_of(row[i]));
        bool last = i + 1 == table->columns;
        if (table->align[i] == 'r')
            fprintf(out, "%*s%s", pad, "", row[i]);
        else
            fprintf(out, "%s%*s", row[i], last ? 0 : pad, "");
        fputs(last ? "\n" : "  ", out);
    }
}

void
table_print(const struct table *table, FILE *out)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};

    assert(table->len % table->columns == 0);
    for (size_t i = 0; i < table->columns; i++)
        if (table->heads)
            widths[i] = width_of(table->heads[i]);
    for (size_t i = 0; i < table->len; i++) {
        size_t n = width_of(table->cells[i]);
        if (n > widths[i % table->columns])
            widths[i % table->columns] = n;
    }
    if (table->heads)
        print_row(table, table->heads, widths, out);
    for (size_t i = 0; i < table->len; i += table->columns)
        print_row(table, (const char *const *)(table->cells + i), widths, out);
}

/* table.h - rows for people: columns as wide as they need, a line of headings.
 *
 * What comes from Redis may hold anything: control characters become '?', so
 * that no text can take over a terminal. One owner. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stddef.h>
#include <stdio.h>

#include "base/error.h"

enum { TABLE_COLUMNS_MAX = 16, TABLE_CELL_MAX = 512 /* bytes; cut above */ };

struct table {
    const char *const *heads; /* NULL: no line of headings */
    size_t columns;
    const char *align; /* one letter a column: 'l' or 'r' */
    char **cells;      /* owned */
    size_t len;
    size_t cap;
};

/* @align has one letter a column; it and @heads are borrowed. */
void table_init(struct table *table, const char *align,
                const char *const *heads);
void table_clear(struct table *table);
/* The next cell, row by row. An empty one shows as "-". */
PRINTF(2, 3) void table_add(struct table *table, const char *fmt, ...);
void table_print(const struct table *table, FILE *out);

#endif

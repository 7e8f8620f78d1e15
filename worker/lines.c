/* Lines: positions count for ever, a cell's index is its position modulo
 * LINES_KEPT. The reader keeps its position to itself and copies a cell before
 * it looks at it. */
#include "lines.h"

#include <string.h>

void
lines_reader_init(struct lines_reader *reader, struct lines *lines)
{
    *reader = (struct lines_reader){.lines = lines};
    atomic_store(&lines->written, 0);
    atomic_store(&lines->read, 0);
}

bool
lines_waiting(const struct lines_reader *reader)
{
    return atomic_load(&reader->lines->written) != reader->read;
}

bool
lines_read(struct lines_reader *reader, struct lines_cell *ret)
{
    struct lines *lines = reader->lines;
    uint32_t written = atomic_load(&lines->written);

    if (written == reader->read)
        return false;
    if (written - reader->read > LINES_KEPT) {
        reader->read = written; /* rubbish */
        atomic_store(&lines->read, written);
        return false;
    }
    *ret = lines->cells[reader->read % LINES_KEPT];
    if (ret->len > LINES_TEXT_MAX)
        ret->len = 0;
    reader->read++;
    atomic_store(&lines->read, reader->read);
    return true;
}

bool
lines_write(struct lines *lines, uint32_t owner, struct str text)
{
    uint32_t at = atomic_load_explicit(&lines->written, memory_order_relaxed);

    if (at - atomic_load(&lines->read) >= LINES_KEPT)
        return false;
    struct lines_cell *cell = &lines->cells[at % LINES_KEPT];
    cell->owner = owner;
    cell->len = (uint32_t)(text.n < LINES_TEXT_MAX ? text.n : LINES_TEXT_MAX);
    if (cell->len > 0)
        memcpy(cell->text, text.p, cell->len);
    atomic_store(&lines->written, at + 1);
    return true;
}

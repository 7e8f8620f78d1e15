/* lines.h - the lines that tasks log with pit_job_log(), on their way from a
 * child to the dispatcher: a queue in shared memory, inside a ring or a board.
 *
 * One writer, one reader. A full queue refuses lines; nobody waits for a log.
 * What the reader takes is checked, as everything that a child wrote. */
#ifndef WORKER_LINES_H
#define WORKER_LINES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum {
    LINES_TEXT_MAX = 1000, /* bytes of a line; cut above */
    LINES_KEPT = 256,      /* lines under way; a power of two */
};

struct lines_cell {
    uint32_t owner; /* a ring's position, a board's word for a job */
    uint32_t len;
    char text[LINES_TEXT_MAX];
};

struct lines {
    _Alignas(64) _Atomic uint32_t written; /* by the child */
    _Alignas(64) _Atomic uint32_t read;    /* by the dispatcher */
    struct lines_cell cells[LINES_KEPT];
};

struct lines_reader {
    struct lines *lines;
    uint32_t read;
};

/* Empties it; no child may be attached. */
void lines_reader_init(struct lines_reader *reader, struct lines *lines);
/* Is there a line? Two loads. */
bool lines_waiting(const struct lines_reader *reader);
/* The oldest line, copied. False: there is none. A child that wrote rubbish
 * loses its lines. */
bool lines_read(struct lines_reader *reader, struct lines_cell *ret);
/* The child's side. False: there is no room. */
bool lines_write(struct lines *lines, uint32_t owner, struct str text);

#endif

/* ring_report.h - what a task last said about its progress, on its way from a
 * child to the dispatcher: a word in shared memory, inside a ring or a board,
 * that is written over by the next one.
 *
 * One writer, one reader, and neither waits: a seqlock, whose version is odd
 * while it is written. The reader checks what could hurt it, as everything that
 * a child wrote. */
#ifndef WORKER_RING_REPORT_H
#define WORKER_RING_REPORT_H

#include <stdatomic.h>

#include "ring.h"

struct ring_report {
    _Atomic uint32_t version; /* 0: nothing was said */
    _Atomic uint32_t position;
    _Atomic int64_t done;
    _Atomic int64_t total;
    _Atomic uint32_t text_len;
    _Atomic uint64_t text[RING_PROGRESS_TEXT / 8];
};

/* Nothing was said; no child may be attached, or its job not begun. */
void ring_report_reset(struct ring_report *report);
/* False when there is none, or it is being written. */
CHECK bool ring_report_read(const struct ring_report *report,
                            struct ring_progress *ret);
/* The child's side. @text is cut at RING_PROGRESS_TEXT bytes. */
void ring_report_write(struct ring_report *report, uint32_t position,
                       int64_t done, int64_t total, struct str text);

#endif

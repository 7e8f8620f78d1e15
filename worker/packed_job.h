/* packed_job.h - a job as the dispatcher hands it to a child, in memory that
 * both have mapped: its texts in a row, a NUL behind each, and beside them how
 * long they are. Rings and the board lay out that memory; here is what one job
 * looks like in it. The child alone reads it back, so that nothing it has
 * written over is ever believed by the dispatcher. Pure. */
#ifndef WORKER_PACKED_JOB_H
#define WORKER_PACKED_JOB_H

#include <stddef.h>
#include <stdint.h>

#include "ring.h"

struct packed_job {
    uint32_t id_len;
    uint32_t task_len;
    uint32_t args_len;
    uint32_t inputs_len;
    uint32_t traceparent_len;
    uint32_t request_id_len;
    int32_t attempt;
    int32_t crashes;
};

/* Bytes of its texts, the NULs included. */
size_t packed_job_size(const struct ring_job *job);
/* @dst has room for packed_job_size(). */
void packed_job_write(const struct ring_job *job, char *dst,
                      struct packed_job *ret);
/* *ret lends from @src. */
void packed_job_read(const struct packed_job *packed, const char *src,
                     struct ring_job *ret);

#endif

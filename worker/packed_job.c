/* Packed job: id, task, args, inputs, traceparent, request id. */
#include "packed_job.h"

#include <string.h>

enum { TEXTS = 6 };

size_t
packed_job_size(const struct ring_job *job)
{
    return job->id.n + job->task.n + job->args.n + job->inputs.n +
           job->traceparent.n + job->request_id.n + TEXTS;
}

static char *
write_text(char *dst, struct str text, uint32_t *ret_len)
{
    if (text.n > 0)
        memcpy(dst, text.p, text.n);
    dst[text.n] = '\0';
    *ret_len = (uint32_t)text.n;
    return dst + text.n + 1;
}

void
packed_job_write(const struct ring_job *job, char *dst, struct packed_job *ret)
{
    dst = write_text(dst, job->id, &ret->id_len);
    dst = write_text(dst, job->task, &ret->task_len);
    dst = write_text(dst, job->args, &ret->args_len);
    dst = write_text(dst, job->inputs, &ret->inputs_len);
    dst = write_text(dst, job->traceparent, &ret->traceparent_len);
    (void)write_text(dst, job->request_id, &ret->request_id_len);
    ret->attempt = job->attempt;
    ret->crashes = job->crashes;
}

static struct str
read_text(const char **src, uint32_t len)
{
    struct str text = str_from(*src, len);

    *src += len + 1;
    return text;
}

void
packed_job_read(const struct packed_job *packed, const char *src,
                struct ring_job *ret)
{
    ret->id = read_text(&src, packed->id_len);
    ret->task = read_text(&src, packed->task_len);
    ret->args = read_text(&src, packed->args_len);
    ret->inputs = read_text(&src, packed->inputs_len);
    ret->traceparent = read_text(&src, packed->traceparent_len);
    ret->request_id = read_text(&src, packed->request_id_len);
    ret->attempt = packed->attempt;
    ret->crashes = packed->crashes;
}

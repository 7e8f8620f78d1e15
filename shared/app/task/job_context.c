/* One attempt of one job, and the functions of pit/job.h.
 *
 * Most tasks look at few of the args or at none, so the tree is built at the
 * first call. The nesting was bounded when the job was enqueued and is checked
 * again here: what stands in Redis may have come from another client, and
 * poisoned content must end as a dead letter, never as a crash.
 *
 * Progress is held back to five reports a second: the newest is formatted into
 * the job and leaves with the first call after the pause, with the next look at
 * pit_job_cancelled(), or at the end. */
#include "app/task/job_context.h"

#include <assert.h>

#include "app/public/co_public.h"
#include "base/clock.h"
#include "base/jsontext.h"
#include "base/log.h"
#include "base/utf8.h"
#include "queue/job/job.h"

void
job_context_init(struct pit_job *job, const struct job_start *start)
{
    assert(start->id && start->task && start->attempt >= 1);
    *job = (struct pit_job){.start = *start};
    if (!job->start.args.p)
        job->start.args = STR("");
    if (!job->start.inputs.p)
        job->start.inputs = STR("");
    if (!job->start.traceparent)
        job->start.traceparent = "";
    if (!job->start.request_id)
        job->start.request_id = "";
    buf_init(&job->result, PIT_RESULT_MAX);
}

void
job_context_clear(struct pit_job *job)
{
    if (!job)
        return;
    json_decref(job->args);
    json_decref(job->inputs);
    job->args = job->inputs = NULL;
    buf_clear(&job->result);
}

/* Keeps the first reason: it is nearer to the cause. */
PRINTF(3, 4)
static enum status
fail(struct pit_job *job, enum status status, const char *fmt, ...)
{
    va_list ap;

    if (job->failed)
        return status;
    va_start(ap, fmt);
    char text[ERROR_MSG_SIZE];
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    job->failed = true;
    return error_set(&job->error, status, "%s", text);
}

static json_t *
parse_args(struct pit_job *job)
{
    struct str text = job->start.args;
    struct jsontext value;
    struct error err;
    json_error_t where;

    if (text.n == 0)
        return json_null();
    if (jsontext_check(text, &value, &err) != ST_OK) {
        job->args_bad = true;
        error_set(&job->error, ST_PERMANENT, "args: %s", err.msg);
        return json_null();
    }
    json_t *tree = json_loadb(text.p, text.n, JSON_DECODE_ANY, &where);
    if (!tree) {
        job->args_bad = true;
        error_set(&job->error, ST_PERMANENT, "args: %s", where.text);
        return json_null();
    }
    return tree;
}

static void
report_progress(struct pit_job *job, int64_t now_ms)
{
    const struct job_progress progress = {
        .done = job->progress_done,
        .total = job->progress_total,
        .text = job->progress_text,
    };

    job->progress_held = false;
    job->progress_at_ms = now_ms;
    if (job->start.ops && job->start.ops->progress)
        job->start.ops->progress(job->start.arg, &progress);
}

static void
report_progress_if_due(struct pit_job *job)
{
    int64_t now_ms = clock_mono_ms();

    if (job->progress_at_ms == 0 ||
        now_ms - job->progress_at_ms >= JOB_CONTEXT_PROGRESS_MS)
        report_progress(job, now_ms);
}

/* What a task may end with. Everything else is a mistake in the task (it
 * returned an await's status of its own making), and a retry is the mildest
 * reading of it. */
static bool
is_status(enum pit_status status)
{
    return status >= PIT_OK && status <= PIT_QUEUE_FULL;
}

static enum status
task_status(enum pit_status status)
{
    return is_status(status) ? (enum status)status : ST_FAILED;
}

/* Whoever was told to stop, and did, needs no reason of its own. */
static bool
stopped_as_told(struct pit_job *job, enum status st)
{
    return (st == ST_TIMEOUT || st == ST_CANCELLED) && pit_job_cancelled(job);
}

enum status
job_context_end(struct pit_job *job, enum status st)
{
    if (job->progress_held)
        report_progress(job, clock_mono_ms());
    if (job->args_bad)
        st = ST_PERMANENT;
    if (st == ST_OK)
        return ST_OK;
    if (job->error.msg[0] == '\0' && !stopped_as_told(job, st))
        fail(job, st, "the task returned %s and gave no reason",
             status_name(st));
    job->error.status = st;
    return st;
}

static enum status
returned(struct pit_job *job, enum pit_status status)
{
    if (!is_status(status) && job->error.msg[0] == '\0')
        fail(job, ST_FAILED, "the task returned %d, which is no status",
             (int)status);
    return job_context_end(job, task_status(status));
}

enum status
job_context_run(struct pit_job *job, pit_task_fn *run)
{
    return returned(job, run(job));
}

void
job_context_enter(struct co *co, const struct pit_job *job)
{
    co_job_set(co, str_c(job->start.id));
    co_trace_set(co, str_c(job->start.traceparent));
    co_request_set(co, str_c(job->start.request_id),
                   job->start.request_id[0] != '\0');
}

enum status
job_context_run_async(struct co *co, struct pit_job *job,
                      pit_async_task_fn *run)
{
    job_context_enter(co, job);
    return returned(job, run(co_public_of(co), job));
}

const char *
pit_job_id(const struct pit_job *job)
{
    return job->start.id;
}

const char *
pit_job_task(const struct pit_job *job)
{
    return job->start.task;
}

int
pit_job_attempt(const struct pit_job *job)
{
    return job->start.attempt;
}

int
pit_job_crashes(const struct pit_job *job)
{
    return job->start.crashes;
}

const char *
pit_job_request_id(const struct pit_job *job)
{
    return job->start.request_id;
}

const char *
pit_job_traceparent(const struct pit_job *job)
{
    return job->start.traceparent;
}

const json_t *
pit_job_args(struct pit_job *job)
{
    if (!job->args)
        job->args = parse_args(job);
    return job->args;
}

const char *
pit_job_args_text(const struct pit_job *job, size_t *ret_len)
{
    if (ret_len)
        *ret_len = job->start.args.n;
    return job->start.args.p;
}

bool
pit_job_cancelled(struct pit_job *job)
{
    if (job->progress_held)
        report_progress_if_due(job);
    return job->start.ops && job->start.ops->cancelled &&
           job->start.ops->cancelled(job->start.arg);
}

/* A task may print any bytes; what leaves this process is UTF-8. */
void
job_context_make_utf8(char *text)
{
    const char *end = text + strlen(text);

    end = text + utf8_floor(text, (size_t)(end - text));
    text[end - text] = '\0';
    for (char *c = text; c < end;) {
        size_t n = utf8_length(c, end);
        if (n == 0)
            *c = '?';
        c += n ? n : 1;
    }
}

void
pit_job_progress(struct pit_job *job, int64_t done, int64_t total,
                 const char *fmt, ...)
{
    va_list ap;

    job->progress_done = done < 0 ? 0 : done;
    job->progress_total = total < 0 ? 0 : total;
    job->progress_text[0] = '\0';
    if (fmt) {
        va_start(ap, fmt);
        vsnprintf(job->progress_text, sizeof job->progress_text, fmt, ap);
        va_end(ap);
        job_context_make_utf8(job->progress_text);
    }
    job->progress_held = true;
    report_progress_if_due(job);
}

static int
append_cb(const char *bytes, size_t n, void *arg)
{
    struct buf *dst = arg;

    buf_add(dst, bytes, n);
    return dst->failed ? -1 : 0;
}

/* @text moves in; the earlier result is kept when it failed. */
static enum pit_status
result_take(struct pit_job *job, struct buf *text)
{
    if (text->failed || text->len == 0) {
        buf_clear(text);
        fail(job, ST_TOO_LARGE, "the result is larger than %d bytes",
             PIT_RESULT_MAX);
        return PIT_TOO_LARGE;
    }
    buf_clear(&job->result);
    job->result = *text;
    return PIT_OK;
}

enum pit_status
pit_job_result(struct pit_job *job, const char *fmt, ...)
{
    json_error_t where;
    struct buf text;
    va_list ap;

    va_start(ap, fmt);
    json_t *tree = json_vpack_ex(&where, 0, fmt, ap);
    va_end(ap);
    if (!tree) {
        fail(job, ST_INVALID, "pit_job_result(\"%.60s\"): %s", fmt, where.text);
        return PIT_INVALID;
    }
    buf_init(&text, PIT_RESULT_MAX);
    int failed = json_dump_callback(tree, append_cb, &text,
                                    JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(tree);
    if (failed)
        text.failed = true;
    return result_take(job, &text);
}

enum pit_status
pit_job_result_text(struct pit_job *job, const char *json, size_t len)
{
    struct jsontext value;
    struct error err;
    struct buf text;

    buf_init(&text, PIT_RESULT_MAX);
    text.failed = len > PIT_RESULT_MAX;
    if (!text.failed &&
        jsontext_check(str_from(json, len), &value, &err) != ST_OK) {
        fail(job, ST_INVALID, "the result is not JSON: %.180s", err.msg);
        return PIT_INVALID;
    }
    if (!text.failed)
        buf_add_str(&text, value.raw);
    return result_take(job, &text);
}

enum pit_status
pit_job_fail(struct pit_job *job, enum pit_status status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(job->error.msg, sizeof job->error.msg, fmt, ap);
    va_end(ap);
    job_context_make_utf8(job->error.msg);
    job->error.status = task_status(status);
    job->failed = true;
    return status;
}

void
pit_job_retry_after(struct pit_job *job, int64_t ms)
{
    job->retry_after_ms = ms < 0                  ? 0
                          : ms > JOB_DELAY_MAX_MS ? JOB_DELAY_MAX_MS
                                                  : ms;
}

/* Job document: names and numbers need no escaping (their characters are
 * checked where a job comes in, and again by job_decode()), so most of it is
 * copying. */
#include "app/document/job_json.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/jsontext.h"

/* The fixed text of a new job's document with its times, rounded up. */
enum { FIXED_SIZE = 640 };

#define ADD(dst, literal) buf_add(dst, "" literal, sizeof(literal) - 1)

static void
add_quoted(struct buf *dst, struct str s)
{
    buf_add_char(dst, '"');
    buf_add_str(dst, s);
    buf_add_char(dst, '"');
}

static void
add_number(struct buf *dst, int64_t n)
{
    char text[24];
    size_t at = sizeof text;
    uint64_t left = n < 0 ? -(uint64_t)n : (uint64_t)n;

    do {
        text[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (n < 0)
        text[--at] = '-';
    buf_add(dst, text + at, sizeof text - at);
}

/* Text that another program wrote. */
static void
add_json(struct buf *dst, struct str text)
{
    struct jsontext value;

    if (text.n == 0 || jsontext_check(text, &value, NULL) != ST_OK)
        ADD(dst, "null");
    else
        buf_add_str(dst, value.raw);
}

static void
add_tags(struct buf *dst, struct str tags)
{
    buf_add_char(dst, '[');
    for (struct str rest = tags; rest.n > 0;) {
        add_quoted(dst, str_cut(rest, ',', &rest));
        if (rest.n > 0)
            buf_add_char(dst, ',');
    }
    buf_add_char(dst, ']');
}

static void
add_id(struct buf *dst, struct str queue, struct str local)
{
    buf_add_str(dst, queue);
    buf_add_char(dst, '.');
    buf_add_str(dst, local);
}

static void
add_head(struct buf *dst, const struct job_spec *spec, struct str local,
         enum job_state state)
{
    ADD(dst, "{\"id\":\"");
    add_id(dst, spec->queue, local);
    ADD(dst, "\",\"task\":\"");
    buf_add_str(dst, spec->task);
    ADD(dst, "\",\"queue\":\"");
    buf_add_str(dst, spec->queue);
    ADD(dst, "\",\"state\":\"");
    buf_add_c(dst, job_state_name(state));
    ADD(dst, "\",\"priority\":");
    buf_add_char(dst, (char)('0' + spec->priority));
    ADD(dst, ",\"tags\":");
    add_tags(dst, spec->tags);
}

static void
add_request_id(struct buf *dst, struct str id)
{
    ADD(dst, ",\"request_id\":");
    if (id.n > 0)
        add_quoted(dst, id);
    else
        ADD(dst, "null");
}

static void
add_links(struct buf *dst, struct str queue, struct str local)
{
    ADD(dst, ",\"links\":{\"self\":\"/v1/jobs/");
    add_id(dst, queue, local);
    ADD(dst, "\",\"result\":\"/v1/jobs/");
    add_id(dst, queue, local);
    ADD(dst, "/result\",\"events\":\"/v1/jobs/");
    add_id(dst, queue, local);
    ADD(dst, "/events\",\"queue\":\"/v1/queues/");
    buf_add_str(dst, queue);
    ADD(dst, "\"}}");
}

void
job_json_write_new(const struct job_spec *spec, struct str local,
                   int64_t created_ms, struct buf *dst)
{
    int64_t run_at_ms = created_ms + spec->delay_ms;

    if (spec->run_at_ms > run_at_ms)
        run_at_ms = spec->run_at_ms;
    add_head(dst, spec, local,
             run_at_ms > created_ms ? JOB_SCHEDULED : JOB_READY);
    ADD(dst, ",\"args\":");
    if (spec->args.n > 0)
        buf_add_str(dst, spec->args);
    else
        ADD(dst, "null");
    ADD(dst, ",\"result\":null,\"error\":null,\"attempt\":0,\"retries\":0,"
             "\"crashes\":0,\"progress\":null,\"created_at\":");
    size_t created_at = dst->len;
    buf_add_json_time(dst, created_ms);
    size_t created_len = dst->len - created_at;
    ADD(dst, ",\"run_at\":");
    if (run_at_ms != created_ms) {
        buf_add_json_time(dst, run_at_ms);
    } else if (buf_room(dst, created_len)) { /* making a time costs the most */
        memcpy(dst->p + dst->len, dst->p + created_at, created_len);
        buf_grew(dst, created_len);
    }
    ADD(dst, ",\"started_at\":null,\"ended_at\":null,\"worker\":null");
    add_request_id(dst, spec->origin.request_id);
    ADD(dst, ",\"attempts\":[]");
    add_links(dst, spec->queue, local);
}

size_t
job_json_size_new(const struct job_spec *spec)
{
    /* Each tag gets quotes for its comma: at most three bytes a tag more. */
    return FIXED_SIZE + 4 * (size_t)ID_JOB_MAX + ID_TASK_MAX + spec->args.n +
           spec->tags.n + (size_t)3 * JOB_TAGS_MAX + spec->origin.request_id.n;
}

/* The attempt that explains why the job has not succeeded, or NULL. One that
 * was handed back explains nothing: look at the one before it. */
static const struct job_attempt *
last_failure(const struct job_view *view)
{
    for (int i = view->history.attempts_len; i-- > 0;) {
        const struct job_attempt *attempt = &view->history.attempts[i];
        if (attempt->outcome != OUTCOME_RELEASED)
            return attempt;
    }
    return NULL;
}

struct job_failure
job_json_failure(const struct job_view *view)
{
    const struct job_attempt *attempt = last_failure(view);
    struct job_failure ret = {.cause = NULL};

    if (view->state == JOB_CANCELLED)
        ret.cause = job_outcome_name(OUTCOME_CANCELLED);
    else if (view->state == JOB_EXPIRED)
        ret.cause = job_outcome_name(OUTCOME_EXPIRED);
    else if (view->state != JOB_SUCCEEDED && attempt)
        ret.cause = job_outcome_name(attempt->outcome);
    if (ret.cause && attempt)
        ret.message = attempt->message;
    return ret;
}

void
job_json_write_error(const struct job_view *view, struct buf *dst)
{
    struct job_failure failure = job_json_failure(view);

    if (!failure.cause) {
        ADD(dst, "null");
        return;
    }
    ADD(dst, "{\"cause\":\"");
    buf_add_c(dst, failure.cause);
    ADD(dst, "\",\"message\":");
    add_json(dst, failure.message);
    buf_add_char(dst, '}');
}

static void
add_worker(struct buf *dst, struct str name)
{
    ADD(dst, ",\"worker\":");
    if (name.n > 0)
        buf_add_json_string(dst, name);
    else
        ADD(dst, "null");
}

static void
add_attempts(struct buf *dst, const struct job_history *history)
{
    buf_add_char(dst, '[');
    for (int i = 0; i < history->attempts_len; i++) {
        const struct job_attempt *attempt = &history->attempts[i];
        if (i > 0)
            buf_add_char(dst, ',');
        ADD(dst, "{\"number\":");
        add_number(dst, attempt->number);
        add_worker(dst, attempt->worker);
        ADD(dst, ",\"started_at\":");
        buf_add_json_time(dst, attempt->started_ms);
        ADD(dst, ",\"ended_at\":");
        buf_add_json_time(dst, attempt->ended_ms);
        ADD(dst, ",\"outcome\":\"");
        buf_add_c(dst, job_outcome_name(attempt->outcome));
        ADD(dst, "\",\"cause\":");
        add_json(dst, attempt->message);
        buf_add_char(dst, '}');
    }
    buf_add_char(dst, ']');
}

int64_t
job_json_run_at(const struct job_view *view)
{
    if (view->due_ms > 0)
        return view->due_ms;
    if (view->spec.run_at_ms > 0)
        return view->spec.run_at_ms;
    return view->created_ms + view->spec.delay_ms;
}

void
job_json_write(const struct job_view *view, struct buf *dst)
{
    const struct job_history *history = &view->history;
    const struct job_spec *spec = &view->spec;

    add_head(dst, spec, spec->local, view->state);
    ADD(dst, ",\"args\":");
    add_json(dst, spec->args);
    ADD(dst, ",\"result\":");
    add_json(dst, view->result);
    ADD(dst, ",\"error\":");
    job_json_write_error(view, dst);
    ADD(dst, ",\"attempt\":");
    add_number(dst, history->attempt);
    ADD(dst, ",\"retries\":");
    add_number(dst, history->retries);
    ADD(dst, ",\"crashes\":");
    add_number(dst, history->crashes);
    ADD(dst, ",\"progress\":");
    add_json(dst, view->progress);
    ADD(dst, ",\"created_at\":");
    buf_add_json_time(dst, view->created_ms);
    ADD(dst, ",\"run_at\":");
    buf_add_json_time(dst, job_json_run_at(view));
    ADD(dst, ",\"started_at\":");
    buf_add_json_time(dst, history->started_ms);
    ADD(dst, ",\"ended_at\":");
    buf_add_json_time(dst, history->ended_ms);
    add_worker(dst, history->worker);
    add_request_id(dst, spec->origin.request_id);
    ADD(dst, ",\"attempts\":");
    add_attempts(dst, history);
    add_links(dst, spec->queue, spec->local);
}

void
job_json_etag(const struct job_view *view, char dst[JOB_JSON_ETAG_SIZE])
{
    const struct job_history *history = &view->history;
    char text[256];

    /* All that changes in a job's life; of the definition only its priority
     * does. A history grows only together with attempt, retries, crashes or
     * lost. */
    int n = snprintf(
        text, sizeof text, "%d %d %lld %lld %d %d %d %d %lld %lld %d %zu",
        view->spec.priority, (int)view->state, (long long)view->created_ms,
        (long long)view->due_ms, history->attempt, history->retries,
        history->crashes, history->lost, (long long)history->started_ms,
        (long long)history->ended_ms, history->attempts_len, view->result.n);
    uint64_t hash = str_hash(str_from(text, (size_t)n));
    hash ^= str_hash(view->progress) * 31;
    hash ^= str_hash(history->token) * 37;
    snprintf(dst, JOB_JSON_ETAG_SIZE, "\"%016llx\"", (unsigned long long)hash);
}

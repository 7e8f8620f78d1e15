/* Callback: pit.callback tells a URL that another job has ended.
 *
 *   args  {"url": "https://...", "event": {"type": "job.succeeded", ...}}
 *
 * The event is sent as the bytes that stand there, signed by webhook.h. The
 * message's id is this job's id, the same in every attempt, so that a receiver
 * can tell a repeat. Only an answer of 2xx is a success; 410 ends it for good;
 * a Retry-After is honoured. The URL is somebody else's choice: it is fetched
 * with the guard, and no redirect is followed. */
#include <inttypes.h>
#include <stdio.h>

#include "async/curl/fetch.h"
#include "base/clock.h"
#include "base/jsontext.h"
#include "executors/executor.h"
#include "webhook.h"

enum {
    SEND_MS = 15 * 1000,         /* for all of one attempt */
    ANSWER_MAX = 64 * 1024,      /* bytes; nobody reads them */
    RETRY_MAX_MS = 86400 * 1000, /* of a Retry-After */
    HEADER_SIZE = 256,
    URL_MAX = 1024,
};

struct callback {
    struct str event;
    struct buf url;
    struct buf signature;
    char id[HEADER_SIZE];
    char at[HEADER_SIZE];
    char trace[HEADER_SIZE];
    char request[HEADER_SIZE];
};

static bool
handles(const struct app_task *task)
{
    return executor_builtin(STR("pit.callback")) == task;
}

static enum status
read_args(struct pit_job *job, struct callback *callback)
{
    struct str text = job->start.args, key;
    struct jsontext args, member;

    if (jsontext_check(text, &args, &job->error) != ST_OK ||
        args.type != JSONTEXT_OBJECT)
        goto bad;
    struct jsontext_walk walk = jsontext_walk(args);
    while (jsontext_next(&walk, &key, &member))
        if (str_eq_c(key, "url") && member.type == JSONTEXT_STRING) {
            struct str url = jsontext_string(member, &callback->url);
            if (callback->url.len == 0)
                buf_add_str(&callback->url, url);
        } else if (str_eq_c(key, "event"))
            callback->event = member.raw;
    buf_add_char(&callback->url, '\0');
    if (!callback->url.failed && callback->url.len > 1 && callback->event.n > 0)
        return ST_OK;
bad:
    return (enum status)pit_job_fail(
        job, PIT_PERMANENT,
        "pit.callback takes {\"url\": ..., \"event\": ...}");
}

/* What the answer means. */
static enum status
judge(struct pit_job *job, const struct fetch *fetch, enum status st)
{
    int64_t retry_ms = fetch_retry_after_ms(fetch, clock_wall_ms());

    if (retry_ms > 0)
        pit_job_retry_after(job,
                            retry_ms < RETRY_MAX_MS ? retry_ms : RETRY_MAX_MS);
    if ((st == ST_OK || st == ST_TOO_LARGE) && fetch->code >= 200 &&
        fetch->code <= 299)
        return (enum status)pit_job_result(job, "{s:i}", "code", fetch->code);
    if (fetch->code == 410)
        return (enum status)pit_job_fail(
            job, PIT_PERMANENT, "the target answered 410: it wants no more");
    if (st == ST_OK && fetch->code >= 300 && fetch->code <= 399)
        return (enum status)pit_job_fail(
            job, PIT_FAILED,
            "the target answered %d; redirects are not followed: give the URL "
            "that it leads to",
            fetch->code);
    if (st == ST_OK)
        return (enum status)pit_job_fail(job, PIT_FAILED,
                                         "the target answered %d", fetch->code);
    bool hopeless = st == ST_INVALID || st == ST_FORBIDDEN;
    return (enum status)pit_job_fail(
        job, hopeless ? PIT_PERMANENT : (enum pit_status)st, "%s%s",
        fetch->err.msg, st == ST_FORBIDDEN ? " by --webhook-allow" : "");
}

/* What the job came from, which the event is about: whoever is called back
 * knows its own request by it. */
static void
add_origin(struct callback *callback, const struct pit_job *job,
           const char **lines)
{
    if (*job->start.traceparent) {
        snprintf(callback->trace, sizeof callback->trace, "traceparent: %s",
                 job->start.traceparent);
        *lines++ = callback->trace;
    }
    if (*job->start.request_id) {
        snprintf(callback->request, sizeof callback->request,
                 "X-Request-Id: %s", job->start.request_id);
        *lines++ = callback->request;
    }
    *lines = NULL;
}

static enum status
send_event(struct co *co, const struct webhook *webhook,
           struct callback *callback, struct pit_job *job)
{
    struct fetch fetch = {0};
    int64_t at_s = clock_wall_ms() / 1000;

    snprintf(callback->id, sizeof callback->id, "webhook-id: %s",
             job->start.id);
    snprintf(callback->at, sizeof callback->at, "webhook-timestamp: %" PRId64,
             at_s);
    buf_add_c(&callback->signature, "webhook-signature: ");
    webhook_sign(webhook, str_c(job->start.id), at_s, callback->event,
                 &callback->signature);
    buf_add_char(&callback->signature, '\0');
    if (callback->signature.failed)
        return ST_LIMIT;
    const char *headers[7] = {"Content-Type: application/json", callback->id,
                              callback->at, callback->signature.p};
    add_origin(callback, job, headers + 4);
    const struct fetch_options options = {
        .url = callback->url.p,
        .method = "POST",
        .headers = headers,
        .body = callback->event.p,
        .body_len = callback->event.n,
        .timeout_ms = SEND_MS,
        .body_max = ANSWER_MAX,
        .guard = &webhook->allowed,
    };
    enum status st = fetch_await(co, &fetch, &options);
    if (co_cancelled(co) == ST_OK)
        st = judge(job, &fetch, st);
    fetch_clear(&fetch);
    return st;
}

static enum status
run_callback(struct co *co, const struct webhook *webhook, struct pit_job *job)
{
    struct callback callback = {0};
    enum status st;

    if (webhook->secrets_len == 0)
        return (enum status)pit_job_fail(
            job, PIT_FAILED,
            "this worker has no secret to sign callbacks with: set "
            "--webhook-secret");
    buf_init(&callback.url, URL_MAX + 1);
    buf_init(&callback.signature, 1024);
    st = read_args(job, &callback);
    if (st == ST_OK)
        st = send_event(co, webhook, &callback, job);
    buf_clear(&callback.url);
    buf_clear(&callback.signature);
    return st;
}

static enum status
run_async(struct co *co, const struct executor_context *context,
          const struct app_task *task, struct pit_job *job)
{
    (void)task;
    job_context_enter(co, job);
    return job_context_end(job, run_callback(co, context->webhook, job));
}

const struct executor callback_executor = {
    .name = "callback",
    .handles = handles,
    .run_async = run_async,
};

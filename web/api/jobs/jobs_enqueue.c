/* POST /v1/jobs and PUT /v1/jobs/{id}: one job.
 *
 * The way in: read the envelope, complete it by its task, enqueue, answer.
 * Under an Idempotency-Key the job's id follows from the key's seed, so
 * whatever fails in between, a repeat names the same job. 202 is sent only
 * after Redis took the job; when nobody can know whether it did, the answer is
 * 503 with the id. */
#include "api/api.h"
#include "api/idempotency.h"
#include "api/jobs/payload.h"
#include "api/preference.h"
#include "app/document/job_json.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "queue/flow/queue_after.h"
#include "queue/queue_retry.h"

/* One job on its way through. */
struct submission {
    struct api *api;
    struct http_exchange *exchange;
    struct preference preference;
    struct envelope envelope;
    struct enqueue enqueue;
    int64_t created_ms;
    bool replayed;  /* under its key it was taken before */
    bool unreached; /* stored, but not as durably as asked for */
};

/* ---- the answer ---- */

static void
write_document(const struct submission *s, struct buf *dst)
{
    struct str local = str_c(s->enqueue.local);
    const struct job_spec *spec = &s->enqueue.spec;

    if (s->preference.minimal) {
        buf_addf(dst, "{\"id\":\"%.*s.%.*s\"}", STR_ARG(spec->queue),
                 STR_ARG(local));
        return;
    }
    (void)buf_room(dst, job_json_size_new(spec));
    job_json_write_new(spec, local, s->created_ms, dst);
}

static enum status
set_location(const struct submission *s)
{
    char path[sizeof "/v1/jobs/" + ID_JOB_MAX];
    struct str queue = s->enqueue.spec.queue, local = str_c(s->enqueue.local);
    struct buf location = {.p = path, .cap = sizeof path, .max = sizeof path};

    buf_add_c(&location, "/v1/jobs/");
    buf_add_str(&location, queue);
    buf_add_char(&location, '.');
    buf_add_str(&location, local);
    return response_set(&s->exchange->res, STR("Location"), buf_str(&location));
}

static enum status
set_fields(const struct submission *s)
{
    struct pit_response *res = &s->exchange->res;
    const struct preference *preference = &s->preference;

    const struct durability_wish *durability = &s->envelope.durability;

    enum status st = set_location(s);
    if (st == ST_OK && durability->kind != DURABILITY_UNSAID) {
        char word[16];
        durability_name(durability, word);
        st = response_set(res, STR("Pit-Durability"), str_c(word));
    }
    if (st == ST_OK && s->replayed)
        st = response_set(res, STR("Idempotency-Replayed"), STR("true"));
    if (st == ST_OK && preference->wait_applied && preference->minimal)
        st = response_setf(res, "Preference-Applied", "wait=%d, return=minimal",
                           (int)(preference->wait_ms / 1000));
    else if (st == ST_OK && preference->wait_applied)
        st = response_setf(res, "Preference-Applied", "wait=%d",
                           (int)(preference->wait_ms / 1000));
    else if (st == ST_OK && preference->minimal)
        st =
            response_set(res, STR("Preference-Applied"), STR("return=minimal"));
    return st;
}

/* The document as of now, if it can be had: 200 once the job has ended. */
static enum status
reply_looked_up(struct co *co, struct submission *s, int status_unended,
                bool *ret_replied)
{
    struct job_id id = {s->enqueue.spec.queue, str_c(s->enqueue.local)};
    struct job_view view;
    struct buf body;
    enum status st = ST_OK;

    *ret_replied = false;
    if (queue_get(co, s->api->queues, id, &view, NULL) == ST_OK) {
        int status = job_state_ended(view.state) ? 200 : status_unended;
        buf_init(&body, RESPONSE_BODY_MAX);
        job_json_write(&view, &body);
        st =
            response_take(&s->exchange->res, status, "application/json", &body);
        *ret_replied = true;
    }
    queue_view_clear(&view);
    return st;
}

/* The job is stored, come what may: from here on nothing is an error. */
static enum status
reply_stored(struct co *co, struct submission *s, int status)
{
    struct job_id id = {s->enqueue.spec.queue, str_c(s->enqueue.local)};
    struct buf body;
    bool replied = false;

    enum status st = set_fields(s);
    if (st == ST_OK && s->preference.wait_ms > 0 &&
        api_wait(co, s->api, id, s->preference.wait_ms, NULL) != ST_CANCELLED)
        st = reply_looked_up(co, s, status, &replied);
    if (st != ST_OK || replied)
        return st;
    buf_init(&body, RESPONSE_BODY_MAX);
    write_document(s, &body);
    return response_take(&s->exchange->res, status, "application/json", &body);
}

/* With the id, in the body and as the Location. */
static enum status
refuse_naming_job(struct submission *s, enum problem_kind kind,
                  const char *detail)
{
    struct problem problem = {.kind = kind, .detail = detail};
    char id[ID_JOB_MAX + 1];

    snprintf(id, sizeof id, "%.*s.%s", STR_ARG(s->enqueue.spec.queue),
             s->enqueue.local);
    enum status st = api_refuse_naming(s->exchange, &problem, "id", id);
    return st == ST_OK ? set_location(s) : st;
}

/* 503 with the id that was chosen before the write. */
static enum status
refuse_unclear(struct submission *s)
{
    return refuse_naming_job(
        s, PROBLEM_OUTCOME_UNKNOWN,
        "Redis went away after the job was sent: look at its id, or send the "
        "request again with the same id or key");
}

/* The unique key belongs to another job: that one is the answer, or it is
 * named in the refusal. */
static enum status
reply_holder(struct co *co, struct submission *s)
{
    struct enqueue *enqueue = &s->enqueue;
    char existing[ID_JOB_MAX + 1];

    snprintf(existing, sizeof existing, "%.*s.%s", STR_ARG(enqueue->spec.queue),
             enqueue->holder);
    if (enqueue->spec.unique.on_conflict == UNIQUE_RETURN) {
        bool replied = false;
        memcpy(enqueue->local, enqueue->holder, sizeof enqueue->local);
        if (s->preference.wait_ms > 0)
            return reply_stored(co, s, 200);
        enum status st = set_fields(s);
        if (st == ST_OK)
            st = reply_looked_up(co, s, 200, &replied);
        if (st != ST_OK || replied)
            return st;
    }
    struct problem problem = {
        .kind = PROBLEM_DUPLICATE_JOB,
        .detail = "another job holds this unique key: nothing was stored",
        .pointer = "/unique/key",
    };
    return api_refuse_naming(s->exchange, &problem, "existing", existing);
}

/* 503 with the id: it is there. */
static enum status
refuse_unreached(struct submission *s)
{
    return refuse_naming_job(s, PROBLEM_DURABILITY_NOT_REACHED,
                             s->exchange->err.msg);
}

/* What is stored is to be as durable as asked for. */
static enum status
reach(struct co *co, struct submission *s)
{
    enum status st = durability_reach(
        co, s->api->durability, &s->envelope.durability, &s->exchange->err);

    s->unreached = st == ST_TIMEOUT;
    return s->unreached ? ST_OK : st;
}

static enum status
refuse_failed(struct submission *s, enum status st)
{
    if (st == ST_UNCLEAR)
        return refuse_unclear(s);
    return api_fail(s->exchange, st, &s->enqueue.err, true);
}

/* ---- the way in ---- */

static enum status
refuse_kind(struct http_exchange *exchange, const struct error *err)
{
    return api_refuse_with(exchange, PROBLEM_UNSUPPORTED_MEDIA_TYPE, "%s",
                           err->msg);
}

/* Reads body and options; *ret_refused when the answer is made already. */
static enum status
read_submission(struct co *co, struct submission *s, bool *ret_refused)
{
    struct http_exchange *exchange = s->exchange;
    struct pit_request *req = &exchange->req;
    struct error *err = &exchange->err;
    enum payload_kind kind;

    *ret_refused = true;
    if (payload_kind(req, &kind, err) != ST_OK)
        return refuse_kind(exchange, err);
    if (kind == PAYLOAD_NDJSON)
        return api_refuse_with(exchange, PROBLEM_UNSUPPORTED_MEDIA_TYPE,
                               "application/x-ndjson is for many jobs: send "
                               "it to /v1/jobs:batch");
    enum status st = api_query(req, STR("wait"), err);
    if (st == ST_OK)
        st = preference_read(req, &s->preference, err);
    if (st != ST_OK)
        return api_fail(exchange, st, err, false);
    st = exchange_read_all(co, exchange);
    if (st != ST_OK)
        return st;
    st = kind == PAYLOAD_RAW
             ? payload_read(req, &s->envelope, err)
             : envelope_parse(str_from(req->body, req->body_len), req->arena,
                              &s->envelope, err);
    if (st == ST_OK)
        s->envelope.spec.origin = payload_origin(req);
    *ret_refused = st != ST_OK;
    return st == ST_OK ? ST_OK : api_fail(exchange, st, err, false);
}

/* The task's defaults, and then nothing can be wrong with the job any more. */
static enum status
complete(struct co *co, struct submission *s, bool *ret_refused)
{
    struct http_exchange *exchange = s->exchange;

    enum status st = api_store(s->api, &exchange->err);
    if (st == ST_OK)
        st = catalog_complete(co, &s->api->catalog, exchange->req.arena,
                              &s->envelope, &exchange->err);
    if (st == ST_OK)
        st = queue_retry_fill(co, s->api->queues, &s->envelope.spec,
                              &exchange->err);
    *ret_refused = st != ST_OK;
    s->enqueue.spec = s->envelope.spec;
    return st == ST_OK ? ST_OK : api_fail(exchange, st, &exchange->err, false);
}

static enum status
enqueue(struct co *co, struct submission *s)
{
    struct envelope *envelope = &s->envelope;
    struct queues *queues = NULL;

    enum status st =
        durability_begin(co, s->api->durability, &envelope->durability,
                         s->api->queues, &queues, &s->enqueue.err);
    if (st != ST_OK)
        return st;
    if (envelope->spec.kin.parents > 0)
        st = queue_after_enqueue(co, queues, &s->enqueue, envelope->after,
                                 (size_t)envelope->spec.kin.parents);
    else
        st = queue_enqueue_await(co, queues, &s->enqueue);
    if (st == ST_OK && (s->enqueue.outcome == ENQUEUE_NEW ||
                        s->enqueue.outcome == ENQUEUE_SAME))
        st = reach(co, s);
    return st;
}

/* ---- POST ---- */

static enum status
enqueue_plain(struct co *co, struct submission *s)
{
    enum status st = enqueue(co, s);

    if (st != ST_OK)
        return refuse_failed(s, st);
    if (s->enqueue.outcome == ENQUEUE_DUPLICATE)
        return reply_holder(co, s);
    return s->unreached ? refuse_unreached(s) : reply_stored(co, s, 202);
}

static enum status
run_under_key(struct co *co, struct submission *s, struct idempotency *key)
{
    enum status st = enqueue(co, s);

    if (st != ST_OK) {
        idempotency_fail(co, key);
        return refuse_failed(s, st);
    }
    if (s->enqueue.outcome == ENQUEUE_OTHER) {
        idempotency_fail(co, key);
        return api_refuse_with(s->exchange, PROBLEM_DUPLICATE_JOB,
                               "the id that follows from this Idempotency-Key "
                               "is taken by another job: use another key");
    }
    if (s->enqueue.outcome == ENQUEUE_DUPLICATE) {
        /* No job of this key: the next try may make one. */
        idempotency_fail(co, key);
        return reply_holder(co, s);
    }
    idempotency_finish(co, key);
    s->replayed = s->enqueue.outcome != ENQUEUE_NEW;
    if (s->unreached)
        return refuse_unreached(s);
    return reply_stored(co, s, s->replayed ? 200 : 202);
}

/* It is there; whether it is as durable as asked for, is asked anew. */
static enum status
replay(struct co *co, struct submission *s)
{
    struct queues *queues = NULL;

    enum status st =
        durability_begin(co, s->api->durability, &s->envelope.durability,
                         s->api->queues, &queues, &s->enqueue.err);
    if (st == ST_OK)
        st = reach(co, s);
    if (st != ST_OK)
        return refuse_failed(s, st);
    s->replayed = true;
    return s->unreached ? refuse_unreached(s) : reply_stored(co, s, 200);
}

static enum status
enqueue_under_key(struct co *co, struct submission *s, struct str key)
{
    struct idempotency idempotency;
    bool again = false, refused = false;

    enum status st = api_begin_key(co, s->api, s->exchange, key, &idempotency,
                                   &again, &refused);
    if (st != ST_OK || refused)
        return st;
    s->created_ms = idempotency.entry.created_ms;
    s->enqueue.named = true;
    id_derive(idempotency.entry.seed, 0, s->enqueue.local);
    return again ? replay(co, s) : run_under_key(co, s, &idempotency);
}

enum status
jobs_enqueue_post(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct submission s = {.api = arg, .exchange = exchange};
    struct str key = STR_NULL;
    bool refused = false;

    enum status st = idempotency_key(&exchange->req, &key, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    st = read_submission(co, &s, &refused);
    if (st != ST_OK || refused)
        return st;
    st = complete(co, &s, &refused);
    if (st != ST_OK || refused)
        return st;
    if (key.p)
        return enqueue_under_key(co, &s, key);
    s.created_ms = clock_wall_ms();
    return enqueue_plain(co, &s);
}

/* ---- PUT ---- */

/* The id of the path is what counts; a queue in the body must agree with it. */
static enum status
take_id(struct submission *s, struct job_id id)
{
    struct job_spec *spec = &s->envelope.spec;

    if ((s->envelope.given & ENVELOPE_QUEUE) && !str_eq(spec->queue, id.queue))
        return error_set_at(&s->exchange->err, "/queue",
                            "the id says queue \"%.*s\": leave the field out, "
                            "or let both say the same",
                            STR_ARG(id.queue));
    spec->queue = id.queue;
    spec->local = id.local;
    s->envelope.given |= ENVELOPE_QUEUE;
    s->enqueue.named = true;
    str_copy_to(id.local, s->enqueue.local, sizeof s->enqueue.local);
    return ST_OK;
}

static enum status
reply_same(struct co *co, struct submission *s)
{
    bool replied = false;

    if (s->preference.wait_ms > 0)
        return reply_stored(co, s, 200);
    enum status st = set_fields(s);
    if (st == ST_OK)
        st = reply_looked_up(co, s, 200, &replied);
    return st != ST_OK || replied ? st : reply_stored(co, s, 200);
}

enum status
jobs_enqueue_put(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct submission s = {.api = arg, .exchange = exchange};
    struct job_id id;
    bool refused = false;

    enum status st = id_split(str_c(pit_request_param(&exchange->req, "id")),
                              &id, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    st = read_submission(co, &s, &refused);
    if (st != ST_OK || refused)
        return st;
    st = take_id(&s, id);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    st = complete(co, &s, &refused);
    if (st != ST_OK || refused)
        return st;
    s.created_ms = clock_wall_ms();
    st = enqueue(co, &s);
    if (st != ST_OK)
        return refuse_failed(&s, st);
    if (s.unreached)
        return refuse_unreached(&s);
    switch (s.enqueue.outcome) {
    case ENQUEUE_NEW:
        return reply_stored(co, &s, 201);
    case ENQUEUE_SAME:
        return reply_same(co, &s);
    case ENQUEUE_OTHER:
        return api_refuse_with(exchange, PROBLEM_DUPLICATE_JOB,
                               "the id belongs to a job with other content: "
                               "nothing was changed");
    case ENQUEUE_DUPLICATE:
        return reply_holder(co, &s);
    default:
        return api_refuse_with(exchange, PROBLEM_GONE,
                               "the id belongs to a job that has ended and is "
                               "past its retention: use a new one");
    }
}

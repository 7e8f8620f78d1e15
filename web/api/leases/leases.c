/* POST /v1/leases, /v1/leases:finish, and the pulled job's life: :extend :ack
 * :fail :progress :log, with the lease's token.
 *
 * What a token does not fit is 409 lease-lost, whatever became of the job. */
#include "api/api.h"
#include "api/body.h"
#include "api/jobs/payload.h"
#include "api/leases/lease_finish.h"
#include "api/preference.h"
#include "app/document/job_json.h"
#include "base/clock.h"
#include "base/jsontext.h"
#include "base/utf8.h"
#include "queue/queue_log.h"

#include <stdlib.h>

enum {
    LEASE_MIN_MS = 1000,
    LEASE_MAX_MS = 3600000,
    LEASE_STANDARD_MS = 30000,
    PROGRESS_TEXT_MAX = 200, /* as a C task's */
    FINISHES_BODY_MAX = 8 * 1024 * 1024,
};

/* ---- POST /v1/leases ---- */

static enum status
read_queues(json_t *list, struct pull_wish *wish, struct error *err)
{
    if (!json_is_array(list) || json_array_size(list) == 0 ||
        json_array_size(list) > PULL_QUEUES_MAX)
        return error_set_at(err, "/queues",
                            "must be an array of 1 to %d queues: they are "
                            "asked in that order",
                            PULL_QUEUES_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct str name = str_c(json_string_value(json_array_get(list, i)));
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/queues/%zu", i);
        if (!id_queue_valid(name))
            return error_set_at(err, pointer,
                                "must be 1 to 64 of A-Z a-z 0-9 _ . : -");
        for (size_t j = 0; j < i; j++)
            if (str_eq(name, wish->queues[j]))
                return error_set_at(err, pointer, "the queue stands twice");
        wish->queues[i] = name;
    }
    wish->queues_len = json_array_size(list);
    return ST_OK;
}

static bool
is_worker_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '.' || name.p[i] == ':')
            return false;
    return id_local_valid(name) && name.n <= PULL_NAME_MAX;
}

/* Borrows from @body. */
static enum status
read_wish(struct co *co, struct http_exchange *exchange, struct body *body,
          struct pull_wish *wish, struct error *err)
{
    enum { QUEUES, MAX, WAIT, LEASE, WORKER, FIELDS };
    static const struct body_field fields[FIELDS] = {
        [QUEUES] = {"queues", BODY_JSON, 0, 0},
        [MAX] = {"max", BODY_INTEGER, 1, QUEUE_CLAIM_MAX},
        [WAIT] = {"wait", BODY_DURATION, 0, PREFERENCE_WAIT_MAX_MS},
        [LEASE] = {"lease", BODY_DURATION, LEASE_MIN_MS, LEASE_MAX_MS},
        [WORKER] = {"worker", BODY_TEXT, 1, PULL_NAME_MAX},
    };

    enum status st = body_read(co, exchange, fields, FIELDS, body, err);
    if (st != ST_OK)
        return st;
    const struct body_value *values = body->values;
    wish->max =
        values[MAX].given && !values[MAX].null ? (int)values[MAX].number : 1;
    wish->wait_ms = values[WAIT].number;
    wish->lease_ms = values[LEASE].given && !values[LEASE].null
                         ? values[LEASE].number
                         : LEASE_STANDARD_MS;
    wish->worker = values[WORKER].text.n ? values[WORKER].text : STR("pull");
    if (!is_worker_name(wish->worker))
        return error_set_at(err, "/worker",
                            "must be 1 to %d of "
                            "A-Z a-z 0-9 _ -",
                            PULL_NAME_MAX);
    return read_queues(values[QUEUES].json, wish, err);
}

/* A job that was claimed this moment, as GET would show it. */
static void
write_lease(const struct pull_batch *batch, const struct pull_part *part,
            const struct claimed *claimed, int64_t lease_ms, struct buf *dst)
{
    struct job_view view = {.state = JOB_RUNNING};
    const struct work *work = &part->work;

    if (job_decode(claimed->record, &view.spec, &view.created_ms, NULL) !=
        ST_OK)
        view.spec.task = STR("");
    view.spec.queue = str_c(part->queue);
    view.spec.local = claimed->local;
    view.history = (struct job_history){
        .code = 'R',
        .token = str_c(claimed->token),
        .attempt = claimed->attempt,
        .retries = claimed->retries,
        .crashes = claimed->crashes,
        .started_ms = work->now_ms,
        .worker = str_c(pull_batch_worker(batch)),
    };
    buf_addf(dst, "{\"token\":\"%s\",\"lease_ms\":%lld,\"traceparent\":",
             claimed->token, (long long)lease_ms);
    if (view.spec.origin.traceparent.n > 0)
        buf_add_json_string(dst, view.spec.origin.traceparent);
    else
        buf_add_c(dst, "null");
    buf_add_c(dst, ",\"inputs\":");
    if (claimed->inputs)
        queue_work_inputs(claimed, dst);
    else
        buf_add_c(dst, "null");
    buf_add_c(dst, ",\"job\":");
    job_json_write(&view, dst);
    buf_add_char(dst, '}');
}

/* The answer takes the place of the batch; one that does not fit, or cannot be
 * sent any more, hands it back. */
static enum status
reply_leases(struct api *api, struct http_exchange *exchange,
             const struct pull_wish *wish, struct pull_batch *batch)
{
    struct buf body;
    bool first = true;

    if (pull_batch_parts(batch) == 0) {
        pull_batch_free(batch);
        return response_empty(&exchange->res, 204);
    }
    buf_init(&body, RESPONSE_BODY_MAX);
    buf_add_c(&body, "{\"leases\":[");
    for (size_t p = 0; p < pull_batch_parts(batch); p++) {
        const struct pull_part *part = pull_batch_part(batch, p);
        for (size_t i = 0; i < part->work.claimed_len; i++) {
            buf_add_c(&body, first ? "" : ",");
            write_lease(batch, part, &part->work.claimed[i], wish->lease_ms,
                        &body);
            first = false;
        }
    }
    buf_add_c(&body, "]}");
    enum status st =
        exchange_gone(exchange)
            ? ST_CANCELLED
            : response_take(&exchange->res, 200, "application/json", &body);
    if (st == ST_OK)
        pull_batch_free(batch);
    else
        pull_give_back(api->pull, batch);
    buf_clear(&body);
    return st;
}

enum status
leases_post(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct pull_batch *batch = NULL;
    struct pull_wish wish = {0};
    struct body body = {0};
    struct error *err = &exchange->err;

    enum status st = api_query(&exchange->req, STR_NULL, err);
    if (st == ST_OK)
        st = read_wish(co, exchange, &body, &wish, err);
    if (st == ST_OK)
        st = api_store(api, err);
    if (st == ST_OK)
        st = api_claim(co, api, &wish, &batch, err);
    if (st == ST_OK)
        st = reply_leases(api, exchange, &wish, batch);
    else if (st == ST_TIMEOUT) /* the process drains */
        st = response_empty(&exchange->res, 204);
    else
        st = api_fail(exchange, st, err, false);
    body_clear(&body);
    return st;
}

/* ---- one lease ---- */

static enum status
read_lease(struct http_exchange *exchange, struct job_id *ret_id,
           struct str *ret_token, struct error *err)
{
    struct str token = request_field(&exchange->req, STR("Lease-Token"));

    enum status st = api_query(&exchange->req, STR_NULL, err);
    if (st != ST_OK)
        return st;
    if (token.n == 0 || token.n > QUEUE_TOKEN_MAX ||
        memchr(token.p, ' ', token.n))
        return error_set(err, ST_INVALID,
                         "the field Lease-Token must hold the token that came "
                         "with the lease");
    *ret_token = token;
    return id_split(str_c(pit_request_param(&exchange->req, "id")), ret_id,
                    err);
}

static enum status
refuse_lost(struct http_exchange *exchange)
{
    return api_refuse_with(exchange, PROBLEM_LEASE_LOST,
                           "the lease is over, or the job was ended: stop "
                           "working on it");
}

static enum status
refuse_kind(struct http_exchange *exchange, enum problem_kind kind)
{
    if (kind == PROBLEM_LEASE_LOST)
        return refuse_lost(exchange);
    return api_refuse_with(exchange, kind,
                           "there is no such job, or it is past its retention");
}

/* The priority, which an entry begins with, is in the record. */
static enum status
look_up(struct co *co, struct api *api, struct job_id id, struct lease *lease,
        bool *ret_held, struct error *err)
{
    struct job_view view;

    enum status st = queue_get(co, api->queues, id, &view, err);
    if (st == ST_OK) {
        lease->priority = view.spec.priority;
        *ret_held = view.state == JOB_RUNNING &&
                    str_eq(view.history.token, lease->token);
    }
    queue_view_clear(&view);
    return st;
}

/* What :extend, :progress and :log begin with. *ret_answered: refused. */
static enum status
begin(struct co *co, struct api *api, struct http_exchange *exchange,
      struct job_id *id, struct lease *lease, bool *ret_answered)
{
    struct error *err = &exchange->err;
    bool held = false;

    *ret_answered = true;
    enum status st = read_lease(exchange, id, &lease->token, err);
    if (st == ST_OK) {
        lease->local = id->local;
        st = look_up(co, api, *id, lease, &held, err);
    }
    if (st != ST_OK)
        return api_fail(exchange, st, err, false);
    if (!held)
        return refuse_lost(exchange);
    *ret_answered = false;
    return ST_OK;
}

/* ---- :extend ---- */

static enum status
reply_extended(struct http_exchange *exchange, const redisReply *lost,
               int64_t lease_ms)
{
    bool asked = false;

    for (size_t i = 0; i < lost->elements; i++) {
        const redisReply *token = lost->element[i];
        if (token->type != REDIS_REPLY_STRING || token->str[0] != '!')
            return refuse_lost(exchange);
        asked = true; /* held still, and somebody asked to cancel the job */
    }
    return response_json_take(&exchange->res, 200,
                              json_pack("{s:I, s:b}", "lease_ms",
                                        (json_int_t)lease_ms, "cancel", asked));
}

enum status
leases_extend(struct co *co, struct http_exchange *exchange, void *arg)
{
    static const struct body_field fields[] = {
        {"lease", BODY_DURATION, LEASE_MIN_MS, LEASE_MAX_MS}};
    struct api *api = arg;
    struct body body = {0};
    struct rds_call call = {0};
    struct lease lease = {.priority = 0};
    struct job_id id;
    bool answered = false;
    int64_t lease_ms = LEASE_STANDARD_MS;

    enum status st = body_read(co, exchange, fields, ARRAY_LEN(fields), &body,
                               &exchange->err);
    if (st == ST_OK && body.values[0].given && !body.values[0].null)
        lease_ms = body.values[0].number;
    body_clear(&body);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    st = begin(co, api, exchange, &id, &lease, &answered);
    if (st != ST_OK || answered)
        return st;
    queue_renew(api->queues, &call, id.queue, lease_ms, &lease, 1, NULL, NULL);
    st = co_await(co, &call.op);
    if (st == ST_OK)
        st = reply_extended(exchange, call.reply, lease_ms);
    else
        st = api_fail(exchange, st, &call.err, true);
    rds_call_clear(&call);
    return st;
}

/* ---- :progress and :log ---- */

static enum status
reply_kept(struct co *co, struct http_exchange *exchange, struct rds_call *call)
{
    enum status st = co_await(co, &call->op);

    if (st != ST_OK)
        st = api_fail(exchange, st, &call->err, true);
    else if (call->reply->integer == 0)
        st = refuse_lost(exchange);
    else
        st = response_empty(&exchange->res, 204);
    rds_call_clear(call);
    return st;
}

static void
write_progress(const struct body_value *values, struct buf *dst)
{
    buf_addf(dst, "{\"done\":%lld,\"total\":%lld", (long long)values[0].number,
             (long long)values[1].number);
    if (values[2].text.n > 0) {
        buf_add_c(dst, ",\"message\":");
        buf_add_json_string(dst, values[2].text);
    }
    buf_add_c(dst, ",\"at\":\"");
    buf_add_time(dst, clock_wall_ms());
    buf_add_c(dst, "\"}");
}

enum status
leases_progress(struct co *co, struct http_exchange *exchange, void *arg)
{
    static const struct body_field fields[] = {
        {"done", BODY_INTEGER, 0, INT64_MAX / 2},
        {"total", BODY_INTEGER, 0, INT64_MAX / 2},
        {"message", BODY_TEXT, 0, PROGRESS_TEXT_MAX}};
    struct api *api = arg;
    struct body body = {0};
    struct rds_call call = {0};
    struct lease lease = {.priority = 0};
    struct job_id id;
    struct buf json;
    bool answered = false;

    buf_init(&json, 4096);
    enum status st = body_read(co, exchange, fields, ARRAY_LEN(fields), &body,
                               &exchange->err);
    if (st == ST_OK)
        write_progress(body.values, &json);
    body_clear(&body);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    st = begin(co, api, exchange, &id, &lease, &answered);
    if (st == ST_OK && !answered) {
        queue_progress(api->queues, &call, id.queue, &lease, buf_str(&json),
                       NULL, NULL);
        st = reply_kept(co, exchange, &call);
    }
    buf_clear(&json);
    return st;
}

/* A text of one or more lines, or an array of them. Borrows from @value. */
static enum status
read_lines(const json_t *value, struct str *lines, size_t *ret_n,
           struct error *err)
{
    size_t n = 0;

    if (json_is_string(value)) {
        struct str rest =
            str_from(json_string_value(value), json_string_length(value));
        while (rest.n > 0 && n < QUEUE_LOG_LINES_MAX) {
            struct str line = str_cut(rest, '\n', &rest);
            if (line.n > 0)
                lines[n++] = line;
        }
    } else if (json_is_array(value) &&
               json_array_size(value) <= QUEUE_LOG_LINES_MAX) {
        for (; n < json_array_size(value); n++) {
            const json_t *line = json_array_get(value, n);
            if (!json_is_string(line))
                break;
            lines[n] =
                str_from(json_string_value(line), json_string_length(line));
        }
        if (n < json_array_size(value))
            n = 0;
    }
    if (n == 0)
        return error_set_at(err, "/lines",
                            "must be a text, or an array of 1 to %d texts",
                            QUEUE_LOG_LINES_MAX);
    *ret_n = n;
    return ST_OK;
}

enum status
leases_log(struct co *co, struct http_exchange *exchange, void *arg)
{
    static const struct body_field fields[] = {{"lines", BODY_JSON, 0, 0}};
    struct api *api = arg;
    struct str lines[QUEUE_LOG_LINES_MAX];
    struct body body = {0};
    struct rds_call call = {0};
    struct lease lease = {.priority = 0};
    struct job_id id;
    bool answered = false;
    size_t n = 0;

    enum status st = body_read(co, exchange, fields, ARRAY_LEN(fields), &body,
                               &exchange->err);
    if (st == ST_OK)
        st = read_lines(body.values[0].json, lines, &n, &exchange->err);
    if (st != ST_OK) {
        body_clear(&body);
        return api_fail(exchange, st, &exchange->err, false);
    }
    st = begin(co, api, exchange, &id, &lease, &answered);
    if (st == ST_OK && !answered) {
        queue_log(api->queues, &call, id.queue, &lease, lines, n, NULL, NULL);
        st = reply_kept(co, exchange, &call);
    }
    body_clear(&body);
    return st;
}

/* ---- :ack and :fail ---- */

static void
write_outcome(const struct lease_finish *finish, struct buf *dst)
{
    buf_addf(dst, "\"id\":\"%.*s.%.*s\",\"state\":\"%s\"",
             STR_ARG(finish->id.queue), STR_ARG(finish->id.local),
             job_state_name(finish->state));
    if (finish->state == JOB_RETRYING)
        buf_addf(dst, ",\"retry_in_ms\":%lld", (long long)finish->retry_in_ms);
}

static enum status
finish_one(struct co *co, struct api *api, struct http_exchange *exchange,
           struct lease_finish *finish)
{
    struct buf body;

    enum status st =
        lease_finish(co, api->queues, api->pull, finish, 1, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, true);
    if (finish->refused)
        return refuse_kind(exchange, finish->kind);
    buf_init(&body, 1024);
    buf_add_char(&body, '{');
    write_outcome(finish, &body);
    buf_add_char(&body, '}');
    return response_take(&exchange->res, 200, "application/json", &body);
}

/* The body is the result, as it is. */
static enum status
read_result(struct co *co, struct http_exchange *exchange, struct str *ret,
            bool *ret_refused)
{
    struct pit_request *req = &exchange->req;
    struct jsontext value;

    *ret_refused = true;
    exchange_body_max(exchange, JOB_RESULT_MAX);
    enum status st = exchange_read_all(co, exchange);
    if (st != ST_OK)
        return st;
    *ret = str_trim(str_from(req->body, req->body_len));
    if (ret->n > 0 && jsontext_check(*ret, &value, &exchange->err) != ST_OK)
        return api_fail(exchange, ST_INVALID, &exchange->err, false);
    *ret_refused = false;
    return ST_OK;
}

enum status
leases_ack(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct lease_finish finish = {.outcome = OUTCOME_SUCCEEDED, .delay_ms = -1};
    bool refused = false;

    enum status st =
        read_lease(exchange, &finish.id, &finish.token, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    st = read_result(co, exchange, &finish.result, &refused);
    if (st != ST_OK || refused)
        return st;
    return finish_one(co, arg, exchange, &finish);
}

enum { MESSAGE, RETRY, DELAY, OUTCOME_FIELDS };
static const struct body_field outcome_fields[OUTCOME_FIELDS] = {
    [MESSAGE] = {"message", BODY_JSON, 0, 0},
    [RETRY] = {"retry", BODY_BOOL, 0, 0},
    [DELAY] = {"delay", BODY_DURATION, 0, JOB_DELAY_MAX_MS},
};

/* Borrows from the values. @at: the pointer before the field's own. */
static enum status
read_failure(const struct body_value *values, const char *at,
             struct lease_finish *finish, struct error *err)
{
    const json_t *message = values[MESSAGE].json;
    char pointer[64];

    if (values[MESSAGE].given && !json_is_string(message) &&
        !json_is_null(message)) {
        snprintf(pointer, sizeof pointer, "%s/message", at);
        return error_set_at(err, pointer, "must be a text");
    }
    finish->message =
        str_from(json_string_value(message), json_string_length(message));
    finish->final =
        values[RETRY].given && !values[RETRY].null && !values[RETRY].number;
    finish->delay_ms =
        values[DELAY].given && !values[DELAY].null ? values[DELAY].number : -1;
    return ST_OK;
}

enum status
leases_fail(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct lease_finish finish = {.outcome = OUTCOME_FAILED};
    struct body body = {0};

    enum status st =
        read_lease(exchange, &finish.id, &finish.token, &exchange->err);
    if (st == ST_OK)
        st = body_read(co, exchange, outcome_fields, OUTCOME_FIELDS, &body,
                       &exchange->err);
    if (st == ST_OK)
        st = read_failure(body.values, "", &finish, &exchange->err);
    if (st == ST_OK)
        st = finish_one(co, arg, exchange, &finish);
    else
        st = api_fail(exchange, st, &exchange->err, false);
    body_clear(&body);
    return st;
}

/* ---- POST /v1/leases:finish ---- */

struct finishing {
    struct lease_finish *items;
    struct buf *results; /* the texts of results, one each */
    size_t n;
};

static void
finishing_clear(struct finishing *f)
{
    for (size_t i = 0; i < f->n && f->results; i++)
        buf_clear(&f->results[i]);
    free(f->results);
    free(f->items);
}

static bool
read_outcome(const char *word, enum outcome *ret)
{
    static const struct {
        const char *word;
        enum outcome outcome;
    } words[] = {
        {"succeeded", OUTCOME_SUCCEEDED},
        {"failed", OUTCOME_FAILED},
        {"released", OUTCOME_RELEASED},
        {"cancelled", OUTCOME_CANCELLED},
    };

    for (size_t i = 0; i < ARRAY_LEN(words) && word; i++)
        if (str_eq_c(str_c(word), words[i].word)) {
            *ret = words[i].outcome;
            return true;
        }
    return false;
}

static int
add_text(const char *bytes, size_t n, void *arg)
{
    struct buf *dst = arg;

    buf_add(dst, bytes, n);
    return dst->failed ? -1 : 0;
}

/* One of the array. Borrows from the body. */
static enum status
read_item(json_t *object, size_t i, struct finishing *f, struct error *err)
{
    enum { ID = OUTCOME_FIELDS, TOKEN, OUTCOME, RESULT, ITEM_FIELDS };
    static const struct body_field fields[ITEM_FIELDS] = {
        [MESSAGE] = {"message", BODY_JSON, 0, 0},
        [RETRY] = {"retry", BODY_BOOL, 0, 0},
        [DELAY] = {"delay", BODY_DURATION, 0, JOB_DELAY_MAX_MS},
        [ID] = {"id", BODY_TEXT, 1, ID_JOB_MAX},
        [TOKEN] = {"token", BODY_TEXT, 1, QUEUE_TOKEN_MAX},
        [OUTCOME] = {"outcome", BODY_TEXT, 1, 16},
        [RESULT] = {"result", BODY_JSON, 0, 0},
    };
    struct body_value values[ITEM_FIELDS] = {{0}};
    struct lease_finish *item = &f->items[i];
    char at[32], pointer[48];

    snprintf(at, sizeof at, "/finishes/%zu", i);
    enum status st = body_fields(object, at, fields, ITEM_FIELDS, values, err);
    if (st == ST_OK)
        st = read_failure(values, at, item, err);
    if (st != ST_OK)
        return st;
    item->token = values[TOKEN].text;
    snprintf(pointer, sizeof pointer, "%s/id", at);
    if (id_split(values[ID].text, &item->id, NULL) != ST_OK)
        return error_set_at(err, pointer, "must be a job's id");
    snprintf(pointer, sizeof pointer, "%s/token", at);
    if (item->token.n == 0)
        return error_set_at(err, pointer, "must be the lease's token");
    snprintf(pointer, sizeof pointer, "%s/outcome", at);
    if (!read_outcome(values[OUTCOME].text.p, &item->outcome))
        return error_set_at(err, pointer,
                            "must be \"succeeded\", \"failed\", \"released\" "
                            "or \"cancelled\"");
    buf_init(&f->results[i], JOB_RESULT_MAX);
    if (item->outcome == OUTCOME_SUCCEEDED && values[RESULT].json &&
        !values[RESULT].null)
        (void)json_dump_callback(values[RESULT].json, add_text, &f->results[i],
                                 JSON_COMPACT | JSON_ENCODE_ANY);
    snprintf(pointer, sizeof pointer, "%s/result", at);
    if (f->results[i].failed)
        return error_set_at(err, pointer, "has more than %d bytes",
                            JOB_RESULT_MAX);
    item->result = buf_str(&f->results[i]);
    return ST_OK;
}

static enum status
read_finishes(const json_t *list, struct finishing *f, struct error *err)
{
    size_t n = json_array_size(list);
    enum status st = ST_OK;

    if (n == 0 || n > LEASE_FINISHES_MAX)
        return error_set_at(err, "/finishes",
                            "must be an array of 1 to %d finishes",
                            LEASE_FINISHES_MAX);
    f->items = calloc(n, sizeof *f->items);
    f->results = calloc(n, sizeof *f->results);
    if (!f->items || !f->results)
        return error_set(err, ST_LIMIT, "out of memory");
    for (; f->n < n && st == ST_OK; f->n++)
        st = read_item(json_array_get(list, f->n), f->n, f, err);
    return st;
}

static void
write_results(const struct finishing *f, struct buf *dst)
{
    buf_add_c(dst, "{\"results\":[");
    for (size_t i = 0; i < f->n; i++) {
        const struct lease_finish *item = &f->items[i];
        buf_addf(dst, "%s{\"status\":%d,", i ? "," : "",
                 item->refused ? problem_type(item->kind)->http : 200);
        if (item->refused) {
            struct problem problem = {.kind = item->kind};
            buf_addf(dst, "\"id\":\"%.*s.%.*s\",\"problem\":",
                     STR_ARG(item->id.queue), STR_ARG(item->id.local));
            problem_write(&problem, dst);
        } else {
            write_outcome(item, dst);
        }
        buf_add_char(dst, '}');
    }
    buf_add_c(dst, "]}");
}

enum status
leases_finish(struct co *co, struct http_exchange *exchange, void *arg)
{
    static const struct body_field fields[] = {{"finishes", BODY_JSON, 0, 0}};
    struct api *api = arg;
    struct finishing finishing = {0};
    struct body body = {0};
    struct error *err = &exchange->err;
    struct buf answer;

    buf_init(&answer, RESPONSE_BODY_MAX);
    enum status st = api_query(&exchange->req, STR_NULL, err);
    if (st == ST_OK)
        st = body_read_max(co, exchange, FINISHES_BODY_MAX, fields,
                           ARRAY_LEN(fields), &body, err);
    if (st == ST_OK)
        st = read_finishes(body.values[0].json, &finishing, err);
    if (st == ST_OK)
        st = api_store(api, err);
    if (st != ST_OK)
        goto out;
    st = lease_finish(co, api->queues, api->pull, finishing.items, finishing.n,
                      err);
    if (st != ST_CANCELLED)
        st = ST_OK; /* each says for itself how it went */
    if (st == ST_OK)
        write_results(&finishing, &answer);
out:
    finishing_clear(&finishing);
    body_clear(&body);
    if (st == ST_OK)
        return response_take(&exchange->res, 200, "application/json", &answer);
    buf_clear(&answer);
    return api_fail(exchange, st, err, false);
}

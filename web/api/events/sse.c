/* GET /v1/events and /v1/jobs/{id}/events: server-sent events.
 *
 * Changes are heard by api/events/changes.h. The stream of all carries counters
 * and changes of state, no payloads. The stream of one job looks at the job
 * each time that something of it changed, and says what is new: so it can
 * begin, and begin again, at any moment. */
#include "api/api.h"
#include "api/events/changes.h"
#include "app/document/job_json.h"
#include "base/clock.h"
#include "base/jsontext.h"
#include "http/exchange_sse.h"
#include "queue/queue_log.h"

#include <stdlib.h>

enum {
    COUNTERS_MS = 1000, /* between two of one queue at the least */
    SILENCE_MS = 15000,
    LOOK_MS = 5000, /* a job, even if nothing was heard */
    LOG_PAGE = 100,
    EVENT_MAX = 4 * 1024 * 1024,
    QUEUES_MAX = 1000,
};

static enum status
send_event(struct co *co, struct http_exchange *exchange, const char *name,
           struct str id, const struct buf *data)
{
    const struct exchange_sse_event event = {
        .id = id, .event = str_c(name), .data = buf_str(data)};

    return exchange_sse_send(co, exchange, &event);
}

/* A stream is over: nothing more can be said about why. */
static enum status
end_stream(enum status st)
{
    return st == ST_CANCELLED ? st : ST_OK;
}

/* ---- all ---- */

/* A code of a change in the words of the API; NULL for one that is no state. */
static const char *
state_of(struct str code)
{
    static const struct {
        const char *code;
        const char *name;
    } states[] = {
        {"N", "ready"},     {"N+", "scheduled"},  {"B", "blocked"},
        {"R", "running"},   {"W", "ready"},       {"W+", "retrying"},
        {"S", "succeeded"}, {"C", "cancelled"},   {"X", "expired"},
        {"D", "dead"},      {"Q", "quarantined"}, {"-", "deleted"},
    };

    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (str_eq_c(code, states[i].code))
            return states[i].name;
    return NULL;
}

struct all {
    struct api *api;
    struct http_exchange *exchange;
    struct changes_listener listener;
    struct str queue;                           /* empty: all */
    char changed[QUEUES_MAX][ID_QUEUE_MAX + 1]; /* since their counters */
    size_t changed_len;
    int64_t counted_ms;
    struct buf data;
};

static void
note_changed(struct all *all, struct str queue)
{
    for (size_t i = 0; i < all->changed_len; i++)
        if (str_eq_c(queue, all->changed[i]))
            return;
    if (all->changed_len < QUEUES_MAX)
        str_copy_to(queue, all->changed[all->changed_len++],
                    sizeof all->changed[0]);
}

static void
write_counters(const struct queue_counts *counts, struct buf *dst)
{
    buf_addf(dst, "{\"queue\":\"%s\",\"paused\":%s,\"counts\":{", counts->name,
             counts->paused ? "true" : "false");
    bool first = true;
    for (int i = 0; i < JOB_STATES; i++) {
        if (i == JOB_CANCELLED || i == JOB_EXPIRED) /* kept with succeeded */
            continue;
        buf_addf(dst, "%s\"%s\":%lld", first ? "" : ",",
                 job_state_name((enum job_state)i),
                 (long long)counts->count[i]);
        first = false;
    }
    buf_addf(dst, "},\"enqueued\":%lld,\"succeeded\":%lld,\"failed\":%lld}",
             (long long)counts->enqueued, (long long)counts->succeeded,
             (long long)counts->failed);
}

static enum status
send_counters(struct co *co, struct all *all)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < all->changed_len && st == ST_OK; i++) {
        struct queue_counts counts;
        st = queue_counts(co, all->api->queues, str_c(all->changed[i]), &counts,
                          NULL);
        if (st != ST_OK)
            break;
        buf_reset(&all->data);
        write_counters(&counts, &all->data);
        st = send_event(co, all->exchange, "counters", STR_NULL, &all->data);
    }
    all->changed_len = 0;
    all->counted_ms = loop_now_ms(all->api->loop);
    return st;
}

/* Only the last change of a stream's entry has its id: who comes back behind it
 * has had all of them. */
static enum status
send_changes(struct co *co, struct all *all, struct str lines)
{
    struct state_change change, next;
    struct str rest = lines;
    enum status st = ST_OK;
    bool more = changes_read(&rest, &next);

    while (more && st == ST_OK) {
        change = next;
        more = changes_read(&rest, &next);
        bool last = !more || !str_eq(next.id, change.id) ||
                    !str_eq(next.queue, change.queue);
        const char *state = state_of(change.code);
        if (!state)
            continue;
        note_changed(all, change.queue);
        buf_reset(&all->data);
        buf_addf(&all->data,
                 "{\"queue\":\"%.*s\",\"id\":\"%.*s.%.*s\",\"state\":\"%s\","
                 "\"attempt\":%d}",
                 STR_ARG(change.queue), STR_ARG(change.queue),
                 STR_ARG(change.local), state, change.attempt);
        st = send_event(co, all->exchange, "state", last ? change.id : STR_NULL,
                        &all->data);
    }
    return st;
}

/* What was missed: of one queue exactly, of all from that millisecond on. */
static enum status
send_missed(struct co *co, struct all *all, struct str last_id)
{
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    struct str ms = str_cut(last_id, '-', &(struct str){0});
    struct buf lines;
    size_t n = 0;

    buf_init(&lines, 16 * CHANGES_PENDING_MAX);
    enum status st = ST_OK;
    if (all->queue.n > 0)
        st = changes_history(co, all->api->changes, all->queue, last_id, &lines,
                             NULL);
    else
        st = queue_names(co, all->api->queues, &names, &n, NULL);
    for (size_t i = 0; i < n && st == ST_OK; i++)
        st = changes_history(co, all->api->changes, str_c(names[i]), ms, &lines,
                             NULL);
    free(names);
    if (st == ST_OK && !lines.failed)
        st = send_changes(co, all, buf_str(&lines));
    buf_clear(&lines);
    return st;
}

/* The counters of everything, so that a client knows where it stands. */
static enum status
send_first(struct co *co, struct all *all)
{
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    size_t n = 0;

    if (all->queue.n > 0) {
        note_changed(all, all->queue);
        return send_counters(co, all);
    }
    enum status st = queue_names(co, all->api->queues, &names, &n, NULL);
    for (size_t i = 0; i < n; i++)
        note_changed(all, str_c(names[i]));
    free(names);
    return st == ST_OK ? send_counters(co, all) : st;
}

static enum status
follow_all(struct co *co, struct all *all)
{
    struct buf lines;
    enum status st = ST_OK;

    buf_init(&lines, CHANGES_PENDING_MAX);
    while (st == ST_OK) {
        int64_t left_ms =
            all->counted_ms + COUNTERS_MS - loop_now_ms(all->api->loop);
        if (all->changed_len > 0 && left_ms <= 0) {
            st = send_counters(co, all);
            continue;
        }
        buf_reset(&lines);
        st = changes_next(co, &all->listener,
                          all->changed_len > 0 ? left_ms : SILENCE_MS, &lines);
        if (st == ST_UNAVAILABLE) /* Redis was away: where do we stand? */
            st = send_first(co, all);
        if (st == ST_OK)
            st = send_changes(co, all, buf_str(&lines));
        else if (st == ST_TIMEOUT && co_cancelled(co) == ST_OK)
            st = ST_OK;
    }
    buf_clear(&lines);
    return st;
}

static enum status
stream_all(struct co *co, struct all *all)
{
    struct str last_id = exchange_sse_last_id(all->exchange);

    enum status st = exchange_sse_start(co, all->exchange);
    if (st == ST_OK)
        st = send_first(co, all);
    if (st == ST_OK && last_id.n > 0)
        st = send_missed(co, all, last_id);
    if (st == ST_OK)
        st = follow_all(co, all);
    return end_stream(st);
}

static enum status
read_queue(const struct pit_request *req, struct str *ret, struct error *err)
{
    static const struct str known[] = {{"queue", 5}};

    enum status st = api_queries(req, known, ARRAY_LEN(known), err);
    *ret = request_query(req, STR("queue"));
    if (st == ST_OK && ret->p && !id_queue_valid(*ret))
        return error_set(err, ST_INVALID,
                         "queue must be 1 to 64 of A-Z a-z 0-9 _ . : -");
    return st;
}

enum status
sse_all(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct api_waiter waiter = {.co = co};
    struct str queue;

    list_init(&waiter.link);
    enum status st = read_queue(&exchange->req, &queue, &exchange->err);
    if (st == ST_OK)
        st = api_hold(co, api, &waiter, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    struct all *all = calloc(1, sizeof *all);
    if (!all) {
        api_unhold(&waiter);
        return error_set(&exchange->err, ST_LIMIT, "out of memory");
    }
    all->api = api;
    all->exchange = exchange;
    all->queue = queue;
    buf_init(&all->data, 4096);
    st = changes_join(co, api->changes, queue, STR_NULL, &all->listener,
                      &exchange->err);
    if (st == ST_OK) {
        st = stream_all(co, all);
        changes_leave(&all->listener);
    } else {
        st = api_fail(exchange, st, &exchange->err, false);
    }
    api_unhold(&waiter);
    buf_clear(&all->data);
    free(all);
    return st;
}

/* ---- one job ---- */

struct one {
    struct api *api;
    struct http_exchange *exchange;
    struct changes_listener listener;
    struct job_id id;
    char cursor[QUEUE_LOG_CURSOR_MAX]; /* of the last log line; "" */
    bool told_before;                  /* the client has had the end */
    /* what was said last */
    enum job_state state;
    int attempt;
    bool said;
    uint64_t progress;
    struct buf data;
};

static enum status
send_state(struct co *co, struct one *one, const struct job_view *view)
{
    const struct job_history *history = &view->history;

    if (one->said && one->state == view->state &&
        one->attempt == history->attempt)
        return ST_OK;
    one->said = true;
    one->state = view->state;
    one->attempt = history->attempt;
    buf_reset(&one->data);
    buf_addf(&one->data,
             "{\"state\":\"%s\",\"attempt\":%d,\"retries\":%d,\"crashes\":%d}",
             job_state_name(view->state), history->attempt, history->retries,
             history->crashes);
    return send_event(co, one->exchange, "state", STR_NULL, &one->data);
}

static enum status
send_progress(struct co *co, struct one *one, const struct job_view *view)
{
    uint64_t hash = str_hash(view->progress);
    struct jsontext value;

    if (view->progress.n == 0 || hash == one->progress ||
        jsontext_check(view->progress, &value, NULL) != ST_OK)
        return ST_OK;
    one->progress = hash;
    buf_reset(&one->data);
    buf_add_str(&one->data, view->progress);
    return send_event(co, one->exchange, "progress", STR_NULL, &one->data);
}

static enum status
send_line(struct co *co, struct one *one, const struct queue_log_line *line)
{
    buf_reset(&one->data);
    buf_add_c(&one->data, "{\"at\":");
    buf_add_json_time(&one->data, line->at_ms);
    buf_addf(&one->data, ",\"attempt\":%d,\"text\":", line->attempt);
    buf_add_json_string(&one->data, line->text);
    buf_add_char(&one->data, '}');
    str_copy_to(str_c(line->cursor), one->cursor, sizeof one->cursor);
    return send_event(co, one->exchange, "log", str_c(one->cursor), &one->data);
}

static enum status
send_log(struct co *co, struct one *one)
{
    bool more = true;
    enum status st = ST_OK;

    while (more && st == ST_OK) {
        struct queue_log_page page = {0};
        st = queue_log_read(co, one->api->queues, one->id, str_c(one->cursor),
                            LOG_PAGE, &page, NULL);
        for (size_t i = 0; i < page.len && st == ST_OK; i++)
            st = send_line(co, one, &page.lines[i]);
        more = page.more;
        queue_log_page_clear(&page);
    }
    return st;
}

static void
add_json(struct buf *dst, struct str text)
{
    struct jsontext value;

    if (text.n > 0 && jsontext_check(text, &value, NULL) == ST_OK)
        buf_add_str(dst, text);
    else
        buf_add_c(dst, "null");
}

/* Its id lets us tell a browser that comes back that there is no more. */
static enum status
send_end(struct co *co, struct one *one, const struct job_view *view)
{
    char id[QUEUE_LOG_CURSOR_MAX + 8];

    snprintf(id, sizeof id, "%s:end", one->cursor[0] ? one->cursor : "0-0");
    buf_reset(&one->data);
    buf_addf(&one->data,
             "{\"state\":\"%s\",\"result\":", job_state_name(view->state));
    add_json(&one->data, view->result);
    buf_add_c(&one->data, ",\"error\":");
    job_json_write_error(view, &one->data);
    buf_add_char(&one->data, '}');
    return send_event(co, one->exchange, "end", str_c(id), &one->data);
}

/* Says what is new. *ret_over: it has ended. */
static enum status
look(struct co *co, struct one *one, bool *ret_over)
{
    struct job_view view;

    enum status st = queue_get(co, one->api->queues, one->id, &view, NULL);
    if (st == ST_OK)
        st = send_state(co, one, &view);
    if (st == ST_OK)
        st = send_progress(co, one, &view);
    if (st == ST_OK)
        st = send_log(co, one);
    if (st == ST_OK && job_state_ended(view.state)) {
        *ret_over = true;
        st = send_end(co, one, &view);
    }
    queue_view_clear(&view);
    return st;
}

static enum status
follow_job(struct co *co, struct one *one)
{
    struct buf lines;
    bool over = false;

    buf_init(&lines, CHANGES_PENDING_MAX);
    enum status st = exchange_sse_start(co, one->exchange);
    while (st == ST_OK && !over) {
        st = look(co, one, &over);
        if (st != ST_OK || over)
            break;
        buf_reset(&lines); /* what it was does not matter: we look */
        st = changes_next(co, &one->listener, LOOK_MS, &lines);
        if (st == ST_UNAVAILABLE ||
            (st == ST_TIMEOUT && co_cancelled(co) == ST_OK))
            st = ST_OK;
    }
    buf_clear(&lines);
    return end_stream(st);
}

static void
read_last_id(struct one *one)
{
    struct str end;
    struct str cursor = str_cut(exchange_sse_last_id(one->exchange), ':', &end);

    one->told_before = str_eq_c(end, "end");
    if (queue_log_cursor_valid(cursor))
        str_copy_to(cursor, one->cursor, sizeof one->cursor);
}

/* It must be there, and not have been told to its end. */
static enum status
begin_job(struct co *co, struct one *one, bool *ret_over, struct error *err)
{
    struct job_view view;

    enum status st = api_query(&one->exchange->req, STR_NULL, err);
    if (st == ST_OK)
        st = id_split(str_c(pit_request_param(&one->exchange->req, "id")),
                      &one->id, err);
    if (st != ST_OK)
        return st;
    read_last_id(one);
    st = queue_get(co, one->api->queues, one->id, &view, err);
    *ret_over = st == ST_OK && one->told_before && job_state_ended(view.state);
    queue_view_clear(&view);
    return st;
}

enum status
sse_job(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct one one = {.api = arg, .exchange = exchange};
    struct api_waiter waiter = {.co = co};
    struct error *err = &exchange->err;
    bool over = false;

    list_init(&waiter.link);
    enum status st = begin_job(co, &one, &over, err);
    if (st == ST_OK && over) /* a browser then stops coming back */
        return response_empty(&exchange->res, 204);
    if (st == ST_OK)
        st = api_hold(co, one.api, &waiter, err);
    if (st == ST_OK)
        st = changes_join(co, one.api->changes, one.id.queue, one.id.local,
                          &one.listener, err);
    if (st == ST_OK) {
        buf_init(&one.data, EVENT_MAX);
        st = follow_job(co, &one);
        buf_clear(&one.data);
        changes_leave(&one.listener);
    } else {
        st = api_fail(exchange, st, err, false);
    }
    api_unhold(&waiter);
    return st;
}

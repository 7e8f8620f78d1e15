/* Flow report: the document of a flow has its jobs' names, ids and links; what
 * changes is in its hash and in the queues of its jobs. */
#include "app/document/flow_report.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsontext.h"
#include "base/log.h"
#include "queue/flow/outbox.h"
#include "queue/queue_control.h"

/* ---- loading ---- */

static const char *
text_of(const json_t *job, const char *name)
{
    const char *text = json_string_value(json_object_get(job, name));

    return text ? text : "";
}

static const json_t *
job_at(const struct flow_report *report, size_t i)
{
    return json_array_get(json_object_get(report->document, "jobs"), i);
}

static bool
id_at(const struct flow_report *report, size_t i, struct job_id *ret)
{
    return id_split(str_c(text_of(job_at(report, i), "id")), ret, NULL) ==
           ST_OK;
}

static enum status
read_document(struct flow_report *report, struct error *err)
{
    struct jsontext checked;

    if (jsontext_check(report->view.document, &checked, NULL) == ST_OK)
        report->document = json_loadb(report->view.document.p,
                                      report->view.document.n, 0, NULL);
    report->jobs = json_array_size(json_object_get(report->document, "jobs"));
    if (report->jobs == 0 || report->jobs > FLOW_JOBS_MAX)
        return error_set(err, ST_BUG, "the flow's document is damaged");
    report->states = calloc(report->jobs, 1);
    if (!report->states)
        return error_set(err, ST_LIMIT, "out of memory");
    return ST_OK;
}

/* Those that ended, by what the flow was told. */
static void
take_codes(struct flow_report *report)
{
    const redisReply *reply = report->view.call.reply;
    json_t *codes = json_object();

    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (reply->element[i]->type == REDIS_REPLY_STRING &&
            memchr(reply->element[i]->str, '.', reply->element[i]->len))
            json_object_set_new(codes, reply->element[i]->str,
                                json_string(reply->element[i + 1]->str));
    for (size_t i = 0; i < report->jobs; i++) {
        const char *code = text_of(codes, text_of(job_at(report, i), "id"));
        report->states[i] = code[0];
    }
    json_decref(codes);
}

/* Asks for those of one queue, from @first on, that are not known yet. */
static enum status
look(struct co *co, struct queues *queues, struct flow_report *report,
     size_t first, struct error *err)
{
    struct str locals[FLOW_LOOK_MAX];
    size_t which[FLOW_LOOK_MAX];
    char letters[FLOW_LOOK_MAX];
    struct job_id id, other;
    size_t n = 0;

    if (!id_at(report, first, &id)) {
        report->states[first] = '-';
        return ST_OK;
    }
    for (size_t i = first; i < report->jobs && n < FLOW_LOOK_MAX; i++)
        if (!report->states[i] && id_at(report, i, &other) &&
            str_eq(other.queue, id.queue)) {
            locals[n] = other.local;
            which[n++] = i;
        }
    enum status st = flow_look(co, queues, id.queue, locals, n, letters, err);
    for (size_t i = 0; i < n && st == ST_OK; i++)
        report->states[which[i]] = letters[i];
    return st;
}

static enum status
load(struct co *co, struct queues *queues, struct job_id id,
     struct flow_report *ret, struct error *err)
{
    *ret = (struct flow_report){0};
    enum status st = flow_get(co, queues, id, &ret->view, err);
    if (st == ST_OK)
        st = read_document(ret, err);
    if (st == ST_OK)
        take_codes(ret);
    for (size_t i = 0; i < ret->jobs && st == ST_OK; i++)
        if (!ret->states[i])
            st = look(co, queues, ret, i, err);
    return st;
}

/* What the jobs' ends say to the flow lies where the jobs are. */
static enum status
deliver_ends(struct co *co, struct queues *queues,
             const struct flow_report *report, struct error *err)
{
    struct job_id id, other;
    enum status st = ST_OK;

    for (size_t i = 0; i < report->jobs && st == ST_OK; i++) {
        bool seen = !id_at(report, i, &id);
        for (size_t j = 0; j < i && !seen; j++)
            seen = id_at(report, j, &other) && str_eq(other.queue, id.queue);
        if (!seen)
            st = outbox_deliver(co, queues, id.queue, NULL, err);
    }
    return st;
}

/* Ends those that should have expired: no worker may be there to meet them.
 * False: there was none, or it cannot be done now. */
static bool
expire(struct co *co, struct queues *queues, const struct flow_report *report)
{
    enum { EXPIRE_MAX = 256 }; /* a look; the others are said to be expired */
    struct job_id id;
    size_t n = 0;

    for (size_t i = 0; i < report->jobs && n < EXPIRE_MAX; i++)
        if (report->states[i] == 'O' && id_at(report, i, &id)) {
            if (queue_expire(co, queues, id, NULL) != ST_OK)
                return false;
            n++;
        }
    return n > 0;
}

enum status
flow_report_load(struct co *co, struct queues *queues, struct job_id id,
                 struct flow_report *ret, struct error *err)
{
    struct error why;
    enum status st = load(co, queues, id, ret, err);

    if (st != ST_OK || !expire(co, queues, ret))
        return st;
    /* What comes behind them hears of it now; a worker tells it otherwise. */
    if (deliver_ends(co, queues, ret, &why) != ST_OK)
        log_debug("flow %.*s.%.*s: %s", STR_ARG(id.queue), STR_ARG(id.local),
                  why.msg);
    flow_report_clear(ret);
    return load(co, queues, id, ret, err);
}

void
flow_report_clear(struct flow_report *report)
{
    json_decref(report->document);
    free(report->states);
    flow_view_clear(&report->view);
    *report = (struct flow_report){0};
}

/* ---- writing ---- */

static const struct {
    char letter;
    const char *name;
} states[] = {
    {'-', "pending"},     {'B', "blocked"},   {'d', "scheduled"},
    {'N', "ready"},       {'W', "ready"},     {'R', "running"},
    {'w', "retrying"},    {'S', "succeeded"}, {'D', "dead"},
    {'C', "cancelled"},   {'X', "expired"},   {'O', "expired"},
    {'Q', "quarantined"}, {'G', "gone"},
};

const char *
flow_report_job_state(char letter)
{
    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (states[i].letter == letter)
            return states[i].name;
    return "pending";
}

const char *
flow_report_state(const struct flow_view *view)
{
    if (view->left > 0)
        return "running";
    if (!view->failed)
        return "succeeded";
    return view->cancelled ? "cancelled" : "failed";
}

static void
add_time(struct buf *dst, const char *name, int64_t ms)
{
    buf_addf(dst, ",\"%s\":", name);
    buf_add_json_time(dst, ms);
}

/* Queue and local id were checked when they came in. */
static void
write_head(const struct flow_view *view, struct buf *dst)
{
    struct job_id id = view->id;

    buf_addf(dst, "{\"id\":\"%.*s.%.*s\",\"name\":", STR_ARG(id.queue),
             STR_ARG(id.local));
    if (view->title.n > 0)
        buf_add_json_string(dst, view->title);
    else
        buf_add_c(dst, "null");
    buf_addf(dst,
             ",\"queue\":\"%.*s\",\"state\":\"%s\",\"jobs_total\":%lld,"
             "\"jobs_left\":%lld",
             STR_ARG(id.queue), flow_report_state(view), (long long)view->jobs,
             (long long)view->left);
    add_time(dst, "created_at", view->created_ms);
    add_time(dst, "ended_at", view->ended_ms);
}

static void
write_links(const struct flow_view *view, struct buf *dst)
{
    buf_addf(dst, ",\"links\":{\"self\":\"/v1/flows/%.*s.%.*s\"}}",
             STR_ARG(view->id.queue), STR_ARG(view->id.local));
}

static void
write_counts(const struct flow_report *report, struct buf *dst)
{
    bool first = true;

    buf_add_c(dst, ",\"counts\":{");
    for (size_t s = 0; s < ARRAY_LEN(states); s++) {
        size_t n = 0;
        if (strchr("WO", states[s].letter)) /* counted with N, X */
            continue;
        for (size_t i = 0; i < report->jobs; i++)
            n += strcmp(flow_report_job_state(report->states[i]),
                        states[s].name) == 0;
        buf_addf(dst, "%s\"%s\":%zu", first ? "" : ",", states[s].name, n);
        first = false;
    }
    buf_add_char(dst, '}');
}

static void
write_job(const json_t *job, char letter, struct buf *dst)
{
    const json_t *after = json_object_get(job, "after");

    buf_add_c(dst, "{\"name\":");
    buf_add_json_string(dst, str_c(text_of(job, "name")));
    buf_add_c(dst, ",\"id\":");
    buf_add_json_string(dst, str_c(text_of(job, "id")));
    buf_add_c(dst, ",\"task\":");
    buf_add_json_string(dst, str_c(text_of(job, "task")));
    buf_addf(dst, ",\"state\":\"%s\",\"on_failure\":\"%s\",\"after\":[",
             flow_report_job_state(letter),
             json_is_true(json_object_get(job, "go_on")) ? "go_on" : "stop");
    for (size_t i = 0; i < json_array_size(after); i++) {
        const char *name = json_string_value(json_array_get(after, i));
        if (i > 0)
            buf_add_char(dst, ',');
        buf_add_json_string(dst, str_c(name));
    }
    buf_add_c(dst, "]}");
}

void
flow_report_write(const struct flow_report *report, struct buf *dst)
{
    write_head(&report->view, dst);
    write_counts(report, dst);
    buf_add_c(dst, ",\"jobs\":[");
    for (size_t i = 0; i < report->jobs; i++) {
        if (i > 0)
            buf_add_char(dst, ',');
        write_job(job_at(report, i), report->states[i], dst);
    }
    buf_add_char(dst, ']');
    write_links(&report->view, dst);
}

void
flow_report_write_line(const struct flow_view *view, struct buf *dst)
{
    write_head(view, dst);
    write_links(view, dst);
}

/* ---- cancelling ---- */

static enum status
cancel_job(struct co *co, struct queues *queues, struct job_id id,
           struct str reason, size_t *running, struct error *err)
{
    struct control control = {
        .verb = CONTROL_CANCEL,
        .id = id,
        .grace_ms = CONTROL_GRACE_STANDARD_MS,
        .reason = reason,
    };

    enum status st = queue_control_await(co, queues, &control, err);
    if (st == ST_NOT_FOUND || st == ST_GONE)
        return ST_OK; /* it ended meanwhile */
    if (st == ST_OK &&
        (control.outcome == CONTROL_ASKED ||
         (control.outcome == CONTROL_SAME && control.state == JOB_RUNNING)))
        (*running)++;
    return st;
}

/* Those that wait for others, or all that have not ended. */
static enum status
cancel_some(struct co *co, struct queues *queues, struct flow_report *report,
            bool blocked, size_t *running, struct error *err)
{
    enum status st = ST_OK;

    for (size_t i = 0; i < report->jobs && st == ST_OK; i++) {
        char letter = report->states[i];
        struct job_id id;
        if ((letter == 'B') != blocked || strchr("SCXDG", letter) ||
            !id_at(report, i, &id))
            continue;
        st = cancel_job(co, queues, id, STR("its flow was cancelled"), running,
                        err);
    }
    return st;
}

enum status
flow_report_cancel(struct co *co, struct queues *queues, struct job_id id,
                   size_t *ret_running, struct error *err)
{
    struct flow_report report = {0};
    size_t running = 0;

    enum status st = flow_get(co, queues, id, &report.view, err);
    bool ended = st == ST_OK && report.view.left == 0;
    flow_view_clear(&report.view);
    if (st == ST_OK && ended)
        st = error_set(err, ST_CONFLICT, "the flow has ended");
    if (st == ST_OK)
        st = flow_mark_cancelled(co, queues, id, err);
    /* A job that is on its way still would come later. */
    if (st == ST_OK)
        st = outbox_deliver(co, queues, id.queue, NULL, err);
    if (st == ST_OK)
        st = flow_report_load(co, queues, id, &report, err);
    if (st == ST_OK)
        st = cancel_some(co, queues, &report, true, &running, err);
    if (st == ST_OK)
        st = cancel_some(co, queues, &report, false, &running, err);
    if (st == ST_OK)
        st = deliver_ends(co, queues, &report, err);
    flow_report_clear(&report);
    if (st == ST_OK)
        *ret_running = running;
    return st;
}

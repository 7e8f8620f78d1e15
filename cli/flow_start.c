/* Flow start: what POST /v1/flows does, without HTTP around it. From the moment
 * that the flow is accepted on its id is printed, whatever comes after. */
#include "flow_start.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/document/flow_document.h"
#include "app/document/flow_report.h"
#include "async/co/co.h"
#include "base/clock.h"
#include "flow_output.h"
#include "input.h"
#include "queue/durability.h"
#include "queue/flow/outbox.h"
#include "queue/schema.h"

enum {
    DOCUMENT_MAX = FLOW_BYTES_MAX,
    ARENA_MAX = 2 * FLOW_BYTES_MAX,
    LOOK_FIRST_MS = 50, /* between two looks for its end, doubled each time */
    LOOK_LAST_MS = 1000,
};

/* All that is made for one start. */
struct start {
    struct co *co;
    struct session *session;
    const struct flow_start *request;
    struct arena arena;
    struct task_catalog catalog;
    struct durability *durability;
    struct flow flow;
    struct flow_document document;
    char id[ID_JOB_MAX + 1];
};

enum status
flow_start_open(const char *path, struct flow_start *ret, struct error *err)
{
    struct input input;

    buf_init(&ret->text, DOCUMENT_MAX);
    enum status st = input_open(path, &input, err);
    if (st != ST_OK)
        return st;
    ret->name = input.name;
    st = input_read_all(&input, &ret->text, err);
    input_close(&input);
    return st;
}

void
flow_start_clear(struct flow_start *request)
{
    buf_clear(&request->text);
}

/* Whatever the document is refused for is bad use; the rest is Redis'. */
static enum status
fail(struct start *s, enum status st, const struct error *why)
{
    struct error *err = &s->session->err;

    if (st == ST_INVALID || st == ST_UNKNOWN_TASK || st == ST_TOO_LARGE)
        return error_set(err, ST_INVALID, "%.60s: %s%s%s", s->request->name,
                         why->pointer, why->pointer[0] ? ": " : "", why->msg);
    if (st == ST_UNCLEAR)
        return error_set(err, st,
                         "nobody knows whether %s was accepted (%.80s): pit "
                         "flows show tells",
                         s->id, why->msg);
    if (st == ST_QUEUE_FULL)
        return error_set(err, st,
                         "the flow's home, its queue, takes no jobs at the "
                         "moment: it is closed");
    *err = *why;
    return st;
}

static enum status
read_document(struct start *s)
{
    struct error why = {.msg = ""};

    enum status st = flow_document_read(
        s->co, buf_str(&s->request->text), &s->catalog, &s->arena,
        (struct job_origin){.request_id = STR_NULL}, &s->document, &s->flow,
        &why);
    if (st != ST_OK)
        return fail(s, st, &why);
    flow_id(&s->flow, s->id);
    return ST_OK;
}

static enum status
accept_flow(struct start *s)
{
    struct queues *queues = NULL;
    struct error why = {.msg = ""};
    bool existed = false;

    s->durability = durability_new(s->session->loop, s->session->queues,
                                   s->session->options->redis);
    enum status st =
        durability_begin(s->co, s->durability, &s->document.durability,
                         s->session->queues, &queues, &why);
    if (st == ST_OK)
        st = flow_accept(s->co, queues, &s->flow, &existed, &why);
    return st == ST_OK ? ST_OK : fail(s, st, &why);
}

/* Its jobs into their queues. Where that fails a worker does it: no failure of
 * ours. */
static void
deliver(struct start *s, struct job_id id)
{
    struct error why;

    if (outbox_deliver(s->co, s->session->queues, id.queue, NULL, &why) !=
        ST_OK)
        fprintf(stderr, "pit flows: a worker delivers its jobs: %s\n", why.msg);
}

static enum status
reach(struct start *s)
{
    struct error why = {.msg = ""};

    if (s->document.durability.kind == DURABILITY_UNSAID)
        return ST_OK;
    enum status st =
        durability_reach(s->co, s->durability, &s->document.durability, &why);
    return st == ST_OK ? ST_OK
                       : error_set(&s->session->err, st,
                                   "%s was accepted, but: %s", s->id, why.msg);
}

/* Until it has ended, or the time is up. The flow hears of its jobs' ends by
 * messages, not by a channel, so it is looked at. */
static enum status
wait_for_end(struct start *s, struct job_id id)
{
    int64_t until_ms = clock_mono_ms() + s->request->wait_ms;
    int64_t pause_ms = LOOK_FIRST_MS;
    bool ended = false;

    for (;;) {
        struct flow_view view;
        enum status st =
            flow_get(s->co, s->session->queues, id, &view, &s->session->err);
        ended = st == ST_OK && view.ended_ms > 0;
        flow_view_clear(&view);
        int64_t left_ms = until_ms - clock_mono_ms();
        if (st != ST_OK || ended || left_ms <= 0)
            return st;
        st = co_sleep(s->co, pause_ms < left_ms ? pause_ms : left_ms);
        if (st != ST_OK)
            return st;
        pause_ms = 2 * pause_ms < LOOK_LAST_MS ? 2 * pause_ms : LOOK_LAST_MS;
    }
}

/* The whole: as HTTP answers for a machine, and for whoever waited. */
static enum status
print_report(struct start *s, struct job_id id)
{
    struct flow_report report = {0};
    bool json = s->session->options->json;

    enum status st = flow_report_load(s->co, s->session->queues, id, &report,
                                      &s->session->err);
    if (st == ST_OK) {
        flow_output_print(&report, json);
        if (s->request->wait_ms > 0 &&
            !str_eq_c(str_c(flow_report_state(&report.view)), "succeeded"))
            s->session->exit = COMMAND_FAILED;
        if (s->request->wait_ms > 0 && report.view.ended_ms == 0)
            (void)command_fail(s->session->command, COMMAND_FAILED,
                               "%s has not ended yet", s->id);
    }
    flow_report_clear(&report);
    return st;
}

static enum status
finish(struct start *s)
{
    bool json = s->session->options->json;
    struct job_id id;

    enum status st = id_split(str_c(s->id), &id, &s->session->err);
    if (st != ST_OK)
        return st;
    if (!json) {
        printf("%s\n", s->id);
        (void)fflush(stdout); /* command_main() tells if it failed */
    }
    deliver(s, id);
    st = reach(s);
    if (st == ST_OK && s->request->wait_ms > 0)
        st = wait_for_end(s, id);
    if (st == ST_OK && (json || s->request->wait_ms > 0))
        st = print_report(s, id);
    return st;
}

enum status
flow_start_run(struct co *co, struct session *session)
{
    struct start s = {.co = co, .session = session, .request = session->arg};

    arena_init(&s.arena, NULL, 0, ARENA_MAX);
    task_catalog_init(&s.catalog, session->queues, NULL);
    flow_init(&s.flow, NULL);
    enum status st = schema_claim(co, session->queues, &session->err);
    if (st == ST_OK)
        st = read_document(&s);
    if (st == ST_OK)
        st = accept_flow(&s);
    if (st == ST_OK)
        st = finish(&s);
    durability_free(s.durability);
    flow_clear(&s.flow);
    flow_document_clear(&s.document);
    task_catalog_clear(&s.catalog);
    arena_clear(&s.arena);
    return st;
}

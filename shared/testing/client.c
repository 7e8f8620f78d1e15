/* Test client: a loop, the application's site, and a clock that jumps.
 *
 * A request is a coroutine like in pit-web, on the same site.c; only what
 * stands around it is made of memory. The loop never waits by itself: as long
 * as something is ready it turns; when threads are at work it waits for them;
 * and when nothing but a timer is left the clock is moved to it. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "app/http/problem.h"
#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "async/loop.h"
#include "base/clock.h"
#include "base/log.h"
#include "client_private.h"
#include "queue/changes.h"

enum {
    TEST_MEMORY_MAX = 1 << 30,
    FIELDS_MAX = 64,
    REQUEST_MEMORY = 4096,
    THREAD_WAIT_MS = 20,
    VIEW_TIMEOUT_MS = 30 * 1000,
    BODY_MAX = 1024 * 1024,
    LOGGED_MAX = 64 * 1024 * 1024,
    /* Ten times the front's: real time, and under Valgrind it runs away. */
    STALL_WARN_MS = 1000,
};
/* More time than any test means to let pass. */
static const int64_t patience_us = INT64_C(366) * 24 * 3600 * 1000000;

struct client_send {
    struct pit_test_answer answer; /* first: what the test sees */
    struct list link;
    struct pit_test *test;
    struct pit_request req;
    struct pit_response res;
    struct error err;
    struct arena arena;
    char first[REQUEST_MEMORY];
    struct buf streamed;
    struct co *co; /* NULL: it has ended */
    bool ended;
    bool hung_up;
    bool events;
    int64_t began_ms;
    const char *body;
    size_t body_len;
};

static struct pit_test *logging; /* whose the log is; the newest */

void
client_give_up(const char *fmt, ...)
{
    va_list ap;

    fputs("pit_test: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

void *
client_alloc(struct pit_test *test, size_t n)
{
    pthread_mutex_lock(&test->arena_lock);
    void *p = arena_alloc(&test->arena, n);
    pthread_mutex_unlock(&test->arena_lock);

    if (!p)
        client_give_up("no memory for %zu bytes", n);
    return p;
}

const char *
client_copy_n(struct pit_test *test, const void *p, size_t n)
{
    char *copy = client_alloc(test, n + 1);

    if (n > 0)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

const char *
client_copy(struct pit_test *test, const char *text)
{
    return client_copy_n(test, text ? text : "", text ? strlen(text) : 0);
}

struct pit_test *
client_newest(void)
{
    return logging;
}

/* ---- time ---- */

static const char key;

struct pit_test *
client_of(const struct co *co)
{
    return loop_attached(co_loop(co), &key);
}

/* One step of whatever can happen next; with @until_us the clock goes no
 * further. False: nothing can happen before that. */
static bool
step(struct pit_test *test, int64_t until_us)
{
    int64_t due_us = 0;

    loop_turn(test->loop, 0);
    switch (loop_idle(test->loop, &due_us)) {
    case LOOP_BUSY:
        return true;
    case LOOP_THREADS:
        loop_turn(test->loop, THREAD_WAIT_MS);
        return true;
    case LOOP_TIMER:
        if (due_us > until_us)
            return false;
        clock_skip(due_us - clock_mono_us());
        return true;
    case LOOP_NOTHING:
        break;
    }
    return false;
}

void
client_pump(struct pit_test *test, const bool *done)
{
    int64_t until_us = clock_mono_us() + patience_us;

    while (!*done)
        if (!step(test, until_us) && !*done) {
            co_dump(test->loop, stderr);
            client_give_up("nothing can happen any more, but what the test "
                           "waits for has not: see the coroutines above");
        }
}

int64_t
pit_test_now_ms(const struct pit_test *test)
{
    return clock_mono_ms() - test->began_ms;
}

void
pit_test_advance(struct pit_test *test, int64_t ms)
{
    int64_t until_us = clock_mono_us() + ms * 1000;

    while (step(test, until_us))
        ;
    clock_skip(until_us - clock_mono_us());
    (void)step(test, until_us);
}

bool
pit_test_drain(struct pit_test *test, int64_t ms)
{
    int64_t until_us = clock_mono_us() + ms * 1000;

    while (co_detached(test->loop) > 0)
        if (!step(test, until_us) && co_detached(test->loop) > 0) {
            clock_skip(until_us - clock_mono_us());
            return false;
        }
    return true;
}

struct run {
    co_fn *fn;
    void *arg;
    bool ended;
    enum status status;
};

static void
run_ended(void *arg, enum status status)
{
    struct run *run = arg;

    run->ended = true;
    run->status = status;
}

static enum status
run_fn(struct co *co, void *arg)
{
    struct run *run = arg;

    return run->fn(co, run->arg);
}

enum status
client_run(struct pit_test *test, const char *name, co_fn *fn, void *arg)
{
    struct run run = {.fn = fn, .arg = arg};

    if (co_spawn(test->loop, name, run_fn, &run, run_ended) != ST_OK)
        client_give_up("too many coroutines");
    client_pump(test, &run.ended);
    return run.status;
}

/* ---- what stands around a request ---- */

static enum status
read_body(struct co *co, struct pit_request *req, int64_t max)
{
    struct client_send *send = LIST_ENTRY(req, struct client_send, req);

    (void)co;
    if (send->body_len > (uint64_t)max)
        return error_set(&send->err, ST_TOO_LARGE,
                         "the body is larger than this resource takes");
    req->body = send->body;
    req->body_len = send->body_len;
    return ST_OK;
}

/* The test sees what has come so far. */
static void
lend_stream(struct client_send *send)
{
    send->answer.body = send->streamed.p;
    send->answer.body_len = send->streamed.len;
}

static enum status
write_bytes(struct co *co, struct pit_response *res, struct str bytes)
{
    struct client_send *send = LIST_ENTRY(res, struct client_send, res);
    enum status st = co_cancelled(co);

    if (st != ST_OK)
        return st;
    if (res->status < 200)
        res->status = 200;
    res->sealed = true;
    buf_add_str(&send->streamed, bytes);
    buf_add_char(&send->streamed, '\0');
    if (send->streamed.failed)
        return ST_TOO_LARGE;
    send->streamed.len--;
    if (send->req.method != PIT_HEAD)
        lend_stream(send);
    return ST_OK;
}

static void
add_line(struct buf *dst, const char *name, const char *text)
{
    struct str rest = str_c(text);

    if (!text)
        return;
    do {
        struct str line = str_cut(rest, '\n', &rest);
        buf_addf(dst, "%s: %.*s\n", name, STR_ARG(line));
    } while (rest.p);
}

static enum status
send_event(struct co *co, struct pit_response *res,
           const struct pit_event *event)
{
    struct client_send *send = LIST_ENTRY(res, struct client_send, res);
    struct buf text;

    if (res->sealed && !send->events)
        return ST_INVALID;
    if ((event->id && strpbrk(event->id, "\r\n")) ||
        (event->event && strpbrk(event->event, "\r\n")) || event->retry_ms < 0)
        return ST_INVALID;
    send->events = true;
    if (!res->sealed &&
        response_set(res, STR("Content-Type"),
                     STR("text/event-stream; charset=utf-8")) != ST_OK)
        return ST_INVALID;
    buf_init(&text, RESPONSE_BODY_MAX);
    add_line(&text, "id", event->id);
    add_line(&text, "event", event->event);
    if (event->retry_ms > 0)
        buf_addf(&text, "retry: %lld\n", (long long)event->retry_ms);
    add_line(&text, "data", event->data);
    buf_add_char(&text, '\n');
    enum status st = write_bytes(co, res, buf_str(&text));
    buf_clear(&text);
    return st;
}

static const struct site_host host = {read_body, write_bytes, send_event};

/* ---- requests ---- */

static void
set_target(struct client_send *send, const char *target)
{
    struct str query, all = str_c(client_copy(send->test, target));

    if (all.n == 0 || all.p[0] != '/')
        client_give_up("a target begins with '/': \"%s\"",
                       target ? target : "");
    struct str path = str_cut(all, '?', &query);
    /* Two copies: each ends in NUL, as the front has it. */
    send->req.raw_path =
        str_from(client_copy_n(send->test, path.p, path.n), path.n);
    send->req.raw_query = query;
    if (query.p)
        send->req.raw_query.p = client_copy_n(send->test, query.p, query.n);
}

static void
add_field(struct client_send *send, struct request_field *fields,
          const char *name, size_t name_len, const char *value)
{
    if (send->req.fields_len == FIELDS_MAX)
        client_give_up("a request has at most %d headers", FIELDS_MAX);
    struct str trimmed = str_trim(str_c(value));
    fields[send->req.fields_len++] = (struct request_field){
        str_from(client_copy_n(send->test, name, name_len), name_len),
        str_from(client_copy_n(send->test, trimmed.p, trimmed.n), trimmed.n)};
}

static void
set_fields(struct client_send *send, const struct pit_test_request *request)
{
    struct request_field *fields =
        client_alloc(send->test, FIELDS_MAX * sizeof *fields);

    for (size_t i = 0; request->headers && request->headers[i]; i++) {
        const char *line = request->headers[i], *colon = strchr(line, ':');
        if (!colon || colon == line)
            client_give_up("a header is \"Name: value\", not \"%s\"", line);
        add_field(send, fields, line, (size_t)(colon - line), colon + 1);
    }
    if (request->content_type)
        add_field(send, fields, "Content-Type", 12, request->content_type);
    send->req.fields = fields;
    struct str id = request_field(&send->req, STR("x-request-id"));
    send->req.id_sent = id.n > 0 && id.n <= REQUEST_ID_MAX;
    if (send->req.id_sent)
        str_copy_to(id, send->req.id, sizeof send->req.id);
    else
        snprintf(send->req.id, sizeof send->req.id, "test-%llu",
                 (unsigned long long)send->test->requests);
    send->req.id_len = strlen(send->req.id);
    send->req.traceparent = request_field(&send->req, STR("traceparent"));
    send->req.host = request_field(&send->req, STR("host")).p;
    if (!send->req.host)
        send->req.host = "test";
}

static enum status
answer_request(struct co *co, void *arg)
{
    struct client_send *send = arg;
    struct pit_test *test = send->test;
    struct pit_request *req = &send->req;
    struct route_match match = {0};

    send->co = co;
    enum status st = request_decode(req, &send->err);
    if (st != ST_OK)
        return st;
    enum route_result result = route_match(test->routes, req, &match);
    if (result == ROUTE_FOUND)
        return site_run(co, match.target, req, &send->res);
    return site_other(co, test->site, result, match.allow, req, &send->res);
}

static void
make_answer(struct client_send *send, enum status status)
{
    struct pit_response *res = &send->res;
    struct pit_test_answer *answer = &send->answer;

    if (status != ST_OK && !res->sealed) {
        struct problem problem = problem_from_error(status, &send->err);
        problem.instance = send->req.raw_path.p;
        response_reset(res);
        if (problem_reply(res, &problem) != ST_OK)
            res->status = problem_type(problem.kind)->http;
    }
    bool streamed = res->sealed;
    struct str body = streamed ? buf_str(&send->streamed) : res->body;
    if (res->status < 200)
        res->status = 204;
    if (send->req.method == PIT_HEAD || res->status == 204 ||
        res->status == 304)
        body = STR_NULL;
    answer->body = client_copy_n(send->test, body.p, body.n);
    answer->body_len = body.n;
    answer->content_type =
        client_copy_n(send->test, res->content_type.p, res->content_type.n);
    answer->status = res->status;
    if (streamed && status != ST_OK)
        log_warn("the stream was cut off: %s", status_name(status));
}

static void
answer_ended(void *arg, enum status status)
{
    struct client_send *send = arg;

    send->co = NULL;
    send->ended = true;
    send->answer.took_ms = clock_mono_ms() - send->began_ms;
    if (!send->hung_up)
        make_answer(send, status);
    else
        send->answer.body =
            client_copy_n(send->test, send->answer.body, send->answer.body_len);
    buf_clear(&send->streamed);
}

const struct pit_test_answer *
pit_test_start(struct pit_test *test, const struct pit_test_request *request)
{
    struct client_send *send = client_alloc(test, sizeof *send);

    memset(send, 0, sizeof *send);
    send->test = test;
    send->answer.body = send->answer.content_type = "";
    send->began_ms = clock_mono_ms();
    test->requests++;
    list_append(&test->sends, &send->link);
    arena_init(&send->arena, send->first, sizeof send->first,
               RESPONSE_BODY_MAX + (size_t)APP_BODY_MAX);
    buf_init(&send->streamed, RESPONSE_BODY_MAX);
    request_init(&send->req, &send->arena);
    response_init(&send->res, &send->arena);
    send->req.method = request->method ? request->method : PIT_GET;
    send->req.version_minor = 1;
    send->req.peer = "192.0.2.1"; /* RFC 5737: for documentation */
    send->req.err = &send->err;
    send->req.site_host = &host;
    send->res.site_host = &host;
    send->body_len = request->body && request->body_len == 0
                         ? strlen(request->body)
                         : request->body_len;
    send->body = client_copy_n(test, request->body, send->body_len);
    set_target(send, request->target);
    set_fields(send, request);
    if (co_spawn(test->loop, "request", answer_request, send, answer_ended) !=
        ST_OK)
        answer_ended(send, ST_LIMIT);
    return &send->answer;
}

static struct client_send *
send_of(const struct pit_test_answer *answer)
{
    /* The test's view of it is const, the record is ours. */
    return LIST_ENTRY((uintptr_t)answer, struct client_send, answer);
}

void
pit_test_wait(struct pit_test *test, const struct pit_test_answer *answer)
{
    client_pump(test, &send_of(answer)->ended);
}

void
pit_test_hang_up(struct pit_test *test, const struct pit_test_answer *answer)
{
    struct client_send *send = send_of(answer);

    if (send->ended)
        return;
    send->hung_up = true;
    co_cancel(send->co, ST_CANCELLED);
    client_pump(test, &send->ended);
}

const struct pit_test_answer *
pit_test_send(struct pit_test *test, const struct pit_test_request *request)
{
    const struct pit_test_answer *answer = pit_test_start(test, request);

    pit_test_wait(test, answer);
    return answer;
}

const struct pit_test_answer *
pit_test_get(struct pit_test *test, const char *target)
{
    return pit_test_send(test, &(struct pit_test_request){.target = target});
}

const struct pit_test_answer *
pit_test_post(struct pit_test *test, const char *target,
              const char *content_type, const char *body)
{
    return pit_test_send(
        test, &(struct pit_test_request){.method = PIT_POST,
                                         .target = target,
                                         .content_type = content_type,
                                         .body = body});
}

const char *
pit_test_header(const struct pit_test_answer *answer, const char *name)
{
    struct client_send *send = send_of(answer);

    if (strcasecmp(name, "X-Request-Id") == 0)
        return send->req.id;
    return pit_response_get(&send->res, name);
}

/* ---- life ---- */

static void
keep_line(enum log_level level, const char *message)
{
    (void)level;
    if (!logging)
        return;
    buf_add_c(&logging->logged, message);
    buf_add_char(&logging->logged, '\n');
}

const char *
pit_test_logged(const struct pit_test *test)
{
    struct buf *logged = (struct buf *)(uintptr_t)&test->logged;

    buf_add_char(logged, '\0');
    logged->len--;
    return logged->p;
}

static void
add_routes(struct pit_test *test)
{
    struct error err;

    test->routes = route_table_new();
    for (size_t i = 0; i < test->site->views_len; i++) {
        const struct site_view *view = &test->site->views[i];
        if (route_add(test->routes, view->table->method, view->table->route,
                      view, &err) != ST_OK)
            client_give_up("%s", err.msg);
    }
}

struct pit_test *
pit_test_new(const struct pit_app *table)
{
    static const struct outside_script script = {
        .fetch = scripts_fetch,
        .fetch_blocking = scripts_fetch_blocking,
        .mail = scripts_mail,
        .redis = scripts_redis,
        .find_task = jobs_find_task,
        .enqueue = jobs_enqueue,
        .accept = jobs_accept,
        .look = jobs_look,
        .wait = jobs_wait_end,
        .logs = jobs_follow_logs,
        .names = jobs_follow_names,
        .counts = jobs_follow_counts,
        .history = jobs_follow_history,
    };
    const struct site_defaults defaults = {VIEW_TIMEOUT_MS, BODY_MAX};
    struct pit_test *test = xcalloc(1, sizeof *test);
    struct error err;

    arena_init(&test->arena, NULL, 0, TEST_MEMORY_MAX);
    pthread_mutex_init(&test->arena_lock, NULL);
    buf_init(&test->logged, LOGGED_MAX);
    list_init(&test->sends);
    scripts_init(test);
    jobs_init(test);
    if (app_init(&test->app, table, &err) != ST_OK ||
        site_new(&test->app, &defaults, &test->site, &err) != ST_OK)
        client_give_up("%s", err.msg);
    add_routes(test);
    test->loop =
        loop_new(&(struct loop_options){.stall_warn_ms = STALL_WARN_MS});
    test->mail_server.from = "app@example.org";
    test->outside.mail = &test->mail_server;
    test->outside.script = &script;
    outside_attach(test->loop, &test->outside);
    test->changes = changes_new(test->loop, NULL, NULL);
    queue_public_attach_changes(test->loop, test->changes);
    loop_attach(test->loop, &key, test);
    test->began_ms = clock_mono_ms();
    logging = test;
    log_divert(keep_line);
    outside_thread_script_set(&script);
    return test;
}

void
pit_test_free(struct pit_test *test)
{
    if (!test)
        return;
    LIST_FOREACH (link, &test->sends)
        pit_test_hang_up(test,
                         &LIST_ENTRY(link, struct client_send, link)->answer);
    jobs_stop(test);
    co_detached_cancel(test->loop);
    while (co_count(test->loop) > 0)
        if (!step(test, INT64_MAX) && co_count(test->loop) > 0)
            client_give_up("a coroutine was cancelled and does not end");
    changes_free(test->changes);
    loop_free(test->loop);
    LIST_FOREACH (link, &test->sends) {
        struct client_send *send = LIST_ENTRY(link, struct client_send, link);
        response_clear(&send->res);
        arena_clear(&send->arena);
    }
    jobs_clear(test);
    route_table_free(test->routes);
    site_free(test->site);
    app_clear(&test->app);
    if (logging == test) {
        logging = NULL;
        log_divert(NULL);
        outside_thread_script_set(NULL);
    }
    buf_clear(&test->logged);
    arena_clear(&test->arena);
    free(test);
}

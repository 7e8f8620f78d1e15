/* site.c - the middleware tells of itself in the log and in headers, the views
 * in what they answer and in site_seen: so each program of tests sees all of a
 * request, whichever part of it is its own. */
#include "harness/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pit/flow.h"
#include "pit/log.h"

static char folder[64]; /* of the files that are served */
enum pit_status site_seen;

/* ---- views ---- */

static enum pit_status
hello(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)co;
    pit_log_info("view");
    return pit_reply_text(res, 200, "hello %s",
                          (const char *)pit_request_get(req, "user"));
}

static enum pit_status
fails(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)co;
    (void)req;
    (void)pit_response_header(res, "X-Half-Made", "yes");
    (void)pit_reply_text(res, 200, "half made");
    return PIT_GONE;
}

static enum pit_status
blocks(struct pit_request *req, struct pit_response *res)
{
    const struct timespec moment = {0, 30 * 1000 * 1000};

    nanosleep(&moment, NULL);
    return pit_reply_text(res, 200, "blocked %s", pit_request_path(req));
}

static enum pit_status
sleeps(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)req;
    site_seen = pit_sleep(co, 3599 * 1000);
    return site_seen != PIT_OK ? site_seen
                               : pit_reply_text(res, 200, "an hour");
}

static enum pit_status
sleeps_two(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)req;
    site_seen = pit_sleep(co, 2000);
    return site_seen != PIT_OK ? site_seen
                               : pit_reply_text(res, 200, "two seconds");
}

static enum pit_status
params(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    const char *rest = pit_request_param(req, "rest");

    (void)co;
    return pit_reply_text(res, 200, "%s|%lld|%s", pit_request_route(req),
                          (long long)pit_request_param_int(req, "id"),
                          rest ? rest : "-");
}

static enum pit_status
query(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    const char *second = pit_request_query_nth(req, "tag", 1);
    int64_t page = 0;

    (void)co;
    enum pit_status st = pit_request_query_int(req, "page", 1, -3, 100, &page);
    if (st != PIT_OK)
        return st;
    return pit_reply_text(res, 200, "%lld %s", (long long)page,
                          second ? second : "-");
}

static enum pit_status
json(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    const char *name = "";
    int age = 0;

    (void)co;
    enum pit_status st =
        pit_request_unpack(req, "{s:s, s:i}", "name", &name, "age", &age);
    if (st != PIT_OK)
        return st;
    if (age < 0)
        return pit_reply_invalid(res, "/age", "an age is not negative");
    if (age > 200)
        return pit_request_fail(req, PIT_INVALID, "/age", "%d is too old", age);
    if (age == 0)
        return pit_request_fail(req, PIT_CONFLICT, NULL, "not born yet");
    (void)pit_response_headerf(res, "X-Born", "%d", 2026 - age);
    return pit_reply_json(res, 201, "{s:s, s:i}", "name", name, "age", age);
}

static enum pit_status
form(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    const char *name = pit_request_form(req, "name");
    const struct pit_part *file = pit_request_part(req, "file", 0);

    (void)co;
    enum pit_status st = pit_request_form_parse(req);
    if (st != PIT_OK)
        return st;
    return pit_reply_text(res, 200, "%s|%s|%s|%zu", name ? name : "-",
                          file && file->filename ? file->filename : "-",
                          file ? file->content_type : "-",
                          file ? file->len : 0);
}

static enum pit_status
cookie(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    const char *had = pit_request_cookie(req, "session");
    enum pit_status st = pit_response_cookie(
        res, &(struct pit_cookie){
                 .name = "session", .value = "new", .max_age_s = 60});

    (void)co;
    if (st == PIT_OK)
        st = pit_response_cookie(res, &(struct pit_cookie){.name = "other"});
    return st != PIT_OK ? st : pit_reply_text(res, 200, "%s", had ? had : "-");
}

static enum pit_status
moved(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)co;
    (void)req;
    return pit_reply_redirect(res, 303, "/hello");
}

static enum pit_status
streams(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    enum pit_status st = PIT_OK;

    (void)req;
    for (int i = 1; i <= 3 && st == PIT_OK; i++) {
        st = pit_stream_printf(co, res, "%d\n", i);
        if (st == PIT_OK)
            st = pit_sleep(co, 1000);
    }
    return st;
}

static enum pit_status
events(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    const char *last = pit_sse_last_id(req);

    return pit_sse_send(co, res,
                        &(struct pit_event){.id = "7",
                                            .event = "tick",
                                            .data = last ? last : "none\ntwo"});
}

static enum pit_status
file(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    return pit_reply_file(co, req, res, folder, pit_request_param(req, "name"));
}

static enum pit_status
upstream(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    struct pit_fetch quote PIT_FETCH = {.url = "https://example.org/quote?a=b"};

    (void)req;
    enum pit_status st = pit_fetch(co, &quote);
    if (st != PIT_OK)
        return pit_reply_problem(res, st, "%s", quote.error);
    const char *header = pit_fetch_header(&quote, "x-mood");
    return pit_reply_text(res, quote.code, "%s %s", quote.content,
                          header ? header : "-");
}

static enum pit_status
mails(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    struct pit_mail mail = {.to = {pit_request_query(req, "to")},
                            .subject = "Hello",
                            .text = "Hello.\n"};

    enum pit_status st = pit_mail(co, &mail);
    if (st != PIT_OK)
        return pit_reply_problem(res, st, "%s", mail.error);
    return pit_reply_empty(res, 204);
}

static enum pit_status
asks_redis(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    struct pit_redis reply PIT_REDIS = {0};

    enum pit_status st = pit_redis(co, &reply, "GET", "shop:token");
    if (st != PIT_OK)
        return pit_reply_problem(res, st, "%s", reply.error);
    (void)req;
    return pit_reply_text(res, 200, "%s",
                          reply.value.type == PIT_REDIS_NIL ? "nil"
                                                            : reply.value.text);
}

static enum pit_status
enqueues(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    struct pit_ticket ticket;

    (void)req;
    enum pit_status st =
        pit_enqueue(co, "add", pit_args("{s:i, s:i}", "a", 2, "b", 3),
                    &(struct pit_enqueue){.delay_ms = 5000, .ticket = &ticket});
    if (st != PIT_OK)
        return pit_reply_problem(res, st, "%s", ticket.error);
    return pit_reply_json(res, 202, "{s:s}", "id", ticket.id);
}

/* Mistakes of the application, and nobody who would take the words. */
static enum pit_status
enqueues_badly(struct pit_co *co, struct pit_request *req,
               struct pit_response *res)
{
    (void)req;
    (void)res;
    return pit_enqueue(co, "add", NULL, &(struct pit_enqueue){.id = "a b"});
}

static enum pit_status
starts_nothing(struct pit_co *co, struct pit_request *req,
               struct pit_response *res)
{
    const struct pit_flow_job jobs[] = {{"no such"}};

    (void)req;
    (void)res;
    return pit_chain(co, jobs, 1, NULL, NULL);
}

static enum pit_status
packs_badly(struct pit_co *co, struct pit_request *req,
            struct pit_response *res)
{
    (void)co;
    (void)req;
    return pit_reply_json(res, 200, "{s:s}", "text", "\xff");
}

static enum pit_status
later(struct pit_co *co, void *arg)
{
    (void)arg;
    pit_log_info("begun");
    enum pit_status st = pit_sleep(co, 5000);
    pit_log_info("done %d", st);
    return st;
}

static enum pit_status
detaches(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)req;
    enum pit_status st = pit_detach(co, "later", later, NULL);
    return st != PIT_OK ? st : pit_reply_text(res, 200, "at once");
}

static enum pit_status
slow(struct pit_co *co, void *arg)
{
    return pit_sleep(co, *(int *)arg);
}

static enum pit_status
any(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    int slow_ms = 5000, fast_ms = 1000;
    size_t index = 9;

    (void)req;
    enum pit_status st =
        pit_await_any(co, &index, slow, &slow_ms, slow, &fast_ms);
    return st != PIT_OK ? st : pit_reply_text(res, 200, "%zu", index);
}

/* ---- middleware ---- */

static enum pit_status
outer(struct pit_co *co, struct pit_request *req, struct pit_response *res,
      struct pit_next *next)
{
    pit_log_info("outer in");
    (void)pit_response_header(res, "X-Outer", "1");
    if (pit_request_query(req, "early"))
        return pit_reply_text(res, 200, "early");
    enum pit_status st = pit_next(co, next, req, res);
    char status[16];
    snprintf(status, sizeof status, "%d", pit_response_status(res));
    (void)pit_response_header(res, "X-Seen", status);
    pit_log_info("outer out");
    return st;
}

static enum pit_status
before(struct pit_request *req, struct pit_response *res)
{
    pit_log_info("before");
    if (pit_request_query(req, "refuse"))
        return PIT_FORBIDDEN;
    if (pit_request_query(req, "instead"))
        return pit_reply_text(res, 203, "instead");
    return pit_request_set(req, "user", (void *)(uintptr_t) "ada");
}

static enum pit_status
after(struct pit_request *req, struct pit_response *res)
{
    (void)req;
    pit_log_info("after");
    return pit_response_header(res, "X-After", "1");
}

static enum pit_status
own(struct pit_co *co, struct pit_request *req, struct pit_response *res,
    struct pit_next *next)
{
    pit_log_info("own");
    enum pit_status st = pit_next(co, next, req, res);
    if (pit_request_query(req, "twice"))
        return pit_next(co, next, req, res);
    return st;
}

/* Takes 20 s before what is inside of it, and 5 s after. */
static enum pit_status
slow_layer(struct pit_co *co, struct pit_request *req, struct pit_response *res,
           struct pit_next *next)
{
    enum pit_status st = pit_sleep(co, 20000);

    if (st == PIT_OK)
        st = pit_next(co, next, req, res);
    enum pit_status after = pit_sleep(co, 5000);
    return st != PIT_OK ? st : after;
}

static enum pit_status
reads_body(struct pit_co *co, struct pit_request *req, struct pit_response *res,
           struct pit_next *next)
{
    size_t len = 0, before_len = 0;

    pit_request_body(req, &before_len);
    enum pit_status st = pit_request_read(co, req);
    pit_request_body(req, &len);
    pit_log_info("body %zu %zu", before_len, len);
    return st == PIT_OK ? pit_next(co, next, req, res) : st;
}

/* ---- tasks ---- */

static enum pit_status
add(struct pit_job *job)
{
    const json_t *args = pit_job_args(job);

    pit_job_log(job, "attempt %d", pit_job_attempt(job));
    if (!json_is_integer(json_object_get(args, "a")))
        return pit_job_fail(job, PIT_PERMANENT, "a is no number");
    return pit_job_result(
        job, "i",
        (int)json_integer_value(json_object_get(args, "a")) +
            (int)json_integer_value(json_object_get(args, "b")));
}

static enum pit_status
receipt(struct pit_co *co, struct pit_job *job)
{
    struct pit_mail mail = {.to = {"ada@example.org"},
                            .subject = "Receipt",
                            .text = "Paid.\n",
                            .message_id = pit_job_id(job)};

    enum pit_status st = pit_sleep(co, 30000);
    if (st == PIT_OK)
        st = pit_mail(co, &mail);
    return st == PIT_OK ? st : pit_job_fail(job, st, "%s", mail.error);
}

/* ---- the application ---- */

static const struct pit_app app = {
    PIT_APP("site"),
    .middleware =
        (const struct pit_middleware[]){
            {outer},
            {.before = before, .after = after, .only = "/hello"},
            {reads_body, .only = "/json"},
            {slow_layer, .only = "/layered"},
            {0}},
    .views =
        (const struct pit_view[]){
            {PIT_GET, "/hello", hello,
             .middleware = (const struct pit_middleware[]){{own}, {0}}},
            {PIT_GET, "/hello/fails", fails},
            {PIT_GET, "/fails", fails},
            {PIT_GET, "/sync/", .blocking = blocks},
            {PIT_GET, "/hour", sleeps, .timeout_ms = 3600 * 1000},
            {PIT_GET, "/late", sleeps},
            {PIT_GET, "/two", sleeps_two},
            {PIT_GET, "/layered/in-time", sleeps_two},
            {PIT_GET, "/layered/short", sleeps_two, .timeout_ms = 15000},
            {PIT_GET, "/layered/late", sleeps},
            {PIT_GET, "/orders/{id:int}", params},
            {PIT_GET, "/uuid/{id:uuid}", params},
            {PIT_GET, "/slug/{id:slug}", params},
            {PIT_GET, "/tree/{rest:path}", params},
            {PIT_GET, "/query", query},
            {PIT_POST, "/json", json, .body_max = 4096},
            {PIT_POST, "/form", form},
            {PIT_GET, "/cookie", cookie},
            {PIT_GET, "/moved", moved},
            {PIT_GET, "/stream", streams},
            {PIT_GET, "/events", events},
            {PIT_GET, "/file/{name:path}", file},
            {PIT_GET, "/upstream", upstream},
            {PIT_POST, "/mail", mails},
            {PIT_GET, "/redis", asks_redis},
            {PIT_POST, "/enqueue", enqueues},
            {PIT_POST, "/enqueue/badly", enqueues_badly},
            {PIT_POST, "/enqueue/nothing", starts_nothing},
            {PIT_GET, "/packs/badly", packs_badly},
            {PIT_GET, "/detach", detaches},
            {PIT_GET, "/any", any},
            {0}},
    .tasks =
        (const struct pit_task[]){
            {"add", add},
            {.name = "receipt", .async = receipt, .queue = "mail"},
            {0}},
    .statics =
        (const struct pit_static[]){
            {"/assets/", folder, .index = "index.html", .max_age_s = 60}, {0}},
};

/* ---- fixture ---- */

static void
put(const char *name, const char *text)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

int
site_set_up_all(void **state)
{
    char path[128];

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/pit-site-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    put("index.html", "<p>index");
    put("app.js", "0123456789");
    put("app.js.gz", "gz");
    put("plain.bin", "abc");
    put(".hidden", "secret");
    snprintf(path, sizeof path, "%s/link", folder);
    if (symlink("/etc/hostname", path) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/deep", folder);
    return mkdir(path, 0700);
}

int
site_tear_down_all(void **state)
{
    static const char *const names[] = {"index.html", "app.js",  "app.js.gz",
                                        "plain.bin",  ".hidden", "link"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/deep", folder);
    rmdir(path);
    return rmdir(folder);
}

int
site_set_up(void **state)
{
    *state = pit_test_new(&app);
    return 0;
}

int
site_tear_down(void **state)
{
    pit_test_free(*state);
    return 0;
}

void
site_expect(const struct pit_test_answer *answer, int status, const char *body)
{
    assert_string_equal(answer->body, body);
    assert_int_equal(answer->status, status);
}

void
site_expect_problem(const struct pit_test_answer *answer, int status,
                    const char *words)
{
    assert_string_equal(answer->content_type, "application/problem+json");
    assert_int_equal(answer->status, status);
    if (!strstr(answer->body, words))
        fail_msg("\"%s\" is not in %s", words, answer->body);
    if (!strstr(answer->body, "\"instance\":\"/"))
        fail_msg("no path of the request in %s", answer->body);
}

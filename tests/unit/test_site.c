/* What an application answers, through the test client: middleware in order,
 * sync views, forms, JSON, cookies, files, streams; and the client itself. */
#include "pit/test.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pit/file.h"
#include "pit/log.h"

/* ---- the application under test ---- */

static char folder[64];
static enum pit_status seen; /* what a view's await came back with */

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
    seen = pit_sleep(co, 3599 * 1000);
    return seen != PIT_OK ? seen : pit_reply_text(res, 200, "an hour");
}

static enum pit_status
sleeps_two(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)req;
    seen = pit_sleep(co, 2000);
    return seen != PIT_OK ? seen : pit_reply_text(res, 200, "two seconds");
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
flaky(struct pit_job *job)
{
    return pit_job_attempt(job) < 3 ? pit_job_fail(job, PIT_FAILED, "not yet")
                                    : PIT_OK;
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
            {PIT_GET, "/detach", detaches},
            {PIT_GET, "/any", any},
            {0}},
    .tasks =
        (const struct pit_task[]){
            {"add", add},
            {"flaky", flaky, .retries = 5},
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

static int
set_up_all(void **state)
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

static int
tear_down_all(void **state)
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

static int
set_up(void **state)
{
    *state = pit_test_new(&app);
    return 0;
}

static int
tear_down(void **state)
{
    pit_test_free(*state);
    return 0;
}

static void
expect(const struct pit_test_answer *answer, int status, const char *body)
{
    assert_string_equal(answer->body, body);
    assert_int_equal(answer->status, status);
}

/* A problem document with these words in it. */
static void
expect_problem(const struct pit_test_answer *answer, int status,
               const char *words)
{
    assert_string_equal(answer->content_type, "application/problem+json");
    assert_int_equal(answer->status, status);
    if (!strstr(answer->body, words))
        fail_msg("\"%s\" is not in %s", words, answer->body);
}

/* ---- middleware ---- */

static void
test_middleware_wraps_in_order(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/hello");

    expect(a, 200, "hello ada");
    assert_string_equal(pit_test_logged(*state), "outer in\nbefore\nown\nview\n"
                                                 "after\nouter out\n");
    assert_string_equal(pit_test_header(a, "x-outer"), "1");
    assert_string_equal(pit_test_header(a, "X-After"), "1");
    assert_string_equal(pit_test_header(a, "X-Seen"), "200");
}

static void
test_middleware_answers_early(void **state)
{
    expect(pit_test_get(*state, "/hello?early=1"), 200, "early");
    const struct pit_test_answer *a = pit_test_get(*state, "/hello?instead=1");
    expect(a, 203, "instead");
    assert_string_equal(pit_test_header(a, "X-After"), "1");
    assert_null(strstr(pit_test_logged(*state), "view"));
    a = pit_test_get(*state, "/hello?refuse=1");
    expect_problem(a, 403, "\"title\":\"This is not allowed\"");
    assert_string_equal(pit_test_header(a, "X-Seen"), "403");
    assert_string_equal(pit_test_header(a, "X-After"), "1");
}

static void
test_middleware_sees_failures(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/hello/fails");

    expect_problem(a, 410, "gone");
    assert_string_equal(pit_test_header(a, "X-Seen"), "410");
    assert_string_equal(pit_test_header(a, "X-Outer"), "1");
    assert_string_equal(pit_test_header(a, "X-After"), "1");
    assert_null(pit_test_header(a, "X-Half-Made"));
}

static void
test_middleware_sees_what_no_view_took(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/nowhere");

    expect_problem(a, 404, "nothing at this path");
    assert_string_equal(pit_test_header(a, "X-Seen"), "404");
    a = pit_test_send(*state, &(struct pit_test_request){.method = PIT_DELETE,
                                                         .target = "/two"});
    expect_problem(a, 405, "GET, HEAD, OPTIONS");
    assert_string_equal(pit_test_header(a, "Allow"), "GET, HEAD, OPTIONS");
    a = pit_test_send(*state, &(struct pit_test_request){.method = PIT_OPTIONS,
                                                         .target = "/json"});
    assert_int_equal(a->status, 204);
    assert_string_equal(pit_test_header(a, "Allow"), "POST, OPTIONS");
    assert_string_equal(pit_test_header(a, "X-Seen"), "204");
}

static void
test_next_is_once(void **state)
{
    expect_problem(pit_test_get(*state, "/hello?twice=1"), 500, "second time");
}

/* ---- views ---- */

static void
test_sync_views_leave_others_alone(void **state)
{
    const struct pit_test_answer *sync =
        pit_test_start(*state, &(struct pit_test_request){.target = "/sync/"});

    expect(pit_test_get(*state, "/query"), 200, "1 -");
    assert_int_equal(sync->status, 0);
    pit_test_wait(*state, sync);
    expect(sync, 200, "blocked /sync/");
}

static void
test_time_jumps(void **state)
{
    time_t began = time(NULL);
    const struct pit_test_answer *a = pit_test_get(*state, "/hour");

    expect(a, 200, "an hour");
    assert_true(a->took_ms >= 3599 * 1000 && a->took_ms < 3600 * 1000);
    assert_true(time(NULL) - began < 30);
    a = pit_test_get(*state, "/late");
    expect_problem(a, 504, "timeout");
    assert_int_equal(seen, PIT_TIMEOUT);
    assert_true(a->took_ms >= 30000 && a->took_ms < 31000);
}

/* The deadline is for all that the application does. */
static void
test_middleware_has_no_time_of_its_own(void **state)
{
    static const struct {
        const char *target;
        int status;
        int64_t took_ms;
    } rows[] = {
        {"/layered/in-time", 200, 27000},
        {"/layered/short", 504, 15000}, /* before it came to the view */
        {"/layered/late", 504, 30000},  /* within the view */
        {"/layered/nothing", 404, 25000},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct pit_test_answer *a = pit_test_get(*state, rows[i].target);
        assert_int_equal(a->status, rows[i].status);
        assert_true(a->took_ms >= rows[i].took_ms - 1 &&
                    a->took_ms < rows[i].took_ms + 1000);
    }
}

static void
test_many_at_once(void **state)
{
    const struct pit_test_answer *answers[100];
    int64_t began_ms = pit_test_now_ms(*state);

    for (int i = 0; i < 100; i++)
        answers[i] = pit_test_start(
            *state, &(struct pit_test_request){.target = "/two"});
    for (int i = 0; i < 100; i++) {
        pit_test_wait(*state, answers[i]);
        expect(answers[i], 200, "two seconds");
    }
    assert_true(pit_test_now_ms(*state) - began_ms < 2500);
}

static void
test_a_hang_up_cancels(void **state)
{
    const struct pit_test_answer *a =
        pit_test_start(*state, &(struct pit_test_request){.target = "/hour"});

    pit_test_hang_up(*state, a);
    assert_int_equal(seen, PIT_CANCELLED);
    assert_int_equal(a->status, 0);
    pit_test_hang_up(*state, a);
}

static void
test_path_parameters(void **state)
{
    expect(pit_test_get(*state, "/orders/42"), 200, "/orders/{id:int}|42|-");
    expect_problem(pit_test_get(*state, "/orders/x"), 404, "nothing");
    expect(pit_test_get(*state, "/tree/a/b%2Fc/"), 200,
           "/tree/{rest:path}|0|a/b/c/");
    expect_problem(pit_test_get(*state, "/tree/"), 404, "nothing");
    assert_int_equal(
        pit_test_get(*state, "/uuid/0196c2d1-5d6a-7e3c-8a4b-0123456789ab")
            ->status,
        200);
    expect_problem(pit_test_get(*state, "/uuid/0196c2d1"), 404, "nothing");
    static const char *const slugs[] = {"a", "Rub-7_b.txt", "a..b", "%61"};
    static const char *const others[] = {".a",  "a%20b", "%2e%2e",
                                         "a:b", "",      "%C3%BC"};
    char target[200];
    for (size_t i = 0; i < sizeof slugs / sizeof *slugs; i++) {
        snprintf(target, sizeof target, "/slug/%s", slugs[i]);
        assert_int_equal(pit_test_get(*state, target)->status, 200);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(target, sizeof target, "/slug/%s", others[i]);
        expect_problem(pit_test_get(*state, target), 404, "nothing");
    }
    for (int n = 64; n <= 65; n++) {
        snprintf(target, sizeof target, "/slug/%0*d", n, 7);
        assert_int_equal(pit_test_get(*state, target)->status,
                         n == 64 ? 200 : 404);
    }
    expect_problem(pit_test_get(*state, "/tree/a%"), 400, "percent-encoding");
}

static void
test_head_is_get_without_a_body(void **state)
{
    const struct pit_test_answer *a =
        pit_test_send(*state, &(struct pit_test_request){.method = PIT_HEAD,
                                                         .target = "/query"});

    expect(a, 200, "");
}

static void
test_queries(void **state)
{
    expect(pit_test_get(*state, "/query?page=7&tag=a&tag=b"), 200, "7 b");
    expect(pit_test_get(*state, "/query?page=-3"), 200, "-3 -");
    static const char *const bad[] = {"-4", "101", "x", "", "1.5", "+1", "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char target[64];
        snprintf(target, sizeof target, "/query?page=%s", bad[i]);
        expect_problem(pit_test_get(*state, target), 400,
                       "page must be a whole number within -3..100");
    }
}

static void
test_json(void **state)
{
    static const struct {
        const char *type, *body, *words;
    } rows[] = {
        {"application/json", "", "empty"},
        {"application/json", "{\"name\": \"Ada\"", "byte"},
        {"application/json", "{\"name\": 1, \"age\": 2}", "Expected string"},
        {"application/json", "{\"name\": \"A\"}", "age"},
        {"application/json", "{\"a\": 1, \"a\": 2}", "\"pointer\":\"/a\""},
        {"application/json", "{\"a\": {\"b\": 1, \"b\": 2}}", "uplicate"},
        {"application/json", "{\"a\": 1e999}", "byte"},
        {"text/plain", "{}", "Content-Type"},
        {"application/json", "{\"name\": \"A\", \"age\": -1}",
         "\"pointer\":\"/age\""},
        {"application/json", "{\"name\": \"A\", \"age\": 201}",
         "\"pointer\":\"/age\""},
        {"application/json", "{\"name\": \"A\", \"age\": 201}",
         "201 is too old"},
    };
    char deep[300];

    const struct pit_test_answer *a =
        pit_test_post(*state, "/json", "application/json; charset=utf-8",
                      "{\"name\": \"Ada\", \"age\": 36}");
    expect(a, 201, "{\"name\":\"Ada\",\"age\":36}");
    assert_string_equal(pit_test_header(a, "X-Born"), "1990");
    expect_problem(pit_test_post(*state, "/json", "application/json",
                                 "{\"name\": \"A\", \"age\": 0}"),
                   409, "not born yet");
    assert_non_null(strstr(pit_test_logged(*state), "body 0 26"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_problem(
            pit_test_post(*state, "/json", rows[i].type, rows[i].body), 400,
            rows[i].words);
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    expect_problem(pit_test_post(*state, "/json", "application/json", deep),
                   400, "64");
    char *large = calloc(1, 5000);
    memset(large, ' ', 4999);
    expect_problem(pit_test_post(*state, "/json", "application/json", large),
                   413, "larger");
    free(large);
}

static void
test_forms(void **state)
{
#define MULTIPART "multipart/form-data; boundary=\"x y\""
    static const struct {
        const char *type, *body, *want; /* "400": refused */
    } rows[] = {
        {"application/x-www-form-urlencoded",
         "name=Ada+L%C3%A9&b=", "Ada L\u00e9|-|-|0"},
        {"application/x-www-form-urlencoded", "", "-|-|-|0"},
        {"application/x-www-form-urlencoded", "name=%zz", "400"},
        {"application/json", "{}", "400"},
        {MULTIPART,
         "preamble\r\n--x y\r\nContent-Disposition: form-data; "
         "name=\"name\"\r\n"
         "\r\nAda\r\n--x y \r\ncontent-disposition: form-data; name=file; "
         "filename=\"C:\\a \\\"b\\\".txt\"\r\nContent-Type: image/png\r\n\r\n"
         "12\r\n--x\r\n\r\n--x y--\r\nafter",
         "Ada|C:\\a \"b\".txt|image/png|9"},
        {MULTIPART,
         "--x y\r\nContent-Disposition: form-data; name=\"file\"; "
         "filename=\"\"\r\n\r\n\r\n--x y--",
         "-||text/plain|0"},
        {MULTIPART,
         "--x y\r\nContent-Disposition: form-data; name=name\r\n\r\nhalf",
         "400"},
        {MULTIPART,
         "--x y\r\nContent-Disposition: form-data\r\n\r\n\r\n--x y--", "400"},
        {MULTIPART, "--x y\r\nno colon\r\n\r\n\r\n--x y--", "400"},
        {MULTIPART, "--x y--", "-|-|-|0"},
        {MULTIPART, "nothing", "400"},
        {MULTIPART, "", "400"},
        {"multipart/form-data", "--x--", "400"},
        {"multipart/form-data; boundary=", "--x--", "400"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct pit_test_answer *a =
            pit_test_post(*state, "/form", rows[i].type, rows[i].body);
        if (strcmp(rows[i].want, "400") == 0)
            assert_int_equal(a->status, 400);
        else
            expect(a, 200, rows[i].want);
    }
}

static void
test_a_form_holds_no_nul(void **state)
{
    const struct pit_test_answer *a = pit_test_send(
        *state, &(struct pit_test_request){
                    .method = PIT_POST,
                    .target = "/form",
                    .content_type = "application/x-www-form-urlencoded",
                    .body = "name=a\0b",
                    .body_len = 8});

    expect_problem(a, 400, "NUL");
}

static void
test_a_form_has_a_limit(void **state)
{
    char *body = calloc(1, (PIT_PARTS_MAX + 1) * 4 + 1);

    for (int i = 0; i < PIT_PARTS_MAX + 1; i++)
        memcpy(body + i * 4, "a=b&", 4);
    expect_problem(pit_test_post(*state, "/form",
                                 "application/x-www-form-urlencoded", body),
                   413, "256");
    free(body);
}

static void
test_cookies(void **state)
{
    const struct pit_test_answer *a = pit_test_send(
        *state, &(struct pit_test_request){
                    .target = "/cookie",
                    .headers = (const char *const[]){
                        "Cookie: a=b; session=\"old\"; session=older", NULL}});

    expect(a, 200, "old");
    assert_string_equal(
        pit_test_header(a, "set-cookie"),
        "session=new; Path=/; Max-Age=60; SameSite=Lax; HttpOnly");
    expect(pit_test_get(*state, "/cookie"), 200, "-");
}

static void
test_redirects_streams_events(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/moved");

    expect(a, 303, "");
    assert_string_equal(pit_test_header(a, "Location"), "/hello");
    a = pit_test_get(*state, "/stream");
    expect(a, 200, "1\n2\n3\n");
    assert_true(a->took_ms >= 3000);
    a = pit_test_get(*state, "/events");
    expect(a, 200, "id: 7\nevent: tick\ndata: none\ndata: two\n\n");
    assert_string_equal(a->content_type, "text/event-stream; charset=utf-8");
}

/* ---- files ---- */

static const struct pit_test_answer *
get_with(struct pit_test *test, const char *target, const char *header)
{
    return pit_test_send(
        test,
        &(struct pit_test_request){
            .target = target, .headers = (const char *const[]){header, NULL}});
}

static void
test_static_files(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/assets/");
    char header[128];

    expect(a, 200, "<p>index");
    assert_string_equal(a->content_type, "text/html; charset=utf-8");
    assert_string_equal(pit_test_header(a, "Cache-Control"),
                        "public, max-age=60");
    assert_string_equal(pit_test_header(a, "X-Content-Type-Options"),
                        "nosniff");
    assert_string_equal(pit_test_header(a, "X-Seen"), "200");
    a = get_with(*state, "/assets/app.js", "Accept-Encoding: br, gzip");
    expect(a, 200, "gz");
    assert_string_equal(pit_test_header(a, "Content-Encoding"), "gzip");
    assert_string_equal(pit_test_header(a, "Vary"), "Accept-Encoding");
    a = get_with(*state, "/assets/app.js", "Accept-Encoding: gzip;q=0");
    expect(a, 200, "0123456789");
    assert_string_equal(pit_test_header(a, "Vary"), "Accept-Encoding");
    snprintf(header, sizeof header, "If-None-Match: \"x\", W/%s",
             pit_test_header(a, "ETag"));
    a = get_with(*state, "/assets/app.js", header);
    expect(a, 304, "");
    assert_non_null(pit_test_header(a, "ETag"));
    snprintf(header, sizeof header, "If-Modified-Since: %s",
             pit_test_header(a, "Last-Modified"));
    expect(get_with(*state, "/assets/app.js", header), 304, "");
}

static void
test_ranges(void **state)
{
    static const struct {
        const char *range;
        int status;
        const char *body, *content_range;
    } rows[] = {
        {"bytes=2-4", 206, "234", "bytes 2-4/10"},
        {"bytes=7-", 206, "789", "bytes 7-9/10"},
        {"bytes=-3", 206, "789", "bytes 7-9/10"},
        {"bytes=8-99", 206, "89", "bytes 8-9/10"},
        {"bytes=-99", 206, "0123456789", "bytes 0-9/10"},
        {"bytes=10-", 416, "", "bytes */10"},
        {"bytes=-0", 416, "", "bytes */10"},
        {"bytes=5-2", 200, "0123456789", NULL},
        {"bytes=1-2,4-5", 200, "0123456789", NULL},
        {"bytes=-", 200, "0123456789", NULL},
        {"lines=1-2", 200, "0123456789", NULL},
    };
    char header[64];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(header, sizeof header, "Range: %s", rows[i].range);
        const struct pit_test_answer *a =
            get_with(*state, "/assets/app.js", header);
        expect(a, rows[i].status, rows[i].body);
        const char *got = pit_test_header(a, "Content-Range");
        if (rows[i].content_range)
            assert_string_equal(got, rows[i].content_range);
        else
            assert_null(got);
    }
}

static void
test_files_stay_in_their_folder(void **state)
{
    static const char *const hidden[] = {"/assets/.hidden",
                                         "/assets/../test_site.c",
                                         "/assets/%2e%2e/etc/hosts",
                                         "/assets/link",
                                         "/assets/deep",
                                         "/assets/deep/",
                                         "/assets//app.js",
                                         "/assets/nothing",
                                         "/assets/deep/..%2f.hidden"};
    static const char *const files[] = {"/file/link", "/file/../x",
                                        "/file/%2Fetc%2Fhosts", "/file/deep",
                                        "/file/nothing"};

    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        const struct pit_test_answer *a = pit_test_get(*state, hidden[i]);
        expect_problem(a, 404, "nothing at this path");
        assert_null(pit_test_header(a, "Cache-Control"));
    }
    expect(pit_test_get(*state, "/file/plain.bin"), 200, "abc");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        expect_problem(pit_test_get(*state, files[i]), 404, "no such file");
    const struct pit_test_answer *a =
        pit_test_post(*state, "/assets/app.js", "text/plain", "x");
    expect_problem(a, 405, "GET, HEAD, OPTIONS");
}

/* ---- the outside ---- */

static void
test_upstreams(void **state)
{
    expect_problem(pit_test_get(*state, "/upstream"), 503,
                   "no pit_test_upstream() for GET");
    pit_test_upstream(*state, "GET https://example.org/*",
                      &(struct pit_test_reply){.content = "Hm",
                                               .delay_ms = 2000,
                                               .headers = (const char *const[]){
                                                   "X-Mood: fine", NULL}});
    const struct pit_test_answer *a = pit_test_get(*state, "/upstream");
    expect(a, 200, "Hm fine");
    assert_true(a->took_ms >= 2000);
    pit_test_upstream(
        *state, "GET https://example.org/quote?a=b",
        &(struct pit_test_reply){.status = PIT_UNCLEAR, .times = 1});
    expect_problem(pit_test_get(*state, "/upstream"), 503, "outcome-unknown");
    expect(pit_test_get(*state, "/upstream"), 200, "Hm fine");
    pit_test_upstream(*state, "GET https://example.org/*",
                      &(struct pit_test_reply){.delay_ms = 60000});
    expect_problem(pit_test_get(*state, "/upstream"), 504, "timeout");
    assert_string_equal(pit_test_fetched(*state, 4)->url,
                        "https://example.org/quote?a=b");
    assert_null(pit_test_fetched(*state, 5));
}

static void
test_context_goes_along(void **state)
{
    static const char trace[] =
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    pit_test_upstream(*state, "GET https://example.org/*",
                      &(struct pit_test_reply){.content = "Hm"});
    pit_test_send(*state, &(struct pit_test_request){
                              .target = "/upstream",
                              .headers = (const char *const[]){
                                  trace, "X-Request-Id: abc", NULL}});
    const char *sent = pit_test_fetched(*state, 0)->headers;
    assert_non_null(strstr(sent, trace));
    assert_non_null(strstr(sent, "X-Request-Id: abc\n"));
}

static void
test_mail(void **state)
{
    static const char *const bad[] = {"ada",
                                      "a%0d%0ab@example.org",
                                      "%3ca@example.org%3e",
                                      "a@example.org,b@example.org",
                                      "a%20b@example.org",
                                      "a@",
                                      "a..b@example.org",
                                      "a@b@c"};
    char target[128];

    assert_int_equal(
        pit_test_post(*state, "/mail?to=ada@example.org", NULL, NULL)->status,
        204);
    const struct pit_test_mail *mail = pit_test_mailed(*state, 0);
    assert_string_equal(mail->to, "ada@example.org");
    assert_string_equal(mail->subject, "Hello");
    assert_string_equal(mail->from, "app@example.org");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(target, sizeof target, "/mail?to=%s", bad[i]);
        expect_problem(pit_test_post(*state, target, NULL, NULL), 400,
                       "address");
    }
    pit_test_mail_status(*state, PIT_UNAVAILABLE);
    expect_problem(
        pit_test_post(*state, "/mail?to=ada@example.org", NULL, NULL), 503,
        "mail server");
    assert_null(pit_test_mailed(*state, 1));
}

static void
test_redis(void **state)
{
    expect_problem(pit_test_get(*state, "/redis"), 503, "no pit_test_redis()");
    pit_test_redis(*state, "GET shop:token", NULL);
    expect(pit_test_get(*state, "/redis"), 200, "nil");
    pit_test_redis(*state, "GET shop:token", "secret");
    expect(pit_test_get(*state, "/redis"), 200, "secret");
    pit_test_redis_status(*state, PIT_UNCLEAR);
    expect_problem(pit_test_get(*state, "/redis"), 503, "outcome-unknown");
}

/* ---- jobs ---- */

static void
test_jobs(void **state)
{
    const struct pit_test_answer *a =
        pit_test_post(*state, "/enqueue", NULL, NULL);

    assert_int_equal(a->status, 202);
    const struct pit_test_job *job = pit_test_enqueued(*state, 0);
    assert_string_equal(job->task, "add");
    assert_string_equal(job->args, "{\"a\":2,\"b\":3}");
    assert_int_equal(job->delay_ms, 5000);
    assert_non_null(strstr(a->body, job->id));
    assert_int_equal(pit_test_run_jobs(*state), 1);
    assert_true(job->ended);
    assert_string_equal(job->result, "5");
    assert_string_equal(job->log, "attempt 1\n");
    assert_int_equal(pit_test_run_jobs(*state), 0);
    pit_test_enqueue_status(*state, PIT_QUEUE_FULL);
    assert_int_equal(pit_test_post(*state, "/enqueue", NULL, NULL)->status,
                     429);
    assert_null(pit_test_enqueued(*state, 1));
}

static void
test_tasks(void **state)
{
    const struct pit_test_job *job = pit_test_run(*state, "add", "{\"a\": []}");

    assert_int_equal(job->status, PIT_PERMANENT);
    assert_string_equal(job->error, "a is no number");
    assert_true(job->ended);
    job = pit_test_run(*state, "receipt", NULL);
    assert_int_equal(job->status, PIT_OK);
    assert_string_equal(pit_test_mailed(*state, 0)->message_id, job->id);
    pit_test_mail_status(*state, PIT_UNAVAILABLE);
    job = pit_test_run(*state, "receipt", NULL);
    assert_int_equal(job->status, PIT_UNAVAILABLE);
    assert_non_null(strstr(job->error, "mail server"));
}

/* ---- detached, any ---- */

static void
test_detached_work(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/detach");

    expect(a, 200, "at once");
    assert_true(a->took_ms < 1000);
    assert_null(strstr(pit_test_logged(*state), "done"));
    assert_false(pit_test_drain(*state, 1000));
    pit_test_advance(*state, 4500);
    assert_non_null(strstr(pit_test_logged(*state), "done 0"));
    assert_true(pit_test_drain(*state, 0));
}

static void
test_any(void **state)
{
    const struct pit_test_answer *a = pit_test_get(*state, "/any");

    expect(a, 200, "1");
    assert_true(a->took_ms >= 1000 && a->took_ms < 2000);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_middleware_wraps_in_order),
        TEST(test_middleware_answers_early),
        TEST(test_middleware_sees_failures),
        TEST(test_middleware_sees_what_no_view_took),
        TEST(test_next_is_once),
        TEST(test_sync_views_leave_others_alone),
        TEST(test_time_jumps),
        TEST(test_middleware_has_no_time_of_its_own),
        TEST(test_many_at_once),
        TEST(test_a_hang_up_cancels),
        TEST(test_path_parameters),
        TEST(test_head_is_get_without_a_body),
        TEST(test_queries),
        TEST(test_json),
        TEST(test_forms),
        TEST(test_a_form_holds_no_nul),
        TEST(test_a_form_has_a_limit),
        TEST(test_cookies),
        TEST(test_redirects_streams_events),
        TEST(test_static_files),
        TEST(test_ranges),
        TEST(test_files_stay_in_their_folder),
        TEST(test_upstreams),
        TEST(test_context_goes_along),
        TEST(test_mail),
        TEST(test_redis),
        TEST(test_jobs),
        TEST(test_tasks),
        TEST(test_detached_work),
        TEST(test_any),
    };

    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}

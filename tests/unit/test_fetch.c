/* Fetch against a small server of our own on threads: what is sent, what comes
 * back, and every way in which that can end. */
#include "async/curl/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/public/co_public.h"
#include "base/clock.h"
#include "pit/fetch.h"

/* ---- the server ---- */

static int listener;
static int port;
static atomic_int connections;
static atomic_int present; /* connections that are open */
static atomic_int most;    /* that ever were at the same time */

static void
send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        p += sent;
        n -= (size_t)sent;
    }
}

static void
answer(int fd, const char *head, const char *body, size_t n)
{
    char text[512];
    int len = snprintf(text, sizeof text,
                       "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, n);

    send_all(fd, text, (size_t)len);
    send_all(fd, body, n);
}

/* Until the client hangs up, or for 20 s. */
static void
hold(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    poll(&p, 1, 20000);
}

/* False: close. */
static bool
serve(int fd, const char *request, size_t len)
{
    static char big[5000];
    const char *path = strchr(request, ' ') + 1;

    if (strncmp(path, "/hello ", 7) == 0) {
        answer(fd, "200 OK\r\nX-One:  1 \r\nx-two: a:b", "hello", 5);
    } else if (strncmp(path, "/echo ", 6) == 0) {
        answer(fd, "201 Created", request, len);
    } else if (strncmp(path, "/big ", 5) == 0) {
        memset(big, 'b', sizeof big);
        answer(fd, "200 OK", big, sizeof big);
    } else if (strncmp(path, "/chunked ", 9) == 0) {
        static const char text[] =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            "5\r\nabcde\r\n5\r\nfghij\r\n0\r\n\r\n";
        send_all(fd, text, sizeof text - 1);
    } else if (strncmp(path, "/elsewhere ", 11) == 0) {
        answer(fd, "302 Found\r\nLocation: /hello", "", 0);
    } else if (strncmp(path, "/slow ", 6) == 0) {
        hold(fd);
        return false;
    } else if (strncmp(path, "/cut ", 5) == 0) {
        static const char text[] =
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc";
        send_all(fd, text, sizeof text - 1);
        return false;
    } else if (strncmp(path, "/wait ", 6) == 0) {
        poll(NULL, 0, 50);
        answer(fd, "200 OK", "", 0);
    } else {
        return false; /* hangs up without an answer */
    }
    return true;
}

static size_t
content_length(const char *request)
{
    const char *field = strstr(request, "Content-Length: ");

    return field ? strtoul(field + 16, NULL, 10) : 0;
}

static void *
connection_main(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char request[4096];
    size_t len = 0;
    bool open = true;

    int now = ++present;
    for (int seen = most; now > seen;)
        if (atomic_compare_exchange_weak(&most, &seen, now))
            break;
    while (open && len + 1 < sizeof request) {
        ssize_t n = recv(fd, request + len, sizeof request - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        request[len] = '\0';
        const char *end = strstr(request, "\r\n\r\n");
        if (!end)
            continue;
        size_t want = (size_t)(end + 4 - request) + content_length(request);
        if (len < want)
            continue;
        open = serve(fd, request, len);
        len = 0;
    }
    --present;
    close(fd);
    return NULL;
}

static void *
listener_main(void *arg)
{
    int fd;

    (void)arg;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        pthread_t thread;
        ++connections;
        if (pthread_create(&thread, NULL, connection_main,
                           (void *)(intptr_t)fd) != 0)
            abort();
        pthread_detach(thread);
    }
    return NULL;
}

static pthread_t listener_thread;

static int
start_server(void **state)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof address;

    (void)state;
    /* Must not be asked: nothing answers there. */
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("all_proxy", "http://127.0.0.1:1/", 1);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 256) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        return -1;
    port = ntohs(address.sin_port);
    return pthread_create(&listener_thread, NULL, listener_main, NULL);
}

static int
stop_server(void **state)
{
    (void)state;
    shutdown(listener, SHUT_RDWR);
    pthread_join(listener_thread, NULL);
    close(listener);
    int64_t end = clock_mono_ms() + 20000;
    while (present > 0 && clock_mono_ms() < end)
        poll(NULL, 0, 1);
    return present;
}

/* ---- asking it ---- */

struct asking {
    const char *path;
    struct fetch_options options;
    struct fetch fetch;
    int64_t deadline_ms;
    enum status status;
    struct co *co;
    bool returned;
};

static enum status
ask(struct co *co, void *arg)
{
    struct asking *a = arg;
    char url[256];

    a->co = co;
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port,
             a->path ? a->path : "");
    if (!a->options.url)
        a->options.url = url;
    if (a->deadline_ms)
        co_deadline_ms(co, a->deadline_ms);
    a->status = fetch_await(co, &a->fetch, &a->options);
    if (a->options.url == url)
        a->options.url = NULL;
    a->returned = true;
    return ST_OK;
}

static void
run_asking(struct asking *a)
{
    struct loop *loop = loop_new(NULL);

    assert_int_equal(co_run(loop, "ask", ask, a), ST_OK);
    loop_free(loop);
}

static void
test_brings_the_answer(void **state)
{
    struct asking a = {.path = "/hello"};

    (void)state;
    run_asking(&a);
    assert_int_equal(a.status, ST_OK);
    assert_int_equal(a.fetch.code, 200);
    assert_string_equal(a.fetch.body.p, "hello");
    assert_string_equal(fetch_field(&a.fetch, STR("x-one")).p, "1");
    assert_true(str_eq_c(fetch_field(&a.fetch, STR("X-Two")), "a:b"));
    assert_null(fetch_field(&a.fetch, STR("X-Three")).p);
    fetch_clear(&a.fetch);
    fetch_clear(&a.fetch);

    a = (struct asking){.path = "/chunked"};
    run_asking(&a);
    assert_true(str_eq_c(buf_str(&a.fetch.body), "abcdefghij"));
    fetch_clear(&a.fetch);
}

static void
test_sends_what_it_was_asked_to(void **state)
{
    const char *const headers[] = {"X-Mine: yes", "Content-Type: text/plain",
                                   NULL};
    struct asking a = {
        .path = "/echo",
        .options = {.headers = headers, .body = "some body", .body_len = 9},
    };

    (void)state;
    run_asking(&a);
    assert_int_equal(a.fetch.code, 201);
    assert_true(str_starts(buf_str(&a.fetch.body), STR("POST /echo HTTP/1.1")));
    assert_non_null(strstr(a.fetch.body.p, "X-Mine: yes\r\n"));
    assert_non_null(strstr(a.fetch.body.p, "Content-Type: text/plain\r\n"));
    assert_non_null(strstr(a.fetch.body.p, "\r\n\r\nsome body"));
    assert_null(strstr(a.fetch.body.p, "Expect"));
    fetch_clear(&a.fetch);

    a = (struct asking){
        .path = "/echo",
        .options = {.method = "PUT", .body = "", .body_len = 0},
    };
    run_asking(&a);
    assert_true(str_starts(buf_str(&a.fetch.body), STR("PUT /echo HTTP/1.1")));
    assert_null(strstr(a.fetch.body.p, "Content-Type"));
    fetch_clear(&a.fetch);

    a = (struct asking){.path = "/hello", .options.method = "HEAD"};
    run_asking(&a);
    assert_int_equal(a.status, ST_OK);
    assert_int_equal(a.fetch.body.len, 0);
    assert_string_equal(a.fetch.body.p, "");
    fetch_clear(&a.fetch);
}

static void
test_follows_no_redirect(void **state)
{
    struct asking a = {.path = "/elsewhere"};

    (void)state;
    run_asking(&a);
    assert_int_equal(a.status, ST_OK);
    assert_int_equal(a.fetch.code, 302);
    assert_string_equal(fetch_field(&a.fetch, STR("Location")).p, "/hello");
    fetch_clear(&a.fetch);
}

static void
test_refuses_what_cannot_be_asked(void **state)
{
    const char *const split[] = {"X-A: 1\r\nX-B: 2", NULL};
    const char *const no_colon[] = {"X-A", NULL};
    struct fetch_options bad[] = {
        {.url = "ftp://127.0.0.1/"},
        {.url = "file:///etc/passwd"},
        {.url = "http://user:secret@127.0.0.1/"},
        {.url = "not a url"},
        {.url = "127.0.0.1/"},
        {.url = "localhost:1/"},
        {.url = ""},
        {.url = "http://127.0.0.1/\r\nX: y"},
        {.url = "http://127.0.0.1/", .method = "GET / HTTP/1.1\r\nX: y"},
        {.url = "http://127.0.0.1/", .headers = split},
        {.url = "http://127.0.0.1/", .headers = no_colon},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct asking a = {.options = bad[i]};
        run_asking(&a);
        if (a.status != ST_INVALID)
            print_message("row %zu: %s\n", i, a.fetch.err.msg);
        assert_int_equal(a.status, ST_INVALID);
        assert_true(a.fetch.err.msg[0] != '\0');
        fetch_clear(&a.fetch);
    }
}

static void
test_says_how_it_failed(void **state)
{
    static const struct {
        const char *path;
        enum status want;
        size_t body_max;
        int64_t timeout_ms;
    } rows[] = {
        {"/gone", ST_UNCLEAR, 0, 0},      {"/cut", ST_UNCLEAR, 0, 0},
        {"/big", ST_TOO_LARGE, 4999, 0},  {"/big", ST_OK, 5000, 0},
        {"/chunked", ST_TOO_LARGE, 9, 0}, {"/chunked", ST_OK, 10, 0},
        {"/slow", ST_TIMEOUT, 0, 20},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct asking a = {.path = rows[i].path,
                           .options = {.body_max = rows[i].body_max,
                                       .timeout_ms = rows[i].timeout_ms}};
        run_asking(&a);
        assert_int_equal(a.status, rows[i].want);
        assert_int_equal(a.fetch.err.msg[0] != '\0', a.status != ST_OK);
        fetch_clear(&a.fetch);
    }
    struct asking away = {.options.url = "http://127.0.0.1:1/"};
    run_asking(&away);
    assert_int_equal(away.status, ST_UNAVAILABLE);
    fetch_clear(&away.fetch);
}

static void
test_a_deadline_or_a_hang_up_ends_it(void **state)
{
    struct asking a = {.path = "/slow", .deadline_ms = 20};

    (void)state;
    run_asking(&a);
    assert_int_equal(a.status, ST_TIMEOUT);
    fetch_clear(&a.fetch);

    struct loop *loop = loop_new(NULL);
    int before = connections;
    a = (struct asking){.path = "/slow"};
    assert_int_equal(co_spawn(loop, "ask", ask, &a, NULL), ST_OK);
    int64_t end = clock_mono_ms() + 20000;
    while (connections == before && clock_mono_ms() < end)
        loop_turn(loop, 10);
    co_cancel(a.co, ST_CANCELLED);
    loop_turn(loop, 0);
    assert_true(a.returned);
    assert_int_equal(a.status, ST_CANCELLED);
    fetch_clear(&a.fetch);
    loop_free(loop);
}

static void
note_settled(struct op *op)
{
    ++*(int *)op->arg;
}

static void
test_a_callback_can_be_taken_back(void **state)
{
    struct loop *loop = loop_new(NULL);
    struct fetch fetch = {0};
    int settled = 0;
    const struct fetch_options bad = {.url = "gopher://x/"};

    (void)state;
    fetch_start(loop, &fetch, &bad, note_settled, &settled);
    for (int i = 0; i < 100 && settled == 0; i++)
        loop_turn(loop, 10);
    assert_int_equal(settled, 1);
    assert_int_equal(fetch.op.status, ST_INVALID);
    fetch_start(loop, &fetch, &bad, note_settled, &settled);
    fetch_clear(&fetch);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 1);
    assert_int_equal(settled, 1);
    loop_free(loop);
}

static enum status
ask_in_a_row(struct co *co, void *arg)
{
    enum status status = ST_OK;

    (void)arg;
    for (int i = 0; i < 20 && status == ST_OK; i++) {
        struct asking a = {.path = "/hello"};
        (void)ask(co, &a);
        status = a.status;
        fetch_clear(&a.fetch);
    }
    return status;
}

static void
test_connections_are_used_again(void **state)
{
    struct loop *loop = loop_new(NULL);
    int before = connections;

    (void)state;
    assert_int_equal(co_run(loop, "row", ask_in_a_row, NULL), ST_OK);
    assert_int_equal(connections - before, 1);
    loop_free(loop);
}

static void
test_many_at_once_share_the_hosts_connections(void **state)
{
    enum { N = 150 };
    static struct asking asking[N];
    struct loop *loop = loop_new(NULL);

    (void)state;
    memset(asking, 0, sizeof asking);
    int64_t end = clock_mono_ms() + 20000;
    while (present > 0 && clock_mono_ms() < end)
        poll(NULL, 0, 1);
    most = 0;
    for (int i = 0; i < N; i++) {
        asking[i].path = "/wait";
        assert_int_equal(co_spawn(loop, "ask", ask, &asking[i], NULL), ST_OK);
    }
    while (co_count(loop) > 0 && clock_mono_ms() < end)
        loop_turn(loop, 100);
    for (int i = 0; i < N; i++) {
        assert_int_equal(asking[i].status, ST_OK);
        fetch_clear(&asking[i].fetch);
    }
    assert_true(most > 1 && most <= FETCH_HOST_MAX);
    loop_free(loop);
}

/* ---- the application's side ---- */

static enum status
public_view(struct co *core, void *arg)
{
    char url[256];
    struct pit_co *co = co_public_of(core);

    (void)arg;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/hello", port);
    struct pit_fetch fetch PIT_FETCH = {.url = url};
    enum pit_status status = pit_fetch(co, &fetch);
    if (status != PIT_OK || fetch.code != 200 || fetch.content_len != 5 ||
        strcmp(fetch.content, "hello") != 0 ||
        strcmp(pit_fetch_header(&fetch, "X-ONE"), "1") != 0 ||
        pit_fetch_header(&fetch, "X-Three"))
        return ST_BUG;
    fetch.public_only = 1;
    if (pit_fetch(co, &fetch) != PIT_FORBIDDEN)
        return ST_BUG;
    fetch.public_only = 0;
    fetch.url = NULL;
    status = pit_fetch(co, &fetch);
    if (status != PIT_INVALID || fetch.error[0] == '\0' ||
        fetch.content[0] != '\0')
        return ST_BUG;
    return ST_OK;
}

/* A connection that was made without the guard serves no request with it. */
static enum status
guarded(struct co *co, void *arg)
{
    const struct address_rules nobody = {0};
    struct address_rules loopback;
    char url[256];
    struct fetch_options options = {.url = url};
    struct fetch fetch = {0};
    enum status result = ST_BUG;

    (void)arg;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/hello", port);
    if (address_rules_parse(STR("127.0.0.0/8"), &loopback, NULL) != ST_OK ||
        fetch_await(co, &fetch, &options) != ST_OK)
        goto out;
    options.guard = &nobody;
    if (fetch_await(co, &fetch, &options) != ST_FORBIDDEN ||
        !strstr(fetch.err.msg, "127.0.0.1 is no public address"))
        goto out;
    options.guard = &loopback;
    if (fetch_await(co, &fetch, &options) != ST_OK || fetch.code != 200)
        goto out;
    options.guard = &nobody;
    if (fetch_await(co, &fetch, &options) != ST_FORBIDDEN)
        goto out;
    result = ST_OK;
out:
    fetch_clear(&fetch);
    return result;
}

static void
test_the_guard(void **state)
{
    struct loop *loop = loop_new(NULL);

    (void)state;
    assert_int_equal(co_run(loop, "guarded", guarded, NULL), ST_OK);
    loop_free(loop);
}

static int64_t
retry_after(const char *field)
{
    struct fetch fetch = {0};

    buf_init(&fetch.fields, 1000);
    buf_add(&fetch.fields, field, strlen(field) + 1);
    int64_t ms = fetch_retry_after_ms(&fetch, INT64_C(1445412470) * 1000);
    buf_clear(&fetch.fields);
    return ms;
}

static void
test_retry_after(void **state)
{
    (void)state;
    assert_int_equal(retry_after("X: y"), -1);
    assert_int_equal(retry_after("Retry-After: 120"), 120000);
    assert_int_equal(retry_after("retry-after:0"), 0);
    assert_int_equal(retry_after("Retry-After: 99999999999999"),
                     INT64_C(2147483647000));
    assert_int_equal(retry_after("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"),
                     10000);
    assert_int_equal(retry_after("Retry-After: Wed, 21 Oct 2014 07:28:00 GMT"),
                     0);
    assert_int_equal(retry_after("Retry-After: soon"), -1);
    assert_int_equal(retry_after("Retry-After: -5"), -1);
}

static void
test_the_public_fetch(void **state)
{
    struct loop *loop = loop_new(NULL);
    struct pit_fetch empty PIT_FETCH = {0};

    (void)state;
    assert_null(pit_fetch_header(&empty, "Any"));
    assert_int_equal(co_run(loop, "view", public_view, NULL), ST_OK);
    loop_free(loop);
}

/* No loop, no coroutine: what a thread does. */
static void
test_the_blocking_fetch(void **state)
{
    const char *const headers[] = {"X-Own: seven", NULL};
    char url[256], echo[256];
    struct pit_fetch fetch PIT_FETCH = {.url = url};

    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/hello", port);
    assert_int_equal(pit_fetch_blocking(&fetch), PIT_OK);
    assert_int_equal(fetch.code, 200);
    assert_string_equal(fetch.content, "hello");
    assert_string_equal(pit_fetch_header(&fetch, "X-ONE"), "1");
    snprintf(echo, sizeof echo, "http://127.0.0.1:%d/echo", port);
    fetch.url = echo;
    fetch.headers = headers;
    fetch.body = "smoke";
    fetch.body_len = 5;
    assert_int_equal(pit_fetch_blocking(&fetch), PIT_OK);
    assert_int_equal(fetch.code, 201);
    assert_non_null(strstr(fetch.content, "POST /echo"));
    assert_non_null(strstr(fetch.content, "X-Own: seven"));
    fetch.public_only = 1;
    assert_int_equal(pit_fetch_blocking(&fetch), PIT_FORBIDDEN);
    assert_int_equal(fetch.code, 0);
    fetch.public_only = 0;
    fetch.url = "http://127.0.0.1:1/";
    assert_int_equal(pit_fetch_blocking(&fetch), PIT_UNAVAILABLE);
    assert_true(fetch.error[0] != '\0' && fetch.content[0] == '\0');
    fetch.url = "gopher://127.0.0.1/";
    assert_int_equal(pit_fetch_blocking(&fetch), PIT_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brings_the_answer),
        cmocka_unit_test(test_the_blocking_fetch),
        cmocka_unit_test(test_sends_what_it_was_asked_to),
        cmocka_unit_test(test_follows_no_redirect),
        cmocka_unit_test(test_refuses_what_cannot_be_asked),
        cmocka_unit_test(test_says_how_it_failed),
        cmocka_unit_test(test_a_deadline_or_a_hang_up_ends_it),
        cmocka_unit_test(test_a_callback_can_be_taken_back),
        cmocka_unit_test(test_connections_are_used_again),
        cmocka_unit_test(test_many_at_once_share_the_hosts_connections),
        cmocka_unit_test(test_the_guard),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_the_public_fetch),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}

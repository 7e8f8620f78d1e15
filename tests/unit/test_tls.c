/* TLS through the whole front, over a socket pair; the client is OpenSSL's. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "async/co/co.h"
#include "base/buf.h"
#include "base/clock.h"
#include "http/front.h"
#include "http/tls.h"

enum { WAIT_MS = 10000, BIG = 3 * 1024 * 1024 };

static char dir[] = "/tmp/pit-test-tls-XXXXXX";
static char cert_path[64], key_path[64], other_path[64], locked_path[64];

struct fixture {
    struct loop *loop;
    struct front *front;
    struct tls *tls;
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
    struct buf got;
    bool ended; /* the server's close_notify, or the end */
    int error;  /* of the client's last failed call */
};

/* ---- what is served ---- */

static enum status
handler(struct co *co, struct http_exchange *x, void *arg)
{
    static char big[BIG];
    struct str path = str_c(pit_request_path(&x->req));

    (void)arg;
    if (str_eq_c(path, "/scheme"))
        return (enum status)pit_reply_text(&x->res, 200, "<%s>", x->req.scheme);
    if (str_eq_c(path, "/big")) {
        memset(big, 'b', sizeof big);
        return response_lend(&x->res, 200, "a/b", str_from(big, sizeof big));
    }
    enum status st = exchange_read_all(co, x);
    if (st != ST_OK)
        return st;
    return (enum status)pit_reply_bytes(&x->res, 200, "a/b", x->req.body,
                                        x->req.body_len);
}

/* ---- keys ---- */

static void
write_key(const char *path, EVP_PKEY *key, const char *password)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(
        PEM_write_PrivateKey(file, key, password ? EVP_aes_128_cbc() : NULL,
                             NULL, 0, NULL, (void *)(uintptr_t)password),
        1);
    fclose(file);
}

static int
make_keys(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    X509 *cert = X509_new();

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_non_null(mkdtemp(dir));
    snprintf(cert_path, sizeof cert_path, "%s/cert.pem", dir);
    snprintf(key_path, sizeof key_path, "%s/key.pem", dir);
    snprintf(other_path, sizeof other_path, "%s/other.pem", dir);
    snprintf(locked_path, sizeof locked_path, "%s/locked.pem", dir);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    FILE *file = fopen(cert_path, "w");
    assert_non_null(file);
    PEM_write_X509(file, cert);
    fclose(file);
    write_key(key_path, key, NULL);
    write_key(other_path, other, NULL);
    write_key(locked_path, key, "secret");
    X509_free(cert);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    return 0;
}

static int
remove_keys(void **state)
{
    (void)state;
    unlink(cert_path);
    unlink(key_path);
    unlink(other_path);
    unlink(locked_path);
    rmdir(dir);
    return 0;
}

/* ---- the client ---- */

static void
start(struct fixture *f, const struct front_options *options)
{
    struct error err;
    int fds[2];

    *f = (struct fixture){.fd = -1};
    f->loop = loop_new(NULL);
    f->front = front_new(f->loop, options, handler, f);
    if (tls_new(&(struct tls_options){.cert = cert_path, .key = key_path},
                &f->tls, &err) != ST_OK)
        fail_msg("%s", err.msg);
    buf_init(&f->got, 64 * 1024 * 1024);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    f->fd = fds[0];
    assert_int_equal(fcntl(f->fd, F_SETFL, O_NONBLOCK), 0);
    front_adopt_tls(f->front, fds[1], f->tls);
    f->ctx = SSL_CTX_new(TLS_client_method());
    f->ssl = SSL_new(f->ctx);
    SSL_set_fd(f->ssl, f->fd);
    SSL_set_connect_state(f->ssl);
}

static void
hang_up(struct fixture *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

static void
stop(struct fixture *f)
{
    int64_t end = clock_mono_ms() + WAIT_MS;

    SSL_free(f->ssl);
    SSL_CTX_free(f->ctx);
    hang_up(f);
    front_cancel(f->front);
    while (front_stats(f->front).in_flight > 0) {
        assert_true(clock_mono_ms() < end);
        loop_turn(f->loop, 10);
    }
    front_free(f->front);
    tls_free(f->tls);
    loop_free(f->loop);
    buf_clear(&f->got);
}

/* One try; false when it has to wait. */
static bool
read_some(struct fixture *f)
{
    char *room = buf_room(&f->got, 65536);
    size_t n = 0;

    ERR_clear_error();
    int result = SSL_read_ex(f->ssl, room, 65536, &n);
    if (result == 1) {
        buf_grew(&f->got, n);
        return true;
    }
    int error = SSL_get_error(f->ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        f->ended = true;
        f->error = error;
    }
    return false;
}

static void
send_all(struct fixture *f, const char *p, size_t n)
{
    int64_t end = clock_mono_ms() + WAIT_MS;

    while (n > 0 && !f->ended) {
        size_t done = 0;
        ERR_clear_error();
        int result = SSL_write_ex(f->ssl, p, n, &done);
        if (result == 1) {
            p += done;
            n -= done;
            continue;
        }
        int error = SSL_get_error(f->ssl, result);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
            f->ended = true;
            f->error = error;
        }
        assert_true(clock_mono_ms() < end);
        loop_turn(f->loop, 5);
    }
}

static void
send_c(struct fixture *f, const char *text)
{
    send_all(f, text, strlen(text));
}

static bool
has(const struct fixture *f, const char *what)
{
    return f->got.p && memmem(f->got.p, f->got.len, what, strlen(what));
}

static void
expect(struct fixture *f, const char *what, size_t least)
{
    int64_t end = clock_mono_ms() + WAIT_MS;

    while (!has(f, what) || f->got.len < least) {
        if (clock_mono_ms() > end || f->ended)
            fail_msg("no %s in %zu bytes", what, f->got.len);
        loop_turn(f->loop, 5);
        while (read_some(f))
            ;
    }
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* ---- tests ---- */

static void
test_requests(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, GET("/scheme") GET("/scheme"));
    expect(&f, "<https>", 0);
    buf_reset(&f.got);
    send_c(&f, GET("/scheme"));
    expect(&f, "<https>", 0);
    assert_true(SSL_version(f.ssl) >= TLS1_2_VERSION);
    assert_int_equal(front_stats(f.front).open, 1);
    stop(&f);
}

/* More than any buffer on the way holds, in both directions. */
static void
test_large(void **state)
{
    struct front_options options = {.body_max = 16 * 1024 * 1024};
    struct fixture f;
    char *body = malloc(BIG);
    char head[128];

    (void)state;
    memset(body, 'u', BIG);
    start(&f, &options);
    send_c(&f, GET("/big"));
    expect(&f, "\r\n\r\nbbb", BIG);
    buf_reset(&f.got);
    snprintf(head, sizeof head,
             "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", BIG);
    send_c(&f, head);
    send_all(&f, body, BIG);
    expect(&f, "\r\n\r\nuuu", BIG);
    stop(&f);
    free(body);
}

static void
test_ends_with_close_notify(void **state)
{
    struct fixture f;
    int64_t end = clock_mono_ms() + WAIT_MS;

    (void)state;
    start(&f, NULL);
    send_c(&f, "GET /scheme HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    while (!f.ended && clock_mono_ms() < end) {
        loop_turn(f.loop, 5);
        while (read_some(&f))
            ;
    }
    assert_true(has(&f, "<https>"));
    assert_int_equal(f.error, SSL_ERROR_ZERO_RETURN);
    hang_up(&f);
    while (front_stats(f.front).open > 0 && clock_mono_ms() < end)
        loop_turn(f.loop, 5);
    assert_int_equal(front_stats(f.front).open, 0);
    stop(&f);
}

/* A client that said close_notify still gets its answer. */
static void
test_half_closed(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, GET("/scheme"));
    SSL_shutdown(f.ssl);
    expect(&f, "<https>", 0);
    stop(&f);
}

static void
test_plain_http(void **state)
{
    struct fixture f;
    char answer[512] = "";
    ssize_t n = -1;

    (void)state;
    start(&f, NULL);
    assert_int_equal(send(f.fd, GET("/"), sizeof GET("/") - 1, 0),
                     (ssize_t)sizeof GET("/") - 1);
    for (int i = 0; n <= 0 && i < 100; i++) {
        loop_turn(f.loop, 5);
        n = recv(f.fd, answer, sizeof answer - 1, 0);
    }
    assert_non_null(strstr(answer, "HTTP/1.1 400 "));
    assert_non_null(strstr(answer, "speaks HTTPS"));
    assert_int_equal(front_stats(f.front).open, 0);
    stop(&f);
}

/* The handshake is part of the time for a head. */
static void
test_silent_client(void **state)
{
    struct front_options options = {.head_timeout_ms = 50,
                                    .drain_timeout_ms = 20};
    int64_t end = clock_mono_ms() + WAIT_MS;
    struct fixture f;

    (void)state;
    start(&f, &options);
    assert_int_equal(send(f.fd, "\x16\x03\x01", 3, 0), 3);
    while (front_stats(f.front).open > 0 && clock_mono_ms() < end)
        loop_turn(f.loop, 5);
    assert_int_equal(front_stats(f.front).open, 0);
    stop(&f);
}

static void
expect_no_handshake(struct fixture *f)
{
    send_c(f, GET("/scheme"));
    int64_t end = clock_mono_ms() + WAIT_MS;
    while (!f->ended && clock_mono_ms() < end) {
        loop_turn(f->loop, 5);
        while (read_some(f))
            ;
    }
    assert_true(f->ended);
    assert_false(has(f, "<https>"));
    assert_int_equal(front_stats(f->front).open, 0);
}

static void
test_refused_handshakes(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NULL); /* too old */
    SSL_set_min_proto_version(f.ssl, TLS1_VERSION);
    SSL_set_max_proto_version(f.ssl, TLS1_1_VERSION);
    SSL_set_cipher_list(f.ssl, "ALL:@SECLEVEL=0");
    expect_no_handshake(&f);
    stop(&f);
    start(&f, NULL); /* no forward secrecy */
    SSL_set_max_proto_version(f.ssl, TLS1_2_VERSION);
    SSL_set_cipher_list(f.ssl, "AES128-GCM-SHA256");
    expect_no_handshake(&f);
    stop(&f);
    start(&f, NULL); /* another protocol */
    SSL_set_alpn_protos(f.ssl, (const unsigned char *)"\x02h2", 3);
    expect_no_handshake(&f);
    stop(&f);
}

static void
test_alpn(void **state)
{
    const unsigned char *chosen;
    struct fixture f;
    unsigned len;

    (void)state;
    start(&f, NULL);
    SSL_set_alpn_protos(f.ssl, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    send_c(&f, GET("/scheme"));
    expect(&f, "<https>", 0);
    SSL_get0_alpn_selected(f.ssl, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    stop(&f);
}

/* The peer goes away in the middle of everything. */
static void
test_reset(void **state)
{
    int64_t end = clock_mono_ms() + WAIT_MS;
    struct fixture f;

    (void)state;
    start(&f, NULL);
    send_c(&f, GET("/big"));
    loop_turn(f.loop, 5);
    hang_up(&f);
    while (front_stats(f.front).open > 0 && clock_mono_ms() < end)
        loop_turn(f.loop, 5);
    assert_int_equal(front_stats(f.front).open, 0);
    stop(&f);
}

static void
test_bad_files(void **state)
{
    const struct {
        const char *cert, *key, *words;
    } rows[] = {
        {"/nowhere/cert", key_path, "--tls-cert /nowhere/cert: No such file"},
        {key_path, key_path, "--tls-cert"},
        {cert_path, "/nowhere/key", "--tls-key /nowhere/key: No such file"},
        {cert_path, cert_path, "--tls-key"},
        {cert_path, other_path, "--tls-key"},
        {cert_path, locked_path, "--tls-key"},
        {"/", key_path, "--tls-cert /: "},
    };
    struct tls *tls = NULL;
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tls_options options = {.cert = rows[i].cert, .key = rows[i].key};
        if (tls_new(&options, &tls, &err) != ST_INVALID ||
            !strstr(err.msg, rows[i].words))
            fail_msg("row %zu: %s", i, err.msg);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_ends_with_close_notify),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_plain_http),
        cmocka_unit_test(test_silent_client),
        cmocka_unit_test(test_refused_handshakes),
        cmocka_unit_test(test_alpn),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_bad_files),
    };

    return cmocka_run_group_tests(tests, make_keys, remove_keys);
}

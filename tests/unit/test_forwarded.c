/* Who a request comes from: tables of trusted networks, of chains of proxies,
 * and of what a client could make up. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/forwarded.h"

static struct sockaddr_storage
peer_of(const char *ip)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};

    if (inet_pton(AF_INET, ip, &((struct sockaddr_in *)&peer)->sin_addr) == 1)
        peer.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, ip,
                       &((struct sockaddr_in6 *)&peer)->sin6_addr) == 1)
        peer.ss_family = AF_INET6;
    return peer;
}

static struct forwarded
parse(const char *networks, const char *kind)
{
    struct forwarded table;
    struct error err;

    if (forwarded_parse(networks, kind, &table, &err) != ST_OK)
        fail_msg("%s: %s", networks, err.msg);
    return table;
}

static void
test_networks(void **state)
{
    static const struct {
        const char *networks, *peer;
        bool trusted;
    } rows[] = {
        {NULL, "127.0.0.1", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.2", false},
        {"10.0.0.0/8", "10.255.1.2", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.128.0.0/9", "10.127.0.1", false},
        {"10.128.0.0/9", "10.129.0.1", true},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "8.8.8.8", true},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"10.0.0.1, ::1 ,192.0.2.0/24", "192.0.2.77", true},
        {"10.0.0.1, ::1 ,192.0.2.0/24", "::1", true},
        {"unix", "unix", true},
        {"::/0", "unix", false},
        {"unix", "127.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct forwarded table = parse(rows[i].networks, "x-forwarded");
        struct sockaddr_storage peer = peer_of(rows[i].peer);
        if (forwarded_trusts(&table, &peer) != rows[i].trusted)
            fail_msg("%s and %s", rows[i].networks, rows[i].peer);
    }
}

static void
test_bad_networks(void **state)
{
    static const char *const rows[] = {
        "",         "localhost",  "10.0.0.0/33",        "::1/129", "10.0.0.0/",
        "10.0.0/8", "10.0.0.1/x", "10.0.0.1,,10.0.0.2", "::1/-1"};
    char many[1024] = "10.0.0.1";
    struct forwarded table;
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(forwarded_parse(rows[i], "forwarded", &table, &err),
                         ST_INVALID);
        assert_non_null(strstr(err.msg, "--trusted-proxy"));
    }
    for (int i = 0; i < FORWARDED_NETWORKS_MAX; i++)
        memcpy(many + strlen(many), ",10.0.0.1", sizeof ",10.0.0.1");
    assert_int_equal(forwarded_parse(many, "forwarded", &table, &err),
                     ST_INVALID);
    assert_int_equal(forwarded_parse("::1", "x-real-ip", &table, &err),
                     ST_INVALID);
    assert_non_null(strstr(err.msg, "--proxy-header"));
}

struct row {
    const char *names[4], *values[4]; /* fields */
    const char *peer, *scheme, *host; /* NULL: as before */
    enum status status;
};

static void
check_rows(const char *kind, const struct row *rows, size_t n)
{
    /* The proxies are 10.x and 2001:db8::x, the connection comes from one. */
    struct forwarded table = parse("10.0.0.0/8,2001:db8::/32", kind);
    struct pit_request req;
    struct arena arena;
    struct error err;
    char first[4096];

    for (size_t i = 0; i < n; i++) {
        struct request_field fields[4];
        const struct row *row = &rows[i];

        arena_init(&arena, first, sizeof first, 4096);
        request_init(&req, &arena);
        req.peer = "10.0.0.1";
        req.host = "direct";
        req.fields = fields;
        for (; req.fields_len < 4 && row->names[req.fields_len];
             req.fields_len++)
            fields[req.fields_len] =
                (struct request_field){str_c(row->names[req.fields_len]),
                                       str_c(row->values[req.fields_len])};
        if (forwarded_apply(&table, &req, &err) != row->status)
            fail_msg("%s row %zu: status", kind, i);
        if (row->status == ST_OK &&
            (strcmp(req.peer, row->peer ? row->peer : "10.0.0.1") != 0 ||
             strcmp(req.scheme, row->scheme ? row->scheme : "http") != 0 ||
             strcmp(req.host, row->host ? row->host : "direct") != 0))
            fail_msg("%s row %zu: %s %s %s", kind, i, req.peer, req.scheme,
                     req.host);
        arena_clear(&arena);
    }
}

#define XFF "X-Forwarded-For"
#define XFP "x-forwarded-proto"
#define XFH "X-FORWARDED-HOST"

static void
test_x_forwarded(void **state)
{
    static const struct row rows[] = {
        {{0}, {0}, NULL, NULL, NULL, ST_OK},
        {{XFF}, {"192.0.2.1"}, "192.0.2.1", NULL, NULL, ST_OK},
        /* What a client made up stands on the left. */
        {{XFF}, {"1.1.1.1, 192.0.2.1"}, "192.0.2.1", NULL, NULL, ST_OK},
        {{XFF, XFF}, {"1.1.1.1", "192.0.2.1"}, "192.0.2.1", NULL, NULL, ST_OK},
        {{XFF}, {"1.1.1.1,10.0.0.9"}, "1.1.1.1", NULL, NULL, ST_OK},
        {{XFF}, {"10.0.0.8,10.0.0.9"}, "10.0.0.8", NULL, NULL, ST_OK},
        {{XFF}, {"unknown, 10.0.0.9"}, "10.0.0.9", NULL, NULL, ST_OK},
        {{XFF}, {"unknown"}, NULL, NULL, NULL, ST_OK},
        {{XFF}, {", ,"}, NULL, NULL, NULL, ST_OK},
        {{XFF}, {"192.0.2.1:4711"}, "192.0.2.1", NULL, NULL, ST_OK},
        {{XFF}, {"[2001:db9::1]:47"}, "2001:db9::1", NULL, NULL, ST_OK},
        {{XFF}, {"2001:db9::1"}, "2001:db9::1", NULL, NULL, ST_OK},
        {{XFF}, {"::ffff:192.0.2.1"}, "192.0.2.1", NULL, NULL, ST_OK},
        {{XFF}, {"[2001:db9::1"}, NULL, NULL, NULL, ST_OK},
        {{XFP}, {"https"}, NULL, "https", NULL, ST_OK},
        {{XFP}, {"gopher"}, NULL, NULL, NULL, ST_OK},
        {{XFP}, {"http, https"}, NULL, "https", NULL, ST_OK},
        /* In step with the addresses: what the outer proxy saw. */
        {{XFF, XFP},
         {"192.0.2.1, 10.0.0.9", "https, http"},
         "192.0.2.1",
         "https",
         NULL,
         ST_OK},
        {{XFH}, {"shop.example:8443"}, NULL, NULL, "shop.example:8443", ST_OK},
        {{XFH}, {"sh op"}, NULL, NULL, NULL, ST_INVALID},
        {{XFH}, {"a/../b"}, NULL, NULL, NULL, ST_INVALID},
        /* The other kind of header is the client's own. */
        {{"Forwarded"}, {"for=9.9.9.9;proto=https"}, NULL, NULL, NULL, ST_OK},
    };

    (void)state;
    check_rows("x-forwarded", rows, ARRAY_LEN(rows));
}

#define FWD "Forwarded"

static void
test_rfc7239(void **state)
{
    static const struct row rows[] = {
        {{FWD}, {"for=192.0.2.1"}, "192.0.2.1", NULL, NULL, ST_OK},
        {{FWD},
         {"For=\"[2001:db9::1]:4711\" ; Proto=https;host=shop.example"},
         "2001:db9::1",
         "https",
         "shop.example",
         ST_OK},
        {{FWD},
         {"for=1.1.1.1;host=evil, for=192.0.2.1;by=10.0.0.9;proto=https"},
         "192.0.2.1",
         "https",
         NULL,
         ST_OK},
        {{FWD},
         {"for=192.0.2.1;proto=https;host=\"a:1\", for=10.0.0.9;proto=http"},
         "192.0.2.1",
         "https",
         "a:1",
         ST_OK},
        /* A comma or a quote within quotes splits nothing. */
        {{FWD},
         {"for=192.0.2.1;ext=\"a,for=9.9.9.9\""},
         "192.0.2.1",
         NULL,
         NULL,
         ST_OK},
        {{FWD},
         {"for=1.1.1.1, for=192.0.2.1;ext=\"a\\\",for=9.9.9.9\""},
         "192.0.2.1",
         NULL,
         NULL,
         ST_OK},
        {{FWD}, {"for=_hidden"}, NULL, NULL, NULL, ST_OK},
        {{FWD}, {"for=\"_gazonk\";host=\"a b\""}, NULL, NULL, NULL, ST_INVALID},
        {{XFF}, {"9.9.9.9"}, NULL, NULL, NULL, ST_OK},
    };

    (void)state;
    check_rows("forwarded", rows, ARRAY_LEN(rows));
}

/* Of a list that is longer than any chain of proxies only the end counts. */
static void
test_long_list(void **state)
{
    struct forwarded table = parse("10.0.0.0/8", "x-forwarded");
    struct pit_request req;
    struct arena arena;
    struct error err;
    char first[4096], list[8000] = "";

    (void)state;
    for (int i = 0; i < 500; i++)
        memcpy(list + strlen(list), "10.0.0.9, ", sizeof "10.0.0.9, ");
    memcpy(list + strlen(list), "192.0.2.1, 10.0.0.3",
           sizeof "192.0.2.1, 10.0.0.3");
    struct request_field field = {STR(XFF), str_c(list)};
    arena_init(&arena, first, sizeof first, 4096);
    request_init(&req, &arena);
    req.fields = &field;
    req.fields_len = 1;
    assert_int_equal(forwarded_apply(&table, &req, &err), ST_OK);
    assert_string_equal(req.peer, "192.0.2.1");
    arena_clear(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_networks),    cmocka_unit_test(test_bad_networks),
        cmocka_unit_test(test_x_forwarded), cmocka_unit_test(test_rfc7239),
        cmocka_unit_test(test_long_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

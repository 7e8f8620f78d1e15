/* What a client says beside the body: Prefer, Accept, content types, Pit-*
 * fields and traceparent. */
#include "api/preference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "api/jobs/payload.h"

enum { FIELDS = 4 };

struct asked {
    struct request_field fields[FIELDS];
    struct pit_request req;
};

/* Up to FIELDS pairs of name and value; a NULL name ends them. */
static void
ask(struct asked *asked, const char *const *pairs)
{
    *asked = (struct asked){.req = {.fields = asked->fields}};
    for (int i = 0; i < FIELDS && pairs[2 * i]; i++) {
        asked->fields[i].name = str_c(pairs[2 * i]);
        asked->fields[i].value = str_c(pairs[2 * i + 1]);
        asked->req.fields_len++;
    }
}

static void
test_prefer(void **state)
{
    static const struct {
        const char *value;
        int64_t wait_ms;
        bool minimal;
    } rows[] = {
        {"wait=5", 5000, false},
        {"WAIT = 5", 5000, false},
        {"wait=\"5\"", 5000, false},
        {"respond-async, wait=7;x=y", 7000, false},
        {"wait=7, wait=8", 7000, false},
        {"wait=600", 60000, false},
        {"wait=-1", 0, false},
        {"wait=x", 0, false},
        {"wait", 0, false},
        {"return=minimal", 0, true},
        {"return=representation", 0, false},
        {"return=minimal, wait=1", 1000, true},
        {",,", 0, false},
        {"", 0, false},
    };
    struct asked asked;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct preference got;
        ask(&asked, (const char *const[]){"Prefer", rows[i].value, NULL, NULL});
        assert_int_equal(preference_read(&asked.req, &got, NULL), ST_OK);
        if (got.wait_ms != rows[i].wait_ms || got.minimal != rows[i].minimal)
            fail_msg("Prefer: %s", rows[i].value);
    }
}

static void
test_the_query_s_wait_wins(void **state)
{
    static const struct {
        const char *value;
        enum status st;
        int64_t wait_ms;
    } rows[] = {
        {"30s", ST_OK, 30000}, {"0", ST_OK, 0},        {"500ms", ST_OK, 500},
        {"60", ST_OK, 60000},  {"61s", ST_INVALID, 0}, {"", ST_INVALID, 0},
        {"x", ST_INVALID, 0},  {"-1", ST_INVALID, 0},
    };
    struct asked asked;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct request_field query = {STR("wait"), str_c(rows[i].value)};
        struct preference got = {0};
        ask(&asked, (const char *const[]){"Prefer", "wait=9", NULL, NULL});
        asked.req.query = &query;
        asked.req.query_len = 1;
        if (preference_read(&asked.req, &got, NULL) != rows[i].st ||
            got.wait_ms != rows[i].wait_ms || got.wait_applied)
            fail_msg("?wait=%s", rows[i].value);
    }
}

static void
test_accept(void **state)
{
    static const struct {
        const char *value;
        bool want;
    } rows[] = {
        {"application/x-ndjson", true},
        {"text/html, application/X-NDJSON;q=0.5", true},
        {"application/x-ndjson;q=0", false},
        {"application/x-ndjson; q=0.000", false},
        {"*/*", false},
        {"", false},
    };
    struct asked asked;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ask(&asked, (const char *const[]){"Accept", rows[i].value, NULL, NULL});
        if (preference_accepts(&asked.req, STR("application/x-ndjson")) !=
            rows[i].want)
            fail_msg("Accept: %s", rows[i].value);
    }
}

static void
test_kinds_of_body(void **state)
{
    static const struct {
        const char *pairs[2 * FIELDS];
        enum payload_kind want;
    } rows[] = {
        {{NULL}, PAYLOAD_JSON},
        {{"Content-Type", "application/json"}, PAYLOAD_JSON},
        {{"Content-Type", "Application/JSON; charset=UTF-8"}, PAYLOAD_JSON},
        {{"Content-Type", "application/json;charset=\"utf-8\""}, PAYLOAD_JSON},
        {{"Content-Type", "application/json; charset=latin1"},
         PAYLOAD_UNSUPPORTED},
        {{"Content-Type", "application/x-ndjson"}, PAYLOAD_NDJSON},
        {{"Content-Type", "text/plain"}, PAYLOAD_UNSUPPORTED},
        {{"Content-Type", "text/plain", "pit-task", "echo"}, PAYLOAD_RAW},
        {{"Content-Type", "application/json", "Pit-Task", "echo"}, PAYLOAD_RAW},
        {{"Content-Encoding", "gzip"}, PAYLOAD_UNSUPPORTED},
        {{"Content-Encoding", "identity"}, PAYLOAD_JSON},
    };
    struct asked asked;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum payload_kind kind;
        struct error err;
        ask(&asked, rows[i].pairs);
        enum status st = payload_kind(&asked.req, &kind, &err);
        assert_int_equal(kind, rows[i].want);
        assert_int_equal(st, kind == PAYLOAD_UNSUPPORTED ? ST_INVALID : ST_OK);
    }
}

static void
check_payload(const char *const *pairs, struct str body, const char *args)
{
    struct asked asked;
    struct arena arena;
    struct envelope envelope;
    struct error err;

    arena_init(&arena, NULL, 0, 1 << 20);
    ask(&asked, pairs);
    asked.req.arena = &arena;
    asked.req.body = body.p;
    asked.req.body_len = body.n;
    if (payload_read(&asked.req, &envelope, &err) != ST_OK)
        fail_msg("%s", err.msg);
    if (!str_eq_c(envelope.spec.args, args))
        fail_msg("args are %.*s", STR_ARG(envelope.spec.args));
    arena_clear(&arena);
}

static void
test_payloads(void **state)
{
    const char *const text[] = {"Pit-Task", "echo", "Content-Type",
                                "text/plain", NULL};
    const char *const json[] = {"Pit-Task", "echo", "Content-Type",
                                "application/json", NULL};
    const char *const image[] = {"Pit-Task", "echo", "Content-Type",
                                 "image/png", NULL};
    const char *const none[] = {"Pit-Task", "echo", NULL};

    (void)state;
    check_payload(text, STR("a \"b\"\n\xc3\xa9"), "\"a \\\"b\\\"\\n\xc3\xa9\"");
    check_payload(text, STR("a\xff"),
                  "{\"content_type\":\"text/plain\",\"base64\":\"Yf8=\"}");
    check_payload(text, str_from("a\0", 2),
                  "{\"content_type\":\"text/plain\",\"base64\":\"YQA=\"}");
    check_payload(json, STR(" [1, 2] "), "[1, 2]");
    check_payload(image, STR("abc"),
                  "{\"content_type\":\"image/png\",\"base64\":\"YWJj\"}");
    check_payload(none, STR("a"),
                  "{\"content_type\":\"application/octet-stream\","
                  "\"base64\":\"YQ==\"}");
    check_payload(none, STR_NULL, "");
}

static void
test_refused_options_are_named(void **state)
{
    static const struct {
        const char *pairs[2 * FIELDS];
        const char *words;
    } rows[] = {
        {{"Pit-Task", "a b"}, "Pit-Task: "},
        {{"Pit-Task", "a", "Pit-Dely", "1s"}, "there is no option Pit-Dely"},
        {{"Pit-Task", "a", "Pit-Delay", "soon"}, "Pit-Delay: "},
        {{"Pit-Task", "a", "Pit-Priority", "11"}, "Pit-Priority: "},
        {{"Pit-Task", "a", "Pit-Priority", "five"}, "Pit-Priority: "},
        {{"Pit-Task", "a", "Pit-Tags", "a, b c"}, "Pit-Tags: "},
        {{"Pit-Task", "a", "Pit-Retry-Max", "-1"}, "Pit-Retry-Max: "},
        {{"Pit-Task", "a", "Pit-Delay", "1s", "Pit-Run-At",
          "2027-01-01T00:00:00Z"},
         "Pit-Delay: "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct asked asked;
        struct arena arena;
        struct envelope envelope;
        struct error err;

        arena_init(&arena, NULL, 0, 1 << 20);
        ask(&asked, rows[i].pairs);
        asked.req.arena = &arena;
        assert_int_equal(payload_read(&asked.req, &envelope, &err), ST_INVALID);
        if (strncmp(err.msg, rows[i].words, strlen(rows[i].words)) != 0)
            fail_msg("%s", err.msg);
        assert_string_equal(err.pointer, "");
        arena_clear(&arena);
    }
}

static void
test_traceparent(void **state)
{
#define GOOD "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    static const struct {
        const char *value;
        size_t n;
    } rows[] = {
        {"00-" GOOD, 55},
        {"01-" GOOD "-later", 55},
        {"00-" GOOD "-later", 0},
        {"01-" GOOD "later", 0},
        {"ff-" GOOD, 0},
        {"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", 0},
        {"00-00000000000000000000000000000000-b7ad6b7169203331-01", 0},
        {"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", 0},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", 0},
        {"", 0},
    };
    struct asked asked;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ask(&asked,
            (const char *const[]){"Traceparent", rows[i].value, NULL, NULL});
        if (payload_traceparent(&asked.req).n != rows[i].n)
            fail_msg("traceparent: %s", rows[i].value);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefer),
        cmocka_unit_test(test_the_query_s_wait_wins),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_kinds_of_body),
        cmocka_unit_test(test_payloads),
        cmocka_unit_test(test_refused_options_are_named),
        cmocka_unit_test(test_traceparent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

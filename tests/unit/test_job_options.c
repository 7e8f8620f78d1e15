/* What a job can ask for beyond running: written, read, refused. */
#include "queue/job/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct job_spec
plain(void)
{
    struct job_spec spec;

    job_spec_init(&spec);
    spec.task = STR("noop");
    spec.queue = STR("default");
    return spec;
}

static void
test_every_option_survives(void **state)
{
    struct job_spec spec = plain(), back;
    struct buf b;
    int64_t created;

    (void)state;
    spec.unique = (struct job_unique){
        .hold = UNIQUE_ENDED, .ttl_ms = 600000, .key = STR("customer:42,eu")};
    spec.limit = (struct job_limit){.concurrency = 5,
                                    .rate = 100,
                                    .rate_period_ms = 60000,
                                    .key = STR("tenant,7")};
    spec.callback = (struct job_callback){
        .on_dead = true, .url = STR("https://example.org/hook?a=1,2")};
    spec.kin = (struct job_kin){.parents = 2,
                                .go_on = true,
                                .children = STR("mail.a,reports.b"),
                                .flow = STR("mail.flow-1")};
    buf_init(&b, 1000);
    job_encode(&spec, 7, &b);
    assert_true(
        str_eq(buf_str(&b), STR("15+ 7 noop ue,600000,customer:42,eu "
                                "l5,100,60000,tenant,7 "
                                "cD,https://example.org/hook?a=1,2 n2,g "
                                "omail.a,reports.b wmail.flow-1\nnull")));
    assert_int_equal(job_decode(buf_str(&b), &back, &created, NULL), ST_OK);
    assert_int_equal(back.unique.hold, UNIQUE_ENDED);
    assert_int_equal(back.unique.ttl_ms, 600000);
    assert_true(str_eq(back.unique.key, spec.unique.key));
    assert_int_equal(back.limit.concurrency, 5);
    assert_int_equal(back.limit.rate, 100);
    assert_int_equal(back.limit.rate_period_ms, 60000);
    assert_true(str_eq(back.limit.key, spec.limit.key));
    assert_false(back.callback.on_succeeded);
    assert_true(back.callback.on_dead);
    assert_true(str_eq(back.callback.url, spec.callback.url));
    assert_int_equal(back.kin.parents, 2);
    assert_true(back.kin.go_on);
    assert_true(str_eq(back.kin.children, spec.kin.children));
    assert_true(str_eq(back.kin.flow, spec.kin.flow));
    buf_clear(&b);
}

/* The scripts look at a record only when its flag says so. */
static void
test_the_flag_says_what_is_used(void **state)
{
    struct job_spec spec = plain();

    (void)state;
    assert_false(job_options_used(&spec));
    spec.kin.flow = STR("mail.f"); /* only for people */
    assert_false(job_options_used(&spec));
#define USED(field, value)                    \
    do {                                      \
        struct job_spec with = plain();       \
        with.field = value;                   \
        assert_true(job_options_used(&with)); \
    } while (0)
    USED(expires_at_ms, 1);
    USED(unique.hold, UNIQUE_WAITING);
    USED(limit.key, STR("k"));
    USED(callback.url, STR("http://a/"));
    USED(kin.parents, 1);
    USED(kin.children, STR("a.b"));
#undef USED
}

static void
test_refuses_damaged_words(void **state)
{
    static const char *const bad[] = {
        "ux,0,k",   "uw,0,",       "uw,k",  "uw,-1,k",
        "ue,0,k",   "u",           "l",     "l1,2,3,",
        "l1,1,0,k", "l-1,0,0,k",   "l1,2",  "cX,http://a/",
        "cS,",      "cS,ftp://a/", "cS",    "n",
        "n0,s",     "n1",          "n1,x",  "n1001,s",
        "o",        "oab",         "oa.b,", "oa.b,,c.d",
        "w",
    };
    struct job_spec spec;
    int64_t created;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf b;
        buf_init(&b, 200);
        buf_addf(&b, "15+ 7 noop %s\nnull", bad[i]);
        if (job_decode(buf_str(&b), &spec, &created, NULL) != ST_INVALID)
            fail_msg("taken: %s", bad[i]);
        buf_clear(&b);
    }
}

static void
test_ranges_name_their_field(void **state)
{
    static char long_key[JOB_KEY_MAX + 2];
    struct error err;

    (void)state;
    memset(long_key, 'k', sizeof long_key - 1);
#define REFUSED(at, ...)                                          \
    do {                                                          \
        struct job_spec bad = plain();                            \
        __VA_ARGS__;                                              \
        assert_int_equal(job_spec_check(&bad, &err), ST_INVALID); \
        assert_string_equal(err.pointer, at);                     \
    } while (0)
    REFUSED("/unique/key", bad.unique.hold = UNIQUE_RUNNING);
    REFUSED("/unique/key", bad.unique.hold = UNIQUE_RUNNING,
            bad.unique.key = STR("a b"));
    REFUSED("/unique/key", bad.unique.hold = UNIQUE_RUNNING,
            bad.unique.key = str_c(long_key));
    REFUSED("/unique/ttl", bad.unique.hold = UNIQUE_ENDED,
            bad.unique.key = STR("k"));
    REFUSED("/unique/ttl", bad.unique.hold = UNIQUE_RUNNING,
            bad.unique.key = STR("k"), bad.unique.ttl_ms = -1);
    REFUSED("/limit/key", bad.limit.key = STR("a\nb"));
    REFUSED("/limit/concurrency", bad.limit.key = STR("k"),
            bad.limit.concurrency = -1);
    REFUSED("/limit/rate", bad.limit.key = STR("k"), bad.limit.rate = 1);
    REFUSED("/callback/url", bad.callback.url = STR("mailto:a@b"));
    REFUSED("/callback/url", bad.callback.url = STR("http://"));
    REFUSED("/callback/url", bad.callback.url = STR("http:///hook"));
    REFUSED("/callback/url", bad.callback.url = STR("https://:80/"));
    REFUSED("/callback/url", bad.callback.url = STR("https://u:p@a/"));
    REFUSED("/callback/on", bad.callback.url = STR("http://a/"));
    REFUSED("/after", bad.kin.parents = JOB_PARENTS_MAX + 1);
#undef REFUSED
}

static void
test_reads_rates(void **state)
{
    static const struct {
        const char *text;
        int rate;
        int64_t period_ms;
    } good[] = {
        {"100/s", 100, 1000}, {"5/m", 5, 60000},   {"7/h", 7, 3600000},
        {"1/d", 1, 86400000}, {"5/10s", 5, 10000}, {"3/500ms", 3, 500},
        {"2/30", 2, 30000}, /* seconds */
    };
    static const char *const bad[] = {"",          "100",  "/s",   "0/s",
                                      "1/",        "1/2d", "-1/s", "1/0s",
                                      "1000001/s", "1/x"};
    int32_t rate = -7;
    int64_t period_ms = -7;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (job_rate_parse(str_c(bad[i]), &rate, &period_ms))
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(rate, -7);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(job_rate_parse(str_c(good[i].text), &rate, &period_ms));
        assert_int_equal(rate, good[i].rate);
        assert_int_equal(period_ms, good[i].period_ms);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_option_survives),
        cmocka_unit_test(test_the_flag_says_what_is_used),
        cmocka_unit_test(test_refuses_damaged_words),
        cmocka_unit_test(test_ranges_name_their_field),
        cmocka_unit_test(test_reads_rates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

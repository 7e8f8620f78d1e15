/* Secrets and signatures of callbacks, against the example of the Standard
 * Webhooks specification. */
#include "webhook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* From the specification's test vector. */
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define BODY "{\"test\": 2432232314}"
#define SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
enum { AT_S = 1614265330 };

static void
sign(const struct webhook *webhook, struct buf *dst)
{
    buf_init(dst, 1024);
    webhook_sign(webhook, STR(ID), AT_S, STR(BODY), dst);
    assert_false(dst->failed);
}

static void
test_signature_is_that_of_the_specification(void **state)
{
    const struct options options = {.webhook_secret = SECRET};
    struct webhook webhook;
    struct error err;
    struct buf text;

    (void)state;
    assert_int_equal(webhook_init(&webhook, &options, &err), ST_OK);
    assert_int_equal(webhook.secrets_len, 1);
    sign(&webhook, &text);
    assert_true(str_eq_c(buf_str(&text), SIGNATURE));
    buf_clear(&text);
    webhook_clear(&webhook);
    assert_int_equal(webhook.secrets_len, 0);
}

static void
test_two_secrets_give_two_signatures(void **state)
{
    /* The same secret with and without its prefix. */
    const struct options options = {.webhook_secret = SECRET
                                    ", MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"};
    struct webhook webhook;
    struct error err;
    struct buf text;

    (void)state;
    assert_int_equal(webhook_init(&webhook, &options, &err), ST_OK);
    sign(&webhook, &text);
    assert_true(str_eq_c(buf_str(&text), SIGNATURE " " SIGNATURE));
    buf_clear(&text);
    webhook_clear(&webhook);
}

static void
test_secrets_from_a_file(void **state)
{
    char path[] = "/tmp/pit-webhook-XXXXXX";
    struct options options = {.webhook_secret_file = path};
    struct webhook webhook;
    struct error err;

    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(write(fd, "\n" SECRET "\n\n", sizeof SECRET + 2) > 0);
    close(fd);
    assert_int_equal(webhook_init(&webhook, &options, &err), ST_OK);
    assert_int_equal(webhook.secrets_len, 1);
    webhook_clear(&webhook);
    unlink(path);
    assert_int_equal(webhook_init(&webhook, &options, &err), ST_INVALID);
    assert_non_null(strstr(err.msg, "--webhook-secret-file"));
}

static void
test_bad_settings(void **state)
{
    static const char *const secrets[] = {
        "hunter2",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwA",
        SECRET "," SECRET "," SECRET,
    };
    struct webhook webhook;
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        const struct options options = {.webhook_secret = secrets[i]};
        if (webhook_init(&webhook, &options, &err) != ST_INVALID)
            fail_msg("%s was taken", secrets[i]);
        assert_non_null(strstr(err.msg, "--webhook-secret"));
        assert_null(strstr(err.msg, "MfKQ"));
        assert_null(strstr(err.msg, "hunter2"));
    }
    const struct options options = {.webhook_allow = "10.0.0.0/8,nobody"};
    assert_int_equal(webhook_init(&webhook, &options, &err), ST_INVALID);
    assert_non_null(strstr(err.msg, "--webhook-allow: 'nobody'"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature_is_that_of_the_specification),
        cmocka_unit_test(test_two_secrets_give_two_signatures),
        cmocka_unit_test(test_secrets_from_a_file),
        cmocka_unit_test(test_bad_settings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

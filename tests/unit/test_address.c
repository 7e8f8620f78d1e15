/* Which addresses a request that somebody else chose may go to. */
#include "async/curl/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static bool
allowed(const char *text, const struct address_rules *rules)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return address_allowed((void *)&v4, sizeof v4, rules);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return address_allowed((void *)&v6, sizeof v6, rules);
}

static void
test_public_addresses(void **state)
{
    static const char *const texts[] = {
        "1.1.1.1",          "9.255.255.255",        "11.0.0.0",
        "100.63.255.255",   "100.128.0.0",          "126.255.255.255",
        "128.0.0.0",        "169.253.255.255",      "172.15.255.255",
        "172.32.0.0",       "192.167.255.255",      "192.169.0.0",
        "198.17.255.255",   "198.20.0.0",           "223.255.255.255",
        "2606:4700::1111",  "2a00:1450:4001::200e", "::ffff:1.1.1.1",
        "64:ff9b::101:101",
    };
    const struct address_rules nobody = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (!allowed(texts[i], &nobody))
            fail_msg("%s is public", texts[i]);
}

static void
test_special_addresses(void **state)
{
    static const char *const texts[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    };
    const struct address_rules nobody = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (allowed(texts[i], &nobody))
            fail_msg("%s is not public", texts[i]);
}

static void
test_other_families_are_refused(void **state)
{
    const struct sockaddr_un local = {.sun_family = AF_UNIX};
    const struct sockaddr_in v4 = {.sin_family = AF_INET,
                                   .sin_addr = {htonl(0x01010101)}};
    const struct address_rules nobody = {0};
    char text[ADDRESS_TEXT_SIZE];

    (void)state;
    assert_false(address_allowed((const void *)&local, sizeof local, &nobody));
    assert_false(address_allowed((const void *)&v4, 4, &nobody));
    address_text((const void *)&v4, sizeof v4, text);
    assert_string_equal(text, "1.1.1.1");
    address_text((const void *)&local, sizeof local, text);
    assert_string_equal(text, "?");
}

static void
test_rules(void **state)
{
    struct address_rules rules;
    struct error err;

    (void)state;
    assert_int_equal(address_rules_parse(STR("10.1.0.0/16, 127.0.0.1,fd00::/9"),
                                         &rules, &err),
                     ST_OK);
    assert_int_equal(rules.networks_len, 3);
    assert_true(allowed("10.1.255.1", &rules));
    assert_false(allowed("10.2.0.1", &rules));
    assert_true(allowed("127.0.0.1", &rules));
    assert_true(allowed("::ffff:127.0.0.1", &rules));
    assert_false(allowed("127.0.0.2", &rules));
    assert_true(allowed("fd7f::1", &rules));
    assert_false(allowed("fd80::1", &rules));
    assert_true(allowed("1.1.1.1", &rules));
    assert_int_equal(address_rules_parse(STR("0.0.0.0/0"), &rules, &err),
                     ST_OK);
    assert_true(allowed("10.2.0.1", &rules));
    assert_false(allowed("::1", &rules));
    assert_int_equal(address_rules_parse(STR(""), &rules, &err), ST_OK);
    assert_int_equal(rules.networks_len, 0);
}

static void
test_bad_rules_are_named(void **state)
{
    static const char *const texts[] = {
        "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/",    "10.0.0.0/-1",
        "10.0.0/8",  ",1.2.3.4",    "/8",     "10.0.0.0/8/8",
    };
    struct address_rules rules;
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (address_rules_parse(str_c(texts[i]), &rules, &err) != ST_INVALID)
            fail_msg("%s was taken", texts[i]);
        assert_non_null(strstr(err.msg, "is no network"));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_addresses),
        cmocka_unit_test(test_special_addresses),
        cmocka_unit_test(test_other_families_are_refused),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_bad_rules_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

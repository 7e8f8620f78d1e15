/* The doctor's judgement of INFO texts; what it asks a real Redis is tested in
 * tests/integration/test_cli.py. */
#include "queue/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define HEALTHY                                                             \
    "# Server\r\nredis_version:7.0.15\r\nrole:master\r\n"                   \
    "maxmemory_policy:noeviction\r\naof_enabled:1\r\n"                      \
    "aof_last_write_status:ok\r\nrdb_last_bgsave_status:ok\r\n"             \
    "aof_delayed_fsync:0\r\nused_memory:1000000\r\nmaxmemory:100000000\r\n" \
    "total_system_memory:1000000000\r\n"

static struct doctor_facts
healthy(void)
{
    return (struct doctor_facts){
        .info = STR(HEALTHY), .appendfsync = STR("everysec"), .schema = 1};
}

/* The finding of one check; the first line of INFO that has a name counts. */
static const struct doctor_finding *
look(const struct doctor_facts *facts, const char *check)
{
    static struct doctor doctor;

    doctor_judge(facts, &doctor);
    for (size_t i = 0; i < doctor.len; i++)
        if (strcmp(doctor.findings[i].check, check) == 0)
            return &doctor.findings[i];
    fail_msg("no finding %s", check);
    return NULL;
}

static void
test_a_healthy_server_is_fine(void **state)
{
    struct doctor_facts facts = healthy();
    struct doctor doctor;

    (void)state;
    doctor_judge(&facts, &doctor);
    assert_true(doctor.len >= 8);
    for (size_t i = 0; i < doctor.len; i++)
        if (doctor.findings[i].level != DOCTOR_OK)
            fail_msg("%s: %s", doctor.findings[i].check,
                     doctor.findings[i].text);
    assert_int_equal(doctor_worst(&doctor), DOCTOR_OK);
}

static void
test_each_weakness_is_found(void **state)
{
    static const struct {
        const char *line;
        const char *check;
        enum doctor_level level;
    } rows[] = {
        {"redis_version:6.2.14", "version", DOCTOR_ERROR},
        {"redis_version:5.0.0", "version", DOCTOR_ERROR},
        {"redis_version:7.0.0", "version", DOCTOR_OK},
        {"redis_version:10.0.1", "version", DOCTOR_OK},
        {"role:slave", "role", DOCTOR_ERROR},
        {"maxmemory_policy:allkeys-lru", "eviction", DOCTOR_ERROR},
        {"maxmemory_policy:volatile-ttl", "eviction", DOCTOR_ERROR},
        {"aof_enabled:0", "append-only", DOCTOR_WARNING},
        {"aof_last_write_status:err", "persistence", DOCTOR_ERROR},
        {"rdb_last_bgsave_status:err", "persistence", DOCTOR_ERROR},
        {"aof_delayed_fsync:3", "persistence", DOCTOR_NOTE},
        {"used_memory:85000000", "memory", DOCTOR_WARNING},
        {"used_memory:99000000", "memory", DOCTOR_ERROR},
        {"maxmemory:0", "memory", DOCTOR_NOTE},
    };
    char text[1024];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct doctor_facts facts = healthy();
        snprintf(text, sizeof text, "%s\r\n" HEALTHY, rows[i].line);
        facts.info = str_c(text);
        const struct doctor_finding *found = look(&facts, rows[i].check);
        if (found->level != rows[i].level)
            fail_msg("%s: %s", rows[i].line, found->text);
        assert_true((found->level == DOCTOR_OK) == (found->fix[0] == '\0'));
    }
}

static void
test_memory_is_measured_against_the_machine(void **state)
{
    struct doctor_facts facts = healthy();

    (void)state;
    facts.info = STR("used_memory:900000000\nmaxmemory:0\n"
                     "total_system_memory:1000000000\n");
    assert_int_equal(look(&facts, "memory")->level, DOCTOR_WARNING);
}

static void
test_what_cannot_be_asked_is_a_note(void **state)
{
    struct doctor_facts facts = {.schema = 1};

    (void)state;
    assert_int_equal(look(&facts, "version")->level, DOCTOR_NOTE);
    assert_int_equal(look(&facts, "eviction")->level, DOCTOR_NOTE);
    assert_int_equal(look(&facts, "append-only")->level, DOCTOR_NOTE);
}

static void
test_fsync_clock_and_schema(void **state)
{
    struct doctor_facts facts = healthy();

    (void)state;
    facts.appendfsync = STR("no");
    facts.skew_ms = -1001;
    facts.schema = 2;
    assert_int_equal(look(&facts, "append-only")->level, DOCTOR_WARNING);
    assert_int_equal(look(&facts, "clock")->level, DOCTOR_WARNING);
    assert_non_null(strstr(look(&facts, "clock")->text, "1001 ms behind"));
    assert_int_equal(look(&facts, "schema")->level, DOCTOR_ERROR);
    facts.appendfsync = STR("always");
    facts.skew_ms = 1000;
    facts.schema = 0;
    assert_int_equal(look(&facts, "append-only")->level, DOCTOR_OK);
    assert_int_equal(look(&facts, "clock")->level, DOCTOR_OK);
    assert_int_equal(look(&facts, "schema")->level, DOCTOR_OK);
    facts.schema = -1;
    assert_int_equal(look(&facts, "schema")->level, DOCTOR_ERROR);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_healthy_server_is_fine),
        cmocka_unit_test(test_each_weakness_is_found),
        cmocka_unit_test(test_memory_is_measured_against_the_machine),
        cmocka_unit_test(test_what_cannot_be_asked_is_a_note),
        cmocka_unit_test(test_fsync_clock_and_schema),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

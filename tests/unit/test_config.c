/* Options: precedence, kinds and ranges, and above all the words of every
 * refusal, which are what a user meets. */
#include "base/config.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct values {
    int64_t slots;
    int64_t offset;
    int64_t grace_ms;
    int64_t max_body;
    const char *redis;
    const char *token;
    const char *app;
    const char *listen;
    bool json;
    bool strict;
};

static const struct config_option options[] = {
    {.name = "slots",
     .value_name = "N",
     .kind = CONFIG_INT,
     .offset = offsetof(struct values, slots),
     .standard = "4",
     .min = 1,
     .max = 1024,
     .help = "processes that run tasks"},
    {.name = "offset",
     .value_name = "N",
     .kind = CONFIG_INT,
     .offset = offsetof(struct values, offset),
     .min = -10,
     .max = 10,
     .help = "for this test"},
    {.name = "grace",
     .value_name = "DURATION",
     .kind = CONFIG_DURATION,
     .offset = offsetof(struct values, grace_ms),
     .standard = "30s",
     .min = 100,
     .max = 7200000,
     .help = "time to finish in"},
    {.name = "max-body",
     .value_name = "BYTES",
     .kind = CONFIG_BYTES,
     .offset = offsetof(struct values, max_body),
     .standard = "1MiB",
     .min = 1024,
     .max = INT64_C(64) << 20,
     .help = "largest request body"},
    {.name = "redis",
     .value_name = "URL",
     .kind = CONFIG_STRING,
     .offset = offsetof(struct values, redis),
     .standard = "redis://127.0.0.1:6379/0",
     .help = "where the jobs are"},
    {.name = "token",
     .value_name = "TOKEN-OF-A-LONG-NAME",
     .kind = CONFIG_STRING,
     .offset = offsetof(struct values, token),
     .standard = "hush",
     .secret = true,
     .help = "for this test"},
    {.name = "app",
     .value_name = "FILE",
     .kind = CONFIG_STRING,
     .offset = offsetof(struct values, app),
     .help = "the application"},
    {.name = "listen",
     .value_name = "ADDRESS",
     .kind = CONFIG_LIST,
     .offset = offsetof(struct values, listen),
     .help = "for this test"},
    {.name = "json",
     .kind = CONFIG_BOOL,
     .offset = offsetof(struct values, json),
     .help = "log as JSON"},
    {.name = "strict",
     .kind = CONFIG_BOOL,
     .offset = offsetof(struct values, strict),
     .standard = "yes",
     .help = "for this test"},
    {.name = NULL},
};

static const struct config_program program = {
    .name = "pit-test",
    .synopsis = "pit-test [OPTION...]",
    .about = "Tests options.",
    .options = options,
};

static char file_path[] = "/tmp/pit-test-config-XXXXXX";

/* What the last load() left; freed by the next, and at the end of a test. */
static struct {
    struct values values;
    char *argv[16];
    int argc;
    struct error err;
} last;

static void
forget(void)
{
    config_clear(&program, &last.values);
}

/* Takes words up to a NULL. */
static enum status
load_words(const char *const *words)
{
    int argc = 0;

    forget();
    for (; words[argc]; argc++)
        memcpy(&last.argv[argc], &words[argc], sizeof *last.argv);
    last.argv[argc] = NULL;
    memset(&last.values, 'x', sizeof last.values);
    memset(&last.err, 0, sizeof last.err);
    last.argc = -1;
    return config_load(&program, argc, last.argv, &last.values, &last.argc,
                       &last.err);
}

#define LOAD(...) \
    load_words((const char *const[]){"pit-test", ##__VA_ARGS__, NULL})
#define ASSERT_LOADS(...)                 \
    do {                                  \
        if (LOAD(__VA_ARGS__) != ST_OK)   \
            fail_msg("%s", last.err.msg); \
    } while (0)
#define ASSERT_REFUSED(message, ...)                     \
    do {                                                 \
        assert_int_equal(LOAD(__VA_ARGS__), ST_INVALID); \
        assert_string_equal(last.err.msg, message);      \
    } while (0)

static void
write_file(const char *text)
{
    FILE *f = fopen(file_path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int
clean(void **state)
{
    (void)state;
    forget();
    for (const struct config_option *o = options; o->name; o++) {
        char name[64] = "PIT_";
        for (size_t i = 0; o->name[i]; i++)
            name[4 + i] =
                (char)(o->name[i] == '-' ? '_' : o->name[i] - 'a' + 'A');
        unsetenv(name);
    }
    unsetenv("PIT_CONFIG");
    return 0;
}

static void
test_defaults(void **state)
{
    (void)state;
    ASSERT_LOADS();
    assert_int_equal(last.values.slots, 4);
    assert_int_equal(last.values.offset, 0);
    assert_int_equal(last.values.grace_ms, 30000);
    assert_int_equal(last.values.max_body, 1 << 20);
    assert_string_equal(last.values.redis, "redis://127.0.0.1:6379/0");
    assert_null(last.values.app);
    assert_false(last.values.json);
    assert_true(last.values.strict);
    assert_int_equal(last.argc, 1);
}

static void
test_flags_in_both_forms(void **state)
{
    (void)state;
    ASSERT_LOADS("--slots=7", "--redis", "unix:/x", "--json", "--strict=no",
                 "--offset", "-3", "--grace=500ms", "--max-body", "2MiB",
                 "--app=a=b");
    assert_int_equal(last.values.slots, 7);
    assert_string_equal(last.values.redis, "unix:/x");
    assert_true(last.values.json);
    assert_false(last.values.strict);
    assert_int_equal(last.values.offset, -3);
    assert_int_equal(last.values.grace_ms, 500);
    assert_int_equal(last.values.max_body, 2 << 20);
    assert_string_equal(last.values.app, "a=b");
    /* The last of two wins. */
    ASSERT_LOADS("--slots=7", "--slots=8", "--app=x", "--app=", "--json=yes",
                 "--json=off");
    assert_int_equal(last.values.slots, 8);
    assert_string_equal(last.values.app, "");
    assert_false(last.values.json);
}

static void
test_words_stay(void **state)
{
    (void)state;
    ASSERT_LOADS("enqueue", "--json", "noop", "--slots", "2", "-", "--",
                 "--slots", "-x");
    assert_int_equal(last.argc, 6);
    assert_string_equal(last.argv[0], "pit-test");
    assert_string_equal(last.argv[1], "enqueue");
    assert_string_equal(last.argv[2], "noop");
    assert_string_equal(last.argv[3], "-");
    assert_string_equal(last.argv[4], "--slots");
    assert_string_equal(last.argv[5], "-x");
    assert_null(last.argv[6]);
    assert_int_equal(last.values.slots, 2);
    /* A flag that needs no value takes none. */
    ASSERT_LOADS("--json", "no");
    assert_true(last.values.json);
    assert_string_equal(last.argv[1], "no");
}

static void
test_precedence(void **state)
{
    (void)state;
    write_file("slots = 10\nmax-body = 10KiB\nredis = file\napp = file\n");
    setenv("PIT_CONFIG", file_path, 1);
    ASSERT_LOADS();
    assert_int_equal(last.values.slots, 10);
    setenv("PIT_SLOTS", "20", 1);
    setenv("PIT_MAX_BODY", "20KiB", 1);
    setenv("PIT_REDIS", "environment", 1);
    ASSERT_LOADS("--slots=30", "--redis=flag");
    assert_int_equal(last.values.slots, 30);
    assert_int_equal(last.values.max_body, 20 << 10);
    assert_string_equal(last.values.redis, "flag");
    assert_string_equal(last.values.app, "file");
    /* An empty variable is as good as none. */
    setenv("PIT_SLOTS", "", 1);
    ASSERT_LOADS();
    assert_int_equal(last.values.slots, 10);
    /* The flag's file, not the environment's. */
    setenv("PIT_CONFIG", "/nowhere", 1);
    ASSERT_LOADS("--config", file_path);
    assert_int_equal(last.values.slots, 10);
    setenv("PIT_CONFIG", "", 1);
    ASSERT_LOADS();
    assert_int_equal(last.values.slots, 4);
}

static void
test_file_syntax(void **state)
{
    (void)state;
    write_file("# a comment\n"
               "\n"
               "  slots=12   # another\r\n"
               "\tredis =\tredis://:pa#ss@h/0#x \n"
               "json = yes\n"
               "app =\n"
               "grace = 2h");
    ASSERT_LOADS("--config", file_path);
    assert_int_equal(last.values.slots, 12);
    assert_string_equal(last.values.redis, "redis://:pa#ss@h/0#x");
    assert_true(last.values.json);
    assert_string_equal(last.values.app, "");
    assert_int_equal(last.values.grace_ms, 7200000);
    write_file("");
    ASSERT_LOADS("--config", file_path);
}

static void
assert_file_refused(const char *text, const char *message)
{
    char want[ERROR_MSG_SIZE];

    write_file(text);
    assert_int_equal(LOAD("--config", file_path), ST_INVALID);
    snprintf(want, sizeof want, "%s:%s", file_path, message);
    assert_string_equal(last.err.msg, want);
}

static void
test_file_refusals(void **state)
{
    char big[70000];

    (void)state;
    assert_file_refused("\n# x\nslots = x\n",
                        "3: slots: \"x\" is not a whole number between 1 and "
                        "1024 (see --help)");
    assert_file_refused("slot = 3",
                        "1: there is no option \"slot\" (see --help)");
    assert_file_refused("config = x",
                        "1: there is no option \"config\" (see --help)");
    assert_file_refused("slots = 3\n\nslots = 3", "3: slots was set before");
    assert_file_refused("slots 3", "1: a line must read \"name = value\"");
    assert_file_refused("= 3", "1: a line must read \"name = value\"");
    assert_file_refused("[web]", "1: a line must read \"name = value\"");

    ASSERT_REFUSED("--config: cannot open /nowhere/x: No such file or "
                   "directory",
                   "--config=/nowhere/x");
    ASSERT_REFUSED("--config: cannot read /: Is a directory", "--config=/");
    setenv("PIT_CONFIG", "/nowhere/x", 1);
    ASSERT_REFUSED("PIT_CONFIG: cannot open /nowhere/x: No such file or "
                   "directory");
    ASSERT_REFUSED("--config: a file's name is missing", "--config");
    ASSERT_REFUSED("--config: a file's name is missing", "--config=");

    static const size_t sizes[] = {65536, 65537, 69999};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        memset(big, '\n', sizeof big);
        big[sizes[i]] = '\0';
        write_file(big);
        assert_int_equal(LOAD("--config", file_path), i ? ST_INVALID : ST_OK);
        assert_true(!i || strstr(last.err.msg, "larger than 65536 bytes"));
    }
}

static void
test_flag_refusals(void **state)
{
    (void)state;
    ASSERT_REFUSED("--slots: \"x\" is not a whole number between 1 and 1024 "
                   "(see --help)",
                   "--slots", "x");
    ASSERT_REFUSED("--slots: \"0\" is not a whole number between 1 and 1024 "
                   "(see --help)",
                   "--slots=0");
    ASSERT_REFUSED("--slots: \"1025\" is not a whole number between 1 and 1024 "
                   "(see --help)",
                   "--slots=1025");
    ASSERT_REFUSED("--slots: \"\" is not a whole number between 1 and 1024 "
                   "(see --help)",
                   "--slots=");
    ASSERT_REFUSED("--offset: \"-11\" is not a whole number between -10 and 10 "
                   "(see --help)",
                   "--offset", "-11");
    ASSERT_REFUSED("--grace: \"5\xc3\xa9\" is not a duration such as 500ms, "
                   "30s or 2h between 100ms and 2h (see --help)",
                   "--grace=5\xc3\xa9");
    ASSERT_REFUSED("--grace: \"99ms\" is not a duration such as 500ms, "
                   "30s or 2h between 100ms and 2h (see --help)",
                   "--grace=99ms");
    ASSERT_REFUSED("--max-body: \"1MB\" is not a size such as 65536, 64KiB or "
                   "1MiB between 1KiB and 64MiB (see --help)",
                   "--max-body=1MB");
    ASSERT_REFUSED("--max-body: \"9223372036854775807GiB\" is not a size such "
                   "as 65536, 64KiB or 1MiB between 1KiB and 64MiB "
                   "(see --help)",
                   "--max-body=9223372036854775807GiB");
    ASSERT_REFUSED("--json: \"maybe\" is not yes or no (see --help)",
                   "--json=maybe");
    ASSERT_REFUSED("--slots: a value is missing (see --help)", "--slots");
    ASSERT_REFUSED("--redis: a value is missing (see --help)", "--redis",
                   "--json");
    ASSERT_REFUSED("there is no option --slot (see --help)", "--slot=3");
    ASSERT_REFUSED("there is no option -s (see --help)", "-s", "3");
    setenv("PIT_SLOTS", "many", 1);
    ASSERT_REFUSED("PIT_SLOTS: \"many\" is not a whole number between 1 and "
                   "1024 (see --help)");
    /* Also when a flag would hide it. */
    ASSERT_REFUSED("PIT_SLOTS: \"many\" is not a whole number between 1 and "
                   "1024 (see --help)",
                   "--slots=3");
}

static void
test_refusal_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(LOAD("a", "--redis=x", "b", "--slots=x"), ST_INVALID);
    assert_int_equal(last.argc, -1);
    assert_string_equal(last.argv[1], "a");
    assert_string_equal(last.argv[2], "--redis=x");
    assert_string_equal(last.argv[4], "--slots=x");
    assert_null(last.values.redis);
    assert_null(last.values.token);
}

static void
test_long_values_are_cut_in_errors(void **state)
{
    char flag[3000] = "--slots=";

    (void)state;
    memset(flag + 8, '9', sizeof flag - 9);
    assert_int_equal(LOAD(flag), ST_INVALID);
    assert_non_null(strstr(last.err.msg, "999...\" is not a whole number"));
    memset(flag + 2, 'a', sizeof flag - 3);
    assert_int_equal(LOAD(flag), ST_INVALID);
    assert_non_null(strstr(last.err.msg, "(see --help)"));
}

static void
test_secrets_stay_secret(void **state)
{
    static const struct config_option secret[] = {
        {.name = "pin",
         .kind = CONFIG_INT,
         .min = 1000,
         .max = 9999,
         .secret = true,
         .help = "x",
         .standard = "1234"},
        {.name = NULL},
    };
    const struct config_program p = {"p", "p", "p", secret};
    char word[] = "--pin=hunter2";
    char *argv[] = {word, word, NULL};
    int64_t pin;
    int argc = 2;

    (void)state;
    assert_int_equal(config_load(&p, 2, argv, &pin, &argc, &last.err),
                     ST_INVALID);
    assert_string_equal(last.err.msg, "--pin: the value is not a whole number "
                                      "between 1000 and 9999 (see --help)");
}

static void
test_wants(void **state)
{
    char name[] = "p", help[] = "--help", end[] = "--", word[] = "x";
    char *early[] = {name, word, help, end, NULL};
    char *late[] = {name, word, end, help, NULL};

    (void)state;
    assert_true(config_wants(4, early, "--help"));
    assert_false(config_wants(4, late, "--help"));
    assert_false(config_wants(1, early, "--help"));
    assert_false(config_wants(4, early, "--version"));
    ASSERT_LOADS("--help", "x", "--version");
    assert_int_equal(last.argc, 2);
}

static void
test_lists(void **state)
{
    const char *file = NULL;

    (void)state;
    ASSERT_LOADS();
    assert_null(last.values.listen);
    ASSERT_LOADS("--listen", "a", "--listen=b,c", "--listen", "d");
    assert_string_equal(last.values.listen, "a,b,c,d");
    /* Flags still win over the rest: they do not add to it. */
    setenv("PIT_LISTEN", "x,y", 1);
    ASSERT_LOADS();
    assert_string_equal(last.values.listen, "x,y");
    ASSERT_LOADS("--listen=a", "--listen=b");
    assert_string_equal(last.values.listen, "a,b");

    /* The name of the file alone. */
    char *words[] = {(char *)(uintptr_t) "pit-test",
                     (char *)(uintptr_t) "--config=/a", NULL};
    assert_int_equal(config_file(&program, 1, words, &file, NULL), ST_OK);
    assert_null(file);
    assert_int_equal(config_file(&program, 2, words, &file, NULL), ST_OK);
    assert_string_equal(file, "/a");
}

static void
test_help(void **state)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    (void)state;
    config_help(&program, out);
    fclose(out);
    assert_ptr_equal(strstr(text, "Usage: pit-test [OPTION...]\n\nTests "
                                  "options.\n\nOptions:\n"),
                     text);
    assert_non_null(strstr(text, "  --slots N                 processes that "
                                 "run tasks\n"
                                 "                            [PIT_SLOTS, "
                                 "default 4]\n"));
    assert_non_null(strstr(text, "[PIT_MAX_BODY, default 1MiB]"));
    assert_non_null(strstr(text, "  --json                    log as JSON\n"
                                 "                            [PIT_JSON]\n"));
    assert_non_null(strstr(text, "  --token TOKEN-OF-A-LONG-NAME\n"
                                 "                            for this test\n"
                                 "                            [PIT_TOKEN]\n"));
    assert_null(strstr(text, "hush"));
    assert_non_null(strstr(text, "--config FILE"));
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        assert_true(len <= 80);
        line += len + (line[len] == '\n');
    }
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_defaults, clean),
        cmocka_unit_test_teardown(test_flags_in_both_forms, clean),
        cmocka_unit_test_teardown(test_words_stay, clean),
        cmocka_unit_test_teardown(test_precedence, clean),
        cmocka_unit_test_teardown(test_file_syntax, clean),
        cmocka_unit_test_teardown(test_file_refusals, clean),
        cmocka_unit_test_teardown(test_flag_refusals, clean),
        cmocka_unit_test_teardown(test_refusal_changes_nothing, clean),
        cmocka_unit_test_teardown(test_long_values_are_cut_in_errors, clean),
        cmocka_unit_test_teardown(test_secrets_stay_secret, clean),
        cmocka_unit_test_teardown(test_wants, clean),
        cmocka_unit_test_teardown(test_lists, clean),
        cmocka_unit_test_teardown(test_help, clean),
    };

    int fd = mkstemp(file_path);
    if (fd < 0)
        return 1;
    close(fd);
    clean(NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(file_path);
    return failed;
}

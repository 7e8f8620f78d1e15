/* Log lines, read back from a pipe that stands in for standard error. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "pit/log.h"

/* A packet pipe keeps each write() apart: one read() returns one line, so a
 * line made of two writes shows. */
struct capture {
    int saved;
    int read_end;
    char line[2 * LOG_LINE_MAX];
    size_t len;
};

static struct capture cap;

static void
start_capture(void)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_DIRECT | O_NONBLOCK), 0);
    cap.saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    cap.read_end = ends[0];
}

/* The next line without its newline, "" when there is none. */
static const char *
next_line(void)
{
    ssize_t n = read(cap.read_end, cap.line, sizeof cap.line - 1);

    cap.len = n > 0 ? (size_t)n : 0;
    cap.line[cap.len] = '\0';
    if (cap.len && cap.line[cap.len - 1] == '\n')
        cap.line[--cap.len] = '\0';
    return cap.line;
}

static void
stop_capture(void)
{
    dup2(cap.saved, STDERR_FILENO);
    close(cap.saved);
    close(cap.read_end);
}

static struct log_tag tag_now;

static struct log_tag
tag(void)
{
    return tag_now;
}

static const char *
tagged_line(const char *job, const char *request)
{
    tag_now = (struct log_tag){job, request};
    log_info("done");
    return strchr(next_line(), ']');
}

static void
test_whose_work_it_is(void **state)
{
    (void)state;
    log_init("pit", LOG_LEVEL_INFO, false);
    log_tag_from(tag);
    start_capture();
    assert_string_equal(tagged_line("", ""), "] done");
    assert_string_equal(tagged_line("mail.1", ""), "] mail.1: done");
    assert_string_equal(tagged_line("", "req-7"), "] req-7: done");
    assert_string_equal(tagged_line("mail.1", "req-7"), "] mail.1 req-7: done");
    log_init("pit", LOG_LEVEL_INFO, true);
    (void)tagged_line("mail.1", "req-7");
    assert_non_null(strstr(cap.line,
                           ",\"job\":\"mail.1\",\"request\":\"req-7\","
                           "\"message\":\"done\"}"));
    stop_capture();
    tag_now = (struct log_tag){"", ""};
    log_init("pit-test", LOG_LEVEL_INFO, false);
}

static void
test_text_line(void **state)
{
    char want[100];

    (void)state;
    log_init("pit-test", LOG_LEVEL_INFO, false);
    start_capture();
    log_info("%d jobs", 3);
    log_error("bad");
    next_line();
    stop_capture();
    snprintf(want, sizeof want, " info  pit-test[%ld] 3 jobs", (long)getpid());
    assert_string_equal(cap.line + CLOCK_TIME_LEN, want);
    int64_t at;
    assert_true(clock_parse(str_from(cap.line, CLOCK_TIME_LEN), &at));
    assert_true(at <= clock_wall_ms() && at > clock_wall_ms() - 60000);
}

static void
test_least_level(void **state)
{
    (void)state;
    log_init("pit-test", LOG_LEVEL_WARN, false);
    start_capture();
    log_debug("no");
    log_info("no");
    log_warn("yes");
    log_error("also");
    bool first = strstr(next_line(), " warn  ") != NULL;
    bool second = strstr(next_line(), " error ") != NULL;
    bool none = next_line()[0] == '\0';
    stop_capture();
    assert_true(first && second && none);
    assert_false(log_enabled(LOG_LEVEL_INFO));
    assert_true(log_enabled(LOG_LEVEL_WARN));
}

static void
test_no_input_forges_a_line(void **state)
{
    (void)state;
    log_init("pit-test", LOG_LEVEL_INFO, false);
    start_capture();
    log_info("%s", "a\n2026 error \r\tx\x1b[2J\x7f\xc2\x9b"
                   "b\xff\xc3\xa9 \"q\\");
    next_line();
    stop_capture();
    assert_string_equal(strstr(cap.line, "] ") + 2,
                        "a\\n2026 error \\x0d\\tx\\x1b[2J\\x7f\\x9bb\\xff"
                        "\xc3\xa9 \"q\\");
}

static void
test_json_line(void **state)
{
    json_error_t problem;

    (void)state;
    log_init("pit-\"test", LOG_LEVEL_INFO, true);
    start_capture();
    log_warn("%s", "a\n\"b\\\x01\x7f\xc2\x9b\xff\xc3\xa9");
    next_line();
    stop_capture();
    json_t *line = json_loads(cap.line, 0, &problem);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "message")),
                        "a\n\"b\\\x01\x7f\xc2\x9b\xef\xbf\xbd\xc3\xa9");
    assert_string_equal(json_string_value(json_object_get(line, "level")),
                        "warn");
    assert_string_equal(json_string_value(json_object_get(line, "process")),
                        "pit-\"test");
    assert_int_equal(json_integer_value(json_object_get(line, "pid")),
                     getpid());
    int64_t at;
    assert_true(clock_parse(
        str_c(json_string_value(json_object_get(line, "time"))), &at));
    json_decref(line);
    assert_null(strpbrk(cap.line, "\n\x01\x1b\x7f"));
}

static void
test_long_lines_are_cut_whole(void **state)
{
    char text[3 * LOG_LINE_MAX];

    (void)state;
    for (int json = 0; json < 2; json++) {
        for (size_t shift = 0; shift < 12; shift++) {
            log_init("pit-test", LOG_LEVEL_INFO, json);
            memset(text, 'a', sizeof text);
            for (size_t i = shift; i + 5 < sizeof text; i += 5)
                memcpy(text + i,
                       shift % 2 ? "\xf0\x9f\x94\xa5\n" : "\x01\"\\\xff\n", 5);
            text[sizeof text - 1] = '\0';
            start_capture();
            log_info("%s", text);
            next_line();
            stop_capture();
            assert_true(cap.len < LOG_LINE_MAX && cap.len > LOG_LINE_MAX - 40);
            if (json) {
                json_t *line = json_loadb(cap.line, cap.len, 0, NULL);
                assert_non_null(line);
                json_decref(line);
            }
            const char *tail = json ? "...\"}" : "...";
            assert_string_equal(cap.line + cap.len - strlen(tail), tail);
        }
    }
}

static void
test_errno_survives(void **state)
{
    (void)state;
    log_init("pit-test", LOG_LEVEL_INFO, false);
    start_capture();
    close(STDERR_FILENO);
    errno = ENOSPC;
    log_info("nobody reads this");
    int after = errno;
    stop_capture();
    assert_int_equal(after, ENOSPC);
    start_capture();
    errno = ENOSPC;
    log_info("write: %m");
    next_line();
    stop_capture();
    assert_string_equal(strstr(cap.line, "] ") + 2,
                        "write: No space left on device");
}

static void
test_fatal_logs_and_aborts(void **state)
{
    int status;

    (void)state;
    log_init("pit-test", LOG_LEVEL_ERROR, false);
    start_capture();
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka would catch it */
        log_fatal("no way on: %d", 7);
    }
    waitpid(pid, &status, 0);
    next_line();
    stop_capture();
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(cap.line, "no way on: 7"));
}

static void
test_allocations(void **state)
{
    (void)state;
    char *bytes = xcalloc(3, 5);
    for (int i = 0; i < 15; i++)
        assert_int_equal(bytes[i], 0);
    free(bytes);
    free(xcalloc(0, 0));
    char *copy = xstrdup("abc");
    assert_string_equal(copy, "abc");
    free(copy);
}

/* What an application says goes the same way. */
static void
test_public_lines(void **state)
{
    (void)state;
    log_init("pit-test", LOG_LEVEL_INFO, false);
    start_capture();
    pit_log_debug("not seen");
    pit_log_warn("%d ribs\n", 3);
    const char *line = next_line();
    assert_non_null(strstr(line, " warn  pit-test["));
    assert_non_null(strstr(line, "] 3 ribs\\n"));
    assert_string_equal(next_line(), "");
    stop_capture();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose_work_it_is),
        cmocka_unit_test(test_text_line),
        cmocka_unit_test(test_least_level),
        cmocka_unit_test(test_no_input_forges_a_line),
        cmocka_unit_test(test_json_line),
        cmocka_unit_test(test_long_lines_are_cut_whole),
        cmocka_unit_test(test_errno_survives),
        cmocka_unit_test(test_fatal_logs_and_aborts),
        cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_public_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

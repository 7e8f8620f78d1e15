/* The demo application's tasks, run in process as a slot child runs them, and
 * what its view answers is tested over HTTP. */
#include "app/loader.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/task/job_context.h"
#include "base/clock.h"

extern char **environ;

static struct loader smokehouse;
static char folder[] = "/tmp/pit-smokehouse-XXXXXX";

/* What a run left behind. */
struct run {
    enum status status;
    char error[ERROR_MSG_SIZE];
    json_t *result; /* NULL: none */
    int reports;    /* of progress */
    int64_t done, total;
    bool cancel; /* in: cancelled from the start */
};

static void
hear_progress(void *arg, const struct job_progress *progress)
{
    struct run *run = arg;

    run->reports++;
    run->done = progress->done;
    run->total = progress->total;
}

static bool
hear_cancelled(void *arg)
{
    return ((struct run *)arg)->cancel;
}

static void
run_job(const char *task, const char *args, int attempt, int crashes,
        struct run *run)
{
    static const struct job_ops ops = {hear_progress, hear_cancelled};
    const struct app_task *found = app_task_find(&smokehouse.app, str_c(task));
    const struct job_start start = {
        .id = "default.01TEST",
        .task = task,
        .attempt = attempt,
        .crashes = crashes,
        .args = str_c(args),
        .ops = &ops,
        .arg = run,
    };
    struct pit_job job;

    assert_non_null(found);
    job_context_init(&job, &start);
    run->status = job_context_run(&job, found->run);
    run->error[0] = '\0';
    if (run->status != ST_OK)
        str_copy_to(str_c(job.error.msg), run->error, sizeof run->error);
    run->result = json_loadb(job.result.len ? job.result.p : "", job.result.len,
                             JSON_DECODE_ANY, NULL);
    job_context_clear(&job);
}

static int64_t
integer(const struct run *run, const char *path_a, const char *path_b)
{
    const json_t *at = json_object_get(run->result, path_a);

    if (path_b)
        at = json_object_get(at, path_b);
    assert_true(json_is_integer(at));
    return json_integer_value(at);
}

static const char *
text(const struct run *run, const char *name)
{
    return json_string_value(json_object_get(run->result, name));
}

/* --- trials -------------------------------------------------------------- */

static void
test_noop_and_echo(void **state)
{
    struct run run = {0};

    (void)state;
    run_job("noop", "{\"whatever\": 1}", 1, 0, &run);
    assert_int_equal(run.status, ST_OK);
    assert_null(run.result);

    run_job("echo", "{\"a\": [1, \"\xc3\xa9\"]}", 1, 0, &run);
    assert_int_equal(run.status, ST_OK);
    json_t *want = json_loads("{\"a\": [1, \"\xc3\xa9\"]}", 0, NULL);
    assert_true(json_equal(run.result, want));
    json_decref(want);
    json_decref(run.result);

    run_job("echo", NULL, 1, 0, &run);
    assert_int_equal(run.status, ST_OK);
    assert_null(run.result);
}

static void
test_sleep_takes_its_time(void **state)
{
    struct run run = {0};
    int64_t before_ms = clock_mono_ms();

    (void)state;
    run_job("sleep", "{\"seconds\": 0.25}", 1, 0, &run);
    assert_int_equal(run.status, ST_OK);
    assert_true(clock_mono_ms() - before_ms >= 249);
    assert_true(run.reports >= 2);
    assert_int_equal(run.total, 250);
    json_decref(run.result);
}

static void
test_sleep_and_spin_hear_a_cancellation(void **state)
{
    static const char *const tasks[] = {"sleep", "spin"};
    int64_t before_ms = clock_mono_ms();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++) {
        struct run run = {.cancel = true};
        run_job(tasks[i], "{\"seconds\": 600}", 1, 0, &run);
        assert_int_equal(run.status, ST_CANCELLED);
    }
    assert_true(clock_mono_ms() - before_ms < 60000);
}

static void
test_spin_burns(void **state)
{
    struct run run = {0};

    (void)state;
    run_job("spin", "{\"seconds\": 0.02}", 1, 0, &run);
    assert_int_equal(run.status, ST_OK);
    assert_true(integer(&run, "turns", NULL) > 0);
    json_decref(run.result);
}

static void
test_fail_says_why(void **state)
{
    struct run run = {0};

    (void)state;
    run_job("fail", "{\"message\": \"the wood was wet\"}", 1, 0, &run);
    assert_int_equal(run.status, ST_FAILED);
    assert_string_equal(run.error, "the wood was wet");
    run_job("fail", NULL, 1, 0, &run);
    assert_int_equal(run.status, ST_FAILED);
    assert_string_not_equal(run.error, "");
}

static void
test_flaky_succeeds_in_the_end(void **state)
{
    struct run run = {0};

    (void)state;
    for (int attempt = 1; attempt <= 2; attempt++) {
        run_job("flaky", "{\"failures\": 2}", attempt, 0, &run);
        assert_int_equal(run.status, ST_FAILED);
    }
    run_job("flaky", "{\"failures\": 2}", 3, 0, &run);
    assert_int_equal(run.status, ST_OK);
    assert_int_equal(integer(&run, "attempts", NULL), 3);
    json_decref(run.result);
}

static void
test_crash_kills_only_its_child(void **state)
{
    struct run run = {0};
    int how;

    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); /* not the test library's handler */
        run_job("crash", "{\"times\": 1}", 1, 0, &run);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGSEGV);

    run_job("crash", "{\"times\": 1}", 2, 1, &run);
    assert_int_equal(run.status, ST_OK);
    json_decref(run.result);
}

static void
test_bad_args_are_permanent(void **state)
{
    static const struct {
        const char *task, *args, *says;
    } rows[] = {
        {"sleep", "{\"seconds\": \"2\"}", "seconds"},
        {"sleep", "{\"seconds\": -1}", "0..3600"},
        {"sleep", "{\"secnds\": 2}", "does not know"},
        {"sleep", "[2]", "object"},
        {"spin", "{\"seconds\": 3601}", "seconds"},
        {"fail", "{\"message\": 1}", "message"},
        {"flaky", "{\"failures\": null}", "failures"},
        {"crash", "{\"times\": true}", "times"},
        {"reports.packages", "{\"top\": 0}", "top"},
        {"reports.packages", "{\"dir\": \"\"}", "dir"},
        {"reports.packages", "{\"status_file\": \"/nonexistent/status\"}",
         "/nonexistent/status"},
        {"reports.packages", "{\"status_file\": \"/dev/zero\"}", "/dev/zero"},
        {"reports.packages", "{\"status_file\": \"/tmp\"}", "/tmp"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct run run = {0};
        run_job(rows[i].task, rows[i].args, 1, 0, &run);
        if (run.status != ST_PERMANENT || !strstr(run.error, rows[i].says))
            fail_msg("%s %s: %s \"%s\"", rows[i].task, rows[i].args,
                     status_name(run.status), run.error);
    }
}

/* The other example, while a loader is at hand. */
static void
test_hello_greets(void **state)
{
    const struct job_start start = {.id = "default.01TEST",
                                    .task = "hello.greet",
                                    .attempt = 1,
                                    .args = STR("{\"name\": \"Ada\"}")};
    struct loader hello;
    struct pit_job job;
    struct error err;

    (void)state;
    assert_int_equal(loader_open(EXAMPLES_DIR "/hello.so", &hello, &err),
                     ST_OK);
    const struct app_task *greet =
        app_task_find(&hello.app, STR("hello.greet"));
    assert_non_null(greet);
    job_context_init(&job, &start);
    assert_int_equal(job_context_run(&job, greet->run), ST_OK);
    assert_true(str_eq(buf_str(&job.result), STR("{\"text\":\"Hello, Ada\"}")));
    job_context_clear(&job);
    loader_close(&hello);
}

/* --- the report ---------------------------------------------------------- */

static const char fixture[] =
    "Package: bacon\n"
    "Status: install ok installed\n"
    "Installed-Size: 300\n"
    "Maintainer: Ham & \"Sons\", Ltd <ham@example.org>\n"
    "Section: meat\n"
    "Description: smoked\n"
    " for a day\n"
    " .\n"
    " Section: none of this is a field\n"
    "\n"
    "Package: gone\n"
    "Status: deinstall ok config-files\n"
    "Installed-Size: 9999\n"
    "Section: meat\n"
    "\n"
    "Package: held\n"
    "Status: hold ok installed\n"
    "Installed-Size: 5555\n"
    "\n"
    "package: cod\n"
    "status: install ok installed\n"
    "installed-size: 4000\n"
    "section: fish\n"
    "maintainer: Nora <nora@example.org>\n"
    "\n"
    "\n"
    "Package: ham\n"
    "Status: install ok installed\n"
    "Section: meat\n"
    "Maintainer: Nora <nora@example.org>\n"
    "\n"
    "Package: <salt>\n"
    "Status: install ok installed\n"
    "Installed-Size: 1";

static const char csv[] =
    "kind,name,packages,installed_kib\r\n"
    "total,,4,4301\r\n"
    "section,fish,1,4000\r\n"
    "section,meat,2,300\r\n"
    "section,(none),1,1\r\n"
    "maintainer,Nora <nora@example.org>,2,4000\r\n"
    "maintainer,\"Ham & \"\"Sons\"\", Ltd <ham@example.org>\",1,300\r\n"
    "maintainer,(none),1,1\r\n"
    "package,cod,1,4000\r\n"
    "package,bacon,1,300\r\n"
    "package,<salt>,1,1\r\n"
    "package,ham,1,0\r\n";

static void
write_text(const char *name, const char *bytes)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(bytes, file);
    assert_int_equal(fclose(file), 0);
}

/* free() it. */
static char *
read_text(const char *path)
{
    char *bytes = calloc(1, 1 << 20);
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    size_t n = fread(bytes, 1, (1 << 20) - 1, file);
    fclose(file);
    bytes[n] = '\0';
    return bytes;
}

static void
run_report(const char *status_file, const char *more, struct run *run)
{
    char args[512];

    snprintf(args, sizeof args,
             "{\"status_file\": \"%s/%s\", \"dir\": \"%s/out/deep\"%s}", folder,
             status_file, folder, more);
    run_job("reports.packages", args, 1, 0, run);
}

static void
test_report_adds_up(void **state)
{
    struct run run = {0};
    char want[128];
    struct stat info;

    (void)state;
    write_text("status", fixture);
    run_report("status", ", \"top\": 2", &run);
    assert_string_equal(run.error, "");
    assert_int_equal(run.status, ST_OK);
    assert_int_equal(integer(&run, "packages", NULL), 4);
    assert_int_equal(integer(&run, "installed_kib", NULL), 4301);
    const json_t *meat =
        json_object_get(json_object_get(run.result, "sections"), "meat");
    assert_int_equal(json_integer_value(json_object_get(meat, "packages")), 2);
    assert_int_equal(json_integer_value(json_object_get(meat, "installed_kib")),
                     300);
    const json_t *top = json_object_get(run.result, "top");
    assert_int_equal(json_array_size(top), 2);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(top, 1), "name")),
        "bacon");
    assert_int_equal(run.done, 3);
    assert_int_equal(run.total, 3);

    snprintf(want, sizeof want, "%s/out/deep/report.csv", folder);
    assert_string_equal(text(&run, "csv"), want);
    char *bytes = read_text(want);
    assert_string_equal(bytes, csv);
    free(bytes);
    assert_int_equal(stat(want, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644);

    snprintf(want, sizeof want, "%s/out/deep/report.html", folder);
    assert_string_equal(text(&run, "html"), want);
    bytes = read_text(want);
    assert_non_null(strstr(bytes, "<h1>Installed packages</h1>"));
    assert_non_null(strstr(bytes, "&quot;Sons&quot;, Ltd &lt;ham@"));
    assert_null(strstr(bytes, "<salt>"));
    assert_null(strstr(bytes, "&lt;salt&gt;")); /* only the top 2 */
    assert_non_null(strstr(bytes, "</html>"));
    free(bytes);
    json_decref(run.result);
}

/* A second attempt writes over the first one's files. */
static void
test_report_can_run_twice(void **state)
{
    struct run run = {0};

    (void)state;
    write_text("status", fixture);
    for (int i = 0; i < 2; i++) {
        run_report("status", "", &run);
        assert_int_equal(run.status, ST_OK);
        json_decref(run.result);
    }
}

static void
test_report_refuses_what_is_no_status_file(void **state)
{
    static const struct {
        const char *bytes, *says;
    } rows[] = {
        {"", "no installed package"},
        {"Package: a\nStatus: deinstall ok config-files\n", "no installed"},
        {"Package: a\nnonsense\n", "status:2"},
        {": a\n", "status:1"},
        {"Installed-Size: much\n", "status:1"},
        {"Installed-Size: 9999999999999\n", "status:1"},
        {"Package: a\n\nMaintainer: \xff\n", "status:3"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct run run = {0};
        write_text("status", rows[i].bytes);
        run_report("status", "", &run);
        assert_int_equal(run.status, ST_PERMANENT);
        assert_non_null(strstr(run.error, rows[i].says));
    }
}

static void
test_report_can_be_cancelled(void **state)
{
    struct run run = {.cancel = true};

    (void)state;
    write_text("status", fixture);
    run_report("status", "", &run);
    assert_int_equal(run.status, ST_CANCELLED);
    assert_null(run.result);
}

static void
test_report_fails_where_it_cannot_write(void **state)
{
    struct run run = {0};
    char args[256];

    (void)state;
    write_text("status", fixture);
    write_text("file", "in the way");
    snprintf(args, sizeof args,
             "{\"status_file\": \"%s/status\", \"dir\": \"%s/file/x\"}", folder,
             folder);
    run_job("reports.packages", args, 1, 0, &run);
    assert_int_equal(run.status, ST_FAILED); /* another attempt may help */
    assert_non_null(strstr(run.error, "folder"));
}

/* Runs dpkg-query with its output in a file of the folder. */
static bool
dpkg_query(const char *output)
{
    char *const argv[] = {
        (char[]){"dpkg-query"}, (char[]){"-W"},
        (char[]){"-f=${db:Status-Abbrev} ${Installed-Size}\\n"}, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int how;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT,
                                     0600);
    int failed =
        posix_spawnp(&child, "dpkg-query", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return !failed && waitpid(child, &how, 0) == child && how == 0;
}

static void
test_report_agrees_with_dpkg_query(void **state)
{
    int64_t packages = 0;
    int64_t kib = 0;
    struct run run = {0};
    char path[128];
    char line[256];

    (void)state;
    snprintf(path, sizeof path, "%s/query", folder);
    if (access("/var/lib/dpkg/status", R_OK) != 0 || !dpkg_query(path))
        skip(); /* not a Debian */
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "ii ", 3) != 0)
            continue;
        packages++;
        kib += strtoll(line + 3, NULL, 10);
    }
    fclose(file);

    setenv("SMOKEHOUSE_REPORTS", folder, 1);
    run_job("reports.packages", NULL, 1, 0, &run);
    unsetenv("SMOKEHOUSE_REPORTS");
    assert_int_equal(run.status, ST_OK);
    assert_true(packages > 0);
    assert_int_equal(integer(&run, "packages", NULL), packages);
    assert_int_equal(integer(&run, "installed_kib", NULL), kib);
    snprintf(path, sizeof path, "%s/default.01TEST/report.html", folder);
    assert_string_equal(text(&run, "html"), path);
    assert_int_equal(access(path, R_OK), 0);
    json_decref(run.result);
}

static int
open_smokehouse(void **state)
{
    struct error err;

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    if (loader_open(EXAMPLES_DIR "/smokehouse.so", &smokehouse, &err) == ST_OK)
        return 0;
    fprintf(stderr, "%s\n", err.msg);
    return -1;
}

static int
close_smokehouse(void **state)
{
    char *const remove[] = {(char[]){"rm"}, (char[]){"-rf"}, (char[]){"--"},
                            folder, NULL};
    pid_t child;
    int how;

    (void)state;
    loader_close(&smokehouse);
    if (posix_spawnp(&child, "rm", NULL, NULL, remove, environ) != 0)
        return -1;
    return waitpid(child, &how, 0) == child ? how : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noop_and_echo),
        cmocka_unit_test(test_sleep_takes_its_time),
        cmocka_unit_test(test_sleep_and_spin_hear_a_cancellation),
        cmocka_unit_test(test_spin_burns),
        cmocka_unit_test(test_fail_says_why),
        cmocka_unit_test(test_flaky_succeeds_in_the_end),
        cmocka_unit_test(test_crash_kills_only_its_child),
        cmocka_unit_test(test_bad_args_are_permanent),
        cmocka_unit_test(test_hello_greets),
        cmocka_unit_test(test_report_adds_up),
        cmocka_unit_test(test_report_can_run_twice),
        cmocka_unit_test(test_report_refuses_what_is_no_status_file),
        cmocka_unit_test(test_report_can_be_cancelled),
        cmocka_unit_test(test_report_fails_where_it_cannot_write),
        cmocka_unit_test(test_report_agrees_with_dpkg_query),
    };

    return cmocka_run_group_tests(tests, open_smokehouse, close_smokehouse);
}

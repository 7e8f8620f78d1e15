/* Loads what tests/unit/fixtures/ builds, from where it was built and from
 * places that a stranger could write to. */
#include "app/loader.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/task/job_context.h"

#define FIXTURE(name) FIXTURE_DIR "/" name ".so"

/* A directory of the test's own with a copy of one fixture in it. */
struct place {
    char dir[64];
    char file[96];
};

static void
copy_file(const char *from, const char *to)
{
    char bytes[4096];
    size_t n;
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");

    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(in);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(to, 0644), 0);
}

static int
place_make(void **state)
{
    static struct place place;

    snprintf(place.dir, sizeof place.dir, "/tmp/pit-loader-XXXXXX");
    if (!mkdtemp(place.dir))
        return -1;
    snprintf(place.file, sizeof place.file, "%s/app.so", place.dir);
    copy_file(FIXTURE("good_app"), place.file);
    *state = &place;
    return 0;
}

static int
place_remove(void **state)
{
    struct place *place = *state;

    chmod(place->dir, 0700);
    unlink(place->file);
    return rmdir(place->dir);
}

/* The status of loading, and one line that holds @says. */
static void
assert_refused(const char *path, enum status want, const char *says)
{
    struct loader loader = {0};
    struct error err;
    enum status got = loader_open(path, &loader, &err);

    if (got != want || !strstr(err.msg, says) || strchr(err.msg, '\n'))
        fail_msg("%s: %s \"%s\", not %s with \"%s\"", path, status_name(got),
                 got == ST_OK ? "" : err.msg, status_name(want), says);
    assert_null(loader.handle);
}

static void
test_loads_and_runs(void **state)
{
    struct place *place = *state;
    const struct job_start start = {
        .id = "default.1", .task = "greet", .attempt = 1};
    struct loader loader;
    struct pit_job job;
    struct error err;

    assert_int_equal(loader_open(place->file, &loader, &err), ST_OK);
    assert_string_equal(loader.app.name, "good");
    const struct app_task *task = app_task_find(&loader.app, STR("greet"));
    assert_non_null(task);

    job_context_init(&job, &start);
    assert_int_equal(job_context_run(&job, task->run), ST_OK);
    assert_true(str_eq(buf_str(&job.result), STR("{\"hello\":\"default.1\"}")));
    job_context_clear(&job);
    loader_close(&loader);
    assert_null(loader.handle);
    loader_close(&loader);
    loader_close(NULL);
}

static void
test_loads_a_relative_path(void **state)
{
    struct place *place = *state;
    struct loader loader;
    struct error err;
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(here >= 0);
    assert_int_equal(chdir(place->dir), 0);
    enum status st = loader_open("app.so", &loader, &err);
    assert_int_equal(fchdir(here), 0);
    close(here);
    assert_int_equal(st, ST_OK);
    loader_close(&loader);
}

static void
test_refuses_what_is_no_application(void **state)
{
    struct place *place = *state;

    assert_refused("/nonexistent/app.so", ST_NOT_FOUND, "/nonexistent/app.so");
    assert_refused("", ST_NOT_FOUND, "--app");
    assert_refused(place->dir, ST_INVALID, "is not a file");
    assert_refused(FIXTURE("no_table"), ST_INVALID, "has no pit_app");
    assert_refused(FIXTURE("no_symbol"), ST_INVALID, "pit_from_the_future");
    assert_refused(FIXTURE("old_app"), ST_INVALID, "ABI");
    assert_refused(FIXTURE("twice_app"), ST_CONFLICT, "noop");

    FILE *text = fopen(place->file, "w");
    assert_non_null(text);
    fputs("#!/bin/sh\nexit 0\n", text);
    fclose(text);
    assert_refused(place->file, ST_INVALID, "cannot be loaded");
}

static void
test_refuses_what_others_can_write(void **state)
{
    struct place *place = *state;
    struct loader loader;
    struct error err;

    chmod(place->file, 0664);
    assert_refused(place->file, ST_FORBIDDEN, "app.so can be written");
    chmod(place->file, 0646);
    assert_refused(place->file, ST_FORBIDDEN, "chmod go-w");
    chmod(place->file, 0644);
    chmod(place->dir, 0770);
    assert_refused(place->file, ST_FORBIDDEN, place->dir);
    chmod(place->dir, 0707);
    assert_refused(place->file, ST_FORBIDDEN, place->dir);
    /* Sticky, as /tmp is: nobody can exchange a file of another owner. */
    chmod(place->dir, 01777);
    assert_int_equal(loader_open(place->file, &loader, &err), ST_OK);
    loader_close(&loader);
}

static void
test_refuses_a_strangers_file(void **state)
{
    struct place *place = *state;

    if (geteuid() != 0)
        skip(); /* only root can give a file away */
    assert_int_equal(chown(place->file, 65534, 65534), 0);
    assert_refused(place->file, ST_FORBIDDEN, "belongs to user 65534");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_loads_and_runs, place_make,
                                        place_remove),
        cmocka_unit_test_setup_teardown(test_loads_a_relative_path, place_make,
                                        place_remove),
        cmocka_unit_test_setup_teardown(test_refuses_what_is_no_application,
                                        place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_refuses_what_others_can_write,
                                        place_make, place_remove),
        cmocka_unit_test_setup_teardown(test_refuses_a_strangers_file,
                                        place_make, place_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

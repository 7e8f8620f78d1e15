/* The demo's views, middleware and async tasks, in process by pit/test.h: no
 * socket, no Redis, and a clock that jumps, so that what takes seconds takes
 * none. tests/integration/test_smokehouse_*.py does it over HTTP. */
#include <dlfcn.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pit/test.h"

#define UPSTREAM "http://upstream.example/"
#define ORDER \
    "{\"email\": \"ada@example.org\", \"meat\": \"ribs\", \"pounds\": 2}"

extern char **environ;

/* In the place of the C library's, so that what blocks takes no time. */
static _Atomic unsigned slept;

unsigned
sleep(unsigned seconds)
{
    slept += seconds;
    return 0;
}

static const struct pit_app *smokehouse;
static char folder[] = "/tmp/pit-smokehouse-views-XXXXXX";

static int
begin(void **state)
{
    struct pit_test *test = pit_test_new(smokehouse);

    pit_test_upstream(test, "GET " UPSTREAM,
                      &(struct pit_test_reply){.code = 200});
    pit_test_redis_value(
        test, "EXISTS smokehouse:tokens",
        &(struct pit_redis_value){.type = PIT_REDIS_INTEGER, .text = ""});
    *state = test;
    return 0;
}

static int
end(void **state)
{
    pit_test_free(*state);
    return 0;
}

static void
assert_answer(const struct pit_test_answer *answer, int status,
              const char *body)
{
    assert_string_equal(answer->body, body);
    assert_int_equal(answer->status, status);
}

/* The clock jumps over what is waited for; what is computed takes its time. */
static void
assert_about(int64_t ms, int64_t expected)
{
    assert_in_range(ms, expected, expected + 900);
}

/* @words stand in the log, in this order. */
static void
assert_logged(const struct pit_test *test, const char *const *words)
{
    const char *at = pit_test_logged(test);

    for (; *words; words++) {
        const char *found = strstr(at, *words);
        if (!found)
            fail_msg("no \"%s\" in:\n%s", *words, at);
        at = found + strlen(*words);
    }
}

static const char *const counted[] = {
    "1\n", "2\n", "3\n", "4\n", "5\n", "<Response [200 OK]>", NULL};

/* --- counting ------------------------------------------------------------ */

static void
test_index(void **state)
{
    assert_answer(pit_test_get(*state, "/"), 200, "Hello, async C!");
}

static void
test_async_answers_before_it_counts(void **state)
{
    const struct pit_test_answer *answer = pit_test_get(*state, "/async/");

    assert_answer(answer, 200, "Non-blocking HTTP request");
    assert_about(answer->took_ms, 0);
    assert_null(strstr(pit_test_logged(*state), "1\n"));
    assert_null(pit_test_fetched(*state, 0));
    assert_true(pit_test_drain(*state, 10000));
    assert_about(pit_test_now_ms(*state), 5000);
    assert_logged(*state, counted);
    assert_string_equal(pit_test_fetched(*state, 0)->url, UPSTREAM);
}

static void
test_async_is_lost_with_the_process(void **state)
{
    assert_int_equal(pit_test_get(*state, "/async/")->status, 200);
    pit_test_advance(*state, 2500);
    assert_logged(*state, (const char *const[]){"1\n", "2\n", NULL});
    pit_test_free(*state); /* cancels it */
    *state = NULL;
}

static void
test_sync_answers_when_it_has_counted(void **state)
{
    slept = 0;
    assert_answer(pit_test_get(*state, "/sync/"), 200, "Blocking HTTP request");
    assert_int_equal(slept, 5);
    assert_logged(*state, counted);
    assert_string_equal(pit_test_fetched(*state, 0)->url, UPSTREAM);
}

static void
test_sync_fails_as_its_upstream_does(void **state)
{
    pit_test_upstream(*state, "GET " UPSTREAM,
                      &(struct pit_test_reply){.status = PIT_UNAVAILABLE});
    assert_int_equal(pit_test_get(*state, "/sync/")->status, 503);
    assert_logged(*state, (const char *const[]){"5\n", "upstream: ", NULL});
}

static void
test_sync_to_async_answers_before_it_counts(void **state)
{
    assert_answer(pit_test_get(*state, "/sync_to_async/"), 200,
                  "Non-blocking HTTP request (via sync_to_async)");
    assert_true(pit_test_drain(*state, 10000));
    assert_logged(*state, counted);
}

static void
test_burn_blocks(void **state)
{
    slept = 0;
    assert_answer(pit_test_get(*state, "/burn_some_meats/"), 200,
                  "Burned some meats.");
    assert_int_equal(slept, 5);
}

/* --- tasks in a flow ----------------------------------------------------- */

static const char status_file[] =
    "Package: oven\nStatus: install ok installed\nSection: kitchen\n"
    "Maintainer: Ada <ada@example.org>\nInstalled-Size: 10\n\n"
    "Package: pan\nStatus: install ok installed\nSection: kitchen\n"
    "Maintainer: Ada <ada@example.org>\nInstalled-Size: 20\n\n"
    "Package: axe\nStatus: install ok installed\nSection: yard\n"
    "Maintainer: Bob <bob@example.org>\nInstalled-Size: 5\n";

static void
test_nightly_is_a_flow(void **state)
{
    char path[200], args[256];

    snprintf(path, sizeof path, "%s/status", folder);
    snprintf(args, sizeof args, "{\"status_file\": \"%s\"}", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(status_file, file);
    assert_int_equal(fclose(file), 0);
    const struct pit_test_job *nightly =
        pit_test_run(*state, "reports.nightly", args);
    assert_int_equal(nightly->status, PIT_OK);
    assert_non_null(strstr(nightly->result, "\"sections\":2"));
    const struct pit_test_job *join = pit_test_enqueued(*state, 3);
    assert_string_equal(join->task, "reports.join");
    assert_int_equal(join->state, PIT_BLOCKED);
    assert_int_equal(pit_test_run_jobs(*state), 3);
    assert_int_equal(join->state, PIT_SUCCEEDED);
    assert_non_null(strstr(join->result, "\"packages\":3"));
    assert_non_null(strstr(join->result, "\"installed_kib\":35"));
}

static void
test_receipt_waits_for_the_mail_server(void **state)
{
    pit_test_mail_status(*state, PIT_UNAVAILABLE);
    assert_int_equal(
        pit_test_post(*state, "/orders/", "application/json", ORDER)->status,
        201);
    const struct pit_test_job *receipt = pit_test_enqueued(*state, 0);
    pit_test_worker(*state, true);
    pit_test_advance(*state, 10000);
    assert_int_equal(receipt->state, PIT_RETRYING);
    pit_test_mail_status(*state, PIT_OK);
    pit_test_advance(*state, 60000);
    assert_int_equal(receipt->state, PIT_SUCCEEDED);
    assert_true(receipt->attempt >= 3);
}

/* --- smoking ------------------------------------------------------------- */

static void
test_smoke_gathers(void **state)
{
    const struct pit_test_answer *answer =
        pit_test_get(*state, "/smoke_some_meats/");

    assert_int_equal(answer->status, 200);
    assert_int_equal(strncmp(answer->body, "Smoked 6 meats with ", 20), 0);
    assert_about(answer->took_ms, 2000);
    assert_logged(
        *state, (const char *const[]){"Getting smokeables", "Getting flavor",
                                      "Returning flavor", "Returning smokeable",
                                      "Smoking some ribs...", "Applying the ",
                                      "Ribs smoked.", "Sausage smoked.", NULL});
    assert_non_null(pit_test_fetched(*state, 1));
    assert_null(pit_test_fetched(*state, 2));
}

static void
test_smoke_fails_as_its_upstream_does(void **state)
{
    pit_test_upstream(*state, "GET " UPSTREAM,
                      &(struct pit_test_reply){.status = PIT_UNAVAILABLE});
    const struct pit_test_answer *answer =
        pit_test_get(*state, "/smoke_some_meats/");
    assert_int_equal(answer->status, 503);
    assert_string_equal(answer->content_type, "application/problem+json");
    /* The sauce failed after a second, and the meats were not waited for. */
    assert_about(answer->took_ms, 1000);
}

static void
test_smoke_has_a_deadline(void **state)
{
    pit_test_upstream(*state, "GET " UPSTREAM,
                      &(struct pit_test_reply){.code = 200, .delay_ms = 9500});
    const struct pit_test_answer *answer =
        pit_test_get(*state, "/smoke_some_meats/");
    assert_int_equal(answer->status, 504);
    assert_about(answer->took_ms, 10000);
}

static void
test_hang_up_stops_the_smoking(void **state)
{
    const struct pit_test_answer *answer = pit_test_start(
        *state, &(struct pit_test_request){.target = "/smoke_some_meats/"});

    pit_test_advance(*state, 1500);
    pit_test_hang_up(*state, answer);
    assert_int_equal(answer->status, 0);
    pit_test_advance(*state, 5000);
    assert_non_null(strstr(pit_test_logged(*state), "Returning flavor"));
    assert_null(strstr(pit_test_logged(*state), "Returning smokeable"));
}

static void
test_smoke_in_the_other_lane(void **state)
{
    const struct pit_test_job *job = pit_test_run(*state, "meats.smoke", NULL);

    assert_int_equal(job->status, PIT_OK);
    assert_non_null(strstr(job->result, "\"smoked\":6"));
    assert_about(pit_test_now_ms(*state), 2000);
    pit_test_upstream(*state, "GET " UPSTREAM,
                      &(struct pit_test_reply){.status = PIT_TIMEOUT});
    job = pit_test_run(*state, "meats.smoke", NULL);
    assert_int_equal(job->status, PIT_TIMEOUT);
}

/* --- orders and notes ---------------------------------------------------- */

static void
need_orders(void)
{
    const struct pit_view *view = smokehouse->views;

    while (view->method && strcmp(view->route, "/orders/") != 0)
        view++;
    if (!view->method)
        skip();
}

static const struct pit_test_answer *
order(struct pit_test *test, const char *body)
{
    return pit_test_post(test, "/orders/", "application/json", body);
}

static void
test_order_in_full(void **state)
{
    need_orders();
    const struct pit_test_answer *answer = order(*state, ORDER);

    assert_int_equal(answer->status, 201);
    const char *location = pit_test_header(answer, "location");
    assert_non_null(location);
    assert_int_equal(strncmp(location, "/orders/", 8), 0);
    assert_int_equal(pit_test_get(*state, location)->status, 200);
    assert_true(pit_test_drain(*state, 1000));
    assert_non_null(
        strstr(pit_test_mailed(*state, 0)->subject, "confirmation"));

    const struct pit_test_job *job = pit_test_enqueued(*state, 0);
    assert_string_equal(job->task, "orders.receipt");
    assert_string_equal(job->queue, "mail");
    assert_int_equal(pit_test_run_jobs(*state), 1);
    assert_int_equal(job->status, PIT_OK);
    const struct pit_test_mail *mail = pit_test_mailed(*state, 1);
    assert_non_null(strstr(mail->subject, "receipt"));
    assert_string_equal(mail->to, "ada@example.org");
    assert_non_null(strstr(mail->text, "2 pounds of ribs"));
}

static void
test_receipt_is_tried_again(void **state)
{
    need_orders();
    pit_test_mail_status(*state, PIT_UNAVAILABLE);
    assert_int_equal(order(*state, ORDER)->status, 201);
    assert_true(pit_test_drain(*state, 1000));
    const struct pit_test_job *job = pit_test_enqueued(*state, 0);
    assert_int_equal(pit_test_run_jobs(*state), 1);
    assert_int_equal(job->status, PIT_UNAVAILABLE);
    assert_false(job->ended);
    pit_test_mail_status(*state, PIT_OK);
    assert_int_equal(pit_test_run_jobs(*state), 1);
    assert_int_equal(job->status, PIT_OK);
    assert_non_null(strstr(pit_test_mailed(*state, 0)->subject, "receipt"));
    assert_null(pit_test_mailed(*state, 1));
}

static void
test_receipt_of_no_order_is_dead(void **state)
{
    need_orders();
    const struct pit_test_job *job =
        pit_test_run(*state, "orders.receipt", "{\"order\": 987654}");
    assert_int_equal(job->status, PIT_PERMANENT);
    job = pit_test_run(*state, "orders.receipt", "{\"order\": \"x\"}");
    assert_int_equal(job->status, PIT_PERMANENT);
}

static void
test_no_receipt_no_order(void **state)
{
    char target[64];

    need_orders();
    long long last = strtoll(
        pit_test_header(order(*state, ORDER), "Location") + 8, NULL, 10);
    pit_test_enqueue_status(*state, PIT_UNAVAILABLE);
    assert_int_equal(order(*state, ORDER)->status, 503);
    snprintf(target, sizeof target, "/orders/%lld", last + 1);
    assert_int_equal(pit_test_get(*state, target)->status, 404);
}

static void
test_bad_orders_say_what_is_wrong(void **state)
{
    static const struct {
        const char *body, *word;
    } rows[] = {
        {"ribs", "JSON"},
        {"{\"meat\": \"ribs\"}", "email"},
        {"{\"email\": \"a\", \"meat\": \"ribs\", \"pounds\": 1}", "/email"},
        {"{\"email\": \"a@b\", \"meat\": \"\", \"pounds\": 1}", "/meat"},
        {"{\"email\": \"a@b\", \"meat\": \"ribs\", \"pounds\": 0}", "/pounds"},
    };

    need_orders();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct pit_test_answer *answer = order(*state, rows[i].body);
        assert_int_equal(answer->status, 400);
        if (!strstr(answer->body, rows[i].word))
            fail_msg("no \"%s\" in %s", rows[i].word, answer->body);
    }
    assert_null(pit_test_enqueued(*state, 0));
}

static const struct pit_test_answer *
order_with(struct pit_test *test, const char *authorization)
{
    const char *const headers[] = {authorization, NULL};

    return pit_test_send(
        test, &(struct pit_test_request){.method = PIT_POST,
                                         .target = "/orders/",
                                         .headers = headers,
                                         .content_type = "application/json",
                                         .body = ORDER});
}

static void
test_token(void **state)
{
    static const struct pit_redis_value one = {
        .type = PIT_REDIS_INTEGER, .integer = 1, .text = ""};
    static const struct pit_redis_value none = {.type = PIT_REDIS_INTEGER,
                                                .text = ""};

    need_orders();
    pit_test_redis_value(*state, "EXISTS smokehouse:tokens", &one);
    pit_test_redis_value(*state, "SISMEMBER smokehouse:tokens ring", &one);
    pit_test_redis_value(*state, "SISMEMBER smokehouse:tokens no", &none);
    assert_int_equal(order_with(*state, "Authorization: Bearer ring")->status,
                     201);
    assert_int_equal(order_with(*state, "Authorization: Bearer no")->status,
                     403);
    /* When nobody can be asked nobody is let in. */
    pit_test_redis_status(*state, PIT_UNAVAILABLE);
    assert_int_equal(order_with(*state, "Authorization: Bearer ring")->status,
                     503);
    assert_int_equal(pit_test_get(*state, "/")->status, 200);
}

static void
test_notes(void **state)
{
    assert_int_equal(pit_test_get(*state, "/notes/rub")->status, 404);
    const struct pit_test_answer *answer = pit_test_send(
        *state, &(struct pit_test_request){.method = PIT_PUT,
                                           .target = "/notes/rub",
                                           .content_type = "text/plain",
                                           .body = "salt"});
    assert_answer(answer, 204, "");
    assert_answer(pit_test_get(*state, "/notes/rub"), 200, "salt");
    assert_int_equal(pit_test_get(*state, "/notes/..%2forders.db")->status,
                     404);
}

static void
test_a_report_is_followed(void **state)
{
    struct pit_test *test = *state;
    const struct pit_test_job *job =
        pit_test_enqueue(test, "reports.section", "{\"section\": 7}");
    char target[200];

    snprintf(target, sizeof target, "/reports/%s/progress", job->id);
    const struct pit_test_answer *answer =
        pit_test_start(test, &(struct pit_test_request){.target = target});
    assert_non_null(strstr(answer->body, "\"state\":\"ready\""));
    pit_test_end_job(test, job->id, PIT_OK, "{\"packages\": 12}");
    pit_test_wait(test, answer);
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer->content_type,
                        "text/event-stream; charset=utf-8");
    assert_non_null(strstr(answer->body, "event: end\n"));
    assert_non_null(strstr(answer->body, "\"packages\": 12"));
    answer = pit_test_send(
        test, &(struct pit_test_request){.target = target,
                                         .headers = (const char *const[]){
                                             "Last-Event-ID: 0-0:end", NULL}});
    assert_int_equal(answer->status, 204);
    /* Jobs of other queues are none of its affair. */
    job = pit_test_enqueue(test, "noop", NULL);
    snprintf(target, sizeof target, "/reports/%s/progress", job->id);
    assert_int_equal(pit_test_get(test, target)->status, 404);
    assert_int_equal(
        pit_test_get(test, "/reports/reports.none/progress")->status, 404);
}

static void
test_timing_is_on_all(void **state)
{
    static const char *const targets[] = {"/", "/notes/none", "/nowhere"};

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        const char *timing =
            pit_test_header(pit_test_get(*state, targets[i]), "Server-Timing");
        assert_non_null(timing);
        assert_int_equal(strncmp(timing, "app;dur=", 8), 0);
    }
}

static int
open_smokehouse(void **state)
{
    (void)state;
    void *object = dlopen(EXAMPLES_DIR "/smokehouse.so", RTLD_NOW | RTLD_LOCAL);
    if (object)
        smokehouse = dlsym(object, "pit_app");
    else
        fprintf(stderr, "%s\n", dlerror());
    if (!smokehouse || !mkdtemp(folder))
        return -1;
    setenv("SMOKEHOUSE_UPSTREAM", UPSTREAM, 1);
    return setenv("SMOKEHOUSE_DATA", folder, 1);
}

static int
remove_folder(void **state)
{
    char *const remove[] = {(char[]){"rm"}, (char[]){"-rf"}, (char[]){"--"},
                            folder, NULL};
    pid_t child;
    int how;

    (void)state;
    if (posix_spawnp(&child, "rm", NULL, NULL, remove, environ) != 0)
        return -1;
    return waitpid(child, &how, 0) == child ? how : -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_index),
        TEST(test_async_answers_before_it_counts),
        TEST(test_async_is_lost_with_the_process),
        TEST(test_sync_answers_when_it_has_counted),
        TEST(test_sync_fails_as_its_upstream_does),
        TEST(test_sync_to_async_answers_before_it_counts),
        TEST(test_burn_blocks),
        TEST(test_smoke_gathers),
        TEST(test_smoke_fails_as_its_upstream_does),
        TEST(test_smoke_has_a_deadline),
        TEST(test_hang_up_stops_the_smoking),
        TEST(test_smoke_in_the_other_lane),
        TEST(test_order_in_full),
        TEST(test_receipt_waits_for_the_mail_server),
        TEST(test_nightly_is_a_flow),
        TEST(test_receipt_is_tried_again),
        TEST(test_receipt_of_no_order_is_dead),
        TEST(test_no_receipt_no_order),
        TEST(test_bad_orders_say_what_is_wrong),
        TEST(test_token),
        TEST(test_notes),
        TEST(test_a_report_is_followed),
        TEST(test_timing_is_on_all),
    };

    return cmocka_run_group_tests(tests, open_smokehouse, remove_folder);
}

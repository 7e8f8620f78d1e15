/* pit/workers.h, pit/tasks.h and pit/operations.h against a real Redis: what
 * workers and web processes say of themselves is written by the test. Nothing
 * is asserted inside a coroutine. */
#include "pit/operations.h"
#include "pit/tasks.h"
#include "pit/workers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "harness/queue_scene.h"
#include "queue/operation.h"
#include "queue/registry.h"

/* ---- workers ---- */

static enum status
beat(struct co *co, struct scene *s, const char *worker, int64_t seen_ms,
     const char *more)
{
    struct rds_call call = {0};
    char json[1024];

    int n = snprintf(json, sizeof json,
                     "{\"host\":\"h1\",\"pid\":77,\"version\":\"1.2\","
                     "\"slots\":4,\"async\":256,\"held\":3,\"rss_bytes\":1000,"
                     "\"started_ms\":1700000000000,\"seen_ms\":%lld%s}",
                     (long long)seen_ms, more);
    registry_heartbeat(s->queues, &call, worker, str_from(json, (size_t)n),
                       NULL, NULL);
    enum status st = co_await(co, &call.op);
    rds_call_clear(&call);
    return st;
}

static enum status
test_workers_are_shown(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_workers workers PIT_WORKERS = {0};
    int64_t now_ms = clock_wall_ms();

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_workers_list(public, &workers) == PIT_OK && workers.len == 0);
    STEP(s, beat(co, s, "w2", now_ms, ",\"quiet\":true") == ST_OK);
    STEP(s, beat(co, s, "w1", now_ms,
                 ",\"queues\":{\"mail\":3,\"disk\":1},\"running\":["
                 "{\"slot\":1,\"job\":\"mail.a\",\"task\":\"mail.send\","
                 "\"attempt\":2,\"started_ms\":1700000000500},"
                 "{\"job\":\"disk.b\",\"task\":\"disk.scan\","
                 "\"attempt\":1}]") == ST_OK);
    STEP(s, beat(co, s, "w3", now_ms - 120000, "") == ST_OK);
    STEP(s, beat(co, s, "w4", now_ms, ",\"stopping\":true") == ST_OK);
    STEP(s, pit_workers_list(public, &workers) == PIT_OK);
    STEP(s, workers.len == 4 && !workers.error[0]);
    const struct pit_worker_info *w = workers.workers;
    STEP(s, strcmp(w[0].id, "w1") == 0 && w[0].state == PIT_WORKER_RUNNING);
    STEP(s, w[1].state == PIT_WORKER_QUIET && w[2].state == PIT_WORKER_LOST);
    STEP(s, w[3].state == PIT_WORKER_DRAINING &&
                strcmp(w[3].state_name, "draining") == 0);
    STEP(s, strcmp(w[0].host, "h1") == 0 && w[0].pid == 77 && w[0].slots == 4);
    STEP(s, strcmp(w[0].version, "1.2") == 0 && w[0].async == 256);
    STEP(s, w[0].held == 3 && w[0].rss_bytes == 1000);
    STEP(s, w[0].started_ms == 1700000000000 && w[0].seen_ms == now_ms);
    STEP(s, w[0].queues_len == 2 && w[1].queues_len == 0);
    for (size_t i = 0; i < 2; i++)
        STEP(s, w[0].queues[i].weight ==
                    (strcmp(w[0].queues[i].name, "mail") == 0 ? 3 : 1));
    STEP(s, w[0].running_len == 2 && w[0].running[0].slot == 1);
    STEP(s, strcmp(w[0].running[0].id, "mail.a") == 0 &&
                strcmp(w[0].running[0].task, "mail.send") == 0);
    STEP(s, w[0].running[0].attempt == 2 &&
                w[0].running[0].started_ms == 1700000000500);
    STEP(s, w[0].running[1].slot == -1 && w[0].running[1].started_ms == 0);

    /* The id is lent by what the call is about to drop. */
    STEP(s, pit_workers_get(public, w[1].id, &workers) == PIT_OK);
    STEP(s, workers.len == 1 && strcmp(workers.workers[0].id, "w2") == 0);
    STEP(s, pit_workers_get(public, "w9", &workers) == PIT_NOT_FOUND);
    STEP(s, workers.len == 0 && strstr(workers.error, "w9"));
    STEP(s, pit_workers_get(public, NULL, &workers) == PIT_NOT_FOUND);
    return ST_OK;
}

struct heard {
    struct rds *rds;
    char words[64];
};

static void
hear(struct rds *rds, struct str payload, void *arg)
{
    struct heard *heard = arg;
    size_t n = strlen(heard->words);

    (void)rds;
    snprintf(heard->words + n, sizeof heard->words - n, "%.*s ",
             STR_ARG(payload));
}

static enum status
give_orders(struct co *co, struct scene *s, struct heard *heard)
{
    struct pit_co *public = co_public_of(co);
    struct pit_workers workers PIT_WORKERS = {0};
    const struct rds_options options = {.url = redis_server_url(s->server)};
    int64_t end_ms = clock_mono_ms() + 5000;
    enum pit_status st;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_workers_quiet(public, "w1", &workers) == PIT_NOT_FOUND);
    STEP(s, strstr(workers.error, "w1") && workers.len == 0);
    STEP(s, pit_workers_stop(public, "not an id", NULL) == PIT_NOT_FOUND);
    STEP(s, beat(co, s, "w1", clock_wall_ms(), "") == ST_OK);
    STEP(s, rds_new(s->loop, &options, &heard->rds, &s->err) == ST_OK);
    rds_subscribe(heard->rds, "pit:worker:w1", hear, heard);
    do { /* until it has subscribed */
        st = pit_workers_quiet(public, "w1", &workers);
        if (st == PIT_NOT_FOUND)
            STEP(s, pit_sleep(public, 5) == PIT_OK);
    } while (st == PIT_NOT_FOUND && clock_mono_ms() < end_ms);
    STEP(s, st == PIT_OK);
    STEP(s, workers.len == 1 && strcmp(workers.workers[0].id, "w1") == 0);
    STEP(s, pit_workers_resume(public, "w1", NULL) == PIT_OK);
    STEP(s,
         pit_workers_stop(public, workers.workers[0].id, &workers) == PIT_OK);
    while (!strstr(heard->words, "stop") && clock_mono_ms() < end_ms)
        STEP(s, pit_sleep(public, 5) == PIT_OK);
    STEP(s, strcmp(heard->words, "quiet resume stop ") == 0);
    redis_server_stop(s->server);
    co_deadline_ms(co, 50);
    st = pit_workers_stop(public, "w1", &workers);
    redis_server_continue(s->server);
    STEP(s, st == PIT_UNCLEAR && strstr(workers.error, "may have happened"));
    return ST_OK;
}

static enum status
test_orders_are_heard(struct co *co, void *arg)
{
    struct heard heard = {.words = ""};

    enum status st = give_orders(co, arg, &heard);
    rds_free(heard.rds);
    return st;
}

/* ---- tasks ---- */

static enum status
test_tasks_are_shown(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_tasks tasks PIT_TASKS = {0};
    static const char *const entries[][2] = {
        {"mail.send", "{\"queue\":\"mail\",\"timeout_ms\":5000,\"retries\":7,"
                      "\"backoff_ms\":1000,\"backoff_cap_ms\":60000,"
                      "\"keep_ms\":90000,\"priority\":2,\"about\":\"sends\"}"},
        {"disk.scan", "{}"},
        {"broken", "{\"retries\":\"many\"}"},
        {"not a name", "{}"},
    };

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_tasks_list(public, &tasks) == PIT_OK && tasks.len == 0);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        struct str name = str_c(entries[i][0]), json = str_c(entries[i][1]);
        STEP(s, registry_put_task(co, s->queues, name, json, &s->err) == ST_OK);
    }
    STEP(s, pit_tasks_list(public, &tasks) == PIT_OK && tasks.len == 2);
    const struct pit_task_info *task = tasks.tasks;
    STEP(s, strcmp(task[0].name, "disk.scan") == 0 &&
                strcmp(task[0].queue, "default") == 0);
    STEP(s, task[0].timeout_ms == JOB_TIMEOUT_STANDARD_MS &&
                task[0].retries == 3 && !task[0].about[0]);
    STEP(s, strcmp(task[1].name, "mail.send") == 0 &&
                strcmp(task[1].queue, "mail") == 0);
    STEP(s, task[1].timeout_ms == 5000 && task[1].retries == 7);
    STEP(s, task[1].backoff_ms == 1000 && task[1].backoff_cap_ms == 60000);
    STEP(s, task[1].keep_ms == 90000 && task[1].priority == 2);
    STEP(s, strcmp(task[1].about, "sends") == 0);
    queue_public_attach(s->loop, NULL);
    STEP(s, pit_tasks_list(public, &tasks) == PIT_UNAVAILABLE);
    STEP(s, tasks.len == 0 && strstr(tasks.error, "no queues"));
    return ST_OK;
}

/* ---- operations ---- */

static enum status
tell(struct co *co, struct scene *s, const char *id, const char *state,
     enum operation_how how, enum operation_told *ret)
{
    char document[512];

    int n = snprintf(document, sizeof document,
                     "{\"id\":\"%s\",\"kind\":\"retry\",\"state\":\"%s\","
                     "\"queue\":\"mail\",\"dry_run\":false,\"filter\":"
                     "{\"queue\":\"mail\",\"states\":[\"dead\"]},\"seen\":9,"
                     "\"matched\":8,\"done\":5,\"refused\":3,\"error\":null,"
                     "\"created_at\":\"2026-01-02T03:04:05.000Z\","
                     "\"updated_at\":\"2026-01-02T03:04:06.000Z\","
                     "\"ended_at\":null,\"resume\":{}}",
                     id, state);
    return operation_tell(co, s->queues, str_c(id), STR("runner"),
                          str_from(document, (size_t)n), how, ret, &s->err);
}

static enum status
test_operations_are_shown_and_cancelled(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_operations ops PIT_OPERATIONS = {0};
    enum operation_told told;
    char ids[3][ID_ULID_LEN + 1];

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_operations_list(public, NULL, 0, &ops) == PIT_OK);
    STEP(s, ops.len == 0 && !ops.next);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        id_make(ids[i]);
        STEP(s, tell(co, s, ids[i], "running", OPERATION_NEW, &told) == ST_OK);
    }
    STEP(s, tell(co, s, ids[0], "done", OPERATION_ENDED, &told) == ST_OK);
    STEP(s, tell(co, s, ids[1], "running", OPERATION_LEFT, &told) == ST_OK);
    STEP(s, pit_operations_list(public, NULL, 2, &ops) == PIT_OK);
    STEP(s, ops.len == 2 && strcmp(ops.operations[0].id, ids[2]) == 0);
    STEP(s, ops.operations[0].state == PIT_OPERATION_RUNNING);
    STEP(s, ops.operations[1].state == PIT_OPERATION_INTERRUPTED);
    /* The cursor is lent by what the call is about to drop. */
    STEP(s, ops.next);
    STEP(s, pit_operations_list(public, ops.next, 2, &ops) == PIT_OK);
    STEP(s, ops.len == 1 && !ops.next);
    const struct pit_operation_info *one = &ops.operations[0];
    STEP(s, strcmp(one->id, ids[0]) == 0 && one->state == PIT_OPERATION_DONE);
    STEP(s, strcmp(one->kind, "retry") == 0 && strcmp(one->queue, "mail") == 0);
    STEP(s, one->seen == 9 && one->matched == 8 && one->done == 5 &&
                one->refused == 3 && !one->message[0] && !one->dry_run);
    STEP(s, one->created_ms == 1767323045000 && one->ended_ms == 0 &&
                one->updated_ms == 1767323046000);
    STEP(s, strcmp(json_string_value(json_object_get(one->filter, "queue")),
                   "mail") == 0);

    STEP(s, pit_operations_cancel(public, ids[2], &ops) == PIT_OK);
    STEP(s, ops.len == 1 && ops.operations[0].cancel_asked);
    STEP(s, tell(co, s, ids[2], "running", OPERATION_GOES, &told) == ST_OK);
    STEP(s, told == OPERATION_STOP);
    STEP(s, pit_operations_cancel(public, ids[1], NULL) == PIT_OK);
    STEP(s, pit_operations_cancel(public, ids[0], &ops) == PIT_CONFLICT);
    STEP(s, strstr(ops.error, "has ended") && ops.len == 0);
    STEP(s, pit_operations_get(public, ids[2], &ops) == PIT_OK);
    STEP(s, pit_operations_get(public, "none", &ops) == PIT_NOT_FOUND);
    STEP(s, strstr(ops.error, "no such operation"));
    STEP(s, pit_operations_cancel(public, "none", &ops) == PIT_NOT_FOUND);
    STEP(s, pit_operations_list(public, "x", 0, &ops) == PIT_INVALID);
    STEP(s, strstr(ops.error, "cursor"));
    STEP(s, pit_operations_list(public, NULL, 101, &ops) == PIT_INVALID);
    STEP(s, strstr(ops.error, "limit"));

    /* Another program's document: asked all the same, and nothing is shown. */
    STEP(s, operation_tell(co, s->queues, str_c(ids[1]), STR("runner"),
                           STR("{}"), OPERATION_GOES, &told, &s->err) == ST_OK);
    STEP(s, pit_operations_cancel(public, ids[1], &ops) == PIT_OK);
    STEP(s, ops.len == 0);
    STEP(s, pit_operations_get(public, ids[1], &ops) == PIT_BUG);
    return ST_OK;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scene_unit_test(test_workers_are_shown),
        scene_unit_test(test_orders_are_heard),
        scene_unit_test(test_tasks_are_shown),
        scene_unit_test(test_operations_are_shown_and_cancelled),
    };
    return redis_server_run_tests(tests);
}

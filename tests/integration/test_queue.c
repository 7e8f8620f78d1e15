/* The verbs in C against a real Redis: what goes in comes out, once. */
#include "queue/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness/queue_scene.h"
#include "queue/registry.h"

static enum status
enqueue(struct co *co, struct scene *s, struct enqueue *e, const char *args)
{
    job_spec_init(&e->spec);
    e->spec.queue = STR("q");
    e->spec.task = STR("noop");
    e->spec.args = str_c(args);
    return queue_enqueue_await(co, s->queues, e);
}

static enum status
work(struct co *co, struct scene *s, struct work *w, int claim,
     const struct finish *finishes, size_t n)
{
    *w = (struct work){.queue = STR("q"),
                       .claim = claim,
                       .lease_ms = 15000,
                       .worker = "w1",
                       .token_first = s->tokens};
    s->tokens += (uint64_t)claim;
    queue_work(s->queues, w, finishes, n, NULL, NULL);
    enum status status = co_await(co, &w->call.op);
    return status == ST_OK ? queue_work_result(w, &s->err) : status;
}

static enum status
test_life_of_a_job(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct enqueue e = {0};
    struct work w;
    struct job_view view;
    struct queue_counts counts;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, enqueue(co, s, &e, "{\"a\":1}") == ST_OK);
    struct job_id id = {STR("q"), str_c(e.local)};
    STEP(s, queue_get(co, s->queues, id, &view, &s->err) == ST_OK);
    STEP(s, view.state == JOB_READY);
    queue_view_clear(&view);

    STEP(s, work(co, s, &w, 5, NULL, 0) == ST_OK);
    STEP(s, w.claimed_len == 1 && w.claimed[0].attempt == 1 && !w.more);
    STEP(s, str_eq_c(w.claimed[0].local, e.local));
    STEP(s, w.next_ms > 10000 && w.next_ms <= 15000); /* its lease */
    struct finish f = {.local = id.local,
                       .token = str_c(w.claimed[0].token),
                       .priority = w.claimed[0].priority,
                       .outcome = OUTCOME_SUCCEEDED,
                       .keep_ms = 60000,
                       .result = STR("[1]")};
    char token[QUEUE_TOKEN_MAX + 1];
    memcpy(token, w.claimed[0].token, sizeof token);
    f.token = str_c(token);
    rds_call_clear(&w.call);

    STEP(s, work(co, s, &w, 0, &f, 1) == ST_OK && w.stale_len == 0);
    rds_call_clear(&w.call);
    STEP(s, work(co, s, &w, 0, &f, 1) == ST_OK);
    STEP(s, w.stale_len == 1 && str_eq_c(w.stale[0], token)); /* late */
    rds_call_clear(&w.call);

    STEP(s, queue_get(co, s->queues, id, &view, &s->err) == ST_OK);
    STEP(s, view.state == JOB_SUCCEEDED && str_eq(view.result, STR("[1]")));
    STEP(s, view.history.attempts_len == 1);
    queue_view_clear(&view);
    STEP(s, queue_counts(co, s->queues, STR("q"), &counts, &s->err) == ST_OK);
    STEP(s, counts.enqueued == 1 && counts.succeeded == 1);
    STEP(s, counts.count[JOB_SUCCEEDED] == 1 && counts.count[JOB_READY] == 0);
    return ST_OK;
}

enum { MANY = 1000 };

static enum status
test_many_go_in_few_calls_and_come_out_by_priority(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct enqueue *all = calloc(MANY, sizeof *all);
    struct work w;
    int claimed = 0;

    STEP(s, scene_up(co, s) == ST_OK);
    for (int i = 0; i < MANY; i++) {
        job_spec_init(&all[i].spec);
        all[i].spec.queue = STR("q");
        all[i].spec.task = STR("noop");
        all[i].spec.priority = i % 10;
        queue_enqueue(s->queues, &all[i], NULL, NULL);
    }
    for (int i = 0; i < MANY; i++)
        STEP(s, co_await(co, &all[i].op) == ST_OK);
    int priority = 9;
    do {
        STEP(s, work(co, s, &w, 64, NULL, 0) == ST_OK);
        for (size_t i = 0; i < w.claimed_len; i++) {
            STEP(s, w.claimed[i].priority <= priority);
            priority = w.claimed[i].priority;
        }
        claimed += (int)w.claimed_len;
        rds_call_clear(&w.call);
    } while (w.more);
    STEP(s, claimed == MANY);
    free(all);
    return ST_OK;
}

/* A batch whose last job is as large as can be, all of them with long tags. */
static enum status
test_large_jobs_gather(struct co *co, void *arg)
{
    enum { JOBS = 128, ARGS = 8256 };
    struct scene *s = arg;
    struct enqueue *all = calloc(JOBS, sizeof *all);
    char *args = malloc(JOB_ARGS_MAX), tags[JOB_TAGS_MAX * 65];

    STEP(s, scene_up(co, s) == ST_OK);
    memset(args, ' ', JOB_ARGS_MAX);
    memset(tags, 't', sizeof tags);
    for (size_t i = 64; i < sizeof tags; i += 65)
        tags[i] = ',';
    args[0] = args[JOB_ARGS_MAX - 1] = '1';
    for (int i = 0; i < JOBS; i++) {
        job_spec_init(&all[i].spec);
        all[i].spec.queue = STR("q");
        all[i].spec.task = STR("noop");
        all[i].spec.args = str_from(args, i < JOBS - 1 ? ARGS : JOB_ARGS_MAX);
        all[i].spec.tags = str_from(tags, sizeof tags - 1);
        STEP(s, job_spec_check(&all[i].spec, &s->err) == ST_OK);
        queue_enqueue(s->queues, &all[i], NULL, NULL);
    }
    for (int i = 0; i < JOBS; i++) {
        enum status st = co_await(co, &all[i].op);
        s->err = all[i].err;
        s->step = __LINE__;
        if (st != ST_OK)
            return st;
    }
    free(args);
    free(all);
    return ST_OK;
}

static enum status
test_own_ids_are_stored_once(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct enqueue first = {.named = true, .local = "order-1"};
    struct enqueue again = first, other = first, fresh = {0};
    struct enqueue *both[] = {&fresh, &other};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, enqueue(co, s, &first, "{}") == ST_OK);
    STEP(s, first.outcome == ENQUEUE_NEW);
    STEP(s, enqueue(co, s, &again, "{}") == ST_OK);
    STEP(s, again.outcome == ENQUEUE_SAME);
    STEP(s, enqueue(co, s, &other, "[]") == ST_OK);
    STEP(s, other.outcome == ENQUEUE_OTHER);
    fresh.spec = other.spec;
    STEP(s, queue_enqueue_all(co, s->queues, both, 2, &s->err) == ST_CONFLICT);
    struct queue_counts counts;
    STEP(s, queue_counts(co, s->queues, STR("q"), &counts, &s->err) == ST_OK);
    STEP(s, counts.count[JOB_READY] == 1);
    char(*names)[ID_QUEUE_MAX + 1];
    size_t n;
    STEP(s, queue_names(co, s->queues, &names, &n, &s->err) == ST_OK);
    bool right = n == 1 && strcmp(names[0], "q") == 0;
    free(names);
    STEP(s, right);
    return ST_OK;
}

static enum status
enqueue_unique(struct co *co, struct scene *s, struct enqueue *e,
               enum unique_conflict on_conflict)
{
    job_spec_init(&e->spec);
    e->spec.queue = STR("q");
    e->spec.task = STR("noop");
    e->spec.unique = (struct job_unique){.hold = UNIQUE_RUNNING,
                                         .on_conflict = on_conflict,
                                         .key = STR("order-7")};
    return queue_enqueue_await(co, s->queues, e);
}

static enum status
test_a_unique_key_has_one_holder(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct enqueue first = {0}, second = {0}, third = {0}, plain = {0};
    struct enqueue *both[] = {&plain, &second};
    struct job_view view;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, enqueue_unique(co, s, &first, UNIQUE_REJECT) == ST_OK);
    STEP(s, first.outcome == ENQUEUE_NEW && !first.holder[0]);
    STEP(s, enqueue_unique(co, s, &second, UNIQUE_REJECT) == ST_OK);
    STEP(s, second.outcome == ENQUEUE_DUPLICATE);
    STEP(s, strcmp(second.holder, first.local) == 0);

    /* All or nothing: refused, unless the holder is the answer. */
    plain.spec = second.spec;
    plain.spec.unique = (struct job_unique){0};
    STEP(s, queue_enqueue_all(co, s->queues, both, 2, &s->err) == ST_CONFLICT);
    STEP(s, strstr(s->err.msg, first.local));
    second.spec.unique.on_conflict = UNIQUE_RETURN;
    STEP(s, queue_enqueue_all(co, s->queues, both, 2, &s->err) == ST_OK);
    STEP(s, plain.outcome == ENQUEUE_NEW);
    STEP(s, strcmp(second.holder, first.local) == 0);

    STEP(s, enqueue_unique(co, s, &third, UNIQUE_REPLACE) == ST_OK);
    STEP(s, third.outcome == ENQUEUE_NEW);
    STEP(s, strcmp(third.holder, first.local) == 0);
    struct job_id id = {STR("q"), str_c(first.local)};
    STEP(s, queue_get(co, s->queues, id, &view, &s->err) == ST_OK);
    bool cancelled = view.state == JOB_CANCELLED;
    queue_view_clear(&view);
    STEP(s, cancelled);
    return ST_OK;
}

static enum status
test_a_full_queue_takes_what_fits(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct rds_call call = {0};
    struct enqueue all[3] = {{.local = ""}};
    struct enqueue *two[] = {&all[0], &all[1]};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s,
         rds_await(co, s->rds, &call, "HSET pit:{q}:meta len_max 2") == ST_OK);
    rds_call_clear(&call);
    for (int i = 0; i < 3; i++) {
        job_spec_init(&all[i].spec);
        all[i].spec.queue = STR("q");
        all[i].spec.task = STR("noop");
        queue_enqueue(s->queues, &all[i], NULL, NULL);
    }
    /* They leave in one call: what fits is taken. */
    STEP(s, co_await(co, &all[0].op) == ST_OK);
    STEP(s, co_await(co, &all[1].op) == ST_OK);
    STEP(s, co_await(co, &all[2].op) == ST_QUEUE_FULL);
    STEP(s, strstr(all[2].err.msg, "queue q"));
    STEP(s, queue_enqueue_await(co, s->queues, &all[2]) == ST_QUEUE_FULL);
    STEP(s, strstr(all[2].err.msg, "queue q"));
    STEP(s, queue_enqueue_all(co, s->queues, two, 2, &s->err) == ST_QUEUE_FULL);
    return ST_OK;
}

static enum status
test_a_child_has_its_parents_results(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct rds_call call = {0};
    struct enqueue job = {.named = true, .local = "c"};
    struct job_view view;
    struct job_id id = {STR("q"), STR("c")};
    struct work w;

    STEP(s, scene_up(co, s) == ST_OK);
    job_spec_init(&job.spec);
    job.spec.queue = STR("q");
    job.spec.task = STR("noop");
    job.spec.kin.parents = 2;
    job.spec.kin.children = STR("q.grandchild");
    STEP(s, queue_enqueue_await(co, s->queues, &job) == ST_OK);
    STEP(s, queue_get(co, s->queues, id, &view, &s->err) == ST_OK);
    bool blocked = view.state == JOB_BLOCKED;
    queue_view_clear(&view);
    STEP(s, blocked);

    /* Its parent had ended: stored again, it goes on at once. */
    STEP(s, rds_await(co, s->rds, &call, "FLUSHALL") == ST_OK);
    rds_call_clear(&call);
    STEP(s, rds_await(co, s->rds, &call, "HSET pit:{q}:in:c q.p S[1] q.r D") ==
                ST_OK);
    rds_call_clear(&call);
    STEP(s, queue_enqueue_await(co, s->queues, &job) == ST_OK);
    STEP(s, work(co, s, &w, 1, NULL, 0) == ST_OK);
    struct buf inputs;
    buf_init(&inputs, 1000);
    if (w.claimed_len == 1)
        queue_work_inputs(&w.claimed[0], &inputs);
    bool right = !w.outbox && w.claimed[0].attempt == 1 &&
                 str_eq_c(buf_str(&inputs), "{\"q.p\":[1],\"q.r\":null}");
    buf_clear(&inputs);
    struct finish done = {.local = STR("c"),
                          .token = str_c(w.claimed[0].token),
                          .priority = w.claimed[0].priority,
                          .outcome = OUTCOME_SUCCEEDED};
    struct work after;
    enum status st = work(co, s, &after, 0, &done, 1);
    bool told = st == ST_OK && after.outbox && !after.more;
    rds_call_clear(&after.call);
    rds_call_clear(&w.call);
    STEP(s, right);
    STEP(s, told);
    return ST_OK;
}

struct waiting {
    struct scene *scene;
    struct job_id id;
    enum status status;
    bool done;
};

static enum status
wait_for_end(struct co *co, void *arg)
{
    struct waiting *w = arg;

    w->status = queue_wait(co, w->scene->queues, w->id, 5000, NULL);
    w->done = true;
    return ST_OK;
}

static enum status
test_a_wait_ends_with_the_job(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct enqueue e = {0};
    struct work w;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, enqueue(co, s, &e, "1") == ST_OK);
    struct waiting waiting = {.scene = s, .id = {STR("q"), str_c(e.local)}};
    struct error err;
    STEP(s, queue_wait(co, s->queues, waiting.id, 20, &err) == ST_TIMEOUT);
    STEP(s, co_spawn(s->loop, "waiter", wait_for_end, &waiting, NULL) == ST_OK);
    STEP(s, work(co, s, &w, 1, NULL, 0) == ST_OK && w.claimed_len == 1);
    STEP(s, !waiting.done);
    struct finish f = {.local = w.claimed[0].local,
                       .token = str_c(w.claimed[0].token),
                       .priority = 5,
                       .outcome = OUTCOME_FAILED,
                       .delay_ms = -1,
                       .message = STR("\"no\"")};
    struct work w2;
    STEP(s, work(co, s, &w2, 0, &f, 1) == ST_OK);
    rds_call_clear(&w2.call);
    rds_call_clear(&w.call);
    for (int i = 0; i < 500 && !waiting.done; i++)
        STEP(s, co_sleep(co, 10) == ST_OK);
    STEP(s, waiting.done && waiting.status == ST_OK);
    /* One that has ended, and one that never was, do not wait. */
    STEP(s, queue_wait(co, s->queues, waiting.id, 5000, &err) == ST_OK);
    struct job_id never = {STR("q"), STR("never")};
    STEP(s, queue_wait(co, s->queues, never, 5000, &err) == ST_OK);
    struct job_view view;
    STEP(s, queue_get(co, s->queues, never, &view, &err) == ST_NOT_FOUND);
    queue_view_clear(&view);
    return ST_OK;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scene_unit_test(test_life_of_a_job),
        scene_unit_test(test_many_go_in_few_calls_and_come_out_by_priority),
        scene_unit_test(test_large_jobs_gather),
        scene_unit_test(test_own_ids_are_stored_once),
        scene_unit_test(test_a_unique_key_has_one_holder),
        scene_unit_test(test_a_full_queue_takes_what_fits),
        scene_unit_test(test_a_child_has_its_parents_results),
        scene_unit_test(test_a_wait_ends_with_the_job),
    };

    return redis_server_run_tests(tests);
}

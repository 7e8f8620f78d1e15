/* pit/queue.h against a real Redis: what a view enqueues, looks at and waits
 * for. Nothing is asserted inside a coroutine. */
#include "app/public/queue_public.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness/queue_scene.h"
#include "pit/flow.h"
#include "queue/queue_settings.h"

static const char trace[] =
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/* ---- enqueue ---- */

static enum status
test_enqueue_stores_args_options_and_trace(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_ticket ticket;
    struct job_view view;
    struct job_id id;

    STEP(s, scene_up(co, s) == ST_OK);
    co_trace_set(co, str_c(trace));
    STEP(s, pit_enqueue(public, "mail.send", pit_args("{s:i}", "to", 7),
                        &(struct pit_enqueue){.ticket = &ticket,
                                              .retries = PIT_NO_RETRY,
                                              .priority = PIT_PRIORITY(9),
                                              .delay_ms = 60000,
                                              .tags = "a,b"}) == PIT_OK);
    STEP(s, strncmp(ticket.id, "mail.", 5) == 0 && !ticket.error[0]);
    STEP(s, id_split(str_c(ticket.id), &id, NULL) == ST_OK);
    STEP(s, queue_get(co, s->queues, id, &view, &s->err) == ST_OK);
    STEP(s, str_eq_c(view.spec.args, "{\"to\":7}"));
    STEP(s, view.spec.retries == 0 && view.spec.priority == 9);
    STEP(s, view.spec.timeout_ms == 5000); /* the task's */
    STEP(s, view.spec.delay_ms == 60000 && view.state == JOB_SCHEDULED);
    STEP(s, str_eq_c(view.spec.tags, "a,b"));
    STEP(s, str_eq_c(view.spec.origin.traceparent, trace));
    queue_view_clear(&view);
    return ST_OK;
}

static enum status
set_retry(struct co *co, struct scene *s, const char *name, const char *value)
{
    struct queue_settings settings;
    struct queue_setting change = {.name = name};

    str_copy_to(str_c(value), change.value, sizeof change.value);
    return queue_settings_apply(co, s->queues, STR("mail"), &change, 1,
                                &settings, &s->err);
}

static enum status
forget_jobs(struct co *co, struct scene *s)
{
    struct rds_call call = {0};

    enum status st = rds_await(co, s->rds, &call, "DEL pit:{mail}:jobs");
    rds_call_clear(&call);
    return st;
}

static struct pit_flow_job
flow_job(const char *task)
{
    return (struct pit_flow_job){.task = task};
}

static enum status
first_record(struct co *co, struct scene *s, const char *pattern)
{
    struct rds_call call = {0};

    enum status st = rds_await(co, s->rds, &call, "HVALS pit:{mail}:jobs");
    bool found = st == ST_OK && call.reply->elements == 1 &&
                 strstr(call.reply->element[0]->str, pattern);
    rds_call_clear(&call);
    return found ? ST_OK : error_set(&s->err, ST_BUG, "no %s", pattern);
}

/* The job, then its task, then the queue; a flow's jobs alike. */
static enum status
test_a_queue_says_what_job_and_task_do_not(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_flow_job one = flow_job("mail.quiet");

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, set_retry(co, s, "retry_max", "9") == ST_OK);
    STEP(s, set_retry(co, s, "retry_base", "50") == ST_OK);
    STEP(s, pit_enqueue(public, "mail.quiet", NULL, NULL) == PIT_OK);
    STEP(s, first_record(co, s, " r9 be,50,3600000,20\n") == ST_OK);
    STEP(s, forget_jobs(co, s) == ST_OK);
    STEP(s, pit_enqueue(public, "mail.quiet", NULL,
                        &(struct pit_enqueue){.retries = PIT_NO_RETRY,
                                              .backoff_ms = 70}) == PIT_OK);
    STEP(s, first_record(co, s, " r0 be,70,3600000,20\n") == ST_OK);
    STEP(s, forget_jobs(co, s) == ST_OK);
    STEP(s, pit_enqueue(public, "mail.send", NULL, NULL) == PIT_OK);
    STEP(s, first_record(co, s, " r7 be,1000,60000,20\n") == ST_OK);
    STEP(s, forget_jobs(co, s) == ST_OK);
    /* What this process changes holds at once. */
    STEP(s, set_retry(co, s, "retry_max", "4") == ST_OK);
    STEP(s, pit_chain(public, &one, 1, NULL, NULL) == PIT_OK);
    STEP(s, first_record(co, s, " r4 be,50,3600000,20") == ST_OK);
    return ST_OK;
}

static enum status
test_an_own_id_makes_one_job(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_ticket ticket;
    const struct pit_enqueue options = {.id = "seven", .ticket = &ticket};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_OK);
    STEP(s, strcmp(ticket.id, "mail.seven") == 0 && !ticket.existed);
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_OK);
    STEP(s, ticket.existed);
    STEP(s, pit_enqueue(public, "mail.send", pit_args("[i]", 1), &options) ==
                PIT_CONFLICT);
    STEP(s, strstr(ticket.error, "other content"));
    STEP(s, strcmp(ticket.id, "mail.seven") == 0);
    return ST_OK;
}

static enum status
test_what_is_wrong_is_said(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_ticket ticket;
    struct pit_enqueue options = {.ticket = &ticket};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_enqueue(public, "no.such", NULL, &options) == PIT_UNKNOWN_TASK);
    STEP(s, !ticket.id[0] && strstr(ticket.error, "no.such"));
    STEP(s, pit_enqueue(public, "not a name", NULL, &options) == PIT_INVALID);
    STEP(s, pit_enqueue(public, "mail.send", pit_args("{s:", "x"), &options) ==
                PIT_INVALID);
    STEP(s, strstr(ticket.error, "format"));
    options.priority = PIT_PRIORITY(10);
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_INVALID);
    options.priority = 0;
    char *large = calloc(1, JOB_ARGS_MAX + 2);
    STEP(s, large);
    memset(large, 'x', JOB_ARGS_MAX + 1);
    STEP(s, pit_enqueue(public, "mail.send", json_string(large), &options) ==
                PIT_TOO_LARGE);
    free(large);
    queue_public_attach(s->loop, NULL);
    STEP(s, pit_enqueue(public, "mail.send", pit_args("[]"), &options) ==
                PIT_UNAVAILABLE);
    co_deadline_ms(co, 0);
    queue_public_attach(s->loop, &s->catalog);
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_TIMEOUT ||
                strstr(ticket.error, "may be stored"));
    return ST_OK;
}

/* ---- results ---- */

static enum status
finish_later(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct finish finish = {.outcome = OUTCOME_SUCCEEDED,
                            .result = STR("{\"sent\":1}")};

    enum status st = co_sleep(co, 20);
    return st == ST_OK ? scene_work(co, s, "mail", &finish) : st;
}

static enum status
test_results_are_looked_at_and_waited_for(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_ticket ticket;
    struct pit_result result = {0};
    const struct pit_enqueue options = {.ticket = &ticket};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_OK);
    STEP(s, pit_result_get(public, ticket.id, &result) == PIT_OK);
    STEP(s, result.state == PIT_READY && !result.value);
    STEP(s, strcmp(result.state_name, "ready") == 0);
    STEP(s, pit_result_wait(public, ticket.id, 1, &result) == PIT_TIMEOUT);
    STEP(s, result.state == PIT_READY && result.error[0]);
    STEP(s, co_detach(s->loop, "worker", finish_later, s, NULL) == ST_OK);
    STEP(s, pit_result_wait(public, ticket.id, 5000, &result) == PIT_OK);
    STEP(s, result.state == PIT_SUCCEEDED && result.attempt == 1);
    STEP(s, json_integer_value(json_object_get(result.value, "sent")) == 1);

    struct finish dead = {.outcome = OUTCOME_FAILED,
                          .delay_ms = -1,
                          .message = STR("\"no such host\"")};
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_OK);
    STEP(s, scene_work(co, s, "mail", &dead) == ST_OK);
    STEP(s, pit_result_wait(public, ticket.id, 5000, &result) == PIT_OK);
    STEP(s, result.state == PIT_DEAD && !result.value);
    STEP(s, strcmp(result.cause, "failed") == 0);
    STEP(s, strcmp(result.message, "no such host") == 0);
    STEP(s, pit_result_get(public, "mail.none", &result) == PIT_NOT_FOUND);
    STEP(s, result.state == 0 && strstr(result.error, "mail.none"));
    STEP(s, pit_result_get(public, "nodot", &result) == PIT_INVALID);
    pit_result_clear(&result);
    pit_result_clear(&result);
    return ST_OK;
}

/* ---- flows ---- */

/* The state of the job @name of the flow @id. */
static enum status
state_in_flow(struct co *co, struct scene *s, const char *id, const char *name,
              enum job_state *ret)
{
    char full[PIT_JOB_ID_SIZE + 40];
    struct job_view view;
    struct job_id parts;

    snprintf(full, sizeof full, "%s:%s", id, name);
    enum status st = id_split(str_c(full), &parts, &s->err);
    if (st == ST_OK)
        st = queue_get(co, s->queues, parts, &view, &s->err);
    if (st == ST_OK)
        *ret = view.state;
    queue_view_clear(&view);
    return st;
}

static enum status
test_flows_start_from_c(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_ticket ticket;
    enum job_state state = JOB_DEAD;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_chain(public,
                      (const struct pit_flow_job[]){
                          {"mail.send", pit_args("[i]", 1), .name = "a"},
                          {"mail.send", .name = "b"}},
                      2, &(struct pit_flow_options){.name = "two"},
                      &ticket) == PIT_OK);
    STEP(s, strncmp(ticket.id, "mail.", 5) == 0);
    STEP(s, state_in_flow(co, s, ticket.id, "a", &state) == ST_OK);
    STEP(s, state == JOB_READY);
    STEP(s, state_in_flow(co, s, ticket.id, "b", &state) == ST_OK);
    STEP(s, state == JOB_BLOCKED);

    STEP(s,
         pit_group(
             public,
             (const struct pit_flow_job[]){{"mail.send"}, {"mail.send"}}, 2,
             &(struct pit_flow_job){"mail.send", .name = "then", .go_on = true},
             NULL, &ticket) == PIT_OK);
    STEP(s, state_in_flow(co, s, ticket.id, "then", &state) == ST_OK);
    STEP(s, state == JOB_BLOCKED);

    static const char *const after_a[] = {"a", NULL};
    static const char *const after_b[] = {"b", NULL};
    STEP(s, pit_flow(public,
                     (const struct pit_flow_job[]){
                         {"mail.send", .name = "b", .after = after_a},
                         {"mail.send", .name = "a"}},
                     2, NULL, &ticket) == PIT_OK);
    STEP(s, state_in_flow(co, s, ticket.id, "b", &state) == ST_OK);
    STEP(s, state == JOB_BLOCKED);
    STEP(s, pit_flow(public,
                     (const struct pit_flow_job[]){
                         {"mail.send", pit_args("[i]", 1), .name = "b",
                          .after = after_a},
                         {"mail.send", .name = "a", .after = after_b}},
                     2, NULL, &ticket) == PIT_INVALID);
    STEP(s, strstr(ticket.error, "waits for itself"));
    STEP(s,
         pit_chain(public,
                   (const struct pit_flow_job[]){{"no.such", pit_args("[]")}},
                   1, NULL, &ticket) == PIT_UNKNOWN_TASK);
    STEP(s, pit_chain(public, NULL, 0, NULL, &ticket) == PIT_INVALID);
    return ST_OK;
}

/* ---- Redis goes away ---- */

static enum status
test_an_unclear_outcome_has_the_id(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_ticket ticket;
    const struct pit_enqueue options = {.ticket = &ticket};

    STEP(s, scene_up(co, s) == ST_OK);
    /* The queue's policy is known from here on: nothing is read any more. */
    STEP(s, pit_enqueue(public, "mail.send", NULL, NULL) == PIT_OK);
    redis_server_stop(s->server);
    enum pit_status st = pit_enqueue(public, "mail.send", NULL, &options);
    redis_server_continue(s->server);
    STEP(s, st == PIT_UNCLEAR);
    STEP(s, strncmp(ticket.id, "mail.", 5) == 0 && ticket.error[0]);
    return ST_OK;
}

static enum status
test_ties_to_other_jobs(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_ticket first, second, third;
    struct pit_enqueue options = {.ticket = &first,
                                  .unique = {.key = "customer:42"},
                                  .limit = {.key = "t", .concurrency = 1}};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_OK);
    STEP(s, !first.existed);
    options.ticket = &second;
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_CONFLICT);
    STEP(s, strcmp(first.id, second.id) == 0 && second.error[0]);
    options.unique.on_conflict = PIT_UNIQUE_RETURN;
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_OK);
    STEP(s, strcmp(first.id, second.id) == 0 && second.existed);

    const char *const after[] = {first.id, NULL};
    options = (struct pit_enqueue){.ticket = &third, .after = after};
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_OK);
    struct pit_result result PIT_RESULT = {0};
    STEP(s, pit_result_get(public, third.id, &result) == PIT_OK);
    STEP(s, result.state == PIT_BLOCKED);
    const char *const nobody[] = {"mail.nobody", NULL};
    options.after = nobody;
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_INVALID);
    return ST_OK;
}

/* ---- durability ---- */

/* What this server can do is set from outside, in between. */
static enum status
test_durability_is_had_or_refused(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_ticket ticket;
    struct pit_enqueue options = {.ticket = &ticket, .durability = PIT_FSYNC};
    struct pit_result result PIT_RESULT = {0};

    STEP(s, scene_up(co, s) == ST_OK);
    redis_server_command(s->server, "CONFIG SET appendonly no", "+OK");
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_INVALID);
    STEP(s, strstr(ticket.error, "durability: ") &&
                strstr(ticket.error, "appendonly"));
    redis_server_command(s->server, "CONFIG SET appendonly yes", "+OK");
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_OK);
    STEP(s, pit_result_get(public, ticket.id, &result) == PIT_OK);
    const char *const after[] = {ticket.id, NULL};
    options.after = after;
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_OK);
    redis_server_command(s->server, "CONFIG SET appendonly no", "+OK");
    options =
        (struct pit_enqueue){.ticket = &ticket, .durability = PIT_REPLICA};
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_INVALID);
    STEP(s, strstr(ticket.error, "replica"));
    options.replicas = 17;
    STEP(s, pit_enqueue(public, "mail.send", NULL, &options) == PIT_INVALID);
    STEP(s, strstr(ticket.error, "1 to 16"));
    options.replicas = 0;
    struct pit_enqueue_job job = {"mail.send", .options = &options};
    STEP(s, pit_enqueue_many(public, &job, 1) == PIT_INVALID);
    STEP(s, strstr(ticket.error, "pit_enqueue() alone"));
    STEP(s, pit_enqueue_all(public, &job, 1) == PIT_INVALID);
    queue_public_attach_durability(s->loop, NULL);
    STEP(s,
         pit_enqueue(public, "mail.send", NULL, &options) == PIT_UNAVAILABLE);
    return ST_OK;
}

/* ---- many ---- */

enum { MANY = 1300 };

static enum status
test_many_have_a_status_each(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_enqueue_job *jobs = calloc(MANY, sizeof *jobs);
    struct pit_ticket *tickets = calloc(MANY, sizeof *tickets);
    struct pit_enqueue *options = calloc(MANY, sizeof *options);
    struct pit_result result PIT_RESULT = {0};
    enum status st = ST_OK;

    if (!jobs || !tickets || !options)
        abort();
    for (int i = 0; i < MANY; i++) {
        options[i].ticket = &tickets[i];
        options[i].queue = i % 2 ? "mail" : "aside";
        jobs[i] = (struct pit_enqueue_job){"mail.send", pit_args("[i]", i),
                                           &options[i], PIT_BUG};
    }
    options[7].priority = PIT_PRIORITY(10);
    jobs[1200].task = "no.such";
    const char *const nobody[] = {"mail.nobody", NULL};
    options[700].after = nobody;
    options[1].id = "one";
    options[3].id = "one"; /* with other args */
    enum pit_status all = PIT_BUG;
    if (scene_up(co, s) == ST_OK)
        all = pit_enqueue_many(public, jobs, MANY);
    for (int i = 0; i < MANY && st == ST_OK; i++) {
        enum pit_status wanted = i == 7      ? PIT_INVALID
                                 : i == 700  ? PIT_INVALID
                                 : i == 1200 ? PIT_UNKNOWN_TASK
                                 : i == 3    ? PIT_CONFLICT
                                             : PIT_OK;
        if (jobs[i].status != wanted ||
            (wanted == PIT_OK) != !tickets[i].error[0])
            st = error_set(&s->err, ST_BUG, "job %d: %d %s", i, jobs[i].status,
                           tickets[i].error);
    }
    if (st == ST_OK && all != PIT_CONFLICT) /* the first, by its place */
        st = error_set(&s->err, ST_BUG, "all: %d", all);
    if (st == ST_OK && (pit_result_get(public, tickets[MANY - 1].id, &result) ||
                        result.state != PIT_READY))
        st = error_set(&s->err, ST_BUG, "the last is not there");
    free(jobs);
    free(tickets);
    free(options);
    return st;
}

static enum status
test_all_or_nothing(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_ticket tickets[3];
    struct pit_enqueue options[3] = {{.id = "a", .ticket = &tickets[0]},
                                     {.id = "b", .ticket = &tickets[1]},
                                     {.id = "c", .ticket = &tickets[2]}};
    struct pit_enqueue_job jobs[3];
    struct pit_result result PIT_RESULT = {0};

#define FILL()                                                          \
    for (int i = 0; i < 3; i++)                                         \
    jobs[i] = (struct pit_enqueue_job){"mail.send", pit_args("[i]", i), \
                                       &options[i], PIT_BUG}
    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_enqueue(public, "mail.send", NULL,
                        &(struct pit_enqueue){.id = "b"}) == PIT_OK);
    FILL();
    STEP(s, pit_enqueue_all(public, jobs, 3) == PIT_CONFLICT);
    STEP(s, jobs[0].status == PIT_CONFLICT && jobs[2].status == PIT_CONFLICT);
    STEP(s, strstr(tickets[0].error, "because of the job 2 of 3"));
    STEP(s, strstr(tickets[1].error, "other content") && !tickets[0].id[0]);
    STEP(s, pit_result_get(public, "mail.a", &result) == PIT_NOT_FOUND);
    options[1].id = "d";
    FILL();
    STEP(s, pit_enqueue_all(public, jobs, 3) == PIT_OK);
    STEP(s, jobs[1].status == PIT_OK && !strcmp(tickets[1].id, "mail.d"));
    STEP(s, pit_result_get(public, "mail.a", &result) == PIT_OK);
    FILL();
    STEP(s, pit_enqueue_all(public, jobs, 3) == PIT_OK); /* the same again */
    STEP(s, tickets[2].existed);
    options[0].id = options[1].id = NULL;
    options[2] = (struct pit_enqueue){.queue = "aside", .ticket = &tickets[2]};
    FILL();
    STEP(s, pit_enqueue_all(public, jobs, 3) == PIT_INVALID);
    STEP(s, strstr(tickets[2].error, "queue") && tickets[0].error[0]);
    const char *const after[] = {"mail.a", NULL};
    options[2] = (struct pit_enqueue){.after = after, .ticket = &tickets[2]};
    FILL();
    STEP(s, pit_enqueue_all(public, jobs, 3) == PIT_INVALID);
    STEP(s, strstr(tickets[2].error, "flow"));
    STEP(s, pit_enqueue_all(public, jobs, 0) == PIT_INVALID);
    struct pit_enqueue_job *many = calloc(129, sizeof *many);
    STEP(s, many);
    for (int i = 0; i < 129; i++)
        many[i].args = pit_args("[]");
    enum pit_status st = pit_enqueue_all(public, many, 129);
    free(many);
    STEP(s, st == PIT_TOO_LARGE);
    redis_server_stop(s->server);
    co_deadline_ms(co, 50);
    options[2] = (struct pit_enqueue){.ticket = &tickets[2]};
    FILL();
    st = pit_enqueue_all(public, jobs, 3);
    redis_server_continue(s->server);
    STEP(s, st == PIT_UNCLEAR && jobs[2].status == PIT_UNCLEAR);
    STEP(s, tickets[2].id[0] && strstr(tickets[2].error, "may be stored"));
    FILL();
    STEP(s, pit_enqueue_many(public, jobs, 3) == PIT_TIMEOUT);
    STEP(s, strstr(tickets[0].error, "nothing was sent"));
#undef FILL
    return ST_OK;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scene_unit_test(test_ties_to_other_jobs),
        scene_unit_test(test_durability_is_had_or_refused),
        scene_unit_test(test_many_have_a_status_each),
        scene_unit_test(test_all_or_nothing),
        scene_unit_test(test_enqueue_stores_args_options_and_trace),
        scene_unit_test(test_a_queue_says_what_job_and_task_do_not),
        scene_unit_test(test_an_own_id_makes_one_job),
        scene_unit_test(test_what_is_wrong_is_said),
        scene_unit_test(test_results_are_looked_at_and_waited_for),
        scene_unit_test(test_flows_start_from_c),
        scene_unit_test(test_an_unclear_outcome_has_the_id),
    };
    return redis_server_run_tests(tests);
}

/* pit_flows_...() of pit/flow.h against a real Redis. Nothing is asserted
 * inside a coroutine. */
#include "pit/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "harness/queue_scene.h"
#include "queue/flow/outbox.h"

static const struct pit_flow_job two[] = {
    {"mail.send", .name = "a"},
    {"mail.send", .name = "b", .go_on = true},
};

static enum status
test_a_flow_is_shown_with_its_jobs(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_flows flows PIT_FLOWS = {0};
    struct pit_ticket ticket;
    struct finish done = {.outcome = OUTCOME_SUCCEEDED};

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_chain(public, two, 2,
                      &(struct pit_flow_options){.name = "ein Paar"},
                      &ticket) == PIT_OK);
    STEP(s, pit_flows_get(public, ticket.id, &flows) == PIT_OK);
    STEP(s, flows.len == 1 && !flows.next && !flows.error[0]);
    const struct pit_flow_info *flow = flows.flows;
    STEP(s, strcmp(flow->id, ticket.id) == 0 &&
                strcmp(flow->name, "ein Paar") == 0 &&
                strcmp(flow->queue, "mail") == 0);
    STEP(s, flow->state == PIT_FLOW_RUNNING &&
                strcmp(flow->state_name, "running") == 0);
    STEP(s, flow->jobs_total == 2 && flow->jobs_left == 2 &&
                flow->jobs_len == 2 && flow->created_ms > 0 && !flow->ended_ms);
    STEP(s, strcmp(flow->jobs[0].name, "a") == 0 &&
                flow->jobs[0].state == PIT_READY && !flow->jobs[0].go_on &&
                !flow->jobs[0].after[0]);
    STEP(s, strcmp(flow->jobs[1].task, "mail.send") == 0 &&
                flow->jobs[1].state == PIT_BLOCKED && flow->jobs[1].go_on &&
                strcmp(flow->jobs[1].after[0], "a") == 0 &&
                !flow->jobs[1].after[1]);
    for (int i = 0; i < 2; i++) {
        STEP(s, scene_work(co, s, "mail", &done) == ST_OK);
        STEP(s, outbox_deliver(co, s->queues, STR("mail"), NULL, &s->err) ==
                    ST_OK);
    }
    STEP(s, pit_flows_get(public, flow->id, &flows) == PIT_OK);
    flow = flows.flows;
    STEP(s, flow->state == PIT_FLOW_SUCCEEDED && flow->jobs_left == 0 &&
                flow->ended_ms > 0);
    STEP(s, flow->jobs[1].state == PIT_SUCCEEDED);
    STEP(s, pit_flows_cancel(public, flow->id, &flows) == PIT_CONFLICT);
    STEP(s, strstr(flows.error, "ended") && flows.len == 0);
    STEP(s, pit_flows_get(public, "mail.none", &flows) == PIT_NOT_FOUND);
    STEP(s, pit_flows_get(public, "nodot", &flows) == PIT_INVALID);
    STEP(s, pit_flows_cancel(public, "mail.none", NULL) == PIT_NOT_FOUND);
    return ST_OK;
}

static enum status
test_a_flow_is_cancelled(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_flows flows PIT_FLOWS = {0};
    struct pit_ticket ticket;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_group(public, two, 2, NULL, NULL, &ticket) == PIT_OK);
    STEP(s, pit_flows_cancel(public, ticket.id, &flows) == PIT_OK);
    STEP(s, flows.flows->state == PIT_FLOW_CANCELLED &&
                flows.flows->jobs[0].state == PIT_JOB_CANCELLED);

    STEP(s, pit_group(public, two, 2, NULL, NULL, &ticket) == PIT_OK);
    STEP(s, scene_work(co, s, "mail", NULL) == ST_OK);
    STEP(s, pit_flows_cancel(public, ticket.id, &flows) == PIT_OK);
    STEP(s, flows.flows->state == PIT_FLOW_RUNNING &&
                flows.flows->jobs_left == 1); /* it was asked */
    return ST_OK;
}

static enum status
test_flows_are_listed(struct co *co, void *arg)
{
    struct scene *s = arg;
    struct pit_co *public = co_public_of(co);
    struct pit_flows page PIT_FLOWS = {0};
    char ids[5][PIT_JOB_ID_SIZE];
    int seen = 0;

    STEP(s, scene_up(co, s) == ST_OK);
    STEP(s, pit_flows_list(public, NULL, NULL, 0, &page) == PIT_OK);
    STEP(s, page.len == 0 && !page.next);
    for (int i = 0; i < 5; i++) {
        struct pit_ticket ticket;
        const struct pit_flow_options options = {.queue =
                                                     i % 2 ? "aside" : "mail"};
        STEP(s, pit_chain(public, two, 2, &options, &ticket) == PIT_OK);
        memcpy(ids[i], ticket.id, sizeof ids[i]);
        STEP(s, co_sleep(co, 2) == ST_OK); /* a millisecond of its own */
    }
    do { /* newest first, over both queues */
        STEP(s, pit_flows_list(public, NULL, page.next, 2, &page) == PIT_OK);
        for (size_t i = 0; i < page.len; i++) {
            STEP(s, strcmp(page.flows[i].id, ids[4 - seen]) == 0);
            STEP(s, !page.flows[i].jobs && page.flows[i].jobs_total == 2);
            seen++;
        }
    } while (page.next);
    STEP(s, seen == 5);
    STEP(s, pit_flows_list(public, "aside", NULL, 0, &page) == PIT_OK);
    STEP(s, page.len == 2);
    STEP(s, pit_flows_list(public, "no queue", NULL, 0, &page) == PIT_INVALID);
    STEP(s, pit_flows_list(public, NULL, "x", 0, &page) == PIT_INVALID);
    STEP(s, strstr(page.error, "cursor"));
    STEP(s, pit_flows_list(public, NULL, NULL, 1001, &page) == PIT_INVALID);
    return ST_OK;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        scene_unit_test(test_a_flow_is_shown_with_its_jobs),
        scene_unit_test(test_a_flow_is_cancelled),
        scene_unit_test(test_flows_are_listed),
    };
    return redis_server_run_tests(tests);
}

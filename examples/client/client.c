/* client - a plain C program that uses the queue: no application, no worker, no
 * loop of its own. See pit/run.h.
 *
 *     client TASK [ARGS]
 *
 * Enqueues TASK with ARGS (JSON) on the Redis of PIT_REDIS, waits up to ten
 * seconds for its end and prints its result. Exit status 0: it succeeded. */
#include <pit/run.h>

#include <stdio.h>
#include <stdlib.h>

struct order {
    const char *task;
    json_t *args;
    char said[PIT_WORDS_SIZE]; /* what is to be printed */
};

static enum pit_status
enqueue_and_wait(struct pit_co *co, void *arg)
{
    struct order *order = arg;
    struct pit_ticket ticket;
    struct pit_result result PIT_RESULT = {0};

    enum pit_status st = pit_enqueue(co, order->task, order->args,
                                     &(struct pit_enqueue){.ticket = &ticket});
    if (st != PIT_OK) {
        snprintf(order->said, sizeof order->said, "%s", ticket.error);
        return st;
    }
    st = pit_result_wait(co, ticket.id, 10000, &result);
    if (st != PIT_OK) {
        snprintf(order->said, sizeof order->said, "%s", result.error);
        return st;
    }
    char *text = json_dumps(result.value, JSON_ENCODE_ANY | JSON_COMPACT);
    snprintf(order->said, sizeof order->said, "%s %s: %s", ticket.id,
             result.state_name, text ? text : result.message);
    free(text);
    return result.state == PIT_SUCCEEDED ? PIT_OK : PIT_FAILED;
}

int
main(int argc, char **argv)
{
    struct pit_run run = {0};
    struct order order = {.task = argc > 1 ? argv[1] : ""};

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: client TASK [ARGS]\n");
        return 2;
    }
    order.args = json_loads(argc > 2 ? argv[2] : "null", JSON_DECODE_ANY, NULL);
    if (!order.args) {
        fprintf(stderr, "client: the args are no JSON\n");
        return 2;
    }
    enum pit_status st = pit_run(&run, enqueue_and_wait, &order);
    if (run.error[0]) /* it was not called, and has taken nothing over */
        json_decref(order.args);
    fprintf(st == PIT_OK ? stdout : stderr, "%s\n",
            run.error[0] ? run.error : order.said);
    return st == PIT_OK ? 0 : 1;
}

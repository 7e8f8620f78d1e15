/* Flow list: each queue's newest are merged into those of the queues before, of
 * which as many are kept as were asked for. */
#include "queue/flow/flow_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct merge {
    const struct flow_listed *after;
    struct flow_listed *some; /* of one queue */
    struct flow_found *found; /* twice the room */
    size_t n;
    size_t len;
};

void
flow_list_cursor(const struct flow_listed *flow,
                 char dst[FLOW_LIST_CURSOR_SIZE])
{
    snprintf(dst, FLOW_LIST_CURSOR_SIZE, "%lld-%s", (long long)flow->created_ms,
             flow->local);
}

bool
flow_list_cursor_parse(struct str text, struct flow_listed *ret)
{
    struct str local;
    struct str ms = str_cut(text, '-', &local);

    if (!id_local_valid(local) || !str_to_i64(ms, &ret->created_ms))
        return false;
    str_copy_to(local, ret->local, sizeof ret->local);
    return true;
}

static int
compare_found(const void *a, const void *b)
{
    const struct flow_listed *one = &((const struct flow_found *)a)->flow;
    const struct flow_listed *two = &((const struct flow_found *)b)->flow;

    if (one->created_ms != two->created_ms)
        return one->created_ms > two->created_ms ? -1 : 1;
    return -strcmp(one->local, two->local);
}

static enum status
merge_queue(struct co *co, struct queues *queues, struct str queue,
            struct merge *merge, struct error *err)
{
    size_t n = 0;

    enum status st = flow_list(co, queues, queue, merge->after, merge->n,
                               merge->some, &n, err);
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        struct flow_found *found = &merge->found[merge->len++];
        found->flow = merge->some[i];
        str_copy_to(queue, found->queue, sizeof found->queue);
    }
    if (merge->len > 0)
        qsort(merge->found, merge->len, sizeof *merge->found, compare_found);
    if (merge->len > merge->n)
        merge->len = merge->n;
    return st;
}

static enum status
merge_all(struct co *co, struct queues *queues, struct merge *merge,
          struct error *err)
{
    char(*names)[ID_QUEUE_MAX + 1] = NULL;
    size_t n = 0;

    enum status st = queue_names(co, queues, &names, &n, err);
    for (size_t i = 0; i < n && st == ST_OK; i++)
        st = merge_queue(co, queues, str_c(names[i]), merge, err);
    free(names);
    return st;
}

enum status
flow_list_newest(struct co *co, struct queues *queues, struct str queue,
                 const struct flow_listed *after, size_t n,
                 struct flow_found **ret, size_t *ret_n, struct error *err)
{
    struct merge merge = {.after = after, .n = n};
    enum status st = ST_OK;

    merge.some = calloc(n, sizeof *merge.some);
    merge.found = calloc(2 * n, sizeof *merge.found);
    if (!merge.some || !merge.found)
        st = error_set(err, ST_LIMIT, "out of memory");
    else if (queue.n > 0)
        st = merge_queue(co, queues, queue, &merge, err);
    else
        st = merge_all(co, queues, &merge, err);
    free(merge.some);
    if (st == ST_OK) {
        *ret = merge.found;
        *ret_n = merge.len;
    } else {
        free(merge.found);
    }
    return st;
}

/* Which queues a worker serves, and how much of each. */
#include <string.h>

#include "dispatcher.h"
#include "queue/job/id.h"

static enum status
add(struct dispatcher_queue *queues, size_t *n, struct str name, int32_t weight,
    bool twice_is_fine, struct error *err)
{
    for (size_t i = 0; i < *n; i++)
        if (str_eq_c(name, queues[i].name))
            return twice_is_fine
                       ? ST_OK
                       : error_set(err, ST_INVALID,
                                   "--queues: '%.*s' stands there twice",
                                   STR_ARG(name));
    if (*n == OPTIONS_QUEUES_MAX)
        return error_set(err, ST_INVALID,
                         "--queues: at most %d queues a worker; start another "
                         "worker for the others",
                         OPTIONS_QUEUES_MAX);
    str_copy_to(name, queues[*n].name, sizeof queues->name);
    queues[(*n)++].weight = weight;
    return ST_OK;
}

static enum status
add_word(struct dispatcher_queue *queues, size_t *n, struct str word,
         struct error *err)
{
    int64_t weight = 1;
    size_t colon = word.n;

    /* A queue's name may hold colons: only digits behind the last are a weight.
     */
    while (colon > 0 && word.p[colon - 1] >= '0' && word.p[colon - 1] <= '9')
        colon--;
    if (colon > 0 && colon < word.n && word.p[colon - 1] == ':') {
        if (!str_to_i64(str_skip(word, colon), &weight) || weight < 1 ||
            weight > OPTIONS_WEIGHT_MAX)
            return error_set(err, ST_INVALID,
                             "--queues: the weight in '%.*s' must be 1..%d",
                             STR_ARG(word), OPTIONS_WEIGHT_MAX);
        word.n = colon - 1;
    }
    if (!id_queue_valid(word))
        return error_set(
            err, ST_INVALID,
            "--queues: '%.*s' is no queue's name; it is "
            "NAME or NAME:WEIGHT, comma-separated, NAME of 1 to 64 "
            "of A-Za-z0-9_.:-",
            word.n > 70 ? 70 : (int)word.n, word.p);
    return add(queues, n, word, (int32_t)weight, false, err);
}

enum status
dispatcher_queues(const struct options *options, const struct probe *probe,
                  struct dispatcher_queue *ret, size_t *ret_n,
                  struct error *err)
{
    enum status st = ST_OK;
    size_t n = 0;

    if (options->queues && *options->queues) {
        struct str rest = str_c(options->queues);
        while (st == ST_OK && rest.p)
            st = add_word(ret, &n, str_trim(str_cut(rest, ',', &rest)), err);
    } else {
        st = add(ret, &n, STR("default"), 1, true, err);
        for (size_t i = 0; st == ST_OK && i < probe->tasks_len; i++)
            st = add(ret, &n, str_c(probe->tasks[i].queue), 1, true, err);
        for (size_t i = 0; st == ST_OK && i < probe->schedules_len; i++)
            st = add(ret, &n, str_c(probe->schedules[i].queue), 1, true, err);
    }
    if (st == ST_OK)
        *ret_n = n;
    return st;
}

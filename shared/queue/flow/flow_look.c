/* Flow, looked at: its own hash, the states of its jobs, the list. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "queue/flow/flow.h"
#include "queue/queue_private.h"
#include "queue/script_call.h"

static void
key_of(const struct queues *queues, struct job_id id, char dst[KEYS_MAX_LEN])
{
    int n = snprintf(dst, KEYS_MAX_LEN, "%s:{%.*s}:flow:%.*s", queues->prefix,
                     STR_ARG(id.queue), STR_ARG(id.local));

    assert(n > 0 && n < KEYS_MAX_LEN);
}

static void
read_field(struct flow_view *view, struct str name, struct str value)
{
    const struct {
        const char *name;
        int64_t *field;
    } numbers[] = {
        {"created", &view->created_ms}, {"ended", &view->ended_ms},
        {"keep", &view->keep_ms},       {"jobs", &view->jobs},
        {"left", &view->left},
    };

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (str_eq_c(name, numbers[i].name))
            (void)str_to_i64(value, numbers[i].field);
    if (str_eq_c(name, "document"))
        view->document = value;
    else if (str_eq_c(name, "name"))
        view->title = value;
    else if (str_eq_c(name, "failed"))
        view->failed = str_eq_c(value, "1");
    else if (str_eq_c(name, "cancelled"))
        view->cancelled = str_eq_c(value, "1");
}

enum status
flow_get(struct co *co, struct queues *queues, struct job_id id,
         struct flow_view *ret, struct error *err)
{
    char key[KEYS_MAX_LEN];

    *ret = (struct flow_view){.id = id};
    key_of(queues, id, key);
    enum status st = rds_await(co, queues->rds, &ret->call, "HGETALL %s", key);
    if (st != ST_OK) {
        if (err)
            *err = ret->call.err;
        return st;
    }
    const redisReply *reply = ret->call.reply;
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        read_field(ret, script_call_text(reply->element[i]),
                   script_call_text(reply->element[i + 1]));
    if (ret->document.n == 0)
        return error_set(err, ST_NOT_FOUND,
                         "there is no flow %.*s.%.*s, or it is past its "
                         "retention",
                         STR_ARG(id.queue), STR_ARG(id.local));
    return ST_OK;
}

void
flow_view_clear(struct flow_view *view)
{
    rds_call_clear(&view->call);
}

enum status
flow_look(struct co *co, struct queues *queues, struct str queue,
          const struct str *locals, size_t n, char *ret, struct error *err)
{
    static const enum key which[] = {KEY_JOBS,     KEY_STATE,   KEY_DUE,
                                     KEY_RETRYING, KEY_BLOCKED, KEY_GONE};
    const char *argv[ARRAY_LEN(which) + FLOW_LOOK_MAX];
    size_t len[ARRAY_LEN(argv)];
    struct rds_call call = {0};
    struct keys keys;
    int argc = 0;

    assert(n >= 1 && n <= FLOW_LOOK_MAX);
    queue_keys(queues, queue, &keys);
    for (; argc < (int)ARRAY_LEN(which); argc++) {
        argv[argc] = keys.p[which[argc]];
        len[argc] = keys.n[which[argc]];
    }
    for (size_t i = 0; i < n; i++, argc++) {
        argv[argc] = locals[i].p;
        len[argc] = locals[i].n;
    }
    rds_send_script(queues->rds, &call, &script_look, ARRAY_LEN(which), argc,
                    argv, len, NULL, NULL);
    enum status st = co_await(co, &call.op);
    if (st != ST_OK && err)
        *err = call.err;
    if (st == ST_OK && call.reply->elements != n)
        st = error_set(err, ST_BUG, "look: a reply of another shape");
    for (size_t i = 0; i < n && st == ST_OK; i++)
        ret[i] = script_call_text(call.reply->element[i]).n == 1
                     ? call.reply->element[i]->str[0]
                     : '-';
    rds_call_clear(&call);
    return st;
}

/* ---- the list ---- */

/* Of one score the greater id comes first. */
static bool
is_behind(const struct flow_listed *one, const struct flow_listed *after)
{
    return one->created_ms < after->created_ms ||
           strcmp(one->local, after->local) < 0;
}

enum status
flow_list(struct co *co, struct queues *queues, struct str queue,
          const struct flow_listed *after, size_t n, struct flow_listed *ret,
          size_t *ret_n, struct error *err)
{
    enum { TIES_MAX = 256 }; /* flows of the cursor's own millisecond */
    struct rds_call call = {0};
    char from[24] = "+inf";
    struct keys keys;
    size_t found = 0;

    assert(n >= 1 && n <= FLOW_LIST_MAX);
    queue_keys(queues, queue, &keys);
    if (after)
        snprintf(from, sizeof from, "%lld", (long long)after->created_ms);
    enum status st =
        rds_await(co, queues->rds, &call,
                  "ZREVRANGEBYSCORE %s %s -inf WITHSCORES LIMIT 0 %d",
                  keys.p[KEY_FLOWS], from, (int)(n + (after ? TIES_MAX : 0)));
    if (st != ST_OK) {
        if (err)
            *err = call.err;
        goto out;
    }
    for (size_t i = 0; i + 1 < call.reply->elements && found < n; i += 2) {
        struct flow_listed *one = &ret[found];
        str_copy_to(script_call_text(call.reply->element[i]), one->local,
                    sizeof one->local);
        one->created_ms =
            (int64_t)strtod(call.reply->element[i + 1]->str, NULL);
        if (!after || is_behind(one, after))
            found++;
    }
    *ret_n = found;
out:
    rds_call_clear(&call);
    return st;
}

enum status
flow_mark_cancelled(struct co *co, struct queues *queues, struct job_id id,
                    struct error *err)
{
    struct rds_call call = {0};
    char key[KEYS_MAX_LEN];

    key_of(queues, id, key);
    enum status st =
        rds_await(co, queues->rds, &call, "HSET %s cancelled 1", key);
    if (st != ST_OK && err)
        *err = call.err;
    rds_call_clear(&call);
    return st;
}

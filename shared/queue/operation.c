/* Operations: scripts/operation_*.lua keep them, all in one slot of their own.
 * The name in braces is none that a queue can have. */
#include "queue/operation.h"

#include <assert.h>
#include <stdio.h>

#include "queue/script_call.h"

static const char *const keys[] = {"documents", "running", "runners",
                                   "stopping", "kept"};

struct words {
    struct script_call call;
    char key[ARRAY_LEN(keys)][KEYS_MAX_LEN];
};

static void
begin(struct words *words, const struct queues *queues)
{
    char name[32];

    script_call_init_global(&words->call, ARRAY_LEN(keys));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        snprintf(name, sizeof name, "{@operations}:%s", keys[i]);
        keys_global(queues_prefix(queues), name, words->key[i]);
        script_call_add(&words->call, str_c(words->key[i]));
    }
}

static enum status
await_number(struct co *co, struct queues *queues,
             const struct rds_script *script, const struct words *words,
             int64_t *ret, struct error *err)
{
    struct rds_call call = {0};

    enum status st =
        script_call_await(co, &words->call, queues, script, &call, err);
    if (st == ST_OK)
        *ret = call.reply->integer;
    rds_call_clear(&call);
    return st;
}

enum status
operation_tell(struct co *co, struct queues *queues, struct str id,
               struct str runner, struct str document, enum operation_how how,
               enum operation_told *ret, struct error *err)
{
    static const char *const words_of[] = {
        [OPERATION_NEW] = "new",
        [OPERATION_GOES] = "goes",
        [OPERATION_LEFT] = "left",
        [OPERATION_ENDED] = "ended",
    };
    struct words words;
    int64_t told = 0;

    begin(&words, queues);
    script_call_add(&words.call, id);
    script_call_add(&words.call, runner);
    script_call_add(&words.call, document);
    script_call_add(&words.call, str_c(words_of[how]));
    script_call_add_number(&words.call, OPERATION_LEASE_MS);
    script_call_add_number(&words.call, OPERATION_KEPT_MS);
    script_call_add_number(&words.call, OPERATION_KEPT_MAX);
    enum status st =
        await_number(co, queues, &script_operation_tell, &words, &told, err);
    if (st == ST_OK)
        *ret = (enum operation_told)told;
    return st;
}

void
operation_page_clear(struct operation_page *page)
{
    rds_call_clear(&page->call);
}

enum status
operation_take(struct co *co, struct queues *queues, struct str runner,
               size_t max, struct operation_page *ret, struct error *err)
{
    struct words words;

    assert(max >= 1 && max <= OPERATION_LIST_MAX);
    *ret = (struct operation_page){.len = 0};
    begin(&words, queues);
    script_call_add(&words.call, runner);
    script_call_add_number(&words.call, OPERATION_LEASE_MS);
    script_call_add_number(&words.call, (int64_t)max);
    enum status st = script_call_await(co, &words.call, queues,
                                       &script_operation_take, &ret->call, err);
    for (size_t i = 0; st == ST_OK && i + 1 < ret->call.reply->elements; i += 2)
        ret->items[ret->len++] = (struct operation_item){
            .id = script_call_text(ret->call.reply->element[i]),
            .document = script_call_text(ret->call.reply->element[i + 1]),
            .alive = true,
        };
    return st;
}

static enum status
list(struct co *co, struct queues *queues, struct str id, struct str before,
     size_t limit, struct operation_page *ret, struct error *err)
{
    enum { WORDS = 4 };
    struct words words;

    *ret = (struct operation_page){.len = 0};
    begin(&words, queues);
    script_call_add(&words.call, id);
    script_call_add(&words.call, before);
    script_call_add_number(&words.call, (int64_t)limit);
    enum status st = script_call_await(co, &words.call, queues,
                                       &script_operation_list, &ret->call, err);
    if (st != ST_OK)
        return st;
    redisReply *const *element = ret->call.reply->element;
    ret->more = element[0]->integer == 1;
    for (size_t i = 1; i + WORDS <= ret->call.reply->elements; i += WORDS)
        ret->items[ret->len++] = (struct operation_item){
            .id = script_call_text(element[i]),
            .document = script_call_text(element[i + 1]),
            .alive = element[i + 2]->integer == 1,
            .stopping = element[i + 3]->integer == 1,
        };
    return ST_OK;
}

enum status
operation_list(struct co *co, struct queues *queues, struct str before,
               size_t limit, struct operation_page *ret, struct error *err)
{
    assert(limit >= 1 && limit <= OPERATION_LIST_MAX);
    return list(co, queues, STR_NULL, before, limit, ret, err);
}

static enum status
refuse(struct error *err)
{
    return error_set(err, ST_NOT_FOUND,
                     "there is no such operation; they are kept for a day");
}

enum status
operation_get(struct co *co, struct queues *queues, struct str id,
              struct operation_page *ret, struct error *err)
{
    *ret = (struct operation_page){.len = 0};
    if (id.n != ID_ULID_LEN || !id_local_valid(id))
        return refuse(err);
    enum status st = list(co, queues, id, STR_NULL, 1, ret, err);
    return st == ST_OK && ret->len == 0 ? refuse(err) : st;
}

enum status
operation_stop(struct co *co, struct queues *queues, struct str id,
               bool *ret_asked, struct error *err)
{
    struct words words;
    int64_t found = 0;

    if (id.n != ID_ULID_LEN || !id_local_valid(id))
        return refuse(err);
    begin(&words, queues);
    script_call_add(&words.call, id);
    enum status st =
        await_number(co, queues, &script_operation_stop, &words, &found, err);
    if (st == ST_OK && found < 0)
        return refuse(err);
    if (st == ST_OK)
        *ret_asked = found == 1;
    return st;
}

json_t *
operation_shown(const struct operation_item *item)
{
    json_t *document = json_loadb(item->document.p, item->document.n, 0, NULL);
    const char *state = json_string_value(json_object_get(document, "state"));
    bool runs = state && strcmp(state, "running") == 0;

    if (!state) {
        json_decref(document);
        return NULL;
    }
    if (runs && !item->alive)
        json_object_set_new(document, "state", json_string("interrupted"));
    json_object_set_new(document, "cancel_asked",
                        json_boolean(runs && item->stopping));
    json_object_del(document, "resume");
    return document;
}

/* Log lines: scripts/log.lua writes them, scripts/logs.lua reads them. */
#include "queue/queue_log.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "queue/script_call.h"

void
queue_log(struct queues *queues, struct rds_call *call, struct str queue,
          const struct lease *lease, const struct str *lines, size_t n,
          void (*on_settled)(struct op *), void *arg)
{
    static const enum key which[] = {KEY_JOBS, KEY_STATE};
    struct script_call words;

    assert(n >= 1 && n <= QUEUE_LOG_LINES_MAX);
    script_call_init(&words, queues, queue, which, ARRAY_LEN(which));
    script_call_add(&words, lease->local);
    script_call_add(&words, lease->token);
    for (size_t i = 0; i < n; i++) {
        struct str line = lines[i];
        if (line.n > QUEUE_LOG_LINE_MAX)
            line.n = QUEUE_LOG_LINE_MAX;
        script_call_add(&words, line);
    }
    script_call_send(&words, queues, &script_log, call, on_settled, arg);
}

enum status
queue_log_prepare(struct co *co, struct queues *queues, struct error *err)
{
    struct rds_call call = {0};
    enum status st = rds_await(co, queues_rds(queues), &call, "SCRIPT LOAD %s",
                               script_log.text);

    if (st != ST_OK && err)
        *err = call.err;
    rds_call_clear(&call);
    return st;
}

bool
queue_log_cursor_valid(struct str cursor)
{
    struct str rest;
    int64_t n;

    return cursor.n < QUEUE_LOG_CURSOR_MAX &&
           str_to_i64(str_cut(cursor, '-', &rest), &n) && str_to_i64(rest, &n);
}

static enum status
read_page(const redisReply *reply, struct queue_log_page *page,
          struct error *err)
{
    enum { FIXED = 2, WORDS = 3 };

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < FIXED ||
        (reply->elements - FIXED) % WORDS != 0)
        return error_set(err, ST_BUG, "logs: a reply of another shape");
    page->total = reply->element[0]->integer;
    page->more = reply->element[1]->integer == 1;
    size_t n = (reply->elements - FIXED) / WORDS;
    page->lines = xcalloc(n + 1, sizeof *page->lines);
    for (size_t i = 0; i < n; i++) {
        redisReply *const *words = reply->element + FIXED + WORDS * i;
        struct queue_log_line *line = &page->lines[i];
        struct str cursor = script_call_text(words[0]), rest;
        int64_t attempt = 0;
        if (!queue_log_cursor_valid(cursor))
            return error_set(err, ST_BUG, "logs: a line of another shape");
        str_copy_to(cursor, line->cursor, sizeof line->cursor);
        (void)str_to_i64(str_cut(cursor, '-', &rest), &line->at_ms);
        (void)str_to_i64(script_call_text(words[1]), &attempt);
        line->attempt = (int)attempt;
        line->text = script_call_text(words[2]);
        page->len++;
    }
    return ST_OK;
}

enum status
queue_log_read(struct co *co, struct queues *queues, struct job_id id,
               struct str after, size_t limit, struct queue_log_page *ret,
               struct error *err)
{
    static const enum key which[] = {KEY_JOBS, KEY_GONE};
    struct script_call words;

    *ret = (struct queue_log_page){0};
    assert(limit >= 1 && limit <= QUEUE_LOG_KEPT);
    script_call_init(&words, queues, id.queue, which, ARRAY_LEN(which));
    script_call_add(&words, id.local);
    script_call_add(&words, after);
    script_call_add_number(&words, (int64_t)limit);
    enum status st =
        script_call_await(co, &words, queues, &script_logs, &ret->call, err);
    if (st == ST_OK)
        st = script_call_found(ret->call.reply, id, err);
    if (st == ST_OK)
        st = read_page(ret->call.reply, ret, err);
    return st;
}

void
queue_log_page_clear(struct queue_log_page *page)
{
    free(page->lines);
    page->lines = NULL;
    rds_call_clear(&page->call);
}

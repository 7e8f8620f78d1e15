/* Lists: scripts/list.lua finds the ids, get.lua shows each of them.
 *
 * A cursor is the place of a job in its index, in hex: it means nothing to
 * whoever holds it, and is checked to be ours in shape before it is used. */
#include "queue/queue_list.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

#include "base/log.h"
#include "queue/script_call.h"

const char *
queue_list_state_name(int state)
{
    if (state == LIST_ENDED)
        return "ended";
    return state >= 0 && state < JOB_STATES
               ? job_state_name((enum job_state)state)
               : NULL;
}

bool
queue_list_state_parse(struct str name, int *ret)
{
    for (int i = 0; i < LIST_STATES; i++)
        if (str_eq_c(name, queue_list_state_name(i))) {
            *ret = i;
            return true;
        }
    return false;
}

void
queue_list_cursor(struct str place, char dst[QUEUE_CURSOR_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;

    assert(2 * place.n < QUEUE_CURSOR_SIZE);
    for (size_t i = 0; i < place.n; i++) {
        unsigned char c = (unsigned char)place.p[i];
        dst[n++] = digits[c >> 4];
        dst[n++] = digits[c & 15];
    }
    dst[n] = '\0';
}

/* Visible ASCII, as every place is. */
static bool
read_cursor(struct str cursor, struct buf *dst)
{
    if (cursor.n % 2 != 0 || cursor.n >= QUEUE_CURSOR_SIZE)
        return false;
    for (size_t i = 0; i < cursor.n; i += 2) {
        int high = str_hex_digit(cursor.p[i]),
            low = str_hex_digit(cursor.p[i + 1]);
        int c = 16 * high + low;
        if (high < 0 || low < 0 || c <= 0x20 || c >= 0x7f)
            return false;
        buf_add_char(dst, (char)c);
    }
    return cursor.n == 0 || strchr("zrk", dst->p[0]);
}

static enum status
read_page(const redisReply *reply, struct list_page *page, struct error *err)
{
    enum { WORDS = 3 };

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
        (reply->elements - 1) % WORDS != 0)
        return error_set(err, ST_BUG, "list: a reply of another shape");
    page->next = script_call_text(reply->element[0]);
    size_t n = (reply->elements - 1) / WORDS;
    page->items = xcalloc(n + 1, sizeof *page->items);
    for (size_t i = 0; i < n; i++) {
        redisReply *const *words = reply->element + 1 + WORDS * i;
        page->items[i] = (struct list_item){
            .local = script_call_text(words[0]),
            .place = script_call_text(words[1]),
            .head = script_call_text(words[2]),
        };
    }
    page->len = n;
    return ST_OK;
}

enum status
queue_list(struct co *co, struct queues *queues, struct str queue, int state,
           struct str cursor, size_t limit, bool heads, struct list_page *ret,
           struct error *err)
{
    static const enum key which[] = {KEY_JOBS};
    struct script_call words;
    struct buf place;

    assert(limit >= 1 && limit <= QUEUE_LIST_MAX);
    *ret = (struct list_page){0};
    buf_init(&place, QUEUE_CURSOR_SIZE);
    if (!read_cursor(cursor, &place)) {
        buf_clear(&place);
        return error_set(err, ST_INVALID,
                         "the cursor is none of ours: take next_cursor of the "
                         "page before, or begin without one");
    }
    script_call_init(&words, queues, queue, which, ARRAY_LEN(which));
    script_call_add(&words, str_c(queue_list_state_name(state)));
    script_call_add_number(&words, (int64_t)limit);
    script_call_add(&words, buf_str(&place));
    script_call_add_number(&words, heads);
    enum status st =
        script_call_await(co, &words, queues, &script_list, &ret->call, err);
    buf_clear(&place);
    return st == ST_OK ? read_page(ret->call.reply, ret, err) : st;
}

void
queue_list_clear(struct list_page *page)
{
    free(page->items);
    page->items = NULL;
    rds_call_clear(&page->call);
}

enum status
queue_list_views(struct co *co, struct queues *queues, struct str queue,
                 const struct list_item *items, size_t n, struct job_view *ret,
                 struct error *err)
{
    struct op *ops[QUEUE_VIEWS_MAX];

    assert(n >= 1 && n <= QUEUE_VIEWS_MAX);
    for (size_t i = 0; i < n; i++) {
        queue_get_send(queues, (struct job_id){queue, items[i].local}, &ret[i]);
        ops[i] = &ret[i].call.op;
    }
    enum status st = co_await_all(co, ops, n);
    for (size_t i = 0; i < n && st != ST_OK && err; i++)
        if (ret[i].call.op.status == st) {
            *err = ret[i].call.err;
            return st;
        }
    if (st != ST_OK)
        return error_set(err, st, "given up");
    for (size_t i = 0; i < n; i++) {
        struct job_id id = {queue, items[i].local};
        st = queue_get_result(&ret[i], id, err);
        if (st == ST_OK)
            st = queue_get_settled(co, queues, id, &ret[i], err);
        if (st == ST_NOT_FOUND || st == ST_GONE)
            ret[i].spec.task = STR_NULL;
        else if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

enum status
queue_list_each(struct co *co, struct queues *queues, struct str queue,
                const struct list_page *page, size_t budget,
                queue_list_take *take, void *arg, struct str *ret_next,
                struct error *err)
{
    enum { FEW = 4 };
    struct job_view views[QUEUE_VIEWS_MAX];
    enum status st = ST_OK;
    size_t taken = 0;

    *ret_next = page->next;
    for (size_t at = 0; at < page->len && st == ST_OK && taken < budget;) {
        size_t n = page->len - at;
        size_t most = taken == 0 || taken > budget / 4 ? FEW : QUEUE_VIEWS_MAX;
        if (n > most)
            n = most;
        st = queue_list_views(co, queues, queue, page->items + at, n, views,
                              err);
        for (size_t i = 0; i < n; i++) {
            if (st == ST_OK && taken < budget && views[i].spec.task.n > 0) {
                taken = take(&views[i], arg);
                if (taken >= budget && at + i + 1 < page->len)
                    *ret_next = page->items[at + i].place;
            }
            queue_view_clear(&views[i]);
        }
        at += n;
    }
    return st;
}

/* Front: what the connections of a process share.
 *
 * DEADLINES. A timer per connection would cost more than a request does. But
 * there are only a few kinds, each with one delay: in a list per kind, appended
 * to whenever one starts, deadlines stand in the order of time. One timer is
 * set for the earliest; it is moved only when an earlier one comes, and when it
 * fires it takes the expired ones off the front of the lists. A request costs a
 * few pointers.
 *
 * POOLS. Blocks, output buffers and exchanges that are given back are kept for
 * the next request, up to POOL_MAX of each; so a request in the steady state
 * takes nothing from the heap, and a burst's memory goes back. */
#include "http/front.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/connection.h"

/* ---- time ---- */

void
front_read_clock(struct front *front)
{
    front->now_ms = loop_now_ms(front->loop);
}

void
front_read_clock_again(struct front *front)
{
    front->now_ms = clock_mono_ms();
}

/* ---- pools ---- */

enum { EXCHANGE_CLEARED = offsetof(struct exchange, body_left) };

static void *
pool_take(void **spare, size_t *len, size_t size)
{
    if (*len > 0)
        return spare[--*len];
    void *p = malloc(size);
    if (!p)
        log_fatal("out of memory");
    return p;
}

static void
pool_give(void **spare, size_t *len, void *p)
{
    if (*len < POOL_MAX)
        spare[(*len)++] = p;
    else
        free(p);
}

static void
pool_clear(void **spare, size_t *len)
{
    while (*len > 0)
        free(spare[--*len]);
}

char *
front_block_take(struct front *front, size_t size)
{
    if (size == SMALL_BLOCK)
        return pool_take(front->spare_small, &front->spare_small_len,
                         size + PARSER_SLACK);
    return pool_take(front->spare_blocks, &front->spare_blocks_len,
                     front->block_size + PARSER_SLACK);
}

void
front_block_give(struct front *front, char *block, size_t size)
{
    if (size == SMALL_BLOCK)
        pool_give(front->spare_small, &front->spare_small_len, block);
    else
        pool_give(front->spare_blocks, &front->spare_blocks_len, block);
}

void
front_out_take(struct front *front, struct buf *out)
{
    if (out->p)
        return;
    buf_init(out, front->options.output_max + 1024 * 1024);
    out->p = pool_take(front->spare_outs, &front->spare_outs_len, OUT_BLOCK);
    out->cap = OUT_BLOCK;
}

void
front_out_give(struct front *front, struct buf *out)
{
    if (!out->p)
        return;
    if (out->cap == OUT_BLOCK)
        pool_give(front->spare_outs, &front->spare_outs_len, out->p);
    else
        free(out->p);
    *out = (struct buf){.max = out->max};
}

struct exchange *
front_exchange_take(struct front *front)
{
    struct exchange *x =
        pool_take(front->spare_exchanges, &front->spare_exchanges_len,
                  sizeof(struct exchange));

    /* Not all of it: arena, tables and operations are most of it, and nothing
     * reads them before they are set. */
    memset((char *)x + EXCHANGE_CLEARED, 0,
           offsetof(struct exchange, arena) - EXCHANGE_CLEARED);
    x->co = NULL;
    x->many = NULL;
    x->head.fields = x->few;
    x->head.fields_room = FIELDS_FEW;
    x->head.fields_len = 0;
    x->head.method = 0;
    x->head.path = x->head.query = STR_NULL;
    x->pub.err.status = ST_OK;
    x->pub.err.msg[0] = x->pub.err.pointer[0] = '\0';
    x->body_max = front->options.body_max;
    arena_init(&x->arena, NULL, 0,
               RESPONSE_BODY_MAX + (size_t)front->options.body_max +
                   1024 * 1024);
    request_init(&x->pub.req, &x->arena);
    response_init(&x->pub.res, &x->arena);
    return x;
}

void
front_exchange_widen(struct front *front, struct exchange *x)
{
    size_t size = PARSER_FIELDS_MAX * sizeof *x->many;

    assert(!x->many);
    x->many = pool_take(front->spare_fields, &front->spare_fields_len, size);
    memcpy(x->many, x->few, x->head.fields_len * sizeof *x->many);
    x->head.fields = x->many;
    x->head.fields_room = PARSER_FIELDS_MAX;
}

void
front_exchange_begun(struct exchange *x)
{
    size_t taken = x->many ? 0 : x->head.fields_len;

    arena_start(&x->arena, &x->few[taken],
                (FIELDS_FEW - taken) * sizeof x->few[0]);
}

void
front_exchange_give(struct front *front, struct exchange *x)
{
    response_clear(&x->pub.res);
    if (x->body.p)
        buf_clear(&x->body);
    if (x->arena.chunks || x->arena.disposers) /* else as it begins */
        arena_clear(&x->arena);
    if (x->many)
        pool_give(front->spare_fields, &front->spare_fields_len, x->many);
    pool_give(front->spare_exchanges, &front->spare_exchanges_len, x);
}

/* ---- deadlines ---- */

static void on_sweep(struct loop_timer *timer);

static void
arm_sweep(struct front *front, int64_t at_ms)
{
    int64_t now = front->now_ms;

    if (loop_timer_active(&front->sweep) && front->sweep_at_ms <= at_ms)
        return;
    front->sweep_at_ms = at_ms;
    loop_timer_start(front->loop, &front->sweep, at_ms > now ? at_ms - now : 0,
                     on_sweep);
}

void
front_deadline(struct front *front, struct deadline *deadline,
               enum deadline_kind kind)
{
    list_remove(&deadline->link);
    deadline->kind = kind;
    deadline->at_ms = front->now_ms + front->delays_ms[kind];
    list_append(&front->deadlines[kind], &deadline->link);
    arm_sweep(front, deadline->at_ms);
}

void
front_deadline_stop(struct deadline *deadline)
{
    list_remove(&deadline->link);
    deadline->kind = DEADLINE_IDLE;
}

static struct connection *
connection_of(struct list *link, enum deadline_kind kind)
{
    if (kind == DEADLINE_WRITE)
        return LIST_ENTRY(link, struct connection, writing.link);
    if (kind == DEADLINE_BEAT)
        return LIST_ENTRY(link, struct connection, beat.link);
    return LIST_ENTRY(link, struct connection, reading.link);
}

/* Handles what is due of one kind; returns when the next is, or INT64_MAX. */
static int64_t
sweep_kind(struct front *front, enum deadline_kind kind, int64_t now)
{
    struct list *head = &front->deadlines[kind];

    while (!list_empty(head)) {
        struct deadline *first = LIST_ENTRY(head->next, struct deadline, link);
        if (first->at_ms > now)
            return first->at_ms;
        struct connection *c = connection_of(head->next, kind);
        front_deadline_stop(first);
        connection_expired(c, kind);
    }
    return INT64_MAX;
}

static void
on_sweep(struct loop_timer *timer)
{
    struct front *front = LIST_ENTRY(timer, struct front, sweep);
    int64_t next = INT64_MAX;

    front_read_clock(front);
    int64_t now = front->now_ms;

    /* The timer's callback is the deadline, whatever rounding says. */
    if (now < front->sweep_at_ms)
        now = front->sweep_at_ms;
    for (int kind = 0; kind < DEADLINE_KINDS; kind++) {
        int64_t at = sweep_kind(front, (enum deadline_kind)kind, now);
        if (at < next)
            next = at;
    }
    if (next != INT64_MAX)
        arm_sweep(front, next);
}

/* ---- before the loop sleeps ---- */

static void
run_dirty(struct front *front)
{
    struct list now, *link;

    list_init(&now);
    list_splice(&now, &front->dirty);
    while ((link = list_shift(&now)))
        connection_run(LIST_ENTRY(link, struct connection, dirty));
}

static void
on_before_sleep(struct loop_hook *hook)
{
    struct front *front = LIST_ENTRY(hook, struct front, hook);

    if (!list_empty(&front->dirty))
        run_dirty(front);
}

void
front_mark_dirty(struct front *front, struct connection *c)
{
    if (list_empty(&c->dirty) && c->state != CONNECTION_CLOSED)
        list_append(&front->dirty, &c->dirty);
}

/* ---- Date ---- */

/* IMF-fixdate of RFC 9110 section 5.6.7; not strftime(), whose names follow the
 * locale. */
static APART void
format_date(char *dst, size_t size, time_t t)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm;

    gmtime_r(&t, &tm);
    snprintf(dst, size, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
             days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
             tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

const char *
front_date(struct front *front)
{
    int64_t now = front->now_ms;
    struct timespec wall;

    if (now < front->date_until_ms)
        return front->date;
    clock_gettime(CLOCK_REALTIME, &wall);
    format_date(front->date, sizeof front->date, wall.tv_sec);
    front->date_until_ms = now + 1000 - wall.tv_nsec / 1000000;
    return front->date;
}

/* ---- life ---- */

/* Zero means the default. */
static void
set_defaults(struct front_options *o)
{
#define DEFAULT(field, value) ((field) = (field) ? (field) : (value))
    DEFAULT(o->request_line_max, 8 * 1024);
    DEFAULT(o->head_max, 16 * 1024);
    DEFAULT(o->fields_max, PARSER_FIELDS_MAX);
    DEFAULT(o->body_max, 1024 * 1024);
    DEFAULT(o->head_timeout_ms, 10000);
    DEFAULT(o->body_timeout_ms, 30000);
    DEFAULT(o->body_grace_ms, 5000);
    DEFAULT(o->body_rate, 1024);
    DEFAULT(o->idle_timeout_ms, 15000);
    DEFAULT(o->write_timeout_ms, 30000);
    DEFAULT(o->write_rate, 1024);
    DEFAULT(o->drain_timeout_ms, 2000);
    DEFAULT(o->drain_idle_ms, 1000);
    DEFAULT(o->probe_ms, 250);
    DEFAULT(o->sse_heartbeat_ms, 15000);
    DEFAULT(o->requests_max, 10000);
    DEFAULT(o->in_flight_max, 8192);
    DEFAULT(o->connections_max, 10000);
    DEFAULT(o->output_max, 256 * 1024);
#undef DEFAULT
    if (o->fields_max > PARSER_FIELDS_MAX)
        o->fields_max = PARSER_FIELDS_MAX;
    if (o->request_line_max > o->head_max)
        o->request_line_max = o->head_max;
}

static void
set_delays(struct front *front)
{
    const struct front_options *o = &front->options;
    int64_t look = o->body_timeout_ms / 4 + 1;

    front->delays_ms[DEADLINE_IDLE] = o->idle_timeout_ms;
    front->delays_ms[DEADLINE_HEAD] = o->head_timeout_ms;
    front->delays_ms[DEADLINE_BODY] = look < 1000 ? look : 1000;
    front->delays_ms[DEADLINE_PROBE] = o->probe_ms;
    front->delays_ms[DEADLINE_DRAIN] = o->drain_timeout_ms;
    front->delays_ms[DEADLINE_WRITE] = o->write_timeout_ms;
    front->delays_ms[DEADLINE_BEAT] = o->sse_heartbeat_ms;
}

/* Ids of several processes, and of one that was restarted, must differ. */
static void
start_ids(struct front *front)
{
    char hex[2 * FRONT_ID_LEN];
    uint32_t prefix;

    if (getrandom(&prefix, sizeof prefix, 0) != sizeof prefix)
        prefix = (uint32_t)getpid();
    snprintf(hex, sizeof hex, "%08x%08x", prefix, 0u);
    memcpy(front->next_id, hex, FRONT_ID_LEN);
}

struct front *
front_new(struct loop *loop, const struct front_options *options,
          http_handler *handler, void *arg)
{
    struct front *front = xcalloc(1, sizeof *front);

    front->loop = loop;
    if (options)
        front->options = *options;
    set_defaults(&front->options);
    set_delays(front);
    front->limits = (struct parser_limits){
        .line_max = front->options.request_line_max,
        .head_max = front->options.head_max,
        .fields_max = front->options.fields_max,
    };
    front->block_size = front->options.head_max + BODY_WINDOW;
    front->handler = handler;
    front->arg = arg;
    list_init(&front->connections);
    list_init(&front->dirty);
    list_init(&front->waiters);
    for (int kind = 0; kind < DEADLINE_KINDS; kind++)
        list_init(&front->deadlines[kind]);
    front->hook.fn = on_before_sleep;
    loop_hook_add(loop, &front->hook);
    start_ids(front);
    return front;
}

void
front_free(struct front *front)
{
    if (!front)
        return;
    LIST_FOREACH_SAFE (link, following, &front->connections) {
        struct connection *c = LIST_ENTRY(link, struct connection, link);
        assert(!(c->exchange && c->exchange->co));
        connection_vanish(c);
        connection_run(c);
    }
    loop_timer_stop(&front->sweep);
    loop_hook_remove(&front->hook);
    pool_clear(front->spare_blocks, &front->spare_blocks_len);
    pool_clear(front->spare_small, &front->spare_small_len);
    pool_clear(front->spare_outs, &front->spare_outs_len);
    pool_clear(front->spare_fields, &front->spare_fields_len);
    pool_clear(front->spare_exchanges, &front->spare_exchanges_len);
    free(front);
}

void
front_adopt_tls(struct front *front, int fd, struct tls *tls)
{
    int flags = fcntl(fd, F_GETFL);

    if (front_full(front) || flags < 0 ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        close(fd);
        return;
    }
    struct connection *c = connection_new(front, fd, tls);
    if (!c)
        return;
    list_append(&front->connections, &c->link);
    front->stats.connections++;
    front->stats.open++;
    connection_run(c);
}

void
front_adopt(struct front *front, int fd)
{
    front_adopt_tls(front, fd, NULL);
}

void
front_left(struct front *front)
{
    struct list *link;

    front->stats.open--;
    while (!front_full(front) && (link = list_shift(&front->waiters))) {
        struct front_waiter *waiter =
            LIST_ENTRY(link, struct front_waiter, link);
        waiter->fn(waiter);
    }
}

bool
front_full(const struct front *front)
{
    return front->stats.open >= front->options.connections_max;
}

void
front_wait_room(struct front *front, struct front_waiter *waiter)
{
    list_remove(&waiter->link);
    list_append(&front->waiters, &waiter->link);
}

/* Idle connections have as long as they would have had if it had always been
 * drain_idle_ms: the list stays in the order of time. */
static void
hasten_idle(struct front *front)
{
    int64_t *delay_ms = &front->delays_ms[DEADLINE_IDLE];
    int64_t less_ms = *delay_ms - front->options.drain_idle_ms;

    if (less_ms <= 0)
        return;
    *delay_ms -= less_ms;
    LIST_FOREACH (link, &front->deadlines[DEADLINE_IDLE])
        LIST_ENTRY(link, struct deadline, link)->at_ms -= less_ms;
}

void
front_drain(struct front *front)
{
    if (front->draining)
        return;
    front->draining = true;
    front_read_clock(front);
    hasten_idle(front);
    LIST_FOREACH_SAFE (link, following, &front->deadlines[DEADLINE_HEAD]) {
        struct connection *c =
            LIST_ENTRY(link, struct connection, reading.link);
        if (!c->exchange) /* new, and silent so far */
            front_deadline(front, &c->reading, DEADLINE_IDLE);
    }
    arm_sweep(front, front->now_ms);
}

void
front_cancel(struct front *front)
{
    LIST_FOREACH (link, &front->connections) {
        struct connection *c = LIST_ENTRY(link, struct connection, link);
        if (c->exchange && c->exchange->co)
            co_cancel(c->exchange->co, ST_CANCELLED);
    }
}

struct front_stats
front_stats(const struct front *front)
{
    return front->stats;
}

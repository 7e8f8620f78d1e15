/* Supervisor: who may live when.
 *
 *   dispatcher   always, but only while no slot of an earlier one is alive
 *   slot,        from the dispatcher's LINK_START to its death; then it is
 *   async child  held until the next LINK_START, which comes once the
 *                dispatcher has emptied its ring
 *
 * A slot that had come up is started again at once, however soon it died: it
 * was a job that killed it, and those are quarantined after a few. One that
 * never came up backs off. */
#include "supervisor.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "async_child.h"
#include "base/children.h"
#include "base/log.h"
#include "base/process.h"
#include "dispatcher.h"
#include "link.h"
#include "ring.h"
#include "slot.h"

enum {
    SLOTS_END_MS = 1000, /* for their application's own cleanup */
    MARGIN_MS = 10000, /* beyond the graces that the dispatcher keeps itself */
};

struct supervisor {
    const struct options *options;
    const struct probe *probe;
    struct children children;
    struct child dispatcher;
    struct child *slots; /* and the async child, at slots_len */
    size_t slots_len;
    struct ring **rings;
    struct ring_bell bell;
    struct board *board; /* NULL: no async child */
    struct ring_bell board_bell;
    int link[2]; /* ours, the dispatcher's */
    bool stopping;
    int exit_status;
};

/* --- what the children run --------------------------------------------------
 */

static int
run_dispatcher(struct child *child)
{
    struct supervisor *s = child->arg;
    const struct dispatcher_context context = {
        .options = s->options,
        .probe = s->probe,
        .rings = s->rings,
        .slots = s->slots_len,
        .bell = &s->bell,
        .board = s->board,
        .board_bell = &s->board_bell,
        .link = s->link[1],
    };

    close(s->link[0]);
    return dispatcher_run(&context);
}

static int
run_slot(struct child *child)
{
    struct supervisor *s = child->arg;
    const struct slot_context context = {
        .options = s->options,
        .ring = s->rings[child->index],
        .bell = &s->bell,
    };

    close(s->link[0]);
    close(s->link[1]);
    /* What another slot does is out of this one's reach. */
    for (size_t i = 0; i < s->slots_len; i++)
        if (i != child->index)
            ring_free(s->rings[i]);
    board_free(s->board);
    return slot_run(&context);
}

static int
run_async_child(struct child *child)
{
    struct supervisor *s = child->arg;
    const struct async_child_context context = {
        .options = s->options,
        .board = s->board,
        .own_bell = &s->board_bell,
        .bell = &s->bell,
    };

    close(s->link[0]);
    close(s->link[1]);
    for (size_t i = 0; i < s->slots_len; i++)
        ring_free(s->rings[i]);
    return async_child_run(&context);
}

/* --- the end ----------------------------------------------------------------
 */

/* The dispatcher drains and ends; a second time it hurries. */
static void
stop(struct supervisor *s)
{
    const struct options *o = s->options;

    link_send(s->link[0], s->stopping ? LINK_STOP_NOW : LINK_STOP, 0, 0);
    /* SIGCONT does nothing to it: what counts is the SIGKILL at the end. */
    children_stop(&s->dispatcher, SIGCONT,
                  s->stopping ? MARGIN_MS
                              : o->grace_ms + o->kill_grace_ms + MARGIN_MS,
                  false);
    s->stopping = true;
}

/* --- messages ---------------------------------------------------------------
 */

static void
link_cb(struct children *children, int fd, void *arg)
{
    struct supervisor *s = arg;
    struct link_message message;
    bool closed;

    while (link_receive(fd, &message, &closed)) {
        if (message.kind == LINK_DRAIN && !s->stopping)
            stop(s);
        if (message.slot >= s->slots_len + (s->board != NULL))
            continue;
        struct child *slot = &s->slots[message.slot];
        if (message.kind == LINK_START)
            children_start(slot);
        else if (message.kind == LINK_KILL)
            children_signal(slot, SIGKILL);
    }
    if (closed) /* its death will be reported */
        children_unwatch(children, fd);
}

/* A fresh pair for a fresh dispatcher. */
static enum status
connect_dispatcher(struct supervisor *s, struct error *err)
{
    if (s->link[0] >= 0) {
        children_unwatch(&s->children, s->link[0]);
        close(s->link[0]);
        close(s->link[1]);
        s->link[0] = s->link[1] = -1;
    }
    enum status st = link_pair(s->link, err);
    if (st == ST_OK)
        children_watch(&s->children, s->link[0], link_cb, s);
    return st;
}

/* --- deaths -----------------------------------------------------------------
 */

static bool
slots_alive(const struct supervisor *s)
{
    for (size_t i = 0; i <= s->slots_len; i++)
        if (s->slots[i].pid)
            return true;
    return false;
}

static void
end_all(struct supervisor *s, int exit_status)
{
    s->stopping = true;
    s->exit_status = exit_status;
    children_stop_all(&s->children, SIGTERM, SLOTS_END_MS);
}

static void
restart_dispatcher(struct supervisor *s)
{
    struct error err;

    if (connect_dispatcher(s, &err) != ST_OK) {
        log_error("%s", err.msg);
        end_all(s, 1);
        return;
    }
    children_start(&s->dispatcher);
}

static void
dispatcher_died(struct child *child, const struct child_death *death)
{
    struct supervisor *s = child->arg;
    bool fatal = WIFEXITED(death->wait_status) &&
                 WEXITSTATUS(death->wait_status) == DISPATCHER_EXIT_CONFIG;

    if (fatal) {
        end_all(s, 2); /* as for any setting that cannot be honoured */
        return;
    }
    if (s->stopping) {
        end_all(s, death->wait_status == 0 ? s->exit_status : 1);
        return;
    }
    log_error("the dispatcher died (%s); all slots are killed, everything "
              "starts anew",
              death->cause);
    children_stop(child, 0, 0, false);
    for (size_t i = 0; i < s->slots_len + (s->board != NULL); i++)
        children_stop(&s->slots[i], SIGKILL, 0, false);
    if (!slots_alive(s))
        restart_dispatcher(s);
}

static void
slot_died(struct child *child, const struct child_death *death)
{
    struct supervisor *s = child->arg;

    children_stop(child, 0, 0, false); /* until LINK_START */
    if (child->index < s->slots_len ? ring_attached(s->rings[child->index])
                                    : board_attached(s->board))
        children_healthy(child);
    if (s->dispatcher.pid) {
        /* One that cannot be told would wait for this slot for ever. */
        if (!link_send(s->link[0], LINK_DIED, child->index, death->wait_status))
            children_signal(&s->dispatcher, SIGKILL);
    } else if (!s->stopping && !slots_alive(s))
        restart_dispatcher(s);
}

/* --- life -------------------------------------------------------------------
 */

static void
signal_cb(struct children *children, int signo)
{
    struct supervisor *s = children->arg;

    if (signo != SIGTERM && signo != SIGINT)
        return;
    if (!s->dispatcher.pid) {
        end_all(s, 0);
        return;
    }
    stop(s);
}

static enum status
add_async_child(struct supervisor *s, struct error *err)
{
    struct child *child = &s->slots[s->slots_len];
    enum status st = ring_bell_init(&s->board_bell, err);

    if (st == ST_OK)
        st = board_new((uint32_t)s->options->async, &s->board, err);
    if (st != ST_OK)
        return st;
    *child = (struct child){
        .name = "pit-async",
        .index = (unsigned)s->slots_len,
        .run = run_async_child,
        .on_death = slot_died,
        .arg = s,
    };
    children_add(&s->children, child);
    children_stop(child, 0, 0, false); /* until LINK_START */
    return ST_OK;
}

static enum status
init(struct supervisor *s, struct error *err)
{
    enum status st = children_init(&s->children, signal_cb, s, err);
    if (st == ST_OK)
        st = ring_bell_init(&s->bell, err);
    s->slots = xcalloc(s->slots_len + 1, sizeof *s->slots);
    s->rings = xcalloc(s->slots_len, sizeof(struct ring *));
    for (size_t i = 0; st == ST_OK && i < s->slots_len; i++) {
        st = ring_new(&s->rings[i], err);
        s->slots[i] = (struct child){
            .name = "pit-slot",
            .index = (unsigned)i,
            .run = run_slot,
            .on_death = slot_died,
            .arg = s,
        };
        children_add(&s->children, &s->slots[i]);
        children_stop(&s->slots[i], 0, 0, false); /* until LINK_START */
    }
    if (st == ST_OK && s->options->async > 0)
        st = add_async_child(s, err);
    s->dispatcher = (struct child){
        .name = "dispatcher",
        .run = run_dispatcher,
        .on_death = dispatcher_died,
        .arg = s,
    };
    children_add(&s->children, &s->dispatcher);
    return st == ST_OK ? connect_dispatcher(s, err) : st;
}

int
supervisor_run(const struct options *options, const struct probe *probe)
{
    struct supervisor s = {
        .options = options,
        .probe = probe,
        .slots_len = (size_t)options->slots,
        .link = {-1, -1},
    };
    struct error err;

    process_set_name("pit-worker");
    if (init(&s, &err) != ST_OK) {
        log_error("%s", err.msg);
        return 1;
    }
    children_run(&s.children);
    for (size_t i = 0; i < s.slots_len; i++)
        ring_free(s.rings[i]);
    if (s.board)
        ring_bell_clear(&s.board_bell);
    board_free(s.board);
    ring_bell_clear(&s.bell);
    free(s.rings);
    free(s.slots);
    return s.exit_status;
}

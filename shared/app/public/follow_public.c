/* Public follow: pit/follow.h on top of the feeds of app/document/. */
#include "pit/follow.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/document/job_feed.h"
#include "app/document/job_info.h"
#include "app/document/job_json.h"
#include "app/document/queue_feed.h"
#include "app/outside.h"
#include "app/public/co_public.h"
#include "app/public/queue_public.h"
#include "base/jsontext.h"
#include "base/log.h"

/* What a follower has behind it; one of the feeds. */
struct follow {
    struct job_feed *job_feed;
    struct queue_feed *queue_feed;
    struct pit_change change;
    struct pit_counters counters;
    char job[ID_JOB_MAX + 1];
    char queue[ID_QUEUE_MAX + 1];
    char id[CHANGES_ID_MAX + QUEUE_LOG_CURSOR_MAX]; /* of either kind */
    json_t *value;
    json_t *message;
};

static void
drop_change(struct follow *follow)
{
    json_decref(follow->value);
    json_decref(follow->message);
    follow->value = follow->message = NULL;
}

static void
follow_free(struct follow *follow)
{
    if (!follow)
        return;
    drop_change(follow);
    job_feed_free(follow->job_feed);
    queue_feed_free(follow->queue_feed);
    free(follow);
}

void
pit_follow_clear(struct pit_follow *public)
{
    follow_free(public->private_);
    *public = (struct pit_follow){.over = false};
}

/* ---- what happened ---- */

/* Text that another program may have written; NULL for what is no JSON. */
static json_t *
tree(struct str text)
{
    struct jsontext value;

    if (text.n == 0 || jsontext_check(text, &value, NULL) != ST_OK)
        return NULL;
    return json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL);
}

static void
fill_job(struct follow *follow, const struct job_view *view)
{
    struct pit_change *change = &follow->change;

    change->state = job_info_state(view->state);
    change->state_name = job_state_name(view->state);
    change->attempt = view->history.attempt;
    change->retries = view->history.retries;
    change->crashes = view->history.crashes;
}

static void
fill_end(struct follow *follow, const struct job_view *view)
{
    struct job_failure failure = job_json_failure(view);
    struct pit_change *change = &follow->change;

    follow->value = tree(view->result);
    follow->message = tree(failure.message);
    const char *message = json_string_value(follow->message);
    change->value = follow->value;
    change->cause = failure.cause ? failure.cause : "";
    change->message = message ? message : "";
}

static void
fill_line(struct follow *follow, const struct queue_log_line *line)
{
    struct pit_change *change = &follow->change;

    change->attempt = line->attempt;
    change->at_ms = line->at_ms;
    change->text = line->text.p ? line->text.p : "";
    change->text_len = line->text.n;
}

/* The state of a change among many. */
static void
fill_change(struct follow *follow, const struct feed_event *event)
{
    const struct state_change *from = event->change;
    struct pit_change *change = &follow->change;

    snprintf(follow->job, sizeof follow->job, "%.*s.%.*s", STR_ARG(from->queue),
             STR_ARG(from->local));
    str_copy_to(from->queue, follow->queue, sizeof follow->queue);
    for (int i = 0; i < JOB_STATES; i++)
        if (strcmp(event->state_name, job_state_name((enum job_state)i)) == 0)
            change->state = job_info_state((enum job_state)i);
    change->state_name = event->state_name;
    change->attempt = from->attempt;
}

static void
fill_counters(struct follow *follow, const struct queue_counts *counts)
{
    follow->counters = (struct pit_counters){
        .paused = counts->paused,
        .enqueued = counts->enqueued,
        .succeeded = counts->succeeded,
        .failed = counts->failed,
    };
    queue_public_counts(counts, follow->counters.count);
    str_copy_to(str_c(counts->name), follow->queue, sizeof follow->queue);
    follow->change.counters = &follow->counters;
}

static void
fill(struct follow *follow, const struct feed_event *event)
{
    static const enum pit_change_kind kinds[] = {
        [FEED_STATE] = PIT_CHANGE_STATE,
        [FEED_PROGRESS] = PIT_CHANGE_PROGRESS,
        [FEED_LOG] = PIT_CHANGE_LOG,
        [FEED_END] = PIT_CHANGE_END,
        [FEED_COUNTERS] = PIT_CHANGE_COUNTERS,
        [FEED_LOST] = PIT_CHANGE_LOST,
    };

    drop_change(follow);
    if (follow->queue_feed)
        follow->job[0] = follow->queue[0] = '\0';
    str_copy_to(event->id, follow->id, sizeof follow->id);
    follow->change = (struct pit_change){
        .kind = kinds[event->kind],
        .sse = {.id = event->id.n > 0 ? follow->id : NULL,
                .event = event->name,
                .data = event->data.p},
        .job = follow->job,
        .queue = follow->queue,
        .state_name = "",
        .cause = "",
        .message = "",
        .text = "",
    };
    if (event->view)
        fill_job(follow, event->view);
    if (event->kind == FEED_PROGRESS) {
        follow->value = tree(event->view->progress);
        follow->change.value = follow->value;
    }
    if (event->kind == FEED_END)
        fill_end(follow, event->view);
    if (event->line)
        fill_line(follow, event->line);
    if (event->change)
        fill_change(follow, event);
    if (event->counts)
        fill_counters(follow, event->counts);
}

/* ---- the calls ---- */

/* *ret_queues is NULL where a test's script answers. */
static enum status
begin(struct co *co, struct queues **ret_queues, struct changes **ret,
      struct error *err)
{
    *ret_queues = NULL;
    enum status st = outside_script(co)
                         ? co_cancelled(co)
                         : queue_public_begin(co, ret_queues, err);
    if (st != ST_OK)
        return st;
    *ret = queue_public_changes(co_loop(co));
    return *ret
               ? ST_OK
               : error_set(err, ST_UNAVAILABLE, "this process follows no jobs");
}

/* Takes @follow over. What @ret had before is dropped last: an argument may be
 * lent by it. */
static enum pit_status
end_begin(const struct co *co, enum status st, const struct error *err,
          struct follow *follow, struct pit_follow *ret)
{
    pit_follow_clear(ret);
    if (st == ST_OK) {
        ret->private_ = follow;
        ret->over = follow->job_feed && job_feed_over(follow->job_feed);
    } else {
        follow_free(follow);
    }
    return queue_public_end(co, st, false, err, ret->error);
}

enum pit_status
pit_follow_job(struct pit_co *public, const char *id, const char *after,
               struct pit_follow *ret)
{
    struct co *co = co_public_core(public);
    struct follow *follow = xcalloc(1, sizeof *follow);
    struct error err = {.msg = ""};
    struct changes *changes;
    struct queues *queues;
    struct job_id parts;

    enum status st = begin(co, &queues, &changes, &err);
    if (st == ST_OK)
        st = id_split(str_c(id), &parts, &err);
    if (st == ST_OK)
        st = job_feed_open(co, queues, changes, parts, str_c(after),
                           &follow->job_feed, &err);
    if (st == ST_OK) {
        str_copy_to(str_c(id), follow->job, sizeof follow->job);
        str_copy_to(parts.queue, follow->queue, sizeof follow->queue);
    }
    return end_begin(co, st, &err, follow, ret);
}

enum pit_status
pit_follow_queues(struct pit_co *public, const struct pit_follow_queues *what,
                  struct pit_follow *ret)
{
    static const struct pit_follow_queues all;
    struct co *co = co_public_core(public);
    struct follow *follow = xcalloc(1, sizeof *follow);
    struct error err = {.msg = ""};
    struct changes *changes;
    struct queues *queues;

    what = what ? what : &all;
    const struct queue_feed_wish wish = {.queue = str_c(what->queue),
                                         .after = str_c(what->after),
                                         .counters = what->counters};
    enum status st = begin(co, &queues, &changes, &err);
    if (st == ST_OK && what->queue)
        st = queue_public_name(what->queue, "/queue", &err);
    if (st == ST_OK)
        st = queue_feed_open(co, queues, changes, &wish, &follow->queue_feed,
                             &err);
    return end_begin(co, st, &err, follow, ret);
}

static enum status
next(struct co *co, struct follow *follow, int64_t timeout_ms,
     struct error *err)
{
    int64_t left_ms = timeout_ms < 0 ? INT64_MAX : timeout_ms;
    struct feed_event event;

    if (!follow)
        return error_set(err, ST_INVALID, "nothing is followed");
    enum status st =
        follow->job_feed
            ? job_feed_next(co, follow->job_feed, left_ms, &event, err)
            : queue_feed_next(co, follow->queue_feed, left_ms, &event, err);
    if (st == ST_OK)
        fill(follow, &event);
    return st;
}

enum pit_status
pit_follow_next(struct pit_co *public, struct pit_follow *ret,
                int64_t timeout_ms)
{
    struct co *co = co_public_core(public);
    struct follow *follow = ret->private_;
    struct error err = {.msg = ""};

    enum status st = next(co, follow, timeout_ms, &err);
    ret->change = st == ST_OK ? &follow->change : NULL;
    ret->over = follow && follow->job_feed && job_feed_over(follow->job_feed);
    if (st == ST_TIMEOUT && co_cancelled(co) == ST_OK)
        (void)error_set(&err, st, "nothing happened");
    return queue_public_end(co, st, false, &err, ret->error);
}

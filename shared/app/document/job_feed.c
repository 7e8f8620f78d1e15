/* Job feed: a look is gone through step by step, an event at each call; what
 * was looked at is kept as long and no longer. A step that fails begins with a
 * new look, which says nothing twice: what was said last is remembered. */
#include "app/document/job_feed.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/document/job_json.h"
#include "app/outside.h"
#include "base/jsontext.h"
#include "base/log.h"

enum {
    LOOK_MS = 5000, /* even if nothing was heard */
    LOG_PAGE = 100,
    DATA_MAX = 4 * 1024 * 1024,
    END_ID_SIZE = QUEUE_LOG_CURSOR_MAX + 8,
};

/* What comes next of a look. */
enum step { STEP_LOOK, STEP_STATE, STEP_PROGRESS, STEP_LOG, STEP_END, WAIT };

struct job_feed {
    struct queues *queues;
    struct changes_listener listener;
    char queue[ID_QUEUE_MAX + 1];
    char local[ID_LOCAL_MAX + 1];
    struct job_id id;                  /* both of them */
    char cursor[QUEUE_LOG_CURSOR_MAX]; /* of the last log line; "" */
    bool over;
    enum step step;
    int64_t looked_ms;
    struct job_view view; /* from a look to its last step */
    struct queue_log_page page;
    size_t line; /* of the page: the next one */
    /* what was said last */
    bool said;
    enum job_state state;
    int attempt;
    uint64_t progress;
    char end_id[END_ID_SIZE];
    struct buf heard; /* changes, which nobody reads: we look */
    struct buf data;
};

/* ---- what is asked ---- */

static enum status
look_at(struct co *co, struct job_feed *feed, struct job_view *ret,
        struct error *err)
{
    const struct outside_script *script = outside_script(co);

    return script ? script->look(co, feed->id, ret, err)
                  : queue_get(co, feed->queues, feed->id, ret, err);
}

static enum status
read_log(struct co *co, struct job_feed *feed, struct error *err)
{
    const struct outside_script *script = outside_script(co);
    struct str after = str_c(feed->cursor);

    queue_log_page_clear(&feed->page);
    feed->line = 0;
    return script
               ? script->logs(co, feed->id, after, LOG_PAGE, &feed->page, err)
               : queue_log_read(co, feed->queues, feed->id, after, LOG_PAGE,
                                &feed->page, err);
}

/* ---- life ---- */

static void
drop_look(struct job_feed *feed)
{
    queue_view_clear(&feed->view);
    queue_log_page_clear(&feed->page);
    feed->page.len = feed->line = 0;
}

/* Returns whether the end was told. */
static bool
begin_behind(struct job_feed *feed, struct str after)
{
    struct str end;
    struct str cursor = str_cut(after, ':', &end);

    if (queue_log_cursor_valid(cursor))
        str_copy_to(cursor, feed->cursor, sizeof feed->cursor);
    return str_eq_c(end, "end");
}

/* It must be there before its queue is listened to. */
static enum status
begin(struct co *co, struct job_feed *feed, struct changes *changes, bool told,
      struct error *err)
{
    struct job_view view;

    enum status st = look_at(co, feed, &view, err);
    feed->over = st == ST_OK && told && job_state_ended(view.state);
    queue_view_clear(&view);
    return st != ST_OK || feed->over
               ? st
               : changes_join(co, changes, feed->id.queue, feed->id.local,
                              &feed->listener, err);
}

enum status
job_feed_open(struct co *co, struct queues *queues, struct changes *changes,
              struct job_id id, struct str after, struct job_feed **ret,
              struct error *err)
{
    struct job_feed *feed = xcalloc(1, sizeof *feed);

    feed->queues = queues;
    str_copy_to(id.queue, feed->queue, sizeof feed->queue);
    str_copy_to(id.local, feed->local, sizeof feed->local);
    feed->id = (struct job_id){str_c(feed->queue), str_c(feed->local)};
    bool told = begin_behind(feed, after);
    enum status st = begin(co, feed, changes, told, err);
    if (st != ST_OK) {
        free(feed);
        return st;
    }
    buf_init(&feed->heard, CHANGES_PENDING_MAX);
    buf_init(&feed->data, DATA_MAX);
    *ret = feed;
    return ST_OK;
}

void
job_feed_free(struct job_feed *feed)
{
    if (!feed)
        return;
    drop_look(feed);
    changes_leave(&feed->listener);
    buf_clear(&feed->heard);
    buf_clear(&feed->data);
    free(feed);
}

bool
job_feed_over(const struct job_feed *feed)
{
    return feed->over;
}

/* ---- what is said; false: nothing new ---- */

static bool
say_state(struct job_feed *feed, struct feed_event *ret)
{
    const struct job_view *view = &feed->view;
    const struct job_history *history = &view->history;

    if (feed->said && feed->state == view->state &&
        feed->attempt == history->attempt)
        return false;
    feed->said = true;
    feed->state = view->state;
    feed->attempt = history->attempt;
    buf_addf(&feed->data,
             "{\"state\":\"%s\",\"attempt\":%d,\"retries\":%d,\"crashes\":%d}",
             job_state_name(view->state), history->attempt, history->retries,
             history->crashes);
    *ret = (struct feed_event){.kind = FEED_STATE,
                               .name = "state",
                               .view = view,
                               .state_name = job_state_name(view->state)};
    return true;
}

static bool
say_progress(struct job_feed *feed, struct feed_event *ret)
{
    struct str progress = feed->view.progress;
    uint64_t hash = str_hash(progress);
    struct jsontext value;

    if (progress.n == 0 || hash == feed->progress ||
        jsontext_check(progress, &value, NULL) != ST_OK)
        return false;
    feed->progress = hash;
    buf_add_str(&feed->data, progress);
    *ret = (struct feed_event){
        .kind = FEED_PROGRESS, .name = "progress", .view = &feed->view};
    return true;
}

static void
say_line(struct job_feed *feed, struct feed_event *ret)
{
    const struct queue_log_line *line = &feed->page.lines[feed->line++];

    buf_add_c(&feed->data, "{\"at\":");
    buf_add_json_time(&feed->data, line->at_ms);
    buf_addf(&feed->data, ",\"attempt\":%d,\"text\":", line->attempt);
    buf_add_json_string(&feed->data, line->text);
    buf_add_char(&feed->data, '}');
    str_copy_to(str_c(line->cursor), feed->cursor, sizeof feed->cursor);
    *ret = (struct feed_event){.kind = FEED_LOG,
                               .name = "log",
                               .id = str_c(feed->cursor),
                               .line = line};
}

static void
add_json(struct buf *dst, struct str text)
{
    struct jsontext value;

    if (text.n > 0 && jsontext_check(text, &value, NULL) == ST_OK)
        buf_add_str(dst, text);
    else
        buf_add_c(dst, "null");
}

/* Its id lets who comes back be told that there is no more. */
static void
say_end(struct job_feed *feed, struct feed_event *ret)
{
    const struct job_view *view = &feed->view;

    feed->over = true;
    snprintf(feed->end_id, sizeof feed->end_id, "%s:end",
             feed->cursor[0] ? feed->cursor : "0-0");
    buf_addf(&feed->data,
             "{\"state\":\"%s\",\"result\":", job_state_name(view->state));
    add_json(&feed->data, view->result);
    buf_add_c(&feed->data, ",\"error\":");
    job_json_write_error(view, &feed->data);
    buf_add_char(&feed->data, '}');
    *ret = (struct feed_event){.kind = FEED_END,
                               .name = "end",
                               .id = str_c(feed->end_id),
                               .view = view};
}

/* ---- one after the other ---- */

/* *ret_said: *ret is to be handed out. */
static enum status
take_step(struct co *co, struct job_feed *feed, struct feed_event *ret,
          bool *ret_said, struct error *err)
{
    enum status st = ST_OK;

    switch (feed->step) {
    case STEP_LOOK:
        drop_look(feed);
        feed->looked_ms = loop_now_ms(co_loop(co));
        st = look_at(co, feed, &feed->view, err);
        feed->step = STEP_STATE;
        break;
    case STEP_STATE:
        *ret_said = say_state(feed, ret);
        feed->step = STEP_PROGRESS;
        break;
    case STEP_PROGRESS:
        *ret_said = say_progress(feed, ret);
        feed->page.more = true;
        feed->step = STEP_LOG;
        break;
    case STEP_LOG:
        if (feed->line == feed->page.len && feed->page.more)
            st = read_log(co, feed, err);
        *ret_said = st == ST_OK && feed->line < feed->page.len;
        if (*ret_said)
            say_line(feed, ret);
        else if (st == ST_OK && !feed->page.more)
            feed->step = STEP_END;
        break;
    case STEP_END:
        feed->step = WAIT;
        *ret_said = job_state_ended(feed->view.state);
        if (*ret_said)
            say_end(feed, ret);
        else
            drop_look(feed);
        break;
    case WAIT:
        break;
    }
    if (st != ST_OK) {
        drop_look(feed);
        feed->step = STEP_LOOK;
    }
    return st;
}

/* Until something changed, or it is time to look. */
static enum status
wait_for_change(struct co *co, struct job_feed *feed, int64_t until_ms)
{
    int64_t now_ms = loop_now_ms(co_loop(co));
    int64_t look_ms = feed->looked_ms + LOOK_MS;
    int64_t end_ms = look_ms < until_ms ? look_ms : until_ms;

    buf_reset(&feed->heard);
    enum status st =
        changes_next(co, &feed->listener, end_ms > now_ms ? end_ms - now_ms : 0,
                     &feed->heard);
    if (co_cancelled(co) != ST_OK || (st == ST_TIMEOUT && end_ms < look_ms))
        return st;
    feed->step = STEP_LOOK;
    return ST_OK;
}

enum status
job_feed_next(struct co *co, struct job_feed *feed, int64_t timeout_ms,
              struct feed_event *ret, struct error *err)
{
    int64_t now_ms = loop_now_ms(co_loop(co));
    int64_t until_ms =
        timeout_ms < INT64_MAX - now_ms ? now_ms + timeout_ms : INT64_MAX;
    bool said = false;
    enum status st = co_cancelled(co);

    if (st == ST_OK && feed->over)
        return error_set(err, ST_GONE, "the job has ended: nothing follows");
    while (st == ST_OK && !said) {
        buf_reset(&feed->data);
        st = feed->step == WAIT ? wait_for_change(co, feed, until_ms)
                                : take_step(co, feed, ret, &said, err);
    }
    if (st != ST_OK)
        return st;
    buf_add_char(&feed->data, '\0');
    ret->data = str_from(feed->data.p, feed->data.len - 1);
    if (feed->data.failed)
        return error_set(err, ST_TOO_LARGE, "more than %d bytes", DATA_MAX);
    return ST_OK;
}

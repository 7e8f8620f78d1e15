/* Public control of one job: pit/jobs.h' changes on top of
 * queue/queue_control.h. */
#include <stdio.h>

#include "app/document/job_info.h"
#include "app/public/co_public.h"
#include "app/public/jobs_public.h"
#include "app/public/queue_public.h"

enum { REASON_MAX = 500 };

static enum status
take_cancel(const struct pit_control *from, struct control *to,
            struct error *err)
{
    to->grace_ms = from->grace_ms;
    if (from->grace_ms == 0)
        to->grace_ms = CONTROL_GRACE_STANDARD_MS;
    else if (from->grace_ms == PIT_NO_GRACE)
        to->grace_ms = 0;
    to->reason = str_c(from->reason);
    if (to->grace_ms < 0 || to->grace_ms > CONTROL_GRACE_MAX_MS)
        return error_set_at(err, "/grace_ms",
                            "must be 1 ms to an hour, or PIT_NO_GRACE");
    if (to->reason.n > REASON_MAX)
        return error_set_at(err, "/reason", "must be at most %d bytes",
                            REASON_MAX);
    return ST_OK;
}

static enum status
take_edit(const struct pit_control *from, struct control *to, struct error *err)
{
    to->run_at_ms = from->run_at_ms == 0         ? -1
                    : from->run_at_ms == PIT_NOW ? 0
                                                 : from->run_at_ms;
    to->priority = from->priority ? from->priority - PIT_PRIORITY(0) : -1;
    if (!from->run_at_ms && !from->priority)
        return error_set(err, ST_INVALID,
                         "nothing to change: give run_at_ms or priority");
    if (from->run_at_ms < 0 && from->run_at_ms != PIT_NOW)
        return error_set_at(err, "/run_at_ms",
                            "must be a time since the epoch, or PIT_NOW");
    if (from->priority && (to->priority < 0 || to->priority > JOB_PRIORITY_MAX))
        return error_set_at(err, "/priority",
                            "must be PIT_PRIORITY(0) to PIT_PRIORITY(%d)",
                            JOB_PRIORITY_MAX);
    return ST_OK;
}

enum status
jobs_public_control(const struct pit_control *from, struct control *to,
                    struct error *err)
{
    static const struct pit_control nothing;
    bool cancel = to->verb == CONTROL_CANCEL, edit = to->verb == CONTROL_EDIT;

    if (!from)
        from = &nothing;
    if (!cancel && (from->grace_ms || from->reason))
        return error_set(err, ST_INVALID,
                         "grace_ms and reason are for pit_jobs_cancel()");
    if (!edit && (from->run_at_ms || from->priority))
        return error_set(err, ST_INVALID,
                         "run_at_ms and priority are for pit_jobs_edit()");
    if (from->seen)
        to->seen = job_info_seen(from->seen);
    if (cancel)
        return take_cancel(from, to, err);
    return edit ? take_edit(from, to, err) : ST_OK;
}

static void
fill(const struct control *control, struct pit_changed *ret)
{
    if (control->outcome == CONTROL_HELD)
        snprintf(ret->holder, sizeof ret->holder, "%.*s.%s",
                 STR_ARG(control->id.queue), control->holder);
    else
        ret->before = job_info_state(control->state);
    ret->same = control->outcome == CONTROL_SAME;
    /* Asked before, and it still runs, is asked as well. */
    ret->asked = control->outcome == CONTROL_ASKED ||
                 (ret->same && control->verb == CONTROL_CANCEL &&
                  control->state == JOB_RUNNING);
}

static enum pit_status
change(struct pit_co *public, enum control_verb verb, const char *id,
       const struct pit_control *options, struct pit_changed *ret)
{
    struct co *co = co_public_core(public);
    struct control control = {.verb = verb};
    struct pit_changed changed = {.before = 0};
    struct error err = {.msg = ""};
    struct queues *queues;
    bool sent = false;

    enum status st = queue_public_begin_id(co, id, &queues, &control.id, &err);
    if (st == ST_OK)
        st = jobs_public_control(options, &control, &err);
    if (st == ST_OK) {
        sent = true;
        st = queue_control_await(co, queues, &control, &err);
        if (st == ST_OK) {
            fill(&control, &changed);
            st = queue_control_verdict(&control, &err);
        } else if (st == ST_GONE && verb == CONTROL_DELETE) {
            changed.same = true;
            st = ST_OK;
        }
    }
    enum pit_status status =
        queue_public_end(co, st, sent, &err, changed.error);
    if (ret)
        *ret = changed;
    return status;
}

enum pit_status
pit_jobs_cancel(struct pit_co *co, const char *id,
                const struct pit_control *control, struct pit_changed *ret)
{
    return change(co, CONTROL_CANCEL, id, control, ret);
}

enum pit_status
pit_jobs_retry(struct pit_co *co, const char *id,
               const struct pit_control *control, struct pit_changed *ret)
{
    return change(co, CONTROL_RETRY, id, control, ret);
}

enum pit_status
pit_jobs_promote(struct pit_co *co, const char *id,
                 const struct pit_control *control, struct pit_changed *ret)
{
    return change(co, CONTROL_PROMOTE, id, control, ret);
}

enum pit_status
pit_jobs_release(struct pit_co *co, const char *id,
                 const struct pit_control *control, struct pit_changed *ret)
{
    return change(co, CONTROL_RELEASE, id, control, ret);
}

enum pit_status
pit_jobs_edit(struct pit_co *co, const char *id,
              const struct pit_control *control, struct pit_changed *ret)
{
    return change(co, CONTROL_EDIT, id, control, ret);
}

enum pit_status
pit_jobs_delete(struct pit_co *co, const char *id,
                const struct pit_control *control, struct pit_changed *ret)
{
    return change(co, CONTROL_DELETE, id, control, ret);
}

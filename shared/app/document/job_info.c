/* Job info: what a view lends is copied, once, into the arena. */
#include "app/document/job_info.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/document/job_json.h"
#include "base/jsontext.h"
#include "base/log.h"

/* Of one page: 1,000 jobs, whose args and results are bounded besides. */
enum { ARENA_MAX = 256 * 1024 * 1024 };

struct job_infos *
job_info_new(size_t cap)
{
    struct job_infos *infos = xcalloc(1, sizeof *infos);

    arena_init(&infos->arena, NULL, 0, ARENA_MAX);
    infos->jobs = xcalloc(cap, sizeof *infos->jobs);
    infos->cap = cap;
    return infos;
}

void
job_info_free(struct job_infos *infos)
{
    if (!infos)
        return;
    arena_clear(&infos->arena);
    free(infos->jobs);
    free(infos);
}

/* ---- copying ---- */

/* One job being copied: after a failure everything is "". */
struct copying {
    struct job_infos *infos;
    bool failed;
};

static void *
take(struct copying *c, size_t n)
{
    void *p = c->failed ? NULL : arena_alloc(&c->infos->arena, n);

    c->failed |= !p;
    return p;
}

static const char *
text(struct copying *c, struct str s)
{
    const char *copy =
        c->failed || s.n == 0 ? NULL : arena_copy(&c->infos->arena, s);

    c->failed |= s.n > 0 && !copy;
    return copy ? copy : "";
}

static void
decref(void *tree)
{
    json_decref(tree);
}

/* Text that another program may have written; NULL for what is no JSON. */
static const json_t *
tree(struct copying *c, struct str s)
{
    struct jsontext value;

    c->infos->bytes += s.n;
    if (s.n == 0 || c->failed || jsontext_check(s, &value, NULL) != ST_OK)
        return NULL;
    json_t *json = json_loadb(s.p, s.n, JSON_DECODE_ANY, NULL);
    if (json && !arena_defer(&c->infos->arena, decref, json)) {
        json_decref(json);
        json = NULL;
        c->failed = true;
    }
    return json;
}

/* A JSON string as its text. */
static const char *
decoded(struct copying *c, struct str s)
{
    const char *value = json_string_value(tree(c, s));

    return value ? value : "";
}

static const struct pit_attempt *
attempts(struct copying *c, const struct job_history *history)
{
    size_t n = (size_t)history->attempts_len;
    struct pit_attempt *ret = take(c, (n + 1) * sizeof *ret);

    for (size_t i = 0; i < n && ret; i++) {
        const struct job_attempt *attempt = &history->attempts[i];
        ret[i] = (struct pit_attempt){
            .number = attempt->number,
            .outcome = job_outcome_name(attempt->outcome),
            .message = decoded(c, attempt->message),
            .worker = text(c, attempt->worker),
            .started_ms = attempt->started_ms,
            .ended_ms = attempt->ended_ms,
        };
    }
    return ret;
}

static const void *
seen(struct copying *c, const struct job_view *view)
{
    /* Nothing was replied where a test plays the queue. */
    struct control_seen *ret = view->call.reply ? take(c, sizeof *ret) : NULL;

    if (!ret)
        return NULL;
    queue_control_seen(view, ret);
    ret->state = str_from(text(c, ret->state), ret->state.n);
    ret->due = str_from(text(c, ret->due), ret->due.n);
    ret->progress = str_from(text(c, ret->progress), ret->progress.n);
    return ret;
}

static const char *
full_id(struct copying *c, const struct job_spec *spec)
{
    char id[ID_JOB_MAX + 1];
    int n = snprintf(id, sizeof id, "%.*s.%.*s", STR_ARG(spec->queue),
                     STR_ARG(spec->local));

    return text(c, str_from(id, (size_t)n));
}

bool
job_info_add(struct job_infos *infos, const struct job_view *view)
{
    const struct job_history *history = &view->history;
    const struct job_spec *spec = &view->spec;
    struct copying c = {.infos = infos};

    assert(infos->len < infos->cap);
    struct job_failure failure = job_json_failure(view);
    infos->jobs[infos->len] = (struct pit_job_info){
        .id = full_id(&c, spec),
        .task = text(&c, spec->task),
        .queue = text(&c, spec->queue),
        .state = job_info_state(view->state),
        .state_name = job_state_name(view->state),
        .priority = spec->priority,
        .tags = text(&c, spec->tags),
        .request_id = text(&c, spec->origin.request_id),
        .args = tree(&c, spec->args),
        .value = tree(&c, view->result),
        .progress = tree(&c, view->progress),
        .cause = failure.cause ? failure.cause : "",
        .message = decoded(&c, failure.message),
        .attempt = history->attempt,
        .retries = history->retries,
        .crashes = history->crashes,
        .created_ms = view->created_ms,
        .run_at_ms = job_json_run_at(view),
        .expires_at_ms = spec->expires_at_ms,
        .started_ms = history->started_ms,
        .ended_ms = history->ended_ms,
        .cancel_asked_ms = view->cancel_asked_ms,
        .worker = text(&c, history->worker),
        .attempts = attempts(&c, history),
        .attempts_len = (size_t)history->attempts_len,
        .private_ = seen(&c, view),
    };
    if (!c.failed)
        infos->len++;
    return !c.failed;
}

const struct control_seen *
job_info_seen(const struct pit_job_info *job)
{
    return job->private_;
}

enum pit_state
job_info_state(enum job_state state)
{
    static const enum pit_state states[JOB_STATES] = {
        [JOB_SCHEDULED] = PIT_SCHEDULED,
        [JOB_READY] = PIT_READY,
        [JOB_RUNNING] = PIT_RUNNING,
        [JOB_RETRYING] = PIT_RETRYING,
        [JOB_SUCCEEDED] = PIT_SUCCEEDED,
        [JOB_DEAD] = PIT_DEAD,
        [JOB_CANCELLED] = PIT_JOB_CANCELLED,
        [JOB_EXPIRED] = PIT_EXPIRED,
        [JOB_BLOCKED] = PIT_BLOCKED,
        [JOB_QUARANTINED] = PIT_QUARANTINED,
    };
    return states[state];
}

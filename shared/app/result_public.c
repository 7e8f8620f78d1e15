/* Public result: a job looked at, or waited for. The struct's insides are on
 * the heap, since what it lends outlives the call. */
#include <stdlib.h>

#include "app/co_public.h"
#include "app/job_json.h"
#include "app/queue_public.h"
#include "base/jsontext.h"
#include "base/log.h"

struct result {
    struct job_view view;
    json_t *value;
    json_t *progress;
    json_t *error; /* {"cause","message"} */
};

void
pit_result_clear(struct pit_result *public)
{
    struct result *result = public->private_;

    if (result) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): NULL once it was freed */
        json_decref(result->value);
        json_decref(result->progress);
        json_decref(result->error);
        queue_view_clear(&result->view);
        free(result);
    }
    *public = (struct pit_result){.state_name = "", .cause = "", .message = ""};
}

/* Text that another program may have written; NULL for what is no JSON. */
static json_t *
parse(struct str text)
{
    struct jsontext value;

    if (text.n == 0 || jsontext_check(text, &value, NULL) != ST_OK)
        return NULL;
    return json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL);
}

static enum pit_state
state_of(enum job_state state)
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

static void
fill_in(struct pit_result *public, struct result *result)
{
    const struct job_view *view = &result->view;
    struct buf error;

    buf_init(&error, 8 * (size_t)JOB_ERROR_MAX);
    job_json_write_error(view, &error);
    result->error = error.failed ? NULL : parse(buf_str(&error));
    buf_clear(&error);
    result->value = parse(view->result);
    result->progress = parse(view->progress);
    public->state = state_of(view->state);
    public->state_name = job_state_name(view->state);
    public->attempt = view->history.attempt;
    public->value = result->value;
    public->progress = result->progress;
    const char *cause =
        json_string_value(json_object_get(result->error, "cause"));
    const char *message =
        json_string_value(json_object_get(result->error, "message"));
    public->cause = cause ? cause : "";
    public->message = message ? message : "";
}

static enum status
look(struct co *co, struct queues *queues, struct job_id id,
     struct pit_result *public, struct error *err)
{
    pit_result_clear(public);
    struct result *result = xcalloc(1, sizeof *result);

    public->private_ = result;
    enum status st = queue_get(co, queues, id, &result->view, err);
    if (st == ST_OK)
        fill_in(public, result);
    else if (st == ST_UNCLEAR) /* a read has no outcome that could be unclear */
        st = ST_UNAVAILABLE;
    return st;
}

/* Everything that can be wrong before Redis is asked. */
static enum status
begin(struct co *co, const char *text, struct pit_result *ret,
      struct queues **ret_queues, struct job_id *ret_id, struct error *err)
{
    struct task_catalog *catalog = queue_public_catalog(co_loop(co));

    pit_result_clear(ret);
    if (!catalog)
        return error_set(err, ST_UNAVAILABLE, "this process has no queues");
    *ret_queues = catalog->queues;
    return id_split(str_c(text), ret_id, err);
}

static enum pit_status
ended(struct pit_result *ret, enum status st, const struct error *err)
{
    if (st != ST_OK)
        str_copy_to(str_c(err->msg), ret->error, sizeof ret->error);
    return (enum pit_status)st;
}

enum pit_status
pit_result_get(struct pit_co *public, const char *text, struct pit_result *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct queues *queues;
    struct job_id id;

    enum status st = begin(co, text, ret, &queues, &id, &err);
    if (st == ST_OK)
        st = look(co, queues, id, ret, &err);
    return ended(ret, st, &err);
}

enum pit_status
pit_result_wait(struct pit_co *public, const char *text, int64_t timeout_ms,
                struct pit_result *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct queues *queues;
    struct job_id id;

    enum status st = begin(co, text, ret, &queues, &id, &err);
    if (st == ST_OK && !queues_listening(queues))
        st = error_set(&err, ST_UNAVAILABLE,
                       "this process cannot wait for jobs: it does not listen "
                       "for their ends");
    if (st == ST_OK)
        st = queue_wait(co, queues, id, timeout_ms > 0 ? timeout_ms : 0, &err);
    if (st == ST_OK || (st == ST_TIMEOUT && co_cancelled(co) == ST_OK)) {
        enum status looked = look(co, queues, id, ret, &err);
        if (looked != ST_OK)
            st = looked;
        else if (st == ST_TIMEOUT)
            (void)error_set(&err, st, "the job has not ended yet");
    } else if (st == ST_UNCLEAR) {
        st = ST_UNAVAILABLE;
    }
    return ended(ret, st, &err);
}

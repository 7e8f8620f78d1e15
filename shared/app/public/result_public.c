/* Public result: a job looked at, or waited for. The struct's insides are on
 * the heap, since what it lends outlives the call. */
#include "app/document/job_info.h"
#include "app/outside.h"
#include "app/public/co_public.h"
#include "app/public/queue_public.h"

void
pit_result_clear(struct pit_result *public)
{
    job_info_free(public->private_);
    *public = (struct pit_result){.state_name = "", .cause = "", .message = ""};
}

static void
fill_in(struct pit_result *public, const struct pit_job_info *job)
{
    public->state = job->state;
    public->state_name = job->state_name;
    public->attempt = job->attempt;
    public->value = job->value;
    public->progress = job->progress;
    public->cause = job->cause;
    public->message = job->message;
}

static enum status
look(struct co *co, struct queues *queues, struct job_id id,
     struct pit_result *public, struct error *err)
{
    struct job_view view;

    pit_result_clear(public);
    enum status st = outside_script(co)
                         ? outside_script(co)->look(co, id, &view, err)
                         : queue_get(co, queues, id, &view, err);
    if (st == ST_OK) {
        struct job_infos *infos = job_info_new(1);
        public->private_ = infos;
        if (job_info_add(infos, &view))
            fill_in(public, infos->jobs);
        else
            st = error_set(err, ST_LIMIT, "out of memory");
    }
    queue_view_clear(&view);
    return st;
}

/* Everything that can be wrong before Redis is asked. */
static enum status
begin(struct co *co, const char *text, struct pit_result *ret,
      struct queues **ret_queues, struct job_id *ret_id, struct error *err)
{
    pit_result_clear(ret);
    enum status st = outside_script(co)
                         ? co_cancelled(co)
                         : queue_public_begin(co, ret_queues, err);
    return st == ST_OK ? id_split(str_c(text), ret_id, err) : st;
}

enum pit_status
pit_result_get(struct pit_co *public, const char *text, struct pit_result *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct queues *queues = NULL;
    struct job_id id = {STR_NULL, STR_NULL};

    enum status st = begin(co, text, ret, &queues, &id, &err);
    if (st == ST_OK)
        st = look(co, queues, id, ret, &err);
    return queue_public_end(co, st, false, &err, ret->error);
}

static enum status
wait_end(struct co *co, struct queues *queues, struct job_id id,
         int64_t timeout_ms, struct error *err)
{
    if (outside_script(co))
        return outside_script(co)->wait(co, id, timeout_ms, err);
    if (!queues_listening(queues))
        return error_set(err, ST_UNAVAILABLE,
                         "this process cannot wait for jobs: it does not "
                         "listen for their ends");
    return queue_wait(co, queues, id, timeout_ms, err);
}

enum pit_status
pit_result_wait(struct pit_co *public, const char *text, int64_t timeout_ms,
                struct pit_result *ret)
{
    struct co *co = co_public_core(public);
    struct error err = {.msg = ""};
    struct queues *queues = NULL;
    struct job_id id = {STR_NULL, STR_NULL};

    enum status st = begin(co, text, ret, &queues, &id, &err);
    if (st == ST_OK)
        st = wait_end(co, queues, id, timeout_ms > 0 ? timeout_ms : 0, &err);
    if (st == ST_OK || (st == ST_TIMEOUT && co_cancelled(co) == ST_OK)) {
        enum status looked = look(co, queues, id, ret, &err);
        if (looked != ST_OK)
            st = looked;
        else if (st == ST_TIMEOUT)
            (void)error_set(&err, st, "the job has not ended yet");
    }
    return queue_public_end(co, st, false, &err, ret->error);
}

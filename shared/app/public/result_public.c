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

/* One call. */
struct asking {
    struct co *co;
    struct queues *queues; /* NULL: a test's script answers */
    struct job_id id;
    struct error err;
};

static enum status
look(struct asking *asking, struct pit_result *public)
{
    struct co *co = asking->co;
    struct error *err = &asking->err;
    struct job_view view;

    pit_result_clear(public);
    enum status st =
        outside_script(co)
            ? outside_script(co)->look(co, asking->id, &view, err)
            : queue_get(co, asking->queues, asking->id, &view, err);
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
begin(struct pit_co *public, const char *text, struct pit_result *ret,
      struct asking *ret_asking)
{
    struct co *co = co_public_core(public);

    *ret_asking = (struct asking){.co = co};
    pit_result_clear(ret);
    enum status st =
        outside_script(co)
            ? co_cancelled(co)
            : queue_public_begin(co, &ret_asking->queues, &ret_asking->err);
    return st == ST_OK
               ? id_split(str_c(text), &ret_asking->id, &ret_asking->err)
               : st;
}

static enum pit_status
end(const struct asking *asking, enum status st, struct pit_result *ret)
{
    return queue_public_end(asking->co, st, false, &asking->err, ret->error);
}

enum pit_status
pit_result_get(struct pit_co *public, const char *text, struct pit_result *ret)
{
    struct asking asking;

    enum status st = begin(public, text, ret, &asking);
    if (st == ST_OK)
        st = look(&asking, ret);
    return end(&asking, st, ret);
}

static enum status
wait_end(struct asking *asking, int64_t timeout_ms)
{
    struct co *co = asking->co;
    struct error *err = &asking->err;

    if (outside_script(co))
        return outside_script(co)->wait(co, asking->id, timeout_ms, err);
    if (!queues_listening(asking->queues))
        return error_set(err, ST_UNAVAILABLE,
                         "this process cannot wait for jobs: it does not "
                         "listen for their ends");
    return queue_wait(co, asking->queues, asking->id, timeout_ms, err);
}

enum pit_status
pit_result_wait(struct pit_co *public, const char *text, int64_t timeout_ms,
                struct pit_result *ret)
{
    struct asking asking;

    enum status st = begin(public, text, ret, &asking);
    if (st == ST_OK)
        st = wait_end(&asking, timeout_ms > 0 ? timeout_ms : 0);
    if (st == ST_OK || (st == ST_TIMEOUT && co_cancelled(asking.co) == ST_OK)) {
        enum status looked = look(&asking, ret);
        if (looked != ST_OK)
            st = looked;
        else if (st == ST_TIMEOUT)
            (void)error_set(&asking.err, st, "the job has not ended yet");
    }
    return end(&asking, st, ret);
}

/* tiny - the least application: one view, one task. */
#include <pit/app.h>

static enum pit_status
index_view(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)co;
    (void)req;
    return pit_reply_text(res, 200, "tiny");
}

static enum pit_status
double_it(struct pit_job *job)
{
    json_int_t n = json_integer_value(json_object_get(pit_job_args(job), "n"));
    return pit_job_result(job, "{s:I}", "twice", 2 * n);
}

PIT_EXPORT const struct pit_app pit_app = {
    PIT_APP("tiny"),
    .views = (const struct pit_view[]){{PIT_GET, "/", .view = index_view}, {0}},
    .tasks = (const struct pit_task[]){{"tiny.double", .run = double_it}, {0}},
};

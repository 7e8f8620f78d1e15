/* hello - the smallest application: one view, one task.
 *
 *   pit-web --app build/examples/hello.so      then  curl localhost:8000/
 *   pit-worker --app build/examples/hello.so   then  pit enqueue hello.greet \
 *                                    --args '{"name": "Ada"}' --wait 5s */
#include <pit/app.h>

static enum pit_status
index_view(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    return pit_reply_text(res, 200, "Hello!");
}

static enum pit_status
greet(struct pit_job *job)
{
    const char *name =
        json_string_value(json_object_get(pit_job_args(job), "name"));

    return pit_job_result(job, "{s:s+}", "text", "Hello, ",
                          name ? name : "world");
}

PIT_EXPORT const struct pit_app pit_app = {
    PIT_APP("hello"),
    .views = (const struct pit_view[]){{PIT_GET, "/", index_view}, {0}},
    .tasks = (const struct pit_task[]){{"hello.greet", greet}, {0}},
};

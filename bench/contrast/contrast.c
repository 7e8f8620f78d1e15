/* contrast: one piece of work in three lanes; what `pit bench contrast` loads.
 *
 *   GET /await?id=7     the work, awaited: answered when it is done
 *   GET /detach?id=7    the work, detached: answered at once
 *   GET /enqueue?id=7   the work as a job: answered once Redis has it
 *   GET /ping           somebody else's request
 *
 * The work waits CONTRAST_WAIT_MS for a third party, then needs CONTRAST_CPU_US
 * of CPU. Its effect is 4 bytes, its id, at the end of the file CONTRAST_DONE:
 * what is in there was done, whoever is killed afterwards. */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <pit/app.h>
#include <pit/queue.h>

static int64_t
setting(const char *name)
{
    const char *text = getenv(name);

    return text ? strtoll(text, NULL, 10) : 0;
}

static int64_t
cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Renders, encodes, sorts: whatever keeps a core busy. */
static void
compute(void)
{
    for (int64_t end = cpu_us() + setting("CONTRAST_CPU_US"); cpu_us() < end;)
        continue;
}

static enum pit_status
note_done(uint32_t id)
{
    const char *path = getenv("CONTRAST_DONE");
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    bool done = fd >= 0 && write(fd, &id, sizeof id) == (ssize_t)sizeof id;

    if (fd >= 0)
        close(fd);
    return done ? PIT_OK : PIT_FAILED;
}

static enum pit_status
work(struct pit_co *co, void *arg)
{
    enum pit_status st = pit_sleep(co, setting("CONTRAST_WAIT_MS"));

    if (st != PIT_OK)
        return st;
    compute();
    return note_done(*(uint32_t *)arg);
}

static uint32_t
id_of(const struct pit_request *req)
{
    const char *text = pit_request_query(req, "id");

    return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

static enum pit_status
await_view(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    uint32_t id = id_of(req);
    enum pit_status st = work(co, &id);

    return st == PIT_OK ? pit_reply_text(res, 200, "done\n") : st;
}

static enum pit_status
detach_view(struct pit_co *co, struct pit_request *req,
            struct pit_response *res)
{
    uint32_t *id = malloc(sizeof *id);

    if (!id)
        return PIT_LIMIT;
    *id = id_of(req);
    enum pit_status st = pit_detach_take(co, "work", work, id, free);
    return st == PIT_OK ? pit_reply_text(res, 202, "begun\n") : st;
}

static enum pit_status
enqueue_view(struct pit_co *co, struct pit_request *req,
             struct pit_response *res)
{
    enum pit_status st =
        pit_enqueue(co, "contrast.work",
                    pit_args("{s:I}", "id", (json_int_t)id_of(req)), NULL);

    return st == PIT_OK ? pit_reply_text(res, 202, "kept\n") : st;
}

static enum pit_status
ping_view(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)co;
    (void)req;
    return pit_reply_text(res, 200, "pong\n");
}

/* The same function as in the views. */
static enum pit_status
work_task(struct pit_co *co, struct pit_job *job)
{
    uint32_t id =
        (uint32_t)json_integer_value(json_object_get(pit_job_args(job), "id"));

    return work(co, &id);
}

PIT_EXPORT const struct pit_app pit_app = {
    PIT_APP("contrast"),
    .views =
        (const struct pit_view[]){
            {PIT_GET, "/await", await_view},
            {PIT_GET, "/detach", detach_view},
            {PIT_GET, "/enqueue", enqueue_view},
            {PIT_GET, "/ping", ping_view},
            {0},
        },
    .tasks =
        (const struct pit_task[]){{"contrast.work", .async = work_task}, {0}},
};

/* Views: answered on the event loop, within the request.
 *
 * The order is that of docs/writing-views.md, which tells why each is written
 * as it is. */
#include <unistd.h>

#include "meats.h"
#include "smokehouse.h"
#include "upstream.h"

enum { COUNT = 5, SECOND = 1000 };

enum pit_status
view_index(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    return pit_reply_text(res, 200, "Hello, async C!");
}

/* Counts to five, a second each, then calls the third party. */
static enum pit_status
http_call_async(struct pit_co *co, void *arg)
{
    struct pit_fetch answer PIT_FETCH = {.url = upstream_url()};

    for (int i = 1; i <= COUNT; i++) {
        enum pit_status st = pit_sleep(co, SECOND);
        if (st != PIT_OK)
            return st;
        pit_log_info("%d", i);
    }
    return upstream_log(&answer, pit_fetch(co, &answer));
}

/* The same with calls that block. */
static enum pit_status
http_call_sync(void *arg)
{
    struct pit_fetch answer PIT_FETCH = {.url = upstream_url()};

    for (int i = 1; i <= COUNT; i++) {
        sleep(1);
        pit_log_info("%d", i);
    }
    return upstream_log(&answer, pit_fetch_blocking(&answer));
}

/* Answers before the call has begun. */
enum pit_status
view_async(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    enum pit_status st = pit_detach(co, "http_call", http_call_async, NULL);

    if (st != PIT_OK)
        return st;
    return pit_reply_text(res, 200, "Non-blocking HTTP request");
}

/* Runs on a thread, since the table has it as `blocking`: it may wait. */
enum pit_status
view_sync(struct pit_request *req, struct pit_response *res)
{
    enum pit_status st = http_call_sync(NULL);

    if (st != PIT_OK)
        return st;
    return pit_reply_text(res, 200, "Blocking HTTP request");
}

/* An async view that has the blocking function run elsewhere. */
enum pit_status
view_sync_to_async(struct pit_co *co, struct pit_request *req,
                   struct pit_response *res)
{
    enum pit_status st =
        pit_detach_thread(co, "http_call", http_call_sync, NULL);

    if (st != PIT_OK)
        return st;
    return pit_reply_text(res, 200,
                          "Non-blocking HTTP request (via sync_to_async)");
}

enum pit_status
view_smoke_some_meats(struct pit_co *co, struct pit_request *req,
                      struct pit_response *res)
{
    struct smoked smoked = {0};
    enum pit_status st = meats_smoke(co, &smoked);

    if (st != PIT_OK)
        return st;
    return pit_reply_text(res, 200, "Smoked %d meats with %s!", smoked.count,
                          smoked.flavor);
}

static void
oversmoke(void)
{
    sleep(COUNT);
    pit_log_info("Who ordered charcoal?");
}

/* The mistake: nobody else of this process is answered meanwhile. */
enum pit_status
view_burn_some_meats(struct pit_co *co, struct pit_request *req,
                     struct pit_response *res)
{
    oversmoke();
    return pit_reply_text(res, 200, "Burned some meats.");
}

/* Progress: what happens to a report's job, as server-sent events for a
 * browser: new EventSource("/reports/" + id + "/progress").
 *
 * Only of reports: whatever else is in the queue is not this view's to show. A
 * browser that comes back says which event it saw last, and gets what came
 * since; once it has had the end it is told not to come again (204). */
#include <string.h>

#include <pit/follow.h>

#include "smokehouse.h"

enum pit_status
view_report_progress(struct pit_co *co, struct pit_request *req,
                     struct pit_response *res)
{
    struct pit_follow follow PIT_FOLLOW = {0};
    const char *id = pit_request_param(req, "id");

    if (strncmp(id, "reports.", strlen("reports.")) != 0)
        return pit_request_fail(req, PIT_NOT_FOUND, NULL,
                                "there is no such report");
    enum pit_status st = pit_follow_job(co, id, pit_sse_last_id(req), &follow);
    if (st != PIT_OK)
        return pit_request_fail(req, st, NULL, "%s", follow.error);
    if (follow.over)
        return pit_reply_empty(res, 204);
    while (st == PIT_OK && !follow.over) {
        st = pit_follow_next(co, &follow, PIT_FOR_EVER);
        if (st == PIT_OK)
            st = pit_sse_send(co, res, &follow.change->sse);
    }
    return st;
}

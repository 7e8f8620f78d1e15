/* Views: answered on the event loop, within the request. */
#include "smokehouse.h"

enum pit_status
view_index(struct pit_co *co, struct pit_request *req, struct pit_response *res)
{
    (void)co;
    (void)req;
    return pit_reply_text(res, 200, "Hello, async C!");
}

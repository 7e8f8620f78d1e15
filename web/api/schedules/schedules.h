/* schedules.h - what the handlers of /v1/schedules share. */
#ifndef WEB_API_SCHEDULES_H
#define WEB_API_SCHEDULES_H

#include "api/api.h"
#include "queue/schedule/schedules.h"

enum { SCHEDULES_ETAG_SIZE = 24 };

/* The name of the path. */
struct str schedules_name(const struct http_exchange *exchange);
/* As api_fail(); a fault in a field of the schedule itself is 422. */
CHECK enum status schedules_refuse(struct http_exchange *exchange,
                                   enum status st, const struct error *err,
                                   bool wrote);
void schedules_etag(const struct schedule *s, char dst[SCHEDULES_ETAG_SIZE]);
/* If-Match and If-None-Match; *ret_refused when the answer, 412, is made. */
CHECK enum status schedules_precondition(struct http_exchange *exchange,
                                         const struct schedule_view *view,
                                         bool is_new, bool *ret_refused);
/* Answers with the schedule of the path as it is now. */
CHECK enum status schedules_show(struct co *co, struct api *api,
                                 struct http_exchange *exchange, int http);

#endif

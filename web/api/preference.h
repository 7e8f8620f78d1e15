/* preference.h - how long and how much a client wants: Prefer (RFC 7240), the
 * query's `wait`, and whether NDJSON is wanted by Accept. Pure functions. */
#ifndef WEB_API_PREFERENCE_H
#define WEB_API_PREFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/http/request.h"
#include "base/error.h"

#define PREFERENCE_WAIT_MAX_MS INT64_C(60000)

struct preference {
    int64_t wait_ms;   /* 0: none; at most PREFERENCE_WAIT_MAX_MS */
    bool wait_applied; /* it came by Prefer: say so in Preference-Applied */
    bool minimal;      /* return=minimal: the id alone */
};

/* A preference that cannot be understood is ignored, a longer wait is cut
 * (RFC 7240 section 2). The query's wait wins.
 * Errors: ST_INVALID for a query's wait that is no duration or above the
 * maximum. */
CHECK enum status preference_read(const struct pit_request *req,
                                  struct preference *ret, struct error *err);

/* One value of a list field such as Prefer or Accept; parameters included. */
bool preference_next(struct str *rest, struct str *ret);
/* True when the field (If-None-Match, If-Match) has @etag or "*" in its list
 * (RFC 9110 section 13.1). A weak tag is compared like a strong one, but never
 * matches in If-Match (section 13.1.1). */
bool preference_lists_etag(const struct pit_request *req, struct str field,
                           const char *etag);
/* True when Accept names @type itself with a weight above zero. */
bool preference_accepts(const struct pit_request *req, struct str type);

#endif

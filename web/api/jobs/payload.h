/* payload.h - what kind of body a request has, and bodies that are not an
 * envelope: the payload as it is, with the options in Pit-* fields.
 *
 *   curl --data-binary @photo.jpg -H 'Pit-Task: photos.scale' \
 *        -H 'Content-Type: image/jpeg' -H 'Pit-Delay: 30s' .../v1/jobs
 *
 * With Pit-Task the body becomes the job's args, by its Content-Type: JSON as
 * it stands; text/... (UTF-8) as a JSON string; everything else, or none, as
 * {"content_type": "image/jpeg", "base64": "..."}; an empty body as null.
 * Pure but for the request's arena. */
#ifndef WEB_API_PAYLOAD_H
#define WEB_API_PAYLOAD_H

#include <stdbool.h>

#include "app/document/envelope.h"
#include "app/http/request.h"
#include "base/error.h"

enum payload_kind {
    PAYLOAD_JSON,   /* an envelope, or an array of them */
    PAYLOAD_NDJSON, /* an envelope a line */
    PAYLOAD_RAW,    /* Pit-Task is there: the body is the args */
    PAYLOAD_UNSUPPORTED,
};

/* Errors: ST_INVALID with *ret PAYLOAD_UNSUPPORTED and words for a 415. Without
 * a Content-Type a body counts as JSON. */
CHECK enum status payload_kind(const struct pit_request *req,
                               enum payload_kind *ret, struct error *err);

/* True for JSON in UTF-8, also as a merge patch (RFC 7396), and for a body
 * without a Content-Type. */
bool payload_is_json(const struct pit_request *req);

/* The body of @req as the args, the Pit-* fields as the rest of the envelope.
 * Errors: as envelope_parse(), the words begin with the field's name. */
CHECK enum status payload_read(const struct pit_request *req,
                               struct envelope *ret, struct error *err);

/* What its jobs come from: its traceparent, and its id where the client chose
 * it; lent by the request. */
struct job_origin payload_origin(const struct pit_request *req);
/* The W3C trace context's traceparent of the request, or the empty slice when
 * there is none that is valid (W3C Trace Context section 3.2.2). */
struct str payload_traceparent(const struct pit_request *req);

#endif

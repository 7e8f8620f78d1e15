/* request_form.h - the body of a request as a form: urlencoded (WHATWG URL
 * section 5.1) or multipart/form-data (RFC 7578).
 *
 * Parts and their texts lie in the request's arena; contents are lent from the
 * body, where a NUL is put behind each. */
#ifndef APP_REQUEST_FORM_H
#define APP_REQUEST_FORM_H

#include "app/http/request.h"

enum {
    REQUEST_FORM_BOUNDARY_MAX = 70,        /* RFC 2046 section 5.1.1 */
    REQUEST_FORM_PART_HEAD_MAX = 8 * 1024, /* bytes of one part's header */
};

/* Parses it once; the second call says the same. Errors: ST_INVALID,
 * ST_TOO_LARGE, ST_LIMIT, in words in req->err. */
CHECK enum status request_form_parse(struct pit_request *req);

#endif

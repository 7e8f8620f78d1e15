/* openapi.h - the contract: OpenAPI 3.1 (spec.openapis.org/oas/v3.1.0), served
 * at /openapi.json.
 *
 * Each resource has a fragment openapi/NAME.json with its tags, paths and
 * components; document.json has what all share. An operation describes its
 * successes itself and names its refusals in "x-problems": their responses are
 * made here from the table in app/http/problem.c, so that both say the same. A
 * unit test holds the document against the routes. */
#ifndef WEB_API_OPENAPI_H
#define WEB_API_OPENAPI_H

#include <jansson.h>

#include "base/embedded.h"
#include "base/error.h"
#include "http/exchange.h"

extern const struct embedded openapi_fragments[];

/* The whole document, a new reference. Errors: ST_BUG for a fragment that is
 * no JSON, defines a thing twice, or names a problem that there is none of; in
 * words that name the fragment. */
CHECK enum status openapi_build(json_t **ret, struct error *err);

http_handler openapi_get; /* GET /openapi.json */

#endif

/* traceparent.h - the W3C trace context that a request came with.
 *
 *   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *
 * It goes along with whatever the request causes: its jobs, their handlers,
 * outgoing requests. Pure functions. */
#ifndef BASE_TRACEPARENT_H
#define BASE_TRACEPARENT_H

#include "base/str.h"

enum { TRACEPARENT_LEN = 55 };

/* The part of @text that is ours to pass on, TRACEPARENT_LEN bytes of it; the
 * empty slice when it is not valid (W3C Trace Context section 3.2.2). */
struct str traceparent_parse(struct str text);

#endif

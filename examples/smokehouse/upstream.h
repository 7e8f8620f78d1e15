/* upstream.h - the third party that the views call. */
#ifndef UPSTREAM_H
#define UPSTREAM_H

#include <pit/fetch.h>

/* SMOKEHOUSE_UPSTREAM, or https://httpbin.org/. */
const char *upstream_url(void);
/* Logs "<Response [200 OK]>", or why there is none; returns @st, which is how
 * the fetch ended. */
enum pit_status upstream_log(const struct pit_fetch *answer,
                             enum pit_status st);

#endif

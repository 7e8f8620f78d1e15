/* upstream.h - the third party that the views call: SMOKEHOUSE_UPSTREAM, or
 * https://httpbin.org/. */
#ifndef UPSTREAM_H
#define UPSTREAM_H

#include <pit/co.h>

/* GETs it and logs "<Response [200 OK]>". Suspends; fails as pit_fetch(). */
enum pit_status upstream_get(struct pit_co *co);
/* The same without the line. */
enum pit_status upstream_get_quietly(struct pit_co *co);
/* upstream_get() with a library that blocks: for threads alone. */
enum pit_status upstream_get_blocking(void);

#endif

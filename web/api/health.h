/* health.h - what /readyz knows: is Redis there, and is it set up so that it
 * keeps what it is given? One a process; findings are kept for HEALTH_KEEP_MS,
 * so that probes cost Redis nothing. Loop thread only. */
#ifndef WEB_API_HEALTH_H
#define WEB_API_HEALTH_H

#include <stdint.h>

#define HEALTH_KEEP_MS INT64_C(5000)

struct health;

/* Never NULL. */
struct health *health_new(void);
/* NULL is fine. */
void health_free(struct health *health);

#endif

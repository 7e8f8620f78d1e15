/* pit/co.h - what a view or an async task can wait for.
 *
 * A function that may suspend takes the coroutine as its first parameter; the
 * process goes on serving others meanwhile. Once a coroutine is cancelled (the
 * client hung up, the deadline passed, the process stops) every await returns
 * PIT_CANCELLED or PIT_TIMEOUT at once: return it, and let your cleanup run. */
#ifndef PIT_CO_H
#define PIT_CO_H

#include <stdbool.h>
#include <stdint.h>

#include "pit/status.h"

struct pit_co;

/* Suspends for @ms >= 0 milliseconds. */
enum pit_status pit_sleep(struct pit_co *co, int64_t ms);
/* PIT_OK while the coroutine is not cancelled, else the reason. Never suspends.
 */
enum pit_status pit_cancelled(const struct pit_co *co);
/* Every await from now on ends within @ms_from_now with PIT_TIMEOUT. Can only
 * make a deadline earlier. Never suspends. */
void pit_deadline(struct pit_co *co, int64_t ms_from_now);

#endif

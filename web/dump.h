/* dump.h - what a web process says of itself when SIGUSR1 asks.
 *
 * Log lines, whatever --log-level is, so that each carries the process it is
 * about and those of several processes do not run into each other: one of
 * connections, requests and threads, then one a coroutine. Loop thread only. */
#ifndef WEB_DUMP_H
#define WEB_DUMP_H

#include "async/loop.h"
#include "http/front.h"

void dump_log(const struct loop *loop, const struct front *front);

#endif

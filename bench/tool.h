/* tool.h - what the benchmark's programs have in common: a command line, a
 * Redis connection, an end with one line.
 *
 * Each program does one kind of work, a bounded amount of it, prints one line
 * of JSON on standard output and ends; bench/run looks from outside at what it
 * cost the others. A failure ends the program at once (status 1). One thread.
 */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/config.h"
#include "queue/queue.h"

/* One line on standard error, status 1. */
_Noreturn PRINTF(1, 2) void tool_fail(const char *fmt, ...);
/* Fills the struct at @ret. --help is answered here (status 0); a bad command
 * line ends the program (status 2). */
void tool_options(const struct config_program *program, int argc, char **argv,
                  void *ret);

/* A loop with a queue on it. */
struct tool {
    struct loop *loop;
    struct rds *rds;
    struct queues *queues;
};
/* Returns when Redis answers; within 5 s. */
void tool_connect(struct tool *tool, const char *url);
void tool_clear(struct tool *tool);

/* A job's args as the peers' benchmarks have them: {"i":@i,"pad":"xxx..."},
 * @pad bytes of x. Replaces what is in @dst. */
void tool_args(struct buf *dst, int64_t i, int64_t pad);

#endif

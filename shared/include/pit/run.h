/* pit/run.h - the queue from a program of one's own: a script, a cron binary, a
 * daemon that was there before. It links what `pkg-config --cflags --libs
 * pitmaster-client` says.
 *
 *     static enum pit_status
 *     tell(struct pit_co *co, void *arg)
 *     {
 *         return pit_enqueue(co, "mail.send", pit_args("{s:s}", "to", arg),
 *                            NULL);
 *     }
 *
 *     int
 *     main(int argc, char **argv)
 *     {
 *         struct pit_run run = {0};
 *         if (pit_run(&run, tell, argv[1]) == PIT_OK)
 *             return 0;
 *         fprintf(stderr, "tell: %s\n", run.error);
 *         return 1;
 *     }
 *
 * Everything that takes a struct pit_co works within, but for pit/http.h. In a
 * view or a task there is a coroutine already: it is given to them, and this
 * must not be called there. */
#ifndef PIT_RUN_H
#define PIT_RUN_H

#include <stdint.h>

#include "pit/co.h"
#include "pit/queue.h"

/* All optional: zero what is not set. Strings are borrowed for the call. */
struct pit_run {
    const char *redis;     /* redis://[user[:password]@]host[:port][/db] or
                              unix:///path; NULL: PIT_REDIS of the environment,
                              else redis://127.0.0.1:6379 */
    const char *name;      /* as CLIENT LIST shows it, [A-Za-z0-9_.:-]; NULL:
                              "pit-client" */
    int64_t connect_ms;    /* how long to wait for Redis at the start; 0: 2 s */
    int64_t timeout_ms;    /* of the whole, as pit_deadline() has it; 0: none */
    const char *smtp;      /* for pit_mail(): smtp://host:port; NULL: none */
    const char *mail_from; /* its sender */
    char error[PIT_WORDS_SIZE]; /* out: why nothing was run; else "" */
};

/* Connects, runs @fn(co, @arg) in a coroutine on a loop of its own, waits for
 * what it detached, and takes all of it down again. Blocks the calling thread;
 * several threads may each run their own at the same time. No handler of a
 * signal is touched. What is worth a line (a connection that was lost) goes to
 * standard error. @run may be NULL.
 *
 * Returns what @fn returned. When it was not called, and run->error says why:
 * PIT_INVALID a URL or a value that is none; PIT_UNAVAILABLE Redis does not
 * answer within connect_ms, or refuses the password; PIT_CONFLICT it holds the
 * jobs of another version. */
enum pit_status pit_run(struct pit_run *run, pit_co_fn *fn, void *arg);

#endif

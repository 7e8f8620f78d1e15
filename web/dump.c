/* Dump: counts first, then the runtime's own list, a line at a time. */
#include "dump.h"

#include <stdio.h>
#include <stdlib.h>

#include "async/co/co.h"
#include "async/threads.h"
#include "base/log.h"
#include "base/str.h"

static void
log_counts(const struct loop *loop, const struct front *front)
{
    struct front_stats stats = front_stats(front);
    struct threads_stats awaits = co_thread_stats(loop, THREADS_AWAITS);
    struct threads_stats views = co_thread_stats(loop, THREADS_VIEWS);

    log_warn("dump: %u connections, %u requests under way, %u detached; "
             "threads: %u at work, %u calls wait; of sync views: %u at work, "
             "%u requests wait",
             stats.open, stats.in_flight, co_detached(loop), awaits.running,
             awaits.waiting, views.running, views.waiting);
}

void
dump_log(const struct loop *loop, const struct front *front)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    log_counts(loop, front);
    if (!out) {
        log_warn("dump: no memory for the coroutines");
        return;
    }
    co_dump(loop, out);
    if (fclose(out) == 0)
        for (struct str line, rest = str_from(text, len); rest.n > 0;) {
            line = str_cut(rest, '\n', &rest);
            log_warn("dump: %.*s", STR_ARG(line));
        }
    free(text);
}

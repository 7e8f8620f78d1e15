/* Dump: what can be seen of the coroutines from outside, for SIGUSR1. */
#include <inttypes.h>

#include "async/co/co_private.h"
#include "base/clock.h"

static const char *
state_name(const struct co *co)
{
    static const char *const names[] = {"running", "waiting", "yielding",
                                        "ended"};

    return co->state == CO_WAITING && co->cancelled ? "cancelled"
                                                    : names[co->state];
}

static void
dump_one(const struct co *co, FILE *out)
{
    const char *depth =
        co->state == CO_RUNNING ? NULL : switch_depth(&co->self);

    fputs(co->name, out);
    if (co->job[0])
        fprintf(out, " (%s)", co->job);
    else if (co->request[0])
        fprintf(out, " (%s)", co->request);
    fprintf(out, ": %s", state_name(co));
    for (size_t i = 0; i < co->ops_len; i++)
        fprintf(out, "%s %s%s", i == 0 ? " for" : ",", co->ops[i]->class->name,
                co->ops[i]->settled ? " (settled)" : "");
    fprintf(out, ", %" PRId64 " ms", (clock_mono_us() - co->since_us) / 1000);
    if (co->deadline_us != 0)
        fprintf(out, ", %" PRId64 " ms left", co_deadline_left_ms(co));
    if (depth)
        fprintf(out, ", stack %td", co->stack.low + co->stack.size - depth);
    fprintf(out, ", deepest %zu\n", stack_deepest(&co->stack));
}

void
co_dump(const struct loop *loop, FILE *out)
{
    fprintf(out, "%" PRIu32 " coroutines of at most %" PRIu32 "\n",
            loop->coroutines_count, loop->coroutines_max);
    LIST_FOREACH (link, &loop->coroutines)
        dump_one(LIST_ENTRY(link, struct co, link), out);
}

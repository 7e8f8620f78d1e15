#include "app/outside.h"

#include <stdatomic.h>

static const char attached;
static const struct outside_script *_Atomic of_threads;

void
outside_attach(struct loop *loop, const struct outside *outside)
{
    /* The loop lends it back as it came: nobody writes to it. */
    loop_attach(loop, &attached, (void *)(uintptr_t)outside);
}

const struct outside *
outside_of(const struct loop *loop)
{
    static const struct outside nothing;
    const struct outside *outside = loop_attached(loop, &attached);

    return outside ? outside : &nothing;
}

const struct outside_script *
outside_script(const struct co *co)
{
    return outside_of(co_loop(co))->script;
}

void
outside_thread_script_set(const struct outside_script *script)
{
    atomic_store(&of_threads, script);
}

const struct outside_script *
outside_thread_script(void)
{
    return atomic_load(&of_threads);
}

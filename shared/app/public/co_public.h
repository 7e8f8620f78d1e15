/* co_public.h - between the application's struct pit_co and the runtime's
 * struct co: one object, seen through two headers. Nobody else casts. */
#ifndef APP_CO_PUBLIC_H
#define APP_CO_PUBLIC_H

#include "async/co/co.h"
#include "pit/co.h"

static inline struct pit_co *
co_public_of(struct co *co)
{
    return (struct pit_co *)(void *)co;
}

static inline struct co *
co_public_core(struct pit_co *co)
{
    return (struct co *)(void *)co;
}

#endif

/* co_private.h - what op.c and crash.c ask of co.c. Nobody else. */
#ifndef ASYNC_CO_PRIVATE_H
#define ASYNC_CO_PRIVATE_H

#include "async/co.h"

/* One of the ops that @co waits for was settled. */
void co_op_settled(struct co *co, struct op *op);

/* The running coroutine's name when @address lies in the guard of its stack,
 * else NULL. Async-signal-safe. */
const char *co_overflowed(const void *address, size_t *ret_size);

#endif

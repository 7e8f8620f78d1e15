/* fetch_pool.h - libcurl's multi handle on a loop, for fetch.c.
 *
 * Made with the first fetch of a loop, freed by loop_free(). */
#ifndef ASYNC_FETCH_POOL_H
#define ASYNC_FETCH_POOL_H

#include "async/curl/libcurl.h"

#include "base/error.h"

struct fetch_pool;
struct loop;

/* The loop's. Never NULL. */
struct fetch_pool *fetch_pool_of(struct loop *loop);
/* Nothing may be under way. NULL is fine. */
void fetch_pool_free(struct fetch_pool *pool);

/* A handle with no options set but those of the pool; ST_LIMIT when too many
 * are out. */
CHECK enum status fetch_pool_take(struct fetch_pool *pool, CURL **ret);
/* Starts a handle. @done is called once with how it ended, never from inside
 * libcurl; the handle is out of the multi by then, and still the caller's. */
CHECK enum status fetch_pool_start(struct fetch_pool *pool, CURL *easy,
                                   void (*done)(void *arg, CURLcode code),
                                   void *arg);
/* Hands it back, also one that is under way: done is not called then. Never
 * from inside one of libcurl's callbacks. */
void fetch_pool_give(struct fetch_pool *pool, CURL *easy);

#endif

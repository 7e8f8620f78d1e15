/* Look-ups: a record shared by the loop and one detached thread.
 *
 * The record has two holders; whoever lets go last frees it. `done` is written
 * by the thread after everything else (release) and read by the loop first
 * (acquire). The loop polls rather than being posted to, so that a look-up may
 * outlive the loop. */
#include "async/redis/rds_resolve.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { STACK_SIZE = 256 << 10 }; /* getaddrinfo() needs some 12 KiB */

struct rds_resolve {
    atomic_int holders;
    atomic_bool done;
    char *host;
    char port[6];
    struct addrinfo *addresses;
    int result; /* getaddrinfo's */
    int sys;    /* errno, when that is EAI_SYSTEM */
};

static atomic_int under_way;

static void
release(struct rds_resolve *resolve)
{
    if (atomic_fetch_sub(&resolve->holders, 1) > 1)
        return;
    if (resolve->addresses)
        freeaddrinfo(resolve->addresses);
    free(resolve->host);
    free(resolve);
}

static void
look_up(struct rds_resolve *resolve, int flags)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};

    resolve->result =
        getaddrinfo(resolve->host, resolve->port, &hints, &resolve->addresses);
    resolve->sys = errno;
    if (resolve->result != 0)
        resolve->addresses = NULL;
}

static void *
thread_main(void *arg)
{
    struct rds_resolve *resolve = arg;

    look_up(resolve, AI_ADDRCONFIG);
    atomic_store_explicit(&resolve->done, true, memory_order_release);
    atomic_fetch_sub(&under_way, 1);
    release(resolve);
    return NULL;
}

/* With all signals blocked: they are the loop's. */
static int
start_thread(struct rds_resolve *resolve)
{
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_t thread;
    int error = pthread_attr_init(&attr);

    if (error)
        return error;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attr, thread_main, resolve);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return error;
}

enum status
rds_resolve_start(const char *host, uint16_t port, struct rds_resolve **ret,
                  struct error *err)
{
    struct rds_resolve *resolve = xcalloc(1, sizeof *resolve);
    int error;

    resolve->host = xstrdup(host);
    snprintf(resolve->port, sizeof resolve->port, "%u", (unsigned)port);
    atomic_store(&resolve->holders, 1);
    look_up(resolve, AI_NUMERICHOST);
    if (resolve->result == 0) {
        atomic_store(&resolve->done, true);
        *ret = resolve;
        return ST_OK;
    }
    if (atomic_fetch_add(&under_way, 1) >= RDS_RESOLVE_MAX) {
        error = EAGAIN;
    } else {
        atomic_store(&resolve->holders, 2);
        error = start_thread(resolve);
    }
    if (error) {
        atomic_fetch_sub(&under_way, 1);
        atomic_store(&resolve->holders, 1);
        release(resolve);
        return error_set_sys(err, ST_UNAVAILABLE, error,
                             "cannot look up the host %s now", host);
    }
    *ret = resolve;
    return ST_OK;
}

bool
rds_resolve_done(struct rds_resolve *resolve, enum status *ret_status,
                 struct addrinfo **ret, struct error *err)
{
    if (!atomic_load_explicit(&resolve->done, memory_order_acquire))
        return false;
    if (resolve->result == EAI_SYSTEM) {
        *ret_status =
            error_set_sys(err, ST_UNAVAILABLE, resolve->sys,
                          "cannot look up the host %s", resolve->host);
    } else if (resolve->result != 0) {
        *ret_status =
            error_set(err, ST_UNAVAILABLE, "cannot look up the host %s: %s",
                      resolve->host, gai_strerror(resolve->result));
    } else {
        *ret = resolve->addresses;
        resolve->addresses = NULL;
        *ret_status = ST_OK;
    }
    return true;
}

void
rds_resolve_free(struct rds_resolve *resolve)
{
    if (resolve)
        release(resolve);
}

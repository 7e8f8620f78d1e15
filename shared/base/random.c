/* Random: a system call for each id costs more than the id; one for each 512
 * bytes does not. There is no generator of our own to seed or to get wrong.
 *
 * pool.left counts the bytes not handed out yet, which are the pool's last. */
#include "base/random.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"

enum { POOL_SIZE = 512 };

static _Thread_local struct {
    unsigned char bytes[POOL_SIZE];
    size_t left;
} pool;

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Runs in the child, on the only thread that fork() leaves it. */
static void
forget_pool_cb(void)
{
    pool.left = 0;
}

static void
watch_forks_cb(void)
{
    errno = pthread_atfork(NULL, NULL, forget_pool_cb);
    if (errno)
        log_fatal("pthread_atfork: %m");
}

static void
read_kernel(unsigned char *dst, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(dst, n, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            log_fatal("getrandom: %m");
        }
        dst += got;
        n -= (size_t)got;
    }
}

void
random_bytes(void *dst, size_t n)
{
    if (n > sizeof pool.bytes) {
        read_kernel(dst, n);
        return;
    }
    if (n > pool.left) {
        pthread_once(&once, watch_forks_cb);
        read_kernel(pool.bytes, sizeof pool.bytes);
        pool.left = sizeof pool.bytes;
    }
    unsigned char *from = pool.bytes + sizeof pool.bytes - pool.left;
    memcpy(dst, from, n);
    explicit_bzero(from, n);
    pool.left -= n;
}

double
random_double(void)
{
    uint64_t bits;

    random_bytes(&bits, sizeof bits);
    return (double)(bits >> 11) * 0x1p-53;
}

/* set_clock: a wall clock that a test can set, for a program that it starts
 * with LD_PRELOAD (libfaketime and Redis' jemalloc do not get along).
 *
 * The file PIT_TEST_CLOCK holds one int64_t, how many seconds the clock is
 * ahead of the machine's; it is mapped, so what is written there counts at
 * once. Monotonic clocks are left alone. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))

static const volatile int64_t *ahead_s;

__attribute__((constructor)) static void
map_offset(void)
{
    const char *path = getenv("PIT_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *ahead_s, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED)
        ahead_s = map;
    close(fd);
}

/* By the system call itself: no dlsym, which allocates. */
SEEN int
clock_gettime(clockid_t id, struct timespec *now)
{
    int rc = (int)syscall(SYS_clock_gettime, id, now);

    if (rc == 0 && ahead_s &&
        (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        now->tv_sec += *ahead_s;
    return rc;
}

SEEN int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;

    (void)zone;
    int rc = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return rc;
}

SEEN time_t
time(time_t *ret)
{
    struct timespec exact;

    clock_gettime(CLOCK_REALTIME, &exact);
    if (ret)
        *ret = exact.tv_sec;
    return exact.tv_sec;
}

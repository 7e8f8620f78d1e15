/* Crash: async-signal-safe from the handler on: write() and own arithmetic.
 *
 * The handler puts the former disposition back and returns: the instruction
 * faults again, and the former handler (a sanitizer's, or none: the process
 * dies by SIGSEGV, with a core) sees it as if we had not been there. */
#include "async/co/crash.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "async/co/co_private.h"
#include "base/log.h"

enum { ALTERNATE_SIZE = 64 * 1024 };

static struct sigaction former;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static _Thread_local bool watched;

/* Appends what fits. */
static size_t
append(char *line, size_t size, size_t at, const char *text)
{
    size_t n = strnlen(text, size - at);

    memcpy(line + at, text, n);
    return at + n;
}

static size_t
append_number(char *line, size_t size, size_t at, size_t number)
{
    char digits[24];
    size_t i = sizeof digits - 1;

    digits[i] = '\0';
    do
        digits[--i] = (char)('0' + number % 10);
    while (number /= 10);
    return append(line, size, at, digits + i);
}

static void
fault_cb(int signo, siginfo_t *info, void *context)
{
    size_t size;
    const char *name = co_overflowed(info->si_addr, &size);

    (void)context;
    if (name) {
        char line[256];
        size_t n = append(line, sizeof line - 1, 0, "view/coroutine ");
        n = append(line, sizeof line - 1, n, name);
        n = append(line, sizeof line - 1, n, " overflowed its stack of ");
        n = append_number(line, sizeof line - 1, n, size);
        n = append(line, sizeof line - 1, n,
                   " bytes: put large data on the heap, recurse less");
        line[n++] = '\n';
        if (write(STDERR_FILENO, line, n) < 0)
            errno = 0; /* nowhere to say it */
    }
    sigaction(signo, &former, NULL);
}

static void
free_alternate(void *memory)
{
    const stack_t none = {.ss_flags = SS_DISABLE};

    sigaltstack(&none, NULL);
    munmap(memory, ALTERNATE_SIZE);
}

static void
install(void)
{
    struct sigaction action = {
        .sa_sigaction = fault_cb,
        .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
    };

    if (pthread_key_create(&key, free_alternate) != 0)
        log_fatal("crash: no thread key");
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &former);
}

/* Keeps an alternate stack that is there already: a sanitizer's, or one that an
 * application made. */
void
crash_watch_stack(void)
{
    stack_t present;

    if (watched)
        return;
    watched = true;
    pthread_once(&once, install);
    if (sigaltstack(NULL, &present) == 0 && !(present.ss_flags & SS_DISABLE))
        return;
    void *memory = mmap(NULL, ALTERNATE_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return; /* then an overflow dies without its name */
    const stack_t alternate = {.ss_sp = memory, .ss_size = ALTERNATE_SIZE};
    if (sigaltstack(&alternate, NULL) != 0 ||
        pthread_setspecific(key, memory) != 0)
        free_alternate(memory);
}

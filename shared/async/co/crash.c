/* Crash: async-signal-safe from the handler on: write() and own arithmetic.
 *
 * The handler puts the former disposition back and returns: the instruction
 * faults again, and the former handler (a sanitizer's, or none: the process
 * dies by that signal, with a core) sees it as if we had not been there. A
 * signal that somebody sent has no such instruction: it is raised again. */
#include "async/co/crash.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "async/co/co_private.h"
#include "base/log.h"

enum { ALTERNATE_SIZE = 64 * 1024 };

static const struct watched_signal {
    int signo;
    const char *name;
} signals[] = {
    {SIGSEGV, "SIGSEGV"},
    {SIGBUS, "SIGBUS"},
    {SIGFPE, "SIGFPE"},
};

static struct sigaction former[ARRAY_LEN(signals)];
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
append_number(char *line, size_t size, size_t at, uintptr_t number,
              unsigned base)
{
    char digits[24];
    size_t i = sizeof digits - 1;

    digits[i] = '\0';
    do
        digits[--i] = "0123456789abcdef"[number % base];
    while (number /= base);
    return append(line, size, at, digits + i);
}

/* "view/coroutine NAME overflowed its stack of N bytes: ...", or "... crashed:
 * SIGSEGV at address 0x8". */
static void
say(const char *name, size_t overflowed, const char *signal,
    const void *address)
{
    char line[256];
    const size_t size = sizeof line - 1;

    size_t n = append(line, size, 0, "view/coroutine ");
    n = append(line, size, n, name);
    if (overflowed > 0) {
        n = append(line, size, n, " overflowed its stack of ");
        n = append_number(line, size, n, overflowed, 10);
        n = append(line, size, n,
                   " bytes: put large data on the heap, recurse less");
    } else {
        n = append(line, size, n, " crashed: ");
        n = append(line, size, n, signal);
        n = append(line, size, n, " at address 0x");
        n = append_number(line, size, n, (uintptr_t)address, 16);
    }
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        errno = 0; /* nowhere to say it */
}

static void
fault_cb(int signo, siginfo_t *info, void *context)
{
    const bool sent = info->si_code <= 0;
    size_t overflowed = 0, i = 0;
    const char *name = sent ? NULL : co_faulted(info->si_addr, &overflowed);

    (void)context;
    while (signals[i].signo != signo)
        i++;
    if (name)
        say(name, overflowed, signals[i].name, info->si_addr);
    sigaction(signo, &former[i], NULL);
    if (sent)
        raise(signo); /* SA_NODEFER: delivered here */
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
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        sigaction(signals[i].signo, &action, &former[i]);
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

/* random.h - unguessable bytes from the kernel, cheap enough for every job id.
 *
 * Each thread keeps a small pool filled by getrandom(2); a byte is handed out
 * once and wiped. fork() empties the child's pool, so parent and child never
 * hand out the same bytes. Cannot fail: without a random source the process
 * ends with log_fatal(). Any thread. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>

/* Fills @n bytes at @dst. */
void random_bytes(void *dst, size_t n);
/* Uniform in [0, 1), 53 bits of it random. */
double random_double(void);

#endif

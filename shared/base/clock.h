/* clock.h - the two clocks, and RFC 3339.
 *
 * clock_mono_* never jumps and decides every timeout of a process. clock_wall_*
 * is for people and ids; nothing about a job's due time or lease is decided by
 * it (Redis' TIME is). */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { CLOCK_TIME_LEN = 24 }; /* "2026-11-23T09:00:00.000Z" */
enum { CLOCK_WORDS_SIZE = 32 };
#define CLOCK_LAST_MS INT64_C(253402300799999) /* the end of year 9999 */

int64_t clock_mono_us(void);
int64_t clock_mono_ms(void);
/* Moves both clocks of this process ahead by @us >= 0, for tests: whoever reads
 * them later sees that so much time has passed. */
void clock_skip(int64_t us);
/* How much was skipped so far. */
int64_t clock_skipped_us(void);
/* Milliseconds since the epoch. */
int64_t clock_wall_ms(void);
/* RFC 3339 UTC with milliseconds and a final NUL. @ms: 0 .. CLOCK_LAST_MS. */
void clock_format(int64_t ms, char dst[CLOCK_TIME_LEN + 1]);
/* RFC 3339 section 5.6 date-time with any offset and up to 9 fraction digits
 * (what is below 1 ms is dropped); a leap second counts as the next second.
 * False leaves *ret_ms untouched; so does a year before 1970. */
bool clock_parse(struct str s, int64_t *ret_ms);
/* A duration as people read it, @dst itself: "450ms", "1.5s", "12s", "3m 20s",
 * "2h 5m", "4d 1h"; "-" below 0. */
const char *clock_words(int64_t ms, char dst[CLOCK_WORDS_SIZE]);

#endif

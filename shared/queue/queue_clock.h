/* queue_clock.h - what a process knows of Redis' clock, without asking for it.
 *
 * Each reply of work says what the clock shows. From that, and the monotonic
 * clock here, follows what it should show later; when it shows something else
 * it was set, or Redis was frozen or could not be reached, and nobody could
 * renew a lease. docs/protocol.md ("The clock") says what the scripts make of
 * it. */
#ifndef QUEUE_QUEUE_CLOCK_H
#define QUEUE_QUEUE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct queues;

/* A difference that is always worth a look; STEP_MIN of the scripts. */
enum { QUEUE_CLOCK_STEP_MS = 5000 };

/* What the clock should show at @mono_ms (clock_mono_ms()), without the time in
 * which there was no connection; 0 when it was never heard. */
int64_t queue_clock_expected(const struct queues *queues, int64_t mono_ms);
/* It showed @now_ms, in the answer to a call that was sent at @sent_ms. True
 * when that is off by more than @most_ms: then all queues want to be worked,
 * and for a moment queue_clock_expected() goes on as before, so that each finds
 * out. */
bool queue_clock_heard(struct queues *queues, int64_t now_ms, int64_t sent_ms,
                       int64_t most_ms);
/* The same for an answer that is not one of work: nothing is remembered but
 * that it was off by more than QUEUE_CLOCK_STEP_MS. */
void queue_clock_note(struct queues *queues, int64_t now_ms, int64_t sent_ms);
/* Was it, since this was asked last? */
bool queue_clock_noted_off(struct queues *queues);

#endif

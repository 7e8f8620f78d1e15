#include "queue/queue_clock.h"

#include <stdlib.h>

#include "queue/queue_private.h"

enum { REMEMBERED_MS = 2000 }; /* for calls to all queues, right away */

static int64_t
since_heard(const struct queues *queues, int64_t mono_ms)
{
    int64_t up_ms = rds_up_since_ms(queues->rds);
    int64_t since_ms =
        up_ms > queues->heard_at_ms ? up_ms : queues->heard_at_ms;

    return since_ms < mono_ms ? mono_ms - since_ms : 0;
}

int64_t
queue_clock_expected(const struct queues *queues, int64_t mono_ms)
{
    if (!queues->heard_ms)
        return 0;
    int64_t off_ms = mono_ms < queues->off_until_ms ? queues->off_ms : 0;
    return queues->heard_ms + since_heard(queues, mono_ms) - off_ms;
}

/* How far it is ahead of what was expected. */
static int64_t
ahead(const struct queues *queues, int64_t now_ms, int64_t sent_ms)
{
    if (!queues->heard_ms)
        return 0;
    return now_ms - queues->heard_ms - since_heard(queues, sent_ms);
}

bool
queue_clock_heard(struct queues *queues, int64_t now_ms, int64_t sent_ms,
                  int64_t most_ms)
{
    int64_t off_ms = ahead(queues, now_ms, sent_ms);
    bool off = llabs(off_ms) > most_ms;

    if (off) {
        queues->off_ms = off_ms;
        queues->off_until_ms = sent_ms + REMEMBERED_MS;
    }
    queues->heard_ms = now_ms;
    queues->heard_at_ms = sent_ms;
    return off;
}

void
queue_clock_note(struct queues *queues, int64_t now_ms, int64_t sent_ms)
{
    if (llabs(ahead(queues, now_ms, sent_ms)) > QUEUE_CLOCK_STEP_MS)
        queues->noted_off = true;
}

bool
queue_clock_noted_off(struct queues *queues)
{
    bool off = queues->noted_off;

    queues->noted_off = false;
    return off;
}

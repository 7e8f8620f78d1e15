/* Backoff: delays between attempts.
 *
 * The doubling is done by comparison with the cap before each shift, never by
 * computing base * 2^retry, which overflows for the retry counts that users do
 * configure (Sidekiq's default is 25; nothing stops anyone from 1,000). */
#include "queue/job/backoff.h"

#include <assert.h>

static const char *const names[] = {
    [BACKOFF_FIXED] = "fixed",
    [BACKOFF_EXPONENTIAL] = "exponential",
};

const char *
backoff_name(enum backoff_kind kind)
{
    return names[kind];
}

bool
backoff_parse(struct str name, enum backoff_kind *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_c(name, names[i])) {
            *ret = (enum backoff_kind)i;
            return true;
        }
    return false;
}

enum status
backoff_validate(const struct backoff *b, struct error *err)
{
    if (b->base_ms <= 0)
        return error_set(err, ST_INVALID, "retry.base: must be positive");
    if (b->cap_ms < b->base_ms)
        return error_set(err, ST_INVALID, "retry.cap: below retry.base");
    if (!(b->jitter >= 0 && b->jitter <= 1)) /* also refuses NaN */
        return error_set(err, ST_INVALID, "retry.jitter: not within 0..1");
    return ST_OK;
}

static int64_t
undisturbed_ms(const struct backoff *b, uint32_t retry)
{
    int64_t delay = b->base_ms;

    if (b->kind == BACKOFF_FIXED)
        return delay;
    for (; retry > 0 && delay < b->cap_ms; retry--)
        delay = delay > b->cap_ms / 2 ? b->cap_ms : delay * 2;
    return delay;
}

int64_t
backoff_delay_ms(const struct backoff *b, uint32_t retry, double random)
{
    assert(b->base_ms > 0 && b->cap_ms >= b->base_ms);
    assert(random >= 0 && random < 1);

    int64_t delay = undisturbed_ms(b, retry);
    int64_t spread = (int64_t)((double)delay * b->jitter * random);

    assert(spread >= 0 && spread <= delay);
    return delay - spread;
}

/* Numbers and durations out of any bytes agree with strtod() and strtoll(). */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "fuzz.h"

enum { TEXT_MAX = 64 };

static void
check_i64(const char *text, struct str s)
{
    int64_t n = -7;
    if (!str_to_i64(s, &n)) {
        assert(n == -7);
        return;
    }
    char *end = NULL;
    errno = 0;
    long long expected = strtoll(text, &end, 10);
    assert(errno == 0 && *end == '\0' && n == expected && n >= 0);
}

/* A bare number is seconds; what strtod() makes of it, to a millisecond. */
static void
check_duration(const char *text, struct str s)
{
    int64_t ms = -7;
    if (!str_to_duration_ms(s, &ms)) {
        assert(ms == -7);
        return;
    }
    assert(ms >= 0 && ms <= 3660LL * 86400 * 1000);
    char *end = NULL;
    double value = strtod(text, &end);
    if (*end == '\0') {
        double apart = value * 1000 - (double)ms;
        assert(apart > -1.01 && apart < 1.01);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1];
    size_t n = size < TEXT_MAX ? size : TEXT_MAX;
    if (n)
        memcpy(text, data, n);
    text[n] = '\0';
    struct str s = str_from(text, n);
    struct str trimmed = str_trim(s);
    assert(trimmed.n <= s.n);
    if (memchr(text, 0, n))
        return 0;
    check_i64(text, s);
    check_duration(text, s);
    return 0;
}

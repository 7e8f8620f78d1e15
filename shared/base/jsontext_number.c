/* Numbers of jsontext: from decimal text to int64 and double.
 *
 * A number is first brought to "digits x 10^exponent" without leading zeros, of
 * any length and with any exponent, in a fixed space. 768 significant digits
 * decide how a double is rounded, whatever comes behind (the longest midpoint
 * of two doubles has 767); what is cut off is stood for by one more digit. */
#include "base/jsontext.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGITS_MAX = 780, EXPONENT_MAX = 100000 };

struct decimal {
    bool negative;
    bool cut;         /* digits that are not 0 were dropped */
    size_t n;         /* 0: the number is zero */
    int64_t exponent; /* no text is long enough to overflow it */
    char digits[DIGITS_MAX + 1];
};

static void
add_digit(struct decimal *d, char digit, bool fraction)
{
    if (d->n == 0 && digit == '0') {
        d->exponent -= fraction;
        return;
    }
    if (d->n < DIGITS_MAX) {
        d->digits[d->n++] = digit;
        d->exponent -= fraction;
        return;
    }
    d->cut |= digit != '0';
    d->exponent += !fraction;
}

/* The digits behind "e", clamped far from any overflow: a text would need 10^15
 * digits to make up for such an exponent. */
static int64_t
read_exponent(const char *p, const char *end)
{
    const int64_t most = INT64_C(1000000000000000);
    bool negative = *p == '-';
    int64_t value = 0;

    if (*p == '-' || *p == '+')
        p++;
    for (; p < end && value < most; p++)
        value = value * 10 + (*p - '0');
    return negative ? -value : value;
}

static void
read_decimal(struct str raw, struct decimal *d)
{
    const char *p = raw.p, *end = raw.p + raw.n;
    bool fraction = false;

    d->negative = *p == '-';
    d->cut = false;
    d->n = 0;
    d->exponent = 0;
    for (p += d->negative; p < end; p++) {
        if (*p == '.') {
            fraction = true;
        } else if (*p == 'e' || *p == 'E') {
            d->exponent += read_exponent(p + 1, end);
            break;
        } else {
            add_digit(d, *p, fraction);
        }
    }
    if (d->cut) {
        d->digits[d->n++] = '1';
        d->exponent--;
    }
}

bool
jsontext_i64(struct jsontext number, int64_t *ret)
{
    const uint64_t most = INT64_MAX;
    struct decimal d;
    uint64_t value = 0;

    if (number.type != JSONTEXT_NUMBER)
        return false;
    read_decimal(number.raw, &d);
    while (d.n > 0 && d.digits[d.n - 1] == '0') {
        d.n--;
        d.exponent++;
    }
    if (d.n == 0) {
        *ret = 0;
        return true;
    }
    if (d.exponent < 0 || d.exponent > 18 || d.n + (size_t)d.exponent > 19)
        return false;
    for (size_t i = 0; i < d.n; i++)
        value = value * 10 + (uint64_t)(d.digits[i] - '0');
    for (; d.exponent > 0; d.exponent--)
        value *= 10;
    if (value > most + d.negative)
        return false;
    /* By way of value - 1, for INT64_MIN has no positive counterpart. */
    *ret = d.negative ? -(int64_t)(value - 1) - 1 : (int64_t)value;
    return true;
}

bool
jsontext_double(struct jsontext number, double *ret)
{
    char text[DIGITS_MAX + 32];
    struct decimal d;

    if (number.type != JSONTEXT_NUMBER)
        return false;
    read_decimal(number.raw, &d);
    if (d.n == 0) {
        *ret = d.negative ? -0.0 : 0.0;
        return true;
    }
    int64_t exponent = d.exponent;
    if (exponent > EXPONENT_MAX)
        exponent = EXPONENT_MAX;
    if (exponent < -EXPONENT_MAX)
        exponent = -EXPONENT_MAX;
    /* No decimal point, so strtod() cannot trip over a locale's comma. */
    snprintf(text, sizeof text, "%s%.*se%d", d.negative ? "-" : "", (int)d.n,
             d.digits, (int)exponent);
    double value = strtod(text, NULL);
    if (!isfinite(value))
        return false;
    *ret = value;
    return true;
}

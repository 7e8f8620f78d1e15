/* Any bytes as a cron line: a line that is taken comes again and again, always
 * later, and each time fits. The second half of the input is a zone's rule. */
#include <assert.h>
#include <stdlib.h>

#include "base/cron.h"
#include "base/zone_rule.h"
#include "fuzz.h"

static void
check_cron(struct str text)
{
    struct cron cron = {0};
    struct error err = {.status = ST_OK};
    int64_t minute = INT64_C(29000000); /* 2025 */

    if (cron_parse(text, &cron, &err) != ST_OK) {
        assert(err.status == ST_INVALID && err.msg[0]);
        return;
    }
    assert(cron.minutes && cron.hours && cron.months && cron.weekdays);
    for (int i = 0; i < 3; i++) {
        int64_t next = cron_next(&cron, minute);
        assert(next > minute && next < minute + INT64_C(41) * 366 * 1440);
        assert(cron.minutes >> (next % 60) & 1);
        assert(cron.hours >> (next / 60 % 24) & 1);
        minute = next;
    }
}

static void
check_rule(struct str text)
{
    struct zone_rule rule;
    int64_t at_s = INT64_C(1760000000);

    if (!zone_rule_parse(text, &rule))
        return;
    for (int i = 0; i < 4; i++) {
        int32_t offset_s = zone_rule_offset(&rule, at_s);
        assert(offset_s == rule.standard_s || offset_s == rule.daylight_s);
        int64_t next = zone_rule_next(&rule, at_s);
        assert(next > at_s);
        if (next == INT64_MAX)
            break;
        at_s = next;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A block of its own: the slices have no end but their length. */
    char *text = malloc(size + 1);

    if (!text)
        abort();
    for (size_t i = 0; i < size; i++)
        text[i] = (char)data[i];
    struct str rest;
    struct str line = str_cut(str_from(text, size), '\n', &rest);
    check_cron(line);
    check_rule(rest);
    free(text);
    return 0;
}

/* Meats: two calls of a third party at once, then the work. */
#include "meats.h"

#include <ctype.h>
#include <stdlib.h>

#include <pit/log.h>

#include "upstream.h"

enum { MEATS = 6, SAUCES = 3 };

static enum pit_status
call_after(struct pit_co *co, int64_t ms)
{
    struct pit_fetch answer PIT_FETCH = {.url = upstream_url()};
    enum pit_status st = pit_sleep(co, ms);

    if (st != PIT_OK)
        return st;
    st = pit_fetch(co, &answer);
    if (st != PIT_OK)
        pit_log_warn("upstream: %s", answer.error);
    return st;
}

static enum pit_status
get_smokables(struct pit_co *co, void *arg)
{
    static const char *const names[MEATS] = {
        "ribs", "brisket", "pork shoulder", "turkey leg", "salmon", "sausage"};
    const char *const **ret = arg;

    pit_log_info("Getting smokeables...");
    enum pit_status st = call_after(co, 2000);
    if (st != PIT_OK)
        return st;
    pit_log_info("Returning smokeable");
    *ret = names;
    return PIT_OK;
}

static enum pit_status
get_flavor(struct pit_co *co, void *arg)
{
    static const char *const sauces[SAUCES] = {
        "Honey Mesquite", "Carolina Mustard", "Smoked Plum"};
    const char **ret = arg;

    pit_log_info("Getting flavor...");
    enum pit_status st = call_after(co, 1000);
    if (st != PIT_OK)
        return st;
    pit_log_info("Returning flavor");
    *ret = sauces[arc4random_uniform(SAUCES)];
    return PIT_OK;
}

static int
smoke(const char *const *meats, const char *flavor)
{
    for (int i = 0; i < MEATS; i++) {
        pit_log_info("Smoking some %s...", meats[i]);
        pit_log_info("Applying the %s...", flavor);
        pit_log_info("%c%s smoked.", toupper((unsigned char)*meats[i]),
                     meats[i] + 1);
    }
    return MEATS;
}

enum pit_status
meats_smoke(struct pit_co *co, struct smoked *ret)
{
    const char *const *meats = NULL;

    enum pit_status st =
        pit_await_all(co, get_smokables, &meats, get_flavor, &ret->flavor);
    if (st == PIT_OK)
        ret->count = smoke(meats, ret->flavor);
    return st;
}

enum pit_status
meats_task(struct pit_co *co, struct pit_job *job)
{
    struct smoked smoked = {0};
    enum pit_status st = meats_smoke(co, &smoked);

    if (st != PIT_OK)
        return st;
    return pit_job_result(job, "{s:i, s:s}", "smoked", smoked.count, "flavor",
                          smoked.flavor);
}

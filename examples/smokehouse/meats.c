/* Meats: two calls of a third party at once, then the work. */
#include "meats.h"

#include <ctype.h>
#include <stdlib.h>

#include <pit/log.h>

#include "upstream.h"

#define LEN(array) (sizeof(array) / sizeof *(array))

struct smokables {
    const char *const *names;
    size_t len;
};

static enum pit_status
get_smokables(struct pit_co *co, void *arg)
{
    static const char *const names[] = {
        "ribs", "brisket", "pork shoulder", "turkey leg", "salmon", "sausage"};
    struct smokables *ret = arg;

    pit_log_info("Getting smokeables...");
    enum pit_status st = pit_sleep(co, 2000);
    if (st == PIT_OK)
        st = upstream_get_quietly(co);
    if (st != PIT_OK)
        return st;
    pit_log_info("Returning smokeable");
    *ret = (struct smokables){names, LEN(names)};
    return PIT_OK;
}

static enum pit_status
get_flavor(struct pit_co *co, void *arg)
{
    static const char *const sauces[] = {"Honey Mesquite", "Carolina Mustard",
                                         "Smoked Plum"};
    const char **ret = arg;

    pit_log_info("Getting flavor...");
    enum pit_status st = pit_sleep(co, 1000);
    if (st == PIT_OK)
        st = upstream_get_quietly(co);
    if (st != PIT_OK)
        return st;
    pit_log_info("Returning flavor");
    *ret = sauces[arc4random_uniform(LEN(sauces))];
    return PIT_OK;
}

static size_t
smoke(const struct smokables *meats, const char *flavor)
{
    for (size_t i = 0; i < meats->len; i++) {
        const char *meat = meats->names[i];
        pit_log_info("Smoking some %s...", meat);
        pit_log_info("Applying the %s...", flavor);
        pit_log_info("%c%s smoked.", toupper((unsigned char)*meat), meat + 1);
    }
    return meats->len;
}

enum pit_status
meats_smoke(struct pit_co *co, struct smoked *ret)
{
    struct smokables meats = {0};
    const char *flavor = NULL;

    enum pit_status st =
        pit_await_all(co, get_smokables, &meats, get_flavor, &flavor);
    if (st != PIT_OK)
        return st;
    *ret = (struct smoked){smoke(&meats, flavor), flavor};
    return PIT_OK;
}

enum pit_status
meats_task(struct pit_co *co, struct pit_job *job)
{
    struct smoked smoked = {0};
    enum pit_status st = meats_smoke(co, &smoked);

    return st == PIT_OK ? pit_job_result(job, "{s:I, s:s}", "smoked",
                                         (json_int_t)smoked.count, "flavor",
                                         smoked.flavor)
                        : st;
}

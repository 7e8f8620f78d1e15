/* Health: /healthz asks nobody; /readyz says whether a job would be taken.
 *
 * What the doctor finds is always told, but only what makes Redis refuse jobs
 * makes us unready: a Redis that merely could lose them is for an operator to
 * mend, and taking every web process out of service would not help him. */
#include "api/health.h"

#include <stdlib.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "queue/doctor.h"

struct health {
    struct doctor doctor;
    int64_t until_ms; /* monotonic; 0: never asked */
};

struct health *
health_new(void)
{
    return xcalloc(1, sizeof(struct health));
}

void
health_free(struct health *health)
{
    free(health);
}

enum status
health_alive(struct co *co, struct http_exchange *exchange, void *arg)
{
    (void)co;
    (void)arg;
    return response_lend(&exchange->res, 200, "application/json",
                         STR("{\"status\":\"ok\"}\n"));
}

static bool
refuses_jobs(const struct doctor_finding *finding)
{
    static const char *const checks[] = {"version", "role", "persistence",
                                         "schema"};

    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        if (finding->level == DOCTOR_ERROR &&
            str_eq_c(str_c(finding->check), checks[i]))
            return true;
    return false;
}

static json_t *
make_findings(const struct doctor *doctor, bool *ret_refuses)
{
    json_t *list = json_array();

    for (size_t i = 0; i < doctor->len; i++) {
        const struct doctor_finding *finding = &doctor->findings[i];
        if (refuses_jobs(finding))
            *ret_refuses = true;
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s}", "check", finding->check,
                            "level", doctor_level_name(finding->level), "text",
                            finding->text, "fix", finding->fix));
    }
    return list;
}

static enum status
reply(struct http_exchange *exchange, const char *status, json_t *findings)
{
    bool ready = str_eq_c(str_c(status), "ready");

    if (!ready &&
        response_set(&exchange->res, STR("Retry-After"), STR("1")) != ST_OK) {
        json_decref(findings);
        return ST_BUG;
    }
    return response_json_take(
        &exchange->res, ready ? 200 : 503,
        json_pack("{s:s, s:o}", "status", status, "findings", findings));
}

/* One finding of our own: nobody could be asked. */
static json_t *
make_unreachable(const char *why)
{
    return json_pack("[{s:s, s:s, s:s, s:s}]", "check", "connection", "level",
                     "error", "text", why, "fix",
                     "start Redis, or name another one with --redis");
}

enum status
health_ready(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    struct health *health = api->health;
    bool refuses = false;

    if (api->draining)
        return reply(exchange, "draining", json_array());
    if (!rds_up(api->rds))
        return reply(exchange, "unavailable",
                     make_unreachable(rds_last_error(api->rds)));
    if (clock_mono_ms() >= health->until_ms) {
        enum status st =
            doctor_run(co, api->queues, &health->doctor, &exchange->err);
        if (st == ST_CANCELLED)
            return st;
        if (st != ST_OK)
            return reply(exchange, "unavailable",
                         make_unreachable(exchange->err.msg));
        health->until_ms = clock_mono_ms() + HEALTH_KEEP_MS;
    }
    json_t *findings = make_findings(&health->doctor, &refuses);
    return reply(exchange, refuses ? "unavailable" : "ready", findings);
}

/* Schedule document: names and numbers need no escaping (their characters are
 * checked on the way in), what people wrote does. */
#include "app/document/schedule_json.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/jsontext.h"

void
schedule_json_duration(int64_t ms, struct buf *dst)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};

    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (ms > 0 && ms % units[i].ms == 0) {
            buf_addf(dst, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
            return;
        }
    buf_addf(dst, ms == 0 ? "%" PRId64 "s" : "%" PRId64 "ms", ms);
}

static void
add_duration(struct buf *dst, int64_t ms)
{
    buf_add_char(dst, '"');
    schedule_json_duration(ms, dst);
    buf_add_char(dst, '"');
}

static void
add_when(const struct schedule *s, struct buf *dst)
{
    switch (s->when) {
    case SCHEDULE_CRON:
        buf_add_c(dst, ",\"cron\":");
        buf_add_json_string(dst, s->cron_text);
        buf_add_c(dst, ",\"timezone\":");
        buf_add_json_string(dst, s->timezone);
        break;
    case SCHEDULE_EVERY:
        buf_add_c(dst, ",\"every\":");
        add_duration(dst, s->every_ms);
        break;
    case SCHEDULE_AT:
        buf_add_c(dst, ",\"at\":");
        buf_add_json_time(dst, s->at_ms);
        break;
    }
}

static void
add_tags(struct str tags, struct buf *dst)
{
    buf_add_c(dst, ",\"tags\":[");
    for (struct str rest = tags; rest.n > 0;) {
        struct str tag = str_cut(rest, ',', &rest);
        buf_addf(dst, "\"%.*s\"%s", STR_ARG(tag), rest.n > 0 ? "," : "");
    }
    buf_add_char(dst, ']');
}

static void
add_unique(const struct job_unique *unique, struct buf *dst)
{
    static const char *const holds[] = {"", "waiting", "running", "ended"};

    if (unique->hold == UNIQUE_NEVER)
        return;
    buf_add_c(dst, ",\"unique\":{\"key\":");
    buf_add_json_string(dst, unique->key);
    buf_addf(dst, ",\"while\":\"%s\"", holds[unique->hold]);
    if (unique->ttl_ms > 0) {
        buf_add_c(dst, ",\"ttl\":");
        add_duration(dst, unique->ttl_ms);
    }
    buf_add_char(dst, '}');
}

static void
add_limit(const struct job_limit *limit, struct buf *dst)
{
    if (limit->key.n == 0)
        return;
    buf_add_c(dst, ",\"limit\":{\"key\":");
    buf_add_json_string(dst, limit->key);
    if (limit->concurrency > 0)
        buf_addf(dst, ",\"concurrency\":%" PRId32, limit->concurrency);
    if (limit->rate > 0) {
        buf_addf(dst, ",\"rate\":\"%" PRId32 "/", limit->rate);
        schedule_json_duration(limit->rate_period_ms, dst);
        buf_add_char(dst, '"');
    }
    buf_add_char(dst, '}');
}

static void
add_callback(const struct job_callback *callback, struct buf *dst)
{
    if (callback->url.n == 0)
        return;
    buf_add_c(dst, ",\"callback\":{\"url\":");
    buf_add_json_string(dst, callback->url);
    buf_addf(dst, ",\"on\":[%s%s%s]}",
             callback->on_succeeded ? "\"succeeded\"" : "",
             callback->on_succeeded && callback->on_dead ? "," : "",
             callback->on_dead ? "\"dead\"" : "");
}

/* null: the queue decides when it fires, or the standard holds. */
static void
add_retry(const struct job_spec *spec, struct buf *dst)
{
    const struct backoff *backoff = &spec->backoff;
    unsigned open = spec->retry_open;

    buf_add_c(dst, ",\"retry\":{\"max\":");
    if (open & JOB_RETRY_MAX)
        buf_add_c(dst, "null");
    else
        buf_addf(dst, "%" PRId32, spec->retries);
    if (open & JOB_RETRY_BACKOFF)
        buf_add_c(dst, ",\"backoff\":null");
    else
        buf_addf(dst, ",\"backoff\":\"%s\"", backoff_name(backoff->kind));
    buf_add_c(dst, ",\"base\":");
    if (open & JOB_RETRY_BASE)
        buf_add_c(dst, "null");
    else
        add_duration(dst, backoff->base_ms);
    buf_add_c(dst, ",\"cap\":");
    if (open & JOB_RETRY_CAP)
        buf_add_c(dst, "null");
    else
        add_duration(dst, backoff->cap_ms);
    if (open & JOB_RETRY_JITTER)
        buf_add_c(dst, ",\"jitter\":null}");
    else
        buf_addf(dst, ",\"jitter\":%g}", backoff->jitter);
}

static void
add_options(const struct job_spec *spec, struct buf *dst)
{
    buf_addf(dst, ",\"priority\":%d,\"timeout\":", spec->priority);
    add_duration(dst, spec->timeout_ms);
    add_retry(spec, dst);
    buf_add_c(dst, ",\"keep\":");
    add_duration(dst, spec->keep_ms);
    add_tags(spec->tags, dst);
    add_unique(&spec->unique, dst);
    add_limit(&spec->limit, dst);
    add_callback(&spec->callback, dst);
}

static void
add_args(struct str args, struct buf *dst)
{
    struct jsontext value;

    buf_add_c(dst, ",\"args\":");
    if (args.n > 0 && jsontext_check(args, &value, NULL) == ST_OK)
        buf_add_str(dst, value.raw);
    else
        buf_add_c(dst, "null");
}

size_t
schedule_json_next(const struct schedule_view *view, int64_t *ret, size_t max)
{
    int64_t nominal_ms = view->nominal_ms;
    size_t n = 0;

    for (; n < max && nominal_ms != SCHEDULE_NEVER &&
           nominal_ms < CLOCK_LAST_MS - SCHEDULE_JITTER_MAX_MS;
         nominal_ms = schedule_times_next(&view->schedule, nominal_ms))
        ret[n++] = nominal_ms;
    return n;
}

static void
add_next(const struct schedule_view *view, struct buf *dst)
{
    int64_t times[SCHEDULE_JSON_NEXT];
    size_t n = schedule_json_next(view, times, SCHEDULE_JSON_NEXT);

    buf_add_c(dst, ",\"next\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_char(dst, ',');
        buf_add_json_time(dst, schedule_times_fire(&view->schedule, times[i]));
    }
    buf_add_char(dst, ']');
}

static void
add_fire(const struct schedule_view *view, const struct schedule_fire *fire,
         struct buf *dst)
{
    buf_add_c(dst, "{\"at\":");
    buf_add_json_time(dst, fire->nominal_ms);
    buf_add_c(dst, ",\"fired_at\":");
    buf_add_json_time(dst, fire->at_ms);
    buf_addf(dst,
             ",\"outcome\":\"%s\",\"job\":", schedules_fire_name(fire->what));
    if (fire->local.n > 0)
        buf_addf(dst, "\"%s.%.*s\"", view->queue, STR_ARG(fire->local));
    else
        buf_add_c(dst, "null");
    if (fire->what == 'm')
        buf_addf(dst, ",\"missed\":%" PRId64, fire->missed);
    buf_add_char(dst, '}');
}

void
schedule_json_fires(const struct schedule_view *view, struct buf *dst)
{
    buf_add_c(dst, "{\"fires\":[");
    for (size_t i = 0; i < view->fires_len; i++) {
        if (i > 0)
            buf_add_char(dst, ',');
        add_fire(view, &view->fires[i], dst);
    }
    buf_add_c(dst, "]}");
}

void
schedule_json_write(const struct schedule_view *view, struct buf *dst)
{
    const struct schedule *s = &view->schedule;

    buf_addf(dst, "{\"name\":\"%s\"", view->name);
    add_when(s, dst);
    buf_addf(dst, ",\"task\":\"%.*s\",\"queue\":\"%s\"", STR_ARG(s->spec.task),
             view->queue);
    add_args(s->spec.args, dst);
    add_options(&s->spec, dst);
    buf_addf(dst, ",\"misfire\":\"%s\",\"overlap\":\"%s\",\"jitter\":",
             schedule_misfire_name(s->misfire),
             schedule_overlap_name(s->overlap));
    add_duration(dst, s->jitter_ms);
    buf_addf(dst, ",\"paused\":%s,\"note\":", s->paused ? "true" : "false");
    buf_add_json_string(dst, s->note);
    if (s->app.n > 0)
        buf_addf(dst, ",\"origin\":\"app\",\"app\":\"%.*s\",\"modified\":%s",
                 STR_ARG(s->app), s->modified ? "true" : "false");
    else
        buf_add_c(dst, ",\"origin\":\"api\"");
    buf_add_c(dst, ",\"created_at\":");
    buf_add_json_time(dst, s->created_ms);
    buf_add_c(dst, ",\"updated_at\":");
    buf_add_json_time(dst, s->updated_ms);
    add_next(view, dst);
    buf_add_c(dst, ",\"buffered\":");
    buf_add_json_time(dst, view->buffered_ms);
    buf_add_c(dst, ",\"last\":");
    if (view->fires_len > 0)
        add_fire(view, &view->fires[0], dst);
    else
        buf_add_c(dst, "null");
    buf_add_char(dst, '}');
}

/* Job options: ranges, the words of the record, and their names.
 *
 *   u<w|r|e>,<ttl ms>,<key>      l<concurrency>,<rate>,<period ms>,<key>
 *   n<parents>,<s|g>             o<id>,<id>...         w<flow>
 *   c<S and D>,<url>
 *
 * A key or URL stands last in its word, since it may hold a comma. */
#include "queue/job/job_options.h"

#include <inttypes.h>
#include <string.h>

#include "queue/job/id.h"
#include "queue/job/job.h"

static bool
is_visible(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7e)
            return false;
    return s.n > 0;
}

bool
job_key_valid(struct str key)
{
    return key.n <= JOB_KEY_MAX && is_visible(key);
}

/* ---- ranges ---- */

static enum status
check_unique(const struct job_unique *unique, struct error *err)
{
    if (unique->hold == UNIQUE_NEVER)
        return ST_OK;
    if (!job_key_valid(unique->key))
        return error_set_at(err, "/unique/key",
                            "must be 1 to %d visible ASCII characters",
                            JOB_KEY_MAX);
    if (unique->ttl_ms < 0 || unique->ttl_ms > JOB_KEEP_MAX_MS)
        return error_set_at(err, "/unique/ttl", "must be 0 to 365 days");
    if (unique->hold == UNIQUE_ENDED && unique->ttl_ms == 0)
        return error_set_at(err, "/unique/ttl",
                            "\"while\": \"ended\" needs a ttl: how long after "
                            "its end the job holds the key");
    return ST_OK;
}

static enum status
check_limit(const struct job_limit *limit, struct error *err)
{
    if (limit->key.n == 0)
        return ST_OK;
    if (!job_key_valid(limit->key))
        return error_set_at(err, "/limit/key",
                            "must be 1 to %d visible ASCII characters",
                            JOB_KEY_MAX);
    if (limit->concurrency < 0 || limit->concurrency > JOB_CONCURRENCY_MAX)
        return error_set_at(err, "/limit/concurrency", "must be 0 to %d",
                            JOB_CONCURRENCY_MAX);
    if (limit->rate < 0 || limit->rate > JOB_RATE_MAX ||
        (limit->rate > 0 && (limit->rate_period_ms < 1 ||
                             limit->rate_period_ms > JOB_RATE_PERIOD_MAX_MS)))
        return error_set_at(err, "/limit/rate",
                            "must be up to %d in a period of 1 ms to 1 day",
                            JOB_RATE_MAX);
    return ST_OK;
}

/* http or https, with a host and without a user, whose password would be kept
 * and shown with the job. */
static bool
is_target(struct str url)
{
    if (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://")))
        return false;
    struct str host;
    (void)str_cut(url, '/', &host);
    host = str_skip(host, 1);
    size_t n = 0;
    while (n < host.n && !strchr("/?#", host.p[n]))
        n++;
    return n > 0 && host.p[0] != ':' && !memchr(host.p, '@', n);
}

static enum status
check_callback(const struct job_callback *callback, struct error *err)
{
    struct str url = callback->url;

    if (url.n == 0)
        return ST_OK;
    if (url.n > JOB_URL_MAX || !is_visible(url) || !is_target(url))
        return error_set_at(err, "/callback/url",
                            "must be an http or https URL with a host, without "
                            "a user, of at most %d visible ASCII characters: "
                            "percent-encode others",
                            JOB_URL_MAX);
    if (!callback->on_succeeded && !callback->on_dead)
        return error_set_at(err, "/callback/on",
                            "must name \"succeeded\", \"dead\" or both");
    return ST_OK;
}

static bool
ids_valid(struct str ids)
{
    if (ids.n > JOB_CHILDREN_MAX_BYTES)
        return false;
    while (ids.p) {
        struct job_id id;
        if (id_split(str_cut(ids, ',', &ids), &id, NULL) != ST_OK)
            return false;
    }
    return true;
}

static enum status
check_kin(const struct job_kin *kin, struct error *err)
{
    struct job_id id;

    if (kin->parents < 0 || kin->parents > JOB_PARENTS_MAX)
        return error_set_at(err, "/after", "a job waits for at most %d others",
                            JOB_PARENTS_MAX);
    if (kin->children.n > 0 && !ids_valid(kin->children))
        return error_set(err, ST_INVALID,
                         "the job's children are not a list of job ids of at "
                         "most %d bytes",
                         JOB_CHILDREN_MAX_BYTES);
    if (kin->flow.n > 0 && id_split(kin->flow, &id, NULL) != ST_OK)
        return error_set(err, ST_INVALID, "the job's flow is no id");
    return ST_OK;
}

enum status
job_options_check(const struct job_spec *spec, struct error *err)
{
    enum status st = check_unique(&spec->unique, err);

    if (st == ST_OK)
        st = check_limit(&spec->limit, err);
    if (st == ST_OK)
        st = check_callback(&spec->callback, err);
    if (st == ST_OK)
        st = check_kin(&spec->kin, err);
    return st;
}

/* ---- the record ---- */

static const char hold_letters[] = {'-', 'w', 'r', 'e'};

bool
job_options_used(const struct job_spec *spec)
{
    return spec->expires_at_ms > 0 || spec->unique.hold != UNIQUE_NEVER ||
           spec->limit.key.n > 0 || spec->callback.url.n > 0 ||
           spec->kin.parents > 0 || spec->kin.children.n > 0;
}

void
job_options_encode(const struct job_spec *spec, struct buf *dst)
{
    const struct job_unique *unique = &spec->unique;
    const struct job_limit *limit = &spec->limit;
    const struct job_callback *callback = &spec->callback;
    const struct job_kin *kin = &spec->kin;

    if (unique->hold != UNIQUE_NEVER)
        buf_addf(dst, " u%c,%" PRId64 ",%.*s", hold_letters[unique->hold],
                 unique->ttl_ms, STR_ARG(unique->key));
    if (limit->key.n > 0)
        buf_addf(dst, " l%d,%d,%" PRId64 ",%.*s", (int)limit->concurrency,
                 (int)limit->rate, limit->rate_period_ms, STR_ARG(limit->key));
    if (callback->url.n > 0)
        buf_addf(dst, " c%s%s,%.*s", callback->on_succeeded ? "S" : "",
                 callback->on_dead ? "D" : "", STR_ARG(callback->url));
    if (kin->parents > 0)
        buf_addf(dst, " n%d,%c", (int)kin->parents, kin->go_on ? 'g' : 's');
    if (kin->children.n > 0) {
        buf_add_c(dst, " o");
        buf_add_str(dst, kin->children);
    }
    if (kin->flow.n > 0)
        buf_addf(dst, " w%.*s", STR_ARG(kin->flow));
}

static bool
decode_unique(struct str value, struct job_unique *ret)
{
    struct str rest;
    struct str hold = str_cut(value, ',', &rest);

    ret->hold = UNIQUE_NEVER;
    for (int i = UNIQUE_WAITING; i <= UNIQUE_ENDED; i++)
        if (hold.n == 1 && hold.p[0] == hold_letters[i])
            ret->hold = (enum unique_while)i;
    return ret->hold != UNIQUE_NEVER &&
           str_to_i64(str_cut(rest, ',', &ret->key), &ret->ttl_ms) &&
           check_unique(ret, NULL) == ST_OK;
}

/* A number that fits, or false. */
static bool
cut_number(struct str *rest, int32_t *ret)
{
    int64_t n = 0;

    if (!str_to_i64(str_cut(*rest, ',', rest), &n) || n < 0 || n > INT32_MAX)
        return false;
    *ret = (int32_t)n;
    return true;
}

static bool
decode_limit(struct str value, struct job_limit *ret)
{
    if (!cut_number(&value, &ret->concurrency) ||
        !cut_number(&value, &ret->rate) ||
        !str_to_i64(str_cut(value, ',', &value), &ret->rate_period_ms))
        return false;
    ret->key = value;
    return value.n > 0 && check_limit(ret, NULL) == ST_OK;
}

static bool
decode_callback(struct str value, struct job_callback *ret)
{
    struct str letters = str_cut(value, ',', &ret->url);

    ret->on_succeeded = ret->on_dead = false;
    for (size_t i = 0; i < letters.n; i++)
        if (letters.p[i] == 'S')
            ret->on_succeeded = true;
        else if (letters.p[i] == 'D')
            ret->on_dead = true;
    return ret->url.n > 0 && check_callback(ret, NULL) == ST_OK;
}

static bool
decode_parents(struct str value, struct job_kin *ret)
{
    if (!cut_number(&value, &ret->parents) || ret->parents < 1 ||
        ret->parents > JOB_PARENTS_MAX)
        return false;
    ret->go_on = str_eq_c(value, "g");
    return ret->go_on || str_eq_c(value, "s");
}

bool
job_options_decode(char letter, struct str value, struct job_spec *spec,
                   bool *ret_known)
{
    *ret_known = true;
    switch (letter) {
    case 'u':
        return decode_unique(value, &spec->unique);
    case 'l':
        return decode_limit(value, &spec->limit);
    case 'c':
        return decode_callback(value, &spec->callback);
    case 'n':
        return decode_parents(value, &spec->kin);
    case 'o':
        spec->kin.children = value;
        return value.n > 0 && ids_valid(value);
    case 'w':
        spec->kin.flow = value;
        return value.n > 0;
    default:
        *ret_known = false;
        return true;
    }
}

/* ---- words ---- */

bool
job_rate_parse(struct str text, int32_t *ret_rate, int64_t *ret_period_ms)
{
    struct str period;
    int64_t n = 0, ms = 0;
    struct str count = str_cut(text, '/', &period);

    if (!period.p || !str_to_i64(count, &n) || n < 1 || n > JOB_RATE_MAX)
        return false;
    if (str_eq_c(period, "s"))
        ms = 1000;
    else if (str_eq_c(period, "m"))
        ms = 60 * 1000;
    else if (str_eq_c(period, "h"))
        ms = 60 * 60 * 1000;
    else if (str_eq_c(period, "d"))
        ms = JOB_RATE_PERIOD_MAX_MS;
    else if (!str_to_duration_ms(period, &ms))
        return false;
    if (ms < 1 || ms > JOB_RATE_PERIOD_MAX_MS)
        return false;
    *ret_rate = (int32_t)n;
    *ret_period_ms = ms;
    return true;
}

bool
job_unique_while(struct str word, enum unique_while *ret)
{
    static const char *const words[] = {
        [UNIQUE_WAITING] = "waiting",
        [UNIQUE_RUNNING] = "running",
        [UNIQUE_ENDED] = "ended",
    };

    for (int i = UNIQUE_WAITING; i <= UNIQUE_ENDED; i++)
        if (str_eq_c(word, words[i])) {
            *ret = (enum unique_while)i;
            return true;
        }
    return false;
}

bool
job_unique_conflict(struct str word, enum unique_conflict *ret)
{
    static const char *const words[] = {
        [UNIQUE_REJECT] = "reject",
        [UNIQUE_RETURN] = "return",
        [UNIQUE_REPLACE] = "replace",
    };

    for (int i = UNIQUE_REJECT; i <= UNIQUE_REPLACE; i++)
        if (str_eq_c(word, words[i])) {
            *ret = (enum unique_conflict)i;
            return true;
        }
    return false;
}

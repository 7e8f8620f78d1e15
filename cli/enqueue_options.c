/* Enqueue options: told in the words of the options, so that nobody has to know
 * the fields of an envelope. */
#include "enqueue_options.h"

#include <stdlib.h>

#include "text.h"

static enum status
read_duration(const char *option, const char *text, int64_t *ret_ms,
              struct error *err)
{
    if (!text || str_to_duration_ms(str_c(text), ret_ms))
        return ST_OK;
    return error_set(err, ST_INVALID,
                     "--%s: \"%.60s\" is no duration such as 30s or 2h", option,
                     text);
}

static enum status
read_backoff(const char *text, struct job_spec *spec, struct error *err)
{
    if (!text || backoff_parse(str_c(text), &spec->backoff.kind))
        return ST_OK;
    return error_set(err, ST_INVALID, "--backoff takes fixed or exponential");
}

static enum status
read_jitter(const char *text, struct job_spec *spec, struct error *err)
{
    char *end;

    if (!text)
        return ST_OK;
    spec->backoff.jitter = strtod(text, &end);
    if (end == text || *end ||
        !(spec->backoff.jitter >= 0 && spec->backoff.jitter <= 1))
        return error_set(err, ST_INVALID, "--backoff-jitter takes 0 to 1");
    return ST_OK;
}

/* What is said here is open to the queue no more. */
static enum status
fill_retry(const struct enqueue_options *options, struct job_spec *spec,
           struct error *err)
{
    if (options->retries >= 0)
        spec->retries = (int32_t)options->retries;
    enum status st = read_backoff(options->backoff, spec, err);
    if (st == ST_OK)
        st = read_duration("backoff-base", options->backoff_base,
                           &spec->backoff.base_ms, err);
    if (st == ST_OK)
        st = read_duration("backoff-cap", options->backoff_cap,
                           &spec->backoff.cap_ms, err);
    if (st == ST_OK)
        st = read_jitter(options->backoff_jitter, spec, err);
    unsigned said = (options->retries >= 0 ? JOB_RETRY_MAX : 0) |
                    (options->backoff ? JOB_RETRY_BACKOFF : 0) |
                    (options->backoff_base ? JOB_RETRY_BASE : 0) |
                    (options->backoff_cap ? JOB_RETRY_CAP : 0) |
                    (options->backoff_jitter ? JOB_RETRY_JITTER : 0);
    spec->retry_open &= ~said;
    return st;
}

static enum status
fill_callback(const struct enqueue_options *options, struct job_spec *spec,
              struct error *err)
{
    struct str rest = str_c(options->callback_on);
    struct job_callback callback = {.on_dead = false};

    while (rest.n > 0) {
        struct str word = str_trim(str_cut(rest, ',', &rest));
        if (str_eq_c(word, "succeeded"))
            callback.on_succeeded = true;
        else if (str_eq_c(word, "dead"))
            callback.on_dead = true;
        else
            return error_set(err, ST_INVALID,
                             "--callback-on takes succeeded, dead, or both "
                             "with a comma");
    }
    if (!options->callback)
        return ST_OK;
    callback.url = str_c(options->callback);
    spec->callback = callback;
    return ST_OK;
}

/* What ties it to a time and to other jobs. */
static enum status
fill_ties(const struct enqueue_options *options, struct job_spec *spec,
          struct error *err)
{
    enum status st =
        text_read_time("run-at", options->run_at, &spec->run_at_ms, err);

    if (st == ST_OK)
        st = text_read_time("expires-at", options->expires_at,
                            &spec->expires_at_ms, err);
    if (st != ST_OK)
        return st;
    if (options->unique) {
        spec->unique.key = str_c(options->unique);
        spec->unique.ttl_ms = options->unique_ttl_ms;
        if (!job_unique_while(str_c(options->unique_while), &spec->unique.hold))
            return error_set(err, ST_INVALID,
                             "--unique-while takes waiting, running or ended");
        if (!job_unique_conflict(str_c(options->on_conflict),
                                 &spec->unique.on_conflict))
            return error_set(err, ST_INVALID,
                             "--on-conflict takes reject, return or replace");
        if (spec->unique.hold == UNIQUE_ENDED && spec->unique.ttl_ms == 0)
            spec->unique.ttl_ms = spec->keep_ms;
    }
    if (options->limit) {
        spec->limit.key = str_c(options->limit);
        spec->limit.concurrency = (int32_t)options->concurrency;
    } else if (options->concurrency > 0 || options->rate)
        return error_set(err, ST_INVALID,
                         "--concurrency and --rate count the jobs of a key: "
                         "name it with --limit");
    if (options->rate &&
        !job_rate_parse(str_c(options->rate), &spec->limit.rate,
                        &spec->limit.rate_period_ms))
        return error_set(err, ST_INVALID,
                         "--rate takes 100/s, 5/m or 10/30s, not \"%.60s\"",
                         options->rate);
    return fill_callback(options, spec, err);
}

enum status
enqueue_options_apply(const struct enqueue_options *options,
                      struct job_spec *spec, struct error *err)
{
    if (options->queue)
        spec->queue = str_c(options->queue);
    if (options->priority >= 0)
        spec->priority = (int)options->priority;
    spec->delay_ms = options->delay_ms;
    if (options->time_ms > 0)
        spec->timeout_ms = options->time_ms;
    if (options->tags)
        spec->tags = str_c(options->tags);
    enum status st = read_duration("keep", options->keep, &spec->keep_ms, err);
    if (st == ST_OK)
        st = fill_retry(options, spec, err);
    return st == ST_OK ? fill_ties(options, spec, err) : st;
}

/* The job model's texts.
 *
 * A record is one header line and the args as they came:
 *
 *   1<priority><flag> <created ms> <task>[ <letter><value>]...\n<args>
 *
 * Only what differs from the standard values is written, so that a plain job
 * costs 25 bytes beside its task and args. flag is '+' when the scripts must
 * look at an option (job_options_used()), '-' otherwise. The state is
 * described in scripts/work.lua, which writes it. docs/protocol.md has both
 * grammars. */
#include "queue/job/job.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"

static const struct backoff standard_backoff = {
    .kind = BACKOFF_EXPONENTIAL,
    .base_ms = 2000,
    .cap_ms = 3600000,
    .jitter = 0.2,
};

void
job_spec_init(struct job_spec *spec)
{
    *spec = (struct job_spec){
        .priority = JOB_PRIORITY_STANDARD,
        .timeout_ms = JOB_TIMEOUT_STANDARD_MS,
        .keep_ms = JOB_KEEP_STANDARD_MS,
        .retries = JOB_RETRIES_STANDARD,
        .backoff = standard_backoff,
    };
}

static bool
tags_valid(struct str tags)
{
    int n = 0;

    while (tags.n > 0) {
        struct str tag = str_cut(tags, ',', &tags);
        if (!id_task_valid(tag) || ++n > JOB_TAGS_MAX)
            return false;
    }
    return true;
}

/* The same characters as a task's name. */
static bool
request_id_valid(struct str id)
{
    _Static_assert((int)JOB_REQUEST_ID_MAX == (int)ID_TASK_MAX,
                   "id_task_valid() bounds it");
    return id_task_valid(id);
}

static bool
within(int64_t value, int64_t least, int64_t most)
{
    return value >= least && value <= most;
}

enum status
job_spec_check(const struct job_spec *spec, struct error *err)
{
    if (!id_task_valid(spec->task))
        return error_set_at(err, "/task",
                            "must be 1 to 64 of A-Z a-z 0-9 _ . : -");
    if (!id_queue_valid(spec->queue))
        return error_set_at(err, "/queue",
                            "must be 1 to 64 of A-Z a-z 0-9 _ . : -");
    if (spec->local.n > 0 && !id_local_valid(spec->local))
        return error_set_at(err, "/id", "must be 1 to 64 of A-Z a-z 0-9 _ : -");
    if (spec->args.n > JOB_ARGS_MAX)
        return error_set_at(err, "/args", "has %zu bytes, at most %d are taken",
                            spec->args.n, JOB_ARGS_MAX);
    if (!within(spec->priority, 0, JOB_PRIORITY_MAX))
        return error_set_at(err, "/priority", "must be 0 to 9 (9 runs first)");
    if (!within(spec->delay_ms, 0, JOB_DELAY_MAX_MS))
        return error_set_at(err, "/delay", "must be 0 to 10 years");
    if (!within(spec->run_at_ms, 0, CLOCK_LAST_MS))
        return error_set_at(err, "/run_at", "must be a time up to year 9999");
    if (spec->run_at_ms > 0 && spec->delay_ms > 0)
        return error_set_at(err, "/delay", "give either delay or run_at");
    if (!within(spec->expires_at_ms, 0, CLOCK_LAST_MS))
        return error_set_at(err, "/expires_at",
                            "must be a time up to year 9999");
    if (!within(spec->timeout_ms, 1, JOB_TIMEOUT_MAX_MS))
        return error_set_at(err, "/timeout", "must be 1 ms to 7 days");
    if (!within(spec->keep_ms, 0, JOB_KEEP_MAX_MS))
        return error_set_at(err, "/keep", "must be 0 to 365 days");
    if (!within(spec->retries, 0, JOB_RETRIES_MAX))
        return error_set_at(err, "/retry/max", "must be 0 to 1000");
    if (backoff_validate(&spec->backoff, NULL) != ST_OK ||
        spec->backoff.cap_ms > JOB_DELAY_MAX_MS)
        return error_set_at(err, "/retry",
                            "base must be above 0, cap not below base and at "
                            "most 10 years, jitter within 0..1");
    if (!tags_valid(spec->tags))
        return error_set_at(err, "/tags",
                            "at most 16, each 1 to 64 of A-Z a-z 0-9 _ . : -");
    if (spec->origin.traceparent.n > 0 && spec->origin.traceparent.n != 55)
        return error_set_at(err, "/traceparent",
                            "must be a W3C traceparent of 55 characters");
    if (spec->origin.request_id.n > 0 &&
        !request_id_valid(spec->origin.request_id))
        return error_set_at(err, "/request_id",
                            "must be 1 to 64 of A-Z a-z 0-9 _ . : -");
    return job_options_check(spec, err);
}

static bool
same_backoff(const struct backoff *a, const struct backoff *b)
{
    return a->kind == b->kind && a->base_ms == b->base_ms &&
           a->cap_ms == b->cap_ms &&
           (int)(a->jitter * 100 + 0.5) == (int)(b->jitter * 100 + 0.5);
}

/* A space, the letter unless it is NUL, the number. */
static void
add_number(struct buf *dst, char letter, int64_t value)
{
    char text[24], *p = text + sizeof text;

    assert(value >= 0);
    do {
        *--p = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (letter)
        *--p = letter;
    buf_add_char(dst, ' ');
    buf_add(dst, p, (size_t)(text + sizeof text - p));
}

/* Only of a schedule's record: a job's has what its queue filled in. */
static const char open_letters[] = "mkbcj"; /* as enum job_retry has them */

static void
encode_open(unsigned open, struct buf *dst)
{
    buf_add_c(dst, " q");
    for (int i = 0; open_letters[i]; i++)
        if (open & (1U << i))
            buf_add_char(dst, open_letters[i]);
}

static bool
decode_open(struct str value, unsigned *ret)
{
    unsigned open = 0;

    for (size_t i = 0; i < value.n; i++) {
        const char *at = strchr(open_letters, value.p[i]);
        if (!at || value.p[i] == '\0')
            return false;
        open |= 1U << (at - open_letters);
    }
    *ret = open;
    return true;
}

static void
encode_options(const struct job_spec *spec, struct buf *dst)
{
    if (spec->delay_ms > 0)
        add_number(dst, 'd', spec->delay_ms);
    if (spec->run_at_ms > 0)
        add_number(dst, 'a', spec->run_at_ms);
    if (spec->expires_at_ms > 0)
        add_number(dst, 'e', spec->expires_at_ms);
    if (spec->timeout_ms != JOB_TIMEOUT_STANDARD_MS)
        add_number(dst, 't', spec->timeout_ms);
    if (spec->keep_ms != JOB_KEEP_STANDARD_MS)
        add_number(dst, 'k', spec->keep_ms);
    if (spec->retries != JOB_RETRIES_STANDARD)
        add_number(dst, 'r', spec->retries);
    if (!same_backoff(&spec->backoff, &standard_backoff))
        buf_addf(dst, " b%c,%" PRId64 ",%" PRId64 ",%d",
                 spec->backoff.kind == BACKOFF_FIXED ? 'f' : 'e',
                 spec->backoff.base_ms, spec->backoff.cap_ms,
                 (int)(spec->backoff.jitter * 100 + 0.5));
    if (spec->retry_open)
        encode_open(spec->retry_open, dst);
    if (spec->tags.n > 0) {
        buf_add_c(dst, " g");
        buf_add_str(dst, spec->tags);
    }
    if (spec->origin.traceparent.n > 0) {
        buf_add_c(dst, " p");
        buf_add_str(dst, spec->origin.traceparent);
    }
    if (spec->origin.request_id.n > 0) {
        buf_add_c(dst, " i");
        buf_add_str(dst, spec->origin.request_id);
    }
    job_options_encode(spec, dst);
}

void
job_encode(const struct job_spec *spec, int64_t created_ms, struct buf *dst)
{
    buf_add_char(dst, '1');
    buf_add_char(dst, (char)('0' + spec->priority));
    buf_add_char(dst, job_options_used(spec) ? '+' : '-');
    add_number(dst, '\0', created_ms);
    buf_add_char(dst, ' ');
    buf_add_str(dst, spec->task);
    encode_options(spec, dst);
    buf_add_char(dst, '\n');
    if (spec->args.n > 0)
        buf_add_str(dst, spec->args);
    else
        buf_add_c(dst, "null");
}

static bool
decode_backoff(struct str value, struct backoff *ret)
{
    struct backoff found = {0};
    int64_t jitter;
    struct str rest;
    struct str kind = str_cut(value, ',', &rest);

    if (str_eq_c(kind, "f"))
        found.kind = BACKOFF_FIXED;
    else if (str_eq_c(kind, "e"))
        found.kind = BACKOFF_EXPONENTIAL;
    else
        return false;
    if (!str_to_i64(str_cut(rest, ',', &rest), &found.base_ms) ||
        !str_to_i64(str_cut(rest, ',', &rest), &found.cap_ms) ||
        !str_to_i64(rest, &jitter) || jitter > 100)
        return false;
    found.jitter = (double)jitter / 100;
    if (backoff_validate(&found, NULL) != ST_OK)
        return false;
    *ret = found;
    return true;
}

static bool
decode_option(struct str word, struct job_spec *spec)
{
    struct str value = str_skip(word, 1);
    int64_t retries;
    bool known;

    switch (word.n > 0 ? word.p[0] : '\0') {
    case 'd':
        return str_to_i64(value, &spec->delay_ms);
    case 'a':
        return str_to_i64(value, &spec->run_at_ms);
    case 'e':
        return str_to_i64(value, &spec->expires_at_ms);
    case 't':
        return str_to_i64(value, &spec->timeout_ms);
    case 'k':
        return str_to_i64(value, &spec->keep_ms);
    case 'r':
        if (!str_to_i64(value, &retries) || retries > JOB_RETRIES_MAX)
            return false;
        spec->retries = (int32_t)retries;
        return true;
    case 'b':
        return decode_backoff(value, &spec->backoff);
    case 'q':
        return decode_open(value, &spec->retry_open);
    case 'g':
        spec->tags = value;
        return tags_valid(value);
    case 'p':
        spec->origin.traceparent = value;
        return value.n == 55;
    case 'i':
        spec->origin.request_id = value;
        return request_id_valid(value);
    default:
        /* A newer version's option: what is not understood is not needed to
         * run the job, or that version would have raised the record's own. */
        return word.n > 0 && job_options_decode(word.p[0], value, spec, &known);
    }
}

enum status
job_decode(struct str record, struct job_spec *ret, int64_t *ret_created_ms,
           struct error *err)
{
    struct job_spec spec;
    struct str rest, args;
    struct str head = str_cut(record, '\n', &args);
    int64_t created;

    job_spec_init(&spec);
    if (head.n < 5 || head.p[0] != '1' || head.p[1] < '0' || head.p[1] > '9' ||
        head.p[3] != ' ')
        return error_set(err, ST_INVALID, "not a job record of version 1");
    spec.priority = head.p[1] - '0';
    struct str time = str_cut(str_skip(head, 4), ' ', &rest);
    spec.task = str_cut(rest, ' ', &rest);
    if (!str_to_i64(time, &created) || !id_task_valid(spec.task) ||
        args.p == NULL)
        return error_set(err, ST_INVALID, "the job record's header is damaged");
    while (rest.n > 0) {
        struct str word = str_cut(rest, ' ', &rest);
        if (!decode_option(word, &spec))
            return error_set(err, ST_INVALID,
                             "the job record's option '%.*s' is damaged",
                             word.n > 40 ? 40 : (int)word.n, word.p);
    }
    if (!within(spec.timeout_ms, 1, JOB_TIMEOUT_MAX_MS) ||
        spec.keep_ms > JOB_KEEP_MAX_MS)
        return error_set(err, ST_INVALID, "the job record is out of range");
    spec.args = args;
    *ret = spec;
    *ret_created_ms = created;
    return ST_OK;
}

/* The next word of a header that says what the job is; empty at its end. */
static struct str
next_word(struct str *head)
{
    while (head->n > 0) {
        struct str word = str_cut(*head, ' ', head);
        if (word.n == 0 || (word.p[0] != 'p' && word.p[0] != 'i'))
            return word;
    }
    return STR_NULL;
}

bool
job_same(struct str record, struct str other)
{
    struct str args, args_other, rest, rest_other;

    if (record.n < 4 || other.n < 4 || memcmp(record.p, other.p, 4) != 0)
        return false;
    str_cut(str_cut(str_skip(record, 4), '\n', &args), ' ', &rest);
    str_cut(str_cut(str_skip(other, 4), '\n', &args_other), ' ', &rest_other);
    if (!str_eq(args, args_other) ||
        !str_eq(str_cut(rest, ' ', &rest),
                str_cut(rest_other, ' ', &rest_other)))
        return false;
    for (;;) {
        struct str word = next_word(&rest), word_other = next_word(&rest_other);
        if (!str_eq(word, word_other))
            return false;
        if (word.n == 0)
            return true;
    }
}

static const char *const state_names[JOB_STATES] = {
    [JOB_SCHEDULED] = "scheduled", [JOB_READY] = "ready",
    [JOB_RUNNING] = "running",     [JOB_RETRYING] = "retrying",
    [JOB_BLOCKED] = "blocked",     [JOB_SUCCEEDED] = "succeeded",
    [JOB_DEAD] = "dead",           [JOB_CANCELLED] = "cancelled",
    [JOB_EXPIRED] = "expired",     [JOB_QUARANTINED] = "quarantined",
};

const char *
job_state_name(enum job_state state)
{
    assert((unsigned)state < JOB_STATES);
    return state_names[state];
}

bool
job_state_ended(enum job_state state)
{
    return state >= JOB_SUCCEEDED;
}

const char *
job_outcome_name(int outcome)
{
    switch (outcome) {
    case OUTCOME_SUCCEEDED:
        return "succeeded";
    case OUTCOME_FAILED:
        return "failed";
    case OUTCOME_TIMEOUT:
        return "timeout";
    case OUTCOME_CRASHED:
        return "crashed";
    case OUTCOME_LOST:
        return "lost";
    case OUTCOME_RELEASED:
        return "released";
    case OUTCOME_CANCELLED:
        return "cancelled";
    case OUTCOME_EXPIRED:
        return "expired";
    default:
        return "unknown";
    }
}

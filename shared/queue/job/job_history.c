/* Reads the state text that scripts/work.lua writes:
 *
 *   code token attempt retries crashes lost worker started[ ended]\n
 *   number outcome started ended worker message\n ...
 *
 * A success adds no line of its own, to keep the hot path short: it is made up
 * here from the first line. */
#include "queue/job/job.h"

static bool
take_int(struct str *rest, int *ret)
{
    int64_t value;

    if (!str_to_i64(str_cut(*rest, ' ', rest), &value) || value > 1000000000)
        return false;
    *ret = (int)value;
    return true;
}

/* Scripts write - where no worker had it. */
static struct str
take_worker(struct str *rest)
{
    struct str name = str_cut(*rest, ' ', rest);

    return str_eq_c(name, "-") ? STR_NULL : name;
}

static bool
decode_first(struct str line, struct job_history *ret)
{
    struct str rest = str_skip(line, 2);

    if (line.n < 3 || line.p[1] != ' ')
        return false;
    ret->code = (unsigned char)line.p[0];
    ret->token = str_cut(rest, ' ', &rest);
    if (!take_int(&rest, &ret->attempt) || !take_int(&rest, &ret->retries) ||
        !take_int(&rest, &ret->crashes) || !take_int(&rest, &ret->lost))
        return false;
    ret->worker = take_worker(&rest);
    if (!str_to_i64(str_cut(rest, ' ', &rest), &ret->started_ms))
        return false;
    return rest.n == 0 || str_to_i64(rest, &ret->ended_ms);
}

static bool
decode_attempt(struct str line, struct job_attempt *ret)
{
    struct str rest = line;

    if (!take_int(&rest, &ret->number))
        return false;
    struct str outcome = str_cut(rest, ' ', &rest);
    if (outcome.n != 1 ||
        !str_to_i64(str_cut(rest, ' ', &rest), &ret->started_ms) ||
        !str_to_i64(str_cut(rest, ' ', &rest), &ret->ended_ms))
        return false;
    ret->outcome = (unsigned char)outcome.p[0];
    ret->worker = take_worker(&rest);
    ret->message = rest;
    return true;
}

enum status
job_history_decode(struct str text, struct job_history *ret, struct error *err)
{
    struct job_history found = {0};
    struct str rest;

    if (text.n > 0) {
        if (!decode_first(str_cut(text, '\n', &rest), &found))
            return error_set(err, ST_INVALID, "the job's state is damaged");
        while (rest.n > 0 && found.attempts_len < JOB_ATTEMPTS_KEPT) {
            struct job_attempt *attempt = &found.attempts[found.attempts_len];
            if (!decode_attempt(str_cut(rest, '\n', &rest), attempt))
                return error_set(err, ST_INVALID,
                                 "the job's history is damaged");
            found.attempts_len++;
        }
        if (found.code == 'S' && found.attempts_len < JOB_ATTEMPTS_KEPT)
            found.attempts[found.attempts_len++] = (struct job_attempt){
                .number = found.attempt,
                .outcome = OUTCOME_SUCCEEDED,
                .started_ms = found.started_ms,
                .ended_ms = found.ended_ms,
                .worker = found.worker,
            };
    }
    *ret = found;
    return ST_OK;
}

enum job_state
job_history_state(int code, int64_t due_ms, bool blocked)
{
    if (blocked)
        return JOB_BLOCKED;
    switch (code) {
    case 'R':
    case 'r': /* whoever ends it must look at its options */
        return JOB_RUNNING;
    case 'W':
        return due_ms > 0 ? JOB_RETRYING : JOB_READY;
    case 'S':
        return JOB_SUCCEEDED;
    case 'D':
        return JOB_DEAD;
    case 'C':
        return JOB_CANCELLED;
    case 'X':
        return JOB_EXPIRED;
    case 'Q':
        return JOB_QUARANTINED;
    default:
        return due_ms > 0 ? JOB_SCHEDULED : JOB_READY;
    }
}

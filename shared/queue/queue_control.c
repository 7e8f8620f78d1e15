/* Control: scripts/control.lua decides, this file asks and understands. */
#include "queue/queue_control.h"

#include <assert.h>
#include <stdio.h>

#include "queue/script_call.h"

/* Twenty attempts with the longest messages, escaped. */
enum { STATE_MAX = 20 * (6 * JOB_ERROR_MAX + 256) };

static const char *const verbs[] = {"cancel",  "retry", "promote",
                                    "release", "edit",  "delete"};
_Static_assert(ARRAY_LEN(verbs) == CONTROL_VERBS, "a word for each verb");

const char *
queue_control_verb_name(enum control_verb verb)
{
    assert((unsigned)verb < CONTROL_VERBS);
    return verbs[verb];
}

void
queue_control_seen(const struct job_view *view, struct control_seen *ret)
{
    enum { STATE = 1, PROGRESS = 3, DUE = 4 }; /* as get.lua answers */
    const redisReply *reply = view->call.reply;

    assert(reply && reply->type == REDIS_REPLY_ARRAY && reply->elements > DUE);
    *ret = (struct control_seen){
        .priority = view->spec.priority,
        .state = script_call_text(reply->element[STATE]),
        .due = script_call_text(reply->element[DUE]),
        .progress = script_call_text(reply->element[PROGRESS]),
    };
}

/* @state is the caller's storage for one of the words. */
static void
add_seen(struct script_call *words, const struct control_seen *seen,
         struct buf *state)
{
    script_call_add(words, seen ? STR("1") : STR("0"));
    if (seen) {
        buf_addf(state, "%d", seen->priority);
        buf_add_str(state, seen->state);
    }
    script_call_add(words, buf_str(state));
    script_call_add(words, seen ? seen->due : STR_NULL);
    script_call_add(words, seen ? seen->progress : STR_NULL);
}

/* A message of the history is a JSON string, and one line. */
static void
add_reason(struct buf *text, struct str reason)
{
    if (reason.n > JOB_ERROR_MAX)
        reason.n = JOB_ERROR_MAX;
    buf_add_json_string(text, reason.n > 0 ? reason : STR("cancelled"));
}

void
queue_control_send(struct queues *queues, struct control *control,
                   void (*on_settled)(struct op *), void *arg)
{
    static const enum key which[] = {KEY_JOBS};
    struct script_call words;
    struct buf reason, state;
    char priority[2] = "";

    buf_init(&reason, (size_t)6 * JOB_ERROR_MAX + 16);
    buf_init(&state, STATE_MAX);
    script_call_init(&words, queues, control->id.queue, which,
                     ARRAY_LEN(which));
    script_call_add(&words, str_c(queue_control_verb_name(control->verb)));
    script_call_add(&words, control->id.local);
    add_seen(&words, control->seen, &state);
    if (control->verb == CONTROL_CANCEL) {
        assert(control->grace_ms >= 0 &&
               control->grace_ms <= CONTROL_GRACE_MAX_MS);
        add_reason(&reason, control->reason);
        script_call_add_number(&words, control->grace_ms);
        script_call_add(&words, buf_str(&reason));
    } else if (control->verb == CONTROL_EDIT) {
        if (control->run_at_ms >= 0)
            script_call_add_number(&words, control->run_at_ms);
        else
            script_call_add(&words, STR_NULL);
        if (control->priority >= 0)
            priority[0] = (char)('0' + control->priority);
        script_call_add(&words, str_c(priority));
    }
    script_call_send(&words, queues, &script_control, &control->call,
                     on_settled, arg);
    buf_clear(&reason);
    buf_clear(&state);
}

static bool
state_of(struct str code, enum job_state *ret)
{
    static const struct {
        const char *code;
        enum job_state state;
    } states[] = {
        {"R", JOB_RUNNING},     {"N", JOB_READY},     {"N+", JOB_SCHEDULED},
        {"W", JOB_READY},       {"W+", JOB_RETRYING}, {"B", JOB_BLOCKED},
        {"S", JOB_SUCCEEDED},   {"C", JOB_CANCELLED}, {"X", JOB_EXPIRED},
        {"Q", JOB_QUARANTINED}, {"D", JOB_DEAD},
    };

    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (str_eq_c(code, states[i].code)) {
            *ret = states[i].state;
            return true;
        }
    return false;
}

static bool
read_outcome(struct control *control, struct str word, struct str about)
{
    static const struct {
        const char *word;
        enum control_outcome outcome;
    } outcomes[] = {
        {"done", CONTROL_DONE},       {"same", CONTROL_SAME},
        {"asked", CONTROL_ASKED},     {"state", CONTROL_REFUSED},
        {"changed", CONTROL_CHANGED}, {"held", CONTROL_HELD},
        {"expired", CONTROL_EXPIRED},
    };

    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
        if (!str_eq_c(word, outcomes[i].word))
            continue;
        control->outcome = outcomes[i].outcome;
        if (control->outcome != CONTROL_HELD)
            return state_of(about, &control->state);
        str_copy_to(about, control->holder, sizeof control->holder);
        return true;
    }
    return false;
}

enum status
queue_control_result(struct control *control, struct error *err)
{
    const redisReply *reply = control->call.reply;
    enum status st = control->call.op.status;

    if (st != ST_OK) {
        if (err)
            *err = control->call.err;
        return st;
    }
    st = script_call_found(reply, control->id, err);
    if (st != ST_OK)
        return st;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !read_outcome(control, script_call_text(reply->element[0]),
                      script_call_text(reply->element[1])))
        return error_set(err, ST_BUG, "control: a reply of another shape");
    return ST_OK;
}

enum status
queue_control_verdict(const struct control *control, struct error *err)
{
    static const char *const needs[] = {
        [CONTROL_CANCEL] = "only one that waits, runs or is quarantined can be "
                           "cancelled",
        [CONTROL_RETRY] = "only one that is dead, cancelled, expired or "
                          "retrying can be retried (release a quarantined one)",
        [CONTROL_PROMOTE] = "only one that is scheduled or retrying can be "
                            "promoted",
        [CONTROL_RELEASE] = "only one that is quarantined can be released",
        [CONTROL_EDIT] = "only one that waits can be changed (a blocked one in "
                         "its priority alone)",
        [CONTROL_DELETE] = "one that runs cannot be deleted: cancel it first",
    };

    switch (control->outcome) {
    case CONTROL_DONE:
    case CONTROL_SAME:
    case CONTROL_ASKED:
        return ST_OK;
    case CONTROL_CHANGED:
        return error_set(err, ST_CONFLICT,
                         "the job is not any more as it was seen: look at it "
                         "again");
    case CONTROL_HELD:
        return error_set(err, ST_CONFLICT,
                         "its unique key belongs to the job %.*s.%s now",
                         STR_ARG(control->id.queue), control->holder);
    case CONTROL_EXPIRED:
        return error_set(err, ST_CONFLICT,
                         "its expires_at has passed, so it would expire again "
                         "at once: enqueue it anew");
    case CONTROL_REFUSED:
        break;
    }
    return error_set(err, ST_CONFLICT, "the job is %s: %s",
                     job_state_name(control->state), needs[control->verb]);
}

enum status
queue_control_await(struct co *co, struct queues *queues,
                    struct control *control, struct error *err)
{
    queue_control_send(queues, control, NULL, NULL);
    enum status st = co_await(co, &control->call.op);
    if (st == ST_OK)
        st = queue_control_result(control, err);
    else if (err)
        *err = control->call.err;
    rds_call_clear(&control->call);
    return st;
}

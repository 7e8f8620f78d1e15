/* Finish: what an attempt came to, by the rules of docs/protocol.md, and the
 * way of each end to Redis.
 *
 * An end is kept until Redis has answered. A call that certainly did not happen
 * puts its ends back in front; one that may have happened too, marked, since a
 * second try is then refused without that being news. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "state.h"

static void
end(struct held *held, enum outcome outcome)
{
    struct source *source = held->source;

    list_remove(&held->link);
    if (held->lost) {
        dispatcher_drop(source->d, held);
        return;
    }
    held->place = HELD_FINISH;
    held->outcome = outcome;
    list_append(&source->finishes, &held->link);
    source->finishes_len++;
}

/* Retries are counted without crashes; the delay of the next one, or -1. */
static int64_t
retry_delay_ms(const struct held *held)
{
    if (held->retries >= held->retries_max)
        return -1;
    return backoff_delay_ms(&held->backoff, (uint32_t)held->retries,
                            random_double());
}

enum { TITLE_SIZE = ID_JOB_MAX + ID_TASK_MAX + JOB_REQUEST_ID_MAX + 32 };

/* How the log calls it: "mail.01J9 (mail.send)", and of which request it is. */
static const char *
title_of(const struct held *held, char dst[TITLE_SIZE])
{
    snprintf(dst, TITLE_SIZE, "%.*s (%.*s)%s%.*s", STR_ARG(held->id),
             STR_ARG(held->task), held->request_id.n ? " of request " : "",
             STR_ARG(held->request_id));
    return dst;
}

static void
say_failed(const struct held *held, const char *what)
{
    const char *then = held->delay_ms < 0 ? "dead" : "tried again";
    char title[TITLE_SIZE];

    log_info("%s attempt %d %s; %s: %.*s", title_of(held, title), held->attempt,
             what, then, STR_ARG(buf_str(&held->message)));
}

static void
timed_out(struct held *held, struct str said)
{
    char text[ERROR_MSG_SIZE];

    snprintf(text, sizeof text, "timeout after %lld ms%s%.*s",
             (long long)held->timeout_ms, said.n ? "; it said: " : "",
             said.n > 160 ? 160 : (int)said.n, said.p);
    held_say(held, str_c(text));
    held->delay_ms = retry_delay_ms(held);
    say_failed(held, "timed out");
    end(held, OUTCOME_TIMEOUT);
}

/* A task that was told to stop need not say why it did. */
static struct str
said_or_stopped(struct str said)
{
    return said.n > 0 ? said : STR("the task stopped when it was told to");
}

static void
cancelled_by_request(struct held *held, struct str said)
{
    char title[TITLE_SIZE];

    held_say(held, said_or_stopped(said));
    log_info("%s attempt %d was cancelled", title_of(held, title),
             held->attempt);
    end(held, OUTCOME_CANCELLED);
}

void
finish_returned(struct held *held, const struct ring_result *result,
                enum ring_cancel cancelled)
{
    if (result->status == ST_OK) {
        buf_add_str(&held->result, result->result);
        if (held->result.failed)
            log_fatal("out of memory: a result of %zu bytes", result->result.n);
        end(held, OUTCOME_SUCCEEDED);
    } else if (cancelled == RING_CANCEL_TIMEOUT)
        timed_out(held, result->message);
    else if (cancelled == RING_CANCEL_STOP)
        end(held, OUTCOME_RELEASED);
    else if (cancelled == RING_CANCEL_ASKED)
        cancelled_by_request(held, result->message);
    else {
        held_say(held, said_or_stopped(result->message));
        held->delay_ms =
            result->status == ST_PERMANENT ? -1 : retry_delay_ms(held);
        if (held->delay_ms >= 0 && held->delay_ms < result->retry_ms)
            held->delay_ms = result->retry_ms;
        if (!held->lost)
            say_failed(held, "failed");
        end(held, OUTCOME_FAILED);
    }
}

void
finish_crashed(struct held *held, const char *cause)
{
    char title[TITLE_SIZE];

    log_warn("%s attempt %d crashed its slot: %s", title_of(held, title),
             held->attempt, cause);
    held_say(held, str_c(cause));
    end(held, OUTCOME_CRASHED);
}

void
finish_killed(struct held *held, enum ring_cancel reason)
{
    if (reason == RING_CANCEL_TIMEOUT)
        timed_out(held, STR("nothing, and was killed"));
    else if (reason == RING_CANCEL_ASKED)
        cancelled_by_request(held, STR("it did not stop, and was killed"));
    else
        end(held, OUTCOME_RELEASED); /* or lost, and dropped */
}

void
finish_released(struct held *held)
{
    end(held, OUTCOME_RELEASED);
}

void
finish_cancelled(struct held *held)
{
    cancelled_by_request(held, STR("cancelled before it had begun"));
}

void
finish_refused(struct held *held, const char *why)
{
    log_error("%.*s cannot be run: %s", STR_ARG(held->id), why);
    held_say(held, str_c(why));
    held->delay_ms = -1;
    end(held, OUTCOME_FAILED);
}

/* --- to Redis ---------------------------------------------------------------
 */

size_t
finish_take(struct source *source, struct exchange *exchange,
            struct finish *ret)
{
    size_t n = 0;

    while (n < QUEUE_FINISH_MAX) {
        struct list *link = list_shift(&source->finishes);
        if (!link)
            break;
        struct held *held = LIST_ENTRY(link, struct held, link);
        source->finishes_len--;
        held->place = HELD_CALL;
        list_append(&exchange->finishes, link);
        ret[n++] = (struct finish){
            .local = held->local,
            .token = str_c(held->token),
            .priority = held->priority,
            .outcome = held->outcome,
            .delay_ms = held->delay_ms,
            .keep_ms = held->keep_ms,
            .result = buf_str(&held->result),
            .message = buf_str(&held->message),
        };
    }
    return n;
}

void
finish_taken(struct exchange *exchange)
{
    struct list *link;

    while ((link = list_shift(&exchange->finishes))) {
        struct held *held = LIST_ENTRY(link, struct held, link);
        if (held->lost && !held->unclear)
            log_warn("%.*s: its end was refused, since its lease was lost",
                     STR_ARG(held->id));
        dispatcher_drop(exchange->d, held);
    }
}

void
finish_return(struct exchange *exchange, bool unclear)
{
    struct source *source = exchange->source;
    struct list kept;
    struct list *link;

    list_init(&kept);
    while ((link = list_shift(&exchange->finishes))) {
        struct held *held = LIST_ENTRY(link, struct held, link);
        held->unclear |= unclear;
        held->place = HELD_FINISH;
        list_append(&kept, link);
        source->finishes_len++;
    }
    list_splice(&kept, &source->finishes);
    list_splice(&source->finishes, &kept);
}

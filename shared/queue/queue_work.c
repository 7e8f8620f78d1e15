/* Work: finishing and claiming in one call, and keeping leases.
 *
 * A plain success is two words of the call (entry and token), in groups of one
 * retention; everything else has words of its own. scripts/work.lua says how.
 *
 * Each call says what Redis' clock should show by now, so that the script can
 * tell a clock that was set, or a Redis that nobody could reach, from time in
 * which leases could have been renewed. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "queue/queue_clock.h"
#include "queue/queue_private.h"
#include "queue/script.h"

enum { SETTINGS = 6, WORDS_OF_FINISH = 6 };
enum {
    WORDS_MAX = KEYS_OF_WORK + SETTINGS + QUEUE_FINISH_MAX * WORDS_OF_FINISH,
    NUMBER_LEN = 24,
    NUMBERS_MAX = SETTINGS + 2 * QUEUE_FINISH_MAX,
    ENTRY_LEN = 1 + ID_LOCAL_MAX,
    RENEW_FIXED = 5, /* four keys and the lease */
};

/* A call's words, with room for the numbers and entries made for it. */
struct words {
    int n;
    int numbers;
    int entries;
    const char *p[WORDS_MAX];
    size_t len[WORDS_MAX];
    char number[NUMBERS_MAX][NUMBER_LEN];
    char entry[QUEUE_FINISH_MAX][ENTRY_LEN];
};

static void
add(struct words *words, const char *p, size_t n)
{
    assert(words->n < WORDS_MAX);
    words->p[words->n] = n ? p : "";
    words->len[words->n++] = n;
}

static void
add_number(struct words *words, int64_t value)
{
    assert(words->numbers < NUMBERS_MAX);
    char *text = words->number[words->numbers++];
    int n = snprintf(text, NUMBER_LEN, "%" PRId64, value);

    add(words, text, (size_t)n);
}

/* How many lost leases quarantine, and what Redis' clock should show. */
static void
add_expected(struct words *words, int64_t expected_ms)
{
    assert(words->numbers < NUMBERS_MAX);
    char *text = words->number[words->numbers++];
    int n = snprintf(text, NUMBER_LEN, "%d", JOB_LOST_MAX);

    if (expected_ms)
        n += snprintf(text + n, NUMBER_LEN - (size_t)n, " %" PRId64,
                      expected_ms);
    assert(n < NUMBER_LEN);
    add(words, text, (size_t)n);
}

static void
add_entry(struct words *words, int priority, struct str local)
{
    assert(words->entries < QUEUE_FINISH_MAX && local.n <= ID_LOCAL_MAX);
    char *entry = words->entry[words->entries++];

    entry[0] = (char)('0' + priority);
    memcpy(entry + 1, local.p, local.n);
    add(words, entry, local.n + 1);
}

static void
add_keys(struct words *words, const struct keys *keys)
{
    for (int k = 0; k < KEYS_OF_WORK; k++)
        add(words, keys->p[k], keys->n[k]);
}

static bool
is_plain(const struct finish *f)
{
    return f->outcome == OUTCOME_SUCCEEDED && f->result.n == 0;
}

/* The plain successes with the same retention as the first that is not yet
 * `taken`, as one group. */
static void
add_group(struct words *words, const struct finish *finishes, size_t n,
          size_t first, bool *taken)
{
    size_t members = 0;

    for (size_t i = first; i < n; i++)
        members += !taken[i] && is_plain(&finishes[i]) &&
                   finishes[i].keep_ms == finishes[first].keep_ms;
    add(words, "s", 1);
    add_number(words, finishes[first].keep_ms);
    add_number(words, (int64_t)members);
    for (size_t i = first; i < n; i++) {
        const struct finish *f = &finishes[i];
        if (taken[i] || !is_plain(f) || f->keep_ms != finishes[first].keep_ms)
            continue;
        taken[i] = true;
        add_entry(words, f->priority, f->local);
        add(words, f->token.p, f->token.n);
    }
}

static void
add_finish(struct words *words, const struct finish *f)
{
    bool success = f->outcome == OUTCOME_SUCCEEDED;
    static const char letters[] = "ftcxrS";
    char letter = success ? 'S' : (char)f->outcome;
    const char *word = strchr(letters, letter);

    assert(word);
    add(words, word, 1);
    add_entry(words, f->priority, f->local);
    add(words, f->token.p, f->token.n);
    add_number(words, f->keep_ms);
    if (success)
        add(words, f->result.p, f->result.n);
    else
        add(words, f->message.p, f->message.n);
    if (f->outcome == OUTCOME_FAILED || f->outcome == OUTCOME_TIMEOUT)
        add_number(words, f->delay_ms < 0 ? -1 : f->delay_ms);
}

void
queue_work(struct queues *queues, struct work *work,
           const struct finish *finishes, size_t n,
           void (*on_settled)(struct op *), void *arg)
{
    struct words words;
    struct keys keys;
    bool taken[QUEUE_FINISH_MAX] = {0};

    assert(n <= QUEUE_FINISH_MAX);
    assert(work->claim >= 0 && work->claim <= QUEUE_CLAIM_MAX);
    assert(work->lease_ms >= 1000 && work->lease_ms <= 3600000);
    words.n = words.numbers = words.entries = 0;
    queue_keys(queues, work->queue, &keys);
    add_keys(&words, &keys);
    add_number(&words, work->claim);
    add_number(&words, work->lease_ms);
    add(&words, work->worker, strlen(work->worker));
    add_number(&words, (int64_t)work->token_first);
    add_number(&words, JOB_CRASHES_MAX);
    work->queues = queues;
    work->sent_ms = clock_mono_ms();
    add_expected(&words, queue_clock_expected(queues, work->sent_ms));
    for (size_t i = 0; i < n; i++) {
        if (taken[i])
            continue;
        if (is_plain(&finishes[i]))
            add_group(&words, finishes, n, i, taken);
        else
            add_finish(&words, &finishes[i]);
    }
    rds_send_script(queues->rds, &work->call, &script_work, KEYS_OF_WORK,
                    words.n, words.p, words.len, on_settled, arg);
}

/* Texts: id of a parent, its end, ... */
static bool
are_inputs(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2)
        return false;
    for (size_t i = 0; i < reply->elements; i++)
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

/* "attempt retries crashes"; that and the inputs; or nil for the first claim of
 * a job that waited for no other. */
static bool
read_again(const redisReply *word, struct claimed *job)
{
    int64_t n[3];

    job->attempt = 1;
    job->retries = job->crashes = 0;
    job->inputs = NULL;
    if (word->type == REDIS_REPLY_NIL)
        return true;
    if (word->type == REDIS_REPLY_ARRAY) {
        if (word->elements != 2 || !are_inputs(word->element[1]))
            return false;
        job->inputs = word->element[1];
        word = word->element[0];
    }
    if (word->type != REDIS_REPLY_STRING)
        return false;
    struct str rest = str_from(word->str, word->len);
    for (int i = 0; i < 3; i++)
        if (!str_to_i64(str_cut(rest, ' ', &rest), &n[i]))
            return false;
    job->attempt = (int)n[0];
    job->retries = (int)n[1];
    job->crashes = (int)n[2];
    return true;
}

static bool
read_claimed(const struct work *work, redisReply *const *words, size_t index,
             struct claimed *job)
{
    if (words[0]->type != REDIS_REPLY_STRING || words[0]->len < 2 ||
        words[1]->type != REDIS_REPLY_STRING)
        return false;
    job->priority = words[0]->str[0] - '0';
    job->local = str_from(words[0]->str + 1, words[0]->len - 1);
    job->record = str_from(words[1]->str, words[1]->len);
    snprintf(job->token, sizeof job->token, "%s.%" PRIu64, work->worker,
             work->token_first + index);
    return job->local.n <= ID_LOCAL_MAX && job->priority >= 0 &&
           job->priority <= 9 && read_again(words[2], job);
}

enum status
queue_work_result(struct work *work, struct error *err)
{
    const redisReply *reply = work->call.reply;

    if (work->call.op.status != ST_OK) {
        if (err)
            *err = work->call.err;
        return work->call.op.status;
    }
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < 4)
        return error_set(err, ST_BUG, "work: a reply of another shape");
    redisReply *const *words = reply->element;
    size_t stale = (size_t)words[3]->integer;
    if (stale > QUEUE_FINISH_MAX || reply->elements < 4 + stale ||
        (reply->elements - 4 - stale) % 3 != 0 ||
        (reply->elements - 4 - stale) / 3 > QUEUE_CLAIM_MAX)
        return error_set(err, ST_BUG, "work: a reply of another length");

    work->now_ms = words[0]->integer;
    int64_t most_ms = work->lease_ms / 3;
    work->clock_off = queue_clock_heard(
        work->queues, work->now_ms, work->sent_ms,
        most_ms < QUEUE_CLOCK_STEP_MS ? most_ms : QUEUE_CLOCK_STEP_MS);
    work->next_ms = words[1]->integer;
    work->more = (words[2]->integer & 1) != 0;
    work->outbox = (words[2]->integer & 2) != 0;
    work->stale_len = stale;
    for (size_t i = 0; i < stale; i++)
        work->stale[i] = str_from(words[4 + i]->str, words[4 + i]->len);
    work->claimed_len = 0;
    for (size_t at = 4 + stale; at < reply->elements; at += 3) {
        size_t index = work->claimed_len;
        if (!read_claimed(work, words + at, index, &work->claimed[index]))
            return error_set(err, ST_BUG, "work: a job of another shape");
        work->claimed_len++;
    }
    return ST_OK;
}

void
queue_work_inputs(const struct claimed *claimed, struct buf *dst)
{
    const redisReply *inputs = claimed->inputs;

    if (!inputs)
        return;
    buf_add_char(dst, '{');
    for (size_t i = 0; i < inputs->elements; i += 2) {
        const redisReply *id = inputs->element[i];
        const redisReply *end = inputs->element[i + 1];
        buf_add_c(dst, i > 0 ? ",\"" : "\"");
        buf_add(dst, id->str, id->len);
        buf_add_c(dst, "\":");
        if (end->len > 1)
            buf_add(dst, end->str + 1, end->len - 1);
        else
            buf_add_c(dst, "null");
    }
    buf_add_char(dst, '}');
}

void
queue_renew(struct queues *queues, struct rds_call *call, struct str queue,
            int64_t lease_ms, const struct lease *leases, size_t n,
            void (*on_settled)(struct op *), void *arg)
{
    const char *argv[RENEW_FIXED + 2 * QUEUE_RENEW_MAX];
    size_t len[RENEW_FIXED + 2 * QUEUE_RENEW_MAX];
    char entry[QUEUE_RENEW_MAX][ENTRY_LEN], lease[NUMBER_LEN];
    struct keys keys;

    assert(n >= 1 && n <= QUEUE_RENEW_MAX);
    queue_keys(queues, queue, &keys);
    argv[0] = keys.p[KEY_LEASED], len[0] = keys.n[KEY_LEASED];
    argv[1] = keys.p[KEY_STATE], len[1] = keys.n[KEY_STATE];
    argv[2] = keys.p[KEY_CANCELS], len[2] = keys.n[KEY_CANCELS];
    argv[3] = keys.p[KEY_META], len[3] = keys.n[KEY_META];
    argv[4] = lease;
    len[4] = (size_t)snprintf(lease, sizeof lease, "%" PRId64, lease_ms);
    for (size_t i = 0; i < n; i++) {
        struct str local = leases[i].local;
        assert(local.n <= ID_LOCAL_MAX);
        entry[i][0] = (char)('0' + leases[i].priority);
        memcpy(entry[i] + 1, local.p, local.n);
        argv[5 + 2 * i] = entry[i], len[5 + 2 * i] = local.n + 1;
        argv[6 + 2 * i] = leases[i].token.p;
        len[6 + 2 * i] = leases[i].token.n;
    }
    rds_send_script(queues->rds, call, &script_renew, 4,
                    (int)(RENEW_FIXED + 2 * n), argv, len, on_settled, arg);
}

void
queue_progress(struct queues *queues, struct rds_call *call, struct str queue,
               const struct lease *lease, struct str progress,
               void (*on_settled)(struct op *), void *arg)
{
    struct keys keys;

    queue_keys(queues, queue, &keys);
    const char *argv[] = {keys.p[KEY_STATE], keys.p[KEY_PROGRESS],
                          lease->local.p, lease->token.p, progress.p};
    const size_t len[] = {keys.n[KEY_STATE], keys.n[KEY_PROGRESS],
                          lease->local.n, lease->token.n, progress.n};
    rds_send_script(queues->rds, call, &script_progress, 2, 5, argv, len,
                    on_settled, arg);
}

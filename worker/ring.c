/* Ring: one array of entries, each in the hands of one side at a time.
 *
 *   state    written by            the entry's fields belong to
 *   FREE     dispatcher            dispatcher
 *   QUEUED   dispatcher            nobody: either may take it by CAS,
 *                                  to RUNNING (child) or FREE (dispatcher)
 *   RUNNING  child                 child
 *   DONE     child                 dispatcher
 *
 * The child runs entries in order, the dispatcher collects in order and takes
 * back from the newest end only, so the jobs in the ring are always the
 * positions collected..pushed without a hole. Positions count for ever (modulo
 * 2^32); an entry's index is its position modulo RING_JOBS.
 *
 * No wake-up is lost (Dekker): a side that goes to sleep first says so and then
 * looks once more; the other first changes the state and then looks whether
 * somebody sleeps. All four accesses are sequentially consistent.
 *
 * An area is used round and round: what lives in it is the span from the oldest
 * to the newest piece. Starting again at 0 whenever it is empty keeps a quiet
 * ring within its first pages; the others are never touched. */
#include "ring.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "lines.h"
#include "packed_job.h"
#include "ring_report.h"

enum entry_state { FREE, QUEUED, RUNNING, DONE };
enum { CACHE_LINE = 64 };

struct entry {
    _Alignas(CACHE_LINE) _Atomic uint32_t state;
    uint32_t job_at; /* its texts, in the job area */
    struct packed_job job;
    /* the end, in the result area: result message */
    uint32_t status;
    uint32_t result_at;
    uint32_t result_len;
    uint32_t message_len;
    int64_t run_us;
    int64_t retry_ms;
};

struct ring {
    /* written by the dispatcher */
    _Alignas(CACHE_LINE) _Atomic uint32_t collected;
    _Atomic uint64_t cancel; /* position << 8 | reason */
    /* written by the child */
    _Alignas(CACHE_LINE) _Atomic uint32_t asleep; /* a futex */
    _Atomic int64_t started_us;
    _Atomic uint32_t attached;
    _Alignas(CACHE_LINE) struct ring_report report;
    struct lines lines;
    struct entry entries[RING_JOBS];
    _Alignas(4096) char jobs[RING_AREA];
    char results[RING_AREA];
};

struct ring_bell_word {
    _Atomic uint32_t asleep;
};

static void *
shared_map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* --- the bell ------------------------------------------------------------- */

enum status
ring_bell_init(struct ring_bell *bell, struct error *err)
{
    bell->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (bell->fd < 0)
        return error_set_sys(err, ST_LIMIT, errno, "eventfd");
    bell->word = shared_map(sizeof *bell->word);
    if (!bell->word) {
        close(bell->fd);
        return error_set_sys(err, ST_LIMIT, errno, "shared memory");
    }
    return ST_OK;
}

void
ring_bell_clear(struct ring_bell *bell)
{
    munmap(bell->word, sizeof *bell->word);
    close(bell->fd);
}

void
ring_bell_arm(const struct ring_bell *bell)
{
    atomic_store(&bell->word->asleep, 1);
}

void
ring_bell_disarm(const struct ring_bell *bell)
{
    atomic_store_explicit(&bell->word->asleep, 0, memory_order_relaxed);
}

void
ring_bell_drain(const struct ring_bell *bell)
{
    uint64_t count;

    if (read(bell->fd, &count, sizeof count) < 0)
        return; /* nothing was in it */
}

void
ring_bell_ring(const struct ring_bell *bell)
{
    uint64_t one = 1;

    /* Fails only when the counter is full, so it is readable anyway. */
    if (atomic_load(&bell->word->asleep) &&
        atomic_exchange(&bell->word->asleep, 0) &&
        write(bell->fd, &one, sizeof one) < 0)
        return;
}

/* --- the areas ------------------------------------------------------------ */

/* Finds @n > 0 bytes beside the pieces from @oldest to @newest (NULL: none). No
 * piece is empty, so where they begin tells whether they wrap around. */
static bool
place(const struct ring_span *oldest, const struct ring_span *newest,
      uint32_t n, struct ring_span *ret)
{
    uint32_t at = oldest ? newest->end : 0;
    uint32_t limit = RING_AREA;

    if (oldest && newest->begin < oldest->begin)
        limit = oldest->begin;
    else if (oldest && n > RING_AREA - at) {
        at = 0;
        limit = oldest->begin;
    }
    if (n > limit - at)
        return false;
    *ret = (struct ring_span){at, at + n};
    return true;
}

/* --- the dispatcher's side ------------------------------------------------ */

enum status
ring_new(struct ring **ret, struct error *err)
{
    struct ring *ring = shared_map(sizeof *ring);

    if (!ring)
        return error_set_sys(err, ST_LIMIT, errno,
                             "no %zu bytes of shared memory for a slot",
                             sizeof *ring);
    *ret = ring;
    return ST_OK;
}

void
ring_free(struct ring *ring)
{
    if (ring)
        munmap(ring, sizeof *ring);
}

static struct entry *
entry_at(struct ring *ring, uint32_t position)
{
    return &ring->entries[position % RING_JOBS];
}

void
ring_sender_init(struct ring_sender *sender, struct ring *ring)
{
    sender->ring = ring;
    sender->collected = sender->pushed = 0;
    sender->touched = RING_AREA; /* unknown: what a dead child left */
    for (uint32_t i = 0; i < RING_JOBS; i++)
        atomic_store(&ring->entries[i].state, FREE);
    atomic_store(&ring->collected, 0);
    atomic_store(&ring->cancel, 0);
    atomic_store(&ring->asleep, 0);
    atomic_store(&ring->attached, 0);
    atomic_store(&ring->started_us, 0);
    ring_report_reset(&ring->report);
}

bool
ring_push(struct ring_sender *sender, const struct ring_job *job)
{
    struct ring *ring = sender->ring;
    struct entry *entry = entry_at(ring, sender->pushed);
    struct ring_span *span = &sender->spans[sender->pushed % RING_JOBS];
    uint32_t live = ring_length(sender);
    size_t need = packed_job_size(job);

    if (live == RING_JOBS || need > RING_AREA / 2)
        return false;
    if (!place(live ? &sender->spans[sender->collected % RING_JOBS] : NULL,
               &sender->spans[(sender->pushed - 1) % RING_JOBS], (uint32_t)need,
               span))
        return false;
    packed_job_write(job, ring->jobs + span->begin, &entry->job);
    if (sender->touched < span->end)
        sender->touched = span->end;
    entry->job_at = span->begin;
    sender->pushed++;
    atomic_store(&entry->state, QUEUED);
    return true;
}

static void
futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void
ring_wake(struct ring_sender *sender)
{
    _Atomic uint32_t *asleep = &sender->ring->asleep;

    if (atomic_load(asleep) && atomic_exchange(asleep, 0))
        futex_wake(asleep);
}

bool
ring_attached(const struct ring *ring)
{
    return atomic_load(&ring->attached) != 0;
}

bool
ring_ready(const struct ring_sender *sender)
{
    return ring_length(sender) > 0 &&
           atomic_load(&entry_at(sender->ring, sender->collected)->state) ==
               DONE;
}

bool
ring_collect(struct ring_sender *sender, struct ring_result *ret, bool *ret_bad)
{
    struct entry *entry = entry_at(sender->ring, sender->collected);

    *ret_bad = false;
    if (!ring_ready(sender))
        return false;
    /* Read once: the child must not be able to change them after the check. */
    volatile struct entry *shared = entry;
    uint32_t at = shared->result_at, status = shared->status;
    uint32_t result_len = shared->result_len, text_len = shared->message_len;
    int64_t run_us = shared->run_us, retry_ms = shared->retry_ms;
    if (at > RING_AREA || result_len > JOB_RESULT_MAX ||
        text_len > RING_TEXT_MAX || result_len + text_len > RING_AREA - at ||
        status > ST_BUG || run_us < 0 || retry_ms < 0 ||
        retry_ms > JOB_DELAY_MAX_MS) {
        *ret_bad = true;
        return false;
    }
    if (sender->touched < at + result_len + text_len)
        sender->touched = at + result_len + text_len;
    *ret = (struct ring_result){
        .position = sender->collected,
        .status = (enum status)status,
        .run_us = run_us,
        .retry_ms = retry_ms,
        .result = {sender->ring->results + at, result_len},
        .message = {sender->ring->results + at + result_len, text_len},
    };
    return true;
}

void
ring_release(struct ring_sender *sender)
{
    assert(ring_length(sender) > 0);
    atomic_store(&entry_at(sender->ring, sender->collected)->state, FREE);
    sender->collected++;
    atomic_store(&sender->ring->collected, sender->collected);
}

bool
ring_take_back(struct ring_sender *sender)
{
    uint32_t expected = QUEUED;

    if (ring_length(sender) == 0)
        return false;
    struct entry *entry = entry_at(sender->ring, sender->pushed - 1);
    if (!atomic_compare_exchange_strong(&entry->state, &expected, FREE))
        return false;
    sender->pushed--;
    return true;
}

bool
ring_running(const struct ring_sender *sender, int64_t *ret_since_us)
{
    if (ring_length(sender) == 0 ||
        atomic_load(&entry_at(sender->ring, sender->collected)->state) !=
            RUNNING)
        return false;
    *ret_since_us = atomic_load(&sender->ring->started_us);
    return true;
}

bool
ring_spoilt(const struct ring_sender *sender, uint32_t position)
{
    uint32_t state = atomic_load(&entry_at(sender->ring, position)->state);

    return state == FREE || state > DONE;
}

bool
ring_queued(const struct ring_sender *sender, uint32_t position)
{
    return atomic_load(&entry_at(sender->ring, position)->state) == QUEUED;
}

struct lines *
ring_lines(struct ring *ring)
{
    return &ring->lines;
}

void
ring_cancel(struct ring_sender *sender, uint32_t position,
            enum ring_cancel reason)
{
    atomic_store(&sender->ring->cancel,
                 (uint64_t)position << 8 | (uint64_t)reason);
}

bool
ring_progress_read(const struct ring_sender *sender, struct ring_progress *ret)
{
    return ring_report_read(&sender->ring->report, ret);
}

void
ring_trim(struct ring_sender *sender)
{
    if (ring_length(sender) > 0 || sender->touched <= RING_KEPT)
        return;
    madvise(sender->ring->jobs + RING_KEPT, RING_AREA - RING_KEPT, MADV_REMOVE);
    madvise(sender->ring->results + RING_KEPT, RING_AREA - RING_KEPT,
            MADV_REMOVE);
    sender->touched = 0;
}

/* --- the child's side ----------------------------------------------------- */

void
ring_runner_init(struct ring_runner *runner, struct ring *ring,
                 const struct ring_bell *bell)
{
    memset(runner, 0, sizeof *runner);
    runner->ring = ring;
    runner->bell = bell;
    atomic_store(&ring->attached, 1);
    ring_bell_ring(bell);
}

/* Sleeps until @ready(runner) may have become true; a signal may end it too. */
static void
sleep_unless(struct ring_runner *runner,
             bool (*ready)(const struct ring_runner *runner))
{
    _Atomic uint32_t *asleep = &runner->ring->asleep;

    atomic_store(asleep, 1);
    if (!ready(runner))
        syscall(SYS_futex, asleep, FUTEX_WAIT, 1, NULL, NULL, 0);
    atomic_store_explicit(asleep, 0, memory_order_relaxed);
}

static void
tell(struct ring_runner *runner)
{
    if (runner->unrung == 0)
        return;
    runner->unrung = 0;
    ring_bell_ring(runner->bell);
}

bool
ring_pending(const struct ring_runner *runner)
{
    return atomic_load(&entry_at(runner->ring, runner->next)->state) == QUEUED;
}

bool
ring_next(struct ring_runner *runner, const volatile sig_atomic_t *quit,
          struct ring_job *ret)
{
    struct ring *ring = runner->ring;
    struct entry *entry = entry_at(ring, runner->next);

    for (;;) {
        uint32_t expected = QUEUED;
        if (*quit) {
            tell(runner);
            return false;
        }
        if (ring_pending(runner)) {
            /* Before the state: whoever sees RUNNING sees the time too. */
            atomic_store_explicit(&ring->started_us, clock_mono_us(),
                                  memory_order_relaxed);
            if (atomic_compare_exchange_strong(&entry->state, &expected,
                                               RUNNING))
                break;
        } else {
            tell(runner);
            sleep_unless(runner, ring_pending);
        }
    }
    entry->retry_ms = 0;
    packed_job_read(&entry->job, ring->jobs + entry->job_at, ret);
    return true;
}

static bool
some_collected(const struct ring_runner *runner)
{
    return atomic_load(&runner->ring->collected) != runner->oldest;
}

static struct ring_span
room_for(struct ring_runner *runner, uint32_t n)
{
    struct ring_span span;

    for (;;) {
        runner->oldest = atomic_load(&runner->ring->collected);
        if (place(runner->oldest != runner->next
                      ? &runner->spans[runner->oldest % RING_JOBS]
                      : NULL,
                  &runner->spans[(runner->next - 1) % RING_JOBS], n, &span))
            return span;
        runner->unrung++; /* the bell must ring, whatever was told */
        tell(runner);
        sleep_unless(runner, some_collected);
    }
}

void
ring_done(struct ring_runner *runner, enum status status, struct str result,
          struct str message)
{
    struct ring *ring = runner->ring;
    struct entry *entry = entry_at(ring, runner->next);

    assert(result.n <= JOB_RESULT_MAX);
    if (message.n > RING_TEXT_MAX)
        message.n = RING_TEXT_MAX;
    struct ring_span span =
        room_for(runner, (uint32_t)(result.n + message.n + 1));
    if (result.n)
        memcpy(ring->results + span.begin, result.p, result.n);
    if (message.n)
        memcpy(ring->results + span.begin + result.n, message.p, message.n);
    runner->spans[runner->next % RING_JOBS] = span;
    entry->status = status;
    entry->result_at = span.begin;
    entry->result_len = (uint32_t)result.n;
    entry->message_len = (uint32_t)message.n;
    entry->run_us = clock_mono_us() - atomic_load(&ring->started_us);
    runner->next++;
    runner->unrung++;
    atomic_store(&entry->state, DONE);
    /* With more to run, one notice in RING_NOTICE is enough: the dispatcher
     * looks by itself while several jobs wait here. */
    if (runner->unrung >= RING_NOTICE || !ring_pending(runner))
        tell(runner);
}

enum ring_cancel
ring_cancelled(const struct ring_runner *runner)
{
    uint64_t cancel =
        atomic_load_explicit(&runner->ring->cancel, memory_order_relaxed);

    return (uint32_t)(cancel >> 8) == runner->next
               ? (enum ring_cancel)(cancel & 0xff)
               : RING_RUN_ON;
}

void
ring_retry_after(struct ring_runner *runner, int64_t ms)
{
    entry_at(runner->ring, runner->next)->retry_ms = ms;
}

bool
ring_log(struct ring_runner *runner, struct str text)
{
    return lines_write(&runner->ring->lines, runner->next, text);
}

void
ring_progress_write(struct ring_runner *runner, int64_t done, int64_t total,
                    struct str text)
{
    ring_report_write(&runner->ring->report, runner->next, done, total, text);
}

/* Board: one array of places, each in the hands of one side at a time, in the
 * same four states as an entry of a ring (ring.c).
 *
 * Two queues of words lead from one to the other. A word names a place and the
 * generation of the job in it, so a word about a job that has left says nothing
 * about the next one there. The inbox has room for more words than there are
 * jobs and cancellations at any time, the outbox for one a place.
 *
 * No wake-up is lost, as with a ring: who goes to sleep arms its bell and looks
 * once more. */
#include "board.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/log.h"
#include "lines.h"
#include "packed_job.h"
#include "ring_report.h"

enum place_state { FREE, QUEUED, RUNNING, DONE };
enum {
    PAGE = 4096,
    CACHE_LINE = 64,
    INBOX = 4 * BOARD_PLACES_MAX, /* words; a power of two */
    OUTBOX = BOARD_PLACES_MAX,
    JOB_SPAN = 9 * 256 * 1024,           /* args, inputs, names, origin */
    RESULT_SPAN = JOB_RESULT_MAX + PAGE, /* with the message */
    KEPT = PAGE,                         /* bytes that a free place keeps */
    KIND_JOB = 0,                        /* else an enum ring_cancel */
};

struct place {
    _Alignas(CACHE_LINE) _Atomic uint32_t state;
    _Atomic uint32_t cancel; /* enum ring_cancel */
    _Atomic int64_t started_us;
    uint32_t generation;
    struct packed_job job;
    /* the end: result message */
    uint32_t status;
    uint32_t result_len;
    uint32_t message_len;
    int64_t run_us;
    int64_t retry_ms;
    struct ring_report report;
};

struct memory {
    /* written by the dispatcher */
    _Alignas(CACHE_LINE) _Atomic uint32_t inbox_sent;
    _Atomic uint64_t inbox[INBOX]; /* generation << 32 | kind << 16 | place */
    /* written by the child */
    _Alignas(CACHE_LINE) _Atomic uint32_t attached;
    _Atomic uint32_t inbox_taken;
    _Atomic uint32_t outbox_sent;
    _Atomic uint32_t outbox[OUTBOX];
    struct lines lines;
    struct place places[BOARD_PLACES_MAX];
    /* and behind it the areas */
    _Alignas(PAGE) char areas[];
};

/* What must not be written over is not in the mapping. */
struct board {
    struct memory *memory;
    size_t size;
    uint32_t places_len;
};

static char *
job_area(struct memory *board, uint32_t place)
{
    return board->areas + (size_t)place * (JOB_SPAN + RESULT_SPAN);
}

static char *
result_area(struct memory *board, uint32_t place)
{
    return job_area(board, place) + JOB_SPAN;
}

static uint64_t
word_of(uint32_t place, uint32_t generation, uint32_t kind)
{
    return (uint64_t)generation << 32 | (uint64_t)kind << 16 | place;
}

/* What a job of that generation at that place is called in lines.h. */
static uint32_t
owner_of(uint32_t place, uint32_t generation)
{
    return generation << 16 | place;
}

enum status
board_new(uint32_t places, struct board **ret, struct error *err)
{
    assert(places >= 1 && places <= BOARD_PLACES_MAX);
    size_t size =
        sizeof(struct memory) + (size_t)places * (JOB_SPAN + RESULT_SPAN);
    struct memory *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return error_set_sys(err, ST_LIMIT, errno,
                             "no %zu bytes of address space for async tasks: "
                             "lower --async",
                             size);
    struct board *board = xcalloc(1, sizeof *board);
    *board = (struct board){memory, size, places};
    *ret = board;
    return ST_OK;
}

void
board_free(struct board *board)
{
    if (!board)
        return;
    munmap(board->memory, board->size);
    free(board);
}

bool
board_attached(const struct board *board)
{
    return atomic_load(&board->memory->attached) != 0;
}

struct lines *
board_lines(struct board *board)
{
    return &board->memory->lines;
}

/* --- the dispatcher's side ------------------------------------------------ */

void
board_sender_init(struct board_sender *sender, struct board *board,
                  const struct ring_bell *bell)
{
    struct memory *memory = board->memory;
    uint32_t places = board->places_len;

    assert(places >= 1 && places <= BOARD_PLACES_MAX);
    sender->board = board;
    sender->bell = bell;
    sender->places = places;
    sender->used = sender->sent = sender->taken = 0;
    sender->free_len = 0;
    for (uint32_t i = places; i-- > 0;) {
        sender->free[sender->free_len++] = (uint16_t)i;
        sender->busy[i] = sender->reported[i] = false;
        sender->touched[i] = 0;
        atomic_store(&memory->places[i].state, FREE);
        ring_report_reset(&memory->places[i].report);
    }
    atomic_store(&memory->inbox_sent, 0);
    atomic_store(&memory->inbox_taken, 0);
    atomic_store(&memory->outbox_sent, 0);
    atomic_store(&memory->attached, 0);
}

/* Words that the child has not read; more than fit in when it misread. */
static uint32_t
inbox_len(const struct board_sender *sender)
{
    return sender->sent - atomic_load(&sender->board->memory->inbox_taken);
}

bool
board_misread(const struct board_sender *sender)
{
    return inbox_len(sender) > INBOX;
}

static void
inbox_put(struct board_sender *sender, uint64_t word)
{
    struct memory *board = sender->board->memory;

    atomic_store_explicit(&board->inbox[sender->sent % INBOX], word,
                          memory_order_relaxed);
    sender->sent++;
    atomic_store(&board->inbox_sent, sender->sent);
}

bool
board_fits(const struct ring_job *job)
{
    return packed_job_size(job) <= JOB_SPAN;
}

bool
board_push(struct board_sender *sender, const struct ring_job *job,
           uint32_t *ret_place)
{
    struct memory *board = sender->board->memory;
    size_t need = packed_job_size(job);

    assert(need <= JOB_SPAN);
    if (sender->free_len == 0 || inbox_len(sender) >= INBOX)
        return false;
    uint32_t at = sender->free[--sender->free_len];
    struct place *place = &board->places[at];
    packed_job_write(job, job_area(board, at), &place->job);
    place->generation = ++sender->generation[at];
    ring_report_reset(&place->report);
    atomic_store(&place->cancel, RING_RUN_ON);
    sender->busy[at] = true;
    sender->touched[at] = (uint32_t)need;
    sender->used++;
    atomic_store(&place->state, QUEUED);
    inbox_put(sender, word_of(at, sender->generation[at], KIND_JOB));
    *ret_place = at;
    return true;
}

void
board_wake(const struct board_sender *sender)
{
    ring_bell_ring(sender->bell);
}

bool
board_ready(const struct board_sender *sender)
{
    return sender->used > 0 &&
           atomic_load(&sender->board->memory->outbox_sent) != sender->taken;
}

bool
board_collect(struct board_sender *sender, struct ring_result *ret,
              bool *ret_bad)
{
    struct memory *board = sender->board->memory;

    *ret_bad = false;
    if (!board_ready(sender))
        return false;
    uint32_t at = atomic_load(&board->outbox[sender->taken % OUTBOX]);
    *ret_bad = at >= sender->places || !sender->busy[at] ||
               sender->reported[at] ||
               atomic_load(&board->places[at].state) != DONE;
    if (*ret_bad)
        return false;
    /* Read once: the child must not be able to change them after the check. */
    volatile struct place *shared = &board->places[at];
    uint32_t status = shared->status, result_len = shared->result_len;
    uint32_t text_len = shared->message_len;
    int64_t run_us = shared->run_us, retry_ms = shared->retry_ms;
    if (result_len > JOB_RESULT_MAX || text_len > RING_TEXT_MAX ||
        status > ST_BUG || run_us < 0 || retry_ms < 0 ||
        retry_ms > JOB_DELAY_MAX_MS) {
        *ret_bad = true;
        return false;
    }
    sender->taken++;
    sender->reported[at] = true;
    if (sender->touched[at] < result_len + text_len)
        sender->touched[at] = result_len + text_len;
    *ret = (struct ring_result){
        .position = at,
        .status = (enum status)status,
        .run_us = run_us,
        .retry_ms = retry_ms,
        .result = {result_area(board, at), result_len},
        .message = {result_area(board, at) + result_len, text_len},
    };
    return true;
}

/* The memory of a large job goes back at once: places are many. */
void
board_release(struct board_sender *sender, uint32_t place)
{
    struct memory *board = sender->board->memory;

    assert(place < sender->places && sender->busy[place]);
    atomic_store(&board->places[place].state, FREE);
    if (sender->touched[place] > KEPT) {
        madvise(job_area(board, place) + KEPT, JOB_SPAN - KEPT, MADV_REMOVE);
        madvise(result_area(board, place) + KEPT, RESULT_SPAN - KEPT,
                MADV_REMOVE);
    }
    sender->busy[place] = sender->reported[place] = false;
    sender->used--;
    sender->free[sender->free_len++] = (uint16_t)place;
}

bool
board_take_back(struct board_sender *sender, uint32_t place)
{
    uint32_t expected = QUEUED;

    /* Not FREE yet: that comes with the release, and the word about it in the
     * inbox is of an old generation then. */
    return sender->busy[place] && !sender->reported[place] &&
           atomic_compare_exchange_strong(
               &sender->board->memory->places[place].state, &expected, FREE);
}

bool
board_running(const struct board_sender *sender, uint32_t place,
              int64_t *ret_since_us, bool *ret_bad)
{
    const struct place *shared = &sender->board->memory->places[place];
    uint32_t unread = inbox_len(sender); /* before the state: board_next() */
    uint32_t state = atomic_load(&shared->state);

    *ret_bad = state == FREE || state > DONE || unread > INBOX ||
               (state == QUEUED && unread == 0);
    if (state != RUNNING && state != DONE)
        return false;
    *ret_since_us = atomic_load(&shared->started_us);
    return true;
}

bool
board_cancel(struct board_sender *sender, uint32_t place,
             enum ring_cancel reason)
{
    assert(sender->busy[place] && reason != RING_RUN_ON);
    if (inbox_len(sender) >= INBOX)
        return false;
    atomic_store(&sender->board->memory->places[place].cancel,
                 (uint32_t)reason);
    inbox_put(sender,
              word_of(place, sender->generation[place], (uint32_t)reason));
    return true;
}

bool
board_progress_read(const struct board_sender *sender, uint32_t place,
                    struct ring_progress *ret)
{
    const struct ring_report *report =
        &sender->board->memory->places[place].report;
    bool there = ring_report_read(report, ret);

    ret->position = place; /* whatever the child wrote */
    return there;
}

bool
board_owns(const struct board_sender *sender, uint32_t owner,
           uint32_t *ret_place)
{
    uint32_t place = owner & 0xffff;

    if (place >= sender->places || !sender->busy[place] ||
        owner != owner_of(place, sender->generation[place]))
        return false;
    *ret_place = place;
    return true;
}

/* --- the child's side ----------------------------------------------------- */

void
board_runner_init(struct board_runner *runner, struct board *board,
                  const struct ring_bell *bell)
{
    *runner = (struct board_runner){.board = board, .bell = bell};
    atomic_store(&board->memory->attached, 1);
    ring_bell_ring(bell);
}

bool
board_pending(const struct board_runner *runner)
{
    return atomic_load(&runner->board->memory->inbox_sent) != runner->taken;
}

static bool
begin(struct board_runner *runner, uint32_t at, uint32_t generation,
      struct ring_job *ret)
{
    struct place *place = &runner->board->memory->places[at];
    uint32_t expected = QUEUED;

    if ((place->generation & 0xffff) != (generation & 0xffff))
        return false;
    /* Before the state: whoever sees RUNNING sees the time too. */
    atomic_store_explicit(&place->started_us, clock_mono_us(),
                          memory_order_relaxed);
    if (!atomic_compare_exchange_strong(&place->state, &expected, RUNNING))
        return false; /* taken back */
    place->retry_ms = 0;
    packed_job_read(&place->job, job_area(runner->board->memory, at), ret);
    return true;
}

enum board_word
board_next(struct board_runner *runner, uint32_t *ret_place,
           uint32_t *ret_owner, struct ring_job *ret_job)
{
    struct memory *board = runner->board->memory;

    while (board_pending(runner)) {
        uint64_t word = atomic_load_explicit(
            &board->inbox[runner->taken % INBOX], memory_order_relaxed);
        uint32_t generation = (uint32_t)(word >> 32);
        uint32_t kind = (uint32_t)(word >> 16) & 0xffff;
        uint32_t at = (uint32_t)word & 0xffff;
        bool begun = kind == KIND_JOB && begin(runner, at, generation, ret_job);

        /* Begun before its word counts as read: a place that is queued with no
         * word left was written over, and board_running() says so. */
        runner->taken++;
        atomic_store(&board->inbox_taken, runner->taken);
        *ret_place = at;
        *ret_owner = owner_of(at, generation);
        if (kind != KIND_JOB)
            return BOARD_CANCEL;
        if (begun)
            return BOARD_JOB;
    }
    return BOARD_NOTHING;
}

void
board_done(struct board_runner *runner, uint32_t at, enum status status,
           struct str result, struct str message)
{
    struct memory *board = runner->board->memory;
    struct place *place = &board->places[at];
    char *area = result_area(board, at);

    assert(result.n <= JOB_RESULT_MAX);
    if (message.n > RING_TEXT_MAX)
        message.n = RING_TEXT_MAX;
    if (result.n)
        memcpy(area, result.p, result.n);
    if (message.n)
        memcpy(area + result.n, message.p, message.n);
    place->status = status;
    place->result_len = (uint32_t)result.n;
    place->message_len = (uint32_t)message.n;
    place->run_us = clock_mono_us() - atomic_load(&place->started_us);
    atomic_store(&place->state, DONE);
    atomic_store(&board->outbox[runner->sent % OUTBOX], at);
    runner->sent++;
    atomic_store(&board->outbox_sent, runner->sent);
    ring_bell_ring(runner->bell);
}

void
board_retry_after(struct board_runner *runner, uint32_t place, int64_t ms)
{
    runner->board->memory->places[place].retry_ms = ms;
}

enum ring_cancel
board_cancelled(const struct board_runner *runner, uint32_t place)
{
    return (enum ring_cancel)atomic_load_explicit(
        &runner->board->memory->places[place].cancel, memory_order_relaxed);
}

void
board_progress_write(struct board_runner *runner, uint32_t at, int64_t done,
                     int64_t total, struct str text)
{
    ring_report_write(&runner->board->memory->places[at].report, at, done,
                      total, text);
}

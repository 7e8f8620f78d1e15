/* Ids: names are checked by one table of characters; a ULID is 128 bits, five
 * at a time from the left, with two zero bits in front. */
#include "queue/job/id.h"

#include <assert.h>

#include "base/clock.h"
#include "base/random.h"

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void
encode(const unsigned char bits[16], char dst[ID_ULID_LEN + 1])
{
    /* 26 characters hold 130 bits: the first one has three. Each of the others
     * lies within two bytes. */
    dst[0] = crockford[bits[0] >> 5];
    for (int i = 1; i < ID_ULID_LEN; i++) {
        int first = i * 5 - 2, at = first / 8;
        unsigned pair = (unsigned)bits[at] << 8 | (at < 15 ? bits[at + 1] : 0);

        dst[i] = crockford[pair >> (11 - first % 8) & 31];
    }
    dst[ID_ULID_LEN] = '\0';
}

static void
put_time(unsigned char bits[16], int64_t ms)
{
    for (int i = 0; i < 6; i++)
        bits[i] = (unsigned char)((uint64_t)ms >> (40 - 8 * i));
}

/* Adds one to the random part; false when it wraps. */
static bool
increment(unsigned char bits[16])
{
    for (int i = 15; i >= 6; i--)
        if (++bits[i] != 0)
            return true;
    return false;
}

void
id_make(char dst[ID_ULID_LEN + 1])
{
    static _Thread_local unsigned char last[16];
    static _Thread_local int64_t last_ms;
    int64_t now = clock_wall_ms();

    /* A clock that steps back must not break the order within a process. */
    if (now > last_ms || !increment(last)) {
        last_ms = now > last_ms ? now : last_ms + 1;
        put_time(last, last_ms);
        random_bytes(last + 6, 10);
        last[6] &= 0x7f; /* room to count up within the millisecond */
    }
    encode(last, dst);
}

void
id_derive(const unsigned char seed[16], uint32_t index,
          char dst[ID_ULID_LEN + 1])
{
    unsigned char bits[16];
    uint64_t carry = index;

    memcpy(bits, seed, sizeof bits);
    for (int i = 15; i >= 6; i--) {
        carry += bits[i];
        bits[i] = (unsigned char)carry;
        carry >>= 8;
    }
    encode(bits, dst);
}

void
id_derive_at(const unsigned char seed[16], int64_t at_ms,
             char dst[ID_ULID_LEN + 1])
{
    unsigned char bits[16];

    memcpy(bits, seed, sizeof bits);
    put_time(bits, at_ms);
    encode(bits, dst);
}

static bool
is_name_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-' || c == ':' ||
           c == '.';
}

static bool
is_name(struct str s, size_t max)
{
    if (s.n == 0 || s.n > max)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_name_char((unsigned char)s.p[i]))
            return false;
    return true;
}

bool
id_queue_valid(struct str name)
{
    return is_name(name, ID_QUEUE_MAX);
}

bool
id_task_valid(struct str name)
{
    return is_name(name, ID_TASK_MAX);
}

bool
id_local_valid(struct str local)
{
    struct str rest;

    str_cut(local, '.', &rest);
    return is_name(local, ID_LOCAL_MAX) && !rest.p;
}

enum status
id_split(struct str id, struct job_id *ret, struct error *err)
{
    const char *dot = id.n ? memrchr(id.p, '.', id.n) : NULL;

    if (!dot)
        return error_set(err, ST_INVALID,
                         "a job id is <queue>.<id>, and there is no dot in it");
    struct job_id found = {
        .queue = str_from(id.p, (size_t)(dot - id.p)),
        .local = str_skip(id, (size_t)(dot - id.p) + 1),
    };
    if (!id_queue_valid(found.queue) || !id_local_valid(found.local))
        return error_set(err, ST_INVALID,
                         "a job id is <queue>.<id>, each 1 to 64 characters of "
                         "A-Z a-z 0-9 _ : - (and dots in the queue's name)");
    *ret = found;
    return ST_OK;
}

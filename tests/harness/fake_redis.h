/* fake_redis.h - a Redis that follows a script, for what a real one does only
 * once in a while: cut replies, single bytes, silence, odd errors.
 *
 * A thread serves one connection after the other on a unix socket in a
 * directory of its own, or on a TCP port of 127.0.0.1, as the steps say. A step
 * that does not go as written ends the script; fake_redis_end() returns what
 * was wrong. Each step takes at most FAKE_REDIS_STEP_S. */
#ifndef HARNESS_FAKE_REDIS_H
#define HARNESS_FAKE_REDIS_H

#include <stdbool.h>
#include <stdint.h>

enum { FAKE_REDIS_STEP_S = 10 };

enum fake_redis_kind {
    FAKE_END,    /* ends the script; the listening socket stays */
    FAKE_ACCEPT, /* waits for a connection and closes the one before */
    FAKE_UP,     /* FAKE_ACCEPT, and answers PING: a whole greeting */
    FAKE_EXPECT, /* one command; its words, joined by a space, are text */
    FAKE_SKIP,   /* n commands, whatever they are */
    FAKE_SEND,   /* text as it stands */
    FAKE_DRIP,   /* the same, byte by byte */
    FAKE_REPEAT, /* reads n commands, answers each with text */
    FAKE_WAIT,   /* for fake_redis_go() */
    FAKE_SINK,   /* takes n bytes in and looks at nothing */
    FAKE_CLOSE,  /* in order */
    FAKE_RESET,  /* by RST; TCP only */
    FAKE_EOF,    /* waits until the client closes */
    FAKE_REFUSE, /* stops listening until the next FAKE_ACCEPT */
};

struct fake_redis_step {
    enum fake_redis_kind kind;
    const char *text;
    uint32_t n;
};

struct fake_redis;

/* @steps ends with FAKE_END and lives until fake_redis_end(). Never NULL. */
struct fake_redis *fake_redis_start(const struct fake_redis_step *steps,
                                    bool tcp);
/* "/tmp/.../s", or "" with TCP. */
const char *fake_redis_path(const struct fake_redis *fake);
uint16_t fake_redis_port(const struct fake_redis *fake);
void fake_redis_go(struct fake_redis *fake);
/* True when the script is through, or went wrong. */
bool fake_redis_done(struct fake_redis *fake);
/* Waits for the end of the script and frees it. Lends "" or what went wrong,
 * until the next call. */
const char *fake_redis_end(struct fake_redis *fake);

#endif

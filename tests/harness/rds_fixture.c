/* The fixture: cmocka's assertions on the test's own stack only. */
#include "harness/rds_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

enum { WORDS_MAX = 16 };

static void
state_cb(struct rds *rds, bool up, void *arg)
{
    struct rds_fixture *fixture = arg;

    (void)rds;
    if (up)
        fixture->came_up++;
    else
        fixture->went_down++;
}

void
rds_fixture_connect(struct rds_fixture *fixture, const char *url,
                    const struct rds_options *options)
{
    struct rds_options full = options ? *options : (struct rds_options){0};
    struct error err = {0};

    if (!fixture->loop)
        fixture->loop = loop_new(NULL);
    full.url = url;
    full.on_state = state_cb;
    full.arg = fixture;
    enum status st = rds_new(fixture->loop, &full, &fixture->rds, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(st, ST_OK);
}

void
rds_fixture_begin(struct rds_fixture *fixture,
                  const struct fake_redis_step *steps,
                  const struct rds_options *options)
{
    *fixture = (struct rds_fixture){0};
    fixture->fake = fake_redis_start(steps, false);
    snprintf(fixture->url, sizeof fixture->url, "unix://%s",
             fake_redis_path(fixture->fake));
    rds_fixture_connect(fixture, fixture->url, options);
}

void
rds_fixture_begin_tcp(struct rds_fixture *fixture,
                      const struct fake_redis_step *steps)
{
    *fixture = (struct rds_fixture){0};
    fixture->fake = fake_redis_start(steps, true);
    snprintf(fixture->url, sizeof fixture->url, "redis://localhost:%u",
             (unsigned)fake_redis_port(fixture->fake));
    rds_fixture_connect(fixture, fixture->url, NULL);
}

static void
turn_until(struct rds_fixture *fixture,
           bool (*done)(struct rds_fixture *, void *), void *arg)
{
    int64_t end_ms = clock_mono_ms() + FIXTURE_DEADLINE_MS;

    while (!done(fixture, arg)) {
        if (clock_mono_ms() > end_ms)
            fail_msg("waited %d ms; Redis: \"%s\"", FIXTURE_DEADLINE_MS,
                     rds_last_error(fixture->rds));
        loop_turn(fixture->loop, 5);
    }
}

static bool
script_done(struct rds_fixture *fixture, void *arg)
{
    (void)arg;
    return fake_redis_done(fixture->fake);
}

static bool
is_up(struct rds_fixture *fixture, void *arg)
{
    return rds_up(fixture->rds) == *(bool *)arg;
}

static bool
is_settled(struct rds_fixture *fixture, void *arg)
{
    (void)fixture;
    return ((struct rds_seen *)arg)->settled > 0;
}

void
rds_fixture_wait_up(struct rds_fixture *fixture)
{
    turn_until(fixture, is_up, &(bool){true});
}

void
rds_fixture_wait_down(struct rds_fixture *fixture)
{
    turn_until(fixture, is_up, &(bool){false});
}

void
rds_fixture_wait_script(struct rds_fixture *fixture)
{
    turn_until(fixture, script_done, NULL);
}

static bool
has_error(struct rds_fixture *fixture, void *arg)
{
    return strstr(rds_last_error(fixture->rds), *(const char **)arg) != NULL;
}

void
rds_fixture_wait_error(struct rds_fixture *fixture, const char *words)
{
    turn_until(fixture, has_error, &words);
}

void
rds_fixture_end(struct rds_fixture *fixture)
{
    if (fixture->fake)
        rds_fixture_wait_script(fixture);
    rds_free(fixture->rds);
    loop_turn(fixture->loop, 0);
    loop_free(fixture->loop);
    if (fixture->fake)
        assert_string_equal(fake_redis_end(fixture->fake), "");
    *fixture = (struct rds_fixture){0};
}

static void
settled_cb(struct op *op)
{
    struct rds_seen *seen = op->arg;

    seen->settled++;
    seen->status = op->status;
}

static int
split(const char *words, const char **argv, size_t *argv_len)
{
    int argc = 0;

    for (;;) {
        const char *end = strchrnul(words, ' ');
        assert_true(argc < WORDS_MAX);
        argv[argc] = words;
        argv_len[argc++] = (size_t)(end - words);
        if (!*end)
            return argc;
        words = end + 1;
    }
}

void
rds_fixture_send(struct rds_fixture *fixture, struct rds_seen *seen,
                 const char *words)
{
    const char *argv[WORDS_MAX];
    size_t argv_len[WORDS_MAX];
    int argc = split(words, argv, argv_len);

    seen->settled = 0;
    rds_send(fixture->rds, &seen->call, argc, argv, argv_len, settled_cb, seen);
    assert_int_equal(seen->settled, 0); /* never from inside */
}

void
rds_fixture_send_script(struct rds_fixture *fixture, struct rds_seen *seen,
                        const struct rds_script *script, int nkeys,
                        const char *words)
{
    const char *argv[WORDS_MAX];
    size_t argv_len[WORDS_MAX];
    int argc = split(words, argv, argv_len);

    seen->settled = 0;
    rds_send_script(fixture->rds, &seen->call, script, nkeys, argc, argv,
                    argv_len, settled_cb, seen);
}

enum status
rds_fixture_wait(struct rds_fixture *fixture, struct rds_seen *seen)
{
    turn_until(fixture, is_settled, seen);
    assert_int_equal(seen->settled, 1);
    assert_int_equal(seen->status, seen->call.op.status);
    return seen->status;
}

enum status
rds_fixture_ask(struct rds_fixture *fixture, struct rds_seen *seen,
                const char *words)
{
    rds_fixture_send(fixture, seen, words);
    return rds_fixture_wait(fixture, seen);
}

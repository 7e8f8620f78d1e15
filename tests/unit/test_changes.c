/* changes.h without a Redis: who hears what, who is too slow, who is left
 * behind; and which ids a history begins behind. */
#include "queue/changes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "async/co/co.h"
#include "base/log.h"

struct scene {
    struct loop *loop;
    struct changes *changes;
    struct changes_listener all, mail, one;
    struct buf heard;
};

static enum status
join(struct co *co, void *arg)
{
    struct scene *s = arg;

    enum status st =
        changes_join(co, s->changes, STR_NULL, STR_NULL, &s->all, NULL);
    if (st == ST_OK)
        st =
            changes_join(co, s->changes, STR("mail"), STR_NULL, &s->mail, NULL);
    return st == ST_OK ? changes_join(co, s->changes, STR("mail"), STR("a"),
                                      &s->one, NULL)
                       : st;
}

static int
set_up(void **state)
{
    struct scene *s = xcalloc(1, sizeof *s);

    s->loop = loop_new(NULL);
    s->changes = changes_new(s->loop, NULL, NULL);
    buf_init(&s->heard, CHANGES_PENDING_MAX);
    assert_int_equal(co_run(s->loop, "join", join, s), ST_OK);
    *state = s;
    return 0;
}

static int
tear_down(void **state)
{
    struct scene *s = *state;

    changes_free(s->changes);
    changes_leave(&s->all); /* also when they are gone */
    changes_leave(&s->mail);
    changes_leave(&s->one);
    buf_clear(&s->heard);
    loop_free(s->loop);
    free(s);
    return 0;
}

struct asking {
    struct scene *s;
    struct changes_listener *listener;
};

static enum status
ask(struct co *co, void *arg)
{
    struct asking *asking = arg;

    buf_reset(&asking->s->heard);
    return changes_next(co, asking->listener, 0, &asking->s->heard);
}

static enum status
hear(struct scene *s, struct changes_listener *listener)
{
    struct asking asking = {s, listener};

    return co_run(s->loop, "ask", ask, &asking);
}

static size_t
count(const struct scene *s)
{
    struct str rest = buf_str(&s->heard);
    struct state_change change;
    size_t n = 0;

    while (changes_read(&rest, &change))
        n++;
    return n;
}

static void
test_each_hears_its_own(void **state)
{
    struct scene *s = *state;
    struct state_change change;

    changes_tell(s->changes, STR("mail"), STR("7-1"), STR("a N 0\nb R 1\n"));
    changes_tell(s->changes, STR("disk"), STR("8-1"), STR("a S 2\n"));
    assert_int_equal(hear(s, &s->one), ST_OK);
    assert_int_equal(count(s), 1);
    assert_int_equal(hear(s, &s->mail), ST_OK);
    assert_int_equal(count(s), 2);
    assert_int_equal(hear(s, &s->all), ST_OK);
    assert_int_equal(count(s), 3);
    struct str rest = buf_str(&s->heard);
    assert_true(changes_read(&rest, &change) && changes_read(&rest, &change));
    assert_true(changes_read(&rest, &change));
    assert_true(str_eq_c(change.queue, "disk") && str_eq_c(change.id, "8-1"));
    assert_true(str_eq_c(change.local, "a") && str_eq_c(change.code, "S"));
    assert_int_equal(change.attempt, 2);
    assert_false(changes_read(&rest, &change));
    assert_int_equal(hear(s, &s->all), ST_TIMEOUT);
    assert_int_equal(count(s), 0);
}

static void
test_who_is_slow_goes_on_hearing(void **state)
{
    struct scene *s = *state;

    for (int i = 0; i < CHANGES_PENDING_MAX / 8; i++)
        changes_tell(s->changes, STR("disk"), STR("8-1"), STR("a S 2\n"));
    assert_int_equal(hear(s, &s->all), ST_LIMIT);
    assert_int_equal(hear(s, &s->all), ST_TIMEOUT);
    assert_int_equal(hear(s, &s->mail), ST_TIMEOUT); /* not its affair */
    changes_tell(s->changes, STR("disk"), STR("8-2"), STR("a D 2\n"));
    assert_int_equal(hear(s, &s->all), ST_OK);
    assert_int_equal(count(s), 1);
}

static void
test_ids(void **state)
{
    static const char *const valid[] = {"1", "0-0", "1764072000000-12"};
    static const char *const others[] = {
        "",
        "-",
        "1-",
        "-1",
        "a",
        "1-a",
        "1-1-1",
        "1 1",
        "+1-1",
        "1.5",
        "1764072000000-12:end",
        "111111111111111111111-1111111111111111111111111111111111"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(valid); i++)
        assert_true(changes_id_valid(str_c(valid[i])));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (changes_id_valid(str_c(others[i])))
            fail_msg("\"%s\"", others[i]);
    assert_false(changes_id_valid(STR_NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_hears_its_own, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_who_is_slow_goes_on_hearing,
                                        set_up, tear_down),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

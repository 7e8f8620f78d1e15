/* Random bytes: no repeats, above all not across fork() and threads. */
#include "base/random.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ID_SIZE = 10, IDS = 20000 };

static int
compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, ID_SIZE);
}

static void
test_ids_are_unique(void **state)
{
    static unsigned char ids[IDS][ID_SIZE];

    (void)state;
    for (size_t i = 0; i < IDS; i++)
        random_bytes(ids[i], ID_SIZE);
    qsort(ids, IDS, ID_SIZE, compare_ids);
    for (size_t i = 1; i < IDS; i++)
        assert_memory_not_equal(ids[i - 1], ids[i], ID_SIZE);
}

static void
test_every_byte_is_filled(void **state)
{
    static const size_t sizes[] = {0, 1, 511, 512, 513, 2000};
    unsigned char bytes[2001], seen[2001];

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        memset(seen, 0, sizeof seen);
        /* A byte that stays 0 for 64 draws is not drawn at all. */
        for (int round = 0; round < 64; round++) {
            memset(bytes, 0, sizeof bytes);
            random_bytes(bytes, sizes[s]);
            for (size_t i = 0; i < sizeof seen; i++)
                seen[i] |= bytes[i];
        }
        for (size_t i = 0; i < sizeof seen; i++)
            assert_int_equal(seen[i] != 0, i < sizes[s]);
    }
}

static void
test_fork_shares_nothing(void **state)
{
    unsigned char ours[ID_SIZE], theirs[ID_SIZE];
    int ends[2];

    (void)state;
    random_bytes(ours, sizeof ours); /* leaves a filled pool behind */
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        random_bytes(theirs, sizeof theirs);
        _exit(write(ends[1], theirs, sizeof theirs) != sizeof theirs);
    }
    random_bytes(ours, sizeof ours);
    assert_int_equal(read(ends[0], theirs, sizeof theirs), sizeof theirs);
    waitpid(pid, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    assert_memory_not_equal(ours, theirs, sizeof ours);
}

enum { THREADS = 4 };
static unsigned char drawn[THREADS * IDS][ID_SIZE];
static pthread_barrier_t start;

static void *
draw_cb(void *first)
{
    unsigned char(*ids)[ID_SIZE] = first;

    pthread_barrier_wait(&start);
    for (size_t i = 0; i < IDS; i++)
        random_bytes(ids[i], ID_SIZE);
    return NULL;
}

static void
test_threads_share_nothing(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, draw_cb, &drawn[i * IDS]), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
    qsort(drawn, THREADS * IDS, ID_SIZE, compare_ids);
    for (size_t i = 1; i < THREADS * IDS; i++)
        assert_memory_not_equal(drawn[i - 1], drawn[i], ID_SIZE);
}

static void
test_double_is_uniform_below_one(void **state)
{
    int bins[10] = {0};

    (void)state;
    for (int i = 0; i < 20000; i++) {
        double d = random_double();
        assert_true(d >= 0 && d < 1);
        bins[(int)(d * 10)]++;
    }
    /* Expected 2,000 each, standard deviation 42. */
    for (int i = 0; i < 10; i++)
        assert_in_range(bins[i], 1700, 2300);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_unique),
        cmocka_unit_test(test_every_byte_is_filled),
        cmocka_unit_test(test_fork_shares_nothing),
        cmocka_unit_test(test_threads_share_nothing),
        cmocka_unit_test(test_double_is_uniform_below_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

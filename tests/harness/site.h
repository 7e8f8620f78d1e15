/* site.h - an application with every kind of view, middleware and task, and its
 * test client.
 *
 * A test's *state is its struct pit_test. Who uses it includes pit/test.h too,
 * which is what links the client. */
#ifndef HARNESS_SITE_H
#define HARNESS_SITE_H

#include "pit/test.h"

/* What the last await of a view that sleeps came back with. */
extern enum pit_status site_seen;

/* Of a program: the folder with the files that are served, in /tmp. */
int site_set_up_all(void **state);
int site_tear_down_all(void **state);

int site_set_up(void **state);
int site_tear_down(void **state);

/* A row of cmocka's table: a test with a client of its own. */
#define SITE_TEST(fn) \
    cmocka_unit_test_setup_teardown(fn, site_set_up, site_tear_down)

void site_expect(const struct pit_test_answer *answer, int status,
                 const char *body);
/* A problem document with these words in it. */
void site_expect_problem(const struct pit_test_answer *answer, int status,
                         const char *words);

#endif

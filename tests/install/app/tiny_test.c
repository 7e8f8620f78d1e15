/* What a test of an application looks like. */
#include <pit/test.h>

#include <assert.h>
#include <string.h>

extern const struct pit_app pit_app;

int
main(void)
{
    struct pit_test *test = pit_test_new(&pit_app);
    const struct pit_test_answer *answer = pit_test_get(test, "/");
    const struct pit_test_job *job =
        pit_test_run(test, "tiny.double", "{\"n\": 21}");

    assert(answer->status == 200 && strcmp(answer->body, "tiny") == 0);
    assert(strcmp(job->result, "{\"twice\":42}") == 0);
    pit_test_free(test);
    return 0;
}

/* The job document, read back with an independent parser. */
#include "app/document/job_json.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *const members[] = {
    "id",         "task",       "queue",  "state",      "priority", "tags",
    "args",       "result",     "error",  "attempt",    "retries",  "crashes",
    "progress",   "created_at", "run_at", "started_at", "ended_at", "worker",
    "request_id", "attempts",   "links",
};

static json_t *
parse(struct buf *text)
{
    json_error_t why;
    json_t *document =
        json_loadb(text->p, text->len, JSON_REJECT_DUPLICATES, &why);

    if (!document)
        fail_msg("%s in %.*s", why.text, (int)text->len, text->p);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (!json_object_get(document, members[i]))
            fail_msg("%s is missing", members[i]);
    assert_int_equal(json_object_size(document), ARRAY_LEN(members));
    buf_clear(text);
    return document;
}

static const char *
text_at(const json_t *document, const char *key)
{
    return json_string_value(json_object_get(document, key));
}

static void
make_spec(struct job_spec *spec)
{
    job_spec_init(spec);
    spec->queue = STR("mail");
    spec->task = STR("noop");
    spec->local = STR("one");
}

static void
test_new_job(void **state)
{
    struct job_spec spec;
    struct buf text;

    (void)state;
    make_spec(&spec);
    spec.args = STR("{\"top\":20}");
    spec.tags = STR("a,b");
    buf_init(&text, 8192);
    job_json_write_new(&spec, STR("one"), INT64_C(1798844400123), &text);
    assert_true(text.len <= job_json_size_new(&spec));
    json_t *document = parse(&text);
    assert_string_equal(text_at(document, "id"), "mail.one");
    assert_string_equal(text_at(document, "state"), "ready");
    assert_string_equal(text_at(document, "created_at"),
                        "2027-01-01T23:00:00.123Z");
    assert_int_equal(json_array_size(json_object_get(document, "tags")), 2);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(document, "args"), "top")),
                     20);
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(document, "links"), "result")),
                        "/v1/jobs/mail.one/result");
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(document, "links"), "events")),
                        "/v1/jobs/mail.one/events");
    json_decref(document);
}

static void
test_new_job_of_the_largest_names_fits(void **state)
{
    static const char tag[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    char tags[JOB_TAGS_MAX * (JOB_TAG_LEN_MAX + 1)];
    struct job_spec spec;
    struct buf text;
    size_t len = 0;

    (void)state;
    make_spec(&spec);
    for (int i = 0; i < JOB_TAGS_MAX; i++) {
        if (i > 0)
            tags[len++] = ',';
        memcpy(tags + len, tag, JOB_TAG_LEN_MAX);
        len += JOB_TAG_LEN_MAX;
    }
    spec.queue = spec.task = str_from(tag, ID_QUEUE_MAX);
    spec.tags = str_from(tags, len);
    spec.delay_ms = 1;
    buf_init(&text, 1 << 16);
    job_json_write_new(&spec, str_from(tag, ID_LOCAL_MAX),
                       INT64_C(1798844400123), &text);
    assert_true(text.len <= job_json_size_new(&spec));
    json_decref(parse(&text));
}

static void
test_delayed_job_is_scheduled(void **state)
{
    struct job_spec spec;
    struct buf text;

    (void)state;
    make_spec(&spec);
    spec.delay_ms = 1000;
    buf_init(&text, 8192);
    job_json_write_new(&spec, STR("one"), INT64_C(1798844400123), &text);
    json_t *document = parse(&text);
    assert_string_equal(text_at(document, "state"), "scheduled");
    assert_string_equal(text_at(document, "run_at"),
                        "2027-01-01T23:00:01.123Z");
    json_decref(document);
}

static void
make_dead(struct job_view *view)
{
    *view = (struct job_view){.state = JOB_DEAD, .created_ms = 1000};
    make_spec(&view->spec);
    view->history.attempt = 2;
    view->history.retries = 1;
    view->history.ended_ms = 5000;
    view->history.worker = STR("w1/3");
    view->history.attempts_len = 2;
    view->history.attempts[0] = (struct job_attempt){
        .number = 1,
        .outcome = OUTCOME_CRASHED,
        .started_ms = 2000,
        .ended_ms = 3000,
        .worker = STR("w1/2"),
        .message = STR("\"signal 11 (SIGSEGV)\""),
    };
    view->history.attempts[1] = (struct job_attempt){
        .number = 2,
        .outcome = OUTCOME_FAILED,
        .started_ms = 4000,
        .ended_ms = 5000,
        .worker = STR("w1/3"),
        .message = STR("\"no \\\"such\\\" file\""),
    };
}

static void
test_dead_job_says_why(void **state)
{
    struct job_view view;
    struct buf text;

    (void)state;
    make_dead(&view);
    buf_init(&text, 8192);
    job_json_write(&view, &text);
    json_t *document = parse(&text);
    const json_t *error = json_object_get(document, "error");
    assert_string_equal(text_at(document, "state"), "dead");
    assert_string_equal(text_at(error, "cause"), "failed");
    assert_string_equal(text_at(error, "message"), "no \"such\" file");
    const json_t *first =
        json_array_get(json_object_get(document, "attempts"), 0);
    assert_string_equal(text_at(first, "outcome"), "crashed");
    assert_string_equal(text_at(first, "cause"), "signal 11 (SIGSEGV)");
    assert_string_equal(text_at(first, "started_at"),
                        "1970-01-01T00:00:02.000Z");
    json_decref(document);
}

/* What another program wrote may be anything; the document stays JSON. */
static void
test_rubbish_becomes_null(void **state)
{
    struct job_view view;
    struct buf text;

    (void)state;
    make_dead(&view);
    view.state = JOB_SUCCEEDED;
    view.result = STR("{\"half\":");
    view.progress = STR("1}, \"x\": {2");
    view.spec.args = STR("nul");
    view.created_ms = INT64_MAX;
    view.history.worker = STR("a\"b\n");
    view.history.attempts[1].message = STR("\"\", 1");
    buf_init(&text, 8192);
    job_json_write(&view, &text);
    json_t *document = parse(&text);
    assert_true(json_is_null(json_object_get(document, "result")));
    assert_true(json_is_null(json_object_get(document, "progress")));
    assert_true(json_is_null(json_object_get(document, "args")));
    assert_true(json_is_null(json_object_get(document, "created_at")));
    assert_true(json_is_null(json_object_get(document, "error")));
    assert_string_equal(text_at(document, "worker"), "a\"b\n");
    json_decref(document);
}

static void
test_etag_changes_with_the_job(void **state)
{
    char before[JOB_JSON_ETAG_SIZE], after[JOB_JSON_ETAG_SIZE];
    struct job_view view;

    (void)state;
    make_dead(&view);
    job_json_etag(&view, before);
    job_json_etag(&view, after);
    assert_string_equal(before, after);
    assert_int_equal(strlen(before), 18);
    view.progress = STR("{\"done\":1}");
    job_json_etag(&view, after);
    assert_string_not_equal(before, after);
    make_dead(&view);
    view.state = JOB_RETRYING;
    job_json_etag(&view, after);
    assert_string_not_equal(before, after);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_job),
        cmocka_unit_test(test_new_job_of_the_largest_names_fits),
        cmocka_unit_test(test_delayed_job_is_scheduled),
        cmocka_unit_test(test_dead_job_says_why),
        cmocka_unit_test(test_rubbish_becomes_null),
        cmocka_unit_test(test_etag_changes_with_the_job),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

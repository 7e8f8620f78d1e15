/* Scripts: what upstreams, the mail server and Redis say in a test, and what
 * they were told. */
#include <stdio.h>
#include <strings.h>

#include "async/curl/fetch.h"
#include "client_private.h"

struct rule {
    struct list link;
    const char *method;
    size_t method_len;
    const char *url;
    bool prefix; /* url was followed by '*' */
    struct pit_test_reply reply;
    const char *fields; /* each ends in NUL */
    size_t fields_len;
    int used;
};

struct fetched {
    struct list link;
    struct pit_test_fetch public;
};

struct mailed {
    struct list link;
    struct pit_test_mail public;
};

struct redis_reply {
    struct list link;
    const char *command;
    struct pit_redis_value value;
};

void
scripts_init(struct pit_test *test)
{
    pthread_mutex_init(&test->fetch_lock, NULL);
    list_init(&test->rules);
    list_init(&test->fetches);
    list_init(&test->mails);
    list_init(&test->replies);
}

static struct list *
nth(const struct list *head, size_t n)
{
    for (struct list *link = head->next; link != head; link = link->next)
        if (n-- == 0)
            return link;
    return NULL;
}

/* ---- fetch ---- */

void
pit_test_upstream(struct pit_test *test, const char *what,
                  const struct pit_test_reply *reply)
{
    struct rule *rule = client_alloc(test, sizeof *rule);
    const char *url = strchr(what, ' ');
    struct buf fields;

    if (!url)
        client_give_up("an upstream is \"METHOD URL\", not \"%s\"", what);
    *rule = (struct rule){.reply = *reply};
    rule->method_len = (size_t)(url - what);
    rule->method = client_copy_n(test, what, rule->method_len);
    size_t n = strlen(url + 1);
    rule->prefix = n > 0 && url[n] == '*';
    rule->url = client_copy_n(test, url + 1, n - rule->prefix);
    if (!reply->content_len && reply->content)
        rule->reply.content_len = strlen(reply->content);
    rule->reply.content =
        client_copy_n(test, reply->content, rule->reply.content_len);
    buf_init(&fields, FETCH_HEADERS_MAX);
    for (size_t i = 0; reply->headers && reply->headers[i]; i++)
        buf_add(&fields, reply->headers[i], strlen(reply->headers[i]) + 1);
    rule->fields = client_copy_n(test, fields.p, fields.len);
    rule->fields_len = fields.len;
    buf_clear(&fields);
    pthread_mutex_lock(&test->fetch_lock);
    list_prepend(&test->rules, &rule->link);
    pthread_mutex_unlock(&test->fetch_lock);
}

static void
note_fetch(struct pit_test *test, const struct fetch_options *o,
           const char *method)
{
    struct fetched *fetched = client_alloc(test, sizeof *fetched);
    struct buf headers;

    buf_init(&headers, FETCH_HEADERS_MAX);
    for (size_t i = 0; o->headers && o->headers[i]; i++)
        buf_addf(&headers, "%s\n", o->headers[i]);
    fetched->public = (struct pit_test_fetch){
        .method = client_copy(test, method),
        .url = client_copy(test, o->url),
        .headers = client_copy_n(test, headers.p, headers.len),
        .body = client_copy_n(test, o->body, o->body_len),
        .body_len = o->body_len,
    };
    buf_clear(&headers);
    list_append(&test->fetches, &fetched->link);
}

static struct rule *
find_rule(struct pit_test *test, const char *method, const char *url)
{
    LIST_FOREACH (link, &test->rules) {
        struct rule *rule = LIST_ENTRY(link, struct rule, link);
        size_t n = strlen(rule->url);
        if (strcmp(rule->method, method) == 0 &&
            strncmp(rule->url, url, n) == 0 && (rule->prefix || !url[n]) &&
            (rule->reply.times == 0 || rule->used < rule->reply.times))
            return rule;
    }
    return NULL;
}

/* Notes the fetch and finds what answers it. NULL: nothing does. */
static struct rule *
take_rule(struct pit_test *test, const struct fetch_options *o)
{
    const char *method = o->method ? o->method : o->body ? "POST" : "GET";

    pthread_mutex_lock(&test->fetch_lock);
    note_fetch(test, o, method);
    struct rule *rule = find_rule(test, method, o->url);
    if (rule)
        rule->used++;
    pthread_mutex_unlock(&test->fetch_lock);
    return rule;
}

static enum status
no_rule(struct fetch *fetch, const struct fetch_options *o)
{
    return error_set(&fetch->err, ST_UNAVAILABLE,
                     "no pit_test_upstream() for %s %s",
                     o->method ? o->method
                     : o->body ? "POST"
                               : "GET",
                     o->url);
}

static bool
is_late(const struct rule *rule, const struct fetch_options *o)
{
    return rule->reply.delay_ms >
           (o->timeout_ms > 0 ? o->timeout_ms : FETCH_TIMEOUT_MS);
}

/* The reply, when its time has come. */
static enum status
give_reply(struct fetch *fetch, const struct fetch_options *o,
           const struct rule *rule, enum status st)
{
    const struct pit_test_reply *reply = &rule->reply;
    size_t max = o->body_max ? o->body_max : FETCH_BODY_MAX;

    if (st == ST_OK && is_late(rule, o))
        st = ST_TIMEOUT;
    if (st == ST_OK)
        st = (enum status)reply->status;
    if (st == ST_OK && reply->content_len > max)
        st = ST_TOO_LARGE;
    if (st != ST_OK)
        return error_set(&fetch->err, st, "fetch: %s", status_name(st));
    fetch->code = reply->code ? reply->code : 200;
    buf_init(&fetch->body, max + 1);
    buf_add(&fetch->body, reply->content, reply->content_len + 1);
    fetch->body.len--;
    buf_init(&fetch->fields, FETCH_HEADERS_MAX);
    buf_add(&fetch->fields, rule->fields, rule->fields_len);
    return ST_OK;
}

enum pit_status
scripts_fetch(struct co *co, struct fetch *fetch, const struct fetch_options *o)
{
    struct rule *rule = take_rule(client_of(co), o);

    if (!rule)
        return (enum pit_status)no_rule(fetch, o);
    enum status st = co_sleep(co, !is_late(rule, o)   ? rule->reply.delay_ms
                                  : o->timeout_ms > 0 ? o->timeout_ms
                                                      : FETCH_TIMEOUT_MS);
    return (enum pit_status)give_reply(fetch, o, rule, st);
}

enum pit_status
scripts_fetch_blocking(struct fetch *fetch, const struct fetch_options *o)
{
    struct rule *rule = take_rule(client_newest(), o);

    return (enum pit_status)(rule ? give_reply(fetch, o, rule, ST_OK)
                                  : no_rule(fetch, o));
}

const struct pit_test_fetch *
pit_test_fetched(const struct pit_test *test, size_t n)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&test->fetch_lock;

    pthread_mutex_lock(lock);
    struct list *link = nth(&test->fetches, n);
    pthread_mutex_unlock(lock);

    return link ? &LIST_ENTRY(link, struct fetched, link)->public : NULL;
}

/* ---- mail ---- */

enum pit_status
scripts_mail(struct co *co, struct pit_mail *mail)
{
    struct pit_test *test = client_of(co);
    struct mailed *mailed;
    struct buf to;

    if (co_cancelled(co) != ST_OK)
        return (enum pit_status)co_cancelled(co);
    if (test->mail_status != PIT_OK) {
        snprintf(mail->error, sizeof mail->error, "the test's mail server: %s",
                 status_name((enum status)test->mail_status));
        return test->mail_status;
    }
    mailed = client_alloc(test, sizeof *mailed);
    buf_init(&to, 1 << 16);
    for (size_t i = 0; mail->to[i]; i++)
        buf_addf(&to, "%s%s", i ? ", " : "", mail->to[i]);
    mailed->public = (struct pit_test_mail){
        .to = client_copy_n(test, to.p, to.len),
        .from =
            client_copy(test, mail->from ? mail->from : test->mail_server.from),
        .subject = client_copy(test, mail->subject),
        .text = client_copy(test, mail->text),
        .html = client_copy(test, mail->html),
        .message_id = client_copy(test, mail->message_id),
    };
    buf_clear(&to);
    list_append(&test->mails, &mailed->link);
    return PIT_OK;
}

const struct pit_test_mail *
pit_test_mailed(const struct pit_test *test, size_t n)
{
    struct list *link = nth(&test->mails, n);

    return link ? &LIST_ENTRY(link, struct mailed, link)->public : NULL;
}

void
pit_test_mail_status(struct pit_test *test, enum pit_status status)
{
    test->mail_status = status;
}

/* ---- Redis ---- */

static struct redis_reply *
find_reply(struct pit_test *test, const char *command)
{
    LIST_FOREACH (link, &test->replies) {
        struct redis_reply *reply = LIST_ENTRY(link, struct redis_reply, link);
        if (strcmp(reply->command, command) == 0)
            return reply;
    }
    return NULL;
}

void
pit_test_redis_value(struct pit_test *test, const char *command,
                     const struct pit_redis_value *value)
{
    struct redis_reply *reply = find_reply(test, command);

    if (!reply) {
        reply = client_alloc(test, sizeof *reply);
        reply->command = client_copy(test, command);
        list_append(&test->replies, &reply->link);
    }
    reply->value = *value;
}

void
pit_test_redis(struct pit_test *test, const char *command, const char *text)
{
    const struct pit_redis_value value = {
        .type = text ? PIT_REDIS_TEXT : PIT_REDIS_NIL,
        .text = client_copy(test, text),
        .len = text ? strlen(text) : 0,
    };

    pit_test_redis_value(test, command, &value);
}

void
pit_test_redis_status(struct pit_test *test, enum pit_status status)
{
    test->redis_status = status;
}

const struct pit_redis_value *
scripts_redis(struct co *co, size_t n, const char *const *words,
              const size_t *lens, enum pit_status *ret_status,
              struct error *err)
{
    struct pit_test *test = client_of(co);
    enum status st = co_cancelled(co);
    struct redis_reply *reply = NULL;
    struct buf command;

    buf_init(&command, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        buf_add_c(&command, i ? " " : "");
        buf_add(&command, words[i], lens[i]);
    }
    buf_add_char(&command, '\0');
    if (st == ST_OK)
        st = (enum status)test->redis_status;
    if (st != ST_OK)
        (void)error_set(err, st, "the test's Redis: %s", status_name(st));
    else if (command.failed || !(reply = find_reply(test, command.p)))
        st =
            error_set(err, ST_UNAVAILABLE, "no pit_test_redis() for \"%.150s\"",
                      command.failed ? "(too long)" : command.p);
    buf_clear(&command);
    *ret_status = (enum pit_status)st;
    return reply ? &reply->value : NULL;
}

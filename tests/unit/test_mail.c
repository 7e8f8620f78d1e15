/* Mail: the text that leaves, what is refused before, and what each way of a
 * server's failing means. The server is a thread that follows a script. */
#include "async/curl/mail.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "harness/slowness.h"
#include "pit/mail.h"

/* ---- a server ---- */

/* What it does at the first command that begins so, in place of the usual. */
struct script {
    const char *command; /* "RCPT", "." for the end of the text; NULL: never */
    const char *reply;   /* NULL: closes the connection; "": says nothing */
};

struct server {
    int fd;
    char url[64];
    struct script script;
    pthread_t thread;
    char got[1 << 16]; /* all that the client said */
    size_t got_len;
};

static bool
say(int fd, const char *text)
{
    return write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* One line without its CRLF; false at the end. */
static bool
read_line(struct server *s, int fd, char *line, size_t size)
{
    size_t n = 0;
    char c;

    while (read(fd, &c, 1) == 1) {
        if (s->got_len < sizeof s->got - 1)
            s->got[s->got_len++] = c;
        if (c == '\n') {
            line[n > 0 && line[n - 1] == '\r' ? n - 1 : n] = '\0';
            return true;
        }
        if (n < size - 1)
            line[n++] = c;
    }
    return false;
}

static void *
serve(void *arg)
{
    struct server *s = arg;
    char line[2048];
    int fd = accept(s->fd, NULL, NULL);
    bool text = false;

    if (fd < 0)
        return NULL;
    bool go = say(fd, "220 test\r\n");
    while (go && read_line(s, fd, line, sizeof line)) {
        if (text && strcmp(line, ".") != 0)
            continue;
        const char *command = text ? "." : line;
        if (s->script.command && strncmp(command, s->script.command,
                                         strlen(s->script.command)) == 0) {
            if (!s->script.reply)
                break;
            go = say(fd, s->script.reply);
        } else if (strncmp(command, "DATA", 4) == 0) {
            text = true;
            go = say(fd, "354 go\r\n");
            continue;
        } else if (strncmp(command, "QUIT", 4) == 0) {
            say(fd, "221 bye\r\n");
            break;
        } else {
            go = say(fd, "250 ok\r\n");
        }
        text = false;
    }
    close(fd);
    return NULL;
}

static void
server_start(struct server *s, struct script script)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    *s = (struct server){.script = script};
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (void *)&address, sizeof address), 0);
    assert_int_equal(listen(s->fd, 4), 0);
    assert_int_equal(getsockname(s->fd, (void *)&address, &len), 0);
    snprintf(s->url, sizeof s->url, "smtp://127.0.0.1:%d",
             ntohs(address.sin_port));
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void
server_stop(struct server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    s->got[s->got_len] = '\0';
}

/* ---- sending ---- */

static const char *const ada[] = {"ada@example.org", "bob@example.org", NULL};

struct sending {
    struct mail_server server;
    struct mail_message message;
    int64_t timeout_ms;
    int64_t deadline_ms;
    struct error err;
    enum status status;
    struct co *co;
    bool ended;
};

static enum status
run_sending(struct co *co, void *arg)
{
    struct sending *s = arg;

    s->co = co;
    if (s->deadline_ms)
        co_deadline_ms(co, s->deadline_ms);
    s->status = mail_send(co, &s->server, &s->message, s->timeout_ms, &s->err);
    s->ended = true;
    return ST_OK;
}

static struct sending
sending_to(const char *url)
{
    return (struct sending){
        .server = {.url = url},
        .message = {.to = ada,
                    .from = "shop@example.org",
                    .subject = "Hello",
                    .text = "Hi.\n.dot\n",
                    .id = "mail.42"},
    };
}

static enum status
send_one(struct sending *s)
{
    struct loop *loop = loop_new(NULL);

    assert_int_equal(co_run(loop, "test", run_sending, s), ST_OK);
    loop_free(loop);
    return s->status;
}

static void
test_a_mail_arrives(void **state)
{
    struct server server;

    (void)state;
    server_start(&server, (struct script){0});
    struct sending s = sending_to(server.url);
    assert_int_equal(send_one(&s), ST_OK);
    server_stop(&server);
    assert_non_null(strstr(server.got, "MAIL FROM:<shop@example.org>"));
    assert_non_null(strstr(server.got, "RCPT TO:<ada@example.org>"));
    assert_non_null(strstr(server.got, "RCPT TO:<bob@example.org>"));
    assert_non_null(strstr(server.got, "Message-ID: <mail.42@example.org>"));
    assert_non_null(strstr(server.got, "\r\n\r\nHi.\r\n..dot\r\n.\r\n"));
}

static char logged[1024];

static void
keep_line(enum log_level level, const char *message)
{
    (void)level;
    snprintf(logged, sizeof logged, "%s", message);
}

static void
test_a_mail_for_the_log(void **state)
{
    struct sending s = sending_to("log");

    (void)state;
    log_divert(keep_line);
    enum status st = send_one(&s);
    log_divert(NULL);
    assert_int_equal(st, ST_OK);
    assert_non_null(strstr(logged, "mail to bob@example.org: "));
    assert_non_null(strstr(logged, "Hi."));
}

static void
test_failures(void **state)
{
    static const struct {
        struct script script;
        enum status want;
    } rows[] = {
        {{"RCPT", "550 nobody\r\n"}, ST_PERMANENT},
        {{"RCPT", "450 later\r\n"}, ST_UNAVAILABLE},
        {{"MAIL", "552 full\r\n"}, ST_PERMANENT},
        {{".", "554 spam\r\n"}, ST_PERMANENT},
        {{".", "451 later\r\n"}, ST_UNAVAILABLE},
        {{"RCPT", NULL}, ST_UNAVAILABLE},
        {{".", NULL}, ST_UNCLEAR},
        {{"MAIL", ""}, ST_TIMEOUT},
        {{".", ""}, ST_UNCLEAR},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct server server;
        server_start(&server, rows[i].script);
        struct sending s = sending_to(server.url);
        s.timeout_ms = 300 * slowness();
        enum status st = send_one(&s);
        server_stop(&server);
        if (st != rows[i].want)
            fail_msg("row %zu: %s: %s", i, status_name(st), s.err.msg);
        assert_true(s.err.msg[0] != '\0');
    }
    struct sending s = sending_to("smtp://127.0.0.1:1");
    assert_int_equal(send_one(&s), ST_UNAVAILABLE);
}

struct ticks {
    struct loop_timer timer;
    int n;
};

static void
tick(struct loop_timer *timer)
{
    LIST_ENTRY(timer, struct ticks, timer)->n++;
    loop_timer_start(timer->loop, timer, 10, tick);
}

/* Before the text, and when all of it has left: the loop serves others. */
static void
test_a_silent_server_keeps_nobody_waiting(void **state)
{
    static const char *const commands[] = {"MAIL", "DATA", "."};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct loop *loop = loop_new(NULL);
        struct ticks ticks = {.n = 0};
        struct server server;
        server_start(&server, (struct script){commands[i], ""});
        struct sending s = sending_to(server.url);
        s.timeout_ms = 300 * slowness();
        loop_timer_start(loop, &ticks.timer, 10, tick);
        assert_int_equal(co_run(loop, "test", run_sending, &s), ST_OK);
        loop_timer_stop(&ticks.timer);
        assert_true(ticks.n >= 10);
        loop_free(loop);
        server_stop(&server);
        /* One that was given up within is not closed. */
        if (commands[i][0] != '.')
            assert_null(strstr(server.got, "\r\n.\r\n"));
    }
}

/* Nor one that says nothing to the good-bye: the mail has arrived then. */
static void
test_a_good_bye_without_an_answer(void **state)
{
    struct loop *loop = loop_new(NULL);
    struct ticks ticks = {.n = 0};
    struct server server;

    (void)state;
    server_start(&server, (struct script){"QUIT", ""});
    struct sending s = sending_to(server.url);
    s.timeout_ms = 1000 * slowness();
    loop_timer_start(loop, &ticks.timer, 10, tick);
    assert_int_equal(co_run(loop, "test", run_sending, &s), ST_OK);
    loop_timer_stop(&ticks.timer);
    assert_int_equal(s.status, ST_OK);
    assert_true(ticks.n >= 10);
    loop_free(loop);
    server_stop(&server);
    assert_non_null(strstr(server.got, "QUIT\r\n"));
}

static void
test_a_deadline_and_a_cancellation(void **state)
{
    struct server server;

    (void)state;
    server_start(&server, (struct script){"MAIL", ""});
    struct sending s = sending_to(server.url);
    s.deadline_ms = 50;
    assert_int_equal(send_one(&s), ST_TIMEOUT);
    server_stop(&server);

    server_start(&server, (struct script){"MAIL", ""});
    s = sending_to(server.url);
    struct loop *loop = loop_new(NULL);
    assert_int_equal(co_spawn(loop, "test", run_sending, &s, NULL), ST_OK);
    loop_turn(loop, 10);
    co_cancel(s.co, ST_CANCELLED);
    while (!s.ended)
        loop_turn(loop, 100);
    assert_int_equal(s.status, ST_CANCELLED);
    loop_free(loop);
    server_stop(&server);
}

/* ---- the text ---- */

static struct buf
write_message(const struct mail_message *message)
{
    struct error err;
    struct buf text;

    buf_init(&text, MAIL_MESSAGE_MAX);
    if (mail_message_check(message, &err) != ST_OK)
        fail_msg("%s", err.msg);
    mail_message_write(message, &text);
    buf_add_char(&text, '\0');
    assert_false(text.failed);
    return text;
}

static void
test_the_text(void **state)
{
    const struct mail_message message = {
        .to = ada,
        .from = "shop@example.org",
        .from_name = "Räucherei \"Zum Rauch\"",
        .reply_to = "reply@example.org",
        .subject = "Grüße aus der Räucherei, mit einem Betreff, der für eine "
                   "Zeile viel zu lang ist",
        .text = "Schöne Grüße\n",
        .html = "<p>plain ASCII",
        .time_ms = INT64_C(1764000000000),
    };

    (void)state;
    struct buf text = write_message(&message);
    assert_non_null(
        strstr(text.p, "Date: Mon, 24 Nov 2025 16:00:00 +0000\r\n"));
    assert_non_null(strstr(text.p, "From: =?UTF-8?B?"));
    assert_non_null(strstr(text.p, "\r\n <shop@example.org>\r\n"));
    assert_non_null(
        strstr(text.p, "To: ada@example.org,\r\n bob@example.org\r\n"));
    assert_non_null(strstr(text.p, "Reply-To: reply@example.org\r\n"));
    assert_non_null(strstr(text.p, "multipart/alternative"));
    assert_non_null(strstr(text.p, "U2Now7ZuZSBHcsO8w59lCg==\r\n"));
    assert_non_null(strstr(text.p, "7bit\r\n\r\n<p>plain ASCII\r\n"));
    /* Every line is short, and of ASCII. */
    size_t line = 0;
    for (const char *c = text.p; *c; c++) {
        assert_true((unsigned char)*c < 0x80);
        line = *c == '\n' ? 0 : line + 1;
        assert_true(line <= 78);
    }
    buf_clear(&text);
}

static void
test_long_lines_are_encoded(void **state)
{
    struct mail_message message = {
        .to = ada, .from = "shop@example.org", .subject = "s"};
    char *long_line = calloc(1, 3001);

    (void)state;
    memset(long_line, 'x', 3000);
    message.text = long_line;
    struct buf text = write_message(&message);
    assert_non_null(strstr(text.p, "base64"));
    buf_clear(&text);
    message.text = "a\rb";
    text = write_message(&message);
    assert_non_null(strstr(text.p, "base64"));
    buf_clear(&text);
    free(long_line);
}

static void
test_refusals(void **state)
{
    static const char *const bad[] = {
        "",           "a",          "@x",    "a@",     "a@b@c",   "a b@c",
        "a\r\nb@c.d", "<a@b>",      "a@b>",  "a,b@c",  "\"a\"@b", "a@[1.2.3.4]",
        "a..b@c",     ".a@b",       "a.@b",  "a@b..c", "-a@b",    "a@-b",
        "a\x7f@b",    "\xc3\xa9@b", "a@b\n", "a@b c",  "a(c)@b",  "a;b@c"};
    const char *to[] = {NULL, NULL};
    char local[80] = "", domain[300] = "a@";
    struct mail_message good = {
        .to = ada, .from = "shop@example.org", .text = "x"};
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (mail_message_check_address(bad[i], "to", &err) != ST_INVALID)
            fail_msg("taken: %s", bad[i]);
    memset(local, 'a', 65);
    memcpy(local + 65, "@b", 3);
    assert_int_equal(mail_message_check_address(local, "to", &err), ST_INVALID);
    assert_int_equal(mail_message_check_address(local + 1, "to", &err), ST_OK);
    memset(domain + 2, 'b', 260);
    assert_int_equal(mail_message_check_address(domain, "to", &err),
                     ST_INVALID);

    assert_int_equal(mail_message_check(&good, &err), ST_OK);
    struct mail_message m = good;
    m.to = to;
    assert_int_equal(mail_message_check(&m, &err), ST_INVALID);
    m = good;
    m.text = NULL;
    assert_int_equal(mail_message_check(&m, &err), ST_INVALID);
    static const char *const lines[] = {"a\nBcc: x@y", "a\rb", "\x01", "\xff"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        m = good;
        m.subject = lines[i];
        assert_int_equal(mail_message_check(&m, &err), ST_INVALID);
        m = good;
        m.from_name = lines[i];
        assert_int_equal(mail_message_check(&m, &err), ST_INVALID);
        m = good;
        m.id = lines[i];
        assert_int_equal(mail_message_check(&m, &err), ST_INVALID);
    }
    m = good;
    m.text = "\xff";
    assert_int_equal(mail_message_check(&m, &err), ST_INVALID);
    m.text = calloc(1, MAIL_MESSAGE_TEXT_MAX + 2);
    memset((char *)(uintptr_t)m.text, 'x', MAIL_MESSAGE_TEXT_MAX + 1);
    assert_int_equal(mail_message_check(&m, &err), ST_TOO_LARGE);
    free((char *)(uintptr_t)m.text);
}

static void
test_the_public_check(void **state)
{
    (void)state;
    assert_true(pit_mail_address("ada@example.org"));
    assert_false(pit_mail_address("ada"));
    assert_false(pit_mail_address("Ada <ada@example.org>"));
    assert_false(pit_mail_address("a@b\r\nBcc: c@d"));
    assert_false(pit_mail_address(""));
    assert_false(pit_mail_address(NULL));
}

static void
test_servers(void **state)
{
    static const char *const good[] = {"smtp://mail.example.org",
                                       "smtp://a:b@127.0.0.1:2525",
                                       "smtps://mail.example.org:465/", "log"};
    static const char *const bad[] = {"http://x", "mail.example.org", "smtp://",
                                      "smtp://x/path", ""};
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(
            mail_server_check(&(struct mail_server){good[i], NULL}, &err),
            ST_OK);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(
            mail_server_check(&(struct mail_server){bad[i], NULL}, &err),
            ST_INVALID);
    assert_int_equal(
        mail_server_check(&(struct mail_server){good[0], "not one"}, &err),
        ST_INVALID);
}

int
main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as every program that uses the runtime */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_mail_arrives),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_a_silent_server_keeps_nobody_waiting),
        cmocka_unit_test(test_a_good_bye_without_an_answer),
        cmocka_unit_test(test_a_deadline_and_a_cancellation),
        cmocka_unit_test(test_the_text),
        cmocka_unit_test(test_long_lines_are_encoded),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_servers),
        cmocka_unit_test(test_the_public_check),
        cmocka_unit_test(test_a_mail_for_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

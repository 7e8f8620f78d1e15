/* Mail: one transfer of libcurl's, which speaks SMTP as well, on a thread.
 *
 * Not on the loop: the end of a mail blocks in libcurl until the server has
 * answered (smtp_done()), and so does its good-bye. For the same reason a
 * transfer that is given up is not taken away from libcurl, which would close
 * the text, so that half a mail is sent: it is told to stop, and its thread
 * frees it. Whoever waits and the thread both hold the transfer; the count is
 * the loop's.
 *
 * libcurl hands a line break in an address on to the server, so nothing gets
 * here that mail_message_check() has not seen. What the failure of a transfer
 * means is decided by the server's last reply code, and by whether all of the
 * text had left. */
#include "async/curl/mail.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "async/curl/libcurl.h"
#include "async/threads.h"
#include "base/log.h"

enum { RECIPIENT_SIZE = MAIL_MESSAGE_ADDRESS_MAX + 3 };

struct transfer {
    unsigned holders;
    atomic_bool given_up;
    CURL *easy;
    struct curl_slist *recipients;
    struct buf text;
    size_t sent;
    CURLcode code;
    long reply; /* the server's last code */
    char message[CURL_ERROR_SIZE];
};

/* ---- the server ---- */

static bool
has_password(const char *url)
{
    const char *authority = strstr(url, "://");

    return authority && memchr(authority + 3, '@', strcspn(authority + 3, "/"));
}

static bool
url_valid(const char *url)
{
    char *scheme = NULL, *host = NULL, *path = NULL;
    CURLU *parsed = libcurl()->url();
    bool valid =
        parsed &&
        libcurl()->url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
        libcurl()->url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        libcurl()->url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        libcurl()->url_get(parsed, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
        (strcmp(scheme, "smtp") == 0 || strcmp(scheme, "smtps") == 0) &&
        *host && (strcmp(path, "/") == 0 || !*path);

    libcurl()->free(scheme);
    libcurl()->free(host);
    libcurl()->free(path);
    libcurl()->url_cleanup(parsed);
    return valid;
}

static bool
is_log(const struct mail_server *server)
{
    return strcmp(server->url, "log") == 0;
}

enum status
mail_server_check(const struct mail_server *server, struct error *err)
{
    if (!is_log(server) && !url_valid(server->url))
        return error_set(err, ST_INVALID,
                         "the mail server must be smtp://[user:password@]"
                         "host[:port], smtps://..., or log");
    if (server->from)
        return mail_message_check_address(server->from, "--mail-from", err);
    return ST_OK;
}

/* ---- the transfer ---- */

static size_t
read_cb(char *dst, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t left = t->text.len - t->sent, room = size * n;

    if (room > left)
        room = left;
    memcpy(dst, t->text.p + t->sent, room);
    t->sent += room;
    return room;
}

/* Called about once a second at least; not zero ends the transfer. */
static int
progress_cb(void *arg, curl_off_t down_total, curl_off_t down,
            curl_off_t up_total, curl_off_t up)
{
    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return atomic_load(&((struct transfer *)arg)->given_up);
}

static enum status
perform(void *arg)
{
    struct transfer *t = arg;

    t->code = libcurl()->easy_perform(t->easy);
    libcurl()->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->reply);
    return ST_OK;
}

static void
transfer_let_go(void *arg)
{
    struct transfer *t = arg;

    if (--t->holders > 0)
        return;
    if (t->easy)
        libcurl()->easy_cleanup(t->easy);
    libcurl()->slist_free_all(t->recipients);
    buf_clear(&t->text);
    free(t);
}

static enum status
status_of(const struct transfer *t)
{
    bool whole = t->sent == t->text.len;

    if (t->code == CURLE_OK)
        return ST_OK;
    if (t->code == CURLE_LOGIN_DENIED || t->code == CURLE_USE_SSL_FAILED)
        return ST_UNAVAILABLE; /* ours to mend, not the message's fault */
    if (t->reply >= 500 && t->reply <= 599)
        return ST_PERMANENT;
    if (t->reply >= 400 && t->reply <= 499)
        return ST_UNAVAILABLE;
    if (whole)
        return ST_UNCLEAR;
    return t->code == CURLE_OPERATION_TIMEDOUT ? ST_TIMEOUT : ST_UNAVAILABLE;
}

static enum status
add_recipients(struct transfer *t, const char *const *to)
{
    char address[RECIPIENT_SIZE];

    for (size_t i = 0; to[i]; i++) {
        int n = snprintf(address, sizeof address, "<%s>", to[i]);
        assert(n > 0 && (size_t)n < sizeof address);
        struct curl_slist *list =
            libcurl()->slist_append(t->recipients, address);
        if (!list)
            return ST_LIMIT;
        t->recipients = list;
    }
    return ST_OK;
}

static enum status
set_options(struct transfer *t, const struct mail_server *server,
            const struct mail_message *message, int64_t timeout_ms)
{
    char from[RECIPIENT_SIZE];

    snprintf(from, sizeof from, "<%s>", message->from);
    if (timeout_ms <= 0)
        timeout_ms = MAIL_TIMEOUT_MS;
    if (timeout_ms > INT32_MAX)
        timeout_ms = INT32_MAX;
    libcurl()->easy_setopt(t->easy, CURLOPT_URL, server->url);
    libcurl()->easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    libcurl()->easy_setopt(
        t->easy, CURLOPT_USE_SSL,
        (long)(has_password(server->url) ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    libcurl()->easy_setopt(t->easy, CURLOPT_MAIL_FROM, from);
    libcurl()->easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
    libcurl()->easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE,
                           (curl_off_t)t->text.len);
    libcurl()->easy_setopt(t->easy, CURLOPT_READFUNCTION, read_cb);
    libcurl()->easy_setopt(t->easy, CURLOPT_READDATA, t);
    libcurl()->easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    libcurl()->easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS,
                           (long)MAIL_CONNECT_TIMEOUT_MS);
    /* The good-bye is said on the thread, not when the loop frees the handle;
     * the time above does not count for it, so one answer has as much. */
    libcurl()->easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
    libcurl()->easy_setopt(t->easy, CURLOPT_SERVER_RESPONSE_TIMEOUT,
                           (long)((timeout_ms + 999) / 1000));
    libcurl()->easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    libcurl()->easy_setopt(t->easy, CURLOPT_PROXY, "");
    libcurl()->easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->message);
    libcurl()->easy_setopt(t->easy, CURLOPT_NOPROGRESS, 0L);
    libcurl()->easy_setopt(t->easy, CURLOPT_XFERINFOFUNCTION, progress_cb);
    libcurl()->easy_setopt(t->easy, CURLOPT_XFERINFODATA, t);
    enum status st = add_recipients(t, message->to);
    libcurl()->easy_setopt(t->easy, CURLOPT_MAIL_RCPT, t->recipients);
    return st;
}

static enum status
describe(const struct transfer *t, struct error *err)
{
    enum status st = status_of(t);

    if (st == ST_OK)
        return st;
    const char *words =
        t->message[0] ? t->message : libcurl()->easy_strerror(t->code);
    if (t->reply >= 400)
        return error_set(err, st, "mail: the server answers %ld: %s", t->reply,
                         words);
    return error_set(err, st, "mail: %s", words);
}

static enum status
run(struct co *co, struct transfer *t, struct error *err)
{
    t->holders++; /* the thread's */
    enum status st =
        co_thread_of(co, THREADS_MAILS, "mail", perform, t, transfer_let_go);
    if (st == ST_LIMIT)
        return error_set(err, st, "mail: too many mails are under way");
    if (st != ST_OK) {
        atomic_store(&t->given_up, true);
        return error_set(err, st, "mail: given up: %s", status_name(st));
    }
    return describe(t, err);
}

static void
log_message(const struct mail_message *message)
{
    const char *text = message->text ? message->text : "(HTML alone)";

    for (size_t i = 0; message->to[i]; i++)
        log_info("mail to %s: %s: %s", message->to[i],
                 message->subject ? message->subject : "", text);
}

enum status
mail_send(struct co *co, const struct mail_server *server,
          const struct mail_message *message, int64_t timeout_ms,
          struct error *err)
{
    enum status st = co_cancelled(co);
    struct transfer *t;

    if (st != ST_OK)
        return error_set(err, st, "mail: nothing was sent");
    if (is_log(server)) {
        log_message(message);
        return ST_OK;
    }
    t = xcalloc(1, sizeof *t);
    t->holders = 1;
    buf_init(&t->text, MAIL_MESSAGE_MAX);
    mail_message_write(message, &t->text);
    t->easy = libcurl()->easy_init();
    st = t->text.failed ? ST_TOO_LARGE : t->easy ? ST_OK : ST_LIMIT;
    if (st == ST_OK)
        st = set_options(t, server, message, timeout_ms);
    if (st == ST_OK)
        st = run(co, t, err);
    else
        (void)error_set(err, st,
                        st == ST_LIMIT ? "mail: no memory"
                                       : "mail: the message is too large");
    transfer_let_go(t);
    return st;
}

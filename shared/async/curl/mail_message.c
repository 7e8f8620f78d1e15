/* Mail message: headers of ASCII alone, bodies that survive every server.
 *
 * A subject or a name with anything but plain characters becomes encoded words
 * (RFC 2047), each a whole number of UTF-8 characters and a line of its own. A
 * body that is short lines of ASCII stays as it is, everything else is base64:
 * no line is ever longer than RFC 5322 section 2.1.1 allows. */
#include "async/curl/mail_message.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "base/utf8.h"

enum {
    BODY_LINE_MAX = 900,   /* of a body that is sent as it is; RFC: 998 */
    WORD_BYTES = 42,       /* of text in an encoded word, which holds 75 */
    BASE64_BYTES = 57,     /* a line of base64: 76 characters */
    PLAIN_HEADER_MAX = 60, /* a header value that needs no folding */
    ID_MAX = 64,
};

/* ---- checks ---- */

static bool
is_local_char(char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
        (c >= 'a' && c <= 'z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c);
}

static bool
is_domain_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z') || c == '-' || c == '.';
}

/* Dots stand between characters only (RFC 5321 section 4.1.2). */
static bool
all_are(struct str s, bool (*is)(char))
{
    if (s.n == 0 || s.p[0] == '.' || s.p[s.n - 1] == '.' || s.p[0] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is(s.p[i]) || (s.p[i] == '.' && s.p[i + 1] == '.'))
            return false;
    return true;
}

enum status
mail_message_check_address(const char *address, const char *what,
                           struct error *err)
{
    struct str domain, all = str_c(address);
    struct str local = str_cut(all, '@', &domain);

    if (all.n > MAIL_MESSAGE_ADDRESS_MAX || local.n > MAIL_MESSAGE_LOCAL_MAX)
        return error_set(err, ST_INVALID, "the address in %s is too long",
                         what);
    if (!all_are(local, is_local_char) || !all_are(domain, is_domain_char))
        return error_set(err, ST_INVALID,
                         "the address in %s must be name@example.org: ASCII, "
                         "without spaces, quotes or angle brackets",
                         what);
    return ST_OK;
}

/* One line of UTF-8. */
static enum status
check_line(const char *text, size_t max, const char *what, struct error *err)
{
    struct str s = str_c(text);
    const char *p = s.p, *end = s.p + s.n;

    if (s.n > max)
        return error_set(err, ST_INVALID, "%s has more than %zu bytes", what,
                         max);
    while (p < end) {
        size_t n = utf8_length(p, end);
        if (n == 0)
            return error_set(err, ST_INVALID, "%s is not UTF-8", what);
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return error_set(err, ST_INVALID,
                             "%s holds a control character or a line break",
                             what);
        p += n;
    }
    return ST_OK;
}

static enum status
check_text(const char *text, const char *what, struct error *err)
{
    struct str s = str_c(text);

    if (s.n > MAIL_MESSAGE_TEXT_MAX)
        return error_set(err, ST_TOO_LARGE, "%s has more than %d bytes", what,
                         MAIL_MESSAGE_TEXT_MAX);
    for (const char *p = s.p, *end = s.p + s.n; p < end;) {
        size_t n = utf8_length(p, end);
        if (n == 0)
            return error_set(err, ST_INVALID, "%s is not UTF-8", what);
        p += n;
    }
    return ST_OK;
}

static enum status
check_id(const char *id, struct error *err)
{
    struct str s = str_c(id);
    bool good = s.n <= ID_MAX && (!id || s.n > 0);

    for (size_t i = 0; i < s.n; i++)
        good &= is_domain_char(s.p[i]) || s.p[i] == '_' || s.p[i] == ':';
    if (good)
        return ST_OK;
    return error_set(err, ST_INVALID,
                     "message_id must be 1 to %d of A-Z a-z 0-9 . _ : -",
                     ID_MAX);
}

enum status
mail_message_check(const struct mail_message *m, struct error *err)
{
    enum status st = ST_OK;

    if (!m->to[0])
        return error_set(err, ST_INVALID, "the mail is to nobody");
    if (!m->text && !m->html)
        return error_set(err, ST_INVALID, "the mail has neither text nor html");
    for (size_t i = 0; m->to[i] && st == ST_OK; i++)
        st = mail_message_check_address(m->to[i], "to", err);
    if (st == ST_OK)
        st = mail_message_check_address(m->from, "from", err);
    if (st == ST_OK && m->reply_to)
        st = mail_message_check_address(m->reply_to, "reply_to", err);
    if (st == ST_OK)
        st = check_line(m->from_name, MAIL_MESSAGE_NAME_MAX, "from_name", err);
    if (st == ST_OK)
        st = check_line(m->subject, MAIL_MESSAGE_SUBJECT_MAX, "the subject",
                        err);
    if (st == ST_OK)
        st = check_text(m->text, "text", err);
    if (st == ST_OK)
        st = check_text(m->html, "html", err);
    return st == ST_OK ? check_id(m->id, err) : st;
}

/* ---- headers ---- */

static void
add_base64(struct buf *dst, const char *p, size_t n)
{
    char *room = buf_room(dst, n / 3 * 4 + 5);

    if (room)
        buf_grew(dst,
                 (size_t)EVP_EncodeBlock((unsigned char *)room,
                                         (const unsigned char *)p, (int)n));
}

static bool
is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] > 0x7e)
            return false;
    return s.n <= PLAIN_HEADER_MAX && (s.n == 0 || !memmem(s.p, s.n, "=?", 2));
}

/* Any line of text as a header's value. */
static void
add_encoded(struct buf *dst, struct str s)
{
    const char *p = s.p, *end = s.p + s.n;

    while (p < end) {
        const char *from = p;
        while (p < end) {
            size_t n = utf8_length(p, end);
            if ((size_t)(p - from) + n > WORD_BYTES)
                break;
            p += n;
        }
        buf_add_c(dst, from == s.p ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?");
        add_base64(dst, from, (size_t)(p - from));
        buf_add_c(dst, "?=");
    }
}

static void
add_subject(struct buf *dst, struct str subject)
{
    buf_add_c(dst, "Subject: ");
    if (is_plain(subject))
        buf_add_str(dst, subject);
    else
        add_encoded(dst, subject);
    buf_add_c(dst, "\r\n");
}

static void
add_from(struct buf *dst, const struct mail_message *m)
{
    struct str name = str_c(m->from_name);

    buf_add_c(dst, "From: ");
    if (name.n == 0) {
        buf_addf(dst, "%s\r\n", m->from);
        return;
    }
    if (is_plain(name) && !memchr(name.p, '"', name.n) &&
        !memchr(name.p, '\\', name.n))
        buf_addf(dst, "\"%s\"", m->from_name);
    else
        add_encoded(dst, name);
    buf_addf(dst, "\r\n <%s>\r\n", m->from);
}

/* RFC 5322 section 3.3; the names do not depend on a locale. */
static void
add_date(struct buf *dst, int64_t time_ms)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = time_ms / 1000;
    struct tm tm;

    gmtime_r(&seconds, &tm);
    buf_addf(dst, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d +0000\r\n",
             days + (ptrdiff_t)3 * tm.tm_wday, tm.tm_mday,
             months + (ptrdiff_t)3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour,
             tm.tm_min, tm.tm_sec);
}

static void
random_name(char dst[33])
{
    unsigned char bytes[16];

    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(dst + 2 * i, 3, "%02x", bytes[i]);
}

/* ---- bodies ---- */

static bool
fits_as_it_is(struct str s)
{
    size_t line = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        line = c == '\n' ? 0 : line + 1;
        if (line > BODY_LINE_MAX || c > 0x7e ||
            (c < 0x20 && c != '\n' && c != '\t' &&
             !(c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')))
            return false;
    }
    return true;
}

static void
add_lines(struct buf *dst, struct str s)
{
    while (s.n > 0) {
        struct str line = str_cut(s, '\n', &s);
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        buf_add_str(dst, line);
        buf_add_c(dst, "\r\n");
    }
}

static void
add_body(struct buf *dst, const char *type, const char *text)
{
    struct str s = str_c(text);
    bool plain = fits_as_it_is(s);

    buf_addf(dst,
             "Content-Type: text/%s; charset=utf-8\r\n"
             "Content-Transfer-Encoding: %s\r\n\r\n",
             type, plain ? "7bit" : "base64");
    if (plain) {
        add_lines(dst, s);
        return;
    }
    for (size_t i = 0; i < s.n; i += BASE64_BYTES) {
        size_t n = s.n - i < BASE64_BYTES ? s.n - i : BASE64_BYTES;
        add_base64(dst, s.p + i, n);
        buf_add_c(dst, "\r\n");
    }
}

static void
add_bodies(struct buf *dst, const struct mail_message *m)
{
    char boundary[33];

    if (!m->text || !m->html) {
        add_body(dst, m->text ? "plain" : "html", m->text ? m->text : m->html);
        return;
    }
    random_name(boundary);
    buf_addf(dst,
             "Content-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n"
             "--%s\r\n",
             boundary, boundary);
    add_body(dst, "plain", m->text);
    buf_addf(dst, "\r\n--%s\r\n", boundary);
    add_body(dst, "html", m->html);
    buf_addf(dst, "\r\n--%s--\r\n", boundary);
}

void
mail_message_write(const struct mail_message *m, struct buf *dst)
{
    char random[33];

    if (!m->id)
        random_name(random);
    add_date(dst, m->time_ms);
    add_from(dst, m);
    for (size_t i = 0; m->to[i]; i++)
        buf_addf(dst, "%s%s%s", i == 0 ? "To: " : " ", m->to[i],
                 m->to[i + 1] ? ",\r\n" : "\r\n");
    if (m->reply_to)
        buf_addf(dst, "Reply-To: %s\r\n", m->reply_to);
    add_subject(dst, str_c(m->subject));
    buf_addf(dst, "Message-ID: <%s@%s>\r\nMIME-Version: 1.0\r\n",
             m->id ? m->id : random, strchr(m->from, '@') + 1);
    add_bodies(dst, m);
}

/* mail_message.h - a mail as the text that goes to the server (RFC 5322, MIME).
 *
 * Whatever comes from outside is either refused, or encoded so that it cannot
 * begin a new header field or address. Pure functions. */
#ifndef ASYNC_MAIL_MESSAGE_H
#define ASYNC_MAIL_MESSAGE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum {
    MAIL_MESSAGE_ADDRESS_MAX = 254, /* RFC 5321 section 4.5.3.1.3 */
    MAIL_MESSAGE_LOCAL_MAX = 64,    /* section 4.5.3.1.1 */
    MAIL_MESSAGE_SUBJECT_MAX = 900,
    MAIL_MESSAGE_NAME_MAX = 200,
    MAIL_MESSAGE_TEXT_MAX = 1024 * 1024,
    MAIL_MESSAGE_MAX = 4 * 1024 * 1024, /* of the whole, encoded */
};

/* Everything is borrowed. */
struct mail_message {
    const char *const *to; /* ends with NULL; at least one */
    const char *from;
    const char *from_name; /* NULL: none */
    const char *reply_to;  /* NULL: none */
    const char *subject;   /* NULL: "" */
    const char *text;      /* one of the two may be NULL */
    const char *html;
    const char *id;  /* the left half of the Message-ID; NULL: random */
    int64_t time_ms; /* since the epoch, for the Date field */
};

/* local@domain in ASCII without quotes, comments, spaces, control characters,
 * angle brackets or an address literal. Errors: ST_INVALID; @what names it. */
CHECK enum status mail_message_check_address(const char *address,
                                             const char *what,
                                             struct error *err);
/* All of it. Errors: ST_INVALID, ST_TOO_LARGE; each says what. */
CHECK enum status mail_message_check(const struct mail_message *message,
                                     struct error *err);
/* Appends the text, lines ending in CRLF. @message was checked. A @dst that is
 * full fails (base/buf.h). */
void mail_message_write(const struct mail_message *message, struct buf *dst);

#endif

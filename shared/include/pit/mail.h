/* pit/mail.h - a mail, handed to an SMTP server and awaited.
 *
 *     struct pit_mail mail = {
 *         .to = {order.email},
 *         .subject = "Your order",
 *         .text = "It is on its way.\n",
 *     };
 *     enum pit_status st = pit_mail(co, &mail);
 *
 * PIT_OK means that the server took it, for every address. The server and the
 * usual sender are the program's --smtp and --mail-from; without a server it is
 * PIT_UNAVAILABLE. A job may mail twice when it runs again: give the mail a
 * message_id of the job's, and receivers can tell. */
#ifndef PIT_MAIL_H
#define PIT_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pit/co.h"
#include "pit/status.h"

enum {
    PIT_MAIL_TO_MAX = 16,
    PIT_MAIL_ADDRESS_MAX = 254,      /* bytes (RFC 5321 section 4.5.3.1.3) */
    PIT_MAIL_SUBJECT_MAX = 900,      /* bytes */
    PIT_MAIL_TEXT_MAX = 1024 * 1024, /* bytes of text, and of html */
    PIT_MAIL_ERROR_SIZE = 240,
};

/* Can mail be sent to @address: is it local@domain as below? Whether somebody
 * reads it there only a mail can tell. Never suspends. */
bool pit_mail_address(const char *address);

/* Zero what is not set; everything is borrowed for the call. Addresses are
 * local@domain alone, in ASCII, with no name and no < or > around. */
struct pit_mail {
    const char *to[PIT_MAIL_TO_MAX + 1]; /* {"ada@example.org"}; NULL ends it */
    const char *from;                    /* NULL: the program's --mail-from */
    const char *from_name;  /* "Smokehouse", any UTF-8 text of one line */
    const char *reply_to;   /* an address */
    const char *subject;    /* UTF-8, one line; NULL: "" */
    const char *text;       /* UTF-8; NULL only with html */
    const char *html;       /* UTF-8; with text the receiver chooses */
    const char *message_id; /* [A-Za-z0-9._:-]{1,64}; the part before the @ of
                               the Message-ID field; NULL: random */
    int64_t timeout_ms;     /* for all of it; 0: 30 s */

    char error[PIT_MAIL_ERROR_SIZE]; /* what went wrong, for people; "" */
};

/* Suspends. Errors: PIT_INVALID an address, name or subject that cannot be sent
 * as it is (control characters, angle brackets, too long), or none;
 * PIT_TOO_LARGE; PIT_UNAVAILABLE no server, or it says "later" (4xx), nothing
 * was sent; PIT_PERMANENT it refuses (5xx): another attempt would not help;
 * PIT_UNCLEAR the connection was lost after the text: it may have been taken;
 * PIT_TIMEOUT, PIT_LIMIT, PIT_CANCELLED. */
enum pit_status pit_mail(struct pit_co *co, struct pit_mail *mail);

#endif

/* mail.h - a message handed to an SMTP server, as an await: libcurl on a
 * thread.
 *
 * One server a process. TLS is used where the server offers it (STARTTLS), and
 * demanded where a password goes along or the URL says smtps. Certificates are
 * verified. Belongs to the loop's thread. */
#ifndef ASYNC_MAIL_H
#define ASYNC_MAIL_H

#include <stdint.h>

#include "async/co/co.h"
#include "async/curl/mail_message.h"
#include "base/error.h"

enum { MAIL_TIMEOUT_MS = 30 * 1000, MAIL_CONNECT_TIMEOUT_MS = 5 * 1000 };

/* Borrowed for as long as mails are sent. */
struct mail_server {
    /* smtp://[user:password@]host[:port], or smtps://; "log": nothing is sent,
     * a line in the log says what would be */
    const char *url;
    const char *from; /* the usual sender; NULL: none */
};

/* Errors: ST_INVALID, in words that do not repeat the password. */
CHECK enum status mail_server_check(const struct mail_server *server,
                                    struct error *err);

/* Sends to every address of @message, which was checked, or to none. Errors in
 * @err: ST_UNAVAILABLE nothing was taken, later it may; ST_PERMANENT refused
 * for good (5xx); ST_UNCLEAR the text was sent, its acknowledgement never came;
 * ST_TIMEOUT; ST_TOO_LARGE; ST_LIMIT; the cancellation. @timeout_ms 0:
 * MAIL_TIMEOUT_MS. */
CHECK enum status mail_send(struct co *co, const struct mail_server *server,
                            const struct mail_message *message,
                            int64_t timeout_ms, struct error *err);

#endif

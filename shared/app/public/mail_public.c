/* Public mail: pit/mail.h on top of async/curl/mail.h. */
#include "app/outside.h"
#include "app/public/co_public.h"
#include "async/curl/mail.h"
#include "base/clock.h"
#include "pit/mail.h"

static enum status
send(struct co *co, struct pit_mail *mail, struct error *err)
{
    const struct outside *outside = outside_of(co_loop(co));
    const struct mail_server *server = outside->mail;
    const struct mail_message message = {
        .to = mail->to,
        .from = mail->from ? mail->from
                : server   ? server->from
                           : NULL,
        .from_name = mail->from_name,
        .reply_to = mail->reply_to,
        .subject = mail->subject,
        .text = mail->text,
        .html = mail->html,
        .id = mail->message_id,
        .time_ms = clock_wall_ms(),
    };

    if (!server && !outside->script)
        return error_set(err, ST_UNAVAILABLE,
                         "no mail server is known: start with --smtp");
    if (!message.from)
        return error_set(err, ST_INVALID,
                         "the mail has no sender: set .from, or start with "
                         "--mail-from");
    enum status st = mail_message_check(&message, err);
    if (st != ST_OK)
        return st;
    if (outside->script)
        return (enum status)outside->script->mail(co, mail);
    return mail_send(co, server, &message, mail->timeout_ms, err);
}

enum pit_status
pit_mail(struct pit_co *co, struct pit_mail *mail)
{
    struct error err = {.msg = ""};

    mail->error[0] = '\0';
    enum status st = send(co_public_core(co), mail, &err);
    if (st != ST_OK && !mail->error[0])
        str_copy_to(str_c(err.msg), mail->error, sizeof mail->error);
    return (enum pit_status)st;
}

bool
pit_mail_address(const char *address)
{
    struct error err;

    return address && mail_message_check_address(address, "it", &err) == ST_OK;
}

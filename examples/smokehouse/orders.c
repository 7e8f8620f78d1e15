/* Orders: a database change, a mail and a job.
 *
 * What the client waits for is awaited (the database), what may be lost is
 * detached (the confirmation), what must not be lost is a job (the receipt). */
#include <stdio.h>
#include <string.h>

#include <pit/log.h>
#include <pit/mail.h>
#include <pit/queue.h>

#include "args.h"
#include "order_store.h"
#include "smokehouse.h"

/* --- mails ---------------------------------------------------------------- */

/* @kind makes subject and Message-ID: "receipt" of order 7 is one mail, however
 * often it is sent. */
static enum pit_status
mail_order(struct pit_co *co, const struct order *order, const char *kind)
{
    char subject[64], id[64], text[256];

    snprintf(subject, sizeof subject, "Your order %lld: %s",
             (long long)order->id, kind);
    snprintf(id, sizeof id, "order-%lld.%lld.%s", (long long)order->id,
             (long long)order->ordered_s, kind);
    snprintf(text, sizeof text,
             "Thank you for ordering %lld pounds of %s.\n\nThe smokehouse\n",
             (long long)order->pounds, order->meat);
    struct pit_mail mail = {.to = {order->email},
                            .from_name = "The smokehouse",
                            .subject = subject,
                            .text = text,
                            .message_id = id};
    enum pit_status st = pit_mail(co, &mail);
    if (st != PIT_OK)
        pit_log_warn("mail to %s: %s", order->email, mail.error);
    return st;
}

static enum pit_status
confirm(struct pit_co *co, void *arg)
{
    return mail_order(co, arg, "confirmation");
}

/* --- views ---------------------------------------------------------------- */

static enum pit_status
order_read(struct pit_request *req, struct order *order)
{
    const char *email, *meat;
    json_int_t pounds;
    enum pit_status st =
        pit_request_unpack(req, "{s:s, s:s, s:I !}", "email", &email, "meat",
                           &meat, "pounds", &pounds);

    if (st != PIT_OK)
        return st;
    if (!pit_mail_address(email))
        return pit_request_fail(req, PIT_INVALID, "/email",
                                "this is no mail address");
    if (!*meat || strlen(meat) > ORDER_MEAT_MAX || strpbrk(meat, "\r\n"))
        return pit_request_fail(req, PIT_INVALID, "/meat",
                                "name the meat, in at most %d bytes",
                                ORDER_MEAT_MAX);
    if (pounds < 1 || pounds > ORDER_POUNDS_MAX)
        return pit_request_fail(req, PIT_INVALID, "/pounds",
                                "order 1 to %d pounds", ORDER_POUNDS_MAX);
    snprintf(order->email, sizeof order->email, "%s", email);
    snprintf(order->meat, sizeof order->meat, "%s", meat);
    order->pounds = pounds;
    return PIT_OK;
}

static enum pit_status
order_reply(struct pit_response *res, int code, const struct order *order)
{
    return pit_reply_json(res, code, "{s:I, s:s, s:s, s:I}", "id",
                          (json_int_t)order->id, "email", order->email, "meat",
                          order->meat, "pounds", (json_int_t)order->pounds);
}

enum pit_status
view_order_post(struct pit_co *co, struct pit_request *req,
                struct pit_response *res)
{
    struct order order = {0};
    enum pit_status st = order_read(req, &order);

    if (st == PIT_OK)
        st = pit_await_thread(co, order_store_insert, &order);
    if (st != PIT_OK)
        return st;
    st = pit_enqueue(co, "orders.receipt",
                     pit_args("{s:I}", "order", (json_int_t)order.id), NULL);
    if (st != PIT_OK && st != PIT_UNCLEAR) {
        /* No receipt, no order: the client asks again. */
        (void)pit_await_thread(co, order_store_delete, &order);
        return st;
    }

    (void)pit_detach_copy(co, "confirmation", confirm, &order, sizeof order);
    (void)pit_response_headerf(res, "Location", "/orders/%lld",
                               (long long)order.id);
    return order_reply(res, 201, &order);
}

enum pit_status
view_order_get(struct pit_co *co, struct pit_request *req,
               struct pit_response *res)
{
    struct order order = {.id = pit_request_param_int(req, "id")};
    enum pit_status st = pit_await_thread(co, order_store_get, &order);

    if (st == PIT_NOT_FOUND)
        return pit_request_fail(req, st, NULL, "there is no order %lld",
                                (long long)order.id);
    return st == PIT_OK ? order_reply(res, 200, &order) : st;
}

/* --- tasks ---------------------------------------------------------------- */

/* Retried while the mail server is down. */
enum pit_status
order_receipt(struct pit_co *co, struct pit_job *job)
{
    double id = 0;
    enum pit_status st = args_read(
        job, (const struct arg[]){{"order", &id, .min = 1, .max = 1e15}, {0}});

    if (st != PIT_OK)
        return st;
    struct order order = {.id = (int64_t)id};
    st = pit_await_thread(co, order_store_get, &order);
    if (st == PIT_NOT_FOUND)
        return pit_job_fail(job, PIT_PERMANENT, "there is no order %lld",
                            (long long)order.id);
    if (st == PIT_OK)
        st = mail_order(co, &order, "receipt");
    return st == PIT_OK ? pit_job_result(job, "{s:s}", "to", order.email) : st;
}

enum pit_status
orders_purge(struct pit_job *job)
{
    double days = 30;
    int64_t deleted = 0;
    enum pit_status st = args_read(
        job, (const struct arg[]){{"days", &days, .max = 36500}, {0}});

    if (st == PIT_OK)
        st = order_store_purge((int64_t)days, &deleted);
    return st == PIT_OK
               ? pit_job_result(job, "{s:I}", "deleted", (json_int_t)deleted)
               : st;
}

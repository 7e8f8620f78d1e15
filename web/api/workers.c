/* GET /v1/workers and /v1/workers/{id}; POST /v1/workers/{id}:quiet, :resume
 * and :stop. An order is a message that the worker hears at once; 202, since
 * what it leads to is seen in the worker's state a moment later. */
#include "api/api.h"

#include "app/document/worker_list.h"

enum status
workers_list(struct co *co, struct http_exchange *exchange, void *arg)
{
    struct api *api = arg;
    json_t *workers;

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK)
        st = worker_list_read(co, api->queues, &workers, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    return response_json_take(&exchange->res, 200,
                              json_pack("{s:o}", "workers", workers));
}

static enum status
reply_worker(struct co *co, struct api *api, struct http_exchange *exchange,
             int http)
{
    struct str id = str_c(pit_request_param(&exchange->req, "id"));
    json_t *worker;

    enum status st =
        worker_list_find(co, api->queues, id, &worker, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    return response_json_take(&exchange->res, http, worker);
}

enum status
workers_show(struct co *co, struct http_exchange *exchange, void *arg)
{
    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);

    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, false);
    return reply_worker(co, arg, exchange, 200);
}

static enum status
order(struct co *co, struct api *api, struct http_exchange *exchange,
      const char *word)
{
    struct str id = str_c(pit_request_param(&exchange->req, "id"));

    enum status st = api_query(&exchange->req, STR_NULL, &exchange->err);
    if (st == ST_OK)
        st = worker_list_order(co, api->queues, id, word, &exchange->err);
    if (st != ST_OK)
        return api_fail(exchange, st, &exchange->err, true);
    return reply_worker(co, api, exchange, 202);
}

enum status
workers_quiet(struct co *co, struct http_exchange *exchange, void *arg)
{
    return order(co, arg, exchange, "quiet");
}

enum status
workers_resume(struct co *co, struct http_exchange *exchange, void *arg)
{
    return order(co, arg, exchange, "resume");
}

enum status
workers_stop(struct co *co, struct http_exchange *exchange, void *arg)
{
    return order(co, arg, exchange, "stop");
}

/* Middleware: what requests pass on their way to a view and back.
 *
 * The request's id needs none: the front gives each answer an X-Request-Id. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <pit/redis.h>

#include "place.h"
#include "smokehouse.h"

static double
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* For all: how long everything inside of it took, for a browser's tools. */
enum pit_status
middleware_timing(struct pit_co *co, struct pit_request *req,
                  struct pit_response *res, struct pit_next *next)
{
    double start_ms = now_ms();
    enum pit_status st = pit_next(co, next, req, res);

    /* A stream's head has left already: it goes without. */
    (void)pit_response_headerf(res, "Server-Timing", "app;dur=%.2f",
                               now_ms() - start_ms);
    return st;
}

/* A sync one: it looks at a file, so it runs on a thread. While there is a file
 * `closed` in the data folder nobody can order. */
enum pit_status
middleware_opening_hours(struct pit_request *req, struct pit_response *res)
{
    char path[PLACE_MAX];

    if (!place_in_data("closed", path) || access(path, F_OK) != 0)
        return PIT_OK;
    enum pit_status st = pit_reply_problem(
        res, PIT_UNAVAILABLE, "the smokehouse is closed: come back later");
    return st == PIT_OK ? pit_response_header(res, "Retry-After", "3600") : st;
}

/* An async one: asks Redis. As long as nobody has put a token into the set
 * smokehouse:tokens all may order. */
enum pit_status
middleware_token(struct pit_co *co, struct pit_request *req,
                 struct pit_response *res, struct pit_next *next)
{
    static const char scheme[] = "Bearer ";
    struct pit_redis known PIT_REDIS = {0};
    struct pit_redis issued PIT_REDIS = {0};
    const char *said = pit_request_header(req, "Authorization");
    const char *token = said && strncmp(said, scheme, sizeof scheme - 1) == 0
                            ? said + sizeof scheme - 1
                            : "";

    enum pit_status st = pit_redis(co, &issued, "EXISTS", "smokehouse:tokens");
    if (st == PIT_OK && issued.value.integer > 0)
        st = pit_redis(co, &known, "SISMEMBER", "smokehouse:tokens", token);
    if (st != PIT_OK)
        return st;
    if (issued.value.integer > 0 && known.value.integer == 0)
        return pit_reply_problem(
            res, PIT_FORBIDDEN,
            "say who you are: Authorization: Bearer TOKEN, with a token of "
            "this smokehouse");
    return pit_next(co, next, req, res);
}

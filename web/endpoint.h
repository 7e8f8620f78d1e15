/* endpoint.h - what a route leads to.
 *
 * The target of every entry in a process' route table, be it one of our
 * resources or one of the application's views. Owned by whoever added the
 * route; read-only once the table is built. */
#ifndef WEB_ENDPOINT_H
#define WEB_ENDPOINT_H

#include "http/exchange.h"

struct endpoint {
    http_handler *handle;
    void *arg; /* for handle */
};

#endif

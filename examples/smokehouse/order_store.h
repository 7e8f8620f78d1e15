/* order_store.h - orders in SQLite, in the data folder.
 *
 * All of it blocks: call it on a thread or in a C task. Each call opens the
 * database anew, so any number of threads and processes may. */
#ifndef ORDER_STORE_H
#define ORDER_STORE_H

#include <stdint.h>

#include <pit/status.h>

enum { ORDER_EMAIL_MAX = 254, ORDER_MEAT_MAX = 40, ORDER_POUNDS_MAX = 100 };

struct order {
    int64_t id;
    char email[ORDER_EMAIL_MAX + 1];
    char meat[ORDER_MEAT_MAX + 1];
    int64_t pounds;
    int64_t ordered_s; /* since the epoch */
};

/* Each takes a struct order, as pit_await_thread() hands it on. Errors:
 * PIT_UNAVAILABLE the database cannot be used, a line in the log says why. */
/* Sets the id and the time. */
enum pit_status order_store_insert(void *order);
/* Fills the order of its id; PIT_NOT_FOUND. */
enum pit_status order_store_get(void *order);
/* Takes the order of its id back. */
enum pit_status order_store_delete(void *order);

/* Deletes what was ordered more than @days ago. */
enum pit_status order_store_purge(int64_t days, int64_t *ret_deleted);

#endif

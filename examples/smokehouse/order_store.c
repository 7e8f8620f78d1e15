/* Order store: prepared statements, one a call. */
#include "order_store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <time.h>

#include <pit/log.h>

#include "place.h"

enum { BUSY_MS = 5000 };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " email TEXT NOT NULL, meat TEXT NOT NULL, pounds INTEGER NOT NULL,"
    " ordered_s INTEGER NOT NULL)";

struct query {
    sqlite3 *db;
    sqlite3_stmt *statement;
};

/* Opens the database and prepares @sql; query_end() in any case. */
static enum pit_status
query_begin(struct query *query, const char *sql)
{
    char path[PLACE_MAX];

    *query = (struct query){0};
    if (!place_in_data("orders.db", path)) {
        pit_log_error("orders: no data folder, see SMOKEHOUSE_DATA: %m");
        return PIT_UNAVAILABLE;
    }
    if (sqlite3_open(path, &query->db) == SQLITE_OK &&
        sqlite3_busy_timeout(query->db, BUSY_MS) == SQLITE_OK &&
        sqlite3_exec(query->db, schema, NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(query->db, sql, -1, &query->statement, NULL) ==
            SQLITE_OK)
        return PIT_OK;
    pit_log_error("orders: %s: %s", path, sqlite3_errmsg(query->db));
    return PIT_UNAVAILABLE;
}

/* PIT_OK when the statement came to @wanted. */
static enum pit_status
query_step(struct query *query, int wanted)
{
    int how = sqlite3_step(query->statement);

    if (how == wanted)
        return PIT_OK;
    if (how == SQLITE_DONE)
        return PIT_NOT_FOUND;
    pit_log_error("orders: %s", sqlite3_errmsg(query->db));
    return PIT_UNAVAILABLE;
}

static void
query_end(struct query *query)
{
    sqlite3_finalize(query->statement);
    sqlite3_close(query->db);
}

enum pit_status
order_store_insert(void *arg)
{
    struct order *order = arg;
    struct query query;

    order->ordered_s = (int64_t)time(NULL);
    enum pit_status st =
        query_begin(&query, "INSERT INTO orders (email, meat, pounds, "
                            "ordered_s) VALUES (?, ?, ?, ?)");
    if (st == PIT_OK) {
        sqlite3_bind_text(query.statement, 1, order->email, -1, SQLITE_STATIC);
        sqlite3_bind_text(query.statement, 2, order->meat, -1, SQLITE_STATIC);
        sqlite3_bind_int64(query.statement, 3, order->pounds);
        sqlite3_bind_int64(query.statement, 4, order->ordered_s);
        st = query_step(&query, SQLITE_DONE);
    }
    if (st == PIT_OK)
        order->id = sqlite3_last_insert_rowid(query.db);
    query_end(&query);
    return st;
}

static void
take_text(char *dst, size_t size, struct query *query, int column)
{
    snprintf(dst, size, "%s", sqlite3_column_text(query->statement, column));
}

enum pit_status
order_store_get(void *arg)
{
    struct order *order = arg;
    struct query query;

    enum pit_status st =
        query_begin(&query, "SELECT email, meat, pounds, ordered_s FROM orders "
                            "WHERE id = ?");
    if (st == PIT_OK) {
        sqlite3_bind_int64(query.statement, 1, order->id);
        st = query_step(&query, SQLITE_ROW);
    }
    if (st == PIT_OK) {
        take_text(order->email, sizeof order->email, &query, 0);
        take_text(order->meat, sizeof order->meat, &query, 1);
        order->pounds = sqlite3_column_int64(query.statement, 2);
        order->ordered_s = sqlite3_column_int64(query.statement, 3);
    }
    query_end(&query);
    return st;
}

/* Deletes by one number; *ret_deleted rows. */
static enum pit_status
delete_by(const char *sql, int64_t number, int64_t *ret_deleted)
{
    struct query query;
    enum pit_status st = query_begin(&query, sql);

    if (st == PIT_OK) {
        sqlite3_bind_int64(query.statement, 1, number);
        st = query_step(&query, SQLITE_DONE);
    }
    if (st == PIT_OK)
        *ret_deleted = sqlite3_changes(query.db);
    query_end(&query);
    return st;
}

enum pit_status
order_store_delete(void *arg)
{
    int64_t deleted;

    return delete_by("DELETE FROM orders WHERE id = ?",
                     ((const struct order *)arg)->id, &deleted);
}

enum pit_status
order_store_purge(int64_t days, int64_t *ret_deleted)
{
    return delete_by("DELETE FROM orders WHERE ordered_s < ?",
                     (int64_t)time(NULL) - days * 86400, ret_deleted);
}

/* Redis URLs: cut from the left, each part checked where it is cut.
 *
 * Written by hand rather than with libcurl's parser: that one normalises, and
 * would say nothing about which part of a Redis URL is wrong. */
#include "async/redis/rds_url.h"

#include <stdio.h>
#include <string.h>

/* RFC 3986 section 2.1. @name is for the message. */
static enum status
decode(struct str in, const char *name, char *dst, size_t size,
       struct error *err)
{
    size_t n = 0;

    for (size_t i = 0; i < in.n; i++) {
        int c = (unsigned char)in.p[i];
        if (c == '%') {
            int high = i + 2 < in.n ? str_hex_digit(in.p[i + 1]) : -1;
            int low = high >= 0 ? str_hex_digit(in.p[i + 2]) : -1;
            if (low < 0)
                return error_set(err, ST_INVALID,
                                 "a %% in the %s is not followed "
                                 "by two hex digits; write %%25 for a %%",
                                 name);
            c = high * 16 + low;
            i += 2;
        }
        if (c == 0)
            return error_set(err, ST_INVALID, "the %s must not hold a NUL byte",
                             name);
        if (n + 1 >= size)
            return error_set(err, ST_INVALID, "the %s is longer than %zu bytes",
                             name, size - 1);
        dst[n++] = (char)c;
    }
    dst[n] = '\0';
    return ST_OK;
}

static enum status
parse_secrets(struct str text, struct rds_url *url, struct error *err)
{
    struct str password;
    struct str user = str_cut(text, ':', &password);
    enum status st;

    if (!password.p)
        return error_set(err, ST_INVALID,
                         "what stands before the @ must be "
                         "user:password or :password");
    st = decode(user, "user name", url->user, sizeof url->user, err);
    if (st == ST_OK)
        st = decode(password, "password", url->password, sizeof url->password,
                    err);
    if (st == ST_OK && url->user[0] && !url->password[0])
        st = error_set(err, ST_INVALID, "a user name needs a password");
    return st;
}

static enum status
parse_db(struct str text, struct rds_url *url, struct error *err)
{
    int64_t db;

    if (!str_to_i64(text, &db) || db > RDS_URL_DB_MAX)
        return error_set(err, ST_INVALID,
                         "the database \"%.*s\" is not a number "
                         "within 0..%d",
                         (int)(text.n > 32 ? 32 : text.n), text.p,
                         RDS_URL_DB_MAX);
    url->db = (int)db;
    return ST_OK;
}

static enum status
parse_port(struct str text, struct rds_url *url, struct error *err)
{
    int64_t port;

    if (!str_to_i64(text, &port) || port < 1 || port > 65535)
        return error_set(err, ST_INVALID,
                         "the port \"%.*s\" is not a number within "
                         "1..65535",
                         (int)(text.n > 32 ? 32 : text.n), text.p);
    url->port = (uint16_t)port;
    return ST_OK;
}

/* host, host:port, [v6], [v6]:port */
static enum status
parse_host(struct str text, struct rds_url *url, struct error *err)
{
    struct str host, port = STR_NULL;

    if (text.n > 0 && text.p[0] == '[') {
        struct str rest;
        host = str_cut(str_skip(text, 1), ']', &rest);
        if (!rest.p || (rest.n > 0 && rest.p[0] != ':'))
            return error_set(err, ST_INVALID,
                             "an IPv6 address is written [::1] or "
                             "[::1]:6379");
        if (rest.n > 0)
            port = str_skip(rest, 1);
        if (rest.n == 1)
            port = STR("");
    } else {
        host = str_cut(text, ':', &port);
        if (port.p && memchr(port.p, ':', port.n))
            return error_set(err, ST_INVALID,
                             "put brackets around an IPv6 address: "
                             "redis://[::1]:6379");
    }
    if (host.n == 0)
        return error_set(err, ST_INVALID,
                         "the host is missing; write "
                         "redis://127.0.0.1:6379");
    if (host.n >= sizeof url->host)
        return error_set(err, ST_INVALID, "the host is longer than %zu bytes",
                         sizeof url->host - 1);
    for (size_t i = 0; i < host.n; i++)
        if ((unsigned char)host.p[i] <= ' ' || host.p[i] == 0x7f)
            return error_set(err, ST_INVALID,
                             "the host holds a space or a control "
                             "character");
    str_copy_to(host, url->host, sizeof url->host);
    return port.p ? parse_port(port, url, err) : ST_OK;
}

static enum status
parse_unix(struct str text, struct rds_url *url, struct error *err)
{
    struct str query;
    struct str path = str_cut(text, '?', &query);

    if (path.n == 0 || path.p[0] != '/')
        return error_set(err, ST_INVALID,
                         "a socket is written with its full path, "
                         "unix:///run/redis/redis.sock");
    if (path.n >= sizeof url->path)
        return error_set(err, ST_INVALID,
                         "the socket's path is longer than the %zu "
                         "bytes that unix(7) allows",
                         sizeof url->path - 1);
    if (memchr(path.p, '\0', path.n))
        return error_set(err, ST_INVALID, "the path must not hold a NUL byte");
    str_copy_to(path, url->path, sizeof url->path);
    if (!query.p)
        return ST_OK;
    if (!str_starts(query, STR("db=")))
        return error_set(err, ST_INVALID,
                         "only ?db=N may follow the socket's path");
    return parse_db(str_skip(query, 3), url, err);
}

static enum status
parse_tcp(struct str text, struct rds_url *url, struct error *err)
{
    struct str db;
    struct str host = str_cut(text, '/', &db);
    enum status st = parse_host(host, url, err);

    if (st == ST_OK && db.n > 0)
        st = parse_db(db, url, err);
    return st;
}

/* The userinfo ends with the last @ of the authority, so that an @ in a
 * password that somebody forgot to encode still works. */
static struct str
cut_secrets(struct str *rest)
{
    size_t end = 0;
    struct str secrets;

    while (end < rest->n && rest->p[end] != '/' && rest->p[end] != '?')
        end++;
    while (end > 0 && rest->p[end - 1] != '@')
        end--;
    if (end == 0)
        return STR_NULL;
    secrets = str_from(rest->p, end - 1);
    *rest = str_skip(*rest, end);
    return secrets;
}

static bool
take_scheme(struct str *rest, const char *scheme)
{
    if (rest->n < strlen(scheme) ||
        !str_eq_nocase(str_from(rest->p, strlen(scheme)), str_c(scheme)))
        return false;
    *rest = str_skip(*rest, strlen(scheme));
    return true;
}

static enum status
parse(struct str rest, struct rds_url *ret, struct error *err)
{
    struct rds_url url = {.port = RDS_URL_PORT};
    struct str secrets;
    enum status st = ST_OK;

    if (take_scheme(&rest, "rediss://"))
        return error_set(err, ST_INVALID,
                         "TLS (rediss://) is not supported; use redis:// to a "
                         "TLS proxy on this host");
    if (take_scheme(&rest, "unix://"))
        url.is_unix = true;
    else if (!take_scheme(&rest, "redis://"))
        return error_set(err, ST_INVALID,
                         "it must begin with redis:// or unix://");
    if (rest.n > 0 && memchr(rest.p, '#', rest.n))
        return error_set(err, ST_INVALID, "a # must be written as %%23");
    secrets = cut_secrets(&rest);
    if (secrets.p)
        st = parse_secrets(secrets, &url, err);
    if (st == ST_OK)
        st = url.is_unix ? parse_unix(rest, &url, err)
                         : parse_tcp(rest, &url, err);
    if (st == ST_OK)
        *ret = url;
    return st;
}

/* What is said names the settings that it may have come from. */
enum status
rds_url_parse(struct str text, struct rds_url *ret, struct error *err)
{
    struct error why;

    enum status st = parse(text, ret, &why);
    return st == ST_OK
               ? ST_OK
               : error_set(err, st, "Redis URL (--redis, PIT_REDIS): %s",
                           why.msg);
}

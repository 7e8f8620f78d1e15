/* Forwarded: lists are taken apart from the left, since quotes allow no other
 * way, and only the last ELEMENTS_MAX hops are kept: a longer chain of trusted
 * proxies there is not. */
#include "http/forwarded.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "http/parser.h"

enum { ELEMENTS_MAX = 32, V4_BITS = 96 };

struct elements {
    struct str at[ELEMENTS_MAX]; /* a ring: the last ones */
    size_t count;                /* all that there were */
};

/* ---- addresses ---- */

static void
from_v4(const struct in_addr *v4, struct in6_addr *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->s6_addr[10] = ret->s6_addr[11] = 0xff;
    memcpy(&ret->s6_addr[12], v4, sizeof *v4);
}

static bool
parse_ip(struct str text, struct in6_addr *ret, bool *ret_v4)
{
    char buf[INET6_ADDRSTRLEN];
    struct in_addr v4;

    if (text.n == 0 || text.n >= sizeof buf || memchr(text.p, '\0', text.n))
        return false;
    str_copy_to(text, buf, sizeof buf);
    *ret_v4 = inet_pton(AF_INET, buf, &v4) == 1;
    if (*ret_v4)
        from_v4(&v4, ret);
    return *ret_v4 || inet_pton(AF_INET6, buf, ret) == 1;
}

/* "1.2.3.4", "1.2.3.4:80", "[::1]", "[::1]:80", "::1": what a proxy writes. A
 * name ("unknown", "_hidden") is none. */
static bool
parse_node(struct str node, struct in6_addr *ret)
{
    bool v4;
    struct str rest;

    if (node.n > 0 && node.p[0] == '[') {
        struct str inner = str_cut(str_skip(node, 1), ']', &rest);
        return rest.p && parse_ip(inner, ret, &v4);
    }
    if (parse_ip(node, ret, &v4))
        return true;
    return parse_ip(str_cut(node, ':', &rest), ret, &v4) && v4;
}

static bool
is_within(const struct in6_addr *ip, const struct forwarded_network *network)
{
    const unsigned char *a = ip->s6_addr, *b = network->address.s6_addr;
    unsigned bytes = network->bits / 8, bits = network->bits % 8;

    if (memcmp(a, b, bytes) != 0)
        return false;
    return bits == 0 || ((a[bytes] ^ b[bytes]) >> (8 - bits)) == 0;
}

static bool
is_trusted(const struct forwarded *table, const struct in6_addr *ip)
{
    for (size_t i = 0; i < table->len; i++)
        if (is_within(ip, &table->networks[i]))
            return true;
    return false;
}

bool
forwarded_trusts(const struct forwarded *table,
                 const struct sockaddr_storage *peer)
{
    struct in6_addr ip;

    if (peer->ss_family == AF_INET)
        from_v4(&((const struct sockaddr_in *)peer)->sin_addr, &ip);
    else if (peer->ss_family == AF_INET6)
        ip = ((const struct sockaddr_in6 *)peer)->sin6_addr;
    else
        return table->local;
    return is_trusted(table, &ip);
}

/* ---- the table ---- */

static bool
parse_network(struct str text, struct forwarded_network *ret)
{
    struct str bits;
    struct str ip = str_cut(text, '/', &bits);
    int64_t n = 0;
    bool v4;

    if (!parse_ip(ip, &ret->address, &v4))
        return false;
    int64_t most = v4 ? 32 : 128;
    if (!bits.p)
        n = most;
    else if (!str_to_i64(bits, &n) || n > most)
        return false;
    ret->bits = (unsigned)n + (v4 ? V4_BITS : 0);
    return true;
}

enum status
forwarded_parse(const char *networks, const char *kind, struct forwarded *ret,
                struct error *err)
{
    struct forwarded table = {.kind = FORWARDED_X};
    struct str rest = str_c(networks);

    if (str_eq_c(str_c(kind), "forwarded"))
        table.kind = FORWARDED_RFC7239;
    else if (!str_eq_c(str_c(kind), "x-forwarded"))
        return error_set(err, ST_INVALID,
                         "--proxy-header takes x-forwarded or forwarded, not "
                         "'%.60s'",
                         kind);
    while (rest.p) {
        struct str one = str_trim(str_cut(rest, ',', &rest));
        if (str_eq_c(one, "unix")) {
            table.local = true;
            continue;
        }
        if (table.len == FORWARDED_NETWORKS_MAX)
            return error_set(err, ST_INVALID,
                             "--trusted-proxy takes at most %d networks",
                             FORWARDED_NETWORKS_MAX);
        if (!parse_network(one, &table.networks[table.len++]))
            return error_set(err, ST_INVALID,
                             "--trusted-proxy: '%.*s' is no network: want "
                             "10.0.0.0/8, 192.0.2.7, 2001:db8::/32 or unix",
                             (int)(one.n < 60 ? one.n : 60), one.p);
    }
    *ret = table;
    return ST_OK;
}

/* ---- lists in headers ---- */

static void
add_elements(struct elements *elements, struct str list)
{
    bool quoted = false;
    size_t from = 0;

    for (size_t i = 0; i <= list.n; i++) {
        if (i < list.n && quoted && list.p[i] == '\\' && i + 1 < list.n) {
            i++;
            continue;
        }
        if (i < list.n && list.p[i] == '"')
            quoted = !quoted;
        if (i < list.n && (quoted || list.p[i] != ','))
            continue;
        struct str one = str_trim(str_from(list.p + from, i - from));
        if (one.n > 0) /* empty elements do not count, RFC 9110 section 5.6.1 */
            elements->at[elements->count++ % ELEMENTS_MAX] = one;
        from = i + 1;
    }
}

static void
read_elements(const struct pit_request *req, struct str name,
              struct elements *ret)
{
    ret->count = 0;
    for (size_t i = 0; i < req->fields_len; i++)
        if (str_eq_nocase(req->fields[i].name, name))
            add_elements(ret, req->fields[i].value);
}

/* The element @back places from the right; empty when there is none. */
static struct str
element(const struct elements *elements, size_t back)
{
    if (back >= elements->count || back >= ELEMENTS_MAX)
        return STR_NULL;
    return elements->at[(elements->count - 1 - back) % ELEMENTS_MAX];
}

/* A parameter of a Forwarded element (RFC 7239 section 4), unquoted. Escapes
 * within quotes stand for nothing that an address, a scheme or a host may hold,
 * and make the value one that is not understood. */
static struct str
parameter(struct str element, struct str name)
{
    struct str pair, value;

    while (element.n > 0) {
        pair = str_trim(str_cut(element, ';', &element));
        if (!str_eq_nocase(str_trim(str_cut(pair, '=', &value)), name) ||
            !value.p)
            continue;
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = str_from(value.p + 1, value.n - 2);
        return value;
    }
    return STR_NULL;
}

/* ---- one request ---- */

/* How far the chain of trusted proxies goes: the last address on it that was
 * understood, and its place from the right. False: there is none. */
static bool
find_client(const struct forwarded *table, const struct elements *hops,
            struct in6_addr *ret, size_t *ret_back)
{
    bool found = false;

    for (size_t back = 0; back < hops->count && back < ELEMENTS_MAX; back++) {
        struct str hop = element(hops, back);
        struct in6_addr ip;
        if (table->kind == FORWARDED_RFC7239)
            hop = parameter(hop, STR("for"));
        if (!parse_node(hop, &ip))
            break;
        *ret = ip;
        *ret_back = back;
        found = true;
        if (!is_trusted(table, &ip))
            break;
    }
    return found;
}

static const char *
ip_text(struct arena *arena, const struct in6_addr *ip)
{
    char *text = arena_alloc(arena, INET6_ADDRSTRLEN);

    if (!text)
        return NULL;
    if (IN6_IS_ADDR_V4MAPPED(ip))
        return inet_ntop(AF_INET, &ip->s6_addr[12], text, INET6_ADDRSTRLEN);
    return inet_ntop(AF_INET6, ip, text, INET6_ADDRSTRLEN);
}

/* What a list beside X-Forwarded-For says of the same hop: proxies that add to
 * it keep step, others replace it as a whole. */
static struct str
beside(const struct pit_request *req, struct str name, size_t hops, size_t back)
{
    struct elements elements;

    read_elements(req, name, &elements);
    return element(&elements, elements.count == hops ? back : 0);
}

static enum status
set_host(struct pit_request *req, struct str host, struct error *err)
{
    if (!parser_host_valid(host))
        return error_set(err, ST_INVALID,
                         "the proxy's header names a host that is not valid");
    char *copy = arena_alloc(req->arena, host.n + 1);
    if (!copy)
        return error_set(err, ST_TOO_LARGE, "the request's memory is used up");
    str_copy_to(host, copy, host.n + 1);
    req->host = copy;
    return ST_OK;
}

enum status
forwarded_apply(const struct forwarded *table, struct pit_request *req,
                struct error *err)
{
    bool x = table->kind == FORWARDED_X;
    struct elements hops;
    struct in6_addr client;
    struct str scheme, host;
    size_t back = 0;

    read_elements(req, x ? STR("x-forwarded-for") : STR("forwarded"), &hops);
    if (find_client(table, &hops, &client, &back)) {
        const char *peer = ip_text(req->arena, &client);
        if (!peer)
            return error_set(err, ST_TOO_LARGE,
                             "the request's memory is used up");
        req->peer = peer;
    }
    if (x) {
        scheme = beside(req, STR("x-forwarded-proto"), hops.count, back);
        host = beside(req, STR("x-forwarded-host"), hops.count, back);
    } else {
        scheme = parameter(element(&hops, back), STR("proto"));
        host = parameter(element(&hops, back), STR("host"));
    }
    if (str_eq_nocase(scheme, STR("https")))
        req->scheme = "https";
    else if (str_eq_nocase(scheme, STR("http")))
        req->scheme = "http";
    return host.n > 0 ? set_host(req, host, err) : ST_OK;
}

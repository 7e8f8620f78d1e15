/* Cookies: read from the request, set on the response (RFC 6265, and its
 * successor draft for SameSite and the name prefixes). */
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "app/http/request.h"
#include "app/http/response.h"

enum {
    PAIR_MAX = 4096, /* name and value: what browsers keep */
    ATTRIBUTE_MAX = 1024,
    MAX_AGE_MAX_S = 400 * 24 * 3600, /* what browsers cut it down to */
};

const char *
pit_request_cookie(struct pit_request *req, const char *name)
{
    struct str wanted = str_c(name);

    for (size_t i = 0; i < req->fields_len; i++) {
        struct str rest = req->fields[i].value;
        if (!str_eq_nocase(req->fields[i].name, STR("cookie")))
            continue;
        while (rest.n > 0) {
            struct str value, pair = str_trim(str_cut(rest, ';', &rest));
            if (!str_eq(str_cut(pair, '=', &value), wanted) || !value.p)
                continue;
            if (value.n >= 2 && value.p[0] == '"' &&
                value.p[value.n - 1] == '"')
                value = str_from(value.p + 1, value.n - 2);
            return arena_copy(req->arena, value);
        }
    }
    return NULL;
}

/* cookie-octet of RFC 6265 section 4.1.1. */
static bool
is_value(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == ',' || c == ';' ||
            c == '\\')
            return false;
    }
    return true;
}

/* Of a path or a domain: anything that cannot begin another attribute. */
static bool
is_attribute(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] >= 0x7f || s.p[i] == ';')
            return false;
    return s.n <= ATTRIBUTE_MAX;
}

static bool
is_prefixed(const struct pit_cookie *c, const char *prefix)
{
    return strncasecmp(c->name, prefix, strlen(prefix)) == 0;
}

static bool
is_good(const struct pit_cookie *c)
{
    struct str path = str_c(c->path), domain = str_c(c->domain);

    if (!response_name_valid(str_c(c->name)) || !is_value(str_c(c->value)))
        return false;
    if (strlen(c->name) + str_c(c->value).n > PAIR_MAX)
        return false;
    if (!is_attribute(path) || (c->path && path.p[0] != '/'))
        return false;
    if (!is_attribute(domain) || (c->domain && domain.n == 0))
        return false;
    if (c->max_age_s < PIT_COOKIE_DELETE || c->max_age_s > MAX_AGE_MAX_S)
        return false;
    if ((unsigned)c->same_site > PIT_SAME_SITE_NONE)
        return false;
    /* What follows browsers would drop without a word. */
    if (!c->secure &&
        (c->same_site == PIT_SAME_SITE_NONE || is_prefixed(c, "__Secure-") ||
         is_prefixed(c, "__Host-")))
        return false;
    return !is_prefixed(c, "__Host-") ||
           (!c->domain && (!c->path || str_eq(path, STR("/"))));
}

enum pit_status
pit_response_cookie(struct pit_response *res, const struct pit_cookie *c)
{
    static const char *const same_site[] = {"Lax", "Strict", "None"};
    struct buf line;

    if (!c->name || !is_good(c))
        return PIT_INVALID;
    buf_init(&line, RESPONSE_FIELD_MAX);
    buf_addf(&line, "%s=%s; Path=%s", c->name, c->value ? c->value : "",
             c->path ? c->path : "/");
    if (c->domain)
        buf_addf(&line, "; Domain=%s", c->domain);
    if (c->max_age_s == PIT_COOKIE_DELETE)
        buf_add_c(&line, "; Max-Age=0");
    else if (c->max_age_s > 0)
        buf_addf(&line, "; Max-Age=%" PRId64, c->max_age_s);
    buf_addf(&line, "; SameSite=%s", same_site[c->same_site]);
    if (c->secure)
        buf_add_c(&line, "; Secure");
    if (!c->for_script)
        buf_add_c(&line, "; HttpOnly");
    enum status st = line.failed
                         ? ST_TOO_LARGE
                         : response_add(res, STR("Set-Cookie"), buf_str(&line));
    buf_clear(&line);
    return (enum pit_status)st;
}

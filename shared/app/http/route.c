/* Route: a tree of segments.
 *
 * DESIGN. Each node stands for what has been matched so far; its edges are
 * literals, in the order of adding, and at most one "{name}:verb" per verb and
 * one of each other kind. So two patterns that fit the same paths end in
 * the same node, whatever their parameters are called, and a clash is a second
 * target for one method there.
 *
 * A path that is a pattern of literals alone is found in a hash table first.
 * That is the node to which the tree would lead first too.
 *
 * Matching tries the edges of a node from exact to general and comes back when
 * a branch does not have the method. A node lies at one depth, hence is visited
 * at most once a match: the work is bounded by the table, not by the path.
 * Recursion is bounded by ROUTE_SEGMENTS_MAX. */
#include "app/http/route.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

enum { METHODS = PIT_OPTIONS + 1 };

enum edge_kind {
    EDGE_LITERAL,
    EDGE_ACTION,
    EDGE_INT,
    EDGE_UUID,
    EDGE_SLUG,
    EDGE_ANY,
    EDGE_PATH
};

struct node {
    struct node *next; /* sibling */
    struct node *child;
    enum edge_kind kind;
    struct str text;                     /* the literal, or the verb */
    const struct route *routes[METHODS]; /* by method; of the table */
};

struct route {
    struct route *next;
    enum pit_method method;
    const char *pattern;
    const void *target;
    struct str params[REQUEST_PARAMS_MAX]; /* names, in the path's order */
    size_t params_len;
};

struct ends {
    uint64_t first, last;
};

/* A pattern without parameters, and where it leads. */
struct plain {
    struct str path; /* p is NULL: free */
    struct ends ends;
    const struct node *node;
};

struct route_table {
    struct node root;
    struct plain *plain; /* open addressing, never full */
    size_t plain_len;
    size_t plain_size; /* a power of two, or 0 */
    struct route *first;
    struct route **last; /* the list is in the order of adding */
};

struct route_table *
route_table_new(void)
{
    struct route_table *table = xcalloc(1, sizeof *table);

    table->last = &table->first;
    return table;
}

static void
free_nodes(struct node *node)
{
    while (node) {
        struct node *next = node->next;
        free_nodes(node->child); /* at most ROUTE_SEGMENTS_MAX deep */
        free(node);
        node = next;
    }
}

void
route_table_free(struct route_table *table)
{
    if (!table)
        return;
    free_nodes(table->root.child);
    free(table->plain);
    while (table->first) {
        struct route *next = table->first->next;
        free(table->first);
        table->first = next;
    }
    free(table);
}

/* ---- patterns of literals ---- */

/* Its ends, where paths differ most; all of one of up to eight bytes. */
static inline struct ends
ends_of(struct str path)
{
    struct ends ends = {0, 0};

    if (path.n >= sizeof ends.last) {
        memcpy(&ends.first, path.p, sizeof ends.first);
        memcpy(&ends.last, path.p + path.n - sizeof ends.last,
               sizeof ends.last);
    } else {
        for (size_t i = 0; i < path.n; i++)
            ends.first = ends.first << 8 | (unsigned char)path.p[i];
    }
    return ends;
}

/* Twice by the odd number nearest to 2^64 over the golden ratio: Knuth, "The
 * Art of Computer Programming", volume 3, section 6.4. */
static size_t
hash(struct ends ends, size_t len)
{
    static const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);

    return ((((ends.first ^ len) * golden) ^ ends.last) * golden) >> 32;
}

static bool
is_plain(const struct plain *plain, struct str path, struct ends ends)
{
    return plain->path.n == path.n && plain->ends.first == ends.first &&
           plain->ends.last == ends.last &&
           (path.n <= 2 * sizeof ends.first ||
            memcmp(plain->path.p, path.p, path.n) == 0);
}

/* Where @path is, or would be. The table has a free place. */
static ALWAYS_INLINE struct plain *
plain_place(const struct route_table *table, struct str path)
{
    struct ends ends = ends_of(path);
    size_t mask = table->plain_size - 1, i = hash(ends, path.n) & mask;

    while (table->plain[i].path.p && !is_plain(&table->plain[i], path, ends))
        i = (i + 1) & mask;
    return &table->plain[i];
}

static void
plain_grow(struct route_table *table)
{
    enum { FIRST_SIZE = 64 };
    struct plain *old = table->plain;
    size_t size = table->plain_size;

    table->plain_size = size ? 2 * size : FIRST_SIZE;
    table->plain = xcalloc(table->plain_size, sizeof *table->plain);
    for (size_t i = 0; i < size; i++)
        if (old[i].path.p)
            *plain_place(table, old[i].path) = old[i];
    free(old);
}

/* @path and @node live as long as the table. */
static void
plain_add(struct route_table *table, struct str path, const struct node *node)
{
    if (2 * (table->plain_len + 1) > table->plain_size)
        plain_grow(table);
    struct plain *place = plain_place(table, path);
    table->plain_len += !place->path.p;
    *place = (struct plain){path, ends_of(path), node};
}

/* ---- building ---- */

struct segment {
    enum edge_kind kind;
    struct str text;
    struct str param; /* empty for a literal */
};

static bool
is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return s.n > 0;
}

static bool
kind_of_type(struct str type, enum edge_kind *ret)
{
    if (!type.p)
        *ret = EDGE_ANY;
    else if (str_eq(type, STR("int")))
        *ret = EDGE_INT;
    else if (str_eq(type, STR("uuid")))
        *ret = EDGE_UUID;
    else if (str_eq(type, STR("slug")))
        *ret = EDGE_SLUG;
    else if (str_eq(type, STR("path")))
        *ret = EDGE_PATH;
    else
        return false;
    return true;
}

bool
route_type_known(struct str type)
{
    enum edge_kind kind;

    return type.p && kind_of_type(type, &kind);
}

/* False for what is neither a literal nor one of the forms of route.h. */
static bool
parse_segment(struct str s, struct segment *ret)
{
    *ret = (struct segment){.kind = EDGE_LITERAL, .text = s};
    if (s.n == 0 || s.p[0] != '{')
        return (s.n == 0 || !memchr(s.p, '{', s.n)) &&
               (s.n == 0 || !memchr(s.p, '}', s.n)) &&
               (s.n == 0 || !memchr(s.p, '%', s.n));

    struct str after, type;
    struct str inside = str_cut(str_skip(s, 1), '}', &after);
    if (!after.p) /* no closing brace */
        return false;
    ret->param = str_cut(inside, ':', &type);
    ret->text = STR_NULL;
    if (!kind_of_type(type, &ret->kind))
        return false;
    if (after.n == 0)
        return is_name(ret->param);
    ret->kind = EDGE_ACTION;
    ret->text = str_skip(after, 1);
    return !type.p && after.p[0] == ':' && is_name(ret->text) &&
           is_name(ret->param);
}

/* The edge's node, made if need be; siblings stay in the order of kinds. */
static struct node *
descend(struct node *parent, const struct segment *segment)
{
    struct node **at = &parent->child;

    while (*at && (*at)->kind <= segment->kind) {
        if ((*at)->kind == segment->kind && str_eq((*at)->text, segment->text))
            return *at;
        at = &(*at)->next;
    }
    struct node *node = xcalloc(1, sizeof *node);
    node->kind = segment->kind;
    node->text = segment->text;
    node->next = *at;
    *at = node;
    return node;
}

static enum status
bad_pattern(struct error *err, const char *pattern, const char *why)
{
    return error_set(err, ST_INVALID, "route '%s': %s", pattern, why);
}

/* Walks the pattern down the tree and notes the names of its parameters. */
static enum status
place(struct route_table *table, struct route *route, struct node **ret,
      struct error *err)
{
    struct node *node = &table->root;
    struct str rest = str_c(route->pattern);
    int segments = 0;

    if (rest.n == 0 || rest.p[0] != '/')
        return bad_pattern(err, route->pattern, "must start with '/'");
    rest = str_from(rest.p + 1, rest.n - 1);
    while (rest.p) {
        struct segment segment;
        if (++segments > ROUTE_SEGMENTS_MAX)
            return bad_pattern(err, route->pattern, "too many segments");
        if (!parse_segment(str_cut(rest, '/', &rest), &segment))
            return bad_pattern(err, route->pattern,
                               "a segment is text, {name}, {name:int}, "
                               "{name:uuid}, {name:slug}, {name:path} or "
                               "{name}:verb, with names of a-z, 0-9 and _");
        if (segment.kind == EDGE_PATH && rest.p)
            return bad_pattern(err, route->pattern,
                               "{name:path} takes all that is left, so nothing "
                               "can follow it");
        if (segment.param.n > 0) {
            if (route->params_len == REQUEST_PARAMS_MAX)
                return bad_pattern(err, route->pattern, "too many parameters");
            for (size_t i = 0; i < route->params_len; i++)
                if (str_eq(route->params[i], segment.param))
                    return bad_pattern(err, route->pattern,
                                       "a parameter's name stands twice");
            route->params[route->params_len++] = segment.param;
        }
        node = descend(node, &segment);
    }
    *ret = node;
    return ST_OK;
}

enum status
route_add(struct route_table *table, enum pit_method method,
          const char *pattern, const void *target, struct error *err)
{
    struct node *node = NULL;

    if (method < PIT_GET || method > PIT_OPTIONS)
        return bad_pattern(err, pattern, "has no known method");
    struct route *route = xcalloc(1, sizeof *route);
    route->method = method;
    route->pattern = pattern;
    route->target = target;
    enum status st = place(table, route, &node, err);
    assert(st != ST_OK || node);
    if (st == ST_OK && node->routes[method])
        st = error_set(err, ST_CONFLICT, "route '%s %s' clashes with '%s'",
                       request_method_name(method), pattern,
                       node->routes[method]->pattern);
    if (st != ST_OK) {
        free(route);
        return st;
    }
    node->routes[method] = route;
    if (!memchr(pattern, '{', strlen(pattern)))
        plain_add(table, str_c(pattern), node);
    *table->last = route;
    table->last = &route->next;
    return ST_OK;
}

/* ---- matching ---- */

struct search {
    struct str segments[ROUTE_SEGMENTS_MAX]; /* decoded */
    size_t segments_len;
    struct str params[REQUEST_PARAMS_MAX];
    size_t params_len;
    size_t path_from; /* the segment that a {name:path} begins with */
    enum pit_method method;
    const struct route *found;
    uint32_t allow;
};

static bool
is_int(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0 && s.n <= 18;
}

static bool
is_uuid(struct str s)
{
    if (s.n != 36)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], lower = (char)(c | 0x20);
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'f');
        if (dash ? c != '-' : !hex)
            return false;
    }
    return true;
}

/* What may become a file's name: no dot comes first. */
static bool
is_slug(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], lower = (char)(c | 0x20);
        if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_' || (c == '.' && i > 0)))
            return false;
    }
    return s.n > 0 && s.n <= 64;
}

/* Whether @segment fits; *ret_param is its value, if the edge has one. */
static bool
fits(const struct node *node, struct str segment, struct str *ret_param)
{
    size_t verb = node->text.n + 1;

    *ret_param = segment;
    switch (node->kind) {
    case EDGE_LITERAL:
        return str_eq(node->text, segment);
    case EDGE_ACTION:
        if (segment.n <= verb || segment.p[segment.n - verb] != ':' ||
            !str_eq(str_skip(segment, segment.n - verb + 1), node->text))
            return false;
        ret_param->n = segment.n - verb;
        return true;
    case EDGE_INT:
        return is_int(segment);
    case EDGE_UUID:
        return is_uuid(segment);
    case EDGE_SLUG:
        return is_slug(segment);
    case EDGE_PATH: /* its value is put together in the end */
    case EDGE_ANY:
        return segment.n > 0;
    }
    return false;
}

static const struct route *
route_for(const struct node *node, enum pit_method method)
{
    const struct route *route = node->routes[method];

    return !route && method == PIT_HEAD ? node->routes[PIT_GET] : route;
}

/* The route for the method at the end of a path. */
static bool
settle(struct search *search, const struct node *node)
{
    const struct route *route = route_for(node, search->method);

    search->found = route;
    if (route)
        return true;
    for (int method = PIT_GET; method < METHODS; method++)
        if (node->routes[method])
            search->allow |= 1u << method;
    return false;
}

static bool
find(struct search *search, const struct node *parent, size_t depth)
{
    struct str segment = search->segments[depth], param;

    for (const struct node *node = parent->child; node; node = node->next) {
        size_t params_len = search->params_len;
        bool last = depth + 1 == search->segments_len;
        bool path = node->kind == EDGE_PATH;
        if (!fits(node, segment, &param) && !(path && !last))
            continue;
        if (path)
            search->path_from = depth;
        if (node->kind != EDGE_LITERAL)
            search->params[search->params_len++] = param;
        if (last || path ? settle(search, node) : find(search, node, depth + 1))
            return true;
        search->params_len = params_len;
        search->path_from = SIZE_MAX;
    }
    return false;
}

/* Cuts the path and decodes what is escaped. */
static bool
split(struct pit_request *req, struct search *search)
{
    struct str rest = str_skip(req->raw_path, 1);
    bool escaped = memchr(req->raw_path.p, '%', req->raw_path.n);

    if (!rest.p)
        rest = STR("");
    while (rest.p) {
        struct str segment = str_cut(rest, '/', &rest);
        if (search->segments_len == ROUTE_SEGMENTS_MAX)
            return false;
        if (escaped && request_percent_decode(req->arena, segment, false,
                                              &segment, NULL) != ST_OK)
            return false;
        search->segments[search->segments_len++] = segment;
    }
    return true;
}

/* The value of a {name:path}: the decoded segments with their slashes. */
static bool
join_path(const struct search *search, struct arena *arena, struct str *ret)
{
    size_t n = 0;

    for (size_t i = search->path_from; i < search->segments_len; i++)
        n += search->segments[i].n + 1;
    char *p = arena_alloc(arena, n);
    if (!p)
        return false;
    *ret = str_from(p, n - 1);
    for (size_t i = search->path_from; i < search->segments_len; i++) {
        struct str segment = search->segments[i];
        if (i > search->path_from)
            *p++ = '/';
        if (segment.n > 0)
            memcpy(p, segment.p, segment.n);
        p += segment.n;
    }
    return true;
}

static enum route_result
refuse(struct search *search, struct route_match *ret)
{
    if (search->allow == 0)
        return ROUTE_NOT_FOUND;
    if (search->allow & (1u << PIT_GET))
        search->allow |= 1u << PIT_HEAD;
    ret->allow = search->allow | 1u << PIT_OPTIONS;
    return search->method == PIT_OPTIONS ? ROUTE_OPTIONS
                                         : ROUTE_METHOD_NOT_ALLOWED;
}

static enum route_result
found(const struct route *route, struct pit_request *req,
      struct route_match *ret)
{
    ret->target = route->target;
    ret->pattern = req->route = route->pattern;
    ret->allow = 0;
    return ROUTE_FOUND;
}

static enum route_result
match_tree(const struct route_table *table, struct pit_request *req,
           struct route_match *ret)
{
    struct search search;

    /* The tables of slices are not cleared: their lengths are. */
    search.segments_len = search.params_len = 0;
    search.method = req->method;
    search.found = NULL;
    search.allow = 0;
    search.path_from = SIZE_MAX;
    *ret = (struct route_match){0};
    if (!split(req, &search))
        return ROUTE_BAD;
    if (!find(&search, &table->root, 0))
        return refuse(&search, ret);

    const struct route *route = search.found;
    assert(route->params_len == search.params_len);
    if (search.path_from != SIZE_MAX &&
        !join_path(&search, req->arena, &search.params[route->params_len - 1]))
        return ROUTE_BAD;
    for (size_t i = 0; i < route->params_len; i++)
        if (request_param_add(req, route->params[i], search.params[i]) != ST_OK)
            return ROUTE_BAD;
    return found(route, req, ret);
}

enum route_result
route_match(const struct route_table *table, struct pit_request *req,
            struct route_match *ret)
{
    const struct plain *plain =
        table->plain_size ? plain_place(table, req->raw_path) : NULL;
    const struct route *route =
        plain && plain->node ? route_for(plain->node, req->method) : NULL;

    return route ? found(route, req, ret) : match_tree(table, req, ret);
}

void
route_allow(uint32_t allow, char dst[ROUTE_ALLOW_SIZE])
{
    size_t n = 0;

    dst[0] = '\0';
    for (int method = PIT_GET; method < METHODS; method++)
        if (allow & (1u << method))
            n += (size_t)snprintf(dst + n, ROUTE_ALLOW_SIZE - n, "%s%s",
                                  n > 0 ? ", " : "",
                                  request_method_name((enum pit_method)method));
    assert(n < ROUTE_ALLOW_SIZE);
}

void
route_each(const struct route_table *table,
           void (*fn)(enum pit_method method, const char *pattern,
                      const void *target, void *arg),
           void *arg)
{
    for (const struct route *route = table->first; route; route = route->next)
        fn(route->method, route->pattern, route->target, arg);
}

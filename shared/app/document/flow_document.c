/* Flow document: a walk that adds jobs as it meets them, and returns for each
 * chain or group where it begins and where it ends; what follows is linked to
 * the ends. Nesting is bounded, so the recursion is.
 *
 * A job's own fields are the flow's business; the rest is an envelope, which is
 * written anew without them and read as every other. */
#include "app/document/flow_document.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsontext.h"
#include "queue/queue_retry.h"

/* Jobs, by index. */
struct set {
    uint32_t *p;
    size_t n;
    size_t cap;
};

/* Where a part of the flow begins and ends. */
struct part {
    struct set first;
    struct set last;
};

struct reader {
    struct co *co;
    struct task_catalog *catalog;
    struct arena *arena;
    struct job_origin origin;
    struct flow *flow;
    struct buf *texts;
    struct durability_wish *durability;
    bool go_on; /* unless a job says otherwise */
    struct error *err;
    char path[64]; /* the pointer to what is read now */
    size_t path_len;
};

/* ---- pointers ---- */

/* Goes down to a member; returns what leave() takes. */
static size_t
go_into(struct reader *r, struct str name)
{
    size_t before = r->path_len;
    size_t room = sizeof r->path - before;
    int n = snprintf(r->path + before, room, "/%.*s",
                     (int)(name.n < 40 ? name.n : 40), name.p);

    if ((size_t)n < room)
        r->path_len += (size_t)n;
    else
        r->path[before] = '\0';
    return before;
}

static size_t
go_into_at(struct reader *r, size_t index)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%zu", index);

    return go_into(r, str_from(text, (size_t)n));
}

static void
leave(struct reader *r, size_t before)
{
    r->path_len = before;
    r->path[before] = '\0';
}

/* Puts the path before the pointer of an error from below. */
static enum status
at_path(struct reader *r, enum status st)
{
    struct buf whole;
    char bytes[2 * sizeof r->err->pointer];

    whole = (struct buf){.p = bytes, .cap = sizeof bytes, .max = sizeof bytes};
    buf_add(&whole, r->path, r->path_len);
    buf_add_c(&whole, r->err->pointer);
    str_copy_to(buf_str(&whole), r->err->pointer, sizeof r->err->pointer);
    return st;
}

PRINTF(2, 3)
static enum status
refuse(struct reader *r, const char *fmt, ...)
{
    char text[ERROR_MSG_SIZE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return error_set_at(r->err, r->path_len ? r->path : "", "%s", text);
}

/* ---- sets ---- */

static bool
set_add(struct set *set, uint32_t job)
{
    if (set->n == set->cap) {
        size_t cap = set->cap ? 2 * set->cap : 8;
        uint32_t *bigger = realloc(set->p, cap * sizeof *bigger);
        if (!bigger)
            return false;
        set->p = bigger;
        set->cap = cap;
    }
    set->p[set->n++] = job;
    return true;
}

static bool
set_add_all(struct set *set, const struct set *from)
{
    for (size_t i = 0; i < from->n; i++)
        if (!set_add(set, from->p[i]))
            return false;
    return true;
}

static void
part_clear(struct part *part)
{
    free(part->first.p);
    free(part->last.p);
    *part = (struct part){0};
}

static enum status
no_memory(struct reader *r)
{
    return error_set(r->err, ST_LIMIT, "out of memory");
}

/* ---- one job ---- */

/* The fields of a job that are not its envelope's. */
struct job_fields {
    struct str name;
    bool go_on;
    struct jsontext after; /* type JSONTEXT_NULL: none */
};

static bool
plain_text(struct jsontext value, struct str *ret)
{
    if (value.type != JSONTEXT_STRING || memchr(value.raw.p, '\\', value.raw.n))
        return false;
    *ret = str_from(value.raw.p + 1, value.raw.n - 2);
    return true;
}

static enum status
read_policy(struct reader *r, struct jsontext value, bool *ret)
{
    struct str word = STR_NULL;

    if (value.type == JSONTEXT_NULL)
        return ST_OK;
    if (!plain_text(value, &word) ||
        !(str_eq_c(word, "stop") || str_eq_c(word, "go_on"))) {
        size_t before = go_into(r, STR("on_failure"));
        enum status st = refuse(r, "must be \"stop\" (it does not run unless "
                                   "all before it succeeded) or \"go_on\"");
        leave(r, before);
        return st;
    }
    *ret = str_eq_c(word, "go_on");
    return ST_OK;
}

/* Takes a member if it is the flow's; *ret_taken says so. */
static enum status
take_field(struct reader *r, struct str key, struct jsontext value, bool graph,
           struct job_fields *fields, bool *ret_taken)
{
    *ret_taken = true;
    if (str_eq_c(key, "on_failure"))
        return read_policy(r, value, &fields->go_on);
    if (str_eq_c(key, "after") && graph) {
        fields->after = value;
        return ST_OK;
    }
    if (str_eq_c(key, "name") && !graph) {
        if (plain_text(value, &fields->name) && fields->name.n > 0)
            return ST_OK;
        size_t before = go_into(r, STR("name"));
        enum status st = refuse(r, "must be a text of 1 to %d A-Z a-z 0-9 _ -",
                                FLOW_NAME_MAX);
        leave(r, before);
        return st;
    }
    *ret_taken = false;
    return ST_OK;
}

/* Writes the envelope of @value to the texts. There is room for it: it is no
 * longer than what it is made from. */
static enum status
split_job(struct reader *r, struct jsontext value, bool graph,
          struct job_fields *fields, struct str *ret)
{
    struct jsontext_walk walk = jsontext_walk(value);
    size_t from = r->texts->len;
    struct jsontext member;
    struct str key;
    bool taken;

    buf_add_char(r->texts, '{');
    while (jsontext_next(&walk, &key, &member)) {
        enum status st = take_field(r, key, member, graph, fields, &taken);
        if (st != ST_OK)
            return st;
        if (taken)
            continue;
        if (r->texts->len > from + 1)
            buf_add_char(r->texts, ',');
        buf_add_char(r->texts, '"');
        buf_add_str(r->texts, key);
        buf_add_c(r->texts, "\":");
        buf_add_str(r->texts, member.raw);
    }
    buf_add_char(r->texts, '}');
    assert(!r->texts->failed);
    *ret = str_from(r->texts->p + from, r->texts->len - from);
    return ST_OK;
}

static enum status
read_envelope(struct reader *r, struct str text, struct envelope *ret)
{
    struct jsontext value;

    enum status st = jsontext_check(text, &value, r->err);
    if (st == ST_OK)
        st = envelope_read(value, r->arena, ret, r->err);
    if (st == ST_OK && (ret->given & (ENVELOPE_DURABILITY | ENVELOPE_AFTER)))
        st = error_set_at(
            r->err, ret->given & ENVELOPE_AFTER ? "/after" : "/durability",
            ret->given & ENVELOPE_AFTER
                ? "a job of a flow cannot have it"
                : "is for the flow as a whole: put it beside its jobs");
    if (st == ST_OK)
        st = catalog_complete(r->co, r->catalog, r->arena, ret, r->err);
    if (st == ST_OK)
        st = queue_retry_fill(r->co, r->catalog->queues, &ret->spec, r->err);
    return st == ST_OK ? ST_OK : at_path(r, st);
}

/* @name: the member's, in a graph. */
static enum status
read_job(struct reader *r, struct jsontext value, const struct str *name,
         struct job_fields *fields, uint32_t *ret)
{
    struct envelope envelope;
    struct str text = STR_NULL;

    if (value.type != JSONTEXT_OBJECT)
        return refuse(r, "must be a job: an object with \"task\"");
    *fields = (struct job_fields){.go_on = r->go_on};
    enum status st = jsontext_unique_keys(value, r->err);
    if (st != ST_OK)
        return at_path(r, st);
    st = split_job(r, value, name != NULL, fields, &text);
    if (st == ST_OK)
        st = read_envelope(r, text, &envelope);
    if (st != ST_OK)
        return st;
    envelope.spec.origin = r->origin;
    st = flow_add(r->flow, name ? *name : fields->name, &envelope.spec,
                  fields->go_on, ret, r->err);
    if (st == ST_CONFLICT || st == ST_INVALID) {
        if (r->err->pointer[0] == '\0' && !name)
            str_copy_to(STR("/name"), r->err->pointer, sizeof r->err->pointer);
        r->err->status = ST_INVALID;
        return at_path(r, ST_INVALID);
    }
    return st == ST_OK ? ST_OK : at_path(r, st);
}

/* ---- chains and groups ---- */

static enum status read_node(struct reader *r, struct jsontext value, int depth,
                             struct part *ret);

static enum status
link_parts(struct reader *r, const struct set *from, const struct set *to)
{
    for (size_t i = 0; i < from->n; i++)
        for (size_t j = 0; j < to->n; j++) {
            enum status st = flow_link(r->flow, from->p[i], to->p[j], r->err);
            if (st != ST_OK)
                return at_path(r, st);
        }
    return ST_OK;
}

/* Puts @next behind what @whole is so far; takes it over. */
static enum status
chain_on(struct reader *r, struct part *whole, struct part *next)
{
    if (whole->first.n == 0) {
        *whole = *next;
        return ST_OK;
    }
    enum status st = link_parts(r, &whole->last, &next->first);
    free(whole->last.p);
    whole->last = next->last;
    free(next->first.p);
    return st;
}

/* Puts @next beside it; takes it over. */
static enum status
group_on(struct reader *r, struct part *whole, struct part *next)
{
    bool fits = set_add_all(&whole->first, &next->first) &&
                set_add_all(&whole->last, &next->last);

    part_clear(next);
    return fits ? ST_OK : no_memory(r);
}

static enum status
read_list(struct reader *r, struct jsontext value, bool chain, int depth,
          struct part *ret)
{
    struct jsontext_walk walk;
    struct jsontext member;
    struct str key;
    enum status st = ST_OK;

    if (value.type != JSONTEXT_ARRAY)
        return refuse(r, "must be an array of jobs");
    if (depth > FLOW_DOCUMENT_DEPTH_MAX)
        return refuse(r, "chains and groups nest at most %d deep",
                      FLOW_DOCUMENT_DEPTH_MAX);
    walk = jsontext_walk(value);
    for (size_t i = 0; st == ST_OK && jsontext_next(&walk, &key, &member);
         i++) {
        struct part part = {0};
        size_t before = go_into_at(r, i);
        st = read_node(r, member, depth, &part);
        if (st == ST_OK)
            st = chain ? chain_on(r, ret, &part) : group_on(r, ret, &part);
        else
            part_clear(&part);
        leave(r, before);
    }
    if (st == ST_OK && ret->first.n == 0)
        st = refuse(r, "needs at least one job");
    return st;
}

/* {"chain": [...]} or {"group": [...]}, alone in its object. */
static bool
is_nested(struct jsontext value, struct str *ret_key, struct jsontext *ret)
{
    struct jsontext_walk walk;

    if (value.type != JSONTEXT_OBJECT)
        return false;
    walk = jsontext_walk(value);
    return jsontext_next(&walk, ret_key, ret) &&
           (str_eq_c(*ret_key, "chain") || str_eq_c(*ret_key, "group"));
}

static enum status
read_nested(struct reader *r, struct jsontext value, struct str key,
            struct jsontext list, int depth, struct part *ret)
{
    struct jsontext_walk walk = jsontext_walk(value);
    struct jsontext second;
    struct str other;

    (void)jsontext_next(&walk, &other, &second);
    if (jsontext_next(&walk, &other, &second))
        return refuse(r, "a nested chain or group has no other field");
    size_t before = go_into(r, key);
    enum status st = read_list(r, list, str_eq_c(key, "chain"), depth + 1, ret);
    leave(r, before);
    return st;
}

static enum status
read_node(struct reader *r, struct jsontext value, int depth, struct part *ret)
{
    struct job_fields fields;
    struct jsontext list;
    struct str key;
    uint32_t job = 0;

    if (is_nested(value, &key, &list))
        return read_nested(r, value, key, list, depth, ret);
    enum status st = read_job(r, value, NULL, &fields, &job);
    if (st == ST_OK &&
        (!set_add(&ret->first, job) || !set_add(&ret->last, job)))
        st = no_memory(r);
    return st;
}

/* ---- graphs ---- */

static enum status
link_after(struct reader *r, uint32_t job, struct jsontext after)
{
    struct jsontext_walk walk;
    struct jsontext member;
    struct str key, name = STR_NULL;
    uint32_t other = 0;
    enum status st = ST_OK;

    if (after.type == JSONTEXT_NULL)
        return ST_OK;
    if (after.type != JSONTEXT_ARRAY)
        return refuse(r, "must be an array of names of jobs");
    walk = jsontext_walk(after);
    for (size_t i = 0; st == ST_OK && jsontext_next(&walk, &key, &member);
         i++) {
        size_t before = go_into_at(r, i);
        if (!plain_text(member, &name) || !flow_find(r->flow, name, &other))
            st = refuse(r, "no job of this flow has that name");
        else if (other == job)
            st = refuse(r, "a job cannot follow itself");
        else
            st = flow_link(r->flow, other, job, r->err);
        leave(r, before);
    }
    return st;
}

/* Jobs first, so that one may follow another that stands behind it. */
static enum status
read_graph(struct reader *r, struct jsontext value)
{
    struct jsontext_walk walk;
    struct jsontext member, *afters;
    struct job_fields fields;
    struct str key;
    enum status st = ST_OK;
    uint32_t job = 0;

    if (value.type != JSONTEXT_OBJECT)
        return refuse(r, "must be an object: names, and a job for each");
    afters = calloc(FLOW_JOBS_MAX, sizeof *afters);
    if (!afters)
        return no_memory(r);
    walk = jsontext_walk(value);
    while (st == ST_OK && jsontext_next(&walk, &key, &member)) {
        size_t before = go_into(r, key);
        st = read_job(r, member, &key, &fields, &job);
        if (st == ST_OK)
            afters[job] = fields.after;
        leave(r, before);
    }
    for (size_t i = 0; i < r->flow->len && st == ST_OK; i++) {
        size_t before = go_into(r, str_c(r->flow->jobs[i].name));
        size_t within = go_into(r, STR("after"));
        st = link_after(r, (uint32_t)i, afters[i]);
        leave(r, within);
        leave(r, before);
    }
    free(afters);
    return st;
}

/* ---- the whole ---- */

enum {
    CHAIN,
    GROUP,
    JOBS,
    THEN,
    NAME,
    QUEUE,
    KEEP,
    ON_FAILURE,
    DURABILITY,
    FIELDS
};
static const char *const field_names[FIELDS] = {
    "chain", "group", "jobs",       "then",      "name",
    "queue", "keep",  "on_failure", "durability"};

static enum status
read_fields(struct reader *r, struct jsontext value,
            struct jsontext fields[FIELDS])
{
    struct jsontext_walk walk;
    struct jsontext member;
    struct str key;

    if (value.type != JSONTEXT_OBJECT)
        return refuse(r, "a flow is an object with \"chain\", \"group\" or "
                         "\"jobs\"");
    enum status st = jsontext_unique_keys(value, r->err);
    if (st != ST_OK)
        return st;
    walk = jsontext_walk(value);
    while (jsontext_next(&walk, &key, &member)) {
        int field = 0;
        while (field < FIELDS && !str_eq_c(key, field_names[field]))
            field++;
        if (field == FIELDS) {
            size_t before = go_into(r, key);
            st = refuse(r, "there is no such field in a flow");
            leave(r, before);
            return st;
        }
        fields[field] = member;
    }
    return ST_OK;
}

static bool
is_given(struct jsontext value)
{
    return value.type != JSONTEXT_NULL;
}

static enum status
read_title(struct reader *r, struct jsontext value)
{
    struct buf text;

    if (!is_given(value))
        return ST_OK;
    buf_init(&text, FLOW_TITLE_MAX);
    struct str title = value.type == JSONTEXT_STRING
                           ? jsontext_string(value, &text)
                           : STR_NULL;
    bool fits = !text.failed && title.n >= 1 && title.n <= FLOW_TITLE_MAX;
    char *copy = fits ? arena_copy(r->arena, title) : NULL;
    if (copy)
        r->flow->title = str_from(copy, title.n);
    buf_clear(&text);
    return copy ? ST_OK
                : error_set_at(r->err, "/name",
                               "must be a text of 1 to %d bytes",
                               FLOW_TITLE_MAX);
}

static enum status
read_keep(struct reader *r, struct jsontext value)
{
    struct str text = STR_NULL;
    double seconds = -1;
    int64_t ms = -1;

    if (!is_given(value))
        return ST_OK;
    if (value.type == JSONTEXT_NUMBER && jsontext_double(value, &seconds) &&
        seconds >= 0 && seconds <= (double)JOB_KEEP_MAX_MS / 1000)
        ms = (int64_t)(seconds * 1000 + 0.5);
    else if (plain_text(value, &text))
        (void)str_to_duration_ms(text, &ms);
    if (ms < 1 || ms > JOB_KEEP_MAX_MS)
        return error_set_at(r->err, "/keep",
                            "must be a duration such as \"2h\", above 0 and "
                            "up to 365 days");
    r->flow->keep_ms = ms;
    return ST_OK;
}

static enum status
read_durability(struct reader *r, struct jsontext value)
{
    struct str word = STR_NULL;

    if (!is_given(value) ||
        (plain_text(value, &word) && durability_parse(word, r->durability)))
        return ST_OK;
    return error_set_at(r->err, "/durability",
                        "must be \"memory\", \"fsync\" or \"replica:1\" to "
                        "\"replica:%d\"",
                        DURABILITY_REPLICAS_MAX);
}

static enum status
read_settings(struct reader *r, const struct jsontext fields[FIELDS])
{
    struct str queue = STR_NULL;

    if (is_given(fields[QUEUE])) {
        if (!plain_text(fields[QUEUE], &queue) || !id_queue_valid(queue))
            return error_set_at(r->err, "/queue",
                                "must be 1 to 64 of A-Z a-z 0-9 _ . : -");
        r->flow->queue = queue;
    }
    enum status st = read_policy(r, fields[ON_FAILURE], &r->go_on);
    if (st == ST_OK)
        st = read_title(r, fields[NAME]);
    if (st == ST_OK)
        st = read_keep(r, fields[KEEP]);
    if (st == ST_OK)
        st = read_durability(r, fields[DURABILITY]);
    return st;
}

static enum status
read_then(struct reader *r, struct jsontext value, struct part *whole)
{
    struct part then = {0};
    size_t before = go_into(r, STR("then"));

    enum status st = read_node(r, value, 0, &then);
    if (st == ST_OK)
        st = chain_on(r, whole, &then);
    else
        part_clear(&then);
    leave(r, before);
    return st;
}

static enum status
read_shape(struct reader *r, const struct jsontext fields[FIELDS])
{
    int shapes = is_given(fields[CHAIN]) + is_given(fields[GROUP]) +
                 is_given(fields[JOBS]);
    struct part whole = {0};
    enum status st;

    if (shapes == 0)
        return refuse(r, "give one of \"chain\", \"group\" and \"jobs\"");
    if (shapes > 1)
        return error_set_at(r->err, is_given(fields[JOBS]) ? "/jobs" : "/group",
                            "a flow has one shape: give one of \"chain\", "
                            "\"group\" and \"jobs\"");
    if (is_given(fields[THEN]) && !is_given(fields[GROUP]))
        return error_set_at(r->err, "/then",
                            "is for a group: the job that follows all of it");
    int shape = is_given(fields[CHAIN])   ? CHAIN
                : is_given(fields[GROUP]) ? GROUP
                                          : JOBS;
    size_t before = go_into(r, str_c(field_names[shape]));
    st = shape == JOBS ? read_graph(r, fields[JOBS])
                       : read_list(r, fields[shape], shape == CHAIN, 1, &whole);
    leave(r, before);
    if (st == ST_OK && is_given(fields[THEN]))
        st = read_then(r, fields[THEN], &whole);
    part_clear(&whole);
    return st;
}

static enum status
close_flow(struct reader *r, bool graph)
{
    uint32_t job = 0;
    enum status st = flow_close(r->flow, &job, r->err);

    if (st == ST_INVALID && r->flow->len > 0 && graph)
        snprintf(r->err->pointer, sizeof r->err->pointer, "/jobs/%s/after",
                 r->flow->jobs[job].name);
    return st;
}

void
flow_document_clear(struct flow_document *document)
{
    buf_clear(&document->texts);
}

enum status
flow_document_read(struct co *co, struct str body, struct task_catalog *catalog,
                   struct arena *arena, struct job_origin origin,
                   struct flow_document *document, struct flow *flow,
                   struct error *err)
{
    struct error scratch;
    struct reader r = {.co = co,
                       .catalog = catalog,
                       .arena = arena,
                       .origin = origin,
                       .flow = flow,
                       .texts = &document->texts,
                       .durability = &document->durability,
                       .err = err ? err : &scratch};
    struct jsontext fields[FIELDS] = {{.type = JSONTEXT_NULL}};
    struct jsontext value;

    r.err->pointer[0] = '\0';
    buf_init(&document->texts, body.n + 2);
    enum status st = jsontext_check(body, &value, r.err);
    if (st != ST_OK)
        return st;
    /* All at once: slices point into it, so it must not move. */
    if (!buf_room(&document->texts, body.n + 2))
        return no_memory(&r);
    st = read_fields(&r, value, fields);
    if (st == ST_OK)
        st = read_settings(&r, fields);
    if (st == ST_OK)
        st = read_shape(&r, fields);
    return st == ST_OK ? close_flow(&r, is_given(fields[JOBS])) : st;
}

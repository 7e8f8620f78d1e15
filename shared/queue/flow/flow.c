/* Flow: the graph while it is built, and how it becomes records.
 *
 * Jobs and links lie in two arrays; closing sorts the links by the job that
 * they lead to, so that its parents are a run of them, and finds a cycle by
 * taking away jobs without parents until none is left (Kahn, 1962): no
 * recursion, no time beyond jobs + links. */
#include "queue/flow/flow.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "queue/queue_private.h"
#include "queue/registry.h"
#include "queue/script.h"

enum { NAME_SLOTS = 4096, FIXED_WORDS = 4, KEYS_OF_FLOW = 4 };
_Static_assert(NAME_SLOTS > 2 * FLOW_JOBS_MAX,
               "names are found in a few steps");

void
flow_init(struct flow *flow, const unsigned char *seed)
{
    *flow = (struct flow){.keep_ms = FLOW_KEEP_STANDARD_MS};
    if (seed)
        id_derive(seed, 0, flow->local);
    else
        id_make(flow->local);
}

void
flow_clear(struct flow *flow)
{
    free(flow->jobs);
    free(flow->links);
    free(flow->names);
    *flow = (struct flow){0};
}

/* Room for one more of @size bytes; false above @max or without memory. */
static bool
grow(void **array, size_t len, size_t *cap, size_t max, size_t size)
{
    if (len < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 16;
    if (more > max)
        more = max;
    void *bigger = len < max ? realloc(*array, more * size) : NULL;
    if (!bigger)
        return false;
    *array = bigger;
    *cap = more;
    return true;
}

/* ---- names ---- */

static bool
is_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return name.n >= 1 && name.n <= FLOW_NAME_MAX;
}

/* Where @name is, or the free slot for it. */
static uint32_t *
slot_of(const struct flow *flow, struct str name)
{
    size_t at = str_hash(name) % NAME_SLOTS;

    while (flow->names[at] &&
           !str_eq_c(name, flow->jobs[flow->names[at] - 1].name))
        at = (at + 1) % NAME_SLOTS;
    return &flow->names[at];
}

bool
flow_find(const struct flow *flow, struct str name, uint32_t *ret)
{
    uint32_t *slot = flow->names ? slot_of(flow, name) : NULL;

    if (!slot || !*slot)
        return false;
    *ret = *slot - 1;
    return true;
}

static enum status
check_options(const struct job_spec *spec, struct error *err)
{
    if (spec->unique.hold != UNIQUE_NEVER)
        return error_set_at(err, "/unique",
                            "a job of a flow cannot be unique: the flow would "
                            "wait for one that was never stored");
    if (spec->kin.parents > 0 || spec->kin.children.n > 0 || spec->local.n > 0)
        return error_set(err, ST_INVALID,
                         "a job of a flow gets its id and its place from the "
                         "flow");
    return ST_OK;
}

enum status
flow_add(struct flow *flow, struct str name, const struct job_spec *spec,
         bool go_on, uint32_t *ret, struct error *err)
{
    char number[16];

    if (!flow->names)
        flow->names = calloc(NAME_SLOTS, sizeof *flow->names);
    if (!flow->names || !grow((void **)&flow->jobs, flow->len, &flow->cap,
                              FLOW_JOBS_MAX, sizeof *flow->jobs))
        return error_set(err, ST_TOO_LARGE, "a flow has at most %d jobs",
                         FLOW_JOBS_MAX);
    if (name.n == 0) {
        snprintf(number, sizeof number, "%zu", flow->len + 1);
        name = str_c(number);
    }
    if (!is_name(name))
        return error_set_at(err, "/name",
                            "a job's name in its flow is 1 to %d of "
                            "A-Z a-z 0-9 _ -",
                            FLOW_NAME_MAX);
    enum status st = check_options(spec, err);
    if (st != ST_OK)
        return st;
    uint32_t *slot = slot_of(flow, name);
    if (*slot)
        return error_set(err, ST_CONFLICT, "two jobs are called \"%.*s\"",
                         STR_ARG(name));
    struct flow_job *job = &flow->jobs[flow->len];
    *job = (struct flow_job){.spec = *spec, .go_on = go_on};
    str_copy_to(name, job->name, sizeof job->name);
    snprintf(job->local, sizeof job->local, "%s:%s", flow->local, job->name);
    *ret = (uint32_t)flow->len++;
    *slot = *ret + 1;
    return ST_OK;
}

/* ---- links ---- */

enum status
flow_link(struct flow *flow, uint32_t from, uint32_t to, struct error *err)
{
    assert(from < flow->len && to < flow->len);
    if (!grow((void **)&flow->links, flow->links_len, &flow->links_cap,
              FLOW_LINKS_MAX, sizeof *flow->links))
        return error_set(err, ST_TOO_LARGE,
                         "a flow has at most %d links between its jobs: let "
                         "groups meet in a job",
                         FLOW_LINKS_MAX);
    flow->links[flow->links_len++] = (struct flow_link){from, to};
    return ST_OK;
}

static int
compare_links(const void *a, const void *b)
{
    const struct flow_link *one = a, *two = b;

    if (one->to != two->to)
        return one->to < two->to ? -1 : 1;
    return one->from < two->from ? -1 : one->from > two->from;
}

static void
sort_links(struct flow *flow)
{
    size_t kept = 0;

    if (flow->links_len > 0)
        qsort(flow->links, flow->links_len, sizeof *flow->links, compare_links);
    for (size_t i = 0; i < flow->links_len; i++)
        if (i == 0 || compare_links(&flow->links[i], &flow->links[i - 1]) != 0)
            flow->links[kept++] = flow->links[i];
    flow->links_len = kept;
    for (size_t i = 0; i < kept; i++) {
        flow->jobs[flow->links[i].to].parents++;
        flow->jobs[flow->links[i].from].children++;
    }
}

/* first[i] .. first[i + 1]: the links that lead away from job i, as indexes
 * into @order. */
static void
index_children(const struct flow *flow, uint32_t *first, uint32_t *order)
{
    for (size_t i = 0; i < flow->len; i++)
        first[i + 1] = first[i] + flow->jobs[i].children;
    for (size_t l = 0; l < flow->links_len; l++)
        order[first[flow->links[l].from]++] = (uint32_t)l;
    for (size_t i = flow->len; i > 0; i--)
        first[i] = first[i - 1];
    first[0] = 0;
}

struct scratch {
    uint32_t *first; /* len + 1 */
    uint32_t *order; /* links_len */
    uint32_t *left;  /* parents that are not taken away yet */
    uint32_t *queue; /* jobs without any */
};

static bool
scratch_init(struct scratch *scratch, const struct flow *flow)
{
    scratch->first = calloc(flow->len + 1, sizeof(uint32_t));
    scratch->order = calloc(flow->links_len + 1, sizeof(uint32_t));
    scratch->left = calloc(flow->len, sizeof(uint32_t));
    scratch->queue = calloc(flow->len, sizeof(uint32_t));
    return scratch->first && scratch->order && scratch->left && scratch->queue;
}

static void
scratch_clear(struct scratch *scratch)
{
    free(scratch->first);
    free(scratch->order);
    free(scratch->left);
    free(scratch->queue);
}

/* How many jobs can be taken away; all of them: there is no cycle. */
static size_t
take_away(const struct flow *flow, struct scratch *s)
{
    size_t taken = 0, len = 0;

    for (size_t i = 0; i < flow->len; i++) {
        s->left[i] = flow->jobs[i].parents;
        if (s->left[i] == 0)
            s->queue[len++] = (uint32_t)i;
    }
    for (; taken < len; taken++) {
        uint32_t job = s->queue[taken];
        for (uint32_t l = s->first[job]; l < s->first[job + 1]; l++) {
            uint32_t child = flow->links[s->order[l]].to;
            if (--s->left[child] == 0)
                s->queue[len++] = child;
        }
    }
    return taken;
}

/* A job with parents that were not taken away is on a cycle or behind one:
 * going back over such parents must come to the cycle. */
static uint32_t
find_on_cycle(const struct flow *flow, const uint32_t *left)
{
    uint32_t at = 0;

    while (left[at] == 0)
        at++;
    for (size_t steps = 0; steps < flow->len; steps++)
        for (size_t l = 0; l < flow->links_len; l++)
            if (flow->links[l].to == at && left[flow->links[l].from] > 0) {
                at = flow->links[l].from;
                break;
            }
    return at;
}

enum status
flow_close(struct flow *flow, uint32_t *ret_job, struct error *err)
{
    struct scratch scratch = {0};
    enum status st = ST_OK;

    if (flow->len == 0)
        return error_set(err, ST_INVALID, "a flow needs at least one job");
    sort_links(flow);
    if (!scratch_init(&scratch, flow)) {
        st = error_set(err, ST_LIMIT, "out of memory");
        goto out;
    }
    index_children(flow, scratch.first, scratch.order);
    if (take_away(flow, &scratch) < flow->len) {
        uint32_t job = find_on_cycle(flow, scratch.left);
        if (ret_job)
            *ret_job = job;
        st = error_set(err, ST_INVALID,
                       "the job \"%s\" waits for itself, over others",
                       flow->jobs[job].name);
    }
out:
    scratch_clear(&scratch);
    return st;
}

/* ---- handing over ---- */

static struct str
home_of(const struct flow *flow)
{
    return flow->queue.n > 0 ? flow->queue : flow->jobs[0].spec.queue;
}

void
flow_id(const struct flow *flow, char dst[ID_JOB_MAX + 1])
{
    struct str home = home_of(flow);

    snprintf(dst, ID_JOB_MAX + 1, "%.*s.%s", STR_ARG(home), flow->local);
}

static void
add_id(struct buf *dst, const struct flow_job *job)
{
    buf_add_str(dst, job->spec.queue);
    buf_add_char(dst, '.');
    buf_add_c(dst, job->local);
}

/* The ids that hear of each job's end, one after the other: its children, and
 * the flow. ends[i] is where those of job i end. */
static void
write_children(const struct flow *flow, const char *id, struct buf *dst,
               size_t *ends, const struct scratch *s)
{
    for (uint32_t i = 0; i < flow->len; i++) {
        for (uint32_t l = s->first[i]; l < s->first[i + 1]; l++) {
            add_id(dst, &flow->jobs[flow->links[s->order[l]].to]);
            buf_add_char(dst, ',');
        }
        buf_add_c(dst, id);
        if (flow->jobs[i].children == 0) /* scripts/deliver.lua */
            buf_add_char(dst, ':');
        ends[i] = dst->len;
    }
}

static void
write_document(const struct flow *flow, struct buf *dst)
{
    size_t link = 0;

    buf_add_c(dst, "{\"name\":");
    if (flow->title.n > 0)
        buf_add_json_string(dst, flow->title);
    else
        buf_add_c(dst, "null");
    buf_add_c(dst, ",\"jobs\":[");
    for (uint32_t i = 0; i < flow->len; i++) {
        const struct flow_job *job = &flow->jobs[i];
        buf_addf(dst, "%s{\"name\":\"%s\",\"id\":\"", i ? "," : "", job->name);
        add_id(dst, job);
        buf_addf(dst, "\",\"task\":\"%.*s\",\"go_on\":%s,\"after\":[",
                 STR_ARG(job->spec.task), job->go_on ? "true" : "false");
        for (size_t n = 0; link < flow->links_len && flow->links[link].to == i;
             link++, n++)
            buf_addf(dst, "%s\"%s\"", n ? "," : "",
                     flow->jobs[flow->links[link].from].name);
        buf_add_c(dst, "]}");
    }
    buf_add_c(dst, "]}");
}

/* All texts of the call. */
struct handover {
    struct scratch scratch;
    struct buf document;
    struct buf children;
    struct buf records;
    struct buf ids;
    size_t *children_ends;
    size_t *record_ends;
    size_t *id_ends;
    const char **argv;
    size_t *argv_len;
    char id[ID_JOB_MAX + 1];
};

static enum status
handover_init(struct handover *h, const struct flow *flow, struct error *err)
{
    size_t words = KEYS_OF_FLOW + FIXED_WORDS + 2 * flow->len;

    buf_init(&h->document, FLOW_BYTES_MAX);
    buf_init(&h->children, FLOW_BYTES_MAX);
    buf_init(&h->records, FLOW_BYTES_MAX);
    buf_init(&h->ids, FLOW_BYTES_MAX);
    h->children_ends = calloc(flow->len, sizeof(size_t));
    h->record_ends = calloc(flow->len, sizeof(size_t));
    h->id_ends = calloc(flow->len, sizeof(size_t));
    h->argv = calloc(words, sizeof *h->argv);
    h->argv_len = calloc(words, sizeof *h->argv_len);
    if (!h->children_ends || !h->record_ends || !h->id_ends || !h->argv ||
        !h->argv_len || !scratch_init(&h->scratch, flow))
        return error_set(err, ST_LIMIT, "out of memory");
    return ST_OK;
}

static void
handover_clear(struct handover *h)
{
    scratch_clear(&h->scratch);
    buf_clear(&h->document);
    buf_clear(&h->children);
    buf_clear(&h->records);
    buf_clear(&h->ids);
    free(h->children_ends);
    free(h->record_ends);
    free(h->id_ends);
    free((void *)h->argv);
    free(h->argv_len);
}

/* One record: the job's own spec with its place in the flow. */
static enum status
write_record(struct handover *h, const struct flow *flow, uint32_t i,
             int64_t now_ms, struct error *err)
{
    struct flow_job *job = &flow->jobs[i];
    struct job_spec spec = job->spec;
    size_t from = i ? h->children_ends[i - 1] : 0;

    spec.kin = (struct job_kin){
        .parents = (int32_t)job->parents,
        .go_on = job->go_on,
        .children = str_from(h->children.p + from, h->children_ends[i] - from),
        .flow = str_c(h->id),
    };
    if (spec.kin.children.n > JOB_CHILDREN_MAX_BYTES ||
        spec.kin.parents > JOB_PARENTS_MAX)
        return error_set(err, ST_TOO_LARGE,
                         "the job \"%s\" leads to too many others, or waits "
                         "for more than %d: put jobs between them",
                         job->name, JOB_PARENTS_MAX);
    enum status st = job_spec_check(&spec, err);
    if (st != ST_OK)
        return st;
    job_encode(&spec, now_ms, &h->records);
    h->record_ends[i] = h->records.len;
    add_id(&h->ids, job);
    h->id_ends[i] = h->ids.len;
    return ST_OK;
}

static enum status
write_all(struct handover *h, const struct flow *flow, int64_t now_ms,
          struct error *err)
{
    enum status st = ST_OK;

    flow_id(flow, h->id);
    index_children(flow, h->scratch.first, h->scratch.order);
    write_children(flow, h->id, &h->children, h->children_ends, &h->scratch);
    write_document(flow, &h->document);
    for (uint32_t i = 0; i < flow->len && st == ST_OK; i++)
        st = write_record(h, flow, i, now_ms, err);
    if (st == ST_OK && (h->document.failed || h->children.failed ||
                        h->records.failed || h->ids.failed))
        st = error_set(err, ST_TOO_LARGE,
                       "the flow's jobs hold more than %d MiB: store the data "
                       "elsewhere and send references",
                       FLOW_BYTES_MAX >> 20);
    return st;
}

static void
add_word(struct handover *h, int *n, struct str word)
{
    h->argv[*n] = word.n ? word.p : "";
    h->argv_len[(*n)++] = word.n;
}

static int
make_words(struct handover *h, const struct flow *flow, const struct keys *keys,
           char keep[24])
{
    static const enum key which[KEYS_OF_FLOW] = {KEY_FLOWS, KEY_OUTBOX,
                                                 KEY_WAKE, KEY_META};
    int n = 0;

    for (int k = 0; k < KEYS_OF_FLOW; k++)
        add_word(h, &n, str_from(keys->p[which[k]], keys->n[which[k]]));
    snprintf(keep, 24, "%lld", (long long)flow->keep_ms);
    add_word(h, &n, str_c(flow->local));
    add_word(h, &n, buf_str(&h->document));
    add_word(h, &n, str_c(keep));
    add_word(h, &n, flow->title);
    for (size_t i = 0; i < flow->len; i++) {
        size_t id = i ? h->id_ends[i - 1] : 0;
        size_t record = i ? h->record_ends[i - 1] : 0;
        add_word(h, &n, str_from(h->ids.p + id, h->id_ends[i] - id));
        add_word(h, &n,
                 str_from(h->records.p + record, h->record_ends[i] - record));
    }
    return n;
}

enum status
flow_accept(struct co *co, struct queues *queues, struct flow *flow,
            bool *ret_existed, struct error *err)
{
    struct handover h = {0};
    struct rds_call call = {0};
    struct keys keys;
    char keep[24];

    enum status st = handover_init(&h, flow, err);
    if (st == ST_OK)
        st = write_all(&h, flow, clock_wall_ms(), err);
    if (st != ST_OK)
        goto out;
    queue_keys(queues, home_of(flow), &keys);
    int n = make_words(&h, flow, &keys, keep);
    rds_send_script(queues->rds, &call, &script_flow, KEYS_OF_FLOW, n, h.argv,
                    h.argv_len, NULL, NULL);
    st = co_await(co, &call.op);
    if (st == ST_OK)
        *ret_existed = call.reply->integer == 0;
    else if (err)
        *err = call.err;
    /* Its home may have no job of its own, and is to be found all the same. The
     * flow is accepted by now, whatever becomes of that. */
    if (st == ST_OK && !*ret_existed)
        (void)!registry_put_queue(co, queues, home_of(flow), NULL, NULL);
out:
    rds_call_clear(&call);
    handover_clear(&h);
    return st;
}

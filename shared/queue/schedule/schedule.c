/* Schedule: read with jansson, written as text; a fire reads one, so its job is
 * kept as the record that the fire stores. */
#include "queue/schedule/schedule.h"

#include <inttypes.h>
#include <string.h>

#include "base/jsontext.h"

static const char *const misfires[] = {"skip", "once", "all"};
static const char *const overlaps[] = {"allow", "skip", "buffer"};

void
schedule_init(struct schedule *s)
{
    *s = (struct schedule){.timezone = STR("UTC")};
    job_spec_init(&s->spec);
}

void
schedule_clear(struct schedule *s)
{
    if (!s)
        return;
    json_decref(s->owner);
    *s = (struct schedule){0};
}

bool
schedule_name_valid(struct str name)
{
    return id_task_valid(name);
}

enum status
schedule_set_cron(struct schedule *s, struct str text, struct error *err)
{
    struct error why;

    if (cron_parse(text, &s->cron, &why) != ST_OK)
        return error_set_at(err, "/cron", "%s", why.msg);
    s->when = SCHEDULE_CRON;
    s->cron_text = text;
    return ST_OK;
}

enum status
schedule_set_timezone(struct schedule *s, struct str name, struct error *err)
{
    struct error why;
    enum status st = zone_find(name, &s->zone, &why);

    if (st == ST_INVALID)
        return error_set_at(err, "/timezone", "%s", why.msg);
    if (st != ST_OK)
        return error_set(err, st, "%s", why.msg);
    s->timezone = str_c(zone_name(s->zone));
    return ST_OK;
}

static bool
find_word(struct str word, const char *const *words, size_t n, size_t *ret)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_c(word, words[i])) {
            *ret = i;
            return true;
        }
    return false;
}

bool
schedule_misfire_parse(struct str word, enum schedule_misfire *ret)
{
    size_t i;

    if (!find_word(word, misfires, ARRAY_LEN(misfires), &i))
        return false;
    *ret = (enum schedule_misfire)i;
    return true;
}

bool
schedule_overlap_parse(struct str word, enum schedule_overlap *ret)
{
    size_t i;

    if (!find_word(word, overlaps, ARRAY_LEN(overlaps), &i))
        return false;
    *ret = (enum schedule_overlap)i;
    return true;
}

const char *
schedule_misfire_name(enum schedule_misfire misfire)
{
    return misfires[misfire];
}

const char *
schedule_overlap_name(enum schedule_overlap overlap)
{
    return overlaps[overlap];
}

/* ---- checking ---- */

static enum status
check_times(const struct schedule *s, struct error *err)
{
    if (s->when == SCHEDULE_EVERY && (s->every_ms < SCHEDULE_EVERY_MIN_MS ||
                                      s->every_ms > SCHEDULE_EVERY_MAX_MS))
        return error_set_at(err, "/every",
                            "an interval is 1 s to 366 days long");
    if (s->when == SCHEDULE_AT && s->at_ms <= 0)
        return error_set_at(err, "/at", "the time is missing");
    if (s->jitter_ms < 0 || s->jitter_ms > SCHEDULE_JITTER_MAX_MS)
        return error_set_at(err, "/jitter", "jitter is 0 to 24 hours");
    if (s->when == SCHEDULE_EVERY && s->jitter_ms > s->every_ms)
        return error_set_at(err, "/jitter",
                            "jitter is not longer than the interval");
    if (s->when != SCHEDULE_CRON && !str_eq(s->timezone, STR("UTC")))
        return error_set_at(err, "/timezone",
                            "a time zone goes with a cron line only; a moment "
                            "has its offset in it, an interval needs none");
    return ST_OK;
}

static enum status
check_note(struct str note, struct error *err)
{
    if (note.n > SCHEDULE_NOTE_MAX)
        return error_set_at(err, "/note", "a note has at most %d bytes",
                            SCHEDULE_NOTE_MAX);
    for (size_t i = 0; i < note.n; i++)
        if ((unsigned char)note.p[i] < 0x20 || note.p[i] == 0x7f)
            return error_set_at(err, "/note", "a note is one line of text");
    return ST_OK;
}

/* What makes no sense for a job that is enqueued again and again. */
static enum status
check_job(const struct job_spec *spec, struct error *err)
{
    static const char why[] = "a schedule's job cannot have it: each fire is "
                              "enqueued when its time has come";

    if (spec->delay_ms > 0)
        return error_set_at(err, "/delay", "%s", why);
    if (spec->run_at_ms > 0)
        return error_set_at(err, "/run_at", "%s", why);
    if (spec->expires_at_ms > 0)
        return error_set_at(err, "/expires_at", "%s", why);
    if (spec->kin.parents > 0)
        return error_set_at(err, "/after", "%s", why);
    if (spec->unique.on_conflict != UNIQUE_REJECT)
        return error_set_at(err, "/unique/on_conflict",
                            "a fire whose key is held is left out: a "
                            "schedule's job has \"reject\" only");
    if (spec->args.n > SCHEDULE_ARGS_MAX) {
        (void)error_set_at(err, "/args",
                           "a schedule's args have at most %d bytes: store "
                           "the data elsewhere and give a reference",
                           SCHEDULE_ARGS_MAX);
        if (err)
            err->status = ST_TOO_LARGE;
        return ST_TOO_LARGE;
    }
    return job_spec_check(spec, err);
}

enum status
schedule_check(const struct schedule *s, struct error *err)
{
    if (!schedule_name_valid(s->name))
        return error_set(err, ST_INVALID,
                         "a schedule's name is 1 to %d characters A-Z a-z 0-9 "
                         "_ . : -",
                         SCHEDULE_NAME_MAX);
    enum status st = check_times(s, err);
    if (st == ST_OK)
        st = check_note(s->note, err);
    if (st == ST_OK)
        st = check_job(&s->spec, err);
    return st;
}

/* ---- writing ---- */

/* The members that a person decides on. */
static void
define(const struct schedule *s, struct buf *dst)
{
    struct buf record;

    switch (s->when) {
    case SCHEDULE_CRON:
        buf_add_c(dst, "\"cron\":");
        buf_add_json_string(dst, s->cron_text);
        break;
    case SCHEDULE_EVERY:
        buf_addf(dst, "\"every_ms\":%" PRId64, s->every_ms);
        break;
    case SCHEDULE_AT:
        buf_addf(dst, "\"at_ms\":%" PRId64, s->at_ms);
        break;
    }
    buf_add_c(dst, ",\"timezone\":");
    buf_add_json_string(dst, s->timezone);
    buf_addf(dst,
             ",\"misfire\":\"%s\",\"overlap\":\"%s\",\"jitter_ms\":%" PRId64
             ",\"paused\":%s,\"note\":",
             misfires[s->misfire], overlaps[s->overlap], s->jitter_ms,
             s->paused ? "true" : "false");
    buf_add_json_string(dst, s->note);
    buf_addf(dst, ",\"queue\":\"%.*s\",\"record\":", STR_ARG(s->spec.queue));
    buf_init(&record, SCHEDULE_JSON_MAX);
    job_encode(&s->spec, 0, &record);
    buf_add_json_string(dst, buf_str(&record));
    dst->failed |= record.failed;
    buf_clear(&record);
}

void
schedule_encode(const struct schedule *s, struct buf *dst)
{
    define(s, dst);
    buf_addf(dst,
             ",\"anchor_ms\":%" PRId64 ",\"created_ms\":%" PRId64
             ",\"updated_ms\":%" PRId64,
             s->anchor_ms, s->created_ms, s->updated_ms);
    if (s->app.n > 0) {
        buf_addf(dst, ",\"app\":\"%.*s\",\"declared\":", STR_ARG(s->app));
        buf_add_str(dst, s->declared);
    }
    buf_add_char(dst, '}');
}

void
schedule_declare(const struct schedule *s, struct buf *dst)
{
    buf_add_char(dst, '{');
    define(s, dst);
    buf_add_char(dst, '}');
}

/* ---- reading ---- */

static struct str
text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_string(value)
               ? str_from(json_string_value(value), json_string_length(value))
               : STR_NULL;
}

static int64_t
number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static bool
read_when(const json_t *object, struct schedule *s)
{
    struct str cron = text_of(object, "cron");

    s->timezone = text_of(object, "timezone");
    if (cron.n > 0) {
        /* Another machine's tzdata may know more than ours. */
        if (zone_find(s->timezone, &s->zone, NULL) != ST_OK)
            s->zone = NULL;
        return schedule_set_cron(s, cron, NULL) == ST_OK;
    }
    s->every_ms = number_of(object, "every_ms");
    s->at_ms = number_of(object, "at_ms");
    s->when = s->every_ms > 0 ? SCHEDULE_EVERY : SCHEDULE_AT;
    return true;
}

static bool
read_definition(const json_t *object, struct schedule *s)
{
    int64_t created_ms;

    if (!read_when(object, s) ||
        !schedule_misfire_parse(text_of(object, "misfire"), &s->misfire) ||
        !schedule_overlap_parse(text_of(object, "overlap"), &s->overlap) ||
        job_decode(text_of(object, "record"), &s->spec, &created_ms, NULL) !=
            ST_OK)
        return false;
    s->spec.queue = text_of(object, "queue");
    s->jitter_ms = number_of(object, "jitter_ms");
    s->paused = json_is_true(json_object_get(object, "paused"));
    s->note = text_of(object, "note");
    return true;
}

/* ---- comparing ---- */

enum group {
    GROUP_WHEN = 1 << 0,
    GROUP_TIMEZONE = 1 << 1,
    GROUP_MISFIRE = 1 << 2,
    GROUP_OVERLAP = 1 << 3,
    GROUP_JITTER = 1 << 4,
    GROUP_PAUSED = 1 << 5,
    GROUP_NOTE = 1 << 6,
    GROUP_TASK = 1 << 7,
    GROUP_ARGS = 1 << 8,
    GROUP_QUEUE = 1 << 9,
    GROUP_OPTIONS = 1 << 10,
};

static bool
same_options(const struct job_spec *a, const struct job_spec *b)
{
    struct job_spec left = *a, right = *b;
    struct buf one, other;

    left.task = right.task = STR("x");
    left.args = right.args = STR_NULL;
    buf_init(&one, SCHEDULE_JSON_MAX);
    buf_init(&other, SCHEDULE_JSON_MAX);
    job_encode(&left, 0, &one);
    job_encode(&right, 0, &other);
    bool same = str_eq(buf_str(&one), buf_str(&other));
    buf_clear(&one);
    buf_clear(&other);
    return same;
}

static struct str
args_of(const struct job_spec *spec)
{
    return spec->args.n > 0 ? spec->args : STR("null");
}

static bool
same_when(const struct schedule *a, const struct schedule *b)
{
    if (a->when != b->when)
        return false;
    switch (a->when) {
    case SCHEDULE_CRON:
        return str_eq(a->cron_text, b->cron_text);
    case SCHEDULE_EVERY:
        return a->every_ms == b->every_ms;
    default:
        return a->at_ms == b->at_ms;
    }
}

/* Which groups of fields differ. */
static unsigned
difference(const struct schedule *a, const struct schedule *b)
{
    unsigned found = 0;

    found |= same_when(a, b) ? 0 : GROUP_WHEN;
    found |= str_eq(a->timezone, b->timezone) ? 0 : GROUP_TIMEZONE;
    found |= a->misfire == b->misfire ? 0 : GROUP_MISFIRE;
    found |= a->overlap == b->overlap ? 0 : GROUP_OVERLAP;
    found |= a->jitter_ms == b->jitter_ms ? 0 : GROUP_JITTER;
    found |= a->paused == b->paused ? 0 : GROUP_PAUSED;
    found |= str_eq(a->note, b->note) ? 0 : GROUP_NOTE;
    found |= str_eq(a->spec.task, b->spec.task) ? 0 : GROUP_TASK;
    found |= str_eq(args_of(&a->spec), args_of(&b->spec)) ? 0 : GROUP_ARGS;
    found |= str_eq(a->spec.queue, b->spec.queue) ? 0 : GROUP_QUEUE;
    found |= same_options(&a->spec, &b->spec) ? 0 : GROUP_OPTIONS;
    return found;
}

/* What the table said when it was applied last. */
static bool
read_declared(const struct schedule *s, struct schedule *ret)
{
    schedule_init(ret);
    return read_definition(json_object_get(s->owner, "declared"), ret);
}

/* A member's text as it stands. */
static struct str
raw_of(struct jsontext object, const char *name)
{
    struct jsontext_walk walk = jsontext_walk(object);
    struct jsontext value;
    struct str key;

    while (jsontext_next(&walk, &key, &value))
        if (str_eq_c(key, name))
            return value.raw;
    return STR_NULL;
}

enum status
schedule_decode(struct str queue, struct str name, struct str json,
                struct schedule *ret, struct error *err)
{
    struct schedule s, declared;
    struct jsontext value;

    schedule_init(&s);
    if (jsontext_check(json, &value, NULL) == ST_OK)
        s.owner = json_loadb(json.p, json.n, 0, NULL);
    if (!json_is_object(s.owner) || !read_definition(s.owner, &s)) {
        schedule_clear(&s);
        return error_set(err, ST_INVALID,
                         "the schedule %.*s is damaged: put it anew",
                         STR_ARG(name));
    }
    s.name = name;
    if (queue.n > 0)
        s.spec.queue = queue;
    s.anchor_ms = number_of(s.owner, "anchor_ms");
    s.created_ms = number_of(s.owner, "created_ms");
    s.updated_ms = number_of(s.owner, "updated_ms");
    s.version = number_of(s.owner, "version");
    s.declared = raw_of(value, "declared");
    if (s.declared.n > 0)
        s.app = text_of(s.owner, "app");
    if (s.app.n > 0)
        s.modified = read_declared(&s, &declared) && difference(&s, &declared);
    *ret = s;
    return ST_OK;
}

/* ---- merging ---- */

static void
take_groups(struct schedule *s, const struct schedule *from, unsigned groups)
{
    struct job_spec old = s->spec;

    if (groups & GROUP_WHEN) {
        s->when = from->when;
        s->cron_text = from->cron_text;
        s->cron = from->cron;
        s->every_ms = from->every_ms;
        s->at_ms = from->at_ms;
        s->anchor_ms = 0;
    }
    if (groups & GROUP_TIMEZONE)
        s->timezone = from->timezone, s->zone = from->zone;
    if (groups & GROUP_MISFIRE)
        s->misfire = from->misfire;
    if (groups & GROUP_OVERLAP)
        s->overlap = from->overlap;
    if (groups & GROUP_JITTER)
        s->jitter_ms = from->jitter_ms;
    if (groups & GROUP_PAUSED)
        s->paused = from->paused;
    if (groups & GROUP_NOTE)
        s->note = from->note;
    if (groups & GROUP_OPTIONS)
        s->spec = from->spec;
    s->spec.task = groups & GROUP_TASK ? from->spec.task : old.task;
    s->spec.args = groups & GROUP_ARGS ? from->spec.args : old.args;
    s->spec.queue = groups & GROUP_QUEUE ? from->spec.queue : old.queue;
}

bool
schedule_merge(struct schedule *s, const struct schedule *table)
{
    struct schedule declared;

    if (!read_declared(s, &declared)) {
        take_groups(s, table, ~0U); /* nobody knows what it was */
        return true;
    }
    unsigned changed = difference(&declared, table);
    unsigned by_hand = difference(s, &declared);
    take_groups(s, table, changed & ~by_hand);
    return changed != 0;
}

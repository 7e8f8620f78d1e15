/* Doctor: asks first, judges then, so that the judgement is a pure function.
 *
 * INFO alone answers most questions, and hosted servers allow it; CONFIG GET is
 * asked for the one thing that INFO does not tell, and may be refused. PING is
 * not asked: it fails when Redis refuses writes, which is a finding, not the
 * end of the examination. */
#include "queue/doctor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "queue/schema.h"

enum {
    VERSION_MAJOR_MIN = 7, /* script flags: a full server can be drained */
    VERSION_MINOR_MIN = 0,
    MEMORY_WARN_PERCENT = 80,
    MEMORY_FULL_PERCENT = 95,
    SKEW_WARN_MS = 1000,
};

/* A finding; its text is formatted, its fix is not. */
__attribute__((format(printf, 5, 6))) static void
find(struct doctor *doctor, enum doctor_level level, const char *check,
     const char *fix, const char *fmt, ...)
{
    va_list ap;

    assert(doctor->len < DOCTOR_FINDINGS_MAX);
    struct doctor_finding *finding = &doctor->findings[doctor->len++];
    finding->level = level;
    finding->check = check;
    va_start(ap, fmt);
    vsnprintf(finding->text, sizeof finding->text, fmt, ap);
    va_end(ap);
    str_copy_to(str_c(fix), finding->fix, sizeof finding->fix);
}

/* --- INFO: "name:value\r\n" a line ---------------------------------------- */

static struct str
info_text(struct str info, const char *name)
{
    struct str rest = info;

    while (rest.n > 0) {
        struct str value;
        struct str line = str_cut(rest, '\n', &rest);
        struct str key = str_cut(line, ':', &value);
        if (value.p && str_eq_c(key, name))
            return str_trim(value);
    }
    return STR_NULL;
}

static int64_t
info_number(struct str info, const char *name, int64_t standard)
{
    int64_t value = standard;

    (void)str_to_i64(info_text(info, name), &value);
    return value;
}

/* --- the checks ----------------------------------------------------------- */

static void
judge_version(const struct doctor_facts *facts, struct doctor *ret)
{
    struct str version = info_text(facts->info, "redis_version");
    struct str rest;
    int64_t major = 0;
    int64_t minor = 0;

    bool known = str_to_i64(str_cut(version, '.', &rest), &major) &&
                 str_to_i64(str_cut(rest, '.', &rest), &minor);
    if (!known)
        find(ret, DOCTOR_NOTE, "version", "allow INFO to this user",
             "the server does not tell its version");
    else if (major < VERSION_MAJOR_MIN ||
             (major == VERSION_MAJOR_MIN && minor < VERSION_MINOR_MIN))
        find(ret, DOCTOR_ERROR, "version", "use Redis 7.0 or newer, or Valkey",
             "Redis %.*s is too old for the queue's scripts", STR_ARG(version));
    else
        find(ret, DOCTOR_OK, "version", "", "Redis %.*s", STR_ARG(version));
}

static void
judge_role(const struct doctor_facts *facts, struct doctor *ret)
{
    struct str role = info_text(facts->info, "role");

    if (str_eq(role, STR("slave")))
        find(ret, DOCTOR_ERROR, "role", "name the primary with --redis",
             "this is a replica: it refuses writes");
    else
        find(ret, DOCTOR_OK, "role", "", "writable");
}

static void
judge_eviction(const struct doctor_facts *facts, struct doctor *ret)
{
    struct str policy = info_text(facts->info, "maxmemory_policy");

    if (policy.n == 0)
        find(ret, DOCTOR_NOTE, "eviction",
             "make sure that it is maxmemory-policy noeviction",
             "the server does not tell its eviction policy");
    else if (!str_eq(policy, STR("noeviction")))
        find(ret, DOCTOR_ERROR, "eviction",
             "redis-cli CONFIG SET maxmemory-policy noeviction, and the same "
             "in redis.conf",
             "maxmemory-policy is %.*s: when memory runs out, jobs vanish",
             STR_ARG(policy));
    else
        find(ret, DOCTOR_OK, "eviction", "", "noeviction");
}

static void
judge_append_only(const struct doctor_facts *facts, struct doctor *ret)
{
    if (info_number(facts->info, "aof_enabled", -1) == 0) {
        find(ret, DOCTOR_WARNING, "append-only",
             "redis-cli CONFIG SET appendonly yes, and the same in redis.conf",
             "the append-only file is off: when Redis stops, jobs are lost");
        return;
    }
    if (facts->appendfsync.n == 0)
        find(ret, DOCTOR_NOTE, "append-only",
             "make sure that it is appendfsync everysec or always",
             "CONFIG is not allowed here: appendfsync is not known");
    else if (str_eq(facts->appendfsync, STR("no")))
        find(ret, DOCTOR_WARNING, "append-only",
             "redis-cli CONFIG SET appendfsync everysec, and the same in "
             "redis.conf",
             "appendfsync is no: a power cut can cost half a minute of jobs");
    else
        find(ret, DOCTOR_OK, "append-only", "", "on, appendfsync %.*s",
             STR_ARG(facts->appendfsync));
}

static void
judge_persistence(const struct doctor_facts *facts, struct doctor *ret)
{
    static const char *const fix = "look into Redis' log; make room on its "
                                   "disk, or let it write to its folder";
    struct str append = info_text(facts->info, "aof_last_write_status");
    struct str snapshot = info_text(facts->info, "rdb_last_bgsave_status");
    int64_t delayed = info_number(facts->info, "aof_delayed_fsync", 0);

    if (str_eq(append, STR("err")))
        find(ret, DOCTOR_ERROR, "persistence", fix,
             "the append-only file cannot be written: writes are refused "
             "(MISCONF)");
    else if (str_eq(snapshot, STR("err")))
        find(ret, DOCTOR_ERROR, "persistence", fix,
             "the last snapshot failed: writes are refused (MISCONF), unless "
             "stop-writes-on-bgsave-error is no");
    else if (delayed > 0)
        find(ret, DOCTOR_NOTE, "persistence", "give Redis a faster disk",
             "%" PRId64 " times an fsync took longer than two seconds",
             delayed);
    else
        find(ret, DOCTOR_OK, "persistence", "", "no errors");
}

static void
judge_memory(const struct doctor_facts *facts, struct doctor *ret)
{
    static const char *const fix =
        "raise maxmemory, shorten \"keep\", or let workers drain the queues";
    int64_t used = info_number(facts->info, "used_memory", 0);
    int64_t limit = info_number(facts->info, "maxmemory", 0);
    int64_t machine = info_number(facts->info, "total_system_memory", 0);
    int64_t top = limit > 0 ? limit : machine;
    int64_t percent = top > 0 ? used / (top / 100 + 1) : 0;
    const char *of = limit > 0 ? "maxmemory" : "the machine's memory";

    if (limit > 0 && percent >= MEMORY_FULL_PERCENT)
        find(ret, DOCTOR_ERROR, "memory", fix,
             "%" PRId64 " %% of %s is used: new jobs are refused at 100 %%",
             percent, of);
    else if (percent >= MEMORY_WARN_PERCENT)
        find(ret, DOCTOR_WARNING, "memory", fix, "%" PRId64 " %% of %s is used",
             percent, of);
    else if (limit == 0)
        find(ret, DOCTOR_NOTE, "memory",
             "set maxmemory to about three quarters of what Redis may have",
             "maxmemory is not set: a full queue is ended by the kernel, not "
             "by a refusal");
    else
        find(ret, DOCTOR_OK, "memory", "", "%" PRId64 " %% of %s is used",
             percent, of);
}

static void
judge_clock(const struct doctor_facts *facts, struct doctor *ret)
{
    if (llabs(facts->skew_ms) > SKEW_WARN_MS)
        find(ret, DOCTOR_WARNING, "clock", "let both machines keep time by NTP",
             "Redis' clock is %" PRId64 " ms %s ours: jobs run by Redis' clock",
             (int64_t)llabs(facts->skew_ms),
             facts->skew_ms > 0 ? "ahead of" : "behind");
    else
        find(ret, DOCTOR_OK, "clock", "", "within %d ms of ours", SKEW_WARN_MS);
}

static void
judge_schema(const struct doctor_facts *facts, struct doctor *ret)
{
    if (facts->schema == 0)
        find(ret, DOCTOR_OK, "schema", "", "none yet: no program wrote so far");
    else if (facts->schema != SCHEMA_VERSION)
        find(ret, DOCTOR_ERROR, "schema",
             "update this program, or name another Redis with --redis",
             "the jobs there have schema %" PRId64 ", this program knows %d",
             facts->schema, SCHEMA_VERSION);
    else
        find(ret, DOCTOR_OK, "schema", "", "version %d", SCHEMA_VERSION);
}

void
doctor_judge(const struct doctor_facts *facts, struct doctor *ret)
{
    *ret = (struct doctor){0};
    judge_version(facts, ret);
    judge_role(facts, ret);
    judge_eviction(facts, ret);
    judge_append_only(facts, ret);
    judge_persistence(facts, ret);
    judge_memory(facts, ret);
    judge_clock(facts, ret);
    judge_schema(facts, ret);
}

/* --- asking --------------------------------------------------------------- */

/* Half of the round trip is taken as the way back. */
static enum status
ask_skew(struct co *co, struct rds *rds, int64_t *ret_ms, struct error *err)
{
    struct rds_call call = {0};
    int64_t seconds = 0;
    int64_t us = 0;
    int64_t before_ms = clock_wall_ms();

    enum status st = rds_await(co, rds, &call, "TIME");
    int64_t now_ms = clock_wall_ms();
    if (st != ST_OK && err)
        *err = call.err;
    if (st == ST_OK && call.reply->type == REDIS_REPLY_ARRAY &&
        call.reply->elements == 2 &&
        str_to_i64(str_c(call.reply->element[0]->str), &seconds) &&
        str_to_i64(str_c(call.reply->element[1]->str), &us))
        *ret_ms = seconds * 1000 + us / 1000 - (before_ms + now_ms) / 2;
    rds_call_clear(&call);
    return st;
}

/* What a user without the right to CONFIG cannot ask stays empty. */
static void
take_setting(const redisReply *reply, struct doctor_facts *facts)
{
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[1]->type == REDIS_REPLY_STRING)
        facts->appendfsync =
            str_from(reply->element[1]->str, reply->element[1]->len);
}

enum status
doctor_run(struct co *co, struct queues *queues, struct doctor *ret,
           struct error *err)
{
    struct rds *rds = queues_rds(queues);
    struct rds_call info = {0};
    struct rds_call config = {0};
    struct doctor_facts facts = {0};

    enum status st = ask_skew(co, rds, &facts.skew_ms, err);
    if (st == ST_OK)
        st = schema_read(co, queues, &facts.schema, err);
    if (st != ST_OK)
        goto out;
    /* Either may be forbidden; a connection that was lost is not that. */
    st = rds_await(co, rds, &info, "INFO");
    if (st == ST_OK && info.reply->type == REDIS_REPLY_STRING)
        facts.info = str_from(info.reply->str, info.reply->len);
    if (st == ST_OK || st == ST_BUG)
        st = rds_await(co, rds, &config, "CONFIG GET appendfsync");
    if (st == ST_OK)
        take_setting(config.reply, &facts);
    if (st != ST_OK && st != ST_BUG) {
        if (err)
            *err = config.err.msg[0] ? config.err : info.err;
        goto out;
    }
    doctor_judge(&facts, ret);
    st = ST_OK;
out:
    rds_call_clear(&config);
    rds_call_clear(&info);
    return st;
}

enum doctor_level
doctor_worst(const struct doctor *doctor)
{
    enum doctor_level worst = DOCTOR_OK;

    for (size_t i = 0; i < doctor->len; i++)
        if (doctor->findings[i].level > worst)
            worst = doctor->findings[i].level;
    return worst;
}

const char *
doctor_level_name(enum doctor_level level)
{
    static const char *const names[] = {
        [DOCTOR_OK] = "ok",
        [DOCTOR_NOTE] = "note",
        [DOCTOR_WARNING] = "warning",
        [DOCTOR_ERROR] = "error",
    };

    assert(level <= DOCTOR_ERROR);
    return names[level];
}

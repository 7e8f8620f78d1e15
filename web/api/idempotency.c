/* Idempotency: SET NX decides who is first; the seed makes everyone after that
 * harmless.
 *
 * The age of an entry is taken from its time to live, so Redis' clock judges
 * it. Taking one over writes it anew, which makes it young again: of two that
 * come late one may still run beside the other, and both make the same jobs. */
#include "api/idempotency.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

enum {
    TEXT_MAX = 2 + 2 * IDEMPOTENCY_HASH_LEN + 1 + 2 * IDEMPOTENCY_SEED_LEN + 1 +
               20 + 1 + 2 * IDEMPOTENCY_BITS_MAX,
};

/* ---- the entry's text ---- */

static void
add_hex(struct buf *dst, const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        buf_add_char(dst, digits[bytes[i] >> 4]);
        buf_add_char(dst, digits[bytes[i] & 15]);
    }
}

/* @n bytes from exactly 2 @n digits. */
static bool
read_hex(struct str s, unsigned char *dst, size_t n)
{
    if (s.n != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = str_hex_digit(s.p[2 * i]),
            low = str_hex_digit(s.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        dst[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

bool
idempotency_parse(struct str text, struct idempotency_entry *ret)
{
    struct str rest;
    struct str phase = str_cut(text, ' ', &rest);
    struct str fingerprint = str_cut(rest, ' ', &rest);
    struct str seed = str_cut(rest, ' ', &rest);
    struct str created = str_cut(rest, ' ', &rest);

    if (phase.n != 1 || !memchr("pfd", phase.p[0], 3))
        return false;
    memset(ret, 0, sizeof *ret);
    ret->phase = phase.p[0];
    ret->accepted_len = rest.n / 2;
    return read_hex(fingerprint, ret->fingerprint, sizeof ret->fingerprint) &&
           read_hex(seed, ret->seed, sizeof ret->seed) &&
           str_to_i64(created, &ret->created_ms) &&
           ret->accepted_len <= sizeof ret->accepted &&
           read_hex(rest, ret->accepted, ret->accepted_len);
}

void
idempotency_write(const struct idempotency_entry *entry, struct buf *dst)
{
    buf_add_char(dst, entry->phase);
    buf_add_char(dst, ' ');
    add_hex(dst, entry->fingerprint, sizeof entry->fingerprint);
    buf_add_char(dst, ' ');
    add_hex(dst, entry->seed, sizeof entry->seed);
    buf_addf(dst, " %lld", (long long)entry->created_ms);
    if (entry->accepted_len > 0) {
        buf_add_char(dst, ' ');
        add_hex(dst, entry->accepted, entry->accepted_len);
    }
}

/* ---- the request ---- */

enum status
idempotency_key(const struct pit_request *req, struct str *ret,
                struct error *err)
{
    struct str key = request_field(req, STR("Idempotency-Key"));

    if (!key.p) {
        *ret = STR_NULL;
        return ST_OK;
    }
    int keys = 0;
    for (size_t i = 0; i < req->fields_len; i++)
        keys += str_eq_nocase(req->fields[i].name, STR("Idempotency-Key"));
    if (keys > 1)
        return error_set(err, ST_INVALID, "Idempotency-Key stands twice");
    bool good = key.n >= 1 && key.n <= IDEMPOTENCY_KEY_MAX;
    for (size_t i = 0; i < key.n && good; i++)
        good = key.p[i] > ' ' && key.p[i] < 0x7f;
    if (!good)
        return error_set(err, ST_INVALID,
                         "Idempotency-Key must be 1 to %d visible ASCII "
                         "characters without spaces",
                         IDEMPOTENCY_KEY_MAX);
    *ret = key;
    return ST_OK;
}

static void
hash_str(EVP_MD_CTX *ctx, struct str s)
{
    /* The length first: so no two lists of texts are the same bytes. */
    uint64_t n = s.n;

    if (EVP_DigestUpdate(ctx, &n, sizeof n) != 1 ||
        (s.n > 0 && EVP_DigestUpdate(ctx, s.p, s.n) != 1))
        log_fatal("SHA-256 failed");
}

static EVP_MD_CTX *
hash_start(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!ctx || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
        log_fatal("SHA-256 is not available");
    return ctx;
}

static void
hash_end(EVP_MD_CTX *ctx, unsigned char dst[IDEMPOTENCY_HASH_LEN])
{
    if (EVP_DigestFinal_ex(ctx, dst, NULL) != 1)
        log_fatal("SHA-256 failed");
    EVP_MD_CTX_free(ctx);
}

/* What makes two requests the same: all that decides what is enqueued, so not
 * Prefer, and not what a proxy adds. */
static void
make_fingerprint(const struct pit_request *req,
                 unsigned char dst[IDEMPOTENCY_HASH_LEN])
{
    EVP_MD_CTX *ctx = hash_start();

    hash_str(ctx, str_c(request_method_name(req->method)));
    hash_str(ctx, req->raw_path);
    hash_str(ctx, request_query(req, STR("atomic")));
    hash_str(ctx, request_field(req, STR("Content-Type")));
    for (size_t i = 0; i < req->fields_len; i++) {
        struct str name = req->fields[i].name;
        if (name.n > 4 && str_eq_nocase(str_from(name.p, 4), STR("Pit-"))) {
            hash_str(ctx, name);
            hash_str(ctx, req->fields[i].value);
        }
    }
    hash_str(ctx, str_from(req->body, req->body_len));
    hash_end(ctx, dst);
}

static void
make_redis_key(const char *prefix, struct str key, char dst[KEYS_MAX_LEN])
{
    unsigned char hash[IDEMPOTENCY_HASH_LEN];
    char what[2 * sizeof hash + sizeof "{idem}:"];
    struct buf hex;

    EVP_MD_CTX *ctx = hash_start();
    hash_str(ctx, key);
    hash_end(ctx, hash);
    buf_init(&hex, 2 * sizeof hash);
    add_hex(&hex, hash, sizeof hash);
    snprintf(what, sizeof what, "{idem}:%.*s", STR_ARG(buf_str(&hex)));
    keys_global(prefix, what, dst);
    buf_clear(&hex);
}

/* ---- Redis ---- */

/* Writes the entry. @how: "NX" takes a key that nobody has, for a day;
 * "KEEPTTL" changes the phase; "XX" makes an old one young. *ret_done is false
 * when NX found one there. */
static enum status
store(struct co *co, struct idempotency *x, const char *how, bool *ret_done,
      struct error *err)
{
    struct rds_call call = {0};
    struct buf text;
    enum status st;

    buf_init(&text, TEXT_MAX);
    idempotency_write(&x->entry, &text);
    if (str_eq_c(str_c(how), "KEEPTTL"))
        st = rds_await(co, x->rds, &call, "SET %s %b KEEPTTL", x->redis_key,
                       text.p, text.len);
    else
        st = rds_await(co, x->rds, &call, "SET %s %b PX %lld %s", x->redis_key,
                       text.p, text.len, (long long)IDEMPOTENCY_KEEP_MS, how);
    if (st == ST_OK)
        *ret_done = call.reply->type != REDIS_REPLY_NIL;
    else if (err)
        *err = call.err;
    rds_call_clear(&call);
    buf_clear(&text);
    return st;
}

/* *ret_age_ms < 0: there is no entry any more. */
static enum status
load(struct co *co, struct idempotency *x, struct idempotency_entry *ret,
     int64_t *ret_age_ms, struct error *err)
{
    struct rds_call get = {0}, ttl = {0};
    bool good = false;

    enum status st = rds_await(co, x->rds, &get, "GET %s", x->redis_key);
    if (st == ST_OK)
        st = rds_await(co, x->rds, &ttl, "PTTL %s", x->redis_key);
    if (st != ST_OK) {
        if (err)
            *err = get.err.status != ST_OK ? get.err : ttl.err;
        goto out;
    }
    *ret_age_ms = -1;
    if (get.reply->type != REDIS_REPLY_STRING ||
        ttl.reply->type != REDIS_REPLY_INTEGER || ttl.reply->integer < 0)
        goto out;
    good = idempotency_parse(str_from(get.reply->str, get.reply->len), ret);
    if (!good)
        st = error_set(err, ST_CONFLICT,
                       "the entry of this Idempotency-Key cannot be read: use "
                       "another key");
    *ret_age_ms = IDEMPOTENCY_KEEP_MS - ttl.reply->integer;
out:
    rds_call_clear(&get);
    rds_call_clear(&ttl);
    return st;
}

/* What an entry that stands there means for us; one to be taken over becomes
 * ours. */
static enum status
judge(struct co *co, struct idempotency *x,
      const struct idempotency_entry *found, int64_t age_ms,
      enum idempotency_verdict *ret, struct error *err)
{
    bool done = false;

    if (memcmp(found->fingerprint, x->entry.fingerprint,
               sizeof found->fingerprint) != 0) {
        *ret = IDEMPOTENCY_REUSED;
        return ST_OK;
    }
    x->entry = *found;
    if (found->phase == 'd') {
        *ret = IDEMPOTENCY_REPLAY;
        return ST_OK;
    }
    if (found->phase == 'p' && age_ms < IDEMPOTENCY_STALE_MS) {
        *ret = IDEMPOTENCY_BUSY;
        return ST_OK;
    }
    x->entry.phase = 'p';
    *ret = IDEMPOTENCY_RUN;
    return store(co, x, "XX", &done, err);
}

enum status
idempotency_begin(struct co *co, struct queues *queues, struct str key,
                  const struct pit_request *req, struct idempotency *ret,
                  enum idempotency_verdict *ret_verdict, struct error *err)
{
    struct idempotency_entry found = {0};
    int64_t age_ms = -1;

    *ret = (struct idempotency){.rds = queues_rds(queues)};
    make_redis_key(queues_prefix(queues), key, ret->redis_key);
    make_fingerprint(req, ret->entry.fingerprint);
    ret->entry.phase = 'p';
    ret->entry.created_ms = clock_wall_ms();
    random_bytes(ret->entry.seed, sizeof ret->entry.seed);

    /* Twice: the entry may fall due between our two commands. */
    for (int i = 0; i < 2; i++) {
        bool taken = false;
        enum status st = store(co, ret, "NX", &taken, err);
        if (st != ST_OK)
            return st;
        if (taken) {
            *ret_verdict = IDEMPOTENCY_RUN;
            return ST_OK;
        }
        st = load(co, ret, &found, &age_ms, err);
        if (st != ST_OK)
            return st;
        if (age_ms >= 0)
            return judge(co, ret, &found, age_ms, ret_verdict, err);
    }
    return error_set(err, ST_UNAVAILABLE,
                     "the entry of the Idempotency-Key keeps vanishing: try "
                     "again");
}

static void
set_phase(struct co *co, struct idempotency *x, char phase)
{
    struct error err;
    bool done = false;

    x->entry.phase = phase;
    if (store(co, x, "KEEPTTL", &done, &err) != ST_OK)
        log_warn("an Idempotency-Key could not be marked: %s", err.msg);
}

void
idempotency_finish(struct co *co, struct idempotency *idempotency)
{
    set_phase(co, idempotency, 'd');
}

void
idempotency_fail(struct co *co, struct idempotency *idempotency)
{
    idempotency->entry.accepted_len = 0;
    set_phase(co, idempotency, 'f');
}

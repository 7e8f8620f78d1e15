/* Payload: the Pit-* fields are written as the JSON envelope that they stand
 * for and read by envelope.c, so that both ways in have the same rules. */
#include "api/jobs/payload.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/traceparent.h"
#include "base/utf8.h"

enum {
    ENVELOPE_TEXT_MAX = 8192,
    TYPE_SHOWN_MAX = 80,
};

enum form { FORM_TEXT, FORM_NUMBER, FORM_LIST };

/* In the order of an envelope; the members of one group stand together. */
static const struct option {
    struct str field;
    const char *key;
    enum form form;
    const char *group; /* the object that it is a member of; NULL: none */
} options[] = {
    {STR("Pit-Task"), "task", FORM_TEXT, NULL},
    {STR("Pit-Queue"), "queue", FORM_TEXT, NULL},
    {STR("Pit-Priority"), "priority", FORM_NUMBER, NULL},
    {STR("Pit-Run-At"), "run_at", FORM_TEXT, NULL},
    {STR("Pit-Delay"), "delay", FORM_TEXT, NULL},
    {STR("Pit-Expires-At"), "expires_at", FORM_TEXT, NULL},
    {STR("Pit-Timeout"), "timeout", FORM_TEXT, NULL},
    {STR("Pit-Keep"), "keep", FORM_TEXT, NULL},
    {STR("Pit-Tags"), "tags", FORM_LIST, NULL},
    {STR("Pit-Durability"), "durability", FORM_TEXT, NULL},
    {STR("Pit-After"), "after", FORM_LIST, NULL},
    {STR("Pit-Retry-Max"), "max", FORM_NUMBER, "retry"},
    {STR("Pit-Retry-Backoff"), "backoff", FORM_TEXT, "retry"},
    {STR("Pit-Retry-Base"), "base", FORM_TEXT, "retry"},
    {STR("Pit-Retry-Cap"), "cap", FORM_TEXT, "retry"},
    {STR("Pit-Retry-Jitter"), "jitter", FORM_NUMBER, "retry"},
    {STR("Pit-Unique-Key"), "key", FORM_TEXT, "unique"},
    {STR("Pit-Unique-While"), "while", FORM_TEXT, "unique"},
    {STR("Pit-Unique-Ttl"), "ttl", FORM_TEXT, "unique"},
    {STR("Pit-Unique-On-Conflict"), "on_conflict", FORM_TEXT, "unique"},
    {STR("Pit-Limit-Key"), "key", FORM_TEXT, "limit"},
    {STR("Pit-Limit-Concurrency"), "concurrency", FORM_NUMBER, "limit"},
    {STR("Pit-Limit-Rate"), "rate", FORM_TEXT, "limit"},
    {STR("Pit-Callback-Url"), "url", FORM_TEXT, "callback"},
    {STR("Pit-Callback-On"), "on", FORM_LIST, "callback"},
};

/* ---- kind ---- */

/* False for a charset other than UTF-8; other parameters mean nothing here. */
static bool
is_utf8(struct str parameters)
{
    while (parameters.n > 0) {
        struct str value;
        struct str name =
            str_cut(str_cut(parameters, ';', &parameters), '=', &value);
        value = str_trim(value);
        if (value.n >= 2 && value.p[0] == '"')
            value = str_from(value.p + 1, value.n - 2);
        if (str_eq_nocase(str_trim(name), STR("charset")) &&
            !str_eq_nocase(value, STR("utf-8")))
            return false;
    }
    return true;
}

static enum status
refuse_type(struct str type, enum payload_kind *ret, struct error *err)
{
    int shown = type.n < TYPE_SHOWN_MAX ? (int)type.n : TYPE_SHOWN_MAX;

    *ret = PAYLOAD_UNSUPPORTED;
    return error_set(err, ST_INVALID,
                     "the Content-Type is %.*s: send application/json in "
                     "UTF-8, or name the task in a Pit-Task field to send the "
                     "body as its args",
                     shown, type.p);
}

enum status
payload_kind(const struct pit_request *req, enum payload_kind *ret,
             struct error *err)
{
    struct str type = request_field(req, STR("Content-Type")), parameters;
    struct str encoding = request_field(req, STR("Content-Encoding"));
    struct str name = str_trim(str_cut(type, ';', &parameters));

    if (encoding.n > 0 && !str_eq_nocase(encoding, STR("identity"))) {
        *ret = PAYLOAD_UNSUPPORTED;
        return error_set(err, ST_INVALID,
                         "the body has a Content-Encoding: send it plain");
    }
    if (request_field(req, STR("Pit-Task")).p)
        *ret = PAYLOAD_RAW;
    else if (name.n == 0 || str_eq_nocase(name, STR("application/json")))
        *ret = PAYLOAD_JSON;
    else if (str_eq_nocase(name, STR("application/x-ndjson")))
        *ret = PAYLOAD_NDJSON;
    else
        return refuse_type(type, ret, err);
    if (*ret != PAYLOAD_RAW && !is_utf8(parameters))
        return refuse_type(type, ret, err);
    return ST_OK;
}

bool
payload_is_json(const struct pit_request *req)
{
    struct str parameters;
    struct str type = str_trim(
        str_cut(request_field(req, STR("Content-Type")), ';', &parameters));

    return (type.n == 0 || str_eq_nocase(type, STR("application/json")) ||
            str_eq_nocase(type, STR("application/merge-patch+json"))) &&
           is_utf8(parameters);
}

/* ---- options ---- */

static void
add_option(struct buf *dst, const struct option *option, struct str value)
{
    struct jsontext number;

    buf_addf(dst, "\"%s\":", option->key);
    if (option->form == FORM_LIST) {
        buf_add_char(dst, '[');
        for (struct str rest = value; rest.n > 0;) {
            buf_add_json_string(dst, str_trim(str_cut(rest, ',', &rest)));
            if (rest.n > 0)
                buf_add_char(dst, ',');
        }
        buf_add_char(dst, ']');
    } else if (option->form == FORM_NUMBER &&
               jsontext_check(value, &number, NULL) == ST_OK) {
        buf_add_str(dst, value);
    } else {
        buf_add_json_string(dst, value);
    }
}

/* The members of the group that begins at options[first] which were given, as
 * an object; returns where the next group begins. */
static size_t
add_group(struct buf *dst, const struct pit_request *req, size_t first)
{
    const char *group = options[first].group;
    const char *before = "{";
    size_t i = first;

    for (; i < ARRAY_LEN(options) && options[i].group &&
           strcmp(options[i].group, group) == 0;
         i++) {
        struct str value = request_field(req, options[i].field);
        if (!value.p)
            continue;
        if (before[0] == '{')
            buf_addf(dst, ",\"%s\":", group);
        buf_add_c(dst, before);
        before = ",";
        add_option(dst, &options[i], value);
    }
    if (before[0] != '{')
        buf_add_char(dst, '}');
    return i;
}

/* Pit-Task is there: so what follows it always has something before it. */
static void
add_options(struct buf *dst, const struct pit_request *req)
{
    for (size_t i = 0; i < ARRAY_LEN(options);) {
        if (options[i].group) {
            i = add_group(dst, req, i);
            continue;
        }
        struct str value = request_field(req, options[i].field);
        if (value.p) {
            buf_add_char(dst, i == 0 ? '{' : ',');
            add_option(dst, &options[i], value);
        }
        i++;
    }
    buf_add_char(dst, '}');
}

static enum status
check_names(const struct pit_request *req, struct error *err)
{
    for (size_t i = 0; i < req->fields_len; i++) {
        struct str name = req->fields[i].name;
        bool known = false;
        if (name.n < 4 || !str_eq_nocase(str_from(name.p, 4), STR("Pit-")))
            continue;
        for (size_t k = 0; k < ARRAY_LEN(options) && !known; k++)
            known = str_eq_nocase(name, options[k].field);
        if (!known)
            return error_set(
                err, ST_INVALID,
                "there is no option %.*s: mind the spelling, "
                "docs/http-api.md lists them",
                name.n < TYPE_SHOWN_MAX ? (int)name.n : TYPE_SHOWN_MAX, name.p);
    }
    return ST_OK;
}

/* The pointer leads into an envelope that the client never wrote: name the
 * field instead. */
static void
name_field(struct error *err)
{
    struct error told = *err;

    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        char path[64];
        int n = snprintf(path, sizeof path, "/%s%s%s",
                         options[i].group ? options[i].group : "",
                         options[i].group ? "/" : "", options[i].key);
        if (strncmp(told.pointer, path, (size_t)n) == 0 &&
            (told.pointer[n] == '\0' || told.pointer[n] == '/')) {
            (void)error_set(err, told.status, "%s: %.200s", options[i].field.p,
                            told.msg);
            return;
        }
    }
}

/* ---- the args ---- */

static bool
is_text(struct str body)
{
    const char *end = body.p + body.n;

    for (const char *p = body.p; p < end;) {
        size_t n = utf8_length(p, end);
        if (n == 0 || *p == '\0')
            return false;
        p += n;
    }
    return true;
}

/* RFC 4648 section 4. */
static void
add_base64(struct buf *dst, struct str body)
{
    size_t n = (body.n + 2) / 3 * 4;
    char *to = buf_room(dst, n + 1); /* EVP_EncodeBlock() ends it in a NUL */

    if (!to)
        return;
    EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)body.p,
                    (int)body.n);
    buf_grew(dst, n);
}

static enum status
keep_args(const struct pit_request *req, struct buf *json, struct str *ret,
          struct error *err)
{
    enum status st = ST_OK;

    char *copy = json->failed || json->len > JOB_ARGS_MAX
                     ? NULL
                     : arena_copy(req->arena, buf_str(json));
    if (copy)
        *ret = str_from(copy, json->len);
    else
        st = error_set(err, ST_TOO_LARGE,
                       "the body as a job's args is above %d bytes: store the "
                       "data elsewhere and send a reference",
                       JOB_ARGS_MAX);
    buf_clear(json);
    return st;
}

static enum status
make_args(const struct pit_request *req, struct str *ret, struct error *err)
{
    struct str body = str_from(req->body, req->body_len), parameters;
    struct str type = request_field(req, STR("Content-Type"));
    struct str name = str_trim(str_cut(type, ';', &parameters));
    struct jsontext value;
    struct buf json;

    *ret = STR_NULL;
    if (body.n == 0)
        return ST_OK;
    if (str_eq_nocase(name, STR("application/json"))) {
        enum status st = jsontext_check(body, &value, err);
        if (st != ST_OK)
            return st;
        if (value.raw.n > JOB_ARGS_MAX)
            return error_set(err, ST_TOO_LARGE,
                             "args may hold at most %d bytes", JOB_ARGS_MAX);
        *ret = value.raw;
        return ST_OK;
    }
    buf_init(&json, (size_t)2 * JOB_ARGS_MAX);
    if (name.n > 5 && str_eq_nocase(str_from(name.p, 5), STR("text/")) &&
        is_utf8(parameters) && is_text(body)) {
        buf_add_json_string(&json, body);
    } else {
        buf_add_c(&json, "{\"content_type\":");
        buf_add_json_string(&json,
                            type.n ? type : STR("application/octet-stream"));
        buf_add_c(&json, ",\"base64\":\"");
        add_base64(&json, body);
        buf_add_c(&json, "\"}");
    }
    return keep_args(req, &json, ret, err);
}

enum status
payload_read(const struct pit_request *req, struct envelope *ret,
             struct error *err)
{
    struct buf text;

    enum status st = check_names(req, err);
    if (st != ST_OK)
        return st;
    buf_init(&text, ENVELOPE_TEXT_MAX);
    add_options(&text, req);
    char *copy = text.failed ? NULL : arena_copy(req->arena, buf_str(&text));
    size_t len = text.len;
    buf_clear(&text);
    if (!copy)
        return error_set(err, ST_INVALID, "the Pit-* fields are too long");
    st = envelope_parse(str_from(copy, len), req->arena, ret, err);
    if (st != ST_OK) {
        if (err)
            name_field(err);
        return st;
    }
    return make_args(req, &ret->spec.args, err);
}

struct job_origin
payload_origin(const struct pit_request *req)
{
    return (struct job_origin){
        .traceparent = payload_traceparent(req),
        .request_id = req->id_sent ? str_c(req->id) : STR_NULL,
    };
}

struct str
payload_traceparent(const struct pit_request *req)
{
    return traceparent_parse(request_field(req, STR("traceparent")));
}

/* Preference: lists of tokens, commas outside of quotes are not expected in
 * any value that means something here; one in quotes only makes a preference
 * that is not understood, and so ignored. */
#include "api/preference.h"

bool
preference_next(struct str *rest, struct str *ret)
{
    while (rest->n > 0) {
        *ret = str_trim(str_cut(*rest, ',', rest));
        if (ret->n > 0)
            return true;
    }
    return false;
}

bool
preference_lists_etag(const struct pit_request *req, struct str field,
                      const char *etag)
{
    struct str rest = request_field(req, field), tag;

    while (preference_next(&rest, &tag)) {
        if (str_starts(tag, STR("W/")) &&
            !str_eq_nocase(field, STR("If-Match")))
            tag = str_skip(tag, 2);
        if (str_eq_c(tag, etag) || str_eq_c(tag, "*"))
            return true;
    }
    return false;
}

/* "wait=10" is token, "=", word; the word may stand in quotes. */
static void
apply(struct str preference, struct preference *ret)
{
    struct str parameters, value;
    struct str name = str_cut(preference, ';', &parameters);
    int64_t seconds = 0;

    name = str_trim(str_cut(name, '=', &value));
    value = str_trim(value);
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        value = str_from(value.p + 1, value.n - 2);
    if (str_eq_nocase(name, STR("return"))) {
        ret->minimal = str_eq_c(value, "minimal");
    } else if (str_eq_nocase(name, STR("wait")) &&
               str_to_i64(value, &seconds) && !ret->wait_applied) {
        if (seconds > PREFERENCE_WAIT_MAX_MS / 1000)
            seconds = PREFERENCE_WAIT_MAX_MS / 1000;
        ret->wait_ms = seconds * 1000;
        ret->wait_applied = true;
    }
}

enum status
preference_read(const struct pit_request *req, struct preference *ret,
                struct error *err)
{
    struct preference found = {0};

    for (size_t i = 0; i < req->fields_len; i++) {
        struct str rest = req->fields[i].value, preference;
        if (!str_eq_nocase(req->fields[i].name, STR("Prefer")))
            continue;
        while (preference_next(&rest, &preference))
            apply(preference, &found);
    }
    struct str wait = request_query(req, STR("wait"));
    if (wait.p) {
        if (!str_to_duration_ms(wait, &found.wait_ms) ||
            found.wait_ms > PREFERENCE_WAIT_MAX_MS)
            return error_set(err, ST_INVALID,
                             "the query's wait is a duration of at most 60s, "
                             "such as wait=30s");
        found.wait_applied = false;
    }
    *ret = found;
    return ST_OK;
}

/* "q=0", "q=0.000": not acceptable (RFC 9110 section 12.4.2). */
static bool
is_refused(struct str parameters)
{
    while (parameters.n > 0) {
        struct str value;
        struct str name = str_trim(
            str_cut(str_cut(parameters, ';', &parameters), '=', &value));
        if (!str_eq_nocase(name, STR("q")))
            continue;
        value = str_trim(value);
        for (size_t i = 0; i < value.n; i++)
            if (value.p[i] != '0' && value.p[i] != '.')
                return false;
        return true;
    }
    return false;
}

bool
preference_accepts(const struct pit_request *req, struct str type)
{
    struct str rest = request_field(req, STR("Accept")), range;

    while (preference_next(&rest, &range)) {
        struct str parameters;
        struct str name = str_trim(str_cut(range, ';', &parameters));
        if (str_eq_nocase(name, type))
            return !is_refused(parameters);
    }
    return false;
}

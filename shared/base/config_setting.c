/* Settings: text becomes a field. Limits are shown to the user in the unit in
 * which the table's author thought of them, not in milliseconds and bytes. */
#include "base/config_setting.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"

static const struct {
    const char *name;
    int64_t factor;
} units[] = {{"GiB", INT64_C(1) << 30},
             {"MiB", 1 << 20},
             {"KiB", 1 << 10},
             {"B", 1},
             {"", 1}};

static void *
field(void *values, const struct config_option *option)
{
    return (char *)values + option->offset;
}

void
config_env_name(const char *name, char dst[CONFIG_ENV_SIZE])
{
    size_t n = 4;

    memcpy(dst, "PIT_", n);
    for (; *name; name++) {
        bool letter = *name >= 'a' && *name <= 'z';
        dst[n++] = *name == '-' ? '_'
                   : letter     ? (char)(*name - 'a' + 'A')
                                : *name;
        assert(n < CONFIG_ENV_SIZE);
    }
    dst[n] = '\0';
}

static bool
read_bool(struct str value, bool *ret)
{
    static const char *const words[][2] = {
        {"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        for (int truth = 0; truth < 2; truth++) {
            if (str_eq_c(value, words[i][truth])) {
                *ret = truth;
                return true;
            }
        }
    }
    return false;
}

static bool
read_int(struct str value, int64_t *ret)
{
    bool negative = value.n && value.p[0] == '-';

    if (!str_to_i64(str_skip(value, negative), ret))
        return false;
    if (negative)
        *ret = -*ret;
    return true;
}

static bool
read_bytes(struct str value, int64_t *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t len = strlen(units[i].name);
        int64_t number;
        if (value.n < len ||
            memcmp(value.p + value.n - len, units[i].name, len) != 0)
            continue;
        if (!str_to_i64(str_from(value.p, value.n - len), &number) ||
            number > INT64_MAX / units[i].factor)
            return false;
        *ret = number * units[i].factor;
        return true;
    }
    return false;
}

static bool
read_number(enum config_kind kind, struct str value, int64_t *ret)
{
    switch (kind) {
    case CONFIG_INT:
        return read_int(value, ret);
    case CONFIG_DURATION:
        return str_to_duration_ms(value, ret);
    case CONFIG_BYTES:
        return read_bytes(value, ret);
    case CONFIG_BOOL:
    case CONFIG_STRING:
    case CONFIG_LIST:
        break;
    }
    return false;
}

/* A limit, in the largest unit that shows it exactly. */
static void
add_number(struct buf *b, enum config_kind kind, int64_t number)
{
    static const struct {
        const char *name;
        int64_t ms;
    } times[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};

    if (kind == CONFIG_DURATION) {
        for (size_t i = 0; i < ARRAY_LEN(times); i++) {
            if (number && number % times[i].ms == 0) {
                buf_addf(b, "%lld%s", (long long)(number / times[i].ms),
                         times[i].name);
                return;
            }
        }
        buf_addf(b, "%lldms", (long long)number);
        return;
    }
    for (size_t i = 0; kind == CONFIG_BYTES && i < ARRAY_LEN(units); i++) {
        if (number && number % units[i].factor == 0) {
            buf_addf(b, "%lld%s", (long long)(number / units[i].factor),
                     units[i].factor > 1 ? units[i].name : "");
            return;
        }
    }
    buf_addf(b, "%lld", (long long)number);
}

static bool
is_text(const struct config_option *option)
{
    return option->kind == CONFIG_STRING || option->kind == CONFIG_LIST;
}

static bool
has_limits(const struct config_option *option)
{
    return option->min != 0 || option->max != 0;
}

/* `--slots: "x" is not a whole number between 1 and 1024 (see --help)` */
static enum status
refuse(const struct config_setting *s, struct error *err)
{
    static const char *const kinds[] = {
        [CONFIG_BOOL] = "yes or no",
        [CONFIG_INT] = "a whole number",
        [CONFIG_DURATION] = "a duration such as 500ms, 30s or 2h",
        [CONFIG_BYTES] = "a size such as 65536, 64KiB or 1MiB",
        [CONFIG_STRING] = "text",
        [CONFIG_LIST] = "text",
    };
    const struct config_option *option = s->option;
    char limits[80];
    struct buf b;

    buf_init(&b, sizeof limits - 1);
    if (option->kind != CONFIG_BOOL && has_limits(option)) {
        buf_add_c(&b, " between ");
        add_number(&b, option->kind, option->min);
        buf_add_c(&b, " and ");
        add_number(&b, option->kind, option->max);
    }
    str_copy_to(buf_str(&b), limits, sizeof limits);
    buf_clear(&b);
    if (option->secret)
        return error_set(err, ST_INVALID,
                         "%s: the value is not %s%s (see --help)", s->source,
                         kinds[option->kind], limits);
    return error_set(
        err, ST_INVALID, "%s: \"%.*s%s\" is not %s%s (see --help)", s->source,
        s->value.n < CONFIG_SHOWN_MAX ? (int)s->value.n : CONFIG_SHOWN_MAX,
        s->value.p, s->value.n > CONFIG_SHOWN_MAX ? "..." : "",
        kinds[option->kind], limits);
}

enum status
config_setting_apply(const struct config_setting *s, void *values,
                     struct error *err)
{
    const struct config_option *option = s->option;
    void *to = field(values, option);
    int64_t number;
    bool truth;

    if (is_text(option)) {
        char **string = to;
        if (s->value.n && memchr(s->value.p, '\0', s->value.n))
            return refuse(s, err);
        free(*string);
        *string = xcalloc(1, s->value.n + 1);
        str_copy_to(s->value, *string, s->value.n + 1);
        return ST_OK;
    }
    if (option->kind == CONFIG_BOOL) {
        if (!read_bool(s->value, &truth))
            return refuse(s, err);
        memcpy(to, &truth, sizeof truth);
        return ST_OK;
    }
    if (!read_number(option->kind, s->value, &number))
        return refuse(s, err);
    if (s->value.p != option->standard && has_limits(option) &&
        (number < option->min || number > option->max))
        return refuse(s, err);
    memcpy(to, &number, sizeof number);
    return ST_OK;
}

bool
config_setting_has_default(const struct config_option *option)
{
    int64_t number;

    if (option->secret || !option->standard || !*option->standard)
        return false;
    return !read_number(option->kind, str_c(option->standard), &number) ||
           number >= option->min;
}

enum status
config_setting_append(const struct config_setting *s, void *values,
                      struct error *err)
{
    char *before = *(char **)field(values, s->option);
    struct buf joined;

    assert(s->option->kind == CONFIG_LIST && before);
    buf_init(&joined, strlen(before) + s->value.n + 1);
    buf_addf(&joined, "%s,", before);
    buf_add_str(&joined, s->value);
    struct config_setting whole = {s->option, buf_str(&joined), s->source};
    enum status status = config_setting_apply(&whole, values, err);
    buf_clear(&joined);
    return status;
}

void
config_fields_init(const struct config_program *program, void *values)
{
    for (const struct config_option *o = program->options; o->name; o++) {
        assert(o - program->options < CONFIG_OPTIONS_MAX);
        assert(strlen(o->name) <= CONFIG_NAME_MAX);
        if (is_text(o))
            memset(field(values, o), 0, sizeof(char *));
        else if (o->kind == CONFIG_BOOL)
            memset(field(values, o), 0, sizeof(bool));
        else
            memset(field(values, o), 0, sizeof(int64_t));
    }
}

void
config_clear(const struct config_program *program, void *values)
{
    for (const struct config_option *o = program->options; o->name; o++) {
        if (!is_text(o))
            continue;
        char **string = field(values, o);
        free(*string);
        *string = NULL;
    }
}

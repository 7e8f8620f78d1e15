/* Config: where values come from; config_setting.c says what they must be.
 *
 * The sources are applied from the weakest to the strongest (defaults, file,
 * environment, flags), each overriding field by field. So every value given is
 * checked, also one that is overridden: a mistake shows at the next start, not
 * when the flag that hid it goes away.
 *
 * Before that the command line is read once, which finds --config. Flags are
 * only noted by their place then, and leave argv at the very end: an error
 * leaves argv as it was. */
#include "base/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/config_setting.h"
#include "base/str.h"

enum { FILE_MAX = 64 * 1024 }; /* bytes */

struct load {
    const struct config_program *program;
    void *values;
    const char *path;        /* of the file; NULL: none */
    const char *path_source; /* what named it */
    uint64_t in_file;        /* a bit for each option met there */
    uint64_t in_flags;       /* and on the command line */
};

static const struct config_option *
find_option(const struct config_program *program, struct str name)
{
    for (const struct config_option *o = program->options; o->name; o++)
        if (str_eq_c(name, o->name))
            return o;
    return NULL;
}

static enum status
apply_defaults(struct load *load, struct error *err)
{
    for (const struct config_option *o = load->program->options; o->name; o++) {
        struct config_setting s = {o, str_c(o->standard), o->name};
        if (!o->standard)
            continue;
        enum status status = config_setting_apply(&s, load->values, err);
        assert(status == ST_OK); /* the table itself is wrong */
    }
    return ST_OK;
}

/* An empty variable is one that is not set: compose files and unit files pass
 * on such. */
static enum status
apply_environment(struct load *load, struct error *err)
{
    char name[CONFIG_ENV_SIZE];

    for (const struct config_option *o = load->program->options; o->name; o++) {
        config_env_name(o->name, name);
        const char *value = getenv(name);
        if (!value || !*value)
            continue;
        struct config_setting s = {o, str_c(value), name};
        enum status status = config_setting_apply(&s, load->values, err);
        if (status)
            return status;
    }
    return ST_OK;
}

/* "key = value". A # behind white space begins a comment, so that a password
 * or a URL may hold one. */
static struct str
without_comment(struct str line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] == '#' &&
            (i == 0 || line.p[i - 1] == ' ' || line.p[i - 1] == '\t'))
            return str_trim(str_from(line.p, i));
    return str_trim(line);
}

static enum status
apply_line(struct load *load, struct str line, int number, struct error *err)
{
    char source[ERROR_MSG_SIZE];
    struct str value;

    line = without_comment(line);
    if (line.n == 0)
        return ST_OK;
    struct str key = str_trim(str_cut(line, '=', &value));
    if (!value.p || key.n == 0)
        return error_set(err, ST_INVALID,
                         "%s:%d: a line must read \"name = value\"", load->path,
                         number);
    const struct config_option *option = find_option(load->program, key);
    if (!option)
        return error_set(
            err, ST_INVALID, "%s:%d: there is no option \"%.*s\" (see --help)",
            load->path, number,
            key.n < CONFIG_SHOWN_MAX ? (int)key.n : CONFIG_SHOWN_MAX, key.p);
    uint64_t bit = UINT64_C(1) << (option - load->program->options);
    if (load->in_file & bit)
        return error_set(err, ST_INVALID, "%s:%d: %s was set before",
                         load->path, number, option->name);
    load->in_file |= bit;
    snprintf(source, sizeof source, "%s:%d: %s", load->path, number,
             option->name);
    struct config_setting s = {option, str_trim(value), source};
    return config_setting_apply(&s, load->values, err);
}

static enum status
read_file(struct load *load, struct buf *text, struct error *err)
{
    enum status status = ST_OK;
    ssize_t n = -1;

    int fd = open(load->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_sys(err, ST_INVALID, errno, "%s: cannot open %s",
                             load->path_source, load->path);
    while (!status && n != 0) {
        char *to = buf_room(text, 4096);
        n = to ? read(fd, to, 4096) : 0;
        if (n > 0)
            buf_grew(text, (size_t)n);
        else if (n < 0 && errno != EINTR)
            status = error_set_sys(err, ST_INVALID, errno, "%s: cannot read %s",
                                   load->path_source, load->path);
    }
    close(fd);
    if (!status && (text->failed || text->len > FILE_MAX))
        status = error_set(err, ST_INVALID, "%s: %s is larger than %d bytes",
                           load->path_source, load->path, FILE_MAX);
    return status;
}

static enum status
apply_file(struct load *load, struct error *err)
{
    struct buf text;
    struct str line, rest;

    if (!load->path)
        return ST_OK;
    buf_init(&text, FILE_MAX + 4096);
    enum status status = read_file(load, &text, err);
    rest = buf_str(&text);
    for (int number = 1; !status && rest.p && rest.n; number++) {
        line = str_cut(rest, '\n', &rest);
        status = apply_line(load, line, number, err);
    }
    buf_clear(&text);
    return status;
}

/* How a word of the command line is to be taken. */
struct word {
    bool option; /* starts with "--" */
    struct str name;
    struct str value; /* p == NULL: none */
    int words;        /* how many it takes, with its value */
};

/* --config is an option of every program, --help and --version are left to the
 * caller; all three are in no table. */
static bool
takes_value(const struct config_program *program, struct str name)
{
    const struct config_option *option = find_option(program, name);

    return option ? option->kind != CONFIG_BOOL : str_eq_c(name, "config");
}

static struct word
read_word(const struct config_program *program, int argc, char **argv, int i)
{
    struct word w = {.words = 1};
    struct str text = str_c(argv[i]);

    if (text.n < 2 || text.p[0] != '-')
        return w;
    w.option = true;
    if (text.p[1] != '-') { /* "-x": no program has any */
        w.name = text;
        return w;
    }
    w.name = str_cut(str_skip(text, 2), '=', &w.value);
    /* A word that looks like an option is none's value; --name=--odd is the
     * way to give such a value. */
    if (!w.value.p && takes_value(program, w.name) && i + 1 < argc &&
        strncmp(argv[i + 1], "--", 2) != 0) {
        w.value = str_c(argv[i + 1]);
        w.words = 2;
    }
    return w;
}

static enum status
apply_flag(struct load *load, const struct word *w, struct error *err)
{
    char source[CONFIG_ENV_SIZE];
    const struct config_option *option = find_option(load->program, w->name);
    struct config_setting s = {option, w->value, source};

    if (str_eq_c(w->name, "config"))
        return ST_OK; /* taken before */
    if (!option && (str_eq_c(w->name, "help") || str_eq_c(w->name, "version")))
        return ST_OK;
    if (!option)
        return error_set(
            err, ST_INVALID, "there is no option %s%.*s (see --help)",
            w->name.n && w->name.p[0] == '-' ? "" : "--",
            w->name.n < CONFIG_SHOWN_MAX ? (int)w->name.n : CONFIG_SHOWN_MAX,
            w->name.p);
    snprintf(source, sizeof source, "--%s", option->name);
    if (!w->value.p && option->kind == CONFIG_BOOL)
        s.value = STR("yes");
    else if (!w->value.p)
        return error_set(err, ST_INVALID, "%s: a value is missing (see --help)",
                         source);
    uint64_t bit = UINT64_C(1) << (option - load->program->options);
    bool more = option->kind == CONFIG_LIST && load->in_flags & bit;
    load->in_flags |= bit;
    return more ? config_setting_append(&s, load->values, err)
                : config_setting_apply(&s, load->values, err);
}

static bool
ends_options(const char *word)
{
    return strcmp(word, "--") == 0;
}

static enum status
apply_flags(struct load *load, int argc, char **argv, struct error *err)
{
    for (int i = 1; i < argc && !ends_options(argv[i]);) {
        struct word w = read_word(load->program, argc, argv, i);
        enum status status = w.option ? apply_flag(load, &w, err) : ST_OK;
        if (status)
            return status;
        i += w.words;
    }
    return ST_OK;
}

static enum status
find_file(struct load *load, int argc, char **argv, struct error *err)
{
    load->path = getenv("PIT_CONFIG");
    load->path_source = "PIT_CONFIG";
    if (load->path && !*load->path)
        load->path = NULL;
    for (int i = 1; i < argc && !ends_options(argv[i]);) {
        struct word w = read_word(load->program, argc, argv, i);
        if (w.option && str_eq_c(w.name, "config")) {
            if (w.value.n == 0)
                return error_set(err, ST_INVALID,
                                 "--config: a file's name is missing");
            load->path = w.value.p; /* the end of a word: has its NUL */
            load->path_source = "--config";
        }
        i += w.words;
    }
    return ST_OK;
}

/* Leaves only what is no option in argv; returns how many words stay. */
static int
keep_words(const struct config_program *program, int argc, char **argv)
{
    int kept = argc > 0, i = 1;

    while (i < argc && !ends_options(argv[i])) {
        struct word w = read_word(program, argc, argv, i);
        if (!w.option)
            argv[kept++] = argv[i];
        i += w.words;
    }
    for (i++; i < argc; i++)
        argv[kept++] = argv[i];
    argv[kept] = NULL;
    return kept;
}

enum status
config_load(const struct config_program *program, int argc, char **argv,
            void *ret, int *ret_argc, struct error *err)
{
    struct load load = {.program = program, .values = ret};

    config_fields_init(program, ret);
    enum status status = find_file(&load, argc, argv, err);
    if (!status)
        status = apply_defaults(&load, err);
    if (!status)
        status = apply_file(&load, err);
    if (!status)
        status = apply_environment(&load, err);
    if (!status)
        status = apply_flags(&load, argc, argv, err);
    if (status) {
        config_clear(program, ret);
        return status;
    }
    *ret_argc = keep_words(program, argc, argv);
    return ST_OK;
}

enum status
config_file(const struct config_program *program, int argc, char **argv,
            const char **ret, struct error *err)
{
    struct load load = {.program = program};
    enum status status = find_file(&load, argc, argv, err);

    if (!status)
        *ret = load.path;
    return status;
}

bool
config_wants(int argc, char **argv, const char *flag)
{
    for (int i = 1; i < argc && !ends_options(argv[i]); i++)
        if (strcmp(argv[i], flag) == 0)
            return true;
    return false;
}

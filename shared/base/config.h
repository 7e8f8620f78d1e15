/* config.h - options of a program: flag, environment, file and --help from one
 * table.
 *
 * Precedence: flag, then PIT_<NAME> environment variable, then the file named
 * by --config (or PIT_CONFIG), then the default. A flag --max-body is
 * PIT_MAX_BODY in the environment (empty counts as not set) and
 * `max-body = ...` in the file: one setting a line, each name once, at most 64
 * KiB; `#` at the start or behind white space begins a comment. Every value
 * given is checked against the option's kind and range, also one that is
 * overridden; a bad one is one line that names where it came from. At most 64
 * options with names of at most 40 characters. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum config_kind {
    CONFIG_BOOL,     /* bool; as a flag without a value, or =yes|no */
    CONFIG_INT,      /* int64_t within min..max */
    CONFIG_DURATION, /* int64_t milliseconds; "30s" as str_to_duration_ms */
    CONFIG_BYTES,    /* int64_t; "64KiB", "1MiB", "1GiB" or a bare number */
    CONFIG_STRING,   /* const char *, lives until config_clear() */
    CONFIG_LIST,     /* as CONFIG_STRING; a flag that is given several times
                        adds to it, behind a comma */
};

struct config_option {
    const char *name;       /* "max-body" */
    const char *value_name; /* for --help: "BYTES" */
    enum config_kind kind;
    size_t offset;        /* of the field in the program's struct */
    const char *standard; /* the default, as text; NULL leaves zero/NULL. One
                             below min says that nothing was given. */
    int64_t min, max;     /* for the number kinds; both 0: no limit */
    bool secret;          /* never shown in an error or in --help */
    const char *help;     /* one line */
};

struct config_program {
    const char *name;                    /* "pit-web" */
    const char *synopsis;                /* "pit-web [OPTION...]" */
    const char *about;                   /* one paragraph */
    const struct config_option *options; /* ends with a NULL name */
};

/* Fills the struct at @ret from @argv, the environment and the file; every
 * field that the table names is overwritten, without looking at what it held.
 * Words that are not options are left in argv[1..], *ret_argc counts them with
 * argv[0]. "--" ends the options. --help and --version are passed over here:
 * the caller handles them before, through config_wants(). Errors: ST_INVALID,
 * one line, says what to do; then nothing is left to free, and argv is as it
 * was. */
CHECK enum status config_load(const struct config_program *program, int argc,
                              char **argv, void *ret, int *ret_argc,
                              struct error *err);
/* The file that --config or PIT_CONFIG names; *ret is NULL when neither does,
 * else borrowed from them. Errors: ST_INVALID, --config without a name. */
CHECK enum status config_file(const struct config_program *program, int argc,
                              char **argv, const char **ret, struct error *err);
/* True when @flag ("--help") stands among the words before "--". */
bool config_wants(int argc, char **argv, const char *flag);
void config_help(const struct config_program *program, FILE *out);
/* Frees every string that config_load() put into the struct. */
void config_clear(const struct config_program *program, void *values);

#endif

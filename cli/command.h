/* command.h - what `pit` can do: one descriptor a command, one file each.
 *
 * A command says what its options are, main() fills them from flags,
 * environment and file, prints --help from the same table, and calls run().
 * Everything a command prints for machines goes to standard output; complaints
 * are one line on standard error. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stddef.h>

#include "base/config.h"

enum {
    COMMAND_OK = 0,
    COMMAND_FAILED = 1, /* asked for something that did not work out */
    COMMAND_USAGE = 2,  /* asked badly: nothing was done */
};

struct command {
    const char *name;
    const char *about; /* one line, for `pit --help` */
    const struct config_program *program;
    size_t options_size; /* of the struct that the program's table fills */
    /* @words: what is left of the command line behind the command's name.
     * Returns the exit status. */
    int (*run)(const void *options, int words_len, char *const *words);
};

extern const struct command cmd_enqueue;
extern const struct command cmd_job;
extern const struct command cmd_queues;
extern const struct command cmd_queue;
extern const struct command cmd_jobs;
extern const struct command cmd_explain;
extern const struct command cmd_cancel;
extern const struct command cmd_retry;
extern const struct command cmd_promote;
extern const struct command cmd_release;
extern const struct command cmd_edit;
extern const struct command cmd_delete;
extern const struct command cmd_pause;
extern const struct command cmd_resume;
extern const struct command cmd_purge;
extern const struct command cmd_scale;
extern const struct command cmd_logs;
extern const struct command cmd_operations;
extern const struct command cmd_schedules;
extern const struct command cmd_flows;
extern const struct command cmd_routes;
extern const struct command cmd_tasks;
extern const struct command cmd_workers;
extern const struct command cmd_watch;
extern const struct command cmd_doctor;
extern const struct command cmd_health;
extern const struct command cmd_bench;
extern const struct command cmd_new;
extern const struct command cmd_completion;
extern const struct command cmd_man;

/* The commands in the order of pit --help; NULL behind the last. */
const struct command *command_at(size_t index);

/* "pit <command>: <text>" on standard error; returns @exit, so that a command
 * ends in `return command_fail(...)`. */
PRINTF(3, 4)
int command_fail(const struct command *command, int exit, const char *fmt, ...);

/* Runs the command that argv[1] names; returns the exit status. */
int command_main(int argc, char **argv);

#endif

/* Commands: the table, and how one of them is found and started. */
#include "command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* One a line, in the order of pit --help. */
/* clang-format off */
static const struct command *const commands[] = {
    &cmd_enqueue,
    &cmd_jobs,
    &cmd_job,
    &cmd_explain,
    &cmd_logs,
    &cmd_cancel,
    &cmd_retry,
    &cmd_promote,
    &cmd_release,
    &cmd_edit,
    &cmd_delete,
    &cmd_queues,
    &cmd_queue,
    &cmd_pause,
    &cmd_resume,
    &cmd_purge,
    &cmd_scale,
    &cmd_operations,
    &cmd_schedules,
    &cmd_flows,
    &cmd_routes,
    &cmd_tasks,
    &cmd_workers,
    &cmd_watch,
    &cmd_doctor,
    &cmd_health,
    &cmd_bench,
    &cmd_new,
    &cmd_completion,
    &cmd_man,
};
/* clang-format on */

const struct command *
command_at(size_t index)
{
    return index < ARRAY_LEN(commands) ? commands[index] : NULL;
}

int
command_fail(const struct command *command, int exit, const char *fmt, ...)
{
    struct error err;
    char text[ERROR_MSG_SIZE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    /* Makes one line of it, whatever a server said. */
    (void)error_set(&err, ST_FAILED, "%s", text);
    fprintf(stderr, "pit%s%s: %s\n", command ? " " : "",
            command ? command->name : "", err.msg);
    return exit;
}

static const struct command *
find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void
print_help(FILE *out)
{
    fputs("Usage: pit COMMAND [WORD...] [OPTION...]\n\n"
          "Puts jobs into Pitmaster's queues and looks at them, directly in "
          "Redis.\n\nCommands:\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %-11s%s\n", commands[i]->name, commands[i]->about);
    fputs("\n`pit COMMAND --help` lists the options of one; each can be set in "
          "the\nenvironment and in a file as well. Exit status: 0 done, 1 "
          "failed, 2 bad use.\n",
          out);
}

static void
print_version(void)
{
    puts("pit " PIT_VERSION);
}

static int
start(const struct command *command, int argc, char **argv)
{
    struct error err;
    int words = 0;
    int exit;

    if (config_wants(argc, argv, "--help")) {
        config_help(command->program, stdout);
        return COMMAND_OK;
    }
    if (config_wants(argc, argv, "--version")) {
        print_version();
        return COMMAND_OK;
    }
    void *options = xcalloc(1, command->options_size);
    if (config_load(command->program, argc, argv, options, &words, &err) !=
        ST_OK) {
        exit = command_fail(command, COMMAND_USAGE, "%s", err.msg);
    } else {
        exit = command->run(options, words - 1, argv + 1);
        config_clear(command->program, options);
    }
    free(options);
    return exit;
}

/* A full disk or a closed pipe behind standard output is a failure too. */
static int
flushed(int exit)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit;
    return command_fail(NULL, COMMAND_FAILED,
                        "standard output could not be written");
}

int
command_main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (strcmp(name, "--version") == 0) {
        print_version();
        return flushed(COMMAND_OK);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        const struct command *about = argc > 2 ? find_command(argv[2]) : NULL;
        if (about)
            config_help(about->program, stdout);
        else
            print_help(stdout);
        return flushed(COMMAND_OK);
    }
    const struct command *command = find_command(name);
    if (command)
        return flushed(start(command, argc - 1, argv + 1));
    if (*name)
        return command_fail(NULL, COMMAND_USAGE,
                            "there is no command \"%s\", pit --help lists them",
                            name);
    print_help(stderr);
    return COMMAND_USAGE;
}

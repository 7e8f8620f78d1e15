/* pit man - the manual pages of pit and its commands, into a folder. The build
 * calls it, so that no page can differ from the tables. */
#include <stdio.h>

#include "base/config_man.h"
#include "command.h"

struct man_options {
    bool unused; /* a struct needs a member */
};

static const struct config_option option_table[] = {{0}};

static const struct config_program program = {
    .name = "pit man",
    .synopsis = "pit man FOLDER",
    .about = "Writes the manual pages of pit and its commands into a folder.",
    .options = option_table,
};

static void
print_commands(FILE *out)
{
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; command_at(i); i++) {
        fprintf(out, ".TP\n\\fBpit\\-%s\\fR(1)\n", command_at(i)->name);
        config_man_text(command_at(i)->about, out);
        fputc('\n', out);
    }
    fputs(".SH EXIT STATUS\n0 done, 1 failed, 2 bad use: nothing was done.\n",
          out);
}

static const struct config_program pit_program = {
    .name = "pit",
    .synopsis = "pit COMMAND [WORD...] [OPTION...]",
    .about = "Puts jobs into Pitmaster's queues, looks at them and controls "
             "them, directly in Redis. Each command has a page of its own.",
    .options = option_table,
};

static bool
write_page(const char *folder, const struct config_program *page,
           void (*commands)(FILE *out))
{
    char path[512], name[64];

    snprintf(name, sizeof name, "%s", page->name);
    for (char *c = name; *c; c++)
        if (*c == ' ')
            *c = '-';
    snprintf(path, sizeof path, "%s/%s.1", folder, name);
    FILE *out = fopen(path, "we");
    if (!out)
        return false;
    config_man(page, PIT_VERSION, commands, out);
    bool good = !ferror(out);
    return fclose(out) == 0 && good;
}

static int
run(const void *values, int words_len, char *const *words)
{
    (void)values;
    if (words_len != 1)
        return command_fail(&cmd_man, COMMAND_USAGE, "name a folder");
    bool good = write_page(words[0], &pit_program, print_commands);
    for (size_t i = 0; good && command_at(i); i++)
        good = write_page(words[0], command_at(i)->program, NULL);
    if (!good)
        return command_fail(&cmd_man, COMMAND_FAILED, "%s: %m", words[0]);
    return COMMAND_OK;
}

const struct command cmd_man = {
    .name = "man",
    .about = "write the manual pages into a folder",
    .program = &program,
    .options_size = sizeof(struct man_options),
    .run = run,
};

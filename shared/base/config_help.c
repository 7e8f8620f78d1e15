/* Help: printed from the same table that is checked, so it cannot be wrong. */
#include "base/config_setting.h"

enum { HELP_COLUMN = 28 };

static void
print_option(FILE *out, const char *name, const char *value_name,
             const char *help)
{
    int width = fprintf(out, "  --%s%s%s", name, value_name ? " " : "",
                        value_name ? value_name : "");

    if (width >= HELP_COLUMN)
        fprintf(out, "\n%*s", HELP_COLUMN, "");
    else
        fprintf(out, "%*s", HELP_COLUMN - width, "");
    fprintf(out, "%s\n", help);
}

void
config_help(const struct config_program *program, FILE *out)
{
    char name[CONFIG_ENV_SIZE];

    fprintf(out, "Usage: %s\n\n%s\n\nOptions:\n", program->synopsis,
            program->about);
    for (const struct config_option *o = program->options; o->name; o++) {
        config_env_name(o->name, name);
        print_option(out, o->name, o->value_name, o->help);
        fprintf(out, "%*s[%s", HELP_COLUMN, "", name);
        if (config_setting_has_default(o))
            fprintf(out, ", default %s", o->standard);
        fprintf(out, "]\n");
    }
    print_option(out, "config", "FILE",
                 "read options from FILE, one \"name = value\" a line");
    fprintf(out, "%*s[PIT_CONFIG]\n", HELP_COLUMN, "");
    print_option(out, "help", NULL, "show this and exit");
    print_option(out, "version", NULL, "show the version and exit");
    fprintf(out, "\nA flag wins over the environment variable in brackets, "
                 "that over the file.\n");
}

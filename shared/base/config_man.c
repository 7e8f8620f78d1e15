/* Manual pages: man(7) macros, which every man knows. */
#include "base/config_man.h"

#include <string.h>

#include "base/config_setting.h"

void
config_man_text(const char *text, FILE *out)
{
    bool line_start = true;

    for (const char *c = text; *c; c++) {
        if (*c == '\\')
            fputs("\\e", out);
        else if (*c == '-')
            fputs("\\-", out);
        else if ((*c == '.' || *c == '\'') && line_start)
            fprintf(out, "\\&%c", *c);
        else
            fputc(*c, out);
        line_start = *c == '\n';
    }
}

/* "pit jobs" is the page pit-jobs. */
static void
print_name(const char *name, FILE *out)
{
    for (const char *c = name; *c; c++)
        fputs(*c == ' ' || *c == '-' ? "\\-" : (char[2]){*c, '\0'}, out);
}

/* The first sentence of what it is about, without its end. */
static void
print_summary(const char *about, FILE *out)
{
    char text[256];
    size_t n = strcspn(about, ":.;");

    snprintf(text, sizeof text, "%.*s", (int)n, about);
    config_man_text(text, out);
}

static void
print_option(const struct config_option *option, FILE *out)
{
    char name[CONFIG_ENV_SIZE];

    config_env_name(option->name, name);
    fputs(".TP\n\\fB\\-\\-", out);
    config_man_text(option->name, out);
    fputs("\\fR", out);
    if (option->value_name) {
        fputs(" \\fI", out);
        config_man_text(option->value_name, out);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    config_man_text(option->help, out);
    fprintf(out, "\n(%s", name);
    if (config_setting_has_default(option)) {
        fputs(", default ", out);
        config_man_text(option->standard, out);
    }
    fputs(")\n", out);
}

void
config_man(const struct config_program *program, const char *version,
           void (*commands)(FILE *out), FILE *out)
{
    fputs(".TH ", out);
    print_name(program->name, out);
    fprintf(out, " 1 \"\" \"Pitmaster %s\" \"Pitmaster\"\n.SH NAME\n", version);
    print_name(program->name, out);
    fputs(" \\- ", out);
    print_summary(program->about, out);
    fputs("\n.SH SYNOPSIS\n.B ", out);
    config_man_text(program->synopsis, out);
    fputs("\n.SH DESCRIPTION\n", out);
    config_man_text(program->about, out);
    fputc('\n', out);
    if (commands)
        commands(out);
    fputs(".SH OPTIONS\nA flag wins over the environment variable in "
          "parentheses, "
          "that over the file.\n",
          out);
    for (const struct config_option *o = program->options; o->name; o++)
        print_option(o, out);
    fputs(".TP\n\\fB\\-\\-config\\fR \\fIFILE\\fR\n"
          "read options from FILE, one \"name = value\" a line\n(PIT_CONFIG)\n"
          ".TP\n\\fB\\-\\-help\\fR\nshow the options and exit\n"
          ".TP\n\\fB\\-\\-version\\fR\nshow the version and exit\n",
          out);
}

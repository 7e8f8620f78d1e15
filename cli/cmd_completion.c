/* pit completion - what a shell needs to complete pit's words, made from the
 * same tables that --help is made of. */
#include <string.h>

#include "command.h"

struct completion_options {
    bool unused; /* a struct needs a member */
};

static const struct config_option option_table[] = {{0}};

static const struct config_program program = {
    .name = "pit completion",
    .synopsis = "pit completion bash|zsh",
    .about = "Prints a script that completes commands and options: source "
             "<(pit completion bash), or put it where the shell looks for "
             "them.",
    .options = option_table,
};

/* Words that follow an option. */
static const struct {
    const char *option, *words;
} choices[] = {
    {"state", "ready scheduled retrying blocked running dead quarantined ended "
              "succeeded cancelled expired"},
    {"misfire", "skip once all"},
    {"overlap", "allow skip buffer"},
    {"unique-while", "waiting running ended"},
    {"backoff", "fixed exponential none"},
    {"callback-on", "succeeded dead"},
    {"durability", "memory fsync replica:1"},
    {"on-conflict", "reject return replace"},
};

static const char *
choices_of(const struct config_option *option)
{
    for (size_t i = 0; i < ARRAY_LEN(choices); i++)
        if (strcmp(option->name, choices[i].option) == 0)
            return choices[i].words;
    return NULL;
}

/* What may follow a command: @verbs, and behind one of those, or at once where
 * there are none, the names in the first column of what `pit LIST` prints. */
static const struct {
    const char *command, *verbs, *list;
} operands[] = {
    {"enqueue", NULL, "tasks"},
    {"jobs", NULL, "queues"},
    {"queue", NULL, "queues"},
    {"pause", NULL, "queues"},
    {"resume", NULL, "queues"},
    {"purge", NULL, "queues"},
    {"scale", NULL, "queues"},
    {"operations", "cancel", "operations"},
    {"schedules", "list show put pause resume trigger delete next",
     "schedules"},
    {"flows", "start show cancel", "flows"},
    {"workers", "quiet resume stop", "workers"},
    {"bench", "contrast", NULL},
};

static bool
takes_value(const struct config_option *option)
{
    return option->kind != CONFIG_BOOL;
}

/* --- bash --------------------------------------------------------------------
 */

static void
print_bash_command(const struct command *command)
{
    printf("    %s)\n        options=\"--help --config", command->name);
    for (const struct config_option *o = command->program->options; o->name;
         o++)
        printf(" --%s", o->name);
    puts("\"");
    for (size_t i = 0; i < ARRAY_LEN(operands); i++)
        if (strcmp(operands[i].command, command->name) == 0)
            printf("        verbs='%s' list='%s'\n",
                   operands[i].verbs ? operands[i].verbs : "",
                   operands[i].list ? operands[i].list : "");
    puts("        ;;");
}

static void
print_bash_choices(void)
{
    for (size_t i = 0; i < ARRAY_LEN(choices); i++)
        printf("    --%s)\n"
               "        mapfile -t COMPREPLY < <(compgen -W \"%s\" -- "
               "\"$word\")\n"
               "        return\n        ;;\n",
               choices[i].option, choices[i].words);
    fputs("    --queue)\n"
          "        mapfile -t COMPREPLY < <(compgen -W "
          "\"$(_pit_names queues)\" -- \"$word\")\n"
          "        return\n        ;;\n"
          "    --task)\n"
          "        mapfile -t COMPREPLY < <(compgen -W "
          "\"$(_pit_names tasks)\" -- \"$word\")\n"
          "        return\n        ;;\n"
          "    --app|--batch|--config|--dir)\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
          "        return\n        ;;\n",
          stdout);
}

/* Names are asked for where Redis answers soon; else there are none. */
static void
print_names_function(void)
{
    puts("_pit_names()\n{\n"
         "    command pit \"$1\" --timeout 500ms 2>/dev/null |\n"
         "        sed -n '2,$s/ .*//p'\n}");
}

static void
print_bash(void)
{
    puts("# bash completion of pit, made by `pit completion bash`.");
    print_names_function();
    fputs("_pit()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]}\n"
          "    local before=${COMP_WORDS[COMP_CWORD-1]} options= verbs= "
          "list=\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"--help --version",
          stdout);
    for (size_t i = 0; command_at(i); i++)
        printf(" %s", command_at(i)->name);
    fputs("\" -- \"$word\")\n        return\n    fi\n"
          "    case $before in\n",
          stdout);
    print_bash_choices();
    fputs("    esac\n"
          "    case ${COMP_WORDS[1]} in\n",
          stdout);
    for (size_t i = 0; command_at(i); i++)
        if (command_at(i) != &cmd_completion)
            print_bash_command(command_at(i));
    fputs("    completion)\n        options=\"bash zsh\"\n        ;;\n"
          "    esac\n"
          "    if [[ $word != -* && -n $verbs && $COMP_CWORD -eq 2 ]]; then\n"
          "        options=$verbs\n"
          "    elif [[ $word != -* && -n $list && $before != --* && "
          "$COMP_CWORD -le 3 ]]; then\n"
          "        options=$(_pit_names \"$list\")\n"
          "    fi\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
          "}\n"
          "complete -F _pit pit\n",
          stdout);
}

/* --- zsh ---------------------------------------------------------------------
 */

/* Within single quotes, and within the brackets of _arguments. */
static void
print_quoted(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '\'')
            fputs("'\\''", stdout);
        else if (*c == '[' || *c == ']' || *c == ':' || *c == '\\')
            printf("\\%c", *c);
        else
            putchar(*c);
    }
}

static void
print_zsh_operands(const struct command *command)
{
    for (size_t i = 0; i < ARRAY_LEN(operands); i++) {
        if (strcmp(operands[i].command, command->name) != 0)
            continue;
        if (operands[i].verbs)
            printf(" '1:verb:(%s)'", operands[i].verbs);
        if (operands[i].list)
            printf(" '*:name:{compadd -- $(_pit_names %s)}'", operands[i].list);
        return;
    }
    fputs(" '*:word:'", stdout);
}

static void
print_zsh_command(const struct command *command)
{
    printf("    %s)\n        _arguments", command->name);
    for (const struct config_option *o = command->program->options; o->name;
         o++) {
        printf(" \\\n            '--%s%s[", o->name, takes_value(o) ? "=" : "");
        print_quoted(o->help);
        putchar(']');
        if (takes_value(o)) {
            putchar(':');
            print_quoted(o->value_name ? o->value_name : "value");
            putchar(':');
            if (choices_of(o))
                printf("(%s)", choices_of(o));
            else if (strcmp(o->name, "queue") == 0)
                fputs("{compadd -- $(_pit_names queues)}", stdout);
            else if (strcmp(o->name, "task") == 0)
                fputs("{compadd -- $(_pit_names tasks)}", stdout);
        }
        putchar('\'');
    }
    fputs(" \\\n            '--help[show help]'", stdout);
    print_zsh_operands(command);
    puts("\n        ;;");
}

static void
print_zsh(void)
{
    puts(
        "#compdef pit\n# zsh completion of pit, made by `pit completion zsh`.");
    print_names_function();
    fputs("_pit()\n{\n    local -a commands=(\n", stdout);
    for (size_t i = 0; command_at(i); i++) {
        printf("        '%s:", command_at(i)->name);
        print_quoted(command_at(i)->about);
        puts("'");
    }
    fputs("    )\n"
          "    if (( CURRENT == 2 )); then\n"
          "        _describe command commands\n"
          "        return\n    fi\n"
          "    local command=$words[2]\n"
          "    shift words\n    (( CURRENT-- ))\n"
          "    case $command in\n",
          stdout);
    for (size_t i = 0; command_at(i); i++)
        if (command_at(i) != &cmd_completion)
            print_zsh_command(command_at(i));
    fputs("    completion)\n        _arguments '1:shell:(bash zsh)'\n"
          "        ;;\n    esac\n}\n"
          "if [ \"$funcstack[1]\" = _pit ]; then\n    _pit \"$@\"\nelse\n"
          "    compdef _pit pit\nfi\n",
          stdout);
}

static int
run(const void *values, int words_len, char *const *words)
{
    (void)values;
    if (words_len == 1 && strcmp(words[0], "bash") == 0)
        print_bash();
    else if (words_len == 1 && strcmp(words[0], "zsh") == 0)
        print_zsh();
    else
        return command_fail(&cmd_completion, COMMAND_USAGE,
                            "name a shell: bash or zsh");
    return COMMAND_OK;
}

const struct command cmd_completion = {
    .name = "completion",
    .about = "print a script that completes words in bash or zsh",
    .program = &program,
    .options_size = sizeof(struct completion_options),
    .run = run,
};

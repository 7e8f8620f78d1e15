/* config_man.h - a program's manual page, from the same table as its --help. */
#ifndef BASE_CONFIG_MAN_H
#define BASE_CONFIG_MAN_H

#include "base/config.h"

/* A page of section 1 in man(7) macros. @commands (may be NULL) prints a
 * section of its own behind the description, such as a list of subcommands. */
void config_man(const struct config_program *program, const char *version,
                void (*commands)(FILE *out), FILE *out);
/* Prints @text so that roff takes nothing in it for a request. */
void config_man_text(const char *text, FILE *out);

#endif

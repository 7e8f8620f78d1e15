/* text.h - times and JSON as people and machines read them. Pure but for
 * text_age(), which asks the clock, and what prints. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

enum { TEXT_SIZE = CLOCK_WORDS_SIZE };

/* RFC 3339 UTC with milliseconds; "" for 0 and for what is no time up to the
 * year 9999, since a record may say anything. */
const char *text_time(int64_t ms, char dst[TEXT_SIZE]);
/* What --@option was given, as clock_parse(); NULL leaves *ret_ms as it is.
 * Errors: ST_INVALID, with words that name the option. */
CHECK enum status text_read_time(const char *option, const char *text,
                                 int64_t *ret_ms, struct error *err);
/* A document's member @name: its text, "-" without one; its number, 0 without
 * one; how long ago its time was, "-" for what is no time. */
const char *text_member(const json_t *object, const char *name);
int64_t text_number(const json_t *object, const char *name);
const char *text_age(const json_t *object, const char *name,
                     char dst[TEXT_SIZE]);
/* Control characters, and what is no UTF-8, become '?': no text may take over a
 * terminal. In place. */
void text_make_printable(char *text, size_t len);
/* "name" and @value in one line on standard output, printable; nothing for an
 * empty value. */
void text_print_line(const char *name, struct str value);
/* One line of compact JSON on standard output; takes @json over. */
void text_print_json(json_t *json);

#endif

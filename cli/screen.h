/* screen.h - a page of text that repaints in place, on a terminal.
 *
 * Raw keys without echo while it is open, and the terminal as it was once it is
 * closed, also when the program ends by a signal that has a handler. There is
 * one terminal, so there is one screen. */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include <stdbool.h>

#include "base/str.h"

/* False when standard output or input is no terminal: then nothing was done.
 */
bool screen_open(void);
void screen_close(void);
/* Paints @text over what was there; lines and columns that do not fit are left
 * out. */
void screen_paint(struct str text);
/* The key that was pressed since the last call, or 0. Never waits. */
char screen_key(void);

#endif

/* Screen: the few control sequences that every terminal since the VT100 knows.
 */
#include "screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/utf8.h"

enum { ROWS_STANDARD = 24, COLUMNS_STANDARD = 80, PAINT_MAX = 1024 * 1024 };

static struct termios before;
static bool is_open;

bool
screen_open(void)
{
    struct termios raw;

    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0)
        return false;
    is_open = true;
    atexit(screen_close);
    /* The other page of the terminal, and no cursor. */
    fputs("\033[?1049h\033[?25l", stdout);
    return true;
}

void
screen_close(void)
{
    if (!is_open)
        return;
    is_open = false;
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* As many bytes of @line as @columns characters have. */
static size_t
clip(struct str line, size_t columns)
{
    size_t at = 0, seen = 0;

    while (at < line.n) {
        if (!utf8_is_tail(line.p[at]) && seen++ == columns)
            break;
        at++;
    }
    return at;
}

void
screen_paint(struct str text)
{
    struct winsize size = {0};
    struct buf out;
    struct str rest = text;
    size_t rows = ROWS_STANDARD, columns = COLUMNS_STANDARD;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 &&
        size.ws_col > 0) {
        rows = size.ws_row;
        columns = size.ws_col;
    }
    buf_init(&out, PAINT_MAX);
    buf_add_c(&out, "\033[H");
    for (size_t row = 0; row < rows && rest.n > 0; row++) {
        struct str line = str_cut(rest, '\n', &rest);
        if (row > 0)
            buf_add_c(&out, "\r\n");
        buf_add(&out, line.p, clip(line, columns));
        buf_add_c(&out, "\033[K");
    }
    buf_add_c(&out, "\033[J");
    fwrite(out.p, 1, out.len, stdout);
    fflush(stdout);
    buf_clear(&out);
}

char
screen_key(void)
{
    char key = 0;

    return is_open && read(STDIN_FILENO, &key, 1) == 1 ? key : 0;
}

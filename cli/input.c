/* Input: plain reads, repeated when a signal came between. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 64 * 1024 };

enum status
input_open(const char *path, struct input *ret, struct error *err)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_set_sys(err, ST_INVALID, errno, "%.100s cannot be opened",
                             path);
    *ret = (struct input){fd, standard ? "standard input" : path};
    return ST_OK;
}

void
input_close(struct input *input)
{
    if (input->fd > STDIN_FILENO)
        close(input->fd);
    input->fd = -1;
}

enum status
input_read(const struct input *input, struct buf *dst, size_t max,
           size_t *ret_n, struct error *err)
{
    char *room = buf_room(dst, max);
    ssize_t n;

    if (!room)
        return error_set(err, ST_LIMIT, "out of memory");
    do
        n = read(input->fd, room, max);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_set_sys(err, ST_INVALID, errno, "%.100s cannot be read",
                             input->name);
    buf_grew(dst, (size_t)n);
    *ret_n = (size_t)n;
    return ST_OK;
}

enum status
input_read_all(const struct input *input, struct buf *dst, struct error *err)
{
    size_t n = 1;

    while (n > 0) {
        size_t left = dst->max - dst->len;
        if (left == 0)
            return error_set(err, ST_TOO_LARGE,
                             "%.100s holds %zu bytes or more", input->name,
                             dst->max);
        enum status st =
            input_read(input, dst, left < PIECE ? left : PIECE, &n, err);
        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

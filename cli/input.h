/* input.h - the file that a command line names, or standard input for "-".
 *
 * Read with blocking calls: a session has nothing else to do. One owner. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "base/buf.h"
#include "base/error.h"

struct input {
    int fd;
    const char *name; /* for messages; the path is borrowed */
};

/* @path "-" is standard input. Errors: ST_INVALID, it cannot be opened. */
CHECK enum status input_open(const char *path, struct input *ret,
                             struct error *err);
/* Harmless on standard input. */
void input_close(struct input *input);

/* Appends what there is, at most @max bytes; *ret_n is 0 at the end. Blocks.
 * Errors: ST_INVALID it cannot be read, ST_LIMIT out of memory. */
CHECK enum status input_read(const struct input *input, struct buf *dst,
                             size_t max, size_t *ret_n, struct error *err);
/* Appends all of it. Errors: as input_read(); ST_TOO_LARGE above @dst's
 * maximum. */
CHECK enum status input_read_all(const struct input *input, struct buf *dst,
                                 struct error *err);

#endif

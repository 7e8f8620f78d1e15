/* file.h - files on the threads of a loop: read, replace, append, remove.
 *
 * What a name may reach is decided when it is opened, not by looking at its
 * text: with a folder the kernel resolves it beneath that folder (openat2 with
 * RESOLVE_BENEATH), where it cannot, each component is opened without following
 * links. The calls of pit/file.h, which says what they promise, are these.
 *
 * What takes a coroutine belongs to the loop's thread; the others block and run
 * on any. */
#ifndef ASYNC_FILE_H
#define ASYNC_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "async/co/co.h"
#include "base/error.h"

enum { FILE_NAME_MAX = 4096 }; /* bytes, PATH_MAX */

/* Opens @name beneath the open folder @dir, which may not be left; with
 * @dir < 0 a path like any other. @flags as open(2); O_CLOEXEC is added.
 * Returns a descriptor, or -1 and errno: EXDEV or ELOOP for a name that leads
 * out. */
int file_open(int dir, const char *name, int flags, unsigned mode);
/* Opens a folder for file_open(); -1 and errno. */
int file_open_folder(const char *folder);
/* The status that an errno of a file's call stands for (pit/file.h). */
enum status file_status(int sys);
/* file_open() for reading, and only a regular file; *ret_size its bytes. Else
 * -1 and errno, EISDIR for anything that is no regular file. */
int file_open_regular(int dir, const char *name, size_t *ret_size);
/* Reads @n bytes from @offset on, less only at the end of the file; -1 and
 * errno. */
long file_read_at(int fd, char *dst, size_t n, size_t offset);

/* Writes all of it; false and errno. */
CHECK bool file_write_all(int fd, const char *p, size_t n);

/* *ret is on the heap, the caller's to free, with a NUL behind its *ret_len
 * bytes. @folder NULL: @name is a path. */
CHECK enum status file_read(struct co *co, const char *folder, const char *name,
                            size_t max, char **ret, size_t *ret_len);
CHECK enum status file_write(struct co *co, const char *folder,
                             const char *name, struct str data);
CHECK enum status file_append(struct co *co, const char *folder,
                              const char *name, struct str data);
CHECK enum status file_remove(struct co *co, const char *folder,
                              const char *name);

#endif

/* pit/file.h - files, read and written on a thread and awaited.
 *
 * With a @folder a name is looked for below it and never outside of it, be it
 * by "..", by an absolute path or by a symbolic link (openat2 with
 * RESOLVE_BENEATH): then the name may come from a client. With NULL the name is
 * a path like any other. Only regular files are touched, so nothing hangs on a
 * pipe. A cancellation returns at once; a write that a thread has begun goes on
 * by itself. */
#ifndef PIT_FILE_H
#define PIT_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "pit/co.h"
#include "pit/status.h"

enum { PIT_FILE_MAX = 64 * 1024 * 1024 }; /* bytes that can be read at once */

/* Bytes of a file. Zero it, or use PIT_BYTES. */
struct pit_bytes {
    char *data; /* on the heap; a NUL follows that is not counted */
    size_t len;
};
/* Harmless on a zeroed one, and twice. */
void pit_bytes_clear(struct pit_bytes *bytes);
/* Clears it at the end of the block. */
#define PIT_BYTES __attribute__((cleanup(pit_bytes_clear)))

/* All suspend. Errors of all: PIT_INVALID an empty or over-long name;
 * PIT_NOT_FOUND no such file or folder, or it lies outside of @folder;
 * PIT_FORBIDDEN no permission, or no regular file; PIT_TOO_LARGE;
 * PIT_READ_ONLY no space, or a file system that takes no writes;
 * PIT_UNAVAILABLE any other error of the system; PIT_LIMIT too many calls wait
 * for a thread; PIT_CANCELLED, PIT_TIMEOUT. */

/* The whole of it; PIT_TOO_LARGE above @max bytes (0: PIT_FILE_MAX). */
enum pit_status pit_file_read(struct pit_co *co, const char *folder,
                              const char *name, size_t max,
                              struct pit_bytes *ret);
/* Replaces the file or makes it: whoever reads it sees the old or the new
 * content as a whole, also after a crash (written beside it, synced, renamed).
 * The bytes are copied. Mode 0640 for a new file. */
enum pit_status pit_file_write(struct pit_co *co, const char *folder,
                               const char *name, const void *data, size_t len);
/* Appends in one write, and syncs; makes the file if need be. */
enum pit_status pit_file_append(struct pit_co *co, const char *folder,
                                const char *name, const void *data, size_t len);
enum pit_status pit_file_remove(struct pit_co *co, const char *folder,
                                const char *name);

#endif

/* embedded.h - a file that the build put into the program.
 *
 * cmake/embed_files.cmake makes arrays of these, ended by one whose name is
 * NULL. Constant; any thread. */
#ifndef BASE_EMBEDDED_H
#define BASE_EMBEDDED_H

#include <stddef.h>

struct embedded {
    const char *name;  /* without a folder */
    const char *bytes; /* followed by a NUL that is not counted */
    size_t len;
};

#endif

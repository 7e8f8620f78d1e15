/* chunked.h - decodes a chunked body (RFC 9112 section 7.1).
 *
 * Pure and incremental, as the parser: the caller feeds what it has and gets
 * slices of the same bytes back. Sizes in plain hex; extensions are ignored up
 * to CHUNKED_EXTENSION_MAX bytes a chunk, trailers dropped up to
 * CHUNKED_TRAILER_MAX bytes in all. CRLF only. */
#ifndef WEB_HTTP_CHUNKED_H
#define WEB_HTTP_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    CHUNKED_EXTENSION_MAX = 256,
    CHUNKED_TRAILER_MAX = 8192,
    CHUNKED_SIZE_DIGITS = 15, /* hex: a chunk stays below 2^60 bytes */
};

enum chunked_result {
    CHUNKED_MORE, /* everything was used, the body goes on */
    CHUNKED_DATA, /* *ret_data holds 1 byte or more */
    CHUNKED_DONE, /* the end, trailers included; what follows is not ours */
    CHUNKED_BAD,  /* chunked->reason says why; it stays so */
};

struct chunked {
    int state;
    int digits;     /* of the present size */
    uint64_t left;  /* bytes left of the present chunk */
    uint32_t extra; /* bytes of its extension, or of the trailers */
    const char *reason;
};

void chunked_init(struct chunked *chunked);
/* Uses up to *ret_used of the @len bytes. *ret_data lies within @data. */
enum chunked_result chunked_next(struct chunked *chunked, const char *data,
                                 size_t len, size_t *ret_used,
                                 struct str *ret_data);

#endif

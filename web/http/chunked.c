/* Chunked: a state machine over bytes, but for the data, which is sliced.
 *
 *   SIZE -> [EXTENSION] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *                              \ size 0 -> TRAILER -> ... -> DONE
 *
 * Framing bytes are few, so nothing here is tuned. A bare LF is never the end
 * of a line: parsers that disagree about it are how requests get smuggled. */
#include "http/chunked.h"

enum {
    SIZE,      /* hex digits */
    EXTENSION, /* behind ';' or a blank, up to the CR */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,    /* at the start of a trailer line, or of the last line */
    TRAILER_IN, /* within one */
    TRAILER_LF, /* its end */
    LAST_LF,    /* the end of the last, empty line */
    DONE,
    BAD,
};

void
chunked_init(struct chunked *chunked)
{
    *chunked = (struct chunked){.state = SIZE};
}

static int
bad(struct chunked *chunked, const char *reason)
{
    chunked->reason = reason;
    return BAD;
}

static int
after_size(struct chunked *c, char byte)
{
    if (c->digits == 0)
        return bad(c, "a chunk size must be hex digits");
    if (byte == '\r')
        return SIZE_LF;
    c->extra = 0;
    if (byte == ';')
        return EXTENSION;
    return bad(c, "a chunk size must be plain hex digits");
}

static int
on_size(struct chunked *c, char byte)
{
    unsigned value;

    if (byte >= '0' && byte <= '9')
        value = (unsigned)(byte - '0');
    else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
        value = (unsigned)((byte | 0x20) - 'a') + 10;
    else
        return after_size(c, byte);
    if (++c->digits > CHUNKED_SIZE_DIGITS)
        return bad(c, "a chunk size has too many digits");
    c->left = c->left * 16 + value;
    return SIZE;
}

static bool
is_control(char byte)
{
    return ((unsigned char)byte < 0x20 && byte != '\t') || byte == 0x7f;
}

static int
on_extension(struct chunked *c, char byte)
{
    if (byte == '\r')
        return SIZE_LF;
    if (is_control(byte))
        return bad(c, "a chunk extension holds a control character");
    if (++c->extra > CHUNKED_EXTENSION_MAX)
        return bad(c, "a chunk extension is too long");
    return EXTENSION;
}

static int
on_size_lf(struct chunked *c, char byte)
{
    if (byte != '\n')
        return bad(c, "a chunk's first line must end with CR LF");
    c->digits = 0;
    c->extra = 0;
    return c->left > 0 ? DATA : TRAILER;
}

static int
on_trailer(struct chunked *c, char byte)
{
    bool in_line = c->state == TRAILER_IN;

    if (byte == '\r')
        return in_line ? TRAILER_LF : LAST_LF;
    if (is_control(byte) || (!in_line && (byte == ' ' || byte == '\t')))
        return bad(c, "the trailers are malformed");
    if (++c->extra > CHUNKED_TRAILER_MAX)
        return bad(c, "the trailers are too large");
    return TRAILER_IN;
}

static int
step(struct chunked *c, char byte)
{
    switch (c->state) {
    case SIZE:
        return on_size(c, byte);
    case EXTENSION:
        return on_extension(c, byte);
    case SIZE_LF:
        return on_size_lf(c, byte);
    case DATA_CR:
        return byte == '\r' ? DATA_LF
                            : bad(c, "a chunk is not followed by CR LF");
    case DATA_LF:
        return byte == '\n' ? SIZE : bad(c, "a chunk is not followed by CR LF");
    case TRAILER:
    case TRAILER_IN:
        return on_trailer(c, byte);
    case TRAILER_LF:
        return byte == '\n' ? TRAILER : bad(c, "a trailer must end with CR LF");
    case LAST_LF:
        return byte == '\n' ? DONE : bad(c, "the body must end with CR LF");
    default:
        return c->state;
    }
}

enum chunked_result
chunked_next(struct chunked *c, const char *data, size_t len, size_t *ret_used,
             struct str *ret_data)
{
    size_t i = 0;

    while (c->state != DONE && c->state != BAD && i < len) {
        if (c->state != DATA) {
            c->state = step(c, data[i++]);
            continue;
        }
        size_t n = len - i < c->left ? len - i : (size_t)c->left;
        c->left -= n;
        if (c->left == 0)
            c->state = DATA_CR;
        *ret_data = str_from(data + i, n);
        *ret_used = i + n;
        return CHUNKED_DATA;
    }
    *ret_used = i;
    if (c->state == BAD)
        return CHUNKED_BAD;
    return c->state == DONE ? CHUNKED_DONE : CHUNKED_MORE;
}

/* Encoding: plain appends, no printf on the hot path. */
#include "async/redis/rds_encode.h"

#include <string.h>

static size_t
digits_of(size_t n)
{
    size_t digits = 1;

    for (; n >= 10; n /= 10)
        digits++;
    return digits;
}

static size_t
word_len(const char *const *argv, const size_t *argv_len, int i)
{
    return argv_len ? argv_len[i] : strlen(argv[i]);
}

size_t
rds_encode_header_size(size_t n)
{
    return 1 + digits_of(n) + 2;
}

size_t
rds_encode_word_size(size_t len)
{
    return rds_encode_header_size(len) + len + 2;
}

size_t
rds_encode_words_size(int argc, const char *const *argv, const size_t *argv_len,
                      size_t max)
{
    size_t size = 0;

    for (int i = 0; i < argc && size <= max; i++) {
        size_t len = word_len(argv, argv_len, i);
        /* Checked before adding, so that nothing wraps around. */
        size = len > max ? len : size + rds_encode_word_size(len);
    }
    return size;
}

char *
rds_encode_bytes(char *p, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(p, bytes, len);
    return p + len;
}

char *
rds_encode_header(char *p, char prefix, size_t n)
{
    size_t digits = digits_of(n);

    *p++ = prefix;
    for (size_t i = digits; i > 0; i--, n /= 10)
        p[i - 1] = (char)('0' + n % 10);
    return rds_encode_bytes(p + digits, "\r\n", 2);
}

char *
rds_encode_word(char *p, const void *bytes, size_t len)
{
    p = rds_encode_header(p, '$', len);
    p = rds_encode_bytes(p, bytes, len);
    return rds_encode_bytes(p, "\r\n", 2);
}

char *
rds_encode_words(char *p, int argc, const char *const *argv,
                 const size_t *argv_len)
{
    for (int i = 0; i < argc; i++)
        p = rds_encode_word(p, argv[i], word_len(argv, argv_len, i));
    return p;
}

/* rds_encode.h - a command's words as Redis reads them (RESP, "Sending commands
 * to a Redis server").
 *
 *   *<words>\r\n  and for each word  $<bytes>\r\n<the bytes>\r\n
 *
 * Sizes first, then the bytes into room of just that size; each function
 * returns where it stopped. No state, no failure. */
#ifndef ASYNC_RDS_ENCODE_H
#define ASYNC_RDS_ENCODE_H

#include <stddef.h>

size_t rds_encode_header_size(size_t n);
size_t rds_encode_word_size(size_t len);
/* @argv_len NULL: the words are C strings. More than @max when that is passed,
 * without going on. */
size_t rds_encode_words_size(int argc, const char *const *argv,
                             const size_t *argv_len, size_t max);

/* "<prefix><n>\r\n" */
char *rds_encode_header(char *p, char prefix, size_t n);
char *rds_encode_bytes(char *p, const void *bytes, size_t len);
char *rds_encode_word(char *p, const void *bytes, size_t len);
char *rds_encode_words(char *p, int argc, const char *const *argv,
                       const size_t *argv_len);

#endif

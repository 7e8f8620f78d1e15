/* Webhook: secrets, signatures. Base64 and HMAC are OpenSSL's. */
#include "webhook.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum {
    FILE_MAX = 4096,
    TEXT_MAX = (WEBHOOK_SECRET_MAX + 2) / 3 * 4, /* in base64 */
    SHA256_BYTES = 32,
};

/* EVP_DecodeBlock() counts the padding as bytes, and wants groups of four. */
static bool
decode(struct str text, struct webhook_secret *ret)
{
    unsigned char bytes[TEXT_MAX / 4 * 3];
    size_t padding = 0;

    if (text.n == 0 || text.n > TEXT_MAX || text.n % 4 != 0)
        return false;
    while (padding < 2 && text.p[text.n - 1 - padding] == '=')
        padding++;
    int n = EVP_DecodeBlock(bytes, (const unsigned char *)text.p, (int)text.n);
    bool good = n > 0 && (size_t)n - padding >= WEBHOOK_SECRET_MIN &&
                (size_t)n - padding <= WEBHOOK_SECRET_MAX;
    if (good) {
        ret->len = (size_t)n - padding;
        memcpy(ret->bytes, bytes, ret->len);
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
    return good;
}

static enum status
add_secret(struct webhook *webhook, struct str text, const char *option,
           struct error *err)
{
    const struct str prefix = STR("whsec_");

    if (webhook->secrets_len == WEBHOOK_SECRETS_MAX)
        return error_set(err, ST_INVALID,
                         "%s: at most %d secrets, the new one and the old one",
                         option, WEBHOOK_SECRETS_MAX);
    if (str_starts(text, prefix))
        text = str_skip(text, prefix.n);
    if (!decode(text, &webhook->secrets[webhook->secrets_len]))
        return error_set(err, ST_INVALID,
                         "%s: a secret is whsec_ and %d to %d random bytes in "
                         "base64; make one with: echo whsec_$(openssl rand "
                         "-base64 32)",
                         option, WEBHOOK_SECRET_MIN, WEBHOOK_SECRET_MAX);
    webhook->secrets_len++;
    return ST_OK;
}

static enum status
add_secrets(struct webhook *webhook, struct str text, char separator,
            const char *option, struct error *err)
{
    struct str rest = text;
    enum status st = ST_OK;

    while (st == ST_OK && rest.n > 0) {
        struct str word = str_trim(str_cut(rest, separator, &rest));
        if (word.n > 0)
            st = add_secret(webhook, word, option, err);
    }
    return st;
}

static enum status
add_file(struct webhook *webhook, const char *path, struct error *err)
{
    char text[FILE_MAX];
    enum status st;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_sys(err, ST_INVALID, errno,
                             "--webhook-secret-file %.120s", path);
    ssize_t n = read(fd, text, sizeof text);
    if (n < 0 || n == (ssize_t)sizeof text)
        st = error_set(err, ST_INVALID,
                       "--webhook-secret-file %.120s: cannot be read, or is "
                       "larger than %d bytes",
                       path, FILE_MAX - 1);
    else
        st = add_secrets(webhook, str_from(text, (size_t)n), '\n',
                         "--webhook-secret-file", err);
    close(fd);
    OPENSSL_cleanse(text, sizeof text);
    return st;
}

enum status
webhook_init(struct webhook *ret, const struct options *options,
             struct error *err)
{
    struct webhook webhook = {0};
    struct error why;
    enum status st = ST_OK;

    if (options->webhook_secret)
        st = add_secrets(&webhook, str_c(options->webhook_secret), ',',
                         "--webhook-secret", err);
    if (st == ST_OK && options->webhook_secret_file &&
        *options->webhook_secret_file)
        st = add_file(&webhook, options->webhook_secret_file, err);
    if (st == ST_OK && options->webhook_allow) {
        st = address_rules_parse(str_c(options->webhook_allow),
                                 &webhook.allowed, &why);
        if (st != ST_OK)
            error_set(err, st, "--webhook-allow: %.200s", why.msg);
    }
    if (st == ST_OK)
        *ret = webhook;
    webhook_clear(&webhook);
    return st;
}

void
webhook_clear(struct webhook *webhook)
{
    if (!webhook)
        return;
    OPENSSL_cleanse(webhook->secrets, sizeof webhook->secrets);
    webhook->secrets_len = 0;
}

static void
add_signature(const struct webhook_secret *secret, struct str signed_text,
              struct buf *dst)
{
    unsigned char mac[SHA256_BYTES];
    unsigned char text[(SHA256_BYTES + 2) / 3 * 4 + 1];
    unsigned n = sizeof mac;

    if (!HMAC(EVP_sha256(), secret->bytes, (int)secret->len,
              (const unsigned char *)signed_text.p, signed_text.n, mac, &n))
        log_fatal("HMAC-SHA256 is not to be had");
    EVP_EncodeBlock(text, mac, (int)n);
    buf_addf(dst, "v1,%s", text);
}

void
webhook_sign(const struct webhook *webhook, struct str id, int64_t at_s,
             struct str body, struct buf *dst)
{
    struct buf text;

    buf_init(&text, id.n + body.n + 32);
    buf_addf(&text, "%.*s.%" PRId64 ".", STR_ARG(id), at_s);
    buf_add_str(&text, body);
    dst->failed |= text.failed;
    for (size_t i = 0; i < webhook->secrets_len && !text.failed; i++) {
        if (i > 0)
            buf_add_char(dst, ' ');
        add_signature(&webhook->secrets[i], buf_str(&text), dst);
    }
    buf_clear(&text);
}

/* webhook.h - how callbacks are signed, and where they may go.
 *
 * The signature is that of Standard Webhooks 1.0: HMAC-SHA256 over
 * "<id>.<timestamp>.<body>", in base64, behind "v1,". A secret is "whsec_" and
 * 24 to 64 bytes in base64, or the base64 alone; while one is replaced there
 * are two, and a callback carries a signature for each. */
#ifndef WORKER_WEBHOOK_H
#define WORKER_WEBHOOK_H

#include <stddef.h>
#include <stdint.h>

#include "async/curl/address.h"
#include "base/buf.h"
#include "base/error.h"
#include "options.h"

enum {
    WEBHOOK_SECRETS_MAX = 2,
    WEBHOOK_SECRET_MIN = 24, /* bytes, decoded */
    WEBHOOK_SECRET_MAX = 64,
};

struct webhook_secret {
    unsigned char bytes[WEBHOOK_SECRET_MAX];
    size_t len;
};

struct webhook {
    struct webhook_secret secrets[WEBHOOK_SECRETS_MAX];
    size_t secrets_len; /* 0: none was given, nothing can be sent */
    struct address_rules allowed;
};

/* Reads --webhook-secret, --webhook-secret-file and --webhook-allow. Errors:
 * ST_INVALID, names the option and never shows a secret. */
CHECK enum status webhook_init(struct webhook *ret,
                               const struct options *options,
                               struct error *err);
/* Wipes the secrets. NULL is fine. */
void webhook_clear(struct webhook *webhook);
/* Appends the value of the header webhook-signature: one signature a secret,
 * separated by spaces. @at_s: seconds since 1970. */
void webhook_sign(const struct webhook *webhook, struct str id, int64_t at_s,
                  struct str body, struct buf *dst);

#endif

/* TLS: OpenSSL's calls with the manners of recv() and send().
 *
 * The session's BIO is the socket itself. OpenSSL may want to read in order to
 * write (and the other way round) while it shakes hands; that is what `turned`
 * reports. Its error queue is one a thread, so it is emptied before each call:
 * what another session left there would be taken for ours. */
#include "http/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum { TICKET_LIFE_S = 3600 };

struct tls {
    SSL_CTX *ctx;
};

struct tls_session {
    SSL *ssl;
    bool turned;
    bool failed; /* nothing more may be said */
    bool plain;
};

/* ---- the context ---- */

static enum status
fail(struct error *err, const char *option, const char *path)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    int sys = errno;

    ERR_clear_error();
    if (access(path, R_OK) != 0)
        return error_set_sys(err, ST_INVALID, errno, "%s %.120s", option, path);
    errno = sys;
    return error_set(err, ST_INVALID, "%s %.120s: %s", option, path,
                     reason ? reason : "cannot be used");
}

/* A prompt for a password would stop the start. */
static int
no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

/* RFC 7301: what else a client offers is not spoken here. */
static int
select_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *found = NULL;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&found, ret_len, ours, sizeof ours - 1, in,
                              in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = found;
    return SSL_TLSEXT_ERR_OK;
}

static void
configure(SSL_CTX *ctx, const unsigned char *ticket_key)
{
    static const unsigned char id[] = "pit-web";

    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    /* For TLS 1.2: forward secrecy and authenticated encryption only. */
    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
    SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets do */
    SSL_CTX_set_timeout(ctx, TICKET_LIFE_S);
    SSL_CTX_set_num_tickets(ctx, 1);
    if (ticket_key)
        SSL_CTX_set_tlsext_ticket_keys(ctx, (void *)(uintptr_t)ticket_key,
                                       TLS_TICKET_KEY_SIZE);
}

static void
warn_of_age(SSL_CTX *ctx, const char *path)
{
    const X509 *cert = SSL_CTX_get0_certificate(ctx);

    if (cert && X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
        log_warn("--tls-cert %s: the certificate has expired", path);
}

enum status
tls_new(const struct tls_options *options, struct tls **ret, struct error *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    enum status st = ST_OK;

    if (!ctx)
        log_fatal("out of memory");
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    configure(ctx, options->ticket_key);
    if (SSL_CTX_use_certificate_chain_file(ctx, options->cert) != 1)
        st = fail(err, "--tls-cert", options->cert);
    else if (SSL_CTX_use_PrivateKey_file(ctx, options->key, SSL_FILETYPE_PEM) !=
             1)
        st = fail(err, "--tls-key", options->key);
    else if (SSL_CTX_check_private_key(ctx) != 1)
        st = error_set(err, ST_INVALID,
                       "--tls-key %.120s: is not the key of the certificate",
                       options->key);
    if (st != ST_OK) {
        ERR_clear_error();
        SSL_CTX_free(ctx);
        return st;
    }
    warn_of_age(ctx, options->cert);
    struct tls *tls = xcalloc(1, sizeof *tls);
    tls->ctx = ctx;
    *ret = tls;
    return ST_OK;
}

void
tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->ctx);
    free(tls);
}

/* ---- a session ---- */

struct tls_session *
tls_accept(struct tls *tls, int fd)
{
    struct tls_session *session = calloc(1, sizeof *session);

    ERR_clear_error();
    if (session)
        session->ssl = SSL_new(tls->ctx);
    if (!session || !session->ssl || SSL_set_fd(session->ssl, fd) != 1) {
        tls_session_free(session);
        return NULL;
    }
    SSL_set_accept_state(session->ssl);
    return session;
}

void
tls_session_free(struct tls_session *session)
{
    if (!session)
        return;
    SSL_free(session->ssl);
    free(session);
}

static ssize_t
give_up(struct tls_session *session)
{
    unsigned long code = ERR_peek_error();

    session->failed = true;
    session->plain = ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
    if (code)
        log_debug("TLS: %s", ERR_reason_error_string(code));
    errno = EPROTO;
    return -1;
}

/* What a call that moved nothing means. */
static ssize_t
explain(struct tls_session *session, int result, bool writing)
{
    int sys = errno;

    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        session->turned = writing;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        session->turned = !writing;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        session->failed = true;
        errno = sys ? sys : ECONNRESET;
        return -1;
    default:
        break;
    }
    /* An end without close_notify. Cutting a message short gains nothing: its
     * length is known, or its last chunk says that it is complete. */
    if (ERR_GET_REASON(ERR_peek_error()) ==
        SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        session->failed = true;
        return 0;
    }
    return give_up(session);
}

ssize_t
tls_read(struct tls_session *session, void *dst, size_t n)
{
    size_t done = 0;

    if (session->failed)
        return 0;
    ERR_clear_error();
    errno = 0;
    int result = SSL_read_ex(session->ssl, dst, n, &done);
    return result == 1 ? (ssize_t)done : explain(session, result, false);
}

ssize_t
tls_write(struct tls_session *session, const void *p, size_t n)
{
    size_t done = 0;

    if (session->failed) {
        errno = EPIPE;
        return -1;
    }
    ERR_clear_error();
    errno = 0;
    int result = SSL_write_ex(session->ssl, p, n, &done);
    if (result == 1)
        return (ssize_t)done;
    ssize_t why = explain(session, result, true);
    if (why == 0) { /* the peer reads no more */
        errno = EPIPE;
        why = -1;
    }
    return why;
}

bool
tls_turned(const struct tls_session *session)
{
    return session->turned;
}

bool
tls_was_plain(const struct tls_session *session)
{
    return session->plain;
}

void
tls_close(struct tls_session *session)
{
    if (session->failed || !SSL_is_init_finished(session->ssl))
        return;
    ERR_clear_error();
    (void)SSL_shutdown(session->ssl); /* what cannot leave now is not missed */
}

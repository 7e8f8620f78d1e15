/* Sockets: opening, sharing out and closing without losing a connection.
 *
 * A SOCKET THAT IS CLOSED resets whoever waits in its queue. So before one is
 * closed nothing new may come to it:
 *   - at the end, a filter on each TCP socket drops new SYNs. The client's
 *     kernel repeats them, and finds the port closed, or another server behind
 *     it. A unix socket loses its path instead.
 *   - when one process of several leaves, a program on the address' group of
 *     sockets picks among the others. A group is an array in the order of
 *     opening, and only ever its last socket goes, so the numbers agree.
 * Handshakes that have begun complete on their socket, the process that owns it
 * accepts for a moment longer, and only then it goes. */
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "http/listener.h"

enum {
    FIRST_HANDED = 3, /* SD_LISTEN_FDS_START */
    PROCESSES_MAX = 256,
};

static struct {
    int fds[SOCKETS_ADDRESSES_MAX];
    unsigned len;
} handed;

/* ---- one address ---- */

static void
address_unref(struct sockets_address *address)
{
    if (!address || --address->refs > 0)
        return;
    for (unsigned i = 0; i < address->len; i++)
        if (address->fds[i] >= 0)
            close(address->fds[i]);
    free(address->fds);
    free(address);
}

static struct sockets_address *
address_new(struct str text)
{
    struct sockets_address *address = xcalloc(1, sizeof *address);

    address->refs = 1;
    address->fds = xcalloc(PROCESSES_MAX, sizeof *address->fds);
    str_copy_to(text, address->text, sizeof address->text);
    return address;
}

/* What listener_open() is to be given: without the scheme. */
static const char *
place_of(const struct sockets_address *address)
{
    const char *place = strstr(address->text, "://");

    return place ? place + 3 : address->text;
}

/* The first one opens alone: that fails when another server has the port, which
 * SO_REUSEPORT would share with it. It also finds the port when 0 was asked
 * for. */
static enum status
open_first(struct sockets_address *address, struct error *err)
{
    int fd = -1;

    enum status st = listener_open(place_of(address), false, &fd, err);
    if (st != ST_OK)
        return st;
    listener_name(fd, address->name, sizeof address->name);
    if (!address->shared) {
        close(fd);
        st = listener_open(address->name, true, &fd, err);
    }
    if (st == ST_OK)
        address->fds[address->len++] = fd;
    return st;
}

static enum status
grow(struct sockets_address *address, unsigned processes, struct error *err)
{
    enum status st = ST_OK;

    while (st == ST_OK && !address->shared && address->len < processes) {
        st = listener_open(address->name, true, &address->fds[address->len],
                           err);
        if (st == ST_OK)
            address->len++;
    }
    return st;
}

static enum status
open_address(struct str text, unsigned processes, struct sockets_address **ret,
             struct error *err)
{
    struct sockets_address *address = address_new(text);
    struct str place = str_c(place_of(address));
    enum status st = ST_OK;

    address->tls = str_starts(text, STR("https://"));
    address->local = address->shared = str_starts(place, STR("unix:"));
    if (text.n >= sizeof address->text || (place.n != text.n && !address->tls &&
                                           !str_starts(text, STR("http://"))))
        st = error_set(err, ST_INVALID,
                       "--listen: '%.*s' is no address: want 127.0.0.1:8000, "
                       "[::1]:8000, :8000 or unix:/path, with https:// before "
                       "it for TLS",
                       (int)(text.n < 100 ? text.n : 100), text.p);
    if (st == ST_OK)
        st = open_first(address, err);
    if (st == ST_OK)
        st = grow(address, processes, err);
    if (st == ST_OK)
        *ret = address;
    else
        address_unref(address);
    return st;
}

/* ---- handed over ---- */

static bool
is_listening(int fd)
{
    int type = 0, on = 0;
    socklen_t len = sizeof type;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
        type != SOCK_STREAM)
        return false;
    len = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

static enum status
take_handed(int fd, struct error *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (!is_listening(fd) || flags < 0)
        return error_set(err, ST_INVALID,
                         "LISTEN_FDS: descriptor %d is no listening stream "
                         "socket (a socket unit needs ListenStream= and "
                         "Accept=no)",
                         fd);
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    handed.fds[handed.len++] = fd;
    return ST_OK;
}

enum status
sockets_take_handed(struct error *err)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    int64_t number = 0, n = 0;
    enum status st = ST_OK;

    if (!pid || !count || !str_to_i64(str_c(pid), &number) ||
        number != (int64_t)getpid())
        return ST_OK; /* meant for somebody else */
    if (!str_to_i64(str_c(count), &n) || n > SOCKETS_ADDRESSES_MAX)
        return error_set(err, ST_INVALID,
                         "LISTEN_FDS=%s: want 0 to %d descriptors", count,
                         SOCKETS_ADDRESSES_MAX);
    for (int fd = FIRST_HANDED; st == ST_OK && fd < FIRST_HANDED + n; fd++)
        st = take_handed(fd, err);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return st;
}

/* ---- sets ---- */

static struct sockets_address *
find(const struct sockets *sockets, struct str text)
{
    for (size_t i = 0; sockets && i < sockets->len; i++)
        if (str_eq_c(text, sockets->addresses[i]->text))
            return sockets->addresses[i];
    return NULL;
}

static enum status
add(struct sockets *sockets, struct sockets_address *address, struct error *err)
{
    if (sockets->len == SOCKETS_ADDRESSES_MAX) {
        address_unref(address);
        return error_set(err, ST_INVALID, "--listen takes at most %d addresses",
                         SOCKETS_ADDRESSES_MAX);
    }
    sockets->addresses[sockets->len++] = address;
    return ST_OK;
}

static enum status
add_handed(struct sockets *sockets, bool tls, struct error *err)
{
    enum status st = ST_OK;

    if (handed.len == 0)
        return error_set(err, ST_INVALID,
                         "--listen systemd: no socket was handed over "
                         "(LISTEN_FDS): start it from a socket unit");
    for (unsigned i = 0; st == ST_OK && i < handed.len; i++) {
        struct sockets_address *address = address_new(STR("systemd"));
        address->handed = address->shared = true;
        address->tls = tls;
        address->fds[0] = fcntl(handed.fds[i], F_DUPFD_CLOEXEC, 0);
        address->len = 1;
        listener_name(handed.fds[i], address->name, sizeof address->name);
        st = add(sockets, address, err);
        if (st == ST_OK && address->fds[0] < 0)
            st = error_set_sys(err, ST_LIMIT, errno, "no descriptor");
    }
    return st;
}

static enum status
add_text(struct sockets *sockets, struct str text, unsigned processes,
         const struct sockets *before, struct error *err)
{
    struct sockets_address *address = find(before, text);
    bool tls = str_eq_c(text, "https://systemd");

    if (tls || str_eq_c(text, "systemd"))
        return add_handed(sockets, tls, err);
    if (find(sockets, text))
        return error_set(err, ST_INVALID, "--listen: %.*s stands there twice",
                         (int)(text.n < 100 ? text.n : 100), text.p);
    if (address) {
        address->refs++;
        return add(sockets, address, err);
    }
    enum status st = open_address(text, processes, &address, err);
    return st == ST_OK ? add(sockets, address, err) : st;
}

enum status
sockets_open(const char *list, unsigned processes, const struct sockets *before,
             struct sockets *ret, struct error *err)
{
    struct sockets sockets = {.len = 0};
    enum status st = ST_OK;

    if (!list)
        list = handed.len > 0 ? "systemd" : "127.0.0.1:8000";
    struct str rest = str_c(list);
    do {
        struct str text = str_trim(str_cut(rest, ',', &rest));
        st = add_text(&sockets, text, processes, before, err);
    } while (st == ST_OK && rest.p);
    if (st == ST_OK)
        *ret = sockets;
    else
        sockets_close(&sockets);
    return st;
}

void
sockets_close(struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->len; i++)
        address_unref(sockets->addresses[i]);
    sockets->len = 0;
}

int
sockets_fd(const struct sockets *sockets, size_t i, unsigned process)
{
    const struct sockets_address *address = sockets->addresses[i];

    return address->fds[address->shared ? 0 : process];
}

void
sockets_keep(struct sockets *sockets, unsigned process)
{
    for (size_t i = 0; i < sockets->len; i++) {
        struct sockets_address *address = sockets->addresses[i];
        for (unsigned k = 0; !address->shared && k < address->len; k++)
            if (k != process && address->fds[k] >= 0) {
                close(address->fds[k]);
                address->fds[k] = -1;
            }
    }
    for (unsigned i = 0; i < handed.len; i++)
        close(handed.fds[i]);
    handed.len = 0;
}

void
sockets_names(const struct sockets *sockets, char *dst, size_t size)
{
    size_t n = 0;

    dst[0] = '\0';
    for (size_t i = 0; i < sockets->len && n < size; i++) {
        const struct sockets_address *address = sockets->addresses[i];
        bool local = str_starts(str_c(address->name), STR("unix:"));
        n += (size_t)snprintf(dst + n, size - n, "%s%s%s", i > 0 ? ", " : "",
                              address->tls ? "https://"
                              : local      ? ""
                                           : "http://",
                              address->name);
    }
}

/* ---- more and fewer processes ---- */

/* Picks one of the first @n sockets of the group. */
static void
steer(const struct sockets_address *address, unsigned n)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    const struct sock_fprog program = {ARRAY_LEN(code), code};

    /* Where such programs are forbidden a connection may be reset. */
    if (setsockopt(address->fds[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF,
                   &program, sizeof program) != 0)
        log_debug("SO_ATTACH_REUSEPORT_CBPF: errno %d", errno);
}

enum status
sockets_grow(struct sockets *sockets, struct error *err)
{
    for (size_t i = 0; i < sockets->len; i++) {
        struct sockets_address *address = sockets->addresses[i];
        enum status st = grow(address, address->len + 1, err);
        if (st != ST_OK) {
            while (i-- > 0) {
                address = sockets->addresses[i];
                if (!address->shared)
                    close(address->fds[--address->len]);
            }
            return st;
        }
    }
    for (size_t i = 0; i < sockets->len; i++)
        if (!sockets->addresses[i]->shared)
            steer(sockets->addresses[i], sockets->addresses[i]->len);
    return ST_OK;
}

void
sockets_steer_off_last(struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->len; i++)
        if (!sockets->addresses[i]->shared && sockets->addresses[i]->len > 1)
            steer(sockets->addresses[i], sockets->addresses[i]->len - 1);
}

void
sockets_shrink(struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->len; i++) {
        struct sockets_address *address = sockets->addresses[i];
        if (!address->shared && address->len > 1)
            close(address->fds[--address->len]);
    }
}

/* ---- the end ---- */

/* Classic BPF over the TCP header: offset 13 holds the flags, 0x02 is SYN. */
static void
refuse(const struct sockets_address *address)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {ARRAY_LEN(code), code};

    if (address->handed)
        return; /* systemd keeps it: who comes now is served after the start */
    if (address->local) {
        (void)unlink(address->name + sizeof "unix:" - 1);
        return;
    }
    /* Where filters are forbidden a connection may be reset, as everywhere. */
    for (unsigned i = 0; i < address->len; i++)
        if (setsockopt(address->fds[i], SOL_SOCKET, SO_ATTACH_FILTER, &program,
                       sizeof program) != 0)
            log_debug("SO_ATTACH_FILTER: errno %d", errno);
}

void
sockets_refuse(const struct sockets *sockets, const struct sockets *kept)
{
    for (size_t i = 0; i < sockets->len; i++) {
        const struct sockets_address *address = sockets->addresses[i];
        if (!kept || !find(kept, str_c(address->text)))
            refuse(address);
    }
}

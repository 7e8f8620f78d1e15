/* Link: thin over a socket pair. */
#include "link.h"

#include <errno.h>
#include <sys/socket.h>

enum status
link_pair(int ret_fds[2], struct error *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
        return error_set_sys(err, ST_LIMIT, errno, "socketpair");
    return ST_OK;
}

bool
link_send(int fd, enum link_kind kind, uint32_t slot, int wait_status)
{
    struct link_message message = {
        .kind = kind, .slot = slot, .wait_status = wait_status};
    ssize_t n;

    do
        n = send(fd, &message, sizeof message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == sizeof message;
}

bool
link_receive(int fd, struct link_message *ret, bool *ret_closed)
{
    ssize_t n;

    do
        n = recv(fd, ret, sizeof *ret, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    *ret_closed = n == 0 || (n < 0 && errno != EAGAIN);
    return n == sizeof *ret;
}

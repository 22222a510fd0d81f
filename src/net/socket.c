#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

typedef union socket_name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} socket_name;

static socklen_t socket_name_of(socket_name *name, const weir_address *address)
{
    memset(name, 0, sizeof *name);
    if (address->family == 4) {
        name->v4.sin_family = AF_INET;
        name->v4.sin_port = htons(address->port);
        memcpy(&name->v4.sin_addr, address->ip, 4);
        return sizeof name->v4;
    }
    name->v6.sin6_family = AF_INET6;
    name->v6.sin6_port = htons(address->port);
    memcpy(&name->v6.sin6_addr, address->ip, 16);
    return sizeof name->v6;
}

static weir_address socket_address_of(const socket_name *name)
{
    weir_address address = {.family = 4, .port = 0};
    if (name->any.sa_family == AF_INET) {
        address.port = ntohs(name->v4.sin_port);
        memcpy(address.ip, &name->v4.sin_addr, 4);
    } else {
        address.family = 6;
        address.port = ntohs(name->v6.sin6_port);
        memcpy(address.ip, &name->v6.sin6_addr, 16);
    }
    return address;
}

int weir__socket_prepare(int fd)
{
    int const flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return WEIR_ESYSTEM;
    return WEIR_OK;
}

/* Closes, and keeps the errno of what went wrong before. */
static int socket_give_up(int fd)
{
    int const error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

/* Small writes are whole messages: nothing is to be waited for. */
static int socket_prepare_stream(int fd)
{
    int const on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return weir__socket_prepare(fd) == WEIR_OK ? fd : socket_give_up(fd);
}

int weir__socket_listen(weir_address *address, int backlog)
{
    socket_name name;
    socklen_t size = socket_name_of(&name, address);
    int const fd = socket(name.any.sa_family, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    int const on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (weir__socket_prepare(fd) != WEIR_OK || bind(fd, &name.any, size) != 0 ||
        listen(fd, backlog) != 0)
        return socket_give_up(fd);
    size = sizeof name;
    if (getsockname(fd, &name.any, &size) != 0)
        return socket_give_up(fd);
    *address = socket_address_of(&name);
    return fd;
}

int weir__socket_accept(int listener, weir_address *peer)
{
    socket_name name;
    socklen_t size = sizeof name;
    int fd;
    do
        fd = accept(listener, &name.any, &size);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -1;
    *peer = socket_address_of(&name);
    return socket_prepare_stream(fd);
}

static void socket_be_brief(int fd)
{
#if defined(TCP_QUICKACK)
    int const off = 0;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
#endif
    struct linger const reset = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

static int socket_connect(const weir_address *address, bool brief)
{
    socket_name name;
    socklen_t const size = socket_name_of(&name, address);
    int const fd = socket(name.any.sa_family, SOCK_STREAM, 0);
    if (fd < 0 || socket_prepare_stream(fd) < 0)
        return -1;
    if (brief)
        socket_be_brief(fd);
    /* Interrupted, it goes on all the same. */
    if (connect(fd, &name.any, size) != 0 && errno != EINPROGRESS && errno != EINTR)
        return socket_give_up(fd);
    return fd;
}

int weir__socket_connect(const weir_address *address)
{
    return socket_connect(address, false);
}

int weir__socket_connect_briefly(const weir_address *address)
{
    return socket_connect(address, true);
}

int weir__socket_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

ssize_t weir__socket_read(int fd, void *data, size_t size)
{
    ssize_t got;
    do
        got = recv(fd, data, size, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

ssize_t weir__socket_write(int fd, struct iovec *parts, int count)
{
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = parts;
    message.msg_iovlen = (size_t)count;
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

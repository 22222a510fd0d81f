/* Non-blocking TCP sockets. Functions that make one return it, or -1 and errno. */
#ifndef WEIR_SRC_SOCKET_H
#define WEIR_SRC_SOCKET_H

#include <weir/address.h>

#include <sys/types.h>
#include <sys/uio.h>

int weir__socket_prepare(int fd); /* Non-blocking, closed on exec. WEIR_OK or WEIR_ESYSTEM. */
/* Listens at *address, and says in it where. */
int weir__socket_listen(weir_address *address, int backlog);
int weir__socket_accept(int listener, weir_address *peer);
/* The connect goes on: wait for writable, then ask weir__socket_error(). */
int weir__socket_connect(const weir_address *address);
/*
 * The same for a look at the peer alone: closing it resets the connection, and the handshake's last
 * packet waits for the first data, or is the reset (HAProxy's way: a third fewer packets).
 */
int weir__socket_connect_briefly(const weir_address *address);
int weir__socket_error(int fd); /* errno of a connect() that went on; 0 = connected. */
/* Without SIGPIPE and EINTR; else as recv() and sendmsg(). */
ssize_t weir__socket_read(int fd, void *data, size_t size);
ssize_t weir__socket_write(int fd, struct iovec *parts, int count);

#endif

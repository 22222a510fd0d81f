/* HTTP peers on raw blocking sockets, independent of weir: a client connection, and an upstream
 * in a process of its own that can be killed and brought back on the same port. */
#ifndef WEIR_TEST_PEER_H
#define WEIR_TEST_PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Client ---- */

typedef struct peer_reply {
    int status;       /* 0: the connection was closed or reset before a whole reply. */
    char head[16384]; /* Status line and headers; to some readers, all. */
    char body[65536];
    size_t body_size;
} peer_reply;

static inline int peer_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval const patience = {.tv_sec = 20};
    int const one = 1;
    int const fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static inline bool peer_send(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t const sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* The value of a header of the reply into out; false if it is not there. */
static inline bool peer_header(const peer_reply *reply, const char *name, char *out, size_t room)
{
    size_t const size = strlen(name);
    for (const char *line = strstr(reply->head, "\r\n"); line != NULL && line[2] != '\0';
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, size) != 0 || line[2 + size] != ':')
            continue;
        const char *const value = line + 3 + size + strspn(line + 3 + size, " ");
        size_t const length = strcspn(value, "\r");
        (void)snprintf(out, room, "%.*s", (int)length, value);
        return true;
    }
    return false;
}

static inline bool peer_read_head(int fd, peer_reply *reply)
{
    size_t size = 0;
    while (size + 1 < sizeof reply->head) {
        if (recv(fd, reply->head + size, 1, 0) != 1)
            return false;
        reply->head[++size] = '\0';
        if (size >= 4 && memcmp(reply->head + size - 4, "\r\n\r\n", 4) == 0)
            return sscanf(reply->head, "HTTP/1.1 %d", &reply->status) == 1;
    }
    return false;
}

/* Bodies with a Content-Length alone, as all small ones here. */
static inline bool peer_read(int fd, peer_reply *reply)
{
    char length[32] = "0";
    reply->status = 0;
    reply->body_size = 0;
    if (!peer_read_head(fd, reply)) {
        reply->status = 0;
        return false;
    }
    (void)peer_header(reply, "Content-Length", length, sizeof length);
    size_t const size = strtoul(length, NULL, 10);
    while (reply->body_size < size && reply->body_size + 1 < sizeof reply->body) {
        ssize_t const got = recv(fd, reply->body + reply->body_size, size - reply->body_size, 0);
        if (got <= 0) {
            reply->status = 0;
            return false;
        }
        reply->body_size += (size_t)got;
    }
    reply->body[reply->body_size] = '\0';
    return true;
}

/* One request on a connection of its own. */
static inline int peer_ask(uint16_t port, const char *request, peer_reply *reply)
{
    reply->status = 0;
    int const fd = peer_connect(port);
    if (fd < 0)
        return 0;
    if (peer_send(fd, request, strlen(request)))
        (void)peer_read(fd, reply);
    (void)close(fd);
    return reply->status;
}

/* ---- Upstream ---- */

/* What an upstream does with a request; by its path's last letter it can be told otherwise:
 * ...k hangs up, ...t never answers, ...5 answers 500, ...e echoes the request's head. */
typedef struct peer_upstream {
    pid_t process;
    int listener; /* Stays open in the parent, so that the port stays taken. */
    uint16_t port;
} peer_upstream;

static inline bool peer_read_request(int fd, char *head, size_t room)
{
    size_t size = 0;
    while (size + 1 < room) {
        if (recv(fd, head + size, 1, 0) != 1)
            return false;
        head[++size] = '\0';
        if (size >= 4 && memcmp(head + size - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    return false;
}

static inline void *peer_serve(void *arg)
{
    int const fd = (int)(intptr_t)arg;
    static const int one = 1;
    char head[8192], reply[9000], path[256];
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (peer_read_request(fd, head, sizeof head)) {
        const char *body = "good\n";
        int status = 200;
        if (sscanf(head, "%*s %255s", path) != 1 || path[strlen(path) - 1] == 'k')
            break;
        char const last = path[strlen(path) - 1];
        if (last == 't')
            (void)pause();
        if (last == '5') {
            status = 500;
            body = "broken\n";
        }
        if (last == 'e')
            body = head;
        int const size =
            snprintf(reply, sizeof reply,
                     "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nX-Upstream: %d\r\n\r\n%s", status,
                     strlen(body), (int)getpid(), body);
        if (!peer_send(fd, reply, (size_t)size))
            break;
    }
    (void)close(fd);
    return NULL;
}

/* In the child: a thread a connection, until it is killed. */
static inline void peer_serve_all(int listener)
{
    (void)alarm(120); /* Never outlives the test by much. */
    for (;;) {
        pthread_t thread;
        int const fd = accept(listener, NULL, NULL);
        if (fd >= 0 && pthread_create(&thread, NULL, peer_serve, (void *)(intptr_t)fd) == 0)
            (void)pthread_detach(thread);
    }
}

static inline int peer_listen(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int const one = 1;
    int const fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 128) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static inline uint16_t peer_port(int fd)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    return getsockname(fd, (struct sockaddr *)&address, &size) == 0 ? ntohs(address.sin_port) : 0;
}

/* On upstream->port; 0 lets the kernel choose, and remembers. */
static inline bool peer_start(peer_upstream *upstream)
{
    int const listener = peer_listen(upstream->port);
    if (listener < 0)
        return false;
    upstream->port = peer_port(listener);
    upstream->process = fork();
    if (upstream->process == 0) {
        peer_serve_all(listener);
        _exit(0);
    }
    (void)close(listener);
    return upstream->process > 0;
}

static inline void peer_kill(peer_upstream *upstream)
{
    if (upstream->process <= 0)
        return;
    (void)kill(upstream->process, SIGKILL);
    (void)waitpid(upstream->process, NULL, 0);
    upstream->process = 0;
}

#endif

/*
 * One HTTP connection, seen from either end: a socket, a parser of what comes in, a queue of what
 * goes out, a deadline. The role on top decides what it all means.
 *
 * Writes are queued and flushed once, at the end of the loop's iteration: so a head and a short
 * body, or the answers to pipelined requests, leave in one system call. Long ones go at once.
 */
#ifndef WEIR_SRC_HTTP_CONN_H
#define WEIR_SRC_HTTP_CONN_H

#include "net/http_bytes.h"
#include "net/http_parser.h"
#include "net/loop.h"

typedef struct weir__http_conn weir__http_conn;

/* What the role is told. Each may close the connection. */
typedef struct weir__http_role {
    void (*connected)(weir__http_conn *conn, int error); /* After ..._connecting. */
    void (*parsed)(weir__http_conn *conn, weir__http_event event);
    void (*ended)(weir__http_conn *conn, int error);      /* errno, or 0: the peer's end. */
    void (*unwritable)(weir__http_conn *conn, int error); /* The peer takes no more. */
    void (*drained)(weir__http_conn *conn);               /* It was full, and is half empty. */
    void (*due)(weir__http_conn *conn);                   /* deadline_ns has come. */
    void (*settle)(weir__http_conn *conn); /* After all of the above: sets deadline_ns. */
    void (*release)(weir__http_conn *conn);
} weir__http_role;

struct weir__http_conn {
    const weir__http_role *role;
    weir_loop *loop;
    const weir_env *env; /* The loop's. */
    weir_loop_watch *watch;
    weir_loop_timer *timer;
    weir__loop_deferred deferred;
    weir__http_parser parser;
    weir__http_bytes rest; /* Read, and not parsed yet. */
    weir__http_bytes out;  /* Written, and not sent yet. */
    uint64_t sent;         /* Bytes that the socket took; the role resets it. */
    uint64_t deadline_ns;  /* The timer is set no later; moving it out costs nothing. */
    uint64_t timer_ns;
    uint64_t read_ns, write_ns; /* When something moved last. */
    unsigned events;            /* What the watch waits for. */
    unsigned busy;              /* Calls into the role that are under way. */
    uint32_t high_water;
    int fd;
    int write_error; /* errno that is yet to be told to unwritable(). */
    bool connecting;
    bool held;       /* Set by the role: what comes is kept, not parsed. */
    bool paused;     /* Set by the role for its user: nothing is read or parsed. */
    bool eof;        /* Nothing more is to be read. */
    bool discarding; /* What comes is thrown away. */
    bool full;       /* Was over high_water, and has not been told drained() since. */
    bool blocked;    /* The socket takes nothing: waits for writable. */
    bool mute;       /* The peer takes no more. */
    bool closed;
    bool doomed; /* To be released once it is not busy. */
};

/* Takes fd, in any case; -1, while connecting: errno is told to unwritable(), a moment later.
   WEIR_OK, WEIR_ENOMEM or WEIR_ESYSTEM: it is closed. */
int weir__http_conn_open(weir__http_conn *conn, weir_loop *loop, const weir__http_role *role,
                         int fd, bool connecting);
/* Likewise, in place of the socket it had; what is queued goes over the new one. */
int weir__http_conn_attach(weir__http_conn *conn, int fd, bool connecting);
void weir__http_conn_close(weir__http_conn *conn); /* Once: the socket; heads stay until freed. */
void weir__http_conn_free(weir__http_conn *conn);  /* What it holds, once closed. */
void weir__http_conn_shutdown(weir__http_conn *conn); /* Sends no more. */

/* Around every call that may end in its release. */
void weir__http_conn_enter(weir__http_conn *conn);
void weir__http_conn_leave(weir__http_conn *conn);
void weir__http_conn_doom(weir__http_conn *conn);

/* Takes all, or nothing: WEIR_OK, WEIR_ENOMEM, WEIR_ECLOSED. */
int weir__http_conn_write(weir__http_conn *conn, const weir_http_slice *parts, int count);
/* After the role wrote into `out` itself, or changed what is to be read: soon. */
void weir__http_conn_touch(weir__http_conn *conn);
void weir__http_conn_resume(weir__http_conn *conn);
/* The parts of a body as they go out: chunked, that is three. */
int weir__http_conn_write_body(weir__http_conn *conn, bool chunked, const void *data, size_t size);

static inline bool weir__http_conn_full(const weir__http_conn *conn)
{
    return conn->out.size >= conn->high_water;
}

#endif

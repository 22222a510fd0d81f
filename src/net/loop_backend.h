/* How a loop waits: one of two backends behind the same few functions. */
#ifndef WEIR_SRC_LOOP_BACKEND_H
#define WEIR_SRC_LOOP_BACKEND_H

#include <weir/loop.h>

#include "base/env.h"

struct weir_loop_watch {
    weir_loop *loop;
    struct weir_loop_watch *prev, *next; /* All watches of the loop. */
    weir_loop_watch_fn fn;
    void *user;
    int fd;
    unsigned events; /* Waited for. */
    size_t place;    /* poll: its index. */
};

typedef struct weir__loop_ready {
    weir_loop_watch *watch; /* NULL: destroyed since. */
    unsigned events;
} weir__loop_ready;

typedef struct weir__loop_backend {
    int fd;              /* To nest by, or -1. */
    const weir_env *env; /* Borrowed from the loop. */
    struct pollfd *polls;
    weir_loop_watch **watches; /* Of equal index. */
    size_t count, capacity;
    size_t cursor; /* poll: where the next scan begins. */
} weir__loop_backend;

typedef struct weir__loop_backend_ops {
    int (*open)(weir__loop_backend *backend);
    void (*close)(weir__loop_backend *backend);
    /* From `old_events` to watch->events; from or to 0 is out of or into the set. */
    int (*update)(weir__loop_backend *backend, weir_loop_watch *watch, unsigned old_events);
    /* At most `room` that are ready, waiting timeout_ms (-1 = for ever); -1 and errno. */
    int (*wait)(weir__loop_backend *backend, weir__loop_ready *ready, int room, int timeout_ms);
    /* A pair of descriptors to wake the loop by: read end, write end; may be the same. */
    int (*waker)(int ends[2]);
} weir__loop_backend_ops;

extern const weir__loop_backend_ops weir__loop_poll;
#if defined(__linux__)
extern const weir__loop_backend_ops weir__loop_epoll;
#endif

#endif

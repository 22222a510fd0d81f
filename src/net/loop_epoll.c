#include "net/loop_backend.h"

#if defined(__linux__)

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WEIR__EPOLL_BATCH 64

static int loop_epoll_open(weir__loop_backend *backend)
{
    backend->fd = epoll_create1(EPOLL_CLOEXEC);
    return backend->fd >= 0 ? WEIR_OK : WEIR_ESYSTEM;
}

static void loop_epoll_close(weir__loop_backend *backend)
{
    if (backend->fd >= 0)
        (void)close(backend->fd);
}

static int loop_epoll_update(weir__loop_backend *backend, weir_loop_watch *watch,
                             unsigned old_events)
{
    struct epoll_event event = {.data.ptr = watch};
    if (watch->events & WEIR_LOOP_READABLE)
        event.events |= EPOLLIN;
    if (watch->events & WEIR_LOOP_WRITABLE)
        event.events |= EPOLLOUT;
    int const op = old_events == 0      ? EPOLL_CTL_ADD
                   : watch->events == 0 ? EPOLL_CTL_DEL
                                        : EPOLL_CTL_MOD;
    return epoll_ctl(backend->fd, op, watch->fd, &event) == 0 ? WEIR_OK : WEIR_ESYSTEM;
}

static int loop_epoll_wait(weir__loop_backend *backend, weir__loop_ready *ready, int room,
                           int timeout_ms)
{
    struct epoll_event events[WEIR__EPOLL_BATCH];
    int const most = room < WEIR__EPOLL_BATCH ? room : WEIR__EPOLL_BATCH;
    int const count = epoll_wait(backend->fd, events, most, timeout_ms);
    for (int i = 0; i < count; i++) {
        weir_loop_watch *const watch = events[i].data.ptr;
        unsigned told = 0;
        if (events[i].events & (EPOLLERR | EPOLLHUP))
            told = watch->events | WEIR_LOOP_HANGUP;
        if (events[i].events & EPOLLIN)
            told |= WEIR_LOOP_READABLE;
        if (events[i].events & EPOLLOUT)
            told |= WEIR_LOOP_WRITABLE;
        ready[i] = (weir__loop_ready){watch, told};
    }
    return count;
}

static int loop_epoll_waker(int ends[2])
{
    ends[0] = ends[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return ends[0] >= 0 ? WEIR_OK : WEIR_ESYSTEM;
}

const weir__loop_backend_ops weir__loop_epoll = {loop_epoll_open, loop_epoll_close,
                                                 loop_epoll_update, loop_epoll_wait,
                                                 loop_epoll_waker};

#endif

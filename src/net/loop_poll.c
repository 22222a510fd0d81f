#include "net/loop_backend.h"

#include "net/socket.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define WEIR__POLL_FIRST_CAPACITY 16

static int loop_poll_open(weir__loop_backend *backend)
{
    backend->fd = -1;
    return WEIR_OK;
}

static void loop_poll_close(weir__loop_backend *backend)
{
    weir__free(backend->env, backend->polls, backend->capacity * sizeof *backend->polls);
    weir__free(backend->env, backend->watches, backend->capacity * sizeof(weir_loop_watch *));
}

static int loop_poll_grow(weir__loop_backend *backend)
{
    size_t const capacity =
        backend->capacity > 0 ? backend->capacity * 2 : WEIR__POLL_FIRST_CAPACITY;
    struct pollfd *const polls = weir__alloc(backend->env, capacity * sizeof *polls);
    weir_loop_watch **const watches =
        weir__alloc(backend->env, capacity * sizeof(weir_loop_watch *));
    if (polls == NULL || watches == NULL) {
        weir__free(backend->env, polls, capacity * sizeof *polls);
        weir__free(backend->env, watches, capacity * sizeof(weir_loop_watch *));
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < backend->count; i++) {
        polls[i] = backend->polls[i];
        watches[i] = backend->watches[i];
    }
    loop_poll_close(backend);
    backend->polls = polls;
    backend->watches = watches;
    backend->capacity = capacity;
    return WEIR_OK;
}

static int loop_poll_add(weir__loop_backend *backend, weir_loop_watch *watch)
{
    if (backend->count == backend->capacity && loop_poll_grow(backend) != WEIR_OK)
        return WEIR_ENOMEM;
    watch->place = backend->count++;
    backend->watches[watch->place] = watch;
    backend->polls[watch->place] = (struct pollfd){.fd = watch->fd};
    return WEIR_OK;
}

static void loop_poll_remove(weir__loop_backend *backend, const weir_loop_watch *watch)
{
    size_t const last = --backend->count;
    backend->polls[watch->place] = backend->polls[last];
    backend->watches[watch->place] = backend->watches[last];
    backend->watches[watch->place]->place = watch->place;
}

static int loop_poll_update(weir__loop_backend *backend, weir_loop_watch *watch,
                            unsigned old_events)
{
    if (watch->events == 0) {
        loop_poll_remove(backend, watch);
        return WEIR_OK;
    }
    if (old_events == 0 && loop_poll_add(backend, watch) != WEIR_OK)
        return WEIR_ENOMEM;
    unsigned const wanted = (watch->events & WEIR_LOOP_READABLE ? POLLIN : 0U) |
                            (watch->events & WEIR_LOOP_WRITABLE ? POLLOUT : 0U);
    backend->polls[watch->place].events = (short)wanted;
    return WEIR_OK;
}

/* Goes on where the last wait left off, so that a full batch starves nobody. */
static int loop_poll_wait(weir__loop_backend *backend, weir__loop_ready *ready, int room,
                          int timeout_ms)
{
    int left = poll(backend->polls, (nfds_t)backend->count, timeout_ms);
    if (left <= 0)
        return left;
    int count = 0;
    for (size_t i = 0; i < backend->count && count < room && left > 0; i++) {
        size_t const at = (backend->cursor + i) % backend->count;
        int const got = backend->polls[at].revents;
        weir_loop_watch *const watch = backend->watches[at];
        if (got == 0)
            continue;
        left--;
        unsigned told = 0;
        if (got & (POLLERR | POLLHUP | POLLNVAL))
            told = watch->events | WEIR_LOOP_HANGUP;
        if (got & POLLIN)
            told |= WEIR_LOOP_READABLE;
        if (got & POLLOUT)
            told |= WEIR_LOOP_WRITABLE;
        ready[count++] = (weir__loop_ready){watch, told};
        if (count == room)
            backend->cursor = at + 1;
    }
    return count;
}

static int loop_poll_waker(int ends[2])
{
    if (pipe(ends) != 0)
        return WEIR_ESYSTEM;
    if (weir__socket_prepare(ends[0]) == WEIR_OK && weir__socket_prepare(ends[1]) == WEIR_OK)
        return WEIR_OK;
    (void)close(ends[0]);
    (void)close(ends[1]);
    return WEIR_ESYSTEM;
}

const weir__loop_backend_ops weir__loop_poll = {loop_poll_open, loop_poll_close, loop_poll_update,
                                                loop_poll_wait, loop_poll_waker};

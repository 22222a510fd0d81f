#include "net/waker.h"

#include "net/socket.h"

#include <unistd.h>

static void waker_on_readable(unsigned events, void *user)
{
    weir__waker *const waker = user;
    char bytes[64];
    (void)events;
    while (read(waker->ends[0], bytes, sizeof bytes) == (ssize_t)sizeof bytes)
        continue;
    waker->fn(waker->user);
}

int weir__waker_open(weir__waker *waker, weir_loop *loop, void (*fn)(void *user), void *user)
{
    *waker = (weir__waker){.ends = {-1, -1}, .fn = fn, .user = user};
    if (pipe(waker->ends) != 0) {
        waker->ends[0] = waker->ends[1] = -1;
        return WEIR_ESYSTEM;
    }
    int result = weir__socket_prepare(waker->ends[0]);
    if (result == WEIR_OK)
        result = weir__socket_prepare(waker->ends[1]);
    if (result == WEIR_OK)
        result = weir_loop_watch_create(&waker->watch, loop, waker->ends[0], WEIR_LOOP_READABLE,
                                        waker_on_readable, waker);
    if (result != WEIR_OK)
        weir__waker_close(waker);
    return result;
}

void weir__waker_close(weir__waker *waker)
{
    weir_loop_watch_destroy(waker->watch);
    waker->watch = NULL;
    for (int i = 0; i < 2; i++)
        if (waker->ends[i] >= 0)
            (void)close(waker->ends[i]);
    waker->ends[0] = waker->ends[1] = -1;
}

void weir__waker_wake(const weir__waker *waker)
{
    ssize_t const written = write(waker->ends[1], "", 1); /* A full pipe wakes as well. */
    (void)written;
}

/* How any thread, at any time, has something done on the thread of a loop: once, however often it
 * was asked for before it is done. */
#ifndef WEIR_SRC_NET_WAKER_H
#define WEIR_SRC_NET_WAKER_H

#include <weir/loop.h>

typedef struct weir__waker {
    weir_loop_watch *watch;
    int ends[2]; /* Of a pipe. */
    void (*fn)(void *user);
    void *user;
} weir__waker;

/* WEIR_OK, WEIR_ENOMEM or WEIR_ESYSTEM; on an error, it is closed. */
int weir__waker_open(weir__waker *waker, weir_loop *loop, void (*fn)(void *user), void *user);
void weir__waker_close(weir__waker *waker); /* On the loop's thread; when nobody asks any more. */
void weir__waker_wake(const weir__waker *waker);

#endif

/*
 * What a module does in the child of a fork(), where the threads of its parent are no more, and
 * what they were in the middle of is left as it was.
 */
#ifndef WEIR_SRC_FORK_H
#define WEIR_SRC_FORK_H

#include "base/env.h"

/* Private to fork.c but for the first two. */
typedef struct weir__fork_watch {
    void (*in_child)(void *self); /* On the one thread there is. */
    void *self;
    struct weir__fork_watch *next, *before;
} weir__fork_watch;

int weir__fork_watch_add(weir__fork_watch *watch); /* WEIR_OK or WEIR_ENOMEM. */
void weir__fork_watch_remove(weir__fork_watch *watch);

#endif

/*
 * What a module does in the child of a fork(), where the threads of its parent are no more, and
 * what they were in the middle of is left as it was; and, to keep that whole, before, and after in
 * the parent. Nobody may add or remove a watch with a lock held that `prepare` takes.
 */
#ifndef WEIR_SRC_FORK_H
#define WEIR_SRC_FORK_H

#include "base/env.h"

/* Private to fork.c but for the first four. */
typedef struct weir__fork_watch {
    void (*in_child)(void *self);  /* On the one thread there is. */
    void (*prepare)(void *self);   /* May be NULL, as the next. */
    void (*in_parent)(void *self); /* Undoes what that did. */
    void *self;
    struct weir__fork_watch *next, *before;
} weir__fork_watch;

int weir__fork_watch_add(weir__fork_watch *watch); /* WEIR_OK or WEIR_ENOMEM. */
void weir__fork_watch_remove(weir__fork_watch *watch);

#endif

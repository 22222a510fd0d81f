/*
 * Events made under a module's lock and told outside it, in order, by one thread at a time.
 * Whoever finds the outbox not empty and nobody telling becomes the teller. A callback may call
 * the module again: what that adds is told after it returns. When tellers fall `capacity` events
 * behind, the newest are dropped and counted.
 */
#ifndef WEIR_SRC_OUTBOX_H
#define WEIR_SRC_OUTBOX_H

#include "base/ring.h"

#include <pthread.h>

typedef struct weir__outbox {
    weir__ring ring; /* Guarded by the module's lock, as all here. */
    bool telling;
    uint64_t dropped; /* Events lost since the outbox was made. */
} weir__outbox;

int weir__outbox_init(weir__outbox *outbox, const weir_env *env, size_t event_size,
                      size_t capacity); /* WEIR_OK or WEIR_ENOMEM. */
void weir__outbox_free(weir__outbox *outbox, const weir_env *env);
void weir__outbox_add(weir__outbox *outbox, const void *event); /* Lock held. */
/*
 * Lock held on entry, not on return. Calls tell(event, user) for each event there is; `event` is
 * room for one, given by the caller.
 */
void weir__outbox_unlock(weir__outbox *outbox, pthread_mutex_t *lock, void *event,
                         void (*tell)(const void *event, void *user), void *user);

#endif

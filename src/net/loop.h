/* What the rooms on top of the loop share with it beyond its public header. */
#ifndef WEIR_SRC_NET_LOOP_H
#define WEIR_SRC_NET_LOOP_H

#include <weir/loop.h>

#include "base/env.h"

/* Called once, at the end of the iteration or before the next wait; embedded in its owner. */
typedef struct weir__loop_deferred {
    struct weir__loop_deferred *prev, *next; /* NULL: not pending. */
    void (*fn)(struct weir__loop_deferred *self);
} weir__loop_deferred;

/* `fn` is set. No-op if pending. May be called from a deferred call: then it is in the next turn
   of the same iteration. */
void weir__loop_defer(weir_loop *loop, weir__loop_deferred *deferred);
void weir__loop_undefer(weir__loop_deferred *deferred); /* No-op if not pending. */

const weir_env *weir__loop_env(const weir_loop *loop); /* Lives as long as the loop. */

/* One buffer for whoever reads now: valid until the callback returns. */
#define WEIR__LOOP_SCRATCH_SIZE 65536
char *weir__loop_scratch(weir_loop *loop);

#endif

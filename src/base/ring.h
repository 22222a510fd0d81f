/* Ring buffer of equal items, first in first out, of a fixed capacity. Not synchronized. */
#ifndef WEIR_SRC_RING_H
#define WEIR_SRC_RING_H

#include "base/env.h"

typedef struct weir__ring {
    unsigned char *items;
    size_t item_size, capacity;
    size_t head, count; /* The oldest item, and how many there are. */
} weir__ring;

/* capacity >= 1, items of any size; WEIR_OK or WEIR_ENOMEM. */
int weir__ring_init(weir__ring *ring, const weir_env *env, size_t item_size, size_t capacity);
void weir__ring_free(weir__ring *ring, const weir_env *env);
bool weir__ring_push(weir__ring *ring, const void *item); /* False when full. */
bool weir__ring_pop(weir__ring *ring, void *item);        /* False when empty. */

#endif

#include "base/ring.h"

#include <string.h>

int weir__ring_init(weir__ring *ring, const weir_env *env, size_t item_size, size_t capacity)
{
    *ring = (weir__ring){.item_size = item_size, .capacity = capacity};
    if (capacity > SIZE_MAX / item_size)
        return WEIR_ENOMEM;
    ring->items = weir__alloc(env, item_size * capacity);
    return ring->items != NULL ? WEIR_OK : WEIR_ENOMEM;
}

void weir__ring_free(weir__ring *ring, const weir_env *env)
{
    weir__free(env, ring->items, ring->item_size * ring->capacity);
    *ring = (weir__ring){.items = NULL};
}

bool weir__ring_push(weir__ring *ring, const void *item)
{
    if (ring->count == ring->capacity)
        return false;
    size_t const to_end = ring->capacity - ring->head;
    size_t const at = ring->count < to_end ? ring->head + ring->count : ring->count - to_end;
    memcpy(ring->items + at * ring->item_size, item, ring->item_size);
    ring->count++;
    return true;
}

bool weir__ring_pop(weir__ring *ring, void *item)
{
    if (ring->count == 0)
        return false;
    memcpy(item, ring->items + ring->head * ring->item_size, ring->item_size);
    ring->head = ring->head + 1 == ring->capacity ? 0 : ring->head + 1;
    ring->count--;
    return true;
}

#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

/*
 * Items lie close together, many to a page: a heartbeat touches one at random, and with a hundred
 * thousand of them strewn among all else it would wait for the page tables, too. For the same
 * reason each begins a cache line.
 */

#define POOL_GRAIN     WEIR__CACHE_LINE
#define POOL_MIN_CHUNK 4096
#define POOL_MAX_CHUNK ((size_t)1 << 20)

struct weir__reg_chunk {
    weir__reg_chunk *next;
    size_t size; /* With this. */
};

static size_t pool_grains(size_t size)
{
    return (size + POOL_GRAIN - 1) / POOL_GRAIN;
}

static void pool_put(weir__reg_pool *pool, void *memory, size_t grains)
{
    weir__reg_hole *const hole = memory;
    hole->next = pool->free[grains];
    pool->free[grains] = hole;
}

/* A quarter of what there is already, so that no more than that lies idle. */
static bool pool_grow(weir_registry *registry)
{
    weir__reg_pool *const pool = &registry->pool;
    size_t size = pool->total / 4;
    size = size < POOL_MIN_CHUNK ? POOL_MIN_CHUNK : size > POOL_MAX_CHUNK ? POOL_MAX_CHUNK : size;
    weir__reg_chunk *const chunk = weir__alloc(&registry->env, size);
    if (chunk == NULL)
        return false;
    if (pool->left >= POOL_GRAIN) /* The rest is smaller than an item: it fits in. */
        pool_put(pool, pool->at, pool->left / POOL_GRAIN);
    *chunk = (weir__reg_chunk){pool->chunks, size};
    pool->chunks = chunk;
    size_t const odd = (size_t)((uintptr_t)(chunk + 1) % POOL_GRAIN);
    size_t const begin = sizeof *chunk + (odd > 0 ? POOL_GRAIN - odd : 0);
    pool->at = (char *)chunk + begin;
    pool->left = size - begin;
    pool->total += size;
    registry->bytes += size;
    return true;
}

void *weir__reg_pool_take(weir_registry *registry, size_t size)
{
    weir__reg_pool *const pool = &registry->pool;
    size_t const grains = pool_grains(size);
    size_t const whole = grains * POOL_GRAIN;
    weir__reg_hole *const hole = pool->free[grains];
    void *memory = hole;
    if (hole != NULL) {
        pool->free[grains] = hole->next;
    } else {
        if (pool->left < whole && !pool_grow(registry))
            return NULL;
        memory = pool->at;
        pool->at += whole;
        pool->left -= whole;
    }
    memset(memory, 0, whole);
    return memory;
}

void weir__reg_pool_give(weir_registry *registry, void *memory, size_t size)
{
    pool_put(&registry->pool, memory, pool_grains(size));
}

void weir__reg_pool_free(weir_registry *registry)
{
    for (weir__reg_chunk *chunk; (chunk = registry->pool.chunks) != NULL;) {
        registry->pool.chunks = chunk->next;
        weir__free(&registry->env, chunk, chunk->size);
    }
}

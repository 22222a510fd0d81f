#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

/*
 * What heartbeats and lookups find lies close together, many to a page: with a hundred thousand
 * instances strewn among all else they would wait for the page tables, too. For the same reason
 * each begins a cache line. A place, in fewer bits than a pointer, keeps the directories small.
 */

#define POOL_LINE       WEIR__CACHE_LINE
#define POOL_MIN_CHUNK  4096
#define POOL_MAX_CHUNK  ((size_t)POOL_LINE << WEIR__REG_LINE_BITS)
#define POOL_MAX_PIECE  ((size_t)WEIR__REG_POOL_LINES * POOL_LINE)
#define POOL_MAX_COUNT  ((UINT32_C(1) << (WEIR__REG_PLACE_BITS - WEIR__REG_LINE_BITS)) - 1)
#define POOL_FIRST_ROOM 8 /* For numbers of chunks. */

_Static_assert(sizeof(weir__reg_item) + WEIR__REG_MAX_KEY + 1 <= POOL_MAX_PIECE,
               "an item with the longest key fits");
_Static_assert(sizeof(weir__reg_service) + WEIR_REGISTRY_MAX_NAME + 1 <= POOL_MAX_PIECE,
               "a service with the longest name fits");

struct weir__reg_chunk {
    weir__reg_chunk *next;
    size_t size; /* With this. */
};

static size_t pool_lines(size_t size)
{
    return (size + POOL_LINE - 1) / POOL_LINE;
}

static void pool_put(weir__reg_pool *pool, void *memory, size_t lines, uint32_t place)
{
    weir__reg_hole *const hole = memory;
    *hole = (weir__reg_hole){pool->free[lines], place};
    pool->free[lines] = hole;
}

/* Room for the next number; readers may still look at where there was too little. */
static bool pool_reserve(weir_registry *registry)
{
    weir__reg_pool *const pool = &registry->pool;
    weir__reg_chunks *const old = atomic_load_explicit(&pool->chunks, memory_order_relaxed);
    if (old != NULL && pool->count + 1 < old->capacity)
        return true;
    size_t const capacity = old != NULL ? 2 * old->capacity : POOL_FIRST_ROOM;
    weir__reg_chunks *const chunks =
        pool->count < POOL_MAX_COUNT
            ? weir__reg_alloc(registry, sizeof *chunks + capacity * sizeof chunks->lines[0])
            : NULL;
    if (chunks == NULL)
        return false;
    chunks->capacity = capacity;
    if (old != NULL)
        memcpy(chunks->lines, old->lines, old->capacity * sizeof old->lines[0]);
    atomic_store_explicit(&pool->chunks, chunks, memory_order_release);
    if (old != NULL)
        weir__reg_waste_add(registry, old);
    return true;
}

/* A quarter of what there is already, so that no more than that lies idle. */
static bool pool_grow(weir_registry *registry)
{
    weir__reg_pool *const pool = &registry->pool;
    size_t size = pool->total / 4;
    size = size < POOL_MIN_CHUNK ? POOL_MIN_CHUNK : size > POOL_MAX_CHUNK ? POOL_MAX_CHUNK : size;
    weir__reg_chunk *const chunk =
        pool_reserve(registry) ? weir__alloc(&registry->env, size) : NULL;
    if (chunk == NULL)
        return false;
    if (pool->left >= POOL_LINE) /* The rest is smaller than the largest piece: it fits in. */
        pool_put(pool, pool->at, pool->left / POOL_LINE, pool->place);
    *chunk = (weir__reg_chunk){pool->newest, size};
    size_t const odd = (size_t)((uintptr_t)(chunk + 1) % POOL_LINE);
    size_t const begin = sizeof *chunk + (odd > 0 ? POOL_LINE - odd : 0);
    pool->newest = chunk;
    pool->count++;
    pool->at = (char *)chunk + begin;
    pool->place = pool->count << WEIR__REG_LINE_BITS;
    pool->left = size - begin;
    pool->total += size;
    atomic_load_explicit(&pool->chunks, memory_order_relaxed)->lines[pool->count] = pool->at;
    registry->bytes += size;
    return true;
}

void *weir__reg_pool_take(weir_registry *registry, size_t size, uint32_t *place)
{
    weir__reg_pool *const pool = &registry->pool;
    size_t const lines = pool_lines(size), whole = lines * POOL_LINE;
    weir__reg_hole *const hole = pool->free[lines];
    void *memory = hole;
    if (hole != NULL) {
        pool->free[lines] = hole->next;
        *place = hole->place;
    } else {
        if (pool->left < whole && !pool_grow(registry))
            return NULL;
        memory = pool->at;
        *place = pool->place;
        pool->at += whole;
        pool->place += (uint32_t)lines;
        pool->left -= whole;
    }
    memset(memory, 0, whole);
    return memory;
}

void weir__reg_pool_give(weir_registry *registry, void *memory, size_t size, uint32_t place)
{
    pool_put(&registry->pool, memory, pool_lines(size), place);
}

void weir__reg_pool_free(weir_registry *registry)
{
    weir__reg_pool *const pool = &registry->pool;
    weir__reg_chunks *const chunks = atomic_load_explicit(&pool->chunks, memory_order_relaxed);
    for (weir__reg_chunk *chunk; (chunk = pool->newest) != NULL;) {
        pool->newest = chunk->next;
        weir__free(&registry->env, chunk, chunk->size);
    }
    if (chunks != NULL)
        weir__reg_free(registry, chunks);
}

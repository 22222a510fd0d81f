#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

#define DIRECTORY_FIRST_CAPACITY 64
#define DIRECTORY_PLACE          ((UINT32_C(1) << WEIR__REG_PLACE_BITS) - 1)

/* Stands where a node was, so that a search goes on past it: a slot without a place. */
#define DIRECTORY_GONE (UINT32_C(1) << WEIR__REG_PLACE_BITS)

/* The bits of a hash that a slot has; where a search begins, the others say. */
static uint32_t directory_tag(uint64_t hash)
{
    return (uint32_t)(hash >> (32 + WEIR__REG_PLACE_BITS)) << WEIR__REG_PLACE_BITS;
}

static weir__reg_node *directory_at(const weir__reg_directory *directory, uint32_t place)
{
    char *const piece = weir__reg_pool_at(directory->pool, place);
    return (weir__reg_node *)(void *)(piece + directory->node_at);
}

uint64_t weir__reg_hash(weir__reg_directory *directory, const char *key, size_t size)
{
    uint64_t const hash = weir__hash(directory->seed, key, size);
    weir__reg_table *const table = atomic_load_explicit(&directory->table, memory_order_acquire);
    if (table != NULL)
        WEIR__PREFETCH_READ(&table->slots[(size_t)hash & table->mask]);
    return hash;
}

void *weir__reg_find_hashed(weir__reg_directory *directory, uint64_t hash, const char *key,
                            size_t size)
{
    weir__reg_table *const table = atomic_load_explicit(&directory->table, memory_order_acquire);
    if (table == NULL)
        return NULL;
    uint32_t const tag = directory_tag(hash);
    for (size_t i = (size_t)hash & table->mask;; i = (i + 1) & table->mask) {
        uint32_t const slot = atomic_load_explicit(&table->slots[i], memory_order_acquire);
        uint32_t const place = slot ^ tag; /* If the bits of the hash are the same. */
        if (slot == 0)
            return NULL;
        if (place > DIRECTORY_PLACE || place == 0)
            continue;
        weir__reg_node *const node = directory_at(directory, place);
        WEIR__PREFETCH((char *)node + WEIR__CACHE_LINE);
        if (node->key_size == size && memcmp(weir__reg_node_key(node), key, size) == 0)
            return node;
    }
}

void *weir__reg_find(weir__reg_directory *directory, const char *key, size_t size)
{
    return weir__reg_find_hashed(directory, weir__reg_hash(directory, key, size), key, size);
}

static void directory_put(weir__reg_table *table, uint32_t hash, uint32_t slot)
{
    size_t i = (size_t)hash & table->mask;
    while (atomic_load_explicit(&table->slots[i], memory_order_relaxed) != 0)
        i = (i + 1) & table->mask;
    table->hashes[i] = hash;
    atomic_store_explicit(&table->slots[i], slot, memory_order_release);
}

static uint64_t directory_hash(const weir__reg_directory *directory, const weir__reg_node *node)
{
    return weir__hash(directory->seed, weir__reg_node_key(node), node->key_size);
}

/* A new table without those that are gone, at most half full. */
static int directory_grow(weir_registry *registry, weir__reg_directory *directory)
{
    weir__reg_table *const old = atomic_load_explicit(&directory->table, memory_order_relaxed);
    size_t capacity = DIRECTORY_FIRST_CAPACITY;
    while (capacity < (directory->count + 1) * 2)
        capacity *= 2;
    weir__reg_table *const table =
        weir__reg_alloc(registry, sizeof *table + capacity * (sizeof table->slots[0] +
                                                              sizeof table->hashes[0]));
    if (table == NULL)
        return WEIR_ENOMEM;
    table->mask = capacity - 1;
    table->hashes =
        (uint32_t *)(void *)((char *)table + sizeof *table + capacity * sizeof table->slots[0]);
    for (size_t i = 0; old != NULL && i <= old->mask; i++) {
        uint32_t const slot = atomic_load_explicit(&old->slots[i], memory_order_relaxed);
        if ((slot & DIRECTORY_PLACE) != 0)
            directory_put(table, old->hashes[i], slot);
    }
    directory->used = directory->count;
    atomic_store_explicit(&directory->table, table, memory_order_release);
    if (old != NULL)
        weir__reg_waste_add(registry, old);
    return WEIR_OK;
}

int weir__reg_enter(weir_registry *registry, weir__reg_directory *directory, weir__reg_node *node)
{
    weir__reg_table *const table = atomic_load_explicit(&directory->table, memory_order_relaxed);
    if ((table == NULL || directory->used + 1 > (table->mask + 1) / 8 * 7) &&
        directory_grow(registry, directory))
        return WEIR_ENOMEM;
    uint64_t const hash = directory_hash(directory, node);
    directory_put(atomic_load_explicit(&directory->table, memory_order_relaxed), (uint32_t)hash,
                  directory_tag(hash) | node->place);
    directory->used++;
    directory->count++;
    return WEIR_OK;
}

void weir__reg_remove(weir__reg_directory *directory, weir__reg_node *node)
{
    weir__reg_table *const table = atomic_load_explicit(&directory->table, memory_order_relaxed);
    uint64_t const hash = directory_hash(directory, node);
    uint32_t const slot = directory_tag(hash) | node->place;
    size_t i = (size_t)hash & table->mask;
    while (atomic_load_explicit(&table->slots[i], memory_order_relaxed) != slot)
        i = (i + 1) & table->mask;
    atomic_store_explicit(&table->slots[i], DIRECTORY_GONE, memory_order_release);
    directory->count--;
}

void *weir__reg_next(const weir__reg_directory *directory, weir__reg_table *table, size_t *cursor)
{
    while (*cursor <= table->mask) {
        uint32_t const slot =
            atomic_load_explicit(&table->slots[(*cursor)++], memory_order_acquire);
        if ((slot & DIRECTORY_PLACE) != 0)
            return directory_at(directory, slot & DIRECTORY_PLACE);
    }
    return NULL;
}

/* ---- Waste ---- */

void *weir__reg_alloc(weir_registry *registry, size_t size)
{
    weir__reg_waste *const waste = size <= UINT32_MAX ? weir__alloc(&registry->env, size) : NULL;
    if (waste == NULL)
        return NULL;
    waste->size = (uint32_t)size;
    registry->bytes += size;
    return waste;
}

void weir__reg_free(weir_registry *registry, void *memory)
{
    weir__reg_waste *const waste = memory;
    void *const whole = (char *)memory - waste->before;
    if (waste->pooled) {
        weir__reg_pool_give(registry, whole, waste->size, ((weir__reg_node *)memory)->place);
        return;
    }
    registry->bytes -= waste->size;
    weir__free(&registry->env, whole, waste->size);
}

static void directory_append(weir__reg_wastes *list, weir__reg_waste *waste)
{
    waste->next = NULL;
    *(list->first != NULL ? list->last : &list->first) = waste;
    list->last = &waste->next;
}

void weir__reg_waste_add(weir_registry *registry, void *waste)
{
    directory_append(&registry->pending, waste);
}

void weir__reg_release(weir_registry *registry, weir__reg_record *record)
{
    if (record != NULL && --record->refs == 0)
        weir__reg_waste_add(registry, record);
}

void weir__reg_sweep(weir_registry *registry)
{
    uint64_t const mark = registry->pending.first != NULL ? weir__grace_mark() : 0;
    for (weir__reg_waste *waste; (waste = registry->pending.first) != NULL;) {
        registry->pending.first = waste->next;
        waste->mark = mark;
        directory_append(&registry->limbo, waste);
    }
    if (registry->limbo.first == NULL)
        return;
    uint64_t const horizon = weir__grace_horizon();
    for (weir__reg_waste *waste;
         (waste = registry->limbo.first) != NULL && waste->mark <= horizon;) {
        registry->limbo.first = waste->next;
        weir__reg_free(registry, waste);
    }
}

void weir__reg_waste_free(weir_registry *registry)
{
    weir__reg_wastes *const lists[] = {&registry->pending, &registry->limbo};
    for (size_t i = 0; i < 2; i++)
        for (weir__reg_waste *waste; (waste = lists[i]->first) != NULL;) {
            lists[i]->first = waste->next;
            weir__reg_free(registry, waste);
        }
}

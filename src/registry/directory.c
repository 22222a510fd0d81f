#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

#define DIRECTORY_FIRST_CAPACITY 64

/* Stands where a node was, so that a search goes on past it. */
static weir__reg_node directory_gone;

uint64_t weir__reg_hash(weir__reg_directory *directory, const char *key, size_t size)
{
    uint64_t const hash = weir__hash(directory->seed, key, size);
    weir__reg_table *const table = atomic_load_explicit(&directory->table, memory_order_acquire);
    if (table != NULL)
        WEIR__PREFETCH(&table->slots[(size_t)hash & table->mask]);
    return hash;
}

void *weir__reg_find_hashed(weir__reg_directory *directory, uint64_t hash, const char *key,
                            size_t size)
{
    weir__reg_table *const table = atomic_load_explicit(&directory->table, memory_order_acquire);
    if (table == NULL)
        return NULL;
    for (size_t i = (size_t)hash & table->mask;; i = (i + 1) & table->mask) {
        weir__reg_slot *const slot = &table->slots[i];
        weir__reg_node *const node = atomic_load_explicit(&slot->node, memory_order_acquire);
        if (node == NULL)
            return NULL;
        if (atomic_load_explicit(&slot->hash, memory_order_relaxed) != hash ||
            node == &directory_gone)
            continue;
        WEIR__PREFETCH((char *)node + WEIR__CACHE_LINE);
        if (node->key_size == size && memcmp(weir__reg_node_key(node), key, size) == 0)
            return node;
    }
}

void *weir__reg_find(weir__reg_directory *directory, const char *key, size_t size)
{
    return weir__reg_find_hashed(directory, weir__reg_hash(directory, key, size), key, size);
}

/* The hash goes first: whoever finds the node finds it, too. */
static void directory_put(weir__reg_table *table, uint64_t hash, weir__reg_node *node)
{
    size_t i = (size_t)hash & table->mask;
    while (atomic_load_explicit(&table->slots[i].node, memory_order_relaxed) != NULL)
        i = (i + 1) & table->mask;
    atomic_store_explicit(&table->slots[i].hash, hash, memory_order_relaxed);
    atomic_store_explicit(&table->slots[i].node, node, memory_order_release);
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
        weir__reg_alloc(registry, sizeof *table + capacity * sizeof table->slots[0]);
    if (table == NULL)
        return WEIR_ENOMEM;
    table->mask = capacity - 1;
    weir__reg_node *node;
    for (size_t i = 0; old != NULL && (node = weir__reg_next(old, &i)) != NULL;)
        directory_put(table, atomic_load_explicit(&old->slots[i - 1].hash, memory_order_relaxed),
                      node);
    directory->used = directory->count;
    atomic_store_explicit(&directory->table, table, memory_order_release);
    if (old != NULL)
        weir__reg_waste_add(registry, old);
    return WEIR_OK;
}

int weir__reg_enter(weir_registry *registry, weir__reg_directory *directory, weir__reg_node *node)
{
    weir__reg_table *const table = atomic_load_explicit(&directory->table, memory_order_relaxed);
    if ((table == NULL || directory->used + 1 > (table->mask + 1) / 4 * 3) &&
        directory_grow(registry, directory))
        return WEIR_ENOMEM;
    directory_put(atomic_load_explicit(&directory->table, memory_order_relaxed),
                  directory_hash(directory, node), node);
    directory->used++;
    directory->count++;
    return WEIR_OK;
}

void weir__reg_remove(weir__reg_directory *directory, weir__reg_node *node)
{
    weir__reg_table *const table = atomic_load_explicit(&directory->table, memory_order_relaxed);
    size_t i = (size_t)directory_hash(directory, node) & table->mask;
    while (atomic_load_explicit(&table->slots[i].node, memory_order_relaxed) != node)
        i = (i + 1) & table->mask;
    atomic_store_explicit(&table->slots[i].node, &directory_gone, memory_order_release);
    directory->count--;
}

void *weir__reg_next(weir__reg_table *table, size_t *cursor)
{
    while (*cursor <= table->mask) {
        weir__reg_node *const node =
            atomic_load_explicit(&table->slots[(*cursor)++].node, memory_order_acquire);
        if (node != NULL && node != &directory_gone)
            return node;
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
        weir__reg_pool_give(registry, whole, waste->size);
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

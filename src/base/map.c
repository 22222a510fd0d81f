#include "base/map.h"

#include <string.h>

#define WEIR__MAP_FIRST_CAPACITY 8

void weir__map_init(weir__map *map, const weir_env *env)
{
    *map = (weir__map){.env = env, .seed = {weir__random(env), weir__random(env)}};
}

void weir__map_free(weir__map *map)
{
    weir__free(map->env, map->slots, map->capacity * sizeof *map->slots);
    map->slots = NULL;
    map->capacity = map->count = 0;
}

/* The entry's slot, or the free one where it would go. The map has slots, and a free one. */
static size_t map_find(const weir__map *map, const char *key, size_t size, uint64_t hash)
{
    size_t const mask = map->capacity - 1;
    size_t i = (size_t)hash & mask;
    for (; map->slots[i].value != NULL; i = (i + 1) & mask) {
        const weir__map_entry *const entry = &map->slots[i];
        if (entry->hash == hash && entry->size == size &&
            (size == 0 || memcmp(entry->key, key, size) == 0))
            break;
    }
    return i;
}

void *weir__map_get(const weir__map *map, const char *key, size_t size)
{
    if (map->count == 0)
        return NULL;
    return map->slots[map_find(map, key, size, weir__hash(map->seed, key, size))].value;
}

static int map_grow(weir__map *map, size_t capacity)
{
    if (capacity > SIZE_MAX / sizeof *map->slots)
        return WEIR_ENOMEM;
    weir__map old = *map;
    weir__map_entry *const slots = weir__alloc(map->env, capacity * sizeof *slots);
    if (slots == NULL)
        return WEIR_ENOMEM;
    map->slots = slots;
    map->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++) {
        const weir__map_entry *const entry = &old.slots[i];
        if (entry->value != NULL)
            slots[map_find(map, entry->key, entry->size, entry->hash)] = *entry;
    }
    weir__map_free(&old);
    return WEIR_OK;
}

int weir__map_reserve(weir__map *map, size_t count)
{
    size_t capacity = map->capacity;
    if (capacity == 0 && count > 0)
        capacity = WEIR__MAP_FIRST_CAPACITY;
    while (capacity - capacity / 4 < count) {
        if (capacity > SIZE_MAX / 2)
            return WEIR_ENOMEM;
        capacity *= 2;
    }
    return capacity == map->capacity ? WEIR_OK : map_grow(map, capacity);
}

int weir__map_put(weir__map *map, const char *key, size_t size, void *value)
{
    uint64_t const hash = weir__hash(map->seed, key, size);
    weir__map_entry const entry = {.key = key, .size = size, .hash = hash, .value = value};
    if (map->count > 0) {
        weir__map_entry *const slot = &map->slots[map_find(map, key, size, hash)];
        if (slot->value != NULL) {
            *slot = entry;
            return WEIR_OK;
        }
    }
    if (weir__map_reserve(map, map->count + 1))
        return WEIR_ENOMEM;
    map->slots[map_find(map, key, size, hash)] = entry;
    map->count++;
    return WEIR_OK;
}

void *weir__map_remove(weir__map *map, const char *key, size_t size)
{
    if (map->count == 0)
        return NULL;
    size_t const mask = map->capacity - 1;
    size_t hole = map_find(map, key, size, weir__hash(map->seed, key, size));
    void *const value = map->slots[hole].value;
    if (value == NULL)
        return NULL;
    /* Close the gap: an entry further on moves in, unless its home lies behind the hole. */
    for (size_t i = (hole + 1) & mask; map->slots[i].value != NULL; i = (i + 1) & mask) {
        size_t const home = (size_t)map->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole].value = NULL;
    map->count--;
    return value;
}

void *weir__map_next(const weir__map *map, size_t *cursor)
{
    while (*cursor < map->capacity) {
        void *const value = map->slots[(*cursor)++].value;
        if (value != NULL)
            return value;
    }
    return NULL;
}

/*
 * String-keyed hash map: open addressing, linear probing, backward-shift deletion, SipHash with a
 * key drawn from the environment. Keys are bytes of any value, borrowed: they outlive their entry
 * (usually they are a part of the value). Not synchronized.
 */
#ifndef WEIR_SRC_MAP_H
#define WEIR_SRC_MAP_H

#include "base/env.h"
#include "base/hash.h"

typedef struct weir__map_entry {
    const char *key;
    size_t size;
    uint64_t hash;
    void *value; /* NULL: the slot is free. */
} weir__map_entry;

typedef struct weir__map {
    const weir_env *env; /* Borrowed from the module that owns the map. */
    weir__hash_key seed;
    weir__map_entry
        *slots; /* A power of two of them, at most three quarters used; NULL at first. */
    size_t capacity, count;
} weir__map;

void weir__map_init(weir__map *map, const weir_env *env); /* Allocates nothing. */
void weir__map_free(weir__map *map);                      /* The slots; not the values. */
void *weir__map_get(const weir__map *map, const char *key, size_t size); /* NULL if absent. */
/* Room for `count` entries in all, so that as many puts cannot fail. WEIR_OK or WEIR_ENOMEM. */
int weir__map_reserve(weir__map *map, size_t count);
/* Adds or replaces (key pointer and value); value is not NULL. WEIR_OK or WEIR_ENOMEM. */
int weir__map_put(weir__map *map, const char *key, size_t size, void *value);
void *weir__map_remove(weir__map *map, const char *key, size_t size); /* The value, or NULL. */
/* Visits all: for (size_t i = 0; (v = weir__map_next(map, &i)) != NULL;). Any order. */
void *weir__map_next(const weir__map *map, size_t *cursor);

#endif

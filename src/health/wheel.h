/*
 * Hierarchical timer wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987):
 * levels of 64 slots, each slot as wide as the whole level below. Setting and removing are O(1),
 * and a node moves down at most once a level. Steps are milliseconds. Nodes have ids and lie
 * together in one array, so that moving them touches little memory. Not synchronized.
 */
#ifndef WEIR_SRC_HEALTH_WHEEL_H
#define WEIR_SRC_HEALTH_WHEEL_H

#include "base/env.h"

#define WEIR__WHEEL_LEVELS 8   /* 64^8 ms are 8,900 years. */
#define WEIR__WHEEL_SLOTS  512 /* Of all levels. */
/* Lists are circular, and begin at nodes of their own: one a slot, and these. */
#define WEIR__WHEEL_DUE   WEIR__WHEEL_SLOTS       /* Reached, and not taken yet; by time. */
#define WEIR__WHEEL_LINE  (WEIR__WHEEL_SLOTS + 1) /* The owner's; first come, first served. */
#define WEIR__WHEEL_FREE  (WEIR__WHEEL_SLOTS + 2)
#define WEIR__WHEEL_FIXED (WEIR__WHEEL_SLOTS + 3)

typedef struct weir__wheel_node {
    uint64_t at_ms; /* A slot's: no node in it is earlier; too low once some were removed. */
    void *owner;    /* NULL while it is free. */
    uint32_t prev, next;
    uint32_t slot; /* That it is in; WEIR__WHEEL_FIXED = none. */
} weir__wheel_node;

typedef struct weir__wheel {
    const weir_env *env; /* Borrowed. */
    uint64_t reached_ms; /* Slots up to here are empty. */
    uint64_t occupied[WEIR__WHEEL_LEVELS];
    weir__wheel_node *nodes;
    uint32_t count, capacity;
} weir__wheel;

int weir__wheel_init(weir__wheel *wheel, const weir_env *env, uint64_t now_ms); /* Or ENOMEM. */
void weir__wheel_free(weir__wheel *wheel);
int weir__wheel_reserve(weir__wheel *wheel); /* So that one more add cannot fail. */
uint32_t weir__wheel_add(weir__wheel *wheel, void *owner);
void weir__wheel_drop(weir__wheel *wheel, uint32_t id);
/* Enters the node, or moves it; a time already reached is due at once. */
void weir__wheel_set(weir__wheel *wheel, uint32_t id, uint64_t at_ms);
void weir__wheel_remove(weir__wheel *wheel, uint32_t id); /* Out of any list; no-op if in none. */
/* Its owner; NULL: none is due, and *next_ms is when to look again, as by weir__wheel_next_ms(). */
void *weir__wheel_take(weir__wheel *wheel, uint64_t now_ms, uint64_t *next_ms);
uint64_t weir__wheel_next_ms(const weir__wheel *wheel); /* Never too late; WEIR_NEVER if empty. */
void weir__wheel_append(weir__wheel *wheel, uint32_t list, uint32_t id); /* It is in none. */
void *weir__wheel_first(const weir__wheel *wheel, uint32_t list);        /* NULL if empty. */

/* The owner of that id, or NULL. */
static inline void *weir__wheel_owner(const weir__wheel *wheel, uint32_t id)
{
    return id >= WEIR__WHEEL_FIXED && id < wheel->count ? wheel->nodes[id].owner : NULL;
}

/* Whether it is in a list. */
static inline bool weir__wheel_holds(const weir__wheel *wheel, uint32_t id)
{
    return wheel->nodes[id].next != id;
}

#endif

/*
 * Maglev's table (Eisenbud et al., NSDI 2016, section 3.4), filled exactly as Envoy fills it: of
 * each member XXH64(key) and XXH64(key, seed 1) make a permutation of the entries, and members, in
 * the order of their keys, take turns by weight to take their first entry that is free.
 */
#ifndef WEIR_SRC_BALANCER_MAGLEV_H
#define WEIR_SRC_BALANCER_MAGLEV_H

#include "balancer/hashed.h"

typedef struct weir__maglev {
    uint32_t *owners; /* Of each entry; NULL without members. */
    uint32_t size;
} weir__maglev;

#define WEIR__MAGLEV_SIZE     UINT32_C(65537)   /* The paper's smaller table, and Envoy's. */
#define WEIR__MAGLEV_MAX_SIZE UINT32_C(5000011) /* Envoy's. */

bool weir__maglev_fits(uint64_t size); /* A prime from 2 to WEIR__MAGLEV_MAX_SIZE. */

/* Size fits. With fewer entries than members, some have none. */
int weir__maglev_build(weir__maglev *table, const weir_env *env, const weir__hashed *members,
                       size_t count, uint32_t size); /* WEIR_OK or WEIR_ENOMEM. */
void weir__maglev_free(weir__maglev *table, const weir_env *env);

static inline uint32_t weir__maglev_at(const weir__maglev *table, uint64_t hash)
{
    if (WEIR__LIKELY(table->size == WEIR__MAGLEV_SIZE)) /* A constant: no division is made. */
        return table->owners[hash % WEIR__MAGLEV_SIZE];
    return table->size > 0 ? table->owners[hash % table->size] : WEIR__NOBODY;
}

/* Attempt 0, 1, ...: where Envoy looks when it may not have the one before. */
static inline uint32_t weir__maglev_attempt(const weir__maglev *table, uint64_t hash,
                                            uint32_t attempt)
{
    return weir__maglev_at(table, hash ^ (0 - (uint64_t)attempt));
}

#endif

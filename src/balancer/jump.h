/*
 * Jump consistent hash (Lamping and Veach, 2014) over the members in the order given: no table to
 * speak of, and even to the last hash. A member at the end comes or goes with its own hashes only;
 * one taken out of the middle moves others too, so give members in an order that only grows.
 */
#ifndef WEIR_SRC_BALANCER_JUMP_H
#define WEIR_SRC_BALANCER_JUMP_H

#include "balancer/hashed.h"

/* The buckets 0 .. total - 1 are dealt out in order, weight / their greatest divisor to each. */
typedef struct weir__jump {
    uint64_t *ends;   /* Of each member's buckets; NULL if each has one. */
    uint32_t *owners; /* Of each place with buckets: the member. */
    uint64_t total;
    uint32_t count;
} weir__jump;

int weir__jump_build(weir__jump *jump, const weir_env *env, const weir__hashed *members,
                     size_t count); /* WEIR_OK or WEIR_ENOMEM. */
void weir__jump_free(weir__jump *jump, const weir_env *env);
uint64_t weir__jump_bucket(uint64_t hash, uint64_t buckets); /* The paper's; buckets >= 1. */
uint32_t weir__jump_to(const weir__jump *jump, uint64_t hash);
/* Attempt 0 is weir__jump_to(); the others go where the hash, hashed so many times again, does. */
uint32_t weir__jump_attempt(const weir__jump *jump, uint64_t hash, uint32_t attempt);

#endif

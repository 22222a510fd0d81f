/*
 * Consistent hashing: one question to four kinds of table, "who is the next choice for this hash?"
 * The same hash over the same members asks them in the same order, in every process.
 */
#ifndef WEIR_SRC_BALANCER_HASHING_H
#define WEIR_SRC_BALANCER_HASHING_H

#include "balancer/jump.h"
#include "balancer/ketama.h"
#include "balancer/maglev.h"
#include "balancer/rendezvous.h"

typedef enum weir__hash_kind {
    WEIR__HASH_KETAMA,
    WEIR__HASH_MAGLEV,
    WEIR__HASH_RENDEZVOUS,
    WEIR__HASH_JUMP,
} weir__hash_kind;

typedef struct weir__hash_sizes {
    uint32_t maglev;                 /* Entries, a prime. */
    uint32_t ketama_min, ketama_max; /* Points, as weir__ketama_build() takes them. */
} weir__hash_sizes;

typedef struct weir__hashing {
    weir__hash_kind kind;
    uint32_t count; /* Of the members it was built of. */
    union {
        weir__ketama ketama;
        weir__maglev maglev;
        weir__rendezvous rendezvous;
        weir__jump jump;
    } as;
} weir__hashing;

/* Tables are built of `members` as given, usable or not. WEIR_OK or WEIR_ENOMEM. */
int weir__hashing_build(weir__hashing *hashing, const weir_env *env, weir__hash_kind kind,
                        const weir__hash_sizes *sizes, const weir__hashed *members, size_t count);
/* For a zeroed one as well. */
void weir__hashing_free(weir__hashing *hashing, const weir_env *env);

/* Of the kind's own candidates, so many; repeats count. */
#define WEIR__WALK_CHOICES 32

/*
 * Who is asked, one after another, when those before could not take the call. First come the
 * kind's own choices: clockwise along the ring; Maglev's entries at Envoy's altered hashes; the
 * next highest weights; jumps of the rehashed hash. These may repeat a member. After them, all
 * members are asked in the order given, from one that the hash says: none is ever left out.
 */
typedef struct weir__walk {
    uint64_t hash;
    weir__rendezvous_rank rank;
    uint32_t at;    /* The point on the ring. */
    uint32_t steps; /* Taken so far. */
} weir__walk;

/* The first choice, or WEIR__NOBODY where a table has none for this hash. */
static inline uint32_t weir__hashing_first(const weir__hashing *hashing, uint64_t hash)
{
    if (hashing->kind == WEIR__HASH_MAGLEV)
        return weir__maglev_at(&hashing->as.maglev, hash);
    if (hashing->kind == WEIR__HASH_KETAMA)
        return hashing->as.ketama.points[weir__ketama_find(&hashing->as.ketama, hash)].owner;
    if (hashing->kind == WEIR__HASH_RENDEZVOUS)
        return weir__rendezvous_first(&hashing->as.rendezvous, hash);
    return weir__jump_to(&hashing->as.jump, hash);
}

/* Before the first choice. */
static inline weir__walk weir__walk_begin(uint64_t hash)
{
    return (weir__walk){.hash = hash};
}

/* The next choice, an index into the members; WEIR__NOBODY when all have been asked. */
uint32_t weir__walk_next(const weir__hashing *hashing, weir__walk *walk);

#endif

/*
 * Rendezvous, or highest random weight, hashing (Thaler and Ravishankar, 1998): each member draws
 * u in (0, 1) from its key and the hash, and the greatest w / -ln u wins (Schindelhauer and
 * Schomaker, 2005): weights are met exactly, and a member that goes hands on its own hashes only.
 * Every choice looks at all members, about 1 ns each.
 */
#ifndef WEIR_SRC_BALANCER_RENDEZVOUS_H
#define WEIR_SRC_BALANCER_RENDEZVOUS_H

#include "balancer/hashed.h"

/* Members of equal weight: of these the greatest u wins, and only their best needs a logarithm. */
typedef struct weir__rendezvous_class {
    double inverse; /* 1 / weight. */
    uint32_t end;   /* Of its members; they begin where the class before it ends. */
} weir__rendezvous_class;

typedef struct weir__rendezvous {
    uint64_t *seeds;  /* XXH64 of the keys, those of the heaviest first. */
    uint32_t *owners; /* Which members these are. */
    weir__rendezvous_class *classes;
    uint32_t count, class_count;
} weir__rendezvous;

/* How far a walk from the winner downward has come. Zeroed before the first. */
typedef struct weir__rendezvous_rank {
    double cost; /* -log2 u / weight. */
    uint32_t at; /* Among equals, the first comes first. */
    bool begun;
} weir__rendezvous_rank;

/* WEIR_OK or WEIR_ENOMEM. */
int weir__rendezvous_build(weir__rendezvous *draw, const weir_env *env, const weir__hashed *members,
                           size_t count);
void weir__rendezvous_free(weir__rendezvous *draw, const weir_env *env);
uint32_t weir__rendezvous_first(const weir__rendezvous *draw, uint64_t hash);
/* The best after rank, which it becomes; WEIR__NOBODY when all have been named. */
uint32_t weir__rendezvous_next(const weir__rendezvous *draw, uint64_t hash,
                               weir__rendezvous_rank *rank);

#endif

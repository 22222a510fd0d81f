/* xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64. Not for secrets. */
#ifndef WEIR_SRC_RNG_H
#define WEIR_SRC_RNG_H

#include "base/env.h"

typedef struct weir__rng {
    uint64_t s[4];
} weir__rng;

/* The finalizer of splitmix64: a bijection that spreads each input bit over all output bits. */
static inline uint64_t weir__mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* What splitmix64 adds between draws: mix64(state += WEIR__GOLDEN) is its whole stream. */
#define WEIR__GOLDEN UINT64_C(0x9e3779b97f4a7c15)

void weir__rng_seed(weir__rng *rng, uint64_t seed);
uint64_t weir__rng_next(weir__rng *rng);
/* Uniform in 0 .. bound - 1, without modulo bias; bound >= 1. */
uint64_t weir__rng_below(weir__rng *rng, uint64_t bound);
/* Uniform in [0, 1), 53 bits. */
double weir__rng_unit(weir__rng *rng);

#endif

#include "base/rng.h"

void weir__rng_seed(weir__rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->s[i] = weir__mix64(seed += WEIR__GOLDEN);
}

static uint64_t rng_rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

uint64_t weir__rng_next(weir__rng *rng)
{
    uint64_t *const s = rng->s;
    uint64_t const drawn = rng_rotate(s[1] * 5, 7) * 9;
    uint64_t const shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rng_rotate(s[3], 45);
    return drawn;
}

/* Draws below the largest multiple of bound are fair; 2^64 mod bound of them are drawn again. */
uint64_t weir__rng_below(weir__rng *rng, uint64_t bound)
{
    uint64_t const unfair = (UINT64_MAX - bound + 1) % bound;
    uint64_t drawn = weir__rng_next(rng);
    while (drawn < unfair)
        drawn = weir__rng_next(rng);
    return drawn % bound;
}

double weir__rng_unit(weir__rng *rng)
{
    return (double)(weir__rng_next(rng) >> 11) * 0x1p-53;
}

#include "base/xxhash.h"

#define XXHASH_PRIME_1 UINT64_C(0x9e3779b185ebca87)
#define XXHASH_PRIME_2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define XXHASH_PRIME_3 UINT64_C(0x165667b19e3779f9)
#define XXHASH_PRIME_4 UINT64_C(0x85ebca77c2b2ae63)
#define XXHASH_PRIME_5 UINT64_C(0x27d4eb2f165667c5)

#define XXHASH_STRIPE 32

static inline uint64_t xxhash_rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

/* Little-endian whatever the machine; compilers make one load of each. */
static inline uint64_t xxhash_word32(const unsigned char *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static inline uint64_t xxhash_word64(const unsigned char *p)
{
    return xxhash_word32(p) | xxhash_word32(p + 4) << 32;
}

static inline uint64_t xxhash_round(uint64_t lane, uint64_t word)
{
    return xxhash_rotate(lane + word * XXHASH_PRIME_2, 31) * XXHASH_PRIME_1;
}

/* Whole stripes of four words, each word into its own lane; the lanes are joined at the end. */
static uint64_t xxhash_stripes(const unsigned char *p, const unsigned char *end, uint64_t seed)
{
    uint64_t lanes[4] = {seed + XXHASH_PRIME_1 + XXHASH_PRIME_2, seed + XXHASH_PRIME_2, seed,
                         seed - XXHASH_PRIME_1};
    for (; p < end; p += XXHASH_STRIPE)
        for (unsigned i = 0; i < 4; i++)
            lanes[i] = xxhash_round(lanes[i], xxhash_word64(p + 8 * (size_t)i));
    uint64_t hash = xxhash_rotate(lanes[0], 1) + xxhash_rotate(lanes[1], 7) +
                    xxhash_rotate(lanes[2], 12) + xxhash_rotate(lanes[3], 18);
    for (unsigned i = 0; i < 4; i++)
        hash = (hash ^ xxhash_round(0, lanes[i])) * XXHASH_PRIME_1 + XXHASH_PRIME_4;
    return hash;
}

/* The last bytes, fewer than a stripe. */
static uint64_t xxhash_rest(uint64_t hash, const unsigned char *p, size_t left)
{
    for (; left >= 8; left -= 8, p += 8)
        hash = xxhash_rotate(hash ^ xxhash_round(0, xxhash_word64(p)), 27) * XXHASH_PRIME_1 +
               XXHASH_PRIME_4;
    if (left >= 4) {
        hash = xxhash_rotate(hash ^ xxhash_word32(p) * XXHASH_PRIME_1, 23) * XXHASH_PRIME_2 +
               XXHASH_PRIME_3;
        left -= 4;
        p += 4;
    }
    for (; left > 0; left--, p++)
        hash = xxhash_rotate(hash ^ *p * XXHASH_PRIME_5, 11) * XXHASH_PRIME_1;
    return hash;
}

static uint64_t xxhash_avalanche(uint64_t hash)
{
    hash = (hash ^ hash >> 33) * XXHASH_PRIME_2;
    hash = (hash ^ hash >> 29) * XXHASH_PRIME_3;
    return hash ^ hash >> 32;
}

uint64_t weir__xxhash64(const void *data, size_t size, uint64_t seed)
{
    const unsigned char *const p = data;
    size_t const whole = size - size % XXHASH_STRIPE;
    uint64_t hash = whole > 0 ? xxhash_stripes(p, p + whole, seed) : seed + XXHASH_PRIME_5;
    hash += (uint64_t)size;
    if (size > whole)
        hash = xxhash_rest(hash, p + whole, size - whole);
    return xxhash_avalanche(hash);
}

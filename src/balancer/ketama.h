/*
 * Ketama: members have points on a ring of hashes, and a hash belongs to the first point that is
 * not before it, clockwise. The points are XXH64("<key>_<i>"), as Envoy's are.
 */
#ifndef WEIR_SRC_BALANCER_KETAMA_H
#define WEIR_SRC_BALANCER_KETAMA_H

#include "balancer/hashed.h"

/* The high half of a point's hash, which nearly always decides, beside whose it is. */
typedef struct weir__ketama_point {
    uint32_t high, owner;
} weir__ketama_point;

/* A point is found from the top bits of the hash, among about four. 13 bytes a point. */
typedef struct weir__ketama {
    weir__ketama_point *points; /* Sorted; one more at the end, which leads on to the first. */
    uint32_t *lows;             /* The low halves of the hashes. */
    uint32_t *buckets;          /* Where the points with these top bits begin; one more, the end. */
    uint32_t size, bucket_count;
    unsigned shift;
} weir__ketama;

#define WEIR__KETAMA_POINTS   UINT64_C(160)               /* Of a member, by default. */
#define WEIR__KETAMA_MAX_SIZE (UINT32_C(8) * 1024 * 1024) /* Envoy's. */

/*
 * min > 0: Envoy's ring with these bounds of its size, at most WEIR__KETAMA_MAX_SIZE: all members
 * together have least share * min points, rounded up to a whole number for the member of the least
 * share. min 0: WEIR__KETAMA_POINTS for a member of the least weight, for others in proportion;
 * all halved until the mean is no more than that, and the sum no more than max. So the
 * points of one hardly depend on who else there is, and with equal weights not at all. WEIR_OK or
 * WEIR_ENOMEM.
 */
int weir__ketama_build(weir__ketama *ring, const weir_env *env, const weir__hashed *members,
                       size_t count, uint32_t min, uint32_t max);
void weir__ketama_free(weir__ketama *ring, const weir_env *env);

static inline bool weir__ketama_is_before(const weir__ketama *ring, uint32_t at, uint64_t hash)
{
    uint32_t const high = ring->points[at].high;
    if (WEIR__UNLIKELY(high == hash >> 32))
        return ring->lows[at] < (uint32_t)hash;
    return high < hash >> 32;
}

/* The point that the hash belongs to: 0 .. size, where size is another name of 0. */
static inline uint32_t weir__ketama_find(const weir__ketama *ring, uint64_t hash)
{
    uint32_t const bucket = (uint32_t)(hash >> ring->shift);
    uint32_t at = ring->buckets[bucket], end = ring->buckets[bucket + 1];
    while (WEIR__UNLIKELY(end - at > 32)) { /* Keys made to collide may crowd a bucket. */
        uint32_t const middle = at + (end - at) / 2;
        if (weir__ketama_is_before(ring, middle, hash))
            at = middle + 1;
        else
            end = middle;
    }
    while (weir__ketama_is_before(ring, at, hash)) /* The last has the highest hash there is. */
        at++;
    return at;
}

/* The next point clockwise; another member's, if there is one among the next 64. */
static inline uint32_t weir__ketama_next(const weir__ketama *ring, uint32_t at)
{
    uint32_t const owner = ring->points[at].owner;
    for (uint32_t i = 0; i < 64 && i < ring->size; i++) {
        at = at + 1 < ring->size ? at + 1 : at + 1 - ring->size;
        if (ring->points[at].owner != owner)
            break;
    }
    return at;
}

#endif

#include "balancer/jump.h"

#include "base/rng.h"

static uint32_t jump_gcd(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t const rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int weir__jump_build(weir__jump *jump, const weir_env *env, const weir__hashed *members,
                     size_t count)
{
    size_t used = 0;
    uint32_t divisor = 0;
    bool weighted = false;
    *jump = (weir__jump){.ends = NULL};
    for (size_t i = 0; i < count; i++) {
        used += members[i].weight > 0;
        weighted |= members[i].weight > 0 && divisor > 0 && members[i].weight != divisor;
        divisor = jump_gcd(members[i].weight, divisor);
    }
    if (used == 0)
        return WEIR_OK;
    jump->count = (uint32_t)used;
    jump->owners = weir__alloc(env, used * sizeof *jump->owners);
    jump->ends = weighted ? weir__alloc(env, used * sizeof *jump->ends) : NULL;
    if (jump->owners == NULL || (weighted && jump->ends == NULL)) {
        weir__jump_free(jump, env);
        return WEIR_ENOMEM;
    }
    for (size_t i = 0, at = 0; i < count; i++) {
        if (members[i].weight == 0)
            continue;
        jump->owners[at] = (uint32_t)i;
        jump->total += members[i].weight / divisor;
        if (weighted)
            jump->ends[at] = jump->total;
        at++;
    }
    return WEIR_OK;
}

void weir__jump_free(weir__jump *jump, const weir_env *env)
{
    weir__free(env, jump->ends, jump->count * sizeof *jump->ends);
    weir__free(env, jump->owners, jump->count * sizeof *jump->owners);
    *jump = (weir__jump){.ends = NULL};
}

/*
 * With one bucket more at a time, a hash moves to the new one with probability 1 / how many there
 * are. The jump is to the next bucket that this hash moves to: the first j with
 * (from + 1) / j below a draw r, of which a linear congruential generator gives 31 bits.
 */
uint64_t weir__jump_bucket(uint64_t hash, uint64_t buckets)
{
    uint64_t bucket = 0;
    for (;;) {
        hash = hash * UINT64_C(2862933555777941757) + 1;
        double const next = (double)(bucket + 1) * (0x1p31 / (double)((hash >> 33) + 1));
        if (next >= (double)buckets)
            return bucket;
        bucket = (uint64_t)next;
    }
}

uint32_t weir__jump_to(const weir__jump *jump, uint64_t hash)
{
    if (jump->count == 0)
        return WEIR__NOBODY;
    uint64_t const bucket = weir__jump_bucket(hash, jump->total);
    if (jump->ends == NULL)
        return jump->owners[bucket];
    uint32_t low = 0, high = jump->count - 1;
    while (low < high) { /* The first whose end is past the bucket. */
        uint32_t const middle = low + (high - low) / 2;
        if (jump->ends[middle] <= bucket)
            low = middle + 1;
        else
            high = middle;
    }
    return jump->owners[low];
}

uint32_t weir__jump_attempt(const weir__jump *jump, uint64_t hash, uint32_t attempt)
{
    return weir__jump_to(jump, attempt == 0 ? hash : weir__mix64(hash + attempt * WEIR__GOLDEN));
}

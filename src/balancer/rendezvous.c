#include "balancer/rendezvous.h"

#include "base/real.h"
#include "base/rng.h"
#include "base/xxhash.h"

#include <stdlib.h>

#define RENDEZVOUS_LOG2_E 1.442695040888963407360

/* Both are well mixed; so the high bits, which decide, depend on all of both. */
static inline uint64_t rendezvous_draw(uint64_t seed, uint64_t mixed)
{
    uint64_t const product = (seed ^ mixed) * UINT64_C(0xbf58476d1ce4e5b9);
    return (product ^ product >> 32) * UINT64_C(0x94d049bb133111eb);
}

/* The heaviest first, and as given where they are equal. */
static int rendezvous_compare(const void *left, const void *right)
{
    const weir__hashed *const a = *(const weir__hashed *const *)left;
    const weir__hashed *const b = *(const weir__hashed *const *)right;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    return a < b ? -1 : 1;
}

static bool rendezvous_allocate(weir__rendezvous *draw, const weir_env *env)
{
    draw->seeds = weir__alloc(env, draw->count * sizeof *draw->seeds);
    draw->owners = weir__alloc(env, draw->count * sizeof *draw->owners);
    draw->classes = weir__alloc(env, draw->class_count * sizeof *draw->classes);
    return draw->seeds != NULL && draw->owners != NULL && draw->classes != NULL;
}

static int rendezvous_fill(weir__rendezvous *draw, const weir_env *env, const weir__hashed *members,
                           const weir__hashed *const *sorted)
{
    for (uint32_t i = 0; i < draw->count; i++)
        draw->class_count += i == 0 || sorted[i]->weight != sorted[i - 1]->weight;
    if (!rendezvous_allocate(draw, env)) {
        weir__rendezvous_free(draw, env);
        return WEIR_ENOMEM;
    }
    weir__rendezvous_class *class = draw->classes;
    for (uint32_t i = 0; i < draw->count; i++) {
        class += i > 0 && sorted[i]->weight != sorted[i - 1]->weight;
        *class = (weir__rendezvous_class){.inverse = 1.0 / sorted[i]->weight, .end = i + 1};
        draw->seeds[i] = weir__xxhash64(sorted[i]->key, sorted[i]->key_size, 0);
        draw->owners[i] = (uint32_t)(sorted[i] - members);
    }
    return WEIR_OK;
}

int weir__rendezvous_build(weir__rendezvous *draw, const weir_env *env, const weir__hashed *members,
                           size_t count)
{
    *draw = (weir__rendezvous){.seeds = NULL};
    const weir__hashed **const sorted = weir__alloc(env, count * sizeof(const weir__hashed *));
    if (sorted == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (members[i].weight > 0)
            sorted[draw->count++] = &members[i];
    qsort(sorted, draw->count, sizeof(const weir__hashed *), rendezvous_compare);
    int const result = draw->count > 0 ? rendezvous_fill(draw, env, members, sorted) : WEIR_OK;
    weir__free(env, sorted, count * sizeof(const weir__hashed *));
    return result;
}

void weir__rendezvous_free(weir__rendezvous *draw, const weir_env *env)
{
    weir__free(env, draw->seeds, draw->count * sizeof *draw->seeds);
    weir__free(env, draw->owners, draw->count * sizeof *draw->owners);
    weir__free(env, draw->classes, draw->class_count * sizeof *draw->classes);
    *draw = (weir__rendezvous){.seeds = NULL};
}

static uint32_t rendezvous_best_of_class(const weir__rendezvous *draw, uint64_t mixed,
                                         uint32_t begin, uint32_t end, uint64_t *drawn)
{
    uint64_t best = 0;
    uint32_t best_at = begin;
    for (uint32_t at = begin; at < end; at++) {
        uint64_t const next = rendezvous_draw(draw->seeds[at], mixed);
        best_at = next > best ? at : best_at;
        best = next > best ? next : best;
    }
    *drawn = best;
    return best_at;
}

/*
 * -log2 u / weight, if that is below `limit`; else something that is not. Since -ln u >= 1 - u,
 * most need no logarithm; the bound is a little lower than that, for the logarithm's error.
 */
static inline double rendezvous_cost(uint64_t drawn, double inverse, double limit)
{
    double const gap = (double)(~drawn >> 11) * 0x1p-53; /* 1 - u, at 53 bits; u > 0. */
    if (gap * inverse * (RENDEZVOUS_LOG2_E * (1 - 1e-9)) >= limit)
        return limit;
    return -weir__log2(1.0 - gap) * inverse;
}

uint32_t weir__rendezvous_first(const weir__rendezvous *draw, uint64_t hash)
{
    uint64_t const mixed = weir__mix64(hash);
    uint64_t drawn;
    if (draw->class_count <= 1)
        return draw->count == 0
                   ? WEIR__NOBODY
                   : draw->owners[rendezvous_best_of_class(draw, mixed, 0, draw->count, &drawn)];
    double least = WEIR__INFINITY;
    uint32_t best = 0;
    for (uint32_t i = 0, begin = 0; i < draw->class_count; begin = draw->classes[i++].end) {
        const weir__rendezvous_class *const class = &draw->classes[i];
        uint32_t const at = rendezvous_best_of_class(draw, mixed, begin, class->end, &drawn);
        double const cost = rendezvous_cost(drawn, class->inverse, least);
        best = cost < least ? at : best;
        least = cost < least ? cost : least;
    }
    return draw->owners[best];
}

uint32_t weir__rendezvous_next(const weir__rendezvous *draw, uint64_t hash,
                               weir__rendezvous_rank *rank)
{
    uint64_t const mixed = weir__mix64(hash);
    weir__rendezvous_rank best = {.cost = WEIR__INFINITY};
    const weir__rendezvous_class *class = draw->classes;
    for (uint32_t at = 0; at < draw->count; at++) {
        class += at == class->end;
        uint64_t const drawn = rendezvous_draw(draw->seeds[at], mixed);
        double const cost = rendezvous_cost(drawn, class->inverse, best.cost);
        bool const named =
            rank->begun && cost <= rank->cost && (cost < rank->cost || at <= rank->at);
        if (cost < best.cost && !named)
            best = (weir__rendezvous_rank){.cost = cost, .at = at, .begun = true};
    }
    if (!best.begun)
        return WEIR__NOBODY;
    *rank = best;
    return draw->owners[best.at];
}

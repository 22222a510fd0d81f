#include "balancer/hashing.h"

#include "base/rng.h"

int weir__hashing_build(weir__hashing *hashing, const weir_env *env, weir__hash_kind kind,
                        const weir__hash_sizes *sizes, const weir__hashed *members, size_t count)
{
    *hashing = (weir__hashing){.kind = kind, .count = (uint32_t)count};
    switch (kind) {
    case WEIR__HASH_KETAMA:
        return weir__ketama_build(&hashing->as.ketama, env, members, count, sizes->ketama_min,
                                  sizes->ketama_max);
    case WEIR__HASH_MAGLEV:
        return weir__maglev_build(&hashing->as.maglev, env, members, count, sizes->maglev);
    case WEIR__HASH_RENDEZVOUS:
        return weir__rendezvous_build(&hashing->as.rendezvous, env, members, count);
    case WEIR__HASH_JUMP: break;
    }
    return weir__jump_build(&hashing->as.jump, env, members, count);
}

void weir__hashing_free(weir__hashing *hashing, const weir_env *env)
{
    switch (hashing->kind) {
    case WEIR__HASH_KETAMA: weir__ketama_free(&hashing->as.ketama, env); break;
    case WEIR__HASH_MAGLEV: weir__maglev_free(&hashing->as.maglev, env); break;
    case WEIR__HASH_RENDEZVOUS: weir__rendezvous_free(&hashing->as.rendezvous, env); break;
    case WEIR__HASH_JUMP: weir__jump_free(&hashing->as.jump, env); break;
    }
}

static uint32_t walk_choose(const weir__hashing *hashing, weir__walk *walk)
{
    const weir__ketama *const ring = &hashing->as.ketama;
    switch (hashing->kind) {
    case WEIR__HASH_KETAMA:
        walk->at = walk->steps == 0 ? weir__ketama_find(ring, walk->hash)
                                    : weir__ketama_next(ring, walk->at);
        return ring->points[walk->at].owner;
    case WEIR__HASH_MAGLEV:
        return weir__maglev_attempt(&hashing->as.maglev, walk->hash, walk->steps);
    case WEIR__HASH_RENDEZVOUS:
        return weir__rendezvous_next(&hashing->as.rendezvous, walk->hash, &walk->rank);
    case WEIR__HASH_JUMP: break;
    }
    return weir__jump_attempt(&hashing->as.jump, walk->hash, walk->steps);
}

uint32_t weir__walk_next(const weir__hashing *hashing, weir__walk *walk)
{
    for (; walk->steps < WEIR__WALK_CHOICES; walk->steps++) {
        uint32_t const choice = walk_choose(hashing, walk);
        if (choice != WEIR__NOBODY) {
            walk->steps++;
            return choice;
        }
    }
    uint32_t const nth = walk->steps - WEIR__WALK_CHOICES;
    if (nth >= hashing->count)
        return WEIR__NOBODY;
    walk->steps++;
    return (uint32_t)((weir__mix64(walk->hash) % hashing->count + nth) % hashing->count);
}

/*
 * Kinds that choose by the hash of the call's key. When the first choice cannot take the call, a
 * key has a second one, and so on, always the same: clockwise along the ring, at Envoy's altered
 * hashes in Maglev's table, the next in rank of rendezvous, where a rehashed key jumps to.
 */
#include "balancer/balancer.h"

#include "balancer/jump.h"
#include "balancer/ketama.h"
#include "balancer/maglev.h"
#include "balancer/rendezvous.h"

#include <string.h>

#define HASHING_TRIES 32 /* Of these some may repeat; after them all members are tried. */

typedef struct hashing_plan {
    weir__plan head;
    union {
        weir__ketama ketama;
        weir__maglev maglev;
        weir__rendezvous rendezvous;
        weir__jump jump;
    } as;
} hashing_plan;

typedef int (*hashing_build_fn)(hashing_plan *plan, const weir_env *env, const weir__config *config,
                                const weir__hashed *members, size_t count);

static int hashing_prepare(weir_balancer *balancer, const weir__config *config, weir__level *level,
                           hashing_build_fn build,
                           void (*dispose)(const weir_env *env, weir__plan *plan))
{
    const weir_env *const env = &balancer->env;
    size_t const bytes = level->count * sizeof(weir__hashed);
    weir__hashed *const members = weir__alloc(env, bytes);
    hashing_plan *const plan = weir__plan_new(env, sizeof *plan);
    bool made = members != NULL && plan != NULL;
    for (uint32_t i = 0; made && i < level->count; i++) {
        const char *const id = level->ready[i]->member.id;
        members[i] = (weir__hashed){.key = id,
                                    .key_size = strlen(id),
                                    .weight = level->shares[i] / WEIR__SHARE_ONE};
    }
    made = made && build(plan, env, config, members, level->count) == WEIR_OK;
    weir__free(env, members, bytes);
    if (made) {
        plan->head.dispose = dispose;
        level->plan = &plan->head;
        return WEIR_OK;
    }
    weir__free(env, plan, sizeof *plan);
    return WEIR_ENOMEM;
}

/* ---- Ketama ---- */

static int hashing_build_ketama(hashing_plan *plan, const weir_env *env, const weir__config *config,
                                const weir__hashed *members, size_t count)
{
    return weir__ketama_build(&plan->as.ketama, env, members, count, config->options.ring_min,
                              config->options.ring_max);
}

static void hashing_dispose_ketama(const weir_env *env, weir__plan *plan)
{
    weir__ketama_free(&((hashing_plan *)plan)->as.ketama, env);
}

static int hashing_prepare_ketama(weir_balancer *balancer, const weir__config *config,
                                  weir__level *level)
{
    return hashing_prepare(balancer, config, level, hashing_build_ketama, hashing_dispose_ketama);
}

static weir__record *hashing_propose_ketama(weir_balancer *balancer, weir__level *level,
                                            weir__choice *choice)
{
    (void)balancer;
    const weir__ketama *const ring = &((const hashing_plan *)level->plan)->as.ketama;
    uint32_t const at = choice->attempt == 0 ? weir__ketama_find(ring, choice->hash)
                                             : weir__ketama_next(ring, choice->point);
    choice->point = at;
    return level->ready[ring->points[at].owner];
}

/* ---- Maglev ---- */

static int hashing_build_maglev(hashing_plan *plan, const weir_env *env, const weir__config *config,
                                const weir__hashed *members, size_t count)
{
    return weir__maglev_build(&plan->as.maglev, env, members, count, config->options.table_size);
}

static void hashing_dispose_maglev(const weir_env *env, weir__plan *plan)
{
    weir__maglev_free(&((hashing_plan *)plan)->as.maglev, env);
}

static int hashing_prepare_maglev(weir_balancer *balancer, const weir__config *config,
                                  weir__level *level)
{
    return hashing_prepare(balancer, config, level, hashing_build_maglev, hashing_dispose_maglev);
}

static weir__record *hashing_propose_maglev(weir_balancer *balancer, weir__level *level,
                                            weir__choice *choice)
{
    (void)balancer;
    const weir__maglev *const table = &((const hashing_plan *)level->plan)->as.maglev;
    return level->ready[weir__maglev_attempt(table, choice->hash, choice->attempt)];
}

/* ---- Rendezvous ---- */

static int hashing_build_rendezvous(hashing_plan *plan, const weir_env *env,
                                    const weir__config *config, const weir__hashed *members,
                                    size_t count)
{
    (void)config;
    return weir__rendezvous_build(&plan->as.rendezvous, env, members, count);
}

static void hashing_dispose_rendezvous(const weir_env *env, weir__plan *plan)
{
    weir__rendezvous_free(&((hashing_plan *)plan)->as.rendezvous, env);
}

static int hashing_prepare_rendezvous(weir_balancer *balancer, const weir__config *config,
                                      weir__level *level)
{
    return hashing_prepare(balancer, config, level, hashing_build_rendezvous,
                           hashing_dispose_rendezvous);
}

/* The first needs no rank; who asks for another pays for finding it again. */
static weir__record *hashing_propose_rendezvous(weir_balancer *balancer, weir__level *level,
                                                weir__choice *choice)
{
    (void)balancer;
    const weir__rendezvous *const draw = &((const hashing_plan *)level->plan)->as.rendezvous;
    if (choice->attempt == 0) {
        choice->rank = (weir__rendezvous_rank){.begun = false};
        return level->ready[weir__rendezvous_first(draw, choice->hash)];
    }
    if (!choice->rank.begun)
        (void)weir__rendezvous_next(draw, choice->hash, &choice->rank);
    uint32_t const next = weir__rendezvous_next(draw, choice->hash, &choice->rank);
    return level->ready[next != WEIR__NOBODY ? next : weir__rendezvous_first(draw, choice->hash)];
}

/* ---- Jump ---- */

static int hashing_build_jump(hashing_plan *plan, const weir_env *env, const weir__config *config,
                              const weir__hashed *members, size_t count)
{
    (void)config;
    return weir__jump_build(&plan->as.jump, env, members, count);
}

static void hashing_dispose_jump(const weir_env *env, weir__plan *plan)
{
    weir__jump_free(&((hashing_plan *)plan)->as.jump, env);
}

static int hashing_prepare_jump(weir_balancer *balancer, const weir__config *config,
                                weir__level *level)
{
    return hashing_prepare(balancer, config, level, hashing_build_jump, hashing_dispose_jump);
}

static weir__record *hashing_propose_jump(weir_balancer *balancer, weir__level *level,
                                          weir__choice *choice)
{
    (void)balancer;
    const weir__jump *const jump = &((const hashing_plan *)level->plan)->as.jump;
    return level->ready[weir__jump_attempt(jump, choice->hash, choice->attempt)];
}

const weir__kind weir__kind_ketama = {.name = "ketama",
                                      .prepare = hashing_prepare_ketama,
                                      .propose = hashing_propose_ketama,
                                      .hashed = true,
                                      .tries = HASHING_TRIES};
const weir__kind weir__kind_maglev = {.name = "maglev",
                                      .prepare = hashing_prepare_maglev,
                                      .propose = hashing_propose_maglev,
                                      .hashed = true,
                                      .rebuilt = true,
                                      .tries = HASHING_TRIES};
const weir__kind weir__kind_rendezvous = {.name = "rendezvous",
                                          .prepare = hashing_prepare_rendezvous,
                                          .propose = hashing_propose_rendezvous,
                                          .hashed = true,
                                          .tries = HASHING_TRIES};
const weir__kind weir__kind_jump = {.name = "jump",
                                    .prepare = hashing_prepare_jump,
                                    .propose = hashing_propose_jump,
                                    .hashed = true,
                                    .tries = HASHING_TRIES};

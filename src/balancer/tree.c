/*
 * Least connections: a tournament. Each node holds the better of its two children; who takes or
 * ends a call plays the matches on the way to the root again. Matches that race may be decided by
 * loads a moment old; the next call on either side decides them again.
 */
#include "balancer/balancer.h"

#define TREE_NOBODY UINT32_MAX

typedef struct tree_plan {
    weir__plan head;
    uint32_t leaves;            /* A power of two. */
    _Atomic uint32_t winners[]; /* Indices into ready: 1 is the root, leaves .. 2 leaves - 1 all. */
} tree_plan;

typedef struct tree_load {
    uint64_t calls; /* In flight and one more. */
    uint64_t share;
    uint64_t last_turn;
    bool full;
} tree_load;

static tree_load tree_look(weir__record *record)
{
    uint32_t const in_flight = weir__record_in_flight(record);
    return (tree_load){
        .calls = (uint64_t)in_flight + 1,
        .share = weir__record_share(record),
        .last_turn = atomic_load_explicit(&record->last_turn, memory_order_relaxed),
        .full = record->max_in_flight > 0 && in_flight >= record->max_in_flight,
    };
}

/* Less calls per weight; on a tie, longer not picked, and then earlier in the order given. */
static bool tree_beats(weir__record *one, weir__record *other)
{
    tree_load const a = tree_look(one), b = tree_look(other);
    if (a.full != b.full)
        return b.full;
    if (a.calls * b.share != b.calls * a.share)
        return a.calls * b.share < b.calls * a.share;
    return a.last_turn <= b.last_turn;
}

static uint32_t tree_match(const weir__level *level, const tree_plan *plan, uint32_t node)
{
    uint32_t const left =
        atomic_load_explicit(&plan->winners[(size_t)2 * node], memory_order_relaxed);
    uint32_t const right =
        atomic_load_explicit(&plan->winners[(size_t)2 * node + 1], memory_order_relaxed);
    if (right == TREE_NOBODY)
        return left;
    return tree_beats(level->ready[left], level->ready[right]) ? left : right;
}

static void tree_changed(weir__level *level, uint32_t index)
{
    tree_plan *const plan = (tree_plan *)level->plan;
    for (uint32_t node = (plan->leaves + index) / 2; node > 0; node /= 2)
        atomic_store_explicit(&plan->winners[node], tree_match(level, plan, node),
                              memory_order_relaxed);
}

static int tree_prepare(weir_balancer *balancer, const weir__config *config, weir__level *level)
{
    (void)config;
    uint32_t leaves = 1;
    while (leaves < level->count)
        leaves *= 2;
    tree_plan *const plan =
        weir__plan_new(&balancer->env, sizeof *plan + 2 * (size_t)leaves * sizeof plan->winners[0]);
    if (plan == NULL)
        return WEIR_ENOMEM;
    level->plan = &plan->head;
    level->turns = 0; /* The counter never starts anew. */
    plan->leaves = leaves;
    for (uint32_t i = 0; i < leaves; i++)
        atomic_store(&plan->winners[leaves + i], i < level->count ? i : TREE_NOBODY);
    for (uint32_t node = leaves - 1; node > 0; node--)
        atomic_store(&plan->winners[node], tree_match(level, plan, node));
    return WEIR_OK;
}

/* The best of those that are not excluded, by looking at all. */
static weir__record *tree_best_other(weir__level *level, const weir__choice *choice)
{
    weir__record *best = NULL;
    for (uint32_t i = 0; i < level->count; i++) {
        weir__record *const record = level->ready[i];
        if (weir__excluded(choice->options, record))
            continue;
        if (best == NULL || !tree_beats(best, record))
            best = record;
    }
    return best;
}

static weir__record *tree_propose(weir_balancer *balancer, weir__level *level, weir__choice *choice)
{
    (void)balancer;
    const tree_plan *const plan = (const tree_plan *)level->plan;
    uint32_t const winner = atomic_load_explicit(&plan->winners[1], memory_order_relaxed);
    weir__record *best = NULL;
    if (WEIR__UNLIKELY(choice->options->excluded_count > 0))
        best = tree_best_other(level, choice);
    if (best == NULL)
        best = level->ready[winner];
    uint64_t const turn = atomic_fetch_add_explicit(&level->turn, 1, memory_order_relaxed);
    atomic_store_explicit(&best->last_turn, turn, memory_order_relaxed);
    return best;
}

const weir__kind weir__kind_least_connections = {.name = "least_connections",
                                                 .prepare = tree_prepare,
                                                 .propose = tree_propose,
                                                 .changed = tree_changed,
                                                 .tries = 1};

/* Kinds that draw members by chance, and maybe take the best of a few. */
#include "balancer/draws.h"

#include "base/real.h"

#define DRAWS_MOST        10            /* choices at most. */
#define DRAWS_UNKNOWN     1e18          /* Cost of a member that has calls, and no result yet. */
#define DRAWS_MOST_FOR_NS 30000000000.0 /* What a failure is charged at most. */

static bool draws_alike(const weir__level *level)
{
    for (uint32_t i = 1; i < level->count; i++)
        if (level->shares[i] != level->shares[0])
            return false;
    return true;
}

/* Vose's construction: each index keeps a part of its column and gives the rest to one other. */
static void draws_fill(const weir__level *level, weir__column *columns, double *share,
                       uint32_t *work)
{
    uint32_t small = 0, large = level->count;
    double sum = 0;
    for (uint32_t i = 0; i < level->count; i++)
        sum += level->shares[i];
    for (uint32_t i = 0; i < level->count; i++) {
        share[i] = level->shares[i] * (double)level->count / sum;
        work[share[i] < 1.0 ? small++ : --large] = i;
    }
    while (small > 0 && large < level->count) {
        uint32_t const less = work[--small], more = work[large];
        columns[less] = (weir__column){(uint32_t)(share[less] * 4294967295.0), more};
        share[more] -= 1.0 - share[less];
        if (share[more] < 1.0) {
            large++;
            work[small++] = more;
        }
    }
    while (small > 0 || large < level->count) { /* Whole columns, up to rounding. */
        uint32_t const whole = small > 0 ? work[--small] : work[large++];
        columns[whole] = (weir__column){UINT32_MAX, whole};
    }
}

/* Members of one weight need no columns: any index will do. */
static int draws_prepare(weir_balancer *balancer, const weir__config *config, weir__level *level)
{
    (void)config;
    if (draws_alike(level))
        return WEIR_OK;
    size_t const bytes = level->count * (sizeof(double) + sizeof(uint32_t));
    double *const share = weir__alloc(&balancer->env, bytes);
    weir__columns *const plan =
        weir__plan_new(&balancer->env, sizeof *plan + level->count * sizeof plan->columns[0]);
    level->plan = plan != NULL ? &plan->head : NULL;
    bool const made = share != NULL && plan != NULL;
    if (made)
        draws_fill(level, plan->columns, share, (uint32_t *)(void *)(share + level->count));
    weir__free(&balancer->env, share, bytes);
    return made ? WEIR_OK : WEIR_ENOMEM;
}

static weir__record *draws_propose_random(weir_balancer *balancer, weir__level *level,
                                          weir__choice *choice)
{
    (void)choice;
    return level->ready[weir__draw_by_weight(level, weir__balancer_draw(balancer))];
}

/* `wanted` - 1 distinct indices beside first, each set of them as likely (Floyd's sampling). */
static void draws_others(uint64_t draw, uint32_t count, uint32_t first, uint32_t wanted,
                         uint32_t *indices)
{
    uint32_t made = 0;
    for (uint32_t last = count - wanted; last < count - 1; last++) {
        draw = weir__mix64(draw + WEIR__GOLDEN);
        uint32_t at = weir__below((uint32_t)(draw >> 32), last + 1);
        for (uint32_t i = 0; i < made; i++)
            if (indices[i] == at)
                at = last;
        indices[made++] = at;
    }
    for (uint32_t i = 0; i < made; i++)
        indices[i] += indices[i] >= first;
}

static void draws_explain(weir__choice *choice, weir__record *rival)
{
    weir_pick_explanation *const explain = choice->options->explain;
    if (WEIR__LIKELY(explain == NULL) || rival == NULL)
        return;
    explain->rival = &rival->member;
    explain->rival_in_flight = weir__record_in_flight(rival);
}

/* What a pick compares, before it is divided by the weight. */
typedef double draws_burden_fn(const weir__choice *choice, weir__record *record);

static double draws_load(const weir__choice *choice, weir__record *record)
{
    const weir__config *const config = choice->config;
    uint32_t const load = weir__record_in_flight(record);
    if (WEIR__LIKELY(load < 256) || config->options.bias <= 0)
        return config->powers[load & 255];
    return weir__pow(load, config->options.bias);
}

/* The least burden per weight of two; on a tie the first. */
static inline weir__record *draws_lighter(weir__choice *choice, weir__record *one,
                                          weir__record *other, draws_burden_fn *burden)
{
    double const ours = burden(choice, one), theirs = burden(choice, other);
    bool const swap = ours * weir__record_share(other) > theirs * weir__record_share(one);
    weir__record *const pair[] = {one, other, one}; /* No branch: it would be a coin toss. */
    draws_explain(choice, pair[swap + 1]);
    return pair[swap];
}

/* The least of several; what is told as the rival is who was best before, or nearly so. */
static inline weir__record *draws_lightest(weir__level *level, weir__choice *choice, uint64_t draw,
                                           uint32_t first, draws_burden_fn *burden)
{
    uint32_t const choices = choice->config->options.choices;
    uint32_t const wanted = choices < level->count ? choices : level->count;
    weir__record *best = level->ready[first];
    if (wanted < 2)
        return best;
    if (WEIR__LIKELY(wanted == 2)) {
        uint32_t const among = weir__below((uint32_t)(weir__mix64(draw) >> 32), level->count - 1);
        return draws_lighter(choice, best, level->ready[among + (among >= first)], burden);
    }
    uint32_t others[DRAWS_MOST] = {first};
    draws_others(draw, level->count, first, wanted, others);
    for (uint32_t i = 0; i + 1 < wanted; i++)
        best = draws_lighter(choice, best, level->ready[others[i]], burden);
    return best;
}

static weir__record *draws_propose_least(weir_balancer *balancer, weir__level *level,
                                         weir__choice *choice)
{
    if (choice->config->pairs && level->count > 1) {
        weir__record *rival, *const best = weir__draw_pair(balancer, level, &rival);
        draws_explain(choice, rival);
        return best;
    }
    uint64_t const draw = weir__balancer_draw(balancer);
    uint32_t const first = weir__draw_by_weight(level, draw);
    return draws_lightest(level, choice, draw, first, draws_load);
}

/* What a cost has lost after a time: 1 - e^(-time / decay), by its series while that is short. */
static inline double draws_loss(const weir__config *config, uint64_t since_ns, uint64_t now_ns)
{
    int64_t const for_ns = (int64_t)(now_ns - since_ns);
    double const x = for_ns > 0 ? (double)for_ns * config->decay_per_ns : 0;
    if (WEIR__LIKELY(x < 1.0 / 64))
        return x - x * x / 2; /* Off by less than x^3 / 6: below 1e-6. */
    return 1 - weir__exp(-x);
}

static inline double draws_cost(const weir__choice *choice, weir__record *record)
{
    double const cost =
        weir__real_of_bits(atomic_load_explicit(&record->cost, memory_order_relaxed));
    uint64_t const since_ns = atomic_load_explicit(&record->cost_ns, memory_order_relaxed);
    uint32_t const load = weir__record_in_flight(record);
    if (WEIR__UNLIKELY(cost <= 0))
        return DRAWS_UNKNOWN * load;
    if (WEIR__LIKELY((int64_t)(choice->now_ns - since_ns) < choice->config->fresh_ns))
        return cost * (load + 1.0);
    return cost * (1 - draws_loss(choice->config, since_ns, choice->now_ns)) * (load + 1.0);
}

static weir__record *draws_propose_peak(weir_balancer *balancer, weir__level *level,
                                        weir__choice *choice)
{
    uint64_t const draw = weir__balancer_draw(balancer);
    uint32_t const first = weir__below((uint32_t)(draw >> 32), level->count);
    return draws_lightest(level, choice, draw, first, draws_cost);
}

static double draws_charge(const weir__config *config, double cost, uint64_t latency_ns,
                           weir_outcome outcome)
{
    double const latency = latency_ns > 0 ? (double)latency_ns : 1;
    double charge = (double)config->options.failure_latency_ns;
    if (outcome == WEIR_SUCCESS)
        return latency;
    charge = charge > 2 * cost ? charge : 2 * cost;
    charge = charge < DRAWS_MOST_FOR_NS ? charge : DRAWS_MOST_FOR_NS;
    return charge > latency ? charge : latency;
}

static void draws_ended_peak(const weir__config *config, weir__record *record, uint64_t now_ns,
                             uint64_t latency_ns, weir_outcome outcome)
{
    if (outcome == WEIR_IGNORED || outcome == WEIR_CANCELLED)
        return;
    uint64_t const since_ns = atomic_load_explicit(&record->cost_ns, memory_order_relaxed);
    double const old =
        weir__real_of_bits(atomic_load_explicit(&record->cost, memory_order_relaxed));
    double const loss = draws_loss(config, since_ns, now_ns);
    /* Calls that were under way together fail for one reason: only the first of them doubles. */
    double const apart = now_ns - latency_ns >= since_ns ? old : old / 2;
    double const sample = draws_charge(config, apart, latency_ns, outcome);
    double const next = sample > old ? sample : old - (old - sample) * loss;
    atomic_store_explicit(&record->cost, weir__real_bits(next), memory_order_relaxed);
    if (now_ns > since_ns)
        atomic_store_explicit(&record->cost_ns, now_ns, memory_order_relaxed);
}

const weir__kind weir__kind_random = {.name = "random",
                                      .prepare = draws_prepare,
                                      .propose = draws_propose_random,
                                      .tries = 1};
const weir__kind weir__kind_least_request = {.name = "least_request",
                                             .prepare = draws_prepare,
                                             .propose = draws_propose_least,
                                             .tries = 1};
const weir__kind weir__kind_peak_ewma = {.name = "peak_ewma",
                                         .propose = draws_propose_peak,
                                         .ended = draws_ended_peak,
                                         .timed = true,
                                         .tries = 1};

/*
 * Locality-aware: a tree of sums of weights, to draw from and to change in O(log members). A
 * member's weight is its speed over its latest window of calls, and less while those in flight are
 * older than its calls use to take. Speed is the root of throughput, over latency: were it the
 * throughput itself, which follows from the weight, members that are alike would drift apart for
 * ever; with the root, shares settle at 1 / latency^2.
 */
#include "balancer/balancer.h"

#include "base/real.h"

#define LOCALITY_WINDOW_CALLS 64
#define LOCALITY_WINDOW_NS    WEIR__NS_PER_S
#define LOCALITY_PATIENCE     1.5   /* Times the mean latency, before age counts. */
#define LOCALITY_UNIT         1e-16 /* Speed of weight 1: less than a call an hour, in 1 s. */
#define LOCALITY_MOST         8796093022208 /* Of a weight: 2^43, so that no sum overflows. */
#define LOCALITY_LEAST_PART   100           /* Nobody has less than the mean over this. */
#define LOCALITY_DRAWS        8

typedef struct locality_plan {
    weir__plan head;
    uint32_t leaves, count;
    _Atomic uint32_t unknown; /* Members without a speed: weight 0, and drawn apart. */
    _Atomic uint64_t sums[];  /* 1 is the root; from leaves on, the weights. */
} locality_plan;

static double locality_load(const _Atomic uint64_t *bits)
{
    return weir__real_of_bits(atomic_load_explicit(bits, memory_order_relaxed));
}

static void locality_store(_Atomic uint64_t *bits, double value)
{
    atomic_store_explicit(bits, weir__real_bits(value), memory_order_relaxed);
}

/* Closes a full window; who comes second finds it begun anew. */
static void locality_close(weir__record *record, uint64_t begin_ns, uint64_t now_ns)
{
    uint64_t expected = begin_ns;
    if (!atomic_compare_exchange_strong(&record->window_ns, &expected, now_ns))
        return;
    double const calls = (double)atomic_exchange(&record->window_calls, 0);
    double const busy_ns = (double)atomic_exchange(&record->window_busy_ns, 0);
    if (calls < 1)
        return;
    double const mean_ns = busy_ns / calls > 1 ? busy_ns / calls : 1;
    double const elapsed_ns = now_ns > begin_ns ? (double)(now_ns - begin_ns) : 1;
    locality_store(&record->mean_ns, mean_ns);
    locality_store(&record->speed, weir__sqrt(calls / elapsed_ns) / mean_ns);
}

static double locality_charge(const weir__config *config, const weir__record *record,
                              uint64_t latency_ns, weir_outcome outcome)
{
    double const latency = (double)latency_ns;
    double const failure = (double)config->options.failure_latency_ns;
    double charge = 2 * locality_load(&record->mean_ns);
    if (outcome == WEIR_SUCCESS)
        return latency;
    charge = charge > failure ? charge : failure;
    return charge > latency ? charge : latency;
}

static void locality_ended(const weir__config *config, weir__record *record, uint64_t now_ns,
                           uint64_t latency_ns, weir_outcome outcome)
{
    if (outcome == WEIR_IGNORED || outcome == WEIR_CANCELLED)
        return;
    double const busy_ns = locality_charge(config, record, latency_ns, outcome);
    uint64_t unbegun = 0;
    (void)atomic_compare_exchange_strong(&record->window_ns, &unbegun, now_ns - latency_ns);
    atomic_fetch_add_explicit(&record->window_busy_ns, (uint64_t)busy_ns, memory_order_relaxed);
    uint64_t const calls =
        atomic_fetch_add_explicit(&record->window_calls, 1, memory_order_relaxed) + 1;
    uint64_t const begin_ns = atomic_load(&record->window_ns);
    bool const old = now_ns > begin_ns && now_ns - begin_ns >= LOCALITY_WINDOW_NS;
    if (calls >= LOCALITY_WINDOW_CALLS || old)
        locality_close(record, begin_ns, now_ns);
}

/* How much of its weight is left to a member whose calls in flight take long; 1 = all. */
static double locality_patience(const weir__record *record, uint64_t now_ns)
{
    uint64_t const calls = atomic_load_explicit(&record->begun_calls, memory_order_relaxed);
    double const mean_ns = locality_load(&record->mean_ns);
    if (calls == 0 || mean_ns <= 0)
        return 1;
    uint64_t const sum_ns = atomic_load_explicit(&record->begun_sum_ns, memory_order_relaxed);
    double const age_ns = (double)(int64_t)(now_ns * calls - sum_ns) / (double)calls;
    return age_ns > LOCALITY_PATIENCE * mean_ns ? LOCALITY_PATIENCE * mean_ns / age_ns : 1;
}

/* 0 = not known yet. */
static uint64_t locality_weight(const locality_plan *plan, const weir__record *record)
{
    uint64_t const sum = atomic_load_explicit(&plan->sums[1], memory_order_relaxed);
    uint64_t const least = sum / plan->count / LOCALITY_LEAST_PART + 1;
    double const weight = locality_load(&record->speed) / LOCALITY_UNIT;
    if (weight <= 0)
        return 0;
    if (weight >= (double)LOCALITY_MOST)
        return LOCALITY_MOST;
    return weight > (double)least ? (uint64_t)weight : least;
}

/* Sets a leaf; sums on the way to the root gain the difference, which may wrap. */
static void locality_changed(weir__level *level, uint32_t index)
{
    locality_plan *const plan = (locality_plan *)level->plan;
    uint32_t node = plan->leaves + index;
    uint64_t const weight = locality_weight(plan, level->ready[index]);
    if (weight == atomic_load_explicit(&plan->sums[node], memory_order_relaxed))
        return;
    uint64_t const old = atomic_exchange_explicit(&plan->sums[node], weight, memory_order_relaxed);
    if (old == 0 && weight > 0)
        atomic_fetch_sub_explicit(&plan->unknown, 1, memory_order_relaxed);
    while ((node /= 2) > 0)
        atomic_fetch_add_explicit(&plan->sums[node], weight - old, memory_order_relaxed);
}

static int locality_prepare(weir_balancer *balancer, const weir__config *config, weir__level *level)
{
    (void)config;
    uint32_t leaves = 1;
    while (leaves < level->count)
        leaves *= 2;
    locality_plan *const plan =
        weir__plan_new(&balancer->env, sizeof *plan + 2 * (size_t)leaves * sizeof plan->sums[0]);
    if (plan == NULL)
        return WEIR_ENOMEM;
    level->plan = &plan->head;
    plan->leaves = leaves;
    plan->count = level->count;
    atomic_store(&plan->unknown, level->count);
    for (uint32_t i = 0; i < level->count; i++)
        locality_changed(level, i);
    return WEIR_OK;
}

/* The leaf that a point between 0 and the sum of all lies in. */
static uint32_t locality_find(const weir__level *level, const locality_plan *plan, uint64_t point)
{
    uint32_t node = 1;
    while (node < plan->leaves) {
        uint64_t const left =
            atomic_load_explicit(&plan->sums[(size_t)2 * node], memory_order_relaxed);
        node *= 2;
        if (point >= left) {
            point -= left;
            node++;
        }
    }
    uint32_t const index = node - plan->leaves;
    return index < level->count ? index : level->count - 1;
}

static double locality_luck(uint64_t bits)
{
    return (double)(bits >> 11) / 9007199254740992.0;
}

static weir__record *locality_draw(const weir__level *level, double luck)
{
    const locality_plan *const plan = (const locality_plan *)level->plan;
    double const sum = (double)atomic_load_explicit(&plan->sums[1], memory_order_relaxed);
    return level->ready[locality_find(level, plan, (uint64_t)(luck * sum))];
}

/* Each that is not known yet gets what would be its share if all were alike. */
static weir__record *locality_draw_unknown(weir_balancer *balancer, const weir__level *level)
{
    weir__record *record = NULL;
    for (int i = 0; i < LOCALITY_DRAWS; i++) {
        uint64_t const draw = weir__balancer_draw(balancer);
        record = level->ready[weir__below((uint32_t)(draw >> 32), level->count)];
        if (locality_load(&record->speed) <= 0)
            break;
    }
    return record;
}

/* Draws by weight, and again if the one drawn is late with its calls and has bad luck. */
static weir__record *locality_propose(weir_balancer *balancer, weir__level *level,
                                      weir__choice *choice)
{
    const locality_plan *const plan = (const locality_plan *)level->plan;
    uint32_t const unknown = atomic_load_explicit(&plan->unknown, memory_order_relaxed);
    weir__record *record = NULL;
    for (int i = 0; i < LOCALITY_DRAWS; i++) {
        uint64_t const draw = weir__balancer_draw(balancer);
        bool const fresh = weir__below((uint32_t)draw, level->count) < unknown;
        record = fresh ? locality_draw_unknown(balancer, level)
                       : locality_draw(level, locality_luck(draw));
        if (WEIR__LIKELY(locality_luck(weir__mix64(draw)) <
                         locality_patience(record, choice->now_ns)))
            break;
    }
    return record;
}

const weir__kind weir__kind_locality_aware = {.name = "locality_aware",
                                              .prepare = locality_prepare,
                                              .propose = locality_propose,
                                              .changed = locality_changed,
                                              .ended = locality_ended,
                                              .timed = true,
                                              .sums = true,
                                              .tries = 1};

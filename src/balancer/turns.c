/* Kinds that take turns: from schedules made with the table, or from a counter. */
#include "balancer/balancer.h"

#include <stdlib.h>

#define TURNS_MOST   UINT32_C(65536) /* Of a schedule, unless there are more members. */
#define TURNS_STRIDE UINT32_C(65535)

/* Sorted by key, and among equal keys in the order given. */
typedef struct turns_key {
    uint32_t key, index;
} turns_key;

static int turns_compare_keys(const void *left, const void *right)
{
    const turns_key *const a = left, *const b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

/* Members of one weight take turns among themselves in order, so only one of them can be next. */
typedef struct turns_class {
    int64_t current; /* nginx's current weight of the member that is next. */
    uint32_t weight;
    uint32_t begin, end; /* Its members among the keys. */
    uint32_t next;
} turns_class;

static uint64_t turns_gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t const rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Weights with a sum that a schedule can hold: exactly, by their divisor, or else scaled. */
static uint32_t turns_scale(const weir__level *level, uint32_t *weights)
{
    uint64_t sum = 0, divisor = 0, scaled = 0;
    for (uint32_t i = 0; i < level->count; i++) {
        sum += level->shares[i];
        divisor = turns_gcd(level->shares[i], divisor);
    }
    uint64_t const most = level->count > TURNS_MOST ? level->count : TURNS_MOST;
    bool const exact = sum <= most * divisor;
    for (uint32_t i = 0; i < level->count; i++) {
        uint64_t const weight = level->shares[i];
        uint64_t const share =
            exact ? weight / (divisor > 0 ? divisor : 1) : (weight * most + sum / 2) / sum;
        weights[i] = share > 0 ? (uint32_t)share : 1;
        scaled += weights[i];
    }
    return (uint32_t)scaled;
}

/* Sorts the keys, which are weights; returns how many classes they make. */
static uint32_t turns_classify(turns_key *keys, uint32_t count, turns_class *classes)
{
    uint32_t made = 0;
    qsort(keys, count, sizeof *keys, turns_compare_keys);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || keys[i].key != keys[i - 1].key)
            classes[made++] = (turns_class){.weight = keys[i].key, .begin = i, .next = i};
        classes[made - 1].end = i + 1;
    }
    return made;
}

/* One step of smooth weighted round robin: all gain their weight, the first highest pays the sum.
 */
static uint32_t turns_step(turns_class *classes, uint32_t count, const turns_key *keys,
                           uint32_t sum)
{
    turns_class *best = classes;
    for (turns_class *c = classes; c < classes + count; c++) {
        c->current += c->weight;
        if (c->current > best->current ||
            (c->current == best->current && keys[c->next].index < keys[best->next].index))
            best = c;
    }
    uint32_t const chosen = keys[best->next].index;
    if (++best->next == best->end) {
        best->next = best->begin; /* Each of the class has paid: its first is as far as before. */
        best->current -= sum;
    }
    return chosen;
}

/* Room to make a schedule in: classes, keys and weights, in one block. */
typedef struct turns_draft {
    turns_class *classes;
    turns_key *keys;
    uint32_t *weights, *schedule;
    uint32_t class_count, sum;
    size_t bytes;
} turns_draft;

static int turns_begin(const weir_env *env, weir__level *level, turns_draft *draft)
{
    uint32_t const count = level->count;
    draft->bytes = count * (sizeof(uint32_t) + sizeof(turns_key) + sizeof(turns_class));
    draft->classes = weir__alloc(env, draft->bytes);
    if (draft->classes == NULL)
        return WEIR_ENOMEM;
    draft->keys = (turns_key *)(void *)(draft->classes + count);
    draft->weights = (uint32_t *)(void *)(draft->keys + count);
    draft->sum = turns_scale(level, draft->weights);
    weir__plan *const plan =
        weir__plan_new(env, sizeof *plan + draft->sum * sizeof *draft->schedule);
    level->plan = plan;
    if (plan == NULL)
        return WEIR_ENOMEM;
    level->turns = draft->sum;
    level->schedule = draft->schedule = (uint32_t *)(void *)(plan + 1);
    for (uint32_t i = 0; i < count; i++)
        draft->keys[i] = (turns_key){.key = draft->weights[i], .index = i};
    draft->class_count = turns_classify(draft->keys, count, draft->classes);
    return WEIR_OK;
}

static int turns_prepare_smooth(weir_balancer *balancer, const weir__config *config,
                                weir__level *level)
{
    (void)config;
    turns_draft draft = {.classes = NULL};
    int const result = turns_begin(&balancer->env, level, &draft);
    for (uint32_t turn = 0; result == WEIR_OK && turn < draft.sum; turn++)
        draft.schedule[turn] = turns_step(draft.classes, draft.class_count, draft.keys, draft.sum);
    weir__free(&balancer->env, draft.classes, draft.bytes);
    return result;
}

/*
 * Deadlines of a class are k / weight, k = 1 .. weight; then all begins anew. Of classes that are
 * due at the same time, the lighter entered its deadline first, as it waits longer for each.
 */
static turns_class *turns_earliest(turns_class *classes, uint32_t count)
{
    turns_class *best = classes; /* `current` counts deadlines met; the lightest class is first. */
    for (turns_class *c = classes + 1; c < classes + count; c++)
        if ((uint64_t)(c->current + 1) * best->weight < (uint64_t)(best->current + 1) * c->weight)
            best = c;
    return best;
}

static int turns_prepare_earliest(weir_balancer *balancer, const weir__config *config,
                                  weir__level *level)
{
    (void)config;
    turns_draft draft = {.classes = NULL};
    int const result = turns_begin(&balancer->env, level, &draft);
    for (uint32_t turn = 0; result == WEIR_OK && turn < draft.sum;) {
        turns_class *const due = turns_earliest(draft.classes, draft.class_count);
        for (uint32_t i = due->begin; i < due->end; i++)
            draft.schedule[turn++] = draft.keys[i].index;
        due->current++;
    }
    weir__free(&balancer->env, draft.classes, draft.bytes);
    return result;
}

static weir__record *turns_propose(weir_balancer *balancer, weir__level *level,
                                   weir__choice *choice)
{
    (void)balancer;
    (void)choice;
    return weir__level_next(level);
}

typedef struct turns_strides {
    weir__plan head;
    uint32_t weights[]; /* The highest is TURNS_STRIDE. */
} turns_strides;

static int turns_prepare_strides(weir_balancer *balancer, const weir__config *config,
                                 weir__level *level)
{
    (void)config;
    turns_strides *const plan =
        weir__plan_new(&balancer->env, sizeof *plan + level->count * sizeof plan->weights[0]);
    if (plan == NULL)
        return WEIR_ENOMEM;
    uint64_t most = 1; /* No share is less. */
    for (uint32_t i = 0; i < level->count; i++)
        most = level->shares[i] > most ? level->shares[i] : most;
    for (uint32_t i = 0; i < level->count; i++) {
        uint64_t const weight = (level->shares[i] * (uint64_t)TURNS_STRIDE + most / 2) / most;
        plan->weights[i] = weight > 0 ? (uint32_t)weight : 1;
    }
    level->plan = &plan->head;
    level->turns = 0; /* The counter never starts anew. */
    return WEIR_OK;
}

/* In each round all are asked once; one of weight w serves in w of 65,535 rounds, spread evenly. */
static bool turns_stride_serves(const weir__level *level, uint64_t turn)
{
    uint64_t const at = turn % level->count, round = turn / level->count;
    uint64_t const weight = ((const turns_strides *)level->plan)->weights[at];
    uint64_t const phase =
        (weight * (round % TURNS_STRIDE) + at * (TURNS_STRIDE / 2)) % TURNS_STRIDE;
    return phase >= TURNS_STRIDE - weight;
}

/*
 * Any turn at which somebody serves: who begins at one where nobody does would go to the next who
 * serves, and first picks would favour those who stand behind the light.
 */
static uint64_t turns_start_strides(weir_balancer *balancer, const weir__level *level)
{
    uint64_t turn;
    do
        turn = weir__balancer_draw(balancer) >> 1;
    while (!turns_stride_serves(level, turn));
    return turn;
}

static weir__record *turns_propose_stride(weir_balancer *balancer, weir__level *level,
                                          weir__choice *choice)
{
    (void)balancer;
    (void)choice;
    for (;;) {
        uint64_t const turn = atomic_fetch_add_explicit(&level->turn, 1, memory_order_relaxed);
        if (turns_stride_serves(level, turn))
            return level->ready[turn % level->count];
    }
}

static weir__record *turns_propose_first(weir_balancer *balancer, weir__level *level,
                                         weir__choice *choice)
{
    (void)balancer;
    (void)choice;
    return level->ready[0];
}

const weir__kind weir__kind_round_robin = {.name = "round_robin",
                                           .propose = turns_propose,
                                           .in_turns = true,
                                           .tries = 1};
const weir__kind weir__kind_smooth_weighted = {.name = "smooth_weighted",
                                               .prepare = turns_prepare_smooth,
                                               .propose = turns_propose,
                                               .in_turns = true,
                                               .tries = 1};
const weir__kind weir__kind_earliest_deadline = {.name = "earliest_deadline",
                                                 .prepare = turns_prepare_earliest,
                                                 .propose = turns_propose,
                                                 .in_turns = true,
                                                 .tries = 1};
const weir__kind weir__kind_static_stride = {.name = "static_stride",
                                             .prepare = turns_prepare_strides,
                                             .start = turns_start_strides,
                                             .propose = turns_propose_stride,
                                             .tries = 1};
const weir__kind weir__kind_first = {.name = "first",
                                     .propose = turns_propose_first,
                                     .in_order = true,
                                     .tries = 1};

/*
 * Levels of a set: who serves which share of the calls. Priorities spill over as Envoy's do, and
 * within one, our own zone to the others.
 */
#include "balancer/balancer.h"

#include "base/xxhash.h"

#include <stdlib.h>
#include <string.h>

#define LEVELS_LATE (UINT64_C(1) << 32) /* Turns of members never picked are before it. */

/* Members sorted by where they belong, then as given. */
typedef struct levels_key {
    uint32_t priority;
    uint32_t remote; /* Not in our zone. */
    uint32_t member; /* Index in the roster. */
    bool usable;     /* No flag. */
    bool tolerable;  /* None but of health. */
    uint64_t rank;   /* In the aperture: the highest stay. */
} levels_key;

/* A run of keys, of one priority or of one zone in it. */
typedef struct levels_run {
    levels_key *keys;
    uint32_t count, usable, tolerable;
    double health; /* Of the calls, what it can carry; 0..1. */
    double load;   /* What it gets. */
    bool panicking;
} levels_run;

typedef struct levels_draft {
    weir_balancer *balancer;
    weir__table *table;
    weir__set *set;
    const uint32_t *shares;
    const weir_balancer_options *options;
    levels_key *keys;
    uint32_t count;
    levels_run *runs; /* One a priority. */
    uint32_t run_count;
    double cumulated; /* Loads of the levels made so far. */
} levels_draft;

static int levels_compare(const void *left, const void *right)
{
    const levels_key *const a = left, *const b = right;
    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    if (a->remote != b->remote)
        return a->remote < b->remote ? -1 : 1;
    return a->member < b->member ? -1 : 1;
}

/* By priority, usable ones first, then by rank. */
static int levels_compare_ranks(const void *left, const void *right)
{
    const levels_key *const a = left, *const b = right;
    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    if (a->usable != b->usable)
        return a->usable ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank > b->rank ? -1 : 1;
    return a->member < b->member ? -1 : 1;
}

static void levels_gather(levels_draft *draft, const uint32_t *members)
{
    const weir__roster *const roster = draft->table->roster;
    const weir_balancer_options *const options = draft->options;
    uint64_t const seed =
        options->aperture_seed != 0 ? options->aperture_seed : draft->balancer->seed;
    bool const zoned = options->zone[0] != '\0';
    for (uint32_t i = 0; i < draft->set->members; i++) {
        uint32_t const at = members[i];
        const weir_member *const member = &roster->records[at]->member;
        if (draft->shares[at] == 0)
            continue;
        uint32_t const flags = atomic_load(&roster->records[at]->flags);
        levels_key *const key = &draft->keys[draft->count++];
        *key = (levels_key){.priority = member->priority,
                            .remote = zoned && strcmp(member->zone, options->zone) != 0,
                            .member = at,
                            .usable = flags == 0,
                            .tolerable = (flags & ~WEIR__HEALTH_FLAGS) == 0};
        if (options->aperture > 0)
            key->rank = weir__xxhash64(member->id, strlen(member->id), seed);
    }
}

/* The first `aperture` of each priority stay. */
static void levels_narrow(levels_draft *draft)
{
    uint32_t kept = 0, of_priority = 0;
    qsort(draft->keys, draft->count, sizeof *draft->keys, levels_compare_ranks);
    for (uint32_t i = 0; i < draft->count; i++) {
        if (i == 0 || draft->keys[i].priority != draft->keys[i - 1].priority)
            of_priority = 0;
        if (of_priority++ < draft->options->aperture)
            draft->keys[kept++] = draft->keys[i];
    }
    draft->count = kept;
}

static levels_run levels_count(levels_key *keys, uint32_t count)
{
    levels_run run = {.keys = keys, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        run.usable += keys[i].usable;
        run.tolerable += keys[i].tolerable;
    }
    return run;
}

static double levels_health(const weir_balancer_options *options, uint32_t usable, uint32_t count)
{
    if (usable == 0)
        return 0;
    double const health =
        options->overprovisioning_percent / 100.0 * (double)usable / (double)count;
    return options->overprovisioning_percent == WEIR_NO_SPILL || health > 1 ? 1 : health;
}

/* How many runs of one priority the keys make; into draft->runs once there is room. */
static uint32_t levels_split(levels_draft *draft)
{
    uint32_t made = 0;
    for (uint32_t i = 0, end; i < draft->count; i = end) {
        for (end = i + 1; end < draft->count; end++)
            if (draft->keys[end].priority != draft->keys[i].priority)
                break;
        if (draft->runs != NULL) {
            levels_run *const run = &draft->runs[made];
            *run = levels_count(&draft->keys[i], end - i);
            run->health = levels_health(draft->options, run->usable, run->count);
        }
        made++;
    }
    return made;
}

/* Nobody is well: each priority that may panic serves by its number of members. */
static void levels_share_by_count(levels_draft *draft)
{
    double sum = 0;
    for (uint32_t i = 0; i < draft->run_count; i++)
        sum += draft->runs[i].tolerable;
    for (uint32_t i = 0; i < draft->run_count; i++) {
        levels_run *const run = &draft->runs[i];
        run->panicking = draft->options->panic_percent > 0;
        run->load = sum > 0 && run->panicking ? run->tolerable / sum : 0;
    }
}

/* Each takes of what is left what it can carry; if all cannot carry all, in proportion. */
static void levels_share(levels_draft *draft)
{
    double all = 0, left = 1;
    for (uint32_t i = 0; i < draft->run_count; i++)
        all += draft->runs[i].health;
    if (all <= 0) {
        levels_share_by_count(draft);
        return;
    }
    for (uint32_t i = 0; i < draft->run_count; i++) {
        levels_run *const run = &draft->runs[i];
        double const share = all < 1 ? run->health / all : run->health;
        run->load = share < left ? share : left;
        left -= run->load;
        run->panicking =
            all < 1 && run->usable * 100.0 < (double)run->count * draft->options->panic_percent;
    }
}

static bool levels_serves(const levels_run *run, const levels_key *key)
{
    return run->panicking ? key->tolerable : key->usable;
}

static int levels_fill(levels_draft *draft, weir__level *level, const levels_run *run)
{
    const weir__kind *const kind = draft->table->config->kind;
    bool const all = kind->hashed && !kind->rebuilt;
    size_t const bytes = run->count * (sizeof(weir__record *) + 2 * sizeof(uint32_t));
    level->ready = weir__alloc(&draft->balancer->env, bytes);
    if (level->ready == NULL)
        return WEIR_ENOMEM;
    level->room = run->count;
    level->shares = (uint32_t *)(void *)(level->ready + run->count);
    level->members = level->shares + run->count;
    for (uint32_t i = 0; i < run->count; i++) {
        const levels_key *const key = &run->keys[i];
        bool const serves = levels_serves(run, key);
        level->usable += serves;
        level->share_sum += serves ? draft->shares[key->member] : 0;
        if (!serves && !all)
            continue;
        level->ready[level->count] = draft->table->roster->records[key->member];
        level->shares[level->count] = draft->shares[key->member];
        level->members[level->count++] = key->member;
    }
    return WEIR_OK;
}

static int levels_add(levels_draft *draft, const levels_run *run, double load)
{
    if ((run->panicking ? run->tolerable : run->usable) == 0)
        return WEIR_OK;
    weir__level *const level = &draft->set->levels[draft->set->level_count++];
    level->priority = run->keys[0].priority;
    level->zoned = draft->options->zone[0] != '\0';
    level->local = level->zoned && !run->keys[0].remote;
    level->tolerated = run->panicking ? WEIR__HEALTH_FLAGS : 0;
    draft->cumulated += load;
    level->upto =
        draft->cumulated < 0.999999 ? (uint32_t)(draft->cumulated * 4294967296.0) : UINT32_MAX;
    return levels_fill(draft, level, run);
}

/* Members of our zone first, the others as much as these cannot carry. */
static int levels_add_zones(levels_draft *draft, const levels_run *run)
{
    uint32_t ours = 0;
    while (ours < run->count && !run->keys[ours].remote)
        ours++;
    levels_run local = levels_count(run->keys, ours);
    levels_run others = levels_count(run->keys + ours, run->count - ours);
    local.panicking = others.panicking = run->panicking;
    uint32_t const here = run->panicking ? local.tolerable : local.usable;
    uint32_t const there = run->panicking ? others.tolerable : others.usable;
    double const share = there > 0 ? levels_health(draft->options, here, local.count) : 1;
    int result = levels_add(draft, &local, run->load * share);
    if (result == WEIR_OK)
        result = levels_add(draft, &others, run->load * (1 - share));
    return result;
}

static weir__level *levels_find(weir__set *set, const weir__level *like)
{
    for (uint32_t i = 0; i < set->level_count; i++)
        if (set->levels[i].priority == like->priority && set->levels[i].local == like->local &&
            set->levels[i].zoned == like->zoned)
            return &set->levels[i];
    return NULL;
}

/* The same level in the table in force, or NULL. */
static weir__level *levels_before(weir_balancer *balancer, const weir__set *set,
                                  const weir__level *level)
{
    weir__table *const old = weir__snapshot_get(&balancer->table);
    if (old == NULL)
        return NULL;
    if (set->selector == UINT32_MAX)
        return levels_find(&old->all, level);
    for (size_t i = 0; i < old->subset_count; i++)
        if (old->subsets[i].hash == set->hash && old->subsets[i].selector == set->selector)
            return levels_find(&old->subsets[i], level);
    return NULL;
}

static bool levels_alike(const weir__level *a, const weir__level *b)
{
    return a->count == b->count &&
           memcmp(a->ready, b->ready, a->count * sizeof(weir__record *)) == 0 &&
           memcmp(a->shares, b->shares, a->count * sizeof *a->shares) == 0;
}

/* Members that are as they were keep their plan; turns go on where they were in any case. */
static int levels_prepare(levels_draft *draft, weir__level *level)
{
    weir_balancer *const balancer = draft->balancer;
    const weir__config *const config = draft->table->config;
    const weir__table *const table = weir__snapshot_get(&balancer->table);
    weir__level *const old = levels_before(balancer, draft->set, level);
    int result = WEIR_OK;
    level->turns = level->count;
    if (old != NULL && table->config == config && levels_alike(old, level)) {
        level->plan = old->plan;
        level->schedule = old->schedule;
        level->turns = old->turns;
        if (level->plan != NULL)
            level->plan->refs++;
    } else if (config->kind->prepare != NULL) {
        result = config->kind->prepare(balancer, config, level);
    }
    bool const anew = result == WEIR_OK && (old == NULL || old->plan != level->plan);
    uint64_t turn = old != NULL ? atomic_load(&old->turn) : balancer->start;
    if (anew && config->kind->start != NULL)
        turn = config->kind->start(balancer, level);
    else if (level->turns == 0)
        turn |= LEVELS_LATE;
    atomic_store(&level->turn, level->turns > 0 ? turn % level->turns : turn);
    return result;
}

static int levels_make(levels_draft *draft)
{
    const weir_env *const env = &draft->balancer->env;
    weir__set *const set = draft->set;
    bool const zoned = draft->options->zone[0] != '\0';
    draft->run_count = levels_split(draft);
    draft->runs = weir__alloc(env, (draft->run_count + 1) * sizeof *draft->runs);
    set->level_room = draft->run_count * (zoned ? 2 : 1);
    set->levels = weir__alloc(env, (set->level_room + 1) * sizeof *set->levels);
    if (draft->runs == NULL || set->levels == NULL)
        return WEIR_ENOMEM;
    (void)levels_split(draft);
    levels_share(draft);
    for (uint32_t i = 0; i < draft->run_count; i++) {
        const levels_run *const run = &draft->runs[i];
        if (zoned ? levels_add_zones(draft, run) : levels_add(draft, run, run->load))
            return WEIR_ENOMEM;
    }
    for (uint32_t i = 0; i < set->level_count; i++)
        if (levels_prepare(draft, &set->levels[i]))
            return WEIR_ENOMEM;
    return WEIR_OK;
}

int weir__levels_new(weir_balancer *balancer, weir__table *table, weir__set *set,
                     const uint32_t *members, const uint32_t *shares)
{
    levels_draft draft = {.balancer = balancer,
                          .table = table,
                          .set = set,
                          .shares = shares,
                          .options = &table->config->options};
    size_t const bytes = (set->members + 1) * sizeof *draft.keys;
    draft.keys = weir__alloc(&balancer->env, bytes);
    if (draft.keys == NULL)
        return WEIR_ENOMEM;
    levels_gather(&draft, members);
    if (draft.options->aperture > 0)
        levels_narrow(&draft);
    qsort(draft.keys, draft.count, sizeof *draft.keys, levels_compare);
    int const result = levels_make(&draft);
    if (draft.runs != NULL)
        weir__free(&balancer->env, draft.runs, (draft.run_count + 1) * sizeof *draft.runs);
    weir__free(&balancer->env, draft.keys, bytes);
    return result;
}

void weir__levels_free(weir_balancer *balancer, weir__set *set)
{
    const weir_env *const env = &balancer->env;
    for (uint32_t i = 0; i < set->level_count; i++) {
        weir__level *const level = &set->levels[i];
        weir__free(env, level->ready,
                   level->room * (sizeof(weir__record *) + 2 * sizeof(uint32_t)));
        if (level->plan != NULL && --level->plan->refs == 0) {
            if (level->plan->dispose != NULL)
                level->plan->dispose(env, level->plan);
            weir__free(env, level->plan, level->plan->bytes);
        }
    }
    if (set->levels != NULL)
        weir__free(env, set->levels, (set->level_room + 1) * sizeof *set->levels);
}

void *weir__plan_new(const weir_env *env, size_t bytes)
{
    weir__plan *const plan = weir__alloc(env, bytes);
    if (plan == NULL)
        return NULL;
    plan->refs = 1;
    plan->bytes = bytes;
    return plan;
}

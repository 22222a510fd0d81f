/* Random members, flags, limits, exclusions and updates, with picks given back late, twice or
 * hardly ever, beside a model that knows who may be picked; and shares counted in calm worlds. */
#include "support/seeds.h"

#include "base/rng.h"

#include <weir/balancer.h>

#include <stdio.h>
#include <string.h>

#define STEPS 400
#define IDS   8
#define HELD  64

typedef struct entry {
    char id[8];
    bool present;
    uint32_t weight, priority, max_in_flight, flags;
    uint32_t life; /* Grows when it is removed: an id that comes back begins anew. */
    uint32_t in_flight;
    uint64_t completed, failures;
} entry;

typedef struct held {
    weir_pick pick;
    size_t entry;
    uint32_t life;
} held;

typedef struct world {
    fake_env fake;
    weir__rng rng;
    weir_balancer *balancer;
    weir_balancer_algorithm algorithm;
    entry entries[IDS];
    size_t order[IDS]; /* Of the members, as given. */
    size_t count;
    uint64_t version, newest;
    held held[HELD];
    size_t holding;
    size_t visited;
    uint64_t digest;
} world;

static uint64_t below(world *w, uint64_t bound)
{
    return weir__rng_below(&w->rng, bound);
}

static void note(world *w, uint64_t value)
{
    w->digest = (w->digest ^ value) * UINT64_C(1099511628211);
}

/* ---- Picks ---- */

static bool is_excluded(const entry *e, const weir_pick_options *options)
{
    for (size_t i = 0; i < options->excluded_count; i++)
        if (strcmp(options->excluded[i]->id, e->id) == 0)
            return true;
    return false;
}

static bool is_candidate(const entry *e, const weir_pick_options *options)
{
    return e->present && e->flags == 0 && e->weight > 0 && !is_excluded(e, options);
}

static bool is_full(const entry *e)
{
    return e->max_in_flight > 0 && e->in_flight >= e->max_in_flight;
}

/* What pick must return; the priority that it must come from. */
static int expected_result(const world *w, const weir_pick_options *options, uint32_t *priority)
{
    bool full = false;
    *priority = UINT32_MAX;
    for (size_t i = 0; i < IDS; i++) {
        const entry *const e = &w->entries[i];
        if (!is_candidate(e, options))
            continue;
        if (is_full(e))
            full = true;
        else if (e->priority < *priority)
            *priority = e->priority;
    }
    if (*priority != UINT32_MAX)
        return WEIR_OK;
    if (w->count == 0)
        return WEIR_EEMPTY;
    return full ? WEIR_ESATURATED : WEIR_EDOWN;
}

static void hold(world *w, const weir_pick *pick, const weir_pick_options *options,
                 uint32_t priority)
{
    size_t const i = (size_t)(pick->member->id[1] - '0');
    entry *const e = &w->entries[i];
    SEED_CHECK(is_candidate(e, options) && !is_full(e) && e->priority == priority);
    SEED_CHECK(pick->member->weight == e->weight && pick->member->priority == priority);
    SEED_CHECK(options->explain == NULL || (options->explain->chosen == pick->member &&
                                            options->explain->chosen_in_flight == e->in_flight));
    e->in_flight++;
    w->held[w->holding++] = (held){*pick, i, e->life};
}

static void step_pick(world *w)
{
    const weir_member *excluded[3];
    weir_pick_explanation explanation;
    weir_pick_options options = {.excluded = excluded};
    weir_pick pick;
    uint32_t priority;
    if (w->holding == HELD)
        return;
    if (w->holding > 0 && below(w, 2) == 0)
        for (uint64_t n = below(w, 4); options.excluded_count < n; options.excluded_count++)
            excluded[options.excluded_count] = w->held[below(w, w->holding)].pick.member;
    if (below(w, 2) == 0)
        options.explain = &explanation;
    options.hash = below(w, 20);
    int const result = weir_balancer_pick(w->balancer, &options, &pick);
    SEED_CHECK(result == expected_result(w, &options, &priority));
    SEED_CHECK((pick.member != NULL) == (result == WEIR_OK));
    if (options.explain != NULL)
        SEED_CHECK(explanation.result == result && explanation.members == w->count &&
                   explanation.version == w->version && explanation.algorithm == w->algorithm);
    note(w, (uint64_t)-result);
    if (pick.member == NULL)
        return;
    note(w, (uint64_t)pick.member->id[1]);
    hold(w, &pick, &options, priority);
}

static void step_done(world *w)
{
    if (w->holding == 0)
        return;
    held *const h = &w->held[below(w, w->holding)];
    entry *const e = &w->entries[h->entry];
    weir_outcome const outcome = (weir_outcome)below(w, WEIR_CANCELLED + 1);
    SEED_CHECK(h->pick.member->id[1] == e->id[1]); /* Lent until now, whatever happened to it. */
    SEED_CHECK(weir_balancer_done(w->balancer, &h->pick, outcome, below(w, 1000)) == WEIR_OK);
    SEED_CHECK(weir_balancer_done(w->balancer, &h->pick, outcome, 1) == WEIR_EINVAL);
    if (h->life == e->life) {
        e->in_flight--;
        e->completed += outcome != WEIR_CANCELLED;
        e->failures += outcome == WEIR_FAILURE || outcome == WEIR_TIMEOUT;
    }
    *h = w->held[--w->holding];
}

/* ---- Members ---- */

static void remove_entry(entry *e)
{
    e->present = false;
    e->life++;
    e->flags = e->in_flight = 0;
    e->completed = e->failures = 0;
}

static weir_member draw_member(world *w, entry *e)
{
    weir_member member = WEIR_MEMBER_INIT;
    member.id = e->id;
    member.weight = (uint32_t)below(w, 5);
    member.priority = (uint32_t)below(w, 3);
    member.max_in_flight = (uint32_t)below(w, 6);
    return member;
}

static void accept_members(world *w, const weir_member *members, size_t count)
{
    bool stays[IDS] = {false};
    w->count = count;
    for (size_t i = 0; i < count; i++) {
        size_t const at = (size_t)(members[i].id[1] - '0');
        entry *const e = &w->entries[at];
        stays[at] = e->present = true;
        e->weight = members[i].weight;
        e->priority = members[i].priority;
        e->max_in_flight = members[i].max_in_flight;
        w->order[i] = at;
    }
    for (size_t i = 0; i < IDS; i++)
        if (!stays[i] && w->entries[i].present)
            remove_entry(&w->entries[i]);
}

static void step_update(world *w)
{
    weir_member members[IDS];
    size_t count = 0;
    size_t const from = below(w, IDS);
    for (size_t i = 0; i < IDS; i++) {
        entry *const e = &w->entries[(from + i) % IDS];
        if (below(w, 4) > 0)
            members[count++] = draw_member(w, e);
    }
    if (below(w, 20) == 0)
        count = 0;
    uint64_t const version = below(w, 4) == 0 ? 0 : w->newest + 2 - below(w, 4);
    bool const stale = version != 0 && version < w->newest;
    int const result = weir_balancer_update(w->balancer, members, count, version);
    SEED_CHECK(result == (stale ? WEIR_ESTALE : WEIR_OK));
    if (stale || (version != 0 && version == w->newest))
        return;
    accept_members(w, members, count);
    w->version = version;
    w->newest = version > w->newest ? version : w->newest;
}

static void step_flags(world *w)
{
    entry *const e = &w->entries[below(w, IDS)];
    uint32_t const set = UINT32_C(1) << below(w, 3);
    uint32_t const clear = (uint32_t)below(w, 64) & ~set;
    bool const both = below(w, 20) == 0;
    bool const clears = below(w, 2) == 0;
    int const result = weir_balancer_set_flags(w->balancer, e->id, clears ? 0 : set,
                                               both && !clears ? set : clear);
    if (both && !clears) {
        SEED_CHECK(result == WEIR_EINVAL);
        return;
    }
    SEED_CHECK(result == (e->present ? WEIR_OK : WEIR_ENOTFOUND));
    if (e->present)
        e->flags = (e->flags | (clears ? 0 : set)) & ~clear;
}

static void expect_as_modelled(const weir_member *member, const weir_member_stats *stats,
                               void *user)
{
    world *const w = user;
    const entry *const e = &w->entries[w->order[w->visited++]];
    SEED_CHECK(strcmp(member->id, e->id) == 0);
    SEED_CHECK(stats->flags == e->flags && stats->in_flight == e->in_flight);
    SEED_CHECK(stats->completed == e->completed && stats->failures == e->failures);
}

static void step_look(world *w)
{
    w->visited = 0;
    weir_balancer_visit(w->balancer, expect_as_modelled, w);
    SEED_CHECK(w->visited == w->count);
}

/* ---- Worlds ---- */

static const weir_balancer_algorithm any[] = {WEIR_ROUND_ROBIN,
                                              WEIR_SMOOTH_WEIGHTED,
                                              WEIR_RANDOM,
                                              WEIR_LEAST_REQUEST,
                                              WEIR_EARLIEST_DEADLINE,
                                              WEIR_STATIC_STRIDE,
                                              WEIR_LEAST_CONNECTIONS,
                                              WEIR_PEAK_EWMA,
                                              WEIR_LOCALITY_AWARE,
                                              WEIR_KETAMA,
                                              WEIR_MAGLEV,
                                              WEIR_RENDEZVOUS,
                                              WEIR_JUMP,
                                              WEIR_FIRST};
/* Those whose shares are known while all calls take as long. */
static const weir_balancer_algorithm calm[] = {WEIR_ROUND_ROBIN, WEIR_SMOOTH_WEIGHTED, WEIR_RANDOM,
                                               WEIR_LEAST_REQUEST, WEIR_EARLIEST_DEADLINE};

#define BEGIN(w, seed, kinds) begin(w, seed, kinds, sizeof(kinds) / sizeof *(kinds))

static void begin(world *w, uint64_t seed, const weir_balancer_algorithm *kinds, size_t count)
{
    *w = (world){.fake = {.now_ns = 1}};
    weir__rng_seed(&w->rng, seed);
    w->fake.random = weir__rng_next(&w->rng);
    w->fake.random_step = weir__rng_next(&w->rng);
    for (size_t i = 0; i < IDS; i++)
        (void)snprintf(w->entries[i].id, sizeof w->entries[i].id, "m%zu", i);
    weir_env const env = fake_env_hooks(&w->fake);
    weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
    options.algorithm = w->algorithm = kinds[below(w, count)];
    options.overprovisioning_percent = WEIR_NO_SPILL;
    options.table_size = 251; /* As small as will do: tables are made often. */
    options.ring_min = 64;
    options.load_factor_percent = below(w, 2) == 0 ? 0 : (uint32_t)(100 + below(w, 100));
    options.panic_percent = 0;
    options.env = &env;
    SEED_CHECK(weir_balancer_create(&w->balancer, &options) == WEIR_OK);
}

static void end(world *w)
{
    while (w->holding > 0)
        step_done(w);
    step_look(w);
    weir_balancer_destroy(w->balancer);
    SEED_CHECK(w->fake.live_bytes == 0);
}

static uint64_t live(uint64_t seed)
{
    static world w;
    BEGIN(&w, seed, any);
    for (int i = 0; i < STEPS; i++) {
        uint64_t const kind = below(&w, 100);
        if (kind < 50)
            step_pick(&w);
        else if (kind < 80)
            step_done(&w);
        else if (kind < 85)
            step_update(&w);
        else if (kind < 93)
            step_flags(&w);
        else
            step_look(&w);
    }
    end(&w);
    return w.digest;
}

static void model_is_met(uint64_t seed)
{
    uint64_t const digest = live(seed);
    SEED_CHECK(seed % 16 != 0 || live(seed) == digest);
}

static void only_those_who_may_be_picked_are_and_errors_are_true(void **state)
{
    (void)state;
    seeds_run(5000, model_is_met);
}

/* Members that never change; returns the sum of their weights. */
static uint32_t begin_calm(world *w, uint64_t seed, bool even)
{
    weir_member members[IDS];
    uint32_t sum = 0;
    BEGIN(w, seed, calm);
    size_t const count = 2 + below(w, IDS - 1);
    for (size_t i = 0; i < count; i++) {
        members[i] = (weir_member)WEIR_MEMBER_INIT;
        members[i].id = w->entries[i].id;
        members[i].weight = even ? 1 : 1 + (uint32_t)below(w, 9);
        sum += members[i].weight;
    }
    SEED_CHECK(weir_balancer_update(w->balancer, members, count, 0) == WEIR_OK);
    accept_members(w, members, count);
    return sum;
}

/* Gives picks back at once, or never. */
static void pick_and_count(world *w, uint64_t picks, uint64_t *got, bool keep)
{
    for (uint64_t i = 0; i < picks; i++) {
        weir_pick pick;
        SEED_CHECK(weir_balancer_pick(w->balancer, NULL, &pick) == WEIR_OK);
        got[pick.member->id[1] - '0']++;
        if (!keep)
            SEED_CHECK(weir_balancer_done(w->balancer, &pick, WEIR_SUCCESS, 1) == WEIR_OK);
    }
}

/* Turns are exact, from wherever they are looked at; draws, within seven standard deviations:
 * so that not even a million worlds fail by chance. */
static void shares_are_right(uint64_t seed)
{
    static world w;
    uint64_t got[IDS] = {0};
    uint64_t ahead[IDS] = {0};
    uint32_t const sum = begin_calm(&w, seed, false);
    pick_and_count(&w, below(&w, 100), ahead, false);
    bool const turns = w.algorithm != WEIR_RANDOM && w.algorithm != WEIR_LEAST_REQUEST;
    uint64_t const unit = w.algorithm == WEIR_ROUND_ROBIN ? w.count : sum;
    uint64_t const picks = turns ? unit * (1 + below(&w, 5)) : 5000;
    pick_and_count(&w, picks, got, false);
    for (size_t i = 0; i < w.count; i++) {
        uint64_t const weight = w.algorithm == WEIR_ROUND_ROBIN ? 1 : w.entries[i].weight;
        double const mean = (double)picks * (double)weight / (double)unit;
        double const off = (double)got[i] - mean;
        double const variance = mean * (1 - (double)weight / (double)unit);
        SEED_CHECK(turns ? got[i] == picks / unit * weight : off * off <= 49 * variance);
    }
    weir_balancer_destroy(w.balancer);
    SEED_CHECK(w.fake.live_bytes == 0);
}

static void shares_follow_the_weights(void **state)
{
    (void)state;
    seeds_run(400, shares_are_right);
}

/*
 * How far a member may be from its even share. Draws: seven standard deviations. Two choices leave
 * the fullest log log n ahead, less than 5 for 8 members; the emptiest wins whenever it is drawn,
 * up to twice per turn of the others, so it is k behind with a chance of e^-1.6k at most (1.6
 * solves t = 2 - 2e^-t): below 1e-10 for 15.
 */
static void expect_even(const world *w, uint64_t got, uint64_t each)
{
    bool const draws = w->algorithm == WEIR_RANDOM, two = w->algorithm == WEIR_LEAST_REQUEST;
    uint64_t const ahead = draws ? 100 : two ? 5 : 0;
    uint64_t const behind = draws ? 100 : two ? 15 : 0;
    SEED_CHECK(got <= each + ahead && got + behind >= each);
}

static void load_is_even(uint64_t seed)
{
    static world w;
    uint64_t got[IDS] = {0};
    (void)begin_calm(&w, seed, true);
    uint64_t const each = 200;
    pick_and_count(&w, each * w.count, got, true);
    for (size_t i = 0; i < w.count; i++)
        expect_even(&w, got[i], each);
    weir_balancer_destroy(w.balancer);
    SEED_CHECK(w.fake.live_bytes == 0);
}

static void nobody_starves(void **state)
{
    (void)state;
    seeds_run(400, load_is_even);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_those_who_may_be_picked_are_and_errors_are_true),
        cmocka_unit_test(shares_follow_the_weights),
        cmocka_unit_test(nobody_starves),
    };
    return cmocka_run_group_tests_name("balancer simulation", tests, NULL, NULL);
}

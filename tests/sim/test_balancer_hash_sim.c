/* Hash kinds in random worlds: a flip moves the keys of that member alone and back, a key has one
 * member while nothing changes, and no pick takes a member above its bound. */
#include "support/seeds.h"

#include "base/rng.h"

#include <weir/balancer.h>

#include <stdio.h>
#include <string.h>

#define MEMBERS 12
#define KEYS    64
#define HELD    48

static const weir_balancer_algorithm kinds[] = {WEIR_KETAMA, WEIR_MAGLEV, WEIR_RENDEZVOUS,
                                                WEIR_JUMP};

typedef struct world {
    fake_env fake;
    weir__rng rng;
    weir_balancer *balancer;
    weir_balancer_algorithm algorithm;
    char ids[MEMBERS][24];
    uint32_t weights[MEMBERS];
    bool down[MEMBERS];
    size_t count;
    uint32_t load_factor;
    weir_pick held[HELD];
    size_t holding;
    uint32_t in_flight[MEMBERS];
} world;

static uint64_t below(world *w, uint64_t bound)
{
    return weir__rng_below(&w->rng, bound);
}

static void begin(world *w, uint64_t seed, bool bounded)
{
    weir_member members[MEMBERS];
    *w = (world){.fake = {.now_ns = 1}};
    weir__rng_seed(&w->rng, seed);
    weir_env const env = fake_env_hooks(&w->fake);
    weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
    options.algorithm = w->algorithm = kinds[below(w, 4)];
    options.table_size = 1009;
    options.ring_min = below(w, 2) == 0 ? 0 : 500;
    options.load_factor_percent = w->load_factor = bounded ? 100 + (uint32_t)below(w, 150) : 0;
    options.overprovisioning_percent = WEIR_NO_SPILL;
    options.panic_percent = 0;
    options.env = &env;
    SEED_CHECK(weir_balancer_create(&w->balancer, &options) == WEIR_OK);
    w->count = 2 + below(w, MEMBERS - 1);
    for (size_t i = 0; i < w->count; i++) {
        (void)snprintf(w->ids[i], sizeof w->ids[i], "m%zu", i);
        members[i] = (weir_member)WEIR_MEMBER_INIT;
        members[i].id = w->ids[i];
        members[i].weight = w->weights[i] = 1 + (uint32_t)below(w, 5);
    }
    SEED_CHECK(weir_balancer_update(w->balancer, members, w->count, 0) == WEIR_OK);
}

static void end(world *w)
{
    while (w->holding > 0)
        (void)weir_balancer_done(w->balancer, &w->held[--w->holding], WEIR_SUCCESS, 1);
    weir_balancer_destroy(w->balancer);
    SEED_CHECK(w->fake.live_bytes == 0);
}

static size_t index_of(const weir_member *member)
{
    return (size_t)strtoul(member->id + 1, NULL, 10);
}

/* ---- Who has which key ---- */

static void note_owners(world *w, size_t *owners)
{
    for (uint64_t key = 0; key < KEYS; key++) {
        weir_pick_options const options = {.hash = weir_balancer_hash(&key, sizeof key)};
        weir_pick pick;
        SEED_CHECK(weir_balancer_pick(w->balancer, &options, &pick) == WEIR_OK);
        owners[key] = index_of(pick.member);
        SEED_CHECK(!w->down[owners[key]]);
        (void)weir_balancer_done(w->balancer, &pick, WEIR_SUCCESS, 1);
    }
}

/* Some are down already; one more goes, and comes back. */
static void keys_move_and_return(uint64_t seed)
{
    static world w;
    size_t before[KEYS], without[KEYS], after[KEYS];
    begin(&w, seed, false);
    for (uint64_t n = below(&w, w.count - 1); n > 0; n--) {
        size_t const at = below(&w, w.count);
        w.down[at] = true;
        SEED_CHECK(weir_balancer_mark_down(w.balancer, w.ids[at]) == WEIR_OK);
    }
    size_t up = 0, lost = below(&w, w.count);
    for (size_t i = 0; i < w.count; i++)
        up += !w.down[i];
    while (w.down[lost])
        lost = (lost + 1) % w.count;
    note_owners(&w, before);
    if (up > 1) {
        w.down[lost] = true;
        SEED_CHECK(weir_balancer_mark_down(w.balancer, w.ids[lost]) == WEIR_OK);
        note_owners(&w, without);
        for (size_t key = 0; key < KEYS && w.algorithm != WEIR_MAGLEV; key++)
            SEED_CHECK(before[key] == lost || without[key] == before[key]);
        w.down[lost] = false;
        SEED_CHECK(weir_balancer_mark_up(w.balancer, w.ids[lost]) == WEIR_OK);
    }
    note_owners(&w, after);
    SEED_CHECK(memcmp(before, after, sizeof before) == 0);
    end(&w);
}

static void a_flip_moves_the_keys_of_that_member_alone_and_back(void **state)
{
    (void)state;
    seeds_run(2000, keys_move_and_return);
}

/* ---- Bounded loads ---- */

/* ceil(all * weight / weights * factor), where all has this call in it. */
static uint64_t bound_of(const world *w, size_t at)
{
    uint64_t weights = 0;
    for (size_t i = 0; i < w->count; i++)
        weights += w->down[i] ? 0 : w->weights[i];
    uint64_t const scale = weights * 100;
    return ((w->holding + 1) * w->weights[at] * w->load_factor + scale - 1) / scale;
}

static void step_pick(world *w)
{
    if (w->holding == HELD)
        return;
    weir_pick_options const options = {.hash = 1 + below(w, 4)}; /* Few keys, all hot. */
    weir_pick *const pick = &w->held[w->holding];
    SEED_CHECK(weir_balancer_pick(w->balancer, &options, pick) == WEIR_OK);
    size_t const at = index_of(pick->member);
    w->in_flight[at]++;
    SEED_CHECK(!w->down[at] && w->in_flight[at] <= bound_of(w, at));
    w->holding++;
}

static void step_done(world *w)
{
    if (w->holding == 0)
        return;
    size_t const which = below(w, w->holding);
    w->in_flight[index_of(w->held[which].member)]--;
    SEED_CHECK(weir_balancer_done(w->balancer, &w->held[which], WEIR_SUCCESS, 1) == WEIR_OK);
    w->held[which] = w->held[--w->holding];
}

/* Only while nobody holds a call: those on a member that went down count as everyone's load. */
static void step_flip(world *w)
{
    size_t const at = below(w, w->count);
    size_t up = 0;
    for (size_t i = 0; i < w->count; i++)
        up += !w->down[i];
    if (w->holding > 0 || (up == 1 && !w->down[at]))
        return;
    SEED_CHECK((w->down[at] ? weir_balancer_mark_up
                            : weir_balancer_mark_down)(w->balancer, w->ids[at]) == WEIR_OK);
    w->down[at] = !w->down[at];
}

static void bounds_are_kept(uint64_t seed)
{
    static world w;
    begin(&w, seed, true);
    for (int i = 0; i < 400; i++) {
        uint64_t const kind = below(&w, 100);
        if (kind < 45)
            step_pick(&w);
        else if (kind < 95)
            step_done(&w);
        else
            step_flip(&w);
    }
    end(&w);
}

static void no_pick_takes_a_member_above_its_bound(void **state)
{
    (void)state;
    seeds_run(2000, bounds_are_kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flip_moves_the_keys_of_that_member_alone_and_back),
        cmocka_unit_test(no_pick_takes_a_member_above_its_bound),
    };
    return cmocka_run_group_tests_name("balancer hash simulation", tests, NULL, NULL);
}

/* Random calls, reservations, cancels, clock steps and updates: whatever the order, no window
 * ever holds more than the burst and what its length brings. */
#include "support/seeds.h"

#include "base/rng.h"

#include <weir/limiter.h>

#define STEPS 60

typedef struct admission {
    uint64_t at_ns;
    uint64_t cost;
} admission;

typedef struct world {
    fake_env fake;
    weir__rng rng;
    weir_limiter *limiter;
    uint64_t interval_ns;
    uint64_t burst;
    admission admitted[STEPS * 2];
    size_t count;
    weir_reservation pending[STEPS];
    size_t pendings;
} world;

static uint64_t below(world *w, uint64_t bound)
{
    return weir__rng_below(&w->rng, bound);
}

static void admit(world *w, uint64_t at_ns, uint64_t cost)
{
    w->admitted[w->count++] = (admission){at_ns, cost};
}

static int by_time(const void *a, const void *b)
{
    const admission *const x = a;
    const admission *const y = b;
    return (x->at_ns > y->at_ns) - (x->at_ns < y->at_ns);
}

/* Every window that starts and ends with an admission, by brute force. */
static void expect_no_window_overrun(world *w)
{
    qsort(w->admitted, w->count, sizeof w->admitted[0], by_time);
    for (size_t first = 0; first < w->count; first++) {
        uint64_t total = 0;
        for (size_t last = first; last < w->count; last++) {
            total += w->admitted[last].cost;
            uint64_t const length_ns = w->admitted[last].at_ns - w->admitted[first].at_ns;
            SEED_CHECK(total <= w->burst + length_ns / w->interval_ns);
        }
    }
}

/* What is still booked will be used. */
static void use_all_pending(world *w)
{
    for (size_t i = 0; i < w->pendings; i++)
        if (w->pending[i].cost > 0)
            admit(w, w->pending[i].ready_ns, w->pending[i].cost);
    w->pendings = 0;
}

static void step_try(world *w)
{
    uint64_t const cost = 1 + below(w, w->burst);
    uint64_t wait_ns = 0;
    if (weir_limiter_try_at(w->limiter, cost, w->fake.now_ns, &wait_ns) == WEIR_OK)
        admit(w, w->fake.now_ns, cost);
    else
        SEED_CHECK(wait_ns > 0 && wait_ns != WEIR_NEVER);
}

static void step_reserve(world *w)
{
    uint64_t const cost = 1 + below(w, w->burst);
    uint64_t const max_ns = below(w, w->burst * w->interval_ns * 3);
    weir_reservation *const r = &w->pending[w->pendings];
    if (weir_limiter_reserve(w->limiter, cost, w->fake.now_ns, max_ns, r) == WEIR_OK) {
        SEED_CHECK(r->ready_ns >= w->fake.now_ns && r->ready_ns - w->fake.now_ns <= max_ns);
        w->pendings++;
    } else {
        SEED_CHECK(r->ready_ns - w->fake.now_ns > max_ns);
    }
}

static void step_cancel(world *w)
{
    if (w->pendings == 0)
        return;
    /* The newest as often as any. */
    size_t const i = below(w, 2) == 0 ? w->pendings - 1 : below(w, w->pendings);
    weir_reservation *const r = &w->pending[i];
    if (r->cost > 0 && w->fake.now_ns > r->ready_ns)
        admit(w, r->ready_ns, r->cost); /* Too late: it has been used. */
    uint64_t const cost = r->cost;
    uint64_t const given_ns = weir_limiter_cancel(w->limiter, r, w->fake.now_ns);
    SEED_CHECK(given_ns <= cost * w->interval_ns && r->cost == 0);
    SEED_CHECK(weir_limiter_cancel(w->limiter, r, w->fake.now_ns) == 0);
    if (i == w->pendings - 1)
        w->pendings--;
}

static void step(world *w)
{
    uint64_t const kind = below(w, 10);
    if (kind < 1)
        step_try(w);
    else if (kind < 6)
        step_reserve(w);
    else if (kind < 9)
        step_cancel(w);
    else
        w->fake.now_ns += below(w, w->interval_ns * (1 + below(w, 2 * w->burst)));
}

static void begin(world *w, uint64_t seed)
{
    *w = (world){.fake = {.now_ns = 1000}};
    weir__rng_seed(&w->rng, seed);
    weir_env const env = fake_env_hooks(&w->fake);
    weir_limiter_options options = WEIR_LIMITER_OPTIONS_INIT;
    options.limit = 1;
    options.period_ns = w->interval_ns = 1 + below(w, 3);
    options.burst = w->burst = 1 + below(w, 12);
    options.env = &env;
    SEED_CHECK(weir_limiter_create(&w->limiter, &options) == WEIR_OK);
}

static void no_window_overrun(uint64_t seed)
{
    static world w;
    begin(&w, seed);
    for (int i = 0; i < STEPS; i++)
        step(&w);
    use_all_pending(&w);
    expect_no_window_overrun(&w);
    weir_limiter_destroy(w.limiter);
    SEED_CHECK(w.fake.live_bytes == 0);
}

static void never_more_than_burst_and_rate_in_any_window(void **state)
{
    (void)state;
    seeds_run(20000, no_window_overrun);
}

/* Under changing rates, the permits that time brings are those of the rate in force. */
static void updates_keep_what_was_taken(uint64_t seed)
{
    static world w;
    begin(&w, seed);
    weir_env const env = fake_env_hooks(&w.fake);
    weir_limiter_options options = WEIR_LIMITER_OPTIONS_INIT;
    options.limit = 1;
    options.burst = w.burst;
    options.env = &env;
    double allowed = (double)w.burst;
    double taken = 0;
    for (int i = 0; i < STEPS; i++) {
        uint64_t const passed_ns = below(&w, 3 * w.interval_ns);
        w.fake.now_ns += passed_ns;
        allowed += (double)passed_ns / (double)w.interval_ns;
        for (size_t before = w.count; before <= w.count && below(&w, 4) > 0; before++)
            step_try(&w);
        weir_limiter_stats old;
        weir_limiter_stats new;
        weir_limiter_get_stats(w.limiter, w.fake.now_ns, &old);
        options.period_ns = w.interval_ns = 1 + below(&w, 1000);
        SEED_CHECK(weir_limiter_update(w.limiter, &options) == WEIR_OK);
        weir_limiter_get_stats(w.limiter, w.fake.now_ns, &new);
        SEED_CHECK(new.remaining == old.remaining);
    }
    for (size_t i = 0; i < w.count; i++)
        taken += (double)w.admitted[i].cost;
    SEED_CHECK(taken <= allowed + 1e-6);
    weir_limiter_destroy(w.limiter);
}

static void an_update_mints_nothing(void **state)
{
    (void)state;
    seeds_run(3000, updates_keep_what_was_taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_more_than_burst_and_rate_in_any_window),
        cmocka_unit_test(an_update_mints_nothing),
    };
    return cmocka_run_group_tests_name("limiter simulation", tests, NULL, NULL);
}

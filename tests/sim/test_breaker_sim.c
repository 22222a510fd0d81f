/* Random outcomes, late, lost and doubled permits, clocks that step, states by hand and updates:
 * whatever the order, a breaker keeps its bounds, tells a story that hangs together, and closes
 * once all is well. */
#include "support/seeds.h"

#include "base/rng.h"

#include <weir/breaker.h>

#include <string.h>

#define MS    UINT64_C(1000000)
#define STEPS 300
#define HELD  48

/* Upper bounds of what is drawn; together they bound the way back to CLOSED. */
#define MAX_REST_MS  500
#define MAX_LEASE_MS 300
#define MAX_RAMP_MS  200
#define MAX_PROBES   6

typedef struct world {
    fake_env fake;
    weir__rng rng;
    weir_breaker *breaker;
    weir_breaker_options options;
    uint64_t latest_ns;   /* The clock's highest so far. */
    uint32_t most_probes; /* Under the options of this generation. */
    bool updated;         /* In this generation: fewer places may give probes up. */
    uint64_t generation;
    uint64_t counted; /* Outcomes reported for this generation. */
    uint64_t refused;
    weir_breaker_permit held[HELD];
    size_t holding;
    weir_breaker_event last;
    uint64_t digest;
} world;

static uint64_t below(world *w, uint64_t bound)
{
    return weir__rng_below(&w->rng, bound);
}

static uint32_t between(world *w, uint32_t least, uint32_t most)
{
    return least + (uint32_t)below(w, most - least + 1);
}

static void note(world *w, uint64_t value)
{
    w->digest = (w->digest ^ value) * UINT64_C(1099511628211);
}

static bool is_manual(weir_breaker_state state)
{
    return state == WEIR_BREAKER_DISABLED || state == WEIR_BREAKER_METRICS_ONLY ||
           state == WEIR_BREAKER_FORCED_OPEN;
}

/* ---- Events ---- */

static bool reaches(uint32_t part, uint32_t calls, uint32_t percent)
{
    return percent > 0 && (uint64_t)part * 100 >= (uint64_t)calls * percent;
}

static bool is_judged(weir_breaker_state state)
{
    return state == WEIR_BREAKER_CLOSED || state == WEIR_BREAKER_RECOVERING;
}

/* Whether the diagram has this arrow, and the counts are a reason for it. */
static bool is_reasonable(const world *w, const weir_breaker_event *e)
{
    const weir_breaker_options *const o = &w->options;
    switch (e->reason) {
    case WEIR_BREAKER_FAILURE_RATE:
        return is_judged(e->from) && e->to == WEIR_BREAKER_OPEN && e->calls >= o->min_calls &&
               reaches(e->failures, e->calls, o->failure_percent);
    case WEIR_BREAKER_SLOW_RATE:
        return is_judged(e->from) && e->to == WEIR_BREAKER_OPEN && e->calls >= o->min_calls &&
               reaches(e->slow, e->calls, o->slow_percent);
    case WEIR_BREAKER_STREAK:
        return is_judged(e->from) && e->to == WEIR_BREAKER_OPEN && o->consecutive_failures > 0;
    case WEIR_BREAKER_REST_OVER:
        return e->from == WEIR_BREAKER_OPEN && e->to == WEIR_BREAKER_HALF_OPEN &&
               e->at_ns >= w->last.until_ns;
    case WEIR_BREAKER_PROBES_ILL:
        return e->from == WEIR_BREAKER_HALF_OPEN && e->to == WEIR_BREAKER_OPEN;
    case WEIR_BREAKER_PROBES_WELL:
        return e->from == WEIR_BREAKER_HALF_OPEN && is_judged(e->to) &&
               (o->ramp_ms > 0) == (e->to == WEIR_BREAKER_RECOVERING);
    case WEIR_BREAKER_PROBE_LOST:
        return e->from == WEIR_BREAKER_HALF_OPEN && e->to == WEIR_BREAKER_HALF_OPEN;
    case WEIR_BREAKER_RAMP_OVER:
        return e->from == WEIR_BREAKER_RECOVERING && e->to == WEIR_BREAKER_CLOSED;
    case WEIR_BREAKER_RETRY_AFTER: return !is_manual(e->from) && e->to == WEIR_BREAKER_OPEN;
    case WEIR_BREAKER_BY_HAND: return is_manual(e->to) || e->to == WEIR_BREAKER_CLOSED;
    }
    return false;
}

static void on_event(const weir_breaker_event *event, void *user)
{
    world *const w = user;
    SEED_CHECK(event->from == w->last.to && event->at_ns >= w->last.at_ns);
    SEED_CHECK(event->reason == WEIR_BREAKER_PROBE_LOST ? event->generation == w->last.generation
                                                        : event->generation > w->last.generation);
    SEED_CHECK((event->to == WEIR_BREAKER_OPEN) == (event->until_ns != 0));
    SEED_CHECK(event->failures <= event->calls && event->slow <= event->calls);
    SEED_CHECK(event->dropped == 0);
    SEED_CHECK(is_reasonable(w, event));
    if (event->reason != WEIR_BREAKER_PROBE_LOST) {
        w->generation = event->generation;
        w->counted = 0;
        w->most_probes = w->options.probe_calls;
        w->updated = false;
    }
    w->last = *event;
    note(w, (uint64_t)event->reason << 32 | event->calls);
}

/* ---- What must always hold ---- */

static uint32_t probes_out(const world *w)
{
    uint32_t count = 0;
    for (size_t i = 0; i < w->holding; i++)
        count += w->held[i].generation == w->generation && w->held[i].probe != 0 &&
                 w->latest_ns < w->held[i].entered_ns + w->options.probe_lease_ms * MS;
    return count;
}

static weir_breaker_stats look(world *w)
{
    weir_breaker_stats stats;
    weir_breaker_get_stats(w->breaker, &stats);
    SEED_CHECK(stats.generation == w->generation || w->last.generation == 0);
    SEED_CHECK(stats.state == w->last.to);
    SEED_CHECK(stats.failures <= stats.calls && stats.slow <= stats.calls);
    SEED_CHECK(stats.calls <= w->counted);
    SEED_CHECK(stats.probes <= w->most_probes && (w->updated || probes_out(w) <= stats.probes));
    if (stats.state == WEIR_BREAKER_HALF_OPEN && !w->updated) /* Those back count as well. */
        SEED_CHECK(stats.probes + stats.calls <= w->most_probes);
    SEED_CHECK(stats.refused == w->refused);
    if (stats.state != WEIR_BREAKER_HALF_OPEN && w->options.window == WEIR_BREAKER_COUNT_WINDOW)
        SEED_CHECK(stats.calls <= w->options.window_calls);
    return stats;
}

static void expect_nothing_changes(world *w, weir_breaker_permit *permit)
{
    weir_breaker_stats const before = look(w);
    weir_breaker_leave(w->breaker, permit, WEIR_FAILURE);
    weir_breaker_stats const after = look(w);
    SEED_CHECK(after.state == before.state && after.generation == before.generation);
    SEED_CHECK(after.calls == before.calls && after.failures == before.failures);
    SEED_CHECK(after.probes == before.probes && after.streak == before.streak);
}

/* ---- Steps ---- */

static bool may_refuse(weir_breaker_state state)
{
    return state == WEIR_BREAKER_OPEN || state == WEIR_BREAKER_HALF_OPEN ||
           state == WEIR_BREAKER_RECOVERING || state == WEIR_BREAKER_FORCED_OPEN;
}

static bool step_enter(world *w)
{
    weir_breaker_permit permit;
    uint64_t retry_after_ns = 0;
    if (w->holding == HELD)
        w->holding -= HELD / 2; /* Lost. */
    int const result = weir_breaker_enter(w->breaker, &permit, &retry_after_ns);
    weir_breaker_state const state = w->last.to; /* After what it may have caused. */
    note(w, (uint64_t)-result);
    if (result == WEIR_OK) {
        SEED_CHECK(state != WEIR_BREAKER_OPEN && state != WEIR_BREAKER_FORCED_OPEN);
        SEED_CHECK((permit.probe != 0) == (state == WEIR_BREAKER_HALF_OPEN));
        w->held[w->holding++] = permit;
        return true;
    }
    w->refused++;
    SEED_CHECK(result == WEIR_EOPEN && may_refuse(state));
    SEED_CHECK((retry_after_ns == WEIR_NEVER) == (state == WEIR_BREAKER_FORCED_OPEN));
    if (state == WEIR_BREAKER_OPEN) /* By the clock as it is, stepped back or not. */
        SEED_CHECK(retry_after_ns == w->last.until_ns - w->fake.now_ns);
    return false;
}

static bool is_counted(weir_outcome outcome)
{
    return outcome == WEIR_SUCCESS || outcome == WEIR_FAILURE || outcome == WEIR_TIMEOUT;
}

static void leave(world *w, size_t at, weir_outcome outcome)
{
    weir_breaker_permit permit = w->held[at];
    w->held[at] = w->held[--w->holding];
    if (permit.generation != w->last.generation) {
        expect_nothing_changes(w, &permit); /* Late. */
        return;
    }
    weir_breaker_permit copy = permit;
    w->counted += is_counted(outcome);
    weir_breaker_leave(w->breaker, &permit, outcome);
    SEED_CHECK(permit.generation == 0);
    expect_nothing_changes(w, &permit);
    if (copy.probe != 0)
        expect_nothing_changes(w, &copy);
}

static void step_leave(world *w, uint64_t ill_percent)
{
    if (w->holding == 0)
        return;
    size_t const at = below(w, 2) == 0 ? w->holding - 1 : below(w, w->holding);
    if (below(w, 10) == 0)
        leave(w, at, (weir_outcome)below(w, WEIR_CANCELLED + 1));
    else if (below(w, 10) > 0)
        leave(w, at, below(w, 100) < ill_percent ? WEIR_FAILURE : WEIR_SUCCESS);
    else
        w->held[at] = w->held[--w->holding]; /* Lost. */
}

static void step_clock(world *w)
{
    static const uint64_t longest_ms[] = {1, 10, 100, 1000};
    uint64_t const ns = below(w, longest_ms[below(w, 4)] * MS);
    if (below(w, 10) == 0)
        w->fake.now_ns -= ns < w->fake.now_ns ? ns : w->fake.now_ns;
    else
        w->fake.now_ns += ns;
    if (w->fake.now_ns > w->latest_ns)
        w->latest_ns = w->fake.now_ns;
    /* The breaker knows a time once it has been asked. */
    weir_breaker_stats stats;
    weir_breaker_get_stats(w->breaker, &stats);
}

static void draw_options(world *w)
{
    weir_breaker_options *const o = &w->options;
    o->window = (weir_breaker_window)below(w, 2);
    o->window_calls = between(w, 1, 40);
    o->min_calls = between(w, 1, o->window_calls);
    o->window_buckets = between(w, 1, 10);
    o->window_ms = between(w, o->window_buckets, 500);
    o->failure_percent = below(w, 4) == 0 ? 0 : between(w, 1, 100);
    o->slow_percent = below(w, 2) == 0 ? 0 : between(w, 1, 100);
    o->slow_ms = between(w, 1, 50);
    o->consecutive_failures = between(w, 0, 5);
    o->open_max_ms = between(w, 1, MAX_REST_MS);
    o->open_ms = between(w, 1, o->open_max_ms);
    o->open_factor_percent = between(w, 100, 1000);
    o->open_jitter_percent = between(w, 0, 100);
    o->healthy_ms = between(w, 1, 2000);
    o->probe_calls = between(w, 1, MAX_PROBES);
    o->verdict = (weir_breaker_verdict)below(w, 2);
    o->probe_lease_ms = between(w, 1, MAX_LEASE_MS);
    o->ramp_ms = below(w, 2) == 0 ? 0 : between(w, 1, MAX_RAMP_MS);
    o->ramp_start_percent = between(w, 1, 100);
}

static void step_update(world *w)
{
    draw_options(w);
    if (w->options.probe_calls > w->most_probes)
        w->most_probes = w->options.probe_calls;
    w->updated = true;
    SEED_CHECK(weir_breaker_update(w->breaker, &w->options) == WEIR_OK);
}

static void step_by_hand(world *w)
{
    static const weir_breaker_state states[] = {WEIR_BREAKER_DISABLED, WEIR_BREAKER_METRICS_ONLY,
                                                WEIR_BREAKER_FORCED_OPEN, WEIR_BREAKER_CLOSED};
    if (below(w, 3) == 0) {
        weir_breaker_open_until(w->breaker, w->latest_ns + below(w, MAX_REST_MS * MS));
        return;
    }
    weir_breaker_state const state = states[below(w, 4)];
    SEED_CHECK(weir_breaker_force(w->breaker, state) == WEIR_OK);
    SEED_CHECK(w->last.to == state);
}

static void step(world *w, uint64_t ill_percent)
{
    uint64_t const kind = below(w, 100);
    if (kind < 40)
        (void)step_enter(w);
    else if (kind < 80)
        step_leave(w, ill_percent);
    else if (kind < 95)
        step_clock(w);
    else if (kind < 97)
        step_update(w);
    else if (kind < 98)
        step_by_hand(w);
    (void)look(w);
}

/* ---- Worlds ---- */

static void begin(world *w, uint64_t seed)
{
    *w = (world){.fake = {.now_ns = 1000 * MS}, .latest_ns = 1000 * MS};
    weir__rng_seed(&w->rng, seed);
    w->fake.random = weir__rng_next(&w->rng);
    weir_env const env = fake_env_hooks(&w->fake);
    w->options = (weir_breaker_options)WEIR_BREAKER_OPTIONS_INIT;
    draw_options(w);
    w->most_probes = w->options.probe_calls;
    w->options.on_event = on_event;
    w->options.user = w;
    w->options.env = &env;
    SEED_CHECK(weir_breaker_create(&w->breaker, &w->options) == WEIR_OK);
    w->options.env = NULL;
    weir_breaker_stats stats;
    weir_breaker_get_stats(w->breaker, &stats);
    w->last.generation = w->generation = stats.generation;
}

/* The service is well, calls go on, permits from before are lost: closed after the longest rest,
 * lease and ramp, and a step for each probe. */
static void expect_healing(world *w)
{
    uint64_t const step_ns = 5 * MS;
    uint64_t const bound_ns =
        (MAX_REST_MS + MAX_LEASE_MS + MAX_RAMP_MS) * MS + (MAX_PROBES + 2) * step_ns;
    if (is_manual(w->last.to))
        SEED_CHECK(weir_breaker_force(w->breaker, WEIR_BREAKER_CLOSED) == WEIR_OK);
    w->holding = 0;
    w->options.slow_percent = 0;
    SEED_CHECK(weir_breaker_update(w->breaker, &w->options) == WEIR_OK);
    w->fake.now_ns = w->latest_ns;
    for (uint64_t passed_ns = 0; passed_ns < bound_ns; passed_ns += step_ns) {
        w->fake.now_ns = w->latest_ns = w->latest_ns + step_ns;
        if (step_enter(w))
            leave(w, w->holding - 1, WEIR_SUCCESS);
    }
    for (int i = 0; i < 20; i++) {
        SEED_CHECK(step_enter(w) && w->last.to == WEIR_BREAKER_CLOSED);
        leave(w, w->holding - 1, WEIR_SUCCESS);
    }
}

static uint64_t live(uint64_t seed)
{
    static world w;
    begin(&w, seed);
    for (int spell = 0; spell < 3; spell++) {
        uint64_t const ill_percent = below(&w, 101);
        for (int i = 0; i < STEPS / 3; i++)
            step(&w, ill_percent);
    }
    expect_healing(&w);
    weir_breaker_destroy(w.breaker);
    SEED_CHECK(w.fake.live_bytes == 0);
    return w.digest;
}

static void promises_are_kept(uint64_t seed)
{
    uint64_t const digest = live(seed);
    SEED_CHECK(seed % 16 != 0 || live(seed) == digest);
}

static void bounds_hold_and_a_well_service_is_let_back_in(void **state)
{
    (void)state;
    seeds_run(5000, promises_are_kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_hold_and_a_well_service_is_let_back_in),
    };
    return cmocka_run_group_tests_name("breaker simulation", tests, NULL, NULL);
}

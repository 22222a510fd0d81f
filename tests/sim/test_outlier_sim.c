/* Random results, late ones, hosts that come and go, clocks that step, ejections by hand and
 * updates: whatever the order, an outlier detector keeps its bounds, tells a story that hangs
 * together, and lets everybody back in. */
#include "support/seeds.h"

#include "base/rng.h"

#include <weir/outlier.h>

#include <stdio.h>
#include <string.h>

#define MS    UINT64_C(1000000)
#define STEPS 300
#define HOSTS 24

/* Upper bounds of what is drawn; together they bound an ejection. */
#define MAX_EJECTION_MS 5000
#define MAX_JITTER_MS   1000

typedef struct member {
    weir_outlier_host *host;
    bool here, ejected; /* As told. */
    uint64_t until_ns;
    uint64_t ejections;
    uint32_t times; /* When last looked at. */
} member;

typedef struct world {
    fake_env fake;
    weir__rng rng;
    weir_outlier *outlier;
    weir_outlier_options options;
    member members[HOSTS];
    uint64_t latest_ns; /* The clock's highest so far. */
    uint64_t ejections;
    bool by_hand; /* An ejection by hand is under way. */
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

static uint32_t count_members(const world *w, bool ejected)
{
    uint32_t count = 0;
    for (size_t i = 0; i < HOSTS; i++)
        count += w->members[i].here && (!ejected || w->members[i].ejected);
    return count;
}

/* ---- Events ---- */

/* The promise of the header, in its own words. */
static uint32_t share(const world *w)
{
    uint32_t const hosts = count_members(w, false);
    uint32_t most = hosts * w->options.max_ejected_percent / 100;
    if (most == 0 && w->options.always_one)
        most = 1;
    return most < hosts ? most : hosts - 1;
}

static bool is_enabled(const world *w, weir_outlier_detection detection)
{
    const weir_outlier_options *const o = &w->options;
    switch (detection) {
    case WEIR_OUTLIER_CONSECUTIVE: return o->consecutive_failures > 0;
    case WEIR_OUTLIER_CONSECUTIVE_GATEWAY: return o->consecutive_gateway > 0;
    case WEIR_OUTLIER_CONSECUTIVE_LOCAL: return o->consecutive_local > 0 && o->split_local;
    case WEIR_OUTLIER_SUCCESS_RATE: return o->success_rate_factor > 0;
    case WEIR_OUTLIER_LOCAL_SUCCESS_RATE: return o->success_rate_factor > 0 && o->split_local;
    case WEIR_OUTLIER_FAILURE_PERCENT: return o->failure_percent > 0;
    case WEIR_OUTLIER_LOCAL_FAILURE_PERCENT: return o->failure_percent > 0 && o->split_local;
    case WEIR_OUTLIER_LATENCY: return o->latency_percent > 0;
    case WEIR_OUTLIER_BY_HAND: return w->by_hand;
    }
    return false;
}

/* Whether the figure is on the side of the threshold that it was found for, of calls enough. */
static bool is_reasonable(const world *w, const weir_outlier_event *e)
{
    const weir_outlier_options *const o = &w->options;
    switch (e->detection) {
    case WEIR_OUTLIER_CONSECUTIVE:
    case WEIR_OUTLIER_CONSECUTIVE_GATEWAY:
    case WEIR_OUTLIER_CONSECUTIVE_LOCAL: return e->figure >= e->threshold && e->threshold >= 1;
    case WEIR_OUTLIER_SUCCESS_RATE:
    case WEIR_OUTLIER_LOCAL_SUCCESS_RATE:
        return e->figure < e->threshold && e->figure >= 0 && e->threshold <= 100 &&
               e->calls >= o->success_rate_min_calls && e->hosts >= o->success_rate_min_hosts;
    case WEIR_OUTLIER_FAILURE_PERCENT:
    case WEIR_OUTLIER_LOCAL_FAILURE_PERCENT:
        return e->figure >= e->threshold && e->figure <= 100 &&
               e->calls >= o->failure_percent_min_calls && e->hosts >= o->failure_percent_min_hosts;
    case WEIR_OUTLIER_LATENCY:
        return e->figure > e->threshold && e->threshold >= (double)(o->latency_floor_ms * MS) &&
               e->calls >= o->latency_min_calls && e->hosts >= o->latency_min_hosts;
    case WEIR_OUTLIER_BY_HAND: return true;
    }
    return false;
}

static void on_ejected(world *w, member *m, const weir_outlier_event *e)
{
    const weir_outlier_options *const o = &w->options;
    uint64_t const times_ms = (uint64_t)e->times * o->base_ms;
    uint64_t const for_ms = times_ms < o->max_ms ? times_ms : o->max_ms;
    SEED_CHECK(!o->dry_run || w->by_hand);
    SEED_CHECK(m->here && !m->ejected && e->times >= 1 && e->times <= m->times + 1);
    SEED_CHECK(e->until_ns - e->at_ns >= for_ms * MS);
    SEED_CHECK(e->until_ns - e->at_ns <= (for_ms + o->jitter_ms) * MS);
    m->ejected = true;
    m->until_ns = e->until_ns;
    m->ejections++;
    w->ejections++;
    SEED_CHECK(e->ejected == count_members(w, true));
    SEED_CHECK(e->ejected < e->hosts); /* Never the last. */
    SEED_CHECK(w->by_hand || e->ejected <= share(w));
}

static void on_event(const weir_outlier_event *e, void *user)
{
    world *const w = user;
    member *const m = &w->members[strtoul(e->id, NULL, 10)];
    SEED_CHECK(e->user == m && e->at_ns == w->latest_ns);
    SEED_CHECK(e->hosts == count_members(w, false));
    SEED_CHECK(e->kind == WEIR_OUTLIER_RETURNED ||
               (is_enabled(w, e->detection) && is_reasonable(w, e)));
    switch (e->kind) {
    case WEIR_OUTLIER_EJECTED: on_ejected(w, m, e); break;
    case WEIR_OUTLIER_RETURNED:
        SEED_CHECK(m->ejected);
        m->ejected = false;
        break;
    case WEIR_OUTLIER_DETECTED: SEED_CHECK(w->options.dry_run); break;
    case WEIR_OUTLIER_SPARED: SEED_CHECK(count_members(w, true) >= share(w)); break;
    }
    note(w, (uint64_t)e->kind << 40 | (uint64_t)e->detection << 32 | e->ejected);
    note(w, e->until_ns);
}

/* ---- What must always hold ---- */

static void look(world *w)
{
    weir_outlier_stats stats;
    weir_outlier_get_stats(w->outlier, &stats);
    SEED_CHECK(stats.hosts == count_members(w, false));
    SEED_CHECK(stats.ejected == count_members(w, true));
    SEED_CHECK(stats.ejections == w->ejections && stats.dropped == 0);
    for (size_t i = 0; i < HOSTS; i++) {
        member *const m = &w->members[i];
        weir_outlier_host_stats host;
        if (m->host == NULL)
            continue;
        weir_outlier_get_host(m->host, &host);
        SEED_CHECK(weir_outlier_is_ejected(m->host) == (m->ejected || !m->here));
        SEED_CHECK(host.ejected == (m->ejected && m->here) && host.ejections == m->ejections);
        SEED_CHECK(!host.ejected || host.until_ns == m->until_ns);
        m->times = host.times;
    }
}

/* ---- Steps ---- */

static void step_record(world *w, uint64_t ill_percent)
{
    member *const m = &w->members[below(w, HOSTS)];
    bool const ill = m < &w->members[HOSTS / 4];
    if (m->host == NULL)
        return;
    for (uint64_t calls = below(w, 40); calls > 0; calls--) {
        weir_outcome outcome = ill && below(w, 100) < ill_percent ? WEIR_FAILURE : WEIR_SUCCESS;
        weir_outlier_origin const origin = (weir_outlier_origin)below(w, 3);
        uint64_t const latency_ns = (ill ? ill_percent : 1) * MS + below(w, MS);
        if (below(w, 10) == 0)
            outcome = (weir_outcome)below(w, WEIR_CANCELLED + 1);
        weir_outlier_record(m->host, outcome, origin, latency_ns, w->fake.now_ns);
    }
}

static uint64_t run_task(world *w)
{
    weir_task const task = weir_outlier_task(w->outlier);
    uint64_t const next_ns = task.run(task.self, w->fake.now_ns);
    uint32_t const hosts = count_members(w, false);
    SEED_CHECK(next_ns > w->latest_ns);
    SEED_CHECK(hosts == 0 || count_members(w, true) < hosts); /* Somebody serves. */
    for (size_t i = 0; i < HOSTS; i++) /* Whose time is over is back; the next is not forgotten. */
        if (w->members[i].here && w->members[i].ejected)
            SEED_CHECK(w->members[i].until_ns >= next_ns);
    return next_ns;
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
    (void)run_task(w);
}

static void draw_options(world *w)
{
    weir_outlier_options *const o = &w->options;
    o->consecutive_failures = between(w, 0, 8);
    o->consecutive_gateway = between(w, 0, 8);
    o->consecutive_local = between(w, 0, 8);
    o->split_local = below(w, 2) == 0;
    o->success_rate_factor = below(w, 2) == 0 ? 0 : between(w, 1, 3000);
    o->success_rate_min_hosts = between(w, 2, 6);
    o->success_rate_min_calls = between(w, 1, 30);
    o->failure_percent = below(w, 2) == 0 ? 0 : between(w, 1, 100);
    o->failure_percent_min_hosts = between(w, 1, 6);
    o->failure_percent_min_calls = between(w, 1, 30);
    o->latency_percent = below(w, 2) == 0 ? 0 : between(w, 101, 500);
    o->latency_floor_ms = between(w, 0, 20);
    o->latency_min_hosts = between(w, 2, 6);
    o->latency_min_calls = between(w, 1, 30);
    o->interval_ms = between(w, 1, 500);
    o->max_ms = between(w, 1, MAX_EJECTION_MS);
    o->base_ms = between(w, 1, o->max_ms);
    o->jitter_ms = between(w, 0, MAX_JITTER_MS);
    o->max_ejected_percent = between(w, 0, 100);
    o->always_one = below(w, 2) == 0;
    o->dry_run = below(w, 8) == 0;
}

static void step_update(world *w)
{
    draw_options(w);
    SEED_CHECK(weir_outlier_update(w->outlier, &w->options) == WEIR_OK);
}

static void add(world *w, member *m)
{
    char id[24];
    (void)snprintf(id, sizeof id, "%zu", (size_t)(m - w->members));
    *m = (member){.here = true};
    SEED_CHECK(weir_outlier_add(w->outlier, id, m, &m->host) == WEIR_OK);
}

/* Comes, leaves, is gone: in this order. */
static void step_member(world *w)
{
    member *const m = &w->members[below(w, HOSTS)];
    if (m->host == NULL) {
        add(w, m);
    } else if (m->here) {
        weir_outlier_leave(m->host);
        m->here = m->ejected = false;
    } else {
        weir_outlier_remove(m->host);
        *m = (member){.host = NULL};
    }
}

static void step_by_hand(world *w)
{
    member *const m = &w->members[below(w, HOSTS)];
    if (m->host == NULL)
        return;
    if (below(w, 2) == 0) {
        bool const was = m->here && m->ejected;
        SEED_CHECK((weir_outlier_uneject(m->host, w->fake.now_ns) == WEIR_OK) == was);
        return;
    }
    bool const can = m->here && !m->ejected && count_members(w, true) + 1 < count_members(w, false);
    w->by_hand = true;
    SEED_CHECK((weir_outlier_eject(m->host, w->fake.now_ns) == WEIR_OK) == can);
    w->by_hand = false;
}

static void step(world *w, uint64_t ill_percent)
{
    uint64_t const kind = below(w, 100);
    if (kind < 60)
        step_record(w, ill_percent);
    else if (kind < 90)
        step_clock(w);
    else if (kind < 93)
        step_update(w);
    else if (kind < 97)
        step_member(w);
    else
        step_by_hand(w);
    look(w);
}

/* ---- Worlds ---- */

static void begin(world *w, uint64_t seed)
{
    *w = (world){.fake = {.now_ns = 1000 * MS}, .latest_ns = 1000 * MS};
    weir__rng_seed(&w->rng, seed);
    w->fake.random = weir__rng_next(&w->rng);
    weir_env const env = fake_env_hooks(&w->fake);
    w->options = (weir_outlier_options)WEIR_OUTLIER_OPTIONS_INIT;
    draw_options(w);
    w->options.on_event = on_event;
    w->options.user = w;
    w->options.env = &env;
    SEED_CHECK(weir_outlier_create(&w->outlier, &w->options) == WEIR_OK);
    w->options.env = NULL;
    for (uint64_t count = below(w, HOSTS + 1), i = 0; i < count; i++)
        add(w, &w->members[i]);
}

/* Everybody is well: the longest ejection later nobody is out, and nobody is ejected again. */
static void expect_healing(world *w)
{
    uint64_t const over_ns = w->latest_ns + (MAX_EJECTION_MS + MAX_JITTER_MS) * MS;
    w->fake.now_ns = w->latest_ns;
    while (w->latest_ns < over_ns) {
        uint64_t const next_ns = run_task(w);
        w->fake.now_ns = w->latest_ns = next_ns < over_ns ? next_ns : over_ns;
    }
    (void)run_task(w);
    look(w);
    SEED_CHECK(count_members(w, true) == 0);
    uint64_t const before = w->ejections;
    for (int sweeps = 0; sweeps < 4; sweeps++) {
        for (size_t i = 0; i < HOSTS; i++)
            for (int call = 0; call < 60 && w->members[i].host != NULL; call++)
                weir_outlier_record(w->members[i].host, WEIR_SUCCESS, WEIR_ORIGIN_SERVER, MS,
                                    w->fake.now_ns);
        w->fake.now_ns = w->latest_ns = w->latest_ns + w->options.interval_ms * MS;
        (void)run_task(w);
    }
    SEED_CHECK(w->ejections == before);
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
    note(&w, w.ejections);
    for (size_t i = 0; i < HOSTS; i++)
        weir_outlier_remove(w.members[i].host);
    weir_outlier_destroy(w.outlier);
    SEED_CHECK(w.fake.live_bytes == 0);
    return w.digest;
}

static void promises_are_kept(uint64_t seed)
{
    uint64_t const digest = live(seed);
    SEED_CHECK(seed % 16 != 0 || live(seed) == digest);
}

static void bounds_hold_and_everybody_is_let_back_in(void **state)
{
    (void)state;
    seeds_run(3000, promises_are_kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_hold_and_everybody_is_let_back_in),
    };
    return cmocka_run_group_tests_name("outlier simulation", tests, NULL, NULL);
}

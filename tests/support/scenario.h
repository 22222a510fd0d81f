/*
 * One scenario: eight services that fail as scripted, behind a caller, and calls that arrive as
 * they do from many clients. What it comes to depends on the seed alone, to the last call.
 */
#ifndef WEIR_TEST_SCENARIO_H
#define WEIR_TEST_SCENARIO_H

#include "support/fake_env.h"

#include <weir/caller.h>
#include <weir/sim.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS      UINT64_C(1000000)
#define MEMBERS 8
#define CALLS   12000
#define SPAN_MS 40000
#define TICK_MS 100 /* Scripts act at multiples of it. */
#define KEYS    1000
#define TIMEOUT (250 * MS)
#define SHARE   (UINT64_C(1) << 20)  /* A call's worth of fair shares. */
#define ENOUGH  (20 * SHARE)         /* A fair share below this says nothing. */
#define SECONDS (SPAN_MS / 1000 + 1) /* The last calls end in one more. */

typedef enum guard {
    GUARD_BREAKER = 1 << 0,
    GUARD_OUTLIER = 1 << 1,
    GUARD_RETRY = 1 << 2,
} guard;

typedef struct world world;

/* Acts on the world at each tick, before the calls of that instant. */
typedef void (*script_fn)(world *w, unsigned at_ms);

/* Calls got against calls due, the latter in SHAREs. */
typedef struct load {
    uint64_t got;
    uint64_t due;
} load;

typedef struct host {
    weir_sim_service *service;
    char id[16];
    const char *zone;
    uint32_t weight;
    bool present; /* In the set. */
    bool flagged; /* By the script: it is due nothing. */
    bool remote;  /* Not preferred while the local zone stands. */
    bool sick;
    load all;
    load seconds[SECONDS];
} host;

typedef struct scenario_call {
    world *w;
    weir_call call;
    uint64_t began_ns;
    uint64_t took_ns;
    uint64_t hash;
    size_t host;
    bool ended;
    bool succeeded;
} scenario_call;

struct world {
    weir_sim *sim;
    weir_caller *caller;
    weir_sim_behaviour well;
    host hosts[MEMBERS];
    bool weighted; /* Fair shares follow the weights. */
    uint64_t start_ns;
    load sick;          /* Of those who are, while they are. */
    unsigned healed_ms; /* When the first member was well again; 0 = no such time. */
    weir_balancer_options balancer;
    weir_breaker_options breaker;
    weir_outlier_options outlier;
    weir_retry_options retry;
    weir_caller_options options;
    script_fn script;
    scenario_call calls[CALLS];
};

/* What a run came to, rounded as it is reported. Loads are in tenths of a fair share. */
typedef struct figures {
    unsigned succeeded; /* Calls. */
    unsigned ended;     /* Calls, whatever their end. */
    unsigned in_flight; /* At the end: what was lost. */
    unsigned success;   /* Per mille, rounded down: 1000 is all. */
    unsigned p50_ms, p99_ms;
    unsigned most;    /* Largest load of a member over the whole run. */
    unsigned peak;    /* Largest load of a member in a second. */
    unsigned sick;    /* Load of the sick while they are. */
    unsigned heals_s; /* Until the first member has half of its share again; 0 = never. */
    bool healed;      /* There was a time for it to. */
    bool any_sick;
} figures;

/* ---- Scripts say what happens by these ---- */

static inline unsigned scenario_now_ms(const world *w)
{
    return (unsigned)((weir_sim_now(w->sim) - w->start_ns) / MS);
}

static inline void behave(world *w, size_t i, const weir_sim_behaviour *behaviour)
{
    assert_int_equal(weir_sim_service_change(w->hosts[i].service, 0, behaviour), WEIR_OK);
}

static inline void link_of(world *w, size_t i, weir_sim_link link)
{
    weir_sim_behaviour behaviour = w->well;
    behaviour.link = link;
    behave(w, i, &behaviour);
}

static inline void flag(world *w, size_t i, weir_member_flag bit, bool set)
{
    w->hosts[i].flagged = set;
    assert_int_equal(weir_balancer_set_flags(weir_caller_balancer(w->caller), w->hosts[i].id,
                                             set ? bit : 0, set ? 0 : bit),
                     WEIR_OK);
}

/* Gives the caller those hosts that are present. */
static inline void announce(world *w)
{
    weir_member members[MEMBERS];
    size_t count = 0;
    for (size_t i = 0; i < MEMBERS; i++) {
        if (!w->hosts[i].present)
            continue;
        weir_member *const member = &members[count++];
        *member = (weir_member)WEIR_MEMBER_INIT;
        member->id = w->hosts[i].id;
        member->zone = w->hosts[i].zone;
        member->weight = w->hosts[i].weight;
        member->user = &w->hosts[i];
        if (w->balancer.algorithm == WEIR_FIRST)
            member->max_in_flight = 4; /* What makes it go on to the next. */
    }
    assert_int_equal(weir_caller_set_members(w->caller, members, count, 0), WEIR_OK);
}

/* ---- Loads ---- */

static inline uint64_t host_weight(const world *w, const host *h)
{
    return w->weighted ? h->weight : 1;
}

static inline bool local_stands(const world *w)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        if (!w->hosts[i].remote && w->hosts[i].present && !w->hosts[i].flagged)
            return true;
    }
    return false;
}

/* Whom this attempt was due, in parts; and who got it. */
static inline void account(world *w, const host *chosen)
{
    bool const local = local_stands(w);
    unsigned const second = scenario_now_ms(w) / 1000;
    uint64_t sum = 0, present = 0;
    for (size_t i = 0; i < MEMBERS; i++) {
        const host *const h = &w->hosts[i];
        present += h->present ? host_weight(w, h) : 0;
        sum += h->present && !h->flagged && h->remote != local ? host_weight(w, h) : 0;
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        host *const h = &w->hosts[i];
        bool const due = h->present && !h->flagged && h->remote != local;
        uint64_t const part = due ? SHARE * host_weight(w, h) / sum : 0;
        h->all.due += part;
        h->seconds[second].due += part;
        h->all.got += h == chosen;
        h->seconds[second].got += h == chosen;
        if (h->sick) {
            w->sick.due += SHARE * host_weight(w, h) / present;
            w->sick.got += h == chosen;
        }
    }
}

static inline unsigned load_tenths(const load *l)
{
    return l->due == 0 ? 0 : (unsigned)((l->got * 10 * SHARE + l->due / 2) / l->due);
}

/* ---- Calls ---- */

static void scenario_retry(uint64_t now_ns, void *user);

static inline void scenario_over(scenario_call *c, bool succeeded)
{
    c->ended = true;
    c->succeeded = succeeded;
    c->took_ns = weir_sim_now(c->w->sim) - c->began_ns;
}

static inline void scenario_answered(const weir_sim_result *result, void *user)
{
    scenario_call *const c = user;
    weir_attempt_result const ended = {.outcome = result->outcome};
    uint64_t retry_at_ns;
    uint64_t const now_ns = weir_sim_now(c->w->sim);
    if (weir_caller_end(&c->call, &ended, now_ns, &retry_at_ns) == WEIR_CALL_RETRY)
        assert_int_equal(weir_sim_at(c->w->sim, retry_at_ns, scenario_retry, c, NULL), WEIR_OK);
    else
        scenario_over(c, result->outcome == WEIR_SUCCESS);
}

static inline void scenario_attempt(scenario_call *c, const weir_attempt *attempt)
{
    const host *const h = attempt->user;
    account(c->w, h);
    assert_int_equal(weir_sim_call(h->service, attempt->deadline_ns - weir_sim_now(c->w->sim),
                                   scenario_answered, c, NULL),
                     WEIR_OK);
}

static inline void scenario_retry(uint64_t now_ns, void *user)
{
    scenario_call *const c = user;
    weir_attempt attempt;
    if (weir_caller_retry(&c->call, now_ns, &attempt, NULL) == WEIR_OK)
        scenario_attempt(c, &attempt);
    else
        scenario_over(c, false);
}

static inline void scenario_begin(uint64_t now_ns, void *user)
{
    scenario_call *const c = user;
    weir_call_options options = WEIR_CALL_OPTIONS_INIT;
    weir_attempt attempt;
    options.hash = c->hash;
    c->began_ns = now_ns;
    if (weir_caller_begin(c->w->caller, &c->call, &options, now_ns, &attempt, NULL) == WEIR_OK)
        scenario_attempt(c, &attempt);
    else
        scenario_over(c, false);
}

/* ---- The world ---- */

static inline uint64_t scenario_tick(void *self, uint64_t now_ns)
{
    world *const w = self;
    w->script(w, scenario_now_ms(w));
    return now_ns + TICK_MS * MS;
}

static inline void scenario_options(world *w, weir_balancer_algorithm algorithm, unsigned guards)
{
    w->balancer = (weir_balancer_options)WEIR_BALANCER_OPTIONS_INIT;
    w->balancer.algorithm = algorithm;
    w->breaker = (weir_breaker_options)WEIR_BREAKER_OPTIONS_INIT;
    w->breaker.consecutive_failures = 5;
    w->breaker.open_ms = 1000;
    w->outlier = (weir_outlier_options)WEIR_OUTLIER_OPTIONS_INIT;
    w->outlier.interval_ms = 1000;
    w->outlier.base_ms = 1000;
    w->outlier.jitter_ms = 0;
    w->outlier.latency_percent = 300;
    w->outlier.latency_min_calls = 5;
    w->retry = (weir_retry_options)WEIR_RETRY_OPTIONS_INIT;
    w->retry.base_ns = 5 * MS;
    w->options = (weir_caller_options)WEIR_CALLER_OPTIONS_INIT;
    w->options.balancer = &w->balancer;
    w->options.breaker = (guards & GUARD_BREAKER) != 0 ? &w->breaker : NULL;
    w->options.outlier = (guards & GUARD_OUTLIER) != 0 ? &w->outlier : NULL;
    w->options.retry = (guards & GUARD_RETRY) != 0 ? &w->retry : NULL;
    w->options.attempt_timeout_ns = TIMEOUT;
    w->options.env = weir_sim_env(w->sim);
}

/* Eight workers and a short queue each, 5 ms and an exponential of 15 ms a call: at rest a member
 * has one call in flight, and there is room for eight times the calls. */
static inline void scenario_add_hosts(world *w)
{
    w->well = (weir_sim_behaviour)WEIR_SIM_BEHAVIOUR_INIT;
    w->well.latency = WEIR_SIM_EXPONENTIAL;
    w->well.min_ns = 5 * MS;
    w->well.mean_ns = 15 * MS;
    w->well.capacity = 8;
    w->well.queue = 32;
    for (size_t i = 0; i < MEMBERS; i++) {
        host *const h = &w->hosts[i];
        *h = (host){.weight = 1, .present = true};
        (void)snprintf(h->id, sizeof h->id, "m%zu", i);
        assert_int_equal(weir_sim_service_create(&h->service, w->sim, &w->well), WEIR_OK);
    }
}

/* As many arrivals, each at any time: a Poisson process of which the count is known. */
static inline void scenario_add_calls(world *w)
{
    for (size_t i = 0; i < CALLS; i++) {
        char key[16];
        int const size =
            snprintf(key, sizeof key, "key-%u", (unsigned)weir_sim_random_below(w->sim, KEYS));
        uint64_t const at_ns = w->start_ns + weir_sim_random_below(w->sim, SPAN_MS * MS);
        w->calls[i] = (scenario_call){.w = w, .hash = weir_balancer_hash(key, (size_t)size)};
        assert_int_equal(weir_sim_at(w->sim, at_ns, scenario_begin, &w->calls[i], NULL), WEIR_OK);
    }
}

/* ---- What it came to ---- */

static inline int scenario_compare(const void *one, const void *other)
{
    uint64_t const a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

static inline void scenario_measure_calls(const world *w, figures *f)
{
    static uint64_t took_ns[CALLS];
    for (size_t i = 0; i < CALLS; i++) {
        f->ended += w->calls[i].ended;
        f->succeeded += w->calls[i].succeeded;
        took_ns[i] = w->calls[i].took_ns;
    }
    qsort(took_ns, CALLS, sizeof took_ns[0], scenario_compare);
    f->success = f->succeeded * 1000 / CALLS;
    f->p50_ms = (unsigned)((took_ns[CALLS / 2 - 1] + MS / 2) / MS); /* By nearest rank. */
    f->p99_ms = (unsigned)((took_ns[CALLS / 100 * 99 - 1] + MS / 2) / MS);
}

static inline void scenario_measure_loads(const world *w, figures *f)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        const host *const h = &w->hosts[i];
        unsigned const all = load_tenths(&h->all);
        f->most = h->all.due >= ENOUGH && all > f->most ? all : f->most;
        for (size_t s = 0; s < SECONDS; s++) {
            unsigned const tenths = load_tenths(&h->seconds[s]);
            f->peak = h->seconds[s].due >= ENOUGH && tenths > f->peak ? tenths : f->peak;
        }
    }
    f->any_sick = w->sick.due > 0;
    f->sick = load_tenths(&w->sick);
    f->healed = w->healed_ms > 0;
    for (size_t s = w->healed_ms / 1000; f->healed && f->heals_s == 0 && s < SPAN_MS / 1000; s++) {
        if (load_tenths(&w->hosts[0].seconds[s]) >= 5)
            f->heals_s = (unsigned)s + 1 - w->healed_ms / 1000;
    }
}

static inline void scenario_count_in_flight(const weir_caller_member *member, void *user)
{
    *(unsigned *)user += member->stats.in_flight;
}

/* `prepare` sets the stage, before the members are announced; NULL for none. */
static inline figures scenario_run(uint64_t seed, weir_balancer_algorithm algorithm,
                                   unsigned guards, void (*prepare)(world *w), script_fn script)
{
    static world w; /* Large. */
    figures f = {.succeeded = 0};
    weir_sim_options options = WEIR_SIM_OPTIONS_INIT;
    options.seed = seed;
    memset(&w, 0, sizeof w);
    assert_int_equal(weir_sim_create(&w.sim, &options), WEIR_OK);
    w.script = script;
    w.start_ns = weir_sim_now(w.sim);
    w.weighted = algorithm != WEIR_ROUND_ROBIN && algorithm != WEIR_LOCALITY_AWARE &&
                 algorithm != WEIR_FIRST;
    scenario_options(&w, algorithm, guards);
    scenario_add_hosts(&w);
    if (prepare != NULL)
        prepare(&w);
    assert_int_equal(weir_caller_create(&w.caller, &w.options), WEIR_OK);
    announce(&w);
    assert_int_equal(weir_sim_add_task(w.sim, (weir_task){scenario_tick, &w}, w.start_ns, NULL),
                     WEIR_OK);
    if ((guards & GUARD_OUTLIER) != 0)
        assert_int_equal(weir_sim_add_task(w.sim, weir_caller_task(w.caller), w.start_ns, NULL),
                         WEIR_OK);
    scenario_add_calls(&w);
    assert_int_equal(weir_sim_run_until(w.sim, w.start_ns + (SPAN_MS + 990) * MS), WEIR_OK);
    scenario_measure_calls(&w, &f);
    scenario_measure_loads(&w, &f);
    weir_caller_visit(w.caller, scenario_count_in_flight, &f.in_flight);
    weir_caller_destroy(w.caller);
    weir_sim_destroy(w.sim);
    return f;
}

#endif

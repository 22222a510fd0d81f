/* A caller with random parts and policies in front of services that fail, hang, drop out and come
 * back, used by calls that end late, twice, or are cancelled: whatever happens, no permit is lost,
 * no bound is passed, and once the services are well, so are the calls. */
#include "support/seeds.h"

#include <weir/caller.h>
#include <weir/sim.h>

#include <stdio.h>

#define MS      UINT64_C(1000000)
#define MEMBERS 4
#define STAYING 3 /* These are never removed. */
#define CALLS   150
#define FAULTS  (600 * MS)  /* How long the services misbehave. */
#define HEALING (3000 * MS) /* The longest rest, timeout and ramp, several times. */
#define PACE    (5 * MS)    /* Between calls after the faults: below the slowest limit. */

typedef struct world world;

typedef struct call {
    world *w;
    weir_call call;
    weir_sim_id attempt;
    uint64_t deadline_ns;
    uint64_t due_ns; /* Of the retry. */
    uint64_t cost;
    size_t member;     /* Of the attempt under way. */
    uint32_t attempts; /* Counted here. */
    bool under_way;
    bool attempting;
    weir_outcome outcome;
} call;

struct world {
    weir_sim *sim;
    weir_caller *caller;
    weir_sim_service *services[MEMBERS];
    char ids[MEMBERS][8];
    weir_balancer_options balancer;
    weir_limiter_options limiter;
    weir_breaker_options breaker;
    weir_retry_options retry;
    weir_caller_options options;
    uint64_t level_ns; /* A leaky bucket beside the limiter: what it holds, and since when. */
    uint64_t level_at_ns;
    uint32_t in_flight[MEMBERS];
    weir_caller_stats expected;
    uint64_t ended; /* Events told. */
    call calls[CALLS];
    bool faulty;  /* Callers are late and impatient as well. */
    bool healthy; /* Each call must succeed now. */
};

static uint64_t below(world *w, uint64_t bound)
{
    return weir_sim_random_below(w->sim, bound);
}

static uint64_t between(world *w, uint64_t least, uint64_t most)
{
    return least + below(w, most - least + 1);
}

/* ---- What must always hold ---- */

static void expect_within_limit(world *w, uint64_t cost)
{
    uint64_t const now_ns = weir_sim_now(w->sim);
    uint64_t const passed_ns = now_ns - w->level_at_ns;
    w->level_ns = (w->level_ns > passed_ns ? w->level_ns - passed_ns : 0);
    w->level_ns += cost * w->limiter.period_ns;
    w->level_at_ns = now_ns;
    SEED_CHECK(w->level_ns <= w->limiter.burst * w->limiter.period_ns);
}

static void expect_rejection(world *w, int code, const weir_rejection *rejection)
{
    static const weir_caller_stage stages[] = {
        [-WEIR_EDEADLINE] = WEIR_STAGE_DEADLINE,  [-WEIR_EDOWN] = WEIR_STAGE_BALANCER,
        [-WEIR_ESATURATED] = WEIR_STAGE_BALANCER, [-WEIR_EOPEN] = WEIR_STAGE_BREAKER,
        [-WEIR_ELIMITED] = WEIR_STAGE_LIMITER,    [-WEIR_ENEVER] = WEIR_STAGE_LIMITER,
    };
    SEED_CHECK(code == WEIR_EDEADLINE || code == WEIR_EDOWN || code == WEIR_ESATURATED ||
               code == WEIR_EOPEN || code == WEIR_ELIMITED || code == WEIR_ENEVER);
    SEED_CHECK(rejection->code == code && rejection->stage == stages[-code]);
    SEED_CHECK(code != WEIR_ELIMITED ||
               (rejection->retry_after_ns > 0 && rejection->retry_after_ns != WEIR_NEVER));
    SEED_CHECK(!w->healthy);
    w->expected.rejected[rejection->stage]++;
    weir_sim_mark(w->sim, (uint64_t)-code);
}

static void expect_in_bounds(const weir_caller_member *member, void *user)
{
    world *const w = user;
    size_t const i = (size_t)(member->member->id[1] - '0');
    SEED_CHECK(member->breaker.probes <= w->breaker.probe_calls);
    if (i >= STAYING)
        return;
    SEED_CHECK(member->stats.in_flight == w->in_flight[i]);
    SEED_CHECK(member->breaker.probes <= w->in_flight[i]); /* No probe without its attempt. */
}

static void expect_healed(const weir_caller_member *member, void *user)
{
    (void)user;
    SEED_CHECK(member->stats.in_flight == 0);
    SEED_CHECK(member->breaker.probes == 0);
    SEED_CHECK(member->breaker.state == WEIR_BREAKER_CLOSED);
}

static void on_event(const weir_caller_event *event, void *user)
{
    world *const w = user;
    w->ended += event->kind == WEIR_CALLER_ENDED;
    SEED_CHECK(event->kind == WEIR_CALLER_BREAKER || event->call != NULL);
}

/* ---- A call ---- */

static void retry(uint64_t now_ns, void *user);

static void over(call *c)
{
    c->under_way = false;
    weir_caller_visit(c->w->caller, expect_in_bounds, c->w);
    SEED_CHECK(c->call.caller == NULL);
}

static void settle(call *c, weir_outcome outcome)
{
    world *const w = c->w;
    uint64_t const now_ns = weir_sim_now(w->sim);
    weir_attempt_result const result = {
        .outcome = outcome,
        .retry_after_ns = outcome == WEIR_OVERLOAD ? below(w, 5 * MS) : 0,
        .unsent = below(w, 4) == 0,
    };
    w->in_flight[c->member]--;
    c->attempting = false;
    weir_call_verdict const verdict = weir_caller_end(&c->call, &result, now_ns, &c->due_ns);
    weir_sim_mark(w->sim, (uint64_t)verdict);
    if (verdict == WEIR_CALL_RETRY) {
        SEED_CHECK(outcome != WEIR_SUCCESS && c->attempts < w->retry.max_attempts);
        SEED_CHECK(c->due_ns >= now_ns && c->due_ns < c->deadline_ns);
        if (w->faulty && below(w, 4) == 0)
            c->due_ns += below(w, 50 * MS); /* A busy thread comes back late. */
        SEED_CHECK(weir_sim_at(w->sim, c->due_ns, retry, c, NULL) == WEIR_OK);
        return;
    }
    w->expected.succeeded += outcome == WEIR_SUCCESS;
    w->expected.failed += verdict == WEIR_CALL_FAILED;
    SEED_CHECK((verdict == WEIR_CALL_DONE) == (outcome == WEIR_SUCCESS));
    SEED_CHECK(!w->healthy || outcome == WEIR_SUCCESS);
    over(c);
    if (below(w, 8) == 0) /* Twice does no harm. */
        SEED_CHECK(weir_caller_end(&c->call, &result, now_ns, NULL) == WEIR_CALL_FAILED);
}

static void settle_late(uint64_t now_ns, void *user)
{
    call *const c = user;
    (void)now_ns;
    if (c->under_way && c->attempting) /* Not cancelled meanwhile. */
        settle(c, c->outcome);
}

static void answered(const weir_sim_result *result, void *user)
{
    call *const c = user;
    c->attempt = 0;
    c->outcome = result->outcome;
    if (!c->w->healthy && below(c->w, 8) == 0) {
        uint64_t const later_ns = weir_sim_now(c->w->sim) + below(c->w, 100 * MS);
        SEED_CHECK(weir_sim_at(c->w->sim, later_ns, settle_late, c, NULL) == WEIR_OK);
    } else {
        settle(c, result->outcome);
    }
}

static void make_attempt(call *c, const weir_attempt *attempt)
{
    world *const w = c->w;
    uint64_t const now_ns = weir_sim_now(w->sim);
    c->attempts++;
    c->attempting = true;
    c->member = (size_t)((weir_sim_service **)attempt->user - w->services);
    w->in_flight[c->member]++;
    w->expected.attempts++;
    SEED_CHECK(attempt->number == c->attempts && c->attempts <= w->retry.max_attempts);
    SEED_CHECK(now_ns < c->deadline_ns);
    SEED_CHECK(attempt->deadline_ns > now_ns && attempt->deadline_ns <= c->deadline_ns);
    SEED_CHECK(w->options.attempt_timeout_ns == WEIR_NEVER ||
               attempt->deadline_ns <= now_ns + w->options.attempt_timeout_ns);
    SEED_CHECK(weir_sim_call(w->services[c->member], attempt->deadline_ns - now_ns, answered, c,
                             &c->attempt) == WEIR_OK);
}

static void retry(uint64_t now_ns, void *user)
{
    call *const c = user;
    weir_attempt attempt;
    weir_rejection rejection;
    if (!c->under_way || c->attempting || c->due_ns != now_ns)
        return; /* Cancelled. */
    int const code = weir_caller_retry(&c->call, now_ns, &attempt, &rejection);
    if (code == WEIR_OK) {
        make_attempt(c, &attempt);
        return;
    }
    SEED_CHECK(code != WEIR_ELIMITED && code != WEIR_ENEVER); /* Once a call. */
    expect_rejection(c->w, code, &rejection);
    c->w->expected.failed++;
    over(c);
}

static void cancel(uint64_t now_ns, void *user)
{
    call *const c = user;
    if (!c->under_way)
        return;
    if (c->attempting)
        c->w->in_flight[c->member]--;
    if (c->attempt != 0)
        (void)weir_sim_cancel(c->w->sim, c->attempt);
    c->attempting = false;
    c->due_ns = 0;
    weir_caller_cancel(&c->call, now_ns);
    weir_caller_cancel(&c->call, now_ns);
    over(c);
}

static uint64_t debt_ns(const world *w)
{
    weir_limiter_stats stats;
    weir_caller_get_limit(w->caller, weir_sim_now(w->sim), &stats);
    return stats.debt_ns;
}

static void begin(uint64_t now_ns, void *user)
{
    call *const c = user;
    world *const w = c->w;
    weir_call_options options = WEIR_CALL_OPTIONS_INIT;
    uint64_t const owed_ns = debt_ns(w);
    weir_attempt attempt;
    weir_rejection rejection;
    options.cost = c->cost;
    c->deadline_ns = now_ns + w->options.timeout_ns;
    if (w->faulty && below(w, 4) == 0)
        options.deadline_ns = now_ns + below(w, 100 * MS);
    if (options.deadline_ns < c->deadline_ns)
        c->deadline_ns = options.deadline_ns;
    int const code = weir_caller_begin(w->caller, &c->call, &options, now_ns, &attempt, &rejection);
    if (code != WEIR_OK) {
        expect_rejection(w, code, &rejection);
        SEED_CHECK((code == WEIR_EDEADLINE) == (now_ns >= c->deadline_ns));
        SEED_CHECK(debt_ns(w) == owed_ns); /* Who is not let through pays nothing. */
        SEED_CHECK((code == WEIR_ENEVER) <= (c->cost > w->limiter.burst));
        return;
    }
    w->expected.calls++;
    c->under_way = true;
    expect_within_limit(w, c->cost);
    SEED_CHECK(debt_ns(w) == owed_ns + c->cost * w->limiter.period_ns);
    make_attempt(c, &attempt);
    if (!w->healthy && below(w, 10) == 0)
        SEED_CHECK(weir_sim_at(w->sim, now_ns + below(w, 60 * MS), cancel, c, NULL) == WEIR_OK);
}

/* ---- The world ---- */

static int set_members(world *w, size_t count)
{
    weir_member members[MEMBERS];
    for (size_t i = 0; i < MEMBERS; i++) {
        members[i] = (weir_member)WEIR_MEMBER_INIT;
        (void)snprintf(w->ids[i], sizeof w->ids[i], "m%zu", i);
        members[i].id = w->ids[i];
        members[i].weight = (uint32_t)between(w, 1, 3);
        members[i].user = &w->services[i];
    }
    return weir_caller_set_members(w->caller, members, count, 0);
}

/* An operator's day: looks, members, flags, and the same options once more. */
static void operate(uint64_t now_ns, void *user)
{
    world *const w = user;
    (void)now_ns;
    weir_caller_visit(w->caller, expect_in_bounds, w);
    switch (below(w, 4)) {
    case 0: SEED_CHECK(set_members(w, between(w, STAYING, MEMBERS)) == WEIR_OK); break;
    case 1: SEED_CHECK(weir_caller_update(w->caller, &w->options) == WEIR_OK); break;
    case 2:
        SEED_CHECK(weir_balancer_set_flags(weir_caller_balancer(w->caller), "m1", WEIR_MEMBER_DRAIN,
                                           0) == WEIR_OK);
        break;
    default:
        SEED_CHECK(weir_balancer_set_flags(weir_caller_balancer(w->caller), "m1", 0,
                                           WEIR_MEMBER_DRAIN) == WEIR_OK);
        break;
    }
    weir_caller_visit(w->caller, expect_in_bounds, w);
}

static void draw_options(world *w)
{
    w->limiter = (weir_limiter_options)WEIR_LIMITER_OPTIONS_INIT;
    w->limiter.limit = 1;
    w->limiter.period_ns = between(w, MS, 4 * MS);
    w->limiter.burst = between(w, 2, 20);
    w->breaker = (weir_breaker_options)WEIR_BREAKER_OPTIONS_INIT;
    w->breaker.window = (weir_breaker_window)below(w, 2);
    w->breaker.window_calls = (uint32_t)between(w, 5, 30);
    w->breaker.window_ms = (uint32_t)between(w, 100, 500);
    w->breaker.min_calls = (uint32_t)between(w, 1, 5);
    w->breaker.consecutive_failures = (uint32_t)below(w, 5);
    w->breaker.open_ms = (uint32_t)between(w, 1, 50);
    w->breaker.open_max_ms = (uint32_t)between(w, 50, 300);
    w->breaker.probe_calls = (uint32_t)between(w, 1, 5);
    w->breaker.verdict = (weir_breaker_verdict)below(w, 2);
    w->breaker.probe_lease_ms = (uint32_t)between(w, 20, 500);
    w->breaker.ramp_ms = (uint32_t)between(w, 0, 100);
    w->retry = (weir_retry_options)WEIR_RETRY_OPTIONS_INIT;
    w->retry.max_attempts = (uint32_t)between(w, 1, 4);
    w->retry.base_ns = between(w, 0, 10 * MS);
    w->retry.cap_ns = between(w, 10 * MS, 50 * MS);
    w->options = (weir_caller_options)WEIR_CALLER_OPTIONS_INIT;
    w->balancer = (weir_balancer_options)WEIR_BALANCER_OPTIONS_INIT;
    w->balancer.algorithm = (weir_balancer_algorithm)below(w, WEIR_LEAST_REQUEST + 1);
    w->options.balancer = &w->balancer;
    w->options.limiter = &w->limiter;
    w->options.breaker = &w->breaker;
    w->options.retry = &w->retry;
    w->options.timeout_ns = between(w, 20 * MS, 200 * MS);
    w->options.attempt_timeout_ns = below(w, 4) == 0 ? WEIR_NEVER : between(w, 5 * MS, 50 * MS);
    w->options.on_event = on_event;
    w->options.user = w;
    w->options.env = weir_sim_env(w->sim);
}

static void add_services(world *w)
{
    uint64_t const start_ns = weir_sim_now(w->sim);
    for (size_t i = 0; i < MEMBERS; i++) {
        weir_sim_behaviour behaviour = WEIR_SIM_BEHAVIOUR_INIT;
        weir_sim_behaviour const well = behaviour;
        behaviour.latency = WEIR_SIM_EXPONENTIAL;
        behaviour.mean_ns = 4 * MS;
        SEED_CHECK(weir_sim_service_create(&w->services[i], w->sim, &behaviour) == WEIR_OK);
        for (int change = 0; change < 4; change++) {
            behaviour.failure_rate = (double)below(w, 101) / 100;
            behaviour.overload_rate = (double)below(w, 21) / 100;
            behaviour.link = (weir_sim_link)below(w, WEIR_SIM_SILENT + 1);
            SEED_CHECK(weir_sim_service_change(w->services[i], start_ns + below(w, FAULTS),
                                               &behaviour) == WEIR_OK);
        }
        SEED_CHECK(weir_sim_service_change(w->services[i], start_ns + FAULTS, &well) == WEIR_OK);
    }
}

static void at(world *w, uint64_t at_ns, weir_sim_timer_fn fn, void *user)
{
    SEED_CHECK(weir_sim_at(w->sim, at_ns, fn, user, NULL) == WEIR_OK);
}

static void live_through_faults(world *w)
{
    uint64_t const start_ns = weir_sim_now(w->sim);
    for (size_t i = 0; i < CALLS; i++) {
        w->calls[i] = (call){.w = w, .cost = between(w, 1, 3)};
        at(w, start_ns + below(w, FAULTS), begin, &w->calls[i]);
    }
    for (int i = 0; i < 20; i++)
        at(w, start_ns + below(w, FAULTS), operate, w);
    w->faulty = true;
    SEED_CHECK(weir_sim_run_until(w->sim, start_ns + FAULTS + 500 * MS) == WEIR_OK);
    w->faulty = false;
    for (size_t i = 0; i < CALLS; i++)
        SEED_CHECK(!w->calls[i].under_way);
}

static void call_steadily(world *w, uint64_t for_ns)
{
    for (uint64_t passed_ns = 0; passed_ns < for_ns; passed_ns += PACE) {
        call *const c = &w->calls[passed_ns / PACE % CALLS];
        SEED_CHECK(!c->under_way);
        *c = (call){.w = w, .cost = 1};
        begin(weir_sim_now(w->sim), c);
        SEED_CHECK(weir_sim_run_until(w->sim, weir_sim_now(w->sim) + PACE) == WEIR_OK);
    }
}

static void expect_counts(world *w)
{
    weir_caller_stats stats;
    weir_caller_get_stats(w->caller, &stats);
    SEED_CHECK(stats.calls == w->expected.calls && w->ended == w->expected.calls);
    SEED_CHECK(stats.attempts == w->expected.attempts);
    SEED_CHECK(stats.succeeded == w->expected.succeeded);
    SEED_CHECK(stats.failed == w->expected.failed);
    for (int i = 0; i < 4; i++)
        SEED_CHECK(stats.rejected[i] == w->expected.rejected[i]);
}

static uint64_t live(uint64_t seed)
{
    static world w;
    w = (world){.sim = NULL};
    fake_env fake = {.now_ns = 1};
    weir_env const memory = fake_env_hooks(&fake);
    weir_sim_options options = WEIR_SIM_OPTIONS_INIT;
    options.seed = seed;
    options.shuffle = true;
    options.env = &memory;
    SEED_CHECK(weir_sim_create(&w.sim, &options) == WEIR_OK);
    draw_options(&w);
    SEED_CHECK(weir_caller_create(&w.caller, &w.options) == WEIR_OK);
    add_services(&w);
    SEED_CHECK(set_members(&w, MEMBERS) == WEIR_OK);
    live_through_faults(&w);
    SEED_CHECK(set_members(&w, MEMBERS) == WEIR_OK);
    SEED_CHECK(weir_balancer_set_flags(weir_caller_balancer(w.caller), "m1", 0,
                                       WEIR_MEMBER_DRAIN) == WEIR_OK);
    call_steadily(&w, HEALING);
    w.healthy = true;
    call_steadily(&w, 100 * PACE);
    SEED_CHECK(weir_sim_run_until(w.sim, weir_sim_now(w.sim) + 500 * MS) == WEIR_OK);
    weir_caller_visit(w.caller, expect_healed, NULL);
    expect_counts(&w);
    uint64_t const digest = weir_sim_digest(w.sim);
    weir_caller_destroy(w.caller);
    weir_sim_destroy(w.sim);
    SEED_CHECK(fake.live_bytes == 0);
    return digest;
}

static void promises_are_kept(uint64_t seed)
{
    uint64_t const digest = live(seed);
    SEED_CHECK(seed % 16 != 0 || live(seed) == digest);
}

static void no_permit_is_lost_and_health_returns(void **state)
{
    (void)state;
    seeds_run(1000, promises_are_kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_permit_is_lost_and_health_returns),
    };
    return cmocka_run_group_tests_name("caller simulation", tests, NULL, NULL);
}

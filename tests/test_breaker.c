/* Breaker: what opens it, how long it rests, how it probes, and what late permits cannot do. */
#include "support/fake_env.h"

#include <weir/breaker.h>

#define MS UINT64_C(1000000)

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_breaker_options options;
    weir_breaker *breaker;
    weir_breaker_event events[64];
    unsigned told;
} fixture;

static fixture f;

/* Asks the breaker, so that a callback made under the lock would hang the test. */
static void remember(const weir_breaker_event *event, void *user)
{
    fixture *const fix = user;
    weir_breaker_stats stats;
    weir_breaker_get_stats(fix->breaker, &stats);
    assert_true(stats.generation >= event->generation);
    fix->events[fix->told++ % 64] = *event;
}

/* A window of 4 that opens at 50 %, rests exactly 100 ms, doubling to 400, and probes with 2. */
static int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = 5000 * MS}};
    f.env = fake_env_hooks(&f.fake);
    f.options = (weir_breaker_options)WEIR_BREAKER_OPTIONS_INIT;
    f.options.window_calls = 4;
    f.options.min_calls = 4;
    f.options.open_ms = 100;
    f.options.open_max_ms = 400;
    f.options.open_jitter_percent = 0;
    f.options.healthy_ms = 1000;
    f.options.probe_calls = 2;
    f.options.probe_lease_ms = 50;
    f.options.on_event = remember;
    f.options.user = &f;
    f.options.env = &f.env;
    return weir_breaker_create(&f.breaker, &f.options);
}

static int teardown(void **state)
{
    (void)state;
    weir_breaker_destroy(f.breaker);
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

static void recreate(void)
{
    weir_breaker_destroy(f.breaker);
    assert_int_equal(weir_breaker_create(&f.breaker, &f.options), WEIR_OK);
}

static void update(void)
{
    assert_int_equal(weir_breaker_update(f.breaker, &f.options), WEIR_OK);
}

static weir_breaker_permit enter(void)
{
    weir_breaker_permit permit;
    assert_int_equal(weir_breaker_enter(f.breaker, &permit, NULL), WEIR_OK);
    assert_int_not_equal(permit.generation, 0);
    return permit;
}

static void call_taking(weir_outcome outcome, uint64_t ms)
{
    weir_breaker_permit permit = enter();
    fake_env_advance_ms(&f.fake, ms);
    weir_breaker_leave(f.breaker, &permit, outcome);
    assert_int_equal(permit.generation, 0);
}

static void call(weir_outcome outcome)
{
    call_taking(outcome, 0);
}

static void calls(weir_outcome outcome, unsigned count)
{
    while (count-- > 0)
        call(outcome);
}

static uint64_t refused(void)
{
    uint64_t retry_after_ns = 0;
    weir_breaker_permit permit;
    assert_int_equal(weir_breaker_enter(f.breaker, &permit, &retry_after_ns), WEIR_EOPEN);
    assert_int_equal(permit.generation, 0);
    return retry_after_ns;
}

static weir_breaker_state state_now(void)
{
    return weir_breaker_get_state(f.breaker);
}

static weir_breaker_stats stats_now(void)
{
    weir_breaker_stats stats;
    weir_breaker_get_stats(f.breaker, &stats);
    return stats;
}

static const weir_breaker_event *last_event(void)
{
    assert_true(f.told > 0);
    return &f.events[(f.told - 1) % 64];
}

static void open_it(void)
{
    calls(WEIR_SUCCESS, 2);
    calls(WEIR_FAILURE, 2);
    assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
}

static void half_open_it(void)
{
    open_it();
    fake_env_advance_ms(&f.fake, 100);
}

static void opens_when_half_the_window_failed(void **state)
{
    (void)state;
    call(WEIR_FAILURE);
    calls(WEIR_SUCCESS, 4); /* Push the failure out of the window. */
    call(WEIR_FAILURE);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
    call(WEIR_TIMEOUT);
    assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
    assert_int_equal(last_event()->reason, WEIR_BREAKER_FAILURE_RATE);
    assert_int_equal(last_event()->calls, 4);
    assert_int_equal(last_event()->failures, 2);
    assert_int_equal(last_event()->until_ns, f.fake.now_ns + 100 * MS);
}

static void a_success_can_complete_the_minimum_and_open(void **state)
{
    (void)state;
    calls(WEIR_FAILURE, 3);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
    call(WEIR_SUCCESS);
    assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
}

static void outcomes_that_say_nothing_are_not_counted(void **state)
{
    (void)state;
    calls(WEIR_FAILURE, 2);
    calls(WEIR_IGNORED, 3);
    calls(WEIR_CANCELLED, 3);
    calls(WEIR_OVERLOAD, 3);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
    assert_int_equal(stats_now().calls, 2);
}

static void opens_on_a_share_of_slow_calls(void **state)
{
    (void)state;
    f.options.slow_percent = 75;
    f.options.slow_ms = 10;
    recreate();
    calls(WEIR_SUCCESS, 1);
    call_taking(WEIR_SUCCESS, 10); /* Exactly at the limit is not slow. */
    call_taking(WEIR_SUCCESS, 11);
    call_taking(WEIR_SUCCESS, 11);
    assert_int_equal(stats_now().slow, 2);
    call_taking(WEIR_SUCCESS, 11); /* 3 of 4, once the first has left the window. */
    assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
    assert_int_equal(last_event()->reason, WEIR_BREAKER_SLOW_RATE);
    assert_int_equal(last_event()->slow, 3);
}

static void opens_on_failures_in_a_row_before_the_minimum(void **state)
{
    (void)state;
    f.options.consecutive_failures = 3;
    f.options.window_calls = f.options.min_calls = 100;
    recreate();
    calls(WEIR_FAILURE, 2);
    call(WEIR_SUCCESS);
    calls(WEIR_FAILURE, 2);
    assert_int_equal(stats_now().streak, 2);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
    call(WEIR_FAILURE);
    assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
    assert_int_equal(last_event()->reason, WEIR_BREAKER_STREAK);
}

static void a_time_window_forgets_by_buckets(void **state)
{
    (void)state;
    f.options.window = WEIR_BREAKER_TIME_WINDOW;
    f.options.window_ms = 1000;
    f.options.window_buckets = 4;
    f.options.min_calls = 6;
    recreate();
    calls(WEIR_FAILURE, 2); /* At 5000 ms: the bucket of 5000 .. 5249. */
    fake_env_advance_ms(&f.fake, 999);
    calls(WEIR_SUCCESS, 3);
    assert_int_equal(stats_now().calls, 5);
    fake_env_advance_ms(&f.fake, 1); /* 6000: the first bucket drops out. */
    assert_int_equal(stats_now().calls, 3);
    assert_int_equal(stats_now().failures, 0);
    calls(WEIR_FAILURE, 2);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
    call(WEIR_FAILURE);
    assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
}

static void an_idle_time_window_reports_nothing_stale(void **state)
{
    (void)state;
    f.options.window = WEIR_BREAKER_TIME_WINDOW;
    recreate();
    calls(WEIR_FAILURE, 3);
    assert_int_equal(stats_now().failures, 3);
    fake_env_advance_ms(&f.fake, 40 * UINT64_C(86400000));
    weir_breaker_stats const stats = stats_now();
    assert_int_equal(stats.calls, 0);
    assert_true(stats.failure_percent <= 0.0);
    calls(WEIR_FAILURE, 1);
    assert_int_equal(stats_now().calls, 1);
}

static void a_clock_that_steps_back_loses_no_outcome(void **state)
{
    (void)state;
    f.options.window = WEIR_BREAKER_TIME_WINDOW;
    f.options.min_calls = 4;
    recreate();
    calls(WEIR_FAILURE, 3);
    f.fake.now_ns -= 3000 * MS;
    call(WEIR_FAILURE);
    assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
    assert_int_equal(last_event()->at_ns, 5000 * MS);
    f.fake.now_ns = 5100 * MS - 1;
    assert_int_equal(refused(), 1);
}

static void a_window_of_a_million_calls_counts_them_all(void **state)
{
    (void)state;
    f.options.window_calls = 1048576;
    f.options.min_calls = 1048576;
    recreate();
    calls(WEIR_FAILURE, 524287);
    calls(WEIR_SUCCESS, 524288);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
    assert_int_equal(stats_now().calls, 1048575);
    call(WEIR_FAILURE); /* 524,288 of 1,048,576: exactly half. */
    assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
}

static void refuses_until_the_rest_is_over(void **state)
{
    (void)state;
    open_it();
    assert_int_equal(refused(), 100 * MS);
    fake_env_advance_ms(&f.fake, 99);
    assert_int_equal(refused(), 1 * MS);
    fake_env_advance_ms(&f.fake, 1);
    (void)enter();
    assert_int_equal(state_now(), WEIR_BREAKER_HALF_OPEN);
    assert_int_equal(stats_now().refused, 2);
}

/* 100, 200, 400, then the cap; one second of health takes one doubling off. */
static void each_trip_rests_longer_up_to_the_cap_and_health_shortens_it(void **state)
{
    (void)state;
    static const uint64_t rests_ms[] = {100, 200, 400, 400};
    open_it();
    for (int i = 0; i < 4; i++) {
        assert_int_equal(refused(), rests_ms[i] * MS);
        fake_env_advance_ms(&f.fake, rests_ms[i]);
        call(WEIR_FAILURE); /* The probe: half of 2 has failed. */
    }
    assert_int_equal(stats_now().trips, 5);
    fake_env_advance_ms(&f.fake, 400);
    calls(WEIR_SUCCESS, 2);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
    fake_env_advance_ms(&f.fake, 4999); /* Four whole spells: one re-trip is left. */
    open_it();
    assert_int_equal(refused(), 200 * MS);
}

static void jitter_shortens_a_rest_within_its_share(void **state)
{
    (void)state;
    f.options.open_jitter_percent = 20;
    uint64_t least = WEIR_NEVER, most = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        f.fake.random = seed;
        recreate();
        open_it();
        uint64_t const rest = refused();
        least = rest < least ? rest : least;
        most = rest > most ? rest : most;
    }
    assert_in_range(least, 80 * MS, 81 * MS);
    assert_in_range(most, 99 * MS, 100 * MS);
}

static void closes_when_the_probes_pass_and_remembers_nothing(void **state)
{
    (void)state;
    half_open_it();
    call(WEIR_SUCCESS);
    assert_int_equal(state_now(), WEIR_BREAKER_HALF_OPEN);
    call(WEIR_SUCCESS);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
    assert_int_equal(last_event()->reason, WEIR_BREAKER_PROBES_WELL);
    calls(WEIR_FAILURE, 3); /* Too few to judge: the window started afresh. */
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
}

static void the_verdict_by_rate_tolerates_a_share_of_failed_probes(void **state)
{
    (void)state;
    f.options.probe_calls = 5;
    recreate();
    half_open_it();
    calls(WEIR_FAILURE, 2); /* 40 % of 5. */
    calls(WEIR_SUCCESS, 3);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
}

static void the_verdict_of_all_fails_with_the_first(void **state)
{
    (void)state;
    f.options.probe_calls = 5;
    f.options.verdict = WEIR_BREAKER_ALL_PASS;
    recreate();
    half_open_it();
    calls(WEIR_SUCCESS, 4);
    call(WEIR_FAILURE);
    assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
    assert_int_equal(last_event()->reason, WEIR_BREAKER_PROBES_ILL);
    assert_int_equal(last_event()->calls, 5);
}

static void without_rates_all_probes_must_pass(void **state)
{
    (void)state;
    f.options.failure_percent = 0;
    f.options.consecutive_failures = 2;
    recreate();
    calls(WEIR_FAILURE, 2);
    fake_env_advance_ms(&f.fake, 100);
    call(WEIR_FAILURE);
    assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
}

static void slow_probes_count_when_slowness_does(void **state)
{
    (void)state;
    f.options.slow_percent = 100;
    f.options.slow_ms = 10;
    recreate();
    half_open_it();
    call_taking(WEIR_SUCCESS, 11);
    assert_int_equal(state_now(), WEIR_BREAKER_HALF_OPEN);
    call_taking(WEIR_SUCCESS, 11);
    assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
}

static void no_more_than_the_probes_pass_while_half_open(void **state)
{
    (void)state;
    half_open_it();
    weir_breaker_permit first = enter();
    (void)enter();
    assert_int_equal(refused(), 0); /* How soon is not known. */
    weir_breaker_leave(f.breaker, &first, WEIR_SUCCESS);
    assert_int_equal(refused(), 0); /* One has voted, one is on its way: 2. */
    assert_int_equal(stats_now().probes, 1);
}

static void a_probe_that_says_nothing_gives_its_place_back(void **state)
{
    (void)state;
    static const weir_outcome nothing[] = {WEIR_IGNORED, WEIR_CANCELLED, WEIR_OVERLOAD};
    half_open_it();
    for (int i = 0; i < 9; i++)
        call(nothing[i % 3]);
    assert_int_equal(state_now(), WEIR_BREAKER_HALF_OPEN);
    calls(WEIR_SUCCESS, 2);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
}

static void a_lost_probe_is_given_up_after_its_lease(void **state)
{
    (void)state;
    half_open_it();
    weir_breaker_permit lost = enter();
    fake_env_advance_ms(&f.fake, 10);
    (void)enter();
    fake_env_advance_ms(&f.fake, 39);
    assert_int_equal(refused(), 0);
    fake_env_advance_ms(&f.fake, 1);
    weir_breaker_permit replacement = enter();
    assert_int_equal(last_event()->reason, WEIR_BREAKER_PROBE_LOST);
    weir_breaker_leave(f.breaker, &lost, WEIR_FAILURE); /* Too late to count. */
    assert_int_equal(state_now(), WEIR_BREAKER_HALF_OPEN);
    assert_int_equal(refused(), 0);
    weir_breaker_leave(f.breaker, &replacement, WEIR_SUCCESS);
    fake_env_advance_ms(&f.fake, 10);
    call(WEIR_SUCCESS);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
}

static void a_permit_of_an_older_generation_changes_nothing(void **state)
{
    (void)state;
    weir_breaker_permit late[4];
    for (int i = 0; i < 4; i++)
        late[i] = enter();
    half_open_it();
    weir_breaker_leave(f.breaker, &late[0], WEIR_FAILURE);
    (void)enter();
    weir_breaker_leave(f.breaker, &late[1], WEIR_FAILURE);
    assert_int_equal(state_now(), WEIR_BREAKER_HALF_OPEN);
    fake_env_advance_ms(&f.fake, 50);
    calls(WEIR_SUCCESS, 2);
    weir_breaker_leave(f.breaker, &late[2], WEIR_FAILURE);
    assert_int_equal(stats_now().calls, 0);
}

static void a_permit_counts_once_however_often_it_is_left(void **state)
{
    (void)state;
    weir_breaker_permit permit = enter();
    weir_breaker_leave(f.breaker, &permit, WEIR_FAILURE);
    weir_breaker_leave(f.breaker, &permit, WEIR_FAILURE);
    assert_int_equal(stats_now().calls, 1);
    weir_breaker_reset(f.breaker);
    half_open_it();
    permit = enter();
    weir_breaker_permit copy = permit;
    weir_breaker_leave(f.breaker, &permit, WEIR_SUCCESS);
    weir_breaker_leave(f.breaker, &copy, WEIR_SUCCESS);
    assert_int_equal(state_now(), WEIR_BREAKER_HALF_OPEN);
}

/* 20 % at first, 60 % half way: 2 of 10 pass, then 6 of 10, at even distances. */
static void a_ramp_lets_a_growing_share_through(void **state)
{
    (void)state;
    f.options.ramp_ms = 1000;
    f.options.ramp_start_percent = 20;
    f.options.min_calls = f.options.window_calls = 100;
    f.options.consecutive_failures = 4;
    recreate();
    calls(WEIR_FAILURE, 4);
    fake_env_advance_ms(&f.fake, 100);
    calls(WEIR_SUCCESS, 2);
    assert_int_equal(state_now(), WEIR_BREAKER_RECOVERING);
    weir_breaker_permit permit;
    for (int i = 1; i <= 10; i++)
        assert_int_equal(weir_breaker_enter(f.breaker, &permit, NULL),
                         i % 5 == 0 ? WEIR_OK : WEIR_EOPEN);
    fake_env_advance_ms(&f.fake, 500);
    int passed = 0;
    for (int i = 0; i < 10; i++)
        passed += weir_breaker_enter(f.breaker, &permit, NULL) == WEIR_OK;
    assert_int_equal(passed, 6);
    fake_env_advance_ms(&f.fake, 499);
    uint64_t retry_after_ns = 0;
    while (weir_breaker_enter(f.breaker, &permit, &retry_after_ns) == WEIR_OK) {
    }
    assert_int_equal(retry_after_ns, 0);
    fake_env_advance_ms(&f.fake, 1);
    call(WEIR_SUCCESS);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
    assert_int_equal(last_event()->reason, WEIR_BREAKER_RAMP_OVER);
}

static void a_ramp_is_judged_as_when_closed(void **state)
{
    (void)state;
    f.options.ramp_ms = 1000;
    f.options.ramp_start_percent = 100;
    recreate();
    half_open_it();
    calls(WEIR_SUCCESS, 2);
    assert_int_equal(state_now(), WEIR_BREAKER_RECOVERING);
    open_it();
    assert_int_equal(refused(), 200 * MS); /* A ramp is no healthy spell. */
}

static void states_set_by_hand_stay(void **state)
{
    (void)state;
    assert_int_equal(weir_breaker_force(f.breaker, WEIR_BREAKER_METRICS_ONLY), WEIR_OK);
    calls(WEIR_FAILURE, 10);
    assert_int_equal(stats_now().failures, 4);
    assert_int_equal(state_now(), WEIR_BREAKER_METRICS_ONLY);
    assert_int_equal(weir_breaker_force(f.breaker, WEIR_BREAKER_DISABLED), WEIR_OK);
    calls(WEIR_FAILURE, 10);
    assert_int_equal(stats_now().calls, 0);
    assert_int_equal(weir_breaker_force(f.breaker, WEIR_BREAKER_FORCED_OPEN), WEIR_OK);
    weir_breaker_open_until(f.breaker, f.fake.now_ns + 1);
    fake_env_advance_ms(&f.fake, 100000);
    assert_true(refused() == WEIR_NEVER);
    assert_int_equal(weir_breaker_force(f.breaker, WEIR_BREAKER_OPEN), WEIR_EINVAL);
    assert_int_equal(weir_breaker_force(f.breaker, WEIR_BREAKER_CLOSED), WEIR_OK);
    calls(WEIR_FAILURE, 3);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
    assert_int_equal(last_event()->reason, WEIR_BREAKER_BY_HAND);
}

static void opens_until_the_time_that_a_server_asked_for(void **state)
{
    (void)state;
    weir_breaker_open_until(f.breaker, f.fake.now_ns);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
    weir_breaker_open_until(f.breaker, f.fake.now_ns + 7 * MS);
    assert_int_equal(refused(), 7 * MS);
    weir_breaker_open_until(f.breaker, f.fake.now_ns + 3 * MS); /* Rests longer already. */
    assert_int_equal(refused(), 7 * MS);
    assert_int_equal(last_event()->reason, WEIR_BREAKER_RETRY_AFTER);
    fake_env_advance_ms(&f.fake, 7);
    (void)enter();
    assert_int_equal(state_now(), WEIR_BREAKER_HALF_OPEN);
}

static void reset_forgets_trips_and_outcomes(void **state)
{
    (void)state;
    open_it();
    weir_breaker_reset(f.breaker);
    assert_int_equal(stats_now().trips, 0);
    open_it();
    assert_int_equal(refused(), 100 * MS);
}

static void update_keeps_state_window_and_probes(void **state)
{
    (void)state;
    calls(WEIR_FAILURE, 3);
    uint64_t const generation = stats_now().generation;
    f.options.open_ms = 50;
    update();
    assert_int_equal(stats_now().generation, generation);
    assert_int_equal(stats_now().failures, 3);
    call(WEIR_SUCCESS);
    assert_int_equal(refused(), 50 * MS);
    fake_env_advance_ms(&f.fake, 50);
    weir_breaker_permit first = enter(), second = enter();
    f.options.probe_calls = 3;
    update();
    assert_int_equal(stats_now().probes, 2);
    weir_breaker_leave(f.breaker, &first, WEIR_SUCCESS);
    weir_breaker_leave(f.breaker, &second, WEIR_SUCCESS);
    assert_int_equal(state_now(), WEIR_BREAKER_HALF_OPEN);
    call(WEIR_SUCCESS);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
}

static void update_to_fewer_probes_gives_up_the_rest(void **state)
{
    (void)state;
    half_open_it();
    weir_breaker_permit first = enter(), second = enter();
    f.options.probe_calls = 1;
    update();
    assert_int_equal(stats_now().probes, 1);
    weir_breaker_leave(f.breaker, &second, WEIR_FAILURE);
    assert_int_equal(state_now(), WEIR_BREAKER_HALF_OPEN);
    weir_breaker_leave(f.breaker, &first, WEIR_SUCCESS);
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
}

static void update_to_no_more_probes_than_are_back_passes_the_verdict(void **state)
{
    (void)state;
    f.options.probe_calls = 3;
    update();
    half_open_it();
    calls(WEIR_SUCCESS, 2);
    assert_int_equal(state_now(), WEIR_BREAKER_HALF_OPEN);
    f.options.probe_calls = 2;
    update();
    assert_int_equal(state_now(), WEIR_BREAKER_CLOSED);
}

static void update_of_the_window_keeps_the_newest_outcomes(void **state)
{
    (void)state;
    f.options.min_calls = f.options.window_calls = 6;
    recreate();
    calls(WEIR_FAILURE, 2);
    calls(WEIR_SUCCESS, 2);
    call(WEIR_FAILURE);
    f.options.min_calls = f.options.window_calls = 4;
    f.options.failure_percent = 75;
    update(); /* F S S F */
    assert_int_equal(stats_now().calls, 4);
    assert_int_equal(stats_now().failures, 2);
    f.options.window_calls = 10;
    update();
    assert_int_equal(stats_now().calls, 4);
    f.options.window = WEIR_BREAKER_TIME_WINDOW;
    update(); /* Another kind: starts empty. */
    assert_int_equal(stats_now().calls, 0);
}

static void update_of_a_time_window_keeps_its_counts(void **state)
{
    (void)state;
    f.options.window = WEIR_BREAKER_TIME_WINDOW;
    f.options.window_ms = 1000;
    f.options.min_calls = 100;
    recreate();
    calls(WEIR_FAILURE, 2);
    fake_env_advance_ms(&f.fake, 500);
    calls(WEIR_SUCCESS, 3);
    f.options.window_ms = 2000;
    update();
    assert_int_equal(stats_now().calls, 5);
    assert_int_equal(stats_now().failures, 2);
    f.options.window_ms = 100; /* Only the newest hundred milliseconds. */
    update();
    assert_int_equal(stats_now().calls, 3);
    assert_int_equal(stats_now().failures, 0);
}

static void events_are_told_in_order_and_loss_is_counted(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        weir_breaker_reset(f.breaker);
    assert_int_equal(f.told, 10);
    for (unsigned i = 1; i < 10; i++)
        assert_int_equal(f.events[i].generation, f.events[i - 1].generation + 1);
    assert_int_equal(f.events[9].dropped, 0);
    assert_int_equal(stats_now().last.generation, f.events[9].generation);
}

static void reset_forty_times(const weir_breaker_event *event, void *user)
{
    (void)event;
    fixture *const fix = user;
    if (fix->told++ == 0)
        for (int i = 0; i < 40; i++)
            weir_breaker_reset(fix->breaker);
}

static void a_callback_may_cause_events_itself(void **state)
{
    (void)state;
    f.options.on_event = reset_forty_times;
    recreate();
    weir_breaker_reset(f.breaker);
    assert_int_equal(f.told, 33); /* One, and the 32 of the 40 that there was room for. */
    weir_breaker_reset(f.breaker);
    assert_int_equal(stats_now().last.dropped, 8);
}

static void create_and_update_survive_every_failed_allocation(void **state)
{
    (void)state;
    fake_env fake = {.fail_at = 1};
    weir_env const env = fake_env_hooks(&fake);
    weir_breaker_options options = WEIR_BREAKER_OPTIONS_INIT;
    options.env = &env;
    weir_breaker *breaker;
    for (; weir_breaker_create(&breaker, &options) == WEIR_ENOMEM; fake.fail_at++) {
        assert_null(breaker);
        assert_int_equal(fake.live_bytes, 0);
        fake.calls = 0;
    }
    assert_in_range(fake.fail_at, 5, 7);
    options.window_calls = 200;
    options.probe_calls = 7;
    size_t const live_bytes = fake.live_bytes;
    for (fake.calls = 0, fake.fail_at = 1; weir_breaker_update(breaker, &options) == WEIR_ENOMEM;
         fake.fail_at++, fake.calls = 0)
        assert_int_equal(fake.live_bytes, live_bytes);
    assert_int_equal(fake.fail_at, 4);
    weir_breaker_destroy(breaker);
    weir_breaker_destroy(NULL);
    assert_int_equal(fake.live, 0);
}

#define REFUSES(field, value)                                                                      \
    do {                                                                                           \
        weir_breaker_options options = WEIR_BREAKER_OPTIONS_INIT;                                  \
        options.window_buckets = 2;                                                                \
        options.field = (value);                                                                   \
        weir_breaker *breaker;                                                                     \
        assert_int_equal(weir_breaker_create(&breaker, &options), WEIR_EINVAL);                    \
        assert_null(breaker);                                                                      \
        assert_int_equal(weir_breaker_update(f.breaker, &options), WEIR_EINVAL);                   \
    } while (0)

static void create_and_update_refuse_options_out_of_range(void **state)
{
    (void)state;
    REFUSES(struct_size, 3);
    REFUSES(window, (weir_breaker_window)2);
    REFUSES(window_calls, 0);
    REFUSES(window_calls, 1048577);
    REFUSES(window_calls, 19); /* Below min_calls. */
    REFUSES(min_calls, 0);
    REFUSES(failure_percent, 101);
    REFUSES(slow_percent, 101);
    REFUSES(slow_ms, 0);
    REFUSES(open_ms, 0);
    REFUSES(open_ms, 60001); /* Above open_max_ms. */
    REFUSES(open_factor_percent, 99);
    REFUSES(open_factor_percent, 1001);
    REFUSES(open_max_ms, 86400001);
    REFUSES(open_jitter_percent, 101);
    REFUSES(healthy_ms, 0);
    REFUSES(probe_calls, 0);
    REFUSES(probe_calls, 1025);
    REFUSES(verdict, (weir_breaker_verdict)2);
    REFUSES(probe_lease_ms, 0);
    REFUSES(ramp_ms, 86400001);
    REFUSES(ramp_start_percent, 0);
    REFUSES(ramp_start_percent, 101);
    f.options.window = WEIR_BREAKER_TIME_WINDOW;
    f.options.window_ms = 1; /* Less than a millisecond a bucket. */
    assert_int_equal(weir_breaker_update(f.breaker, &f.options), WEIR_EINVAL);
    f.options.window_ms = 1000;
    f.options.window_buckets = 65;
    assert_int_equal(weir_breaker_update(f.breaker, &f.options), WEIR_EINVAL);
    weir_env const bad = {.struct_size = 1};
    weir_breaker_options const options = {.struct_size = sizeof options, .env = &bad};
    weir_breaker *breaker;
    assert_int_equal(weir_breaker_create(&breaker, &options), WEIR_EINVAL);
}

static void names_are_the_words_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(weir_breaker_state_name(WEIR_BREAKER_HALF_OPEN), "half_open");
    assert_string_equal(weir_breaker_reason_name(WEIR_BREAKER_STREAK), "streak");
    for (int i = 0; i <= WEIR_BREAKER_FORCED_OPEN; i++)
        assert_string_not_equal(weir_breaker_state_name((weir_breaker_state)i), "unknown");
    for (int i = 0; i <= WEIR_BREAKER_BY_HAND; i++)
        assert_string_not_equal(weir_breaker_reason_name((weir_breaker_reason)i), "unknown");
    assert_string_equal(weir_breaker_state_name((weir_breaker_state)7), "unknown");
    assert_string_equal(weir_breaker_reason_name((weir_breaker_reason)10), "unknown");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(opens_when_half_the_window_failed),
        TEST(a_success_can_complete_the_minimum_and_open),
        TEST(outcomes_that_say_nothing_are_not_counted),
        TEST(opens_on_a_share_of_slow_calls),
        TEST(opens_on_failures_in_a_row_before_the_minimum),
        TEST(a_time_window_forgets_by_buckets),
        TEST(an_idle_time_window_reports_nothing_stale),
        TEST(a_clock_that_steps_back_loses_no_outcome),
        TEST(a_window_of_a_million_calls_counts_them_all),
        TEST(refuses_until_the_rest_is_over),
        TEST(each_trip_rests_longer_up_to_the_cap_and_health_shortens_it),
        TEST(jitter_shortens_a_rest_within_its_share),
        TEST(closes_when_the_probes_pass_and_remembers_nothing),
        TEST(the_verdict_by_rate_tolerates_a_share_of_failed_probes),
        TEST(the_verdict_of_all_fails_with_the_first),
        TEST(without_rates_all_probes_must_pass),
        TEST(slow_probes_count_when_slowness_does),
        TEST(no_more_than_the_probes_pass_while_half_open),
        TEST(a_probe_that_says_nothing_gives_its_place_back),
        TEST(a_lost_probe_is_given_up_after_its_lease),
        TEST(a_permit_of_an_older_generation_changes_nothing),
        TEST(a_permit_counts_once_however_often_it_is_left),
        TEST(a_ramp_lets_a_growing_share_through),
        TEST(a_ramp_is_judged_as_when_closed),
        TEST(states_set_by_hand_stay),
        TEST(opens_until_the_time_that_a_server_asked_for),
        TEST(reset_forgets_trips_and_outcomes),
        TEST(update_keeps_state_window_and_probes),
        TEST(update_to_fewer_probes_gives_up_the_rest),
        TEST(update_to_no_more_probes_than_are_back_passes_the_verdict),
        TEST(update_of_the_window_keeps_the_newest_outcomes),
        TEST(update_of_a_time_window_keeps_its_counts),
        TEST(events_are_told_in_order_and_loss_is_counted),
        TEST(a_callback_may_cause_events_itself),
        TEST(create_and_update_survive_every_failed_allocation),
        TEST(create_and_update_refuse_options_out_of_range),
        TEST(names_are_the_words_of_the_header),
    };
    return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}

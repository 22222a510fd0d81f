/* How long a breaker rests, how it probes, and what late permits cannot do. */
#include "support/breaker_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests_name("breaker_probes", tests, NULL, NULL);
}

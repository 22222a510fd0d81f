/* What opens a breaker, and what it remembers. */
#include "support/breaker_fixture.h"

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
    };
    return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}

/* A breaker set by hand, updated, and telling what happens. */
#include "support/breaker_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    return cmocka_run_group_tests_name("breaker_control", tests, NULL, NULL);
}

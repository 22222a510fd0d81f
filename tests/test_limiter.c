/* The limiter on a clock that moves when told. 10 permits a second, 3 at once: a permit is 100 ms.
 */
#include "support/fake_env.h"

#include <weir/limiter.h>

#define MS       UINT64_C(1000000)
#define INTERVAL (100 * MS)
#define START    (5000 * MS)

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_limiter_options options;
    weir_limiter *limiter;
    uint64_t wait_ns;
    weir_limiter_stats stats;
} fixture;

static fixture f;

static int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = START}, .options = WEIR_LIMITER_OPTIONS_INIT};
    f.env = fake_env_hooks(&f.fake);
    f.options.limit = 10;
    f.options.burst = 3;
    f.options.env = &f.env;
    return weir_limiter_create(&f.limiter, &f.options);
}

static int teardown(void **state)
{
    (void)state;
    weir_limiter_destroy(f.limiter);
    return f.fake.live_bytes == 0 ? 0 : -1;
}

static int take(uint64_t cost)
{
    return weir_limiter_try(f.limiter, cost, &f.wait_ns);
}

static int reserve(uint64_t cost, uint64_t max_wait_ns, weir_reservation *out)
{
    return weir_limiter_reserve(f.limiter, cost, f.fake.now_ns, max_wait_ns, out);
}

static const weir_limiter_stats *stats(void)
{
    weir_limiter_get_stats(f.limiter, f.fake.now_ns, &f.stats);
    return &f.stats;
}

static void use_up_the_burst(void)
{
    assert_int_equal(take(3), WEIR_OK);
    assert_int_equal(f.wait_ns, 0);
}

static void update(void)
{
    assert_int_equal(weir_limiter_update(f.limiter, &f.options), WEIR_OK);
}

static void admits_the_burst_and_then_one_an_interval(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(take(1), WEIR_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(take(1), WEIR_ELIMITED);
        assert_int_equal(f.wait_ns, INTERVAL);
        f.fake.now_ns += INTERVAL;
        assert_int_equal(take(1), WEIR_OK);
    }
    f.fake.now_ns += 10 * INTERVAL; /* Idle time brings back the burst, and no more. */
    use_up_the_burst();
    assert_int_equal(take(1), WEIR_ELIMITED);
}

static void refuses_at_every_part_of_the_wait_and_admits_at_its_end(void **state)
{
    (void)state;
    for (uint64_t cost = 1; cost <= 3; cost++) {
        f.fake.now_ns += 10 * INTERVAL;
        use_up_the_burst();
        assert_int_equal(take(cost), WEIR_ELIMITED);
        uint64_t const begin_ns = f.fake.now_ns;
        uint64_t const wait_ns = f.wait_ns;
        assert_int_equal(wait_ns, cost * INTERVAL);
        for (uint64_t part = 0; part < 100; part++) {
            f.fake.now_ns = begin_ns + wait_ns * part / 100;
            assert_int_equal(take(cost), WEIR_ELIMITED);
            assert_int_equal(f.wait_ns, begin_ns + wait_ns - f.fake.now_ns);
        }
        f.fake.now_ns = begin_ns + wait_ns - 1;
        assert_int_equal(take(cost), WEIR_ELIMITED);
        assert_int_equal(f.wait_ns, 1);
        f.fake.now_ns++;
        assert_int_equal(take(cost), WEIR_OK);
    }
}

static void tells_never_apart_from_not_yet(void **state)
{
    (void)state;
    weir_reservation r;
    assert_int_equal(take(4), WEIR_ENEVER);
    assert_true(f.wait_ns == WEIR_NEVER);
    assert_int_equal(take(UINT64_MAX), WEIR_ENEVER);
    assert_int_equal(reserve(4, WEIR_NEVER, &r), WEIR_ENEVER);
    assert_true(r.ready_ns == WEIR_NEVER && r.cost == 0);
    assert_int_equal(weir_limiter_acquire(f.limiter, 4, WEIR_NEVER), WEIR_ENEVER);
    assert_int_equal(take(0), WEIR_EINVAL);
    assert_int_equal(reserve(0, 0, &r), WEIR_EINVAL);
    assert_int_equal(weir_limiter_acquire(f.limiter, 0, 0), WEIR_EINVAL);
    assert_int_equal(stats()->remaining, 3);
    assert_int_equal(weir_limiter_try(f.limiter, 4, NULL), WEIR_ENEVER);
}

/* 3 a second: an interval of 333,333,333 1/3 ns is rounded up, so a burst needs a bit longer. */
static void is_never_faster_than_asked(void **state)
{
    (void)state;
    f.options.limit = 3;
    update();
    use_up_the_burst();
    assert_int_equal(take(3), WEIR_ELIMITED);
    assert_int_equal(f.wait_ns, 3 * UINT64_C(333333334));
    assert_true(f.wait_ns >= 1000 * MS);
}

static void a_clock_that_steps_back_gives_nothing(void **state)
{
    (void)state;
    use_up_the_burst();
    f.fake.now_ns -= 1000 * MS;
    assert_int_equal(take(1), WEIR_ELIMITED);
    assert_int_equal(f.wait_ns, 1000 * MS + INTERVAL);
    f.fake.now_ns = 0;
    assert_int_equal(take(1), WEIR_ELIMITED);
    f.fake.now_ns = START;
    assert_int_equal(take(1), WEIR_ELIMITED);
    assert_int_equal(f.wait_ns, INTERVAL);
}

static void times_saturate(void **state)
{
    (void)state;
    uint64_t const last_ns = UINT64_C(1) << 61;
    for (int i = 0; i < 3; i++)
        assert_int_equal(weir_limiter_try_at(f.limiter, 1, WEIR_NEVER, NULL), WEIR_OK);
    assert_int_equal(weir_limiter_try_at(f.limiter, 1, last_ns, &f.wait_ns), WEIR_ELIMITED);
    assert_int_equal(f.wait_ns, INTERVAL);
    weir_reservation r;
    for (int i = 0; i < 100; i++)
        assert_int_equal(weir_limiter_reserve(f.limiter, 3, WEIR_NEVER, WEIR_NEVER, &r), WEIR_OK);
    assert_true(r.ready_ns == last_ns + 300 * INTERVAL);
}

static void a_reservation_waits_its_turn(void **state)
{
    (void)state;
    weir_reservation r[3];
    use_up_the_burst();
    assert_int_equal(reserve(1, WEIR_NEVER, &r[0]), WEIR_OK);
    assert_int_equal(reserve(3, WEIR_NEVER, &r[1]), WEIR_OK);
    assert_int_equal(reserve(1, WEIR_NEVER, &r[2]), WEIR_OK);
    assert_true(r[0].ready_ns == START + INTERVAL);
    assert_true(r[1].ready_ns == START + 4 * INTERVAL);
    assert_true(r[2].ready_ns == START + 5 * INTERVAL);
    assert_int_equal(take(1), WEIR_ELIMITED);
    assert_int_equal(f.wait_ns, 6 * INTERVAL);
}

static void a_reservation_too_far_ahead_takes_nothing(void **state)
{
    (void)state;
    weir_reservation r;
    use_up_the_burst();
    assert_int_equal(reserve(2, 2 * INTERVAL - 1, &r), WEIR_ELIMITED);
    assert_int_equal(r.cost, 0);
    assert_true(r.ready_ns == START + 2 * INTERVAL);
    assert_int_equal(weir_limiter_cancel(f.limiter, &r, START), 0);
    assert_int_equal(stats()->debt_ns, 3 * INTERVAL);
    assert_int_equal(reserve(2, 2 * INTERVAL, &r), WEIR_OK);
    assert_int_equal(stats()->debt_ns, 5 * INTERVAL);
}

static void the_latest_reservation_cancelled_has_never_been(void **state)
{
    (void)state;
    weir_reservation r[3];
    use_up_the_burst();
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(reserve(i + 1, WEIR_NEVER, &r[i]), WEIR_OK);
    for (uint64_t i = 3; i-- > 0;) {
        uint64_t const debt_ns = stats()->debt_ns;
        f.fake.now_ns += 7;
        assert_int_equal(weir_limiter_cancel(f.limiter, &r[i], f.fake.now_ns), (i + 1) * INTERVAL);
        assert_int_equal(stats()->debt_ns, debt_ns - (i + 1) * INTERVAL - 7);
        assert_int_equal(weir_limiter_cancel(f.limiter, &r[i], f.fake.now_ns), 0);
    }
    assert_true(f.stats.debt_ns + f.fake.now_ns == START + 3 * INTERVAL);
}

static void later_bookings_keep_their_times(void **state)
{
    (void)state;
    weir_reservation big;
    weir_reservation small;
    weir_reservation next;
    use_up_the_burst();
    assert_int_equal(reserve(3, WEIR_NEVER, &big), WEIR_OK);
    assert_int_equal(reserve(1, WEIR_NEVER, &small), WEIR_OK);
    assert_true(small.ready_ns == START + 4 * INTERVAL);
    /* 3 permits less the 1 behind. */
    assert_int_equal(weir_limiter_cancel(f.limiter, &big, START), 2 * INTERVAL);
    assert_int_equal(reserve(2, WEIR_NEVER, &next), WEIR_OK);
    assert_true(next.ready_ns == small.ready_ns); /* Three at once: the burst. */
    /* Where `small` stands in the order is lost with that; `next` is the latest. */
    assert_int_equal(weir_limiter_cancel(f.limiter, &small, START), 0);
    assert_int_equal(weir_limiter_cancel(f.limiter, &next, START), 2 * INTERVAL);
}

static void a_small_slot_in_the_midst_is_lost(void **state)
{
    (void)state;
    weir_reservation r[2];
    use_up_the_burst();
    assert_int_equal(reserve(1, WEIR_NEVER, &r[0]), WEIR_OK);
    assert_int_equal(reserve(1, WEIR_NEVER, &r[1]), WEIR_OK);
    assert_int_equal(weir_limiter_cancel(f.limiter, &r[0], START), 0);
    assert_int_equal(weir_limiter_cancel(f.limiter, &r[1], START), INTERVAL);
    assert_int_equal(stats()->debt_ns, 4 * INTERVAL);
}

static void nothing_comes_back_once_the_time_is_past(void **state)
{
    (void)state;
    weir_reservation r;
    assert_int_equal(reserve(1, 0, &r), WEIR_OK);
    assert_int_equal(weir_limiter_cancel(f.limiter, &r, START + 1), 0);
    assert_int_equal(reserve(1, 0, &r), WEIR_OK);
    assert_int_equal(weir_limiter_cancel(f.limiter, &r, START), INTERVAL);
    f.fake.now_ns += 10 * INTERVAL;
    use_up_the_burst();
    assert_int_equal(reserve(1, WEIR_NEVER, &r), WEIR_OK);
    f.fake.now_ns = r.ready_ns + 1;
    assert_int_equal(weir_limiter_cancel(f.limiter, &r, f.fake.now_ns), 0);
    assert_int_equal(r.cost, 0);
}

static void acquire_sleeps_until_its_turn(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(weir_limiter_acquire(f.limiter, 1, WEIR_NEVER), WEIR_OK);
    assert_int_equal(f.fake.slept_ns, 2 * INTERVAL);
    assert_int_equal(f.fake.now_ns, START + 2 * INTERVAL);
}

static void a_waiter_that_gives_up_has_taken_nothing(void **state)
{
    (void)state;
    use_up_the_burst();
    uint64_t const before_ns = stats()->debt_ns;
    assert_int_equal(weir_limiter_acquire(f.limiter, 1, START + INTERVAL - 1), WEIR_EDEADLINE);
    assert_int_equal(weir_limiter_acquire(f.limiter, 1, START - 1), WEIR_EDEADLINE);
    assert_int_equal(f.fake.slept_ns, 0);
    assert_int_equal(stats()->debt_ns, before_ns);
    assert_int_equal(weir_limiter_acquire(f.limiter, 1, START + INTERVAL), WEIR_OK);
    assert_int_equal(f.fake.slept_ns, INTERVAL);
}

static void an_update_keeps_what_was_taken(void **state)
{
    (void)state;
    assert_int_equal(take(2), WEIR_OK);
    f.fake.now_ns += 50 * MS; /* One and a half permits are out. */
    f.options.limit = 20;
    update();
    assert_int_equal(stats()->debt_ns, 75 * MS);
    assert_int_equal(stats()->remaining, 1);
    f.options.limit = 1;
    update();
    assert_int_equal(stats()->debt_ns, 1500 * MS);
    assert_int_equal(stats()->remaining, 1);
    f.options.burst = 10; /* What is added is there at once. */
    update();
    assert_int_equal(stats()->remaining, 8);
    f.options.burst = 1;
    update();
    assert_int_equal(stats()->remaining, 0);
    assert_int_equal(stats()->next_free_ns, f.fake.now_ns + 1500 * MS);
    assert_int_equal(take(2), WEIR_ENEVER);
}

static void a_debt_is_rounded_up_and_saturates(void **state)
{
    (void)state;
    weir_reservation r;
    f.options.limit = 3;
    f.options.period_ns = 9;
    f.options.burst = 1;
    update();
    assert_int_equal(take(1), WEIR_OK);
    f.fake.now_ns += 1; /* 2/3 of a permit. */
    f.options.period_ns = 15;
    update();
    assert_int_equal(stats()->debt_ns, 4); /* 5 * 2/3 is 3 1/3. */
    assert_int_equal(reserve(1, WEIR_NEVER, &r), WEIR_OK);
    f.options.limit = 1;
    f.options.period_ns = UINT64_C(1) << 59;
    update();
    /* 9/5 of a permit of 2^59 ns: 2^59 and 461,168,601,842,738,790.4 */
    assert_true(stats()->debt_ns == (UINT64_C(1) << 59) + UINT64_C(461168601842738791));
}

static void a_reservation_from_before_an_update_is_final(void **state)
{
    (void)state;
    weir_reservation r;
    use_up_the_burst();
    assert_int_equal(reserve(1, WEIR_NEVER, &r), WEIR_OK);
    f.options.limit = 100;
    update();
    assert_int_equal(weir_limiter_cancel(f.limiter, &r, START), 0);
    assert_int_equal(stats()->debt_ns, 40 * MS);
}

static void unlimited_admits_everything(void **state)
{
    (void)state;
    use_up_the_burst();
    f.options.limit = WEIR_LIMITER_UNLIMITED;
    f.options.period_ns = 0; /* Not looked at. */
    update();
    for (int i = 0; i < 100; i++)
        assert_int_equal(take(UINT64_MAX), WEIR_OK);
    weir_reservation r;
    assert_int_equal(reserve(1000, 0, &r), WEIR_OK);
    assert_int_equal(r.ready_ns, START);
    assert_int_equal(weir_limiter_cancel(f.limiter, &r, START), 0);
    assert_true(stats()->remaining == UINT64_MAX);
    assert_int_equal(stats()->next_free_ns, START);
    assert_int_equal(stats()->refused, 0);
    f.options.limit = 10;
    f.options.period_ns = 1000 * MS;
    update();
    assert_int_equal(stats()->remaining, 3); /* The burst starts whole. */
}

static void a_dry_run_admits_and_tells(void **state)
{
    (void)state;
    f.options.dry_run = true;
    update();
    use_up_the_burst();
    assert_int_equal(take(1), WEIR_OK);
    assert_int_equal(f.wait_ns, INTERVAL);
    assert_int_equal(take(9), WEIR_OK);
    assert_true(f.wait_ns == WEIR_NEVER);
    assert_int_equal(stats()->refused, 2);
    assert_int_equal(stats()->debt_ns, 3 * INTERVAL); /* As if they had been refused. */
    weir_reservation r;
    assert_int_equal(reserve(1, WEIR_NEVER, &r), WEIR_OK);
    assert_int_equal(r.ready_ns, START);
    assert_int_equal(reserve(1, 0, &r), WEIR_OK);
    assert_int_equal(r.ready_ns, START);
    assert_int_equal(r.cost, 0);
    assert_int_equal(reserve(9, 0, &r), WEIR_OK);
    assert_int_equal(r.ready_ns, START);
    assert_int_equal(weir_limiter_acquire(f.limiter, 1, START), WEIR_OK);
    assert_int_equal(f.fake.slept_ns, 0);
    assert_int_equal(stats()->refused, 5);
}

static void stats_say_what_is_left_and_when_more_comes(void **state)
{
    (void)state;
    assert_int_equal(stats()->remaining, 3);
    assert_int_equal(stats()->next_free_ns, START);
    assert_int_equal(stats()->debt_ns, 0);
    assert_int_equal(take(2), WEIR_OK);
    assert_int_equal(stats()->remaining, 1);
    assert_int_equal(take(1), WEIR_OK);
    assert_int_equal(take(1), WEIR_ELIMITED);
    f.fake.now_ns += 30 * MS;
    assert_int_equal(stats()->remaining, 0);
    assert_int_equal(stats()->next_free_ns, START + INTERVAL);
    assert_int_equal(stats()->debt_ns, 270 * MS);
    assert_int_equal(stats()->refused, 1);
}

static void burst_is_the_limit_unless_given(void **state)
{
    (void)state;
    f.options.burst = 0;
    update();
    assert_int_equal(stats()->remaining, 10);
    assert_int_equal(take(10), WEIR_OK);
    assert_int_equal(take(1), WEIR_ELIMITED);
}

static void refused(uint64_t limit, uint64_t period_ns, uint64_t burst)
{
    weir_limiter *limiter;
    weir_limiter_options options = WEIR_LIMITER_OPTIONS_INIT;
    options.limit = limit;
    options.period_ns = period_ns;
    options.burst = burst;
    assert_int_equal(weir_limiter_create(&limiter, &options), WEIR_EINVAL);
    assert_null(limiter);
    assert_int_equal(weir_limiter_update(f.limiter, &options), WEIR_EINVAL);
    assert_int_equal(stats()->remaining, 3);
}

static void options_out_of_range_change_nothing(void **state)
{
    (void)state;
    uint64_t const most_ns = UINT64_C(1) << 59;
    refused(0, 1000, 1);
    refused(1001, 1000, 1);
    refused(1, 0, 1);
    refused(1, most_ns + 1, 1);
    refused(1, most_ns, 2);
    refused(1, 2, most_ns / 2 + 1);
    refused(2, most_ns, UINT64_MAX);
    struct {
        weir_limiter_options known;
        uint64_t unknown;
    } newer = {WEIR_LIMITER_OPTIONS_INIT, 1};
    newer.known.struct_size = sizeof newer;
    weir_limiter *limiter;
    assert_int_equal(weir_limiter_create(&limiter, &newer.known), WEIR_EINVAL);
    weir_env env = WEIR_ENV_INIT;
    env.struct_size = 1;
    weir_limiter_options options = f.options;
    options.env = &env;
    assert_int_equal(weir_limiter_create(&limiter, &options), WEIR_EINVAL);
    assert_int_equal(weir_limiter_update(f.limiter, &options), WEIR_OK); /* Not looked at. */
}

static void the_ends_of_the_ranges_work(void **state)
{
    (void)state;
    f.options.limit = f.options.period_ns = UINT64_C(1) << 59;
    f.options.burst = 0;
    update();
    assert_int_equal(take(UINT64_C(1) << 59), WEIR_OK);
    assert_int_equal(take(1), WEIR_ELIMITED);
    assert_int_equal(f.wait_ns, 1);
    f.options.limit = f.options.burst = 1;
    update();
    assert_int_equal(take(1), WEIR_ELIMITED);
    assert_true(f.wait_ns == UINT64_C(1) << 60); /* More than a lifetime of debt is not kept. */
    weir_limiter *limiter;
    assert_int_equal(weir_limiter_create(&limiter, NULL), WEIR_OK);
    weir_limiter_destroy(limiter);
    weir_limiter_destroy(NULL);
}

static void create_survives_every_failed_allocation(void **state)
{
    (void)state;
    fake_env fake = {.fail_at = 1};
    weir_env const env = fake_env_hooks(&fake);
    weir_limiter_options options = f.options;
    options.env = &env;
    weir_limiter *limiter;
    for (; weir_limiter_create(&limiter, &options) == WEIR_ENOMEM; fake.fail_at++) {
        assert_null(limiter);
        assert_int_equal(fake.live_bytes, 0);
        fake.calls = 0;
    }
    assert_int_equal(fake.fail_at, 2);
    fake.fail_at = fake.calls + 1; /* From here on nothing allocates. */
    assert_int_equal(weir_limiter_update(limiter, &options), WEIR_OK);
    weir_limiter_destroy(limiter);
    assert_int_equal(fake.live_bytes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(admits_the_burst_and_then_one_an_interval),
        TEST(refuses_at_every_part_of_the_wait_and_admits_at_its_end),
        TEST(tells_never_apart_from_not_yet),
        TEST(is_never_faster_than_asked),
        TEST(a_clock_that_steps_back_gives_nothing),
        TEST(times_saturate),
        TEST(a_reservation_waits_its_turn),
        TEST(a_reservation_too_far_ahead_takes_nothing),
        TEST(the_latest_reservation_cancelled_has_never_been),
        TEST(later_bookings_keep_their_times),
        TEST(a_small_slot_in_the_midst_is_lost),
        TEST(nothing_comes_back_once_the_time_is_past),
        TEST(acquire_sleeps_until_its_turn),
        TEST(a_waiter_that_gives_up_has_taken_nothing),
        TEST(an_update_keeps_what_was_taken),
        TEST(a_debt_is_rounded_up_and_saturates),
        TEST(a_reservation_from_before_an_update_is_final),
        TEST(unlimited_admits_everything),
        TEST(a_dry_run_admits_and_tells),
        TEST(stats_say_what_is_left_and_when_more_comes),
        TEST(burst_is_the_limit_unless_given),
        TEST(options_out_of_range_change_nothing),
        TEST(the_ends_of_the_ranges_work),
        TEST(create_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("limiter", tests, NULL, NULL);
}

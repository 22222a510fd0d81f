/* Balancer: weights that change by time, reports and recovery. */
#include "support/balancer_fixture.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

static void run_task_at(uint64_t now_ns)
{
    weir_task const task = weir_balancer_task(f.balancer);
    f.fake.now_ns = now_ns;
    (void)task.run(task.self, now_ns);
}

static void assert_near(double value, double expected)
{
    assert_true(value > expected * 0.999 && value < expected * 1.001);
}

/* ---- Slow start ---- */

static void slow_start(double aggression)
{
    f.options.slow_start_ns = 100 * S;
    f.options.slow_start_aggression = aggression;
    create(WEIR_SMOOTH_WEIGHTED);
    f.fake.now_ns = 1000 * S;
    SET_WEIGHTS(10, 10);
}

/* envoy: weight * max(10 %, (t / window)^(1 / aggression)). */
static void a_member_that_comes_back_starts_slowly(void **state)
{
    (void)state;
    unsigned counts[8];
    slow_start(1);
    assert_near(stats_of("a").weight, 10); /* Not at the start of the process. */
    flag("a", WEIR_MEMBER_UNHEALTHY, 0);
    flag("a", 0, WEIR_MEMBER_UNHEALTHY);
    assert_near(stats_of("a").weight, 1);
    count_picks(counts, 110);
    assert_int_equal(counts[0], 10);
    run_task_at(1050 * S);
    assert_near(stats_of("a").weight, 5);
    run_task_at(1100 * S);
    assert_near(stats_of("a").weight, 10);
    slow_start(2);
    flag("a", WEIR_MEMBER_EJECTED, 0);
    flag("a", 0, WEIR_MEMBER_EJECTED);
    run_task_at(1025 * S);
    assert_near(stats_of("a").weight, 5); /* The root of a quarter. */
}

static void a_new_member_starts_slowly_and_goes_on_after_an_update(void **state)
{
    (void)state;
    slow_start(1);
    SET_WEIGHTS(10, 10, 20);
    assert_near(stats_of("b").weight, 10);
    assert_near(stats_of("c").weight, 2);
    run_task_at(1050 * S);
    assert_near(stats_of("c").weight, 10);
    SET_WEIGHTS(10, 10, 30); /* envoy#29008: what it has reached is not lost. */
    assert_near(stats_of("c").weight, 15);
    f.fake.now_ns = 1060 * S;
    SET_WEIGHTS(10, 10, 30, 10);
    assert_near(stats_of("c").weight, 18);
    assert_near(stats_of("d").weight, 1);
}

static void the_task_looks_in_as_often_as_it_is_needed(void **state)
{
    (void)state;
    create(WEIR_ROUND_ROBIN);
    weir_task task = weir_balancer_task(f.balancer);
    assert_int_equal(task.run(task.self, S), WEIR_NEVER);
    f.options.slow_start_ns = 20 * S;
    assert_int_equal(weir_balancer_configure(f.balancer, &f.options), WEIR_OK);
    assert_in_range(task.run(task.self, S), S + 1, 2 * S + 1);
    f.options.reported_weights = true;
    f.options.report_update_ns = 100 * MS;
    assert_int_equal(weir_balancer_configure(f.balancer, &f.options), WEIR_OK);
    assert_int_equal(task.run(task.self, S), S + 100 * MS);
}

/* ---- Recovery ---- */

/* brpc: of 8 wanted, 2 are back, so a quarter of the calls is let through. */
static void after_a_total_outage_calls_come_back_with_the_members(void **state)
{
    (void)state;
    char id[2] = "a";
    f.options.recovery_min_members = 8;
    f.options.recovery_hold_ns = 5 * S;
    f.options.panic_percent = 0;
    f.fake.random = 77;
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1, 1, 1, 1, 1, 1, 1, 1);
    assert_int_equal(pick_result(), WEIR_OK); /* At the start there was no outage. */
    for (id[0] = 'a'; id[0] <= 'h'; id[0]++)
        flag(id, WEIR_MEMBER_UNHEALTHY, 0);
    assert_int_equal(pick_result(), WEIR_EDOWN);
    flag("a", 0, WEIR_MEMBER_UNHEALTHY);
    flag("b", 0, WEIR_MEMBER_UNHEALTHY);
    unsigned through = 0;
    for (int i = 0; i < 10000; i++) {
        int const result = pick_result();
        assert_true(result == WEIR_OK || result == WEIR_ESATURATED);
        through += result == WEIR_OK;
    }
    assert_in_range(through, 2500 - 174, 2500 + 174); /* Four standard deviations. */
    run_task_at(f.fake.now_ns + 5 * S);               /* No more come: it has to do. */
    for (int i = 0; i < 100; i++)
        assert_int_equal(pick_result(), WEIR_OK);
}

static void recovery_is_over_when_enough_members_are_back(void **state)
{
    (void)state;
    f.options.recovery_min_members = 1;
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1, 1);
    flag("a", WEIR_MEMBER_DOWN, 0);
    flag("b", WEIR_MEMBER_DOWN, 0);
    flag("b", 0, WEIR_MEMBER_DOWN);
    for (int i = 0; i < 100; i++)
        assert_int_equal(pick_result(), WEIR_OK);
}

/* ---- Reports ---- */

static void report(const char *id, double calls, double errors, double utilization)
{
    weir_load_report const told = {calls, errors, utilization};
    assert_int_equal(weir_balancer_report(f.balancer, id, &told, f.fake.now_ns), WEIR_OK);
}

/* A58: 100 / .5 = 200; 100 / (.5 + 25 / 100 * 2) = 100; c has none: the mean, 150. */
static void weights_are_those_that_members_report(void **state)
{
    (void)state;
    unsigned counts[8];
    f.options.reported_weights = true;
    f.options.report_error_penalty = 2;
    create(WEIR_SMOOTH_WEIGHTED);
    SET_WEIGHTS(1, 50, 1, 0);
    f.fake.now_ns = 100 * S;
    report("d", 1000000, 0, 1); /* Of weight 0: no measure for the others. */
    count_picks(counts, 9);     /* Nothing is known: all alike. */
    assert_int_equal(counts[1], 3);
    report("a", 100, 0, 0.5);
    report("b", 100, 25, 0.5);
    run_task_at(105 * S);
    count_picks(counts, 9); /* Blackout: not believed yet. */
    assert_int_equal(counts[1], 3);
    report("a", 100, 0, 0.5);
    report("b", 100, 25, 0.5);
    report("b", 0, 0, 0.9); /* Says nothing. */
    report("d", 1000000, 0, 1);
    run_task_at(110 * S);
    count_picks(counts, 9000);
    assert_in_range(counts[0], 3999, 4001);
    assert_in_range(counts[1], 1999, 2001);
    assert_in_range(counts[2], 2999, 3001);
    assert_int_equal(counts[3], 0);
    run_task_at(291 * S); /* Three minutes later they have expired. */
    count_picks(counts, 9);
    assert_int_equal(counts[1], 3);
    report("a", 100, 0, 0.5); /* After a gap, the blackout begins anew. */
    report("b", 100, 25, 0.5);
    run_task_at(292 * S);
    count_picks(counts, 9);
    assert_int_equal(counts[1], 3);
}

static void reports_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    double const zero = 0;
    weir_load_report const bad[] = {
        {-1, 0, 1}, {1, -1, 1}, {1, 0, -1}, {zero / zero, 0, 1}, {1, 0, 1 / zero}};
    weir_load_report const good = {1, 0, 1};
    create(WEIR_RANDOM);
    SET_WEIGHTS(1, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(weir_balancer_report(f.balancer, "a", &bad[i], 1), WEIR_EINVAL);
    assert_int_equal(weir_balancer_report(f.balancer, "z", &good, 1), WEIR_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_that_comes_back_starts_slowly),
        TEST(a_new_member_starts_slowly_and_goes_on_after_an_update),
        TEST(the_task_looks_in_as_often_as_it_is_needed),
        TEST(after_a_total_outage_calls_come_back_with_the_members),
        TEST(recovery_is_over_when_enough_members_are_back),
        TEST(weights_are_those_that_members_report),
        TEST(reports_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests_name("balancer weights", tests, NULL, NULL);
}

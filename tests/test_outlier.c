/* What ejects a host. */
#include "support/outlier_fixture.h"

static void assert_near(double value, double expected)
{
    assert_true(value > expected - 0.001 && value < expected + 0.001);
}

/* ---- In a row ---- */

static void ejects_at_the_fifth_failure_in_a_row(void **state)
{
    (void)state;
    f.options.consecutive_failures = 5;
    create(10);
    record(3, WEIR_FAILURE, 4);
    record(3, WEIR_SUCCESS, 1);
    record(3, WEIR_FAILURE, 4);
    assert_false(ejected(3));
    record(3, WEIR_TIMEOUT, 1);
    assert_true(ejected(3));
    assert_int_equal(last_event()->kind, WEIR_OUTLIER_EJECTED);
    assert_int_equal(last_event()->detection, WEIR_OUTLIER_CONSECUTIVE);
    assert_string_equal(last_event()->id, "3");
    assert_near(last_event()->figure, 5);
    assert_near(last_event()->threshold, 5);
    assert_int_equal(last_event()->hosts, 10);
    assert_int_equal(last_event()->ejected, 1);
    assert_int_equal(last_event()->until_ns, f.fake.now_ns + 30 * S);
}

static void overload_ends_a_row_and_never_ejects(void **state)
{
    (void)state;
    f.options.consecutive_failures = 2;
    f.options.failure_percent = 1;
    f.options.failure_percent_min_calls = f.options.failure_percent_min_hosts = 1;
    create(10);
    for (int i = 0; i < 10; i++) {
        record(0, WEIR_OVERLOAD, 10);
        record(0, WEIR_FAILURE, i == 0);
    }
    assert_false(ejected(0));
    for (size_t host = 0; host < 10; host++)
        record(host, WEIR_OVERLOAD, 100);
    sweep();
    sweep();
    assert_int_equal(ejected_count(), 1); /* For the one failure of its one call. */
    assert_near(last_event()->figure, 100);
    assert_int_equal(last_event()->calls, 1);
}

static void outcomes_that_say_nothing_are_not_counted(void **state)
{
    (void)state;
    f.options.consecutive_failures = 2;
    create(10);
    record(0, WEIR_FAILURE, 1);
    record(0, WEIR_IGNORED, 5);
    record(0, WEIR_CANCELLED, 5);
    assert_false(ejected(0));
    record(0, WEIR_FAILURE, 1); /* Nor do they end a row. */
    assert_true(ejected(0));
}

static void gateway_failures_are_counted_in_a_row_of_their_own(void **state)
{
    (void)state;
    f.options.consecutive_gateway = 3;
    create(10);
    record_from(0, WEIR_FAILURE, WEIR_ORIGIN_GATEWAY, 2);
    record_from(0, WEIR_FAILURE, WEIR_ORIGIN_SERVER, 1); /* A 500 is none. */
    record_from(0, WEIR_FAILURE, WEIR_ORIGIN_GATEWAY, 2);
    assert_false(ejected(0));
    record_from(0, WEIR_TIMEOUT, WEIR_ORIGIN_LOCAL, 1); /* Not split: it counts. */
    assert_true(ejected(0));
    assert_int_equal(last_event()->detection, WEIR_OUTLIER_CONSECUTIVE_GATEWAY);
}

static void local_failures_can_be_judged_apart(void **state)
{
    (void)state;
    f.options.split_local = true;
    f.options.consecutive_failures = 3;
    f.options.consecutive_local = 4;
    create(20);
    record_from(0, WEIR_FAILURE, WEIR_ORIGIN_LOCAL, 3);
    assert_false(ejected(0));
    record_from(0, WEIR_FAILURE, WEIR_ORIGIN_SERVER, 1); /* It was reached: the row ends. */
    record_from(0, WEIR_FAILURE, WEIR_ORIGIN_LOCAL, 3);
    assert_false(ejected(0));
    record_from(0, WEIR_FAILURE, WEIR_ORIGIN_LOCAL, 1);
    assert_int_equal(last_event()->detection, WEIR_OUTLIER_CONSECUTIVE_LOCAL);
    record_from(1, WEIR_FAILURE, WEIR_ORIGIN_SERVER, 2);
    record_from(1, WEIR_FAILURE, WEIR_ORIGIN_LOCAL, 1);
    assert_false(ejected(1));
    record_from(1, WEIR_FAILURE, WEIR_ORIGIN_SERVER, 1);
    assert_true(ejected(1));
}

/* ---- Success rate ---- */

/* Envoy's documentation: rates of five hosts; mean 87.2, population deviation
 * sqrt((4 * 10.8^2 + 43.2^2) / 5) = 21.6; 87.2 - 1.9 * 21.6 = 46.16. */
static void ejects_below_the_mean_by_more_than_the_deviation_times_its_factor(void **state)
{
    (void)state;
    f.options.success_rate_factor = 1900;
    create(5);
    for (size_t host = 0; host < 4; host++)
        record_mix(host, 100, 2);
    record_mix(4, 100, 56);
    sweep();
    assert_true(ejected(4));
    assert_int_equal(ejected_count(), 1);
    assert_int_equal(last_event()->detection, WEIR_OUTLIER_SUCCESS_RATE);
    assert_near(last_event()->figure, 44);
    assert_near(last_event()->threshold, 46.16);
    assert_int_equal(last_event()->calls, 100);
}

static void hosts_that_are_alike_are_never_outliers(void **state)
{
    (void)state;
    f.options.success_rate_factor = 1900;
    create(10);
    for (size_t host = 0; host < 10; host++)
        record_mix(host, 200, 100);
    sweep();
    assert_int_equal(ejected_count(), 0);
}

/* 37 of 101 has no exact double: rounding of the mean must not make outliers of equals. */
static void equals_are_not_outliers_by_rounding(void **state)
{
    (void)state;
    f.options.success_rate_factor = 1;
    f.options.max_ejected_percent = 100;
    for (size_t hosts = 5; hosts < 60; hosts++) {
        create(hosts);
        for (size_t host = 0; host < hosts; host++)
            record_mix(host, 101, 64);
        sweep();
        assert_int_equal(ejected_count(), 0);
        weir_outlier_destroy(f.outlier);
        f.outlier = NULL;
    }
}

/* servicetalk#3551: hosts with few calls change neither mean nor deviation, nor are they judged. */
static void hosts_of_low_volume_do_not_skew_the_statistics(void **state)
{
    (void)state;
    f.options.success_rate_factor = 1900;
    create(25);
    for (size_t host = 0; host < 4; host++)
        record_mix(host, 100, 2);
    record_mix(4, 100, 56);
    for (size_t host = 5; host < 25; host++)
        record(host, WEIR_FAILURE, 99);
    sweep();
    assert_int_equal(ejected_count(), 1);
    assert_true(ejected(4));
    assert_near(last_event()->threshold, 46.16);
}

static void a_rate_needs_hosts_to_be_compared_with(void **state)
{
    (void)state;
    f.options.success_rate_factor = 1900;
    create(20);
    for (size_t host = 0; host < 3; host++)
        record_mix(host, 100, 2);
    record_mix(3, 100, 90);
    record_mix(4, 99, 90);
    sweep();
    assert_int_equal(ejected_count(), 0); /* Four have the volume. */
}

static void the_worst_is_ejected_first(void **state)
{
    (void)state;
    f.options.success_rate_factor = 500;
    create(10);
    for (size_t host = 0; host < 8; host++)
        record_mix(host, 100, 0);
    record_mix(8, 100, 60);
    record_mix(9, 100, 70);
    sweep();
    assert_int_equal(ejected_count(), 1); /* 10 % of 10. */
    assert_true(ejected(9));
    assert_int_equal(last_event()->kind, WEIR_OUTLIER_SPARED);
    assert_string_equal(last_event()->id, "8");
}

static void local_origin_has_a_success_rate_of_its_own(void **state)
{
    (void)state;
    f.options.success_rate_factor = 1900;
    f.options.split_local = true;
    create(5);
    for (size_t host = 0; host < 4; host++)
        record(host, WEIR_SUCCESS, 100);
    record(4, WEIR_SUCCESS, 50);
    record_from(4, WEIR_TIMEOUT, WEIR_ORIGIN_LOCAL, 50);
    sweep();
    assert_int_equal(last_event()->detection, WEIR_OUTLIER_LOCAL_SUCCESS_RATE);
    assert_near(last_event()->figure, 50);
}

/* ---- Failure percentage ---- */

static void ejects_at_the_failure_percentage(void **state)
{
    (void)state;
    f.options.failure_percent = 85;
    create(10);
    record_mix(0, 100, 84);
    record_mix(1, 100, 85);
    record_mix(2, 49, 49); /* Below the volume. */
    for (size_t host = 3; host < 6; host++)
        record_mix(host, 100, 0);
    sweep();
    assert_int_equal(ejected_count(), 1);
    assert_true(ejected(1));
    assert_int_equal(last_event()->detection, WEIR_OUTLIER_FAILURE_PERCENT);
    assert_near(last_event()->figure, 85);
    assert_near(last_event()->threshold, 85);
}

/* 30 of 60 connections fail; of the 30 answers none does. */
static void local_origin_has_a_failure_percentage_of_its_own(void **state)
{
    (void)state;
    f.options.failure_percent = 50;
    f.options.split_local = true;
    create(5);
    for (size_t host = 0; host < 5; host++)
        record(host, WEIR_SUCCESS, 30);
    for (size_t host = 0; host < 4; host++)
        record(host, WEIR_SUCCESS, 30);
    record_from(4, WEIR_FAILURE, WEIR_ORIGIN_LOCAL, 30);
    sweep();
    assert_true(ejected(4));
    assert_int_equal(last_event()->detection, WEIR_OUTLIER_LOCAL_FAILURE_PERCENT);
    assert_near(last_event()->figure, 50);
    assert_int_equal(last_event()->calls, 60);
}

/* ---- Latency: envoy#288 ---- */

static void record_latency(size_t host, uint64_t latency_ns, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        weir_outlier_record(f.hosts[host], WEIR_SUCCESS, WEIR_ORIGIN_SERVER, latency_ns,
                            f.fake.now_ns);
}

/* Means of 50, 60, 70, 80 and 1,000 ms: the median is 70, thrice that 210. */
static void ejects_a_host_that_is_slower_than_the_others(void **state)
{
    (void)state;
    f.options.latency_percent = 300;
    create(5);
    for (size_t host = 0; host < 4; host++)
        record_latency(host, (50 + 10 * host) * MS, 100);
    record_latency(4, 500 * MS, 50);
    record_latency(4, 1500 * MS, 50);
    sweep();
    assert_true(ejected(4));
    assert_int_equal(last_event()->detection, WEIR_OUTLIER_LATENCY);
    assert_near(last_event()->figure / 1e6, 1000);
    assert_near(last_event()->threshold / 1e6, 210);
}

static void below_the_floor_nobody_is_slow(void **state)
{
    (void)state;
    f.options.latency_percent = 300;
    create(5);
    for (size_t host = 0; host < 4; host++)
        record_latency(host, 1 * MS, 100);
    record_latency(4, 100 * MS, 100);
    sweep();
    assert_int_equal(ejected_count(), 0);
}

static void of_two_hosts_the_slow_one_stands_out(void **state)
{
    (void)state;
    f.options.latency_percent = 300;
    f.options.latency_min_hosts = 2;
    create(2);
    record_latency(0, 400 * MS, 100);
    record_latency(1, 100 * MS, 100);
    sweep();
    assert_true(ejected(0));
    assert_near(last_event()->threshold / 1e6, 300);
}

static void a_latency_needs_hosts_to_be_compared_with(void **state)
{
    (void)state;
    f.options.latency_percent = 200;
    f.options.latency_floor_ms = 0;
    create(2); /* Three are asked for. */
    record(0, WEIR_SUCCESS, 100);
    for (unsigned i = 0; i < 100; i++)
        weir_outlier_record(f.hosts[1], WEIR_SUCCESS, WEIR_ORIGIN_SERVER, 1 * S, f.fake.now_ns);
    sweep();
    assert_int_equal(ejected_count(), 0);
}

static void a_host_that_fails_slowly_is_not_called_slow(void **state)
{
    (void)state;
    f.options.latency_percent = 300;
    create(5);
    for (size_t host = 0; host < 5; host++)
        record_latency(host, 100 * MS, 100);
    for (int i = 0; i < 100; i++)
        weir_outlier_record(f.hosts[4], WEIR_FAILURE, WEIR_ORIGIN_SERVER, 9 * S, f.fake.now_ns);
    sweep();
    assert_int_equal(ejected_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ejects_at_the_fifth_failure_in_a_row),
        TEST(overload_ends_a_row_and_never_ejects),
        TEST(outcomes_that_say_nothing_are_not_counted),
        TEST(gateway_failures_are_counted_in_a_row_of_their_own),
        TEST(local_failures_can_be_judged_apart),
        TEST(ejects_below_the_mean_by_more_than_the_deviation_times_its_factor),
        TEST(hosts_that_are_alike_are_never_outliers),
        TEST(equals_are_not_outliers_by_rounding),
        TEST(hosts_of_low_volume_do_not_skew_the_statistics),
        TEST(a_rate_needs_hosts_to_be_compared_with),
        TEST(the_worst_is_ejected_first),
        TEST(local_origin_has_a_success_rate_of_its_own),
        TEST(local_origin_has_a_failure_percentage_of_its_own),
        TEST(a_latency_needs_hosts_to_be_compared_with),
        TEST(ejects_at_the_failure_percentage),
        TEST(ejects_a_host_that_is_slower_than_the_others),
        TEST(below_the_floor_nobody_is_slow),
        TEST(of_two_hosts_the_slow_one_stands_out),
        TEST(a_host_that_fails_slowly_is_not_called_slow),
    };
    return cmocka_run_group_tests_name("outlier", tests, NULL, NULL);
}

/* Instruments: what each makes of the values that it is given, and of those that it refuses. */
#include "support/metrics_fixture.h"

/* ---- Sums and gauges ---- */

static void a_counter_adds_up_and_knows_when_it_began(void **state)
{
    (void)state;
    weir_metrics_series *const series = metrics_single(WEIR_METRICS_COUNTER, "jobs");
    assert_int_equal(metrics_collect()->integer, 0);
    weir_metrics_add(series, 40);
    weir_metrics_add(series, 0);
    weir_metrics_add(series, 2);
    f.fake.wall_ns += 5 * METRICS_SECOND;
    const weir_metrics_point *const point = metrics_collect();
    assert_int_equal(point->integer, 42);
    assert_same(point->value, 42);
    assert_int_equal(point->start_ns, METRICS_START_S * METRICS_SECOND);
    assert_int_equal(point->time_ns, (METRICS_START_S + 5) * METRICS_SECOND);
    f.fake.wall_ns -= 50 * METRICS_SECOND; /* A clock that was set back. */
    assert_int_equal(metrics_collect()->time_ns, METRICS_START_S * METRICS_SECOND);
}

static void a_counter_refuses_to_fall_and_says_so(void **state)
{
    (void)state;
    weir_metrics_series *const series = metrics_single(WEIR_METRICS_COUNTER, "jobs");
    weir_metrics_add(series, 3);
    weir_metrics_add(series, -1);
    assert_int_equal(metrics_collect()->integer, 3);
    assert_int_equal(metrics_refused(), 1);
}

static void a_counter_does_not_wrap_into_the_negative(void **state)
{
    (void)state;
    weir_metrics_series *const series = metrics_single(WEIR_METRICS_COUNTER, "jobs");
    weir_metrics_add(series, INT64_MAX);
    assert_int_equal(metrics_collect()->integer, INT64_MAX);
    weir_metrics_add(series, 5);
    assert_int_equal(metrics_collect()->integer, INT64_MAX);
}

static void an_up_down_counter_rises_and_falls(void **state)
{
    (void)state;
    weir_metrics_series *const series = metrics_single(WEIR_METRICS_UPDOWN, "calls");
    weir_metrics_add(series, 3);
    weir_metrics_add(series, -5);
    assert_int_equal(metrics_collect()->integer, -2);
    assert_same(metrics_collect()->value, -2);
    metrics_assert_shows(metrics_page(), "# TYPE calls gauge\ncalls -2\n");
    assert_int_equal(metrics_refused(), 0);
}

static void a_sum_of_doubles_keeps_whole_numbers_exact(void **state)
{
    (void)state;
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_COUNTER, "energy");
    options.number = WEIR_METRICS_DOUBLE;
    weir_metrics_series *const series = metrics_series(metrics_family(&options), NULL);
    weir_metrics_add_double(series, 0.25);
    weir_metrics_add(series, 7);
    weir_metrics_add_double(series, 0.5);
    assert_same(metrics_collect()->value, 7.75);
    metrics_assert_shows(metrics_page(), "energy_total 7.75\n");
}

static void doubles_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_COUNTER, "energy");
    options.number = WEIR_METRICS_DOUBLE;
    weir_metrics_series *const counter = metrics_series(metrics_family(&options), NULL);
    options.kind = WEIR_METRICS_UPDOWN;
    options.name = "charge";
    weir_metrics_series *const updown = metrics_series(metrics_family(&options), NULL);
    weir_metrics_add_double(counter, -0.5);
    weir_metrics_add_double(counter, METRICS_INFINITY - METRICS_INFINITY);
    weir_metrics_add_double(counter, METRICS_INFINITY);
    weir_metrics_add_double(updown, METRICS_INFINITY - METRICS_INFINITY);
    weir_metrics_add_double(updown, -METRICS_INFINITY);
    weir_metrics_add_double(updown, METRICS_INFINITY);
    assert_int_equal(metrics_refused(), 6);
    weir_metrics_add_double(updown, -0.5);
    assert_same(metrics_collect()->value, -0.5);
    assert_int_equal(metrics_refused(), 6);
}

static void calls_that_an_instrument_does_not_have_are_refused(void **state)
{
    (void)state;
    weir_metrics_series *const counter = metrics_single(WEIR_METRICS_COUNTER, "a");
    weir_metrics_series *const gauge = metrics_single(WEIR_METRICS_GAUGE, "b");
    weir_metrics_series *const histogram = metrics_single(WEIR_METRICS_HISTOGRAM, "c");
    weir_metrics_add_double(counter, 1); /* It is of whole numbers. */
    weir_metrics_set(counter, 1);
    weir_metrics_record(counter, 1);
    weir_metrics_add(gauge, 1);
    weir_metrics_add(gauge, -1);
    weir_metrics_add_double(gauge, 1);
    weir_metrics_record(gauge, 1);
    weir_metrics_add(histogram, 1);
    weir_metrics_add_double(histogram, 1);
    weir_metrics_set(histogram, 1);
    assert_int_equal(metrics_refused(), 10);
    assert_int_equal(metrics_collect()->count, 0);
}

static void a_gauge_has_no_value_until_it_is_set(void **state)
{
    (void)state;
    weir_metrics_series *const series = metrics_single(WEIR_METRICS_GAUGE, "level");
    assert_int_equal((metrics_collect(), f.points), 0);
    assert_string_equal(metrics_page(), "");
    weir_metrics_set(series, 3);
    weir_metrics_set(series, -1.5);
    assert_same(metrics_collect()->value, -1.5);
    weir_metrics_set(series, METRICS_INFINITY - METRICS_INFINITY);
    metrics_assert_shows(metrics_page(), "level NaN\n");
    weir_metrics_set(series, -METRICS_INFINITY);
    metrics_assert_shows(metrics_page(), "level -Inf\n");
    assert_int_equal(metrics_refused(), 0);
}

/* ---- Histograms ---- */

static void bounds_belong_to_the_bucket_below_them(void **state)
{
    (void)state;
    weir_metrics_series *const series = metrics_single(WEIR_METRICS_HISTOGRAM, "size");
    static const double bounds[] = {0,   5,   10,   25,   50,   75,   100,  250,
                                    500, 750, 1000, 2500, 5000, 7500, 10000};
    for (size_t i = 0; i < 15; i++) {
        weir_metrics_record(series, bounds[i]);
        weir_metrics_record(series, above(bounds[i]));
    }
    const weir_metrics_point *const point = metrics_collect();
    assert_int_equal(point->bound_count, 15);
    assert_int_equal(point->bucket_count, 16);
    assert_memory_equal(point->bounds, bounds, sizeof bounds);
    assert_int_equal(f.buckets[0], 1);
    for (size_t i = 1; i < 15; i++)
        assert_int_equal(f.buckets[i], 2);
    assert_int_equal(f.buckets[15], 1);
    assert_int_equal(point->count, 30);
    assert_same(point->min, 0);
    assert_same(point->max, above(10000));
}

static void sum_count_least_and_most_are_those_of_the_values(void **state)
{
    (void)state;
    weir_metrics_series *const series = metrics_single(WEIR_METRICS_HISTOGRAM, "size");
    assert_int_equal(metrics_collect()->count, 0);
    assert_same(f.point.min, 0);
    weir_metrics_record(series, 0.5);
    weir_metrics_record(series, 1e6);
    weir_metrics_record(series, 3);
    const weir_metrics_point *const point = metrics_collect();
    assert_int_equal(point->count, 3);
    assert_same(point->sum, 1000003.5);
    assert_same(point->min, 0.5);
    assert_same(point->max, 1e6);
}

static void sizes_below_zero_and_what_is_no_number_are_refused(void **state)
{
    (void)state;
    weir_metrics_series *const all[] = {metrics_single(WEIR_METRICS_HISTOGRAM, "a"),
                                        metrics_single(WEIR_METRICS_EXPONENTIAL, "b"),
                                        metrics_single(WEIR_METRICS_SUMMARY, "c")};
    for (size_t i = 0; i < 3; i++) {
        weir_metrics_record(all[i], -1e-300);
        weir_metrics_record(all[i], METRICS_INFINITY - METRICS_INFINITY);
        weir_metrics_record(all[i], METRICS_INFINITY);
        weir_metrics_record(all[i], -0.0); /* That is 0. */
    }
    assert_int_equal(metrics_refused(), 9);
    assert_int_equal(metrics_collect()->count, 1);
    metrics_assert_shows(metrics_page(), "a_bucket{le=\"0\"} 1\n");
}

static void any_bounds_find_their_values(void **state)
{
    (void)state;
    static const double bounds[] = {4e-320, 1e-300,   1,     1.0000000000000002,    1.1, 1.15, 1.2,
                                    1e10,   1e10 + 1, 1e300, 1.7976931348623157e308};
    size_t const count = sizeof bounds / sizeof bounds[0];
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_HISTOGRAM, "size");
    options.bounds = bounds;
    options.bound_count = (uint32_t)count;
    weir_metrics_series *const series = metrics_series(metrics_family(&options), NULL);
    for (size_t i = 0; i < count; i++) {
        weir_metrics_record(series, below(bounds[i]));
        weir_metrics_record(series, bounds[i]);
    }
    (void)metrics_collect();
    /* The third bound is just below the fourth, which is thus its upper neighbour's lower one. */
    for (size_t i = 0; i < count; i++)
        assert_int_equal(f.buckets[i], i == 2 ? 3 : i == 3 ? 1 : 2);
    assert_int_equal(f.buckets[count], 0);
}

static void a_histogram_may_have_no_bounds_or_only_zero(void **state)
{
    (void)state;
    static const double zero[] = {-0.0};
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_HISTOGRAM, "a");
    options.bounds = zero;
    weir_metrics_series *const none = metrics_series(metrics_family(&options), NULL);
    weir_metrics_record(none, 3);
    assert_int_equal(metrics_collect()->bucket_count, 1);
    assert_int_equal(f.buckets[0], 1);
    options.name = "b";
    options.bound_count = 1;
    weir_metrics_series *const one = metrics_series(metrics_family(&options), NULL);
    weir_metrics_record(one, 0);
    weir_metrics_record(one, 4e-324);
    weir_metrics_record(one, 1e308);
    assert_int_equal(metrics_collect()->bucket_count, 2);
    assert_int_equal(f.buckets[0], 1);
    assert_int_equal(f.buckets[1], 2);
    metrics_assert_shows(metrics_page(), "b_bucket{le=\"0\"} 1\n");
}

static void seconds_have_the_bounds_of_the_semantic_conventions(void **state)
{
    (void)state;
    static const double bounds[] = {.005, .01, .025, .05, .075, .1,  .25,
                                    .5,   .75, 1,    2.5, 5,    7.5, 10};
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_HISTOGRAM, "duration");
    options.unit = "s";
    (void)metrics_series(metrics_family(&options), NULL);
    assert_int_equal(metrics_collect()->bound_count, 14);
    assert_memory_equal(f.point.bounds, bounds, sizeof bounds);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, metrics_setup, metrics_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_counter_adds_up_and_knows_when_it_began),
        TEST(a_counter_refuses_to_fall_and_says_so),
        TEST(a_counter_does_not_wrap_into_the_negative),
        TEST(an_up_down_counter_rises_and_falls),
        TEST(a_sum_of_doubles_keeps_whole_numbers_exact),
        TEST(doubles_that_make_no_sense_are_refused),
        TEST(calls_that_an_instrument_does_not_have_are_refused),
        TEST(a_gauge_has_no_value_until_it_is_set),
        TEST(bounds_belong_to_the_bucket_below_them),
        TEST(sum_count_least_and_most_are_those_of_the_values),
        TEST(sizes_below_zero_and_what_is_no_number_are_refused),
        TEST(any_bounds_find_their_values),
        TEST(a_histogram_may_have_no_bounds_or_only_zero),
        TEST(seconds_have_the_bounds_of_the_semantic_conventions),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}

/* Exponential histograms, summaries, and what threads and children have counted of them. */
#include "support/metrics_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Exponential histograms ---- */

static weir_metrics_series *exponential(const char *name, uint32_t buckets, int32_t scale)
{
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_EXPONENTIAL, name);
    options.max_buckets = buckets;
    options.max_scale = scale;
    return metrics_series(metrics_family(&options), NULL);
}

/* From 2^(k / 2^scale) with 400 bits, rounded down and up to doubles. */
static const struct {
    double value;
    int32_t scale, index;
} boundaries[] = {
    {0x1.6a09e667f3bccp+0, 1, 0},
    {0x1.6a09e667f3bcdp+0, 1, 1},
    {0x1.8ace5422aa0dbp+0, 3, 4},
    {0x1.8ace5422aa0dcp+0, 3, 5},
    {0x1.b12b7c1ff9c61p+0, 10, 776},
    {0x1.b12b7c1ff9c62p+0, 10, 777},
    {0x1.39d283c3ba2a6p+0, 20, 308075},
    {0x1.39d283c3ba2a7p+0, 20, 308076},
    {0x1.00000b1721bcfp+0, 20, 0},
    {0x1.00000b1721bd0p+0, 20, 1},
    {0x1.ffffe9d1bd7c0p+0, 20, 1048574},
    {0x1.ffffe9d1bd7c1p+0, 20, 1048575},
    {0x1.8a88ef873f1e1p+0, 20, 654320},
    {0x1.8a88ef873f1e2p+0, 20, 654321},
    {0x1.af9415043412dp+0, 14, 12344},
    {0x1.af9415043412ep+0, 14, 12345},
    {0x1.39d283c3ba2a6p-7, 20, 308075 - 7 * 1048576}, /* The same, in another octave. */
    {0x1.39d283c3ba2a7p-7, 20, 308076 - 7 * 1048576},
    /* Powers of 2, which are their own bounds. */
    {1, 0, -1},
    {2, 0, 0},
    {0x1.0000000000001p+0, 0, 0},
    {4, 1, 3},
    {1, 20, -1},
    {0x1p1023, 20, 1023 * 1048576 - 1},
    {0x1.fffffffffffffp1023, 20, 1073741823},
    {0x1.fffffffffffffp1023, 0, 1023},
    {0x1.fffffffffffffp+0, 20, 1048575},
    {0x1.0000000000001p+0, 20, 0},
    {0x1p-1022, 0, -1023},
    {0x1p-1074, 0, -1075},
    {0x1.8p-1073, 0, -1073},
    {0x1p-1074, 20, -1074 * 1048576 - 1},
    {4, -1, 0},
    {4.5, -1, 1},
    {1, -2, -1},
    {0.0625, -2, -2},
    {16, -2, 0},
    {17, -2, 1},
    {0x1p-1074, -10, -2},
    {0x1.fffffffffffffp1023, -10, 0},
};

static void indexes_are_exact_at_the_boundaries_of_every_scale(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof boundaries / sizeof boundaries[0]; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "e%u", (unsigned)i);
        weir_metrics_record(exponential(name, 160, boundaries[i].scale), boundaries[i].value);
        const weir_metrics_point *const point = metrics_collect();
        assert_int_equal(point->scale, boundaries[i].scale);
        assert_int_equal(point->bucket_count, 1);
        if (point->offset != boundaries[i].index)
            fail_msg("%a at scale %d: %d, not %d", boundaries[i].value, boundaries[i].scale,
                     point->offset, boundaries[i].index);
    }
}

static void the_scale_falls_just_as_far_as_it_must(void **state)
{
    (void)state;
    weir_metrics_series *const series = exponential("e", 4, 0);
    weir_metrics_record(series, 2); /* Index 0, of (1, 2]. */
    weir_metrics_record(series, 16);
    weir_metrics_record(series, 16); /* Index 3: four buckets are enough. */
    assert_int_equal(metrics_collect()->scale, 0);
    assert_int_equal(f.point.bucket_count, 4);
    assert_int_equal(f.buckets[0], 1);
    assert_int_equal(f.buckets[3], 2);
    weir_metrics_record(series, 17); /* Index 4 is one too many: base 4, (1, 4] (4, 16] (16, 64]. */
    assert_int_equal(metrics_collect()->scale, -1);
    assert_int_equal(f.point.offset, 0);
    assert_int_equal(f.point.bucket_count, 3);
    assert_int_equal(f.buckets[0], 1);
    assert_int_equal(f.buckets[1], 2);
    assert_int_equal(f.buckets[2], 1);
    weir_metrics_record(series, 0.5); /* (1/4, 1] */
    assert_int_equal(metrics_collect()->offset, -1);
    assert_int_equal(f.point.scale, -1);
    assert_int_equal(f.point.bucket_count, 4);
    weir_metrics_record(series, 4e-324);
    weir_metrics_record(series, 1.7e308);
    (void)metrics_collect();
    assert_int_equal(f.point.count, 7);
    /* Base 2^512, (2^-1536, 2^-1024] and so on: 2^-1074 is of index -3, and 2^1023.9 of 1. */
    assert_int_equal(f.point.scale, -10);
    assert_int_equal(f.point.offset, -2);
    assert_int_equal(f.point.bucket_count, 3);
}

static void zeros_are_counted_apart(void **state)
{
    (void)state;
    weir_metrics_series *const series = exponential("e", 160, 20);
    weir_metrics_record(series, 0);
    weir_metrics_record(series, 0);
    const weir_metrics_point *const point = metrics_collect();
    assert_int_equal(point->zero_count, 2);
    assert_int_equal(point->bucket_count, 0);
    assert_int_equal(point->count, 2);
    weir_metrics_record(series, 1);
    assert_int_equal(metrics_collect()->count, 3);
    assert_int_equal(f.point.zero_count, 2);
}

static void no_more_buckets_than_allowed_hold_a_range_of_any_width(void **state)
{
    (void)state;
    weir_metrics_series *const series = exponential("e", 160, 20);
    uint64_t count = 0;
    for (int e = -300; e <= 300; e++) {
        weir_metrics_record(series, 1.25 * power(e % 2 == 0 ? e : -e));
        uint64_t all = 0;
        count++;
        const weir_metrics_point *const point = metrics_collect();
        assert_in_range(point->bucket_count, 1, 160);
        for (size_t i = 0; i < point->bucket_count; i++)
            all += f.buckets[i];
        assert_int_equal(all, count);
        assert_int_equal(point->count, count);
    }
    assert_int_equal(f.point.scale, -2); /* 601 octaves, four in a bucket: 151. */
}

/* ---- Summaries ---- */

static weir_metrics_series *summary(uint32_t bins, double accuracy)
{
    static const double quantiles[] = {0, .5, .9, .99, 1};
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_SUMMARY, "latency");
    options.max_bins = bins;
    options.accuracy = accuracy;
    options.quantiles = quantiles;
    options.quantile_count = 5;
    return metrics_series(metrics_family(&options), NULL);
}

static void quantiles_are_within_the_accuracy(void **state)
{
    (void)state;
    weir_metrics_series *const series = summary(1024, .01);
    for (int i = 1; i <= 1001; i++)
        weir_metrics_record(series, i * 0.001);
    const weir_metrics_point *const point = metrics_collect();
    assert_int_equal(point->count, 1001);
    assert_int_equal(point->quantile_count, 5);
    assert_same(f.quantiles[0].value, 0.001);
    assert_near(f.quantiles[1].value, 0.501, .0101);
    assert_near(f.quantiles[2].value, 0.901, .0101);
    assert_near(f.quantiles[3].value, 0.991, .0101);
    assert_same(f.quantiles[4].value, 1001 * 0.001);
}

static void every_magnitude_has_the_same_accuracy(void **state)
{
    (void)state;
    static const double magnitudes[] = {1e-300, 1e-9, 1, 1e9, 1e300, 1.7e308};
    for (size_t i = 0; i < 6; i++) {
        weir_metrics_series *const series = i == 0 ? summary(1024, .02) : NULL;
        weir_metrics_family_options options = metrics_options(WEIR_METRICS_SUMMARY, "x");
        char name[8];
        (void)snprintf(name, sizeof name, "x%u", (unsigned)i);
        options.name = name;
        weir_metrics_series *const own =
            series != NULL ? series : metrics_series(metrics_family(&options), NULL);
        weir_metrics_record(own, magnitudes[i] / 1.5);
        weir_metrics_record(own, magnitudes[i]);
        weir_metrics_record(own, magnitudes[i] * 1.03);
        (void)metrics_collect();
        assert_near(f.quantiles[i == 0 ? 1 : 0].value, magnitudes[i], .0201);
    }
}

static void a_summary_of_nothing_has_no_quantiles_and_of_zeros_has_zero(void **state)
{
    (void)state;
    weir_metrics_series *const series = summary(16, .01);
    assert_int_equal(metrics_collect()->quantile_count, 0);
    metrics_assert_hides(metrics_page(), "quantile");
    metrics_assert_shows(metrics_page(), "latency_count 0\nlatency_sum 0\n");
    weir_metrics_record(series, 0);
    weir_metrics_record(series, 0);
    weir_metrics_record(series, 8);
    assert_int_equal(metrics_collect()->quantile_count, 5);
    assert_same(f.quantiles[1].value, 0);
    assert_near(f.quantiles[3].value, 0, 0); /* Rank 1.98 of 0..2 is the second zero. */
    assert_same(f.quantiles[4].value, 8);
}

/* 16 bins of gamma = 3: 3^0 .. 3^15 have one each; with 3^16, the two lowest are one. */
static void the_lowest_bins_are_joined_when_there_are_too_many(void **state)
{
    (void)state;
    weir_metrics_series *const series = summary(16, .5);
    double value = 1;
    for (int i = 0; i < 40; i++, value *= 3)
        for (int n = 0; n < 10; n++)
            weir_metrics_record(series, value);
    const weir_metrics_point *const point = metrics_collect();
    assert_int_equal(point->count, 400);
    assert_near(f.quantiles[4].value, value / 3, .5);
    assert_near(f.quantiles[3].value, value / 3, .5);        /* Rank 395. */
    assert_near(f.quantiles[2].value, value / 243, .5);      /* Rank 359, 3^35. */
    assert_near(f.quantiles[1].value, value / 43046721, .5); /* Rank 199: 3^24. */
    weir_metrics_record(series, 1);                          /* Into the lowest. */
    weir_metrics_record(series, 1e300);                      /* All others into one. */
    assert_int_equal(metrics_collect()->count, 402);
    assert_same(f.quantiles[4].value, 1e300);
    assert_true(f.quantiles[1].value > value); /* What is joined reads too high: it is known. */
}

/* ---- Threads ---- */

static void *record_elsewhere(void *series)
{
    weir_metrics_record(series, 1000);
    weir_metrics_record(series, 0);
    return NULL;
}

static void *add_elsewhere(void *series)
{
    weir_metrics_add(series, 1);
    return NULL;
}

static void in_thread(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, body, arg), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void cells_of_different_scales_are_merged(void **state)
{
    (void)state;
    weir_metrics_series *const series = exponential("e", 8, 20);
    weir_metrics_record(series, 1);
    weir_metrics_record(series, 2);
    in_thread(record_elsewhere, series);
    const weir_metrics_point *const point = metrics_collect();
    assert_int_equal(point->count, 4);
    assert_int_equal(point->zero_count, 1);
    assert_same(point->sum, 1003);
    assert_same(point->max, 1000);
    /* 1 .. 1000 in 8 buckets: (1/4, 1] (1, 4] .. (256, 1024]. */
    assert_int_equal(point->scale, -1);
    assert_int_equal(point->offset, -1);
    assert_int_equal(point->bucket_count, 6);
    assert_int_equal(f.buckets[0], 1);
    assert_int_equal(f.buckets[1], 1);
    assert_int_equal(f.buckets[5], 1);
}

static void sketches_and_histograms_of_threads_are_merged(void **state)
{
    (void)state;
    weir_metrics_series *const sketch = summary(1024, .01);
    weir_metrics_record(sketch, 10);
    in_thread(record_elsewhere, sketch);
    (void)metrics_collect();
    assert_int_equal(f.point.count, 3);
    assert_near(f.quantiles[1].value, 10, .0101);
    assert_same(f.quantiles[4].value, 1000);
    weir_metrics_series *const histogram = metrics_single(WEIR_METRICS_HISTOGRAM, "h");
    weir_metrics_record(histogram, 10);
    in_thread(record_elsewhere, histogram);
    (void)metrics_collect();
    assert_int_equal(f.buckets[0], 1);
    assert_int_equal(f.buckets[2], 1);
    assert_int_equal(f.buckets[10], 1);
}

static void threads_that_end_leave_their_counts_and_their_places(void **state)
{
    (void)state;
    weir_metrics_series *const series = metrics_single(WEIR_METRICS_COUNTER, "jobs");
    in_thread(add_elsewhere, series);
    unsigned const cells = f.fake.live;
    for (int i = 0; i < 50; i++)
        in_thread(add_elsewhere, series);
    assert_int_equal(f.fake.live, cells);
    assert_int_equal(metrics_collect()->integer, 51);
}

#define CROWD 12 /* Threads at once, three times as many as have cells. */

static pthread_barrier_t together;

static void *add_together(void *series)
{
    for (int i = 0; i < 1000; i++) {
        if (i == 1)
            (void)pthread_barrier_wait(&together); /* Each has its place, or none. */
        weir_metrics_add(series, 1);
    }
    return NULL;
}

static void more_threads_than_places_still_count_exactly(void **state)
{
    (void)state;
    pthread_t threads[CROWD];
    weir_metrics *const fake = f.metrics; /* Whose allocator is for one thread. */
    weir_metrics_options options = WEIR_METRICS_OPTIONS_INIT;
    options.threads = 4;
    assert_int_equal(weir_metrics_create(&f.metrics, &options), WEIR_OK);
    weir_metrics_series *const series = metrics_single(WEIR_METRICS_COUNTER, "jobs");
    assert_int_equal(pthread_barrier_init(&together, NULL, CROWD), 0);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_together, series), 0);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)pthread_barrier_destroy(&together);
    assert_int_equal(metrics_collect()->integer, CROWD * 1000);
    weir_metrics_destroy(f.metrics);
    f.metrics = fake;
}

/* ---- fork() ---- */

static int in_child(weir_metrics_series *counter, weir_metrics_series *histogram)
{
    weir_metrics_add(counter, 1);
    weir_metrics_record(histogram, 1);
    (void)metrics_collect();
    bool const goes_on = f.point.count == 2;
    in_thread(add_elsewhere, counter);
    in_thread(record_elsewhere, histogram);
    metrics_assert_shows(metrics_page(), "jobs_total 7\n");
    return goes_on && metrics_collect()->count == 4 ? 0 : 1;
}

static void a_child_goes_on_from_what_its_parent_had_counted(void **state)
{
    (void)state;
    weir_metrics_series *const counter = metrics_single(WEIR_METRICS_COUNTER, "jobs");
    weir_metrics_series *const histogram = metrics_single(WEIR_METRICS_HISTOGRAM, "size");
    weir_metrics_add(counter, 4);
    in_thread(add_elsewhere, counter);
    weir_metrics_record(histogram, 1);
    (void)fflush(NULL);
    pid_t const child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(in_child(counter, histogram) != 0 || metrics_teardown(NULL) != 0);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    metrics_assert_shows(metrics_page(), "jobs_total 5\n");
    assert_int_equal(metrics_collect()->count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, metrics_setup, metrics_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(indexes_are_exact_at_the_boundaries_of_every_scale),
        TEST(the_scale_falls_just_as_far_as_it_must),
        TEST(zeros_are_counted_apart),
        TEST(no_more_buckets_than_allowed_hold_a_range_of_any_width),
        TEST(quantiles_are_within_the_accuracy),
        TEST(every_magnitude_has_the_same_accuracy),
        TEST(a_summary_of_nothing_has_no_quantiles_and_of_zeros_has_zero),
        TEST(the_lowest_bins_are_joined_when_there_are_too_many),
        TEST(cells_of_different_scales_are_merged),
        TEST(sketches_and_histograms_of_threads_are_merged),
        TEST(threads_that_end_leave_their_counts_and_their_places),
        TEST(more_threads_than_places_still_count_exactly),
        TEST(a_child_goes_on_from_what_its_parent_had_counted),
    };
    return cmocka_run_group_tests_name("metrics spread", tests, NULL, NULL);
}

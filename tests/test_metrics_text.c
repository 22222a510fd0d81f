/* The texts, to the letter of Prometheus 0.0.4 and OpenMetrics 1.0. */
#include "support/metrics_fixture.h"

#include <locale.h>

#define AB16 "abababababababababababababababab"
#define CD8  "cdcdcdcdcdcdcdcd"

static weir_metrics_series *helped(weir_metrics_kind kind, const char *name, const char *unit,
                                   const char *help)
{
    weir_metrics_family_options options = metrics_options(kind, name);
    static const double bounds[] = {.5, 1, 1e7, 1e21};
    options.unit = unit;
    options.help = help;
    options.bounds = bounds;
    options.bound_count = 4;
    return metrics_series(metrics_family(&options), NULL);
}

static void an_empty_page_is_empty_but_for_its_end(void **state)
{
    (void)state;
    (void)metrics_family(
        &(weir_metrics_family_options){.struct_size = sizeof(weir_metrics_family_options),
                                       .name = "x",
                                       .max_series = 1,
                                       .max_buckets = 160,
                                       .accuracy = .1,
                                       .max_bins = 16});
    assert_string_equal(metrics_page(), "");
    assert_string_equal(metrics_open_page(), "# EOF\n");
}

static void a_counter_ends_in_total_where_each_text_wants_it(void **state)
{
    (void)state;
    weir_metrics_add(helped(WEIR_METRICS_COUNTER, "process.cpu.time", "s", "CPU \"time\"\nused\\."),
                     3);
    assert_string_equal(metrics_page(),
                        "# HELP process_cpu_time_seconds_total CPU \"time\"\\nused\\\\.\n"
                        "# TYPE process_cpu_time_seconds_total counter\n"
                        "process_cpu_time_seconds_total 3\n");
    assert_string_equal(metrics_open_page(),
                        "# HELP process_cpu_time_seconds CPU \\\"time\\\"\\nused\\\\.\n"
                        "# TYPE process_cpu_time_seconds counter\n"
                        "# UNIT process_cpu_time_seconds seconds\n"
                        "process_cpu_time_seconds_total 3\n"
                        "process_cpu_time_seconds_created 1700000000.000000000\n"
                        "# EOF\n");
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    static const char *const keys[] = {"url.path"};
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_UPDOWN, "x");
    options.labels = keys;
    options.label_count = 1;
    weir_metrics_family *const family = metrics_family(&options);
    (void)metrics_series(family, "a\\b\"c\nd\xc3\xa4\t");
    (void)metrics_series(family, "");
    assert_string_equal(metrics_page(), "# TYPE x gauge\n"
                                        "x{url_path=\"a\\\\b\\\"c\\nd\xc3\xa4\t\"} 0\n"
                                        "x{url_path=\"\"} 0\n");
}

static void buckets_are_cumulative_and_end_in_inf(void **state)
{
    (void)state;
    weir_metrics_series *const series = helped(WEIR_METRICS_HISTOGRAM, "x", NULL, NULL);
    weir_metrics_record(series, .25);
    weir_metrics_record(series, 1);
    weir_metrics_record(series, 1e30);
    assert_string_equal(metrics_page(), "# TYPE x histogram\n"
                                        "x_bucket{le=\"0.5\"} 1\n"
                                        "x_bucket{le=\"1\"} 2\n"
                                        "x_bucket{le=\"10000000\"} 2\n"
                                        "x_bucket{le=\"1e+21\"} 2\n"
                                        "x_bucket{le=\"+Inf\"} 3\n"
                                        "x_count 3\n"
                                        "x_sum 1e+30\n");
    assert_string_equal(metrics_open_page(), "# TYPE x histogram\n"
                                             "x_bucket{le=\"0.5\"} 1\n"
                                             "x_bucket{le=\"1.0\"} 2\n"
                                             "x_bucket{le=\"10000000.0\"} 2\n"
                                             "x_bucket{le=\"1e+21\"} 2\n"
                                             "x_bucket{le=\"+Inf\"} 3\n"
                                             "x_count 3\n"
                                             "x_sum 1e+30\n"
                                             "x_created 1700000000.000000000\n"
                                             "# EOF\n");
}

static void bounds_and_values_read_back_the_same(void **state)
{
    (void)state;
    static const double bounds[] = {0.1, 0.30000000000000004, 1.0 / 3, 123456789.125};
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_HISTOGRAM, "x");
    options.bounds = bounds;
    options.bound_count = 4;
    (void)metrics_series(metrics_family(&options), NULL);
    const char *const page = metrics_page();
    metrics_assert_shows(page, "{le=\"0.1\"}");
    metrics_assert_shows(page, "{le=\"0.30000000000000004\"}");
    metrics_assert_shows(page, "{le=\"0.3333333333333333\"}");
    metrics_assert_shows(page, "{le=\"123456789.125\"}");
}

static void a_summary_has_its_quantiles(void **state)
{
    (void)state;
    weir_metrics_series *const series = helped(WEIR_METRICS_SUMMARY, "x", "By", NULL);
    weir_metrics_record(series, 64);
    assert_string_equal(metrics_page(), "# TYPE x_bytes summary\n"
                                        "x_bytes{quantile=\"0.5\"} 64\n"
                                        "x_bytes{quantile=\"0.9\"} 64\n"
                                        "x_bytes{quantile=\"0.99\"} 64\n"
                                        "x_bytes_count 1\n"
                                        "x_bytes_sum 64\n");
    metrics_assert_shows(metrics_open_page(), "x_bytes_created 1700000000.000000000\n");
}

static void an_exponential_histogram_has_powers_of_two_for_bounds(void **state)
{
    (void)state;
    weir_metrics_series *const series = helped(WEIR_METRICS_EXPONENTIAL, "x", NULL, NULL);
    weir_metrics_record(series, 0);
    weir_metrics_record(series, 0.75);
    weir_metrics_record(series, 1);
    weir_metrics_record(series, 1.5);
    weir_metrics_record(series, 6);
    assert_string_equal(metrics_page(), "# TYPE x histogram\n"
                                        "x_bucket{le=\"0\"} 1\n"
                                        "x_bucket{le=\"1\"} 3\n"
                                        "x_bucket{le=\"2\"} 4\n"
                                        "x_bucket{le=\"4\"} 4\n"
                                        "x_bucket{le=\"8\"} 5\n"
                                        "x_bucket{le=\"+Inf\"} 5\n"
                                        "x_count 5\n"
                                        "x_sum 9.25\n");
    weir_metrics_record(series, 1e308);
    const char *const page = metrics_page(); /* 1025 octaves in 160 buckets: base 2^8. */
    metrics_assert_shows(page, "x_bucket{le=\"1\"} 3\nx_bucket{le=\"256\"} 5\n");
    metrics_assert_shows(page, "x_bucket{le=\"1.157920892373162e+77\"} 5\n");
    metrics_assert_shows(page, "e+305\"} 5\nx_bucket{le=\"+Inf\"} 6\nx_count 6\n");
}

static void an_empty_exponential_histogram_is_still_one(void **state)
{
    (void)state;
    (void)helped(WEIR_METRICS_EXPONENTIAL, "x", NULL, NULL);
    assert_string_equal(metrics_page(), "# TYPE x histogram\nx_bucket{le=\"0\"} 0\n"
                                        "x_bucket{le=\"+Inf\"} 0\nx_count 0\nx_sum 0\n");
}

/* ---- Exemplars ---- */

static void sampled_events_are_exemplars_in_openmetrics_alone(void **state)
{
    (void)state;
    weir_metrics_series *const counter = helped(WEIR_METRICS_COUNTER, "jobs", NULL, NULL);
    weir_metrics_series *const histogram = helped(WEIR_METRICS_HISTOGRAM, "size", NULL, NULL);
    weir_trace_context const context = metrics_context(WEIR_TRACE_SAMPLED);
    f.fake.wall_ns += 1500000000;
    weir_metrics_add_traced(counter, 3, &context);
    weir_metrics_record_traced(histogram, .5, &context);
    f.fake.wall_ns += 1;
    weir_metrics_record_traced(histogram, .25, &context); /* The later one of its bucket. */
    weir_metrics_record_traced(histogram, 2e21, &context);
    const char *const page = metrics_open_page();
    metrics_assert_shows(page, "jobs_total 3 # {trace_id=\"" AB16 "\",span_id=\"" CD8
                               "\"} 3 1700000001.500000000\n");
    metrics_assert_shows(page, "size_bucket{le=\"0.5\"} 2 # {trace_id=\"" AB16 "\",span_id=\"" CD8
                               "\"} 0.25 1700000001.500000001\n"
                               "size_bucket{le=\"1.0\"} 2\n");
    metrics_assert_shows(page, "size_bucket{le=\"+Inf\"} 3 # {trace_id=\"" AB16 "\",span_id=\"" CD8
                               "\"} 2e+21 1700000001.500000001\n");
    metrics_assert_hides(metrics_page(), "trace_id");
    (void)metrics_collect();
    assert_int_equal(f.point.exemplar_count, 2);
    assert_int_equal(f.exemplars[1].time_ns, METRICS_START_S * METRICS_SECOND + 1500000001);
    assert_memory_equal(f.exemplars[1].span_id, context.span_id, 8);
}

static void events_that_are_not_sampled_or_not_counted_are_none(void **state)
{
    (void)state;
    weir_metrics_series *const histogram = helped(WEIR_METRICS_HISTOGRAM, "size", NULL, NULL);
    weir_metrics_series *const counter = helped(WEIR_METRICS_COUNTER, "jobs", NULL, NULL);
    weir_metrics_series *const updown = helped(WEIR_METRICS_UPDOWN, "calls", NULL, NULL);
    weir_metrics_series *const summary = helped(WEIR_METRICS_SUMMARY, "wait", NULL, NULL);
    weir_trace_context const sampled = metrics_context(WEIR_TRACE_SAMPLED);
    weir_trace_context const unsampled = metrics_context(0);
    weir_trace_context none = sampled;
    memset(none.span_id, 0, sizeof none.span_id);
    weir_metrics_record_traced(histogram, 1, NULL);
    weir_metrics_record_traced(histogram, 1, &unsampled);
    weir_metrics_record_traced(histogram, 1, &none);
    weir_metrics_record_traced(histogram, -1, &sampled);
    weir_metrics_record_traced(counter, 1, &sampled);
    weir_metrics_add_traced(counter, -1, &sampled);
    weir_metrics_add_traced(updown, -1, &sampled);
    weir_metrics_record_traced(summary, 1, &sampled);
    metrics_assert_hides(metrics_open_page(), "trace_id");
    metrics_assert_shows(f.page, "size_count 3\n");
    metrics_assert_shows(f.page, "wait_count 1\n");
    assert_int_equal(metrics_refused(), 3);
}

static void an_exponential_histogram_has_exemplars_of_its_octaves(void **state)
{
    (void)state;
    weir_metrics_series *const series = helped(WEIR_METRICS_EXPONENTIAL, "x", NULL, NULL);
    weir_trace_context const context = metrics_context(WEIR_TRACE_SAMPLED);
    weir_metrics_record_traced(series, 0, &context);
    weir_metrics_record_traced(series, 3, &context);
    weir_metrics_record_traced(series, 4, &context);
    const char *const page = metrics_open_page();
    metrics_assert_shows(page, "x_bucket{le=\"4.0\"} 3 # {trace_id=\"" AB16 "\",span_id=\"" CD8
                               "\"} 4 1700000000.000000000\n");
    assert_int_equal(metrics_collect()->exemplar_count, 2);
}

/* ---- What is around ---- */

static void created_times_can_be_left_out(void **state)
{
    (void)state;
    weir_metrics *const before = f.metrics;
    weir_metrics_options options = WEIR_METRICS_OPTIONS_INIT;
    options.created = false;
    assert_int_equal(weir_metrics_create(&f.metrics, &options), WEIR_OK);
    (void)helped(WEIR_METRICS_COUNTER, "jobs", NULL, NULL);
    assert_string_equal(metrics_open_page(), "# TYPE jobs counter\njobs_total 0\n# EOF\n");
    weir_metrics_destroy(f.metrics);
    f.metrics = before;
}

static void a_locale_with_a_comma_changes_nothing(void **state)
{
    (void)state;
    weir_metrics_set(helped(WEIR_METRICS_GAUGE, "x", NULL, NULL), 1.5);
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
        (void)setlocale(LC_NUMERIC, "de_DE");
    const char *const page = metrics_page();
    (void)setlocale(LC_NUMERIC, "C");
    metrics_assert_shows(page, "x 1.5\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, metrics_setup, metrics_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_page_is_empty_but_for_its_end),
        TEST(a_counter_ends_in_total_where_each_text_wants_it),
        TEST(label_values_are_escaped),
        TEST(buckets_are_cumulative_and_end_in_inf),
        TEST(bounds_and_values_read_back_the_same),
        TEST(a_summary_has_its_quantiles),
        TEST(an_exponential_histogram_has_powers_of_two_for_bounds),
        TEST(an_empty_exponential_histogram_is_still_one),
        TEST(sampled_events_are_exemplars_in_openmetrics_alone),
        TEST(events_that_are_not_sampled_or_not_counted_are_none),
        TEST(an_exponential_histogram_has_exemplars_of_its_octaves),
        TEST(created_times_can_be_left_out),
        TEST(a_locale_with_a_comma_changes_nothing),
    };
    return cmocka_run_group_tests_name("metrics text", tests, NULL, NULL);
}

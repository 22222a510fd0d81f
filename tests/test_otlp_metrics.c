/* Metrics at a collector: every kind of point, the interval, parts, and what is rejected. */
#include "support/otlp_fixture.h"

#include <weir/metrics.h>

#define START "\"startTimeUnixNano\":\"784111777000000000\",\"timeUnixNano\":\"784111777000000000\""
#define OPEN                                                                                       \
    "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[]},\"scopeMetrics\":[{\"scope\":{},"     \
    "\"metrics\":["
#define CLOSE            "]}]}]}"
#define POINT(rest)      "{\"attributes\":[]," START rest "}"
#define FAMILY(head, of) "{\"name\":" head "\"dataPoints\":[" of "]}}"

static weir_metrics *metrics;

static int setup(void **state)
{
    if (otlp_setup(state) != 0)
        return -1;
    weir_metrics_options some = WEIR_METRICS_OPTIONS_INIT;
    some.env = &f.env;
    return weir_metrics_create(&metrics, &some);
}

static int teardown(void **state)
{
    weir_otlp_destroy(otlp);
    otlp = NULL;
    weir_metrics_destroy(metrics);
    return otlp_teardown(state);
}

static weir_metrics_series *series_of(const weir_metrics_family_options *options_of,
                                      const char *const *values)
{
    weir_metrics_family *family;
    weir_metrics_series *series;
    assert_int_equal(weir_metrics_family_create(&family, metrics, options_of), WEIR_OK);
    assert_int_equal(weir_metrics_series_get(&series, family, values), WEIR_OK);
    weir_metrics_series_release(series); /* It lives as long as it is shown. */
    return series;
}

static weir_metrics_family_options family_of(weir_metrics_kind kind)
{
    weir_metrics_family_options family = WEIR_METRICS_FAMILY_OPTIONS_INIT;
    family.name = "m";
    family.kind = kind;
    return family;
}

static weir_metrics_series *one_of(weir_metrics_kind kind)
{
    weir_metrics_family_options const family = family_of(kind);
    return series_of(&family, NULL);
}

static void push(void)
{
    if (otlp == NULL)
        serve_and_create();
    assert_int_equal(weir_otlp_export_metrics(otlp, metrics, NULL), WEIR_OK);
    assert_int_equal(weir_otlp_push_metrics(otlp, on_exported, &told_result), WEIR_OK);
    assert_exported(WEIR_OK, 0);
    assert_memory_equal(c.head, "POST /v1/metrics\n", 17);
}

static weir_otlp_stats metric_stats(void)
{
    weir_otlp_stats stats;
    weir_otlp_get_stats(otlp, WEIR_OTLP_METRICS, &stats);
    return stats;
}

/* ---- Points ---- */

static void a_counter_is_a_monotonic_cumulative_sum(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b"}, *const values[] = {"1", "x\"y"};
    weir_metrics_family_options family = family_of(WEIR_METRICS_COUNTER);
    family.help = "How many.";
    family.unit = "{request}";
    family.labels = keys;
    family.label_count = 2;
    weir_metrics_add(series_of(&family, values), 5);
    push();
    assert_string_equal(
        c.body,
        OPEN FAMILY("\"m\",\"description\":\"How many.\",\"unit\":\"{request}\",\"sum\":{"
                    "\"aggregationTemporality\":2,\"isMonotonic\":true,",
                    "{\"attributes\":[{\"key\":\"a\",\"value\":{\"stringValue\":\"1\"}},{\"key\":"
                    "\"b\",\"value\":{\"stringValue\":\"x\\\"y\"}}]," START ",\"asInt\":\"5\"}")
            CLOSE);
    assert_int_equal(metric_stats().taken, 1);
}

static void an_updown_is_a_sum_that_may_fall(void **state)
{
    (void)state;
    weir_metrics_family_options family = family_of(WEIR_METRICS_UPDOWN);
    family.number = WEIR_METRICS_DOUBLE;
    weir_metrics_add_double(series_of(&family, NULL), -2.5);
    push();
    assert_string_equal(c.body, OPEN FAMILY("\"m\",\"sum\":{\"aggregationTemporality\":2,",
                                            POINT(",\"asDouble\":-2.5")) CLOSE);
}

static void a_gauge_may_be_no_number(void **state)
{
    (void)state;
    double const infinity = 1e300 * 1e300;
    weir_metrics_set(one_of(WEIR_METRICS_GAUGE), infinity - infinity);
    push();
    assert_string_equal(c.body,
                        OPEN FAMILY("\"m\",\"gauge\":{", POINT(",\"asDouble\":\"NaN\"")) CLOSE);
}

static void a_histogram_has_counts_bounds_and_its_range(void **state)
{
    (void)state;
    static const double bounds[] = {1, 2.5};
    weir_metrics_family_options family = family_of(WEIR_METRICS_HISTOGRAM);
    family.bounds = bounds;
    family.bound_count = 2;
    weir_metrics_series *const series = series_of(&family, NULL);
    weir_metrics_record(series, 0.5);
    weir_metrics_record(series, 2.5);
    weir_metrics_record(series, 4);
    push();
    assert_string_equal(
        c.body, OPEN FAMILY("\"m\",\"histogram\":{\"aggregationTemporality\":2,",
                            POINT(",\"count\":\"3\",\"sum\":7,\"bucketCounts\":[\"1\",\"1\",\"1\"],"
                                  "\"explicitBounds\":[1,2.5],\"min\":0.5,\"max\":4")) CLOSE);
}

static void a_histogram_of_nothing_has_no_range(void **state)
{
    (void)state;
    static const double bounds[] = {1};
    weir_metrics_family_options family = family_of(WEIR_METRICS_HISTOGRAM);
    family.bounds = bounds;
    family.bound_count = 1;
    (void)series_of(&family, NULL);
    push();
    assert_string_equal(
        c.body, OPEN FAMILY("\"m\",\"histogram\":{\"aggregationTemporality\":2,",
                            POINT(",\"count\":\"0\",\"sum\":0,\"bucketCounts\":[\"0\",\"0\"],"
                                  "\"explicitBounds\":[1]")) CLOSE);
}

/* At scale 0 the base is 2: 1 is in bucket -1, (.5, 1], 3 in bucket 1, (2, 4]. */
static void an_exponential_histogram_has_its_scale_and_offset(void **state)
{
    (void)state;
    weir_metrics_family_options family = family_of(WEIR_METRICS_EXPONENTIAL);
    family.max_scale = 0;
    weir_metrics_series *const series = series_of(&family, NULL);
    weir_metrics_record(series, 0);
    weir_metrics_record(series, 1);
    weir_metrics_record(series, 3);
    weir_metrics_record(series, 3);
    push();
    assert_string_equal(
        c.body, OPEN FAMILY("\"m\",\"exponentialHistogram\":{\"aggregationTemporality\":2,",
                            POINT(",\"count\":\"4\",\"sum\":7,\"scale\":0,\"zeroCount\":\"1\","
                                  "\"positive\":{\"offset\":-1,\"bucketCounts\":[\"1\",\"0\",\"2\"]"
                                  "},\"min\":0,\"max\":3")) CLOSE);
}

static void a_summary_has_its_quantiles(void **state)
{
    (void)state;
    static const double half[] = {0, 1};
    weir_metrics_family_options family = family_of(WEIR_METRICS_SUMMARY);
    family.quantiles = half;
    family.quantile_count = 2;
    weir_metrics_record(series_of(&family, NULL), 0);
    push();
    assert_string_equal(c.body,
                        OPEN FAMILY("\"m\",\"summary\":{",
                                    POINT(",\"count\":\"1\",\"sum\":0,\"quantileValues\":[{"
                                          "\"quantile\":0,\"value\":0},{\"quantile\":1,\"value\":0}"
                                          "]")) CLOSE);
}

static void exemplars_lead_to_their_spans(void **state)
{
    (void)state;
    weir_trace_context const context = sample_context();
    weir_metrics_series *const series = one_of(WEIR_METRICS_HISTOGRAM);
    weir_metrics_record_traced(series, 3, &context);
    weir_metrics_record_traced(series, 30, &context);
    push();
    assert_non_null(strstr(c.body, ",\"exemplars\":[{\"timeUnixNano\":\"784111777000000000\","
                                   "\"asDouble\":3,\"spanId\":\"" SAMPLE_SPAN_ID
                                   "\",\"traceId\":\"" SAMPLE_TRACE_ID "\"},{"));
}

static void the_series_of_overflow_has_a_bool(void **state)
{
    (void)state;
    static const char *const key[] = {"k"}, *const a[] = {"a"}, *const b[] = {"b"};
    weir_metrics_family_options family = family_of(WEIR_METRICS_COUNTER);
    weir_metrics_family *made;
    weir_metrics_series *first, *over;
    family.labels = key;
    family.label_count = 1;
    family.max_series = 2;
    assert_int_equal(weir_metrics_family_create(&made, metrics, &family), WEIR_OK);
    assert_int_equal(weir_metrics_series_get(&first, made, a), WEIR_OK);
    assert_int_equal(weir_metrics_series_get(&over, made, b), WEIR_OK);
    weir_metrics_add(over, 1);
    weir_metrics_series_release(first);
    weir_metrics_series_release(over);
    push();
    assert_non_null(strstr(c.body, "[{\"key\":\"otel.metric.overflow\",\"value\":{\"boolValue\":"
                                   "true}}]"));
}

static void says_who_counts(void **state)
{
    (void)state;
    weir_attribute const service = weir_attribute_string("service.name", "shop");
    weir_otlp_origin const origin = {&service, 1, "http", "1.2"};
    weir_metrics_add(one_of(WEIR_METRICS_COUNTER), 1);
    serve_and_create();
    assert_int_equal(weir_otlp_export_metrics(otlp, metrics, &origin), WEIR_OK);
    assert_int_equal(weir_otlp_push_metrics(otlp, NULL, NULL), WEIR_OK); /* Nobody is told. */
    until(metric_stats().taken == 1);
    assert_non_null(strstr(c.body, "\"stringValue\":\"shop\"}}]},\"scopeMetrics\":[{\"scope\":{"
                                   "\"name\":\"http\",\"version\":\"1.2\"},"));
}

/* ---- Times and sizes ---- */

static void exports_at_each_interval(void **state)
{
    (void)state;
    weir_metrics_add(one_of(WEIR_METRICS_COUNTER), 1);
    serve_and_create();
    assert_int_equal(weir_otlp_export_metrics(otlp, metrics, NULL), WEIR_OK);
    for (unsigned i = 0; i < 3; i++) {
        advance_ms(59999);
        assert_int_equal(c.requests, i);
        advance_ms(1);
        until(metric_stats().taken == i + 1);
    }
    assert_int_equal(weir_otlp_export_metrics(otlp, NULL, NULL), WEIR_OK);
    advance_ms(600000);
    assert_int_equal(c.requests, 3);
    assert_int_equal(weir_otlp_push_metrics(otlp, NULL, NULL), WEIR_EINVAL);
}

static void nothing_counted_is_nothing_sent(void **state)
{
    (void)state;
    serve_and_create();
    assert_int_equal(weir_otlp_export_metrics(otlp, metrics, NULL), WEIR_OK);
    assert_int_equal(weir_otlp_push_metrics(otlp, on_exported, &told_result), WEIR_EEMPTY);
    advance_ms(60000);
    assert_int_equal(c.requests, 0);
    assert_int_equal(warned_count, 0);
    assert_int_equal(told_count, 0);
}

static void an_interval_is_left_out_while_an_export_is_under_way(void **state)
{
    (void)state;
    weir_metrics_add(one_of(WEIR_METRICS_COUNTER), 1);
    options.metrics_interval_ms = 1000;
    c.status = COLLECTOR_HOLDS;
    serve_and_create();
    assert_int_equal(weir_otlp_export_metrics(otlp, metrics, NULL), WEIR_OK);
    advance_ms(1000);
    until(c.requests == 1);
    assert_int_equal(weir_otlp_push_metrics(otlp, NULL, NULL), WEIR_EBUSY);
    advance_ms(3000);
    assert_int_equal(c.requests, 1);
    assert_int_equal(warned_count, 0);
    c.status = 200;
    collector_answer(c.held);
    until(metric_stats().taken == 1);
    advance_ms(1000);
    until(metric_stats().taken == 2);
}

static void spans_and_metrics_go_their_own_ways(void **state)
{
    (void)state;
    c.status = COLLECTOR_HOLDS;
    c.statuses_left = 1;
    weir_metrics_add(one_of(WEIR_METRICS_COUNTER), 1);
    serve_and_create();
    export_one();
    until(c.requests == 1);
    assert_int_equal(weir_otlp_export_metrics(otlp, metrics, NULL), WEIR_OK);
    assert_int_equal(weir_otlp_push_metrics(otlp, NULL, NULL), WEIR_OK);
    until(metric_stats().taken == 1);
    cancel_export();
    settle();
    assert_int_equal(stats_now().failed, 1);
}

static void data_points_may_be_rejected(void **state)
{
    (void)state;
    c.answer = "{\"partialSuccess\":{\"rejectedDataPoints\":\"1\",\"errorMessage\":\"old\"}}";
    weir_metrics_add(one_of(WEIR_METRICS_COUNTER), 1);
    serve_and_create();
    assert_int_equal(weir_otlp_export_metrics(otlp, metrics, NULL), WEIR_OK);
    assert_int_equal(weir_otlp_push_metrics(otlp, on_exported, &told_result), WEIR_OK);
    assert_exported(WEIR_OK, 1);
    assert_int_equal(warned.signal, WEIR_OTLP_METRICS);
    assert_string_equal(warned_message, "old");
    assert_int_equal(metric_stats().rejected, 1);
}

/* Each part is whole: it has the envelope, and the head of the family. */
static void many_points_go_out_in_parts(void **state)
{
    (void)state;
    static const char *const key[] = {"k"};
    weir_metrics_family_options family = family_of(WEIR_METRICS_COUNTER);
    weir_metrics_family *made;
    family.labels = key;
    family.label_count = 1;
    options.max_request_bytes = 1024;
    assert_int_equal(weir_metrics_family_create(&made, metrics, &family), WEIR_OK);
    for (int i = 0; i < 20; i++) {
        char text[8];
        const char *const value[] = {text};
        weir_metrics_series *series;
        (void)snprintf(text, sizeof text, "%02d", i);
        assert_int_equal(weir_metrics_series_get(&series, made, value), WEIR_OK);
        weir_metrics_add(series, 1);
        weir_metrics_series_release(series);
    }
    push();
    assert_in_range(c.requests, 3, 8);
    assert_int_equal(metric_stats().taken, 20);
    assert_memory_equal(c.body, OPEN "{\"name\":\"m\",\"sum\":{",
                        sizeof OPEN "{\"name\":\"m\",\"sum\":{" - 1);
    assert_string_equal(c.body + c.body_size - 9, "]}}" CLOSE);
}

static void a_point_larger_than_a_request_is_refused_and_the_others_go(void **state)
{
    (void)state;
    weir_metrics_family_options family = family_of(WEIR_METRICS_COUNTER);
    static char long_help[2000];
    memset(long_help, 'h', sizeof long_help - 1);
    family.help = long_help;
    weir_metrics_add(series_of(&family, NULL), 1);
    family.help = NULL;
    family.name = "n";
    weir_metrics_add(series_of(&family, NULL), 1);
    family.name = "o";
    family.help = long_help;
    weir_metrics_add(series_of(&family, NULL), 1);
    options.max_request_bytes = 1024;
    serve_and_create();
    assert_int_equal(weir_otlp_export_metrics(otlp, metrics, NULL), WEIR_OK);
    assert_int_equal(weir_otlp_push_metrics(otlp, on_exported, &told_result), WEIR_OK);
    assert_exported(WEIR_OK, 2);
    assert_int_equal(warned.error, WEIR_ETOOLARGE);
    assert_int_equal(warned.rejected, 2);
    assert_non_null(strstr(c.body, "\"name\":\"n\""));
}

static void a_push_survives_every_failed_allocation(void **state)
{
    (void)state;
    weir_metrics_add(one_of(WEIR_METRICS_COUNTER), 1);
    weir_metrics_family_options family = family_of(WEIR_METRICS_HISTOGRAM);
    family.name = "h";
    weir_metrics_record(series_of(&family, NULL), 1);
    serve_and_create();
    int result;
    unsigned fail_at = 0;
    do {
        f.fake.calls = 0;
        f.fake.fail_at = ++fail_at;
        result = weir_otlp_export_metrics(otlp, metrics, NULL);
        if (result == WEIR_OK)
            result = weir_otlp_push_metrics(otlp, on_exported, &told_result);
        assert_true(result == WEIR_OK || result == WEIR_ENOMEM);
        if (result == WEIR_ENOMEM)
            assert_int_equal(metric_stats().taken, 0);
    } while (result != WEIR_OK);
    f.fake.fail_at = 0;
    assert_in_range(fail_at, 4, 40);
    assert_exported(WEIR_OK, 0);
}

/* At an interval there is nobody to return it to. */
static void want_of_memory_at_an_interval_is_told(void **state)
{
    (void)state;
    weir_metrics_add(one_of(WEIR_METRICS_COUNTER), 1);
    serve_and_create();
    assert_int_equal(weir_otlp_export_metrics(otlp, metrics, NULL), WEIR_OK);
    f.fake.calls = 0;
    f.fake.fail_at = 1;
    advance_ms(60000);
    assert_int_equal(warned_count, 1);
    assert_int_equal(warned.signal, WEIR_OTLP_METRICS);
    assert_int_equal(warned.error, WEIR_ENOMEM);
}

#define METRICS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        METRICS_TEST(a_counter_is_a_monotonic_cumulative_sum),
        METRICS_TEST(an_updown_is_a_sum_that_may_fall),
        METRICS_TEST(a_gauge_may_be_no_number),
        METRICS_TEST(a_histogram_has_counts_bounds_and_its_range),
        METRICS_TEST(a_histogram_of_nothing_has_no_range),
        METRICS_TEST(an_exponential_histogram_has_its_scale_and_offset),
        METRICS_TEST(a_summary_has_its_quantiles),
        METRICS_TEST(exemplars_lead_to_their_spans),
        METRICS_TEST(the_series_of_overflow_has_a_bool),
        METRICS_TEST(says_who_counts),
        METRICS_TEST(exports_at_each_interval),
        METRICS_TEST(nothing_counted_is_nothing_sent),
        METRICS_TEST(an_interval_is_left_out_while_an_export_is_under_way),
        METRICS_TEST(spans_and_metrics_go_their_own_ways),
        METRICS_TEST(data_points_may_be_rejected),
        METRICS_TEST(many_points_go_out_in_parts),
        METRICS_TEST(a_point_larger_than_a_request_is_refused_and_the_others_go),
        METRICS_TEST(a_push_survives_every_failed_allocation),
        METRICS_TEST(want_of_memory_at_an_interval_is_told),
    };
    return cmocka_run_group_tests_name("otlp metrics", tests, NULL, NULL);
}

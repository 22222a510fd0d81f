/* Families and series: what may be named how, handles, bounds, removal, and what is observed. */
#include "support/metrics_fixture.h"

static const char *const keys[] = {"http.request.method", "code"};

static weir_metrics_family *labelled(const char *name, uint32_t max_series)
{
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_COUNTER, name);
    options.labels = keys;
    options.label_count = 2;
    options.max_series = max_series;
    return metrics_family(&options);
}

static weir_metrics_series *get(weir_metrics_family *family, const char *method, const char *code)
{
    const char *const values[] = {method, code};
    weir_metrics_series *series;
    assert_int_equal(weir_metrics_series_get(&series, family, values), WEIR_OK);
    return series;
}

static weir_metrics_stats stats(void)
{
    weir_metrics_stats now;
    weir_metrics_get_stats(f.metrics, &now);
    return now;
}

static int create(const weir_metrics_family_options *options)
{
    weir_metrics_family *family;
    int const result = weir_metrics_family_create(&family, f.metrics, options);
    assert_true((result == WEIR_OK) == (family != NULL));
    return result;
}

/* ---- Families ---- */

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    static const double falling[] = {1, 1}, negative[] = {-1, 1}, outside[] = {.5, 1.5};
    static const double endless[] = {1, (double)1e300 * 1e300};
    static const char *const twice[] = {"a.b", "a_b"}, *const none[] = {NULL}, *const le[] = {"le"};
    static const char *const quantile[] = {"quantile"}, *const wrong[] = {"a b"};
    weir_metrics_family_options good = metrics_options(WEIR_METRICS_HISTOGRAM, "x"), o;
    assert_int_equal(create(NULL), WEIR_EINVAL);
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        o = good;                                                                                  \
        change;                                                                                    \
        assert_int_equal(create(&o), WEIR_EINVAL);                                                 \
    } while (0)
    REFUSED(o.struct_size = 1);
    REFUSED(o.name = NULL);
    REFUSED(o.unit = "0123456789012345678901234567890123456789012345678901234567890123");
    REFUSED(o.unit = "\xff");
    REFUSED(o.help = "\xff");
    REFUSED(o.kind = (weir_metrics_kind)6);
    REFUSED(o.number = (weir_metrics_number)2);
    REFUSED(o.label_count = 1);
    REFUSED((o.labels = keys, o.label_count = 65));
    REFUSED((o.labels = twice, o.label_count = 2));
    REFUSED((o.labels = none, o.label_count = 1));
    REFUSED((o.labels = le, o.label_count = 1));
    REFUSED((o.labels = quantile, o.label_count = 1));
    REFUSED((o.labels = wrong, o.label_count = 1));
    REFUSED(o.max_series = 0);
    REFUSED(o.bound_count = 1);
    REFUSED((o.bounds = falling, o.bound_count = 2));
    REFUSED((o.bounds = negative, o.bound_count = 2));
    REFUSED((o.bounds = endless, o.bound_count = 2));
    REFUSED((o.bounds = falling, o.bound_count = 1025));
    REFUSED(o.max_buckets = 1);
    REFUSED(o.max_buckets = 161);
    REFUSED(o.max_scale = 21);
    REFUSED(o.max_scale = -11);
    REFUSED(o.accuracy = .00001);
    REFUSED(o.accuracy = .6);
    REFUSED(o.accuracy = ((double)1e300 * 1e300) * 0);
    REFUSED(o.max_bins = 15);
    REFUSED(o.max_bins = 65537);
    REFUSED(o.quantile_count = 1);
    REFUSED(o.quantile_count = 33);
    REFUSED((o.quantiles = outside, o.quantile_count = 2));
    REFUSED(o.observe = (weir_metrics_observe_fn)(void (*)(void))create);
    assert_int_equal(stats().families, 0);
    assert_int_equal(create(&good), WEIR_OK);
}

static void metrics_options_out_of_range_are_refused(void **state)
{
    (void)state;
    weir_metrics *metrics;
    weir_metrics_options options = WEIR_METRICS_OPTIONS_INIT;
    options.threads = 0;
    assert_int_equal(weir_metrics_create(&metrics, &options), WEIR_EINVAL);
    options.threads = 1025;
    assert_int_equal(weir_metrics_create(&metrics, &options), WEIR_EINVAL);
    assert_null(metrics);
    options.struct_size = 1;
    assert_int_equal(weir_metrics_create(&metrics, &options), WEIR_EINVAL);
    assert_int_equal(weir_metrics_create(&metrics, NULL), WEIR_OK);
    weir_metrics_destroy(metrics);
    weir_metrics_destroy(NULL);
    weir_metrics_series_release(NULL);
}

static void names_are_those_of_opentelemetry_and_of_prometheus(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "A.b-c/d_e9", "_x", ":rule:sum"};
    static const char *const bad[] = {"", "9a", ".a", "a b", "a\xc3\xa4", "a{", "-a"};
    static const char *const bad_keys[] = {
        "", "9", "_9", "__name", "a:b", "a b", "otel.metric.overflow", "otel_metric_overflow"};
    char longest[257];
    memset(longest, 'z', sizeof longest);
    longest[256] = '\0';
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_GAUGE, longest);
    assert_int_equal(create(&options), WEIR_EINVAL);
    longest[255] = '\0';
    assert_int_equal(create(&options), WEIR_OK);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        options.name = good[i];
        assert_int_equal(create(&options), WEIR_OK);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        options.name = bad[i];
        assert_int_equal(create(&options), WEIR_EINVAL);
    }
    options.name = "keys";
    options.label_count = 1;
    for (size_t i = 0; i < sizeof bad_keys / sizeof bad_keys[0]; i++) {
        options.labels = &bad_keys[i];
        assert_int_equal(create(&options), WEIR_EINVAL);
    }
}

static const struct {
    const char *name, *unit, *prometheus;
    weir_metrics_kind kind;
} translations[] = {
    /* Of the OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility". */
    {"http.server.request.duration", "s", "http_server_request_duration_seconds",
     WEIR_METRICS_HISTOGRAM},
    {"http.server.active_requests", "{request}", "http_server_active_requests",
     WEIR_METRICS_UPDOWN},
    {"process.cpu.time", "s", "process_cpu_time_seconds_total", WEIR_METRICS_COUNTER},
    {"process_cpu_seconds_total", "s", "process_cpu_seconds_total", WEIR_METRICS_COUNTER},
    {"system.network.io", "By", "system_network_io_bytes_total", WEIR_METRICS_COUNTER},
    {"system.memory.utilization", "1", "system_memory_utilization_ratio", WEIR_METRICS_GAUGE},
    {"retries", "1", "retries_total", WEIR_METRICS_COUNTER},
    {"disk.speed", "MBy/s", "disk_speed_megabytes_per_second", WEIR_METRICS_GAUGE},
    {"pump.flow", "L/h", "pump_flow_L_per_hour", WEIR_METRICS_GAUGE},
    {"request.rate", "{request}/s", "request_rate_per_second", WEIR_METRICS_GAUGE},
    {"odd.rate", "m/", "odd_rate_meters", WEIR_METRICS_GAUGE},
    {"load", "%", "load_percent", WEIR_METRICS_GAUGE},
    {"queue.wait", "ms", "queue_wait_milliseconds", WEIR_METRICS_SUMMARY},
    {"odd..name--here", "", "odd_name_here", WEIR_METRICS_GAUGE},
    {"ends.", "s", "ends_seconds", WEIR_METRICS_GAUGE},
    {"seconds_to_go", "s", "seconds_to_go_seconds", WEIR_METRICS_GAUGE},
    {"temperature", "Cel", "temperature_celsius", WEIR_METRICS_GAUGE},
    {"strange", "[a]b!", "strange_a_b", WEIR_METRICS_GAUGE},
    {"_total", "%", "_total_percent_total", WEIR_METRICS_COUNTER},
    {"braces", "}{{x}y}", "braces", WEIR_METRICS_GAUGE},
};

static void names_and_units_become_those_of_prometheus(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof translations / sizeof translations[0]; i++) {
        weir_metrics_family_options options =
            metrics_options(translations[i].kind, translations[i].name);
        options.unit = translations[i].unit;
        assert_string_equal(weir_metrics_family_prometheus_name(metrics_family(&options)),
                            translations[i].prometheus);
    }
}

static void families_whose_samples_would_be_named_alike_are_refused(void **state)
{
    (void)state;
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_HISTOGRAM, "http.time");
    assert_int_equal(create(&options), WEIR_OK);
    static const struct {
        const char *name;
        weir_metrics_kind kind;
    } clashes[] = {
        {"http.time", WEIR_METRICS_GAUGE},         {"http_time", WEIR_METRICS_GAUGE},
        {"HTTP.Time", WEIR_METRICS_GAUGE}, /* OpenTelemetry does not tell them apart. */
        {"http.time.count", WEIR_METRICS_GAUGE},   {"http_time_sum", WEIR_METRICS_COUNTER},
        {"http_time_bucket", WEIR_METRICS_UPDOWN}, {"http-time_created", WEIR_METRICS_SUMMARY},
    };
    for (size_t i = 0; i < sizeof clashes / sizeof clashes[0]; i++) {
        options = metrics_options(clashes[i].kind, clashes[i].name);
        assert_int_equal(create(&options), WEIR_EEXISTS);
    }
    options = metrics_options(WEIR_METRICS_GAUGE, "jobs_total");
    assert_int_equal(create(&options), WEIR_OK);
    options = metrics_options(WEIR_METRICS_COUNTER, "jobs");
    assert_int_equal(create(&options), WEIR_EEXISTS);
    assert_int_equal(stats().families, 2);
}

/* ---- Series ---- */

/* What users ask of Prometheus clients: to look labels up once, and keep what was found. */
static void the_same_labels_are_the_same_series(void **state)
{
    (void)state;
    weir_metrics_family *const family = labelled("requests", 2000);
    weir_metrics_series *const series = get(family, "GET", "200");
    assert_ptr_equal(get(family, "GET", "200"), series);
    assert_ptr_not_equal(get(family, "GET", "201"), series);
    assert_ptr_not_equal(get(family, "GE", "T200"), series);
    assert_int_equal(stats().series, 3);
    weir_metrics_add(series, 1);
    metrics_assert_shows(metrics_page(), "{http_request_method=\"GET\",code=\"200\"} 1\n");
}

static void labels_that_are_missing_or_no_utf8_are_refused(void **state)
{
    (void)state;
    weir_metrics_family *const family = labelled("requests", 2000);
    const char *const missing[] = {"GET", NULL}, *const broken[] = {"\xc3", "200"};
    weir_metrics_series *series;
    assert_int_equal(weir_metrics_series_get(&series, family, NULL), WEIR_EINVAL);
    assert_int_equal(weir_metrics_series_get(&series, family, missing), WEIR_EINVAL);
    assert_int_equal(weir_metrics_series_get(&series, family, broken), WEIR_EINVAL);
    assert_null(series);
    assert_int_equal(weir_metrics_series_remove(family, missing), WEIR_EINVAL);
    assert_int_equal(stats().series, 0);
}

static void label_values_over_the_bound_are_counted_in_one_series(void **state)
{
    (void)state;
    weir_metrics_family *const family = labelled("requests", 3);
    weir_metrics_add(get(family, "a", ""), 1);
    weir_metrics_add(get(family, "b", ""), 2);
    for (int i = 0; i < 100; i++) {
        char user[16];
        (void)snprintf(user, sizeof user, "user %d", i);
        weir_metrics_series *const series = get(family, user, "");
        weir_metrics_add(series, 1);
        weir_metrics_series_release(series);
    }
    weir_metrics_add(get(family, "a", ""), 1); /* Who was there before stays. */
    assert_string_equal(metrics_page(), "# TYPE requests_total counter\n"
                                        "requests_total{http_request_method=\"a\",code=\"\"} 2\n"
                                        "requests_total{http_request_method=\"b\",code=\"\"} 2\n"
                                        "requests_total{otel_metric_overflow=\"true\"} 100\n");
    assert_int_equal(stats().overflowed, 100);
    assert_int_equal(stats().series, 3);
    (void)metrics_collect();
    assert_string_equal(f.point.labels[0].key, "otel.metric.overflow");
    assert_string_equal(f.point.labels[0].value, "true");
}

static void a_bound_of_one_leaves_overflow_alone_but_not_without_labels(void **state)
{
    (void)state;
    weir_metrics_family *const family = labelled("requests", 1);
    assert_ptr_equal(get(family, "a", "b"), get(family, "c", "d"));
    assert_int_equal(stats().overflowed, 2);
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_COUNTER, "plain");
    options.max_series = 1;
    weir_metrics_add(metrics_series(metrics_family(&options), NULL), 9);
    metrics_assert_shows(metrics_page(), "plain_total 9\n");
    weir_metrics_family_clear(family);
    assert_int_equal(stats().series, 1);
}

/* prometheus-client-c#48: there was no way to clear series. */
static void a_removed_series_is_shown_no_more_and_its_handles_stay_safe(void **state)
{
    (void)state;
    weir_metrics_family *const family = labelled("requests", 2000);
    const char *const values[] = {"GET", "200"}, *const others[] = {"GET", "404"};
    weir_metrics_series *const old = get(family, "GET", "200"), *const twice =
                                                                    get(family, "GET", "200");
    weir_metrics_add(old, 5);
    assert_int_equal(weir_metrics_series_remove(family, values), WEIR_OK);
    assert_int_equal(weir_metrics_series_remove(family, values), WEIR_ENOTFOUND);
    assert_int_equal(weir_metrics_series_remove(family, others), WEIR_ENOTFOUND);
    assert_string_equal(metrics_page(), "");
    weir_metrics_add(old, 1);
    f.fake.wall_ns += METRICS_SECOND;
    weir_metrics_series *const again = get(family, "GET", "200");
    assert_ptr_not_equal(again, old);
    assert_int_equal(metrics_collect()->integer, 0);
    assert_int_equal(f.point.start_ns, (METRICS_START_S + 1) * METRICS_SECOND);
    unsigned const live = f.fake.live;
    weir_metrics_series_release(old);
    assert_int_equal(f.fake.live, live);
    weir_metrics_add(twice, 1);
    weir_metrics_series_release(twice);
    assert_int_equal(f.fake.live, live - 3); /* It, its shared cell, and this thread's. */
    weir_metrics_add(again, 4);
    weir_metrics_series_release(again);
    assert_int_equal(metrics_collect()->integer, 4); /* Released is not removed. */
}

static void a_family_is_cleared_with_or_without_handles(void **state)
{
    (void)state;
    weir_metrics_family *const family = labelled("requests", 4);
    weir_metrics_series *const held = get(family, "held", "");
    weir_metrics_series_release(get(family, "b", ""));
    weir_metrics_series_release(get(family, "c", ""));
    weir_metrics_series_release(get(family, "d", "")); /* Overflow. */
    weir_metrics_family_clear(family);
    assert_int_equal(stats().series, 0);
    assert_string_equal(metrics_page(), "");
    weir_metrics_add(held, 1);
    weir_metrics_add(get(family, "new", ""), 1); /* There is room again. */
    metrics_assert_shows(metrics_page(), "method=\"new\"");
    weir_metrics_family_clear(family);
    weir_metrics_series_release(held);
}

/* ---- Observed values ---- */

typedef struct told {
    const char *names[4];
    int64_t values[4];
    double reals[4];
    size_t count;
    int results[4];
    int nested;
} told;

static void ignore(const void *data, size_t size, void *user)
{
    (void)data;
    (void)size;
    (void)user;
}

static void tell(weir_metrics_observer *observer, void *user)
{
    told *const all = user;
    for (size_t i = 0; i < all->count; i++)
        all->results[i] = all->reals[i] != 0
                              ? weir_metrics_observe_double(observer, &all->names[i], all->reals[i])
                              : weir_metrics_observe(observer, &all->names[i], all->values[i]);
    all->nested = weir_metrics_prometheus(f.metrics, ignore, NULL);
}

static weir_metrics_family *observed(weir_metrics_kind kind, weir_metrics_number number,
                                     told *values, uint32_t max_series)
{
    static const char *const label[] = {"name"};
    weir_metrics_family_options options = metrics_options(kind, "seen");
    options.number = number;
    options.labels = label;
    options.label_count = 1;
    options.observe = tell;
    options.user = values;
    options.max_series = max_series;
    return metrics_family(&options);
}

static void observed_values_are_asked_for_at_each_scrape(void **state)
{
    (void)state;
    told all = {.names = {"a", "b"}, .values = {3, 4}, .count = 2};
    weir_metrics_family *const family = observed(WEIR_METRICS_COUNTER, WEIR_METRICS_INT, &all, 10);
    const char *const values[] = {"a"};
    weir_metrics_series *series;
    assert_int_equal(weir_metrics_series_get(&series, family, values), WEIR_EINVAL);
    assert_string_equal(metrics_page(), "# TYPE seen_total counter\nseen_total{name=\"a\"} 3\n"
                                        "seen_total{name=\"b\"} 4\n");
    assert_int_equal(all.nested, WEIR_EBUSY);
    all.values[1] = 9;
    all.names[0] = "b"; /* Told twice: the last one counts; and "a" is no more. */
    assert_string_equal(metrics_page(), "# TYPE seen_total counter\nseen_total{name=\"b\"} 9\n");
    assert_int_equal(stats().series, 1);
    all.count = 0;
    assert_string_equal(metrics_page(), "");
}

static void observed_gauges_are_of_any_value(void **state)
{
    (void)state;
    told all = {.names = {"a", "b"}, .values = {-3}, .reals = {0, -.5}, .count = 2};
    (void)observed(WEIR_METRICS_GAUGE, WEIR_METRICS_INT, &all, 10);
    assert_string_equal(metrics_page(),
                        "# TYPE seen gauge\nseen{name=\"a\"} -3\nseen{name=\"b\"} -0.5\n");
}

static void observed_sums_refuse_what_added_ones_do(void **state)
{
    (void)state;
    told all = {.names = {"a", "\xff", "c", "d"},
                .values = {-1, 1, 1},
                .reals = {0, 0, 0, .5},
                .count = 4};
    (void)observed(WEIR_METRICS_COUNTER, WEIR_METRICS_INT, &all, 10);
    metrics_assert_shows(metrics_page(), "counter\nseen_total{name=\"c\"} 1\n");
    assert_int_equal(all.results[0], WEIR_EINVAL);
    assert_int_equal(all.results[1], WEIR_EINVAL);
    assert_int_equal(all.results[2], WEIR_OK);
    assert_int_equal(all.results[3], WEIR_EINVAL);
    assert_int_equal(metrics_refused(), 2);
}

static void observed_series_over_the_bound_are_added_up(void **state)
{
    (void)state;
    told all = {.names = {"a", "b", "c", "d"},
                .values = {1, 2, 3},
                .reals = {0, 0, 0, -.5},
                .count = 4};
    (void)observed(WEIR_METRICS_UPDOWN, WEIR_METRICS_DOUBLE, &all, 2);
    for (int i = 0; i < 2; i++)
        assert_string_equal(metrics_page(), "# TYPE seen gauge\nseen{name=\"a\"} 1\n"
                                            "seen{otel_metric_overflow=\"true\"} 4.5\n");
    assert_int_equal(stats().overflowed, 6);
}

static void series_that_are_gone_leave_their_room_in_the_same_scrape(void **state)
{
    (void)state;
    told all = {.names = {"a", "b"}, .values = {1, 2}, .count = 2};
    (void)observed(WEIR_METRICS_UPDOWN, WEIR_METRICS_INT, &all, 3);
    assert_string_equal(metrics_page(),
                        "# TYPE seen gauge\nseen{name=\"a\"} 1\nseen{name=\"b\"} 2\n");
    all.names[0] = "c";
    all.names[1] = "d";
    assert_string_equal(metrics_page(),
                        "# TYPE seen gauge\nseen{name=\"c\"} 1\nseen{name=\"d\"} 2\n");
}

/* ---- Visits ---- */

static void visit_more(const weir_metrics_view *view, const weir_metrics_point *point, void *user)
{
    weir_metrics_visitor const visitor = {.point = visit_more};
    weir_metrics_family *const family = user;
    (void)point;
    assert_string_equal(view->name, "requests");
    assert_string_equal(view->prometheus_name, "requests_total");
    assert_int_equal(view->kind, WEIR_METRICS_COUNTER);
    assert_string_equal(view->unit, "");
    assert_string_equal(view->help, "");
    assert_int_equal(weir_metrics_collect(f.metrics, &visitor, user), WEIR_EBUSY);
    (void)get(family, "new", "one"); /* The locks are free. */
    weir_metrics_family_clear(family);
    f.points++;
}

static void a_visitor_may_change_what_it_visits(void **state)
{
    (void)state;
    weir_metrics_visitor const visitor = {.point = visit_more};
    weir_metrics_family *const family = labelled("requests", 10);
    weir_metrics_series_release(get(family, "a", ""));
    weir_metrics_series_release(get(family, "b", ""));
    assert_int_equal(weir_metrics_collect(f.metrics, &visitor, family), WEIR_OK);
    assert_int_equal(f.points, 2); /* Those that there were. */
    assert_int_equal(stats().series, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, metrics_setup, metrics_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(options_out_of_range_are_refused),
        TEST(metrics_options_out_of_range_are_refused),
        TEST(names_are_those_of_opentelemetry_and_of_prometheus),
        TEST(names_and_units_become_those_of_prometheus),
        TEST(families_whose_samples_would_be_named_alike_are_refused),
        TEST(the_same_labels_are_the_same_series),
        TEST(labels_that_are_missing_or_no_utf8_are_refused),
        TEST(label_values_over_the_bound_are_counted_in_one_series),
        TEST(a_bound_of_one_leaves_overflow_alone_but_not_without_labels),
        TEST(a_removed_series_is_shown_no_more_and_its_handles_stay_safe),
        TEST(a_family_is_cleared_with_or_without_handles),
        TEST(observed_values_are_asked_for_at_each_scrape),
        TEST(observed_gauges_are_of_any_value),
        TEST(observed_sums_refuse_what_added_ones_do),
        TEST(observed_series_over_the_bound_are_added_up),
        TEST(series_that_are_gone_leave_their_room_in_the_same_scrape),
        TEST(a_visitor_may_change_what_it_visits),
    };
    return cmocka_run_group_tests_name("metrics series", tests, NULL, NULL);
}

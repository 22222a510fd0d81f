/* Metrics when memory runs out, each allocation in turn: an error, no leak, nothing changed. */
#include "support/metrics_fixture.h"

static const char *const keys[] = {"method", "code"};
static const char *const some[] = {"GET", "200"};

/* Runs `step`, whose n-th allocation fails, until there is none left to fail. */
static void sweep(int (*step)(void))
{
    int result = WEIR_ENOMEM;
    for (unsigned n = 1; result == WEIR_ENOMEM; n++) {
        unsigned const live = f.fake.live;
        size_t const bytes = f.fake.live_bytes;
        assert_true(n < 100);
        f.fake.fail_at = f.fake.calls + n;
        result = step();
        f.fake.fail_at = 0;
        if (result == WEIR_ENOMEM) {
            assert_in_range(f.fake.live, live, live + 1); /* A table that was grown first. */
            assert_true(f.fake.live > live || f.fake.live_bytes == bytes);
        }
    }
    assert_int_equal(result, WEIR_OK);
}

static int step_create(void)
{
    weir_metrics *metrics;
    weir_env const env = fake_env_hooks(&f.fake);
    weir_metrics_options options = WEIR_METRICS_OPTIONS_INIT;
    options.env = &env;
    int const result = weir_metrics_create(&metrics, &options);
    assert_true((result == WEIR_OK) == (metrics != NULL));
    weir_metrics_destroy(metrics);
    return result;
}

static weir_metrics_kind kind;
static weir_metrics_family *family;

static int step_family(void)
{
    static const char *const names[] = {"a.long.name.of.a.family.that.needs.more.than.one.block."
                                        "because.it.is.longer.than.any.first.one.of.any.text.in."
                                        "this.house.can.be.to.begin.with",
                                        "b",
                                        "c",
                                        "d",
                                        "e",
                                        "f"};
    weir_metrics_family_options options = metrics_options(kind, names[kind]);
    options.unit = "By/s";
    options.help = "Help.";
    options.labels = keys;
    options.label_count = 2;
    weir_metrics_stats stats;
    int const result = weir_metrics_family_create(&family, f.metrics, &options);
    weir_metrics_get_stats(f.metrics, &stats);
    assert_int_equal(stats.families, (unsigned)kind + (result == WEIR_OK));
    return result;
}

static weir_metrics_series *series;

static int step_series(void)
{
    weir_metrics_stats stats;
    int const result = weir_metrics_series_get(&series, family, some);
    assert_true((result == WEIR_OK) == (series != NULL));
    weir_metrics_get_stats(f.metrics, &stats);
    assert_int_equal(stats.series, (unsigned)kind + (result == WEIR_OK));
    return result;
}

static unsigned writes;

static void count_write(const void *data, size_t size, void *user)
{
    (void)data;
    (void)user;
    assert_true(size > 0);
    writes++;
}

static int step_prometheus(void)
{
    writes = 0;
    int const result = weir_metrics_prometheus(f.metrics, count_write, NULL);
    assert_int_equal(writes, result == WEIR_OK);
    return result;
}

static int step_openmetrics(void)
{
    writes = 0;
    int const result = weir_metrics_openmetrics(f.metrics, count_write, NULL);
    assert_int_equal(writes, result == WEIR_OK);
    return result;
}

static int step_collect(void)
{
    weir_metrics_visitor const visitor = {.point = metrics_on_point};
    return weir_metrics_collect(f.metrics, &visitor, NULL);
}

static int step_remove(void)
{
    return weir_metrics_series_remove(family, some);
}

static void every_function_survives_every_failed_allocation(void **state)
{
    (void)state;
    sweep(step_create);
    for (int i = WEIR_METRICS_COUNTER; i <= WEIR_METRICS_SUMMARY; i++) {
        kind = (weir_metrics_kind)i;
        sweep(step_family);
        sweep(step_series);
        if (kind == WEIR_METRICS_GAUGE)
            weir_metrics_set(series, 1);
    }
    sweep(step_collect);
    sweep(step_prometheus);
    sweep(step_openmetrics);
    sweep(step_remove);
}

static void count_all(weir_metrics_series *const *all, bool memory)
{
    static const double values[] = {1e-300, 1e300, 0};
    weir_trace_context const context = metrics_context(WEIR_TRACE_SAMPLED);
    for (unsigned i = 0; i < 9; i++) {
        f.fake.fail_at = memory ? 0 : f.fake.calls + 1;
        weir_metrics_record(all[1 + i % 3], values[i / 3]);
    }
    f.fake.fail_at = memory ? 0 : f.fake.calls + 1;
    weir_metrics_add(all[0], 1);
    f.fake.fail_at = memory ? 0 : f.fake.calls + 2;
    weir_metrics_add_traced(all[0], 1, &context); /* Its cell there is; no exemplar, then. */
    f.fake.fail_at = 0;
}

static void an_event_without_memory_is_counted_all_the_same(void **state)
{
    (void)state;
    weir_metrics_series *const all[] = {metrics_single(WEIR_METRICS_COUNTER, "a"),
                                        metrics_single(WEIR_METRICS_HISTOGRAM, "b"),
                                        metrics_single(WEIR_METRICS_EXPONENTIAL, "c"),
                                        metrics_single(WEIR_METRICS_SUMMARY, "d")};
    count_all(all, false);
    metrics_assert_hides(metrics_open_page(), "trace_id");
    count_all(all, true);
    const char *const page = metrics_open_page();
    metrics_assert_shows(page, "a_total 4 # {trace_id=");
    metrics_assert_shows(page, "b_count 6\n");
    metrics_assert_shows(page, "c_count 6\n");
    metrics_assert_shows(page, "d_count 6\n");
}

static void observe_one(weir_metrics_observer *observer, void *user)
{
    *(int *)user = weir_metrics_observe(observer, some, 1);
}

static void a_scrape_that_could_not_observe_fails(void **state)
{
    (void)state;
    int told = WEIR_OK;
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_COUNTER, "seen");
    options.labels = keys;
    options.label_count = 2;
    options.observe = observe_one;
    options.user = &told;
    (void)metrics_family(&options);
    f.fake.fail_at = f.fake.calls + 1;
    assert_int_equal(step_prometheus(), WEIR_ENOMEM);
    assert_int_equal(told, WEIR_ENOMEM);
    int result = WEIR_ENOMEM;
    for (unsigned n = 2; result != WEIR_OK; n++) { /* What it has observed stays. */
        f.fake.fail_at = f.fake.calls + n;
        result = step_prometheus();
        assert_true(result == WEIR_OK || result == WEIR_ENOMEM);
    }
    f.fake.fail_at = 0;
    metrics_assert_shows(metrics_page(), "seen_total{method=\"GET\",code=\"200\"} 1\n");
}

static void overflow_needs_memory_once(void **state)
{
    (void)state;
    weir_metrics_family_options options = metrics_options(WEIR_METRICS_COUNTER, "x");
    options.labels = keys;
    options.label_count = 2;
    options.max_series = 1;
    family = metrics_family(&options);
    kind = WEIR_METRICS_COUNTER;
    sweep(step_series);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, metrics_setup, metrics_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_function_survives_every_failed_allocation),
        TEST(an_event_without_memory_is_counted_all_the_same),
        TEST(a_scrape_that_could_not_observe_fails),
        TEST(overflow_needs_memory_once),
    };
    return cmocka_run_group_tests_name("metrics memory", tests, NULL, NULL);
}

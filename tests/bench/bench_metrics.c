/* One event, counted in a series that all threads share; and a scrape. */
#include "support/bench.h"

#include <weir/metrics.h>

#define SERIES 1000

static weir_metrics_series *make(weir_metrics *metrics, const char *name, weir_metrics_kind kind)
{
    weir_metrics_family_options options = WEIR_METRICS_FAMILY_OPTIONS_INIT;
    weir_metrics_family *family;
    weir_metrics_series *series;
    options.name = name;
    options.kind = kind;
    if (weir_metrics_family_create(&family, metrics, &options) ||
        weir_metrics_series_get(&series, family, NULL))
        abort();
    return series;
}

static void add(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        weir_metrics_add(ctx, 1);
}

/* Values of all buckets but the last, in no order that could be foreseen. */
static void record(void *ctx, unsigned thread, uint64_t iterations)
{
    uint64_t random = thread + 1;
    for (uint64_t i = 0; i < iterations; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        weir_metrics_record(ctx, (double)(random >> 52) * 2.5);
    }
}

static void set(void *ctx, unsigned thread, uint64_t iterations)
{
    for (uint64_t i = 0; i < iterations; i++)
        weir_metrics_set(ctx, thread);
}

static void ignore(const void *data, size_t size, void *user)
{
    (void)user;
    bench_use(size + ((const unsigned char *)data)[0]);
}

static void scrape(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        if (weir_metrics_prometheus(ctx, ignore, NULL))
            abort();
}

static weir_metrics *many(void)
{
    static const char *const labels[] = {"number"};
    weir_metrics *metrics;
    weir_metrics_family *family;
    weir_metrics_family_options options = WEIR_METRICS_FAMILY_OPTIONS_INIT;
    options.name = "requests";
    options.labels = labels;
    options.label_count = 1;
    if (weir_metrics_create(&metrics, NULL) ||
        weir_metrics_family_create(&family, metrics, &options))
        abort();
    for (unsigned i = 0; i < SERIES; i++) {
        char number[16];
        const char *const values[] = {number};
        weir_metrics_series *series;
        (void)snprintf(number, sizeof number, "%u", i);
        if (weir_metrics_series_get(&series, family, values))
            abort();
        weir_metrics_add(series, i);
    }
    return metrics;
}

int main(void)
{
    weir_metrics *metrics;
    if (weir_metrics_create(&metrics, NULL))
        return 1;
    weir_metrics_series *const counter = make(metrics, "counter", WEIR_METRICS_COUNTER);
    weir_metrics_series *const gauge = make(metrics, "gauge", WEIR_METRICS_GAUGE);
    weir_metrics_series *const histogram = make(metrics, "histogram", WEIR_METRICS_HISTOGRAM);
    weir_metrics_series *const exponential = make(metrics, "exponential", WEIR_METRICS_EXPONENTIAL);
    weir_metrics_series *const summary = make(metrics, "summary", WEIR_METRICS_SUMMARY);
    for (unsigned threads = 1; threads <= 2; threads++) {
        bench_run("metrics.counter_add", threads, 1, add, counter);
        bench_run("metrics.histogram_record", threads, 15, record, histogram);
        bench_run("metrics.exponential_record", threads, 160, record, exponential);
        bench_run("metrics.summary_record", threads, 1024, record, summary);
        bench_run("metrics.gauge_set", threads, 1, set, gauge);
    }
    weir_metrics_destroy(metrics);
    metrics = many();
    bench_run("metrics.scrape", 1, SERIES, scrape, metrics);
    weir_metrics_destroy(metrics);
    return 0;
}

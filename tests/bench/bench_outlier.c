/* A result taken in, alone and by two threads on one host; and a sweep of many hosts. */
#include "support/bench.h"

#include <weir/outlier.h>

static void record(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        weir_outlier_record(ctx, WEIR_SUCCESS, WEIR_ORIGIN_SERVER, 1000000, 1);
}

typedef struct sweep {
    weir_outlier *outlier;
    weir_outlier_host **hosts;
    size_t count;
    uint64_t now_ns;
} sweep;

static void sweep_all(void *ctx, unsigned thread, uint64_t iterations)
{
    sweep *const s = ctx;
    weir_task const task = weir_outlier_task(s->outlier);
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        for (size_t host = 0; host < s->count; host++)
            weir_outlier_record(s->hosts[host], WEIR_SUCCESS, WEIR_ORIGIN_SERVER, 1000000 + host,
                                1);
        s->now_ns = task.run(task.self, s->now_ns);
    }
}

int main(void)
{
    weir_outlier_options options = WEIR_OUTLIER_OPTIONS_INIT;
    sweep s = {.count = 10000};
    options.success_rate_min_calls = options.latency_min_calls = 1;
    options.failure_percent_min_calls = 1;
    options.latency_percent = 300;
    s.hosts = calloc(s.count, sizeof(weir_outlier_host *));
    if (s.hosts == NULL || weir_outlier_create(&s.outlier, &options))
        abort();
    for (size_t i = 0; i < s.count; i++)
        if (weir_outlier_add(s.outlier, "host", NULL, &s.hosts[i]))
            abort();
    bench_run("outlier.record", 1, 1, record, s.hosts[0]);
    bench_run("outlier.record", 2, 1, record, s.hosts[0]);
    bench_run("outlier.sweep", 1, s.count, sweep_all, &s);
    weir_outlier_destroy(s.outlier);
    free(s.hosts);
    return 0;
}

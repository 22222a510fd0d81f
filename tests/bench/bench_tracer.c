/* A span from its start to the exporter; and one that is not sampled. */
#include "support/bench.h"

#include <weir/tracer.h>

static void export_nothing(void *self, const weir_span_batch *batch, uint64_t deadline_ns,
                           weir_exported_fn done, void *token)
{
    (void)self;
    (void)deadline_ns;
    bench_use(batch->count);
    done(token, WEIR_OK, 0);
}

static void drop(void *self, const weir_sampling_request *request, weir_sampling_result *result)
{
    (void)self;
    (void)request;
    (void)result; /* WEIR_SAMPLING_DROP, as it is given. */
}

/* As a server does, and a client below it: two attributes that are known by then. */
static void span(weir_tracer *tracer, const weir_trace_context *parent)
{
    weir_span one;
    weir_span_options options = WEIR_SPAN_OPTIONS_INIT;
    options.parent = parent;
    options.kind = WEIR_SPAN_CLIENT;
    weir_span_start(&one, tracer, "GET /orders", &options);
    if (weir_span_recording(&one)) {
        weir_attribute const attributes[] = {
            weir_attribute_string("http.request.method", "GET"),
            weir_attribute_int("http.response.status_code", 200),
        };
        weir_span_set(&one, attributes, 2);
    }
    weir_span_end(&one);
    bench_use(one.context.span_id[0]);
}

static weir_trace_context const parent = {
    .trace_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .span_id = {1, 2, 3, 4, 5, 6, 7, 8},
    .flags = WEIR_TRACE_SAMPLED | WEIR_TRACE_RANDOM,
    .remote = true,
};

/* Whoever began a batch's worth exports, as a loop would between two requests. */
static void sampled(void *ctx, unsigned thread, uint64_t iterations)
{
    weir_task const task = weir_tracer_task(ctx);
    (void)thread;
    for (uint64_t i = 1; i <= iterations; i++) {
        span(ctx, &parent);
        if (i % 512 == 0)
            (void)task.run(task.self, (uint64_t)bench_now_ns());
    }
}

static void unsampled(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        span(ctx, &parent);
}

static void unsampled_root(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        span(ctx, NULL);
}

int main(void)
{
    weir_tracer *tracer;
    weir_tracer_stats stats;
    weir_tracer_options options = WEIR_TRACER_OPTIONS_INIT;
    options.exporter.export_spans = export_nothing;
    if (weir_tracer_create(&tracer, &options) != WEIR_OK)
        return 1;
    bench_run("tracer.span_sampled", 1, 1, sampled, tracer);
    bench_run("tracer.span_sampled", 2, 1, sampled, tracer);
    weir_tracer_get_stats(tracer, &stats);
    printf("tracer: %llu exported, %llu found the queue full, %llu bytes a record\n",
           (unsigned long long)stats.exported,
           (unsigned long long)stats.dropped[WEIR_SPAN_DROP_QUEUE_FULL],
           (unsigned long long)(stats.memory_bytes / options.max_spans));
    weir_tracer_destroy(tracer);

    options.sampling.decide = drop;
    if (weir_tracer_create(&tracer, &options) != WEIR_OK)
        return 1;
    bench_run("tracer.span_unsampled", 1, 1, unsampled, tracer);
    bench_run("tracer.span_unsampled", 2, 1, unsampled, tracer);
    bench_run("tracer.span_unsampled_root", 1, 1, unsampled_root, tracer);
    weir_tracer_destroy(tracer);
    return 0;
}

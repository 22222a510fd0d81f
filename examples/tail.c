/* All spans are recorded; only the traces that failed or were slow go on, and those wholly. */
#include <weir/tail.h>
#include <weir/tracer.h>

#include <stdio.h>

static void print(void *self, const weir_span_batch *batch, uint64_t deadline_ns,
                  weir_exported_fn done, void *token)
{
    (void)self;
    (void)deadline_ns;
    for (size_t i = 0; i < batch->count; i++)
        printf("kept: %s\n", batch->spans[i]->name);
    done(token, WEIR_OK, 0);
}

static void request(weir_tracer *tracer, const char *name, const char *error)
{
    weir_span span, child;
    weir_span_options options = WEIR_SPAN_OPTIONS_INIT;
    weir_span_start(&span, tracer, name, NULL);
    options.parent = &span.context;
    weir_span_start(&child, tracer, "SELECT", &options);
    if (error != NULL)
        weir_span_set_status(&child, WEIR_SPAN_ERROR, error);
    weir_span_end(&child);
    weir_span_end(&span);
}

int main(void)
{
    weir_tail *tail;
    weir_tail_options options = WEIR_TAIL_OPTIONS_INIT;
    options.next.export_spans = print;
    options.linger_ns = 0;
    if (weir_tail_create(&tail, &options) != WEIR_OK)
        return 1;
    weir_tracer *tracer;
    weir_tracer_options tracing = WEIR_TRACER_OPTIONS_INIT;
    tracing.exporter = weir_tail_exporter(tail);
    if (weir_tracer_create(&tracer, &tracing) != WEIR_OK)
        return 1;
    for (int i = 0; i < 100; i++)
        request(tracer, "GET /stock", NULL);
    request(tracer, "GET /orders", "deadlock");
    int const result = weir_tracer_shutdown(tracer, WEIR_NEVER, NULL, NULL);
    weir_tail_stats stats;
    weir_tail_get_stats(tail, &stats);
    printf("%llu spans kept, %llu not\n", (unsigned long long)stats.kept,
           (unsigned long long)stats.dropped);
    weir_tracer_destroy(tracer);
    weir_tail_destroy(tail);
    return result == WEIR_OK ? 0 : 1;
}

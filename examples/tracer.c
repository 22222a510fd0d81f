/* A request with a call below it: spans are begun, told of, ended, and exported in a batch. */
#include <weir/tracer.h>

#include <stdio.h>

/* Where they go: here, one line each. otlp.h sends them to a collector. */
static void print(void *self, const weir_span_batch *batch, uint64_t deadline_ns,
                  weir_exported_fn done, void *token)
{
    (void)self;
    (void)deadline_ns;
    for (size_t i = 0; i < batch->count; i++) {
        const weir_span_data *const span = batch->spans[i];
        printf("%02x%02x.. %-11s %zu attributes, %s\n", span->context.trace_id[0],
               span->context.trace_id[1], span->name, span->attribute_count,
               span->status == WEIR_SPAN_ERROR ? span->status_message : "well");
    }
    done(token, WEIR_OK, 0);
}

static void call(weir_tracer *tracer, const weir_span *parent)
{
    weir_span span;
    weir_span_options options = WEIR_SPAN_OPTIONS_INIT;
    options.parent = &parent->context;
    options.kind = WEIR_SPAN_CLIENT;
    weir_span_start(&span, tracer, "GET /stock", &options);
    weir_attribute const status = weir_attribute_int("http.response.status_code", 503);
    weir_span_set(&span, &status, 1);
    weir_span_set_status(&span, WEIR_SPAN_ERROR, "no stock");
    weir_span_end(&span);
}

int main(void)
{
    weir_tracer *tracer;
    weir_span span;
    weir_tracer_options options = WEIR_TRACER_OPTIONS_INIT;
    options.exporter.export_spans = print;
    if (weir_tracer_create(&tracer, &options) != WEIR_OK)
        return 1;
    weir_span_start(&span, tracer, "GET /orders", NULL);
    call(tracer, &span);
    weir_span_end(&span);

    int const result = weir_tracer_shutdown(tracer, WEIR_NEVER, NULL, NULL);
    weir_tracer_stats stats;
    weir_tracer_get_stats(tracer, &stats);
    printf("%llu exported\n", (unsigned long long)stats.exported);
    weir_tracer_destroy(tracer);
    return result == WEIR_OK ? 0 : 1;
}

/* A program looks into its own traces: which ones were slow, and which failed? */
#include <weir/trace_store.h>

#include <stdio.h>

static void done(void *token, int result, size_t rejected)
{
    (void)token;
    (void)result;
    (void)rejected;
}

/* A tracer does this: weir_tracer_options.exporter = weir_trace_store_exporter(store). */
static void finish(weir_trace_store *store, uint8_t trace, const char *name, uint64_t ms,
                   const char *error)
{
    weir_span_data span = {.name = name, .kind = WEIR_SPAN_SERVER, .status_message = ""};
    span.context.trace_id[15] = span.context.span_id[7] = trace;
    span.end_ns = ms * 1000000;
    if (error != NULL) {
        span.status = WEIR_SPAN_ERROR;
        span.status_message = error;
    }
    const weir_span_data *const spans[] = {&span};
    weir_span_batch const batch = {.spans = spans, .count = 1};
    weir_span_exporter const exporter = weir_trace_store_exporter(store);
    exporter.export_spans(exporter.self, &batch, WEIR_NEVER, done, NULL);
}

static bool print(const weir_stored_trace *trace, void *user)
{
    printf("%s: trace %u, %s, %llu ms\n", (const char *)user, trace->trace_id[15],
           trace->spans[0].span->name,
           (unsigned long long)((trace->end_ns - trace->start_ns) / 1000000));
    return true;
}

int main(void)
{
    weir_trace_store *store;
    if (weir_trace_store_create(&store, NULL) != WEIR_OK)
        return 1;
    finish(store, 1, "GET /orders", 12, NULL);
    finish(store, 2, "GET /orders", 890, NULL);
    finish(store, 3, "GET /stock", 3, "no stock");

    char slow[] = "slow", failed[] = "failed";
    weir_trace_query query = WEIR_TRACE_QUERY_INIT;
    query.min_duration_ns = 100000000;
    int result = weir_trace_store_find(store, &query, print, slow);
    query = (weir_trace_query)WEIR_TRACE_QUERY_INIT;
    query.status = WEIR_SPAN_ERROR;
    result |= weir_trace_store_find(store, &query, print, failed);
    weir_trace_store_destroy(store);
    return result == WEIR_OK ? 0 : 1;
}

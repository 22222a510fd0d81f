/* A request is served, and a call made for it: spans, their headers, and what Prometheus sees. */
#include <weir/instrument.h>

#include <stdio.h>

static void print_spans(void *self, const weir_span_batch *batch, uint64_t deadline_ns,
                        weir_exported_fn done, void *token)
{
    (void)self;
    (void)deadline_ns;
    for (size_t i = 0; i < batch->count; i++)
        printf("span: %s, of kind %d\n", batch->spans[i]->name, batch->spans[i]->kind);
    done(token, WEIR_OK, 0);
}

static void print(const void *data, size_t size, void *user)
{
    (void)fwrite(data, 1, size, user);
}

static weir_server_call served; /* In a server, of each exchange; */
static weir_client_call made;   /* and of each attempt. */

static void serve(weir_instrument *instrument, const weir_address *member)
{
    weir_http_request const request = {.method = weir_http_str("GET"), .path = weir_http_str("/")};
    weir_instrument_serve(instrument, &served, &request, "/", NULL, 1000000000);
    weir_client_call_info const info = {.parent = &served.span.context,
                                        .method = request.method,
                                        .address = member};
    weir_instrument_call(instrument, &made, &info, 1000000000);
    printf("traceparent: %.*s\n", (int)made.headers[0].value.size, made.headers[0].value.data);
    weir_instrument_called(&made, 200, NULL, 1004000000);
    weir_instrument_served(&served, 200, NULL, 1005000000);
}

int main(void)
{
    weir_address member;
    weir_tracer *tracer;
    weir_tracer_options tracing = WEIR_TRACER_OPTIONS_INIT;
    weir_metrics *metrics;
    weir_instrument *instrument;
    weir_instrument_options options = WEIR_INSTRUMENT_OPTIONS_INIT;
    tracing.exporter.export_spans = print_spans;
    tracing.immediate = true;
    if (weir_address_parse(&member, "127.0.0.1:8080") || weir_tracer_create(&tracer, &tracing) ||
        weir_metrics_create(&metrics, NULL))
        return 1;
    options.tracer = tracer;
    options.metrics = metrics;
    if (weir_instrument_create(&instrument, &options))
        return 1;
    serve(instrument, &member);
    int const result = weir_metrics_prometheus(metrics, print, stdout);
    weir_instrument_destroy(instrument);
    weir_tracer_destroy(tracer);
    weir_metrics_destroy(metrics);
    return result;
}

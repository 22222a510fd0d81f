/* A finished span with three attributes as OTLP JSON, and as a line for people; per span, in
 * batches of 512 to /dev/null. */
#include "support/bench.h"
#include "support/span_samples.h"

#include <weir/span_writer.h>

#include <fcntl.h>

#define BATCH 512

static void ignore(void *token, int result, size_t rejected)
{
    (void)token;
    bench_use((uint64_t)result + rejected);
}

static void export_spans(void *ctx, unsigned thread, uint64_t iterations)
{
    const weir_span_exporter *const exporter = ctx;
    weir_attribute const attributes[] = {weir_attribute_string("http.request.method", "GET"),
                                         weir_attribute_string("http.route", "/orders/{id}"),
                                         weir_attribute_int("http.response.status_code", 200)};
    weir_span_data span = sample_span("GET /orders/{id}");
    const weir_span_data *spans[BATCH];
    (void)thread;
    span.attributes = attributes;
    span.attribute_count = 3;
    for (size_t i = 0; i < BATCH; i++)
        spans[i] = &span;
    while (iterations > 0) {
        size_t const count = iterations < BATCH ? (size_t)iterations : BATCH;
        weir_span_batch const batch = sample_batch(spans, count);
        exporter->export_spans(exporter->self, &batch, WEIR_NEVER, ignore, NULL);
        iterations -= count;
    }
}

static void run(const char *name, weir_span_format format)
{
    weir_span_writer *writer;
    weir_span_writer_options options = WEIR_SPAN_WRITER_OPTIONS_INIT;
    options.format = format;
    options.fd = open("/dev/null", O_WRONLY);
    if (weir_span_writer_create(&writer, &options) != WEIR_OK)
        abort();
    weir_span_exporter exporter = weir_span_writer_exporter(writer);
    bench_run(name, 1, BATCH, export_spans, &exporter);
    weir_span_writer_destroy(writer);
}

int main(void)
{
    run("span_writer.otlp", WEIR_SPAN_FORMAT_OTLP);
    run("span_writer.text", WEIR_SPAN_FORMAT_TEXT);
    return 0;
}

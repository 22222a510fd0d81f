/* Finished spans, made by hand: the ids and the traceparent are those of W3C's examples. */
#ifndef WEIR_TEST_SPAN_SAMPLES_H
#define WEIR_TEST_SPAN_SAMPLES_H

#include <weir/trace.h>

#define SAMPLE_TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SAMPLE_SPAN_ID  "00f067aa0ba902b7"
#define SAMPLE_START_NS UINT64_C(1544712660000000000) /* 2018-12-13T14:51:00Z */

static inline weir_trace_context sample_context(void)
{
    weir_trace_context const context = {
        .trace_id = {0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e,
                     0x0e, 0x47, 0x36},
        .span_id = {0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7},
        .flags = WEIR_TRACE_SAMPLED,
    };
    return context;
}

/* A root that took 1.5 ms. */
static inline weir_span_data sample_span(const char *name)
{
    weir_span_data const span = {
        .context = sample_context(),
        .kind = WEIR_SPAN_INTERNAL,
        .status = WEIR_SPAN_UNSET,
        .status_message = "",
        .name = name,
        .start_ns = SAMPLE_START_NS,
        .end_ns = SAMPLE_START_NS + 1500000,
    };
    return span;
}

/* Of spans that live as long as it does. */
static inline weir_span_batch sample_batch(const weir_span_data *const *spans, size_t count)
{
    static weir_attribute resource[1];
    resource[0] = weir_attribute_string("service.name", "shop");
    weir_span_batch const batch = {
        .spans = spans,
        .count = count,
        .resource = resource,
        .resource_count = 1,
        .scope_name = "http",
        .scope_version = "1.2",
    };
    return batch;
}

#define SAMPLE_OPEN                                                                                \
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"     \
    "\"stringValue\":\"shop\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"http\","                  \
    "\"version\":\"1.2\"},\"spans\":["
#define SAMPLE_CLOSE "]}]}]}"
/* sample_span(name) as OTLP has it. */
#define SAMPLE_SPAN(name)                                                                          \
    "{\"traceId\":\"" SAMPLE_TRACE_ID "\",\"spanId\":\"" SAMPLE_SPAN_ID                            \
    "\",\"flags\":257,\"name\":\"" name                                                            \
    "\",\"kind\":1,\"startTimeUnixNano\":\"1544712660000000000\",\"endTimeUnixNano\":"             \
    "\"1544712660001500000\",\"status\":{}}"

#endif

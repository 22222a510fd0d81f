/* Finished spans, made by hand, and given to an exporter in batches. */
#ifndef WEIR_TEST_MADE_SPANS_H
#define WEIR_TEST_MADE_SPANS_H

#include <weir/trace.h>

typedef struct made_answer {
    unsigned count; /* How often it was answered. */
    int result;
    size_t rejected;
} made_answer;

static inline void made_done(void *token, int result, size_t rejected)
{
    made_answer *const answer = token;
    answer->count++;
    answer->result = result;
    answer->rejected = rejected;
}

/* Span `id` of trace `trace`, below `parent`, 0 = none; from start_ns for duration_ns. */
static inline weir_span_data made_span(uint8_t trace, uint8_t id, uint8_t parent, const char *name,
                                       uint64_t start_ns, uint64_t duration_ns)
{
    weir_span_data span = {.name = name,
                           .kind = WEIR_SPAN_SERVER,
                           .status_message = "",
                           .start_ns = start_ns,
                           .end_ns = start_ns + duration_ns};
    span.context.trace_id[0] = trace;
    span.context.span_id[7] = id;
    span.context.flags = WEIR_TRACE_SAMPLED;
    span.parent_id[7] = parent;
    return span;
}

/* As one batch, of the service `service`; NULL = it does not say. */
static inline made_answer made_export(weir_span_exporter exporter, const char *service,
                                      const weir_span_data *spans, size_t count)
{
    const weir_span_data *list[64];
    weir_attribute const name = weir_attribute_string("service.name", service);
    made_answer answer = {0, -100, 0};
    for (size_t i = 0; i < count; i++)
        list[i] = &spans[i];
    weir_span_batch const batch = {.spans = list,
                                   .count = count,
                                   .resource = &name,
                                   .resource_count = service != NULL,
                                   .scope_name = "",
                                   .scope_version = ""};
    exporter.export_spans(exporter.self, &batch, UINT64_MAX, made_done, &answer);
    return answer;
}

#endif

/* Spans, as who makes them sees them. */
#include "tracer/tracer.h"

#include "base/ot.h"

#include <string.h>

static const weir_span_options span_defaults = WEIR_SPAN_OPTIONS_INIT;

/* Of a caller that knows fewer options, or more. */
static WEIR__APART const weir_span_options *span_load(const weir_span_options *options,
                                                      weir_span_options *loaded)
{
    *loaded = span_defaults;
    return weir__options_load(loaded, sizeof *loaded, options, options->struct_size) == WEIR_OK
               ? loaded
               : &span_defaults;
}

/* The context is the tracestate's owner, as far as there is one. */
static WEIR__APART void span_set_state(weir_span *span, const char *state)
{
    size_t const size = strlen(state);
    if (size >= sizeof span->state)
        return;
    memcpy(span->state, state, size + 1);
    span->context.state = span->state;
}

static WEIR__APART void span_set_threshold(weir_span *span, const char *state, uint64_t threshold)
{
    weir__ot_write(span->state, state, threshold);
    span->context.state = span->state[0] != '\0' ? span->state : NULL;
}

static void span_settle_state(weir_span *span, const char *state,
                              const weir_sampling_result *result)
{
    bool const sampled = result->decision == WEIR_SAMPLING_SAMPLE;
    uint64_t const threshold = sampled ? result->threshold : WEIR_SAMPLING_UNKNOWN;
    bool const has_state = state != NULL && state[0] != '\0';
    if (result->threshold == WEIR_SAMPLING_INHERIT) {
        if (has_state)
            span_set_state(span, state);
    } else if (threshold < WEIR__OT_COUNT || has_state) {
        span_set_threshold(span, state, threshold);
    }
}

static weir_sampling_result span_sample(const weir_span *span, const weir_sampling *sampling,
                                        const weir_trace_context *parent, const char *name,
                                        const weir_span_options *options)
{
    weir_sampling_result result = {WEIR_SAMPLING_DROP, WEIR_SAMPLING_UNKNOWN};
    weir_sampling_request const request = {
        .parent = parent,
        .trace_id = span->context.trace_id,
        .random = (span->context.flags & WEIR_TRACE_RANDOM) != 0,
        .name = name,
        .kind = options->kind,
        .attributes = options->attributes,
        .attribute_count = options->attribute_count,
        .now_ns = options->start_ns,
    };
    sampling->decide(sampling->self, &request, &result);
    return result;
}

static void span_fill(weir_span *span, weir__span_record *record, const weir_trace_context *parent,
                      const char *name, const weir_span_options *options)
{
    weir_span_data *const data = &record->data;
    data->kind = options->kind;
    if (parent != NULL) {
        memcpy(data->parent_id, parent->span_id, sizeof data->parent_id);
        data->parent_remote = parent->remote;
    }
    if (span->context.state != NULL)
        data->context.state =
            weir__span_record_text(record, span->context.state, strlen(span->context.state));
    const char *const copy = weir__span_record_text(record, name, strlen(name));
    if (copy != NULL)
        data->name = copy;
    weir__span_record_set(record, options->attributes, options->attribute_count);
    for (size_t i = 0; i < options->link_count; i++)
        weir__span_record_link(record, &options->links[i]);
}

static WEIR__APART void span_record(weir_span *span, weir_tracer *tracer,
                                    const weir_trace_context *parent, const char *name,
                                    const weir_span_options *options)
{
    bool const sampled = (span->context.flags & WEIR_TRACE_SAMPLED) != 0;
    if (tracer->options.exporter.export_spans == NULL ||
        atomic_load_explicit(&tracer->closed, memory_order_relaxed))
        return;
    weir__span_record *const record = weir__span_record_take(tracer);
    if (record == NULL) {
        weir__tracer_drop(tracer, WEIR_SPAN_DROP_NO_RECORD, sampled, WEIR_OK);
        return;
    }
    weir__span_record_begin(record, &span->context);
    record->exported = sampled;
    record->start_ns = options->start_ns != 0 ? options->start_ns : weir__now_ns(&tracer->env);
    record->wall_offset_ns = atomic_load_explicit(&tracer->wall_offset_ns, memory_order_relaxed);
    span_fill(span, record, parent, name, options);
    span->generation = atomic_load_explicit(&record->generation, memory_order_relaxed) + 1;
    atomic_store_explicit(&record->generation, span->generation, memory_order_relaxed);
    span->record = record;
}

static void span_pass_on(weir_span *span, const weir_trace_context *parent)
{
    if (parent == NULL)
        return;
    span->context = *parent;
    span->context.state = NULL;
    if (parent->state != NULL)
        span_set_state(span, parent->state);
}

static inline void span_new_ids(weir_span *span, weir_tracer *tracer,
                                const weir_trace_context *parent)
{
    weir_trace_context *const context = &span->context;
    uint64_t const number = weir__tracer_number(tracer);
    uint64_t const id = weir__mix64(tracer->id_seeds[0] + number);
    memcpy(context->span_id, &id, sizeof id);
    context->span_id[0] |= (uint8_t)(id == 0); /* One of 2^64 is, and may not be. */
    if (parent == NULL) {
        context->flags = WEIR_TRACE_RANDOM;
        weir__tracer_new_trace(tracer, number, context->trace_id);
        return;
    }
    memcpy(context->trace_id, parent->trace_id, sizeof parent->trace_id);
    context->flags = parent->flags & WEIR_TRACE_RANDOM;
    context->debug = parent->debug;
}

void weir_span_start(weir_span *span, weir_tracer *tracer, const char *name,
                     const weir_span_options *options)
{
    weir_span_options loaded;
    if (options == NULL)
        options = &span_defaults;
    else if (WEIR__UNLIKELY(options->struct_size != sizeof *options))
        options = span_load(options, &loaded);
    const weir_trace_context *const given = options->parent;
    const weir_trace_context *const parent =
        given != NULL && weir_trace_context_valid(given) ? given : NULL;
    if (name == NULL)
        name = "";
    memset(&span->context, 0, sizeof span->context);
    span->record = NULL;
    span->generation = 0;
    if (tracer == NULL) {
        span_pass_on(span, parent);
        return;
    }
    span_new_ids(span, tracer, parent);
    weir_sampling_result result = {WEIR_SAMPLING_SAMPLE, WEIR_SAMPLING_INHERIT};
    if (tracer->options.sampling.decide != NULL)
        result = span_sample(span, &tracer->options.sampling, parent, name, options);
    span_settle_state(span, parent != NULL ? parent->state : NULL, &result);
    if (result.decision == WEIR_SAMPLING_SAMPLE)
        span->context.flags |= WEIR_TRACE_SAMPLED;
    if (result.decision != WEIR_SAMPLING_DROP)
        span_record(span, tracer, parent, name, options);
}

/* The record, while it is this span's. */
static inline weir__span_record *span_record_of(const weir_span *span)
{
    weir__span_record *const record = span->record;
    return record != NULL && atomic_load_explicit(&record->generation, memory_order_relaxed) ==
                                 span->generation
               ? record
               : NULL;
}

bool weir_span_recording(const weir_span *span)
{
    return span_record_of(span) != NULL;
}

void weir_span_set(weir_span *span, const weir_attribute *attributes, size_t count)
{
    weir__span_record *const record = span_record_of(span);
    if (record != NULL)
        weir__span_record_set(record, attributes, count);
}

/* Never before the span's own start: the clock may have stepped back. */
static uint64_t span_wall_ns(const weir__span_record *record, uint64_t now_ns)
{
    return (now_ns > record->start_ns ? now_ns : record->start_ns) + record->wall_offset_ns;
}

void weir_span_add_event(weir_span *span, const weir_span_event *event)
{
    weir__span_record *const record = span_record_of(span);
    if (record == NULL)
        return;
    uint64_t const at_ns = event->at_ns != 0 ? event->at_ns : weir__now_ns(&record->tracer->env);
    weir__span_record_event(record, event, at_ns + record->wall_offset_ns);
}

void weir_span_add_link(weir_span *span, const weir_span_link *link)
{
    weir__span_record *const record = span_record_of(span);
    if (record != NULL)
        weir__span_record_link(record, link);
}

void weir_span_set_status(weir_span *span, weir_span_status status, const char *message)
{
    weir__span_record *const record = span_record_of(span);
    if (record == NULL || record->data.status == WEIR_SPAN_OK ||
        (status != WEIR_SPAN_OK && status != WEIR_SPAN_ERROR))
        return;
    record->data.status = status;
    record->data.status_message = "";
    if (status == WEIR_SPAN_OK || message == NULL)
        return;
    const char *const copy = weir__span_record_text(record, message, strlen(message));
    if (copy != NULL)
        record->data.status_message = copy;
}

void weir_span_set_name(weir_span *span, const char *name)
{
    weir__span_record *const record = span_record_of(span);
    if (record == NULL || name == NULL)
        return;
    const char *const copy = weir__span_record_text(record, name, strlen(name));
    if (copy != NULL)
        record->data.name = copy;
}

/* One end of all is the first, whoever has a copy of the span. */
static weir__span_record *span_take_record(weir_span *span)
{
    weir__span_record *const record = span->record;
    uint64_t generation = span->generation;
    if (record == NULL ||
        !atomic_compare_exchange_strong_explicit(&record->generation, &generation, generation + 1,
                                                 memory_order_acquire, memory_order_relaxed))
        return NULL;
    return record;
}

static void span_finish(weir__span_record *record, uint64_t now_ns)
{
    record->data.start_ns = record->start_ns + record->wall_offset_ns;
    record->data.end_ns = span_wall_ns(record, now_ns);
    if (record->exported)
        weir__tracer_enqueue(record->tracer, record, now_ns);
    else
        weir__span_record_give(record);
}

void weir_span_end_at(weir_span *span, uint64_t now_ns)
{
    weir__span_record *const record = span_take_record(span);
    if (record != NULL)
        span_finish(record, now_ns);
}

void weir_span_end(weir_span *span)
{
    weir__span_record *const record = span_take_record(span);
    if (record != NULL)
        span_finish(record, weir__now_ns(&record->tracer->env));
}

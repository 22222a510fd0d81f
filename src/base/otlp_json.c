#include "base/otlp_json.h"

#define OTLP_REMOTE_KNOWN 0x100U /* SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK */
#define OTLP_REMOTE       0x200U /* SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK */

/* ---- Values ---- */

void weir__otlp_hex(weir__text *out, const uint8_t *bytes, size_t count)
{
    weir__text_str(out, "\"");
    weir__text_hex(out, bytes, count);
    weir__text_str(out, "\"");
}

void weir__otlp_u64(weir__text *out, uint64_t value)
{
    weir__text_str(out, "\"");
    weir__text_u64(out, value);
    weir__text_str(out, "\"");
}

void weir__otlp_i64(weir__text *out, int64_t value)
{
    weir__text_str(out, value < 0 ? "\"-" : "\"");
    weir__text_u64(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    weir__text_str(out, "\"");
}

void weir__otlp_double(weir__text *out, double value)
{
    if (value - value == 0)
        weir__text_double(out, value);
    else
        weir__text_str(out, value > 0 ? "\"Infinity\"" : value < 0 ? "\"-Infinity\"" : "\"NaN\"");
}

/* RFC 4648, section 4. */
static void otlp_base64(weir__text *out, const uint8_t *bytes, size_t size)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    weir__text_str(out, "\"");
    for (size_t i = 0; i < size; i += 3) {
        size_t const left = size - i;
        uint32_t const group = (uint32_t)bytes[i] << 16 |
                               (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                               (left > 2 ? (uint32_t)bytes[i + 2] : 0);
        char const quad[4] = {letters[group >> 18], letters[group >> 12 & 63],
                              letters[left > 1 ? group >> 6 & 63 : 64],
                              letters[left > 2 ? group & 63 : 64]};
        weir__text_bytes(out, quad, 4);
    }
    weir__text_str(out, "\"");
}

static void otlp_string(weir__text *out, const char *text, size_t size)
{
    weir__text_str(out, "{\"stringValue\":");
    weir__text_json(out, text, size);
    weir__text_str(out, "}");
}

static void otlp_bool(weir__text *out, bool value)
{
    weir__text_str(out, value ? "{\"boolValue\":true}" : "{\"boolValue\":false}");
}

static void otlp_int(weir__text *out, int64_t value)
{
    weir__text_str(out, "{\"intValue\":");
    weir__otlp_i64(out, value);
    weir__text_str(out, "}");
}

static void otlp_real(weir__text *out, double value)
{
    weir__text_str(out, "{\"doubleValue\":");
    weir__otlp_double(out, value);
    weir__text_str(out, "}");
}

static void otlp_element(weir__text *out, const weir_attribute *array, size_t i)
{
    if (array->type == WEIR_ATTRIBUTE_BOOLS)
        otlp_bool(out, array->as.booleans[i]);
    else if (array->type == WEIR_ATTRIBUTE_INTS)
        otlp_int(out, array->as.integers[i]);
    else if (array->type == WEIR_ATTRIBUTE_DOUBLES)
        otlp_real(out, array->as.reals[i]);
    else if (array->as.strings[i] != NULL)
        otlp_string(out, array->as.strings[i], strlen(array->as.strings[i]));
    else
        weir__text_str(out, "{}"); /* How a null in an array is said. */
}

static void otlp_value(weir__text *out, const weir_attribute *attribute)
{
    switch (attribute->type) {
    case WEIR_ATTRIBUTE_STRING: otlp_string(out, attribute->as.string, attribute->count); return;
    case WEIR_ATTRIBUTE_BOOL: otlp_bool(out, attribute->as.boolean); return;
    case WEIR_ATTRIBUTE_INT: otlp_int(out, attribute->as.integer); return;
    case WEIR_ATTRIBUTE_DOUBLE: otlp_real(out, attribute->as.real); return;
    case WEIR_ATTRIBUTE_BYTES:
        weir__text_str(out, "{\"bytesValue\":");
        otlp_base64(out, attribute->as.bytes, attribute->count);
        weir__text_str(out, "}");
        return;
    case WEIR_ATTRIBUTE_STRINGS:
    case WEIR_ATTRIBUTE_BOOLS:
    case WEIR_ATTRIBUTE_INTS:
    case WEIR_ATTRIBUTE_DOUBLES: break;
    }
    weir__text_str(out, "{\"arrayValue\":{\"values\":[");
    for (size_t i = 0; i < attribute->count; i++) {
        weir__text_str(out, i > 0 ? "," : "");
        otlp_element(out, attribute, i);
    }
    weir__text_str(out, "]}}");
}

void weir__otlp_attributes(weir__text *out, const weir_attribute *attributes, size_t count)
{
    weir__text_str(out, "[");
    for (size_t i = 0; i < count; i++) {
        weir__text_str(out, i > 0 ? ",{\"key\":" : "{\"key\":");
        weir__text_json(out, attributes[i].key, strlen(attributes[i].key));
        weir__text_str(out, ",\"value\":");
        otlp_value(out, &attributes[i]);
        weir__text_str(out, "}");
    }
    weir__text_str(out, "]");
}

/* ---- Members ---- */

static void otlp_member_text(weir__text *out, const char *name, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    weir__text_str(out, name);
    weir__text_json(out, text, strlen(text));
}

static void otlp_member_count(weir__text *out, const char *name, uint32_t count)
{
    if (count == 0)
        return;
    weir__text_str(out, name);
    weir__text_u64(out, count);
}

static void otlp_member_attributes(weir__text *out, const weir_attribute *attributes, size_t count,
                                   uint32_t dropped)
{
    if (count > 0) {
        weir__text_str(out, ",\"attributes\":");
        weir__otlp_attributes(out, attributes, count);
    }
    otlp_member_count(out, ",\"droppedAttributesCount\":", dropped);
}

static void otlp_member_flags(weir__text *out, uint8_t flags, bool remote)
{
    weir__text_str(out, ",\"flags\":");
    weir__text_u64(out, flags | OTLP_REMOTE_KNOWN | (remote ? OTLP_REMOTE : 0));
}

/* The beginning of a span, and of a link. */
static void otlp_ids(weir__text *out, const weir_trace_context *context)
{
    weir__text_str(out, "{\"traceId\":");
    weir__otlp_hex(out, context->trace_id, sizeof context->trace_id);
    weir__text_str(out, ",\"spanId\":");
    weir__otlp_hex(out, context->span_id, sizeof context->span_id);
    otlp_member_text(out, ",\"traceState\":", context->state);
}

/* ---- Spans ---- */

static void otlp_event(weir__text *out, const weir_span_event *event)
{
    weir__text_str(out, "{\"timeUnixNano\":");
    weir__otlp_u64(out, event->at_ns);
    otlp_member_text(out, ",\"name\":", event->name);
    otlp_member_attributes(out, event->attributes, event->attribute_count,
                           event->dropped_attributes);
    weir__text_str(out, "}");
}

static void otlp_link(weir__text *out, const weir_span_link *link)
{
    otlp_ids(out, &link->context);
    otlp_member_flags(out, link->context.flags, link->context.remote);
    otlp_member_attributes(out, link->attributes, link->attribute_count, link->dropped_attributes);
    weir__text_str(out, "}");
}

static void otlp_events_and_links(weir__text *out, const weir_span_data *span)
{
    for (size_t i = 0; i < span->event_count; i++) {
        weir__text_str(out, i > 0 ? "," : ",\"events\":[");
        otlp_event(out, &span->events[i]);
    }
    weir__text_str(out, span->event_count > 0 ? "]" : "");
    otlp_member_count(out, ",\"droppedEventsCount\":", span->dropped_events);
    for (size_t i = 0; i < span->link_count; i++) {
        weir__text_str(out, i > 0 ? "," : ",\"links\":[");
        otlp_link(out, &span->links[i]);
    }
    weir__text_str(out, span->link_count > 0 ? "]" : "");
    otlp_member_count(out, ",\"droppedLinksCount\":", span->dropped_links);
}

void weir__otlp_span(weir__text *out, const weir_span_data *span)
{
    static const uint8_t root[8] = {0};
    otlp_ids(out, &span->context);
    if (memcmp(span->parent_id, root, sizeof root) != 0) {
        weir__text_str(out, ",\"parentSpanId\":");
        weir__otlp_hex(out, span->parent_id, sizeof span->parent_id);
    }
    otlp_member_flags(out, span->context.flags, span->parent_remote);
    otlp_member_text(out, ",\"name\":", span->name);
    otlp_member_count(out, ",\"kind\":", (uint32_t)span->kind);
    weir__text_str(out, ",\"startTimeUnixNano\":");
    weir__otlp_u64(out, span->start_ns);
    weir__text_str(out, ",\"endTimeUnixNano\":");
    weir__otlp_u64(out, span->end_ns);
    otlp_member_attributes(out, span->attributes, span->attribute_count, span->dropped_attributes);
    otlp_events_and_links(out, span);
    weir__text_str(out, ",\"status\":{");
    if (span->status != WEIR_SPAN_UNSET) {
        weir__text_str(out, "\"code\":");
        weir__text_u64(out, (uint64_t)span->status);
        otlp_member_text(out, ",\"message\":", span->status_message);
    }
    weir__text_str(out, "}}");
}

/* ---- Envelopes ---- */

void weir__otlp_open(weir__text *out, const weir_span_batch *who, const char *scopes,
                     const char *items)
{
    weir__text_str(out, "{\"resource\":{\"attributes\":");
    weir__otlp_attributes(out, who->resource, who->resource_count);
    weir__text_format(out, "},\"%s\":[{\"scope\":{", scopes);
    size_t const before = out->size;
    otlp_member_text(out, "\"name\":", who->scope_name);
    otlp_member_text(out,
                     out->size > before ? ",\"version\":" : "\"version\":", who->scope_version);
    weir__text_format(out, "},\"%s\":[", items);
}

void weir__otlp_close(weir__text *out)
{
    weir__text_str(out, "]}]}");
}

void weir__otlp_open_spans(weir__text *out, const weir_span_batch *batch)
{
    weir__text_str(out, "{\"resourceSpans\":[");
    weir__otlp_open(out, batch, "scopeSpans", "spans");
}

void weir__otlp_close_spans(weir__text *out)
{
    weir__otlp_close(out);
    weir__text_str(out, "]}");
}

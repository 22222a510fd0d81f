/*
 * OTLP's JSON (OpenTelemetry Protocol, "JSON Protobuf Encoding") of what weir/trace.h has: ids are
 * hex, 64-bit integers strings, enums numbers, and what has protobuf's default value is left out.
 */
#ifndef WEIR_SRC_OTLP_JSON_H
#define WEIR_SRC_OTLP_JSON_H

#include <weir/trace.h>

#include "base/text.h"

/* [{"key":..,"value":{..}},...] */
void weir__otlp_attributes(weir__text *out, const weir_attribute *attributes, size_t count);
void weir__otlp_hex(weir__text *out, const uint8_t *bytes, size_t count); /* With its quotes. */
void weir__otlp_u64(weir__text *out, uint64_t value);                     /* With its quotes. */
void weir__otlp_i64(weir__text *out, int64_t value);                      /* With its quotes. */
void weir__otlp_double(weir__text *out, double value); /* A number, or "NaN", "-Infinity". */

/* {"resource":..,"<scopes>":[{"scope":..,"<items>":[ and what closes it. */
void weir__otlp_open(weir__text *out, const weir_span_batch *who, const char *scopes,
                     const char *items);
void weir__otlp_close(weir__text *out);

/* A request: its beginning, spans with commas between, its end. */
void weir__otlp_open_spans(weir__text *out, const weir_span_batch *batch);
void weir__otlp_span(weir__text *out, const weir_span_data *span);
void weir__otlp_close_spans(weir__text *out);

#endif

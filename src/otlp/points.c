/*
 * Metrics as OTLP's JSON has them: an envelope, in it the families, in each its points. What would
 * make a request too long begins another one, with an envelope and a family of its own.
 */
#include "otlp/otlp.h"

#include "base/otlp_json.h"

#include <string.h>

#define POINTS_CLOSING (sizeof "]}}]}]}]}" - 1) /* Of a family and of the envelope. */

typedef struct points_writer {
    weir__otlp_job *job;
    const weir_span_batch *who;
    uint64_t max_bytes;
    size_t start;   /* Of this part. */
    uint64_t items; /* Of this part. */
    bool in_family; /* Its head is in this part. */
} points_writer;

/* ---- Parts of a point ---- */

static void points_labels(weir__text *out, const weir_metrics_point *point)
{
    if (point->label_count == 1 && strcmp(point->labels[0].key, "otel.metric.overflow") == 0) {
        weir_attribute const overflow = weir_attribute_bool(point->labels[0].key, true);
        weir__otlp_attributes(out, &overflow, 1); /* OpenTelemetry has it as a bool. */
        return;
    }
    weir__text_str(out, "[");
    for (size_t i = 0; i < point->label_count; i++) {
        const weir_label *const label = &point->labels[i];
        weir__text_str(out, i > 0 ? ",{\"key\":" : "{\"key\":");
        weir__text_json(out, label->key, strlen(label->key));
        weir__text_str(out, ",\"value\":{\"stringValue\":");
        weir__text_json(out, label->value, strlen(label->value));
        weir__text_str(out, "}}");
    }
    weir__text_str(out, "]");
}

static void points_double(weir__text *out, const char *name, double value)
{
    weir__text_str(out, name);
    weir__otlp_double(out, value);
}

static void points_u64(weir__text *out, const char *name, uint64_t value)
{
    weir__text_str(out, name);
    weir__otlp_u64(out, value);
}

static void points_i32(weir__text *out, const char *name, int32_t value)
{
    weir__text_format(out, "%s%ld", name, (long)value);
}

static void points_counts(weir__text *out, const uint64_t *counts, size_t count)
{
    weir__text_str(out, "[");
    for (size_t i = 0; i < count; i++)
        points_u64(out, i > 0 ? "," : "", counts[i]);
    weir__text_str(out, "]");
}

static void points_exemplars(weir__text *out, const weir_metrics_point *point)
{
    for (size_t i = 0; i < point->exemplar_count; i++) {
        const weir_metrics_exemplar *const exemplar = &point->exemplars[i];
        weir__text_str(out, i > 0 ? ",{" : ",\"exemplars\":[{");
        points_u64(out, "\"timeUnixNano\":", exemplar->time_ns);
        points_double(out, ",\"asDouble\":", exemplar->value);
        weir__text_str(out, ",\"spanId\":");
        weir__otlp_hex(out, exemplar->span_id, sizeof exemplar->span_id);
        weir__text_str(out, ",\"traceId\":");
        weir__otlp_hex(out, exemplar->trace_id, sizeof exemplar->trace_id);
        weir__text_str(out, "}");
    }
    weir__text_str(out, point->exemplar_count > 0 ? "]" : "");
}

/* What histograms and summaries begin with. */
static void points_count(weir__text *out, const weir_metrics_point *point)
{
    points_u64(out, ",\"count\":", point->count);
    points_double(out, ",\"sum\":", point->sum);
}

static void points_range(weir__text *out, const weir_metrics_point *point)
{
    if (point->count == 0)
        return;
    points_double(out, ",\"min\":", point->min);
    points_double(out, ",\"max\":", point->max);
}

/* ---- Points ---- */

static void points_histogram(weir__text *out, const weir_metrics_point *point)
{
    points_count(out, point);
    weir__text_str(out, ",\"bucketCounts\":");
    points_counts(out, point->buckets, point->bucket_count);
    weir__text_str(out, ",\"explicitBounds\":[");
    for (size_t i = 0; i < point->bound_count; i++)
        points_double(out, i > 0 ? "," : "", point->bounds[i]);
    weir__text_str(out, "]");
    points_range(out, point);
}

static void points_exponential(weir__text *out, const weir_metrics_point *point)
{
    points_count(out, point);
    points_i32(out, ",\"scale\":", point->scale);
    points_u64(out, ",\"zeroCount\":", point->zero_count);
    points_i32(out, ",\"positive\":{\"offset\":", point->offset);
    weir__text_str(out, ",\"bucketCounts\":");
    points_counts(out, point->buckets, point->bucket_count);
    weir__text_str(out, "}");
    points_range(out, point);
}

static void points_summary(weir__text *out, const weir_metrics_point *point)
{
    points_count(out, point);
    weir__text_str(out, ",\"quantileValues\":[");
    for (size_t i = 0; i < point->quantile_count; i++) {
        points_double(out,
                      i > 0 ? ",{\"quantile\":" : "{\"quantile\":", point->quantiles[i].quantile);
        points_double(out, ",\"value\":", point->quantiles[i].value);
        weir__text_str(out, "}");
    }
    weir__text_str(out, "]");
}

static void points_number(weir__text *out, const weir_metrics_view *family,
                          const weir_metrics_point *point)
{
    if (family->kind != WEIR_METRICS_GAUGE && family->number == WEIR_METRICS_INT) {
        weir__text_str(out, ",\"asInt\":");
        weir__otlp_i64(out, point->integer);
    } else {
        points_double(out, ",\"asDouble\":", point->value);
    }
}

static void points_point(weir__text *out, const weir_metrics_view *family,
                         const weir_metrics_point *point)
{
    weir__text_str(out, "{\"attributes\":");
    points_labels(out, point);
    points_u64(out, ",\"startTimeUnixNano\":", point->start_ns);
    points_u64(out, ",\"timeUnixNano\":", point->time_ns);
    switch (family->kind) {
    case WEIR_METRICS_COUNTER:
    case WEIR_METRICS_UPDOWN:
    case WEIR_METRICS_GAUGE: points_number(out, family, point); break;
    case WEIR_METRICS_HISTOGRAM: points_histogram(out, point); break;
    case WEIR_METRICS_EXPONENTIAL: points_exponential(out, point); break;
    case WEIR_METRICS_SUMMARY: points_summary(out, point); break;
    }
    points_exemplars(out, point);
    weir__text_str(out, "}");
}

/* ---- Families ---- */

/* AGGREGATION_TEMPORALITY_CUMULATIVE is 2. */
static const char *points_kind(weir_metrics_kind kind)
{
    switch (kind) {
    case WEIR_METRICS_COUNTER:
        return "\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,\"dataPoints\":[";
    case WEIR_METRICS_UPDOWN: return "\"sum\":{\"aggregationTemporality\":2,\"dataPoints\":[";
    case WEIR_METRICS_HISTOGRAM:
        return "\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[";
    case WEIR_METRICS_EXPONENTIAL:
        return "\"exponentialHistogram\":{\"aggregationTemporality\":2,\"dataPoints\":[";
    case WEIR_METRICS_SUMMARY: return "\"summary\":{\"dataPoints\":[";
    case WEIR_METRICS_GAUGE: break;
    }
    return "\"gauge\":{\"dataPoints\":[";
}

static void points_open_family(weir__text *out, const weir_metrics_view *family)
{
    weir__text_str(out, "{\"name\":");
    weir__text_json(out, family->name, strlen(family->name));
    weir__text_str(out, ",");
    if (family->help[0] != '\0') {
        weir__text_str(out, "\"description\":");
        weir__text_json(out, family->help, strlen(family->help));
        weir__text_str(out, ",");
    }
    if (family->unit[0] != '\0') {
        weir__text_str(out, "\"unit\":");
        weir__text_json(out, family->unit, strlen(family->unit));
        weir__text_str(out, ",");
    }
    weir__text_str(out, points_kind(family->kind));
}

static void points_close_family(points_writer *writer)
{
    if (writer->in_family)
        weir__text_str(&writer->job->body, "]}}");
    writer->in_family = false;
}

/* ---- Requests ---- */

static void points_close_part(points_writer *writer)
{
    weir__text *const body = &writer->job->body;
    if (writer->items == 0)
        return;
    points_close_family(writer);
    weir__otlp_close_spans(body);
    if (!weir__otlp_job_end_part(writer->job, writer->items))
        body->failed = true;
    writer->start = body->size;
    writer->items = 0;
}

/* False: it has no room in this part, or there is no memory; nothing is changed. */
static bool points_add(points_writer *writer, const weir_metrics_view *family,
                       const weir_metrics_point *point)
{
    weir__text *const body = &writer->job->body;
    size_t const before = body->size;
    if (writer->items == 0) {
        weir__text_str(body, "{\"resourceMetrics\":[");
        weir__otlp_open(body, writer->who, "scopeMetrics", "metrics");
    }
    if (writer->items > 0)
        weir__text_str(body, ",");
    if (!writer->in_family)
        points_open_family(body, family);
    points_point(body, family, point);
    if (!weir__text_ok(body))
        return false;
    if (body->size - writer->start + POINTS_CLOSING > writer->max_bytes) {
        weir__text_cut(body, before);
        return false;
    }
    writer->in_family = true;
    writer->items++;
    return true;
}

static void points_on_point(const weir_metrics_view *family, const weir_metrics_point *point,
                            void *user)
{
    points_writer *const writer = user;
    writer->job->items++;
    if (points_add(writer, family, point))
        return;
    if (writer->items > 0) {
        points_close_part(writer);
        if (points_add(writer, family, point))
            return;
    }
    writer->job->refused++;
}

static void points_on_end(const weir_metrics_view *family, void *user)
{
    (void)family;
    points_close_family(user);
}

int weir__otlp_job_metrics(weir__otlp_job *job, weir_metrics *metrics, const weir_span_batch *who,
                           uint64_t max_bytes)
{
    weir_metrics_visitor const visitor = {NULL, points_on_point, points_on_end};
    points_writer writer = {.job = job, .who = who, .max_bytes = max_bytes};
    int const result = weir_metrics_collect(metrics, &visitor, &writer);
    points_close_part(&writer);
    return result == WEIR_OK && !weir__text_ok(&job->body) ? WEIR_ENOMEM : result;
}

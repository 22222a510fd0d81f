/**
 * @file weir/telemetry.h
 * Tracing and pushed metrics of a program as its environment asks for them: the OTEL_... variables
 * of the OpenTelemetry specification, put into a sampler, a tracer and exporters on a loop.
 *
 *   OTEL_TRACES_EXPORTER   otlp, console (stderr), none; not set: otlp if an endpoint is, else none
 *   OTEL_METRICS_EXPORTER  otlp, none (scraped alone); not set: as above
 *   OTEL_TRACES_SAMPLER    always_on, always_off, traceidratio, or one of these with parentbased_
 *                          before it; not set: parentbased_always_on
 *   OTEL_TRACES_SAMPLER_ARG         the ratio
 *   OTEL_PROPAGATORS       tracecontext, baggage, b3, b3multi, jaeger, none; not set: the first two
 *   OTEL_BSP_SCHEDULE_DELAY, OTEL_BSP_EXPORT_TIMEOUT             ms
 *   OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_MAX_EXPORT_BATCH_SIZE      spans
 *   OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT, OTEL_ATTRIBUTE_COUNT_LIMIT, OTEL_SPAN_EVENT_COUNT_LIMIT,
 *   OTEL_SPAN_LINK_COUNT_LIMIT, OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT, OTEL_LINK_ATTRIBUTE_COUNT_LIMIT,
 *   OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT, OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT
 *   and those of weir/otlp.h: OTEL_SDK_DISABLED, OTEL_SERVICE_NAME, endpoints, headers, ...
 *
 * An empty variable is as one that is not set; one that cannot be read, or names what is not there,
 * is told and ignored.
 *
 * Threads:    the tracer's, any; all else on the loop's thread.
 * Blocking:   never; but the console exporter writes on the loop's thread.
 * Allocation: in create; as its parts do.
 */
#ifndef WEIR_TELEMETRY_H
#define WEIR_TELEMETRY_H

#include <weir/loop.h>
#include <weir/metrics.h>
#include <weir/otlp.h>
#include <weir/tracer.h>

WEIR_BEGIN_DECLS

typedef struct weir_telemetry weir_telemetry;

/** Start from WEIR_TELEMETRY_OPTIONS_INIT. */
typedef struct weir_telemetry_options {
    size_t struct_size;      /**< Set by the macro; leave alone. */
    const char *scope_name;  /**< What makes the spans; copied; NULL = not told. */
    weir_otlp_source source; /**< Where variables are read; get NULL: getenv(). */
    /** What went wrong while exporting, in English: refused, or lost, which is added up and told
     * every 10 s at most. May be NULL. */
    void (*on_warning)(const char *message, void *user);
    void *user; /**< Passed to on_warning; borrowed. */
} weir_telemetry_options;

#define WEIR_TELEMETRY_OPTIONS_INIT                                                                \
    {                                                                                              \
        .struct_size = sizeof(weir_telemetry_options), .scope_name = NULL,                         \
        .source = {NULL, NULL, NULL}, .on_warning = NULL, .user = NULL                             \
    }

/**
 * Read the variables, and set up what they ask for. The environment is the loop's.
 *
 * @param loop     borrowed: outlives this.
 * @param options  NULL for all defaults.
 * @return WEIR_OK, also if nothing is asked for; WEIR_EINVAL; WEIR_ENOMEM; WEIR_ESYSTEM. A
 *         collector's address that cannot be used is told, and nothing is exported to it.
 */
WEIR_API WEIR_MUST_CHECK int weir_telemetry_create(weir_telemetry **out, weir_loop *loop,
                                                   const weir_telemetry_options *options);

/** Cancel what is under way, and free. NULL is allowed. No span of it may be in use; metrics that
 * it pushed may be gone, if the loop has not run since. */
WEIR_API void weir_telemetry_destroy(weir_telemetry *telemetry);

/** The tracer; NULL: nobody is to be told of spans. */
WEIR_API weir_tracer *weir_telemetry_tracer(const weir_telemetry *telemetry);

/** A sum of weir_propagation, as OTEL_PROPAGATORS says. */
WEIR_API unsigned weir_telemetry_formats(const weir_telemetry *telemetry);

/** Push these to the collector, if it is asked for. WEIR_OK, WEIR_ENOMEM or WEIR_ESYSTEM. */
WEIR_API WEIR_MUST_CHECK int weir_telemetry_push(weir_telemetry *telemetry, weir_metrics *metrics);

/**
 * Export what has ended, and metrics that are pushed once more, and record no more: before a
 * program ends.
 *
 * @param deadline_ns  on the loop's clock: it is over by then.
 * @param done         called once, on the loop's thread, and within if there is nothing to do:
 *                     WEIR_OK; WEIR_EFAILED: something was lost; WEIR_EDEADLINE. Not the place to
 *                     destroy it.
 * @return WEIR_OK; WEIR_ECLOSED: it was done before; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_telemetry_shutdown(weir_telemetry *telemetry,
                                                     uint64_t deadline_ns, weir_tracer_done_fn done,
                                                     void *user);

WEIR_END_DECLS

#endif

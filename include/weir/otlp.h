/**
 * @file weir/otlp.h
 * Exporter to an OpenTelemetry collector: OTLP/HTTP with JSON (OTLP specification 1.x), on a loop.
 *
 *   tracer --- batch ---> encoded at once ---> POST <endpoint>/v1/traces ---> 200: taken
 *                                               ^                     |       else: refused, why
 *                                               +-- 429 502 503 504 <-+
 *                                  Retry-After, backoff with jitter, no connection
 *
 *     weir_otlp_create(&otlp, loop, &options);
 *     tracer_options.exporter = weir_otlp_exporter(otlp);
 *     weir_otlp_export_metrics(otlp, metrics, NULL);       to <endpoint>/v1/metrics, each minute
 *
 * One request at a time of each signal; a batch over max_request_bytes goes out in several, one
 * after another. A partial success is a success: what was rejected is counted and told, and not
 * sent again. Nothing is sent for nothing. What goes wrong is told to on_warning, and to who gave
 * the batch.
 *
 * Endpoints are http:// with a numeric address, or "localhost", which is 127.0.0.1 here: no name
 * service is asked, and there is no TLS. Any other is refused by weir_otlp_create(), and
 * weir_otlp_options_error() says why. A collector elsewhere is reached by an agent on this machine.
 *
 * Texts that are not UTF-8 have U+FFFD where they are not; a number that is no JSON number is
 * "NaN", "Infinity" or "-Infinity".
 *
 * Threads:    the exporter's functions, any thread, as a tracer calls them; all else, and all
 *             callbacks, on the loop's thread. The tracer's clock must be the loop's.
 * Blocking:   never.
 * Allocation: per batch, for its text; per connection in the HTTP client.
 */
#ifndef WEIR_OTLP_H
#define WEIR_OTLP_H

#include <weir/http.h>
#include <weir/metrics.h>
#include <weir/trace.h>

WEIR_BEGIN_DECLS

typedef struct weir_otlp weir_otlp;

/** What is sent. */
typedef enum weir_otlp_signal {
    WEIR_OTLP_TRACES,
    WEIR_OTLP_METRICS,
} weir_otlp_signal;
#define WEIR_OTLP_SIGNALS 2

/** Of one signal, in place of what is said for all; zero-initialized: nothing. */
typedef struct weir_otlp_route {
    const char *endpoint;            /**< The URL as it is used; NULL = endpoint + "/v1/...". */
    const weir_http_header *headers; /**< NULL = those for all. */
    size_t header_count;             /**< 0..64. */
    uint32_t timeout_ms;             /**< 0 = that for all. */
} weir_otlp_route;

/** Something that is not as it should be, though exporting goes on. Valid during the call. */
typedef struct weir_otlp_warning {
    weir_otlp_signal signal;
    int error;           /**< WEIR_OK: the batch was taken, with `rejected` or a message. */
    int status;          /**< Of HTTP, or 0. */
    uint64_t rejected;   /**< Spans or data points that are lost by this. */
    const char *message; /**< The collector's words, or ours; never NULL. */
} weir_otlp_warning;

/** Start from WEIR_OTLP_OPTIONS_INIT, then change what you need. All is copied. */
typedef struct weir_otlp_options {
    size_t struct_size;              /**< Set by the macro; leave alone. */
    const char *endpoint;            /**< "http://<address>[:<port>][/path]"; without a port, 80. */
    const weir_http_header *headers; /**< Sent with every request. */
    size_t header_count;             /**< 0..64. */
    uint32_t timeout_ms;             /**< Of one request, >= 1. */
    weir_otlp_route traces;
    weir_otlp_route metrics;
    /** Before the k-th repetition: min(cap, base 2^k), each way by half of it at random; longer if
     * Retry-After says so. */
    uint64_t retry_base_ns;       /**< 1..retry_cap_ns. */
    uint64_t retry_cap_ns;        /**< Up to 2^56. */
    uint64_t retry_total_ns;      /**< From the first request to the last one's start, >= 1; never
                                      beyond the deadline of the export. */
    uint64_t max_request_bytes;   /**< 1024..2^32. A span that is larger by itself is rejected. */
    uint64_t max_response_bytes;  /**< 1024..2^32. */
    uint32_t metrics_interval_ms; /**< Between two exports of metrics, >= 1. */
    uint32_t metrics_timeout_ms;  /**< Of one, with its repetitions, >= 1. */
    /** Told on the loop's thread, or by weir_otlp_create() of what is wrong with the options. */
    void (*on_warning)(const weir_otlp_warning *warning, void *user);
    void *user; /**< Passed to on_warning; borrowed. */
} weir_otlp_options;

#define WEIR_OTLP_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(weir_otlp_options), .endpoint = "http://localhost:4318",             \
        .headers = NULL, .header_count = 0, .timeout_ms = 10000, .traces = {NULL, NULL, 0, 0},     \
        .metrics = {NULL, NULL, 0, 0}, .retry_base_ns = 5000000000, .retry_cap_ns = 30000000000,   \
        .retry_total_ns = 60000000000, .max_request_bytes = 67108864,                              \
        .max_response_bytes = 4194304, .metrics_interval_ms = 60000, .metrics_timeout_ms = 30000,  \
        .on_warning = NULL, .user = NULL                                                           \
    }

/** Of one signal, since create. */
typedef struct weir_otlp_stats {
    uint64_t batches;  /**< Given by a tracer, or by metrics. */
    uint64_t requests; /**< Begun, repetitions too. */
    uint64_t retries;  /**< Those that were repetitions. */
    uint64_t bytes;    /**< Of the bodies of all requests. */
    uint64_t taken;    /**< Spans or data points that the collector took. */
    uint64_t rejected; /**< By the collector, in partial successes. */
    uint64_t failed;   /**< Not taken for any other reason: see on_warning. */
} weir_otlp_stats;

/**
 * Create an exporter.
 *
 * @param out      receives the exporter, which the caller must destroy; NULL on failure.
 * @param loop     borrowed: outlives the exporter. Its environment is used.
 * @param options  NULL for all defaults.
 * @return WEIR_OK, WEIR_EINVAL, WEIR_ENOMEM or WEIR_ESYSTEM (no descriptor).
 */
WEIR_API WEIR_MUST_CHECK int weir_otlp_create(weir_otlp **out, weir_loop *loop,
                                              const weir_otlp_options *options);

/** Give up what is under way (its `done` is told WEIR_ECLOSED) and free. NULL is allowed. After the
 * tracer, before the loop, and not while another thread runs the loop. */
WEIR_API void weir_otlp_destroy(weir_otlp *otlp);

/** What is wrong with these options, in English, static; NULL: nothing. Any thread. */
WEIR_API const char *weir_otlp_options_error(const weir_otlp_options *options);

/**
 * The hook for a tracer. It ends an export with WEIR_OK, and how many spans were not taken; or,
 * if none was, with
 *   WEIR_EDEADLINE   no connection or no answer in time,
 *   WEIR_ESYSTEM     no connection, WEIR_ECLOSED: it broke, and there is no time for another try,
 *   WEIR_EFAILED     the collector refused it, or did until there was no time for another try:
 *                    its status and words are in the warning,
 *   WEIR_EPROTOCOL   what it said is not HTTP,
 *   WEIR_ETOOLARGE   its answer, or each span by itself, is over the limit,
 *   WEIR_EBUSY       the export before is not over, WEIR_ECLOSED: it is being destroyed,
 *   WEIR_ENOMEM.
 */
WEIR_API weir_span_exporter weir_otlp_exporter(weir_otlp *otlp);

/** Who counts: as in weir_span_batch; zero-initialized: not told. */
typedef struct weir_otlp_origin {
    const weir_attribute *resource;
    size_t resource_count;
    const char *scope_name;
    const char *scope_version;
} weir_otlp_origin;

/**
 * Export all metrics every metrics_interval_ms, for the first time after one. A time at which the
 * export before is not over is left out: values are cumulative, so the next one tells all.
 *
 * @param metrics  borrowed until the exporter is destroyed, or given others; NULL: no more.
 * @param origin   NULL: not told. What it points to is borrowed as long as `metrics`.
 * @return WEIR_OK or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_otlp_export_metrics(weir_otlp *otlp, weir_metrics *metrics,
                                                      const weir_otlp_origin *origin);

/**
 * Export them now, beside that: before the end of the program, say.
 *
 * @param done  called once, later, as for weir_otlp_exporter(), if WEIR_OK is returned; or NULL.
 * @return WEIR_OK; WEIR_EEMPTY: there is none, and nothing is sent; WEIR_EBUSY: an export is not
 *         over, or this is called by what metrics call; WEIR_EINVAL: there are no metrics to
 *         export; WEIR_ENOMEM.
 */
WEIR_API int weir_otlp_push_metrics(weir_otlp *otlp, weir_exported_fn done, void *token);

/** Counts of one signal. Any thread. */
WEIR_API void weir_otlp_get_stats(weir_otlp *otlp, weir_otlp_signal signal, weir_otlp_stats *out);

/* ---- Environment variables ---- */

/** Settings as environment variables give them; immutable. */
typedef struct weir_otlp_settings weir_otlp_settings;

/** Where they are read. */
typedef struct weir_otlp_source {
    /** The value of a variable, valid until the next call; NULL: not set. NULL: getenv(). */
    const char *(*get)(const char *name, void *user);
    /** Told of each one that is ignored, and why; `reason` is static. May be NULL. */
    void (*on_ignored)(const char *name, const char *value, const char *reason, void *user);
    void *user; /**< Passed to both. */
} weir_otlp_source;

/**
 * Read the variables of the OpenTelemetry specification:
 *
 *   OTEL_SDK_DISABLED                     "true", in any case, is true, and all else false
 *   OTEL_SERVICE_NAME                     the attribute service.name, whatever is in the next
 *   OTEL_RESOURCE_ATTRIBUTES              key=value, ... with percent-encoding
 *   OTEL_EXPORTER_OTLP_ENDPOINT           with /v1/traces, /v1/metrics behind it
 *   OTEL_EXPORTER_OTLP_HEADERS            key=value, ... with percent-encoding
 *   OTEL_EXPORTER_OTLP_TIMEOUT            ms
 *   OTEL_EXPORTER_OTLP_PROTOCOL           http/json; others are ignored
 *   OTEL_EXPORTER_OTLP_TRACES_..., OTEL_EXPORTER_OTLP_METRICS_...
 *                                         the last four, of one signal; the endpoint as it is
 *   OTEL_METRIC_EXPORT_INTERVAL           ms
 *   OTEL_METRIC_EXPORT_TIMEOUT            ms
 *
 * An empty one is as one that is not set. One that cannot be read is told and ignored, as is one
 * whose list has an entry that cannot be read: all of that list.
 *
 * @param out     receives the settings, which the caller must destroy; NULL on failure.
 * @param source  NULL: getenv(), and nobody is told.
 * @param env     memory; NULL for defaults; copied.
 * @return WEIR_OK, WEIR_EINVAL (env) or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_otlp_settings_read(weir_otlp_settings **out,
                                                     const weir_otlp_source *source,
                                                     const weir_env *env);

/** NULL is allowed. */
WEIR_API void weir_otlp_settings_destroy(weir_otlp_settings *settings);

/** Change what was set; strings are the settings', until they are destroyed. */
WEIR_API void weir_otlp_settings_apply(const weir_otlp_settings *settings,
                                       weir_otlp_options *options);

/**
 * Attributes of the program, for weir_tracer_options.resource: "service.name" ("unknown_service"
 * if nobody says), what OTEL_RESOURCE_ATTRIBUTES says, and "telemetry.sdk.name", ".language" and
 * ".version". They are the settings'.
 */
WEIR_API const weir_attribute *weir_otlp_settings_resource(const weir_otlp_settings *settings,
                                                           size_t *count);

/** OTEL_SDK_DISABLED: record nothing, export nothing; propagate all the same. */
WEIR_API bool weir_otlp_settings_disabled(const weir_otlp_settings *settings);

WEIR_END_DECLS

#endif

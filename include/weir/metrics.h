/**
 * @file weir/metrics.h
 * Metrics: counters, gauges, histograms and summaries with labels, in the meaning of the
 * OpenTelemetry data model, shown as Prometheus text 0.0.4, as OpenMetrics 1.0, or as values.
 *
 *   weir_metrics_family_create()   "http.server.request.duration", its unit, keys of its labels
 *        |
 *   weir_metrics_series_get()      values of the labels: once, for a handle that is kept
 *        |
 *   weir_metrics_add(), _set(), _record()        per event: no lock, no hash, no shared line
 *        |
 *   weir_metrics_prometheus(), _openmetrics(), _collect()        per scrape
 *
 * Every thread counts in a cell of its own, and what is shown is their sum: nothing is lost when
 * threads meet, when one ends, or when there are more than have cells of their own. All is
 * cumulative since the series began.
 *
 * A value that cannot be counted is refused and counted as such (weir_metrics_stats): NaN,
 * infinity, less than zero where the instrument only grows or measures sizes, a call that the
 * instrument does not have, a whole number beyond 64 bits.
 *
 * fork(): the child has its own copy, which goes on from what its parent had counted: clear the
 * families there, or start anew, if both are shown to the same reader. Of a value that another
 * thread of the parent was recording at that instant, the copy may have a part; and the cell of a
 * thread whose buckets were being joined just then begins at 0.
 *
 * Threads:    any function, any thread; destroy comes last. The recording functions are not for
 *             signal handlers.
 * Blocking:   recording never waits, but for a moment in threads beyond `threads`. The others take
 *             short mutexes. Scrapes wait for one another; of your code, observe callbacks and
 *             visitors run in them, with no lock held that another call needs.
 * Allocation: families and series are; so is the cell of a thread, at the first event that it
 *             counts in a series. If there is no memory for it, the event is counted in a shared
 *             cell. A cell has 88 bytes for a counter, 232 for a histogram with default buckets,
 *             1.4 KiB if exponential, 8.2 KiB for a summary. A series has one, some 250 bytes and
 *             8 a thread of `threads`, and one more cell for each thread that uses it.
 */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

#include <weir/trace.h>

WEIR_BEGIN_DECLS

typedef struct weir_metrics weir_metrics;
typedef struct weir_metrics_family weir_metrics_family;
typedef struct weir_metrics_series weir_metrics_series;
typedef struct weir_metrics_observer weir_metrics_observer;

typedef enum weir_metrics_kind {
    WEIR_METRICS_COUNTER,     /**< Grows: weir_metrics_add(). */
    WEIR_METRICS_UPDOWN,      /**< A sum that may fall, such as calls in flight: the same. */
    WEIR_METRICS_GAUGE,       /**< The last value: weir_metrics_set(). Not shown before. */
    WEIR_METRICS_HISTOGRAM,   /**< Counts per bucket, with given bounds: weir_metrics_record(). */
    WEIR_METRICS_EXPONENTIAL, /**< Buckets (base^i, base^(i+1)], base = 2^(2^-scale), at the finest
                                   scale at which max_buckets hold all values: the same. */
    WEIR_METRICS_SUMMARY,     /**< Quantiles by DDSketch (Masson, Rim, Lee; VLDB 2019): the same. */
} weir_metrics_kind;

/** What a sum is made of. Histograms and gauges are of doubles. */
typedef enum weir_metrics_number {
    WEIR_METRICS_INT,    /**< Whole numbers. weir_metrics_add_double() is refused. */
    WEIR_METRICS_DOUBLE, /**< Real numbers; whole ones are added exactly, and apart. */
} weir_metrics_number;

typedef struct weir_metrics_options {
    size_t struct_size;  /**< Set by the macro; leave alone. */
    uint32_t threads;    /**< Threads that count without meeting, 1..1024, 8 bytes a series each.
                              Those beyond share one cell: exact as well, and slower. */
    bool created;        /**< OpenMetrics tells when a series began (_created). */
    const weir_env *env; /**< NULL for defaults; copied. */
} weir_metrics_options;

#define WEIR_METRICS_OPTIONS_INIT                                                                  \
    {                                                                                              \
        .struct_size = sizeof(weir_metrics_options), .threads = 64, .created = true, .env = NULL   \
    }

/** @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM, with *out NULL. */
WEIR_API WEIR_MUST_CHECK int weir_metrics_create(weir_metrics **out,
                                                 const weir_metrics_options *options);

/** Free it with all families and series, whether or not their handles were released. NULL is
 * allowed. Nobody may be using it or them. */
WEIR_API void weir_metrics_destroy(weir_metrics *metrics);

typedef struct weir_metrics_stats {
    size_t families;
    size_t series;       /**< That are shown: not removed. */
    uint64_t refused;    /**< Values that could not be counted. */
    uint64_t overflowed; /**< Label values that were counted in a series of overflow: how often. */
} weir_metrics_stats;

WEIR_API void weir_metrics_get_stats(weir_metrics *metrics, weir_metrics_stats *stats);

/* ---- Families ---- */

/**
 * Tells the values of an instrument that are kept elsewhere, by weir_metrics_observe(), once a
 * scrape, or twice if series that are gone had the room of new ones: those that it does not tell
 * are not shown. Not to be called from another thread than the scrape's. May call any function but
 * those that scrape, and weir_metrics_destroy().
 */
typedef void (*weir_metrics_observe_fn)(weir_metrics_observer *observer, void *user);

/** Start from WEIR_METRICS_FAMILY_OPTIONS_INIT, then change what you need. */
typedef struct weir_metrics_family_options {
    size_t struct_size; /**< Set by the macro; leave alone. */
    /**
     * As OpenTelemetry or Prometheus has it: "http.server.request.duration",
     * "process_cpu_seconds_total": a letter, '_' or ':', then these, digits, '.', '-', '/', up to
     * 255 bytes. Copied, as all strings and arrays here.
     */
    const char *name;
    const char *unit; /**< UCUM, up to 63 bytes: "s", "By", "1", "{request}"; NULL = none. */
    const char *help; /**< UTF-8; NULL = none. */
    weir_metrics_kind kind;
    weir_metrics_number number; /**< COUNTER, UPDOWN. */
    const char *const *labels;  /**< Keys: a letter or '_', then these, digits, '.', '-', '/'. */
    uint32_t label_count;       /**< 0..64. */
    uint32_t max_series;        /**< >= 1. The last one takes all further label values, and has the
                                     label otel.metric.overflow="true" alone. */
    const double *bounds;       /**< HISTOGRAM: rising, finite, >= 0; a bucket has its upper bound.
                                     NULL = OpenTelemetry's: of unit "s" .005 .. 10, else
                                     0, 5, 10, 25, 50, 75, 100, 250, .. 10000. */
    uint32_t bound_count;       /**< 0..1024. */
    uint32_t max_buckets;       /**< EXPONENTIAL: 2..160. */
    int32_t max_scale;          /**< EXPONENTIAL: -10..20; where it starts from. */
    double accuracy;            /**< SUMMARY: relative, .0001...5; of values within the bins. */
    uint32_t max_bins;          /**< SUMMARY: 16..65536; beyond, the lowest are joined, so that low
                                     quantiles lose their accuracy first. 1024 of 1 % reach from
                                     1 us to 13 min. */
    const double *quantiles;    /**< SUMMARY: 0..1, rising; NULL = .5, .9, .99. */
    uint32_t quantile_count;    /**< 0..32. */
    weir_metrics_observe_fn observe; /**< COUNTER, UPDOWN, GAUGE: NULL, or where its values are. */
    void *user;                      /**< Passed to observe; borrowed. */
} weir_metrics_family_options;

#define WEIR_METRICS_FAMILY_OPTIONS_INIT                                                           \
    {                                                                                              \
        .struct_size = sizeof(weir_metrics_family_options), .name = NULL, .unit = NULL,            \
        .help = NULL, .kind = WEIR_METRICS_COUNTER, .number = WEIR_METRICS_INT, .labels = NULL,    \
        .label_count = 0, .max_series = 2000, .bounds = NULL, .bound_count = 0,                    \
        .max_buckets = 160, .max_scale = 20, .accuracy = .01, .max_bins = 1024, .quantiles = NULL, \
        .quantile_count = 0, .observe = NULL, .user = NULL                                         \
    }

/**
 * Add an instrument. In the texts it has the name that OpenTelemetry's Prometheus compatibility
 * gives it: other characters become '_', a unit follows (_seconds, _bytes, _ratio of a gauge of
 * unit "1"), and _total a counter. No sample of it may be named like one of another family.
 *
 * @param out  the family; lives as long as `metrics`.
 * @return WEIR_OK; WEIR_EINVAL; WEIR_EEXISTS: names would clash; WEIR_ENOMEM. *out is NULL then.
 */
WEIR_API WEIR_MUST_CHECK int weir_metrics_family_create(weir_metrics_family **out,
                                                        weir_metrics *metrics,
                                                        const weir_metrics_family_options *options);

/** Its name in the texts, without _bucket and the like; of a counter, with _total. */
WEIR_API const char *weir_metrics_family_prometheus_name(const weir_metrics_family *family);

/** Remove all its series, as weir_metrics_series_remove() does. */
WEIR_API void weir_metrics_family_clear(weir_metrics_family *family);

/* ---- Series ---- */

/**
 * The series of these label values, which is made if there is none. Keep it: this costs a lock and
 * a hash, and an event costs neither.
 *
 * @param out     a handle for one owner, to be released; NULL unless WEIR_OK.
 * @param values  label_count of them, UTF-8, in the order of the keys; NULL if there are none.
 * @return WEIR_OK, also for a series of overflow; WEIR_EINVAL: a value is NULL or not UTF-8, or the
 *         family has observe; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_metrics_series_get(weir_metrics_series **out,
                                                     weir_metrics_family *family,
                                                     const char *const *values);

/** Give the handle back. The series stays, with what it counted. NULL is allowed. */
WEIR_API void weir_metrics_series_release(weir_metrics_series *series);

/**
 * Show it no more. Handles to it stay valid, and what is counted in them is not shown; its memory
 * is freed with the last of them. Who gets the same label values again has a new series, which
 * begins at 0.
 *
 * @return WEIR_OK, WEIR_ENOTFOUND or WEIR_EINVAL: a value is NULL.
 */
WEIR_API int weir_metrics_series_remove(weir_metrics_family *family, const char *const *values);

/* ---- Recording ---- */

/** COUNTER, which takes n >= 0 and is shown as INT64_MAX from there up to 2^64, where it wraps
 * around, and UPDOWN, which wraps around at INT64_MAX. */
WEIR_API void weir_metrics_add(weir_metrics_series *series, int64_t n);
/** The same of WEIR_METRICS_DOUBLE. */
WEIR_API void weir_metrics_add_double(weir_metrics_series *series, double n);
/** GAUGE: any value, NaN and infinity too. Of several threads at once, one is the last. */
WEIR_API void weir_metrics_set(weir_metrics_series *series, double value);
/** HISTOGRAM, EXPONENTIAL, SUMMARY: a finite value >= 0. */
WEIR_API void weir_metrics_record(weir_metrics_series *series, double value);

/**
 * The same for an event within a span, which becomes the exemplar of its bucket, or of the counter,
 * if it is sampled and valid: one clock read and a short lock, which gives way to others. If there
 * is no memory for exemplars, there are none. `context` may be NULL.
 */
WEIR_API void weir_metrics_add_traced(weir_metrics_series *series, int64_t n,
                                      const weir_trace_context *context);
WEIR_API void weir_metrics_record_traced(weir_metrics_series *series, double value,
                                         const weir_trace_context *context);

/**
 * In an observe callback: the value now of the series with these labels: the whole sum of a COUNTER
 * or UPDOWN, the value of a GAUGE. Of labels told twice, the last value counts; in a series of
 * overflow, sums are added up.
 *
 * @return WEIR_OK; WEIR_EINVAL: a label is NULL or not UTF-8, or the value is refused; WEIR_ENOMEM.
 */
WEIR_API int weir_metrics_observe(weir_metrics_observer *observer, const char *const *values,
                                  int64_t value);
/** The same of WEIR_METRICS_DOUBLE, and of GAUGE. */
WEIR_API int weir_metrics_observe_double(weir_metrics_observer *observer, const char *const *values,
                                         double value);

/* ---- Texts ---- */

#define WEIR_METRICS_PROMETHEUS_TYPE  "text/plain; version=0.0.4; charset=utf-8"
#define WEIR_METRICS_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/** Part of a text. */
typedef void (*weir_metrics_write_fn)(const void *data, size_t size, void *user);

/**
 * Write all series as Prometheus text 0.0.4. Within one histogram, _count is its +Inf bucket, and
 * _sum is of the same events: each thread's share is read again until it was not written meanwhile.
 * After 1000 times (of a thread that records without a pause, or was stopped within a recording),
 * _sum may have more than _count, by what was recorded while it was read.
 * An EXPONENTIAL is shown as a histogram with powers of 2 for bounds.
 *
 * @return WEIR_OK; WEIR_ENOMEM: nothing was written; WEIR_EBUSY: called by an observe callback or a
 *         visitor.
 */
WEIR_API WEIR_MUST_CHECK int weir_metrics_prometheus(weir_metrics *metrics,
                                                     weir_metrics_write_fn write, void *user);
/** The same as OpenMetrics 1.0, with units, exemplars, and when a series began. */
WEIR_API WEIR_MUST_CHECK int weir_metrics_openmetrics(weir_metrics *metrics,
                                                      weir_metrics_write_fn write, void *user);

/* ---- Values ---- */

typedef struct weir_metrics_exemplar {
    double value;
    uint64_t time_ns; /**< Since 1970. */
    uint8_t trace_id[16];
    uint8_t span_id[8];
} weir_metrics_exemplar;

typedef struct weir_metrics_quantile {
    double quantile, value;
} weir_metrics_quantile;

/** What a family is, within the callback. */
typedef struct weir_metrics_view {
    const char *name; /**< As it was given. */
    const char *unit; /**< "" = none, as help. */
    const char *help;
    weir_metrics_kind kind;
    weir_metrics_number number;
    const char *prometheus_name;
} weir_metrics_view;

/** One series at one time, within the callback. Temporality is cumulative. */
typedef struct weir_metrics_point {
    const weir_label *labels; /**< Keys as they were given. */
    size_t label_count;
    uint64_t start_ns; /**< Since 1970: when the series began. */
    uint64_t time_ns;  /**< Of this scrape; never before start_ns. */
    int64_t integer;   /**< COUNTER and UPDOWN of WEIR_METRICS_INT. */
    double value;      /**< The same as a double; all others of COUNTER, UPDOWN, GAUGE. */
    uint64_t count;    /**< Of the other kinds: how many values were recorded... */
    double sum;        /**< ...what they add up to... */
    double min, max;   /**< ...and between what they are; 0 if count is. */
    const double *bounds;
    size_t bound_count;
    const uint64_t *buckets; /**< HISTOGRAM: bound_count + 1; they add up to count.
                                  EXPONENTIAL: with zero_count, they do. */
    size_t bucket_count;
    int32_t scale;  /**< EXPONENTIAL. */
    int32_t offset; /**< EXPONENTIAL: index of the first bucket. */
    uint64_t zero_count;
    const weir_metrics_quantile *quantiles; /**< SUMMARY; none if count is 0. */
    size_t quantile_count;
    const weir_metrics_exemplar *exemplars; /**< By rising value. */
    size_t exemplar_count;
} weir_metrics_point;

/** Is told of a scrape, family by family in the order in which they were created, each with its
 * series by the time of theirs. May call any function but those that scrape, and destroy. */
typedef struct weir_metrics_visitor {
    void (*family)(const weir_metrics_view *family, void *user); /**< It has points. NULL = skip. */
    void (*point)(const weir_metrics_view *family, const weir_metrics_point *point, void *user);
    void (*end)(const weir_metrics_view *family,
                void *user); /**< There are no more. NULL = skip. */
} weir_metrics_visitor;

/**
 * Tell all series as values.
 *
 * @return WEIR_OK; WEIR_ENOMEM: only a part, of whole points, was told; WEIR_EBUSY: as above.
 */
WEIR_API WEIR_MUST_CHECK int weir_metrics_collect(weir_metrics *metrics,
                                                  const weir_metrics_visitor *visitor, void *user);

WEIR_END_DECLS

#endif

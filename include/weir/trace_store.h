/**
 * @file weir/trace_store.h
 * Trace store: finished traces in memory, bounded, to be asked by service, operation, duration,
 * status and time. What a unit test looks into, and what an operator asks a running program.
 *
 *   tracer --- weir_span_exporter ---> store (the oldest trace goes first) <--- find --- you
 *
 * Threads:    any function, any thread, same store; destroy comes last.
 * Blocking:   a mutex, held for a batch, or for a look at all spans there are.
 * Allocation: a block for each span and each trace; and for what is found, while it is looked at.
 */
#ifndef WEIR_TRACE_STORE_H
#define WEIR_TRACE_STORE_H

#include <weir/base.h>
#include <weir/trace.h>

WEIR_BEGIN_DECLS

typedef struct weir_trace_store weir_trace_store;

/** Start from WEIR_TRACE_STORE_OPTIONS_INIT, then change what you need. */
typedef struct weir_trace_store_options {
    size_t struct_size;  /**< Set by the macro; leave alone. */
    uint32_t max_spans;  /**< >= 1. Beyond it whole traces go, that which came first first. */
    uint64_t max_bytes;  /**< The same of their memory, >= 1024. */
    const weir_env *env; /**< NULL for defaults; copied. */
} weir_trace_store_options;

#define WEIR_TRACE_STORE_OPTIONS_INIT                                                              \
    {                                                                                              \
        .struct_size = sizeof(weir_trace_store_options), .max_spans = 10000,                       \
        .max_bytes = 16777216, .env = NULL                                                         \
    }

/** A span, and whose it is. */
typedef struct weir_stored_span {
    const char *service; /**< service.name; "" = it was not told. */
    const weir_span_data *span;
} weir_stored_span;

/** A trace, as far as it is here. Valid during the callback. */
typedef struct weir_stored_trace {
    const uint8_t *trace_id;       /**< 16 bytes. */
    uint64_t start_ns;             /**< The first start of all spans, since 1970. */
    uint64_t end_ns;               /**< The last end. */
    size_t error_count;            /**< Spans with WEIR_SPAN_ERROR. */
    const weir_stored_span *spans; /**< In the order in which they came. */
    size_t span_count;
} weir_stored_trace;

/** What is looked for: one span of the trace must be all of this. Start from
 * WEIR_TRACE_QUERY_INIT. */
typedef struct weir_trace_query {
    size_t struct_size;       /**< Set by the macro; leave alone. */
    const uint8_t *trace_id;  /**< 16 bytes; NULL = any: all below is asked then, too. */
    const char *service;      /**< NULL = any. */
    const char *operation;    /**< Name of the span; NULL = any. */
    const char *attribute;    /**< Key of one that it has; NULL = any. */
    const char *value;        /**< Of that attribute, a string; NULL = any. */
    int status;               /**< A weir_span_status; -1 = any. */
    uint64_t min_duration_ns; /**< Of the span. */
    uint64_t max_duration_ns;
    uint64_t from_ns; /**< It started then, or later: since 1970. */
    uint64_t to_ns;   /**< It started before. */
    size_t limit;     /**< Traces, at most. */
} weir_trace_query;

#define WEIR_TRACE_QUERY_INIT                                                                      \
    {                                                                                              \
        .struct_size = sizeof(weir_trace_query), .trace_id = NULL, .service = NULL,                \
        .operation = NULL, .attribute = NULL, .value = NULL, .status = -1, .min_duration_ns = 0,   \
        .max_duration_ns = UINT64_MAX, .from_ns = 0, .to_ns = UINT64_MAX, .limit = SIZE_MAX        \
    }

typedef struct weir_trace_store_stats {
    size_t traces, spans; /**< There are. */
    uint64_t bytes;
    uint64_t evicted; /**< Spans that made room for others, since create. */
    uint64_t refused; /**< Spans without memory, or of a trace that is too large by itself. */
} weir_trace_store_stats;

/** Create an empty store. @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM. */
WEIR_API WEIR_MUST_CHECK int weir_trace_store_create(weir_trace_store **out,
                                                     const weir_trace_store_options *options);

/** Free it; NULL is allowed. After what exports to it. */
WEIR_API void weir_trace_store_destroy(weir_trace_store *store);

/** What a tracer exports to. It ends an export within the call; what is refused is rejected. */
WEIR_API weir_span_exporter weir_trace_store_exporter(weir_trace_store *store);

/**
 * Call `fn` for each trace that has a span as asked for, the one that came last first, until it
 * returns false. It is called outside the lock, and may use the store: what it sees is as it was
 * when it was found.
 *
 * @param query  NULL = all.
 * @return WEIR_OK, also if there is none; WEIR_EINVAL: struct_size; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int
weir_trace_store_find(weir_trace_store *store, const weir_trace_query *query,
                      bool (*fn)(const weir_stored_trace *trace, void *user), void *user);

/** Forget all. */
WEIR_API void weir_trace_store_clear(weir_trace_store *store);

WEIR_API void weir_trace_store_get_stats(weir_trace_store *store, weir_trace_store_stats *stats);

WEIR_END_DECLS

#endif

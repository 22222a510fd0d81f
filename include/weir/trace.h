/**
 * @file weir/trace.h
 * The values of tracing, in the meaning of W3C Trace Context Level 2 and of the OpenTelemetry
 * specification: where a piece of work belongs, what is told of it, and the two hooks by which
 * samplers, tracers and exporters meet without knowing one another.
 *
 *   weir_sampling  <--- is it to be kept? --- tracer --- finished spans ---> weir_span_exporter
 *
 * Threads:    plain values.
 * Blocking:   never.
 * Allocation: never.
 */
#ifndef WEIR_TRACE_H
#define WEIR_TRACE_H

#include <weir/base.h>

#include <string.h>

WEIR_BEGIN_DECLS

#define WEIR_TRACE_SAMPLED 0x01 /**< It is being recorded. */
#define WEIR_TRACE_RANDOM  0x02 /**< The right 56 bits of the trace id are random. */

/** The most that is carried of a tracestate, with its NUL. */
#define WEIR_TRACESTATE_SIZE 513

/** A span, as others are told of it; a value. Zero-initialize: none. */
typedef struct weir_trace_context {
    uint8_t trace_id[16]; /**< All zero: none. */
    uint8_t span_id[8];   /**< The same. */
    uint8_t flags;        /**< A sum of the above. */
    bool remote;          /**< Another program told us. */
    bool debug;        /**< Somebody wants this one to be seen, whatever it costs (B3, Jaeger). */
    const char *state; /**< tracestate; NULL or "" = none. Borrowed. */
} weir_trace_context;

/** Whether it names a span: neither id is all zero. */
static inline bool weir_trace_context_valid(const weir_trace_context *context)
{
    uint64_t left, right, span;
    memcpy(&left, context->trace_id, 8);
    memcpy(&right, context->trace_id + 8, 8);
    memcpy(&span, context->span_id, 8);
    return (left | right) != 0 && span != 0;
}

/* ---- Attributes ---- */

typedef enum weir_attribute_type {
    WEIR_ATTRIBUTE_STRING, /**< as.string, `count` bytes. */
    WEIR_ATTRIBUTE_BOOL,
    WEIR_ATTRIBUTE_INT,
    WEIR_ATTRIBUTE_DOUBLE,
    WEIR_ATTRIBUTE_BYTES,   /**< as.bytes, `count` of them. */
    WEIR_ATTRIBUTE_STRINGS, /**< Arrays of `count` elements; strings end with NUL. */
    WEIR_ATTRIBUTE_BOOLS,
    WEIR_ATTRIBUTE_INTS,
    WEIR_ATTRIBUTE_DOUBLES,
} weir_attribute_type;

/** A name and a value of one of the types. Who is given one copies it, or says so. */
typedef struct weir_attribute {
    const char *key; /**< Not empty. */
    weir_attribute_type type;
    size_t count; /**< Bytes, or elements; 1 of a single one. */
    union {
        const char *string;
        bool boolean;
        int64_t integer;
        double real;
        const void *bytes;
        const char *const *strings;
        const bool *booleans;
        const int64_t *integers;
        const double *reals;
    } as;
} weir_attribute;

/** A string of `size` bytes, which need not end with NUL; NULL is the empty one. */
static inline weir_attribute weir_attribute_text(const char *key, const char *value, size_t size)
{
    weir_attribute attribute;
    attribute.key = key;
    attribute.type = WEIR_ATTRIBUTE_STRING;
    attribute.count = value != NULL ? size : 0;
    attribute.as.string = value != NULL ? value : "";
    return attribute;
}

static inline weir_attribute weir_attribute_string(const char *key, const char *value)
{
    return weir_attribute_text(key, value, value != NULL ? strlen(value) : 0);
}

static inline weir_attribute weir_attribute_bool(const char *key, bool value)
{
    weir_attribute attribute;
    attribute.key = key;
    attribute.type = WEIR_ATTRIBUTE_BOOL;
    attribute.count = 1;
    attribute.as.boolean = value;
    return attribute;
}

static inline weir_attribute weir_attribute_int(const char *key, int64_t value)
{
    weir_attribute attribute;
    attribute.key = key;
    attribute.type = WEIR_ATTRIBUTE_INT;
    attribute.count = 1;
    attribute.as.integer = value;
    return attribute;
}

static inline weir_attribute weir_attribute_double(const char *key, double value)
{
    weir_attribute attribute;
    attribute.key = key;
    attribute.type = WEIR_ATTRIBUTE_DOUBLE;
    attribute.count = 1;
    attribute.as.real = value;
    return attribute;
}

/* ---- Finished spans ---- */

/** As OTLP numbers them. */
typedef enum weir_span_kind {
    WEIR_SPAN_INTERNAL = 1,
    WEIR_SPAN_SERVER = 2,
    WEIR_SPAN_CLIENT = 3,
    WEIR_SPAN_PRODUCER = 4,
    WEIR_SPAN_CONSUMER = 5,
} weir_span_kind;

typedef enum weir_span_status {
    WEIR_SPAN_UNSET = 0,
    WEIR_SPAN_OK = 1,
    WEIR_SPAN_ERROR = 2,
} weir_span_status;

/** Something that happened within a span, at one time. */
typedef struct weir_span_event {
    const char *name;
    uint64_t at_ns; /**< Of a finished span: since 1970. To add one: monotonic, 0 = now. */
    const weir_attribute *attributes;
    size_t attribute_count;
    uint32_t dropped_attributes;
} weir_span_event;

/** Another span that this one has to do with. */
typedef struct weir_span_link {
    weir_trace_context context;
    const weir_attribute *attributes;
    size_t attribute_count;
    uint32_t dropped_attributes;
} weir_span_link;

/** A span that has ended. What it points to lives as long as it does. */
typedef struct weir_span_data {
    weir_trace_context context;
    uint8_t parent_id[8]; /**< All zero: it is a root. */
    bool parent_remote;
    weir_span_kind kind;
    weir_span_status status;
    const char *status_message; /**< "" unless WEIR_SPAN_ERROR. */
    const char *name;
    uint64_t start_ns; /**< Nanoseconds since 1970-01-01 UTC. */
    uint64_t end_ns;   /**< The same; not before start_ns. */
    const weir_attribute *attributes;
    size_t attribute_count;
    uint32_t dropped_attributes; /**< Over a limit, or without memory. */
    const weir_span_event *events;
    size_t event_count;
    uint32_t dropped_events;
    const weir_span_link *links;
    size_t link_count;
    uint32_t dropped_links;
} weir_span_data;

/* ---- Hooks ---- */

/** Spans that go out together, and who made them. */
typedef struct weir_span_batch {
    const weir_span_data *const *spans;
    size_t count; /**< >= 1. */
    /** Of the program: "service.name" and so on. */
    const weir_attribute *resource;
    size_t resource_count;
    const char *scope_name; /**< What made the spans: a library; "" = not told. */
    const char *scope_version;
} weir_span_batch;

/**
 * How an export ended.
 *
 * @param token     as it was given.
 * @param result    WEIR_OK: taken; else the reason for which none was.
 * @param rejected  with WEIR_OK: that many were refused by who received them.
 */
typedef void (*weir_exported_fn)(void *token, int result, size_t rejected);

/** Where finished spans go. */
typedef struct weir_span_exporter {
    /**
     * Take a batch, which is valid until this returns; then call `done` once: within, or later,
     * from any thread. There is no other before that.
     *
     * @param deadline_ns  on the monotonic clock of the tracer, which cancels then.
     */
    void (*export_spans)(void *self, const weir_span_batch *batch, uint64_t deadline_ns,
                         weir_exported_fn done, void *token);
    /** Give the export up: once this has returned, `done` is not called any more. NULL: `done` is
     * always called within. */
    void (*cancel)(void *self);
    void *self; /**< Borrowed: outlives the tracer. */
} weir_span_exporter;

/** A span about to begin, as a sampler sees it. Valid during the call. */
typedef struct weir_sampling_request {
    const weir_trace_context *parent; /**< NULL: none, it begins a trace. */
    const uint8_t *trace_id;          /**< 16 bytes: the parent's, or the new one. */
    bool random;                      /**< The right 56 bits of it are random. */
    const char *name;
    weir_span_kind kind;
    const weir_attribute *attributes; /**< Those that are known at the start. */
    size_t attribute_count;
    uint64_t now_ns; /**< Monotonic; 0: nobody has read the clock. */
} weir_sampling_request;

typedef enum weir_sampling_decision {
    WEIR_SAMPLING_DROP,   /**< Neither recorded nor sampled. */
    WEIR_SAMPLING_RECORD, /**< Recorded, and told to others as not sampled; not exported. */
    WEIR_SAMPLING_SAMPLE, /**< Recorded, sampled and exported. */
} weir_sampling_decision;

/** As weir_sampling_result.threshold: it is not known how likely this was. */
#define WEIR_SAMPLING_UNKNOWN UINT64_MAX
/** The same: the decision is the parent's, and so is what its tracestate says of it. */
#define WEIR_SAMPLING_INHERIT (UINT64_MAX - 1)

typedef struct weir_sampling_result {
    weir_sampling_decision decision;
    /** Of a sampled one: it is, of traces whose randomness is R, kept where R >= threshold, 0 to
     * 2^56 - 1, which `ot=th` says; or WEIR_SAMPLING_UNKNOWN, which takes `th` away; or
     * WEIR_SAMPLING_INHERIT. */
    uint64_t threshold;
} weir_sampling_result;

/** Who decides. */
typedef struct weir_sampling {
    /** Called on the thread that begins the span; `result` is DROP and UNKNOWN before. NULL: each
     * is sampled. */
    void (*decide)(void *self, const weir_sampling_request *request, weir_sampling_result *result);
    void *self; /**< Borrowed: outlives the tracer. */
} weir_sampling;

WEIR_END_DECLS

#endif

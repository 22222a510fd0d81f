/**
 * @file weir/tracer.h
 * Tracer: spans are begun, told of, ended, and exported in batches, as the OpenTelemetry
 * specification has it (Trace API and SDK).
 *
 *   start --> ids --> sampler --+--> dropped: a context to pass on, and no more
 *                               +--> recorded: attributes, events, links --> end
 *                                                                             |
 *   exporter <-- batch <-- task, when one is full or its time has come <-- queue (bounded)
 *
 * Nothing is lost in silence: what cannot be recorded, queued or exported is counted, by reason,
 * and told to on_drop. A flush and a shutdown end by their deadline, whatever the exporter does.
 * In the child of a fork() nothing of the parent's is exported: its queue is empty, spans begun
 * before the fork record no more, though they are still valid parents, and ids are new ones.
 *
 * Threads:    any function, any thread, same tracer; destroy comes last. A span is used by one
 *             thread at a time, which need not be the one that began it.
 * Blocking:   weir_tracer_flush() and weir_tracer_shutdown() without a callback sleep, through the
 *             environment. Spans take no lock, and make no system call but the clock's.
 * Allocation: for a span, only when more are under way or queued than ever before, or when it has
 *             more to say than any before it in the same record: about 1 KiB each, which is kept.
 *
 * Costs: a span that is not sampled, its ids and one call of the sampler. One that is, two reads of
 * the clock, one compare-and-swap for its record and one for its place in the queue; to set an
 * attribute is linear in those that are there.
 */
#ifndef WEIR_TRACER_H
#define WEIR_TRACER_H

#include <weir/base.h>
#include <weir/trace.h>

WEIR_BEGIN_DECLS

typedef struct weir_tracer weir_tracer;

/** Why a span, that was to be exported, is not. */
typedef enum weir_span_drop {
    WEIR_SPAN_DROP_NO_RECORD,      /**< max_spans are under way or queued, or no memory. */
    WEIR_SPAN_DROP_QUEUE_FULL,     /**< Spans end faster than they are exported. */
    WEIR_SPAN_DROP_EXPORT_FAILED,  /**< The exporter says so. */
    WEIR_SPAN_DROP_EXPORT_TIMEOUT, /**< It did not end in export_timeout_ns. */
    WEIR_SPAN_DROP_REJECTED,       /**< Who received them did not take them. */
    WEIR_SPAN_DROP_SHUT_DOWN,      /**< They ended after the shutdown, or had not gone out by its
                                        deadline. */
} weir_span_drop;
#define WEIR_SPAN_DROPS 6

typedef struct weir_span_drop_event {
    weir_span_drop reason;
    uint64_t count;
    int error; /**< What the exporter said; WEIR_OK with other reasons. */
} weir_span_drop_event;

/** Start from WEIR_TRACER_OPTIONS_INIT, then change what you need. All is copied but hooks. */
typedef struct weir_tracer_options {
    size_t struct_size; /**< Set by the macro; leave alone. */
    /** Who makes spans: "service.name", "service.version", and so on. */
    const weir_attribute *resource;
    size_t resource_count;
    const char *scope_name; /**< The library that is instrumented; NULL = not told. */
    const char *scope_version;
    weir_sampling sampling;      /**< decide NULL: every span. */
    weir_span_exporter exporter; /**< export_spans NULL: sampled, and recorded by nobody. */
    bool immediate;              /**< Export each span by itself when it ends, if the exporter is
                                      free, in the thread that ends it: for tests and terminals. */
    uint32_t queue_size;         /**< Ended spans that wait, 1..2^20; rounded up to a power of 2. */
    uint32_t batch_size;         /**< Exported together at most, 1..queue_size. */
    uint32_t max_spans;          /**< Under way and queued together, queue_size..2^24. */
    uint64_t delay_ns;           /**< Between two exports at most, >= 1; WEIR_NEVER = full batches
                                      only. */
    uint64_t export_timeout_ns;  /**< Of one export, >= 1. */
    uint32_t max_attributes;     /**< Of a span. Of each kind, what is beyond is counted. */
    uint32_t max_events;
    uint32_t max_links;
    uint32_t max_event_attributes; /**< Of each event. */
    uint32_t max_link_attributes;
    /** Characters (Unicode) of a string value, bytes of a bytes one; what is beyond is cut off. */
    size_t max_value_length;
    /** Told on the thread that drops, with no lock held; may use the tracer, not destroy it. */
    void (*on_drop)(const weir_span_drop_event *event, void *user);
    /** It is time to run the task, earlier than it said: weir_loop_task_wake() by way of
     * weir_loop_post(), for instance. On any thread; once, until the task has run. */
    void (*on_wake)(void *user);
    void *user;          /**< Passed to both; borrowed. */
    const weir_env *env; /**< NULL for defaults; copied. */
} weir_tracer_options;

#define WEIR_TRACER_OPTIONS_INIT                                                                   \
    {                                                                                              \
        .struct_size = sizeof(weir_tracer_options), .resource = NULL, .resource_count = 0,         \
        .scope_name = NULL, .scope_version = NULL, .sampling = {NULL, NULL},                       \
        .exporter = {NULL, NULL, NULL}, .immediate = false, .queue_size = 2048, .batch_size = 512, \
        .max_spans = 8192, .delay_ns = 5000000000, .export_timeout_ns = 30000000000,               \
        .max_attributes = 128, .max_events = 128, .max_links = 128, .max_event_attributes = 128,   \
        .max_link_attributes = 128, .max_value_length = SIZE_MAX, .on_drop = NULL,                 \
        .on_wake = NULL, .user = NULL, .env = NULL                                                 \
    }

/**
 * A span under way; yours, wherever you like, but it stays there: it is not copied or moved.
 * `context` is for reading: to inject, and to begin others below it, also after its end.
 */
typedef struct weir_span {
    weir_trace_context context;
    void *record;                     /**< Private. NULL: nobody records it. */
    uint64_t generation;              /**< Private. */
    char state[WEIR_TRACESTATE_SIZE]; /**< Private: where context.state is. */
} weir_span;

/** Start from WEIR_SPAN_OPTIONS_INIT. All is copied. */
typedef struct weir_span_options {
    size_t struct_size; /**< Set by the macro; leave alone. */
    /** What it belongs to: an extracted context, or that of another span; NULL or not valid: it
     * begins a trace. */
    const weir_trace_context *parent;
    weir_span_kind kind;
    const weir_attribute *attributes; /**< Samplers see these alone. */
    size_t attribute_count;
    const weir_span_link *links;
    size_t link_count;
    uint64_t start_ns; /**< Monotonic; 0 = now. */
} weir_span_options;

#define WEIR_SPAN_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(weir_span_options), .parent = NULL, .kind = WEIR_SPAN_INTERNAL,      \
        .attributes = NULL, .attribute_count = 0, .links = NULL, .link_count = 0, .start_ns = 0    \
    }

/** A look at the tracer at one time. */
typedef struct weir_tracer_stats {
    uint64_t exported;                 /**< Spans taken by the exporter, since create. */
    uint64_t dropped[WEIR_SPAN_DROPS]; /**< By weir_span_drop. */
    uint32_t queued;                   /**< They wait. */
    uint32_t active;                   /**< Recorded, begun, and not ended. */
    uint32_t queue_size;
    uint64_t memory_bytes; /**< Of records, which are kept until destroy. */
} weir_tracer_stats;

/**
 * Create a tracer.
 *
 * @param out      receives the tracer, which the caller must destroy; NULL on failure.
 * @param options  NULL for all defaults: ids and contexts, and nobody to export to.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_tracer_create(weir_tracer **out,
                                                const weir_tracer_options *options);

/**
 * Free the tracer; an export under way is cancelled, and what was queued is lost: shut it down
 * before. NULL is allowed. No span of it may be used any more.
 */
WEIR_API void weir_tracer_destroy(weir_tracer *tracer);

/* ---- Spans ---- */

/**
 * Begin a span. It cannot fail: what cannot be recorded is counted, and has a context.
 *
 * @param span     yours; every function below may be called on it then, also if nobody records it.
 * @param tracer   NULL: nobody traces; the parent's context is passed on as it is.
 * @param name     copied; NULL = "".
 * @param options  NULL for all defaults: a new trace.
 */
WEIR_API void weir_span_start(weir_span *span, weir_tracer *tracer, const char *name,
                              const weir_span_options *options);

/** Somebody records it, and it has not ended: attributes are worth their making. */
WEIR_API bool weir_span_recording(const weir_span *span);

/** Set attributes, in place of those with the same keys. One without a key is counted as dropped.
 */
WEIR_API void weir_span_set(weir_span *span, const weir_attribute *attributes, size_t count);

/** Tell what happened at event->at_ns, 0 = now. */
WEIR_API void weir_span_add_event(weir_span *span, const weir_span_event *event);

/** Name another span that it has to do with; a context that is not valid is of use, too. */
WEIR_API void weir_span_add_link(weir_span *span, const weir_span_link *link);

/**
 * How it went. WEIR_SPAN_OK is final; else the latest WEIR_SPAN_ERROR counts; UNSET changes
 * nothing.
 *
 * @param message  what failed, copied; NULL = "". With WEIR_SPAN_ERROR alone.
 */
WEIR_API void weir_span_set_status(weir_span *span, weir_span_status status, const char *message);

/** Name it anew; copied. Without memory it keeps the name it has. */
WEIR_API void weir_span_set_name(weir_span *span, const char *name);

/** End it, and give it to the exporter if it is sampled. A second end, and what is told after it,
 * are ignored. */
WEIR_API void weir_span_end(weir_span *span);

/** weir_span_end() for callers that have read the clock: now_ns, monotonic, is what it said. */
WEIR_API void weir_span_end_at(weir_span *span, uint64_t now_ns);

/* ---- Export ---- */

/** The task that exports. Any number of threads may run it: one of them does the work. */
WEIR_API weir_task weir_tracer_task(weir_tracer *tracer);

/** How a flush ended: as weir_tracer_flush() without a callback returns it. Within the task: it may
 * use the tracer, not destroy it. */
typedef void (*weir_tracer_done_fn)(int result, void *user);

/**
 * Export what has ended by now, without waiting for a full batch.
 *
 * @param deadline_ns  monotonic: it is over by then.
 * @param done         NULL: run the task here, and sleep between, until it is over. Not on the
 *                     thread of a loop that the exporter needs: that cannot go on meanwhile.
 *                     Else called once, by the task, after this has returned WEIR_OK.
 * @return WEIR_OK; WEIR_EFAILED: spans were dropped meanwhile; WEIR_EDEADLINE, which counts for
 *         more; WEIR_EBUSY: another flush is not over; WEIR_ECLOSED: it is shut down.
 */
WEIR_API int weir_tracer_flush(weir_tracer *tracer, uint64_t deadline_ns, weir_tracer_done_fn done,
                               void *user);

/**
 * Record no more, and export what has ended. What has not gone out at the deadline is dropped, and
 * counted.
 *
 * @return as weir_tracer_flush(); WEIR_ECLOSED: it was done before.
 */
WEIR_API int weir_tracer_shutdown(weir_tracer *tracer, uint64_t deadline_ns,
                                  weir_tracer_done_fn done, void *user);

/** Counts and gauges; they are read one after another. */
WEIR_API void weir_tracer_get_stats(weir_tracer *tracer, weir_tracer_stats *stats);

/** Static name of a reason: "queue_full", and so on. Never NULL. */
WEIR_API const char *weir_span_drop_name(weir_span_drop reason);

WEIR_END_DECLS

#endif

/**
 * @file weir/tail.h
 * Tail sampling: a trace is kept or dropped when it has ended and what became of it is known, so
 * that errors and slow traces are all there, and of the rest a share. An exporter before another.
 *
 *   tracer --- all spans ---> tail: held by trace --- kept traces ---> exporter
 *                               |
 *                               +-- its root has ended, or decision_wait_ns is over: decide
 *
 * A trace is decided linger_ns after the span with which this program entered it has ended, for
 * that is the last one as a rule. What has no such end waits no longer than decision_wait_ns, and
 * when there is no room for a span, the trace that waits longest is decided at once: nothing is
 * forgotten undecided. A trace is kept if it has an error, or took min_duration_ns, or the callback
 * says so, or by its share (consistent, as in sampler.h). What comes later goes the way of the
 * rest; but a late span with an error, or that is slow by itself, is kept with all that come after
 * it.
 *
 * One tail serves one tracer, whose head sampler should keep all.
 *
 * Threads:    any function, any thread, same tail; destroy comes after the tracer's.
 * Blocking:   a mutex, held for a batch.
 * Allocation: a block for each span that is held and each trace.
 */
#ifndef WEIR_TAIL_H
#define WEIR_TAIL_H

#include <weir/base.h>
#include <weir/trace.h>

WEIR_BEGIN_DECLS

typedef struct weir_tail weir_tail;

/** A trace about to be decided. Valid during the call. */
typedef struct weir_tail_trace {
    const uint8_t *trace_id;    /**< 16 bytes. */
    const weir_span_data *root; /**< Of this program; NULL: it has not ended. */
    uint64_t duration_ns;       /**< From the first start of all spans to the last end. */
    size_t span_count;          /**< Held of it. */
    size_t error_count;         /**< Of those, with WEIR_SPAN_ERROR. */
} weir_tail_trace;

/** Start from WEIR_TAIL_OPTIONS_INIT, then change what you need. */
typedef struct weir_tail_options {
    size_t struct_size;        /**< Set by the macro; leave alone. */
    weir_span_exporter next;   /**< Where kept spans go. Required. */
    bool keep_errors;          /**< Traces with a span that has WEIR_SPAN_ERROR. */
    uint64_t min_duration_ns;  /**< Traces that took as long; WEIR_NEVER = none. */
    double ratio;              /**< Of the others, 0..1. */
    uint64_t decision_wait_ns; /**< After a trace's first span, >= 1. */
    uint64_t linger_ns;        /**< After its root has ended; 0 = decide at once. */
    /** Held, >= 1; and of kept ones, as many again may be left when `next` gives up. */
    uint32_t max_spans;
    uint64_t max_bytes;         /**< Of their memory, >= 1024; of either. */
    uint32_t max_decided;       /**< Decisions that are remembered for late spans. */
    uint32_t batch_size;        /**< Spans given to `next` together, 1..65536. */
    uint64_t export_timeout_ns; /**< Of each such batch, >= 1; the tracer's deadline counts too. */
    /** Keep it, too? Called with the lock held: it must not call the tail. NULL: no. */
    bool (*keep)(const weir_tail_trace *trace, void *user);
    /** It is time to run the task. On any thread. May be NULL. */
    void (*on_wake)(void *user);
    void *user;          /**< Passed to both; borrowed. */
    const weir_env *env; /**< NULL for defaults; copied. The tracer's clock. */
} weir_tail_options;

#define WEIR_TAIL_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(weir_tail_options), .next = {NULL, NULL, NULL}, .keep_errors = true, \
        .min_duration_ns = 1000000000, .ratio = 0, .decision_wait_ns = 30000000000,                \
        .linger_ns = 1000000000, .max_spans = 50000, .max_bytes = 67108864, .max_decided = 10000,  \
        .batch_size = 512, .export_timeout_ns = 30000000000, .keep = NULL, .on_wake = NULL,        \
        .user = NULL, .env = NULL                                                                  \
    }

typedef struct weir_tail_stats {
    size_t waiting_traces, waiting_spans; /**< Not yet decided. */
    uint64_t waiting_bytes;
    uint64_t kept;    /**< Spans of traces that were kept, since create. */
    uint64_t dropped; /**< Spans of traces that were not. */
    uint64_t early;   /**< Traces decided before their time, for want of room. */
    uint64_t timely;  /**< Traces decided since their root did not end in time. */
    uint64_t failed;  /**< Kept, and lost: by `next`, or for want of memory or room. */
} weir_tail_stats;

/** Create a tail. @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM. */
WEIR_API WEIR_MUST_CHECK int weir_tail_create(weir_tail **out, const weir_tail_options *options);

/** Free it with what it holds; NULL is allowed. An export under way is cancelled. */
WEIR_API void weir_tail_destroy(weir_tail *tail);

/**
 * What a tracer exports to. An export ends when what it let out has been exported; with WEIR_OK,
 * also if some of that was lost, which weir_tail_stats.failed counts: it is not the same spans.
 */
WEIR_API weir_span_exporter weir_tail_exporter(weir_tail *tail);

/** The task that decides what waits too long. */
WEIR_API weir_task weir_tail_task(weir_tail *tail);

/** Decide all that waits, now: before a flush or a shutdown of the tracer. What is kept goes out
 * with the next export, or run of the task. */
WEIR_API void weir_tail_decide(weir_tail *tail);

WEIR_API void weir_tail_get_stats(weir_tail *tail, weir_tail_stats *stats);

WEIR_END_DECLS

#endif

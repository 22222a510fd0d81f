/**
 * @file weir/trace.h
 * Where a piece of work belongs: the ids and flags that go with a call from one program to the
 * next, in the meaning of W3C Trace Context Level 2. What traces, and what carries it, meet in it.
 */
#ifndef WEIR_TRACE_H
#define WEIR_TRACE_H

#include <weir/base.h>

#include <string.h>

WEIR_BEGIN_DECLS

#define WEIR_TRACE_SAMPLED 0x01 /**< It is being recorded. */
#define WEIR_TRACE_RANDOM  0x02 /**< The right 56 bits of the trace id are random. */

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
    static const uint8_t none[16] = {0};
    return memcmp(context->trace_id, none, 16) != 0 && memcmp(context->span_id, none, 8) != 0;
}

WEIR_END_DECLS

#endif

/**
 * @file weir/propagation.h
 * How a trace context, and baggage, go with a call: as W3C Trace Context Level 2, W3C Baggage, B3
 * in one header or in several, Jaeger's uber-trace-id, or in the environment of a process.
 *
 *   headers, environment --- carrier.get ---> extract ---> weir_trace_context, baggage
 *   headers, environment <-- carrier.set ---- inject <---- the same
 *
 * Nothing that is malformed harms anybody: a context that is not to the letter is as if it were not
 * there, and the trace begins anew; a tracestate that is not, leaves the traceparent alone; of
 * baggage, members that are not are left out.
 *
 * Threads:    any function, any thread.
 * Blocking:   never.
 * Allocation: never: rooms are the caller's.
 */
#ifndef WEIR_PROPAGATION_H
#define WEIR_PROPAGATION_H

#include <weir/trace.h>

WEIR_BEGIN_DECLS

#define WEIR_TRACEPARENT_SIZE 56   /**< Of a traceparent, with its NUL. */
#define WEIR_BAGGAGE_SIZE     8193 /**< The same of baggage. */

/** Formats, to be added up. */
typedef enum weir_propagation {
    WEIR_PROPAGATE_TRACECONTEXT = 1, /**< traceparent and tracestate. */
    WEIR_PROPAGATE_BAGGAGE = 2,      /**< baggage. */
    WEIR_PROPAGATE_B3 = 4,           /**< b3, in one header. */
    WEIR_PROPAGATE_B3MULTI = 8,      /**< X-B3-TraceId, and so on. */
    WEIR_PROPAGATE_JAEGER = 16,      /**< uber-trace-id. */
} weir_propagation;

#define WEIR_PROPAGATE_DEFAULT 3u /**< tracecontext and baggage. */

/** Headers of a request, metadata of a message, an environment. */
typedef struct weir_carrier {
    /** The value of a field, of several the one with this index, from 0; false: there is none.
     * `name` is in lower case, and means any. The value is valid until extract returns. */
    bool (*get)(void *self, const char *name, size_t index, const char **value, size_t *size);
    /** Set a field, in place of all of that name; false: no room. Both are valid within the call.*/
    bool (*set)(void *self, const char *name, const char *value, size_t size);
    void *self;
} weir_carrier;

/**
 * The environment of this process: TRACEPARENT, TRACESTATE, BAGGAGE, and so on. To set is setenv(),
 * which no other thread may watch: between fork and exec, or before there are threads.
 */
WEIR_API weir_carrier weir_carrier_environment(void);

/**
 * Formats by their names in OTEL_PROPAGATORS, with commas between: "tracecontext,baggage", "b3",
 * "b3multi", "jaeger", "none".
 *
 * @return WEIR_OK; WEIR_EINVAL: a name is unknown; *formats is what the others say.
 */
WEIR_API WEIR_MUST_CHECK int weir_propagation_parse(const char *list, unsigned *formats);

/**
 * The context that a carrier has: of several formats, the first in the order above.
 *
 * @param context  set: zero, unless WEIR_OK; `remote` then.
 * @param state    room of WEIR_TRACESTATE_SIZE, that context->state points to.
 * @return WEIR_OK; WEIR_ENOTFOUND: there is none; WEIR_EPROTOCOL: there is, and it is malformed.
 */
WEIR_API WEIR_MUST_CHECK int weir_propagation_extract(unsigned formats, const weir_carrier *carrier,
                                                      weir_trace_context *context, char *state);

/**
 * Put a context into a carrier, in all of these formats but baggage.
 *
 * @return WEIR_OK; WEIR_EINVAL: it is not valid, and nothing was set; WEIR_ENOMEM: no room.
 */
WEIR_API WEIR_MUST_CHECK int weir_propagation_inject(unsigned formats,
                                                     const weir_trace_context *context,
                                                     const weir_carrier *carrier);

/* ---- W3C Trace Context ---- */

/** Read a traceparent. WEIR_OK, or WEIR_EPROTOCOL with *out zero. Blanks around it do not count. */
WEIR_API WEIR_MUST_CHECK int weir_traceparent_parse(weir_trace_context *out, const char *text,
                                                    size_t size);
/** Write one, of version 00: `out` has WEIR_TRACEPARENT_SIZE. */
WEIR_API void weir_traceparent_format(const weir_trace_context *context, char *out);

/** The value of a key of a tracestate, within it; false: it has none. */
WEIR_API bool weir_tracestate_get(const char *state, const char *key, const char **value,
                                  size_t *size);
/**
 * Put a member at the front, in place of the one with its key, or, with value NULL, remove that. If
 * it gets too long, members of more than 128 bytes go first, then those at the end.
 *
 * @param out    room of WEIR_TRACESTATE_SIZE, not where `state` is.
 * @param state  NULL = empty.
 * @return WEIR_OK; WEIR_EINVAL: no such key or value is allowed; *out is as `state`.
 */
WEIR_API WEIR_MUST_CHECK int weir_tracestate_set(char *out, const char *state, const char *key,
                                                 const char *value);

/* ---- W3C Baggage ---- */

/** One member, within the text: as it is there, percent-encoded. */
typedef struct weir_baggage_member {
    const char *key;
    size_t key_size;
    const char *value;
    size_t value_size;
    const char *properties; /**< Behind the first ';', opaque; may be empty. */
    size_t properties_size;
} weir_baggage_member;

/**
 * What a carrier has of baggage: well-formed members alone, one list of several headers, each
 * key's last value, and whole members only up to the room.
 *
 * @param out  room of WEIR_BAGGAGE_SIZE; empty if there is none.
 * @return WEIR_OK; WEIR_ENOTFOUND: none; WEIR_ETOOLARGE: some had no room, and are left out.
 */
WEIR_API WEIR_MUST_CHECK int weir_baggage_extract(const weir_carrier *carrier, char *out);
/** WEIR_OK, also if it is empty, when nothing is set; WEIR_ENOMEM: no room. */
WEIR_API WEIR_MUST_CHECK int weir_baggage_inject(const char *baggage, const weir_carrier *carrier);

/** Go through the members: *at is 0 at first. False: there are no more. */
WEIR_API bool weir_baggage_next(const char *baggage, size_t *at, weir_baggage_member *member);
/**
 * The value of a key, decoded; bytes that are not UTF-8 become U+FFFD.
 *
 * @param out   room for it and a NUL; may be NULL if `room` is 0.
 * @param size  NULL, or set: without its NUL, also if it has no room.
 * @return WEIR_OK; WEIR_ENOTFOUND; WEIR_ETOOLARGE.
 */
WEIR_API WEIR_MUST_CHECK int weir_baggage_get(const char *baggage, const char *key, char *out,
                                              size_t room, size_t *size);
/**
 * Put a member, in place of the one with its key, or, with value NULL, remove that. What a value
 * may not have is percent-encoded.
 *
 * @param out      room of WEIR_BAGGAGE_SIZE, not where `baggage` is.
 * @param baggage  NULL = empty.
 * @return WEIR_OK; WEIR_EINVAL: the key is no token (RFC 9110, 5.6.2); WEIR_ETOOLARGE: it has no
 *         room; *out is as `baggage`.
 */
WEIR_API WEIR_MUST_CHECK int weir_baggage_set(char *out, const char *baggage, const char *key,
                                              const char *value);

WEIR_END_DECLS

#endif

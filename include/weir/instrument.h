/**
 * @file weir/instrument.h
 * Instrumentation: spans and metrics of HTTP requests that are served and made, and of callers, put
 * together from tracer, propagation and metrics. Names are those of OpenTelemetry's semantic
 * conventions for HTTP; what these do not know begins with "weir.".
 *
 *   request --> weir_instrument_serve() ----- server span, http.server.request.duration
 *                  |
 *                  +-- attempt --> weir_instrument_call() ----- client span, its headers,
 *                  |                                            http.client.request.duration
 *   caller events --> weir_instrument_on_caller() ----- weir.caller....: calls, attempts by member,
 *                                                       rejections, breakers, ejections
 *
 * Families, in seconds where they are durations:
 *
 *   http.server.request.duration   http.request.method, http.response.status_code, http.route,
 *                                  error.type, url.scheme
 *   http.server.active_requests    http.request.method, url.scheme
 *   http.client.request.duration   http.request.method, http.response.status_code,
 *                                  server.address, server.port, error.type
 *   weir.caller.call.duration      weir.service, weir.outcome
 *   weir.caller.attempt.duration   weir.service, weir.member, weir.outcome
 *   weir.caller.rejections         weir.service, weir.stage
 *   weir.caller.breaker.changes    weir.service, weir.member, weir.state
 *   weir.caller.ejections          weir.service, weir.member
 *
 * A label that does not apply is "", which Prometheus takes for none. A method that is none of RFC
 * 9110's, nor PATCH, is "_OTHER". Query strings are told to nobody.
 *
 * Threads:    any function, any thread; one weir_server_call or weir_client_call belongs to one at
 *             a time. destroy comes last.
 * Blocking:   never; the first event of a new set of labels takes a lock.
 * Allocation: for each new set of labels; as a tracer does for spans.
 */
#ifndef WEIR_INSTRUMENT_H
#define WEIR_INSTRUMENT_H

#include <weir/caller.h>
#include <weir/http.h>
#include <weir/metrics.h>
#include <weir/propagation.h>
#include <weir/tracer.h>

WEIR_BEGIN_DECLS

typedef struct weir_instrument weir_instrument;

/** Start from WEIR_INSTRUMENT_OPTIONS_INIT. What is given is borrowed: it outlives this. */
typedef struct weir_instrument_options {
    size_t struct_size;    /**< Set by the macro; leave alone. */
    weir_tracer *tracer;   /**< NULL: contexts are passed on as they came. */
    weir_metrics *metrics; /**< NULL: none. */
    unsigned formats;      /**< A sum of weir_propagation; baggage goes its own way. */
    const weir_env *env;   /**< NULL for defaults; copied. */
} weir_instrument_options;

#define WEIR_INSTRUMENT_OPTIONS_INIT                                                               \
    {                                                                                              \
        .struct_size = sizeof(weir_instrument_options), .tracer = NULL, .metrics = NULL,           \
        .formats = WEIR_PROPAGATE_DEFAULT, .env = NULL                                             \
    }

/**
 * Create the families, and what uses them.
 *
 * @return WEIR_OK; WEIR_EINVAL; WEIR_EEXISTS: the metrics have such families already; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_instrument_create(weir_instrument **out,
                                                    const weir_instrument_options *options);

/** Free it; NULL is allowed. Its families stay with the metrics. */
WEIR_API void weir_instrument_destroy(weir_instrument *instrument);

/** Whether a header carries a trace context, in one of the formats: who forwards a request leaves
 * these out, and adds those of a weir_client_call. */
WEIR_API bool weir_instrument_is_carrier(const weir_instrument *instrument, weir_http_slice name);

#define WEIR_SERVER_CALL_ROUTE 128 /**< Of a route, with its NUL; a longer one is cut off. */

/** A request that is served; yours, and not moved until it ends. */
typedef struct weir_server_call {
    weir_span span; /**< To set more attributes; its context is the parent of what is done. */
    weir_instrument *instrument; /**< Private, as all below. NULL: it is over. */
    const char *method;
    uint64_t began_ns;
    char route[WEIR_SERVER_CALL_ROUTE];
    char remote_state[WEIR_TRACESTATE_SIZE];
} weir_server_call;

/**
 * A request has come: the span continues the trace that it says.
 *
 * @param instrument  NULL: nothing is told of it; the call may be used, all the same.
 * @param route   the pattern that it matched, e.g. "/orders/:id": of few values; "" = not known.
 * @param peer    who sent it, or NULL.
 * @param now_ns  monotonic.
 */
WEIR_API void weir_instrument_serve(weir_instrument *instrument, weir_server_call *call,
                                    const weir_http_request *request, const char *route,
                                    const weir_address *peer, uint64_t now_ns);

/**
 * It is over; a second time, nothing.
 *
 * @param status  that was answered; 0 = none. 500 and above are errors.
 * @param error   what went wrong, of few values, or NULL: "" and 500 tell by the status.
 */
WEIR_API void weir_instrument_served(weir_server_call *call, int status, const char *error,
                                     uint64_t now_ns);

#define WEIR_CLIENT_CALL_HEADERS 8

/** A request that is made; yours, and not moved until it ends. */
typedef struct weir_client_call {
    weir_span span;
    /** To be sent with it; valid until it ends. */
    weir_http_header headers[WEIR_CLIENT_CALL_HEADERS];
    size_t header_count;
    weir_instrument *instrument; /**< Private, as all below. */
    const char *method;
    uint64_t began_ns;
    char address[WEIR_ADDRESS_TEXT_SIZE], port[8];
    size_t text_size;
    char text[1024];
} weir_client_call;

/** What is known of it. Zero-initialize. */
typedef struct weir_client_call_info {
    const weir_trace_context *parent; /**< Or NULL. */
    weir_http_slice method;
    weir_http_slice path;        /**< Its query is left out. */
    const weir_address *address; /**< Of whom it goes to. */
    const char *service;         /**< Or NULL. */
    const char *member;          /**< Or NULL. */
    uint32_t attempt;            /**< 1 for the first. */
} weir_client_call_info;

/** A request is about to be made. */
WEIR_API void weir_instrument_call(weir_instrument *instrument, weir_client_call *call,
                                   const weir_client_call_info *info, uint64_t now_ns);

/**
 * It is over; a second time, nothing.
 *
 * @param status  of the response; 0 = there was none. 400 and above are errors.
 * @param error   as weir_instrument_served(): "timeout", "connection_refused".
 */
WEIR_API void weir_instrument_called(weir_client_call *call, int status, const char *error,
                                     uint64_t now_ns);

/** Tell of what a caller says: from weir_caller_options.on_event, or weir_mesh's on_call. */
WEIR_API void weir_instrument_on_caller(weir_instrument *instrument, const char *service,
                                        const weir_caller_event *event);

/**
 * Add what any program shows of itself: Prometheus' process_... metrics, as far as the system tells
 * them (all of them on Linux; CPU time and the limit of descriptors elsewhere); weir.build_info;
 * and of a tracer its exported and dropped spans, and its queue. They are read at each scrape, by
 * system calls.
 *
 * @param tracer  or NULL; outlives the metrics.
 * @return WEIR_OK; WEIR_EEXISTS; WEIR_ENOMEM: some are there, and some are not.
 */
WEIR_API WEIR_MUST_CHECK int weir_instrument_process(weir_metrics *metrics, weir_tracer *tracer);

WEIR_END_DECLS

#endif

/**
 * @file weir/probe_http.h
 * A prober for weir_health: asks for a page, and looks at its status and, if told so, at its body.
 *
 *   health: start(run) ---> request over the client's idle connection, or a new one
 *                                |
 *   health: done(token) <--- status among `expect`, and the body has `body`: pass
 *                            status among `warn`: warning; else: fail, with the status as figure
 *
 *     check.start = weir_probe_http_start;
 *     check.cancel = weir_probe_http_cancel;
 *     check.user = probe;
 *
 * The timeout is the check's: it cancels what takes too long. Connections are kept as the client is
 * told; one that serves checks alone wants max_idle_per_address = 1. Want of memory or descriptors
 * here says nothing of the target: the run abstains.
 *
 * Threads:    the loop's thread, which is to run the checker's task, too.
 * Blocking:   never.
 * Allocation: in create; per request in the client.
 */
#ifndef WEIR_PROBE_HTTP_H
#define WEIR_PROBE_HTTP_H

#include <weir/health.h>
#include <weir/http.h>

WEIR_BEGIN_DECLS

typedef struct weir_probe_http weir_probe_http;

/** Start from WEIR_PROBE_HTTP_OPTIONS_INIT, then change what you need. Strings are copied. */
typedef struct weir_probe_http_options {
    size_t struct_size;              /**< Set by the macro; leave alone. */
    const char *address;             /**< As weir_address_parse(), with a port; required. */
    const char *method;              /**< A token, but CONNECT. */
    const char *target;              /**< "/path?query". */
    const char *host;                /**< The Host header; NULL = the address. */
    const weir_http_header *headers; /**< More of them; copied. */
    size_t header_count;             /**< 0..64. */
    const char *expect; /**< Statuses that pass: "200-299,401", 1 to 8 ranges within 200..599. */
    const char *warn;   /**< Statuses that warn, likewise; NULL = none. */
    const char *body; /**< Bytes that a passing body has, 1..255; NULL = any body. Not for HEAD. */
    uint32_t body_bytes; /**< What is read of a body, 1..16777216; a longer one is cut off. */
} weir_probe_http_options;

#define WEIR_PROBE_HTTP_OPTIONS_INIT                                                               \
    {                                                                                              \
        .struct_size = sizeof(weir_probe_http_options), .address = NULL, .method = "GET",          \
        .target = "/", .host = NULL, .headers = NULL, .header_count = 0, .expect = "200-299",      \
        .warn = NULL, .body = NULL, .body_bytes = 65536                                            \
    }

/**
 * Create a prober of one target.
 *
 * @param out     receives the prober, which the caller must destroy; NULL on failure.
 * @param client  borrowed: outlives the prober. Its loop's environment is used.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_probe_http_create(weir_probe_http **out, weir_http_client *client,
                                                    const weir_probe_http_options *options);

/** Give up a run, which is told nothing, and free. NULL is allowed. After its check is removed. */
WEIR_API void weir_probe_http_destroy(weir_probe_http *probe);

/** A weir_health_start_fn; user: the prober. */
WEIR_API void weir_probe_http_start(const weir_health_run *run, weir_health_result *result,
                                    void *user);

/** A weir_health_cancel_fn; user: the prober. */
WEIR_API void weir_probe_http_cancel(const weir_health_run *run, void *user);

WEIR_END_DECLS

#endif

/**
 * @file weir/probe_tcp.h
 * A prober for weir_health: connects, and if told so sends some bytes and waits for others.
 *
 *   health: start(run) ---> connect ---> send ---> wait for `expect` ---> done(token), reset
 *                              |  refused: fail         |  closed before, or max_bytes came: fail
 *
 *     check.start = weir_probe_tcp_start;
 *     check.cancel = weir_probe_tcp_cancel;
 *     check.user = probe;
 *
 * As HAProxy does, the connection is reset rather than closed, and where there is TCP_QUICKACK the
 * last packet of the handshake is held back: three packets a check, and no socket in TIME_WAIT.
 * A server that logs resets as errors wants an HTTP check. The timeout is the check's.
 *
 * Threads:    the loop's thread, which is to run the checker's task, too.
 * Blocking:   never.
 * Allocation: in create; a watch per run that is not over at once.
 */
#ifndef WEIR_PROBE_TCP_H
#define WEIR_PROBE_TCP_H

#include <weir/health.h>
#include <weir/loop.h>

WEIR_BEGIN_DECLS

typedef struct weir_probe_tcp weir_probe_tcp;

/** Start from WEIR_PROBE_TCP_OPTIONS_INIT, then change what you need. Bytes are copied. */
typedef struct weir_probe_tcp_options {
    size_t struct_size;  /**< Set by the macro; leave alone. */
    const char *address; /**< As weir_address_parse(), with a port; required. */
    const void *send;    /**< Sent once it is connected; NULL = nothing. */
    size_t send_size;    /**< 0..65536. */
    const void *expect;  /**< Bytes that must come, anywhere in what comes; NULL = none. */
    size_t expect_size;  /**< 0..255. */
    uint32_t max_bytes;  /**< What is read before it fails, 1..16777216. */
} weir_probe_tcp_options;

#define WEIR_PROBE_TCP_OPTIONS_INIT                                                                \
    {                                                                                              \
        .struct_size = sizeof(weir_probe_tcp_options), .address = NULL, .send = NULL,              \
        .send_size = 0, .expect = NULL, .expect_size = 0, .max_bytes = 65536                       \
    }

/**
 * Create a prober of one target.
 *
 * @param out   receives the prober, which the caller must destroy; NULL on failure.
 * @param loop  borrowed: outlives the prober, and lends its environment.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_probe_tcp_create(weir_probe_tcp **out, weir_loop *loop,
                                                   const weir_probe_tcp_options *options);

/** Give up a run, which is told nothing, and free. NULL is allowed. After its check is removed. */
WEIR_API void weir_probe_tcp_destroy(weir_probe_tcp *probe);

/** A weir_health_start_fn; user: the prober. */
WEIR_API void weir_probe_tcp_start(const weir_health_run *run, weir_health_result *result,
                                   void *user);

/** A weir_health_cancel_fn; user: the prober. */
WEIR_API void weir_probe_tcp_cancel(const weir_health_run *run, void *user);

WEIR_END_DECLS

#endif

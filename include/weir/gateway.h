/**
 * @file weir/gateway.h
 * A reverse proxy out of weir's parts: routes HTTP requests to services, each behind a weir_caller,
 * streams bodies both ways, and answers an admin address. examples/sidecar is a program around it.
 *
 *   client --> proxy server --route--> caller: balancer, breakers, limiter, retry
 *                  ^                      | attempt        ^ unhealthy: not picked
 *                  +----- streams ----- client connections --> members <-- health checks
 *                                         ^
 *   file, PUT /config/... --> config center --> mesh <-- registry <-- PUT /services/...
 *
 *   operator --> admin server: /healthz /readyz /status (JSON) /metrics (Prometheus, OpenMetrics)
 *                              /config /services (weir/admin.h), and yours
 *
 * Services are those that the config center has a route of, below "services/"; a configuration file
 * is one source of what is there. Members are the file's, and who has registered.
 *
 * What a client gets from the gateway itself, as text/plain: 404 no route; 429 over the limit and
 * 503 nobody able, both with Retry-After where it is known or 1 s; 502 the member broke the call;
 * 504 a deadline; 408 the client was too slow; 400, 413, 414, 431, 501, 505 as weir_http_server
 * says; 500 out of memory.
 * An answer of a member, error or not, is passed on as it is when no retry follows.
 *
 * Retried are attempts that cannot have reached the member, and of requests safe to repeat (GET,
 * HEAD, OPTIONS, TRACE, PUT, DELETE: RFC 9110, 9.2.2) also those that failed before the response
 * began, or with a status of 500 or above; of a body, up to 64 KiB are kept to be sent again, and a
 * request with more is not repeated. Hop-by-hop headers stay behind; X-Forwarded-For is extended,
 * X-Forwarded-Proto set, X-Request-Id kept or made.
 *
 * With a tracer, a request continues the trace that it comes with: a server span for it, a client
 * span for each attempt, whose context the member gets. What is counted is in weir/instrument.h,
 * and weir.member, .breaker, .limiter, .health, .registry, .store and others beside it.
 *
 * Threads:    all functions on the loop's thread; configurations on any, one at a time.
 * Blocking:   never; but with `data`, a change of configuration or registration is written, and
 *             synced, on the loop's thread, with all that came since the last.
 * Allocation: per request; per request that is retried; in create and update.
 */
#ifndef WEIR_GATEWAY_H
#define WEIR_GATEWAY_H

#include <weir/http.h>
#include <weir/mesh.h>
#include <weir/metrics.h>
#include <weir/propagation.h>
#include <weir/tracer.h>

WEIR_BEGIN_DECLS

typedef struct weir_gateway weir_gateway;
typedef struct weir_gateway_config weir_gateway_config;

/** What is wrong with a configuration. */
typedef struct weir_gateway_error {
    uint32_t line;     /**< From 1; 0 = the text as a whole. */
    char field[64];    /**< Directive, with its option if any: "breaker.failures". */
    char message[128]; /**< English. */
} weir_gateway_error;

/** The value of ${name} in a configuration, or NULL if there is none. */
typedef const char *(*weir_gateway_variable_fn)(const char *name, void *user);

/**
 * Read a configuration: a directive a line, "#" begins a comment, ${name} is replaced. Lines before
 * the first `service` are the gateway's:
 *
 *     proxy 127.0.0.1:8080            where clients come in; port 0 = any
 *     admin 127.0.0.1:8081            where operators, and programs that register, come in
 *     token WORD                      what these must know; without one, only reads are answered,
 *                                     and only on this machine
 *     data FOLDER                     where the config center and the registry are kept; without
 *                                     one, in memory
 *     environment NAME, label NAME    whose layers of the config center are in force here
 *     max_header 16k                  of a request; over it is 431. 256 to 1m
 *     max_body 10m                    of a request; over it is 413. Default: no limit
 *     idle_timeout 60s                of a client's connection
 *     header_timeout 10s              for a request's head to come in
 *
 * The rest belong to the service above them; all but route may be left out. They are those of
 * weir/mesh.h, where a service has its line `members` as one of these for each:
 *
 *     member ID ADDRESS [weight=1] [priority=0] [max_in_flight=N] [zone=TEXT]
 *
 * and these of the gateway:
 *
 *     service NAME
 *     route /prefix                   the longest prefix of whole path segments wins
 *     hash header NAME, cookie NAME, source or path       the key, for algorithms that hash
 *     sticky cookie NAME, or header NAME      a client stays with the member whose id is in there;
 *                                             the cookie is set for it
 *     health http /PATH [method=GET] [host=TEXT] [expect=200-299] [warn=429] [body=TEXT] [CHECK]
 *     health tcp [send=BYTES] [expect=BYTES] [CHECK]
 *             CHECK is: [interval=2s] [timeout=1s] [rise=2] [fall=3] [fast=DURATION]
 *             [down=DURATION] [jitter=5%] [start=unknown, up or down] [port=N]
 *             [idle=DURATION, the interval without traffic] [skip=N, checks in a row that calls
 *             that succeed stand for]
 *     health off                      members are not checked by default
 *     connect_timeout 3s
 *
 * Of outlier detection: 502, 503 and 504 are failures of a gateway, no answer at all is of local
 * origin, 429 and 503 with Retry-After eject nobody. Load reports come in ORCA's response header,
 * endpoint-load-metrics, in its TEXT form. `health` takes the meanings of
 * weir_health_check_options, weir_probe_http_options and weir_probe_tcp_options: a member that its
 * checks find down is picked no more until they find it up, and that also ends an ejection of it.
 * TEXT has no blanks; BYTES may say \r \n \t \s (a space) \0 \\ and \xHH.
 *
 * @param out       receives the configuration, which the caller must destroy; NULL on failure.
 * @param variable  NULL = the process environment.
 * @param env       NULL for defaults; copied.
 * @param error     set on WEIR_EINVAL.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_gateway_config_parse(weir_gateway_config **out, const char *text,
                                                       size_t size,
                                                       weir_gateway_variable_fn variable,
                                                       void *user, const weir_env *env,
                                                       weir_gateway_error *error);

/** NULL is allowed. A gateway keeps nothing of a configuration. */
WEIR_API void weir_gateway_config_destroy(weir_gateway_config *config);

/** Start from WEIR_GATEWAY_OPTIONS_INIT. */
typedef struct weir_gateway_options {
    size_t struct_size; /**< Set by the macro; leave alone. */
    /** Admin requests for other paths, from those who may; NULL = 404. */
    weir_http_request_fn on_admin;
    /** Something, whose name this is in the config center or the registry, cannot be put in force:
     * what was before stays. May be NULL. */
    void (*on_problem)(const char *name, const char *message, void *user);
    void *user; /**< Passed to both; borrowed. */
    /** Spans of requests and attempts; outlives the gateway. NULL: trace contexts are passed on as
     * they come, and nobody is told of them. */
    weir_tracer *tracer;
    unsigned formats; /**< With a tracer: a sum of weir_propagation, which are read and written. */
} weir_gateway_options;

#define WEIR_GATEWAY_OPTIONS_INIT                                                                  \
    {                                                                                              \
        .struct_size = sizeof(weir_gateway_options), .on_admin = NULL, .on_problem = NULL,         \
        .user = NULL, .tracer = NULL, .formats = WEIR_PROPAGATE_DEFAULT                            \
    }

/**
 * Listen on the configured addresses and serve. The environment is the loop's.
 *
 * @param error  set on WEIR_EINVAL, WEIR_ESYSTEM (which address or file, and why), WEIR_EBUSY (the
 *               folder is another's) and WEIR_ECORRUPT (where).
 * @return WEIR_OK, WEIR_EINVAL, WEIR_ENOMEM, WEIR_ESYSTEM (errno), WEIR_EBUSY or WEIR_ECORRUPT.
 */
WEIR_API WEIR_MUST_CHECK int weir_gateway_create(weir_gateway **out, weir_loop *loop,
                                                 const weir_gateway_config *config,
                                                 const weir_gateway_options *options,
                                                 weir_gateway_error *error);

/** Close everything at once; requests in progress are cut. NULL is allowed. Not in a callback. */
WEIR_API void weir_gateway_destroy(weir_gateway *gateway);

/**
 * Put another configuration in force: the file says what it now has, and no longer what it had.
 * What others have put into the config center meanwhile stays, unless the file says otherwise.
 * Services and members that stay keep breakers, limits, counts and, where nothing about them has
 * changed, checks; requests in progress end under the service that they began with. The lines
 * before the first service, but for the token, must be as they were: their change needs a new
 * process.
 *
 * @return WEIR_OK; WEIR_EINVAL (*error says what must not change, or cannot be): nothing has;
 *         WEIR_ENOMEM: nothing has, or some will once there is memory; WEIR_ESYSTEM,
 *         WEIR_EREADONLY: it cannot be kept in the folder, and nothing has changed.
 */
WEIR_API WEIR_MUST_CHECK int weir_gateway_update(weir_gateway *gateway,
                                                 const weir_gateway_config *config,
                                                 weir_gateway_error *error);

/**
 * Turn /readyz to 503, accept no new clients, finish what runs, then tell. The admin address stays.
 *
 * @param on_drained  told once when no client is left; may be NULL.
 */
WEIR_API void weir_gateway_drain(weir_gateway *gateway, void (*on_drained)(void *user), void *user);

/** What it stands on, for the program around it; they live as long as the gateway. */
WEIR_API weir_config *weir_gateway_get_config(const weir_gateway *gateway);
WEIR_API weir_registry *weir_gateway_get_registry(const weir_gateway *gateway);
WEIR_API weir_mesh *weir_gateway_get_mesh(const weir_gateway *gateway);

/** What /metrics shows; families of the program's own may be added. It is scraped and collected on
 * the loop's thread. Lives as long as the gateway. */
WEIR_API weir_metrics *weir_gateway_get_metrics(const weir_gateway *gateway);

/** Where clients come in, with the port the system chose. */
WEIR_API weir_address weir_gateway_address(const weir_gateway *gateway);

/** Where operators come in, with the port the system chose. */
WEIR_API weir_address weir_gateway_admin_address(const weir_gateway *gateway);

WEIR_END_DECLS

#endif

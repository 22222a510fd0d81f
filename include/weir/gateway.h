/**
 * @file weir/gateway.h
 * A reverse proxy out of weir's parts: routes HTTP requests to services, each behind a weir_caller,
 * streams bodies both ways, and answers an admin address. examples/sidecar is a program around it.
 *
 *   client --> proxy server --route--> caller: balancer, breakers, limiter, retry
 *                  ^                      | attempt        ^ unhealthy: not picked
 *                  +----- streams ----- client connections --> members <-- health checks
 *
 *   operator --> admin server: /healthz /readyz /status (JSON) /metrics (Prometheus), and yours
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
 * Threads:    all functions on the loop's thread; configurations on any, one at a time.
 * Blocking:   never.
 * Allocation: per request; per request that is retried; in create and update.
 */
#ifndef WEIR_GATEWAY_H
#define WEIR_GATEWAY_H

#include <weir/http.h>

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
 *     admin 127.0.0.1:8081            where operators come in
 *     max_header 16k                  of a request; over it is 431. 256 to 1m
 *     max_body 10m                    of a request; over it is 413. Default: no limit
 *     idle_timeout 60s                of a client's connection
 *     header_timeout 10s              for a request's head to come in
 *
 * The rest belong to the service above them; all but route and member may be left out:
 *
 *     service NAME
 *     route /prefix                   the longest prefix of whole path segments wins
 *     balance ALGORITHM [choices=2] [bias=1] [decay=10s] [failure_latency=1s] [table=65537]
 *             [ring=POINTS] [bound=PERCENT]        names as weir_balancer_algorithm_name() has them
 *     hash header NAME, cookie NAME, source or path       the key, for algorithms that hash
 *     sticky cookie NAME, or header NAME      a client stays with the member whose id is in there;
 *                                             the cookie is set for it
 *     spill 140%                      of its health that a priority carries; or: spill off
 *     panic 50%                       below it, health is not believed; or: panic off
 *     zone NAME                       ours: its members are preferred
 *     aperture N                      use only N members a priority
 *     slow_start DURATION [from=10%] [aggression=1]
 *     recovery MEMBERS [hold=10s]     after a total outage, until so many are back
 *     reports on [blackout=10s] [expiry=3m] [update=1s] [penalty=1]
 *                                     weights out of what members tell in ORCA's response header,
 *                                     endpoint-load-metrics, in its TEXT form; or: reports off
 *     outlier [consecutive=5] [gateway=N] [local=N] [deviation=1900] [deviation_hosts=5]
 *             [deviation_calls=100] [failures=85%] [failures_hosts=5] [failures_calls=50]
 *             [slow=PERCENT] [slow_floor=100ms] [slow_hosts=3] [slow_calls=50] [interval=10s]
 *             [base=30s] [max=300s] [jitter=1s] [share=10%] [dry_run]
 *     outlier off                     nobody is ejected by default
 *     member ID ADDRESS [weight=1] [priority=0] [max_in_flight=N] [zone=TEXT]     one or more
 *     limit COUNT/UNIT [burst=COUNT] [dry_run]            UNIT is s, m or h; or: limit off
 *     breaker [failures=50%] [slow=PERCENT] [slow_after=60s] [minimum=20] [window=100 or =10s]
 *             [consecutive=N] [rest=5s] [rest_max=60s] [probes=5] [lease=30s] [ramp=DURATION]
 *     breaker off                     a breaker is on by default
 *     retry attempts=N [base=100ms] [cap=10s] [jitter=full, equal, decorrelated or none]
 *     health http /PATH [method=GET] [host=TEXT] [expect=200-299] [warn=429] [body=TEXT] [CHECK]
 *     health tcp [send=BYTES] [expect=BYTES] [CHECK]
 *             CHECK is: [interval=2s] [timeout=1s] [rise=2] [fall=3] [fast=DURATION]
 *             [down=DURATION] [jitter=5%] [start=unknown, up or down] [port=N]
 *             [idle=DURATION, the interval without traffic] [skip=N, checks in a row that calls
 *             that succeed stand for]
 *     health off                      members are not checked by default
 *     timeout 15s                     of a request, retries included
 *     attempt_timeout DURATION        of one attempt
 *     connect_timeout 3s
 *
 * What balances is told in weir_balancer_options, what ejects in weir_outlier_options: 502, 503 and
 * 504 are failures of a gateway, no answer at all is of local origin, 429 and 503 with Retry-After
 * eject nobody. `health` takes the meanings of weir_health_check_options, weir_probe_http_options
 * and weir_probe_tcp_options: a member that its checks find down is picked no more until they find
 * it up, and that also ends an ejection of it. TEXT has no blanks; BYTES may say \r \n \t \s
 * (a space) \0 \\ and \xHH.
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
    size_t struct_size;            /**< Set by the macro; leave alone. */
    weir_http_request_fn on_admin; /**< Admin requests for other paths; NULL = 404. */
    void *user;                    /**< Passed to on_admin; borrowed. */
} weir_gateway_options;

#define WEIR_GATEWAY_OPTIONS_INIT                                                                  \
    {                                                                                              \
        .struct_size = sizeof(weir_gateway_options), .on_admin = NULL, .user = NULL                \
    }

/**
 * Listen on the configured addresses and serve. The environment is the loop's.
 *
 * @param error  set on WEIR_EINVAL and WEIR_ESYSTEM (which address, and why).
 * @return WEIR_OK, WEIR_EINVAL, WEIR_ENOMEM or WEIR_ESYSTEM (errno).
 */
WEIR_API WEIR_MUST_CHECK int weir_gateway_create(weir_gateway **out, weir_loop *loop,
                                                 const weir_gateway_config *config,
                                                 const weir_gateway_options *options,
                                                 weir_gateway_error *error);

/** Close everything at once; requests in progress are cut. NULL is allowed. Not in a callback. */
WEIR_API void weir_gateway_destroy(weir_gateway *gateway);

/**
 * Put another configuration in force. Services and members that stay keep breakers, limits,
 * counts and, where nothing about them has changed, checks; requests in progress end under the
 * service that they began with. The lines before the first service must be as they were: their
 * change needs a new process.
 *
 * @return WEIR_OK, WEIR_EINVAL (*error says what must not change) or WEIR_ENOMEM: the services of
 *         the old configuration go on, some with options of the new.
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

/** Where clients come in, with the port the system chose. */
WEIR_API weir_address weir_gateway_address(const weir_gateway *gateway);

/** Where operators come in, with the port the system chose. */
WEIR_API weir_address weir_gateway_admin_address(const weir_gateway *gateway);

WEIR_END_DECLS

#endif

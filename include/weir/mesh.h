/**
 * @file weir/mesh.h
 * Guarded calls to services as they are wanted and as they are: for each service in use a
 * weir_caller, its policies out of a weir_config, its members out of a weir_registry.
 *
 *   weir_config    services/orders/limit = "100/s burst=20"  ---+
 *                  services/orders/members = "a 10.0.0.1:80"    +--> task --> weir_caller "orders"
 *   weir_registry  orders: b 10.0.0.2:80, c 10.0.0.3:80      ---+
 *
 * A change, of whichever, is in force after one run of the task, and resets nothing: breakers,
 * limits, counts and calls under way go on. A name in the config is <prefix><service>/<directive>;
 * <prefix>_/<directive> is for all services that have none of their own. Layers and gray releases
 * work as for any name, so that a policy can be one environment's, or tried on a few clients.
 *
 *     balance ALGORITHM [choices=2] [bias=1] [decay=10s] [failure_latency=1s] [table=65537]
 *             [ring=POINTS] [bound=PERCENT]        names as weir_balancer_algorithm_name() has them
 *     spill 140%                      of its health that a priority carries; or: spill off
 *     panic 50%                       below it, health is not believed; or: panic off
 *     zone NAME                       ours: its members are preferred
 *     aperture N                      use only N members a priority
 *     slow_start DURATION [from=10%] [aggression=1]
 *     recovery MEMBERS [hold=10s]     after a total outage, until so many are back
 *     reports on [blackout=10s] [expiry=3m] [update=1s] [penalty=1]        or: reports off
 *                                     weights out of what members tell: weir_balancer_report()
 *     outlier [consecutive=5] [gateway=N] [local=N] [deviation=1900] [deviation_hosts=5]
 *             [deviation_calls=100] [failures=85%] [failures_hosts=5] [failures_calls=50]
 *             [slow=PERCENT] [slow_floor=100ms] [slow_hosts=3] [slow_calls=50] [interval=10s]
 *             [base=30s] [max=300s] [jitter=1s] [share=10%] [dry_run]
 *     outlier off                     nobody is ejected by default
 *     limit COUNT/UNIT [burst=COUNT] [dry_run]            UNIT is s, m or h; or: limit off
 *     breaker [failures=50%] [slow=PERCENT] [slow_after=60s] [minimum=20] [window=100 or =10s]
 *             [consecutive=N] [rest=5s] [rest_max=60s] [probes=5] [lease=30s] [ramp=DURATION]
 *     breaker off                     a breaker a member is on by default
 *     retry attempts=N [base=100ms] [cap=10s] [jitter=full, equal, decorrelated or none]
 *     retry off                       one attempt by default
 *     timeout 15s                     of a call, retries included
 *     attempt_timeout DURATION        of one attempt
 *     endpoint NAME                   of instances, to be called in place of their host and port
 *     members ...                     each a line: ID ADDRESS [weight=1] [priority=0]
 *                                     [max_in_flight=N] [zone=TEXT]
 *
 * What they mean is told in the options of weir_balancer, weir_outlier, weir_limiter, weir_breaker,
 * weir_retry and weir_caller. The value in the config is what follows the directive's name here.
 * A malformed value is refused where it is written, through this mesh's config; one that others
 * wrote is told of, and leaves the policy of its service as it was.
 *
 * Members are those of the directive, in its order, then the available instances of the registry,
 * by id, except such as have the id of the former. Of an instance come id, address (host:port,
 * "[host]:port" if there is a ':' in host), weight, zone, and its metadata as labels. While the
 * registry is not synced, whom it last knew stay.
 *
 * Threads:    weir_mesh_check(): any thread. All else, and the task: the thread of the kv. The
 *             callers: as weir_caller, any thread.
 * Blocking:   never.
 * Allocation: when a service is opened, and by the task when something changed. Calls: none here.
 * Cost:       a run of the task is O(services in use), and O(members) for each that changed.
 */
#ifndef WEIR_MESH_H
#define WEIR_MESH_H

#include <weir/caller.h>
#include <weir/config.h>
#include <weir/registry.h>

WEIR_BEGIN_DECLS

typedef struct weir_mesh weir_mesh;
typedef struct weir_mesh_service weir_mesh_service; /**< Valid until it is closed. */

#define WEIR_MESH_MAX_NAME 255 /**< Bytes of the name of a service. */

/** What is wrong with a directive. */
typedef struct weir_mesh_error {
    uint32_t line;     /**< Of `members`, from 1; 0 = of a directive that is one line. */
    char field[64];    /**< Directive, with its option if any: "breaker.failures". */
    char message[128]; /**< English. */
} weir_mesh_error;

typedef enum weir_mesh_event_kind {
    WEIR_MESH_POLICY,  /**< Options were put in force. */
    WEIR_MESH_MEMBERS, /**< Members were put in force. */
    WEIR_MESH_PROBLEM, /**< They could not be: what was in force stays. */
} weir_mesh_event_kind;

/** Valid within the callback. */
typedef struct weir_mesh_event {
    weir_mesh_event_kind kind;
    weir_mesh_service *service;
    const char *name; /**< PROBLEM: of the value in the config, or the instance's id; else "". */
    const weir_mesh_error *error; /**< PROBLEM; else NULL. */
} weir_mesh_event;

/** Start from WEIR_MESH_OPTIONS_INIT. */
typedef struct weir_mesh_options {
    size_t struct_size;      /**< Set by the macro; leave alone. */
    weir_config *config;     /**< Not NULL; borrowed: outlives the mesh. */
    weir_registry *registry; /**< NULL = members out of the config alone; borrowed likewise. */
    const char *prefix; /**< Of names in the config; 1..127 bytes without a wildcard; copied. */
    /** Directives beside those above that may be written: WEIR_OK, WEIR_EINVAL with *error, or
     * WEIR_ENOTFOUND. NULL = none. */
    int (*check)(const char *directive, weir_bytes value, weir_mesh_error *error, void *user);
    /** Whether an instance can be called at this address. NULL = each that has a port. */
    bool (*accept)(const weir_instance *instance, const char *address, void *user);
    /** May be NULL. May open and close services, but this one. */
    void (*on_event)(const weir_mesh_event *event, void *user);
    /** As weir_caller_options.on_event: on any thread. May be NULL. */
    void (*on_call)(const char *service, const weir_caller_event *event, void *user);
    void (*on_wake)(void *user); /**< The task wants to run now; may be NULL. */
    void *user;                  /**< Passed to all; borrowed. */
    const weir_env *env;         /**< NULL for defaults; copied. */
} weir_mesh_options;

#define WEIR_MESH_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(weir_mesh_options), .config = NULL, .registry = NULL,                \
        .prefix = "services/", .check = NULL, .accept = NULL, .on_event = NULL, .on_call = NULL,   \
        .on_wake = NULL, .user = NULL, .env = NULL                                                 \
    }

/**
 * Create a mesh without services, and add its validator to the config: from now on names below the
 * prefix must be <service>/<directive>, and well formed.
 *
 * @param out  receives the mesh, which the caller must destroy before the config and the registry;
 *             NULL on failure.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_mesh_create(weir_mesh **out, const weir_mesh_options *options);

/** Free it, its services and their callers: no call may be under way. The config must not be
 * written to any more. NULL is allowed. Not in a callback. */
WEIR_API void weir_mesh_destroy(weir_mesh *mesh);

/**
 * The guarded way to call a service: opened when it is first asked for, with what is known of it in
 * force, and there as long as the mesh. Ask once, keep it, and call on any thread. One that nobody
 * has described has no members, and default policies: WEIR_EEMPTY until there are some.
 *
 * @return NULL: the name is invalid, as weir_mesh_open() says, or out of memory.
 */
WEIR_API weir_caller *weir_mesh_caller(weir_mesh *mesh, const char *name);

/**
 * The same, for as long as it is needed. Each that is opened must be closed; more than once at a
 * time, it is the same one.
 *
 * @param name  1..WEIR_MESH_MAX_NAME bytes, a name as weir_registry and weir_config allow it,
 *              without '/', and not "_".
 * @param out   receives the service; NULL on failure.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_mesh_open(weir_mesh *mesh, const char *name,
                                            weir_mesh_service **out);

/** With the last of them its caller goes: no call of it may be under way. NULL is allowed. */
WEIR_API void weir_mesh_close(weir_mesh_service *service);

/** Lives as long as the service. Its own options and members are the mesh's to change. */
WEIR_API weir_caller *weir_mesh_service_caller(const weir_mesh_service *service);
WEIR_API const char *weir_mesh_service_name(const weir_mesh_service *service);

/** The options in force, valid until the mesh's task runs. A part that is off is NULL. */
WEIR_API const weir_caller_options *weir_mesh_service_options(const weir_mesh_service *service);

/**
 * Whether a directive can be put in force with this value.
 *
 * @param env    NULL for defaults.
 * @param error  set on WEIR_EINVAL.
 * @return WEIR_OK; WEIR_EINVAL; WEIR_ENOTFOUND: no directive above has that name; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_mesh_check(const char *directive, weir_bytes value,
                                             const weir_env *env, weir_mesh_error *error);

/** Puts changes in force, and makes time pass for the callers: run it on wake, and when it asks. It
 * runs once a second at least while services are open. */
WEIR_API weir_task weir_mesh_task(weir_mesh *mesh);

typedef struct weir_mesh_stats {
    uint64_t services; /**< Open. */
    uint64_t policies; /**< Put in force since create. */
    uint64_t members;  /**< Sets of members, put in force since create. */
    uint64_t problems; /**< Told since create. */
    uint64_t pending;  /**< Services with a change that is not in force yet. */
} weir_mesh_stats;

WEIR_API void weir_mesh_get_stats(const weir_mesh *mesh, weir_mesh_stats *stats);

WEIR_END_DECLS

#endif

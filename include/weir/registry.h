/**
 * @file weir/registry.h
 * Service registry: who is there, where, and whether calls should go to them.
 *
 *   register, status, drain --> txn --> [ weir_kv: <root><service>/<id> = {JSON} ]
 *   heartbeat --> leases, kept here            | watch
 *                    | expired: txn            v
 *   lookup <--- snapshot per service <--- this registry's view ---> watches: ordered events
 *
 * What is registered lives in the key-value space, a key an instance, where operators, programs in
 * other languages and other registries see it; all registries on one space agree. Each follows it
 * by a watch, and answers lookups out of its own memory. When it has lost the thread it keeps
 * answering with what it last knew, says so (`synced` is false), and lists all again: an empty
 * answer that is synced is a confirmed one.
 *
 *     {"status":"UP", "override":"DOWN", "draining":true, "host":"10.0.0.1", "port":8080,
 *      "weight":1, "endpoints":[{"name":"grpc", "host":"10.0.0.1", "port":9090}],
 *      "metadata":{"team":"blue"}, "version":"1.4.2", "zone":"eu-1",
 *      "check_url":"http://10.0.0.1:8080/health", "permanent":true, "renew_ms":30000,
 *      "expire_ms":90000, "stamp":1, "node":""}
 *
 * Every member may be left out, and others are passed over; one that is out of its range makes the
 * whole value count as malformed, and leaves what was known of the instance in force.
 *
 * An ephemeral instance has a lease of the registry at which it was registered, and renews it by
 * heartbeats, which never touch the space. One that is not renewed for `expire_ms` is removed,
 * unless so many fall silent at once that the fault is likely our own (Eureka's self-preservation,
 * in fleets of `preserve_min` and more, for `preserve_ms` at most; also before the first full
 * minute of renewals is counted), and no more at a time than `evict_percent`, chosen at random. All
 * leases begin anew when the registry does. They run on a clock that stands still while the task is
 * a second late or more, and then nobody is removed for as long, or `renew_ms`: run it when it
 * asks.
 *
 * Nothing comes back that was taken out: every change is a transaction that compares what it is
 * based on, late heartbeats are told WEIR_ENOTFOUND, and a deregistration leaves a mark,
 * `<root><service>//<id>`, for `mark_ms`. Registrations as old as the mark are WEIR_ESTALE. By
 * the mark, in the same revision, watchers tell a deregistration from an expiry: a bare delete.
 *
 * Threads:    weir_registry_begin(), _end(), _lookup(), _visit_services() and _heartbeat(): any
 *             thread. All else, and the task: the thread of the weir_kv; callbacks come on it, and
 *             may call the registry, but for weir_registry_destroy().
 * Blocking:   never, by itself. Lookups and heartbeats take no lock and make no system call.
 * Allocation: never in lookups and heartbeats. An instance costs about 450 bytes
 *             with short strings, as long as it is there: what the space holds comes on top.
 * Cost:       lookup and heartbeat O(1); a change is O(instances of its service), once for all the
 *             changes that come together; an expiry, O(log leases).
 */
#ifndef WEIR_REGISTRY_H
#define WEIR_REGISTRY_H

#include <weir/kv.h>

WEIR_BEGIN_DECLS

typedef struct weir_registry weir_registry;
typedef struct weir_registry_watch weir_registry_watch;   /**< Valid until stopped. */
typedef struct weir_registry_keeper weir_registry_keeper; /**< Valid until released. */

#define WEIR_REGISTRY_MAX_NAME      255   /**< Bytes of a service, an id, a key of metadata. */
#define WEIR_REGISTRY_MAX_ENDPOINTS 16    /**< Of an instance, beside its host and port. */
#define WEIR_REGISTRY_MAX_METADATA  64    /**< Pairs of an instance. */
#define WEIR_REGISTRY_MAX_BYTES     16384 /**< Of an instance as JSON: else WEIR_ETOOLARGE. */
#define WEIR_REGISTRY_UNPROTECTED   UINT32_MAX

typedef enum weir_instance_status {
    WEIR_INSTANCE_UNKNOWN, /**< As an override: none. */
    WEIR_INSTANCE_UP,
    WEIR_INSTANCE_DOWN,           /**< It says that it is not well. */
    WEIR_INSTANCE_STARTING,       /**< Not yet ready. */
    WEIR_INSTANCE_OUT_OF_SERVICE, /**< Taken out on purpose. */
} weir_instance_status;

/** One more place where an instance listens, under a name: "grpc", "metrics". */
typedef struct weir_endpoint {
    const char *name; /**< Unique in its instance; 1 to 255 bytes. */
    const char *host; /**< NULL or "": the instance's. As read: never NULL. */
    uint32_t port;    /**< 0..65535. */
} weir_endpoint;

/**
 * One instance of a service, as given to register and as read. Strings are UTF-8; NULL reads as "".
 * Names (service and id) are 1 to 255 bytes without '/' or control bytes. Start from
 * WEIR_INSTANCE_INIT. As read, it is immutable, and all in it is valid as long as it is.
 */
typedef struct weir_instance {
    size_t struct_size; /**< Set by the macro; leave alone. */
    const char *service;
    const char *id;                 /**< Unique in its service. */
    const char *host;               /**< Name or address. */
    uint32_t port;                  /**< 0..65535; 0 = none. */
    uint32_t weight;                /**< 0..65535; 0 = gets no new calls. */
    const weir_endpoint *endpoints; /**< At most WEIR_REGISTRY_MAX_ENDPOINTS. */
    size_t endpoint_count;
    const weir_label
        *metadata; /**< At most WEIR_REGISTRY_MAX_METADATA; keys unique, 1 to 255 bytes. */
    size_t metadata_count;
    const char *version; /**< Best a semantic version: then ranges find it. */
    const char *zone;
    const char *check_url;         /**< Where its health can be asked. */
    weir_instance_status status;   /**< What it says of itself; not UNKNOWN. */
    weir_instance_status override; /**< What an operator says; a registration leaves it as it is. */
    bool permanent;                /**< Has no lease: stays until deregistered. */
    bool draining;                 /**< Finishes its calls, gets no new ones. */
    uint64_t renew_ms;             /**< Of its lease; 0 = the registry's. */
    uint64_t expire_ms;            /**< Of its lease; 0 = the registry's. >= its renew_ms. */
    /** Of two registrations of one id, the higher wins, and of equal ones the later; 0 = now, or
     * higher if need be: this one wins. Eureka's lastDirtyTimestamp. At most 2^53. */
    uint64_t stamp;
    const char *node;  /**< As read: name of the registry that keeps its lease. */
    uint64_t revision; /**< As read: that changed it last. */
} weir_instance;

#define WEIR_INSTANCE_INIT                                                                         \
    {                                                                                              \
        .struct_size = sizeof(weir_instance), .service = NULL, .id = NULL, .host = NULL,           \
        .port = 0, .weight = 1, .endpoints = NULL, .endpoint_count = 0, .metadata = NULL,          \
        .metadata_count = 0, .version = NULL, .zone = NULL, .check_url = NULL,                     \
        .status = WEIR_INSTANCE_UP, .override = WEIR_INSTANCE_UNKNOWN, .permanent = false,         \
        .draining = false, .renew_ms = 0, .expire_ms = 0, .stamp = 0, .node = NULL, .revision = 0  \
    }

/** What is wrong with the text of an instance. */
typedef struct weir_instance_error {
    int code;
    size_t line;      /**< From 1; 0 = it is not about the text. */
    char field[64];   /**< A member, "service" or "id"; "" = the text as a whole. */
    char message[64]; /**< English. */
} weir_instance_error;

/**
 * Read an instance from the JSON that is told above: from what somebody else sent, for instance,
 * to register it.
 *
 * @param out    receives the instance, immutable, to be destroyed with the same env; NULL on
 *               failure.
 * @param env    NULL for defaults.
 * @param error  NULL, or set on failure.
 * @return WEIR_OK; WEIR_EPROTOCOL: not such an object; WEIR_EINVAL: a member, a name, or the env is
 *         not what it may be; WEIR_ETOOLARGE: over 4 * WEIR_REGISTRY_MAX_BYTES; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_instance_parse(weir_instance **out, const char *service,
                                                 const char *id, const char *text, size_t size,
                                                 const weir_env *env, weir_instance_error *error);
/** Free what weir_instance_parse() made. NULL is allowed. */
WEIR_API void weir_instance_destroy(weir_instance *instance, const weir_env *env);

/** Part of a text; valid within the call. */
typedef void (*weir_instance_write_fn)(const void *data, size_t size, void *user);

/**
 * Write an instance as that JSON, without its service, id and revision. Any thread.
 *
 * @param env  NULL for defaults.
 * @return WEIR_OK; WEIR_ENOMEM, or WEIR_EINVAL (the env): nothing was written.
 */
WEIR_API WEIR_MUST_CHECK int weir_instance_format(const weir_instance *instance,
                                                  const weir_env *env, weir_instance_write_fn write,
                                                  void *user);

/** Start from WEIR_REGISTRY_OPTIONS_INIT. */
typedef struct weir_registry_options {
    size_t struct_size; /**< Set by the macro; leave alone. */
    const weir_kv *kv;  /**< Copied; what it stands for outlives the registry. Not NULL. */
    const char *root;   /**< All keys begin with it; at most 255 bytes; copied. */
    /** Name of this registry: at most 255 bytes; copied. Registries that share a space need names
     * of their own, each the same after a restart: each keeps the leases of its registrations. */
    const char *node;
    uint64_t renew_ms;         /**< Between heartbeats, as a rule; 1 to 86,400,000. */
    uint64_t expire_ms;        /**< Without one, until removed; renew_ms to 864,000,000. */
    uint32_t preserve_percent; /**< Remove only while more than this share of the expected renewals
                                     came within the last full minute; 0..99; 0 = always. */
    uint32_t preserve_min;     /**< Leases from which on that, and evict_percent, apply. */
    uint64_t preserve_ms;   /**< After so long preserving ends, until renewals are enough again. */
    uint32_t evict_percent; /**< At most this share is removed within evict_ms, and one at least;
                                     1..100. */
    uint64_t evict_ms;      /**< 1 to 86,400,000. */
    /** If of those that are in service at most this share is well, all are available, flagged
     * `protecting`; 0..100; 0 = only when none is well; WEIR_REGISTRY_UNPROTECTED = never. */
    uint32_t protect_percent;
    uint64_t mark_ms;            /**< Marks of deregistrations stay this long, or half of it more;
                                     1,000 to 604,800,000. */
    void (*on_wake)(void *user); /**< The task wants to run earlier than it said: e.g.
                                    weir_loop_task_wake(). May be NULL if it is run often anyway. */
    void *user;                  /**< Passed to on_wake; borrowed. */
    const weir_env *env;         /**< NULL for defaults; copied. */
} weir_registry_options;

#define WEIR_REGISTRY_OPTIONS_INIT                                                                 \
    {                                                                                              \
        .struct_size = sizeof(weir_registry_options), .kv = NULL, .root = "registry/", .node = "", \
        .renew_ms = 30000, .expire_ms = 90000, .preserve_percent = 85, .preserve_min = 10,         \
        .preserve_ms = 600000, .evict_percent = 15, .evict_ms = 60000, .protect_percent = 0,       \
        .mark_ms = 3600000, .on_wake = NULL, .user = NULL, .env = NULL                             \
    }

/**
 * Create a registry, and begin to list what is there: with the embedded store it is synced when
 * this returns.
 *
 * @param out  receives the registry, which the caller must destroy; NULL on failure.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_registry_create(weir_registry **out,
                                                  const weir_registry_options *options);

/**
 * Stop, and free it; instances stay registered. Changes not yet done are told WEIR_ECLOSED: it is
 * not known whether they are made. Watches and keepers still there go with it, untold. NULL is
 * allowed. No other thread may still be using it.
 */
WEIR_API void weir_registry_destroy(weir_registry *registry);

/* ---- Changes ---- */

/** What became of a change. Valid within the callback. */
typedef struct weir_registry_result {
    /** WEIR_OK. WEIR_ESTALE: a registration with a higher stamp, or a deregistration, is in force.
     * WEIR_ENOTFOUND: there is no such instance. WEIR_EBUSY: others changed it each of 16 times we
     * tried. WEIR_ETOOLARGE: it would be. WEIR_EPROTOCOL: what is stored there is not an instance.
     * WEIR_ECLOSED: the registry was destroyed. Else as weir_kv tells. */
    int code;
    uint64_t revision; /**< WEIR_OK: that holds the change. */
} weir_registry_result;

/** Told once; it may be told before the function that was given it returns. */
typedef void (*weir_registry_done_fn)(const weir_registry_result *result, void *user);

/**
 * Enter an instance, or put it in place of an older registration of its id. It has a new lease,
 * kept by this registry. An override of its id stays, and if the stamp is the same, draining too.
 *
 * @param instance  copied.
 * @param done      may be NULL, as in all changes.
 * @return WEIR_OK: `done` is told; or, and it is not: WEIR_EINVAL (a field out of its range),
 *         WEIR_ETOOLARGE, WEIR_ENOMEM, or as weir_kv says.
 */
WEIR_API WEIR_MUST_CHECK int weir_registry_register(weir_registry *registry,
                                                    const weir_instance *instance,
                                                    weir_registry_done_fn done, void *user);

/** Take an instance out, and leave a mark. WEIR_OK, WEIR_EINVAL (a name), WEIR_ENOMEM, or as
 * weir_kv says, as all changes below. */
WEIR_API WEIR_MUST_CHECK int weir_registry_deregister(weir_registry *registry, const char *service,
                                                      const char *id, weir_registry_done_fn done,
                                                      void *user);

/** What the instance says of itself. Not UNKNOWN. */
WEIR_API WEIR_MUST_CHECK int weir_registry_set_status(weir_registry *registry, const char *service,
                                                      const char *id, weir_instance_status status,
                                                      weir_registry_done_fn done, void *user);

/** What an operator says of it, in place of its UP or OUT_OF_SERVICE; UNKNOWN = nothing. */
WEIR_API WEIR_MUST_CHECK int weir_registry_set_override(weir_registry *registry,
                                                        const char *service, const char *id,
                                                        weir_instance_status override,
                                                        weir_registry_done_fn done, void *user);

/** Let it finish its calls before it is deregistered: it is found, and not available. */
WEIR_API WEIR_MUST_CHECK int weir_registry_drain(weir_registry *registry, const char *service,
                                                 const char *id, bool draining,
                                                 weir_registry_done_fn done, void *user);

/** Set one piece of metadata, or, with value NULL, remove it. */
WEIR_API WEIR_MUST_CHECK int weir_registry_set_metadata(weir_registry *registry,
                                                        const char *service, const char *id,
                                                        const char *key, const char *value,
                                                        weir_registry_done_fn done, void *user);

/**
 * Renew a lease. Any thread. For permanent instances it does nothing.
 *
 * @return WEIR_OK; WEIR_ENOTFOUND: no such instance, or another registry keeps its lease: register
 *         it again, here.
 */
WEIR_API WEIR_MUST_CHECK int weir_registry_heartbeat(weir_registry *registry, const char *service,
                                                     const char *id);

/** The same, for callers that have read the environment's clock already. */
WEIR_API WEIR_MUST_CHECK int weir_registry_heartbeat_at(weir_registry *registry,
                                                        const char *service, const char *id,
                                                        uint64_t now_ns);

/**
 * Feed in what a health check found. It is this registry's own finding, from where it stands: it
 * counts in lookups here, is not put into the space, and ends with the instance's stay. Until the
 * first report an instance is taken to be well.
 *
 * @return WEIR_OK; WEIR_ENOTFOUND; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_registry_report_health(weir_registry *registry,
                                                         const char *service, const char *id,
                                                         bool well);

/* ---- Reads ---- */

/** Own DOWN and STARTING, then the override, then own UP and OUT_OF_SERVICE: Eureka's order. */
static inline weir_instance_status weir_instance_effective(const weir_instance *instance)
{
    if (instance->status == WEIR_INSTANCE_DOWN || instance->status == WEIR_INSTANCE_STARTING ||
        instance->override == WEIR_INSTANCE_UNKNOWN)
        return instance->status;
    return instance->override;
}

/** Static: "UP", "DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN". Never NULL. */
WEIR_API const char *weir_instance_status_name(weir_instance_status status);

/**
 * A service as it is now: immutable, from begin until end. Sorted by id, byte by byte. In service
 * are those that are effectively UP and not draining; available, of these, the ones that no report
 * says are not well.
 */
typedef struct weir_registry_view {
    const weir_instance *const *instances; /**< All that are registered. */
    size_t count;
    const weir_instance *const *available; /**< Where calls should go. */
    size_t available_count;
    uint64_t revision; /**< Of the last change of this service; 0 = none is known. */
    /** Another one whenever something above changed, health reports too; 0 = nobody was ever known.
     * It is this registry's own. */
    uint64_t generation;
    bool synced;     /**< This is what is there, empty or not; false: what was last known. */
    bool protecting; /**< So few are well that all that are in service are available. */
    void *token;     /**< Private. */
} weir_registry_view;

/**
 * Look at a service, for a short time: memory is not reused before weir_registry_end(), which the
 * same thread must call. Any thread; views nest. A service that nobody knows is empty.
 */
WEIR_API void weir_registry_begin(weir_registry *registry, const char *service,
                                  weir_registry_view *view);
WEIR_API void weir_registry_end(weir_registry_view *view);

/** What to look for; NULL or 0 = whatever. Zero-initialize. */
typedef struct weir_registry_query {
    const char *service;        /**< Not NULL. */
    bool available;             /**< Only these. */
    const char *version;        /**< A range: see weir_version_match(). */
    const char *zone;           /**< Equal. */
    const weir_label *metadata; /**< All of these, equal; no key or value is NULL. */
    size_t metadata_count;
} weir_registry_query;

/** What a lookup was based on; as in weir_registry_view. */
typedef struct weir_registry_info {
    size_t matched; /**< Visited. */
    uint64_t revision;
    bool synced;
    bool protecting;
} weir_registry_info;

/** False: enough. Runs within the read: short, and it keeps nothing. */
typedef bool (*weir_registry_visit_fn)(const weir_instance *instance, void *user);

/**
 * Visit the instances of a service that match, sorted by id. Any thread.
 *
 * @param visit  may be NULL, to count.
 * @param info   NULL, or set.
 * @return WEIR_OK, also when nothing matches; WEIR_EINVAL: no service, or not a range.
 */
WEIR_API WEIR_MUST_CHECK int weir_registry_lookup(weir_registry *registry,
                                                  const weir_registry_query *query,
                                                  weir_registry_visit_fn visit, void *user,
                                                  weir_registry_info *info);

/** One of the services that have instances. Valid within the visit. */
typedef struct weir_registry_service {
    const char *name;
    size_t instances;
    size_t available;
} weir_registry_service;

/**
 * List the services that have instances, in any order. Any thread; each is consistent in itself.
 *
 * @return whether it is synced.
 */
WEIR_API bool weir_registry_visit_services(weir_registry *registry,
                                           bool (*visit)(const weir_registry_service *service,
                                                         void *user),
                                           void *user);

/**
 * Whether a version lies in a range. Versions are semantic versions 2.0.0, ordered by its section
 * 11; a leading 'v' is allowed, missing numbers are 0, and build metadata does not count.
 *
 *     range    = set *( "||" set )             any of them
 *     set      = *( blank comparator )         all of them; empty or "*": every version
 *     compar.  = [ "<" / "<=" / ">" / ">=" / "=" / "^" / "~" ] version
 *     version  = [ "v" ] N [ "." N [ "." N [ "-" prerelease ] ] ] [ "+" build ]
 *
 * N may be "x", "X" or "*". "1.2", "=1.2", "1.2.x" and "~1.2": >= 1.2.0, below 1.3. "^1.2.3": up to
 * the next change of the first number that is not 0. ">1.2": from 1.3.0 on, "<=1.2": below 1.3.
 * Where it is we who set the upper end (^, ~, x), its prereleases are beyond it, too.
 *
 * @param match  set on WEIR_OK; false also for a version that is none, unless every one matches.
 * @return WEIR_OK; WEIR_EINVAL: not a range, or more than 16 comparators.
 */
WEIR_API WEIR_MUST_CHECK int weir_version_match(const char *range, const char *version,
                                                bool *match);

/* ---- Watches ---- */

typedef enum weir_registry_event_kind {
    WEIR_REGISTRY_REGISTERED,   /**< It was not there before. */
    WEIR_REGISTRY_CHANGED,      /**< Put again: maybe with the same contents. */
    WEIR_REGISTRY_STATUS,       /**< Its effective status, or draining, changed; maybe more. */
    WEIR_REGISTRY_DEREGISTERED, /**< On purpose. */
    WEIR_REGISTRY_EXPIRED,      /**< Its lease. */
    /** What was told before may be wrong: forget it. All that is there as of `revision` follows as
     * LISTED, then SYNCED, then the changes after it. */
    WEIR_REGISTRY_RESYNC,
    WEIR_REGISTRY_LISTED, /**< Is there. */
    WEIR_REGISTRY_SYNCED, /**< That was all: if nothing was listed, it is empty. */
    WEIR_REGISTRY_CLOSED, /**< The space is closed: nothing more will come. */
} weir_registry_event_kind;

/** Valid within the callback. */
typedef struct weir_registry_event {
    weir_registry_event_kind kind;
    uint64_t revision;             /**< Never falls; grows from one change to the next, unless they
                                        were made at once. */
    const char *service;           /**< "" if it is about no instance. */
    const char *id;                /**< The same. */
    const weir_instance *instance; /**< As it is now; NULL if it is gone, or about none. */
    const weir_instance *previous; /**< As it was; NULL = was not there, or not known. */
} weir_registry_event;

/** Returns false: no more until weir_registry_resume(). This event was taken. */
typedef bool (*weir_registry_event_fn)(const weir_registry_event *event, void *user);

/** Start from WEIR_REGISTRY_WATCH_OPTIONS_INIT. */
typedef struct weir_registry_watch_options {
    size_t struct_size;
    const char *service; /**< Its instances alone; NULL = all services. Copied. */
    uint64_t revision;   /**< All changes from this one on, inclusive; 0 = begin with a RESYNC. */
    weir_registry_event_fn fn; /**< Not NULL. */
    void *user;                /**< Passed to fn; borrowed. */
} weir_registry_watch_options;

#define WEIR_REGISTRY_WATCH_OPTIONS_INIT                                                           \
    {                                                                                              \
        .struct_size = sizeof(weir_registry_watch_options), .service = NULL, .revision = 0,        \
        .fn = NULL, .user = NULL                                                                   \
    }

/**
 * Be told of every change, in order. It has no queue: one that pauses, or is slow, is served from
 * the history that the space keeps, and once it has fallen behind that, or memory runs out, it is
 * told RESYNC. Changes are compared by revision, never by content: A, B, A are three.
 *
 * @param out  receives the watch; it is set before the first event, which may come before this
 *             returns. NULL on failure.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_registry_watch_start(weir_registry *registry,
                                                       const weir_registry_watch_options *options,
                                                       weir_registry_watch **out);

/** Go on after fn returned false. Nothing happens otherwise. */
WEIR_API void weir_registry_watch_resume(weir_registry_watch *watch);

/** Stop, and free it; also within its own fn. NULL is allowed. */
WEIR_API void weir_registry_watch_stop(weir_registry_watch *watch);

/** Static: "registered", "changed", ... Never NULL. */
WEIR_API const char *weir_registry_event_name(weir_registry_event_kind kind);

/* ---- Keepers ---- */

/**
 * Register an instance of this very program, and keep it there: the task renews its lease, and
 * after an expiry, a lost store or a failure registers its latest record again, for ever, 1 s after
 * the first failure, then up to 30 s apart. Deregistered by anybody, or replaced by a registration
 * with a higher stamp, it does not come back: then the keeper ends, and tells why.
 *
 * @param ended  may be NULL. Told WEIR_ENOTFOUND (deregistered), WEIR_ESTALE (replaced) or
 *               WEIR_EINVAL, WEIR_ETOOLARGE (not taken); then only release is left.
 * @param out    receives the keeper, before anything is told; NULL on failure.
 * @return WEIR_OK: it is being kept; WEIR_EINVAL, WEIR_ETOOLARGE, WEIR_ENOMEM; WEIR_EBUSY: it has
 *         a keeper already; or as weir_kv says.
 */
WEIR_API WEIR_MUST_CHECK int weir_registry_keep(weir_registry *registry,
                                                const weir_instance *instance,
                                                weir_registry_done_fn ended, void *user,
                                                weir_registry_keeper **out);

/**
 * No longer keep it, deregister it, and free the keeper; `ended` is not told. NULL is allowed.
 *
 * @return WEIR_OK; WEIR_ENOMEM, or as weir_kv says: it is still kept.
 */
WEIR_API WEIR_MUST_CHECK int weir_registry_release(weir_registry_keeper *keeper);

/* ---- Time ---- */

/** Leases, keepers, and lists that failed: in slices of well under 1 ms beside what the space
 * itself takes. */
WEIR_API weir_task weir_registry_task(weir_registry *registry);

typedef struct weir_registry_stats {
    uint64_t revision; /**< That the view has reached. */
    bool synced;
    bool preserving;   /**< Leases have expired, and nobody is removed. */
    uint64_t services; /**< With instances. */
    uint64_t instances;
    uint64_t leases;      /**< Of these, kept here. */
    uint64_t expired_now; /**< Of these, over and not yet removed. */
    uint64_t renewals;    /**< In the last full minute. */
    uint64_t threshold;   /**< Of these, for anyone to be removed: more than this. */
    uint64_t evicted;     /**< Since create. */
    uint64_t resyncs;     /**< Lists after the first. */
    uint64_t malformed;   /**< Values that were no instance: such an update leaves the last. */
    uint64_t watches;
    uint64_t bytes; /**< Of memory, of the view and its leases. */
} weir_registry_stats;

/** On the thread of the weir_kv. */
WEIR_API void weir_registry_get_stats(weir_registry *registry, weir_registry_stats *stats);

WEIR_END_DECLS

#endif

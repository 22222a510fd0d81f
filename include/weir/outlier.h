/**
 * @file weir/outlier.h
 * Passive outlier detection: eject the hosts whose calls go worse than those of the others.
 *
 *   record(host, outcome, latency) --- n in a row fail ---------------------+
 *        | counts of this interval                                          v
 *        +---> task: a sweep an interval --- rates and latencies stand out --> ejected
 *                                                                           |
 *              returned <--- min(base * times, max) + jitter later ---------+
 *                       <--- an active check passed: weir_outlier_uneject()
 *
 * Defaults and formulas are those of Envoy's outlier detection and gRPC proposal A50. Beyond them:
 * latency is judged, too; the worst is ejected first; hosts with few calls are in no statistic; and
 * what share may be ejected is right for small clusters: of n hosts floor(n * max_ejected_percent),
 * but one if always_one is set, and never the last.
 *
 * Threads:    any function, any thread, same outlier; destroy comes last.
 * Blocking:   record takes a mutex only when a host has just failed often enough to be ejected.
 *             A sweep holds that mutex for O(hosts * log hosts).
 * Allocation: in create and add.
 * Cost:       record is 2 atomic additions on the host's own line.
 */
#ifndef WEIR_OUTLIER_H
#define WEIR_OUTLIER_H

#include <weir/base.h>

WEIR_BEGIN_DECLS

typedef struct weir_outlier weir_outlier;
typedef struct weir_outlier_host weir_outlier_host;

/** Where an outcome comes from. */
typedef enum weir_outlier_origin {
    WEIR_ORIGIN_SERVER,  /**< The host answered. */
    WEIR_ORIGIN_GATEWAY, /**< It answered for somebody it could not reach: 502, 503, 504. */
    WEIR_ORIGIN_LOCAL,   /**< No answer: connection refused, reset, or timed out. */
} weir_outlier_origin;

/** What found a host out. */
typedef enum weir_outlier_detection {
    WEIR_OUTLIER_CONSECUTIVE,         /**< Failures in a row. */
    WEIR_OUTLIER_CONSECUTIVE_GATEWAY, /**< Gateway failures in a row. */
    WEIR_OUTLIER_CONSECUTIVE_LOCAL,   /**< Local failures in a row. */
    WEIR_OUTLIER_SUCCESS_RATE,        /**< Below the mean by more than the others scatter. */
    WEIR_OUTLIER_LOCAL_SUCCESS_RATE,  /**< The same of local origin. */
    WEIR_OUTLIER_FAILURE_PERCENT,     /**< At or above failure_percent. */
    WEIR_OUTLIER_LOCAL_FAILURE_PERCENT,
    WEIR_OUTLIER_LATENCY, /**< Slower than the others. */
    WEIR_OUTLIER_BY_HAND, /**< weir_outlier_eject(). */
} weir_outlier_detection;

typedef enum weir_outlier_event_kind {
    WEIR_OUTLIER_EJECTED,
    WEIR_OUTLIER_RETURNED, /**< Its time is over, or weir_outlier_uneject(). */
    WEIR_OUTLIER_DETECTED, /**< dry_run: it would have been ejected. */
    WEIR_OUTLIER_SPARED,   /**< It would have been, but too many are. */
} weir_outlier_event_kind;

/** Valid only during the callback. One may still come for a host that was removed meanwhile. */
typedef struct weir_outlier_event {
    weir_outlier_event_kind kind;
    weir_outlier_detection detection; /**< RETURNED: of the ejection that ends. */
    const char *id;                   /**< Of the host. */
    void *user;                       /**< As given with the host; borrowed. */
    uint64_t at_ns;                   /**< Environment clock. */
    uint64_t until_ns;                /**< EJECTED: until then, unless unejected before. */
    double figure;    /**< What was found: failures in a row, percent, or nanoseconds. */
    double threshold; /**< What it was measured against, in the same unit. */
    uint64_t calls;   /**< That the figure is made of. */
    uint32_t hosts;   /**< All there are. */
    uint32_t ejected; /**< Of these, ejected now. */
    uint32_t times;   /**< EJECTED: what the base time was multiplied by. */
} weir_outlier_event;

/**
 * Told of each event, in order, by one thread at a time, with no lock held. May call any function
 * but weir_outlier_destroy(). Of events of kind DETECTED and SPARED some may be dropped when many
 * come at once; the others never are.
 */
typedef void (*weir_outlier_event_fn)(const weir_outlier_event *event, void *user);

/**
 * Start from WEIR_OUTLIER_OPTIONS_INIT. WEIR_FAILURE and WEIR_TIMEOUT are failures. WEIR_OVERLOAD
 * says that a host is healthy: it ends a row of failures and counts as nothing else; IGNORED and
 * CANCELLED count as nothing.
 */
typedef struct weir_outlier_options {
    size_t struct_size; /**< Set by the macro; leave alone. */

    uint32_t consecutive_failures; /**< In a row, of any origin, or of all but local; 0 = off. */
    uint32_t consecutive_gateway;  /**< Gateway and, unless split, local failures; 0 = off. */
    uint32_t consecutive_local;    /**< Local failures, if split_local; 0 = off. */
    bool split_local; /**< Local failures are judged apart, not as failures of the server. */

    /** Ejects below mean - factor / 1000 * standard deviation of all success rates; 0 = off. */
    uint32_t success_rate_factor;
    uint32_t success_rate_min_hosts; /**< With the volume, >= 2. */
    uint32_t success_rate_min_calls; /**< In an interval, >= 1: with fewer a host is left out. */

    uint32_t failure_percent;           /**< Ejects at this share of failures, 1..100; 0 = off. */
    uint32_t failure_percent_min_hosts; /**< >= 1. */
    uint32_t failure_percent_min_calls; /**< >= 1. */

    /** Ejects if the mean latency of its successes is above this share of the median of all hosts'
        means, and above latency_floor_ms: 101..100000; 0 = off. The median is the lower one of an
        even number, so that one of two can stand out. */
    uint32_t latency_percent;
    uint32_t latency_floor_ms;
    uint32_t latency_min_hosts; /**< >= 2. */
    uint32_t latency_min_calls; /**< Successes, >= 1. */

    uint32_t interval_ms; /**< Between sweeps, 1..86400000. */
    uint32_t base_ms;     /**< First ejection, 1..86400000. Each further adds it again, */
    uint32_t max_ms;      /**< up to this, base_ms..86400000; a sweep that it is in for, and that
                               does not find it out, takes it off again. */
    uint32_t jitter_ms;   /**< Added at random, 0..86400000. */
    uint32_t max_ejected_percent; /**< Of the hosts there are then, 0..100, rounded down. */
    bool always_one;              /**< One may be ejected even if that is more than the share. */
    bool dry_run;                 /**< Detect and tell, eject nobody. */

    weir_outlier_event_fn on_event; /**< May be NULL. */
    void *user;                     /**< Passed to on_event; borrowed. */
    const weir_env *env;            /**< NULL for defaults; copied. */
} weir_outlier_options;

#define WEIR_OUTLIER_OPTIONS_INIT                                                                  \
    {                                                                                              \
        .struct_size = sizeof(weir_outlier_options), .consecutive_failures = 5,                    \
        .consecutive_gateway = 0, .consecutive_local = 5, .split_local = false,                    \
        .success_rate_factor = 1900, .success_rate_min_hosts = 5, .success_rate_min_calls = 100,   \
        .failure_percent = 85, .failure_percent_min_hosts = 5, .failure_percent_min_calls = 50,    \
        .latency_percent = 0, .latency_floor_ms = 100, .latency_min_hosts = 3,                     \
        .latency_min_calls = 50, .interval_ms = 10000, .base_ms = 30000, .max_ms = 300000,         \
        .jitter_ms = 1000, .max_ejected_percent = 10, .always_one = true, .dry_run = false,        \
        .on_event = NULL, .user = NULL, .env = NULL                                                \
    }

/** A host as it stands. */
typedef struct weir_outlier_host_stats {
    bool ejected;
    weir_outlier_detection detection; /**< Of the latest ejection. */
    uint64_t until_ns;                /**< While ejected. */
    uint32_t times;                   /**< What the next ejection is multiplied by, less one. */
    uint64_t ejections;               /**< Since it was added. */
    uint64_t calls;                   /**< Judged in the last whole interval. */
    double success_percent;           /**< Of these; 0 without any. */
    uint64_t latency_ns;              /**< Mean of its successes then; 0 without any. */
} weir_outlier_host_stats;

/** All hosts together. */
typedef struct weir_outlier_stats {
    uint32_t hosts;
    uint32_t ejected;
    uint64_t ejections; /**< Since create. */
    uint64_t spared;    /**< Hosts found out that were not ejected, for too many were. */
    uint64_t dropped;   /**< Events of kind DETECTED and SPARED that were not told. */
} weir_outlier_stats;

/**
 * Create an outlier detector without hosts.
 *
 * @param out      receives it; the caller must destroy it. NULL on failure.
 * @param options  NULL for all defaults; copied.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_outlier_create(weir_outlier **out,
                                                 const weir_outlier_options *options);

/** Free it with all hosts. NULL is allowed. No other thread may still be using it. */
WEIR_API void weir_outlier_destroy(weir_outlier *outlier);

/**
 * Replace the options; who is ejected stays so until its time. on_event, user and env stay as
 * created.
 *
 * @return WEIR_OK or WEIR_EINVAL; then nothing has changed.
 */
WEIR_API WEIR_MUST_CHECK int weir_outlier_update(weir_outlier *outlier,
                                                 const weir_outlier_options *options);

/**
 * Add a host.
 *
 * @param host  set to its handle: for weir_outlier_record(), until weir_outlier_remove().
 * @param id    copied; for events. Need not be unique.
 * @param user  yours; borrowed until the host is removed and a callback about it is over.
 * @return WEIR_OK, WEIR_EINVAL: id is NULL; or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_outlier_add(weir_outlier *outlier, const char *id, void *user,
                                              weir_outlier_host **host);

/** Count the host no more; late results are ignored. An ejection ends, untold. For hosts that have
 * left, and whose calls are not over: weir_outlier_remove() follows, for destroy frees it no more.
 * If all that stay are ejected, the one that is to return first does so when the task next runs. */
WEIR_API void weir_outlier_leave(weir_outlier_host *host);

/** Leave, and free the handle: nothing may use it after. NULL is allowed. */
WEIR_API void weir_outlier_remove(weir_outlier_host *host);

/** Take in how a call on the host went. */
WEIR_API void weir_outlier_record(weir_outlier_host *host, weir_outcome outcome,
                                  weir_outlier_origin origin, uint64_t latency_ns, uint64_t now_ns);

/** Eject by hand, whatever the share, but not the last host. WEIR_OK, or WEIR_EBUSY: it is ejected,
 * the last, has left, or too many events wait to be told. */
WEIR_API int weir_outlier_eject(weir_outlier_host *host, uint64_t now_ns);

/** End its ejection, e.g. since an active check passed. WEIR_OK, or WEIR_EBUSY as above. */
WEIR_API int weir_outlier_uneject(weir_outlier_host *host, uint64_t now_ns);

/** End all ejections; at the next run of the task at the latest. */
WEIR_API void weir_outlier_uneject_all(weir_outlier *outlier, uint64_t now_ns);

/** Sweeps, and ends of ejections. Must be run, by one thread at a time. */
WEIR_API weir_task weir_outlier_task(weir_outlier *outlier);

/** Whether the host is ejected now, or has left. Takes no lock. */
WEIR_API bool weir_outlier_is_ejected(const weir_outlier_host *host);

WEIR_API void weir_outlier_get_host(weir_outlier_host *host, weir_outlier_host_stats *stats);
WEIR_API void weir_outlier_get_stats(weir_outlier *outlier, weir_outlier_stats *stats);

/** Static lower-case names: "success_rate", "ejected", ... Never NULL. */
WEIR_API const char *weir_outlier_detection_name(weir_outlier_detection detection);
WEIR_API const char *weir_outlier_event_name(weir_outlier_event_kind kind);

WEIR_END_DECLS

#endif

/**
 * @file weir/breaker.h
 * Circuit breaker: stop calling what keeps failing, then probe it gently.
 *
 *                 a rate or a streak of failures is reached
 *      CLOSED ------------------------------------------------> OPEN <---+
 *        ^  ^                                                    |       | verdict: ill
 *        |  | ramp over   RECOVERING <---- verdict: well ---+    | rest over
 *        |  +------------ (if ramp_ms > 0)                  |    v       |
 *        +--------------- verdict: well ---------------- HALF_OPEN ------+
 *
 *      by hand, from and to any state:  DISABLED  METRICS_ONLY  FORCED_OPEN
 *
 * Every admission is a permit that carries the breaker's generation, and the generation grows at
 * each change of state: a permit that comes back late changes nothing, a permit spent twice counts
 * once, and a probe that never comes back is given up when its lease ends.
 * After Nygard, "Release It!", with the windows, verdicts and manual states of resilience4j.
 *
 * Threads:    any function, any thread, same breaker; destroy comes last.
 * Blocking:   CLOSED, METRICS_ONLY, DISABLED: enter and leave are lock-free, as is a refusal while
 *             OPEN. Changes of state, probes and the ramp take one short mutex; of your code, only
 *             the clock runs under it.
 * Allocation: in weir_breaker_create() and weir_breaker_update() only.
 * Cost:       enter is one load; leave is one shared fetch-and-add for a count window of any size,
 *             one compare-and-swap and 3 loads a bucket for a time window.
 */
#ifndef WEIR_BREAKER_H
#define WEIR_BREAKER_H

#include <weir/base.h>

WEIR_BEGIN_DECLS

typedef struct weir_breaker weir_breaker;

typedef enum weir_breaker_state {
    WEIR_BREAKER_CLOSED,       /**< Calls pass; their outcomes are counted and judged. */
    WEIR_BREAKER_OPEN,         /**< Calls are refused until the rest is over. */
    WEIR_BREAKER_HALF_OPEN,    /**< Up to probe_calls calls pass, and decide. */
    WEIR_BREAKER_RECOVERING,   /**< A growing share of calls passes; judged as when CLOSED. */
    WEIR_BREAKER_DISABLED,     /**< By hand: calls pass, nothing is counted. */
    WEIR_BREAKER_METRICS_ONLY, /**< By hand: calls pass and are counted, never judged. */
    WEIR_BREAKER_FORCED_OPEN,  /**< By hand: calls are refused. */
} weir_breaker_state;

typedef enum weir_breaker_window {
    WEIR_BREAKER_COUNT_WINDOW, /**< The last window_calls outcomes. */
    WEIR_BREAKER_TIME_WINDOW,  /**< The outcomes of the last window_ms, by buckets. */
} weir_breaker_window;

typedef enum weir_breaker_verdict {
    WEIR_BREAKER_BY_RATE,  /**< Probes are judged by failure_percent and slow_percent. */
    WEIR_BREAKER_ALL_PASS, /**< The first failed (or, if slow_percent is set, slow) probe decides.
                            */
} weir_breaker_verdict;

/** Why an event was told. */
typedef enum weir_breaker_reason {
    WEIR_BREAKER_FAILURE_RATE, /**< failure_percent was reached. */
    WEIR_BREAKER_SLOW_RATE,    /**< slow_percent was reached. */
    WEIR_BREAKER_STREAK,       /**< consecutive_failures was reached. */
    WEIR_BREAKER_REST_OVER,    /**< OPEN lasted its time; probing starts. */
    WEIR_BREAKER_PROBES_ILL,   /**< The verdict on the probes. */
    WEIR_BREAKER_PROBES_WELL,  /**< The verdict on the probes. */
    WEIR_BREAKER_PROBE_LOST,   /**< A probe's lease ended; its place is free. No change of state. */
    WEIR_BREAKER_RAMP_OVER,    /**< RECOVERING lasted its time. */
    WEIR_BREAKER_RETRY_AFTER,  /**< weir_breaker_open_until(). */
    WEIR_BREAKER_BY_HAND,      /**< weir_breaker_force() or weir_breaker_reset(). */
} weir_breaker_reason;

/**
 * Proof of admission: a plain value that you keep until the call is over. Leaving spends it. One
 * that is never left costs nothing: CLOSED tracks no permits, and a probe has its lease.
 */
typedef struct weir_breaker_permit {
    uint64_t generation; /**< In which it was given; 0 = spent, or never given. */
    uint64_t entered_ns; /**< When; the call's latency is counted from here. */
    uint64_t probe;      /**< Its place among the probes; 0 = not a probe. */
} weir_breaker_permit;

/** One change of state, or one lost probe; valid only during the callback. */
typedef struct weir_breaker_event {
    weir_breaker_reason reason;
    weir_breaker_state from;
    weir_breaker_state to;
    uint64_t at_ns;      /**< Time on the environment clock. */
    uint64_t generation; /**< That of `to`; orders events. */
    uint64_t until_ns;   /**< When OPEN ends; 0 for the other states. */
    uint32_t calls;      /**< Outcomes that were judged: the window's, or the probes'. */
    uint32_t failures;   /**< Of these, failed. */
    uint32_t slow;       /**< Of these, slow. */
    uint64_t dropped;    /**< Events lost so far since tellers fell 32 events behind. */
} weir_breaker_event;

/**
 * Told of each event, in order, by one thread at a time, with no lock held. May call any function
 * on the breaker except weir_breaker_destroy(); what that causes is told after it returns.
 */
typedef void (*weir_breaker_event_fn)(const weir_breaker_event *event, void *user);

/**
 * Start from WEIR_BREAKER_OPTIONS_INIT, then change what you need. WEIR_FAILURE and WEIR_TIMEOUT
 * count as failures; WEIR_IGNORED, WEIR_CANCELLED and WEIR_OVERLOAD are not counted and, for a
 * probe, give the place back.
 */
typedef struct weir_breaker_options {
    size_t struct_size;         /**< Set by the macro; leave alone. */
    weir_breaker_window window; /**< What is judged. */
    uint32_t window_calls;      /**< COUNT: outcomes remembered, 1..1048576; 4 bytes each. */
    uint32_t window_ms;         /**< TIME: length, window_buckets..86400000 ms. */
    uint32_t window_buckets;    /**< TIME: its resolution, 1..64; the oldest drops out whole. */
    uint32_t min_calls;         /**< Outcomes needed for a rate, >= 1; COUNT: at most the window. */
    uint32_t failure_percent;   /**< Opens at this share of failures, 1..100; 0 = off. */
    uint32_t slow_percent;      /**< Opens at this share of slow calls, 1..100; 0 = off. */
    uint32_t slow_ms;           /**< A call that took longer is slow, >= 1 ms. */
    uint32_t consecutive_failures; /**< Opens at this many in a row, whatever min_calls; 0 = off. */
    uint32_t open_ms;              /**< The first rest, 1..86400000 ms. */
    uint32_t open_factor_percent;  /**< Each re-trip rests this much of the last, 100..1000. */
    uint32_t open_max_ms;          /**< Longest rest, open_ms..86400000 ms. */
    uint32_t open_jitter_percent;  /**< A rest is shortened by up to this share, 0..100. */
    uint32_t healthy_ms;  /**< Each such spell without a trip takes one re-trip off, >= 1. */
    uint32_t probe_calls; /**< Probes that decide, 1..1024. */
    weir_breaker_verdict verdict;   /**< How; with neither percentage set, all must pass. */
    uint32_t probe_lease_ms;        /**< A probe not back by then is given up, 1..86400000 ms. */
    uint32_t ramp_ms;               /**< How long RECOVERING lasts, 0..86400000 ms; 0 = none. */
    uint32_t ramp_start_percent;    /**< Share let through at its start, 1..100; grows to 100. */
    weir_breaker_event_fn on_event; /**< May be NULL. */
    void *user;                     /**< Passed to on_event; borrowed. */
    const weir_env *env;            /**< NULL for defaults; copied. */
} weir_breaker_options;

#define WEIR_BREAKER_OPTIONS_INIT                                                                  \
    {                                                                                              \
        .struct_size = sizeof(weir_breaker_options), .window = WEIR_BREAKER_COUNT_WINDOW,          \
        .window_calls = 100, .window_ms = 10000, .window_buckets = 10, .min_calls = 20,            \
        .failure_percent = 50, .slow_percent = 0, .slow_ms = 60000, .consecutive_failures = 0,     \
        .open_ms = 5000, .open_factor_percent = 200, .open_max_ms = 60000,                         \
        .open_jitter_percent = 10, .healthy_ms = 60000, .probe_calls = 5,                          \
        .verdict = WEIR_BREAKER_BY_RATE, .probe_lease_ms = 30000, .ramp_ms = 0,                    \
        .ramp_start_percent = 10, .on_event = NULL, .user = NULL, .env = NULL                      \
    }

/** Counts and rates at one instant. On an idle breaker, a time window empties as time passes. */
typedef struct weir_breaker_stats {
    weir_breaker_state state;
    uint64_t generation;
    uint64_t until_ns;       /**< OPEN: when probing may start; otherwise 0. */
    uint32_t calls;          /**< Outcomes in the window; HALF_OPEN: of probes. */
    uint32_t failures;       /**< Of these, failed. */
    uint32_t slow;           /**< Of these, slow. */
    uint32_t streak;         /**< Failures in a row up to now. */
    uint32_t probes;         /**< Probes under way. */
    uint32_t trips;          /**< Re-trips that the next rest is lengthened by. */
    double failure_percent;  /**< Of calls; 0 when there are none. */
    double slow_percent;     /**< Of calls; 0 when there are none. */
    uint64_t refused;        /**< Calls refused since create. */
    weir_breaker_event last; /**< The newest event; all zero before the first. */
} weir_breaker_stats;

/**
 * Create a closed breaker.
 *
 * @param out      receives the breaker, which the caller must destroy; NULL on failure.
 * @param options  NULL for all defaults; copied.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_breaker_create(weir_breaker **out,
                                                 const weir_breaker_options *options);

/** Free the breaker. NULL is allowed. No other thread may still be using it. */
WEIR_API void weir_breaker_destroy(weir_breaker *breaker);

/**
 * Replace the options while calls go on, keeping the state, the generation, running probes and
 * the window. A count window of another size keeps its newest outcomes, a time window of another
 * shape its counts; a window of the other kind starts empty. on_event, user and env stay as
 * created.
 *
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM; on an error nothing has changed.
 */
WEIR_API WEIR_MUST_CHECK int weir_breaker_update(weir_breaker *breaker,
                                                 const weir_breaker_options *options);

/**
 * Ask to make one call.
 *
 * @param permit          set on WEIR_OK: hand it to weir_breaker_leave() once; spent otherwise.
 * @param retry_after_ns  NULL, or receives how long a refusal will last at least: to the end of
 *                        the rest; 0 = not known (HALF_OPEN, RECOVERING); WEIR_NEVER when forced.
 * @return WEIR_OK, or WEIR_EOPEN: fail fast, do not make the call.
 */
WEIR_API WEIR_MUST_CHECK int weir_breaker_enter(weir_breaker *breaker, weir_breaker_permit *permit,
                                                uint64_t *retry_after_ns);

/** weir_breaker_enter() at a time that you have read already, on the environment clock. */
WEIR_API WEIR_MUST_CHECK int weir_breaker_enter_at(weir_breaker *breaker, uint64_t now_ns,
                                                   weir_breaker_permit *permit,
                                                   uint64_t *retry_after_ns);

/** Report how the call ended, once per permit, which this spends. Late permits change nothing. */
WEIR_API void weir_breaker_leave(weir_breaker *breaker, weir_breaker_permit *permit,
                                 weir_outcome outcome);

/** weir_breaker_leave() at a time that you have read already, on the environment clock. */
WEIR_API void weir_breaker_leave_at(weir_breaker *breaker, weir_breaker_permit *permit,
                                    weir_outcome outcome, uint64_t now_ns);

/**
 * Open until a time on the environment clock, as a Retry-After asks. A breaker that rests longer
 * already, and one in a state set by hand, stays as it is; a time not in the future does nothing.
 */
WEIR_API void weir_breaker_open_until(weir_breaker *breaker, uint64_t until_ns);

/**
 * Put the breaker in a state by hand, where it stays until the next such call: DISABLED,
 * METRICS_ONLY, FORCED_OPEN; or CLOSED, which is weir_breaker_reset().
 *
 * @return WEIR_OK, or WEIR_EINVAL for the other states.
 */
WEIR_API WEIR_MUST_CHECK int weir_breaker_force(weir_breaker *breaker, weir_breaker_state state);

/** Close with an empty window and no memory of trips. */
WEIR_API void weir_breaker_reset(weir_breaker *breaker);

/** The state at this instant. OPEN turns HALF_OPEN at the first enter after its rest. */
WEIR_API weir_breaker_state weir_breaker_get_state(const weir_breaker *breaker);

/** Counts, rates and the newest event, as of now. Takes the mutex: for status pages, not calls. */
WEIR_API void weir_breaker_get_stats(weir_breaker *breaker, weir_breaker_stats *stats);

/** Static lower-case name: "closed", "half_open", ... Never NULL. */
WEIR_API const char *weir_breaker_state_name(weir_breaker_state state);

/** Static lower-case name: "failure_rate", "probes_well", ... Never NULL. */
WEIR_API const char *weir_breaker_reason_name(weir_breaker_reason reason);

WEIR_END_DECLS

#endif

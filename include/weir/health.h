/**
 * @file weir/health.h
 * Active health checks: ask each target now and then if it is well, and tell when that changes.
 *
 *      add(id, check) ---> [ wheel of due times ] --- task: run() ---> start(run) ---> your prober
 *                                    ^                                                   |
 *      events: up, warn, down  <--- counter <--- done(token, pass, warn, fail) <---------+
 *                                    ^      <--- timeout, kept here ------ cancel(run) -->
 *      beat(pass, warn, fail) -------+      <--- no beat in time: the dead man's switch
 *
 * The counter is HAProxy's: it lives in 0 .. rise + fall - 1, and the check is up while it is at
 * least `rise`. A failure takes one off, and what drops below `rise` drops to 0; a pass adds one,
 * and what reaches `rise` jumps to the top. A warning (Consul's) is a pass that shows.
 *
 * Every run has a token that no other run has: a result that is late, doubled or lost does no harm,
 * and the runs of one check never overlap. A target is what several checks share; it is down when
 * one of its critical checks is, and a startup check (Kubernetes) holds back the others of its
 * target until it has passed. A check whose dependency is down is not run, and says why.
 *
 * A checker that was not run for long has measured itself, not its targets: timeouts and failures
 * of runs in flight while the task was late by stall_ms or more are discarded, one event says so,
 * and what is overdue is spread over its interval anew instead of being started all at once.
 *
 * Threads:    any function, any thread, but the task's run() and weir_health_destroy(), which are
 *             for one thread at a time. Callbacks come with no lock held and may call any function
 *             but weir_health_destroy().
 * Blocking:   one short mutex. weir_health_note_traffic() and weir_health_get_state() take none.
 * Allocation: in create, add and update only.
 * Cost:       starting one due check and taking its result is O(1), by a hierarchical timer wheel
 *             (Varghese and Lauck, 1987) with steps of 1 ms: times are rounded up to whole
 *             milliseconds of the clock, so checks that are due within one share a wake-up.
 */
#ifndef WEIR_HEALTH_H
#define WEIR_HEALTH_H

#include <weir/base.h>

WEIR_BEGIN_DECLS

typedef struct weir_health weir_health;
typedef struct weir_health_check weir_health_check; /**< Valid until it is removed. */

/** What is known of a check, or of a target. */
typedef enum weir_health_state {
    WEIR_HEALTH_UNKNOWN, /**< No verdict yet. */
    WEIR_HEALTH_UP,      /**< Passes. */
    WEIR_HEALTH_WARN,    /**< Passes, and its last result warned. A target: something optional is
                              not well. */
    WEIR_HEALTH_DOWN,    /**< Fails. */
} weir_health_state;

/** All critical checks together. */
typedef enum weir_health_system {
    WEIR_HEALTH_HEALTHY,   /**< Every check is up. */
    WEIR_HEALTH_DEGRADED,  /**< Something warns or is unknown, or an optional check is down. */
    WEIR_HEALTH_UNHEALTHY, /**< A critical check is down. */
} weir_health_system;

/** How one run went. */
typedef enum weir_health_verdict {
    WEIR_HEALTH_PENDING, /**< Not known yet: weir_health_done() follows. */
    WEIR_HEALTH_PASS,
    WEIR_HEALTH_WARNING, /**< Passed, with something to look at. */
    WEIR_HEALTH_FAIL,
    WEIR_HEALTH_ABSTAIN, /**< Says nothing, e.g. the prober is out of descriptors: not counted. */
} weir_health_verdict;

/** What is known at the start. */
typedef enum weir_health_initial {
    WEIR_HEALTH_START_UNKNOWN,  /**< Unknown; the first failure is enough to be down. */
    WEIR_HEALTH_START_UP,       /**< Up; the first failure is enough to be down. HAProxy's "up". */
    WEIR_HEALTH_START_FULLY_UP, /**< Up; `fall` failures as ever. */
    WEIR_HEALTH_START_DOWN,     /**< Down until it passes. */
} weir_health_initial;

/** Why a check is not run when it is due. */
typedef enum weir_health_skip {
    WEIR_HEALTH_NOT_SKIPPED,
    WEIR_HEALTH_SKIP_DEPENDENCY, /**< What it depends on is down, or skipped for that itself. */
    WEIR_HEALTH_SKIP_STARTUP,    /**< A startup check of its target has not passed yet. */
    WEIR_HEALTH_SKIP_TRAFFIC,    /**< Traffic has proved it well since the last run. */
} weir_health_skip;

/** Why a state changed. */
typedef enum weir_health_reason {
    WEIR_HEALTH_BY_RESULT,  /**< A run passed, warned or failed. */
    WEIR_HEALTH_BY_TIMEOUT, /**< A run did not answer in time. */
    WEIR_HEALTH_BY_BEAT,    /**< A heartbeat said so. */
    WEIR_HEALTH_BY_SILENCE, /**< No heartbeat in time. */
} weir_health_reason;

/** Proof of a run: a plain value. */
typedef struct weir_health_token {
    uint64_t run;   /**< Which run of all; 0 = none. */
    uint32_t place; /**< Private. */
} weir_health_token;

/** A run that begins, or is to be given up; valid during the callback. */
typedef struct weir_health_run {
    weir_health *health;
    weir_health_check *check;
    const char *id;
    weir_health_token token; /**< For weir_health_done(); copy it. */
    uint64_t started_ns;
    uint64_t deadline_ns; /**< Results that come later are not taken. */
} weir_health_run;

/** Start from WEIR_HEALTH_RESULT_INIT. */
typedef struct weir_health_result {
    weir_health_verdict verdict;
    int64_t figure;   /**< Yours: a status code, an errno, a free space. Shown with the state. */
    const char *note; /**< English, cut after 63 bytes; copied. NULL = nothing new to say. */
} weir_health_result;

#define WEIR_HEALTH_RESULT_INIT                                                                    \
    {                                                                                              \
        .verdict = WEIR_HEALTH_PENDING, .figure = 0, .note = NULL                                  \
    }

/** Room for a note with its NUL. */
#define WEIR_HEALTH_NOTE_SIZE 64

/**
 * Begin a run, on the task's thread; must not wait. Fill in *result if the answer is known at once,
 * or leave it PENDING and call weir_health_done() later, from any thread; from in here, too.
 */
typedef void (*weir_health_start_fn)(const weir_health_run *run, weir_health_result *result,
                                     void *user);

/**
 * Give a run up: it timed out, or its check goes. A result that still comes is ignored. Called by
 * the task, or by who removes the check or destroys the checker.
 */
typedef void (*weir_health_cancel_fn)(const weir_health_run *run, void *user);

/** A check. Start from WEIR_HEALTH_CHECK_OPTIONS_INIT, then change what you need. */
typedef struct weir_health_check_options {
    size_t struct_size;           /**< Set by the macro; leave alone. */
    weir_health_start_fn start;   /**< The prober; NULL = a heartbeat check. */
    weir_health_cancel_fn cancel; /**< May be NULL. */
    void *user;                   /**< Passed to both, and shown in events; borrowed. */
    const char *target;   /**< What it is a check of, 1..255 bytes; NULL = its id. Copied. */
    uint32_t ttl_ms;      /**< Heartbeat: the longest silence, 1..86400000 ms. */
    uint32_t interval_ms; /**< From start to start, 1..86400000 ms. */
    uint32_t fast_ms;     /**< While in transition, 0..86400000 ms; 0 = interval_ms. */
    uint32_t down_ms;     /**< While wholly down, 0..86400000 ms; 0 = interval_ms. */
    uint32_t idle_ms;     /**< While wholly up without traffic, 0..86400000 ms; 0 = interval_ms. */
    uint32_t timeout_ms;  /**< Of a run, 1..86400000 ms. */
    uint32_t rise;        /**< Passes to be up, 1..10000. Heartbeats: always 1. */
    uint32_t fall;        /**< Failures to be down, 1..10000. Heartbeats: always 1. */
    uint32_t tolerate_ms; /**< Down only after failing for that long, 0..86400000 ms. */
    uint32_t jitter_percent; /**< An interval is this much longer or shorter, 0..50. */
    uint32_t spread_percent; /**< First runs are spread over this share of interval_ms, 0..100. */
    uint32_t
        traffic_skips;  /**< Runs in a row that traffic may replace while wholly up; 0 = none. */
    uint32_t expire_ms; /**< Tell EXPIRED once it is down for that long, 0..86400000; 0 = never. */
    uint32_t history;   /**< Changes remembered, 0..64; about 100 bytes each. */
    weir_health_initial initial;
    bool first_pass_up; /**< If the very first result is a pass, it is up at once (Envoy). */
    bool critical;      /**< Its failure is that of its target and of the system. */
    bool startup;       /**< Holds back the others of its target until it is up; then done. */
    const char *const *depends_on; /**< Ids of checks added before; copied. Heartbeats come from
                                        elsewhere: silence counts whatever is down. */
    size_t depends_on_count;       /**< 0..16. */
} weir_health_check_options;

#define WEIR_HEALTH_CHECK_OPTIONS_INIT                                                             \
    {                                                                                              \
        .struct_size = sizeof(weir_health_check_options), .start = NULL, .cancel = NULL,           \
        .user = NULL, .target = NULL, .ttl_ms = 30000, .interval_ms = 2000, .fast_ms = 0,          \
        .down_ms = 0, .idle_ms = 0, .timeout_ms = 1000, .rise = 2, .fall = 3, .tolerate_ms = 0,    \
        .jitter_percent = 5, .spread_percent = 100, .traffic_skips = 0, .expire_ms = 0,            \
        .history = 8, .initial = WEIR_HEALTH_START_UNKNOWN, .first_pass_up = true,                 \
        .critical = true, .startup = false, .depends_on = NULL, .depends_on_count = 0              \
    }

typedef enum weir_health_event_kind {
    WEIR_HEALTH_CHECK_CHANGED,  /**< from, to, reason: of a check. */
    WEIR_HEALTH_CHECK_SKIPPED,  /**< It is due and not run: skip says why, because says of whom. */
    WEIR_HEALTH_CHECK_RESUMED,  /**< It is run again. */
    WEIR_HEALTH_CHECK_EXPIRED,  /**< Down for expire_ms: time to remove it (Consul). */
    WEIR_HEALTH_TARGET_CHANGED, /**< from, to: of the target; by the check told of before. */
    WEIR_HEALTH_SYSTEM_CHANGED, /**< system_from, system_to. */
    WEIR_HEALTH_STALLED,        /**< The task is late by late_ns, or more if it has yet to run. */
} weir_health_event_kind;

/** Something that changed; valid only during the callback. */
typedef struct weir_health_event {
    weir_health_event_kind kind;
    weir_health_check *check; /**< Whose; may be removed by now. NULL for STALLED. */
    const char *id;           /**< Of the check; "" for STALLED. */
    const char *target;       /**< Of the check; "" for STALLED. */
    void *user;               /**< Of the check. */
    uint64_t at_ns;           /**< Time on the environment clock. */
    weir_health_state from, to;
    weir_health_reason reason;
    weir_health_system system_from, system_to;
    weir_health_skip skip;
    const char *because;              /**< SKIPPED for a dependency: its id; else "". */
    int64_t figure;                   /**< Of the result. */
    char note[WEIR_HEALTH_NOTE_SIZE]; /**< Of the result; may be empty. */
    uint32_t counter;                 /**< After the change. */
    uint64_t late_ns;                 /**< STALLED: by how much, so far. */
    uint64_t dropped;                 /**< Events lost so far since tellers fell `events` behind. */
} weir_health_event;

/** Told of changes alone, in order, by one thread at a time. */
typedef void (*weir_health_event_fn)(const weir_health_event *event, void *user);

/** Start from WEIR_HEALTH_OPTIONS_INIT, then change what you need. */
typedef struct weir_health_options {
    size_t struct_size;            /**< Set by the macro; leave alone. */
    uint32_t max_running;          /**< Runs at once, 1..1000000; who is due waits in line. */
    uint32_t stall_ms;             /**< The task this late is a stall, 1..86400000; 0 = never. */
    uint32_t events;               /**< Changes that may wait to be told, 1..1000000. */
    weir_health_event_fn on_event; /**< May be NULL. */
    /** The task wants to run now rather than when it said: e.g. weir_loop_task_wake(), or a post of
        it. Any thread. May be NULL if the task is run often anyway. */
    void (*on_wake)(void *user);
    void *user;          /**< Passed to both; borrowed. */
    const weir_env *env; /**< NULL for defaults; copied. Its randomness sets spread and jitter. */
} weir_health_options;

#define WEIR_HEALTH_OPTIONS_INIT                                                                   \
    {                                                                                              \
        .struct_size = sizeof(weir_health_options), .max_running = 256, .stall_ms = 2000,          \
        .events = 256, .on_event = NULL, .on_wake = NULL, .user = NULL, .env = NULL                \
    }

/** One check at one instant. */
typedef struct weir_health_status {
    const char *id;     /**< Valid as long as the check; in a visit, during the callback. */
    const char *target; /**< The same. */
    void *user;
    weir_health_check *check;
    weir_health_state state;
    weir_health_skip skip; /**< Why it is not run now. */
    const char *because;   /**< Id of the dependency that is down, or "". Valid as id is. */
    bool running;          /**< A run is under way. */
    bool critical;
    uint32_t counter; /**< 0 .. rise + fall - 1. */
    uint32_t rise, fall;
    uint64_t changed_ns;      /**< When the state changed last; when it was added, at first. */
    uint64_t due_ns;          /**< Next start or, while running, the deadline. WEIR_NEVER = none. */
    uint64_t latency_ns;      /**< Of the last run that was answered by weir_health_done(). */
    weir_health_verdict last; /**< Last verdict; PENDING before the first. */
    int64_t figure;           /**< Last figure. */
    char note[WEIR_HEALTH_NOTE_SIZE]; /**< Last note. */
    uint64_t runs;                    /**< Started. */
    uint64_t passed;                  /**< Results and beats that passed or warned. */
    uint64_t failed;                  /**< Results and beats that failed, timeouts and silences. */
    uint64_t timeouts;                /**< Of these, timeouts and silences. */
    uint64_t discarded; /**< Failures not counted because of a stall, and abstentions. */
    uint64_t late;      /**< Results that came after their run was over, and doubled ones. */
    uint64_t skipped;   /**< Due, and not run. */
} weir_health_status;

/** One change of a check, from its history. */
typedef struct weir_health_transition {
    uint64_t at_ns;   /**< On the monotonic clock. */
    uint64_t wall_ns; /**< On the wall clock. */
    weir_health_state from, to;
    weir_health_reason reason;
    int64_t figure;
    char note[WEIR_HEALTH_NOTE_SIZE];
} weir_health_transition;

/** The whole at one instant. */
typedef struct weir_health_summary {
    weir_health_system system;
    uint32_t checks;
    uint32_t unknown, up, warn, down; /**< Checks by state. */
    uint32_t critical_down;           /**< Of those down. */
    uint32_t running;                 /**< Runs under way. */
    uint32_t waiting;                 /**< Due, and waiting for max_running. */
    uint64_t stalls;                  /**< Since create. */
    uint64_t stalled_ns;              /**< How late the task was in them, in all. */
    uint64_t dropped;                 /**< Events lost. */
} weir_health_summary;

/**
 * Create a checker without checks.
 *
 * @param out      receives the checker, which the caller must destroy; NULL on failure.
 * @param options  NULL for all defaults; copied.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_health_create(weir_health **out,
                                                const weir_health_options *options);

/** Cancel what runs, and free all. NULL is allowed. No other thread may still be using it. */
WEIR_API void weir_health_destroy(weir_health *health);

/**
 * Add a check. Its first run comes within spread_percent of its interval.
 *
 * @param id     unique, 1..255 bytes; copied.
 * @param check  NULL, or receives the check.
 * @return WEIR_OK; WEIR_EINVAL: an option, or the id is taken; WEIR_ENOTFOUND: no such dependency;
 *         WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_health_add(weir_health *health, const char *id,
                                             const weir_health_check_options *options,
                                             weir_health_check **check);

/**
 * Replace the options of a check, which keeps state, counts and a run under way; a counter out of
 * the new range is moved into it, on its side. start, cancel, user, target, startup, initial and
 * history stay as added.
 *
 * @return WEIR_OK; WEIR_EINVAL: an option, or a cycle of dependencies; WEIR_ENOTFOUND: no such
 *         dependency; WEIR_ENOMEM. On an error nothing has changed.
 */
WEIR_API WEIR_MUST_CHECK int weir_health_update(weir_health *health, weir_health_check *check,
                                                const weir_health_check_options *options);

/**
 * Remove a check; a run under way is cancelled. Its start() is not called once this has returned,
 * unless the task is in it just now, on another thread; nor is cancel(), likewise.
 *
 * @return WEIR_OK, or WEIR_EBUSY: others depend on it.
 */
WEIR_API int weir_health_remove(weir_health *health, weir_health_check *check);

/** The check of that id, or NULL. */
WEIR_API weir_health_check *weir_health_find(weir_health *health, const char *id);

/** The task that starts runs, and ends those that time out; lives as long as the checker. */
WEIR_API weir_task weir_health_task(weir_health *health);

/**
 * Tell how a run went, once. Harmless for a run that is over: it is counted as late.
 *
 * @return WEIR_OK; WEIR_ESTALE: that run is over, or its check gone; WEIR_EINVAL: the verdict.
 */
WEIR_API int weir_health_done(weir_health *health, weir_health_token token,
                              const weir_health_result *result);

/**
 * A heartbeat: sets the state at once, and puts off silence by ttl_ms.
 *
 * @return WEIR_OK, or WEIR_EINVAL: not a heartbeat check, or not PASS, WARNING or FAIL.
 */
WEIR_API int weir_health_beat(weir_health *health, weir_health_check *check,
                              const weir_health_result *result);

/**
 * A call to what is checked has succeeded: per call, lock-free, and a store only if the last one
 * noted is older than an eighth of the interval.
 */
WEIR_API void weir_health_note_traffic(weir_health_check *check, uint64_t now_ns);

/** Let a check be due now; one that is running, or a heartbeat, is left alone. */
WEIR_API void weir_health_check_now(weir_health *health, weir_health_check *check);

/** The state at this instant. */
WEIR_API weir_health_state weir_health_get_state(const weir_health_check *check);

/** All about one check. */
WEIR_API void weir_health_get_status(weir_health *health, weir_health_check *check,
                                     weir_health_status *status);

/** The last changes of a check, newest first; returns how many were written, at most `size`. */
WEIR_API size_t weir_health_get_history(weir_health *health, weir_health_check *check,
                                        weir_health_transition *out, size_t size);

/** The state of a target, of all its checks. WEIR_OK or WEIR_ENOTFOUND. */
WEIR_API WEIR_MUST_CHECK int weir_health_get_target(weir_health *health, const char *target,
                                                    weir_health_state *state);

/** The whole; returns summary->system. `summary` may be NULL. */
WEIR_API weir_health_system weir_health_get_system(weir_health *health,
                                                   weir_health_summary *summary);

/** Look at one check; no lock is held. */
typedef void (*weir_health_visit_fn)(const weir_health_status *status, void *user);

/** Visit all checks; those that are added or removed meanwhile may be missed. */
WEIR_API void weir_health_visit(weir_health *health, weir_health_visit_fn visit, void *user);

/** Static lower-case name: "unknown", "up", "warn", "down". Never NULL. */
WEIR_API const char *weir_health_state_name(weir_health_state state);

/** Static lower-case name: "healthy", "degraded", "unhealthy". Never NULL. */
WEIR_API const char *weir_health_system_name(weir_health_system system);

/** Static lower-case name: "", "dependency", "startup", "traffic". Never NULL. */
WEIR_API const char *weir_health_skip_name(weir_health_skip skip);

/** Static lower-case name: "result", "timeout", "beat", "silence". Never NULL. */
WEIR_API const char *weir_health_reason_name(weir_health_reason reason);

WEIR_END_DECLS

#endif

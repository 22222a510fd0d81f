/**
 * @file weir/sim.h
 * Simulator: a world in one thread, where hours pass in milliseconds and any run can be repeated.
 *
 *   weir_sim_env() ----> your modules: virtual clock, seeded randomness, sleep that runs the world
 *   at, add_task ------> what is due ----+
 *   weir_sim_call() ---> services -------+--> run: the earliest first; time jumps to it
 *
 * A run depends on the seed and on what is called, on nothing else: the same seed gives the same
 * callbacks in the same order, which weir_sim_digest() proves in one comparison. A failure found
 * in one of a thousand seeds is replayed with that seed alone.
 *
 * Each service, the order of simultaneous events, the environment's randomness and
 * weir_sim_random() draw from streams of their own, and each call draws as often whatever happens
 * to it: so a change in a policy does not change the world that it is tried in.
 *
 * Threads:    one. Everything is called from the thread that runs the world.
 * Blocking:   never; the environment's sleep runs the world forward instead.
 * Allocation: what is pending is allocated, and reused when over; all through options.env.
 *
 * Callbacks may call any function here but weir_sim_destroy(), weir_sim_run() and its likes too.
 */
#ifndef WEIR_SIM_H
#define WEIR_SIM_H

#include <weir/base.h>

WEIR_BEGIN_DECLS

typedef struct weir_sim weir_sim;

/** Something that answers calls; lives as long as its world. */
typedef struct weir_sim_service weir_sim_service;

/** Names a timer, a task or a call; never used again in a world. 0 names nothing. */
typedef uint64_t weir_sim_id;

typedef enum weir_sim_kind {
    WEIR_SIM_TIMER,  /**< A timer is due. */
    WEIR_SIM_TASK,   /**< A task runs. */
    WEIR_SIM_CALL,   /**< A call begins. */
    WEIR_SIM_DONE,   /**< A call is over; value is its outcome. */
    WEIR_SIM_CHANGE, /**< A service changes its behaviour; id is its number, from 1. */
    WEIR_SIM_MARK,   /**< weir_sim_mark(); value is what was marked. */
} weir_sim_kind;

/** One step of the trace; valid only during the callback. */
typedef struct weir_sim_event {
    uint64_t at_ns;
    weir_sim_kind kind;
    weir_sim_id id;
    uint64_t value;
} weir_sim_event;

/** Start from WEIR_SIM_OPTIONS_INIT, then change what you need. */
typedef struct weir_sim_options {
    size_t struct_size;  /**< Set by the macro; leave alone. */
    uint64_t seed;       /**< Any value. */
    uint64_t start_ns;   /**< The virtual monotonic clock at first, 0..2^62. */
    uint64_t wall_ns;    /**< The virtual wall clock at first, 0..2^62. */
    uint64_t max_events; /**< A world in which more happens does not come to rest, >= 1. */
    /** Draw the order of simultaneous events from the seed; else they come in the order in which
     * they were set. Finds what only works in one order. */
    bool shuffle;
    void (*on_event)(const weir_sim_event *event, void *user); /**< The trace; may be NULL. */
    void *user;                                                /**< Passed to on_event; borrowed. */
    const weir_env *env; /**< For memory alone; NULL for defaults; copied. */
} weir_sim_options;

#define WEIR_SIM_OPTIONS_INIT                                                                      \
    {                                                                                              \
        .struct_size = sizeof(weir_sim_options), .seed = 1, .start_ns = 1000000000,                \
        .wall_ns = 1700000000000000000, .max_events = 10000000, .shuffle = false,                  \
        .on_event = NULL, .user = NULL, .env = NULL                                                \
    }

typedef enum weir_sim_latency {
    WEIR_SIM_FIXED,       /**< min_ns. */
    WEIR_SIM_UNIFORM,     /**< Anywhere in min_ns .. max_ns. */
    WEIR_SIM_EXPONENTIAL, /**< min_ns and an exponential of mean_ns on top, at most max_ns. */
} weir_sim_latency;

typedef enum weir_sim_link {
    WEIR_SIM_UP,      /**< Calls are answered. */
    WEIR_SIM_REFUSED, /**< New calls fail after refuse_ns: the process is gone. */
    WEIR_SIM_SILENT,  /**< No answer arrives, not even to calls begun before: a black hole, or a
                           partition that drops packets. */
} weir_sim_link;

/** How a service answers. Start from WEIR_SIM_BEHAVIOUR_INIT, then change what you need. */
typedef struct weir_sim_behaviour {
    size_t struct_size;       /**< Set by the macro; leave alone. */
    weir_sim_latency latency; /**< How long an answer takes, from when it is served. */
    uint64_t min_ns;          /**< 0..max_ns. */
    uint64_t max_ns;          /**< min_ns..2^62. */
    uint64_t mean_ns;         /**< For WEIR_SIM_EXPONENTIAL, 0..max_ns. */
    double failure_rate;      /**< Share of the served that end as WEIR_FAILURE, 0..1. */
    double overload_rate;     /**< Share turned away with WEIR_OVERLOAD after refuse_ns, 0..1. */
    weir_sim_link link;
    uint64_t refuse_ns; /**< What it takes to be turned away, 0..2^62. */
    /** Calls served at a time; 0 = any number. A caller's timeout or cancel does not stop the
     * work, and so does not free its place. */
    uint32_t capacity;
    uint32_t queue; /**< Calls that wait for a place, first come first served; more are turned
                         away with WEIR_OVERLOAD. */
} weir_sim_behaviour;

#define WEIR_SIM_BEHAVIOUR_INIT                                                                    \
    {                                                                                              \
        .struct_size = sizeof(weir_sim_behaviour), .latency = WEIR_SIM_FIXED, .min_ns = 1000000,   \
        .max_ns = 1000000000, .mean_ns = 0, .failure_rate = 0, .overload_rate = 0,                 \
        .link = WEIR_SIM_UP, .refuse_ns = 0, .capacity = 0, .queue = 0                             \
    }

/** How a call ended. */
typedef struct weir_sim_result {
    weir_sim_id id;
    weir_outcome outcome; /**< WEIR_SUCCESS, WEIR_FAILURE, WEIR_OVERLOAD or WEIR_TIMEOUT. */
    uint64_t latency_ns;  /**< From its begin until now. */
} weir_sim_result;

typedef void (*weir_sim_timer_fn)(uint64_t now_ns, void *user);
typedef void (*weir_sim_done_fn)(const weir_sim_result *result, void *user);

/**
 * Create a world in which nothing happens yet.
 *
 * @param out      receives the world, which the caller must destroy; NULL on failure.
 * @param options  NULL for all defaults; copied.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_sim_create(weir_sim **out, const weir_sim_options *options);

/** Free the world with its services and all that is pending; none of it is called. NULL is
 * allowed. Not from a callback. What uses weir_sim_env() must be gone. */
WEIR_API void weir_sim_destroy(weir_sim *sim);

/** The environment of this world, for the options of every module in it. Owned by the world. */
WEIR_API const weir_env *weir_sim_env(weir_sim *sim);

/** The virtual monotonic clock. Never steps back. */
WEIR_API uint64_t weir_sim_now(const weir_sim *sim);

/** 64 random bits, e.g. for arrivals; a stream apart from the environment's. */
WEIR_API uint64_t weir_sim_random(weir_sim *sim);

/** Uniform in 0 .. bound - 1 from the same stream; 0 if bound is 0. */
WEIR_API uint64_t weir_sim_random_below(weir_sim *sim, uint64_t bound);

/**
 * Call fn(now, user) once, at at_ns; now if that has passed.
 *
 * @param id  set, for weir_sim_cancel(); may be NULL.
 * @return WEIR_OK; WEIR_EINVAL: fn is NULL; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_sim_at(weir_sim *sim, uint64_t at_ns, weir_sim_timer_fn fn,
                                         void *user, weir_sim_id *id);

/**
 * Run a task at first_ns, and then whenever it asks to. WEIR_NEVER = only when woken.
 *
 * @param id  set, for weir_sim_wake() and weir_sim_cancel(); may be NULL.
 * @return WEIR_OK; WEIR_EINVAL: task.run is NULL; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_sim_add_task(weir_sim *sim, weir_task task, uint64_t first_ns,
                                               weir_sim_id *id);

/** Run a task at at_ns if it would not run sooner. WEIR_OK; WEIR_ENOTFOUND: no task has this id. */
WEIR_API int weir_sim_wake(weir_sim *sim, weir_sim_id id, uint64_t at_ns);

/**
 * Forget a timer, a task or a call; nothing of it is called any more. A service goes on working on
 * a cancelled call. WEIR_OK; WEIR_ENOTFOUND: it is over, or never was.
 */
WEIR_API int weir_sim_cancel(weir_sim *sim, weir_sim_id id);

/**
 * Add a service to the world, which owns it.
 *
 * @param out        receives the service; NULL on failure.
 * @param behaviour  NULL for all defaults: answers well in 1 ms; copied.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_sim_service_create(weir_sim_service **out, weir_sim *sim,
                                                     const weir_sim_behaviour *behaviour);

/**
 * Change a service at at_ns; at once if that has passed. Calls begun before keep what they have
 * drawn, but for a silence, which loses answers too. A lower capacity throws nobody out.
 *
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_sim_service_change(weir_sim_service *service, uint64_t at_ns,
                                                     const weir_sim_behaviour *behaviour);

/** Calls being served and calls waiting, at the service's side. Any of the two may be NULL. */
WEIR_API void weir_sim_service_load(const weir_sim_service *service, uint32_t *serving,
                                    uint32_t *waiting);

/**
 * Call a service. `done` is called once, never from within this function: when the answer arrives,
 * when it is refused, or after timeout_ns with WEIR_TIMEOUT; and never if it is cancelled, or if
 * no answer arrives and there is no timeout.
 *
 * @param timeout_ns  WEIR_NEVER = none. An answer at its very end is in time if it was served at
 *                    once, and not shuffled.
 * @param id          set, for weir_sim_cancel(); may be NULL.
 * @return WEIR_OK; WEIR_EINVAL: done is NULL; WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_sim_call(weir_sim_service *service, uint64_t timeout_ns,
                                           weir_sim_done_fn done, void *user, weir_sim_id *id);

/** Let the next thing happen. False: nothing is pending, or max_events have happened. */
WEIR_API bool weir_sim_step(weir_sim *sim);

/** Let everything up to until_ns happen, and that time come (WEIR_NEVER does not: as
 * weir_sim_run()). WEIR_OK; WEIR_ETOOLARGE: max_events have happened first, and time stands where
 * the last one was. */
WEIR_API int weir_sim_run_until(weir_sim *sim, uint64_t until_ns);

/** Let everything happen that there is; time stops at the last of it. WEIR_OK or WEIR_ETOOLARGE. */
WEIR_API int weir_sim_run(weir_sim *sim);

/** Enter something of your own into trace and digest, e.g. a decision of the policy under test. */
WEIR_API void weir_sim_mark(weir_sim *sim, uint64_t value);

/** A hash of the trace so far: equal if and (almost) only if the same things happened. */
WEIR_API uint64_t weir_sim_digest(const weir_sim *sim);

/** How many events have happened. */
WEIR_API uint64_t weir_sim_events(const weir_sim *sim);

/** Static name of a kind, lower case: "timer", "task", ... Never NULL. */
WEIR_API const char *weir_sim_kind_name(weir_sim_kind kind);

WEIR_END_DECLS

#endif

/**
 * @file weir/caller.h
 * Guarded calls to one service: balancer, a breaker per member, limiter, retry and deadlines, put
 * together so that no permit is lost between them. A machine without I/O: you make the attempts.
 *
 *   begin --+--> WEIR_OK: make the attempt --> end --+--> WEIR_CALL_DONE
 *           |        ^                               +--> WEIR_CALL_FAILED, and why
 *           |        +-------- retry <-- at t -------+--> WEIR_CALL_RETRY
 *           +--> a rejection: stage, code, retry-after
 *
 * Each attempt goes through, in this order: the deadline; the limiter, once a call; the balancer (a
 * member, tried ones last); and that member's breaker (a refusal goes back to the balancer, up to
 * 32 times). Whoever rejects has what was granted before it given back: no permit is lost on a call
 * that is not made.
 * A member whose breaker opens gets WEIR_MEMBER_OPEN, so picks stay O(1), until its rest is over;
 * one that outlier detection ejects, WEIR_MEMBER_EJECTED, until it returns.
 *
 * Threads:    any function, any thread, same caller; one weir_call belongs to one thread at a time.
 * Blocking:   begin, retry and end take no lock while breakers stay closed, but for giving a permit
 *             back after a rejection; weir_caller_execute() sleeps between attempts, through the
 *             environment.
 * Allocation: in create and the updates, and when a breaker opens or rests no more.
 */
#ifndef WEIR_CALLER_H
#define WEIR_CALLER_H

#include <weir/balancer.h>
#include <weir/base.h>
#include <weir/breaker.h>
#include <weir/limiter.h>
#include <weir/outlier.h>
#include <weir/retry.h>

WEIR_BEGIN_DECLS

typedef struct weir_caller weir_caller;

/** Who rejected. */
typedef enum weir_caller_stage {
    WEIR_STAGE_DEADLINE, /**< WEIR_EDEADLINE. */
    WEIR_STAGE_BALANCER, /**< WEIR_EEMPTY, WEIR_EDOWN or WEIR_ESATURATED. */
    WEIR_STAGE_BREAKER,  /**< WEIR_EOPEN: members are open, and no other can serve. */
    WEIR_STAGE_LIMITER,  /**< WEIR_ELIMITED or WEIR_ENEVER. */
} weir_caller_stage;

typedef struct weir_rejection {
    weir_caller_stage stage;
    int code;                /**< As the function returned it. */
    uint64_t retry_after_ns; /**< How long it will last at least; 0 = not known; or WEIR_NEVER. */
} weir_rejection;

/** One attempt to be made now. Its pointers are valid until weir_caller_end(). */
typedef struct weir_attempt {
    const weir_member *member; /**< id, address and so on; its `user` is the caller's own. */
    void *user;                /**< The user pointer that you gave the member. */
    uint64_t deadline_ns;      /**< Give up then, with WEIR_TIMEOUT; WEIR_NEVER = none. */
    uint32_t number;           /**< 1 for the first. */
} weir_attempt;

/** How an attempt went. Zero-initialize, then set the outcome. */
typedef struct weir_attempt_result {
    weir_outcome outcome;
    uint64_t retry_after_ns;    /**< The member asked to be left alone so long; 0 = it did not. */
    bool unsent;                /**< The member cannot have acted on it: safe to repeat anyway. */
    bool final;                 /**< There can be no further attempt, e.g. its body is used up. */
    weir_outlier_origin origin; /**< Of a failure, for outlier detection; LOCAL if unsent. */
} weir_attempt_result;

/** What is next. */
typedef enum weir_call_verdict {
    WEIR_CALL_DONE,   /**< Over: it succeeded, was ignored or was cancelled. */
    WEIR_CALL_RETRY,  /**< Wait, then weir_caller_retry(). */
    WEIR_CALL_FAILED, /**< Over: no further attempt; weir_call.retry.verdict says why. */
} weir_call_verdict;

/** Start from WEIR_CALL_OPTIONS_INIT. */
typedef struct weir_call_options {
    size_t struct_size;   /**< Set by the macro; leave alone. */
    uint64_t deadline_ns; /**< Of the whole call, on the environment clock, beside timeout_ns. */
    uint64_t hash;        /**< Of its key, for balancing with affinity: weir_balancer_hash(). */
    const char *sticky;   /**< As in weir_pick_options; borrowed until the call is over. */
    const weir_label *labels; /**< The same. */
    size_t label_count;
    uint64_t cost;   /**< Limiter permits, >= 1. */
    bool repeatable; /**< False: only attempts that were not sent are repeated. */
    void *user;      /**< Yours: found in weir_caller_event, e.g. the trace span. */
} weir_call_options;

#define WEIR_CALL_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(weir_call_options), .deadline_ns = WEIR_NEVER, .hash = 0,            \
        .sticky = NULL, .labels = NULL, .label_count = 0, .cost = 1, .repeatable = true,           \
        .user = NULL                                                                               \
    }

/** How many members tried before a call avoids. */
#define WEIR_CALL_MAX_TRIED 4

/** One call under way; yours, wherever you like; all but `retry` and `user` is private. */
typedef struct weir_call {
    weir_retry retry; /**< For reading: attempts so far, latest verdict. */
    void *user;
    weir_caller *caller; /**< NULL when no call is under way. */
    uint64_t began_ns;
    uint64_t deadline_ns;
    uint64_t attempt_ns;
    uint64_t hash;
    const char *sticky;
    const weir_label *labels;
    size_t label_count;
    bool repeatable;
    bool attempting;
    bool watched;
    uint32_t tried_count;
    void *tried[WEIR_CALL_MAX_TRIED];
    void *slot;
    weir_pick pick;
    weir_breaker_permit permit;
} weir_call;

typedef enum weir_caller_event_kind {
    WEIR_CALLER_REJECTED, /**< No attempt: stage, code, retry_after_ns. */
    WEIR_CALLER_ATTEMPT,  /**< An attempt begins: member, attempt, deadline_ns. */
    WEIR_CALLER_RESULT,   /**< An attempt ended: member, attempt, outcome, latency_ns. */
    WEIR_CALLER_ENDED,    /**< The call is over: outcome, latency_ns from begin, attempt. */
    WEIR_CALLER_BREAKER,  /**< A member's breaker told something: member, breaker. */
    WEIR_CALLER_OUTLIER,  /**< A member was ejected or returned: member, outlier. */
} weir_caller_event_kind;

/** For metrics and traces. Valid only during the callback. */
typedef struct weir_caller_event {
    weir_caller_event_kind kind;
    uint64_t at_ns;
    const weir_call *call; /**< NULL with WEIR_CALLER_BREAKER and WEIR_CALLER_OUTLIER. */
    const char *member;    /**< Its id, or NULL. */
    uint32_t attempt;      /**< Number of the attempt; 0 before the first. */
    weir_outcome outcome;
    uint64_t latency_ns;
    uint64_t deadline_ns;
    weir_rejection rejection;
    const weir_breaker_event *breaker; /**< Or NULL. */
    const weir_outlier_event *outlier; /**< Or NULL. */
} weir_caller_event;

/** Called on the thread that caused it, with no lock held; may use the caller, not destroy it. */
typedef void (*weir_caller_event_fn)(const weir_caller_event *event, void *user);

/** Start from WEIR_CALLER_OPTIONS_INIT. Options of the parts are copied, their env is not used. */
typedef struct weir_caller_options {
    size_t struct_size;                    /**< Set by the macro; leave alone. */
    const weir_balancer_options *balancer; /**< NULL = its defaults. */
    const weir_limiter_options *limiter;   /**< NULL = no limit. */
    const weir_breaker_options
        *breaker; /**< Of each member; NULL = none. Its on_event is not used. */
    const weir_outlier_options *outlier; /**< NULL = nobody is ejected. Its on_event is not used. */
    const weir_retry_options *retry;     /**< NULL = one attempt. */
    uint64_t timeout_ns;                 /**< Of a call, >= 1; WEIR_NEVER = none. */
    uint64_t attempt_timeout_ns;         /**< Of each attempt, >= 1; WEIR_NEVER = none. */
    weir_caller_event_fn on_event;       /**< May be NULL. */
    void *user;                          /**< Passed to on_event; borrowed. */
    const weir_env *env;                 /**< NULL for defaults; copied. */
} weir_caller_options;

#define WEIR_CALLER_OPTIONS_INIT                                                                   \
    {                                                                                              \
        .struct_size = sizeof(weir_caller_options), .balancer = NULL, .limiter = NULL,             \
        .breaker = NULL, .outlier = NULL, .retry = NULL, .timeout_ns = WEIR_NEVER,                 \
        .attempt_timeout_ns = WEIR_NEVER, .on_event = NULL, .user = NULL, .env = NULL              \
    }

/** Counts since create. */
typedef struct weir_caller_stats {
    uint64_t calls;       /**< Begun and not rejected at once. */
    uint64_t attempts;    /**< Made for these. */
    uint64_t succeeded;   /**< Calls whose last outcome was WEIR_SUCCESS. */
    uint64_t failed;      /**< Calls that ended as WEIR_CALL_FAILED, rejected retries included. */
    uint64_t rejected[4]; /**< By weir_caller_stage, of first attempts and of retries. */
} weir_caller_stats;

/**
 * Create a caller without members.
 *
 * @return WEIR_OK, WEIR_EINVAL (also for an option of a part) or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_caller_create(weir_caller **out,
                                                const weir_caller_options *options);

/** Free it with all its parts. NULL is allowed. No call may be under way. */
WEIR_API void weir_caller_destroy(weir_caller *caller);

/**
 * Make `members` the whole set, as weir_balancer_update(). Who stays keeps its breaker.
 *
 * @return as weir_balancer_update(); on an error nothing has changed.
 */
WEIR_API WEIR_MUST_CHECK int weir_caller_set_members(weir_caller *caller,
                                                     const weir_member *members, size_t count,
                                                     uint64_t version);

/**
 * Replace balancer, limiter, breaker, outlier, retry and timeout options while calls go on; states
 * and counts are kept. on_event, user and env stay as created.
 *
 * @return WEIR_OK; WEIR_EINVAL: an option is out of range;
 *         WEIR_ENOMEM: some breakers may have the new options already; ask again.
 */
WEIR_API WEIR_MUST_CHECK int weir_caller_update(weir_caller *caller,
                                                const weir_caller_options *options);

/** The environment clock: what now_ns means below. */
WEIR_API uint64_t weir_caller_now_ns(const weir_caller *caller);

/**
 * Begin a call with its first attempt.
 *
 * @param call       set; under way on WEIR_OK: then weir_caller_end() or _cancel() it.
 * @param options    NULL for all defaults; copied.
 * @param attempt    set on WEIR_OK.
 * @param rejection  NULL, or set on a rejection.
 * @return WEIR_OK; WEIR_EINVAL: cost is 0; or a rejection: WEIR_EDEADLINE, WEIR_EEMPTY, WEIR_EDOWN,
 *         WEIR_ESATURATED, WEIR_EOPEN, WEIR_ELIMITED, WEIR_ENEVER.
 */
WEIR_API WEIR_MUST_CHECK int weir_caller_begin(weir_caller *caller, weir_call *call,
                                               const weir_call_options *options, uint64_t now_ns,
                                               weir_attempt *attempt, weir_rejection *rejection);

/**
 * Report how the attempt went.
 *
 * @param retry_at_ns  NULL, or set with WEIR_CALL_RETRY: when to weir_caller_retry().
 * @return what is next. A call that is not under way, e.g. ended before, is WEIR_CALL_FAILED.
 */
WEIR_API WEIR_MUST_CHECK weir_call_verdict weir_caller_end(weir_call *call,
                                                           const weir_attempt_result *result,
                                                           uint64_t now_ns, uint64_t *retry_at_ns);

/**
 * Begin the next attempt after WEIR_CALL_RETRY. A rejection ends the call.
 *
 * @return WEIR_OK, or a rejection as weir_caller_begin(); WEIR_EINVAL: no retry is due.
 */
WEIR_API WEIR_MUST_CHECK int weir_caller_retry(weir_call *call, uint64_t now_ns,
                                               weir_attempt *attempt, weir_rejection *rejection);

/** End a call wherever it is, as WEIR_CANCELLED. One that is not under way stays so. */
WEIR_API void weir_caller_cancel(weir_call *call, uint64_t now_ns);

/** Make one attempt, blocking until attempt->deadline_ns at most; set result->outcome. */
typedef void (*weir_caller_fn)(const weir_attempt *attempt, weir_attempt_result *result,
                               void *user);

/**
 * Begin, attempt, wait and retry, until it is over. Blocks the thread.
 *
 * @param rejection  NULL, or set on a rejection.
 * @return WEIR_OK: it succeeded; WEIR_EFAILED: it was made and did not; or a rejection as
 *         weir_caller_begin().
 */
WEIR_API WEIR_MUST_CHECK int weir_caller_execute(weir_caller *caller,
                                                 const weir_call_options *options,
                                                 weir_caller_fn fn, void *user,
                                                 weir_rejection *rejection);

/** A member as seen on a status page; valid within the callback, which must not use the caller. */
typedef struct weir_caller_member {
    const weir_member *member;
    void *user; /**< As given with the member. */
    weir_member_stats stats;
    weir_breaker_stats breaker;      /**< All zero without a breaker. */
    weir_outlier_host_stats outlier; /**< All zero without outlier detection. */
} weir_caller_member;

/** Visit all members, in the order in which they were given. For status pages. */
WEIR_API void weir_caller_visit(weir_caller *caller,
                                void (*visit)(const weir_caller_member *member, void *user),
                                void *user);

WEIR_API void weir_caller_get_stats(weir_caller *caller, weir_caller_stats *stats);

/** The limiter's view, as of now_ns; `remaining` is UINT64_MAX without a limit. */
WEIR_API void weir_caller_get_limit(weir_caller *caller, uint64_t now_ns,
                                    weir_limiter_stats *stats);

/** Outlier detection as a whole. */
WEIR_API void weir_caller_get_outlier(weir_caller *caller, weir_outlier_stats *stats);

/** End a member's ejection, e.g. since an active check passed. WEIR_OK, WEIR_ENOTFOUND, or
 * WEIR_EBUSY: it is not ejected. */
WEIR_API int weir_caller_uneject(weir_caller *caller, const char *id, uint64_t now_ns);

/**
 * What makes time pass for outlier detection, slow start, reported weights and recovery of the
 * balancer: to be run, by one thread at a time, if any of these is used.
 */
WEIR_API weir_task weir_caller_task(weir_caller *caller);

/** The balancer inside, for flags: drain, mark down. Lives as long as the caller. */
WEIR_API weir_balancer *weir_caller_balancer(weir_caller *caller);

/** Set a member's breaker by hand, as weir_breaker_force(). WEIR_OK, WEIR_EINVAL, WEIR_ENOTFOUND.
 */
WEIR_API WEIR_MUST_CHECK int weir_caller_force_breaker(weir_caller *caller, const char *id,
                                                       weir_breaker_state state);

/** Static lower-case name: "limiter", "balancer", ... Never NULL. */
WEIR_API const char *weir_caller_stage_name(weir_caller_stage stage);

WEIR_END_DECLS

#endif

/**
 * @file weir/retry.h
 * Retry: whether to try again, and when.
 *
 *   begin --> attempt --outcome--> next --+--> WEIR_RETRY_AT t: wait until t, then attempt again
 *                ^                        |
 *                +------------------------+--> WEIR_RETRY_...: stop, and why
 *
 * It is pulled: you make the attempts and the waiting, on whatever clock and in whatever thread or
 * loop you like, and ask after each attempt. Only retry what is safe to repeat.
 *
 * The k-th delay, k = 0 before the first retry, starts from d = min(cap, base * 2^k). Jitter keeps
 * those who failed together from coming back together (M. Brooker, "Exponential Backoff and
 * Jitter", AWS 2015):
 *
 *   NONE           d
 *   FULL           U[0, d)
 *   EQUAL          h + U[0, h), h = d / 2
 *   DECORRELATED   U[base, min(cap, 3 * last)), last = the delay before; the first is FULL
 *   FACTOR         min(cap, d * (1 + (1 - 2r) * factor)), r = U[0, 1)
 *
 * Threads:    a weir_retry belongs to one thread at a time; no two share anything.
 * Blocking:   never.
 * Allocation: never.
 */
#ifndef WEIR_RETRY_H
#define WEIR_RETRY_H

#include <weir/base.h>

WEIR_BEGIN_DECLS

typedef enum weir_jitter {
    WEIR_JITTER_NONE,
    WEIR_JITTER_FULL,
    WEIR_JITTER_EQUAL,
    WEIR_JITTER_DECORRELATED,
    WEIR_JITTER_FACTOR,
} weir_jitter;

/** What to do after an attempt. */
typedef enum weir_retry_verdict {
    WEIR_RETRY_AT,            /**< Try again at the time given. */
    WEIR_RETRY_SUCCEEDED,     /**< Stop: it is done. */
    WEIR_RETRY_NOT_RETRYABLE, /**< Stop: retry_on does not hold this outcome. */
    WEIR_RETRY_EXHAUSTED,     /**< Stop: max_attempts have been made. */
    WEIR_RETRY_DEADLINE,      /**< Stop: the deadline would come first. */
} weir_retry_verdict;

/** The bit of an outcome in weir_retry_options.retry_on. */
#define WEIR_RETRY_ON(outcome) (UINT32_C(1) << (outcome))

/** Start from WEIR_RETRY_OPTIONS_INIT, then change what you need. */
typedef struct weir_retry_options {
    size_t struct_size;    /**< Set by the macro; leave alone. */
    uint32_t max_attempts; /**< In all, the first one too; >= 1, and 1 never retries. */
    /** Outcomes worth another attempt: WEIR_RETRY_ON() of each, or'ed. Not success or cancelled. */
    uint32_t retry_on;
    weir_jitter jitter;       /**< One of the five. */
    uint32_t factor_percent;  /**< For WEIR_JITTER_FACTOR: 0..100 percent each way. */
    uint64_t base_ns;         /**< First delay before jitter, ns, 0..cap_ns; 0 = at once. */
    uint64_t cap_ns;          /**< Longest delay, ns, base_ns..2^56 (2 years). */
    uint64_t total_ns;        /**< From begin to the last attempt's start, ns, >= 1;
                                   WEIR_NEVER = no matter how long. */
    uint64_t pushback_cap_ns; /**< Longest Retry-After that is honoured in full, ns; above it, as
                                   much is waited. 0 = never honoured. */
} weir_retry_options;

#define WEIR_RETRY_OPTIONS_INIT                                                                    \
    {                                                                                              \
        .struct_size = sizeof(weir_retry_options), .max_attempts = 3,                              \
        .retry_on = WEIR_RETRY_ON(WEIR_FAILURE) | WEIR_RETRY_ON(WEIR_TIMEOUT) |                    \
                    WEIR_RETRY_ON(WEIR_OVERLOAD),                                                  \
        .jitter = WEIR_JITTER_FULL, .factor_percent = 50, .base_ns = 100000000,                    \
        .cap_ns = 10000000000, .total_ns = WEIR_NEVER, .pushback_cap_ns = 30000000000              \
    }

/** One call and its attempts. A plain value: copied, dropped and begun again freely. */
typedef struct weir_retry {
    uint32_t attempts;          /**< For reading: attempts so far, with the one under way. */
    weir_retry_verdict verdict; /**< For reading: the latest. */
    uint64_t deadline_ns;       /**< No attempt starts then or later. Lower it at will. */
    uint64_t last_ns;           /**< Private: the delay before. */
    uint64_t random;            /**< Private. */
    weir_retry_options options; /**< Private. */
} weir_retry;

/**
 * Begin a call: the first attempt is due at once.
 *
 * @param retry    set; nothing needs to be released.
 * @param options  NULL for all defaults; copied.
 * @param now_ns   on any clock, the same one throughout.
 * @param seed     of the jitter. Calls that should not come back together need different ones.
 * @return WEIR_OK; WEIR_EINVAL: an option is out of range.
 */
WEIR_API WEIR_MUST_CHECK int weir_retry_begin(weir_retry *retry, const weir_retry_options *options,
                                              uint64_t now_ns, uint64_t seed);

/**
 * Tell how the attempt ended, and learn what is next. After a stop each further call repeats it.
 *
 * @param now_ns          when the attempt ended.
 * @param retry_after_ns  how long the server asked to be left alone (Retry-After); 0 = it did not.
 *                        The retry is no earlier than that, as far as pushback_cap_ns allows.
 * @param at_ns           set: when to try again, if WEIR_RETRY_AT; else WEIR_NEVER. A delay that
 *                        would end at the deadline or past it is not begun.
 * @return what to do. Never fails.
 */
WEIR_API WEIR_MUST_CHECK weir_retry_verdict weir_retry_next(weir_retry *retry, weir_outcome outcome,
                                                            uint64_t now_ns,
                                                            uint64_t retry_after_ns,
                                                            uint64_t *at_ns);

/** Static name of a verdict, lower case: "retry", "succeeded", ... Never NULL. Any thread. */
WEIR_API const char *weir_retry_verdict_name(weir_retry_verdict verdict);

WEIR_END_DECLS

#endif

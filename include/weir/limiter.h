/**
 * @file weir/limiter.h
 * Rate limiter: at most `limit` permits a period, and `burst` of them at once.
 *
 *   now          TAT                      The generic cell rate algorithm (ATM Forum, Traffic
 *   --|-----------|-----------> time      Management 4.1; "virtual scheduling"). One 64-bit time,
 *     |<- taken ->|                       the TAT, says until when the permits taken so far last.
 *     |<------- burst * interval -->|     A permit lasts interval = period / limit; one more is
 *                                         given while the TAT stays within the burst.
 *
 * So in any window W no more than burst + W / interval permits are given. The interval is whole
 * nanoseconds, rounded up: never faster than asked, and slower by less than limit / period_ns of
 * the rate (a tenth of a percent at 1,000,000 a second). A clock that steps back gives nothing:
 * the TAT never follows it.
 *
 * Threads:    any function, any thread, same limiter; destroy comes last.
 * Blocking:   weir_limiter_acquire() sleeps. try, reserve and stats are one compare-and-swap or
 *             less: no lock, no system call but the clock's. update and cancel share a mutex.
 * Allocation: in weir_limiter_create() only.
 *
 * Times are those of the environment's monotonic clock. One past 2^61 ns (73 years) counts as
 * 2^61.
 */
#ifndef WEIR_LIMITER_H
#define WEIR_LIMITER_H

#include <weir/base.h>

WEIR_BEGIN_DECLS

typedef struct weir_limiter weir_limiter;

/** As weir_limiter_options.limit: everything is admitted, and nothing is counted as taken. */
#define WEIR_LIMITER_UNLIMITED UINT64_MAX

/** Start from WEIR_LIMITER_OPTIONS_INIT, then change what you need. */
typedef struct weir_limiter_options {
    size_t struct_size; /**< Set by the macro; leave alone. */
    /** Permits a period, 1..period_ns, or WEIR_LIMITER_UNLIMITED. */
    uint64_t limit;
    uint64_t period_ns; /**< Nanoseconds, 1..2^59. */
    /** Permits that may be taken at once, >= 1; 0 = as many as limit. All of them must come back
     * within 2^59 ns (18 years): burst * period_ns / limit. */
    uint64_t burst;
    /** Admit everything; count, and tell as retry-after, what would have been refused. */
    bool dry_run;
    const weir_env *env; /**< NULL for defaults; copied. Ignored by weir_limiter_update(). */
} weir_limiter_options;

#define WEIR_LIMITER_OPTIONS_INIT                                                                  \
    {                                                                                              \
        .struct_size = sizeof(weir_limiter_options), .limit = 100, .period_ns = 1000000000,        \
        .burst = 0, .dry_run = false, .env = NULL                                                  \
    }

/** Permits booked ahead. A plain value, of one owner; only ready_ns and cost are for reading. */
typedef struct weir_reservation {
    uint64_t ready_ns; /**< When to go ahead; the time of the call if at once. */
    uint64_t cost;     /**< Permits booked; 0 once cancelled, or if refused. */
    uint64_t slot_ns;  /**< Private: the TAT after it. */
    uint64_t round;    /**< Private: tells what happened since. */
} weir_reservation;

/** A look at the limiter at one time. */
typedef struct weir_limiter_stats {
    uint64_t remaining;    /**< Permits that could be taken now; UINT64_MAX if unlimited. */
    uint64_t next_free_ns; /**< When one permit can be taken; the time asked for if now. */
    uint64_t debt_ns;      /**< Until all permits taken have come back: 0 = the burst is whole. */
    uint64_t refused;      /**< Calls refused since create; in dry run, those that would be.
                                What was admitted is not counted: it would be a second contended
                                write for each call. */
} weir_limiter_stats;

/**
 * Create a limiter with its burst whole.
 *
 * @param out      receives the limiter, which the caller must destroy; NULL on failure.
 * @param options  NULL for all defaults; copied.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_limiter_create(weir_limiter **out,
                                                 const weir_limiter_options *options);

/** Free the limiter. NULL is allowed. No other thread may still be using it. */
WEIR_API void weir_limiter_destroy(weir_limiter *limiter);

/**
 * Take `cost` permits now, or none.
 *
 * @param cost            permits, >= 1.
 * @param retry_after_ns  may be NULL; else set: 0 when admitted, the wait when refused. If nobody
 *                        else takes any, the same call passes at its end and not 1 ns before.
 *                        WEIR_NEVER with WEIR_ENEVER. In dry run WEIR_OK comes with what would
 *                        have been told.
 * @return WEIR_OK; WEIR_ELIMITED: not yet; WEIR_ENEVER: cost exceeds the burst; WEIR_EINVAL: cost
 *         is 0, which asks for nothing.
 */
WEIR_API WEIR_MUST_CHECK int weir_limiter_try(weir_limiter *limiter, uint64_t cost,
                                              uint64_t *retry_after_ns);

/** weir_limiter_try() for callers that have read the clock already: now_ns is what it said. */
WEIR_API WEIR_MUST_CHECK int weir_limiter_try_at(weir_limiter *limiter, uint64_t cost,
                                                 uint64_t now_ns, uint64_t *retry_after_ns);

/**
 * Book `cost` permits for as soon as they are there, if that is within max_wait_ns.
 *
 * @param max_wait_ns  how far ahead ready_ns may lie; more than 2^60 counts as 2^60.
 * @param out          set. Go ahead at ready_ns, or cancel. When refused, cost is 0, nothing was
 *                     taken, and ready_ns says when it would have been (WEIR_NEVER: never).
 *                     In dry run ready_ns is always now_ns.
 * @return WEIR_OK; WEIR_ELIMITED: further than max_wait_ns; WEIR_ENEVER; WEIR_EINVAL: cost is 0.
 */
WEIR_API WEIR_MUST_CHECK int weir_limiter_reserve(weir_limiter *limiter, uint64_t cost,
                                                  uint64_t now_ns, uint64_t max_wait_ns,
                                                  weir_reservation *out);

/**
 * Give a reservation back; it is spent by that, so a second cancel does nothing. Returns how many
 * nanoseconds of TAT came back: cost * interval if nothing was booked after it, and the limiter
 * is then precisely as if it had never been; else that less what was booked after it, for those
 * keep their times.
 *
 * Why no window is overrun: what the slot leaves idle before a later booking is lost, as idle time
 * beyond the burst is; of a slot of n permits with b booked behind it, up to n - b find room in
 * the burst beside them. (x/time/rate follows the same rule.)
 *
 * Nothing comes back once the clock is past ready_ns, nor for reservations made before the latest
 * weir_limiter_update(), or before another cancel gave a part back from amid later bookings: their
 * place in the order is no longer known.
 */
WEIR_API uint64_t weir_limiter_cancel(weir_limiter *limiter, weir_reservation *reservation,
                                      uint64_t now_ns);

/**
 * Take `cost` permits, sleeping (through the environment) until they are there. Waiters are served
 * in the order in which they came. One whose turn would come after the deadline returns at once
 * and has taken nothing. A turn once given is kept: weir_limiter_update() does not move it.
 *
 * @param deadline_ns  on the monotonic clock; WEIR_NEVER to wait as long as it takes.
 * @return WEIR_OK; WEIR_EDEADLINE: not before the deadline; WEIR_ENEVER; WEIR_EINVAL: cost is 0.
 */
WEIR_API WEIR_MUST_CHECK int weir_limiter_acquire(weir_limiter *limiter, uint64_t cost,
                                                  uint64_t deadline_ns);

/**
 * Change limit, period, burst and dry run while others go on. What was taken stays taken, counted
 * in permits: it comes back at the new rate. Permits added to the burst are there at once. From
 * unlimited, the burst starts whole.
 *
 * @return WEIR_OK; WEIR_EINVAL, and nothing has changed.
 */
WEIR_API WEIR_MUST_CHECK int weir_limiter_update(weir_limiter *limiter,
                                                 const weir_limiter_options *options);

/** Fill *stats as of now_ns. Never fails, takes nothing. */
WEIR_API void weir_limiter_get_stats(weir_limiter *limiter, uint64_t now_ns,
                                     weir_limiter_stats *stats);

WEIR_END_DECLS

#endif

/**
 * @file weir/balancer.h
 * Load balancer: choose the member that serves the next call, and learn how it went.
 *
 *      update(members, version) ---> a table per version: levels of priority, with schedules
 *      set_flags(id, ...) ---------> the same without the members that may not be used
 *
 *      pick ---> member and token ---> your call ---> done(outcome, latency)
 *                   in flight + 1                       in flight - 1, counts
 *
 * Members of the lowest priority number serve; the next level serves when none of these can be
 * had. A member's live figures (in flight, counts, latency) belong to its id and outlive updates.
 *
 * Threads:    any function, any thread, same balancer; destroy comes last.
 * Blocking:   pick and done take no lock and make no system call. Updates and flags take a mutex
 *             that no pick ever waits for.
 * Allocation: in create, update and set_flags only.
 * Cost:       pick and done are 3 atomic additions, whatever the number of members; only when the
 *             members first drawn are excluded or saturated are others looked at, one by one.
 *             A change of members or flags rebuilds the table: O(members) for round robin and the
 *             random kinds, O(schedule * distinct weights) for smooth weighted round robin.
 */
#ifndef WEIR_BALANCER_H
#define WEIR_BALANCER_H

#include <weir/base.h>

WEIR_BEGIN_DECLS

typedef struct weir_balancer weir_balancer;

typedef enum weir_balancer_algorithm {
    WEIR_ROUND_ROBIN, /**< Each in turn; a weight above 0 makes no difference. */
    /**
     * nginx's smooth weighted round robin, exactly its sequence, from a schedule made at update.
     * Exact while the weights, divided by their greatest common divisor, add up to at most 65,536
     * (or to the number of members); beyond, they are scaled to that sum and rounded, at least 1.
     */
    WEIR_SMOOTH_WEIGHTED,
    WEIR_RANDOM, /**< Independent draws in proportion to weight (Walker's alias method). */
    /**
     * Power of two choices (Mitzenmacher, 2001): one member drawn by weight, another, never the
     * same, drawn evenly; of the two the one with fewer calls in flight per weight, on a tie the
     * first.
     */
    WEIR_LEAST_REQUEST,
} weir_balancer_algorithm;

/**
 * Why a member must not be picked. Several owners set their own bits apart; a member is picked only
 * while all are 0. Bits 16 to 31 are yours.
 */
typedef enum weir_member_flag {
    WEIR_MEMBER_DRAIN = 1 << 0,       /**< Finishes its calls, gets no new ones. */
    WEIR_MEMBER_MAINTENANCE = 1 << 1, /**< Taken out by an operator. */
    WEIR_MEMBER_UNHEALTHY = 1 << 2,   /**< Its active checks fail. */
    WEIR_MEMBER_EJECTED = 1 << 3,     /**< Its calls fail more than those of others. */
    WEIR_MEMBER_OPEN = 1 << 4,        /**< Its circuit breaker is open. */
    WEIR_MEMBER_DOWN = 1 << 5,        /**< Marked by hand: weir_balancer_mark_down(). */
} weir_member_flag;

typedef struct weir_label {
    const char *key;
    const char *value;
} weir_label;

/** A member, as given to update and as lent by pick. Strings are copied; NULL reads as "". */
typedef struct weir_member {
    const char *id;           /**< Stable and unique; not empty. */
    const char *address;      /**< Where to reach it; the balancer does not look at it. */
    const char *zone;         /**< Where it is; not looked at by the algorithms above. */
    const weir_label *labels; /**< Metadata; keys and values are copied. */
    size_t label_count;
    uint32_t weight;        /**< 0..65535; 0 = gets no new calls. */
    uint32_t priority;      /**< 0 serves first. */
    uint32_t max_in_flight; /**< Calls at once, 1..16000000; 0 = no limit. */
    void *user;             /**< Yours; borrowed. */
} weir_member;

#define WEIR_MEMBER_INIT                                                                           \
    {                                                                                              \
        .id = NULL, .address = NULL, .zone = NULL, .labels = NULL, .label_count = 0, .weight = 1,  \
        .priority = 0, .max_in_flight = 0, .user = NULL                                            \
    }

/** Live figures of a member. Approximate only while calls on it start and end. */
typedef struct weir_member_stats {
    uint32_t flags;
    uint32_t in_flight;
    uint64_t completed;  /**< Calls done, but for those cancelled. */
    uint64_t failures;   /**< Of these, WEIR_FAILURE and WEIR_TIMEOUT. */
    uint64_t latency_ns; /**< Moving average over about 8 calls; 0 before the first. */
} weir_member_stats;

/**
 * A member lent for one call. Zero it, or pick into it; weir_balancer_done() gives it back. A copy
 * is the same loan: only one of them may be given back.
 */
typedef struct weir_pick {
    const weir_member *member; /**< Valid until done, even if an update removes it; NULL = none. */
    void *token;               /**< Private: what done gives back; NULL once it is. */
} weir_pick;

/** How a pick came about; filled when asked for. */
typedef struct weir_pick_explanation {
    weir_balancer_algorithm algorithm;
    int result;                /**< What pick returned. */
    uint64_t version;          /**< Of the members it chose from. */
    size_t members;            /**< Members there are. */
    size_t flagged;            /**< Of these, kept out by flags or weight 0. */
    size_t excluded;           /**< Looked at, and excluded by the caller. */
    size_t saturated;          /**< Looked at, and at their max_in_flight. */
    uint32_t priority;         /**< Level that the pick came from. */
    const weir_member *chosen; /**< As pick->member. NULL = none. */
    uint32_t chosen_in_flight; /**< Before this call. */
    const weir_member *rival;  /**< LEAST_REQUEST: the other of the two; borrowed like chosen. */
    uint32_t rival_in_flight;
} weir_pick_explanation;

/** What a single pick may know. Zero-initialize, or pass NULL. */
typedef struct weir_pick_options {
    const weir_member *const *excluded; /**< Not these, e.g. tried before; as lent by pick. */
    size_t excluded_count;
    uint64_t hash;                  /**< Key of the call, for algorithms with affinity. */
    weir_pick_explanation *explain; /**< NULL, or filled in. */
} weir_pick_options;

typedef struct weir_balancer_options {
    size_t struct_size; /**< Set by the macro; leave alone. */
    weir_balancer_algorithm algorithm;
    const weir_env *env; /**< NULL for defaults; copied. Its randomness sets where turns begin. */
} weir_balancer_options;

#define WEIR_BALANCER_OPTIONS_INIT                                                                 \
    {                                                                                              \
        .struct_size = sizeof(weir_balancer_options), .algorithm = WEIR_ROUND_ROBIN, .env = NULL   \
    }

/**
 * Create a balancer without members.
 *
 * @param out      receives the balancer, which the caller must destroy; NULL on failure.
 * @param options  NULL for all defaults; copied.
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_balancer_create(weir_balancer **out,
                                                  const weir_balancer_options *options);

/** Free the balancer and all members. NULL is allowed. No pick may still be out. */
WEIR_API void weir_balancer_destroy(weir_balancer *balancer);

/**
 * Make `members` the whole set. Members are matched by id: who stays keeps flags and live figures,
 * who is missing is removed (calls in flight may still be done), turns go on where they were.
 *
 * @param version  grows with the source's changes: the version in force is left as it is, with
 *                 WEIR_OK; an older one is refused. 0 is always applied.
 * @return WEIR_OK; WEIR_ESTALE; WEIR_EINVAL: an empty or double id, weight, max_in_flight or more
 *         than 1,000,000 members; WEIR_ENOMEM. On an error nothing has changed.
 */
WEIR_API WEIR_MUST_CHECK int weir_balancer_update(weir_balancer *balancer,
                                                  const weir_member *members, size_t count,
                                                  uint64_t version);

/**
 * Set and clear flag bits of one member; bits in neither mask stay. The next pick knows.
 *
 * @return WEIR_OK, WEIR_ENOTFOUND, WEIR_EINVAL if a bit is in both masks, or WEIR_ENOMEM.
 */
WEIR_API WEIR_MUST_CHECK int weir_balancer_set_flags(weir_balancer *balancer, const char *id,
                                                     uint32_t set, uint32_t clear);

/** Set WEIR_MEMBER_DOWN. Results as weir_balancer_set_flags(). */
WEIR_API WEIR_MUST_CHECK int weir_balancer_mark_down(weir_balancer *balancer, const char *id);

/** Clear WEIR_MEMBER_DOWN. Results as weir_balancer_set_flags(). */
WEIR_API WEIR_MUST_CHECK int weir_balancer_mark_up(weir_balancer *balancer, const char *id);

/**
 * Choose a member for one call.
 *
 * @param options  NULL for none; borrowed for the call.
 * @param pick     on WEIR_OK holds the member until weir_balancer_done(); otherwise none.
 * @return WEIR_OK; WEIR_EEMPTY: there are no members; WEIR_ESATURATED: every member that could
 *         serve is at its max_in_flight; WEIR_EDOWN: all are flagged, of weight 0 or excluded.
 */
WEIR_API WEIR_MUST_CHECK int weir_balancer_pick(weir_balancer *balancer,
                                                const weir_pick_options *options, weir_pick *pick);

/**
 * Give a pick back, once; this empties it. A pick that is never given back stays counted in flight.
 *
 * @param latency_ns  of the call; not averaged for WEIR_IGNORED and WEIR_CANCELLED.
 * @return WEIR_OK, or WEIR_EINVAL: the pick is empty, or the member has no call in flight: it was
 *         given back before.
 */
WEIR_API int weir_balancer_done(weir_balancer *balancer, weir_pick *pick, weir_outcome outcome,
                                uint64_t latency_ns);

/** Look at one member. Valid within the callback, which must not wait. */
typedef void (*weir_member_visit_fn)(const weir_member *member, const weir_member_stats *stats,
                                     void *user);

/** Visit all members, in the order in which they were given. Takes no lock. */
WEIR_API void weir_balancer_visit(weir_balancer *balancer, weir_member_visit_fn visit, void *user);

/** Live figures of one member; takes the mutex. WEIR_OK or WEIR_ENOTFOUND. */
WEIR_API WEIR_MUST_CHECK int weir_balancer_get_stats(weir_balancer *balancer, const char *id,
                                                     weir_member_stats *stats);

WEIR_END_DECLS

#endif

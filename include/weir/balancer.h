/**
 * @file weir/balancer.h
 * Load balancer: choose the member that serves the next call, and learn how it went.
 *
 *      update(members, version) ---> a table per version, for picks to read without a lock:
 *      set_flags(id, ...) ---------> subset > level (priority, zone) > what the algorithm needs
 *      report(id, load) -----------> weights, with time: slow start, recovery
 *
 *      pick ---> member and token ---> your call ---> done(outcome, latency)
 *                   in flight + 1                       in flight - 1, counts, costs
 *
 * A pick goes to the level that has its share of the calls: the lowest priority number, as far as
 * its healthy members carry it, and of these the ones in our zone; what they cannot carry spills
 * over to the next. Who is saturated, excluded or flagged is passed over, and if a level has nobody
 * left, another serves. A member's live figures (in flight, counts, latency, cost) belong to its id
 * and outlive updates. With all at its default but the algorithm, nothing needs time to pass; else
 * run the task.
 *
 * Threads:    any function, any thread, same balancer; destroy comes last.
 * Blocking:   pick and done take no lock and make no system call. Updates and flags take a mutex
 *             that no pick ever waits for.
 * Allocation: in create, configure, update and set_flags, and in the task.
 * Cost:       pick and done are 2 to 4 atomic additions, whatever the number of members, unless the
 *             algorithm says otherwise; only when the members first proposed are excluded or
 *             saturated are others looked at, one by one. A subset is found by binary search.
 *             A change of members or flags rebuilds the table, O(members); on top of that, for the
 *             levels that it touches, come O(schedule * distinct weights) for the scheduled
 *             algorithms, the table for Maglev, and, if members or weights change, the sorted ring
 *             for ketama.
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
     * The least loaded of `choices` distinct members: the first drawn by weight, the others evenly;
     * load is (calls in flight)^bias / weight, on a tie the one drawn first. With 2 it is the power
     * of two choices (Mitzenmacher, 2001).
     */
    WEIR_LEAST_REQUEST,
    /**
     * Earliest deadline first, as Envoy and grpc-go schedule weights: a pick puts a member's
     * deadline 1 / weight later, equal deadlines are served in the order of entry. Its sequence
     * comes from a schedule, scaled as that of WEIR_SMOOTH_WEIGHTED.
     */
    WEIR_EARLIEST_DEADLINE,
    /**
     * gRPC's static stride scheduler (proposal A58): shares exact over each 65,535 rounds, and no
     * schedule to make. Expected cost: count * largest weight / sum of weights steps.
     */
    WEIR_STATIC_STRIDE,
    /**
     * The least (calls in flight + 1) / weight of all (HAProxy's leastconn, IPVS' shortest expected
     * delay), on a tie the one picked longest ago. Costs O(log members).
     */
    WEIR_LEAST_CONNECTIONS,
    /**
     * Of `choices` members drawn evenly, the least cost * (calls in flight + 1) / weight. The cost
     * is a moving average of latency that jumps up at once and decays with `decay_ns` (Finagle's
     * peak EWMA); failures, timeouts and overload are charged as slow, so that a member that fails
     * fast attracts nothing. One not heard of yet gets a single call until its first result.
     */
    WEIR_PEAK_EWMA,
    /**
     * In proportion to the root of throughput, over latency; less while calls in flight take longer
     * than usual: brpc's locality-aware balancing, damped so that shares settle, at 1 / latency^2,
     * and members that are alike keep alike shares. Weights above 0 make no difference. Costs
     * O(log members).
     */
    WEIR_LOCALITY_AWARE,
    /**
     * A ring of points, as Envoy's ring hash lays it: XXH64 of "<id>_<i>", more points for more
     * weight; a call goes to the first point at or after its hash. A member that is flagged or,
     * with ring_min 0, removed hands on its own keys only. O(1); evenness and memory hang on
     * ring_min. With addresses as ids, the ring is Envoy's.
     *
     * Of all hash kinds: the member depends on the hash of the call's key, the ids and the weights
     * alone, so processes agree. When it cannot take the call, the same second choice is asked,
     * then a third: clockwise on the ring, at the hashes where Envoy retries in Maglev's table, the
     * next highest weight, where the rehashed key jumps to; after 32 of these, everyone. A flag is
     * in force when setting it returns: no table is ever stale.
     */
    WEIR_KETAMA,
    /**
     * Maglev (Eisenbud et al., 2016), filled exactly as Envoy fills its table: O(1), a table of 4
     * bytes an entry, and the evenest of the hashes while table_size is 100 times the members. A
     * flag or update fills the table anew, 1 to 10 ms for 65,537 entries, and moves a few keys of
     * others, about 1 in 100.
     */
    WEIR_MAGLEV,
    /**
     * Highest random weight (Thaler and Ravishankar, 1998), the greatest of weight / -ln u
     * (Schindelhauer and Schomaker, 2005): exact shares, and who is flagged, removed or loses
     * weight hands on keys, while nobody else's move. Costs O(members), 1 ns each.
     */
    WEIR_RENDEZVOUS,
    /**
     * Jump consistent hash (Lamping and Veach, 2014) over members in the order given, a weight
     * being as many buckets: exact shares and no table. Append and remove at the end: only there no
     * keys of others move. Flags move the keys of that member alone. Costs O(log buckets).
     */
    WEIR_JUMP,
    WEIR_FIRST, /**< The first in the order given that is below its max_in_flight. */
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
    uint64_t cost_ns;    /**< WEIR_PEAK_EWMA: as of its latest result; 0 before the first. */
    double weight;       /**< In force: slow start and reports applied; its own while unused. */
} weir_member_stats;

/**
 * A member lent for one call. Zero it, or pick into it; weir_balancer_done() gives it back. A copy
 * is the same loan: only one of them may be given back.
 */
typedef struct weir_pick {
    const weir_member *member; /**< Valid until done, even if an update removes it; NULL = none. */
    void *token;               /**< Private: what done gives back; NULL once it is. */
    uint64_t picked_ns;        /**< Private: when, for algorithms that learn from time. */
    uint32_t marks;            /**< Private: who counted it. */
} weir_pick;

/** How a pick came about; filled when asked for. */
typedef struct weir_pick_explanation {
    weir_balancer_algorithm algorithm;
    int result;                /**< What pick returned. */
    uint64_t version;          /**< Of the members it chose from. */
    size_t members;            /**< Members there are, in the subset asked for. */
    size_t flagged;            /**< Of these, kept out by flags, weight 0 or the aperture. */
    size_t excluded;           /**< Times one was looked at, and excluded by the caller. */
    size_t saturated;          /**< Looked at, and at their max_in_flight. */
    size_t overloaded;         /**< Looked at, and above load_factor_percent of the mean. */
    uint32_t priority;         /**< Level that the pick came from. */
    bool local;                /**< It came from the members of the balancer's own zone. */
    bool panicking;            /**< The level serves from members whose health fails, too. */
    bool sticky;               /**< It is the member that the call asked for. */
    bool throttled;            /**< Refused for recovery_min_members. */
    const weir_member *chosen; /**< As pick->member. NULL = none. */
    uint32_t chosen_in_flight; /**< Before this call. */
    const weir_member *rival;  /**< LEAST_REQUEST, PEAK_EWMA: the best of those not chosen. */
    uint32_t rival_in_flight;
} weir_pick_explanation;

/** What a single pick may know. Zero-initialize, or pass NULL. */
typedef struct weir_pick_options {
    const weir_member *const *excluded; /**< Not these, e.g. tried before; as lent by pick. */
    size_t excluded_count;
    uint64_t hash; /**< Of the key of the call: weir_balancer_hash(). 0 = none: drawn at random. */
    /**
     * Member id that the call should stay with, e.g. from a cookie; NULL = none. It is taken while
     * it is there and has no flag but WEIR_MEMBER_DRAIN, in whatever level, at weight 0 too.
     */
    const char *sticky;
    const weir_label *labels; /**< Subset: members with all of these. Needs a matching selector. */
    size_t label_count;
    weir_pick_explanation *explain; /**< NULL, or filled in. */
} weir_pick_options;

/** Keys by which picks may choose among subsets of members. */
typedef struct weir_subset_selector {
    const char *const *keys; /**< Label keys, distinct; a pick gives a value for each. */
    size_t key_count;        /**< 1..8. */
    bool fall_back;          /**< No such subset: true = any member will do, false = WEIR_EDOWN. */
} weir_subset_selector;

/** overprovisioning_percent: the next priority serves only when nobody in this one can. */
#define WEIR_NO_SPILL UINT32_MAX

/** Start from WEIR_BALANCER_OPTIONS_INIT. */
typedef struct weir_balancer_options {
    size_t struct_size; /**< Set by the macro; leave alone. */
    weir_balancer_algorithm algorithm;

    uint32_t choices;            /**< LEAST_REQUEST, PEAK_EWMA: members compared, 2..10. */
    double bias;                 /**< LEAST_REQUEST: power of the load, 0..10; 0 = weights only. */
    uint64_t decay_ns;           /**< PEAK_EWMA: time constant of the average, >= 1. */
    uint64_t failure_latency_ns; /**< A failure is charged at least this, or twice the cost (which
                                      calls that fail together double once), up to 30 s. */
    uint32_t table_size;         /**< MAGLEV: a prime, 2..5,000,011. */
    /** KETAMA: points of the ring. ring_min 1..ring_max is Envoy's minimum_ring_size; 0 = 160 for
        a member of the least weight, all halved until that is the mean at most. ring_max is
        1..8,388,608. A point takes 13 bytes. */
    uint32_t ring_min, ring_max;
    /** Hash kinds: a call goes to its next choice while the member has, with it, more than
        ceil(calls in flight * weight / weights of its level * this), 100..1000; 0 = off. (Mirrokni
        et al., "Consistent hashing with bounded loads", 2016.) Calls that start at the same moment
        may exceed it by each other; it gives way before a call is refused or leaves its level. */
    uint32_t load_factor_percent;

    /** A level carries min(100 %, this * available / members) of the calls; the rest spill over to
        the next. 100..1000, or WEIR_NO_SPILL. */
    uint32_t overprovisioning_percent;
    /** Below this share of available members, and with no other level to make up for it, health is
        not believed: members that are UNHEALTHY or EJECTED serve too. 0..100; 0 = never. */
    uint32_t panic_percent;
    const char *zone; /**< Ours: members in it are preferred within each level; NULL or "" = off. */
    const weir_subset_selector *selectors; /**< Copied; at most 8. */
    size_t selector_count;
    uint32_t aperture;      /**< Use only so many members a level, by hash of seed and id; 0 = all.
                                 (gRPC proposal A68.) */
    uint64_t aperture_seed; /**< Of this process; 0 = random. */

    /** New members (but not the first ones) and those that come back get a share that grows from
        slow_start_percent to all in this time: weight * max(percent, (t / time)^(1 / aggression)).
        Needs the task. Not for hash kinds. 0 = off. */
    uint64_t slow_start_ns;
    double slow_start_aggression; /**< 0.1..10; 1 = linear. */
    uint32_t slow_start_percent;  /**< 1..100. */
    /** After nobody could serve: while fewer than this many can, only as many calls as they are of
        it are let through; 0 = off. Until recovery_hold_ns has passed without a change. */
    uint32_t recovery_min_members;
    uint64_t recovery_hold_ns; /**< >= 1. Needs the task. */

    /** Weights are those of weir_balancer_report(), with the configured ones but for 0 ignored; a
        member without gets the mean, and with fewer than two known all are equal. Needs the task.
        Not for hash kinds. (gRPC proposal A58.) */
    bool reported_weights;
    uint64_t report_blackout_ns; /**< Reports must have come for so long to be believed. */
    uint64_t report_expiry_ns;   /**< The last one counts so long, >= 1. */
    uint64_t report_update_ns;   /**< Between changes of weight, >= 1. */
    double report_error_penalty; /**< How much a member's errors cost it, 0..1000. */

    const weir_env *env; /**< NULL for defaults; copied. Its randomness sets where turns begin. */
} weir_balancer_options;

#define WEIR_BALANCER_OPTIONS_INIT                                                                 \
    {                                                                                              \
        .struct_size = sizeof(weir_balancer_options), .algorithm = WEIR_ROUND_ROBIN, .choices = 2, \
        .bias = 1.0, .decay_ns = UINT64_C(10000000000),                                            \
        .failure_latency_ns = UINT64_C(1000000000), .table_size = 65537, .ring_min = 0,            \
        .ring_max = 8388608, .load_factor_percent = 0, .overprovisioning_percent = 140,            \
        .panic_percent = 50, .zone = NULL, .selectors = NULL, .selector_count = 0, .aperture = 0,  \
        .aperture_seed = 0, .slow_start_ns = 0, .slow_start_aggression = 1.0,                      \
        .slow_start_percent = 10, .recovery_min_members = 0,                                       \
        .recovery_hold_ns = UINT64_C(10000000000), .reported_weights = false,                      \
        .report_blackout_ns = UINT64_C(10000000000), .report_expiry_ns = UINT64_C(180000000000),   \
        .report_update_ns = UINT64_C(1000000000), .report_error_penalty = 1.0, .env = NULL         \
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
 * Put other options in force; members, flags and live figures stay. `env` is that of create.
 *
 * @return WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM. On an error nothing has changed.
 */
WEIR_API WEIR_MUST_CHECK int weir_balancer_configure(weir_balancer *balancer,
                                                     const weir_balancer_options *options);

/**
 * What makes time pass for slow start, reported weights and recovery; without these, nothing. It
 * wants to run every 20th of slow_start_ns, every report_update_ns, and at the end of
 * recovery_hold_ns.
 */
WEIR_API weir_task weir_balancer_task(weir_balancer *balancer);

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
 * Choose a member for one call. PEAK_EWMA and LOCALITY_AWARE read the clock.
 *
 * @param options  NULL for none; borrowed for the call.
 * @param pick     on WEIR_OK holds the member until weir_balancer_done(); otherwise none.
 * @return WEIR_OK; WEIR_EEMPTY: there are no members; WEIR_ESATURATED: every member that could
 *         serve is at its max_in_flight, or recovery lets only some calls through; WEIR_EDOWN: all
 *         are flagged, of weight 0 or excluded; WEIR_EINVAL: no selector has the keys of `labels`.
 */
WEIR_API WEIR_MUST_CHECK int weir_balancer_pick(weir_balancer *balancer,
                                                const weir_pick_options *options, weir_pick *pick);

/** weir_balancer_pick() for those who have read the environment clock. */
WEIR_API WEIR_MUST_CHECK int weir_balancer_pick_at(weir_balancer *balancer,
                                                   const weir_pick_options *options,
                                                   uint64_t now_ns, weir_pick *pick);

/**
 * Give a pick back, once; this empties it. A pick that is never given back stays counted in flight.
 *
 * @param latency_ns  of the call; not averaged for WEIR_IGNORED and WEIR_CANCELLED.
 * @return WEIR_OK, or WEIR_EINVAL: the pick is empty, or the member has no call in flight: it was
 *         given back before.
 */
WEIR_API int weir_balancer_done(weir_balancer *balancer, weir_pick *pick, weir_outcome outcome,
                                uint64_t latency_ns);

/** What a backend tells of itself, e.g. in ORCA's headers. */
typedef struct weir_load_report {
    double calls_per_s;
    double errors_per_s;
    double utilization; /**< 1 = all of what it can do; may be more. */
} weir_load_report;

/**
 * Take in a report: weight = calls / (utilization + errors / calls * penalty). One without calls or
 * utilization changes nothing. Takes no lock; at the next update of weights it counts.
 *
 * @return WEIR_OK, WEIR_ENOTFOUND, or WEIR_EINVAL: a figure is not within 0..1e30.
 */
WEIR_API int weir_balancer_report(weir_balancer *balancer, const char *id,
                                  const weir_load_report *report, uint64_t now_ns);

/** XXH64 of a key, seed 0, for weir_pick_options.hash; 1 instead of 0. Takes any thread. */
WEIR_API uint64_t weir_balancer_hash(const void *key, size_t size);

/** Static lower-case name: "round_robin", "peak_ewma", ... Never NULL. */
WEIR_API const char *weir_balancer_algorithm_name(weir_balancer_algorithm algorithm);

/** The algorithm of that name into *algorithm. WEIR_OK or WEIR_ENOTFOUND. */
WEIR_API WEIR_MUST_CHECK int weir_balancer_algorithm_find(const char *name, size_t size,
                                                          weir_balancer_algorithm *algorithm);

/** Look at one member. Valid within the callback, which must not wait. */
typedef void (*weir_member_visit_fn)(const weir_member *member, const weir_member_stats *stats,
                                     void *user);

/** Visit all members, in the order in which they were given. Takes no lock. */
WEIR_API void weir_balancer_visit(weir_balancer *balancer, weir_member_visit_fn visit, void *user);

/** Live figures of one member. Takes no lock. WEIR_OK or WEIR_ENOTFOUND. */
WEIR_API WEIR_MUST_CHECK int weir_balancer_get_stats(weir_balancer *balancer, const char *id,
                                                     weir_member_stats *stats);

WEIR_END_DECLS

#endif

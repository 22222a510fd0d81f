/*
 * The balancer's own parts. Writers, under the lock, make immutable tables; picks read them:
 *
 *   roster (roster.c)    members as given, each a record; shared by tables until the next update
 *   config (config.c)    options in force; shared likewise
 *   table  (table.c)     sets: all members, and a subset for each combination of labels
 *     level (levels.c)   members of a set with one priority and zone, and their share of calls
 *       plan             what the algorithm made of these members; shared while they are the same
 *
 *   turns.c draws.c tree.c locality.c hashing.c   the algorithms: each a weir__kind
 */
#ifndef WEIR_SRC_BALANCER_BALANCER_H
#define WEIR_SRC_BALANCER_BALANCER_H

#include <weir/balancer.h>

#include "balancer/rendezvous.h"

#include "base/map.h"
#include "base/rng.h"
#include "base/snapshot.h"

#include <pthread.h>

/*
 * A member as lent, never changed once published, with what its calls write. A member whose
 * attributes change gets a new record; calls on the old one still end there, so the new one counts
 * its elder's in-flight calls as its own until there are none.
 */
typedef struct weir__record {
    _Atomic uint64_t calls; /* Completed << 24 | in flight: done changes both at once. */
    _Atomic uint32_t flags; /* Written under the lock. */
    _Atomic uint32_t share; /* Weight in force, in 1/65,536; written with each table. */
    uint32_t max_in_flight; /* As the member's, on the hot line. */
    _Atomic uint32_t index; /* In the roster in force. */
    _Atomic(struct weir__record *) elder;
    _Atomic uint64_t latency_ns;
    _Atomic uint64_t failures;
    _Atomic uint64_t cost;    /* PEAK_EWMA: bits of a double, in ns; 0 = not known. */
    _Atomic uint64_t cost_ns; /* When it was so. */
    weir_member member;
    _Atomic(struct weir__record *) heir; /* Of an elder; NULL for a removed member. */

    _Atomic uint64_t last_turn; /* LEAST_CONNECTIONS: breaks ties. */

    /* LOCALITY_AWARE; see locality.c. */
    _Atomic uint64_t begun_sum_ns; /* Of the begins of calls in flight; wraps. */
    _Atomic uint64_t begun_calls;  /* How many these are. */
    _Atomic uint64_t window_ns;    /* Since when the next two add up. */
    _Atomic uint64_t window_calls, window_busy_ns;
    _Atomic uint64_t speed, mean_ns; /* Bits of doubles: throughput / latency, and latency. */

    _Atomic uint64_t report;          /* Latest weight told by itself, bits of a double. */
    _Atomic uint64_t reported_ns;     /* When; 0 = never. */
    _Atomic uint64_t report_begin_ns; /* Since when it has told without a gap. */

    uint64_t warming_ns;       /* Slow start since; WEIR_NEVER = not. Under the lock. */
    uint64_t left;             /* Grace mark of its leaving; 0 while in force. Under the lock. */
    bool unlinked;             /* An elder that its heir no longer points to. */
    struct weir__record *next; /* In balancer.left. */
    void *block;               /* The allocation, which holds the strings as well. */
    size_t bytes;              /* Of the block. */
} weir__record;

#define WEIR__IN_FLIGHT_BITS 24
#define WEIR__IN_FLIGHT_MASK ((UINT64_C(1) << WEIR__IN_FLIGHT_BITS) - 1)
#define WEIR__SHARE_ONE      UINT32_C(65536) /* The share of weight 1. */

/* Flags that a level in panic does not believe. */
#define WEIR__HEALTH_FLAGS ((uint32_t)WEIR_MEMBER_UNHEALTHY | (uint32_t)WEIR_MEMBER_EJECTED)

/* Members in force, in the order given. */
typedef struct weir__roster {
    uint32_t refs; /* Tables. Under the lock. */
    uint32_t count, room;
    uint64_t version;
    weir__map by_id;
    weir__record *records[];
} weir__roster;

typedef struct weir__kind weir__kind;

/* Options in force; pointers in them are into the block. */
typedef struct weir__config {
    uint32_t refs; /* Tables. Under the lock. */
    size_t bytes;
    const weir__kind *kind;
    weir_balancer_options options;
    bool pairs;          /* LEAST_REQUEST of two choices and linear load: compared in integers. */
    double decay_per_ns; /* 1 / decay_ns. */
    int64_t fresh_ns;    /* A cost as old as this has lost less than 0.1 %: it is as good as now. */
    double powers[256];  /* in flight ^ bias. */
} weir__config;

/* The head of what an algorithm makes of a level's members. */
typedef struct weir__plan {
    uint32_t refs; /* Levels. Under the lock. */
    size_t bytes;
    /* Frees what it holds beside its block; or NULL. */
    void (*dispose)(const weir_env *env, struct weir__plan *plan);
} weir__plan;

/* Members of one priority, and maybe of one zone, of one set. */
typedef struct weir__level {
    weir__record **ready; /* Those that picks may find; all with a weight for hash kinds. */
    uint32_t *shares;     /* Their weights in force, as record.share. */
    uint32_t *members;    /* Their indices in the roster. */
    uint32_t count, room; /* Room in these arrays. */
    uint32_t priority;
    uint32_t tolerated; /* Flags that do not keep a member out. */
    bool local, zoned;
    uint64_t share_sum;       /* Of those that may be picked. */
    uint32_t usable;          /* How many these are. */
    uint32_t upto;            /* Of 2^32 draws, those below come here if not to a level before. */
    uint32_t turns;           /* Before the turn begins anew. */
    const uint32_t *schedule; /* Turns to indices; or NULL. */
    weir__plan *plan;         /* NULL = the algorithm needs none. */
    unsigned char apart[WEIR__CACHE_LINE];
    _Atomic uint64_t turn; /* What picks write: below turns, or a lap is about to go. */
    unsigned char apart_too[WEIR__CACHE_LINE];
} weir__level;

/* All members, or those of a subset. */
typedef struct weir__set {
    uint64_t hash; /* Of selector and values. */
    weir__level *levels;
    uint32_t level_count, level_room;
    uint32_t members;
    uint32_t sample;   /* Index of one, for its values. */
    uint32_t selector; /* Index; UINT32_MAX for the set of all. */
} weir__set;

/* Where a record is in a set, for algorithms that must know. */
typedef struct weir__place {
    weir__level *level;
    uint32_t index;
} weir__place;

typedef struct weir__table {
    weir__version version;
    weir__config *config;
    weir__roster *roster;
    uint32_t *shares;   /* Of the records, by index. */
    weir__level *plain; /* Where every pick goes that asks for nothing more; NULL = it depends. */
    bool in_turns;      /* As the kind. */
    bool in_pairs;      /* So that weir__draw_pair() is all there is to a proposal. */
    bool learns;        /* The kind wants to know of begins and ends. */
    uint32_t admit;     /* Of 2^32 draws, those let through. */
    uint32_t usable;    /* Members that may be picked. */
    bool warming;       /* Some member's share still grows. */
    weir__set all;
    weir__set *subsets; /* By hash, selector and values. */
    size_t subset_count, subset_room;
    weir__place *places; /* count of the roster * (1 + selectors), or NULL. */
} weir__table;

/* A pick on its way through the candidates of a level. The last two are set by the first. */
typedef struct weir__choice {
    const weir_pick_options *options;
    const weir__config *config;
    uint64_t now_ns;
    uint64_t hash;              /* Of the call, never 0 for hash kinds. */
    uint32_t attempt;           /* Which candidate of the level this is. */
    uint32_t point;             /* KETAMA: of the candidate before. */
    weir__rendezvous_rank rank; /* RENDEZVOUS: likewise. */
} weir__choice;

/* An algorithm; hooks that it has no use for are NULL. */
struct weir__kind {
    const char *name;
    /* What picks need of a level, into level->plan; lock held. WEIR_OK or WEIR_ENOMEM. */
    int (*prepare)(weir_balancer *balancer, const weir__config *config, weir__level *level);
    /* The turn that a new plan begins at, if not at any or where the old one stood. */
    uint64_t (*start)(weir_balancer *balancer, const weir__level *level);
    /* In a read section: a member to try, candidate number choice->attempt. */
    weir__record *(*propose)(weir_balancer *balancer, weir__level *level, weir__choice *choice);
    /* Load or speed of the member at index has changed; any thread, any time. */
    void (*changed)(weir__level *level, uint32_t index);
    /* In a read section: a call on record ends at now_ns. */
    void (*ended)(const weir__config *config, weir__record *record, uint64_t now_ns,
                  uint64_t latency_ns, weir_outcome outcome);
    bool in_turns;  /* propose is weir__level_next(). */
    bool hashed;    /* By the call's key: a member's place does not hang on load or time. */
    bool rebuilt;   /* Hash kinds: levels hold those members alone that may be picked. */
    bool in_order;  /* When all are tried, then in the order given. */
    bool timed;     /* Picks need the time. */
    bool sums;      /* It needs begun_sum_ns. */
    uint32_t tries; /* Candidates it names before all are tried in turn; at least 1. */
};

struct weir_balancer {
    weir__snapshot table;
    _Atomic bool timed;  /* As the kind in force. */
    _Atomic bool learns; /* It wants to know of ends. */
    weir_env env;
    uint64_t start; /* Where turns begin. */
    uint64_t seed;  /* Of the aperture, unless given. */
    unsigned char apart[WEIR__CACHE_LINE];
    _Atomic uint64_t draws; /* splitmix64: random draws without a lock, repeatable from a seed. */
    unsigned char apart_too[WEIR__CACHE_LINE];
    _Atomic uint64_t in_flight; /* Of all members, while loads are bounded. */
    unsigned char apart_three[WEIR__CACHE_LINE];

    pthread_mutex_t lock; /* Guards all below, and writing the table. */
    uint64_t newest;      /* Version of the members in force. */
    weir__record *left;   /* Replaced and removed records whose calls may still run. */
    bool served;          /* There has been a member that could serve. */
    bool recovering;      /* Nobody could, and too few can yet. */
    uint64_t hold_ns;     /* When recovery ends if nothing changes. */
    uint64_t weighed_ns;  /* When reports were last made weights. */
};

#define WEIR__KIND_COUNT ((int)WEIR_FIRST + 1)
extern const weir__kind *const weir__kinds[WEIR__KIND_COUNT]; /* By weir_balancer_algorithm. */
extern const weir__kind weir__kind_round_robin, weir__kind_smooth_weighted,
    weir__kind_earliest_deadline, weir__kind_static_stride, weir__kind_first; /* turns.c */
extern const weir__kind weir__kind_random, weir__kind_least_request,
    weir__kind_peak_ewma; /* draws.c */
extern const weir__kind weir__kind_ketama, weir__kind_maglev, weir__kind_rendezvous,
    weir__kind_jump;                                  /* hashing.c */
extern const weir__kind weir__kind_least_connections; /* tree.c */
extern const weir__kind weir__kind_locality_aware;    /* locality.c */

/* Lock held in what follows, unless it says otherwise. NULL means out of memory. */

/* config.c: a copy of these options, to be released. WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM. */
int weir__config_new(weir__config **out, const weir_env *env, const weir_balancer_options *options);
void weir__config_release(const weir_env *env, weir__config *config);

/* roster.c: empty, to be released; with room for so many records. */
weir__roster *weir__roster_new(const weir_env *env, uint32_t room);
void weir__roster_release(const weir_env *env, weir__roster *roster);

/* table.c: a table of these, which it keeps, with what flags, time and reports say now. */
weir__table *weir__table_new(weir_balancer *balancer, weir__config *config, weir__roster *roster,
                             uint64_t now_ns);
void weir__table_free(weir__version *version, void *owner);
/* Puts it in force. */
void weir__table_publish(weir_balancer *balancer, weir__table *table, uint64_t now_ns);
/* A new table of the roster and options in force. WEIR_OK or WEIR_ENOMEM. */
int weir__table_renew(weir_balancer *balancer, uint64_t now_ns);

/* weights.c: shares of the roster's records, by index; whether some still grow. */
bool weir__weights(const weir__config *config, const weir__roster *roster, uint64_t now_ns,
                   uint32_t *shares);

/* levels.c: levels of a set out of these members. WEIR_OK or WEIR_ENOMEM. */
int weir__levels_new(weir_balancer *balancer, weir__table *table, weir__set *set,
                     const uint32_t *members, const uint32_t *shares);
void weir__levels_free(weir_balancer *balancer, weir__set *set);

/* subsets.c: all of a table. WEIR_OK or WEIR_ENOMEM. */
int weir__subsets_new(weir_balancer *balancer, weir__table *table);
void weir__subsets_free(weir_balancer *balancer, weir__table *table);
/* In a read section: the set that a pick asks for, or NULL with the reason in *result. */
const weir__set *weir__subset_find(const weir__table *table, const weir_pick_options *options,
                                   int *result);

/* records.c */
weir__record *weir__record_new(const weir_env *env, const weir_member *member);
void weir__record_free(const weir_env *env, weir__record *record);
bool weir__record_same(const weir__record *record, const weir_member *member);
/* Before `heir` is published: from its first pick on it counts its elder's calls, too. */
void weir__record_succeed(weir__record *heir, weir__record *elder);
/* Frees records that have left and whose calls are over. */
void weir__records_sweep(weir_balancer *balancer);
/* Any thread, in a read section. */
void weir__record_stats(weir__record *record, weir_member_stats *stats);

/* A plan with room for `bytes` in all, its head filled. */
void *weir__plan_new(const weir_env *env, size_t bytes);

/* In any thread, within a read section. */
static inline uint32_t weir__record_in_flight(weir__record *record)
{
    uint64_t in_flight = 0;
    for (; record != NULL; record = atomic_load_explicit(&record->elder, memory_order_acquire))
        in_flight += atomic_load(&record->calls) & WEIR__IN_FLIGHT_MASK;
    return (uint32_t)in_flight;
}

/*
 * All calls that count against a limit of the member. A pick of the table before may still find an
 * elder: each counts itself in and then looks at the other, so one of the two sees both.
 */
static inline uint32_t weir__record_in_flight_of_all(weir__record *record)
{
    for (weir__record *heir; (heir = atomic_load(&record->heir)) != NULL;)
        record = heir;
    return weir__record_in_flight(record);
}

/* Whether the pick must not choose it; by id, as an update may have replaced its record. */
bool weir__excluded(const weir_pick_options *options, const weir__record *record);

static inline uint32_t weir__record_share(const weir__record *record)
{
    return atomic_load_explicit(&record->share, memory_order_relaxed);
}

static inline uint64_t weir__balancer_draw(weir_balancer *balancer)
{
    return weir__mix64(
        atomic_fetch_add_explicit(&balancer->draws, WEIR__GOLDEN, memory_order_relaxed) +
        WEIR__GOLDEN);
}

/* As the breaker's window does: the turn counts on past the end, and a lap is taken off. */
static inline uint32_t weir__level_turn(weir__level *level)
{
    uint64_t turn = atomic_fetch_add_explicit(&level->turn, 1, memory_order_relaxed);
    if (WEIR__LIKELY(turn < level->turns))
        return (uint32_t)turn;
    do
        turn -= level->turns;
    while (turn >= level->turns);
    if (turn == 0)
        atomic_fetch_sub_explicit(&level->turn, level->turns, memory_order_relaxed);
    return (uint32_t)turn;
}

/* Whose turn it is. Who comes after is known: his line is fetched while this call is made. */
static inline weir__record *weir__level_next(weir__level *level)
{
    uint32_t const turn = weir__level_turn(level);
    uint32_t const next = turn + 1 < level->turns ? turn + 1 : 0;
    if (level->schedule == NULL) {
        WEIR__PREFETCH(level->ready[next]);
        return level->ready[turn];
    }
    WEIR__PREFETCH(level->ready[level->schedule[next]]);
    return level->ready[level->schedule[turn]];
}

/* 0 .. bound - 1 out of 32 random bits; its bias is below bound / 2^32. */
static inline uint32_t weir__below(uint32_t bits, uint32_t bound)
{
    return (uint32_t)((uint64_t)bits * bound >> 32);
}

#endif

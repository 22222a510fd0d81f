/* The balancer's own parts: records of members (members.c), tables to pick from (table.c). */
#ifndef WEIR_SRC_BALANCER_BALANCER_H
#define WEIR_SRC_BALANCER_BALANCER_H

#include <weir/balancer.h>

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
    uint32_t weight;        /* As member.weight and .max_in_flight, on the hot line. */
    uint32_t max_in_flight;
    _Atomic(struct weir__record *) elder;
    _Atomic uint64_t latency_ns;
    _Atomic uint64_t failures;
    weir_member member;

    uint64_t left;             /* Grace mark of its leaving; 0 while in force. Under the lock. */
    bool unlinked;             /* An elder that its heir no longer points to. */
    struct weir__record *heir; /* Of an elder; NULL for a removed member. */
    struct weir__record *next; /* In balancer.left. */
    void *block;               /* The allocation, which holds the strings as well. */
    size_t bytes;              /* Of the block. */
} weir__record;

#define WEIR__IN_FLIGHT_BITS 24
#define WEIR__IN_FLIGHT_MASK ((UINT64_C(1) << WEIR__IN_FLIGHT_BITS) - 1)

/* Of 2^32 draws of this column, how many stay, and where the others go. */
typedef struct weir__column {
    uint32_t keep, alias;
} weir__column;

/* Members of one priority that may be picked. */
typedef struct weir__level {
    weir__record **ready;
    uint32_t count;
    uint32_t priority;
    uint32_t *schedule;    /* SMOOTH_WEIGHTED: indices into ready. */
    uint32_t turns;        /* Length of the schedule; without one, count. */
    weir__column *columns; /* RANDOM, LEAST_REQUEST: the alias method's. */
    unsigned char apart[WEIR__CACHE_LINE];
    _Atomic uint64_t
        turn; /* The one part that picks write: below turns, or a lap is about to go. */
    unsigned char apart_too[WEIR__CACHE_LINE];
} weir__level;

typedef struct weir__table {
    weir__version version;
    uint64_t members_version;
    weir__record **records; /* All, in the order given. */
    weir__record **ready;   /* Those that may be picked, by priority, then in the order given. */
    size_t count, ready_count;
    weir__level *levels;
    size_t level_count;
} weir__table;

struct weir_balancer {
    weir__snapshot table;
    weir_balancer_algorithm algorithm;
    _Atomic uint64_t draws; /* splitmix64: random draws without a lock, repeatable from a seed. */
    uint64_t start;         /* Where turns begin. */
    weir_env env;

    pthread_mutex_t lock; /* Guards all below, and writing the table. */
    uint64_t newest;      /* Version of the members in force. */
    weir__map by_id;      /* Records in force. */
    weir__record *left;   /* Replaced and removed records whose calls may still run. */
};

/* Lock held in all of these. NULL means out of memory. */
weir__table *weir__table_new(weir_balancer *balancer, weir__record *const *records, size_t count,
                             uint64_t members_version);
void weir__table_free(weir__version *version, void *owner);

weir__record *weir__record_new(const weir_env *env, const weir_member *member);
void weir__record_free(const weir_env *env, weir__record *record);
bool weir__record_same(const weir__record *record, const weir_member *member);
/* Frees records that have left and whose calls are over. */
void weir__records_sweep(weir_balancer *balancer);

/* In any thread, within a read section. */
static inline uint32_t weir__record_in_flight(weir__record *record)
{
    uint64_t in_flight = 0;
    for (; record != NULL; record = atomic_load_explicit(&record->elder, memory_order_acquire))
        in_flight +=
            atomic_load_explicit(&record->calls, memory_order_relaxed) & WEIR__IN_FLIGHT_MASK;
    return (uint32_t)in_flight;
}

void weir__record_stats(weir__record *record, weir_member_stats *stats);

#endif

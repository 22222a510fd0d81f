/* The checker's own state: made by lifecycle.c, run by schedule.c, judged by state.c. */
#ifndef WEIR_SRC_HEALTH_HEALTH_H
#define WEIR_SRC_HEALTH_HEALTH_H

#include <weir/health.h>

#include "base/map.h"
#include "base/outbox.h"
#include "base/rng.h"
#include "health/wheel.h"

#include <stdatomic.h>

#define WEIR__HEALTH_STATES 4

/* Checks by state: [0] optional, [1] critical. */
typedef struct weir__health_counts {
    uint32_t by_state[2][WEIR__HEALTH_STATES];
} weir__health_counts;

typedef struct weir__health_target {
    uint32_t refs;   /* Checks that are not freed yet. */
    uint32_t checks; /* Of these, not removed; none = not in the map. */
    uint32_t gates;  /* Startup checks that have not passed. */
    weir_health_state state;
    weir__health_counts counts;
    size_t name_size; /* With its NUL. */
    char name[];
} weir__health_target;

/* What a run needs of the options, in as few lines as it can be. */
typedef struct weir__health_plan {
    uint32_t interval_ms, fast_ms, down_ms, idle_ms, timeout_ms, ttl_ms, tolerate_ms, expire_ms;
    uint32_t traffic_skips;
    uint16_t rise, fall;
    uint8_t jitter_percent;
    bool critical, first_pass_up;
} weir__health_plan;

/* Laid out so that a run that passes as ever touches the first two lines alone. */
struct weir_health_check {
    uint64_t run;        /* Under way; 0 = none. */
    uint64_t started_ns; /* Of the last run, or of the last skip of one; of the last beat. */
    weir_health_start_fn start;
    void *user;
    int64_t figure;
    uint32_t place; /* Its node in the wheel. */
    uint32_t refs;  /* Held by the table, by events to be told, by a start under way. */
    uint32_t counter;
    _Atomic uint32_t state;
    uint8_t skip; /* A weir_health_skip. */
    uint8_t last; /* A weir_health_verdict. */
    uint8_t depends_count;
    bool waiting;    /* In line for a place among those that run. */
    bool failing;    /* Since failing_ns, without a pass. */
    bool expired;    /* Told of. */
    bool startup;    /* Holds back the others of its target... */
    bool started_up; /* ...until now. */

    weir__health_plan plan;
    uint32_t skips_in_row;
    uint64_t runs, passed;

    uint64_t failed, timeouts, discarded, late, skipped, latency_ns;
    weir_health_cancel_fn cancel;

    /* Written by calls: apart from what each run writes. */
    _Alignas(WEIR__CACHE_LINE) _Atomic uint64_t traffic_ns;
    _Atomic uint64_t traffic_step_ns;

    _Alignas(WEIR__CACHE_LINE) weir__health_target *target;
    uint64_t changed_ns;
    uint64_t failing_ns;
    weir_health_check *because;  /* While skipped for a dependency. Counted in its refs. */
    weir_health_check **depends; /* Counted in their `dependents`. */
    uint32_t dependents;
    uint64_t mark;                   /* Of the walk that came by last... */
    weir_health_check *walk_next;    /* ...and what it has still to look at. */
    weir_health_transition *history; /* A ring; NULL = none is kept. */
    uint32_t history_capacity, history_count, history_next;
    char note[WEIR_HEALTH_NOTE_SIZE];
    uint64_t runs_before; /* Of all checks: no token of this one is that low. */
    void *memory;         /* As it was allocated, not aligned. */
    size_t id_size;       /* With its NUL. */
    char id[];
};

/* An event on its way; holds what its texts belong to. */
typedef struct weir__health_told {
    weir_health_event event;
    weir_health_check *check, *because;
} weir__health_told;

struct weir_health {
    weir_env env;
    weir_health_options options; /* Fixed, as is env. */
    uint64_t stall_ns;

    pthread_mutex_t lock; /* Guards all below, and all of the checks that is not atomic. */
    weir__outbox outbox;
    uint64_t jitter;      /* State of a splitmix64. */
    uint64_t spread;      /* Golden ratio steps: first runs fall evenly, however many there are. */
    uint64_t now_ns;      /* The latest seen. */
    uint64_t runs;        /* Begun, ever: the tokens. */
    uint64_t promised_ns; /* When the task is to run; WEIR_NEVER = whenever. */
    uint64_t wake_ns;     /* When it runs without being woken; 0 = it was woken. */
    uint64_t stalled_ns;  /* When the last stall ended, or was seen to go on; 0 = none. */
    uint64_t late_ns;     /* Of the stall that goes on; 0 = none does. */
    uint64_t stalls, stalled_sum_ns;
    uint32_t running, waiting;
    bool in_run;
    weir__wheel wheel;
    weir__health_counts counts;
    weir_health_system system;
    weir__map checks, targets;
    uint32_t gates; /* Startup checks that have not passed, of all targets. */
    uint64_t marks;
};

/* ---- lifecycle.c; the lock is held by the caller of all that follows ---- */

void weir__health_free_check(weir_health *health, weir_health_check *check); /* The last is gone. */

/* ---- state.c ---- */

/* Moves the clock on; finds stalls. */
uint64_t weir__health_tick(weir_health *health, uint64_t now_ns);
/* Tells events, and wakes the task if it should run before it said. Releases the lock. */
void weir__health_unlock(weir_health *health);
void weir__health_judge(weir_health *health, weir_health_check *check,
                        const weir_health_result *result, weir_health_reason reason);
void weir__health_tell_skip(weir_health *health, weir_health_check *check, weir_health_skip skip,
                            weir_health_check *because);
/* Counts a check in (+1) or out (-1) of its target and of the system, which may change both. */
void weir__health_count(weir_health *health, weir_health_check *check, int by);
/* Tells EXPIRED if it is time. */
void weir__health_expire(weir_health *health, weir_health_check *check);
/* The target and the system after a change of counts that is not one of state. */
void weir__health_recount(weir_health *health, weir_health_check *check);

/* ---- schedule.c ---- */

uint64_t weir__health_run(void *self, uint64_t now_ns);
/* Sets the first time that a check is looked at. */
void weir__health_schedule_first(weir_health *health, weir_health_check *check,
                                 uint32_t spread_percent);
/* After a change of options: a check that waits for its next start, waits by them. */
void weir__health_reschedule(weir_health *health, weir_health_check *check);
/* Takes a check out of the wheel or the line; its run is over. */
void weir__health_unschedule(weir_health *health, weir_health_check *check);
weir_health_run weir__health_run_of(weir_health *health, weir_health_check *check);

static inline weir_health_state weir__health_state(const weir_health_check *check)
{
    return (weir_health_state)atomic_load_explicit(&check->state, memory_order_acquire);
}

static inline uint32_t weir__health_top(const weir_health_check *check)
{
    return check->plan.rise + check->plan.fall - UINT32_C(1);
}

/* Times are rounded up to whole milliseconds. */
static inline uint64_t weir__health_ceil_ms(uint64_t ns)
{
    return ns / WEIR__NS_PER_MS + (ns % WEIR__NS_PER_MS != 0);
}

/* Drops a reference. */
static inline void weir__health_release(weir_health *health, weir_health_check *check)
{
    if (--check->refs == 0)
        weir__health_free_check(health, check);
}

/* Within the task's run, which needs no waking: releases the lock for a callback. */
static inline void weir__health_pause(weir_health *health)
{
    if (WEIR__UNLIKELY(health->outbox.ring.count > 0))
        weir__health_unlock(health);
    else
        pthread_mutex_unlock(&health->lock);
}

#endif

/* The breaker's own state, shared by its hot path (breaker.c) and its changes of state (state.c).
 */
#ifndef WEIR_SRC_BREAKER_BREAKER_H
#define WEIR_SRC_BREAKER_BREAKER_H

#include <weir/breaker.h>

#include "base/outbox.h"
#include "base/rng.h"
#include "base/snapshot.h"
#include "breaker/window.h"

/* One version of the options. Consecutive versions share the window if it fits both. */
typedef struct weir__breaker_policy {
    weir__version version;
    weir_breaker_options options;
    weir__window *window;
    bool owns_window; /* False once a later version has taken the window over. */
} weir__breaker_policy;

typedef struct weir__breaker_probe {
    uint64_t id; /* 0 = free. */
    uint64_t lease_end_ns;
} weir__breaker_probe;

struct weir_breaker {
    _Atomic uint64_t control;  /* Generation << 3 | state; changed under the lock. */
    _Atomic uint64_t until_ns; /* OPEN: when probing may start; changed under the lock. */
    weir__snapshot policy;
    weir_env env;
    weir_breaker_event_fn on_event;
    void *user;

    pthread_mutex_t lock; /* Guards all below. */
    weir__outbox outbox;
    weir_breaker_event last;
    weir__rng rng;
    uint64_t now_ns;      /* The latest seen under the lock. */
    uint64_t since_ns;    /* When this state began. */
    uint32_t trips;       /* Re-trips that lengthen the next rest. */
    uint64_t ramp_credit; /* RECOVERING: share not yet spent, in 1/100 of a call's percent. */
    uint64_t probe_ids;   /* HALF_OPEN: ids given out, ever. */
    weir__breaker_probe *probes;
    uint32_t probe_places;       /* Places in `probes`. */
    uint32_t probing;            /* Places taken. */
    weir__window_counts verdict; /* HALF_OPEN: outcomes of probes so far. */

    unsigned char apart[WEIR__CACHE_LINE];
    _Atomic uint64_t refused;
};

static inline weir_breaker_state weir__breaker_state(uint64_t control)
{
    return (weir_breaker_state)(control & 7);
}

static inline uint64_t weir__breaker_generation(uint64_t control)
{
    return control >> 3;
}

/* The lock is held in all of these; time has been clamped by weir__breaker_tick(). */
uint64_t weir__breaker_tick(weir_breaker *breaker, uint64_t now_ns);
void weir__breaker_become(weir_breaker *breaker, weir_breaker_state to, weir_breaker_reason reason,
                          const weir__window_counts *counts);
void weir__breaker_trip(weir_breaker *breaker, weir_breaker_reason reason,
                        const weir__window_counts *counts);
int weir__breaker_admit(weir_breaker *breaker, weir_breaker_permit *permit,
                        uint64_t *retry_after_ns);
void weir__breaker_probe_done(weir_breaker *breaker, uint64_t probe, bool counts, bool failed,
                              bool slow);
/* HALF_OPEN: if the probes that are back decide already. */
void weir__breaker_pass_verdict(weir_breaker *breaker);
/* Releases the lock and tells what there is to tell. */
void weir__breaker_unlock(weir_breaker *breaker);

static inline weir__breaker_policy *weir__breaker_policy_of(weir_breaker *breaker)
{
    return weir__snapshot_get(&breaker->policy);
}

#endif

/* The caller's own parts: slots of members (members.c), calls through them (caller.c). */
#ifndef WEIR_SRC_CALLER_CALLER_H
#define WEIR_SRC_CALLER_CALLER_H

#include <weir/caller.h>

#include "base/heap.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/snapshot.h"

#include <pthread.h>
#include <string.h>

/* What a caller keeps of a member id as long as it is in the set, or in use by a call. */
typedef struct weir__slot {
    weir_caller *caller;
    weir_member view; /* Only its id, which the slot owns: to exclude it by. */
    size_t id_size;
    _Atomic(void *) user;
    weir_breaker *breaker;
    weir_outlier_host *host;
    _Atomic uint32_t in_use; /* Calls that hold it. */
    weir__heap_node rest;    /* In caller.rests while its breaker is open. Caller's lock. */
    uint64_t left;           /* Grace mark of its leaving. Caller's lock. */
    struct weir__slot *next; /* In caller.left. */
} weir__slot;

/* What a call reads of the options. */
typedef struct weir__call_policy {
    weir_retry_options retry;
    uint64_t timeout_ns, attempt_timeout_ns;
    bool guarded; /* There is a breaker. */
    bool watched; /* There is outlier detection. */
} weir__call_policy;

typedef struct weir__caller_policy {
    weir__version version;
    weir__call_policy calls;
} weir__caller_policy;

struct weir_caller {
    weir_env env;
    weir_balancer *balancer;
    weir_limiter *limiter;
    weir_outlier *outlier;
    weir_caller_event_fn on_event;
    void *user;
    weir__snapshot policy;
    _Atomic uint64_t next_rest_ns; /* When the first of the open breakers may be tried again. */
    _Atomic uint64_t seeds;        /* splitmix64, of retry jitter. */

    pthread_mutex_t lock; /* Guards all below. */
    weir_breaker_options breaker_options;
    uint64_t newest; /* Version of the members in force. */
    weir__map slots;
    weir__slot *left; /* Out of the set; calls may still hold them. */
    weir__heap rests;
    bool flags_behind; /* For want of memory, some WEIR_MEMBER_EJECTED is not what it should be. */

    unsigned char apart[WEIR__CACHE_LINE];
    struct {
        _Atomic uint64_t calls, attempts, succeeded, failed, rejected[4];
    } counts;
};

/* Clears WEIR_MEMBER_OPEN of members whose rest is over. */
void weir__caller_wake(weir_caller *caller, uint64_t now_ns);
/* Lock held. Has all of them cleared at the next call. */
void weir__caller_wake_all(weir_caller *caller);
/* Of the outlier detection; user is the caller. */
void weir__caller_on_outlier(const weir_outlier_event *event, void *user);
void weir__slot_free(const weir_env *env, weir__slot *slot);
void weir__caller_tell(weir_caller *caller, const weir_caller_event *event);

#endif

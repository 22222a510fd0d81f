/* The detector's own parts: hosts and results (outlier.c), sweeps (sweep.c), options and lives
 * (lifecycle.c). */
#ifndef WEIR_SRC_OUTLIER_OUTLIER_H
#define WEIR_SRC_OUTLIER_OUTLIER_H

#include <weir/outlier.h>

#include "base/outbox.h"
#include "base/rng.h"

#include <pthread.h>
#include <stdatomic.h>

/* Counts of an interval, of one origin: calls << 32 | failures. */
#define WEIR__OUTLIER_CALL    (UINT64_C(1) << 32)
#define WEIR__OUTLIER_FAILURE (WEIR__OUTLIER_CALL + 1)

/* What a host did in the last whole interval. */
typedef struct weir__outlier_interval {
    uint32_t calls, failures;
    uint32_t local_calls, local_failures;
    uint64_t busy_ns; /* Latency of the successes, in all. */
} weir__outlier_interval;

struct weir_outlier_host {
    _Atomic uint64_t server, local; /* Counts of this interval. */
    _Atomic uint64_t busy_ns;
    _Atomic uint32_t in_a_row, gateway_in_a_row, local_in_a_row;
    _Atomic bool out; /* Ejected, or left: results are not counted. */
    weir_outlier *outlier;

    /* Guarded by the outlier's lock. */
    bool ejected, left, orphan; /* Orphan: to be freed once its events are told. */
    uint32_t times;
    uint64_t until_ns, returned_ns, ejections;
    weir_outlier_detection detection;
    weir__outlier_interval last;
    uint32_t place;   /* In outlier.hosts. */
    uint32_t pending; /* Events that name it. */
    void *user;
    size_t bytes; /* Of the allocation, which holds the id, too. */
    char id[];
};

/* A host and what is judged of it. */
typedef struct weir__outlier_figure {
    double figure;
    weir_outlier_host *host;
    uint64_t calls;
} weir__outlier_figure;

/* An event that keeps its host. */
typedef struct weir__outlier_note {
    weir_outlier_event event;
    weir_outlier_host *host;
} weir__outlier_note;

/* What record reads of the options. */
typedef struct weir__outlier_rows {
    _Atomic uint32_t any, gateway, local;
    _Atomic bool split;
} weir__outlier_rows;

struct weir_outlier {
    weir_env env;
    weir_outlier_event_fn on_event;
    void *user;
    weir__outlier_rows rows;

    pthread_mutex_t lock; /* Guards all below. */
    weir_outlier_options options;
    weir__rng rng;
    weir__outbox outbox;
    weir_outlier_host **hosts;
    weir__outlier_figure *figures; /* As many: room for a sweep. */
    uint32_t count, room, ejected;
    uint64_t now_ns; /* Latest seen. */
    uint64_t sweep_ns;
    bool crowded; /* The sweep goes on once its ejections are told. */
    uint64_t ejections, spared;
};

/* What was found, and against what. */
typedef struct weir__outlier_finding {
    weir_outlier_detection detection;
    double figure, threshold;
    uint64_t calls;
} weir__outlier_finding;

/* Lock held in all of these. */

/* Ejects, spares or tells, as the options say; false if there is no room to tell of an ejection. */
bool weir__outlier_found(weir_outlier_host *host, const weir__outlier_finding *finding);
/* False if there is no room to tell of it. */
bool weir__outlier_return(weir_outlier_host *host);
/* Lets go of the lock, and tells what there is to tell. */
void weir__outlier_unlock(weir_outlier *outlier);
void weir__outlier_see(weir_outlier *outlier, uint64_t now_ns);

/* Figures of the interval that ends. */
void weir__outlier_judge(weir_outlier *outlier);

#endif

/* What the parts of the instrumentation share. */
#ifndef WEIR_SRC_INSTRUMENT_INSTRUMENT_H
#define WEIR_SRC_INSTRUMENT_INSTRUMENT_H

#include <weir/instrument.h>

#include "base/env.h"
#include "base/hash.h"

#include <stdatomic.h>

#define WEIR__INSTRUMENT_LABELS 5
#define WEIR__INSTRUMENT_SLOTS  1024 /* Sets of labels whose series is found without a lock. */

/* A series that was asked for before; never changed, and never freed before the end. */
typedef struct weir__known_series {
    weir_metrics_series *series;
    size_t size; /* Of this, with its key. */
    char key[];  /* The labels, each with its NUL. */
} weir__known_series;

typedef struct weir__instrument_family {
    weir_metrics_family *family; /* NULL: there are no metrics. */
    uint32_t labels;
    _Atomic(weir__known_series *) *known; /* WEIR__INSTRUMENT_SLOTS of them. */
} weir__instrument_family;

typedef enum weir__instrument_kind {
    WEIR__SERVER_DURATION,
    WEIR__SERVER_ACTIVE,
    WEIR__CLIENT_DURATION,
    WEIR__CALL_DURATION,
    WEIR__ATTEMPT_DURATION,
    WEIR__REJECTIONS,
    WEIR__BREAKER_CHANGES,
    WEIR__EJECTIONS,
} weir__instrument_kind;
#define WEIR__INSTRUMENT_KINDS 8

struct weir_instrument {
    weir_instrument_options options;
    weir_env env;
    weir__hash_key seed;
    weir__instrument_family families[WEIR__INSTRUMENT_KINDS];
};

/* `values`: of all its labels; NULL is "". Nothing, if there is no memory for it. */
void weir__instrument_record(weir_instrument *instrument, weir__instrument_kind kind,
                             const char *const *values, double seconds,
                             const weir_trace_context *context);
void weir__instrument_add(weir_instrument *instrument, weir__instrument_kind kind,
                          const char *const *values, int64_t n);

#endif

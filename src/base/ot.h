/*
 * The `ot` member of a tracestate: sub-keys "key:value" with semicolons between. `th` is the
 * rejection threshold of consistent probability sampling, 1 to 14 hex digits whose missing right
 * ones are zeros; `rv` is the randomness, exactly 14 (OpenTelemetry, "TraceState: Probability
 * Sampling").
 */
#ifndef WEIR_SRC_OT_H
#define WEIR_SRC_OT_H

#include "base/env.h"

#define WEIR__OT_BITS  56
#define WEIR__OT_COUNT (UINT64_C(1) << WEIR__OT_BITS)

typedef struct weir__ot {
    uint64_t threshold; /* UINT64_MAX: there is none, or it is malformed. */
    uint64_t random;    /* The same. */
} weir__ot;

weir__ot weir__ot_read(const char *state);
/*
 * `state` with this threshold, UINT64_MAX for none, into a room of WEIR_TRACESTATE_SIZE. All else
 * that the member says is kept.
 */
void weir__ot_write(char *out, const char *state, uint64_t threshold);
/* Randomness of a trace: `rv`, or else the right 56 bits of its id. */
uint64_t weir__ot_random(const char *state, const uint8_t *trace_id);

#endif

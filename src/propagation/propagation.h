/* What the formats share. */
#ifndef WEIR_SRC_PROPAGATION_PROPAGATION_H
#define WEIR_SRC_PROPAGATION_PROPAGATION_H

#include <weir/propagation.h>

#include "base/tracestate.h"
#include "propagation/hex.h"

#include <string.h>

/* Whether there is one, and one alone; blanks around it are cut off. */
bool weir__field_get(const weir_carrier *carrier, const char *name, weir__field *out);
/* Each: WEIR_OK, WEIR_ENOTFOUND or WEIR_EPROTOCOL. */
int weir__tracecontext_extract(const weir_carrier *carrier, weir_trace_context *out, char *state);
int weir__b3_extract(const weir_carrier *carrier, weir_trace_context *out);
int weir__b3multi_extract(const weir_carrier *carrier, weir_trace_context *out);
int weir__jaeger_extract(const weir_carrier *carrier, weir_trace_context *out);
/* False: no room. */
bool weir__tracecontext_inject(const weir_trace_context *context, const weir_carrier *carrier);
bool weir__b3_inject(const weir_trace_context *context, const weir_carrier *carrier);
bool weir__b3multi_inject(const weir_trace_context *context, const weir_carrier *carrier);
bool weir__jaeger_inject(const weir_trace_context *context, const weir_carrier *carrier);

/* The members of all headers, as one tracestate in its room; empty, if one of them is malformed. */
void weir__tracestate_extract(const weir_carrier *carrier, char *state);

#endif

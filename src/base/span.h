/* Finished spans, copied with all that they point to into one block each. */
#ifndef WEIR_SRC_SPAN_H
#define WEIR_SRC_SPAN_H

#include <weir/trace.h>

#include "base/env.h"

typedef struct weir__span {
    struct weir__span *next; /* Its owner's. */
    size_t size;             /* Of the block. */
    const char *service;     /* service.name of who made it; "" = not told. */
    weir_span_data data;
} weir__span;

weir__span *weir__span_copy(const weir_env *env, const weir_span_data *from, const char *service);
void weir__span_free(const weir_env *env, weir__span *span); /* NULL is allowed. */
/* Of a batch's resource; "" = not told. */
const char *weir__span_service(const weir_span_batch *batch);
/* Its trace begins here, as far as this program knows. */
bool weir__span_is_local_root(const weir_span_data *span);

#endif

/*
 * Binary heap of deadlines. Nodes are embedded in what they time, so push, move and remove need
 * no search; equal times come out in the order in which they were set. Not synchronized.
 */
#ifndef WEIR_SRC_HEAP_H
#define WEIR_SRC_HEAP_H

#include "base/env.h"

typedef struct weir__heap_node {
    uint64_t at_ns;
    uint64_t order; /* Which setting this was, or its rank: breaks ties. */
    size_t place;   /* 1-based index in the heap; 0 = not in one. */
} weir__heap_node;

typedef struct weir__heap {
    const weir_env *env; /* Borrowed. */
    weir__heap_node **nodes;
    size_t count, capacity;
    uint64_t settings;
} weir__heap;

void weir__heap_init(weir__heap *heap, const weir_env *env); /* Allocates nothing. */
void weir__heap_free(weir__heap *heap);                      /* The array; not the nodes. */
int weir__heap_reserve(weir__heap *heap, size_t count);      /* So that pushes cannot fail. */
/* Enters node at at_ns, or moves it there if it is in already. WEIR_OK or WEIR_ENOMEM. */
int weir__heap_set(weir__heap *heap, weir__heap_node *node, uint64_t at_ns);
/* The same, with a rank of the caller's among equal times: the lowest comes first. */
int weir__heap_set_ranked(weir__heap *heap, weir__heap_node *node, uint64_t at_ns, uint64_t rank);
void weir__heap_remove(weir__heap *heap, weir__heap_node *node); /* No-op if it is not in. */
weir__heap_node *weir__heap_first(const weir__heap *heap);       /* NULL if empty. */
uint64_t weir__heap_next_ns(const weir__heap *heap);             /* WEIR_NEVER if empty. */

#endif

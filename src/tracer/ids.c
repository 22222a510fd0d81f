/*
 * Ids are numbered, and the numbers are mixed: each stream is splitmix64's, which never gives the
 * same twice. A thread takes numbers by the block, so that it has to ask others but rarely.
 */
#include "tracer/tracer.h"

#include "base/rng.h"

#include <string.h>
#include <unistd.h>

#define IDS_BLOCK 1024

static _Thread_local struct {
    uint64_t owner, next, left;
} ids_block;

static _Atomic uint64_t ids_owners;

void weir__tracer_seed_ids(weir_tracer *tracer)
{
    uint64_t const process = weir__mix64((uint64_t)getpid()); /* Its child's source may repeat. */
    bool const again = atomic_load(&tracer->id_owner) != 0;
    for (size_t i = 0; i < 3; i++)
        tracer->id_seeds[i] = weir__random(&tracer->env) ^ (again ? process : 0);
    atomic_store(&tracer->id_owner, atomic_fetch_add(&ids_owners, 1) + 1);
}

static WEIR__APART void ids_take_block(weir_tracer *tracer, uint64_t owner)
{
    ids_block.owner = owner;
    ids_block.next = atomic_fetch_add(&tracer->id_numbers, IDS_BLOCK);
    ids_block.left = IDS_BLOCK;
}

static inline uint64_t ids_number(weir_tracer *tracer)
{
    uint64_t const owner = atomic_load_explicit(&tracer->id_owner, memory_order_relaxed);
    if (WEIR__UNLIKELY(ids_block.owner != owner || ids_block.left == 0))
        ids_take_block(tracer, owner);
    ids_block.left--;
    return ++ids_block.next; /* From 1. */
}

void weir__tracer_new_ids(weir_tracer *tracer, uint8_t *span_id, uint8_t *trace_id)
{
    uint64_t number, id;
    do {
        number = ids_number(tracer) * WEIR__GOLDEN;
        id = weir__mix64(tracer->id_seeds[0] + number);
    } while (WEIR__UNLIKELY(id == 0)); /* One of 2^64 is, and may not be. */
    memcpy(span_id, &id, sizeof id);
    if (trace_id == NULL)
        return;
    uint64_t const halves[2] = {weir__mix64(tracer->id_seeds[1] + number),
                                weir__mix64(tracer->id_seeds[2] + number)};
    memcpy(trace_id, halves, sizeof halves);
    trace_id[0] |= (uint8_t)((halves[0] | halves[1]) == 0);
}

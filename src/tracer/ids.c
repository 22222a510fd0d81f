/*
 * Ids are numbered, and the numbers are mixed: each stream is splitmix64's, which never gives the
 * same twice. A thread takes numbers by the block, so that it has to ask others but rarely.
 */
#include "tracer/tracer.h"

#include <string.h>
#include <unistd.h>

#define IDS_BLOCK 1024

_Thread_local weir__id_block weir__id_block_self;

static _Atomic uint64_t ids_owners;

void weir__tracer_seed_ids(weir_tracer *tracer)
{
    uint64_t const process = weir__mix64((uint64_t)getpid()); /* Its child's source may repeat. */
    bool const again = atomic_load(&tracer->id_owner) != 0;
    for (size_t i = 0; i < 3; i++)
        tracer->id_seeds[i] = weir__random(&tracer->env) ^ (again ? process : 0);
    atomic_store(&tracer->id_owner, atomic_fetch_add(&ids_owners, 1) + 1);
}

WEIR__APART void weir__tracer_take_ids(weir_tracer *tracer, uint64_t owner)
{
    weir__id_block *const block = &weir__id_block_self;
    block->owner = owner;
    block->next = (atomic_fetch_add(&tracer->id_numbers, IDS_BLOCK) + 1) * WEIR__GOLDEN;
    block->left = IDS_BLOCK;
}

void weir__tracer_new_trace(weir_tracer *tracer, uint64_t number, uint8_t *trace_id)
{
    uint64_t const halves[2] = {weir__mix64(tracer->id_seeds[1] + number),
                                weir__mix64(tracer->id_seeds[2] + number)};
    memcpy(trace_id, halves, sizeof halves);
    trace_id[0] |= (uint8_t)((halves[0] | halves[1]) == 0);
}

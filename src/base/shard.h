/*
 * A number for each thread, so that what all count, each can count in a place of its own: the
 * lowest that no other thread has, from the first time it is asked for until the thread ends. The
 * next thread to have it comes after the end of that one (it synchronizes with it), so that a place
 * has one writer at a time, who needs no locked instruction.
 *
 *     uint32_t const shard = weir__shard_get();
 *     if (shard <= places)
 *         place[shard - 1] is ours
 *     else
 *         share one
 */
#ifndef WEIR_SRC_SHARD_H
#define WEIR_SRC_SHARD_H

#include "base/env.h"

#define WEIR__SHARDS     1024u
#define WEIR__SHARD_NONE UINT32_MAX /* There was no number left, or the thread is about to end. */

extern _Thread_local uint32_t weir__shard_self; /* 0 = not asked for yet. */

uint32_t weir__shard_take(void);

/* 1 .. WEIR__SHARDS, or WEIR__SHARD_NONE. */
static inline uint32_t weir__shard_get(void)
{
    uint32_t const shard = weir__shard_self;
    return WEIR__LIKELY(shard != 0) ? shard : weir__shard_take();
}

#endif

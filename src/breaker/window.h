/*
 * Sliding windows of outcomes, lock-free. An outcome belongs to a generation: what was counted in
 * an older one is simply not there any more, so a new generation needs no clearing.
 *
 * Count window: a ring of slots, each an outcome and its generation, and running totals: who takes
 * a slot over adds the difference. Time window: a ring of buckets, each counting within one turn of
 * the clock. Every count carries its generation or turn in the same word, which makes adding to it,
 * finding it outdated and starting it anew one compare-and-swap.
 */
#ifndef WEIR_SRC_BREAKER_WINDOW_H
#define WEIR_SRC_BREAKER_WINDOW_H

#include <weir/breaker.h>

#include "base/env.h"

#include <stdatomic.h>

/* Tag (generation or turn) in the high half, a signed count in the low; 0 = never used. */
typedef _Atomic uint64_t weir__tagged;

typedef struct weir__tally {
    weir__tagged calls, failures, slow;
} weir__tally;

typedef struct weir__window {
    weir_breaker_window kind;
    uint32_t size;           /* Slots or buckets. */
    uint64_t bucket_ns;      /* TIME. */
    weir__tagged streak;     /* By generation. */
    weir__tally total;       /* COUNT: by generation. */
    _Atomic uint64_t newest; /* TIME: the newest bucket of the clock seen. */
    _Atomic uint64_t first;  /* TIME: the turn in which the generation began. */
    _Atomic uint32_t *slots; /* COUNT: generation << 2 | slow << 1 | failed; behind this struct. */
    weir__tally *buckets;    /* TIME: by turn; behind this struct. */
    unsigned char apart[WEIR__CACHE_LINE]; /* Written by each call; the above is mostly read. */
    _Atomic uint64_t cursor;               /* COUNT: slots taken so far. */
    unsigned char apart_too[WEIR__CACHE_LINE];
} weir__window;

typedef struct weir__window_counts {
    uint32_t calls, failures, slow, streak;
} weir__window_counts;

/* NULL if out of memory. */
weir__window *weir__window_new(const weir_env *env, const weir_breaker_options *options);
void weir__window_free(const weir_env *env, weir__window *window);
bool weir__window_fits(const weir__window *window, const weir_breaker_options *options);

/* A generation begins now; the owner's lock is held. */
void weir__window_begin(weir__window *window, uint64_t generation, uint64_t now_ns);
/* Counts one outcome, then judges: true if a limit is reached as far as can be seen unlocked. */
bool weir__window_count(weir__window *window, const weir_breaker_options *options,
                        uint64_t generation, uint64_t now_ns, bool failed, bool slow);
void weir__window_read(weir__window *window, uint64_t generation, uint64_t now_ns,
                       weir__window_counts *counts);
/* Whether count is at least this percentage of calls; a percentage of 0 is never reached. */
bool weir__window_reaches(uint32_t count, uint32_t calls, uint32_t percent);
/* Which limit these counts reach; false if none. */
bool weir__window_judge(const weir_breaker_options *options, const weir__window_counts *counts,
                        weir_breaker_reason *reason);
/* What `from` holds of the generation, into a new window. */
void weir__window_copy(weir__window *to, weir__window *from, uint64_t generation, uint64_t now_ns);

#endif

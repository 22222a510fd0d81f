/*
 * Snapshots: one writer at a time publishes an immutable version, any number of threads read it
 * without a lock, a system call or an allocation, and a version is freed once nobody can hold it.
 * Epoch-based reclamation (Fraser, "Practical lock-freedom", 2004) with asymmetric fences:
 * the reader stores its epoch and pays no fence, the writer makes every running thread pass one,
 * by membarrier(2). Elsewhere, and under ThreadSanitizer, the reader pays a full fence.
 *
 *     weir__reader *r = weir__read_begin();
 *     const table *t = weir__snapshot_get(&snapshot);     valid until...
 *     weir__read_end(r);                                  ...here
 *
 * Read sections nest, are bounded in time, and are left by the thread that began them. Threads
 * need no registration and may end at any time outside a section. fork() is survived: the child
 * knows of its own thread alone.
 */
#ifndef WEIR_SRC_SNAPSHOT_H
#define WEIR_SRC_SNAPSHOT_H

#include "base/env.h"

#include <stdatomic.h>

/* depth and state are apart, or compilers read both in one load, which waits for the store to one.
 */
typedef struct weir__reader {
    uint32_t depth;         /* Own thread only: sections begun and not ended. */
    _Atomic uint64_t epoch; /* When the outermost section began; 0 = outside. Own thread writes. */
    uint32_t state;         /* Own thread only: a WEIR__READER_... */
    struct weir__reader *next; /* Guarded by the registry's lock. */
} weir__reader;

/* The first member of every version. */
typedef struct weir__version {
    struct weir__version *next; /* Older retired versions. */
    uint64_t retired;           /* Epoch in which it was retired. */
} weir__version;

typedef struct weir__snapshot {
    _Atomic(weir__version *) current;
    weir__version *retired; /* Newest first; guarded by the owner's lock. */
    void (*free_fn)(weir__version *version, void *owner);
    void *owner;
} weir__snapshot;

#define WEIR__READER_NEW    UINT32_C(0) /* Writers do not know this thread yet. */
#define WEIR__READER_LISTED UINT32_C(1) /* Writers look at its epoch. */
#define WEIR__READER_STRAY  UINT32_C(2) /* Its end could not be watched: it is counted instead. */

extern _Thread_local weir__reader weir__reader_self;
extern _Atomic uint64_t weir__epoch;
extern _Atomic bool weir__reader_fences; /* There is no membarrier(2): the reader pays the fence. */

void weir__read_begin_slow(weir__reader *self);
void weir__read_end_slow(weir__reader *self);

static inline weir__reader *weir__read_begin(void)
{
    weir__reader *const self = &weir__reader_self;
    if (WEIR__UNLIKELY(self->state != WEIR__READER_LISTED || self->depth != 0 ||
                       atomic_load_explicit(&weir__reader_fences, memory_order_relaxed))) {
        weir__read_begin_slow(self);
        return self;
    }
    self->depth = 1;
    atomic_store_explicit(&self->epoch, atomic_load_explicit(&weir__epoch, memory_order_acquire),
                          memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* The writer's membarrier does the rest. */
    return self;
}

static inline void weir__read_end(weir__reader *self)
{
    if (WEIR__UNLIKELY(self->depth != 1 || self->state != WEIR__READER_LISTED)) {
        weir__read_end_slow(self);
        return;
    }
    self->depth = 0;
    atomic_store_explicit(&self->epoch, 0, memory_order_release);
}

/* The version in force: within a read section, or by the writer. NULL before the first. */
static inline void *weir__snapshot_get(weir__snapshot *snapshot)
{
    return atomic_load_explicit(&snapshot->current, memory_order_seq_cst);
}

void weir__snapshot_init(weir__snapshot *snapshot,
                         void (*free_fn)(weir__version *version, void *owner), void *owner);
/* Writer: puts `next` in force, retires the version before it, frees what nobody can hold. */
void weir__snapshot_set(weir__snapshot *snapshot, weir__version *next);
/* Writer: frees what nobody can hold any more; never waits. */
void weir__snapshot_sweep(weir__snapshot *snapshot);
/* Frees all versions at once: nobody else may use the snapshot any more. */
void weir__snapshot_free(weir__snapshot *snapshot);

/*
 * Grace periods, for what is not a version: take a mark once the thing can no longer be found.
 * When the horizon has reached the mark, nobody who found it before is still reading. Neither
 * waits; the horizon costs a membarrier(2).
 */
uint64_t weir__grace_mark(void);
uint64_t weir__grace_horizon(void);

#endif

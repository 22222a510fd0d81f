#include "base/shard.h"
#include "base/fork.h"

#include <pthread.h>
#include <string.h>

#define SHARD_WORDS (WEIR__SHARDS / 64)

_Thread_local uint32_t weir__shard_self;

static struct {
    pthread_once_t once;
    bool works;
    pthread_key_t key;    /* Its destructor gives the number of an ending thread back. */
    pthread_mutex_t lock; /* Guards the next. */
    uint64_t taken[SHARD_WORDS];
    weir__fork_watch fork;
} shard_table = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static void shard_mark(uint32_t shard, bool taken)
{
    uint64_t const bit = UINT64_C(1) << (shard - 1) % 64;
    uint64_t *const word = &shard_table.taken[(shard - 1) / 64];
    *word = taken ? *word | bit : *word & ~bit;
}

static uint32_t shard_lowest(void)
{
    for (uint32_t shard = 1; shard <= WEIR__SHARDS; shard++)
        if ((shard_table.taken[(shard - 1) / 64] >> (shard - 1) % 64 & 1) == 0)
            return shard;
    return WEIR__SHARD_NONE;
}

/* Destructors that come after this one may still count: they share. */
static void shard_give(void *value)
{
    (void)value;
    pthread_mutex_lock(&shard_table.lock);
    shard_mark(weir__shard_self, false);
    pthread_mutex_unlock(&shard_table.lock);
    weir__shard_self = WEIR__SHARD_NONE;
}

static void shard_before_fork(void *self)
{
    (void)self;
    pthread_mutex_lock(&shard_table.lock);
}

static void shard_in_parent(void *self)
{
    (void)self;
    pthread_mutex_unlock(&shard_table.lock);
}

/* The other threads are no more. */
static void shard_in_child(void *self)
{
    (void)self;
    memset(shard_table.taken, 0, sizeof shard_table.taken);
    if (weir__shard_self != 0 && weir__shard_self != WEIR__SHARD_NONE)
        shard_mark(weir__shard_self, true);
    pthread_mutex_unlock(&shard_table.lock);
}

static void shard_start(void)
{
    shard_table.fork.prepare = shard_before_fork;
    shard_table.fork.in_parent = shard_in_parent;
    shard_table.fork.in_child = shard_in_child;
    shard_table.works = pthread_key_create(&shard_table.key, shard_give) == 0 &&
                        weir__fork_watch_add(&shard_table.fork) == WEIR_OK;
}

uint32_t weir__shard_take(void)
{
    pthread_once(&shard_table.once, shard_start);
    /* Without a destructor to give it back, a number would be lost with its thread. */
    if (!shard_table.works || pthread_setspecific(shard_table.key, &shard_table) != 0) {
        weir__shard_self = WEIR__SHARD_NONE;
        return weir__shard_self;
    }
    pthread_mutex_lock(&shard_table.lock);
    uint32_t const shard = shard_lowest();
    if (shard != WEIR__SHARD_NONE)
        shard_mark(shard, true);
    pthread_mutex_unlock(&shard_table.lock);
    if (shard == WEIR__SHARD_NONE)
        (void)pthread_setspecific(shard_table.key, NULL);
    weir__shard_self = shard;
    return shard;
}

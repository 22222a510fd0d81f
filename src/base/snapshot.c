#include "base/snapshot.h"

#include <pthread.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

/* From linux/membarrier.h, which is not everywhere. */
#define SNAPSHOT_EXPEDITED          (1 << 3)
#define SNAPSHOT_REGISTER_EXPEDITED (1 << 4)

/* ThreadSanitizer knows fences by the accesses around them, not those of the kernel. */
#if defined(__SANITIZE_THREAD__)
#define SNAPSHOT_MEMBARRIER 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SNAPSHOT_MEMBARRIER 0
#endif
#endif
#if !defined(SNAPSHOT_MEMBARRIER)
#define SNAPSHOT_MEMBARRIER 1
#endif

_Thread_local weir__reader weir__reader_self;
_Atomic uint64_t weir__epoch = 1;
_Atomic bool weir__reader_fences;

static struct {
    pthread_once_t once;
    pthread_key_t key; /* Its destructor takes an ending thread off the list. */
    bool has_key;
    pthread_mutex_t lock; /* Guards the list. */
    weir__reader *readers;
    _Atomic uint64_t strays; /* Stray threads within a section. */
} snapshot_registry = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static bool snapshot_membarrier(int command)
{
#if SNAPSHOT_MEMBARRIER && defined(__linux__) && defined(SYS_membarrier)
    return syscall(SYS_membarrier, command, 0, 0) == 0;
#else
    (void)command;
    return false;
#endif
}

static void snapshot_registry_remove(void *reader)
{
    weir__reader *const self = reader;
    pthread_mutex_lock(&snapshot_registry.lock);
    weir__reader **link = &snapshot_registry.readers;
    while (*link != NULL && *link != self)
        link = &(*link)->next;
    if (*link != NULL)
        *link = self->next;
    pthread_mutex_unlock(&snapshot_registry.lock);
    self->state = WEIR__READER_NEW;
}

static void snapshot_registry_before_fork(void)
{
    pthread_mutex_lock(&snapshot_registry.lock);
}

static void snapshot_registry_after_fork_in_parent(void)
{
    pthread_mutex_unlock(&snapshot_registry.lock);
}

/* Only this thread went along; the stacks of the others, and their readers, will be reused. */
static void snapshot_registry_after_fork_in_child(void)
{
    weir__reader *const self = &weir__reader_self;
    snapshot_registry.readers = self->state == WEIR__READER_LISTED ? self : NULL;
    self->next = NULL;
    atomic_store(&snapshot_registry.strays,
                 self->state == WEIR__READER_STRAY && self->depth > 0 ? 1 : 0);
    pthread_mutex_unlock(&snapshot_registry.lock);
}

static void snapshot_registry_start(void)
{
    snapshot_registry.has_key =
        pthread_key_create(&snapshot_registry.key, snapshot_registry_remove) == 0 &&
        pthread_atfork(snapshot_registry_before_fork, snapshot_registry_after_fork_in_parent,
                       snapshot_registry_after_fork_in_child) == 0;
    atomic_store(&weir__reader_fences, !snapshot_membarrier(SNAPSHOT_REGISTER_EXPEDITED));
}

static void snapshot_registry_add(weir__reader *self)
{
    pthread_once(&snapshot_registry.once, snapshot_registry_start);
    if (!snapshot_registry.has_key || pthread_setspecific(snapshot_registry.key, self) != 0) {
        self->state = WEIR__READER_STRAY;
        return;
    }
    pthread_mutex_lock(&snapshot_registry.lock);
    self->next = snapshot_registry.readers;
    snapshot_registry.readers = self;
    pthread_mutex_unlock(&snapshot_registry.lock);
    self->state = WEIR__READER_LISTED;
}

void weir__read_begin_slow(weir__reader *self)
{
    if (self->state == WEIR__READER_NEW)
        snapshot_registry_add(self);
    if (self->depth++ > 0)
        return;
    if (self->state == WEIR__READER_STRAY)
        atomic_fetch_add(&snapshot_registry.strays, 1);
    else
        atomic_store(&self->epoch, atomic_load(&weir__epoch));
}

void weir__read_end_slow(weir__reader *self)
{
    if (--self->depth > 0)
        return;
    if (self->state == WEIR__READER_STRAY)
        atomic_fetch_sub(&snapshot_registry.strays, 1);
    else
        atomic_store_explicit(&self->epoch, 0, memory_order_release);
}

uint64_t weir__grace_mark(void)
{
    return atomic_fetch_add(&weir__epoch, 1) + 1;
}

/*
 * A reader whose epoch is not visible after the barrier will load its pointers after it, and so
 * finds only what was in force then. The oldest visible epoch bounds what the rest may hold.
 */
uint64_t weir__grace_horizon(void)
{
    pthread_once(&snapshot_registry.once, snapshot_registry_start);
    if (!atomic_load(&weir__reader_fences) && !snapshot_membarrier(SNAPSHOT_EXPEDITED)) {
        /* A sandbox has taken it away since. By the next call, who began unfenced has fenced. */
        atomic_store(&weir__reader_fences, true);
        return 0;
    }
    uint64_t horizon = UINT64_MAX;
    pthread_mutex_lock(&snapshot_registry.lock);
    for (weir__reader *reader = snapshot_registry.readers; reader != NULL; reader = reader->next) {
        uint64_t const epoch = atomic_load(&reader->epoch);
        if (epoch != 0 && epoch < horizon)
            horizon = epoch;
    }
    pthread_mutex_unlock(&snapshot_registry.lock);
    return atomic_load(&snapshot_registry.strays) == 0 ? horizon : 0;
}

void weir__snapshot_init(weir__snapshot *snapshot,
                         void (*free_fn)(weir__version *version, void *owner), void *owner)
{
    atomic_init(&snapshot->current, NULL);
    snapshot->retired = NULL;
    snapshot->free_fn = free_fn;
    snapshot->owner = owner;
}

void weir__snapshot_set(weir__snapshot *snapshot, weir__version *next)
{
    weir__version *const old = atomic_exchange(&snapshot->current, next);
    if (old == NULL)
        return;
    old->retired = weir__grace_mark();
    old->next = snapshot->retired;
    snapshot->retired = old;
    weir__snapshot_sweep(snapshot);
}

static void snapshot_free_list(weir__snapshot *snapshot, weir__version *version)
{
    while (version != NULL) {
        weir__version *const next = version->next;
        snapshot->free_fn(version, snapshot->owner);
        version = next;
    }
}

void weir__snapshot_sweep(weir__snapshot *snapshot)
{
    if (snapshot->retired == NULL)
        return;
    uint64_t const horizon = weir__grace_horizon();
    weir__version **link = &snapshot->retired;
    while (*link != NULL && (*link)->retired > horizon)
        link = &(*link)->next;
    weir__version *const free_from = *link; /* Newest first: the rest is older still. */
    *link = NULL;
    snapshot_free_list(snapshot, free_from);
}

void weir__snapshot_free(weir__snapshot *snapshot)
{
    snapshot_free_list(snapshot, snapshot->retired);
    snapshot->retired = NULL;
    weir__version *const current = atomic_exchange(&snapshot->current, NULL);
    if (current != NULL)
        snapshot->free_fn(current, snapshot->owner);
}

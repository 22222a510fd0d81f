/*
 * The rooms of the registry. One thread writes: that of the weir_kv, which runs the task, makes
 * changes and is told of events. Lookups and heartbeats read along, through the directories and
 * sets, within read sections of base/snapshot.h.
 */
#ifndef WEIR_SRC_REGISTRY_REGISTRY_H
#define WEIR_SRC_REGISTRY_REGISTRY_H

#include <weir/registry.h>

#include "base/heap.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/snapshot.h"
#include "base/text.h"

/* Bytes of "<service>/<id>". */
#define WEIR__REG_MAX_KEY   (2 * WEIR_REGISTRY_MAX_NAME + 1)
#define WEIR__REG_MAX_STAMP (UINT64_C(1) << 53)
#define WEIR__REG_MINUTE_NS (60 * WEIR__NS_PER_S)

/* ---- What readers may still look at when it is taken away ---- */

typedef struct weir__reg_waste {
    struct weir__reg_waste *next;
    uint64_t mark;   /* A grace mark, once nobody can find it any more. */
    uint32_t size;   /* Of the whole piece of memory... */
    uint16_t before; /* ...of which so much is in front of this. */
    bool pooled;
} weir__reg_waste;

typedef struct weir__reg_wastes {
    weir__reg_waste *first, **last; /* Oldest first. */
} weir__reg_wastes;

/* An instance, in one piece with all that it points to. */
typedef struct weir__reg_record {
    weir__reg_waste waste;
    uint32_t refs; /* The writer's; readers hold none. */
    weir_instance instance;
} weir__reg_record;

/* ---- The pool: where nodes lie, in whole cache lines. It does not shrink before its end. ---- */

/* A place: the number of a chunk, from 1 on, and of a line in it. */
#define WEIR__REG_LINE_BITS  14
#define WEIR__REG_PLACE_BITS 26

typedef struct weir__reg_chunk weir__reg_chunk;

/* By number. */
typedef struct weir__reg_chunks {
    weir__reg_waste waste;
    size_t capacity;
    char *lines[];
} weir__reg_chunks;

typedef struct weir__reg_hole {
    struct weir__reg_hole *next;
    uint32_t place;
} weir__reg_hole;

#define WEIR__REG_POOL_LINES 12 /* Of the largest piece. */

typedef struct weir__reg_pool {
    _Atomic(weir__reg_chunks *) chunks; /* NULL at first. */
    weir__reg_chunk *newest;
    uint32_t count, place; /* Of chunks; of `at`. */
    char *at;              /* Of the newest chunk, what was never used. */
    size_t left, total;
    weir__reg_hole *free[WEIR__REG_POOL_LINES + 1]; /* By size in lines. */
} weir__reg_pool;

/* Readers: of a place that they have found. */
static inline void *weir__reg_pool_at(weir__reg_pool *pool, uint32_t place)
{
    const weir__reg_chunks *const chunks =
        atomic_load_explicit(&pool->chunks, memory_order_acquire);
    size_t const line = place & ((UINT32_C(1) << WEIR__REG_LINE_BITS) - 1);
    return chunks->lines[place >> WEIR__REG_LINE_BITS] + line * WEIR__CACHE_LINE;
}

/* ---- Directories: found by readers without a lock ---- */

typedef struct weir__reg_node {
    weir__reg_waste waste;
    uint16_t key_size;
    uint16_t key_at; /* From here on. */
    uint32_t place;  /* In the pool, of the piece that this is in. */
} weir__reg_node;

static inline const char *weir__reg_node_key(const weir__reg_node *node)
{
    return (const char *)node + node->key_at;
}

/* Small, so that a cache holds it: a slot is a place, below some bits of the hash. */
typedef struct weir__reg_table {
    weir__reg_waste waste;
    size_t mask;
    uint32_t *hashes;         /* Of each slot; the writer's. Behind the slots. */
    _Atomic uint32_t slots[]; /* 0: never used; without a place: what was here is gone. */
} weir__reg_table;

typedef struct weir__reg_directory {
    weir__hash_key seed;
    weir__reg_pool *pool;             /* That nodes lie in... */
    size_t node_at;                   /* ...from so far in their piece on. */
    _Atomic(weir__reg_table *) table; /* NULL at first. */
    size_t used;                      /* Slots, with those of nodes that are gone. */
    size_t count;
} weir__reg_directory;

/* ---- The view ---- */

/* A service as readers see it: immutable. */
typedef struct weir__reg_set {
    weir__reg_waste waste;
    size_t count, available_count;
    uint64_t revision, generation;
    bool protecting;
    const weir_instance *const *available; /* In `list`. */
    const weir_instance *list[];
} weir__reg_set;

typedef enum weir__reg_lease {
    WEIR__REG_FOREIGN,   /* Another registry keeps it. */
    WEIR__REG_PERMANENT, /* It has none. */
    WEIR__REG_LEASED,
    WEIR__REG_LEAVING, /* It is over, and its removal is under way. */
} weir__reg_lease;

typedef struct weir__reg_service weir__reg_service;

/* What a heartbeat looks at is in one cache line, unless the key is long: the second, which begins
 * within the node, behind its waste. */
typedef struct weir__reg_item {
    weir__reg_service *service;
    weir__reg_record *record;
    weir__heap_node due;      /* On the lease clock; lazily: it may have been renewed since. */
    weir__reg_node node;      /* Its key is "<service>/<id>". */
    _Atomic uint64_t beat_ns; /* On the lease clock. Any thread raises it. */
    _Atomic uint32_t lease;   /* A weir__reg_lease; the writer's to set. */
    uint32_t list;            /* Of which list it was a part last. */
    uint32_t over;            /* 1-based place among those that are over; 0 = not there. */
    char key[];
} weir__reg_item;

static inline weir__reg_item *weir__reg_item_of(void *node)
{
    return node != NULL ? (weir__reg_item *)(void *)((char *)node - offsetof(weir__reg_item, node))
                        : NULL;
}

typedef struct weir__reg_entry {
    const weir_instance *instance; /* NULL: it is gone since the last set. */
    weir__reg_item *item;          /* Stays until the next set. */
    bool serves;                   /* In service. */
    bool well;
} weir__reg_entry;

struct weir__reg_service {
    weir__reg_node node; /* Its key is the name. */
    _Atomic(weir__reg_set *) set;
    weir__reg_entry *entries; /* Sorted by id. */
    size_t count, capacity, gone;
    uint64_t revision;
    bool dirty; /* On the list of those that need a new set. */
    weir__reg_service *next_dirty;
    char name[];
};

/* ---- Following a part of the space: a list, then a watch ---- */

typedef struct weir__reg_follower weir__reg_follower;

typedef enum weir__reg_follow_state {
    WEIR__REG_LIST,  /* Pages are asked for; `from` is where the next begins, NULL at the first. */
    WEIR__REG_START, /* The watch is to be set up, from `revision` on. */
    WEIR__REG_WATCH,
    WEIR__REG_OVER, /* The space is closed. */
} weir__reg_follow_state;

/* Memory of a request that may be answered when who asked is gone. */
typedef struct weir__reg_ticket {
    weir_env env;
    void *owner; /* NULL once it is gone. */
} weir__reg_ticket;

typedef struct weir__reg_follow_hooks {
    bool (*begin)(weir__reg_follower *self, uint64_t revision);             /* A list. */
    bool (*pair)(weir__reg_follower *self, const weir_kv_pair *pair);       /* Of the list. */
    bool (*listed)(weir__reg_follower *self);                               /* It is whole. */
    bool (*events)(weir__reg_follower *self, const weir_kv_watch_event *e); /* Of the watch. */
    void (*over)(weir__reg_follower *self);
    void (*free_fn)(weir__reg_follower *self);
} weir__reg_follow_hooks;

/* Hooks that return bool say: go on. False: pause; or weir__reg_follow_fail() was called. */
struct weir__reg_follower {
    weir_registry *registry;
    const weir__reg_follow_hooks *hooks;
    weir__reg_follower *next, **link; /* Of all of the registry. */
    weir__reg_follow_state state;
    uint64_t revision;        /* Of the list; or the next that is awaited. */
    uint64_t retry_ns;        /* When to try again; WEIR_NEVER = nothing failed. */
    uint32_t failures;        /* In a row. */
    uint64_t watch;           /* Of the kv; 0 = none. */
    weir__reg_ticket *ticket; /* Of a page that is awaited. */
    weir__text from;
    bool begun; /* The list: its revision is known. */
    bool paused, pumping, stopped;
    uint32_t depth; /* Of our own frames that will look at it again. */
    char *prefix;   /* And its end, of the same size, behind it. */
    size_t prefix_size;
};

struct weir_registry_watch {
    weir__reg_follower follower; /* First: it is cast. */
    weir_registry_event_fn fn;
    void *user;
    uint64_t skip_revision, skip; /* Of that revision, so many events are told already. */
    size_t size;
};

/* ---- Changes ---- */

typedef enum weir__reg_change_kind {
    WEIR__REG_REGISTER,
    WEIR__REG_PUT_BACK, /* As REGISTER, with the override and draining as given. */
    WEIR__REG_DEREGISTER,
    WEIR__REG_SET_STATUS,
    WEIR__REG_SET_OVERRIDE,
    WEIR__REG_DRAIN,
    WEIR__REG_SET_METADATA,
} weir__reg_change_kind;

typedef struct weir__reg_change {
    weir_env env;
    weir_registry *registry; /* NULL once it is destroyed. */
    struct weir__reg_change *next, **link;
    weir__reg_change_kind kind;
    weir_registry_done_fn done;
    void *user;
    weir_instance_status status;
    bool draining;
    const char *name, *value; /* Of metadata; in the tail. */
    weir__reg_record *wanted; /* REGISTER, PUT_BACK. */
    weir__reg_record *base;   /* What is there, as far as we know; NULL = nothing readable. */
    uint64_t mod_revision;    /* Of that. */
    uint64_t mark_revision;   /* 0 = there is no mark... */
    uint64_t mark_stamp;      /* ...or what it says. */
    uint64_t stamp;           /* That the last attempt wrote. */
    uint32_t tries;
    bool asking;    /* This attempt only reads. */
    bool fresh;     /* Base and mark were read for this change. */
    bool cancelled; /* No more tries. */
    bool marked;    /* It was stale for a mark's sake. */
    weir__text text;
    size_t size;
    size_t key_size, mark_size;
    const char *service, *id, *key, *mark; /* In the tail. */
    char tail[];
} weir__reg_change;

/* ---- Keepers ---- */

struct weir_registry_keeper {
    weir_registry *registry;
    weir_registry_keeper *next, **link;
    weir__heap_node due; /* On the environment's clock. */
    weir__reg_record *latest;
    weir__reg_change *change; /* Under way. */
    weir_registry_done_fn ended;
    void *user;
    uint32_t failures;
    uint64_t tried_ns;
    int fate;                   /* WEIR_OK; or why it ends, which the task tells. */
    bool registering, released; /* Within keeper_register(); and it was let go there. */
    size_t key_size, size;
    char key[]; /* "<service>/<id>" */
};

/* ---- The registry ---- */

#define WEIR__REG_SLICE   256 /* Leases looked at in one run. */
#define WEIR__REG_VICTIMS 32  /* Removed by one transaction, one a run. */
#define WEIR__REG_COUNTS  16

/* Each belongs to one thread, but for the last, which is shared. */
typedef struct weir__reg_count {
    _Atomic uint64_t renewals;
    char apart[WEIR__CACHE_LINE - sizeof(uint64_t)];
} weir__reg_count;

typedef struct weir__reg_expiry {
    weir__heap heap;
    weir__reg_item **over; /* Those that are over; as much room as there are leases. */
    size_t over_count, over_capacity;
    size_t cursor; /* Of those, how many have yet to be looked at again: maybe they were renewed. */
    size_t leases;
    uint64_t expected;    /* Millionths of renewals a minute. */
    uint64_t minute_ns;   /* When the minute began. All times here are of the lease clock. */
    uint64_t renewals;    /* In the one before... */
    bool measured;        /* ...if there was one. */
    uint64_t counted;     /* All renewals, by when this minute began. */
    uint64_t preserve_ns; /* Since when; WEIR_NEVER = not. */
    uint64_t pass_ns;     /* When the pass began; WEIR_NEVER = none yet. */
    size_t pass_left;     /* How many more it may remove. */
    uint64_t hold_ns;     /* Nobody is removed before. */
    weir__reg_item *victims[WEIR__REG_VICTIMS];
    size_t victim_count;      /* 0 = no removal under way. */
    weir__reg_ticket *ticket; /* Of the removal. */
    uint64_t promised_ns;     /* When to look again, on the environment's clock. */
    bool single;              /* The last removal of several failed: one at a time. */
    uint64_t evicted;
} weir__reg_expiry;

struct weir_registry {
    weir__reg_count counts[WEIR__REG_COUNTS];
    uint64_t serial;         /* Of all registries in this process. */
    _Atomic uint32_t claims; /* Of counters; it does not come near its end. */
    weir_env env;
    weir_kv kv;
    weir_registry_options options;
    char *root, *node;
    size_t root_size, node_size;
    weir__reg_directory services, items;
    _Atomic bool synced;
    _Atomic uint64_t stood_ns; /* How long the lease clock has stood still. */
    weir__reg_follower view;
    bool listed; /* And watched since. */
    uint32_t list;
    uint64_t revision, resyncs, malformed;
    weir__reg_service *dirty;
    size_t live_services, live_instances;
    uint64_t generation; /* Of the newest set. */
    weir__reg_pool pool;
    weir__reg_wastes pending; /* Sets in force may still show it. */
    weir__reg_wastes limbo;   /* Readers may still look at it. */
    weir__reg_follower *followers;
    uint64_t retry_ns; /* Of these, the first that is to try again. */
    weir__reg_change *changes;
    weir__reg_expiry expiry;
    weir__map kept; /* Keepers, by key. */
    weir__heap keeping;
    weir_registry_keeper *keepers;
    size_t keeper_count;
    uint64_t mark_lease; /* 0 = none. */
    uint64_t mark_until_ns;
    weir__rng rng;
    uint64_t now_ns;      /* The latest that we were told. */
    uint64_t promised_ns; /* When the task wants to run. */
    bool running;
    char *scratch;
    size_t scratch_size;
    size_t bytes, watches;
};

/* lookup.c */
uint64_t weir__reg_serial(void);

/* semver.c: ranges, parsed once. */
#define WEIR__SEMVER_TERMS 16

typedef struct weir__semver {
    uint64_t number[3];
    const char *pre; /* Borrowed; NULL = none. */
    size_t pre_size;
} weir__semver;

typedef enum weir__semver_relation {
    WEIR__SEMVER_LESS,
    WEIR__SEMVER_LESS_EQUAL,
    WEIR__SEMVER_GREATER,
    WEIR__SEMVER_GREATER_EQUAL,
    WEIR__SEMVER_BELOW, /* Less, and no prerelease of it either. */
    WEIR__SEMVER_NEVER,
} weir__semver_relation;

typedef struct weir__semver_term {
    weir__semver_relation relation;
    bool set; /* Begins the next set. */
    weir__semver version;
} weir__semver_term;

typedef struct weir__semver_range {
    bool all; /* A set is empty: every version, and what is none. */
    size_t count;
    weir__semver_term terms[WEIR__SEMVER_TERMS * 2];
} weir__semver_range;

bool weir__semver_parse_range(weir__semver_range *range, const char *text);
bool weir__semver_matches(const weir__semver_range *range, const char *version);

/* instance.c */
int weir__reg_validate_name(const char *name); /* WEIR_OK or WEIR_EINVAL. */
int weir__reg_validate(const weir_instance *o);
int weir__reg_validate_lease(const weir_registry *registry, const weir_instance *instance);
int weir__reg_validate_label(const char *key, const char *value);
/* A copy, with one reference. NULL: no memory. */
weir__reg_record *weir__reg_record_copy(const weir_env *env, const weir_instance *from);
void weir__reg_record_free(const weir_env *env, weir__reg_record *record);
void weir__reg_encode(const weir_instance *o, weir__text *out);
/* WEIR_OK, WEIR_EPROTOCOL, WEIR_ENOMEM. */
int weir__reg_decode(weir_registry *registry, const char *service, const char *id,
                     const weir_kv_pair *pair, weir__reg_record **out);
uint64_t weir__reg_decode_mark(weir_bytes value); /* Its stamp; 0 if there is none. */

/* A key of the space, taken apart: NUL-terminated copies. */
typedef struct weir__reg_name {
    bool mark; /* Of a deregistration. */
    char service[WEIR_REGISTRY_MAX_NAME + 1], id[WEIR_REGISTRY_MAX_NAME + 1];
    char key[WEIR__REG_MAX_KEY + 1]; /* "<service>/<id>" */
    size_t key_size;
} weir__reg_name;

bool weir__reg_parse_key(const weir_registry *registry, weir_bytes key, weir__reg_name *name);

/* directory.c */
/* The node with that key, or NULL. Readers: within a read section. */
void *weir__reg_find(weir__reg_directory *directory, const char *key, size_t size);
/* The same in two steps: what is done between them is done while memory is fetched. */
uint64_t weir__reg_hash(weir__reg_directory *directory, const char *key, size_t size);
void *weir__reg_find_hashed(weir__reg_directory *directory, uint64_t hash, const char *key,
                            size_t size);
int weir__reg_enter(weir_registry *registry, weir__reg_directory *directory, weir__reg_node *node);
void weir__reg_remove(weir__reg_directory *directory, weir__reg_node *node);
/* Visits all: for (size_t i = 0; (node = weir__reg_next(directory, table, &i)) != NULL;). */
void *weir__reg_next(const weir__reg_directory *directory, weir__reg_table *table, size_t *cursor);
void *weir__reg_alloc(weir_registry *registry, size_t size); /* Later it is waste. */
void weir__reg_free(weir_registry *registry, void *memory);  /* At once: nobody has seen it. */
void weir__reg_waste_add(weir_registry *registry, void *waste);
void weir__reg_release(weir_registry *registry, weir__reg_record *record);
void weir__reg_sweep(weir_registry *registry); /* Nothing in force shows what is pending. */
void weir__reg_waste_free(weir_registry *registry);

/* pool.c: pieces have a node in them, which says where they lie. */
void *weir__reg_pool_take(weir_registry *registry, size_t size, uint32_t *place); /* Zeroed. */
void weir__reg_pool_give(weir_registry *registry, void *memory, size_t size, uint32_t place);
void weir__reg_pool_free(weir_registry *registry);

/* view.c */
extern const weir__reg_follow_hooks weir__reg_view_hooks;
void weir__reg_publish(weir_registry *registry);
void weir__reg_view_free(weir_registry *registry);

/* follow.c */
int weir__reg_follow_init(weir__reg_follower *self, weir_registry *registry, const char *service,
                          const weir__reg_follow_hooks *hooks); /* WEIR_OK or WEIR_ENOMEM. */
void weir__reg_follow_begin(weir__reg_follower *self);
void weir__reg_follow_resume(weir__reg_follower *self);
void weir__reg_follow_fail(weir__reg_follower *self); /* Lists anew, after a while. */
void weir__reg_follow_rewind(weir__reg_follower *self, uint64_t revision);
void weir__reg_follow_stop(weir__reg_follower *self);   /* And frees it, at once or soon. */
uint64_t weir__reg_follow_run(weir_registry *registry); /* Retries; when to run next. */

/* change.c */
typedef struct weir__reg_change_result {
    weir_registry_result result; /* First. */
    bool marked;                 /* WEIR_ESTALE: it was deregistered. */
    uint64_t stamp;              /* That was written. */
} weir__reg_change_result;

int weir__reg_change_register(weir_registry *registry, weir__reg_change_kind kind,
                              weir__reg_record *record, weir_registry_done_fn done, void *user,
                              weir__reg_change **out);
void weir__reg_changes_close(weir_registry *registry);

/* expiry.c */
uint64_t weir__reg_lease_now(weir_registry *registry, uint64_t now_ns);
int weir__reg_lease_reserve(weir_registry *registry); /* So that one more cannot fail. */
/* By its record; when it was last renewed. */
void weir__reg_lease_begin(weir_registry *registry, weir__reg_item *item, uint64_t beat_ns);
void weir__reg_lease_end(weir_registry *registry, weir__reg_item *item);
void weir__reg_lease_renew(weir_registry *registry, weir__reg_item *item, uint64_t now_ns);
uint64_t weir__reg_renew_ns(const weir_registry *registry, const weir_instance *instance);
uint64_t weir__reg_expiry_run(weir_registry *registry); /* When to run next. */
uint64_t weir__reg_threshold(const weir_registry *registry);
bool weir__reg_preserving(const weir_registry *registry);

/* keeper.c */
void weir__reg_keepers_saw(weir_registry *registry, const weir__reg_item *item); /* A new record. */
void weir__reg_keepers_lost(weir_registry *registry, const weir__reg_item *item);
uint64_t weir__reg_keepers_run(weir_registry *registry);
void weir__reg_keepers_free(weir_registry *registry);

/* lifecycle.c */
uint64_t weir__reg_now(weir_registry *registry); /* Never steps back. */
void weir__reg_wake(weir_registry *registry, uint64_t at_ns);
uint64_t weir__reg_backoff_ns(uint32_t failures); /* 1 s, then twice that, up to 30 s. */

#endif

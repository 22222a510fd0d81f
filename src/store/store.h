/*
 * The store's inside. One writer at a time:
 *
 *   txn.c      what a transaction asks --> space.c: versions, pending --> codec.c: its record
 *   commit.c   record --> log --> committed: readers see it; then watches.c, then `done`
 *   leases.c   deadlines, and the keys that go with them
 *   history.c  forgetting, and freeing what nobody can read any more
 *   read.c     readers, any thread
 *   snapshot.c the state written in slices; log_recovery.c: it and the log read back by codec.c
 *
 * Versions hang on their key, newest first, and in the history, oldest first. Those that a failed
 * commit has left behind stay pending for ever: readers pass them over.
 */
#ifndef WEIR_SRC_STORE_STORE_H
#define WEIR_SRC_STORE_STORE_H

#include "base/env.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/text.h"
#include "store/index.h"
#include "store/log.h"

#include <weir/store.h>

typedef struct weir__lease {
    weir__heap_node timer; /* May be earlier than the deadline: then it is set anew. First. */
    uint64_t id, ttl_ms, deadline_ns;
    weir__kv_link keys;              /* The ring of its keys, and where it begins. */
    struct weir__lease *next, *prev; /* All leases, in order of grant; circular. */
} weir__lease;

typedef struct weir__watch {
    struct weir__watch *next; /* In order of creation. */
    uint64_t id;
    uint64_t place;    /* In the history: events before it were told, or are not asked for. */
    uint64_t revision; /* Older ones are not asked for. */
    weir_kv_watch_fn fn;
    void *user;
    bool lost;         /* What it asks for is forgotten already. */
    bool paused, over; /* over: to be freed once nobody is telling. */
    size_t key_size, end_size;
    unsigned char bytes[]; /* Key, then end. */
} weir__watch;

/* Told once all that was asked before it is safe. */
typedef struct weir__reply {
    struct weir__reply *next;
    size_t size;       /* Of the allocation. */
    uint64_t sequence; /* By when it was asked. */
    weir_kv_result_fn done;
    weir_kv_lease_fn lease_done;
    void *user;
    weir_kv_lease_result lease;
    weir_kv_result result;
    weir_kv_op_result results[]; /* Then the pairs. */
} weir__reply;

/* Versions in order of revision, from the first that is kept; places are counted since create. */
typedef struct weir__history {
    weir__kv_version ***pages; /* A ring of them; a power of two. */
    size_t capacity;           /* Of pages. */
    size_t count;              /* Of versions. */
    uint64_t first;            /* Place of the oldest. */
} weir__history;

/* What was retired: freed once no reader can hold it. */
typedef struct weir__limbo {
    weir__kv_version *versions;
    weir__kv_key *keys;
    weir__index_node *nodes;
    uint64_t mark; /* 0: nothing is in here. */
} weir__limbo;

typedef struct weir__store_snapshot {
    uint64_t revision;         /* 0: none is under way. */
    weir__lease *lease;        /* The next to write; &all_leases: all are. */
    weir__text from;           /* Keys below it are written. */
    uint64_t not_before_bytes; /* Of log, after one that failed. */
} weir__store_snapshot;

struct weir_store {
    weir_env env;
    weir_store_options options; /* folder is not kept. */
    weir__log *log;             /* NULL in memory. */
    weir__index index;
    _Atomic uint64_t committed; /* Readers see it and what was before. */
    _Atomic uint64_t compacted; /* What was before is forgotten. */
    uint64_t pending;           /* The newest revision given out. */
    uint64_t watchable;         /* The oldest revision that can be watched from. */

    weir__history history;
    uint64_t committed_place;          /* In it: before are committed changes. */
    weir__kv_key *dead;                /* Soon to leave the index. */
    weir__kv_key *dying;               /* To leave it once no reader is older than dying_mark. */
    uint64_t dying_mark, dying_before; /* Their deletions were forgotten by then. */
    weir__kv_version *retired;         /* As index.retired, and retired_keys. */
    weir__limbo limbo;
    size_t retirements; /* That no look whether readers are gone was paid with yet. */

    weir__map leases; /* By id. */
    weir__heap deadlines;
    weir__lease all_leases; /* Only next and prev. */
    uint64_t next_lease_id;

    weir__watch *watches;
    uint64_t next_watch_id;
    weir__reply *replies, **replies_end;
    uint64_t asked, safe; /* Sequences: the last one given out, the last one that may be told. */
    unsigned depth;       /* Calls of ours that are under way; the outermost tells. */

    weir_kv_pair *pairs; /* Of the transaction under way. */
    size_t pair_count, pair_capacity;
    weir_kv_event *events; /* Of the watch that is told. */
    size_t event_capacity;
    weir__text record;  /* Of the transaction under way. */
    bool dirty;         /* Something was written and not synced. */
    uint64_t synced_ns; /* When last. */
    weir__store_snapshot snapshot;

    _Atomic uint64_t key_count, version_count, lease_count, watch_count, bytes; /* Figures. */
    _Atomic uint64_t log_bytes, snapshot_revision, syncs;
    _Atomic bool failed; /* Read-only: `error` was set before, and stays. */
    weir_store_error error;
};

static inline void weir__store_count(_Atomic uint64_t *figure, uint64_t plus, uint64_t minus)
{
    atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + plus - minus,
                          memory_order_relaxed);
}

static inline bool weir__store_failed(const weir_store *store)
{
    return atomic_load_explicit(&store->failed, memory_order_acquire);
}

/* ---- space.c: keys and their versions, pending ones included ---- */

/* As of `pending`. WEIR_ENOMEM; WEIR_EINVAL: the key has changed in this revision already. */
int weir__space_put(weir_store *store, weir_bytes bytes, weir_bytes value, uint64_t lease);
int weir__space_delete(weir_store *store, weir__kv_key *key); /* It is there. Codes likewise. */
int weir__space_restore(weir_store *store, const weir_kv_pair *pair); /* Without history. */
/* Takes back the changes from this place in the history on, all of the revision `pending`. */
void weir__space_undo(weir_store *store, uint64_t place);
/* NULL: the key is not there. */
const weir__kv_version *weir__space_find(const weir_store *store, weir_bytes key);
weir__kv_key *weir__space_first(const weir_store *store, const weir_kv_keys *keys,
                                weir__index_cursor *cursor);
weir__kv_key *weir__space_next(const weir_kv_keys *keys, weir__index_cursor *cursor);
weir_kv_pair weir__kv_pair_of(const weir__kv_key *key, const weir__kv_version *version);
int weir__kv_keys_check(const weir_kv_keys *keys); /* WEIR_OK or WEIR_EINVAL. */
bool weir__kv_keys_hold(const weir_kv_keys *keys, weir_bytes key);
size_t weir__kv_version_size(const weir__kv_version *version);
size_t weir__kv_key_size(const weir__kv_key *key);

/* ---- history.c ---- */

int weir__history_reserve(weir_store *store); /* Room for one more. WEIR_OK or WEIR_ENOMEM. */
void weir__history_add(weir_store *store, weir__kv_version *version);
weir__kv_version *weir__history_take_last(weir_store *store);
weir__kv_version *weir__history_at(const weir_store *store, uint64_t place);
uint64_t weir__history_end(const weir_store *store);
uint64_t weir__history_find(const weir_store *store, uint64_t revision); /* The first not below. */
void weir__history_forget(weir_store *store, uint64_t revision);         /* What was before. */
/* To options.history, if not at once then soon: so many changes pay for it. */
void weir__history_trim(weir_store *store, uint64_t changes);
void weir__store_bury(weir_store *store, weir__kv_key *key); /* It is not there any more. */
void weir__store_retire(weir_store *store, weir__kv_version *version);
void weir__store_sweep(weir_store *store); /* Frees a part of what can be, once it pays. */
bool weir__store_clean(weir_store *store); /* The same, anyway. True: there is more. */
bool weir__store_has_waste(const weir_store *store);
void weir__store_free_all(weir_store *store); /* Keys, versions and index at once. */

/* ---- codec.c: what records say ---- */

void weir__codec_put(weir__text *record, weir_bytes key, weir_bytes value, uint64_t lease);
void weir__codec_delete(weir__text *record, weir_bytes key);
void weir__codec_grant(weir__text *record, uint64_t id, uint64_t ttl_ms);
void weir__codec_revoke(weir__text *record, uint64_t id);
void weir__codec_pair(weir__text *record, const weir_kv_pair *pair); /* Of a snapshot. */
void weir__codec_begin(weir__text *record, uint64_t next_lease_id);  /* The same, first. */
/* A weir__log_replay_fn; user is the store. */
int weir__codec_replay(void *user, uint64_t revision, const void *data, size_t size);

/* ---- txn.c ---- */

/* Applies it and appends its record. *reply is made if wanted. What came of it is in the reply, or,
 * without one, returned. */
int weir__txn_run(weir_store *store, const weir_kv_txn *txn, bool wanted, weir__reply **reply);
int weir__txn_kv(void *self, const weir_kv_txn *txn, weir_kv_result_fn done, void *user);
int weir__range_kv(void *self, const weir_kv_range *range, weir_kv_result_fn done, void *user);
/* Appends the record that was built, if any; if it cannot, forgets it. */
int weir__txn_append(weir_store *store, uint64_t place);
void weir__txn_forget(weir_store *store, uint64_t place); /* It, and the changes from there on. */
int weir__pairs_add(weir_store *store, const weir__kv_key *key, const weir__kv_version *version,
                    bool key_only);

/* ---- read.c ---- */

/* As it was at that revision; NULL: it was not there. */
const weir__kv_version *weir__kv_version_at(const weir__kv_key *key, uint64_t revision);
/* Adds what is found to store->pairs. The writer's: `newest` says what 0 means. */
int weir__read_pairs(weir_store *store, const weir_kv_range *range, uint64_t newest,
                     uint64_t *total);

/* ---- commit.c ---- */

/* Around whatever may tell something; leaving the outermost tells it. */
void weir__store_enter(weir_store *store);
void weir__store_leave(weir_store *store);
int weir__commit(weir_store *store);        /* Makes safe; tells nothing. As weir_store_commit(). */
void weir__store_settle(weir_store *store); /* Commits, or has the task do it soon. */
void weir__store_note_log(weir_store *store); /* Its figures. */
void weir__store_wake(const weir_store *store);
void weir__store_sync_if_due(weir_store *store, uint64_t now_ns);
weir__reply *weir__reply_new(weir_store *store, size_t results, size_t pairs);
void weir__reply_free(weir_store *store, weir__reply *reply);
void weir__reply_add(weir_store *store, weir__reply *reply); /* To be told in its turn. */

/* ---- watches.c ---- */

int weir__watch_kv(void *self, const weir_kv_watch *asked, uint64_t *id);
void weir__resume_kv(void *self, uint64_t id);
void weir__unwatch_kv(void *self, uint64_t id);
/* One batch to each that can have one. True: there is more to tell. */
bool weir__watches_tell(weir_store *store);
void weir__watches_sweep(weir_store *store); /* Frees those that are over. */
void weir__watches_close(weir_store *store);

/* ---- leases.c ---- */

int weir__grant_kv(void *self, uint64_t id, uint64_t ttl_ms, weir_kv_lease_fn done, void *user);
int weir__keep_alive_kv(void *self, uint64_t id, weir_kv_lease_fn done, void *user);
int weir__revoke_kv(void *self, uint64_t id, weir_kv_lease_fn done, void *user);
weir__lease *weir__lease_find(const weir_store *store, uint64_t id); /* Or NULL. */
/* The key goes with that lease from now on, and with no other; 0, or unknown: with none. */
void weir__lease_attach(weir_store *store, weir__kv_key *key, uint64_t id);
int weir__lease_restore(weir_store *store, uint64_t id, uint64_t ttl_ms);
void weir__lease_forget(weir_store *store, weir__lease *lease);   /* Frees it; its keys stay. */
uint64_t weir__leases_expire(weir_store *store, uint64_t now_ns); /* Some; when to go on. */
void weir__leases_arm(weir_store *store); /* All of them anew, after recovery. */
void weir__leases_free(weir_store *store);

/* ---- snapshot.c ---- */

bool weir__snapshot_due(const weir_store *store);
int weir__snapshot_begin(weir_store *store);
/* Writes a slice, and ends it with the last. WEIR_OK, or it is given up. */
int weir__snapshot_slice(weir_store *store);

/* ---- lifecycle.c ---- */

int weir__store_open(weir_store **out, const weir_store_options *from, const weir__files *files,
                     weir_store_error *error); /* With any files. */

#endif

/**
 * @file weir/store.h
 * An embedded store: an ordered key space with revisions, transactions, leases, and watches that
 * resume from history; in memory, or durable in a folder. It behaves as etcd does (kv.h tells the
 * meanings), within one process and without its round trips.
 *
 *   txn --> pending --commit--> log, fdatasync --> readers, done callbacks, watches
 *              ^                    |
 *   leases ----+ (task)             +--> snapshot, once the log is long --> old segments go
 *
 * Reads see what is committed, and are consistent at one revision. Transactions see also what is
 * pending before them. Nothing is told, and no watcher hears of it, before it is as safe as the
 * sync policy says. After a failed write or sync nothing more is accepted (WEIR_EREADONLY): what
 * was acknowledged is on disk, and readable; open the folder again to go on.
 *
 * A folder holds segments of the log, each record with its length, revision and a CRC32C chained
 * to those before it, and at most one complete snapshot beside one being written. At the end of
 * the log a torn record is cut off: it was never acknowledged. Any other damage is WEIR_ECORRUPT,
 * and nothing is changed. Recovery never gives a revision out again.
 *
 * History is kept for `history` changes: older revisions cannot be read, nor watched from; a
 * watcher that has fallen so far behind is told WEIR_ECOMPACTED, and its watch ends. It has no
 * queue of its own: it costs no memory to be slow. Across a restart history begins at the newest
 * snapshot.
 *
 * Threads:    weir_store_read(), _revision() and _get_stats(): any thread. All else, and the task:
 *             one thread at a time; callbacks come on that thread and may call the store.
 * Blocking:   reads never, and without a lock; with a folder, commits write and sync, and the task
 *             writes snapshots in slices.
 * Allocation: per put, about 140 bytes beside key and value, while its version is kept.
 */
#ifndef WEIR_STORE_H
#define WEIR_STORE_H

#include <weir/kv.h>

WEIR_BEGIN_DECLS

typedef struct weir_store weir_store;

/** When a transaction in a folder is safe enough to be acknowledged. */
typedef enum weir_store_sync {
    /** After an fdatasync of its own, before the function returns. Nothing is ever lost. */
    WEIR_SYNC_ALWAYS,
    /** After an fdatasync that it shares with all that came since the last: by weir_store_commit(),
     * or the task's next run. Nothing that was acknowledged is ever lost. */
    WEIR_SYNC_GROUP,
    /** Once written; an fdatasync follows every sync_interval_ns by the task. A crash of the
     * machine loses what came since the last; a crash of the process, nothing. */
    WEIR_SYNC_INTERVAL,
    /** Once written; the system writes it back when it likes. */
    WEIR_SYNC_NONE,
} weir_store_sync;

/** Start from WEIR_STORE_OPTIONS_INIT. */
typedef struct weir_store_options {
    size_t struct_size;          /**< Set by the macro; leave alone. */
    const char *folder;          /**< NULL = in memory. Made if missing (mode 0700); copied. */
    weir_store_sync sync;        /**< Of a folder. */
    uint64_t sync_interval_ns;   /**< For WEIR_SYNC_INTERVAL; >= 1 ms. */
    uint64_t segment_bytes;      /**< The log goes on in a new file then; 4 KiB to 1 GiB. */
    uint64_t snapshot_bytes;     /**< Of log, or as much as the last snapshot if that is more, after
                                    which a snapshot is written; >= 4 KiB. */
    uint64_t history;            /**< Changes that stay readable and can be watched from; >= 1. */
    uint64_t max_bytes;          /**< Of keys and values of a transaction; 1 to 64 MiB. */
    uint32_t max_ops;            /**< Of a transaction, each branch; 1 to 1,000,000. */
    void (*on_wake)(void *user); /**< The task wants to run now rather than when it said: e.g.
                                    weir_loop_task_wake(). May be NULL. */
    void *user;                  /**< Passed to on_wake; borrowed. */
    const weir_env *env;         /**< NULL for defaults; copied. */
} weir_store_options;

#define WEIR_STORE_OPTIONS_INIT                                                                    \
    {                                                                                              \
        .struct_size = sizeof(weir_store_options), .folder = NULL, .sync = WEIR_SYNC_GROUP,        \
        .sync_interval_ns = 1000000000, .segment_bytes = 64 << 20, .snapshot_bytes = 64 << 20,     \
        .history = 100000, .max_bytes = 1536 << 10, .max_ops = 128, .on_wake = NULL, .user = NULL, \
        .env = NULL                                                                                \
    }

/** Why a folder cannot be opened, or a store went read-only. */
typedef struct weir_store_error {
    int code;          /**< WEIR_OK = nothing happened. */
    int system;        /**< errno of WEIR_ESYSTEM. */
    char file[64];     /**< Within the folder; empty = the folder. */
    uint64_t offset;   /**< In that file. */
    char message[128]; /**< English. */
} weir_store_error;

/**
 * Create a store in memory, or open the folder: one store at a time, of any process.
 *
 * @param out    receives the store, which the caller must destroy; NULL on failure.
 * @param error  NULL, or set on failure.
 * @return WEIR_OK, WEIR_EINVAL, WEIR_ENOMEM, WEIR_ESYSTEM (errno), WEIR_EBUSY (the folder is open
 *         already), WEIR_ECORRUPT.
 */
WEIR_API WEIR_MUST_CHECK int weir_store_create(weir_store **out, const weir_store_options *options,
                                               weir_store_error *error);

/** Commit what is pending, tell all watches WEIR_ECLOSED, and free it. NULL is allowed. */
WEIR_API void weir_store_destroy(weir_store *store);

/** The store as a weir_kv, which lives as long. With leases: run the task. */
WEIR_API weir_kv weir_store_kv(weir_store *store);

/**
 * Put one key, commit, and return.
 *
 * @param lease     0 = none.
 * @param revision  NULL, or set.
 * @return WEIR_OK; WEIR_EINVAL (an empty key); WEIR_ENOTFOUND (the lease); WEIR_ETOOLARGE;
 *         WEIR_ENOMEM; WEIR_ESYSTEM or WEIR_EREADONLY: it is not acknowledged.
 */
WEIR_API WEIR_MUST_CHECK int weir_store_put(weir_store *store, weir_bytes key, weir_bytes value,
                                            uint64_t lease, uint64_t *revision);

/** Delete keys, commit, and return. `deleted`, if not NULL: how many. Codes as weir_store_put(). */
WEIR_API WEIR_MUST_CHECK int weir_store_delete(weir_store *store, const weir_kv_keys *keys,
                                               uint64_t *deleted);

/**
 * Make all that is pending safe, then acknowledge it and tell watchers. Within a callback it leaves
 * that to whoever is telling.
 *
 * @return WEIR_OK; WEIR_ESYSTEM or WEIR_EREADONLY: it is not acknowledged, and never will be.
 */
WEIR_API WEIR_MUST_CHECK int weir_store_commit(weir_store *store);

/** Look at a pair, valid within the call, which must be short and may only read. False: enough. */
typedef bool (*weir_store_visit_fn)(const weir_kv_pair *pair, void *user);

/**
 * Read keys in order, as of one committed revision; any thread, without a lock. O(log n), and O(1)
 * a pair.
 *
 * @param visit     may be NULL, to count.
 * @param range     `uncounted` is not looked at: `total` says what is wanted.
 * @param total     NULL, or set: how many keys there are, whatever the limit.
 * @param revision  NULL, or set: as of when; with WEIR_ECOMPACTED, the oldest that can be read.
 * @return WEIR_OK; WEIR_EINVAL: an empty key, or a revision yet to come; WEIR_ECOMPACTED.
 */
WEIR_API WEIR_MUST_CHECK int weir_store_read(weir_store *store, const weir_kv_range *range,
                                             weir_store_visit_fn visit, void *user, uint64_t *total,
                                             uint64_t *revision);

/** The newest committed revision; 1 = nothing was ever written. Any thread. */
WEIR_API uint64_t weir_store_revision(const weir_store *store);

/**
 * Forget what was before `revision`, which itself stays readable.
 *
 * @return WEIR_OK; WEIR_ECOMPACTED: forgotten already; WEIR_EINVAL: yet to come; WEIR_EREADONLY.
 */
WEIR_API WEIR_MUST_CHECK int weir_store_compact(weir_store *store, uint64_t revision);

/** Write a snapshot now rather than once the log is long; blocks. WEIR_OK, also in memory, where
 * there is nothing to do; WEIR_ESYSTEM, WEIR_EREADONLY, WEIR_ENOMEM. */
WEIR_API WEIR_MUST_CHECK int weir_store_snapshot(weir_store *store);

/** What makes time pass: leases, commits of groups, syncs, snapshots and slow watchers, in slices
 * that take well under 1 ms beside the syncs themselves. */
WEIR_API weir_task weir_store_task(weir_store *store);

typedef struct weir_store_stats {
    uint64_t revision;          /**< Committed. */
    uint64_t compacted;         /**< The oldest that can be read. */
    uint64_t keys;              /**< That are there now. */
    uint64_t versions;          /**< That are kept, deletions among them. */
    uint64_t leases;            /**< Alive. */
    uint64_t watches;           /**< Not over. */
    uint64_t bytes;             /**< Of memory. */
    uint64_t log_bytes;         /**< Of segments, on disk. */
    uint64_t snapshot_revision; /**< Of the newest; 0 = none. */
    uint64_t syncs;             /**< By fdatasync, since create. */
    weir_store_error error;     /**< Why it is read-only; its code is WEIR_OK if it is not. */
} weir_store_stats;

/** Any thread; figures are of about the same time. */
WEIR_API void weir_store_get_stats(weir_store *store, weir_store_stats *stats);

WEIR_END_DECLS

#endif

/**
 * @file weir/kv.h
 * An ordered key space with revisions, as an interface: what registry and config stand on, and what
 * the embedded store, or a client of etcd, offers. The meanings are those of etcd's v3 API.
 *
 *   registry, config, yours --- txn, range, lease ---> weir_kv --> weir_store, in this process
 *                           <-- done, watch events --             or a server
 *
 * Every transaction that changes something makes one revision: the first is 2. A pair remembers the
 * revision that created it, the one that changed it last, and how often it was put since.
 *
 * Threads:    one thread at a time, unless the one who offers it says more.
 * Blocking:   never, unless the one who offers it says so.
 * Allocation: as the one who offers it says.
 */
#ifndef WEIR_KV_H
#define WEIR_KV_H

#include <weir/base.h>

WEIR_BEGIN_DECLS

/** Bytes of any value, borrowed. */
typedef struct weir_bytes {
    const void *data; /**< May be NULL if size is 0. */
    size_t size;
} weir_bytes;

/** One key with its value, as it was at some revision. */
typedef struct weir_kv_pair {
    weir_bytes key;           /**< Not empty. */
    weir_bytes value;         /**< May be empty. */
    uint64_t create_revision; /**< When it came to be; 0 = there is no such key. */
    uint64_t mod_revision;    /**< When it was last put, or, in an event, deleted. */
    uint64_t version;         /**< Puts since it came to be: 1 for the first; 0 when deleted. */
    uint64_t lease;           /**< It goes when this lease goes; 0 = none. */
} weir_kv_pair;

/**
 * Which keys: one, if `end` is empty; else those from `key` (inclusive) to `end` (exclusive).
 * An `end` of a single 0 byte is beyond every key; a `key` of a single 0 byte is before every key.
 */
typedef struct weir_kv_keys {
    weir_bytes key;
    weir_bytes end;
} weir_kv_keys;

/** What to read. Zero-initialize, then set the keys. */
typedef struct weir_kv_range {
    weir_kv_keys keys;
    uint64_t revision; /**< As of then; 0 = now. */
    uint64_t limit;    /**< Pairs at most; 0 = all. */
    bool keys_only;    /**< Values come empty. */
    bool uncounted;    /**< The total need not be known: of use with a limit, in a large space. */
} weir_kv_range;

/** What a comparison looks at. Of a key that is not there, all numbers are 0. */
typedef enum weir_kv_target {
    WEIR_KV_CREATE_REVISION,
    WEIR_KV_MOD_REVISION,
    WEIR_KV_VERSION,
    WEIR_KV_LEASE,
    WEIR_KV_VALUE, /**< Byte by byte; false for a key that is not there, as in etcd. */
} weir_kv_target;

typedef enum weir_kv_relation {
    WEIR_KV_EQUAL,
    WEIR_KV_NOT_EQUAL,
    WEIR_KV_GREATER,
    WEIR_KV_LESS,
} weir_kv_relation;

/** The key's target stands in this relation to `number`, or `value`. */
typedef struct weir_kv_compare {
    weir_bytes key;
    weir_kv_target target;
    weir_kv_relation relation;
    uint64_t number;
    weir_bytes value;
} weir_kv_compare;

typedef enum weir_kv_op_kind {
    WEIR_KV_PUT,
    WEIR_KV_DELETE, /**< Of one key or of a range. */
    WEIR_KV_RANGE,  /**< Sees what the operations before it did. */
} weir_kv_op_kind;

/** One operation of a transaction. Zero-initialize, then set what its kind needs. */
typedef struct weir_kv_op {
    weir_kv_op_kind kind;
    weir_kv_range range; /**< PUT: its keys.key; DELETE: its keys; RANGE: all of it. */
    weir_bytes value;    /**< PUT. */
    uint64_t lease;      /**< PUT: must be alive; 0 = none. */
} weir_kv_op;

/** If all comparisons hold, `then`, or else `otherwise`: all at once, or nothing. */
typedef struct weir_kv_txn {
    const weir_kv_compare *compares;
    size_t compare_count;
    const weir_kv_op *then_ops;
    size_t then_count;
    const weir_kv_op *else_ops;
    size_t else_count;
} weir_kv_txn;

/** What one operation gave. */
typedef struct weir_kv_op_result {
    const weir_kv_pair *pairs; /**< RANGE: what was found. PUT, DELETE: what was there before. */
    size_t count;              /**< Of pairs. */
    uint64_t total; /**< RANGE: how many keys there are, whatever the limit; if it is uncounted,
                         more than `count` just if there are more, and maybe not how many. */
} weir_kv_op_result;

/** What a transaction, or a range, gave. Valid within the callback. */
typedef struct weir_kv_result {
    int code;          /**< WEIR_OK, or why it failed; then the rest but `revision` is not set. */
    uint64_t revision; /**< Of the key space after it; with WEIR_ECOMPACTED, where to read again. */
    bool succeeded;    /**< All comparisons held. A range: true. */
    const weir_kv_op_result *results; /**< One for each operation done. A range: one. */
    size_t count;
} weir_kv_result;

/** Told once. It may be told before the function that was given it returns. May call the kv. */
typedef void (*weir_kv_result_fn)(const weir_kv_result *result, void *user);

typedef struct weir_kv_event {
    weir_kv_op_kind kind;  /**< WEIR_KV_PUT or WEIR_KV_DELETE. */
    weir_kv_pair pair;     /**< Of a deletion: the key and mod_revision alone. */
    weir_kv_pair previous; /**< What it replaces; create_revision 0 = nothing, or not known. */
} weir_kv_event;

/** What a watch tells. Valid within the callback. */
typedef struct weir_kv_watch_event {
    /** WEIR_OK; or the watch is over: WEIR_ECOMPACTED, it lags behind the history that is kept:
     * read all keys again, then watch from that result's revision + 1; or WEIR_ECLOSED. */
    int code;
    uint64_t revision; /**< Of the last event; with WEIR_ECOMPACTED, the oldest that can be read. */
    const weir_kv_event *events; /**< In order of revision; a revision is never split. */
    size_t count;
} weir_kv_watch_event;

/** Returns false: leave me alone from now on, until weir_kv.resume. These events were taken. */
typedef bool (*weir_kv_watch_fn)(const weir_kv_watch_event *event, void *user);

/** What to watch. Zero-initialize, then set keys and fn. */
typedef struct weir_kv_watch {
    weir_kv_keys keys; /**< Copied. */
    uint64_t revision; /**< From this one on, inclusive; 0 = from the next. */
    weir_kv_watch_fn fn;
    void *user; /**< Passed to fn; borrowed. */
} weir_kv_watch;

/** What became of a lease request. Valid within the callback. */
typedef struct weir_kv_lease_result {
    int code; /**< WEIR_OK; WEIR_ENOTFOUND: no such lease, or it is over. */
    uint64_t id;
    uint64_t ttl_ms; /**< What was granted, or is now left. */
} weir_kv_lease_result;

typedef void (*weir_kv_lease_fn)(const weir_kv_lease_result *result, void *user);

/**
 * The interface; a value. Each function returns WEIR_OK: it was taken, and `done` (which may be
 * NULL) is told; or why it was not, and `done` is never told: WEIR_EINVAL (an empty key; a key put
 * twice; a range whose end is not beyond its key), WEIR_ENOMEM, WEIR_ETOOLARGE, WEIR_EREADONLY.
 * Arguments are copied where they are needed longer.
 */
typedef struct weir_kv {
    void *self; /**< Passed to all; borrowed: outlives whoever uses it. */
    /** Codes told: WEIR_OK, WEIR_ENOTFOUND (a lease), WEIR_ECOMPACTED, WEIR_EINVAL (a revision yet
     * to come), WEIR_ENOMEM, WEIR_ESYSTEM, WEIR_EREADONLY. */
    int (*txn)(void *self, const weir_kv_txn *txn, weir_kv_result_fn done, void *user);
    /** Codes told: WEIR_OK, WEIR_ECOMPACTED, WEIR_EINVAL (a revision yet to come), WEIR_ENOMEM. */
    int (*range)(void *self, const weir_kv_range *range, weir_kv_result_fn done, void *user);
    /** id: of the watch, not 0; until it is over, or stopped. Nothing is told within this call. */
    int (*watch)(void *self, const weir_kv_watch *watch, uint64_t *id);
    void (*resume)(void *self, uint64_t id);  /**< After fn returned false. */
    void (*unwatch)(void *self, uint64_t id); /**< Also within its own fn; unknown ids: nothing. */
    /** id 0 = any. WEIR_EBUSY is told if the id is taken. ttl_ms: 1 to 9,000,000,000,000. */
    int (*grant)(void *self, uint64_t id, uint64_t ttl_ms, weir_kv_lease_fn done, void *user);
    int (*keep_alive)(void *self, uint64_t id, weir_kv_lease_fn done, void *user);
    /** Its keys go with it, in one revision. */
    int (*revoke)(void *self, uint64_t id, weir_kv_lease_fn done, void *user);
} weir_kv;

/** Bytes of a C string, without its NUL. */
static inline weir_bytes weir_bytes_of(const char *str)
{
    weir_bytes bytes;
    bytes.data = str;
    bytes.size = 0;
    while (str[bytes.size] != 0)
        bytes.size++;
    return bytes;
}

/**
 * All keys that begin with `prefix`, which is borrowed; empty = every key.
 *
 * @param end  room for as many bytes as the prefix has, and one at least: filled, and borrowed.
 */
WEIR_API weir_kv_keys weir_kv_prefix(weir_bytes prefix, void *end);

WEIR_END_DECLS

#endif

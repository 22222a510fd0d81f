/*
 * The ordered index of a store: a B+tree of keys. One writer; readers take no lock. A leaf is
 * replaced as a whole by storing one pointer, an inner node only when a child is split or empty.
 * Nodes keep, beside each key, the 8 bytes after what all keys of the node begin with, so that
 * a search follows about two pointers a node. Emptied nodes go; half-empty ones are not merged.
 */
#ifndef WEIR_SRC_STORE_INDEX_H
#define WEIR_SRC_STORE_INDEX_H

#include "base/env.h"

#include <weir/kv.h>

#include <stdatomic.h>

#define WEIR__INDEX_FANOUT 64
#define WEIR__INDEX_HEIGHT 16 /* Of 2 children at least: more than memory has. */

/* One put, or one deletion, of a key. What it says never changes. */
typedef struct weir__kv_version {
    struct weir__kv_version *older; /* What it replaces; set before it can be found. */
    union {
        struct weir__kv_key *key;      /* The writer's. */
        struct weir__kv_version *next; /* Once retired. */
    } link;
    uint64_t create_revision, mod_revision;
    uint64_t version; /* 0: a deletion. */
    uint64_t lease;
    size_t size;
    unsigned char value[];
} weir__kv_version;

/* In a circular list. */
typedef struct weir__kv_link {
    struct weir__kv_link *next, *prev;
} weir__kv_link;

/* A key that has, had or may get versions. */
typedef struct weir__kv_key {
    weir__kv_link of_lease;             /* Among the keys of its lease. Writer. First. */
    _Atomic(weir__kv_version *) newest; /* NULL: none yet. May be yet to be committed. */
    struct weir__kv_key *next_dead;     /* In line to leave the index, or retired. Writer. */
    uint32_t size;
    uint32_t separates;  /* How many inner nodes find their way by it. Writer. */
    bool indexed, dying; /* In a leaf; in line. Writer. */
    unsigned char bytes[];
} weir__kv_key;

typedef struct weir__index_node {
    struct weir__index_node *next; /* Once retired. */
    uint32_t count, level;         /* Level 0: a leaf. */
    size_t prefix;                 /* How many bytes all keys begin with alike. */
    uint64_t heads[WEIR__INDEX_FANOUT];
    weir__kv_key *keys[WEIR__INDEX_FANOUT]; /* Of an inner node: not above any key of the child; of
                                               the first child, not looked at. */
    _Atomic(struct weir__index_node *) children[]; /* Of an inner node. */
} weir__index_node;

typedef struct weir__index {
    const weir_env *env;              /* Borrowed. */
    _Atomic(weir__index_node *) root; /* NULL: empty. */
    _Atomic size_t bytes;             /* Of nodes, retired ones too. */
    weir__index_node *retired;        /* No longer to be found; the owner frees them in time. */
    weir__kv_key *retired_keys;       /* The same, by next_dead. */
    size_t retirements;               /* Of both; the owner's to reset. */
} weir__index;

/* Where a reader is. */
typedef struct weir__index_cursor {
    const weir__index *index;
    const weir__index_node *leaf;
    uint32_t at;
} weir__index_cursor;

void weir__index_init(weir__index *index, const weir_env *env); /* Allocates nothing. */
/* All nodes at once. The keys are retired, and the owner's to free. */
void weir__index_free(weir__index *index);
void weir__index_free_node(weir__index *index, weir__index_node *node);
weir__kv_key *weir__index_find(const weir__index *index, weir_bytes key); /* Or NULL. */
/* Enters a key that is not in. WEIR_OK or WEIR_ENOMEM. */
int weir__index_insert(weir__index *index, weir__kv_key *key);
/* Takes a key out and retires it, once no node needs it. WEIR_OK or WEIR_ENOMEM. */
int weir__index_remove(weir__index *index, weir__kv_key *key);
/* The first key that is not below `from`; NULL: none. Then the next, and so on. */
weir__kv_key *weir__index_seek(const weir__index *index, weir_bytes from,
                               weir__index_cursor *cursor);
weir__kv_key *weir__index_next(weir__index_cursor *cursor);

/* As memcmp, a shorter key before the longer ones that it begins. */
int weir__bytes_compare(weir_bytes a, weir_bytes b);

static inline weir_bytes weir__kv_key_bytes(const weir__kv_key *key)
{
    return (weir_bytes){key->bytes, key->size};
}

#endif

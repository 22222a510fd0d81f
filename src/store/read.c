#include "base/snapshot.h"
#include "store/store.h"

const weir__kv_version *weir__kv_version_at(const weir__kv_key *key, uint64_t revision)
{
    const weir__kv_version *version = atomic_load_explicit(&key->newest, memory_order_acquire);
    while (version != NULL && version->mod_revision > revision)
        version = version->older;
    return version != NULL && version->version > 0 ? version : NULL;
}

int weir__read_pairs(weir_store *store, const weir_kv_range *range, uint64_t newest,
                     uint64_t *total)
{
    weir__index_cursor cursor;
    uint64_t const revision = range->revision != 0 ? range->revision : newest;
    if (range->revision > store->pending)
        return WEIR_EINVAL;
    if (revision < atomic_load_explicit(&store->compacted, memory_order_relaxed))
        return WEIR_ECOMPACTED;
    weir__kv_key *key = weir__index_seek(&store->index, range->keys.key, &cursor);
    for (*total = 0; key != NULL && weir__kv_keys_hold(&range->keys, weir__kv_key_bytes(key));
         key = weir__index_next(&cursor)) {
        const weir__kv_version *const version = weir__kv_version_at(key, revision);
        if (version == NULL)
            continue;
        if ((range->limit == 0 || *total < range->limit) &&
            weir__pairs_add(store, key, version, range->keys_only) != WEIR_OK)
            return WEIR_ENOMEM;
        ++*total;
    }
    return WEIR_OK;
}

/* Which revision is read. Within a read section: what is retired later than `compacted` was looked
 * at is not freed meanwhile. */
static int read_revision(weir_store *store, uint64_t wanted, uint64_t *revision)
{
    uint64_t const committed = atomic_load(&store->committed);
    uint64_t const compacted = atomic_load(&store->compacted);
    *revision = wanted != 0 ? wanted : committed;
    if (*revision > committed)
        return WEIR_EINVAL;
    if (*revision >= compacted)
        return WEIR_OK;
    *revision = compacted;
    return WEIR_ECOMPACTED;
}

/* A key that leaves the index while a section lasts was deleted before any revision that may be
 * read in it, or leaves only after it: see weir__store_sweep(). */
static void read_keys(const weir_store *store, const weir_kv_range *range, uint64_t revision,
                      weir_store_visit_fn visit, void *user, uint64_t *total)
{
    weir__index_cursor cursor;
    uint64_t found = 0;
    bool more = visit != NULL;
    weir__kv_key *key = weir__index_seek(&store->index, range->keys.key, &cursor);
    for (; key != NULL && weir__kv_keys_hold(&range->keys, weir__kv_key_bytes(key));
         key = weir__index_next(&cursor)) {
        const weir__kv_version *const version = weir__kv_version_at(key, revision);
        if (version == NULL)
            continue;
        found++;
        if (more) {
            weir_kv_pair pair = weir__kv_pair_of(key, version);
            if (range->keys_only)
                pair.value = (weir_bytes){NULL, 0};
            more = visit(&pair, user) && found != range->limit;
        }
        if (!more && total == NULL)
            break;
    }
    if (total != NULL)
        *total = found;
}

int weir_store_read(weir_store *store, const weir_kv_range *range, weir_store_visit_fn visit,
                    void *user, uint64_t *total, uint64_t *revision)
{
    uint64_t at;
    if (weir__kv_keys_check(&range->keys) != WEIR_OK)
        return WEIR_EINVAL;
    weir__reader *const reader = weir__read_begin();
    int const result = read_revision(store, range->revision, &at);
    if (revision != NULL)
        *revision = at;
    if (result == WEIR_OK)
        read_keys(store, range, at, visit, user, total);
    weir__read_end(reader);
    return result;
}

uint64_t weir_store_revision(const weir_store *store)
{
    return atomic_load(&store->committed);
}

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
        bool const wanted = range->limit == 0 || *total < range->limit;
        if (wanted && weir__pairs_add(store, key, version, range->keys_only) != WEIR_OK)
            return WEIR_ENOMEM;
        ++*total;
        if (!wanted && range->uncounted)
            return WEIR_OK;
    }
    return WEIR_OK;
}

/* Which revision is read. Within a read section: what is retired after `compacted` was looked at is
 * not freed meanwhile, and what is committed then is not older. */
static int read_revision(weir_store *store, uint64_t wanted, uint64_t *revision)
{
    uint64_t const compacted = atomic_load(&store->compacted);
    uint64_t const committed = atomic_load(&store->committed);
    *revision = wanted != 0 ? wanted : committed;
    if (*revision > committed)
        return WEIR_EINVAL;
    if (*revision >= compacted)
        return WEIR_OK;
    *revision = compacted;
    return WEIR_ECOMPACTED;
}

/* What a read looks for, and what it has found. */
typedef struct read_state {
    const weir_kv_range *range;
    uint64_t revision;
    weir_store_visit_fn visit;
    void *user;
    uint64_t found;
    bool enough;
} read_state;

static void read_key(read_state *state, const weir__kv_key *key)
{
    const weir__kv_version *const version = weir__kv_version_at(key, state->revision);
    if (version == NULL)
        return;
    state->found++;
    if (state->enough)
        return;
    weir_kv_pair pair = weir__kv_pair_of(key, version);
    if (state->range->keys_only)
        pair.value = (weir_bytes){NULL, 0};
    state->enough = !state->visit(&pair, state->user) || state->found == state->range->limit;
}

/* A key that leaves the index while a section lasts was deleted before any revision that may be
 * read in it, or leaves only after it: see weir__store_sweep(). */
static void read_keys(const weir_store *store, read_state *state, bool count)
{
    const weir_kv_keys *const keys = &state->range->keys;
    weir__index_cursor cursor;
    if (keys->end.size == 0) {
        const weir__kv_key *const key = weir__index_find(&store->index, keys->key);
        if (key != NULL)
            read_key(state, key);
        return;
    }
    weir__kv_key *key = weir__index_seek(&store->index, keys->key, &cursor);
    for (; key != NULL && weir__kv_keys_hold(keys, weir__kv_key_bytes(key)) &&
           (count || !state->enough);
         key = weir__index_next(&cursor))
        read_key(state, key);
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
    read_state state = {range, at, visit, user, 0, visit == NULL};
    if (result == WEIR_OK)
        read_keys(store, &state, total != NULL);
    weir__read_end(reader);
    if (total != NULL)
        *total = state.found;
    return result;
}

uint64_t weir_store_revision(const weir_store *store)
{
    return atomic_load(&store->committed);
}

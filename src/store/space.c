#include "store/store.h"

#include <string.h>

size_t weir__kv_version_size(const weir__kv_version *version)
{
    return sizeof *version + version->size;
}

size_t weir__kv_key_size(const weir__kv_key *key)
{
    return sizeof *key + key->size;
}

weir_kv_pair weir__kv_pair_of(const weir__kv_key *key, const weir__kv_version *version)
{
    return (weir_kv_pair){.key = weir__kv_key_bytes(key),
                          .value = {version->value, version->size},
                          .create_revision = version->create_revision,
                          .mod_revision = version->mod_revision,
                          .version = version->version,
                          .lease = version->lease};
}

/* ---- Ranges ---- */

static bool space_is_zero(weir_bytes bytes)
{
    return bytes.size == 1 && *(const unsigned char *)bytes.data == 0;
}

int weir__kv_keys_check(const weir_kv_keys *keys)
{
    if (keys->key.size == 0 || keys->key.data == NULL || keys->key.size > UINT32_MAX ||
        (keys->end.size > 0 && keys->end.data == NULL))
        return WEIR_EINVAL;
    if (keys->end.size > 0 && !space_is_zero(keys->end) &&
        weir__bytes_compare(keys->key, keys->end) >= 0)
        return WEIR_EINVAL;
    return WEIR_OK;
}

static bool space_before_end(const weir_kv_keys *keys, weir_bytes key)
{
    if (keys->end.size == 0)
        return weir__bytes_compare(key, keys->key) == 0;
    return space_is_zero(keys->end) || weir__bytes_compare(key, keys->end) < 0;
}

bool weir__kv_keys_hold(const weir_kv_keys *keys, weir_bytes key)
{
    return weir__bytes_compare(key, keys->key) >= 0 && space_before_end(keys, key);
}

/* ---- What is there ---- */

static const weir__kv_version *space_newest(const weir__kv_key *key)
{
    const weir__kv_version *const newest = atomic_load_explicit(&key->newest, memory_order_relaxed);
    return newest != NULL && newest->version > 0 ? newest : NULL;
}

const weir__kv_version *weir__space_find(const weir_store *store, weir_bytes key)
{
    const weir__kv_key *const found = weir__index_find(&store->index, key);
    return found == NULL ? NULL : space_newest(found);
}

static weir__kv_key *space_living(const weir_kv_keys *keys, weir__index_cursor *cursor,
                                  weir__kv_key *key)
{
    while (key != NULL && space_before_end(keys, weir__kv_key_bytes(key))) {
        if (space_newest(key) != NULL)
            return key;
        key = weir__index_next(cursor);
    }
    return NULL;
}

weir__kv_key *weir__space_first(const weir_store *store, const weir_kv_keys *keys,
                                weir__index_cursor *cursor)
{
    return space_living(keys, cursor, weir__index_seek(&store->index, keys->key, cursor));
}

weir__kv_key *weir__space_next(const weir_kv_keys *keys, weir__index_cursor *cursor)
{
    return space_living(keys, cursor, weir__index_next(cursor));
}

/* ---- Changing it ---- */

static weir__kv_key *space_new_key(weir_store *store, weir_bytes bytes)
{
    size_t const size = sizeof(weir__kv_key) + bytes.size;
    weir__kv_key *const key = weir__alloc(&store->env, size);
    if (key == NULL)
        return NULL;
    key->of_lease.next = key->of_lease.prev = &key->of_lease;
    key->size = (uint32_t)bytes.size;
    memcpy(key->bytes, bytes.data, bytes.size);
    if (weir__index_insert(&store->index, key) != WEIR_OK) {
        weir__free(&store->env, key, size);
        return NULL;
    }
    weir__store_count(&store->bytes, size, 0);
    return key;
}

static weir__kv_version *space_new_version(weir_store *store, weir__kv_key *key, weir_bytes value)
{
    weir__kv_version *const version = weir__alloc(&store->env, sizeof *version + value.size);
    if (version == NULL)
        return NULL;
    version->older = atomic_load_explicit(&key->newest, memory_order_relaxed);
    version->link.key = key;
    version->mod_revision = store->pending;
    version->size = value.size;
    if (value.size > 0)
        memcpy(version->value, value.data, value.size);
    weir__store_count(&store->bytes, weir__kv_version_size(version), 0);
    weir__store_count(&store->version_count, 1, 0);
    return version;
}

static void space_hang(weir_store *store, weir__kv_key *key, weir__kv_version *version)
{
    weir__lease_attach(store, key, version->lease);
    atomic_store_explicit(&key->newest, version, memory_order_release);
}

int weir__space_put(weir_store *store, weir_bytes bytes, weir_bytes value, uint64_t lease)
{
    weir__kv_key *key = weir__index_find(&store->index, bytes);
    const weir__kv_version *const before =
        key == NULL ? NULL : atomic_load_explicit(&key->newest, memory_order_relaxed);
    if (before != NULL && before->mod_revision == store->pending)
        return WEIR_EINVAL;
    if (weir__history_reserve(store) != WEIR_OK)
        return WEIR_ENOMEM;
    if (key == NULL)
        key = space_new_key(store, bytes);
    weir__kv_version *const version = key == NULL ? NULL : space_new_version(store, key, value);
    if (version == NULL) {
        if (key != NULL && before == NULL)
            weir__store_bury(store, key);
        return WEIR_ENOMEM;
    }
    bool const living = before != NULL && before->version > 0;
    version->create_revision = living ? before->create_revision : store->pending;
    version->version = living ? before->version + 1 : 1;
    version->lease = lease;
    space_hang(store, key, version);
    weir__history_add(store, version);
    weir__store_count(&store->key_count, !living, 0);
    return WEIR_OK;
}

int weir__space_delete(weir_store *store, weir__kv_key *key)
{
    const weir__kv_version *const before = atomic_load_explicit(&key->newest, memory_order_relaxed);
    if (before != NULL && before->mod_revision == store->pending)
        return WEIR_EINVAL;
    if (weir__history_reserve(store) != WEIR_OK)
        return WEIR_ENOMEM;
    weir__kv_version *const version = space_new_version(store, key, (weir_bytes){NULL, 0});
    if (version == NULL)
        return WEIR_ENOMEM;
    space_hang(store, key, version);
    weir__history_add(store, version);
    weir__store_count(&store->key_count, 0, 1);
    return WEIR_OK;
}

int weir__space_restore(weir_store *store, const weir_kv_pair *pair)
{
    if (weir__index_find(&store->index, pair->key) != NULL)
        return WEIR_ECORRUPT;
    weir__kv_key *const key = space_new_key(store, pair->key);
    weir__kv_version *const version =
        key == NULL ? NULL : space_new_version(store, key, pair->value);
    if (version == NULL)
        return WEIR_ENOMEM; /* The store is not opened. */
    version->create_revision = pair->create_revision;
    version->mod_revision = pair->mod_revision;
    version->version = pair->version;
    version->lease = pair->lease;
    space_hang(store, key, version);
    weir__store_count(&store->key_count, 1, 0);
    return WEIR_OK;
}

void weir__space_undo(weir_store *store, uint64_t place)
{
    while (weir__history_end(store) > place) {
        weir__kv_version *const version = weir__history_take_last(store);
        weir__kv_key *const key = version->link.key;
        weir__kv_version *const older = version->older;
        bool const living = older != NULL && older->version > 0;
        weir__lease_attach(store, key, living ? older->lease : 0);
        atomic_store_explicit(&key->newest, older, memory_order_release);
        weir__store_count(&store->key_count, living, version->version > 0);
        weir__store_retire(store, version);
        if (older == NULL)
            weir__store_bury(store, key);
    }
}

#include "store/store.h"

#define SNAPSHOT_SLICE 256 /* Leases and pairs written in one go. */

bool weir__snapshot_due(const weir_store *store)
{
    if (store->log == NULL || store->snapshot.revision != 0 || weir__store_failed(store))
        return false;
    uint64_t const bytes = weir__log_bytes(store->log);
    uint64_t const last = weir__log_snapshot_bytes(store->log);
    return bytes >= store->options.snapshot_bytes && bytes >= last &&
           bytes >= store->snapshot.not_before_bytes;
}

/* Of what is written is kept what the log holds anyway; it is tried again once that has grown. */
static int snapshot_give_up(weir_store *store, int result)
{
    weir__log_snapshot_abort(store->log);
    store->snapshot.revision = 0;
    store->snapshot.not_before_bytes = weir__log_bytes(store->log) + store->options.snapshot_bytes;
    weir__text_clear(&store->record);
    return result;
}

static int snapshot_flush_record(weir_store *store)
{
    int const result =
        !weir__text_ok(&store->record)
            ? WEIR_ENOMEM
            : weir__log_snapshot_add(store->log, store->record.data, store->record.size);
    weir__text_clear(&store->record);
    return result;
}

int weir__snapshot_begin(weir_store *store)
{
    int result = weir__commit(store);
    if (result != WEIR_OK)
        return result;
    result = weir__log_snapshot_begin(store->log, store->pending);
    if (result != WEIR_OK)
        return snapshot_give_up(store, result);
    store->snapshot.revision = store->pending;
    store->snapshot.lease = store->all_leases.next;
    weir__text_clear(&store->snapshot.from);
    weir__text_bytes(&store->snapshot.from, "", 1);
    weir__codec_begin(&store->record, store->next_lease_id);
    result = weir__text_ok(&store->snapshot.from) ? snapshot_flush_record(store) : WEIR_ENOMEM;
    return result != WEIR_OK ? snapshot_give_up(store, result) : WEIR_OK;
}

/* True: there are more. */
static bool snapshot_leases(weir_store *store)
{
    unsigned written = 0;
    while (store->snapshot.lease != &store->all_leases && written++ < SNAPSHOT_SLICE) {
        weir__codec_grant(&store->record, store->snapshot.lease->id, store->snapshot.lease->ttl_ms);
        store->snapshot.lease = store->snapshot.lease->next;
    }
    return written > 0;
}

/* The same; the next begins right behind the last key that was looked at. */
static bool snapshot_pairs(weir_store *store)
{
    weir__index_cursor cursor;
    weir__text *const from = &store->snapshot.from;
    unsigned looked = 0;
    weir__kv_key *key =
        weir__index_seek(&store->index, (weir_bytes){from->data, from->size}, &cursor);
    const weir__kv_key *last = NULL;
    for (; key != NULL && looked < SNAPSHOT_SLICE; key = weir__index_next(&cursor), looked++) {
        const weir__kv_version *const version = weir__kv_version_at(key, store->snapshot.revision);
        last = key;
        if (version == NULL)
            continue;
        weir_kv_pair const pair = weir__kv_pair_of(key, version);
        weir__codec_pair(&store->record, &pair);
    }
    if (key == NULL)
        return false;
    weir__text_clear(from);
    weir__text_bytes(from, last->bytes, last->size);
    weir__text_bytes(from, "", 1);
    return true;
}

int weir__snapshot_slice(weir_store *store)
{
    bool const more = snapshot_leases(store) || snapshot_pairs(store);
    int result = weir__text_ok(&store->snapshot.from) ? WEIR_OK : WEIR_ENOMEM;
    if (result == WEIR_OK && store->record.size > 0)
        result = snapshot_flush_record(store);
    if (result != WEIR_OK)
        return snapshot_give_up(store, result);
    if (more)
        return WEIR_OK;
    result = weir__log_snapshot_end(store->log);
    if (result != WEIR_OK)
        return snapshot_give_up(store, result);
    store->snapshot.revision = 0;
    store->snapshot.not_before_bytes = 0;
    weir__store_note_log(store);
    return WEIR_OK;
}

int weir_store_snapshot(weir_store *store)
{
    int result = WEIR_OK;
    if (store->log == NULL)
        return WEIR_OK;
    weir__store_enter(store);
    if (store->snapshot.revision == 0)
        result = weir__snapshot_begin(store);
    while (result == WEIR_OK && store->snapshot.revision != 0)
        result = weir__snapshot_slice(store);
    weir__store_leave(store);
    return result;
}

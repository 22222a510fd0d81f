#include "store/store.h"

#include <string.h>

#define COMMIT_ROUNDS 16 /* Of batches to watches, before the task has to go on. */

/* ---- Replies ---- */

weir__reply *weir__reply_new(weir_store *store, size_t results, size_t pairs)
{
    size_t const size =
        sizeof(weir__reply) + results * sizeof(weir_kv_op_result) + pairs * sizeof(weir_kv_pair);
    weir__reply *const reply = weir__alloc(&store->env, size);
    if (reply != NULL)
        reply->size = size;
    return reply;
}

void weir__reply_free(weir_store *store, weir__reply *reply)
{
    if (reply != NULL)
        weir__free(&store->env, reply, reply->size);
}

void weir__reply_add(weir_store *store, weir__reply *reply)
{
    reply->sequence = ++store->asked;
    *store->replies_end = reply;
    store->replies_end = &reply->next;
}

static void commit_tell(weir_store *store, weir__reply *reply)
{
    if (reply->done != NULL)
        reply->done(&reply->result, reply->user);
    if (reply->lease_done != NULL)
        reply->lease_done(&reply->lease, reply->user);
    weir__reply_free(store, reply);
}

static bool commit_tell_replies(weir_store *store)
{
    bool told = false;
    while (store->replies != NULL && store->replies->sequence <= store->safe) {
        weir__reply *const reply = store->replies;
        store->replies = reply->next;
        if (store->replies == NULL)
            store->replies_end = &store->replies;
        commit_tell(store, reply);
        told = true;
    }
    return told;
}

/* ---- Telling ---- */

void weir__store_enter(weir_store *store)
{
    store->depth++;
}

/* Watches first: whoever is told that his change is done finds it everywhere. */
void weir__store_leave(weir_store *store)
{
    bool more = true;
    for (unsigned round = 0; store->depth == 1 && more && round < COMMIT_ROUNDS; round++) {
        more = weir__watches_tell(store);
        if (!more)
            more = commit_tell_replies(store);
    }
    if (store->depth == 1) {
        (void)commit_tell_replies(store);
        weir__watches_sweep(store);
        weir__store_sweep(store);
        if (more)
            weir__store_wake(store);
    }
    store->depth--;
}

void weir__store_wake(const weir_store *store)
{
    if (store->options.on_wake != NULL)
        store->options.on_wake(store->options.user);
}

/* ---- Making safe ---- */

/* Nothing that was asked since the last commit is acknowledged, now or later. */
static void commit_fail(weir_store *store, int result)
{
    for (weir__reply *reply = store->replies; reply != NULL; reply = reply->next) {
        if (reply->sequence <= store->safe)
            continue;
        reply->result = (weir_kv_result){.code = result, .revision = store->committed};
        reply->lease = (weir_kv_lease_result){.code = result, .id = reply->lease.id};
    }
    store->safe = store->asked;
    if (weir__store_failed(store))
        return;
    store->error = *weir__log_error(store->log);
    atomic_store_explicit(&store->failed, true, memory_order_release);
}

void weir__store_note_log(weir_store *store)
{
    atomic_store_explicit(&store->log_bytes, weir__log_bytes(store->log), memory_order_relaxed);
    atomic_store_explicit(&store->syncs, weir__log_syncs(store->log), memory_order_relaxed);
    atomic_store_explicit(&store->snapshot_revision, weir__log_snapshot_revision(store->log),
                          memory_order_relaxed);
}

static int commit_flush(weir_store *store)
{
    bool const sync =
        store->options.sync == WEIR_SYNC_ALWAYS || store->options.sync == WEIR_SYNC_GROUP;
    if (store->log == NULL || store->safe == store->asked)
        return weir__store_failed(store) ? WEIR_EREADONLY : WEIR_OK;
    int const result = weir__log_flush(store->log, sync);
    store->dirty |= !sync;
    weir__store_note_log(store);
    return result;
}

int weir__commit(weir_store *store)
{
    int const result = commit_flush(store);
    if (result != WEIR_OK) {
        commit_fail(store, result);
        return result;
    }
    uint64_t const place = weir__history_end(store), changes = place - store->committed_place;
    store->safe = store->asked;
    store->committed_place = place;
    atomic_store(&store->committed, store->pending);
    weir__history_trim(store, changes);
    return WEIR_OK;
}

int weir_store_commit(weir_store *store)
{
    weir__store_enter(store);
    int const result = weir__commit(store);
    weir__store_leave(store);
    return result;
}

void weir__store_settle(weir_store *store)
{
    if (store->log == NULL || store->options.sync != WEIR_SYNC_GROUP)
        (void)weir__commit(store); /* Replies tell what came of it. */
    else
        weir__store_wake(store);
}

void weir__store_sync_if_due(weir_store *store, uint64_t now_ns)
{
    if (!store->dirty || store->options.sync != WEIR_SYNC_INTERVAL ||
        now_ns < weir__add_ns(store->synced_ns, store->options.sync_interval_ns))
        return;
    store->synced_ns = now_ns;
    store->dirty = false;
    int const result = weir__log_flush(store->log, true);
    weir__store_note_log(store);
    if (result != WEIR_OK)
        commit_fail(store, result);
}

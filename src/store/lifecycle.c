#include "store/store.h"

#include <stdio.h>

#define LIFECYCLE_WASTE_NS WEIR__NS_PER_S /* Until readers are looked at again. */

/* ---- Options ---- */

static int store_check(const weir_store_options *options)
{
    bool const good =
        (unsigned)options->sync <= WEIR_SYNC_NONE && options->sync_interval_ns >= WEIR__NS_PER_MS &&
        options->segment_bytes >= 4096 && options->segment_bytes <= UINT64_C(1) << 30 &&
        options->snapshot_bytes >= 4096 && options->history >= 1 && options->max_bytes >= 1 &&
        options->max_bytes <= 64 << 20 && options->max_ops >= 1 && options->max_ops <= 1000000 &&
        (options->folder == NULL || options->folder[0] != 0);
    return good ? WEIR_OK : WEIR_EINVAL;
}

static int store_load(weir_store_options *options, weir_env *env, const weir_store_options *from)
{
    *options = (weir_store_options)WEIR_STORE_OPTIONS_INIT;
    int result = WEIR_OK;
    if (from != NULL)
        result = weir__options_load(options, sizeof *options, from, from->struct_size);
    if (result == WEIR_OK)
        result = store_check(options);
    return result == WEIR_OK ? weir__env_load(env, options->env) : result;
}

/* ---- Opening ---- */

static weir_store *store_new(const weir_store_options *options, const weir_env *env)
{
    weir_store *const store = weir__alloc(env, sizeof *store);
    if (store == NULL)
        return NULL;
    store->env = *env;
    store->options = *options;
    store->options.folder = NULL;
    store->options.env = NULL;
    weir__index_init(&store->index, &store->env);
    weir__map_init(&store->leases, &store->env);
    weir__heap_init(&store->deadlines, &store->env);
    weir__text_init(&store->record, &store->env);
    weir__text_init(&store->snapshot.from, &store->env);
    store->all_leases.next = store->all_leases.prev = &store->all_leases;
    store->replies_end = &store->replies;
    store->pending = store->watchable = 1;
    store->next_lease_id = 1;
    atomic_store_explicit(&store->compacted, 1, memory_order_relaxed);
    atomic_store_explicit(&store->committed, 1, memory_order_relaxed);
    store->synced_ns = weir__now_ns(&store->env);
    return store;
}

static void store_free(weir_store *store)
{
    weir_env const env = store->env;
    while (store->replies != NULL) {
        weir__reply *const reply = store->replies;
        store->replies = reply->next;
        weir__reply_free(store, reply);
    }
    weir__leases_free(store);
    weir__store_free_all(store);
    weir__free(&env, store->pairs, store->pair_capacity * sizeof *store->pairs);
    weir__free(&env, store->events, store->event_capacity * sizeof *store->events);
    weir__text_free(&store->record);
    weir__text_free(&store->snapshot.from);
    weir__log_close(store->log);
    weir__free(&env, store, sizeof *store);
}

static int store_recover(weir_store *store, const char *folder, const weir__files *files,
                         weir_store_error *error)
{
    weir__log_options const options = {.env = &store->env,
                                       .files = files,
                                       .folder = folder,
                                       .segment_bytes = store->options.segment_bytes};
    int const result = weir__log_open(&store->log, &options, weir__codec_replay, store, error);
    if (result != WEIR_OK)
        return result;
    weir__leases_arm(store);
    weir__store_note_log(store);
    return weir_store_commit(store);
}

static void store_tell_error(weir_store_error *error, int code)
{
    static const char message[] = "an option is out of range";
    *error = (weir_store_error){.code = code};
    if (code == WEIR_EINVAL)
        (void)snprintf(error->message, sizeof error->message, "%s", message);
}

int weir__store_open(weir_store **out, const weir_store_options *from, const weir__files *files,
                     weir_store_error *error)
{
    weir_store_options options;
    weir_store_error ignored = {.code = WEIR_OK};
    weir_env env;
    *out = NULL;
    error = error != NULL ? error : &ignored;
    int result = store_load(&options, &env, from);
    store_tell_error(error, result);
    if (result != WEIR_OK)
        return result;
    weir_store *const store = store_new(&options, &env);
    result = store == NULL ? WEIR_ENOMEM : WEIR_OK;
    store_tell_error(error, result);
    if (result == WEIR_OK && options.folder != NULL)
        result = store_recover(store, options.folder, files, error);
    if (result == WEIR_OK)
        *out = store;
    else if (store != NULL)
        store_free(store);
    return result;
}

int weir_store_create(weir_store **out, const weir_store_options *options, weir_store_error *error)
{
    return weir__store_open(out, options, &weir__files_posix, error);
}

void weir_store_destroy(weir_store *store)
{
    if (store == NULL)
        return;
    weir__store_enter(store);
    (void)weir__commit(store); /* Replies tell what came of it. */
    if (store->dirty)
        (void)weir__log_flush(store->log, true);
    weir__watches_close(store);
    weir__store_leave(store);
    store_free(store);
}

/* ---- Handles ---- */

weir_kv weir_store_kv(weir_store *store)
{
    return (weir_kv){.self = store,
                     .txn = weir__txn_kv,
                     .range = weir__range_kv,
                     .watch = weir__watch_kv,
                     .resume = weir__resume_kv,
                     .unwatch = weir__unwatch_kv,
                     .grant = weir__grant_kv,
                     .keep_alive = weir__keep_alive_kv,
                     .revoke = weir__revoke_kv};
}

int weir_store_compact(weir_store *store, uint64_t revision)
{
    if (weir__store_failed(store))
        return WEIR_EREADONLY;
    if (revision > atomic_load(&store->committed))
        return WEIR_EINVAL;
    if (revision <= atomic_load(&store->compacted))
        return WEIR_ECOMPACTED;
    weir__store_enter(store);
    weir__history_forget(store, revision);
    weir__store_leave(store);
    return WEIR_OK;
}

/* ---- Task ---- */

static uint64_t store_earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

static uint64_t store_write_snapshot(weir_store *store, uint64_t now_ns)
{
    if (store->snapshot.revision != 0)
        (void)weir__snapshot_slice(store);
    else if (weir__snapshot_due(store))
        (void)weir__snapshot_begin(store);
    return store->snapshot.revision != 0 ? now_ns : WEIR_NEVER;
}

static uint64_t store_run(void *self, uint64_t now_ns)
{
    weir_store *const store = self;
    weir__store_enter(store);
    uint64_t next_ns = weir__leases_expire(store, now_ns);
    (void)weir__commit(store); /* Replies tell what came of it. */
    weir__store_sync_if_due(store, now_ns);
    next_ns = store_earlier(next_ns, store_write_snapshot(store, now_ns));
    if (store->dirty && store->options.sync == WEIR_SYNC_INTERVAL && !weir__store_failed(store))
        next_ns =
            store_earlier(next_ns, weir__add_ns(store->synced_ns, store->options.sync_interval_ns));
    if (weir__store_clean(store))
        next_ns = now_ns;
    else if (weir__store_has_waste(store))
        next_ns = store_earlier(next_ns, weir__add_ns(now_ns, LIFECYCLE_WASTE_NS));
    weir__store_leave(store);
    return next_ns;
}

weir_task weir_store_task(weir_store *store)
{
    return (weir_task){.run = store_run, .self = store};
}

void weir_store_get_stats(weir_store *store, weir_store_stats *stats)
{
    *stats = (weir_store_stats){
        .revision = atomic_load(&store->committed),
        .compacted = atomic_load(&store->compacted),
        .keys = atomic_load_explicit(&store->key_count, memory_order_relaxed),
        .versions = atomic_load_explicit(&store->version_count, memory_order_relaxed),
        .leases = atomic_load_explicit(&store->lease_count, memory_order_relaxed),
        .watches = atomic_load_explicit(&store->watch_count, memory_order_relaxed),
        .bytes = atomic_load_explicit(&store->bytes, memory_order_relaxed) +
                 atomic_load_explicit(&store->index.bytes, memory_order_relaxed),
        .log_bytes = atomic_load_explicit(&store->log_bytes, memory_order_relaxed),
        .snapshot_revision = atomic_load_explicit(&store->snapshot_revision, memory_order_relaxed),
        .syncs = atomic_load_explicit(&store->syncs, memory_order_relaxed)};
    if (weir__store_failed(store))
        stats->error = store->error;
}

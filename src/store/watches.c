#include "store/store.h"

#include <string.h>

#define WATCHES_BATCH 128  /* Events at a time, but for a revision that has more. */
#define WATCHES_SCAN  4096 /* Changes looked at for one batch, likewise. */

static weir_kv_keys watches_keys(const weir__watch *watch)
{
    return (weir_kv_keys){.key = {watch->bytes, watch->key_size},
                          .end = {watch->bytes + watch->key_size, watch->end_size}};
}

static size_t watches_size(const weir__watch *watch)
{
    return sizeof *watch + watch->key_size + watch->end_size;
}

static weir__watch *watches_find(weir_store *store, uint64_t id)
{
    weir__watch *watch = store->watches;
    while (watch != NULL && (watch->id != id || watch->over))
        watch = watch->next;
    return watch;
}

int weir__watch_kv(void *self, const weir_kv_watch *asked, uint64_t *id)
{
    weir_store *const store = self;
    weir__watch **link = &store->watches;
    if (asked->fn == NULL || weir__kv_keys_check(&asked->keys) != WEIR_OK)
        return WEIR_EINVAL;
    weir__watch *const watch =
        weir__alloc(&store->env, sizeof(weir__watch) + asked->keys.key.size + asked->keys.end.size);
    if (watch == NULL)
        return WEIR_ENOMEM;
    watch->id = *id = ++store->next_watch_id;
    watch->revision = asked->revision != 0 ? asked->revision : atomic_load(&store->committed) + 1;
    watch->lost = watch->revision < store->watchable;
    watch->place = weir__history_find(store, watch->revision);
    watch->fn = asked->fn;
    watch->user = asked->user;
    watch->key_size = asked->keys.key.size;
    watch->end_size = asked->keys.end.size;
    memcpy(watch->bytes, asked->keys.key.data, watch->key_size);
    if (watch->end_size > 0)
        memcpy(watch->bytes + watch->key_size, asked->keys.end.data, watch->end_size);
    while (*link != NULL)
        link = &(*link)->next;
    *link = watch;
    weir__store_count(&store->watch_count, 1, 0);
    weir__store_count(&store->bytes, watches_size(watch), 0);
    if (watch->lost || watch->place < store->committed_place)
        weir__store_wake(store);
    return WEIR_OK;
}

void weir__resume_kv(void *self, uint64_t id)
{
    weir_store *const store = self;
    weir__watch *const watch = watches_find(store, id);
    if (watch == NULL || !watch->paused)
        return;
    watch->paused = false;
    weir__store_wake(store);
}

static void watches_end(weir_store *store, weir__watch *watch)
{
    watch->over = true;
    weir__store_count(&store->watch_count, 0, 1);
}

void weir__unwatch_kv(void *self, uint64_t id)
{
    weir_store *const store = self;
    weir__watch *const watch = watches_find(store, id);
    if (watch == NULL)
        return;
    watches_end(store, watch);
    if (store->depth == 0)
        weir__watches_sweep(store);
}

void weir__watches_sweep(weir_store *store)
{
    weir__watch **link = &store->watches;
    while (*link != NULL) {
        weir__watch *const watch = *link;
        if (!watch->over) {
            link = &watch->next;
            continue;
        }
        *link = watch->next;
        weir__store_count(&store->bytes, 0, watches_size(watch));
        weir__free(&store->env, watch, watches_size(watch));
    }
}

/* ---- Telling ---- */

static int watches_reserve(weir_store *store, size_t count)
{
    if (count < store->event_capacity)
        return WEIR_OK;
    size_t const old_size = store->event_capacity * sizeof(weir_kv_event);
    size_t const capacity = store->event_capacity == 0 ? WATCHES_BATCH : 2 * store->event_capacity;
    weir_kv_event *const events =
        weir__resize(&store->env, store->events, old_size, capacity * sizeof(weir_kv_event));
    if (events == NULL)
        return WEIR_ENOMEM;
    weir__store_count(&store->bytes, capacity * sizeof(weir_kv_event), old_size);
    store->events = events;
    store->event_capacity = capacity;
    return WEIR_OK;
}

static weir_kv_event watches_event(const weir__kv_version *version)
{
    const weir__kv_key *const key = version->link.key;
    const weir__kv_version *const older = version->older;
    weir_kv_event event = {.kind = version->version > 0 ? WEIR_KV_PUT : WEIR_KV_DELETE,
                           .pair = weir__kv_pair_of(key, version)};
    if (older != NULL && older->version > 0)
        event.previous = weir__kv_pair_of(key, older);
    return event;
}

/* Whole revisions, as many as make a batch; *count of them match. */
static int watches_collect(weir_store *store, weir__watch *watch, size_t *count, uint64_t *place)
{
    weir_kv_keys const keys = watches_keys(watch);
    uint64_t const begin = watch->place;
    uint64_t revision = 0;
    *count = 0;
    for (*place = begin; *place != store->committed_place; ++*place) {
        const weir__kv_version *const version = weir__history_at(store, *place);
        bool const full = *count >= WATCHES_BATCH || *place - begin >= WATCHES_SCAN;
        if (full && version->mod_revision != revision)
            break;
        revision = version->mod_revision;
        if (revision < watch->revision ||
            !weir__kv_keys_hold(&keys, weir__kv_key_bytes(version->link.key)))
            continue;
        if (watches_reserve(store, *count) != WEIR_OK)
            return WEIR_ENOMEM;
        store->events[(*count)++] = watches_event(version);
    }
    return WEIR_OK;
}

static void watches_tell_end(weir_store *store, weir__watch *watch, int code)
{
    weir_kv_watch_event const event = {.code = code,
                                       .revision = code == WEIR_ECOMPACTED
                                                       ? atomic_load(&store->compacted)
                                                       : atomic_load(&store->committed)};
    watches_end(store, watch);
    (void)watch->fn(&event, watch->user);
}

static void watches_tell(weir_store *store, weir__watch *watch)
{
    size_t count;
    uint64_t place;
    if (watch->lost || watch->place < store->history.first) {
        watches_tell_end(store, watch, WEIR_ECOMPACTED);
        return;
    }
    if (watches_collect(store, watch, &count, &place) != WEIR_OK)
        return; /* Next time. */
    watch->place = place;
    if (count == 0)
        return;
    weir_kv_watch_event const event = {.revision = store->events[count - 1].pair.mod_revision,
                                       .events = store->events,
                                       .count = count};
    if (!watch->fn(&event, watch->user))
        watch->paused = true;
}

static bool watches_wait(const weir_store *store, const weir__watch *watch)
{
    return !watch->over && !watch->paused && (watch->lost || watch->place < store->committed_place);
}

/* What they do may give those before them more to be told. */
bool weir__watches_tell(weir_store *store)
{
    bool more = false;
    for (weir__watch *watch = store->watches; watch != NULL; watch = watch->next)
        if (watches_wait(store, watch))
            watches_tell(store, watch);
    for (weir__watch *watch = store->watches; watch != NULL; watch = watch->next)
        more |= watches_wait(store, watch);
    return more;
}

void weir__watches_close(weir_store *store)
{
    for (weir__watch *watch = store->watches; watch != NULL; watch = watch->next)
        if (!watch->over)
            watches_tell_end(store, watch, WEIR_ECLOSED);
}

#include "base/snapshot.h"
#include "store/store.h"

#include <string.h>

#define HISTORY_PAGE  512         /* Places; so that growing never takes long. */
#define HISTORY_PAGES 8           /* At first. */
#define HISTORY_AHEAD ((size_t)4) /* That far ahead is fetched what is dropped. */
#define HISTORY_WASTE 256         /* So many retirements pay for a look at the readers. */

/* What one call does at most, so that no call takes long: more than comes in meanwhile. */
#define HISTORY_DROPS    256 /* And for each change another two. */
#define HISTORY_FREES    512
#define HISTORY_REMOVALS 128 /* Each retires a node, a key and a version. */

/* ---- The ring ---- */

static weir__kv_version ***history_page(const weir_store *store, uint64_t place)
{
    return &store->history.pages[place / HISTORY_PAGE & (store->history.capacity - 1)];
}

static weir__kv_version **history_slot(const weir_store *store, uint64_t place)
{
    return &(*history_page(store, place))[place % HISTORY_PAGE];
}

uint64_t weir__history_end(const weir_store *store)
{
    return store->history.first + store->history.count;
}

weir__kv_version *weir__history_at(const weir_store *store, uint64_t place)
{
    return *history_slot(store, place);
}

/* Twice as many pages, each where its places look for it. */
static int history_grow(weir_store *store)
{
    weir__history *const history = &store->history;
    size_t const old = history->capacity, capacity = old == 0 ? HISTORY_PAGES : 2 * old;
    weir__kv_version ***const pages = weir__alloc(&store->env, capacity * sizeof *pages);
    if (pages == NULL)
        return WEIR_ENOMEM;
    uint64_t const first = history->first / HISTORY_PAGE;
    for (uint64_t page = first; page != first + old; page++)
        pages[page & (capacity - 1)] = history->pages[page & (old - 1)];
    weir__free(&store->env, history->pages, old * sizeof *pages);
    weir__store_count(&store->bytes, capacity * sizeof *pages, old * sizeof *pages);
    history->pages = pages;
    history->capacity = capacity;
    return WEIR_OK;
}

int weir__history_reserve(weir_store *store)
{
    weir__history *const history = &store->history;
    uint64_t const end = weir__history_end(store);
    size_t const size = HISTORY_PAGE * sizeof(weir__kv_version *);
    if (end / HISTORY_PAGE - history->first / HISTORY_PAGE >= history->capacity &&
        history_grow(store) != WEIR_OK)
        return WEIR_ENOMEM;
    weir__kv_version ***const page = history_page(store, end);
    if (*page != NULL)
        return WEIR_OK;
    *page = weir__alloc(&store->env, size);
    if (*page == NULL)
        return WEIR_ENOMEM;
    weir__store_count(&store->bytes, size, 0);
    return WEIR_OK;
}

static void history_free_page(weir_store *store, weir__kv_version ***page)
{
    size_t const size = *page != NULL ? HISTORY_PAGE * sizeof(weir__kv_version *) : 0;
    weir__free(&store->env, *page, size);
    weir__store_count(&store->bytes, 0, size);
    *page = NULL;
}

void weir__history_add(weir_store *store, weir__kv_version *version)
{
    *history_slot(store, weir__history_end(store)) = version;
    store->history.count++;
}

weir__kv_version *weir__history_take_last(weir_store *store)
{
    store->history.count--;
    return *history_slot(store, weir__history_end(store));
}

uint64_t weir__history_find(const weir_store *store, uint64_t revision)
{
    uint64_t low = store->history.first, high = weir__history_end(store);
    while (low < high) {
        uint64_t const middle = low + (high - low) / 2;
        if (weir__history_at(store, middle)->mod_revision < revision)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- Forgetting ---- */

/* Of those that are dropped next, and of what they replaced: they lie anywhere. */
static void history_fetch(const weir_store *store)
{
    const weir__history *const history = &store->history;
    if (history->count <= 2 * HISTORY_AHEAD)
        return;
    WEIR__PREFETCH_READ(weir__history_at(store, history->first + 2 * HISTORY_AHEAD));
    WEIR__PREFETCH(weir__history_at(store, history->first + HISTORY_AHEAD)->older);
}

/* What it replaced can be read no more; nor, if it is a deletion and the last word, the key. */
static void history_drop_first(weir_store *store)
{
    history_fetch(store);
    weir__kv_version *const version = weir__history_at(store, store->history.first);
    weir__kv_key *const key = version->link.key;
    if ((store->history.first + 1) % HISTORY_PAGE == 0)
        history_free_page(store, history_page(store, store->history.first));
    store->history.first++;
    store->history.count--;
    if (version->older != NULL)
        weir__store_retire(store, version->older);
    if (version->version == 0 &&
        atomic_load_explicit(&key->newest, memory_order_relaxed) == version)
        weir__store_bury(store, key);
}

/* There is something to drop: a snapshot is still being read, or what was before is forgotten. */
static bool history_is_due(const weir_store *store)
{
    uint64_t revision = atomic_load_explicit(&store->compacted, memory_order_relaxed);
    if (store->snapshot.revision != 0 && store->snapshot.revision < revision)
        revision = store->snapshot.revision;
    return store->history.count > 0 &&
           weir__history_at(store, store->history.first)->mod_revision < revision;
}

static void history_drop(weir_store *store, uint64_t most)
{
    for (uint64_t i = 0; i < most && history_is_due(store); i++)
        history_drop_first(store);
}

void weir__history_forget(weir_store *store, uint64_t revision)
{
    if (revision > atomic_load_explicit(&store->compacted, memory_order_relaxed))
        atomic_store(&store->compacted, revision); /* Before anything is retired: see read.c. */
    if (revision > store->watchable)
        store->watchable = revision;
}

/* The oldest change that may stay begins what is kept; its revision stays whole. */
void weir__history_trim(weir_store *store, uint64_t changes)
{
    uint64_t const committed = store->committed_place - store->history.first;
    if (committed > store->options.history)
        weir__history_forget(
            store,
            weir__history_at(store, store->committed_place - store->options.history)->mod_revision);
    history_drop(store, HISTORY_DROPS + 2 * changes);
}

/* ---- Freeing ---- */

void weir__store_bury(weir_store *store, weir__kv_key *key)
{
    if (key->dying)
        return;
    key->dying = true;
    key->next_dead = store->dead;
    store->dead = key;
    store->retirements++;
}

void weir__store_retire(weir_store *store, weir__kv_version *version)
{
    version->link.next = store->retired;
    store->retired = version;
    store->retirements++;
}

/* The next three: how many more may be freed. */
static size_t history_free_versions(weir_store *store, weir__kv_version **list, size_t most)
{
    for (weir__kv_version *version; most > 0 && (version = *list) != NULL; most--) {
        size_t const size = weir__kv_version_size(version);
        *list = version->link.next;
        weir__free(&store->env, version, size);
        weir__store_count(&store->bytes, 0, size);
        weir__store_count(&store->version_count, 0, 1);
    }
    return most;
}

static size_t history_free_keys(weir_store *store, weir__kv_key **list, size_t most)
{
    for (weir__kv_key *key; most > 0 && (key = *list) != NULL; most--) {
        size_t const size = weir__kv_key_size(key);
        *list = key->next_dead;
        weir__free(&store->env, key, size);
        weir__store_count(&store->bytes, 0, size);
    }
    return most;
}

static size_t history_empty_limbo(weir_store *store, size_t most)
{
    weir__limbo *const limbo = &store->limbo;
    most = history_free_versions(store, &limbo->versions, most);
    most = history_free_keys(store, &limbo->keys, most);
    for (weir__index_node *node; most > 0 && (node = limbo->nodes) != NULL; most--) {
        limbo->nodes = node->next;
        weir__index_free_node(&store->index, node);
    }
    if (most > 0)
        limbo->mark = 0;
    return most;
}

static void history_fill_limbo(weir_store *store)
{
    if (store->retired == NULL && store->index.retired == NULL && store->index.retired_keys == NULL)
        return;
    store->limbo = (weir__limbo){.versions = store->retired,
                                 .keys = store->index.retired_keys,
                                 .nodes = store->index.retired,
                                 .mark = weir__grace_mark()};
    store->retired = NULL;
    store->index.retired = NULL;
    store->index.retired_keys = NULL;
}

/* What is forgotten is older than this. */
static uint64_t history_begin(const weir_store *store)
{
    return store->history.count == 0 ? store->pending + 1
                                     : weir__history_at(store, store->history.first)->mod_revision;
}

/* Whether it was deleted, and that forgotten, before `revision`. */
static bool history_is_over(const weir__kv_key *key, uint64_t revision)
{
    const weir__kv_version *const newest = atomic_load_explicit(&key->newest, memory_order_relaxed);
    return newest == NULL || (newest->version == 0 && newest->mod_revision < revision);
}

static void history_remove(weir_store *store, weir__kv_key *key)
{
    weir__kv_version *const newest = atomic_load_explicit(&key->newest, memory_order_relaxed);
    if (weir__index_remove(&store->index, key) != WEIR_OK)
        weir__store_bury(store, key); /* Another time. */
    else if (newest != NULL)
        weir__store_retire(store, newest);
}

/* Readers that could still want them, for an old revision, are gone; but if a key came back to life
 * and was deleted again, not those that could want it from then. A revision may have been dropped
 * in part; only what is older is surely in the history no more. */
static void history_remove_dying(weir_store *store)
{
    for (unsigned i = 0; i < HISTORY_REMOVALS && store->dying != NULL; i++) {
        weir__kv_key *const key = store->dying;
        store->dying = key->next_dead;
        key->dying = false;
        if (history_is_over(key, store->dying_before))
            history_remove(store, key);
        else if (history_is_over(key, history_begin(store) + 1))
            weir__store_bury(store, key); /* The rest of its revision is yet to be forgotten. */
    }
}

bool weir__store_has_waste(const weir_store *store)
{
    return store->dead != NULL || store->dying != NULL || store->limbo.mark != 0 ||
           store->retired != NULL || store->index.retired != NULL;
}

/* As much as one call may; true: there is more. */
static bool history_sweep(weir_store *store)
{
    uint64_t const horizon = weir__grace_horizon();
    if (store->dying != NULL && store->dying_mark <= horizon)
        history_remove_dying(store);
    bool const more = store->dying != NULL && store->dying_mark <= horizon;
    bool const full = store->limbo.mark != 0 && store->limbo.mark <= horizon &&
                      history_empty_limbo(store, HISTORY_FREES) == 0;
    if (store->limbo.mark == 0)
        history_fill_limbo(store);
    if (store->dying == NULL && store->dead != NULL) {
        store->dying = store->dead;
        store->dead = NULL;
        store->dying_before = history_begin(store);
        store->dying_mark = weir__grace_mark();
    }
    return more || full;
}

void weir__store_sweep(weir_store *store)
{
    store->retirements += store->index.retirements;
    store->index.retirements = 0;
    if (store->retirements < HISTORY_WASTE)
        return;
    store->retirements -= HISTORY_WASTE; /* Who retires much pays at every call for a while. */
    (void)history_sweep(store);
}

bool weir__store_clean(weir_store *store)
{
    history_drop(store, HISTORY_DROPS);
    bool const more = history_sweep(store);
    return history_is_due(store) || more;
}

static void history_free_version(weir_store *store, weir__kv_version *version)
{
    if (version == NULL)
        return;
    version->link.next = NULL;
    (void)history_free_versions(store, &version, 1);
}

/* What a version replaced is gone already, unless the version is in the history. */
static void history_free_living(weir_store *store)
{
    uint64_t const kept = store->history.count == 0
                              ? UINT64_MAX
                              : weir__history_at(store, store->history.first)->mod_revision;
    weir__index_cursor cursor;
    weir__kv_key *key = weir__index_seek(&store->index, (weir_bytes){"", 1}, &cursor);
    for (; key != NULL; key = weir__index_next(&cursor)) {
        weir__kv_version *const newest = atomic_load_explicit(&key->newest, memory_order_relaxed);
        if (newest != NULL && newest->mod_revision < kept)
            history_free_version(store, newest);
    }
    for (uint64_t place = store->history.first; place != weir__history_end(store); place++) {
        weir__kv_version *const older = weir__history_at(store, place)->older;
        if (older != NULL && older->mod_revision < kept)
            history_free_version(store, older);
    }
    while (store->history.count > 0)
        history_free_version(store, weir__history_take_last(store));
}

void weir__store_free_all(weir_store *store)
{
    history_free_living(store);
    for (size_t page = 0; page < store->history.capacity; page++)
        history_free_page(store, &store->history.pages[page]);
    weir__free(&store->env, store->history.pages,
               store->history.capacity * sizeof(weir__kv_version **));
    (void)history_free_versions(store, &store->retired, SIZE_MAX);
    (void)history_empty_limbo(store, SIZE_MAX);
    weir__index_free(&store->index);
    (void)history_free_keys(store, &store->index.retired_keys, SIZE_MAX);
}

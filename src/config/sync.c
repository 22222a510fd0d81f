#include "config/config.h"

#include <string.h>

/* All keys, page after page, as of one revision. */
struct weir__config_listing {
    weir__config_call call; /* First. */
    uint64_t revision;      /* 0 before the first page. */
    weir__text next;        /* The key to go on from. */
    bool asking, again;     /* Within the call that asks; an answer came within it. */
};

/* ---- Requests ---- */

void weir__config_call_add(weir_config *config, weir__config_call *call)
{
    call->config = config;
    call->env = config->env;
    call->next = config->calls;
    call->link = &config->calls;
    if (call->next != NULL)
        call->next->link = &call->next;
    config->calls = call;
}

void weir__config_call_remove(weir__config_call *call)
{
    *call->link = call->next;
    if (call->next != NULL)
        call->next->link = call->link;
}

void weir__config_told(const weir_kv_result *result, void *user)
{
    weir__config_call *const call = user;
    if (call->config != NULL)
        call->told(call, result);
    else
        call->release(call);
}

/* ---- Telling ---- */

static void sync_tell(weir_config *config, int code)
{
    if (config->options.on_sync != NULL)
        config->options.on_sync(code, config->options.user);
}

void weir__config_problem(weir_config *config, weir_bytes key, const char *message)
{
    char name[WEIR_CONFIG_NAME_SIZE];
    weir_config_error error;
    size_t const size = key.size < sizeof name ? key.size : sizeof name - 1;
    config->problems++;
    if (config->options.on_problem == NULL)
        return;
    memcpy(name, key.data, size);
    name[size] = '\0';
    (void)weir__config_refuse(&error, WEIR_EPROTOCOL, name, message);
    config->options.on_problem(&error, config->options.user);
}

void weir__config_lost(weir_config *config, int code)
{
    bool const was = config->in_sync;
    if (config->watch_id != 0)
        config->kv.unwatch(config->kv.self, config->watch_id);
    config->watch_id = 0;
    config->in_sync = false;
    config->failed = code;
    config->retry_ns =
        weir__add_ns(weir__now_ns(&config->env), config->options.retry_ms * WEIR__NS_PER_MS);
    if (was)
        sync_tell(config, code);
}

/* ---- Following ---- */

static bool sync_key(weir_config *config, weir_bytes raw, weir__config_key *key)
{
    weir_bytes const inner = {(const char *)raw.data + config->root_size,
                              raw.size - config->root_size};
    if (weir__config_key_parse(inner, key))
        return true;
    weir__config_problem(config, inner, "a key that is none");
    return false;
}

static void sync_again(weir_config *config)
{
    config->retry_ns = WEIR_NEVER;
    if (weir__config_sync_begin(config) != WEIR_OK)
        weir__config_lost(config, WEIR_ENOMEM);
}

static bool sync_changed(const weir_kv_watch_event *event, void *user)
{
    weir_config *const config = user;
    int code = event->code;
    for (size_t i = 0; code == WEIR_OK && i < event->count; i++) {
        const weir_kv_event *const change = &event->events[i];
        weir_bytes const none = {NULL, 0};
        weir__config_key key;
        if (sync_key(config, change->pair.key, &key))
            code = weir__config_put(config, &key,
                                    change->kind == WEIR_KV_PUT ? change->pair.value : none,
                                    change->pair.mod_revision);
    }
    if (code == WEIR_OK) {
        config->revision = event->revision;
        return true;
    }
    if (event->code != WEIR_OK)
        config->watch_id = 0; /* It is over. */
    weir__config_lost(config, code);
    if (code == WEIR_ECLOSED)
        config->retry_ns = WEIR_NEVER;
    if (code == WEIR_ECOMPACTED && config->listing == NULL) /* Nothing is wrong with the kv. */
        sync_again(config);
    return true;
}

static bool sync_unseen(const weir_config *config, const weir__config_item *item, uint64_t revision)
{
    return item->seen != config->generation && item->revision < revision;
}

/* The first of its layers that was not in the listing, if any, is deleted. */
static int sync_forget_one(weir_config *config, const weir__config_entry *entry, uint64_t revision,
                           bool *found)
{
    uint32_t i = 0;
    while (i < entry->count && !sync_unseen(config, &entry->items[i], revision))
        i++;
    *found = i < entry->count;
    if (!*found)
        return WEIR_OK;
    const weir__config_item *const item = &entry->items[i];
    weir__config_key const key = {.name = {weir__config_bytes(entry, entry->name_at),
                                           entry->name_size},
                                  .scope = {weir__config_bytes(entry, item->scope_at),
                                            item->scope_size},
                                  .environment = {NULL, item->environment_size},
                                  .label = {NULL, item->label_size},
                                  .layer = (weir_config_layer)item->layer};
    return weir__config_put(config, &key, (weir_bytes){NULL, 0}, revision);
}

/* What was not in the listing was deleted while nobody looked. */
static int sync_forget(weir_config *config, uint64_t revision)
{
    weir__config_entry *entry;
    for (size_t at[2] = {0, 0}; (entry = weir__config_next(config, at)) != NULL;) {
        bool found = true;
        while (found) {
            weir__reader *const reader = weir__read_begin(); /* Replaced while it is looked at. */
            int const code = sync_forget_one(config, entry, revision, &found);
            entry = weir__config_find(config, weir__config_bytes(entry, entry->name_at),
                                      entry->name_size);
            weir__read_end(reader);
            if (code != WEIR_OK)
                return code;
        }
    }
    return WEIR_OK;
}

static void sync_release(weir__config_call *call)
{
    weir__config_listing *const listing = (weir__config_listing *)call;
    weir_env const env = call->env;
    listing->next.env = &env; /* The config's is gone, perhaps. */
    weir__text_free(&listing->next);
    weir__free(&env, listing, sizeof *listing);
}

static void sync_end(weir_config *config, int code)
{
    weir__config_listing *const listing = config->listing;
    uint64_t const revision = listing->revision;
    config->listing = NULL;
    weir__config_call_remove(&listing->call);
    if (code == WEIR_OK && config->syncs > 0)
        code = sync_forget(config, revision);
    if (code == WEIR_OK) {
        char end[WEIR__CONFIG_ROOT_SIZE];
        weir_kv_watch const watch = {.keys =
                                         weir_kv_prefix(weir_bytes_of(config->options.root), end),
                                     .revision = revision + 1,
                                     .fn = sync_changed,
                                     .user = config};
        code = config->kv.watch(config->kv.self, &watch, &config->watch_id);
    }
    sync_release(&listing->call);
    if (code != WEIR_OK) {
        weir__config_lost(config, code);
        return;
    }
    config->revision = revision;
    config->syncs++;
    config->in_sync = true;
    atomic_store(&config->ready, true);
    sync_tell(config, WEIR_OK);
}

/* One page after another; answers that come at once are taken here, so that no stack grows. */
static void sync_ask(weir__config_listing *listing)
{
    weir_config *const config = listing->call.config;
    char end[WEIR__CONFIG_ROOT_SIZE];
    weir_kv_keys const all = weir_kv_prefix(weir_bytes_of(config->options.root), end);
    listing->asking = true;
    do {
        listing->again = false;
        weir_kv_range const range = {.keys = {.key = {listing->next.data, listing->next.size},
                                              .end = all.end},
                                     .revision = listing->revision,
                                     .limit = config->options.page,
                                     .uncounted = true};
        int const code =
            config->kv.range(config->kv.self, &range, weir__config_told, &listing->call);
        if (code != WEIR_OK) {
            sync_end(config, code);
            return;
        }
        if (config->listing != listing) /* It is over: freed. */
            return;
    } while (listing->again);
    listing->asking = false;
}

static void sync_page(weir__config_call *call, const weir_kv_result *result)
{
    weir__config_listing *const listing = (weir__config_listing *)call;
    weir_config *const config = call->config;
    int code = result->code;
    size_t const count = code == WEIR_OK ? result->results[0].count : 0;
    if (code == WEIR_OK && listing->revision == 0)
        listing->revision = result->revision;
    for (size_t i = 0; code == WEIR_OK && i < count; i++) {
        const weir_kv_pair *const pair = &result->results[0].pairs[i];
        weir__config_key key;
        if (sync_key(config, pair->key, &key))
            code = weir__config_put(config, &key, pair->value, pair->mod_revision);
    }
    if (code != WEIR_OK || count < config->options.page) {
        sync_end(config, code);
        return;
    }
    weir__text_clear(&listing->next);
    weir__text_bytes(&listing->next, result->results[0].pairs[count - 1].key.data,
                     result->results[0].pairs[count - 1].key.size);
    weir__text_bytes(&listing->next, "", 1); /* The very next key. */
    if (!weir__text_ok(&listing->next))
        sync_end(config, WEIR_ENOMEM);
    else if (listing->asking)
        listing->again = true;
    else
        sync_ask(listing);
}

static void sync_closed(weir__config_call *call)
{
    (void)call; /* Nobody waits. */
}

int weir__config_sync_begin(weir_config *config)
{
    weir__config_listing *const listing = weir__alloc(&config->env, sizeof *listing);
    if (listing == NULL)
        return WEIR_ENOMEM;
    weir__text_init(&listing->next, &config->env);
    weir__text_str(&listing->next, config->options.root);
    if (!weir__text_ok(&listing->next)) {
        weir__free(&config->env, listing, sizeof *listing);
        return WEIR_ENOMEM;
    }
    listing->call.told = sync_page;
    listing->call.closed = sync_closed;
    listing->call.release = sync_release;
    weir__config_call_add(config, &listing->call);
    config->listing = listing;
    config->generation++;
    sync_ask(listing);
    return WEIR_OK;
}

#include "config/config.h"

#include <string.h>

/*
 * Each watcher is a watch of the kv: that one has the order, the history and the bounds. When it
 * is paused in the midst of a batch, the kv's watch is given up, and begun again at the revision
 * where it paused, of which so many changes were told already.
 */
struct weir_config_watcher {
    weir_config *config;
    weir_config_watcher *next, **link;
    weir_config_event_fn fn;
    void *user;
    uint64_t id;         /* Of the kv's watch; 0 = none. */
    uint64_t revision;   /* The one that is being told, or is told next... */
    uint64_t seen, skip; /* ...how many of its changes came, and how many to pass over. */
    bool telling, stopped, paused;
    size_t prefix_size; /* Of the pattern, before its first special byte. */
    size_t bytes;
    char pattern[];
};

static void watch_free(weir_config_watcher *watcher)
{
    weir_env const env = watcher->config->env;
    *watcher->link = watcher->next;
    if (watcher->next != NULL)
        watcher->next->link = watcher->link;
    weir__free(&env, watcher, watcher->bytes);
}

static void watch_leave(weir_config_watcher *watcher)
{
    const weir_kv *const kv = &watcher->config->kv;
    if (watcher->id != 0)
        kv->unwatch(kv->self, watcher->id);
    watcher->id = 0;
}

/* What was there before; unknown once the kv has forgotten it, and then nothing is claimed. */
static void watch_previous(const weir__config_key *key, const weir_kv_event *change,
                           weir__config_words *words, weir_config_value *out)
{
    if (change->previous.create_revision != 0)
        weir__config_value_of(key, change->previous.value, change->previous.mod_revision, words,
                              out);
    else
        weir__config_value_of(key, (weir_bytes){"", 0}, 0, words, out);
}

/* False: it wants no more. */
static bool watch_tell(weir_config_watcher *watcher, const weir__config_key *key,
                       const weir_kv_event *change)
{
    weir__config_words words;
    weir__config_words old_words;
    weir_config_event event = {.code = WEIR_OK, .revision = change->pair.mod_revision};
    bool const put = change->kind == WEIR_KV_PUT;
    weir_bytes const none = {"", 0};
    watch_previous(key, change, &old_words, &event.previous);
    weir__config_value_of(key, put ? change->pair.value : none, event.revision, &words,
                          &event.value);
    if (!put) {
        event.value.version = event.previous.version;
        if (key->layer == WEIR_CONFIG_GRAY)
            event.value.environment = event.previous.environment;
    }
    if (put && event.value.version == 0)
        return true; /* None of ours; the view has told of it. */
    event.rule = words.rule;
    if (key->layer == WEIR_CONFIG_GRAY)
        event.kind = put ? WEIR_CONFIG_RULE_PUT : WEIR_CONFIG_RULE_GONE;
    else
        event.kind = event.value.deleted ? WEIR_CONFIG_DELETED : WEIR_CONFIG_SET;
    return watcher->fn(&event, watcher->user);
}

/* A read made by the watcher sees what it is told of, whoever is told first. */
static void watch_look_ahead(weir_config *config, const weir__config_key *key,
                             const weir_kv_event *change)
{
    weir_bytes const none = {NULL, 0};
    if (!config->in_sync || change->pair.mod_revision <= config->revision)
        return;
    int const code =
        weir__config_put(config, key, change->kind == WEIR_KV_PUT ? change->pair.value : none,
                         change->pair.mod_revision);
    if (code != WEIR_OK)
        weir__config_lost(config, code);
}

/* False: it wants no more. */
static bool watch_change(weir_config_watcher *watcher, const weir_kv_event *change)
{
    weir_config *const config = watcher->config;
    weir_bytes const inner = {(const char *)change->pair.key.data + config->root_size,
                              change->pair.key.size - config->root_size};
    char name[WEIR_CONFIG_NAME_SIZE];
    weir__config_key key;
    if (change->pair.mod_revision != watcher->revision) {
        watcher->revision = change->pair.mod_revision;
        watcher->seen = watcher->skip = 0;
    }
    if (watcher->seen++ < watcher->skip || !weir__config_key_parse(inner, &key))
        return true;
    memcpy(name, key.name.data, key.name.size);
    name[key.name.size] = '\0';
    if (!weir_config_match(watcher->pattern, name))
        return true;
    watch_look_ahead(config, &key, change);
    return !watcher->stopped && watch_tell(watcher, &key, change);
}

/* Any callback on the way may stop it, its own or another: it is freed at the end. */
static bool watch_changed(const weir_kv_watch_event *event, void *user)
{
    weir_config_watcher *const watcher = user;
    bool more = true;
    watcher->telling = true;
    if (event->code != WEIR_OK) {
        weir_config_event const over = {.kind = WEIR_CONFIG_OVER,
                                        .code = event->code,
                                        .revision = event->revision,
                                        .rule = ""};
        watcher->id = 0;
        (void)watcher->fn(&over, watcher->user);
    }
    for (size_t i = 0; event->code == WEIR_OK && i < event->count && more && !watcher->stopped; i++)
        more = watch_change(watcher, &event->events[i]);
    watcher->telling = false;
    if (watcher->stopped) {
        watch_leave(watcher);
        watch_free(watcher);
    } else if (!more) {
        watcher->paused = true;
        watcher->skip = watcher->seen;
        watch_leave(watcher);
    }
    return true;
}

static int watch_begin(weir_config_watcher *watcher)
{
    weir_config *const config = watcher->config;
    char key[WEIR__CONFIG_ROOT_SIZE + WEIR_CONFIG_NAME_SIZE];
    char end[sizeof key];
    memcpy(key, config->options.root, config->root_size);
    memcpy(key + config->root_size, watcher->pattern, watcher->prefix_size);
    weir_kv_watch const watch = {
        .keys = weir_kv_prefix((weir_bytes){key, config->root_size + watcher->prefix_size}, end),
        .revision = watcher->revision,
        .fn = watch_changed,
        .user = watcher};
    watcher->seen = 0;
    return config->kv.watch(config->kv.self, &watch, &watcher->id);
}

int weir_config_watch_start(weir_config_watcher **out, weir_config *config,
                            const weir_config_watch *watch)
{
    *out = NULL;
    if (watch->pattern == NULL || watch->fn == NULL)
        return WEIR_EINVAL;
    size_t const prefix_size = strcspn(watch->pattern, "*?");
    if (prefix_size >= WEIR_CONFIG_NAME_SIZE)
        return WEIR_EINVAL;
    size_t const size = strlen(watch->pattern) + 1;
    size_t const bytes = sizeof(weir_config_watcher) + size;
    weir_config_watcher *const watcher = weir__alloc(&config->env, bytes);
    if (watcher == NULL)
        return WEIR_ENOMEM;
    watcher->config = config;
    watcher->fn = watch->fn;
    watcher->user = watch->user;
    watcher->bytes = bytes;
    watcher->prefix_size = prefix_size;
    watcher->revision = watch->revision;
    if (watcher->revision == 0 && config->revision > 0)
        watcher->revision = config->revision + 1;
    memcpy(watcher->pattern, watch->pattern, size);
    int const code = watch_begin(watcher);
    if (code != WEIR_OK) {
        weir__free(&config->env, watcher, bytes);
        return code;
    }
    watcher->next = config->watchers;
    watcher->link = &config->watchers;
    if (watcher->next != NULL)
        watcher->next->link = &watcher->next;
    config->watchers = watcher;
    *out = watcher;
    return WEIR_OK;
}

int weir_config_resume(weir_config_watcher *watcher)
{
    if (!watcher->paused)
        return WEIR_OK;
    int const code = watch_begin(watcher);
    watcher->paused = code != WEIR_OK;
    return code;
}

void weir_config_watch_stop(weir_config_watcher *watcher)
{
    if (watcher == NULL)
        return;
    watcher->stopped = true;
    if (watcher->telling) /* Within a callback, from which it comes back to it. */
        return;
    watch_leave(watcher);
    watch_free(watcher);
}

void weir__config_watchers_free(weir_config *config)
{
    while (config->watchers != NULL)
        weir_config_watch_stop(config->watchers);
}

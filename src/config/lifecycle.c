#include "config/config.h"

#include <string.h>

#define CONFIG_DAY_MS UINT32_C(86400000)
#define CONFIG_LABELS 64

static bool lifecycle_root_ok(const char *root)
{
    size_t const size = root != NULL ? strlen(root) : 0;
    return size >= 1 && size < WEIR__CONFIG_ROOT_SIZE;
}

static bool lifecycle_roots_apart(const char *a, const char *b)
{
    size_t const x = strlen(a);
    size_t const y = strlen(b);
    return memcmp(a, b, x < y ? x : y) != 0;
}

static bool lifecycle_client_ok(const weir_config_client *client)
{
    if (client->label_count > CONFIG_LABELS || (client->label_count > 0 && client->labels == NULL))
        return false;
    for (size_t i = 0; i < client->label_count; i++)
        if (client->labels[i] == NULL)
            return false;
    return true;
}

static bool lifecycle_options_ok(const weir_config_options *o)
{
    return o->kv != NULL && lifecycle_root_ok(o->root) && lifecycle_root_ok(o->history_root) &&
           lifecycle_roots_apart(o->root, o->history_root) && lifecycle_client_ok(&o->client) &&
           o->history <= 1000 && o->batch >= 1 && o->batch <= 100000 && o->page >= 1 &&
           o->page <= 100000 && o->retry_ms >= 1 && o->retry_ms <= CONFIG_DAY_MS;
}

static size_t lifecycle_size(const char *str)
{
    return str != NULL ? strlen(str) + 1 : 0;
}

static const char *lifecycle_copy(char *at[1], const char *str)
{
    size_t const size = lifecycle_size(str);
    if (size == 0)
        return NULL;
    char *const copy = memcpy(at[0], str, size);
    at[0] += size;
    return copy;
}

/* One block for all that the options point to; pointers first, for their alignment. */
static int lifecycle_copy_strings(weir_config *config)
{
    weir_config_options *const o = &config->options;
    weir_config_client *const client = &o->client;
    size_t bytes = client->label_count * sizeof(char *) + lifecycle_size(o->root) +
                   lifecycle_size(o->history_root) + lifecycle_size(client->environment) +
                   lifecycle_size(client->label) + lifecycle_size(client->id);
    for (size_t i = 0; i < client->label_count; i++)
        bytes += lifecycle_size(client->labels[i]);
    void *const block = weir__alloc(&config->env, bytes);
    if (block == NULL)
        return WEIR_ENOMEM;
    config->strings = block;
    config->strings_bytes = bytes;
    const char **const labels = block;
    char *at[1] = {(char *)(labels + client->label_count)};
    for (size_t i = 0; i < client->label_count; i++)
        labels[i] = lifecycle_copy(at, client->labels[i]);
    client->labels = labels;
    o->root = lifecycle_copy(at, o->root);
    o->history_root = lifecycle_copy(at, o->history_root);
    client->environment = lifecycle_copy(at, client->environment);
    client->label = lifecycle_copy(at, client->label);
    client->id = lifecycle_copy(at, client->id);
    return WEIR_OK;
}

static void lifecycle_init(weir_config *config, const weir_config_options *options,
                           const weir_env *env)
{
    config->options = *options;
    config->options.env = NULL; /* The caller's; ours is the copy, as that of the kv is. */
    config->options.kv = NULL;
    config->env = *env;
    config->kv = *options->kv;
    config->root_size = strlen(options->root);
    config->seed = (weir__hash_key){weir__random(env), weir__random(env)};
    config->retry_ns = WEIR_NEVER;
    config->bytes = sizeof *config;
}

int weir_config_create(weir_config **out, const weir_config_options *options)
{
    *out = NULL;
    weir_config_options loaded = WEIR_CONFIG_OPTIONS_INIT;
    weir_env env;
    if (options == NULL ||
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size) ||
        !lifecycle_options_ok(&loaded) || weir__env_load(&env, loaded.env))
        return WEIR_EINVAL;
    weir_config *const config = weir__alloc(&env, sizeof *config);
    if (config == NULL)
        return WEIR_ENOMEM;
    lifecycle_init(config, &loaded, &env);
    int code = lifecycle_copy_strings(config);
    if (code == WEIR_OK)
        code = weir__config_sync_begin(config);
    if (code == WEIR_OK && config->retry_ns != WEIR_NEVER && config->syncs == 0)
        code = config->failed; /* At once: the first listing could not be had. */
    if (code != WEIR_OK) {
        weir_config_destroy(config);
        return code;
    }
    *out = config;
    return WEIR_OK;
}

/* Whoever waits is told; the requests themselves end when the kv tells. */
static void lifecycle_abandon(weir_config *config)
{
    while (config->calls != NULL) {
        weir__config_call *const call = config->calls;
        weir__config_call_remove(call);
        call->closed(call);
        call->config = NULL;
    }
}

void weir_config_destroy(weir_config *config)
{
    if (config == NULL)
        return;
    weir_env const env = config->env;
    if (config->watch_id != 0)
        config->kv.unwatch(config->kv.self, config->watch_id);
    weir__config_watchers_free(config);
    lifecycle_abandon(config);
    weir__config_validators_free(config);
    weir__config_view_free(config);
    weir__free(&env, config->strings, config->strings_bytes);
    weir__free(&env, config, sizeof *config);
}

static uint64_t lifecycle_run(void *self, uint64_t now_ns)
{
    weir_config *const config = self;
    weir__config_sweep(config, false);
    if (config->listing == NULL && config->retry_ns <= now_ns) {
        config->retry_ns = WEIR_NEVER;
        if (weir__config_sync_begin(config) != WEIR_OK)
            weir__config_lost(config, WEIR_ENOMEM);
    }
    return config->retry_ns;
}

weir_task weir_config_task(weir_config *config)
{
    return (weir_task){.run = lifecycle_run, .self = config};
}

void weir_config_get_status(const weir_config *config, weir_config_status *status)
{
    *status = (weir_config_status){.in_sync = config->in_sync,
                                   .ready = atomic_load(&config->ready),
                                   .revision = config->revision,
                                   .names = config->names,
                                   .entries = config->entries,
                                   .bytes = config->bytes,
                                   .problems = config->problems,
                                   .syncs = config->syncs};
}

#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

#define LIFECYCLE_DAY_MS     UINT64_C(86400000)
#define LIFECYCLE_BACKOFF_S  30
#define LIFECYCLE_MAX_PREFIX 255

/* ---- Time ---- */

uint64_t weir__reg_now(weir_registry *registry)
{
    uint64_t const now_ns = weir__now_ns(&registry->env);
    if (now_ns > registry->now_ns)
        registry->now_ns = now_ns;
    return registry->now_ns;
}

void weir__reg_wake(weir_registry *registry, uint64_t at_ns)
{
    if (at_ns >= registry->promised_ns)
        return;
    registry->promised_ns = at_ns;
    if (!registry->running && registry->options.on_wake != NULL)
        registry->options.on_wake(registry->options.user);
}

uint64_t weir__reg_backoff_ns(uint32_t failures)
{
    uint64_t const seconds = failures < 5 ? UINT64_C(1) << failures : LIFECYCLE_BACKOFF_S;
    return seconds * WEIR__NS_PER_S;
}

static uint64_t registry_run(void *self, uint64_t now_ns)
{
    weir_registry *const registry = self;
    if (now_ns > registry->now_ns)
        registry->now_ns = now_ns;
    registry->running = true;
    registry->promised_ns = WEIR_NEVER; /* Who wants to be earlier than what comes, wakes us. */
    weir__reg_wake(registry, weir__reg_follow_run(registry));
    if (registry->dirty != NULL)
        weir__reg_publish(registry);
    else
        weir__reg_sweep(registry);
    weir__reg_wake(registry, weir__reg_expiry_run(registry));
    weir__reg_wake(registry, weir__reg_keepers_run(registry));
    registry->running = false;
    return registry->promised_ns;
}

weir_task weir_registry_task(weir_registry *registry)
{
    return (weir_task){registry_run, registry};
}

/* ---- Birth and death ---- */

static bool registry_within(uint64_t value, uint64_t least, uint64_t most)
{
    return least <= value && value <= most;
}

static bool registry_options_valid(const weir_registry_options *o)
{
    const weir_kv *const kv = o->kv;
    return kv != NULL && kv->txn != NULL && kv->range != NULL && kv->watch != NULL &&
           kv->unwatch != NULL && kv->grant != NULL && o->root != NULL && o->node != NULL &&
           strlen(o->root) <= LIFECYCLE_MAX_PREFIX &&
           (*o->node == '\0' || weir__reg_validate_label(o->node, "") == WEIR_OK) &&
           registry_within(o->renew_ms, 1, LIFECYCLE_DAY_MS) &&
           registry_within(o->expire_ms, o->renew_ms, 10 * LIFECYCLE_DAY_MS) &&
           o->preserve_percent <= 99 && registry_within(o->evict_percent, 1, 100) &&
           registry_within(o->evict_ms, 1, LIFECYCLE_DAY_MS) &&
           registry_within(o->preserve_ms, 0, 365 * LIFECYCLE_DAY_MS) &&
           (o->protect_percent <= 100 || o->protect_percent == WEIR_REGISTRY_UNPROTECTED) &&
           registry_within(o->mark_ms, 1000, 7 * LIFECYCLE_DAY_MS);
}

static void registry_free(weir_registry *registry)
{
    weir_env const env = registry->env;
    weir__reg_expiry *const expiry = &registry->expiry;
    weir__free(&env, expiry->over, expiry->over_capacity * sizeof(weir__reg_item *));
    weir__heap_free(&expiry->heap);
    weir__heap_free(&registry->keeping);
    weir__map_free(&registry->kept);
    weir__free(&env, registry->scratch, registry->scratch_size);
    weir__free(&env, registry->root, registry->root_size + registry->node_size + 2);
    weir__free(&env, registry, sizeof *registry);
}

/* Root and node, copied into one piece. */
static int registry_copy_names(weir_registry *registry, const weir_registry_options *options)
{
    registry->root_size = strlen(options->root);
    registry->node_size = strlen(options->node);
    registry->root = weir__alloc(&registry->env, registry->root_size + registry->node_size + 2);
    if (registry->root == NULL)
        return WEIR_ENOMEM;
    registry->node = registry->root + registry->root_size + 1;
    memcpy(registry->root, options->root, registry->root_size + 1);
    memcpy(registry->node, options->node, registry->node_size + 1);
    registry->options.root = registry->root;
    registry->options.node = registry->node;
    return WEIR_OK;
}

static void registry_init(weir_registry *registry, const weir_env *env,
                          const weir_registry_options *options)
{
    registry->env = *env;
    registry->serial = weir__reg_serial();
    registry->kv = *options->kv;
    registry->options = *options;
    registry->options.env = NULL; /* The caller's; ours are copies. */
    registry->options.kv = NULL;
    registry->promised_ns = registry->retry_ns = WEIR_NEVER;
    registry->services.seed = (weir__hash_key){weir__random(env), weir__random(env)};
    registry->items.seed = (weir__hash_key){weir__random(env), weir__random(env)};
    registry->services.pool = registry->items.pool = &registry->pool;
    registry->items.node_at = offsetof(weir__reg_item, node);
    weir__heap_init(&registry->expiry.heap, &registry->env);
    registry->expiry.preserve_ns = registry->expiry.pass_ns = WEIR_NEVER;
    registry->expiry.promised_ns = WEIR_NEVER;
    weir__heap_init(&registry->keeping, &registry->env);
    weir__map_init(&registry->kept, &registry->env);
    weir__rng_seed(&registry->rng, weir__random(env));
}

int weir_registry_create(weir_registry **out, const weir_registry_options *options)
{
    *out = NULL;
    weir_registry_options loaded = WEIR_REGISTRY_OPTIONS_INIT;
    weir_env env;
    if (options == NULL ||
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size) ||
        !registry_options_valid(&loaded) || weir__env_load(&env, loaded.env))
        return WEIR_EINVAL;
    weir_registry *const registry = weir__alloc(&env, sizeof *registry);
    if (registry == NULL)
        return WEIR_ENOMEM;
    registry_init(registry, &env, &loaded);
    if (registry_copy_names(registry, &loaded) ||
        weir__reg_follow_init(&registry->view, registry, NULL, &weir__reg_view_hooks)) {
        registry_free(registry);
        return WEIR_ENOMEM;
    }
    (void)weir__reg_now(registry);
    weir__reg_follow_begin(&registry->view);
    *out = registry;
    return WEIR_OK;
}

void weir_registry_destroy(weir_registry *registry)
{
    if (registry == NULL)
        return;
    registry->options.on_wake = NULL;
    weir__reg_keepers_free(registry);
    while (registry->followers != NULL)
        weir__reg_follow_stop(registry->followers);
    weir__reg_changes_close(registry);
    if (registry->expiry.ticket != NULL)
        registry->expiry.ticket->owner = NULL;
    weir__reg_view_free(registry);
    weir__reg_waste_free(registry);
    weir__reg_pool_free(registry);
    registry_free(registry);
}

void weir_registry_get_stats(weir_registry *registry, weir_registry_stats *stats)
{
    const weir__reg_expiry *const expiry = &registry->expiry;
    *stats = (weir_registry_stats){
        .revision = registry->revision,
        .synced = atomic_load_explicit(&registry->synced, memory_order_relaxed),
        .preserving = weir__reg_preserving(registry),
        .services = registry->live_services,
        .instances = registry->live_instances,
        .leases = expiry->leases,
        .expired_now = expiry->over_count + expiry->victim_count,
        .renewals = expiry->renewals,
        .threshold = weir__reg_threshold(registry),
        .evicted = expiry->evicted,
        .resyncs = registry->resyncs,
        .malformed = registry->malformed,
        .watches = registry->watches,
        .bytes = registry->bytes + sizeof *registry +
                 expiry->heap.capacity * sizeof(weir__heap_node *) +
                 expiry->over_capacity * sizeof(weir__reg_item *),
    };
}

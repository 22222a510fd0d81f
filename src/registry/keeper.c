#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

#define KEEPER_SLICE 32

static void keeper_set(weir_registry_keeper *keeper, uint64_t at_ns)
{
    weir_registry *const registry = keeper->registry;
    (void)weir__heap_set(&registry->keeping, &keeper->due, at_ns); /* There is room. */
    weir__reg_wake(registry, at_ns);
}

/* It ends: the task tells, as we may be amid what the view is told. */
static void keeper_end(weir_registry_keeper *keeper, int fate)
{
    keeper->fate = fate;
    keeper_set(keeper, keeper->registry->now_ns);
}

static void keeper_rest(weir_registry_keeper *keeper)
{
    weir_registry *const registry = keeper->registry;
    keeper->failures = 0;
    keeper_set(keeper, registry->now_ns + weir__reg_renew_ns(registry, &keeper->latest->instance));
}

/* ---- Registering ---- */

static void keeper_failed(weir_registry_keeper *keeper, int code)
{
    if (code == WEIR_EINVAL || code == WEIR_ETOOLARGE || code == WEIR_ESTALE)
        keeper_end(keeper, code);
    else
        keeper_set(keeper, keeper->registry->now_ns + weir__reg_backoff_ns(keeper->failures++));
}

static void keeper_told(const weir_registry_result *result, void *user)
{
    const weir__reg_change_result *const told =
        (const weir__reg_change_result *)(const void *)result;
    weir_registry_keeper *const keeper = user;
    keeper->change = NULL;
    if (result->code == WEIR_ESTALE && told->marked) {
        keeper_end(keeper, WEIR_ENOTFOUND);
    } else if (result->code != WEIR_OK) {
        keeper_failed(keeper, result->code);
    } else {
        if (keeper->latest->instance.stamp == 0)
            keeper->latest->instance.stamp = told->stamp; /* From now on it is this one. */
        keeper_rest(keeper);
    }
}

/* Of what the view is told within, a callback may release the keeper: look at `released` then. */
static int keeper_register(weir_registry_keeper *keeper, weir__reg_change_kind kind)
{
    weir_registry *const registry = keeper->registry;
    keeper->tried_ns = registry->now_ns;
    weir__heap_remove(&registry->keeping, &keeper->due); /* Until we are told. */
    keeper->registering = true;
    int const code = weir__reg_change_register(registry, kind, keeper->latest, keeper_told, keeper,
                                               &keeper->change);
    keeper->registering = false;
    return code;
}

/* ---- Time ---- */

static void keeper_tell(weir_registry_keeper *keeper)
{
    weir_registry *const registry = keeper->registry;
    weir__heap_remove(&registry->keeping, &keeper->due);
    (void)weir__map_remove(&registry->kept, keeper->key, keeper->key_size);
    weir_registry_result const result = {.code = keeper->fate};
    if (keeper->ended != NULL)
        keeper->ended(&result, keeper->user);
}

static void keeper_run(weir_registry_keeper *keeper)
{
    weir_registry *const registry = keeper->registry;
    const weir_instance *const latest = &keeper->latest->instance;
    if (keeper->fate != WEIR_OK) {
        keeper_tell(keeper);
        return;
    }
    bool const there =
        latest->stamp != 0 && weir_registry_heartbeat_at(registry, latest->service, latest->id,
                                                         registry->now_ns) == WEIR_OK;
    if (there) {
        keeper_rest(keeper);
        return;
    }
    int const code =
        keeper_register(keeper, latest->stamp == 0 ? WEIR__REG_REGISTER : WEIR__REG_PUT_BACK);
    if (keeper->released)
        weir__free(&registry->env, keeper, keeper->size);
    else if (code != WEIR_OK)
        keeper_failed(keeper, code);
}

uint64_t weir__reg_keepers_run(weir_registry *registry)
{
    for (unsigned i = 0; i < KEEPER_SLICE; i++) {
        weir__heap_node *const first = weir__heap_first(&registry->keeping);
        if (first == NULL || first->at_ns > registry->now_ns)
            break;
        keeper_run(
            (weir_registry_keeper *)(void *)((char *)first - offsetof(weir_registry_keeper, due)));
    }
    return weir__heap_next_ns(&registry->keeping);
}

/* ---- What the view sees ---- */

static weir_registry_keeper *keeper_find(weir_registry *registry, const weir__reg_item *item)
{
    weir_registry_keeper *const keeper =
        weir__map_get(&registry->kept, item->key, item->node.key_size);
    return keeper != NULL && keeper->fate == WEIR_OK ? keeper : NULL;
}

void weir__reg_keepers_saw(weir_registry *registry, const weir__reg_item *item)
{
    weir_registry_keeper *const keeper = keeper_find(registry, item);
    if (keeper == NULL)
        return;
    uint64_t const stamp = item->record->instance.stamp;
    uint64_t ours = keeper->latest->instance.stamp;
    if (ours == 0 && keeper->change != NULL)
        ours = keeper->change->stamp; /* Not told yet. */
    if (ours != 0 && stamp > ours) {
        keeper_end(keeper, WEIR_ESTALE);
    } else if (stamp == ours) {
        item->record->refs++;
        weir__reg_release(registry, keeper->latest);
        keeper->latest = item->record;
    }
}

void weir__reg_keepers_lost(weir_registry *registry, const weir__reg_item *item)
{
    weir_registry_keeper *const keeper = keeper_find(registry, item);
    if (keeper == NULL || keeper->change != NULL)
        return;
    uint64_t const again_ns = keeper->tried_ns + WEIR__NS_PER_S; /* Not all the time. */
    keeper_set(keeper, again_ns > registry->now_ns ? again_ns : registry->now_ns);
}

/* ---- Public ---- */

static void keeper_free(weir_registry_keeper *keeper)
{
    weir_registry *const registry = keeper->registry;
    if (keeper->change != NULL) {
        keeper->change->cancelled = true;
        keeper->change->done = NULL;
    }
    weir__heap_remove(&registry->keeping, &keeper->due);
    if (weir__map_get(&registry->kept, keeper->key, keeper->key_size) == keeper)
        (void)weir__map_remove(&registry->kept, keeper->key, keeper->key_size);
    *keeper->link = keeper->next;
    if (keeper->next != NULL)
        keeper->next->link = keeper->link;
    registry->keeper_count--;
    weir__reg_release(registry, keeper->latest);
    keeper->released = true;
    if (!keeper->registering)
        weir__free(&registry->env, keeper, keeper->size);
}

void weir__reg_keepers_free(weir_registry *registry)
{
    while (registry->keepers != NULL)
        keeper_free(registry->keepers);
}

static weir_registry_keeper *keeper_create(weir_registry *registry, const weir_instance *instance)
{
    size_t const service_size = strlen(instance->service);
    size_t const key_size = service_size + 1 + strlen(instance->id);
    size_t const size = sizeof(weir_registry_keeper) + key_size + 1;
    weir_registry_keeper *const keeper = weir__alloc(&registry->env, size);
    if (keeper == NULL)
        return NULL;
    keeper->registry = registry;
    keeper->size = size;
    keeper->key_size = key_size;
    memcpy(keeper->key, instance->service, service_size);
    keeper->key[service_size] = '/';
    memcpy(keeper->key + service_size + 1, instance->id, key_size - service_size);
    keeper->latest = weir__reg_record_copy(&registry->env, instance);
    if (keeper->latest == NULL) {
        weir__free(&registry->env, keeper, size);
        return NULL;
    }
    registry->bytes += keeper->latest->waste.size;
    keeper->next = registry->keepers;
    keeper->link = &registry->keepers;
    if (keeper->next != NULL)
        keeper->next->link = &keeper->next;
    registry->keepers = keeper;
    registry->keeper_count++;
    return keeper;
}

int weir_registry_keep(weir_registry *registry, const weir_instance *instance,
                       weir_registry_done_fn ended, void *user, weir_registry_keeper **out)
{
    *out = NULL;
    weir_instance loaded = WEIR_INSTANCE_INIT;
    if (weir__options_load(&loaded, sizeof loaded, instance, instance->struct_size) ||
        weir__reg_validate_lease(registry, &loaded) || weir__reg_validate(&loaded))
        return WEIR_EINVAL;
    (void)weir__reg_now(registry);
    weir_registry_keeper *const keeper = keeper_create(registry, &loaded);
    if (keeper == NULL)
        return WEIR_ENOMEM;
    int code = WEIR_OK;
    if (weir__map_get(&registry->kept, keeper->key, keeper->key_size) != NULL)
        code = WEIR_EBUSY;
    else if (weir__heap_reserve(&registry->keeping, registry->keeper_count) ||
             weir__map_put(&registry->kept, keeper->key, keeper->key_size, keeper))
        code = WEIR_ENOMEM;
    keeper->ended = ended;
    keeper->user = user;
    *out = code == WEIR_OK ? keeper : NULL;
    if (code == WEIR_OK)
        code = keeper_register(keeper, WEIR__REG_REGISTER);
    if (code == WEIR_OK && !keeper->released)
        return WEIR_OK;
    *out = NULL;
    if (keeper->released)
        weir__free(&registry->env, keeper, keeper->size);
    else
        keeper_free(keeper);
    return code;
}

int weir_registry_release(weir_registry_keeper *keeper)
{
    if (keeper == NULL)
        return WEIR_OK;
    if (keeper->fate == WEIR_OK) {
        int const code =
            weir_registry_deregister(keeper->registry, keeper->latest->instance.service,
                                     keeper->latest->instance.id, NULL, NULL);
        if (code != WEIR_OK)
            return code;
    }
    keeper_free(keeper);
    return WEIR_OK;
}

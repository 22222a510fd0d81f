#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

void weir_registry_begin(weir_registry *registry, const char *service, weir_registry_view *view)
{
    static const weir_registry_view nobody;
    *view = nobody;
    view->token = weir__read_begin();
    /* First: what was there when it was synced is found by who sees that. */
    view->synced = atomic_load_explicit(&registry->synced, memory_order_acquire);
    weir__reg_service *const found = weir__reg_find(&registry->services, service, strlen(service));
    const weir__reg_set *const set =
        found != NULL ? atomic_load_explicit(&found->set, memory_order_acquire) : NULL;
    if (set == NULL)
        return;
    view->instances = set->list;
    view->count = set->count;
    view->available = set->available;
    view->available_count = set->available_count;
    view->revision = set->revision;
    view->generation = set->generation;
    view->protecting = set->protecting;
}

void weir_registry_end(weir_registry_view *view)
{
    weir__read_end(view->token);
    view->token = NULL;
}

static const char *lookup_metadata(const weir_instance *instance, const char *key)
{
    for (size_t i = 0; i < instance->metadata_count; i++)
        if (strcmp(instance->metadata[i].key, key) == 0)
            return instance->metadata[i].value;
    return NULL;
}

static bool lookup_matches(const weir_instance *instance, const weir_registry_query *query,
                           const weir__semver_range *range)
{
    if (query->zone != NULL && strcmp(instance->zone, query->zone) != 0)
        return false;
    for (size_t i = 0; i < query->metadata_count; i++) {
        const char *const value = lookup_metadata(instance, query->metadata[i].key);
        if (value == NULL || strcmp(value, query->metadata[i].value) != 0)
            return false;
    }
    return query->version == NULL || weir__semver_matches(range, instance->version);
}

int weir_registry_lookup(weir_registry *registry, const weir_registry_query *query,
                         weir_registry_visit_fn visit, void *user, weir_registry_info *info)
{
    weir__semver_range range;
    if (query->service == NULL ||
        (query->version != NULL && !weir__semver_parse_range(&range, query->version)))
        return WEIR_EINVAL;
    weir_registry_view view;
    weir_registry_begin(registry, query->service, &view);
    const weir_instance *const *const list = query->available ? view.available : view.instances;
    size_t const count = query->available ? view.available_count : view.count;
    size_t matched = 0;
    for (size_t i = 0; i < count; i++) {
        if (!lookup_matches(list[i], query, &range))
            continue;
        matched++;
        if (visit != NULL && !visit(list[i], user))
            break;
    }
    if (info != NULL)
        *info = (weir_registry_info){matched, view.revision, view.synced, view.protecting};
    weir_registry_end(&view);
    return WEIR_OK;
}

bool weir_registry_visit_services(weir_registry *registry,
                                  bool (*visit)(const weir_registry_service *service, void *user),
                                  void *user)
{
    weir__reader *const reader = weir__read_begin();
    bool const synced = atomic_load_explicit(&registry->synced, memory_order_acquire);
    weir__reg_table *const table =
        atomic_load_explicit(&registry->services.table, memory_order_acquire);
    weir__reg_service *service;
    for (size_t i = 0;
         table != NULL && (service = weir__reg_next(&registry->services, table, &i)) != NULL;) {
        const weir__reg_set *const set = atomic_load_explicit(&service->set, memory_order_acquire);
        if (set == NULL)
            continue;
        weir_registry_service const told = {service->name, set->count, set->available_count};
        if (!visit(&told, user))
            break;
    }
    weir__read_end(reader);
    return synced;
}

/* ---- Heartbeats ---- */

/* A thread's own counter, while there are some left: counting is a mere addition then. */
static _Thread_local struct {
    uint64_t registry; /* Its serial: addresses come again. */
    _Atomic uint64_t *own;
} lookup_counter;

static _Atomic uint64_t *lookup_claim(weir_registry *registry)
{
    uint32_t const place = atomic_fetch_add_explicit(&registry->claims, 1, memory_order_relaxed);
    lookup_counter.registry = registry->serial;
    lookup_counter.own = place < WEIR__REG_COUNTS - 1 ? &registry->counts[place].renewals : NULL;
    return lookup_counter.own;
}

static void lookup_count(weir_registry *registry)
{
    _Atomic uint64_t *const own = WEIR__LIKELY(lookup_counter.registry == registry->serial)
                                      ? lookup_counter.own
                                      : lookup_claim(registry);
    if (own != NULL)
        atomic_store_explicit(own, atomic_load_explicit(own, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    else
        (void)atomic_fetch_add_explicit(&registry->counts[WEIR__REG_COUNTS - 1].renewals, 1,
                                        memory_order_relaxed);
}

uint64_t weir__reg_serial(void)
{
    static _Atomic uint64_t last;
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

typedef struct lookup_key {
    size_t size; /* 0: there can be none. */
    char text[WEIR__REG_MAX_KEY];
} lookup_key;

static void lookup_join(lookup_key *key, const char *service, const char *id)
{
    size_t const service_size = service != NULL ? strlen(service) : 0;
    size_t const id_size = id != NULL ? strlen(id) : 0;
    key->size = 0;
    if (service_size == 0 || service_size > WEIR_REGISTRY_MAX_NAME || id_size == 0 ||
        id_size > WEIR_REGISTRY_MAX_NAME)
        return;
    memcpy(key->text, service, service_size);
    key->text[service_size] = '/';
    memcpy(key->text + service_size + 1, id, id_size);
    key->size = service_size + 1 + id_size;
}

/* Within a read section. */
static int lookup_beat(weir_registry *registry, weir__reg_item *item, uint64_t now_ns)
{
    uint32_t const lease =
        item != NULL ? atomic_load_explicit(&item->lease, memory_order_relaxed) : WEIR__REG_FOREIGN;
    if (lease == WEIR__REG_LEASED) {
        weir__reg_lease_renew(registry, item, now_ns);
        lookup_count(registry);
    }
    return lease == WEIR__REG_LEASED || lease == WEIR__REG_PERMANENT ? WEIR_OK : WEIR_ENOTFOUND;
}

static int lookup_heartbeat(weir_registry *registry, const char *service, const char *id,
                            const uint64_t *now_ns)
{
    lookup_key key;
    lookup_join(&key, service, id);
    if (key.size == 0)
        return WEIR_ENOTFOUND;
    weir__reader *const reader = weir__read_begin();
    uint64_t const hash = weir__reg_hash(&registry->items, key.text, key.size);
    uint64_t const at_ns = now_ns != NULL ? *now_ns : weir__now_ns(&registry->env);
    weir__reg_item *const item =
        weir__reg_item_of(weir__reg_find_hashed(&registry->items, hash, key.text, key.size));
    int const code = lookup_beat(registry, item, at_ns);
    weir__read_end(reader);
    return code;
}

int weir_registry_heartbeat_at(weir_registry *registry, const char *service, const char *id,
                               uint64_t now_ns)
{
    return lookup_heartbeat(registry, service, id, &now_ns);
}

int weir_registry_heartbeat(weir_registry *registry, const char *service, const char *id)
{
    return lookup_heartbeat(registry, service, id, NULL);
}

#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

#define VIEW_FIRST_CAPACITY 4

static const char *view_id(const weir__reg_item *item)
{
    return item->key + item->service->node.key_size + 1;
}

/* Where the id is among the entries, or would go. */
static size_t view_place(const weir__reg_service *service, const char *id)
{
    size_t low = 0;
    size_t high = service->count;
    /* What is listed comes sorted. */
    if (high > 0 && strcmp(view_id(service->entries[high - 1].item), id) < 0)
        return high;
    while (low < high) {
        size_t const middle = low + (high - low) / 2;
        if (strcmp(view_id(service->entries[middle].item), id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void view_dirty(weir_registry *registry, weir__reg_service *service, uint64_t revision)
{
    if (revision > service->revision)
        service->revision = revision;
    if (service->dirty)
        return;
    service->dirty = true;
    service->next_dirty = registry->dirty;
    registry->dirty = service;
}

/* ---- Sets ---- */

typedef struct view_sum {
    size_t live, serving, available;
    bool protecting;
} view_sum;

static view_sum view_count(const weir_registry *registry, const weir__reg_service *service)
{
    view_sum sum = {.live = service->count - service->gone};
    for (size_t i = 0; i < service->count; i++) {
        const weir__reg_entry *const entry = &service->entries[i];
        if (entry->instance != NULL && entry->serves) {
            sum.serving++;
            sum.available += entry->well;
        }
    }
    uint64_t const percent = registry->options.protect_percent;
    sum.protecting = percent != WEIR_REGISTRY_UNPROTECTED && sum.available < sum.serving &&
                     sum.available * 100 <= percent * sum.serving;
    if (sum.protecting)
        sum.available = sum.serving;
    return sum;
}

/* Entries of those that are gone make room. */
static void view_compact(weir_registry *registry, weir__reg_service *service)
{
    if (service->gone == 0)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < service->count; i++)
        if (service->entries[i].instance != NULL)
            service->entries[kept++] = service->entries[i];
        else
            weir__reg_waste_add(registry, &service->entries[i].item->node);
    service->count = kept;
    service->gone = 0;
}

static bool view_publish_service(weir_registry *registry, weir__reg_service *service)
{
    view_sum const sum = view_count(registry, service);
    bool const apart = sum.available < sum.live; /* Else one list is both. */
    size_t const pointers = sum.live + (apart ? sum.available : 0);
    weir__reg_set *const set = weir__reg_alloc(registry, sizeof *set + pointers * sizeof(void *));
    if (set == NULL)
        return false;
    view_compact(registry, service);
    set->count = sum.live;
    set->available_count = sum.available;
    set->available = set->list + (apart ? sum.live : 0);
    set->protecting = sum.protecting;
    set->revision = service->revision;
    set->generation = ++registry->generation;
    size_t available = sum.live;
    for (size_t i = 0; i < service->count; i++) {
        const weir__reg_entry *const entry = &service->entries[i];
        set->list[i] = entry->instance;
        if (apart && entry->serves && (entry->well || sum.protecting))
            set->list[available++] = entry->instance;
    }
    weir__reg_set *const old = atomic_load_explicit(&service->set, memory_order_relaxed);
    registry->live_services += (old == NULL && set->count > 0);
    atomic_store_explicit(&service->set, set, memory_order_release);
    if (old != NULL)
        weir__reg_waste_add(registry, old);
    return true;
}

static void view_free_entries(weir_registry *registry, weir__reg_service *service)
{
    size_t const size = service->capacity * sizeof service->entries[0];
    weir__free(&registry->env, service->entries, size);
    registry->bytes -= size;
}

/* Nobody is there any more: it is as if it had never been. */
static void view_drop_service(weir_registry *registry, weir__reg_service *service)
{
    weir__reg_set *const set = atomic_load_explicit(&service->set, memory_order_relaxed);
    registry->live_services -= set != NULL;
    weir__reg_remove(&registry->services, &service->node);
    view_compact(registry, service);
    view_free_entries(registry, service);
    if (set != NULL)
        weir__reg_waste_add(registry, set);
    weir__reg_waste_add(registry, service);
}

void weir__reg_publish(weir_registry *registry)
{
    weir__reg_service **link = &registry->dirty;
    for (weir__reg_service *service; (service = *link) != NULL;) {
        if (service->count == service->gone) {
            *link = service->next_dirty;
            view_drop_service(registry, service);
        } else if (view_publish_service(registry, service)) {
            *link = service->next_dirty;
            service->dirty = false;
        } else {
            link = &service->next_dirty;
        }
    }
    bool const whole = registry->dirty == NULL;
    atomic_store_explicit(&registry->synced, whole && registry->listed, memory_order_release);
    if (whole)
        weir__reg_sweep(registry);
    else
        weir__reg_wake(registry, weir__add_ns(registry->now_ns, WEIR__NS_PER_S));
}

/* ---- Items ---- */

static weir__reg_lease view_lease(const weir_registry *registry, const weir_instance *instance)
{
    if (instance->permanent)
        return WEIR__REG_PERMANENT;
    return strcmp(instance->node, registry->node) == 0 ? WEIR__REG_LEASED : WEIR__REG_FOREIGN;
}

static void view_set_lease(weir_registry *registry, weir__reg_item *item, uint64_t beat_ns)
{
    weir__reg_lease const lease = view_lease(registry, &item->record->instance);
    atomic_store_explicit(&item->lease, lease, memory_order_relaxed);
    if (lease == WEIR__REG_LEASED)
        weir__reg_lease_begin(registry, item, beat_ns);
}

static void view_show(weir__reg_entry *entry, weir__reg_item *item)
{
    const weir_instance *const instance = &item->record->instance;
    entry->item = item;
    entry->instance = instance;
    entry->serves = !instance->draining && weir_instance_effective(instance) == WEIR_INSTANCE_UP;
}

/* A registration is as good as a heartbeat; what others change of it is not. */
static void view_replace(weir_registry *registry, weir__reg_item *item, weir__reg_record *record)
{
    weir__reg_service *const service = item->service;
    weir__reg_record *const old = item->record;
    bool const anew =
        atomic_load_explicit(&item->lease, memory_order_relaxed) != WEIR__REG_LEASED ||
        old->instance.stamp != record->instance.stamp;
    uint64_t const beat_ns = anew ? weir__reg_lease_now(registry, registry->now_ns)
                                  : atomic_load_explicit(&item->beat_ns, memory_order_relaxed);
    weir__reg_lease_end(registry, item);
    item->record = record;
    view_set_lease(registry, item, beat_ns);
    view_show(&service->entries[view_place(service, view_id(item))], item);
    weir__reg_release(registry, old);
    view_dirty(registry, service, record->instance.revision);
}

static weir__reg_service *view_service(weir_registry *registry, const char *name)
{
    size_t const size = strlen(name);
    weir__reg_service *service = weir__reg_find(&registry->services, name, size);
    if (service != NULL)
        return service;
    size_t const whole = sizeof *service + size + 1;
    uint32_t place;
    service = weir__reg_pool_take(registry, whole, &place);
    if (service == NULL)
        return NULL;
    service->node.waste.size = (uint32_t)whole;
    service->node.waste.pooled = true;
    service->node.place = place;
    memcpy(service->name, name, size + 1);
    service->node.key_at = offsetof(weir__reg_service, name);
    service->node.key_size = (uint16_t)size;
    if (weir__reg_enter(registry, &registry->services, &service->node)) {
        weir__reg_free(registry, service);
        return NULL;
    }
    view_dirty(registry, service, 0); /* So that it goes if nobody enters. */
    return service;
}

static int view_reserve(weir_registry *registry, weir__reg_service *service)
{
    if (service->count < service->capacity)
        return WEIR_OK;
    size_t const capacity = service->capacity > 0 ? service->capacity * 2 : VIEW_FIRST_CAPACITY;
    size_t const size = service->capacity * sizeof service->entries[0];
    void *const entries =
        weir__resize(&registry->env, service->entries, size, capacity * sizeof service->entries[0]);
    if (entries == NULL)
        return WEIR_ENOMEM;
    registry->bytes += (capacity - service->capacity) * sizeof service->entries[0];
    service->entries = entries;
    service->capacity = capacity;
    return WEIR_OK;
}

static weir__reg_item *view_item(weir_registry *registry, weir__reg_service *service,
                                 const weir__reg_name *name)
{
    size_t const size = sizeof(weir__reg_item) + name->key_size + 1;
    uint32_t place;
    weir__reg_item *const item = weir__reg_pool_take(registry, size, &place);
    if (item == NULL)
        return NULL;
    item->node.place = place;
    item->node.waste.size = (uint32_t)size;
    item->node.waste.before = offsetof(weir__reg_item, node);
    item->node.waste.pooled = true;
    memcpy(item->key, name->key, name->key_size + 1);
    item->node.key_at = offsetof(weir__reg_item, key) - offsetof(weir__reg_item, node);
    item->node.key_size = (uint16_t)name->key_size;
    item->service = service;
    if (weir__reg_enter(registry, &registry->items, &item->node) == WEIR_OK)
        return item;
    weir__reg_free(registry, &item->node);
    return NULL;
}

/* All that can fail comes first. */
static int view_add(weir_registry *registry, const weir__reg_name *name, weir__reg_record *record,
                    weir__reg_item **out)
{
    weir__reg_service *const service = view_service(registry, name->service);
    if (service == NULL || view_reserve(registry, service) || weir__reg_lease_reserve(registry))
        return WEIR_ENOMEM;
    weir__reg_item *const item = view_item(registry, service, name);
    if (item == NULL)
        return WEIR_ENOMEM;
    item->record = record;
    view_set_lease(registry, item, weir__reg_lease_now(registry, registry->now_ns));
    size_t const place = view_place(service, name->id);
    weir__reg_entry *const entry = &service->entries[place];
    if (place < service->count && strcmp(view_id(entry->item), name->id) == 0) {
        weir__reg_waste_add(registry,
                            &entry->item->node); /* It went, and comes back, within a batch. */
        service->gone--;
    } else {
        memmove(entry + 1, entry, (service->count - place) * sizeof *entry);
        service->count++;
    }
    entry->well = true;
    view_show(entry, item);
    view_dirty(registry, service, record->instance.revision);
    registry->live_instances++;
    *out = item;
    return WEIR_OK;
}

static int view_put(weir_registry *registry, const weir__reg_name *name, const weir_kv_pair *pair)
{
    weir__reg_item *item =
        weir__reg_item_of(weir__reg_find(&registry->items, name->key, name->key_size));
    if (item != NULL) {
        item->list = registry->list;
        if (item->record->instance.revision == pair->mod_revision)
            return WEIR_OK; /* Listed again. */
    }
    weir__reg_record *record;
    int code = weir__reg_decode(registry, name->service, name->id, pair, &record);
    if (code == WEIR_EPROTOCOL) {
        registry->malformed++;
        return WEIR_OK;
    }
    if (code == WEIR_OK && item != NULL)
        code = weir__reg_lease_reserve(registry);
    else if (code == WEIR_OK)
        code = view_add(registry, name, record, &item);
    else
        return code;
    if (code != WEIR_OK) {
        weir__reg_release(registry, record);
        return code;
    }
    if (item->record != record)
        view_replace(registry, item, record);
    item->list = registry->list;
    weir__reg_keepers_saw(registry, item);
    return WEIR_OK;
}

static void view_remove(weir_registry *registry, weir__reg_item *item, uint64_t revision)
{
    weir__reg_service *const service = item->service;
    weir__reg_lease_end(registry, item);
    atomic_store_explicit(&item->lease, WEIR__REG_LEAVING, memory_order_relaxed);
    weir__reg_keepers_lost(registry, item);
    weir__reg_remove(&registry->items, &item->node);
    service->entries[view_place(service, view_id(item))].instance = NULL;
    service->gone++;
    registry->live_instances--;
    weir__reg_release(registry, item->record);
    item->record = NULL;
    view_dirty(registry, service, revision);
}

/* ---- What the follower tells ---- */

static bool view_begin(weir__reg_follower *self, uint64_t revision)
{
    (void)revision;
    weir_registry *const registry = self->registry;
    registry->resyncs += registry->list > 0;
    registry->list++;
    return true;
}

static bool view_pair(weir__reg_follower *self, const weir_kv_pair *pair)
{
    weir__reg_name name;
    if (!weir__reg_parse_key(self->registry, pair->key, &name))
        self->registry->malformed++;
    else if (!name.mark && view_put(self->registry, &name, pair)) {
        weir__reg_follow_fail(self);
        return false;
    }
    return true;
}

static bool view_listed(weir__reg_follower *self)
{
    weir_registry *const registry = self->registry;
    weir__reg_table *const table =
        atomic_load_explicit(&registry->items.table, memory_order_relaxed);
    weir__reg_item *item;
    for (size_t i = 0; table != NULL && (item = weir__reg_item_of(
                                             weir__reg_next(&registry->items, table, &i))) != NULL;)
        if (item->list != registry->list)
            view_remove(registry, item, self->revision); /* It went while we did not look. */
    registry->revision = self->revision;
    weir__reg_publish(registry);
    return true; /* It is in sync once its watch has begun. */
}

static bool view_events(weir__reg_follower *self, const weir_kv_watch_event *told)
{
    weir_registry *const registry = self->registry;
    bool whole = true;
    for (size_t i = 0; i < told->count && whole; i++) {
        const weir_kv_pair *const pair = &told->events[i].pair;
        if (told->events[i].kind == WEIR_KV_PUT) {
            whole = view_pair(self, pair);
            continue;
        }
        weir__reg_name name;
        weir__reg_item *item = NULL;
        if (weir__reg_parse_key(registry, pair->key, &name) && !name.mark)
            item = weir__reg_item_of(weir__reg_find(&registry->items, name.key, name.key_size));
        if (item != NULL)
            view_remove(registry, item, pair->mod_revision);
    }
    if (whole)
        registry->revision = told->revision;
    weir__reg_publish(registry);
    return whole;
}

static void view_over(weir__reg_follower *self)
{
    (void)self; /* It is told so by `listed`. */
}

const weir__reg_follow_hooks weir__reg_view_hooks = {
    .begin = view_begin,
    .pair = view_pair,
    .listed = view_listed,
    .events = view_events,
    .over = view_over,
};

void weir__reg_view_free(weir_registry *registry)
{
    weir__reg_table *const items =
        atomic_load_explicit(&registry->items.table, memory_order_relaxed);
    weir__reg_table *const services =
        atomic_load_explicit(&registry->services.table, memory_order_relaxed);
    weir__reg_item *item;
    for (size_t i = 0; items != NULL && (item = weir__reg_item_of(
                                             weir__reg_next(&registry->items, items, &i))) != NULL;)
        view_remove(registry, item, 0);
    weir__reg_service *service;
    for (size_t i = 0;
         services != NULL && (service = weir__reg_next(&registry->services, services, &i)) != NULL;)
        view_drop_service(registry, service);
    if (items != NULL)
        weir__reg_waste_add(registry, items);
    if (services != NULL)
        weir__reg_waste_add(registry, services);
}

/* ---- Health ---- */

int weir_registry_report_health(weir_registry *registry, const char *service, const char *id,
                                bool well)
{
    weir__reg_service *const found =
        service != NULL && id != NULL
            ? weir__reg_find(&registry->services, service, strlen(service))
            : NULL;
    if (found == NULL)
        return WEIR_ENOTFOUND;
    size_t const place = view_place(found, id);
    weir__reg_entry *const entry = &found->entries[place];
    if (place == found->count || entry->instance == NULL || strcmp(view_id(entry->item), id) != 0)
        return WEIR_ENOTFOUND;
    if (entry->well == well)
        return WEIR_OK;
    bool const behind = found->dirty; /* Then it is the task's, whatever comes of this. */
    entry->well = well;
    view_dirty(registry, found, 0);
    weir__reg_publish(registry);
    bool const shown = !found->dirty;
    if (shown || behind)
        return WEIR_OK;
    entry->well = !well; /* The next set shows it as it was. */
    return WEIR_ENOMEM;
}

#include <weir/registry.h>

#include "registry/registry.h"

#include <string.h>

/*
 * The lease clock stands still while the task is late: whoever could not be heard loses nothing.
 * The heap is lazy: a heartbeat only notes its time, and an item that comes up is put back by it.
 */

#define EXPIRY_STALL_NS WEIR__NS_PER_S /* Later than that, the task has not been listening. */
#define EXPIRY_KEY      (WEIR_REGISTRY_MAX_NAME + WEIR__REG_MAX_KEY)

uint64_t weir__reg_lease_now(weir_registry *registry, uint64_t now_ns)
{
    uint64_t const stood_ns = atomic_load_explicit(&registry->stood_ns, memory_order_relaxed);
    return now_ns > stood_ns ? now_ns - stood_ns : 0;
}

static uint64_t expiry_real_ns(weir_registry *registry, uint64_t lease_ns)
{
    return weir__add_ns(lease_ns, atomic_load_explicit(&registry->stood_ns, memory_order_relaxed));
}

uint64_t weir__reg_renew_ns(const weir_registry *registry, const weir_instance *instance)
{
    uint64_t const ms = instance->renew_ms;
    return (ms > 0 ? ms : registry->options.renew_ms) * WEIR__NS_PER_MS;
}

static uint64_t expiry_expire_ns(const weir_registry *registry, const weir_instance *instance)
{
    uint64_t const ms = instance->expire_ms;
    return (ms > 0 ? ms : registry->options.expire_ms) * WEIR__NS_PER_MS;
}

int weir__reg_validate_lease(const weir_registry *registry, const weir_instance *instance)
{
    return weir__reg_renew_ns(registry, instance) <= expiry_expire_ns(registry, instance)
               ? WEIR_OK
               : WEIR_EINVAL;
}

static uint64_t expiry_end_ns(const weir_registry *registry, const weir__reg_item *item)
{
    return weir__add_ns(atomic_load_explicit(&item->beat_ns, memory_order_relaxed),
                        expiry_expire_ns(registry, &item->record->instance));
}

static uint64_t expiry_counted(const weir_registry *registry)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < WEIR__REG_COUNTS; i++)
        sum += atomic_load_explicit(&registry->counts[i].renewals, memory_order_relaxed);
    return sum;
}

/* ---- Leases ---- */

int weir__reg_lease_reserve(weir_registry *registry)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    if (expiry->leases == UINT32_MAX || weir__heap_reserve(&expiry->heap, expiry->leases + 1))
        return WEIR_ENOMEM;
    if (expiry->leases < expiry->over_capacity)
        return WEIR_OK;
    size_t const capacity = expiry->heap.capacity;
    void *const over =
        weir__resize(&registry->env, expiry->over, expiry->over_capacity * sizeof(weir__reg_item *),
                     capacity * sizeof(weir__reg_item *));
    if (over == NULL)
        return WEIR_ENOMEM;
    expiry->over = over;
    expiry->over_capacity = capacity;
    return WEIR_OK;
}

/* At a time of the environment's clock. */
static void expiry_wake(weir_registry *registry, uint64_t at_ns)
{
    if (at_ns < registry->expiry.promised_ns)
        registry->expiry.promised_ns = at_ns;
    weir__reg_wake(registry, at_ns);
}

static void expiry_watch_item(weir_registry *registry, weir__reg_item *item, uint64_t end_ns)
{
    (void)weir__heap_set(&registry->expiry.heap, &item->due, end_ns); /* There is room. */
    expiry_wake(registry, expiry_real_ns(registry, end_ns));
}

static uint64_t expiry_rate(const weir_registry *registry, const weir__reg_item *item)
{
    return WEIR__REG_MINUTE_NS * 1000000 / weir__reg_renew_ns(registry, &item->record->instance);
}

static void expiry_begin_minute(weir_registry *registry, uint64_t at_ns)
{
    registry->expiry.minute_ns = at_ns;
    registry->expiry.counted = expiry_counted(registry);
    expiry_wake(registry, expiry_real_ns(registry, at_ns + WEIR__REG_MINUTE_NS));
}

void weir__reg_lease_begin(weir_registry *registry, weir__reg_item *item, uint64_t beat_ns)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    atomic_store_explicit(&item->beat_ns, beat_ns, memory_order_relaxed);
    if (expiry->leases++ == 0) {
        expiry->measured = false;
        expiry->preserve_ns = WEIR_NEVER;
        expiry_begin_minute(registry, weir__reg_lease_now(registry, registry->now_ns));
    }
    expiry->expected += expiry_rate(registry, item);
    expiry_watch_item(registry, item, expiry_end_ns(registry, item));
}

static void expiry_unlist(weir__reg_expiry *expiry, weir__reg_item *item)
{
    if (item->over == 0)
        return;
    weir__reg_item *const last = expiry->over[--expiry->over_count];
    expiry->over[item->over - 1] = last;
    last->over = item->over;
    item->over = 0;
    if (expiry->cursor > expiry->over_count)
        expiry->cursor = expiry->over_count;
}

void weir__reg_lease_end(weir_registry *registry, weir__reg_item *item)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    uint32_t const lease = atomic_load_explicit(&item->lease, memory_order_relaxed);
    if (lease != WEIR__REG_LEASED && lease != WEIR__REG_LEAVING)
        return;
    for (size_t i = 0; lease == WEIR__REG_LEAVING && i < expiry->victim_count; i++)
        if (expiry->victims[i] == item)
            expiry->victims[i] = NULL;
    weir__heap_remove(&expiry->heap, &item->due);
    expiry_unlist(expiry, item);
    expiry->expected -= expiry_rate(registry, item);
    expiry->leases--;
}

void weir__reg_lease_renew(weir_registry *registry, weir__reg_item *item, uint64_t now_ns)
{
    uint64_t const beat_ns = weir__reg_lease_now(registry, now_ns);
    if (beat_ns > atomic_load_explicit(&item->beat_ns, memory_order_relaxed))
        atomic_store_explicit(&item->beat_ns, beat_ns, memory_order_relaxed);
}

/* ---- Self-preservation ---- */

uint64_t weir__reg_threshold(const weir_registry *registry)
{
    return registry->expiry.expected * registry->options.preserve_percent / 100 / 1000000;
}

static bool expiry_large(const weir_registry *registry)
{
    return registry->expiry.leases >= registry->options.preserve_min;
}

static bool expiry_escaped(const weir__reg_expiry *expiry, const weir_registry *registry,
                           uint64_t lease_ns)
{
    return expiry->preserve_ns != WEIR_NEVER &&
           lease_ns - expiry->preserve_ns >= registry->options.preserve_ms * WEIR__NS_PER_MS;
}

/* Whether too few renew for the silence of some to be their own fault. */
static bool expiry_suspicious(const weir_registry *registry)
{
    return registry->options.preserve_percent > 0 && expiry_large(registry) &&
           (!registry->expiry.measured ||
            registry->expiry.renewals <= weir__reg_threshold(registry));
}

bool weir__reg_preserving(const weir_registry *registry)
{
    const weir__reg_expiry *const expiry = &registry->expiry;
    uint64_t const stood_ns = atomic_load_explicit(&registry->stood_ns, memory_order_relaxed);
    return expiry->preserve_ns != WEIR_NEVER &&
           !expiry_escaped(expiry, registry, registry->now_ns - stood_ns);
}

/* Once somebody is over: may anyone be removed? */
static bool expiry_allowed(weir_registry *registry, uint64_t lease_ns)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    if (!expiry_suspicious(registry))
        return true;
    if (expiry->preserve_ns == WEIR_NEVER)
        expiry->preserve_ns = lease_ns;
    return expiry_escaped(expiry, registry, lease_ns);
}

static void expiry_minute(weir_registry *registry, uint64_t lease_ns)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    if (expiry->leases == 0 || lease_ns - expiry->minute_ns < WEIR__REG_MINUTE_NS)
        return;
    expiry->renewals = expiry_counted(registry) - expiry->counted;
    expiry->measured = true;
    expiry->cursor = expiry->over_count;
    if (!expiry_suspicious(registry))
        expiry->preserve_ns = WEIR_NEVER;
    uint64_t const minutes = (lease_ns - expiry->minute_ns) / WEIR__REG_MINUTE_NS;
    expiry_begin_minute(registry, expiry->minute_ns + minutes * WEIR__REG_MINUTE_NS);
}

/* ---- Who is over ---- */

/* Those that come up, a slice of them. True: there may be more. */
static bool expiry_collect(weir_registry *registry, uint64_t lease_ns)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    for (unsigned i = 0; i < WEIR__REG_SLICE; i++) {
        weir__heap_node *const first = weir__heap_first(&expiry->heap);
        if (first == NULL || first->at_ns > lease_ns)
            return false;
        weir__reg_item *const item =
            (weir__reg_item *)(void *)((char *)first - offsetof(weir__reg_item, due));
        uint64_t const end_ns = expiry_end_ns(registry, item);
        if (end_ns > lease_ns) {
            (void)weir__heap_set(&expiry->heap, &item->due, end_ns);
            continue;
        }
        weir__heap_remove(&expiry->heap, &item->due);
        expiry->over[expiry->over_count] = item;
        item->over = (uint32_t)++expiry->over_count;
    }
    return true;
}

/* Back among the others, if it was renewed meanwhile. */
static bool expiry_revived(weir_registry *registry, weir__reg_item *item, uint64_t lease_ns)
{
    uint64_t const end_ns = expiry_end_ns(registry, item);
    if (end_ns <= lease_ns)
        return false;
    expiry_unlist(&registry->expiry, item);
    expiry_watch_item(registry, item, end_ns);
    return true;
}

/* Once a minute, each of those that are preserved. True: there are more. */
static bool expiry_recheck(weir_registry *registry, uint64_t lease_ns)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    for (unsigned i = 0; i < WEIR__REG_SLICE && expiry->cursor > 0; i++) {
        expiry->cursor--;
        (void)expiry_revived(registry, expiry->over[expiry->cursor], lease_ns);
    }
    return expiry->cursor > 0;
}

/* ---- Their removal ---- */

/* How many may go now: of a large fleet, a share in each pass. */
static size_t expiry_quota(weir_registry *registry, uint64_t lease_ns)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    if (!expiry_large(registry))
        return SIZE_MAX;
    uint64_t const pass_ns = registry->options.evict_ms * WEIR__NS_PER_MS;
    if (expiry->pass_ns == WEIR_NEVER || lease_ns - expiry->pass_ns >= pass_ns) {
        expiry->pass_ns = lease_ns;
        expiry->pass_left =
            expiry->leases - expiry->leases * (100 - registry->options.evict_percent) / 100;
    }
    return expiry->pass_left;
}

static void expiry_choose(weir_registry *registry, uint64_t lease_ns, size_t quota)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    size_t const most = expiry->single ? 1 : WEIR__REG_VICTIMS;
    for (unsigned i = 0; i < WEIR__REG_SLICE && expiry->over_count > 0; i++) {
        if (expiry->victim_count == most || expiry->victim_count == quota)
            return;
        size_t const at = (size_t)weir__rng_below(&registry->rng, expiry->over_count);
        weir__reg_item *const item = expiry->over[at];
        if (expiry_revived(registry, item, lease_ns))
            continue;
        expiry_unlist(expiry, item);
        atomic_store_explicit(&item->lease, WEIR__REG_LEAVING, memory_order_relaxed);
        expiry->victims[expiry->victim_count++] = item;
    }
}

static void expiry_removed(weir_registry *registry, int code, bool succeeded)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    uint64_t const lease_ns = weir__reg_lease_now(registry, registry->now_ns);
    size_t const count = expiry->victim_count;
    for (size_t i = 0; i < count; i++) {
        weir__reg_item *const item = expiry->victims[i];
        if (succeeded || item == NULL)
            continue; /* The watch tells of those that went. */
        atomic_store_explicit(&item->lease, WEIR__REG_LEASED, memory_order_relaxed);
        expiry_watch_item(registry, item, lease_ns + WEIR__NS_PER_S);
    }
    expiry->victim_count = 0;
    expiry->single = code == WEIR_OK && !succeeded;
    expiry->evicted += succeeded ? count : 0;
    if (succeeded && expiry_large(registry))
        expiry->pass_left -= count < expiry->pass_left ? count : expiry->pass_left;
    expiry_wake(registry, registry->now_ns);
}

static void expiry_told(const weir_kv_result *result, void *user)
{
    weir__reg_ticket *const ticket = user;
    weir_registry *const registry = ticket->owner;
    weir_env const env = ticket->env;
    weir__free(&env, ticket, sizeof *ticket);
    if (registry == NULL)
        return;
    registry->expiry.ticket = NULL;
    (void)weir__reg_now(registry);
    expiry_removed(registry, result->code, result->code == WEIR_OK && result->succeeded);
}

/* One transaction: each is still as it was when its lease ran out. */
static int expiry_ask(weir_registry *registry, weir__reg_ticket *ticket)
{
    const weir__reg_expiry *const expiry = &registry->expiry;
    char keys[WEIR__REG_VICTIMS][EXPIRY_KEY];
    weir_kv_compare compares[WEIR__REG_VICTIMS];
    weir_kv_op ops[WEIR__REG_VICTIMS];
    for (size_t i = 0; i < expiry->victim_count; i++) {
        const weir__reg_item *const item = expiry->victims[i];
        memcpy(keys[i], registry->root, registry->root_size);
        memcpy(keys[i] + registry->root_size, item->key, item->node.key_size);
        weir_bytes const key = {keys[i], registry->root_size + item->node.key_size};
        compares[i] = (weir_kv_compare){.key = key,
                                        .target = WEIR_KV_MOD_REVISION,
                                        .relation = WEIR_KV_EQUAL,
                                        .number = item->record->instance.revision};
        ops[i] = (weir_kv_op){.kind = WEIR_KV_DELETE, .range = {.keys = {.key = key}}};
    }
    weir_kv_txn const txn = {.compares = compares,
                             .compare_count = expiry->victim_count,
                             .then_ops = ops,
                             .then_count = expiry->victim_count};
    return registry->kv.txn(registry->kv.self, &txn, expiry_told, ticket);
}

static void expiry_remove(weir_registry *registry)
{
    weir__reg_ticket *const ticket = weir__alloc(&registry->env, sizeof *ticket);
    if (ticket == NULL) {
        expiry_removed(registry, WEIR_ENOMEM, false);
        return;
    }
    *ticket = (weir__reg_ticket){.env = registry->env, .owner = registry};
    registry->expiry.ticket = ticket;
    int const code = expiry_ask(registry, ticket);
    if (code == WEIR_OK)
        return;
    registry->expiry.ticket = NULL;
    weir__free(&registry->env, ticket, sizeof *ticket);
    expiry_removed(registry, code, false);
}

/* When to look again on account of those that are over. On the lease clock. */
static uint64_t expiry_evict(weir_registry *registry, uint64_t lease_ns)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    if (expiry->over_count == 0 || expiry->victim_count > 0)
        return WEIR_NEVER; /* Or who removes them wakes us. */
    if (lease_ns < expiry->hold_ns)
        return expiry->hold_ns;
    if (!atomic_load_explicit(&registry->synced, memory_order_relaxed))
        return lease_ns + WEIR__NS_PER_S;
    if (!expiry_allowed(registry, lease_ns)) {
        uint64_t const preserve_ns = registry->options.preserve_ms * WEIR__NS_PER_MS;
        return weir__add_ns(expiry->preserve_ns, preserve_ns);
    }
    size_t const quota = expiry_quota(registry, lease_ns);
    if (quota == 0)
        return expiry->pass_ns + registry->options.evict_ms * WEIR__NS_PER_MS;
    expiry_choose(registry, lease_ns, quota);
    if (expiry->victim_count > 0)
        expiry_remove(registry);
    return expiry->over_count > 0 && expiry->victim_count == 0 ? lease_ns : WEIR_NEVER;
}

/*
 * Who is run so late was not listening either. The clock makes up for it, and what waits to be
 * heard is heard before anyone is removed. What is less is no more than a busy loop.
 */
static void expiry_make_up(weir_registry *registry)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    uint64_t const now_ns = registry->now_ns;
    uint64_t const late_ns = now_ns > expiry->promised_ns ? now_ns - expiry->promised_ns : 0;
    if (late_ns < EXPIRY_STALL_NS)
        return;
    (void)atomic_fetch_add_explicit(&registry->stood_ns, late_ns, memory_order_relaxed);
    uint64_t const renew_ns = registry->options.renew_ms * WEIR__NS_PER_MS;
    expiry->hold_ns =
        weir__reg_lease_now(registry, now_ns) + (late_ns < renew_ns ? late_ns : renew_ns);
}

uint64_t weir__reg_expiry_run(weir_registry *registry)
{
    weir__reg_expiry *const expiry = &registry->expiry;
    expiry_make_up(registry);
    uint64_t const lease_ns = weir__reg_lease_now(registry, registry->now_ns);
    expiry->promised_ns = WEIR_NEVER;
    expiry_minute(registry, lease_ns);
    bool const more = expiry_collect(registry, lease_ns);
    bool const recheck = expiry_recheck(registry, lease_ns);
    uint64_t next_ns = expiry_evict(registry, lease_ns);
    if (more || recheck)
        next_ns = lease_ns;
    uint64_t const heap_ns = weir__heap_next_ns(&expiry->heap);
    if (heap_ns < next_ns)
        next_ns = heap_ns;
    if (expiry->leases > 0 && expiry->minute_ns + WEIR__REG_MINUTE_NS < next_ns)
        next_ns = expiry->minute_ns + WEIR__REG_MINUTE_NS;
    uint64_t const real_ns = expiry_real_ns(registry, next_ns);
    if (real_ns < expiry->promised_ns)
        expiry->promised_ns = real_ns;
    return expiry->promised_ns;
}

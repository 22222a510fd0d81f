#include "config/config.h"

#include <string.h>

#define CONFIG_FIRST_SLOTS 4
#define CONFIG_SWEEP_EVERY 64 /* A barrier costs as much as a few writes: shared by so many. */
#define CONFIG_ENTRY_MAX   UINT32_MAX

#if defined(__GNUC__)
#define VIEW_PREFETCH(p) __builtin_prefetch(p)
#else
#define VIEW_PREFETCH(p) ((void)(p))
#endif

static void config_retire(weir_config *config, weir__config_garbage *garbage)
{
    garbage->mark = weir__grace_mark();
    garbage->next = config->garbage;
    config->garbage = garbage;
    if (++config->garbage_count >= CONFIG_SWEEP_EVERY)
        weir__config_sweep(config, false);
}

void weir__config_sweep(weir_config *config, bool all)
{
    if (config->garbage == NULL)
        return;
    uint64_t const horizon = all ? UINT64_MAX : weir__grace_horizon();
    weir__config_garbage **link = &config->garbage;
    size_t kept = 0;
    for (; *link != NULL && (*link)->mark > horizon; kept++)
        link = &(*link)->next;
    weir__config_garbage *garbage = *link; /* Newest first: the rest is older still. */
    *link = NULL;
    config->garbage_count = kept;
    while (garbage != NULL) {
        weir__config_garbage *const next = garbage->next;
        config->bytes -= garbage->bytes;
        weir__free(&config->env, garbage, garbage->bytes);
        garbage = next;
    }
}

static void *config_new(weir_config *config, size_t bytes)
{
    weir__config_garbage *const made = weir__alloc(&config->env, bytes);
    if (made != NULL) {
        made->bytes = bytes;
        config->bytes += bytes;
    }
    return made;
}

static void config_drop(weir_config *config, weir__config_garbage *made)
{
    config->bytes -= made->bytes;
    weir__free(&config->env, made, made->bytes);
}

/* ---- The table ---- */

static weir__config_slot *config_slot(weir__config_slots *slots, uint64_t hash, const char *name,
                                      size_t size)
{
    size_t at = (size_t)hash & (slots->capacity - 1);
    for (;; at = (at + 1) & (slots->capacity - 1)) {
        weir__config_slot *const slot = &slots->slots[at];
        const weir__config_entry *const entry =
            atomic_load_explicit(&slot->entry, memory_order_acquire);
        if (entry == NULL)
            return slot;
        if (atomic_load_explicit(&slot->hash, memory_order_relaxed) != hash)
            continue;
        VIEW_PREFETCH((const char *)entry + WEIR__CACHE_LINE); /* The name, and the value: */
        VIEW_PREFETCH((const char *)entry + (size_t)2 * WEIR__CACHE_LINE); /* all at once. */
        if (entry->name_size == size &&
            memcmp(weir__config_bytes(entry, entry->name_at), name, size) == 0)
            return slot;
    }
}

static weir__config_shard *config_shard(weir_config *config, uint64_t hash)
{
    return &config->shards[hash >> (64 - WEIR__CONFIG_SHARD_BITS)];
}

weir__config_entry *weir__config_find(weir_config *config, const char *name, size_t size)
{
    uint64_t const hash = weir__hash(config->seed, name, size);
    weir__config_slots *const slots =
        atomic_load_explicit(&config_shard(config, hash)->slots, memory_order_acquire);
    if (slots == NULL)
        return NULL;
    return atomic_load_explicit(&config_slot(slots, hash, name, size)->entry, memory_order_acquire);
}

/* Room for one more name in its shard. The old slots stay right for who reads them still. */
static int config_grow(weir_config *config, weir__config_shard *shard)
{
    weir__config_slots *const old = atomic_load(&shard->slots);
    if (old != NULL && shard->count + 1 <= old->capacity / 4 * 3)
        return WEIR_OK;
    size_t const capacity = old != NULL ? old->capacity * 2 : CONFIG_FIRST_SLOTS;
    weir__config_slots *const slots =
        config_new(config, sizeof *slots + capacity * sizeof(weir__config_slot));
    if (slots == NULL)
        return WEIR_ENOMEM;
    slots->capacity = capacity;
    for (size_t i = 0; old != NULL && i < old->capacity; i++) {
        weir__config_entry *const entry = atomic_load(&old->slots[i].entry);
        if (entry == NULL)
            continue;
        uint64_t const hash = atomic_load(&old->slots[i].hash);
        weir__config_slot *const slot =
            config_slot(slots, hash, weir__config_bytes(entry, entry->name_at), entry->name_size);
        atomic_store_explicit(&slot->hash, hash, memory_order_relaxed);
        atomic_store_explicit(&slot->entry, entry, memory_order_relaxed);
    }
    atomic_store(&shard->slots, slots);
    if (old != NULL)
        config_retire(config, &old->garbage);
    return WEIR_OK;
}

/* ---- Entries ---- */

static weir_bytes config_scope(const weir__config_entry *entry, const weir__config_item *item)
{
    return (weir_bytes){weir__config_bytes(entry, item->scope_at), item->scope_size};
}

const weir__config_item *weir__config_item_of(const weir__config_entry *entry, weir_bytes scope)
{
    for (uint32_t i = 0; entry != NULL && i < entry->count; i++)
        if (weir__config_equal(config_scope(entry, &entry->items[i]), scope))
            return &entry->items[i];
    return NULL;
}

weir_bytes weir__config_item_environment(const weir__config_entry *entry,
                                         const weir__config_item *item)
{
    return (weir_bytes){weir__config_bytes(entry, item->scope_at) + 1, item->environment_size};
}

weir_bytes weir__config_item_label(const weir__config_entry *entry, const weir__config_item *item)
{
    return (weir_bytes){weir__config_bytes(entry, item->scope_at) + 1 + item->environment_size + 1,
                        item->label_size};
}

bool weir__config_item_in(const weir__config_entry *entry, const weir__config_item *item,
                          const char *environment, const char *label)
{
    return item->layer != WEIR_CONFIG_GRAY &&
           weir__config_same(weir__config_item_environment(entry, item), environment) &&
           weir__config_same(weir__config_item_label(entry, item), label);
}

/* An item to be, and where its bytes are now. */
typedef struct config_part {
    weir__config_item item;
    weir_bytes scope, raw;
} config_part;

static config_part config_part_of(const weir__config_entry *entry, const weir__config_item *item)
{
    return (config_part){.item = *item,
                         .scope = config_scope(entry, item),
                         .raw = {weir__config_bytes(entry, item->raw_at), item->raw_size}};
}

/* In the order of asking: rules by priority, then the narrower layer. */
static bool config_before(const config_part *a, const config_part *b)
{
    if (a->item.layer != b->item.layer)
        return a->item.layer > b->item.layer;
    if (a->item.priority != b->item.priority)
        return a->item.priority > b->item.priority;
    size_t const size = a->scope.size < b->scope.size ? a->scope.size : b->scope.size;
    int const order = memcmp(a->scope.data, b->scope.data, size);
    return order != 0 ? order < 0 : a->scope.size < b->scope.size;
}

static void config_place(weir__config_entry *entry, const config_part *part, uint32_t *at)
{
    weir__config_item *const item = &entry->items[entry->count++];
    uint32_t const head = part->item.value_at - part->item.raw_at; /* The record's line. */
    char *const base = (char *)entry;
    *item = part->item;
    item->scope_at = *at;
    item->raw_at = item->scope_at + (uint32_t)part->scope.size;
    item->value_at = item->raw_at + head;
    if (part->scope.size > 0)
        memcpy(base + item->scope_at, part->scope.data, part->scope.size);
    if (part->raw.size > 0 && part->raw.data != NULL)
        memcpy(base + item->raw_at, part->raw.data, part->raw.size);
    *at = item->raw_at + item->raw_size;
}

/* A rule that is gone is remembered until nothing older can come any more. */
static bool config_outlived(const weir_config *config, const weir__config_item *item)
{
    return item->layer == WEIR_CONFIG_GRAY && item->deleted && item->revision <= config->revision;
}

/* The entry anew, with `part` in the place of what has its scope. */
static weir__config_entry *config_entry(weir_config *config, weir_bytes name,
                                        const weir__config_entry *old, const config_part *part)
{
    size_t bytes = name.size + 1 + part->scope.size + part->raw.size;
    size_t count = 1;
    for (uint32_t i = 0; old != NULL && i < old->count; i++, count++)
        bytes += old->items[i].scope_size + (size_t)old->items[i].raw_size;
    bytes += sizeof(weir__config_entry) + count * sizeof(weir__config_item);
    weir__config_entry *const entry = bytes <= CONFIG_ENTRY_MAX ? config_new(config, bytes) : NULL;
    if (entry == NULL)
        return NULL;
    entry->name_at = (uint32_t)(sizeof(weir__config_entry) + count * sizeof(weir__config_item));
    entry->name_size = (uint32_t)name.size;
    memcpy((char *)entry + entry->name_at, name.data, name.size);
    uint32_t at = entry->name_at + entry->name_size + 1;
    bool placed = false;
    for (uint32_t i = 0; old != NULL && i < old->count; i++) {
        config_part const other = config_part_of(old, &old->items[i]);
        if (weir__config_equal(other.scope, part->scope) || config_outlived(config, &other.item))
            continue;
        if (!placed && config_before(part, &other)) {
            config_place(entry, part, &at);
            placed = true;
        }
        config_place(entry, &other, &at);
    }
    if (!placed)
        config_place(entry, part, &at);
    return entry;
}

static bool config_alive(const weir__config_entry *entry)
{
    for (uint32_t i = 0; entry != NULL && i < entry->count; i++)
        if (!entry->items[i].deleted && entry->items[i].layer != WEIR_CONFIG_GRAY)
            return true;
    return false;
}

static int config_replace(weir_config *config, weir_bytes name, const config_part *part)
{
    uint64_t const hash = weir__hash(config->seed, name.data, name.size);
    weir__config_shard *const shard = config_shard(config, hash);
    weir__config_entry *const old = weir__config_find(config, name.data, name.size);
    weir__config_entry *const entry = config_entry(config, name, old, part);
    if (entry == NULL)
        return WEIR_ENOMEM;
    if (old == NULL && config_grow(config, shard) != WEIR_OK) {
        config_drop(config, &entry->garbage);
        return WEIR_ENOMEM;
    }
    config->names += config_alive(entry);
    config->names -= config_alive(old);
    weir__config_slot *const slot =
        config_slot(atomic_load(&shard->slots), hash, name.data, name.size);
    atomic_store_explicit(&slot->hash, hash, memory_order_relaxed);
    atomic_store(&slot->entry, entry);
    if (old != NULL) {
        config_retire(config, &old->garbage);
    } else {
        shard->count++;
        config->entries++;
    }
    return WEIR_OK;
}

int weir__config_put(weir_config *config, const weir__config_key *key, weir_bytes raw,
                     uint64_t revision)
{
    weir__config_entry *const entry = weir__config_find(config, key->name.data, key->name.size);
    const weir__config_item *const item = weir__config_item_of(entry, key->scope);
    if (item != NULL) {
        entry->items[item - entry->items].seen = config->generation;
        if (item->revision >= revision)
            return WEIR_OK;
    }
    weir__config_record record = {.version = item != NULL ? item->version : 0, .deleted = true};
    if (raw.data != NULL && !weir__config_record_parse(raw, &record)) {
        weir__config_problem(config, key->name, "a record that is none: what was stays in force");
        return WEIR_OK;
    }
    size_t const line = raw.data != NULL ? raw.size - record.value.size : 0;
    config_part const part = {.item = {.version = record.version,
                                       .revision = revision,
                                       .modified_ms = record.modified_ms,
                                       .scope_size = (uint32_t)key->scope.size,
                                       .raw_size = (uint32_t)raw.size,
                                       .value_at = (uint32_t)line, /* From raw_at, which is 0. */
                                       .value_size = (uint32_t)record.value.size,
                                       .priority = (uint32_t)record.priority,
                                       .seen = config->generation,
                                       .environment_size = (uint8_t)key->environment.size,
                                       .label_size = (uint8_t)key->label.size,
                                       .layer = (uint8_t)key->layer,
                                       .deleted = record.deleted},
                              .scope = key->scope,
                              .raw = raw};
    return raw.size < CONFIG_ENTRY_MAX ? config_replace(config, key->name, &part) : WEIR_ENOMEM;
}

weir__config_entry *weir__config_next(weir_config *config, size_t at[2])
{
    for (; at[0] < WEIR__CONFIG_SHARDS; at[0]++, at[1] = 0) {
        weir__config_slots *const slots =
            atomic_load_explicit(&config->shards[at[0]].slots, memory_order_acquire);
        while (slots != NULL && at[1] < slots->capacity) {
            weir__config_entry *const entry =
                atomic_load_explicit(&slots->slots[at[1]++].entry, memory_order_acquire);
            if (entry != NULL)
                return entry;
        }
    }
    return NULL;
}

void weir__config_view_free(weir_config *config)
{
    weir__config_entry *entry;
    for (size_t at[2] = {0, 0}; (entry = weir__config_next(config, at)) != NULL;)
        config_drop(config, &entry->garbage);
    for (size_t i = 0; i < WEIR__CONFIG_SHARDS; i++) {
        weir__config_slots *const slots = atomic_load(&config->shards[i].slots);
        if (slots != NULL)
            config_drop(config, &slots->garbage);
    }
    weir__config_sweep(config, true);
}

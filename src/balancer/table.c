#include "balancer/balancer.h"

static size_t table_columns(const weir__table *table)
{
    return 1 + table->config->options.selector_count;
}

static size_t table_places_bytes(const weir__table *table)
{
    return table->roster->count * table_columns(table) * sizeof *table->places;
}

static void table_place(weir__table *table, weir__set *set)
{
    size_t const column = set->selector == UINT32_MAX ? 0 : 1 + set->selector;
    for (uint32_t i = 0; i < set->level_count; i++)
        for (uint32_t at = 0; at < set->levels[i].count; at++)
            table->places[set->levels[i].members[at] * table_columns(table) + column] =
                (weir__place){.level = &set->levels[i], .index = at};
}

static int table_add_places(weir_balancer *balancer, weir__table *table)
{
    if (table->config->kind->changed == NULL || table->roster->count == 0)
        return WEIR_OK;
    table->places = weir__alloc(&balancer->env, table_places_bytes(table));
    if (table->places == NULL)
        return WEIR_ENOMEM;
    table_place(table, &table->all);
    for (size_t i = 0; i < table->subset_count; i++)
        table_place(table, &table->subsets[i]);
    return WEIR_OK;
}

static int table_add_all(weir_balancer *balancer, weir__table *table)
{
    uint32_t const count = table->roster->count;
    size_t const bytes = (count + 1) * sizeof(uint32_t);
    uint32_t *const all = weir__alloc(&balancer->env, bytes);
    if (all == NULL)
        return WEIR_ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        all[i] = i;
    table->all.members = count;
    table->all.selector = UINT32_MAX;
    int const result = weir__levels_new(balancer, table, &table->all, all, table->shares);
    weir__free(&balancer->env, all, bytes);
    for (uint32_t i = 0; i < table->all.level_count; i++)
        table->usable += table->all.levels[i].usable;
    return result;
}

static int table_fill(weir_balancer *balancer, weir__table *table, uint64_t now_ns)
{
    table->shares = weir__alloc(&balancer->env, (table->roster->count + 1) * sizeof *table->shares);
    if (table->shares == NULL)
        return WEIR_ENOMEM;
    table->warming = weir__weights(table->config, table->roster, now_ns, table->shares);
    if (table_add_all(balancer, table) || weir__subsets_new(balancer, table))
        return WEIR_ENOMEM;
    return table_add_places(balancer, table);
}

weir__table *weir__table_new(weir_balancer *balancer, weir__config *config, weir__roster *roster,
                             uint64_t now_ns)
{
    weir__table *const table = weir__alloc(&balancer->env, sizeof *table);
    if (table == NULL)
        return NULL;
    table->config = config;
    table->roster = roster;
    table->in_turns = config->kind->in_turns;
    table->learns = config->kind->ended != NULL || config->kind->changed != NULL;
    config->refs++;
    roster->refs++;
    if (table_fill(balancer, table, now_ns) == WEIR_OK)
        return table;
    weir__table_free(&table->version, balancer);
    return NULL;
}

void weir__table_free(weir__version *version, void *owner)
{
    weir_balancer *const balancer = owner;
    const weir_env *const env = &balancer->env;
    weir__table *const table = (weir__table *)version;
    weir__levels_free(balancer, &table->all);
    weir__subsets_free(balancer, table);
    if (table->places != NULL)
        weir__free(env, table->places, table_places_bytes(table));
    weir__free(env, table->shares, (table->roster->count + 1) * sizeof *table->shares);
    weir__config_release(env, table->config);
    weir__roster_release(env, table->roster);
    weir__free(env, table, sizeof *table);
}

/*
 * After nobody could serve, those who can again must not get the calls of all: let through are as
 * many calls as they are of recovery_min_members, until these are there, or no more come.
 */
static void table_throttle(weir_balancer *balancer, weir__table *table, uint64_t now_ns)
{
    const weir__table *const old = weir__snapshot_get(&balancer->table);
    const weir_balancer_options *const options = &table->config->options;
    uint32_t const enough = options->recovery_min_members;
    if (balancer->served && table->usable == 0)
        balancer->recovering = true;
    balancer->served |= table->usable > 0;
    if (balancer->recovering && (old == NULL || old->usable != table->usable))
        balancer->hold_ns = weir__add_ns(now_ns, options->recovery_hold_ns);
    if (table->usable >= enough || (table->usable > 0 && now_ns >= balancer->hold_ns))
        balancer->recovering = balancer->recovering && table->usable == 0;
    table->admit = UINT32_MAX;
    if (balancer->recovering)
        table->admit = (uint32_t)((double)table->usable / (enough > 0 ? enough : 1) * UINT32_MAX);
}

/* Calls that ended while the plan was made may have been missed. */
static void table_freshen(const weir__kind *kind, weir__set *set)
{
    for (uint32_t i = 0; i < set->level_count; i++)
        for (uint32_t at = 0; at < set->levels[i].count; at++)
            kind->changed(&set->levels[i], at);
}

void weir__table_publish(weir_balancer *balancer, weir__table *table, uint64_t now_ns)
{
    const weir__roster *const roster = table->roster;
    const weir__kind *const kind = table->config->kind;
    for (uint32_t i = 0; i < roster->count; i++) {
        atomic_store_explicit(&roster->records[i]->index, i, memory_order_relaxed);
        atomic_store_explicit(&roster->records[i]->share, table->shares[i], memory_order_relaxed);
    }
    table_throttle(balancer, table, now_ns);
    if (table->admit == UINT32_MAX && table->all.level_count > 0 &&
        table->all.levels[0].upto == UINT32_MAX && table->config->options.load_factor_percent == 0)
        table->plain = &table->all.levels[0];
    table->in_pairs = table->plain != NULL && table->config->pairs && table->plain->count > 1;
    atomic_store(&balancer->timed, kind->timed);
    atomic_store(&balancer->learns, table->learns);
    weir__snapshot_set(&balancer->table, &table->version);
    if (kind->changed != NULL) {
        table_freshen(kind, &table->all);
        for (size_t i = 0; i < table->subset_count; i++)
            table_freshen(kind, &table->subsets[i]);
    }
    weir__records_sweep(balancer);
}

int weir__table_renew(weir_balancer *balancer, uint64_t now_ns)
{
    const weir__table *const old = weir__snapshot_get(&balancer->table);
    weir__table *const next = weir__table_new(balancer, old->config, old->roster, now_ns);
    if (next == NULL)
        return WEIR_ENOMEM;
    weir__table_publish(balancer, next, now_ns);
    return WEIR_OK;
}

#include "balancer/balancer.h"

#include <string.h>

#define LIFECYCLE_WARM_STEPS 20

static int lifecycle_load(weir_balancer_options *loaded, const weir_balancer_options *options)
{
    *loaded = (weir_balancer_options)WEIR_BALANCER_OPTIONS_INIT;
    return options == NULL
               ? WEIR_OK
               : weir__options_load(loaded, sizeof *loaded, options, options->struct_size);
}

/* Puts a config in force with these members; both are released. */
static int lifecycle_put(weir_balancer *balancer, weir__config *config, weir__roster *roster)
{
    uint64_t const now_ns = weir__now_ns(&balancer->env);
    weir__table *const table = weir__table_new(balancer, config, roster, now_ns);
    weir__config_release(&balancer->env, config);
    weir__roster_release(&balancer->env, roster);
    if (table == NULL)
        return WEIR_ENOMEM;
    weir__table_publish(balancer, table, now_ns);
    return WEIR_OK;
}

static int lifecycle_begin(weir_balancer *balancer, const weir_balancer_options *options)
{
    weir__config *config;
    int const result = weir__config_new(&config, &balancer->env, options);
    if (result != WEIR_OK)
        return result;
    weir__roster *const nobody = weir__roster_new(&balancer->env, 0);
    if (nobody != NULL)
        return lifecycle_put(balancer, config, nobody);
    weir__config_release(&balancer->env, config);
    return WEIR_ENOMEM;
}

int weir_balancer_create(weir_balancer **out, const weir_balancer_options *options)
{
    *out = NULL;
    weir_balancer_options loaded;
    weir_env env;
    if (lifecycle_load(&loaded, options) || weir__env_load(&env, loaded.env))
        return WEIR_EINVAL;
    weir_balancer *const balancer = weir__alloc(&env, sizeof *balancer);
    if (balancer == NULL)
        return WEIR_ENOMEM;
    balancer->env = env;
    balancer->start = weir__random(&env);
    balancer->seed = weir__mix64(balancer->start + WEIR__GOLDEN);
    atomic_store(&balancer->draws, weir__random(&env));
    weir__snapshot_init(&balancer->table, weir__table_free, balancer);
    pthread_mutex_init(&balancer->lock, NULL);
    int const result = lifecycle_begin(balancer, &loaded);
    if (result == WEIR_OK)
        *out = balancer;
    else
        weir_balancer_destroy(balancer);
    return result;
}

void weir_balancer_destroy(weir_balancer *balancer)
{
    if (balancer == NULL)
        return;
    weir_env const env = balancer->env;
    const weir__table *const table = weir__snapshot_get(&balancer->table);
    for (uint32_t i = 0; table != NULL && i < table->roster->count; i++)
        weir__record_free(&env, table->roster->records[i]);
    weir__snapshot_free(&balancer->table);
    while (balancer->left != NULL) {
        weir__record *const record = balancer->left;
        balancer->left = record->next;
        weir__record_free(&env, record);
    }
    pthread_mutex_destroy(&balancer->lock);
    weir__free(&env, balancer, sizeof *balancer);
}

int weir_balancer_configure(weir_balancer *balancer, const weir_balancer_options *options)
{
    weir_balancer_options loaded;
    weir__config *config;
    if (lifecycle_load(&loaded, options))
        return WEIR_EINVAL;
    int result = weir__config_new(&config, &balancer->env, &loaded);
    if (result != WEIR_OK)
        return result;
    pthread_mutex_lock(&balancer->lock);
    const weir__table *const table = weir__snapshot_get(&balancer->table);
    table->roster->refs++;
    result = lifecycle_put(balancer, config, table->roster);
    pthread_mutex_unlock(&balancer->lock);
    return result;
}

/* Lock held. A member that comes back starts slowly. */
static int flags_change(weir_balancer *balancer, weir__record *record, uint32_t flags)
{
    uint64_t const now_ns = weir__now_ns(&balancer->env);
    uint32_t const old = atomic_load(&record->flags);
    uint64_t const warming_ns = record->warming_ns;
    if (flags == old)
        return WEIR_OK;
    atomic_store(&record->flags, flags);
    if (flags == 0)
        record->warming_ns = now_ns;
    if (weir__table_renew(balancer, now_ns) == WEIR_OK)
        return WEIR_OK;
    atomic_store(&record->flags, old);
    record->warming_ns = warming_ns;
    return WEIR_ENOMEM;
}

int weir_balancer_set_flags(weir_balancer *balancer, const char *id, uint32_t set, uint32_t clear)
{
    if ((set & clear) != 0)
        return WEIR_EINVAL;
    int result = WEIR_ENOTFOUND;
    pthread_mutex_lock(&balancer->lock);
    const weir__table *const table = weir__snapshot_get(&balancer->table);
    weir__record *const record = weir__map_get(&table->roster->by_id, id, strlen(id));
    if (record != NULL)
        result = flags_change(balancer, record, (atomic_load(&record->flags) | set) & ~clear);
    pthread_mutex_unlock(&balancer->lock);
    return result;
}

int weir_balancer_mark_down(weir_balancer *balancer, const char *id)
{
    return weir_balancer_set_flags(balancer, id, WEIR_MEMBER_DOWN, 0);
}

int weir_balancer_mark_up(weir_balancer *balancer, const char *id)
{
    return weir_balancer_set_flags(balancer, id, 0, WEIR_MEMBER_DOWN);
}

static uint64_t task_earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

/* Lock held. */
static bool task_due(const weir_balancer *balancer, const weir__table *table, uint64_t now_ns)
{
    const weir_balancer_options *const options = &table->config->options;
    bool const weigh = options->reported_weights &&
                       now_ns >= weir__add_ns(balancer->weighed_ns, options->report_update_ns);
    return weigh || table->warming || (balancer->recovering && now_ns >= balancer->hold_ns);
}

/* Lock held. Nobody tells the task when something begins, so it looks in. */
static uint64_t task_next(const weir_balancer *balancer, const weir__table *table, uint64_t now_ns)
{
    const weir_balancer_options *const options = &table->config->options;
    uint64_t next_ns = WEIR_NEVER;
    if (options->slow_start_ns > 0)
        next_ns = weir__add_ns(now_ns, options->slow_start_ns / LIFECYCLE_WARM_STEPS + 1);
    if (options->reported_weights)
        next_ns = task_earlier(next_ns, weir__add_ns(now_ns, options->report_update_ns));
    if (options->recovery_min_members > 0)
        next_ns = task_earlier(next_ns, weir__add_ns(now_ns, options->recovery_hold_ns));
    if (balancer->recovering && balancer->hold_ns > now_ns)
        next_ns = task_earlier(next_ns, balancer->hold_ns);
    return next_ns;
}

static uint64_t task_run(void *self, uint64_t now_ns)
{
    weir_balancer *const balancer = self;
    pthread_mutex_lock(&balancer->lock);
    if (task_due(balancer, weir__snapshot_get(&balancer->table), now_ns) &&
        weir__table_renew(balancer, now_ns) == WEIR_OK)
        balancer->weighed_ns = now_ns;
    uint64_t const next_ns = task_next(balancer, weir__snapshot_get(&balancer->table), now_ns);
    pthread_mutex_unlock(&balancer->lock);
    return next_ns;
}

weir_task weir_balancer_task(weir_balancer *balancer)
{
    return (weir_task){.run = task_run, .self = balancer};
}

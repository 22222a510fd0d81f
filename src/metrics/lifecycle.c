#include "metrics/metrics.h"

static bool metrics_options_load(weir_metrics_options *loaded, const weir_metrics_options *options)
{
    *loaded = (weir_metrics_options)WEIR_METRICS_OPTIONS_INIT;
    if (options != NULL &&
        weir__options_load(loaded, sizeof *loaded, options, options->struct_size))
        return false;
    return loaded->threads >= 1 && loaded->threads <= WEIR__SHARDS;
}

/* ---- fork() ---- */

static void metrics_before_fork(void *self)
{
    weir_metrics *const metrics = self;
    pthread_mutex_lock(&metrics->lock);
}

static void metrics_in_parent(void *self)
{
    weir_metrics *const metrics = self;
    pthread_mutex_unlock(&metrics->lock);
}

/* Its lock, exemplars and cells may have been in use by threads that are no more. */
static void metrics_mend(weir_metrics_series *series)
{
    bool const in_use = pthread_mutex_trylock(&series->lock) != 0;
    for (size_t i = 0; in_use && series->exemplars != NULL && i < series->family->exemplar_count;
         i++)
        series->exemplars[i].used = false;
    if (in_use)
        pthread_mutex_init(&series->lock, NULL);
    else
        pthread_mutex_unlock(&series->lock);
    weir__cell_mend(series->family, series->shared);
    for (uint32_t i = 0; i < series->threads; i++)
        weir__cell_mend(series->family, atomic_load(&series->cells[i]));
}

/* A scrape of another thread is over; the series that it had keep its references. */
static void metrics_in_child(void *self)
{
    weir_metrics *const metrics = self;
    if (metrics->collecting && !pthread_equal(metrics->collector, pthread_self()))
        metrics->collecting = false;
    pthread_cond_init(&metrics->turn, NULL);
    for (weir_metrics_family *family = metrics->first; family != NULL; family = family->next)
        for (weir_metrics_series *series = family->first; series != NULL; series = series->next)
            metrics_mend(series);
    pthread_mutex_unlock(&metrics->lock);
}

/* ---- Creation ---- */

int weir_metrics_create(weir_metrics **out, const weir_metrics_options *options)
{
    *out = NULL;
    weir_metrics_options loaded;
    weir_env env;
    if (!metrics_options_load(&loaded, options) || weir__env_load(&env, loaded.env))
        return WEIR_EINVAL;
    weir_metrics *const metrics = weir__alloc(&env, sizeof *metrics);
    if (metrics == NULL)
        return WEIR_ENOMEM;
    metrics->options = loaded;
    metrics->options.env = NULL;
    metrics->env = env;
    metrics->fork.self = metrics;
    metrics->fork.prepare = metrics_before_fork;
    metrics->fork.in_parent = metrics_in_parent;
    metrics->fork.in_child = metrics_in_child;
    weir__map_init(&metrics->names, &metrics->env);
    pthread_mutex_init(&metrics->lock, NULL);
    pthread_cond_init(&metrics->turn, NULL);
    if (weir__fork_watch_add(&metrics->fork)) {
        weir__free(&env, metrics, sizeof *metrics);
        return WEIR_ENOMEM;
    }
    *out = metrics;
    return WEIR_OK;
}

void weir_metrics_destroy(weir_metrics *metrics)
{
    if (metrics == NULL)
        return;
    weir_env const env = metrics->env;
    weir__fork_watch_remove(&metrics->fork);
    while (metrics->first != NULL) {
        weir_metrics_family *const family = metrics->first;
        metrics->first = family->next;
        weir__metrics_family_free(family);
    }
    weir__map_free(&metrics->names);
    pthread_cond_destroy(&metrics->turn);
    pthread_mutex_destroy(&metrics->lock);
    weir__free(&env, metrics, sizeof *metrics);
}

void weir__metrics_refuse(weir_metrics *metrics)
{
    atomic_fetch_add_explicit(&metrics->refused, 1, memory_order_relaxed);
}

void weir_metrics_get_stats(weir_metrics *metrics, weir_metrics_stats *stats)
{
    pthread_mutex_lock(&metrics->lock);
    stats->families = metrics->family_count;
    stats->series = metrics->series_count;
    pthread_mutex_unlock(&metrics->lock);
    stats->refused = atomic_load_explicit(&metrics->refused, memory_order_relaxed);
    stats->overflowed = atomic_load_explicit(&metrics->overflowed, memory_order_relaxed);
}

/* A scrape: one at a time, without a lock while anything of the user's runs. */
#include "metrics/metrics.h"

/* False: this thread is within one already. */
static bool collect_begin(weir_metrics *metrics)
{
    pthread_mutex_lock(&metrics->lock);
    bool const within =
        metrics->collecting && pthread_equal(metrics->collector, pthread_self()) != 0;
    if (!within) {
        while (metrics->collecting)
            pthread_cond_wait(&metrics->turn, &metrics->lock);
        metrics->collecting = true;
        metrics->collector = pthread_self();
    }
    pthread_mutex_unlock(&metrics->lock);
    return !within;
}

static void collect_end(weir_metrics *metrics)
{
    pthread_mutex_lock(&metrics->lock);
    metrics->collecting = false;
    pthread_cond_signal(&metrics->turn);
    pthread_mutex_unlock(&metrics->lock);
}

/* Lock held. */
static bool collect_reserve(weir__scrape *scrape, size_t count)
{
    if (count <= scrape->series_room)
        return true;
    weir_metrics_series **const series =
        weir__resize(&scrape->metrics->env, scrape->series,
                     scrape->series_room * sizeof(weir_metrics_series *),
                     count * sizeof(weir_metrics_series *));
    if (series == NULL)
        return false;
    scrape->series = series;
    scrape->series_room = count;
    return true;
}

/* The shown series of a family, each with a reference. */
static bool collect_gather(weir__scrape *scrape, weir_metrics_family *family)
{
    weir_metrics *const metrics = scrape->metrics;
    pthread_mutex_lock(&metrics->lock);
    size_t const count = family->map.count + (family->overflow != NULL);
    bool const room = collect_reserve(scrape, count) && weir__point_reserve(scrape, family);
    scrape->series_count = 0;
    for (weir_metrics_series *series = family->first; room && series != NULL; series = series->next)
        if (series->shown) {
            atomic_fetch_add(&series->refs, 1);
            scrape->series[scrape->series_count++] = series;
        }
    pthread_mutex_unlock(&metrics->lock);
    return room;
}

/* Tells one series; whether it is the first of its family to have a point is in *begun. */
static void collect_point(weir__scrape *scrape, weir_metrics_series *series, bool *begun)
{
    const weir_metrics_view *const view = &series->family->view;
    weir_metrics_point point;
    if (!weir__point_read(scrape, series, &point))
        return;
    if (!*begun && scrape->visitor->family != NULL)
        scrape->visitor->family(view, scrape->user);
    *begun = true;
    scrape->visitor->point(view, &point, scrape->user);
}

static void collect_family(weir__scrape *scrape, weir_metrics_family *family)
{
    bool begun = false;
    if (!collect_gather(scrape, family)) {
        scrape->failed = true;
        return;
    }
    for (size_t i = 0; i < scrape->series_count; i++) {
        collect_point(scrape, scrape->series[i], &begun);
        weir__series_leave(scrape->series[i]);
    }
    if (begun && scrape->visitor->end != NULL)
        scrape->visitor->end(&family->view, scrape->user);
}

static weir_metrics_family *collect_next(weir_metrics *metrics, const weir_metrics_family *family)
{
    pthread_mutex_lock(&metrics->lock);
    weir_metrics_family *const next = family != NULL ? family->next : metrics->first;
    pthread_mutex_unlock(&metrics->lock);
    return next;
}

int weir_metrics_collect(weir_metrics *metrics, const weir_metrics_visitor *visitor, void *user)
{
    weir__scrape scrape = {.metrics = metrics, .visitor = visitor, .user = user};
    if (!collect_begin(metrics))
        return WEIR_EBUSY;
    weir__metrics_observe(&scrape);
    scrape.time_ns = weir__wall_ns(&metrics->env);
    for (weir_metrics_family *family = collect_next(metrics, NULL);
         family != NULL && !scrape.failed; family = collect_next(metrics, family))
        collect_family(&scrape, family);
    collect_end(metrics);
    weir__free(&metrics->env, scrape.series, scrape.series_room * sizeof(weir_metrics_series *));
    weir__free(&metrics->env, scrape.scratch, scrape.scratch_size);
    return scrape.failed ? WEIR_ENOMEM : WEIR_OK;
}

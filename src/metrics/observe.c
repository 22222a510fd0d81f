/* Instruments whose values are kept elsewhere, and asked for at a scrape. */
#include "metrics/metrics.h"

#include <float.h>

static bool observe_valid(const weir_metrics_family *family, double value, bool whole)
{
    const weir_metrics_family_options *const o = &family->options;
    if (o->kind == WEIR_METRICS_GAUGE)
        return true;
    double const least = o->kind == WEIR_METRICS_COUNTER ? 0 : -DBL_MAX;
    return value >= least && value <= DBL_MAX && (whole || o->number == WEIR_METRICS_DOUBLE);
}

/* Nobody else writes this series: its shared cell is as good as any, and needs no lock of ours. */
static void observe_put(const weir_metrics_observer *observer, weir_metrics_series *series,
                        int64_t whole, double real)
{
    weir__word *const words = series->shared->words;
    bool const again = series->round == observer->scrape->round;
    series->round = observer->scrape->round;
    if (series->kind == WEIR_METRICS_GAUGE) {
        weir__word_set(&series->gauge, weir__real_bits((double)whole + real));
        atomic_store(&series->told, true);
        return;
    }
    if (again && series == series->family->overflow) {
        weir__word_add(&words[WEIR__CELL_WHOLE], (uint64_t)whole);
        weir__word_add_real(&words[WEIR__CELL_REAL], real);
        return;
    }
    weir__word_set(&words[WEIR__CELL_WHOLE], (uint64_t)whole);
    weir__word_set(&words[WEIR__CELL_REAL], weir__real_bits(real));
}

static int observe(weir_metrics_observer *observer, const char *const *values, int64_t whole,
                   double real, bool valid)
{
    weir_metrics_family *const family = observer->family;
    weir_metrics_series *series;
    if (!valid) {
        weir__metrics_refuse(family->metrics);
        return WEIR_EINVAL;
    }
    pthread_mutex_lock(&family->metrics->lock);
    int const result = weir__series_find(&series, family, values);
    if (result == WEIR_OK)
        observe_put(observer, series, whole, real);
    pthread_mutex_unlock(&family->metrics->lock);
    if (result == WEIR_ENOMEM)
        observer->scrape->failed = true;
    return result;
}

int weir_metrics_observe(weir_metrics_observer *observer, const char *const *values, int64_t value)
{
    return observe(observer, values, value, 0,
                   observe_valid(observer->family, (double)value, true));
}

int weir_metrics_observe_double(weir_metrics_observer *observer, const char *const *values,
                                double value)
{
    return observe(observer, values, 0, value, observe_valid(observer->family, value, false));
}

/* Those of the scrapes before, and not of this one; whether there were any. */
static bool observe_hide_old(weir_metrics_family *family, uint64_t round)
{
    bool some = false;
    for (weir_metrics_series *series = family->first; series != NULL;) {
        weir_metrics_series *const next = series->next;
        if (series->shown && series->round != round) {
            weir__series_free(weir__series_hide(series));
            some = true;
        }
        series = next;
    }
    return some;
}

/* Lock held, but for the callback. True: what is gone has left room for what found none. */
static bool observe_ask(weir__scrape *scrape, weir_metrics_family *family)
{
    weir_metrics *const metrics = scrape->metrics;
    weir_metrics_observer observer = {.family = family, .scrape = scrape};
    scrape->round = ++metrics->round;
    pthread_mutex_unlock(&metrics->lock);
    family->options.observe(&observer, family->options.user);
    pthread_mutex_lock(&metrics->lock);
    bool const room = observe_hide_old(family, scrape->round);
    return room && family->overflow != NULL;
}

void weir__metrics_observe(weir__scrape *scrape)
{
    weir_metrics *const metrics = scrape->metrics;
    pthread_mutex_lock(&metrics->lock);
    for (weir_metrics_family *family = metrics->first; family != NULL; family = family->next)
        if (family->options.observe != NULL && observe_ask(scrape, family))
            (void)observe_ask(scrape, family);
    pthread_mutex_unlock(&metrics->lock);
}

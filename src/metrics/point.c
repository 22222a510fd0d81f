/* What a series comes to: the cells of all threads, put together. */
#include "metrics/metrics.h"

bool weir__point_reserve(weir__scrape *scrape, const weir_metrics_family *family)
{
    const weir_env *const env = &scrape->metrics->env;
    size_t const words = family->words * sizeof(uint64_t);
    size_t const quantiles = family->options.quantile_count * sizeof(weir_metrics_quantile);
    size_t const size =
        3 * words + quantiles + family->exemplar_count * sizeof(weir_metrics_exemplar);
    if (size > scrape->scratch_size) {
        void *const scratch = weir__alloc(env, size);
        if (scratch == NULL)
            return false;
        weir__free(env, scrape->scratch, scrape->scratch_size);
        scrape->scratch = scratch;
        scrape->scratch_size = size;
    }
    char *const at = scrape->scratch;
    if (at != NULL) {
        scrape->total = (void *)at;
        scrape->words = (void *)(at + words);
        scrape->buckets = (void *)(at + 2 * words);
        scrape->quantiles = (void *)(at + 3 * words);
        scrape->exemplars = (void *)(at + 3 * words + quantiles);
    }
    return true;
}

/* ---- Sums ---- */

static void point_sum(const weir_metrics_series *series, weir_metrics_point *point)
{
    uint64_t whole = weir__word_get(&series->shared->words[WEIR__CELL_WHOLE]);
    double real = weir__word_real(&series->shared->words[WEIR__CELL_REAL]);
    for (uint32_t i = 0; i < series->threads; i++) {
        const weir__cell *const cell =
            atomic_load_explicit(&series->cells[i], memory_order_acquire);
        if (cell != NULL) {
            whole += weir__word_get(&cell->words[WEIR__CELL_WHOLE]);
            real += weir__word_real(&cell->words[WEIR__CELL_REAL]);
        }
    }
    point->integer = (int64_t)whole;
    if (series->kind == WEIR_METRICS_COUNTER && whole > INT64_MAX)
        point->integer = INT64_MAX;
    point->value = (double)point->integer + real;
}

/* ---- Histograms and summaries ---- */

static void point_merge(weir__scrape *scrape, const weir_metrics_series *series,
                        const weir__cell *cell)
{
    weir__word *const total = scrape->total;
    const uint64_t *const words = scrape->words;
    weir__cell_read(cell, scrape->words, series->family->words);
    weir__word_add_real(&total[WEIR__CELL_SUM], weir__real_of_bits(words[WEIR__CELL_SUM]));
    /* Doubles that are not below 0 are in the order of their bits. */
    if (words[WEIR__CELL_MIN] < weir__word_get(&total[WEIR__CELL_MIN]))
        weir__word_set(&total[WEIR__CELL_MIN], words[WEIR__CELL_MIN]);
    if (words[WEIR__CELL_MAX] > weir__word_get(&total[WEIR__CELL_MAX]))
        weir__word_set(&total[WEIR__CELL_MAX], words[WEIR__CELL_MAX]);
    if (series->kind == WEIR_METRICS_HISTOGRAM) {
        for (size_t i = WEIR__CELL_BUCKETS; i < series->family->words; i++)
            weir__word_add(&total[i], words[i]);
        return;
    }
    weir__word_add(&total[WEIR__CELL_ZERO], words[WEIR__CELL_ZERO]);
    if (words[WEIR__CELL_LOW] == 0)
        return;
    int64_t const high = weir__ring_index(words[WEIR__CELL_HIGH]);
    for (int64_t i = weir__ring_index(words[WEIR__CELL_LOW]); i <= high; i++) {
        uint64_t const n = words[weir__ring_place(i, series->places)];
        if (n > 0 && series->kind == WEIR_METRICS_EXPONENTIAL)
            weir__exponential_put(total, series->places, i,
                                  (int32_t)(int64_t)words[WEIR__CELL_SCALE], n, NULL);
        else if (n > 0)
            weir__sketch_put(total, series->places, i, n, NULL);
    }
}

static void point_merge_all(weir__scrape *scrape, const weir_metrics_series *series)
{
    weir__cell_init(series->family, scrape->total);
    point_merge(scrape, series, series->shared);
    for (uint32_t i = 0; i < series->threads; i++) {
        const weir__cell *const cell =
            atomic_load_explicit(&series->cells[i], memory_order_acquire);
        if (cell != NULL)
            point_merge(scrape, series, cell);
    }
}

static void point_histogram(weir__scrape *scrape, const weir_metrics_series *series,
                            weir_metrics_point *point)
{
    point->bounds = series->buckets.bounds;
    point->bound_count = series->places;
    point->buckets = scrape->buckets;
    point->bucket_count = series->places + (size_t)1;
    for (size_t i = 0; i < point->bucket_count; i++) {
        scrape->buckets[i] = weir__word_get(&scrape->total[WEIR__CELL_BUCKETS + i]);
        point->count += scrape->buckets[i];
    }
}

/* A ring, straightened. */
static void point_ring(weir__scrape *scrape, const weir_metrics_series *series,
                       weir_metrics_point *point)
{
    const weir__word *const total = scrape->total;
    point->zero_count = weir__word_get(&total[WEIR__CELL_ZERO]);
    point->count = point->zero_count;
    uint64_t const low = weir__word_get(&total[WEIR__CELL_LOW]);
    if (low == 0)
        return;
    int64_t const first = weir__ring_index(low);
    int64_t const last = weir__ring_index(weir__word_get(&total[WEIR__CELL_HIGH]));
    point->offset = (int32_t)first;
    point->buckets = scrape->buckets;
    point->bucket_count = (size_t)(last - first + 1);
    for (size_t i = 0; i < point->bucket_count; i++) {
        scrape->buckets[i] =
            weir__word_get(&total[weir__ring_place(first + (int64_t)i, series->places)]);
        point->count += scrape->buckets[i];
    }
}

/* The value of rank q (count - 1), from 0 on, in order. */
static double point_quantile(const weir_metrics_family *family, const weir_metrics_point *point,
                             double q)
{
    double const rank = q * (double)(point->count - 1);
    if (q >= 1)
        return point->max; /* This is known, and so is the least. */
    double value = 0;
    uint64_t below = point->zero_count;
    for (size_t i = 0; i < point->bucket_count && (double)below <= rank; i++) {
        below += point->buckets[i];
        value = weir__sketch_value(family, point->offset + (int64_t)i);
    }
    if (value < point->min)
        return point->min;
    return value > point->max ? point->max : value;
}

static void point_quantiles(weir__scrape *scrape, const weir_metrics_family *family,
                            weir_metrics_point *point)
{
    const weir_metrics_family_options *const o = &family->options;
    if (point->count == 0)
        return;
    for (size_t i = 0; i < o->quantile_count; i++)
        scrape->quantiles[i] =
            (weir_metrics_quantile){o->quantiles[i],
                                    point_quantile(family, point, o->quantiles[i])};
    point->quantiles = scrape->quantiles;
    point->quantile_count = o->quantile_count;
}

static void point_spread(weir__scrape *scrape, const weir_metrics_series *series,
                         weir_metrics_point *point)
{
    point_merge_all(scrape, series);
    if (series->kind == WEIR_METRICS_HISTOGRAM)
        point_histogram(scrape, series, point);
    else
        point_ring(scrape, series, point);
    if (point->count > 0) {
        point->sum = weir__word_real(&scrape->total[WEIR__CELL_SUM]);
        point->min = weir__word_real(&scrape->total[WEIR__CELL_MIN]);
        point->max = weir__word_real(&scrape->total[WEIR__CELL_MAX]);
    }
    if (series->kind == WEIR_METRICS_EXPONENTIAL)
        point->scale = (int32_t)(int64_t)weir__word_get(&scrape->total[WEIR__CELL_SCALE]);
    if (series->kind == WEIR_METRICS_SUMMARY) {
        point_quantiles(scrape, series->family, point);
        point->offset = 0; /* Its bins are its own affair. */
        point->zero_count = point->bucket_count = 0;
        point->buckets = NULL;
    }
}

/* ---- All ---- */

static void point_exemplars(weir__scrape *scrape, const weir_metrics_series *series,
                            weir_metrics_point *point)
{
    if (series->exemplars == NULL)
        return;
    for (size_t i = 0; i < series->family->exemplar_count; i++)
        if (series->exemplars[i].used)
            scrape->exemplars[point->exemplar_count++] = series->exemplars[i].shown;
    point->exemplars = scrape->exemplars;
}

bool weir__point_read(weir__scrape *scrape, weir_metrics_series *series, weir_metrics_point *point)
{
    *point = (weir_metrics_point){.labels = series->labels, .label_count = series->label_count};
    point->start_ns = series->start_ns;
    point->time_ns = scrape->time_ns > series->start_ns ? scrape->time_ns : series->start_ns;
    if (series->kind == WEIR_METRICS_GAUGE) {
        bool const told = atomic_load_explicit(&series->told, memory_order_acquire);
        point->value = weir__word_real(&series->gauge);
        return told;
    }
    pthread_mutex_lock(&series->lock); /* Counts are not moved now. */
    if (series->kind >= WEIR_METRICS_HISTOGRAM)
        point_spread(scrape, series, point);
    else
        point_sum(series, point);
    point_exemplars(scrape, series, point);
    pthread_mutex_unlock(&series->lock);
    return true;
}

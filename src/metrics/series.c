#include "metrics/metrics.h"

#include <string.h>

/* ---- Making ---- */

/* What `series` and the labels behind it need. */
static size_t series_size(const weir_metrics_family *family, size_t labels, size_t text)
{
    return sizeof(weir_metrics_series) +
           family->metrics->options.threads * sizeof(_Atomic(weir__cell *)) +
           labels * sizeof(weir_label) + text;
}

void weir__series_free(weir_metrics_series *series)
{
    if (series == NULL)
        return;
    const weir_metrics_family *const family = series->family;
    const weir_env *const env = &family->metrics->env;
    for (uint32_t i = 0; i < series->threads; i++)
        weir__cell_free(family, atomic_load_explicit(&series->cells[i], memory_order_acquire));
    weir__cell_free(family, series->shared);
    weir__free(env, series->exemplars, family->exemplar_count * sizeof *series->exemplars);
    pthread_mutex_destroy(&series->lock);
    weir__free(env, series, series->size);
}

/* Its key is its values, each with its NUL. */
static weir_metrics_series *series_new(weir_metrics_family *family, const char *key,
                                       size_t key_size, size_t labels)
{
    weir_metrics *const metrics = family->metrics;
    size_t const size = series_size(family, labels, key_size);
    weir_metrics_series *const series = weir__alloc(&metrics->env, size);
    if (series == NULL)
        return NULL;
    series->family = family;
    series->size = size;
    series->kind = family->options.kind;
    series->threads = metrics->options.threads;
    series->places = family->places;
    series->buckets = family->buckets;
    series->start_ns = weir__wall_ns(&metrics->env);
    pthread_mutex_init(&series->lock, NULL);
    series->shared = weir__cell_new(family);
    if (series->shared == NULL) {
        weir__series_free(series);
        return NULL;
    }
    series->labels = (void *)((char *)series + series_size(family, 0, 0));
    series->label_count = labels;
    char *const text = (char *)(series->labels + labels);
    if (key_size > 0)
        memcpy(text, key, key_size);
    series->key = text;
    series->key_size = key_size;
    return series;
}

static void series_name_labels(weir_metrics_series *series, const char *const *keys)
{
    const char *value = series->key;
    for (size_t i = 0; i < series->label_count; i++) {
        series->labels[i] = (weir_label){.key = keys[i], .value = value};
        value += strlen(value) + 1;
    }
}

/* Lock held. */
static void series_link(weir_metrics_series *series)
{
    weir_metrics_family *const family = series->family;
    series->before = family->last;
    if (family->last != NULL)
        family->last->next = series;
    else
        family->first = series;
    family->last = series;
    series->shown = true;
    atomic_store(&series->refs, 1);
    family->metrics->series_count++;
}

/* Lock held. */
static void series_unlink(weir_metrics_series *series)
{
    weir_metrics_family *const family = series->family;
    *(series->before != NULL ? &series->before->next : &family->first) = series->next;
    *(series->next != NULL ? &series->next->before : &family->last) = series->before;
}

/* Lock held. */
static int series_add(weir_metrics_series **out, weir_metrics_family *family, const char *key,
                      size_t key_size)
{
    if (weir__map_reserve(&family->map, family->map.count + 1))
        return WEIR_ENOMEM;
    *out = series_new(family, key, key_size, family->options.label_count);
    if (*out == NULL)
        return WEIR_ENOMEM;
    series_name_labels(*out, family->options.labels);
    (void)weir__map_put(&family->map, (*out)->key, key_size, *out);
    series_link(*out);
    return WEIR_OK;
}

/* Lock held. */
static int series_add_overflow(weir_metrics_series **out, weir_metrics_family *family)
{
    static const char *const keys[] = {"otel.metric.overflow"};
    if (family->overflow == NULL) {
        family->overflow = series_new(family, "true", sizeof "true", 1);
        if (family->overflow == NULL)
            return WEIR_ENOMEM;
        series_name_labels(family->overflow, keys);
        series_link(family->overflow);
    }
    atomic_fetch_add_explicit(&family->metrics->overflowed, 1, memory_order_relaxed);
    *out = family->overflow;
    return WEIR_OK;
}

/* ---- Finding ---- */

/* Of these values; false: one is NULL or not UTF-8. */
static bool series_key(weir__text *key, const weir_metrics_family *family,
                       const char *const *values)
{
    uint32_t const count = family->options.label_count;
    if (count > 0 && values == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i] == NULL)
            return false;
        size_t const size = strlen(values[i]);
        if (!weir__text_is_utf8(values[i], size))
            return false;
        weir__text_bytes(key, values[i], size + 1);
    }
    return true;
}

static int series_find_key(weir_metrics_series **out, weir_metrics_family *family,
                           const weir__text *key)
{
    const weir_metrics_family_options *const o = &family->options;
    *out = weir__map_get(&family->map, key->data, key->size);
    if (*out != NULL)
        return WEIR_OK;
    if (o->label_count > 0 && family->map.count + 1 >= o->max_series)
        return series_add_overflow(out, family);
    return series_add(out, family, key->data, key->size);
}

int weir__series_find(weir_metrics_series **out, weir_metrics_family *family,
                      const char *const *values)
{
    weir__text key;
    weir__text_init(&key, &family->metrics->env);
    int result = WEIR_EINVAL;
    if (series_key(&key, family, values))
        result = weir__text_ok(&key) ? series_find_key(out, family, &key) : WEIR_ENOMEM;
    weir__text_free(&key);
    return result;
}

int weir_metrics_series_get(weir_metrics_series **out, weir_metrics_family *family,
                            const char *const *values)
{
    *out = NULL;
    if (family->options.observe != NULL)
        return WEIR_EINVAL;
    pthread_mutex_lock(&family->metrics->lock);
    int const result = weir__series_find(out, family, values);
    if (result == WEIR_OK)
        atomic_fetch_add(&(*out)->refs, 1);
    else
        *out = NULL;
    pthread_mutex_unlock(&family->metrics->lock);
    return result;
}

/* ---- Leaving ---- */

weir_metrics_series *weir__series_hide(weir_metrics_series *series)
{
    weir_metrics_family *const family = series->family;
    if (series == family->overflow)
        family->overflow = NULL;
    else
        (void)weir__map_remove(&family->map, series->key, series->key_size);
    series->shown = false;
    family->metrics->series_count--;
    if (atomic_fetch_sub(&series->refs, 1) > 1)
        return NULL;
    series_unlink(series);
    return series;
}

void weir__series_leave(weir_metrics_series *series)
{
    if (atomic_fetch_sub(&series->refs, 1) > 1)
        return;
    pthread_mutex_t *const lock = &series->family->metrics->lock;
    pthread_mutex_lock(lock);
    series_unlink(series);
    pthread_mutex_unlock(lock);
    weir__series_free(series);
}

void weir_metrics_series_release(weir_metrics_series *series)
{
    if (series != NULL)
        weir__series_leave(series);
}

int weir_metrics_series_remove(weir_metrics_family *family, const char *const *values)
{
    weir__text key;
    weir_metrics_series *series = NULL, *last = NULL;
    weir__text_init(&key, &family->metrics->env);
    if (!series_key(&key, family, values)) {
        weir__text_free(&key);
        return WEIR_EINVAL;
    }
    int result = weir__text_ok(&key) ? WEIR_ENOTFOUND : WEIR_ENOMEM;
    pthread_mutex_lock(&family->metrics->lock);
    if (result == WEIR_ENOTFOUND)
        series = weir__map_get(&family->map, key.data, key.size);
    if (series != NULL) {
        last = weir__series_hide(series);
        result = WEIR_OK;
    }
    pthread_mutex_unlock(&family->metrics->lock);
    weir__series_free(last);
    weir__text_free(&key);
    return result;
}

void weir_metrics_family_clear(weir_metrics_family *family)
{
    pthread_mutex_lock(&family->metrics->lock);
    for (weir_metrics_series *series = family->first; series != NULL;) {
        weir_metrics_series *const next = series->next;
        if (series->shown)
            weir__series_free(weir__series_hide(series));
        series = next;
    }
    pthread_mutex_unlock(&family->metrics->lock);
}

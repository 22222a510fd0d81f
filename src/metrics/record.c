/* What an event costs: the cell of this thread is found, and counted in. All else is apart. */
#include "metrics/metrics.h"

#include <float.h>

#define RECORD_INFINITY (UINT64_C(0x7ff) << 52)

static WEIR__APART void record_refuse(weir_metrics_series *series)
{
    weir__metrics_refuse(series->family->metrics);
}

static WEIR__APART void record_add_apart(weir_metrics_series *series, uint64_t n)
{
    bool locked;
    weir__cell *const cell = weir__cell_enter(series, &locked);
    weir__word_add(&cell->words[WEIR__CELL_WHOLE], n);
    weir__cell_leave(series, locked);
}

void weir_metrics_add(weir_metrics_series *series, int64_t n)
{
    if (WEIR__UNLIKELY(n < 0 ? series->kind != WEIR_METRICS_UPDOWN
                             : series->kind > WEIR_METRICS_UPDOWN)) {
        record_refuse(series);
        return;
    }
    weir__cell *const cell = weir__cell_own(series);
    if (WEIR__LIKELY(cell != NULL))
        weir__word_add(&cell->words[WEIR__CELL_WHOLE], (uint64_t)n);
    else
        record_add_apart(series, (uint64_t)n);
}

void weir_metrics_add_double(weir_metrics_series *series, double n)
{
    bool const least = series->kind == WEIR_METRICS_UPDOWN ? n >= -DBL_MAX : n >= 0;
    if (!least || !(n <= DBL_MAX) || series->kind > WEIR_METRICS_UPDOWN ||
        series->family->options.number != WEIR_METRICS_DOUBLE) {
        record_refuse(series);
        return;
    }
    bool locked;
    weir__cell *const cell = weir__cell_enter(series, &locked);
    weir__word_add_real(&cell->words[WEIR__CELL_REAL], n);
    weir__cell_leave(series, locked);
}

void weir_metrics_set(weir_metrics_series *series, double value)
{
    if (series->kind != WEIR_METRICS_GAUGE) {
        record_refuse(series);
        return;
    }
    atomic_store_explicit(&series->gauge, weir__real_bits(value), memory_order_relaxed);
    if (!atomic_load_explicit(&series->told, memory_order_relaxed))
        atomic_store_explicit(&series->told, true, memory_order_release);
}

/* What all kinds have; `bits` are the value's. Not below 0, doubles are in the order of theirs. */
static inline void record_head(weir__word *words, double value, uint64_t bits)
{
    weir__word_add_real(&words[WEIR__CELL_SUM], value);
    if (WEIR__UNLIKELY(bits < weir__word_get(&words[WEIR__CELL_MIN])))
        weir__word_set(&words[WEIR__CELL_MIN], bits);
    if (WEIR__UNLIKELY(bits > weir__word_get(&words[WEIR__CELL_MAX])))
        weir__word_set(&words[WEIR__CELL_MAX], bits);
}

static inline void record_bucket(const weir_metrics_series *series, weir__word *words, double value,
                                 uint64_t bits)
{
    uint64_t const seq = weir__word_get(&words[WEIR__CELL_SEQ]);
    atomic_store_explicit(&words[WEIR__CELL_SEQ], seq + 1, memory_order_relaxed);
    record_head(words, value, bits);
    weir__word_add(&words[WEIR__CELL_BUCKETS + weir__buckets_find(&series->buckets, bits)], 1);
    weir__word_set(&words[WEIR__CELL_SEQ], seq + 2);
}

static void record_spread(weir_metrics_series *series, weir__word *words, double value,
                          pthread_mutex_t *lock)
{
    uint64_t const seq = weir__word_get(&words[WEIR__CELL_SEQ]);
    atomic_store_explicit(&words[WEIR__CELL_SEQ], seq + 1, memory_order_relaxed);
    record_head(words, value, weir__real_bits(value));
    if (value == 0)
        weir__word_add(&words[WEIR__CELL_ZERO], 1);
    else if (series->kind == WEIR_METRICS_EXPONENTIAL)
        weir__exponential_record(words, series->places, value, lock);
    else
        weir__sketch_put(words, series->places, weir__sketch_index(series->family, value), 1, lock);
    weir__word_set(&words[WEIR__CELL_SEQ], seq + 2);
}

static bool record_valid(const weir_metrics_series *series, double value)
{
    return value >= 0 && value <= DBL_MAX && series->kind >= WEIR_METRICS_HISTOGRAM;
}

/* All that is not a histogram with a cell of this thread. */
static WEIR__APART void record_apart(weir_metrics_series *series, double value)
{
    if (!record_valid(series, value)) {
        weir__metrics_refuse(series->family->metrics);
        return;
    }
    bool locked;
    weir__cell *const cell = weir__cell_enter(series, &locked);
    value += 0.0; /* -0 becomes 0. */
    if (series->kind == WEIR_METRICS_HISTOGRAM)
        record_bucket(series, cell->words, value, weir__real_bits(value));
    else
        record_spread(series, cell->words, value, locked ? NULL : &series->lock);
    weir__cell_leave(series, locked);
}

void weir_metrics_record(weir_metrics_series *series, double value)
{
    uint64_t const bits = weir__real_bits(value);
    weir__cell *const cell = weir__cell_own(series);
    /* Less than those of infinity are the bits of what is finite and has no sign. */
    if (WEIR__LIKELY(bits < RECORD_INFINITY && series->kind == WEIR_METRICS_HISTOGRAM &&
                     cell != NULL))
        record_bucket(series, cell->words, value, bits);
    else
        record_apart(series, value);
}

/* ---- Exemplars ---- */

/* One a bucket; of EXPONENTIAL, one for each of so many powers of 2 in a row. */
static size_t exemplar_slot(const weir_metrics_series *series, double value)
{
    if (series->kind == WEIR_METRICS_HISTOGRAM)
        return weir__buckets_find(&series->buckets, weir__real_bits(value + 0.0));
    if (series->kind == WEIR_METRICS_EXPONENTIAL && value > 0)
        return (uint32_t)(weir__exponential_index(value, 0) + 2048) %
               series->family->exemplar_count;
    return 0;
}

static void exemplar_put(weir_metrics_series *series, double value, uint64_t time_ns,
                         const weir_trace_context *context)
{
    const weir_metrics_family *const family = series->family;
    if (series->exemplars == NULL)
        series->exemplars =
            weir__alloc(&family->metrics->env, family->exemplar_count * sizeof(weir__exemplar));
    if (series->exemplars == NULL)
        return;
    weir__exemplar *const exemplar = &series->exemplars[exemplar_slot(series, value)];
    exemplar->used = true;
    exemplar->shown.value = value;
    exemplar->shown.time_ns = time_ns;
    memcpy(exemplar->shown.trace_id, context->trace_id, sizeof exemplar->shown.trace_id);
    memcpy(exemplar->shown.span_id, context->span_id, sizeof exemplar->shown.span_id);
}

static void exemplar_offer(weir_metrics_series *series, double value,
                           const weir_trace_context *context)
{
    if (context == NULL || (context->flags & WEIR_TRACE_SAMPLED) == 0 ||
        !weir_trace_context_valid(context) || series->family->exemplar_count == 0)
        return;
    uint64_t const time_ns = weir__wall_ns(&series->family->metrics->env);
    if (pthread_mutex_trylock(&series->lock) != 0)
        return; /* Somebody gives another, or reads them. */
    exemplar_put(series, value, time_ns, context);
    pthread_mutex_unlock(&series->lock);
}

void weir_metrics_add_traced(weir_metrics_series *series, int64_t n,
                             const weir_trace_context *context)
{
    weir_metrics_add(series, n);
    if (series->kind == WEIR_METRICS_COUNTER && n >= 0)
        exemplar_offer(series, (double)n, context);
}

void weir_metrics_record_traced(weir_metrics_series *series, double value,
                                const weir_trace_context *context)
{
    weir_metrics_record(series, value);
    if (record_valid(series, value))
        exemplar_offer(series, value, context);
}

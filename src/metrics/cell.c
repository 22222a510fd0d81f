#include "metrics/metrics.h"

#include <sched.h>

#define CELL_READ_TRIES 1000

/* Cells of one thread may be near each other; those of two may not share a line. */
static size_t cell_bytes(const weir_metrics_family *family)
{
    return sizeof(weir__cell) + family->words * sizeof(weir__word) + WEIR__CACHE_LINE;
}

static void cell_start(const weir_metrics_family *family, weir__word *words)
{
    if (family->options.kind < WEIR_METRICS_HISTOGRAM)
        return;
    atomic_init(&words[WEIR__CELL_MIN], weir__real_bits(WEIR__INFINITY));
    if (family->options.kind == WEIR_METRICS_EXPONENTIAL)
        atomic_init(&words[WEIR__CELL_SCALE], (uint64_t)(int64_t)family->options.max_scale);
}

void weir__cell_init(const weir_metrics_family *family, weir__word *words)
{
    for (size_t i = 0; i < family->words; i++)
        atomic_init(&words[i], 0);
    cell_start(family, words);
}

weir__cell *weir__cell_new(const weir_metrics_family *family)
{
    char *const base = weir__alloc(&family->metrics->env, cell_bytes(family));
    if (base == NULL)
        return NULL;
    size_t const past = (uintptr_t)base % WEIR__CACHE_LINE;
    weir__cell *const cell = (void *)(base + (past > 0 ? WEIR__CACHE_LINE - past : 0));
    cell->base = base;
    weir__cell_init(family, cell->words);
    return cell;
}

void weir__cell_free(const weir_metrics_family *family, weir__cell *cell)
{
    if (cell != NULL)
        weir__free(&family->metrics->env, cell->base, cell_bytes(family));
}

weir__cell *weir__cell_enter(weir_metrics_series *series, bool *locked)
{
    uint32_t const shard = weir__shard_get();
    *locked = false;
    if (shard <= series->threads) {
        weir__cell *own = atomic_load_explicit(&series->cells[shard - 1], memory_order_relaxed);
        if (own == NULL && (own = weir__cell_new(series->family)) != NULL)
            atomic_store_explicit(&series->cells[shard - 1], own, memory_order_release);
        if (own != NULL)
            return own;
    }
    pthread_mutex_lock(&series->lock);
    *locked = true;
    return series->shared;
}

void weir__cell_leave(weir_metrics_series *series, bool locked)
{
    if (locked)
        pthread_mutex_unlock(&series->lock);
}

/* Backwards, against the order in which they are written: who is counted is in the sum as well. */
static bool cell_try_read(const weir__cell *cell, uint64_t *words, size_t count)
{
    words[WEIR__CELL_SEQ] =
        atomic_load_explicit(&cell->words[WEIR__CELL_SEQ], memory_order_acquire);
    for (size_t i = count - 1; i > 0; i--)
        words[i] = atomic_load_explicit(&cell->words[i], memory_order_acquire);
    return words[WEIR__CELL_SEQ] % 2 == 0 &&
           words[WEIR__CELL_SEQ] == weir__word_get(&cell->words[WEIR__CELL_SEQ]);
}

/*
 * A thread that records without a pause may be faster than this, and one that was stopped within a
 * recording may stay so. Then SUM has more than the buckets by what was recorded meanwhile.
 */
void weir__cell_read(const weir__cell *cell, uint64_t *words, size_t count)
{
    for (int i = 0; i < CELL_READ_TRIES && !cell_try_read(cell, words, count); i++)
        if (i % 16 == 15)
            (void)sched_yield();
}

/* What was being moved is lost: the cell begins anew. */
void weir__cell_mend(const weir_metrics_family *family, weir__cell *cell)
{
    if (cell == NULL || family->options.kind < WEIR_METRICS_HISTOGRAM)
        return;
    uint64_t const seq = weir__word_get(&cell->words[WEIR__CELL_SEQ]);
    if ((seq & WEIR__CELL_MOVING) != 0)
        weir__cell_init(family, cell->words);
    else
        weir__word_set(&cell->words[WEIR__CELL_SEQ], seq + seq % 2);
}

/* ---- Rings ---- */

void weir__ring_add(weir__word *words, uint32_t places, int64_t index, uint64_t n)
{
    uint64_t const end = weir__ring_end(index);
    uint64_t const low = weir__word_get(&words[WEIR__CELL_LOW]);
    if (low == 0 || end > weir__word_get(&words[WEIR__CELL_HIGH]))
        weir__word_set(&words[WEIR__CELL_HIGH], end);
    if (low == 0 || end < low)
        weir__word_set(&words[WEIR__CELL_LOW], end);
    weir__word_add(&words[weir__ring_place(index, places)], n);
}

void weir__ring_move_begin(weir__word *words, pthread_mutex_t *lock)
{
    if (lock != NULL)
        pthread_mutex_lock(lock);
    uint64_t const seq = weir__word_get(&words[WEIR__CELL_SEQ]);
    atomic_store_explicit(&words[WEIR__CELL_SEQ], seq | WEIR__CELL_MOVING, memory_order_relaxed);
}

void weir__ring_move_end(weir__word *words, pthread_mutex_t *lock)
{
    uint64_t const seq = weir__word_get(&words[WEIR__CELL_SEQ]);
    weir__word_set(&words[WEIR__CELL_SEQ], seq & ~WEIR__CELL_MOVING);
    if (lock != NULL)
        pthread_mutex_unlock(lock);
}

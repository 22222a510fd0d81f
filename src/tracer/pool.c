/*
 * Records that are free: a stack (Treiber, 1986), whose top carries a count of changes, so that
 * one that comes back meanwhile is not taken for unmoved. The last one used is the first one
 * taken: it is still in a cache.
 */
#include "tracer/tracer.h"

#include <string.h>

#define POOL_INDEX(top) ((uint32_t)(top))
#define POOL_CHANGE     (UINT64_C(1) << 32)

static weir__span_record *pool_make(weir_tracer *tracer)
{
    uint32_t index = atomic_load(&tracer->record_count);
    do {
        if (index == tracer->options.max_spans)
            return NULL;
    } while (!atomic_compare_exchange_weak(&tracer->record_count, &index, index + 1));
    weir__span_record *const record = weir__alloc(&tracer->env, WEIR__RECORD_SIZE);
    if (record == NULL) { /* Its index is lost unless it is the last. */
        uint32_t last = index + 1;
        (void)atomic_compare_exchange_strong(&tracer->record_count, &last, index);
        return NULL;
    }
    record->tracer = tracer;
    record->index = index;
    atomic_fetch_add(&tracer->memory_bytes, WEIR__RECORD_SIZE);
    atomic_store(&tracer->records[index], record);
    return record;
}

weir__span_record *weir__span_record_take(weir_tracer *tracer)
{
    uint64_t top = atomic_load_explicit(&tracer->pool, memory_order_acquire);
    while (POOL_INDEX(top) != 0) {
        weir__span_record *const record =
            atomic_load_explicit(&tracer->records[POOL_INDEX(top) - 1], memory_order_relaxed);
        uint32_t const next = atomic_load_explicit(&record->next_free, memory_order_relaxed);
        uint64_t const changed = ((top + POOL_CHANGE) & ~(uint64_t)UINT32_MAX) | next;
        if (atomic_compare_exchange_weak_explicit(&tracer->pool, &top, changed,
                                                  memory_order_acquire, memory_order_acquire))
            return record;
    }
    return pool_make(tracer);
}

static void pool_free_chunk(weir__span_record *record, weir__span_record_chunk *chunk)
{
    atomic_fetch_sub(&record->tracer->memory_bytes, chunk->size);
    weir__free(&record->tracer->env, chunk, chunk->size);
}

/* Keeps one chunk for the next span, if it is of the usual size. */
static void pool_trim(weir__span_record *record)
{
    while (record->chunks != NULL) {
        weir__span_record_chunk *const chunk = record->chunks;
        record->chunks = chunk->next;
        if (record->spare == NULL && chunk->size <= WEIR__CHUNK_SIZE)
            record->spare = chunk;
        else
            pool_free_chunk(record, chunk);
    }
}

void weir__span_record_give(weir__span_record *record)
{
    weir_tracer *const tracer = record->tracer;
    if (record->chunks != NULL)
        pool_trim(record);
    uint64_t top = atomic_load_explicit(&tracer->pool, memory_order_relaxed);
    uint64_t changed;
    do {
        atomic_store_explicit(&record->next_free, POOL_INDEX(top), memory_order_relaxed);
        changed = ((top + POOL_CHANGE) & ~(uint64_t)UINT32_MAX) | (record->index + 1);
    } while (!atomic_compare_exchange_weak_explicit(&tracer->pool, &top, changed,
                                                    memory_order_release, memory_order_relaxed));
}

void weir__pool_reset(weir_tracer *tracer)
{
    atomic_store(&tracer->pool, 0);
    for (uint32_t i = atomic_load(&tracer->record_count); i > 0; i--) {
        weir__span_record *const record = atomic_load(&tracer->records[i - 1]);
        if (record == NULL)
            continue;
        uint64_t const generation = atomic_load(&record->generation);
        atomic_store(&record->generation, (generation | 1) + 1);
        weir__span_record_give(record);
    }
}

void weir__span_record_free(weir__span_record *record)
{
    weir_tracer *const tracer = record->tracer;
    pool_trim(record);
    if (record->spare != NULL)
        pool_free_chunk(record, record->spare);
    weir__free(&tracer->env, record, WEIR__RECORD_SIZE);
}

void weir__pool_free(weir_tracer *tracer)
{
    for (uint32_t i = 0; i < atomic_load(&tracer->record_count); i++) {
        weir__span_record *const record = atomic_load(&tracer->records[i]);
        if (record != NULL)
            weir__span_record_free(record);
    }
    weir__free(&tracer->env, tracer->records,
               tracer->options.max_spans * sizeof tracer->records[0]);
}

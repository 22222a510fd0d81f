#include "tracer/tracer.h"

int weir__queue_init(weir__queue *queue, const weir_env *env, uint32_t size)
{
    queue->cells = weir__alloc(env, size * sizeof queue->cells[0]);
    if (queue->cells == NULL)
        return WEIR_ENOMEM;
    queue->mask = size - 1;
    weir__queue_reset(queue);
    return WEIR_OK;
}

void weir__queue_free(weir__queue *queue, const weir_env *env)
{
    weir__free(env, queue->cells, (size_t)(queue->mask + 1) * sizeof queue->cells[0]);
}

void weir__queue_reset(weir__queue *queue)
{
    for (uint64_t i = 0; i <= queue->mask; i++)
        atomic_store_explicit(&queue->cells[i].turn, i, memory_order_relaxed);
    atomic_store(&queue->tail, 0);
    atomic_store(&queue->head, 0);
}

bool weir__queue_push(weir__queue *queue, weir__span_record *record, uint64_t *position)
{
    uint64_t at = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    for (;;) {
        weir__queue_cell *const cell = &queue->cells[at & queue->mask];
        uint64_t const turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
        if (turn == at) {
            if (!atomic_compare_exchange_weak_explicit(&queue->tail, &at, at + 1,
                                                       memory_order_relaxed, memory_order_relaxed))
                continue;
            cell->record = record;
            atomic_store_explicit(&cell->turn, at + 1, memory_order_release);
            *position = at;
            return true;
        }
        if (turn < at)
            return false;
        at = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    }
}

/* One thread at a time reads: it has the exporter's role. */
weir__span_record *weir__queue_pop(weir__queue *queue)
{
    uint64_t const at = atomic_load_explicit(&queue->head, memory_order_relaxed);
    weir__queue_cell *const cell = &queue->cells[at & queue->mask];
    if (atomic_load_explicit(&cell->turn, memory_order_acquire) != at + 1)
        return NULL;
    weir__span_record *const record = cell->record;
    atomic_store_explicit(&cell->turn, at + queue->mask + 1, memory_order_release);
    atomic_store_explicit(&queue->head, at + 1, memory_order_release);
    return record;
}

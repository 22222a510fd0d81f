/*
 * From the queue to the exporter. One thread at a time has the exporter's role: who wants it
 * meanwhile leaves word, and the one that has it looks again before it goes.
 */
#include "tracer/tracer.h"

/* How soon who has found the role taken, or a flush not over, looks again. */
#define EXPORT_AGAIN_NS WEIR__NS_PER_MS

void weir__tracer_drop(weir_tracer *tracer, weir_span_drop reason, uint64_t count, int error)
{
    if (count == 0)
        return;
    atomic_fetch_add(&tracer->dropped[reason], count);
    weir_span_drop_event const event = {reason, count, error};
    if (tracer->options.on_drop != NULL)
        tracer->options.on_drop(&event, tracer->options.user);
}

/* Once, until the task runs: spans that find the queue full do not ask for it one by one. */
static void export_wake(weir_tracer *tracer)
{
    if (tracer->options.on_wake != NULL &&
        !atomic_load_explicit(&tracer->woken, memory_order_relaxed) &&
        !atomic_exchange(&tracer->woken, true))
        tracer->options.on_wake(tracer->options.user);
}

void weir__tracer_read_wall(weir_tracer *tracer, uint64_t now_ns)
{
    atomic_store_explicit(&tracer->wall_offset_ns, weir__wall_ns(&tracer->env) - now_ns,
                          memory_order_relaxed);
}

static uint64_t export_waiting(weir_tracer *tracer)
{
    uint64_t const head = atomic_load_explicit(&tracer->queue.head, memory_order_acquire);
    return atomic_load_explicit(&tracer->queue.tail, memory_order_acquire) - head;
}

static uint64_t export_all_drops(weir_tracer *tracer)
{
    uint64_t all = 0;
    for (size_t i = 0; i < WEIR_SPAN_DROPS; i++)
        all += atomic_load(&tracer->dropped[i]);
    return all;
}

/* The exporter's: how it went. What comes twice, or after it was given up, says nothing. */
static void export_done(void *token, int result, size_t rejected)
{
    weir_tracer *const tracer = token;
    if (atomic_load(&tracer->export_state) != WEIR__EXPORT_ACTIVE)
        return;
    tracer->export_result = result;
    tracer->export_rejected = rejected;
    atomic_store(&tracer->export_state, WEIR__EXPORT_OVER);
    export_wake(tracer);
}

/* What was taken off the queue is done with, well or badly. */
static void export_idle(weir_tracer *tracer)
{
    atomic_store(&tracer->batch_count, 0);
    tracer->settled = atomic_load(&tracer->queue.head);
    atomic_store(&tracer->export_state, WEIR__EXPORT_IDLE);
}

static void export_settle(weir_tracer *tracer)
{
    uint64_t const count = atomic_load(&tracer->batch_count);
    uint64_t rejected = tracer->export_rejected;
    int const result = tracer->export_result;
    export_idle(tracer);
    if (result != WEIR_OK) {
        weir__tracer_drop(tracer, WEIR_SPAN_DROP_EXPORT_FAILED, count, result);
        return;
    }
    if (rejected > count)
        rejected = count;
    atomic_fetch_add(&tracer->exported, count - rejected);
    weir__tracer_drop(tracer, WEIR_SPAN_DROP_REJECTED, rejected, WEIR_OK);
}

void weir__export_cancel(weir_tracer *tracer)
{
    if (atomic_load(&tracer->export_state) == WEIR__EXPORT_ACTIVE &&
        tracer->options.exporter.cancel != NULL)
        tracer->options.exporter.cancel(tracer->options.exporter.self);
}

static void export_give_up(weir_tracer *tracer, weir_span_drop reason)
{
    weir__export_cancel(tracer);
    if (atomic_load(&tracer->export_state) == WEIR__EXPORT_OVER) {
        export_settle(tracer); /* It was over just before. */
        return;
    }
    uint64_t const count = atomic_load(&tracer->batch_count);
    export_idle(tracer);
    weir__tracer_drop(tracer, reason, count, WEIR_OK);
}

static void export_batch(weir_tracer *tracer, uint64_t now_ns)
{
    const weir_tracer_options *const options = &tracer->options;
    uint32_t count = 0;
    while (count < options->batch_size) {
        weir__span_record *const record = weir__queue_pop(&tracer->queue);
        if (record == NULL)
            break;
        tracer->batch_records[count] = record;
        tracer->batch[count++] = &record->data;
    }
    if (count == 0)
        return;
    weir_span_batch const batch = {
        .spans = tracer->batch,
        .count = count,
        .resource = options->resource,
        .resource_count = options->resource_count,
        .scope_name = options->scope_name,
        .scope_version = options->scope_version,
    };
    tracer->export_deadline_ns = weir__add_ns(now_ns, options->export_timeout_ns);
    atomic_store(&tracer->batch_count, count);
    atomic_store(&tracer->export_state, WEIR__EXPORT_ACTIVE);
    options->exporter.export_spans(options->exporter.self, &batch, tracer->export_deadline_ns,
                                   export_done, tracer);
    for (uint32_t i = count; i > 0; i--)
        weir__span_record_give(tracer->batch_records[i - 1]);
}

/* How far the queue has to go for those who wait. */
static uint64_t export_target(weir_tracer *tracer)
{
    pthread_mutex_lock(&tracer->flush_lock);
    uint64_t const flush = tracer->flush.active ? tracer->flush.target : 0;
    uint64_t const shutdown = tracer->shutdown.active ? tracer->shutdown.target : 0;
    pthread_mutex_unlock(&tracer->flush_lock);
    return flush > shutdown ? flush : shutdown;
}

static bool export_is_due(weir_tracer *tracer, uint64_t now_ns)
{
    uint64_t const waiting = export_waiting(tracer);
    if (waiting == 0)
        return false;
    return tracer->options.immediate || waiting >= tracer->options.batch_size ||
           now_ns >= tracer->next_export_ns ||
           atomic_load(&tracer->queue.head) < export_target(tracer);
}

/* True: what this one waits for has come, or its deadline. Called with flush_lock held. */
static bool export_flush_over(weir_tracer *tracer, weir__flush *flush, uint64_t now_ns)
{
    if (!flush->active)
        return false;
    bool const exported = tracer->settled >= flush->target;
    if (!exported && now_ns < flush->deadline_ns)
        return false;
    flush->active = false;
    flush->result = now_ns > flush->deadline_ns || !exported   ? WEIR_EDEADLINE
                    : export_all_drops(tracer) != flush->drops ? WEIR_EFAILED
                                                               : WEIR_OK;
    return true;
}

/* Of what is shut down: nothing is left waiting. */
static void export_abandon(weir_tracer *tracer)
{
    uint64_t count = 0;
    weir__span_record *record;
    if (atomic_load(&tracer->export_state) == WEIR__EXPORT_ACTIVE)
        export_give_up(tracer, WEIR_SPAN_DROP_SHUT_DOWN);
    while ((record = weir__queue_pop(&tracer->queue)) != NULL) {
        weir__span_record_give(record);
        count++;
    }
    tracer->settled = atomic_load(&tracer->queue.head);
    weir__tracer_drop(tracer, WEIR_SPAN_DROP_SHUT_DOWN, count, WEIR_OK);
}

static void export_end_flush(weir_tracer *tracer, weir__flush *flush, uint64_t now_ns)
{
    pthread_mutex_lock(&tracer->flush_lock);
    bool const over = export_flush_over(tracer, flush, now_ns);
    weir__flush const ended = *flush;
    pthread_mutex_unlock(&tracer->flush_lock);
    if (over && flush == &tracer->shutdown) {
        tracer->shut_down = true;
        export_abandon(tracer);
    }
    if (over && ended.done != NULL)
        ended.done(ended.result, ended.user);
}

/* The role's work. */
static void export_work(weir_tracer *tracer, uint64_t now_ns)
{
    bool const tick = now_ns >= tracer->next_export_ns;
    if (tick)
        weir__tracer_read_wall(tracer, now_ns);
    if (tracer->shut_down)
        export_abandon(tracer);
    for (;;) {
        int const state = atomic_load(&tracer->export_state);
        if (state == WEIR__EXPORT_OVER)
            export_settle(tracer);
        else if (state == WEIR__EXPORT_ACTIVE && now_ns >= tracer->export_deadline_ns)
            export_give_up(tracer, WEIR_SPAN_DROP_EXPORT_TIMEOUT);
        else if (state == WEIR__EXPORT_ACTIVE || !export_is_due(tracer, now_ns))
            break;
        else
            export_batch(tracer, now_ns);
        export_end_flush(tracer, &tracer->flush, now_ns);
    }
    if (tick)
        tracer->next_export_ns = weir__add_ns(now_ns, tracer->options.delay_ns);
}

static uint64_t export_next_ns(weir_tracer *tracer)
{
    uint64_t next_ns = tracer->shut_down ? WEIR_NEVER : tracer->next_export_ns;
    if (atomic_load(&tracer->export_state) == WEIR__EXPORT_ACTIVE &&
        tracer->export_deadline_ns < next_ns)
        next_ns = tracer->export_deadline_ns;
    pthread_mutex_lock(&tracer->flush_lock);
    if (tracer->flush.active && tracer->flush.deadline_ns < next_ns)
        next_ns = tracer->flush.deadline_ns;
    if (tracer->shutdown.active && tracer->shutdown.deadline_ns < next_ns)
        next_ns = tracer->shutdown.deadline_ns;
    pthread_mutex_unlock(&tracer->flush_lock);
    return next_ns;
}

uint64_t weir__tracer_run(void *self, uint64_t now_ns)
{
    weir_tracer *const tracer = self;
    uint64_t next_ns;
    atomic_store(&tracer->woken, false);
    atomic_store(&tracer->missed, true);
    do {
        if (atomic_exchange(&tracer->exporting, true))
            return weir__add_ns(now_ns, EXPORT_AGAIN_NS);
        atomic_store(&tracer->missed, false);
        export_work(tracer, now_ns);
        export_end_flush(tracer, &tracer->flush, now_ns);
        export_end_flush(tracer, &tracer->shutdown, now_ns);
        next_ns = export_next_ns(tracer);
        atomic_store(&tracer->exporting, false);
    } while (atomic_load(&tracer->missed));
    return next_ns;
}

void weir__tracer_enqueue(weir_tracer *tracer, weir__span_record *record, uint64_t now_ns)
{
    uint64_t position;
    if (atomic_load_explicit(&tracer->closed, memory_order_relaxed)) {
        weir__span_record_give(record);
        weir__tracer_drop(tracer, WEIR_SPAN_DROP_SHUT_DOWN, 1, WEIR_OK);
        return;
    }
    if (!weir__queue_push(&tracer->queue, record, &position)) {
        weir__span_record_give(record);
        weir__tracer_drop(tracer, WEIR_SPAN_DROP_QUEUE_FULL, 1, WEIR_OK);
        export_wake(tracer);
        return;
    }
    if (tracer->options.immediate)
        (void)weir__tracer_run(tracer, now_ns);
    else if (((position + 1) & tracer->wake_mask) == 0)
        export_wake(tracer);
}

weir_task weir_tracer_task(weir_tracer *tracer)
{
    return (weir_task){weir__tracer_run, tracer};
}

/* Until it is over: the task is run here, or by others. */
static int export_wait(weir_tracer *tracer, weir__flush *flush)
{
    for (;;) {
        uint64_t const now_ns = weir__now_ns(&tracer->env);
        (void)weir__tracer_run(tracer, now_ns);
        pthread_mutex_lock(&tracer->flush_lock);
        bool const active = flush->active;
        int const result = flush->result;
        uint64_t const deadline_ns = flush->deadline_ns;
        pthread_mutex_unlock(&tracer->flush_lock);
        if (!active)
            return result;
        uint64_t const left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 1;
        weir__sleep_ns(&tracer->env, left_ns < EXPORT_AGAIN_NS ? left_ns : EXPORT_AGAIN_NS);
    }
}

static int export_begin_flush(weir_tracer *tracer, weir__flush *flush, uint64_t deadline_ns,
                              weir_tracer_done_fn done, void *user)
{
    pthread_mutex_lock(&tracer->flush_lock);
    bool const last = flush == &tracer->shutdown;
    int const result = atomic_load(&tracer->closed) ? WEIR_ECLOSED
                       : flush->active              ? WEIR_EBUSY
                                                    : WEIR_OK;
    if (result == WEIR_OK) {
        if (last)
            atomic_store(&tracer->closed, true);
        *flush = (weir__flush){true, 0, deadline_ns, export_all_drops(tracer), done, user, WEIR_OK};
        flush->target = atomic_load(&tracer->queue.tail);
    }
    pthread_mutex_unlock(&tracer->flush_lock);
    if (result != WEIR_OK)
        return result;
    if (done == NULL)
        return export_wait(tracer, flush);
    export_wake(tracer);
    return WEIR_OK;
}

int weir_tracer_flush(weir_tracer *tracer, uint64_t deadline_ns, weir_tracer_done_fn done,
                      void *user)
{
    return export_begin_flush(tracer, &tracer->flush, deadline_ns, done, user);
}

int weir_tracer_shutdown(weir_tracer *tracer, uint64_t deadline_ns, weir_tracer_done_fn done,
                         void *user)
{
    return export_begin_flush(tracer, &tracer->shutdown, deadline_ns, done, user);
}

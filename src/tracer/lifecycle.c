#include "tracer/tracer.h"

#include <string.h>

#define TRACER_QUEUE_MAX (1u << 20)
#define TRACER_SPANS_MAX (1u << 24)

static bool tracer_options_ok(const weir_tracer_options *options)
{
    for (size_t i = 0; i < options->resource_count; i++)
        if (options->resource[i].key == NULL || options->resource[i].key[0] == '\0')
            return false;
    return options->queue_size >= 1 && options->queue_size <= TRACER_QUEUE_MAX &&
           options->batch_size >= 1 && options->batch_size <= options->queue_size &&
           options->max_spans >= options->queue_size && options->max_spans <= TRACER_SPANS_MAX &&
           options->delay_ns >= 1 && options->export_timeout_ns >= 1;
}

/* ---- The resource and the scope: a record of its own kind, which no span uses ---- */

static int tracer_copy_resource(weir_tracer *tracer, const weir_tracer_options *from)
{
    weir_tracer_options *const to = &tracer->options;
    const char *const name = from->scope_name != NULL ? from->scope_name : "";
    const char *const version = from->scope_version != NULL ? from->scope_version : "";
    tracer->resource = weir__alloc(&tracer->env, WEIR__RECORD_SIZE);
    if (tracer->resource == NULL)
        return WEIR_ENOMEM;
    tracer->resource->tracer = tracer;
    weir_trace_context const none = {0};
    weir__span_record_begin(tracer->resource, &none);
    to->max_attributes = UINT32_MAX;
    weir__span_record_set(tracer->resource, from->resource, from->resource_count);
    to->max_attributes = from->max_attributes;
    to->resource = tracer->resource->data.attributes;
    to->resource_count = tracer->resource->data.attribute_count;
    to->scope_name = weir__span_record_text(tracer->resource, name, strlen(name));
    to->scope_version = weir__span_record_text(tracer->resource, version, strlen(version));
    return tracer->resource->data.dropped_attributes > 0 || to->scope_name == NULL ||
                   to->scope_version == NULL
               ? WEIR_ENOMEM
               : WEIR_OK;
}

/* ---- Rooms ---- */

static uint32_t tracer_power_of_two(uint32_t at_least)
{
    uint32_t size = 1;
    while (size < at_least)
        size *= 2;
    return size;
}

static int tracer_make_rooms(weir_tracer *tracer)
{
    weir_tracer_options *const options = &tracer->options;
    options->queue_size = tracer_power_of_two(options->queue_size);
    if (options->max_spans < options->queue_size)
        options->max_spans = options->queue_size;
    tracer->wake_mask = tracer_power_of_two(options->batch_size / 2 + 1) - 1;
    tracer->records = weir__alloc(&tracer->env, options->max_spans * sizeof tracer->records[0]);
    tracer->batch = weir__alloc(&tracer->env, options->batch_size * sizeof(void *));
    tracer->batch_records = weir__alloc(&tracer->env, options->batch_size * sizeof(void *));
    if (tracer->records == NULL || tracer->batch == NULL || tracer->batch_records == NULL)
        return WEIR_ENOMEM;
    return weir__queue_init(&tracer->queue, &tracer->env, options->queue_size);
}

static void tracer_free(weir_tracer *tracer)
{
    weir_env const env = tracer->env;
    uint32_t const batch_size = tracer->options.batch_size;
    if (tracer->records != NULL)
        weir__pool_free(tracer);
    if (tracer->queue.cells != NULL)
        weir__queue_free(&tracer->queue, &env);
    if (tracer->resource != NULL)
        weir__span_record_free(tracer->resource);
    weir__free(&env, tracer->batch, batch_size * sizeof(void *));
    weir__free(&env, tracer->batch_records, batch_size * sizeof(void *));
    pthread_mutex_destroy(&tracer->flush_lock);
    weir__free(&env, tracer, sizeof *tracer);
}

/* ---- fork() ---- */

/* What is under way and queued is the parent's, who exports it. */
static void tracer_in_child(void *self)
{
    weir_tracer *const tracer = self;
    pthread_mutex_init(&tracer->flush_lock, NULL);
    tracer->flush.active = tracer->shutdown.active = false;
    tracer->shut_down = atomic_load(&tracer->closed);
    atomic_store(&tracer->exporting, false);
    atomic_store(&tracer->woken, false);
    atomic_store(&tracer->export_state, WEIR__EXPORT_IDLE);
    atomic_store(&tracer->batch_count, 0);
    atomic_store(&tracer->exported, 0);
    for (size_t i = 0; i < WEIR_SPAN_DROPS; i++)
        atomic_store(&tracer->dropped[i], 0);
    weir__queue_reset(&tracer->queue);
    tracer->settled = 0;
    weir__pool_reset(tracer);
    weir__tracer_seed_ids(tracer);
}

/* ---- Public ---- */

static int tracer_open(weir_tracer *tracer, const weir_tracer_options *options)
{
    int result = tracer_copy_resource(tracer, options);
    if (result == WEIR_OK)
        result = tracer_make_rooms(tracer);
    if (result != WEIR_OK)
        return result;
    uint64_t const now_ns = weir__now_ns(&tracer->env);
    weir__tracer_seed_ids(tracer);
    weir__tracer_read_wall(tracer, now_ns);
    tracer->next_export_ns = weir__add_ns(now_ns, options->delay_ns);
    tracer->fork.in_child = tracer_in_child;
    tracer->fork.self = tracer;
    return weir__fork_watch_add(&tracer->fork);
}

int weir_tracer_create(weir_tracer **out, const weir_tracer_options *options)
{
    weir_tracer_options loaded = WEIR_TRACER_OPTIONS_INIT;
    weir_env env;
    *out = NULL;
    if (options != NULL &&
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size))
        return WEIR_EINVAL;
    if (weir__env_load(&env, loaded.env) || !tracer_options_ok(&loaded))
        return WEIR_EINVAL;
    weir_tracer *const tracer = weir__alloc(&env, sizeof *tracer);
    if (tracer == NULL)
        return WEIR_ENOMEM;
    tracer->env = env;
    tracer->options = loaded;
    pthread_mutex_init(&tracer->flush_lock, NULL);
    int const result = tracer_open(tracer, &loaded);
    if (result != WEIR_OK) {
        tracer_free(tracer);
        return result;
    }
    *out = tracer;
    return WEIR_OK;
}

void weir_tracer_destroy(weir_tracer *tracer)
{
    if (tracer == NULL)
        return;
    weir__fork_watch_remove(&tracer->fork);
    weir__export_cancel(tracer);
    tracer_free(tracer);
}

void weir_tracer_get_stats(weir_tracer *tracer, weir_tracer_stats *stats)
{
    uint64_t const head = atomic_load(&tracer->queue.head);
    memset(stats, 0, sizeof *stats);
    stats->exported = atomic_load(&tracer->exported);
    for (size_t i = 0; i < WEIR_SPAN_DROPS; i++)
        stats->dropped[i] = atomic_load(&tracer->dropped[i]);
    stats->queued = (uint32_t)(atomic_load(&tracer->queue.tail) - head);
    stats->queue_size = tracer->options.queue_size;
    stats->memory_bytes = atomic_load(&tracer->memory_bytes);
    for (uint32_t i = 0; i < atomic_load(&tracer->record_count); i++) {
        weir__span_record *const record = atomic_load(&tracer->records[i]);
        stats->active += record != NULL && atomic_load(&record->generation) % 2 != 0;
    }
}

const char *weir_span_drop_name(weir_span_drop reason)
{
    switch (reason) {
    case WEIR_SPAN_DROP_NO_RECORD: return "no_record";
    case WEIR_SPAN_DROP_QUEUE_FULL: return "queue_full";
    case WEIR_SPAN_DROP_EXPORT_FAILED: return "export_failed";
    case WEIR_SPAN_DROP_EXPORT_TIMEOUT: return "export_timeout";
    case WEIR_SPAN_DROP_REJECTED: return "rejected";
    case WEIR_SPAN_DROP_SHUT_DOWN: return "shut_down";
    }
    return "unknown";
}

#include <weir/trace_store.h>

#include "base/map.h"
#include "base/span.h"

#include <pthread.h>
#include <string.h>

typedef struct stored_trace {
    uint8_t id[16];
    unsigned holders; /* The store, and each find under way. */
    struct stored_trace *newer, *older;
    weir__span *first, *last;
    size_t span_count, error_count, bytes;
    uint64_t start_ns, end_ns;
} stored_trace;

struct weir_trace_store {
    weir_trace_store_options options;
    weir_env env;
    pthread_mutex_t lock; /* Guards all below, and the traces. */
    weir__map traces;     /* By id. */
    stored_trace *newest, *oldest;
    weir_trace_store_stats stats;
};

/* ---- Traces; with the lock ---- */

static void stored_release(weir_trace_store *store, stored_trace *trace)
{
    if (--trace->holders > 0)
        return;
    while (trace->first != NULL) {
        weir__span *const span = trace->first;
        trace->first = span->next;
        weir__span_free(&store->env, span);
    }
    weir__free(&store->env, trace, sizeof *trace);
}

static void stored_remove(weir_trace_store *store, stored_trace *trace)
{
    (void)weir__map_remove(&store->traces, (const char *)trace->id, sizeof trace->id);
    *(trace->newer != NULL ? &trace->newer->older : &store->newest) = trace->older;
    *(trace->older != NULL ? &trace->older->newer : &store->oldest) = trace->newer;
    store->stats.traces--;
    store->stats.spans -= trace->span_count;
    store->stats.bytes -= trace->bytes;
    stored_release(store, trace);
}

static stored_trace *stored_make(weir_trace_store *store, const uint8_t *id)
{
    stored_trace *const trace = weir__alloc(&store->env, sizeof *trace);
    if (trace == NULL)
        return NULL;
    memcpy(trace->id, id, sizeof trace->id);
    trace->holders = 1;
    trace->start_ns = UINT64_MAX;
    trace->bytes = sizeof *trace;
    if (weir__map_put(&store->traces, (const char *)trace->id, sizeof trace->id, trace)) {
        weir__free(&store->env, trace, sizeof *trace);
        return NULL;
    }
    trace->older = store->newest;
    *(trace->older != NULL ? &trace->older->newer : &store->oldest) = trace;
    store->newest = trace;
    store->stats.traces++;
    store->stats.bytes += sizeof *trace;
    return trace;
}

/* So that one more span of this size has room; not at the cost of its own trace. */
static bool stored_make_room(weir_trace_store *store, const stored_trace *own, size_t size)
{
    while (store->stats.spans + 1 > store->options.max_spans ||
           store->stats.bytes + size > store->options.max_bytes) {
        stored_trace *const victim = store->oldest != own ? store->oldest
                                     : own != NULL        ? own->newer
                                                          : NULL;
        if (victim == NULL)
            return false;
        store->stats.evicted += victim->span_count;
        stored_remove(store, victim);
    }
    return true;
}

static bool stored_add(weir_trace_store *store, const weir_span_data *data, const char *service)
{
    const char *const id = (const char *)data->context.trace_id;
    stored_trace *trace = weir__map_get(&store->traces, id, sizeof data->context.trace_id);
    weir__span *const span = weir__span_copy(&store->env, data, service);
    if (span == NULL)
        return false;
    size_t const size = span->size + (trace == NULL ? sizeof *trace : 0);
    if (!stored_make_room(store, trace, size) ||
        (trace == NULL && (trace = stored_make(store, data->context.trace_id)) == NULL)) {
        weir__span_free(&store->env, span);
        return false;
    }
    *(trace->last != NULL ? &trace->last->next : &trace->first) = span;
    trace->last = span;
    trace->span_count++;
    trace->bytes += span->size;
    trace->error_count += data->status == WEIR_SPAN_ERROR;
    if (data->start_ns < trace->start_ns)
        trace->start_ns = data->start_ns;
    if (data->end_ns > trace->end_ns)
        trace->end_ns = data->end_ns;
    store->stats.spans++;
    store->stats.bytes += span->size;
    return true;
}

static void stored_export(void *self, const weir_span_batch *batch, uint64_t deadline_ns,
                          weir_exported_fn done, void *token)
{
    weir_trace_store *const store = self;
    const char *const service = weir__span_service(batch);
    size_t refused = 0;
    (void)deadline_ns;
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < batch->count; i++)
        refused += !stored_add(store, batch->spans[i], service);
    store->stats.refused += refused;
    pthread_mutex_unlock(&store->lock);
    done(token, WEIR_OK, refused);
}

/* ---- Queries ---- */

static bool query_same(const char *wanted, const char *text)
{
    return wanted == NULL || strcmp(wanted, text) == 0;
}

static bool query_attribute(const weir_trace_query *query, const weir_span_data *span)
{
    if (query->attribute == NULL)
        return true;
    for (size_t i = 0; i < span->attribute_count; i++) {
        const weir_attribute *const attribute = &span->attributes[i];
        if (strcmp(attribute->key, query->attribute) == 0)
            return query->value == NULL || (attribute->type == WEIR_ATTRIBUTE_STRING &&
                                            strcmp(attribute->as.string, query->value) == 0);
    }
    return false;
}

static bool query_span(const weir_trace_query *query, const weir__span *span)
{
    const weir_span_data *const data = &span->data;
    uint64_t const duration_ns = data->end_ns - data->start_ns;
    return query_same(query->service, span->service) && query_same(query->operation, data->name) &&
           (query->status == -1 || query->status == (int)data->status) &&
           duration_ns >= query->min_duration_ns && duration_ns <= query->max_duration_ns &&
           data->start_ns >= query->from_ns && data->start_ns < query->to_ns &&
           query_attribute(query, data);
}

static bool query_trace(const weir_trace_query *query, const stored_trace *trace)
{
    if (query->trace_id != NULL && memcmp(query->trace_id, trace->id, sizeof trace->id) != 0)
        return false;
    for (const weir__span *span = trace->first; span != NULL; span = span->next)
        if (query_span(query, span))
            return true;
    return false;
}

/* What was found: traces that are held, and lists of their spans as they were. */
typedef struct query_found {
    struct query_found *next;
    size_t size;
    stored_trace *held;
    weir_stored_trace trace;
    weir_stored_span spans[];
} query_found;

static query_found *query_hold(weir_trace_store *store, stored_trace *trace)
{
    size_t const size = sizeof(query_found) + trace->span_count * sizeof(weir_stored_span);
    query_found *const found = weir__alloc(&store->env, size);
    size_t count = 0;
    if (found == NULL)
        return NULL;
    for (const weir__span *span = trace->first; span != NULL; span = span->next)
        found->spans[count++] = (weir_stored_span){span->service, &span->data};
    found->size = size;
    found->held = trace;
    found->trace = (weir_stored_trace){trace->id,          trace->start_ns, trace->end_ns,
                                       trace->error_count, found->spans,    count};
    trace->holders++;
    return found;
}

static int query_collect(weir_trace_store *store, const weir_trace_query *query,
                         query_found **first)
{
    query_found **last = first;
    size_t count = 0;
    for (stored_trace *trace = store->newest; trace != NULL && count < query->limit;
         trace = trace->older) {
        if (!query_trace(query, trace))
            continue;
        *last = query_hold(store, trace);
        if (*last == NULL)
            return WEIR_ENOMEM;
        last = &(*last)->next;
        count++;
    }
    return WEIR_OK;
}

int weir_trace_store_find(weir_trace_store *store, const weir_trace_query *query,
                          bool (*fn)(const weir_stored_trace *trace, void *user), void *user)
{
    weir_trace_query loaded = WEIR_TRACE_QUERY_INIT;
    query_found *first = NULL;
    if (query != NULL && weir__options_load(&loaded, sizeof loaded, query, query->struct_size))
        return WEIR_EINVAL;
    pthread_mutex_lock(&store->lock);
    int const result = query_collect(store, &loaded, &first);
    pthread_mutex_unlock(&store->lock);
    bool more = result == WEIR_OK;
    for (const query_found *found = first; found != NULL && more; found = found->next)
        more = fn(&found->trace, user);
    pthread_mutex_lock(&store->lock);
    while (first != NULL) {
        query_found *const found = first;
        first = found->next;
        stored_release(store, found->held);
        weir__free(&store->env, found, found->size);
    }
    pthread_mutex_unlock(&store->lock);
    return result;
}

/* ---- Lifecycle ---- */

int weir_trace_store_create(weir_trace_store **out, const weir_trace_store_options *options)
{
    weir_trace_store_options loaded = WEIR_TRACE_STORE_OPTIONS_INIT;
    weir_env env;
    *out = NULL;
    if (options != NULL &&
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size))
        return WEIR_EINVAL;
    if (weir__env_load(&env, loaded.env) || loaded.max_spans < 1 || loaded.max_bytes < 1024)
        return WEIR_EINVAL;
    weir_trace_store *const store = weir__alloc(&env, sizeof *store);
    if (store == NULL)
        return WEIR_ENOMEM;
    store->options = loaded;
    store->env = env;
    pthread_mutex_init(&store->lock, NULL);
    weir__map_init(&store->traces, &store->env);
    *out = store;
    return WEIR_OK;
}

void weir_trace_store_clear(weir_trace_store *store)
{
    pthread_mutex_lock(&store->lock);
    while (store->oldest != NULL)
        stored_remove(store, store->oldest);
    pthread_mutex_unlock(&store->lock);
}

void weir_trace_store_destroy(weir_trace_store *store)
{
    if (store == NULL)
        return;
    weir_env const env = store->env;
    weir_trace_store_clear(store);
    weir__map_free(&store->traces);
    pthread_mutex_destroy(&store->lock);
    weir__free(&env, store, sizeof *store);
}

weir_span_exporter weir_trace_store_exporter(weir_trace_store *store)
{
    return (weir_span_exporter){stored_export, NULL, store};
}

void weir_trace_store_get_stats(weir_trace_store *store, weir_trace_store_stats *stats)
{
    pthread_mutex_lock(&store->lock);
    *stats = store->stats;
    pthread_mutex_unlock(&store->lock);
}

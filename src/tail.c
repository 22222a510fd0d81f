#include <weir/tail.h>

#include "base/map.h"
#include "base/ot.h"
#include "base/span.h"

#include <pthread.h>
#include <string.h>

#define TAIL_BATCH_MAX 65536

typedef enum tail_state {
    TAIL_WAITING, /* For its root to end. */
    TAIL_ENDING,  /* Its root has ended. */
    TAIL_KEPT,    /* Decided: only the decision is left. */
    TAIL_DROPPED,
} tail_state;

typedef struct tail_trace {
    uint8_t id[16];
    tail_state state;
    uint64_t due_ns; /* When to decide. */
    struct tail_trace *newer, *older;
    weir__span *first, *last;
    const weir__span *root;
    size_t span_count, error_count, bytes;
    uint64_t start_ns, end_ns;
} tail_trace;

/* All wait as long as each other: whoever came first is due first. */
typedef struct tail_list {
    tail_trace *newest, *oldest;
    size_t count;
} tail_list;

struct weir_tail {
    weir_tail_options options;
    weir_env env;
    uint64_t threshold;   /* Of the ratio. */
    pthread_mutex_t lock; /* Guards all below. */
    weir__map traces;     /* By id. */
    tail_list waiting, ending, decided;
    weir_tail_stats stats;
    weir__span *source; /* Not a span: resource as attributes, scope as name and message. */
    weir__span *ready, *last_ready; /* Kept, and to go to the next exporter. */
    size_t ready_spans, ready_bytes;
    const weir_span_data **batch;
    size_t sending; /* Spans that it has; 0 = none. */
    bool calling;   /* Its function has not returned yet. */
    uint64_t deadline_ns;
    weir_exported_fn done; /* The tracer waits; NULL = it does not. */
    void *token;
};

/* ---- Traces; all with the lock ---- */

static void tail_link(tail_list *list, tail_trace *trace)
{
    trace->newer = NULL;
    trace->older = list->newest;
    *(trace->older != NULL ? &trace->older->newer : &list->oldest) = trace;
    list->newest = trace;
    list->count++;
}

static void tail_unlink(tail_list *list, tail_trace *trace)
{
    *(trace->newer != NULL ? &trace->newer->older : &list->newest) = trace->older;
    *(trace->older != NULL ? &trace->older->newer : &list->oldest) = trace->newer;
    list->count--;
}

static tail_trace *tail_find(weir_tail *tail, const uint8_t *id)
{
    return weir__map_get(&tail->traces, (const char *)id, sizeof((tail_trace *)0)->id);
}

static void tail_forget(weir_tail *tail, tail_list *list, tail_trace *trace)
{
    (void)weir__map_remove(&tail->traces, (const char *)trace->id, sizeof trace->id);
    tail_unlink(list, trace);
    while (trace->first != NULL) {
        weir__span *const span = trace->first;
        trace->first = span->next;
        weir__span_free(&tail->env, span);
    }
    weir__free(&tail->env, trace, sizeof *trace);
}

static tail_trace *tail_make(weir_tail *tail, const uint8_t *id, uint64_t now_ns)
{
    tail_trace *const trace = weir__alloc(&tail->env, sizeof *trace);
    if (trace == NULL)
        return NULL;
    memcpy(trace->id, id, sizeof trace->id);
    trace->due_ns = weir__add_ns(now_ns, tail->options.decision_wait_ns);
    trace->start_ns = UINT64_MAX;
    trace->bytes = sizeof *trace;
    if (weir__map_put(&tail->traces, (const char *)trace->id, sizeof trace->id, trace)) {
        weir__free(&tail->env, trace, sizeof *trace);
        return NULL;
    }
    tail_link(&tail->waiting, trace);
    tail->stats.waiting_traces++;
    tail->stats.waiting_bytes += trace->bytes;
    return trace;
}

/* ---- Decisions ---- */

static bool tail_wanted(const weir_tail *tail, const tail_trace *trace)
{
    const weir_tail_options *const options = &tail->options;
    weir_tail_trace const view = {
        .trace_id = trace->id,
        .root = trace->root != NULL ? &trace->root->data : NULL,
        .duration_ns = trace->end_ns - trace->start_ns,
        .span_count = trace->span_count,
        .error_count = trace->error_count,
    };
    return (options->keep_errors && view.error_count > 0) ||
           view.duration_ns >= options->min_duration_ns ||
           weir__ot_random(trace->first->data.context.state, trace->id) >= tail->threshold ||
           (options->keep != NULL && options->keep(&view, options->user));
}

static void tail_release(weir_tail *tail, weir__span *first, weir__span *last, size_t count,
                         size_t bytes)
{
    *(tail->last_ready != NULL ? &tail->last_ready->next : &tail->ready) = first;
    tail->last_ready = last;
    tail->ready_spans += count;
    tail->ready_bytes += bytes;
}

static weir__span *tail_pop(weir_tail *tail)
{
    weir__span *const span = tail->ready;
    tail->ready = span->next;
    tail->ready_spans--;
    tail->ready_bytes -= span->size;
    if (tail->ready == NULL)
        tail->last_ready = NULL;
    return span;
}

/* The exporter does not keep up: what there is no room for is lost, the oldest first. */
static void tail_trim(weir_tail *tail)
{
    while (tail->ready_spans > tail->options.max_spans ||
           tail->ready_bytes > tail->options.max_bytes) {
        tail->stats.failed++;
        weir__span_free(&tail->env, tail_pop(tail));
    }
}

/* What is remembered are the latest decisions. */
static void tail_remember(weir_tail *tail, tail_trace *trace)
{
    tail_link(&tail->decided, trace);
    while (tail->decided.count > tail->options.max_decided)
        tail_forget(tail, &tail->decided, tail->decided.oldest);
}

static void tail_decide(weir_tail *tail, tail_trace *trace)
{
    bool const keep = tail_wanted(tail, trace);
    tail->stats.waiting_traces--;
    tail->stats.waiting_spans -= trace->span_count;
    tail->stats.waiting_bytes -= trace->bytes;
    tail_unlink(trace->state == TAIL_ENDING ? &tail->ending : &tail->waiting, trace);
    if (keep) {
        tail->stats.kept += trace->span_count;
        tail_release(tail, trace->first, trace->last, trace->span_count,
                     trace->bytes - sizeof *trace);
        trace->first = NULL;
    } else {
        tail->stats.dropped += trace->span_count;
    }
    while (trace->first != NULL) {
        weir__span *const span = trace->first;
        trace->first = span->next;
        weir__span_free(&tail->env, span);
    }
    trace->last = NULL;
    trace->root = NULL;
    trace->state = keep ? TAIL_KEPT : TAIL_DROPPED;
    tail_remember(tail, trace);
}

static void tail_decide_due(weir_tail *tail, uint64_t now_ns)
{
    while (tail->ending.oldest != NULL && tail->ending.oldest->due_ns <= now_ns)
        tail_decide(tail, tail->ending.oldest);
    while (tail->waiting.oldest != NULL && tail->waiting.oldest->due_ns <= now_ns) {
        tail->stats.timely++;
        tail_decide(tail, tail->waiting.oldest);
    }
}

/* Whether there is room for one more span of this size, after early decisions if need be. */
static bool tail_make_room(weir_tail *tail, size_t size)
{
    while (tail->stats.waiting_spans + 1 > tail->options.max_spans ||
           tail->stats.waiting_bytes + size > tail->options.max_bytes) {
        tail_trace *const victim =
            tail->ending.oldest != NULL ? tail->ending.oldest : tail->waiting.oldest;
        if (victim == NULL)
            return false;
        tail->stats.early++;
        tail_decide(tail, victim);
    }
    return true;
}

/* ---- Spans ---- */

static void tail_hold(weir_tail *tail, tail_trace *trace, weir__span *span, uint64_t now_ns)
{
    *(trace->last != NULL ? &trace->last->next : &trace->first) = span;
    trace->last = span;
    trace->span_count++;
    trace->bytes += span->size;
    trace->error_count += span->data.status == WEIR_SPAN_ERROR;
    if (span->data.start_ns < trace->start_ns)
        trace->start_ns = span->data.start_ns;
    if (span->data.end_ns > trace->end_ns)
        trace->end_ns = span->data.end_ns;
    tail->stats.waiting_spans++;
    tail->stats.waiting_bytes += span->size;
    if (!weir__span_is_local_root(&span->data))
        return;
    trace->root = span;
    if (trace->state == TAIL_ENDING)
        return;
    tail_unlink(&tail->waiting, trace);
    trace->state = TAIL_ENDING;
    trace->due_ns = weir__add_ns(now_ns, tail->options.linger_ns);
    tail_link(&tail->ending, trace);
}

/* Of a trace that is decided: with the rest, unless it changes what is known of it. */
static bool tail_late(weir_tail *tail, tail_trace *trace, const weir_span_data *data)
{
    bool const changes = (tail->options.keep_errors && data->status == WEIR_SPAN_ERROR) ||
                         data->end_ns - data->start_ns >= tail->options.min_duration_ns;
    if (trace->state == TAIL_DROPPED && changes)
        trace->state = TAIL_KEPT;
    if (trace->state == TAIL_DROPPED) {
        tail->stats.dropped++;
        return true;
    }
    weir__span *const span = weir__span_copy(&tail->env, data, "");
    if (span == NULL)
        return false;
    tail->stats.kept++;
    tail_release(tail, span, span, 1, span->size);
    return true;
}

/* False: it is lost, for want of memory. */
static bool tail_take(weir_tail *tail, const weir_span_data *data, uint64_t now_ns)
{
    tail_trace *trace = tail_find(tail, data->context.trace_id);
    if (trace != NULL && trace->state >= TAIL_KEPT)
        return tail_late(tail, trace, data);
    weir__span *const span = weir__span_copy(&tail->env, data, "");
    if (span == NULL)
        return false;
    if (!tail_make_room(tail, span->size + sizeof *trace)) {
        weir__span_free(&tail->env, span);
        return false;
    }
    trace = tail_find(tail, data->context.trace_id); /* It may have been decided, and forgotten. */
    if (trace != NULL && trace->state >= TAIL_KEPT) {
        weir__span_free(&tail->env, span);
        return tail_late(tail, trace, data);
    }
    if (trace == NULL && (trace = tail_make(tail, data->context.trace_id, now_ns)) == NULL) {
        weir__span_free(&tail->env, span);
        return false;
    }
    tail_hold(tail, trace, span, now_ns);
    return true;
}

/* ---- To the next exporter ---- */

static void tail_send(weir_tail *tail);

static void tail_sent(void *token, int result, size_t rejected)
{
    weir_tail *const tail = token;
    pthread_mutex_lock(&tail->lock);
    bool const answered = tail->sending == 0; /* Twice, or after it was given up. */
    if (!answered) {
        size_t const lost =
            result != WEIR_OK || rejected > tail->sending ? tail->sending : rejected;
        tail->stats.failed += lost;
        tail->sending = 0;
    }
    bool const go_on = !answered && !tail->calling;
    pthread_mutex_unlock(&tail->lock);
    if (go_on)
        tail_send(tail);
}

/* A batch off the ready ones: its spans, as a list that is freed after the call. With the lock. */
static weir__span *tail_fill(weir_tail *tail)
{
    weir__span *const first = tail->ready;
    weir__span *last = NULL;
    while (tail->ready != NULL && tail->sending < tail->options.batch_size) {
        last = tail_pop(tail);
        tail->batch[tail->sending++] = &last->data;
    }
    if (last != NULL)
        last->next = NULL;
    return first;
}

static void tail_send_batch(weir_tail *tail, weir__span *spans, size_t count, uint64_t deadline_ns)
{
    const weir_span_data *const source = &tail->source->data;
    weir_span_batch const batch = {
        .spans = tail->batch,
        .count = count,
        .resource = source->attributes,
        .resource_count = source->attribute_count,
        .scope_name = source->name,
        .scope_version = source->status_message,
    };
    tail->options.next.export_spans(tail->options.next.self, &batch, deadline_ns, tail_sent, tail);
    while (spans != NULL) {
        weir__span *const span = spans;
        spans = span->next;
        weir__span_free(&tail->env, span);
    }
}

/* Batch after batch, as long as each is answered at once; then the tracer is told. */
static void tail_send(weir_tail *tail)
{
    pthread_mutex_lock(&tail->lock);
    while (tail->sending == 0 && !tail->calling && tail->ready != NULL) {
        weir__span *const spans = tail_fill(tail);
        size_t const count = tail->sending;
        uint64_t const timeout_ns =
            weir__add_ns(weir__now_ns(&tail->env), tail->options.export_timeout_ns);
        if (tail->done == NULL || timeout_ns < tail->deadline_ns)
            tail->deadline_ns = timeout_ns;
        uint64_t const deadline_ns = tail->deadline_ns;
        tail->calling = true;
        pthread_mutex_unlock(&tail->lock);
        tail_send_batch(tail, spans, count, deadline_ns);
        pthread_mutex_lock(&tail->lock);
        tail->calling = false;
    }
    bool const over = tail->sending == 0 && !tail->calling;
    weir_exported_fn const done = over ? tail->done : NULL;
    void *const token = tail->token;
    if (over)
        tail->done = NULL;
    pthread_mutex_unlock(&tail->lock);
    if (done != NULL)
        done(token, WEIR_OK, 0);
}

static int tail_know_source(weir_tail *tail, const weir_span_batch *batch)
{
    weir_span_data const source = {
        .name = batch->scope_name != NULL ? batch->scope_name : "",
        .status_message = batch->scope_version != NULL ? batch->scope_version : "",
        .attributes = batch->resource,
        .attribute_count = batch->resource_count,
    };
    if (tail->source == NULL)
        tail->source = weir__span_copy(&tail->env, &source, "");
    return tail->source != NULL ? WEIR_OK : WEIR_ENOMEM;
}

static void tail_export(void *self, const weir_span_batch *batch, uint64_t deadline_ns,
                        weir_exported_fn done, void *token)
{
    weir_tail *const tail = self;
    uint64_t const now_ns = weir__now_ns(&tail->env);
    pthread_mutex_lock(&tail->lock);
    if (tail_know_source(tail, batch)) {
        pthread_mutex_unlock(&tail->lock);
        done(token, WEIR_ENOMEM, 0);
        return;
    }
    for (size_t i = 0; i < batch->count; i++)
        tail->stats.failed += !tail_take(tail, batch->spans[i], now_ns);
    tail_decide_due(tail, now_ns);
    tail->done = done;
    tail->token = token;
    tail->deadline_ns = deadline_ns;
    pthread_mutex_unlock(&tail->lock);
    tail_send(tail);
    if (tail->options.on_wake != NULL)
        tail->options.on_wake(tail->options.user);
}

static void tail_cancel(void *self)
{
    weir_tail *const tail = self;
    pthread_mutex_lock(&tail->lock);
    bool const sending = tail->sending > 0;
    tail->done = NULL;
    pthread_mutex_unlock(&tail->lock);
    if (!sending || tail->options.next.cancel == NULL)
        return;
    tail->options.next.cancel(tail->options.next.self);
    pthread_mutex_lock(&tail->lock);
    tail->stats.failed += tail->sending;
    tail->sending = 0;
    tail_trim(tail);
    pthread_mutex_unlock(&tail->lock);
}

/* ---- The task ---- */

static uint64_t tail_next_ns(const weir_tail *tail)
{
    uint64_t next_ns = WEIR_NEVER;
    if (tail->waiting.oldest != NULL)
        next_ns = tail->waiting.oldest->due_ns;
    if (tail->ending.oldest != NULL && tail->ending.oldest->due_ns < next_ns)
        next_ns = tail->ending.oldest->due_ns;
    if (tail->sending > 0 && tail->deadline_ns < next_ns)
        next_ns = tail->deadline_ns;
    return next_ns;
}

static uint64_t tail_run(void *self, uint64_t now_ns)
{
    weir_tail *const tail = self;
    pthread_mutex_lock(&tail->lock);
    /* The tracer's exports are cancelled by the tracer. */
    bool const late = tail->sending > 0 && tail->done == NULL && now_ns >= tail->deadline_ns;
    tail_decide_due(tail, now_ns);
    pthread_mutex_unlock(&tail->lock);
    if (late)
        tail_cancel(tail);
    tail_send(tail);
    pthread_mutex_lock(&tail->lock);
    uint64_t const next_ns = tail_next_ns(tail);
    pthread_mutex_unlock(&tail->lock);
    return next_ns;
}

/* ---- Public ---- */

int weir_tail_create(weir_tail **out, const weir_tail_options *options)
{
    weir_tail_options loaded = WEIR_TAIL_OPTIONS_INIT;
    weir_env env;
    *out = NULL;
    if (options != NULL &&
        weir__options_load(&loaded, sizeof loaded, options, options->struct_size))
        return WEIR_EINVAL;
    if (weir__env_load(&env, loaded.env) || loaded.next.export_spans == NULL ||
        !(loaded.ratio >= 0 && loaded.ratio <= 1) || loaded.decision_wait_ns < 1 ||
        loaded.max_spans < 1 || loaded.max_bytes < 1024 || loaded.batch_size < 1 ||
        loaded.batch_size > TAIL_BATCH_MAX || loaded.export_timeout_ns < 1)
        return WEIR_EINVAL;
    weir_tail *const tail = weir__alloc(&env, sizeof *tail);
    if (tail == NULL)
        return WEIR_ENOMEM;
    tail->batch = weir__alloc(&env, loaded.batch_size * sizeof(void *));
    if (tail->batch == NULL) {
        weir__free(&env, tail, sizeof *tail);
        return WEIR_ENOMEM;
    }
    tail->options = loaded;
    tail->env = env;
    tail->threshold = WEIR__OT_COUNT - (uint64_t)(loaded.ratio * (double)WEIR__OT_COUNT + 0.5);
    pthread_mutex_init(&tail->lock, NULL);
    weir__map_init(&tail->traces, &tail->env);
    *out = tail;
    return WEIR_OK;
}

void weir_tail_destroy(weir_tail *tail)
{
    if (tail == NULL)
        return;
    weir_env const env = tail->env;
    tail_list *const lists[] = {&tail->waiting, &tail->ending, &tail->decided};
    tail_cancel(tail);
    for (size_t i = 0; i < 3; i++)
        while (lists[i]->oldest != NULL)
            tail_forget(tail, lists[i], lists[i]->oldest);
    while (tail->ready != NULL)
        weir__span_free(&env, tail_pop(tail));
    weir__span_free(&env, tail->source);
    weir__map_free(&tail->traces);
    pthread_mutex_destroy(&tail->lock);
    weir__free(&env, tail->batch, tail->options.batch_size * sizeof(void *));
    weir__free(&env, tail, sizeof *tail);
}

weir_span_exporter weir_tail_exporter(weir_tail *tail)
{
    return (weir_span_exporter){tail_export, tail_cancel, tail};
}

weir_task weir_tail_task(weir_tail *tail)
{
    return (weir_task){tail_run, tail};
}

void weir_tail_decide(weir_tail *tail)
{
    pthread_mutex_lock(&tail->lock);
    while (tail->ending.oldest != NULL)
        tail_decide(tail, tail->ending.oldest);
    while (tail->waiting.oldest != NULL)
        tail_decide(tail, tail->waiting.oldest);
    pthread_mutex_unlock(&tail->lock);
    if (tail->options.on_wake != NULL)
        tail->options.on_wake(tail->options.user);
}

void weir_tail_get_stats(weir_tail *tail, weir_tail_stats *stats)
{
    pthread_mutex_lock(&tail->lock);
    *stats = tail->stats;
    pthread_mutex_unlock(&tail->lock);
}

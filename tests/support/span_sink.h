/* An exporter under the test's thumb: it answers at once, later, or never, and looks at spans. */
#ifndef WEIR_TEST_SPAN_SINK_H
#define WEIR_TEST_SPAN_SINK_H

#include <weir/trace.h>

#include <stdio.h>
#include <string.h>

#define SPAN_SINK_NAMES 64

typedef enum span_sink_mode {
    SPAN_SINK_NOW,   /* Answers within the call. */
    SPAN_SINK_LATER, /* When told, by span_sink_answer(). */
} span_sink_mode;

typedef struct span_sink {
    span_sink_mode mode;
    int result; /* What it answers. */
    size_t rejected;
    void (*look)(const weir_span_data *span); /* May be NULL; valid during the call alone. */
    void (*on_batch)(const weir_span_batch *batch);
    size_t batches, spans, cancels;
    size_t last_count;
    uint64_t deadline_ns; /* Of the latest. */
    bool busy;            /* A batch is not answered yet. */
    bool overlapped;      /* One came while it was. */
    weir_exported_fn done;
    void *token;
    char names[SPAN_SINK_NAMES][32];
} span_sink;

static inline void span_sink_answer(span_sink *sink)
{
    sink->busy = false;
    sink->done(sink->token, sink->result, sink->rejected);
}

static inline void span_sink_export(void *self, const weir_span_batch *batch, uint64_t deadline_ns,
                                    weir_exported_fn done, void *token)
{
    span_sink *const sink = self;
    sink->overlapped |= sink->busy;
    sink->busy = true;
    sink->done = done;
    sink->token = token;
    sink->deadline_ns = deadline_ns;
    sink->batches++;
    sink->last_count = batch->count;
    for (size_t i = 0; i < batch->count; i++) {
        if (sink->spans < SPAN_SINK_NAMES)
            (void)snprintf(sink->names[sink->spans], sizeof sink->names[0], "%s",
                           batch->spans[i]->name);
        sink->spans++;
        if (sink->look != NULL)
            sink->look(batch->spans[i]);
    }
    if (sink->on_batch != NULL)
        sink->on_batch(batch);
    if (sink->mode == SPAN_SINK_NOW)
        span_sink_answer(sink);
}

static inline void span_sink_cancel(void *self)
{
    span_sink *const sink = self;
    sink->busy = false;
    sink->cancels++;
}

static inline weir_span_exporter span_sink_exporter(span_sink *sink)
{
    return (weir_span_exporter){span_sink_export, span_sink_cancel, sink};
}

/* Whether a span's attribute has this text as its value. */
static inline bool span_says(const weir_span_data *span, const char *key, const char *value)
{
    for (size_t i = 0; i < span->attribute_count; i++)
        if (strcmp(span->attributes[i].key, key) == 0)
            return span->attributes[i].type == WEIR_ATTRIBUTE_STRING &&
                   span->attributes[i].count == strlen(value) &&
                   strcmp(span->attributes[i].as.string, value) == 0;
    return false;
}

#endif

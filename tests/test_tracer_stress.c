/* Threads that make spans, and others that export: each span is exported whole, or counted. */
#include "support/fake_env.h"

#include <weir/tracer.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define MAKERS 3
#define SPANS  4000

typedef struct world {
    weir_tracer *tracer;
    _Atomic uint64_t exported, torn;
    _Atomic unsigned inside; /* Exports at once. */
    _Atomic bool overlapped, over;
} world;

static void export_spans(void *self, const weir_span_batch *batch, uint64_t deadline_ns,
                         weir_exported_fn done, void *token)
{
    world *const w = self;
    (void)deadline_ns;
    if (atomic_fetch_add(&w->inside, 1) > 0)
        atomic_store(&w->overlapped, true);
    for (size_t i = 0; i < batch->count; i++) {
        const weir_span_data *const span = batch->spans[i];
        bool const whole = span->attribute_count == 2 &&
                           strcmp(span->name, span->attributes[1].as.string) == 0 &&
                           (int64_t)strlen(span->name) == span->attributes[0].as.integer;
        atomic_fetch_add(&w->torn, !whole);
    }
    atomic_fetch_add(&w->exported, batch->count);
    atomic_fetch_sub(&w->inside, 1);
    done(token, WEIR_OK, 0);
}

static void *make(void *arg)
{
    world *const w = arg;
    char name[400];
    for (unsigned i = 0; i < SPANS; i++) {
        weir_span span, copy;
        (void)snprintf(name, sizeof name, "%0*u", (int)(1 + i % 300), i % 10);
        weir_attribute const attributes[] = {weir_attribute_int("size", (int64_t)strlen(name)),
                                             weir_attribute_string("name", name)};
        weir_span_start(&span, w->tracer, name, NULL);
        copy = span;
        weir_span_set(&span, attributes, 2);
        weir_span_end(&span);
        weir_span_end(&copy);
    }
    return NULL;
}

static void *export_now_and_then(void *arg)
{
    world *const w = arg;
    weir_task const task = weir_tracer_task(w->tracer);
    uint64_t now_ns = 1;
    while (!atomic_load(&w->over)) {
        (void)task.run(task.self, now_ns++);
        if (now_ns % 16 == 0)
            (void)weir_tracer_flush(w->tracer, WEIR_NEVER, NULL, NULL);
    }
    return NULL;
}

static void run_world(const weir_tracer_options *options)
{
    world w = {.tracer = NULL};
    pthread_t makers[MAKERS], exporters[2];
    weir_tracer_stats stats;
    weir_tracer_options own = *options;
    uint64_t dropped = 0;
    own.exporter = (weir_span_exporter){export_spans, NULL, &w};
    assert_int_equal(weir_tracer_create(&w.tracer, &own), WEIR_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&exporters[i], NULL, export_now_and_then, &w), 0);
    for (int i = 0; i < MAKERS; i++)
        assert_int_equal(pthread_create(&makers[i], NULL, make, &w), 0);
    for (int i = 0; i < MAKERS; i++)
        pthread_join(makers[i], NULL);
    atomic_store(&w.over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(exporters[i], NULL);
    assert_int_equal(weir_tracer_shutdown(w.tracer, WEIR_NEVER, NULL, NULL), WEIR_OK);
    weir_tracer_get_stats(w.tracer, &stats);
    for (int i = 0; i < WEIR_SPAN_DROPS; i++)
        dropped += stats.dropped[i];
    assert_int_equal(atomic_load(&w.torn), 0);
    assert_false(atomic_load(&w.overlapped));
    assert_int_equal(stats.exported, atomic_load(&w.exported));
    assert_int_equal(stats.exported + dropped, MAKERS * SPANS);
    assert_int_equal(stats.active, 0);
    assert_int_equal(stats.queued, 0);
    weir_tracer_destroy(w.tracer);
}

static void spans_of_many_threads_are_exported_whole_or_counted(void **unused)
{
    (void)unused;
    weir_tracer_options options = WEIR_TRACER_OPTIONS_INIT;
    options.queue_size = 64;
    options.batch_size = 16;
    options.max_spans = 64 + MAKERS;
    run_world(&options);
}

static void spans_exported_as_they_end_are_whole_too(void **unused)
{
    (void)unused;
    weir_tracer_options options = WEIR_TRACER_OPTIONS_INIT;
    options.immediate = true;
    run_world(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_of_many_threads_are_exported_whole_or_counted),
        cmocka_unit_test(spans_exported_as_they_end_are_whole_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

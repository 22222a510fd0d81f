/* Spans of several threads through a tail, to an exporter that answers on a thread of its own. */
#include "support/fake_env.h"

#include <weir/tail.h>
#include <weir/tracer.h>

#include <pthread.h>
#include <stdatomic.h>

#define MAKERS 2
#define TRACES 3000

typedef struct world {
    weir_tail *tail;
    weir_tracer *tracer;
    pthread_mutex_t lock; /* Guards the next three. */
    weir_exported_fn done;
    void *token;
    bool busy;
    _Atomic bool overlapped, over;
    _Atomic uint64_t exported, errors;
} world;

static void export_spans(void *self, const weir_span_batch *batch, uint64_t deadline_ns,
                         weir_exported_fn done, void *token)
{
    world *const w = self;
    (void)deadline_ns;
    for (size_t i = 0; i < batch->count; i++)
        atomic_fetch_add(&w->errors, batch->spans[i]->status == WEIR_SPAN_ERROR);
    atomic_fetch_add(&w->exported, batch->count);
    pthread_mutex_lock(&w->lock);
    if (w->busy)
        atomic_store(&w->overlapped, true);
    w->busy = true;
    w->done = done;
    w->token = token;
    pthread_mutex_unlock(&w->lock);
}

static void cancel(void *self)
{
    world *const w = self;
    pthread_mutex_lock(&w->lock);
    w->busy = false;
    pthread_mutex_unlock(&w->lock);
}

static bool answer(world *w)
{
    pthread_mutex_lock(&w->lock);
    bool const busy = w->busy;
    weir_exported_fn const done = w->done;
    void *const token = w->token;
    w->busy = false;
    pthread_mutex_unlock(&w->lock);
    if (busy)
        done(token, WEIR_OK, 0);
    return busy;
}

static void *answer_always(void *arg)
{
    world *const w = arg;
    while (!atomic_load(&w->over))
        (void)answer(w);
    return NULL;
}

/* Time passes when it is asked for. */
static uint64_t tick(void *user)
{
    static _Atomic uint64_t now_ns;
    (void)user;
    return atomic_fetch_add(&now_ns, 1);
}

static void *run_tasks(void *arg)
{
    world *const w = arg;
    weir_task const tail = weir_tail_task(w->tail), tracer = weir_tracer_task(w->tracer);
    while (!atomic_load(&w->over)) {
        (void)tracer.run(tracer.self, tick(NULL));
        (void)tail.run(tail.self, tick(NULL));
    }
    return NULL;
}

/* Every third trace has an error, in its child. */
static void *make(void *arg)
{
    world *const w = arg;
    for (unsigned i = 0; i < TRACES; i++) {
        weir_span root, child;
        weir_span_options under = WEIR_SPAN_OPTIONS_INIT;
        weir_span_start(&root, w->tracer, "root", NULL);
        under.parent = &root.context;
        weir_span_start(&child, w->tracer, "child", &under);
        if (i % 3 == 0)
            weir_span_set_status(&child, WEIR_SPAN_ERROR, "broken");
        weir_span_end(&child);
        weir_span_end(&root);
    }
    return NULL;
}

static void each_span_is_kept_or_dropped_and_each_error_is_kept(void **unused)
{
    (void)unused;
    world w = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t makers[MAKERS], answerer, runner;
    weir_tail_options tailing = WEIR_TAIL_OPTIONS_INIT;
    weir_tracer_options tracing = WEIR_TRACER_OPTIONS_INIT;
    weir_tail_stats stats;
    weir_env env = WEIR_ENV_INIT;
    env.now_ns = tick;
    tailing.env = tracing.env = &env;
    tailing.next = (weir_span_exporter){export_spans, cancel, &w};
    tailing.min_duration_ns = WEIR_NEVER;
    tailing.linger_ns = 0;
    tailing.batch_size = 16;
    assert_int_equal(weir_tail_create(&w.tail, &tailing), WEIR_OK);
    tracing.exporter = weir_tail_exporter(w.tail);
    tracing.queue_size = tracing.max_spans = 1U << 15; /* Of all there are: none is lost here. */
    tracing.batch_size = 64;
    tracing.delay_ns = 1;
    assert_int_equal(weir_tracer_create(&w.tracer, &tracing), WEIR_OK);
    assert_int_equal(pthread_create(&answerer, NULL, answer_always, &w), 0);
    assert_int_equal(pthread_create(&runner, NULL, run_tasks, &w), 0);
    for (int i = 0; i < MAKERS; i++)
        assert_int_equal(pthread_create(&makers[i], NULL, make, &w), 0);
    for (int i = 0; i < MAKERS; i++)
        pthread_join(makers[i], NULL);
    assert_int_equal(weir_tracer_shutdown(w.tracer, WEIR_NEVER, NULL, NULL), WEIR_OK);
    atomic_store(&w.over, true);
    pthread_join(answerer, NULL);
    pthread_join(runner, NULL);
    weir_tail_decide(w.tail);
    weir_task const task = weir_tail_task(w.tail);
    do
        (void)task.run(task.self, 1);
    while (answer(&w));
    weir_tail_get_stats(w.tail, &stats);
    assert_false(atomic_load(&w.overlapped));
    assert_int_equal(stats.kept + stats.dropped, MAKERS * TRACES * 2);
    assert_int_equal(stats.kept, atomic_load(&w.exported));
    assert_int_equal(atomic_load(&w.errors), MAKERS * TRACES / 3);
    assert_int_equal(stats.failed, 0);
    assert_int_equal(stats.waiting_spans, 0);
    weir_tracer_destroy(w.tracer);
    weir_tail_destroy(w.tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_span_is_kept_or_dropped_and_each_error_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

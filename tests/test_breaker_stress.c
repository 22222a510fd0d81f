/* Breaker under threads: every outcome is counted once, and late permits never. */
#include "support/fake_env.h"

#include <weir/breaker.h>

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 4
#define CALLS   20000

typedef struct stress {
    weir_breaker *breaker;
    atomic_uint index;
    atomic_ullong admitted, refused, told;
} stress;

static void run_threads(void *(*body)(void *), stress *s)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, s), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* Each thread fails one call in four. */
static void *fail_a_quarter(void *arg)
{
    stress *const s = arg;
    for (unsigned i = 0; i < CALLS; i++) {
        weir_breaker_permit permit;
        if (weir_breaker_enter_at(s->breaker, 1000, &permit, NULL) == WEIR_OK)
            weir_breaker_leave_at(s->breaker, &permit, i % 4 == 0 ? WEIR_FAILURE : WEIR_SUCCESS,
                                  1000);
    }
    return NULL;
}

static void counts_every_outcome_once(weir_breaker_options *options)
{
    stress s = {.breaker = NULL};
    weir_breaker_stats stats;
    assert_int_equal(weir_breaker_create(&s.breaker, options), WEIR_OK);
    assert_int_equal(weir_breaker_force(s.breaker, WEIR_BREAKER_METRICS_ONLY), WEIR_OK);
    run_threads(fail_a_quarter, &s);
    weir_breaker_get_stats(s.breaker, &stats);
    assert_int_equal(stats.calls, THREADS * CALLS);
    assert_int_equal(stats.failures, THREADS * CALLS / 4);
    weir_breaker_destroy(s.breaker);
}

static uint64_t frozen_now_ns(void *user)
{
    (void)user;
    return 1000;
}

static void a_count_window_counts_every_outcome_once(void **state)
{
    (void)state;
    weir_breaker_options options = WEIR_BREAKER_OPTIONS_INIT;
    options.window_calls = THREADS * CALLS;
    counts_every_outcome_once(&options);
}

static void a_time_window_counts_every_outcome_once(void **state)
{
    (void)state;
    weir_env env = WEIR_ENV_INIT;
    env.now_ns = frozen_now_ns;
    weir_breaker_options options = WEIR_BREAKER_OPTIONS_INIT;
    options.window = WEIR_BREAKER_TIME_WINDOW;
    options.env = &env;
    counts_every_outcome_once(&options);
}

/* The window holds 64 outcomes; 80,000 pass through it, and its totals still match its slots. */
static void a_full_window_keeps_exact_totals(void **state)
{
    (void)state;
    stress s = {.breaker = NULL};
    weir_breaker_stats stats;
    weir_breaker_options options = WEIR_BREAKER_OPTIONS_INIT;
    options.window_calls = 64;
    assert_int_equal(weir_breaker_create(&s.breaker, &options), WEIR_OK);
    assert_int_equal(weir_breaker_force(s.breaker, WEIR_BREAKER_METRICS_ONLY), WEIR_OK);
    run_threads(fail_a_quarter, &s);
    weir_breaker_get_stats(s.breaker, &stats);
    assert_int_equal(stats.calls, 64);
    for (int i = 0; i < 64; i++) {
        weir_breaker_permit permit;
        assert_int_equal(weir_breaker_enter(s.breaker, &permit, NULL), WEIR_OK);
        weir_breaker_leave(s.breaker, &permit, WEIR_SUCCESS);
    }
    weir_breaker_get_stats(s.breaker, &stats);
    assert_int_equal(stats.calls, 64);
    assert_int_equal(stats.failures, 0);
    weir_breaker_destroy(s.breaker);
}

static void count_event(const weir_breaker_event *event, void *user)
{
    stress *const s = user;
    atomic_fetch_add(&s->told, 1);
    (void)event;
}

/* One thread updates and resets, the others call, fail and keep permits over the changes. */
static void *disturb(void *arg)
{
    stress *const s = arg;
    unsigned const index = atomic_fetch_add(&s->index, 1);
    weir_breaker_options options = WEIR_BREAKER_OPTIONS_INIT;
    options.open_ms = options.open_max_ms = 1;
    weir_breaker_permit kept = {.generation = 0};
    for (unsigned i = 0; i < CALLS; i++) {
        weir_breaker_permit permit;
        if (index == 0 && i % 64 == 0) {
            options.window_calls = 20 + i % 100;
            options.probe_calls = 1 + i % 7;
            assert_int_equal(weir_breaker_update(s->breaker, &options), WEIR_OK);
        }
        if (weir_breaker_enter(s->breaker, &permit, NULL) == WEIR_OK) {
            atomic_fetch_add(&s->admitted, 1);
            weir_breaker_leave(s->breaker, &kept, WEIR_FAILURE);
            kept = permit;
            if (i % 3 == 0)
                weir_breaker_leave(s->breaker, &kept, WEIR_SUCCESS);
        } else {
            atomic_fetch_add(&s->refused, 1);
        }
    }
    return NULL;
}

static void no_state_is_torn_while_options_change(void **state)
{
    (void)state;
    stress s = {.breaker = NULL};
    weir_breaker_stats stats;
    weir_breaker_options options = WEIR_BREAKER_OPTIONS_INIT;
    options.open_ms = options.open_max_ms = 1;
    options.on_event = count_event;
    options.user = &s;
    assert_int_equal(weir_breaker_create(&s.breaker, &options), WEIR_OK);
    run_threads(disturb, &s);
    weir_breaker_get_stats(s.breaker, &stats);
    assert_int_equal(stats.refused, s.refused);
    assert_int_equal(s.admitted + s.refused, THREADS * CALLS);
    weir_breaker_reset(s.breaker);
    weir_breaker_get_stats(s.breaker, &stats);
    assert_true(s.told + stats.last.dropped >= stats.generation - 1);
    assert_int_equal(stats.calls, 0);
    weir_breaker_destroy(s.breaker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_count_window_counts_every_outcome_once),
        cmocka_unit_test(a_time_window_counts_every_outcome_once),
        cmocka_unit_test(a_full_window_keeps_exact_totals),
        cmocka_unit_test(no_state_is_torn_while_options_change),
    };
    return cmocka_run_group_tests_name("breaker_stress", tests, NULL, NULL);
}

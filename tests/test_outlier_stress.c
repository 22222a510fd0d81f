/* Outlier detection under threads: every result is counted once, and every ejection told. */
#include "support/fake_env.h"

#include <weir/outlier.h>

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 4
#define CALLS   20000
#define HOSTS   8
#define S       UINT64_C(1000000000)

typedef struct stress {
    weir_outlier *outlier;
    weir_outlier_host *hosts[HOSTS];
    atomic_uint index;
    atomic_bool over;
    uint64_t swept, failed;                   /* Found by the sweeper in all. */
    unsigned ejected[HOSTS], returned[HOSTS]; /* Events; told by one thread at a time. */
    unsigned most;                            /* Ejected at once, as told. */
} stress;

static uint64_t frozen_now_ns(void *user)
{
    (void)user;
    return S;
}

static void count_event(const weir_outlier_event *event, void *user)
{
    stress *const s = user;
    size_t const host = (size_t)(event->id[0] - '0');
    s->ejected[host] += event->kind == WEIR_OUTLIER_EJECTED;
    s->returned[host] += event->kind == WEIR_OUTLIER_RETURNED;
    assert_in_range(s->ejected[host] - s->returned[host], 0, 1);
    if (event->kind == WEIR_OUTLIER_EJECTED && event->ejected > s->most)
        s->most = event->ejected;
}

static void create(stress *s, weir_outlier_options *options)
{
    static weir_env env = WEIR_ENV_INIT;
    env.now_ns = frozen_now_ns;
    options->env = &env;
    options->on_event = count_event;
    options->user = s;
    assert_int_equal(weir_outlier_create(&s->outlier, options), WEIR_OK);
    for (size_t i = 0; i < HOSTS; i++) {
        char const id[2] = {(char)('0' + i), '\0'};
        assert_int_equal(weir_outlier_add(s->outlier, id, NULL, &s->hosts[i]), WEIR_OK);
    }
}

static void run_threads(void *(*body)(void *), void *(*beside)(void *), stress *s)
{
    pthread_t threads[THREADS], other;
    assert_int_equal(pthread_create(&other, NULL, beside, s), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, s), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    atomic_store(&s->over, true);
    assert_int_equal(pthread_join(other, NULL), 0);
}

/* ---- Counts ---- */

static void sweep_once(stress *s, uint64_t now_ns)
{
    weir_task const task = weir_outlier_task(s->outlier);
    (void)task.run(task.self, now_ns);
    for (size_t i = 0; i < HOSTS; i++) {
        weir_outlier_host_stats stats;
        weir_outlier_get_host(s->hosts[i], &stats);
        s->swept += stats.calls;
        s->failed += (uint64_t)((100 - stats.success_percent) * (double)stats.calls / 100 + 0.5);
    }
}

static void *sweep_on(void *arg)
{
    stress *const s = arg;
    uint64_t now_ns = S;
    do {
        now_ns += 10 * S;
        sweep_once(s, now_ns);
    } while (!atomic_load(&s->over));
    sweep_once(s, now_ns + 10 * S); /* What came after the last. */
    return NULL;
}

/* One in four fails; one in eight is busy, which is not counted. */
static void *call_all(void *arg)
{
    stress *const s = arg;
    for (unsigned i = 0; i < CALLS; i++) {
        weir_outcome const outcome = i % 8 == 1   ? WEIR_OVERLOAD
                                     : i % 4 == 0 ? WEIR_FAILURE
                                                  : WEIR_SUCCESS;
        weir_outlier_record(s->hosts[(i / 8) % HOSTS], outcome, WEIR_ORIGIN_SERVER, 1000, S);
    }
    return NULL;
}

static void each_result_is_counted_in_one_interval(void **state)
{
    (void)state;
    stress s = {.outlier = NULL};
    weir_outlier_options options = WEIR_OUTLIER_OPTIONS_INIT;
    options.consecutive_failures = 0;
    options.success_rate_factor = options.failure_percent = 0;
    create(&s, &options);
    run_threads(call_all, sweep_on, &s);
    assert_int_equal(s.swept, THREADS * CALLS / 8 * 7);
    assert_int_equal(s.failed, THREADS * CALLS / 4);
    weir_outlier_destroy(s.outlier);
}

/* ---- Ejections ---- */

static void *fail_all(void *arg)
{
    stress *const s = arg;
    unsigned const index = atomic_fetch_add(&s->index, 1);
    for (unsigned i = 0; i < CALLS; i++)
        weir_outlier_record(s->hosts[(i + index) % HOSTS], WEIR_FAILURE, WEIR_ORIGIN_SERVER, 1000,
                            S);
    return NULL;
}

static void *look_on(void *arg)
{
    stress *const s = arg;
    while (!atomic_load(&s->over)) {
        weir_outlier_stats stats;
        weir_outlier_get_stats(s->outlier, &stats);
        assert_true(stats.ejected <= HOSTS / 2);
    }
    return NULL;
}

/* All fail, on all threads: half of them may be ejected, and are, once each. */
static void the_share_holds_however_many_find_hosts_out(void **state)
{
    (void)state;
    stress s = {.outlier = NULL};
    weir_outlier_stats stats;
    weir_outlier_options options = WEIR_OUTLIER_OPTIONS_INIT;
    options.max_ejected_percent = 50;
    create(&s, &options);
    run_threads(fail_all, look_on, &s);
    weir_outlier_get_stats(s.outlier, &stats);
    assert_int_equal(stats.ejected, HOSTS / 2);
    assert_int_equal(stats.ejections, HOSTS / 2);
    assert_int_equal(s.most, HOSTS / 2);
    for (size_t i = 0; i < HOSTS; i++)
        assert_int_equal(s.ejected[i], weir_outlier_is_ejected(s.hosts[i]));
    weir_outlier_destroy(s.outlier);
}

/* Ends ejections, sweeps and changes the options while the others fail; and hosts come and go. */
static void *disturb(void *arg)
{
    stress *const s = arg;
    weir_task const task = weir_outlier_task(s->outlier);
    weir_outlier_options options = WEIR_OUTLIER_OPTIONS_INIT;
    for (uint32_t i = 0; !atomic_load(&s->over); i++) {
        weir_outlier_host *passing = NULL;
        options.consecutive_failures = 1 + i % 5;
        options.max_ejected_percent = i * 7 % 101;
        assert_int_equal(weir_outlier_update(s->outlier, &options), WEIR_OK);
        assert_int_equal(weir_outlier_add(s->outlier, "7", NULL, &passing), WEIR_OK);
        (void)weir_outlier_uneject(s->hosts[i % HOSTS], S);
        (void)task.run(task.self, (UINT64_C(2) + i) * 5 * S);
        weir_outlier_leave(passing);
        weir_outlier_record(passing, WEIR_FAILURE, WEIR_ORIGIN_LOCAL, 1, S);
        weir_outlier_remove(passing);
    }
    return NULL;
}

static void each_ejection_and_each_return_is_told_once(void **state)
{
    (void)state;
    stress s = {.outlier = NULL};
    weir_outlier_stats stats;
    weir_outlier_options options = WEIR_OUTLIER_OPTIONS_INIT;
    uint64_t told = 0;
    create(&s, &options);
    run_threads(fail_all, disturb, &s);
    weir_outlier_get_stats(s.outlier, &stats);
    assert_int_equal(stats.hosts, HOSTS);
    for (size_t i = 0; i < HOSTS; i++) {
        weir_outlier_host_stats host;
        weir_outlier_get_host(s.hosts[i], &host);
        assert_int_equal(s.ejected[i], host.ejections);
        assert_int_equal(s.returned[i], host.ejections - host.ejected);
        told += s.ejected[i];
    }
    assert_true(told > 0);
    assert_int_equal(stats.ejections, told);
    weir_outlier_destroy(s.outlier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_result_is_counted_in_one_interval),
        cmocka_unit_test(the_share_holds_however_many_find_hosts_out),
        cmocka_unit_test(each_ejection_and_each_return_is_told_once),
    };
    return cmocka_run_group_tests_name("outlier_stress", tests, NULL, NULL);
}

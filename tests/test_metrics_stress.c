/* Threads that count, scrape, get, remove and fork at once: nothing is lost, nothing is torn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <weir/metrics.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS  4000

static weir_metrics *metrics;
static weir_metrics_series *all[6];
static weir_metrics_family *labelled;
static _Atomic bool over;
static _Atomic uint64_t scrapes;

/* Fewer cells than threads: some have their own, and some share. */
static int setup(void **state)
{
    (void)state;
    static const char *const names[] = {"counter",   "updown",      "gauge",
                                        "histogram", "exponential", "summary"};
    static const char *const keys[] = {"key"};
    weir_metrics_options options = WEIR_METRICS_OPTIONS_INIT;
    weir_metrics_family_options family = WEIR_METRICS_FAMILY_OPTIONS_INIT;
    weir_metrics_family *made;
    options.threads = 3;
    assert_int_equal(weir_metrics_create(&metrics, &options), WEIR_OK);
    for (int i = 0; i < 6; i++) {
        family.name = names[i];
        family.kind = (weir_metrics_kind)i;
        assert_int_equal(weir_metrics_family_create(&made, metrics, &family), WEIR_OK);
        assert_int_equal(weir_metrics_series_get(&all[i], made, NULL), WEIR_OK);
    }
    family.name = "labelled";
    family.kind = WEIR_METRICS_COUNTER;
    family.labels = keys;
    family.label_count = 1;
    family.max_series = 5;
    assert_int_equal(weir_metrics_family_create(&labelled, metrics, &family), WEIR_OK);
    atomic_store(&over, false);
    atomic_store(&scrapes, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir_metrics_destroy(metrics);
    return 0;
}

/* Values 1, 2, 4 .. 2^39, so that scales fall and bins are joined while others read. */
static void *count(void *arg)
{
    unsigned const self = *(const unsigned *)arg;
    weir_trace_context context;
    memset(&context, 0x11, sizeof context);
    context.flags = WEIR_TRACE_SAMPLED;
    for (unsigned i = 0; i < ROUNDS; i++) {
        double const value = (double)(UINT64_C(1) << i % 40);
        weir_metrics_add(all[0], 1);
        weir_metrics_add(all[1], self % 2 == 0 ? 1 : -1);
        weir_metrics_set(all[2], self);
        if (i % 64 == 0)
            weir_metrics_record_traced(all[3], value, &context);
        else
            weir_metrics_record(all[3], value);
        weir_metrics_record(all[4], value);
        weir_metrics_record(all[5], value);
    }
    return NULL;
}

static void check(const weir_metrics_view *view, const weir_metrics_point *point, void *user)
{
    uint64_t *const last = user;
    uint64_t sum = point->zero_count;
    for (size_t i = 0; i < point->bucket_count; i++)
        sum += point->buckets[i];
    if (view->kind == WEIR_METRICS_HISTOGRAM || view->kind == WEIR_METRICS_EXPONENTIAL)
        assert_true(sum == point->count);
    if (view->kind >= WEIR_METRICS_HISTOGRAM) {
        assert_true(point->count >= last[view->kind]);   /* Nothing that was shown is taken back. */
        assert_true(point->sum >= (double)point->count); /* Each value is at least 1. */
        assert_true(point->count == 0 || (point->min == 1 && point->max <= 549755813888.0));
        last[view->kind] = point->count;
    }
}

static void *scrape(void *arg)
{
    uint64_t last[6] = {0};
    weir_metrics_visitor const visitor = {.point = check};
    (void)arg;
    do {
        assert_int_equal(weir_metrics_collect(metrics, &visitor, last), WEIR_OK);
        atomic_fetch_add(&scrapes, 1);
    } while (!atomic_load(&over));
    return NULL;
}

static void remember(const weir_metrics_view *view, const weir_metrics_point *point, void *user)
{
    weir_metrics_point *const points = user;
    if (strcmp(view->name, "labelled") != 0)
        points[view->kind] = *point;
}

/* prometheus-cpp#528: what was shown was torn. */
static void counts_are_exact_while_others_scrape(void **state)
{
    (void)state;
    pthread_t threads[THREADS], scrapers[2];
    unsigned numbers[THREADS];
    weir_metrics_point points[6];
    weir_metrics_visitor const visitor = {.point = remember};
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&scrapers[i], NULL, scrape, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, count, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    atomic_store(&over, true);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_join(scrapers[i], NULL), 0);
    assert_int_equal(weir_metrics_collect(metrics, &visitor, points), WEIR_OK);
    double const sum = (double)((UINT64_C(1) << 40) - 1) * (ROUNDS / 40) * THREADS;
    assert_int_equal(points[0].integer, THREADS * ROUNDS);
    assert_int_equal(points[1].integer, 0);
    for (int i = 3; i < 6; i++) {
        assert_int_equal(points[i].count, THREADS * ROUNDS);
        assert_true(points[i].sum == sum); /* Below 2^53: exact. */
        assert_true(points[i].min == 1 && points[i].max == 549755813888.0);
    }
    assert_true(atomic_load(&scrapes) >= 2);
}

/* Handles are got, used, removed and released by all, with more keys than there is room for. */
static void *churn(void *arg)
{
    unsigned const self = *(const unsigned *)arg;
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        char key[2] = {(char)('a' + (self + i) % 8), '\0'};
        const char *const values[] = {key};
        weir_metrics_series *series;
        assert_int_equal(weir_metrics_series_get(&series, labelled, values), WEIR_OK);
        weir_metrics_add(series, 1);
        if (i % 5 == 0)
            (void)weir_metrics_series_remove(labelled, values);
        weir_metrics_add(series, 1);
        weir_metrics_series_release(series);
        if (i % 97 == 0)
            weir_metrics_family_clear(labelled);
    }
    return NULL;
}

static void series_come_and_go_while_others_count_and_scrape(void **state)
{
    (void)state;
    pthread_t threads[THREADS], scraper;
    unsigned numbers[THREADS];
    weir_metrics_stats stats;
    assert_int_equal(pthread_create(&scraper, NULL, scrape, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    atomic_store(&over, true);
    assert_int_equal(pthread_join(scraper, NULL), 0);
    weir_metrics_family_clear(labelled);
    weir_metrics_get_stats(metrics, &stats);
    assert_int_equal(stats.series, 6);
    assert_int_equal(stats.refused, 0);
}

static int child_counts(void)
{
    weir_metrics_point points[6];
    weir_metrics_visitor const visitor = {.point = remember};
    if (weir_metrics_collect(metrics, &visitor, points) != WEIR_OK)
        return 1;
    uint64_t const before = points[3].count;
    int64_t const jobs = points[0].integer;
    for (int i = 0; i < 1000; i++) {
        weir_metrics_add(all[0], 1);
        for (int j = 3; j < 6; j++)
            weir_metrics_record(all[j], i);
    }
    if (weir_metrics_collect(metrics, &visitor, points) != WEIR_OK)
        return 2;
    return points[3].count == before + 1000 && points[0].integer == jobs + 1000 ? 0 : 3;
}

static void children_of_a_busy_program_can_count_and_scrape(void **state)
{
    (void)state;
    pthread_t threads[THREADS], scraper;
    unsigned numbers[THREADS];
    if (getenv("WEIR_VALGRIND") != NULL) {
        print_message("SKIPPED: of a child, valgrind wants what threads held that it has not\n");
        skip();
    }
    assert_int_equal(pthread_create(&scraper, NULL, scrape, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, i % 2 == 0 ? count : churn, &numbers[i]),
                         0);
    }
    for (int i = 0; i < 20; i++) {
        int status = -1;
        (void)fflush(NULL);
        pid_t const child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(child_counts());
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    atomic_store(&over, true);
    assert_int_equal(pthread_join(scraper, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_are_exact_while_others_scrape, setup, teardown),
        cmocka_unit_test_setup_teardown(series_come_and_go_while_others_count_and_scrape, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(children_of_a_busy_program_can_count_and_scrape, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("metrics stress", tests, NULL, NULL);
}

/* Threads that answer runs twice, beat, note traffic, add, remove and look, while one runs the
 * task: every result is counted exactly once. */
#include "support/fake_env.h"

#include <weir/health.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define CHECKS  64
#define ANSWERS 20000
#define BEATS   5000
#define QUEUE   1024

static weir_health *health;
static weir_health_check *checks[CHECKS], *beating;
static atomic_ullong clock_ns;
static atomic_uint running[CHECKS], overlaps, most_running, now_running;
static atomic_ullong told_changes, accepted, refused;
static atomic_bool over;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct {
        weir_health_token token;
        size_t check;
    } runs[QUEUE];
    size_t head, count;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

static uint64_t stress_now_ns(void *user)
{
    (void)user;
    return atomic_load(&clock_ns);
}

static void begin(const weir_health_run *run, weir_health_result *result, void *user)
{
    (void)result;
    size_t const check = (size_t)((atomic_uint *)user - running);
    if (atomic_fetch_add(&running[check], 1) != 0)
        atomic_fetch_add(&overlaps, 1);
    unsigned const together = atomic_fetch_add(&now_running, 1) + 1;
    if (together > atomic_load(&most_running))
        atomic_store(&most_running, together);
    pthread_mutex_lock(&queue.lock);
    size_t const at = (queue.head + queue.count++) % QUEUE;
    queue.runs[at].token = run->token;
    queue.runs[at].check = check;
    pthread_cond_signal(&queue.filled);
    pthread_mutex_unlock(&queue.lock);
}

static void count_change(const weir_health_event *event, void *user)
{
    (void)user;
    if (event->kind == WEIR_HEALTH_CHECK_CHANGED)
        atomic_fetch_add(&told_changes, 1);
}

/* Each run is answered twice: once it counts. */
static void *answer_runs(void *arg)
{
    (void)arg;
    for (;;) {
        pthread_mutex_lock(&queue.lock);
        while (queue.count == 0 && !atomic_load(&over))
            pthread_cond_wait(&queue.filled, &queue.lock);
        if (queue.count == 0) {
            pthread_mutex_unlock(&queue.lock);
            return NULL;
        }
        weir_health_token const token = queue.runs[queue.head].token;
        size_t const check = queue.runs[queue.head].check;
        queue.head = (queue.head + 1) % QUEUE;
        queue.count--;
        pthread_mutex_unlock(&queue.lock);
        weir_health_result const result = {.verdict = token.run % 5 == 0 ? WEIR_HEALTH_FAIL
                                                                         : WEIR_HEALTH_PASS,
                                           .note = "x"};
        atomic_fetch_sub(&running[check], 1); /* Before: the next may begin at once. */
        atomic_fetch_sub(&now_running, 1);
        for (int i = 0; i < 2; i++)
            if (weir_health_done(health, token, &result) == WEIR_OK)
                atomic_fetch_add(&accepted, 1);
            else
                atomic_fetch_add(&refused, 1);
    }
}

static void *beat_and_look(void *arg)
{
    (void)arg;
    for (int i = 0; i < BEATS; i++) {
        weir_health_result const result = {.verdict =
                                               i % 2 == 0 ? WEIR_HEALTH_PASS : WEIR_HEALTH_WARNING};
        assert_int_equal(weir_health_beat(health, beating, &result), WEIR_OK);
        weir_health_note_traffic(checks[i % CHECKS], atomic_load(&clock_ns));
        (void)weir_health_get_state(checks[i % CHECKS]);
        (void)weir_health_get_system(health, NULL);
    }
    return NULL;
}

static void see_nothing(const weir_health_status *status, void *user)
{
    (void)status;
    (void)user;
}

static void *add_and_remove(void *arg)
{
    (void)arg;
    char id[16];
    for (int i = 0; i < 500; i++) {
        weir_health_check *check;
        (void)snprintf(id, sizeof id, "short-%d", i);
        assert_int_equal(weir_health_add(health, id, NULL, &check), WEIR_OK); /* A heartbeat. */
        if (i % 50 == 0)
            weir_health_visit(health, see_nothing, NULL);
        assert_int_equal(weir_health_remove(health, check), WEIR_OK);
    }
    return NULL;
}

static void create(void)
{
    weir_env env = WEIR_ENV_INIT;
    env.now_ns = stress_now_ns;
    weir_health_options options = WEIR_HEALTH_OPTIONS_INIT;
    options.max_running = 16;
    options.stall_ms = 0; /* The clock does not care how fast threads are. */
    options.on_event = count_change;
    options.events = 100000;
    options.env = &env;
    assert_int_equal(weir_health_create(&health, &options), WEIR_OK);
    weir_health_check_options check = WEIR_HEALTH_CHECK_OPTIONS_INIT;
    check.ttl_ms = 86400000;
    assert_int_equal(weir_health_add(health, "beating", &check, &beating), WEIR_OK);
    check.start = begin;
    check.timeout_ms = 86400000;
    check.interval_ms = 10;
    check.rise = 1;
    check.fall = 1;
    for (size_t i = 0; i < CHECKS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "check-%zu", i);
        check.user = &running[i];
        assert_int_equal(weir_health_add(health, id, &check, &checks[i]), WEIR_OK);
    }
}

static void every_result_counts_once_whoever_brings_it(void **state)
{
    (void)state;
    pthread_t threads[4];
    create();
    assert_int_equal(pthread_create(&threads[0], NULL, answer_runs, NULL), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, answer_runs, NULL), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, beat_and_look, NULL), 0);
    assert_int_equal(pthread_create(&threads[3], NULL, add_and_remove, NULL), 0);
    weir_task const task = weir_health_task(health);
    while (atomic_load(&accepted) < ANSWERS)
        (void)task.run(task.self, atomic_fetch_add(&clock_ns, 1000000));
    atomic_store(&over, true);
    pthread_cond_broadcast(&queue.filled);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);

    uint64_t runs = 0, passed = 0, failed = 0, late = 0, changes = 0;
    for (size_t i = 0; i < CHECKS; i++) {
        weir_health_status status;
        weir_health_get_status(health, checks[i], &status);
        runs += status.runs;
        passed += status.passed;
        failed += status.failed;
        late += status.late;
        changes += status.state == WEIR_HEALTH_UNKNOWN;
    }
    weir_health_summary summary;
    (void)weir_health_get_system(health, &summary);
    weir_health_status beats;
    weir_health_get_status(health, beating, &beats);
    assert_int_equal(overlaps, 0);
    assert_true(most_running <= 16);
    assert_int_equal(runs, accepted + summary.running);
    assert_int_equal(passed + failed, accepted);
    assert_int_equal(late, refused);
    assert_int_equal(refused, accepted);
    assert_int_equal(summary.running, 0);
    assert_int_equal(beats.passed, BEATS);
    assert_int_equal(summary.checks, CHECKS + 1);
    assert_int_equal(summary.dropped, 0);
    assert_int_equal(changes, 0); /* Everybody had a turn. */
    assert_true(told_changes > CHECKS);
    weir_health_destroy(health);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_result_counts_once_whoever_brings_it),
    };
    return cmocka_run_group_tests_name("health_stress", tests, NULL, NULL);
}

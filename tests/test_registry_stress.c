/* Threads that look up and beat while one registers, deregisters, reports and expires: what a view
 * shows is always whole, sorted and of one service, and no renewal is lost. */
#include "support/fake_env.h"

#include <weir/registry.h>
#include <weir/store.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define SERVICES 8
#define STEADY   4 /* Instances of each that stay. */
#define ROUNDS   1500
#define BEATS    20000

static weir_registry *registry;
static atomic_bool over;
static atomic_ullong clock_ns, views, beaten;

static uint64_t stress_now_ns(void *user)
{
    (void)user;
    return atomic_load(&clock_ns);
}

static void enter_one(int service, const char *id)
{
    char name[16];
    weir_instance instance = WEIR_INSTANCE_INIT;
    (void)snprintf(name, sizeof name, "s%d", service);
    instance.service = name;
    instance.id = id;
    assert_int_equal(weir_registry_register(registry, &instance, NULL, NULL), WEIR_OK);
}

static void check_view(const char *service)
{
    weir_registry_view view;
    weir_registry_begin(registry, service, &view);
    size_t steady = 0;
    assert_true(view.available_count <= view.count);
    for (size_t i = 0; i < view.count; i++) {
        assert_string_equal(view.instances[i]->service, service);
        assert_true(i == 0 || strcmp(view.instances[i - 1]->id, view.instances[i]->id) < 0);
        steady += view.instances[i]->id[0] == 'k';
    }
    assert_int_equal(steady, STEADY);
    weir_registry_end(&view);
}

static bool see_service(const weir_registry_service *service, void *user)
{
    (void)user;
    return service->available <= service->instances;
}

static void *look(void *arg)
{
    char service[16];
    unsigned const first = *(const unsigned *)arg;
    for (unsigned i = first; !atomic_load(&over); i++) {
        (void)snprintf(service, sizeof service, "s%u", i % SERVICES);
        check_view(service);
        if (i % 64 == 0)
            (void)weir_registry_visit_services(registry, see_service, NULL);
        atomic_fetch_add(&views, 1);
    }
    return NULL;
}

static void *beat_all(void *arg)
{
    (void)arg;
    char service[16], id[16];
    unsigned here = 0;
    for (unsigned i = 0; i < BEATS; i++) {
        (void)snprintf(service, sizeof service, "s%u", i % SERVICES);
        (void)snprintf(id, sizeof id, "k%u", i / SERVICES % STEADY);
        assert_int_equal(weir_registry_heartbeat(registry, service, id), WEIR_OK);
        atomic_fetch_add(&beaten, 1);
        here += weir_registry_heartbeat(registry, service, "t1") == WEIR_OK; /* Now and then. */
    }
    assert_true(here <= BEATS);
    return NULL;
}

static void views_are_whole_while_everything_changes(void **state)
{
    (void)state;
    weir_env env = WEIR_ENV_INIT;
    env.now_ns = stress_now_ns;
    atomic_store(&clock_ns, 1000000000);
    weir_store *store;
    assert_int_equal(weir_store_create(&store, NULL, NULL), WEIR_OK);
    weir_kv const kv = weir_store_kv(store);
    weir_registry_options options = WEIR_REGISTRY_OPTIONS_INIT;
    options.kv = &kv;
    options.env = &env;
    assert_int_equal(weir_registry_create(&registry, &options), WEIR_OK);
    for (int s = 0; s < SERVICES; s++)
        for (int i = 0; i < STEADY; i++) {
            char id[16];
            (void)snprintf(id, sizeof id, "k%d", i);
            enter_one(s, id);
        }
    pthread_t threads[3];
    unsigned const starts[] = {0, 3};
    assert_int_equal(pthread_create(&threads[0], NULL, look, (void *)(uintptr_t)&starts[0]), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, look, (void *)(uintptr_t)&starts[1]), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, beat_all, NULL), 0);
    weir_task const task = weir_registry_task(registry);
    for (int i = 0; i < ROUNDS; i++) {
        char service[16], id[16];
        (void)snprintf(service, sizeof service, "s%d", i % SERVICES);
        (void)snprintf(id, sizeof id, "t%d", i % 5);
        enter_one(i % SERVICES, id);
        assert_int_equal(weir_registry_report_health(registry, service, "k1", i % 3 != 0), WEIR_OK);
        if (i % 4 != 0)
            assert_int_equal(weir_registry_deregister(registry, service, id, NULL, NULL), WEIR_OK);
        (void)task.run(task.self, atomic_load(&clock_ns));
    }
    assert_int_equal(pthread_join(threads[2], NULL), 0);
    atomic_store(&over, true);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    assert_true(atomic_load(&views) > 0);
    assert_int_equal(atomic_load(&beaten), BEATS);
    weir_registry_destroy(registry);
    weir_store_destroy(store);
}

/* A minute with a known number of heartbeats from several threads. */
static void *beat_alone(void *arg)
{
    for (unsigned i = 0; i < BEATS; i++)
        assert_int_equal(weir_registry_heartbeat(registry, "s0", arg), WEIR_OK);
    return NULL;
}

static void *beat_once(void *arg)
{
    assert_int_equal(weir_registry_heartbeat(registry, "s0", "a"), WEIR_OK);
    return arg;
}

static void no_renewal_is_lost_or_counted_twice(void **state)
{
    (void)state;
    weir_env env = WEIR_ENV_INIT;
    env.now_ns = stress_now_ns;
    weir_store *store;
    assert_int_equal(weir_store_create(&store, NULL, NULL), WEIR_OK);
    weir_kv const kv = weir_store_kv(store);
    weir_registry_options options = WEIR_REGISTRY_OPTIONS_INIT;
    options.kv = &kv;
    options.env = &env;
    assert_int_equal(weir_registry_create(&registry, &options), WEIR_OK);
    static char ids[3][2] = {"a", "b", "a"};
    enter_one(0, "a");
    enter_one(0, "b");
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, beat_alone, ids[i]), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 20; i++) { /* More threads than there are counters. */
        assert_int_equal(pthread_create(&threads[0], NULL, beat_once, NULL), 0);
        assert_int_equal(pthread_join(threads[0], NULL), 0);
    }
    weir_task const task = weir_registry_task(registry);
    (void)task.run(task.self, atomic_load(&clock_ns));
    (void)task.run(task.self, atomic_fetch_add(&clock_ns, 60000000000U) + 60000000000U);
    weir_registry_stats stats;
    weir_registry_get_stats(registry, &stats);
    assert_int_equal(stats.renewals, 3 * BEATS + 20);
    weir_registry_destroy(registry);
    weir_store_destroy(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_whole_while_everything_changes),
        cmocka_unit_test(no_renewal_is_lost_or_counted_twice),
    };
    return cmocka_run_group_tests_name("registry_stress", tests, NULL, NULL);
}

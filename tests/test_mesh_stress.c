/* Threads that call while the mesh changes policies and members under them: no call is lost or
 * counted twice, and nobody is called who was never there. */
#include "support/fake_env.h"

#include <weir/mesh.h>
#include <weir/store.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define THREADS 2
#define CALLS   20000
#define CHANGES 400

typedef struct fixture {
    weir_caller *caller;
    _Atomic unsigned begun, rejected, strangers, callers_left;
} fixture;

static fixture f;

static void *call_often(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < CALLS; i++) {
        weir_call call;
        weir_attempt attempt;
        weir_attempt_result const good = {.outcome = WEIR_SUCCESS};
        uint64_t const now_ns = weir_caller_now_ns(f.caller);
        if (weir_caller_begin(f.caller, &call, NULL, now_ns, &attempt, NULL) != WEIR_OK) {
            atomic_fetch_add(&f.rejected, 1);
            continue;
        }
        atomic_fetch_add(&f.begun, 1);
        if (strncmp(attempt.member->address, "10.0.0.", 7) != 0)
            atomic_fetch_add(&f.strangers, 1);
        if (weir_caller_end(&call, &good, now_ns, NULL) != WEIR_CALL_DONE)
            atomic_fetch_add(&f.strangers, 1);
    }
    atomic_fetch_sub(&f.callers_left, 1);
    return NULL;
}

static void change(weir_config *config, weir_registry *registry, unsigned i)
{
    static const char *const balances[] = {"round_robin", "least_request", "maglev table=13",
                                           "peak_ewma"};
    char id[8], host[16], members[64];
    weir_instance instance = WEIR_INSTANCE_INIT;
    (void)snprintf(id, sizeof id, "m%u", i % 5);
    (void)snprintf(host, sizeof host, "10.0.0.%u", i % 5);
    (void)snprintf(members, sizeof members, "fixed 10.0.0.9:%u", 1 + i);
    instance.service = "orders";
    instance.id = id;
    instance.host = host;
    instance.port = 80;
    int code = WEIR_OK;
    switch (i % 4) {
    case 0:
        code = weir_config_set(config, "services/orders/balance", balances[i / 4 % 4], NULL, NULL,
                               NULL);
        break;
    case 1:
        code = weir_config_set(config, "services/orders/members", members, NULL, NULL, NULL);
        break;
    case 2: code = weir_registry_register(registry, &instance, NULL, NULL); break;
    default: code = weir_registry_deregister(registry, "orders", id, NULL, NULL); break;
    }
    assert_int_equal(code, WEIR_OK);
}

static void calls_go_on_while_everything_changes(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    weir_store *store;
    weir_mesh *mesh;
    weir_config_options config = WEIR_CONFIG_OPTIONS_INIT;
    weir_registry_options registry = WEIR_REGISTRY_OPTIONS_INIT;
    weir_mesh_options options = WEIR_MESH_OPTIONS_INIT;
    assert_int_equal(weir_store_create(&store, NULL, NULL), WEIR_OK);
    weir_kv const kv = weir_store_kv(store);
    config.kv = registry.kv = &kv;
    assert_int_equal(weir_config_create(&options.config, &config), WEIR_OK);
    assert_int_equal(weir_registry_create(&options.registry, &registry), WEIR_OK);
    assert_int_equal(weir_mesh_create(&mesh, &options), WEIR_OK);
    change(options.config, options.registry, 1); /* Somebody is always there. */
    f = (fixture){.caller = weir_mesh_caller(mesh, "orders"), .callers_left = THREADS};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, NULL), 0);
    weir_task const task = weir_mesh_task(mesh);
    for (unsigned i = 0; i < CHANGES || atomic_load(&f.callers_left) > 0; i++) {
        if (i < CHANGES)
            change(options.config, options.registry, i);
        (void)task.run(task.self, weir_caller_now_ns(f.caller));
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    weir_caller_stats stats;
    weir_caller_get_stats(f.caller, &stats);
    assert_int_equal(f.begun, THREADS * CALLS);
    assert_int_equal(f.rejected, 0);
    assert_int_equal(stats.calls, f.begun);
    assert_int_equal(stats.succeeded, f.begun);
    assert_int_equal(f.strangers, 0);
    weir_mesh_destroy(mesh);
    weir_registry_destroy(options.registry);
    weir_config_destroy(options.config);
    weir_store_destroy(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls_go_on_while_everything_changes)};
    return cmocka_run_group_tests_name("mesh_stress", tests, NULL, NULL);
}

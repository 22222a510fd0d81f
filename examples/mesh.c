/* Calls to "orders" follow what the config center wants, and who the registry knows. */
#include <weir/mesh.h>
#include <weir/store.h>

#include <stdio.h>

static void call_thrice(weir_caller *orders, const char *when)
{
    printf("%s:", when);
    for (int i = 0; i < 3; i++) {
        weir_call call;
        weir_attempt attempt;
        weir_attempt_result const went_well = {.outcome = WEIR_SUCCESS};
        uint64_t const now_ns = weir_caller_now_ns(orders);
        int const result = weir_caller_begin(orders, &call, NULL, now_ns, &attempt, NULL);
        printf(" %s", result == WEIR_OK ? attempt.member->address : weir_strerror(result));
        if (result == WEIR_OK && weir_caller_end(&call, &went_well, now_ns, NULL) != WEIR_CALL_DONE)
            printf(" (failed)");
    }
    printf("\n");
}

int main(void)
{
    weir_store *store;
    weir_config_options config_options = WEIR_CONFIG_OPTIONS_INIT;
    weir_registry_options registry_options = WEIR_REGISTRY_OPTIONS_INIT;
    weir_mesh_options options = WEIR_MESH_OPTIONS_INIT;
    weir_instance instance = WEIR_INSTANCE_INIT;
    if (weir_store_create(&store, NULL, NULL))
        return 1;
    weir_kv const kv = weir_store_kv(store);
    config_options.kv = registry_options.kv = &kv;
    int failed = weir_config_create(&options.config, &config_options) ||
                 weir_registry_create(&options.registry, &registry_options);
    weir_mesh *mesh = NULL;
    failed = failed || weir_mesh_create(&mesh, &options);
    weir_caller *const orders = failed ? NULL : weir_mesh_caller(mesh, "orders");
    if (orders == NULL)
        return 1;
    weir_task const task = weir_mesh_task(mesh);

    call_thrice(orders, "nobody is there   ");
    instance.service = "orders";
    instance.id = "one";
    instance.host = "10.0.0.1";
    instance.port = 8080;
    failed = weir_registry_register(options.registry, &instance, NULL, NULL);
    (void)task.run(task.self, 0); /* As a loop would, once it is woken. */
    call_thrice(orders, "one has registered");
    failed |= weir_config_set(options.config, "services/orders/limit", "2/m", NULL, NULL, NULL);
    (void)task.run(task.self, 0);
    call_thrice(orders, "at most two a min.");

    weir_mesh_destroy(mesh);
    weir_registry_destroy(options.registry);
    weir_config_destroy(options.config);
    weir_store_destroy(store);
    return failed;
}

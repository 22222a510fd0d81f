/* A fleet registers and is watched; one of it drains and leaves, one falls silent and expires. */
#include <weir/registry.h>
#include <weir/store.h>

#include <stdio.h>
#define SECOND UINT64_C(1000000000)
static uint64_t clock_ns = 1000 * SECOND;

static uint64_t now_ns(void *user)
{
    (void)user;
    return clock_ns;
}

static bool tell(const weir_registry_event *event, void *user)
{
    (void)user;
    printf("%3u s  %s %s\n", (unsigned)(clock_ns / SECOND - 1000),
           weir_registry_event_name(event->kind), event->id);
    return true;
}

int main(void)
{
    const char *const ids[] = {"one", "two", "three"};
    weir_env env = WEIR_ENV_INIT;
    env.now_ns = now_ns;
    weir_registry_options options = WEIR_REGISTRY_OPTIONS_INIT;
    options.env = &env;
    weir_registry_watch_options const watch = {sizeof watch, "orders", 0, tell, NULL};
    weir_instance instance = WEIR_INSTANCE_INIT;
    weir_registry *registry;
    weir_registry_watch *watching;
    weir_registry_view view;
    weir_store *store;
    if (weir_store_create(&store, NULL, NULL))
        return 1;
    weir_kv const kv = weir_store_kv(store);
    options.kv = &kv;
    int failed = weir_registry_create(&registry, &options) ||
                 weir_registry_watch_start(registry, &watch, &watching);
    instance.service = "orders";
    for (int i = 0; i < 3 && !failed; i++) {
        instance.id = ids[i];
        failed = weir_registry_register(registry, &instance, NULL, NULL);
    }
    failed = failed || weir_registry_drain(registry, "orders", "one", true, NULL, NULL);
    weir_registry_begin(registry, "orders", &view); /* What every call does. */
    printf("       %zu registered, %zu to call\n", view.count, view.available_count);
    weir_registry_end(&view);
    failed = failed || weir_registry_deregister(registry, "orders", "one", NULL, NULL);
    weir_task const task = weir_registry_task(registry);
    for (; !failed && clock_ns < 1120 * SECOND; clock_ns += 10 * SECOND) {
        (void)task.run(task.self, clock_ns);
        failed = weir_registry_heartbeat(registry, "orders", "two");
    }
    weir_registry_destroy(registry);
    weir_store_destroy(store);
    return failed;
}

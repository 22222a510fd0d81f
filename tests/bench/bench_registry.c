/* What calls cost that look up where to go, and instances that renew their leases. */
#include "support/bench.h"

#include <weir/registry.h>
#include <weir/store.h>

#include <string.h>

#define NAME_SIZE 24

/* As they come in from the network: in any order, and read by the cache before we ask. */
typedef struct beat {
    char service[NAME_SIZE], id[NAME_SIZE];
} beat;

typedef struct fleet {
    weir_store *store;
    weir_registry *registry;
    size_t services, instances;
    char (*service_names)[NAME_SIZE];
    char (*ids)[NAME_SIZE]; /* Instance i is of service i % services. */
    beat *beats;
} fleet;

static uint64_t skipped_ns; /* So far the clock is ahead. */

static uint64_t ahead_ns(void *user)
{
    (void)user;
    return (uint64_t)bench_now_ns() + skipped_ns;
}

static fleet fleet_of(size_t services, size_t instances)
{
    fleet made = {.services = services, .instances = instances};
    made.service_names = calloc(services, sizeof *made.service_names);
    made.ids = calloc(instances, sizeof *made.ids);
    made.beats = calloc(instances, sizeof *made.beats);
    if (made.service_names == NULL || made.ids == NULL || made.beats == NULL ||
        weir_store_create(&made.store, NULL, NULL) != WEIR_OK)
        abort();
    weir_kv const kv = weir_store_kv(made.store);
    weir_registry_options options = WEIR_REGISTRY_OPTIONS_INIT;
    options.kv = &kv;
    weir_env env = WEIR_ENV_INIT;
    env.now_ns = ahead_ns;
    options.env = &env;
    options.preserve_percent = 0; /* To see all of them expire at once. */
    options.evict_percent = 100;
    if (weir_registry_create(&made.registry, &options) != WEIR_OK)
        abort();
    for (size_t i = 0; i < services; i++)
        (void)snprintf(made.service_names[i], NAME_SIZE, "service-%u", (unsigned)i);
    for (size_t i = 0; i < instances; i++) {
        (void)snprintf(made.ids[i], NAME_SIZE, "instance-%u", (unsigned)i);
        weir_instance instance = WEIR_INSTANCE_INIT;
        instance.service = made.service_names[i % services];
        instance.id = made.ids[i];
        instance.host = "10.0.0.1";
        instance.port = 8080;
        if (weir_registry_register(made.registry, &instance, NULL, NULL) != WEIR_OK)
            abort();
    }
    for (size_t i = 0; i < instances; i++) {
        size_t const at = i * 7919 % instances; /* A prime: each once. */
        memcpy(made.beats[i].service, made.service_names[at % services], NAME_SIZE);
        memcpy(made.beats[i].id, made.ids[at], NAME_SIZE);
    }
    return made;
}

static void fleet_free(fleet *made)
{
    weir_registry_destroy(made->registry);
    weir_store_destroy(made->store);
    free(made->service_names);
    free(made->ids);
    free(made->beats);
}

/* Another service each time, as a gateway would. */
static void lookup(void *ctx, unsigned thread, uint64_t iterations)
{
    fleet *const made = ctx;
    size_t service = (size_t)thread * 7919 % made->services;
    for (uint64_t i = 0; i < iterations; i++) {
        weir_registry_view view;
        weir_registry_begin(made->registry, made->service_names[service], &view);
        bench_use((uint64_t)(uintptr_t)view.available + view.available_count);
        weir_registry_end(&view);
        service = (service + 389) % made->services;
    }
}

static void heartbeat(void *ctx, unsigned thread, uint64_t iterations)
{
    fleet *const made = ctx;
    size_t at = (size_t)thread * made->instances / 2;
    for (uint64_t i = 0; i < iterations; i++) {
        const beat *const told = &made->beats[at];
        bench_use((uint64_t)weir_registry_heartbeat_at(made->registry, told->service, told->id,
                                                       UINT64_C(1000000000) + i));
        at = at + 1 < made->instances ? at + 1 : 0;
    }
}

static void renew_registration(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    fleet *const made = ctx;
    weir_instance instance = WEIR_INSTANCE_INIT;
    instance.service = made->service_names[0];
    instance.host = "10.0.0.1";
    instance.port = 8080;
    for (uint64_t i = 0; i < iterations; i++) {
        instance.id = made->ids[i * made->services % made->instances];
        bench_use((uint64_t)weir_registry_register(made->registry, &instance, NULL, NULL));
    }
}

/* Of this thread: other programs do not count. */
static double cpu_now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Runs the task; what took longest so far. Returns when it wants to run next. */
static uint64_t run_timed(weir_registry *registry, double *longest_ns)
{
    weir_task const task = weir_registry_task(registry);
    double const begin_ns = cpu_now_ns();
    uint64_t const next_ns = task.run(task.self, ahead_ns(NULL));
    double const took_ns = cpu_now_ns() - begin_ns;
    *longest_ns = took_ns > *longest_ns ? took_ns : *longest_ns;
    return next_ns;
}

/* All leases run out: the longest run of the task, in which nothing else has a turn. */
static double expire_all(fleet *made)
{
    double longest_ns = 0;
    weir_registry_stats stats = {.instances = made->instances};
    while (stats.instances == made->instances) { /* A task on time, until the first is over. */
        uint64_t const next_ns = run_timed(made->registry, &longest_ns), now_ns = ahead_ns(NULL);
        weir_registry_get_stats(made->registry, &stats);
        skipped_ns += next_ns > now_ns ? next_ns - now_ns : 0;
    }
    skipped_ns += 900000000; /* Not so late that it would grant them more time: all are over. */
    while (stats.instances > 0) {
        (void)run_timed(made->registry, &longest_ns);
        weir_registry_get_stats(made->registry, &stats);
        skipped_ns += stats.expired_now == 0 ? 1000000 : 0;
    }
    return longest_ns;
}

/* What the code does takes long each time; what the machine does meanwhile, some times. */
static void expire(fleet *made, unsigned rounds)
{
    double least_ns = 0;
    for (unsigned round = 0; round < rounds; round++) {
        double const longest_ns = expire_all(made);
        least_ns = round == 0 || longest_ns < least_ns ? longest_ns : least_ns;
        size_t const services = made->services, instances = made->instances;
        fleet_free(made);
        if (round + 1 < rounds)
            *made = fleet_of(services, instances);
    }
    (void)printf("registry.expire size=%zu longest_us=%.0f (the least of %u times)\n",
                 made->instances, least_ns / 1e3, rounds);
}

int main(void)
{
    fleet few = fleet_of(10, 1000);
    bench_run("registry.lookup", 1, 1000, lookup, &few);
    bench_run("registry.lookup", 2, 1000, lookup, &few);
    bench_run("registry.heartbeat", 1, 1000, heartbeat, &few);
    bench_run("registry.heartbeat", 2, 1000, heartbeat, &few);
    bench_run("registry.register", 1, 1000, renew_registration, &few);
    fleet_free(&few);
    fleet many = fleet_of(1000, 100000);
    bench_run("registry.lookup", 1, 100000, lookup, &many);
    bench_run("registry.lookup", 2, 100000, lookup, &many);
    bench_run("registry.heartbeat", 1, 100000, heartbeat, &many);
    bench_run("registry.heartbeat", 2, 100000, heartbeat, &many);
    bench_run("registry.register", 1, 100000, renew_registration, &many);
    weir_registry_stats stats;
    weir_registry_get_stats(many.registry, &stats);
    (void)printf("registry.memory size=100000 bytes=%.0f\n",
                 (double)stats.bytes / (double)stats.instances);
    expire(&many, 3);
    return 0;
}

/* A large site in one process: services and their instances, and configuration, all on one store.
 * What calls cost beside a small one, what an entry takes in memory, and how long all leases
 * running out at once stops anything else. */
#include "support/bench.h"

#include <weir/config.h>
#include <weir/registry.h>
#include <weir/store.h>

#include <string.h>
#include <unistd.h>

#define NAME_SIZE 32

typedef struct site {
    size_t services, instances, names;
    weir_store *store;
    weir_registry *registry;
    weir_config *config;
    double resident; /* Before it was there. */
} site;

static uint64_t skipped_ns; /* So far the clock is ahead. */

static uint64_t ahead_ns(void *user)
{
    (void)user;
    return (uint64_t)bench_now_ns() + skipped_ns;
}

/* Bytes of this process in memory. */
static double resident(void)
{
    char line[128] = "";
    FILE *const file = fopen("/proc/self/statm", "r");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = 0;
    (void)fclose(file);
    const char *const second = strchr(line, ' ');
    return second != NULL ? strtod(second, NULL) * (double)sysconf(_SC_PAGESIZE) : 0;
}

static double store_bytes(const site *made)
{
    weir_store_stats stats;
    weir_store_get_stats(made->store, &stats);
    return (double)stats.bytes;
}

static void service_name(char out[NAME_SIZE], uint64_t number)
{
    (void)snprintf(out, NAME_SIZE, "service-%u", (unsigned)number);
}

static void config_name(char out[NAME_SIZE], uint64_t number)
{
    (void)snprintf(out, NAME_SIZE, "service-%u/limit", (unsigned)number);
}

/* ---- Making it ---- */

static void put_names(site *made)
{
    for (size_t i = 0; i < made->names; i++) {
        char name[NAME_SIZE], key[NAME_SIZE + 8];
        config_name(name, i);
        (void)snprintf(key, sizeof key, "config/%s", name);
        if (weir_store_put(made->store, weir_bytes_of(key),
                           weir_bytes_of("v=1 ms=1700000000000\n250/s"), 0, NULL) != WEIR_OK)
            abort();
    }
}

static void register_all(site *made)
{
    for (size_t i = 0; i < made->instances; i++) {
        char service[NAME_SIZE], id[NAME_SIZE];
        service_name(service, i % made->services);
        (void)snprintf(id, sizeof id, "instance-%u", (unsigned)i);
        weir_instance instance = WEIR_INSTANCE_INIT;
        instance.service = service;
        instance.id = id;
        instance.host = "10.0.0.1";
        instance.port = 8080;
        if (weir_registry_register(made->registry, &instance, NULL, NULL) != WEIR_OK)
            abort();
    }
}

static void print_memory(const char *what, size_t count, double in_store, double beside)
{
    (void)printf("scale.memory %s=%zu bytes_each=%.0f (in the store %.0f, beside it %.0f)\n", what,
                 count, (in_store + beside) / (double)count, in_store / (double)count,
                 beside / (double)count);
}

static void open_config(site *made, const weir_kv *kv)
{
    double const empty = store_bytes(made), begin_ns = bench_now_ns();
    weir_config_options options = WEIR_CONFIG_OPTIONS_INIT;
    weir_config_status status;
    put_names(made);
    double const put_ns = bench_now_ns();
    options.kv = kv;
    if (weir_config_create(&made->config, &options) != WEIR_OK)
        abort();
    (void)printf("scale.config names=%zu put_ms=%.0f load_ms=%.0f\n", made->names,
                 (put_ns - begin_ns) / 1e6, (bench_now_ns() - put_ns) / 1e6);
    weir_config_get_status(made->config, &status);
    print_memory("names", made->names, store_bytes(made) - empty, (double)status.bytes);
}

static void open_registry(site *made, const weir_kv *kv)
{
    double const before = store_bytes(made), begin_ns = bench_now_ns();
    weir_registry_options options = WEIR_REGISTRY_OPTIONS_INIT;
    weir_registry_stats stats;
    weir_env env = WEIR_ENV_INIT;
    env.now_ns = ahead_ns;
    options.kv = kv;
    options.env = &env;
    options.preserve_percent = 0; /* To see all of them expire at once. */
    options.evict_percent = 100;
    if (weir_registry_create(&made->registry, &options) != WEIR_OK)
        abort();
    register_all(made);
    (void)printf("scale.registry instances=%zu services=%zu register_ms=%.0f\n", made->instances,
                 made->services, (bench_now_ns() - begin_ns) / 1e6);
    weir_registry_get_stats(made->registry, &stats);
    print_memory("instances", made->instances, store_bytes(made) - before, (double)stats.bytes);
}

static site site_of(size_t services, size_t instances, size_t names)
{
    site made = {services, instances, names, NULL, NULL, NULL, resident()};
    if (weir_store_create(&made.store, NULL, NULL) != WEIR_OK)
        abort();
    weir_kv const kv = weir_store_kv(made.store);
    open_config(&made, &kv);
    open_registry(&made, &kv);
    (void)printf("scale.resident mb=%.0f\n", (resident() - made.resident) / 1e6);
    return made;
}

static void site_free(site *made)
{
    weir_registry_destroy(made->registry);
    weir_config_destroy(made->config);
    weir_store_destroy(made->store);
}

/* ---- Using it ---- */

#define ASKED 4096 /* Names asked for in turn, spread over all. */

static char asked_services[ASKED][NAME_SIZE], asked_names[ASKED][NAME_SIZE];

static void lookup(void *ctx, unsigned thread, uint64_t iterations)
{
    const site *const made = ctx;
    for (uint64_t i = 0; i < iterations; i++) {
        weir_registry_view view;
        weir_registry_begin(made->registry, asked_services[(i + thread * UINT64_C(997)) % ASKED],
                            &view);
        bench_use((uint64_t)(uintptr_t)view.available + view.available_count);
        weir_registry_end(&view);
    }
}

static void get(void *ctx, unsigned thread, uint64_t iterations)
{
    const site *const made = ctx;
    char value[32];
    for (uint64_t i = 0; i < iterations; i++)
        if (weir_config_get(made->config, asked_names[(i + thread * UINT64_C(997)) % ASKED], NULL,
                            value, sizeof value, NULL) != WEIR_OK)
            abort();
}

static void ask(site *made)
{
    for (size_t i = 0; i < ASKED; i++) {
        service_name(asked_services[i], i * UINT64_C(2654435761) % made->services);
        config_name(asked_names[i], i * UINT64_C(2654435761) % made->names);
    }
    for (unsigned threads = 1; threads <= 2; threads++) {
        bench_run("scale.lookup", threads, made->instances, lookup, made);
        bench_run("scale.get", threads, made->names, get, made);
    }
}

/* Of this thread: other programs do not count. */
static double cpu_now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* How long runs of the task take; the very longest may be the machine's doing. */
static void expire(site *made)
{
    enum { SLOTS = 2000 }; /* Of 10 us. */
    static unsigned runs_of[SLOTS];
    weir_task const task = weir_registry_task(made->registry);
    weir_registry_stats stats = {.instances = made->instances};
    unsigned runs = 0;
    while (stats.instances > 0) {
        double const begin_ns = cpu_now_ns();
        uint64_t const next_ns = task.run(task.self, ahead_ns(NULL));
        size_t const slot = (size_t)((cpu_now_ns() - begin_ns) / 1e4);
        uint64_t const now_ns = ahead_ns(NULL);
        runs_of[slot < SLOTS ? slot : SLOTS - 1]++;
        runs++;
        weir_registry_get_stats(made->registry, &stats);
        skipped_ns += next_ns != WEIR_NEVER && next_ns > now_ns ? next_ns - now_ns : 0;
    }
    size_t longest = SLOTS;
    while (longest > 0 && runs_of[longest - 1] == 0)
        longest--;
    size_t most = longest;
    for (unsigned beyond = 0; most > 0 && beyond + runs_of[most - 1] <= runs / 1000; most--)
        beyond += runs_of[most - 1];
    (void)printf("scale.expire instances=%zu runs=%u longest_us=%zu p999_us=%zu\n", made->instances,
                 runs, longest * 10, most * 10);
}

int main(void)
{
    site few = site_of(10, 1000, 1000);
    ask(&few);
    site_free(&few);
    site many = site_of(1000, 100000, 1000000);
    ask(&many);
    expire(&many);
    site_free(&many);
    return 0;
}

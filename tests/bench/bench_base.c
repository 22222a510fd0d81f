/* The private base: what every module pays for a look-up, a deadline and a look at a snapshot. */
#include "support/bench.h"

#include "base/heap.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/snapshot.h"

#include <string.h>

typedef struct key {
    char text[24];
    size_t size;
} key;

typedef struct map_bench {
    weir__map map;
    key *keys;
    size_t count;
} map_bench;

static void map_get(void *ctx, unsigned thread, uint64_t iterations)
{
    const map_bench *const bench = ctx;
    uint64_t at = thread;
    for (uint64_t i = 0; i < iterations; i++) {
        at = at * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const key *const k = &bench->keys[((at >> 32) * bench->count) >> 32];
        bench_use((uint64_t)(uintptr_t)weir__map_get(&bench->map, k->text, k->size));
    }
}

static void run_map(const weir_env *env, size_t count)
{
    map_bench bench = {.count = count, .keys = calloc(count, sizeof *bench.keys)};
    if (bench.keys == NULL)
        abort();
    weir__map_init(&bench.map, env);
    for (size_t i = 0; i < count; i++) {
        key *const k = &bench.keys[i];
        k->size = (size_t)snprintf(k->text, sizeof k->text, "instance-%zu", i);
        if (weir__map_put(&bench.map, k->text, k->size, k))
            abort();
    }
    bench_run("base.map_get", 1, count, map_get, &bench);
    weir__map_free(&bench.map);
    free(bench.keys);
}

typedef struct heap_bench {
    weir__heap heap;
    weir__heap_node nodes[10000];
    weir__rng rng;
} heap_bench;

/* A timer's life: the first fires and is set anew, as far away as a random timeout. */
static void heap_set(void *ctx, unsigned thread, uint64_t iterations)
{
    heap_bench *const bench = ctx;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        weir__heap_node *const first = weir__heap_first(&bench->heap);
        uint64_t const later_ns = weir__rng_next(&bench->rng) >> 34;
        if (weir__heap_set(&bench->heap, first, first->at_ns + later_ns))
            abort();
    }
}

static void run_heap(const weir_env *env, size_t count)
{
    static heap_bench bench;
    weir__heap_init(&bench.heap, env);
    weir__rng_seed(&bench.rng, 1);
    for (size_t i = 0; i < count; i++)
        if (weir__heap_set(&bench.heap, &bench.nodes[i], weir__rng_next(&bench.rng) >> 34))
            abort();
    bench_run("base.heap_set", 1, count, heap_set, &bench);
    weir__heap_free(&bench.heap);
}

typedef struct value {
    weir__version version;
    uint64_t number;
} value;

static void value_free(weir__version *version, void *owner)
{
    (void)version; /* Part of the benchmark's own. */
    (void)owner;
}

static void snapshot_read(void *ctx, unsigned thread, uint64_t iterations)
{
    weir__snapshot *const snapshot = ctx;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        weir__reader *const reader = weir__read_begin();
        const value *const current = weir__snapshot_get(snapshot);
        bench_use(current->number);
        weir__read_end(reader);
    }
}

static void run_snapshot(void)
{
    static value only = {.number = 1};
    weir__snapshot snapshot;
    weir__snapshot_init(&snapshot, value_free, NULL);
    weir__snapshot_set(&snapshot, &only.version);
    bench_run("base.snapshot_read", 1, 1, snapshot_read, &snapshot);
    bench_run("base.snapshot_read", 2, 1, snapshot_read, &snapshot);
    weir__snapshot_free(&snapshot);
}

int main(void)
{
    weir_env env;
    if (weir__env_load(&env, NULL))
        return 1;
    run_map(&env, 1000);
    run_map(&env, 100000);
    run_heap(&env, 10000);
    run_snapshot();
    return 0;
}

/* What a read of configuration costs, by size, and what a write does. */
#include "support/bench.h"

#include <weir/config.h>
#include <weir/store.h>

#include <string.h>

#define NAMES 4096 /* Asked for in turn, spread over all. */

typedef struct subject {
    weir_config *config;
    size_t size;
    char names[NAMES][32];
} subject;

static void name_of(char *out, size_t room, size_t i)
{
    (void)snprintf(out, room, "service-%zu/limit", i);
}

static bool put_page(weir_store *store, size_t from, size_t to)
{
    enum { PAGE = 100 };
    char keys[PAGE][48];
    weir_kv_op ops[PAGE];
    weir_kv const kv = weir_store_kv(store);
    for (size_t i = from; i < to; i++) {
        (void)snprintf(keys[i - from], sizeof keys[0], "config/service-%zu/limit", i);
        ops[i - from] = (weir_kv_op){.kind = WEIR_KV_PUT,
                                     .range = {.keys = {.key = weir_bytes_of(keys[i - from])}},
                                     .value = weir_bytes_of("v=1 ms=1700000000000\n250/s")};
    }
    weir_kv_txn const txn = {.then_ops = ops, .then_count = to - from};
    return kv.txn(kv.self, &txn, NULL, NULL) == WEIR_OK;
}

/* The store holds `size` names; the config reads them from there. */
static weir_store *store_of(size_t size)
{
    weir_store *store;
    weir_store_options options = WEIR_STORE_OPTIONS_INIT;
    if (weir_store_create(&store, &options, NULL) != WEIR_OK)
        abort();
    for (size_t i = 0; i < size; i += 100)
        if (!put_page(store, i, i + 100 < size ? i + 100 : size))
            abort();
    return store;
}

static void open_subject(subject *s, weir_store *store, size_t size)
{
    weir_kv const kv = weir_store_kv(store);
    weir_config_options options = WEIR_CONFIG_OPTIONS_INIT;
    options.kv = &kv;
    s->size = size;
    if (weir_config_create(&s->config, &options) != WEIR_OK)
        abort();
    for (size_t i = 0; i < NAMES; i++)
        name_of(s->names[i], sizeof s->names[i], i * UINT64_C(2654435761) % size);
}

static void get(void *ctx, unsigned thread, uint64_t iterations)
{
    const subject *const s = ctx;
    char value[64];
    weir_config_info info;
    size_t at = thread * 997;
    for (uint64_t i = 0; i < iterations; i++) {
        at = (at + 1) % NAMES;
        if (weir_config_get(s->config, s->names[at], NULL, value, sizeof value, &info) != WEIR_OK)
            abort();
        bench_use((uint64_t)value[0]);
    }
}

/* Each name is one that was not asked for lately: of a million, none is in a cache. */
static void get_cold(void *ctx, unsigned thread, uint64_t iterations)
{
    const subject *const s = ctx;
    char value[64];
    uint64_t at = thread * UINT64_C(7919);
    for (uint64_t i = 0; i < iterations; i++) {
        char name[32] = "service-";
        at = (at + 2654435761U) % s->size;
        size_t used = 8;
        char digits[20];
        size_t count = 0;
        for (uint64_t left = at; count == 0 || left > 0; left /= 10)
            digits[count++] = (char)('0' + left % 10);
        while (count > 0)
            name[used++] = digits[--count];
        memcpy(name + used, "/limit", 7);
        if (weir_config_get(s->config, name, NULL, value, sizeof value, NULL) != WEIR_OK)
            abort();
        bench_use((uint64_t)value[0]);
    }
}

static void get_i64(void *ctx, unsigned thread, uint64_t iterations)
{
    const subject *const s = ctx;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        bench_use((uint64_t)weir_config_get_i64(s->config, s->names[i % NAMES], NULL, 1, NULL));
}

static void set(void *ctx, unsigned thread, uint64_t iterations)
{
    const subject *const s = ctx;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        if (weir_config_set(s->config, s->names[i % NAMES], "300/s", NULL, NULL, NULL) != WEIR_OK)
            abort();
}

int main(void)
{
    static const size_t sizes[] = {1000, 1000000};
    static subject s;
    for (size_t i = 0; i < 2; i++) {
        weir_store *const store = store_of(sizes[i]);
        double const begin_ns = bench_now_ns();
        open_subject(&s, store, sizes[i]);
        (void)printf("config.load size=%zu ms=%.1f\n", sizes[i], (bench_now_ns() - begin_ns) / 1e6);
        weir_config_status status;
        weir_config_get_status(s.config, &status);
        (void)printf("config.memory size=%zu bytes_per_name=%.1f\n", sizes[i],
                     (double)status.bytes / (double)sizes[i]);
        for (unsigned threads = 1; threads <= 2; threads++) {
            bench_run("config.get", threads, sizes[i], get, &s);
            bench_run("config.get_cold", threads, sizes[i], get_cold, &s);
            bench_run("config.get_i64", threads, sizes[i], get_i64, &s);
        }
        bench_run("config.set", 1, sizes[i], set, &s);
        weir_config_destroy(s.config);
        weir_store_destroy(store);
    }
    return 0;
}

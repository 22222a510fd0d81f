/* The store in memory: puts of keys that are there and of new ones, and reads. In a folder: what
 * group commit gains over the machine's own fdatasync. */
#include "support/bench.h"
#include "support/store_folder.h"

#include <weir/store.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct bench {
    weir_store *store;
    uint64_t size;
    uint64_t next;
} bench;

static weir_bytes key_of(char text[32], uint64_t number)
{
    static const char prefix[] = "config/service/";
    memcpy(text, prefix, sizeof prefix - 1);
    for (size_t i = 8; i-- > 0; number /= 10)
        text[sizeof prefix - 1 + i] = (char)('0' + number % 10);
    return (weir_bytes){text, sizeof prefix - 1 + 8};
}

/* Any of `size` keys, in an order that no cache foresees. */
static uint64_t scatter(uint64_t i, uint64_t size)
{
    return i * UINT64_C(0x9E3779B97F4A7C15) % size;
}

static void put(void *ctx, unsigned thread, uint64_t iterations)
{
    bench *const self = ctx;
    char text[32];
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        bench_use((uint64_t)weir_store_put(self->store,
                                           key_of(text, scatter(self->next++, self->size)),
                                           (weir_bytes){"0123456789abcdef", 16}, 0, NULL));
}

static bool look(const weir_kv_pair *pair, void *user)
{
    *(uint64_t *)user += pair->mod_revision;
    return true;
}

static void get(void *ctx, unsigned thread, uint64_t iterations)
{
    bench *const self = ctx;
    char text[32];
    uint64_t sum = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        weir_bytes const key = key_of(text, scatter(i + thread, self->size));
        weir_kv_range const range = {.keys = {.key = key}};
        bench_use((uint64_t)weir_store_read(self->store, &range, look, &sum, NULL, NULL));
    }
    bench_use(sum);
}

static int bench_memory(uint64_t size)
{
    bench self = {.size = size};
    weir_store_stats stats;
    char text[32];
    if (weir_store_create(&self.store, NULL, NULL))
        return 1;
    double const begin_ns = bench_now_ns();
    for (uint64_t i = 0; i < size; i++)
        if (weir_store_put(self.store, key_of(text, scatter(i, size)),
                           (weir_bytes){"0123456789abcdef", 16}, 0, NULL))
            return 1;
    (void)printf("store.fill threads=1 size=%u ns=%.2f clocks=-\n", (unsigned)size,
                 (bench_now_ns() - begin_ns) / (double)size);
    bench_run("store.put", 1, (size_t)size, put, &self);
    bench_run("store.read", 1, (size_t)size, get, &self);
    bench_run("store.read", 2, (size_t)size, get, &self);
    weir_store_get_stats(self.store, &stats);
    (void)printf("store.memory size=%u bytes_per_key=%.1f (key 23, value 16)\n", (unsigned)size,
                 (double)stats.bytes / (double)stats.keys);
    weir_store_destroy(self.store);
    return 0;
}

/* ---- In a folder ---- */

static int count_acknowledged;

static void acknowledge(const weir_kv_result *result, void *user)
{
    (void)user;
    count_acknowledged += result->code == WEIR_OK;
}

/* One write and one fdatasync of this machine, in the same folder. */
static double bench_sync_ns(void)
{
    enum { ROUNDS = 200 };
    char path[96];
    (void)snprintf(path, sizeof path, "%s/sync", store_folder);
    int const file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    double const begin_ns = bench_now_ns();
    for (int i = 0; i < ROUNDS; i++)
        if (file < 0 || pwrite(file, "0123456789abcdef", 16, i * 16) != 16 || fdatasync(file) != 0)
            abort();
    double const ns = (bench_now_ns() - begin_ns) / ROUNDS;
    (void)close(file);
    return ns;
}

/* As many puts as come in while one sync lasts, here 100, then the next. */
static int bench_group(void)
{
    enum { GROUPS = 100, GROUP = 100 };
    weir_store_options options = WEIR_STORE_OPTIONS_INIT;
    weir_store *store;
    char text[32];
    options.folder = store_folder_make();
    double const sync_ns = bench_sync_ns();
    if (weir_store_create(&store, &options, NULL))
        return 1;
    weir_kv const kv = weir_store_kv(store);
    double const begin_ns = bench_now_ns();
    for (uint64_t i = 0; i < GROUPS * GROUP; i++) {
        weir_kv_op const op = {.kind = WEIR_KV_PUT,
                               .range = {.keys = {.key = key_of(text, i)}},
                               .value = {"0123456789abcdef", 16}};
        weir_kv_txn const txn = {.then_ops = &op, .then_count = 1};
        if (kv.txn(kv.self, &txn, acknowledge, NULL) ||
            (i % GROUP == GROUP - 1 && weir_store_commit(store)))
            return 1;
    }
    double const ns = (bench_now_ns() - begin_ns) / count_acknowledged;
    (void)printf("store.put_durable threads=1 size=%d ns=%.2f clocks=- (%.0f a second; this "
                 "machine's fdatasync: %.0f a second)\n",
                 GROUP, ns, 1e9 / ns, 1e9 / sync_ns);
    weir_store_destroy(store);
    store_folder_remove();
    return 0;
}

int main(void)
{
    return bench_memory(1000) || bench_memory(1000000) || bench_group();
}

/* Readers without a lock beside a writer: each read is whole, at one revision, and never older than
 * the one before it. Run it under ThreadSanitizer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <weir/store.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define KEYS    64
#define ROUNDS  3000
#define READERS 3

static weir_store *store;
static atomic_bool over;
static atomic_uint reads, broken;

typedef struct seen {
    unsigned count;
    uint64_t mod_revision;
    char value[24];
    bool mixed;
} seen;

/* The writer puts the same value to all keys in one transaction. */
static bool look(const weir_kv_pair *pair, void *user)
{
    seen *const all = user;
    if (all->count++ == 0) {
        memcpy(all->value, pair->value.data, pair->value.size);
        all->value[pair->value.size] = 0;
        all->mod_revision = pair->mod_revision;
    }
    all->mixed |= pair->value.size != strlen(all->value) ||
                  memcmp(pair->value.data, all->value, pair->value.size) != 0 ||
                  pair->mod_revision != all->mod_revision;
    return true;
}

static void *read_on(void *user)
{
    (void)user;
    uint64_t last = 0;
    weir_kv_range const range = {.keys = {{"k", 1}, {"l", 1}}};
    while (!atomic_load(&over)) {
        seen all = {.count = 0};
        uint64_t revision;
        if (weir_store_read(store, &range, look, &all, NULL, &revision) != WEIR_OK)
            atomic_fetch_add(&broken, 1);
        if (all.mixed || (all.count != KEYS && all.count != 0) || revision < last ||
            all.mod_revision > revision)
            atomic_fetch_add(&broken, 1);
        last = revision;
        atomic_fetch_add(&reads, 1);
    }
    return NULL;
}

static void write_round(weir_kv *kv, unsigned round)
{
    static char keys[KEYS][8];
    weir_kv_op ops[KEYS];
    char value[24];
    (void)snprintf(value, sizeof value, "%u", round);
    for (unsigned i = 0; i < KEYS; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%u", i);
        ops[i] = (weir_kv_op){.kind = round % 10 == 9 ? WEIR_KV_DELETE : WEIR_KV_PUT,
                              .range = {.keys = {.key = weir_bytes_of(keys[i])}},
                              .value = weir_bytes_of(value)};
    }
    weir_kv_txn const txn = {.then_ops = ops, .then_count = KEYS};
    assert_int_equal(kv->txn(kv->self, &txn, NULL, NULL), WEIR_OK);
}

/* Keys beside them come and go, so that the index splits, empties and frees its nodes. */
static void churn(unsigned round)
{
    char key[24];
    (void)snprintf(key, sizeof key, "%c%u", round % 2 == 0 ? 'a' : 'z', round * 7919 % 5000);
    assert_int_equal(weir_store_put(store, weir_bytes_of(key), weir_bytes_of(""), 0, NULL),
                     WEIR_OK);
    (void)snprintf(key, sizeof key, "%c%u", round % 2 == 0 ? 'a' : 'z',
                   (round * 7919 + 2500) % 5000);
    weir_kv_keys const keys = {.key = weir_bytes_of(key)};
    assert_int_equal(weir_store_delete(store, &keys, NULL), WEIR_OK);
}

static void readers_see_whole_transactions_while_history_is_forgotten(void **state)
{
    (void)state;
    pthread_t threads[READERS];
    weir_store_options options = WEIR_STORE_OPTIONS_INIT;
    options.history = 1; /* What a reader holds is forgotten at once. */
    assert_int_equal(weir_store_create(&store, &options, NULL), WEIR_OK);
    weir_kv kv = weir_store_kv(store);
    weir_task const task = weir_store_task(store);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, NULL), 0);
    for (unsigned round = 0; round < ROUNDS || atomic_load(&reads) < 100; round++) {
        write_round(&kv, round);
        churn(round);
        (void)task.run(task.self, round);
    }
    atomic_store(&over, true);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&broken), 0);
    weir_store_destroy(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_whole_transactions_while_history_is_forgotten),
    };
    return cmocka_run_group_tests_name("store_stress", tests, NULL, NULL);
}

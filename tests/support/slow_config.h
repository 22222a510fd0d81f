/* A configuration center on a kv that answers later, fails, or tells things that are not so. */
#ifndef WEIR_TEST_SLOW_CONFIG_H
#define WEIR_TEST_SLOW_CONFIG_H

#include "support/config_fixture.h"

#include <dirent.h>
#include <unistd.h>

/* A kv whose answers come when told: requests of ranges wait, and writes wait for their commit. */
typedef struct slow_range {
    weir_kv_range range;
    char key[700], end[200];
    weir_kv_result_fn done;
    void *user;
} slow_range;

static struct {
    weir_kv inner;
    bool slow;
    int fail; /* What range and txn say instead. */
    slow_range waiting[4];
    size_t count;
    int (*before)(void); /* Once, before the next transaction. */
    int tell;            /* What is told of the next transaction, instead of doing it. */
    weir_kv_watch watch; /* The first that was asked for: the view's. */
    uint64_t watch_id;
} slow;

static inline int slow_range_fn(void *self, const weir_kv_range *range, weir_kv_result_fn done,
                                void *user)
{
    if (slow.fail != WEIR_OK)
        return slow.fail;
    if (!slow.slow)
        return slow.inner.range(self, range, done, user);
    slow_range *const waits = &slow.waiting[slow.count++];
    *waits = (slow_range){.range = *range, .done = done, .user = user};
    memcpy(waits->key, range->keys.key.data, range->keys.key.size);
    waits->range.keys.key.data = waits->key;
    memcpy(waits->end, range->keys.end.data, range->keys.end.size);
    waits->range.keys.end.data = waits->end;
    return WEIR_OK;
}

static inline int slow_txn_fn(void *self, const weir_kv_txn *txn, weir_kv_result_fn done,
                              void *user)
{
    int (*const before)(void) = slow.before;
    slow.before = NULL;
    if (before != NULL)
        assert_int_equal(before(), WEIR_OK);
    if (slow.tell != WEIR_OK) {
        weir_kv_result const result = {.code = slow.tell};
        slow.tell = WEIR_OK;
        done(&result, user);
        return WEIR_OK;
    }
    return slow.fail != WEIR_OK ? slow.fail : slow.inner.txn(self, txn, done, user);
}

static inline int slow_watch_fn(void *self, const weir_kv_watch *watch, uint64_t *id)
{
    int const code = slow.inner.watch(self, watch, id);
    if (slow.watch_id == 0) {
        slow.watch = *watch;
        slow.watch_id = *id;
    }
    return code;
}

/* The view's watch has fallen behind. */
static inline void forget_history(void)
{
    weir_kv_watch_event const event = {.code = WEIR_ECOMPACTED};
    slow.inner.unwatch(slow.inner.self, slow.watch_id);
    slow.watch_id = 0;
    (void)slow.watch.fn(&event, slow.watch.user);
}

static inline void answer_ranges(int code)
{
    while (slow.count > 0) {
        slow_range const waits = slow.waiting[--slow.count];
        weir_kv_range range = waits.range;
        range.keys.key.data = waits.key;
        range.keys.end.data = waits.end;
        weir_kv_result const failed = {.code = code};
        if (code != WEIR_OK)
            waits.done(&failed, waits.user);
        else
            assert_int_equal(slow.inner.range(slow.inner.self, &range, waits.done, waits.user),
                             WEIR_OK);
    }
}

static inline int setup_slow(void **state)
{
    memset(&slow, 0, sizeof slow);
    if (setup(state) != 0)
        return -1;
    weir_config_destroy(f.config);
    slow.inner = f.kv;
    f.kv.range = slow_range_fn;
    f.kv.txn = slow_txn_fn;
    f.kv.watch = slow_watch_fn;
    f.synced = 0;
    return weir_config_create(&f.config, &f.options);
}

static char folder[64];

/* Commits come when told: writes are answered, and watchers told, then. */
static inline int setup_group(void **state)
{
    memset(&slow, 0, sizeof slow);
    (void)snprintf(folder, sizeof folder, "/tmp/weir-config-XXXXXX");
    if (setup(state) != 0 || mkdtemp(folder) == NULL)
        return -1;
    weir_config_destroy(f.config);
    weir_store_destroy(f.store);
    f.store_options.folder = folder;
    f.store_options.sync = WEIR_SYNC_GROUP;
    if (weir_store_create(&f.store, &f.store_options, NULL) != WEIR_OK)
        return -1;
    f.kv = weir_store_kv(f.store);
    return weir_config_create(&f.config, &f.options);
}

static inline int teardown_group(void **state)
{
    int const result = teardown(state);
    DIR *const dir = opendir(folder);
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char name[400];
        (void)snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        (void)unlink(name);
    }
    (void)closedir(dir);
    (void)rmdir(folder);
    return result;
}

static inline void commit(void)
{
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
}

#define SLOW(name)  cmocka_unit_test_setup_teardown(name, setup_slow, teardown)
#define GROUP(name) cmocka_unit_test_setup_teardown(name, setup_group, teardown_group)

#endif

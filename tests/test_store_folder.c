/* The store in a real folder, each kind of sync, and what is told when. */
#include "support/store_fixture.h"
#include "support/store_folder.h"

static int setup_folder(void **state)
{
    assert_int_equal(setup(state), 0);
    weir_store_destroy(f.store);
    f.store = NULL;
    f.options.folder = store_folder_make();
    assert_non_null(f.options.folder);
    return 0;
}

static int teardown_folder(void **state)
{
    int const result = teardown(state);
    store_folder_remove();
    return result;
}

static void reopen(void)
{
    weir_store_destroy(f.store);
    create();
}

static void every_sync_policy_keeps_everything_over_a_restart(void **state)
{
    (void)state;
    for (int sync = WEIR_SYNC_ALWAYS; sync <= WEIR_SYNC_NONE; sync++) {
        f.options.sync = (weir_store_sync)sync;
        create();
        uint64_t const before = weir_store_revision(f.store);
        put("a", "1");
        put("b", "2");
        put("a", "3");
        delete_keys(one("b"));
        reopen();
        assert_int_equal(weir_store_revision(f.store), before + 4);
        assert_string_equal(read_keys(all(), 0), "a=3 ");
        assert_int_equal(put("b", "5"), before + 5); /* No revision is given out twice. */
        assert_int_equal(delete_keys(all()), 2);
        weir_store_destroy(f.store);
        f.store = NULL;
    }
}

static void a_snapshot_holds_more_leases_than_one_slice_writes(void **state)
{
    (void)state;
    weir_store_stats stats;
    create();
    for (uint64_t id = 1; id <= 600; id++)
        assert_int_equal(f.kv.grant(f.kv.self, id, 60000, on_lease, &f), WEIR_OK);
    put("a", "1");
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    assert_int_equal(weir_store_snapshot(f.store), WEIR_OK);
    reopen();
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.leases, 600);
    assert_int_equal(stats.snapshot_revision, stats.revision);
    assert_string_equal(read_keys(all(), 0), "a=1 ");
}

static void in_a_group_all_is_told_after_one_sync(void **state)
{
    (void)state;
    weir_store_stats stats;
    f.options.sync = WEIR_SYNC_GROUP;
    create();
    watch_from(all(), 0);
    weir_store_get_stats(f.store, &stats);
    uint64_t const syncs = stats.syncs;
    for (int i = 0; i < 10; i++) {
        weir_kv_op const op = put_op("a", "1");
        weir_kv_txn const txn = {.then_ops = &op, .then_count = 1};
        assert_int_equal(f.kv.txn(f.kv.self, &txn, on_result, &f), WEIR_OK);
    }
    assert_int_equal(f.results, 0);
    assert_int_equal(f.batches, 0);
    assert_string_equal(read_keys(all(), 0), ""); /* Not yet safe, so not yet there. */
    assert_int_equal(f.woken, 10);
    (void)run_task();
    assert_int_equal(f.results, 10);
    assert_int_equal(f.revision, 11);
    assert_string_equal(read_keys(all(), 0), "a=1 ");
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.syncs, syncs + 1);
}

static void a_transaction_sees_those_pending_before_it(void **state)
{
    (void)state;
    create();
    weir_kv_compare const absent = {.key = weir_bytes_of("a"), .target = WEIR_KV_CREATE_REVISION};
    weir_kv_op const op = put_op("a", "1");
    weir_kv_txn const txn = {.compares = &absent,
                             .compare_count = 1,
                             .then_ops = &op,
                             .then_count = 1};
    assert_int_equal(f.kv.txn(f.kv.self, &txn, on_result, &f), WEIR_OK);
    assert_int_equal(f.kv.txn(f.kv.self, &txn, on_result, &f), WEIR_OK);
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    assert_int_equal(f.results, 2);
    assert_false(f.succeeded);
    assert_int_equal(weir_store_revision(f.store), 2);
}

static void a_grant_is_told_once_it_is_safe(void **state)
{
    (void)state;
    create();
    assert_int_equal(f.kv.grant(f.kv.self, 3, 5000, on_lease, &f), WEIR_OK);
    assert_int_equal(f.results, 0);
    (void)run_task();
    assert_int_equal(f.results, 1);
    assert_int_equal(f.lease.id, 3);
    reopen();
    assert_int_equal(f.kv.keep_alive(f.kv.self, 3, NULL, NULL), WEIR_OK);
    assert_int_equal(f.kv.revoke(f.kv.self, 3, NULL, NULL), WEIR_OK);
    reopen();
    assert_int_equal(f.kv.keep_alive(f.kv.self, 3, NULL, NULL), WEIR_ENOTFOUND);
}

static void intervals_sync_by_the_task(void **state)
{
    (void)state;
    weir_store_stats stats;
    f.options.sync = WEIR_SYNC_INTERVAL;
    create();
    weir_store_get_stats(f.store, &stats);
    uint64_t const syncs = stats.syncs;
    put("a", "1");
    assert_int_equal(run_task(), 1 + f.options.sync_interval_ns);
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.syncs, syncs);
    f.fake.now_ns += f.options.sync_interval_ns;
    (void)run_task();
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.syncs, syncs + 1);
}

static void history_goes_on_over_a_restart_from_the_newest_snapshot(void **state)
{
    (void)state;
    create();
    put("a", "1");
    put("a", "2");
    reopen();
    assert_string_equal(read_keys(all(), 2), "a=1 ");
    watch_from(all(), 2);
    (void)run_task();
    assert_string_equal(f.log, "+a=1@2 +a=2@3 ");
    assert_int_equal(weir_store_snapshot(f.store), WEIR_OK);
    put("a", "3");
    reopen();
    f.log[0] = 0;
    assert_string_equal(read_keys(all(), 3), "a=2 ");
    assert_string_equal(read_keys(all(), 0), "a=3 ");
    watch_from(all(), 3); /* It is in the snapshot alone. */
    watch_from(all(), 4);
    (void)run_task();
    assert_string_equal(f.log, "!-18@3 +a=3@4 ");
}

static void a_long_log_is_followed_by_a_snapshot_in_slices(void **state)
{
    (void)state;
    weir_store_stats stats;
    f.options.segment_bytes = 4096;
    f.options.snapshot_bytes = 65536;
    create();
    for (int i = 0; i < 3000; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i % 1000);
        weir_kv_op const op = put_op(key, "a value of some bytes");
        weir_kv_txn const txn = {.then_ops = &op, .then_count = 1};
        assert_int_equal(f.kv.txn(f.kv.self, &txn, NULL, NULL), WEIR_OK);
        if (i % 10 == 9)
            (void)run_task();
    }
    for (int i = 0; i < 50; i++)
        (void)run_task();
    weir_store_get_stats(f.store, &stats);
    assert_true(stats.snapshot_revision > 1000);
    assert_true(stats.log_bytes < 2 * 65536);
    reopen();
    assert_int_equal(weir_store_revision(f.store), 3001);
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.keys, 1000);
}

static void a_folder_has_one_opener(void **state)
{
    (void)state;
    weir_store *second;
    weir_store_error error;
    create();
    assert_int_equal(weir_store_create(&second, &f.options, &error), WEIR_EBUSY);
    assert_string_equal(error.message, "the folder is open already");
}

static void a_folder_that_cannot_be_made_is_an_error(void **state)
{
    (void)state;
    char path[96];
    weir_store *store;
    weir_store_error error;
    create();
    (void)snprintf(path, sizeof path, "%s/missing/folder", store_folder);
    f.options.folder = path;
    assert_int_equal(weir_store_create(&store, &f.options, &error), WEIR_ESYSTEM);
    assert_int_equal(error.system, 2); /* ENOENT. */
    f.options.folder = store_folder;
}

/* Every allocation in turn, of opening, writing and a snapshot: an error, and nothing is lost. */
static void no_memory_loses_nothing(void **state)
{
    (void)state;
    unsigned acknowledged = 0;
    for (unsigned n = 1; n < 400; n++) {
        int result = WEIR_OK;
        f.fake.fail_at = f.fake.calls + n;
        f.options.env = &f.env;
        if (weir_store_create(&f.store, &f.options, NULL) == WEIR_OK) {
            for (int i = 0; i < 3; i++) {
                char key[16];
                (void)snprintf(key, sizeof key, "k%u", acknowledged % 10);
                result = weir_store_put(f.store, weir_bytes_of(key), weir_bytes_of("v"), 0, NULL);
                acknowledged += result == WEIR_OK;
                assert_true(result == WEIR_OK || result == WEIR_ENOMEM);
            }
            result = weir_store_snapshot(f.store);
            assert_true(result == WEIR_OK || result == WEIR_ENOMEM);
        }
        f.fake.fail_at = 0;
        weir_store_destroy(f.store);
        f.store = NULL;
        assert_int_equal(f.fake.live_bytes, 0);
        create();
        weir_store_stats stats;
        weir_store_get_stats(f.store, &stats);
        assert_int_equal(stats.revision, 1 + acknowledged);
        weir_store_destroy(f.store);
        f.store = NULL;
    }
    assert_true(acknowledged > 300);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_folder, teardown_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_sync_policy_keeps_everything_over_a_restart),
        TEST(a_snapshot_holds_more_leases_than_one_slice_writes),
        TEST(in_a_group_all_is_told_after_one_sync),
        TEST(a_transaction_sees_those_pending_before_it),
        TEST(a_grant_is_told_once_it_is_safe),
        TEST(intervals_sync_by_the_task),
        TEST(history_goes_on_over_a_restart_from_the_newest_snapshot),
        TEST(a_long_log_is_followed_by_a_snapshot_in_slices),
        TEST(a_folder_has_one_opener),
        TEST(a_folder_that_cannot_be_made_is_an_error),
        TEST(no_memory_loses_nothing),
    };
    return cmocka_run_group_tests_name("store_folder", tests, NULL, NULL);
}

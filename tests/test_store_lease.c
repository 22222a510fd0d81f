/* The store's leases: keys that go with them, time, and what is told. */
#include "support/store_fixture.h"

#define MS UINT64_C(1000000)

static uint64_t grant(uint64_t id, uint64_t ttl_ms)
{
    assert_int_equal(f.kv.grant(f.kv.self, id, ttl_ms, on_lease, &f), WEIR_OK);
    assert_int_equal(f.lease.code, WEIR_OK);
    assert_int_equal(f.lease.ttl_ms, ttl_ms);
    return f.lease.id;
}

static int put_with(const char *key, uint64_t lease)
{
    return weir_store_put(f.store, weir_bytes_of(key), weir_bytes_of(""), lease, NULL);
}

static uint64_t task_at(uint64_t ms)
{
    f.fake.now_ns = 1 + ms * MS;
    return run_task();
}

static void keys_go_with_their_lease_in_one_revision(void **state)
{
    (void)state;
    uint64_t const lease = grant(0, 1000);
    assert_true(lease != 0);
    assert_int_equal(put_with("a", lease), WEIR_OK);
    assert_int_equal(put_with("b", lease), WEIR_OK);
    assert_int_equal(put_with("c", 0), WEIR_OK);
    watch_from(all(), 0);
    assert_int_equal(task_at(999), 1 + 1000 * MS);
    assert_string_equal(f.log, "");
    (void)task_at(1000);
    assert_string_equal(f.log, "-a@5 -b@5 ");
    assert_string_equal(read_keys(all(), 0), "c= ");
}

static void a_lease_that_is_kept_alive_goes_on(void **state)
{
    (void)state;
    uint64_t const lease = grant(7, 1000);
    assert_int_equal(lease, 7);
    assert_int_equal(put_with("a", lease), WEIR_OK);
    for (uint64_t ms = 900; ms < 10000; ms += 900) {
        (void)task_at(ms);
        assert_int_equal(f.kv.keep_alive(f.kv.self, lease, on_lease, &f), WEIR_OK);
        assert_int_equal(f.lease.code, WEIR_OK);
        assert_int_equal(f.lease.ttl_ms, 1000);
    }
    assert_string_equal(read_keys(all(), 0), "a= ");
    (void)task_at(10901); /* The last was at 9,900. */
    assert_string_equal(read_keys(all(), 0), "");
    assert_int_equal(f.kv.keep_alive(f.kv.self, lease, on_lease, &f), WEIR_OK);
    assert_int_equal(f.lease.code, WEIR_ENOTFOUND);
    assert_int_equal(f.kv.keep_alive(f.kv.self, lease, NULL, NULL), WEIR_ENOTFOUND);
}

static void revoking_a_lease_takes_its_keys(void **state)
{
    (void)state;
    uint64_t const lease = grant(0, 1000);
    assert_int_equal(put_with("a", lease), WEIR_OK);
    assert_int_equal(f.kv.revoke(f.kv.self, lease, on_lease, &f), WEIR_OK);
    assert_int_equal(f.lease.code, WEIR_OK);
    assert_string_equal(read_keys(all(), 0), "");
    assert_int_equal(weir_store_revision(f.store), 3);
    assert_int_equal(f.kv.revoke(f.kv.self, lease, on_lease, &f), WEIR_OK);
    assert_int_equal(f.lease.code, WEIR_ENOTFOUND);
    assert_int_equal(f.kv.revoke(f.kv.self, lease, NULL, NULL), WEIR_ENOTFOUND);
    grant(0, 1000);
    assert_int_equal(f.kv.revoke(f.kv.self, f.lease.id, NULL, NULL), WEIR_OK);
    assert_int_equal(weir_store_revision(f.store), 3); /* It had no key. */
}

static void a_put_moves_the_key_to_its_lease(void **state)
{
    (void)state;
    uint64_t const first = grant(0, 1000), second = grant(0, 5000);
    assert_int_equal(put_with("a", first), WEIR_OK);
    assert_int_equal(put_with("b", first), WEIR_OK);
    assert_int_equal(put_with("a", second), WEIR_OK);
    assert_int_equal(put_with("b", 0), WEIR_OK);
    (void)task_at(1000);
    assert_string_equal(read_keys(all(), 0), "a= b= ");
    (void)task_at(5000);
    assert_string_equal(read_keys(all(), 0), "b= ");
}

static void a_put_on_a_lease_that_is_over_fails(void **state)
{
    (void)state;
    assert_int_equal(put_with("a", 99), WEIR_ENOTFOUND);
    weir_kv_op op = put_op("a", "1");
    op.lease = 99;
    weir_kv_txn const txn = {.then_ops = &op, .then_count = 1};
    assert_int_equal(f.kv.txn(f.kv.self, &txn, on_result, &f), WEIR_OK);
    assert_int_equal(f.code, WEIR_ENOTFOUND);
    assert_int_equal(weir_store_revision(f.store), 1);
    assert_string_equal(read_keys(all(), 0), "");
}

static void an_undone_transaction_leaves_keys_with_their_lease(void **state)
{
    (void)state;
    uint64_t const lease = grant(0, 1000);
    assert_int_equal(put_with("a", lease), WEIR_OK);
    weir_kv_op ops[] = {put_op("a", "moved"), put_op("b", "")};
    ops[1].lease = 99;
    weir_kv_txn const txn = {.then_ops = ops, .then_count = 2};
    assert_int_equal(f.kv.txn(f.kv.self, &txn, NULL, NULL), WEIR_ENOTFOUND);
    assert_string_equal(read_keys(all(), 0), "a= ");
    (void)task_at(1000);
    assert_string_equal(read_keys(all(), 0), "");
}

static void wrong_grants_are_refused(void **state)
{
    (void)state;
    assert_int_equal(f.kv.grant(f.kv.self, 1, 0, on_lease, &f), WEIR_EINVAL);
    assert_int_equal(f.kv.grant(f.kv.self, 1, UINT64_C(9000000000001), on_lease, &f), WEIR_EINVAL);
    assert_int_equal(f.results, 0);
    grant(1, 1000);
    assert_int_equal(f.kv.grant(f.kv.self, 1, 1000, on_lease, &f), WEIR_OK);
    assert_int_equal(f.lease.code, WEIR_EBUSY);
    assert_int_equal(grant(0, 1000), 2);
}

/* No run of the task ends more than 100 leases: 100,000 at once are no pause. */
static void many_leases_that_end_at_once_are_ended_in_slices(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    weir_store_stats stats;
    for (uint64_t id = 1; id <= COUNT; id++) {
        char key[24];
        (void)snprintf(key, sizeof key, "k%u", (unsigned)id);
        assert_int_equal(f.kv.grant(f.kv.self, id, 1000, NULL, NULL), WEIR_OK);
        assert_int_equal(put_with(key, id), WEIR_OK);
    }
    for (uint64_t left = COUNT; left > 0; left -= 100) {
        weir_store_get_stats(f.store, &stats);
        assert_int_equal(stats.leases, left);
        assert_int_equal(stats.keys, left);
        uint64_t const next_ns = task_at(2000);
        assert_true(left == 100 || next_ns <= f.fake.now_ns);
    }
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.leases, 0);
    assert_int_equal(stats.keys, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_go_with_their_lease_in_one_revision),
        TEST(a_lease_that_is_kept_alive_goes_on),
        TEST(revoking_a_lease_takes_its_keys),
        TEST(a_put_moves_the_key_to_its_lease),
        TEST(a_put_on_a_lease_that_is_over_fails),
        TEST(an_undone_transaction_leaves_keys_with_their_lease),
        TEST(wrong_grants_are_refused),
        TEST(many_leases_that_end_at_once_are_ended_in_slices),
    };
    return cmocka_run_group_tests_name("store_lease", tests, NULL, NULL);
}

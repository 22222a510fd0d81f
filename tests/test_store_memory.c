/* The store without memory: every allocation of every function fails in turn. It is an error, and
 * nothing has changed. */
#include "support/store_fixture.h"

typedef struct state_seen {
    uint64_t revision;
    char keys[512];
    weir_store_stats stats;
} state_seen;

static state_seen see(void)
{
    state_seen seen = {.revision = weir_store_revision(f.store)};
    char text[sizeof f.text];
    memcpy(text, f.text, sizeof text);
    (void)snprintf(seen.keys, sizeof seen.keys, "%s", read_keys(all(), 0));
    memcpy(f.text, text, sizeof text);
    weir_store_get_stats(f.store, &seen.stats);
    return seen;
}

/* Tries until it works; until then, all is as it was. Returns how often it failed. */
static unsigned until_it_works(int (*attempt)(void))
{
    unsigned failures = 0;
    for (unsigned n = 1;; n++, failures++) {
        state_seen const before = see();
        unsigned const results = f.results;
        f.fake.fail_at = f.fake.calls + n;
        int const result = attempt();
        f.fake.fail_at = 0;
        if (result == WEIR_OK)
            return failures;
        state_seen const after = see();
        assert_int_equal(result, WEIR_ENOMEM);
        assert_int_equal(f.results, results); /* Nothing was told. */
        assert_int_equal(after.revision, before.revision);
        assert_string_equal(after.keys, before.keys);
        assert_int_equal(after.stats.keys, before.stats.keys);
        assert_int_equal(after.stats.leases, before.stats.leases);
        assert_int_equal(after.stats.watches, before.stats.watches);
    }
}

static int try_put(void)
{
    return weir_store_put(f.store, weir_bytes_of("new"), weir_bytes_of("1"), 0, NULL);
}

static int try_txn(void)
{
    weir_kv_op const ops[] = {put_op("a", "2"),
                              put_op("x", "1"),
                              {.kind = WEIR_KV_DELETE, .range = {.keys = between("b", "d")}},
                              put_op("y", "1"),
                              {.kind = WEIR_KV_RANGE, .range = {.keys = all()}}};
    weir_kv_txn const txn = {.then_ops = ops, .then_count = 5};
    return f.kv.txn(f.kv.self, &txn, on_result, &f);
}

static int try_failing_txn(void)
{
    weir_kv_op op = put_op("a", "3");
    op.lease = 99;
    weir_kv_txn const txn = {.then_ops = &op, .then_count = 1};
    return f.kv.txn(f.kv.self, &txn, on_result, &f);
}

static int try_range(void)
{
    weir_kv_range const range = {.keys = all()};
    return f.kv.range(f.kv.self, &range, on_result, &f);
}

static int try_delete(void)
{
    weir_kv_keys const keys = between("x", "z");
    return weir_store_delete(f.store, &keys, NULL);
}

static int try_watch(void)
{
    weir_kv_watch const watch = {.keys = all(), .fn = on_watch, .user = &f};
    uint64_t id;
    return f.kv.watch(f.kv.self, &watch, &id);
}

static int try_grant(void)
{
    return f.kv.grant(f.kv.self, 0, 1000, on_lease, &f);
}

static int try_revoke(void)
{
    return f.kv.revoke(f.kv.self, f.lease.id, on_lease, &f);
}

static int try_create(void)
{
    weir_store *store;
    int const result = weir_store_create(&store, &f.options, NULL);
    weir_store_destroy(store);
    return result;
}

static void every_function_survives_it(void **state)
{
    (void)state;
    assert_true(until_it_works(try_create) >= 1);
    assert_true(until_it_works(try_put) >= 2);
    put("a", "1");
    put("b", "1");
    put("c", "1");
    assert_true(until_it_works(try_txn) >= 6);
    assert_string_equal(read_keys(all(), 0), "a=2 new=1 x=1 y=1 ");
    assert_true(until_it_works(try_failing_txn) >= 1);
    assert_int_equal(f.code, WEIR_ENOTFOUND);
    assert_true(until_it_works(try_range) >= 1);
    assert_true(until_it_works(try_delete) >= 2);
    assert_string_equal(read_keys(all(), 0), "a=2 new=1 ");
    assert_int_equal(until_it_works(try_watch), 1);
    assert_true(until_it_works(try_grant) >= 2);
    assert_int_equal(weir_store_put(f.store, weir_bytes_of("l"), weir_bytes_of(""), f.lease.id,
                                    NULL),
                     WEIR_OK);
    assert_true(until_it_works(try_revoke) >= 2);
    assert_string_equal(read_keys(all(), 0), "a=2 new=1 ");
}

/* A watch that cannot be told now is told later, and misses nothing. */
static void a_watch_is_told_once_there_is_memory(void **state)
{
    (void)state;
    watch_from(all(), 0);
    weir_kv_op const op = put_op("a", "1");
    weir_kv_txn const txn = {.then_ops = &op, .then_count = 1};
    for (unsigned n = 1; n < 10; n++) {
        f.fake.fail_at = f.fake.calls + n;
        (void)f.kv.txn(f.kv.self, &txn, NULL, NULL);
        f.fake.fail_at = 0;
    }
    (void)run_task();
    unsigned told = 0;
    for (const char *at = f.log; (at = strstr(at, "+a=1@")) != NULL; at++)
        told++;
    assert_int_equal(told, weir_store_revision(f.store) - 1);
    assert_true(told > 3);
}

/* A lease that cannot be ended for want of memory ends a little later. */
static void a_lease_ends_once_there_is_memory(void **state)
{
    (void)state;
    assert_int_equal(f.kv.grant(f.kv.self, 1, 1000, NULL, NULL), WEIR_OK);
    assert_int_equal(weir_store_put(f.store, weir_bytes_of("l"), weir_bytes_of(""), 1, NULL),
                     WEIR_OK);
    f.fake.now_ns += 1000000000;
    f.fake.fail_at = f.fake.calls + 1;
    uint64_t const next_ns = run_task();
    f.fake.fail_at = 0;
    assert_string_equal(read_keys(all(), 0), "l= ");
    assert_in_range(next_ns, f.fake.now_ns, f.fake.now_ns + 1000000000);
    f.fake.now_ns = next_ns;
    (void)run_task();
    assert_string_equal(read_keys(all(), 0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_function_survives_it),
        TEST(a_watch_is_told_once_there_is_memory),
        TEST(a_lease_ends_once_there_is_memory),
    };
    return cmocka_run_group_tests_name("store_memory", tests, NULL, NULL);
}

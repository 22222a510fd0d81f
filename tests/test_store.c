/* The store in memory: revisions, ranges, transactions and history, as etcd has them. */
#include "support/store_fixture.h"

/* ---- Revisions ---- */

static void the_first_put_makes_revision_2(void **state)
{
    (void)state;
    assert_int_equal(weir_store_revision(f.store), 1);
    assert_int_equal(put("a", "1"), 2);
    assert_int_equal(put("b", "2"), 3);
    assert_int_equal(weir_store_revision(f.store), 3);
}

static bool note_pair(const weir_kv_pair *pair, void *user)
{
    *(weir_kv_pair *)user = *pair;
    return true;
}

static weir_kv_pair pair_of(const char *key)
{
    weir_kv_range const range = {.keys = one(key)};
    weir_kv_pair pair = {.version = 0};
    assert_int_equal(weir_store_read(f.store, &range, note_pair, &pair, NULL, NULL), WEIR_OK);
    return pair;
}

static void a_pair_knows_when_it_came_and_changed_and_how_often(void **state)
{
    (void)state;
    put("a", "1");
    put("b", "1");
    put("a", "2");
    weir_kv_pair pair = pair_of("a");
    assert_int_equal(pair.create_revision, 2);
    assert_int_equal(pair.mod_revision, 4);
    assert_int_equal(pair.version, 2);
    assert_int_equal(delete_keys(one("a")), 1);
    assert_int_equal(pair_of("a").version, 0);
    put("a", "3"); /* A key that comes back begins anew. */
    pair = pair_of("a");
    assert_int_equal(pair.create_revision, 6);
    assert_int_equal(pair.version, 1);
}

static void deleting_nothing_makes_no_revision(void **state)
{
    (void)state;
    put("a", "1");
    assert_int_equal(delete_keys(one("b")), 0);
    assert_int_equal(weir_store_revision(f.store), 2);
}

/* ---- Ranges ---- */

static void ranges_are_in_order_of_bytes(void **state)
{
    (void)state;
    static const char *const keys[] = {"b", "ab", "a", "abc", "\xFF", "B", "aa"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put(keys[i], "");
    assert_string_equal(read_keys(all(), 0), "B= a= aa= ab= abc= b= \xFF= ");
    assert_string_equal(read_keys(between("a", "b"), 0), "a= aa= ab= abc= ");
    assert_string_equal(read_keys(between("ab", "b"), 0), "ab= abc= ");
    assert_string_equal(read_keys(one("ab"), 0), "ab= ");
    assert_string_equal(read_keys(one("ac"), 0), "");
    assert_string_equal(read_keys((weir_kv_keys){weir_bytes_of("b"), {"", 1}}, 0), "b= \xFF= ");
}

static void old_revisions_read_as_they_were(void **state)
{
    (void)state;
    put("a", "1");
    put("b", "1");
    put("a", "2");
    delete_keys(one("b"));
    put("b", "3");
    assert_string_equal(read_keys(all(), 2), "a=1 ");
    assert_string_equal(read_keys(all(), 3), "a=1 b=1 ");
    assert_string_equal(read_keys(all(), 4), "a=2 b=1 ");
    assert_string_equal(read_keys(all(), 5), "a=2 ");
    assert_string_equal(read_keys(all(), 6), "a=2 b=3 ");
    assert_string_equal(read_keys(all(), 0), "a=2 b=3 ");
    weir_kv_range const future = {.keys = all(), .revision = 7};
    assert_int_equal(weir_store_read(f.store, &future, NULL, NULL, NULL, NULL), WEIR_EINVAL);
}

static void a_limit_cuts_and_the_total_is_told(void **state)
{
    (void)state;
    uint64_t total;
    put("a", "1");
    put("b", "2");
    put("c", "3");
    weir_kv_range range = {.keys = all(), .limit = 2, .keys_only = true};
    assert_int_equal(weir_store_read(f.store, &range, append_visited, f.text, &total, NULL),
                     WEIR_OK);
    assert_string_equal(f.text, "a= b= ");
    assert_int_equal(total, 3);
    assert_int_equal(f.kv.range(f.kv.self, &range, on_result, &f), WEIR_OK);
    assert_string_equal(f.text, "a= b= ");
    assert_int_equal(f.total, 3);
    put("d", "4");
    range.uncounted = true;
    assert_int_equal(f.kv.range(f.kv.self, &range, on_result, &f), WEIR_OK);
    assert_int_equal(f.total, 3); /* One more than the limit; beyond, it does not look. */
    assert_int_equal(f.revision, 5);
    assert_true(f.succeeded);
}

static void wrong_ranges_are_refused(void **state)
{
    (void)state;
    weir_kv_keys const wrong[] = {{{NULL, 0}, {NULL, 0}}, {{"", 0}, {"b", 1}},
                                  {{"b", 1}, {"a", 1}},   {{"a", 1}, {"a", 1}},
                                  {{NULL, 1}, {NULL, 0}}, {{"a", 1}, {NULL, 1}}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        weir_kv_range const range = {.keys = wrong[i]};
        weir_kv_watch const watch = {.keys = wrong[i], .fn = on_watch};
        uint64_t id;
        assert_int_equal(weir_store_read(f.store, &range, NULL, NULL, NULL, NULL), WEIR_EINVAL);
        assert_int_equal(f.kv.range(f.kv.self, &range, on_result, &f), WEIR_EINVAL);
        assert_int_equal(weir_store_delete(f.store, &wrong[i], NULL), WEIR_EINVAL);
        assert_int_equal(f.kv.watch(f.kv.self, &watch, &id), WEIR_EINVAL);
    }
    assert_int_equal(weir_store_put(f.store, (weir_bytes){NULL, 0}, weir_bytes_of("v"), 0, NULL),
                     WEIR_EINVAL);
    assert_int_equal(f.results, 0);
}

/* ---- Transactions ---- */

static int run_txn(const weir_kv_compare *compares, size_t compare_count,
                   const weir_kv_op *then_ops, size_t then_count, const weir_kv_op *else_ops,
                   size_t else_count)
{
    weir_kv_txn const txn = {compares, compare_count, then_ops, then_count, else_ops, else_count};
    return f.kv.txn(f.kv.self, &txn, on_result, &f);
}

static bool holds(const char *key, weir_kv_target target, weir_kv_relation relation,
                  uint64_t number, const char *value)
{
    weir_kv_compare const compare = {weir_bytes_of(key), target, relation, number,
                                     weir_bytes_of(value)};
    assert_int_equal(run_txn(&compare, 1, NULL, 0, NULL, 0), WEIR_OK);
    assert_int_equal(f.code, WEIR_OK);
    return f.succeeded;
}

static void comparisons_see_every_number_and_the_value(void **state)
{
    (void)state;
    put("x", "1");
    put("a", "1");
    put("a", "m"); /* create 3, mod 4, version 2. */
    assert_true(holds("a", WEIR_KV_CREATE_REVISION, WEIR_KV_EQUAL, 3, ""));
    assert_true(holds("a", WEIR_KV_MOD_REVISION, WEIR_KV_EQUAL, 4, ""));
    assert_true(holds("a", WEIR_KV_VERSION, WEIR_KV_EQUAL, 2, ""));
    assert_true(holds("a", WEIR_KV_LEASE, WEIR_KV_EQUAL, 0, ""));
    assert_true(holds("a", WEIR_KV_VERSION, WEIR_KV_GREATER, 1, ""));
    assert_false(holds("a", WEIR_KV_VERSION, WEIR_KV_GREATER, 2, ""));
    assert_true(holds("a", WEIR_KV_VERSION, WEIR_KV_LESS, 3, ""));
    assert_true(holds("a", WEIR_KV_VERSION, WEIR_KV_NOT_EQUAL, 1, ""));
    assert_true(holds("a", WEIR_KV_VALUE, WEIR_KV_EQUAL, 0, "m"));
    assert_true(holds("a", WEIR_KV_VALUE, WEIR_KV_GREATER, 0, "b"));
    assert_true(holds("a", WEIR_KV_VALUE, WEIR_KV_LESS, 0, "ma"));
    assert_false(holds("a", WEIR_KV_VALUE, WEIR_KV_NOT_EQUAL, 0, "m"));
}

static void of_a_key_that_is_not_there_all_numbers_are_0_and_no_value_compares(void **state)
{
    (void)state;
    assert_true(holds("a", WEIR_KV_CREATE_REVISION, WEIR_KV_EQUAL, 0, ""));
    assert_true(holds("a", WEIR_KV_MOD_REVISION, WEIR_KV_EQUAL, 0, ""));
    assert_true(holds("a", WEIR_KV_VERSION, WEIR_KV_EQUAL, 0, ""));
    assert_true(holds("a", WEIR_KV_LEASE, WEIR_KV_EQUAL, 0, ""));
    assert_false(holds("a", WEIR_KV_VALUE, WEIR_KV_EQUAL, 0, ""));
    assert_false(holds("a", WEIR_KV_VALUE, WEIR_KV_NOT_EQUAL, 0, "x"));
}

static void one_branch_is_done_at_one_revision(void **state)
{
    (void)state;
    weir_kv_compare const absent = {.key = weir_bytes_of("a"), .target = WEIR_KV_CREATE_REVISION};
    weir_kv_op const then_ops[] = {put_op("a", "1"), put_op("b", "1")};
    weir_kv_op const else_ops[] = {{.kind = WEIR_KV_RANGE, .range = {.keys = all()}}};
    assert_int_equal(run_txn(&absent, 1, then_ops, 2, else_ops, 1), WEIR_OK);
    assert_true(f.succeeded);
    assert_int_equal(f.revision, 2);
    assert_int_equal(f.op_count, 2);
    assert_string_equal(f.text, "|");
    assert_int_equal(run_txn(&absent, 1, then_ops, 2, else_ops, 1), WEIR_OK);
    assert_false(f.succeeded);
    assert_int_equal(f.revision, 2);
    assert_int_equal(f.op_count, 1);
    assert_string_equal(f.text, "a=1 b=1 ");
    assert_int_equal(pair_of("b").mod_revision, 2);
}

static void operations_see_those_before_them_and_tell_what_was_there(void **state)
{
    (void)state;
    put("a", "old");
    put("b", "old");
    weir_kv_op const ops[] = {put_op("a", "new"),
                              {.kind = WEIR_KV_DELETE, .range = {.keys = one("b")}},
                              put_op("c", "new"),
                              {.kind = WEIR_KV_RANGE, .range = {.keys = all()}},
                              {.kind = WEIR_KV_RANGE, .range = {.keys = all(), .revision = 2}}};
    assert_int_equal(run_txn(NULL, 0, ops, 5, NULL, 0), WEIR_OK);
    assert_string_equal(f.text, "a=old |b=old ||a=new c=new |a=old ");
    assert_int_equal(f.revision, 4);
}

static void a_key_changes_once_in_a_transaction(void **state)
{
    (void)state;
    put("a", "1");
    weir_kv_op const twice[] = {put_op("b", "1"), put_op("a", "2"), put_op("a", "3")};
    weir_kv_op const then_gone[] = {put_op("c", "1"),
                                    {.kind = WEIR_KV_DELETE, .range = {.keys = all()}}};
    assert_int_equal(run_txn(NULL, 0, twice, 3, NULL, 0), WEIR_EINVAL);
    assert_int_equal(run_txn(NULL, 0, then_gone, 2, NULL, 0), WEIR_EINVAL);
    assert_int_equal(f.results, 0);
    assert_string_equal(read_keys(all(), 0), "a=1 ");
    assert_int_equal(put("b", "1"), 3);
    assert_int_equal(pair_of("b").version, 1);
}

static void transactions_have_bounds(void **state)
{
    (void)state;
    weir_kv_op ops[129];
    char value[32];
    memset(value, 'x', sizeof value);
    for (size_t i = 0; i < 129; i++)
        ops[i] = (weir_kv_op){.kind = WEIR_KV_RANGE, .range = {.keys = all()}};
    assert_int_equal(run_txn(NULL, 0, ops, 128, NULL, 0), WEIR_OK);
    assert_int_equal(run_txn(NULL, 0, ops, 129, NULL, 0), WEIR_ETOOLARGE);
    assert_int_equal(run_txn(NULL, 0, NULL, 0, ops, 129), WEIR_ETOOLARGE);
    weir_store_destroy(f.store);
    f.options.max_bytes = 32;
    create();
    assert_int_equal(weir_store_put(f.store, weir_bytes_of("k"), (weir_bytes){value, 31}, 0, NULL),
                     WEIR_OK);
    assert_int_equal(weir_store_put(f.store, weir_bytes_of("k"), (weir_bytes){value, 32}, 0, NULL),
                     WEIR_ETOOLARGE);
}

static void nonsense_in_a_transaction_is_refused(void **state)
{
    (void)state;
    weir_kv_compare const compares[] = {
        {.key = {NULL, 0}},
        {.key = weir_bytes_of("a"), .target = (weir_kv_target)9},
        {.key = weir_bytes_of("a"), .relation = (weir_kv_relation)9},
        {.key = weir_bytes_of("a"), .target = WEIR_KV_VALUE, .value = {NULL, 1}}};
    weir_kv_op const op = {.kind = (weir_kv_op_kind)9, .range = {.keys = one("a")}};
    weir_kv_op const null_value = {.kind = WEIR_KV_PUT,
                                   .range = {.keys = one("a")},
                                   .value = {NULL, 1}};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(run_txn(&compares[i], 1, NULL, 0, NULL, 0), WEIR_EINVAL);
    assert_int_equal(run_txn(NULL, 0, &op, 1, NULL, 0), WEIR_EINVAL);
    assert_int_equal(run_txn(NULL, 0, NULL, 0, &op, 1), WEIR_EINVAL);
    assert_int_equal(run_txn(NULL, 0, &null_value, 1, NULL, 0), WEIR_EINVAL);
    weir_kv_op const future = {.kind = WEIR_KV_RANGE, .range = {.keys = all(), .revision = 5}};
    assert_int_equal(run_txn(NULL, 0, &future, 1, NULL, 0), WEIR_EINVAL);
}

/* ---- History ---- */

static void what_is_compacted_cannot_be_read_and_says_from_when_on(void **state)
{
    (void)state;
    uint64_t revision;
    put("a", "1");
    put("a", "2");
    put("b", "1");
    delete_keys(one("a"));
    assert_int_equal(weir_store_compact(f.store, 4), WEIR_OK);
    assert_int_equal(weir_store_compact(f.store, 4), WEIR_ECOMPACTED);
    assert_int_equal(weir_store_compact(f.store, 6), WEIR_EINVAL);
    weir_kv_range const range = {.keys = all(), .revision = 3};
    assert_int_equal(weir_store_read(f.store, &range, NULL, NULL, NULL, &revision),
                     WEIR_ECOMPACTED);
    assert_int_equal(revision, 4);
    assert_int_equal(f.kv.range(f.kv.self, &range, on_result, &f), WEIR_OK);
    assert_int_equal(f.code, WEIR_ECOMPACTED);
    assert_int_equal(f.revision, 4);
    weir_kv_op const op = {.kind = WEIR_KV_RANGE, .range = range};
    assert_int_equal(run_txn(NULL, 0, &op, 1, NULL, 0), WEIR_OK);
    assert_int_equal(f.code, WEIR_ECOMPACTED);
    assert_string_equal(read_keys(all(), 4), "a=2 b=1 ");
    assert_string_equal(read_keys(all(), 5), "b=1 ");
}

static void history_is_bounded_and_so_is_memory(void **state)
{
    (void)state;
    weir_store_stats stats;
    weir_store_destroy(f.store);
    f.options.history = 10;
    create();
    for (int i = 0; i < 5000; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i % 100);
        put(key, "value");
        if (i % 3 == 0)
            delete_keys(one(key));
        (void)run_task();
    }
    for (int i = 0; i < 4; i++)
        (void)run_task();
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.compacted, stats.revision - 9);
    assert_in_range(stats.versions, stats.keys, stats.keys + 20);
    assert_true(stats.bytes < 30000);
    assert_int_equal(delete_keys(all()), stats.keys); /* One revision: it goes as a whole. */
    for (int i = 0; i < 11; i++)
        put("z", "1");
    for (int i = 0; i < 4; i++)
        (void)run_task();
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.keys, 1);
    assert_in_range(stats.versions, 10, 12);
    assert_true(stats.bytes < 30000);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    weir_store *store;
    weir_store_error error;
    weir_store_options wrong[10];
    for (size_t i = 0; i < 10; i++)
        wrong[i] = (weir_store_options)WEIR_STORE_OPTIONS_INIT;
    wrong[0].sync = (weir_store_sync)4;
    wrong[1].sync_interval_ns = 999999;
    wrong[2].segment_bytes = 4095;
    wrong[3].segment_bytes = (1 << 30) + 1;
    wrong[4].snapshot_bytes = 4095;
    wrong[5].history = 0;
    wrong[6].max_bytes = 0;
    wrong[7].max_bytes = (64 << 20) + 1;
    wrong[8].max_ops = 0;
    wrong[9].folder = "";
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(weir_store_create(&store, &wrong[i], &error), WEIR_EINVAL);
        assert_null(store);
        assert_int_equal(error.code, WEIR_EINVAL);
        assert_true(error.message[0] != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_put_makes_revision_2),
        TEST(a_pair_knows_when_it_came_and_changed_and_how_often),
        TEST(deleting_nothing_makes_no_revision),
        TEST(ranges_are_in_order_of_bytes),
        TEST(old_revisions_read_as_they_were),
        TEST(a_limit_cuts_and_the_total_is_told),
        TEST(wrong_ranges_are_refused),
        TEST(comparisons_see_every_number_and_the_value),
        TEST(of_a_key_that_is_not_there_all_numbers_are_0_and_no_value_compares),
        TEST(one_branch_is_done_at_one_revision),
        TEST(operations_see_those_before_them_and_tell_what_was_there),
        TEST(a_key_changes_once_in_a_transaction),
        TEST(transactions_have_bounds),
        TEST(nonsense_in_a_transaction_is_refused),
        TEST(what_is_compacted_cannot_be_read_and_says_from_when_on),
        TEST(history_is_bounded_and_so_is_memory),
        TEST(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}

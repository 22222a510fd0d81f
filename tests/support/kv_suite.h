/*
 * What every weir_kv does, whoever offers it: the meanings of etcd's v3 API. Tests speak to it
 * through the interface alone, begin with any revision, and leave nothing under their prefix. The
 * program that includes this provides
 *
 *     static int suite_setup(void **state)       sets s.kv
 *     static int suite_teardown(void **state)
 *     static void suite_pump(void)               lets what is under way come to its end
 *     static void suite_pass_ms(uint64_t ms)     lets that much time pass
 */
#ifndef WEIR_TEST_KV_SUITE_H
#define WEIR_TEST_KV_SUITE_H

#include "support/fake_env.h"
#include <weir/kv.h>
#include <stdio.h>
#include <string.h>

typedef struct suite {
    weir_kv kv;
    unsigned results;
    int code;
    uint64_t revision;
    bool succeeded;
    uint64_t total;
    char text[1024]; /* Pairs as "key=value " of all operations, with a bar between them. */
    weir_kv_pair pair;
    weir_kv_lease_result lease;
    char log[4096]; /* Events: "+key=value " or "-key ", a dot behind each batch, "!" at the end. */
    uint64_t last_revision;
    int watch_code;
    bool stall;
} suite;

static suite s;

static int suite_setup(void **state);
static int suite_teardown(void **state);
static void suite_pump(void);
static void suite_pass_ms(uint64_t ms);

/* ---- What is told ---- */

static inline void suite_add(char *text, size_t size, const void *data, size_t count)
{
    size_t const used = strlen(text);
    assert_true(used + count + 1 < size);
    if (count > 0)
        memcpy(text + used, data, count);
    text[used + count] = 0;
}

static inline void suite_add_bytes(char *text, size_t size, weir_bytes bytes, const char *after)
{
    suite_add(text, size, bytes.data, bytes.size);
    suite_add(text, size, after, strlen(after));
}

static inline void suite_on_result(const weir_kv_result *result, void *user)
{
    (void)user;
    s.results++;
    s.code = result->code;
    s.revision = result->revision;
    s.succeeded = result->succeeded;
    s.text[0] = 0;
    for (size_t i = 0; result->code == WEIR_OK && i < result->count; i++) {
        if (i > 0)
            suite_add(s.text, sizeof s.text, "|", 1);
        s.total = result->results[i].total;
        for (size_t at = 0; at < result->results[i].count; at++) {
            s.pair = result->results[i].pairs[at]; /* Its numbers; the bytes are not kept. */
            suite_add_bytes(s.text, sizeof s.text, s.pair.key, "=");
            suite_add_bytes(s.text, sizeof s.text, s.pair.value, " ");
        }
    }
}

static inline void suite_on_lease(const weir_kv_lease_result *result, void *user)
{
    (void)user;
    s.results++;
    s.lease = *result;
}

static inline bool suite_on_watch(const weir_kv_watch_event *event, void *user)
{
    (void)user;
    if (event->code == WEIR_ECLOSED)
        return true;
    for (size_t i = 0; i < event->count; i++) {
        const weir_kv_event *const one = &event->events[i];
        assert_true(one->pair.mod_revision >= s.last_revision); /* Never back in time. */
        s.last_revision = one->pair.mod_revision;
        suite_add(s.log, sizeof s.log, one->kind == WEIR_KV_PUT ? "+" : "-", 1);
        suite_add_bytes(s.log, sizeof s.log, one->pair.key, one->kind == WEIR_KV_PUT ? "=" : " ");
        if (one->kind == WEIR_KV_PUT)
            suite_add_bytes(s.log, sizeof s.log, one->pair.value, " ");
    }
    suite_add(s.log, sizeof s.log, event->code == WEIR_OK ? "." : "!", 1);
    s.watch_code = event->code;
    return !s.stall;
}

/* ---- What is asked ---- */

static inline void suite_wait(unsigned results)
{
    suite_pump();
    assert_int_equal(s.results, results);
}

static inline weir_kv_op suite_put_op(const char *key, const char *value)
{
    return (weir_kv_op){.kind = WEIR_KV_PUT,
                        .range = {.keys = {.key = weir_bytes_of(key)}},
                        .value = weir_bytes_of(value)};
}

static inline weir_kv_op suite_op(weir_kv_op_kind kind, const char *key, const char *end)
{
    return (weir_kv_op){.kind = kind, .range = {.keys = {weir_bytes_of(key), weir_bytes_of(end)}}};
}

static inline void suite_txn(const weir_kv_compare *compare, const weir_kv_op *ops, size_t count,
                             const weir_kv_op *else_ops, size_t else_count)
{
    weir_kv_txn const txn = {compare, compare != NULL ? 1 : 0, ops, count, else_ops, else_count};
    unsigned const results = s.results;
    assert_int_equal(s.kv.txn(s.kv.self, &txn, suite_on_result, NULL), WEIR_OK);
    suite_wait(results + 1);
}

static inline uint64_t suite_put(const char *key, const char *value)
{
    weir_kv_op const op = suite_put_op(key, value);
    suite_txn(NULL, &op, 1, NULL, 0);
    assert_int_equal(s.code, WEIR_OK);
    return s.revision;
}

static inline uint64_t suite_delete(const char *key, const char *end)
{
    weir_kv_op const op = suite_op(WEIR_KV_DELETE, key, end);
    suite_txn(NULL, &op, 1, NULL, 0);
    assert_int_equal(s.code, WEIR_OK);
    return s.revision;
}

static inline const char *suite_read(const char *key, const char *end, uint64_t revision)
{
    weir_kv_range const range = {.keys = {weir_bytes_of(key), weir_bytes_of(end)},
                                 .revision = revision};
    unsigned const results = s.results;
    assert_int_equal(s.kv.range(s.kv.self, &range, suite_on_result, NULL), WEIR_OK);
    suite_wait(results + 1);
    return s.text;
}

static inline uint64_t suite_watch(const char *key, const char *end, uint64_t revision)
{
    weir_kv_watch const watch = {.keys = {weir_bytes_of(key), weir_bytes_of(end)},
                                 .revision = revision,
                                 .fn = suite_on_watch};
    uint64_t id = 0;
    assert_int_equal(s.kv.watch(s.kv.self, &watch, &id), WEIR_OK);
    assert_true(id != 0);
    suite_pump();
    return id;
}

/* The batches differ from one to another; what is in them does not. */
static inline const char *suite_events(void)
{
    static char text[sizeof s.log];
    char *to = text;
    for (const char *from = s.log; *from != 0; from++)
        if (*from != '.')
            *to++ = *from;
    *to = 0;
    return text;
}

/* ---- Tests ---- */

static void each_change_makes_the_next_revision(void **state)
{
    (void)state;
    uint64_t const first = suite_put("t/a", "1");
    assert_true(first >= 2);
    assert_int_equal(suite_put("t/a", "1"), first + 1);
    assert_int_equal(suite_delete("t/none", ""), first + 1);
    assert_int_equal(suite_delete("t/a", ""), first + 2);
}

static void pairs_carry_their_numbers(void **state)
{
    (void)state;
    uint64_t const first = suite_put("t/a", "1");
    suite_put("t/a", "2");
    assert_string_equal(suite_read("t/a", "", 0), "t/a=2 ");
    assert_int_equal(s.pair.create_revision, first);
    assert_int_equal(s.pair.mod_revision, first + 1);
    assert_int_equal(s.pair.version, 2);
    assert_int_equal(s.pair.lease, 0);
}

static void ranges_are_ordered_and_half_open(void **state)
{
    (void)state;
    suite_put("t/b", "2");
    suite_put("t/a", "1");
    suite_put("t/c", "3");
    suite_put("t/ab", "");
    assert_string_equal(suite_read("t/", "t0", 0), "t/a=1 t/ab= t/b=2 t/c=3 ");
    assert_string_equal(suite_read("t/ab", "t/c", 0), "t/ab= t/b=2 ");
    assert_string_equal(suite_read("t/b", "", 0), "t/b=2 ");
    assert_string_equal(suite_read("t/x", "", 0), "");
    assert_int_equal(s.total, 0);
}

static void a_limit_cuts_but_the_count_is_whole(void **state)
{
    (void)state;
    suite_put("t/a", "1");
    suite_put("t/b", "2");
    suite_put("t/c", "3");
    weir_kv_range const range = {.keys = {weir_bytes_of("t/"), weir_bytes_of("t0")},
                                 .limit = 2,
                                 .keys_only = true};
    unsigned const results = s.results;
    assert_int_equal(s.kv.range(s.kv.self, &range, suite_on_result, NULL), WEIR_OK);
    suite_wait(results + 1);
    assert_string_equal(s.text, "t/a= t/b= ");
    assert_int_equal(s.total, 3);
}

static void who_need_not_know_the_count_learns_whether_there_is_more(void **state)
{
    (void)state;
    suite_put("t/a", "1");
    suite_put("t/b", "2");
    suite_put("t/c", "3");
    suite_put("t/d", "4");
    weir_kv_range range = {.keys = {weir_bytes_of("t/"), weir_bytes_of("t0")}, .uncounted = true};
    for (range.limit = 2; range.limit <= 5; range.limit++) {
        unsigned const results = s.results;
        assert_int_equal(s.kv.range(s.kv.self, &range, suite_on_result, NULL), WEIR_OK);
        suite_wait(results + 1);
        if (range.limit < 4)
            assert_in_range(s.total, range.limit + 1, 4);
        else
            assert_int_equal(s.total, 4);
    }
}

static void the_past_can_be_read(void **state)
{
    (void)state;
    uint64_t const first = suite_put("t/a", "1");
    suite_put("t/a", "2");
    suite_delete("t/a", "");
    assert_string_equal(suite_read("t/", "t0", first), "t/a=1 ");
    assert_string_equal(suite_read("t/", "t0", first + 1), "t/a=2 ");
    assert_string_equal(suite_read("t/", "t0", first + 2), "");
}

static void the_future_cannot(void **state)
{
    (void)state;
    weir_kv_range const range = {.keys = {.key = weir_bytes_of("t/a")},
                                 .revision = suite_put("t/a", "1") + 10};
    unsigned const results = s.results;
    int const result = s.kv.range(s.kv.self, &range, suite_on_result, NULL);
    suite_pump();
    assert_true(result == WEIR_EINVAL || (s.results == results + 1 && s.code == WEIR_EINVAL));
}

static void create_if_absent_succeeds_once(void **state)
{
    (void)state;
    weir_kv_compare const absent = {.key = weir_bytes_of("t/a"), .target = WEIR_KV_CREATE_REVISION};
    weir_kv_op const mine = suite_put_op("t/a", "mine"), yours = suite_put_op("t/a", "yours");
    weir_kv_op const look = suite_op(WEIR_KV_RANGE, "t/a", "");
    suite_txn(&absent, &mine, 1, &look, 1);
    assert_true(s.succeeded);
    uint64_t const revision = s.revision;
    suite_txn(&absent, &yours, 1, &look, 1);
    assert_false(s.succeeded);
    assert_string_equal(s.text, "t/a=mine ");
    assert_int_equal(s.revision, revision);
}

static void compare_and_set_takes_the_newest_alone(void **state)
{
    (void)state;
    uint64_t const first = suite_put("t/a", "1");
    weir_kv_op const set = suite_put_op("t/a", "2");
    weir_kv_compare compare = {.key = weir_bytes_of("t/a"),
                               .target = WEIR_KV_MOD_REVISION,
                               .number = first + 1};
    suite_txn(&compare, &set, 1, NULL, 0);
    assert_false(s.succeeded);
    compare.number = first;
    suite_txn(&compare, &set, 1, NULL, 0);
    assert_true(s.succeeded);
    assert_string_equal(suite_read("t/a", "", 0), "t/a=2 ");
}

static void values_and_versions_compare(void **state)
{
    (void)state;
    suite_put("t/a", "m");
    weir_kv_compare compare = {.key = weir_bytes_of("t/a"),
                               .target = WEIR_KV_VALUE,
                               .relation = WEIR_KV_GREATER,
                               .value = weir_bytes_of("b")};
    suite_txn(&compare, NULL, 0, NULL, 0);
    assert_true(s.succeeded);
    compare.relation = WEIR_KV_LESS;
    suite_txn(&compare, NULL, 0, NULL, 0);
    assert_false(s.succeeded);
    compare.key = weir_bytes_of("t/none"); /* No value compares, not even as different. */
    compare.relation = WEIR_KV_NOT_EQUAL;
    suite_txn(&compare, NULL, 0, NULL, 0);
    assert_false(s.succeeded);
    compare = (weir_kv_compare){.key = weir_bytes_of("t/a"),
                                .target = WEIR_KV_VERSION,
                                .relation = WEIR_KV_EQUAL,
                                .number = 1};
    suite_txn(&compare, NULL, 0, NULL, 0);
    assert_true(s.succeeded);
}

static void a_transaction_is_one_revision_and_sees_itself(void **state)
{
    (void)state;
    suite_put("t/old", "");
    weir_kv_op const ops[] = {suite_put_op("t/a", "1"), suite_op(WEIR_KV_DELETE, "t/old", ""),
                              suite_put_op("t/b", "2"), suite_op(WEIR_KV_RANGE, "t/", "t0")};
    suite_txn(NULL, ops, 4, NULL, 0);
    assert_int_equal(s.code, WEIR_OK);
    uint64_t const revision = s.revision;
    assert_non_null(strstr(s.text, "|t/a=1 t/b=2 "));
    suite_read("t/a", "", 0);
    assert_int_equal(s.pair.mod_revision, revision);
    suite_read("t/b", "", 0);
    assert_int_equal(s.pair.mod_revision, revision);
}

static void a_key_put_twice_in_a_transaction_is_refused(void **state)
{
    (void)state;
    weir_kv_op const ops[] = {suite_put_op("t/a", "1"), suite_put_op("t/a", "2")};
    weir_kv_txn const txn = {.then_ops = ops, .then_count = 2};
    unsigned const results = s.results;
    int const result = s.kv.txn(s.kv.self, &txn, suite_on_result, NULL);
    suite_pump();
    assert_true(result == WEIR_EINVAL || (s.results == results + 1 && s.code == WEIR_EINVAL));
    assert_string_equal(suite_read("t/a", "", 0), "");
}

static void a_watch_tells_changes_in_order(void **state)
{
    (void)state;
    uint64_t const id = suite_watch("t/", "t0", 0);
    suite_put("t/a", "1");
    suite_put("u", "");
    suite_put("t/b", "2");
    suite_delete("t/", "t0");
    assert_string_equal(suite_events(), "+t/a=1 +t/b=2 -t/a -t/b ");
    s.kv.unwatch(s.kv.self, id);
    suite_delete("u", "");
}

static void a_watch_resumes_from_the_past(void **state)
{
    (void)state;
    suite_put("t/a", "1");
    uint64_t const second = suite_put("t/a", "2");
    suite_put("t/a", "3");
    uint64_t const id = suite_watch("t/a", "", second);
    suite_put("t/a", "4");
    assert_string_equal(suite_events(), "+t/a=2 +t/a=3 +t/a=4 ");
    s.kv.unwatch(s.kv.self, id);
}

static void a_stopped_watch_is_silent(void **state)
{
    (void)state;
    uint64_t const id = suite_watch("t/", "t0", 0);
    s.kv.unwatch(s.kv.self, id);
    suite_put("t/a", "1");
    assert_string_equal(s.log, "");
}

static void a_stalled_watch_goes_on_where_it_was(void **state)
{
    (void)state;
    uint64_t const id = suite_watch("t/", "t0", 0);
    s.stall = true;
    suite_put("t/a", "1");
    suite_put("t/a", "2");
    suite_put("t/a", "3");
    assert_string_equal(suite_events(), "+t/a=1 ");
    s.stall = false;
    s.kv.resume(s.kv.self, id);
    suite_pump();
    assert_string_equal(suite_events(), "+t/a=1 +t/a=2 +t/a=3 ");
    s.kv.unwatch(s.kv.self, id);
}

static uint64_t suite_grant(uint64_t ttl_ms)
{
    unsigned const results = s.results;
    assert_int_equal(s.kv.grant(s.kv.self, 0, ttl_ms, suite_on_lease, NULL), WEIR_OK);
    suite_wait(results + 1);
    assert_int_equal(s.lease.code, WEIR_OK);
    assert_true(s.lease.id != 0 && s.lease.ttl_ms >= ttl_ms);
    return s.lease.id;
}

static int suite_put_on(const char *key, uint64_t lease)
{
    weir_kv_op op = suite_put_op(key, "");
    op.lease = lease;
    suite_txn(NULL, &op, 1, NULL, 0);
    return s.code;
}

static int suite_keep_alive(uint64_t lease)
{
    unsigned const results = s.results;
    assert_int_equal(s.kv.keep_alive(s.kv.self, lease, suite_on_lease, NULL), WEIR_OK);
    suite_wait(results + 1);
    return s.lease.code;
}

static void keys_go_when_their_lease_is_not_kept_alive(void **state)
{
    (void)state;
    uint64_t const lease = suite_grant(2000);
    assert_int_equal(suite_put_on("t/a", lease), WEIR_OK);
    assert_int_equal(suite_put_on("t/b", lease), WEIR_OK);
    uint64_t const id = suite_watch("t/", "t0", 0);
    for (int i = 0; i < 4; i++) {
        suite_pass_ms(1000);
        assert_int_equal(suite_keep_alive(lease), WEIR_OK);
    }
    assert_string_equal(suite_read("t/", "t0", 0), "t/a= t/b= ");
    uint64_t const before = s.revision;
    suite_pass_ms(4000);
    assert_string_equal(suite_read("t/", "t0", 0), "");
    assert_int_equal(s.revision, before + 1); /* Both in one. */
    assert_string_equal(suite_events(), "-t/a -t/b ");
    assert_int_equal(suite_keep_alive(lease), WEIR_ENOTFOUND);
    assert_int_equal(suite_put_on("t/a", lease), WEIR_ENOTFOUND);
    s.kv.unwatch(s.kv.self, id);
}

static void revoking_takes_the_keys_at_once(void **state)
{
    (void)state;
    uint64_t const lease = suite_grant(60000);
    unsigned results;
    assert_int_equal(suite_put_on("t/a", lease), WEIR_OK);
    for (int round = 0; round < 2; round++) {
        results = s.results;
        assert_int_equal(s.kv.revoke(s.kv.self, lease, suite_on_lease, NULL), WEIR_OK);
        suite_wait(results + 1);
        assert_int_equal(s.lease.code, round == 0 ? WEIR_OK : WEIR_ENOTFOUND);
    }
    assert_string_equal(suite_read("t/a", "", 0), "");
}

static int suite_begin(void **state)
{
    s = (suite){.watch_code = WEIR_OK};
    return suite_setup(state);
}

static int suite_end(void **state)
{
    suite_delete("t/", "t0");
    return suite_teardown(state);
}

#define SUITE_TEST(name) cmocka_unit_test_setup_teardown(name, suite_begin, suite_end)
#define SUITE_TESTS                                                                                \
    SUITE_TEST(each_change_makes_the_next_revision), SUITE_TEST(pairs_carry_their_numbers),        \
        SUITE_TEST(ranges_are_ordered_and_half_open),                                              \
        SUITE_TEST(a_limit_cuts_but_the_count_is_whole),                                           \
        SUITE_TEST(who_need_not_know_the_count_learns_whether_there_is_more),                      \
        SUITE_TEST(the_past_can_be_read), SUITE_TEST(the_future_cannot),                           \
        SUITE_TEST(create_if_absent_succeeds_once),                                                \
        SUITE_TEST(compare_and_set_takes_the_newest_alone),                                        \
        SUITE_TEST(values_and_versions_compare),                                                   \
        SUITE_TEST(a_transaction_is_one_revision_and_sees_itself),                                 \
        SUITE_TEST(a_key_put_twice_in_a_transaction_is_refused),                                   \
        SUITE_TEST(a_watch_tells_changes_in_order), SUITE_TEST(a_watch_resumes_from_the_past),     \
        SUITE_TEST(a_stopped_watch_is_silent), SUITE_TEST(a_stalled_watch_goes_on_where_it_was),   \
        SUITE_TEST(keys_go_when_their_lease_is_not_kept_alive),                                    \
        SUITE_TEST(revoking_takes_the_keys_at_once)

#endif

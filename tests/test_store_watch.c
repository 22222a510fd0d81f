/* The store's watches: what they tell, from when on, and what becomes of slow ones. */
#include "support/store_fixture.h"

static void changes_are_told_in_order(void **state)
{
    (void)state;
    watch_from(between("a", "c"), 0);
    put("a", "1");
    put("b", "2");
    put("c", "3");
    delete_keys(one("a"));
    assert_string_equal(f.log, "+a=1@2 +b=2@3 -a@5 ");
}

static void a_watch_tells_nothing_before_its_call_returns(void **state)
{
    (void)state;
    put("a", "1");
    unsigned const woken = f.woken;
    watch_from(all(), 2);
    assert_string_equal(f.log, "");
    assert_int_equal(f.woken, woken + 1);
    (void)run_task();
    assert_string_equal(f.log, "+a=1@2 ");
}

static void a_watch_resumes_from_a_revision(void **state)
{
    (void)state;
    put("a", "1");
    put("a", "2");
    put("a", "3");
    watch_from(all(), 3);
    put("a", "4");
    assert_string_equal(f.log, "+a=2@3 +a=3@4 +a=4@5 ");
}

static void a_revision_to_come_is_waited_for(void **state)
{
    (void)state;
    watch_from(all(), 4);
    put("a", "1");
    put("a", "2");
    put("a", "3");
    assert_string_equal(f.log, "+a=3@4 ");
}

static void a_transaction_is_told_in_one_batch(void **state)
{
    (void)state;
    watch_from(all(), 0);
    weir_kv_op const ops[] = {put_op("a", "1"), put_op("b", "1"), put_op("c", "1")};
    weir_kv_txn const txn = {.then_ops = ops, .then_count = 3};
    assert_int_equal(f.kv.txn(f.kv.self, &txn, NULL, NULL), WEIR_OK);
    assert_string_equal(f.log, "+a=1@2 +b=1@2 +c=1@2 ");
    assert_int_equal(f.batches, 1);
}

/* ---- What was before ---- */

static bool note_previous(const weir_kv_watch_event *event, void *user)
{
    if (event->code == WEIR_OK)
        *(weir_kv_pair *)user = event->events[0].previous;
    return true;
}

static void an_event_tells_what_was_before(void **state)
{
    (void)state;
    weir_kv_pair previous;
    weir_kv_watch const watch = {.keys = all(), .fn = note_previous, .user = &previous};
    uint64_t id;
    assert_int_equal(f.kv.watch(f.kv.self, &watch, &id), WEIR_OK);
    put("a", "1");
    assert_int_equal(previous.create_revision, 0);
    put("a", "2");
    assert_int_equal(previous.mod_revision, 2);
    assert_memory_equal(previous.value.data, "1", 1);
    delete_keys(one("a"));
    assert_int_equal(previous.mod_revision, 3);
    put("a", "3");
    assert_int_equal(previous.create_revision, 0);
}

/* ---- Slow ones ---- */

static void one_that_is_busy_is_left_alone_until_it_resumes(void **state)
{
    (void)state;
    uint64_t const id = watch_from(all(), 0);
    f.pause = true;
    put("a", "1");
    put("a", "2");
    put("a", "3");
    assert_string_equal(f.log, "+a=1@2 ");
    f.pause = false;
    f.kv.resume(f.kv.self, id);
    (void)run_task();
    assert_string_equal(f.log, "+a=1@2 +a=2@3 +a=3@4 ");
}

/* Never a silent loss: a stalled consumer is told to read again, and from when on. */
static void one_that_falls_behind_the_history_is_told_so(void **state)
{
    (void)state;
    weir_store_stats stats;
    weir_store_destroy(f.store);
    f.options.history = 5;
    create();
    uint64_t const id = watch_from(one("a"), 0);
    f.pause = true;
    put("a", "1");
    weir_store_get_stats(f.store, &stats);
    uint64_t const bytes = stats.bytes;
    for (int i = 0; i < 1000; i++)
        put("a", "x");
    weir_store_get_stats(f.store, &stats);
    assert_true(stats.bytes < bytes + 100000); /* What it misses is not kept for it. */
    assert_int_equal(stats.watches, 1);
    f.kv.resume(f.kv.self, id);
    (void)run_task();
    assert_string_equal(f.log, "+a=1@2 !-18@998 ");
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.watches, 0);
}

static void what_is_compacted_cannot_be_watched_from(void **state)
{
    (void)state;
    put("a", "1");
    put("a", "2");
    put("a", "3");
    assert_int_equal(weir_store_compact(f.store, 4), WEIR_OK);
    watch_from(all(), 3);
    watch_from(all(), 4);
    (void)run_task();
    assert_string_equal(f.log, "!-18@4 +a=3@4 ");
}

/* ---- Their end ---- */

typedef struct stopper {
    uint64_t id;
    unsigned told;
} stopper;

static bool stop_itself(const weir_kv_watch_event *event, void *user)
{
    stopper *const self = user;
    self->told += (unsigned)event->count;
    f.kv.unwatch(f.kv.self, self->id);
    return true;
}

static void a_watch_can_be_stopped_from_inside_itself(void **state)
{
    (void)state;
    stopper self = {0};
    weir_kv_watch const watch = {.keys = all(), .fn = stop_itself, .user = &self};
    assert_int_equal(f.kv.watch(f.kv.self, &watch, &self.id), WEIR_OK);
    put("a", "1");
    put("a", "2");
    assert_int_equal(self.told, 1);
    f.kv.unwatch(f.kv.self, self.id); /* Again: nothing. */
    f.kv.resume(f.kv.self, self.id);
}

static void a_stopped_watch_tells_nothing(void **state)
{
    (void)state;
    uint64_t const id = watch_from(all(), 0);
    f.kv.unwatch(f.kv.self, id);
    put("a", "1");
    assert_string_equal(f.log, "");
}

static void at_the_end_of_the_store_watches_are_told(void **state)
{
    (void)state;
    put("a", "1");
    watch_from(all(), 0);
    weir_store_destroy(f.store);
    f.store = NULL;
    assert_string_equal(f.log, "!-15@2 ");
}

/* ---- Callbacks that call the store ---- */

static bool copy_to_b(const weir_kv_watch_event *event, void *user)
{
    if (event->code == WEIR_OK)
        assert_int_equal(weir_store_put(f.store, weir_bytes_of("b"), event->events[0].pair.value, 0,
                                        user),
                         WEIR_OK);
    return true;
}

static void a_watch_may_write_and_others_see_it_in_order(void **state)
{
    (void)state;
    uint64_t revision = 0, id;
    watch_from(all(), 0);
    weir_kv_watch const watch = {.keys = one("a"), .fn = copy_to_b, .user = &revision};
    assert_int_equal(f.kv.watch(f.kv.self, &watch, &id), WEIR_OK);
    put("a", "1");
    put("a", "2");
    assert_string_equal(f.log, "+a=1@2 +b=1@3 +a=2@4 +b=2@5 ");
    assert_int_equal(revision, 5);
}

static void note_log_length(const weir_kv_result *result, void *user)
{
    assert_int_equal(result->code, WEIR_OK);
    *(size_t *)user = strlen(f.log);
}

/* Who is told that a change is done finds it wherever it was to be told. */
static void watches_are_told_before_the_writer_is(void **state)
{
    (void)state;
    size_t length = 0;
    watch_from(all(), 0);
    weir_kv_op const op = put_op("a", "1");
    weir_kv_txn const txn = {.then_ops = &op, .then_count = 1};
    assert_int_equal(f.kv.txn(f.kv.self, &txn, note_log_length, &length), WEIR_OK);
    assert_int_equal(length, strlen("+a=1@2 "));
}

/* One is stalled and one is not: neither misses anything. */
static void a_stalled_watch_holds_up_nobody(void **state)
{
    (void)state;
    uint64_t const stalled = watch_from(one("0"), 0);
    f.pause = true;
    put("0", "");
    f.pause = false;
    watch_from(between("1", "2"), 0);
    for (int i = 0; i < 200; i++) {
        put("0", "");
        put("1", "");
    }
    unsigned told = 0;
    for (const char *at = f.log; (at = strstr(at, "+1=")) != NULL; at++)
        told++;
    assert_int_equal(told, 200);
    f.log[0] = 0;
    f.kv.resume(f.kv.self, stalled);
    (void)run_task();
    told = 0;
    for (const char *at = f.log; (at = strstr(at, "+0=")) != NULL; at++)
        told++;
    assert_int_equal(told, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_are_told_in_order),
        TEST(a_watch_tells_nothing_before_its_call_returns),
        TEST(a_watch_resumes_from_a_revision),
        TEST(a_revision_to_come_is_waited_for),
        TEST(a_transaction_is_told_in_one_batch),
        TEST(an_event_tells_what_was_before),
        TEST(one_that_is_busy_is_left_alone_until_it_resumes),
        TEST(one_that_falls_behind_the_history_is_told_so),
        TEST(what_is_compacted_cannot_be_watched_from),
        TEST(a_watch_can_be_stopped_from_inside_itself),
        TEST(a_stopped_watch_tells_nothing),
        TEST(at_the_end_of_the_store_watches_are_told),
        TEST(a_watch_may_write_and_others_see_it_in_order),
        TEST(watches_are_told_before_the_writer_is),
        TEST(a_stalled_watch_holds_up_nobody),
    };
    return cmocka_run_group_tests_name("store_watch", tests, NULL, NULL);
}

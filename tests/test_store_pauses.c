/* However much there is to free, no call frees more than a bounded part of it: counted in what is
 * given back to the allocator, so that it holds on any machine. */
#include "support/store_fixture.h"
#include "support/store_folder.h"

#define MANY 20000

/* A look at the readers frees 512 pieces and takes 128 keys out of the index; an operation of one
 * key does at most one look, drops 258 changes, and frees what it replaces in the index. */
#define MOST 1024

static unsigned worst; /* Pieces of memory that one call has freed, or taken, at most. */

typedef struct mark {
    unsigned calls, live;
} mark;

static mark begin(void)
{
    return (mark){f.fake.calls, f.fake.live};
}

static void end(mark from)
{
    unsigned const taken = f.fake.calls - from.calls;
    unsigned const freed = taken + from.live - f.fake.live; /* Or a little more, for resizing. */
    worst = freed > worst ? freed : worst;
    worst = taken > worst ? taken : worst;
}

static const char *key_of(unsigned number)
{
    static char text[16];
    (void)snprintf(text, sizeof text, "k%05u", number);
    return text;
}

static void put_counted(const char *key)
{
    mark const from = begin();
    put(key, "value");
    end(from);
}

static uint64_t run_task_counted(void)
{
    mark const from = begin();
    uint64_t const next_ns = run_task();
    end(from);
    return next_ns;
}

/* Until the task has nothing more to do at once. */
static unsigned clean_up(void)
{
    unsigned runs = 1;
    while (run_task_counted() <= f.fake.now_ns)
        runs++;
    return runs;
}

static int setup_counted(void **state)
{
    worst = 0;
    return setup(state);
}

#define COUNTED(name) cmocka_unit_test_setup_teardown(name, setup_counted, teardown)

static void what_new_keys_replace_in_the_index_is_freed_as_they_come(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        put_counted(key_of(i));
        /* A key, its version; nodes, at least half full, and pages of history. */
        assert_in_range(f.fake.live, 0, 2 * (i + 1) + (i + 1) / 16 + MOST);
    }
    assert_in_range(worst, 1, MOST);
}

static void compacting_a_long_history_takes_many_short_calls(void **state)
{
    (void)state;
    weir_store_stats stats;
    for (unsigned i = 0; i < MANY; i++)
        put(key_of(i % 100), "value");
    mark const from = begin();
    assert_int_equal(weir_store_compact(f.store, weir_store_revision(f.store)), WEIR_OK);
    end(from);
    weir_kv_range const old = {.keys = all(), .revision = weir_store_revision(f.store) - 1};
    assert_int_equal(weir_store_read(f.store, &old, NULL, NULL, NULL, NULL), WEIR_ECOMPACTED);
    assert_in_range(clean_up(), MANY / MOST, MANY / 100);
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.keys, 100);
    assert_in_range(stats.versions, 100, 101);
    assert_in_range(worst, 1, MOST);
}

static void many_keys_deleted_at_once_leave_in_many_short_calls(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        put(key_of(i), "value");
    assert_int_equal(delete_keys(all()), MANY);
    put("last", "1");
    assert_int_equal(weir_store_compact(f.store, weir_store_revision(f.store)), WEIR_OK);
    for (int i = 0; i < 4; i++) {
        (void)clean_up();
        f.fake.now_ns += 1000000000;
    }
    assert_in_range(f.fake.live, 1, 100); /* The store, a key, pages that are kept. */
    assert_in_range(worst, 1, MOST);
}

static void puts_alone_free_what_many_deletions_have_left(void **state)
{
    (void)state;
    weir_store_destroy(f.store);
    f.options.history = 10;
    create();
    for (unsigned i = 0; i < MANY; i++)
        put(key_of(i), "value");
    assert_int_equal(delete_keys(all()), MANY);
    for (unsigned i = 0; i < MANY / 4; i++)
        put_counted("last");
    assert_in_range(f.fake.live, 1, 4 * MOST);
    assert_in_range(worst, 1, MOST);
}

static void keys_leave_the_index_once_there_is_memory(void **state)
{
    (void)state;
    weir_store_stats stats;
    for (unsigned i = 0; i < 300; i++)
        put(key_of(i), "value");
    assert_int_equal(delete_keys(all()), 300);
    put("last", "1");
    assert_int_equal(weir_store_compact(f.store, weir_store_revision(f.store)), WEIR_OK);
    for (unsigned n = 1; n < 400; n++) { /* Nearly all runs fail to make a node. */
        f.fake.fail_at = f.fake.calls + 1 + n % 3;
        (void)run_task();
        f.fake.fail_at = 0;
    }
    for (int i = 0; i < 4; i++) {
        (void)clean_up();
        f.fake.now_ns += 1000000000;
    }
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.versions, 1);
    assert_in_range(f.fake.live, 1, 20);
}

static void what_a_snapshot_has_held_is_freed_in_many_short_calls(void **state)
{
    (void)state;
    weir_store_stats stats;
    weir_store_destroy(f.store);
    f.options.folder = store_folder_make();
    f.options.sync = WEIR_SYNC_NONE;
    f.options.history = 10;
    f.options.snapshot_bytes = 65536;
    create();
    for (unsigned i = 0; i < 2000; i++)
        put(key_of(i), "value");
    (void)run_task(); /* Begins. */
    for (unsigned i = 0; i < MANY; i++)
        put(key_of(i % 100), "value");
    weir_store_get_stats(f.store, &stats);
    assert_in_range(stats.versions, MANY, 2 * MANY);
    (void)clean_up();
    weir_store_get_stats(f.store, &stats);
    assert_true(stats.snapshot_revision > 0);
    assert_in_range(stats.versions, 2000, 2000 + 600); /* What waits for a look. */
    assert_in_range(worst, 1, MOST);
    store_folder_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COUNTED(what_new_keys_replace_in_the_index_is_freed_as_they_come),
        COUNTED(compacting_a_long_history_takes_many_short_calls),
        COUNTED(many_keys_deleted_at_once_leave_in_many_short_calls),
        COUNTED(puts_alone_free_what_many_deletions_have_left),
        COUNTED(keys_leave_the_index_once_there_is_memory),
        COUNTED(what_a_snapshot_has_held_is_freed_in_many_short_calls),
    };
    return cmocka_run_group_tests_name("store_pauses", tests, NULL, NULL);
}

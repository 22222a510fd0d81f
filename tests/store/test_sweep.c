/* What nobody can read any more is freed in slices, however much a slow reader has held up. */
#include "support/fake_env.h"

#include <weir/store.h>

#include "base/snapshot.h"

#include <stdio.h>

#define SLICE   512 /* Versions, keys and nodes at a time. */
#define CHANGES 20000

static void put(weir_store *store, unsigned key)
{
    char text[16];
    int const size = snprintf(text, sizeof text, "%08u", key);
    weir_bytes const bytes = {text, (size_t)size};
    assert_int_equal(weir_store_put(store, bytes, bytes, 0, NULL), WEIR_OK);
}

static void remove_all(weir_store *store)
{
    char end[1];
    weir_kv_keys const all = weir_kv_prefix((weir_bytes){"", 0}, end);
    assert_int_equal(weir_store_delete(store, &all, NULL), WEIR_OK);
}

static void a_reader_that_held_much_up_makes_no_long_pause(void **state)
{
    (void)state;
    fake_env fake = {.now_ns = 1000000000};
    weir_env const env = fake_env_hooks(&fake);
    weir_store_options options = WEIR_STORE_OPTIONS_INIT;
    weir_store *store;
    options.history = 1;
    options.env = &env;
    assert_int_equal(weir_store_create(&store, &options, NULL), WEIR_OK);
    void *const reading = weir__read_begin();
    for (unsigned i = 0; i < CHANGES; i++)
        put(store, i);
    remove_all(store);
    put(store, 0);
    assert_true(fake.live > 3 * CHANGES); /* Keys, values, deletions: all are held up. */
    weir__read_end(reading);
    weir_task const task = weir_store_task(store);
    unsigned runs = 0;
    for (; fake.live >= 100; runs++) {
        unsigned const before = fake.live;
        fake.now_ns += 1000000000;
        (void)task.run(task.self, fake.now_ns);
        assert_true(before <= fake.live + 2 * SLICE + 4); /* Two looks, and pages of history. */
        assert_in_range(runs, 0, 1000);
    }
    assert_true(runs >= 3 * CHANGES / (2 * SLICE));
    weir_store_destroy(store);
    assert_int_equal(fake.live, 0);
    assert_int_equal(fake.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_that_held_much_up_makes_no_long_pause),
    };
    return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}

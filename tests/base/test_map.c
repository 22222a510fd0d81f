/* The hash map against plain arrays: growth, collisions, deletion, failed allocations. */
#include "support/fake_env.h"

#include "base/map.h"
#include "base/rng.h"

#include <stdio.h>
#include <string.h>

#define KEYS 500

typedef struct item {
    char key[8];
    bool in;
} item;

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir__map map;
    item items[KEYS];
} fixture;

static fixture f;

static int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.random = 42, .random_step = 77}};
    f.env = fake_env_hooks(&f.fake);
    weir__map_init(&f.map, &f.env);
    for (int i = 0; i < KEYS; i++)
        (void)snprintf(f.items[i].key, sizeof f.items[i].key, "key%d", i);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir__map_free(&f.map);
    return f.fake.live_bytes == 0 ? 0 : -1;
}

static void *get(const item *it)
{
    return weir__map_get(&f.map, it->key, strlen(it->key));
}

static void put(item *it)
{
    assert_int_equal(weir__map_put(&f.map, it->key, strlen(it->key), it), WEIR_OK);
    it->in = true;
}

static void take(item *it)
{
    assert_ptr_equal(weir__map_remove(&f.map, it->key, strlen(it->key)), it->in ? it : NULL);
    it->in = false;
}

static void expect_exactly_what_is_in(void)
{
    size_t count = 0;
    for (int i = 0; i < KEYS; i++) {
        assert_ptr_equal(get(&f.items[i]), f.items[i].in ? &f.items[i] : NULL);
        count += f.items[i].in;
    }
    assert_int_equal(f.map.count, count);
    const item *it;
    for (size_t cursor = 0; (it = weir__map_next(&f.map, &cursor)) != NULL; count--)
        assert_true(it->in);
    assert_int_equal(count, 0);
}

static void an_empty_map_has_nothing(void **state)
{
    (void)state;
    expect_exactly_what_is_in();
    take(&f.items[0]);
    assert_int_equal(f.fake.calls, 0);
    assert_int_equal(weir__map_reserve(&f.map, 0), WEIR_OK);
    assert_int_equal(f.fake.calls, 0);
}

static void finds_all_that_was_put_while_it_grows(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        put(&f.items[i]);
        if (i % 50 == 0)
            expect_exactly_what_is_in();
    }
    expect_exactly_what_is_in();
    assert_true(f.map.count <= f.map.capacity - f.map.capacity / 4);
}

static void a_second_put_replaces_the_key_and_the_value(void **state)
{
    (void)state;
    put(&f.items[0]);
    char same[] = "key0";
    int other = 0;
    assert_int_equal(weir__map_put(&f.map, same, 4, &other), WEIR_OK);
    assert_int_equal(f.map.count, 1);
    assert_ptr_equal(get(&f.items[0]), &other);
    f.items[0].key[0] = 'K'; /* The first key is no longer looked at. */
    assert_ptr_equal(weir__map_get(&f.map, "key0", 4), &other);
}

static void keys_are_bytes_of_any_value_and_length(void **state)
{
    (void)state;
    int empty = 0;
    int zero = 0;
    int zeros = 0;
    assert_int_equal(weir__map_put(&f.map, NULL, 0, &empty), WEIR_OK);
    assert_int_equal(weir__map_put(&f.map, "\0", 1, &zero), WEIR_OK);
    assert_int_equal(weir__map_put(&f.map, "\0\0", 2, &zeros), WEIR_OK);
    assert_ptr_equal(weir__map_get(&f.map, "", 0), &empty);
    assert_ptr_equal(weir__map_get(&f.map, "\0", 1), &zero);
    assert_ptr_equal(weir__map_get(&f.map, "\0\0", 2), &zeros);
}

/* Any mix of puts and removals: clusters form, wrap around the end and are closed again. */
static void forgets_exactly_what_is_removed(void **state)
{
    (void)state;
    weir__rng rng;
    weir__rng_seed(&rng, 5);
    for (int round = 0; round < 20000; round++) {
        item *const it = &f.items[weir__rng_below(&rng, round % 2000 < 1000 ? KEYS : 48)];
        if (weir__rng_below(&rng, 2) == 0)
            put(it);
        else
            take(it);
        if (round % 500 == 0)
            expect_exactly_what_is_in();
    }
    expect_exactly_what_is_in();
}

/* At 6 of 8 slots nearly every key shares a run with others: all orders of removal of a run. */
static void a_full_table_survives_any_removal(void **state)
{
    (void)state;
    for (int seed = 0; seed < 300; seed++) {
        weir__rng rng;
        weir__rng_seed(&rng, (uint64_t)seed);
        for (int i = 0; i < 6; i++)
            put(&f.items[(seed * 7 + i) % KEYS]);
        assert_int_equal(f.map.capacity, 8);
        while (f.map.count > 0) {
            take(&f.items[(seed * 7 + (int)weir__rng_below(&rng, 6)) % KEYS]);
            expect_exactly_what_is_in();
        }
    }
}

static void reserved_room_cannot_fail(void **state)
{
    (void)state;
    assert_int_equal(weir__map_reserve(&f.map, KEYS), WEIR_OK);
    f.fake.fail_at = f.fake.calls + 1;
    for (int i = 0; i < KEYS; i++)
        put(&f.items[i]);
    expect_exactly_what_is_in();
}

static void a_failed_allocation_changes_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        f.fake.fail_at = f.fake.calls + 1;
        if (weir__map_put(&f.map, f.items[i].key, strlen(f.items[i].key), &f.items[i])) {
            expect_exactly_what_is_in();
            f.fake.fail_at = 0;
        }
        put(&f.items[i]);
    }
    expect_exactly_what_is_in();
    assert_int_equal(weir__map_reserve(&f.map, SIZE_MAX), WEIR_ENOMEM);
    assert_int_equal(weir__map_reserve(&f.map, SIZE_MAX / 4), WEIR_ENOMEM);
    expect_exactly_what_is_in();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_map_has_nothing),
        TEST(finds_all_that_was_put_while_it_grows),
        TEST(a_second_put_replaces_the_key_and_the_value),
        TEST(keys_are_bytes_of_any_value_and_length),
        TEST(forgets_exactly_what_is_removed),
        TEST(a_full_table_survives_any_removal),
        TEST(reserved_room_cannot_fail),
        TEST(a_failed_allocation_changes_nothing),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}

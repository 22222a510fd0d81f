/* The index beside a sorted array: every search and walk agrees, whatever comes and goes. */
#include "store/index.h"
#include "support/fake_env.h"
#include <stdio.h>
#include <string.h>

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir__index index;
    uint64_t seed;
} fixture;

static fixture f;

static int setup(void **state)
{
    (void)state;
    f = (fixture){.seed = 88172645463325252};
    f.env = fake_env_hooks(&f.fake);
    weir__index_init(&f.index, &f.env);
    return 0;
}

static void free_retired_keys(void)
{
    while (f.index.retired_keys != NULL) {
        weir__kv_key *const key = f.index.retired_keys;
        f.index.retired_keys = key->next_dead;
        weir__free(&f.env, key, sizeof *key + key->size);
    }
}

static int teardown(void **state)
{
    (void)state;
    weir__index_free(&f.index);
    free_retired_keys();
    return f.fake.live == 0 && f.fake.live_bytes == 0 && f.index.bytes == 0 ? 0 : -1;
}

static uint64_t draw(void) /* xorshift64 (Marsaglia). */
{
    f.seed ^= f.seed << 13;
    f.seed ^= f.seed >> 7;
    f.seed ^= f.seed << 17;
    return f.seed;
}

static weir__kv_key *new_key(const void *bytes, size_t size)
{
    weir__kv_key *const key = weir__alloc(&f.env, sizeof *key + size);
    assert_non_null(key);
    key->size = (uint32_t)size;
    memcpy(key->bytes, bytes, size);
    return key;
}

static void insert(const char *text)
{
    weir__kv_key *const key = new_key(text, strlen(text));
    assert_int_equal(weir__index_insert(&f.index, key), WEIR_OK);
}

static weir__kv_key *find(const char *text)
{
    return weir__index_find(&f.index, weir_bytes_of(text));
}

static size_t walk(const char *from)
{
    weir__index_cursor cursor;
    size_t count = 0;
    const weir__kv_key *last = NULL;
    const weir__kv_key *key = weir__index_seek(&f.index, weir_bytes_of(from), &cursor);
    for (; key != NULL; key = weir__index_next(&cursor), count++) {
        assert_true(weir__bytes_compare(weir__kv_key_bytes(key), weir_bytes_of(from)) >= 0);
        if (last != NULL)
            assert_true(weir__bytes_compare(weir__kv_key_bytes(last), weir__kv_key_bytes(key)) < 0);
        last = key;
    }
    return count;
}

static void bytes_are_compared_as_unsigned_and_the_shorter_first(void **state)
{
    (void)state;
    assert_true(weir__bytes_compare(weir_bytes_of("a"), weir_bytes_of("b")) < 0);
    assert_true(weir__bytes_compare(weir_bytes_of("\xFF"), weir_bytes_of("a")) > 0);
    assert_true(weir__bytes_compare(weir_bytes_of("a"), weir_bytes_of("ab")) < 0);
    assert_true(weir__bytes_compare(weir_bytes_of("ab"), weir_bytes_of("a")) > 0);
    assert_int_equal(weir__bytes_compare(weir_bytes_of("ab"), weir_bytes_of("ab")), 0);
    assert_int_equal(weir__bytes_compare((weir_bytes){NULL, 0}, (weir_bytes){NULL, 0}), 0);
}

static void an_empty_index_finds_nothing(void **state)
{
    (void)state;
    assert_null(find("a"));
    assert_int_equal(walk("a"), 0);
}

/* A key and those with zeros behind it have the same head. */
static void keys_that_differ_in_zeros_are_told_apart(void **state)
{
    (void)state;
    static const char zeros[12];
    for (size_t size = 1; size <= 12; size++)
        assert_int_equal(weir__index_insert(&f.index, new_key(zeros, size)), WEIR_OK);
    for (size_t size = 1; size <= 12; size++)
        assert_int_equal(weir__index_find(&f.index, (weir_bytes){zeros, size})->size, size);
}

static void expect_all(const char *prefix, unsigned count)
{
    char text[64];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(text, sizeof text, "%s%05u", prefix, i);
        const weir__kv_key *const key = find(text);
        assert_non_null(key);
        assert_int_equal(key->size, strlen(text));
        assert_memory_equal(key->bytes, text, key->size);
    }
}

static void insert_in_steps(const char *prefix, unsigned count, unsigned step)
{
    char text[64];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(text, sizeof text, "%s%05u", prefix, i * step % count);
        insert(text);
    }
}

static void ascending_keys_fill_their_nodes(void **state)
{
    (void)state;
    enum { COUNT = 64 * 64 };
    insert_in_steps("service/orders/", COUNT, 1);
    expect_all("service/orders/", COUNT);
    assert_int_equal(walk("service/"), COUNT);
    assert_int_equal(walk("service/orders/02048"), COUNT - 2048);
    assert_int_equal(walk("service/orders/02048x"), COUNT - 2049);
    assert_int_equal(walk("service/p"), 0);
    assert_int_equal(walk("s"), COUNT);
    while (f.index.retired != NULL) {
        weir__index_node *const node = f.index.retired;
        f.index.retired = node->next;
        weir__index_free_node(&f.index, node);
    }
    /* 64 leaves, full, and the nodes above them: 64 + 1 or 2 + a root at most. */
    assert_true(f.index.bytes <= 66 * (sizeof(weir__index_node) + 64 * sizeof(void *)));
}

static void descending_and_scattered_keys_are_found(void **state)
{
    (void)state;
    insert_in_steps("d/", 5000, 4999);
    insert_in_steps("s/", 5000, 1777);
    expect_all("d/", 5000);
    expect_all("s/", 5000);
    assert_int_equal(walk("d"), 10000);
    assert_int_equal(walk("s"), 5000);
}

static void emptied_nodes_go(void **state)
{
    (void)state;
    enum { COUNT = 10000 };
    char text[64];
    insert_in_steps("key-", COUNT, 7919);
    for (unsigned i = 0; i < COUNT; i++) {
        (void)snprintf(text, sizeof text, "key-%05u", i * 4801 % COUNT);
        assert_int_equal(weir__index_remove(&f.index, find(text)), WEIR_OK);
        assert_null(find(text));
        if (i % 1000 == 0)
            assert_int_equal(walk("k"), COUNT - 1 - i);
    }
    assert_null(f.index.root);
    insert("again");
    assert_non_null(find("again"));
}

/* Keys of many lengths and shared beginnings, coming and going, beside a plain table. */
static void it_agrees_with_a_table_of_what_is_in(void **state)
{
    (void)state;
    enum { UNIVERSE = 4096 };
    static weir__kv_key *in[UNIVERSE];
    char text[64];
    size_t count = 0;
    memset(in, 0, sizeof in);
    for (unsigned round = 0; round < 60000; round++) {
        unsigned const i = (unsigned)(draw() % UNIVERSE);
        (void)snprintf(text, sizeof text, "%.*s%u", (int)(i % 23), "/a/rather/long/beginning/", i);
        assert_ptr_equal(find(text), in[i]);
        bool const rising = round / 10000 % 2 == 0;
        if (in[i] == NULL && (rising || draw() % 4 == 0)) {
            in[i] = new_key(text, strlen(text));
            assert_int_equal(weir__index_insert(&f.index, in[i]), WEIR_OK);
            count++;
        } else if (in[i] != NULL && (!rising || draw() % 4 == 0)) {
            assert_int_equal(weir__index_remove(&f.index, in[i]), WEIR_OK);
            in[i] = NULL;
            count--;
        }
        if (round % 5000 == 0)
            assert_int_equal(walk("\x01"), count);
    }
}

static void no_memory_changes_nothing(void **state)
{
    (void)state;
    char text[64];
    unsigned failures = 0;
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(text, sizeof text, "k%03u", i * 7 % 300);
        weir__kv_key *const key = new_key(text, strlen(text));
        for (unsigned n = 1;; n++) {
            f.fake.fail_at = f.fake.calls + n;
            int const result = weir__index_insert(&f.index, key);
            f.fake.fail_at = 0;
            if (result == WEIR_OK)
                break;
            assert_int_equal(result, WEIR_ENOMEM);
            assert_null(find(text));
            failures++;
        }
        assert_int_equal(walk("k"), i + 1);
    }
    assert_true(failures > 300); /* One at least each, and more where nodes are split. */
    f.fake.fail_at = f.fake.calls + 1;
    assert_int_equal(weir__index_remove(&f.index, find("k100")), WEIR_ENOMEM);
    f.fake.fail_at = 0;
    assert_int_equal(walk("k"), 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_are_compared_as_unsigned_and_the_shorter_first),
        TEST(an_empty_index_finds_nothing),
        TEST(keys_that_differ_in_zeros_are_told_apart),
        TEST(ascending_keys_fill_their_nodes),
        TEST(descending_and_scattered_keys_are_found),
        TEST(emptied_nodes_go),
        TEST(it_agrees_with_a_table_of_what_is_in),
        TEST(no_memory_changes_nothing),
    };
    return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}

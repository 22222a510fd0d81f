/* The range of a prefix: the last byte is one more, trailing 0xFF are dropped (etcd's clientv3,
 * GetPrefixRangeEnd). */
#include "support/fake_env.h"
#include <weir/kv.h>
#include <string.h>

static void expect(const char *prefix, size_t size, const char *key, size_t key_size,
                   const char *end, size_t end_size)
{
    unsigned char room[8];
    weir_kv_keys const keys = weir_kv_prefix((weir_bytes){prefix, size}, room);
    assert_int_equal(keys.key.size, key_size);
    assert_memory_equal(keys.key.data, key, key_size);
    assert_int_equal(keys.end.size, end_size);
    assert_memory_equal(keys.end.data, end, end_size);
}

static void a_prefix_ends_before_its_successor(void **state)
{
    (void)state;
    expect("orders/", 7, "orders/", 7, "orders0", 7);
    expect("a", 1, "a", 1, "b", 1);
    expect("a\xFF\xFF", 3, "a\xFF\xFF", 3, "b", 1);
}

static void without_a_successor_it_ends_behind_all_keys(void **state)
{
    (void)state;
    expect("\xFF\xFF", 2, "\xFF\xFF", 2, "\0", 1);
    expect("", 0, "\0", 1, "\0", 1);
}

static void bytes_of_a_string_leave_out_its_end(void **state)
{
    (void)state;
    assert_int_equal(weir_bytes_of("").size, 0);
    assert_int_equal(weir_bytes_of("orders").size, strlen("orders"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prefix_ends_before_its_successor),
        cmocka_unit_test(without_a_successor_it_ends_behind_all_keys),
        cmocka_unit_test(bytes_of_a_string_leave_out_its_end),
    };
    return cmocka_run_group_tests_name("kv", tests, NULL, NULL);
}

/* What records say: each kind comes back as it was written, and what was never written is refused
 * rather than taken for something. */
#include "store/store.h"

#include "support/fake_env.h"
#include <string.h>

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_store *store;
} fixture;

static fixture f;

static int setup(void **state)
{
    (void)state;
    weir_store_options options = WEIR_STORE_OPTIONS_INIT;
    f = (fixture){.fake = {.now_ns = 1}};
    f.env = fake_env_hooks(&f.fake);
    options.env = &f.env;
    return weir_store_create(&f.store, &options, NULL);
}

static int teardown(void **state)
{
    (void)state;
    weir_store_destroy(f.store);
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

static int replay(uint64_t revision, const void *bytes, size_t size)
{
    return weir__codec_replay(f.store, revision, bytes, size);
}

#define REPLAY(revision, text) replay(revision, text, sizeof(text) - 1)

static bool look(const weir_kv_pair *pair, void *user)
{
    *(weir_kv_pair *)user = *pair;
    return true;
}

static weir_kv_pair find(const char *key)
{
    weir_kv_pair pair = {.version = 0};
    weir_kv_range const range = {.keys = {.key = weir_bytes_of(key)}};
    assert_int_equal(weir_store_read(f.store, &range, look, &pair, NULL, NULL), WEIR_OK);
    return pair;
}

static uint64_t committed(void)
{
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    return weir_store_revision(f.store);
}

/* LEB128 by hand: 300 is AC 02. */
static void a_change_is_read_as_the_letters_and_numbers_say(void **state)
{
    (void)state;
    assert_int_equal(REPLAY(2, "G\7\xAC\2P\1k\5value\7"), WEIR_OK);
    assert_int_equal(committed(), 2);
    weir_kv_pair const pair = find("k");
    assert_int_equal(pair.version, 1);
    assert_int_equal(pair.lease, 7);
    assert_int_equal(pair.mod_revision, 2);
    assert_memory_equal(pair.value.data, "value", 5);
    assert_int_equal(weir__lease_find(f.store, 7)->ttl_ms, 300);
    assert_int_equal(REPLAY(3, "D\1kR\7"), WEIR_OK);
    assert_int_equal(committed(), 3);
    assert_int_equal(find("k").version, 0);
    assert_null(weir__lease_find(f.store, 7));
    assert_int_equal(REPLAY(4, "R\7"), WEIR_OK); /* It is over: so it stays. */
    assert_int_equal(REPLAY(5, ""), WEIR_OK);
}

static void a_snapshot_begins_and_brings_pairs_of_its_time(void **state)
{
    (void)state;
    assert_int_equal(REPLAY(9, "S\3K\1k\1v\4\x8\2\0"), WEIR_OK);
    assert_int_equal(committed(), 9);
    weir_kv_pair const pair = find("k");
    assert_int_equal(pair.create_revision, 4);
    assert_int_equal(pair.mod_revision, 8);
    assert_int_equal(pair.version, 2);
    assert_int_equal(f.store->next_lease_id, 3);
    assert_int_equal(REPLAY(9, "P\1l\1v\0"), WEIR_ECORRUPT); /* No change is as old as that. */
    assert_int_equal(REPLAY(9, "D\1k"), WEIR_ECORRUPT);
    assert_int_equal(REPLAY(9, "K\1k\1v\4\x8\2\0"), WEIR_ECORRUPT); /* Twice. */
    assert_int_equal(REPLAY(9, "S\3"), WEIR_ECORRUPT);              /* It has begun. */
    assert_int_equal(REPLAY(10, "P\1l\1v\0"), WEIR_OK);
    assert_int_equal(REPLAY(10, "K\1m\1v\4\x8\2\0"), WEIR_ECORRUPT); /* It is over. */
    assert_int_equal(REPLAY(8, "P\1m\1v\0"), WEIR_ECORRUPT);         /* Back in time. */
}

static void a_pair_whose_numbers_cannot_be_is_refused(void **state)
{
    (void)state;
    assert_int_equal(REPLAY(9, "S\3"), WEIR_OK);
    assert_int_equal(REPLAY(9, "K\1k\1v\0\x8\2\0"), WEIR_ECORRUPT); /* Never created. */
    assert_int_equal(REPLAY(9, "K\1k\1v\5\4\2\0"), WEIR_ECORRUPT);  /* Changed before that. */
    assert_int_equal(REPLAY(9, "K\1k\1v\4\xA\2\0"), WEIR_ECORRUPT); /* Yet to be changed. */
    assert_int_equal(REPLAY(9, "K\1k\1v\4\x8\0\0"), WEIR_ECORRUPT); /* Deleted. */
    assert_int_equal(REPLAY(9, "K\0\1v\4\x8\2\0"), WEIR_ECORRUPT);  /* Without a key. */
    assert_int_equal(REPLAY(9, "K\1k\1v\4\x8\2"), WEIR_ECORRUPT);   /* Cut off. */
    assert_int_equal(committed(), 9);
    assert_int_equal(find("k").version, 0);
}

/* A snapshot may tell of it, and then the log. */
static void of_a_lease_granted_twice_the_last_word_counts(void **state)
{
    (void)state;
    assert_int_equal(REPLAY(2, "G\4\1G\4\2"), WEIR_OK);
    assert_int_equal(weir__lease_find(f.store, 4)->ttl_ms, 2);
}

static void changes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    assert_int_equal(REPLAY(2, "P\1k\1v\0"), WEIR_OK);
    assert_int_equal(REPLAY(3, "P\0\1v\0"), WEIR_ECORRUPT);
    assert_int_equal(REPLAY(3, "D\0"), WEIR_ECORRUPT);
    assert_int_equal(REPLAY(3, "D\1x"), WEIR_ECORRUPT); /* It is not there. */
    assert_int_equal(REPLAY(3, "G\0\1"), WEIR_ECORRUPT);
    assert_int_equal(REPLAY(3, "Z"), WEIR_ECORRUPT);
    assert_int_equal(REPLAY(4, "P\1m\1v\0P\1m\1w\0"), WEIR_ECORRUPT); /* Twice in a revision. */
    assert_int_equal(REPLAY(5, "D\1kD\1k"), WEIR_ECORRUPT);
}

/* Wherever a record ends, it is not read beyond. */
static void a_record_that_is_cut_off_is_refused(void **state)
{
    (void)state;
    static const char *const records[] = {"P\2kk\2vv\1", "G\4\1", "R\4", "D\2kk"};
    static const size_t sizes[] = {8, 3, 2, 4};
    assert_int_equal(REPLAY(2, "P\2kk\1v\0"), WEIR_OK);
    for (size_t i = 0; i < 4; i++)
        for (size_t size = 1; size < sizes[i]; size++) {
            char *const record = malloc(size); /* So that what is behind is nobody's. */
            assert_non_null(record);
            memcpy(record, records[i], size);
            assert_int_equal(replay(3, record, size), WEIR_ECORRUPT);
            free(record);
        }
    char *const begin = malloc(1);
    assert_non_null(begin);
    begin[0] = 'S';
    weir_store_destroy(f.store);
    assert_int_equal(setup(NULL), 0);
    assert_int_equal(replay(9, begin, 1), WEIR_ECORRUPT);
    free(begin);
}

static void numbers_fill_64_bits_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(REPLAY(2, "G\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\1\1"), WEIR_OK);
    assert_non_null(weir__lease_find(f.store, UINT64_MAX));
    assert_int_equal(REPLAY(3, "G\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\2\1"), WEIR_ECORRUPT);
    assert_int_equal(REPLAY(3, "G\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1\1"), WEIR_ECORRUPT);
    /* A size that goes beyond the end, by far. */
    assert_int_equal(REPLAY(3, "D\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\1k"), WEIR_ECORRUPT);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    weir__text record;
    weir_kv_pair const pair = {.key = weir_bytes_of("key"),
                               .value = weir_bytes_of(""),
                               .create_revision = 1000,
                               .mod_revision = 70000,
                               .version = 128,
                               .lease = 127};
    weir__text_init(&record, &f.env);
    weir__codec_begin(&record, UINT64_C(1) << 40);
    weir__codec_grant(&record, 127, UINT64_MAX);
    weir__codec_pair(&record, &pair);
    assert_true(weir__text_ok(&record));
    assert_int_equal(replay(80000, record.data, record.size), WEIR_OK);
    assert_int_equal(committed(), 80000);
    weir_kv_pair const read = find("key");
    assert_int_equal(read.create_revision, 1000);
    assert_int_equal(read.mod_revision, 70000);
    assert_int_equal(read.version, 128);
    assert_int_equal(read.lease, 127);
    assert_int_equal(read.value.size, 0);
    assert_true(f.store->next_lease_id == UINT64_C(1) << 40);
    weir__text_clear(&record);
    weir__codec_put(&record, weir_bytes_of("key"), weir_bytes_of("new"), 0);
    weir__codec_revoke(&record, 127);
    assert_int_equal(replay(80001, record.data, record.size), WEIR_OK);
    weir__text_clear(&record);
    weir__codec_delete(&record, weir_bytes_of("key"));
    assert_int_equal(replay(80002, record.data, record.size), WEIR_OK);
    assert_int_equal(committed(), 80002);
    assert_int_equal(find("key").version, 0);
    weir__text_free(&record);
}

static void without_memory_nothing_is_taken_for_corrupt(void **state)
{
    (void)state;
    static const char *const records[] = {"P\1k\1v\0", "G\4\1", "D\1k"};
    static const size_t sizes[] = {6, 3, 3};
    for (size_t i = 0; i < 3; i++) {
        int result = WEIR_ENOMEM;
        for (unsigned n = 1; result == WEIR_ENOMEM; n++) {
            f.fake.fail_at = f.fake.calls + n;
            result = replay(2 + i, records[i], sizes[i]);
            f.fake.fail_at = 0;
            assert_in_range(n, 1, 20);
        }
        assert_int_equal(result, WEIR_OK);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_is_read_as_the_letters_and_numbers_say),
        TEST(a_snapshot_begins_and_brings_pairs_of_its_time),
        TEST(a_pair_whose_numbers_cannot_be_is_refused),
        TEST(of_a_lease_granted_twice_the_last_word_counts),
        TEST(changes_that_cannot_be_are_refused),
        TEST(a_record_that_is_cut_off_is_refused),
        TEST(numbers_fill_64_bits_and_no_more),
        TEST(what_is_written_is_read),
        TEST(without_memory_nothing_is_taken_for_corrupt),
    };
    return cmocka_run_group_tests_name("store_codec", tests, NULL, NULL);
}

/* Records whose sums hold, byte by byte as the head of codec.c lays them out: what they do, and
 * what of them is damage. */
#include "support/fake_env.h"

#include "store/store.h"

#include <string.h>

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_store *store;
    uint64_t revision; /* Of the last record. */
} fixture;

static fixture f;

static int setup(void **state)
{
    (void)state;
    weir_store_options options = WEIR_STORE_OPTIONS_INIT;
    f = (fixture){.revision = 1};
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

static int replay_at(uint64_t revision, const char *bytes, size_t size)
{
    return weir__codec_replay(f.store, revision, bytes, size);
}

/* A literal, without its NUL, as the next record. */
#define REPLAY(literal) replay_at(++f.revision, literal, sizeof(literal) - 1)

static bool note_value(const weir_kv_pair *pair, void *user)
{
    char *const out = user;
    memcpy(out, pair->value.data, pair->value.size);
    out[pair->value.size] = '\0';
    return true;
}

static const char *value_of(const char *key)
{
    static char value[64];
    weir_kv_range const range = {.keys = {.key = weir_bytes_of(key)}};
    value[0] = '\0';
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    assert_int_equal(weir_store_read(f.store, &range, note_value, value, NULL, NULL), WEIR_OK);
    return value;
}

static void each_operation_is_done(void **state)
{
    (void)state;
    assert_int_equal(REPLAY("P\1a\1x\0P\1b\2yz\0"), WEIR_OK);
    assert_string_equal(value_of("a"), "x");
    assert_string_equal(value_of("b"), "yz");
    assert_int_equal(REPLAY("D\1a"), WEIR_OK);
    assert_string_equal(value_of("a"), "");
    assert_int_equal(REPLAY("G\7\xE8\7"), WEIR_OK); /* 0x68 + 7 * 128 = 1000 ms. */
    assert_int_equal(REPLAY("P\1l\1v\7"), WEIR_OK);
    weir_store_stats stats;
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.leases, 1);
    assert_int_equal(stats.keys, 2);
    assert_int_equal(REPLAY("D\1lR\7"), WEIR_OK);
    assert_int_equal(REPLAY("R\x09"), WEIR_OK); /* Over already. */
    assert_int_equal(REPLAY(""), WEIR_OK);
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.leases, 0);
    assert_int_equal(stats.keys, 1);
}

static void a_snapshot_is_taken_over(void **state)
{
    (void)state;
    f.revision = 9;
    assert_int_equal(REPLAY("S\3"), WEIR_OK);
    assert_int_equal(replay_at(10, "K\1a\1x\2\x0A\4\0", 9), WEIR_OK);
    assert_string_equal(value_of("a"), "x");
    assert_int_equal(weir_store_revision(f.store), 10);
    assert_int_equal(REPLAY("P\1a\1y\0"), WEIR_OK);
    assert_string_equal(value_of("a"), "y");
}

typedef struct damage {
    const char *bytes;
    size_t size;
} damage;

#define DAMAGE(literal)                                                                            \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static void assert_each_is_damage(const char *before, size_t before_size, const damage *list,
                                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)teardown(NULL);
        assert_int_equal(setup(NULL), 0);
        f.revision = 10;
        assert_int_equal(replay_at(10, before, before_size), WEIR_OK);
        if (replay_at(10 + (before[0] != 'S'), list[i].bytes, list[i].size) != WEIR_ECORRUPT)
            fail_msg("record %zu was taken", i);
    }
}

static void a_record_that_is_malformed_is_damage(void **state)
{
    (void)state;
    static const damage list[] = {
        DAMAGE("X"),                                           /* No such operation. */
        DAMAGE("P"),                                           /* No key, */
        DAMAGE("P\1b"),                                        /* no value, */
        DAMAGE("P\1b\1x"),                                     /* no lease. */
        DAMAGE("P\5b"),                                        /* A size beyond the record. */
        DAMAGE("P\0\1x\0"),                                    /* An empty key. */
        DAMAGE("P\1b\1x\0P\1b\1y\0"),                          /* One key twice. */
        DAMAGE("D"),                                           /* Nothing to delete, */
        DAMAGE("D\0"),                                         /* an empty key, */
        DAMAGE("D\1b"),                                        /* one that is not there. */
        DAMAGE("G\1"),                                         /* No time, */
        DAMAGE("G\0\1"),                                       /* no id. */
        DAMAGE("R"),                                           /* No id, */
        DAMAGE("R\x80"),                                       /* one that does not end, */
        DAMAGE("R\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"),   /* one of 70 bits. */
        DAMAGE("R\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1"), /* Eleven bytes. */
        DAMAGE("S"),                                           /* A snapshot of no lease, */
        DAMAGE("S\1"),                                         /* behind changes. */
        DAMAGE("K\1b\1x\2\2\1\0"),                             /* A pair of no snapshot. */
    };
    assert_each_is_damage("P\1a\1x\0", 6, list, sizeof list / sizeof list[0]);
    assert_int_equal(replay_at(9, "", 0), WEIR_ECORRUPT); /* Time does not step back. */
}

static void a_pair_that_cannot_be_is_damage(void **state)
{
    (void)state;
    static const damage list[] = {
        DAMAGE("K\1b"),                           /* Half of one. */
        DAMAGE("K\0\1x\2\2\1\0"),                 /* An empty key. */
        DAMAGE("K\1b\1x\0\2\1\0"),                /* It was never created, */
        DAMAGE("K\1b\1x\3\2\1\0"),                /* or after it was changed. */
        DAMAGE("K\1b\1x\2\x0B\1\0"),              /* It is newer than the snapshot. */
        DAMAGE("K\1b\1x\2\2\0\0"),                /* It is a deletion. */
        DAMAGE("K\1b\1x\2\2\1\0K\1b\1y\2\2\1\0"), /* It is there twice. */
        DAMAGE("P\1b\1x\0"),                      /* A change of that very revision. */
        DAMAGE("K\1b\1x\2\2\1\0D\1b"),            /* The same. */
        DAMAGE("K\1b\1x\2\2\1\0S\1"),             /* It begins twice. */
    };
    assert_each_is_damage("S\1", 2, list, sizeof list / sizeof list[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_operation_is_done),
        TEST(a_snapshot_is_taken_over),
        TEST(a_record_that_is_malformed_is_damage),
        TEST(a_pair_that_cannot_be_is_damage),
    };
    return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}

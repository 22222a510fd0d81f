/* A log on a disk of the test's own, in an environment of the test's own. */
#ifndef WEIR_TEST_LOG_FIXTURE_H
#define WEIR_TEST_LOG_FIXTURE_H

#include "store/log.h"
#include "support/fake_env.h"
#include "support/fake_files.h"

#define LOG_MOST 200

typedef struct fixture {
    fake_env fake;
    weir_env env;
    fake_files disk;
    weir__files files;
    uint64_t segment_bytes;
    weir__log *log;
    weir_store_error error;
    uint64_t revisions[LOG_MOST]; /* As replayed. */
    char first[LOG_MOST];         /* Byte of each record. */
    unsigned count;
    int refuse; /* What replay answers. */
    uint64_t seed;
} fixture;

static fixture f;

static inline bool by_chance(void *user) /* xorshift64 (Marsaglia). */
{
    (void)user;
    f.seed ^= f.seed << 13;
    f.seed ^= f.seed >> 7;
    f.seed ^= f.seed << 17;
    return f.seed % 2 == 0;
}

static inline bool never(void *user)
{
    (void)user;
    return false;
}

static inline int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.random = UINT64_C(0x1122334455667788), .random_step = 1},
                  .segment_bytes = 4096,
                  .seed = 88172645463325252};
    f.env = fake_env_hooks(&f.fake);
    fake_files_init(&f.disk);
    f.files = fake_files_hooks(&f.disk);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    weir__log_close(f.log);
    f.log = NULL;
    fake_files_free(&f.disk);
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

static inline int replayed(void *user, uint64_t revision, const void *data, size_t size)
{
    (void)user;
    assert_true(f.count < LOG_MOST && size > 0);
    f.revisions[f.count] = revision;
    f.first[f.count++] = *(const char *)data;
    return f.refuse;
}

static inline int open_log(void)
{
    weir__log_options const options = {.env = &f.env,
                                       .files = &f.files,
                                       .folder = "folder",
                                       .segment_bytes = f.segment_bytes};
    weir__log_close(f.log);
    f.count = 0;
    return weir__log_open(&f.log, &options, replayed, NULL, &f.error);
}

static inline int add(uint64_t revision, size_t size)
{
    unsigned char data[3000] = {(unsigned char)revision};
    memset(data + 1, 'x', sizeof data - 1);
    return weir__log_append(f.log, revision, data, size);
}

static inline int add_safely(uint64_t revision, size_t size)
{
    int const result = add(revision, size);
    return result != WEIR_OK ? result : weir__log_flush(f.log, true);
}

static inline void expect_records(uint64_t first, uint64_t last)
{
    assert_int_equal(f.count, last - first + 1);
    for (unsigned i = 0; i < f.count; i++) {
        assert_int_equal(f.revisions[i], first + i);
        assert_int_equal((unsigned char)f.first[i], first + i);
    }
}

static inline void crash(bool (*reached)(void *user))
{
    fake_files after;
    weir__log_close(f.log);
    f.log = NULL;
    fake_files_crash(&f.disk, &after, reached, NULL);
    fake_files_free(&f.disk);
    f.disk = after;
    for (int i = 0; i < FAKE_FILES; i++)
        f.disk.files[i].pending_end = &f.disk.files[i].pending;
}

/* A snapshot's records all have its own revision. */
static inline void expect_prefix(uint64_t least, uint64_t most)
{
    assert_in_range(f.count, least, most);
    for (unsigned i = 0; i < f.count; i++)
        assert_int_equal((unsigned char)f.first[i], i + 1);
}

static inline void take_snapshot(uint64_t revision)
{
    assert_int_equal(weir__log_snapshot_begin(f.log, revision), WEIR_OK);
    for (uint64_t i = 1; i <= revision; i++)
        assert_int_equal(weir__log_snapshot_add(f.log, &(unsigned char){(unsigned char)i}, 1),
                         WEIR_OK);
    assert_int_equal(weir__log_snapshot_end(f.log), WEIR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

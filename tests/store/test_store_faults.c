/* The store on a file system that crashes, fails and rots: what is recovered is a state that it was
 * in, at least the last acknowledged one, and recovering it again changes nothing. */
#include "store/store.h"
#include "support/fake_env.h"
#include "support/fake_files.h"

#define KEYS      8
#define REVISIONS 400

/* What the store held at each revision, by arithmetic of our own: 0 = the key is not there. */
typedef struct model {
    unsigned values[REVISIONS][KEYS];
    uint64_t revision;     /* The last one made. */
    uint64_t acknowledged; /* The last one that done() told of. */
} model;

typedef struct fixture {
    fake_env fake;
    weir_env env;
    fake_files disk;
    weir__files files;
    weir_store_options options;
    weir_store *store;
    weir_kv kv;
    model model;
    uint64_t seed;
} fixture;

static fixture f;

static uint64_t draw(void) /* xorshift64 (Marsaglia). */
{
    f.seed ^= f.seed << 13;
    f.seed ^= f.seed >> 7;
    f.seed ^= f.seed << 17;
    return f.seed;
}

static bool reached_by_chance(void *user)
{
    (void)user;
    return draw() % 2 == 0;
}

static bool reached_never(void *user)
{
    (void)user;
    return false;
}

/* All but one, which is counted down to. */
static bool reached_but_one(void *user)
{
    return (*(unsigned *)user)-- != 0;
}

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    f.seed = 88172645463325252;
    f.fake = (fake_env){.now_ns = 1, .random = 7, .random_step = UINT64_C(0x9E3779B97F4A7C15)};
    f.env = fake_env_hooks(&f.fake);
    fake_files_init(&f.disk);
    f.files = fake_files_hooks(&f.disk);
    f.options = (weir_store_options)WEIR_STORE_OPTIONS_INIT;
    f.options.folder = "any";
    f.options.segment_bytes = 4096;
    f.options.env = &f.env;
    f.model.revision = f.model.acknowledged = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir_store_destroy(f.store);
    fake_files_free(&f.disk);
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

static int open_store(weir_store_error *error)
{
    int const result = weir__store_open(&f.store, &f.options, &f.files, error);
    if (result == WEIR_OK)
        f.kv = weir_store_kv(f.store);
    return result;
}

/* ---- A workload ---- */

static void acknowledge(const weir_kv_result *result, void *user)
{
    (void)user;
    if (result->code == WEIR_OK && result->revision > f.model.acknowledged)
        f.model.acknowledged = result->revision;
}

static const char *key_of(unsigned number)
{
    static char text[4][8];
    static unsigned next;
    char *const key = text[next++ % 4];
    (void)snprintf(key, sizeof text[0], "key%u", number);
    return key;
}

/* One transaction of a few puts and deletions, in the store and in the model. */
static int change(unsigned long_values)
{
    unsigned const *const before = f.model.values[f.model.revision];
    unsigned *const after = f.model.values[f.model.revision + 1];
    weir_kv_op ops[3];
    static char values[3][1500];
    size_t count = 0;
    memcpy(after, before, sizeof f.model.values[0]);
    for (unsigned key = (unsigned)(draw() % KEYS); key < KEYS && count < 3; key += 3, count++) {
        bool const gone = draw() % 4 == 0 && before[key] != 0;
        after[key] = gone ? 0 : (unsigned)(f.model.revision + 1);
        int const size = snprintf(values[count], sizeof values[count], "%u", after[key]);
        memset(values[count] + size, 0, sizeof values[count] - (size_t)size);
        ops[count] =
            (weir_kv_op){.kind = gone ? WEIR_KV_DELETE : WEIR_KV_PUT,
                         .range = {.keys = {.key = weir_bytes_of(key_of(key))}},
                         .value = {values[count], (size_t)size + 1 + draw() % (long_values + 1)}};
    }
    weir_kv_txn const txn = {.then_ops = ops, .then_count = count};
    int const result = f.kv.txn(f.kv.self, &txn, acknowledge, NULL);
    f.model.revision += result == WEIR_OK;
    return result;
}

/* Groups, slices of snapshots, and time: until it has done that many, or nothing goes any more. */
static void work(unsigned rounds)
{
    weir_task const task = weir_store_task(f.store);
    for (unsigned i = 0; i < rounds; i++) {
        if (change(i % 5 == 0 ? 1400 : 30) != WEIR_OK)
            break;
        if (draw() % 3 == 0)
            (void)task.run(task.self, f.fake.now_ns);
        if (i % 20 == 19 && weir_store_snapshot(f.store) == WEIR_EREADONLY)
            break;
    }
    (void)task.run(task.self, f.fake.now_ns);
}

static bool read_value(const weir_kv_pair *pair, void *user)
{
    unsigned *const values = user;
    unsigned const key = (unsigned)(((const char *)pair->key.data)[3] - '0');
    values[key] = (unsigned)strtoul(pair->value.data, NULL, 10);
    return true;
}

static void expect_state(uint64_t least, uint64_t most)
{
    unsigned values[KEYS] = {0};
    weir_kv_range const range = {.keys = {{"", 1}, {"", 1}}};
    uint64_t revision;
    assert_int_equal(weir_store_read(f.store, &range, read_value, values, NULL, &revision),
                     WEIR_OK);
    assert_in_range(revision, least, most);
    assert_memory_equal(values, f.model.values[revision], sizeof values);
    f.model.revision = f.model.acknowledged = revision;
}

/* The disk of a crash is taken for the real one. */
static void restart_on(fake_files *crashed)
{
    weir_store_destroy(f.store);
    f.store = NULL;
    fake_files_free(&f.disk);
    f.disk = *crashed;
    for (int i = 0; i < FAKE_FILES; i++)
        if (f.disk.files[i].pending == NULL)
            f.disk.files[i].pending_end = &f.disk.files[i].pending;
}

static void expect_recovery(uint64_t least, uint64_t most)
{
    fake_files copy;
    weir_store_error error;
    assert_int_equal(open_store(&error), WEIR_OK);
    expect_state(least, most);
    uint64_t const revision = weir_store_revision(f.store);
    weir_store_destroy(f.store);
    fake_files_copy(&f.disk, &copy);
    assert_int_equal(open_store(&error), WEIR_OK); /* Again: nothing changes. */
    expect_state(revision, revision);
    assert_true(fake_files_equal(&f.disk, &copy) && fake_files_equal(&copy, &f.disk));
    fake_files_free(&copy);
    assert_int_equal(change(0), WEIR_OK); /* And it goes on. */
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    expect_state(revision + 1, revision + 1);
}

/* ---- Life ---- */

static void everything_is_there_after_a_restart(void **state)
{
    (void)state;
    fake_files same;
    assert_int_equal(open_store(NULL), WEIR_OK);
    work(100);
    assert_int_equal(f.model.acknowledged, f.model.revision);
    uint64_t const revision = f.model.revision;
    fake_files_copy(&f.disk, &same);
    restart_on(&same);
    expect_recovery(revision, revision);
}

static void a_folder_has_one_opener(void **state)
{
    (void)state;
    weir_store *second;
    weir_store_error error;
    assert_int_equal(open_store(NULL), WEIR_OK);
    assert_int_equal(weir__store_open(&second, &f.options, &f.files, &error), WEIR_EBUSY);
    assert_null(second);
    assert_int_equal(error.code, WEIR_EBUSY);
    weir_store_destroy(f.store);
    assert_int_equal(open_store(NULL), WEIR_OK);
}

static void snapshots_let_old_segments_go(void **state)
{
    (void)state;
    weir_store_stats stats;
    assert_int_equal(open_store(NULL), WEIR_OK);
    for (int i = 0; i < 300; i++)
        assert_int_equal(change(100), WEIR_OK);
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    weir_store_get_stats(f.store, &stats);
    assert_true(stats.log_bytes > 30000);
    assert_int_equal(weir_store_snapshot(f.store), WEIR_OK);
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    assert_int_equal(change(0), WEIR_OK);
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    weir_store_get_stats(f.store, &stats);
    assert_true(stats.log_bytes < 1000);
    assert_int_equal(stats.snapshot_revision, stats.revision - 1);
}

/* ---- Crashes ---- */

/* Runs the work until the n-th operation; then what a crash there may have left is recovered. */
static bool crash_at(unsigned operation, bool (*reached)(void *user), void *user)
{
    fake_files crashed;
    setup(NULL);
    f.seed += operation;
    f.disk.crash_at = operation;
    if (open_store(NULL) == WEIR_OK)
        work(60);
    bool const over = f.disk.operations < operation;
    uint64_t const least = f.model.acknowledged, most = f.model.revision;
    fake_files_crash(&f.disk, &crashed, reached, user);
    restart_on(&crashed);
    expect_recovery(least, most);
    assert_int_equal(teardown(NULL), 0);
    return !over;
}

static void no_crash_loses_what_was_acknowledged(void **state)
{
    (void)state;
    unsigned operation = 1;
    while (crash_at(operation, fake_all, NULL))
        operation++;
    assert_true(operation > 100);
    for (unsigned at = 1; at < operation; at++) {
        (void)crash_at(at, reached_never, NULL);
        (void)crash_at(at, reached_by_chance, NULL);
        for (unsigned but = 0; but < 4; but++) {
            unsigned left = but;
            (void)crash_at(at, reached_but_one, &left);
        }
    }
    setup(NULL);
}

/* ---- Operations that fail ---- */

static void whatever_fails_acknowledges_nothing_and_loses_nothing(void **state)
{
    (void)state;
    static const int reasons[] = {EIO, ENOSPC, EINTR, 0};
    for (size_t reason = 0; reason < 4; reason++) {
        for (unsigned operation = 1;; operation++) {
            fake_files after;
            setup(NULL);
            f.disk.fail_at = operation;
            f.disk.fail_with = reasons[reason];
            if (open_store(NULL) == WEIR_OK)
                work(30);
            bool const over = f.disk.operations < operation;
            uint64_t const least = f.model.acknowledged, most = f.model.revision;
            fake_files_copy(&f.disk, &after);
            restart_on(&after);
            expect_recovery(least, most);
            assert_int_equal(teardown(NULL), 0);
            if (over)
                break;
        }
    }
    setup(NULL);
}

static void after_a_failed_sync_it_is_read_only(void **state)
{
    (void)state;
    weir_store_stats stats;
    assert_int_equal(open_store(NULL), WEIR_OK);
    assert_int_equal(change(0), WEIR_OK);
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    f.disk.fail_at = f.disk.operations + 2; /* Write, then sync. */
    f.disk.fail_with = EIO;
    assert_int_equal(change(0), WEIR_OK);
    assert_int_equal(weir_store_commit(f.store), WEIR_ESYSTEM);
    assert_int_equal(weir_store_commit(f.store), WEIR_EREADONLY);
    assert_int_equal(weir_store_put(f.store, weir_bytes_of("key0"), weir_bytes_of("9"), 0, NULL),
                     WEIR_EREADONLY);
    assert_int_equal(f.kv.grant(f.kv.self, 0, 1, NULL, NULL), WEIR_EREADONLY);
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.error.code, WEIR_ESYSTEM);
    assert_int_equal(stats.error.system, EIO);
    assert_string_equal(stats.error.message, "sync failed");
    assert_int_equal(f.model.acknowledged, 2);
    expect_state(2, 2); /* What was acknowledged is readable. */
}

/* ---- Rot ---- */

/* Everything was synced, and more than once since: any bit of it counts. */
static void a_flipped_bit_is_never_taken_for_the_end(void **state)
{
    (void)state;
    fake_files rotten;
    weir_store_error error;
    assert_int_equal(open_store(NULL), WEIR_OK);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(change(20), WEIR_OK);
        assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    }
    size_t const size = fake_files_last(&f.disk, "log-")->size;
    for (size_t bit = 0; bit < size * 8; bit++) {
        fake_files_copy(&f.disk, &rotten);
        fake_files_last(&rotten, "log-")->data[bit / 8] ^= (unsigned char)(1U << bit % 8);
        weir__files const files = fake_files_hooks(&rotten);
        weir_store *store;
        assert_int_equal(weir__store_open(&store, &f.options, &files, &error), WEIR_ECORRUPT);
        assert_null(store);
        assert_true(strncmp(error.file, "log-", 4) == 0 && error.offset <= bit / 8);
        fake_files_free(&rotten);
    }
}

/* Sectors that the last flush has written may be cut off; those before it never are. */
static void a_lost_sector_is_damage_unless_it_may_be_the_crash(void **state)
{
    (void)state;
    fake_files rotten;
    uint64_t begin = 0;
    f.options.segment_bytes = 65536;
    assert_int_equal(open_store(NULL), WEIR_OK);
    for (int i = 0; i < 6; i++) {
        begin = fake_files_last(&f.disk, "log-")->size;
        assert_int_equal(change(400), WEIR_OK);
        assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    }
    size_t const size = fake_files_last(&f.disk, "log-")->size;
    uint64_t const revision = f.model.revision;
    for (size_t sector = 0; sector * 512 < size; sector++) {
        fake_files_copy(&f.disk, &rotten);
        size_t const end = sector * 512 + 512 < size ? sector * 512 + 512 : size;
        unsigned char *const bytes = fake_files_last(&rotten, "log-")->data;
        bool lost = false;
        for (size_t at = sector * 512; at < end; at++) {
            lost |= bytes[at] != 0;
            bytes[at] = 0;
        }
        weir__files const files = fake_files_hooks(&rotten);
        weir_store *store;
        int const result = weir__store_open(&store, &f.options, &files, NULL);
        assert_int_equal(result, lost && end <= begin ? WEIR_ECORRUPT : WEIR_OK);
        if (result == WEIR_OK) /* It was in the last flush, or in the sector where that begins. */
            assert_in_range(weir_store_revision(store), lost ? revision - 2 : revision, revision);
        weir_store_destroy(store);
        fake_files_free(&rotten);
    }
}

static void a_log_that_is_cut_anywhere_in_its_last_records_gives_a_prefix(void **state)
{
    (void)state;
    fake_files cut;
    uint64_t ends[8] = {0};
    assert_int_equal(open_store(NULL), WEIR_OK);
    for (int i = 1; i < 8; i++) {
        assert_int_equal(change(20), WEIR_OK);
        assert_int_equal(weir_store_commit(f.store), WEIR_OK);
        ends[i] = fake_files_last(&f.disk, "log-")->size;
    }
    for (size_t size = ends[1]; size <= ends[7]; size++) {
        uint64_t whole = 1;
        while (whole < 7 && ends[whole + 1] <= size)
            whole++;
        fake_files_copy(&f.disk, &cut);
        fake_files_last(&cut, "log-")->size = size;
        weir__files const files = fake_files_hooks(&cut);
        weir_store *store;
        assert_int_equal(weir__store_open(&store, &f.options, &files, NULL), WEIR_OK);
        assert_int_equal(weir_store_revision(store), whole + 1);
        weir_store_destroy(store);
        fake_files_free(&cut);
    }
}

static int file_of(fake_files *files, const char *name)
{
    const fake_name *const found = fake_find(files->now, name);
    assert_non_null(found);
    return found != NULL ? found->file : -1;
}

static void a_missing_or_swapped_file_is_damage(void **state)
{
    (void)state;
    static const char *const names[] = {"log-0000000000000001", "log-0000000000000002",
                                        "log-0000000000000003"};
    assert_int_equal(open_store(NULL), WEIR_OK);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(change(1400), WEIR_OK);
        assert_int_equal(weir_store_commit(f.store), WEIR_OK);
    }
    for (int i = 0; i < 3; i++) {
        fake_files less;
        weir_store *store;
        weir_store_error error;
        fake_files_copy(&f.disk, &less);
        fake_change_name(&less, names[i], "", 0);
        weir__files const files = fake_files_hooks(&less);
        assert_int_equal(weir__store_open(&store, &f.options, &files, &error), WEIR_ECORRUPT);
        assert_string_equal(error.file, names[i]);
        fake_change_name(&less, names[(i + 1) % 3], names[i], file_of(&less, names[(i + 1) % 3]));
        assert_int_equal(weir__store_open(&store, &f.options, &files, &error), WEIR_ECORRUPT);
        fake_files_free(&less);
    }
}

static void a_damaged_snapshot_is_not_used(void **state)
{
    (void)state;
    weir_store_error error;
    fake_files rotten;
    assert_int_equal(open_store(NULL), WEIR_OK);
    work(19);
    assert_int_equal(weir_store_snapshot(f.store), WEIR_OK);
    size_t const size = fake_files_last(&f.disk, "snapshot-")->size;
    for (size_t at = 0; at < size; at++) {
        fake_files_copy(&f.disk, &rotten);
        fake_files_last(&rotten, "snapshot-")->data[at] ^= 0x10;
        weir__files const files = fake_files_hooks(&rotten);
        weir_store *store;
        assert_int_equal(weir__store_open(&store, &f.options, &files, &error), WEIR_ECORRUPT);
        fake_files_last(&rotten, "snapshot-")->data[at] ^= 0x10;
        fake_files_last(&rotten, "snapshot-")->size = at;
        assert_int_equal(weir__store_open(&store, &f.options, &files, &error), WEIR_ECORRUPT);
        fake_files_free(&rotten);
    }
}

/* ---- Leases ---- */

static void leases_begin_anew_with_their_whole_time(void **state)
{
    (void)state;
    fake_files same;
    unsigned const values[KEYS] = {7};
    assert_int_equal(open_store(NULL), WEIR_OK);
    assert_int_equal(f.kv.grant(f.kv.self, 5, 1000, NULL, NULL), WEIR_OK);
    assert_int_equal(weir_store_put(f.store, weir_bytes_of("key0"), (weir_bytes){"7", 2}, 5, NULL),
                     WEIR_OK);
    f.fake.now_ns = 900 * WEIR__NS_PER_MS;
    fake_files_copy(&f.disk, &same);
    restart_on(&same);
    for (int round = 0; round < 2; round++) { /* Out of the log, then out of a snapshot. */
        unsigned found[KEYS] = {0};
        weir_kv_range const range = {.keys = {{"", 1}, {"", 1}}};
        assert_int_equal(open_store(NULL), WEIR_OK);
        weir_task const task = weir_store_task(f.store);
        (void)task.run(task.self, f.fake.now_ns + 999 * WEIR__NS_PER_MS);
        assert_int_equal(weir_store_read(f.store, &range, read_value, found, NULL, NULL), WEIR_OK);
        assert_memory_equal(found, values, sizeof values);
        assert_int_equal(weir_store_snapshot(f.store), WEIR_OK);
        f.fake.now_ns += 999 * WEIR__NS_PER_MS;
        if (round == 0)
            weir_store_destroy(f.store);
    }
    weir_task const task = weir_store_task(f.store);
    (void)task.run(task.self, f.fake.now_ns + WEIR__NS_PER_MS);
    assert_int_equal(f.kv.keep_alive(f.kv.self, 5, NULL, NULL), WEIR_ENOTFOUND);
    weir_store_destroy(f.store);
    assert_int_equal(open_store(NULL), WEIR_OK);
    assert_int_equal(f.kv.keep_alive(f.kv.self, 5, NULL, NULL), WEIR_ENOTFOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_is_there_after_a_restart),
        TEST(a_folder_has_one_opener),
        TEST(snapshots_let_old_segments_go),
        TEST(no_crash_loses_what_was_acknowledged),
        TEST(whatever_fails_acknowledges_nothing_and_loses_nothing),
        TEST(after_a_failed_sync_it_is_read_only),
        TEST(a_flipped_bit_is_never_taken_for_the_end),
        TEST(a_lost_sector_is_damage_unless_it_may_be_the_crash),
        TEST(a_log_that_is_cut_anywhere_in_its_last_records_gives_a_prefix),
        TEST(a_missing_or_swapped_file_is_damage),
        TEST(a_damaged_snapshot_is_not_used),
        TEST(leases_begin_anew_with_their_whole_time),
    };
    return cmocka_run_group_tests_name("store faults", tests, NULL, NULL);
}

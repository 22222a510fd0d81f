/* The log alone: its bytes, what it takes for a crash and what for damage, and what a process that
 * was killed leaves to the next one. */
#include "base/crc32c.h"
#include "store/format.h"
#include "support/log_fixture.h"

/* ---- Bytes ---- */

static void its_bytes_are_as_documented(void **state)
{
    (void)state;
    static const unsigned char expected[] = {
        'w',  'e',  'i',  'r',  'l',  'o',  'g',  '1',
        0,    0,    0,    0,    0,    0,    0,    0, /* Revision. */
        1,    0,    0,    0,    0,    0,    0,    0,
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* Salt. */
        0,    0,    0,    0,                            /* Chain; then the check. */
    };
    static const unsigned char record[] = {
        5, 0, 0, 0, /* Then the sum. */
    };
    static const unsigned char rest[] = {
        0x34, 0x12, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, /* Revision, synced. */
        0,    0,    0, 0,                                      /* Blank; then the check. */
    };
    static const unsigned char payload[] = {'h', 'e', 'l', 'l', 'o', 0, 0, 0};
    static const unsigned char place[16] = {40,   0,    0,    0,    0,    0,    0,    0,
                                            0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(weir__log_append(f.log, 0x1234, "hello", 5), WEIR_OK);
    assert_int_equal(weir__log_flush(f.log, true), WEIR_OK);
    const fake_bytes *const file = fake_files_last(&f.disk, "log-0000000000000001");
    assert_int_equal(file->size, 40 + 32 + 8);
    assert_memory_equal(file->data, expected, sizeof expected);
    assert_memory_equal(file->data + 40, record, sizeof record);
    assert_memory_equal(file->data + 48, rest, sizeof rest);
    assert_memory_equal(file->data + 72, payload, sizeof payload);
    uint32_t const sums[3] = {weir__crc32c(0, file->data, 36), /* Of revision and payload. */
                              weir__crc32c(weir__crc32c(0, rest, 8), payload, 5),
                              weir__crc32c(weir__crc32c(0, place, sizeof place), file->data + 40,
                                           28)};
    static const size_t places[3] = {36, 44, 68};
    for (size_t i = 0; i < 3; i++)
        for (unsigned byte = 0; byte < 4; byte++)
            assert_int_equal(file->data[places[i] + byte], sums[i] >> (8 * byte) & 0xff);
}

static void records_come_back_in_order_across_segments(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    for (uint64_t revision = 1; revision <= 50; revision++)
        assert_int_equal(add_safely(revision, 400 + revision), WEIR_OK);
    assert_true(weir__log_bytes(f.log) > 20000);
    assert_int_equal(open_log(), WEIR_OK);
    expect_records(1, 50);
    assert_non_null(fake_find(f.disk.now, "log-0000000000000005"));
    assert_int_equal(add_safely(51, 1), WEIR_OK);
    assert_int_equal(open_log(), WEIR_OK);
    expect_records(1, 51);
}

static void another_format_is_refused(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 1), WEIR_OK);
    fake_bytes *const file = fake_files_last(&f.disk, "log-");
    file->data[7] = '2';
    uint32_t const sum = weir__crc32c(0, file->data, 36);
    for (unsigned byte = 0; byte < 4; byte++)
        file->data[36 + byte] = (unsigned char)(sum >> (8 * byte));
    assert_int_equal(open_log(), WEIR_ECORRUPT);
    assert_string_equal(f.error.file, "log-0000000000000001");
    assert_int_equal(f.error.offset, 0);
}

static void a_record_that_makes_no_sense_is_told_with_its_place(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 1), WEIR_OK);
    f.refuse = WEIR_ECORRUPT;
    assert_int_equal(open_log(), WEIR_ECORRUPT);
    assert_string_equal(f.error.file, "log-0000000000000001");
    assert_int_equal(f.error.offset, 40);
    f.refuse = WEIR_ENOMEM;
    assert_int_equal(open_log(), WEIR_ENOMEM);
    f.refuse = WEIR_OK;
    assert_int_equal(open_log(), WEIR_OK);
    expect_records(1, 1);
}

static void nothing_is_no_record(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(weir__log_append(f.log, 1, "", 0), WEIR_EINVAL);
    assert_int_equal(add_safely(1, 1), WEIR_OK);
    assert_int_equal(open_log(), WEIR_OK);
    expect_records(1, 1);
}

/* ---- A crash, or damage ---- */

/* 2,000 bytes that are zero but for the first and the last: whole sectors of it are. */
static void write_blank_record(void)
{
    unsigned char data[2000] = {2, 7};
    data[1999] = 7;
    f.segment_bytes = 65536;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 100), WEIR_OK);
    assert_int_equal(weir__log_append(f.log, 2, data, sizeof data), WEIR_OK);
    assert_int_equal(weir__log_flush(f.log, true), WEIR_OK);
}

static void a_flipped_bit_beside_sectors_of_zeros_is_damage(void **state)
{
    (void)state;
    write_blank_record();
    size_t const size = fake_files_last(&f.disk, "log-")->size;
    assert_int_equal(size, 40 + 32 + 104 + 32 + 2000);
    for (size_t bit = 320; bit < size * 8; bit++) {
        unsigned char *const byte = &fake_files_last(&f.disk, "log-")->data[bit / 8];
        *byte ^= (unsigned char)(1U << bit % 8);
        assert_int_equal(open_log(), WEIR_ECORRUPT);
        *byte ^= (unsigned char)(1U << bit % 8);
    }
}

static void a_missing_sector_is_told_from_one_of_zeros(void **state)
{
    (void)state;
    static const unsigned expected[] = {1, 2, 2, 2, 1}; /* Records, with that sector zero. */
    for (size_t sector = 0; sector < 5; sector++) {
        fake_files lost;
        write_blank_record();
        fake_bytes *const file = fake_files_last(&f.disk, "log-");
        size_t const from = sector == 0 ? 176 : sector * 512; /* The second record's share. */
        size_t const to = sector == 4 ? file->size : (sector + 1) * 512;
        memset(file->data + from, 0, to - from);
        assert_int_equal(open_log(), WEIR_OK);
        expect_records(1, expected[sector]);
        fake_files_copy(&f.disk, &lost);
        assert_int_equal(open_log(), WEIR_OK);
        expect_records(1, expected[sector]);
        assert_true(fake_files_equal(&f.disk, &lost));
        fake_files_free(&lost);
        assert_int_equal(teardown(NULL), 0);
        setup(NULL);
    }
}

/* Two flushes that share a sector, and a crash that kept only the first of them. */
static void unsynced_flushes_are_cut_off_as_they_were_lost(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        f.segment_bytes = 65536;
        assert_int_equal(open_log(), WEIR_OK);
        assert_int_equal(add_safely(1, 40), WEIR_OK);
        for (uint64_t revision = 2; revision < 20; revision++) {
            assert_int_equal(add(revision, 30 + 97 * revision % 700), WEIR_OK);
            assert_int_equal(weir__log_flush(f.log, false), WEIR_OK);
        }
        f.seed += round;
        crash(by_chance);
        assert_int_equal(open_log(), WEIR_OK);
        assert_in_range(f.count, 1, 19);
        expect_records(1, f.count);
        uint64_t const next = f.count + 1;
        assert_int_equal(add_safely(next, 10), WEIR_OK);
        assert_int_equal(open_log(), WEIR_OK);
        expect_records(1, next);
        uint64_t const seed = f.seed;
        assert_int_equal(teardown(NULL), 0);
        setup(NULL);
        f.seed = seed;
    }
}

static int file_of(const char *name)
{
    const fake_name *const found = fake_find(f.disk.now, name);
    assert_non_null(found);
    return found == NULL ? 0 : found->file;
}

/* Segments but the last were synced before the next one was begun. */
static void nothing_is_cut_off_but_the_end_of_the_last_segment(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    for (uint64_t revision = 1; revision <= 10; revision++)
        assert_int_equal(add_safely(revision, 900), WEIR_OK);
    fake_bytes *const first = &f.disk.files[file_of("log-0000000000000001")].now;
    size_t const size = first->size;
    first->size = size - 1; /* Torn. */
    assert_int_equal(open_log(), WEIR_ECORRUPT);
    assert_string_equal(f.error.file, "log-0000000000000001");
    first->size = size - weir__format_record_size(900); /* A whole record is missing. */
    assert_int_equal(open_log(), WEIR_ECORRUPT);
    assert_string_equal(f.error.file, "log-0000000000000002");
    first->size = size;
    fake_put(first, size, "\0\0\0\0\0\0\0", 8); /* Longer than what was written. */
    assert_int_equal(open_log(), WEIR_ECORRUPT);
    assert_string_equal(f.error.file, "log-0000000000000001");
    assert_int_equal(f.error.offset, size);
}

static void empty_segments_have_their_places_too(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(weir__log_snapshot_begin(f.log, 1), WEIR_OK);
        weir__log_snapshot_abort(f.log);
    }
    int const second = file_of("log-0000000000000002");
    int const third = file_of("log-0000000000000003");
    fake_set(f.disk.now, "log-0000000000000002", third);
    fake_set(f.disk.now, "log-0000000000000003", second);
    assert_int_equal(open_log(), WEIR_ECORRUPT);
    assert_string_equal(f.error.file, "log-0000000000000002");
    fake_set(f.disk.now, "log-0000000000000002", second);
    fake_set(f.disk.now, "log-0000000000000003", third);
    assert_int_equal(open_log(), WEIR_OK);
}

/* ---- Processes that were killed ---- */

/* Until something fails. The last revision that was acknowledged; *begun: the last written. */
static uint64_t live(uint64_t *begun)
{
    uint64_t safe = 0;
    *begun = 0;
    if (open_log() != WEIR_OK)
        return 0;
    for (uint64_t revision = 1; revision <= 24; revision++) {
        bool const sync = revision % 3 != 0;
        *begun = revision;
        if (add(revision, 700) != WEIR_OK || weir__log_flush(f.log, sync) != WEIR_OK)
            break;
        safe = sync ? revision : safe;
        if (revision % 10 != 0)
            continue;
        if (weir__log_snapshot_begin(f.log, revision) != WEIR_OK)
            break;
        safe = revision;
        int result = WEIR_OK;
        for (uint64_t i = 1; i <= revision && result == WEIR_OK; i++)
            result = weir__log_snapshot_add(f.log, &(unsigned char){(unsigned char)i}, 1);
        if (result == WEIR_OK)
            (void)weir__log_snapshot_end(f.log);
        else
            weir__log_snapshot_abort(f.log);
    }
    return safe;
}

/* The next process sees what the system still holds, and hands it on as safe. */
static void what_the_next_process_reads_no_crash_takes_away(void **state)
{
    (void)state;
    bool over = false;
    for (unsigned operation = 1; !over; operation++)
        for (unsigned way = 0; way < 4; way++) {
            uint64_t begun;
            setup(NULL);
            f.seed += operation * 8 + way;
            f.disk.crash_at = operation;
            uint64_t const safe = live(&begun);
            over = f.disk.operations < operation;
            weir__log_close(f.log); /* Killed. */
            f.log = NULL;
            f.disk.crash_at = 0;
            assert_int_equal(open_log(), WEIR_OK);
            expect_prefix(safe, begun);
            unsigned const read = f.count;
            if (way % 2 == 1)
                assert_int_equal(add_safely(read + 1, 700), WEIR_OK);
            crash(way < 2 ? never : by_chance);
            assert_int_equal(open_log(), WEIR_OK);
            expect_prefix(read + way % 2, read + way % 2);
            assert_int_equal(teardown(NULL), 0);
        }
    setup(NULL);
}

/* After a failed sync the system holds the pages for clean: they are read, and never written. */
static void what_a_failed_sync_gave_up_is_written_again(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 700), WEIR_OK);
    assert_int_equal(add(2, 700), WEIR_OK);
    f.disk.fail_at = f.disk.operations + 2;
    f.disk.fail_with = EIO;
    assert_int_equal(weir__log_flush(f.log, true), WEIR_ESYSTEM);
    assert_int_equal(weir__log_error(f.log)->system, EIO);
    assert_int_equal(add(3, 1), WEIR_EREADONLY);
    assert_int_equal(weir__log_flush(f.log, true), WEIR_EREADONLY);
    assert_int_equal(weir__log_snapshot_begin(f.log, 2), WEIR_EREADONLY);
    for (int i = 0; i < FAKE_FILES; i++)
        fake_drop_pending(&f.disk.files[i]);
    assert_int_equal(open_log(), WEIR_OK);
    expect_records(1, 2);
    assert_int_equal(add_safely(3, 700), WEIR_OK);
    crash(never);
    assert_int_equal(open_log(), WEIR_OK);
    expect_records(1, 3);
}

/* ---- Whatever fails ---- */

static void failed_allocations_change_nothing(void **state)
{
    (void)state;
    for (unsigned call = 1;; call++) {
        setup(NULL);
        f.fake.fail_at = call;
        uint64_t begun;
        uint64_t const safe = live(&begun);
        bool const over = f.fake.calls < call;
        if (f.log != NULL)
            assert_int_equal(weir__log_error(f.log)->code, WEIR_OK); /* It could go on. */
        else
            assert_int_equal(f.error.code, WEIR_ENOMEM);
        f.fake.fail_at = 0;
        assert_int_equal(open_log(), WEIR_OK);
        expect_prefix(safe, begun);
        assert_int_equal(teardown(NULL), 0);
        if (over)
            break;
    }
    setup(NULL);
}

static void opening_survives_each_failed_allocation(void **state)
{
    (void)state;
    uint64_t begun;
    assert_int_equal(live(&begun), 23);
    weir__log_close(f.log);
    f.log = NULL;
    for (unsigned call = 1, result = 1; result != 0; call++) {
        f.fake.fail_at = f.fake.calls + call;
        result = open_log() != WEIR_OK;
        assert_true(result == 0 || (f.error.code == WEIR_ENOMEM && f.fake.live == 0));
    }
    expect_prefix(24, 24);
}

static void opening_survives_each_failure(void **state)
{
    (void)state;
    uint64_t begun;
    (void)live(&begun);
    weir__log_close(f.log);
    f.log = NULL;
    unsigned failures = 0;
    for (unsigned operation = 1;; operation++) {
        f.disk.operations = 0;
        f.disk.fail_at = operation;
        f.disk.fail_with = EIO;
        int const result = open_log();
        if (result != WEIR_OK) {
            assert_int_equal(result, WEIR_ESYSTEM);
            assert_int_equal(f.error.code, WEIR_ESYSTEM);
            assert_int_equal(f.error.system, EIO);
            assert_null(f.log);
            failures++;
        }
        f.disk.fail_at = 0;
        assert_int_equal(open_log(), WEIR_OK);
        expect_prefix(24, 24);
        weir__log_close(f.log);
        f.log = NULL;
        if (f.disk.operations > 0 && result == WEIR_OK && operation > 30)
            break;
    }
    assert_true(failures > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(its_bytes_are_as_documented),
        TEST(records_come_back_in_order_across_segments),
        TEST(another_format_is_refused),
        TEST(a_record_that_makes_no_sense_is_told_with_its_place),
        TEST(nothing_is_no_record),
        TEST(a_flipped_bit_beside_sectors_of_zeros_is_damage),
        TEST(a_missing_sector_is_told_from_one_of_zeros),
        TEST(unsynced_flushes_are_cut_off_as_they_were_lost),
        TEST(nothing_is_cut_off_but_the_end_of_the_last_segment),
        TEST(empty_segments_have_their_places_too),
        TEST(what_the_next_process_reads_no_crash_takes_away),
        TEST(what_a_failed_sync_gave_up_is_written_again),
        TEST(failed_allocations_change_nothing),
        TEST(opening_survives_each_failed_allocation),
        TEST(opening_survives_each_failure),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}

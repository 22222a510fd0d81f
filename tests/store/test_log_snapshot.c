/* Snapshots of the log: what they hold, what they let go, and what becomes of damaged ones. */
#include "support/log_fixture.h"

static void a_snapshot_of_nothing_can_be_given_up(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(weir__log_snapshot_begin(f.log, 1), WEIR_OK);
    assert_int_equal(weir__log_snapshot_begin(f.log, 1), WEIR_EBUSY);
    weir__log_snapshot_abort(f.log);
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(f.count, 0);
    assert_int_equal(weir__log_snapshot_revision(f.log), 0);
    assert_null(fake_find(f.disk.now, "temporary-snapshot"));
}

static void a_snapshot_holds_what_was_before_and_the_log_what_came_since(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    for (uint64_t revision = 1; revision <= 10; revision++)
        assert_int_equal(add_safely(revision, 900), WEIR_OK);
    assert_int_equal(weir__log_snapshot_begin(f.log, 10), WEIR_OK);
    assert_int_equal(add_safely(11, 900), WEIR_OK); /* While it is written. */
    for (uint64_t i = 1; i <= 10; i++)
        assert_int_equal(weir__log_snapshot_add(f.log, &(unsigned char){(unsigned char)i}, 1),
                         WEIR_OK);
    assert_int_equal(add_safely(12, 900), WEIR_OK);
    assert_int_equal(weir__log_snapshot_end(f.log), WEIR_OK);
    assert_int_equal(weir__log_snapshot_revision(f.log), 10);
    assert_int_equal(weir__log_snapshot_bytes(f.log), 40 + 11 * 40);
    assert_true(weir__log_bytes(f.log) < 2000);
    assert_null(fake_find(f.disk.now, "log-0000000000000001"));
    assert_int_equal(open_log(), WEIR_OK);
    expect_prefix(12, 12);
    assert_int_equal(f.revisions[9], 10);
    assert_int_equal(f.revisions[11], 12);
    assert_int_equal(weir__log_snapshot_revision(f.log), 10);
}

static void a_damaged_snapshot_is_replaced_by_the_one_before_if_all_since_is_there(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 900), WEIR_OK);
    take_snapshot(1);
    assert_int_equal(add_safely(2, 900), WEIR_OK);
    take_snapshot(2);
    assert_int_equal(add_safely(3, 900), WEIR_OK);
    crash(never); /* Nothing that was to be removed is. */
    fake_files_last(&f.disk, "snapshot-0000000000000002")->data[60] ^= 1;
    assert_int_equal(open_log(), WEIR_OK);
    expect_prefix(3, 3);
    assert_int_equal(f.error.code, WEIR_OK);
    assert_int_equal(weir__log_snapshot_revision(f.log), 1);
}

/* The log goes on, and the next snapshot succeeds. */
static void expect_given_up(void)
{
    f.disk.fail_at = f.fake.fail_at = 0;
    weir__log_snapshot_abort(f.log);
    assert_null(fake_find(f.disk.now, "temporary-snapshot"));
    assert_int_equal(weir__log_error(f.log)->code, WEIR_OK);
    take_snapshot(1);
    assert_int_equal(add_safely(2, 900), WEIR_OK);
    assert_int_equal(open_log(), WEIR_OK);
    expect_prefix(2, 2);
}

static void a_snapshot_that_cannot_be_begun_is_given_up_alone(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 900), WEIR_OK);
    f.disk.fail_at = f.disk.operations + 7; /* Behind the new segment. */
    f.disk.fail_with = ENOSPC;
    assert_int_equal(weir__log_snapshot_begin(f.log, 1), WEIR_ESYSTEM);
    expect_given_up();
}

static void a_snapshot_that_cannot_be_written_is_given_up_alone(void **state)
{
    (void)state;
    static unsigned char big[300 << 10];
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 900), WEIR_OK);
    assert_int_equal(weir__log_snapshot_begin(f.log, 1), WEIR_OK);
    f.disk.fail_at = f.disk.operations + 1;
    f.disk.fail_with = ENOSPC;
    assert_int_equal(weir__log_snapshot_add(f.log, big, sizeof big), WEIR_ESYSTEM);
    expect_given_up();
}

static void a_snapshot_that_cannot_be_ended_is_given_up_alone(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 900), WEIR_OK);
    assert_int_equal(weir__log_snapshot_begin(f.log, 1), WEIR_OK);
    f.fake.fail_at = f.fake.calls + 1;
    assert_int_equal(weir__log_snapshot_end(f.log), WEIR_ENOMEM);
    expect_given_up();
}

static void other_files_are_left_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"log-1", "log-000000000000000g", "log.0000000000000009",
                                        "snapshot-", "README"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        fake_close(&f.disk, fake_open(&f.disk, FAKE_FOLDER, names[i], true));
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 900), WEIR_OK);
    take_snapshot(1);
    assert_int_equal(open_log(), WEIR_OK);
    expect_prefix(1, 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_non_null(fake_find(f.disk.now, names[i]));
}

static void a_segment_that_a_damaged_snapshot_held_is_not_what_is_told_of(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 900), WEIR_OK);
    take_snapshot(1);
    fake_files_last(&f.disk, "snapshot-")->data[60] ^= 1;
    assert_int_equal(open_log(), WEIR_ECORRUPT);
    assert_string_equal(f.error.file, "snapshot-0000000000000001");
    assert_int_equal(f.error.offset, 40);
}

static void a_damaged_snapshot_alone_is_no_empty_folder(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 900), WEIR_OK);
    take_snapshot(1);
    fake_change_name(&f.disk, "log-0000000000000002", "", 0);
    assert_int_equal(open_log(), WEIR_ECORRUPT); /* Its segment is missing. */
    assert_string_equal(f.error.file, "log-0000000000000002");
    fake_files_last(&f.disk, "snapshot-")->data[60] ^= 1;
    assert_int_equal(open_log(), WEIR_ECORRUPT);
    assert_string_equal(f.error.file, "snapshot-0000000000000001");
}

/* One byte at revision 1, and one record before it: as a snapshot of two would end. */
static void a_record_is_not_taken_for_the_last(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 900), WEIR_OK);
    assert_int_equal(weir__log_snapshot_begin(f.log, 1), WEIR_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(weir__log_snapshot_add(f.log, &(char){1}, 1), WEIR_OK);
    assert_int_equal(weir__log_snapshot_end(f.log), WEIR_OK);
    fake_files_last(&f.disk, "snapshot-")->size -= 40;
    assert_int_equal(open_log(), WEIR_ECORRUPT);
    assert_string_equal(f.error.file, "snapshot-0000000000000001");
    fake_files_last(&f.disk, "snapshot-")->size = 40; /* None at all. */
    assert_int_equal(open_log(), WEIR_ECORRUPT);
}

static void segments_that_a_snapshot_made_superfluous_do_not_stand_in_for_its_own(void **state)
{
    (void)state;
    assert_int_equal(open_log(), WEIR_OK);
    assert_int_equal(add_safely(1, 900), WEIR_OK);
    take_snapshot(1);
    fake_change_name(&f.disk, "log-0000000000000002", "", 0);
    fake_close(&f.disk, fake_open(&f.disk, FAKE_FOLDER, "log-0000000000000001", true));
    assert_int_equal(open_log(), WEIR_ECORRUPT);
    assert_string_equal(f.error.file, "log-0000000000000002");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_snapshot_of_nothing_can_be_given_up),
        TEST(a_snapshot_holds_what_was_before_and_the_log_what_came_since),
        TEST(a_damaged_snapshot_is_replaced_by_the_one_before_if_all_since_is_there),
        TEST(a_snapshot_that_cannot_be_begun_is_given_up_alone),
        TEST(a_snapshot_that_cannot_be_written_is_given_up_alone),
        TEST(a_snapshot_that_cannot_be_ended_is_given_up_alone),
        TEST(other_files_are_left_alone),
        TEST(a_segment_that_a_damaged_snapshot_held_is_not_what_is_told_of),
        TEST(a_damaged_snapshot_alone_is_no_empty_folder),
        TEST(a_record_is_not_taken_for_the_last),
        TEST(segments_that_a_snapshot_made_superfluous_do_not_stand_in_for_its_own),
    };
    return cmocka_run_group_tests_name("log snapshots", tests, NULL, NULL);
}

/* What stands between the log and the system's files. */
#include "store/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- Interrupted, and cut short ---- */

typedef struct script {
    int steps[4]; /* Bytes that are done; or a negative errno. */
    unsigned at;
    char bytes[8];
} script;

static ssize_t scripted(script *self, size_t size)
{
    int const step = self->steps[self->at++];
    if (step >= 0)
        return (size_t)step < size ? step : (ssize_t)size;
    errno = -step;
    return -1;
}

static ssize_t scripted_read(void *user, int file, void *data, size_t size, uint64_t offset)
{
    script *const self = user;
    ssize_t const done = scripted(self, size);
    assert_int_equal(file, 5);
    if (done > 0)
        memcpy(data, self->bytes + offset, (size_t)done);
    return done;
}

static ssize_t scripted_write(void *user, int file, const void *data, size_t size, uint64_t offset)
{
    script *const self = user;
    ssize_t const done = scripted(self, size);
    assert_int_equal(file, 5);
    if (done > 0)
        memcpy(self->bytes + offset, data, (size_t)done);
    return done;
}

static int scripted_sync(void *user, int file)
{
    (void)file;
    return scripted(user, 0) == 0 ? 0 : -1;
}

static weir__files files_of(script *self)
{
    return (weir__files){.read = scripted_read,
                         .write = scripted_write,
                         .sync = scripted_sync,
                         .user = self};
}

static void what_is_cut_short_goes_on_where_it_stopped(void **state)
{
    (void)state;
    char data[8] = "";
    script reading = {.steps = {3, -EINTR, 1, 9}, .bytes = "abcdefg"};
    weir__files files = files_of(&reading);
    assert_int_equal(weir__files_read(&files, 5, data, 6, 1), 0);
    assert_memory_equal(data, "bcdefg", 6);
    script writing = {.steps = {-EINTR, 2, 1, 9}};
    files = files_of(&writing);
    assert_int_equal(weir__files_write(&files, 5, "bcdefg", 6, 1), 0);
    assert_memory_equal(writing.bytes, "\0bcdefg", 7);
    script syncing = {.steps = {-EINTR, -EINTR, 0}};
    files = files_of(&syncing);
    assert_int_equal(weir__files_sync(&files, 5), 0);
    assert_int_equal(syncing.at, 3);
}

static void what_fails_says_why(void **state)
{
    (void)state;
    char data[8];
    script failing = {.steps = {1, -EIO, 1, 0}};
    weir__files const files = files_of(&failing);
    assert_int_equal(weir__files_read(&files, 5, data, 6, 0), -1);
    assert_int_equal(errno, EIO);
    errno = 0;
    assert_int_equal(weir__files_read(&files, 5, data, 6, 0), -1); /* The file ends. */
    assert_int_equal(errno, EIO);
    failing = (script){.steps = {-ENOSPC, 0, -EIO}};
    assert_int_equal(weir__files_write(&files, 5, "", 1, 0), -1);
    assert_int_equal(errno, ENOSPC);
    errno = 0;
    assert_int_equal(weir__files_write(&files, 5, "", 1, 0), -1);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(weir__files_sync(&files, 5), -1);
    assert_int_equal(errno, EIO);
}

/* ---- The system's ---- */

typedef struct fixture {
    char above[32], path[48];
} fixture;

static fixture f;
static const weir__files *const posix = &weir__files_posix;

static int setup(void **state)
{
    (void)state;
    f = (fixture){.above = "/tmp/weir-files-XXXXXX"};
    if (mkdtemp(f.above) == NULL)
        return -1;
    (void)snprintf(f.path, sizeof f.path, "%s/store", f.above);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)rmdir(f.path);
    return rmdir(f.above);
}

static void a_folder_is_made_and_locked(void **state)
{
    (void)state;
    int const folder = posix->open_folder(NULL, f.path);
    assert_true(folder >= 0);
    assert_int_equal(posix->open_folder(NULL, f.path), -1); /* By this process, too. */
    assert_true(errno == EWOULDBLOCK);
    assert_int_equal(posix->sync(NULL, folder), 0);
    posix->close(NULL, folder);
    int const again = posix->open_folder(NULL, f.path);
    assert_true(again >= 0);
    posix->close(NULL, again);
}

static void a_folder_that_cannot_be_is_an_error(void **state)
{
    (void)state;
    char below[64];
    (void)snprintf(below, sizeof below, "%s/store/deeper", f.above);
    assert_int_equal(posix->open_folder(NULL, below), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(posix->open_folder(NULL, "/dev/null"), -1);
    assert_int_equal(errno, ENOTDIR);
}

static void count_names(const char *name, void *to)
{
    unsigned *const count = to;
    *count += strcmp(name, "one") == 0 || strcmp(name, "two") == 0;
}

static void files_are_made_written_named_and_removed(void **state)
{
    (void)state;
    char data[6] = "";
    unsigned names = 0;
    int const folder = posix->open_folder(NULL, f.path);
    assert_int_equal(posix->open(NULL, folder, "one", false), -1);
    assert_int_equal(errno, ENOENT);
    int const file = posix->open(NULL, folder, "one", true);
    assert_true(file >= 0);
    assert_int_equal(posix->open(NULL, folder, "one", true), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(weir__files_write(posix, file, "hello", 5, 3), 0);
    assert_int_equal(posix->size(NULL, file), 8);
    assert_int_equal(weir__files_read(posix, file, data, 5, 3), 0);
    assert_string_equal(data, "hello");
    assert_int_equal(posix->truncate(NULL, file, 4), 0);
    assert_int_equal(posix->size(NULL, file), 4);
    assert_int_equal(weir__files_read(posix, file, data, 5, 3), -1);
    assert_int_equal(weir__files_sync(posix, file), 0);
    posix->close(NULL, file);
    assert_int_equal(posix->rename(NULL, folder, "one", "two"), 0);
    assert_int_equal(posix->list(NULL, folder, count_names, &names), 0);
    assert_int_equal(names, 1);
    assert_int_equal(posix->remove(NULL, folder, "one"), -1);
    assert_int_equal(posix->remove(NULL, folder, "two"), 0);
    posix->close(NULL, folder);
}

static void no_file_is_an_error(void **state)
{
    (void)state;
    unsigned names = 0;
    assert_int_equal(posix->size(NULL, -1), -1);
    assert_int_equal(posix->sync(NULL, -1), -1);
    assert_int_equal(posix->list(NULL, -1, count_names, &names), -1);
    assert_int_equal(errno, EBADF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cut_short_goes_on_where_it_stopped),
        cmocka_unit_test(what_fails_says_why),
        TEST(a_folder_is_made_and_locked),
        TEST(a_folder_that_cannot_be_is_an_error),
        TEST(files_are_made_written_named_and_removed),
        TEST(no_file_is_an_error),
    };
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}

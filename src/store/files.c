#include "store/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Whatever is interrupted or cut short ---- */

int weir__files_read(const weir__files *files, int file, void *data, size_t size, uint64_t offset)
{
    unsigned char *at = data;
    while (size > 0) {
        ssize_t const done = files->read(files->user, file, at, size, offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done == 0)
            errno = EIO;
        if (done <= 0)
            return -1;
        at += done;
        offset += (uint64_t)done;
        size -= (size_t)done;
    }
    return 0;
}

int weir__files_write(const weir__files *files, int file, const void *data, size_t size,
                      uint64_t offset)
{
    const unsigned char *at = data;
    while (size > 0) {
        ssize_t const done = files->write(files->user, file, at, size, offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done == 0)
            errno = ENOSPC;
        if (done <= 0)
            return -1;
        at += done;
        offset += (uint64_t)done;
        size -= (size_t)done;
    }
    return 0;
}

int weir__files_sync(const weir__files *files, int file)
{
    int result = 0;
    do
        result = files->sync(files->user, file);
    while (result != 0 && errno == EINTR);
    return result;
}

/* ---- POSIX ---- */

/* Its name is in the folder above, which is not on disk by itself. */
static int files_make_folder(const char *path)
{
    if (mkdir(path, 0700) != 0)
        return errno == EEXIST ? 0 : -1;
    int const folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int const above = folder < 0 ? -1 : openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int const result = above < 0 ? -1 : fsync(above);
    int const reason = errno;
    if (above >= 0)
        (void)close(above);
    if (folder >= 0)
        (void)close(folder);
    errno = reason;
    return result;
}

static int files_open_folder(void *user, const char *path)
{
    (void)user;
    if (files_make_folder(path) != 0)
        return -1;
    int const folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || flock(folder, LOCK_EX | LOCK_NB) == 0)
        return folder;
    int const reason = errno;
    (void)close(folder);
    errno = reason;
    return -1;
}

static int files_open(void *user, int folder, const char *name, bool create)
{
    (void)user;
    return openat(folder, name, O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), 0600);
}

static ssize_t files_read(void *user, int file, void *data, size_t size, uint64_t offset)
{
    (void)user;
    return pread(file, data, size, (off_t)offset);
}

static ssize_t files_write(void *user, int file, const void *data, size_t size, uint64_t offset)
{
    (void)user;
    return pwrite(file, data, size, (off_t)offset);
}

static int64_t files_size(void *user, int file)
{
    struct stat about;
    (void)user;
    return fstat(file, &about) == 0 ? (int64_t)about.st_size : -1;
}

static int files_truncate(void *user, int file, uint64_t size)
{
    (void)user;
    return ftruncate(file, (off_t)size);
}

/* macOS has no fdatasync to speak of, and its fsync does not empty the drive's cache. */
static int files_sync(void *user, int file)
{
    (void)user;
#if defined(F_FULLFSYNC)
    return fcntl(file, F_FULLFSYNC) == -1 ? fsync(file) : 0;
#else
    struct stat about;
    return fstat(file, &about) == 0 && S_ISDIR(about.st_mode) ? fsync(file) : fdatasync(file);
#endif
}

static int files_rename(void *user, int folder, const char *from, const char *to)
{
    (void)user;
    return renameat(folder, from, folder, to);
}

static int files_remove(void *user, int folder, const char *name)
{
    (void)user;
    return unlinkat(folder, name, 0);
}

static int files_list(void *user, int folder, void (*visit)(const char *name, void *to), void *to)
{
    (void)user;
    int const copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *const names = copy < 0 ? NULL : fdopendir(copy);
    if (names == NULL) {
        if (copy >= 0)
            (void)close(copy);
        return -1;
    }
    struct dirent *entry;
    /* The stream is ours alone: NOLINTNEXTLINE(concurrency-mt-unsafe) */
    for (errno = 0; (entry = readdir(names)) != NULL; errno = 0)
        visit(entry->d_name, to);
    int const reason = errno;
    (void)closedir(names);
    errno = reason;
    return reason == 0 ? 0 : -1;
}

static void files_close(void *user, int file)
{
    (void)user;
    (void)close(file);
}

const weir__files weir__files_posix = {.open_folder = files_open_folder,
                                       .open = files_open,
                                       .read = files_read,
                                       .write = files_write,
                                       .size = files_size,
                                       .truncate = files_truncate,
                                       .sync = files_sync,
                                       .rename = files_rename,
                                       .remove = files_remove,
                                       .list = files_list,
                                       .close = files_close,
                                       .user = NULL};

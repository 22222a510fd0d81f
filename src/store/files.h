/*
 * What the log asks of a file system, as a table, so that tests can put one under it that fails and
 * crashes when told. Every function but the last two returns -1 with errno if it fails.
 */
#ifndef WEIR_SRC_STORE_FILES_H
#define WEIR_SRC_STORE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct weir__files {
    /* Made if it is missing, and locked: EWOULDBLOCK if another has it open. */
    int (*open_folder)(void *user, const char *path);
    /* To read and write; create: it must not exist. */
    int (*open)(void *user, int folder, const char *name, bool create);
    ssize_t (*read)(void *user, int file, void *data, size_t size, uint64_t offset);
    ssize_t (*write)(void *user, int file, const void *data, size_t size, uint64_t offset);
    int64_t (*size)(void *user, int file);
    int (*truncate)(void *user, int file, uint64_t size);
    int (*sync)(void *user,
                int file); /* Its bytes, and as many as it has; of a folder, its names. */
    int (*rename)(void *user, int folder, const char *from, const char *to);
    int (*remove)(void *user, int folder, const char *name);
    int (*list)(void *user, int folder, void (*visit)(const char *name, void *to), void *to);
    void (*close)(void *user, int file); /* Or folder: then the lock goes. */
    void *user;
} weir__files;

extern const weir__files weir__files_posix;

/* All of it, whatever is interrupted or cut short. 0, or -1 with errno: EIO at the end of file. */
int weir__files_read(const weir__files *files, int file, void *data, size_t size, uint64_t offset);
int weir__files_write(const weir__files *files, int file, const void *data, size_t size,
                      uint64_t offset);
int weir__files_sync(const weir__files *files, int file); /* 0, or -1 with errno. */

#endif

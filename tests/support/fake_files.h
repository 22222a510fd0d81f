/*
 * A file system in memory that forgets what was not synced. Between syncs it keeps every sector
 * that was written, and every name that was changed; fake_files_crash() then decides for each one
 * whether it had reached the disk. It can also fail the n-th operation, or all from the n-th on.
 */
#ifndef WEIR_TEST_FAKE_FILES_H
#define WEIR_TEST_FAKE_FILES_H

#include "store/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_FILES   64
#define FAKE_HANDLES 16
#define FAKE_SECTOR  512
#define FAKE_FOLDER  1000 /* The handle of the folder. */

typedef struct fake_bytes {
    unsigned char *data;
    size_t size;
} fake_bytes;

/* A piece of one sector, or (data NULL) a truncation to `offset`. */
typedef struct fake_write {
    struct fake_write *next;
    uint64_t offset;
    fake_bytes bytes;
} fake_write;

typedef struct fake_file {
    bool used;
    fake_bytes now, disk;
    fake_write *pending, **pending_end; /* In order. */
} fake_file;

typedef struct fake_name {
    char name[32]; /* Empty: free. */
    int file;
} fake_name;

/* From one name to another, or (to empty) removed, or (from empty) created. */
typedef struct fake_change {
    char from[32], to[32];
    int file;
} fake_change;

typedef struct fake_files {
    fake_file files[FAKE_FILES];
    fake_name now[FAKE_FILES], disk[FAKE_FILES];
    fake_change changes[256];
    unsigned change_count;
    int handles[FAKE_HANDLES]; /* File, or -1. */
    bool locked;
    unsigned operations;
    unsigned fail_at;  /* The n-th fails with fail_with; 0 = none. */
    int fail_with;     /* errno; 0: a write is cut short instead. */
    unsigned crash_at; /* From the n-th on everything fails; 0 = never. */
} fake_files;

/* ---- Bytes and names ---- */

static inline void fake_put(fake_bytes *bytes, uint64_t offset, const void *data, size_t size)
{
    if (offset + size > bytes->size) {
        bytes->data = realloc(bytes->data, (size_t)offset + size);
        memset(bytes->data + bytes->size, 0, (size_t)offset + size - bytes->size);
        bytes->size = (size_t)offset + size;
    }
    memcpy(bytes->data + offset, data, size);
}

static inline void fake_cut(fake_bytes *bytes, uint64_t size)
{
    if (size < bytes->size)
        bytes->size = (size_t)size;
}

static inline void fake_copy(fake_bytes *to, const fake_bytes *from)
{
    free(to->data);
    *to = (fake_bytes){.data = malloc(from->size + 1), .size = from->size};
    if (from->size > 0)
        memcpy(to->data, from->data, from->size);
}

static inline fake_name *fake_find(fake_name *names, const char *name)
{
    for (int i = 0; i < FAKE_FILES; i++)
        if (strcmp(names[i].name, name) == 0)
            return &names[i];
    return NULL;
}

static inline void fake_set(fake_name *names, const char *name, int file)
{
    fake_name *entry = fake_find(names, name);
    if (entry == NULL)
        entry = fake_find(names, "");
    if (entry == NULL)
        abort(); /* More files than there is room for. */
    (void)snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->file = file;
}

static inline void fake_apply(fake_name *names, const fake_change *change)
{
    fake_name *const from = change->from[0] != 0 ? fake_find(names, change->from) : NULL;
    if (from != NULL)
        from->name[0] = 0;
    if (change->to[0] != 0)
        fake_set(names, change->to, change->file);
}

static inline void fake_change_name(fake_files *self, const char *from, const char *to, int file)
{
    fake_change *const change = &self->changes[self->change_count++];
    (void)snprintf(change->from, sizeof change->from, "%s", from);
    (void)snprintf(change->to, sizeof change->to, "%s", to);
    change->file = file;
    fake_apply(self->now, change);
}

/* ---- The hooks ---- */

static inline bool fake_fails(fake_files *self)
{
    self->operations++;
    if (self->crash_at != 0 && self->operations >= self->crash_at)
        errno = EIO;
    else if (self->operations == self->fail_at && self->fail_with != 0)
        errno = self->fail_with;
    else
        return false;
    return true;
}

static inline int fake_open_folder(void *user, const char *path)
{
    fake_files *const self = user;
    (void)path;
    if (self->locked) {
        errno = EWOULDBLOCK;
        return -1;
    }
    if (fake_fails(self))
        return -1;
    self->locked = true;
    return FAKE_FOLDER;
}

static inline int fake_open(void *user, int folder, const char *name, bool create)
{
    fake_files *const self = user;
    const fake_name *const found = fake_find(self->now, name);
    (void)folder;
    if (fake_fails(self))
        return -1;
    errno = create ? EEXIST : ENOENT;
    if ((found != NULL) == create)
        return -1;
    int file = found != NULL ? found->file : 0;
    while (create && self->files[file].used)
        file++;
    if (create) {
        free(self->files[file].now.data);
        free(self->files[file].disk.data);
        self->files[file] = (fake_file){.used = true};
        self->files[file].pending_end = &self->files[file].pending;
        fake_change_name(self, "", name, file);
    }
    int handle = 0;
    while (self->handles[handle] >= 0)
        handle++;
    self->handles[handle] = file;
    return handle;
}

static inline fake_file *fake_file_of(fake_files *self, int handle)
{
    return &self->files[self->handles[handle]];
}

static inline ssize_t fake_read(void *user, int handle, void *data, size_t size, uint64_t offset)
{
    fake_files *const self = user;
    const fake_bytes *const bytes = &fake_file_of(self, handle)->now;
    if (fake_fails(self))
        return -1;
    if (offset >= bytes->size)
        return 0;
    size_t const left = bytes->size - (size_t)offset;
    size_t const done = size < left ? size : left;
    memcpy(data, bytes->data + offset, done);
    return (ssize_t)done;
}

static inline void fake_note(fake_file *file, uint64_t offset, const void *data, size_t size)
{
    fake_write *const write = malloc(sizeof *write);
    *write = (fake_write){.offset = offset, .bytes = {.size = size}};
    if (data != NULL) {
        write->bytes.data = malloc(size);
        memcpy(write->bytes.data, data, size);
    }
    *file->pending_end = write;
    file->pending_end = &write->next;
}

static inline ssize_t fake_write_at(void *user, int handle, const void *data, size_t size,
                                    uint64_t offset)
{
    fake_files *const self = user;
    fake_file *const file = fake_file_of(self, handle);
    if (fake_fails(self))
        return -1;
    if (self->operations == self->fail_at)
        size = (size + 1) / 2;
    fake_put(&file->now, offset, data, size);
    for (size_t at = 0; at < size;) {
        size_t const room = FAKE_SECTOR - (size_t)((offset + at) % FAKE_SECTOR);
        size_t const piece = size - at < room ? size - at : room;
        fake_note(file, offset + at, (const unsigned char *)data + at, piece);
        at += piece;
    }
    return (ssize_t)size;
}

static inline int64_t fake_size(void *user, int handle)
{
    fake_files *const self = user;
    return fake_fails(self) ? -1 : (int64_t)fake_file_of(self, handle)->now.size;
}

static inline int fake_truncate(void *user, int handle, uint64_t size)
{
    fake_files *const self = user;
    if (fake_fails(self))
        return -1;
    fake_cut(&fake_file_of(self, handle)->now, size);
    fake_note(fake_file_of(self, handle), size, NULL, 0);
    return 0;
}

/* What was written, as far as it reached the disk. */
static inline void fake_write_back(const fake_file *file, bool (*reached)(void *user), void *user,
                                   fake_bytes *disk)
{
    for (const fake_write *write = file->pending; write != NULL; write = write->next)
        if (!reached(user))
            continue;
        else if (write->bytes.data == NULL)
            fake_cut(disk, write->offset);
        else
            fake_put(disk, write->offset, write->bytes.data, write->bytes.size);
}

static inline bool fake_all(void *user)
{
    (void)user;
    return true;
}

static inline void fake_drop_pending(fake_file *file)
{
    while (file->pending != NULL) {
        fake_write *const write = file->pending;
        file->pending = write->next;
        free(write->bytes.data);
        free(write);
    }
    file->pending_end = &file->pending;
}

static inline int fake_sync(void *user, int handle)
{
    fake_files *const self = user;
    if (fake_fails(self))
        return -1;
    if (handle == FAKE_FOLDER) {
        memcpy(self->disk, self->now, sizeof self->disk);
        self->change_count = 0;
    } else {
        fake_write_back(fake_file_of(self, handle), fake_all, NULL,
                        &fake_file_of(self, handle)->disk);
        fake_drop_pending(fake_file_of(self, handle));
    }
    return 0;
}

static inline int fake_rename(void *user, int folder, const char *from, const char *to)
{
    fake_files *const self = user;
    (void)folder;
    if (fake_fails(self))
        return -1;
    const fake_name *const found = fake_find(self->now, from);
    errno = ENOENT;
    if (found == NULL)
        return -1;
    fake_change_name(self, from, to, found->file);
    return 0;
}

static inline int fake_remove(void *user, int folder, const char *name)
{
    fake_files *const self = user;
    (void)folder;
    if (fake_fails(self))
        return -1;
    errno = ENOENT;
    if (fake_find(self->now, name) == NULL)
        return -1;
    fake_change_name(self, name, "", 0);
    return 0;
}

static inline int fake_list(void *user, int folder, void (*visit)(const char *name, void *to),
                            void *to)
{
    fake_files *const self = user;
    (void)folder;
    if (fake_fails(self))
        return -1;
    for (int i = 0; i < FAKE_FILES; i++)
        if (self->now[i].name[0] != 0)
            visit(self->now[i].name, to);
    return 0;
}

static inline void fake_close(void *user, int handle)
{
    fake_files *const self = user;
    if (handle == FAKE_FOLDER)
        self->locked = false;
    else
        self->handles[handle] = -1;
}

static inline weir__files fake_files_hooks(fake_files *self)
{
    return (weir__files){fake_open_folder, fake_open,     fake_read,  fake_write_at,
                         fake_size,        fake_truncate, fake_sync,  fake_rename,
                         fake_remove,      fake_list,     fake_close, self};
}

/* ---- Life and crashes ---- */

static inline void fake_files_init(fake_files *self)
{
    *self = (fake_files){.locked = false};
    for (int i = 0; i < FAKE_HANDLES; i++)
        self->handles[i] = -1;
}

static inline void fake_files_free(fake_files *self)
{
    for (int i = 0; i < FAKE_FILES; i++) {
        fake_drop_pending(&self->files[i]);
        free(self->files[i].now.data);
        free(self->files[i].disk.data);
    }
    fake_files_init(self);
}

/* What a crash now would leave on disk; `reached` decides for each unsynced piece. */
static inline void fake_files_crash(const fake_files *self, fake_files *after,
                                    bool (*reached)(void *user), void *user)
{
    fake_files_init(after);
    memcpy(after->now, self->disk, sizeof after->now);
    for (unsigned i = 0; i < self->change_count; i++)
        if (reached(user))
            fake_apply(after->now, &self->changes[i]);
    memcpy(after->disk, after->now, sizeof after->disk);
    for (int i = 0; i < FAKE_FILES; i++) {
        fake_file *const file = &after->files[i];
        *file = (fake_file){.used = self->files[i].used};
        file->pending_end = &file->pending;
        fake_copy(&file->now, &self->files[i].disk);
        fake_write_back(&self->files[i], reached, user, &file->now);
        fake_copy(&file->disk, &file->now);
    }
}

/* The same as it is now, all of it on disk. */
static inline void fake_files_copy(const fake_files *self, fake_files *copy)
{
    fake_files_crash(self, copy, fake_all, NULL);
}

static inline bool fake_files_equal(fake_files *a, fake_files *b)
{
    for (int i = 0; i < FAKE_FILES; i++) {
        const char *const name = a->now[i].name;
        const fake_name *const other = name[0] == 0 ? NULL : fake_find(b->now, name);
        if (name[0] == 0)
            continue;
        if (other == NULL)
            return false;
        const fake_bytes *const x = &a->files[a->now[i].file].now;
        const fake_bytes *const y = &b->files[other->file].now;
        if (x->size != y->size || (x->size > 0 && memcmp(x->data, y->data, x->size) != 0))
            return false;
    }
    return true;
}

/* The file of the highest name of that kind, e.g. "log-", of which there must be one. */
static inline fake_bytes *fake_files_last(fake_files *self, const char *kind)
{
    const fake_name *last = NULL;
    for (int i = 0; i < FAKE_FILES; i++)
        if (strncmp(self->now[i].name, kind, strlen(kind)) == 0 &&
            (last == NULL || strcmp(self->now[i].name, last->name) > 0))
            last = &self->now[i];
    if (last == NULL)
        abort();
    return &self->files[last->file].now;
}

#endif

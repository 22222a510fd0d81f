#include "store/log_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOG_SNAPSHOT_WRITE (256 << 10) /* Gathered, before it is written. */

int weir__log_complain(weir_store_error *error, int code, const char *file, uint64_t offset,
                       const char *message)
{
    if (code == WEIR_OK)
        return WEIR_OK;
    *error = (weir_store_error){.code = code,
                                .system = code == WEIR_ESYSTEM ? errno : 0,
                                .offset = offset};
    (void)snprintf(error->file, sizeof error->file, "%s", file);
    (void)snprintf(error->message, sizeof error->message, "%s", message);
    return code;
}

int weir__log_fail(weir__log *log, const char *file, uint64_t offset, const char *message)
{
    log->failed = true;
    return weir__log_complain(&log->error, WEIR_ESYSTEM, file, offset, message);
}

/* ---- Opening ---- */

static int log_open_folder(weir__log *log, const char *path, weir_store_error *error)
{
    log->folder = log->files->open_folder(log->files->user, path);
    if (log->folder >= 0)
        return WEIR_OK;
    if (errno == EWOULDBLOCK || errno == EAGAIN)
        return weir__log_complain(error, WEIR_EBUSY, "", 0, "the folder is open already");
    return weir__log_complain(error, WEIR_ESYSTEM, "", 0, "the folder cannot be opened");
}

int weir__log_open(weir__log **out, const weir__log_options *options, weir__log_replay_fn replay,
                   void *user, weir_store_error *error)
{
    weir__log *const log = weir__alloc(options->env, sizeof *log);
    *out = NULL;
    *error = (weir_store_error){.code = WEIR_OK};
    if (log == NULL)
        return weir__log_complain(error, WEIR_ENOMEM, "", 0, "out of memory");
    log->env = options->env;
    log->files = options->files;
    log->segment_bytes = options->segment_bytes;
    log->segment.file = log->snapshot.file.file = -1;
    weir__text_init(&log->segment.gathered, log->env);
    weir__text_init(&log->snapshot.file.gathered, log->env);
    int result = log_open_folder(log, options->folder, error);
    if (result == WEIR_OK)
        result = weir__log_recover(log, replay, user, error);
    if (result == WEIR_OK)
        *out = log;
    else
        weir__log_close(log);
    return result;
}

void weir__log_close(weir__log *log)
{
    if (log == NULL)
        return;
    weir__log_snapshot_abort(log);
    weir__log_file_close(log, &log->segment);
    if (log->folder >= 0)
        log->files->close(log->files->user, log->folder);
    weir__free(log->env, log, sizeof *log);
}

/* ---- Appending ---- */

/* Under another name until it is whole, so that a segment's header is never torn. */
static int log_begin_segment(weir__log *log, weir__log_file *next)
{
    char name[WEIR__LOG_NAME];
    weir__file_header const header = {.magic = WEIR__FORMAT_SEGMENT,
                                      .revision = log->revision,
                                      .sequence = log->segment.sequence + 1,
                                      .salt = weir__random(log->env),
                                      .chain = log->segment.chain};
    weir__log_name(name, "log", header.sequence);
    if (weir__log_file_create(log, next, WEIR__LOG_NEW_SEGMENT, &header) != 0 ||
        weir__log_file_sync(log, next) != 0 ||
        log->files->rename(log->files->user, log->folder, next->name, name) != 0 ||
        weir__files_sync(log->files, log->folder) != 0)
        return -1;
    (void)snprintf(next->name, sizeof next->name, "%s", name);
    return 0;
}

int weir__log_rotate(weir__log *log)
{
    weir__log_file next = {.file = -1};
    weir__text_init(&next.gathered, log->env);
    if (log_begin_segment(log, &next) != 0) {
        int const result = weir__log_fail(log, next.name, 0, "a new segment cannot be begun");
        weir__log_file_close(log, &next);
        return result;
    }
    log->older_bytes += log->segment.written;
    weir__log_file_close(log, &log->segment);
    log->segment = next;
    return WEIR_OK;
}

int weir__log_append(weir__log *log, uint64_t revision, const void *data, size_t size)
{
    if (log->failed)
        return WEIR_EREADONLY;
    if (size == 0)
        return WEIR_EINVAL;
    if (size > UINT32_MAX)
        return WEIR_ETOOLARGE;
    int const result = weir__log_file_add(&log->segment, revision, data, size);
    if (result == WEIR_OK)
        log->revision = revision;
    return result;
}

/* What was flushed is safe, whether or not the log can go on. */
static void log_rotate_if_full(weir__log *log)
{
    if (log->segment.written < log->segment_bytes)
        return;
    if (weir__log_file_sync(log, &log->segment) != 0)
        (void)weir__log_fail(log, log->segment.name, log->segment.synced, "sync failed");
    else
        (void)weir__log_rotate(log);
}

int weir__log_flush(weir__log *log, bool sync)
{
    if (log->failed)
        return WEIR_EREADONLY;
    if (weir__log_file_write(log, &log->segment) != 0)
        return weir__log_fail(log, log->segment.name, log->segment.written, "write failed");
    if (sync && weir__log_file_sync(log, &log->segment) != 0)
        return weir__log_fail(log, log->segment.name, log->segment.synced, "sync failed");
    log_rotate_if_full(log);
    return WEIR_OK;
}

/* ---- Snapshots ---- */

int weir__log_snapshot_begin(weir__log *log, uint64_t revision)
{
    if (log->snapshot.active)
        return WEIR_EBUSY;
    int result = weir__log_flush(log, true);
    log->revision = revision;
    if (result == WEIR_OK)
        result = log->failed ? WEIR_EREADONLY : weir__log_rotate(log);
    if (result != WEIR_OK)
        return result;
    weir__file_header const header = {.magic = WEIR__FORMAT_SNAPSHOT,
                                      .revision = revision,
                                      .sequence = log->segment.sequence,
                                      .salt = weir__random(log->env),
                                      .chain = log->segment.chain};
    log->snapshot.revision = revision;
    log->snapshot.sequence = log->segment.sequence;
    log->snapshot.older_bytes = log->older_bytes;
    log->snapshot.count = 0;
    log->snapshot.active = true;
    (void)log->files->remove(log->files->user, log->folder, WEIR__LOG_NEW_SNAPSHOT);
    if (weir__log_file_create(log, &log->snapshot.file, WEIR__LOG_NEW_SNAPSHOT, &header) == 0)
        return WEIR_OK;
    weir__log_snapshot_abort(log);
    return WEIR_ESYSTEM;
}

int weir__log_snapshot_add(weir__log *log, const void *data, size_t size)
{
    weir__log_file *const file = &log->snapshot.file;
    if (weir__log_file_add(file, log->snapshot.revision, data, size) != WEIR_OK)
        return WEIR_ENOMEM;
    log->snapshot.count++;
    if (file->gathered.size >= LOG_SNAPSHOT_WRITE && weir__log_file_write(log, file) != 0)
        return WEIR_ESYSTEM;
    return WEIR_OK;
}

void weir__log_snapshot_abort(weir__log *log)
{
    if (!log->snapshot.active)
        return;
    log->snapshot.active = false;
    weir__log_file_close(log, &log->snapshot.file);
    (void)log->files->remove(log->files->user, log->folder, WEIR__LOG_NEW_SNAPSHOT);
}

/* What cannot be removed now is at the next opening. */
static void log_drop_older(weir__log *log)
{
    char name[WEIR__LOG_NAME];
    for (; log->first_sequence < log->snapshot.sequence; log->first_sequence++) {
        weir__log_name(name, "log", log->first_sequence);
        (void)log->files->remove(log->files->user, log->folder, name);
    }
    log->older_bytes -= log->snapshot.older_bytes;
    if (log->kept.revision != 0 && log->kept.revision != log->snapshot.revision) {
        weir__log_name(name, "snapshot", log->kept.revision);
        (void)log->files->remove(log->files->user, log->folder, name);
    }
}

int weir__log_snapshot_end(weir__log *log)
{
    weir__log_file *const file = &log->snapshot.file;
    char name[WEIR__LOG_NAME];
    weir__log_name(name, "snapshot", log->snapshot.revision);
    file->synced = file->written + file->gathered.size; /* How its last record is told. */
    if (weir__log_file_add(file, log->snapshot.count, "", 1) != WEIR_OK) {
        weir__log_snapshot_abort(log);
        return WEIR_ENOMEM;
    }
    if (weir__log_file_write(log, file) != 0 || weir__log_file_sync(log, file) != 0 ||
        log->files->rename(log->files->user, log->folder, file->name, name) != 0 ||
        weir__files_sync(log->files, log->folder) != 0) {
        weir__log_snapshot_abort(log);
        return WEIR_ESYSTEM;
    }
    log_drop_older(log);
    log->kept.revision = log->snapshot.revision;
    log->kept.bytes = file->written;
    log->snapshot.active = false;
    weir__log_file_close(log, file);
    return WEIR_OK;
}

/* ---- Figures ---- */

uint64_t weir__log_bytes(const weir__log *log)
{
    return log->older_bytes + log->segment.written;
}

uint64_t weir__log_snapshot_bytes(const weir__log *log)
{
    return log->kept.bytes;
}

uint64_t weir__log_snapshot_revision(const weir__log *log)
{
    return log->kept.revision;
}

uint64_t weir__log_syncs(const weir__log *log)
{
    return log->syncs;
}

const weir_store_error *weir__log_error(const weir__log *log)
{
    return &log->error;
}

#include "store/log_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- The folder ---- */

typedef struct recovery_search {
    const char *kind;
    uint64_t below;   /* Only numbers below it. */
    uint64_t highest; /* Found. */
    bool found;
} recovery_search;

/* "<kind>-<16 hexadecimal digits>". */
static bool recovery_number(const char *name, const char *kind, uint64_t *number)
{
    size_t const size = strlen(kind);
    if (strncmp(name, kind, size) != 0 || name[size] != '-' || strlen(name + size + 1) != 16)
        return false;
    *number = 0;
    for (const char *at = name + size + 1; *at != 0; at++) {
        const char *const digit = strchr("0123456789abcdef", *at);
        if (digit == NULL)
            return false;
        *number = *number << 4 | (uint64_t)(digit - "0123456789abcdef");
    }
    return true;
}

static void recovery_look(const char *name, void *to)
{
    recovery_search *const search = to;
    uint64_t number;
    if (!recovery_number(name, search->kind, &number) || number >= search->below ||
        (search->found && number <= search->highest))
        return;
    search->found = true;
    search->highest = number;
}

/* The highest number below; *found tells whether there is one. -1 with errno, or 0. */
static int recovery_find(weir__log *log, const char *kind, uint64_t below, bool *found,
                         uint64_t *number)
{
    recovery_search search = {.kind = kind, .below = below};
    if (log->files->list(log->files->user, log->folder, recovery_look, &search) != 0)
        return -1;
    *found = search.found;
    *number = search.highest;
    return 0;
}

/* ---- A file ---- */

typedef struct recovery_file {
    char name[WEIR__LOG_NAME];
    int file;
    unsigned char *bytes;
    uint64_t size;
    weir__file_header header;
    weir__format_reader reader;
} recovery_file;

static int recovery_complain(const recovery_file *file, int code, uint64_t offset,
                             const char *message, weir_store_error *error)
{
    return weir__log_complain(error, code, file->name, offset, message);
}

static void recovery_close(weir__log *log, recovery_file *file)
{
    weir__free(log->env, file->bytes, (size_t)file->size);
    file->bytes = NULL;
    if (file->file >= 0)
        log->files->close(log->files->user, file->file);
    file->file = -1;
}

static int recovery_read(weir__log *log, recovery_file *file, weir_store_error *error)
{
    int64_t const size = log->files->size(log->files->user, file->file);
    if (size < 0)
        return recovery_complain(file, WEIR_ESYSTEM, 0, "its size is not known", error);
    if (size < WEIR__FORMAT_FILE_HEADER)
        return recovery_complain(file, WEIR_ECORRUPT, 0, "it is too short", error);
    file->bytes = weir__alloc(log->env, (size_t)size);
    if (file->bytes == NULL)
        return recovery_complain(file, WEIR_ENOMEM, 0, "out of memory", error);
    file->size = (uint64_t)size;
    if (weir__files_read(log->files, file->file, file->bytes, (size_t)size, 0) != 0)
        return recovery_complain(file, WEIR_ESYSTEM, 0, "it cannot be read", error);
    return WEIR_OK;
}

/* Whole in memory. WEIR_ENOTFOUND if there is none; close it on WEIR_OK. */
static int recovery_open(weir__log *log, recovery_file *file, const char *kind, uint64_t number,
                         const char *magic, weir_store_error *error)
{
    *file = (recovery_file){.file = -1};
    weir__log_name(file->name, kind, number);
    file->file = log->files->open(log->files->user, log->folder, file->name, false);
    if (file->file < 0)
        return errno == ENOENT
                   ? WEIR_ENOTFOUND
                   : recovery_complain(file, WEIR_ESYSTEM, 0, "it cannot be opened", error);
    int result = recovery_read(log, file, error);
    if (result == WEIR_OK && !weir__format_read_file_header(file->bytes, magic, &file->header))
        result = recovery_complain(file, WEIR_ECORRUPT, 0, "its header is damaged", error);
    file->reader = (weir__format_reader){.bytes = file->bytes,
                                         .size = file->size,
                                         .at = WEIR__FORMAT_FILE_HEADER,
                                         .salt = file->header.salt,
                                         .synced = WEIR__FORMAT_FILE_HEADER,
                                         .chain = file->header.chain};
    if (result != WEIR_OK)
        recovery_close(log, file);
    return result;
}

/* ---- The snapshot ---- */

/* Whether it ends as it should; the records before the last are counted. */
static bool recovery_is_whole(const recovery_file *file, uint64_t *count)
{
    weir__format_reader reader = file->reader;
    weir__record_header header = {.size = 0};
    const unsigned char *data;
    weir__format_step step;
    for (*count = 0; (step = weir__format_next(&reader, &header, &data)) == WEIR__FORMAT_RECORD;)
        ++*count;
    return step == WEIR__FORMAT_END && reader.at == reader.size && *count > 0 &&
           header.synced > 0 && header.revision == --*count;
}

static int recovery_replay_snapshot(recovery_file *file, uint64_t count, weir__log_replay_fn replay,
                                    void *user, weir_store_error *error)
{
    weir__record_header header;
    const unsigned char *data = NULL;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t const at = file->reader.at;
        (void)weir__format_next(&file->reader, &header, &data);
        int const result = replay(user, header.revision, data, header.size);
        if (result != WEIR_OK)
            return recovery_complain(file, result, at, "a record cannot be replayed", error);
    }
    return WEIR_OK;
}

static int recovery_use_snapshot(weir__log *log, recovery_file *file, uint64_t count,
                                 weir__log_replay_fn replay, void *user, weir_store_error *error)
{
    int const result = recovery_replay_snapshot(file, count, replay, user, error);
    log->kept.revision = log->revision = file->header.revision;
    log->kept.bytes = file->size;
    log->first_sequence = file->header.sequence;
    log->segment.chain = file->header.chain;
    return result;
}

/* The newest that is whole. One that is not counts for nothing, but is remembered in *error: then
 * segments may be missing that it made superfluous. */
static int recovery_snapshot(weir__log *log, weir__log_replay_fn replay, void *user,
                             weir_store_error *error)
{
    uint64_t revision = UINT64_MAX, count;
    bool found;
    log->first_sequence = 1;
    while (recovery_find(log, "snapshot", revision, &found, &revision) == 0) {
        recovery_file file;
        if (!found)
            return WEIR_OK;
        int result = recovery_open(log, &file, "snapshot", revision, WEIR__FORMAT_SNAPSHOT, error);
        if (result == WEIR_ECORRUPT)
            continue;
        if (result != WEIR_OK)
            return result;
        bool const whole = recovery_is_whole(&file, &count);
        if (whole)
            result = recovery_use_snapshot(log, &file, count, replay, user, error);
        else
            (void)recovery_complain(&file, WEIR_ECORRUPT, file.reader.at, "it is not whole", error);
        recovery_close(log, &file);
        if (whole)
            return result;
    }
    return weir__log_complain(error, WEIR_ESYSTEM, "", 0, "the folder cannot be read");
}

/* ---- Segments ---- */

static int recovery_replay(weir__log *log, recovery_file *file, weir__log_replay_fn replay,
                           void *user, weir__format_step *step, weir_store_error *error)
{
    weir__record_header header;
    const unsigned char *data;
    for (;;) {
        uint64_t const at = file->reader.at;
        *step = weir__format_next(&file->reader, &header, &data);
        if (*step != WEIR__FORMAT_RECORD)
            return WEIR_OK;
        int const result = replay(user, header.revision, data, header.size);
        if (result != WEIR_OK)
            return recovery_complain(file, result, at, "a record cannot be replayed", error);
        log->revision = header.revision;
    }
}

/* The one to go on with: what a crash left behind its records is cut off, and what may never have
 * reached the disk is written again (see format.h). */
static int recovery_take(weir__log *log, recovery_file *file, weir_store_error *error)
{
    const weir__files *const files = log->files;
    uint64_t const end = file->reader.at;
    uint64_t const from = file->reader.synced;
    if ((end < file->size && files->truncate(files->user, file->file, end) != 0) ||
        weir__files_write(files, file->file, file->bytes + from, (size_t)(end - from), from) != 0 ||
        weir__files_sync(files, file->file) != 0)
        return recovery_complain(file, WEIR_ESYSTEM, end, "its end cannot be written", error);
    log->segment.file = file->file;
    log->segment.written = log->segment.synced = end;
    (void)snprintf(log->segment.name, sizeof log->segment.name, "%s", file->name);
    file->file = -1;
    return WEIR_OK;
}

static int recovery_one_segment(weir__log *log, recovery_file *file, bool last,
                                weir__log_replay_fn replay, void *user, weir_store_error *error)
{
    weir__format_step step;
    if (file->header.chain != log->segment.chain || file->header.revision < log->revision ||
        file->header.sequence != log->segment.sequence)
        return recovery_complain(file, WEIR_ECORRUPT, 0, "it does not follow what is before it",
                                 error);
    log->revision = file->header.revision;
    int const result = recovery_replay(log, file, replay, user, &step, error);
    if (result != WEIR_OK)
        return result;
    if (step == WEIR__FORMAT_DAMAGED ||
        (!last && (step != WEIR__FORMAT_END || file->reader.at != file->size)))
        return recovery_complain(file, WEIR_ECORRUPT, file->reader.at, "a record is damaged",
                                 error);
    log->segment.chain = file->reader.chain;
    log->segment.salt = file->header.salt;
    if (last)
        return recovery_take(log, file, error);
    log->older_bytes += file->size;
    return WEIR_OK;
}

static int recovery_segments(weir__log *log, uint64_t last, weir__log_replay_fn replay, void *user,
                             weir_store_error *error)
{
    int result = WEIR_OK;
    for (uint64_t sequence = log->first_sequence; sequence <= last && result == WEIR_OK;
         sequence++) {
        recovery_file file;
        log->segment.sequence = sequence;
        result = recovery_open(log, &file, "log", sequence, WEIR__FORMAT_SEGMENT, error);
        if (result == WEIR_ENOTFOUND && error->code == WEIR_ECORRUPT)
            return WEIR_ECORRUPT; /* A snapshot's damage explains it. */
        if (result == WEIR_ENOTFOUND)
            return recovery_complain(&file, WEIR_ECORRUPT, 0, "it is missing", error);
        if (result != WEIR_OK)
            return result;
        result = recovery_one_segment(log, &file, sequence == last, replay, user, error);
        recovery_close(log, &file);
    }
    return result;
}

/* ---- The whole ---- */

static void recovery_remove_below(weir__log *log, const char *kind, uint64_t below)
{
    char name[WEIR__LOG_NAME];
    bool found;
    while (recovery_find(log, kind, below, &found, &below) == 0 && found) {
        weir__log_name(name, kind, below);
        (void)log->files->remove(log->files->user, log->folder, name);
    }
}

static int recovery_begin(weir__log *log, weir_store_error *error)
{
    int const result = weir__log_rotate(log);
    log->first_sequence = log->segment.sequence;
    if (result != WEIR_OK)
        *error = log->error;
    return result;
}

int weir__log_recover(weir__log *log, weir__log_replay_fn replay, void *user,
                      weir_store_error *error)
{
    uint64_t last;
    bool found;
    int result = recovery_snapshot(log, replay, user, error);
    if (result != WEIR_OK)
        return result;
    if (recovery_find(log, "log", UINT64_MAX, &found, &last) != 0)
        return weir__log_complain(error, WEIR_ESYSTEM, "", 0, "the folder cannot be read");
    if (!found && error->code == WEIR_ECORRUPT)
        return WEIR_ECORRUPT;
    if (found || log->kept.revision != 0)
        result =
            recovery_segments(log,
                              found && last >= log->first_sequence ? last : log->first_sequence,
                              replay, user, error);
    if (result != WEIR_OK)
        return result;
    (void)log->files->remove(log->files->user, log->folder, WEIR__LOG_NEW_SEGMENT);
    (void)log->files->remove(log->files->user, log->folder, WEIR__LOG_NEW_SNAPSHOT);
    if (!found && log->kept.revision == 0)
        return recovery_begin(log, error);
    if (weir__files_sync(log->files, log->folder) != 0)
        return weir__log_complain(error, WEIR_ESYSTEM, "", 0, "the folder cannot be synced");
    recovery_remove_below(log, "log", log->first_sequence);
    recovery_remove_below(log, "snapshot", log->kept.revision);
    *error = (weir_store_error){.code = WEIR_OK};
    return WEIR_OK;
}

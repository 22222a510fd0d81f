#include "store/log_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void weir__log_name(char name[WEIR__LOG_NAME], const char *kind, uint64_t number)
{
    (void)snprintf(name, WEIR__LOG_NAME, "%s-%08x%08x", kind, (unsigned)(number >> 32),
                   (unsigned)(number & UINT32_MAX));
}

int weir__log_file_create(weir__log *log, weir__log_file *file, const char *name,
                          const weir__file_header *header)
{
    unsigned char bytes[WEIR__FORMAT_FILE_HEADER];
    int const opened = log->files->open(log->files->user, log->folder, name, true);
    if (opened < 0)
        return -1;
    file->file = opened;
    file->sequence = header->sequence;
    file->salt = header->salt;
    file->chain = header->chain;
    file->written = sizeof bytes;
    file->synced = 0;
    (void)snprintf(file->name, sizeof file->name, "%s", name);
    weir__format_file_header(bytes, header);
    return weir__files_write(log->files, opened, bytes, sizeof bytes, 0);
}

int weir__log_file_add(weir__log_file *file, uint64_t revision, const void *data, size_t size)
{
    static const unsigned char zeros[8];
    unsigned char bytes[WEIR__FORMAT_RECORD_HEADER];
    size_t const before = file->gathered.size;
    uint64_t const place = file->written + before;
    weir__record_header const header = {.size = (uint32_t)size,
                                        .sum = weir__format_sum(file->chain, revision, data, size),
                                        .revision = revision,
                                        .synced = file->synced,
                                        .blank =
                                            weir__format_blank(data, size,
                                                               place + WEIR__FORMAT_RECORD_HEADER)};
    weir__format_record_header(bytes, &header, file->salt, place);
    weir__text_bytes(&file->gathered, bytes, sizeof bytes);
    weir__text_bytes(&file->gathered, data, size);
    weir__text_bytes(&file->gathered, zeros, (8 - size % 8) % 8);
    if (!weir__text_ok(&file->gathered)) {
        weir__text_cut(&file->gathered, before);
        return WEIR_ENOMEM;
    }
    file->chain = header.sum;
    return WEIR_OK;
}

int weir__log_file_write(weir__log *log, weir__log_file *file)
{
    if (file->gathered.size == 0)
        return 0;
    if (weir__files_write(log->files, file->file, file->gathered.data, file->gathered.size,
                          file->written) != 0)
        return -1;
    file->written += file->gathered.size;
    weir__text_clear(&file->gathered);
    return 0;
}

int weir__log_file_sync(weir__log *log, weir__log_file *file)
{
    if (file->synced == file->written)
        return 0;
    if (weir__files_sync(log->files, file->file) != 0)
        return -1;
    log->syncs++;
    file->synced = file->written;
    return 0;
}

void weir__log_file_close(weir__log *log, weir__log_file *file)
{
    if (file->file >= 0)
        log->files->close(log->files->user, file->file);
    weir__text_free(&file->gathered);
    file->file = -1;
}

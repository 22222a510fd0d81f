#include "store/format.h"

#include "base/crc32c.h"

#include <string.h>

/* ---- Numbers ---- */

static void format_u32(unsigned char *out, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++)
        out[i] = (unsigned char)(number >> (8 * i));
}

static void format_u64(unsigned char *out, uint64_t number)
{
    format_u32(out, (uint32_t)number);
    format_u32(out + 4, (uint32_t)(number >> 32));
}

static uint32_t format_read_u32(const unsigned char *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

static uint64_t format_read_u64(const unsigned char *in)
{
    return (uint64_t)format_read_u32(in) | (uint64_t)format_read_u32(in + 4) << 32;
}

/* ---- Headers ---- */

void weir__format_file_header(unsigned char *out, const weir__file_header *header)
{
    memcpy(out, header->magic, 8);
    format_u64(out + 8, header->revision);
    format_u64(out + 16, header->sequence);
    format_u64(out + 24, header->salt);
    format_u32(out + 32, header->chain);
    format_u32(out + 36, weir__crc32c(0, out, 36));
}

bool weir__format_read_file_header(const unsigned char *in, const char *magic,
                                   weir__file_header *header)
{
    *header = (weir__file_header){.magic = magic,
                                  .revision = format_read_u64(in + 8),
                                  .sequence = format_read_u64(in + 16),
                                  .salt = format_read_u64(in + 24),
                                  .chain = format_read_u32(in + 32)};
    return memcmp(in, magic, 8) == 0 && format_read_u32(in + 36) == weir__crc32c(0, in, 36);
}

uint32_t weir__format_sum(uint32_t chain, uint64_t revision, const void *data, size_t size)
{
    unsigned char bytes[8];
    format_u64(bytes, revision);
    return weir__crc32c(weir__crc32c(chain, bytes, sizeof bytes), data, size);
}

static uint32_t format_check(const unsigned char *header, uint64_t salt, uint64_t place)
{
    unsigned char bytes[16];
    format_u64(bytes, place);
    format_u64(bytes + 8, salt);
    return weir__crc32c(weir__crc32c(0, bytes, sizeof bytes), header, 28);
}

void weir__format_record_header(unsigned char *out, const weir__record_header *header,
                                uint64_t salt, uint64_t place)
{
    format_u32(out, header->size);
    format_u32(out + 4, header->sum);
    format_u64(out + 8, header->revision);
    format_u64(out + 16, header->synced);
    format_u32(out + 24, header->blank);
    format_u32(out + 28, format_check(out, salt, place));
}

bool weir__format_read_record_header(const unsigned char *in, uint64_t salt, uint64_t place,
                                     weir__record_header *header)
{
    *header = (weir__record_header){.size = format_read_u32(in),
                                    .sum = format_read_u32(in + 4),
                                    .revision = format_read_u64(in + 8),
                                    .synced = format_read_u64(in + 16),
                                    .blank = format_read_u32(in + 24)};
    return header->size > 0 && header->synced <= place &&
           format_read_u32(in + 28) == format_check(in, salt, place);
}

/* ---- Records ---- */

static bool format_is_zero(const unsigned char *bytes, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static uint64_t format_sector_end(uint64_t place, uint64_t end)
{
    uint64_t const next = (place / WEIR__FORMAT_SECTOR + 1) * WEIR__FORMAT_SECTOR;
    return next < end ? next : end;
}

uint32_t weir__format_blank(const void *payload, uint64_t size, uint64_t place)
{
    const unsigned char *const bytes = payload;
    uint64_t const end = place + size;
    uint32_t blank = 0;
    uint64_t at = place % WEIR__FORMAT_SECTOR == 0 ? place : format_sector_end(place, end);
    for (; at < end; at = format_sector_end(at, end))
        blank += format_is_zero(bytes + (at - place), format_sector_end(at, end) - at);
    return blank;
}

/* Somebody wrote behind `at` when it was on disk already. */
static bool format_was_synced(const weir__format_reader *reader)
{
    weir__record_header header;
    for (uint64_t at = reader->at + 8; at + WEIR__FORMAT_RECORD_HEADER <= reader->size; at += 8)
        if (weir__format_read_record_header(reader->bytes + at, reader->salt, at, &header) &&
            header.synced > reader->at)
            return true;
    return false;
}

/* Whether a sector that the record's header lies in is zero from where it begins. */
static bool format_misses_header(const weir__format_reader *reader)
{
    uint64_t const end = reader->at + WEIR__FORMAT_RECORD_HEADER;
    if (end > reader->size)
        return true;
    for (uint64_t at = reader->at; at < end; at = format_sector_end(at, end))
        if (format_is_zero(reader->bytes + at, format_sector_end(at, end) - at))
            return true;
    return false;
}

static bool format_misses_payload(const weir__format_reader *reader,
                                  const weir__record_header *header)
{
    uint64_t const payload = reader->at + WEIR__FORMAT_RECORD_HEADER;
    return weir__format_record_size(header->size) > reader->size - reader->at ||
           weir__format_blank(reader->bytes + payload, header->size, payload) > header->blank;
}

static weir__format_step format_broken(const weir__format_reader *reader, bool misses)
{
    return misses && !format_was_synced(reader) ? WEIR__FORMAT_TORN : WEIR__FORMAT_DAMAGED;
}

/* The sum holds, and the padding is zero. */
static bool format_holds(const weir__format_reader *reader, const weir__record_header *header,
                         const unsigned char *data)
{
    uint64_t const padding = weir__format_record_size(header->size) - WEIR__FORMAT_RECORD_HEADER;
    return weir__format_sum(reader->chain, header->revision, data, header->size) == header->sum &&
           format_is_zero(data + header->size, padding - header->size);
}

weir__format_step weir__format_next(weir__format_reader *reader, weir__record_header *header,
                                    const unsigned char **data)
{
    uint64_t const left = reader->size - reader->at;
    const unsigned char *const at = reader->bytes + reader->at;
    if (left == 0 || format_is_zero(at, left))
        return WEIR__FORMAT_END;
    if (left < WEIR__FORMAT_RECORD_HEADER ||
        !weir__format_read_record_header(at, reader->salt, reader->at, header))
        return format_broken(reader, format_misses_header(reader));
    *data = at + WEIR__FORMAT_RECORD_HEADER;
    uint64_t const size = weir__format_record_size(header->size);
    if (size > left || !format_holds(reader, header, *data))
        return format_broken(reader, format_misses_payload(reader, header));
    reader->chain = header->sum;
    reader->at += size;
    if (header->synced > reader->synced)
        reader->synced = header->synced;
    return WEIR__FORMAT_RECORD;
}

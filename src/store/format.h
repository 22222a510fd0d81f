/*
 * What is in a store's files. Numbers are little-endian; everything begins at a multiple of 8.
 *
 * A folder holds segments, log-<sequence>, and snapshots, snapshot-<revision>, in 16 hexadecimal
 * digits; temporary-log and temporary-snapshot are being written. Both kinds of file begin with
 *
 *    0  magic     "weirlog1" or "weirsnp1"
 *    8  revision  of a snapshot; of a segment, the last one before it
 *   16  sequence  of a segment; of a snapshot, of the first segment that it does not hold
 *   24  salt      drawn anew for each file
 *   32  chain     the sum of the record before, in the segment before; 0 = there is none
 *   36  check     CRC-32C of the 36 bytes before
 *
 * and go on with records, each padded with zeros to a multiple of 8:
 *
 *    0  size      of the payload; 0 = here the records end
 *    4  sum       CRC-32C of revision, payload, chained to the sum of the record before
 *    8  revision
 *   16  synced    how much of this file was surely on disk before this was written
 *   24  blank     how many of the sectors that begin in the payload hold zeros alone
 *   28  check     CRC-32C of place, salt, and the 28 bytes before
 *   32  payload
 *
 * A snapshot ends with a record of one byte that has the number of those before it as its revision,
 * and its own place as `synced`, where they have 0.
 *
 * A crash leaves of what was written since the last sync any mixture of old and new sectors, and
 * loses nothing from before it. So where a record is broken, at X, the log ends, if
 *
 *   - it is in the last segment: a segment is synced before the next one begins;
 *   - no record behind it says that more than X was synced: those are found by their check, which
 *     bytes that a user stores cannot imitate, since he does not know the salt;
 *   - and a sector of it is missing, that is, zero from X on, or cut off by the end of the file:
 *     more of them are zero than were written so.
 *
 * All else is damage. The one thing that cannot be told from a crash is the loss of a whole sector
 * that the last write before one has touched.
 *
 * What a process wrote and did not sync is read back after its end as if it were on disk, even if a
 * sync has failed and the system has given those pages up. So at opening, what no record says was
 * synced is written again, and it and the folder are synced, before anything relies on them.
 */
#ifndef WEIR_SRC_STORE_FORMAT_H
#define WEIR_SRC_STORE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR__FORMAT_FILE_HEADER   40
#define WEIR__FORMAT_RECORD_HEADER 32
#define WEIR__FORMAT_SECTOR        512
#define WEIR__FORMAT_SEGMENT       "weirlog1"
#define WEIR__FORMAT_SNAPSHOT      "weirsnp1"

typedef struct weir__file_header {
    const char *magic; /* Of 8 bytes. */
    uint64_t revision, sequence, salt;
    uint32_t chain;
} weir__file_header;

typedef struct weir__record_header {
    uint32_t size, sum;
    uint64_t revision, synced;
    uint32_t blank;
} weir__record_header;

void weir__format_file_header(unsigned char *out, const weir__file_header *header);
bool weir__format_read_file_header(const unsigned char *in, const char *magic,
                                   weir__file_header *header);
/* sum: chained, of the record. */
uint32_t weir__format_sum(uint32_t chain, uint64_t revision, const void *data, size_t size);
void weir__format_record_header(unsigned char *out, const weir__record_header *header,
                                uint64_t salt, uint64_t place);
/* False: its check does not hold. */
bool weir__format_read_record_header(const unsigned char *in, uint64_t salt, uint64_t place,
                                     weir__record_header *header);
/* Of a payload at that place in the file. */
uint32_t weir__format_blank(const void *payload, uint64_t size, uint64_t place);
/* With header and padding. */
static inline uint64_t weir__format_record_size(uint64_t payload)
{
    return WEIR__FORMAT_RECORD_HEADER + (payload + 7) / 8 * 8;
}

/* A file as read, while its records are gone through. */
typedef struct weir__format_reader {
    const unsigned char *bytes;
    uint64_t size, at;
    uint64_t salt;
    uint64_t synced; /* The most that a record said. */
    uint32_t chain;
} weir__format_reader;

typedef enum weir__format_step {
    WEIR__FORMAT_RECORD, /* `header` and `data` are set. */
    WEIR__FORMAT_END,    /* All is zero from here on, or there is nothing. */
    WEIR__FORMAT_TORN,   /* A crash may have left it so. */
    WEIR__FORMAT_DAMAGED,
} weir__format_step;

weir__format_step weir__format_next(weir__format_reader *reader, weir__record_header *header,
                                    const unsigned char **data);

#endif

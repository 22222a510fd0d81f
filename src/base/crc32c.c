#include "base/crc32c.h"

#include <pthread.h>

#define CRC32C_POLYNOMIAL UINT32_C(0x82F63B78) /* 0x1EDC6F41, lowest bit first. */

/* Eight bytes at a time (Kounavis and Berry, "Novel Table Lookup-Based Algorithms for
 * High-Performance CRC Generation", 2008): row n is for a byte with n bytes behind it. */
static uint32_t crc32c_rows[8][256];
static pthread_once_t crc32c_once = PTHREAD_ONCE_INIT;

static void crc32c_fill(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
        crc32c_rows[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int row = 1; row < 8; row++)
            crc32c_rows[row][byte] =
                crc32c_rows[row - 1][byte] >> 8 ^ crc32c_rows[0][crc32c_rows[row - 1][byte] & 0xFF];
}

static uint32_t crc32c_eight(uint32_t crc, const unsigned char *bytes)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned char const of_crc = (unsigned char)(i < 4 ? crc >> (8 * i) : 0);
        sum ^= crc32c_rows[7 - i][bytes[i] ^ of_crc];
    }
    return sum;
}

uint32_t weir__crc32c(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    (void)pthread_once(&crc32c_once, crc32c_fill);
    crc = ~crc;
    for (; size >= 8; size -= 8, bytes += 8)
        crc = crc32c_eight(crc, bytes);
    for (; size > 0; size--, bytes++)
        crc = crc >> 8 ^ crc32c_rows[0][(crc ^ *bytes) & 0xFF];
    return ~crc;
}

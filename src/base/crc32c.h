/* CRC-32C (Castagnoli; RFC 3720, B.4). Chained: the sum of a then b is crc32c(crc32c(0, a), b). */
#ifndef WEIR_SRC_CRC32C_H
#define WEIR_SRC_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t weir__crc32c(uint32_t crc, const void *data, size_t size);

#endif

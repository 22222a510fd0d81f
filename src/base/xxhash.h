/*
 * XXH64 (Yann Collet): the hash in which Envoy's tables are written, so that ours are the same.
 * Not keyed: whoever chooses the data can make it collide. Same on every machine.
 */
#ifndef WEIR_SRC_XXHASH_H
#define WEIR_SRC_XXHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t weir__xxhash64(const void *data, size_t size, uint64_t seed); /* data of any alignment. */

#endif

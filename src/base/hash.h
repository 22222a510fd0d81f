/* SipHash-1-3 (Aumasson and Bernstein): a keyed hash that outsiders cannot aim collisions at. */
#ifndef WEIR_SRC_HASH_H
#define WEIR_SRC_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct weir__hash_key {
    uint64_t k0, k1;
} weir__hash_key;

uint64_t weir__hash(weir__hash_key key, const void *data, size_t size);

#endif

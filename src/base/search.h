/* Some bytes in a stream that comes in parts: Knuth, Morris and Pratt (1977), 1..255 bytes. */
#ifndef WEIR_SRC_SEARCH_H
#define WEIR_SRC_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR__SEARCH_MAX 255

typedef struct weir__search {
    uint8_t pattern[WEIR__SEARCH_MAX];
    uint8_t fallback[WEIR__SEARCH_MAX]; /* Longest proper border of pattern[0..i]. */
    uint8_t size;
    uint8_t matched; /* Bytes of the pattern that the stream ends in. */
} weir__search;

void weir__search_init(weir__search *search, const void *pattern, size_t size);
void weir__search_restart(weir__search *search);
/* Whether the pattern has come by the end of these bytes; of size 0, it always has. */
bool weir__search_feed(weir__search *search, const void *data, size_t size);

#endif

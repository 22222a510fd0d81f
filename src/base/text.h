/*
 * Text building: appends to a buffer that grows. The first failed allocation sticks: later
 * appends do nothing, and weir__text_ok() tells at the end, once.
 */
#ifndef WEIR_SRC_TEXT_H
#define WEIR_SRC_TEXT_H

#include "base/env.h"

typedef struct weir__text {
    const weir_env *env; /* Borrowed. */
    char *data;          /* NUL-terminated once anything was appended; NULL before. */
    size_t size, capacity;
    bool failed;
} weir__text;

#if defined(__GNUC__)
#define WEIR__PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define WEIR__PRINTF(at, first)
#endif

void weir__text_init(weir__text *text, const weir_env *env); /* Allocates nothing. */
void weir__text_free(weir__text *text);
void weir__text_clear(weir__text *text);            /* Keeps the buffer; forgets a failure. */
void weir__text_cut(weir__text *text, size_t size); /* To its first bytes; forgets a failure. */
bool weir__text_ok(const weir__text *text);
void weir__text_bytes(weir__text *text, const void *data, size_t size);
void weir__text_str(weir__text *text, const char *str);
void weir__text_u64(weir__text *text, uint64_t value);                /* Decimal. */
void weir__text_hex(weir__text *text, const void *data, size_t size); /* Lower case. */
/* A finite number, as short as reads back the same: 0.1, 1e+100, -3. In any locale. */
void weir__text_double(weir__text *text, double value);
void weir__text_format(weir__text *text, const char *format, ...) WEIR__PRINTF(2, 3);
/* A JSON string with its quotes (RFC 8259); bytes that are not UTF-8 become U+FFFD. */
void weir__text_json(weir__text *text, const char *str, size_t size);
/*
 * Length of the UTF-8 sequence at p (Unicode 15, table 3-7), of `left` bytes, or 0 if it is none.
 * Then *bad is the length of its maximal subpart, which one U+FFFD stands for.
 */
size_t weir__text_utf8(const unsigned char *p, size_t left, size_t *bad);
bool weir__text_is_utf8(const void *data, size_t size);
/*
 * A member of a JSON object that holds any bytes: "value":"..." as a string; where they are not
 * UTF-8, "hex":"..." with two digits a byte.
 */
void weir__text_json_value(weir__text *text, const void *data, size_t size);
/* A Prometheus label value without quotes: backslash, quote and line feed escaped. */
void weir__text_label(weir__text *text, const char *str, size_t size);

#endif

/*
 * Numbers, durations and sizes out of text that a person wrote. All of the text must be the
 * number: no blanks, no sign, no leading '+'. An error says what is wrong and at which byte.
 */
#ifndef WEIR_SRC_NUMBER_H
#define WEIR_SRC_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct weir__number_error {
    const char *what; /* Static: "expected a digit", "too large", "unknown unit", ... */
    size_t at;        /* The offending byte, 0-based; the size of the text when it ends too soon;
                         0 for a well-formed number that is out of range. */
} weir__number_error;

/* Decimal digits, within min .. max. False: *error is set and *out is untouched. */
bool weir__number_u64(const char *text, size_t size, uint64_t min, uint64_t max, uint64_t *out,
                      weir__number_error *error);
/*
 * A duration in ns: one or more of <digits>[.<digits>]<unit>, units ns us ms s m h d in falling
 * order, each once: "250ms", "1.5s", "1m30s". A bare "0" is allowed; any other bare number is not.
 * Always exact: a fraction finer than a nanosecond is an error.
 */
bool weir__number_duration(const char *text, size_t size, uint64_t min_ns, uint64_t max_ns,
                           uint64_t *out_ns, weir__number_error *error);
/* Bytes: <digits> with an optional k, m or g (powers of 1024), either case. */
bool weir__number_size(const char *text, size_t size, uint64_t min, uint64_t max, uint64_t *out,
                       weir__number_error *error);
/* A percentage "12.5%" or "50%", 0 .. 100, in thousandths of a percent (12500); finer is an error.
 */
bool weir__number_percent(const char *text, size_t size, uint32_t *out_milli,
                          weir__number_error *error);

typedef struct weir__number_range {
    uint64_t low, high;
} weir__number_range;

/*
 * "200-299,401": numbers and ranges of them, each within min .. max, 1 to `room` of them. How many
 * there are; 0: *error is set.
 */
size_t weir__number_ranges(const char *text, size_t size, uint64_t min, uint64_t max,
                           weir__number_range *out, size_t room, weir__number_error *error);

#endif

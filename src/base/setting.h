/*
 * Values of environment variables, as the OpenTelemetry specification has them read. One that is
 * NULL or empty is as one that is not set: whoever asks here has seen to that.
 */
#ifndef WEIR_SRC_SETTING_H
#define WEIR_SRC_SETTING_H

#include "base/text.h"

/* "true", in any case, is true; all else is false. */
bool weir__setting_bool(const char *text);
/* Decimal digits, with blanks around; false: it is none within min .. max. */
bool weir__setting_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* A number as JSON writes it, with blanks around; false: it is none. */
bool weir__setting_double(const char *text, double *out);
/*
 * "key=value,key=value", blanks around each ignored, %XX for any byte but NUL, and entries of
 * nothing skipped: "key\0value\0" of each appended to `out`. Static English of what is wrong with
 * it, or NULL; *count is how many there are. Memory: weir__text_ok().
 */
const char *weir__setting_list(const char *text, weir__text *out, size_t *count);

#endif

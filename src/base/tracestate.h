/* tracestate (W3C Trace Context Level 2): members "key=value" with commas between. */
#ifndef WEIR_SRC_TRACESTATE_H
#define WEIR_SRC_TRACESTATE_H

#include "base/env.h"

#define WEIR__TRACESTATE_MEMBERS 32

/* Bytes of somebody's text. */
typedef struct weir__field {
    const char *data;
    size_t size;
} weir__field;

/* Without the blanks around it. */
weir__field weir__field_trim(weir__field field);

/* Members, as they are in somebody's text. */
typedef struct weir__tracestate {
    weir__field members[WEIR__TRACESTATE_MEMBERS + 1];
    size_t count;
} weir__tracestate;

/* Adds what one header has; false: it is malformed, or they are too many. Empty members are none.
 */
bool weir__tracestate_read(weir__tracestate *list, weir__field header);
/* Into a room of WEIR_TRACESTATE_SIZE: members of more than 128 bytes go first, then those at the
 * end, until it fits. */
void weir__tracestate_write(weir__tracestate *list, char *out);

/* As weir_tracestate_get() and weir_tracestate_set(). */
bool weir__tracestate_get(const char *state, const char *key, const char **value, size_t *size);
bool weir__tracestate_set(char *out, const char *state, const char *key, const char *value);

#endif

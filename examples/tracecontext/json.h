/* Just enough JSON (RFC 8259): where values begin and end. Nothing is copied, and values that are
 * only passed on stay as they are, to the byte; so do bytes above 0x7F. */
#ifndef TRACECONTEXT_JSON_H
#define TRACECONTEXT_JSON_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_DEPTH 64 /* Arrays and objects within one another. */

/* A value, within the text that it was read from. */
typedef struct json {
    char *data;
    size_t size;
} json;

/* False: it is not one well-formed value with nothing but blanks around, or deeper than that. */
bool json_read(json text, json *value);

/* The next element of an array, or member of an object; *at is 0 at first. False: there is none, or
 * it is neither. `key` is set for a member: a string. */
bool json_next(json container, size_t *at, json *key, json *value);

/* The text of a string, decoded in its place, where the value is no more; NULL if it is no string,
 * or has other characters than U+0001 to U+007F, which keys and URLs do without. */
char *json_decode(json string);

#endif

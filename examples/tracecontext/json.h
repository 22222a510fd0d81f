/* A reader of JSON (RFC 8259) that finds where values are, and leaves them there. */
#ifndef EXAMPLE_TRACECONTEXT_JSON_H
#define EXAMPLE_TRACECONTEXT_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* What is left of a text; the first error sticks. */
typedef struct json {
    const char *at, *end;
    bool failed;
} json;

/* A value as it is written, or a string within its quotes. */
typedef struct json_text {
    const char *data;
    size_t size;
} json_text;

/* '[' or '{' comes next. */
void json_open(json *text, char bracket);
/* There is another element, or member, which is next; false at the end, which is taken. `count` is
 * how many there were. */
bool json_more(json *text, char closing, size_t count);
/* The name of a member, and its colon. */
json_text json_name(json *text);
/* Any value. */
json_text json_value(json *text);
/* The text ends here. */
bool json_end(json *text);

/* A string's characters, with a NUL: false if it is none, or has no room. */
bool json_string(json_text value, char *out, size_t room);

#endif

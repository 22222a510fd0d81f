/*
 * JSON (RFC 8259) as a stream of tokens over bytes in memory: strict, without allocation or
 * recursion. Texts are UTF-8 without a byte order mark; an escaped lone surrogate is an error.
 * The first error sticks: what is read after it changes nothing, so it is asked for once, at the
 * end:
 *
 *     weir__json_begin(&json, text, size);
 *     weir__json_object(&json);
 *     while (weir__json_member(&json)) {
 *         if (weir__json_is(&json, "port"))
 *             weir__json_u64(&json, 1, 65535, &port);
 *         else
 *             weir__json_skip(&json);
 *     }
 *     if (!weir__json_end(&json))
 *         complain(json.error, weir__json_line(&json), json.error_at);
 *
 * A name may come twice in an object: what that means is up to the reader.
 */
#ifndef WEIR_SRC_JSON_H
#define WEIR_SRC_JSON_H

#include "base/text.h"

#define WEIR__JSON_DEPTH 256 /* Objects and arrays within one another, at most. */

typedef enum weir__json_kind {
    WEIR__JSON_ERROR,
    WEIR__JSON_END, /* Of the text. */
    WEIR__JSON_OBJECT,
    WEIR__JSON_OBJECT_END,
    WEIR__JSON_ARRAY,
    WEIR__JSON_ARRAY_END,
    WEIR__JSON_NAME, /* Of a member; its value is next. */
    WEIR__JSON_STRING,
    WEIR__JSON_NUMBER,
    WEIR__JSON_TRUE,
    WEIR__JSON_FALSE,
    WEIR__JSON_NULL,
} weir__json_kind;

typedef struct weir__json {
    const char *text; /* Borrowed. */
    size_t size, at;
    weir__json_kind kind; /* Of the last token... */
    const char *token;    /* ...and its bytes: of a name or string, within the quotes, escaped. */
    size_t token_size;
    const char *error; /* Static English; NULL = none. */
    size_t error_at;   /* The offending byte, 0-based. */
    unsigned depth;
    unsigned expect;                        /* What may come next; private. */
    uint64_t arrays[WEIR__JSON_DEPTH / 64]; /* A bit per level: it is an array. */
} weir__json;

void weir__json_begin(weir__json *json, const char *text, size_t size);
weir__json_kind weir__json_next(weir__json *json);
/* The rest of the text is blank, and there was no error. */
bool weir__json_end(weir__json *json);

/* The next token must begin an object, or an array. */
bool weir__json_object(weir__json *json);
bool weir__json_array(weir__json *json);
/* In an object: takes the next name. False at its end, which is taken, or at an error. */
bool weir__json_member(weir__json *json);
/* In an array: there is another element, which is yet to be read. False as above. */
bool weir__json_element(weir__json *json);

/* The next value must be of the kind asked for; else the error is set, and false returned. */
bool weir__json_u64(weir__json *json, uint64_t min, uint64_t max, uint64_t *out); /* 7 or "7". */
bool weir__json_i64(weir__json *json, int64_t min, int64_t max, int64_t *out);
bool weir__json_double(weir__json *json, double *out); /* Finite. */
bool weir__json_bool(weir__json *json, bool *out);
/* A string, unescaped, with a NUL: at most room - 1 bytes, none of them NUL. */
bool weir__json_copy(weir__json *json, char *out, size_t room);
bool weir__json_text(weir__json *json, weir__text *out); /* Appends; any byte. */
bool weir__json_skip(weir__json *json);                  /* Any value, with all that is in it. */

/* Of the last token, a name or string: whether it is this one, unescaped. */
bool weir__json_is(const weir__json *json, const char *str);
/* The same token, unescaped, appended. */
void weir__json_unescape(const weir__json *json, weir__text *out);
/* Reading on makes no sense, because of what the last token says. Returns false. */
bool weir__json_fail(weir__json *json, const char *error);
/* Of the error, 1-based. */
size_t weir__json_line(const weir__json *json);

/* A number as JSON writes it, the whole text of it: false if it is none, or not finite. */
bool weir__json_read_double(const char *text, size_t size, double *out);

#endif

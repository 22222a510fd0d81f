/* Heads, written. All checks come first, so a head is queued whole or not at all. */
#ifndef WEIR_SRC_HTTP_WRITE_H
#define WEIR_SRC_HTTP_WRITE_H

#include <weir/http.h>

#include "net/http_bytes.h"

#define WEIR__HTTP_DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and NUL. */

typedef enum weir__http_length {
    WEIR__HTTP_LENGTH_NONE,    /* No field: no body, or until the connection's end. */
    WEIR__HTTP_LENGTH_FIXED,   /* Content-Length. */
    WEIR__HTTP_LENGTH_CHUNKED, /* Transfer-Encoding: chunked. */
} weir__http_length;

/* What the library adds to a head. */
typedef struct weir__http_added {
    weir__http_length length;
    uint64_t size;          /* For WEIR__HTTP_LENGTH_FIXED. */
    const char *connection; /* "close", "keep-alive", or NULL: no field. */
    const char *date;       /* Responses: used if there is none among the headers. */
    const char *host;       /* Requests: likewise. */
} weir__http_added;

/* WEIR_OK, WEIR_EINVAL or WEIR_ENOMEM: nothing is queued. */
int weir__http_write_response(weir__http_bytes *out, const weir_env *env,
                              const weir_http_response *response, const weir__http_added *added);
/* Whether it can be sent. */
bool weir__http_request_valid(const weir_http_request *request);
int weir__http_write_request(weir__http_bytes *out, const weir_env *env,
                             const weir_http_request *request, const weir__http_added *added);
/* The size line of a chunk; returns its length, at most WEIR__HTTP_CHUNK_HEAD_SIZE. */
#define WEIR__HTTP_CHUNK_HEAD_SIZE 18
size_t weir__http_write_chunk_head(char out[WEIR__HTTP_CHUNK_HEAD_SIZE], size_t size);
/* IMF-fixdate (RFC 9110, 5.6.7). */
void weir__http_write_date(char out[WEIR__HTTP_DATE_SIZE], uint64_t wall_ns);

#endif

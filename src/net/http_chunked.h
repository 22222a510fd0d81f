/*
 * The chunked transfer coding, decoded (RFC 9112, 7.1): a machine on slices of any cut, strict
 * about line ends, and bounded: extensions and trailers are checked, counted and dropped.
 */
#ifndef WEIR_SRC_HTTP_CHUNKED_H
#define WEIR_SRC_HTTP_CHUNKED_H

#include <weir/http.h>

/* What a parser found in the bytes it was given. */
typedef enum weir__http_event {
    WEIR__HTTP_MORE,   /* Nothing yet, and all bytes are taken. */
    WEIR__HTTP_HEAD,   /* A whole head. */
    WEIR__HTTP_BODY,   /* A part of the body. */
    WEIR__HTTP_END,    /* The end of the message. */
    WEIR__HTTP_FAILED, /* Malformed, or over a limit; for good. */
} weir__http_event;

typedef struct weir__http_chunked {
    uint64_t left;     /* Of the size or the data of this chunk. */
    uint64_t max_body; /* What the data of further chunks may add up to. */
    uint64_t overhead; /* What extensions and trailers may add up to. */
    int state;
    unsigned digits;
    int code;            /* Once failed: WEIR_EPROTOCOL, or WEIR_ETOOLARGE for... */
    bool body_too_large; /* ...the body; otherwise the overhead. */
    const char *reason;
} weir__http_chunked;

void weir__http_chunked_init(weir__http_chunked *chunked, uint64_t max_body, uint64_t overhead);
/* Takes bytes off the front of *in; *data is the part of a body, within what was taken. */
weir__http_event weir__http_chunked_next(weir__http_chunked *chunked, weir_http_slice *in,
                                         weir_http_slice *data);

#endif

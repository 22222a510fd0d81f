/*
 * HTTP/1.1 messages, parsed (RFC 9112): a machine on slices of any cut, without I/O. Heads are
 * copied into a buffer of the parser, line by line, and each line is judged when it is complete:
 * so the result does not depend on how the bytes were cut.
 */
#ifndef WEIR_SRC_HTTP_PARSER_H
#define WEIR_SRC_HTTP_PARSER_H

#include "base/env.h"
#include "net/http_chunked.h"

typedef struct weir__http_limits {
    uint32_t header_bytes, headers, target_bytes;
    uint64_t body_bytes;
} weir__http_limits;

typedef enum weir__http_framing {
    WEIR__HTTP_NO_BODY,
    WEIR__HTTP_FIXED,
    WEIR__HTTP_CHUNKED,
    WEIR__HTTP_UNTIL_CLOSE,
} weir__http_framing;

typedef struct weir__http_parser {
    const weir_env *env; /* Borrowed. */
    weir__http_limits limits;
    bool responses; /* Else requests. */
    bool to_head;   /* Set by the owner: the next response answers a HEAD. */

    int state;
    char *text; /* The head so far, up to the end of a line or of what has come. */
    size_t size, capacity;
    size_t line; /* Where the line that is coming begins. */
    weir_http_header *headers;
    size_t count, header_capacity;
    weir_http_slice length, coding, host; /* Of the headers of that name; data NULL: none. */
    bool repeated;                        /* Length or coding came twice. */
    bool skipped;                         /* An empty line came before the request. */
    bool close, keep;                     /* Named by Connection. */
    weir__http_chunked chunked;

    /* From HEAD on: */
    weir_http_request request;
    weir_http_response response;
    weir__http_framing framing;
    bool persistent;     /* The peer keeps the connection after this message. */
    bool wants_continue; /* Expect: 100-continue. */
    uint64_t left;       /* Of a fixed body. */

    weir_http_slice body; /* On BODY: within the bytes given. */
    /* On FAILED: */
    int code;   /* WEIR_EPROTOCOL, WEIR_ETOOLARGE or WEIR_ENOMEM. */
    int status; /* To answer a request with. */
    const char *reason;
} weir__http_parser;

/* Allocates nothing. */
void weir__http_parser_init(weir__http_parser *parser, const weir_env *env, bool responses,
                            const weir__http_limits *limits);
void weir__http_parser_free(weir__http_parser *parser);
/* Takes bytes off the front of *in until it has something to tell; call again until MORE, also
   when *in is empty. After END, weir__http_parser_reset() comes before the next message. */
weir__http_event weir__http_parser_next(weir__http_parser *parser, weir_http_slice *in);
void weir__http_parser_reset(weir__http_parser *parser);
/* The peer sends no more: END if that ends the message, MORE if none had begun, else FAILED. */
weir__http_event weir__http_parser_eof(weir__http_parser *parser);
/* Not a byte of the next message has come. */
bool weir__http_parser_idle(const weir__http_parser *parser);
weir__http_event weir__http_parser_fail(weir__http_parser *parser, int code, int status,
                                        const char *reason);

/* http_head.c: the lines of a head, and what a whole head means. Each false has failed. */
bool weir__http_start_line(weir__http_parser *parser, weir_http_slice line);
bool weir__http_header_line(weir__http_parser *parser, weir_http_slice line);
bool weir__http_head_end(weir__http_parser *parser);

#endif

#include "net/http_parser.h"

#include <string.h>

#define WEIR__HTTP_FIRST_HEAD_BYTES 1024

typedef enum parser_state {
    PARSER_START_LINE,
    PARSER_HEADERS,
    PARSER_BODY,
    PARSER_END,
    PARSER_FAILED,
} parser_state;

void weir__http_parser_init(weir__http_parser *parser, const weir_env *env, bool responses,
                            const weir__http_limits *limits)
{
    *parser = (weir__http_parser){.env = env, .responses = responses, .limits = *limits};
    weir__http_parser_reset(parser);
}

void weir__http_parser_free(weir__http_parser *parser)
{
    weir__free(parser->env, parser->text, parser->capacity);
    weir__free(parser->env, parser->headers, parser->header_capacity * sizeof *parser->headers);
    parser->text = NULL;
    parser->headers = NULL;
    parser->capacity = parser->header_capacity = 0;
}

void weir__http_parser_reset(weir__http_parser *parser)
{
    weir_http_slice const none = {NULL, 0};
    parser->state = PARSER_START_LINE;
    parser->size = parser->line = parser->count = 0;
    parser->length = parser->coding = parser->host = none;
    parser->repeated = parser->skipped = parser->close = parser->keep = false;
    parser->to_head = parser->wants_continue = false;
}

bool weir__http_parser_idle(const weir__http_parser *parser)
{
    return parser->state == PARSER_START_LINE && parser->size == 0;
}

weir__http_event weir__http_parser_fail(weir__http_parser *parser, int code, int status,
                                        const char *reason)
{
    parser->state = PARSER_FAILED;
    parser->code = code;
    parser->status = status;
    parser->reason = reason;
    return WEIR__HTTP_FAILED;
}

static void parser_move(weir_http_slice *slice, const char *from, const char *to)
{
    if (slice->data != NULL)
        slice->data = to + (slice->data - from);
}

/* Room for `more` bytes of head; slices into the old text are moved along. */
static bool parser_reserve(weir__http_parser *parser, size_t more)
{
    if (more <= parser->capacity - parser->size)
        return true;
    size_t capacity = parser->capacity > 0 ? parser->capacity : WEIR__HTTP_FIRST_HEAD_BYTES;
    while (capacity - parser->size < more)
        capacity *= 2;
    char *const text = weir__alloc(parser->env, capacity);
    if (text == NULL)
        return false;
    const char *const old = parser->text;
    if (old != NULL) {
        memcpy(text, old, parser->size);
        parser_move(&parser->request.method, old, text);
        parser_move(&parser->request.target, old, text);
        parser_move(&parser->response.reason, old, text);
        parser_move(&parser->length, old, text);
        parser_move(&parser->coding, old, text);
        parser_move(&parser->host, old, text);
        for (size_t i = 0; i < parser->count; i++) {
            parser_move(&parser->headers[i].name, old, text);
            parser_move(&parser->headers[i].value, old, text);
        }
        weir__free(parser->env, parser->text, parser->capacity);
    }
    parser->text = text;
    parser->capacity = capacity;
    return true;
}

static bool parser_too_long(weir__http_parser *parser)
{
    bool const target = parser->state == PARSER_START_LINE && !parser->responses;
    (void)weir__http_parser_fail(parser, WEIR_ETOOLARGE, target ? 414 : 431,
                                 target ? "request line over the limit" : "header over the limit");
    return false;
}

/* Takes what belongs to the coming line. True when it is complete, or the parser has failed. */
static bool parser_take_line(weir__http_parser *parser, weir_http_slice *in)
{
    const char *const lf = in->size > 0 ? memchr(in->data, '\n', in->size) : NULL;
    size_t const size = lf != NULL ? (size_t)(lf - in->data) + 1 : in->size;
    if (size > parser->limits.header_bytes - parser->size)
        return !parser_too_long(parser);
    if (!parser_reserve(parser, size)) {
        (void)weir__http_parser_fail(parser, WEIR_ENOMEM, 503, "out of memory");
        return true;
    }
    if (size > 0)
        memcpy(parser->text + parser->size, in->data, size);
    parser->size += size;
    in->data += size;
    in->size -= size;
    return lf != NULL;
}

/* The line at parser->line is complete. True at the end of the head. */
static bool parser_judge_line(weir__http_parser *parser)
{
    weir_http_slice line = {parser->text + parser->line, parser->size - parser->line};
    if (line.size < 2 || line.data[line.size - 2] != '\r') {
        (void)weir__http_parser_fail(parser, WEIR_EPROTOCOL, 400, "line ends without CR");
        return false;
    }
    line.size -= 2;
    if (parser->state == PARSER_HEADERS) {
        if (line.size == 0)
            return weir__http_head_end(parser);
        (void)weir__http_header_line(parser, line);
    } else if (line.size == 0 && !parser->responses && !parser->skipped) {
        parser->skipped = true; /* RFC 9112, 2.2: one is tolerated before a request. */
        parser->size = 0;
    } else if (weir__http_start_line(parser, line)) {
        parser->state = PARSER_HEADERS;
    }
    parser->line = parser->size;
    return false;
}

static weir__http_event parser_head(weir__http_parser *parser, weir_http_slice *in)
{
    while (parser_take_line(parser, in)) {
        if (parser->state == PARSER_FAILED)
            return WEIR__HTTP_FAILED;
        bool const ended = parser_judge_line(parser);
        if (parser->state == PARSER_FAILED)
            return WEIR__HTTP_FAILED;
        if (ended) {
            parser->state = PARSER_BODY;
            return WEIR__HTTP_HEAD;
        }
    }
    return WEIR__HTTP_MORE;
}

static weir__http_event parser_chunked(weir__http_parser *parser, weir_http_slice *in)
{
    weir__http_event const event = weir__http_chunked_next(&parser->chunked, in, &parser->body);
    if (event != WEIR__HTTP_FAILED)
        return event;
    weir__http_chunked const *const chunked = &parser->chunked;
    int const status = chunked->code == WEIR_EPROTOCOL ? 400 : chunked->body_too_large ? 413 : 431;
    return weir__http_parser_fail(parser, chunked->code, status, chunked->reason);
}

/* As much as there is, of at most `left`. */
static weir__http_event parser_plain(weir__http_parser *parser, weir_http_slice *in, uint64_t *left)
{
    if (in->size == 0)
        return WEIR__HTTP_MORE;
    parser->body = *in;
    if (parser->body.size > *left)
        parser->body.size = (size_t)*left;
    *left -= parser->body.size;
    in->data += parser->body.size;
    in->size -= parser->body.size;
    return WEIR__HTTP_BODY;
}

static weir__http_event parser_until_close(weir__http_parser *parser, weir_http_slice *in)
{
    if (in->size > parser->left)
        return weir__http_parser_fail(parser, WEIR_ETOOLARGE, 413, "body over the limit");
    return parser_plain(parser, in, &parser->left);
}

static weir__http_event parser_body(weir__http_parser *parser, weir_http_slice *in)
{
    switch (parser->framing) {
    case WEIR__HTTP_CHUNKED: return parser_chunked(parser, in);
    case WEIR__HTTP_UNTIL_CLOSE: return parser_until_close(parser, in);
    case WEIR__HTTP_FIXED:
        return parser->left > 0 ? parser_plain(parser, in, &parser->left) : WEIR__HTTP_END;
    case WEIR__HTTP_NO_BODY: break;
    }
    return WEIR__HTTP_END;
}

weir__http_event weir__http_parser_next(weir__http_parser *parser, weir_http_slice *in)
{
    switch ((parser_state)parser->state) {
    case PARSER_START_LINE:
    case PARSER_HEADERS: return parser_head(parser, in);
    case PARSER_FAILED: return WEIR__HTTP_FAILED;
    case PARSER_END: return WEIR__HTTP_MORE;
    case PARSER_BODY: break;
    }
    weir__http_event const event = parser_body(parser, in);
    if (event == WEIR__HTTP_END)
        parser->state = PARSER_END;
    return event;
}

weir__http_event weir__http_parser_eof(weir__http_parser *parser)
{
    if (parser->state == PARSER_FAILED)
        return WEIR__HTTP_FAILED;
    if (parser->state == PARSER_END || weir__http_parser_idle(parser))
        return WEIR__HTTP_MORE;
    if (parser->state == PARSER_BODY && parser->framing == WEIR__HTTP_UNTIL_CLOSE) {
        parser->state = PARSER_END;
        return WEIR__HTTP_END;
    }
    return weir__http_parser_fail(parser, WEIR_ECLOSED, 400,
                                  parser->state == PARSER_BODY ? "closed within the body"
                                                               : "closed within the head");
}

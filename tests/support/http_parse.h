/* Feeds a parser in cuts of a chosen size and writes down what it told, as text. */
#ifndef WEIR_TEST_HTTP_PARSE_H
#define WEIR_TEST_HTTP_PARSE_H

#include "net/http_parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARSE_TRACE_SIZE 65536

typedef struct parse_trace {
    char text[PARSE_TRACE_SIZE];
    size_t size;
    bool in_body; /* Parts of a body that follow each other are one, however they were cut. */
} parse_trace;

static inline void parse_say(parse_trace *trace, const char *data, size_t size)
{
    size_t const room = PARSE_TRACE_SIZE - 1 - trace->size;
    size = size < room ? size : room;
    if (size > 0)
        memcpy(trace->text + trace->size, data, size);
    trace->size += size;
    trace->text[trace->size] = '\0';
}

static inline void parse_say_str(parse_trace *trace, const char *text)
{
    parse_say(trace, text, strlen(text));
}

static inline void parse_say_slice(parse_trace *trace, const char *before, weir_http_slice slice)
{
    parse_say_str(trace, before);
    parse_say(trace, slice.data, slice.size);
}

static inline void parse_say_number(parse_trace *trace, const char *before, uint64_t number)
{
    char text[32];
    if (number == WEIR_HTTP_SIZE_UNKNOWN)
        (void)snprintf(text, sizeof text, "%s?", before);
    else
        (void)snprintf(text, sizeof text, "%s%llu", before, (unsigned long long)number);
    parse_say_str(trace, text);
}

static inline void parse_say_head(parse_trace *trace, const weir__http_parser *parser)
{
    const weir_http_header *headers = parser->request.headers;
    size_t count = parser->request.header_count;
    if (parser->responses) {
        headers = parser->response.headers;
        count = parser->response.header_count;
        parse_say_number(trace, "", (uint64_t)parser->response.status);
        parse_say_slice(trace, " ", parser->response.reason);
        parse_say_number(trace, "|1.", (uint64_t)parser->response.minor_version);
        parse_say_number(trace, "|size=", parser->response.body_size);
    } else {
        parse_say_slice(trace, "", parser->request.method);
        parse_say_slice(trace, " ", parser->request.target);
        parse_say_slice(trace, "|", parser->request.path);
        parse_say_slice(trace, "|", parser->request.authority);
        parse_say_number(trace, "|1.", (uint64_t)parser->request.minor_version);
        parse_say_number(trace, "|size=", parser->request.body_size);
    }
    parse_say_str(trace, parser->persistent ? "|keep" : "|close");
    for (size_t i = 0; i < count; i++) {
        parse_say_slice(trace, "|", headers[i].name);
        parse_say_slice(trace, "=", headers[i].value);
    }
    parse_say_str(trace, "\n");
}

/* False once it has failed. */
static inline bool parse_event(parse_trace *trace, weir__http_parser *parser,
                               weir__http_event event)
{
    if (event == WEIR__HTTP_BODY) {
        parse_say_slice(trace, trace->in_body ? "" : "body:", parser->body);
        trace->in_body = true;
        return true;
    }
    if (trace->in_body)
        parse_say_str(trace, "\n");
    trace->in_body = false;
    if (event == WEIR__HTTP_HEAD) {
        parse_say_head(trace, parser);
    } else if (event == WEIR__HTTP_END) {
        parse_say_str(trace, "end\n");
        bool const interim = parser->responses && parser->response.status < 200;
        bool const to_head = parser->to_head;
        weir__http_parser_reset(parser);
        parser->to_head = interim && to_head;
    } else {
        parse_say_number(trace, "failed ", (uint64_t)parser->status);
        parse_say_str(trace, " ");
        parse_say_str(trace, parser->reason);
        parse_say_str(trace, "\n");
        return false;
    }
    return true;
}

/* All of the input, in cuts of at most `cut` bytes, then its end. Each cut is a copy of its exact
   size, so that a sanitizer sees a read beyond it. */
static inline void parse_all(parse_trace *trace, weir__http_parser *parser, const char *data,
                             size_t size, size_t cut)
{
    trace->size = 0;
    trace->text[0] = '\0';
    trace->in_body = false;
    bool alive = true;
    for (size_t at = 0; alive && at < size; at += cut) {
        size_t const part = size - at < cut ? size - at : cut;
        char *const copy = malloc(part);
        if (copy == NULL)
            abort();
        memcpy(copy, data + at, part);
        weir_http_slice in = {copy, part};
        weir__http_event event;
        while (alive && (event = weir__http_parser_next(parser, &in)) != WEIR__HTTP_MORE)
            alive = parse_event(trace, parser, event);
        free(copy);
    }
    weir__http_event const last = alive ? weir__http_parser_eof(parser) : WEIR__HTTP_MORE;
    if (last != WEIR__HTTP_MORE)
        (void)parse_event(trace, parser, last);
}

#endif

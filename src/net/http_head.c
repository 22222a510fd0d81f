#include "net/http_parser.h"
#include "net/http_syntax.h"

#include <string.h>

#define WEIR__HTTP_FIRST_HEADERS 16

static bool head_malformed(weir__http_parser *parser, const char *reason)
{
    (void)weir__http_parser_fail(parser, WEIR_EPROTOCOL, 400, reason);
    return false;
}

/* ---- Start lines ---- */

/* Up to the next space, which is taken, too; data NULL if there is none. */
static weir_http_slice head_word(weir_http_slice *line)
{
    const char *const space = line->size > 0 ? memchr(line->data, ' ', line->size) : NULL;
    if (space == NULL)
        return (weir_http_slice){NULL, 0};
    weir_http_slice const word = {line->data, (size_t)(space - line->data)};
    line->size -= word.size + 1;
    line->data = space + 1;
    return word;
}

static bool head_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.x": a minor version above 1 is spoken to as 1 (RFC 9110, 2.5). */
static bool head_version(weir__http_parser *parser, weir_http_slice version, int *minor)
{
    if (version.size != 8 || memcmp(version.data, "HTTP/", 5) != 0 ||
        !head_is_digit(version.data[5]) || version.data[6] != '.' ||
        !head_is_digit(version.data[7]))
        return head_malformed(parser, "malformed HTTP version");
    if (version.data[5] != '1') {
        (void)weir__http_parser_fail(parser, WEIR_EPROTOCOL, 505, "HTTP version not supported");
        return false;
    }
    *minor = version.data[7] == '0' ? 0 : 1;
    return true;
}

static bool head_request_line(weir__http_parser *parser, weir_http_slice line)
{
    weir_http_request *const request = &parser->request;
    *request = (weir_http_request){.method = head_word(&line)};
    request->target = head_word(&line);
    if (request->method.size == 0 || !weir__http_all(request->method, WEIR__HTTP_TCHAR))
        return head_malformed(parser, "malformed method");
    if (request->target.size == 0)
        return head_malformed(parser, "malformed request line");
    if (request->target.size > parser->limits.target_bytes) {
        (void)weir__http_parser_fail(parser, WEIR_ETOOLARGE, 414, "request target over the limit");
        return false;
    }
    if (!weir__http_all(request->target, WEIR__HTTP_TARGET))
        return head_malformed(parser, "malformed request target");
    return head_version(parser, line, &request->minor_version);
}

static bool head_status_line(weir__http_parser *parser, weir_http_slice line)
{
    weir_http_response *const response = &parser->response;
    *response = (weir_http_response){.status = 0};
    weir_http_slice const version = head_word(&line);
    if (version.data == NULL)
        return head_malformed(parser, "malformed status line");
    if (!head_version(parser, version, &response->minor_version))
        return false;
    if (line.size < 3 || line.data[0] < '1' || !head_is_digit(line.data[0]) ||
        !head_is_digit(line.data[1]) || !head_is_digit(line.data[2]) ||
        (line.size > 3 && line.data[3] != ' '))
        return head_malformed(parser, "malformed status");
    for (int i = 0; i < 3; i++)
        response->status = response->status * 10 + (line.data[i] - '0');
    if (line.size > 4) /* Servers that send no phrase leave out its space, too. */
        response->reason = (weir_http_slice){line.data + 4, line.size - 4};
    if (!weir__http_all(response->reason, WEIR__HTTP_VALUE))
        return head_malformed(parser, "malformed reason phrase");
    return true;
}

bool weir__http_start_line(weir__http_parser *parser, weir_http_slice line)
{
    return parser->responses ? head_status_line(parser, line) : head_request_line(parser, line);
}

/* ---- Header fields ---- */

/* Framing fields may come once only: which of two would the next parser believe? */
static void head_note_once(weir__http_parser *parser, weir_http_slice *noted, weir_http_slice value)
{
    parser->repeated |= noted->data != NULL;
    *noted = value;
}

static void head_note_connection(weir__http_parser *parser, weir_http_slice list)
{
    weir_http_slice option;
    while (weir__http_list_next(&list, &option)) {
        parser->close |= weir_http_equals(option, "close");
        parser->keep |= weir_http_equals(option, "keep-alive");
    }
}

static bool head_note(weir__http_parser *parser, weir_http_header field)
{
    switch (field.name.size) {
    case 4:
        if (!parser->responses && weir_http_equals(field.name, "Host")) {
            if (parser->host.data != NULL)
                return head_malformed(parser, "repeated Host");
            parser->host = field.value;
        }
        break;
    case 6:
        if (weir_http_equals(field.name, "Expect"))
            parser->wants_continue |= weir_http_equals(field.value, "100-continue");
        break;
    case 10:
        if (weir_http_equals(field.name, "Connection"))
            head_note_connection(parser, field.value);
        break;
    case 14:
        if (weir_http_equals(field.name, "Content-Length"))
            head_note_once(parser, &parser->length, field.value);
        break;
    case 17:
        if (weir_http_equals(field.name, "Transfer-Encoding"))
            head_note_once(parser, &parser->coding, field.value);
        break;
    default: break;
    }
    return true;
}

static bool head_add(weir__http_parser *parser, weir_http_header field)
{
    if (parser->count == parser->limits.headers) {
        (void)weir__http_parser_fail(parser, WEIR_ETOOLARGE, 431, "too many header fields");
        return false;
    }
    if (parser->count == parser->header_capacity) {
        size_t const old = parser->header_capacity;
        size_t const capacity = old > 0 ? old * 2 : WEIR__HTTP_FIRST_HEADERS;
        weir_http_header *const headers =
            weir__resize(parser->env, parser->headers, old * sizeof *headers,
                         capacity * sizeof *headers);
        if (headers == NULL) {
            (void)weir__http_parser_fail(parser, WEIR_ENOMEM, 503, "out of memory");
            return false;
        }
        parser->headers = headers;
        parser->header_capacity = capacity;
    }
    parser->headers[parser->count++] = field;
    return head_note(parser, field);
}

bool weir__http_header_line(weir__http_parser *parser, weir_http_slice line)
{
    if (weir__http_is((unsigned char)line.data[0], WEIR__HTTP_BLANK))
        return head_malformed(parser, "folded header field");
    const char *const colon = memchr(line.data, ':', line.size);
    if (colon == NULL)
        return head_malformed(parser, "header field without a colon");
    weir_http_slice const name = {line.data, (size_t)(colon - line.data)};
    weir_http_slice const value = {colon + 1, line.size - name.size - 1};
    if (name.size == 0 || !weir__http_all(name, WEIR__HTTP_TCHAR))
        return head_malformed(parser, "malformed header name");
    if (!weir__http_all(value, WEIR__HTTP_VALUE))
        return head_malformed(parser, "malformed header value");
    return head_add(parser, (weir_http_header){name, weir__http_trim(value)});
}

/* ---- The target and the host ---- */

/* "http://host/path": the host takes the place of Host, and may not contradict it. */
static bool head_absolute_target(weir__http_parser *parser)
{
    weir_http_request *const request = &parser->request;
    weir_http_slice rest = request->target;
    size_t const scheme =
        rest.size > 8 && weir_http_equals((weir_http_slice){rest.data, 8}, "https://")  ? 8
        : rest.size > 7 && weir_http_equals((weir_http_slice){rest.data, 7}, "http://") ? 7
                                                                                        : 0;
    if (scheme == 0)
        return head_malformed(parser, "malformed request target");
    rest.data += scheme;
    rest.size -= scheme;
    size_t host = 0;
    while (host < rest.size && rest.data[host] != '/' && rest.data[host] != '?')
        host++;
    request->authority = (weir_http_slice){rest.data, host};
    request->path = (weir_http_slice){rest.data + host, rest.size - host};
    if (host == 0 || (host < rest.size && rest.data[host] == '?'))
        return head_malformed(parser, "malformed request target");
    if (request->path.size == 0)
        request->path = weir_http_str("/");
    if (!weir__http_authority_valid(request->authority))
        return head_malformed(parser, "malformed host in request target");
    if (parser->host.data != NULL && !weir__http_same(parser->host, request->authority))
        return head_malformed(parser, "Host differs from the request target");
    return true;
}

static bool head_target(weir__http_parser *parser)
{
    weir_http_request *const request = &parser->request;
    if (parser->host.data == NULL && request->minor_version == 1)
        return head_malformed(parser, "missing Host");
    if (!weir__http_authority_valid(parser->host))
        return head_malformed(parser, "malformed Host");
    request->authority = parser->host.data != NULL ? parser->host : weir_http_str("");
    request->path = request->target;
    if (request->method.size == 7 && memcmp(request->method.data, "CONNECT", 7) == 0) {
        (void)weir__http_parser_fail(parser, WEIR_EPROTOCOL, 501, "CONNECT is not supported");
        return false;
    }
    if (request->target.data[0] == '/')
        return true;
    if (request->target.size == 1 && request->target.data[0] == '*')
        return weir_http_equals(request->method, "OPTIONS") ||
               head_malformed(parser, "malformed request target");
    return head_absolute_target(parser);
}

/* ---- Framing (RFC 9112, 6) ---- */

static bool head_length(weir__http_parser *parser, uint64_t *out)
{
    uint64_t value = 0;
    if (parser->repeated || parser->length.size == 0)
        return head_malformed(parser, "malformed Content-Length");
    for (size_t i = 0; i < parser->length.size; i++) {
        if (!head_is_digit(parser->length.data[i]))
            return head_malformed(parser, "malformed Content-Length");
        unsigned const digit = (unsigned)(parser->length.data[i] - '0');
        if (value > ((uint64_t)INT64_MAX - digit) / 10)
            return head_malformed(parser, "Content-Length overflows");
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

/* Only "chunked" is spoken; a request in another coding is well formed, and 501. */
static bool head_coding(weir__http_parser *parser, int minor)
{
    if (parser->length.data != NULL)
        return head_malformed(parser, "Content-Length beside Transfer-Encoding");
    if (minor == 0)
        return head_malformed(parser, "Transfer-Encoding in HTTP/1.0");
    if (parser->repeated)
        return head_malformed(parser, "repeated Transfer-Encoding");
    if (weir_http_equals(parser->coding, "chunked"))
        return true;
    weir_http_slice list = parser->coding, element;
    bool unknown = false;
    while (weir__http_list_next(&list, &element))
        unknown |= element.size > 0 && !weir_http_equals(element, "chunked");
    if (!unknown)
        return head_malformed(parser, "malformed Transfer-Encoding");
    (void)weir__http_parser_fail(parser, WEIR_EPROTOCOL, 501, "unknown transfer coding");
    return false;
}

/* A response without a body, whatever its headers say. */
static bool head_is_bodyless(const weir__http_parser *parser)
{
    int const status = parser->response.status;
    return parser->responses && (parser->to_head || status < 200 || status == 204 || status == 304);
}

/* Sets framing, left and the size for the user. */
static bool head_frame(weir__http_parser *parser, int minor, uint64_t *body_size)
{
    *body_size = parser->responses ? WEIR_HTTP_SIZE_UNKNOWN : 0;
    parser->framing = parser->responses ? WEIR__HTTP_UNTIL_CLOSE : WEIR__HTTP_NO_BODY;
    parser->left = parser->limits.body_bytes;
    if (parser->coding.data != NULL) {
        if (!head_coding(parser, minor))
            return false;
        parser->framing = WEIR__HTTP_CHUNKED;
        *body_size = WEIR_HTTP_SIZE_UNKNOWN;
        weir__http_chunked_init(&parser->chunked, parser->limits.body_bytes,
                                parser->limits.header_bytes);
    } else if (parser->length.data != NULL) {
        if (!head_length(parser, body_size))
            return false;
        parser->framing = WEIR__HTTP_FIXED;
    }
    if (head_is_bodyless(parser)) {
        parser->framing = WEIR__HTTP_NO_BODY;
        return true;
    }
    if (parser->framing == WEIR__HTTP_FIXED) {
        if (*body_size > parser->limits.body_bytes) {
            (void)weir__http_parser_fail(parser, WEIR_ETOOLARGE, 413, "body over the limit");
            return false;
        }
        parser->left = *body_size;
    }
    return true;
}

bool weir__http_head_end(weir__http_parser *parser)
{
    int const minor =
        parser->responses ? parser->response.minor_version : parser->request.minor_version;
    uint64_t size;
    if ((!parser->responses && !head_target(parser)) || !head_frame(parser, minor, &size))
        return false;
    parser->persistent =
        !parser->close && (minor == 1 || parser->keep) && parser->framing != WEIR__HTTP_UNTIL_CLOSE;
    if (parser->responses) {
        parser->response.headers = parser->headers;
        parser->response.header_count = parser->count;
        parser->response.body_size = size;
        return true;
    }
    parser->request.headers = parser->headers;
    parser->request.header_count = parser->count;
    parser->request.body_size = size;
    parser->wants_continue &= minor == 1 && size > 0;
    return true;
}

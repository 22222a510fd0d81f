#include <weir/http.h>

#include "net/http_syntax.h"

#include <string.h>

/* Sums of the classes, sixteen bytes a row: tokens and values by RFC 9110 (5.6.2, 5.5), hosts by
   RFC 3986 (3.2.2), targets all visible ASCII but '#', '<' and '>'. */
/* clang-format off */
const unsigned char weir__http_class[256] = {
     0,  0,  0,  0,  0,  0,  0,  0,  0, 18,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
    18, 15,  6,  3, 15, 15, 15, 15, 14, 14, 15, 15, 14, 15, 15,  6,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6, 14,  2, 14,  2,  6,
     6, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6,  6,  6,  7, 15,
     7, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6,  7,  6, 15,  0,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
};
/* clang-format on */

static unsigned char http_lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool weir__http_all(weir_http_slice slice, unsigned char classes)
{
    for (size_t i = 0; i < slice.size; i++)
        if (!weir__http_is((unsigned char)slice.data[i], classes))
            return false;
    return true;
}

weir_http_slice weir__http_trim(weir_http_slice slice)
{
    while (slice.size > 0 && weir__http_is((unsigned char)slice.data[0], WEIR__HTTP_BLANK)) {
        slice.data++;
        slice.size--;
    }
    while (slice.size > 0 &&
           weir__http_is((unsigned char)slice.data[slice.size - 1], WEIR__HTTP_BLANK))
        slice.size--;
    return slice;
}

bool weir__http_same(weir_http_slice a, weir_http_slice b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (a.data[i] != b.data[i] && http_lower(a.data[i]) != http_lower(b.data[i]))
            return false;
    return true;
}

bool weir__http_list_next(weir_http_slice *list, weir_http_slice *element)
{
    if (list->data == NULL)
        return false;
    const char *const comma = list->size > 0 ? memchr(list->data, ',', list->size) : NULL;
    size_t const size = comma != NULL ? (size_t)(comma - list->data) : list->size;
    *element = weir__http_trim((weir_http_slice){list->data, size});
    list->size -= comma != NULL ? size + 1 : size;
    list->data = comma != NULL ? comma + 1 : NULL;
    return true;
}

/* What follows the host: nothing, or a colon and digits. */
static bool http_port_valid(weir_http_slice port)
{
    if (port.size == 0)
        return true;
    if (port.data[0] != ':')
        return false;
    for (size_t i = 1; i < port.size; i++)
        if (port.data[i] < '0' || port.data[i] > '9')
            return false;
    return true;
}

/* The inside of brackets is checked by its letters only: nobody here connects to it. */
bool weir__http_authority_valid(weir_http_slice authority)
{
    size_t size = 0;
    if (authority.size == 0)
        return true; /* Host may be empty (RFC 9110, 7.2). */
    if (authority.data[0] == '[') {
        const char *const end = memchr(authority.data, ']', authority.size);
        if (end == NULL)
            return false;
        size = (size_t)(end - authority.data) + 1;
        for (size_t i = 1; i + 1 < size; i++)
            if (authority.data[i] != ':' &&
                !weir__http_is((unsigned char)authority.data[i], WEIR__HTTP_HOST))
                return false;
    } else {
        while (size < authority.size &&
               weir__http_is((unsigned char)authority.data[size], WEIR__HTTP_HOST))
            size++;
    }
    return http_port_valid((weir_http_slice){authority.data + size, authority.size - size});
}

bool weir__http_owns(weir_http_slice name)
{
    static const char *const names[] = {"Connection", "Content-Length",   "Expect",
                                        "Keep-Alive", "Proxy-Connection", "TE",
                                        "Trailer",    "Upgrade",          "Transfer-Encoding"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (weir_http_equals(name, names[i]))
            return true;
    return false;
}

weir_http_slice weir_http_str(const char *text)
{
    return (weir_http_slice){text != NULL ? text : "", text != NULL ? strlen(text) : 0};
}

bool weir_http_equals(weir_http_slice slice, const char *text)
{
    for (size_t i = 0; i < slice.size; i++)
        if (http_lower(slice.data[i]) != http_lower(text[i]) || text[i] == '\0')
            return false;
    return text[slice.size] == '\0';
}

const weir_http_header *weir_http_find(const weir_http_header *headers, size_t count,
                                       const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (weir_http_equals(headers[i].name, name))
            return &headers[i];
    return NULL;
}

bool weir_http_is_hop_by_hop(const weir_http_header *headers, size_t count, weir_http_slice name)
{
    if (weir__http_owns(name) || weir_http_equals(name, "Proxy-Authenticate") ||
        weir_http_equals(name, "Proxy-Authorization"))
        return true;
    for (size_t i = 0; i < count; i++) {
        if (!weir_http_equals(headers[i].name, "Connection"))
            continue;
        weir_http_slice list = headers[i].value, option;
        while (weir__http_list_next(&list, &option))
            if (weir__http_same(option, name))
                return true;
    }
    return false;
}

const char *weir_http_reason(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {/* RFC 9110, 15; 428, 429, 431: RFC 6585. */
                   {100, "Continue"},
                   {101, "Switching Protocols"},
                   {200, "OK"},
                   {201, "Created"},
                   {202, "Accepted"},
                   {203, "Non-Authoritative Information"},
                   {204, "No Content"},
                   {205, "Reset Content"},
                   {206, "Partial Content"},
                   {300, "Multiple Choices"},
                   {301, "Moved Permanently"},
                   {302, "Found"},
                   {303, "See Other"},
                   {304, "Not Modified"},
                   {307, "Temporary Redirect"},
                   {308, "Permanent Redirect"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {402, "Payment Required"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {406, "Not Acceptable"},
                   {407, "Proxy Authentication Required"},
                   {408, "Request Timeout"},
                   {409, "Conflict"},
                   {410, "Gone"},
                   {411, "Length Required"},
                   {412, "Precondition Failed"},
                   {413, "Content Too Large"},
                   {414, "URI Too Long"},
                   {415, "Unsupported Media Type"},
                   {416, "Range Not Satisfiable"},
                   {417, "Expectation Failed"},
                   {421, "Misdirected Request"},
                   {422, "Unprocessable Content"},
                   {426, "Upgrade Required"},
                   {428, "Precondition Required"},
                   {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"},
                   {500, "Internal Server Error"},
                   {501, "Not Implemented"},
                   {502, "Bad Gateway"},
                   {503, "Service Unavailable"},
                   {504, "Gateway Timeout"},
                   {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "";
}

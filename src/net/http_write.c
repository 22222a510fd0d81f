#include "net/http_write.h"

#include "net/http_syntax.h"

#include <stdio.h>
#include <time.h>

#define WEIR__HTTP_ADDED_SIZE 256 /* All fields that are added, at their longest. */

static bool http_write_headers_valid(const weir_http_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (headers[i].name.size == 0 || !weir__http_all(headers[i].name, WEIR__HTTP_TCHAR) ||
            !weir__http_all(headers[i].value, WEIR__HTTP_VALUE))
            return false;
    return true;
}

static size_t http_write_headers_size(const weir_http_header *headers, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += headers[i].name.size + headers[i].value.size + sizeof ": \r\n";
    return size;
}

static void http_write_slice(weir__http_bytes *out, weir_http_slice slice)
{
    weir__http_bytes_add(out, slice.data, slice.size);
}

static void http_write_str(weir__http_bytes *out, const char *text)
{
    weir__http_bytes_add(out, text, strlen(text));
}

static void http_write_field(weir__http_bytes *out, const char *name, const char *value)
{
    http_write_str(out, name);
    http_write_str(out, ": ");
    http_write_str(out, value);
    http_write_str(out, "\r\n");
}

static void http_write_headers(weir__http_bytes *out, const weir_http_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (weir__http_owns(headers[i].name))
            continue;
        http_write_slice(out, headers[i].name);
        http_write_str(out, ": ");
        http_write_slice(out, headers[i].value);
        http_write_str(out, "\r\n");
    }
}

static void http_write_number(weir__http_bytes *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    weir__http_bytes_add(out, digits + at, sizeof digits - at);
}

static void http_write_added(weir__http_bytes *out, const weir__http_added *added)
{
    if (added->connection != NULL)
        http_write_field(out, "Connection", added->connection);
    if (added->length == WEIR__HTTP_LENGTH_CHUNKED)
        http_write_field(out, "Transfer-Encoding", "chunked");
    if (added->length == WEIR__HTTP_LENGTH_FIXED) {
        http_write_str(out, "Content-Length: ");
        http_write_number(out, added->size);
        http_write_str(out, "\r\n");
    }
    http_write_str(out, "\r\n");
}

int weir__http_write_response(weir__http_bytes *out, const weir_env *env,
                              const weir_http_response *response, const weir__http_added *added)
{
    if (response->status < 200 || response->status > 599 ||
        !weir__http_all(response->reason, WEIR__HTTP_VALUE) ||
        !http_write_headers_valid(response->headers, response->header_count))
        return WEIR_EINVAL;
    weir_http_slice reason = response->reason;
    if (reason.size == 0)
        reason = weir_http_str(weir_http_reason(response->status));
    size_t const size = http_write_headers_size(response->headers, response->header_count);
    if (weir__http_bytes_reserve(out, env, size + reason.size + WEIR__HTTP_ADDED_SIZE) != WEIR_OK)
        return WEIR_ENOMEM;
    http_write_str(out, "HTTP/1.1 ");
    http_write_number(out, (uint64_t)response->status);
    http_write_str(out, " ");
    http_write_slice(out, reason);
    http_write_str(out, "\r\n");
    http_write_headers(out, response->headers, response->header_count);
    if (weir_http_find(response->headers, response->header_count, "Date") == NULL)
        http_write_field(out, "Date", added->date);
    http_write_added(out, added);
    return WEIR_OK;
}

/* Methods are case-sensitive (RFC 9110, 9.1). */
static bool http_is_connect(weir_http_slice method)
{
    return method.size == 7 && memcmp(method.data, "CONNECT", 7) == 0;
}

bool weir__http_request_valid(const weir_http_request *request)
{
    return request->method.size > 0 && weir__http_all(request->method, WEIR__HTTP_TCHAR) &&
           !http_is_connect(request->method) && request->target.size > 0 &&
           weir__http_all(request->target, WEIR__HTTP_TARGET) &&
           http_write_headers_valid(request->headers, request->header_count);
}

int weir__http_write_request(weir__http_bytes *out, const weir_env *env,
                             const weir_http_request *request, const weir__http_added *added)
{
    if (!weir__http_request_valid(request))
        return WEIR_EINVAL;
    size_t const size = http_write_headers_size(request->headers, request->header_count) +
                        request->method.size + request->target.size + strlen(added->host);
    if (weir__http_bytes_reserve(out, env, size + WEIR__HTTP_ADDED_SIZE) != WEIR_OK)
        return WEIR_ENOMEM;
    http_write_slice(out, request->method);
    http_write_str(out, " ");
    http_write_slice(out, request->target);
    http_write_str(out, " HTTP/1.1\r\n");
    if (weir_http_find(request->headers, request->header_count, "Host") == NULL)
        http_write_field(out, "Host", added->host);
    http_write_headers(out, request->headers, request->header_count);
    http_write_added(out, added);
    return WEIR_OK;
}

size_t weir__http_write_chunk_head(char out[WEIR__HTTP_CHUNK_HEAD_SIZE], size_t size)
{
    int shift = 0;
    while (size >> shift >= 16)
        shift += 4;
    size_t length = 0;
    for (; shift >= 0; shift -= 4)
        out[length++] = "0123456789abcdef"[size >> shift & 15];
    out[length++] = '\r';
    out[length++] = '\n';
    return length;
}

void weir__http_write_date(char out[WEIR__HTTP_DATE_SIZE], uint64_t wall_ns)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t const now = (time_t)(wall_ns / WEIR__NS_PER_S);
    struct tm tm;
    memset(&tm, 0, sizeof tm);
    (void)gmtime_r(&now, &tm);
    (void)snprintf(out, WEIR__HTTP_DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT",
                   days[tm.tm_wday], (unsigned)tm.tm_mday % 100, months[tm.tm_mon],
                   (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                   (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

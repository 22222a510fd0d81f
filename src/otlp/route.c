#include "otlp/otlp.h"

#include "net/http_write.h"

#include <string.h>
#include <strings.h>

static const char *const otlp_paths[] = {"/v1/traces", "/v1/metrics"};

/* Where a signal goes, taken apart. Slices of the URL. */
typedef struct otlp_url {
    weir_address address;
    weir_http_slice path;
    const char *suffix; /* "" or that of the signal. */
} otlp_url;

static const weir_otlp_route *otlp_own(const weir_otlp_options *o, weir_otlp_signal signal)
{
    return signal == WEIR_OTLP_TRACES ? &o->traces : &o->metrics;
}

/* ---- URLs ---- */

static const char *otlp_authority(otlp_url *url, const char *text, size_t size)
{
    char address[WEIR_ADDRESS_TEXT_SIZE + 4];
    if (size == 0)
        return "the endpoint has no host";
    if (memchr(text, '@', size) != NULL)
        return "the endpoint has a user name, which is not supported";
    if (size >= WEIR_ADDRESS_TEXT_SIZE)
        return "the endpoint's host is a name: an IP address or localhost is needed";
    memcpy(address, text, size);
    address[size] = '\0';
    const char *const bracket = strrchr(address, ']');
    if (strchr(bracket != NULL ? bracket : address, ':') == NULL)
        memcpy(address + size, ":80", sizeof ":80");
    if (weir_address_parse(&url->address, address) != WEIR_OK)
        return "the endpoint's host is a name, or its port is none: an IP address or localhost is "
               "needed";
    return url->address.port == 0 ? "the endpoint's port is 0" : NULL;
}

static const char *otlp_parse(otlp_url *url, const char *text)
{
    static const char http[] = "http://", https[] = "https://";
    if (strncasecmp(text, https, sizeof https - 1) == 0)
        return "the endpoint is https://, and there is no TLS here";
    if (strncasecmp(text, http, sizeof http - 1) != 0)
        return "the endpoint does not begin with http://";
    text += sizeof http - 1;
    size_t const host = strcspn(text, "/?#");
    url->path = weir_http_str(text + host);
    if (memchr(url->path.data, '#', url->path.size) != NULL)
        return "the endpoint has a fragment";
    return otlp_authority(url, text, host);
}

/* The signal's own is used as it is; to that for all, the signal's path is added. */
static const char *otlp_url_of(otlp_url *url, const weir_otlp_options *o, weir_otlp_signal signal)
{
    const char *const own = otlp_own(o, signal)->endpoint;
    if (own == NULL && o->endpoint == NULL)
        return "there is no endpoint";
    const char *const error = otlp_parse(url, own != NULL ? own : o->endpoint);
    if (error != NULL)
        return error;
    url->suffix = own == NULL ? otlp_paths[signal] : "";
    if (own != NULL)
        return NULL;
    if (memchr(url->path.data, '?', url->path.size) != NULL)
        return "the endpoint for all signals has a query";
    while (url->path.size > 0 && url->path.data[url->path.size - 1] == '/')
        url->path.size--;
    return NULL;
}

/* ---- Requests ---- */

static void otlp_headers_of(const weir_otlp_options *o, weir_otlp_signal signal,
                            const weir_http_header **headers, size_t *count)
{
    const weir_otlp_route *const own = otlp_own(o, signal);
    *headers = own->headers != NULL ? own->headers : o->headers;
    *count = own->headers != NULL ? own->header_count : o->header_count;
}

static weir_http_slice otlp_keep(weir__otlp_route *route, const char *data, size_t size)
{
    char *const at = route->block + route->used;
    if (size > 0)
        memcpy(at, data, size);
    route->used += size;
    return (weir_http_slice){at, size};
}

static size_t otlp_block_size(const otlp_url *url, const weir_http_header *headers, size_t count)
{
    size_t size = 1 + url->path.size + strlen(url->suffix);
    for (size_t i = 0; i < count; i++)
        size += headers[i].name.size + headers[i].value.size;
    return size;
}

/* With a block of that size. */
static void otlp_fill(weir__otlp_route *route, const otlp_url *url, const weir_http_header *headers,
                      size_t count)
{
    bool const slash = url->path.size + strlen(url->suffix) == 0 ||
                       (url->path.size > 0 && url->path.data[0] == '?');
    (void)otlp_keep(route, "/", slash ? 1 : 0);
    (void)otlp_keep(route, url->path.data, url->path.size);
    (void)otlp_keep(route, url->suffix, strlen(url->suffix));
    route->address = url->address;
    route->request.method = weir_http_str("POST");
    route->request.target = (weir_http_slice){route->block, route->used};
    route->request.headers = route->headers;
    route->headers[0] =
        (weir_http_header){weir_http_str("Content-Type"), weir_http_str("application/json")};
    size_t kept = 1;
    bool named = false;
    for (size_t i = 0; i < count; i++) {
        if (weir_http_equals(headers[i].name, "Content-Type"))
            continue;
        named |= weir_http_equals(headers[i].name, "User-Agent");
        route->headers[kept].name = otlp_keep(route, headers[i].name.data, headers[i].name.size);
        route->headers[kept++].value =
            otlp_keep(route, headers[i].value.data, headers[i].value.size);
    }
    if (!named)
        route->headers[kept++] =
            (weir_http_header){weir_http_str("User-Agent"),
                               weir_http_str("OTel-OTLP-Exporter-weir/" WEIR__OTLP_VERSION)};
    route->request.header_count = kept;
}

const char *weir__otlp_route_error(const weir_otlp_options *options, weir_otlp_signal signal)
{
    otlp_url url;
    const weir_http_header *headers;
    size_t count;
    const char *const error = otlp_url_of(&url, options, signal);
    otlp_headers_of(options, signal, &headers, &count);
    if (error != NULL)
        return error;
    if (count > WEIR__OTLP_HEADERS)
        return "there are too many headers";
    if (count > 0 && headers == NULL)
        return "the headers are NULL";
    weir_http_request request = {.method = weir_http_str("POST"),
                                 .target = url.path,
                                 .headers = headers,
                                 .header_count = count};
    if (url.path.size == 0)
        request.target = weir_http_str("/");
    return weir__http_request_valid(&request) ? NULL
                                              : "a header, or the endpoint's path, is malformed";
}

int weir__otlp_route_load(weir__otlp_route *route, const weir_env *env,
                          const weir_otlp_options *options, weir_otlp_signal signal)
{
    otlp_url url = {.path = weir_http_str(""), .suffix = ""};
    const weir_http_header *headers;
    size_t count;
    (void)otlp_url_of(&url, options, signal);
    otlp_headers_of(options, signal, &headers, &count);
    route->block_size = otlp_block_size(&url, headers, count);
    route->block = weir__alloc(env, route->block_size);
    if (route->block == NULL)
        return WEIR_ENOMEM;
    uint32_t const own_ms = otlp_own(options, signal)->timeout_ms;
    route->timeout_ms = own_ms > 0 ? own_ms : options->timeout_ms;
    otlp_fill(route, &url, headers, count);
    return WEIR_OK;
}

void weir__otlp_route_free(weir__otlp_route *route, const weir_env *env)
{
    weir__free(env, route->block, route->block_size);
    route->block = NULL;
}

#include "gateway/affinity.h"

#include <stdio.h>
#include <string.h>

static bool affinity_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static weir_http_slice affinity_trim(weir_http_slice text)
{
    while (text.size > 0 && affinity_is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && affinity_is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* The value of `name` in one Cookie header: "a=1; b=2". */
static bool affinity_in_header(weir_http_slice header, const char *name, weir_http_slice *value)
{
    size_t const name_size = strlen(name);
    while (header.size > 0) {
        const char *const end = memchr(header.data, ';', header.size);
        size_t const size = end != NULL ? (size_t)(end - header.data) : header.size;
        weir_http_slice const pair = affinity_trim((weir_http_slice){header.data, size});
        if (pair.size > name_size && pair.data[name_size] == '=' &&
            memcmp(pair.data, name, name_size) == 0) {
            *value = (weir_http_slice){pair.data + name_size + 1, pair.size - name_size - 1};
            return true;
        }
        header.data += end != NULL ? size + 1 : size;
        header.size -= end != NULL ? size + 1 : size;
    }
    return false;
}

static bool affinity_find(const weir__key_config *key, const weir_http_request *request,
                          weir_http_slice *value)
{
    const char *const header = key->source == WEIR__KEY_COOKIE ? "Cookie" : key->name;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!weir_http_equals(request->headers[i].name, header))
            continue;
        *value = request->headers[i].value;
        if (key->source == WEIR__KEY_HEADER || affinity_in_header(*value, key->name, value))
            return true;
    }
    return false;
}

uint64_t weir__affinity_hash(const weir__key_config *key, const weir_http_exchange *exchange,
                             const weir_http_request *request)
{
    weir_http_slice value = request->path;
    char ip[WEIR_ADDRESS_TEXT_SIZE];
    if (key->source == WEIR__KEY_NONE)
        return 0;
    if (key->source == WEIR__KEY_ADDRESS) {
        weir_address const peer = weir_http_exchange_peer(exchange);
        weir_address_format_ip(&peer, ip);
        value = weir_http_str(ip);
    } else if (key->source == WEIR__KEY_PATH) {
        const char *const query = memchr(value.data, '?', value.size);
        value.size = query != NULL ? (size_t)(query - value.data) : value.size;
    } else if (!affinity_find(key, request, &value)) {
        return 0;
    }
    return weir_balancer_hash(value.data, value.size);
}

bool weir__affinity_member(const weir__key_config *sticky, const weir_http_request *request,
                           char id[WEIR__STICKY_SIZE])
{
    weir_http_slice value;
    if (sticky->source == WEIR__KEY_NONE || !affinity_find(sticky, request, &value) ||
        value.size == 0 || value.size >= WEIR__STICKY_SIZE)
        return false;
    memcpy(id, value.data, value.size);
    id[value.size] = '\0';
    return true;
}

void weir__affinity_cookie(const weir__key_config *sticky, const char *asked, const char *id,
                           char cookie[WEIR__COOKIE_SIZE])
{
    cookie[0] = '\0';
    if (sticky->source == WEIR__KEY_COOKIE && strcmp(asked, id) != 0 && weir__affinity_fits(id))
        (void)snprintf(cookie, WEIR__COOKIE_SIZE, "%s=%s; Path=/; HttpOnly", sticky->name, id);
}

bool weir__affinity_fits(const char *id)
{
    size_t const size = strlen(id);
    for (size_t i = 0; i < size; i++)
        if (id[i] <= ' ' || id[i] > '~' || strchr("\",;\\", id[i]) != NULL)
            return false;
    return size < WEIR__STICKY_SIZE;
}

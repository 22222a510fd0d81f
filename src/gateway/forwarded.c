#include "gateway/forwarded.h"

#include <stdio.h>
#include <string.h>

#define FORWARDED_ID_SIZE 33 /* Of an X-Request-Id that we make, with its end. */

/* What we tell the member ourselves, whatever the client says. An empty id is none. */
static bool forwarded_is_ours(const weir_http_header *header)
{
    return weir_http_equals(header->name, "X-Forwarded-For") ||
           weir_http_equals(header->name, "X-Forwarded-Proto") ||
           (weir_http_equals(header->name, "X-Request-Id") && header->value.size == 0);
}

static bool forwarded_is_forwarded_for(const weir_http_header *header)
{
    return weir_http_equals(header->name, "X-Forwarded-For") && header->value.size > 0;
}

static char *forwarded_append(char *end, const char *data, size_t size)
{
    memcpy(end, data, size);
    return end + size;
}

/* All X-Forwarded-For fields in one, with the peer at its end. */
static weir_http_slice forwarded_for(const weir_http_request *request, const char *ip, char *out)
{
    char *end = out;
    for (size_t i = 0; i < request->header_count; i++) {
        const weir_http_header *const header = &request->headers[i];
        if (!forwarded_is_forwarded_for(header))
            continue;
        end = forwarded_append(end, header->value.data, header->value.size);
        end = forwarded_append(end, ", ", 2);
    }
    end = forwarded_append(end, ip, strlen(ip));
    return (weir_http_slice){out, (size_t)(end - out)};
}

size_t weir__forwarded_room(const weir_http_request *request)
{
    size_t room = WEIR_ADDRESS_TEXT_SIZE + FORWARDED_ID_SIZE;
    for (size_t i = 0; i < request->header_count; i++)
        if (forwarded_is_forwarded_for(&request->headers[i]))
            room += request->headers[i].value.size + 2;
    return room;
}

/* A Connection header cannot take Host away, which is for every recipient. */
static bool forwarded_passes(const weir_http_request *request, const weir_http_header *header,
                             const weir_instrument *traced)
{
    bool const stays =
        weir_http_is_hop_by_hop(request->headers, request->header_count, header->name);
    if (traced != NULL && weir_instrument_is_carrier(traced, header->name))
        return false;
    return !forwarded_is_ours(header) && (!stays || weir_http_equals(header->name, "Host"));
}

size_t weir__forwarded_fill(weir_http_header *headers, char *text, const weir_http_request *request,
                            const weir_http_exchange *exchange, const weir_instrument *traced,
                            weir__rng *rng)
{
    char ip[WEIR_ADDRESS_TEXT_SIZE];
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        if (forwarded_passes(request, &request->headers[i], traced))
            headers[count++] = request->headers[i];
    char *const id = text;
    text += FORWARDED_ID_SIZE;
    weir_address const peer = weir_http_exchange_peer(exchange);
    weir_address_format_ip(&peer, ip);
    headers[count++] =
        (weir_http_header){weir_http_str("X-Forwarded-For"), forwarded_for(request, ip, text)};
    headers[count++] =
        (weir_http_header){weir_http_str("X-Forwarded-Proto"), weir_http_str("http")};
    if (weir_http_find(headers, count, "X-Request-Id") != NULL)
        return count;
    (void)snprintf(id, FORWARDED_ID_SIZE, "%016llx%016llx", (unsigned long long)weir__rng_next(rng),
                   (unsigned long long)weir__rng_next(rng));
    headers[count++] = (weir_http_header){weir_http_str("X-Request-Id"), weir_http_str(id)};
    return count;
}

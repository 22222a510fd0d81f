#include <weir/address.h>

#include "base/number.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define WEIR__ADDRESS_MAX_HOST 45 /* An IPv6 address with an IPv4 tail. */

/* Splits at the last colon; brackets are IPv6's, and only its. */
static bool address_split(const char *text, char host[WEIR__ADDRESS_MAX_HOST + 1], bool *bracketed,
                          const char **port)
{
    const char *const colon = strrchr(text, ':');
    if (colon == NULL || colon == text)
        return false;
    const char *begin = text, *end = colon;
    *bracketed = *begin == '[';
    if (*bracketed && (end[-1] != ']' || end - begin < 2))
        return false;
    begin += *bracketed;
    end -= *bracketed;
    size_t const size = (size_t)(end - begin);
    if (size == 0 || size > WEIR__ADDRESS_MAX_HOST)
        return false;
    memcpy(host, begin, size);
    host[size] = '\0';
    *port = colon + 1;
    return true;
}

int weir_address_parse(weir_address *out, const char *text)
{
    char host[WEIR__ADDRESS_MAX_HOST + 1];
    bool bracketed;
    const char *port_text;
    uint64_t port;
    weir__number_error error;
    if (text == NULL || !address_split(text, host, &bracketed, &port_text) ||
        !weir__number_u64(port_text, strlen(port_text), 0, UINT16_MAX, &port, &error))
        return WEIR_EINVAL;
    weir_address address = {.family = bracketed ? 6 : 4, .port = (uint16_t)port};
    const char *const numeric = !bracketed && strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (inet_pton(bracketed ? AF_INET6 : AF_INET, numeric, address.ip) != 1)
        return WEIR_EINVAL;
    *out = address;
    return WEIR_OK;
}

void weir_address_format_ip(const weir_address *address, char *out)
{
    out[0] = '\0';
    (void)inet_ntop(address->family == 6 ? AF_INET6 : AF_INET, address->ip, out,
                    WEIR_ADDRESS_TEXT_SIZE);
}

void weir_address_format(const weir_address *address, char *out)
{
    char ip[WEIR_ADDRESS_TEXT_SIZE];
    weir_address_format_ip(address, ip);
    unsigned const port = address->port;
    if (address->family == 6)
        (void)snprintf(out, WEIR_ADDRESS_TEXT_SIZE, "[%.45s]:%u", ip, port);
    else
        (void)snprintf(out, WEIR_ADDRESS_TEXT_SIZE, "%.45s:%u", ip, port);
}

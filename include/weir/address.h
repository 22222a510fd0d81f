/**
 * @file weir/address.h
 * Numeric addresses: an IP address and a port, as text and as a value. No name service is asked.
 *
 *   "127.0.0.1:8080"   "[::1]:8080"   "localhost:8080" (127.0.0.1)
 *
 * Threads:    plain values.
 * Blocking:   never.
 * Allocation: never.
 */
#ifndef WEIR_ADDRESS_H
#define WEIR_ADDRESS_H

#include <weir/base.h>

WEIR_BEGIN_DECLS

typedef struct weir_address {
    uint8_t family; /**< 4 or 6. */
    uint16_t port;  /**< In the order of the machine. */
    uint8_t ip[16]; /**< In the order of the network: 4 or 16 bytes, the rest 0. */
} weir_address;

/** Room for the text of any address with its NUL: an IPv6 address, brackets, a port. */
#define WEIR_ADDRESS_TEXT_SIZE 56

/**
 * Parse "<IPv4>:<port>", "[<IPv6>]:<port>" or "localhost:<port>"; ports 0..65535.
 *
 * @return WEIR_OK, or WEIR_EINVAL and *out is untouched.
 */
WEIR_API WEIR_MUST_CHECK int weir_address_parse(weir_address *out, const char *text);

/** Write the text of an address, with its port; `out` has WEIR_ADDRESS_TEXT_SIZE bytes. */
WEIR_API void weir_address_format(const weir_address *address, char *out);

/** Write the IP alone, without port and brackets; `out` has WEIR_ADDRESS_TEXT_SIZE bytes. */
WEIR_API void weir_address_format_ip(const weir_address *address, char *out);

WEIR_END_DECLS

#endif

/* Which calls belong together: the key of a request, and the member that it should stay with. */
#ifndef WEIR_SRC_GATEWAY_AFFINITY_H
#define WEIR_SRC_GATEWAY_AFFINITY_H

#include "gateway/gateway.h"

#define WEIR__STICKY_SIZE 128 /* Of a member's id in a cookie or header, with its end. */
#define WEIR__COOKIE_SIZE 256 /* Of a Set-Cookie header. */

/* The hash of the request's key; 0 if it has none. */
uint64_t weir__affinity_hash(const weir__key_config *key, const weir_http_exchange *exchange,
                             const weir_http_request *request);
/* The member that the request names, into id; false if it names none. */
bool weir__affinity_member(const weir__key_config *sticky, const weir_http_request *request,
                           char id[WEIR__STICKY_SIZE]);
/* "NAME=ID; Path=/; HttpOnly" if the request did not ask for this member by cookie; or empty. */
void weir__affinity_cookie(const weir__key_config *sticky, const char *asked, const char *id,
                           char cookie[WEIR__COOKIE_SIZE]);
/* Whether the id can be the value of a cookie (RFC 6265, 4.1.1). */
bool weir__affinity_fits(const char *id);

#endif

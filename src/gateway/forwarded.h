/* The headers of a request as it goes on to a member. */
#ifndef WEIR_SRC_GATEWAY_FORWARDED_H
#define WEIR_SRC_GATEWAY_FORWARDED_H

#include <weir/http.h>
#include <weir/instrument.h>

#include "base/rng.h"

#define WEIR__FORWARDED_HEADERS 3 /* X-Forwarded-For, X-Forwarded-Proto, X-Request-Id. */

/* How many bytes of text weir__forwarded_fill() needs. */
size_t weir__forwarded_room(const weir_http_request *request);
/*
 * Theirs without hop-by-hop ones, and ours, into `headers`, which has room for
 * WEIR__FORWARDED_HEADERS more than the request has; returns how many these are. What carries a
 * trace context stays behind, unless `traced` is NULL.
 */
size_t weir__forwarded_fill(weir_http_header *headers, char *text, const weir_http_request *request,
                            const weir_http_exchange *exchange, const weir_instrument *traced,
                            weir__rng *rng);

#endif

/* POST /test with [{"url": "http://ADDRESS/...", "arguments": [...]}, ...]: each `arguments` is
 * posted to its `url`, with the trace context of the request continued, and the answer is
 *
 *   200 when all were answered with 2xx; 502, naming the first URL that was not, when all are done;
 *   400, 413 when the request is not understood, or too large.
 *
 * URLs have numeric hosts or localhost: weir resolves no names. */
#ifndef TRACECONTEXT_SERVICE_H
#define TRACECONTEXT_SERVICE_H

#include <weir/http.h>

typedef struct service service;

/* WEIR_OK, or why not. `address` as weir_address_parse() has it. */
int service_start(service **out, weir_loop *loop, const char *address);

weir_address service_address(const service *s);

/* What is under way ends now. NULL is allowed; not from a callback. */
void service_stop(service *s);

#endif

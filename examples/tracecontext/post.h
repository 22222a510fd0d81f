/* One JSON text posted to one URL, within a span of its own that the receiver continues. */
#ifndef TRACECONTEXT_POST_H
#define TRACECONTEXT_POST_H

#include "json.h"

#include <weir/http.h>
#include <weir/tracer.h>

#define POST_PROBLEM_SIZE 96

typedef struct post {
    const char *url; /* Set by the owner, as the next three are; borrowed until `done`. */
    json body;
    /* It is over: well, if `problem` is NULL. Told once, not from within post_start(). */
    void (*done)(const struct post *p, const char *problem);
    void *user;
    weir_span span;
    int status; /* Of the response; 0: there is none. */
} post;

/* NULL: `done` will be told. Else the problem for which it will not; static. */
const char *post_start(post *p, weir_http_client *client, weir_tracer *tracer,
                       const weir_trace_context *parent);

#endif

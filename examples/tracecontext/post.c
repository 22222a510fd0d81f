#include "post.h"

#include <weir/propagation.h>

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_HEADERS 3 /* Content-Type, traceparent, tracestate. */

/* ---- URL ---- */

/* "http://HOST[:PORT][/PATH][?QUERY][#FRAGMENT]", where `target` is found; false: it is not. */
static bool url_parse(const char *url, weir_address *address, weir_http_slice *target)
{
    static const char scheme[] = "http://";
    char text[WEIR_ADDRESS_TEXT_SIZE];
    if (strncasecmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *const host = url + sizeof scheme - 1;
    size_t const host_size = strcspn(host, "/?#");
    const char *const path = host + host_size;
    const char *const ip_end = host[0] == '[' ? strchr(host, ']') : host;
    if (ip_end == NULL || ip_end > path || host_size + sizeof ":80" > sizeof text)
        return false;
    bool const has_port = memchr(ip_end, ':', (size_t)(path - ip_end)) != NULL;
    (void)snprintf(text, sizeof text, "%.*s%s", (int)host_size, host, has_port ? "" : ":80");
    *target = (weir_http_slice){path, strcspn(path, "#")};
    if (target->size == 0)
        *target = weir_http_str("/");
    return target->data[0] == '/' && weir_address_parse(address, text) == WEIR_OK;
}

/* ---- Headers ---- */

typedef struct outgoing {
    weir_http_header headers[MAX_HEADERS];
    size_t count;
    char names[MAX_HEADERS][16];
    char values[MAX_HEADERS][WEIR_TRACESTATE_SIZE];
} outgoing;

/* What a carrier is to set; each name comes once. */
static bool outgoing_set(void *self, const char *name, const char *value, size_t size)
{
    outgoing *const o = self;
    size_t const i = o->count, name_size = strlen(name);
    if (i == MAX_HEADERS || size > sizeof o->values[0] || name_size > sizeof o->names[0])
        return false;
    memcpy(o->names[i], name, name_size);
    memcpy(o->values[i], value, size);
    o->headers[i].name = (weir_http_slice){o->names[i], name_size};
    o->headers[i].value = (weir_http_slice){o->values[i], size};
    o->count++;
    return true;
}

/* ---- The call ---- */

static void post_on_head(weir_http_call *call, const weir_http_response *response, void *user)
{
    (void)call;
    ((post *)user)->status = response->status;
}

static void post_end(post *p, const char *problem)
{
    weir_attribute const status = weir_attribute_int("http.response.status_code", p->status);
    if (p->status != 0)
        weir_span_set(&p->span, &status, 1);
    if (problem != NULL)
        weir_span_set_status(&p->span, WEIR_SPAN_ERROR, problem);
    weir_span_end(&p->span);
}

static void post_on_done(weir_http_call *call, const weir_http_result *result, void *user)
{
    post *const p = user;
    char problem[POST_PROBLEM_SIZE];
    (void)call;
    bool const answered = result->code == WEIR_OK;
    bool const good = answered && p->status / 100 == 2;
    if (answered)
        (void)snprintf(problem, sizeof problem, "it answered %d", p->status);
    else
        (void)snprintf(problem, sizeof problem, "%s", result->reason);
    post_end(p, good ? NULL : problem);
    p->done(p, good ? NULL : problem);
}

static int post_send(post *p, weir_http_client *client, const weir_address *address,
                     weir_http_slice target)
{
    static const weir_http_call_events events = {post_on_head, NULL, NULL, post_on_done};
    outgoing o = {.count = 0};
    weir_carrier const carrier = {.get = NULL, .set = outgoing_set, .self = &o};
    weir_http_call *call;
    (void)outgoing_set(&o, "content-type", "application/json", strlen("application/json"));
    int result = weir_propagation_inject(WEIR_PROPAGATE_TRACECONTEXT, &p->span.context, &carrier);
    if (result != WEIR_OK)
        return result;
    weir_http_request const request = {.method = weir_http_str("POST"),
                                       .target = target,
                                       .headers = o.headers,
                                       .header_count = o.count,
                                       .body_size = p->body.size};
    result = weir_http_call_start(&call, client, address, NULL, &request, &events, p);
    if (result != WEIR_OK)
        return result;
    result = weir_http_call_write(call, p->body.data, p->body.size);
    if (result == WEIR_OK)
        result = weir_http_call_finish(call);
    if (result == WEIR_OK || result == WEIR_ECLOSED)
        return WEIR_OK; /* post_on_done() will be told, and why. */
    weir_http_call_cancel(call);
    return result;
}

const char *post_start(post *p, weir_http_client *client, weir_tracer *tracer,
                       const weir_trace_context *parent)
{
    weir_address address;
    weir_http_slice target;
    weir_span_options options = WEIR_SPAN_OPTIONS_INIT;
    weir_attribute const url = weir_attribute_string("url.full", p->url);
    options.parent = parent;
    options.kind = WEIR_SPAN_CLIENT;
    options.attributes = &url;
    options.attribute_count = 1;
    weir_span_start(&p->span, tracer, "POST", &options);
    const char *problem = NULL;
    if (!url_parse(p->url, &address, &target))
        problem = "not http:// and a numeric address, or localhost";
    int const result = problem == NULL ? post_send(p, client, &address, target) : WEIR_OK;
    if (result != WEIR_OK)
        problem = weir_strerror(result);
    if (problem != NULL)
        post_end(p, problem);
    return problem;
}

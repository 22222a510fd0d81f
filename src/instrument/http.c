/* Requests, served and made: their spans, their durations, and the headers between them. */
#include "instrument/instrument.h"

#include <stdio.h>
#include <string.h>

#define HTTP_FACTS  12
#define HTTP_SCHEME "http"

/* ---- What both have ---- */

/* RFC 9110, 9.1, and RFC 5789: any other is one of many. */
static const char *http_method(weir_http_slice method)
{
    static const char *const known[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i]) == method.size && memcmp(known[i], method.data, method.size) == 0)
            return known[i];
    return "_OTHER";
}

static weir_http_slice http_without_query(weir_http_slice path)
{
    const char *const query = path.size > 0 ? memchr(path.data, '?', path.size) : NULL;
    if (query != NULL)
        path.size = (size_t)(query - path.data);
    return path;
}

/* A label, and an attribute, of an error: who fails says why, or the status does. */
static const char *http_error(int status, int error_from, const char *error, char text[12])
{
    if (error != NULL && error[0] != '\0')
        return error;
    if (status < error_from)
        return "";
    (void)snprintf(text, 12, "%d", status);
    return text;
}

/* In seconds; a clock that steps back has it take no time. */
static double http_seconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

/* What is known at the start, for the sampler to see. */
typedef struct http_facts {
    weir_attribute list[HTTP_FACTS];
    size_t count;
} http_facts;

static void http_add_text(http_facts *facts, const char *key, weir_http_slice text)
{
    if (text.size > 0)
        facts->list[facts->count++] = weir_attribute_text(key, text.data, text.size);
}

static void http_add_int(http_facts *facts, const char *key, int64_t value)
{
    facts->list[facts->count++] = weir_attribute_int(key, value);
}

/* How a span ends: its status by the convention, as both sides have it. */
static void http_end_span(weir_span *span, int status, const char *error, uint64_t now_ns)
{
    weir_attribute const code = weir_attribute_int("http.response.status_code", status);
    weir_attribute const type = weir_attribute_string("error.type", error);
    if (status != 0)
        weir_span_set(span, &code, 1);
    if (error[0] != '\0') {
        weir_span_set(span, &type, 1);
        weir_span_set_status(span, WEIR_SPAN_ERROR, status != 0 ? NULL : error);
    }
    weir_span_end_at(span, now_ns);
}

/* ---- Carriers: the headers of a request that has come, and of one that goes ---- */

static bool http_is(weir_http_slice name, const char *wanted, size_t size)
{
    return name.size == size && weir_http_equals(name, wanted);
}

typedef struct http_reader {
    const weir_http_request *request;
} http_reader;

static bool http_get(void *self, const char *name, size_t index, const char **value, size_t *size)
{
    const weir_http_request *const request = ((const http_reader *)self)->request;
    size_t const name_size = strlen(name);
    for (size_t i = 0; i < request->header_count; i++)
        if (http_is(request->headers[i].name, name, name_size) && index-- == 0) {
            *value = request->headers[i].value.data;
            *size = request->headers[i].value.size;
            return true;
        }
    return false;
}

static const char *http_keep(weir_client_call *call, const char *text, size_t size)
{
    if (size > sizeof call->text - call->text_size)
        return NULL;
    char *const copy = call->text + call->text_size;
    memcpy(copy, text, size);
    call->text_size += size;
    return copy;
}

static bool http_set(void *self, const char *name, const char *value, size_t size)
{
    weir_client_call *const call = self;
    size_t const name_size = strlen(name);
    const char *const name_copy = http_keep(call, name, name_size);
    const char *const copy = name_copy != NULL ? http_keep(call, value, size) : NULL;
    if (copy == NULL || call->header_count == WEIR_CLIENT_CALL_HEADERS)
        return false;
    call->headers[call->header_count++] = (weir_http_header){{name_copy, name_size}, {copy, size}};
    return true;
}

bool weir_instrument_is_carrier(const weir_instrument *instrument, weir_http_slice name)
{
    static const struct {
        unsigned format;
        const char *name;
    } carriers[] = {
        {WEIR_PROPAGATE_TRACECONTEXT, "traceparent"},
        {WEIR_PROPAGATE_TRACECONTEXT, "tracestate"},
        {WEIR_PROPAGATE_B3, "b3"},
        {WEIR_PROPAGATE_B3MULTI, "x-b3-traceid"},
        {WEIR_PROPAGATE_B3MULTI, "x-b3-spanid"},
        {WEIR_PROPAGATE_B3MULTI, "x-b3-parentspanid"},
        {WEIR_PROPAGATE_B3MULTI, "x-b3-sampled"},
        {WEIR_PROPAGATE_B3MULTI, "x-b3-flags"},
        {WEIR_PROPAGATE_JAEGER, "uber-trace-id"},
    };
    for (size_t i = 0; i < sizeof carriers / sizeof carriers[0]; i++)
        if ((instrument->options.formats & carriers[i].format) != 0 &&
            weir_http_equals(name, carriers[i].name))
            return true;
    return false;
}

/* ---- Served ---- */

/* Host and port of what the client asked for; an IPv6 address has no brackets. */
static void http_describe_authority(http_facts *facts, weir_http_slice authority)
{
    const char *const data = authority.data;
    bool const bracketed = authority.size > 0 && data[0] == '[';
    size_t end = 0;
    while (end < authority.size && data[end] != (bracketed ? ']' : ':'))
        end++;
    http_add_text(facts, "server.address", (weir_http_slice){data + bracketed, end - bracketed});
    int64_t port = 0;
    for (size_t i = end + 1 + bracketed; i < authority.size; i++)
        port =
            data[i] >= '0' && data[i] <= '9' && port < 65536 ? port * 10 + (data[i] - '0') : 65536;
    if (port > 0 && port < 65536)
        http_add_int(facts, "server.port", port);
}

static void http_describe_request(http_facts *facts, const weir_server_call *call,
                                  const weir_http_request *request, const char *client)
{
    const weir_http_header *const agent =
        weir_http_find(request->headers, request->header_count, "User-Agent");
    http_add_text(facts, "http.request.method", weir_http_str(call->method));
    http_add_text(facts, "url.scheme", weir_http_str(HTTP_SCHEME));
    http_add_text(facts, "network.protocol.version",
                  weir_http_str(request->minor_version == 0 ? "1.0" : "1.1"));
    http_add_text(facts, "url.path", http_without_query(request->path));
    http_describe_authority(facts, request->authority);
    http_add_text(facts, "http.route", weir_http_str(call->route));
    if (call->method[0] == '_')
        http_add_text(facts, "http.request.method_original", request->method);
    if (agent != NULL)
        http_add_text(facts, "user_agent.original", agent->value);
    http_add_text(facts, "client.address", weir_http_str(client));
}

/* "GET /orders/:id"; without a route, and of unknown methods, what is known of it. */
static void http_name_request(const weir_server_call *call, char *name, size_t room)
{
    const char *const method = call->method[0] == '_' ? "HTTP" : call->method;
    (void)snprintf(name, room, "%s%s%s", method, call->route[0] != '\0' ? " " : "", call->route);
}

static void http_count_active(const weir_server_call *call, int64_t by)
{
    const char *const labels[] = {call->method, HTTP_SCHEME};
    weir__instrument_add(call->instrument, WEIR__SERVER_ACTIVE, labels, by);
}

void weir_instrument_serve(weir_instrument *instrument, weir_server_call *call,
                           const weir_http_request *request, const char *route,
                           const weir_address *peer, uint64_t now_ns)
{
    char name[WEIR_SERVER_CALL_ROUTE + 16], client[WEIR_ADDRESS_TEXT_SIZE] = "";
    http_facts facts = {.count = 0};
    weir_trace_context remote;
    weir_span_options options = WEIR_SPAN_OPTIONS_INIT;
    http_reader reader = {request};
    weir_carrier const carrier = {http_get, NULL, &reader}; /* Only read. */
    weir_tracer *const tracer = instrument != NULL ? instrument->options.tracer : NULL;
    unsigned const formats =
        instrument != NULL ? instrument->options.formats : WEIR_PROPAGATE_DEFAULT;
    call->instrument = instrument;
    call->method = http_method(request->method);
    (void)snprintf(call->route, sizeof call->route, "%s", route);
    call->began_ns = now_ns;
    if (weir_propagation_extract(formats, &carrier, &remote, call->remote_state) == WEIR_OK)
        options.parent = &remote;
    options.kind = WEIR_SPAN_SERVER;
    options.start_ns = now_ns;
    if (tracer != NULL) {
        if (peer != NULL)
            weir_address_format_ip(peer, client);
        http_describe_request(&facts, call, request, client);
    }
    options.attributes = facts.list;
    options.attribute_count = facts.count;
    http_name_request(call, name, sizeof name);
    weir_span_start(&call->span, tracer, name, &options);
    if (instrument != NULL)
        http_count_active(call, 1);
}

void weir_instrument_served(weir_server_call *call, int status, const char *error, uint64_t now_ns)
{
    char code[12] = "", error_code[12];
    weir_instrument *const instrument = call->instrument;
    if (instrument == NULL)
        return;
    error = http_error(status, 500, error, error_code);
    if (status != 0)
        (void)snprintf(code, sizeof code, "%d", status);
    const char *const labels[] = {call->method, code, call->route, error, HTTP_SCHEME};
    weir__instrument_record(instrument, WEIR__SERVER_DURATION, labels,
                            http_seconds(call->began_ns, now_ns), &call->span.context);
    http_count_active(call, -1);
    call->instrument = NULL;
    http_end_span(&call->span, status, error, now_ns);
}

/* ---- Made ---- */

static void http_describe_call(http_facts *facts, const weir_client_call *call,
                               const weir_client_call_info *info)
{
    http_add_text(facts, "http.request.method", weir_http_str(call->method));
    http_add_text(facts, "server.address", weir_http_str(call->address));
    http_add_int(facts, "server.port", info->address->port);
    http_add_text(facts, "weir.service", weir_http_str(info->service));
    http_add_text(facts, "weir.member", weir_http_str(info->member));
    if (call->method[0] == '_')
        http_add_text(facts, "http.request.method_original", info->method);
    if (info->attempt > 1)
        http_add_int(facts, "http.request.resend_count", (int64_t)info->attempt - 1);
}

/* Too dear for a span that nobody records. */
static void http_set_url(weir_client_call *call, const weir_client_call_info *info)
{
    char url[512], authority[WEIR_ADDRESS_TEXT_SIZE];
    weir_http_slice const path = http_without_query(info->path);
    weir_address_format(info->address, authority);
    (void)snprintf(url, sizeof url, "http://%s%.*s", authority, (int)path.size,
                   path.data != NULL ? path.data : "");
    weir_attribute const full = weir_attribute_string("url.full", url);
    weir_span_set(&call->span, &full, 1);
}

void weir_instrument_call(weir_instrument *instrument, weir_client_call *call,
                          const weir_client_call_info *info, uint64_t now_ns)
{
    http_facts facts = {.count = 0};
    weir_span_options options = WEIR_SPAN_OPTIONS_INIT;
    weir_carrier const carrier = {NULL, http_set, call}; /* Only written. */
    weir_tracer *const tracer = instrument != NULL ? instrument->options.tracer : NULL;
    unsigned const formats =
        instrument != NULL ? instrument->options.formats : WEIR_PROPAGATE_DEFAULT;
    call->instrument = instrument;
    call->method = http_method(info->method);
    call->began_ns = now_ns;
    call->header_count = call->text_size = 0;
    weir_address_format_ip(info->address, call->address);
    (void)snprintf(call->port, sizeof call->port, "%u", info->address->port);
    options.parent = info->parent;
    options.kind = WEIR_SPAN_CLIENT;
    options.start_ns = now_ns;
    if (tracer != NULL)
        http_describe_call(&facts, call, info);
    options.attributes = facts.list;
    options.attribute_count = facts.count;
    weir_span_start(&call->span, tracer, call->method[0] == '_' ? "HTTP" : call->method, &options);
    if (weir_span_recording(&call->span))
        http_set_url(call, info);
    if (weir_propagation_inject(formats, &call->span.context, &carrier) != WEIR_OK)
        call->header_count = 0; /* None of it, rather than half. */
}

void weir_instrument_called(weir_client_call *call, int status, const char *error, uint64_t now_ns)
{
    char code[12] = "", error_code[12];
    weir_instrument *const instrument = call->instrument;
    if (instrument == NULL)
        return;
    call->instrument = NULL;
    error = http_error(status, 400, error, error_code);
    if (status != 0)
        (void)snprintf(code, sizeof code, "%d", status);
    const char *const labels[] = {call->method, code, call->address, call->port, error};
    weir__instrument_record(instrument, WEIR__CLIENT_DURATION, labels,
                            http_seconds(call->began_ns, now_ns), &call->span.context);
    http_end_span(&call->span, status, error, now_ns);
}

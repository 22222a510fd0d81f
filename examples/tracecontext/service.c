#include "service.h"

#include "post.h"

#include <weir/propagation.h>
#include <weir/sampler.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BODY     (10U << 20)
#define MAX_POSTS    1000
#define MAX_PARALLEL 16  /* Posts under way, of one request. */
#define MAX_CLIENTS  256 /* At once. */
#define TEXT_SIZE    2048

struct service {
    weir_sampler *sampler;
    weir_tracer *tracer;
    weir_http_client *client;
    weir_http_server *server;
};

/* One request, from its head to its answer. */
typedef struct job {
    service *service;
    weir_http_exchange *exchange;
    weir_span span;
    char *body;
    size_t size, room;
    post *posts; /* NULL: the body is not complete. */
    size_t count, next, running, failed;
    char problem[TEXT_SIZE]; /* Of the first that failed. */
} job;

/* ---- Its end ---- */

static void job_free(job *j)
{
    weir_span_end(&j->span);
    free(j->posts);
    free(j->body);
    free(j);
}

/* Answers, or tries to: who asked may be gone. */
static void job_answer(job *j, int status, const char *text)
{
    weir_attribute const code = weir_attribute_int("http.response.status_code", status);
    weir_span_set(&j->span, &code, 1);
    if (status >= 500)
        weir_span_set_status(&j->span, WEIR_SPAN_ERROR, text);
    (void)weir_http_exchange_respond(j->exchange, status, "text/plain", text, strlen(text));
    job_free(j);
}

static void job_answer_done(job *j)
{
    char text[TEXT_SIZE + 64];
    (void)snprintf(text, sizeof text, "%zu of %zu posts failed, first %s\n", j->failed, j->count,
                   j->problem);
    job_answer(j, j->failed > 0 ? 502 : 200, j->failed > 0 ? text : "done\n");
}

/* ---- Its posts ---- */

static void job_note_problem(job *j, const post *p, const char *problem)
{
    if (j->failed++ == 0)
        (void)snprintf(j->problem, sizeof j->problem, "%.1900s: %s", p->url, problem);
}

static void job_go_on(job *j)
{
    while (j->running < MAX_PARALLEL && j->next < j->count) {
        post *const p = &j->posts[j->next++];
        const char *const problem =
            post_start(p, j->service->client, j->service->tracer, &j->span.context);
        if (problem != NULL)
            job_note_problem(j, p, problem);
        else
            j->running++;
    }
    if (j->running == 0)
        job_answer_done(j);
}

static void job_on_post(const post *p, const char *problem)
{
    job *const j = p->user;
    j->running--;
    if (problem != NULL)
        job_note_problem(j, p, problem);
    job_go_on(j);
}

/* ---- Its body ---- */

/* NULL, or what is wrong. */
static const char *post_read(post *p, json element)
{
    json key, value;
    size_t at = 0;
    if (element.data[0] != '{')
        return "an element is no object";
    while (json_next(element, &at, &key, &value)) {
        const char *const name = json_decode(key);
        bool const is_url = name != NULL && strcmp(name, "url") == 0;
        bool const is_arguments = name != NULL && strcmp(name, "arguments") == 0;
        if ((is_url && p->url != NULL) || (is_arguments && p->body.data != NULL))
            return "url or arguments are there twice";
        if (is_url && (p->url = json_decode(value)) == NULL)
            return "a url is no string of ASCII";
        if (is_arguments)
            p->body = value;
    }
    if (p->url == NULL)
        return "an element has no url";
    return p->body.data != NULL && p->body.data[0] == '[' ? NULL : "arguments are no array";
}

static const char *job_read(job *j)
{
    json all, no_key, element;
    if (j->size == 0 || !json_read((json){j->body, j->size}, &all))
        return "no JSON, or too deep";
    if (all.data[0] != '[')
        return "no array";
    for (size_t at = 0; json_next(all, &at, &no_key, &element);)
        j->count++;
    if (j->count > MAX_POSTS)
        return "too many elements";
    j->posts = calloc(j->count + 1, sizeof *j->posts); /* One more: it is never NULL then. */
    if (j->posts == NULL)
        return "no memory";
    post *p = j->posts;
    for (size_t at = 0; json_next(all, &at, &no_key, &element); p++) {
        const char *const wrong = post_read(p, element);
        if (wrong != NULL)
            return wrong;
        p->done = job_on_post;
        p->user = j;
    }
    return NULL;
}

static void job_on_body(weir_http_exchange *exchange, const void *data, size_t size, void *user)
{
    job *const j = user;
    (void)exchange;
    if (size > j->room - j->size) {
        size_t const room = 2 * (j->size + size); /* The server sees to MAX_BODY. */
        char *const body = realloc(j->body, room);
        if (body == NULL) {
            job_answer(j, 503, "no memory\n");
            return;
        }
        j->body = body;
        j->room = room;
    }
    memcpy(j->body + j->size, data, size);
    j->size += size;
}

static void job_on_end(weir_http_exchange *exchange, void *user)
{
    job *const j = user;
    char text[128];
    (void)exchange;
    const char *const wrong = job_read(j);
    if (wrong == NULL) {
        job_go_on(j);
        return;
    }
    (void)snprintf(text, sizeof text, "%s\n", wrong);
    job_answer(j, 400, text);
}

/* With posts under way it goes on, and answers nobody. */
static void job_on_abort(weir_http_exchange *exchange, int code, void *user)
{
    job *const j = user;
    if (j->posts != NULL)
        return;
    weir_span_set_status(&j->span, WEIR_SPAN_ERROR, weir_strerror(code));
    (void)weir_http_exchange_finish(exchange);
    job_free(j);
}

/* ---- Its head ---- */

/* What a carrier is asked for: the headers of a request, in their order. */
static bool request_get(void *self, const char *name, size_t index, const char **value,
                        size_t *size)
{
    const weir_http_request *const request = self;
    for (size_t i = 0; i < request->header_count; i++)
        if (weir_http_equals(request->headers[i].name, name) && index-- == 0) {
            *value = request->headers[i].value.data;
            *size = request->headers[i].value.size;
            return true;
        }
    return false;
}

static void job_start_span(job *j, weir_http_request request)
{
    char state[WEIR_TRACESTATE_SIZE];
    weir_trace_context remote;
    weir_carrier const carrier = {.get = request_get, .set = NULL, .self = &request};
    weir_span_options options = WEIR_SPAN_OPTIONS_INIT;
    if (weir_propagation_extract(WEIR_PROPAGATE_TRACECONTEXT, &carrier, &remote, state) == WEIR_OK)
        options.parent = &remote;
    options.kind = WEIR_SPAN_SERVER;
    weir_span_start(&j->span, j->service->tracer, "POST /test", &options);
}

static bool is(weir_http_slice slice, const char *text)
{
    return slice.size == strlen(text) && memcmp(slice.data, text, slice.size) == 0;
}

static void on_request(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    static const weir_http_exchange_events events = {job_on_body, job_on_end, NULL, job_on_abort};
    if (!is(request->path, "/test")) {
        (void)weir_http_exchange_respond(exchange, 404, "text/plain", "", 0);
        return;
    }
    if (!is(request->method, "POST")) {
        weir_http_header const allow = {weir_http_str("Allow"), weir_http_str("POST")};
        weir_http_response const response = {.status = 405, .headers = &allow, .header_count = 1};
        (void)weir_http_exchange_respond_with(exchange, &response, "");
        return;
    }
    job *const j = calloc(1, sizeof *j);
    if (j == NULL) {
        (void)weir_http_exchange_respond(exchange, 503, "text/plain", "no memory\n", 10);
        return;
    }
    j->service = user;
    j->exchange = exchange;
    job_start_span(j, *request);
    weir_http_exchange_handle(exchange, &events, j);
}

/* ---- The service ---- */

static int start_tracer(service *s)
{
    weir_sampler_options sampling = WEIR_SAMPLER_OPTIONS_INIT;
    weir_tracer_options tracing = WEIR_TRACER_OPTIONS_INIT;
    weir_attribute const name = weir_attribute_string("service.name", "tracecontext");
    sampling.kind = WEIR_SAMPLER_PARENT_BASED;
    int const result = weir_sampler_create(&s->sampler, &sampling);
    if (result != WEIR_OK)
        return result;
    tracing.sampling = weir_sampler_hook(s->sampler);
    tracing.resource = &name;
    tracing.resource_count = 1;
    return weir_tracer_create(&s->tracer, &tracing); /* Without an exporter: contexts alone. */
}

int service_start(service **out, weir_loop *loop, const char *address)
{
    weir_http_client_options calling = WEIR_HTTP_CLIENT_OPTIONS_INIT;
    weir_http_server_options serving = WEIR_HTTP_SERVER_OPTIONS_INIT;
    /* A POST cannot be repeated when an idle connection turns out to be closed: none is kept. */
    calling.max_idle_per_address = 0;
    serving.address = address;
    serving.on_request = on_request;
    serving.max_body_bytes = MAX_BODY;
    serving.max_connections = MAX_CLIENTS;
    service *const s = calloc(1, sizeof *s);
    if (s == NULL)
        return WEIR_ENOMEM;
    serving.user = s;
    int result = start_tracer(s);
    if (result == WEIR_OK)
        result = weir_http_client_create(&s->client, loop, &calling);
    if (result == WEIR_OK)
        result = weir_http_server_create(&s->server, loop, &serving);
    if (result == WEIR_OK)
        *out = s;
    else
        service_stop(s);
    return result;
}

weir_address service_address(const service *s)
{
    return weir_http_server_address(s->server);
}

void service_stop(service *s)
{
    if (s == NULL)
        return;
    weir_http_client_destroy(s->client); /* Posts fail now, so their requests are answered. */
    weir_http_server_destroy(s->server);
    weir_tracer_destroy(s->tracer);
    weir_sampler_destroy(s->sampler);
    free(s);
}

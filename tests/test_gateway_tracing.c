/* The gateway in a trace: it continues what comes, and each attempt is a span of its own. */
#include "support/gateway_fixture.h"

#include <weir/sampler.h>
#include <weir/trace_store.h>

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00-" TRACE "-00f067aa0ba902b7-01"

static weir_trace_store *store;
static weir_sampler *sampler;

static int setup_traced(void **state)
{
    if (setup(state) != 0 || weir_trace_store_create(&store, NULL) != WEIR_OK)
        return -1;
    weir_sampler_options parents = WEIR_SAMPLER_OPTIONS_INIT;
    weir_tracer_options options = WEIR_TRACER_OPTIONS_INIT;
    parents.kind = WEIR_SAMPLER_PARENT_BASED;
    if (weir_sampler_create(&sampler, &parents) != WEIR_OK)
        return -1;
    options.exporter = weir_trace_store_exporter(store);
    options.sampling = weir_sampler_hook(sampler);
    options.immediate = true;
    options.env = &f.env;
    return weir_tracer_create(&f.tracer, &options);
}

static int teardown_traced(void **state)
{
    weir_gateway_destroy(f.gateway);
    f.gateway = NULL;
    weir_tracer_destroy(f.tracer);
    weir_sampler_destroy(sampler);
    weir_trace_store_destroy(store);
    return teardown(state);
}

/* ---- Spans, as the store has them ---- */

typedef struct seen {
    size_t traces, count;
    weir_span_data spans[8]; /* What they point to stays while the store does. */
} seen;

static seen s;

static bool see(const weir_stored_trace *trace, void *user)
{
    (void)user;
    s.traces++;
    for (size_t i = 0; i < trace->span_count && s.count < 8; i++)
        s.spans[s.count++] = *trace->spans[i].span;
    return true;
}

static void look(void)
{
    s = (seen){0, 0, {{.name = NULL}}};
    assert_int_equal(weir_trace_store_find(store, NULL, see, NULL), WEIR_OK);
}

/* Of a name; one without a key if there is none. */
static weir_attribute attribute(const weir_span_data *span, const char *key)
{
    for (size_t i = 0; i < span->attribute_count; i++)
        if (strcmp(span->attributes[i].key, key) == 0)
            return span->attributes[i];
    return (weir_attribute){.key = NULL, .as = {.string = "(none)"}};
}

static void assert_text(const weir_span_data *span, const char *key, const char *value)
{
    assert_string_equal(attribute(span, key).as.string, value);
}

static int64_t number(const weir_span_data *span, const char *key)
{
    weir_attribute const found = attribute(span, key);
    return found.key != NULL ? found.as.integer : -1;
}

static void assert_hex(const uint8_t *bytes, size_t size, const char *hex)
{
    for (size_t i = 0; i < size; i++) {
        char two[3];
        (void)snprintf(two, sizeof two, "%02x", bytes[i]);
        assert_memory_equal(two, hex + 2 * i, 2);
    }
}

static int get_with_headers(const char *path, const char *headers)
{
    char request[512];
    int const fd = connect_proxy();
    (void)snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n%s\r\n", path, headers);
    tell(fd, request);
    (void)read_all(fd, UINT64_MAX);
    (void)close(fd);
    settle();
    reply.status = 0;
    (void)sscanf(reply.head, "HTTP/1.1 %d", &reply.status);
    return reply.status;
}

/* ---- Tests ---- */

static void a_request_continues_the_trace_that_it_comes_with(void **state)
{
    (void)state;
    start_two("");
    assert_int_equal(get_with_headers("/s/echo", "traceparent: " PARENT "\r\n"
                                                 "tracestate: a=b\r\n"
                                                 "tracestate: c=d\r\n"),
                     200);
    look();
    assert_int_equal(s.count, 2);
    const weir_span_data *const client = &s.spans[0], *const server = &s.spans[1];
    assert_int_equal(server->kind, WEIR_SPAN_SERVER);
    assert_string_equal(server->name, "GET /s");
    assert_hex(server->context.trace_id, 16, TRACE);
    assert_hex(server->parent_id, 8, "00f067aa0ba902b7");
    assert_true(server->parent_remote);
    assert_int_equal(client->kind, WEIR_SPAN_CLIENT);
    assert_memory_equal(client->parent_id, server->context.span_id, 8);
    assert_false(client->parent_remote);
    const char *const sent = strstr(reply.head, "\ntraceparent=00-" TRACE "-");
    assert_non_null(sent);
    assert_hex(client->context.span_id, 8, sent + strlen("\ntraceparent=00-" TRACE "-"));
    assert_null(strstr(sent + 2, "traceparent="));
    assert_non_null(strstr(reply.head, "tracestate=a=b,c=d\n"));
}

static void spans_say_what_the_conventions_ask_for(void **state)
{
    (void)state;
    start_two("");
    assert_int_equal(get_with_headers("/s/echo?secret=1", "User-Agent: test\r\n"), 200);
    look();
    const weir_span_data *const client = &s.spans[0], *const server = &s.spans[1];
    assert_text(server, "http.request.method", "GET");
    assert_text(server, "url.path", "/s/echo");
    assert_text(server, "url.scheme", "http");
    assert_text(server, "server.address", "shop");
    assert_text(server, "http.route", "/s");
    assert_text(server, "user_agent.original", "test");
    assert_text(server, "client.address", "127.0.0.1");
    assert_text(server, "network.protocol.version", "1.1");
    assert_int_equal(number(server, "http.response.status_code"), 200);
    assert_int_equal(server->status, WEIR_SPAN_UNSET);
    assert_text(client, "http.request.method", "GET");
    assert_text(client, "server.address", "127.0.0.1");
    const char *const member = attribute(client, "weir.member").as.string;
    assert_int_equal(number(client, "server.port"),
                     weir_http_server_address(f.upstreams[member[0] - 'a']).port);
    assert_non_null(strstr(attribute(client, "url.full").as.string, "/s/echo"));
    assert_null(strstr(attribute(client, "url.full").as.string, "secret"));
    assert_text(client, "weir.service", "s");
    assert_int_equal(number(client, "http.response.status_code"), 200);
    assert_null(attribute(client, "http.request.resend_count").key);
}

static void each_attempt_is_a_client_span_below_the_request(void **state)
{
    (void)state;
    start_two("retry attempts=2 base=1ms cap=1ms\n");
    f.fake.now_ns += MS;
    int const fd = connect_proxy();
    tell(fd, "GET /s/500 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 50; i++) {
        settle();
        f.fake.now_ns += MS;
    }
    (void)read_all(fd, UINT64_MAX);
    (void)close(fd);
    look();
    assert_int_equal(s.traces, 1);
    assert_int_equal(s.count, 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(s.spans[i].kind, WEIR_SPAN_CLIENT);
        assert_memory_equal(s.spans[i].parent_id, s.spans[2].context.span_id, 8);
        assert_int_equal(number(&s.spans[i], "http.response.status_code"), 500);
        assert_text(&s.spans[i], "error.type", "500");
        assert_int_equal(s.spans[i].status, WEIR_SPAN_ERROR);
    }
    assert_memory_not_equal(s.spans[0].context.span_id, s.spans[1].context.span_id, 8);
    assert_int_equal(number(&s.spans[1], "http.request.resend_count"), 1);
    assert_int_equal(s.spans[2].status, WEIR_SPAN_ERROR);
    assert_text(&s.spans[2], "error.type", "500");
}

static void a_member_that_cannot_be_reached_is_told_by_its_outcome(void **state)
{
    (void)state;
    start("service s\nroute /s\nmember a ${X}\nbreaker off\n");
    assert_int_equal(get("/s"), 502);
    look();
    assert_int_equal(s.count, 2);
    assert_text(&s.spans[0], "error.type", "failure");
    assert_string_equal(s.spans[0].status_message, "failure");
    assert_null(attribute(&s.spans[0], "http.response.status_code").key);
    assert_int_equal(number(&s.spans[1], "http.response.status_code"), 502);
}

static void a_request_that_nobody_serves_is_a_span_by_itself(void **state)
{
    (void)state;
    start("service s\nroute /s\n");
    assert_int_equal(get("/s"), 503);
    assert_int_equal(get("/nowhere"), 404);
    look();
    assert_int_equal(s.traces, 2);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.spans[0].name, "GET");
    assert_int_equal(s.spans[0].status, WEIR_SPAN_UNSET); /* 404 is the client's. */
    assert_text(&s.spans[1], "error.type", "503");
}

static void a_client_that_leaves_ends_both_spans(void **state)
{
    (void)state;
    start_two("");
    int const fd = connect_proxy();
    tell(fd, "GET /s/hold HTTP/1.1\r\nHost: x\r\n\r\n");
    settle();
    (void)close(fd);
    settle();
    look();
    assert_int_equal(s.count, 2);
    assert_text(&s.spans[0], "error.type", "cancelled");
    assert_int_equal(number(&s.spans[1], "http.response.status_code"), 499);
}

static void a_trace_that_is_not_sampled_goes_on_as_such(void **state)
{
    (void)state;
    start_two("");
    assert_int_equal(get_with_headers("/s/echo",
                                      "traceparent: 00-" TRACE "-00f067aa0ba902b7-00\r\n"),
                     200);
    look();
    assert_int_equal(s.count, 0);
    const char *const sent = strstr(reply.head, "\ntraceparent=00-" TRACE "-");
    assert_non_null(sent);
    assert_memory_equal(sent + strlen("\ntraceparent=00-" TRACE "-") + 16, "-00\n", 4);
    assert_null(strstr(reply.head, "00f067aa0ba902b7")); /* A span id of its own. */
}

static void a_malformed_context_begins_a_trace(void **state)
{
    (void)state;
    start_two("");
    assert_int_equal(get_with_headers("/s/echo", "traceparent: 00-" TRACE "-0000-01\r\n"
                                                 "tracestate: a=b\r\n"),
                     200);
    assert_non_null(strstr(reply.head, "\ntraceparent=00-"));
    assert_null(strstr(reply.head, TRACE));
    assert_null(strstr(reply.head, "tracestate"));
}

static void other_formats_are_read_and_written_when_asked_for(void **state)
{
    (void)state;
    f.formats = WEIR_PROPAGATE_B3;
    start_two("");
    assert_int_equal(get_with_headers("/s/echo", "B3: " TRACE "-00f067aa0ba902b7-1\r\n"
                                                 "traceparent: untouched\r\n"),
                     200);
    assert_non_null(strstr(reply.head, "\nb3=" TRACE "-"));
    assert_null(strstr(reply.head, "B3="));
    assert_non_null(strstr(reply.head, "traceparent=untouched\n"));
    look();
    assert_int_equal(s.count, 2);
    assert_hex(s.spans[1].parent_id, 8, "00f067aa0ba902b7");
}

static void without_a_tracer_contexts_pass_as_they_come(void **state)
{
    (void)state;
    weir_tracer *const tracer = f.tracer;
    f.tracer = NULL;
    start_two("");
    f.tracer = tracer;
    assert_int_equal(get_with_headers("/s/echo", "traceparent: " PARENT "\r\n"), 200);
    assert_non_null(strstr(reply.head, "\ntraceparent=" PARENT "\n"));
    assert_int_equal(get_with_headers("/s/echo", ""), 200);
    assert_null(strstr(reply.head, "traceparent"));
    look();
    assert_int_equal(s.count, 0);
}

static void openmetrics_has_the_traces_as_exemplars(void **state)
{
    (void)state;
    start_two("");
    assert_int_equal(get_with_headers("/s", "traceparent: " PARENT "\r\n"), 200);
    int const fd = dial(weir_gateway_admin_address(f.gateway).port);
    tell(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
             "Accept: application/openmetrics-text;version=1.0.0\r\n\r\n");
    (void)read_all(fd, UINT64_MAX);
    (void)close(fd);
    assert_non_null(strstr(reply.head, "Content-Type: application/openmetrics-text"));
    assert_non_null(strstr(reply.head, "# {trace_id=\"" TRACE "\",span_id=\""));
    assert_int_equal(admin_page("GET", "/metrics"), 200);
    assert_non_null(strstr(reply.head, "Content-Type: text/plain; version=0.0.4"));
    assert_null(strstr(reply.head, TRACE));
    assert_non_null(strstr(reply.head, "weir_tracer_exported_total 2\n"));
}

#define TRACED(name) cmocka_unit_test_setup_teardown(name, setup_traced, teardown_traced)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRACED(a_request_continues_the_trace_that_it_comes_with),
        TRACED(spans_say_what_the_conventions_ask_for),
        TRACED(each_attempt_is_a_client_span_below_the_request),
        TRACED(a_member_that_cannot_be_reached_is_told_by_its_outcome),
        TRACED(a_request_that_nobody_serves_is_a_span_by_itself),
        TRACED(a_client_that_leaves_ends_both_spans),
        TRACED(a_trace_that_is_not_sampled_goes_on_as_such),
        TRACED(a_malformed_context_begins_a_trace),
        TRACED(other_formats_are_read_and_written_when_asked_for),
        TRACED(without_a_tracer_contexts_pass_as_they_come),
        TRACED(openmetrics_has_the_traces_as_exemplars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

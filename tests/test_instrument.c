/* Instrumentation: what OpenTelemetry's conventions for HTTP ask of servers and clients. */
#include "support/fake_env.h"

#include <weir/instrument.h>
#include <weir/sampler.h>
#include <weir/trace_store.h>

#include <stdio.h>
#include <string.h>

#define MS UINT64_C(1000000)

static fake_env fake;
static weir_env env;
static weir_trace_store *store;
static weir_tracer *tracer;
static weir_metrics *metrics;
static weir_instrument *instrument;
static weir_instrument_options options;
static weir_server_call served;
static weir_client_call made;
static weir_http_request request;
static weir_http_header headers[4];
static char page[1 << 21];
static size_t page_size;
static weir_span_data span; /* The latest in the store. */

static int setup(void **unused)
{
    (void)unused;
    fake = (fake_env){.now_ns = 1000 * MS, .random = 1, .random_step = 77};
    env = fake_env_hooks(&fake);
    weir_trace_store_options storing = WEIR_TRACE_STORE_OPTIONS_INIT;
    weir_tracer_options tracing = WEIR_TRACER_OPTIONS_INIT;
    weir_metrics_options counting = WEIR_METRICS_OPTIONS_INIT;
    storing.env = tracing.env = counting.env = &env;
    counting.threads = 1;
    tracing.immediate = true;
    assert_int_equal(weir_trace_store_create(&store, &storing), WEIR_OK);
    tracing.exporter = weir_trace_store_exporter(store);
    assert_int_equal(weir_tracer_create(&tracer, &tracing), WEIR_OK);
    assert_int_equal(weir_metrics_create(&metrics, &counting), WEIR_OK);
    options = (weir_instrument_options)WEIR_INSTRUMENT_OPTIONS_INIT;
    options.tracer = tracer;
    options.metrics = metrics;
    options.env = &env;
    request = (weir_http_request){.method = weir_http_str("GET"),
                                  .path = weir_http_str("/orders/7?key=secret"),
                                  .authority = weir_http_str("shop.example:8080"),
                                  .headers = headers,
                                  .minor_version = 1};
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    weir_instrument_destroy(instrument);
    instrument = NULL;
    weir_tracer_destroy(tracer);
    weir_metrics_destroy(metrics);
    weir_trace_store_destroy(store);
    assert_int_equal(fake.live, 0);
    return 0;
}

static void create(void)
{
    assert_int_equal(weir_instrument_create(&instrument, &options), WEIR_OK);
}

static void append(const void *data, size_t size, void *user)
{
    (void)user;
    assert_true(page_size + size < sizeof page);
    memcpy(page + page_size, data, size);
    page_size += size;
    page[page_size] = '\0';
}

static bool shown(const char *line)
{
    page_size = 0;
    page[0] = '\0';
    assert_int_equal(weir_metrics_prometheus(metrics, append, NULL), WEIR_OK);
    return strstr(page, line) != NULL;
}

static bool take(const weir_stored_trace *trace, void *user)
{
    (void)user;
    span = *trace->spans[trace->span_count - 1].span;
    return false;
}

/* The latest span of the latest trace. */
static const weir_span_data *latest(void)
{
    memset(&span, 0, sizeof span);
    assert_int_equal(weir_trace_store_find(store, NULL, take, NULL), WEIR_OK);
    assert_non_null(span.name);
    return &span;
}

static const char *text(const weir_span_data *of, const char *key)
{
    for (size_t i = 0; i < of->attribute_count; i++)
        if (strcmp(of->attributes[i].key, key) == 0)
            return of->attributes[i].as.string;
    return "(none)";
}

static int64_t number(const weir_span_data *of, const char *key)
{
    for (size_t i = 0; i < of->attribute_count; i++)
        if (strcmp(of->attributes[i].key, key) == 0)
            return of->attributes[i].as.integer;
    return -1;
}

static void serve(int status, const char *error)
{
    weir_instrument_serve(instrument, &served, &request, "/orders/:id", NULL, 1000 * MS);
    weir_instrument_served(&served, status, error, 1030 * MS);
}

/* ---- Served ---- */

static void a_request_that_is_served_is_a_span_and_a_duration(void **unused)
{
    (void)unused;
    create();
    weir_instrument_serve(instrument, &served, &request, "/orders/:id", NULL, 1000 * MS);
    assert_true(
        shown("http_server_active_requests{http_request_method=\"GET\",url_scheme=\"http\"} 1\n"));
    weir_instrument_served(&served, 200, NULL, 1030 * MS);
    assert_true(
        shown("http_server_active_requests{http_request_method=\"GET\",url_scheme=\"http\"} 0\n"));
    assert_true(shown("http_server_request_duration_seconds_bucket{http_request_method=\"GET\","
                      "http_response_status_code=\"200\",http_route=\"/orders/:id\","
                      "error_type=\"\",url_scheme=\"http\",le=\"0.05\"} 1\n"));
    assert_true(
        shown("http_route=\"/orders/:id\",error_type=\"\",url_scheme=\"http\",le=\"0.025\"} 0\n"));
    assert_string_equal(latest()->name, "GET /orders/:id");
    assert_int_equal(span.end_ns - span.start_ns, 30 * MS);
    assert_string_equal(text(&span, "url.path"), "/orders/7");
    assert_string_equal(text(&span, "server.address"), "shop.example");
    assert_int_equal(number(&span, "server.port"), 8080);
    assert_int_equal(span.status, WEIR_SPAN_UNSET);
}

static void an_error_of_ours_is_an_error_and_one_of_the_clients_is_not(void **unused)
{
    (void)unused;
    create();
    serve(404, NULL);
    assert_int_equal(latest()->status, WEIR_SPAN_UNSET);
    assert_string_equal(text(&span, "error.type"), "(none)");
    serve(503, NULL);
    assert_int_equal(latest()->status, WEIR_SPAN_ERROR);
    assert_string_equal(text(&span, "error.type"), "503");
    serve(0, "timeout");
    assert_int_equal(latest()->status, WEIR_SPAN_ERROR);
    assert_string_equal(text(&span, "error.type"), "timeout");
    assert_string_equal(span.status_message, "timeout");
    assert_true(shown("http_response_status_code=\"503\",http_route=\"/orders/:id\","
                      "error_type=\"503\",url_scheme=\"http\",le=\"+Inf\"} 1\n"));
    assert_true(shown("http_response_status_code=\"\",http_route=\"/orders/:id\","
                      "error_type=\"timeout\",url_scheme=\"http\",le=\"+Inf\"} 1\n"));
}

static void an_unknown_method_is_one_of_many(void **unused)
{
    (void)unused;
    create();
    request.method = weir_http_str("BREW");
    serve(200, NULL);
    assert_string_equal(latest()->name, "HTTP /orders/:id");
    assert_string_equal(text(&span, "http.request.method"), "_OTHER");
    assert_string_equal(text(&span, "http.request.method_original"), "BREW");
    assert_true(shown("http_request_method=\"_OTHER\""));
}

static void an_authority_is_split_into_address_and_port(void **unused)
{
    (void)unused;
    static const struct {
        const char *authority, *address;
        int64_t port;
    } all[] = {{"shop", "shop", -1},   {"[::1]:80", "::1", 80},    {"[::1]", "::1", -1},
               {"shop:", "shop", -1},  {"shop:99999", "shop", -1}, {"", "(none)", -1},
               {"shop:8x", "shop", -1}};
    create();
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        request.authority = weir_http_str(all[i].authority);
        serve(200, NULL);
        assert_string_equal(text(latest(), "server.address"), all[i].address);
        assert_int_equal(number(&span, "server.port"), all[i].port);
    }
}

static void a_second_end_says_nothing(void **unused)
{
    (void)unused;
    create();
    serve(200, NULL);
    weir_instrument_served(&served, 500, NULL, 2000 * MS);
    assert_false(shown("http_response_status_code=\"500\""));
    assert_true(
        shown("http_server_active_requests{http_request_method=\"GET\",url_scheme=\"http\"} 0\n"));
}

static void a_clock_that_steps_back_has_requests_take_no_time(void **unused)
{
    (void)unused;
    create();
    weir_instrument_serve(instrument, &served, &request, "/", NULL, 1000 * MS);
    weir_instrument_served(&served, 200, NULL, 1);
    assert_true(shown("http_server_request_duration_seconds_sum{http_request_method=\"GET\","
                      "http_response_status_code=\"200\",http_route=\"/"
                      "\",error_type=\"\",url_scheme=\"http\"} 0\n"));
}

/* ---- Made ---- */

static weir_client_call_info call_info(const weir_address *address)
{
    return (weir_client_call_info){.parent = &served.span.context,
                                   .method = weir_http_str("POST"),
                                   .path = weir_http_str("/pay?card=1"),
                                   .address = address,
                                   .service = "payment",
                                   .member = "p1",
                                   .attempt = 2};
}

static void a_call_is_a_child_whose_context_goes_with_it(void **unused)
{
    (void)unused;
    weir_address address;
    char parent[WEIR_TRACEPARENT_SIZE];
    assert_int_equal(weir_address_parse(&address, "10.0.0.7:8443"), WEIR_OK);
    create();
    weir_instrument_serve(instrument, &served, &request, "/", NULL, 1000 * MS);
    weir_client_call_info const info = call_info(&address);
    weir_instrument_call(instrument, &made, &info, 1000 * MS);
    assert_int_equal(made.header_count, 1);
    assert_true(weir_http_equals(made.headers[0].name, "traceparent"));
    weir_traceparent_format(&made.span.context, parent);
    assert_true(weir_http_equals(made.headers[0].value, parent));
    assert_memory_equal(made.span.context.trace_id, served.span.context.trace_id, 16);
    weir_instrument_called(&made, 429, NULL, 1004 * MS);
    assert_string_equal(latest()->name, "POST");
    assert_int_equal(span.kind, WEIR_SPAN_CLIENT);
    assert_string_equal(text(&span, "url.full"), "http://10.0.0.7:8443/pay");
    assert_string_equal(text(&span, "weir.service"), "payment");
    assert_string_equal(text(&span, "weir.member"), "p1");
    assert_int_equal(number(&span, "http.request.resend_count"), 1);
    assert_int_equal(span.status, WEIR_SPAN_ERROR); /* 400 and above, for a client. */
    assert_true(shown("http_client_request_duration_seconds_bucket{http_request_method=\"POST\","
                      "http_response_status_code=\"429\",server_address=\"10.0.0.7\","
                      "server_port=\"8443\",error_type=\"429\",le=\"0.005\"} 1\n"));
    weir_instrument_called(&made, 200, NULL, 1004 * MS);
    assert_false(shown("http_response_status_code=\"200\",server_address"));
    weir_instrument_served(&served, 200, NULL, 1005 * MS);
}

static void an_ipv6_address_has_brackets_in_a_url_alone(void **unused)
{
    (void)unused;
    weir_address address;
    assert_int_equal(weir_address_parse(&address, "[2001:db8::7]:80"), WEIR_OK);
    create();
    weir_client_call_info info = call_info(&address);
    info.parent = NULL;
    weir_instrument_call(instrument, &made, &info, 1000 * MS);
    weir_instrument_called(&made, 200, NULL, 1001 * MS);
    assert_string_equal(text(latest(), "url.full"), "http://[2001:db8::7]:80/pay");
    assert_string_equal(text(&span, "server.address"), "2001:db8::7");
}

/* What the conventions of HTTP spans list as important for decisions is there at the start. */
static void a_sampler_can_decide_by_path_and_by_service(void **unused)
{
    (void)unused;
    weir_address address;
    weir_sampler *off, *rules;
    weir_sampler_options by = WEIR_SAMPLER_OPTIONS_INIT;
    weir_tracer_options tracing = WEIR_TRACER_OPTIONS_INIT;
    by.env = tracing.env = &env;
    assert_int_equal(weir_sampler_create_named(&off, "always_off", NULL, &env), WEIR_OK);
    weir_sampler_rule const wanted[] = {
        {.attribute = "url.path", .value = "/orders/*", .then = weir_sampler_hook(off)},
        {.attribute = "weir.service", .value = "payment", .then = weir_sampler_hook(off)},
    };
    by.kind = WEIR_SAMPLER_RULES;
    by.rules = wanted;
    by.rule_count = 2;
    assert_int_equal(weir_sampler_create(&rules, &by), WEIR_OK);
    tracing.sampling = weir_sampler_hook(rules);
    assert_int_equal(weir_tracer_create(&options.tracer, &tracing), WEIR_OK);
    create();
    weir_instrument_serve(instrument, &served, &request, "/", NULL, 1000 * MS);
    assert_int_equal(served.span.context.flags & 1, 0);
    weir_instrument_served(&served, 200, NULL, 1001 * MS);
    request.path = weir_http_str("/users");
    weir_instrument_serve(instrument, &served, &request, "/", NULL, 1000 * MS);
    assert_int_equal(served.span.context.flags & 1, 1);
    assert_int_equal(weir_address_parse(&address, "10.0.0.7:8443"), WEIR_OK);
    weir_client_call_info const info = call_info(&address);
    weir_instrument_call(instrument, &made, &info, 1000 * MS);
    assert_int_equal(made.span.context.flags & 1, 0);
    weir_instrument_called(&made, 200, NULL, 1001 * MS);
    weir_instrument_served(&served, 200, NULL, 1001 * MS);
    weir_tracer_destroy(options.tracer);
    weir_sampler_destroy(rules);
    weir_sampler_destroy(off);
}

static void all_formats_at_once_have_room(void **unused)
{
    (void)unused;
    weir_address address;
    assert_int_equal(weir_address_parse(&address, "10.0.0.7:8443"), WEIR_OK);
    options.formats = WEIR_PROPAGATE_TRACECONTEXT | WEIR_PROPAGATE_B3 | WEIR_PROPAGATE_B3MULTI |
                      WEIR_PROPAGATE_JAEGER;
    create();
    char state[WEIR_TRACESTATE_SIZE] = "a=";
    memset(state + 2, 'x', 200);
    memcpy(state + 202, ",b=", 4);
    memset(state + 205, 'y', 250);
    headers[0] = (weir_http_header){weir_http_str("traceparent"),
                                    weir_http_str("00-4bf92f3577b34da6a3ce929d0e0e4736-"
                                                  "00f067aa0ba902b7-01")};
    headers[1] = (weir_http_header){weir_http_str("TraceState"), weir_http_str(state)};
    request.header_count = 2;
    weir_instrument_serve(instrument, &served, &request, "/", NULL, 1000 * MS);
    weir_client_call_info const info = call_info(&address);
    weir_instrument_call(instrument, &made, &info, 1000 * MS);
    assert_true(made.header_count >= 7);
    for (size_t i = 0; i < made.header_count; i++)
        assert_true(weir_instrument_is_carrier(instrument, made.headers[i].name));
    assert_false(weir_instrument_is_carrier(instrument, weir_http_str("Host")));
    weir_instrument_called(&made, 200, NULL, 1000 * MS);
    weir_instrument_served(&served, 200, NULL, 1000 * MS);
}

/* ---- Without ---- */

static void without_an_instrument_contexts_still_pass(void **unused)
{
    (void)unused;
    weir_address address;
    assert_int_equal(weir_address_parse(&address, "[::1]:80"), WEIR_OK);
    headers[0] = (weir_http_header){weir_http_str("traceparent"),
                                    weir_http_str("00-4bf92f3577b34da6a3ce929d0e0e4736-"
                                                  "00f067aa0ba902b7-01")};
    request.header_count = 1;
    weir_instrument_serve(NULL, &served, &request, "/", NULL, 1000 * MS);
    weir_client_call_info const info = call_info(&address);
    weir_instrument_call(NULL, &made, &info, 1000 * MS);
    assert_int_equal(made.header_count, 1);
    assert_memory_equal(made.headers[0].value.data, headers[0].value.data, 55);
    weir_instrument_called(&made, 200, NULL, 1000 * MS);
    weir_instrument_served(&served, 200, NULL, 1000 * MS);
}

static void without_metrics_there_are_spans_alone(void **unused)
{
    (void)unused;
    options.metrics = NULL;
    create();
    serve(200, NULL);
    assert_string_equal(latest()->name, "GET /orders/:id");
}

/* ---- Callers ---- */

static void tell(weir_caller_event event)
{
    weir_instrument_on_caller(instrument, "orders", &event);
}

static void what_a_caller_says_is_counted(void **unused)
{
    (void)unused;
    weir_breaker_event const opened = {.from = WEIR_BREAKER_CLOSED, .to = WEIR_BREAKER_OPEN};
    weir_breaker_event const lost = {.from = WEIR_BREAKER_OPEN, .to = WEIR_BREAKER_OPEN};
    weir_outlier_event const ejected = {.kind = WEIR_OUTLIER_EJECTED};
    weir_outlier_event const spared = {.kind = WEIR_OUTLIER_SPARED};
    create();
    tell((weir_caller_event){.kind = WEIR_CALLER_ATTEMPT, .member = "a"});
    tell((weir_caller_event){
        .kind = WEIR_CALLER_RESULT, .member = "a", .outcome = WEIR_TIMEOUT, .latency_ns = 7 * MS});
    tell((weir_caller_event){.kind = WEIR_CALLER_ENDED,
                             .outcome = WEIR_SUCCESS,
                             .latency_ns = 30 * MS});
    tell((weir_caller_event){.kind = WEIR_CALLER_REJECTED,
                             .rejection = {.stage = WEIR_STAGE_LIMITER, .code = WEIR_ELIMITED}});
    tell((weir_caller_event){.kind = WEIR_CALLER_BREAKER, .member = "a", .breaker = &opened});
    tell((weir_caller_event){.kind = WEIR_CALLER_BREAKER, .member = "a", .breaker = &lost});
    tell((weir_caller_event){.kind = WEIR_CALLER_OUTLIER, .member = "a", .outlier = &ejected});
    tell((weir_caller_event){.kind = WEIR_CALLER_OUTLIER, .member = "a", .outlier = &spared});
    assert_true(shown("weir_caller_attempt_duration_seconds_bucket{weir_service=\"orders\","
                      "weir_member=\"a\",weir_outcome=\"timeout\",le=\"0.01\"} 1\n"));
    assert_true(shown("weir_caller_call_duration_seconds_sum{weir_service=\"orders\","
                      "weir_outcome=\"success\"} 0.03\n"));
    assert_true(shown("weir_caller_rejections_total{weir_service=\"orders\","
                      "weir_stage=\"limiter\"} 1\n"));
    assert_true(shown("weir_caller_breaker_changes_total{weir_service=\"orders\","
                      "weir_member=\"a\",weir_state=\"open\"} 1\n"));
    assert_true(
        shown("weir_caller_ejections_total{weir_service=\"orders\",weir_member=\"a\"} 1\n"));
    weir_instrument_on_caller(NULL, "orders",
                              &(weir_caller_event){.kind = WEIR_CALLER_ATTEMPT}); /* Nobody. */
}

/* More sets of labels than are remembered, and longer ones: each is counted all the same. */
static void every_set_of_labels_is_counted_exactly(void **unused)
{
    (void)unused;
    char member[700];
    create();
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 1500; i++) {
            (void)snprintf(member, sizeof member, "%0*d", i % 2 == 0 ? 600 : 5, i);
            weir_outlier_event const ejected = {.kind = WEIR_OUTLIER_EJECTED};
            tell((weir_caller_event){.kind = WEIR_CALLER_OUTLIER,
                                     .member = member,
                                     .outlier = &ejected});
        }
    weir_metrics_stats stats;
    weir_metrics_get_stats(metrics, &stats);
    assert_int_equal(stats.series, 1500);
    assert_int_equal(stats.overflowed, 0);
    assert_true(shown("weir_member=\"01499\"} 2\n"));
    assert_true(shown("00001498\"} 2\n"));
    assert_false(shown("\"} 1\n"));
}

/* ---- The process, memory and options ---- */

static void a_process_shows_itself_and_its_tracer(void **unused)
{
    (void)unused;
    create();
    assert_int_equal(weir_instrument_process(metrics, tracer), WEIR_OK);
    serve(200, NULL);
    assert_true(shown("\nprocess_cpu_seconds_total "));
    assert_true(shown("\nprocess_max_fds "));
    assert_true(shown("weir_build_info{version=\"0.1.0\",compiler=\""));
    assert_true(shown("weir_tracer_exported_total 1\n"));
    assert_true(shown("weir_tracer_dropped_total{reason=\"queue_full\"} 0\n"));
    assert_true(shown("weir_tracer_queue_size 2048\n"));
#if defined(__linux__)
    assert_true(shown("\nprocess_resident_memory_bytes "));
    assert_true(shown("\nprocess_open_fds "));
    assert_true(shown("\nprocess_start_time_seconds "));
#endif
    assert_int_equal(weir_instrument_process(metrics, NULL), WEIR_EEXISTS);
}

static void creation_survives_any_want_of_memory(void **unused)
{
    (void)unused;
    for (unsigned fail_at = 1;; fail_at++) {
        weir_metrics *own;
        weir_metrics_options counting = WEIR_METRICS_OPTIONS_INIT;
        counting.env = &env;
        unsigned const live = fake.live;
        assert_int_equal(weir_metrics_create(&own, &counting), WEIR_OK);
        options.metrics = own;
        fake.calls = 0;
        fake.fail_at = fail_at;
        int result = weir_instrument_create(&instrument, &options);
        if (result == WEIR_OK)
            result = weir_instrument_process(own, tracer);
        fake.fail_at = 0;
        bool const all = fake.calls < fail_at;
        assert_int_equal(result, all ? WEIR_OK : WEIR_ENOMEM);
        weir_instrument_destroy(instrument);
        instrument = NULL;
        weir_metrics_destroy(own);
        assert_int_equal(fake.live, live);
        if (all)
            break;
    }
}

static void an_event_without_memory_harms_nobody(void **unused)
{
    (void)unused;
    create();
    for (unsigned fail_at = 1; fail_at < 40; fail_at++) {
        fake.calls = 0;
        fake.fail_at = fail_at;
        serve((int)(200 + fail_at), NULL);
        fake.fail_at = 0;
    }
    serve(200, NULL);
    assert_true(shown("http_response_status_code=\"200\",http_route=\"/orders/:id\","
                      "error_type=\"\",url_scheme=\"http\",le=\"+Inf\"} 1\n"));
}

static void two_of_them_cannot_share_metrics(void **unused)
{
    (void)unused;
    weir_instrument *second;
    create();
    assert_int_equal(weir_instrument_create(&second, &options), WEIR_EEXISTS);
    assert_null(second);
    options.struct_size = 1;
    assert_int_equal(weir_instrument_create(&second, &options), WEIR_EINVAL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_request_that_is_served_is_a_span_and_a_duration),
        CASE(an_error_of_ours_is_an_error_and_one_of_the_clients_is_not),
        CASE(an_unknown_method_is_one_of_many),
        CASE(an_authority_is_split_into_address_and_port),
        CASE(a_second_end_says_nothing),
        CASE(a_clock_that_steps_back_has_requests_take_no_time),
        CASE(a_call_is_a_child_whose_context_goes_with_it),
        CASE(an_ipv6_address_has_brackets_in_a_url_alone),
        CASE(a_sampler_can_decide_by_path_and_by_service),
        CASE(all_formats_at_once_have_room),
        CASE(without_an_instrument_contexts_still_pass),
        CASE(without_metrics_there_are_spans_alone),
        CASE(what_a_caller_says_is_counted),
        CASE(every_set_of_labels_is_counted_exactly),
        CASE(a_process_shows_itself_and_its_tracer),
        CASE(creation_survives_any_want_of_memory),
        CASE(an_event_without_memory_harms_nobody),
        CASE(two_of_them_cannot_share_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What goes to a collector, and what its answers mean; retries are in test_otlp_retry.c. */
#include "support/otlp_fixture.h"

/* ---- Requests ---- */

static void posts_json_with_its_headers(void **state)
{
    (void)state;
    weir_http_header const headers[] = {{weir_http_str("api-key"), weir_http_str("secret")},
                                        {weir_http_str("content-type"), weir_http_str("text/x")}};
    options.headers = headers;
    options.header_count = 2;
    serve_and_create();
    export_one();
    assert_exported(WEIR_OK, 0);
    assert_int_equal(c.requests, 1);
    assert_memory_equal(c.head, "POST /v1/traces\n", 16);
    assert_non_null(strstr(c.head, "Content-Type: application/json\n"));
    assert_null(strstr(c.head, "text/x")); /* The body is what it is. */
    assert_non_null(strstr(c.head, "User-Agent: OTel-OTLP-Exporter-weir/"));
    assert_non_null(strstr(c.head, "api-key: secret\n"));
    assert_string_equal(c.body, SAMPLE_OPEN SAMPLE_SPAN("x") SAMPLE_CLOSE);
    weir_otlp_stats const stats = stats_now();
    assert_int_equal(stats.batches, 1);
    assert_int_equal(stats.requests, 1);
    assert_int_equal(stats.bytes, strlen(c.body));
    assert_int_equal(stats.taken, 1);
    assert_int_equal(stats.rejected + stats.failed + stats.retries, 0);
    assert_int_equal(warned_count, 0);
}

static void batches_follow_one_another_on_one_connection(void **state)
{
    (void)state;
    serve_and_create();
    for (int i = 0; i < 3; i++) {
        export_one();
        assert_exported(WEIR_OK, 0);
    }
    assert_int_equal(c.requests, 3);
    assert_int_equal(weir_http_server_connections(f.server), 1);
}

static void a_user_agent_of_the_users_own_is_the_only_one(void **state)
{
    (void)state;
    weir_http_header const agent = {weir_http_str("user-agent"), weir_http_str("shop/1")};
    options.headers = &agent;
    options.header_count = 1;
    serve_and_create();
    export_one();
    assert_exported(WEIR_OK, 0);
    assert_non_null(strstr(c.head, "user-agent: shop/1\n"));
    assert_null(strstr(c.head, "OTel-OTLP"));
}

static void a_signals_own_route_is_used_as_it_is(void **state)
{
    (void)state;
    weir_http_header const all = {weir_http_str("a"), weir_http_str("1")};
    weir_http_header const own = {weir_http_str("b"), weir_http_str("2")};
    static const char *const paths[][2] = {{"", "POST /\n"},
                                           {"/", "POST /\n"},
                                           {"/x/", "POST /x/\n"},
                                           {"?tenant=7", "POST /?tenant=7\n"}};
    options.headers = &all;
    options.traces.headers = &own;
    options.header_count = options.traces.header_count = 1;
    serve_and_create();
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char endpoint[128];
        (void)snprintf(endpoint, sizeof endpoint, "%s%s", options.endpoint, paths[i][0]);
        weir_otlp_destroy(otlp);
        options.traces.endpoint = endpoint;
        assert_int_equal(weir_otlp_create(&otlp, f.loop, &options), WEIR_OK);
        export_one();
        assert_exported(WEIR_OK, 0);
        assert_memory_equal(c.head, paths[i][1], strlen(paths[i][1]));
        assert_non_null(strstr(c.head, "b: 2\n"));
        assert_null(strstr(c.head, "a: 1\n"));
    }
}

static void the_endpoint_for_all_gets_the_signals_path(void **state)
{
    (void)state;
    serve_and_create();
    weir_otlp_destroy(otlp);
    char endpoint[128];
    (void)snprintf(endpoint, sizeof endpoint, "HTTP://localhost:%u/otlp//", f.address.port);
    options.endpoint = endpoint;
    assert_int_equal(weir_otlp_create(&otlp, f.loop, &options), WEIR_OK);
    export_one();
    assert_exported(WEIR_OK, 0);
    assert_memory_equal(c.head, "POST /otlp/v1/traces\n", 21);
}

/* ---- Sizes ---- */

static void a_batch_over_the_limit_goes_out_in_parts(void **state)
{
    (void)state;
    enum { COUNT = 11 };
    weir_span_data data[COUNT];
    const weir_span_data *spans[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        data[i] = sample_span("x");
        spans[i] = &data[i];
    }
    /* Five fit, with four commas; a sixth does not. */
    options.max_request_bytes =
        sizeof SAMPLE_OPEN SAMPLE_CLOSE - 1 + 5 * sizeof SAMPLE_SPAN("x") - 1;
    serve_and_create();
    weir_span_batch const batch = sample_batch(spans, COUNT);
    export_batch_of(&batch, WEIR_NEVER);
    assert_exported(WEIR_OK, 0);
    assert_int_equal(c.requests, 3);
    assert_string_equal(c.body, SAMPLE_OPEN SAMPLE_SPAN("x") SAMPLE_CLOSE);
    assert_int_equal(stats_now().taken, COUNT);
}

static void a_span_larger_than_a_request_is_rejected_and_the_rest_goes(void **state)
{
    (void)state;
    static char large[4096];
    memset(large, 'x', sizeof large - 1);
    weir_span_data const a = sample_span("a"), b = sample_span(large), x = sample_span("x");
    const weir_span_data *const spans[] = {&a, &b, &x};
    options.max_request_bytes = 2048;
    serve_and_create();
    weir_span_batch batch = sample_batch(spans, 3);
    export_batch_of(&batch, WEIR_NEVER);
    assert_exported(WEIR_OK, 1);
    assert_int_equal(warned.error, WEIR_ETOOLARGE);
    assert_int_equal(warned.rejected, 1);
    assert_int_equal(stats_now().taken, 2);
    assert_int_equal(stats_now().failed, 1);
    unsigned const requests = c.requests;
    batch = sample_batch(spans + 1, 1);
    export_batch_of(&batch, WEIR_NEVER);
    assert_exported(WEIR_ETOOLARGE, 0);
    assert_int_equal(c.requests, requests); /* No empty envelope. */
}

static void a_large_batch_is_streamed(void **state)
{
    (void)state;
    static char large[100000];
    memset(large, 'y', sizeof large - 1);
    weir_span_data const span = sample_span(large);
    const weir_span_data *spans[50];
    for (size_t i = 0; i < 50; i++)
        spans[i] = &span;
    serve_and_create();
    weir_span_batch const batch = sample_batch(spans, 50);
    export_batch_of(&batch, WEIR_NEVER);
    assert_exported(WEIR_OK, 0);
    assert_int_equal(c.requests, 1);
    assert_in_range(stats_now().bytes, 5000000, 5100000);
    assert_true(f.fake.live_bytes < 4000000); /* So much memory is not kept. */
}

static void nothing_is_sent_for_nothing(void **state)
{
    (void)state;
    serve_and_create();
    weir_span_batch const batch = sample_batch(NULL, 0);
    export_batch_of(&batch, WEIR_NEVER);
    assert_exported(WEIR_OK, 0);
    settle();
    assert_int_equal(c.requests, 0);
}

static void an_answer_over_the_limit_is_an_error(void **state)
{
    (void)state;
    static char large[4096];
    memset(large, ' ', sizeof large - 1);
    c.answer = large;
    options.max_response_bytes = 1024;
    serve_and_create();
    export_one();
    assert_exported(WEIR_ETOOLARGE, 0);
    assert_int_equal(c.requests, 1);
}

/* ---- Answers ---- */

static void a_partial_success_counts_and_tells_what_was_rejected_and_is_not_repeated(void **state)
{
    (void)state;
    weir_span_data const span = sample_span("x");
    const weir_span_data *const spans[] = {&span, &span, &span, &span};
    c.answer =
        "{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"too \\\"old\\\"\\n\"}}";
    serve_and_create();
    weir_span_batch const batch = sample_batch(spans, 4);
    export_batch_of(&batch, WEIR_NEVER);
    assert_exported(WEIR_OK, 3);
    advance_ms(600000);
    assert_int_equal(c.requests, 1);
    assert_int_equal(warned_count, 1);
    assert_int_equal(warned.error, WEIR_OK);
    assert_int_equal(warned.status, 200);
    assert_int_equal(warned.rejected, 3);
    assert_string_equal(warned_message, "too \"old\" ");
    assert_int_equal(stats_now().taken, 1);
    assert_int_equal(stats_now().rejected, 3);
    assert_int_equal(stats_now().failed, 0);
}

static void a_partial_success_may_reject_all_or_warn_alone(void **state)
{
    (void)state;
    serve_and_create();
    c.answer = "{\"partialSuccess\":{\"rejectedSpans\":99}}"; /* More than there were. */
    export_one();
    assert_exported(WEIR_OK, 1);
    assert_string_equal(warned_message, "");
    c.answer = "{\"partialSuccess\":{\"errorMessage\":\"deprecated\",\"later\":[1]}, \"x\":2}";
    export_one();
    assert_exported(WEIR_OK, 0);
    assert_string_equal(warned_message, "deprecated");
    assert_int_equal(warned_count, 2);
    c.answer = "{\"partialSuccess\":{}}";
    export_one();
    assert_exported(WEIR_OK, 0);
    c.answer = "";
    export_one();
    assert_exported(WEIR_OK, 0);
    assert_int_equal(warned_count, 2);
}

static void an_answer_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    static const char *const answers[] = {"<html>", "{\"partialSuccess\":{\"rejectedSpans\":-1}}",
                                          "{\"partialSuccess\":3}", "{}x",
                                          "{\"partialSuccess\":{\"errorMessage\":1}}"};
    serve_and_create();
    for (unsigned i = 0; i < sizeof answers / sizeof *answers; i++) {
        c.answer = answers[i];
        export_one();
        assert_exported(WEIR_OK, 0);
        assert_int_equal(warned_count, i + 1);
        assert_int_equal(warned.rejected, 0);
    }
}

static void other_statuses_are_final(void **state)
{
    (void)state;
    static const int statuses[] = {400, 401, 403, 404, 413, 415, 500, 501, 505, 301, 308};
    serve_and_create();
    c.answer = "{\"code\":3,\"message\":\"what is this?\"}";
    for (unsigned i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        c.status = statuses[i];
        export_one();
        assert_exported(WEIR_EFAILED, 0);
        assert_int_equal(c.requests, i + 1);
        assert_int_equal(warned.error, WEIR_EFAILED);
        assert_int_equal(warned.status, statuses[i]);
        assert_int_equal(warned.rejected, 1);
        assert_string_equal(warned_message, "what is this?");
    }
    c.answer = "nginx";
    c.status = 404;
    export_one();
    assert_exported(WEIR_EFAILED, 0);
    assert_string_equal(warned_message, "Not Found");
}

static void of_a_batch_in_parts_one_that_is_refused_is_counted_and_the_others_go(void **state)
{
    (void)state;
    weir_span_data const span = sample_span("x");
    const weir_span_data *const spans[] = {&span, &span, &span};
    options.max_request_bytes = 1024;
    static char filler[500];
    memset(filler, 'f', sizeof filler - 1);
    weir_attribute const attribute = weir_attribute_string("filler", filler);
    serve_and_create();
    weir_span_batch batch = sample_batch(spans, 3);
    batch.resource = &attribute;
    c.status = 400;
    c.statuses_left = 1;
    export_batch_of(&batch, WEIR_NEVER);
    assert_exported(WEIR_OK, 1);
    assert_int_equal(c.requests, 3);
    assert_int_equal(stats_now().taken, 2);
    assert_int_equal(stats_now().failed, 1);
}

static void what_is_not_http_is_an_error(void **state)
{
    (void)state;
    int const listener = raw_listen();
    create_exporter();
    export_one();
    int const fd = raw_accept(listener);
    until(raw_has(fd, "]}]}]}"));
    raw_send(fd, "SSH-2.0-x\r\n");
    assert_exported(WEIR_EPROTOCOL, 0);
    raw_close(fd);
    raw_close(listener);
}

/* The status says that it was taken; what else it would have said is lost, and that is told. */
static void a_success_that_is_cut_off_is_a_success_with_a_warning(void **state)
{
    (void)state;
    int const listener = raw_listen();
    create_exporter();
    export_one();
    int const fd = raw_accept(listener);
    until(raw_has(fd, "]}]}]}"));
    raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"partial");
    raw_close(fd);
    assert_exported(WEIR_OK, 0);
    assert_int_equal(warned_count, 1);
    raw_close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OTLP_TEST(posts_json_with_its_headers),
        OTLP_TEST(batches_follow_one_another_on_one_connection),
        OTLP_TEST(a_user_agent_of_the_users_own_is_the_only_one),
        OTLP_TEST(a_signals_own_route_is_used_as_it_is),
        OTLP_TEST(the_endpoint_for_all_gets_the_signals_path),
        OTLP_TEST(a_batch_over_the_limit_goes_out_in_parts),
        OTLP_TEST(a_span_larger_than_a_request_is_rejected_and_the_rest_goes),
        OTLP_TEST(a_large_batch_is_streamed),
        OTLP_TEST(nothing_is_sent_for_nothing),
        OTLP_TEST(an_answer_over_the_limit_is_an_error),
        OTLP_TEST(a_partial_success_counts_and_tells_what_was_rejected_and_is_not_repeated),
        OTLP_TEST(a_partial_success_may_reject_all_or_warn_alone),
        OTLP_TEST(an_answer_that_cannot_be_read_is_told),
        OTLP_TEST(other_statuses_are_final),
        OTLP_TEST(of_a_batch_in_parts_one_that_is_refused_is_counted_and_the_others_go),
        OTLP_TEST(what_is_not_http_is_an_error),
        OTLP_TEST(a_success_that_is_cut_off_is_a_success_with_a_warning),
    };
    return cmocka_run_group_tests_name("otlp", tests, NULL, NULL);
}

/* Options of an exporter, what is refused and why, its life without memory. */
#include "support/otlp_fixture.h"

static void refuses(const char *reason)
{
    warned_count = 0;
    assert_string_equal(weir_otlp_options_error(&options), reason);
    assert_int_equal(weir_otlp_create(&otlp, f.loop, &options), WEIR_EINVAL);
    assert_null(otlp);
    assert_int_equal(warned_count, 1);
    assert_int_equal(warned.error, WEIR_EINVAL);
    assert_string_equal(warned_message, reason);
    options = (weir_otlp_options)WEIR_OTLP_OPTIONS_INIT;
    options.on_warning = on_warning;
    options.user = &warned;
}

#define REFUSES(field, value, reason)                                                              \
    do {                                                                                           \
        options.field = (value);                                                                   \
        refuses(reason);                                                                           \
    } while (0)

static void refuses_endpoints_it_cannot_serve_and_says_why(void **state)
{
    (void)state;
    static const char name[] = "the endpoint's host is a name, or its port is none: an IP address "
                               "or localhost is needed";
    static const char form[] = "a header, or the endpoint's path, is malformed";
    REFUSES(endpoint, NULL, "there is no endpoint");
    REFUSES(endpoint, "https://127.0.0.1:4318",
            "the endpoint is https://, and there is no TLS here");
    REFUSES(endpoint, "127.0.0.1:4318", "the endpoint does not begin with http://");
    REFUSES(endpoint, "", "the endpoint does not begin with http://");
    REFUSES(endpoint, "grpc://127.0.0.1:4317", "the endpoint does not begin with http://");
    REFUSES(endpoint, "http://", "the endpoint has no host");
    REFUSES(endpoint, "http:///v1", "the endpoint has no host");
    REFUSES(endpoint, "http://collector:4318", name);
    REFUSES(endpoint, "http://collector", name);
    REFUSES(endpoint, "http://127.0.0.1:x", name);
    REFUSES(endpoint, "http://127.0.0.1:65536", name);
    REFUSES(endpoint, "http://::1:4318", name);
    REFUSES(endpoint,
            "http://a-name-that-is-much-longer-than-the-text-of-any-address-is-by-far:4318",
            "the endpoint's host is a name: an IP address or localhost is needed");
    REFUSES(endpoint, "http://127.0.0.1:0", "the endpoint's port is 0");
    REFUSES(endpoint, "http://me:secret@127.0.0.1",
            "the endpoint has a user name, which is not supported");
    REFUSES(endpoint, "http://127.0.0.1/#x", "the endpoint has a fragment");
    REFUSES(endpoint, "http://127.0.0.1/?x=1", "the endpoint for all signals has a query");
    REFUSES(endpoint, "http://127.0.0.1/a b", form);
    REFUSES(traces.endpoint, "http://127.0.0.1/a\r\nb", form);
    REFUSES(metrics.endpoint, "https://127.0.0.1",
            "the endpoint is https://, and there is no TLS here");
}

static void takes_numeric_hosts_with_and_without_a_port(void **state)
{
    (void)state;
    static const char *const good[] = {"http://127.0.0.1", "http://[::1]", "http://[::1]:4318/x",
                                       "http://localhost", "http://localhost:4318/"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        options.endpoint = good[i];
        assert_null(weir_otlp_options_error(&options));
    }
    assert_null(weir_otlp_options_error(NULL));
}

static void refuses_options_out_of_range(void **state)
{
    (void)state;
    static const char times[] = "a time of retries is out of range";
    static const char sizes[] = "max_request_bytes or max_response_bytes is out of range";
    weir_http_header const split = {weir_http_str("a"), weir_http_str("1\r\nb: 2")};
    REFUSES(timeout_ms, 0, "a timeout or interval is 0");
    REFUSES(metrics_interval_ms, 0, "a timeout or interval is 0");
    REFUSES(metrics_timeout_ms, 0, "a timeout or interval is 0");
    REFUSES(retry_base_ns, 0, times);
    REFUSES(retry_base_ns, options.retry_cap_ns + 1, times);
    REFUSES(retry_cap_ns, (UINT64_C(1) << 56) + 1, times);
    REFUSES(retry_total_ns, 0, times);
    REFUSES(max_request_bytes, 1023, sizes);
    REFUSES(max_request_bytes, (UINT64_C(1) << 32) + 1, sizes);
    REFUSES(max_response_bytes, 1023, sizes);
    REFUSES(max_response_bytes, (UINT64_C(1) << 32) + 1, sizes);
    REFUSES(header_count, 65, "there are too many headers");
    REFUSES(header_count, 1, "the headers are NULL");
    options.header_count = 1;
    REFUSES(headers, &split, "a header, or the endpoint's path, is malformed");
    options.struct_size = 1;
    assert_non_null(weir_otlp_options_error(&options));
    assert_int_equal(weir_otlp_create(&otlp, f.loop, &options), WEIR_EINVAL);
    assert_int_equal(weir_otlp_create(&otlp, NULL, NULL), WEIR_EINVAL);
    assert_null(otlp);
}

static void the_defaults_are_a_collector_on_this_machine(void **state)
{
    (void)state;
    assert_int_equal(weir_otlp_create(&otlp, f.loop, NULL), WEIR_OK);
    assert_int_equal(stats_now().batches, 0);
}

static void create_without_descriptors_is_an_error(void **state)
{
    (void)state;
    limit_descriptors(1);
    int const result = weir_otlp_create(&otlp, f.loop, NULL);
    limit_descriptors(-1);
    assert_int_equal(result, WEIR_ESYSTEM);
    assert_null(otlp);
}

static void create_survives_every_failed_allocation(void **state)
{
    (void)state;
    int result;
    unsigned fail_at = 0;
    do {
        unsigned const live = f.fake.live;
        f.fake.calls = 0;
        f.fake.fail_at = ++fail_at;
        result = weir_otlp_create(&otlp, f.loop, NULL);
        if (result != WEIR_OK) {
            assert_int_equal(result, WEIR_ENOMEM);
            assert_null(otlp);
            assert_in_range(f.fake.live, live, live + 1); /* The loop may have grown. */
        }
    } while (result != WEIR_OK);
    f.fake.fail_at = 0;
    assert_in_range(fail_at, 5, 20);
}

/* Of the exporter's or the collector's: it ends, it is told, and the next one passes. */
static void an_export_survives_every_failed_allocation(void **state)
{
    (void)state;
    weir_span_data const span = sample_span("x");
    const weir_span_data *const spans[] = {&span, &span, &span, &span, &span, &span};
    weir_span_batch const batch = sample_batch(spans, 6);
    options.max_request_bytes = 1024;
    options.retry_total_ns = 1;
    c.answer = "{\"partialSuccess\":{\"errorMessage\":\"x\"}}";
    serve_and_create();
    unsigned fail_at = 0, failed = 0;
    do {
        weir_otlp_destroy(otlp); /* So that nothing is kept from before. */
        create_exporter();
        f.fake.calls = 0;
        f.fake.fail_at = ++fail_at;
        told_count = 0;
        export_batch_of(&batch, f.fake.now_ns + 30000 * MS);
        for (int seconds = 0; told_count == 0 && seconds < 31; seconds++)
            advance_ms(1000);
        assert_int_equal(told_count, 1);
        failed += told_result != WEIR_OK;
        assert_true(told_result == WEIR_OK || told_result == WEIR_ENOMEM ||
                    told_result == WEIR_EFAILED || told_result == WEIR_ECLOSED ||
                    told_result == WEIR_EDEADLINE);
        weir_otlp_stats const stats = stats_now();
        assert_int_equal(stats.taken + stats.failed, 6);
        f.fake.fail_at = f.fake.calls >= f.fake.fail_at ? f.fake.fail_at : 0;
    } while (f.fake.fail_at != 0 && fail_at < 200);
    assert_in_range(failed, 5, 100);
    f.fake.fail_at = 0;
    advance_ms(2000); /* By now the server accepts again. */
    told_count = 0;
    export_one();
    assert_exported(WEIR_OK, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OTLP_TEST(refuses_endpoints_it_cannot_serve_and_says_why),
        OTLP_TEST(takes_numeric_hosts_with_and_without_a_port),
        OTLP_TEST(refuses_options_out_of_range),
        OTLP_TEST(the_defaults_are_a_collector_on_this_machine),
        OTLP_TEST(create_without_descriptors_is_an_error),
        OTLP_TEST(create_survives_every_failed_allocation),
        OTLP_TEST(an_export_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("otlp life", tests, NULL, NULL);
}

/* When an export is tried again, how long that goes on, and how it is given up. */
#include "support/otlp_fixture.h"

#define S (1000 * MS)

/* The first delay is 5 s, by half of it each way: none is before 2.5 s, all are by 7.5 s. */
static void pass_first_delay(void)
{
    unsigned const before = c.requests;
    advance_ms(2499);
    assert_int_equal(c.requests, before);
    advance_ms(5001);
    until(c.requests == before + 1);
}

static void retries_what_may_pass_later(void **state)
{
    (void)state;
    static const int statuses[] = {429, 502, 503, 504};
    serve_and_create();
    for (size_t i = 0; i < 4; i++) {
        c.status = statuses[i];
        c.statuses_left = 1;
        unsigned const before = c.requests;
        export_one();
        until(c.requests == before + 1);
        settle();
        assert_int_equal(told_count, 0);
        pass_first_delay();
        assert_exported(WEIR_OK, 0);
        assert_string_equal(c.body, SAMPLE_OPEN SAMPLE_SPAN("x") SAMPLE_CLOSE);
    }
    assert_int_equal(stats_now().retries, 4);
    assert_int_equal(stats_now().taken, 4);
    assert_int_equal(warned_count, 0);
}

/* Draws of 0 and of all bits set: the ends of the jitter. */
static void delays_double_up_to_their_cap(void **state)
{
    (void)state;
    options.retry_base_ns = S;
    options.retry_cap_ns = 4 * S;
    options.retry_total_ns = WEIR_NEVER;
    serve_and_create();
    c.status = 503;
    weir_span_data const span = sample_span("x");
    const weir_span_data *const spans[] = {&span};
    weir_span_batch const batch = sample_batch(spans, 1);
    export_batch_of(&batch, WEIR_NEVER);
    until(c.requests == 1);
    static const uint64_t ideal_ms[] = {1000, 2000, 4000, 4000, 4000};
    for (unsigned i = 0; i < 5; i++) {
        uint64_t const most_ms =
            ideal_ms[i] * 3 / 2 < 4000 ? ideal_ms[i] * 3 / 2 : 4000; /* The cap holds. */
        advance_ms(ideal_ms[i] / 2 - 1);
        assert_int_equal(c.requests, i + 1);
        advance_ms(most_ms - ideal_ms[i] / 2 + 1);
        until(c.requests == i + 2);
        settle();
    }
    assert_int_equal(told_count, 0);
}

static void exports_that_failed_together_do_not_come_back_together(void **state)
{
    (void)state;
    uint64_t at_ms[2];
    serve_and_create();
    for (unsigned i = 0; i < 2; i++) {
        f.fake.random = i * UINT64_C(0x123456789abcdef);
        c.status = 503;
        c.statuses_left = 1;
        unsigned const before = c.requests;
        export_one();
        until(c.requests == before + 1);
        for (at_ms[i] = 0; c.requests == before + 1 && at_ms[i] < 10000; at_ms[i]++)
            advance_ms(1);
        assert_exported(WEIR_OK, 0);
    }
    assert_int_not_equal(at_ms[0], at_ms[1]);
}

static void retry_after_in_seconds_is_kept(void **state)
{
    (void)state;
    c.status = 429;
    c.statuses_left = 1;
    c.header = "Retry-After";
    c.value = "20";
    serve_and_create();
    export_one();
    until(c.requests == 1);
    advance_ms(19999);
    assert_int_equal(c.requests, 1);
    advance_ms(1);
    until(c.requests == 2);
    assert_exported(WEIR_OK, 0);
}

/* The clock on the wall says 08:49:37. The three forms of RFC 9110, 5.6.7. */
static void retry_after_as_a_date_is_kept(void **state)
{
    (void)state;
    static const char *const dates[] = {"Sun, 06 Nov 1994 08:49:57 GMT",
                                        "Sunday, 06-Nov-94 08:49:57 GMT",
                                        "Sun Nov  6 08:49:57 1994"};
    serve_and_create();
    c.header = "Retry-After";
    for (size_t i = 0; i < 3; i++) {
        unsigned const before = c.requests;
        c.status = 503;
        c.statuses_left = 1;
        c.value = dates[i];
        export_one();
        until(c.requests == before + 1);
        advance_ms(19999);
        assert_int_equal(c.requests, before + 1);
        advance_ms(1);
        until(c.requests == before + 2);
        assert_exported(WEIR_OK, 0);
    }
}

static void a_retry_after_that_says_nothing_leaves_the_backoff(void **state)
{
    (void)state;
    static const char *const values[] = {"0",
                                         "soon",
                                         "-1",
                                         "Sun, 06 Nov 1994 08:49:36 GMT",
                                         "",
                                         "Sunday, 06-Nov-45 08:49:57 GMT",
                                         "Sun, 06 Now 1994 08:49:57 GMT",
                                         "Sun, 06 Nov 1994 24:49:57 GMT",
                                         "Sun Nov  0 08:49:57 1994",
                                         "Sun, 06 Nov 1994 08:49:57 GMT, or so, or never at all"};
    serve_and_create();
    c.header = "Retry-After";
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        c.status = 503;
        c.statuses_left = 1;
        c.value = values[i];
        unsigned const before = c.requests;
        export_one();
        until(c.requests == before + 1);
        pass_first_delay();
        assert_exported(WEIR_OK, 0);
    }
}

/* 30 s is the deadline of the export: there is no use in waiting for it. */
static void a_retry_after_beyond_the_deadline_ends_it_at_once(void **state)
{
    (void)state;
    static const char *const values[] = {"30", "99999999999", "Mon, 07 Nov 1994 08:49:37 GMT"};
    serve_and_create();
    c.status = 503;
    c.header = "Retry-After";
    for (size_t i = 0; i < 3; i++) {
        c.value = values[i];
        export_one();
        assert_exported(WEIR_EFAILED, 0);
        assert_int_equal(warned.status, 503);
        assert_string_equal(warned_message, "Service Unavailable");
    }
    assert_int_equal(c.requests, 3);
}

static void no_attempt_begins_at_the_deadline_or_after_it(void **state)
{
    (void)state;
    serve_and_create();
    c.status = 503;
    uint64_t const deadline_ns = f.fake.now_ns + 30 * S;
    export_one();
    while (told_count == 0 && f.fake.now_ns < deadline_ns)
        advance_ms(100);
    unsigned const requests = c.requests;
    assert_in_range(requests, 2, 6);
    assert_exported(WEIR_EFAILED, 0);
    advance_ms(600000);
    assert_int_equal(c.requests, requests);
    assert_int_equal(stats_now().failed, 1);
}

static void retries_end_after_their_total_time(void **state)
{
    (void)state;
    options.retry_total_ns = 2 * S; /* Before the first delay is over. */
    serve_and_create();
    c.status = 503;
    export_one();
    assert_exported(WEIR_EFAILED, 0);
    assert_int_equal(c.requests, 1);
}

static void an_export_that_comes_too_late_is_not_sent(void **state)
{
    (void)state;
    weir_span_data const span = sample_span("x");
    const weir_span_data *const spans[] = {&span};
    weir_span_batch const batch = sample_batch(spans, 1);
    serve_and_create();
    export_batch_of(&batch, f.fake.now_ns);
    assert_exported(WEIR_EDEADLINE, 0);
    settle();
    assert_int_equal(c.requests, 0);
}

static void a_request_without_an_answer_ends_at_its_timeout_and_is_not_repeated(void **state)
{
    (void)state;
    c.status = COLLECTOR_HOLDS;
    serve_and_create();
    export_one();
    until(c.requests == 1);
    advance_ms(9999);
    assert_int_equal(told_count, 0);
    advance_ms(1);
    assert_exported(WEIR_EDEADLINE, 0);
    until(c.held == NULL); /* The connection is cut. */
    advance_ms(60000);
    assert_int_equal(c.requests, 1);
}

static void the_deadline_of_the_export_cuts_a_request_short(void **state)
{
    (void)state;
    weir_span_data const span = sample_span("x");
    const weir_span_data *const spans[] = {&span};
    weir_span_batch const batch = sample_batch(spans, 1);
    c.status = COLLECTOR_HOLDS;
    serve_and_create();
    export_batch_of(&batch, f.fake.now_ns + S);
    until(c.requests == 1);
    advance_ms(999);
    assert_int_equal(told_count, 0);
    advance_ms(1);
    assert_exported(WEIR_EDEADLINE, 0);
}

static void retries_while_nobody_listens_and_gets_through_when_somebody_does(void **state)
{
    (void)state;
    raw_close(raw_listen()); /* A port that is free now. */
    create_exporter();
    export_one();
    until(stats_now().requests == 1);
    settle();
    assert_int_equal(told_count, 0);
    weir_http_server_options server = WEIR_HTTP_SERVER_OPTIONS_INIT;
    char address[WEIR_ADDRESS_TEXT_SIZE];
    weir_address_format(&f.address, address);
    server.address = address;
    server.on_request = collector_on_request;
    serve(&server);
    advance_ms(7500);
    assert_exported(WEIR_OK, 0);
    assert_int_equal(stats_now().retries, 1);
}

static void says_why_it_could_not_connect(void **state)
{
    (void)state;
    options.retry_total_ns = S;
    raw_close(raw_listen());
    create_exporter();
    export_one();
    assert_exported(WEIR_ESYSTEM, 0);
    assert_int_equal(warned.error, WEIR_ESYSTEM);
    assert_int_equal(warned.status, 0);
    assert_int_equal(warned.rejected, 1);
    assert_non_null(strstr(warned_message, "connect"));
}

static void retries_when_the_connection_breaks_before_an_answer(void **state)
{
    (void)state;
    int const listener = raw_listen();
    create_exporter();
    export_one();
    int fd = raw_accept(listener);
    until(raw_has(fd, "]}]}]}"));
    raw_reset(fd);
    settle();
    assert_int_equal(told_count, 0);
    advance_ms(7500);
    fd = raw_accept(listener);
    until(raw_has(fd, "]}]}]}"));
    raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    assert_exported(WEIR_OK, 0);
    raw_close(fd);
    raw_close(listener);
}

static void exports_never_overlap(void **state)
{
    (void)state;
    c.status = COLLECTOR_HOLDS;
    serve_and_create();
    export_one();
    export_one(); /* Before the loop has seen the first. */
    assert_exported(WEIR_EBUSY, 0);
    until(c.requests == 1);
    export_one();
    assert_exported(WEIR_EBUSY, 0);
    assert_int_equal(stats_now().failed, 2);
    c.status = 200;
    collector_answer(c.held);
    assert_exported(WEIR_OK, 0);
}

/* ---- Giving up ---- */

static void what_is_cancelled_before_it_is_sent_is_not_sent(void **state)
{
    (void)state;
    serve_and_create();
    export_one();
    cancel_export();
    settle();
    assert_int_equal(c.requests, 0);
    assert_int_equal(told_count, 0);
    assert_int_equal(stats_now().failed, 1);
    export_one();
    assert_exported(WEIR_OK, 0);
}

static void a_request_that_is_cancelled_is_cut_off(void **state)
{
    (void)state;
    c.status = COLLECTOR_HOLDS;
    serve_and_create();
    export_one();
    until(c.requests == 1);
    cancel_export();
    until(c.held == NULL);
    advance_ms(60000);
    assert_int_equal(told_count, 0);
    assert_int_equal(stats_now().failed, 1);
    c.status = 200;
    export_one();
    assert_exported(WEIR_OK, 0);
}

static void a_retry_that_is_cancelled_is_not_made(void **state)
{
    (void)state;
    c.status = 503;
    serve_and_create();
    export_one();
    until(c.requests == 1);
    settle();
    cancel_export();
    advance_ms(60000);
    assert_int_equal(c.requests, 1);
    assert_int_equal(told_count, 0);
}

/* As a tracer does whose export has timed out: the next batch comes before the loop has turned. */
static void another_export_may_follow_a_cancel_at_once(void **state)
{
    (void)state;
    c.status = COLLECTOR_HOLDS;
    serve_and_create();
    export_one();
    until(c.requests == 1);
    cancel_export();
    c.status = 200;
    export_one();
    assert_exported(WEIR_OK, 0);
    assert_int_equal(c.requests, 2);
    assert_int_equal(stats_now().taken, 1);
    assert_int_equal(stats_now().failed, 1);
}

static void a_cancel_of_nothing_does_nothing(void **state)
{
    (void)state;
    serve_and_create();
    cancel_export();
    settle();
    export_one();
    assert_exported(WEIR_OK, 0);
    cancel_export();
    settle();
    assert_int_equal(told_count, 0);
}

static void destroy_tells_what_is_under_way(void **state)
{
    (void)state;
    c.status = COLLECTOR_HOLDS;
    serve_and_create();
    export_one();
    weir_otlp_destroy(otlp); /* Not begun. */
    assert_exported(WEIR_ECLOSED, 0);
    assert_int_equal(weir_otlp_create(&otlp, f.loop, &options), WEIR_OK);
    export_one();
    until(c.requests == 1);
    weir_otlp_destroy(otlp); /* In a request. */
    assert_exported(WEIR_ECLOSED, 0);
    until(c.held == NULL);
    c.status = 503;
    assert_int_equal(weir_otlp_create(&otlp, f.loop, &options), WEIR_OK);
    export_one();
    until(c.requests == 2);
    settle();
    weir_otlp_destroy(otlp); /* Before a retry. */
    assert_exported(WEIR_ECLOSED, 0);
    c.status = COLLECTOR_HOLDS;
    assert_int_equal(weir_otlp_create(&otlp, f.loop, &options), WEIR_OK);
    export_one();
    until(c.requests == 3);
    cancel_export();
    weir_otlp_destroy(otlp);
    weir_otlp_destroy(NULL);
    otlp = NULL;
    assert_int_equal(told_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OTLP_TEST(retries_what_may_pass_later),
        OTLP_TEST(delays_double_up_to_their_cap),
        OTLP_TEST(exports_that_failed_together_do_not_come_back_together),
        OTLP_TEST(retry_after_in_seconds_is_kept),
        OTLP_TEST(retry_after_as_a_date_is_kept),
        OTLP_TEST(a_retry_after_that_says_nothing_leaves_the_backoff),
        OTLP_TEST(a_retry_after_beyond_the_deadline_ends_it_at_once),
        OTLP_TEST(no_attempt_begins_at_the_deadline_or_after_it),
        OTLP_TEST(retries_end_after_their_total_time),
        OTLP_TEST(an_export_that_comes_too_late_is_not_sent),
        OTLP_TEST(a_request_without_an_answer_ends_at_its_timeout_and_is_not_repeated),
        OTLP_TEST(the_deadline_of_the_export_cuts_a_request_short),
        OTLP_TEST(retries_while_nobody_listens_and_gets_through_when_somebody_does),
        OTLP_TEST(says_why_it_could_not_connect),
        OTLP_TEST(retries_when_the_connection_breaks_before_an_answer),
        OTLP_TEST(exports_never_overlap),
        OTLP_TEST(what_is_cancelled_before_it_is_sent_is_not_sent),
        OTLP_TEST(a_request_that_is_cancelled_is_cut_off),
        OTLP_TEST(a_retry_that_is_cancelled_is_not_made),
        OTLP_TEST(another_export_may_follow_a_cancel_at_once),
        OTLP_TEST(a_cancel_of_nothing_does_nothing),
        OTLP_TEST(destroy_tells_what_is_under_way),
    };
    return cmocka_run_group_tests_name("otlp retries", tests, NULL, NULL);
}

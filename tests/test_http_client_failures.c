/* The HTTP client, against raw sockets: failures told apart, time, and its end. */
#include "support/http_calls.h"

/* ---- Failures ---- */

static void a_refused_connection_is_told_later(void **state)
{
    (void)state;
    int const listener = raw_listen();
    raw_close(listener);
    (void)start("GET", 0);
    assert_told("");
    until_told("done");
    assert_told("|done1 ");
    assert_int_equal(last.code, WEIR_ESYSTEM);
    assert_int_equal(last.system_error, ECONNREFUSED);
    assert_false(last.maybe_processed);
    f.address.family = 6; /* And one that fails at once: no route to a documentation address. */
    memset(f.address.ip, 0, sizeof f.address.ip);
    f.address.ip[0] = 0xff;
    (void)start("GET", 0);
    assert_told("");
    until_told("done");
    assert_told("|done1 ");
    assert_true(last.system_error != 0);
}

/* A listener whose backlog is full does not answer. */
static void connecting_has_its_time(void **state)
{
    (void)state;
    int const listener = raw_listen();
    assert_int_equal(listen(listener, 0), 0);
    int fillers[4];
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(fcntl(fillers[i], F_SETFL, O_NONBLOCK), 0);
        struct sockaddr_in name;
        memset(&name, 0, sizeof name);
        name.sin_family = AF_INET;
        name.sin_port = htons(f.address.port);
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int const result = connect(fillers[i], (struct sockaddr *)&name, sizeof name);
        assert_true(result == 0 || errno == EINPROGRESS);
    }
    (void)start("GET", 0);
    advance_ms(99);
    assert_told("");
    advance_ms(1);
    assert_told("|done2 ");
    assert_int_equal(last.code, WEIR_EDEADLINE);
    assert_false(last.maybe_processed);
    for (int i = 0; i < 4; i++)
        raw_close(fillers[i]);
    raw_close(listener);
}

static void a_head_has_to_come_in_time(void **state)
{
    (void)state;
    int const listener = raw_listen();
    (void)start("GET", 0);
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    advance_ms(199);
    raw_send(fd, "HTTP/1.1 200");
    assert_told("");
    advance_ms(1);
    assert_told("|done5 ");
    assert_int_equal(last.code, WEIR_EDEADLINE);
    assert_true(last.maybe_processed);
    until(raw_ended(fd));
    raw_close(fd);
    raw_close(listener);
}

static void a_body_has_to_go_on(void **state)
{
    (void)state;
    int const listener = raw_listen();
    (void)start("GET", 0);
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        advance_ms(299);
        raw_send(fd, "x");
    }
    advance_ms(0);
    assert_told("200 xxx");
    advance_ms(300);
    assert_told("|done8 ");
    raw_close(fd);
    raw_close(listener);
}

static void a_peer_that_takes_nothing_is_given_up(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_call *const call = start("POST", WEIR_HTTP_SIZE_UNKNOWN);
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    advance_ms(10000); /* It is for the caller to write: nobody else is blamed. */
    assert_told("");
    while (!weir_http_call_full(call))
        assert_int_equal(weir_http_call_write(call, megabyte, sizeof megabyte), WEIR_OK);
    advance_ms(299);
    assert_told("");
    advance_ms(1);
    assert_told("|done4 ");
    raw_close(fd);
    raw_close(listener);
}

static void a_call_has_its_deadline(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_client_options const options = small_options();
    create_client(&options);
    weir_http_call_options call_options = WEIR_HTTP_CALL_OPTIONS_INIT;
    call_options.deadline_ns = f.fake.now_ns + 250 * MS;
    call_options.head_ms = 1000;
    call_options.connect_ms = 1000;
    call_options.stall_ms = 1000;
    weir_http_request const request = {.method = weir_http_str("GET"),
                                       .target = weir_http_str("/")};
    weir_http_call *call;
    assert_int_equal(weir_http_call_start(&call, f.client, &f.address, &call_options, &request,
                                          &tracing, &call),
                     WEIR_OK);
    int fd = raw_accept(listener);
    advance_ms(249);
    assert_non_null(call);
    advance_ms(1);
    assert_null(call);
    assert_told("|done5 ");
    raw_close(fd);
    call_options.deadline_ns = f.fake.now_ns + 250 * MS;
    assert_int_equal(weir_http_call_start(&call, f.client, &f.address, &call_options, &request,
                                          &tracing, &call),
                     WEIR_OK);
    fd = raw_accept(listener);
    raw_send(fd, "HTTP/1.1 200 OK\r\n\r\nx");
    until_told("x");
    weir_http_call_pause(call); /* The deadline waits for nobody. */
    advance_ms(250);
    assert_told("200 x|done8 ");
    raw_close(fd);
    raw_close(listener);
}

static void malformed_and_broken_responses_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *response, *told;
        int code;
    } cases[] = {
        {"", "|done3 ", WEIR_ECLOSED},
        {"HTTP/1.1 200 OK\r\nA", "|done3 ", WEIR_ECLOSED},
        {"HTTP/1.1 100 OK\r\n\r\n", "|done3 ", WEIR_ECLOSED},
        {"SSH-2.0\r\n", "|done6 ", WEIR_EPROTOCOL},
        {"HTTP/1.1 101 Up\r\n\r\n", "|done6 ", WEIR_EPROTOCOL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "|done6 ",
         WEIR_EPROTOCOL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", "|done6 ", WEIR_ETOOLARGE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "200 abc|done7 ", WEIR_ECLOSED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "200 abc|done7 ",
         WEIR_ECLOSED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", "200 |done6 ", WEIR_EPROTOCOL},
    };
    int const listener = raw_listen();
    weir_http_client_options options = small_options();
    options.max_body_bytes = 100;
    create_client(&options);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)start("GET", 0);
        int const fd = raw_accept(listener);
        until(raw_has(fd, "\r\n\r\n"));
        raw_send(fd, cases[i].response);
        raw_close(fd);
        until_told("done");
        assert_told(cases[i].told);
        assert_int_equal(last.code, cases[i].code);
        assert_true(last.maybe_processed);
    }
    raw_close(listener);
}

static void a_reset_body_is_truncated(void **state)
{
    (void)state;
    int const listener = raw_listen();
    (void)start("GET", 0);
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    raw_send(fd, "HTTP/1.1 200 OK\r\n\r\nabc"); /* Until the end, but that is no end. */
    until_told("abc");
    raw_reset(fd);
    until_told("done");
    assert_told("200 abc|done7 ");
    raw_close(listener);
}

static void a_pause_from_outside_stops_the_clock_of_the_body(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_call *const call = start("GET", 0);
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
    until_told("x");
    weir_http_call_pause(call);
    advance_ms(10000);
    assert_told("200 x");
    weir_http_call_resume(call);
    advance_ms(299);
    assert_told("");
    advance_ms(1);
    assert_told("|done8 ");
    raw_close(fd);
    raw_close(listener);
}

static void a_call_without_a_descriptor_cannot_connect(void **state)
{
    (void)state;
    int const listener = raw_listen();
    limit_descriptors(0);
    (void)start("GET", 0);
    limit_descriptors(-1);
    until_told("done");
    assert_told("|done1 ");
    assert_int_equal(last.system_error, EMFILE);
    assert_false(last.maybe_processed);
    raw_close(listener);
}

static void a_peer_that_takes_no_more_is_told_to_the_writer(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_call *const call = start("POST", WEIR_HTTP_SIZE_UNKNOWN);
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    weir_http_call_pause(call);
    raw_send(fd, "HTTP/1.1 2");
    settle(); /* Paused: from here on nobody listens. */
    raw_reset(fd);
    settle();
    assert_int_equal(weir_http_call_write(call, megabyte, 100000), WEIR_ECLOSED);
    assert_int_equal(weir_http_call_write(call, "x", 1), WEIR_ECLOSED);
    assert_int_equal(weir_http_call_finish(call), WEIR_ECLOSED);
    assert_told("");
    weir_http_call_resume(call);
    until_told("done");
    assert_told("|done3 ");
    raw_close(listener);
}

/* ---- Ends ---- */

static void cancel_in_body(weir_http_call *call, const void *data, size_t size, void *user)
{
    trace_body(call, data, size, user);
    weir_http_call_cancel(call);
}

static void a_cancelled_call_tells_nothing(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_call_cancel(start("GET", 0));
    settle();
    weir_http_call *call = start("GET", 0);
    int fd = raw_accept(listener);
    raw_close(fd);
    fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    weir_http_call_cancel(call);
    until(raw_ended(fd));
    raw_close(fd);

    static const weir_http_call_events cancelling = {trace_head, cancel_in_body, NULL, trace_done};
    weir_http_request const request = {.method = weir_http_str("GET"),
                                       .target = weir_http_str("/")};
    assert_int_equal(weir_http_call_start(&call, f.client, &f.address, NULL, &request, &cancelling,
                                          NULL),
                     WEIR_OK);
    fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    raw_send(fd, OK_HI);
    until(raw_ended(fd));
    assert_told("200 hi");
    raw_close(fd);
    raw_close(listener);
}

static void destroy_client(weir_http_call *call, const weir_http_result *result, void *user)
{
    trace_done(call, result, user);
    weir_http_client *const client = f.client;
    f.client = NULL;
    weir_http_client_destroy(client);
}

static void start_another(weir_http_call *call, const weir_http_result *result, void *user)
{
    trace_done(call, result, user);
    weir_http_request const request = {.method = weir_http_str("GET"),
                                       .target = weir_http_str("/")};
    weir_http_call *another;
    assert_int_equal(weir_http_call_start(&another, f.client, &f.address, NULL, &request, &silent,
                                          NULL),
                     WEIR_ECLOSED);
    assert_null(another);
}

static void a_client_destroyed_cancels_its_calls(void **state)
{
    (void)state;
    int const listener = raw_listen();
    int const fd = warm_up(listener); /* An idle one... */
    (void)start("GET", 0);            /* ...now busy... */
    weir_http_request const request = {.method = weir_http_str("GET"),
                                       .target = weir_http_str("/")};
    static const weir_http_call_events stubborn = {NULL, NULL, NULL, start_another};
    weir_http_call *call;
    assert_int_equal(weir_http_call_start(&call, f.client, &f.address, NULL, &request, &stubborn,
                                          NULL),
                     WEIR_OK); /* ...and one that connects. */
    weir_http_client_destroy(f.client);
    f.client = NULL;
    assert_told("|done9 |done9 ");
    assert_int_equal(last.code, WEIR_ECLOSED);

    weir_http_client_options const options = small_options();
    create_client(&options);
    static const weir_http_call_events last_events = {trace_head, trace_body, NULL, destroy_client};
    assert_int_equal(weir_http_call_start(&call, f.client, &f.address, NULL, &request, &last_events,
                                          NULL),
                     WEIR_OK);
    int second = raw_accept(listener);
    raw_close(second);
    second = raw_accept(listener);
    until(raw_has(second, "\r\n\r\n"));
    raw_send(second, OK_HI);
    until_told("done");
    settle();
    assert_told("200 hi|done0 ");
    raw_close(second);
    raw_close(fd);
    raw_close(listener);
}

static void the_pool_is_bounded_in_number_and_time(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_client_options options = small_options();
    options.max_idle_per_address = 1;
    create_client(&options);
    (void)start("GET", 0);
    (void)start("GET", 0);
    int const first = raw_accept(listener), second = raw_accept(listener);
    raw_send(first, OK_HI);
    raw_send(second, OK_HI);
    until_told("|done0 200 hi|done0");
    settle();
    assert_int_equal(weir_http_client_idle(f.client), 1);
    advance_ms(499);
    assert_int_equal(weir_http_client_idle(f.client), 1);
    advance_ms(1);
    assert_int_equal(weir_http_client_idle(f.client), 0);
    raw_close(first);
    raw_close(second);
    raw_close(listener);
}

static void start_refuses_what_is_malformed(void **state)
{
    (void)state;
    int const listener = raw_listen();
    int const fd = warm_up(listener);
    weir_http_header evil = {weir_http_str("X"), weir_http_str("a\nb")};
    weir_http_request const good = {.method = weir_http_str("GET"), .target = weir_http_str("/")};
    weir_http_request bad[6] = {good, good, good, good, good, good};
    bad[0].method = weir_http_str("CONNECT");
    bad[1].method = weir_http_str("G T");
    bad[2].method = weir_http_str("");
    bad[3].target = weir_http_str("/a b");
    bad[4].target = weir_http_str("");
    bad[5].headers = &evil;
    bad[5].header_count = 1;
    weir_http_call *call;
    weir_address elsewhere = f.address;
    elsewhere.port ^= 1;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(weir_http_call_start(&call, f.client, &f.address, NULL, &bad[i], &tracing,
                                              NULL),
                         WEIR_EINVAL);
        assert_int_equal(weir_http_call_start(&call, f.client, &elsewhere, NULL, &bad[i], &tracing,
                                              NULL),
                         WEIR_EINVAL);
        assert_null(call);
    }
    assert_int_equal(weir_http_client_idle(f.client), 1); /* Still there, and untouched. */
    elsewhere.family = 5;
    assert_int_equal(weir_http_call_start(&call, f.client, &elsewhere, NULL, &good, &tracing, NULL),
                     WEIR_EINVAL);
    assert_int_equal(weir_http_call_start(&call, f.client, &f.address, NULL, &good, NULL, NULL),
                     WEIR_EINVAL);
    weir_http_call_options options = {.struct_size = 1};
    assert_int_equal(weir_http_call_start(&call, f.client, &f.address, &options, &good, &tracing,
                                          NULL),
                     WEIR_EINVAL);
    (void)start("GET", 0);
    until(raw_has(fd, "\r\n\r\n"));
    assert_requested("GET /t", "\r\n");
    raw_close(fd);
    raw_close(listener);
}

static void create_refuses_options_out_of_range(void **state)
{
    (void)state;
    weir_http_client *client;
    weir_http_client_options const good = small_options();
    weir_http_client_options bad[8];
    for (size_t i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].idle_ms = 0;
    bad[1].connect_ms = 0;
    bad[2].head_ms = 0;
    bad[3].stall_ms = 0;
    bad[4].max_header_bytes = 0;
    bad[5].max_headers = 10001;
    bad[6].high_water = 0;
    bad[7].struct_size = 0;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(weir_http_client_create(&client, f.loop, &bad[i]), WEIR_EINVAL);
    assert_int_equal(weir_http_client_create(&client, NULL, &good), WEIR_EINVAL);
    assert_null(client);
    weir_http_client_destroy(NULL);
    assert_int_equal(weir_http_client_create(&client, f.loop, NULL), WEIR_OK);
    weir_http_client_destroy(client);
}

/* A call with the n-th allocation failing ends in its success, in WEIR_ENOMEM, or in a failure that
   on_done tells; and nothing leaks. */
static void survives_every_failed_allocation(void **state)
{
    (void)state;
    int const listener = raw_listen();
    bool succeeded = false;
    for (unsigned fail_at = 1; !succeeded; fail_at++) {
        assert_true(fail_at < 60);
        f.trace_size = 0;
        f.trace[0] = '\0';
        f.fake.calls = 0;
        f.fake.fail_at = fail_at;
        weir_http_request const request = {.method = weir_http_str("PUT"),
                                           .target = weir_http_str("/"),
                                           .body_size = 2};
        weir_http_call *call;
        int result = weir_http_client_create(&f.client, f.loop, NULL);
        if (result == WEIR_ENOMEM)
            continue;
        result = weir_http_call_start(&call, f.client, &f.address, NULL, &request, &tracing, NULL);
        if (result == WEIR_OK) {
            int const fd = raw_accept(listener);
            if (weir_http_call_write(call, "hi", 2) == WEIR_OK)
                assert_int_equal(weir_http_call_finish(call), WEIR_OK);
            settle();
            raw_send(fd, OK_HI);
            until_told("done");
            succeeded = strcmp(f.trace, "200 hi|done0 ") == 0;
            assert_true(succeeded || strcmp(f.trace, "|done10 ") == 0);
            raw_close(fd);
        } else {
            assert_int_equal(result, WEIR_ENOMEM);
            assert_null(call);
            for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;)
                raw_close(fd); /* It may have come as far as connecting. */
        }
        weir_http_client_destroy(f.client);
        f.client = NULL;
    }
    f.fake.fail_at = 0;
    raw_close(listener);
}

/* Likewise with a kept connection that died, a response that waits, and a second call. */
static void survives_every_failed_allocation_of_a_repetition(void **state)
{
    (void)state;
    int const listener = raw_listen();
    bool succeeded = false;
    for (unsigned fail_at = 1; !succeeded; fail_at++) {
        assert_true(fail_at < 60);
        int fd = warm_up(listener);
        f.fake.calls = 0;
        f.fake.fail_at = fail_at;
        weir_http_request const request = {.method = weir_http_str("GET"),
                                           .target = weir_http_str("/")};
        weir_http_call *call;
        int const result =
            weir_http_call_start(&call, f.client, &f.address, NULL, &request, &tracing, NULL);
        settle();
        raw_close(fd);
        if (result == WEIR_OK) {
            settle();
            fd = accept(listener, NULL, NULL);
            if (fd >= 0) {
                raw_send(fd, OK_HI);
                raw_close(fd);
            }
            until_told("done");
            succeeded = strcmp(f.trace, "200 hi|done0 ") == 0;
            assert_true(succeeded || strstr(f.trace, "|done0") == NULL);
        }
        f.fake.fail_at = 0;
        weir_http_client_destroy(f.client);
        f.client = NULL;
        f.trace_size = 0;
        f.trace[0] = '\0';
    }
    raw_close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_refused_connection_is_told_later),
        TEST(connecting_has_its_time),
        TEST(a_head_has_to_come_in_time),
        TEST(a_body_has_to_go_on),
        TEST(a_peer_that_takes_nothing_is_given_up),
        TEST(a_call_has_its_deadline),
        TEST(malformed_and_broken_responses_are_told_apart),
        TEST(a_reset_body_is_truncated),
        TEST(a_pause_from_outside_stops_the_clock_of_the_body),
        TEST(a_call_without_a_descriptor_cannot_connect),
        TEST(a_peer_that_takes_no_more_is_told_to_the_writer),
        TEST(a_cancelled_call_tells_nothing),
        TEST(a_client_destroyed_cancels_its_calls),
        TEST(the_pool_is_bounded_in_number_and_time),
        TEST(start_refuses_what_is_malformed),
        TEST(create_refuses_options_out_of_range),
        TEST(survives_every_failed_allocation),
        TEST(survives_every_failed_allocation_of_a_repetition),
    };
    return cmocka_run_group_tests_name("http client failures", tests, NULL, NULL);
}

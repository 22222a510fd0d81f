/* The HTTP client, against raw sockets, on a clock that moves when told. */
#include "support/http_fixture.h"

static weir_http_result last; /* Of the call that was done last. */

static void trace_head(weir_http_call *call, const weir_http_response *response, void *user)
{
    (void)call;
    (void)user;
    say_number(response->status);
    say(" ");
}

static void trace_body(weir_http_call *call, const void *data, size_t size, void *user)
{
    (void)call;
    (void)user;
    say_bytes(data, size);
}

static void trace_writable(weir_http_call *call, void *user)
{
    (void)call;
    (void)user;
    say("writable ");
}

static void trace_done(weir_http_call *call, const weir_http_result *result, void *user)
{
    last = *result;
    say("|done");
    say_number(result->failure);
    say(" ");
    weir_http_call_cancel(call); /* Too late: harmless. */
    if (user != NULL)
        *(weir_http_call **)user = NULL;
}

static const weir_http_call_events tracing = {trace_head, trace_body, trace_writable, trace_done};
static const weir_http_call_events silent = {NULL, NULL, NULL, NULL};

static weir_http_client_options small_options(void)
{
    weir_http_client_options options = WEIR_HTTP_CLIENT_OPTIONS_INIT;
    options.idle_ms = 500;
    options.connect_ms = 100;
    options.head_ms = 200;
    options.stall_ms = 300;
    return options;
}

static void create_client(const weir_http_client_options *options)
{
    assert_int_equal(weir_http_client_create(&f.client, f.loop, options), WEIR_OK);
}

static weir_http_call *start(const char *method, uint64_t body_size)
{
    if (f.client == NULL) {
        weir_http_client_options const options = small_options();
        create_client(&options);
    }
    weir_http_header const header = {weir_http_str("X"), weir_http_str("y")};
    weir_http_request const request = {.method = weir_http_str(method),
                                       .target = weir_http_str("/t"),
                                       .headers = &header,
                                       .header_count = 1,
                                       .body_size = body_size};
    weir_http_call *call;
    assert_int_equal(weir_http_call_start(&call, f.client, &f.address, NULL, &request, &tracing,
                                          NULL),
                     WEIR_OK);
    return call;
}

/* What the raw server got of the request; the port in Host is the kernel's choice. */
static void assert_requested(const char *start_line, const char *rest)
{
    char expected[512], host[WEIR_ADDRESS_TEXT_SIZE];
    weir_address_format(&f.address, host);
    (void)snprintf(expected, sizeof expected, "%s HTTP/1.1\r\nHost: %s\r\nX: y\r\n%s", start_line,
                   host, rest);
    assert_got(expected);
}

#define until_told(text) until(strstr(f.trace, text) != NULL)
#define OK_HI            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* One GET on a new connection that is kept afterwards; returns the server's end. */
static int warm_up(int listener)
{
    (void)start("GET", 0);
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    assert_requested("GET /t", "\r\n");
    raw_send(fd, OK_HI);
    until_told("done");
    assert_told("200 hi|done0 ");
    settle();
    assert_int_equal(weir_http_client_idle(f.client), 1);
    return fd;
}

static void sends_a_request_and_tells_the_response(void **state)
{
    (void)state;
    int const listener = raw_listen();
    int const fd = warm_up(listener);
    assert_int_equal(last.code, WEIR_OK);
    assert_false(last.reused);
    assert_true(last.maybe_processed);
    (void)start("GET", 0); /* On the same connection. */
    until(raw_has(fd, "\r\n\r\n"));
    assert_requested("GET /t", "\r\n");
    raw_send(fd, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\n");
    settle();
    assert_told("");
    raw_send(fd, "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    until_told("abc");
    raw_send(fd, "0\r\nT: x\r\n\r\n");
    until_told("done");
    assert_told("404 abc|done0 ");
    assert_true(last.reused);
    assert_int_equal(weir_http_client_idle(f.client), 1);
    raw_close(fd);
    until(weir_http_client_idle(f.client) == 0);
    raw_close(listener);
}

static void responses_without_a_body_have_none(void **state)
{
    (void)state;
    static const struct {
        const char *method, *response, *told;
    } cases[] = {
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200 |done0 "},
        {"HEAD", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
         "200 |done0 "},
        {"GET", "HTTP/1.1 204 OK\r\n\r\n", "204 |done0 "},
        {"GET", "HTTP/1.1 304 OK\r\nContent-Length: 5\r\n\r\n", "304 |done0 "},
        {"GET", OK_HI, "200 hi|done0 "},
    };
    int const listener = raw_listen();
    int const fd = warm_up(listener);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)start(cases[i].method, 0);
        until(raw_has(fd, "\r\n\r\n"));
        raw_send(fd, cases[i].response);
        until_told("done");
        assert_told(cases[i].told);
        settle();
        assert_int_equal(weir_http_client_idle(f.client), 1); /* All over the one connection. */
        f.got_size = 0;
        f.got[0] = '\0';
    }
    raw_close(fd);
    raw_close(listener);
}

static void keeps_no_connection_that_did_not_end_cleanly(void **state)
{
    (void)state;
    static const struct {
        const char *response, *told;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", "200 hi|done0 "},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 hi|done0 "},
        {OK_HI "HTTP/1.1 200 unasked\r\n", "200 hi|done0 "},
    };
    int const listener = raw_listen();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)start("GET", 0);
        int const fd = raw_accept(listener);
        until(raw_has(fd, "\r\n\r\n"));
        raw_send(fd, cases[i].response);
        until_told("done");
        assert_told(cases[i].told);
        settle();
        assert_int_equal(weir_http_client_idle(f.client), 0);
        until(raw_ended(fd));
        raw_close(fd);
    }
    (void)start("GET", 0); /* Until the connection's end. */
    int fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    raw_send(fd, "HTTP/1.1 200 OK\r\n\r\nall of it");
    raw_close(fd);
    until_told("done");
    assert_told("200 all of it|done0 ");
    fd = warm_up(listener);
    raw_send(fd, "HTTP/1.1 408 Unasked\r\n\r\n"); /* While it is idle. */
    until(weir_http_client_idle(f.client) == 0);
    raw_close(fd);
    raw_close(listener);
}

static void streams_a_request_body(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_call *call = start("PUT", 6);
    assert_int_equal(weir_http_call_write(call, "abc", 3), WEIR_OK); /* Before it is connected. */
    int const fd = raw_accept(listener);
    until(raw_has(fd, "abc"));
    assert_requested("PUT /t", "Content-Length: 6\r\n\r\nabc");
    assert_int_equal(weir_http_call_finish(call), WEIR_EINVAL); /* Too little. */
    assert_int_equal(weir_http_call_write(call, "defg", 4), WEIR_EINVAL);
    assert_int_equal(weir_http_call_write(call, "", 0), WEIR_OK);
    assert_int_equal(weir_http_call_write(call, "def", 3), WEIR_OK);
    assert_int_equal(weir_http_call_finish(call), WEIR_OK);
    assert_int_equal(weir_http_call_finish(call), WEIR_OK);
    assert_int_equal(weir_http_call_write(call, "g", 1), WEIR_EINVAL);
    until(raw_has(fd, "def"));
    assert_got("def");
    raw_send(fd, OK_HI);
    until_told("done");
    assert_told("200 hi|done0 ");

    call = start("POST", WEIR_HTTP_SIZE_UNKNOWN);
    assert_int_equal(weir_http_call_write(call, "0123456789abcdefg", 17), WEIR_OK);
    until(raw_has(fd, "defg"));
    assert_requested("POST /t", "Transfer-Encoding: chunked\r\n\r\n11\r\n0123456789abcdefg\r\n");
    assert_int_equal(weir_http_call_finish(call), WEIR_OK);
    until(raw_has(fd, "0\r\n\r\n"));
    assert_got("0\r\n\r\n");
    raw_send(fd, OK_HI);
    until_told("done");
    assert_told("200 hi|done0 ");

    (void)start("POST", 0); /* Says that it has none. */
    until(raw_has(fd, "\r\n\r\n"));
    assert_requested("POST /t", "Content-Length: 0\r\n\r\n");
    raw_close(fd);
    until_told("done");
    raw_close(listener);
}

static void an_early_response_ends_the_call(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_call *call = start("POST", 100);
    assert_int_equal(weir_http_call_write(call, "abc", 3), WEIR_OK);
    int const fd = raw_accept(listener);
    until(raw_has(fd, "abc"));
    raw_send(fd, "HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n");
    until_told("done");
    assert_told("413 |done0 ");
    assert_int_equal(weir_http_client_idle(f.client), 0); /* The rest was never sent. */
    until(raw_ended(fd));
    raw_close(fd);
    raw_close(listener);
}

static char megabyte[1 << 20];

static void reads_the_answer_of_a_peer_that_stopped_reading(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_call *const call = start("POST", WEIR_HTTP_SIZE_UNKNOWN);
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    while (!weir_http_call_full(call))
        assert_int_equal(weir_http_call_write(call, megabyte, sizeof megabyte), WEIR_OK);
    assert_int_equal(weir_http_call_write(call, "x", 1), WEIR_EBUSY);
    raw_send(fd, "HTTP/1.1 413 Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    raw_close(fd); /* With all that unread: this resets the connection. */
    until_told("done");
    assert_true(strcmp(f.trace, "413 no|done0 ") == 0 || strcmp(f.trace, "|done3 ") == 0);
    assert_true(last.maybe_processed);
    raw_close(listener);
}

static void tells_when_there_is_room_again(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_call *const call = start("POST", WEIR_HTTP_SIZE_UNKNOWN);
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    while (!weir_http_call_full(call))
        assert_int_equal(weir_http_call_write(call, megabyte, sizeof megabyte), WEIR_OK);
    settle();
    assert_told("");
    while (f.trace_size == 0) {
        ssize_t const size = recv(fd, megabyte, sizeof megabyte, 0);
        assert_true(size != 0);
        assert_int_equal(weir_loop_run_once(f.loop, MS), WEIR_OK);
    }
    assert_told("writable ");
    weir_http_call_cancel(call);
    raw_close(fd);
    raw_close(listener);
}

static void a_paused_response_waits(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_call *const call = start("GET", 0);
    weir_http_call_pause(call);
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    raw_send(fd, OK_HI);
    advance_ms(10000);
    assert_told("");
    weir_http_call_resume(call);
    weir_http_call_resume(call);
    until_told("done");
    assert_told("200 hi|done0 ");
    raw_close(fd);
    raw_close(listener);
}

/* ---- Connections that died idle ---- */

static void a_kept_connection_that_died_is_replaced(void **state)
{
    (void)state;
    int const listener = raw_listen();
    static const char *const safe[] = {"GET", "HEAD", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < 4; i++) {
        int fd = warm_up(listener);
        (void)start(safe[i], 0);
        until(raw_has(fd, "\r\n\r\n"));
        raw_close(fd); /* After the request came. */
        fd = raw_accept(listener);
        until(raw_has(fd, "\r\n\r\n"));
        char line[32];
        (void)snprintf(line, sizeof line, "%s /t", safe[i]);
        assert_requested(line, "\r\n");
        raw_send(fd, "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n");
        until_told("done");
        assert_told("204 |done0 ");
        assert_false(last.reused);
        raw_close(fd);
        settle();
    }
    raw_close(listener);
}

static void it_is_replaced_once(void **state)
{
    (void)state;
    int const listener = raw_listen();
    int fd = warm_up(listener);
    (void)start("GET", 0);
    until(raw_has(fd, "\r\n\r\n"));
    raw_close(fd);
    fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    raw_close(fd);
    until_told("done");
    assert_told("|done3 ");
    assert_int_equal(last.code, WEIR_ECLOSED);
    assert_true(last.maybe_processed);
    fd = warm_up(listener); /* And what cannot be replaced is told with it. */
    (void)start("GET", 0);
    until(raw_has(fd, "\r\n\r\n"));
    raw_close(listener);
    raw_close(fd);
    until_told("done");
    assert_told("|done1 ");
    assert_true(last.maybe_processed);
}

static void what_may_have_been_acted_on_is_not_repeated(void **state)
{
    (void)state;
    int const listener = raw_listen();
    int fd = warm_up(listener);
    (void)start("POST", 0);
    until(raw_has(fd, "\r\n\r\n"));
    raw_close(fd);
    until_told("done");
    assert_told("|done3 ");
    assert_true(last.reused);
    assert_true(last.maybe_processed);
    assert_string_equal(last.reason, "closed before the response");

    fd = warm_up(listener);
    weir_http_call *const call = start("GET", 2); /* A body makes it no better. */
    assert_int_equal(weir_http_call_write(call, "hi", 2), WEIR_OK);
    assert_int_equal(weir_http_call_finish(call), WEIR_OK);
    until(raw_has(fd, "hi"));
    raw_reset(fd);
    until_told("done");
    assert_told("|done3 ");

    fd = warm_up(listener);
    (void)start("GET", 0);
    until(raw_has(fd, "\r\n\r\n"));
    raw_send(fd, "HTTP/1.1 2"); /* A byte of a response has come. */
    raw_close(fd);
    until_told("done");
    assert_told("|done3 ");
    raw_close(listener);
}

static void what_was_not_sent_is_repeated_whatever_it_is(void **state)
{
    (void)state;
    int const listener = raw_listen();
    int fd = warm_up(listener);
    raw_reset(fd); /* The loop does not run until the request is sent: into the reset. */
    weir_http_call *const call = start("POST", 2);
    assert_int_equal(weir_http_call_write(call, "hi", 2), WEIR_OK);
    assert_int_equal(weir_http_call_finish(call), WEIR_OK);
    fd = raw_accept(listener);
    until(raw_has(fd, "hi"));
    assert_requested("POST /t", "Content-Length: 2\r\n\r\nhi");
    raw_send(fd, OK_HI);
    until_told("done");
    assert_told("200 hi|done0 ");
    raw_close(fd);
    raw_close(listener);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sends_a_request_and_tells_the_response),
        TEST(responses_without_a_body_have_none),
        TEST(keeps_no_connection_that_did_not_end_cleanly),
        TEST(streams_a_request_body),
        TEST(an_early_response_ends_the_call),
        TEST(reads_the_answer_of_a_peer_that_stopped_reading),
        TEST(tells_when_there_is_room_again),
        TEST(a_paused_response_waits),
        TEST(a_kept_connection_that_died_is_replaced),
        TEST(it_is_replaced_once),
        TEST(what_may_have_been_acted_on_is_not_repeated),
        TEST(what_was_not_sent_is_repeated_whatever_it_is),
        TEST(a_refused_connection_is_told_later),
        TEST(connecting_has_its_time),
        TEST(a_head_has_to_come_in_time),
        TEST(a_body_has_to_go_on),
        TEST(a_peer_that_takes_nothing_is_given_up),
        TEST(a_call_has_its_deadline),
        TEST(malformed_and_broken_responses_are_told_apart),
        TEST(a_reset_body_is_truncated),
        TEST(a_cancelled_call_tells_nothing),
        TEST(a_client_destroyed_cancels_its_calls),
        TEST(the_pool_is_bounded_in_number_and_time),
        TEST(start_refuses_what_is_malformed),
        TEST(create_refuses_options_out_of_range),
        TEST(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("http client", tests, NULL, NULL);
}

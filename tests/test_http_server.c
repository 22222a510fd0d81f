/* The HTTP server, by raw sockets, on a clock that moves when told. */
#include "support/http_fixture.h"

static weir_http_exchange *kept; /* By a handler that answers later. */

static void trace_body(weir_http_exchange *exchange, const void *data, size_t size, void *user)
{
    (void)exchange;
    (void)user;
    say_bytes(data, size);
}

static void trace_end(weir_http_exchange *exchange, void *user)
{
    (void)exchange;
    (void)user;
    say("|end ");
}

static void trace_writable(weir_http_exchange *exchange, void *user)
{
    (void)exchange;
    (void)user;
    say("writable ");
}

static void trace_abort(weir_http_exchange *exchange, int code, void *user)
{
    (void)user;
    say("abort");
    say_number(code);
    say(" ");
    assert_int_equal(weir_http_exchange_write(exchange, "x", 1), WEIR_ECLOSED);
}

static const weir_http_exchange_events tracing = {trace_body, trace_end, trace_writable,
                                                  trace_abort};

static void trace_head(const weir_http_request *request)
{
    say_slice(request->method);
    say(" ");
    say_slice(request->path);
    say(" ");
}

/* Tells the path. */
static void answer_at_once(weir_http_exchange *exchange, const weir_http_request *request,
                           void *user)
{
    (void)user;
    trace_head(request);
    (void)weir_http_exchange_respond(exchange, 200, "text/plain", request->path.data,
                                     request->path.size);
}

static void keep(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    (void)user;
    trace_head(request);
    assert_true(request == weir_http_exchange_request(exchange));
    weir_http_exchange_handle(exchange, &tracing, NULL);
    kept = exchange;
}

static void keep_paused(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    keep(exchange, request, user);
    weir_http_exchange_pause(exchange);
}

static void answer_at_end(weir_http_exchange *exchange, void *user)
{
    (void)user;
    say("|end ");
    (void)weir_http_exchange_respond(exchange, 200, NULL, "done", 4);
}

static void read_then_answer(weir_http_exchange *exchange, const weir_http_request *request,
                             void *user)
{
    static const weir_http_exchange_events events = {trace_body, answer_at_end, NULL, trace_abort};
    (void)user;
    trace_head(request);
    weir_http_exchange_handle(exchange, &events, NULL);
}

static weir_http_server_options options_for(weir_http_request_fn on_request)
{
    weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    options.on_request = on_request;
    options.header_ms = 100;
    options.idle_ms = 200;
    options.body_ms = 300;
    options.write_ms = 400;
    options.linger_ms = 50;
    return options;
}

static void serve_with(weir_http_request_fn on_request)
{
    weir_http_server_options const options = options_for(on_request);
    serve(&options);
}

static void start_response(int status, uint64_t body_size)
{
    weir_http_response const response = {.status = status, .body_size = body_size};
    assert_int_equal(weir_http_exchange_start(kept, &response), WEIR_OK);
}

#define OK_PATH(path, size)                                                                        \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" DATE "Content-Length: " size "\r\n\r\n" path
#define OK_DONE "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 4\r\n\r\ndone"
#define REFUSED(status, connection, size, reason)                                                  \
    "HTTP/1.1 " status "\r\nContent-Type: text/plain\r\n" DATE connection "Content-Length: " size  \
    "\r\n\r\n" reason "\n"

static void serves_requests_of_a_connection_in_order(void **state)
{
    (void)state;
    serve_with(answer_at_once);
    int const fd = raw_connect();
    raw_send(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    until(raw_has(fd, "/a"));
    assert_got(OK_PATH("/a", "2"));
    raw_send(fd, "GET /b HTTP/1.1\r\nHost: h\r\n\r\nGET /cc HTTP/1.1\r\nHost: h\r\n\r\n"
                 "GET /d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /e HTTP/1.1\r\n");
    raw_read_all(fd);
    assert_got(OK_PATH("/b", "2")
                   OK_PATH("/cc", "3") "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" DATE
                                       "Connection: close\r\nContent-Length: 2\r\n\r\n/d");
    assert_told("GET /a GET /b GET /cc GET /d ");
    raw_close(fd);
    until(weir_http_server_connections(f.server) == 0);
}

static void a_pipelined_request_waits_for_the_answer_before_it(void **state)
{
    (void)state;
    serve_with(keep);
    int const fd = raw_connect();
    raw_send(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    until(f.trace_size > 0);
    settle();
    assert_told("GET /a |end ");
    assert_int_equal(weir_http_server_exchanges(f.server), 1);
    assert_int_equal(weir_http_exchange_respond(kept, 200, NULL, "1", 1), WEIR_OK);
    settle();
    assert_told("GET /b |end ");
    assert_int_equal(weir_http_exchange_respond(kept, 200, NULL, "2", 1), WEIR_OK);
    until(raw_has(fd, "\r\n\r\n2"));
    settle();
    assert_int_equal(weir_http_server_exchanges(f.server), 0);
    assert_int_equal(weir_http_server_connections(f.server), 1);
    raw_close(fd);
}

static void keeps_the_connection_as_http_1_0_asks(void **state)
{
    (void)state;
    serve_with(answer_at_once);
    int const fd = raw_connect();
    raw_send(fd, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    until(raw_has(fd, "/a"));
    assert_got("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" DATE
               "Connection: keep-alive\r\nContent-Length: 2\r\n\r\n/a");
    raw_send(fd, "GET /b HTTP/1.0\r\n\r\n");
    raw_read_all(fd);
    assert_got("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" DATE
               "Connection: close\r\nContent-Length: 2\r\n\r\n/b");
    raw_close(fd);
}

static void streams_a_request_body_to_the_handler(void **state)
{
    (void)state;
    serve_with(read_then_answer);
    int const fd = raw_connect();
    raw_send(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123");
    until(f.trace_size > 8);
    assert_told("POST /a 0123");
    raw_send(fd, "456789POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc");
    until(raw_has(fd, "done"));
    assert_got(OK_DONE);
    settle();
    assert_told("456789|end POST /b abc");
    raw_send(fd, "\r\n0\r\n\r\n");
    until(raw_has(fd, "done"));
    assert_got(OK_DONE);
    assert_told("|end ");
    raw_close(fd);
}

static void a_paused_body_waits(void **state)
{
    (void)state;
    serve_with(keep_paused);
    int const fd = raw_connect();
    raw_send(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    until(f.trace_size > 0);
    raw_send(fd, "cd");
    advance_ms(10000); /* Nobody blames the peer. */
    assert_told("POST /a ");
    weir_http_exchange_resume(kept);
    weir_http_exchange_resume(kept);
    until(strstr(f.trace, "end") != NULL);
    assert_told("abcd|end ");
    assert_int_equal(weir_http_exchange_respond(kept, 204, NULL, NULL, 0), WEIR_OK);
    until(raw_has(fd, "\r\n\r\n"));
    assert_got("HTTP/1.1 204 No Content\r\n" DATE "\r\n");
    raw_close(fd);
}

static void frames_responses_as_their_size_and_version_ask(void **state)
{
    (void)state;
    static const struct {
        const char *request, *got;
        uint64_t size;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 4\r\n\r\nbody", 4, 200},
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
         WEIR_HTTP_SIZE_UNKNOWN, 200},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "HTTP/1.1 200 OK\r\n" DATE "Connection: close\r\n\r\nbody", WEIR_HTTP_SIZE_UNKNOWN, 200},
        {"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 4\r\n\r\n", 4, 200},
        {"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\n" DATE "\r\n",
         WEIR_HTTP_SIZE_UNKNOWN, 200},
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 204 No Content\r\n" DATE "\r\n", 4, 204},
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 304 Not Modified\r\n" DATE "Content-Length: 4\r\n\r\n", 4, 304},
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n" DATE "\r\n", 0, 304},
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 299 \r\n" DATE "Content-Length: 4\r\n\r\nbody", 4, 299},
    };
    serve_with(keep);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int const fd = raw_connect();
        kept = NULL;
        raw_send(fd, cases[i].request);
        until(kept != NULL);
        start_response(cases[i].status, cases[i].size);
        assert_int_equal(weir_http_exchange_write(kept, "body", cases[i].size == 0 ? 0 : 4),
                         WEIR_OK);
        assert_int_equal(weir_http_exchange_write(kept, "", 0), WEIR_OK);
        assert_int_equal(weir_http_exchange_finish(kept), WEIR_OK);
        until(raw_has(fd, cases[i].got));
        assert_got(cases[i].got);
        raw_close(fd);
    }
}

static void a_response_that_is_misused_is_refused(void **state)
{
    (void)state;
    serve_with(keep);
    int fd = raw_connect();
    raw_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    until(f.trace_size > 0);
    assert_int_equal(weir_http_exchange_write(kept, "x", 1), WEIR_EINVAL); /* Not begun. */
    weir_http_header evil = {weir_http_str("X"), weir_http_str("a\r\nSet-Cookie: b")};
    weir_http_response response = {.status = 200, .headers = &evil, .header_count = 1};
    assert_int_equal(weir_http_exchange_start(kept, &response), WEIR_EINVAL);
    evil.value = (weir_http_slice){"a\0b", 3};
    assert_int_equal(weir_http_exchange_start(kept, &response), WEIR_EINVAL);
    evil = (weir_http_header){weir_http_str("X Y"), weir_http_str("a")};
    assert_int_equal(weir_http_exchange_start(kept, &response), WEIR_EINVAL);
    evil.name = weir_http_str("");
    assert_int_equal(weir_http_exchange_start(kept, &response), WEIR_EINVAL);
    response = (weir_http_response){.status = 100};
    assert_int_equal(weir_http_exchange_start(kept, &response), WEIR_EINVAL);
    response = (weir_http_response){.status = 200, .reason = weir_http_str("O\nK")};
    assert_int_equal(weir_http_exchange_start(kept, &response), WEIR_EINVAL);
    start_response(200, 3);
    response = (weir_http_response){.status = 200};
    assert_int_equal(weir_http_exchange_start(kept, &response), WEIR_EINVAL); /* Twice. */
    assert_int_equal(weir_http_exchange_write(kept, "abcd", 4), WEIR_EINVAL); /* Too much. */
    assert_int_equal(weir_http_exchange_write(kept, "ab", 2), WEIR_OK);
    assert_int_equal(weir_http_exchange_finish(kept), WEIR_EINVAL); /* Too little. */
    until(raw_ended(fd));
    raw_close(fd);

    fd = raw_connect();
    f.trace_size = 0;
    raw_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    until(f.trace_size > 0);
    assert_int_equal(weir_http_exchange_finish(kept), WEIR_EINVAL); /* Nothing. */
    raw_read_all(fd);
    assert_got(REFUSED("500 Internal Server Error", "Connection: close\r\n", "12", "no response"));
    raw_close(fd);

    fd = raw_connect();
    f.trace_size = 0;
    raw_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    until(f.trace_size > 0);
    assert_int_equal(weir_http_exchange_respond(kept, 200, "a\nb", "x", 1), WEIR_EINVAL);
    raw_read_all(fd);
    assert_memory_equal(f.got, "HTTP/1.1 500 ", 13);
    raw_close(fd);
}

static void leaves_out_framing_headers_and_keeps_the_rest(void **state)
{
    (void)state;
    serve_with(keep);
    int const fd = raw_connect();
    raw_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    until(f.trace_size > 0);
    weir_http_header const headers[] = {
        {weir_http_str("connection"), weir_http_str("x")},
        {weir_http_str("Content-Length"), weir_http_str("99")},
        {weir_http_str("Transfer-Encoding"), weir_http_str("gzip")},
        {weir_http_str("Keep-Alive"), weir_http_str("x")},
        {weir_http_str("Upgrade"), weir_http_str("x")},
        {weir_http_str("Server"), weir_http_str("s")},
        {weir_http_str("date"), weir_http_str("yesterday")},
    };
    weir_http_response const response = {.status = 200,
                                         .reason = weir_http_str("Fine"),
                                         .headers = headers,
                                         .header_count = 7,
                                         .body_size = 0};
    assert_int_equal(weir_http_exchange_start(kept, &response), WEIR_OK);
    assert_int_equal(weir_http_exchange_finish(kept), WEIR_OK);
    until(raw_has(fd, "\r\n\r\n"));
    assert_got("HTTP/1.1 200 Fine\r\nServer: s\r\ndate: yesterday\r\nContent-Length: 0\r\n\r\n");
    raw_close(fd);
}

static void a_100_goes_to_whom_waits_for_it_once_its_body_is_read(void **state)
{
    (void)state;
    static const char expecting[] = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
                                    "Expect: 100-continue\r\n\r\n";
    serve_with(keep_paused);
    int fd = raw_connect();
    raw_send(fd, expecting);
    until(f.trace_size > 0);
    settle();
    raw_read(fd);
    assert_got("");
    weir_http_exchange_resume(kept);
    until(raw_has(fd, "\r\n\r\n"));
    assert_got("HTTP/1.1 100 Continue\r\n\r\n");
    raw_send(fd, "hi");
    until(strstr(f.trace, "end") != NULL);
    assert_told("POST /a hi|end ");
    assert_int_equal(weir_http_exchange_respond(kept, 200, NULL, "done", 4), WEIR_OK);
    until(raw_has(fd, "done"));
    assert_got(OK_DONE); /* Nor is the connection closed. */
    raw_close(fd);

    fd = raw_connect(); /* Answered without reading: no 100, and no more on that connection. */
    f.trace_size = 0;
    raw_send(fd, expecting);
    until(f.trace_size > 0);
    assert_int_equal(weir_http_exchange_respond(kept, 200, NULL, "done", 4), WEIR_OK);
    raw_read_all(fd);
    assert_got("HTTP/1.1 200 OK\r\n" DATE "Connection: close\r\nContent-Length: 4\r\n\r\ndone");
    raw_close(fd);
}

static void refuses_bad_requests_and_the_answer_arrives(void **state)
{
    (void)state;
    static const struct {
        const char *request, *got;
    } cases[] = {
        {"BLAH\r\n\r\n",
         REFUSED("400 Bad Request", "Connection: close\r\n", "17", "malformed method")},
        {"GET / HTTP/1.1\r\n\r\n",
         REFUSED("400 Bad Request", "Connection: close\r\n", "13", "missing Host")},
        {"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
         REFUSED("501 Not Implemented", "Connection: close\r\n", "25", "CONNECT is not supported")},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n",
         REFUSED("413 Content Too Large", "Connection: close\r\n", "20", "body over the limit")},
        {"GET / HTTP/3.0\r\n\r\n",
         REFUSED("505 HTTP Version Not Supported", "Connection: close\r\n", "27",
                 "HTTP version not supported")},
    };
    weir_http_server_options options = options_for(answer_at_once);
    options.max_body_bytes = 100;
    serve(&options);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int const fd = raw_connect();
        raw_send(fd, cases[i].request);
        raw_send(fd, "and much that is not read, which must not reset the connection");
        raw_read_all(fd);
        if (strstr(cases[i].got, "27") != NULL)
            assert_memory_equal(f.got, "HTTP/1.1 505 ", 13);
        else
            assert_string_equal(f.got, cases[i].got);
        raw_close(fd);
    }
    until(weir_http_server_connections(f.server) == 0);
    assert_told("");
    assert_int_equal(weir_http_server_exchanges(f.server), 0);
}

static void an_upgrade_is_ignored(void **state)
{
    (void)state;
    serve_with(answer_at_once);
    int const fd = raw_connect();
    raw_send(fd, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    until(raw_has(fd, "/a"));
    assert_got(OK_PATH("/a", "2"));
    raw_close(fd);
}

static void a_body_that_breaks_is_told_and_answered(void **state)
{
    (void)state;
    static const struct {
        const char *rest, *told, *status;
    } cases[] = {
        {"x\r\n", "POST /a |", "HTTP/1.1 400 "},
        {"65\r\n", "POST /a |", "HTTP/1.1 413 "},
    };
    weir_http_server_options options = options_for(keep);
    options.max_body_bytes = 100;
    serve(&options);
    for (size_t i = 0; i < 2; i++) {
        int const fd = raw_connect();
        raw_send(fd, "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        raw_send(fd, cases[i].rest);
        raw_read_all(fd);
        assert_memory_equal(f.got, cases[i].status, 13);
        if (i == 0)
            assert_told("POST /a abort-13 ");
        else
            assert_told("POST /a abort-14 ");
        assert_int_equal(weir_http_exchange_finish(kept), WEIR_ECLOSED);
        raw_close(fd);
    }
}

static void a_body_that_breaks_within_the_response_cuts_it(void **state)
{
    (void)state;
    serve_with(keep);
    int const fd = raw_connect();
    raw_send(fd, "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    until(f.trace_size > 0);
    start_response(200, WEIR_HTTP_SIZE_UNKNOWN);
    assert_int_equal(weir_http_exchange_write(kept, "abc", 3), WEIR_OK);
    until(raw_has(fd, "abc"));
    raw_send(fd, "x\r\n");
    until(raw_ended(fd));
    assert_null(strstr(f.got, "0\r\n\r\n"));
    assert_told("POST /a abort-13 ");
    weir_http_exchange_cut(kept);
    raw_close(fd);
}

static void a_peer_that_goes_away_is_told_once(void **state)
{
    (void)state;
    serve_with(keep);
    int fd = raw_connect();
    raw_send(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    until(f.trace_size > 0);
    raw_close(fd);
    until(strstr(f.trace, "abort") != NULL);
    settle();
    assert_told("GET /a |end abort-15 ");
    weir_http_response const response = {.status = 200};
    assert_int_equal(weir_http_exchange_start(kept, &response), WEIR_ECLOSED);
    assert_int_equal(weir_http_server_connections(f.server), 0);
    assert_int_equal(weir_http_exchange_finish(kept), WEIR_ECLOSED);

    fd = raw_connect(); /* Within the body; respond() frees it, too. */
    raw_send(fd, "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab");
    until(strstr(f.trace, "ab") != NULL);
    raw_reset(fd);
    until(strstr(f.trace, "abort") != NULL);
    assert_told("POST /b ababort-15 ");
    assert_int_equal(weir_http_exchange_respond(kept, 200, NULL, "x", 1), WEIR_ECLOSED);

    fd = raw_connect(); /* While nothing is read. */
    raw_send(fd, "GET /c HTTP/1.1\r\nHost: h\r\n\r\nGET /d HTTP/1.1\r\n");
    until(f.trace_size > 0);
    settle();
    raw_reset(fd);
    settle();
    until(strstr(f.trace, "abort") != NULL);
    assert_told("GET /c |end abort-15 ");
    weir_http_exchange_cut(kept);
}

static void a_half_closed_peer_gets_its_answer_if_that_is_allowed(void **state)
{
    (void)state;
    weir_http_server_options options = options_for(keep);
    options.half_close = true;
    serve(&options);
    int const fd = raw_connect();
    raw_send(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    until(f.trace_size > 0);
    settle();
    assert_told("GET /a |end ");
    assert_int_equal(weir_http_exchange_respond(kept, 200, NULL, "done", 4), WEIR_OK);
    raw_read_all(fd);
    assert_got("HTTP/1.1 200 OK\r\n" DATE "Connection: close\r\nContent-Length: 4\r\n\r\ndone");
    raw_close(fd);
}

static void an_answer_already_finished_outlives_the_peers_end(void **state)
{
    (void)state;
    serve_with(answer_at_once);
    int const fd = raw_connect();
    raw_send(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    raw_read_all(fd);
    assert_got(OK_PATH("/a", "2"));
    raw_close(fd);
}

static char megabyte[1 << 20];

static void a_slow_reader_is_waited_for_with_bounded_memory(void **state)
{
    (void)state;
    weir_http_server_options options = options_for(keep);
    options.high_water = 10000;
    serve(&options);
    int const fd = raw_connect();
    raw_send(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    until(f.trace_size > 0);
    f.trace_size = 0;
    start_response(200, WEIR_HTTP_SIZE_UNKNOWN);
    size_t written = 0, read = 0;
    size_t const before = f.fake.live_bytes;
    for (int round = 0; round < 3; round++) {
        f.trace_size = 0;
        f.trace[0] = '\0';
        while (!weir_http_exchange_full(kept)) {
            assert_int_equal(weir_http_exchange_write(kept, megabyte, 20000), WEIR_OK);
            written += 20000;
        }
        assert_int_equal(weir_http_exchange_write(kept, "x", 1), WEIR_EBUSY);
        settle();
        assert_told("");
        assert_true(f.fake.live_bytes < before + 100000);
        while (strstr(f.trace, "writable") == NULL) {
            ssize_t const size = recv(fd, megabyte, sizeof megabyte, 0);
            read += size > 0 ? (size_t)size : 0;
            assert_int_equal(weir_loop_run_once(f.loop, MS), WEIR_OK);
        }
        assert_told("writable ");
    }
    assert_int_equal(weir_http_exchange_finish(kept), WEIR_OK);
    size_t const chunk = 4 + 2 + 20000 + 2; /* "4e20" and line ends. */
    size_t const whole = strlen("HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n") +
                         written / 20000 * chunk + 5;
    for (int i = 0; read < whole && i < 100000; i++) {
        ssize_t const size = recv(fd, megabyte, sizeof megabyte, 0);
        read += size > 0 ? (size_t)size : 0;
        assert_int_equal(weir_loop_dispatch(f.loop), WEIR_OK);
    }
    assert_int_equal(read, whole);
    raw_close(fd);
}

static void a_body_nobody_wants_is_dropped_within_bounds(void **state)
{
    (void)state;
    weir_http_server_options options = options_for(answer_at_once);
    options.drain_bytes = 10;
    serve(&options);
    int fd = raw_connect();
    raw_send(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n");
    until(raw_has(fd, "/a"));
    assert_got(OK_PATH("/a", "2"));
    raw_send(fd, "0123456789GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    until(raw_has(fd, "/b"));
    assert_got(OK_PATH("/b", "2"));
    raw_close(fd);

    fd = raw_connect();
    raw_send(fd, "POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nGET /x");
    raw_read_all(fd);
    assert_got("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" DATE
               "Connection: close\r\nContent-Length: 2\r\n\r\n/c");
    raw_close(fd);
    assert_told("POST /a GET /b POST /c ");
}

static void an_answer_to_a_request_that_goes_on_is_bounded_too(void **state)
{
    (void)state;
    weir_http_server_options options = options_for(keep);
    options.drain_bytes = 20;
    serve(&options);
    int const fd = raw_connect();
    raw_send(fd, "POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n");
    until(f.trace_size > 0);
    start_response(200, 4);
    assert_int_equal(weir_http_exchange_write(kept, "done", 4), WEIR_OK);
    assert_int_equal(weir_http_exchange_finish(kept), WEIR_OK);
    until(raw_has(fd, "done"));
    raw_send(fd, "0123456789");
    advance_ms(299);
    assert_int_equal(weir_http_server_connections(f.server), 1);
    advance_ms(1); /* The body stalls, though nobody wants it. */
    raw_read_all(fd);
    raw_close(fd);
    until(weir_http_server_connections(f.server) == 0);
}

/* ---- Time ---- */

static void a_head_has_to_come_in_time(void **state)
{
    (void)state;
    serve_with(answer_at_once);
    int const quiet = raw_connect();
    int const slow = raw_connect();
    raw_send(slow, "GET / HT");
    until(weir_http_server_connections(f.server) == 2);
    advance_ms(99);
    raw_send(slow, "TP/1.1\r\n"); /* A byte now and then does not help. */
    advance_ms(0);
    assert_int_equal(weir_http_server_connections(f.server), 2);
    advance_ms(1);
    raw_read_all(slow);
    assert_got(REFUSED("408 Request Timeout", "Connection: close\r\n", "16", "request timeout"));
    raw_read_all(quiet);
    assert_got("");
    raw_close(quiet);
    raw_close(slow);
}

static void an_idle_connection_is_closed_in_time(void **state)
{
    (void)state;
    serve_with(answer_at_once);
    int const fd = raw_connect();
    raw_send(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    until(raw_has(fd, "/a"));
    advance_ms(199);
    assert_int_equal(weir_http_server_connections(f.server), 1);
    raw_send(fd, "G"); /* From here on it is the head that is waited for. */
    advance_ms(0);
    advance_ms(99);
    assert_int_equal(weir_http_server_connections(f.server), 1);
    raw_send(fd, "ET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    until(raw_has(fd, "/b"));
    advance_ms(200);
    assert_int_equal(weir_http_server_connections(f.server), 0);
    raw_close(fd);
}

static void a_body_has_to_go_on(void **state)
{
    (void)state;
    serve_with(keep);
    int const fd = raw_connect();
    raw_send(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    until(f.trace_size > 0);
    for (int i = 0; i < 3; i++) {
        advance_ms(299);
        raw_send(fd, "x");
        advance_ms(0);
    }
    assert_told("POST /a xxx");
    advance_ms(300);
    assert_told("abort-10 ");
    raw_read_all(fd);
    assert_memory_equal(f.got, "HTTP/1.1 408 ", 13);
    assert_int_equal(weir_http_exchange_finish(kept), WEIR_ECLOSED);
    raw_close(fd);
}

static void a_whole_request_has_its_time(void **state)
{
    (void)state;
    weir_http_server_options options = options_for(keep_paused);
    options.request_ms = 500;
    serve(&options);
    int const fd = raw_connect();
    raw_send(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    until(f.trace_size > 0);
    advance_ms(499);
    assert_told("POST /a ");
    advance_ms(1);
    assert_told("abort-10 ");
    weir_http_exchange_cut(kept);
    raw_read_all(fd);
    assert_memory_equal(f.got, "HTTP/1.1 408 ", 13);
    raw_close(fd);
}

static void a_peer_that_does_not_read_is_given_up(void **state)
{
    (void)state;
    serve_with(keep);
    int const fd = raw_connect();
    raw_send(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    until(f.trace_size > 0);
    start_response(200, WEIR_HTTP_SIZE_UNKNOWN);
    while (!weir_http_exchange_full(kept))
        assert_int_equal(weir_http_exchange_write(kept, megabyte, sizeof megabyte), WEIR_OK);
    settle();
    f.trace_size = 0;
    f.trace[0] = '\0';
    advance_ms(399);
    assert_told("");
    advance_ms(1);
    assert_told("abort-10 ");
    assert_int_equal(weir_http_exchange_finish(kept), WEIR_ECLOSED);
    raw_close(fd);
}

static void a_lingering_connection_is_closed_in_time(void **state)
{
    (void)state;
    serve_with(answer_at_once);
    int const fd = raw_connect();
    raw_send(fd, "BLAH\r\n\r\n");
    until(raw_ended(fd)); /* Our side stays open. */
    assert_int_equal(weir_http_server_connections(f.server), 1);
    raw_send(fd, "still talking");
    advance_ms(49);
    assert_int_equal(weir_http_server_connections(f.server), 1);
    advance_ms(1);
    assert_int_equal(weir_http_server_connections(f.server), 0);
    raw_close(fd);
}

/* ---- Connections ---- */

static void more_connections_than_allowed_wait(void **state)
{
    (void)state;
    weir_http_server_options options = options_for(answer_at_once);
    options.max_connections = 1;
    serve(&options);
    int const first = raw_connect();
    until(weir_http_server_connections(f.server) == 1);
    int const second = raw_connect();
    raw_send(second, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    settle();
    assert_told("");
    raw_close(first);
    until(raw_has(second, "/b"));
    assert_int_equal(weir_http_server_connections(f.server), 1);
    raw_close(second);
}

static void note_drained(void *user)
{
    say(user);
}

static void drains(void **state)
{
    (void)state;
    static char word[] = "drained ";
    serve_with(keep);
    int const idle = raw_connect();
    until(weir_http_server_connections(f.server) == 1);
    int const busy = raw_connect();
    raw_send(busy, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    until(f.trace_size > 0);
    weir_http_server_drain(f.server, note_drained, word);
    settle();
    assert_true(raw_ended(idle));
    assert_int_equal(weir_http_server_connections(f.server), 1);
    assert_told("GET /a |end ");
    assert_int_equal(weir_http_exchange_respond(kept, 200, NULL, "done", 4), WEIR_OK);
    f.got_end = false;
    raw_read_all(busy);
    assert_got("HTTP/1.1 200 OK\r\n" DATE "Connection: close\r\nContent-Length: 4\r\n\r\ndone");
    until(f.trace_size > 0);
    settle();
    assert_told("drained ");
    raw_close(idle);
    raw_close(busy);
    weir_http_server_drain(f.server, note_drained, word); /* Drained already: told, but later. */
    assert_told("");
    settle();
    assert_told("drained ");
    weir_http_server_drain(f.server, NULL, NULL);
    settle();
}

static void destroy_server(weir_http_exchange *exchange, const weir_http_request *request,
                           void *user)
{
    keep(exchange, request, user);
    weir_http_server_destroy(f.server);
    f.server = NULL;
}

static void may_be_destroyed_by_its_handler(void **state)
{
    (void)state;
    serve_with(destroy_server);
    int const fd = raw_connect();
    raw_send(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    until(f.trace_size > 0);
    settle();
    assert_told("GET /a abort-15 ");
    assert_string_equal("/a", "/a");
    assert_memory_equal(weir_http_exchange_request(kept)->path.data, "/a", 2); /* Still there. */
    assert_int_equal(weir_http_exchange_finish(kept), WEIR_ECLOSED);
    raw_close(fd);
}

static void knows_its_peers_address(void **state)
{
    (void)state;
    serve_with(keep);
    int const fd = raw_connect();
    struct sockaddr_in name;
    socklen_t size = sizeof name;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    raw_send(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    until(f.trace_size > 0);
    weir_address const peer = weir_http_exchange_peer(kept);
    char ip[WEIR_ADDRESS_TEXT_SIZE];
    weir_address_format_ip(&peer, ip);
    assert_string_equal(ip, "127.0.0.1");
    assert_int_equal(peer.port, ntohs(name.sin_port));
    weir_http_exchange_handle(kept, NULL, NULL);
    weir_http_exchange_cut(kept);
    until(raw_ended(fd));
    raw_close(fd);
}

static void create_refuses_options_out_of_range(void **state)
{
    (void)state;
    weir_http_server *server;
    weir_http_server_options const good = options_for(keep);
    weir_http_server_options bad[16];
    for (size_t i = 0; i < 16; i++)
        bad[i] = good;
    bad[0].on_request = NULL;
    bad[1].address = "nowhere";
    bad[2].max_connections = 0;
    bad[3].max_header_bytes = 255;
    bad[4].max_headers = 0;
    bad[5].max_target_bytes = 0;
    bad[6].high_water = 0;
    bad[7].header_ms = 0;
    bad[8].idle_ms = 0;
    bad[9].body_ms = 0;
    bad[10].write_ms = 0;
    bad[11].linger_ms = 0;
    bad[12].backlog = 0;
    bad[13].max_target_bytes = bad[13].max_header_bytes + 1;
    bad[14].address = NULL;
    bad[15].struct_size = 0;
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(weir_http_server_create(&server, f.loop, &bad[i]), WEIR_EINVAL);
    assert_int_equal(weir_http_server_create(&server, f.loop, NULL), WEIR_EINVAL);
    assert_int_equal(weir_http_server_create(&server, NULL, &good), WEIR_EINVAL);
    assert_null(server);
    weir_http_server_destroy(NULL);
    serve(&good);
    char address[WEIR_ADDRESS_TEXT_SIZE];
    weir_address_format(&f.address, address);
    bad[0] = good;
    bad[0].address = address; /* Taken. */
    assert_int_equal(weir_http_server_create(&server, f.loop, &bad[0]), WEIR_ESYSTEM);
    assert_int_equal(errno, EADDRINUSE);
}

/* A request, its body and an answer, with the n-th allocation failing: the peer sees the answer, a
   500, a 503, or a closed connection, and nothing leaks. */
static void survives_every_failed_allocation(void **state)
{
    (void)state;
    bool answered = false;
    for (unsigned fail_at = 1; !answered; fail_at++) {
        assert_true(fail_at < 60);
        weir_http_server_options const options = options_for(read_then_answer);
        f.fake.calls = 0;
        f.fake.fail_at = fail_at;
        int const result = weir_http_server_create(&f.server, f.loop, &options);
        if (result == WEIR_ENOMEM)
            continue;
        assert_int_equal(result, WEIR_OK);
        f.address = weir_http_server_address(f.server);
        int const fd = raw_connect();
        raw_send(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
        for (int i = 0; i < FIXTURE_STEPS && !raw_ended(fd) && !raw_has(fd, "\r\n\r\n"); i++)
            assert_int_equal(weir_loop_run_once(f.loop, MS), WEIR_OK);
        answered = f.got_size > 0 && strcmp(f.got, OK_DONE) == 0;
        assert_true(answered || f.got_size == 0 || strstr(f.got, "HTTP/1.1 50") == f.got);
        raw_close(fd);
        weir_http_server_destroy(f.server);
        f.server = NULL;
        settle();
    }
    f.fake.fail_at = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(serves_requests_of_a_connection_in_order),
        TEST(a_pipelined_request_waits_for_the_answer_before_it),
        TEST(keeps_the_connection_as_http_1_0_asks),
        TEST(streams_a_request_body_to_the_handler),
        TEST(a_paused_body_waits),
        TEST(frames_responses_as_their_size_and_version_ask),
        TEST(a_response_that_is_misused_is_refused),
        TEST(leaves_out_framing_headers_and_keeps_the_rest),
        TEST(a_100_goes_to_whom_waits_for_it_once_its_body_is_read),
        TEST(refuses_bad_requests_and_the_answer_arrives),
        TEST(an_upgrade_is_ignored),
        TEST(a_body_that_breaks_is_told_and_answered),
        TEST(a_body_that_breaks_within_the_response_cuts_it),
        TEST(a_peer_that_goes_away_is_told_once),
        TEST(a_half_closed_peer_gets_its_answer_if_that_is_allowed),
        TEST(an_answer_already_finished_outlives_the_peers_end),
        TEST(a_slow_reader_is_waited_for_with_bounded_memory),
        TEST(a_body_nobody_wants_is_dropped_within_bounds),
        TEST(an_answer_to_a_request_that_goes_on_is_bounded_too),
        TEST(a_head_has_to_come_in_time),
        TEST(an_idle_connection_is_closed_in_time),
        TEST(a_body_has_to_go_on),
        TEST(a_whole_request_has_its_time),
        TEST(a_peer_that_does_not_read_is_given_up),
        TEST(a_lingering_connection_is_closed_in_time),
        TEST(more_connections_than_allowed_wait),
        TEST(drains),
        TEST(may_be_destroyed_by_its_handler),
        TEST(knows_its_peers_address),
        TEST(create_refuses_options_out_of_range),
        TEST(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("http server", tests, NULL, NULL);
}

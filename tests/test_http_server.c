/* The HTTP server, by raw sockets: requests, responses, and peers that break them. */
#include "support/http_handlers.h"

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
    int const fd = raw_connect();
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
}

static void a_peer_that_goes_away_within_its_body_is_told(void **state)
{
    (void)state;
    serve_with(keep);
    int const fd = raw_connect();
    raw_send(fd, "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab");
    until(strstr(f.trace, "ab") != NULL);
    raw_reset(fd);
    until(strstr(f.trace, "abort") != NULL);
    assert_told("POST /b ababort-15 ");
    assert_int_equal(weir_http_exchange_respond(kept, 200, NULL, "x", 1), WEIR_ECLOSED);
}

static void a_peer_that_goes_away_while_nothing_is_read_is_told(void **state)
{
    (void)state;
    serve_with(keep);
    int const fd = raw_connect();
    raw_send(fd, "GET /c HTTP/1.1\r\nHost: h\r\n\r\nGET /d HTTP/1.1\r\n");
    until(f.trace_size > 0);
    settle();
    raw_reset(fd);
    until(strstr(f.trace, "abort") != NULL);
    assert_told("GET /c |end abort-15 ");
    weir_http_exchange_cut(kept);
}

static void a_peer_that_resets_what_is_written_is_told_in_time(void **state)
{
    (void)state;
    serve_with(keep_paused);
    int const fd = raw_connect();
    raw_send(fd, "POST /d HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab");
    until(f.trace_size > 0);
    raw_send(fd, "cd");
    settle(); /* Paused: from here on nobody listens. */
    raw_reset(fd);
    settle();
    weir_http_response const response = {.status = 200, .body_size = 100000};
    assert_int_equal(weir_http_exchange_start(kept, &response), WEIR_OK);
    assert_int_equal(weir_http_exchange_write(kept, megabyte, 100000), WEIR_ECLOSED); /* At once. */
    assert_told("POST /d ");
    settle();
    assert_told("abort-15 ");
    assert_int_equal(weir_http_exchange_finish(kept), WEIR_ECLOSED);
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

static void ask_done(weir_http_call *call, const weir_http_result *result, void *user)
{
    (void)call;
    (void)user;
    assert_int_equal(result->code, WEIR_OK);
    say("done");
}

static void speaks_ipv6(void **state)
{
    (void)state;
    static const weir_http_call_events events = {NULL, NULL, NULL, ask_done};
    weir_http_server_options options = options_for(answer_at_once);
    options.address = "[::1]:0";
    if (weir_http_server_create(&f.server, f.loop, &options) == WEIR_ESYSTEM) {
        print_message("SKIPPED: no IPv6 here\n");
        return;
    }
    f.address = weir_http_server_address(f.server);
    assert_int_equal(f.address.family, 6);
    assert_int_equal(weir_http_client_create(&f.client, f.loop, NULL), WEIR_OK);
    weir_http_request const request = {.method = weir_http_str("GET"),
                                       .target = weir_http_str("/")};
    weir_http_call *call;
    assert_int_equal(weir_http_call_start(&call, f.client, &f.address, NULL, &request, &events,
                                          NULL),
                     WEIR_OK);
    until(strstr(f.trace, "done") != NULL);
    assert_told("GET / done");
}

static void answer_with_headers(weir_http_exchange *exchange, const weir_http_request *request,
                                void *user)
{
    weir_http_header const tag = {weir_http_str("ETag"), weir_http_str("\"1\"")};
    weir_http_response response = {.status = 200,
                                   .headers = &tag,
                                   .header_count = 1,
                                   .body_size = WEIR_HTTP_SIZE_UNKNOWN};
    (void)user;
    if (!weir_http_equals(request->path, "/unknown"))
        response.body_size = 2;
    assert_int_equal(weir_http_exchange_respond_with(exchange, &response, "hi"),
                     response.body_size == 2 ? WEIR_OK : WEIR_EINVAL);
}

static void a_whole_answer_has_any_headers(void **state)
{
    (void)state;
    serve_with(answer_with_headers);
    int const fd = raw_connect();
    raw_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\nHEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
                 "GET /unknown HTTP/1.1\r\nHost: h\r\n\r\n");
    raw_read_all(fd);
    assert_got("HTTP/1.1 200 OK\r\nETag: \"1\"\r\n" DATE "Content-Length: 2\r\n\r\nhi"
               "HTTP/1.1 200 OK\r\nETag: \"1\"\r\n" DATE
               "Content-Length: 2\r\n\r\n" REFUSED("500 Internal Server Error",
                                                   "Connection: close\r\n", "12", "no response"));
    raw_close(fd);
}

static void a_head_that_fills_the_exchange_is_followed_by_writable(void **state)
{
    (void)state;
    weir_http_server_options options = options_for(keep);
    options.high_water = 16;
    serve(&options);
    int const fd = raw_connect();
    raw_send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    until(kept != NULL && strstr(f.trace, "end") != NULL);
    assert_told("GET / |end ");
    start_response(200, 2);
    assert_true(weir_http_exchange_full(kept));
    assert_int_equal(weir_http_exchange_write(kept, "hi", 2), WEIR_EBUSY);
    settle();
    assert_told("writable ");
    assert_int_equal(weir_http_exchange_write(kept, "hi", 2), WEIR_OK);
    assert_int_equal(weir_http_exchange_finish(kept), WEIR_OK);
    until(raw_has(fd, "hi"));
    raw_close(fd);
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
        TEST(a_peer_that_goes_away_within_its_body_is_told),
        TEST(a_peer_that_goes_away_while_nothing_is_read_is_told),
        TEST(a_peer_that_resets_what_is_written_is_told_in_time),
        TEST(a_half_closed_peer_gets_its_answer_if_that_is_allowed),
        TEST(an_answer_already_finished_outlives_the_peers_end),
        TEST(speaks_ipv6),
        TEST(a_whole_answer_has_any_headers),
        TEST(a_head_that_fills_the_exchange_is_followed_by_writable),
    };
    return cmocka_run_group_tests_name("http server", tests, NULL, NULL);
}

/* The HTTP server, by raw sockets: its limits in memory, time and number, and its end. */
#include "support/http_handlers.h"

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

static void a_pause_from_outside_stops_the_clock_of_the_body(void **state)
{
    (void)state;
    serve_with(keep);
    int const fd = raw_connect();
    raw_send(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
    until(strstr(f.trace, "ab") != NULL);
    weir_http_exchange_pause(kept);
    advance_ms(10000);
    assert_told("POST /a ab");
    weir_http_exchange_resume(kept);
    advance_ms(299);
    assert_told("");
    advance_ms(1);
    assert_told("abort-10 ");
    weir_http_exchange_cut(kept);
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

static void goes_on_accepting_once_there_are_descriptors_again(void **state)
{
    (void)state;
    if (getenv("WEIR_VALGRIND") != NULL) {
        print_message("SKIPPED: valgrind closes the connection that it refuses a descriptor\n");
        skip();
    }
    serve_with(answer_at_once);
    int const fd = raw_connect();
    raw_send(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    limit_descriptors(0);
    settle();
    assert_told("");
    limit_descriptors(-1);
    settle();
    assert_told(""); /* Not in a tight loop. */
    advance_ms(100);
    until(raw_has(fd, "/a"));
    raw_close(fd);
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

/* Likewise with much in the buffers: a body that waits, a pipelined request behind it, an answer
   larger than what the peer takes at once. */
static void survives_every_failed_allocation_with_full_buffers(void **state)
{
    (void)state;
    bool answered = false;
    for (unsigned fail_at = 1; !answered; fail_at++) {
        assert_true(fail_at < 60);
        weir_http_server_options const options = options_for(keep_paused);
        serve(&options);
        int const fd = raw_connect();
        kept = NULL;
        raw_send(fd, "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                     "Content-Length: 4\r\n\r\nbody");
        raw_send(fd, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
        f.fake.calls = 0;
        f.fake.fail_at = fail_at;
        settle();
        if (kept != NULL) {
            weir_http_response const response = {.status = 200, .body_size = 100000};
            weir_http_exchange_resume(kept);
            settle();
            int result = weir_http_exchange_start(kept, &response);
            if (result == WEIR_OK)
                result = weir_http_exchange_write(kept, megabyte, 100000);
            answered = result == WEIR_OK;
            result = weir_http_exchange_finish(kept);
            answered &= result == WEIR_OK;
            settle();
        }
        raw_close(fd);
        settle();
        if (answered && strstr(f.trace, "GET /b ") != NULL)
            weir_http_exchange_cut(kept);
        else
            answered = false;
        f.fake.fail_at = 0;
        weir_http_server_destroy(f.server);
        f.server = NULL;
        f.trace_size = 0;
        f.trace[0] = '\0';
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_slow_reader_is_waited_for_with_bounded_memory),
        TEST(a_body_nobody_wants_is_dropped_within_bounds),
        TEST(an_answer_to_a_request_that_goes_on_is_bounded_too),
        TEST(a_head_has_to_come_in_time),
        TEST(an_idle_connection_is_closed_in_time),
        TEST(a_body_has_to_go_on),
        TEST(a_whole_request_has_its_time),
        TEST(a_peer_that_does_not_read_is_given_up),
        TEST(a_lingering_connection_is_closed_in_time),
        TEST(a_pause_from_outside_stops_the_clock_of_the_body),
        TEST(more_connections_than_allowed_wait),
        TEST(goes_on_accepting_once_there_are_descriptors_again),
        TEST(drains),
        TEST(may_be_destroyed_by_its_handler),
        TEST(knows_its_peers_address),
        TEST(create_refuses_options_out_of_range),
        TEST(survives_every_failed_allocation),
        TEST(survives_every_failed_allocation_with_full_buffers),
    };
    return cmocka_run_group_tests_name("http server limits", tests, NULL, NULL);
}

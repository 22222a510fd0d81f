/* The HTTP client, against raw sockets: calls, bodies, and connections that are kept. */
#include "support/http_calls.h"

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
    raw_close(listener);
}

static void a_body_may_last_until_the_connections_end(void **state)
{
    (void)state;
    int const listener = raw_listen();
    (void)start("GET", 0);
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    raw_send(fd, "HTTP/1.1 200 OK\r\n\r\nall of it");
    raw_close(fd);
    until_told("done");
    assert_told("200 all of it|done0 ");
    assert_int_equal(weir_http_client_idle(f.client), 0);
    raw_close(listener);
}

static void an_idle_connection_that_talks_is_closed(void **state)
{
    (void)state;
    int const listener = raw_listen();
    int const fd = warm_up(listener);
    raw_send(fd, "HTTP/1.1 408 Unasked\r\n\r\n");
    until(weir_http_client_idle(f.client) == 0);
    raw_close(fd);
    raw_close(listener);
}

static void streams_a_request_body(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_call *const call = start("PUT", 6);
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

    raw_close(fd);
    raw_close(listener);
}

static void streams_a_body_of_unknown_size_in_chunks(void **state)
{
    (void)state;
    int const listener = raw_listen();
    int const fd = warm_up(listener);
    weir_http_call *const call = start("POST", WEIR_HTTP_SIZE_UNKNOWN);
    assert_int_equal(weir_http_call_write(call, "0123456789abcdefg", 17), WEIR_OK);
    until(raw_has(fd, "defg"));
    assert_requested("POST /t", "Transfer-Encoding: chunked\r\n\r\n11\r\n0123456789abcdefg\r\n");
    assert_int_equal(weir_http_call_finish(call), WEIR_OK);
    until(raw_has(fd, "0\r\n\r\n"));
    assert_got("0\r\n\r\n");
    raw_send(fd, OK_HI);
    until_told("done");
    assert_told("200 hi|done0 ");

    raw_close(fd);
    raw_close(listener);
}

static void says_that_there_is_no_body_where_one_is_usual(void **state)
{
    (void)state;
    static const char *const methods[] = {"POST", "PUT", "PATCH"};
    int const listener = raw_listen();
    int const fd = warm_up(listener);
    for (size_t i = 0; i < 3; i++) {
        char line[32];
        (void)snprintf(line, sizeof line, "%s /t", methods[i]);
        (void)start(methods[i], 0);
        until(raw_has(fd, "\r\n\r\n"));
        assert_requested(line, "Content-Length: 0\r\n\r\n");
        raw_send(fd, OK_HI);
        until_told("done");
        assert_told("200 hi|done0 ");
        settle();
    }
    raw_close(fd);
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

static void keeps_several_connections_to_an_address(void **state)
{
    (void)state;
    int const listener = raw_listen();
    int fds[4];
    for (int i = 0; i < 4; i++)
        (void)start("GET", 0);
    for (int i = 0; i < 4; i++) {
        fds[i] = raw_accept(listener);
        raw_send(fds[i], OK_HI);
        settle();
    }
    assert_told("200 hi|done0 200 hi|done0 200 hi|done0 200 hi|done0 ");
    assert_int_equal(weir_http_client_idle(f.client), 4);
    raw_close(fds[1]); /* One from the middle, the oldest, the newest. */
    until(weir_http_client_idle(f.client) == 3);
    raw_close(fds[0]);
    until(weir_http_client_idle(f.client) == 2);
    raw_close(fds[3]);
    until(weir_http_client_idle(f.client) == 1);
    (void)start("GET", 0);
    assert_int_equal(weir_http_client_idle(f.client), 0);
    raw_send(fds[2], OK_HI);
    until_told("done");
    assert_true(last.reused);
    raw_close(fds[2]);
    raw_close(listener);
}

/* ---- Connections that died idle ---- */

/* istio#13205: the race between a request and the end of an idle connection is no 503. */
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
    int const fd = warm_up(listener);
    (void)start("POST", 0);
    until(raw_has(fd, "\r\n\r\n"));
    raw_close(fd);
    until_told("done");
    assert_told("|done3 ");
    assert_true(last.reused);
    assert_true(last.maybe_processed);
    assert_string_equal(last.reason, "closed before the response");
    raw_close(listener);
}

static void a_body_makes_a_safe_method_no_safer(void **state)
{
    (void)state;
    int const listener = raw_listen();
    int const fd = warm_up(listener);
    weir_http_call *const call = start("GET", 2);
    assert_int_equal(weir_http_call_write(call, "hi", 2), WEIR_OK);
    assert_int_equal(weir_http_call_finish(call), WEIR_OK);
    until(raw_has(fd, "hi"));
    raw_reset(fd);
    until_told("done");
    assert_told("|done3 ");
    raw_close(listener);
}

static void once_a_byte_of_the_response_came_nothing_is_repeated(void **state)
{
    (void)state;
    int const listener = raw_listen();
    int const fd = warm_up(listener);
    (void)start("GET", 0);
    until(raw_has(fd, "\r\n\r\n"));
    raw_send(fd, "HTTP/1.1 2");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sends_a_request_and_tells_the_response),
        TEST(responses_without_a_body_have_none),
        TEST(keeps_no_connection_that_did_not_end_cleanly),
        TEST(a_body_may_last_until_the_connections_end),
        TEST(an_idle_connection_that_talks_is_closed),
        TEST(streams_a_request_body),
        TEST(streams_a_body_of_unknown_size_in_chunks),
        TEST(says_that_there_is_no_body_where_one_is_usual),
        TEST(an_early_response_ends_the_call),
        TEST(reads_the_answer_of_a_peer_that_stopped_reading),
        TEST(tells_when_there_is_room_again),
        TEST(a_paused_response_waits),
        TEST(keeps_several_connections_to_an_address),
        TEST(a_kept_connection_that_died_is_replaced),
        TEST(it_is_replaced_once),
        TEST(what_may_have_been_acted_on_is_not_repeated),
        TEST(a_body_makes_a_safe_method_no_safer),
        TEST(once_a_byte_of_the_response_came_nothing_is_repeated),
        TEST(what_was_not_sent_is_repeated_whatever_it_is),
    };
    return cmocka_run_group_tests_name("http client", tests, NULL, NULL);
}

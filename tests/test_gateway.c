/* Gateway: requests on their way through. One loop holds gateway, upstreams and client. */
#include "support/gateway_fixture.h"

/* ---- Tests ---- */

static void the_longest_route_of_whole_segments_wins(void **state)
{
    (void)state;
    (void)start_upstream(0);
    (void)start_upstream(1);
    start("service a\nroute /x\nmember a ${A}\nservice b\nroute /x/y\nmember b ${B}\n");
    assert_int_equal(get("/x"), 200);
    assert_int_equal(get("/x/yy"), 200);
    assert_int_equal(f.served[0], 2);
    assert_int_equal(get("/x/y"), 200);
    assert_int_equal(get("/x/y/z?q=1"), 200);
    assert_int_equal(f.served[1], 2);
    assert_int_equal(get("/x/y/"), 200);
    assert_int_equal(get("/x/y?/x"), 200);
    assert_int_equal(f.served[1], 4);
    assert_int_equal(get("/x?/x/y"), 200);
    assert_int_equal(f.served[0], 3);
    assert_int_equal(get("/xy"), 404);
    assert_int_equal(get("/"), 404);
    assert_int_equal(get("//x"), 404);
    assert_int_equal(update("service all\nroute /\nmember a ${A}\n"), WEIR_OK);
    assert_int_equal(get("/"), 200);
}

static void an_error_of_a_member_is_retried_on_the_other_and_the_last_is_passed_on(void **state)
{
    (void)state;
    start_two("retry attempts=2 base=0 cap=0\nbreaker off\n");
    assert_int_equal(get("/s/500"), 500);
    assert_non_null(strstr(reply.head, "\r\n\r\nbroken"));
    assert_int_equal(f.served[0], 1);
    assert_int_equal(f.served[1], 1);
    assert_int_equal(ask("POST", "/s/500", "x"), 500); /* Not safe to repeat. */
    assert_int_equal(f.served[0] + f.served[1], 3);
    assert_int_equal(ask("POST", "/s/busy", "x"), 503);
    assert_non_null(strstr(reply.head, "Retry-After: 7"));
}

static void a_retry_waits_for_its_time(void **state)
{
    (void)state;
    start_two("retry attempts=2 base=50ms cap=50ms jitter=none\nbreaker off\n");
    int const fd = connect_proxy();
    tell(fd, "GET /s/500 HTTP/1.1\r\nHost: x\r\n\r\n");
    settle();
    assert_int_equal(f.served[0] + f.served[1], 1);
    f.fake.now_ns += 50 * MS - 1;
    settle();
    assert_int_equal(f.served[0] + f.served[1], 1);
    f.fake.now_ns += 1;
    settle();
    assert_int_equal(f.served[0] + f.served[1], 2);
    (void)close(fd);
}

/* Member b is not there: what was not sent may be repeated, body and all. */
static void a_body_is_sent_again_when_a_member_cannot_be_reached(void **state)
{
    (void)state;
    (void)start_upstream(0);
    start(TWO "retry attempts=3 base=0 cap=0\nbreaker off\n");
    for (int i = 0; i < 4; i++) {
        f.body_bytes = 0;
        assert_int_equal(ask("POST", "/s", "twelve bytes"), 200);
        assert_int_equal(f.body_bytes, 12);
    }
    assert_int_equal(f.served[0], 4);
}

/* The upstreams take the body and hang up. PUT is safe to repeat, if the body is still there. */
static void a_body_too_large_to_keep_is_not_sent_again(void **state)
{
    (void)state;
    static char block[70000];
    memset(block, 'x', sizeof block);
    start_two("retry attempts=2 base=0 cap=0\nbreaker off\n");
    assert_int_equal(ask("PUT", "/s/drop", "small"), 502);
    assert_int_equal(f.served[0] + f.served[1], 2);
    int const fd = connect_proxy();
    tell(fd, "PUT /s/drop HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n"
             "Connection: close\r\n\r\n");
    for (size_t sent = 0, i = 0; sent < sizeof block && i < STEPS; i++) {
        ssize_t const now = send(fd, block + sent, sizeof block - sent, MSG_NOSIGNAL);
        sent += now > 0 ? (size_t)now : 0;
        step();
    }
    (void)read_all(fd, UINT64_MAX);
    assert_non_null(strstr(reply.head, "HTTP/1.1 502"));
    assert_int_equal(f.served[0] + f.served[1], 3);
    (void)close(fd);
}

static void a_large_response_passes_in_constant_memory(void **state)
{
    (void)state;
    start_two("");
    f.to_send = UINT64_C(64) << 20;
    int const fd = connect_proxy();
    tell(fd, "GET /s/large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_true(read_all(fd, UINT64_MAX) > UINT64_C(64) << 20);
    assert_non_null(strstr(reply.head, "Content-Length: 67108864\r\n"));
    assert_in_range(f.peak_bytes, 1, 1 << 20);
    (void)close(fd);
}

static void a_large_request_passes_in_constant_memory(void **state)
{
    (void)state;
    static const char block[65536];
    start_two("");
    int const fd = connect_proxy();
    tell(fd, "PUT /s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 33554432\r\n\r\n");
    for (uint64_t sent = 0; sent < UINT64_C(32) << 20;) {
        uint64_t const left = (UINT64_C(32) << 20) - sent;
        ssize_t const now =
            send(fd, block, left < sizeof block ? (size_t)left : sizeof block, MSG_NOSIGNAL);
        assert_true(now > 0 || errno == EAGAIN);
        sent += now > 0 ? (uint64_t)now : 0;
        step();
    }
    (void)read_all(fd, UINT64_MAX);
    assert_non_null(strstr(reply.head, "\r\n\r\n33554432\n"));
    assert_in_range(f.peak_bytes, 1, 1 << 20);
    (void)close(fd);
}

static void a_chunked_body_is_passed_on(void **state)
{
    (void)state;
    start_two("");
    int const fd = connect_proxy();
    tell(fd,
         "POST /s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
         "5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n");
    (void)read_all(fd, UINT64_MAX);
    assert_non_null(strstr(reply.head, "\r\n\r\n8\n"));
    (void)close(fd);
}

static void responses_without_a_body_end_where_they_should(void **state)
{
    (void)state;
    start_two("");
    int const fd = connect_proxy();
    tell(fd, "HEAD /s HTTP/1.1\r\nHost: x\r\n\r\n"
             "GET /s/204 HTTP/1.1\r\nHost: x\r\n\r\n"
             "GET /s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    (void)read_all(fd, UINT64_MAX);
    assert_non_null(strstr(reply.head, "Content-Length: 2\r\n\r\nHTTP/1.1 204"));
    assert_non_null(strstr(strstr(reply.head, "204"), "HTTP/1.1 200"));
    (void)close(fd);
}

static void a_response_cut_in_its_midst_is_cut_for_the_client(void **state)
{
    (void)state;
    start_two("retry attempts=3 base=0 cap=0\n");
    int const fd = connect_proxy();
    tell(fd, "GET /s/half HTTP/1.1\r\nHost: x\r\n\r\n");
    settle();
    weir_http_exchange_cut(f.held);
    (void)read_all(fd, UINT64_MAX);
    (void)close(fd);
    assert_non_null(strstr(reply.head, "HTTP/1.1 200"));
    assert_non_null(strstr(reply.head, "\r\n\r\nhalf"));
    assert_int_equal(f.served[0] + f.served[1], 1);
}

static void deadlines_of_attempt_and_request_are_answered_504(void **state)
{
    (void)state;
    start_two("timeout 300ms\nattempt_timeout 200ms\nretry attempts=5 base=0 cap=0\nbreaker off\n");
    int const fd = connect_proxy();
    tell(fd, "GET /s/hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    settle();
    assert_non_null(f.held);
    f.fake.now_ns += 200 * MS; /* The attempt is given up, the next begins. */
    settle();
    assert_int_equal(f.served[0] + f.served[1], 2);
    f.fake.now_ns += 100 * MS; /* The request's own end. */
    (void)read_all(fd, UINT64_MAX);
    assert_non_null(strstr(reply.head, "HTTP/1.1 504"));
    (void)close(fd);
}

/* The member has done its part; that the client does not read is not its fault. */
static void a_slow_client_opens_no_breaker(void **state)
{
    (void)state;
    (void)start_upstream(0);
    start("service s\nroute /s\nmember a ${A}\ntimeout 1s\nbreaker consecutive=1\n");
    int const fd = connect_proxy();
    f.to_send = UINT64_C(64) << 20;
    tell(fd, "GET /s/large HTTP/1.1\r\nHost: x\r\n\r\n");
    settle();
    f.fake.now_ns += 1000 * MS;
    settle();
    (void)close(fd);
    int const half = connect_proxy();
    tell(half, "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab");
    settle();
    f.fake.now_ns += 1000 * MS;
    settle();
    (void)read_all(half, 12);
    assert_non_null(strstr(reply.head, "HTTP/1.1 408"));
    (void)close(half);
    settle();
    assert_int_equal(get("/s"), 200);
}

static void a_client_cannot_take_away_what_the_member_relies_on(void **state)
{
    (void)state;
    start_two("");
    int const fd = connect_proxy();
    tell(fd, "GET /s/echo HTTP/1.1\r\nHost: shop\r\n"
             "Connection: close, X-Request-Id, X-Forwarded-Proto, Host\r\n"
             "X-Request-Id: mine\r\nX-Forwarded-Proto: https\r\n\r\n");
    (void)read_all(fd, UINT64_MAX);
    (void)close(fd);
    assert_non_null(strstr(reply.head, "Host=shop\n"));
    assert_non_null(strstr(reply.head, "X-Forwarded-Proto=http\n"));
    assert_non_null(strstr(reply.head, "X-Request-Id="));
    assert_null(strstr(reply.head, "X-Request-Id=mine"));
}

static void a_client_that_leaves_ends_its_call(void **state)
{
    (void)state;
    start_two("");
    int const fd = connect_proxy();
    tell(fd, "GET /s/hold HTTP/1.1\r\nHost: x\r\n\r\n");
    settle();
    assert_non_null(f.held);
    (void)close(fd);
    settle();
    assert_null(f.held); /* Its connection was cut, too. */
    assert_int_equal(get("/s"), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_longest_route_of_whole_segments_wins),
        TEST(an_error_of_a_member_is_retried_on_the_other_and_the_last_is_passed_on),
        TEST(a_retry_waits_for_its_time),
        TEST(a_body_is_sent_again_when_a_member_cannot_be_reached),
        TEST(a_body_too_large_to_keep_is_not_sent_again),
        TEST(a_large_response_passes_in_constant_memory),
        TEST(a_large_request_passes_in_constant_memory),
        TEST(a_chunked_body_is_passed_on),
        TEST(responses_without_a_body_end_where_they_should),
        TEST(a_response_cut_in_its_midst_is_cut_for_the_client),
        TEST(deadlines_of_attempt_and_request_are_answered_504),
        TEST(a_slow_client_opens_no_breaker),
        TEST(a_client_cannot_take_away_what_the_member_relies_on),
        TEST(a_client_that_leaves_ends_its_call),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("gateway", tests, NULL, NULL);
}

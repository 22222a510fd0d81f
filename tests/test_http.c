/* The header helpers, and a proxy's path: a server that streams what a client of another server
 * streams, with bounded memory. */
#include "support/http_fixture.h"

static weir_http_header header(const char *name, const char *value)
{
    return (weir_http_header){weir_http_str(name), weir_http_str(value)};
}

static void finds_headers_whatever_their_case(void **state)
{
    (void)state;
    weir_http_header const headers[] = {header("Host", "a"), header("x-Y", "1"),
                                        header("X-y", "2")};
    assert_true(weir_http_find(headers, 3, "hOST") == &headers[0]);
    assert_true(weir_http_find(headers, 3, "X-Y") == &headers[1]);
    assert_null(weir_http_find(headers, 3, "X"));
    assert_null(weir_http_find(headers, 3, "X-Y-Z"));
    assert_null(weir_http_find(NULL, 0, "X"));
    assert_true(weir_http_equals((weir_http_slice){NULL, 0}, ""));
    assert_false(weir_http_equals(weir_http_str("a"), ""));
    assert_false(weir_http_equals((weir_http_slice){"a\0", 2}, "a"));
    assert_int_equal(weir_http_str(NULL).size, 0);
    assert_non_null(weir_http_str(NULL).data);
}

/* RFC 9110, 7.6.1: those that are known, and those that Connection names. */
static void knows_what_stays_behind(void **state)
{
    (void)state;
    weir_http_header const headers[] = {header("Connection", "close, X-Mine"),
                                        header("connection", " ,x-other ,"), header("X-End", "1")};
    static const char *const hops[] = {
        "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding",  "TE",
        "trailer",    "Upgrade",    "X-MINE",           "Proxy-Authenticate", "Proxy-Authorization",
        "Close",      "X-Other"};
    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++)
        assert_true(weir_http_is_hop_by_hop(headers, 3, weir_http_str(hops[i])));
    static const char *const ends[] = {"X-End", "X-Min", "Authorization",
                                       "Host",  "Date",  "Trailers"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        assert_false(weir_http_is_hop_by_hop(headers, 3, weir_http_str(ends[i])));
    assert_false(weir_http_is_hop_by_hop(headers, 0, weir_http_str("X-Mine")));
}

static void names_statuses(void **state)
{
    (void)state;
    assert_string_equal(weir_http_reason(200), "OK");
    assert_string_equal(weir_http_reason(404), "Not Found");
    assert_string_equal(weir_http_reason(431), "Request Header Fields Too Large");
    assert_string_equal(weir_http_reason(299), "");
}

/* ---- A proxy ---- */

enum { BODY_SIZE = 50 * 1000 * 1000, HIGH_WATER = 65536 };

typedef struct proxy {
    weir_http_server *front;
    weir_http_exchange *exchange; /* Towards who asks. */
    weir_http_call *call;         /* Towards the upstream, which is the fixture's server. */
    size_t peak_bytes;
} proxy;

static proxy p;

static void note_peak(void)
{
    if (f.fake.live_bytes > p.peak_bytes)
        p.peak_bytes = f.fake.live_bytes;
}

static void front_body(weir_http_exchange *exchange, const void *data, size_t size, void *user)
{
    (void)user;
    assert_int_equal(weir_http_call_write(p.call, data, size), WEIR_OK);
    if (weir_http_call_full(p.call))
        weir_http_exchange_pause(exchange);
    note_peak();
}

static void front_end(weir_http_exchange *exchange, void *user)
{
    (void)exchange;
    (void)user;
    assert_int_equal(weir_http_call_finish(p.call), WEIR_OK);
}

static void front_writable(weir_http_exchange *exchange, void *user)
{
    (void)exchange;
    (void)user;
    weir_http_call_resume(p.call);
}

static void back_head(weir_http_call *call, const weir_http_response *response, void *user)
{
    (void)call;
    (void)user;
    assert_int_equal(weir_http_exchange_start(p.exchange, response), WEIR_OK);
}

static void back_body(weir_http_call *call, const void *data, size_t size, void *user)
{
    (void)user;
    assert_int_equal(weir_http_exchange_write(p.exchange, data, size), WEIR_OK);
    if (weir_http_exchange_full(p.exchange))
        weir_http_call_pause(call);
    note_peak();
}

static void back_writable(weir_http_call *call, void *user)
{
    (void)call;
    (void)user;
    weir_http_exchange_resume(p.exchange);
}

static void back_done(weir_http_call *call, const weir_http_result *result, void *user)
{
    (void)call;
    (void)user;
    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(weir_http_exchange_finish(p.exchange), WEIR_OK);
}

static void front_request(weir_http_exchange *exchange, const weir_http_request *request,
                          void *user)
{
    static const weir_http_exchange_events front = {front_body, front_end, front_writable, NULL};
    static const weir_http_call_events back = {back_head, back_body, back_writable, back_done};
    (void)user;
    p.exchange = exchange;
    weir_http_exchange_handle(exchange, &front, NULL);
    assert_int_equal(weir_http_call_start(&p.call, f.client, &f.address, NULL, request, &back,
                                          NULL),
                     WEIR_OK);
}

/* ---- The upstream: gives back what it gets ---- */

static void echo_body(weir_http_exchange *exchange, const void *data, size_t size, void *user)
{
    (void)user;
    assert_int_equal(weir_http_exchange_write(exchange, data, size), WEIR_OK);
    if (weir_http_exchange_full(exchange))
        weir_http_exchange_pause(exchange);
}

static void echo_end(weir_http_exchange *exchange, void *user)
{
    (void)user;
    assert_int_equal(weir_http_exchange_finish(exchange), WEIR_OK);
}

static void echo_writable(weir_http_exchange *exchange, void *user)
{
    (void)user;
    weir_http_exchange_resume(exchange);
}

static void echo(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    static const weir_http_exchange_events events = {echo_body, echo_end, echo_writable, NULL};
    (void)user;
    weir_http_exchange_handle(exchange, &events, NULL);
    weir_http_response const response = {.status = 200, .body_size = request->body_size};
    assert_int_equal(weir_http_exchange_start(exchange, &response), WEIR_OK);
}

/* ---- Who asks: another client, which checks that each byte comes back in its place ---- */

typedef struct asker {
    weir_http_client *client;
    weir_http_call *call;
    uint64_t sent, got;
    bool done;
} asker;

static asker a;
static unsigned char pattern[65536 + 251];

static void ask_on(void)
{
    while (a.sent < BODY_SIZE && !weir_http_call_full(a.call)) {
        uint64_t const left = BODY_SIZE - a.sent;
        size_t const size = left < 65536 ? (size_t)left : 65536;
        assert_int_equal(weir_http_call_write(a.call, pattern + a.sent % 251, size), WEIR_OK);
        a.sent += size;
        if (a.sent == BODY_SIZE)
            assert_int_equal(weir_http_call_finish(a.call), WEIR_OK);
    }
}

static void ask_writable(weir_http_call *call, void *user)
{
    (void)call;
    (void)user;
    ask_on();
}

static void ask_body(weir_http_call *call, const void *data, size_t size, void *user)
{
    (void)call;
    (void)user;
    assert_true(size <= 65536);
    assert_memory_equal(data, pattern + a.got % 251, size);
    a.got += size;
}

static void ask_done(weir_http_call *call, const weir_http_result *result, void *user)
{
    (void)call;
    (void)user;
    assert_int_equal(result->code, WEIR_OK);
    a.done = true;
}

static void proxy_body(uint64_t body_size)
{
    static const weir_http_call_events asking = {NULL, ask_body, ask_writable, ask_done};
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (unsigned char)(i % 251);
    weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    options.high_water = HIGH_WATER;
    options.on_request = echo;
    serve(&options);
    options.on_request = front_request;
    assert_int_equal(weir_http_server_create(&p.front, f.loop, &options), WEIR_OK);
    assert_int_equal(weir_http_client_create(&f.client, f.loop, NULL), WEIR_OK);
    assert_int_equal(weir_http_client_create(&a.client, f.loop, NULL), WEIR_OK);
    weir_address const front = weir_http_server_address(p.front);
    weir_http_request const request = {.method = weir_http_str("POST"),
                                       .target = weir_http_str("/"),
                                       .body_size = body_size};
    size_t const before = f.fake.live_bytes;
    assert_int_equal(weir_http_call_start(&a.call, a.client, &front, NULL, &request, &asking, NULL),
                     WEIR_OK);
    ask_on();
    for (int i = 0; !a.done && i < 1000000; i++)
        assert_int_equal(weir_loop_run_once(f.loop, MS), WEIR_OK);
    assert_true(a.done);
    assert_int_equal(a.got, BODY_SIZE);
    /* Four ends of connections, each with a queue of high water and one read, in room twice that.
     */
    assert_true(p.peak_bytes - before < (size_t)24 * HIGH_WATER);
    weir_http_client_destroy(a.client);
    weir_http_server_destroy(p.front);
}

static void a_long_body_passes_in_constant_memory(void **state)
{
    (void)state;
    memset(&p, 0, sizeof p);
    memset(&a, 0, sizeof a);
    proxy_body(BODY_SIZE);
}

static void so_does_a_chunked_one(void **state)
{
    (void)state;
    memset(&p, 0, sizeof p);
    memset(&a, 0, sizeof a);
    proxy_body(WEIR_HTTP_SIZE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finds_headers_whatever_their_case),
        TEST(knows_what_stays_behind),
        TEST(names_statuses),
        TEST(a_long_body_passes_in_constant_memory),
        TEST(so_does_a_chunked_one),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}

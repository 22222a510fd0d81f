/* Gateway: one loop holds gateway, upstreams and client, a fake clock holds the time. */
#include "support/fake_env.h"
#include "support/peer.h"

#include <weir/gateway.h>

#include <fcntl.h>

#define MS    UINT64_C(1000000)
#define STEPS 200000 /* Of the loop, before a test gives up waiting. */

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_loop *loop;
    weir_http_server *upstreams[2];
    unsigned served[2];
    weir_http_exchange *held; /* By an upstream, unanswered. */
    uint64_t body_bytes;      /* Received by the upstreams. */
    uint64_t to_send;         /* Left of a large response. */
    size_t peak_bytes;
    weir_gateway *gateway;
    weir_gateway_error error;
    bool drained;
} fixture;

static fixture f;
static peer_reply reply;

/* ---- Upstreams ---- */

static void send_large(weir_http_exchange *exchange, void *user)
{
    static const char block[16384];
    (void)user;
    while (f.to_send > 0 && !weir_http_exchange_full(exchange)) {
        size_t const size = f.to_send < sizeof block ? (size_t)f.to_send : sizeof block;
        if (weir_http_exchange_write(exchange, block, size) != WEIR_OK)
            break;
        f.to_send -= size;
    }
    if (f.to_send == 0)
        (void)weir_http_exchange_finish(exchange);
}

static void count_body(weir_http_exchange *exchange, const void *data, size_t size, void *user)
{
    (void)exchange;
    (void)data;
    (void)user;
    f.body_bytes += size;
    if (f.fake.live_bytes > f.peak_bytes)
        f.peak_bytes = f.fake.live_bytes;
}

static void answer_good(weir_http_exchange *exchange, void *user)
{
    char text[32];
    (void)user;
    int const size = snprintf(text, sizeof text, "%llu\n", (unsigned long long)f.body_bytes);
    (void)weir_http_exchange_respond(exchange, 200, "text/plain", text, (size_t)size);
}

static void forget(weir_http_exchange *exchange, int code, void *user)
{
    (void)code;
    (void)user;
    if (f.held == exchange)
        f.held = NULL;
    (void)weir_http_exchange_finish(exchange);
}

static const weir_http_exchange_events upstream_events = {.on_body = count_body,
                                                          .on_end = answer_good,
                                                          .on_abort = forget};
static void hang_up(weir_http_exchange *exchange, void *user)
{
    (void)user;
    weir_http_exchange_cut(exchange);
}

static const weir_http_exchange_events dropping_events = {.on_body = count_body,
                                                          .on_end = hang_up,
                                                          .on_abort = forget};
static const weir_http_exchange_events holding_events = {.on_abort = forget};
static const weir_http_exchange_events sending_events = {.on_writable = send_large,
                                                         .on_abort = forget};

static bool path_ends(const weir_http_request *request, const char *end)
{
    size_t const size = strlen(end);
    return request->path.size >= size &&
           memcmp(request->path.data + request->path.size - size, end, size) == 0;
}

static void echo_headers(weir_http_exchange *exchange, const weir_http_request *request)
{
    char text[1024];
    int size = 0;
    for (size_t i = 0; i < request->header_count; i++)
        size += snprintf(text + size, sizeof text - (size_t)size, "%.*s=%.*s\n",
                         (int)request->headers[i].name.size, request->headers[i].name.data,
                         (int)request->headers[i].value.size, request->headers[i].value.data);
    (void)weir_http_exchange_respond(exchange, 200, "text/plain", text, (size_t)size);
}

static void serve(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    unsigned *const served = user;
    ++*served;
    if (path_ends(request, "/500")) {
        (void)weir_http_exchange_respond(exchange, 500, NULL, "broken", 6);
    } else if (path_ends(request, "/busy")) {
        weir_http_header const header = {weir_http_str("Retry-After"), weir_http_str("7")};
        weir_http_response const busy = {.status = 503, .headers = &header, .header_count = 1};
        if (weir_http_exchange_start(exchange, &busy) == WEIR_OK)
            (void)weir_http_exchange_finish(exchange);
    } else if (path_ends(request, "/echo")) {
        echo_headers(exchange, request);
    } else if (path_ends(request, "/drop")) {
        weir_http_exchange_handle(exchange, &dropping_events, NULL);
    } else if (path_ends(request, "/204")) {
        (void)weir_http_exchange_respond(exchange, 204, NULL, NULL, 0);
    } else if (path_ends(request, "/hold")) {
        f.held = exchange;
        weir_http_exchange_handle(exchange, &holding_events, NULL);
    } else if (path_ends(request, "/large")) {
        weir_http_response const large = {.status = 200, .body_size = f.to_send};
        weir_http_exchange_handle(exchange, &sending_events, NULL);
        if (weir_http_exchange_start(exchange, &large) == WEIR_OK)
            send_large(exchange, NULL);
    } else if (path_ends(request, "/half")) {
        weir_http_response const whole = {.status = 200, .body_size = 100};
        f.held = exchange;
        weir_http_exchange_handle(exchange, &holding_events, NULL);
        if (weir_http_exchange_start(exchange, &whole) != WEIR_OK ||
            weir_http_exchange_write(exchange, "half", 4) != WEIR_OK)
            fail();
    } else {
        weir_http_exchange_handle(exchange, &upstream_events, NULL);
    }
}

/* ---- The world ---- */

static uint16_t start_upstream(int i)
{
    weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    options.on_request = serve;
    options.user = &f.served[i];
    assert_int_equal(weir_http_server_create(&f.upstreams[i], f.loop, &options), WEIR_OK);
    return weir_http_server_address(f.upstreams[i]).port;
}

static int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = 1000 * MS, .random_step = 1}};
    f.env = fake_env_hooks(&f.fake);
    weir_loop_options options = WEIR_LOOP_OPTIONS_INIT;
    options.env = &f.env;
    return weir_loop_create(&f.loop, &options);
}

static int teardown(void **state)
{
    (void)state;
    weir_gateway_destroy(f.gateway);
    for (int i = 0; i < 2; i++)
        weir_http_server_destroy(f.upstreams[i]);
    weir_loop_destroy(f.loop);
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

static const char *port_variable(const char *name, void *user)
{
    static char addresses[2][32];
    int const i = name[0] - 'A';
    (void)user;
    if (i < 0 || i > 1 || f.upstreams[i] == NULL)
        return "127.0.0.1:1"; /* Nobody listens there. */
    weir_address const address = weir_http_server_address(f.upstreams[i]);
    (void)snprintf(addresses[i], sizeof addresses[i], "127.0.0.1:%u", address.port);
    return addresses[i];
}

static weir_gateway_config *config_of(const char *services)
{
    static char text[2048];
    weir_gateway_config *config = NULL;
    int const size =
        snprintf(text, sizeof text, "proxy 127.0.0.1:0\nadmin 127.0.0.1:0\n%s", services);
    int const result =
        weir_gateway_config_parse(&config, text, (size_t)size, port_variable, NULL, NULL, &f.error);
    assert_int_equal(result, WEIR_OK);
    return config;
}

static int try_start(const char *services)
{
    weir_gateway_config *const config = config_of(services);
    int const result = weir_gateway_create(&f.gateway, f.loop, config, NULL, &f.error);
    weir_gateway_config_destroy(config);
    return result;
}

static void start(const char *services)
{
    assert_int_equal(try_start(services), WEIR_OK);
}

static int update(const char *services)
{
    weir_gateway_config *const config = config_of(services);
    int const result = weir_gateway_update(f.gateway, config, &f.error);
    weir_gateway_config_destroy(config);
    return result;
}

static void step(void)
{
    (void)weir_loop_dispatch(f.loop);
    if (f.fake.live_bytes > f.peak_bytes)
        f.peak_bytes = f.fake.live_bytes;
}

static void settle(void)
{
    for (int i = 0; i < 200; i++)
        step();
}

static int dial(uint16_t port)
{
    int const fd = peer_connect(port);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static int connect_proxy(void)
{
    return dial(weir_gateway_address(f.gateway).port);
}

static void tell(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads what comes until the peer closes; the body's bytes beyond the buffer are only counted. */
static uint64_t read_all(int fd, uint64_t until)
{
    static char block[65536];
    uint64_t total = 0;
    reply.head[0] = '\0';
    for (int i = 0; i < STEPS && total < until; i++) {
        ssize_t const got = recv(fd, block, sizeof block, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
            break;
        size_t const room = total < sizeof reply.head - 1 ? sizeof reply.head - 1 - total : 0;
        size_t const kept = got < 0 ? 0 : (size_t)got < room ? (size_t)got : room;
        if (kept > 0) {
            memcpy(reply.head + total, block, kept);
            reply.head[total + kept] = '\0';
        }
        total += got > 0 ? (uint64_t)got : 0;
        step();
    }
    return total;
}

/* A whole exchange; the connection is closed behind it. The status, or 0. */
static int ask(const char *method, const char *path, const char *body)
{
    char request[512];
    int const fd = connect_proxy();
    (void)
        snprintf(request, sizeof request,
                 "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                 method, path, strlen(body), body);
    tell(fd, request);
    (void)read_all(fd, UINT64_MAX);
    (void)close(fd);
    settle();
    reply.status = 0;
    (void)sscanf(reply.head, "HTTP/1.1 %d", &reply.status);
    return reply.status;
}

static int get(const char *path)
{
    return ask("GET", path, "");
}

#define TWO "service s\nroute /s\nmember a ${A}\nmember b ${B}\n"

static void start_two(const char *more)
{
    char services[512];
    (void)start_upstream(0);
    (void)start_upstream(1);
    (void)snprintf(services, sizeof services, TWO "%s", more);
    start(services);
}

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
    assert_int_equal(get("/xy"), 404);
    assert_int_equal(get("/"), 404);
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

static int admin_page(const char *method, const char *path)
{
    char request[256];
    int const fd = dial(weir_gateway_admin_address(f.gateway).port);
    (void)snprintf(request, sizeof request,
                   "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    tell(fd, request);
    (void)read_all(fd, UINT64_MAX);
    (void)close(fd);
    reply.status = 0;
    (void)sscanf(reply.head, "HTTP/1.1 %d", &reply.status);
    return reply.status;
}

static void the_admin_pages_tell_what_is(void **state)
{
    (void)state;
    start_two("limit 100/s burst=10\n");
    assert_int_equal(get("/s"), 200);
    assert_int_equal(get("/nowhere"), 404);
    assert_int_equal(admin_page("GET", "/healthz"), 200);
    assert_int_equal(admin_page("GET", "/readyz?now"), 200);
    assert_int_equal(admin_page("POST", "/healthz"), 404);
    assert_int_equal(admin_page("GET", "/other"), 404);
    assert_int_equal(admin_page("GET", "/status"), 200);
    assert_non_null(strstr(reply.head, "\"state\":\"ready\",\"in_flight\":0"));
    assert_non_null(strstr(reply.head, "\"limiter\":{\"remaining\":9,\"refused\":0}"));
    assert_non_null(strstr(reply.head, "\"breaker\":{\"state\":\"closed\",\"calls\":1"));
    assert_int_equal(admin_page("GET", "/metrics"), 200);
    assert_non_null(strstr(reply.head, "weir_requests_total{service=\"\",code=\"404\"} 1\n"));
    assert_non_null(strstr(reply.head, "weir_requests_total{service=\"s\",code=\"200\"} 1\n"));
}

static void on_drained(void *user)
{
    *(bool *)user = true;
}

static void draining_ends_when_the_last_request_has(void **state)
{
    (void)state;
    start_two("");
    int const fd = connect_proxy();
    tell(fd, "GET /s/hold HTTP/1.1\r\nHost: x\r\n\r\n");
    settle();
    weir_gateway_drain(f.gateway, on_drained, &f.drained);
    settle();
    assert_false(f.drained);
    assert_int_equal(admin_page("GET", "/readyz"), 503);
    (void)weir_http_exchange_respond(f.held, 200, NULL, NULL, 0);
    (void)read_all(fd, UINT64_MAX);
    assert_non_null(strstr(reply.head, "Connection: close"));
    (void)close(fd);
    settle();
    assert_true(f.drained);
}

static void an_update_keeps_what_stays_and_lets_the_rest_finish(void **state)
{
    (void)state;
    start_two("balance random\nbreaker consecutive=1 rest=50s rest_max=60s\n");
    assert_int_equal(get("/s/500"), 500);
    assert_int_equal(get("/s/500"), 500);
    assert_int_equal(get("/s"), 503);
    assert_int_equal(update(TWO "balance random\nbreaker consecutive=1 rest=50s rest_max=60s\n"
                                "timeout 9s\n"),
                     WEIR_OK);
    assert_int_equal(get("/s"), 503); /* The breakers are as open as before. */
    assert_non_null(strstr(reply.head, "Retry-After: "));
    assert_int_equal(update(TWO "balance round_robin\nbreaker off\n"), WEIR_OK);
    int const fd = connect_proxy(); /* Another algorithm makes another service. */
    tell(fd, "GET /s/hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    settle();
    assert_int_equal(update("service t\nroute /t\nmember a ${A}\n"), WEIR_OK);
    assert_int_equal(get("/s"), 404);
    assert_int_equal(get("/t"), 200);
    (void)weir_http_exchange_respond(f.held, 200, NULL, "late", 4);
    (void)read_all(fd, UINT64_MAX);
    assert_non_null(strstr(reply.head, "\r\n\r\nlate"));
    (void)close(fd);
}

static void an_update_that_cannot_be_changes_nothing(void **state)
{
    (void)state;
    start_two("");
    assert_int_equal(update(TWO "limit 1/h burst=4000000000\n"), WEIR_EINVAL);
    assert_string_equal(f.error.field, "service");
    assert_int_equal(f.error.line, 3);
    weir_gateway_config *config;
    static const char text[] = "proxy 127.0.0.1:1\nadmin 127.0.0.1:0\n"
                               "service s\nroute /s\nmember a 127.0.0.1:1\n";
    assert_int_equal(weir_gateway_config_parse(&config, text, sizeof text - 1, NULL, NULL, NULL,
                                               &f.error),
                     WEIR_OK);
    assert_int_equal(weir_gateway_update(f.gateway, config, &f.error), WEIR_EINVAL);
    assert_non_null(strstr(f.error.message, "cannot change"));
    weir_gateway_config_destroy(config);
    assert_int_equal(get("/s"), 200);
}

static void an_address_in_use_is_named(void **state)
{
    (void)state;
    char text[256];
    weir_gateway_config *config;
    int const size = snprintf(text, sizeof text,
                              "proxy 127.0.0.1:%u\nadmin 127.0.0.1:0\n"
                              "service s\nroute /s\nmember a 127.0.0.1:1\n",
                              start_upstream(0));
    assert_int_equal(weir_gateway_config_parse(&config, text, (size_t)size, NULL, NULL, NULL,
                                               &f.error),
                     WEIR_OK);
    assert_int_equal(weir_gateway_create(&f.gateway, f.loop, config, NULL, &f.error), WEIR_ESYSTEM);
    assert_string_equal(f.error.field, "proxy");
    assert_non_null(strstr(f.error.message, "cannot listen on 127.0.0.1:"));
    assert_null(f.gateway);
    weir_gateway_config_destroy(config);
}

static void destroying_it_cuts_what_runs(void **state)
{
    (void)state;
    start_two("retry attempts=2 base=9s cap=9s\n");
    int const held = connect_proxy(), waiting = connect_proxy();
    tell(held, "GET /s/hold HTTP/1.1\r\nHost: x\r\n\r\n");
    tell(waiting, "GET /s/500 HTTP/1.1\r\nHost: x\r\n\r\n");
    settle();
    weir_gateway_destroy(f.gateway);
    f.gateway = NULL;
    settle();
    assert_int_equal(read_all(held, UINT64_MAX), 0);
    (void)close(held);
    (void)close(waiting);
}

static void create_and_update_survive_every_failed_allocation(void **state)
{
    (void)state;
    (void)start_upstream(0);
    static const char services[] = "service s\nroute /s\nmember a ${A}\nretry attempts=2\n";
    settle();
    size_t const before = f.fake.live_bytes;
    f.fake.calls = 0;
    for (f.fake.fail_at = 1; try_start(services) == WEIR_ENOMEM;
         f.fake.fail_at++, f.fake.calls = 0) {
        assert_null(f.gateway);
        settle();
        assert_int_equal(f.fake.live_bytes, before);
    }
    assert_true(f.fake.fail_at > 10);
    f.fake.calls = 0;
    for (f.fake.fail_at = 1; update(services) == WEIR_ENOMEM; f.fake.fail_at++, f.fake.calls = 0) {
        f.fake.fail_at += 1000; /* None while it is asked. */
        assert_int_equal(get("/s"), 200);
        f.fake.fail_at -= 1000;
    }
    f.fake.fail_at = 0;
    assert_int_equal(get("/s"), 200);
}

/* Whatever fails, the client gets an answer or sees its connection closed, and the next one served.
 */
static void a_request_survives_every_failed_allocation(void **state)
{
    (void)state;
    start_two("retry attempts=2 base=0 cap=0\nbreaker off\n");
    static const char *const paths[] = {"/s", "/s/500", "/nowhere"};
    for (size_t i = 0; i < 3; i++) {
        bool failed = true;
        for (unsigned n = 1; failed; n++) {
            assert_in_range(n, 1, 200);
            f.fake.calls = 0;
            f.fake.fail_at = n;
            int const status = ask("PUT", paths[i], "body");
            failed = f.fake.calls >= n;
            f.fake.fail_at = 0;
            f.fake.now_ns += 5000 * MS; /* Who could not accept tries again. */
            settle();
            assert_true(status == 0 || status == 200 || status == 404 || status >= 500);
            assert_int_equal(get("/s"), 200);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        TEST(the_admin_pages_tell_what_is),
        TEST(draining_ends_when_the_last_request_has),
        TEST(an_update_keeps_what_stays_and_lets_the_rest_finish),
        TEST(an_update_that_cannot_be_changes_nothing),
        TEST(an_address_in_use_is_named),
        TEST(destroying_it_cuts_what_runs),
        TEST(create_and_update_survive_every_failed_allocation),
        TEST(a_request_survives_every_failed_allocation),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("gateway", tests, NULL, NULL);
}

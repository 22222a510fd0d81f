/* What the tests of the gateway share. */
#ifndef WEIR_TEST_GATEWAY_FIXTURE_H
#define WEIR_TEST_GATEWAY_FIXTURE_H

#include "support/fake_env.h"
#include "support/peer.h"
#include <weir/gateway.h>
#include <fcntl.h>

#define MS UINT64_C(1000000)

#define STEPS 200000 /* Of the loop, before a test gives up waiting. */

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_loop *loop;
    weir_http_server *upstreams[2];
    unsigned served[2];
    const char *load;         /* That the first upstream tells at /load. */
    weir_http_exchange *held; /* By an upstream, unanswered. */
    uint64_t body_bytes;      /* Received by the upstreams. */
    uint64_t to_send;         /* Left of a large response. */
    size_t peak_bytes;
    weir_gateway *gateway;
    weir_tracer *tracer; /* For it; or NULL. */
    unsigned formats;    /* Of it; 0 = the default. */
    weir_gateway_error error;
    bool drained;
} fixture;

static fixture f;

static peer_reply reply;

/* ---- Upstreams ---- */

static inline void send_large(weir_http_exchange *exchange, void *user)
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

static inline void count_body(weir_http_exchange *exchange, const void *data, size_t size,
                              void *user)
{
    (void)exchange;
    (void)data;
    (void)user;
    f.body_bytes += size;
    if (f.fake.live_bytes > f.peak_bytes)
        f.peak_bytes = f.fake.live_bytes;
}

static inline void answer_good(weir_http_exchange *exchange, void *user)
{
    char text[32];
    (void)user;
    int const size = snprintf(text, sizeof text, "%llu\n", (unsigned long long)f.body_bytes);
    (void)weir_http_exchange_respond(exchange, 200, "text/plain", text, (size_t)size);
}

static inline void forget(weir_http_exchange *exchange, int code, void *user)
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

static inline void hang_up(weir_http_exchange *exchange, void *user)
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

static inline bool path_ends(const weir_http_request *request, const char *end)
{
    size_t const size = strlen(end);
    return request->path.size >= size &&
           memcmp(request->path.data + request->path.size - size, end, size) == 0;
}

static inline void echo_headers(weir_http_exchange *exchange, const weir_http_request *request)
{
    char text[1024];
    int size = 0;
    for (size_t i = 0; i < request->header_count; i++)
        size += snprintf(text + size, sizeof text - (size_t)size, "%.*s=%.*s\n",
                         (int)request->headers[i].name.size, request->headers[i].name.data,
                         (int)request->headers[i].value.size, request->headers[i].value.data);
    (void)weir_http_exchange_respond(exchange, 200, "text/plain", text, (size_t)size);
}

/* The first upstream could do thrice what the second can. */
static inline void answer_with_load(weir_http_exchange *exchange, const unsigned *served)
{
    bool const first = served == &f.served[0];
    weir_http_header const header = {weir_http_str("Endpoint-Load-Metrics"),
                                     weir_http_str(first ? f.load
                                                         : "TEXT rps_fractional=100,"
                                                           "cpu_utilization=0.75")};
    weir_http_response const response = {.status = 200, .headers = &header, .header_count = 1};
    if (weir_http_exchange_start(exchange, &response) == WEIR_OK)
        (void)weir_http_exchange_finish(exchange);
}

static inline void serve(weir_http_exchange *exchange, const weir_http_request *request, void *user)
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
    } else if (path_ends(request, "/load")) {
        answer_with_load(exchange, user);
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

static inline uint16_t start_upstream(int i)
{
    weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    options.on_request = serve;
    options.user = &f.served[i];
    assert_int_equal(weir_http_server_create(&f.upstreams[i], f.loop, &options), WEIR_OK);
    return weir_http_server_address(f.upstreams[i]).port;
}

static inline int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = 1000 * MS, .random_step = 1}};
    f.env = fake_env_hooks(&f.fake);
    weir_loop_options options = WEIR_LOOP_OPTIONS_INIT;
    options.env = &f.env;
    return weir_loop_create(&f.loop, &options);
}

static inline int teardown(void **state)
{
    (void)state;
    weir_gateway_destroy(f.gateway);
    for (int i = 0; i < 2; i++)
        weir_http_server_destroy(f.upstreams[i]);
    weir_loop_destroy(f.loop);
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

static inline const char *port_variable(const char *name, void *user)
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

static inline weir_gateway_config *config_of(const char *services)
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

static inline int try_start(const char *services)
{
    weir_gateway_config *const config = config_of(services);
    weir_gateway_options options = WEIR_GATEWAY_OPTIONS_INIT;
    options.tracer = f.tracer;
    options.formats = f.formats != 0 ? f.formats : options.formats;
    int const result = weir_gateway_create(&f.gateway, f.loop, config, &options, &f.error);
    weir_gateway_config_destroy(config);
    return result;
}

static inline void start(const char *services)
{
    assert_int_equal(try_start(services), WEIR_OK);
}

static inline int update(const char *services)
{
    weir_gateway_config *const config = config_of(services);
    int const result = weir_gateway_update(f.gateway, config, &f.error);
    weir_gateway_config_destroy(config);
    return result;
}

static inline void step(void)
{
    (void)weir_loop_dispatch(f.loop);
    if (f.fake.live_bytes > f.peak_bytes)
        f.peak_bytes = f.fake.live_bytes;
}

static inline void settle(void)
{
    for (int i = 0; i < 200; i++)
        step();
}

static inline int dial(uint16_t port)
{
    int const fd = peer_connect(port);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static inline int connect_proxy(void)
{
    return dial(weir_gateway_address(f.gateway).port);
}

static inline void tell(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads what comes until the peer closes; the body's bytes beyond the buffer are only counted. */
static inline uint64_t read_all(int fd, uint64_t until)
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
static inline int ask(const char *method, const char *path, const char *body)
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

static inline int get(const char *path)
{
    return ask("GET", path, "");
}

#define TWO "service s\nroute /s\nmember a ${A}\nmember b ${B}\n"

static inline void start_two(const char *more)
{
    char services[512];
    (void)start_upstream(0);
    (void)start_upstream(1);
    (void)snprintf(services, sizeof services, TWO "%s", more);
    start(services);
}

static inline int admin_page(const char *method, const char *path)
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

static inline void on_drained(void *user)
{
    *(bool *)user = true;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

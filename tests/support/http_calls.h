/* Calls that trace what they are told, and a client with short times. */
#ifndef WEIR_TEST_HTTP_CALLS_H
#define WEIR_TEST_HTTP_CALLS_H

#include "support/http_fixture.h"

static weir_http_result last; /* Of the call that was done last. */
static char megabyte[1 << 20];

static inline void trace_head(weir_http_call *call, const weir_http_response *response, void *user)
{
    (void)call;
    (void)user;
    say_number(response->status);
    say(" ");
}

static inline void trace_body(weir_http_call *call, const void *data, size_t size, void *user)
{
    (void)call;
    (void)user;
    say_bytes(data, size);
}

static inline void trace_writable(weir_http_call *call, void *user)
{
    (void)call;
    (void)user;
    say("writable ");
}

static inline void trace_done(weir_http_call *call, const weir_http_result *result, void *user)
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

static inline weir_http_client_options small_options(void)
{
    weir_http_client_options options = WEIR_HTTP_CLIENT_OPTIONS_INIT;
    options.idle_ms = 500;
    options.connect_ms = 100;
    options.head_ms = 200;
    options.stall_ms = 300;
    return options;
}

static inline void create_client(const weir_http_client_options *options)
{
    assert_int_equal(weir_http_client_create(&f.client, f.loop, options), WEIR_OK);
}

static inline weir_http_call *start(const char *method, uint64_t body_size)
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
static inline void assert_requested(const char *start_line, const char *rest)
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
static inline int warm_up(int listener)
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

#endif

/* Handlers that trace what they are told, and a server with short times. */
#ifndef WEIR_TEST_HTTP_HANDLERS_H
#define WEIR_TEST_HTTP_HANDLERS_H

#include "support/http_fixture.h"

static weir_http_exchange *kept; /* By a handler that answers later. */
static char megabyte[1 << 20];

static inline void trace_body(weir_http_exchange *exchange, const void *data, size_t size,
                              void *user)
{
    (void)exchange;
    (void)user;
    say_bytes(data, size);
}

static inline void trace_end(weir_http_exchange *exchange, void *user)
{
    (void)exchange;
    (void)user;
    say("|end ");
}

static inline void trace_writable(weir_http_exchange *exchange, void *user)
{
    (void)exchange;
    (void)user;
    say("writable ");
}

static inline void trace_abort(weir_http_exchange *exchange, int code, void *user)
{
    (void)user;
    say("abort");
    say_number(code);
    say(" ");
    assert_int_equal(weir_http_exchange_write(exchange, "x", 1), WEIR_ECLOSED);
}

static const weir_http_exchange_events tracing = {trace_body, trace_end, trace_writable,
                                                  trace_abort};

static inline void trace_head(const weir_http_request *request)
{
    say_slice(request->method);
    say(" ");
    say_slice(request->path);
    say(" ");
}

/* Tells the path. */
static inline void answer_at_once(weir_http_exchange *exchange, const weir_http_request *request,
                                  void *user)
{
    (void)user;
    trace_head(request);
    (void)weir_http_exchange_respond(exchange, 200, "text/plain", request->path.data,
                                     request->path.size);
}

static inline void keep(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    (void)user;
    trace_head(request);
    assert_true(request == weir_http_exchange_request(exchange));
    weir_http_exchange_handle(exchange, &tracing, NULL);
    kept = exchange;
}

static inline void keep_paused(weir_http_exchange *exchange, const weir_http_request *request,
                               void *user)
{
    keep(exchange, request, user);
    weir_http_exchange_pause(exchange);
}

static inline void answer_at_end(weir_http_exchange *exchange, void *user)
{
    (void)user;
    say("|end ");
    (void)weir_http_exchange_respond(exchange, 200, NULL, "done", 4);
}

static inline void read_then_answer(weir_http_exchange *exchange, const weir_http_request *request,
                                    void *user)
{
    static const weir_http_exchange_events events = {trace_body, answer_at_end, NULL, trace_abort};
    (void)user;
    trace_head(request);
    weir_http_exchange_handle(exchange, &events, NULL);
}

static inline weir_http_server_options options_for(weir_http_request_fn on_request)
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

static inline void serve_with(weir_http_request_fn on_request)
{
    weir_http_server_options const options = options_for(on_request);
    serve(&options);
}

static inline void start_response(int status, uint64_t body_size)
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

#endif

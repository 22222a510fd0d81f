/* HTTP: a usual request parsed; a request and its answer over a kept connection on loopback, both
 * ends on one thread. */
#include "support/bench.h"

#include <weir/http.h>

#include "net/http_parser.h"

static const char request_text[] = "GET /api/v1/items?limit=50&after=4711 HTTP/1.1\r\n"
                                   "Host: service.internal:8080\r\n"
                                   "User-Agent: bench/1.0\r\n"
                                   "Accept: application/json\r\n"
                                   "Accept-Encoding: gzip, deflate\r\n"
                                   "Connection: keep-alive\r\n"
                                   "X-Request-Id: 0af7651916cd43dd8448eb211c80319c\r\n"
                                   "X-Forwarded-For: 192.0.2.17\r\n"
                                   "\r\n";

static void parse_request(void *ctx, unsigned thread, uint64_t iterations)
{
    weir__http_parser *const parser = ctx;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        weir_http_slice in = {request_text, sizeof request_text - 1};
        weir__http_event const head = weir__http_parser_next(parser, &in);
        weir__http_event const end = weir__http_parser_next(parser, &in);
        if (head != WEIR__HTTP_HEAD || end != WEIR__HTTP_END)
            abort();
        bench_use(parser->request.header_count);
        weir__http_parser_reset(parser);
    }
}

typedef struct round_trip {
    weir_loop *loop;
    weir_http_client *client;
    weir_address address;
    uint64_t done;
} round_trip;

static void answer(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    (void)request;
    (void)user;
    (void)weir_http_exchange_respond(exchange, 200, "text/plain", "hello, world", 12);
}

static void done(weir_http_call *call, const weir_http_result *result, void *user)
{
    (void)call;
    if (result->code != WEIR_OK)
        abort();
    ++*(uint64_t *)user;
}

static void exchange_one(void *ctx, unsigned thread, uint64_t iterations)
{
    static const weir_http_call_events events = {NULL, NULL, NULL, done};
    static const weir_http_request request = {.method = {"GET", 3}, .target = {"/hello", 6}};
    round_trip *const trip = ctx;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        weir_http_call *call;
        uint64_t const before = trip->done;
        if (weir_http_call_start(&call, trip->client, &trip->address, NULL, &request, &events,
                                 &trip->done) != WEIR_OK)
            abort();
        while (trip->done == before)
            if (weir_loop_run_once(trip->loop, WEIR_NEVER) != WEIR_OK)
                abort();
    }
}

static int bench_parser(void)
{
    static const weir__http_limits limits = {.header_bytes = 16384,
                                             .headers = 100,
                                             .target_bytes = 8192,
                                             .body_bytes = UINT64_MAX};
    weir_env env;
    weir__http_parser parser;
    if (weir__env_load(&env, NULL) != WEIR_OK)
        return 1;
    weir__http_parser_init(&parser, &env, false, &limits);
    bench_run("http.parse_request", 1, sizeof request_text - 1, parse_request, &parser);
    weir__http_parser_free(&parser);
    return 0;
}

static int bench_exchange(void)
{
    round_trip trip = {.done = 0};
    weir_http_server *server;
    weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    options.on_request = answer;
    if (weir_loop_create(&trip.loop, NULL) != WEIR_OK ||
        weir_http_server_create(&server, trip.loop, &options) != WEIR_OK ||
        weir_http_client_create(&trip.client, trip.loop, NULL) != WEIR_OK)
        return 1;
    trip.address = weir_http_server_address(server);
    bench_run("http.exchange", 1, 12, exchange_one, &trip);
    weir_http_client_destroy(trip.client);
    weir_http_server_destroy(server);
    weir_loop_destroy(trip.loop);
    return 0;
}

int main(void)
{
    return bench_parser() != 0 || bench_exchange() != 0;
}

/* A request through the gateway over loopback, client and upstream in the same loop and thread. */
#include "support/bench.h"

#include <weir/gateway.h>

#include <string.h>

typedef struct world {
    weir_loop *loop;
    weir_http_client *client;
    weir_address proxy;
    bool done;
} world;

static char text[512];

static void serve(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    (void)request;
    (void)user;
    (void)weir_http_exchange_respond(exchange, 200, "text/plain", "hello\n", 6);
}

static void finish(weir_http_call *call, const weir_http_result *result, void *user)
{
    (void)call;
    if (result->code != WEIR_OK)
        abort();
    ((world *)user)->done = true;
}

static void request(void *ctx, unsigned thread, uint64_t iterations)
{
    static const weir_http_call_events events = {.on_done = finish};
    world *const w = ctx;
    weir_http_request const get = {.method = weir_http_str("GET"), .target = weir_http_str("/s")};
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        weir_http_call *call;
        w->done = false;
        if (weir_http_call_start(&call, w->client, &w->proxy, NULL, &get, &events, w))
            abort();
        while (!w->done)
            (void)weir_loop_run_once(w->loop, WEIR_NEVER);
    }
}

static weir_gateway_config *parse_text(void)
{
    weir_gateway_config *config;
    weir_gateway_error error;
    if (weir_gateway_config_parse(&config, text, strlen(text), NULL, NULL, NULL, &error))
        abort();
    return config;
}

static void config_parse(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)ctx;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        weir_gateway_config_destroy(parse_text());
}

int main(void)
{
    world w = {.done = false};
    weir_http_server *upstream;
    weir_gateway *gateway;
    weir_gateway_error error;
    char member[WEIR_ADDRESS_TEXT_SIZE];
    weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    options.on_request = serve;
    if (weir_loop_create(&w.loop, NULL) || weir_http_server_create(&upstream, w.loop, &options) ||
        weir_http_client_create(&w.client, w.loop, NULL))
        abort();
    weir_address const address = weir_http_server_address(upstream);
    weir_address_format(&address, member);
    (void)snprintf(text, sizeof text,
                   "proxy 127.0.0.1:0\nadmin 127.0.0.1:0\nservice s\nroute /s\nmember m %s\n"
                   "breaker failures=50%%\nretry attempts=3\n",
                   member);
    weir_gateway_config *const config = parse_text();
    if (weir_gateway_create(&gateway, w.loop, config, NULL, &error))
        abort();
    w.proxy = weir_gateway_address(gateway);
    bench_run("gateway.request", 1, 1, request, &w);
    bench_run("gateway.config_parse", 1, strlen(text), config_parse, NULL);
    weir_gateway_config_destroy(config);
    weir_http_client_destroy(w.client);
    weir_gateway_destroy(gateway);
    weir_http_server_destroy(upstream);
    weir_loop_destroy(w.loop);
    return 0;
}

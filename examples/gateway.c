/* A gateway, an upstream and a client in one loop: a request goes through. */
#include <weir/gateway.h>

#include <stdio.h>

static void serve(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    (void)request;
    (void)user;
    (void)weir_http_exchange_respond(exchange, 200, "text/plain", "hello\n", 6);
}

static void stop(weir_http_call *call, const weir_http_result *result, void *loop)
{
    (void)call;
    printf("through the gateway: %s\n", weir_strerror(result->code));
    weir_loop_stop(loop);
}

static const weir_http_call_events events = {.on_done = stop};

int main(void)
{
    weir_loop *loop;
    weir_http_server *upstream;
    weir_http_client *client;
    weir_http_call *call;
    weir_gateway_config *config;
    weir_gateway *gateway;
    weir_gateway_error error;
    char text[256], member[WEIR_ADDRESS_TEXT_SIZE];
    weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    options.on_request = serve;
    if (weir_loop_create(&loop, NULL) || weir_http_server_create(&upstream, loop, &options))
        return 1;
    weir_address const address = weir_http_server_address(upstream);
    weir_address_format(&address, member);
    int const size = snprintf(text, sizeof text,
                              "proxy 127.0.0.1:0\nadmin 127.0.0.1:0\n"
                              "service hello\nroute /hello\nmember one %s\n",
                              member);
    if (weir_gateway_config_parse(&config, text, (size_t)size, NULL, NULL, NULL, &error) ||
        weir_gateway_create(&gateway, loop, config, NULL, &error))
        return 1;
    weir_address const to = weir_gateway_address(gateway);
    weir_http_request const hello = {weir_http_str("GET"), weir_http_str("/hello"), .body_size = 0};
    if (weir_http_client_create(&client, loop, NULL) ||
        weir_http_call_start(&call, client, &to, NULL, &hello, &events, loop))
        return 1;
    (void)weir_loop_run(loop);
    weir_http_client_destroy(client);
    weir_gateway_destroy(gateway);
    weir_http_server_destroy(upstream);
    weir_gateway_config_destroy(config);
    weir_loop_destroy(loop);
    return 0;
}

/* A server and a client on one loop; the client asks, the server answers. */
#include <weir/http.h>

#include <stdio.h>

static weir_loop *loop;

static void on_request(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    (void)user;
    printf("server: %.*s %.*s\n", (int)request->method.size, request->method.data,
           (int)request->path.size, request->path.data);
    (void)weir_http_exchange_respond(exchange, 200, "text/plain", "hello", 5);
}

static void on_head(weir_http_call *call, const weir_http_response *response, void *user)
{
    (void)call;
    (void)user;
    printf("client: %d %.*s\n", response->status, (int)response->reason.size,
           response->reason.data);
}

static void on_body(weir_http_call *call, const void *data, size_t size, void *user)
{
    (void)call;
    (void)user;
    printf("client: got \"%.*s\"\n", (int)size, (const char *)data);
}

static void on_done(weir_http_call *call, const weir_http_result *result, void *user)
{
    (void)call;
    (void)user;
    printf("client: %s\n", result->reason);
    weir_loop_stop(loop);
}

int main(void)
{
    static const weir_http_call_events events = {on_head, on_body, NULL, on_done};
    weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    options.on_request = on_request;
    weir_http_server *server;
    weir_http_client *client;
    weir_http_call *call;
    if (weir_loop_create(&loop, NULL) || weir_http_server_create(&server, loop, &options) ||
        weir_http_client_create(&client, loop, NULL))
        return 1;
    weir_address const address = weir_http_server_address(server);
    weir_http_request const request = {.method = weir_http_str("GET"),
                                       .target = weir_http_str("/hello")};
    if (weir_http_call_start(&call, client, &address, NULL, &request, &events, NULL))
        return 1;
    int const result = weir_loop_run(loop);
    weir_http_client_destroy(client);
    weir_http_server_destroy(server);
    weir_loop_destroy(loop);
    return result != WEIR_OK;
}

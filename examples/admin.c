/* A program's configuration is asked for over HTTP, as curl or another language would. */
#include <weir/admin.h>
#include <weir/store.h>

#include <stdio.h>

static weir_admin *admin;

static void serve(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    (void)user;
    if (weir_admin_allows(admin, exchange, request) && !weir_admin_handle(admin, exchange, request))
        (void)weir_http_exchange_respond(exchange, 404, NULL, NULL, 0);
}

static void show(weir_http_call *call, const void *data, size_t size, void *loop)
{
    (void)call;
    printf("%.*s", (int)size, (const char *)data);
    weir_loop_stop(loop);
}

static const weir_http_call_events events = {.on_body = show};

int main(void)
{
    weir_loop *loop;
    weir_store *store;
    weir_config *config;
    weir_http_server *server;
    weir_http_client *client;
    weir_http_call *call;
    weir_config_options options = WEIR_CONFIG_OPTIONS_INIT;
    weir_admin_options admin_options = WEIR_ADMIN_OPTIONS_INIT;
    weir_http_server_options server_options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    weir_http_request const get = {weir_http_str("GET"), weir_http_str("/config"), .body_size = 0};
    if (weir_loop_create(&loop, NULL) || weir_store_create(&store, NULL, NULL))
        return 1;
    weir_kv const kv = weir_store_kv(store);
    options.kv = &kv;
    if (weir_config_create(&config, &options) ||
        weir_config_set(config, "orders/limit", "250", NULL, NULL, NULL))
        return 1;
    admin_options.config = config;
    server_options.on_request = serve;
    if (weir_admin_create(&admin, &admin_options) ||
        weir_http_server_create(&server, loop, &server_options) ||
        weir_http_client_create(&client, loop, NULL))
        return 1;
    weir_address const to = weir_http_server_address(server);
    if (weir_http_call_start(&call, client, &to, NULL, &get, &events, loop) || weir_loop_run(loop))
        return 1;
    weir_http_client_destroy(client);
    weir_http_server_destroy(server);
    weir_admin_destroy(admin);
    weir_config_destroy(config);
    weir_store_destroy(store);
    weir_loop_destroy(loop);
    return 0;
}

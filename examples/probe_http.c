/* A server that falls ill after its second answer, watched over HTTP and by TCP on one loop. */
#include <weir/probe_http.h>
#include <weir/probe_tcp.h>
#include <stdio.h>

static weir_loop *loop;
static char text[WEIR_ADDRESS_TEXT_SIZE];

static void serve(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    static unsigned answers;
    (void)request, (void)user;
    (void)weir_http_exchange_respond(exchange, ++answers > 2 ? 500 : 200, NULL, "hello\n", 6);
}

static void tell(const weir_health_event *event, void *user)
{
    (void)user;
    if (event->kind == WEIR_HEALTH_CHECK_CHANGED)
        printf("%s is %s (%d) %s\n", event->id, weir_health_state_name(event->to),
               (int)event->figure, event->note);
    if (event->to == WEIR_HEALTH_DOWN)
        weir_loop_stop(loop);
}

int main(void)
{
    weir_http_server_options server_options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    server_options.on_request = serve;
    weir_health_options options = WEIR_HEALTH_OPTIONS_INIT;
    options.on_event = tell;
    weir_probe_http_options page = WEIR_PROBE_HTTP_OPTIONS_INIT;
    weir_probe_tcp_options port = WEIR_PROBE_TCP_OPTIONS_INIT;
    weir_health_check_options http = WEIR_HEALTH_CHECK_OPTIONS_INIT, tcp = http;
    weir_probe_http *page_probe;
    weir_probe_tcp *port_probe;
    weir_http_server *server;
    weir_http_client *client;
    weir_health *health;
    weir_loop_task *task;
    if (weir_loop_create(&loop, NULL) || weir_http_server_create(&server, loop, &server_options) ||
        weir_http_client_create(&client, loop, NULL) || weir_health_create(&health, &options) ||
        weir_loop_task_create(&task, loop, weir_health_task(health)))
        return 1;
    weir_address const address = weir_http_server_address(server);
    weir_address_format(&address, text), page.address = port.address = text;
    http.start = weir_probe_http_start, tcp.start = weir_probe_tcp_start;
    http.interval_ms = tcp.interval_ms = 20;
    if (weir_probe_http_create(&page_probe, client, &page) ||
        weir_probe_tcp_create(&port_probe, loop, &port))
        return 1;
    http.user = page_probe, tcp.user = port_probe;
    if (weir_health_add(health, "port", &tcp, NULL) || weir_health_add(health, "page", &http, NULL))
        return 1;
    (void)weir_loop_run(loop);
    weir_health_destroy(health);
    weir_probe_http_destroy(page_probe), weir_probe_tcp_destroy(port_probe);
    weir_http_client_destroy(client), weir_http_server_destroy(server), weir_loop_destroy(loop);
    return 0;
}

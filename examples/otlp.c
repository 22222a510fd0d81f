/* A span to a collector, which is a server on the same loop here, and tells what it gets. */
#include <weir/otlp.h>
#include <weir/tracer.h>

#include <stdio.h>

static void collect(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    (void)user;
    printf("POST %.*s, %llu bytes\n", (int)request->path.size, request->path.data,
           (unsigned long long)request->body_size);
    (void)weir_http_exchange_respond(exchange, 200, "application/json", "{}", 2);
}

static void stop(int result, void *user)
{
    printf("shut down: %s\n", weir_strerror(result));
    weir_loop_stop(user);
}

int main(void)
{
    weir_http_server_options serving = WEIR_HTTP_SERVER_OPTIONS_INIT;
    weir_otlp_options options = WEIR_OTLP_OPTIONS_INIT;
    weir_tracer_options tracing = WEIR_TRACER_OPTIONS_INIT;
    char url[WEIR_ADDRESS_TEXT_SIZE + 7] = "http://";
    weir_http_server *server;
    weir_loop *loop;
    weir_loop_task *task;
    weir_otlp *otlp;
    weir_tracer *tracer;
    weir_span span;
    serving.on_request = collect;
    if (weir_loop_create(&loop, NULL) || weir_http_server_create(&server, loop, &serving))
        return 1;
    weir_address const address = weir_http_server_address(server);
    weir_address_format(&address, url + 7);
    options.endpoint = url; /* weir_otlp_settings_apply() has it from OTEL_EXPORTER_OTLP_... */
    tracing.delay_ns = 1000000;
    if (weir_otlp_create(&otlp, loop, &options))
        return 1;
    tracing.exporter = weir_otlp_exporter(otlp);
    if (weir_tracer_create(&tracer, &tracing) ||
        weir_loop_task_create(&task, loop, weir_tracer_task(tracer)))
        return 1;
    weir_span_start(&span, tracer, "GET /orders", NULL), weir_span_end(&span);
    if (weir_tracer_shutdown(tracer, weir_loop_now_ns(loop) + 5000000000, stop, loop) == WEIR_OK)
        (void)weir_loop_run(loop);
    weir_otlp_stats stats;
    weir_otlp_get_stats(otlp, WEIR_OTLP_TRACES, &stats);
    printf("%llu span taken\n", (unsigned long long)stats.taken);
    weir_tracer_destroy(tracer), weir_otlp_destroy(otlp);
    weir_http_server_destroy(server), weir_loop_destroy(loop);
    return 0;
}

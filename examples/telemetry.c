/* A program that traces as OTEL_... variables ask: try OTEL_TRACES_EXPORTER=console, or otlp. */
#include <weir/telemetry.h>

#include <stdio.h>

static void on_warning(const char *message, void *user)
{
    (void)user;
    (void)fprintf(stderr, "telemetry: %s\n", message);
}

static void on_told(int result, void *user)
{
    printf("all is told: %s\n", weir_strerror(result));
    weir_loop_stop(user);
}

static void work(weir_tracer *tracer)
{
    weir_span span;
    weir_attribute const size = weir_attribute_int("orders.size", 3);
    weir_span_start(&span, tracer, "checkout", NULL);
    weir_span_set(&span, &size, 1);
    weir_span_end(&span);
}

int main(void)
{
    weir_loop *loop;
    weir_telemetry *telemetry;
    weir_telemetry_options options = WEIR_TELEMETRY_OPTIONS_INIT;
    options.scope_name = "example";
    options.on_warning = on_warning;
    if (weir_loop_create(&loop, NULL) != WEIR_OK)
        return 1;
    if (weir_telemetry_create(&telemetry, loop, &options) != WEIR_OK)
        return 1;
    printf("spans are %s\n", weir_telemetry_tracer(telemetry) != NULL ? "told" : "not asked for");
    work(weir_telemetry_tracer(telemetry)); /* Nobody's spans cost next to nothing. */

    uint64_t const until_ns = weir_loop_now_ns(loop) + UINT64_C(3000000000);
    if (weir_telemetry_shutdown(telemetry, until_ns, on_told, loop) == WEIR_OK)
        (void)weir_loop_run(loop);
    weir_telemetry_destroy(telemetry);
    weir_loop_destroy(loop);
    return 0;
}

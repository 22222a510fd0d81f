/* The admin address: health, status as JSON (RFC 8259), metrics for Prometheus. */
#include "gateway/checks.h"

#include <string.h>

/* ---- Status ---- */

typedef struct report_list {
    weir__text *out;
    const weir__service *service; /* Whose members these are. */
    size_t count;
} report_list;

static void status_string(weir__text *out, const char *name, const char *value)
{
    weir__text_format(out, "\"%s\":", name);
    weir__text_json(out, value, strlen(value));
}

static void status_number(weir__text *out, const char *name, uint64_t value)
{
    weir__text_format(out, ",\"%s\":%llu", name, (unsigned long long)value);
}

static void status_flags(weir__text *out, uint32_t flags)
{
    static const char *const names[] = {"drain",   "maintenance", "unhealthy",
                                        "ejected", "open",        "down"};
    size_t listed = 0;
    weir__text_str(out, ",\"flags\":[");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((flags >> i & 1) != 0)
            weir__text_format(out, "%s\"%s\"", listed++ > 0 ? "," : "", names[i]);
    weir__text_str(out, "]");
}

static void status_breaker(weir__text *out, const weir_breaker_stats *breaker)
{
    weir__text_str(out, ",\"breaker\":{");
    status_string(out, "state", weir_breaker_state_name(breaker->state));
    status_number(out, "calls", breaker->calls);
    status_number(out, "failures", breaker->failures);
    weir__text_format(out, ",\"failure_percent\":%.1f", breaker->failure_percent);
    status_number(out, "refused", breaker->refused);
    weir__text_str(out, "}");
}

static void status_check(weir__text *out, const weir__member_check *check)
{
    weir_health_status status;
    weir_health_get_status(check->health, check->check, &status);
    weir__text_str(out, ",\"health\":{");
    status_string(out, "state", weir_health_state_name(status.state));
    status_number(out, "counter", status.counter);
    status_number(out, "passed", status.passed);
    status_number(out, "failed", status.failed);
    status_number(out, "timeouts", status.timeouts);
    weir__text_format(out, ",\"figure\":%lld,", (long long)status.figure);
    status_string(out, "note", status.note);
    weir__text_str(out, "}");
}

static void status_outlier(weir__text *out, const weir_outlier_host_stats *outlier)
{
    weir__text_format(out, ",\"outlier\":{\"ejected\":%s", outlier->ejected ? "true" : "false");
    status_number(out, "ejections", outlier->ejections);
    status_number(out, "calls", outlier->calls);
    weir__text_format(out, ",\"success_percent\":%.1f", outlier->success_percent);
    if (outlier->ejections > 0) {
        weir__text_str(out, ",");
        status_string(out, "detection", weir_outlier_detection_name(outlier->detection));
    }
    weir__text_str(out, "}");
}

static void status_member(const weir_caller_member *member, void *user)
{
    report_list *const list = user;
    weir__text *const out = list->out;
    const weir__member_check *const check =
        weir__checks_find(list->service, member->member->id, list->count);
    weir__text_str(out, list->count++ > 0 ? ",{" : "{");
    status_string(out, "id", member->member->id);
    weir__text_str(out, ",");
    status_string(out, "address", member->member->address);
    status_number(out, "weight", member->member->weight);
    weir__text_format(out, ",\"weight_in_force\":%.3f", member->stats.weight);
    status_number(out, "priority", member->member->priority);
    status_flags(out, member->stats.flags);
    status_number(out, "in_flight", member->stats.in_flight);
    status_number(out, "completed", member->stats.completed);
    status_number(out, "failures", member->stats.failures);
    status_number(out, "latency_us", member->stats.latency_ns / WEIR__NS_PER_US);
    if (member->breaker.generation != 0)
        status_breaker(out, &member->breaker);
    if (weir_mesh_service_options(list->service->mesh)->outlier != NULL)
        status_outlier(out, &member->outlier);
    if (check != NULL)
        status_check(out, check);
    weir__text_str(out, "}");
}

static void status_limiter(weir__text *out, const weir_limiter_stats *limit)
{
    if (limit->remaining == UINT64_MAX) {
        weir__text_str(out, ",\"limiter\":null");
        return;
    }
    weir__text_format(out, ",\"limiter\":{\"remaining\":%llu,\"refused\":%llu}",
                      (unsigned long long)limit->remaining, (unsigned long long)limit->refused);
}

static void status_service(weir_gateway *gateway, const weir__service *service, weir__text *out)
{
    weir_caller_stats stats;
    weir_limiter_stats limit;
    report_list list = {.out = out, .service = service};
    weir_caller_get_stats(service->caller, &stats);
    weir_caller_get_limit(service->caller, weir_loop_now_ns(gateway->loop), &limit);
    weir__text_str(out, "{");
    const weir_caller_options *const options = weir_mesh_service_options(service->mesh);
    status_string(out, "name", weir__service_name(service));
    weir__text_str(out, ",");
    status_string(out, "route", service->extras.route);
    weir__text_str(out, ",");
    status_string(out, "balance", weir_balancer_algorithm_name(options->balancer->algorithm));
    status_number(out, "in_flight", service->users - 1);
    status_number(out, "calls", stats.calls);
    status_number(out, "attempts", stats.attempts);
    status_number(out, "succeeded", stats.succeeded);
    status_number(out, "failed", stats.failed);
    status_limiter(out, &limit);
    weir__text_str(out, ",\"members\":[");
    weir_caller_visit(service->caller, status_member, &list);
    weir__text_str(out, "]}");
}

/* What the services are made of. */
static void status_center(weir_gateway *gateway, weir__text *out)
{
    weir_config_status config;
    weir_registry_stats registry;
    weir_store_stats store;
    weir_config_get_status(gateway->config, &config);
    weir_registry_get_stats(gateway->registry, &registry);
    weir_store_get_stats(gateway->store, &store);
    weir__text_str(out, ",\"config\":{");
    status_string(out, "store", store.error.code == WEIR_OK ? "writable" : "read-only");
    status_number(out, "revision", config.revision);
    status_number(out, "names", config.names);
    weir__text_format(out, "},\"registry\":{\"synced\":%s", registry.synced ? "true" : "false");
    status_number(out, "services", registry.services);
    status_number(out, "instances", registry.instances);
    status_number(out, "problems", gateway->problems);
    weir__text_str(out, "}");
}

static void status_write(weir_gateway *gateway, weir__text *out)
{
    weir__text_str(out, "{");
    status_string(out, "state", gateway->draining ? "draining" : "ready");
    status_number(out, "in_flight", gateway->in_progress);
    status_number(out, "connections", weir_http_server_connections(gateway->proxy));
    status_center(gateway, out);
    weir__text_str(out, ",\"services\":[");
    for (size_t i = 0; i < gateway->service_count; i++) {
        if (i > 0)
            weir__text_str(out, ",");
        status_service(gateway, gateway->services[i], out);
    }
    weir__text_str(out, "]}\n");
}

/* ---- The admin address ---- */

static void admin_page(weir_http_exchange *exchange, const char *type, weir__text *page)
{
    if (weir__text_ok(page))
        (void)weir_http_exchange_respond(exchange, 200, type, page->data, page->size);
    else
        (void)weir_http_exchange_respond(exchange, 500, NULL, NULL, 0);
    weir__text_free(page);
}

static void admin_append(const void *data, size_t size, void *user)
{
    weir__text_bytes(user, data, size);
}

/* OpenMetrics, for who can read it: RFC 9110's weights are not weighed. */
static bool admin_wants_openmetrics(const weir_http_request *request)
{
    static const char wanted[] = "application/openmetrics-text";
    const weir_http_header *const accept =
        weir_http_find(request->headers, request->header_count, "Accept");
    if (accept == NULL)
        return false;
    for (size_t i = 0; i + sizeof wanted - 1 <= accept->value.size; i++)
        if (memcmp(accept->value.data + i, wanted, sizeof wanted - 1) == 0)
            return true;
    return false;
}

static void admin_metrics(weir_gateway *gateway, weir_http_exchange *exchange,
                          const weir_http_request *request)
{
    weir__text page;
    bool const openmetrics = admin_wants_openmetrics(request);
    weir__text_init(&page, &gateway->env);
    int const result = openmetrics ? weir_metrics_openmetrics(gateway->metrics, admin_append, &page)
                                   : weir_metrics_prometheus(gateway->metrics, admin_append, &page);
    if (result != WEIR_OK)
        page.failed = true;
    admin_page(exchange, openmetrics ? WEIR_METRICS_OPENMETRICS_TYPE : WEIR_METRICS_PROMETHEUS_TYPE,
               &page);
}

static void admin_text(weir_http_exchange *exchange, int status, const char *text)
{
    (void)weir_http_exchange_respond(exchange, status, "text/plain", text, strlen(text));
}

/* Pages of the gateway's own; false: it is none. */
static bool admin_serve(weir_gateway *gateway, weir_http_exchange *exchange,
                        const weir_http_request *request, weir_http_slice path)
{
    weir__text page;
    if (weir_http_equals(path, "/metrics")) {
        admin_metrics(gateway, exchange, request);
        return true;
    }
    if (!weir_http_equals(path, "/status"))
        return false;
    weir__text_init(&page, &gateway->env);
    status_write(gateway, &page);
    admin_page(exchange, "application/json", &page);
    return true;
}

/* What anybody may ask; false: it is none of that. */
static bool admin_serve_all(const weir_gateway *gateway, weir_http_exchange *exchange,
                            weir_http_slice path)
{
    if (weir_http_equals(path, "/healthz"))
        admin_text(exchange, 200, "ok\n");
    else if (weir_http_equals(path, "/readyz"))
        admin_text(exchange, gateway->draining ? 503 : 200,
                   gateway->draining ? "draining\n" : "ready\n");
    else
        return false;
    return true;
}

void weir__gateway_on_admin(weir_http_exchange *exchange, const weir_http_request *request,
                            void *user)
{
    weir_gateway *const gateway = user;
    weir_http_slice path = request->path;
    const char *const query = path.size > 0 ? memchr(path.data, '?', path.size) : NULL;
    if (query != NULL)
        path.size = (size_t)(query - path.data);
    bool const reads =
        weir_http_equals(request->method, "GET") || weir_http_equals(request->method, "HEAD");
    if ((reads && admin_serve_all(gateway, exchange, path)) ||
        !weir_admin_allows(gateway->api, exchange, request) ||
        (reads && admin_serve(gateway, exchange, request, path)) ||
        weir_admin_handle(gateway->api, exchange, request))
        return;
    if (gateway->options.on_admin != NULL)
        gateway->options.on_admin(exchange, request, gateway->options.user);
    else
        admin_text(exchange, 404, "no such page\n");
}

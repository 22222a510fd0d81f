/* The admin address: health, status as JSON (RFC 8259), metrics as Prometheus text 0.0.4. */
#include "gateway/checks.h"

#include <string.h>

const uint32_t weir__duration_bounds_ms[WEIR__DURATION_BOUNDS] = {5,   10,   25,   50,   100,  250,
                                                                  500, 1000, 2500, 5000, 10000};

/* ---- Status ---- */

typedef struct report_list {
    weir__text *out;
    const weir__service *service; /* Whose members these are. */
    const char *metric;
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

void weir__gateway_status(weir_gateway *gateway, weir__text *out)
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

/* ---- Metrics ---- */

static void metric_head(weir__text *out, const char *name, const char *type, const char *help)
{
    weir__text_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void metric_labels(weir__text *out, const char *metric, const char *service)
{
    weir__text_format(out, "%s{service=\"", metric);
    weir__text_label(out, service, strlen(service));
    weir__text_str(out, "\"");
}

static void metric_value(weir__text *out, uint64_t value)
{
    weir__text_format(out, "} %llu\n", (unsigned long long)value);
}

static void metrics_answers(weir__text *out, const char *service, const weir__answers *answers)
{
    for (int status = 0; status < WEIR__STATUSES; status++)
        if (answers->by_status[status] > 0) {
            metric_labels(out, "weir_requests_total", service);
            weir__text_format(out, ",code=\"%d\"", status);
            metric_value(out, answers->by_status[status]);
        }
}

static void metrics_durations(weir__text *out, const char *service, const weir__answers *answers)
{
    uint64_t sum = 0;
    for (size_t i = 0; i <= WEIR__DURATION_BOUNDS; i++) {
        sum += answers->by_duration[i];
        metric_labels(out, "weir_request_duration_seconds_bucket", service);
        if (i < WEIR__DURATION_BOUNDS)
            weir__text_format(out, ",le=\"%g\"", weir__duration_bounds_ms[i] / 1000.0);
        else
            weir__text_str(out, ",le=\"+Inf\"");
        metric_value(out, sum);
    }
    metric_labels(out, "weir_request_duration_seconds_sum", service);
    weir__text_format(out, "} %.9f\n", (double)answers->duration_ns / 1e9);
    metric_labels(out, "weir_request_duration_seconds_count", service);
    metric_value(out, sum);
}

static uint64_t metric_of_member(const weir_caller_member *member, const char *metric)
{
    if (strcmp(metric, "weir_member_in_flight") == 0)
        return member->stats.in_flight;
    if (strcmp(metric, "weir_member_calls_total") == 0)
        return member->stats.completed;
    if (strcmp(metric, "weir_member_failures_total") == 0)
        return member->stats.failures;
    if (strcmp(metric, "weir_member_ejected") == 0)
        return member->outlier.ejected;
    if (strcmp(metric, "weir_member_ejections_total") == 0)
        return member->outlier.ejections;
    return (uint64_t)member->breaker.state;
}

static void metrics_member(const weir_caller_member *member, void *user)
{
    const report_list *const list = user;
    metric_labels(list->out, list->metric, weir__service_name(list->service));
    weir__text_str(list->out, ",member=\"");
    weir__text_label(list->out, member->member->id, strlen(member->member->id));
    weir__text_str(list->out, "\"");
    metric_value(list->out, metric_of_member(member, list->metric));
}

static void metrics_members(weir_gateway *gateway, weir__text *out, const char *metric,
                            const char *type, const char *help)
{
    metric_head(out, metric, type, help);
    for (size_t i = 0; i < gateway->service_count; i++) {
        report_list list = {.out = out, .service = gateway->services[i], .metric = metric};
        weir_caller_visit(gateway->services[i]->caller, metrics_member, &list);
    }
}

static void metrics_checks(weir_gateway *gateway, weir__text *out)
{
    metric_head(out, "weir_health_state", "gauge",
                "Active checks: 0 unknown, 1 up, 2 warn, 3 down.");
    for (size_t i = 0; i < gateway->service_count; i++) {
        const weir__service *const service = gateway->services[i];
        for (size_t j = 0; j < service->check_count; j++) {
            const weir__member_check *const check = service->checks[j];
            metric_labels(out, "weir_health_state", weir__service_name(service));
            weir__text_str(out, ",member=\"");
            weir__text_label(out, check->member, strlen(check->member));
            weir__text_str(out, "\"");
            metric_value(out, (uint64_t)weir_health_get_state(check->check));
        }
    }
    weir_health_summary summary;
    (void)weir_health_get_system(gateway->health, &summary);
    metric_head(out, "weir_health_stalls_total", "counter", "Times that checks were run far late.");
    weir__text_format(out, "weir_health_stalls_total %llu\n", (unsigned long long)summary.stalls);
}

static void metrics_rejections(weir_gateway *gateway, weir__text *out)
{
    metric_head(out, "weir_rejections_total", "counter", "Attempts rejected, by stage.");
    for (size_t i = 0; i < gateway->service_count; i++) {
        weir_caller_stats stats;
        weir_caller_get_stats(gateway->services[i]->caller, &stats);
        for (int stage = WEIR_STAGE_DEADLINE; stage <= WEIR_STAGE_LIMITER; stage++) {
            metric_labels(out, "weir_rejections_total", weir__service_name(gateway->services[i]));
            weir__text_format(out, ",stage=\"%s\"",
                              weir_caller_stage_name((weir_caller_stage)stage));
            metric_value(out, stats.rejected[stage]);
        }
    }
}

static void metrics_attempts(weir_gateway *gateway, weir__text *out)
{
    metric_head(out, "weir_attempts_total", "counter", "Attempts made, retries included.");
    for (size_t i = 0; i < gateway->service_count; i++) {
        weir_caller_stats stats;
        weir_caller_get_stats(gateway->services[i]->caller, &stats);
        metric_labels(out, "weir_attempts_total", weir__service_name(gateway->services[i]));
        metric_value(out, stats.attempts);
    }
}

static void metrics_limiters(weir_gateway *gateway, weir__text *out)
{
    metric_head(out, "weir_limiter_remaining", "gauge", "Permits that could be taken now.");
    for (size_t i = 0; i < gateway->service_count; i++) {
        weir_limiter_stats limit;
        weir_caller_get_limit(gateway->services[i]->caller, weir_loop_now_ns(gateway->loop),
                              &limit);
        if (limit.remaining == UINT64_MAX)
            continue; /* No limit, no level. */
        metric_labels(out, "weir_limiter_remaining", weir__service_name(gateway->services[i]));
        metric_value(out, limit.remaining);
    }
}

static void metrics_center(weir_gateway *gateway, weir__text *out)
{
    weir_registry_stats registry;
    weir_registry_get_stats(gateway->registry, &registry);
    metric_head(out, "weir_registry_instances", "gauge", "Instances that are registered.");
    weir__text_format(out, "weir_registry_instances %llu\n",
                      (unsigned long long)registry.instances);
    metric_head(out, "weir_store_revision", "gauge", "Of registry and configuration.");
    weir__text_format(out, "weir_store_revision %llu\n",
                      (unsigned long long)weir_store_revision(gateway->store));
    metric_head(out, "weir_problems_total", "counter",
                "Values and addresses that could not be put in force.");
    weir__text_format(out, "weir_problems_total %llu\n", (unsigned long long)gateway->problems);
}

void weir__gateway_metrics(weir_gateway *gateway, weir__text *out)
{
    metric_head(out, "weir_requests_total", "counter", "Requests answered, by status code.");
    metrics_answers(out, "", &gateway->unrouted);
    for (size_t i = 0; i < gateway->service_count; i++)
        metrics_answers(out, weir__service_name(gateway->services[i]),
                        &gateway->services[i]->answers);
    metric_head(out, "weir_request_duration_seconds", "histogram", "From a request to its answer.");
    for (size_t i = 0; i < gateway->service_count; i++)
        metrics_durations(out, weir__service_name(gateway->services[i]),
                          &gateway->services[i]->answers);
    metrics_attempts(gateway, out);
    metrics_rejections(gateway, out);
    metrics_limiters(gateway, out);
    metrics_members(gateway, out, "weir_member_in_flight", "gauge", "Calls under way.");
    metrics_members(gateway, out, "weir_member_calls_total", "counter", "Calls that have ended.");
    metrics_members(gateway, out, "weir_member_failures_total", "counter", "Calls that failed.");
    metrics_members(gateway, out, "weir_breaker_state", "gauge",
                    "0 closed, 1 open, 2 half open, 3 recovering, 4 disabled, 5 metrics only, "
                    "6 forced open.");
    metrics_members(gateway, out, "weir_member_ejected", "gauge", "1 while it is an outlier.");
    metrics_members(gateway, out, "weir_member_ejections_total", "counter",
                    "Times that it was ejected.");
    metrics_checks(gateway, out);
    metrics_center(gateway, out);
    metric_head(out, "weir_connections", "gauge", "Connections of clients.");
    weir__text_format(out, "weir_connections %zu\n", weir_http_server_connections(gateway->proxy));
}

/* ---- The admin address ---- */

static void admin_page(weir_gateway *gateway, weir_http_exchange *exchange, const char *type,
                       void (*write)(weir_gateway *gateway, weir__text *out))
{
    weir__text page;
    weir__text_init(&page, &gateway->env);
    write(gateway, &page);
    if (weir__text_ok(&page))
        (void)weir_http_exchange_respond(exchange, 200, type, page.data, page.size);
    else
        (void)weir_http_exchange_respond(exchange, 500, NULL, NULL, 0);
    weir__text_free(&page);
}

static void admin_text(weir_http_exchange *exchange, int status, const char *text)
{
    (void)weir_http_exchange_respond(exchange, status, "text/plain", text, strlen(text));
}

/* Pages of the gateway's own; false: it is none. */
static bool admin_serve(weir_gateway *gateway, weir_http_exchange *exchange, weir_http_slice path)
{
    if (weir_http_equals(path, "/status"))
        admin_page(gateway, exchange, "application/json", weir__gateway_status);
    else if (weir_http_equals(path, "/metrics"))
        admin_page(gateway, exchange, "text/plain; version=0.0.4", weir__gateway_metrics);
    else
        return false;
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
        (reads && admin_serve(gateway, exchange, path)) ||
        weir_admin_handle(gateway->api, exchange, request))
        return;
    if (gateway->options.on_admin != NULL)
        gateway->options.on_admin(exchange, request, gateway->options.user);
    else
        admin_text(exchange, 404, "no such page\n");
}

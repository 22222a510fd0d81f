/* A server counts its requests and times them; then somebody scrapes it. */
#include <weir/metrics.h>

#include <stdio.h>

static void print(const void *data, size_t size, void *user)
{
    (void)user;
    (void)fwrite(data, 1, size, stdout);
}

/* Asked for at the scrape. */
static void observe_connections(weir_metrics_observer *observer, void *user)
{
    (void)weir_metrics_observe(observer, NULL, *(const int *)user);
}

int main(void)
{
    static const char *const keys[] = {"http.request.method", "http.response.status_code"};
    static const char *const get_ok[] = {"GET", "200"};
    static int connections = 7;
    weir_metrics *metrics;
    weir_metrics_family *requests, *durations, *gauge;
    weir_metrics_series *gets, *times;
    weir_metrics_family_options options = WEIR_METRICS_FAMILY_OPTIONS_INIT;
    if (weir_metrics_create(&metrics, NULL))
        return 1;
    options.name = "http.server.requests";
    options.help = "Requests answered.";
    options.labels = keys;
    options.label_count = 2;
    int failed = weir_metrics_family_create(&requests, metrics, &options);
    options.name = "http.server.request.duration";
    options.help = "From a request to its answer.";
    options.unit = "s";
    options.kind = WEIR_METRICS_HISTOGRAM;
    failed |= weir_metrics_family_create(&durations, metrics, &options);
    options = (weir_metrics_family_options)WEIR_METRICS_FAMILY_OPTIONS_INIT;
    options.name = "http.server.connections";
    options.help = "Connections that are open.";
    options.kind = WEIR_METRICS_GAUGE;
    options.observe = observe_connections;
    options.user = &connections;
    failed |= weir_metrics_family_create(&gauge, metrics, &options);
    if (failed || weir_metrics_series_get(&gets, requests, get_ok) ||
        weir_metrics_series_get(&times, durations, get_ok))
        return 1;

    for (int i = 0; i < 1000; i++) { /* The handles are kept: an event costs a few ns. */
        weir_metrics_add(gets, 1);
        weir_metrics_record(times, i * .0001);
    }
    if (weir_metrics_prometheus(metrics, print, NULL))
        return 1;
    weir_metrics_destroy(metrics);
    return 0;
}

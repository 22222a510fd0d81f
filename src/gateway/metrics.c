/* The gateway's families: what services, members, checks and the center are when it is scraped.
 * Requests and attempts are counted by the instrumentation. */
#include "gateway/checks.h"

#include <weir/metrics.h>

#include <string.h>

typedef struct metrics_scrape {
    weir_metrics_observer *observer;
    const weir__service *service;
    uint64_t (*of)(const weir_caller_member *member);
} metrics_scrape;

/* ---- Of members ---- */

static uint64_t metrics_in_flight(const weir_caller_member *member)
{
    return member->stats.in_flight;
}

static uint64_t metrics_breaker_state(const weir_caller_member *member)
{
    return (uint64_t)member->breaker.state;
}

static uint64_t metrics_ejected(const weir_caller_member *member)
{
    return member->outlier.ejected;
}

static void metrics_visit(const weir_caller_member *member, void *user)
{
    const metrics_scrape *const scrape = user;
    const char *const labels[] = {weir__service_name(scrape->service), member->member->id};
    (void)weir_metrics_observe_double(scrape->observer, labels, (double)scrape->of(member));
}

static void metrics_members(weir_metrics_observer *observer, weir_gateway *gateway,
                            uint64_t (*of)(const weir_caller_member *member))
{
    for (size_t i = 0; i < gateway->service_count; i++) {
        metrics_scrape scrape = {observer, gateway->services[i], of};
        weir_caller_visit(gateway->services[i]->caller, metrics_visit, &scrape);
    }
}

static void observe_in_flight(weir_metrics_observer *observer, void *user)
{
    metrics_members(observer, user, metrics_in_flight);
}

static void observe_breakers(weir_metrics_observer *observer, void *user)
{
    metrics_members(observer, user, metrics_breaker_state);
}

static void observe_ejected(weir_metrics_observer *observer, void *user)
{
    metrics_members(observer, user, metrics_ejected);
}

static void observe_checks(weir_metrics_observer *observer, void *user)
{
    weir_gateway *const gateway = user;
    for (size_t i = 0; i < gateway->service_count; i++) {
        const weir__service *const service = gateway->services[i];
        for (size_t j = 0; j < service->check_count; j++) {
            const weir__member_check *const check = service->checks[j];
            const char *const labels[] = {weir__service_name(service), check->member};
            (void)weir_metrics_observe_double(observer, labels,
                                              (double)weir_health_get_state(check->check));
        }
    }
}

/* ---- Of services ---- */

static void observe_limiters(weir_metrics_observer *observer, void *user)
{
    weir_gateway *const gateway = user;
    for (size_t i = 0; i < gateway->service_count; i++) {
        const char *const label = weir__service_name(gateway->services[i]);
        weir_limiter_stats limit;
        weir_caller_get_limit(gateway->services[i]->caller, weir_loop_now_ns(gateway->loop),
                              &limit);
        if (limit.remaining != UINT64_MAX) /* No limit, no level. */
            (void)weir_metrics_observe_double(observer, &label, (double)limit.remaining);
    }
}

/* ---- Of the gateway ---- */

static void metrics_one(weir_metrics_observer *observer, uint64_t value)
{
    (void)weir_metrics_observe_double(observer, NULL, (double)value);
}

static void observe_connections(weir_metrics_observer *observer, void *user)
{
    metrics_one(observer, weir_http_server_connections(((weir_gateway *)user)->proxy));
}

static void observe_instances(weir_metrics_observer *observer, void *user)
{
    weir_registry_stats stats;
    weir_registry_get_stats(((weir_gateway *)user)->registry, &stats);
    metrics_one(observer, stats.instances);
}

static void observe_revision(weir_metrics_observer *observer, void *user)
{
    metrics_one(observer, weir_store_revision(((weir_gateway *)user)->store));
}

static void observe_stalls(weir_metrics_observer *observer, void *user)
{
    weir_health_summary summary;
    (void)weir_health_get_system(((weir_gateway *)user)->health, &summary);
    (void)weir_metrics_observe(observer, NULL, (int64_t)summary.stalls);
}

static void observe_problems(weir_metrics_observer *observer, void *user)
{
    (void)weir_metrics_observe(observer, NULL, (int64_t)((weir_gateway *)user)->problems);
}

/* ---- Families ---- */

static const struct {
    const char *name, *unit, *help;
    weir_metrics_observe_fn observe;
    weir_metrics_kind kind;
    uint32_t labels; /* Of weir.service and weir.member. */
} metrics_families[] = {
    {"weir.member.in_flight", "{call}", "Calls under way.", observe_in_flight, WEIR_METRICS_GAUGE,
     2},
    {"weir.breaker.state", NULL,
     "0 closed, 1 open, 2 half open, 3 recovering, 4 disabled, 5 metrics only, 6 forced open.",
     observe_breakers, WEIR_METRICS_GAUGE, 2},
    {"weir.member.ejected", NULL, "1 while it is an outlier.", observe_ejected, WEIR_METRICS_GAUGE,
     2},
    {"weir.health.state", NULL, "Active checks: 0 unknown, 1 up, 2 warn, 3 down.", observe_checks,
     WEIR_METRICS_GAUGE, 2},
    {"weir.limiter.remaining", "{permit}", "Permits that could be taken now.", observe_limiters,
     WEIR_METRICS_GAUGE, 1},
    {"weir.connections", "{connection}", "Connections of clients.", observe_connections,
     WEIR_METRICS_GAUGE, 0},
    {"weir.registry.instances", "{instance}", "Instances that are registered.", observe_instances,
     WEIR_METRICS_GAUGE, 0},
    {"weir.store.revision", NULL, "Of registry and configuration.", observe_revision,
     WEIR_METRICS_GAUGE, 0},
    {"weir.health.stalls", "{stall}", "Times that checks were run far late.", observe_stalls,
     WEIR_METRICS_COUNTER, 0},
    {"weir.problems", "{problem}", "Values and addresses that could not be put in force.",
     observe_problems, WEIR_METRICS_COUNTER, 0},
};

static int metrics_add_families(weir_gateway *gateway)
{
    static const char *const labels[] = {"weir.service", "weir.member"};
    int result = WEIR_OK;
    for (size_t i = 0;
         i < sizeof metrics_families / sizeof metrics_families[0] && result == WEIR_OK; i++) {
        weir_metrics_family *family;
        weir_metrics_family_options options = WEIR_METRICS_FAMILY_OPTIONS_INIT;
        options.name = metrics_families[i].name;
        options.unit = metrics_families[i].unit;
        options.help = metrics_families[i].help;
        options.kind = metrics_families[i].kind;
        options.observe = metrics_families[i].observe;
        options.user = gateway;
        options.labels = labels;
        options.label_count = metrics_families[i].labels;
        options.max_series = 20000;
        result = weir_metrics_family_create(&family, gateway->metrics, &options);
    }
    return result;
}

int weir__gateway_metrics_create(weir_gateway *gateway)
{
    weir_metrics_options options = WEIR_METRICS_OPTIONS_INIT;
    weir_instrument_options instrument = WEIR_INSTRUMENT_OPTIONS_INIT;
    options.env = instrument.env = &gateway->env;
    options.threads = 1; /* The loop's. */
    int result = weir_metrics_create(&gateway->metrics, &options);
    if (result == WEIR_OK)
        result = metrics_add_families(gateway);
    if (result == WEIR_OK)
        result = weir_instrument_process(gateway->metrics, gateway->options.tracer);
    instrument.tracer = gateway->options.tracer;
    instrument.metrics = gateway->metrics;
    instrument.formats = gateway->options.formats;
    return result == WEIR_OK ? weir_instrument_create(&gateway->instrument, &instrument) : result;
}

void weir__gateway_metrics_destroy(weir_gateway *gateway)
{
    weir_instrument_destroy(gateway->instrument);
    weir_metrics_destroy(gateway->metrics);
}

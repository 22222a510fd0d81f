/* Telemetry: the variables of OpenTelemetry's specification, and what they set up. */
#include "support/otlp_fixture.h"

#include <weir/telemetry.h>

#include <weir/propagation.h>

static weir_telemetry *telemetry;
static const char *variables[16][2]; /* Names and values, to the first NULL. */
static char endpoint[WEIR_ADDRESS_TEXT_SIZE + 8];
static char ignored[512], warnings[512];
static unsigned ended;
static int last_result;

static const char *variable(const char *name, void *user)
{
    (void)user;
    for (size_t i = 0; i < 16 && variables[i][0] != NULL; i++)
        if (strcmp(variables[i][0], name) == 0)
            return variables[i][1];
    return NULL;
}

static void note_ignored(const char *name, const char *value, const char *reason, void *user)
{
    (void)user;
    size_t const used = strlen(ignored);
    assert_non_null(reason);
    (void)snprintf(ignored + used, sizeof ignored - used, "%s=%s\n", name, value);
}

static void note_warning(const char *message, void *user)
{
    (void)user;
    size_t const used = strlen(warnings);
    (void)snprintf(warnings + used, sizeof warnings - used, "%s\n", message);
}

static void note_end(int result, void *user)
{
    (void)user;
    last_result = result;
    ended++;
}

static int telemetry_setup(void **state)
{
    memset(variables, 0, sizeof variables);
    ignored[0] = warnings[0] = '\0';
    ended = 0;
    telemetry = NULL;
    return otlp_setup(state);
}

static int telemetry_teardown(void **state)
{
    weir_telemetry_destroy(telemetry);
    return otlp_teardown(state);
}

static void set(const char *name, const char *value)
{
    size_t i = 0;
    while (variables[i][0] != NULL)
        i++;
    variables[i][0] = name;
    variables[i][1] = value;
}

static int try_create(void)
{
    weir_telemetry_options wanted = WEIR_TELEMETRY_OPTIONS_INIT;
    wanted.scope_name = "test";
    wanted.source = (weir_otlp_source){variable, note_ignored, NULL};
    wanted.on_warning = note_warning;
    return weir_telemetry_create(&telemetry, f.loop, &wanted);
}

static void create(void)
{
    assert_int_equal(try_create(), WEIR_OK);
}

/* A collector, and a variable that names it. */
static void collect(void)
{
    char address[WEIR_ADDRESS_TEXT_SIZE];
    weir_http_server_options server = WEIR_HTTP_SERVER_OPTIONS_INIT;
    server.on_request = collector_on_request;
    serve(&server);
    weir_address_format(&f.address, address);
    (void)snprintf(endpoint, sizeof endpoint, "http://%s", address);
    set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
}

static weir_span one_span(void)
{
    static weir_span span;
    weir_span_start(&span, weir_telemetry_tracer(telemetry), "work", NULL);
    weir_span_end(&span);
    return span;
}

/* ---- What is asked for ---- */

static void without_variables_nobody_is_told_of_spans(void **state)
{
    (void)state;
    create();
    assert_null(weir_telemetry_tracer(telemetry));
    assert_int_equal(weir_telemetry_formats(telemetry), WEIR_PROPAGATE_DEFAULT);
    assert_string_equal(ignored, "");
    assert_int_equal(weir_telemetry_shutdown(telemetry, WEIR_NEVER, note_end, NULL), WEIR_OK);
    assert_int_equal(ended, 1);
    assert_int_equal(last_result, WEIR_OK);
}

static void an_endpoint_alone_asks_for_spans_to_it(void **state)
{
    (void)state;
    collect();
    set("OTEL_SERVICE_NAME", "orders");
    create();
    (void)one_span();
    advance_ms(5000); /* The delay of the specification. */
    until(c.requests == 1);
    assert_non_null(strstr(c.head, "POST /v1/traces"));
    assert_non_null(strstr(c.body, "\"name\":\"work\""));
    assert_non_null(strstr(c.body, "\"scope\":{\"name\":\"test\""));
    assert_non_null(
        strstr(c.body, "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"orders\"}}"));
}

static void numbers_of_the_batch_processor_are_taken(void **state)
{
    (void)state;
    collect();
    set("OTEL_BSP_SCHEDULE_DELAY", "200");
    set("OTEL_BSP_MAX_QUEUE_SIZE", "8");
    set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4");
    create();
    (void)one_span();
    settle();
    assert_int_equal(c.requests, 0);
    advance_ms(200);
    until(c.requests == 1);
    for (int i = 0; i < 4; i++)
        (void)one_span();
    until(c.requests == 2); /* A full batch has not to wait. */
    settle();
    weir_tracer_stats stats;
    weir_tracer_get_stats(weir_telemetry_tracer(telemetry), &stats);
    assert_int_equal(stats.queue_size, 8);
    assert_int_equal(stats.exported, 5);
}

static void limits_of_spans_are_taken(void **state)
{
    (void)state;
    collect();
    set("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1");
    set("OTEL_SPAN_EVENT_COUNT_LIMIT", "0");
    set("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3");
    create();
    weir_span span;
    weir_attribute const two[] = {weir_attribute_string("a", "12345"), weir_attribute_int("b", 1)};
    weir_span_event const event = {.name = "event"};
    weir_span_start(&span, weir_telemetry_tracer(telemetry), "work", NULL);
    weir_span_set(&span, two, 2);
    weir_span_add_event(&span, &event);
    weir_span_end(&span);
    advance_ms(5000);
    until(c.requests == 1);
    assert_non_null(strstr(c.body, "{\"stringValue\":\"123\"}"));
    assert_non_null(strstr(c.body, "\"droppedAttributesCount\":1"));
    assert_non_null(strstr(c.body, "\"droppedEventsCount\":1"));
}

static void samplers_and_propagators_go_by_their_names(void **state)
{
    (void)state;
    set("OTEL_TRACES_EXPORTER", "otlp");
    set("OTEL_TRACES_SAMPLER", "traceidratio");
    set("OTEL_TRACES_SAMPLER_ARG", "0");
    set("OTEL_PROPAGATORS", "b3,baggage");
    create();
    assert_int_equal(one_span().context.flags & WEIR_TRACE_SAMPLED, 0);
    assert_int_equal(weir_telemetry_formats(telemetry), WEIR_PROPAGATE_B3 | WEIR_PROPAGATE_BAGGAGE);
    assert_string_equal(ignored, "");
}

static void without_a_sampler_children_follow_their_parents(void **state)
{
    (void)state;
    set("OTEL_TRACES_EXPORTER", "console");
    create();
    weir_span span;
    weir_trace_context const parent = {.trace_id = {1}, .span_id = {1}, .remote = true};
    weir_span_options under = WEIR_SPAN_OPTIONS_INIT;
    under.parent = &parent;
    weir_span_start(&span, weir_telemetry_tracer(telemetry), "child", &under);
    assert_false(weir_span_recording(&span));
    weir_span_start(&span, weir_telemetry_tracer(telemetry), "root", NULL);
    assert_true(weir_span_recording(&span));
}

static void an_sdk_that_is_disabled_does_nothing(void **state)
{
    (void)state;
    collect();
    set("OTEL_SDK_DISABLED", "True");
    create();
    assert_null(weir_telemetry_tracer(telemetry));
}

static void none_is_none_whatever_the_endpoint(void **state)
{
    (void)state;
    collect();
    set("OTEL_TRACES_EXPORTER", "none");
    create();
    assert_null(weir_telemetry_tracer(telemetry));
}

/* ---- What cannot be read ---- */

static void what_cannot_be_read_is_told_and_ignored(void **state)
{
    (void)state;
    collect();
    set("OTEL_TRACES_EXPORTER", "zipkin");
    set("OTEL_TRACES_SAMPLER", "jaeger_remote");
    set("OTEL_BSP_SCHEDULE_DELAY", "soon");
    set("OTEL_BSP_MAX_QUEUE_SIZE", "0");
    set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000");
    set("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1");
    set("OTEL_SPAN_LINK_COUNT_LIMIT", "");
    set("OTEL_PROPAGATORS", "b3,xray");
    create();
    assert_string_equal(ignored, "OTEL_TRACES_EXPORTER=zipkin\n"
                                 "OTEL_PROPAGATORS=b3,xray\n"
                                 "OTEL_BSP_SCHEDULE_DELAY=soon\n"
                                 "OTEL_BSP_MAX_QUEUE_SIZE=0\n"
                                 "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=5000\n"
                                 "OTEL_SPAN_EVENT_COUNT_LIMIT=-1\n"
                                 "OTEL_TRACES_SAMPLER=jaeger_remote\n");
    assert_int_equal(weir_telemetry_formats(telemetry), WEIR_PROPAGATE_B3);
    assert_true((one_span().context.flags & WEIR_TRACE_SAMPLED) != 0);
}

static void a_ratio_that_is_none_keeps_all(void **state)
{
    (void)state;
    set("OTEL_TRACES_EXPORTER", "console");
    set("OTEL_TRACES_SAMPLER", "traceidratio");
    set("OTEL_TRACES_SAMPLER_ARG", "half");
    create();
    weir_span span;
    weir_span_start(&span, weir_telemetry_tracer(telemetry), "x", NULL);
    assert_true(weir_span_recording(&span));
    assert_string_equal(ignored, "OTEL_TRACES_SAMPLER_ARG=half\n");
}

static void a_collector_that_cannot_be_reached_by_name_is_told_and_left(void **state)
{
    (void)state;
    set("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example:4318");
    create();
    assert_null(weir_telemetry_tracer(telemetry));
    assert_true(strlen(warnings) > 0);
}

/* ---- Metrics, and the end ---- */

static weir_metrics *pushed(void)
{
    weir_metrics *metrics;
    weir_metrics_family *family;
    weir_metrics_series *series;
    weir_metrics_options counting = WEIR_METRICS_OPTIONS_INIT;
    weir_metrics_family_options work = WEIR_METRICS_FAMILY_OPTIONS_INIT;
    counting.env = &f.env;
    work.name = "work.done";
    assert_int_equal(weir_metrics_create(&metrics, &counting), WEIR_OK);
    assert_int_equal(weir_metrics_family_create(&family, metrics, &work), WEIR_OK);
    assert_int_equal(weir_metrics_series_get(&series, family, NULL), WEIR_OK);
    weir_metrics_add(series, 3);
    weir_metrics_series_release(series);
    assert_int_equal(weir_telemetry_push(telemetry, metrics), WEIR_OK);
    return metrics;
}

static void metrics_are_pushed_each_minute(void **state)
{
    (void)state;
    collect();
    create();
    weir_metrics *const metrics = pushed();
    advance_ms(60000);
    until(c.requests == 1);
    assert_non_null(strstr(c.head, "POST /v1/metrics"));
    assert_non_null(strstr(c.body, "work.done"));
    weir_telemetry_destroy(telemetry);
    telemetry = NULL;
    weir_metrics_destroy(metrics);
}

static void metrics_that_are_scraped_alone_are_not_pushed(void **state)
{
    (void)state;
    collect();
    set("OTEL_METRICS_EXPORTER", "none");
    create();
    weir_metrics *const metrics = pushed();
    advance_ms(120000);
    assert_int_equal(c.requests, 0);
    weir_metrics_destroy(metrics);
}

static void a_shutdown_sends_the_last_of_both(void **state)
{
    (void)state;
    collect();
    create();
    weir_metrics *const metrics = pushed();
    (void)one_span();
    assert_int_equal(weir_telemetry_shutdown(telemetry, f.fake.now_ns + 3000 * MS, note_end, NULL),
                     WEIR_OK);
    assert_int_equal(weir_telemetry_shutdown(telemetry, f.fake.now_ns + 3000 * MS, note_end, NULL),
                     WEIR_ECLOSED);
    until(ended == 1);
    assert_int_equal(last_result, WEIR_OK);
    assert_int_equal(c.requests, 2);
    weir_telemetry_destroy(telemetry);
    telemetry = NULL;
    weir_metrics_destroy(metrics);
    assert_string_equal(warnings, "");
}

static void a_shutdown_keeps_its_deadline_though_nobody_answers(void **state)
{
    (void)state;
    collect();
    create();
    weir_metrics *const metrics = pushed();
    c.status = COLLECTOR_HOLDS;
    (void)one_span();
    assert_int_equal(weir_telemetry_shutdown(telemetry, f.fake.now_ns + 3000 * MS, note_end, NULL),
                     WEIR_OK);
    advance_ms(2999);
    assert_int_equal(ended, 0);
    advance_ms(1);
    assert_int_equal(ended, 1);
    assert_int_equal(last_result, WEIR_EDEADLINE);
    assert_non_null(strstr(warnings, "1 spans lost: shut_down"));
    weir_telemetry_destroy(telemetry);
    telemetry = NULL;
    weir_metrics_destroy(metrics);
    assert_int_equal(ended, 1);
}

static void losses_are_added_up_and_told_now_and_then(void **state)
{
    (void)state;
    collect();
    set("OTEL_BSP_MAX_QUEUE_SIZE", "4");
    create();
    c.status = COLLECTOR_HOLDS;
    for (int i = 0; i < 100; i++)
        (void)one_span();
    until(warnings[0] != '\0');
    unsigned first = 0, second = 0;
    assert_int_equal(sscanf(warnings, "%u spans lost: queue_full\n", &first), 1);
    warnings[0] = '\0';
    for (int i = 0; i < 100; i++)
        (void)one_span();
    advance_ms(9000);
    assert_string_equal(warnings, "");
    advance_ms(1001);
    until(warnings[0] != '\0');
    assert_int_equal(sscanf(warnings, "%u spans lost: queue_full\n", &second), 1);
    weir_tracer_stats stats;
    weir_tracer_get_stats(weir_telemetry_tracer(telemetry), &stats);
    assert_int_equal(first + second, stats.dropped[WEIR_SPAN_DROP_QUEUE_FULL]);
}

static void a_collector_that_refuses_is_told(void **state)
{
    (void)state;
    collect();
    create();
    c.status = 400;
    c.answer = "{\"code\":3,\"message\":\"bad luck\"}";
    (void)one_span();
    advance_ms(5000);
    until(c.requests == 1 && warnings[0] != '\0');
    assert_non_null(strstr(warnings, "traces: "));
    assert_non_null(strstr(warnings, "bad luck"));
}

static void creation_survives_any_want_of_memory(void **state)
{
    (void)state;
    set("OTEL_TRACES_EXPORTER", "otlp");
    set("OTEL_RESOURCE_ATTRIBUTES", "a=b,c=d");
    set("OTEL_EXPORTER_OTLP_HEADERS", "e=f");
    set("OTEL_TRACES_SAMPLER", "parentbased_traceidratio");
    for (unsigned fail_at = 1;; fail_at++) {
        size_t const live = f.fake.live;
        f.fake.calls = 0;
        f.fake.fail_at = fail_at;
        int const result = try_create();
        f.fake.fail_at = 0;
        bool const all = f.fake.calls < fail_at;
        assert_int_equal(result, all ? WEIR_OK : WEIR_ENOMEM);
        weir_telemetry_destroy(telemetry);
        telemetry = NULL;
        assert_true(f.fake.live <= live + 3); /* The loop keeps what it has grown. */
        if (all)
            break;
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, telemetry_setup, telemetry_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_variables_nobody_is_told_of_spans),
        CASE(an_endpoint_alone_asks_for_spans_to_it),
        CASE(numbers_of_the_batch_processor_are_taken),
        CASE(limits_of_spans_are_taken),
        CASE(samplers_and_propagators_go_by_their_names),
        CASE(without_a_sampler_children_follow_their_parents),
        CASE(an_sdk_that_is_disabled_does_nothing),
        CASE(none_is_none_whatever_the_endpoint),
        CASE(what_cannot_be_read_is_told_and_ignored),
        CASE(a_ratio_that_is_none_keeps_all),
        CASE(a_collector_that_cannot_be_reached_by_name_is_told_and_left),
        CASE(metrics_are_pushed_each_minute),
        CASE(metrics_that_are_scraped_alone_are_not_pushed),
        CASE(a_shutdown_sends_the_last_of_both),
        CASE(a_shutdown_keeps_its_deadline_though_nobody_answers),
        CASE(losses_are_added_up_and_told_now_and_then),
        CASE(a_collector_that_refuses_is_told),
        CASE(creation_survives_any_want_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* OTEL_* variables: what they mean, what is ignored, and that it is told. */
#include "support/fake_env.h"

#include <weir/otlp.h>

#include <stdio.h>
#include <string.h>

typedef struct variable {
    const char *name, *value;
} variable;

static fake_env fake;
static weir_env env;
static variable variables[16]; /* Up to the first without a name. */
static char ignored[512];      /* "NAME=value: reason\n" of each. */
static weir_otlp_settings *settings;
static weir_otlp_options options;

static const char *get(const char *name, void *user)
{
    assert_ptr_equal(user, variables);
    for (size_t i = 0; variables[i].name != NULL; i++)
        if (strcmp(variables[i].name, name) == 0)
            return variables[i].value;
    return NULL;
}

static void on_ignored(const char *name, const char *value, const char *reason, void *user)
{
    assert_ptr_equal(user, variables);
    size_t const size = strlen(ignored);
    (void)snprintf(ignored + size, sizeof ignored - size, "%s=%s: %s\n", name, value, reason);
}

static int setup(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof fake);
    memset(variables, 0, sizeof variables);
    env = fake_env_hooks(&fake);
    settings = NULL;
    ignored[0] = '\0';
    options = (weir_otlp_options)WEIR_OTLP_OPTIONS_INIT;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir_otlp_settings_destroy(settings);
    return fake.live_bytes == 0 && fake.live == 0 ? 0 : -1;
}

static void set(const char *name, const char *value)
{
    size_t i = 0;
    while (variables[i].name != NULL && strcmp(variables[i].name, name) != 0)
        i++;
    variables[i] = (variable){name, value};
}

static void read_and_apply(void)
{
    weir_otlp_source const source = {get, on_ignored, variables};
    weir_otlp_settings_destroy(settings);
    ignored[0] = '\0';
    assert_int_equal(weir_otlp_settings_read(&settings, &source, &env), WEIR_OK);
    options = (weir_otlp_options)WEIR_OTLP_OPTIONS_INIT;
    weir_otlp_settings_apply(settings, &options);
}

static void expect_attribute(const char *key, const char *value)
{
    size_t count, found = 0;
    const weir_attribute *const attributes = weir_otlp_settings_resource(settings, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(attributes[i].key, key) == 0) {
            assert_string_equal(attributes[i].as.string, value);
            assert_int_equal(attributes[i].count, strlen(value));
            found++;
        }
    assert_int_equal(found, 1);
}

static void assert_defaults(void)
{
    weir_otlp_options const defaults = WEIR_OTLP_OPTIONS_INIT;
    assert_string_equal(options.endpoint, defaults.endpoint);
    assert_null(options.traces.endpoint);
    assert_null(options.metrics.endpoint);
    assert_int_equal(options.header_count + options.traces.header_count, 0);
    assert_int_equal(options.timeout_ms, defaults.timeout_ms);
    assert_int_equal(options.traces.timeout_ms, 0);
    assert_int_equal(options.metrics_interval_ms, 60000);
    assert_int_equal(options.metrics_timeout_ms, 30000);
}

static void nothing_set_changes_nothing(void **state)
{
    (void)state;
    read_and_apply();
    assert_defaults();
    assert_false(weir_otlp_settings_disabled(settings));
    expect_attribute("service.name", "unknown_service");
    expect_attribute("telemetry.sdk.name", "weir");
    expect_attribute("telemetry.sdk.language", "c");
}

static void an_empty_one_is_as_if_it_were_not_set(void **state)
{
    (void)state;
    static const char *const names[] = {"OTEL_SDK_DISABLED",
                                        "OTEL_SERVICE_NAME",
                                        "OTEL_RESOURCE_ATTRIBUTES",
                                        "OTEL_EXPORTER_OTLP_ENDPOINT",
                                        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                                        "OTEL_EXPORTER_OTLP_HEADERS",
                                        "OTEL_EXPORTER_OTLP_TIMEOUT",
                                        "OTEL_EXPORTER_OTLP_PROTOCOL",
                                        "OTEL_METRIC_EXPORT_INTERVAL"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        set(names[i], "");
    read_and_apply();
    assert_defaults();
    expect_attribute("service.name", "unknown_service");
    assert_string_equal(ignored, "");
}

static void disabled_is_true_in_any_case_alone(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "TRUE", "True", " true "};
    static const char *const no[] = {"1", "yes", "on", "truex", "tru", "false"};
    for (size_t i = 0; i < 4; i++) {
        set("OTEL_SDK_DISABLED", yes[i]);
        read_and_apply();
        assert_true(weir_otlp_settings_disabled(settings));
    }
    for (size_t i = 0; i < 6; i++) {
        set("OTEL_SDK_DISABLED", no[i]);
        read_and_apply();
        assert_false(weir_otlp_settings_disabled(settings));
    }
}

static void endpoints_and_timeouts_are_for_all_or_for_one_signal(void **state)
{
    (void)state;
    set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1/x");
    set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:2/y");
    set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:3/z");
    set("OTEL_EXPORTER_OTLP_TIMEOUT", "1000");
    set("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", " 2000 ");
    set("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "3000");
    set("OTEL_METRIC_EXPORT_INTERVAL", "4000");
    set("OTEL_METRIC_EXPORT_TIMEOUT", "5000");
    read_and_apply();
    assert_string_equal(options.endpoint, "http://127.0.0.1:1/x");
    assert_string_equal(options.traces.endpoint, "http://127.0.0.1:2/y");
    assert_string_equal(options.metrics.endpoint, "http://127.0.0.1:3/z");
    assert_int_equal(options.timeout_ms, 1000);
    assert_int_equal(options.traces.timeout_ms, 2000);
    assert_int_equal(options.metrics.timeout_ms, 3000);
    assert_int_equal(options.metrics_interval_ms, 4000);
    assert_int_equal(options.metrics_timeout_ms, 5000);
    assert_null(weir_otlp_options_error(&options));
    assert_string_equal(ignored, "");
}

static void a_number_that_cannot_be_read_is_told_and_ignored(void **state)
{
    (void)state;
    static const char *const values[] = {"10s", "-1", "0", "4294967296", "1.5", " "};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char expected[128];
        set("OTEL_EXPORTER_OTLP_TIMEOUT", values[i]);
        read_and_apply();
        assert_int_equal(options.timeout_ms, 10000);
        (void)snprintf(expected, sizeof expected,
                       "OTEL_EXPORTER_OTLP_TIMEOUT=%s: not a number of milliseconds\n", values[i]);
        assert_string_equal(ignored, expected);
    }
}

static void headers_are_decoded(void **state)
{
    (void)state;
    set("OTEL_EXPORTER_OTLP_HEADERS", " api-key = a%20b%3D%2c ,, x=1=2,empty=");
    set("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "own=m");
    read_and_apply();
    assert_int_equal(options.header_count, 3);
    assert_true(weir_http_equals(options.headers[0].name, "api-key"));
    assert_true(weir_http_equals(options.headers[0].value, "a b=,"));
    assert_true(weir_http_equals(options.headers[1].name, "x"));
    assert_true(weir_http_equals(options.headers[1].value, "1=2"));
    assert_int_equal(options.headers[2].value.size, 0);
    assert_null(options.traces.headers);
    assert_int_equal(options.metrics.header_count, 1);
    assert_true(weir_http_equals(options.metrics.headers[0].name, "own"));
    assert_null(weir_otlp_options_error(&options));
}

static void a_list_with_a_bad_entry_is_told_and_ignored(void **state)
{
    (void)state;
    static const char *const lists[][2] = {{"a=1,b", "an entry without ="},
                                           {"a=1,=2", "an entry without a key"},
                                           {"a=%2", "a % without two hex digits"},
                                           {"a%g0=1", "a % without two hex digits"},
                                           {"a=%", "a % without two hex digits"},
                                           {"a=x%00", "a NUL"}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        char expected[256];
        set("OTEL_EXPORTER_OTLP_HEADERS", lists[i][0]);
        set("OTEL_RESOURCE_ATTRIBUTES", lists[i][0]);
        read_and_apply();
        assert_int_equal(options.header_count, 0);
        expect_attribute("service.name", "unknown_service");
        (void)snprintf(expected, sizeof expected,
                       "OTEL_RESOURCE_ATTRIBUTES=%s: %s\nOTEL_EXPORTER_OTLP_HEADERS=%s: %s\n",
                       lists[i][0], lists[i][1], lists[i][0], lists[i][1]);
        assert_string_equal(ignored, expected);
    }
}

static void too_many_headers_are_told_and_ignored(void **state)
{
    (void)state;
    char list[65 * 4 + 1] = "";
    for (int i = 0; i < 65; i++)
        (void)strcat(list, "a=1,");
    set("OTEL_EXPORTER_OTLP_HEADERS", list);
    read_and_apply();
    assert_int_equal(options.header_count, 0);
    assert_non_null(strstr(ignored, "too many entries"));
}

static void the_resource_has_the_service_first_said(void **state)
{
    (void)state;
    set("OTEL_RESOURCE_ATTRIBUTES",
        "deployment.environment.name=prod,service.name=other,telemetry.sdk.name=mine,k=1,k=2");
    read_and_apply();
    expect_attribute("service.name", "other");
    expect_attribute("deployment.environment.name", "prod");
    expect_attribute("k", "1");
    set("OTEL_SERVICE_NAME", "shop");
    read_and_apply();
    expect_attribute("service.name", "shop");
}

static void another_protocol_is_told(void **state)
{
    (void)state;
    set("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc");
    read_and_apply();
    assert_string_equal(ignored, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc: http/json alone is "
                                 "spoken here\n");
}

static void without_a_hook_nobody_is_told(void **state)
{
    (void)state;
    weir_otlp_source const source = {get, NULL, variables};
    set("OTEL_EXPORTER_OTLP_TIMEOUT", "x");
    assert_int_equal(weir_otlp_settings_read(&settings, &source, &env), WEIR_OK);
}

static void reads_the_environment_of_the_process_by_default(void **state)
{
    (void)state;
    assert_int_equal(setenv("OTEL_SERVICE_NAME", "from-the-process", 1), 0);
    assert_int_equal(weir_otlp_settings_read(&settings, NULL, &env), WEIR_OK);
    assert_int_equal(unsetenv("OTEL_SERVICE_NAME"), 0);
    expect_attribute("service.name", "from-the-process");
    weir_env const bad = {.struct_size = 1};
    weir_otlp_settings *none;
    assert_int_equal(weir_otlp_settings_read(&none, NULL, &bad), WEIR_EINVAL);
    assert_null(none);
}

static void reading_survives_every_failed_allocation(void **state)
{
    (void)state;
    weir_otlp_source const source = {get, on_ignored, variables};
    set("OTEL_SERVICE_NAME", "shop");
    set("OTEL_RESOURCE_ATTRIBUTES", "a=1");
    set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    set("OTEL_EXPORTER_OTLP_HEADERS", "a=1");
    set("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=1");
    int result;
    unsigned fail_at = 0;
    do {
        fake.calls = 0;
        fake.fail_at = ++fail_at;
        result = weir_otlp_settings_read(&settings, &source, &env);
        if (result != WEIR_OK) {
            assert_int_equal(result, WEIR_ENOMEM);
            assert_null(settings);
            assert_int_equal(fake.live, 0);
        }
    } while (result != WEIR_OK);
    assert_in_range(fail_at, 8, 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_set_changes_nothing),
        TEST(an_empty_one_is_as_if_it_were_not_set),
        TEST(disabled_is_true_in_any_case_alone),
        TEST(endpoints_and_timeouts_are_for_all_or_for_one_signal),
        TEST(a_number_that_cannot_be_read_is_told_and_ignored),
        TEST(headers_are_decoded),
        TEST(a_list_with_a_bad_entry_is_told_and_ignored),
        TEST(too_many_headers_are_told_and_ignored),
        TEST(the_resource_has_the_service_first_said),
        TEST(another_protocol_is_told),
        TEST(without_a_hook_nobody_is_told),
        TEST(reads_the_environment_of_the_process_by_default),
        TEST(reading_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("otlp settings", tests, NULL, NULL);
}

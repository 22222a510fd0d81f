/* What is sent to a collector, and written to files, read by protobuf's own reader of JSON with the
 * definitions of the OpenTelemetry Protocol: it knows every field, and takes every value for what
 * it is. */
#include "support/otlp_fixture.h"

#include <weir/metrics.h>
#include <weir/span_writer.h>

static char folder[32];
static char text[65536];

static int run(const char *command)
{
    return system(command); /* Of fixed words and a folder of ours: NOLINT(cert-env33-c) */
}

/* The one that has protobuf: a system's packages are for the system's own. */
static const char *python(void)
{
    static const char *const pythons[] = {"/usr/bin/python3", "python3"};
    for (size_t i = 0; i < 2; i++) {
        char command[128];
        (void)snprintf(command, sizeof command,
                       "%s -c 'import google.protobuf.json_format' 2> /dev/null", pythons[i]);
        if (run(command) == 0)
            return pythons[i];
    }
    return NULL;
}

static int reader_setup(void **state)
{
    char command[512];
    (void)strcpy(folder, "/tmp/weir-otlp-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(command, sizeof command,
                   "protoc -Itests/integration --python_out=%s tests/integration/otlp.proto",
                   folder);
    return run(command) == 0 ? otlp_setup(state) : -1;
}

static int reader_teardown(void **state)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return run(command) == 0 ? otlp_teardown(state) : -1;
}

static const char *path_of(const char *name)
{
    static char path[96];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* As protobuf's text format has it. */
static const char *read_as(const char *message, const char *name)
{
    char command[512];
    (void)snprintf(command, sizeof command,
                   "PYTHONDONTWRITEBYTECODE=1 %s tests/integration/otlp_read.py %s %s %s/%s > "
                   "%s/out",
                   python(), folder, message, folder, name, folder);
    assert_int_equal(run(command), 0);
    FILE *const file = fopen(path_of("out"), "r");
    assert_non_null(file);
    size_t const size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    assert_int_equal(fclose(file), 0);
    return text;
}

static void save_body(const char *name)
{
    FILE *const file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(c.body, 1, c.body_size, file), c.body_size);
    assert_int_equal(fclose(file), 0);
}

/* ---- Spans ---- */

static weir_span_data full_span(void)
{
    static const int64_t integers[] = {INT64_MIN, 0};
    static weir_attribute attributes[7];
    static weir_span_event event;
    static weir_span_link link;
    double const infinity = 1e300 * 1e300;
    attributes[0] = weir_attribute_string("text", "a\"\\\n\x01\xff\xc3\xa9");
    attributes[1] = weir_attribute_int("most", INT64_MAX);
    attributes[2] = weir_attribute_bool("yes", true);
    attributes[3] = weir_attribute_double("nan", infinity - infinity);
    attributes[4] = weir_attribute_double("low", -infinity);
    attributes[5] =
        (weir_attribute){"bytes", WEIR_ATTRIBUTE_BYTES, 4, {.bytes = "\x00\xff\xfe\x01"}};
    attributes[6] = (weir_attribute){"ints", WEIR_ATTRIBUTE_INTS, 2, {.integers = integers}};
    event = (weir_span_event){"retry", SAMPLE_START_NS + 1, attributes, 1, 2};
    link = (weir_span_link){sample_context(), attributes + 1, 1, 3};
    link.context.state = "b=2";
    weir_span_data span = sample_span("GET /");
    memcpy(span.parent_id, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    span.parent_remote = true;
    span.context.state = "a=1";
    span.kind = WEIR_SPAN_CONSUMER;
    span.status = WEIR_SPAN_ERROR;
    span.status_message = "no stock";
    span.attributes = attributes;
    span.attribute_count = 7;
    span.dropped_attributes = UINT32_MAX;
    span.events = &event;
    span.links = &link;
    span.event_count = span.link_count = 1;
    span.dropped_events = 5;
    span.dropped_links = 6;
    return span;
}

#define TRACE_ID "K\\371/5w\\263M\\246\\243\\316\\222\\235\\016\\016G6"
#define SPAN_ID  "\\000\\360g\\252\\013\\251\\002\\267"

static const char full_text[] =
    "resource_spans { resource { attributes { key: \"service.name\" value { string_value: \"shop\" "
    "} "
    "} } scope_spans { scope { name: \"http\" version: \"1.2\" } spans { trace_id: \"" TRACE_ID
    "\" span_id: \"" SPAN_ID
    "\" trace_state: \"a=1\" parent_span_id: \"\\001\\002\\003\\004\\005\\006\\007\\010\" name: "
    "\"GET /\" kind: SPAN_KIND_CONSUMER start_time_unix_nano: 1544712660000000000 "
    "end_time_unix_nano: 1544712660001500000 attributes { key: \"text\" value { string_value: "
    "\"a\\\"\\\\\\n\\001\\357\\277\\275\\303\\251\" } } attributes { key: \"most\" value { "
    "int_value: "
    "9223372036854775807 } } attributes { key: \"yes\" value { bool_value: true } } attributes { "
    "key: \"nan\" value { double_value: nan } } attributes { key: \"low\" value { double_value: "
    "-inf "
    "} } attributes { key: \"bytes\" value { bytes_value: \"\\000\\377\\376\\001\" } } attributes "
    "{ "
    "key: \"ints\" value { array_value { values { int_value: -9223372036854775808 } values { "
    "int_value: 0 } } } } dropped_attributes_count: 4294967295 events { time_unix_nano: "
    "1544712660000000001 name: \"retry\" attributes { key: \"text\" value { string_value: "
    "\"a\\\"\\\\\\n\\001\\357\\277\\275\\303\\251\" } } dropped_attributes_count: 2 } "
    "dropped_events_count: 5 links { trace_id: \"" TRACE_ID "\" span_id: \"" SPAN_ID
    "\" trace_state: \"b=2\" attributes { key: \"most\" value { int_value: 9223372036854775807 } } "
    "dropped_attributes_count: 3 flags: 257 } dropped_links_count: 6 status { message: \"no "
    "stock\" "
    "code: STATUS_CODE_ERROR } flags: 769 } } }";

static void spans_are_read_as_they_were_told(void **state)
{
    (void)state;
    weir_span_data const full = full_span();
    const weir_span_data *const spans[] = {&full};
    weir_span_batch const batch = sample_batch(spans, 1);
    serve_and_create();
    export_batch_of(&batch, WEIR_NEVER);
    assert_exported(WEIR_OK, 0);
    save_body("spans");
    (void)read_as("Traces", "spans");
    text[strcspn(text, "\n")] = '\0';
    assert_string_equal(text, full_text);
}

static void a_file_of_spans_is_read_line_by_line(void **state)
{
    (void)state;
    weir_span_data const full = full_span(), bare = sample_span("x");
    weir_span_writer *writer;
    weir_span_writer_options some = WEIR_SPAN_WRITER_OPTIONS_INIT;
    char path[96];
    (void)snprintf(path, sizeof path, "%s", path_of("lines"));
    some.path = path;
    some.format = WEIR_SPAN_FORMAT_OTLP;
    assert_int_equal(weir_span_writer_create(&writer, &some), WEIR_OK);
    weir_span_exporter const exporter = weir_span_writer_exporter(writer);
    for (int i = 0; i < 2; i++) {
        const weir_span_data *const spans[] = {i == 0 ? &full : &bare};
        weir_span_batch const batch = sample_batch(spans, 1);
        exporter.export_spans(exporter.self, &batch, WEIR_NEVER, on_exported, &told_result);
        assert_exported(WEIR_OK, 0);
    }
    weir_span_writer_destroy(writer);
    const char *const out = read_as("Traces", "lines");
    assert_memory_equal(out, full_text, sizeof full_text - 1);
    assert_non_null(strstr(out + sizeof full_text, "kind: SPAN_KIND_INTERNAL"));
    assert_non_null(strstr(out + sizeof full_text, "status { } flags: 257 } } }"));
    assert_null(strstr(out + sizeof full_text, "parent_span_id"));
}

/* ---- Metrics ---- */

static void count_all_kinds(weir_metrics *metrics)
{
    static const double bounds[] = {1, 2.5};
    weir_trace_context const context = sample_context();
    for (int kind = WEIR_METRICS_COUNTER; kind <= WEIR_METRICS_SUMMARY; kind++) {
        static const char *const names[] = {"counter",   "updown",      "gauge",
                                            "histogram", "exponential", "summary"};
        weir_metrics_family *family;
        weir_metrics_series *series;
        weir_metrics_family_options some = WEIR_METRICS_FAMILY_OPTIONS_INIT;
        some.name = names[kind];
        some.kind = (weir_metrics_kind)kind;
        some.help = "Help.";
        some.unit = "By";
        some.bounds = kind == WEIR_METRICS_HISTOGRAM ? bounds : NULL;
        some.bound_count = kind == WEIR_METRICS_HISTOGRAM ? 2 : 0;
        some.max_scale = 0;
        assert_int_equal(weir_metrics_family_create(&family, metrics, &some), WEIR_OK);
        assert_int_equal(weir_metrics_series_get(&series, family, NULL), WEIR_OK);
        if (kind <= WEIR_METRICS_UPDOWN)
            weir_metrics_add_traced(series, INT64_C(9007199254740993), &context);
        else if (kind == WEIR_METRICS_GAUGE)
            weir_metrics_set(series, -1.5);
        else
            weir_metrics_record_traced(series, 4, &context);
        weir_metrics_series_release(series);
    }
}

static void assert_read(const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("there is no %s in %s", part, text);
}

static void metrics_are_read_as_they_were_counted(void **state)
{
    (void)state;
    weir_metrics *metrics;
    weir_metrics_options some = WEIR_METRICS_OPTIONS_INIT;
    some.env = &f.env;
    assert_int_equal(weir_metrics_create(&metrics, &some), WEIR_OK);
    count_all_kinds(metrics);
    serve_and_create();
    assert_int_equal(weir_otlp_export_metrics(otlp, metrics, NULL), WEIR_OK);
    assert_int_equal(weir_otlp_push_metrics(otlp, on_exported, &told_result), WEIR_OK);
    assert_exported(WEIR_OK, 0);
    save_body("metrics");
    (void)read_as("Metrics", "metrics");
    assert_read(
        "metrics { name: \"counter\" description: \"Help.\" unit: \"By\" sum { data_points {");
    assert_read("start_time_unix_nano: 784111777000000000 time_unix_nano: 784111777000000000");
    assert_read("as_int: 9007199254740993 "); /* 2^53 + 1: no double. */
    assert_read("aggregation_temporality: AGGREGATION_TEMPORALITY_CUMULATIVE is_monotonic: true");
    assert_read("gauge { data_points { start_time_unix_nano: 784111777000000000 time_unix_nano: "
                "784111777000000000 as_double: -1.5 } }");
    assert_read("histogram { data_points { start_time_unix_nano: 784111777000000000 "
                "time_unix_nano: 784111777000000000 count: 1 sum: 4.0 bucket_counts: 0 "
                "bucket_counts: 0 bucket_counts: 1 explicit_bounds: 1.0 explicit_bounds: 2.5 "
                "exemplars { time_unix_nano: 784111777000000000 as_double: 4.0 span_id: \"" SPAN_ID
                "\" trace_id: \"" TRACE_ID "\" } min: 4.0 max: 4.0 }");
    assert_read("exponential_histogram { data_points { start_time_unix_nano: 784111777000000000 "
                "time_unix_nano: 784111777000000000 count: 1 sum: 4.0 positive { offset: 1 "
                "bucket_counts: 1 }");
    assert_read("summary { data_points {");
    assert_read("quantile_values { quantile: 0.5 value: ");
    weir_otlp_destroy(otlp);
    otlp = NULL;
    weir_metrics_destroy(metrics);
}

#define READER_TEST(name) cmocka_unit_test_setup_teardown(name, reader_setup, reader_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        READER_TEST(spans_are_read_as_they_were_told),
        READER_TEST(a_file_of_spans_is_read_line_by_line),
        READER_TEST(metrics_are_read_as_they_were_counted),
    };
    if (run("protoc --version > /dev/null 2>&1") != 0 || python() == NULL) {
        (void)puts("SKIPPED: test_otlp_reader: there is no protoc, or no python3 with protobuf "
                   "(make deps)");
        return 0;
    }
    return cmocka_run_group_tests_name("otlp reader", tests, NULL, NULL);
}

/* What others read in our metrics: promtool, and both parsers of the Prometheus client for Python,
 * each of which must find what was counted, and nothing to complain of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <weir/metrics.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static weir_metrics *metrics;
static char folder[] = "/tmp/weir-metrics-XXXXXX";
static char page_path[64], open_path[64], script_path[64];

/* ---- Metrics of every kind ---- */

static void observe(weir_metrics_observer *observer, void *user)
{
    static const char *const odd[] = {"back\\slash \"quote\"\nline \xc3\xa4\xe2\x82\xac"};
    (void)user;
    (void)weir_metrics_observe_double(observer, odd, 0.125);
}

static weir_metrics_series *make(weir_metrics_family_options *options, const char *name,
                                 weir_metrics_kind kind, const char *unit)
{
    static const char *const values[] = {"a"};
    weir_metrics_family *family;
    weir_metrics_series *series = NULL;
    options->name = name;
    options->kind = kind;
    options->unit = unit;
    options->help = "Help with \\, \"quotes\" and\na second line.";
    assert_int_equal(weir_metrics_family_create(&family, metrics, options), WEIR_OK);
    if (options->observe == NULL)
        assert_int_equal(weir_metrics_series_get(&series, family, values), WEIR_OK);
    return series;
}

static void fill(void)
{
    static const char *const keys[] = {"service.name"};
    weir_metrics_family_options options = WEIR_METRICS_FAMILY_OPTIONS_INIT;
    weir_trace_context context;
    memset(&context, 0x5a, sizeof context);
    context.flags = WEIR_TRACE_SAMPLED;
    assert_int_equal(weir_metrics_create(&metrics, NULL), WEIR_OK);
    options.labels = keys;
    options.label_count = 1;
    weir_metrics_add_traced(make(&options, "weir.requests", WEIR_METRICS_COUNTER, "{request}"), 7,
                            &context);
    weir_metrics_add(make(&options, "weir.calls", WEIR_METRICS_UPDOWN, NULL), -3);
    weir_metrics_set(make(&options, "weir.load", WEIR_METRICS_GAUGE, "1"), 0.1);
    weir_metrics_series *const times =
        make(&options, "http.server.request.duration", WEIR_METRICS_HISTOGRAM, "s");
    weir_metrics_series *const sizes =
        make(&options, "http.server.request.body.size", WEIR_METRICS_EXPONENTIAL, "By");
    weir_metrics_series *const waits = make(&options, "queue.wait", WEIR_METRICS_SUMMARY, "s");
    for (int i = 0; i < 1000; i++) {
        weir_metrics_record_traced(times, i * .001, &context);
        weir_metrics_record_traced(sizes, i * 100.0, &context);
        weir_metrics_record(waits, i * .5);
    }
    options.observe = observe;
    (void)make(&options, "weir.odd", WEIR_METRICS_GAUGE, NULL);
}

/* ---- Readers ---- */

static void write_part(const void *data, size_t size, void *user)
{
    assert_int_equal(fwrite(data, 1, size, user), size);
}

static FILE *open_file(char *path, const char *name)
{
    (void)snprintf(path, 64, "%s/%s", folder, name);
    FILE *const file = fopen(path, "wb");
    assert_non_null(file);
    return file;
}

static const char *const script =
    "import sys\n"
    "from prometheus_client import parser\n"
    "from prometheus_client.openmetrics import parser as strict\n"
    "def read(path, parse):\n"
    "    text = open(path, encoding='utf-8', newline='').read()\n"
    "    found = {}\n"
    "    for family in parse(text):\n"
    "        for s in family.samples:\n"
    "            key = (s.name, s.labels.get('le') or s.labels.get('quantile') or '')\n"
    "            assert key not in found, key\n"
    "            found[key] = (s, family)\n"
    "    return found\n"
    "plain = read(sys.argv[1], parser.text_string_to_metric_families)\n"
    "open_ = read(sys.argv[2], strict.text_string_to_metric_families)\n"
    "help_ = 'Help with \\\\, \"quotes\" and\\na second line.'\n"
    "odd = 'back\\\\slash \"quote\"\\nline \\u00e4\\u20ac'\n"
    "d = 'http_server_request_duration_seconds'\n"
    "b = 'http_server_request_body_size_bytes'\n"
    "for found in (plain, open_):\n"
    "    value = lambda name, at='': found[name, at][0].value\n"
    "    assert value('weir_requests_total') == 7\n"
    "    assert value('weir_calls') == -3\n"
    "    assert value('weir_load_ratio') == 0.1\n"
    "    assert value('weir_odd') == 0.125\n"
    "    assert found['weir_odd', ''][0].labels == {'service_name': odd}\n"
    "    assert value(d + '_bucket', '0.1') == 101\n"
    "    assert value(d + '_bucket', '+Inf') == value(d + '_count') == 1000\n"
    "    assert abs(value(d + '_sum') - 499.5) < 1e-9\n"
    "    assert value(b + '_count') == value(b + '_bucket', '+Inf') == 1000\n"
    "    assert value(b + '_sum') == 49950000\n"
    "    assert value('queue_wait_seconds_count') == 1000\n"
    "    assert abs(value('queue_wait_seconds', '0.5') / 249.5 - 1) < 0.0101\n"
    "    for sample, family in found.values():\n"
    "        assert family.documentation == help_, family.documentation\n"
    "    assert found[d + '_bucket', '0.1'][1].type == 'histogram'\n"
    "    assert found['queue_wait_seconds_count', ''][1].type == 'summary'\n"
    "assert plain[b + '_bucket', '1024'][0].value == 11\n"
    "assert open_[b + '_bucket', '1024.0'][0].value == 11\n"
    "assert open_[d + '_count', ''][1].unit == 'seconds'\n"
    "assert open_['weir_load_ratio', ''][1].unit == 'ratio'\n"
    "assert float(open_['weir_requests_created', ''][0].value) > 1.6e9\n"
    "for key, at in (('weir_requests_total', 7), (d + '_bucket', 0.1), (b + '_bucket', 1000)):\n"
    "    le = {d + '_bucket': '0.1', b + '_bucket': '1024.0'}.get(key, '')\n"
    "    exemplar = open_[key, le][0].exemplar\n"
    "    assert exemplar.labels == {'trace_id': '5a' * 16, 'span_id': '5a' * 8}\n"
    "    assert exemplar.value == at and float(exemplar.timestamp) > 1.6e9, exemplar\n"
    "print(len(plain), len(open_))\n";

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    fill();
    FILE *file = open_file(page_path, "plain");
    assert_int_equal(weir_metrics_prometheus(metrics, write_part, file), WEIR_OK);
    assert_int_equal(fclose(file), 0);
    file = open_file(open_path, "open");
    assert_int_equal(weir_metrics_openmetrics(metrics, write_part, file), WEIR_OK);
    assert_int_equal(fclose(file), 0);
    file = open_file(script_path, "read.py");
    assert_true(fputs(script, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir_metrics_destroy(metrics);
    (void)unlink(page_path);
    (void)unlink(open_path);
    (void)unlink(script_path);
    return rmdir(folder);
}

/* Its exit status; what it says is shown. */
static int run(const char *command)
{
    (void)fflush(NULL);
    int const status = system(command); /* NOLINT(cert-env33-c): our own words alone. */
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool missing(const char *command, const char *what)
{
    if (run(command) == 0)
        return false;
    printf("SKIPPED: what %s reads in our metrics: it is not installed (make deps)\n", what);
    return true;
}

static void promtool_has_nothing_to_complain_of(void **state)
{
    (void)state;
    char command[128];
    if (missing("command -v promtool > /dev/null", "promtool"))
        skip();
    (void)snprintf(command, sizeof command, "timeout 60 promtool check metrics < %s", page_path);
    assert_int_equal(run(command), 0);
}

/* Of several, the one that the packages are for. */
static const char *python(void)
{
    static const char *const places[] = {"/usr/bin/python3", "python3"};
    for (size_t i = 0; i < 2; i++) {
        char command[128];
        (void)snprintf(command, sizeof command,
                       "%s -c 'import prometheus_client.openmetrics.parser' 2> /dev/null",
                       places[i]);
        if (run(command) == 0)
            return places[i];
    }
    return "false";
}

static void the_python_client_reads_both_texts(void **state)
{
    (void)state;
    char command[256];
    const char *const interpreter = python();
    if (missing(interpreter[0] != 'f' ? "true" : "false", "the Prometheus client for Python"))
        skip();
    (void)snprintf(command, sizeof command, "timeout 60 %s %s %s %s", interpreter, script_path,
                   page_path, open_path);
    assert_int_equal(run(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promtool_has_nothing_to_complain_of),
        cmocka_unit_test(the_python_client_reads_both_texts),
    };
    return cmocka_run_group_tests_name("metrics readers", tests, setup, teardown);
}

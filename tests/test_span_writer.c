/* Lines of spans in files and on terminals: whole, escaped, and cut back when they fail. */
#include "support/fake_env.h"
#include "support/span_samples.h"

#include <weir/span_writer.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_OF(span) SAMPLE_OPEN span SAMPLE_CLOSE "\n"
#define LINE          LINE_OF(SAMPLE_SPAN("x"))
#define LINE_SIZE     (sizeof LINE - 1)

static fake_env fake;
static weir_env env;
static char folder[64], path[96], backup[100];
static weir_span_writer_options options;
static weir_span_writer *writer;
static char text[8192];
static int told_result;
static unsigned told_count;

static int setup(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof fake);
    env = fake_env_hooks(&fake);
    (void)strcpy(folder, "/tmp/weir-spans-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/spans", folder);
    (void)snprintf(backup, sizeof backup, "%s.1", path);
    options = (weir_span_writer_options)WEIR_SPAN_WRITER_OPTIONS_INIT;
    options.env = &env;
    options.format = WEIR_SPAN_FORMAT_OTLP;
    options.path = path;
    writer = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir_span_writer_destroy(writer);
    (void)chmod(folder, 0700);
    (void)rmdir(backup);
    (void)unlink(backup);
    (void)unlink(path);
    (void)rmdir(folder);
    return fake.live_bytes == 0 && fake.live == 0 ? 0 : -1;
}

static void create(void)
{
    weir_span_writer_destroy(writer);
    assert_int_equal(weir_span_writer_create(&writer, &options), WEIR_OK);
}

static void on_exported(void *token, int result, size_t rejected)
{
    assert_ptr_equal(token, &told_result);
    assert_int_equal(rejected, 0);
    told_result = result;
    told_count++;
}

static int export_spans(const weir_span_data *const *spans, size_t count)
{
    weir_span_exporter const exporter = weir_span_writer_exporter(writer);
    weir_span_batch const batch = sample_batch(spans, count);
    told_count = 0;
    assert_null(exporter.cancel); /* It is over when it returns. */
    exporter.export_spans(exporter.self, &batch, WEIR_NEVER, on_exported, &told_result);
    assert_int_equal(told_count, 1);
    return told_result;
}

static int export_span(const weir_span_data *span)
{
    return export_spans(&span, 1);
}

static int export_x(void)
{
    weir_span_data const span = sample_span("x");
    return export_span(&span);
}

static const char *read_back(const char *from)
{
    int const fd = open(from, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t const size = read(fd, text, sizeof text - 1);
    assert_true(size >= 0);
    text[size] = '\0';
    assert_int_equal(close(fd), 0);
    return text;
}

static void put(const char *bytes)
{
    int const fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
    assert_int_equal(close(fd), 0);
}

/* Files that this process writes end there, until it is called with RLIM_INFINITY. */
static void limit_files(rlim_t size)
{
    struct rlimit limit;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* ---- OTLP ---- */

static void a_batch_is_a_line_of_json(void **state)
{
    (void)state;
    weir_span_data const a = sample_span("a"), b = sample_span("b");
    const weir_span_data *const spans[] = {&a, &b};
    create();
    assert_int_equal(export_spans(spans, 2), WEIR_OK);
    assert_int_equal(export_x(), WEIR_OK);
    assert_string_equal(read_back(path), LINE_OF(SAMPLE_SPAN("a") "," SAMPLE_SPAN("b")) LINE);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0133, 0);
}

static void no_spans_are_no_line(void **state)
{
    (void)state;
    create();
    assert_int_equal(export_spans(NULL, 0), WEIR_OK);
    assert_string_equal(read_back(path), "");
}

static void appends_to_what_is_there(void **state)
{
    (void)state;
    create();
    assert_int_equal(export_x(), WEIR_OK);
    create();
    assert_int_equal(export_x(), WEIR_OK);
    assert_string_equal(read_back(path), LINE LINE);
}

static void a_half_line_of_a_process_that_died_is_ended_first(void **state)
{
    (void)state;
    put("{\"resourceSp");
    create();
    assert_int_equal(export_x(), WEIR_OK);
    assert_int_equal(export_x(), WEIR_OK);
    assert_string_equal(read_back(path), "{\"resourceSp\n" LINE LINE);
}

static void a_line_that_does_not_fit_is_cut_off_and_told(void **state)
{
    (void)state;
    create();
    assert_int_equal(export_x(), WEIR_OK);
    limit_files(LINE_SIZE + 100);
    int const result = export_x();
    int const error = errno;
    limit_files(RLIM_INFINITY);
    assert_int_equal(result, WEIR_ESYSTEM);
    assert_int_equal(error, EFBIG);
    assert_string_equal(read_back(path), LINE);
    assert_int_equal(export_x(), WEIR_OK);
    assert_string_equal(read_back(path), LINE LINE);
}

static void a_full_disk_is_told(void **state)
{
    (void)state;
    options.path = "/dev/full";
    if (access(options.path, W_OK) != 0)
        skip();
    create();
    assert_int_equal(export_x(), WEIR_ESYSTEM);
}

/* A pipe that takes a part: that cannot be cut off, so it is ended. */
static void what_cannot_be_cut_off_is_ended_before_the_next_line(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    options.path = NULL;
    options.fd = ends[1];
    create();
    unsigned lines = 0;
    while (export_x() == WEIR_OK)
        lines++;
    size_t total = 0;
    ssize_t size;
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    while ((size = read(ends[0], text, sizeof text)) > 0)
        total += (size_t)size;
    size_t const half = total - lines * LINE_SIZE;
    assert_int_equal(export_x(), WEIR_OK);
    size = read(ends[0], text, sizeof text - 1);
    text[size > 0 ? size : 0] = '\0';
    assert_string_equal(text, half > 0 ? "\n" LINE : LINE);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(ends[1]), 0);
}

static void a_file_over_its_limit_is_begun_anew(void **state)
{
    (void)state;
    options.max_bytes = 2 * LINE_SIZE;
    create();
    for (int i = 0; i < 3; i++)
        assert_int_equal(export_x(), WEIR_OK);
    assert_string_equal(read_back(backup), LINE LINE);
    assert_string_equal(read_back(path), LINE);
    for (int i = 0; i < 2; i++)
        assert_int_equal(export_x(), WEIR_OK);
    assert_string_equal(read_back(backup), LINE LINE);
    assert_string_equal(read_back(path), LINE);
}

static void one_batch_may_be_longer_than_the_limit(void **state)
{
    (void)state;
    options.max_bytes = 1;
    create();
    assert_int_equal(export_x(), WEIR_OK);
    assert_string_equal(read_back(path), LINE);
}

static void a_file_that_cannot_be_renamed_is_told_and_nothing_is_written(void **state)
{
    (void)state;
    options.max_bytes = LINE_SIZE;
    create();
    assert_int_equal(export_x(), WEIR_OK);
    assert_int_equal(mkdir(backup, 0700), 0); /* A folder is in the way. */
    assert_int_equal(export_x(), WEIR_ESYSTEM);
    assert_string_equal(read_back(path), LINE);
    assert_int_equal(rmdir(backup), 0);
    assert_int_equal(export_x(), WEIR_OK);
    assert_string_equal(read_back(path), LINE);
}

static void a_file_that_cannot_be_begun_anew_is_tried_again(void **state)
{
    (void)state;
    struct rlimit limit;
    options.max_bytes = LINE_SIZE;
    create();
    assert_int_equal(export_x(), WEIR_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit const none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int const result = export_x();
    int const again = export_x();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(result, WEIR_ESYSTEM);
    assert_int_equal(again, WEIR_ESYSTEM);
    assert_int_equal(export_x(), WEIR_OK);
    assert_string_equal(read_back(path), LINE);
    assert_string_equal(read_back(backup), LINE);
}

/* ---- For people ---- */

#define HEAD "2018-12-13T14:51:00.000000Z " SAMPLE_TRACE_ID " " SAMPLE_SPAN_ID " "

static const char *line_of(const weir_span_data *span)
{
    (void)unlink(path);
    options.format = WEIR_SPAN_FORMAT_TEXT;
    create();
    assert_int_equal(export_span(span), WEIR_OK);
    return read_back(path);
}

static void a_span_is_a_line_for_people(void **state)
{
    (void)state;
    static const int64_t numbers[] = {1, -2};
    static const bool booleans[] = {true, false};
    static const double reals[] = {0.5, 1e300 * 1e300};
    static const char *const strings[] = {"a", NULL};
    double const infinity = 1e300 * 1e300;
    weir_attribute const attributes[] = {
        weir_attribute_string("http.route", "/a \"b\""),
        weir_attribute_int("n", -3),
        weir_attribute_bool("yes", true),
        weir_attribute_bool("no", false),
        weir_attribute_double("d", 0.25),
        weir_attribute_double("nan", infinity - infinity),
        weir_attribute_double("low", -infinity),
        {"bytes", WEIR_ATTRIBUTE_BYTES, 2, {.bytes = "\x01\xff"}},
        {"ints", WEIR_ATTRIBUTE_INTS, 2, {.integers = numbers}},
        {"bools", WEIR_ATTRIBUTE_BOOLS, 2, {.booleans = booleans}},
        {"reals", WEIR_ATTRIBUTE_DOUBLES, 2, {.reals = reals}},
        {"strings", WEIR_ATTRIBUTE_STRINGS, 2, {.strings = strings}},
        weir_attribute_int("odd key", 1),
    };
    weir_span_event const event = {"e", 1, NULL, 0, 0};
    weir_span_link const link = {sample_context(), NULL, 0, 0};
    weir_span_data span = sample_span("GET /");
    span.kind = WEIR_SPAN_SERVER;
    span.status = WEIR_SPAN_ERROR;
    span.status_message = "no stock";
    span.end_ns = span.start_ns + UINT64_C(61001002003);
    span.attributes = attributes;
    span.attribute_count = sizeof attributes / sizeof *attributes;
    span.events = &event;
    span.links = &link;
    span.event_count = span.link_count = 1;
    span.dropped_attributes = span.dropped_events = span.dropped_links = UINT32_MAX;
    assert_string_equal(line_of(&span),
                        HEAD "server \"GET /\" 61001.002ms error \"no stock\" "
                             "http.route=\"/a \\\"b\\\"\" n=-3 yes=true no=false d=0.25 nan=NaN "
                             "low=-Infinity bytes=0x01ff ints=[1,-2] bools=[true,false] "
                             "reals=[0.5,Infinity] strings=[\"a\",null] \"odd key\"=1 events:1 "
                             "links:1 dropped:12884901885\n");
}

static void kinds_and_statuses_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"unknown", "internal", "server",
                                        "client",  "producer", "consumer"};
    for (unsigned kind = 0; kind < 6; kind++) {
        char expected[256];
        weir_span_data span = sample_span("x");
        span.kind = (weir_span_kind)kind;
        span.status = WEIR_SPAN_OK;
        (void)snprintf(expected, sizeof expected, HEAD "%s \"x\" 1.500ms ok\n", names[kind]);
        assert_string_equal(line_of(&span), expected);
    }
    weir_span_data span = sample_span("x");
    assert_string_equal(line_of(&span), HEAD "internal \"x\" 1.500ms unset\n");
}

static void no_control_reaches_a_terminal(void **state)
{
    (void)state;
    weir_span_data span = sample_span("\x1b[2J\n\x7f\xc2\x9b"
                                      "1m\xff\xc2\xa0\xc3\xa9");
    assert_string_equal(line_of(&span), HEAD "internal \"\\u001b[2J\\u000a\\u007f\\u009b1m"
                                             "\xef\xbf\xbd\xc2\xa0\xc3\xa9\" 1.500ms unset\n");
}

/* ---- Life ---- */

static void refuses_options_out_of_range(void **state)
{
    (void)state;
    weir_env const bad_env = {.struct_size = 1};
    for (int i = 0; i < 5; i++) {
        weir_span_writer_options bad = options;
        if (i == 0)
            bad.struct_size = 1;
        else if (i == 1)
            bad.format = (weir_span_format)2;
        else if (i == 2)
            bad.path = "";
        else if (i == 3)
            bad.env = &bad_env;
        else
            bad.path = NULL, bad.fd = -1;
        assert_int_equal(weir_span_writer_create(&writer, &bad), WEIR_EINVAL);
        assert_null(writer);
    }
    assert_int_equal(weir_span_writer_create(&writer, NULL), WEIR_OK); /* To stderr. */
}

static void a_file_that_cannot_be_opened_is_told(void **state)
{
    (void)state;
    options.path = folder;
    assert_int_equal(weir_span_writer_create(&writer, &options), WEIR_ESYSTEM);
    assert_int_equal(errno, EISDIR);
    assert_null(writer);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    int result;
    unsigned fail_at = 0;
    do {
        fake.calls = 0;
        fake.fail_at = ++fail_at;
        result = weir_span_writer_create(&writer, &options);
        if (result != WEIR_OK) {
            assert_int_equal(result, WEIR_ENOMEM);
            assert_int_equal(fake.live, 0);
            continue;
        }
        result = export_x();
        if (result != WEIR_OK) {
            assert_int_equal(result, WEIR_ENOMEM);
            assert_string_equal(read_back(path), "");
            weir_span_writer_destroy(writer);
            writer = NULL;
        }
    } while (result != WEIR_OK);
    assert_in_range(fail_at, 4, 20);
    assert_string_equal(read_back(path), LINE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_a_line_of_json),
        TEST(no_spans_are_no_line),
        TEST(appends_to_what_is_there),
        TEST(a_half_line_of_a_process_that_died_is_ended_first),
        TEST(a_line_that_does_not_fit_is_cut_off_and_told),
        TEST(a_full_disk_is_told),
        TEST(what_cannot_be_cut_off_is_ended_before_the_next_line),
        TEST(a_file_over_its_limit_is_begun_anew),
        TEST(one_batch_may_be_longer_than_the_limit),
        TEST(a_file_that_cannot_be_renamed_is_told_and_nothing_is_written),
        TEST(a_file_that_cannot_be_begun_anew_is_tried_again),
        TEST(a_span_is_a_line_for_people),
        TEST(kinds_and_statuses_have_names),
        TEST(no_control_reaches_a_terminal),
        TEST(refuses_options_out_of_range),
        TEST(a_file_that_cannot_be_opened_is_told),
        TEST(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("span_writer", tests, NULL, NULL);
}

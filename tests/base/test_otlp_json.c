/* OTLP's JSON: each member of a span, each type of value, and what is left out. */
#include "support/fake_env.h"
#include "support/span_samples.h"

#include "base/otlp_json.h"

#include <stdio.h>
#include <string.h>

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir__text text;
} fixture;

static fixture f;

static int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {0}};
    f.env = fake_env_hooks(&f.fake);
    weir__text_init(&f.text, &f.env);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir__text_free(&f.text);
    return f.fake.live_bytes == 0 ? 0 : -1;
}

static void expect_as(weir_attribute attribute, const char *value)
{
    char expected[256];
    (void)snprintf(expected, sizeof expected, "[{\"key\":\"k\",\"value\":{%s}}]", value);
    weir__text_clear(&f.text);
    weir__otlp_attributes(&f.text, &attribute, 1);
    assert_string_equal(f.text.data, expected);
}

static weir_attribute many(weir_attribute_type type, size_t count)
{
    return (weir_attribute){.key = "k", .type = type, .count = count};
}

static void integers_are_decimal_strings(void **state)
{
    (void)state;
    expect_as(weir_attribute_int("k", -5), "\"intValue\":\"-5\"");
    expect_as(weir_attribute_int("k", 0), "\"intValue\":\"0\"");
    expect_as(weir_attribute_int("k", INT64_MIN), "\"intValue\":\"-9223372036854775808\"");
    expect_as(weir_attribute_int("k", INT64_MAX), "\"intValue\":\"9223372036854775807\"");
}

static void doubles_are_numbers_and_what_json_lacks_strings(void **state)
{
    (void)state;
    double const infinity = 1e300 * 1e300;
    expect_as(weir_attribute_double("k", 1.5), "\"doubleValue\":1.5");
    expect_as(weir_attribute_double("k", 0), "\"doubleValue\":0");
    expect_as(weir_attribute_double("k", infinity - infinity), "\"doubleValue\":\"NaN\"");
    expect_as(weir_attribute_double("k", infinity), "\"doubleValue\":\"Infinity\"");
    expect_as(weir_attribute_double("k", -infinity), "\"doubleValue\":\"-Infinity\"");
}

static void strings_are_escaped_and_bad_utf8_replaced(void **state)
{
    (void)state;
    expect_as(weir_attribute_string("k", "a\"\\\n\x01"), "\"stringValue\":\"a\\\"\\\\\\n\\u0001\"");
    expect_as(weir_attribute_string("k", "\xffz\xc3\xa9"),
              "\"stringValue\":\"\xef\xbf\xbdz\xc3\xa9\"");
    expect_as(weir_attribute_text("k", "a\0b", 3), "\"stringValue\":\"a\\u0000b\"");
    expect_as(weir_attribute_string("k", NULL), "\"stringValue\":\"\"");
    expect_as(weir_attribute_bool("k", true), "\"boolValue\":true");
    expect_as(weir_attribute_bool("k", false), "\"boolValue\":false");
}

/* The vectors of RFC 4648, section 10. */
static void bytes_are_base64(void **state)
{
    (void)state;
    static const char *const vectors[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                          "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t size = 0; size < 7; size++) {
        char expected[64];
        weir_attribute bytes = many(WEIR_ATTRIBUTE_BYTES, size);
        bytes.as.bytes = "foobar";
        (void)snprintf(expected, sizeof expected, "\"bytesValue\":\"%s\"", vectors[size]);
        expect_as(bytes, expected);
    }
    weir_attribute high = many(WEIR_ATTRIBUTE_BYTES, 3);
    high.as.bytes = "\xff\xef\xfe";
    expect_as(high, "\"bytesValue\":\"/+/+\"");
}

static void arrays_are_lists_of_values(void **state)
{
    (void)state;
    static const char *const strings[] = {"a", NULL};
    static const bool booleans[] = {true, false};
    static const int64_t integers[] = {1, -2};
    static const double reals[] = {0.5};
    weir_attribute array = many(WEIR_ATTRIBUTE_STRINGS, 2);
    array.as.strings = strings;
    expect_as(array, "\"arrayValue\":{\"values\":[{\"stringValue\":\"a\"},{}]}");
    array = many(WEIR_ATTRIBUTE_BOOLS, 2);
    array.as.booleans = booleans;
    expect_as(array, "\"arrayValue\":{\"values\":[{\"boolValue\":true},{\"boolValue\":false}]}");
    array = many(WEIR_ATTRIBUTE_INTS, 2);
    array.as.integers = integers;
    expect_as(array, "\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},{\"intValue\":\"-2\"}]}");
    array = many(WEIR_ATTRIBUTE_DOUBLES, 1);
    array.as.reals = reals;
    expect_as(array, "\"arrayValue\":{\"values\":[{\"doubleValue\":0.5}]}");
    array.count = 0;
    expect_as(array, "\"arrayValue\":{\"values\":[]}");
}

static void expect_span(const weir_span_data *span, const char *expected)
{
    weir__text_clear(&f.text);
    weir__otlp_span(&f.text, span);
    assert_string_equal(f.text.data, expected);
}

static void a_root_has_neither_parent_nor_state_nor_what_is_empty(void **state)
{
    (void)state;
    weir_span_data span = sample_span("GET /");
    expect_span(&span, SAMPLE_SPAN("GET /"));
    span.context.state = "";
    expect_span(&span, SAMPLE_SPAN("GET /"));
}

static void flags_say_whether_the_parent_is_remote(void **state)
{
    (void)state;
    weir_span_data span = sample_span("x");
    memcpy(span.parent_id, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    span.parent_remote = true;
    span.context.state = "a=1";
    weir__otlp_span(&f.text, &span);
    assert_non_null(strstr(f.text.data, "\"traceState\":\"a=1\",\"parentSpanId\":"
                                        "\"0102030405060708\",\"flags\":769,"));
    weir__text_clear(&f.text);
    span.context.flags = WEIR_TRACE_SAMPLED | WEIR_TRACE_RANDOM;
    span.parent_remote = false;
    weir__otlp_span(&f.text, &span);
    assert_non_null(strstr(f.text.data, "\"flags\":259,"));
}

static void a_full_span_says_all(void **state)
{
    (void)state;
    weir_attribute const one = weir_attribute_bool("k", true);
    weir_span_event const event = {"retry", 5, &one, 1, 2};
    weir_span_event const bare = {"", 6, NULL, 0, 0};
    weir_span_event const events[] = {event, bare};
    weir_span_link links[2] = {{sample_context(), &one, 1, 7}, {sample_context(), NULL, 0, 0}};
    links[0].context.remote = true;
    links[0].context.state = "b=2";
    weir_span_data span = sample_span("x");
    span.kind = WEIR_SPAN_CLIENT;
    span.status = WEIR_SPAN_ERROR;
    span.status_message = "no";
    span.attributes = &one;
    span.attribute_count = 1;
    span.dropped_attributes = 3;
    span.events = events;
    span.event_count = 2;
    span.dropped_events = 4;
    span.links = links;
    span.link_count = 2;
    span.dropped_links = 5;
    expect_span(&span,
                "{\"traceId\":\"" SAMPLE_TRACE_ID "\",\"spanId\":\"" SAMPLE_SPAN_ID
                "\",\"flags\":257,\"name\":\"x\",\"kind\":3,\"startTimeUnixNano\":"
                "\"1544712660000000000\",\"endTimeUnixNano\":\"1544712660001500000\","
                "\"attributes\":[{\"key\":\"k\",\"value\":{\"boolValue\":true}}],"
                "\"droppedAttributesCount\":3,\"events\":[{\"timeUnixNano\":\"5\","
                "\"name\":\"retry\",\"attributes\":[{\"key\":\"k\",\"value\":{\"boolValue\":"
                "true}}],\"droppedAttributesCount\":2},{\"timeUnixNano\":\"6\"}],"
                "\"droppedEventsCount\":4,\"links\":[{\"traceId\":\"" SAMPLE_TRACE_ID
                "\",\"spanId\":\"" SAMPLE_SPAN_ID "\",\"traceState\":\"b=2\",\"flags\":769,"
                "\"attributes\":[{\"key\":\"k\",\"value\":{\"boolValue\":true}}],"
                "\"droppedAttributesCount\":7},{\"traceId\":\"" SAMPLE_TRACE_ID
                "\",\"spanId\":\"" SAMPLE_SPAN_ID "\",\"flags\":257}],\"droppedLinksCount\":5,"
                "\"status\":{\"code\":2,\"message\":\"no\"}}");
}

static void an_ok_has_a_code_alone(void **state)
{
    (void)state;
    weir_span_data span = sample_span("x");
    span.status = WEIR_SPAN_OK;
    weir__otlp_span(&f.text, &span);
    assert_non_null(strstr(f.text.data, "\"status\":{\"code\":1}}"));
}

static void an_envelope_says_who_made_the_spans(void **state)
{
    (void)state;
    weir_span_data const span = sample_span("x");
    const weir_span_data *const spans[] = {&span};
    weir_span_batch batch = sample_batch(spans, 1);
    weir__otlp_open_spans(&f.text, &batch);
    weir__otlp_close_spans(&f.text);
    assert_string_equal(f.text.data, SAMPLE_OPEN SAMPLE_CLOSE);
    weir__text_clear(&f.text);
    batch.scope_name = "";
    batch.resource_count = 0;
    weir__otlp_open_spans(&f.text, &batch);
    assert_string_equal(f.text.data, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[]},"
                                     "\"scopeSpans\":[{\"scope\":{\"version\":\"1.2\"},"
                                     "\"spans\":[");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(integers_are_decimal_strings),
        TEST(doubles_are_numbers_and_what_json_lacks_strings),
        TEST(strings_are_escaped_and_bad_utf8_replaced),
        TEST(bytes_are_base64),
        TEST(arrays_are_lists_of_values),
        TEST(a_root_has_neither_parent_nor_state_nor_what_is_empty),
        TEST(flags_say_whether_the_parent_is_remote),
        TEST(a_full_span_says_all),
        TEST(an_ok_has_a_code_alone),
        TEST(an_envelope_says_who_made_the_spans),
    };
    return cmocka_run_group_tests_name("otlp_json", tests, NULL, NULL);
}

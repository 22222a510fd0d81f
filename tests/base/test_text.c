/* Text building: growth, sticky failure, and the escapes of JSON and Prometheus. */
#include "support/fake_env.h"

#include "base/text.h"

#include <string.h>
#include <wchar.h>

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

static void expect_json(const char *in, size_t size, const char *expected)
{
    weir__text_clear(&f.text);
    weir__text_json(&f.text, in, size);
    assert_string_equal(f.text.data, expected);
    assert_int_equal(f.text.size, strlen(expected));
}

#define EXPECT_JSON(literal, expected) expect_json(literal, sizeof(literal) - 1, expected)

static void is_empty_at_first_and_after_a_clear(void **state)
{
    (void)state;
    weir__text_clear(&f.text);
    assert_null(f.text.data);
    assert_true(weir__text_ok(&f.text));
    weir__text_bytes(&f.text, NULL, 0);
    assert_string_equal(f.text.data, "");
    weir__text_str(&f.text, "abc");
    weir__text_clear(&f.text);
    assert_string_equal(f.text.data, "");
    assert_int_equal(f.text.size, 0);
}

static void appends_strings_numbers_and_formats(void **state)
{
    (void)state;
    weir__text_str(&f.text, "a");
    weir__text_u64(&f.text, 0);
    weir__text_u64(&f.text, UINT64_MAX);
    weir__text_format(&f.text, "[%s %d]", "b", -1);
    assert_string_equal(f.text.data, "a018446744073709551615[b -1]");
    assert_int_equal(f.text.size, strlen(f.text.data));
}

static void grows_without_losing_a_byte(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        weir__text_str(&f.text, "0123456789");
    assert_int_equal(f.text.size, 10000);
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(f.text.data[i], '0' + (int)(i % 10));
    /* The last byte that fits, and the NUL behind it. */
    while (f.text.size + 1 < f.text.capacity)
        weir__text_str(&f.text, "x");
    unsigned const calls = f.fake.calls;
    weir__text_bytes(&f.text, "", 0);
    assert_int_equal(f.fake.calls, calls);
    weir__text_str(&f.text, "y");
    assert_int_equal(f.fake.calls, calls + 1);
}

static void the_first_failed_allocation_sticks(void **state)
{
    (void)state;
    weir__text_str(&f.text, "kept");
    f.fake.fail_at = f.fake.calls + 1;
    for (int i = 0; i < 50; i++)
        weir__text_str(&f.text, "0123456789");
    assert_false(weir__text_ok(&f.text));
    size_t const size = f.text.size;
    weir__text_format(&f.text, "%d", 1);
    weir__text_u64(&f.text, 1);
    assert_int_equal(f.text.size, size);
    assert_int_equal(f.text.data[size], '\0');
    weir__text_clear(&f.text);
    assert_true(weir__text_ok(&f.text));
    weir__text_str(&f.text, "again");
    assert_string_equal(f.text.data, "again");
    weir__text_bytes(&f.text, "", SIZE_MAX - 10); /* No such buffer, and no byte is read. */
    assert_false(weir__text_ok(&f.text));
    assert_string_equal(f.text.data, "again");
}

static void what_cannot_be_formatted_is_a_failure(void **state)
{
    (void)state;
    weir__text_format(&f.text, "%ls", (const wchar_t[]){0xd800, 0}); /* EILSEQ */
    assert_false(weir__text_ok(&f.text));
}

/* RFC 8259, section 7. */
static void hex_is_two_digits_a_byte(void **state)
{
    (void)state;
    unsigned char bytes[40] = {0x00, 0x9a, 0xff};
    weir__text_hex(&f.text, bytes, 3);
    assert_string_equal(f.text.data, "009aff");
    weir__text_clear(&f.text);
    weir__text_hex(&f.text, bytes, sizeof bytes);
    assert_int_equal(f.text.size, 80);
    assert_string_equal(f.text.data + 60, "00000000000000000000");
}

static void expect_double(double value, const char *expected)
{
    weir__text_clear(&f.text);
    weir__text_double(&f.text, value);
    assert_string_equal(f.text.data, expected);
}

static void a_double_is_as_short_as_reads_back_the_same(void **state)
{
    (void)state;
    expect_double(0, "0");
    expect_double(-3, "-3");
    expect_double(0.1, "0.1");
    expect_double(1.5, "1.5");
    expect_double(1e100, "1e+100");
    expect_double(0.1 + 0.2, "0.30000000000000004");       /* Needs all 17 digits. */
    expect_double(9007199254740993.0, "9007199254740992"); /* 2^53, needs 16. */
    expect_double(1.7976931348623157e308, "1.7976931348623157e+308");
    expect_double(5e-324, "4.94065645841247e-324");
}

static void json_escapes_what_it_must(void **state)
{
    (void)state;
    EXPECT_JSON("", "\"\"");
    EXPECT_JSON("plain /text/", "\"plain /text/\"");
    EXPECT_JSON("\"\\\b\f\n\r\t", "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    EXPECT_JSON("\0\x01\x0b\x1f\x20\x7f", "\"\\u0000\\u0001\\u000b\\u001f \x7f\"");
}

static void json_keeps_utf8(void **state)
{
    (void)state;
    EXPECT_JSON("\xc2\x80 \xdf\xbf", "\"\xc2\x80 \xdf\xbf\"");                 /* 80, 7ff */
    EXPECT_JSON("\xe0\xa0\x80 \xed\x9f\xbf", "\"\xe0\xa0\x80 \xed\x9f\xbf\""); /* 800, d7ff */
    EXPECT_JSON("\xee\x80\x80 \xef\xbf\xbf", "\"\xee\x80\x80 \xef\xbf\xbf\""); /* e000, ffff */
    EXPECT_JSON("\xf0\x90\x80\x80", "\"\xf0\x90\x80\x80\"");                   /* 10000 */
    EXPECT_JSON("\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"");                   /* 10ffff */
}

#define BAD "\xef\xbf\xbd"

/* One U+FFFD for each maximal subpart: Unicode 15, section 3.9, tables 3-8 to 3-11. */
static void json_replaces_what_is_not_utf8(void **state)
{
    (void)state;
    EXPECT_JSON("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", "\"" BAD BAD BAD BAD BAD BAD BAD BAD "A\"");
    EXPECT_JSON("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", "\"" BAD BAD BAD BAD BAD BAD BAD BAD "A\"");
    EXPECT_JSON("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", "\"" BAD BAD BAD BAD BAD "A" BAD BAD "B\"");
    EXPECT_JSON("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", "\"" BAD BAD BAD BAD "A\"");
    EXPECT_JSON("a\xc3", "\"a" BAD "\"");         /* Cut off at the end. */
    EXPECT_JSON("a\xf0\x9f\x98", "\"a" BAD "\""); /* Late. */
}

static void a_json_value_is_text_or_hex(void **state)
{
    (void)state;
    weir__text_json_value(&f.text, "a\"\xc3\xa9", 4);
    assert_string_equal(f.text.data, "\"value\":\"a\\\"\xc3\xa9\"");
    weir__text_clear(&f.text);
    weir__text_json_value(&f.text, "", 0);
    assert_string_equal(f.text.data, "\"value\":\"\"");
    weir__text_clear(&f.text);
    weir__text_json_value(&f.text, "a\x0f\xc3", 3);
    assert_string_equal(f.text.data, "\"hex\":\"610fc3\"");
    assert_true(weir__text_is_utf8("a\0\xc3\xa9", 4));
    assert_false(weir__text_is_utf8("a\xc3", 2));
    assert_false(weir__text_is_utf8("\xed\xa0\x80", 3)); /* A surrogate. */
}

static void a_label_escapes_backslash_quote_and_line_feed(void **state)
{
    (void)state;
    static const char in[] = "C:\\dir \"x\"\n\t";
    weir__text_label(&f.text, in, sizeof in - 1);
    assert_string_equal(f.text.data, "C:\\\\dir \\\"x\\\"\\n\t");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_empty_at_first_and_after_a_clear),
        TEST(appends_strings_numbers_and_formats),
        TEST(grows_without_losing_a_byte),
        TEST(the_first_failed_allocation_sticks),
        TEST(what_cannot_be_formatted_is_a_failure),
        TEST(hex_is_two_digits_a_byte),
        TEST(a_double_is_as_short_as_reads_back_the_same),
        TEST(json_escapes_what_it_must),
        TEST(json_keeps_utf8),
        TEST(json_replaces_what_is_not_utf8),
        TEST(a_json_value_is_text_or_hex),
        TEST(a_label_escapes_backslash_quote_and_line_feed),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}

/* Numbers, durations, sizes and percentages: values by hand, errors to the byte. */
#include "support/fake_env.h"

#include "base/number.h"

#include <inttypes.h>
#include <string.h>

#define MAX UINT64_MAX

static weir__number_error error;

static uint64_t u64(const char *text, uint64_t min, uint64_t max)
{
    uint64_t out = 77;
    error = (weir__number_error){.what = NULL};
    if (!weir__number_u64(text, strlen(text), min, max, &out, &error))
        assert_true(out == 77);
    return out;
}

static uint64_t duration(const char *text, uint64_t min, uint64_t max)
{
    uint64_t out = 77;
    error = (weir__number_error){.what = NULL};
    if (!weir__number_duration(text, strlen(text), min, max, &out, &error))
        assert_true(out == 77);
    return out;
}

static uint64_t size(const char *text, uint64_t min, uint64_t max)
{
    uint64_t out = 77;
    error = (weir__number_error){.what = NULL};
    if (!weir__number_size(text, strlen(text), min, max, &out, &error))
        assert_true(out == 77);
    return out;
}

static uint64_t percent(const char *text)
{
    uint32_t out = 77;
    error = (weir__number_error){.what = NULL};
    if (!weir__number_percent(text, strlen(text), &out, &error))
        assert_true(out == 77);
    return out;
}

static void expect_result(uint64_t value, uint64_t expected, int line)
{
    if (error.what != NULL)
        fail_msg("line %d: %s at %zu", line, error.what, error.at);
    if (value != expected)
        fail_msg("line %d: %" PRIu64 " instead of %" PRIu64, line, value, expected);
}

static void expect_problem(const char *what, size_t at, int line)
{
    if (error.what == NULL || strcmp(error.what, what) != 0 || error.at != at)
        fail_msg("line %d: %s at %zu", line, error.what != NULL ? error.what : "no error",
                 error.at);
}

#define EXPECT(call, value)          expect_result(call, value, __LINE__)
#define EXPECT_ERROR(call, what, at) ((void)(call), expect_problem(what, at, __LINE__))

static void reads_plain_numbers(void **state)
{
    (void)state;
    EXPECT(u64("0", 0, MAX), 0);
    EXPECT(u64("007", 0, MAX), 7);
    EXPECT(u64("18446744073709551615", 0, MAX), MAX);
    EXPECT(u64("5", 5, 5), 5);
}

static void says_what_is_wrong_with_a_number_and_where(void **state)
{
    (void)state;
    EXPECT_ERROR(u64("", 0, MAX), "expected a digit", 0);
    EXPECT_ERROR(u64(" 1", 0, MAX), "expected a digit", 0);
    EXPECT_ERROR(u64("+1", 0, MAX), "expected a digit", 0);
    EXPECT_ERROR(u64("-1", 0, MAX), "expected a digit", 0);
    EXPECT_ERROR(u64("12x", 0, MAX), "expected a digit", 2);
    EXPECT_ERROR(u64("12 ", 0, MAX), "expected a digit", 2);
    EXPECT_ERROR(u64("18446744073709551616", 0, MAX), "too large", 0);
    EXPECT_ERROR(u64("99999999999999999999", 0, MAX), "too large", 0);
    EXPECT_ERROR(u64("99999999999999999999x", 0, MAX), "expected a digit", 20);
    EXPECT_ERROR(u64("6", 0, 5), "too large", 0);
    EXPECT_ERROR(u64("4", 5, 9), "too small", 0);
}

static void reads_durations(void **state)
{
    (void)state;
    EXPECT(duration("0", 0, MAX), 0);
    EXPECT(duration("0s", 0, MAX), 0);
    EXPECT(duration("1ns", 0, MAX), 1);
    EXPECT(duration("2us", 0, MAX), 2000);
    EXPECT(duration("250ms", 0, MAX), 250000000);
    EXPECT(duration("1.5s", 0, MAX), 1500000000);
    EXPECT(duration("1m30s", 0, MAX), UINT64_C(90000000000));
    EXPECT(duration("1d2h3m4s5ms6us7ns", 0, MAX), UINT64_C(93784005006007));
    EXPECT(duration("0.000000001s", 0, MAX), 1);
    EXPECT(duration("1.0000000000000s", 0, MAX), 1000000000);
    EXPECT(duration("0.00001h", 0, MAX), 36000000);
    EXPECT(duration("0.125us", 0, MAX), 125);
    EXPECT(duration("18446744073709551615ns", 0, MAX), MAX);
    EXPECT(duration("18446744073.709551615s", 0, MAX), MAX);
}

static void says_what_is_wrong_with_a_duration_and_where(void **state)
{
    (void)state;
    EXPECT_ERROR(duration("", 0, MAX), "expected a digit", 0);
    EXPECT_ERROR(duration("ms", 0, MAX), "expected a digit", 0);
    EXPECT_ERROR(duration("00", 0, MAX), "expected a unit", 2);
    EXPECT_ERROR(duration("5", 0, MAX), "expected a unit", 1);
    EXPECT_ERROR(duration("1.5", 0, MAX), "expected a unit", 3);
    EXPECT_ERROR(duration("1.s", 0, MAX), "expected a digit", 2);
    EXPECT_ERROR(duration("1.", 0, MAX), "expected a digit", 2);
    EXPECT_ERROR(duration("1x", 0, MAX), "unknown unit", 1);
    EXPECT_ERROR(duration("1n", 0, MAX), "unknown unit", 1);
    EXPECT_ERROR(duration("1M", 0, MAX), "unknown unit", 1);
    EXPECT_ERROR(duration("1s ", 0, MAX), "expected a digit", 2);
    EXPECT_ERROR(duration("1 s", 0, MAX), "unknown unit", 1);
    EXPECT_ERROR(duration("1sec", 0, MAX), "expected a digit", 2);
    EXPECT_ERROR(duration("1m1h", 0, MAX), "units must fall", 3);
    EXPECT_ERROR(duration("1m1m", 0, MAX), "units must fall", 3);
    EXPECT_ERROR(duration("1m5", 0, MAX), "expected a unit", 3);
    EXPECT_ERROR(duration("0.5ns", 0, MAX), "finer than a nanosecond", 2);
    EXPECT_ERROR(duration("1.0005us2ns", 0, MAX), "finer than a nanosecond", 5);
    EXPECT_ERROR(duration("18446744073709551616ns", 0, MAX), "too large", 0);
    EXPECT_ERROR(duration("18446744073.709551616s", 0, MAX), "too large", 0);
    EXPECT_ERROR(duration("18446744073s709551616ns", 0, MAX), "too large", 0);
    EXPECT_ERROR(duration("18446744074s", 0, MAX), "too large", 0);
    EXPECT_ERROR(duration("999999999999d", 0, MAX), "too large", 0);
    EXPECT_ERROR(duration("99999999999999999999s", 0, MAX), "too large", 0);
    EXPECT_ERROR(duration("2s", 0, 1000000000), "too large", 0);
    EXPECT_ERROR(duration("0", 1, MAX), "too small", 0);
}

static void reads_sizes(void **state)
{
    (void)state;
    EXPECT(size("0", 0, MAX), 0);
    EXPECT(size("1500", 0, MAX), 1500);
    EXPECT(size("8k", 0, MAX), 8192);
    EXPECT(size("8K", 0, MAX), 8192);
    EXPECT(size("3m", 0, MAX), 3145728);
    EXPECT(size("3M", 0, MAX), 3145728);
    EXPECT(size("1g", 0, MAX), 1073741824);
    EXPECT(size("2G", 0, MAX), UINT64_C(2147483648));
}

static void says_what_is_wrong_with_a_size_and_where(void **state)
{
    (void)state;
    EXPECT_ERROR(size("", 0, MAX), "expected a digit", 0);
    EXPECT_ERROR(size("k", 0, MAX), "expected a digit", 0);
    EXPECT_ERROR(size("1t", 0, MAX), "unknown unit", 1);
    EXPECT_ERROR(size("1.5k", 0, MAX), "unknown unit", 1);
    EXPECT_ERROR(size("12kb", 0, MAX), "expected the end", 3);
    EXPECT_ERROR(size("17179869184g", 0, MAX), "too large", 0); /* 2^34 of 2^30. */
    EXPECT_ERROR(size("2k", 0, 2047), "too large", 0);
    EXPECT_ERROR(size("2k", 2049, MAX), "too small", 0);
}

static void reads_percentages(void **state)
{
    (void)state;
    EXPECT(percent("0%"), 0);
    EXPECT(percent("50%"), 50000);
    EXPECT(percent("12.5%"), 12500);
    EXPECT(percent("0.001%"), 1);
    EXPECT(percent("99.9990%"), 99999);
    EXPECT(percent("100.0%"), 100000);
}

static void says_what_is_wrong_with_a_percentage_and_where(void **state)
{
    (void)state;
    EXPECT_ERROR(percent(""), "expected a digit", 0);
    EXPECT_ERROR(percent("%"), "expected a digit", 0);
    EXPECT_ERROR(percent("50"), "expected %", 2);
    EXPECT_ERROR(percent("50 %"), "expected %", 2);
    EXPECT_ERROR(percent("5.%"), "expected a digit", 2);
    EXPECT_ERROR(percent("50%%"), "expected the end", 3);
    EXPECT_ERROR(percent("0.0015%"), "finer than a thousandth", 5);
    EXPECT_ERROR(percent("100.001%"), "too large", 0);
    EXPECT_ERROR(percent("99999999999999999999%"), "too large", 0);
    EXPECT_ERROR(percent("18446744073709551615%"), "too large", 0);
}

static size_t ranges_of(const char *text, weir__number_range *out)
{
    return weir__number_ranges(text, strlen(text), 200, 599, out, 3, &error);
}

static void reads_ranges(void **state)
{
    (void)state;
    weir__number_range got[3];
    assert_int_equal(ranges_of("204", got), 1);
    assert_int_equal(got[0].low, 204);
    assert_int_equal(got[0].high, 204);
    assert_int_equal(ranges_of("200-299,401,500-599", got), 3);
    assert_int_equal(got[0].high, 299);
    assert_int_equal(got[1].low, 401);
    assert_int_equal(got[2].low, 500);
    assert_int_equal(got[2].high, 599);
}

static void says_where_a_range_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
    } cases[] = {{"", 0},     {"x", 0},       {"199", 0},      {"600", 0},
                 {"200-", 4}, {"-200", 0},    {"299-200", 4},  {"200,", 4},
                 {",200", 0}, {"200,x", 4},   {"20x", 2},      {"200-29x", 6},
                 {"1,2", 0},  {"200 201", 3}, {"200,201-", 8}, {"200,201,202,203", 12}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir__number_range got[3];
        error.what = NULL;
        assert_int_equal(ranges_of(cases[i].text, got), 0);
        assert_non_null(error.what);
        assert_int_equal(error.at, cases[i].at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_plain_numbers),
        cmocka_unit_test(says_what_is_wrong_with_a_number_and_where),
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(says_what_is_wrong_with_a_duration_and_where),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(says_what_is_wrong_with_a_size_and_where),
        cmocka_unit_test(reads_percentages),
        cmocka_unit_test(says_what_is_wrong_with_a_percentage_and_where),
        cmocka_unit_test(reads_ranges),
        cmocka_unit_test(says_where_a_range_is_wrong),
    };
    return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}

/* Retry-After: seconds, and dates in the three forms of RFC 9110, 5.6.7. */
#include "support/fake_env.h"

#include "otlp/otlp.h"

#include <string.h>

#define S       UINT64_C(1000000000)
#define NOW_S   UINT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT, as in the RFC. */
#define NOTHING UINT64_C(0)

static void expect_s(const char *text, uint64_t seconds)
{
    uint64_t const after_ns = weir__otlp_retry_after_ns(text, strlen(text), NOW_S * S);
    if (after_ns != seconds * S)
        fail_msg("%s: %llu ns", text, (unsigned long long)after_ns);
}

static void seconds_are_seconds(void **state)
{
    (void)state;
    expect_s("0", 0);
    expect_s("120", 120);
    expect_s("86400", 86400);
    expect_s("", NOTHING);
    expect_s("-1", NOTHING);
    expect_s("1.5", NOTHING);
    expect_s("1 s", NOTHING);
    static const char *const endless[] = {"18446744074", "18446744073709551615",
                                          "99999999999999999999999"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(weir__otlp_retry_after_ns(endless[i], strlen(endless[i]), NOW_S * S),
                         WEIR_NEVER);
}

static void each_form_of_a_date_is_read(void **state)
{
    (void)state;
    expect_s("Sun, 06 Nov 1994 08:49:38 GMT", 1);
    expect_s("Sunday, 06-Nov-94 08:49:38 GMT", 1);
    expect_s("Sun Nov  6 08:49:38 1994", 1);
    expect_s("Wed Nov 16 08:49:37 1994", 10 * 86400);
    expect_s("Sun, 06 Nov 1994 08:49:37 GMT", NOTHING); /* It is now. */
    expect_s("Sun, 06 Nov 1994 08:49:36 GMT", NOTHING);
    expect_s("Sun, 06 Nov 1994 23:59:60 GMT", 54623); /* A leap second. */
}

/* From `date -u -d ... +%s`: 2000-02-29 is a day, and 1999-03-01 and 2100-03-01 follow on 28. */
static void years_have_the_days_they_have(void **state)
{
    (void)state;
    expect_s("Tue, 29 Feb 2000 00:00:00 GMT", 951782400 - NOW_S);
    expect_s("Wed, 01 Mar 2000 00:00:00 GMT", 951868800 - NOW_S);
    expect_s("Mon, 01 Mar 1999 00:00:00 GMT", 920246400 - NOW_S);
    expect_s("Mon, 01 Mar 2100 00:00:00 GMT", 4107542400 - NOW_S);
    expect_s("Thu, 31 Dec 2026 23:59:59 GMT", 1798761599 - NOW_S);
}

/* RFC 9110: more than 50 years ahead is the century before. */
static void two_digits_are_a_year_within_fifty(void **state)
{
    (void)state;
    expect_s("Friday, 01-Jan-44 00:00:00 GMT", 2335219200 - NOW_S);
    expect_s("Monday, 01-Jan-45 00:00:00 GMT", NOTHING); /* 1945. */
    expect_s("Saturday, 01-Jan-00 00:00:00 GMT", 946684800 - NOW_S);
    expect_s("Thursday, 01-Jan-43 00:00:00 GMT", 2303683200 - NOW_S);
    expect_s("Thursday, 01-Jan-70 00:00:00 GMT", NOTHING);
}

static void what_is_no_date_says_nothing(void **state)
{
    (void)state;
    static const char good[] = "Mon, 07 Nov 1994 08:49:37 GMT";
    static const char short_year[] = "Monday, 07-Nov-94 08:49:37 GMT";
    static const char c_form[] = "Mon Nov  7 08:49:37 1994";
    static const char *const forms[] = {good, short_year, c_form};
    for (size_t form = 0; form < 3; form++) {
        size_t const size = strlen(forms[form]);
        expect_s(forms[form], 86400);
        for (size_t i = 0; i < size; i++) {
            char broken[40];
            assert_int_equal(weir__otlp_retry_after_ns(forms[form], i, NOW_S * S), NOTHING);
            memcpy(broken, forms[form], size + 1);
            if (i < strcspn(broken, ", "))
                continue; /* The day of the week is believed. */
            broken[i] = '!';
            expect_s(broken, NOTHING);
        }
    }
    expect_s("Mon, 07 Nov 1994 24:00:00 GMT", NOTHING);
    expect_s("Mon, 07 Nov 1994 08:60:00 GMT", NOTHING);
    expect_s("Mon, 07 Nov 1994 08:49:61 GMT", NOTHING);
    expect_s("Mon, 00 Nov 1995 08:49:37 GMT", NOTHING);
    expect_s("Mon, 32 Nov 1995 08:49:37 GMT", NOTHING);
    expect_s("Mon, 07-Nov-1995 08:49:37 GMT", NOTHING);
    expect_s("Mon, 07 Nov 1995 08:49:37 GMT and then some more", NOTHING);
    expect_s("Mon, 07 Nov 1995 08:49:37 CET", NOTHING);
    expect_s("tomorrow", NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_are_seconds),
        cmocka_unit_test(each_form_of_a_date_is_read),
        cmocka_unit_test(years_have_the_days_they_have),
        cmocka_unit_test(two_digits_are_a_year_within_fifty),
        cmocka_unit_test(what_is_no_date_says_nothing),
    };
    return cmocka_run_group_tests_name("retry_after", tests, NULL, NULL);
}

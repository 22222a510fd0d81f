/* Semantic versions 2.0.0 and ranges of them; expectations by its section 11 and node-semver's
 * documentation of ranges, but for prereleases, which go by order alone. */
#include "support/fake_env.h"

#include <weir/registry.h>

#include <stdio.h>
#include <string.h>

static bool matches(const char *range, const char *version)
{
    bool match = false;
    assert_int_equal(weir_version_match(range, version, &match), WEIR_OK);
    return match;
}

static void versions_are_ordered_as_section_11_says(void **state)
{
    (void)state;
    static const char *const rising[] = {
        "0.0.0-0",
        "0.0.0",
        "0.0.1",
        "0.1.0",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.2.0",
        "1.10.0",
        "2.0.0",
        "2.1.0",
        "2.1.1",
        "10.0.0",
        "10.0.0+x",
    };
    size_t const count = sizeof rising / sizeof rising[0] - 1;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            char range[32];
            (void)snprintf(range, sizeof range, "<%s", rising[j]);
            assert_int_equal(matches(range, rising[i]), i < j);
            (void)snprintf(range, sizeof range, ">= %s", rising[j]);
            assert_int_equal(matches(range, rising[i]), i >= j);
            (void)snprintf(range, sizeof range, "<=%s", rising[j]);
            assert_int_equal(matches(range, rising[i]), i <= j);
            (void)snprintf(range, sizeof range, ">v%s", rising[j]);
            assert_int_equal(matches(range, rising[i]), i > j);
            (void)snprintf(range, sizeof range, "=%s", rising[j]);
            assert_int_equal(matches(range, rising[i]), i == j);
        }
    assert_true(matches("10.0.0", rising[count])); /* Build metadata does not count. */
}

static void ranges_mean_what_they_mean_to_others(void **state)
{
    (void)state;
    static const struct {
        const char *range, *in, *out;
    } rows[] = {
        {"^1.2.3", "1.2.3 1.2.4 1.9.0 v1.3", "1.2.2 2.0.0 0.9.0 2.0.0-rc.1 1.2.3-rc.1"},
        {"^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2 0.3.0-0"},
        {"^0.0.3", "0.0.3", "0.0.4 0.0.2"},
        {"^0.0.0", "0.0.0", "0.0.1"},
        {"^1", "1.0.0 1.9.9 1", "2.0.0 0.9.9"},
        {"^0", "0.0.0 0.9.9", "1.0.0"},
        {"^0.0", "0.0.0 0.0.9", "0.1.0"},
        {"^1.2.3-beta.2", "1.2.3-beta.4 1.2.3 1.8.0", "1.2.3-beta.1 2.0.0"},
        {"~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"},
        {"~1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"},
        {"~1", "1.0.0 1.9.9", "2.0.0 0.9.9"},
        {"1.2.x", "1.2.0 1.2.9", "1.3.0 1.1.9 1.3.0-rc.1"},
        {"1.X", "1.0.0 1.9.9", "2.0.0"},
        {"1.*.*", "1.0.0 1.9.9", "2.0.0"},
        {"1", "1.0.0 1.9.9", "2.0.0 0.9.9"},
        {"=1.2", "1.2.0 1.2.7", "1.3.0"},
        {">1.2", "1.3.0 2.0.0", "1.2.9 1.2.0"},
        {">1", "2.0.0", "1.9.9"},
        {">=1.2", "1.2.0 9.0.0", "1.1.9"},
        {"<1.2", "1.1.9 1.2.0-rc.1", "1.2.0"},
        {"<=1.2", "1.2.9 1.1.0", "1.3.0 1.3.0-rc.1"},
        {">=1.2 <2", "1.2.0 1.9.9", "2.0.0 1.1.9"},
        {" >= 1.2\t< 1.4.1 ", "1.2.0 1.4.0", "1.4.1"},
        {"<1 || >=2", "0.9.0 2.0.0", "1.0.0 1.9.9"},
        {"1.0.0||3.x", "1.0.0 3.9.0", "1.0.1 2.0.0"},
        {">x", "", "1.0.0"},
        {"<*", "", "0.0.0"},
        {">=*", "1.0.0", ""},
        {"^x || <0.1", "1.0.0 0.0.1", ""},
        {"1.2.3-x.7.z.92", "1.2.3-x.7.z.92+b-1", "1.2.3-x.7.z 1.2.3"},
        {"1.0.0-01", "1.0.0-1", "1.0.0-10"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int in = 0; in < 2; in++) {
            char list[128];
            (void)snprintf(list, sizeof list, "%s", in ? rows[i].in : rows[i].out);
            for (char *next = NULL, *version = strtok_r(list, " ", &next); version != NULL;
                 version = strtok_r(NULL, " ", &next))
                if (matches(rows[i].range, version) != in)
                    fail_msg("\"%s\" and \"%s\"", rows[i].range, version);
        }
}

static void what_is_no_version_matches_only_every_range(void **state)
{
    (void)state;
    static const char *const none[] = {"",
                                       "latest",
                                       "1.2.3.4",
                                       "1..2",
                                       "1.2.3-",
                                       "1.2.3-a..b",
                                       "1.2.3+",
                                       "1.x",
                                       "-1",
                                       "1.2.3 ",
                                       "99999999999999999999",
                                       "1.",
                                       "1-rc"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_false(matches(">=0.0.0-0", none[i]));
        assert_true(matches("*", none[i]));
        assert_true(matches("", none[i]));
        assert_true(matches("1 ||", none[i]));
    }
    assert_false(matches("1", NULL));
}

static void what_is_no_range_is_refused(void **state)
{
    (void)state;
    static const char *const none[] = {"a",     "1.2.3.4", ">",
                                       "> > 1", "1 | 2",   "1,2",
                                       "1 |",   "^",       "1.2.x.3",
                                       "x.1",   "1.x.3",   "1-2",
                                       "!1",    "=>1",     "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"};
    bool match = true;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        if (weir_version_match(none[i], "1.0.0", &match) != WEIR_EINVAL || match)
            fail_msg("\"%s\"", none[i]);
    assert_int_equal(weir_version_match(NULL, "1.0.0", &match), WEIR_EINVAL);
    assert_true(matches("1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "1.0.0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_ordered_as_section_11_says),
        cmocka_unit_test(ranges_mean_what_they_mean_to_others),
        cmocka_unit_test(what_is_no_version_matches_only_every_range),
        cmocka_unit_test(what_is_no_range_is_refused),
    };
    return cmocka_run_group_tests_name("registry_versions", tests, NULL, NULL);
}

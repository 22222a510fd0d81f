#include "base/search.h"

#include "support/fake_env.h"

#include <string.h>

static bool finds(const char *pattern, const char *text, size_t part)
{
    weir__search search;
    weir__search_init(&search, pattern, strlen(pattern));
    bool found = weir__search_feed(&search, NULL, 0);
    for (size_t at = 0; at < strlen(text); at += part)
        found = weir__search_feed(&search, text + at,
                                  strlen(text) - at < part ? strlen(text) - at : part);
    return found;
}

/* Whatever the parts that the text comes in, as strstr() says of the whole. */
static void finds_what_strstr_finds(void **state)
{
    (void)state;
    static const char *const patterns[] = {"", "a", "ab", "aab", "aabaab", "abcabd", "zz"};
    static const char *const texts[] = {"",          "a",       "aaab",      "aabaaab",
                                        "aabaabaab", "abcabca", "abcabcabd", "bbaabaaaab",
                                        "zaz",       "azz"};
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++)
            for (size_t part = 1; part <= 4; part++)
                assert_int_equal(finds(patterns[i], texts[j], part),
                                 strstr(texts[j], patterns[i]) != NULL);
}

static void what_was_found_stays_found_until_restarted(void **state)
{
    (void)state;
    weir__search search;
    weir__search_init(&search, "ok", 2);
    assert_true(weir__search_feed(&search, "ok", 2));
    assert_true(weir__search_feed(&search, "nothing", 7));
    weir__search_restart(&search);
    assert_false(weir__search_feed(&search, "nothing", 7));
}

static void takes_the_longest_pattern_and_any_byte(void **state)
{
    (void)state;
    unsigned char bytes[WEIR__SEARCH_MAX];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(255 - i);
    weir__search search;
    weir__search_init(&search, bytes, sizeof bytes);
    assert_false(weir__search_feed(&search, bytes, sizeof bytes - 1));
    assert_true(weir__search_feed(&search, bytes + sizeof bytes - 1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_strstr_finds),
        cmocka_unit_test(what_was_found_stays_found_until_restarted),
        cmocka_unit_test(takes_the_longest_pattern_and_any_byte),
    };
    return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}

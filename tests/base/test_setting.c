/* Values of environment variables: booleans, numbers and lists as OpenTelemetry reads them. */
#include "support/fake_env.h"

#include "base/setting.h"

#include <string.h>

static void true_in_any_case_is_true_and_all_else_false(void **state)
{
    (void)state;
    assert_true(weir__setting_bool("true"));
    assert_true(weir__setting_bool("\tTrUe "));
    assert_false(weir__setting_bool(""));
    assert_false(weir__setting_bool("1"));
    assert_false(weir__setting_bool("tru"));
    assert_false(weir__setting_bool("true1"));
}

static void numbers_have_blanks_around_alone(void **state)
{
    (void)state;
    uint64_t number = 7;
    double real = 7;
    assert_true(weir__setting_u64(" 512 ", 1, 1000, &number));
    assert_int_equal(number, 512);
    assert_false(weir__setting_u64("0", 1, 1000, &number));
    assert_false(weir__setting_u64("1001", 1, 1000, &number));
    assert_false(weir__setting_u64("5 1", 1, 1000, &number));
    assert_false(weir__setting_u64("", 1, 1000, &number));
    assert_true(weir__setting_double(" 0.25", &real));
    assert_true(real == 0.25);
    assert_false(weir__setting_double("half", &real));
    assert_false(weir__setting_double("0.5x", &real));
    assert_false(weir__setting_double("", &real));
    assert_true(real == 0.25);
}

static void a_list_is_keys_and_values_decoded(void **state)
{
    (void)state;
    fake_env fake = {0};
    weir_env const env = fake_env_hooks(&fake);
    weir__text out;
    size_t count;
    weir__text_init(&out, &env);
    assert_null(weir__setting_list(" a = 1 , ,b%2C=%e2%82%AC=,", &out, &count));
    assert_int_equal(count, 2);
    assert_int_equal(out.size, sizeof "a\0001\0b,\0\xe2\x82\xac=");
    assert_memory_equal(out.data, "a\0001\0b,\0\xe2\x82\xac=", out.size);
    weir__text_clear(&out);
    assert_null(weir__setting_list("", &out, &count));
    assert_int_equal(count, 0);
    assert_string_equal(weir__setting_list("a", &out, &count), "an entry without =");
    weir__text_free(&out);
    assert_int_equal(fake.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(true_in_any_case_is_true_and_all_else_false),
        cmocka_unit_test(numbers_have_blanks_around_alone),
        cmocka_unit_test(a_list_is_keys_and_values_decoded),
    };
    return cmocka_run_group_tests_name("setting", tests, NULL, NULL);
}

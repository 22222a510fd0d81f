/* The environment: defaults, options of other versions, and names for results. */
#include "support/fake_env.h"

#include "base/env.h"

#include <string.h>

static void fills_every_hook_that_is_missing(void **state)
{
    (void)state;
    weir_env env;
    assert_int_equal(weir__env_load(&env, NULL), WEIR_OK);
    void *ptr = weir__alloc(&env, 16);
    assert_non_null(ptr);
    ptr = weir__resize(&env, ptr, 16, 64);
    assert_non_null(ptr);
    weir__free(&env, ptr, 64);
    uint64_t const before_ns = weir__now_ns(&env);
    weir__sleep_ns(&env, 1);
    assert_true(weir__now_ns(&env) > before_ns);
    assert_true(weir__wall_ns(&env) > UINT64_C(1700000000) * WEIR__NS_PER_S);
    assert_int_not_equal(weir__random(&env), weir__random(&env));
}

static void keeps_the_hooks_that_are_given(void **state)
{
    (void)state;
    fake_env fake = {.now_ns = 7, .wall_ns = 8, .random = 9};
    weir_env const hooks = fake_env_hooks(&fake);
    weir_env env;
    assert_int_equal(weir__env_load(&env, &hooks), WEIR_OK);
    assert_int_equal(weir__now_ns(&env), 7);
    assert_int_equal(weir__wall_ns(&env), 8);
    assert_int_equal(weir__random(&env), 9);
    weir__sleep_ns(&env, 5);
    assert_int_equal(weir__now_ns(&env), 12);
}

static void refuses_an_environment_it_does_not_know(void **state)
{
    (void)state;
    struct {
        weir_env known;
        void *unknown;
    } newer = {WEIR_ENV_INIT, &newer};
    newer.known.struct_size = sizeof newer;
    weir_env env;
    assert_int_equal(weir__env_load(&env, &newer.known), WEIR_EINVAL);
    newer.unknown = NULL;
    assert_int_equal(weir__env_load(&env, &newer.known), WEIR_OK);
    assert_int_equal(env.struct_size, sizeof env);
}

static void an_older_caller_keeps_our_defaults(void **state)
{
    (void)state;
    struct {
        size_t struct_size;
        int first, second;
    } options = {sizeof options, 1, 2};
    struct {
        size_t struct_size;
        int first;
    } const older = {sizeof older, 5};
    size_t const size = offsetof(__typeof__(options), second);
    assert_int_equal(weir__options_load(&options, sizeof options, &older, size), WEIR_OK);
    assert_int_equal(options.first, 5);
    assert_int_equal(options.second, 2);
    assert_int_equal(weir__options_load(&options, sizeof options, &older, 3), WEIR_EINVAL);
}

static void times_saturate_at_never(void **state)
{
    (void)state;
    assert_int_equal(weir__add_ns(2, 3), 5);
    assert_int_equal(weir__add_ns(WEIR_NEVER - 1, 2), WEIR_NEVER);
    assert_int_equal(weir__mul_ns(2, 3), 6);
    assert_int_equal(weir__mul_ns(WEIR_NEVER / 2, 3), WEIR_NEVER);
    assert_int_equal(weir__mul_ns(7, 0), 0);
}

static void every_result_and_outcome_has_a_name(void **state)
{
    (void)state;
    for (int code = 0; code >= WEIR_EEXISTS; code--) {
        assert_string_not_equal(weir_strerror(code), "unknown error");
        for (int other = 0; other > code; other--)
            assert_string_not_equal(weir_strerror(code), weir_strerror(other));
    }
    assert_string_equal(weir_strerror(WEIR_EEXISTS - 1), "unknown error");
    assert_string_equal(weir_strerror(1), "unknown error");
    for (int outcome = WEIR_SUCCESS; outcome <= WEIR_CANCELLED; outcome++)
        assert_string_not_equal(weir_outcome_name((weir_outcome)outcome), "unknown");
    assert_string_equal(weir_outcome_name((weir_outcome)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_every_hook_that_is_missing),
        cmocka_unit_test(keeps_the_hooks_that_are_given),
        cmocka_unit_test(refuses_an_environment_it_does_not_know),
        cmocka_unit_test(an_older_caller_keeps_our_defaults),
        cmocka_unit_test(times_saturate_at_never),
        cmocka_unit_test(every_result_and_outcome_has_a_name),
    };
    return cmocka_run_group_tests_name("env", tests, NULL, NULL);
}

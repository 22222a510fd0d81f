/* Real functions: constants from the tables, identities, and the ends of the range. */
#include "support/fake_env.h"

#include "base/real.h"
#include "base/rng.h"

#include <float.h>

static double absolute(double x)
{
    return x < 0 ? -x : x;
}

static bool near(double actual, double expected, double error)
{
    return absolute(actual - expected) <= error * absolute(expected);
}

static bool is_nan(double x)
{
    return x != x;
}

static bool is_same(double a, double b)
{
    return weir__real_bits(a) == weir__real_bits(b);
}

static void powers_of_two_are_exact(void **state)
{
    (void)state;
    assert_true(weir__exp2(0) == 1.0);
    assert_true(weir__exp2(10) == 1024.0);
    assert_true(weir__exp2(-3) == 0.125);
    assert_true(weir__exp2(1023) == 0x1p1023);
    assert_true(weir__exp2(-1022) == DBL_MIN);
    assert_true(weir__exp2(-1074) == 0x1p-1074);
    for (int i = -1000; i <= 1000; i++)
        assert_true(weir__log2(weir__exp2(i)) == i);
}

static void exp2_knows_the_roots_of_two(void **state)
{
    (void)state;
    assert_true(near(weir__exp2(0.5), 1.41421356237309504880, 2e-13));
    assert_true(near(weir__exp2(-0.5), 0.70710678118654752440, 2e-13));
    assert_true(near(weir__exp2(1.0 / 12), 1.05946309435929526456, 2e-13));
    assert_true(near(weir__exp2(0.25), 1.18920711500272106672, 2e-13));
    assert_true(near(weir__exp2(100.5), 0x1p100 * 1.41421356237309504880, 2e-13));
}

static void log2_knows_the_primes(void **state)
{
    (void)state;
    assert_true(near(weir__log2(3), 1.58496250072115618146, 1e-13));
    assert_true(near(weir__log2(5), 2.32192809488736234787, 1e-13));
    assert_true(near(weir__log2(7), 2.80735492205760410744, 1e-13));
    assert_true(near(weir__log2(10), 3.32192809488736234787, 1e-13));
    assert_true(near(weir__log2(1.0 / 3), -1.58496250072115618146, 1e-13));
    assert_true(near(weir__log2(0x3p-1074), 1.58496250072115618146 - 1074, 1e-13));
}

/* ln (1 + t) = t - t^2 / 2 + t^3 / 3 - ...: around 1 the logarithm is small, and still right. */
static void log2_is_right_around_one(void **state)
{
    (void)state;
    double const t = 0x1p-30, log2_e = 1.442695040888963407360;
    assert_true(near(weir__log2(1 + t), log2_e * (t - t * t / 2), 1e-13));
    assert_true(near(weir__log2(1 - t), log2_e * (-t - t * t / 2), 1e-13));
    assert_true(weir__log2(1) == 0.0);
}

static void exp_knows_e(void **state)
{
    (void)state;
    assert_true(weir__exp(0) == 1.0);
    assert_true(near(weir__exp(1), 2.71828182845904523536, 1e-12));
    assert_true(near(weir__exp(-1), 0.36787944117144232160, 1e-12));
    assert_true(near(weir__exp(10), 22026.4657948067165170, 1e-12));
    assert_true(near(weir__exp(0.69314718055994530942), 2.0, 1e-12));
    assert_true(near(weir__exp(-700), 9.85967654375977385e-305, 1e-12));
}

static void pow_knows_powers_and_roots(void **state)
{
    (void)state;
    assert_true(near(weir__pow(3, 4), 81, 1e-10));
    assert_true(near(weir__pow(10, -3), 0.001, 1e-10));
    assert_true(near(weir__pow(27, 1.0 / 3), 3, 1e-10));
    assert_true(near(weir__pow(10, 300), 1e300, 1e-10));
    assert_true(near(weir__pow(10, -300), 1e-300, 1e-10));
    assert_true(near(weir__pow(0.5, 0.5), 0.70710678118654752440, 1e-10));
    assert_true(weir__pow(7, 0) == 1.0);
    assert_true(weir__pow(1, 12345.6) == 1.0);
}

static void roots_of_squares_are_exact(void **state)
{
    (void)state;
    for (int i = 0; i <= 2000; i++)
        assert_true(weir__sqrt((double)i * i) == i);
    assert_true(weir__sqrt(0.25) == 0.5);
    assert_true(weir__sqrt(0x1p-1074) == 0x1p-537);
    assert_true(weir__sqrt(0x1p1022) == 0x1p511);
    assert_true(near(weir__sqrt(2), 1.41421356237309504880, 3e-16));
    assert_true(near(weir__sqrt(3), 1.73205080756887729353, 3e-16));
    assert_true(near(weir__sqrt(DBL_MAX), 0x1p512, 3e-16));
}

/* 2^(a + b) = 2^a 2^b, log2 undoes exp2, a root squared: over the whole range. */
static void identities_hold_everywhere(void **state)
{
    (void)state;
    weir__rng rng;
    weir__rng_seed(&rng, 1);
    for (int i = 0; i < 100000; i++) {
        double const a = weir__rng_unit(&rng) * 1000 - 500;
        double const b = weir__rng_unit(&rng) * 1000 - 500;
        assert_true(near(weir__exp2(a) * weir__exp2(b), weir__exp2(a + b), 6e-13));
        assert_true(absolute(weir__log2(weir__exp2(a)) - a) <= 5e-13);
        assert_true(near(weir__exp2(weir__log2(weir__exp2(a))), weir__exp2(a), 6e-13));
        double const root = weir__sqrt(weir__exp2(a));
        assert_true(near(root * root, weir__exp2(a), 1e-15));
        assert_true(weir__exp2(a + 0x1p-20) > weir__exp2(a));
    }
}

static void the_ends_are_infinite_or_nothing(void **state)
{
    (void)state;
    double const infinity = WEIR__INFINITY;
    assert_true(infinity > DBL_MAX);
    assert_true(weir__exp2(1024) == infinity && weir__exp2(infinity) == infinity);
    assert_true(weir__exp2(-1076) == 0.0 && weir__exp2(-infinity) == 0.0);
    assert_true(weir__exp(1e308) == infinity && weir__exp(-1e308) == 0.0);
    assert_true(weir__log2(0) == -infinity && weir__log2(-0.0) == -infinity);
    assert_true(weir__log2(infinity) == infinity);
    assert_true(weir__log2(DBL_MAX) == 1024.0);
    assert_true(weir__pow(0, 2) == 0.0 && weir__pow(0, -2) == infinity);
    assert_true(weir__pow(infinity, 2) == infinity && weir__pow(infinity, -2) == 0.0);
    assert_true(weir__pow(2, infinity) == infinity && weir__pow(0.5, infinity) == 0.0);
    assert_true(weir__pow(0, 0) == 1.0 && weir__pow(1, infinity) == 1.0);
    assert_true(is_same(weir__sqrt(-0.0), -0.0) && weir__sqrt(infinity) == infinity);
}

static void what_is_not_defined_is_not_a_number(void **state)
{
    (void)state;
    double const nan = WEIR__NAN;
    assert_true(is_nan(nan));
    assert_true(is_nan(weir__exp2(nan)) && is_nan(weir__exp(nan)) && is_nan(weir__log2(nan)));
    assert_true(is_nan(weir__sqrt(nan)) && is_nan(weir__pow(nan, 2)) && is_nan(weir__pow(2, nan)));
    assert_true(is_nan(weir__log2(-1)) && is_nan(weir__log2(-WEIR__INFINITY)));
    assert_true(is_nan(weir__sqrt(-1)) && is_nan(weir__pow(-2, 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(powers_of_two_are_exact),
        cmocka_unit_test(exp2_knows_the_roots_of_two),
        cmocka_unit_test(log2_knows_the_primes),
        cmocka_unit_test(log2_is_right_around_one),
        cmocka_unit_test(exp_knows_e),
        cmocka_unit_test(pow_knows_powers_and_roots),
        cmocka_unit_test(roots_of_squares_are_exact),
        cmocka_unit_test(identities_hold_everywhere),
        cmocka_unit_test(the_ends_are_infinite_or_nothing),
        cmocka_unit_test(what_is_not_defined_is_not_a_number),
    };
    return cmocka_run_group_tests_name("real", tests, NULL, NULL);
}

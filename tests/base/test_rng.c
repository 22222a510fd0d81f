/* Randomness: the published streams, and what is derived from them. */
#include "support/fake_env.h"

#include "base/rng.h"

/* The generator's authors' splitmix64.c, started at 1234567. */
static void spreads_bits_as_splitmix64(void **state)
{
    (void)state;
    static const uint64_t expected[] = {
        UINT64_C(6457827717110365317),  UINT64_C(3203168211198807973),
        UINT64_C(9817491932198370423),  UINT64_C(4593380528125082431),
        UINT64_C(16408922859458223821),
    };
    uint64_t x = 1234567;
    for (size_t i = 0; i < 5; i++)
        assert_true(weir__mix64(x += WEIR__GOLDEN) == expected[i]);
}

/* The authors' xoshiro256starstar.c, from the state 1, 2, 3, 4. */
static void draws_as_xoshiro256_starstar(void **state)
{
    (void)state;
    static const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
        UINT64_C(1216172134540287360),
        UINT64_C(607988272756665600),
        UINT64_C(16172922978634559625),
        UINT64_C(8476171486693032832),
        UINT64_C(10595114339597558777),
        UINT64_C(2904607092377533576),
    };
    weir__rng rng = {{1, 2, 3, 4}};
    for (size_t i = 0; i < 10; i++)
        assert_true(weir__rng_next(&rng) == expected[i]);
}

static void is_seeded_through_splitmix64(void **state)
{
    (void)state;
    weir__rng rng;
    weir__rng_seed(&rng, 0);
    assert_true(weir__rng_next(&rng) == UINT64_C(0x99ec5f36cb75f2b4));
    assert_true(weir__rng_next(&rng) == UINT64_C(0xbf6e1f784956452a));
}

static void a_bound_is_never_reached_and_all_below_it_is(void **state)
{
    (void)state;
    weir__rng rng;
    weir__rng_seed(&rng, 1);
    unsigned seen[6] = {0};
    for (int i = 0; i < 60000; i++)
        seen[weir__rng_below(&rng, 6)]++;
    /* 10,000 each; the standard deviation is 91: five of them. */
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 9545, 10455);
    for (int i = 0; i < 10; i++)
        assert_true(weir__rng_below(&rng, 1) == 0);
}

/* At 2^63 + 1, modulo would give the low half twice as often; fair draws keep it at a half. */
static void a_bound_that_does_not_divide_is_fair(void **state)
{
    (void)state;
    weir__rng rng;
    weir__rng_seed(&rng, 2);
    uint64_t const bound = (UINT64_C(1) << 63) + 1;
    unsigned low = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t const drawn = weir__rng_below(&rng, bound);
        assert_true(drawn < bound);
        low += drawn < bound / 2;
    }
    assert_in_range(low, 4750, 5250); /* Five standard deviations of 50. */
}

static void a_unit_draw_is_in_zero_to_one(void **state)
{
    (void)state;
    weir__rng rng = {{0, 0, 0, 1}};
    assert_true(weir__rng_unit(&rng) == 0.0); /* s[1] = 0 draws 0. */
    rng = (weir__rng){{0, UINT64_C(0xffffffffffffffff), 0, 0}};
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double const unit = weir__rng_unit(&rng);
        assert_true(unit >= 0.0 && unit < 1.0);
        sum += unit;
    }
    assert_true(sum > 4850 && sum < 5150); /* Five standard deviations of 28.9. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spreads_bits_as_splitmix64),
        cmocka_unit_test(draws_as_xoshiro256_starstar),
        cmocka_unit_test(is_seeded_through_splitmix64),
        cmocka_unit_test(a_bound_is_never_reached_and_all_below_it_is),
        cmocka_unit_test(a_bound_that_does_not_divide_is_fair),
        cmocka_unit_test(a_unit_draw_is_in_zero_to_one),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}

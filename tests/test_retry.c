/* Retry by arithmetic, and its jitter by distribution. Delays in ns; the clock starts at 1000. */
#include "support/fake_env.h"

#include <weir/retry.h>

#define START UINT64_C(1000)

static weir_retry_options options_with(weir_jitter jitter, uint64_t base_ns, uint64_t cap_ns,
                                       uint32_t max_attempts)
{
    weir_retry_options options = WEIR_RETRY_OPTIONS_INIT;
    options.jitter = jitter;
    options.base_ns = base_ns;
    options.cap_ns = cap_ns;
    options.max_attempts = max_attempts;
    return options;
}

static weir_retry begin(const weir_retry_options *options, uint64_t seed)
{
    weir_retry retry;
    assert_int_equal(weir_retry_begin(&retry, options, START, seed), WEIR_OK);
    return retry;
}

/* The delay after a failure at START; there must be one. */
static uint64_t delay(weir_retry *retry)
{
    uint64_t at_ns = 0;
    assert_int_equal(weir_retry_next(retry, WEIR_FAILURE, START, 0, &at_ns), WEIR_RETRY_AT);
    return at_ns - START;
}

static void expect_stop(weir_retry *retry, weir_outcome outcome, weir_retry_verdict verdict)
{
    for (int i = 0; i < 2; i++) { /* It stays stopped. */
        uint64_t at_ns = 0;
        assert_int_equal(weir_retry_next(retry, outcome, START, 0, &at_ns), verdict);
        assert_true(at_ns == WEIR_NEVER);
        assert_int_equal(retry->verdict, verdict);
        outcome = WEIR_FAILURE;
    }
}

static void doubles_up_to_the_cap_and_then_gives_up(void **state)
{
    (void)state;
    weir_retry_options const options = options_with(WEIR_JITTER_NONE, 100, 1000, 7);
    weir_retry retry = begin(&options, 1);
    static const uint64_t expected[] = {100, 200, 400, 800, 1000, 1000};
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(retry.attempts, i + 1);
        assert_int_equal(delay(&retry), expected[i]);
    }
    assert_int_equal(retry.attempts, 7);
    expect_stop(&retry, WEIR_FAILURE, WEIR_RETRY_EXHAUSTED);
    assert_int_equal(retry.attempts, 7);
}

static void makes_three_attempts_by_default(void **state)
{
    (void)state;
    weir_retry retry = begin(NULL, 1);
    assert_true(delay(&retry) < 100000000);
    assert_true(delay(&retry) < 200000000);
    expect_stop(&retry, WEIR_FAILURE, WEIR_RETRY_EXHAUSTED);
}

static void one_attempt_never_retries(void **state)
{
    (void)state;
    weir_retry_options const options = options_with(WEIR_JITTER_NONE, 100, 1000, 1);
    weir_retry retry = begin(&options, 1);
    expect_stop(&retry, WEIR_FAILURE, WEIR_RETRY_EXHAUSTED);
}

static void stops_when_it_succeeds(void **state)
{
    (void)state;
    weir_retry retry = begin(NULL, 1);
    (void)delay(&retry);
    expect_stop(&retry, WEIR_SUCCESS, WEIR_RETRY_SUCCEEDED);
}

static void retries_only_the_outcomes_it_was_told_to(void **state)
{
    (void)state;
    static const weir_outcome retried[] = {WEIR_FAILURE, WEIR_TIMEOUT, WEIR_OVERLOAD};
    weir_retry_options options = WEIR_RETRY_OPTIONS_INIT;
    uint64_t at_ns;
    for (int i = 0; i < 3; i++) {
        weir_retry retry = begin(&options, 1);
        assert_int_equal(weir_retry_next(&retry, retried[i], START, 0, &at_ns), WEIR_RETRY_AT);
    }
    weir_retry retry = begin(&options, 1);
    expect_stop(&retry, WEIR_IGNORED, WEIR_RETRY_NOT_RETRYABLE);
    retry = begin(&options, 1);
    expect_stop(&retry, WEIR_CANCELLED, WEIR_RETRY_NOT_RETRYABLE);
    retry = begin(&options, 1);
    expect_stop(&retry, (weir_outcome)77, WEIR_RETRY_NOT_RETRYABLE);
    options.retry_on = WEIR_RETRY_ON(WEIR_IGNORED);
    retry = begin(&options, 1);
    assert_int_equal(weir_retry_next(&retry, WEIR_IGNORED, START, 0, &at_ns), WEIR_RETRY_AT);
    expect_stop(&retry, WEIR_FAILURE, WEIR_RETRY_NOT_RETRYABLE);
}

static void does_not_wait_for_what_the_deadline_forbids(void **state)
{
    (void)state;
    weir_retry_options options = options_with(WEIR_JITTER_NONE, 100, 100, 9);
    options.total_ns = 201;
    weir_retry retry = begin(&options, 1);
    uint64_t at_ns;
    assert_int_equal(weir_retry_next(&retry, WEIR_FAILURE, START, 0, &at_ns), WEIR_RETRY_AT);
    assert_int_equal(weir_retry_next(&retry, WEIR_FAILURE, START + 100, 0, &at_ns), WEIR_RETRY_AT);
    assert_int_equal(at_ns, START + 200);
    assert_int_equal(weir_retry_next(&retry, WEIR_FAILURE, START + 101, 0, &at_ns),
                     WEIR_RETRY_DEADLINE); /* An attempt at the deadline has no time at all. */
    assert_int_equal(retry.attempts, 3);
    expect_stop(&retry, WEIR_SUCCESS, WEIR_RETRY_DEADLINE);
}

static void the_deadline_can_be_lowered(void **state)
{
    (void)state;
    weir_retry_options const options = options_with(WEIR_JITTER_NONE, 100, 100, 9);
    weir_retry retry = begin(&options, 1);
    assert_true(retry.deadline_ns == WEIR_NEVER);
    retry.deadline_ns = START + 100;
    expect_stop(&retry, WEIR_FAILURE, WEIR_RETRY_DEADLINE);
}

static void leaves_the_server_alone_as_long_as_it_asks(void **state)
{
    (void)state;
    weir_retry_options options = options_with(WEIR_JITTER_NONE, 100, 100, 9);
    options.pushback_cap_ns = 5000;
    weir_retry retry = begin(&options, 1);
    static const uint64_t asked[] = {0, 99, 101, 5000, 5001, WEIR_NEVER};
    static const uint64_t waited[] = {100, 100, 101, 5000, 5000, 5000};
    for (int i = 0; i < 6; i++) {
        uint64_t at_ns;
        assert_int_equal(weir_retry_next(&retry, WEIR_OVERLOAD, START, asked[i], &at_ns),
                         WEIR_RETRY_AT);
        assert_int_equal(at_ns - START, waited[i]);
    }
    retry.deadline_ns = START + 4000;
    uint64_t at_ns;
    assert_int_equal(weir_retry_next(&retry, WEIR_OVERLOAD, START, 4000, &at_ns),
                     WEIR_RETRY_DEADLINE);
}

static void many_doublings_do_not_overflow(void **state)
{
    (void)state;
    uint64_t const most_ns = UINT64_C(1) << 56;
    weir_retry_options const options = options_with(WEIR_JITTER_NONE, 3, most_ns, 200);
    weir_retry retry = begin(&options, 1);
    for (unsigned k = 0; k < 199; k++)
        assert_true(delay(&retry) == (k <= 54 ? UINT64_C(3) << k : most_ns));
}

static void times_saturate(void **state)
{
    (void)state;
    weir_retry_options options = options_with(WEIR_JITTER_NONE, 10, 10, 9);
    weir_retry retry;
    uint64_t at_ns;
    assert_int_equal(weir_retry_begin(&retry, &options, WEIR_NEVER - 5, 1), WEIR_OK);
    assert_int_equal(weir_retry_next(&retry, WEIR_FAILURE, WEIR_NEVER - 5, 0, &at_ns),
                     WEIR_RETRY_DEADLINE);
}

static void a_base_of_nothing_retries_at_once(void **state)
{
    (void)state;
    for (int jitter = WEIR_JITTER_NONE; jitter <= WEIR_JITTER_FACTOR; jitter++) {
        weir_retry_options const options = options_with((weir_jitter)jitter, 0, 1000, 200);
        weir_retry retry = begin(&options, 1);
        for (int i = 0; i < 199; i++)
            assert_int_equal(delay(&retry), 0);
    }
}

/* k retries in, over many seeds: lowest, highest and mean delay. */
typedef struct spread {
    uint64_t low, high;
    double mean;
} spread;

#define SEEDS 20000

static spread measure(const weir_retry_options *options, unsigned k)
{
    spread s = {.low = UINT64_MAX};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        weir_retry retry = begin(options, seed);
        for (unsigned i = 0; i < k; i++)
            (void)delay(&retry);
        uint64_t const drawn = delay(&retry);
        s.low = drawn < s.low ? drawn : s.low;
        s.high = drawn > s.high ? drawn : s.high;
        s.mean += (double)drawn / SEEDS;
    }
    return s;
}

/*
 * Uniform in [low, high): both ends within .1 % of the width (missed with a chance of e^-20), and
 * the mean within 5 standard errors: 5 / sqrt(12 * 20000) = 1 % of the width.
 */
static void expect_uniform(spread s, double low, double high)
{
    double const width = high - low;
    double const middle = low + width / 2;
    assert_true((double)s.low >= low && (double)s.low < low + width / 1000);
    assert_true((double)s.high < high && (double)s.high >= high - width / 1000 - 1);
    assert_true(s.mean > middle - width / 98 && s.mean < middle + width / 98);
}

static void full_jitter_is_uniform_from_nothing(void **state)
{
    (void)state;
    weir_retry_options const options = options_with(WEIR_JITTER_FULL, 100000, 300000, 9);
    expect_uniform(measure(&options, 0), 0, 100000);
    expect_uniform(measure(&options, 1), 0, 200000);
    expect_uniform(measure(&options, 2), 0, 300000);
}

static void equal_jitter_keeps_half(void **state)
{
    (void)state;
    weir_retry_options const options = options_with(WEIR_JITTER_EQUAL, 100000, 300000, 9);
    expect_uniform(measure(&options, 0), 50000, 100000);
    expect_uniform(measure(&options, 1), 100000, 200000);
    expect_uniform(measure(&options, 2), 150000, 300000);
}

static void factor_jitter_goes_both_ways_below_the_cap(void **state)
{
    (void)state;
    weir_retry_options options = options_with(WEIR_JITTER_FACTOR, 100000, 400000, 9);
    options.factor_percent = 25;
    expect_uniform(measure(&options, 0), 75000, 125000);
    expect_uniform(measure(&options, 1), 150000, 250000);
    spread const capped = measure(&options, 2); /* Half of 300000..500000 is cut to the cap. */
    assert_true(capped.low < 300200 && capped.high == 400000);
    assert_true(capped.mean > 373000 && capped.mean < 377000); /* (350000 + 400000) / 2 */
    options.factor_percent = 0;
    assert_int_equal(measure(&options, 0).low, 100000);
    assert_int_equal(measure(&options, 0).high, 100000);
}

/* The first is full; then each lies between the base and three times the one before. */
static void decorrelated_jitter_grows_from_the_one_before(void **state)
{
    (void)state;
    weir_retry_options const options = options_with(WEIR_JITTER_DECORRELATED, 1000, 50000, 12);
    expect_uniform(measure(&options, 0), 0, 1000);
    uint64_t highest = 0;
    double above = 0;
    double draws = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        weir_retry retry = begin(&options, seed);
        uint64_t last = delay(&retry);
        for (int k = 1; k < 11; k++) {
            uint64_t const high = 3 * last < 50000 ? 3 * last : 50000;
            uint64_t const drawn = delay(&retry);
            assert_true(drawn >= 1000);
            assert_true(high > 1000 ? drawn < high : drawn == 1000);
            if (high > 10000) {
                above += drawn > (1000 + high) / 2;
                draws++;
            }
            highest = drawn > highest ? drawn : highest;
            last = drawn;
        }
    }
    assert_true(highest > 49000 && highest < 50000);
    assert_true(draws > 2000 && above / draws > 0.45 && above / draws < 0.55);
}

static void the_same_seed_gives_the_same_delays(void **state)
{
    (void)state;
    weir_retry_options const options = options_with(WEIR_JITTER_FULL, 1000000, 100000000, 9);
    weir_retry one = begin(&options, 42);
    weir_retry same = begin(&options, 42);
    weir_retry other = begin(&options, 43);
    int different = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t const drawn = delay(&one);
        assert_int_equal(drawn, delay(&same));
        different += drawn != delay(&other);
    }
    assert_true(different >= 7);
}

static void refused(weir_retry_options options)
{
    weir_retry retry;
    assert_int_equal(weir_retry_begin(&retry, &options, START, 1), WEIR_EINVAL);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    refused(options_with(WEIR_JITTER_FULL, 100, 1000, 0));
    refused(options_with(WEIR_JITTER_FULL, 1001, 1000, 3));
    refused(options_with(WEIR_JITTER_FULL, 1, (UINT64_C(1) << 56) + 1, 3));
    refused(options_with((weir_jitter)5, 100, 1000, 3));
    refused(options_with((weir_jitter)-1, 100, 1000, 3));
    weir_retry_options options = WEIR_RETRY_OPTIONS_INIT;
    options.factor_percent = 101;
    refused(options);
    options = (weir_retry_options)WEIR_RETRY_OPTIONS_INIT;
    options.total_ns = 0;
    refused(options);
    options = (weir_retry_options)WEIR_RETRY_OPTIONS_INIT;
    options.retry_on |= WEIR_RETRY_ON(WEIR_SUCCESS);
    refused(options);
    options.retry_on = WEIR_RETRY_ON(WEIR_CANCELLED);
    refused(options);
    options.retry_on = UINT32_C(1) << 31;
    refused(options);
    struct {
        weir_retry_options known;
        uint64_t unknown;
    } newer = {WEIR_RETRY_OPTIONS_INIT, 1};
    newer.known.struct_size = sizeof newer;
    weir_retry retry;
    assert_int_equal(weir_retry_begin(&retry, &newer.known, START, 1), WEIR_EINVAL);
}

static void every_verdict_has_a_name(void **state)
{
    (void)state;
    for (int i = WEIR_RETRY_AT; i <= WEIR_RETRY_DEADLINE; i++)
        for (int j = WEIR_RETRY_AT; j < i; j++)
            assert_string_not_equal(weir_retry_verdict_name((weir_retry_verdict)i),
                                    weir_retry_verdict_name((weir_retry_verdict)j));
    assert_string_equal(weir_retry_verdict_name((weir_retry_verdict)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_up_to_the_cap_and_then_gives_up),
        cmocka_unit_test(makes_three_attempts_by_default),
        cmocka_unit_test(one_attempt_never_retries),
        cmocka_unit_test(stops_when_it_succeeds),
        cmocka_unit_test(retries_only_the_outcomes_it_was_told_to),
        cmocka_unit_test(does_not_wait_for_what_the_deadline_forbids),
        cmocka_unit_test(the_deadline_can_be_lowered),
        cmocka_unit_test(leaves_the_server_alone_as_long_as_it_asks),
        cmocka_unit_test(many_doublings_do_not_overflow),
        cmocka_unit_test(times_saturate),
        cmocka_unit_test(a_base_of_nothing_retries_at_once),
        cmocka_unit_test(full_jitter_is_uniform_from_nothing),
        cmocka_unit_test(equal_jitter_keeps_half),
        cmocka_unit_test(factor_jitter_goes_both_ways_below_the_cap),
        cmocka_unit_test(decorrelated_jitter_grows_from_the_one_before),
        cmocka_unit_test(the_same_seed_gives_the_same_delays),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(every_verdict_has_a_name),
    };
    return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}

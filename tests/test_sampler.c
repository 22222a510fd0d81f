/* Samplers: OpenTelemetry's probability sampling and parents, Jaeger's adaptive ratio, rates. */
#include "support/fake_env.h"

#include <weir/sampler.h>

#include <string.h>

#define HALF (UINT64_C(1) << 55)

static fake_env fake;
static weir_env env;
static weir_sampler *sampler;
static weir_sampler_options options;
static weir_sampling_request request;
static weir_trace_context parent;
static uint8_t trace_id[16];
static weir_sampling_result result;

static int setup(void **unused)
{
    (void)unused;
    fake = (fake_env){.now_ns = 1000000000};
    env = fake_env_hooks(&fake);
    options = (weir_sampler_options)WEIR_SAMPLER_OPTIONS_INIT;
    options.env = &env;
    parent = (weir_trace_context){.trace_id = {1}, .span_id = {1}};
    memset(trace_id, 0, sizeof trace_id);
    request = (weir_sampling_request){.trace_id = trace_id,
                                      .name = "GET /orders",
                                      .kind = WEIR_SPAN_SERVER};
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    weir_sampler_destroy(sampler);
    sampler = NULL;
    assert_int_equal(fake.live, 0);
    return 0;
}

static void create(weir_sampler_kind kind)
{
    options.kind = kind;
    assert_int_equal(weir_sampler_create(&sampler, &options), WEIR_OK);
}

static bool sampled(void)
{
    weir_sampling const hook = weir_sampler_hook(sampler);
    result = (weir_sampling_result){WEIR_SAMPLING_DROP, WEIR_SAMPLING_UNKNOWN};
    hook.decide(hook.self, &request, &result);
    return result.decision == WEIR_SAMPLING_SAMPLE;
}

static void set_random(uint64_t random)
{
    for (int i = 15; i > 8; i--, random >>= 8)
        trace_id[i] = (uint8_t)random;
}

static void always_on_and_off_are(void **unused)
{
    (void)unused;
    create(WEIR_SAMPLER_ALWAYS_ON);
    assert_true(sampled());
    assert_true(result.threshold == WEIR_SAMPLING_UNKNOWN);
    weir_sampler_destroy(sampler);
    create(WEIR_SAMPLER_ALWAYS_OFF);
    assert_false(sampled());
}

/* T = (1 - 1/2) 2^56. */
static void a_ratio_keeps_traces_whose_randomness_is_at_least_the_threshold(void **unused)
{
    (void)unused;
    options.ratio = 0.5;
    create(WEIR_SAMPLER_RATIO);
    set_random(HALF);
    assert_true(sampled());
    assert_true(result.threshold == HALF);
    set_random(HALF - 1);
    trace_id[0] = trace_id[8] = 0xFF; /* The left of the id says nothing. */
    assert_false(sampled());
    assert_true(weir_sampler_ratio(sampler) == 0.5);
}

/* 2^56 / 10 = 7205759403792793.6, and 2^56 less that, rounded, is 0xe6666666666666. */
static void a_tenth_has_the_threshold_that_arithmetic_gives_it(void **unused)
{
    (void)unused;
    options.ratio = 0.1;
    create(WEIR_SAMPLER_RATIO);
    set_random(UINT64_C(0xe6666666666666));
    assert_true(sampled());
    assert_true(result.threshold == UINT64_C(0xe6666666666666));
    set_random(UINT64_C(0xe6666666666665));
    assert_false(sampled());
}

static void the_ends_of_the_range_keep_all_and_none(void **unused)
{
    (void)unused;
    options.ratio = 1;
    create(WEIR_SAMPLER_RATIO);
    set_random(0);
    assert_true(sampled());
    assert_int_equal(result.threshold, 0);
    weir_sampler_destroy(sampler);
    options.ratio = 0;
    create(WEIR_SAMPLER_RATIO);
    set_random(UINT64_MAX);
    assert_false(sampled());
}

static void explicit_randomness_counts_before_the_id(void **unused)
{
    (void)unused;
    options.ratio = 0.5;
    create(WEIR_SAMPLER_RATIO);
    request.parent = &parent;
    set_random(0);
    parent.state = "vendor=x,ot=th:c;rv:80000000000000";
    assert_true(sampled());
    parent.state = "ot=rv:7fffffffffffff";
    set_random(UINT64_MAX);
    assert_false(sampled());
    parent.state = "ot=rv:7ffffff"; /* Not 14 digits: none. */
    assert_true(sampled());
    parent.state = "ot=rv:7FFFFFFFFFFFFF"; /* The same. */
    assert_true(sampled());
    parent.state = "no tracestate,,=";
    assert_true(sampled());
}

/* ---- Parents ---- */

static unsigned asked;

static void refuse(void *self, const weir_sampling_request *asking, weir_sampling_result *answer)
{
    (void)self;
    (void)asking;
    (void)answer;
    asked++;
}

static void a_child_is_as_its_parent_and_a_root_as_the_root_sampler_says(void **unused)
{
    (void)unused;
    options.root = (weir_sampling){refuse, NULL};
    create(WEIR_SAMPLER_PARENT_BASED);
    asked = 0;
    assert_false(sampled());
    assert_int_equal(asked, 1);
    request.parent = &parent;
    for (int remote = 0; remote < 2; remote++) {
        parent.remote = remote;
        parent.flags = WEIR_TRACE_SAMPLED;
        assert_true(sampled());
        assert_true(result.threshold == WEIR_SAMPLING_INHERIT);
        parent.flags = WEIR_TRACE_RANDOM;
        assert_false(sampled());
        assert_true(result.threshold == WEIR_SAMPLING_INHERIT);
    }
    assert_int_equal(asked, 1);
}

static void a_root_is_sampled_by_default_and_debug_implies_sampled(void **unused)
{
    (void)unused;
    create(WEIR_SAMPLER_PARENT_BASED);
    assert_true(sampled());
    request.parent = &parent;
    assert_false(sampled());
    parent.debug = true;
    assert_true(sampled());
}

static void turn_over(void *self, const weir_sampling_request *asking, weir_sampling_result *answer)
{
    (void)self;
    asked++;
    if ((asking->parent->flags & WEIR_TRACE_SAMPLED) == 0)
        answer->decision = WEIR_SAMPLING_SAMPLE;
}

static void each_kind_of_parent_may_have_a_sampler_of_its_own(void **unused)
{
    (void)unused;
    weir_sampling const other = {turn_over, NULL};
    options.remote_sampled = options.remote_unsampled = other;
    options.local_sampled = options.local_unsampled = other;
    create(WEIR_SAMPLER_PARENT_BASED);
    request.parent = &parent;
    asked = 0;
    for (int i = 0; i < 4; i++) {
        parent.remote = i & 1;
        parent.flags = i & 2 ? WEIR_TRACE_SAMPLED : 0;
        assert_int_equal(sampled(), (i & 2) == 0);
    }
    assert_int_equal(asked, 4);
}

/* ---- Rates ---- */

/* Two a second and three at once: 3 now, then one each half second. */
static void a_rate_is_kept_with_its_burst(void **unused)
{
    (void)unused;
    options.per_second = 2;
    options.burst = 3;
    create(WEIR_SAMPLER_RATE_LIMITED);
    for (int i = 0; i < 3; i++)
        assert_true(sampled());
    assert_false(sampled());
    fake.now_ns += 499999999;
    assert_false(sampled());
    fake.now_ns += 1;
    assert_true(sampled());
    assert_false(sampled());
    fake.now_ns = 0; /* A clock that steps back gives nothing. */
    assert_false(sampled());
    fake.now_ns = UINT64_C(100000000000);
    for (int i = 0; i < 3; i++)
        assert_true(sampled());
    assert_false(sampled());
    request.now_ns = fake.now_ns + 500000000; /* As somebody has read it. */
    assert_true(sampled());
}

/* 1000 a second come and 10 are wanted: p = .5 * 10 / 500 = .01. */
static void an_adaptive_ratio_goes_where_it_keeps_what_is_wanted(void **unused)
{
    (void)unused;
    options.ratio = 0.5;
    options.per_second = 10;
    create(WEIR_SAMPLER_ADAPTIVE);
    for (int i = 0; i < 1000; i++)
        (void)sampled();
    fake.now_ns += 1000000000;
    (void)sampled();
    assert_true(weir_sampler_ratio(sampler) > 0.0099999 && weir_sampler_ratio(sampler) < 0.0100001);
}

/* Nothing came: .01, .015, .0225 ... up to 1. */
static void an_adaptive_ratio_rises_by_half_at_most(void **unused)
{
    (void)unused;
    options.ratio = 0.01;
    create(WEIR_SAMPLER_ADAPTIVE);
    double expected = 0.01;
    for (int i = 0; i < 14; i++) {
        fake.now_ns += 1000000000;
        (void)sampled();
        expected = expected * 1.5 > 1 ? 1 : expected * 1.5;
        double const ratio = weir_sampler_ratio(sampler);
        assert_true(ratio > expected * 0.999999 && ratio < expected * 1.000001);
    }
    assert_true(weir_sampler_ratio(sampler) == 1);
}

static void an_adaptive_ratio_has_a_floor_and_time_to_settle(void **unused)
{
    (void)unused;
    options.ratio = options.min_ratio = 0.25;
    options.per_second = 1;
    create(WEIR_SAMPLER_ADAPTIVE);
    for (int i = 0; i < 1000; i++)
        (void)sampled();
    fake.now_ns += 999999999;
    (void)sampled();
    assert_true(weir_sampler_ratio(sampler) == 0.25);
    fake.now_ns += 1;
    (void)sampled();
    assert_true(weir_sampler_ratio(sampler) == 0.25);
    fake.now_ns = 5; /* Back: nothing moves. */
    (void)sampled();
    assert_true(weir_sampler_ratio(sampler) == 0.25);
}

/* ---- Rules ---- */

static void the_first_rule_that_matches_decides(void **unused)
{
    (void)unused;
    char name[] = "GET /health*";
    weir_sampler_rule const rules[] = {
        {.name = name, .then = {refuse, NULL}},
        {.kind = WEIR_SPAN_CLIENT, .then = {refuse, NULL}},
        {.attribute = "url.path", .value = "/v?/*/secret", .then = {refuse, NULL}},
        {.attribute = "synthetic", .then = {refuse, NULL}},
    };
    options.rules = rules;
    options.rule_count = 4;
    create(WEIR_SAMPLER_RULES);
    memset(name, 'x', sizeof name - 1);
    assert_true(sampled());
    request.name = "GET /healthz";
    assert_false(sampled());
    request.name = "GET /orders";
    request.kind = WEIR_SPAN_CLIENT;
    assert_false(sampled());
    request.kind = WEIR_SPAN_SERVER;
    weir_attribute attribute = weir_attribute_string("url.path", "/v1/a/b/secret");
    request.attributes = &attribute;
    request.attribute_count = 1;
    assert_false(sampled());
    attribute = weir_attribute_text("url.path", "/v1/a/secrets", 12);
    assert_false(sampled()); /* By its size. */
    attribute = weir_attribute_string("url.path", "/v1/a/secrets");
    assert_true(sampled());
    attribute = weir_attribute_int("url.path", 1);
    assert_true(sampled());
    attribute = weir_attribute_bool("synthetic", true);
    assert_false(sampled());
}

static void what_no_rule_matches_goes_to_the_root(void **unused)
{
    (void)unused;
    weir_sampler_rule const rule = {.name = "GET /orders"};
    options.rules = &rule;
    options.rule_count = 1;
    options.root = (weir_sampling){refuse, NULL};
    create(WEIR_SAMPLER_RULES);
    assert_true(sampled());
    request.name = "GET /order";
    assert_false(sampled());
    request.name = "";
    assert_false(sampled());
}

/* ---- Names, options and memory ---- */

static void samplers_have_the_names_of_the_environment_variable(void **unused)
{
    (void)unused;
    static const struct {
        const char *name, *argument;
        bool root, child; /* Of a parent that is not sampled. */
    } all[] = {{"always_on", NULL, true, true},
               {"always_off", "", false, false},
               {"traceidratio", "0.5", true, true},
               {"parentbased_always_on", NULL, true, false},
               {"parentbased_always_off", NULL, false, false},
               {"parentbased_traceidratio", "0.25", false, false}};
    set_random(HALF);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_int_equal(weir_sampler_create_named(&sampler, all[i].name, all[i].argument, &env),
                         WEIR_OK);
        request.parent = NULL;
        assert_int_equal(sampled(), all[i].root);
        request.parent = &parent;
        assert_int_equal(sampled(), all[i].child);
        weir_sampler_destroy(sampler);
    }
    static const char *const bad[] = {"x", "1.5", "-0.1", "0.5x", "nan"};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(weir_sampler_create_named(&sampler, "traceidratio", bad[i], &env),
                         WEIR_EINVAL);
    assert_int_equal(weir_sampler_create_named(&sampler, "jaeger_remote", NULL, &env),
                     WEIR_ENOTFOUND);
    assert_null(sampler);
}

static void options_out_of_range_are_refused(void **unused)
{
    (void)unused;
    double const nan = strtod("nan", NULL);
    weir_sampler_rule const valueless = {.value = "x"}, unkind = {.kind = 6};
    weir_sampler_options const good = options;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        options = good;                                                                            \
        change;                                                                                    \
        assert_int_equal(weir_sampler_create(&sampler, &options), WEIR_EINVAL);                    \
    } while (0)
    REFUSED(options.struct_size = 1);
    REFUSED(options.kind = (weir_sampler_kind)7);
    REFUSED(options.ratio = -0.1);
    REFUSED(options.ratio = 1.1);
    REFUSED(options.ratio = nan);
    REFUSED(options.per_second = 0);
    REFUSED(options.per_second = 2e9);
    REFUSED(options.per_second = nan);
    REFUSED(options.burst = 0);
    REFUSED(options.burst = 1000001);
    REFUSED(options.min_ratio = 0);
    REFUSED((options.kind = WEIR_SAMPLER_ADAPTIVE, options.ratio = 0.1, options.min_ratio = 0.2));
    REFUSED(options.adapt_ns = 999999);
    REFUSED(options.adapt_ns = UINT64_C(3600000000001));
    REFUSED((options.rules = &valueless, options.rule_count = 1));
    REFUSED((options.rules = &unkind, options.rule_count = 1));
#undef REFUSED
}

static void creation_survives_any_want_of_memory(void **unused)
{
    (void)unused;
    weir_sampler_rule const rule = {.name = "a", .attribute = "b", .value = "c"};
    options.rules = &rule;
    options.rule_count = 1;
    for (unsigned fail_at = 1; fail_at <= 2; fail_at++) {
        fake.calls = 0;
        fake.fail_at = fail_at;
        assert_int_equal(weir_sampler_create(&sampler, &options), WEIR_ENOMEM);
        fake.calls = 0;
        assert_int_equal(weir_sampler_create_named(&sampler, "parentbased_always_on", NULL, &env),
                         WEIR_ENOMEM);
        assert_null(sampler);
        assert_int_equal(fake.live, 0);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(always_on_and_off_are),
        CASE(a_ratio_keeps_traces_whose_randomness_is_at_least_the_threshold),
        CASE(a_tenth_has_the_threshold_that_arithmetic_gives_it),
        CASE(the_ends_of_the_range_keep_all_and_none),
        CASE(explicit_randomness_counts_before_the_id),
        CASE(a_child_is_as_its_parent_and_a_root_as_the_root_sampler_says),
        CASE(a_root_is_sampled_by_default_and_debug_implies_sampled),
        CASE(each_kind_of_parent_may_have_a_sampler_of_its_own),
        CASE(a_rate_is_kept_with_its_burst),
        CASE(an_adaptive_ratio_goes_where_it_keeps_what_is_wanted),
        CASE(an_adaptive_ratio_rises_by_half_at_most),
        CASE(an_adaptive_ratio_has_a_floor_and_time_to_settle),
        CASE(the_first_rule_that_matches_decides),
        CASE(what_no_rule_matches_goes_to_the_root),
        CASE(samplers_have_the_names_of_the_environment_variable),
        CASE(options_out_of_range_are_refused),
        CASE(creation_survives_any_want_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

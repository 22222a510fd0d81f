/* Balancer: options out of range, memory that runs out, many members, and many short lives. */
#include "support/balancer_fixture.h"

#define S UINT64_C(1000000000)

/* ---- Options ---- */

static const char *const some_keys[] = {"v", "w"};
static const char *const twice[] = {"v", "v"};
static const char *const missing[] = {"v", NULL};

/* Breaks the option of that number; false if there are no more. */
static bool break_option(weir_balancer_options *o, weir_subset_selector *selector, int number)
{
    double const zero = 0;
    switch (number) {
    case 0: o->algorithm = (weir_balancer_algorithm)(WEIR_FIRST + 1); return true;
    case 1: o->choices = 1; return true;
    case 2: o->choices = 11; return true;
    case 3: o->bias = -0.1; return true;
    case 4: o->bias = 10.1; return true;
    case 5: o->bias = zero / zero; return true;
    case 6: o->decay_ns = 0; return true;
    case 7: o->table_size = 65536; return true; /* Not a prime. */
    case 8: o->table_size = 1; return true;
    case 9: o->ring_min = 8388609; return true;
    case 10: o->ring_max = 0; return true;
    case 11: o->ring_max = 8388609; return true;
    case 12: o->load_factor_percent = 99; return true;
    case 13: o->load_factor_percent = 1001; return true;
    case 14: o->overprovisioning_percent = 99; return true;
    case 15: o->overprovisioning_percent = 1001; return true;
    case 16: o->panic_percent = 101; return true;
    case 17: o->selectors = NULL; return true;
    case 18: o->selector_count = 9; return true;
    case 19: selector->keys = NULL; return true;
    case 20: selector->key_count = 0; return true;
    case 21: selector->key_count = 9; return true;
    case 22: selector->keys = twice; return true;
    case 23: selector->keys = missing; return true;
    case 24: o->slow_start_aggression = 0.09; return true;
    case 25: o->slow_start_aggression = 10.1; return true;
    case 26: o->slow_start_percent = 0; return true;
    case 27: o->slow_start_percent = 101; return true;
    case 28: o->recovery_hold_ns = 0; return true;
    case 29: o->report_expiry_ns = 0; return true;
    case 30: o->report_update_ns = 0; return true;
    case 31: o->report_error_penalty = -1; return true;
    case 32: o->report_error_penalty = 1001; return true;
    case 33: o->struct_size = 0; return true;
    default: return false;
    }
}

static void every_option_out_of_range_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1, 1);
    size_t const live_bytes = f.fake.live_bytes;
    for (int number = 0;; number++) {
        weir_balancer *balancer;
        weir_subset_selector selector = {.keys = some_keys, .key_count = 2};
        weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
        options.selectors = &selector;
        options.selector_count = 1;
        if (!break_option(&options, &selector, number))
            break;
        assert_int_equal(weir_balancer_create(&balancer, &options), WEIR_EINVAL);
        assert_null(balancer);
        assert_int_equal(weir_balancer_configure(f.balancer, &options), WEIR_EINVAL);
        assert_int_equal(f.fake.live_bytes, live_bytes);
    }
    assert_int_equal(pick_result(), WEIR_OK);
}

static void algorithms_have_names_and_are_found_by_them(void **state)
{
    (void)state;
    weir_balancer_algorithm found;
    for (int i = 0; i <= WEIR_FIRST; i++) {
        const char *const name = weir_balancer_algorithm_name((weir_balancer_algorithm)i);
        assert_int_equal(weir_balancer_algorithm_find(name, strlen(name), &found), WEIR_OK);
        assert_int_equal(found, i);
        assert_int_equal(weir_balancer_algorithm_find(name, strlen(name) - 1, &found),
                         WEIR_ENOTFOUND);
    }
    assert_string_equal(weir_balancer_algorithm_name((weir_balancer_algorithm)99), "unknown");
}

/* ---- Memory ---- */

static void set_all_options(weir_balancer_algorithm algorithm, weir_subset_selector *selector)
{
    *selector = (weir_subset_selector){.keys = some_keys, .key_count = 2};
    f.options = (weir_balancer_options)WEIR_BALANCER_OPTIONS_INIT;
    f.options.algorithm = algorithm;
    f.options.table_size = 251;
    f.options.ring_min = 100;
    f.options.selectors = selector;
    f.options.selector_count = 1;
    f.options.zone = "here";
    f.options.aperture = 6;
    f.options.slow_start_ns = S;
    f.options.env = &f.env;
}

static void set_all_members(weir_member *members)
{
    static const weir_label labels[2][2] = {{{"v", "1"}, {"w", "1"}}, {{"w", "2"}, {"v", "1"}}};
    number_members(members, 8);
    for (size_t i = 0; i < 8; i++) {
        members[i].zone = i % 2 == 0 ? "here" : "there";
        members[i].priority = (uint32_t)(i / 4);
        members[i].weight = 1 + (uint32_t)i % 3;
        members[i].labels = labels[i % 2];
        members[i].label_count = 2;
    }
}

/* Each step fails at each of its allocations in turn, and leaves things as they were. */
static void configuring_and_updating_survive_every_failed_allocation(void **state)
{
    (void)state;
    weir_member members[8];
    weir_subset_selector selector;
    set_all_members(members);
    for (int i = 0; i <= WEIR_FIRST; i++) {
        create(WEIR_ROUND_ROBIN);
        size_t live_bytes = f.fake.live_bytes;
        for (f.fake.calls = 0, f.fake.fail_at = 1;
             weir_balancer_update(f.balancer, members, 8, 0) == WEIR_ENOMEM;
             f.fake.calls = 0, f.fake.fail_at++)
            assert_int_equal(f.fake.live_bytes, live_bytes);
        set_all_options((weir_balancer_algorithm)i, &selector);
        live_bytes = f.fake.live_bytes;
        for (f.fake.calls = 0, f.fake.fail_at = 1;
             weir_balancer_configure(f.balancer, &f.options) == WEIR_ENOMEM;
             f.fake.calls = 0, f.fake.fail_at++)
            assert_int_equal(f.fake.live_bytes, live_bytes);
        assert_true(f.fake.fail_at > 6);
        live_bytes = f.fake.live_bytes;
        for (f.fake.calls = 0, f.fake.fail_at = 1;
             weir_balancer_set_flags(f.balancer, "2", WEIR_MEMBER_UNHEALTHY, 0) == WEIR_ENOMEM;
             f.fake.calls = 0, f.fake.fail_at++) {
            assert_int_equal(f.fake.live_bytes, live_bytes);
            assert_int_equal(stats_of("2").flags, 0);
        }
        f.fake.fail_at = 0;
        assert_int_equal(stats_of("2").flags, WEIR_MEMBER_UNHEALTHY);
        assert_int_equal(pick_result(), WEIR_OK);
    }
    f.options = (weir_balancer_options)WEIR_BALANCER_OPTIONS_INIT;
}

static void the_task_tries_again_after_a_failed_allocation(void **state)
{
    (void)state;
    f.options.slow_start_ns = 100 * S;
    create(WEIR_ROUND_ROBIN);
    f.fake.now_ns = 1000 * S;
    SET_WEIGHTS(1);
    SET_WEIGHTS(1, 1);
    weir_task const task = weir_balancer_task(f.balancer);
    f.fake.calls = 0;
    f.fake.fail_at = 1;
    assert_true(task.run(task.self, 1050 * S) <= 1056 * S);
    assert_true(stats_of("b").weight < 0.2);
    f.fake.fail_at = 0;
    (void)task.run(task.self, 1050 * S);
    assert_true(stats_of("b").weight > 0.4);
}

/* ---- Many short lives ---- */

/* envoy#10064, #31378; grpc-go#3793: whoever starts anew, or updates often, must not begin with the
 * same member each time. Four standard deviations of 4,000 first picks by weight, or evenly. */
static void first_picks_of_many_balancers_are_spread(void **state)
{
    (void)state;
    uint32_t const weights[4] = {1, 2, 3, 4}, alike[4] = {1, 1, 1, 1};
    for (int i = 0; i < WEIR_FIRST; i++) {
        weir_balancer_algorithm const algorithm = (weir_balancer_algorithm)i;
        bool const even = algorithm == WEIR_ROUND_ROBIN || algorithm == WEIR_PEAK_EWMA ||
                          algorithm == WEIR_LOCALITY_AWARE || algorithm == WEIR_LEAST_CONNECTIONS;
        unsigned first[4] = {0};
        for (uint64_t seed = 0; seed < 4000; seed++) {
            f.fake.random = seed * UINT64_C(0x9e3779b97f4a7c15);
            f.fake.random_step = UINT64_C(0xbf58476d1ce4e5b9);
            f.options.table_size = 251;
            f.options.ring_min = 100;
            create(algorithm);
            set_weights(even ? alike : weights, 4, 0);
            weir_pick picked = pick();
            first[picked.member->id[0] - 'a']++;
            done(&picked);
        }
        for (int at = 0; at < 4; at++) {
            double const mean = even ? 1000 : 400.0 * weights[at];
            double const off = first[at] - mean, variance = mean * (1 - mean / 4000);
            bool const hashed = i >= WEIR_KETAMA && i <= WEIR_JUMP; /* Tables are not that exact. */
            if (off * off > (hashed ? 100 : 16) * variance)
                fail_msg("%s: %u of member %d, not about %.0f",
                         weir_balancer_algorithm_name(algorithm), first[at], at, mean);
        }
    }
}

/* ---- Many members ---- */

#define MANY 10000

static weir_member many[MANY];
static char many_ids[MANY][8];

static void set_many(uint32_t generation)
{
    for (uint32_t i = 0; i < MANY; i++) {
        many[i] = (weir_member)WEIR_MEMBER_INIT;
        (void)snprintf(many_ids[i], sizeof many_ids[i], "%u", i % 100000);
        many[i].id = many_ids[i];
        many[i].weight = 10 + (i % 20 == 0 ? generation : 0); /* 500 of them change. */
    }
    update(many, MANY);
}

static void an_update_of_500_among_10000_keeps_all_that_is_known_of_them(void **state)
{
    (void)state;
    f.options.slow_start_ns = 100 * S;
    f.fake.now_ns = 1000 * S;
    create(WEIR_PEAK_EWMA);
    set_many(0);
    for (uint32_t i = 0; i < MANY; i++) {
        weir_pick_options const options = {.sticky = many_ids[i]};
        weir_pick held, over;
        assert_int_equal(weir_balancer_pick(f.balancer, &options, &held), WEIR_OK);
        assert_int_equal(weir_balancer_pick(f.balancer, &options, &over), WEIR_OK);
        assert_int_equal(weir_balancer_done(f.balancer, &over, WEIR_SUCCESS, 1000 + i), WEIR_OK);
        if (i % 2 == 0)
            assert_int_equal(weir_balancer_done(f.balancer, &held, WEIR_CANCELLED, 0), WEIR_OK);
    }
    flag("40", WEIR_MEMBER_DRAIN, 0);
    flag("41", WEIR_MEMBER_EJECTED, 0);
    flag("60", WEIR_MEMBER_UNHEALTHY, 0);
    flag("60", 0, WEIR_MEMBER_UNHEALTHY);
    f.fake.now_ns = 1050 * S;
    set_many(1);
    for (uint32_t i = 0; i < MANY; i++) {
        weir_member_stats const stats = stats_of(many_ids[i]);
        assert_int_equal(stats.in_flight, i % 2);
        assert_int_equal(stats.completed, 1);
        assert_int_equal(stats.cost_ns, 1000 + i);
        assert_int_equal(stats.latency_ns, 1000 + i);
        assert_int_equal(stats.flags, i == 40   ? WEIR_MEMBER_DRAIN
                                      : i == 41 ? WEIR_MEMBER_EJECTED
                                                : 0);
        double const weight = (10 + (i % 20 == 0)) * (i == 60 ? 0.5 : 1); /* Half of slow start. */
        assert_true(stats.weight > weight * 0.999 && stats.weight < weight * 1.001);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_option_out_of_range_is_refused_and_changes_nothing),
        TEST(algorithms_have_names_and_are_found_by_them),
        TEST(configuring_and_updating_survive_every_failed_allocation),
        TEST(the_task_tries_again_after_a_failed_allocation),
        TEST(first_picks_of_many_balancers_are_spread),
        TEST(an_update_of_500_among_10000_keeps_all_that_is_known_of_them),
    };
    return cmocka_run_group_tests_name("balancer_options", tests, NULL, NULL);
}

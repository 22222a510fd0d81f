/* The simulator: the same run twice, and what it refuses. */
#include "support/sim_fixture.h"

static void the_same_seed_is_the_same_world(void **state)
{
    (void)state;
    uint64_t const one = live(1, false);
    assert_true(live(1, false) == one);
    assert_true(live(2, false) != one);
    assert_true(live(1, true) == one); /* What the policy draws changes nothing outside it. */
}

static void the_digest_knows_what_was_marked(void **state)
{
    (void)state;
    weir_sim_mark(f.sim, 1);
    uint64_t const one = weir_sim_digest(f.sim);
    assert_int_equal(f.traced[WEIR_SIM_MARK], 1);
    again();
    weir_sim_mark(f.sim, 2);
    assert_true(weir_sim_digest(f.sim) != one);
    again();
    weir_sim_mark(f.sim, 1);
    assert_true(weir_sim_digest(f.sim) == one);
}

static void a_world_without_rest_is_stopped(void **state)
{
    (void)state;
    weir_sim_options options = f.options;
    options.max_events = 10;
    weir_sim_destroy(f.sim);
    assert_int_equal(weir_sim_create(&f.sim, &options), WEIR_OK);
    f.task_next_ns = 0; /* Again and again at the same time. */
    add_task(START);
    assert_int_equal(weir_sim_run_until(f.sim, START + MS), WEIR_ETOOLARGE);
    assert_true(weir_sim_now(f.sim) == START);
    assert_int_equal(weir_sim_events(f.sim), 10);
    assert_int_equal(weir_sim_run(f.sim), WEIR_ETOOLARGE);
    assert_false(weir_sim_step(f.sim));
}

static void behaviour_out_of_range_is_refused(void **state)
{
    (void)state;
    uint64_t const over_ns = (UINT64_C(1) << 62) + 1;
    REFUSED(latency, (weir_sim_latency)3);
    REFUSED(link, (weir_sim_link)3);
    REFUSED(min_ns, 1001 * MS);
    REFUSED(max_ns, over_ns);
    REFUSED(mean_ns, 1001 * MS);
    REFUSED(refuse_ns, over_ns);
    REFUSED(failure_rate, -0.01);
    REFUSED(failure_rate, 1.01);
    REFUSED(overload_rate, 0.0 / 0.0);
    REFUSED(struct_size, 1);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    weir_sim *sim;
    weir_sim_options options = WEIR_SIM_OPTIONS_INIT;
    options.start_ns = (UINT64_C(1) << 62) + 1;
    assert_int_equal(weir_sim_create(&sim, &options), WEIR_EINVAL);
    options = (weir_sim_options)WEIR_SIM_OPTIONS_INIT;
    options.wall_ns = (UINT64_C(1) << 62) + 1;
    assert_int_equal(weir_sim_create(&sim, &options), WEIR_EINVAL);
    options = (weir_sim_options)WEIR_SIM_OPTIONS_INIT;
    options.max_events = 0;
    assert_int_equal(weir_sim_create(&sim, &options), WEIR_EINVAL);
    options = (weir_sim_options)WEIR_SIM_OPTIONS_INIT;
    options.struct_size = 1;
    assert_int_equal(weir_sim_create(&sim, &options), WEIR_EINVAL);
    weir_env const env = {.struct_size = 1};
    options = (weir_sim_options)WEIR_SIM_OPTIONS_INIT;
    options.env = &env;
    assert_int_equal(weir_sim_create(&sim, &options), WEIR_EINVAL);
    assert_null(sim);
    assert_int_equal(weir_sim_create(&sim, NULL), WEIR_OK);
    weir_sim_destroy(sim);
    weir_sim_destroy(NULL);
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    for (int i = WEIR_SIM_TIMER; i <= WEIR_SIM_MARK; i++)
        assert_string_not_equal(weir_sim_kind_name((weir_sim_kind)i), "unknown");
    assert_string_equal(weir_sim_kind_name((weir_sim_kind)77), "unknown");
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    unsigned fail_at = 1;
    for (int result = WEIR_ENOMEM; result != WEIR_OK; fail_at++) {
        fake_env fake = {.fail_at = fail_at};
        weir_env const env = fake_env_hooks(&fake);
        weir_sim_options options = WEIR_SIM_OPTIONS_INIT;
        options.env = &env;
        weir_sim *sim;
        result = weir_sim_create(&sim, &options);
        if (result == WEIR_OK)
            result = populate(sim);
        assert_true(result == WEIR_OK || (result == WEIR_ENOMEM && fake.calls == fail_at));
        weir_sim_destroy(sim);
        assert_int_equal(fake.live_bytes, 0);
    }
    assert_true(fail_at > 100); /* 5 for each round of 20. */
}

static void a_call_that_found_no_memory_was_not_made(void **state)
{
    (void)state;
    uint64_t const digest = weir_sim_digest(f.sim);
    unsigned failed = 0;
    int result = WEIR_ENOMEM;
    for (; result == WEIR_ENOMEM; failed++) {
        assert_true(weir_sim_digest(f.sim) == digest);
        f.fake.fail_at = f.fake.calls + 1 + failed;
        result = weir_sim_call(f.service, WEIR_NEVER, remember, NULL, NULL);
    }
    assert_int_equal(result, WEIR_OK);
    assert_true(failed > 3); /* The heap, the table, the service's side of the call. */
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "!");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_seed_is_the_same_world),     TEST(the_digest_knows_what_was_marked),
        TEST(a_world_without_rest_is_stopped),     TEST(behaviour_out_of_range_is_refused),
        TEST(options_out_of_range_are_refused),    TEST(every_kind_has_a_name),
        TEST(every_failed_allocation_is_survived), TEST(a_call_that_found_no_memory_was_not_made),
    };
    return cmocka_run_group_tests_name("sim_worlds", tests, NULL, NULL);
}

/* Services of the simulator: latency, failure, queues, partitions. */
#include "support/sim_fixture.h"

static void a_call_is_answered_after_its_latency(void **state)
{
    (void)state;
    weir_sim_id const id = call(WEIR_NEVER);
    assert_int_equal(f.logged, 0);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "!");
    assert_true(f.last.id == id && f.last.latency_ns == MS);
    assert_int_equal(f.last.outcome, WEIR_SUCCESS);
    assert_int_equal(weir_sim_cancel(f.sim, id), WEIR_ENOTFOUND);
    (void)call(MS); /* At the very end of the timeout, and in time. */
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.outcomes[WEIR_SUCCESS], 2);
    assert_int_equal(f.traced[WEIR_SIM_CALL], 2);
    assert_int_equal(f.traced[WEIR_SIM_DONE], 2);
    assert_int_equal(weir_sim_call(f.service, 0, NULL, NULL, NULL), WEIR_EINVAL);
}

static void a_call_times_out_once(void **state)
{
    (void)state;
    (void)call(MS - 1);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "!");
    assert_int_equal(f.last.outcome, WEIR_TIMEOUT);
    assert_true(f.last.latency_ns == MS - 1);
    assert_true(weir_sim_now(f.sim) == START + MS); /* The service worked on. */
}

static void a_cancelled_call_is_never_over(void **state)
{
    (void)state;
    uint32_t serving;
    uint32_t waiting;
    assert_int_equal(weir_sim_cancel(f.sim, call(10 * MS)), WEIR_OK);
    weir_sim_service_load(f.service, &serving, &waiting);
    assert_int_equal(serving, 1);
    assert_int_equal(waiting, 0);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.logged, 0);
    weir_sim_service_load(f.service, &serving, NULL);
    weir_sim_service_load(f.service, NULL, &waiting);
    assert_int_equal(serving, 0);
}

static void latencies_follow_their_distribution(void **state)
{
    (void)state;
    uint64_t low_ns;
    uint64_t high_ns;
    f.behaviour.latency = WEIR_SIM_UNIFORM;
    f.behaviour.min_ns = 10000;
    f.behaviour.max_ns = 20000;
    behave();
    double mean = sample(&low_ns, &high_ns);
    assert_in_range(low_ns, 10000, 10010);
    assert_in_range(high_ns, 19990, 20000);
    assert_true(mean > 14898 && mean < 15102); /* 5 of 10000 / sqrt(12 * 20000). */
    f.behaviour.latency = WEIR_SIM_EXPONENTIAL;
    f.behaviour.mean_ns = 10000;
    f.behaviour.max_ns = 1000000;
    behave();
    mean = sample(&low_ns, &high_ns);
    assert_in_range(low_ns, 10000, 10010);
    assert_in_range(high_ns, 60000, 260000);   /* 10 +- 5, in means: e^5 in 20,000, e^-25. */
    assert_true(mean > 19646 && mean < 20354); /* 5 of 10000 / sqrt(20000). */
    f.behaviour.max_ns = 20000;                /* Cut at one mean: 1 - 1/e of it is left. */
    behave();
    mean = sample(&low_ns, &high_ns);
    assert_int_equal(high_ns, 20000);
    assert_true(mean > 16150 && mean < 16490);
}

static void outcomes_follow_their_rates(void **state)
{
    (void)state;
    f.behaviour.failure_rate = 0.25;
    f.behaviour.overload_rate = 0.5;
    behave();
    for (int i = 0; i < 10000; i++)
        (void)call(WEIR_NEVER);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    /* Five standard deviations: 250, 165, 242. */
    assert_in_range(f.outcomes[WEIR_OVERLOAD], 4750, 5250);
    assert_in_range(f.outcomes[WEIR_FAILURE], 1085, 1415);
    assert_in_range(f.outcomes[WEIR_SUCCESS], 3508, 3992);
    f.behaviour.failure_rate = 1;
    f.behaviour.overload_rate = 0;
    behave();
    (void)call(WEIR_NEVER);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.last.outcome, WEIR_FAILURE);
}

static void a_gone_service_refuses_new_calls(void **state)
{
    (void)state;
    (void)call(WEIR_NEVER);
    f.behaviour.link = WEIR_SIM_REFUSED;
    f.behaviour.refuse_ns = 5;
    behave();
    (void)call(WEIR_NEVER);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.outcomes[WEIR_FAILURE], 1);
    assert_int_equal(f.outcomes[WEIR_SUCCESS], 1); /* The one begun before. */
    assert_true(f.at_ns[0] == START + 5);
}

static void silence_loses_what_is_under_way_too(void **state)
{
    (void)state;
    (void)call(5 * MS);
    f.behaviour.link = WEIR_SIM_SILENT;
    behave();
    (void)call(5 * MS);
    (void)call(WEIR_NEVER); /* And nobody will ever know. */
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.outcomes[WEIR_TIMEOUT], 2);
    assert_int_equal(f.logged, 2);
    f.behaviour.link = WEIR_SIM_UP;
    behave();
    (void)call(5 * MS);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.last.outcome, WEIR_SUCCESS);
}

static void a_full_service_queues_and_then_turns_away(void **state)
{
    (void)state;
    f.behaviour.capacity = 2;
    f.behaviour.queue = 3;
    behave();
    for (int i = 0; i < 6; i++)
        (void)call(WEIR_NEVER);
    uint32_t serving;
    uint32_t waiting;
    weir_sim_service_load(f.service, &serving, &waiting);
    assert_int_equal(serving, 2);
    assert_int_equal(waiting, 3);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.outcomes[WEIR_OVERLOAD], 1);
    assert_int_equal(f.outcomes[WEIR_SUCCESS], 5);
    static const uint64_t ends_ms[] = {0, 1, 1, 2, 2, 3};
    for (int i = 0; i < 6; i++)
        assert_true(f.at_ns[i] == START + ends_ms[i] * MS);
}

static void a_timeout_does_not_free_the_place(void **state)
{
    (void)state;
    f.behaviour.capacity = 1;
    f.behaviour.queue = 1;
    behave();
    (void)call(MS / 2);
    (void)call(WEIR_NEVER);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.outcomes[WEIR_TIMEOUT], 1);
    assert_true(f.at_ns[1] == START + 2 * MS); /* Served only after the first was through. */
}

static void behaviour_changes_on_schedule(void **state)
{
    (void)state;
    f.behaviour.capacity = 1;
    f.behaviour.queue = 9;
    behave();
    for (int i = 0; i < 5; i++)
        (void)call(WEIR_NEVER);
    f.behaviour.capacity = 4;
    f.behaviour.min_ns = 2 * MS; /* Not for those who have drawn. */
    assert_int_equal(weir_sim_service_change(f.service, START + MS / 2, &f.behaviour), WEIR_OK);
    assert_int_equal(weir_sim_run_until(f.sim, START + MS), WEIR_OK);
    uint32_t serving;
    weir_sim_service_load(f.service, &serving, NULL);
    assert_int_equal(serving, 4);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_true(f.at_ns[3] == START + 3 * MS / 2);
    assert_true(f.at_ns[4] == START + 2 * MS);
    (void)call(WEIR_NEVER);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_true(f.last.latency_ns == 2 * MS);
    assert_int_equal(f.traced[WEIR_SIM_CHANGE], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_answered_after_its_latency), TEST(a_call_times_out_once),
        TEST(a_cancelled_call_is_never_over),       TEST(latencies_follow_their_distribution),
        TEST(outcomes_follow_their_rates),          TEST(a_gone_service_refuses_new_calls),
        TEST(silence_loses_what_is_under_way_too),  TEST(a_full_service_queues_and_then_turns_away),
        TEST(a_timeout_does_not_free_the_place),    TEST(behaviour_changes_on_schedule),
    };
    return cmocka_run_group_tests_name("sim_services", tests, NULL, NULL);
}

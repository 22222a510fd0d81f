/* The simulator: time, timers and tasks. */
#include "support/sim_fixture.h"

static void time_jumps_to_what_is_due(void **state)
{
    (void)state;
    assert_true(weir_sim_now(f.sim) == START);
    (void)at(START + 30 * MS, 'c');
    (void)at(START + 10 * MS, 'a');
    (void)at(START + 20 * MS, 'b');
    (void)at(5, 'x'); /* Long ago: now. */
    assert_int_equal(weir_sim_run_until(f.sim, START + 20 * MS), WEIR_OK);
    assert_string_equal(f.log, "xab");
    assert_true(f.at_ns[0] == START && f.at_ns[2] == START + 20 * MS);
    assert_int_equal(weir_sim_run_until(f.sim, START + 25 * MS), WEIR_OK);
    assert_true(weir_sim_now(f.sim) == START + 25 * MS);
    assert_int_equal(weir_sim_run_until(f.sim, START), WEIR_OK); /* Time never steps back. */
    assert_true(weir_sim_now(f.sim) == START + 25 * MS);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "xabc");
    assert_true(weir_sim_now(f.sim) == START + 30 * MS);
    assert_int_equal(weir_sim_run_until(f.sim, WEIR_NEVER), WEIR_OK);
    assert_true(weir_sim_now(f.sim) == START + 30 * MS);
    assert_false(weir_sim_step(f.sim));
    assert_int_equal(weir_sim_events(f.sim), 4);
}

static void simultaneous_timers_keep_their_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < 10; i++)
        (void)at(START + MS, letters[i]);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "abcdefghij");
}

/* All six orders of three, over 60 seeds: one missing has a chance of 6 * (5/6)^60 = 1e-4. */
static void shuffling_finds_every_order(void **state)
{
    (void)state;
    unsigned seen = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        again();
        weir_sim_options options = f.options;
        options.seed = seed;
        options.shuffle = true;
        weir_sim_destroy(f.sim);
        assert_int_equal(weir_sim_create(&f.sim, &options), WEIR_OK);
        (void)at(START, 'a');
        (void)at(START, 'b');
        (void)at(START, 'c');
        assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
        static const char *const orders[] = {"abc", "acb", "bac", "bca", "cab", "cba"};
        for (unsigned i = 0; i < 6; i++)
            if (strcmp(f.log, orders[i]) == 0)
                seen |= 1U << i;
    }
    assert_int_equal(seen, 63);
}

static void what_is_cancelled_does_not_happen(void **state)
{
    (void)state;
    weir_sim_id const a = at(START + MS, 'a');
    weir_sim_id const b = at(START + 2 * MS, 'b');
    assert_int_equal(weir_sim_cancel(f.sim, a), WEIR_OK);
    assert_int_equal(weir_sim_cancel(f.sim, a), WEIR_ENOTFOUND);
    weir_sim_id const c = at(START + 3 * MS, 'c'); /* In a's place, under another name. */
    assert_int_not_equal(a, c);
    assert_int_equal(weir_sim_cancel(f.sim, a), WEIR_ENOTFOUND);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "bc");
    assert_int_equal(weir_sim_cancel(f.sim, b), WEIR_ENOTFOUND);
    assert_int_equal(weir_sim_cancel(f.sim, 0), WEIR_ENOTFOUND);
    assert_int_equal(weir_sim_cancel(f.sim, UINT64_MAX), WEIR_ENOTFOUND);
    assert_int_equal(weir_sim_at(f.sim, 0, NULL, NULL, NULL), WEIR_EINVAL);
}

static void a_task_runs_whenever_it_asks_to(void **state)
{
    (void)state;
    f.task_next_ns = 10 * MS;
    add_task(START + 5 * MS);
    assert_int_equal(weir_sim_run_until(f.sim, START + 30 * MS), WEIR_OK);
    assert_string_equal(f.log, "ttt");
    assert_true(f.at_ns[2] == START + 25 * MS);
    f.task_next_ns = WEIR_NEVER;
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "tttt");
    assert_int_equal(weir_sim_cancel(f.sim, f.task), WEIR_OK);
}

static void a_task_can_be_woken_sooner_and_never_later(void **state)
{
    (void)state;
    f.task_next_ns = WEIR_NEVER;
    add_task(WEIR_NEVER);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.logged, 0);
    assert_int_equal(weir_sim_wake(f.sim, f.task, START + 20 * MS), WEIR_OK);
    assert_int_equal(weir_sim_wake(f.sim, f.task, START + 10 * MS), WEIR_OK);
    assert_int_equal(weir_sim_wake(f.sim, f.task, START + 30 * MS), WEIR_OK);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "t");
    assert_true(f.at_ns[0] == START + 10 * MS);
    assert_int_equal(weir_sim_wake(f.sim, at(START + 40 * MS, 'a'), START), WEIR_ENOTFOUND);
    assert_int_equal(weir_sim_wake(f.sim, 77, START), WEIR_ENOTFOUND);
    assert_int_equal(weir_sim_add_task(f.sim, (weir_task){NULL, NULL}, 0, NULL), WEIR_EINVAL);
}

static void a_task_may_end_or_wake_itself(void **state)
{
    (void)state;
    weir_task const ends = {end_itself, NULL};
    assert_int_equal(weir_sim_add_task(f.sim, ends, 0, &f.task), WEIR_OK);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "a");
    again();
    weir_task const wakes = {wake_itself, NULL};
    assert_int_equal(weir_sim_add_task(f.sim, wakes, 0, &f.task), WEIR_OK);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "ww");
    assert_true(f.at_ns[1] == START + MS);
}

static void sleep_runs_the_world_forward(void **state)
{
    (void)state;
    const weir_env *const env = weir_sim_env(f.sim);
    (void)at(START + 5 * MS, 'a');
    env->sleep_ns(7 * MS, env->user);
    assert_string_equal(f.log, "a");
    assert_true(env->now_ns(env->user) == START + 7 * MS);
    assert_true(env->wall_ns(env->user) == UINT64_C(1700000000) * 1000 * MS + 7 * MS);
    assert_int_equal(weir_sim_at(f.sim, START + 8 * MS, sleep_in_a_callback, NULL, NULL), WEIR_OK);
    (void)at(START + 9 * MS, 'b');
    (void)at(START + 20 * MS, 'c');
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "a(b)c");
    assert_true(f.at_ns[3] == START + 18 * MS);
}

static void the_environment_draws_and_allocates(void **state)
{
    (void)state;
    const weir_env *const env = weir_sim_env(f.sim);
    uint64_t const first = env->random(env->user);
    assert_true(env->random(env->user) != first);
    assert_true(weir_sim_random(f.sim) != first); /* Another stream. */
    for (int i = 0; i < 100; i++)
        assert_true(weir_sim_random_below(f.sim, 3) < 3);
    assert_int_equal(weir_sim_random_below(f.sim, 0), 0);
    size_t const before = f.fake.live_bytes;
    void *ptr = env->realloc_fn(NULL, 0, 100, env->user);
    assert_int_equal(f.fake.live_bytes, before + 100);
    ptr = env->realloc_fn(ptr, 100, 0, env->user);
    assert_null(ptr);
    again();
    assert_true(weir_sim_env(f.sim)->random(weir_sim_env(f.sim)->user) == first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(time_jumps_to_what_is_due),           TEST(simultaneous_timers_keep_their_order),
        TEST(shuffling_finds_every_order),         TEST(what_is_cancelled_does_not_happen),
        TEST(a_task_runs_whenever_it_asks_to),     TEST(a_task_can_be_woken_sooner_and_never_later),
        TEST(a_task_may_end_or_wake_itself),       TEST(sleep_runs_the_world_forward),
        TEST(the_environment_draws_and_allocates),
    };
    return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}

/* Timers and tasks of the loop, on each of its backends. */
#include "support/loop_fixture.h"

/* ---- Timers ---- */

static void timers_fire_in_order_once_their_time_has_come(void **state)
{
    (void)state;
    (void)timer_at(1003, 'c');
    (void)timer_at(1001, 'a');
    (void)timer_at(1003, 'd'); /* Equal times: in the order of set. */
    (void)timer_at(1002, 'b');
    assert_int_equal(weir_loop_next_ns(f.loop), 1001 * MS);
    dispatch();
    assert_string_equal(f.trace, "");
    f.fake.now_ns = 1001 * MS;
    dispatch();
    assert_string_equal(f.trace, "a");
    f.fake.now_ns = 1003 * MS; /* All that is due, in one wake-up. */
    dispatch();
    assert_string_equal(f.trace, "abcd");
    assert_int_equal(weir_loop_next_ns(f.loop), WEIR_NEVER);
}

static void a_timer_set_again_forgets_its_old_time(void **state)
{
    (void)state;
    weir_loop_timer *const a = timer_at(1001, 'a');
    weir_loop_timer *const b = timer_at(1002, 'b');
    weir_loop_timer_set(a, 1005 * MS);
    weir_loop_timer_set(b, WEIR_NEVER);
    f.fake.now_ns = 1004 * MS;
    dispatch();
    assert_string_equal(f.trace, "");
    f.fake.now_ns = 1005 * MS;
    dispatch();
    assert_string_equal(f.trace, "a");
    weir_loop_timer_destroy(b);
    weir_loop_timer_destroy(NULL);
    weir_loop_timer *none = a;
    assert_int_equal(weir_loop_timer_create(&none, f.loop, NULL, NULL), WEIR_EINVAL);
    assert_null(none);
}

static weir_loop_timer *victims[2];

static void destroy_timers(uint64_t now_ns, void *user)
{
    (void)now_ns;
    (void)user;
    trace('k');
    weir_loop_timer_destroy(victims[0]);
    weir_loop_timer_destroy(victims[1]);
}

static void a_timer_destroyed_in_a_callback_does_not_fire(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(weir_loop_timer_create(&victims[i], f.loop, destroy_timers, NULL),
                         WEIR_OK);
        weir_loop_timer_set(victims[i], 0);
    }
    dispatch();
    dispatch();
    assert_string_equal(f.trace, "k");
}

static void set_itself_again(uint64_t now_ns, void *user)
{
    trace('r');
    weir_loop_timer_set(*(weir_loop_timer **)user, now_ns - 1);
}

static void a_timer_that_sets_itself_into_the_past_lets_others_run(void **state)
{
    (void)state;
    weir_loop_timer *timer;
    assert_int_equal(weir_loop_timer_create(&timer, f.loop, set_itself_again, &timer), WEIR_OK);
    weir_loop_timer_set(timer, 0);
    (void)timer_at(1000, 'o');
    dispatch();
    assert_string_equal(f.trace, "ro");
    dispatch();
    assert_string_equal(f.trace, "ror");
}

static void a_clock_that_steps_back_does_not_move_the_loop(void **state)
{
    (void)state;
    f.fake.now_ns = 900 * MS;
    dispatch();
    assert_int_equal(weir_loop_now_ns(f.loop), 1000 * MS);
}

/* ---- Tasks ---- */

static void a_task_runs_when_it_says(void **state)
{
    (void)state;
    ticker t = {.next_ns = 1010 * MS};
    assert_int_equal(weir_loop_task_create(&t.task, f.loop, (weir_task){tick, &t}), WEIR_OK);
    dispatch();
    assert_int_equal(t.runs, 1);
    f.fake.now_ns = 1009 * MS;
    dispatch();
    assert_int_equal(t.runs, 1);
    f.fake.now_ns = 1010 * MS;
    t.next_ns = WEIR_NEVER;
    dispatch();
    assert_int_equal(t.runs, 2);
    f.fake.now_ns = 99999 * MS;
    dispatch();
    assert_int_equal(t.runs, 2);
    weir_loop_task_destroy(t.task);
    weir_loop_task_destroy(NULL);
}

static void a_task_that_is_woken_runs_earlier(void **state)
{
    (void)state;
    ticker t = {.next_ns = WEIR_NEVER, .wake = true}; /* Wakes itself in its first run. */
    assert_int_equal(weir_loop_task_create(&t.task, f.loop, (weir_task){tick, &t}), WEIR_OK);
    dispatch();
    assert_int_equal(t.runs, 1);
    dispatch();
    assert_int_equal(t.runs, 2);
    dispatch();
    assert_int_equal(t.runs, 2);
    weir_loop_task_wake(t.task);
    dispatch();
    assert_int_equal(t.runs, 3);
}

static void a_task_may_destroy_itself(void **state)
{
    (void)state;
    ticker t = {.next_ns = 0, .destroy = true};
    assert_int_equal(weir_loop_task_create(&t.task, f.loop, (weir_task){tick, &t}), WEIR_OK);
    dispatch();
    dispatch();
    assert_int_equal(t.runs, 1);
    assert_int_equal(weir_loop_task_create(&t.task, f.loop, (weir_task){NULL, &t}), WEIR_EINVAL);
    assert_null(t.task);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timers_fire_in_order_once_their_time_has_come),
        TEST(a_timer_set_again_forgets_its_old_time),
        TEST(a_timer_destroyed_in_a_callback_does_not_fire),
        TEST(a_timer_that_sets_itself_into_the_past_lets_others_run),
        TEST(a_clock_that_steps_back_does_not_move_the_loop),
        TEST(a_task_runs_when_it_says),
        TEST(a_task_that_is_woken_runs_earlier),
        TEST(a_task_may_destroy_itself),
    };
    RUN_ON_EACH_BACKEND(tests);
}

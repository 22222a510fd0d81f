/* Runs and results: the counter, the intervals, timeouts, tokens, the line. */
#include "support/health_fixture.h"

/* ---- The counter, as HAProxy's check_notify_success() and check_notify_failure() move it ---- */

static void rises_after_rise_passes(void **state)
{
    (void)state;
    weir_health_check *const check = add("a", &f.probers[0]);
    run();
    assert_state(check, "unknown");
    assert_int_equal(status_of(check).counter, 1);
    pass_ms(1000);
    assert_state(check, "up");
    assert_int_equal(status_of(check).counter, 4); /* rise + fall - 1: the top, at once. */
}

static void falls_after_fall_failures(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_FULLY_UP;
    weir_health_check *const check = add("a", &f.probers[0]);
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    run();
    assert_int_equal(status_of(check).counter, 3);
    pass_ms(1000);
    assert_int_equal(status_of(check).counter, 2);
    assert_state(check, "up");
    pass_ms(1000);
    assert_int_equal(status_of(check).counter, 0); /* Below rise: to the bottom, at once. */
    assert_state(check, "down");
}

static void a_pass_makes_up_for_all_failures_while_up(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_FULLY_UP;
    weir_health_check *const check = add("a", &f.probers[0]);
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    pass_ms(1000);
    assert_int_equal(status_of(check).counter, 2);
    f.probers[0].verdict = WEIR_HEALTH_PASS;
    pass_ms(1000);
    assert_int_equal(status_of(check).counter, 4);
}

static void a_failure_undoes_all_passes_while_down(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_DOWN;
    f.check.rise = 3;
    weir_health_check *const check = add("a", &f.probers[0]);
    pass_ms(1000);
    assert_int_equal(status_of(check).counter, 2);
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    pass_ms(1000);
    assert_int_equal(status_of(check).counter, 0);
    assert_state(check, "down");
}

static void starts_as_it_is_told(void **state)
{
    (void)state;
    static const struct {
        weir_health_initial initial;
        const char *state;
        uint32_t counter;
    } cases[] = {
        {WEIR_HEALTH_START_UNKNOWN, "unknown", 0},
        {WEIR_HEALTH_START_UP, "up", 2},
        {WEIR_HEALTH_START_FULLY_UP, "up", 4},
        {WEIR_HEALTH_START_DOWN, "down", 0},
    };
    for (size_t i = 0; i < 4; i++) {
        f.check.initial = cases[i].initial;
        weir_health_check *const check = add("a", &f.probers[0]);
        assert_state(check, cases[i].state);
        assert_int_equal(status_of(check).counter, cases[i].counter);
        assert_int_equal(weir_health_remove(f.health, check), WEIR_OK);
    }
}

static void one_failure_is_enough_for_what_nobody_knows(void **state)
{
    (void)state;
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    weir_health_check *const unknown = add("unknown", &f.probers[0]);
    f.check.initial = WEIR_HEALTH_START_UP;
    weir_health_check *const up = add("up", &f.probers[0]);
    run();
    assert_state(unknown, "down");
    assert_state(up, "down");
}

static void the_very_first_pass_is_enough_if_it_is_told_so(void **state)
{
    (void)state;
    f.check.first_pass_up = true;
    f.check.initial = WEIR_HEALTH_START_DOWN;
    weir_health_check *const check = add("a", &f.probers[0]);
    run();
    assert_state(check, "up");
    f.probers[1].verdict = WEIR_HEALTH_FAIL;
    weir_health_check *const late = add("b", &f.probers[1]);
    run();
    f.probers[1].verdict = WEIR_HEALTH_PASS;
    pass_ms(1000);
    assert_state(late, "down"); /* Its first was a failure: it has to rise. */
    pass_ms(1000);
    assert_state(late, "up");
}

static void a_warning_is_a_pass_that_shows(void **state)
{
    (void)state;
    f.probers[0].verdict = WEIR_HEALTH_WARNING;
    f.probers[0].note = "disk 91 % full";
    f.probers[0].figure = 91;
    weir_health_check *const check = add("a", &f.probers[0]);
    pass_ms(1000);
    assert_state(check, "warn");
    assert_string_equal(status_of(check).note, "disk 91 % full");
    assert_int_equal(status_of(check).figure, 91);
    f.probers[0].verdict = WEIR_HEALTH_PASS;
    f.probers[0].note = NULL;
    pass_ms(1000);
    assert_state(check, "up");
    assert_string_equal(status_of(check).note, "");
}

static void abstaining_counts_neither_way(void **state)
{
    (void)state;
    weir_health_check *const check = add("a", &f.probers[0]);
    run();
    f.probers[0].verdict = WEIR_HEALTH_ABSTAIN;
    pass_ms(3000);
    assert_state(check, "unknown");
    assert_int_equal(status_of(check).counter, 1);
    assert_int_equal(status_of(check).discarded, 3);
    f.probers[0].verdict = (weir_health_verdict)99; /* No verdict at all. */
    pass_ms(1000);
    assert_int_equal(status_of(check).discarded, 4);
}

static void tolerates_failures_for_a_time(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_FULLY_UP;
    f.check.tolerate_ms = 5000;
    weir_health_check *const check = add("a", &f.probers[0]);
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    pass_ms(4999); /* At 0, 1, 2, 3 and 4 s. */
    assert_state(check, "up");
    assert_int_equal(status_of(check).counter, 2);
    pass_ms(1);
    assert_state(check, "down");
}

/* ---- Times ---- */

static void a_tolerated_failure_undoes_passes_all_the_same(void **state)
{
    (void)state;
    f.check.tolerate_ms = 5000;
    weir_health_check *const check = add("a", &f.probers[0]);
    run();
    assert_int_equal(status_of(check).counter, 1);
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    pass_ms(1000);
    assert_state(check, "unknown");
    assert_int_equal(status_of(check).counter, 0);
    f.probers[0].verdict = WEIR_HEALTH_PASS;
    pass_ms(1000);
    assert_state(check, "unknown"); /* The first of two in a row. */
    pass_ms(1000);
    assert_state(check, "up");
}

static void runs_at_its_interval_exactly(void **state)
{
    (void)state;
    (void)add("a", &f.probers[0]);
    run();
    assert_int_equal(f.probers[0].started, 1);
    f.fake.now_ns += 1000 * MS - 1;
    assert_int_equal(run(), 6000 * MS);
    assert_int_equal(f.probers[0].started, 1);
    f.fake.now_ns += 1;
    assert_int_equal(run(), 7000 * MS);
    assert_int_equal(f.probers[0].started, 2);
}

static void is_quick_in_transition_and_slow_when_down(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_FULLY_UP;
    f.check.fast_ms = 100;
    f.check.down_ms = 5000;
    (void)add("a", &f.probers[0]);
    assert_int_equal(run(), 6000 * MS); /* Wholly up. */
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    f.fake.now_ns = 6000 * MS;
    assert_int_equal(run(), 6100 * MS);
    f.fake.now_ns = 6100 * MS;
    assert_int_equal(run(), 6200 * MS);
    f.fake.now_ns = 6200 * MS;
    assert_int_equal(run(), 11200 * MS); /* Wholly down. */
    f.probers[0].verdict = WEIR_HEALTH_PASS;
    f.fake.now_ns = 11200 * MS;
    assert_int_equal(run(), 11300 * MS); /* On its way up. */
    f.fake.now_ns = 11300 * MS;
    assert_int_equal(run(), 12300 * MS);
}

static void is_slower_without_traffic_if_it_is_told_so(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_FULLY_UP;
    f.check.idle_ms = 60000;
    weir_health_check *const check = add("a", &f.probers[0]);
    assert_int_equal(run(), 65000 * MS);
    weir_health_note_traffic(check, 64500 * MS);
    f.fake.now_ns = 65000 * MS;
    assert_int_equal(run(), 66000 * MS);
}

static void spreads_first_runs_over_the_interval(void **state)
{
    (void)state;
    f.check.spread_percent = 100;
    char id[] = "0";
    for (; id[0] < '0' + 10; id[0]++)
        (void)add(id, &f.probers[id[0] - '0']);
    pass_ms(999);
    unsigned by_fifth[5] = {0};
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(f.probers[i].started, 1);
        by_fifth[(f.probers[i].last_ns / MS - 5000) / 200]++;
    }
    for (unsigned i = 0; i < 5; i++) /* Evenly: by the golden ratio, 1 to 3 in each fifth. */
        assert_in_range(by_fifth[i], 1, 3);
}

static void jitter_stays_in_its_bounds(void **state)
{
    (void)state;
    f.check.jitter_percent = 20;
    (void)add("a", &f.probers[0]);
    uint64_t least = UINT64_MAX, most = 0;
    uint64_t next_ns = run();
    for (int i = 0; i < 1000; i++) {
        uint64_t const interval_ns = next_ns - f.fake.now_ns;
        least = interval_ns < least ? interval_ns : least;
        most = interval_ns > most ? interval_ns : most;
        f.fake.now_ns = next_ns;
        next_ns = run();
    }
    assert_in_range(least, 800 * MS, 820 * MS);
    assert_in_range(most, 1180 * MS, 1201 * MS); /* Rounded up to a millisecond. */
}

static void long_intervals_are_spread_and_jittered_over_their_whole_length(void **state)
{
    (void)state;
    uint64_t const day_ms = 86400000;
    f.check.spread_percent = 100;
    f.check.jitter_percent = 50;
    f.check.interval_ms = (uint32_t)day_ms;
    unsigned spread[4] = {0}, jitter[4] = {0};
    for (unsigned i = 0; i < 64; i++) {
        weir_health_check *const check = add("a", &f.probers[0]);
        uint64_t const start_ms = f.fake.now_ns / MS;
        uint64_t const first_ms = status_of(check).due_ns / MS;
        spread[(first_ms - start_ms) * 4 / (day_ms + 1)]++;
        f.fake.now_ns = first_ms * MS;
        uint64_t const next_ms = run() / MS;
        assert_in_range(next_ms - first_ms, day_ms / 2, day_ms / 2 * 3 + 1);
        jitter[(next_ms - first_ms - day_ms / 2) * 4 / (day_ms + 2)]++;
        assert_int_equal(weir_health_remove(f.health, check), WEIR_OK);
    }
    for (unsigned i = 0; i < 4; i++) { /* Of 64, about 16 in each quarter. */
        assert_in_range(spread[i], 13, 19);
        assert_in_range(jitter[i], 6, 26);
    }
}

static void a_clock_that_steps_back_changes_nothing(void **state)
{
    (void)state;
    (void)add("a", &f.probers[0]);
    run();
    f.fake.now_ns = 1000 * MS;
    assert_int_equal(run(), 6000 * MS);
    assert_int_equal(f.probers[0].started, 1);
    f.fake.now_ns = 6000 * MS;
    run();
    assert_int_equal(f.probers[0].started, 2);
}

static void can_be_asked_for_at_once(void **state)
{
    (void)state;
    weir_health_check *const check = add("a", &f.probers[0]);
    run();
    f.wakes = 0;
    weir_health_check_now(f.health, check);
    assert_int_equal(f.wakes, 1);
    f.probers[0].verdict = WEIR_HEALTH_PENDING;
    run();
    assert_int_equal(f.probers[0].started, 2);
    weir_health_check_now(f.health, check); /* It is at it. */
    run();
    assert_int_equal(f.probers[0].started, 2);
}

/* ---- Runs that take time ---- */

static void a_run_may_be_answered_later(void **state)
{
    (void)state;
    f.probers[0].verdict = WEIR_HEALTH_PENDING;
    weir_health_check *const check = add("a", &f.probers[0]);
    assert_int_equal(run(), 5300 * MS); /* Its timeout. */
    assert_true(status_of(check).running);
    fake_env_advance_ms(&f.fake, 40);
    assert_int_equal(answer(f.probers[0].token, WEIR_HEALTH_PASS), WEIR_OK);
    assert_int_equal(status_of(check).latency_ns, 40 * MS);
    assert_false(status_of(check).running);
    assert_int_equal(run(), 6000 * MS); /* From start to start. */
}

static void a_run_that_answers_within_its_start_is_over(void **state)
{
    (void)state;
    struct at_once {
        prober prober;
    } self = {.prober = {.verdict = WEIR_HEALTH_PENDING}};
    weir_health_check *const check = add("a", &self.prober);
    run();
    assert_int_equal(answer(self.prober.token, WEIR_HEALTH_PASS), WEIR_OK);
    assert_int_equal(status_of(check).passed, 1);
    assert_int_equal(weir_health_remove(f.health, check), WEIR_OK);
    assert_int_equal(self.prober.cancelled, 0);
}

static void a_run_without_answer_times_out_and_is_cancelled(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_UP;
    f.probers[0].verdict = WEIR_HEALTH_PENDING;
    weir_health_check *const check = add("a", &f.probers[0]);
    pass_ms(299);
    assert_state(check, "up");
    pass_ms(1);
    assert_state(check, "down");
    assert_int_equal(f.probers[0].cancelled, 1);
    assert_int_equal(status_of(check).timeouts, 1);
    const seen_event *const change = nth_of(WEIR_HEALTH_CHECK_CHANGED, 0);
    assert_int_equal(change->event.reason, WEIR_HEALTH_BY_TIMEOUT);
    assert_string_equal(change->event.note, "no answer in time");
}

static void late_doubled_and_strange_results_do_no_harm(void **state)
{
    (void)state;
    f.check.cancel = NULL;
    f.probers[0].verdict = WEIR_HEALTH_PENDING;
    weir_health_check *const check = add("a", &f.probers[0]);
    run();
    weir_health_token const first = f.probers[0].token;
    pass_ms(300); /* Times out, and is down. */
    assert_int_equal(answer(first, WEIR_HEALTH_PASS), WEIR_ESTALE);
    pass_ms(700);
    assert_int_equal(f.probers[0].started, 2);
    assert_int_equal(answer(first, WEIR_HEALTH_PASS), WEIR_ESTALE);
    assert_int_equal(answer(f.probers[0].token, WEIR_HEALTH_PASS), WEIR_OK);
    assert_int_equal(answer(f.probers[0].token, WEIR_HEALTH_PASS), WEIR_ESTALE);
    assert_int_equal(status_of(check).late, 3);
    assert_int_equal(status_of(check).counter, 1);
    assert_int_equal(answer((weir_health_token){.run = 0, .place = 0}, WEIR_HEALTH_PASS),
                     WEIR_ESTALE);
    assert_int_equal(answer((weir_health_token){.run = 1, .place = 99999}, WEIR_HEALTH_PASS),
                     WEIR_ESTALE);
    assert_int_equal(answer(first, WEIR_HEALTH_PENDING), WEIR_EINVAL);
    assert_int_equal(answer(first, (weir_health_verdict)7), WEIR_EINVAL);
}

static void a_result_of_a_removed_check_is_not_counted_by_who_took_its_place(void **state)
{
    (void)state;
    f.probers[0].verdict = WEIR_HEALTH_PENDING;
    weir_health_check *const gone = add("gone", &f.probers[0]);
    run();
    assert_int_equal(weir_health_remove(f.health, gone), WEIR_OK);
    weir_health_check *const next = add("next", &f.probers[1]);
    run();
    assert_int_equal(answer(f.probers[0].token, WEIR_HEALTH_FAIL), WEIR_ESTALE);
    assert_int_equal(status_of(next).late, 0);
    assert_int_equal(answer(f.probers[1].token, WEIR_HEALTH_FAIL), WEIR_ESTALE);
    assert_int_equal(status_of(next).late, 1);
}

static void runs_of_one_check_never_overlap(void **state)
{
    (void)state;
    f.check.timeout_ms = 2500; /* Longer than its interval. */
    f.probers[0].verdict = WEIR_HEALTH_PENDING;
    (void)add("a", &f.probers[0]);
    pass_ms(2499);
    assert_int_equal(f.probers[0].started, 1);
    pass_ms(1); /* Over, and the next is overdue. */
    assert_int_equal(f.probers[0].started, 2);
    assert_int_equal(f.probers[0].cancelled, 1);
}

/* envoy#10498: a storm of probes. */
static void no_more_run_at_once_than_allowed_and_the_rest_wait_in_line(void **state)
{
    (void)state;
    f.options.max_running = 2;
    recreate();
    char id[] = "0";
    for (; id[0] < '0' + 5; id[0]++) {
        f.probers[id[0] - '0'].verdict = WEIR_HEALTH_PENDING;
        (void)add(id, &f.probers[id[0] - '0']);
    }
    run();
    assert_int_equal(summary().running, 2);
    assert_int_equal(summary().waiting, 3);
    assert_int_equal(f.probers[2].started, 0);
    assert_int_equal(status_of(weir_health_find(f.health, "2")).due_ns, f.fake.now_ns);
    f.wakes = 0;
    assert_int_equal(answer(f.probers[1].token, WEIR_HEALTH_PASS), WEIR_OK);
    assert_int_equal(f.wakes, 1); /* There is a place. */
    run();
    assert_int_equal(f.probers[2].started, 1);
    pass_ms(300); /* Two time out. */
    assert_int_equal(f.probers[3].started, 1);
    assert_int_equal(f.probers[4].started, 1);
    assert_int_equal(weir_health_remove(f.health, weir_health_find(f.health, "0")), WEIR_OK);
}

static void wakes_its_task_for_what_is_due_before_it_said(void **state)
{
    (void)state;
    assert_int_equal(run(), WEIR_NEVER);
    (void)add("a", &f.probers[0]);
    assert_int_equal(f.wakes, 1);
    (void)add("b", &f.probers[1]);
    assert_int_equal(f.wakes, 1); /* It is awake. */
    run();
    (void)add_beat("c", 2000);
    assert_int_equal(f.wakes, 1); /* Later than it runs anyway. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rises_after_rise_passes),
        TEST(falls_after_fall_failures),
        TEST(a_pass_makes_up_for_all_failures_while_up),
        TEST(a_failure_undoes_all_passes_while_down),
        TEST(starts_as_it_is_told),
        TEST(one_failure_is_enough_for_what_nobody_knows),
        TEST(the_very_first_pass_is_enough_if_it_is_told_so),
        TEST(a_warning_is_a_pass_that_shows),
        TEST(abstaining_counts_neither_way),
        TEST(tolerates_failures_for_a_time),
        TEST(a_tolerated_failure_undoes_passes_all_the_same),
        TEST(runs_at_its_interval_exactly),
        TEST(is_quick_in_transition_and_slow_when_down),
        TEST(is_slower_without_traffic_if_it_is_told_so),
        TEST(spreads_first_runs_over_the_interval),
        TEST(jitter_stays_in_its_bounds),
        TEST(long_intervals_are_spread_and_jittered_over_their_whole_length),
        TEST(a_clock_that_steps_back_changes_nothing),
        TEST(can_be_asked_for_at_once),
        TEST(a_run_may_be_answered_later),
        TEST(a_run_that_answers_within_its_start_is_over),
        TEST(a_run_without_answer_times_out_and_is_cancelled),
        TEST(late_doubled_and_strange_results_do_no_harm),
        TEST(a_result_of_a_removed_check_is_not_counted_by_who_took_its_place),
        TEST(runs_of_one_check_never_overlap),
        TEST(no_more_run_at_once_than_allowed_and_the_rest_wait_in_line),
        TEST(wakes_its_task_for_what_is_due_before_it_said),
    };
    return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}

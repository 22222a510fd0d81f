/* A caller that ejects outliers, and lets its balancer know time. */
#include "support/caller_fixture.h"

#define S (1000 * MS)

static weir_outlier_options watch;

/* Three in a row eject for 30 s; no breakers, no retries, no limit. */
static int setup_watched(void **state)
{
    if (setup(state))
        return -1;
    watch = (weir_outlier_options)WEIR_OUTLIER_OPTIONS_INIT;
    watch.consecutive_failures = 3;
    watch.jitter_ms = 0;
    f.options.limiter = NULL;
    f.options.breaker = NULL;
    f.options.retry = NULL;
    f.options.outlier = &watch;
    recreate();
    return 0;
}

static uint32_t flags_of(const char *id)
{
    weir_member_stats stats;
    assert_int_equal(weir_balancer_get_stats(weir_caller_balancer(f.caller), id, &stats), WEIR_OK);
    return stats.flags;
}

/* Calls on all members; those on `bad` end so. */
static void call_all(unsigned count, char bad, const weir_attempt_result *result)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(begin(), WEIR_OK);
        weir_attempt_result const good = {.outcome = WEIR_SUCCESS};
        bool const is_bad = f.attempt.member->id[0] == bad;
        assert_int_equal(weir_caller_end(&f.call, is_bad ? result : &good, f.fake.now_ns, NULL),
                         is_bad ? WEIR_CALL_FAILED : WEIR_CALL_DONE);
    }
}

static uint64_t run_task(void)
{
    weir_task const task = weir_caller_task(f.caller);
    return task.run(task.self, f.fake.now_ns);
}

static void a_member_that_fails_in_a_row_gets_no_calls_until_it_returns(void **state)
{
    (void)state;
    weir_attempt_result const failed = {.outcome = WEIR_FAILURE};
    set_members("abc");
    call_all(9, 'b', &failed);
    assert_int_equal(flags_of("b"), WEIR_MEMBER_EJECTED);
    weir_outlier_stats stats;
    weir_caller_get_outlier(f.caller, &stats);
    assert_int_equal(stats.ejected, 1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(begin(), WEIR_OK);
        assert_int_not_equal(f.attempt.member->id[0], 'b');
        assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
    }
    memset(f.log, 0, sizeof f.log);
    assert_true(run_task() <= f.fake.now_ns + 10 * S);
    f.fake.now_ns += 30 * S;
    (void)run_task();
    assert_int_equal(flags_of("b"), 0);
    assert_string_equal(f.log, "o");
}

static void a_passing_check_brings_it_back_at_once(void **state)
{
    (void)state;
    weir_attempt_result const failed = {.outcome = WEIR_TIMEOUT};
    set_members("abc");
    call_all(9, 'c', &failed);
    assert_int_equal(flags_of("c"), WEIR_MEMBER_EJECTED);
    assert_int_equal(weir_caller_uneject(f.caller, "a", f.fake.now_ns), WEIR_EBUSY);
    assert_int_equal(weir_caller_uneject(f.caller, "z", f.fake.now_ns), WEIR_ENOTFOUND);
    assert_int_equal(weir_caller_uneject(f.caller, "c", f.fake.now_ns), WEIR_OK);
    assert_int_equal(flags_of("c"), 0);
}

static void what_was_not_sent_is_of_local_origin(void **state)
{
    (void)state;
    weir_attempt_result const refused = {.outcome = WEIR_FAILURE, .unsent = true};
    weir_attempt_result const broken = {.outcome = WEIR_FAILURE};
    watch.split_local = true;
    watch.consecutive_local = 5;
    recreate();
    set_members("ab");
    call_all(8, 'a', &refused); /* Four of them, apart from the server's. */
    assert_int_equal(flags_of("a"), 0);
    call_all(4, 'a', &broken);
    assert_int_equal(flags_of("a"), 0);
    call_all(2, 'a', &broken);
    assert_int_equal(flags_of("a"), WEIR_MEMBER_EJECTED);
}

static void a_member_that_leaves_and_comes_back_is_not_ejected(void **state)
{
    (void)state;
    weir_attempt_result const failed = {.outcome = WEIR_FAILURE};
    set_members("abc");
    call_all(9, 'b', &failed);
    set_members("ac");
    set_members("abc");
    assert_int_equal(flags_of("b"), 0);
    call_all(9, 'b', &failed);
    assert_int_equal(flags_of("b"), WEIR_MEMBER_EJECTED);
}

static void turned_off_it_keeps_nobody_out(void **state)
{
    (void)state;
    weir_attempt_result const failed = {.outcome = WEIR_FAILURE};
    set_members("abc");
    call_all(9, 'b', &failed);
    f.options.outlier = NULL;
    assert_int_equal(weir_caller_update(f.caller, &f.options), WEIR_OK);
    assert_int_equal(flags_of("b"), 0);
    call_all(30, 'b', &failed);
    assert_int_equal(flags_of("b"), 0);
}

static void a_flag_that_had_no_memory_is_set_later(void **state)
{
    (void)state;
    weir_attempt_result const failed = {.outcome = WEIR_FAILURE};
    set_members("abc");
    call_all(6, 'b', &failed);
    f.fake.calls = 0;
    f.fake.fail_at = 1;
    call_all(3, 'b', &failed);
    assert_int_equal(flags_of("b"), 0);
    f.fake.fail_at = 0;
    (void)run_task();
    assert_int_equal(flags_of("b"), WEIR_MEMBER_EJECTED);
}

static void see_ejection(const weir_caller_member *member, void *user)
{
    if (member->outlier.ejected)
        *(const char **)user = member->member->id;
}

static void a_visit_shows_who_is_ejected(void **state)
{
    (void)state;
    const char *ejected = "";
    weir_attempt_result const failed = {.outcome = WEIR_FAILURE};
    set_members("abc");
    call_all(9, 'b', &failed);
    weir_caller_visit(f.caller, see_ejection, &ejected);
    assert_string_equal(ejected, "b");
}

static void the_task_warms_members_up(void **state)
{
    (void)state;
    weir_member_stats stats;
    weir_balancer_options balancer = WEIR_BALANCER_OPTIONS_INIT;
    balancer.slow_start_ns = 20 * S;
    f.options.balancer = &balancer;
    recreate();
    set_members("ab");
    set_members("abc");
    assert_true(run_task() <= f.fake.now_ns + 1 * S + 1);
    f.fake.now_ns += 10 * S;
    (void)run_task();
    assert_int_equal(weir_balancer_get_stats(weir_caller_balancer(f.caller), "c", &stats), WEIR_OK);
    assert_true(stats.weight > 0.49 && stats.weight < 0.51);
    f.options.balancer = NULL;
}

static void a_call_may_stick_and_choose_a_subset(void **state)
{
    (void)state;
    static const char *const keys[] = {"v"};
    static const weir_label one = {"v", "1"}, two = {"v", "2"};
    weir_subset_selector const selector = {.keys = keys, .key_count = 1};
    weir_balancer_options balancer = WEIR_BALANCER_OPTIONS_INIT;
    balancer.selectors = &selector;
    balancer.selector_count = 1;
    f.options.balancer = &balancer;
    recreate();
    weir_member members[2] = {WEIR_MEMBER_INIT, WEIR_MEMBER_INIT};
    members[0].id = "a";
    members[0].labels = &one;
    members[1].id = "b";
    members[1].labels = &two;
    members[0].label_count = members[1].label_count = 1;
    assert_int_equal(weir_caller_set_members(f.caller, members, 2, 0), WEIR_OK);
    for (int i = 0; i < 6; i++) {
        weir_call_options options = WEIR_CALL_OPTIONS_INIT;
        options.sticky = i % 2 == 0 ? "b" : NULL;
        options.labels = &one;
        options.label_count = i % 2 == 0 ? 0 : 1;
        assert_int_equal(weir_caller_begin(f.caller, &f.call, &options, f.fake.now_ns, &f.attempt,
                                           &f.rejection),
                         WEIR_OK);
        assert_string_equal(f.attempt.member->id, i % 2 == 0 ? "b" : "a");
        assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
    }
    f.options.balancer = NULL;
}

#define WATCHED(name) cmocka_unit_test_setup_teardown(name, setup_watched, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WATCHED(a_member_that_fails_in_a_row_gets_no_calls_until_it_returns),
        WATCHED(a_passing_check_brings_it_back_at_once),
        WATCHED(what_was_not_sent_is_of_local_origin),
        WATCHED(a_member_that_leaves_and_comes_back_is_not_ejected),
        WATCHED(turned_off_it_keeps_nobody_out),
        WATCHED(a_flag_that_had_no_memory_is_set_later),
        WATCHED(a_visit_shows_who_is_ejected),
        WATCHED(the_task_warms_members_up),
        WATCHED(a_call_may_stick_and_choose_a_subset),
    };
    return cmocka_run_group_tests_name("caller_outlier", tests, NULL, NULL);
}

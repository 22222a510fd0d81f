/* Caller: its members, their breakers, and changes of both while calls run. */
#include "support/caller_fixture.h"

static void an_open_breaker_takes_its_member_out_until_its_rest_is_over(void **state)
{
    (void)state;
    uint32_t flags[2] = {0};
    set_members("ab");
    while (stats_now().attempts < 4) /* Two failures each for a; b is well. */
        call_once(stats_now().attempts % 2 == 0 ? WEIR_FAILURE : WEIR_SUCCESS);
    weir_caller_visit(f.caller, collect_flags, flags);
    assert_int_equal(flags[0] | flags[1], WEIR_MEMBER_OPEN);
    assert_int_not_equal(flags[0], flags[1]);
    char const sick = flags[0] != 0 ? 'a' : 'b';
    for (int i = 0; i < 6; i++) {
        assert_int_equal(begin(), WEIR_OK);
        assert_int_not_equal(f.attempt.member->id[0], sick);
        assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
    }
    f.fake.now_ns += 100 * MS;
    int served = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(begin(), WEIR_OK);
        served += f.attempt.member->id[0] == sick;
        assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
    }
    assert_int_equal(served, 2);
    weir_caller_visit(f.caller, collect_flags, flags);
    assert_int_equal(flags[0] | flags[1], 0);
}

static void when_all_are_open_the_rejection_says_until_when(void **state)
{
    (void)state;
    set_members("a");
    call_once(WEIR_FAILURE);
    call_once(WEIR_FAILURE);
    f.fake.now_ns += 30 * MS;
    assert_int_equal(begin(), WEIR_EOPEN);
    assert_int_equal(f.rejection.stage, WEIR_STAGE_BREAKER);
    assert_int_equal(f.rejection.retry_after_ns, 70 * MS);
    f.fake.now_ns += 70 * MS;
    assert_int_equal(begin(), WEIR_OK); /* The probe. */
    weir_call second;
    weir_attempt attempt;
    assert_int_equal(weir_caller_begin(f.caller, &second, NULL, f.fake.now_ns, &attempt,
                                       &f.rejection),
                     WEIR_EOPEN);
    assert_int_equal(f.rejection.stage, WEIR_STAGE_BREAKER);
    assert_int_equal(f.rejection.retry_after_ns, 0); /* The probe may be back any moment. */
    assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
    assert_int_equal(begin(), WEIR_OK);
}

static void a_breaker_forced_by_hand_takes_its_member_out_and_back(void **state)
{
    (void)state;
    set_members("a");
    assert_int_equal(weir_caller_force_breaker(f.caller, "z", WEIR_BREAKER_CLOSED), WEIR_ENOTFOUND);
    assert_int_equal(weir_caller_force_breaker(f.caller, "a", WEIR_BREAKER_OPEN), WEIR_EINVAL);
    assert_int_equal(weir_caller_force_breaker(f.caller, "a", WEIR_BREAKER_FORCED_OPEN), WEIR_OK);
    assert_int_equal(begin(), WEIR_EDOWN);
    assert_int_equal(weir_caller_force_breaker(f.caller, "a", WEIR_BREAKER_CLOSED), WEIR_OK);
    assert_int_equal(begin(), WEIR_OK);
    assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
    assert_string_equal(f.log, "brbATE");
}

static void without_a_breaker_every_member_is_asked(void **state)
{
    (void)state;
    f.options.breaker = NULL;
    f.options.limiter = NULL;
    f.options.retry = NULL;
    recreate();
    set_members("a");
    for (int i = 0; i < 50; i++) {
        assert_int_equal(begin(), WEIR_OK);
        assert_int_equal(end(WEIR_FAILURE), WEIR_CALL_FAILED);
    }
    assert_true(permits_left() == UINT64_MAX);
}

static void cancelling_ends_a_call_wherever_it_is(void **state)
{
    (void)state;
    set_members("a");
    assert_int_equal(begin(), WEIR_OK);
    weir_caller_cancel(&f.call, f.fake.now_ns);
    assert_string_equal(f.log, "ATE");
    weir_caller_cancel(&f.call, f.fake.now_ns); /* Not under way: stays so. */
    assert_int_equal(begin(), WEIR_OK);
    assert_int_equal(end(WEIR_FAILURE), WEIR_CALL_RETRY);
    weir_caller_cancel(&f.call, f.fake.now_ns);
    assert_string_equal(f.log, "ATEATE");
    assert_nothing_is_held();
}

static void members_may_leave_while_calls_on_them_run(void **state)
{
    (void)state;
    set_members("ab");
    assert_int_equal(begin(), WEIR_OK);
    char const id = f.attempt.member->id[0];
    set_members("c");
    set_members("d");
    assert_int_equal(f.attempt.member->id[0], id);
    assert_int_equal(end(WEIR_FAILURE), WEIR_CALL_RETRY);
    assert_int_equal(retry(), WEIR_OK);
    assert_string_equal(f.attempt.member->id, "d");
    assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
    set_members("d");
    set_members("d");
    unsigned const live = f.fake.live;
    set_members("d");
    assert_int_equal(f.fake.live, live);
}

static void members_that_stay_keep_their_breaker_and_take_a_new_user(void **state)
{
    (void)state;
    set_members("ab");
    assert_int_equal(weir_caller_force_breaker(f.caller, "a", WEIR_BREAKER_FORCED_OPEN), WEIR_OK);
    char other = 'x';
    weir_member members[2] = {WEIR_MEMBER_INIT, WEIR_MEMBER_INIT};
    members[0].id = "a";
    members[1].id = "b";
    members[0].user = members[1].user = &other;
    assert_int_equal(weir_caller_set_members(f.caller, members, 2, 7), WEIR_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(begin(), WEIR_OK);
        assert_string_equal(f.attempt.member->id, "b");
        assert_ptr_equal(f.attempt.user, &other);
        assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
    }
    assert_int_equal(weir_caller_set_members(f.caller, members, 1, 7), WEIR_OK); /* In force. */
    assert_int_equal(weir_caller_set_members(f.caller, members, 1, 6), WEIR_ESTALE);
    assert_int_equal(begin(), WEIR_OK);
    assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
}

static void bad_members_change_nothing(void **state)
{
    (void)state;
    weir_member twins[2] = {WEIR_MEMBER_INIT, WEIR_MEMBER_INIT};
    set_members("a");
    assert_int_equal(weir_caller_set_members(f.caller, twins, 2, 0), WEIR_EINVAL);
    twins[0].id = twins[1].id = "t";
    assert_int_equal(weir_caller_set_members(f.caller, twins, 2, 0), WEIR_EINVAL);
    assert_int_equal(weir_caller_set_members(f.caller, NULL, 2, 0), WEIR_EINVAL);
    assert_int_equal(begin(), WEIR_OK);
    assert_string_equal(f.attempt.member->id, "a");
    assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
}

static void update_replaces_the_options_and_keeps_the_states(void **state)
{
    (void)state;
    set_members("a");
    call_once(WEIR_FAILURE);
    f.retry.max_attempts = 1;
    f.limiter.burst = 500;
    f.options.attempt_timeout_ns = 5 * MS;
    assert_int_equal(weir_caller_update(f.caller, &f.options), WEIR_OK);
    assert_int_equal(permits_left(), 499);
    assert_int_equal(begin(), WEIR_OK);
    assert_int_equal(f.attempt.deadline_ns, f.fake.now_ns + 5 * MS);
    assert_int_equal(end(WEIR_FAILURE), WEIR_CALL_FAILED); /* Second in a row: open. */
    assert_int_equal(begin(), WEIR_EOPEN);
    weir_balancer_options balancer = WEIR_BALANCER_OPTIONS_INIT;
    f.options.balancer = &balancer;
    balancer.choices = 1;
    assert_int_equal(weir_caller_update(f.caller, &f.options), WEIR_EINVAL);
    balancer.choices = 2;
    assert_int_equal(weir_caller_update(f.caller, &f.options), WEIR_OK);
    f.options.balancer = NULL;
}

static void refuses_options_out_of_range(void **state)
{
    (void)state;
    weir_caller *caller;
    for (int i = 0; i < 7; i++) {
        weir_caller_options options = f.options;
        weir_limiter_options limiter = f.limiter;
        weir_breaker_options breaker = f.breaker;
        weir_retry_options retry_options = f.retry;
        weir_env const bad = {.struct_size = 1};
        options.limiter = &limiter;
        options.breaker = &breaker;
        options.retry = &retry_options;
        switch (i) {
        case 0: limiter.limit = 0; break;
        case 1: breaker.open_ms = 0; break;
        case 2: retry_options.max_attempts = 0; break;
        case 3: options.timeout_ns = 0; break;
        case 4: options.attempt_timeout_ns = 0; break;
        case 5: options.struct_size = 1; break;
        default: options.env = &bad; break;
        }
        assert_int_equal(weir_caller_create(&caller, &options), WEIR_EINVAL);
        assert_null(caller);
        if (i < 6)
            assert_int_equal(weir_caller_update(f.caller, &options), WEIR_EINVAL);
    }
    assert_int_equal(permits_left(), 100);
    weir_call_options const bad_call = {.struct_size = 1};
    assert_int_equal(weir_caller_begin(f.caller, &f.call, &bad_call, 0, &f.attempt, NULL),
                     WEIR_EINVAL);
}

static void execute_attempts_and_waits_until_it_is_over(void **state)
{
    (void)state;
    int tries = 0;
    assert_int_equal(weir_caller_execute(f.caller, NULL, always_fail, &tries, &f.rejection),
                     WEIR_EEMPTY);
    assert_int_equal(tries, 0);
    set_members("abc");
    assert_int_equal(weir_caller_execute(f.caller, NULL, fail_twice_then_succeed, NULL, NULL),
                     WEIR_OK);
    assert_int_equal(f.fake.slept_ns, 20 * MS);
    assert_int_equal(f.fake.now_ns, 1035 * MS);
    assert_int_equal(weir_caller_execute(f.caller, NULL, always_fail, &tries, NULL), WEIR_EFAILED);
    assert_int_equal(tries, 3);
    assert_nothing_is_held();
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    weir_caller_destroy(f.caller);
    f.fake = (fake_env){.fail_at = 1};
    for (; weir_caller_create(&f.caller, &f.options) == WEIR_ENOMEM; f.fake.fail_at++) {
        assert_null(f.caller);
        assert_int_equal(f.fake.live_bytes, 0);
        f.fake.calls = 0;
    }
    assert_true(f.fake.fail_at > 5);
    f.fake.fail_at = 0;
    set_members("a");
    size_t const live_bytes = f.fake.live_bytes;
    weir_member members[2] = {WEIR_MEMBER_INIT, WEIR_MEMBER_INIT};
    members[0].id = "a";
    members[1].id = "b";
    f.fake.calls = 0;
    for (f.fake.fail_at = 1; weir_caller_set_members(f.caller, members, 2, 0) == WEIR_ENOMEM;
         f.fake.fail_at++, f.fake.calls = 0)
        assert_int_equal(f.fake.live_bytes, live_bytes);
    assert_true(f.fake.fail_at > 8);
    f.fake.calls = 0;
    for (f.fake.fail_at = 1; weir_caller_update(f.caller, &f.options) == WEIR_ENOMEM;
         f.fake.fail_at++)
        f.fake.calls = 0;
    assert_true(f.fake.fail_at > 5);
    weir_caller_destroy(NULL);
}

/* Without memory to keep the member out, its breaker still refuses, and it comes back. */
static void an_open_breaker_works_without_memory(void **state)
{
    (void)state;
    for (unsigned fail_at = 1; fail_at < 6; fail_at++) {
        recreate();
        set_members("a");
        f.fake.calls = 0;
        f.fake.fail_at = fail_at;
        call_once(WEIR_FAILURE);
        call_once(WEIR_FAILURE);
        int const result = begin();
        assert_int_equal(result, WEIR_EOPEN);
        f.fake.now_ns += 100 * MS;
        f.fake.fail_at = f.fake.calls + 1;
        int const woken = begin();
        f.fake.fail_at = 0;
        f.fake.now_ns += 1 * MS;
        if (woken == WEIR_OK)
            weir_caller_cancel(&f.call, f.fake.now_ns);
        assert_int_equal(begin(), WEIR_OK);
        assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
        assert_nothing_is_held();
    }
}

static void stages_have_names(void **state)
{
    (void)state;
    assert_string_equal(weir_caller_stage_name(WEIR_STAGE_DEADLINE), "deadline");
    assert_string_equal(weir_caller_stage_name(WEIR_STAGE_BALANCER), "balancer");
    assert_string_equal(weir_caller_stage_name(WEIR_STAGE_BREAKER), "breaker");
    assert_string_equal(weir_caller_stage_name(WEIR_STAGE_LIMITER), "limiter");
    assert_string_equal(weir_caller_stage_name((weir_caller_stage)9), "unknown");
    assert_int_equal(weir_caller_now_ns(f.caller), f.fake.now_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_open_breaker_takes_its_member_out_until_its_rest_is_over),
        TEST(when_all_are_open_the_rejection_says_until_when),
        TEST(a_breaker_forced_by_hand_takes_its_member_out_and_back),
        TEST(without_a_breaker_every_member_is_asked),
        TEST(cancelling_ends_a_call_wherever_it_is),
        TEST(members_may_leave_while_calls_on_them_run),
        TEST(members_that_stay_keep_their_breaker_and_take_a_new_user),
        TEST(bad_members_change_nothing),
        TEST(update_replaces_the_options_and_keeps_the_states),
        TEST(refuses_options_out_of_range),
        TEST(execute_attempts_and_waits_until_it_is_over),
        TEST(survives_every_failed_allocation),
        TEST(an_open_breaker_works_without_memory),
        TEST(stages_have_names),
    };
    return cmocka_run_group_tests_name("caller_members", tests, NULL, NULL);
}

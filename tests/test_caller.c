/* Caller: what is tried, in what order, what is given back, and when a call is over. */
#include "support/caller_fixture.h"

static void a_call_that_succeeds_is_done(void **state)
{
    (void)state;
    set_members("a");
    assert_int_equal(begin(), WEIR_OK);
    assert_string_equal(f.attempt.member->id, "a");
    assert_int_equal(*(char *)f.attempt.user, 'a');
    assert_int_equal(f.attempt.number, 1);
    assert_int_equal(f.attempt.deadline_ns, 1300 * MS);
    assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
    assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_FAILED); /* Not under way any more. */
    assert_string_equal(f.log, "ATE");
    assert_int_equal(stats_now().calls, 1);
    assert_int_equal(stats_now().succeeded, 1);
    assert_nothing_is_held();
}

static void a_failed_attempt_is_retried_on_another_member(void **state)
{
    (void)state;
    uint64_t at_ns = 0;
    set_members("abc");
    assert_int_equal(begin(), WEIR_OK);
    char const first = f.attempt.member->id[0];
    assert_int_equal(weir_caller_end(&f.call, &(weir_attempt_result){.outcome = WEIR_FAILURE},
                                     f.fake.now_ns, &at_ns),
                     WEIR_CALL_RETRY);
    assert_int_equal(at_ns, 1010 * MS);
    f.fake.now_ns = at_ns;
    assert_int_equal(retry(), WEIR_OK);
    char const second = f.attempt.member->id[0];
    assert_int_not_equal(second, first);
    assert_int_equal(f.attempt.number, 2);
    assert_int_equal(end(WEIR_TIMEOUT), WEIR_CALL_RETRY);
    assert_int_equal(retry(), WEIR_OK);
    assert_int_not_equal(f.attempt.member->id[0], first);
    assert_int_not_equal(f.attempt.member->id[0], second);
    assert_int_equal(end(WEIR_FAILURE), WEIR_CALL_FAILED);
    assert_int_equal(f.call.retry.verdict, WEIR_RETRY_EXHAUSTED);
    assert_string_equal(f.log, "ATATATE");
    assert_int_equal(stats_now().attempts, 3);
    assert_int_equal(stats_now().failed, 1);
    assert_int_equal(retry(), WEIR_EINVAL);
    assert_nothing_is_held();
}

static void a_lone_member_is_retried_itself(void **state)
{
    (void)state;
    set_members("a");
    assert_int_equal(begin(), WEIR_OK);
    assert_int_equal(end(WEIR_FAILURE), WEIR_CALL_RETRY);
    assert_int_equal(retry(), WEIR_OK);
    assert_string_equal(f.attempt.member->id, "a");
    assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
    assert_nothing_is_held();
}

static void more_attempts_than_are_remembered_hold_nothing(void **state)
{
    (void)state;
    f.retry.max_attempts = 20;
    f.options.breaker = NULL;
    recreate();
    set_members("abcdefgh");
    assert_int_equal(begin(), WEIR_OK);
    for (int i = 1; i < 20; i++) {
        assert_int_equal(end(WEIR_FAILURE), WEIR_CALL_RETRY);
        assert_int_equal(retry(), WEIR_OK);
    }
    set_members("");
    assert_int_equal(end(WEIR_FAILURE), WEIR_CALL_FAILED);
    assert_nothing_is_held();
}

static void what_must_not_be_repeated_is_not_unless_it_was_not_sent(void **state)
{
    (void)state;
    weir_call_options options = WEIR_CALL_OPTIONS_INIT;
    options.repeatable = false;
    set_members("a");
    assert_int_equal(weir_caller_begin(f.caller, &f.call, &options, f.fake.now_ns, &f.attempt,
                                       NULL),
                     WEIR_OK);
    assert_int_equal(
        weir_caller_end(&f.call, &(weir_attempt_result){.outcome = WEIR_FAILURE, .unsent = true},
                        f.fake.now_ns, NULL),
        WEIR_CALL_RETRY);
    assert_int_equal(retry(), WEIR_OK);
    assert_int_equal(end(WEIR_FAILURE), WEIR_CALL_FAILED);
    assert_int_equal(f.call.retry.verdict, WEIR_RETRY_NOT_RETRYABLE);
}

static void a_final_result_ends_the_call(void **state)
{
    (void)state;
    set_members("a");
    assert_int_equal(begin(), WEIR_OK);
    weir_attempt_result const result = {.outcome = WEIR_FAILURE, .unsent = true, .final = true};
    assert_int_equal(weir_caller_end(&f.call, &result, f.fake.now_ns, NULL), WEIR_CALL_FAILED);
}

static void outcomes_that_say_nothing_end_the_call(void **state)
{
    (void)state;
    set_members("a");
    assert_int_equal(begin(), WEIR_OK);
    assert_int_equal(end(WEIR_IGNORED), WEIR_CALL_DONE);
    assert_int_equal(begin(), WEIR_OK);
    assert_int_equal(end(WEIR_CANCELLED), WEIR_CALL_DONE);
    assert_int_equal(stats_now().succeeded, 0);
    assert_int_equal(stats_now().failed, 0);
}

static void a_servers_pushback_delays_the_retry(void **state)
{
    (void)state;
    uint64_t at_ns = 0;
    set_members("a");
    assert_int_equal(begin(), WEIR_OK);
    weir_attempt_result const result = {.outcome = WEIR_OVERLOAD, .retry_after_ns = 250 * MS};
    assert_int_equal(weir_caller_end(&f.call, &result, f.fake.now_ns, &at_ns), WEIR_CALL_RETRY);
    assert_int_equal(at_ns, 1250 * MS);
}

static void deadlines_bound_the_attempt_and_the_call(void **state)
{
    (void)state;
    weir_call_options options = WEIR_CALL_OPTIONS_INIT;
    set_members("a");
    options.deadline_ns = 1050 * MS;
    assert_int_equal(weir_caller_begin(f.caller, &f.call, &options, f.fake.now_ns, &f.attempt,
                                       &f.rejection),
                     WEIR_OK);
    assert_int_equal(f.attempt.deadline_ns, 1050 * MS);
    f.fake.now_ns = 1045 * MS;
    assert_int_equal(end(WEIR_FAILURE), WEIR_CALL_FAILED); /* 10 ms later would be too late. */
    assert_int_equal(f.call.retry.verdict, WEIR_RETRY_DEADLINE);
    f.fake.now_ns = 1050 * MS;
    assert_int_equal(weir_caller_begin(f.caller, &f.call, &options, f.fake.now_ns, &f.attempt,
                                       &f.rejection),
                     WEIR_EDEADLINE);
    assert_int_equal(f.rejection.stage, WEIR_STAGE_DEADLINE);
    assert_int_equal(stats_now().rejected[WEIR_STAGE_DEADLINE], 1);
}

static void a_retry_that_comes_too_late_is_rejected_and_ends_the_call(void **state)
{
    (void)state;
    set_members("a");
    assert_int_equal(begin(), WEIR_OK);
    assert_int_equal(end(WEIR_FAILURE), WEIR_CALL_RETRY);
    f.fake.now_ns = 2000 * MS;
    assert_int_equal(retry(), WEIR_EDEADLINE);
    assert_int_equal(retry(), WEIR_EINVAL);
    assert_int_equal(stats_now().failed, 1);
    assert_string_equal(f.log, "ATrE");
    assert_nothing_is_held();
}

static void the_balancers_rejections_come_through_and_cost_no_permit(void **state)
{
    (void)state;
    assert_int_equal(begin(), WEIR_EEMPTY);
    assert_int_equal(f.rejection.stage, WEIR_STAGE_BALANCER);
    set_members("a");
    assert_int_equal(weir_balancer_mark_down(weir_caller_balancer(f.caller), "a"), WEIR_OK);
    assert_int_equal(begin(), WEIR_EDOWN);
    assert_int_equal(f.rejection.code, WEIR_EDOWN);
    assert_int_equal(f.rejection.retry_after_ns, 0);
    assert_int_equal(permits_left(), 100);
    assert_string_equal(f.log, "rr");
}

static void over_the_limit_no_member_is_touched(void **state)
{
    (void)state;
    f.limiter.limit = 10;
    f.limiter.burst = 2;
    recreate();
    set_members("a");
    call_once(WEIR_SUCCESS);
    call_once(WEIR_SUCCESS);
    assert_int_equal(begin(), WEIR_ELIMITED);
    assert_int_equal(f.rejection.stage, WEIR_STAGE_LIMITER);
    assert_int_equal(f.rejection.retry_after_ns, 100 * MS);
    assert_nothing_is_held();
    weir_call_options options = WEIR_CALL_OPTIONS_INIT;
    options.cost = 3;
    assert_int_equal(weir_caller_begin(f.caller, &f.call, &options, f.fake.now_ns, &f.attempt,
                                       NULL),
                     WEIR_ENEVER);
    options.cost = 0;
    assert_int_equal(weir_caller_begin(f.caller, &f.call, &options, f.fake.now_ns, &f.attempt,
                                       NULL),
                     WEIR_EINVAL);
}

/* Twice the rate, two members in turn: the calls that are let through still alternate. */
static void a_limit_starves_no_member(void **state)
{
    (void)state;
    f.limiter.limit = 100;
    f.limiter.burst = 1;
    recreate();
    set_members("ab");
    unsigned served[2] = {0};
    for (int i = 0; i < 400; i++) {
        if (begin() == WEIR_OK) {
            served[f.attempt.member->id[0] - 'a']++;
            assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
        }
        f.fake.now_ns += 5 * MS;
    }
    assert_int_equal(served[0], 100);
    assert_int_equal(served[1], 100);
}

/* With all down, and again with each saturated, the permit comes back whole. */
static void a_rejection_behind_the_limiter_gives_the_permit_back(void **state)
{
    (void)state;
    weir_member member = WEIR_MEMBER_INIT;
    member.id = "a";
    member.max_in_flight = 1;
    f.limiter.limit = 1;
    f.limiter.burst = 2;
    f.options.breaker = NULL;
    recreate();
    assert_int_equal(begin(), WEIR_EEMPTY);
    assert_int_equal(permits_left(), 2);
    assert_int_equal(weir_caller_set_members(f.caller, &member, 1, 0), WEIR_OK);
    assert_int_equal(begin(), WEIR_OK);
    weir_call second;
    weir_attempt attempt;
    for (int i = 0; i < 5; i++)
        assert_int_equal(weir_caller_begin(f.caller, &second, NULL, f.fake.now_ns, &attempt,
                                           &f.rejection),
                         WEIR_ESATURATED);
    assert_int_equal(f.rejection.retry_after_ns, 0);
    assert_int_equal(permits_left(), 1);
    assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
}

/* A limiter that says no must not use up the one probe of a half-open breaker. */
static void a_limited_call_wedges_no_half_open_breaker(void **state)
{
    (void)state;
    f.limiter.limit = 1;
    f.limiter.burst = 2;
    recreate();
    set_members("a");
    call_once(WEIR_FAILURE);
    call_once(WEIR_FAILURE);
    f.fake.now_ns += 100 * MS;
    for (int i = 0; i < 5; i++)
        assert_int_equal(begin(), WEIR_ELIMITED);
    assert_nothing_is_held();
    f.fake.now_ns += 1000 * MS;
    assert_int_equal(begin(), WEIR_OK);
    assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
}

static void a_retry_costs_no_second_permit(void **state)
{
    (void)state;
    set_members("a");
    assert_int_equal(begin(), WEIR_OK);
    assert_int_equal(end(WEIR_FAILURE), WEIR_CALL_RETRY);
    assert_int_equal(retry(), WEIR_OK);
    assert_int_equal(end(WEIR_SUCCESS), WEIR_CALL_DONE);
    assert_int_equal(permits_left(), 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_that_succeeds_is_done),
        TEST(a_failed_attempt_is_retried_on_another_member),
        TEST(a_lone_member_is_retried_itself),
        TEST(more_attempts_than_are_remembered_hold_nothing),
        TEST(what_must_not_be_repeated_is_not_unless_it_was_not_sent),
        TEST(a_final_result_ends_the_call),
        TEST(outcomes_that_say_nothing_end_the_call),
        TEST(a_servers_pushback_delays_the_retry),
        TEST(deadlines_bound_the_attempt_and_the_call),
        TEST(a_retry_that_comes_too_late_is_rejected_and_ends_the_call),
        TEST(the_balancers_rejections_come_through_and_cost_no_permit),
        TEST(over_the_limit_no_member_is_touched),
        TEST(a_limit_starves_no_member),
        TEST(a_rejection_behind_the_limiter_gives_the_permit_back),
        TEST(a_limited_call_wedges_no_half_open_breaker),
        TEST(a_retry_costs_no_second_permit),
    };
    return cmocka_run_group_tests_name("caller", tests, NULL, NULL);
}

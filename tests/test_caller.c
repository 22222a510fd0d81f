/* Caller: what is tried, in what order, what is given back, and when a call is over. */
#include "support/fake_env.h"

#include <weir/caller.h>

#include <string.h>

#define MS UINT64_C(1000000)

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_limiter_options limiter;
    weir_breaker_options breaker;
    weir_retry_options retry;
    weir_caller_options options;
    weir_caller *caller;
    weir_call call;
    weir_attempt attempt;
    weir_rejection rejection;
    char log[256]; /* A letter an event. */
} fixture;

static fixture f;

static void log_event(const weir_caller_event *event, void *user)
{
    static const char letters[] = "rATEb";
    fixture *const fix = user;
    size_t const size = strlen(fix->log);
    if (size + 1 < sizeof fix->log)
        fix->log[size] = letters[event->kind];
}

/* Breakers open at 2 failures in a row for 100 ms and probe with one call; retries after 10 ms. */
static int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = 1000 * MS}};
    f.env = fake_env_hooks(&f.fake);
    f.limiter = (weir_limiter_options)WEIR_LIMITER_OPTIONS_INIT;
    f.limiter.limit = 1000;
    f.limiter.burst = 100;
    f.breaker = (weir_breaker_options)WEIR_BREAKER_OPTIONS_INIT;
    f.breaker.failure_percent = 0;
    f.breaker.consecutive_failures = 2;
    f.breaker.open_ms = 100;
    f.breaker.open_jitter_percent = 0;
    f.breaker.probe_calls = 1;
    f.retry = (weir_retry_options)WEIR_RETRY_OPTIONS_INIT;
    f.retry.jitter = WEIR_JITTER_NONE;
    f.retry.base_ns = f.retry.cap_ns = 10 * MS;
    f.options = (weir_caller_options)WEIR_CALLER_OPTIONS_INIT;
    f.options.limiter = &f.limiter;
    f.options.breaker = &f.breaker;
    f.options.retry = &f.retry;
    f.options.timeout_ns = 1000 * MS;
    f.options.attempt_timeout_ns = 300 * MS;
    f.options.on_event = log_event;
    f.options.user = &f;
    f.options.env = &f.env;
    return weir_caller_create(&f.caller, &f.options);
}

static int teardown(void **state)
{
    (void)state;
    weir_caller_destroy(f.caller);
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

static void recreate(void)
{
    weir_caller_destroy(f.caller);
    assert_int_equal(weir_caller_create(&f.caller, &f.options), WEIR_OK);
}

/* Members by the letters of their ids; the user pointer of each is its letter. */
static void set_members(const char *letters)
{
    static char ids[8][2];
    static char users[8];
    weir_member members[8];
    size_t const count = strlen(letters);
    for (size_t i = 0; i < count; i++) {
        ids[i][0] = users[i] = letters[i];
        members[i] = (weir_member)WEIR_MEMBER_INIT;
        members[i].id = ids[i];
        members[i].user = &users[i];
    }
    assert_int_equal(weir_caller_set_members(f.caller, members, count, 0), WEIR_OK);
}

static int begin(void)
{
    return weir_caller_begin(f.caller, &f.call, NULL, f.fake.now_ns, &f.attempt, &f.rejection);
}

static weir_call_verdict end(weir_outcome outcome)
{
    return weir_caller_end(&f.call, &(weir_attempt_result){.outcome = outcome}, f.fake.now_ns,
                           NULL);
}

static int retry(void)
{
    return weir_caller_retry(&f.call, f.fake.now_ns, &f.attempt, &f.rejection);
}

/* One attempt without retries, on whichever member it is. */
static void call_once(weir_outcome outcome)
{
    assert_int_equal(begin(), WEIR_OK);
    if (end(outcome) == WEIR_CALL_RETRY)
        weir_caller_cancel(&f.call, f.fake.now_ns);
}

static void add_in_flight(const weir_caller_member *member, void *user)
{
    *(uint32_t *)user += member->stats.in_flight + member->breaker.probes;
}

static void assert_nothing_is_held(void)
{
    uint32_t held = 0;
    weir_caller_visit(f.caller, add_in_flight, &held);
    assert_int_equal(held, 0);
}

static weir_caller_stats stats_now(void)
{
    weir_caller_stats stats;
    weir_caller_get_stats(f.caller, &stats);
    return stats;
}

static uint64_t permits_left(void)
{
    weir_limiter_stats stats;
    weir_caller_get_limit(f.caller, f.fake.now_ns, &stats);
    return stats.remaining;
}

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

static void collect_flags(const weir_caller_member *member, void *user)
{
    uint32_t *const flags = user;
    flags[member->member->id[0] - 'a'] = member->stats.flags;
}

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
    f.options.algorithm = WEIR_RANDOM;
    assert_int_equal(weir_caller_update(f.caller, &f.options), WEIR_EINVAL);
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

static void fail_twice_then_succeed(const weir_attempt *attempt, weir_attempt_result *result,
                                    void *user)
{
    (void)user;
    f.fake.now_ns += 5 * MS;
    result->outcome = attempt->number < 3 ? WEIR_FAILURE : WEIR_SUCCESS;
}

static void always_fail(const weir_attempt *attempt, weir_attempt_result *result, void *user)
{
    (void)attempt;
    result->outcome = WEIR_FAILURE;
    ++*(int *)user;
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
    return cmocka_run_group_tests_name("caller", tests, NULL, NULL);
}

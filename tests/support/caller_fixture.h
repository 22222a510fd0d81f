/* What the tests of the caller share. */
#ifndef WEIR_TEST_CALLER_FIXTURE_H
#define WEIR_TEST_CALLER_FIXTURE_H

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

static inline void log_event(const weir_caller_event *event, void *user)
{
    static const char letters[] = "rATEbo";
    fixture *const fix = user;
    size_t const size = strlen(fix->log);
    if (size + 1 < sizeof fix->log)
        fix->log[size] = letters[event->kind];
}

/* Breakers open at 2 failures in a row for 100 ms and probe with one call; retries after 10 ms. */
static inline int setup(void **state)
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

static inline int teardown(void **state)
{
    (void)state;
    weir_caller_destroy(f.caller);
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

static inline void recreate(void)
{
    weir_caller_destroy(f.caller);
    assert_int_equal(weir_caller_create(&f.caller, &f.options), WEIR_OK);
}

/* Members by the letters of their ids; the user pointer of each is its letter. */
static inline void set_members(const char *letters)
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

static inline int begin(void)
{
    return weir_caller_begin(f.caller, &f.call, NULL, f.fake.now_ns, &f.attempt, &f.rejection);
}

static inline weir_call_verdict end(weir_outcome outcome)
{
    return weir_caller_end(&f.call, &(weir_attempt_result){.outcome = outcome}, f.fake.now_ns,
                           NULL);
}

static inline int retry(void)
{
    return weir_caller_retry(&f.call, f.fake.now_ns, &f.attempt, &f.rejection);
}

/* One attempt without retries, on whichever member it is. */
static inline void call_once(weir_outcome outcome)
{
    assert_int_equal(begin(), WEIR_OK);
    if (end(outcome) == WEIR_CALL_RETRY)
        weir_caller_cancel(&f.call, f.fake.now_ns);
}

static inline void add_in_flight(const weir_caller_member *member, void *user)
{
    *(uint32_t *)user += member->stats.in_flight + member->breaker.probes;
}

static inline void assert_nothing_is_held(void)
{
    uint32_t held = 0;
    weir_caller_visit(f.caller, add_in_flight, &held);
    assert_int_equal(held, 0);
}

static inline weir_caller_stats stats_now(void)
{
    weir_caller_stats stats;
    weir_caller_get_stats(f.caller, &stats);
    return stats;
}

static inline uint64_t permits_left(void)
{
    weir_limiter_stats stats;
    weir_caller_get_limit(f.caller, f.fake.now_ns, &stats);
    return stats.remaining;
}

static inline void collect_flags(const weir_caller_member *member, void *user)
{
    uint32_t *const flags = user;
    flags[member->member->id[0] - 'a'] = member->stats.flags;
}

static inline void fail_twice_then_succeed(const weir_attempt *attempt, weir_attempt_result *result,
                                           void *user)
{
    (void)user;
    f.fake.now_ns += 5 * MS;
    result->outcome = attempt->number < 3 ? WEIR_FAILURE : WEIR_SUCCESS;
}

static inline void always_fail(const weir_attempt *attempt, weir_attempt_result *result, void *user)
{
    (void)attempt;
    result->outcome = WEIR_FAILURE;
    ++*(int *)user;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

/* Caller under threads: every call ends once and holds nothing, while members and options change.
 */
#include "support/fake_env.h"

#include <weir/caller.h>

#include <pthread.h>
#include <stdatomic.h>

#define THREADS 3
#define CALLS   15000

typedef struct stress {
    weir_caller *caller;
    atomic_uint running;
    atomic_ullong begun, rejected, done, failed;
    uint64_t ejected, returned; /* As told, by one thread at a time. */
} stress;

static void finish(stress *s, weir_call *call, unsigned i)
{
    static const weir_outcome outcomes[] = {WEIR_SUCCESS, WEIR_FAILURE,   WEIR_FAILURE,
                                            WEIR_TIMEOUT, WEIR_CANCELLED, WEIR_OVERLOAD};
    for (;; i++) {
        weir_attempt_result const result = {.outcome = outcomes[i % 6]};
        weir_call_verdict const verdict =
            weir_caller_end(call, &result, weir_caller_now_ns(s->caller), NULL);
        if (verdict == WEIR_CALL_DONE)
            atomic_fetch_add(&s->done, 1);
        else if (verdict == WEIR_CALL_FAILED)
            atomic_fetch_add(&s->failed, 1);
        if (verdict != WEIR_CALL_RETRY)
            return;
        weir_attempt attempt;
        if (weir_caller_retry(call, weir_caller_now_ns(s->caller), &attempt, NULL) != WEIR_OK) {
            atomic_fetch_add(&s->failed, 1);
            return;
        }
    }
}

static void *call_often(void *arg)
{
    stress *const s = arg;
    for (unsigned i = 0; i < CALLS; i++) {
        weir_call call;
        weir_attempt attempt;
        if (weir_caller_begin(s->caller, &call, NULL, weir_caller_now_ns(s->caller), &attempt,
                              NULL) == WEIR_OK) {
            atomic_fetch_add(&s->begun, 1);
            finish(s, &call, i);
        } else {
            atomic_fetch_add(&s->rejected, 1);
        }
    }
    atomic_fetch_sub(&s->running, 1);
    return NULL;
}

static void set_members(stress *s, unsigned round)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e"};
    weir_member members[5];
    size_t count = 0;
    for (unsigned i = 0; i < 5; i++) {
        if (i == round % 7)
            continue; /* One is away, two times in seven none. */
        members[count] = (weir_member)WEIR_MEMBER_INIT;
        members[count].id = ids[i];
        members[count++].weight = 1 + (round + i) % 3;
    }
    assert_int_equal(weir_caller_set_members(s->caller, members, count, 0), WEIR_OK);
}

static void count_ejections(const weir_caller_event *event, void *user)
{
    stress *const s = user;
    if (event->kind == WEIR_CALLER_OUTLIER) {
        s->ejected += event->outlier->kind == WEIR_OUTLIER_EJECTED;
        s->returned += event->outlier->kind == WEIR_OUTLIER_RETURNED;
    }
}

static void assert_idle(const weir_caller_member *member, void *user)
{
    (void)user;
    assert_int_equal(member->stats.in_flight, 0);
    assert_int_equal(member->breaker.probes, 0);
}

static void assert_in(const weir_caller_member *member, void *user)
{
    assert_idle(member, user);
    assert_false(member->outlier.ejected);
    assert_int_equal(member->stats.flags & WEIR_MEMBER_EJECTED, 0);
}

static void every_call_ends_once_and_holds_nothing(void **state)
{
    (void)state;
    stress s = {.running = THREADS};
    weir_breaker_options breaker = WEIR_BREAKER_OPTIONS_INIT;
    weir_retry_options retry = WEIR_RETRY_OPTIONS_INIT;
    weir_caller_options options = WEIR_CALLER_OPTIONS_INIT;
    pthread_t threads[THREADS];
    breaker.open_ms = breaker.open_max_ms = 1;
    breaker.min_calls = 5;
    options.breaker = &breaker;
    options.retry = &retry;
    weir_balancer_options balancer = WEIR_BALANCER_OPTIONS_INIT;
    balancer.algorithm = WEIR_LEAST_REQUEST;
    options.balancer = &balancer;
    assert_int_equal(weir_caller_create(&s.caller, &options), WEIR_OK);
    set_members(&s, 6);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &s), 0);
    for (unsigned round = 0; atomic_load(&s.running) > 0; round++) {
        set_members(&s, round);
        breaker.window_calls = 20 + round % 50;
        assert_int_equal(weir_caller_update(s.caller, &options), WEIR_OK);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    weir_caller_stats stats;
    weir_caller_get_stats(s.caller, &stats);
    assert_int_equal(s.begun + s.rejected, THREADS * CALLS);
    assert_int_equal(s.done + s.failed, s.begun);
    assert_int_equal(stats.calls, s.begun);
    assert_int_equal(stats.failed, s.failed);
    weir_caller_visit(s.caller, assert_idle, NULL);
    weir_caller_destroy(s.caller);
}

/* Time passes fast for the task: ejections end, and begin again, while members come and go. */
static void every_ejection_is_told_and_no_flag_is_left(void **state)
{
    (void)state;
    stress s = {.running = THREADS};
    weir_outlier_options outlier = WEIR_OUTLIER_OPTIONS_INIT;
    weir_caller_options options = WEIR_CALLER_OPTIONS_INIT;
    weir_outlier_stats stats;
    pthread_t threads[THREADS];
    outlier.consecutive_failures = 2;
    outlier.max_ejected_percent = 60;
    options.outlier = &outlier;
    options.on_event = count_ejections;
    options.user = &s;
    assert_int_equal(weir_caller_create(&s.caller, &options), WEIR_OK);
    set_members(&s, 6);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &s), 0);
    weir_task const task = weir_caller_task(s.caller);
    uint64_t now_ns = weir_caller_now_ns(s.caller);
    for (unsigned round = 0; atomic_load(&s.running) > 0; round++) {
        now_ns = task.run(task.self, now_ns);
        (void)weir_caller_uneject(s.caller, "a", now_ns);
        if (round % 8 == 0)
            set_members(&s, round / 8);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    options.outlier = NULL;
    assert_int_equal(weir_caller_update(s.caller, &options), WEIR_OK);
    (void)task.run(task.self, now_ns + 1);
    weir_caller_get_outlier(s.caller, &stats);
    assert_int_equal(stats.ejected, 0);
    assert_int_equal(stats.ejections, s.ejected);
    assert_true(s.ejected > 0 && s.returned <= s.ejected); /* Who leaves returns untold. */
    weir_caller_visit(s.caller, assert_in, NULL);
    weir_caller_destroy(s.caller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_ends_once_and_holds_nothing),
        cmocka_unit_test(every_ejection_is_told_and_no_flag_is_left),
    };
    return cmocka_run_group_tests_name("caller_stress", tests, NULL, NULL);
}

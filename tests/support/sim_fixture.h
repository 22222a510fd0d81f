/* What the tests of the sim share. */
#ifndef WEIR_TEST_SIM_FIXTURE_H
#define WEIR_TEST_SIM_FIXTURE_H

#include "support/fake_env.h"
#include <weir/sim.h>
#include <string.h>

#define MS UINT64_C(1000000)

#define START (1000 * MS) /* Where the clock stands by default. */

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_sim_options options;
    weir_sim *sim;
    weir_sim_service *service;
    weir_sim_behaviour behaviour;
    char log[64]; /* What was called, a letter each. */
    uint64_t at_ns[64];
    size_t logged;
    weir_sim_result last;
    unsigned outcomes[WEIR_CANCELLED + 1];
    unsigned traced[WEIR_SIM_MARK + 1];
    weir_sim_id task;
    uint64_t task_next_ns;
} fixture;

static fixture f;

static inline void count_trace(const weir_sim_event *event, void *user)
{
    ((fixture *)user)->traced[event->kind]++;
}

static inline int setup(void **state)
{
    (void)state;
    f = (fixture){.options = WEIR_SIM_OPTIONS_INIT, .behaviour = WEIR_SIM_BEHAVIOUR_INIT};
    f.env = fake_env_hooks(&f.fake);
    f.options.env = &f.env;
    f.options.on_event = count_trace;
    f.options.user = &f;
    if (weir_sim_create(&f.sim, &f.options))
        return -1;
    return weir_sim_service_create(&f.service, f.sim, NULL);
}

static inline int teardown(void **state)
{
    (void)state;
    weir_sim_destroy(f.sim);
    return f.fake.live_bytes == 0 ? 0 : -1;
}

static inline void again(void)
{
    assert_int_equal(teardown(NULL), 0);
    assert_int_equal(setup(NULL), 0);
}

static inline void note(char letter)
{
    if (f.logged + 1 < sizeof f.log) {
        f.at_ns[f.logged] = weir_sim_now(f.sim);
        f.log[f.logged++] = letter;
    }
}

static inline void ring(uint64_t now_ns, void *user)
{
    assert_true(now_ns == weir_sim_now(f.sim));
    note(*(const char *)user);
}

static char letters[] = "abcdefghijklmnopqrstuvwxyz";

static inline weir_sim_id at(uint64_t at_ns, char letter)
{
    weir_sim_id id = 0;
    assert_int_equal(weir_sim_at(f.sim, at_ns, ring, &letters[letter - 'a'], &id), WEIR_OK);
    assert_int_not_equal(id, 0);
    return id;
}

static inline void remember(const weir_sim_result *result, void *user)
{
    (void)user;
    f.last = *result;
    f.outcomes[result->outcome]++;
    note('!');
}

static inline weir_sim_id call(uint64_t timeout_ns)
{
    weir_sim_id id = 0;
    assert_int_equal(weir_sim_call(f.service, timeout_ns, remember, NULL, &id), WEIR_OK);
    return id;
}

static inline void behave(void)
{
    assert_int_equal(weir_sim_service_change(f.service, 0, &f.behaviour), WEIR_OK);
}

static inline uint64_t run_task(void *self, uint64_t now_ns)
{
    fixture *const fix = self;
    note('t');
    return fix->task_next_ns == WEIR_NEVER ? WEIR_NEVER : now_ns + fix->task_next_ns;
}

static inline void add_task(uint64_t first_ns)
{
    weir_task const task = {run_task, &f};
    assert_int_equal(weir_sim_add_task(f.sim, task, first_ns, &f.task), WEIR_OK);
}

static inline uint64_t end_itself(void *self, uint64_t now_ns)
{
    (void)self;
    assert_int_equal(weir_sim_cancel(f.sim, f.task), WEIR_OK);
    (void)at(now_ns + MS, 'a'); /* In its place. */
    return now_ns + 2 * MS;
}

static inline uint64_t wake_itself(void *self, uint64_t now_ns)
{
    (void)self;
    note('w');
    if (f.logged == 1)
        assert_int_equal(weir_sim_wake(f.sim, f.task, now_ns + MS), WEIR_OK);
    return WEIR_NEVER;
}

static inline void sleep_in_a_callback(uint64_t now_ns, void *user)
{
    (void)user;
    const weir_env *const env = weir_sim_env(f.sim);
    note('(');
    env->sleep_ns(10 * MS, env->user);
    assert_true(env->now_ns(env->user) == now_ns + 10 * MS);
    note(')');
}

/* The latencies of 20,000 calls made at once: lowest, highest, mean. */
static inline double sample(uint64_t *low_ns, uint64_t *high_ns)
{
    double mean = 0;
    *low_ns = UINT64_MAX;
    *high_ns = 0;
    for (int i = 0; i < 20000; i++) {
        (void)call(WEIR_NEVER);
        assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
        *low_ns = f.last.latency_ns < *low_ns ? f.last.latency_ns : *low_ns;
        *high_ns = f.last.latency_ns > *high_ns ? f.last.latency_ns : *high_ns;
        mean += (double)f.last.latency_ns / 20000;
    }
    return mean;
}

static inline void call_again(const weir_sim_result *result, void *user)
{
    unsigned *const left = user;
    f.outcomes[result->outcome]++;
    if (*left > 0) {
        (*left)--;
        assert_int_equal(weir_sim_call(f.service, 2 * MS, call_again, left, NULL), WEIR_OK);
    }
}

/* A busy world; returns its digest. */
static inline uint64_t live(uint64_t seed, bool draw)
{
    again();
    weir_sim_options options = f.options;
    options.seed = seed;
    options.shuffle = true;
    weir_sim_destroy(f.sim);
    assert_int_equal(weir_sim_create(&f.sim, &options), WEIR_OK);
    assert_int_equal(weir_sim_service_create(&f.service, f.sim, NULL), WEIR_OK);
    f.behaviour.latency = WEIR_SIM_EXPONENTIAL;
    f.behaviour.mean_ns = MS;
    f.behaviour.failure_rate = 0.3;
    f.behaviour.capacity = 3;
    f.behaviour.queue = 2;
    behave();
    unsigned left = 200;
    for (int i = 0; i < 8; i++) {
        if (draw)
            (void)weir_sim_env(f.sim)->random(weir_sim_env(f.sim)->user);
        assert_int_equal(weir_sim_call(f.service, 2 * MS, call_again, &left, NULL), WEIR_OK);
    }
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(left, 0);
    return weir_sim_digest(f.sim);
}

static inline void refused(weir_sim_behaviour behaviour)
{
    weir_sim_service *service;
    assert_int_equal(weir_sim_service_create(&service, f.sim, &behaviour), WEIR_EINVAL);
    assert_null(service);
    assert_int_equal(weir_sim_service_change(f.service, 0, &behaviour), WEIR_EINVAL);
}

#define REFUSED(field, bad)                                                                        \
    do {                                                                                           \
        weir_sim_behaviour behaviour = WEIR_SIM_BEHAVIOUR_INIT;                                    \
        behaviour.field = bad;                                                                     \
        refused(behaviour);                                                                        \
    } while (0)

/* Does one of everything again and again, so that everything grows; the first error ends it. */
static inline int populate(weir_sim *sim)
{
    static unsigned left;
    left = 0;
    weir_sim_service *service;
    int result = weir_sim_service_create(&service, sim, NULL);
    for (int i = 0; result == WEIR_OK && i < 20; i++) {
        weir_task const task = {wake_itself, NULL};
        result = weir_sim_at(sim, 0, ring, letters, NULL);
        if (result == WEIR_OK)
            result = weir_sim_add_task(sim, task, 0, NULL);
        if (result == WEIR_OK)
            result = weir_sim_call(service, WEIR_NEVER, call_again, &left, NULL);
        if (result == WEIR_OK)
            result = weir_sim_service_change(service, WEIR_NEVER - 1, NULL);
    }
    return result;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

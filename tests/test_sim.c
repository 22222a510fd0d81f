/* The simulator: time, timers, tasks, services, and the same run twice. */
#include "support/fake_env.h"

#include <weir/sim.h>

#include <string.h>

#define MS    UINT64_C(1000000)
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

static void count_trace(const weir_sim_event *event, void *user)
{
    ((fixture *)user)->traced[event->kind]++;
}

static int setup(void **state)
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

static int teardown(void **state)
{
    (void)state;
    weir_sim_destroy(f.sim);
    return f.fake.live_bytes == 0 ? 0 : -1;
}

static void again(void)
{
    assert_int_equal(teardown(NULL), 0);
    assert_int_equal(setup(NULL), 0);
}

static void note(char letter)
{
    if (f.logged + 1 < sizeof f.log) {
        f.at_ns[f.logged] = weir_sim_now(f.sim);
        f.log[f.logged++] = letter;
    }
}

static void ring(uint64_t now_ns, void *user)
{
    assert_true(now_ns == weir_sim_now(f.sim));
    note(*(const char *)user);
}

static char letters[] = "abcdefghijklmnopqrstuvwxyz";

static weir_sim_id at(uint64_t at_ns, char letter)
{
    weir_sim_id id = 0;
    assert_int_equal(weir_sim_at(f.sim, at_ns, ring, &letters[letter - 'a'], &id), WEIR_OK);
    assert_int_not_equal(id, 0);
    return id;
}

static void remember(const weir_sim_result *result, void *user)
{
    (void)user;
    f.last = *result;
    f.outcomes[result->outcome]++;
    note('!');
}

static weir_sim_id call(uint64_t timeout_ns)
{
    weir_sim_id id = 0;
    assert_int_equal(weir_sim_call(f.service, timeout_ns, remember, NULL, &id), WEIR_OK);
    return id;
}

static void behave(void)
{
    assert_int_equal(weir_sim_service_change(f.service, 0, &f.behaviour), WEIR_OK);
}

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

static uint64_t run_task(void *self, uint64_t now_ns)
{
    fixture *const fix = self;
    note('t');
    return fix->task_next_ns == WEIR_NEVER ? WEIR_NEVER : now_ns + fix->task_next_ns;
}

static void add_task(uint64_t first_ns)
{
    weir_task const task = {run_task, &f};
    assert_int_equal(weir_sim_add_task(f.sim, task, first_ns, &f.task), WEIR_OK);
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

static uint64_t end_itself(void *self, uint64_t now_ns)
{
    (void)self;
    assert_int_equal(weir_sim_cancel(f.sim, f.task), WEIR_OK);
    (void)at(now_ns + MS, 'a'); /* In its place. */
    return now_ns + 2 * MS;
}

static uint64_t wake_itself(void *self, uint64_t now_ns)
{
    (void)self;
    note('w');
    if (f.logged == 1)
        assert_int_equal(weir_sim_wake(f.sim, f.task, now_ns + MS), WEIR_OK);
    return WEIR_NEVER;
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

static void sleep_in_a_callback(uint64_t now_ns, void *user)
{
    (void)user;
    const weir_env *const env = weir_sim_env(f.sim);
    note('(');
    env->sleep_ns(10 * MS, env->user);
    assert_true(env->now_ns(env->user) == now_ns + 10 * MS);
    note(')');
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

static void a_call_is_answered_after_its_latency(void **state)
{
    (void)state;
    weir_sim_id const id = call(WEIR_NEVER);
    assert_int_equal(f.logged, 0);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "!");
    assert_true(f.last.id == id && f.last.latency_ns == MS);
    assert_int_equal(f.last.outcome, WEIR_SUCCESS);
    assert_int_equal(weir_sim_cancel(f.sim, id), WEIR_ENOTFOUND);
    (void)call(MS); /* At the very end of the timeout, and in time. */
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.outcomes[WEIR_SUCCESS], 2);
    assert_int_equal(f.traced[WEIR_SIM_CALL], 2);
    assert_int_equal(f.traced[WEIR_SIM_DONE], 2);
    assert_int_equal(weir_sim_call(f.service, 0, NULL, NULL, NULL), WEIR_EINVAL);
}

static void a_call_times_out_once(void **state)
{
    (void)state;
    (void)call(MS - 1);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "!");
    assert_int_equal(f.last.outcome, WEIR_TIMEOUT);
    assert_true(f.last.latency_ns == MS - 1);
    assert_true(weir_sim_now(f.sim) == START + MS); /* The service worked on. */
}

static void a_cancelled_call_is_never_over(void **state)
{
    (void)state;
    uint32_t serving;
    uint32_t waiting;
    assert_int_equal(weir_sim_cancel(f.sim, call(10 * MS)), WEIR_OK);
    weir_sim_service_load(f.service, &serving, &waiting);
    assert_int_equal(serving, 1);
    assert_int_equal(waiting, 0);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.logged, 0);
    weir_sim_service_load(f.service, &serving, NULL);
    weir_sim_service_load(f.service, NULL, &waiting);
    assert_int_equal(serving, 0);
}

/* The latencies of 20,000 calls made at once: lowest, highest, mean. */
static double sample(uint64_t *low_ns, uint64_t *high_ns)
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

static void latencies_follow_their_distribution(void **state)
{
    (void)state;
    uint64_t low_ns;
    uint64_t high_ns;
    f.behaviour.latency = WEIR_SIM_UNIFORM;
    f.behaviour.min_ns = 10000;
    f.behaviour.max_ns = 20000;
    behave();
    double mean = sample(&low_ns, &high_ns);
    assert_in_range(low_ns, 10000, 10010);
    assert_in_range(high_ns, 19990, 20000);
    assert_true(mean > 14898 && mean < 15102); /* 5 of 10000 / sqrt(12 * 20000). */
    f.behaviour.latency = WEIR_SIM_EXPONENTIAL;
    f.behaviour.mean_ns = 10000;
    f.behaviour.max_ns = 1000000;
    behave();
    mean = sample(&low_ns, &high_ns);
    assert_in_range(low_ns, 10000, 10010);
    assert_in_range(high_ns, 60000, 260000);   /* 10 +- 5, in means: e^5 in 20,000, e^-25. */
    assert_true(mean > 19646 && mean < 20354); /* 5 of 10000 / sqrt(20000). */
    f.behaviour.max_ns = 20000;                /* Cut at one mean: 1 - 1/e of it is left. */
    behave();
    mean = sample(&low_ns, &high_ns);
    assert_int_equal(high_ns, 20000);
    assert_true(mean > 16150 && mean < 16490);
}

static void outcomes_follow_their_rates(void **state)
{
    (void)state;
    f.behaviour.failure_rate = 0.25;
    f.behaviour.overload_rate = 0.5;
    behave();
    for (int i = 0; i < 10000; i++)
        (void)call(WEIR_NEVER);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    /* Five standard deviations: 250, 165, 242. */
    assert_in_range(f.outcomes[WEIR_OVERLOAD], 4750, 5250);
    assert_in_range(f.outcomes[WEIR_FAILURE], 1085, 1415);
    assert_in_range(f.outcomes[WEIR_SUCCESS], 3508, 3992);
    f.behaviour.failure_rate = 1;
    f.behaviour.overload_rate = 0;
    behave();
    (void)call(WEIR_NEVER);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.last.outcome, WEIR_FAILURE);
}

static void a_gone_service_refuses_new_calls(void **state)
{
    (void)state;
    (void)call(WEIR_NEVER);
    f.behaviour.link = WEIR_SIM_REFUSED;
    f.behaviour.refuse_ns = 5;
    behave();
    (void)call(WEIR_NEVER);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.outcomes[WEIR_FAILURE], 1);
    assert_int_equal(f.outcomes[WEIR_SUCCESS], 1); /* The one begun before. */
    assert_true(f.at_ns[0] == START + 5);
}

static void silence_loses_what_is_under_way_too(void **state)
{
    (void)state;
    (void)call(5 * MS);
    f.behaviour.link = WEIR_SIM_SILENT;
    behave();
    (void)call(5 * MS);
    (void)call(WEIR_NEVER); /* And nobody will ever know. */
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.outcomes[WEIR_TIMEOUT], 2);
    assert_int_equal(f.logged, 2);
    f.behaviour.link = WEIR_SIM_UP;
    behave();
    (void)call(5 * MS);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.last.outcome, WEIR_SUCCESS);
}

static void a_full_service_queues_and_then_turns_away(void **state)
{
    (void)state;
    f.behaviour.capacity = 2;
    f.behaviour.queue = 3;
    behave();
    for (int i = 0; i < 6; i++)
        (void)call(WEIR_NEVER);
    uint32_t serving;
    uint32_t waiting;
    weir_sim_service_load(f.service, &serving, &waiting);
    assert_int_equal(serving, 2);
    assert_int_equal(waiting, 3);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.outcomes[WEIR_OVERLOAD], 1);
    assert_int_equal(f.outcomes[WEIR_SUCCESS], 5);
    static const uint64_t ends_ms[] = {0, 1, 1, 2, 2, 3};
    for (int i = 0; i < 6; i++)
        assert_true(f.at_ns[i] == START + ends_ms[i] * MS);
}

static void a_timeout_does_not_free_the_place(void **state)
{
    (void)state;
    f.behaviour.capacity = 1;
    f.behaviour.queue = 1;
    behave();
    (void)call(MS / 2);
    (void)call(WEIR_NEVER);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_int_equal(f.outcomes[WEIR_TIMEOUT], 1);
    assert_true(f.at_ns[1] == START + 2 * MS); /* Served only after the first was through. */
}

static void behaviour_changes_on_schedule(void **state)
{
    (void)state;
    f.behaviour.capacity = 1;
    f.behaviour.queue = 9;
    behave();
    for (int i = 0; i < 5; i++)
        (void)call(WEIR_NEVER);
    f.behaviour.capacity = 4;
    f.behaviour.min_ns = 2 * MS; /* Not for those who have drawn. */
    assert_int_equal(weir_sim_service_change(f.service, START + MS / 2, &f.behaviour), WEIR_OK);
    assert_int_equal(weir_sim_run_until(f.sim, START + MS), WEIR_OK);
    uint32_t serving;
    weir_sim_service_load(f.service, &serving, NULL);
    assert_int_equal(serving, 4);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_true(f.at_ns[3] == START + 3 * MS / 2);
    assert_true(f.at_ns[4] == START + 2 * MS);
    (void)call(WEIR_NEVER);
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_true(f.last.latency_ns == 2 * MS);
    assert_int_equal(f.traced[WEIR_SIM_CHANGE], 2);
}

static void call_again(const weir_sim_result *result, void *user)
{
    unsigned *const left = user;
    f.outcomes[result->outcome]++;
    if (*left > 0) {
        (*left)--;
        assert_int_equal(weir_sim_call(f.service, 2 * MS, call_again, left, NULL), WEIR_OK);
    }
}

/* A busy world; returns its digest. */
static uint64_t live(uint64_t seed, bool draw)
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

static void the_same_seed_is_the_same_world(void **state)
{
    (void)state;
    uint64_t const one = live(1, false);
    assert_true(live(1, false) == one);
    assert_true(live(2, false) != one);
    assert_true(live(1, true) == one); /* What the policy draws changes nothing outside it. */
}

static void the_digest_knows_what_was_marked(void **state)
{
    (void)state;
    weir_sim_mark(f.sim, 1);
    uint64_t const one = weir_sim_digest(f.sim);
    assert_int_equal(f.traced[WEIR_SIM_MARK], 1);
    again();
    weir_sim_mark(f.sim, 2);
    assert_true(weir_sim_digest(f.sim) != one);
    again();
    weir_sim_mark(f.sim, 1);
    assert_true(weir_sim_digest(f.sim) == one);
}

static void a_world_without_rest_is_stopped(void **state)
{
    (void)state;
    weir_sim_options options = f.options;
    options.max_events = 10;
    weir_sim_destroy(f.sim);
    assert_int_equal(weir_sim_create(&f.sim, &options), WEIR_OK);
    f.task_next_ns = 0; /* Again and again at the same time. */
    add_task(START);
    assert_int_equal(weir_sim_run_until(f.sim, START + MS), WEIR_ETOOLARGE);
    assert_true(weir_sim_now(f.sim) == START);
    assert_int_equal(weir_sim_events(f.sim), 10);
    assert_int_equal(weir_sim_run(f.sim), WEIR_ETOOLARGE);
    assert_false(weir_sim_step(f.sim));
}

static void refused(weir_sim_behaviour behaviour)
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

static void behaviour_out_of_range_is_refused(void **state)
{
    (void)state;
    uint64_t const over_ns = (UINT64_C(1) << 62) + 1;
    REFUSED(latency, (weir_sim_latency)3);
    REFUSED(link, (weir_sim_link)3);
    REFUSED(min_ns, 1001 * MS);
    REFUSED(max_ns, over_ns);
    REFUSED(mean_ns, 1001 * MS);
    REFUSED(refuse_ns, over_ns);
    REFUSED(failure_rate, -0.01);
    REFUSED(failure_rate, 1.01);
    REFUSED(overload_rate, 0.0 / 0.0);
    REFUSED(struct_size, 1);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    weir_sim *sim;
    weir_sim_options options = WEIR_SIM_OPTIONS_INIT;
    options.start_ns = (UINT64_C(1) << 62) + 1;
    assert_int_equal(weir_sim_create(&sim, &options), WEIR_EINVAL);
    options = (weir_sim_options)WEIR_SIM_OPTIONS_INIT;
    options.wall_ns = (UINT64_C(1) << 62) + 1;
    assert_int_equal(weir_sim_create(&sim, &options), WEIR_EINVAL);
    options = (weir_sim_options)WEIR_SIM_OPTIONS_INIT;
    options.max_events = 0;
    assert_int_equal(weir_sim_create(&sim, &options), WEIR_EINVAL);
    options = (weir_sim_options)WEIR_SIM_OPTIONS_INIT;
    options.struct_size = 1;
    assert_int_equal(weir_sim_create(&sim, &options), WEIR_EINVAL);
    weir_env const env = {.struct_size = 1};
    options = (weir_sim_options)WEIR_SIM_OPTIONS_INIT;
    options.env = &env;
    assert_int_equal(weir_sim_create(&sim, &options), WEIR_EINVAL);
    assert_null(sim);
    assert_int_equal(weir_sim_create(&sim, NULL), WEIR_OK);
    weir_sim_destroy(sim);
    weir_sim_destroy(NULL);
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    for (int i = WEIR_SIM_TIMER; i <= WEIR_SIM_MARK; i++)
        assert_string_not_equal(weir_sim_kind_name((weir_sim_kind)i), "unknown");
    assert_string_equal(weir_sim_kind_name((weir_sim_kind)77), "unknown");
}

/* Does one of everything again and again, so that everything grows; the first error ends it. */
static int populate(weir_sim *sim)
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

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    unsigned fail_at = 1;
    for (int result = WEIR_ENOMEM; result != WEIR_OK; fail_at++) {
        fake_env fake = {.fail_at = fail_at};
        weir_env const env = fake_env_hooks(&fake);
        weir_sim_options options = WEIR_SIM_OPTIONS_INIT;
        options.env = &env;
        weir_sim *sim;
        result = weir_sim_create(&sim, &options);
        if (result == WEIR_OK)
            result = populate(sim);
        assert_true(result == WEIR_OK || (result == WEIR_ENOMEM && fake.calls == fail_at));
        weir_sim_destroy(sim);
        assert_int_equal(fake.live_bytes, 0);
    }
    assert_true(fail_at > 100); /* 5 for each round of 20. */
}

static void a_call_that_found_no_memory_was_not_made(void **state)
{
    (void)state;
    uint64_t const digest = weir_sim_digest(f.sim);
    unsigned failed = 0;
    int result = WEIR_ENOMEM;
    for (; result == WEIR_ENOMEM; failed++) {
        assert_true(weir_sim_digest(f.sim) == digest);
        f.fake.fail_at = f.fake.calls + 1 + failed;
        result = weir_sim_call(f.service, WEIR_NEVER, remember, NULL, NULL);
    }
    assert_int_equal(result, WEIR_OK);
    assert_true(failed > 3); /* The heap, the table, the service's side of the call. */
    assert_int_equal(weir_sim_run(f.sim), WEIR_OK);
    assert_string_equal(f.log, "!");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(time_jumps_to_what_is_due),
        TEST(simultaneous_timers_keep_their_order),
        TEST(shuffling_finds_every_order),
        TEST(what_is_cancelled_does_not_happen),
        TEST(a_task_runs_whenever_it_asks_to),
        TEST(a_task_can_be_woken_sooner_and_never_later),
        TEST(a_task_may_end_or_wake_itself),
        TEST(sleep_runs_the_world_forward),
        TEST(the_environment_draws_and_allocates),
        TEST(a_call_is_answered_after_its_latency),
        TEST(a_call_times_out_once),
        TEST(a_cancelled_call_is_never_over),
        TEST(latencies_follow_their_distribution),
        TEST(outcomes_follow_their_rates),
        TEST(a_gone_service_refuses_new_calls),
        TEST(silence_loses_what_is_under_way_too),
        TEST(a_full_service_queues_and_then_turns_away),
        TEST(a_timeout_does_not_free_the_place),
        TEST(behaviour_changes_on_schedule),
        TEST(the_same_seed_is_the_same_world),
        TEST(the_digest_knows_what_was_marked),
        TEST(a_world_without_rest_is_stopped),
        TEST(behaviour_out_of_range_is_refused),
        TEST(options_out_of_range_are_refused),
        TEST(every_kind_has_a_name),
        TEST(every_failed_allocation_is_survived),
        TEST(a_call_that_found_no_memory_was_not_made),
    };
    return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}

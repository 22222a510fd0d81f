/* Balancer under threads: no call is lost or counted twice while members come, change and go. */
#include "support/fake_env.h"

#include <weir/balancer.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define THREADS 3
#define CALLS   30000
#define MEMBERS 8

typedef struct stress {
    weir_balancer *balancer;
    atomic_ullong picked, refused;
    atomic_uint running;
    atomic_int in_flight[MEMBERS], most_in_flight;
} stress;

static void *call_often(void *arg)
{
    stress *const s = arg;
    weir_pick_options options = {.excluded_count = 0};
    for (int i = 0; i < CALLS; i++) {
        weir_pick pick;
        options.hash = (uint64_t)i; /* For the kinds that choose by it. */
        if (weir_balancer_pick(s->balancer, &options, &pick) == WEIR_OK) {
            atomic_fetch_add(&s->picked, 1);
            int const member = pick.member->id[0] - 'a';
            int const now = atomic_fetch_add(&s->in_flight[member], 1) + 1;
            if (now > s->most_in_flight)
                s->most_in_flight = now;
            atomic_fetch_sub(&s->in_flight[member], 1);
            assert_int_equal(weir_balancer_done(s->balancer, &pick,
                                                i % 2 == 0 ? WEIR_FAILURE : WEIR_SUCCESS, 1),
                             WEIR_OK);
        } else {
            atomic_fetch_add(&s->refused, 1);
        }
    }
    atomic_fetch_sub(&s->running, 1);
    return NULL;
}

static void set_members(stress *s, uint32_t weight, uint32_t max_in_flight)
{
    char ids[MEMBERS][2];
    weir_member members[MEMBERS];
    for (int i = 0; i < MEMBERS; i++) {
        ids[i][0] = (char)('a' + i);
        ids[i][1] = '\0';
        members[i] = (weir_member)WEIR_MEMBER_INIT;
        members[i].id = ids[i];
        members[i].weight = i == 0 ? 1 : weight;
        members[i].max_in_flight = max_in_flight;
    }
    assert_int_equal(weir_balancer_update(s->balancer, members, MEMBERS, 0), WEIR_OK);
}

static void add_up(const weir_member *member, const weir_member_stats *stats, void *user)
{
    weir_member_stats *const sum = user;
    (void)member;
    sum->in_flight += stats->in_flight;
    sum->completed += stats->completed;
    sum->failures += stats->failures;
}

/* Weights change so often that records are replaced while calls run on them. */
static void every_call_is_counted_once(weir_balancer_algorithm algorithm, uint32_t max_in_flight)
{
    stress s = {.running = THREADS};
    weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
    pthread_t threads[THREADS];
    options.algorithm = algorithm;
    options.load_factor_percent = 125;
    assert_int_equal(weir_balancer_create(&s.balancer, &options), WEIR_OK);
    set_members(&s, 1, max_in_flight);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &s), 0);
    for (uint32_t round = 0; atomic_load(&s.running) > 0; round++) {
        set_members(&s, 1 + round % 5, max_in_flight);
        assert_int_equal(weir_balancer_set_flags(s.balancer, round % 2 ? "b" : "c",
                                                 round % 4 < 2 ? WEIR_MEMBER_EJECTED : 0,
                                                 round % 4 < 2 ? 0 : WEIR_MEMBER_EJECTED),
                         WEIR_OK);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    weir_member_stats sum = {.flags = 0};
    weir_balancer_visit(s.balancer, add_up, &sum);
    assert_int_equal(sum.in_flight, 0);
    assert_int_equal(sum.completed, s.picked);
    assert_int_equal(s.picked + s.refused, THREADS * CALLS);
    if (max_in_flight == 0) {
        assert_int_equal(s.refused, 0);
        assert_int_equal(sum.failures, THREADS * CALLS / 2);
    } else {
        assert_true((uint32_t)s.most_in_flight <= max_in_flight);
    }
    weir_balancer_destroy(s.balancer);
}

static void round_robin_counts_every_call_once(void **state)
{
    (void)state;
    every_call_is_counted_once(WEIR_ROUND_ROBIN, 0);
}

static void smooth_weighted_counts_every_call_once(void **state)
{
    (void)state;
    every_call_is_counted_once(WEIR_SMOOTH_WEIGHTED, 0);
}

static void least_request_counts_every_call_once(void **state)
{
    (void)state;
    every_call_is_counted_once(WEIR_LEAST_REQUEST, 0);
}

static void ketama_counts_every_call_once(void **state)
{
    (void)state;
    every_call_is_counted_once(WEIR_KETAMA, 0);
}

static void maglev_counts_every_call_once(void **state)
{
    (void)state;
    every_call_is_counted_once(WEIR_MAGLEV, 0);
}

static void rendezvous_counts_every_call_once(void **state)
{
    (void)state;
    every_call_is_counted_once(WEIR_RENDEZVOUS, 0);
}

static void jump_counts_every_call_once(void **state)
{
    (void)state;
    every_call_is_counted_once(WEIR_JUMP, 0);
}

static void a_limit_of_calls_in_flight_is_never_exceeded(void **state)
{
    (void)state;
    every_call_is_counted_once(WEIR_RANDOM, 1);
}

static void *pick_a_share(void *arg)
{
    for (int i = 0; i < 8000; i++) {
        weir_pick pick;
        assert_int_equal(weir_balancer_pick(arg, NULL, &pick), WEIR_OK);
        assert_int_equal(weir_balancer_done(arg, &pick, WEIR_SUCCESS, 1), WEIR_OK);
    }
    return NULL;
}

static void equal_shares(const weir_member *member, const weir_member_stats *stats, void *user)
{
    (void)member;
    (void)user;
    assert_int_equal(stats->completed, THREADS * 8000 / MEMBERS);
}

static void turns_are_shared_out_exactly_between_threads(void **state)
{
    (void)state;
    stress s = {.running = 0};
    pthread_t threads[THREADS];
    assert_int_equal(weir_balancer_create(&s.balancer, NULL), WEIR_OK);
    set_members(&s, 1, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pick_a_share, s.balancer), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    weir_balancer_visit(s.balancer, equal_shares, NULL);
    weir_balancer_destroy(s.balancer);
}

/* Every algorithm in turn, with and without a bound, and a task that warms members up. */
static void no_call_is_lost_while_algorithms_change(void **state)
{
    (void)state;
    stress s = {.running = THREADS};
    weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
    pthread_t threads[THREADS];
    options.table_size = 251;
    options.ring_min = 64;
    options.slow_start_ns = 1000000;
    assert_int_equal(weir_balancer_create(&s.balancer, &options), WEIR_OK);
    set_members(&s, 1, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &s), 0);
    weir_task const task = weir_balancer_task(s.balancer);
    for (uint32_t round = 0; atomic_load(&s.running) > 0; round++) {
        options.algorithm = (weir_balancer_algorithm)(round % (WEIR_FIRST + 1));
        options.load_factor_percent = round % 3 == 0 ? 150 : 0;
        options.choices = 2 + round % 3;
        assert_int_equal(weir_balancer_configure(s.balancer, &options), WEIR_OK);
        if (round % 2 == 0)
            set_members(&s, 1 + round % 5, 0);
        (void)task.run(task.self, round);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    weir_member_stats sum = {.flags = 0};
    weir_balancer_visit(s.balancer, add_up, &sum);
    assert_int_equal(sum.in_flight, 0);
    assert_int_equal(sum.completed, THREADS * CALLS);
    assert_int_equal(s.refused, 0);
    weir_balancer_destroy(s.balancer);
}

static void least_connections_counts_every_call_once(void **state)
{
    (void)state;
    every_call_is_counted_once(WEIR_LEAST_CONNECTIONS, 0);
}

static void locality_aware_counts_every_call_once(void **state)
{
    (void)state;
    every_call_is_counted_once(WEIR_LOCALITY_AWARE, 0);
}

static void peak_ewma_counts_every_call_once(void **state)
{
    (void)state;
    every_call_is_counted_once(WEIR_PEAK_EWMA, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_robin_counts_every_call_once),
        cmocka_unit_test(smooth_weighted_counts_every_call_once),
        cmocka_unit_test(least_request_counts_every_call_once),
        cmocka_unit_test(ketama_counts_every_call_once),
        cmocka_unit_test(maglev_counts_every_call_once),
        cmocka_unit_test(rendezvous_counts_every_call_once),
        cmocka_unit_test(jump_counts_every_call_once),
        cmocka_unit_test(least_connections_counts_every_call_once),
        cmocka_unit_test(locality_aware_counts_every_call_once),
        cmocka_unit_test(peak_ewma_counts_every_call_once),
        cmocka_unit_test(no_call_is_lost_while_algorithms_change),
        cmocka_unit_test(a_limit_of_calls_in_flight_is_never_exceeded),
        cmocka_unit_test(turns_are_shared_out_exactly_between_threads),
    };
    return cmocka_run_group_tests_name("balancer_stress", tests, NULL, NULL);
}

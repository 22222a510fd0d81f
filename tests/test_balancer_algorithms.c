/* Balancer: the sequences of its algorithms, and what they learn of members. */
#include "support/balancer_fixture.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

static void assert_near(double value, double expected)
{
    assert_true(value > expected * 0.999 && value < expected * 1.001);
}

/* ---- Sequences ---- */

/* Deadlines are multiples of 1 / weight; at 1, b and c entered before a's fifth. */
static void earliest_deadline_follows_its_deadlines(void **state)
{
    (void)state;
    create(WEIR_EARLIEST_DEADLINE);
    SET_WEIGHTS(5, 1, 1);
    assert_string_equal(sequence(14), "aaaabcaaaaabca");
    create(WEIR_EARLIEST_DEADLINE);
    SET_WEIGHTS(3, 2); /* 1/3, 1/2, 2/3, then both at 1: b waited longer. */
    assert_string_equal(sequence(10), "ababaababa");
}

/* A58: member b of n in round g = s / n serves if (w g + 32,767 b) % 65,535 >= 65,535 - w, with
 * weights 21,845 and 65,535: a in the rounds 2, 5, 8, ..., b always. It begins at any turn. */
static void static_stride_skips_as_grpc_specifies(void **state)
{
    (void)state;
    create(WEIR_STATIC_STRIDE);
    SET_WEIGHTS(1, 3);
    assert_non_null(strstr("bbabbbabbbabbbab", sequence(12)));
}

/* dubbo#15762: a change of weight elsewhere leaves the turn where it was; nobody starts anew. */
static void turns_go_on_when_weights_change(void **state)
{
    (void)state;
    static const weir_balancer_algorithm algorithms[] = {WEIR_ROUND_ROBIN, WEIR_SMOOTH_WEIGHTED,
                                                         WEIR_EARLIEST_DEADLINE,
                                                         WEIR_STATIC_STRIDE};
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        unsigned counts[8] = {0};
        create(algorithms[i]);
        for (uint32_t update_number = 0; update_number < 300; update_number++) {
            SET_WEIGHTS(2, 2, 2 + update_number % 2); /* After each single pick. */
            weir_pick picked = pick();
            counts[picked.member->id[0] - 'a']++;
            done(&picked);
        }
        for (int at = 0; at < 3; at++) /* A start anew would leave all to one. */
            assert_in_range(counts[at], 60, 160);
    }
}

/* ---- Least connections ---- */

/* Beside a model that looks at all: of the least (calls + 1) / weight, the one picked longest ago;
 * of those never picked, any. */
static void least_connections_finds_the_least_of_all(void **state)
{
    (void)state;
    uint32_t const weights[8] = {1, 2, 3, 4, 1, 1, 7, 2};
    uint32_t in_flight[8] = {0};
    int last[8] = {0};
    weir_pick held[400];
    create(WEIR_LEAST_CONNECTIONS);
    set_weights(weights, 8, 0);
    for (int i = 0; i < 400; i++) {
        int best = 0;
        for (int at = 1; at < 8; at++) {
            uint64_t const ours = (in_flight[at] + 1) * (uint64_t)weights[best];
            uint64_t const theirs = (in_flight[best] + 1) * (uint64_t)weights[at];
            if (ours < theirs || (ours == theirs && last[at] < last[best]))
                best = at;
        }
        held[i] = pick();
        int const got = held[i].member->id[0] - 'a';
        if (last[best] == 0 && last[got] == 0 && weights[got] == weights[best])
            best = got;
        assert_int_equal(got, best);
        in_flight[best]++;
        last[best] = i + 1;
        if (i % 3 == 2) { /* Gives one of the earlier back. */
            int const back = i / 2;
            if (held[back].member != NULL) {
                in_flight[held[back].member->id[0] - 'a']--;
                done(&held[back]);
            }
        }
    }
    for (int i = 0; i < 400; i++)
        if (held[i].member != NULL)
            done(&held[i]);
}

static void least_connections_passes_over_members_that_are_full(void **state)
{
    (void)state;
    weir_member members[3];
    weir_pick held[4];
    create(WEIR_LEAST_CONNECTIONS);
    number_members(members, 3);
    members[0].weight = 100;
    members[0].max_in_flight = 1;
    update(members, 3);
    held[0] = pick();
    assert_string_equal(held[0].member->id, "0");
    for (int i = 1; i < 4; i++) {
        held[i] = pick();
        assert_string_not_equal(held[i].member->id, "0");
    }
    for (int i = 0; i < 4; i++)
        done(&held[i]);
}

static void least_connections_sees_calls_end_that_began_before_an_update(void **state)
{
    (void)state;
    weir_member members[4];
    weir_pick held[40];
    create(WEIR_LEAST_CONNECTIONS);
    number_members(members, 4);
    update(members, 4);
    for (int i = 0; i < 40; i++)
        held[i] = pick(); /* 10 each. */
    members[0].user = &members[0];
    update(members, 4);
    for (int i = 0; i < 4; i++)
        if (held[i].member->id[0] == '1')
            done(&held[i]); /* "1" has 9 now, and is before "0" with 10. */
    for (int i = 0; i < 40; i++)
        if (held[i].member != NULL && held[i].member->id[0] == '0')
            done(&held[i]);
    weir_pick next = pick();
    assert_string_equal(next.member->id, "0");
    done(&next);
    for (int i = 0; i < 40; i++)
        if (held[i].member != NULL)
            done(&held[i]);
}

/* ---- Peak EWMA ---- */

static void call_taking(const char *id, weir_outcome outcome, uint64_t latency_ns)
{
    weir_pick_options const options = {.sticky = id};
    weir_pick picked;
    assert_int_equal(weir_balancer_pick_at(f.balancer, &options, f.fake.now_ns - latency_ns,
                                           &picked),
                     WEIR_OK);
    assert_string_equal(picked.member->id, id);
    assert_int_equal(weir_balancer_done(f.balancer, &picked, outcome, latency_ns), WEIR_OK);
}

/* 100 e^-1 + 20 (1 - e^-1) = 49.43 ms. */
static void a_cost_jumps_up_at_once_and_decays_with_time(void **state)
{
    (void)state;
    create(WEIR_PEAK_EWMA);
    SET_WEIGHTS(1, 1);
    f.fake.now_ns = 1000 * S;
    call_taking("a", WEIR_SUCCESS, 10 * MS);
    assert_int_equal(stats_of("a").cost_ns, 10 * MS);
    call_taking("a", WEIR_SUCCESS, 100 * MS);
    assert_int_equal(stats_of("a").cost_ns, 100 * MS);
    f.fake.now_ns += 10 * S;
    call_taking("a", WEIR_SUCCESS, 20 * MS);
    assert_near((double)stats_of("a").cost_ns, 49.4303e6);
    f.fake.now_ns -= 5 * S; /* A clock that steps back takes nothing off. */
    call_taking("a", WEIR_SUCCESS, 1);
    assert_near((double)stats_of("a").cost_ns, 49.4303e6);
}

static void peak_ewma_learns_from_calls_that_began_before_an_update(void **state)
{
    (void)state;
    create(WEIR_PEAK_EWMA);
    SET_WEIGHTS(1, 1);
    f.fake.now_ns = 1000 * S;
    weir_pick_options const options = {.sticky = "a"};
    weir_pick picked;
    assert_int_equal(weir_balancer_pick(f.balancer, &options, &picked), WEIR_OK);
    SET_WEIGHTS(2, 1);
    SET_WEIGHTS(3, 1);
    assert_int_equal(weir_balancer_done(f.balancer, &picked, WEIR_SUCCESS, 70 * MS), WEIR_OK);
    assert_int_equal(stats_of("a").cost_ns, 70 * MS);
}

/* 1 s at least, then twice what it was, at most 30 s. */
static void a_failure_is_charged_as_slow_however_fast_it_was(void **state)
{
    (void)state;
    create(WEIR_PEAK_EWMA);
    SET_WEIGHTS(1, 1);
    f.fake.now_ns = 1000 * S;
    uint64_t const expected_s[] = {1, 2, 4, 8, 16, 30, 30};
    weir_outcome const outcomes[] = {WEIR_FAILURE, WEIR_TIMEOUT, WEIR_OVERLOAD};
    for (size_t i = 0; i < 7; i++) {
        f.fake.now_ns += MS;
        call_taking("a", outcomes[i % 3], MS);
        assert_near((double)stats_of("a").cost_ns, (double)(expected_s[i] * S));
    }
    call_taking("b", WEIR_IGNORED, MS);
    call_taking("b", WEIR_CANCELLED, MS);
    assert_int_equal(stats_of("b").cost_ns, 0);
}

/* Five calls at once, one reason: 1 s and not 16. The next call to fail begins after them. */
static void calls_that_fail_together_are_charged_once(void **state)
{
    (void)state;
    create(WEIR_PEAK_EWMA);
    SET_WEIGHTS(1);
    f.fake.now_ns = 1000 * S;
    weir_pick held[5];
    for (int i = 0; i < 5; i++)
        held[i] = pick();
    f.fake.now_ns += 250 * MS;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(weir_balancer_done(f.balancer, &held[i], WEIR_TIMEOUT, 250 * MS), WEIR_OK);
        f.fake.now_ns += 1;
    }
    assert_near((double)stats_of("a").cost_ns, (double)S);
    f.fake.now_ns += 250 * MS;
    call_taking("a", WEIR_TIMEOUT, 250 * MS);
    assert_near((double)stats_of("a").cost_ns, (double)(2 * S));
}

/* ingress-nginx#9882, mosn#2274: b fails in 1 ms, a serves in 100 ms. */
static void a_member_that_fails_fast_attracts_nothing(void **state)
{
    (void)state;
    create(WEIR_PEAK_EWMA);
    SET_WEIGHTS(1, 1);
    f.fake.now_ns = 1000 * S;
    unsigned failing = 0;
    for (int i = 0; i < 1000; i++) {
        weir_pick picked = pick();
        bool const bad = picked.member->id[0] == 'b';
        failing += bad;
        f.fake.now_ns += 100 * MS;
        assert_int_equal(weir_balancer_done(f.balancer, &picked, bad ? WEIR_FAILURE : WEIR_SUCCESS,
                                            bad ? MS : 100 * MS),
                         WEIR_OK);
    }
    assert_in_range(failing, 1, 50);
}

static void a_member_not_heard_of_gets_one_call_until_its_first_result(void **state)
{
    (void)state;
    create(WEIR_PEAK_EWMA);
    SET_WEIGHTS(1, 1);
    f.fake.now_ns = 1000 * S;
    call_taking("a", WEIR_SUCCESS, 900 * MS);
    weir_pick first = pick();
    assert_string_equal(first.member->id, "b");
    weir_pick held[20];
    for (int i = 0; i < 20; i++) {
        held[i] = pick();
        assert_string_equal(held[i].member->id, "a");
    }
    done(&first);
    for (int i = 0; i < 20; i++)
        done(&held[i]);
    first = pick();
    assert_string_equal(first.member->id, "b");
    done(&first);
}

static void a_weight_divides_the_cost(void **state)
{
    (void)state;
    weir_pick held[30];
    unsigned heavy = 0;
    create(WEIR_PEAK_EWMA);
    SET_WEIGHTS(1, 2);
    f.fake.now_ns = 1000 * S;
    call_taking("a", WEIR_SUCCESS, 100 * MS);
    call_taking("b", WEIR_SUCCESS, 100 * MS);
    for (int i = 0; i < 30; i++) {
        held[i] = pick();
        heavy += held[i].member->id[0] == 'b';
    }
    assert_in_range(heavy, 19, 21);
    for (int i = 0; i < 30; i++)
        done(&held[i]);
}

static void costs_outlive_a_change_of_weights(void **state)
{
    (void)state;
    create(WEIR_PEAK_EWMA);
    SET_WEIGHTS(1, 1);
    f.fake.now_ns = 1000 * S;
    call_taking("a", WEIR_SUCCESS, 100 * MS);
    SET_WEIGHTS(3, 1);
    assert_int_equal(stats_of("a").cost_ns, 100 * MS);
    assert_int_equal(stats_of("a").completed, 1);
}

/* ---- Choices ---- */

/* With as many choices as members, the least loaded is always found. */
static void more_choices_find_the_least_of_more(void **state)
{
    (void)state;
    weir_pick held[24];
    f.options.choices = 8;
    create(WEIR_LEAST_REQUEST);
    SET_WEIGHTS(1, 1, 1, 1, 1, 1, 1, 1);
    for (int i = 0; i < 24; i++) {
        held[i] = pick();
        assert_int_equal(stats_of(held[i].member->id).in_flight, i / 8 + 1);
    }
    for (int i = 0; i < 24; i++)
        done(&held[i]);
}

/* load^2 / weight: 1 : 4 of weight are 1 : 2 of load; without bias, weight alone counts: 1 : 4. */
static void a_bias_sets_how_much_load_counts(void **state)
{
    (void)state;
    weir_pick held[300];
    f.options.bias = 2;
    create(WEIR_LEAST_REQUEST);
    SET_WEIGHTS(1, 4);
    for (int i = 0; i < 300; i++)
        held[i] = pick();
    assert_in_range(stats_of("b").in_flight, 198, 202);
    for (int i = 0; i < 300; i++)
        done(&held[i]);
    f.options.bias = 0;
    f.fake.random = 5;
    create(WEIR_LEAST_REQUEST);
    SET_WEIGHTS(1, 4);
    for (int i = 0; i < 300; i++)
        held[i] = pick();
    assert_in_range(stats_of("b").in_flight, 212, 268); /* 240, four standard deviations. */
    for (int i = 0; i < 300; i++)
        done(&held[i]);
}

/* ---- First ---- */

static void first_fills_one_member_before_it_asks_the_next(void **state)
{
    (void)state;
    weir_member members[3];
    weir_pick held[5];
    create(WEIR_FIRST);
    number_members(members, 3);
    for (int i = 0; i < 3; i++)
        members[i].max_in_flight = 2;
    update(members, 3);
    static const char *const expected[] = {"0", "0", "1", "1", "2"};
    for (int i = 0; i < 5; i++) {
        held[i] = pick();
        assert_string_equal(held[i].member->id, expected[i]);
    }
    done(&held[0]);
    held[0] = pick();
    assert_string_equal(held[0].member->id, "0");
    for (int i = 0; i < 5; i++)
        done(&held[i]);
}

/* ---- Locality-aware ---- */

/* b takes ten times as long: while all are idle, it gets what is left of a tenth. */
static void locality_aware_prefers_who_is_fast_and_forgets_nobody(void **state)
{
    (void)state;
    unsigned slow = 0, late = 0;
    f.fake.random = 8;
    create(WEIR_LOCALITY_AWARE);
    SET_WEIGHTS(1, 1);
    f.fake.now_ns = 1000 * S;
    for (int i = 0; i < 20000; i++) {
        weir_pick picked = pick();
        bool const b = picked.member->id[0] == 'b';
        late += b && i >= 10000;
        slow += b;
        f.fake.now_ns += MS;
        assert_int_equal(weir_balancer_done(f.balancer, &picked, WEIR_SUCCESS, b ? 10 * MS : MS),
                         WEIR_OK);
    }
    assert_in_range(slow, 1, 2000);
    assert_in_range(late, 1, 1000);
}

/* brpc's punishment in flight: b has answered as a does, and now answers nothing. */
static void locality_aware_turns_from_a_member_before_its_calls_fail(void **state)
{
    (void)state;
    static weir_pick stuck[4000];
    unsigned count = 0;
    f.fake.random = 8;
    create(WEIR_LOCALITY_AWARE);
    SET_WEIGHTS(1, 1);
    f.fake.now_ns = 1000 * S;
    for (int i = 0; i < 4000; i++) {
        weir_pick picked = pick();
        f.fake.now_ns += MS;
        if (i >= 2000 && picked.member->id[0] == 'b')
            stuck[count++] = picked;
        else
            assert_int_equal(weir_balancer_done(f.balancer, &picked, WEIR_SUCCESS, MS), WEIR_OK);
    }
    assert_in_range(count, 1, 100); /* Of 2,000; half, if it were not seen. */
    for (unsigned i = 0; i < count; i++)
        done(&stuck[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(earliest_deadline_follows_its_deadlines),
        TEST(static_stride_skips_as_grpc_specifies),
        TEST(turns_go_on_when_weights_change),
        TEST(least_connections_finds_the_least_of_all),
        TEST(least_connections_passes_over_members_that_are_full),
        TEST(least_connections_sees_calls_end_that_began_before_an_update),
        TEST(peak_ewma_learns_from_calls_that_began_before_an_update),
        TEST(a_cost_jumps_up_at_once_and_decays_with_time),
        TEST(a_failure_is_charged_as_slow_however_fast_it_was),
        TEST(calls_that_fail_together_are_charged_once),
        TEST(a_member_that_fails_fast_attracts_nothing),
        TEST(a_member_not_heard_of_gets_one_call_until_its_first_result),
        TEST(a_weight_divides_the_cost),
        TEST(costs_outlive_a_change_of_weights),
        TEST(more_choices_find_the_least_of_more),
        TEST(a_bias_sets_how_much_load_counts),
        TEST(first_fills_one_member_before_it_asks_the_next),
        TEST(locality_aware_prefers_who_is_fast_and_forgets_nobody),
        TEST(locality_aware_turns_from_a_member_before_its_calls_fail),
    };
    return cmocka_run_group_tests_name("balancer algorithms", tests, NULL, NULL);
}

/* Balancer: published sequences, shares, flags, caps, priorities and explanations. */
#include "support/balancer_fixture.h"

static void round_robin_takes_each_in_turn(void **state)
{
    (void)state;
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1, 5, 2);
    assert_string_equal(sequence(7), "abcabca");
}

/* The sequence of nginx's commit 52327e0627f4: for weights 5, 1, 1. */
static void smooth_weighted_gives_the_sequence_that_nginx_published(void **state)
{
    (void)state;
    create(WEIR_SMOOTH_WEIGHTED);
    SET_WEIGHTS(5, 1, 1);
    assert_string_equal(sequence(14), "aabacaaaabacaa");
}

/* Against the algorithm as published: all gain their weight, the first highest pays the sum. */
static void smooth_weighted_gives_the_sequence_of_the_published_algorithm(void **state)
{
    (void)state;
    static const uint32_t cases[][8] = {{1, 2, 3, 4, 5, 6, 7, 8},
                                        {3, 3, 3, 3, 3, 3, 3, 3},
                                        {7, 1, 7, 1, 2, 2, 9, 1},
                                        {100, 50, 25, 25, 100, 1, 1, 1},
                                        {4, 2, 2, 6, 4, 6, 2, 4}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        create(WEIR_SMOOTH_WEIGHTED);
        set_weights(cases[c], 8, 0);
        int64_t current[8] = {0}, sum = 0;
        for (int i = 0; i < 8; i++)
            sum += cases[c][i];
        for (int64_t turn = 0; turn < 3 * sum; turn++) {
            int best = 0;
            for (int i = 0; i < 8; i++) {
                current[i] += cases[c][i];
                if (current[i] > current[best])
                    best = i;
            }
            current[best] -= sum;
            weir_pick picked = pick();
            assert_int_equal(picked.member->id[0], 'a' + best);
            done(&picked);
        }
    }
}

/* 65,535 + 65,534 + 1: too long for a schedule, so shares are kept to 1 in 65,536. */
static void smooth_weighted_scales_weights_that_add_up_to_too_much(void **state)
{
    (void)state;
    unsigned counts[8];
    create(WEIR_SMOOTH_WEIGHTED);
    SET_WEIGHTS(65535, 65534, 1);
    count_picks(counts, 65536); /* 32,767.9997, 32,767.4997 and 0.5 of these. */
    assert_int_equal(counts[0], 32768);
    assert_int_equal(counts[1], 32767);
    assert_int_equal(counts[2], 1);
}

/* 4 standard deviations of a binomial share over 40,000 draws are below 0.01 of them. */
static void random_draws_by_weight(void **state)
{
    (void)state;
    unsigned counts[8];
    f.fake.random = 42;
    create(WEIR_RANDOM);
    SET_WEIGHTS(1, 2, 5, 0);
    count_picks(counts, 40000);
    assert_in_range(counts[0], 5000 - 400, 5000 + 400);
    assert_in_range(counts[1], 10000 - 400, 10000 + 400);
    assert_in_range(counts[2], 25000 - 400, 25000 + 400);
    assert_int_equal(counts[3], 0);
}

static void least_request_shares_by_weight_when_idle(void **state)
{
    (void)state;
    unsigned counts[8];
    f.fake.random = 7;
    create(WEIR_LEAST_REQUEST);
    SET_WEIGHTS(1, 3);
    count_picks(counts, 40000);
    assert_in_range(counts[0], 10000 - 400, 10000 + 400);
}

/* envoy#14859, #20420: two members are always both drawn, so the less loaded is always found. */
static void least_request_never_draws_the_same_member_twice(void **state)
{
    (void)state;
    create(WEIR_LEAST_REQUEST);
    SET_WEIGHTS(1, 1);
    weir_pick first = pick();
    for (int i = 0; i < 1000; i++) {
        weir_pick_explanation explanation;
        weir_pick_options const options = {.explain = &explanation};
        weir_pick picked;
        assert_int_equal(weir_balancer_pick(f.balancer, &options, &picked), WEIR_OK);
        assert_ptr_not_equal(picked.member, first.member);
        assert_ptr_equal(explanation.rival, first.member);
        assert_int_equal(explanation.rival_in_flight, 1);
        assert_int_equal(explanation.chosen_in_flight, 0);
        done(&picked);
    }
    done(&first);
}

static void least_request_weighs_calls_in_flight(void **state)
{
    (void)state;
    create(WEIR_LEAST_REQUEST);
    SET_WEIGHTS(1, 3);
    weir_pick picks[40];
    unsigned heavy = 0;
    for (int i = 0; i < 40; i++) {
        picks[i] = pick();
        heavy += picks[i].member->id[0] == 'b';
    }
    assert_in_range(heavy, 29, 31); /* 3 of 4, but for ties. */
    for (int i = 0; i < 40; i++)
        done(&picks[i]);
    assert_int_equal(stats_of("a").in_flight, 0);
}

static void a_single_member_serves_every_algorithm(void **state)
{
    (void)state;
    for (int i = WEIR_ROUND_ROBIN; i <= WEIR_LEAST_REQUEST; i++) {
        create((weir_balancer_algorithm)i);
        SET_WEIGHTS(9);
        assert_string_equal(sequence(3), "aaa");
    }
}

static void tells_empty_down_and_saturated_apart(void **state)
{
    (void)state;
    create(WEIR_ROUND_ROBIN);
    assert_int_equal(pick_result(), WEIR_EEMPTY);
    SET_WEIGHTS(0, 0);
    assert_int_equal(pick_result(), WEIR_EDOWN);
    weir_member members[2] = {WEIR_MEMBER_INIT, WEIR_MEMBER_INIT};
    members[0].id = "a";
    members[1].id = "b";
    members[0].max_in_flight = members[1].max_in_flight = 1;
    assert_int_equal(weir_balancer_update(f.balancer, members, 2, 0), WEIR_OK);
    weir_pick first = pick(), second = pick();
    assert_ptr_not_equal(first.member, second.member);
    assert_int_equal(pick_result(), WEIR_ESATURATED);
    done(&first);
    assert_int_equal(pick_result(), WEIR_OK);
    assert_int_equal(weir_balancer_mark_down(f.balancer, "a"), WEIR_OK);
    assert_int_equal(pick_result(), WEIR_ESATURATED);
    done(&second);
    assert_int_equal(weir_balancer_mark_down(f.balancer, "b"), WEIR_OK);
    assert_int_equal(pick_result(), WEIR_EDOWN);
    assert_int_equal(weir_balancer_update(f.balancer, NULL, 0, 0), WEIR_OK);
    assert_int_equal(pick_result(), WEIR_EEMPTY);
}

static void flags_of_several_owners_are_kept_apart(void **state)
{
    (void)state;
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1, 1);
    assert_int_equal(weir_balancer_set_flags(f.balancer, "a", WEIR_MEMBER_DRAIN, 0), WEIR_OK);
    assert_int_equal(weir_balancer_set_flags(f.balancer, "a", WEIR_MEMBER_UNHEALTHY,
                                             WEIR_MEMBER_EJECTED),
                     WEIR_OK);
    assert_string_equal(sequence(2), "bb");
    assert_int_equal(weir_balancer_set_flags(f.balancer, "a", 0, WEIR_MEMBER_DRAIN), WEIR_OK);
    assert_int_equal(stats_of("a").flags, WEIR_MEMBER_UNHEALTHY);
    assert_string_equal(sequence(2), "bb");
    assert_int_equal(weir_balancer_mark_up(f.balancer, "a"), WEIR_OK); /* Not what keeps it out. */
    assert_string_equal(sequence(2), "bb");
    assert_int_equal(weir_balancer_set_flags(f.balancer, "a", 0, WEIR_MEMBER_UNHEALTHY), WEIR_OK);
    assert_non_null(strchr(sequence(2), 'a'));
    assert_int_equal(weir_balancer_set_flags(f.balancer, "z", 1, 0), WEIR_ENOTFOUND);
    assert_int_equal(weir_balancer_set_flags(f.balancer, "a", 1, 1), WEIR_EINVAL);
}

static void excluded_members_are_not_picked_by_any_algorithm(void **state)
{
    (void)state;
    for (int i = WEIR_ROUND_ROBIN; i <= WEIR_LEAST_REQUEST; i++) {
        create((weir_balancer_algorithm)i);
        SET_WEIGHTS(60000, 1, 1);
        weir_pick first = pick();
        assert_string_equal(first.member->id, "a");
        weir_pick second, third, fourth;
        const weir_member *excluded[3] = {first.member};
        weir_pick_options options = {.excluded = excluded, .excluded_count = 1};
        assert_int_equal(weir_balancer_pick(f.balancer, &options, &second), WEIR_OK);
        excluded[options.excluded_count++] = second.member;
        assert_int_equal(weir_balancer_pick(f.balancer, &options, &third), WEIR_OK);
        excluded[options.excluded_count++] = third.member;
        assert_int_equal(weir_balancer_pick(f.balancer, &options, &fourth), WEIR_EDOWN);
        assert_null(fourth.member);
        assert_ptr_not_equal(second.member, third.member);
        done(&first);
        done(&second);
        done(&third);
    }
}

static void the_next_priority_serves_when_the_first_cannot(void **state)
{
    (void)state;
    weir_member members[4] = {WEIR_MEMBER_INIT, WEIR_MEMBER_INIT, WEIR_MEMBER_INIT,
                              WEIR_MEMBER_INIT};
    static const char *const ids[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        members[i].id = ids[i];
        members[i].priority = i % 2 == 0 ? 5 : 1;
        members[i].max_in_flight = 1;
    }
    create(WEIR_ROUND_ROBIN);
    assert_int_equal(weir_balancer_update(f.balancer, members, 4, 0), WEIR_OK);
    assert_string_equal(sequence(4), "bdbd");
    weir_pick b = pick(), d = pick();
    weir_pick_explanation explanation;
    weir_pick_options const options = {.explain = &explanation};
    weir_pick spilled;
    assert_int_equal(weir_balancer_pick(f.balancer, &options, &spilled), WEIR_OK);
    assert_string_equal(spilled.member->id, "a");
    assert_int_equal(explanation.priority, 5);
    assert_int_equal(explanation.saturated, 2);
    done(&b);
    done(&d);
    done(&spilled);
    assert_int_equal(weir_balancer_mark_down(f.balancer, "b"), WEIR_OK);
    assert_int_equal(weir_balancer_mark_down(f.balancer, "d"), WEIR_OK);
    assert_string_equal(sequence(4), "caca");
}

static void an_explanation_says_who_was_kept_out_and_why(void **state)
{
    (void)state;
    weir_pick_explanation explanation;
    create(WEIR_ROUND_ROBIN);
    set_weights((const uint32_t[]){1, 1, 1, 0}, 4, 77);
    assert_int_equal(weir_balancer_mark_down(f.balancer, "b"), WEIR_OK);
    weir_pick first = pick(), second;
    weir_pick_options const options = {.excluded = &first.member,
                                       .excluded_count = 1,
                                       .explain = &explanation};
    assert_int_equal(weir_balancer_pick(f.balancer, &options, &second), WEIR_OK);
    done(&second);
    assert_int_equal(weir_balancer_pick(f.balancer, &options, &second), WEIR_OK);
    assert_int_equal(explanation.result, WEIR_OK);
    assert_int_equal(explanation.algorithm, WEIR_ROUND_ROBIN);
    assert_int_equal(explanation.version, 77);
    assert_int_equal(explanation.members, 4);
    assert_int_equal(explanation.flagged, 2);
    assert_int_equal(explanation.excluded, 1);
    assert_ptr_equal(explanation.chosen, second.member);
    done(&first);
    done(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(round_robin_takes_each_in_turn),
        TEST(smooth_weighted_gives_the_sequence_that_nginx_published),
        TEST(smooth_weighted_gives_the_sequence_of_the_published_algorithm),
        TEST(smooth_weighted_scales_weights_that_add_up_to_too_much),
        TEST(random_draws_by_weight),
        TEST(least_request_shares_by_weight_when_idle),
        TEST(least_request_never_draws_the_same_member_twice),
        TEST(least_request_weighs_calls_in_flight),
        TEST(a_single_member_serves_every_algorithm),
        TEST(tells_empty_down_and_saturated_apart),
        TEST(flags_of_several_owners_are_kept_apart),
        TEST(excluded_members_are_not_picked_by_any_algorithm),
        TEST(the_next_priority_serves_when_the_first_cannot),
        TEST(an_explanation_says_who_was_kept_out_and_why),
    };
    return cmocka_run_group_tests_name("balancer", tests, NULL, NULL);
}

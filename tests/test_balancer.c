/* Balancer: published sequences, shares, flags, caps, updates, and picks that outlive them. */
#include "support/fake_env.h"

#include <weir/balancer.h>

#include <stdio.h>
#include <string.h>

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_balancer *balancer;
} fixture;

static fixture f;

static int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = 1}};
    f.env = fake_env_hooks(&f.fake);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    weir_balancer_destroy(f.balancer);
    f.balancer = NULL;
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

static void create(weir_balancer_algorithm algorithm)
{
    weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
    options.algorithm = algorithm;
    options.env = &f.env;
    weir_balancer_destroy(f.balancer);
    assert_int_equal(weir_balancer_create(&f.balancer, &options), WEIR_OK);
}

/* Members "a", "b", ... of these weights. */
static void set_weights(const uint32_t *weights, size_t count, uint64_t version)
{
    static const char *const ids[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    weir_member members[8];
    for (size_t i = 0; i < count; i++) {
        members[i] = (weir_member)WEIR_MEMBER_INIT;
        members[i].id = ids[i];
        members[i].weight = weights[i];
    }
    assert_int_equal(weir_balancer_update(f.balancer, members, count, version), WEIR_OK);
}

#define SET_WEIGHTS(...)                                                                           \
    set_weights((const uint32_t[]){__VA_ARGS__},                                                   \
                sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), 0)

static weir_pick pick(void)
{
    weir_pick picked;
    assert_int_equal(weir_balancer_pick(f.balancer, NULL, &picked), WEIR_OK);
    assert_non_null(picked.member);
    return picked;
}

static void done(weir_pick *picked)
{
    assert_int_equal(weir_balancer_done(f.balancer, picked, WEIR_SUCCESS, 1000), WEIR_OK);
}

/* The ids of the next picks, each given back before the next. */
static const char *sequence(unsigned count)
{
    static char ids[128];
    assert_true(count < sizeof ids);
    for (unsigned i = 0; i < count; i++) {
        weir_pick picked = pick();
        ids[i] = picked.member->id[0];
        done(&picked);
    }
    ids[count] = '\0';
    return ids;
}

static int pick_result(void)
{
    weir_pick picked;
    int const result = weir_balancer_pick(f.balancer, NULL, &picked);
    if (result == WEIR_OK)
        done(&picked);
    else
        assert_null(picked.member);
    return result;
}

static weir_member_stats stats_of(const char *id)
{
    weir_member_stats stats;
    assert_int_equal(weir_balancer_get_stats(f.balancer, id, &stats), WEIR_OK);
    return stats;
}

static void count_picks(unsigned counts[8], unsigned picks)
{
    memset(counts, 0, 8 * sizeof *counts);
    for (unsigned i = 0; i < picks; i++) {
        weir_pick picked = pick();
        counts[picked.member->id[0] - 'a']++;
        done(&picked);
    }
}

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

/* Two members are always both drawn, so the less loaded one is always found. */
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

static void done_counts_each_call_once(void **state)
{
    (void)state;
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1);
    weir_pick picks[6];
    for (int i = 0; i < 6; i++)
        picks[i] = pick();
    assert_int_equal(stats_of("a").in_flight, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(weir_balancer_done(f.balancer, &picks[i], (weir_outcome)i, 800), WEIR_OK);
        assert_int_equal(weir_balancer_done(f.balancer, &picks[i], (weir_outcome)i, 800),
                         WEIR_EINVAL);
    }
    assert_int_equal(stats_of("a").in_flight, 0);
    assert_int_equal(stats_of("a").completed, 5); /* The cancelled one was none. */
    assert_int_equal(stats_of("a").failures, 2);
    assert_int_equal(stats_of("a").latency_ns, 800);
}

static void a_copy_of_a_pick_cannot_be_given_back_again(void **state)
{
    (void)state;
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1);
    weir_pick picked = pick(), copy = picked;
    done(&picked);
    assert_int_equal(weir_balancer_done(f.balancer, &copy, WEIR_SUCCESS, 1000), WEIR_EINVAL);
    assert_int_equal(stats_of("a").in_flight, 0);
    assert_int_equal(stats_of("a").completed, 1);
}

/* 8000, then 7/8 of it and 1/8 of 16000; calls that say nothing do not move it. */
static void latency_is_averaged_over_about_eight_calls(void **state)
{
    (void)state;
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1);
    static const struct {
        weir_outcome outcome;
        uint64_t latency_ns, average_ns;
    } calls[] = {{WEIR_SUCCESS, 8000, 8000},
                 {WEIR_SUCCESS, 16000, 9000},
                 {WEIR_CANCELLED, 1, 9000},
                 {WEIR_IGNORED, 1, 9000},
                 {WEIR_FAILURE, 1000, 8000}};
    for (size_t i = 0; i < 5; i++) {
        weir_pick picked = pick();
        assert_int_equal(weir_balancer_done(f.balancer, &picked, calls[i].outcome,
                                            calls[i].latency_ns),
                         WEIR_OK);
        assert_int_equal(stats_of("a").latency_ns, calls[i].average_ns);
    }
}

static void older_updates_are_refused_and_equal_ones_change_nothing(void **state)
{
    (void)state;
    create(WEIR_ROUND_ROBIN);
    set_weights((const uint32_t[]){1, 1}, 2, 10);
    weir_member member = WEIR_MEMBER_INIT;
    member.id = "z";
    assert_int_equal(weir_balancer_update(f.balancer, &member, 1, 9), WEIR_ESTALE);
    assert_int_equal(weir_balancer_update(f.balancer, &member, 1, 10), WEIR_OK);
    assert_string_equal(sequence(2), "ab");
    assert_int_equal(weir_balancer_update(f.balancer, &member, 1, 11), WEIR_OK);
    assert_string_equal(sequence(2), "zz");
    assert_int_equal(weir_balancer_update(f.balancer, &member, 1, 10), WEIR_ESTALE);
    SET_WEIGHTS(1); /* Unversioned: always applied... */
    assert_int_equal(weir_balancer_update(f.balancer, &member, 1, 10), WEIR_ESTALE); /* ...apart. */
}

static void an_update_keeps_flags_figures_and_turns(void **state)
{
    (void)state;
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1, 1, 1);
    assert_string_equal(sequence(1), "a");
    weir_pick held = pick();
    assert_string_equal(held.member->id, "b");
    assert_int_equal(weir_balancer_mark_down(f.balancer, "a"), WEIR_OK);
    SET_WEIGHTS(2, 2, 2); /* Each member changes: in flight on b goes on under its old record. */
    assert_int_equal(stats_of("a").flags, WEIR_MEMBER_DOWN);
    assert_int_equal(stats_of("a").completed, 1);
    assert_int_equal(stats_of("b").in_flight, 1);
    SET_WEIGHTS(3, 3, 3);
    assert_int_equal(stats_of("b").in_flight, 1);
    assert_string_equal(held.member->id, "b");
    assert_int_equal(held.member->weight, 1);
    assert_int_equal(weir_balancer_done(f.balancer, &held, WEIR_FAILURE, 5), WEIR_OK);
    for (uint32_t weight = 4; weight < 9; weight++) {
        SET_WEIGHTS(weight, weight, weight);
        weir_member_stats const stats = stats_of("b");
        assert_int_equal(stats.in_flight, 0);
        assert_int_equal(stats.completed, 1);
        assert_int_equal(stats.failures, 1);
    }
    unsigned const live = f.fake.live;
    SET_WEIGHTS(10, 10, 10);
    assert_int_equal(f.fake.live, live); /* Old records are freed as new ones come. */
}

static void a_pick_outlives_the_removal_of_its_member(void **state)
{
    (void)state;
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1, 1);
    weir_pick held = pick();
    assert_int_equal(weir_balancer_update(f.balancer, NULL, 0, 0), WEIR_OK);
    assert_int_equal(weir_balancer_update(f.balancer, NULL, 0, 0), WEIR_OK);
    assert_string_equal(held.member->id, "a");
    unsigned const live = f.fake.live;
    done(&held);
    assert_int_equal(weir_balancer_update(f.balancer, NULL, 0, 0), WEIR_OK);
    assert_int_equal(f.fake.live, live - 1);
}

static void members_are_copied_whole(void **state)
{
    (void)state;
    char id[] = "id", key[] = "rack", value[] = "r7";
    weir_label const label = {key, value};
    weir_member member = WEIR_MEMBER_INIT;
    member.id = id;
    member.address = "10.0.0.1:80";
    member.labels = &label;
    member.label_count = 1;
    member.user = &f;
    create(WEIR_ROUND_ROBIN);
    assert_int_equal(weir_balancer_update(f.balancer, &member, 1, 0), WEIR_OK);
    id[0] = key[0] = value[0] = '?';
    weir_pick picked = pick();
    assert_string_equal(picked.member->id, "id");
    assert_string_equal(picked.member->address, "10.0.0.1:80");
    assert_string_equal(picked.member->zone, "");
    assert_string_equal(picked.member->labels[0].key, "rack");
    assert_string_equal(picked.member->labels[0].value, "r7");
    assert_ptr_equal(picked.member->user, &f);
    done(&picked);
}

static void a_change_of_any_attribute_is_seen(void **state)
{
    (void)state;
    weir_label labels[2] = {{"k", "v"}, {"k", "w"}};
    weir_member member = WEIR_MEMBER_INIT;
    member.id = "a";
    create(WEIR_ROUND_ROBIN);
    for (int i = 0; i < 8; i++) {
        switch (i) {
        case 0: member.weight = 2; break;
        case 1: member.priority = 1; break;
        case 2: member.max_in_flight = 3; break;
        case 3: member.user = &f; break;
        case 4: member.address = "x"; break;
        case 5: member.zone = "y"; break;
        case 6: member.labels = &labels[0], member.label_count = 1; break;
        default: member.labels = &labels[1]; break;
        }
        assert_int_equal(weir_balancer_update(f.balancer, &member, 1, 0), WEIR_OK);
        weir_pick picked = pick();
        assert_int_equal(picked.member->weight, member.weight);
        assert_int_equal(picked.member->priority, member.priority);
        assert_int_equal(picked.member->max_in_flight, member.max_in_flight);
        assert_ptr_equal(picked.member->user, member.user);
        assert_string_equal(picked.member->address, member.address ? member.address : "");
        assert_string_equal(picked.member->zone, member.zone ? member.zone : "");
        assert_int_equal(picked.member->label_count, member.label_count);
        if (member.label_count > 0)
            assert_string_equal(picked.member->labels[0].value, member.labels[0].value);
        done(&picked);
    }
}

static void refuses_members_it_cannot_keep_and_changes_nothing(void **state)
{
    (void)state;
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1);
    weir_member two[2] = {WEIR_MEMBER_INIT, WEIR_MEMBER_INIT};
    two[0].id = two[1].id = "twin";
    assert_int_equal(weir_balancer_update(f.balancer, two, 2, 0), WEIR_EINVAL);
    two[1].id = "";
    assert_int_equal(weir_balancer_update(f.balancer, two, 2, 0), WEIR_EINVAL);
    two[1].id = NULL;
    assert_int_equal(weir_balancer_update(f.balancer, two, 2, 0), WEIR_EINVAL);
    two[1].id = "other";
    two[1].weight = 65536;
    assert_int_equal(weir_balancer_update(f.balancer, two, 2, 0), WEIR_EINVAL);
    two[1].weight = 65535;
    two[1].max_in_flight = 16000001;
    assert_int_equal(weir_balancer_update(f.balancer, two, 2, 0), WEIR_EINVAL);
    two[1].max_in_flight = 0;
    two[1].label_count = 1;
    assert_int_equal(weir_balancer_update(f.balancer, two, 2, 0), WEIR_EINVAL);
    assert_int_equal(weir_balancer_update(f.balancer, NULL, 2, 0), WEIR_EINVAL);
    assert_int_equal(weir_balancer_update(f.balancer, two, 1000001, 0), WEIR_EINVAL);
    assert_string_equal(sequence(2), "aa");
}

static void collect(const weir_member *member, const weir_member_stats *stats, void *user)
{
    char *const text = user;
    (void)snprintf(text + strlen(text), 64 - strlen(text), "%s%u:%u ", member->id, stats->in_flight,
                   stats->flags);
}

static void visits_all_members_in_the_order_given(void **state)
{
    (void)state;
    char text[64] = "";
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1, 0, 1);
    assert_int_equal(weir_balancer_mark_down(f.balancer, "c"), WEIR_OK);
    weir_pick held = pick();
    weir_balancer_visit(f.balancer, collect, text);
    assert_string_equal(text, "a1:0 b0:0 c0:32 ");
    weir_member_stats stats;
    assert_int_equal(weir_balancer_get_stats(f.balancer, "nobody", &stats), WEIR_ENOTFOUND);
    done(&held);
}

/* Each seed begins elsewhere: many short-lived balancers together load all members alike. */
static void first_picks_are_spread_by_the_seed(void **state)
{
    (void)state;
    unsigned counts[8] = {0};
    for (uint64_t seed = 0; seed < 400; seed++) {
        f.fake.random = seed;
        create(WEIR_ROUND_ROBIN);
        SET_WEIGHTS(1, 1, 1, 1);
        counts[sequence(1)[0] - 'a']++;
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(counts[i], 100);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    for (int i = WEIR_ROUND_ROBIN; i <= WEIR_LEAST_REQUEST; i++) {
        f.fake = (fake_env){.fail_at = 1};
        weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
        options.algorithm = (weir_balancer_algorithm)i;
        options.env = &f.env;
        for (; weir_balancer_create(&f.balancer, &options) == WEIR_ENOMEM; f.fake.fail_at++) {
            assert_null(f.balancer);
            assert_int_equal(f.fake.live_bytes, 0);
            f.fake.calls = 0;
        }
        f.fake.fail_at = 0;
        SET_WEIGHTS(1, 2);
        weir_member members[3] = {WEIR_MEMBER_INIT, WEIR_MEMBER_INIT, WEIR_MEMBER_INIT};
        members[0].id = "a";
        members[1].id = "x";
        members[2].id = "b";
        size_t const live_bytes = f.fake.live_bytes;
        f.fake.calls = 0;
        for (f.fake.fail_at = 1; weir_balancer_update(f.balancer, members, 3, 0) == WEIR_ENOMEM;
             f.fake.fail_at++, f.fake.calls = 0) {
            assert_int_equal(f.fake.live_bytes, live_bytes);
            weir_member_stats stats;
            assert_int_equal(weir_balancer_get_stats(f.balancer, "x", &stats), WEIR_ENOTFOUND);
        }
        assert_true(f.fake.fail_at > 4);
        f.fake.calls = 0;
        for (f.fake.fail_at = 1; weir_balancer_mark_down(f.balancer, "x") == WEIR_ENOMEM;
             f.fake.fail_at++, f.fake.calls = 0)
            assert_int_equal(stats_of("x").flags, 0);
        assert_int_equal(stats_of("x").flags, WEIR_MEMBER_DOWN);
        f.fake.fail_at = 0;
        weir_balancer_destroy(f.balancer);
        f.balancer = NULL;
        assert_int_equal(f.fake.live, 0);
    }
    weir_balancer_destroy(NULL);
}

static void create_refuses_options_out_of_range(void **state)
{
    (void)state;
    weir_balancer *balancer;
    weir_env const bad = {.struct_size = 1};
    weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
    options.algorithm = (weir_balancer_algorithm)4;
    assert_int_equal(weir_balancer_create(&balancer, &options), WEIR_EINVAL);
    assert_null(balancer);
    options = (weir_balancer_options){.struct_size = sizeof options, .env = &bad};
    assert_int_equal(weir_balancer_create(&balancer, &options), WEIR_EINVAL);
    options.struct_size = 0;
    assert_int_equal(weir_balancer_create(&balancer, &options), WEIR_EINVAL);
    assert_int_equal(weir_balancer_create(&balancer, NULL), WEIR_OK);
    weir_balancer_destroy(balancer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        TEST(done_counts_each_call_once),
        TEST(a_copy_of_a_pick_cannot_be_given_back_again),
        TEST(latency_is_averaged_over_about_eight_calls),
        TEST(older_updates_are_refused_and_equal_ones_change_nothing),
        TEST(an_update_keeps_flags_figures_and_turns),
        TEST(a_pick_outlives_the_removal_of_its_member),
        TEST(members_are_copied_whole),
        TEST(a_change_of_any_attribute_is_seen),
        TEST(refuses_members_it_cannot_keep_and_changes_nothing),
        TEST(visits_all_members_in_the_order_given),
        TEST(first_picks_are_spread_by_the_seed),
        TEST(survives_every_failed_allocation),
        TEST(create_refuses_options_out_of_range),
    };
    return cmocka_run_group_tests_name("balancer", tests, NULL, NULL);
}

/* Balancer: who of many may serve: priorities, panic, zones, subsets, the aperture, stickiness. */
#include "support/balancer_fixture.h"

static bool is_of_second_priority(const weir_member *member)
{
    return member->priority == 1;
}

static bool is_of_third_priority(const weir_member *member)
{
    return member->priority == 2;
}

static bool is_in_zone_b(const weir_member *member)
{
    return strcmp(member->zone, "b") == 0;
}

/* `each` members of priorities 0 .. levels - 1: those of 0 come first. */
static void set_levels(size_t each, uint32_t levels)
{
    weir_member members[400];
    f.fake.random = 42;
    create(WEIR_RANDOM);
    number_members(members, each * levels);
    for (size_t i = 0; i < each * levels; i++)
        members[i].priority = (uint32_t)(i / each);
    update(members, each * levels);
}

static void fail_first(size_t from, size_t count)
{
    char id[24];
    for (size_t i = from; i < from + count; i++) {
        (void)snprintf(id, sizeof id, "%zu", i);
        flag(id, WEIR_MEMBER_UNHEALTHY, 0);
    }
}

/* Envoy's documentation of priority levels: 72 % and more healthy keep all calls in level 0; 71 %:
 * 99.4 % (told there as 99); 50 %: 70 and 30; 25 %: 35 and 65; 0: all to level 1. */
static void priorities_spill_over_as_envoy_documents(void **state)
{
    (void)state;
    static const struct {
        size_t failed;
        double second;
    } cases[] = {{0, 0}, {28, 0}, {29, 0.6}, {50, 30}, {75, 65}, {100, 100}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_levels(100, 2);
        fail_first(0, cases[i].failed);
        double const share = share_of(is_of_second_priority, NULL);
        assert_share(share, cases[i].second);
        if (cases[i].second == 0)
            assert_true(share == 0);
    }
}

/* 20 %, 20 % and 10 % of 100 healthy: 28, 28 and 14 of 70, so 40, 40 and 20 % of the calls. */
static void levels_that_cannot_carry_all_share_in_proportion(void **state)
{
    (void)state;
    f.options.panic_percent = 0;
    set_levels(100, 3);
    fail_first(0, 80);
    fail_first(100, 80);
    fail_first(200, 90);
    assert_share(share_of(is_of_second_priority, NULL), 40);
    assert_share(share_of(is_of_third_priority, NULL), 20);
}

static void without_spill_the_next_priority_is_a_backup(void **state)
{
    (void)state;
    f.options.overprovisioning_percent = WEIR_NO_SPILL;
    set_levels(10, 2);
    fail_first(0, 9);
    assert_true(share_of(is_of_second_priority, NULL) == 0);
    fail_first(9, 1);
    assert_true(share_of(is_of_second_priority, NULL) == 100);
}

static void in_a_panic_each_has_its_turn(void **state)
{
    (void)state;
    unsigned served[2] = {0};
    weir_member members[2];
    create(WEIR_ROUND_ROBIN);
    number_members(members, 2);
    update(members, 2);
    fail_first(0, 2);
    for (int i = 0; i < 100; i++) {
        weir_pick picked = pick();
        served[picked.member->id[0] - '0']++;
        done(&picked);
    }
    assert_int_equal(served[0], 50);
    assert_int_equal(served[1], 50);
}

static void below_the_panic_threshold_health_is_not_believed(void **state)
{
    (void)state;
    weir_pick_explanation explanation;
    weir_pick_options const options = {.explain = &explanation};
    weir_pick picked;
    set_levels(10, 1);
    fail_first(0, 5);
    assert_int_equal(weir_balancer_pick(f.balancer, &options, &picked), WEIR_OK);
    assert_false(explanation.panicking); /* 50 % are not below 50 %. */
    assert_int_equal(explanation.flagged, 5);
    done(&picked);
    fail_first(5, 1);
    unsigned served = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(weir_balancer_pick(f.balancer, &options, &picked), WEIR_OK);
        assert_true(explanation.panicking);
        served |= 1u << (picked.member->id[0] - '0');
        done(&picked);
    }
    assert_int_equal(served, 0x3ff);
    flag("0", WEIR_MEMBER_DRAIN, 0); /* What is not about health is believed. */
    flag("1", WEIR_MEMBER_OPEN, 0);
    served = 0;
    for (int i = 0; i < 1000; i++) {
        picked = pick();
        served |= 1u << (picked.member->id[0] - '0');
        done(&picked);
    }
    assert_int_equal(served, 0x3fc);
}

/* 10 and 30 members, none healthy: a quarter and three quarters. */
static void when_nobody_is_healthy_levels_serve_by_size(void **state)
{
    (void)state;
    weir_member members[40];
    f.fake.random = 3;
    create(WEIR_RANDOM);
    number_members(members, 40);
    for (size_t i = 10; i < 40; i++)
        members[i].priority = 1;
    update(members, 40);
    fail_first(0, 40);
    assert_share(share_of(is_of_second_priority, NULL), 75);
    f.options.panic_percent = 0;
    assert_int_equal(weir_balancer_configure(f.balancer, &f.options), WEIR_OK);
    assert_int_equal(pick_result(), WEIR_EDOWN);
}

/* Of 10 here, 5 fail: 140 * 5 / 10 = 70 % stay. */
static void calls_stay_in_their_zone_as_far_as_it_carries_them(void **state)
{
    (void)state;
    weir_member members[20];
    f.fake.random = 9;
    f.options.zone = "a";
    create(WEIR_RANDOM);
    number_members(members, 20);
    for (size_t i = 0; i < 20; i++)
        members[i].zone = i < 10 ? "a" : "b";
    update(members, 20);
    assert_true(share_of(is_in_zone_b, NULL) == 0);
    fail_first(0, 5);
    assert_share(share_of(is_in_zone_b, NULL), 30);
    fail_first(5, 5);
    assert_true(share_of(is_in_zone_b, NULL) == 100);
    flag("3", 0, WEIR_MEMBER_UNHEALTHY);
    weir_pick_explanation explanation;
    weir_pick_options const options = {.explain = &explanation};
    unsigned local = 0;
    for (int i = 0; i < 100; i++) {
        weir_pick picked;
        assert_int_equal(weir_balancer_pick(f.balancer, &options, &picked), WEIR_OK);
        assert_int_equal(explanation.local, strcmp(picked.member->zone, "a") == 0);
        local += explanation.local;
        done(&picked);
    }
    assert_in_range(local, 1, 40); /* 14 % of 100. */
}

/* ---- Subsets ---- */

static const char *const version_key[] = {"version"};
static const char *const stage_keys[] = {"stage", "version"};

static void create_with_selectors(bool fall_back)
{
    static const weir_label labels[4][2] = {{{"version", "1"}, {"stage", "prod"}},
                                            {{"stage", "prod"}, {"version", "2"}},
                                            {{"version", "2"}, {"stage", "test"}},
                                            {{"other", "2"}, {"stage", "test"}}};
    static weir_subset_selector selectors[] = {{.keys = version_key, .key_count = 1},
                                               {.keys = stage_keys, .key_count = 2}};
    weir_member members[4];
    selectors[0].fall_back = fall_back;
    f.options.selectors = selectors;
    f.options.selector_count = 2;
    create(WEIR_ROUND_ROBIN);
    number_members(members, 4);
    for (size_t i = 0; i < 4; i++) {
        members[i].labels = labels[i];
        members[i].label_count = 2;
    }
    update(members, 4);
}

/* The ids of the members that serve a subset, as digits; or the error. */
static int serving(const weir_label *labels, size_t count)
{
    weir_pick_options const options = {.labels = labels, .label_count = count};
    int served = 0;
    for (int i = 0; i < 8; i++) {
        weir_pick picked;
        int const result = weir_balancer_pick(f.balancer, &options, &picked);
        if (result != WEIR_OK)
            return result;
        served |= 1 << (picked.member->id[0] - '0');
        done(&picked);
    }
    return served;
}

static void labels_choose_a_subset_of_members(void **state)
{
    (void)state;
    weir_label const two = {"version", "2"}, nine = {"version", "9"};
    weir_label const both[] = {{"version", "2"}, {"stage", "test"}}; /* In any order. */
    create_with_selectors(false);
    assert_int_equal(serving(&two, 1), 1 << 1 | 1 << 2);
    assert_int_equal(serving(both, 2), 1 << 2);
    assert_int_equal(serving(&nine, 1), WEIR_EDOWN);
    assert_int_equal(serving((const weir_label[]){{"stage", "test"}}, 1), WEIR_EINVAL);
    assert_int_equal(serving(NULL, 0), 0xf);
    flag("2", WEIR_MEMBER_MAINTENANCE, 0);
    assert_int_equal(serving(&two, 1), 1 << 1);
    assert_int_equal(serving(both, 2), WEIR_EDOWN);
    flag("2", 0, WEIR_MEMBER_MAINTENANCE);
    assert_int_equal(serving(both, 2), 1 << 2);
}

static void a_subset_that_is_not_there_may_fall_back_to_all(void **state)
{
    (void)state;
    weir_label const nine = {"version", "9"};
    create_with_selectors(true);
    assert_int_equal(serving(&nine, 1), 0xf);
}

static void an_explanation_counts_the_members_of_the_subset(void **state)
{
    (void)state;
    weir_label const two = {"version", "2"};
    weir_pick_explanation explanation;
    weir_pick_options const options = {.labels = &two, .label_count = 1, .explain = &explanation};
    weir_pick picked;
    create_with_selectors(false);
    flag("1", WEIR_MEMBER_OPEN, 0);
    assert_int_equal(weir_balancer_pick(f.balancer, &options, &picked), WEIR_OK);
    assert_int_equal(explanation.members, 2);
    assert_int_equal(explanation.flagged, 1);
    done(&picked);
}

static void least_connections_are_right_within_a_subset(void **state)
{
    (void)state;
    weir_label const two = {"version", "2"};
    weir_pick_options const options = {.labels = &two, .label_count = 1};
    weir_pick held[6], picked;
    create_with_selectors(false);
    f.options.algorithm = WEIR_LEAST_CONNECTIONS;
    assert_int_equal(weir_balancer_configure(f.balancer, &f.options), WEIR_OK);
    for (int i = 0; i < 6; i++)
        held[i] = pick(); /* Two on two of the four, one on the others. */
    unsigned const on_one = stats_of("1").in_flight, on_two = stats_of("2").in_flight;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(weir_balancer_pick(f.balancer, &options, &picked), WEIR_OK);
        if (on_one != on_two)
            assert_string_equal(picked.member->id, on_one < on_two ? "1" : "2");
        done(&picked);
    }
    for (int i = 0; i < 6; i++)
        done(&held[i]);
}

/* ---- Aperture ---- */

static size_t serving_set(size_t count, bool *serves)
{
    size_t served = 0;
    memset(serves, 0, 1000 * sizeof *serves);
    for (size_t i = 0; i < count * 4; i++) {
        weir_pick picked = pick();
        size_t const at = (size_t)strtoul(picked.member->id, NULL, 10);
        served += !serves[at];
        serves[at] = true;
        done(&picked);
    }
    return served;
}

/* gRPC A68's promise: a change of one member changes one entry at most. */
static void an_aperture_changes_by_one_entry_when_one_member_does(void **state)
{
    (void)state;
    static weir_member members[100];
    static bool before[1000], after[1000];
    f.options.aperture = 20;
    f.options.aperture_seed = 7;
    create(WEIR_ROUND_ROBIN);
    number_members(members, 100);
    update(members, 100);
    assert_int_equal(serving_set(100, before), 20);
    for (size_t gone = 0; gone < 100; gone++) {
        weir_member const last = members[gone];
        memmove(&members[gone], &members[gone + 1], (99 - gone) * sizeof members[0]);
        update(members, 99);
        assert_int_equal(serving_set(99, after), 20);
        size_t differ = 0;
        for (size_t i = 0; i < 100; i++)
            differ += before[i] && !after[i];
        assert_int_equal(differ, before[gone]);
        memmove(&members[gone + 1], &members[gone], (99 - gone) * sizeof members[0]);
        members[gone] = last;
    }
    update(members, 100);
    for (size_t i = 0; i < 100; i++)
        if (before[i]) { /* One that is down is made up for by one. */
            flag(members[i].id, WEIR_MEMBER_EJECTED, 0);
            assert_int_equal(serving_set(100, after), 20);
            break;
        }
}

/* ---- Stickiness ---- */

static int stuck_to(const char *id, const char **served)
{
    weir_pick_explanation explanation;
    weir_pick_options const options = {.sticky = id, .explain = &explanation};
    weir_pick picked;
    int const result = weir_balancer_pick(f.balancer, &options, &picked);
    if (result != WEIR_OK)
        return result;
    *served = picked.member->id;
    assert_int_equal(explanation.sticky, strcmp(picked.member->id, id) == 0);
    assert_ptr_equal(explanation.chosen, picked.member);
    done(&picked);
    return WEIR_OK;
}

static void a_draining_member_keeps_those_that_stick_to_it(void **state)
{
    (void)state;
    const char *served = "";
    create(WEIR_ROUND_ROBIN);
    SET_WEIGHTS(1, 1, 0);
    flag("a", WEIR_MEMBER_DRAIN, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stuck_to("a", &served), WEIR_OK);
        assert_string_equal(served, "a");
        assert_int_equal(stuck_to("c", &served), WEIR_OK); /* Weight 0 drains, too. */
        assert_string_equal(served, "c");
    }
    assert_string_equal(sequence(3), "bbb");
    flag("a", WEIR_MEMBER_UNHEALTHY, 0);
    assert_int_equal(stuck_to("a", &served), WEIR_OK);
    assert_string_equal(served, "b");
    assert_int_equal(stuck_to("nobody", &served), WEIR_OK);
    assert_string_equal(served, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(priorities_spill_over_as_envoy_documents),
        TEST(levels_that_cannot_carry_all_share_in_proportion),
        TEST(without_spill_the_next_priority_is_a_backup),
        TEST(in_a_panic_each_has_its_turn),
        TEST(below_the_panic_threshold_health_is_not_believed),
        TEST(when_nobody_is_healthy_levels_serve_by_size),
        TEST(calls_stay_in_their_zone_as_far_as_it_carries_them),
        TEST(labels_choose_a_subset_of_members),
        TEST(a_subset_that_is_not_there_may_fall_back_to_all),
        TEST(an_explanation_counts_the_members_of_the_subset),
        TEST(least_connections_are_right_within_a_subset),
        TEST(an_aperture_changes_by_one_entry_when_one_member_does),
        TEST(a_draining_member_keeps_those_that_stick_to_it),
    };
    return cmocka_run_group_tests_name("balancer_levels", tests, NULL, NULL);
}

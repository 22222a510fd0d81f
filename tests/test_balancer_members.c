/* Balancer: what becomes of members, and of picks that outlive them. */
#include "support/balancer_fixture.h"

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
    assert_int_equal(weir_balancer_done(f.balancer, &copy, WEIR_FAILURE, 9000), WEIR_EINVAL);
    assert_int_equal(stats_of("a").in_flight, 0);
    assert_int_equal(stats_of("a").failures, 0);
    assert_int_equal(stats_of("a").latency_ns, 1000);
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
    options.algorithm = (weir_balancer_algorithm)(WEIR_FIRST + 1);
    assert_int_equal(weir_balancer_create(&balancer, &options), WEIR_EINVAL);
    assert_null(balancer);
    options = (weir_balancer_options)WEIR_BALANCER_OPTIONS_INIT;
    options.env = &bad;
    assert_int_equal(weir_balancer_create(&balancer, &options), WEIR_EINVAL);
    options.struct_size = 0;
    assert_int_equal(weir_balancer_create(&balancer, &options), WEIR_EINVAL);
    assert_int_equal(weir_balancer_create(&balancer, NULL), WEIR_OK);
    weir_balancer_destroy(balancer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    return cmocka_run_group_tests_name("balancer_members", tests, NULL, NULL);
}

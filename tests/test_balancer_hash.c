/* Balancing by hash: published tables through the front door, affinity, what moves when members
 * come, go and flip, and who serves when the first choice cannot. */
#include "support/balancer_fixture.h"

#define KEYS 2000

static const weir_balancer_algorithm kinds[] = {WEIR_KETAMA, WEIR_MAGLEV, WEIR_RENDEZVOUS,
                                                WEIR_JUMP};
#define KINDS (sizeof kinds / sizeof *kinds)

static void create_with(weir_balancer_options options)
{
    options.env = &f.env;
    weir_balancer_destroy(f.balancer);
    assert_int_equal(weir_balancer_create(&f.balancer, &options), WEIR_OK);
}

static weir_balancer_options options_of(weir_balancer_algorithm algorithm)
{
    weir_balancer_options options = WEIR_BALANCER_OPTIONS_INIT;
    options.algorithm = algorithm;
    return options;
}

/* Members "<prefix><number>" of weight 1. */
static void set_numbered(const char *prefix, unsigned first, unsigned count)
{
    static weir_member members[100];
    static char ids[100][24];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "%s%u", prefix, first + i);
        members[i] = (weir_member)WEIR_MEMBER_INIT;
        members[i].id = ids[i];
    }
    assert_int_equal(weir_balancer_update(f.balancer, members, count, 0), WEIR_OK);
}

static uint64_t key_hash(unsigned key)
{
    return weir_balancer_hash(&key, sizeof key);
}

/* Which member a hash goes to, given back at once; its last digits. */
static unsigned goes_to(uint64_t hash)
{
    weir_pick picked;
    weir_pick_options const options = {.hash = hash};
    assert_int_equal(weir_balancer_pick(f.balancer, &options, &picked), WEIR_OK);
    const char *const id = picked.member->id;
    size_t digits = strlen(id);
    while (digits > 0 && id[digits - 1] >= '0' && id[digits - 1] <= '9')
        digits--;
    unsigned const number = (unsigned)strtoul(id + digits, NULL, 10);
    done(&picked);
    return number;
}

static void note_all(unsigned *owners)
{
    for (unsigned key = 0; key < KEYS; key++)
        owners[key] = goes_to(key_hash(key));
}

/* ---- Published tables ---- */

static void maglev_gives_the_table_in_envoys_tests(void **state)
{
    (void)state;
    static const unsigned ports[] = {92, 94, 90, 91, 95, 90, 93};
    weir_balancer_options options = options_of(WEIR_MAGLEV);
    options.table_size = 7;
    create_with(options);
    set_numbered("127.0.0.1:", 90, 6);
    for (uint64_t hash = 1; hash <= 21; hash++)
        assert_int_equal(goes_to(hash), ports[hash % 7]);
}

static void ketama_gives_the_ring_in_envoys_tests(void **state)
{
    (void)state;
    weir_balancer_options options = options_of(WEIR_KETAMA);
    options.ring_min = 12;
    create_with(options);
    set_numbered("127.0.0.1:", 90, 6);
    assert_int_equal(goes_to(1), 94);
    assert_int_equal(goes_to(UINT64_MAX), 94);
    assert_int_equal(goes_to(UINT64_C(3551244743356806947)), 95);
    assert_int_equal(goes_to(UINT64_C(3551244743356806948)), 93);
    assert_int_equal(goes_to(UINT64_C(16117243373044804880)), 90);
}

static void jump_gives_guavas_buckets(void **state)
{
    (void)state;
    create(WEIR_JUMP);
    set_numbered("m", 0, 11);
    assert_int_equal(goes_to(UINT64_C(10863919174838991)), 6);
    assert_int_equal(goes_to(UINT64_C(2016238256797177309)), 3);
    assert_int_equal(goes_to(UINT64_C(1673758223894951030)), 5);
}

static void keys_are_hashed_as_xxhash64(void **state)
{
    (void)state;
    assert_true(weir_balancer_hash("abc", 3) == UINT64_C(0x44bc2cf5ad770999));
    assert_true(weir_balancer_hash("", 0) == UINT64_C(0xef46db3751d8e999));
}

static void the_kinds_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"ketama", "maglev", "rendezvous", "jump"};
    for (size_t kind = 0; kind < KINDS; kind++) {
        weir_balancer_algorithm found;
        assert_string_equal(weir_balancer_algorithm_name(kinds[kind]), names[kind]);
        assert_int_equal(weir_balancer_algorithm_find(names[kind], strlen(names[kind]), &found),
                         WEIR_OK);
        assert_int_equal(found, kinds[kind]);
    }
}

/* ---- Affinity ---- */

/* 2,000 keys over 10 by weight 1 and 3: 100 or 300, standard deviation below 16 and 8 % of a
 * share for 160 points; a member has the mean of its own within half of it. */
static void keys_spread_by_weight_and_stay(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        unsigned counts[8] = {0};
        create(kinds[kind]);
        SET_WEIGHTS(1, 3, 1, 3, 1, 3, 0, 8);
        for (unsigned key = 0; key < KEYS; key++) {
            weir_pick_options const options = {.hash = key_hash(key)};
            weir_pick one, other;
            assert_int_equal(weir_balancer_pick(f.balancer, &options, &one), WEIR_OK);
            assert_int_equal(weir_balancer_pick(f.balancer, &options, &other), WEIR_OK);
            assert_ptr_equal(one.member, other.member);
            counts[one.member->id[0] - 'a']++;
            done(&one);
            done(&other);
        }
        static const unsigned weights[] = {1, 3, 1, 3, 1, 3, 0, 8};
        for (int i = 0; i < 8; i++) {
            assert_true(counts[i] >= weights[i] * 50);
            assert_true(counts[i] <= weights[i] * 150);
        }
    }
}

static void a_call_without_a_key_goes_anywhere(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        unsigned counts[8];
        f.fake.random = 7;
        create(kinds[kind]);
        SET_WEIGHTS(1, 1, 1, 1);
        count_picks(counts, 4000);
        for (int i = 0; i < 4; i++)
            assert_in_range(counts[i], 700, 1300);
    }
}

/* What two processes agree on hangs on ids and weights; for jump, on the order as well. */
static void another_balancer_with_the_same_members_agrees(void **state)
{
    (void)state;
    static unsigned here[KEYS], there[KEYS];
    for (size_t kind = 0; kind < KINDS; kind++) {
        f.fake.random = 1;
        create(kinds[kind]);
        set_numbered("m", 0, 20);
        note_all(here);
        f.fake.random = 2;
        create(kinds[kind]);
        set_numbered("m", 0, 3);
        set_numbered("m", 0, 20);
        note_all(there);
        assert_memory_equal(here, there, sizeof here);
    }
}

static void keys_keep_their_level_while_calls_spill_over(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        weir_member members[4];
        static const char *const ids[] = {"m0", "m1", "m2", "m3"};
        static unsigned before[KEYS], after[KEYS];
        unsigned first_level = 0;
        create(kinds[kind]);
        for (uint32_t i = 0; i < 4; i++) {
            members[i] = (weir_member)WEIR_MEMBER_INIT;
            members[i].id = ids[i];
            members[i].priority = i / 2;
        }
        assert_int_equal(weir_balancer_update(f.balancer, members, 4, 0), WEIR_OK);
        assert_int_equal(weir_balancer_mark_down(f.balancer, "m0"), WEIR_OK);
        note_all(before);
        note_all(after);
        assert_memory_equal(before, after, sizeof before);
        for (unsigned key = 0; key < KEYS; key++) {
            assert_int_not_equal(before[key], 0);
            first_level += before[key] == 1;
        }
        assert_in_range(first_level, 1300, 1500); /* 1.4 * 1 / 2 of them = 1,400; deviation 20. */
    }
}

/* ---- Members come, go and flip ---- */

/* How many keys moved that were not the lost member's, of which all must have. */
static unsigned moved_of_others(const unsigned *before, const unsigned *after, unsigned lost)
{
    unsigned moved = 0;
    for (unsigned key = 0; key < KEYS; key++) {
        assert_int_not_equal(after[key], lost);
        moved += before[key] != lost && after[key] != before[key];
    }
    return moved;
}

/* envoyproxy/envoy#45212: tables that were stale after a member's health had flipped. */
static void a_flip_is_never_stale_and_moves_the_keys_of_that_member_alone(void **state)
{
    (void)state;
    static unsigned before[KEYS], down[KEYS], up[KEYS];
    for (size_t kind = 0; kind < KINDS; kind++) {
        create(kinds[kind]);
        set_numbered("m", 0, 20);
        note_all(before);
        assert_int_equal(weir_balancer_set_flags(f.balancer, "m7", WEIR_MEMBER_UNHEALTHY, 0),
                         WEIR_OK);
        note_all(down);
        unsigned const moved = moved_of_others(before, down, 7);
        assert_true(kinds[kind] == WEIR_MAGLEV ? moved <= KEYS / 50 : moved == 0);
        assert_int_equal(weir_balancer_set_flags(f.balancer, "m7", 0, WEIR_MEMBER_UNHEALTHY),
                         WEIR_OK);
        note_all(up);
        assert_memory_equal(before, up, sizeof before);
    }
}

static void a_removal_moves_the_keys_of_that_member_alone(void **state)
{
    (void)state;
    static unsigned before[KEYS], after[KEYS];
    for (size_t kind = 0; kind < KINDS; kind++) {
        create(kinds[kind]);
        set_numbered("m", 0, 20);
        note_all(before);
        set_numbered("m", 0, 19); /* The last, as jump asks for. */
        note_all(after);
        unsigned const moved = moved_of_others(before, after, 19);
        assert_true(kinds[kind] == WEIR_MAGLEV ? moved <= KEYS / 50 : moved == 0);
    }
}

static void most_members_may_be_down(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        weir_balancer_options options = options_of(kinds[kind]);
        options.panic_percent = 0;
        create_with(options);
        set_numbered("m", 0, 100);
        for (unsigned i = 0; i < 99; i++) {
            char id[8];
            (void)snprintf(id, sizeof id, "m%u", i);
            assert_int_equal(weir_balancer_mark_down(f.balancer, id), WEIR_OK);
        }
        for (unsigned key = 0; key < 100; key++)
            assert_int_equal(goes_to(key_hash(key)), 99);
        assert_int_equal(weir_balancer_mark_down(f.balancer, "m99"), WEIR_OK);
        assert_int_equal(pick_result(), WEIR_EDOWN);
    }
}

/* ---- When the first choice cannot ---- */

static void a_second_choice_is_the_same_each_time_whatever_the_reason(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        create(kinds[kind]);
        set_numbered("m", 0, 20);
        for (unsigned key = 0; key < 100; key++) {
            weir_pick first, second;
            weir_pick_options options = {.hash = key_hash(key)};
            assert_int_equal(weir_balancer_pick(f.balancer, &options, &first), WEIR_OK);
            options.excluded = &first.member;
            options.excluded_count = 1;
            const weir_member *seen = NULL;
            for (int i = 0; i < 2; i++) {
                assert_int_equal(weir_balancer_pick(f.balancer, &options, &second), WEIR_OK);
                assert_ptr_not_equal(second.member, first.member);
                assert_true(i == 0 || second.member == seen);
                seen = second.member;
                done(&second);
            }
            done(&first);
        }
    }
}

/* On the ring and in rank, the second choice is who serves when the first is down. */
static void the_second_choice_takes_over_when_the_first_is_down(void **state)
{
    (void)state;
    static const weir_balancer_algorithm faithful[] = {WEIR_KETAMA, WEIR_RENDEZVOUS};
    for (size_t kind = 0; kind < 2; kind++) {
        create(faithful[kind]);
        set_numbered("m", 0, 20);
        for (unsigned key = 0; key < 50; key++) {
            char id[8];
            weir_pick first, second;
            weir_pick_options options = {.hash = key_hash(key)};
            assert_int_equal(weir_balancer_pick(f.balancer, &options, &first), WEIR_OK);
            options.excluded = &first.member;
            options.excluded_count = 1;
            assert_int_equal(weir_balancer_pick(f.balancer, &options, &second), WEIR_OK);
            unsigned const heir = (unsigned)strtoul(second.member->id + 1, NULL, 10);
            (void)snprintf(id, sizeof id, "%s", first.member->id);
            done(&first);
            done(&second);
            assert_int_equal(weir_balancer_mark_down(f.balancer, id), WEIR_OK);
            assert_int_equal(goes_to(key_hash(key)), heir);
            assert_int_equal(weir_balancer_mark_up(f.balancer, id), WEIR_OK);
        }
    }
}

static void a_full_member_hands_on_until_all_are(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        weir_member members[6];
        static const char *const ids[] = {"a", "b", "c", "d", "e", "f"};
        weir_pick picks[12], refused;
        create(kinds[kind]);
        for (int i = 0; i < 6; i++) {
            members[i] = (weir_member)WEIR_MEMBER_INIT;
            members[i].id = ids[i];
            members[i].max_in_flight = 2;
        }
        assert_int_equal(weir_balancer_update(f.balancer, members, 6, 0), WEIR_OK);
        weir_pick_options const options = {.hash = 42};
        for (int i = 0; i < 12; i++)
            assert_int_equal(weir_balancer_pick(f.balancer, &options, &picks[i]), WEIR_OK);
        for (int i = 0; i < 6; i++)
            assert_int_equal(stats_of(ids[i]).in_flight, 2);
        assert_int_equal(weir_balancer_pick(f.balancer, &options, &refused), WEIR_ESATURATED);
        for (int i = 0; i < 12; i++)
            done(&picks[i]);
    }
}

static void an_explanation_says_who_was_passed_over(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        weir_pick_explanation explanation;
        weir_pick first, second;
        weir_pick_options options = {.hash = 9, .explain = &explanation};
        create(kinds[kind]);
        set_numbered("m", 0, 10);
        assert_int_equal(weir_balancer_mark_down(f.balancer, "m3"), WEIR_OK);
        assert_int_equal(weir_balancer_pick(f.balancer, &options, &first), WEIR_OK);
        options.excluded = &first.member;
        options.excluded_count = 1;
        assert_int_equal(weir_balancer_pick(f.balancer, &options, &second), WEIR_OK);
        assert_int_equal(explanation.algorithm, kinds[kind]);
        assert_int_equal(explanation.members, 10);
        assert_int_equal(explanation.flagged, 1);
        assert_true(explanation.excluded >= 1);
        assert_ptr_equal(explanation.chosen, second.member);
        assert_int_equal(explanation.chosen_in_flight, 0);
        assert_null(explanation.rival);
        done(&first);
        done(&second);
    }
}

/* ---- Options and memory ---- */

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    weir_balancer_options wrong[6];
    for (size_t i = 0; i < 6; i++)
        wrong[i] = options_of(WEIR_MAGLEV);
    wrong[0].table_size = 65536;
    wrong[1].table_size = 5000081; /* A prime, and too large. */
    wrong[2].ring_min = 100, wrong[2].ring_max = 99;
    wrong[3].ring_max = 8388609;
    wrong[4].load_factor_percent = 99;
    wrong[5].load_factor_percent = 1001;
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(weir_balancer_create(&f.balancer, &wrong[i]), WEIR_EINVAL);
    wrong[0].table_size = 2;
    wrong[0].ring_min = wrong[0].ring_max = 1;
    create_with(wrong[0]);
}

static void the_kind_can_change_under_way(void **state)
{
    (void)state;
    static unsigned owners[KEYS], back[KEYS];
    weir_balancer_options options = options_of(WEIR_KETAMA);
    create_with(options);
    set_numbered("m", 0, 20);
    note_all(owners);
    weir_pick held;
    assert_int_equal(weir_balancer_pick(f.balancer, NULL, &held), WEIR_OK);
    options.env = &f.env;
    for (size_t kind = 0; kind <= KINDS; kind++) {
        options.algorithm = kinds[kind % KINDS];
        assert_int_equal(weir_balancer_configure(f.balancer, &options), WEIR_OK);
        note_all(back);
    }
    assert_memory_equal(owners, back, sizeof owners);
    done(&held);
}

/* An update that finds no memory leaves every key where it was. */
static void no_memory_is_an_error_and_changes_nothing(void **state)
{
    (void)state;
    static unsigned before[KEYS], after[KEYS];
    static const uint32_t weights[] = {2, 1, 900};
    weir_member members[3];
    for (size_t i = 0; i < 3; i++) {
        static const char *const ids[] = {"x0", "x1", "x2"};
        members[i] = (weir_member)WEIR_MEMBER_INIT;
        members[i].id = ids[i];
        members[i].weight = weights[i];
    }
    for (size_t kind = 0; kind < KINDS; kind++) {
        create(kinds[kind]);
        set_numbered("m", 0, 5);
        note_all(before);
        int result = WEIR_ENOMEM;
        for (unsigned n = 1; result != WEIR_OK; n++) {
            size_t const bytes = f.fake.live_bytes;
            f.fake.fail_at = f.fake.calls + n;
            result = weir_balancer_update(f.balancer, members, 3, 0);
            f.fake.fail_at = 0;
            assert_true(result == WEIR_OK || result == WEIR_ENOMEM);
            if (result == WEIR_OK)
                break;
            assert_int_equal(f.fake.live_bytes, bytes);
            note_all(after);
            assert_memory_equal(before, after, sizeof before);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(maglev_gives_the_table_in_envoys_tests),
        TEST(ketama_gives_the_ring_in_envoys_tests),
        TEST(jump_gives_guavas_buckets),
        TEST(keys_are_hashed_as_xxhash64),
        TEST(the_kinds_have_names),
        TEST(keys_spread_by_weight_and_stay),
        TEST(a_call_without_a_key_goes_anywhere),
        TEST(another_balancer_with_the_same_members_agrees),
        TEST(keys_keep_their_level_while_calls_spill_over),
        TEST(a_flip_is_never_stale_and_moves_the_keys_of_that_member_alone),
        TEST(a_removal_moves_the_keys_of_that_member_alone),
        TEST(most_members_may_be_down),
        TEST(a_second_choice_is_the_same_each_time_whatever_the_reason),
        TEST(the_second_choice_takes_over_when_the_first_is_down),
        TEST(a_full_member_hands_on_until_all_are),
        TEST(an_explanation_says_who_was_passed_over),
        TEST(options_out_of_range_are_refused),
        TEST(the_kind_can_change_under_way),
        TEST(no_memory_is_an_error_and_changes_nothing),
    };
    return cmocka_run_group_tests_name("balancer by hash", tests, NULL, NULL);
}

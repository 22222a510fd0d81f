/* Balancing by hash with bounded loads: no member has more than its share times a factor. */
#include "support/balancer_fixture.h"

static const weir_balancer_algorithm kinds[] = {WEIR_KETAMA, WEIR_MAGLEV, WEIR_RENDEZVOUS,
                                                WEIR_JUMP};
#define KINDS (sizeof kinds / sizeof *kinds)

/* ceil(calls in flight * weight / weights * factor), this call among them. */
static uint64_t capacity(uint64_t in_flight, uint64_t weight, uint64_t weights, uint64_t percent)
{
    uint64_t const scale = weights * 100;
    return (in_flight * weight * percent + scale - 1) / scale;
}

/* One key that everybody asks for: nobody has more than its bound, and all are served. */
static void expect_bounded(weir_balancer_algorithm algorithm, uint32_t percent)
{
    static const uint32_t weights[] = {1, 2, 3, 1, 2, 3, 1, 3}; /* 16 in all. */
    weir_pick picks[200];
    unsigned held[8] = {0};
    weir_pick_options const key = {.hash = 77};
    f.options.load_factor_percent = percent;
    create(algorithm);
    set_weights(weights, 8, 0);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(weir_balancer_pick(f.balancer, &key, &picks[i]), WEIR_OK);
        size_t const at = (size_t)(picks[i].member->id[0] - 'a');
        held[at]++;
        assert_true(held[at] <= capacity(i + 1, weights[at], 16, percent));
    }
    for (unsigned i = 0; i < 200; i++)
        done(&picks[i]);
}

static void no_member_has_more_than_its_bound(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        expect_bounded(kinds[kind], 100);
        expect_bounded(kinds[kind], 125);
        expect_bounded(kinds[kind], 300);
    }
}

static void without_a_bound_a_hot_key_stays_where_it_is(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        weir_pick picks[50];
        weir_pick_options const key = {.hash = 77};
        create(kinds[kind]);
        SET_WEIGHTS(1, 1, 1, 1);
        for (int i = 0; i < 50; i++) {
            assert_int_equal(weir_balancer_pick(f.balancer, &key, &picks[i]), WEIR_OK);
            assert_ptr_equal(picks[i].member, picks[0].member);
        }
        for (int i = 0; i < 50; i++)
            done(&picks[i]);
    }
}

/* A key that is alone has its first choice; one beside a hot one goes back when that is over. */
static void a_key_returns_when_its_member_has_room(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        weir_pick picks[40], again;
        weir_pick_explanation explanation;
        weir_pick_options key = {.hash = 77, .explain = &explanation};
        f.options.load_factor_percent = 150;
        create(kinds[kind]);
        SET_WEIGHTS(1, 1, 1, 1, 1);
        size_t overloaded = 0;
        for (int i = 0; i < 40; i++) {
            assert_int_equal(weir_balancer_pick(f.balancer, &key, &picks[i]), WEIR_OK);
            overloaded += explanation.overloaded;
        }
        assert_true(overloaded > 0);
        const weir_member *const home = picks[0].member;
        for (int i = 0; i < 40; i++)
            done(&picks[i]);
        assert_int_equal(weir_balancer_pick(f.balancer, &key, &again), WEIR_OK);
        assert_ptr_equal(again.member, home);
        assert_int_equal(explanation.overloaded, 0);
        done(&again);
    }
}

/* Others excluded, or of a level that is not this one's: a bound is no reason to refuse. */
static void a_bound_gives_way_before_a_call_is_refused_or_leaves_its_level(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < KINDS; kind++) {
        weir_member members[3];
        static const char *const ids[] = {"a", "b", "c"};
        weir_pick b, picks[10];
        f.options.load_factor_percent = 100;
        create(kinds[kind]);
        for (uint32_t i = 0; i < 3; i++) {
            members[i] = (weir_member)WEIR_MEMBER_INIT;
            members[i].id = ids[i];
            members[i].priority = i / 2;
        }
        assert_int_equal(weir_balancer_update(f.balancer, members, 3, 0), WEIR_OK);
        weir_pick_options key = {.hash = 0};
        do { /* Until it is b's. */
            key.hash++;
            assert_int_equal(weir_balancer_pick(f.balancer, &key, &b), WEIR_OK);
            if (b.member->id[0] != 'b')
                done(&b);
        } while (b.member == NULL);
        key.excluded = &b.member;
        key.excluded_count = 1;
        for (int i = 0; i < 10; i++) {
            assert_int_equal(weir_balancer_pick(f.balancer, &key, &picks[i]), WEIR_OK);
            assert_string_equal(picks[i].member->id, "a");
        }
        for (int i = 0; i < 10; i++)
            done(&picks[i]);
        done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_member_has_more_than_its_bound),
        TEST(without_a_bound_a_hot_key_stays_where_it_is),
        TEST(a_key_returns_when_its_member_has_room),
        TEST(a_bound_gives_way_before_a_call_is_refused_or_leaves_its_level),
    };
    return cmocka_run_group_tests_name("balancer bounds", tests, NULL, NULL);
}

/* Highest random weight: shares, disruption, and the order of those that come after. */
#include "support/hashed_members.h"

#include "balancer/rendezvous.h"
#include "base/rng.h"

static hashed_members members;
static fake_env fake;

static weir__rendezvous build(size_t count)
{
    weir_env const env = fake_env_hooks(&fake);
    weir__rendezvous draw;
    assert_int_equal(weir__rendezvous_build(&draw, &env, members.of, count), WEIR_OK);
    return draw;
}

static void drop(weir__rendezvous *draw)
{
    weir_env const env = fake_env_hooks(&fake);
    weir__rendezvous_free(draw, &env);
    assert_int_equal(fake.live_bytes, 0);
}

/* Hashes 0, 1, 2, ...: as poor as they come. */
static void count_wins(size_t count, unsigned hashes, unsigned *wins)
{
    weir__rendezvous draw = build(count);
    memset(wins, 0, count * sizeof *wins);
    for (uint64_t hash = 0; hash < hashes; hash++)
        wins[weir__rendezvous_first(&draw, hash)]++;
    drop(&draw);
}

/* 100,000 / 10 each; the standard deviation is sqrt(100000 * .1 * .9) = 95: five of them. */
static void equal_weights_win_equally(void **state)
{
    (void)state;
    unsigned wins[10];
    hashed_members_fill(&members, "m", 0, 10);
    count_wins(10, 100000, wins);
    for (int i = 0; i < 10; i++)
        assert_in_range(wins[i], 9526, 10474);
}

/* In 100,000: w / 10 of them, with five standard deviations of sqrt(100000 p (1 - p)). */
static void members_win_by_weight(void **state)
{
    (void)state;
    static const unsigned deviation[] = {95, 126, 145, 155};
    unsigned wins[4];
    hashed_members_fill(&members, "m", 0, 4);
    for (unsigned i = 0; i < 4; i++)
        members.of[i].weight = i + 1;
    count_wins(4, 100000, wins);
    for (unsigned i = 0; i < 4; i++) {
        unsigned const mean = (i + 1) * 10000;
        assert_in_range(wins[i], mean - 5 * deviation[i], mean + 5 * deviation[i]);
    }
}

/* One of 65535 beside 99 of 1: 99.849 %; the others .151 %: 151 of 100,000, deviation 12.3. */
static void the_lightest_win_their_part(void **state)
{
    (void)state;
    unsigned wins[100];
    hashed_members_fill(&members, "m", 0, 100);
    members.of[0].weight = 65535;
    count_wins(100, 100000, wins);
    assert_in_range(100000 - wins[0], 90, 213);
}

static void losing_one_moves_its_hashes_alone(void **state)
{
    (void)state;
    for (uint32_t heavy = 1; heavy <= 5; heavy += 4) {
        hashed_members_fill(&members, "m", 0, 100);
        for (size_t i = 0; i < 100; i += 3)
            members.of[i].weight = heavy;
        weir__rendezvous before = build(100);
        members.of[37].weight = 0;
        weir__rendezvous after = build(100);
        for (uint64_t hash = 0; hash < 20000; hash++) {
            uint32_t const was = weir__rendezvous_first(&before, hash);
            uint32_t const is = weir__rendezvous_first(&after, hash);
            assert_true(was == 37 ? is != 37 : is == was);
        }
        weir_env const env = fake_env_hooks(&fake);
        weir__rendezvous_free(&before, &env);
        drop(&after);
    }
}

/* -ln u / w falls with w: a member that weighs more keeps all its hashes, and gains some. */
static void more_weight_loses_nothing(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 10);
    weir__rendezvous before = build(10);
    members.of[4].weight = 2;
    weir__rendezvous after = build(10);
    for (uint64_t hash = 0; hash < 20000; hash++) {
        uint32_t const was = weir__rendezvous_first(&before, hash);
        uint32_t const is = weir__rendezvous_first(&after, hash);
        assert_true(is == was || is == 4);
    }
    weir_env const env = fake_env_hooks(&fake);
    weir__rendezvous_free(&before, &env);
    drop(&after);
}

/* The next best is who would win if those before were not there. */
static void expect_ranks(size_t count, uint32_t most)
{
    for (size_t i = 0; i < count; i++)
        members.of[i].weight = (uint32_t)(1 + i % most);
    weir__rendezvous const all = build(count);
    for (uint64_t hash = 0; hash < 50; hash++) {
        weir__rendezvous_rank rank = {.begun = false};
        for (size_t i = 0; i < count; i++) {
            weir__rendezvous left = build(count);
            uint32_t const next = weir__rendezvous_next(&all, hash, &rank);
            assert_int_equal(next, weir__rendezvous_first(&left, hash));
            members.of[next].weight = 0;
            weir_env const env = fake_env_hooks(&fake);
            weir__rendezvous_free(&left, &env);
        }
        assert_int_equal(weir__rendezvous_next(&all, hash, &rank), WEIR__NOBODY);
        for (size_t i = 0; i < count; i++)
            members.of[i].weight = (uint32_t)(1 + i % most);
    }
    weir__rendezvous gone = all;
    drop(&gone);
}

static void ranks_all_members_once(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 20);
    expect_ranks(20, 1);
    expect_ranks(20, 7);
}

static void equal_weights_win_alike_whatever_they_are(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 30);
    weir__rendezvous ones = build(30);
    for (size_t i = 0; i < 30; i++)
        members.of[i].weight = 7;
    members.of[30] = (weir__hashed){.key = "none", .key_size = 4, .weight = 0};
    weir__rendezvous sevens = build(31);
    for (uint64_t hash = 0; hash < 1000; hash++)
        assert_int_equal(weir__rendezvous_first(&ones, hash),
                         weir__rendezvous_first(&sevens, hash));
    weir_env const env = fake_env_hooks(&fake);
    weir__rendezvous_free(&ones, &env);
    drop(&sevens);
}

static void without_members_there_is_nobody(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 2);
    members.of[0].weight = members.of[1].weight = 0;
    weir__rendezvous draw = build(2);
    weir__rendezvous_rank rank = {.begun = false};
    assert_int_equal(weir__rendezvous_first(&draw, 1), WEIR__NOBODY);
    assert_int_equal(weir__rendezvous_next(&draw, 1, &rank), WEIR__NOBODY);
    drop(&draw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_weights_win_equally),
        cmocka_unit_test(members_win_by_weight),
        cmocka_unit_test(the_lightest_win_their_part),
        cmocka_unit_test(losing_one_moves_its_hashes_alone),
        cmocka_unit_test(more_weight_loses_nothing),
        cmocka_unit_test(ranks_all_members_once),
        cmocka_unit_test(equal_weights_win_alike_whatever_they_are),
        cmocka_unit_test(without_members_there_is_nobody),
    };
    return cmocka_run_group_tests_name("rendezvous", tests, NULL, NULL);
}

/* Jump consistent hash against published values, and its promises. */
#include "support/hashed_members.h"

#include "balancer/jump.h"

static hashed_members members;
static fake_env fake;

static weir__jump build(size_t count)
{
    weir_env const env = fake_env_hooks(&fake);
    weir__jump jump;
    assert_int_equal(weir__jump_build(&jump, &env, members.of, count), WEIR_OK);
    return jump;
}

static void drop(weir__jump *jump)
{
    weir_env const env = fake_env_hooks(&fake);
    weir__jump_free(jump, &env);
    assert_int_equal(fake.live_bytes, 0);
}

/* Out of the tests of Guava's consistentHash, which is the same function. */
static void jumps_where_guava_jumps(void **state)
{
    (void)state;
    static const uint32_t of_100[] = {0,  55, 62, 8,  45, 59, 86, 97, 82, 59,
                                      73, 37, 17, 56, 86, 21, 90, 37, 38, 83};
    for (uint32_t hash = 0; hash < 20; hash++)
        assert_true(weir__jump_bucket(hash, 100) == of_100[hash]);
    assert_true(weir__jump_bucket(UINT64_C(10863919174838991), 11) == 6);
    assert_true(weir__jump_bucket(UINT64_C(2016238256797177309), 11) == 3);
    assert_true(weir__jump_bucket(UINT64_C(1673758223894951030), 11) == 5);
    assert_true(weir__jump_bucket(2, 100001) == 80343);
    assert_true(weir__jump_bucket(2201, 100001) == 22152);
    assert_true(weir__jump_bucket(2202, 100001) == 15018);
}

/* Out of the tests of github.com/dgryski/go-jump: 1, 2, 3, ... buckets. */
static void jumps_as_buckets_grow(void **state)
{
    (void)state;
    static const struct {
        uint64_t hash;
        uint8_t buckets[19];
    } rows[] = {
        {0, {0}},
        {1, {0, 0, 0, 0, 0, 0, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 17, 17}},
        {0xdeadbeef, {0, 1, 2, 3, 3, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 16, 16, 16}},
        {UINT64_C(0x0ddc0ffeebadf00d),
         {0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 15, 15, 15, 15}},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (uint64_t buckets = 1; buckets <= 19; buckets++)
            assert_true(weir__jump_bucket(rows[row].hash, buckets) ==
                        rows[row].buckets[buckets - 1]);
}

/* Far more buckets than the 31 bits of a draw: it ends, and in one that there is. */
static void any_number_of_buckets_will_do(void **state)
{
    (void)state;
    uint64_t const buckets = UINT64_C(65535) * 1000000;
    for (uint64_t hash = 0; hash < 1000; hash++)
        assert_true(weir__jump_bucket(hash, buckets) < buckets);
}

/* 100,000 / 10 each; the standard deviation is sqrt(100000 * .1 * .9) = 95: five of them. */
static void equal_members_have_equal_parts(void **state)
{
    (void)state;
    unsigned hits[10] = {0};
    hashed_members_fill(&members, "m", 0, 10);
    weir__jump jump = build(10);
    assert_null(jump.ends);
    for (uint64_t hash = 0; hash < 100000; hash++) {
        assert_int_equal(weir__jump_to(&jump, hash), weir__jump_bucket(hash, 10));
        hits[weir__jump_to(&jump, hash)]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(hits[i], 9526, 10474);
    drop(&jump);
}

/* 2 : 0 : 4 : 6 are buckets 0, 1 2, 3 4 5. */
static void weights_are_buckets(void **state)
{
    (void)state;
    static const uint32_t of_bucket[] = {0, 2, 2, 3, 3, 3};
    hashed_members_fill(&members, "m", 0, 4);
    for (unsigned i = 0; i < 4; i++)
        members.of[i].weight = 2 * i;
    members.of[0].weight = 2;
    members.of[1].weight = 0;
    weir__jump jump = build(4);
    for (uint64_t hash = 0; hash < 10000; hash++)
        assert_int_equal(weir__jump_to(&jump, hash), of_bucket[weir__jump_bucket(hash, 6)]);
    drop(&jump);
}

static void losing_the_last_moves_its_hashes_alone(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 50);
    members.of[49].weight = 3;
    weir__jump more = build(50);
    weir__jump less = build(49);
    for (uint64_t hash = 0; hash < 20000; hash++) {
        uint32_t const was = weir__jump_to(&more, hash), is = weir__jump_to(&less, hash);
        assert_true(was == 49 || is == was);
    }
    weir_env const env = fake_env_hooks(&fake);
    weir__jump_free(&more, &env);
    drop(&less);
}

static void attempts_spread_over_all(void **state)
{
    (void)state;
    unsigned hits[10] = {0};
    hashed_members_fill(&members, "m", 0, 10);
    weir__jump jump = build(10);
    assert_int_equal(weir__jump_attempt(&jump, 7, 0), weir__jump_to(&jump, 7));
    for (uint32_t attempt = 1; attempt <= 10000; attempt++)
        hits[weir__jump_attempt(&jump, 7, attempt)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(hits[i], 850, 1150); /* Five standard deviations of 30. */
    drop(&jump);
}

static void without_members_there_is_nobody(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 1);
    members.of[0].weight = 0;
    weir__jump jump = build(1);
    assert_int_equal(weir__jump_to(&jump, 1), WEIR__NOBODY);
    drop(&jump);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jumps_where_guava_jumps),
        cmocka_unit_test(jumps_as_buckets_grow),
        cmocka_unit_test(any_number_of_buckets_will_do),
        cmocka_unit_test(equal_members_have_equal_parts),
        cmocka_unit_test(weights_are_buckets),
        cmocka_unit_test(losing_the_last_moves_its_hashes_alone),
        cmocka_unit_test(attempts_spread_over_all),
        cmocka_unit_test(without_members_there_is_nobody),
    };
    return cmocka_run_group_tests_name("jump", tests, NULL, NULL);
}

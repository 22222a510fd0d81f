/* The ring against the rings in Envoy's tests, and against a search point by point. */
#include "support/hashed_members.h"

#include "balancer/ketama.h"
#include "base/rng.h"

typedef struct ring_point {
    uint64_t hash;
    uint32_t owner;
} ring_point;

static hashed_members members;
static fake_env fake;

static weir__ketama build(size_t count, uint32_t min, uint32_t max)
{
    weir_env const env = fake_env_hooks(&fake);
    weir__ketama ring;
    assert_int_equal(weir__ketama_build(&ring, &env, members.of, count, min, max), WEIR_OK);
    return ring;
}

static void drop(weir__ketama *ring)
{
    weir_env const env = fake_env_hooks(&fake);
    weir__ketama_free(ring, &env);
    assert_int_equal(fake.live_bytes, 0);
}

static uint64_t hash_at(const weir__ketama *ring, uint32_t at)
{
    return (uint64_t)ring->points[at].high << 32 | ring->lows[at];
}

static uint32_t owner(const weir__ketama *ring, uint64_t hash)
{
    return ring->points[weir__ketama_find(ring, hash)].owner;
}

static void expect(const ring_point *points, uint32_t count, size_t member_count, uint32_t min,
                   uint32_t max)
{
    weir__ketama ring = build(member_count, min, max);
    assert_int_equal(ring.size, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(hash_at(&ring, i) == points[i].hash);
        assert_int_equal(ring.points[i].owner, points[i].owner);
        assert_int_equal(owner(&ring, points[i].hash), points[i].owner);
        assert_int_equal(owner(&ring, points[i].hash + 1), points[(i + 1) % count].owner);
    }
    assert_int_equal(owner(&ring, 0), points[0].owner);
    assert_int_equal(owner(&ring, UINT64_MAX), points[0].owner);
    drop(&ring);
}

static void lays_the_ring_that_envoy_lays(void **state)
{
    (void)state;
    static const ring_point by_address[] = {
        {UINT64_C(833437586790550860), 4},   {UINT64_C(928266305478181108), 2},
        {UINT64_C(1033482794131418490), 0},  {UINT64_C(3551244743356806947), 5},
        {UINT64_C(3851675632748031481), 3},  {UINT64_C(5583722120771150861), 1},
        {UINT64_C(6311230543546372928), 1},  {UINT64_C(7700377290971790572), 3},
        {UINT64_C(13144177310400110813), 5}, {UINT64_C(13444792449719432967), 2},
        {UINT64_C(15516499411664133160), 4}, {UINT64_C(16117243373044804889), 0},
    };
    static const ring_point by_name[] = {
        {UINT64_C(1975508444536362413), 5},  {UINT64_C(2376063919839173711), 5},
        {UINT64_C(2386806903309390596), 3},  {UINT64_C(6749904478991551885), 4},
        {UINT64_C(6803900775736438537), 3},  {UINT64_C(7225015537174310577), 2},
        {UINT64_C(8787465352164086522), 0},  {UINT64_C(11282020843382717940), 2},
        {UINT64_C(13723418369486627818), 1}, {UINT64_C(13776502110861797421), 0},
        {UINT64_C(14338313586354474791), 1}, {UINT64_C(15364271037087512980), 4},
    };
    hashed_members_fill(&members, "127.0.0.1:", 90, 6);
    expect(by_address, 12, 6, 12, WEIR__KETAMA_MAX_SIZE);
    hashed_members_fill(&members, "", 90, 6);
    expect(by_name, 12, 6, 12, WEIR__KETAMA_MAX_SIZE);
}

static void rounds_the_size_up_as_envoy_does(void **state)
{
    (void)state;
    static const ring_point ring[] = {
        {UINT64_C(5454692015285649509), 0},
        {UINT64_C(7859399908942313493), 1},
        {UINT64_C(13838424394637650569), 0},
        {UINT64_C(16064866803292627174), 1},
    };
    hashed_members_fill(&members, "127.0.0.1:", 80, 2);
    expect(ring, 4, 2, 3, WEIR__KETAMA_MAX_SIZE);
}

static void gives_points_by_weight_as_envoy_does(void **state)
{
    (void)state;
    static const ring_point ring[] = {
        {UINT64_C(928266305478181108), 2},   {UINT64_C(4443673547860492590), 2},
        {UINT64_C(5583722120771150861), 1},  {UINT64_C(6311230543546372928), 1},
        {UINT64_C(13444792449719432967), 2}, {UINT64_C(16117243373044804889), 0},
    };
    hashed_members_fill(&members, "127.0.0.1:", 90, 4);
    members.of[1].weight = 2;
    members.of[2].weight = 3;
    expect(ring, 6, 3, 6, 6);
    members.of[3].weight = 0;
    expect(ring, 6, 4, 6, 6);
}

/* Envoy's histograms of `hashes` hashes evenly around the ring. */
static void expect_shares(size_t count, uint32_t size, uint32_t max, unsigned hashes,
                          const unsigned *shares)
{
    weir__ketama ring = build(count, size, max);
    assert_int_equal(ring.size, size);
    unsigned hits[4] = {0};
    for (unsigned i = 0; i < hashes; i++)
        hits[owner(&ring, i * (UINT64_MAX / hashes))]++;
    assert_memory_equal(hits, shares, count * sizeof *hits);
    drop(&ring);
}

static void shares_hashes_as_envoy_counts_them(void **state)
{
    (void)state;
    static const unsigned three[] = {987, 1932, 3081}, four[] = {924, 2009, 2053, 4014};
    static const unsigned two[] = {526, 497};
    hashed_members_fill(&members, "127.0.0.1:", 90, 4);
    expect_shares(2, 1023, 1023, 1023, two);
    members.of[1].weight = 2;
    members.of[2].weight = 3;
    expect_shares(3, 6144, WEIR__KETAMA_MAX_SIZE, 6000, three);
    members.of[2].weight = 2;
    members.of[3].weight = 4;
    expect_shares(4, 9216, WEIR__KETAMA_MAX_SIZE, 9000, four);
}

static void a_small_ring_has_every_nth_of_the_light(void **state)
{
    (void)state;
    static const ring_point some[] = {
        {UINT64_C(11664790346325243808), 1},   {UINT64_C(15894554872961148518), 128},
        {UINT64_C(13958138884277627155), 256}, {UINT64_C(15803774069438192949), 384},
        {UINT64_C(3829253010855396576), 512},  {UINT64_C(17918147347826565154), 640},
        {UINT64_C(6442769608292299103), 768},  {UINT64_C(5881074926069334434), 896},
    };
    hashed_members_fill(&members, "127.0.0.1:", 0, 1024);
    members.of[0].weight = 127 * 1023;
    weir__ketama ring = build(1024, 1024, 1024);
    assert_int_equal(ring.size, 1024);
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        assert_int_equal(owner(&ring, some[i].hash), some[i].owner);
    drop(&ring);
}

static void finds_what_a_search_point_by_point_finds(void **state)
{
    (void)state;
    weir__rng rng;
    weir__rng_seed(&rng, 5);
    for (size_t count = 1; count <= 300; count = count * 2 + 1) {
        hashed_members_fill(&members, "m", 0, count);
        weir__ketama ring = build(count, 0, WEIR__KETAMA_MAX_SIZE);
        assert_int_equal(ring.size, 160 * count);
        for (uint32_t i = 1; i < ring.size; i++)
            assert_true(hash_at(&ring, i - 1) < hash_at(&ring, i));
        for (int i = 0; i < 300; i++) {
            uint64_t const hash = weir__rng_next(&rng);
            uint32_t at = 0;
            while (at < ring.size && hash_at(&ring, at) < hash)
                at++;
            assert_int_equal(owner(&ring, hash), ring.points[at % ring.size].owner);
        }
        drop(&ring);
    }
}

/* Hostile keys could put all points into one bucket of the index, or alike in their high half. */
static void finds_points_that_crowd(void **state)
{
    (void)state;
    weir__ketama_point points[101];
    uint32_t lows[101], buckets[] = {0, 100, 100};
    for (uint32_t i = 0; i <= 100; i++) {
        points[i] = (weir__ketama_point){.high = 7, .owner = i};
        lows[i] = 2 * i + 1;
    }
    points[100] = (weir__ketama_point){.high = UINT32_MAX, .owner = 0};
    lows[100] = UINT32_MAX;
    weir__ketama const ring = {.points = points,
                               .lows = lows,
                               .buckets = buckets,
                               .size = 100,
                               .bucket_count = 2,
                               .shift = 63};
    uint64_t const base = UINT64_C(7) << 32;
    for (uint32_t i = 0; i <= 199; i++)
        assert_int_equal(owner(&ring, base + i), i / 2);
    assert_int_equal(owner(&ring, base - 1), 0);
    assert_int_equal(owner(&ring, base + 200), 0);
    assert_int_equal(owner(&ring, UINT64_MAX), 0);
}

static void losing_one_moves_its_hashes_alone(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 100);
    members.of[12].weight = 3;
    weir__ketama before = build(100, 0, WEIR__KETAMA_MAX_SIZE);
    members.of[37].weight = 0;
    weir__ketama gone = build(100, 0, WEIR__KETAMA_MAX_SIZE);
    weir__rng rng;
    weir__rng_seed(&rng, 6);
    for (int i = 0; i < 20000; i++) {
        uint64_t const hash = weir__rng_next(&rng);
        uint32_t const was = owner(&before, hash), is = owner(&gone, hash);
        assert_true(was == 37 ? is != 37 : is == was);
    }
    weir_env const env = fake_env_hooks(&fake);
    weir__ketama_free(&before, &env);
    drop(&gone);
}

/* 160 points: the standard deviation of a share is 1 / sqrt(160) = 8 % of it; five of them. */
static void shares_are_even_within_what_160_points_give(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 100);
    weir__ketama ring = build(100, 0, WEIR__KETAMA_MAX_SIZE);
    double share[100] = {0};
    for (uint32_t i = 1; i < ring.size; i++)
        share[ring.points[i].owner] +=
            (double)(hash_at(&ring, i) - hash_at(&ring, i - 1)) * 0x1p-64;
    for (int i = 0; i < 100; i++)
        assert_true(share[i] > 0.006 && share[i] < 0.014);
    drop(&ring);
}

static void expect_points(size_t count, uint32_t max, const unsigned *expected)
{
    unsigned points[3] = {0};
    weir__ketama ring = build(count, 0, max);
    for (uint32_t i = 0; i < ring.size; i++)
        points[ring.points[i].owner]++;
    assert_memory_equal(points, expected, count * sizeof *points);
    drop(&ring);
}

/* 160 w / least, halved until there are 160 for each in the mean, or `max`; never none. */
static void points_are_halved_until_they_fit(void **state)
{
    (void)state;
    static const unsigned small[] = {80, 80, 160}, large[] = {40, 40, 320};
    static const unsigned extreme[] = {1, 1, 320}, few[] = {1, 1, 80};
    hashed_members_fill(&members, "m", 0, 3);
    members.of[2].weight = 2; /* 4 * 160 > 3 * 160. */
    expect_points(3, WEIR__KETAMA_MAX_SIZE, small);
    members.of[2].weight = 8; /* 10 * 160 / 2 > 3 * 160. */
    expect_points(3, WEIR__KETAMA_MAX_SIZE, large);
    members.of[2].weight = 65536; /* 65538 * 160 >> 15 = 320. */
    expect_points(3, WEIR__KETAMA_MAX_SIZE, extreme);
    expect_points(3, 100, few);
    for (size_t i = 0; i < 3; i++)
        members.of[i].weight = 100;
    static const unsigned equal[] = {160, 160, 160};
    expect_points(3, WEIR__KETAMA_MAX_SIZE, equal);
}

static void walks_on_clockwise_to_others(void **state)
{
    (void)state;
    hashed_members_fill(&members, "127.0.0.1:", 90, 6);
    weir__ketama ring = build(6, 12, WEIR__KETAMA_MAX_SIZE);
    static const uint32_t round[] = {4, 2, 0, 5, 3, 1, 3, 5, 2, 4, 0, 4, 2};
    uint32_t at = weir__ketama_find(&ring, 0);
    for (size_t i = 0; i < sizeof round / sizeof *round; i++) {
        assert_int_equal(ring.points[at].owner, round[i]);
        at = weir__ketama_next(&ring, at);
    }
    at = weir__ketama_find(&ring, UINT64_MAX);
    assert_int_equal(ring.points[at].owner, 4);
    assert_int_equal(ring.points[weir__ketama_next(&ring, at)].owner, 2);
    drop(&ring);
    ring = build(1, 12, WEIR__KETAMA_MAX_SIZE);
    assert_int_equal(ring.points[weir__ketama_next(&ring, 3)].owner, 0);
    drop(&ring);
}

static void without_members_there_is_nobody(void **state)
{
    (void)state;
    hashed_members_fill(&members, "m", 0, 2);
    members.of[0].weight = members.of[1].weight = 0;
    for (uint32_t min = 0; min <= 12; min += 12) {
        weir__ketama ring = build(2, min, WEIR__KETAMA_MAX_SIZE);
        assert_int_equal(owner(&ring, 0), WEIR__NOBODY);
        assert_int_equal(owner(&ring, UINT64_MAX), WEIR__NOBODY);
        assert_int_equal(ring.points[weir__ketama_next(&ring, 0)].owner, WEIR__NOBODY);
        drop(&ring);
        members.of[0].weight = 0;
        ring = build(2, min, WEIR__KETAMA_MAX_SIZE);
        assert_int_equal(owner(&ring, 5), WEIR__NOBODY);
        drop(&ring);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lays_the_ring_that_envoy_lays),
        cmocka_unit_test(rounds_the_size_up_as_envoy_does),
        cmocka_unit_test(gives_points_by_weight_as_envoy_does),
        cmocka_unit_test(shares_hashes_as_envoy_counts_them),
        cmocka_unit_test(a_small_ring_has_every_nth_of_the_light),
        cmocka_unit_test(finds_what_a_search_point_by_point_finds),
        cmocka_unit_test(finds_points_that_crowd),
        cmocka_unit_test(losing_one_moves_its_hashes_alone),
        cmocka_unit_test(shares_are_even_within_what_160_points_give),
        cmocka_unit_test(points_are_halved_until_they_fit),
        cmocka_unit_test(walks_on_clockwise_to_others),
        cmocka_unit_test(without_members_there_is_nobody),
    };
    return cmocka_run_group_tests_name("ketama", tests, NULL, NULL);
}

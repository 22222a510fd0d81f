/* What the tests of the balancer share. */
#ifndef WEIR_TEST_BALANCER_FIXTURE_H
#define WEIR_TEST_BALANCER_FIXTURE_H

#include "support/fake_env.h"
#include <weir/balancer.h>
#include <stdio.h>
#include <string.h>

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_balancer_options options;
    weir_balancer *balancer;
} fixture;

static fixture f;

static inline int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = 1}, .options = WEIR_BALANCER_OPTIONS_INIT};
    f.env = fake_env_hooks(&f.fake);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    weir_balancer_destroy(f.balancer);
    f.balancer = NULL;
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

/* Of f.options. */
static inline void create(weir_balancer_algorithm algorithm)
{
    f.options.algorithm = algorithm;
    f.options.env = &f.env;
    weir_balancer_destroy(f.balancer);
    assert_int_equal(weir_balancer_create(&f.balancer, &f.options), WEIR_OK);
}

/* Members "a", "b", ... of these weights. */
static inline void set_weights(const uint32_t *weights, size_t count, uint64_t version)
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

static inline weir_pick pick(void)
{
    weir_pick picked;
    assert_int_equal(weir_balancer_pick(f.balancer, NULL, &picked), WEIR_OK);
    assert_non_null(picked.member);
    return picked;
}

static inline void done(weir_pick *picked)
{
    assert_int_equal(weir_balancer_done(f.balancer, picked, WEIR_SUCCESS, 1000), WEIR_OK);
}

/* The ids of the next picks, each given back before the next. */
static inline const char *sequence(unsigned count)
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

static inline int pick_result(void)
{
    weir_pick picked;
    int const result = weir_balancer_pick(f.balancer, NULL, &picked);
    if (result == WEIR_OK)
        done(&picked);
    else
        assert_null(picked.member);
    return result;
}

static inline weir_member_stats stats_of(const char *id)
{
    weir_member_stats stats;
    assert_int_equal(weir_balancer_get_stats(f.balancer, id, &stats), WEIR_OK);
    return stats;
}

static inline void count_picks(unsigned counts[8], unsigned picks)
{
    memset(counts, 0, 8 * sizeof *counts);
    for (unsigned i = 0; i < picks; i++) {
        weir_pick picked = pick();
        counts[picked.member->id[0] - 'a']++;
        done(&picked);
    }
}

static inline void collect(const weir_member *member, const weir_member_stats *stats, void *user)
{
    char *const text = user;
    (void)snprintf(text + strlen(text), 64 - strlen(text), "%s%u:%u ", member->id, stats->in_flight,
                   stats->flags);
}

/* `count` members "0", "1", ... */
static inline void number_members(weir_member *members, size_t count)
{
    static char ids[1000][24];
    assert_true(count <= 1000);
    for (size_t i = 0; i < count; i++) {
        members[i] = (weir_member)WEIR_MEMBER_INIT;
        (void)snprintf(ids[i], sizeof ids[i], "%zu", i);
        members[i].id = ids[i];
    }
}

static inline void update(const weir_member *members, size_t count)
{
    assert_int_equal(weir_balancer_update(f.balancer, members, count, 0), WEIR_OK);
}

static inline void flag(const char *id, uint32_t set, uint32_t clear)
{
    assert_int_equal(weir_balancer_set_flags(f.balancer, id, set, clear), WEIR_OK);
}

/* The share, in percent, of picks that come from members for which `is` holds. */
static inline double share_of(bool (*is)(const weir_member *member),
                              const weir_pick_options *options)
{
    unsigned const picks = 40000;
    unsigned count = 0;
    for (unsigned i = 0; i < picks; i++) {
        weir_pick picked;
        assert_int_equal(weir_balancer_pick(f.balancer, options, &picked), WEIR_OK);
        count += is(picked.member);
        assert_int_equal(weir_balancer_done(f.balancer, &picked, WEIR_SUCCESS, 1000), WEIR_OK);
    }
    return count * 100.0 / picks;
}

/* 40,000 draws: four standard deviations of a share are at most 1 %. */
static inline void assert_share(double percent, double expected)
{
    assert_true(percent > expected - 1 && percent < expected + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

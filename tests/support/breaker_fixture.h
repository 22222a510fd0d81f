/* What the tests of the breaker share. */
#ifndef WEIR_TEST_BREAKER_FIXTURE_H
#define WEIR_TEST_BREAKER_FIXTURE_H

#include "support/fake_env.h"
#include <weir/breaker.h>

#define MS UINT64_C(1000000)

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_breaker_options options;
    weir_breaker *breaker;
    weir_breaker_event events[64];
    unsigned told;
} fixture;

static fixture f;

/* Asks the breaker, so that a callback made under the lock would hang the test. */
static inline void remember(const weir_breaker_event *event, void *user)
{
    fixture *const fix = user;
    weir_breaker_stats stats;
    weir_breaker_get_stats(fix->breaker, &stats);
    assert_true(stats.generation >= event->generation);
    fix->events[fix->told++ % 64] = *event;
}

/* A window of 4 that opens at 50 %, rests exactly 100 ms, doubling to 400, and probes with 2. */
static inline int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = 5000 * MS}};
    f.env = fake_env_hooks(&f.fake);
    f.options = (weir_breaker_options)WEIR_BREAKER_OPTIONS_INIT;
    f.options.window_calls = 4;
    f.options.min_calls = 4;
    f.options.open_ms = 100;
    f.options.open_max_ms = 400;
    f.options.open_jitter_percent = 0;
    f.options.healthy_ms = 1000;
    f.options.probe_calls = 2;
    f.options.probe_lease_ms = 50;
    f.options.on_event = remember;
    f.options.user = &f;
    f.options.env = &f.env;
    return weir_breaker_create(&f.breaker, &f.options);
}

static inline int teardown(void **state)
{
    (void)state;
    weir_breaker_destroy(f.breaker);
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

static inline void recreate(void)
{
    weir_breaker_destroy(f.breaker);
    assert_int_equal(weir_breaker_create(&f.breaker, &f.options), WEIR_OK);
}

static inline void update(void)
{
    assert_int_equal(weir_breaker_update(f.breaker, &f.options), WEIR_OK);
}

static inline weir_breaker_permit enter(void)
{
    weir_breaker_permit permit;
    assert_int_equal(weir_breaker_enter(f.breaker, &permit, NULL), WEIR_OK);
    assert_int_not_equal(permit.generation, 0);
    return permit;
}

static inline void call_taking(weir_outcome outcome, uint64_t ms)
{
    weir_breaker_permit permit = enter();
    fake_env_advance_ms(&f.fake, ms);
    weir_breaker_leave(f.breaker, &permit, outcome);
    assert_int_equal(permit.generation, 0);
}

static inline void call(weir_outcome outcome)
{
    call_taking(outcome, 0);
}

static inline void calls(weir_outcome outcome, unsigned count)
{
    while (count-- > 0)
        call(outcome);
}

static inline uint64_t refused(void)
{
    uint64_t retry_after_ns = 0;
    weir_breaker_permit permit;
    assert_int_equal(weir_breaker_enter(f.breaker, &permit, &retry_after_ns), WEIR_EOPEN);
    assert_int_equal(permit.generation, 0);
    return retry_after_ns;
}

static inline weir_breaker_state state_now(void)
{
    return weir_breaker_get_state(f.breaker);
}

static inline weir_breaker_stats stats_now(void)
{
    weir_breaker_stats stats;
    weir_breaker_get_stats(f.breaker, &stats);
    return stats;
}

static inline const weir_breaker_event *last_event(void)
{
    assert_true(f.told > 0);
    return &f.events[(f.told - 1) % 64];
}

static inline void open_it(void)
{
    calls(WEIR_SUCCESS, 2);
    calls(WEIR_FAILURE, 2);
    assert_int_equal(state_now(), WEIR_BREAKER_OPEN);
}

static inline void half_open_it(void)
{
    open_it();
    fake_env_advance_ms(&f.fake, 100);
}

static inline void reset_forty_times(const weir_breaker_event *event, void *user)
{
    (void)event;
    fixture *const fix = user;
    if (fix->told++ == 0)
        for (int i = 0; i < 40; i++)
            weir_breaker_reset(fix->breaker);
}

#define REFUSES(field, value)                                                                      \
    do {                                                                                           \
        weir_breaker_options options = WEIR_BREAKER_OPTIONS_INIT;                                  \
        options.window_buckets = 2;                                                                \
        options.field = (value);                                                                   \
        weir_breaker *breaker;                                                                     \
        assert_int_equal(weir_breaker_create(&breaker, &options), WEIR_EINVAL);                    \
        assert_null(breaker);                                                                      \
        assert_int_equal(weir_breaker_update(f.breaker, &options), WEIR_EINVAL);                   \
    } while (0)

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

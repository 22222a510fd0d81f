/* What the tests of outlier detection share. */
#ifndef WEIR_TEST_OUTLIER_FIXTURE_H
#define WEIR_TEST_OUTLIER_FIXTURE_H

#include "support/fake_env.h"
#include <weir/outlier.h>

#include <stdio.h>
#include <string.h>

#define MS    UINT64_C(1000000)
#define S     (1000 * MS)
#define HOSTS 200

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_outlier_options options;
    weir_outlier *outlier;
    weir_outlier_host *hosts[HOSTS];
    size_t host_count;
    weir_outlier_event events[512];
    char ids[512][8];
    unsigned told;
} fixture;

static fixture f;

/* Asks the detector, so that a callback made under the lock would hang the test. */
static inline void remember(const weir_outlier_event *event, void *user)
{
    fixture *const fix = user;
    weir_outlier_stats stats;
    weir_outlier_get_stats(fix->outlier, &stats);
    unsigned const at = fix->told++ % 512;
    fix->events[at] = *event;
    (void)snprintf(fix->ids[at], sizeof fix->ids[at], "%s", event->id);
    fix->events[at].id = fix->ids[at];
}

/* Envoy's times without jitter, and no detection but that which a test turns on. */
static inline int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = 1000 * S}};
    f.env = fake_env_hooks(&f.fake);
    f.options = (weir_outlier_options)WEIR_OUTLIER_OPTIONS_INIT;
    f.options.consecutive_failures = f.options.consecutive_local = 0;
    f.options.success_rate_factor = f.options.failure_percent = 0;
    f.options.jitter_ms = 0;
    f.options.on_event = remember;
    f.options.user = &f;
    f.options.env = &f.env;
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    weir_outlier_destroy(f.outlier);
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

/* Hosts "0", "1", ... */
static inline void create(size_t hosts)
{
    char id[24];
    assert_int_equal(weir_outlier_create(&f.outlier, &f.options), WEIR_OK);
    for (f.host_count = 0; f.host_count < hosts; f.host_count++) {
        (void)snprintf(id, sizeof id, "%zu", f.host_count);
        assert_int_equal(weir_outlier_add(f.outlier, id, NULL, &f.hosts[f.host_count]), WEIR_OK);
    }
}

static inline void record(size_t host, weir_outcome outcome, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        weir_outlier_record(f.hosts[host], outcome, WEIR_ORIGIN_SERVER, 10 * MS, f.fake.now_ns);
}

static inline void record_from(size_t host, weir_outcome outcome, weir_outlier_origin origin,
                               unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        weir_outlier_record(f.hosts[host], outcome, origin, 10 * MS, f.fake.now_ns);
}

/* Calls of which so many fail, evenly spread: no two in a row up to a half. */
static inline void record_mix(size_t host, unsigned calls, unsigned failures)
{
    for (unsigned i = 0; i < calls; i++)
        record(host,
               (i + 1) * failures / calls > i * failures / calls ? WEIR_FAILURE : WEIR_SUCCESS, 1);
}

static inline uint64_t run_task(void)
{
    weir_task const task = weir_outlier_task(f.outlier);
    return task.run(task.self, f.fake.now_ns);
}

static inline void sweep(void)
{
    fake_env_advance_ms(&f.fake, f.options.interval_ms);
    (void)run_task();
}

static inline bool ejected(size_t host)
{
    return weir_outlier_is_ejected(f.hosts[host]);
}

static inline uint32_t ejected_count(void)
{
    weir_outlier_stats stats;
    weir_outlier_get_stats(f.outlier, &stats);
    return stats.ejected;
}

static inline const weir_outlier_event *last_event(void)
{
    assert_true(f.told > 0);
    return &f.events[(f.told - 1) % 512];
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

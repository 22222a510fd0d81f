/* What the tests of the health checker share: a checker, probers that do as they are told, and a
 * clock that moves from one due time to the next. */
#ifndef WEIR_TEST_HEALTH_FIXTURE_H
#define WEIR_TEST_HEALTH_FIXTURE_H

#include "support/fake_env.h"
#include <weir/health.h>

#include <string.h>

#define MS     UINT64_C(1000000)
#define EVENTS 256

/* A prober: PENDING holds the run until answer(). */
typedef struct prober {
    weir_health_verdict verdict;
    int64_t figure;
    const char *note;
    unsigned started, cancelled;
    uint64_t last_ns;
    weir_health_token token;
} prober;

typedef struct seen_event {
    weir_health_event event;
    char id[64], target[64], because[64];
} seen_event;

typedef struct fixture {
    fake_env fake;
    weir_env env;
    weir_health_options options;
    weir_health_check_options check;
    weir_health *health;
    seen_event events[EVENTS];
    unsigned told, wakes;
    prober probers[16];
} fixture;

static fixture f;

static inline void remember(const weir_health_event *event, void *user)
{
    fixture *const fix = user;
    seen_event *const seen = &fix->events[fix->told++ % EVENTS];
    seen->event = *event;
    (void)weir_health_get_system(fix->health, NULL); /* Would hang if the lock were held. */
    (void)strncpy(seen->id, event->id, sizeof seen->id - 1);
    (void)strncpy(seen->target, event->target, sizeof seen->target - 1);
    (void)strncpy(seen->because, event->because, sizeof seen->because - 1);
}

static inline void wake(void *user)
{
    ((fixture *)user)->wakes++;
}

static inline void probe(const weir_health_run *run, weir_health_result *result, void *user)
{
    prober *const self = user;
    self->started++;
    self->last_ns = run->started_ns;
    self->token = run->token;
    result->verdict = self->verdict;
    result->figure = self->figure;
    result->note = self->note;
}

static inline void cancel(const weir_health_run *run, void *user)
{
    prober *const self = user;
    assert_int_equal(run->token.run, self->token.run);
    self->cancelled++;
}

/* Checks every 1000 ms exactly, rise 2, fall 3, unknown at first, which no first pass changes. */
static inline int setup(void **state)
{
    (void)state;
    f = (fixture){.fake = {.now_ns = 5000 * MS, .wall_ns = 9000 * MS}};
    f.env = fake_env_hooks(&f.fake);
    f.options = (weir_health_options)WEIR_HEALTH_OPTIONS_INIT;
    f.options.on_event = remember;
    f.options.on_wake = wake;
    f.options.user = &f;
    f.options.env = &f.env;
    f.check = (weir_health_check_options)WEIR_HEALTH_CHECK_OPTIONS_INIT;
    f.check.start = probe;
    f.check.cancel = cancel;
    f.check.interval_ms = 1000;
    f.check.timeout_ms = 300;
    f.check.jitter_percent = 0;
    f.check.spread_percent = 0;
    f.check.first_pass_up = false;
    for (size_t i = 0; i < 16; i++)
        f.probers[i].verdict = WEIR_HEALTH_PASS;
    return weir_health_create(&f.health, &f.options);
}

static inline int teardown(void **state)
{
    (void)state;
    weir_health_destroy(f.health);
    return f.fake.live == 0 && f.fake.live_bytes == 0 ? 0 : -1;
}

static inline void recreate(void)
{
    weir_health_destroy(f.health);
    assert_int_equal(weir_health_create(&f.health, &f.options), WEIR_OK);
}

static inline weir_health_check *add(const char *id, prober *prober_of)
{
    weir_health_check *check;
    f.check.user = prober_of;
    assert_int_equal(weir_health_add(f.health, id, &f.check, &check), WEIR_OK);
    return check;
}

static inline weir_health_check *add_beat(const char *id, uint32_t ttl_ms)
{
    weir_health_check *check;
    weir_health_check_options options = f.check;
    options.start = NULL;
    options.ttl_ms = ttl_ms;
    assert_int_equal(weir_health_add(f.health, id, &options, &check), WEIR_OK);
    return check;
}

static inline uint64_t run(void)
{
    weir_task const task = weir_health_task(f.health);
    return task.run(task.self, f.fake.now_ns);
}

/* The task is run whenever it wants to, for so long. */
static inline void pass_ms(uint64_t ms)
{
    uint64_t const end_ns = f.fake.now_ns + ms * MS;
    for (uint64_t next_ns; (next_ns = run()) <= end_ns;) {
        assert_true(next_ns > f.fake.now_ns);
        f.fake.now_ns = next_ns;
    }
    f.fake.now_ns = end_ns;
}

static inline void beat(weir_health_check *check, weir_health_verdict verdict, const char *note)
{
    weir_health_result const result = {.verdict = verdict, .note = note};
    assert_int_equal(weir_health_beat(f.health, check, &result), WEIR_OK);
}

static inline int answer(weir_health_token token, weir_health_verdict verdict)
{
    weir_health_result const result = {.verdict = verdict};
    return weir_health_done(f.health, token, &result);
}

static inline weir_health_status status_of(weir_health_check *check)
{
    weir_health_status status;
    weir_health_get_status(f.health, check, &status);
    assert_int_equal(status.state, weir_health_get_state(check));
    return status;
}

static inline weir_health_summary summary(void)
{
    weir_health_summary found;
    weir_health_system const system = weir_health_get_system(f.health, &found);
    assert_int_equal(system, found.system);
    return found;
}

static inline unsigned told_of(weir_health_event_kind kind)
{
    unsigned count = 0;
    for (unsigned i = 0; i < f.told; i++)
        count += f.events[i % EVENTS].event.kind == kind;
    return count;
}

/* The n-th of its kind, from 0. */
static inline const seen_event *nth_of(weir_health_event_kind kind, unsigned n)
{
    unsigned i = 0;
    while (i < f.told && (f.events[i % EVENTS].event.kind != kind || n-- > 0))
        i++;
    assert_true(i < f.told);
    return &f.events[i % EVENTS];
}

#define assert_state(check, expected)                                                              \
    assert_string_equal(weir_health_state_name(weir_health_get_state(check)), expected)

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

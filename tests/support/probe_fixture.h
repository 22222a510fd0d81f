/* The http fixture with a checker on its loop, and one check of what listens at f.address. */
#ifndef WEIR_TEST_PROBE_FIXTURE_H
#define WEIR_TEST_PROBE_FIXTURE_H

#include "support/http_fixture.h"

#include <weir/health.h>

static weir_health *health;
static weir_health_check *check;
static weir_loop_task *task;

static inline int probe_setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    weir_health_options options = WEIR_HEALTH_OPTIONS_INIT;
    options.env = &f.env;
    if (weir_health_create(&health, &options) != WEIR_OK)
        return -1;
    return weir_loop_task_create(&task, f.loop, weir_health_task(health));
}

static inline int probe_teardown(void **state)
{
    weir_loop_task_destroy(task);
    weir_health_destroy(health);
    return fixture_teardown(state);
}

#define PROBE_TEST(name) cmocka_unit_test_setup_teardown(name, probe_setup, probe_teardown)

/* Every 10 s, and only the last result counts. */
static inline void add_check(weir_health_start_fn start, weir_health_cancel_fn cancel, void *user)
{
    weir_health_check_options options = WEIR_HEALTH_CHECK_OPTIONS_INIT;
    options.start = start;
    options.cancel = cancel;
    options.user = user;
    options.interval_ms = 10000;
    options.spread_percent = options.jitter_percent = 0;
    options.rise = options.fall = 1;
    assert_int_equal(weir_health_add(health, "it", &options, &check), WEIR_OK);
}

static inline weir_health_status status_now(void)
{
    weir_health_status status;
    weir_health_get_status(health, check, &status);
    return status;
}

static inline void start_run(void)
{
    uint64_t const runs = status_now().runs;
    weir_health_check_now(health, check);
    weir_loop_task_wake(task);
    until(status_now().runs == runs + 1);
}

/* One run, to its end; the clock stands still. */
static inline weir_health_status run_once(void)
{
    start_run();
    until(!status_now().running);
    return status_now();
}

static inline const char *address_text(void)
{
    static char text[WEIR_ADDRESS_TEXT_SIZE];
    weir_address_format(&f.address, text);
    return text;
}

#endif

/* What ties checks together: beats, dependencies, gates, targets, the system, traffic, stalls. */
#include "support/health_fixture.h"

/* ---- Heartbeats ---- */

static void a_beat_sets_the_state_at_once(void **state)
{
    (void)state;
    weir_health_check *const check = add_beat("job", 1000);
    assert_state(check, "unknown");
    beat(check, WEIR_HEALTH_PASS, NULL);
    assert_state(check, "up");
    beat(check, WEIR_HEALTH_WARNING, "slow");
    assert_state(check, "warn");
    beat(check, WEIR_HEALTH_FAIL, "disk full");
    assert_state(check, "down");
    assert_string_equal(nth_of(WEIR_HEALTH_CHECK_CHANGED, 2)->event.note, "disk full");
    assert_int_equal(nth_of(WEIR_HEALTH_CHECK_CHANGED, 2)->event.reason, WEIR_HEALTH_BY_BEAT);
    pass_ms(5000); /* It is down already: silence says nothing new. */
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_CHANGED), 3);
    beat(check, WEIR_HEALTH_PASS, NULL);
    assert_state(check, "up");
}

static void a_missed_beat_fails(void **state)
{
    (void)state;
    weir_health_check *const check = add_beat("job", 1000);
    pass_ms(500);
    beat(check, WEIR_HEALTH_PASS, NULL);
    pass_ms(999);
    assert_state(check, "up");
    pass_ms(1);
    assert_state(check, "down");
    assert_int_equal(nth_of(WEIR_HEALTH_CHECK_CHANGED, 1)->event.reason, WEIR_HEALTH_BY_SILENCE);
    weir_health_check *const never = add_beat("never", 1000);
    pass_ms(1000);
    assert_state(never, "down");
}

static void silence_is_tolerated_for_a_time(void **state)
{
    (void)state;
    f.check.tolerate_ms = 1500;
    weir_health_check *const check = add_beat("job", 1000);
    beat(check, WEIR_HEALTH_PASS, NULL);
    pass_ms(2999); /* Failing since 1 s. */
    assert_state(check, "up");
    pass_ms(1);
    assert_state(check, "down");
}

static void what_is_down_for_long_expires_once(void **state)
{
    (void)state;
    f.check.expire_ms = 5000;
    weir_health_check *const silent = add_beat("silent", 1000);
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    (void)add("probed", &f.probers[0]);
    pass_ms(4999);
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_EXPIRED), 0);
    pass_ms(1); /* 5 s after the first failure. */
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_EXPIRED), 1);
    assert_string_equal(nth_of(WEIR_HEALTH_CHECK_EXPIRED, 0)->id, "probed");
    pass_ms(1000); /* 5 s after silence was noticed. */
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_EXPIRED), 2);
    pass_ms(20000);
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_EXPIRED), 2);
    assert_int_equal(status_of(silent).due_ns, WEIR_NEVER);
}

static void who_beats_again_while_its_expiry_is_awaited_is_listened_to(void **state)
{
    (void)state;
    f.check.expire_ms = 60000;
    weir_health_check *const job = add_beat("job", 1000);
    pass_ms(2000); /* Down since 1 s, to expire at 61 s. */
    beat(job, WEIR_HEALTH_PASS, NULL);
    pass_ms(999);
    assert_state(job, "up");
    pass_ms(1);
    assert_state(job, "down");
    pass_ms(59999);
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_EXPIRED), 0);
    pass_ms(1);
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_EXPIRED), 1);
}

static void what_says_itself_that_it_is_down_expires_in_time(void **state)
{
    (void)state;
    f.check.expire_ms = 2000;
    weir_health_check *const job = add_beat("job", 10000);
    beat(job, WEIR_HEALTH_FAIL, NULL);
    pass_ms(1999);
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_EXPIRED), 0);
    pass_ms(1);
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_EXPIRED), 1);
}

static void only_heartbeat_checks_take_beats(void **state)
{
    (void)state;
    weir_health_check *const check = add("a", &f.probers[0]);
    weir_health_result result = {.verdict = WEIR_HEALTH_PASS};
    assert_int_equal(weir_health_beat(f.health, check, &result), WEIR_EINVAL);
    weir_health_check *const job = add_beat("job", 1000);
    result.verdict = WEIR_HEALTH_ABSTAIN;
    assert_int_equal(weir_health_beat(f.health, job, &result), WEIR_EINVAL);
    result.verdict = WEIR_HEALTH_PENDING;
    assert_int_equal(weir_health_beat(f.health, job, &result), WEIR_EINVAL);
    weir_health_check_now(f.health, job); /* Nobody can ask for a beat. */
    assert_state(job, "unknown");
}

/* ---- Dependencies ---- */

static void depend_on(const char *const *ids, size_t count)
{
    f.check.depends_on = ids;
    f.check.depends_on_count = count;
}

static void a_check_whose_dependency_is_down_is_not_run_and_says_why(void **state)
{
    (void)state;
    static const char *const on_db[] = {"db"}, *const on_app[] = {"app"};
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    (void)add("db", &f.probers[0]);
    run();
    depend_on(on_db, 1);
    weir_health_check *const app = add("app", &f.probers[1]);
    depend_on(on_app, 1);
    weir_health_check *const page = add("page", &f.probers[2]);
    pass_ms(3000);
    assert_int_equal(f.probers[1].started, 0);
    assert_int_equal(f.probers[2].started, 0);
    assert_string_equal(weir_health_skip_name(status_of(app).skip), "dependency");
    assert_string_equal(status_of(app).because, "db");
    assert_string_equal(status_of(page).because, "app"); /* Along the chain. */
    assert_state(app, "unknown");
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_SKIPPED), 2); /* Once each, not once a second. */
    assert_string_equal(nth_of(WEIR_HEALTH_CHECK_SKIPPED, 0)->because, "db");
    f.probers[0].verdict = WEIR_HEALTH_PASS;
    pass_ms(4000);
    assert_true(f.probers[1].started > 0);
    assert_true(f.probers[2].started > 0);
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_RESUMED), 2);
    assert_int_equal(status_of(page).skip, WEIR_HEALTH_NOT_SKIPPED);
}

static void cycles_and_unknown_dependencies_are_refused(void **state)
{
    (void)state;
    static const char *const on_a[] = {"a"}, *const on_ab[] = {"a", "b"}, *const on_c[] = {"c"};
    static const char *const on_empty[] = {""};
    weir_health_check *const a = add("a", &f.probers[0]);
    depend_on(on_a, 1);
    weir_health_check *const b = add("b", &f.probers[1]);
    depend_on(on_ab, 2);
    (void)add("c", &f.probers[2]);
    depend_on(on_c, 1);
    assert_int_equal(weir_health_update(f.health, a, &f.check), WEIR_EINVAL); /* c, b, a. */
    assert_int_equal(weir_health_update(f.health, b, &f.check), WEIR_EINVAL);
    depend_on(on_a, 1);
    assert_int_equal(weir_health_update(f.health, a, &f.check), WEIR_EINVAL); /* Itself. */
    static const char *const on_none[] = {"none"};
    depend_on(on_none, 1);
    assert_int_equal(weir_health_update(f.health, a, &f.check), WEIR_ENOTFOUND);
    assert_int_equal(weir_health_add(f.health, "d", &f.check, NULL), WEIR_ENOTFOUND);
    depend_on(on_empty, 1);
    assert_int_equal(weir_health_add(f.health, "d", &f.check, NULL), WEIR_EINVAL);
    assert_null(weir_health_find(f.health, "d"));
    assert_int_equal(weir_health_remove(f.health, a), WEIR_EBUSY);
    weir_health_check *const c = weir_health_find(f.health, "c");
    depend_on(on_ab, 2); /* Two ways to "a" are no cycle. */
    assert_int_equal(weir_health_update(f.health, c, &f.check), WEIR_OK);
    depend_on(NULL, 0);
    assert_int_equal(weir_health_update(f.health, b, &f.check), WEIR_OK);
    assert_int_equal(weir_health_remove(f.health, c), WEIR_OK);
    assert_int_equal(weir_health_remove(f.health, a), WEIR_OK);
}

static void a_skipped_check_may_be_removed_with_what_it_waited_for(void **state)
{
    (void)state;
    static const char *const on_db[] = {"db"};
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    weir_health_check *const db = add("db", &f.probers[0]);
    depend_on(on_db, 1);
    weir_health_check *const app = add("app", &f.probers[1]);
    pass_ms(1000);
    depend_on(NULL, 0);
    assert_int_equal(weir_health_update(f.health, app, &f.check), WEIR_OK);
    assert_int_equal(weir_health_remove(f.health, db), WEIR_OK);
    assert_string_equal(status_of(app).because, "db"); /* Until it is due again. */
    assert_int_equal(weir_health_remove(f.health, app), WEIR_OK);
}

/* ---- Startup ---- */

static void a_startup_check_holds_back_the_others_until_it_passes(void **state)
{
    (void)state;
    f.check.target = "pod";
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    weir_health_check *const live = add("live", &f.probers[1]);
    f.check.startup = true;
    weir_health_check *const startup = add("startup", &f.probers[0]);
    f.check.startup = false;
    f.check.target = "other";
    (void)add("other", &f.probers[2]);
    pass_ms(3500);
    assert_int_equal(f.probers[1].started, 0);
    assert_int_equal(f.probers[2].started, 4);
    assert_string_equal(weir_health_skip_name(status_of(live).skip), "startup");
    f.probers[0].verdict = WEIR_HEALTH_PASS;
    pass_ms(2000);
    assert_state(startup, "up");
    unsigned const started = f.probers[0].started;
    pass_ms(5000);
    assert_true(f.probers[1].started >= 5);
    assert_int_equal(f.probers[0].started, started); /* Done for good. */
    weir_health_check_now(f.health, startup);
    run();
    assert_int_equal(f.probers[0].started, started);
    assert_int_equal(weir_health_update(f.health, startup, &f.check), WEIR_OK);
    pass_ms(2000);
    assert_int_equal(f.probers[0].started, started);
}

static void a_gate_that_is_removed_is_open(void **state)
{
    (void)state;
    f.check.target = "pod";
    f.check.startup = true;
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    weir_health_check *const startup = add("startup", &f.probers[0]);
    f.check.startup = false;
    (void)add("live", &f.probers[1]);
    pass_ms(1000);
    assert_int_equal(f.probers[1].started, 0);
    assert_int_equal(weir_health_remove(f.health, startup), WEIR_OK);
    pass_ms(1000);
    assert_int_equal(f.probers[1].started, 1);
}

/* ---- Targets and the system ---- */

static const char *target_state(const char *target)
{
    weir_health_state found = WEIR_HEALTH_UNKNOWN;
    assert_int_equal(weir_health_get_target(f.health, target, &found), WEIR_OK);
    return weir_health_state_name(found);
}

static void a_target_is_up_when_all_its_critical_checks_are(void **state)
{
    (void)state;
    f.check.rise = f.check.fall = 1;
    f.check.target = "pod";
    (void)add("http", &f.probers[0]);
    (void)add("tcp", &f.probers[1]);
    f.check.critical = false;
    (void)add("disk", &f.probers[2]);
    assert_string_equal(target_state("pod"), "unknown");
    run();
    assert_string_equal(target_state("pod"), "up");
    f.probers[2].verdict = WEIR_HEALTH_FAIL;
    pass_ms(1000);
    assert_string_equal(target_state("pod"), "warn");
    f.probers[1].verdict = WEIR_HEALTH_FAIL;
    pass_ms(1000);
    assert_string_equal(target_state("pod"), "down");
    const seen_event *const last = nth_of(WEIR_HEALTH_TARGET_CHANGED, 2);
    assert_string_equal(last->target, "pod");
    assert_string_equal(last->id, "tcp"); /* Who did it. */
    assert_int_equal(last->event.from, WEIR_HEALTH_WARN);
    assert_int_equal(last->event.to, WEIR_HEALTH_DOWN);
    assert_int_equal(weir_health_remove(f.health, weir_health_find(f.health, "tcp")), WEIR_OK);
    assert_string_equal(target_state("pod"), "warn");
    weir_health_state found;
    assert_int_equal(weir_health_get_target(f.health, "tcp", &found), WEIR_ENOTFOUND);
}

static void the_system_is_healthy_degraded_or_unhealthy(void **state)
{
    (void)state;
    assert_int_equal(summary().system, WEIR_HEALTH_HEALTHY);
    weir_health_check *const critical = add_beat("critical", 1000);
    assert_int_equal(summary().system, WEIR_HEALTH_DEGRADED); /* Unknown. */
    beat(critical, WEIR_HEALTH_PASS, NULL);
    assert_int_equal(summary().system, WEIR_HEALTH_HEALTHY);
    f.check.critical = false;
    weir_health_check *const optional = add_beat("optional", 1000);
    beat(optional, WEIR_HEALTH_FAIL, NULL);
    assert_int_equal(summary().system, WEIR_HEALTH_DEGRADED);
    beat(critical, WEIR_HEALTH_FAIL, NULL);
    assert_int_equal(summary().system, WEIR_HEALTH_UNHEALTHY);
    assert_int_equal(summary().critical_down, 1);
    assert_int_equal(summary().down, 2);
    beat(critical, WEIR_HEALTH_WARNING, NULL);
    assert_int_equal(summary().system, WEIR_HEALTH_DEGRADED);
    assert_int_equal(summary().warn, 1);
    beat(critical, WEIR_HEALTH_PASS, NULL);
    beat(optional, WEIR_HEALTH_PASS, NULL);
    assert_int_equal(summary().system, WEIR_HEALTH_HEALTHY);
    assert_int_equal(summary().checks, 2);
    assert_int_equal(summary().up, 2);
    f.check.critical = true; /* Live: what was optional matters now. */
    f.check.start = NULL;
    beat(optional, WEIR_HEALTH_FAIL, NULL);
    assert_int_equal(weir_health_update(f.health, optional, &f.check), WEIR_OK);
    assert_int_equal(summary().system, WEIR_HEALTH_UNHEALTHY);
}

static void tells_of_changes_alone(void **state)
{
    (void)state;
    f.check.rise = f.check.fall = 1;
    (void)add("a", &f.probers[0]);
    pass_ms(5000);
    /* The system was degraded by not knowing; then check, target and system came up. */
    assert_int_equal(f.told, 4);
    pass_ms(100000);
    assert_int_equal(f.told, 4);
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    pass_ms(100000);
    assert_int_equal(f.told, 7);
    assert_int_equal(f.events[6].event.system_from, WEIR_HEALTH_HEALTHY);
    assert_int_equal(f.events[6].event.system_to, WEIR_HEALTH_UNHEALTHY);
}

/* ---- Traffic ---- */

static void traffic_replaces_runs_while_wholly_up(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_FULLY_UP;
    f.check.traffic_skips = 3;
    weir_health_check *const check = add("a", &f.probers[0]);
    run();
    assert_int_equal(f.probers[0].started, 1);
    for (int i = 0; i < 3; i++) {
        weir_health_note_traffic(check, f.fake.now_ns + 500 * MS);
        pass_ms(1000);
        assert_int_equal(f.probers[0].started, 1);
        assert_int_equal(status_of(check).skip, WEIR_HEALTH_SKIP_TRAFFIC);
    }
    weir_health_note_traffic(check, f.fake.now_ns + 500 * MS);
    pass_ms(1000);
    assert_int_equal(f.probers[0].started, 2); /* Three in a row are enough. */
    assert_int_equal(status_of(check).skipped, 3);
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_SKIPPED), 0); /* Nothing to worry about. */
    pass_ms(1000);
    assert_int_equal(f.probers[0].started, 3); /* No traffic. */
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    pass_ms(1000);
    weir_health_note_traffic(check, f.fake.now_ns + 500 * MS);
    pass_ms(1000);
    assert_int_equal(f.probers[0].started, 5); /* In doubt, it is asked. */
}

static void traffic_is_noted_no_finer_than_an_eighth_of_the_interval(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_FULLY_UP;
    f.check.traffic_skips = 1;
    weir_health_check *const check = add("a", &f.probers[0]);
    weir_health_note_traffic(check, 4950 * MS);
    run();
    weir_health_note_traffic(check, 5074 * MS); /* 124 of 125 ms later: not noted. */
    weir_health_note_traffic(check, 1000 * MS); /* A clock that stepped back: neither. */
    pass_ms(1000);
    assert_int_equal(f.probers[0].started, 2);
    weir_health_note_traffic(check, 6125 * MS);
    pass_ms(1000);
    assert_int_equal(f.probers[0].started, 2);
}

/* ---- Stalls: envoy#28699 ---- */

static void a_checker_that_was_starved_fails_nobody(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_UP; /* One failure would do. */
    for (unsigned i = 0; i < 5; i++) {
        char const id[] = {(char)('a' + i), '\0'};
        f.probers[i].verdict = WEIR_HEALTH_PENDING;
        (void)add(id, &f.probers[i]);
    }
    weir_health_check *const job = add_beat("job", 1000);
    beat(job, WEIR_HEALTH_PASS, NULL);
    run();
    unsigned const told = f.told;
    fake_env_advance_ms(&f.fake, 300 + 2001); /* The task was to run after 300 ms. */
    assert_int_equal(answer(f.probers[0].token, WEIR_HEALTH_FAIL), WEIR_OK);
    assert_int_equal(answer(f.probers[1].token, WEIR_HEALTH_PASS), WEIR_OK);
    run();
    assert_int_equal(summary().down, 0);
    assert_int_equal(summary().stalls, 1);
    assert_int_equal(summary().stalled_ns, 2001 * MS);
    assert_int_equal(f.told, told + 1);
    assert_int_equal(nth_of(WEIR_HEALTH_STALLED, 0)->event.late_ns, 2001 * MS);
    assert_int_equal(status_of(weir_health_find(f.health, "a")).discarded, 1);
    assert_int_equal(status_of(weir_health_find(f.health, "b")).passed,
                     1); /* Proof all the same. */
    assert_int_equal(f.probers[2].cancelled, 1);
    pass_ms(999);
    assert_state(job, "up"); /* It has a whole TTL from when beats could be heard again. */
    pass_ms(1);
    assert_state(job, "down");
    assert_int_equal(summary().down, 5); /* Failures after the stall count; "b" has two to go. */
}

/* envoy#10498, again. */
static void after_a_stall_what_is_overdue_is_spread_and_not_started_at_once(void **state)
{
    (void)state;
    f.check.spread_percent = 100;
    char id[] = "a";
    for (unsigned i = 0; i < 16; i++, id[0]++)
        (void)add(id, &f.probers[i]);
    pass_ms(5000);
    fake_env_advance_ms(&f.fake, 60000);
    run();
    unsigned started = 0;
    for (unsigned i = 0; i < 16; i++) {
        started += f.probers[i].last_ns == f.fake.now_ns;
        f.probers[i].started = 0;
    }
    assert_int_equal(started, 0);
    assert_int_equal(told_of(WEIR_HEALTH_STALLED), 1);
    pass_ms(1001);
    for (unsigned i = 0; i < 16; i++)
        assert_in_range(f.probers[i].started, 1, 2);
}

/* Those who beat, and late results, find the stall out before it is over. */
static void a_stall_lasts_until_the_task_runs(void **state)
{
    (void)state;
    weir_health_check *const job = add_beat("job", 86400000);
    for (unsigned i = 0; i < 15; i++) {
        char const id[] = {(char)('a' + i), '\0'};
        (void)add(id, &f.probers[i]);
    }
    pass_ms(5000);
    for (unsigned i = 0; i < 60; i++) {
        fake_env_advance_ms(&f.fake, 1000);
        beat(job, WEIR_HEALTH_PASS, NULL);
    }
    run();
    for (unsigned i = 0; i < 15; i++)
        assert_true(f.probers[i].last_ns < f.fake.now_ns); /* None started at once. */
    assert_int_equal(summary().stalls, 1);
    assert_int_equal(summary().stalled_ns, 59000 * MS); /* It was to run a second after. */
    assert_int_equal(told_of(WEIR_HEALTH_STALLED), 1);
    pass_ms(1001);
    for (unsigned i = 0; i < 15; i++)
        assert_true(f.probers[i].started > 0);
    assert_int_equal(summary().stalls, 1);
}

static void a_task_that_is_a_little_late_is_no_stall(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_UP;
    f.probers[0].verdict = WEIR_HEALTH_PENDING;
    weir_health_check *const check = add("a", &f.probers[0]);
    run();
    fake_env_advance_ms(&f.fake, 300 + 2000);
    run();
    assert_state(check, "down");
    assert_int_equal(summary().stalls, 0);
    f.options.stall_ms = 0; /* Never. */
    recreate();
    weir_health_check *const again = add("a", &f.probers[0]);
    run();
    fake_env_advance_ms(&f.fake, 1000000);
    run();
    assert_state(again, "down");
    assert_int_equal(summary().stalls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_beat_sets_the_state_at_once),
        TEST(a_missed_beat_fails),
        TEST(silence_is_tolerated_for_a_time),
        TEST(what_is_down_for_long_expires_once),
        TEST(who_beats_again_while_its_expiry_is_awaited_is_listened_to),
        TEST(what_says_itself_that_it_is_down_expires_in_time),
        TEST(only_heartbeat_checks_take_beats),
        TEST(a_check_whose_dependency_is_down_is_not_run_and_says_why),
        TEST(cycles_and_unknown_dependencies_are_refused),
        TEST(a_skipped_check_may_be_removed_with_what_it_waited_for),
        TEST(a_startup_check_holds_back_the_others_until_it_passes),
        TEST(a_gate_that_is_removed_is_open),
        TEST(a_target_is_up_when_all_its_critical_checks_are),
        TEST(the_system_is_healthy_degraded_or_unhealthy),
        TEST(tells_of_changes_alone),
        TEST(traffic_replaces_runs_while_wholly_up),
        TEST(traffic_is_noted_no_finer_than_an_eighth_of_the_interval),
        TEST(a_checker_that_was_starved_fails_nobody),
        TEST(after_a_stall_what_is_overdue_is_spread_and_not_started_at_once),
        TEST(a_stall_lasts_until_the_task_runs),
        TEST(a_task_that_is_a_little_late_is_no_stall),
    };
    return cmocka_run_group_tests_name("health_checks", tests, NULL, NULL);
}

/* Making, changing and removing checks; looking at them; running out of memory. */
#include "support/health_fixture.h"

#include <stdio.h>

static void an_update_keeps_state_and_moves_the_counter_on_its_side(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_FULLY_UP; /* rise 2, fall 3: at 4. */
    weir_health_check *const check = add("a", &f.probers[0]);
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    pass_ms(1000);
    assert_int_equal(status_of(check).counter, 2); /* Two failures of three. */
    f.check.rise = 5;
    f.check.fall = 10;
    assert_int_equal(weir_health_update(f.health, check, &f.check), WEIR_OK);
    assert_int_equal(status_of(check).counter, 12); /* Two of ten. */
    f.check.fall = 2;
    assert_int_equal(weir_health_update(f.health, check, &f.check), WEIR_OK);
    assert_int_equal(status_of(check).counter, 5); /* Two of two would be down: one to go. */
    assert_state(check, "up");
    pass_ms(1000);
    assert_state(check, "down");
    f.probers[0].verdict = WEIR_HEALTH_PASS;
    pass_ms(4000);
    assert_int_equal(status_of(check).counter, 4);
    f.check.rise = 2;
    assert_int_equal(weir_health_update(f.health, check, &f.check), WEIR_OK);
    assert_int_equal(status_of(check).counter, 1); /* One to go. */
    f.check.rise = 3;
    assert_int_equal(weir_health_update(f.health, check, &f.check), WEIR_OK);
    assert_int_equal(status_of(check).counter, 1);
    assert_state(check, "down");
}

static void an_update_of_the_interval_holds_at_once(void **state)
{
    (void)state;
    f.check.initial = WEIR_HEALTH_START_FULLY_UP;
    weir_health_check *const check = add("a", &f.probers[0]);
    weir_health_check *const job = add_beat("job", 60000);
    run();
    f.check.interval_ms = 200;
    assert_int_equal(weir_health_update(f.health, check, &f.check), WEIR_OK);
    assert_int_equal(run(), 5200 * MS);
    f.probers[0].verdict = WEIR_HEALTH_PENDING;
    f.fake.now_ns = 5200 * MS;
    assert_int_equal(run(), 5500 * MS);
    f.check.interval_ms = 400; /* While it runs: the timeout stays. */
    assert_int_equal(weir_health_update(f.health, check, &f.check), WEIR_OK);
    assert_int_equal(run(), 5500 * MS);
    f.check.start = NULL;
    f.check.ttl_ms = 100;
    assert_int_equal(weir_health_update(f.health, job, &f.check), WEIR_OK);
    run();
    assert_state(job, "down"); /* It has been silent for 200 ms. */
}

static void removing_a_check_cancels_its_run(void **state)
{
    (void)state;
    f.probers[0].verdict = WEIR_HEALTH_PENDING;
    weir_health_check *const check = add("a", &f.probers[0]);
    run();
    assert_int_equal(weir_health_remove(f.health, check), WEIR_OK);
    assert_int_equal(f.probers[0].cancelled, 1);
    assert_int_equal(summary().running, 0);
    assert_int_equal(summary().checks, 0);
    assert_int_equal(summary().system, WEIR_HEALTH_HEALTHY);
    assert_int_equal(answer(f.probers[0].token, WEIR_HEALTH_PASS), WEIR_ESTALE);
    (void)add("a", &f.probers[1]); /* The id and the place are free; the token is not. */
    f.probers[1].verdict = WEIR_HEALTH_PENDING;
    run();
    assert_int_equal(f.probers[1].token.place, f.probers[0].token.place);
    assert_int_equal(answer(f.probers[0].token, WEIR_HEALTH_PASS), WEIR_ESTALE);
    assert_int_equal(answer(f.probers[1].token, WEIR_HEALTH_PASS), WEIR_OK);
}

static void destroying_the_checker_cancels_what_runs(void **state)
{
    (void)state;
    f.probers[0].verdict = WEIR_HEALTH_PENDING;
    (void)add("a", &f.probers[0]);
    run();
    recreate();
    assert_int_equal(f.probers[0].cancelled, 1);
    weir_health_destroy(NULL);
}

static void destroying_the_checker_frees_what_was_skipped(void **state)
{
    (void)state;
    static const char *const on_a[] = {"a"};
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    (void)add("a", &f.probers[0]);
    f.check.depends_on = on_a;
    f.check.depends_on_count = 1;
    (void)add("b", &f.probers[1]);
    pass_ms(1000);
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_SKIPPED), 1);
    recreate(); /* The fixture counts. */
}

static void a_check_in_line_may_be_removed(void **state)
{
    (void)state;
    f.options.max_running = 1;
    recreate();
    f.probers[0].verdict = WEIR_HEALTH_PENDING;
    (void)add("a", &f.probers[0]);
    weir_health_check *const waiting = add("b", &f.probers[1]);
    run();
    assert_int_equal(summary().waiting, 1);
    assert_int_equal(weir_health_remove(f.health, waiting), WEIR_OK);
    assert_int_equal(summary().waiting, 0);
    pass_ms(5000);
    assert_int_equal(f.probers[1].started, 0);
}

static void remove_itself(const weir_health_run *run_of, weir_health_result *result, void *user)
{
    result->verdict = WEIR_HEALTH_FAIL;
    (*(unsigned *)user)++;
    assert_int_equal(weir_health_remove(run_of->health, run_of->check), WEIR_OK);
}

static void a_prober_may_remove_its_own_check(void **state)
{
    (void)state;
    unsigned calls = 0;
    f.check.start = remove_itself;
    f.check.cancel = NULL;
    f.check.user = &calls;
    assert_int_equal(weir_health_add(f.health, "a", &f.check, NULL), WEIR_OK);
    pass_ms(5000);
    assert_int_equal(calls, 1);
    assert_int_equal(summary().checks, 0);
}

static void remove_who_changed(const weir_health_event *event, void *user)
{
    remember(event, user);
    if (event->kind == WEIR_HEALTH_CHECK_CHANGED)
        assert_int_equal(weir_health_remove(f.health, event->check), WEIR_OK);
}

static void an_event_may_remove_its_check_and_what_follows_still_knows_its_name(void **state)
{
    (void)state;
    f.options.on_event = remove_who_changed;
    recreate();
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    (void)add("a", &f.probers[0]);
    run();
    assert_int_equal(summary().checks, 0);
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_CHANGED), 1);
    assert_string_equal(nth_of(WEIR_HEALTH_TARGET_CHANGED, 0)->id, "a"); /* Told after. */
}

static void events_are_dropped_and_counted_when_nobody_keeps_up(void **state)
{
    (void)state;
    f.options.events = 1;
    recreate();
    f.told = 0;
    f.probers[0].verdict = WEIR_HEALTH_FAIL;
    (void)add("a", &f.probers[0]);
    run(); /* Check, target and system at once. */
    assert_int_equal(told_of(WEIR_HEALTH_CHECK_CHANGED), 1);
    assert_int_equal(told_of(WEIR_HEALTH_TARGET_CHANGED), 0);
    assert_int_equal(summary().dropped, 2);
}

/* All fall silent at once: one run of the task, and nobody else to tell. */
static void no_event_is_dropped_however_many_checks_one_run_changes(void **state)
{
    (void)state;
    char id[8];
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(id, sizeof id, "%u", i);
        (void)add_beat(id, 1000);
    }
    f.told = 0;
    pass_ms(1000);
    run();
    assert_int_equal(summary().down, 1000);
    assert_int_equal(f.told, 2001); /* Checks, targets and the system. */
    assert_int_equal(summary().dropped, 0);
}

static void needs_neither_events_nor_wakes(void **state)
{
    (void)state;
    f.options.on_event = NULL;
    f.options.on_wake = NULL;
    recreate();
    weir_health_check *const check = add("a", &f.probers[0]);
    pass_ms(1000);
    assert_state(check, "up");
    assert_int_equal(f.wakes, 0);
}

static void history_keeps_the_last_changes_newest_first(void **state)
{
    (void)state;
    f.check.history = 2;
    weir_health_check *const check = add_beat("job", 60000);
    weir_health_transition seen[4];
    assert_int_equal(weir_health_get_history(f.health, check, seen, 4), 0);
    beat(check, WEIR_HEALTH_PASS, NULL);
    f.fake.wall_ns += 7;
    beat(check, WEIR_HEALTH_WARNING, "hot");
    fake_env_advance_ms(&f.fake, 5);
    beat(check, WEIR_HEALTH_FAIL, "burnt");
    assert_int_equal(weir_health_get_history(f.health, check, seen, 4), 2);
    assert_int_equal(seen[0].to, WEIR_HEALTH_DOWN);
    assert_int_equal(seen[0].from, WEIR_HEALTH_WARN);
    assert_string_equal(seen[0].note, "burnt");
    assert_int_equal(seen[0].at_ns, 5005 * MS);
    assert_int_equal(seen[1].to, WEIR_HEALTH_WARN);
    assert_int_equal(seen[1].wall_ns, 9000 * MS + 7);
    assert_string_equal(weir_health_reason_name(seen[1].reason), "beat");
    assert_int_equal(weir_health_get_history(f.health, check, seen, 1), 1);
    f.check.history = 0;
    weir_health_check *const forgetful = add_beat("forgetful", 60000);
    beat(forgetful, WEIR_HEALTH_PASS, NULL);
    assert_int_equal(weir_health_get_history(f.health, forgetful, seen, 4), 0);
}

static void a_long_note_is_cut(void **state)
{
    (void)state;
    char note[100];
    memset(note, 'x', sizeof note);
    note[99] = '\0';
    weir_health_check *const check = add_beat("job", 60000);
    beat(check, WEIR_HEALTH_PASS, note);
    assert_int_equal(strlen(status_of(check).note), WEIR_HEALTH_NOTE_SIZE - 1);
}

static void visit_one(const weir_health_status *status, void *user)
{
    unsigned *const seen = user;
    *seen += status->id[0] == 'a' ? 1 : 10;
    if (status->id[0] == 'a')
        assert_int_equal(weir_health_remove(f.health, status->check), WEIR_OK);
    assert_string_equal(status->target, status->id);
}

static void visits_all_and_may_remove_meanwhile(void **state)
{
    (void)state;
    static const char *const on_b[] = {"b"};
    f.probers[1].verdict = WEIR_HEALTH_FAIL;
    (void)add("b", &f.probers[1]);
    f.check.depends_on = on_b;
    f.check.depends_on_count = 1;
    (void)add("a", &f.probers[0]);
    pass_ms(1000);
    unsigned seen = 0;
    weir_health_visit(f.health, visit_one, &seen);
    assert_int_equal(seen, 11);
    seen = 0;
    weir_health_visit(f.health, visit_one, &seen);
    assert_int_equal(seen, 10);
}

static void names_are_the_words_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(weir_health_state_name((weir_health_state)9), "unknown");
    assert_string_equal(weir_health_system_name(WEIR_HEALTH_HEALTHY), "healthy");
    assert_string_equal(weir_health_system_name(WEIR_HEALTH_DEGRADED), "degraded");
    assert_string_equal(weir_health_system_name(WEIR_HEALTH_UNHEALTHY), "unhealthy");
    assert_string_equal(weir_health_system_name((weir_health_system)9), "unknown");
    assert_string_equal(weir_health_skip_name(WEIR_HEALTH_NOT_SKIPPED), "");
    assert_string_equal(weir_health_skip_name(WEIR_HEALTH_SKIP_TRAFFIC), "traffic");
    assert_string_equal(weir_health_skip_name((weir_health_skip)9), "unknown");
    assert_string_equal(weir_health_reason_name(WEIR_HEALTH_BY_RESULT), "result");
    assert_string_equal(weir_health_reason_name(WEIR_HEALTH_BY_TIMEOUT), "timeout");
    assert_string_equal(weir_health_reason_name(WEIR_HEALTH_BY_SILENCE), "silence");
    assert_string_equal(weir_health_reason_name((weir_health_reason)9), "unknown");
}

/* ---- Options ---- */

#define REFUSES(field, value)                                                                      \
    do {                                                                                           \
        weir_health_check_options options = f.check;                                               \
        options.field = (value);                                                                   \
        assert_int_equal(weir_health_add(f.health, "x", &options, NULL), WEIR_EINVAL);             \
        assert_int_equal(weir_health_update(f.health, check, &options), WEIR_EINVAL);              \
    } while (0)

static void refuses_options_out_of_range(void **state)
{
    (void)state;
    weir_health_check *const check = add("a", &f.probers[0]);
    char long_text[257];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[256] = '\0';
    REFUSES(struct_size, 1);
    REFUSES(target, "");
    REFUSES(target, long_text);
    REFUSES(ttl_ms, 0);
    REFUSES(ttl_ms, 86400001);
    REFUSES(interval_ms, 0);
    REFUSES(interval_ms, 86400001);
    REFUSES(fast_ms, 86400001);
    REFUSES(down_ms, 86400001);
    REFUSES(idle_ms, 86400001);
    REFUSES(timeout_ms, 0);
    REFUSES(timeout_ms, 86400001);
    REFUSES(rise, 0);
    REFUSES(rise, 10001);
    REFUSES(fall, 0);
    REFUSES(fall, 10001);
    REFUSES(tolerate_ms, 86400001);
    REFUSES(jitter_percent, 51);
    REFUSES(spread_percent, 101);
    REFUSES(expire_ms, 86400001);
    REFUSES(history, 65);
    REFUSES(initial, (weir_health_initial)4);
    REFUSES(depends_on_count, 1);
    REFUSES(depends_on_count, 17);
    assert_int_equal(weir_health_add(f.health, "a", &f.check, NULL), WEIR_EINVAL); /* Taken. */
    assert_int_equal(weir_health_add(f.health, "", &f.check, NULL), WEIR_EINVAL);
    assert_int_equal(weir_health_add(f.health, NULL, &f.check, NULL), WEIR_EINVAL);
    assert_int_equal(weir_health_add(f.health, long_text, &f.check, NULL), WEIR_EINVAL);
    assert_int_equal(weir_health_add(f.health, "defaults", NULL, NULL), WEIR_OK);
    assert_int_equal(summary().checks, 2);
}

static void refuses_checker_options_out_of_range(void **state)
{
    (void)state;
    static const struct {
        uint32_t max_running, stall_ms, events;
    } cases[] = {{0, 1, 1}, {1000001, 1, 1}, {1, 86400001, 1}, {1, 1, 0}, {1, 1, 1000001}};
    for (size_t i = 0; i < 5; i++) {
        weir_health_options options = f.options;
        weir_health *health;
        options.max_running = cases[i].max_running;
        options.stall_ms = cases[i].stall_ms;
        options.events = cases[i].events;
        assert_int_equal(weir_health_create(&health, &options), WEIR_EINVAL);
        assert_null(health);
    }
    weir_health_options old = {.struct_size = 0};
    weir_health *health;
    assert_int_equal(weir_health_create(&health, &old), WEIR_EINVAL);
    weir_env env = {.struct_size = 0};
    weir_health_options strange = f.options;
    strange.env = &env;
    assert_int_equal(weir_health_create(&health, &strange), WEIR_EINVAL);
    assert_int_equal(weir_health_create(&health, NULL), WEIR_OK);
    weir_health_destroy(health);
}

/* ---- Out of memory ---- */

static void create_survives_every_failed_allocation(void **state)
{
    (void)state;
    fake_env fake = {.fail_at = 1};
    weir_env const env = fake_env_hooks(&fake);
    weir_health_options options = f.options;
    options.env = &env;
    weir_health *health;
    for (; weir_health_create(&health, &options) == WEIR_ENOMEM; fake.fail_at++) {
        assert_null(health);
        assert_int_equal(fake.live_bytes, 0);
        fake.calls = 0;
    }
    assert_int_equal(fake.fail_at, 4);
    weir_health_destroy(health);
    assert_int_equal(fake.live_bytes, 0);
}

static void add_survives_every_failed_allocation(void **state)
{
    (void)state;
    static const char *const on_first[] = {"first"};
    (void)add("first", &f.probers[0]);
    f.check.depends_on = on_first;
    f.check.depends_on_count = 1;
    char id[16];
    unsigned failures = 0;
    for (int i = 0; i < 300; i++) { /* Each table grows at least twice. */
        (void)snprintf(id, sizeof id, "check-%d", i);
        weir_health_check *check = NULL;
        f.fake.calls = 0;
        f.fake.fail_at = 1;
        for (; weir_health_add(f.health, id, &f.check, &check) == WEIR_ENOMEM; f.fake.fail_at++) {
            assert_null(check);
            assert_null(weir_health_find(f.health, id));
            assert_int_equal(summary().checks, i + 1);
            f.fake.calls = 0;
            failures++;
        }
        f.fake.fail_at = 0;
        assert_ptr_equal(weir_health_find(f.health, id), check);
    }
    assert_true(failures >= 300 * 4); /* Dependencies, check, history, target. */
    pass_ms(3000);
    assert_int_equal(summary().up, 301);
}

static void update_survives_every_failed_allocation(void **state)
{
    (void)state;
    static const char *const on_a[] = {"a"};
    (void)add("a", &f.probers[0]);
    weir_health_check *const check = add("b", &f.probers[1]);
    f.check.depends_on = on_a;
    f.check.depends_on_count = 1;
    f.check.rise = 9;
    f.fake.calls = 0;
    f.fake.fail_at = 1;
    assert_int_equal(weir_health_update(f.health, check, &f.check), WEIR_ENOMEM);
    assert_int_equal(status_of(check).rise, 2);
    f.fake.fail_at = 0;
    assert_int_equal(weir_health_update(f.health, check, &f.check), WEIR_OK);
    assert_int_equal(status_of(check).rise, 9);
}

static void running_allocates_nothing(void **state)
{
    (void)state;
    (void)add("a", &f.probers[0]);
    weir_health_check *const job = add_beat("job", 1000);
    f.fake.calls = 0;
    for (int i = 0; i < 20; i++) {
        f.probers[0].verdict = i % 8 < 4 ? WEIR_HEALTH_PASS : WEIR_HEALTH_FAIL;
        pass_ms(1000);
        beat(job, WEIR_HEALTH_PASS, "well");
    }
    assert_int_equal(f.fake.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_update_keeps_state_and_moves_the_counter_on_its_side),
        TEST(an_update_of_the_interval_holds_at_once),
        TEST(removing_a_check_cancels_its_run),
        TEST(destroying_the_checker_cancels_what_runs),
        TEST(destroying_the_checker_frees_what_was_skipped),
        TEST(a_check_in_line_may_be_removed),
        TEST(a_prober_may_remove_its_own_check),
        TEST(an_event_may_remove_its_check_and_what_follows_still_knows_its_name),
        TEST(events_are_dropped_and_counted_when_nobody_keeps_up),
        TEST(no_event_is_dropped_however_many_checks_one_run_changes),
        TEST(needs_neither_events_nor_wakes),
        TEST(history_keeps_the_last_changes_newest_first),
        TEST(a_long_note_is_cut),
        TEST(visits_all_and_may_remove_meanwhile),
        TEST(names_are_the_words_of_the_header),
        TEST(refuses_options_out_of_range),
        TEST(refuses_checker_options_out_of_range),
        TEST(create_survives_every_failed_allocation),
        TEST(add_survives_every_failed_allocation),
        TEST(update_survives_every_failed_allocation),
        TEST(running_allocates_nothing),
    };
    return cmocka_run_group_tests_name("health_life", tests, NULL, NULL);
}

/* Watching configuration: order, patterns, resuming, pausing, stopping, and what users of others
 * lost. */
#include "support/config_fixture.h"

static void expect_change(unsigned n, weir_config_event_kind kind, const char *name,
                          const char *value, const char *old)
{
    assert_true(n < f.changed);
    assert_int_equal(f.changes[n].kind, kind);
    assert_string_equal(f.changes[n].name, name);
    assert_string_equal(f.changes[n].value, value);
    assert_string_equal(f.changes[n].old, old);
}

static void changes_come_in_order_with_old_and_new_value(void **state)
{
    (void)state;
    watch("a", 0);
    set("a", "1");
    set("b", "x");
    set("a", "2");
    delete ("a");
    set_in("a", "test", "blue", "3");
    assert_int_equal(f.changed, 4);
    expect_change(0, WEIR_CONFIG_SET, "a", "1", "");
    expect_change(1, WEIR_CONFIG_SET, "a", "2", "1");
    expect_change(2, WEIR_CONFIG_DELETED, "a", "", "2");
    expect_change(3, WEIR_CONFIG_SET, "a", "3", "");
    assert_int_equal(f.changes[1].version, 2);
    assert_int_equal(f.changes[1].old_version, 1);
    assert_int_equal(f.changes[2].version, 3);
    assert_string_equal(f.changes[3].environment, "test");
    assert_string_equal(f.changes[3].label, "blue");
    for (unsigned i = 1; i < f.changed; i++)
        assert_true(f.changes[i].revision > f.changes[i - 1].revision);
}

static void patterns_choose_names(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"a", "a", true},
        {"a", "ab", false},
        {"a/*", "a/b", true},
        {"a/*", "a/b/c", false},
        {"a/**", "a/b/c", true},
        {"a/**", "a/", true},
        {"a/**", "a", false},
        {"**", "", true},
        {"*", "", true},
        {"?", "", false},
        {"a?c", "abc", true},
        {"a?c", "a/c", false},
        {"*.conf", "a.conf", true},
        {"**/x", "a/b/x", true},
        {"**/x", "a/b/xy", false},
        {"a*b*c", "a1b2c", true},
        {"a*b*c", "a1b2", false},
        {"a**c*e", "a/b/cde", true},
        {"a**/*b", "a/x/yb", true},
        {"**a*b", "/a/ab", true},
        {"a*", "b", false},
        {"", "", true},
        {"", "a", false},
        {"a*/b", "ax/b", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (weir_config_match(cases[i].pattern, cases[i].name) != cases[i].matches)
            fail_msg("%s and %s", cases[i].pattern, cases[i].name);
}

static void a_prefix_and_a_glob_are_watched(void **state)
{
    (void)state;
    watch("orders/**", 0);
    watch("*/limit", 0);
    set("orders/limit", "1"); /* Both. */
    set("orders/a/b", "2");   /* The prefix. */
    set("users/limit", "3");  /* The glob. */
    set("ordersx", "4");
    assert_int_equal(f.changed, 4);
}

static void a_watch_goes_on_from_a_revision(void **state)
{
    (void)state;
    set("a", "1");
    uint64_t const first = f.last.revision;
    set("a", "2");
    set("a", "3");
    watch("a", first + 1);
    run_store();
    assert_int_equal(f.changed, 2);
    expect_change(0, WEIR_CONFIG_SET, "a", "2", "1");
    expect_change(1, WEIR_CONFIG_SET, "a", "3", "2");
    set("a", "4");
    assert_int_equal(f.changed, 3);
}

static void a_paused_watcher_loses_nothing_and_hears_nothing_twice(void **state)
{
    (void)state;
    weir_config_watcher *const watcher = watch("**", 0);
    weir_config_change const together[] = {{.name = "a", .value = {"1", 1}},
                                           {.name = "b", .value = {"2", 1}},
                                           {.name = "c", .value = {"3", 1}}};
    f.pause = true;
    apply(together, 3); /* One revision: it pauses within it. */
    assert_int_equal(f.changed, 1);
    set("a", "4");
    assert_int_equal(f.changed, 1);
    for (unsigned i = 2; i <= 4; i++) {
        assert_int_equal(weir_config_resume(watcher), WEIR_OK);
        run_store();
        assert_int_equal(f.changed, i);
    }
    f.pause = false;
    assert_int_equal(weir_config_resume(watcher), WEIR_OK);
    assert_int_equal(weir_config_resume(watcher), WEIR_OK); /* It is awake. */
    set("d", "5");
    assert_int_equal(f.changed, 5);
    expect_change(0, WEIR_CONFIG_SET, "a", "1", "");
    expect_change(1, WEIR_CONFIG_SET, "b", "2", "");
    expect_change(2, WEIR_CONFIG_SET, "c", "3", "");
    expect_change(3, WEIR_CONFIG_SET, "a", "4", "1");
    expect_change(4, WEIR_CONFIG_SET, "d", "5", "");
}

/* nacos#2384: a listener fails, the value goes from A to B and back to A, and is never told. */
static void a_to_b_to_a_is_told_to_a_listener_that_failed(void **state)
{
    (void)state;
    set("key", "A");
    weir_config_watcher *const watcher = watch("key", 0);
    f.pause = true;
    set("key", "B");
    f.pause = false;
    set("key", "A");
    assert_int_equal(f.changed, 1);
    assert_int_equal(weir_config_resume(watcher), WEIR_OK);
    run_store();
    assert_int_equal(f.changed, 2);
    expect_change(0, WEIR_CONFIG_SET, "key", "B", "A");
    expect_change(1, WEIR_CONFIG_SET, "key", "A", "B");
    set("key", "A"); /* The same content is a change as well. */
    assert_int_equal(f.changed, 3);
}

static void one_who_falls_too_far_behind_is_told_so(void **state)
{
    (void)state;
    weir_config_watcher *const watcher = watch("a", 0);
    f.pause = true;
    set("a", "1");
    set("a", "2");
    set("a", "3");
    f.pause = false;
    assert_int_equal(weir_store_compact(f.store, weir_store_revision(f.store)), WEIR_OK);
    assert_int_equal(weir_config_resume(watcher), WEIR_OK);
    run_store();
    assert_int_equal(f.changed, 2);
    assert_int_equal(f.changes[1].kind, WEIR_CONFIG_OVER);
    assert_int_equal(f.changes[1].code, WEIR_ECOMPACTED);
    weir_config_watch_stop(watcher);
    assert_value("a", "3"); /* Read again... */
    watch("a", status().revision + 1);
    set("a", "4"); /* ...and go on. */
    expect_change(2, WEIR_CONFIG_SET, "a", "4", "3");
}

static weir_config_watcher *stopping;

static bool stop_within(const weir_config_event *event, void *user)
{
    (void)event;
    ++*(int *)user;
    weir_config_watch_stop(stopping);
    return true;
}

static void a_watcher_stops_within_its_own_callback(void **state)
{
    (void)state;
    int told = 0;
    weir_config_watch const asked = {.pattern = "**", .fn = stop_within, .user = &told};
    weir_config_change const together[] = {{.name = "a", .value = {"1", 1}},
                                           {.name = "b", .value = {"2", 1}}};
    assert_int_equal(weir_config_watch_start(&stopping, f.config, &asked), WEIR_OK);
    apply(together, 2);
    set("c", "3");
    assert_int_equal(told, 1);
    weir_config_watch_stop(NULL);
}

static bool count_changes(const weir_config_event *event, void *user)
{
    (void)event;
    ++*(unsigned *)user;
    return true;
}

static void stop_on_problem(const weir_config_error *error, void *user)
{
    (void)error;
    (void)user;
    weir_config_watch_stop(stopping);
    stopping = NULL;
}

/* The view that had no memory asks again, and is told after its watchers from then on: what they
 * are told of, they read in its place. */
static void a_watcher_may_be_stopped_by_whoever_is_told_of_a_problem(void **state)
{
    (void)state;
    unsigned stopped = 0;
    f.options.on_problem = stop_on_problem;
    recreate();
    weir_task const task = weir_config_task(f.config);
    for (unsigned n = 1; n < 30; n++) {
        unsigned told = 0;
        weir_config_watch const asked = {.pattern = "**", .fn = count_changes, .user = &told};
        assert_int_equal(weir_config_watch_start(&stopping, f.config, &asked), WEIR_OK);
        f.fake.fail_at = f.fake.calls + n;
        int const code = weir_store_put(f.store, weir_bytes_of("config/a"),
                                        weir_bytes_of("v=9 ms=1\nx"), 0, NULL);
        assert_true(code == WEIR_OK || code == WEIR_ENOMEM);
        f.fake.fail_at = 0;
        f.fake.now_ns += 2000 * MS;
        (void)task.run(task.self, f.fake.now_ns);
        put_raw("config/a", "broken");
        stopped += stopping == NULL;
        weir_config_watch_stop(stopping);
    }
    assert_true(stopped > 0);
}

static bool read_within(const weir_config_event *event, void *user)
{
    char value[16];
    weir_config_info info;
    assert_int_equal(weir_config_get(f.config, event->value.name, NULL, value, sizeof value, &info),
                     WEIR_OK);
    assert_true(info.revision >= event->revision);
    ++*(int *)user;
    return true;
}

static void a_read_within_a_callback_sees_the_change(void **state)
{
    (void)state;
    int told = 0;
    weir_config_watcher *watcher;
    weir_config_watch const asked = {.pattern = "**", .fn = read_within, .user = &told};
    assert_int_equal(weir_config_watch_start(&watcher, f.config, &asked), WEIR_OK);
    f.options.on_sync = NULL;
    set("a", "1");
    put_raw("config/a", "v=9 ms=1\nx");
    assert_int_equal(told, 2);
}

static void rules_are_told_of(void **state)
{
    (void)state;
    watch("a", 0);
    weir_config_rule const rule = {.name = "a",
                                   .rule = "r",
                                   .environment = "test",
                                   .permille = 1000,
                                   .value = weir_bytes_of("gray")};
    assert_int_equal(weir_config_release(f.config, &rule, NULL, NULL, NULL), WEIR_OK);
    assert_int_equal(weir_config_promote(f.config, "a", "r", NULL, NULL), WEIR_OK);
    assert_int_equal(f.changed, 3);
    expect_change(0, WEIR_CONFIG_RULE_PUT, "a", "gray", "");
    assert_string_equal(f.changes[0].rule, "r");
    assert_string_equal(f.changes[0].environment, "test");
    expect_change(1, WEIR_CONFIG_RULE_GONE, "a", "", "gray");
    assert_string_equal(f.changes[1].environment, "test");
    expect_change(2, WEIR_CONFIG_SET, "a", "gray", "");
    assert_string_equal(f.changes[2].environment, "test");
}

static void raw_changes_are_told_of_as_they_are(void **state)
{
    (void)state;
    watch("a", 0);
    set("a", "1");
    put_raw("config/a", "no record");
    put_raw("config/a@b@c", "v=1 ms=1\nx");
    delete_raw("config/a");
    assert_int_equal(f.changed, 2);
    assert_int_equal(f.changes[1].kind, WEIR_CONFIG_DELETED);
}

static void watches_are_checked(void **state)
{
    (void)state;
    char pattern[600];
    weir_config_watcher *watcher;
    weir_config_watch asked = {.pattern = NULL, .fn = note_change};
    assert_int_equal(weir_config_watch_start(&watcher, f.config, &asked), WEIR_EINVAL);
    asked = (weir_config_watch){.pattern = "a"};
    assert_int_equal(weir_config_watch_start(&watcher, f.config, &asked), WEIR_EINVAL);
    memset(pattern, 'a', sizeof pattern);
    pattern[599] = '\0';
    asked = (weir_config_watch){.pattern = pattern, .fn = note_change};
    assert_int_equal(weir_config_watch_start(&watcher, f.config, &asked), WEIR_EINVAL);
    assert_null(watcher);
}

static void the_end_of_the_store_is_told(void **state)
{
    (void)state;
    watch("a", 0);
    weir_store_destroy(f.store);
    f.store = NULL;
    assert_int_equal(f.changed, 1);
    assert_int_equal(f.changes[0].code, WEIR_ECLOSED);
    assert_int_equal(f.sync_code, WEIR_ECLOSED);
    assert_false(status().in_sync);
    weir_task const task = weir_config_task(f.config);
    assert_true(task.run(task.self, f.fake.now_ns) == WEIR_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_come_in_order_with_old_and_new_value),
        TEST(patterns_choose_names),
        TEST(a_prefix_and_a_glob_are_watched),
        TEST(a_watch_goes_on_from_a_revision),
        TEST(a_paused_watcher_loses_nothing_and_hears_nothing_twice),
        TEST(a_to_b_to_a_is_told_to_a_listener_that_failed),
        TEST(one_who_falls_too_far_behind_is_told_so),
        TEST(a_watcher_stops_within_its_own_callback),
        TEST(a_watcher_may_be_stopped_by_whoever_is_told_of_a_problem),
        TEST(a_read_within_a_callback_sees_the_change),
        TEST(rules_are_told_of),
        TEST(raw_changes_are_told_of_as_they_are),
        TEST(watches_are_checked),
        TEST(the_end_of_the_store_is_told),
    };
    return cmocka_run_group_tests_name("config_watch", tests, NULL, NULL);
}

/* A kv that answers later, fails, forgets or goes. */
#include "support/slow_config.h"

/* ---- Later ---- */

static void nothing_is_confirmed_before_all_was_read(void **state)
{
    (void)state;
    char value[8];
    int code;
    set("a", "1"), set("b", "2"), set("c", "3");
    slow.slow = true;
    f.options.page = 2;
    recreate();
    assert_int_equal(weir_config_get(f.config, "a", NULL, value, sizeof value, NULL), WEIR_EBUSY);
    assert_false(status().ready);
    assert_int_equal(weir_config_export(f.config, NULL, NULL, NULL), WEIR_EBUSY);
    assert_int_equal(weir_config_get_i64(f.config, "a", NULL, 7, &code), 7);
    assert_int_equal(code, WEIR_EBUSY);
    slow_range const first = slow.waiting[0];
    slow.count = 0;
    weir_kv_range range = first.range;
    range.keys.key.data = first.key;
    range.keys.end.data = first.end;
    assert_int_equal(slow.inner.range(slow.inner.self, &range, first.done, first.user), WEIR_OK);
    assert_value("a", "1"); /* Known already... */
    assert_int_equal(weir_config_get(f.config, "c", NULL, value, sizeof value, NULL), WEIR_EBUSY);
    answer_ranges(WEIR_OK);
    assert_value("c", "3");
    assert_value("d", NULL); /* ...and this is confirmed. */
    assert_true(status().in_sync);
}

static void a_failed_listing_is_tried_again(void **state)
{
    (void)state;
    weir_config *config;
    slow.fail = WEIR_ENOMEM;
    assert_int_equal(weir_config_create(&config, &f.options), WEIR_ENOMEM);
    slow.fail = WEIR_OK;
    set("a", "1");
    slow.slow = true;
    recreate();
    answer_ranges(WEIR_ESYSTEM);
    assert_false(status().ready);
    weir_task const task = weir_config_task(f.config);
    assert_int_equal(task.run(task.self, f.fake.now_ns), f.fake.now_ns + 1000 * MS);
    assert_int_equal(slow.count, 0);
    f.fake.now_ns += 1000 * MS;
    assert_true(task.run(task.self, f.fake.now_ns) == WEIR_NEVER);
    answer_ranges(WEIR_OK);
    assert_value("a", "1");
    assert_int_equal(status().syncs, 1);
}

static void a_change_that_cannot_be_kept_is_read_again_later(void **state)
{
    (void)state;
    bool lost = false;
    set("a", "1"), set("goes", "1"), set_in("two", "test", NULL, "1"), set("two", "2");
    for (unsigned n = 1; n < 20 && !lost; n++) {
        f.fake.fail_at = f.fake.calls + n;
        weir_kv_op const ops[] = {{.kind = WEIR_KV_PUT,
                                   .range = {.keys = {.key = weir_bytes_of("config/a")}},
                                   .value = weir_bytes_of("v=9 ms=1\nnew")},
                                  {.kind = WEIR_KV_DELETE,
                                   .range = {.keys = {.key = weir_bytes_of("config/goes")}}},
                                  {.kind = WEIR_KV_DELETE,
                                   .range = {.keys = {.key = weir_bytes_of("config/two@test")}}}};
        weir_kv_txn const txn = {.then_ops = ops, .then_count = 3};
        (void)slow.inner.txn(slow.inner.self, &txn, NULL, NULL);
        f.fake.fail_at = 0;
        lost = !status().in_sync;
    }
    assert_true(lost);
    assert_int_equal(f.sync_code, WEIR_ENOMEM);
    f.fake.now_ns += 1000 * MS;
    run_config();
    assert_true(status().in_sync);
    assert_int_equal(f.sync_code, WEIR_OK);
    assert_value("a", "new");
    assert_value("goes", NULL);
    weir_config_client const test = {.environment = "test"};
    assert_value_for(&test, "two", "2");
    assert_int_equal(status().names, 2);
    assert_int_equal(status().syncs, 2);
}

static void note_versions(const weir_config_versions *versions, void *user)
{
    *(int *)user = versions->code;
}

static bool read_within(const weir_config_event *event, void *user)
{
    weir_config_info info;
    char value[8];
    int const code = weir_config_get(f.config, event->value.name, NULL, value, sizeof value, &info);
    assert_true(code == WEIR_ENOTFOUND || info.revision >= event->revision);
    assert_true(code == WEIR_OK || event->kind == WEIR_CONFIG_DELETED ||
                event->kind == WEIR_CONFIG_RULE_GONE);
    ++*(int *)user;
    return true;
}

static void a_view_that_fell_behind_is_made_anew_at_once(void **state)
{
    (void)state;
    int told = 0;
    weir_config_watcher *watcher;
    weir_config_watch const asked = {.pattern = "**", .fn = read_within, .user = &told};
    set("a", "1"), set("goes", "1");
    assert_int_equal(weir_config_watch_start(&watcher, f.config, &asked), WEIR_OK);
    forget_history();
    assert_true(status().in_sync);
    assert_int_equal(status().syncs, 2);
    assert_int_equal(f.synced, 3); /* In sync, no longer, and again. */
    /* From now on the watcher is told before the view is, and what it reads is as new. */
    put_raw("config/a", "v=2 ms=1\nnew");
    delete_raw("config/goes");
    put_raw("config/b@@r", "v=1 ms=1 permille=1000 salt=r\ngray");
    delete_raw("config/b@@r");
    assert_int_equal(told, 4);
    assert_value("a", "new");
    assert_value("goes", NULL);
}

static void what_was_deleted_while_nobody_looked_is_gone(void **state)
{
    (void)state;
    weir_kv_watch_event const event = {.code = WEIR_ECOMPACTED};
    weir_config_client const test = {.environment = "test"};
    set("goes", "1"), set("stays", "1");
    set_in("two", "test", NULL, "1"), set("two", "2"), set_in("two", NULL, "blue", "3");
    for (unsigned n = 1; n < 60; n++) {
        slow.inner.unwatch(slow.inner.self, slow.watch_id);
        slow.watch_id = 0;
        delete_raw("config/goes");
        delete_raw("config/two@test");
        delete_raw("config/two@:blue");
        f.fake.fail_at = f.fake.calls + n;
        (void)slow.watch.fn(&event, slow.watch.user);
        f.fake.fail_at = 0;
        f.fake.now_ns += 1000 * MS;
        run_config(); /* If there was no memory. */
        assert_true(status().in_sync);
        assert_value("goes", NULL);
        assert_value("stays", "1");
        assert_value_for(&test, "two", "2");
        set("goes", "1");
        set_in("two", "test", NULL, "1"), set_in("two", NULL, "blue", "3");
        assert_value_for(&test, "two", "1");
    }
}

static void what_cannot_be_kept_ahead_of_the_view_is_read_again(void **state)
{
    (void)state;
    bool lost = false;
    weir_config_watcher *watcher;
    weir_config_watch const asked = {.pattern = "a", .fn = note_change, .user = &f};
    set("a", "1");
    assert_int_equal(weir_config_watch_start(&watcher, f.config, &asked), WEIR_OK);
    forget_history();
    for (unsigned n = 1; n < 20 && !lost; n++) {
        f.fake.fail_at = f.fake.calls + n;
        weir_kv_op const op = {.kind = WEIR_KV_PUT,
                               .range = {.keys = {.key = weir_bytes_of("config/a")}},
                               .value = weir_bytes_of("v=9 ms=1\nnew")};
        weir_kv_txn const txn = {.then_ops = &op, .then_count = 1};
        (void)slow.inner.txn(slow.inner.self, &txn, NULL, NULL);
        f.fake.fail_at = 0;
        lost = !status().in_sync;
    }
    assert_true(lost);
    f.fake.now_ns += 1000 * MS;
    run_config();
    assert_value("a", "new");
}

static void a_listing_that_cannot_be_begun_is_tried_again(void **state)
{
    (void)state;
    bool lost = false;
    set("a", "1");
    for (unsigned n = 1; n < 5 && !lost; n++) {
        f.fake.fail_at = f.fake.calls + n;
        forget_history();
        f.fake.fail_at = 0;
        lost = !status().in_sync;
        f.fake.fail_at = f.fake.calls + 1;
        f.fake.now_ns += 1000 * MS;
        run_config();
        f.fake.fail_at = 0;
        f.fake.now_ns += 1000 * MS;
        run_config();
        assert_true(status().in_sync);
    }
    assert_true(lost);
    assert_value("a", "1");
}

static int rule_moves(void)
{
    return weir_store_put(f.store, weir_bytes_of("config/a@@r"),
                          weir_bytes_of("v=2 ms=1 permille=1 salt=r env=live\nmoved"), 0, NULL);
}

static void a_rule_that_moves_meanwhile_is_promoted_where_it_went(void **state)
{
    (void)state;
    weir_config_rule const rule = {.name = "a",
                                   .rule = "r",
                                   .environment = "test",
                                   .value = weir_bytes_of("x")};
    assert_int_equal(weir_config_release(f.config, &rule, NULL, NULL, NULL), WEIR_OK);
    slow.before = rule_moves;
    assert_int_equal(weir_config_promote(f.config, "a", "r", note_end, &f.last), WEIR_OK);
    assert_true(f.last.succeeded);
    weir_config_client const live = {.environment = "live"};
    weir_config_client const test = {.environment = "test"};
    assert_value_for(&live, "a", "moved");
    assert_value_for(&test, "a", NULL);
}

static void a_write_that_fails_is_told(void **state)
{
    (void)state;
    int history = 1;
    slow.tell = WEIR_ESYSTEM;
    f.last = (outcome){.told = 0};
    assert_int_equal(weir_config_set(f.config, "a", "1", note_end, &f.last, NULL), WEIR_OK);
    assert_int_equal(f.last.told, 1);
    assert_int_equal(f.last.code, WEIR_ESYSTEM);
    slow.tell = WEIR_ESYSTEM;
    assert_int_equal(weir_config_delete(f.config, "a", NULL, NULL), WEIR_OK);
    slow.tell = WEIR_ESYSTEM;
    assert_int_equal(weir_config_history(f.config, "a", NULL, NULL, note_versions, &history),
                     WEIR_OK);
    assert_int_equal(history, WEIR_ESYSTEM);
}

static void answers_and_events_may_come_later(void **state)
{
    (void)state;
    watch("**", 0);
    f.last = (outcome){.told = 0};
    assert_int_equal(weir_config_set(f.config, "a", "1", note_end, &f.last, NULL), WEIR_OK);
    assert_int_equal(f.last.told, 0);
    assert_int_equal(f.changed, 0);
    assert_value("a", NULL);
    commit();
    assert_int_equal(f.last.told, 1);
    assert_int_equal(f.last.version, 1);
    assert_int_equal(f.changed, 1);
    assert_value("a", "1");
}

static void writes_before_the_first_answer_come_in_their_order(void **state)
{
    (void)state;
    outcome ends[5] = {{.told = 0}};
    static const char *const values[] = {"1", "2", "3", "4", "5"};
    watch("a", 0);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(weir_config_set(f.config, "a", values[i], note_end, &ends[i], NULL),
                         WEIR_OK);
    for (int i = 0; i < 20; i++)
        commit();
    uint64_t versions = 0;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(ends[i].told, 1);
        assert_int_equal(ends[i].code, WEIR_OK);
        assert_true(ends[i].succeeded);
        versions |= UINT64_C(1) << ends[i].version;
    }
    assert_int_equal(versions, 0x3e); /* 1 to 5, each once. */
    assert_int_equal(f.changed, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(f.changes[i].version, i + 1);
}

static int put_by_another(void)
{
    return weir_store_put(f.store, weir_bytes_of("config/a"), weir_bytes_of("v=5 ms=1\nother"), 0,
                          NULL);
}

static int put_without_end(void)
{
    static char record[64];
    static unsigned version = 10;
    slow.before = put_without_end;
    (void)snprintf(record, sizeof record, "v=%u ms=1\nother", version++);
    return weir_store_put(f.store, weir_bytes_of("config/a"), weir_bytes_of(record), 0, NULL);
}

static void another_who_writes_at_the_same_time_is_not_overwritten_unseen(void **state)
{
    (void)state;
    set("a", "1");
    slow.before = put_by_another;
    assert_int_equal(set("a", "2"), 6);
    assert_string_equal(raw("config-history/a::00000000000000000005").value, "v=5 ms=1\nother");
    slow.before = put_by_another;
    assert_int_equal(weir_config_compare_and_set(f.config, "a", 6, "x", note_end, &f.last, NULL),
                     WEIR_OK);
    assert_false(f.last.succeeded);
    assert_int_equal(f.last.current, 5);
    assert_string_equal(f.last.current_value, "other");
}

static void after_sixteen_others_it_gives_up(void **state)
{
    (void)state;
    slow.before = put_without_end;
    f.last = (outcome){.told = 0};
    assert_int_equal(weir_config_set(f.config, "a", "2", note_end, &f.last, NULL), WEIR_OK);
    slow.before = NULL;
    assert_int_equal(f.last.told, 1);
    assert_int_equal(f.last.code, WEIR_EBUSY);
}

static void what_the_kv_refuses_is_passed_on(void **state)
{
    (void)state;
    weir_config_change const change = {.name = "a", .value = {"1", 1}};
    slow.fail = WEIR_EREADONLY;
    assert_int_equal(weir_config_apply(f.config, &change, 1, note_end, &f.last, &f.error),
                     WEIR_EREADONLY);
    assert_int_equal(f.error.code, WEIR_EREADONLY);
    assert_int_equal(f.last.told, 0);
    static const char text[] = "{\"values\":[{\"name\":\"a\",\"value\":\"1\"}]}";
    assert_int_equal(weir_config_import(f.config, text, sizeof text - 1, note_end, &f.last, NULL),
                     WEIR_OK);
    assert_int_equal(f.last.code, WEIR_EREADONLY);
}

static void whoever_waits_is_told_when_the_config_goes(void **state)
{
    (void)state;
    int history = 1;
    outcome imported = {.told = 0};
    static const char text[] = "{\"values\":[{\"name\":\"b\",\"value\":\"1\"}]}";
    assert_int_equal(weir_config_set(f.config, "a", "1", note_end, &f.last, NULL), WEIR_OK);
    assert_int_equal(weir_config_import(f.config, text, sizeof text - 1, note_end, &imported, NULL),
                     WEIR_OK);
    assert_int_equal(weir_config_history(f.config, "a", NULL, NULL, note_versions, &history),
                     WEIR_OK);
    watch("**", 0);
    weir_config_destroy(f.config);
    f.config = NULL;
    assert_int_equal(f.last.told, 1);
    assert_int_equal(f.last.code, WEIR_ECLOSED);
    assert_int_equal(imported.code, WEIR_ECLOSED);
    commit(); /* It is written nevertheless: nobody is told. */
    assert_int_equal(f.last.told, 1);
    assert_int_equal(raw("config/a").count, 1);
}

static void a_listing_may_be_under_way_when_the_config_goes(void **state)
{
    (void)state;
    slow.slow = true;
    recreate();
    weir_config_destroy(f.config);
    f.config = NULL;
    answer_ranges(WEIR_OK);
}

static void versions_survive_the_store(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(weir_config_set(f.config, "a", "1", note_end, &f.last, NULL), WEIR_OK);
        commit();
    }
    assert_int_equal(weir_config_delete(f.config, "a", NULL, NULL), WEIR_OK);
    commit();
    weir_config_destroy(f.config);
    weir_store_destroy(f.store);
    assert_int_equal(weir_store_create(&f.store, &f.store_options, NULL), WEIR_OK);
    f.kv = weir_store_kv(f.store);
    assert_int_equal(weir_config_create(&f.config, &f.options), WEIR_OK);
    assert_value("a", NULL);
    assert_int_equal(weir_config_set(f.config, "a", "2", note_end, &f.last, NULL), WEIR_OK);
    commit();
    assert_int_equal(f.last.version, 5);
}

static void note_revisions(const weir_config_versions *versions, void *user)
{
    char *const out = user;
    assert_int_equal(versions->code, WEIR_OK);
    for (size_t i = 0; i < versions->count; i++)
        (void)sprintf(out + strlen(out), "%d:%d ", (int)versions->values[i].version,
                      (int)versions->values[i].revision);
}

static void a_former_version_tells_when_it_was_put(void **state)
{
    (void)state;
    char seen[128] = "";
    f.options.history = 2;
    recreate();
    (void)set("other", "x"); /* Revision 2. */
    (void)set("a", "1");
    (void)set("other", "y");
    (void)set("a", "2");
    (void)set("a", "3");
    assert_int_equal(weir_config_history(f.config, "a", NULL, NULL, note_revisions, seen), WEIR_OK);
    assert_string_equal(seen, "1:3 2:5 3:6 ");
    (void)set("a", "4"); /* The first is forgotten: when the second began is not known. */
    seen[0] = '\0';
    assert_int_equal(weir_config_history(f.config, "a", NULL, NULL, note_revisions, seen), WEIR_OK);
    assert_string_equal(seen, "2:0 3:6 4:7 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SLOW(nothing_is_confirmed_before_all_was_read),
        SLOW(a_failed_listing_is_tried_again),
        SLOW(a_change_that_cannot_be_kept_is_read_again_later),
        SLOW(a_view_that_fell_behind_is_made_anew_at_once),
        SLOW(what_was_deleted_while_nobody_looked_is_gone),
        SLOW(what_cannot_be_kept_ahead_of_the_view_is_read_again),
        SLOW(a_listing_that_cannot_be_begun_is_tried_again),
        SLOW(a_rule_that_moves_meanwhile_is_promoted_where_it_went),
        SLOW(a_write_that_fails_is_told),
        GROUP(answers_and_events_may_come_later),
        GROUP(writes_before_the_first_answer_come_in_their_order),
        SLOW(another_who_writes_at_the_same_time_is_not_overwritten_unseen),
        SLOW(after_sixteen_others_it_gives_up),
        SLOW(what_the_kv_refuses_is_passed_on),
        GROUP(whoever_waits_is_told_when_the_config_goes),
        SLOW(a_listing_may_be_under_way_when_the_config_goes),
        GROUP(versions_survive_the_store),
        TEST(a_former_version_tells_when_it_was_put),
    };
    return cmocka_run_group_tests_name("config_life", tests, NULL, NULL);
}

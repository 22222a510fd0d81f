/* A kv that answers later, fails, forgets or goes; allocations that fail, each in turn. */
#include "support/config_fixture.h"

#include <dirent.h>
#include <unistd.h>

/* A kv whose answers come when told: requests of ranges wait, and writes wait for their commit. */
typedef struct slow_range {
    weir_kv_range range;
    char key[700], end[200];
    weir_kv_result_fn done;
    void *user;
} slow_range;

static struct {
    weir_kv inner;
    bool slow;
    int fail; /* What range and txn say instead. */
    slow_range waiting[4];
    size_t count;
    int (*before)(void); /* Once, before the next transaction. */
} slow;

static int slow_range_fn(void *self, const weir_kv_range *range, weir_kv_result_fn done, void *user)
{
    if (slow.fail != WEIR_OK)
        return slow.fail;
    if (!slow.slow)
        return slow.inner.range(self, range, done, user);
    slow_range *const waits = &slow.waiting[slow.count++];
    *waits = (slow_range){.range = *range, .done = done, .user = user};
    memcpy(waits->key, range->keys.key.data, range->keys.key.size);
    waits->range.keys.key.data = waits->key;
    memcpy(waits->end, range->keys.end.data, range->keys.end.size);
    waits->range.keys.end.data = waits->end;
    return WEIR_OK;
}

static int slow_txn_fn(void *self, const weir_kv_txn *txn, weir_kv_result_fn done, void *user)
{
    int (*const before)(void) = slow.before;
    slow.before = NULL;
    if (before != NULL)
        assert_int_equal(before(), WEIR_OK);
    return slow.fail != WEIR_OK ? slow.fail : slow.inner.txn(self, txn, done, user);
}

static void answer_ranges(int code)
{
    while (slow.count > 0) {
        slow_range const waits = slow.waiting[--slow.count];
        weir_kv_range range = waits.range;
        range.keys.key.data = waits.key;
        range.keys.end.data = waits.end;
        weir_kv_result const failed = {.code = code};
        if (code != WEIR_OK)
            waits.done(&failed, waits.user);
        else
            assert_int_equal(slow.inner.range(slow.inner.self, &range, waits.done, waits.user),
                             WEIR_OK);
    }
}

static int setup_slow(void **state)
{
    memset(&slow, 0, sizeof slow);
    if (setup(state) != 0)
        return -1;
    weir_config_destroy(f.config);
    slow.inner = f.kv;
    f.kv.range = slow_range_fn;
    f.kv.txn = slow_txn_fn;
    f.synced = 0;
    return weir_config_create(&f.config, &f.options);
}

static char folder[64];

/* Commits come when told: writes are answered, and watchers told, then. */
static int setup_group(void **state)
{
    memset(&slow, 0, sizeof slow);
    (void)snprintf(folder, sizeof folder, "/tmp/weir-config-XXXXXX");
    if (setup(state) != 0 || mkdtemp(folder) == NULL)
        return -1;
    weir_config_destroy(f.config);
    weir_store_destroy(f.store);
    f.store_options.folder = folder;
    f.store_options.sync = WEIR_SYNC_GROUP;
    if (weir_store_create(&f.store, &f.store_options, NULL) != WEIR_OK)
        return -1;
    f.kv = weir_store_kv(f.store);
    return weir_config_create(&f.config, &f.options);
}

static int teardown_group(void **state)
{
    int const result = teardown(state);
    DIR *const dir = opendir(folder);
    for (const struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char name[400];
        (void)snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        (void)unlink(name);
    }
    (void)closedir(dir);
    (void)rmdir(folder);
    return result;
}

static void commit(void)
{
    assert_int_equal(weir_store_commit(f.store), WEIR_OK);
}

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

static void note_versions(const weir_config_versions *versions, void *user)
{
    *(int *)user = versions->code;
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

/* ---- Memory that runs out ---- */

static void sweep_create(void **state)
{
    (void)state;
    weir_config *config = NULL;
    set("a", "1"), set_in("a", "test", NULL, "2"), set("b", "3");
    recreate(); /* The store has made its room. */
    unsigned const live = f.fake.live;
    int code = WEIR_ENOMEM;
    for (unsigned n = 1; code == WEIR_ENOMEM; n++) {
        f.fake.fail_at = f.fake.calls + n;
        code = weir_config_create(&config, &f.options);
        f.fake.fail_at = 0;
        if (code != WEIR_OK) {
            assert_null(config);
            assert_int_equal(f.fake.live, live);
        }
    }
    assert_int_equal(code, WEIR_OK);
    weir_config_destroy(config);
}

typedef int (*attempt)(void);

static int try_set(void)
{
    return weir_config_set(f.config, "name", "value", note_end, &f.last, &f.error);
}

static int try_apply(void)
{
    weir_config_change const changes[] = {{.name = "a", .value = {"1", 1}},
                                          {.name = "b", .environment = "e", .value = {"2", 1}}};
    return weir_config_apply(f.config, changes, 2, note_end, &f.last, &f.error);
}

static int try_release(void)
{
    weir_config_rule const rule = {.name = "a", .rule = "r", .value = weir_bytes_of("gray")};
    return weir_config_release(f.config, &rule, note_end, &f.last, &f.error);
}

static int try_rollback(void)
{
    return weir_config_rollback(f.config, "old", NULL, NULL, 1, note_end, &f.last);
}

static int try_import(void)
{
    static const char text[] = "{\"values\":[{\"name\":\"i\",\"value\":\"1\"}],\"rules\":[{"
                               "\"name\":\"i\",\"rule\":\"r\",\"labels\":[\"x\"],\"hex\":\"ff\"}]}";
    return weir_config_import(f.config, text, sizeof text - 1, note_end, &f.last, &f.error);
}

static int try_history(void)
{
    f.last = (outcome){.told = 1};
    return weir_config_history(f.config, "old", NULL, NULL, note_versions, &f.last.code);
}

static void write_nowhere(const void *data, size_t size, void *user)
{
    (void)data;
    (void)size;
    f.last = (outcome){.told = 1};
    (void)user;
}

static int try_export(void)
{
    return weir_config_export(f.config, NULL, write_nowhere, NULL);
}

static int try_validator(void)
{
    static const char *const choices[] = {"x", "y"};
    weir_config_validator const validator = {.pattern = "none",
                                             .check = WEIR_CONFIG_CHECK_CHOICE,
                                             .choices = choices,
                                             .choice_count = 2};
    f.last = (outcome){.told = 1};
    return weir_config_add_validator(f.config, &validator, &f.error);
}

static int try_watch(void)
{
    weir_config_watcher *watcher;
    weir_config_watch const asked = {.pattern = "none", .fn = note_change, .user = &f};
    f.last = (outcome){.told = 1};
    return weir_config_watch_start(&watcher, f.config, &asked);
}

static int try_file(void)
{
    weir_config_file *file;
    weir_config_file_options options = WEIR_CONFIG_FILE_OPTIONS_INIT;
    options.path = "/none";
    options.source = "x";
    f.last = (outcome){.told = 1};
    int const code = weir_config_file_create(&file, f.config, &options);
    weir_config_file_destroy(file);
    return code;
}

static void pass_line(char mark, weir_bytes line, void *user)
{
    (void)mark;
    (void)line;
    (void)user;
}

static int try_diff(void)
{
    f.last = (outcome){.told = 1};
    return weir_config_diff(weir_bytes_of("a\nb"), weir_bytes_of("b\nc"), pass_line, NULL, &f.env);
}

/* Last: it can succeed but once. */
static int try_promote(void)
{
    return weir_config_promote(f.config, "promoted", "r", note_end, &f.last);
}

/* Each allocation fails in turn: an error now, or told; or success, and the view catches up. */
static void sweep(attempt try)
{
    for (unsigned n = 1; n < 500; n++) {
        f.last = (outcome){.told = 0};
        unsigned const calls = f.fake.calls;
        f.fake.fail_at = calls + n;
        int const code = try();
        bool const reached = f.fake.calls >= f.fake.fail_at;
        f.fake.fail_at = 0;
        if (!status().in_sync) { /* The view gave up on a change that the kv has. */
            f.fake.now_ns += 1000 * MS;
            run_config();
            assert_true(status().in_sync);
        }
        run_store();
        if (code != WEIR_OK)
            assert_int_equal(code, WEIR_ENOMEM);
        else
            assert_int_equal(f.last.told, 1);
        if (code == WEIR_OK && !reached)
            return;
        assert_true(f.last.code == WEIR_OK || f.last.code == WEIR_ENOMEM ||
                    f.last.code == WEIR_ENOTFOUND);
    }
    fail_msg("it never succeeds");
}

static void every_write_survives_every_failed_allocation(void **state)
{
    (void)state;
    static const attempt attempts[] = {try_set,      try_apply,   try_release, try_import,
                                       try_rollback, try_history, try_export,  try_validator,
                                       try_watch,    try_file,    try_diff,    try_promote};
    weir_config_rule const rule = {.name = "promoted", .rule = "r", .value = weir_bytes_of("x")};
    weir_config_validator const regex = {.pattern = "*",
                                         .check = WEIR_CONFIG_CHECK_REGEX,
                                         .regex = "."};
    assert_int_equal(weir_config_release(f.config, &rule, NULL, NULL, NULL), WEIR_OK);
    assert_int_equal(weir_config_add_validator(f.config, &regex, NULL), WEIR_OK);
    set("old", "1"), set("old", "2");
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++)
        sweep(attempts[i]);
}

int main(void)
{
#define SLOW(name)  cmocka_unit_test_setup_teardown(name, setup_slow, teardown)
#define GROUP(name) cmocka_unit_test_setup_teardown(name, setup_group, teardown_group)
    const struct CMUnitTest tests[] = {
        SLOW(nothing_is_confirmed_before_all_was_read),
        SLOW(a_failed_listing_is_tried_again),
        SLOW(a_change_that_cannot_be_kept_is_read_again_later),
        GROUP(answers_and_events_may_come_later),
        GROUP(writes_before_the_first_answer_come_in_their_order),
        SLOW(another_who_writes_at_the_same_time_is_not_overwritten_unseen),
        SLOW(after_sixteen_others_it_gives_up),
        SLOW(what_the_kv_refuses_is_passed_on),
        GROUP(whoever_waits_is_told_when_the_config_goes),
        SLOW(a_listing_may_be_under_way_when_the_config_goes),
        GROUP(versions_survive_the_store),
        TEST(sweep_create),
        TEST(every_write_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("config_life", tests, NULL, NULL);
}

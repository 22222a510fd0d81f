/* Configuration when memory runs out, each allocation in turn; a file whose loads end later. */
#include "support/slow_config.h"

static void note_versions(const weir_config_versions *versions, void *user)
{
    *(int *)user = versions->code;
}

/* ---- A file, where answers come later ---- */

static unsigned loads;
static weir_config_file_event last_load;

static void note_load(const weir_config_file_event *event, void *user)
{
    (void)user;
    loads++;
    last_load = *event;
}

static weir_config_file *open_source(const char *path, const char *text)
{
    weir_config_file *file;
    weir_config_file_options options = WEIR_CONFIG_FILE_OPTIONS_INIT;
    FILE *const out = fopen(path, "wb");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    loads = 0;
    options.path = path;
    options.source = "x";
    options.environment = "test";
    options.label = "blue";
    options.on_load = note_load;
    assert_int_equal(weir_config_file_create(&file, f.config, &options), WEIR_OK);
    return file;
}

static void run_file(weir_config_file *file)
{
    weir_task const task = weir_config_file_task(file);
    f.fake.now_ns += 1000 * MS;
    (void)task.run(task.self, f.fake.now_ns);
    (void)task.run(task.self, f.fake.now_ns); /* Too soon: nothing. */
}

static void a_load_is_told_of_once_it_is_in_force(void **state)
{
    (void)state;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/app.conf", folder);
    weir_config_file *file = open_source(path, "a = 1\nb = 2\n");
    run_file(file);
    run_file(file);
    assert_int_equal(loads, 0);
    commit();
    assert_int_equal(loads, 1);
    assert_int_equal(last_load.changed, 2);
    weir_config_file_destroy(file);
    file = open_source(path, "a = 3\n");
    run_file(file);
    weir_config_file_destroy(file); /* While its answer is yet to come. */
    commit();
    assert_int_equal(loads, 0);
    weir_config_client const blue = {.environment = "test", .label = "blue"};
    assert_value_for(&blue, "a", "3");
    assert_value_for(&blue, "b", NULL);
}

static void a_load_that_the_kv_fails_is_tried_again(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-config-XXXXXX";
    int const fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    weir_config_file *const file = open_source(path, "a = 1");
    slow.tell = WEIR_ESYSTEM;
    run_file(file);
    assert_int_equal(last_load.error.code, WEIR_ESYSTEM);
    run_file(file);
    assert_int_equal(last_load.error.code, WEIR_OK);
    assert_int_equal(loads, 2);
    weir_config_file_destroy(file);
    (void)unlink(path);
}

static void a_load_survives_every_failed_allocation(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-config-XXXXXX";
    int const fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    static char large[9000];
    const char *const texts[] = {"a = 1\nb = 2\n", "{\"a\":1,\"c\":\"x\"}", large};
    memset(large, 'x', sizeof large - 1);
    memcpy(large, "a = 1\nl = ", 10);
    for (size_t i = 0; i < 3; i++) {
        weir_config_file *const file = open_source(path, texts[i]);
        last_load.error.code = WEIR_ENOMEM;
        for (unsigned n = 1; last_load.error.code != WEIR_OK; n++) {
            f.fake.fail_at = f.fake.calls + n;
            run_file(file);
            f.fake.fail_at = 0;
            assert_true(last_load.error.code == WEIR_OK || last_load.error.code == WEIR_ENOMEM);
            f.fake.now_ns += 1000 * MS;
            run_config(); /* If the view could not take it. */
        }
        weir_config_client const blue = {.environment = "test", .label = "blue"};
        assert_value_for(&blue, "a", "1");
        assert_value_for(&blue, "b", i == 0 ? "2" : NULL);
        weir_config_file_destroy(file);
    }
    (void)unlink(path);
}

/* ---- Memory that runs out ---- */

static void sweep_create(void **state)
{
    (void)state;
    weir_config *config = NULL;
    char name[300];
    memset(name, 'n', sizeof name);
    name[299] = '\0';
    set(name, "1");
    f.options.page = 1;
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
    char name[300]; /* Longer than what a text begins with. */
    memset(name, 'n', sizeof name);
    name[299] = '\0';
    return weir_config_history(f.config, name, NULL, NULL, note_versions, &f.last.code);
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
    const struct CMUnitTest tests[] = {
        GROUP(a_load_is_told_of_once_it_is_in_force),
        SLOW(a_load_that_the_kv_fails_is_tried_again),
        TEST(a_load_survives_every_failed_allocation),
        TEST(sweep_create),
        TEST(every_write_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("config_memory", tests, NULL, NULL);
}

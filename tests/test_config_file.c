/* A file as a source, and documents: atomic saves, bad files, what goes from the file, export and
 * import. Files are real, in a folder of their own; time is not. */
#include "support/config_fixture.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64];
static char path[96];
static weir_config_file *file;
static weir_config_file_options file_options;
static unsigned loads;
static weir_config_file_event last_load;

static void note_load(const weir_config_file_event *event, void *user)
{
    (void)user;
    loads++;
    last_load = *event;
}

static void write_to(const char *name, const char *text)
{
    FILE *const out = fopen(name, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, strlen(text), out), strlen(text));
    assert_int_equal(fclose(out), 0);
}

/* Editors and deployments: another file, renamed over it. */
static void save(const char *text)
{
    char other[128];
    (void)snprintf(other, sizeof other, "%s.new", path);
    write_to(other, text);
    assert_int_equal(rename(other, path), 0);
}

static int setup_file(void **state)
{
    (void)snprintf(folder, sizeof folder, "/tmp/weir-config-XXXXXX");
    if (setup(state) != 0 || mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/app.conf", folder);
    file_options = (weir_config_file_options)WEIR_CONFIG_FILE_OPTIONS_INIT;
    file_options.path = path;
    file_options.source = "app";
    file_options.on_load = note_load;
    file_options.settle_ms = 0;
    loads = 0;
    return 0;
}

static int teardown_file(void **state)
{
    weir_config_file_destroy(file);
    file = NULL;
    (void)unlink(path);
    (void)rmdir(folder);
    return teardown(state);
}

static void open_file(void)
{
    weir_config_file_destroy(file);
    assert_int_equal(weir_config_file_create(&file, f.config, &file_options), WEIR_OK);
}

/* Looks, an interval later. */
static void look(void)
{
    weir_task const task = weir_config_file_task(file);
    f.fake.now_ns += file_options.interval_ms * MS;
    (void)task.run(task.self, f.fake.now_ns);
}

static void destroy_file(const weir_config_file_event *event, void *user)
{
    note_load(event, user);
    weir_config_file_destroy(file);
    file = NULL;
}

static void a_file_may_be_destroyed_in_its_own_callback(void **state)
{
    static const char *const texts[] = {"a = 1\n", "no line of any kind\n", NULL};
    (void)state;
    file_options.on_load = destroy_file;
    for (size_t i = 0; i < 3; i++) {
        if (texts[i] != NULL)
            write_to(path, texts[i]);
        else
            (void)unlink(path);
        open_file();
        weir_task const task = weir_config_file_task(file);
        f.fake.now_ns += file_options.interval_ms * MS;
        assert_true(task.run(task.self, f.fake.now_ns) == WEIR_NEVER);
        assert_int_equal(loads, i + 1);
        assert_null(file);
    }
}

static void lines_are_names_and_values(void **state)
{
    (void)state;
    write_to(path, "# limits\n\n a = 1 \r\nb=two words\n\tc = x=y\nd =\ne = # no comment");
    open_file();
    look();
    assert_int_equal(loads, 1);
    assert_int_equal(last_load.error.code, WEIR_OK);
    assert_int_equal(last_load.changed, 5);
    assert_value("a", "1");
    assert_value("b", "two words");
    assert_value("c", "x=y");
    assert_value("d", "");
    assert_value("e", "# no comment");
    look();
    assert_int_equal(loads, 1);
}

static void a_json_object_is_names_and_values(void **state)
{
    (void)state;
    write_to(path, " {\"a\":\"x\\n\",\"b\":1.5,\"c\":true,\"d\":{\"k\": [1]},\"e\":[],\"f\":null}");
    open_file();
    look();
    assert_int_equal(last_load.error.code, WEIR_OK);
    assert_value("a", "x\n");
    assert_value("b", "1.5");
    assert_value("c", "true");
    assert_value("d", "{\"k\": [1]}");
    assert_value("e", "[]");
    assert_value("f", "null");
}

/* viper#1026, koanf#271: after an atomic save the watch is on a file that is gone. */
static void a_file_that_is_renamed_over_is_followed_again_and_again(void **state)
{
    (void)state;
    char value[16];
    save("a = 0");
    open_file();
    look();
    for (unsigned i = 1; i <= 5; i++) {
        char text[16];
        (void)snprintf(value, sizeof value, "%u", i);
        (void)snprintf(text, sizeof text, "a = %u", i);
        save(text);
        look();
        assert_value("a", value);
    }
    assert_int_equal(loads, 6);
}

static void a_link_that_points_elsewhere_is_followed(void **state)
{
    (void)state;
    char one[128], two[128], link[128];
    (void)snprintf(one, sizeof one, "%s/one", folder);
    (void)snprintf(two, sizeof two, "%s/two", folder);
    (void)snprintf(link, sizeof link, "%s/link", folder);
    write_to(one, "a = 1");
    write_to(two, "a = 2");
    assert_int_equal(symlink(one, path), 0);
    open_file();
    look();
    assert_value("a", "1");
    assert_int_equal(symlink(two, link), 0); /* As Kubernetes swaps a ConfigMap. */
    assert_int_equal(rename(link, path), 0);
    look();
    assert_value("a", "2");
    (void)unlink(one);
    (void)unlink(two);
}

static void a_file_that_is_missing_for_a_while_is_waited_for(void **state)
{
    (void)state;
    open_file();
    look();
    look();
    assert_int_equal(loads, 1); /* Told once. */
    assert_int_equal(last_load.error.code, WEIR_ESYSTEM);
    save("a = 1");
    look();
    assert_value("a", "1");
    (void)unlink(path);
    look();
    assert_int_equal(loads, 3);
    assert_value("a", "1"); /* Not there is no wish that nothing be there. */
    save("a = 2");
    look();
    assert_value("a", "2");
}

static void a_bad_file_changes_nothing_and_is_told_once(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        size_t line;
    } bad[] = {
        {"b = 1\nno value\n", WEIR_EPROTOCOL, 2},
        {"b = 1\n = 2\n", WEIR_EINVAL, 0},
        {"b = 1\nb = 2\n", WEIR_EINVAL, 0},
        {"{\"b\":1,\n\"c\":}", WEIR_EPROTOCOL, 2},
        {"{\"b\":1,\"b\":2}", WEIR_EINVAL, 0},
        {"{\"b\\u0000\":1}", WEIR_EINVAL, 0},
        {"{\"b\":1} x", WEIR_EPROTOCOL, 1},
        {"b = 1\nlimit = much\n", WEIR_EINVAL, 0},
        {"b = 0123456789012345678901234567890123456789\n", WEIR_ETOOLARGE, 0},
    };
    weir_config_validator const number = {.pattern = "limit",
                                          .check = WEIR_CONFIG_CHECK_INTEGER,
                                          .max = 9};
    assert_int_equal(weir_config_add_validator(f.config, &number, NULL), WEIR_OK);
    file_options.max_bytes = 40;
    save("a = 1");
    open_file();
    look();
    uint64_t const before = weir_store_revision(f.store);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        save(bad[i].text);
        look();
        look();
        assert_int_equal(loads, i + 2);
        assert_int_equal(last_load.error.code, bad[i].code);
        assert_int_equal(last_load.error.line, bad[i].line);
        assert_true(last_load.error.message[0] != '\0');
    }
    assert_int_equal(weir_store_revision(f.store), before);
    save("a = 2");
    look();
    assert_value("a", "2");
    assert_value("b", NULL);
}

static void what_is_no_regular_file_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    open_file();
    look();
    assert_int_equal(last_load.error.code, WEIR_EINVAL);
    assert_int_equal(rmdir(path), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int const fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    look();
    assert_int_equal(last_load.error.code, WEIR_ESYSTEM); /* It cannot be opened. */
    assert_int_equal(close(fd), 0);
}

static void what_goes_is_deleted_across_a_restart(void **state)
{
    (void)state;
    set("hand", "x");
    set_in("a", "test", NULL, "other layer");
    save("a = 1\nb = 2\nc = 3");
    open_file();
    look();
    save("a = 1\nc = 4");
    look();
    assert_int_equal(last_load.changed, 2);
    assert_value("b", NULL);
    weir_config_file_destroy(file);
    file = NULL;
    recreate();
    save("a = 1");
    open_file();
    look();
    assert_int_equal(last_load.changed, 1);
    assert_value("a", "1");
    assert_value("c", NULL);
    assert_value("hand", "x");
    weir_config_client const test = {.environment = "test"};
    assert_value_for(&test, "a", "other layer");
}

static void a_file_has_a_layer(void **state)
{
    (void)state;
    file_options.environment = "test";
    file_options.label = "blue";
    save("a = 1");
    open_file();
    look();
    weir_config_client const both = {.environment = "test", .label = "blue"};
    assert_value_for(&both, "a", "1");
    assert_value("a", NULL);
    save("");
    look();
    assert_value_for(&both, "a", NULL);
}

static void a_file_that_is_being_written_is_left_to_settle(void **state)
{
    (void)state;
    file_options.settle_ms = 1500;
    save("a = 1");
    open_file();
    look();
    assert_value("a", "1"); /* At first at once. */
    write_to(path, "a = 2\n");
    look();
    assert_value("a", "1");
    write_to(path, "a = 2\nb");
    look();
    assert_value("a", "1");
    assert_int_equal(loads, 1);
    write_to(path, "a = 2\nb = 3");
    look();
    look();
    look();
    assert_value("a", "2");
    assert_int_equal(loads, 2);
}

static void a_long_file_goes_in_batches(void **state)
{
    (void)state;
    char text[4096] = "";
    size_t used = 0;
    for (int i = 0; i < 200; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "n%d = %d\n", i, i);
    save(text);
    open_file();
    look();
    assert_int_equal(last_load.changed, 200);
    assert_int_equal(status().names, 200);
    assert_value("n199", "199");
}

static void file_options_are_checked(void **state)
{
    (void)state;
    weir_config_file *made;
#define FILE_REFUSED(field, bad)                                                                   \
    do {                                                                                           \
        weir_config_file_options options = file_options;                                           \
        options.field = bad;                                                                       \
        assert_int_equal(weir_config_file_create(&made, f.config, &options), WEIR_EINVAL);         \
        assert_null(made);                                                                         \
    } while (0)
    FILE_REFUSED(struct_size, 1);
    FILE_REFUSED(path, NULL);
    FILE_REFUSED(path, "");
    FILE_REFUSED(source, NULL);
    FILE_REFUSED(source, "");
    FILE_REFUSED(source, "a b");
    FILE_REFUSED(environment, "a b");
    FILE_REFUSED(label, "");
    FILE_REFUSED(interval_ms, 0);
    FILE_REFUSED(interval_ms, 86400001);
    FILE_REFUSED(settle_ms, 60001);
    FILE_REFUSED(max_bytes, 0);
    FILE_REFUSED(max_bytes, (UINT64_C(64) << 20) + 1);
    assert_int_equal(weir_config_file_create(&made, f.config, NULL), WEIR_EINVAL);
    weir_config_file_destroy(NULL);
}

/* ---- Documents ---- */

static char document[4096];
static size_t document_size;

static void note_part(const void *data, size_t size, void *user)
{
    (void)user;
    assert_true(document_size + size < sizeof document);
    memcpy(document + document_size, data, size);
    document_size += size;
    document[document_size] = '\0';
}

static void export(const char *pattern)
{
    document_size = 0;
    assert_int_equal(weir_config_export(f.config, pattern, note_part, NULL), WEIR_OK);
}

static int import(const char *text)
{
    f.last = (outcome){.told = 0};
    return weir_config_import(f.config, text, strlen(text), note_end, &f.last, &f.error);
}

static void fill(void)
{
    static const char *const labels[] = {"zone=a", "x"};
    weir_config_rule const rule = {.name = "a",
                                   .rule = "r",
                                   .environment = "test",
                                   .priority = 3,
                                   .permille = 50,
                                   .salt = "s",
                                   .labels = labels,
                                   .label_count = 2,
                                   .value = weir_bytes_of("gray")};
    weir_config_change const binary = {.name = "c", .value = {"\xff\0\x10", 3}, .source = "app"};
    set("b", "line\n\"quoted\"");
    set("a", "1");
    set_in("a", "test", "blue", "2");
    apply(&binary, 1);
    set("gone", "x");
    delete ("gone");
    assert_int_equal(weir_config_release(f.config, &rule, NULL, NULL, NULL), WEIR_OK);
}

static const char expected_document[] =
    "{\"revision\":8,\"values\":[\n"
    "{\"name\":\"a\",\"environment\":\"test\",\"label\":\"blue\",\"value\":\"2\"},\n"
    "{\"name\":\"a\",\"value\":\"1\"},\n"
    "{\"name\":\"b\",\"value\":\"line\\n\\\"quoted\\\"\"},\n"
    "{\"name\":\"c\",\"source\":\"app\",\"hex\":\"ff0010\"}],\n"
    "\"rules\":[\n"
    "{\"name\":\"a\",\"rule\":\"r\",\"environment\":\"test\",\"priority\":3,\"permille\":50,"
    "\"salt\":\"s\",\"labels\":[\"zone=a\",\"x\"],\"value\":\"gray\"}]}\n";

static void a_snapshot_is_a_document_in_order(void **state)
{
    (void)state;
    fill();
    export(NULL);
    assert_string_equal(document, expected_document);
    export("none/**");
    assert_string_equal(document, "{\"revision\":8,\"values\":[],\n\"rules\":[]}\n");
    export("b");
    assert_string_equal(document,
                        "{\"revision\":8,\"values\":[\n"
                        "{\"name\":\"b\",\"value\":\"line\\n\\\"quoted\\\"\"}],\n\"rules\":[]}\n");
}

static void an_import_puts_all_that_a_document_has(void **state)
{
    (void)state;
    f.options.batch = 2;
    recreate();
    set("b", "other");
    set("stays", "x");
    assert_int_equal(import(expected_document), WEIR_OK);
    assert_int_equal(f.last.told, 1);
    assert_int_equal(f.last.code, WEIR_OK);
    assert_true(f.last.succeeded);
    assert_value("b", "line\n\"quoted\"");
    assert_value("stays", "x");
    delete ("stays");
    export(NULL);
    assert_string_equal(document + strlen("{\"revision\":7"),
                        expected_document + strlen("{\"revision\":8"));
    uint64_t const before = weir_store_revision(f.store);
    assert_int_equal(import("{\"values\":[{\"name\":\"a\",\"value\":\"1\"}],\"more\":[{}]}"),
                     WEIR_OK);
    assert_int_equal(f.last.told, 1);
    assert_int_equal(weir_store_revision(f.store), before); /* It is so already. */
}

static void a_document_without_values_is_imported_at_once(void **state)
{
    (void)state;
    assert_int_equal(import("{}"), WEIR_OK);
    assert_int_equal(f.last.told, 1);
    assert_true(f.last.succeeded);
    assert_int_equal(weir_store_revision(f.store), 1);
}

static void a_bad_document_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } bad[] = {
        {"", WEIR_EPROTOCOL},
        {"[]", WEIR_EPROTOCOL},
        {"{\"values\":{}}", WEIR_EPROTOCOL},
        {"{\"values\":[{\"name\":\"x\",\"value\":\"1\"},{\"name\":\"y\"}]}", WEIR_EPROTOCOL},
        {"{\"values\":[{\"value\":\"1\"}]}", WEIR_EPROTOCOL},
        {"{\"values\":[{\"name\":1,\"value\":\"1\"}]}", WEIR_EPROTOCOL},
        {"{\"values\":[{\"name\":\"x\",\"value\":1}]}", WEIR_EPROTOCOL},
        {"{\"values\":[{\"name\":\"x\",\"hex\":\"f\"}]}", WEIR_EPROTOCOL},
        {"{\"values\":[{\"name\":\"x\",\"hex\":\"fg\"}]}", WEIR_EPROTOCOL},
        {"{\"values\":[{\"name\":\"x\",\"hex\":1}]}", WEIR_EPROTOCOL},
        {"{\"values\":[{\"name\":\"x\",\"vaule\":\"1\"}]}", WEIR_EPROTOCOL},
        {"{\"values\":[{\"name\":\"x\",\"rule\":\"1\"}]}", WEIR_EPROTOCOL},
        {"{\"values\":[{\"name\":\"x\\u0000\",\"value\":\"1\"}]}", WEIR_EPROTOCOL},
        {"{\"values\":[{\"name\":\"x\",\"value\":\"1\"}]} x", WEIR_EPROTOCOL},
        {"{\"values\":[{\"name\":\"x y\",\"value\":\"1\"}]}", WEIR_EINVAL},
        {"{\"values\":[{\"name\":\"x\",\"value\":\"1\"},{\"name\":\"x\",\"value\":\"2\"}]}",
         WEIR_EINVAL},
        {"{\"values\":[{\"name\":\"x\",\"value\":\"1\"},{\"name\":\"limit\",\"value\":\"x\"}]}",
         WEIR_EINVAL},
        {"{\"rules\":[{\"name\":\"x\",\"value\":\"1\"}]}", WEIR_EPROTOCOL},
        {"{\"rules\":[{\"name\":\"x\",\"rule\":\"r\",\"value\":\"1\",\"permille\":1001}]}",
         WEIR_EPROTOCOL},
        {"{\"rules\":[{\"name\":\"x\",\"rule\":\"r\",\"value\":\"1\",\"labels\":[\"a,b\"]}]}",
         WEIR_EPROTOCOL},
        {"{\"rules\":[{\"name\":\"x\",\"rule\":\"r\",\"value\":\"1\",\"labels\":[\"a\",\"\"]}]}",
         WEIR_EINVAL},
        {"{\"rules\":[{\"name\":\"x\",\"rule\":\"r\",\"value\":\"1\",\"labels\":"
         "[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}]}",
         WEIR_EINVAL},
        {"{\"rules\":[{\"name\":\"x\",\"rule\":\"r\",\"value\":\"1\",\"labels\":[\"1\",\"2\",\"3\","
         "\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\","
         "\"17\"]}]}",
         WEIR_EINVAL},
    };
    weir_config_validator const number = {.pattern = "limit",
                                          .check = WEIR_CONFIG_CHECK_INTEGER,
                                          .max = 9};
    assert_int_equal(weir_config_add_validator(f.config, &number, NULL), WEIR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(import(bad[i].text), bad[i].code);
        assert_true(f.error.message[0] != '\0');
        assert_int_equal(f.last.told, 0);
    }
    assert_int_equal(weir_config_import(f.config, "{", 1, NULL, NULL, NULL), WEIR_EPROTOCOL);
    assert_int_equal(weir_store_revision(f.store), 1);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_file, teardown_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(a_file_may_be_destroyed_in_its_own_callback),
        FILE_TEST(lines_are_names_and_values),
        FILE_TEST(a_json_object_is_names_and_values),
        FILE_TEST(a_file_that_is_renamed_over_is_followed_again_and_again),
        FILE_TEST(a_link_that_points_elsewhere_is_followed),
        FILE_TEST(a_file_that_is_missing_for_a_while_is_waited_for),
        FILE_TEST(a_bad_file_changes_nothing_and_is_told_once),
        FILE_TEST(what_is_no_regular_file_is_refused),
        FILE_TEST(what_goes_is_deleted_across_a_restart),
        FILE_TEST(a_file_has_a_layer),
        FILE_TEST(a_file_that_is_being_written_is_left_to_settle),
        FILE_TEST(a_long_file_goes_in_batches),
        FILE_TEST(file_options_are_checked),
        TEST(a_snapshot_is_a_document_in_order),
        TEST(an_import_puts_all_that_a_document_has),
        TEST(a_document_without_values_is_imported_at_once),
        TEST(a_bad_document_changes_nothing),
    };
    return cmocka_run_group_tests_name("config_file", tests, NULL, NULL);
}

/* The configuration center: records, versions, layers, reads, writes, transactions. */
#include "support/config_fixture.h"

static void a_name_without_value_is_confirmed_to_have_none(void **state)
{
    (void)state;
    assert_value("a", NULL);
    assert_true(status().in_sync && status().ready);
    assert_int_equal(f.synced, 1);
    assert_int_equal(f.sync_code, WEIR_OK);
}

static void what_is_set_is_read_with_version_and_revision(void **state)
{
    (void)state;
    char value[8];
    weir_config_info info;
    assert_int_equal(set("a", "one"), 1);
    assert_int_equal(set("a", "two"), 2);
    assert_int_equal(weir_config_get(f.config, "a", NULL, value, sizeof value, &info), WEIR_OK);
    assert_string_equal(value, "two");
    assert_int_equal(info.size, 3);
    assert_int_equal(info.version, 2);
    assert_int_equal(info.revision, 3); /* The first revision of a store is 2. */
    assert_int_equal(info.modified_ms, 9000);
    assert_int_equal(info.layer, WEIR_CONFIG_DEFAULT);
    assert_int_equal(f.last.revision, 3);
}

static void a_record_is_a_line_and_the_value(void **state)
{
    (void)state;
    weir_config_change const change = {.name = "orders/limit",
                                       .value = {"a\nb", 3},
                                       .source = "ops-1.x_y"};
    apply(&change, 1);
    assert_string_equal(raw("config/orders/limit").value, "v=1 ms=9000 by=ops-1.x_y\na\nb");
    set_in("orders/limit", "test", NULL, "2");
    set_in("orders/limit", "test", "blue", "3");
    set_in("orders/limit", NULL, "blue", "4");
    assert_string_equal(raw("config/orders/limit@test").value, "v=1 ms=9000\n2");
    assert_string_equal(raw("config/orders/limit@test:blue").value, "v=1 ms=9000\n3");
    assert_string_equal(raw("config/orders/limit@:blue").value, "v=1 ms=9000\n4");
    delete ("orders/limit");
    assert_string_equal(raw("config/orders/limit").value, "v=2 ms=9000 deleted\n");
    assert_string_equal(raw("config-history/orders/limit::00000000000000000001").value,
                        "v=1 ms=9000 by=ops-1.x_y\na\nb");
}

static void what_others_put_is_read_too(void **state)
{
    (void)state;
    put_raw("config/a", "v=7 ms=1 later=unknown\nx");
    assert_value("a", "x");
    assert_int_equal(set("a", "y"), 8);
    recreate();
    assert_value("a", "y");
}

static void what_is_no_record_changes_nothing_and_is_told(void **state)
{
    (void)state;
    static const char *const bad[] = {"5",
                                      "",
                                      "v=0 ms=1\nx",
                                      "v=x ms=1\nx",
                                      "ms=1\nx",
                                      "\nx",
                                      "v=2 ms=z\nx",
                                      "v=2 permille=1001\nx",
                                      "v=2 priority=4294967296\nx"};
    set("a", "good");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_raw("config/a", bad[i]);
        assert_int_equal(f.problems, i + 1);
        assert_value("a", "good");
    }
    assert_string_equal(f.error.name, "a");
    put_raw("config/a@b@c", "v=1 ms=1\nx");
    put_raw("config/@b", "v=1 ms=1\nx");
    put_raw("config/a@", "v=1 ms=1\nx");
    put_raw("config/a@e:", "v=1 ms=1\nx");
    put_raw("config/a b", "v=1 ms=1\nx");
    assert_int_equal(status().problems, 9 + 5);
    f.options.on_problem = NULL;
    f.options.on_sync = NULL;
    recreate();
    assert_int_equal(status().problems, 1 + 5);
}

static void values_are_any_bytes(void **state)
{
    (void)state;
    static const char bytes[] = "a\0b\n\xff";
    char value[16];
    weir_config_info info;
    weir_config_change const change = {.name = "a", .value = {bytes, sizeof bytes - 1}};
    apply(&change, 1);
    assert_int_equal(weir_config_get(f.config, "a", NULL, value, sizeof value, &info), WEIR_OK);
    assert_int_equal(info.size, 5);
    assert_memory_equal(value, bytes, 6);
    assert_int_equal(set("a", ""), 2);
    assert_value("a", "");
}

static void a_value_that_does_not_fit_says_how_large_it_is(void **state)
{
    (void)state;
    char value[4] = "zz";
    weir_config_info info;
    set("a", "four");
    assert_int_equal(weir_config_get(f.config, "a", NULL, value, sizeof value, &info),
                     WEIR_ETOOLARGE);
    assert_int_equal(info.size, 4);
    assert_string_equal(value, "zz");
    assert_int_equal(weir_config_get(f.config, "a", NULL, NULL, 0, NULL), WEIR_ETOOLARGE);
}

static void versions_go_on_across_deletions_and_restarts(void **state)
{
    (void)state;
    assert_int_equal(set("a", "1"), 1);
    delete ("a");
    assert_int_equal(f.last.version, 2);
    assert_value("a", NULL);
    recreate();
    assert_value("a", NULL);
    assert_int_equal(status().names, 0);
    assert_int_equal(status().entries, 1);
    assert_int_equal(set("a", "2"), 3);
    assert_int_equal(status().names, 1);
}

static void deleting_what_is_not_there_changes_nothing(void **state)
{
    (void)state;
    delete ("a");
    assert_true(f.last.succeeded);
    assert_int_equal(f.last.version, 0);
    assert_int_equal(weir_store_revision(f.store), 1);
    set("a", "1");
    delete ("a");
    delete ("a");
    assert_int_equal(f.last.version, 0);
    assert_int_equal(weir_store_revision(f.store), 3);
}

static void compare_and_set(uint64_t version, const char *value)
{
    f.last = (outcome){.told = 0};
    assert_int_equal(weir_config_compare_and_set(f.config, "a", version, value, note_end, &f.last,
                                                 NULL),
                     WEIR_OK);
    assert_int_equal(f.last.told, 1);
    assert_int_equal(f.last.code, WEIR_OK);
}

static void a_failed_comparison_is_an_answer_with_the_current_value(void **state)
{
    (void)state;
    compare_and_set(1, "x");
    assert_false(f.last.succeeded);
    assert_int_equal(f.last.current, 0);
    compare_and_set(0, "one");
    assert_true(f.last.succeeded);
    assert_int_equal(f.last.version, 1);
    compare_and_set(0, "two");
    assert_false(f.last.succeeded);
    assert_int_equal(f.last.current, 1);
    assert_string_equal(f.last.current_value, "one");
    compare_and_set(1, "two");
    assert_true(f.last.succeeded);
    assert_value("a", "two");
    delete ("a");
    compare_and_set(3, "x"); /* The version of a deletion is nothing to compare with. */
    assert_false(f.last.succeeded);
    compare_and_set(0, "four");
    assert_true(f.last.succeeded);
    assert_int_equal(f.last.version, 4);
}

static void a_transaction_changes_all_or_nothing(void **state)
{
    (void)state;
    set("c", "0");
    weir_config_change changes[] = {
        {.name = "a", .value = {"1", 1}},
        {.name = "b", .environment = "test", .value = {"2", 1}},
        {.name = "c", .remove = true, .compare = true, .version = 9},
    };
    apply(changes, 3);
    assert_int_equal(f.last.code, WEIR_OK);
    assert_false(f.last.succeeded);
    assert_int_equal(f.last.current, 1);
    assert_value("a", NULL);
    assert_value("c", "0");
    changes[2].version = 1;
    uint64_t const before = weir_store_revision(f.store);
    apply(changes, 3);
    assert_true(f.last.succeeded);
    assert_int_equal(weir_store_revision(f.store), before + 1);
    assert_value("a", "1");
    assert_value("c", NULL);
    weir_config_client const test = {.environment = "test"};
    assert_value_for(&test, "b", "2");
    assert_value("b", NULL);
}

static void a_transaction_names_each_layer_once(void **state)
{
    (void)state;
    weir_config_change const changes[] = {{.name = "a", .value = {"1", 1}},
                                          {.name = "b", .value = {"2", 1}},
                                          {.name = "a", .value = {"3", 1}}};
    assert_int_equal(weir_config_apply(f.config, changes, 3, note_end, &f.last, &f.error),
                     WEIR_EINVAL);
    assert_string_equal(f.error.name, "a");
    assert_int_equal(f.last.told, 0);
    assert_int_equal(weir_config_apply(f.config, changes, 0, NULL, NULL, &f.error), WEIR_EINVAL);
    assert_int_equal(weir_config_apply(f.config, changes, 0, NULL, NULL, NULL), WEIR_EINVAL);
    assert_int_equal(weir_store_revision(f.store), 1);
}

static void a_large_transaction_names_each_layer_once_too(void **state)
{
    (void)state;
    static char names[41][16];
    weir_config_change changes[41];
    for (size_t i = 0; i < 41; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%zu", i % 40);
        changes[i] = (weir_config_change){.name = names[i], .value = {"1", 1}};
    }
    assert_int_equal(weir_config_apply(f.config, changes, 41, NULL, NULL, &f.error), WEIR_EINVAL);
    assert_string_equal(f.error.name, "n0");
    apply(changes, 40);
    assert_true(f.last.succeeded);
    assert_value("n39", "1");
}

static void names_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a@b", "a:b", "a b", "a\n", "a\x7f", "a$b", "a{b", "a}b"};
    char longest[WEIR_CONFIG_NAME_SIZE + 1];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        weir_config_change const name = {.name = bad[i]};
        weir_config_change const environment = {.name = "a", .environment = bad[i]};
        weir_config_change const label = {.name = "a", .label = bad[i]};
        assert_int_equal(weir_config_apply(f.config, &name, 1, NULL, NULL, &f.error), WEIR_EINVAL);
        assert_string_equal(f.error.message, "not a name");
        assert_int_equal(weir_config_apply(f.config, &environment, 1, NULL, NULL, &f.error),
                         WEIR_EINVAL);
        assert_string_equal(f.error.message, "not an environment");
        assert_int_equal(weir_config_apply(f.config, &label, 1, NULL, NULL, &f.error), WEIR_EINVAL);
        assert_string_equal(f.error.message, "not a label");
    }
    weir_config_change const source = {.name = "a", .source = "b c"};
    assert_int_equal(weir_config_apply(f.config, &source, 1, NULL, NULL, &f.error), WEIR_EINVAL);
    weir_config_change const none = {.name = NULL};
    assert_int_equal(weir_config_apply(f.config, &none, 1, NULL, NULL, &f.error), WEIR_EINVAL);
    memset(longest, 'a', sizeof longest);
    longest[WEIR_CONFIG_NAME_SIZE] = '\0';
    assert_int_equal(weir_config_set(f.config, longest, "x", NULL, NULL, NULL), WEIR_EINVAL);
    longest[WEIR_CONFIG_NAME_SIZE - 1] = '\0';
    assert_int_equal(weir_config_set(f.config, longest, "x", NULL, NULL, NULL), WEIR_OK);
    assert_value(longest, "x");
}

static void layers_are_asked_from_the_narrowest_on(void **state)
{
    (void)state;
    weir_config_client const nobody = {.environment = NULL};
    weir_config_client const labelled = {.label = "blue"};
    weir_config_client const test = {.environment = "test"};
    weir_config_client const both = {.environment = "test", .label = "blue"};
    weir_config_client const other = {.environment = "live", .label = "red"};
    set_in("a", "test", "blue", "both");
    assert_value_for(&both, "a", "both");
    assert_value_for(&test, "a", NULL);
    assert_value_for(&labelled, "a", NULL);
    set_in("a", NULL, NULL, "default");
    set_in("a", NULL, "blue", "label");
    assert_value_for(&both, "a", "both");
    assert_value_for(&test, "a", "default");
    assert_value_for(&labelled, "a", "label");
    set_in("a", "test", NULL, "environment");
    assert_value_for(&both, "a", "both");
    assert_value_for(&test, "a", "environment");
    assert_value_for(&nobody, "a", "default");
    assert_value_for(&other, "a", "default");
    weir_config_change gone = {.name = "a", .environment = "test", .label = "blue", .remove = true};
    apply(&gone, 1);
    assert_value_for(&both, "a", "environment"); /* Environment before label. */
    gone.label = NULL;
    apply(&gone, 1);
    assert_value_for(&both, "a", "label");
    weir_config_info info;
    char value[16];
    assert_int_equal(weir_config_get(f.config, "a", &both, value, sizeof value, &info), WEIR_OK);
    assert_int_equal(info.layer, WEIR_CONFIG_LABEL);
    assert_int_equal(status().names, 1);
}

static void the_process_has_a_client_of_its_own(void **state)
{
    (void)state;
    static const char *const labels[] = {"zone=a", "canary"};
    f.options.client = (weir_config_client){
        .environment = "test", .label = "blue", .id = "me", .labels = labels, .label_count = 2};
    recreate();
    set("a", "default");
    set_in("a", "test", NULL, "test");
    assert_value("a", "test");
    weir_config_client const nobody = {.environment = NULL};
    assert_value_for(&nobody, "a", "default");
}

static void typed_reads_fall_back_and_say_why(void **state)
{
    (void)state;
    int code;
    char text[8];
    set("t", "true"), set("off", "off"), set("n", "-9223372036854775808"), set("r", "2.5e-1");
    set("d", "1m30s"), set("bad", "1x"), set("big", "9223372036854775808"), set("min", "-");
    assert_true(weir_config_get_bool(f.config, "t", NULL, false, &code));
    assert_int_equal(code, WEIR_OK);
    assert_false(weir_config_get_bool(f.config, "off", NULL, true, NULL));
    assert_true(weir_config_get_bool(f.config, "bad", NULL, true, &code));
    assert_int_equal(code, WEIR_EPROTOCOL);
    assert_true(weir_config_get_bool(f.config, "none", NULL, true, &code));
    assert_int_equal(code, WEIR_ENOTFOUND);
    assert_true(weir_config_get_i64(f.config, "n", NULL, 5, &code) == INT64_MIN);
    assert_int_equal(weir_config_get_i64(f.config, "big", NULL, 5, &code), 5);
    assert_int_equal(code, WEIR_EPROTOCOL);
    assert_int_equal(weir_config_get_i64(f.config, "min", NULL, 5, NULL), 5);
    assert_true(weir_config_get_double(f.config, "r", NULL, 1, &code) == 0.25);
    assert_true(weir_config_get_double(f.config, "d", NULL, 1.5, &code) == 1.5);
    assert_int_equal(weir_config_get_duration(f.config, "d", NULL, 1, &code), 90000 * MS);
    assert_int_equal(weir_config_get_duration(f.config, "n", NULL, 7, &code), 7);
    assert_string_equal(weir_config_get_string(f.config, "t", NULL, "no", text, sizeof text, &code),
                        "true");
    assert_string_equal(weir_config_get_string(f.config, "none", NULL, "fallback", text,
                                               sizeof text, &code),
                        "fallbac");
    assert_int_equal(code, WEIR_ENOTFOUND);
    assert_string_equal(weir_config_get_string(f.config, "n", NULL, "no", text, sizeof text, &code),
                        "no");
    assert_int_equal(code, WEIR_ETOOLARGE);
    weir_config_change const nul = {.name = "nul", .value = {"a\0b", 3}};
    apply(&nul, 1);
    assert_string_equal(weir_config_get_string(f.config, "nul", NULL, "no", text, sizeof text,
                                               NULL),
                        "no");
}

static bool count_visit(const char *name, weir_bytes value, const weir_config_info *info,
                        void *user)
{
    assert_memory_equal(value.data, name, value.size);
    assert_int_equal(info->version, 1);
    return --*(int *)user != 0;
}

static void a_thousand_names_are_all_found_and_visited(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "%s/%d", i % 2 == 0 ? "even" : "odd", i);
        set(name, name);
    }
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "%s/%d", i % 2 == 0 ? "even" : "odd", i);
        assert_value(name, name);
    }
    int left = -1;
    weir_config_visit(f.config, NULL, NULL, count_visit, &left);
    assert_int_equal(left, -1001);
    left = -1;
    weir_config_visit(f.config, "odd/", NULL, count_visit, &left);
    assert_int_equal(left, -501);
    left = 3;
    weir_config_visit(f.config, NULL, NULL, count_visit, &left);
    assert_int_equal(left, 0);
    assert_int_equal(status().names, 1000);
    f.options.page = 7;
    recreate();
    assert_int_equal(status().names, 1000);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "%s/%d", i % 2 == 0 ? "even" : "odd", i);
        assert_value(name, name);
    }
}

static void a_raw_deletion_is_one_and_the_version_goes_on(void **state)
{
    (void)state;
    set("a", "1");
    set("a", "2");
    delete_raw("config/a");
    assert_value("a", NULL);
    assert_int_equal(set("a", "3"), 3);
    assert_value("a", "3");
}

static void options_are_checked(void **state)
{
    (void)state;
    static const char *const null_label[] = {NULL};
    char root[200];
    weir_config *config;
    memset(root, 'r', sizeof root);
    root[199] = '\0';
#define REFUSED(field, bad)                                                                        \
    do {                                                                                           \
        weir_config_options options = f.options;                                                   \
        options.field = bad;                                                                       \
        assert_int_equal(weir_config_create(&config, &options), WEIR_EINVAL);                      \
        assert_null(config);                                                                       \
    } while (0)
    REFUSED(struct_size, 1);
    REFUSED(kv, NULL);
    REFUSED(root, "");
    REFUSED(root, NULL);
    REFUSED(root, root);
    REFUSED(history_root, "");
    REFUSED(history_root, "config/history/");
    REFUSED(root, "config-");
    REFUSED(history, 1001);
    REFUSED(batch, 0);
    REFUSED(batch, 100001);
    REFUSED(page, 0);
    REFUSED(page, 100001);
    REFUSED(retry_ms, 0);
    REFUSED(retry_ms, 86400001);
    REFUSED(client.label_count, 1);
    REFUSED(client.label_count, 65);
    weir_env bad = f.env;
    bad.struct_size = 1;
    REFUSED(env, &bad);
    weir_config_options labels = f.options;
    labels.client.labels = null_label;
    labels.client.label_count = 1;
    assert_int_equal(weir_config_create(&config, &labels), WEIR_EINVAL);
    assert_int_equal(weir_config_create(&config, NULL), WEIR_EINVAL);
    weir_config_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_without_value_is_confirmed_to_have_none),
        TEST(what_is_set_is_read_with_version_and_revision),
        TEST(a_record_is_a_line_and_the_value),
        TEST(what_others_put_is_read_too),
        TEST(what_is_no_record_changes_nothing_and_is_told),
        TEST(values_are_any_bytes),
        TEST(a_value_that_does_not_fit_says_how_large_it_is),
        TEST(versions_go_on_across_deletions_and_restarts),
        TEST(deleting_what_is_not_there_changes_nothing),
        TEST(a_failed_comparison_is_an_answer_with_the_current_value),
        TEST(a_transaction_changes_all_or_nothing),
        TEST(a_transaction_names_each_layer_once),
        TEST(a_large_transaction_names_each_layer_once_too),
        TEST(names_are_checked),
        TEST(layers_are_asked_from_the_narrowest_on),
        TEST(the_process_has_a_client_of_its_own),
        TEST(typed_reads_fall_back_and_say_why),
        TEST(a_thousand_names_are_all_found_and_visited),
        TEST(a_raw_deletion_is_one_and_the_version_goes_on),
        TEST(options_are_checked),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}

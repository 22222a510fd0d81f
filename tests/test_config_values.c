/* What becomes of values: history, differences, gray releases, validators, templates. */
#include "support/config_fixture.h"

/* ---- History ---- */

typedef struct history {
    int code;
    size_t count;
    uint64_t versions[16];
    char values[16][32];
    bool deleted[16], found;
} history;

static void note_history(const weir_config_versions *versions, void *user)
{
    history *const out = user;
    out->code = versions->code;
    out->count = versions->count;
    for (size_t i = 0; i < versions->count && i < 16; i++) {
        out->versions[i] = versions->values[i].version;
        out->deleted[i] = versions->values[i].deleted;
        copy_text(out->values[i], sizeof out->values[i], versions->values[i].value);
    }
    const weir_config_value *const third = weir_config_at_version(versions, 3);
    out->found = third != NULL && third->version == 3;
}

static history read_history(const char *name, const char *environment, const char *label)
{
    history out = {.code = 1};
    assert_int_equal(weir_config_history(f.config, name, environment, label, note_history, &out),
                     WEIR_OK);
    assert_int_equal(out.code, WEIR_OK);
    return out;
}

static void history_is_kept_within_its_bound(void **state)
{
    (void)state;
    static const char *const values[] = {"1", "2", "3", "4", "5"};
    f.options.history = 3;
    recreate();
    for (size_t i = 0; i < 5; i++) {
        set("a/b", values[i]);
        set("a", values[i]); /* The beginning of the other's name, and of its history's keys. */
    }
    delete ("a");
    history const a = read_history("a", NULL, NULL);
    assert_int_equal(a.count, 4);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(a.versions[i], i + 3);
        assert_string_equal(a.values[i], values[i + 2]);
    }
    assert_int_equal(a.versions[3], 6);
    assert_true(a.deleted[3]);
    assert_true(a.found);
    assert_int_equal(read_history("a/b", NULL, NULL).count, 4);
    assert_int_equal(read_history("none", NULL, NULL).count, 0);
    assert_false(read_history("none", NULL, NULL).found);
}

static void history_survives_compaction_and_a_restart(void **state)
{
    (void)state;
    set_in("a", "test", "blue", "1");
    set_in("a", "test", "blue", "2");
    assert_int_equal(weir_store_compact(f.store, weir_store_revision(f.store)), WEIR_OK);
    recreate();
    history const a = read_history("a", "test", "blue");
    assert_int_equal(a.count, 2);
    assert_string_equal(a.values[0], "1");
}

static void a_bound_that_shrinks_takes_what_is_beyond_it(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        set("a", "x");
    f.options.history = 1;
    recreate();
    set("a", "y");
    assert_int_equal(read_history("a", NULL, NULL).count, 2);
    f.options.history = 0;
    recreate();
    set("a", "z");
    history const a = read_history("a", NULL, NULL);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.versions[0], 8);
}

static void rollback(uint64_t version)
{
    f.last = (outcome){.told = 0};
    assert_int_equal(weir_config_rollback(f.config, "a", NULL, NULL, version, note_end, &f.last),
                     WEIR_OK);
    assert_int_equal(f.last.told, 1);
}

static void a_rollback_is_a_new_version(void **state)
{
    (void)state;
    set("a", "one");
    set("a", "two");
    delete ("a");
    rollback(1);
    assert_int_equal(f.last.code, WEIR_OK);
    assert_int_equal(f.last.version, 4);
    assert_value("a", "one");
    rollback(3); /* A deletion. */
    assert_int_equal(f.last.code, WEIR_ENOTFOUND);
    rollback(99);
    assert_int_equal(f.last.code, WEIR_ENOTFOUND);
    assert_value("a", "one");
    weir_config_validator const two = {.pattern = "a",
                                       .check = WEIR_CONFIG_CHECK_REGEX,
                                       .regex = "^two$"};
    assert_int_equal(weir_config_add_validator(f.config, &two, NULL), WEIR_OK);
    rollback(1);
    assert_int_equal(f.last.code, WEIR_EINVAL);
    assert_string_equal(f.last.name, "a");
    rollback(2);
    assert_value("a", "two");
    assert_int_equal(weir_config_rollback(f.config, "@", NULL, NULL, 1, NULL, NULL), WEIR_EINVAL);
    assert_int_equal(weir_config_history(f.config, "@", NULL, NULL, note_history, NULL),
                     WEIR_EINVAL);
    assert_int_equal(weir_config_history(f.config, "a", NULL, NULL, NULL, NULL), WEIR_EINVAL);
}

/* ---- Differences ---- */

static char told_diff[8192];

static void note_line(char mark, weir_bytes line, void *user)
{
    (void)user;
    size_t const used = strlen(told_diff);
    (void)snprintf(told_diff + used, sizeof told_diff - used, "%c%.*s\n", mark, (int)line.size,
                   line.size > 0 ? (const char *)line.data : "");
}

static void expect_diff(const char *from, const char *to, const char *expected)
{
    told_diff[0] = '\0';
    assert_int_equal(weir_config_diff(weir_bytes_of(from), weir_bytes_of(to), note_line, NULL,
                                      &f.env),
                     WEIR_OK);
    assert_string_equal(told_diff, expected);
}

static void a_difference_has_as_few_lines_as_possible(void **state)
{
    (void)state;
    expect_diff("", "", "");
    expect_diff("a\nb\nc\n", "a\nb\nc\n", " a\n b\n c\n");
    expect_diff("a\nb\nc", "a\nx\nc", " a\n-b\n+x\n c\n");
    expect_diff("", "a\n\nb", "+a\n+\n+b\n");
    expect_diff("a\nb", "", "-a\n-b\n");
    expect_diff("a\nb\nc\nd\ne", "b\nd\nx\ne", "-a\n b\n-c\n d\n+x\n e\n");
    expect_diff("x\na\ny", "b\nx\ny\nc\nz", "+b\n x\n-a\n y\n+c\n+z\n");
    assert_int_equal(weir_config_diff((weir_bytes){"", 0}, (weir_bytes){"", 0}, NULL, NULL, NULL),
                     WEIR_EINVAL);
}

static unsigned marks[256];

static void count_mark(char mark, weir_bytes line, void *user)
{
    (void)line;
    (void)user;
    marks[(unsigned char)mark]++;
}

static void a_long_difference_is_bounded(void **state)
{
    (void)state;
    static char from[8192], to[8192];
    size_t const lines = 1001;
    for (size_t i = 0; i < lines; i++) {
        (void)snprintf(from + 4 * i, 5, "%03zu\n", i % 1000);
        (void)snprintf(to + 4 * i, 5, "%03zu\n", (i + 1) % 1000);
    }
    memset(marks, 0, sizeof marks);
    assert_int_equal(weir_config_diff(weir_bytes_of(from), weir_bytes_of(to), count_mark, NULL,
                                      NULL),
                     WEIR_OK);
    assert_int_equal(marks['-'], 1001); /* Over 1000 on either side: all old, then all new. */
    assert_int_equal(marks['+'], 1001);
    memset(marks, 0, sizeof marks);
    assert_int_equal(weir_config_diff((weir_bytes){from, 4000}, (weir_bytes){to, 4000}, count_mark,
                                      NULL, NULL),
                     WEIR_OK);
    assert_int_equal(marks['-'], 1); /* 000 goes from the front... */
    assert_int_equal(marks['+'], 1); /* ...and comes at the end. */
    assert_int_equal(marks[' '], 999);
}

/* ---- Gray releases ---- */

static void release(const weir_config_rule *rule)
{
    f.last = (outcome){.told = 0};
    assert_int_equal(weir_config_release(f.config, rule, note_end, &f.last, &f.error), WEIR_OK);
    assert_int_equal(f.last.code, WEIR_OK);
}

static void rules_take_clients_by_labels_and_environment(void **state)
{
    (void)state;
    static const char *const wanted[] = {"zone=a", "canary"};
    static const char *const has[] = {"x", "canary", "zone=a"};
    weir_config_rule const rule = {.name = "a",
                                   .rule = "r",
                                   .environment = "test",
                                   .labels = wanted,
                                   .label_count = 2,
                                   .permille = 1000,
                                   .value = weir_bytes_of("gray")};
    set("a", "all");
    release(&rule);
    weir_config_client client = {.environment = "test", .labels = has, .label_count = 3};
    assert_value_for(&client, "a", "gray");
    client.label_count = 2;
    assert_value_for(&client, "a", "all");
    client = (weir_config_client){.labels = has, .label_count = 3};
    assert_value_for(&client, "a", "all");
    recreate(); /* All processes agree: it is in the kv. */
    client.environment = "test";
    assert_value_for(&client, "a", "gray");
    assert_string_equal(
        raw("config/a@@r").value,
        "v=1 ms=9000 priority=0 permille=1000 salt=r env=test labels=zone=a,canary\ngray");
}

static unsigned takers(unsigned clients)
{
    unsigned count = 0;
    for (unsigned i = 0; i < clients; i++) {
        char id[16];
        char value[16];
        (void)snprintf(id, sizeof id, "%u", i);
        weir_config_client const client = {.id = id};
        assert_int_equal(weir_config_get(f.config, "a", &client, value, sizeof value, NULL),
                         WEIR_OK);
        count += strcmp(value, "gray") == 0;
    }
    return count;
}

static void a_share_of_clients_is_taken_and_stays_in_while_it_grows(void **state)
{
    (void)state;
    weir_config_rule rule = {.name = "a",
                             .rule = "r",
                             .permille = 0,
                             .value = weir_bytes_of("gray")};
    bool in[200] = {false};
    set("a", "all");
    release(&rule);
    assert_int_equal(takers(2000), 0);
    for (rule.permille = 100; rule.permille <= 1000; rule.permille += 300) {
        release(&rule);
        unsigned const expected = 2000 * rule.permille / 1000;
        unsigned const count = takers(2000);
        assert_in_range(count, expected - expected / 5, expected + expected / 5);
        for (unsigned i = 0; i < 200; i++) {
            char id[16];
            weir_config_info info;
            (void)snprintf(id, sizeof id, "%u", i);
            weir_config_client const client = {.id = id};
            char value[16];
            assert_int_equal(weir_config_get(f.config, "a", &client, value, sizeof value, &info),
                             WEIR_OK);
            bool const gray = info.layer == WEIR_CONFIG_GRAY;
            assert_true(gray || !in[i]);
            in[i] = gray;
        }
    }
    rule.permille = 999; /* Who has no id is in no share. */
    release(&rule);
    assert_value("a", "all");
    rule.permille = 1000;
    release(&rule);
    assert_value("a", "gray");
    assert_int_equal(f.last.version, 7); /* How often the rule was put. */
}

static void the_highest_priority_is_asked_first(void **state)
{
    (void)state;
    weir_config_rule rule = {.name = "a", .rule = "m", .permille = 1000};
    static const struct {
        const char *rule, *value;
        uint32_t priority;
    } rules[] = {{"m", "low", 1}, {"z", "high z", 9}, {"b", "high b", 9}, {"a", "none", 0}};
    for (size_t i = 0; i < 4; i++) {
        rule.rule = rules[i].rule;
        rule.priority = rules[i].priority;
        rule.value = weir_bytes_of(rules[i].value);
        release(&rule);
    }
    static const char *const expected[] = {"high b", "high z", "low", "none"};
    static const char *const order[] = {"b", "z", "m", "a"};
    for (size_t i = 0; i < 4; i++) {
        assert_value("a", expected[i]);
        assert_int_equal(weir_config_abandon(f.config, "a", order[i], note_end, &f.last), WEIR_OK);
        assert_int_equal(f.last.code, WEIR_OK);
    }
    assert_value("a", NULL);
    assert_int_equal(raw("config/a@@m").count, 0);
}

static void promoting_puts_the_value_and_takes_the_rule_away(void **state)
{
    (void)state;
    weir_config_rule rule = {.name = "a",
                             .rule = "r",
                             .permille = 1,
                             .value = weir_bytes_of("gray")};
    set("a", "all");
    release(&rule);
    uint64_t const before = weir_store_revision(f.store);
    assert_int_equal(weir_config_promote(f.config, "a", "r", note_end, &f.last), WEIR_OK);
    assert_true(f.last.succeeded);
    assert_int_equal(f.last.version, 2);
    assert_int_equal(weir_store_revision(f.store), before + 1);
    assert_value("a", "gray");
    rule.environment = "test";
    rule.value = weir_bytes_of("tested");
    release(&rule);
    recreate();
    assert_int_equal(weir_config_promote(f.config, "a", "r", note_end, &f.last), WEIR_OK);
    assert_true(f.last.succeeded);
    assert_int_equal(f.last.version, 1); /* The first of that layer. */
    weir_config_client const test = {.environment = "test"};
    assert_value_for(&test, "a", "tested");
    assert_value("a", "gray");
    assert_int_equal(weir_config_promote(f.config, "a", "r", note_end, &f.last), WEIR_OK);
    assert_int_equal(f.last.code, WEIR_ENOTFOUND);
    assert_int_equal(weir_config_abandon(f.config, "a", "r", note_end, &f.last), WEIR_OK);
    assert_int_equal(f.last.code, WEIR_ENOTFOUND);
    release(&rule); /* The same id again. */
    assert_value_for(&test, "a", "tested");
}

static void a_rule_that_another_put_is_promoted_where_it_says(void **state)
{
    (void)state;
    put_raw("config/a@@r", "v=1 ms=1 priority=0 permille=1 salt=r env=live\nx");
    assert_int_equal(weir_config_promote(f.config, "a", "r", note_end, &f.last), WEIR_OK);
    assert_true(f.last.succeeded);
    weir_config_client const live = {.environment = "live"};
    assert_value_for(&live, "a", "x");
    assert_value("a", NULL);
}

static void rules_are_checked(void **state)
{
    (void)state;
    static const char *const blank[] = {"a b"};
    static const char *const comma[] = {"a,b"};
    static const char *const null[] = {NULL};
    static const char *const empty[] = {""};
    static const char *const latin1[] = {"caf\xe9"};
    weir_config_rule const good = {.name = "a", .rule = "r"};
    weir_config_rule bad[10];
    for (size_t i = 0; i < 10; i++)
        bad[i] = good;
    bad[0].name = NULL;
    bad[1].rule = NULL;
    bad[2].rule = "a:b";
    bad[3].permille = 1001;
    bad[4].salt = "a b";
    bad[5].environment = "a@b";
    bad[6].labels = blank, bad[6].label_count = 1;
    bad[7].labels = comma, bad[7].label_count = 1;
    bad[8].labels = null, bad[8].label_count = 1;
    bad[9].labels = empty, bad[9].label_count = 17;
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(weir_config_release(f.config, &bad[i], NULL, NULL, &f.error), WEIR_EINVAL);
    bad[9].label_count = 1;
    assert_int_equal(weir_config_release(f.config, &bad[9], NULL, NULL, NULL), WEIR_EINVAL);
    bad[9].labels = latin1;
    assert_int_equal(weir_config_release(f.config, &bad[9], NULL, NULL, NULL), WEIR_EINVAL);
    bad[9].labels = NULL;
    assert_int_equal(weir_config_release(f.config, &bad[9], NULL, NULL, NULL), WEIR_EINVAL);
    assert_int_equal(weir_config_promote(f.config, "a", NULL, NULL, NULL), WEIR_EINVAL);
    assert_int_equal(weir_config_abandon(f.config, "a", NULL, NULL, NULL), WEIR_EINVAL);
    assert_int_equal(weir_store_revision(f.store), 1);
}

/* ---- Validators ---- */

static void expect_refused(const char *name, const char *value, const char *message)
{
    assert_int_equal(weir_config_set(f.config, name, value, NULL, NULL, &f.error), WEIR_EINVAL);
    assert_int_equal(f.error.code, WEIR_EINVAL);
    assert_string_equal(f.error.name, name);
    assert_string_equal(f.error.message, message);
}

static bool even_size(const char *name, weir_bytes value, char *reason, void *user)
{
    assert_string_equal(name, "custom");
    if (user != NULL)
        (void)snprintf(reason, 128, "%zu bytes", value.size);
    return value.size % 2 == 0;
}

static void validators_refuse_with_key_and_reason(void **state)
{
    (void)state;
    static const char *const colours[] = {"red", "green"};
    weir_config_validator const validators[] = {
        {.pattern = "*/limit", .check = WEIR_CONFIG_CHECK_INTEGER, .min = -5, .max = 100},
        {.pattern = "*/wait",
         .check = WEIR_CONFIG_CHECK_DURATION,
         .min = 1000000,
         .max = 1000000000},
        {.pattern = "colour",
         .check = WEIR_CONFIG_CHECK_CHOICE,
         .choices = colours,
         .choice_count = 2},
        {.pattern = "name", .check = WEIR_CONFIG_CHECK_REGEX, .regex = "^[a-z]+$"},
        {.pattern = "json", .check = WEIR_CONFIG_CHECK_JSON},
        {.pattern = "custom", .check = WEIR_CONFIG_CHECK_CUSTOM, .fn = even_size, .user = &f},
    };
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(weir_config_add_validator(f.config, &validators[i], &f.error), WEIR_OK);
    expect_refused("a/limit", "101", "not an integer from -5 to 100");
    expect_refused("a/limit", "-6", "not an integer from -5 to 100");
    expect_refused("a/limit", "1.5", "not an integer from -5 to 100");
    expect_refused("a/limit", "", "not an integer from -5 to 100");
    expect_refused("a/wait", "2s", "not a duration from 1000000 ns to 1000000000 ns: too large");
    expect_refused("colour", "blue", "not one of red, green");
    expect_refused("name", "A", "does not match ^[a-z]+$");
    expect_refused("json", "{", "not JSON: the text ends too soon, line 1, byte 1");
    expect_refused("custom", "odd", "3 bytes");
    weir_config_change const nul = {.name = "name", .value = {"a\0b", 3}};
    assert_int_equal(weir_config_apply(f.config, &nul, 1, NULL, NULL, &f.error), WEIR_EINVAL);
    weir_config_change const two[] = {{.name = "x", .value = {"1", 1}},
                                      {.name = "a/limit", .environment = "e", .value = {"x", 1}}};
    assert_int_equal(weir_config_apply(f.config, two, 2, NULL, NULL, NULL), WEIR_EINVAL);
    weir_config_rule const rule = {.name = "json", .rule = "r", .value = weir_bytes_of("]")};
    assert_int_equal(weir_config_release(f.config, &rule, NULL, NULL, NULL), WEIR_EINVAL);
    assert_int_equal(weir_store_revision(f.store), 1);
    set("a/limit", "-5"), set("a/wait", "1ms"), set("colour", "green"), set("name", "abc");
    set("json", "{\"a\":[1]}"), set("custom", "even"), set("limit", "x");
    delete ("a/limit");
}

static void a_value_of_nothing_is_an_empty_one(void **state)
{
    (void)state;
    weir_config_validator const json = {.pattern = "json", .check = WEIR_CONFIG_CHECK_JSON};
    weir_config_validator const any = {.pattern = "any",
                                       .check = WEIR_CONFIG_CHECK_REGEX,
                                       .regex = "^$"};
    weir_config_change change = {.name = "json", .value = {NULL, 0}};
    assert_int_equal(weir_config_add_validator(f.config, &json, NULL), WEIR_OK);
    assert_int_equal(weir_config_add_validator(f.config, &any, NULL), WEIR_OK);
    assert_int_equal(weir_config_apply(f.config, &change, 1, NULL, NULL, NULL), WEIR_EINVAL);
    change.name = "any";
    apply(&change, 1);
    assert_value("any", "");
    weir_config_rule const rule = {.name = "any", .rule = "r", .permille = 1000};
    release(&rule);
    assert_value("any", "");
    change.value.size = 1; /* Of NULL. */
    assert_int_equal(weir_config_apply(f.config, &change, 1, NULL, NULL, NULL), WEIR_EINVAL);
}

static void validators_are_checked(void **state)
{
    (void)state;
    static const char *const null[] = {NULL};
    weir_config_validator const bad[] = {
        {.check = WEIR_CONFIG_CHECK_JSON},
        {.pattern = "a", .check = WEIR_CONFIG_CHECK_INTEGER, .min = 1, .max = 0},
        {.pattern = "a", .check = WEIR_CONFIG_CHECK_DURATION, .min = -1, .max = 0},
        {.pattern = "a", .check = WEIR_CONFIG_CHECK_DURATION, .min = 2, .max = 1},
        {.pattern = "a", .check = WEIR_CONFIG_CHECK_CHOICE},
        {.pattern = "a", .check = WEIR_CONFIG_CHECK_CHOICE, .choices = null},
        {.pattern = "a", .check = WEIR_CONFIG_CHECK_CHOICE, .choices = null, .choice_count = 65},
        {.pattern = "a", .check = WEIR_CONFIG_CHECK_CHOICE, .choices = null, .choice_count = 1},
        {.pattern = "a", .check = WEIR_CONFIG_CHECK_REGEX},
        {.pattern = "a", .check = WEIR_CONFIG_CHECK_REGEX, .regex = "("},
        {.pattern = "a", .check = WEIR_CONFIG_CHECK_CUSTOM},
        {.pattern = "a", .check = (weir_config_check)99},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(weir_config_add_validator(f.config, &bad[i], &f.error), WEIR_EINVAL);
        assert_true(f.error.message[0] != '\0');
    }
}

/* ---- Templates ---- */

static void expect_expanded(const char *text, int code, const char *expected)
{
    char out[256];
    size_t size = 0;
    assert_int_equal(weir_config_expand(f.config, text, NULL, out, sizeof out, &size, &f.error),
                     code);
    if (code != WEIR_OK)
        return;
    assert_string_equal(out, expected);
    assert_int_equal(size, strlen(expected));
}

static void templates_are_filled_in(void **state)
{
    (void)state;
    set("host", "db"), set("port", "5432"), set("url", "${host}:${port}/${name:main}");
    set("which", "host"), set("json", "{}");
    expect_expanded("", WEIR_OK, "");
    expect_expanded("plain $ $x {}", WEIR_OK, "plain $ $x {}");
    expect_expanded("a${url}b", WEIR_OK, "adb:5432/mainb");
    expect_expanded("${${which}}", WEIR_OK, "db");
    expect_expanded("${none:}", WEIR_OK, "");
    expect_expanded("${none:a:b}", WEIR_OK, "a:b");
    expect_expanded("${none:${no:${port}}}", WEIR_OK, "5432");
    expect_expanded("${none:{\"a\":{}}}", WEIR_OK, "{\"a\":{}}");
    expect_expanded("$${host} ${host}$", WEIR_OK, "${host} db$");
    expect_expanded("${none}", WEIR_ENOTFOUND, NULL);
    assert_string_equal(f.error.name, "none");
    expect_expanded("x ${host", WEIR_EPROTOCOL, NULL);
    expect_expanded("${a b}", WEIR_EPROTOCOL, NULL);
    expect_expanded("${}", WEIR_EPROTOCOL, NULL);
    expect_expanded("${ho${none}st}", WEIR_ENOTFOUND, NULL);
    weir_config_client const test = {.environment = "test"};
    char out[16];
    set_in("host", "test", NULL, "testdb");
    assert_int_equal(weir_config_expand(f.config, "${host}", &test, out, sizeof out, NULL, NULL),
                     WEIR_OK);
    assert_string_equal(out, "testdb");
}

static void a_cycle_is_named(void **state)
{
    (void)state;
    set("a", "1 ${b}"), set("b", "${c:x}"), set("c", "${b}"), set("self", "${self}");
    expect_expanded("${a}", WEIR_EINVAL, NULL);
    assert_string_equal(f.error.name, "b");
    assert_string_equal(f.error.message, "a cycle: b -> c -> b");
    expect_expanded("${self:x}", WEIR_EINVAL, NULL);
    assert_string_equal(f.error.message, "a cycle: self -> self");
    set("twice", "${leaf}${leaf}"), set("leaf", "x"); /* The same name twice is no cycle. */
    expect_expanded("${twice}", WEIR_OK, "xx");
}

static void templates_are_bounded(void **state)
{
    (void)state;
    char name[16];
    char value[64];
    char small[4];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "deep%d", i);
        (void)snprintf(value, sizeof value, i < 19 ? "${deep%d}" : "end", i + 1);
        set(name, value);
        (void)snprintf(name, sizeof name, "wide%d", i);
        (void)snprintf(value, sizeof value, "%s${wide%d}${wide%d}", i < 11 ? "" : "$", i + 1,
                       i + 1);
        set(name, i < 11 ? value : "");
    }
    expect_expanded("${deep4}", WEIR_OK, "end");       /* 16 references within one another. */
    expect_expanded("${deep3}", WEIR_ETOOLARGE, NULL); /* 17. */
    expect_expanded("${wide0}", WEIR_ETOOLARGE, NULL); /* 2^12 - 1 references. */
    set("four", "1234");
    assert_int_equal(weir_config_expand(f.config, "${four}", NULL, small, sizeof small, NULL,
                                        &f.error),
                     WEIR_ETOOLARGE);
    assert_int_equal(weir_config_expand(f.config, "$", NULL, small, 1, NULL, NULL), WEIR_ETOOLARGE);
    assert_int_equal(weir_config_expand(f.config, "", NULL, small, 0, NULL, NULL), WEIR_ETOOLARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(history_is_kept_within_its_bound),
        TEST(history_survives_compaction_and_a_restart),
        TEST(a_bound_that_shrinks_takes_what_is_beyond_it),
        TEST(a_rollback_is_a_new_version),
        TEST(a_difference_has_as_few_lines_as_possible),
        TEST(a_long_difference_is_bounded),
        TEST(rules_take_clients_by_labels_and_environment),
        TEST(a_share_of_clients_is_taken_and_stays_in_while_it_grows),
        TEST(the_highest_priority_is_asked_first),
        TEST(promoting_puts_the_value_and_takes_the_rule_away),
        TEST(a_rule_that_another_put_is_promoted_where_it_says),
        TEST(rules_are_checked),
        TEST(validators_refuse_with_key_and_reason),
        TEST(a_value_of_nothing_is_an_empty_one),
        TEST(validators_are_checked),
        TEST(templates_are_filled_in),
        TEST(a_cycle_is_named),
        TEST(templates_are_bounded),
    };
    return cmocka_run_group_tests_name("config_values", tests, NULL, NULL);
}

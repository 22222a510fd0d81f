/* Who is there: registrations, changes, and the forms in which they are kept. */
#include "support/registry_fixture.h"

static void what_is_registered_is_found_as_it_was_given(void **state)
{
    (void)state;
    weir_endpoint const endpoints[] = {{"grpc", "10.9.9.9", 9090}, {"metrics", NULL, 9100}};
    weir_label const metadata[] = {{"team", "blue \"team\"\n"}, {"empty", ""}};
    f.instance.endpoints = endpoints;
    f.instance.endpoint_count = 2;
    f.instance.metadata = metadata;
    f.instance.metadata_count = 2;
    f.instance.version = "1.2.3-rc.1";
    f.instance.zone = "eu-1";
    f.instance.check_url = "http://10.0.0.1:8080/health";
    f.instance.weight = 7;
    f.instance.status = WEIR_INSTANCE_STARTING;
    f.instance.permanent = true;
    f.instance.renew_ms = 5000;
    f.instance.expire_ms = 15000;
    f.instance.stamp = 77;
    enter("a");
    weir_registry_view view;
    weir_registry_begin(f.registry, "orders", &view);
    assert_int_equal(view.count, 1);
    const weir_instance *const a = view.instances[0];
    assert_string_equal(a->service, "orders");
    assert_string_equal(a->id, "a");
    assert_string_equal(a->host, "10.0.0.1");
    assert_int_equal(a->port, 8080);
    assert_int_equal(a->weight, 7);
    assert_int_equal(a->endpoint_count, 2);
    assert_string_equal(a->endpoints[0].name, "grpc");
    assert_string_equal(a->endpoints[0].host, "10.9.9.9");
    assert_int_equal(a->endpoints[0].port, 9090);
    assert_string_equal(a->endpoints[1].name, "metrics");
    assert_string_equal(a->endpoints[1].host, "10.0.0.1"); /* The instance's own. */
    assert_int_equal(a->metadata_count, 2);
    assert_string_equal(a->metadata[0].value, "blue \"team\"\n");
    assert_string_equal(a->metadata[1].value, "");
    assert_string_equal(a->version, "1.2.3-rc.1");
    assert_string_equal(a->zone, "eu-1");
    assert_string_equal(a->check_url, "http://10.0.0.1:8080/health");
    assert_int_equal(a->status, WEIR_INSTANCE_STARTING);
    assert_true(a->permanent);
    assert_int_equal(a->renew_ms, 5000);
    assert_int_equal(a->expire_ms, 15000);
    assert_int_equal(a->stamp, 77);
    assert_int_equal(a->revision, f.result.revision);
    assert_int_equal(view.revision, f.result.revision);
    assert_int_equal(view.available_count, 0); /* It is starting. */
    weir_registry_end(&view);
}

typedef struct stored_value {
    char key[64], value[512];
} stored_value;

static bool remember_value(const weir_kv_pair *pair, void *user)
{
    stored_value *const stored = user;
    memcpy(stored->key, pair->key.data, pair->key.size);
    memcpy(stored->value, pair->value.data, pair->value.size);
    return true;
}

static void operators_can_read_what_is_stored(void **state)
{
    (void)state;
    f.instance.version = "1.2.0";
    f.instance.stamp = 5;
    enter("a");
    char end[1];
    stored_value stored = {.key = ""};
    weir_kv_range const range = {.keys = weir_kv_prefix((weir_bytes){"", 0}, end)};
    assert_int_equal(weir_store_read(f.store, &range, remember_value, &stored, NULL, NULL),
                     WEIR_OK);
    assert_string_equal(stored.key, "registry/orders/a");
    assert_string_equal(stored.value, "{\"status\":\"UP\",\"host\":\"10.0.0.1\",\"port\":8080,"
                                      "\"weight\":1,\"version\":\"1.2.0\",\"stamp\":5}");
}

static void put_raw(const char *key, const char *value)
{
    assert_int_equal(weir_store_put(f.store, weir_bytes_of(key), weir_bytes_of(value), 0, NULL),
                     WEIR_OK);
}

static void other_programs_may_write_instances(void **state)
{
    (void)state;
    put_raw("registry/orders/b", " { \"host\" : \"h\\u00e9\", \"future\": [1, {}], \"port\": 80,"
                                 "\"status\":\"UP\", \"metadata\": {\"k\\n\": \"v\"},"
                                 "\"endpoints\":[{\"name\":\"x\",\"port\":1,\"tls\":true}] }");
    assert_available("b");
    weir_registry_view view;
    weir_registry_begin(f.registry, "orders", &view);
    assert_string_equal(view.instances[0]->host, "h\xc3\xa9");
    assert_string_equal(view.instances[0]->metadata[0].key, "k\n");
    assert_string_equal(view.instances[0]->endpoints[0].name, "x");
    assert_int_equal(view.instances[0]->weight, 1);
    weir_registry_end(&view);
}

static void a_value_that_is_no_instance_changes_nothing_and_is_counted(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        "[]",
        "{\"port\":65536}",
        "{\"port\":-1}",
        "{\"status\":\"WELL\"}",
        "{\"status\":\"UNKNOWN\"}",
        "{\"status\":7}",
        "{\"host\":\"a\\u0000b\"}",
        "{\"metadata\":{\"\":\"x\"}}",
        "{\"metadata\":{\"a\":\"x\",\"a\":\"y\"}}",
        "{\"metadata\":[]}",
        "{\"endpoints\":[{\"port\":1}]}",
        "{\"endpoints\":[{\"name\":\"a\",\"port\":1},{\"name\":\"a\",\"port\":2}]}",
        "{\"host\":\"x\"} trailing",
        "{\"stamp\":9007199254740993}",
    };
    size_t const count = sizeof broken / sizeof broken[0];
    enter("a");
    for (size_t i = 0; i < count; i++) {
        put_raw("registry/orders/a", broken[i]);
        assert_int_equal(stats_now().malformed, i + 1);
        assert_available("a");
    }
    put_raw("registry/orders/a", "{}"); /* All has a default. */
    assert_int_equal(stats_now().malformed, count);
    put_raw("registry/nobody", "{}");
    put_raw("registry//x", "{}");
    put_raw("registry/orders/a/b", "{}");
    assert_int_equal(stats_now().malformed, count + 3);
    put_raw("other/orders/z", "{}");
    assert_there("a");
}

static void a_value_may_hold_too_much(void **state)
{
    (void)state;
    char value[8192] = "{\"endpoints\":[";
    for (int i = 0; i < 17; i++)
        (void)sprintf(value + strlen(value), "%s{\"name\":\"e%d\",\"port\":1}", i > 0 ? "," : "",
                      i);
    strcat(value, "]}");
    put_raw("registry/orders/a", value);
    assert_int_equal(stats_now().malformed, 1);
    (void)strcpy(value, "{\"metadata\":{");
    for (int i = 0; i < 65; i++)
        (void)sprintf(value + strlen(value), "%s\"k%d\":\"v\"", i > 0 ? "," : "", i);
    strcat(value, "}}");
    put_raw("registry/orders/a", value);
    assert_int_equal(stats_now().malformed, 2);
    char *const huge = malloc(70000);
    memset(huge, ' ', 69999);
    huge[69999] = '\0';
    put_raw("registry/orders/a", huge);
    free(huge);
    assert_int_equal(stats_now().malformed, 3);
    assert_there("");
}

static void instances_are_sorted_by_id_whatever_the_order_of_arrival(void **state)
{
    (void)state;
    static const char *const ids[] = {"m", "c", "z", "a", "b", "y", "0"};
    for (size_t i = 0; i < 7; i++)
        enter(ids[i]);
    assert_there("0 a b c m y z");
    assert_int_equal(leave("c"), WEIR_OK);
    assert_int_equal(leave("z"), WEIR_OK);
    assert_there("0 a b m y");
    enter("c");
    assert_there("0 a b c m y");
}

static void register_refuses_what_is_out_of_range(void **state)
{
    (void)state;
    char long_name[300];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[299] = '\0';
    const char *const names[] = {"",
                                 NULL,
                                 "a/b",
                                 "a\n",
                                 "\x7f",
                                 "\xff",
                                 "\xc3",
                                 "\xc0\x80",
                                 "\xed\xa0\x80",
                                 "\xf4\x90\x80\x80",
                                 "\xe0\x80\x80",
                                 "\xf0\x80\x80\x80",
                                 long_name};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(register_code(names[i]), WEIR_EINVAL);
        assert_int_equal(leave(names[i]), WEIR_EINVAL);
    }
    weir_endpoint const twice[] = {{"a", NULL, 1}, {"a", NULL, 2}};
    weir_endpoint const port = {"a", NULL, 65536};
    weir_label const no_key = {"", "x"};
    weir_label const same[] = {{"a", "x"}, {"a", "y"}};
    weir_instance const good = f.instance;
#define REFUSED(field, wrong)                                                                      \
    f.instance = good;                                                                             \
    f.instance.field = wrong;                                                                      \
    assert_int_equal(register_code("a"), WEIR_EINVAL)
    REFUSED(struct_size, 0);
    REFUSED(service, "a/b");
    REFUSED(port, 65536);
    REFUSED(weight, 65536);
    REFUSED(status, WEIR_INSTANCE_UNKNOWN);
    REFUSED(status, (weir_instance_status)9);
    REFUSED(override, (weir_instance_status)9);
    REFUSED(host, "\xff");
    REFUSED(renew_ms, 90001);  /* More than it takes to expire. */
    REFUSED(expire_ms, 29999); /* Less than until it renews. */
    REFUSED(expire_ms, 864000001);
    REFUSED(stamp, (UINT64_C(1) << 53) + 1);
    f.instance.endpoint_count = 2;
    REFUSED(endpoint_count, 17);
    f.instance = good;
    f.instance.endpoints = twice;
    f.instance.endpoint_count = 2;
    assert_int_equal(register_code("a"), WEIR_EINVAL);
    f.instance.endpoints = &port;
    f.instance.endpoint_count = 1;
    assert_int_equal(register_code("a"), WEIR_EINVAL);
    REFUSED(metadata_count, 65);
    f.instance = good;
    f.instance.metadata = &no_key;
    f.instance.metadata_count = 1;
    assert_int_equal(register_code("a"), WEIR_EINVAL);
    f.instance.metadata = same;
    f.instance.metadata_count = 2;
    assert_int_equal(register_code("a"), WEIR_EINVAL);
    f.instance = good;
    assert_there("");
    assert_int_equal(register_code("a"), WEIR_OK);
}

static void an_instance_too_large_is_refused(void **state)
{
    (void)state;
    char text[WEIR_REGISTRY_MAX_BYTES];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    f.instance.zone = text;
    assert_int_equal(register_code("a"), WEIR_ETOOLARGE);
    f.instance.zone = NULL;
    enter("a");
    assert_int_equal(result_of(weir_registry_set_metadata(f.registry, "orders", "a", "k", text,
                                                          remember_result, &f)),
                     WEIR_ETOOLARGE);
    char key[8];
    for (int i = 0; i < 64; i++) {
        (void)sprintf(key, "k%d", i);
        assert_int_equal(result_of(weir_registry_set_metadata(f.registry, "orders", "a", key, "",
                                                              remember_result, &f)),
                         WEIR_OK);
    }
    assert_int_equal(result_of(weir_registry_set_metadata(f.registry, "orders", "a", "one more", "",
                                                          remember_result, &f)),
                     WEIR_ETOOLARGE);
}

/* Eureka: a stale re-registration loses. */
static void a_registration_with_an_older_stamp_loses(void **state)
{
    (void)state;
    f.instance.stamp = 20;
    f.instance.zone = "new";
    enter("a");
    f.instance.stamp = 19;
    f.instance.zone = "old";
    assert_int_equal(register_code("a"), WEIR_ESTALE);
    f.instance.stamp = 20;
    f.instance.zone = "same";
    assert_int_equal(register_code("a"), WEIR_OK);
    f.instance.stamp = 21;
    assert_int_equal(register_code("a"), WEIR_OK);
    f.instance.stamp = 0; /* Now: 5000 s. */
    assert_int_equal(register_code("a"), WEIR_OK);
    f.instance.stamp = 4999999;
    assert_int_equal(register_code("a"), WEIR_ESTALE);
    f.instance.stamp = 5000000;
    assert_int_equal(register_code("a"), WEIR_OK);
}

static void what_was_deregistered_is_not_brought_back_by_anything_late(void **state)
{
    (void)state;
    f.instance.stamp = 20;
    enter("a");
    assert_int_equal(leave("a"), WEIR_OK);
    assert_there("");
    assert_int_equal(beat("a"), WEIR_ENOTFOUND);
    assert_int_equal(leave("a"), WEIR_ENOTFOUND);
    assert_int_equal(result_of(weir_registry_set_status(f.registry, "orders", "a", WEIR_INSTANCE_UP,
                                                        remember_result, &f)),
                     WEIR_ENOTFOUND);
    assert_int_equal(result_of(
                         weir_registry_drain(f.registry, "orders", "a", true, remember_result, &f)),
                     WEIR_ENOTFOUND);
    assert_int_equal(result_of(weir_registry_set_metadata(f.registry, "orders", "a", "k", "v",
                                                          remember_result, &f)),
                     WEIR_ENOTFOUND);
    assert_int_equal(register_code("a"), WEIR_ESTALE); /* The same registration, put again. */
    assert_there("");
    f.instance.stamp = 21;
    enter("a");
    assert_there("a");
}

static void marks_are_forgotten_after_a_while(void **state)
{
    (void)state;
    f.instance.stamp = 20;
    enter("a");
    assert_int_equal(leave("a"), WEIR_OK);
    advance_to(f.fake.now_ns + 5399 * SECOND); /* mark_ms, or half of it more. */
    run_store();
    assert_int_equal(register_code("a"), WEIR_ESTALE);
    advance_to(f.fake.now_ns + SECOND);
    run_store();
    assert_int_equal(register_code("a"), WEIR_OK);
    weir_store_stats stats;
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.keys, 1);
}

/* A deregistration whose mark's lease ended early takes another. */
static void a_mark_survives_the_loss_of_its_lease(void **state)
{
    (void)state;
    enter("a");
    enter("b");
    assert_int_equal(leave("a"), WEIR_OK);
    weir_store_stats stats;
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.leases, 1);
    advance_to(f.fake.now_ns + 1700 * SECOND);
    assert_int_equal(leave("b"), WEIR_OK);
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.leases, 1); /* Shared. */
    enter("c");
    advance_to(f.fake.now_ns + 200 * SECOND);
    assert_int_equal(leave("c"), WEIR_OK);
    weir_store_get_stats(f.store, &stats);
    assert_int_equal(stats.leases, 2); /* The next. */
}

static void override_has_eurekas_place_between_own_states(void **state)
{
    (void)state;
    static const struct {
        weir_instance_status own, override, effective;
    } rows[] = {
        {WEIR_INSTANCE_UP, WEIR_INSTANCE_UNKNOWN, WEIR_INSTANCE_UP},
        {WEIR_INSTANCE_OUT_OF_SERVICE, WEIR_INSTANCE_UNKNOWN, WEIR_INSTANCE_OUT_OF_SERVICE},
        {WEIR_INSTANCE_UP, WEIR_INSTANCE_OUT_OF_SERVICE, WEIR_INSTANCE_OUT_OF_SERVICE},
        {WEIR_INSTANCE_OUT_OF_SERVICE, WEIR_INSTANCE_UP, WEIR_INSTANCE_UP},
        {WEIR_INSTANCE_UP, WEIR_INSTANCE_DOWN, WEIR_INSTANCE_DOWN},
        {WEIR_INSTANCE_DOWN, WEIR_INSTANCE_UP, WEIR_INSTANCE_DOWN},
        {WEIR_INSTANCE_STARTING, WEIR_INSTANCE_UP, WEIR_INSTANCE_STARTING},
        {WEIR_INSTANCE_STARTING, WEIR_INSTANCE_OUT_OF_SERVICE, WEIR_INSTANCE_STARTING},
    };
    enter("a");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(result_of(weir_registry_set_status(f.registry, "orders", "a", rows[i].own,
                                                            remember_result, &f)),
                         WEIR_OK);
        assert_int_equal(result_of(weir_registry_set_override(f.registry, "orders", "a",
                                                              rows[i].override, remember_result,
                                                              &f)),
                         WEIR_OK);
        weir_registry_view view;
        weir_registry_begin(f.registry, "orders", &view);
        assert_int_equal(weir_instance_effective(view.instances[0]), rows[i].effective);
        assert_int_equal(view.available_count, rows[i].effective == WEIR_INSTANCE_UP);
        weir_registry_end(&view);
    }
    assert_int_equal(weir_registry_set_status(f.registry, "orders", "a", WEIR_INSTANCE_UNKNOWN,
                                              NULL, NULL),
                     WEIR_EINVAL);
    assert_int_equal(weir_registry_set_override(f.registry, "orders", "a", (weir_instance_status)9,
                                                NULL, NULL),
                     WEIR_EINVAL);
}

static void an_override_outlives_registrations_and_ends_when_it_is_taken_back(void **state)
{
    (void)state;
    enter("a");
    assert_int_equal(result_of(weir_registry_set_override(f.registry, "orders", "a",
                                                          WEIR_INSTANCE_OUT_OF_SERVICE,
                                                          remember_result, &f)),
                     WEIR_OK);
    enter("a");
    assert_available("");
    assert_int_equal(result_of(weir_registry_set_override(f.registry, "orders", "a",
                                                          WEIR_INSTANCE_UNKNOWN, remember_result,
                                                          &f)),
                     WEIR_OK);
    assert_available("a");
}

/* nacos#14096: traffic after deregistration. */
static void who_drains_is_found_but_not_available(void **state)
{
    (void)state;
    f.instance.stamp = 3;
    enter("a");
    enter("b");
    assert_int_equal(result_of(
                         weir_registry_drain(f.registry, "orders", "a", true, remember_result, &f)),
                     WEIR_OK);
    assert_there("a b");
    assert_available("b");
    enter("a"); /* The same registration: it still drains. */
    assert_available("b");
    f.instance.stamp = 4; /* A new one: it is as that says. */
    enter("a");
    assert_available("a b");
    assert_int_equal(result_of(
                         weir_registry_drain(f.registry, "orders", "b", true, remember_result, &f)),
                     WEIR_OK);
    assert_int_equal(leave("b"), WEIR_OK);
    assert_available("a");
}

static const char *metadata_of(size_t place)
{
    static char text[256];
    weir_registry_view view;
    weir_registry_begin(f.registry, "orders", &view);
    text[0] = '\0';
    for (size_t i = 0; i < view.instances[place]->metadata_count; i++)
        (void)sprintf(text + strlen(text), "%s=%s;", view.instances[place]->metadata[i].key,
                      view.instances[place]->metadata[i].value);
    weir_registry_end(&view);
    return text;
}

static void metadata_is_set_replaced_and_removed(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *then;
    } rows[] = {
        {"a", "1", "a=1;"},       {"b", "2", "a=1;b=2;"}, {"a", "3", "a=3;b=2;"},
        {"c", "", "a=3;b=2;c=;"}, {"b", NULL, "a=3;c=;"}, {"none", NULL, "a=3;c=;"},
    };
    enter("x");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(result_of(weir_registry_set_metadata(f.registry, "orders", "x",
                                                              rows[i].key, rows[i].value,
                                                              remember_result, &f)),
                         WEIR_OK);
        assert_string_equal(metadata_of(0), rows[i].then);
    }
    assert_int_equal(weir_registry_set_metadata(f.registry, "orders", "x", "", "v", NULL, NULL),
                     WEIR_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_registered_is_found_as_it_was_given),
        TEST(operators_can_read_what_is_stored),
        TEST(other_programs_may_write_instances),
        TEST(a_value_that_is_no_instance_changes_nothing_and_is_counted),
        TEST(a_value_may_hold_too_much),
        TEST(instances_are_sorted_by_id_whatever_the_order_of_arrival),
        TEST(register_refuses_what_is_out_of_range),
        TEST(an_instance_too_large_is_refused),
        TEST(a_registration_with_an_older_stamp_loses),
        TEST(what_was_deregistered_is_not_brought_back_by_anything_late),
        TEST(marks_are_forgotten_after_a_while),
        TEST(a_mark_survives_the_loss_of_its_lease),
        TEST(override_has_eurekas_place_between_own_states),
        TEST(an_override_outlives_registrations_and_ends_when_it_is_taken_back),
        TEST(who_drains_is_found_but_not_available),
        TEST(metadata_is_set_replaced_and_removed),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}

/* What calls see: in sync or not, health, protection, queries, services. */
#include "support/registry_fixture.h"

/* nacos#4470, nacos#10209, nacos#11: an empty list that wipes clients, and the opposite. */
static void empty_and_confirmed_is_told_apart_from_not_in_sync(void **state)
{
    (void)state;
    weir_registry_view view;
    weir_registry_begin(f.registry, "orders", &view);
    assert_int_equal(view.count, 0);
    assert_true(view.synced);
    weir_registry_end(&view);
    f.slow.quick = false;
    recreate();
    weir_registry_begin(f.registry, "orders", &view);
    assert_int_equal(view.count, 0);
    assert_false(view.synced);
    weir_registry_end(&view);
    weir_registry_info info;
    weir_registry_query const query = {.service = "orders"};
    assert_int_equal(weir_registry_lookup(f.registry, &query, NULL, NULL, &info), WEIR_OK);
    assert_false(info.synced);
    slow_kv_drain(&f.slow);
    assert_int_equal(weir_registry_lookup(f.registry, &query, NULL, NULL, &info), WEIR_OK);
    assert_true(info.synced);
    enter("a");
    assert_int_equal(leave("a"), WEIR_OK);
    weir_registry_begin(f.registry, "orders", &view);
    assert_int_equal(view.count, 0);
    assert_true(view.synced);
    weir_registry_end(&view);
}

/* The same: a registry that cannot reach the space keeps what it has, and says so. */
static void what_was_last_known_stays_while_lists_fail(void **state)
{
    (void)state;
    enter("a");
    f.slow.refuse = WEIR_ESYSTEM;
    assert_int_equal(weir_store_compact(f.store, weir_store_revision(f.store)), WEIR_OK);
    recreate(); /* Cannot list at all. */
    assert_there("");
    assert_false(stats_now().synced);
    pass_ms(100000);
    assert_false(stats_now().synced);
    f.slow.refuse = WEIR_OK;
    pass_ms(30000);
    assert_true(stats_now().synced);
    assert_available("a");
}

static void two_registries_on_one_space_agree(void **state)
{
    (void)state;
    weir_registry *const first = f.registry;
    weir_registry *second;
    f.options.node = "second";
    assert_int_equal(weir_registry_create(&second, &f.options), WEIR_OK);
    enter("a");
    f.registry = second;
    enter("b");
    assert_there("a b");
    assert_int_equal(beat("b"), WEIR_OK);
    assert_int_equal(beat("a"), WEIR_ENOTFOUND); /* Its lease is kept by the first. */
    f.registry = first;
    assert_there("a b");
    assert_int_equal(beat("a"), WEIR_OK);
    assert_int_equal(beat("b"), WEIR_ENOTFOUND);
    enter("b"); /* Which takes it over. */
    assert_int_equal(beat("b"), WEIR_OK);
    f.registry = second;
    assert_int_equal(beat("b"), WEIR_ENOTFOUND);
    assert_int_equal(result_of(
                         weir_registry_drain(second, "orders", "a", true, remember_result, &f)),
                     WEIR_OK);
    f.registry = first;
    assert_available("b");
    weir_registry_destroy(second);
    assert_available("b");
}

/* Nacos: a health check's findings, and the protect threshold. */
static void reports_of_health_take_out_and_bring_back(void **state)
{
    (void)state;
    enter("a");
    enter("b");
    assert_int_equal(weir_registry_report_health(f.registry, "orders", "a", false), WEIR_OK);
    assert_int_equal(weir_registry_report_health(f.registry, "orders", "a", false), WEIR_OK);
    assert_there("a b");
    assert_available("b");
    enter("a"); /* A registration does not make it well. */
    assert_available("b");
    assert_int_equal(weir_registry_report_health(f.registry, "orders", "a", true), WEIR_OK);
    assert_available("a b");
    assert_int_equal(weir_registry_report_health(f.registry, "orders", "a", false), WEIR_OK);
    assert_int_equal(leave("a"), WEIR_OK);
    enter("a"); /* A new stay does. */
    assert_available("a b");
    assert_int_equal(weir_registry_report_health(f.registry, "orders", "c", true), WEIR_ENOTFOUND);
    assert_int_equal(weir_registry_report_health(f.registry, "nobody", "a", true), WEIR_ENOTFOUND);
    assert_int_equal(weir_registry_report_health(f.registry, NULL, "a", true), WEIR_ENOTFOUND);
}

static bool protecting(void)
{
    weir_registry_view view;
    weir_registry_begin(f.registry, "orders", &view);
    bool const is = view.protecting;
    weir_registry_end(&view);
    return is;
}

static void report(const char *id, bool well)
{
    assert_int_equal(weir_registry_report_health(f.registry, "orders", id, well), WEIR_OK);
}

static void when_too_few_are_well_all_in_service_are_available(void **state)
{
    (void)state;
    f.options.protect_percent = 50;
    recreate();
    enter("a");
    enter("b");
    enter("c");
    enter("d");
    report("a", false);
    assert_false(protecting());
    assert_available("b c d");
    report("b", false); /* 2 / 4 <= .5 */
    assert_true(protecting());
    assert_available("a b c d");
    assert_int_equal(result_of(weir_registry_set_status(f.registry, "orders", "a",
                                                        WEIR_INSTANCE_DOWN, remember_result, &f)),
                     WEIR_OK);
    assert_available("c d"); /* 2 / 3: what it says of itself is never overruled. */
    assert_false(protecting());
    f.options.protect_percent = WEIR_REGISTRY_UNPROTECTED;
    recreate();
    report("b", false);
    report("c", false);
    report("d", false);
    assert_available("");
    assert_false(protecting());
    f.options.protect_percent = 0;
    recreate();
    report("b", false);
    report("c", false);
    assert_available("d");
    report("d", false);
    assert_available("b c d");
    assert_true(protecting());
}

static bool append_id(const weir_instance *instance, void *user)
{
    strcat(user, instance->id);
    return strlen(user) < 3;
}

static const char *found_by(const weir_registry_query *query)
{
    static char ids[64];
    ids[0] = '\0';
    assert_int_equal(weir_registry_lookup(f.registry, query, append_id, ids, NULL), WEIR_OK);
    return ids;
}

static void queries_combine_version_zone_metadata_and_availability(void **state)
{
    (void)state;
    weir_label const blue[] = {{"team", "blue"}, {"tier", "1"}};
    f.instance.metadata = blue;
    f.instance.metadata_count = 2;
    f.instance.version = "1.1.0";
    f.instance.zone = "x";
    enter("a");
    f.instance.version = "1.2.0";
    enter("b");
    f.instance.zone = "y";
    enter("c");
    f.instance.metadata_count = 1;
    f.instance.version = "2.0.0";
    enter("d");
    report("b", false);
    weir_registry_query query = {.service = "orders"};
    assert_string_equal(found_by(&query), "abc"); /* The visitor had enough. */
    query.version = "^1.2 || 2.x";
    assert_string_equal(found_by(&query), "bcd");
    query.available = true;
    assert_string_equal(found_by(&query), "cd");
    query.version = NULL;
    query.zone = "x";
    assert_string_equal(found_by(&query), "a");
    query.zone = NULL;
    query.metadata = blue;
    query.metadata_count = 2;
    assert_string_equal(found_by(&query), "ac");
    query.metadata_count = 1;
    assert_string_equal(found_by(&query), "acd");
    query.service = "nobody";
    assert_string_equal(found_by(&query), "");
    weir_registry_info info;
    query = (weir_registry_query){.service = "orders", .zone = "y"};
    assert_int_equal(weir_registry_lookup(f.registry, &query, NULL, NULL, &info), WEIR_OK);
    assert_int_equal(info.matched, 2);
    query.version = "one";
    assert_int_equal(weir_registry_lookup(f.registry, &query, NULL, NULL, NULL), WEIR_EINVAL);
    query = (weir_registry_query){.service = NULL};
    assert_int_equal(weir_registry_lookup(f.registry, &query, NULL, NULL, NULL), WEIR_EINVAL);
}

static bool sum_services(const weir_registry_service *service, void *user)
{
    size_t *const sums = user;
    sums[0]++;
    sums[1] += service->instances;
    sums[2] += service->available;
    return sums[0] < 5;
}

static void services_are_those_with_instances(void **state)
{
    (void)state;
    size_t sums[3] = {0};
    assert_true(weir_registry_visit_services(f.registry, sum_services, sums));
    assert_int_equal(sums[0], 0);
    char name[16];
    for (int i = 0; i < 5; i++) {
        (void)sprintf(name, "service-%d", i);
        f.instance.service = name;
        enter("a");
        enter("b");
    }
    assert_int_equal(weir_registry_report_health(f.registry, name, "b", false), WEIR_OK);
    assert_true(weir_registry_visit_services(f.registry, sum_services, sums));
    assert_int_equal(sums[0], 5);
    assert_int_equal(sums[1], 10);
    assert_int_equal(sums[2], 9);
    assert_int_equal(stats_now().services, 5);
    for (int i = 0; i < 2; i++)
        assert_int_equal(result_of(weir_registry_deregister(f.registry, name, i > 0 ? "a" : "b",
                                                            remember_result, &f)),
                         WEIR_OK);
    assert_int_equal(stats_now().services, 4);
    assert_int_equal(stats_now().instances, 8);
    assert_string_equal(ids_of(name, false), "");
}

static void many_services_come_and_go_in_bounded_memory(void **state)
{
    (void)state;
    char name[16];
    size_t after_first = 0;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 200; i++) {
            (void)sprintf(name, "s%d-%d", round, i);
            f.instance.service = name;
            enter("a");
            assert_int_equal(result_of(weir_registry_deregister(f.registry, name, "a",
                                                                remember_result, &f)),
                             WEIR_OK);
        }
        (void)run_task();
        if (round == 0)
            after_first = stats_now().bytes;
        assert_int_equal(stats_now().services, 0);
    }
    assert_true(stats_now().bytes <= after_first + 1024);
}

static void create_refuses_options_out_of_range(void **state)
{
    (void)state;
    weir_registry *registry;
    char long_root[300];
    memset(long_root, 'x', sizeof long_root - 1);
    long_root[299] = '\0';
    assert_int_equal(weir_registry_create(&registry, NULL), WEIR_EINVAL);
    weir_registry_options const good = f.options;
#define BAD(field, wrong)                                                                          \
    f.options = good;                                                                              \
    f.options.field = wrong;                                                                       \
    assert_int_equal(weir_registry_create(&registry, &f.options), WEIR_EINVAL);                    \
    assert_null(registry)
    BAD(struct_size, 0);
    BAD(kv, NULL);
    BAD(root, NULL);
    BAD(root, long_root);
    BAD(node, NULL);
    BAD(node, "\xff");
    BAD(renew_ms, 0);
    BAD(renew_ms, 90001);
    BAD(expire_ms, 864000001);
    BAD(preserve_percent, 100);
    BAD(evict_percent, 0);
    BAD(evict_percent, 101);
    BAD(evict_ms, 0);
    BAD(protect_percent, 101);
    BAD(mark_ms, 999);
    weir_kv lame = f.kv;
    lame.watch = NULL;
    BAD(kv, &lame);
    f.options = good;
    weir_registry_destroy(NULL);
}

static void names_of_states_and_events(void **state)
{
    (void)state;
    assert_string_equal(weir_instance_status_name(WEIR_INSTANCE_OUT_OF_SERVICE), "OUT_OF_SERVICE");
    assert_string_equal(weir_instance_status_name((weir_instance_status)77), "UNKNOWN");
    assert_string_equal(weir_registry_event_name(WEIR_REGISTRY_CLOSED), "closed");
    assert_string_equal(weir_registry_event_name((weir_registry_event_kind)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(empty_and_confirmed_is_told_apart_from_not_in_sync),
        TEST(what_was_last_known_stays_while_lists_fail),
        TEST(two_registries_on_one_space_agree),
        TEST(reports_of_health_take_out_and_bring_back),
        TEST(when_too_few_are_well_all_in_service_are_available),
        TEST(queries_combine_version_zone_metadata_and_availability),
        TEST(services_are_those_with_instances),
        TEST(many_services_come_and_go_in_bounded_memory),
        TEST(create_refuses_options_out_of_range),
        TEST(names_of_states_and_events),
    };
    return cmocka_run_group_tests_name("registry_lookup", tests, NULL, NULL);
}

#include <weir/admin.h>

#include "support/admin_fixture.h"

#define ONE "/services/orders/one"

static void an_instance_registers_beats_and_leaves(void **state)
{
    (void)state;
    assert_int_equal(put(ONE, "{\"host\":\"10.0.0.1\",\"port\":8080,\"stamp\":5}"), 204);
    assert_header("Weir-Revision: 2");
    assert_int_equal(get(ONE), 200);
    assert_header("Content-Type: application/json");
    assert_body("{\"service\":\"orders\",\"id\":\"one\",\"revision\":2,\"effective\":\"UP\","
                "\"available\":true,\"status\":\"UP\",\"host\":\"10.0.0.1\",\"port\":8080,"
                "\"weight\":1,\"stamp\":5}\n");
    assert_int_equal(ask("POST", ONE "/heartbeat", NULL), 204);
    assert_int_equal(ask("POST", "/services/orders/two/heartbeat", NULL), 404);
    assert_body("id: not found\n");
    assert_int_equal(ask("DELETE", ONE, NULL), 204);
    assert_int_equal(ask("DELETE", ONE, NULL), 404);
    assert_int_equal(get(ONE), 404);
    assert_body("id: not found\n");
    assert_int_equal(put(ONE, "{\"stamp\":4}"), 409); /* As old as the one that left. */
    assert_body("instance: stale version\n");
}

static void services_are_listed_by_name_with_their_counts(void **state)
{
    (void)state;
    assert_int_equal(get("/services"), 200);
    assert_body("{\"synced\":true,\"services\":[]}\n");
    assert_int_equal(put("/services/b/1", "{}"), 204);
    assert_int_equal(put("/services/a/1", "{}"), 204);
    assert_int_equal(put("/services/a/2", "{\"status\":\"DOWN\"}"), 204);
    assert_int_equal(get("/services?watch=0"), 200);
    assert_body("{\"synced\":true,\"services\":[\n"
                "{\"name\":\"a\",\"instances\":2,\"available\":1},\n"
                "{\"name\":\"b\",\"instances\":1,\"available\":1}]}\n");
}

static const char *ids(void)
{
    static char out[256];
    out[0] = '\0';
    for (const char *p = a.body; (p = strstr(p, "\"id\":\"")) != NULL; p++)
        (void)strncat(out, p + 6, 1);
    return out;
}

static void a_service_is_looked_up_by_zone_version_and_availability(void **state)
{
    (void)state;
    assert_int_equal(put("/services/s/1", "{\"zone\":\"z\",\"version\":\"1.2.0\"}"), 204);
    assert_int_equal(put("/services/s/2", "{\"zone\":\"y\",\"version\":\"1.9.0\"}"), 204);
    assert_int_equal(put("/services/s/3", "{\"status\":\"STARTING\",\"version\":\"2.0.0\"}"), 204);
    assert_int_equal(get("/services/s"), 200);
    assert_string_equal(ids(), "123");
    assert_int_equal(strncmp(a.body,
                             "{\"service\":\"s\",\"synced\":true,\"protecting\":false,"
                             "\"revision\":4,\"instances\":[\n{\"service\":\"s\",\"id\":\"1\",",
                             97),
                     0);
    assert_int_equal(get("/services/s?available"), 200);
    assert_string_equal(ids(), "12");
    assert_int_equal(get("/services/s?zone=y"), 200);
    assert_string_equal(ids(), "2");
    assert_int_equal(get("/services/s?version=%3E%3D1.5+%3C3"), 200);
    assert_string_equal(ids(), "23");
    assert_int_equal(get("/services/s?version=%3E%3D1.5&available=true"), 200);
    assert_string_equal(ids(), "2");
    assert_int_equal(get("/services/s?version=abc"), 400);
    assert_body("version: not a range\n");
    assert_int_equal(get("/services/unknown"), 200);
    assert_body("{\"service\":\"unknown\",\"synced\":true,\"protecting\":false,\"revision\":0,"
                "\"instances\":[]}\n");
    assert_int_equal(get("/services/s/2"), 200);
    assert_string_equal(ids(), "2");
}

static void its_status_override_and_draining_are_set(void **state)
{
    (void)state;
    assert_int_equal(put(ONE, "{}"), 204);
    assert_int_equal(put(ONE "/status", " STARTING\r\n"), 204);
    assert_int_equal(get(ONE), 200);
    assert_non_null(strstr(a.body, "\"effective\":\"STARTING\",\"available\":false,\"status\":\""));
    assert_int_equal(put(ONE "/status", "UP"), 204);
    assert_int_equal(put(ONE "/override", "OUT_OF_SERVICE"), 204);
    assert_int_equal(get(ONE), 200);
    assert_non_null(strstr(a.body, "\"effective\":\"OUT_OF_SERVICE\""));
    assert_non_null(strstr(a.body, "\"override\":\"OUT_OF_SERVICE\""));
    assert_int_equal(put(ONE "/override", "UNKNOWN"), 204);
    assert_int_equal(ask("POST", ONE "/drain", NULL), 204);
    assert_int_equal(get(ONE), 200);
    assert_non_null(strstr(a.body, "\"effective\":\"UP\",\"available\":false"));
    assert_non_null(strstr(a.body, "\"draining\":true"));
    assert_int_equal(ask("POST", ONE "/drain?off", NULL), 204);
    assert_int_equal(get("/services/orders?available"), 200);
    assert_string_equal(ids(), "o");
    assert_int_equal(put(ONE "/status", "UNKNOWN"), 400);
    assert_body("body: not a status\n");
    assert_int_equal(put(ONE "/status", ""), 400);
    assert_int_equal(put(ONE "/override", "up"), 400);
    assert_body("body: not an override\n");
    assert_int_equal(put("/services/orders/two/status", "UP"), 404);
    assert_int_equal(put("/services/orders/two/override", "UP"), 404);
    assert_int_equal(ask("POST", "/services/orders/two/drain", NULL), 404);
}

static void a_registration_that_is_malformed_names_its_member(void **state)
{
    (void)state;
    static const struct {
        const char *body, *told;
    } cases[] = {
        {"", "body: the text ends too soon, line 1\n"},
        {"{\n\"port\":65536}", "port: a number out of range, line 2\n"},
        {"{\"host\":7}", "host: expected a string, line 1\n"},
        {"{\"status\":\"UPPER\"}", "status: not a status, line 1\n"},
        {"{\"status\":\"UNKNOWN\"}", "status: not what it may be, line 1\n"},
        {"{\"endpoints\":[{\"port\":1}]}", "endpoints: not what it may be, line 1\n"},
        {"{\"metadata\":{\"\":\"x\"}}", "metadata: not what it may be, line 1\n"},
        {"{\"renew_ms\":10,\"expire_ms\":9}", "expire_ms, renew_ms: invalid argument\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(put(ONE, cases[i].body), 400);
        assert_body(cases[i].told);
    }
    assert_int_equal(get("/services"), 200);
    assert_body("{\"synced\":true,\"services\":[]}\n");
}

static void what_is_read_may_be_put_again(void **state)
{
    (void)state;
    char first[1024];
    assert_int_equal(put(ONE, "{\"endpoints\":[{\"name\":\"grpc\",\"port\":9}],\"zone\":\"z\","
                              "\"metadata\":{\"a\":\"b\"},\"permanent\":true,\"stamp\":7}"),
                     204);
    assert_int_equal(get(ONE), 200);
    (void)snprintf(first, sizeof first, "%s", strstr(a.body, "\"effective\""));
    char again[1024];
    (void)snprintf(again, sizeof again, "%s", a.body);
    assert_int_equal(put(ONE, again), 204);
    assert_int_equal(get(ONE), 200);
    assert_string_equal(strstr(a.body, "\"effective\""), first);
}

static void what_others_put_there_and_is_no_instance_is_a_conflict(void **state)
{
    (void)state;
    assert_int_equal(weir_store_put(a.store, weir_bytes_of("registry/orders/one"),
                                    weir_bytes_of("nonsense"), 0, NULL),
                     WEIR_OK);
    assert_int_equal(put(ONE "/status", "UP"), 409);
    assert_int_equal(strncmp(a.body, "instance: ", 10), 0);
}

static void a_registry_that_is_not_in_sync_says_so(void **state)
{
    (void)state;
    weir_admin_destroy(a.admin);
    weir_registry_destroy(a.registry);
    a.slow.quick = false;
    weir_env const env = fake_env_hooks(&a.space);
    weir_registry_options registry = WEIR_REGISTRY_OPTIONS_INIT;
    registry.kv = &a.kv;
    registry.env = &env;
    assert_int_equal(weir_registry_create(&a.registry, &registry), WEIR_OK);
    a.options.registry = a.registry;
    create_admin();
    assert_int_equal(get("/services"), 200);
    assert_body("{\"synced\":false,\"services\":[]}\n");
    assert_int_equal(get(ONE), 503);
    assert_header("Retry-After: 1");
    assert_body("registry: not in sync yet\n");
    a.slow.quick = true;
    slow_kv_drain(&a.slow);
    assert_int_equal(get(ONE), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_instance_registers_beats_and_leaves),
        TEST(services_are_listed_by_name_with_their_counts),
        TEST(a_service_is_looked_up_by_zone_version_and_availability),
        TEST(its_status_override_and_draining_are_set),
        TEST(a_registration_that_is_malformed_names_its_member),
        TEST(what_is_read_may_be_put_again),
        TEST(what_others_put_there_and_is_no_instance_is_a_conflict),
        TEST(a_registry_that_is_not_in_sync_says_so),
    };
    return cmocka_run_group_tests_name("admin_services", tests, NULL, NULL);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_instance_registers_beats_and_leaves),
        TEST(services_are_listed_by_name_with_their_counts),
        TEST(a_service_is_looked_up_by_zone_version_and_availability),
    };
    return cmocka_run_group_tests_name("admin_services", tests, NULL, NULL);
}

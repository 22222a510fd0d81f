#include <weir/admin.h>

#include "support/admin_fixture.h"

/* ---- Values ---- */

static void a_value_is_put_read_and_deleted(void **state)
{
    (void)state;
    assert_int_equal(put("/config/orders/limit", "250"), 201);
    assert_body("{\"revision\":2,\"version\":1}\n");
    assert_header("ETag: \"1\"");
    assert_header("Weir-Revision: 2");
    assert_int_equal(get("/config/orders/limit"), 200);
    assert_body("250");
    assert_header("ETag: \"1\"");
    assert_header("Weir-Version: 1");
    assert_header("Weir-Revision: 2");
    assert_header("Weir-Layer: default");
    assert_header("Weir-Modified-Ms: 5000");
    assert_header("Content-Type: application/octet-stream");
    assert_int_equal(put("/config/orders/limit", "300"), 200);
    assert_body("{\"revision\":3,\"version\":2}\n");
    assert_int_equal(ask("DELETE", "/config/orders/limit", NULL), 200);
    assert_body("{\"revision\":4,\"version\":3}\n");
    assert_no_header("ETag");
    assert_int_equal(get("/config/orders/limit"), 404);
    assert_body("name: not found\n");
    assert_int_equal(ask("DELETE", "/config/orders/limit", NULL), 404);
}

static void names_are_percent_decoded_and_values_are_any_bytes(void **state)
{
    (void)state;
    assert_int_equal(put("/config/a%2Fb%C3%A9", "x y\n"), 201);
    assert_int_equal(get("/config/a/b%c3%A9"), 200);
    assert_body("x y\n");
    assert_int_equal(put("/config/empty", ""), 201);
    assert_int_equal(get("/config/empty"), 200);
    assert_header("Content-Length: 0");
    assert_int_equal(get("/config/a%zz"), 400);
    assert_body("name: malformed percent-escape\n");
    assert_int_equal(get("/config/a%2"), 400);
    assert_int_equal(get("/config/a%00"), 400);
    assert_body("name: a NUL\n");
    assert_int_equal(put("/config/a%20b", "1"), 400);
    assert_body("a b: not a name\n");
    assert_int_equal(put("/config/a%0Ab", "1"), 400);
    assert_body("a?b: not a name\n"); /* One line. */
    assert_int_equal(put("/config/", "1"), 400);
    assert_body("not a name\n");
}

static void layers_are_written_by_their_names_and_read_by_who_asks(void **state)
{
    (void)state;
    assert_int_equal(put("/config/a", "all"), 201);
    assert_int_equal(put("/config/a?environment=test", "test"), 201);
    assert_int_equal(put("/config/a?environment=test&label=blue", "both"), 201);
    assert_int_equal(put("/config/a?label=blue", "blue"), 201);
    assert_int_equal(get("/config/a?environment=test&label=blue"), 200);
    assert_body("both");
    assert_header("Weir-Layer: environment_label");
    assert_header("ETag: \"1\"");
    assert_int_equal(get("/config/a?label=blue"), 200);
    assert_body("blue");
    assert_header("Weir-Layer: label");
    assert_int_equal(get("/config/a?environment=test&label=red"), 200);
    assert_body("test");
    assert_header("Weir-Layer: environment");
    assert_header("ETag: \"1/environment\"");
    assert_int_equal(get("/config/a?environment=other"), 200);
    assert_body("all");
    assert_header("ETag: \"1/default\"");
    assert_int_equal(ask("DELETE", "/config/a?environment=test", NULL), 200);
    assert_int_equal(get("/config/a?environment=test"), 200);
    assert_body("all");
    assert_int_equal(put("/config/a?environment=a%20b", "1"), 400);
    assert_body("a: not an environment\n");
}

/* A share of all, and of those with a label. */
static void a_gray_release_reaches_whom_it_is_for(void **state)
{
    (void)state;
    assert_int_equal(put("/config/a", "old"), 201);
    assert_int_equal(ask("POST", "/config",
                         "{\"values\":[],\"rules\":[{\"name\":\"a\",\"rule\":\"r\",\"priority\":1,"
                         "\"permille\":1000,\"labels\":[\"zone=1\"],\"value\":\"new\"}]}"),
                     200);
    assert_int_equal(get("/config/a?id=c1&labels=x,zone%3D1"), 200);
    assert_body("new");
    assert_header("Weir-Layer: gray");
    assert_header("ETag: \"1/gray\"");
    assert_int_equal(get("/config/a?id=c1"), 200);
    assert_body("old");
    assert_int_equal(get("/config/a?labels=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"), 400);
    assert_body("labels: more than 16\n");
    assert_int_equal(ask("POST", "/config/a?promote=r", NULL), 200);
    assert_int_equal(get("/config/a"), 200);
    assert_body("new");
    assert_int_equal(ask("POST", "/config/a?promote=r", NULL), 404);
    assert_int_equal(ask("POST", "/config/a?abandon=r", NULL), 404);
    assert_body("version or rule: not found\n");
    assert_int_equal(ask("POST", "/config/a?abandon=a%20b", NULL), 400);
    assert_body("name, layer or rule: not a name\n");
    assert_int_equal(ask("POST", "/config/a", NULL), 400);
    assert_body("query: rollback, promote or abandon is needed\n");
}

static void a_write_compares_versions_when_told_to(void **state)
{
    (void)state;
    assert_int_equal(ask_with("PUT", "/config/a", "If-Match: \"1\"\r\n", "x"), 412);
    assert_body("version: there is no value\n");
    assert_no_header("ETag");
    assert_int_equal(ask_with("PUT", "/config/a", "If-None-Match: *\r\n", "x"), 201);
    assert_int_equal(ask_with("PUT", "/config/a", "If-None-Match: *\r\n", "y"), 412);
    assert_body("version: it is 1\n");
    assert_header("ETag: \"1\"");
    assert_int_equal(ask_with("PUT", "/config/a", "If-Match: \"1\"\r\n", "y"), 200);
    assert_header("ETag: \"2\"");
    assert_int_equal(ask_with("DELETE", "/config/a", "If-Match: \"1\"\r\n", NULL), 412);
    assert_header("ETag: \"2\"");
    assert_int_equal(ask_with("PUT", "/config/a?label=b", "If-Match: \"2/default\"\r\n", "z"), 412);
    assert_int_equal(ask_with("DELETE", "/config/a", "If-Match: \"2\"\r\n", NULL), 200);
    assert_int_equal(ask_with("PUT", "/config/a", "If-Match: \"3\"\r\n", "z"), 412);
    assert_no_header("ETag"); /* It is deleted. */
    assert_int_equal(ask_with("PUT", "/config/a", "If-None-Match: *\r\n", "z"), 200);
    assert_header("ETag: \"4\"");
}

static void a_condition_that_cannot_be_checked_is_refused(void **state)
{
    (void)state;
    static const char *const malformed[] = {"If-Match: 1\r\n",
                                            "If-Match: *\r\n",
                                            "If-Match: W/\"1\"\r\n",
                                            "If-Match: \"1\", \"2\"\r\n",
                                            "If-Match: \"\r\n",
                                            "If-None-Match: \"1\"\r\n",
                                            "If-Match: \"1\"\r\nIf-Match: \"1\"\r\n",
                                            "If-Match: \"1\"\r\nIf-None-Match: *\r\n"};
    assert_int_equal(put("/config/a", "x"), 201);
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        assert_int_equal(ask_with("PUT", "/config/a", malformed[i], "y"), 400);
    assert_int_equal(ask_with("POST", "/config/a?rollback=1", "If-Match: \"1\"\r\n", NULL), 400);
    assert_body("if-match: there is nothing to compare with\n");
    assert_int_equal(ask_with("POST", "/config", "If-None-Match: *\r\n", "{}"), 400);
    assert_int_equal(ask_with("GET", "/config/a", "If-Match: \"1\"\r\n", NULL), 400);
    assert_int_equal(get("/config/a"), 200);
    assert_body("x");
}

static void a_value_that_did_not_change_is_not_sent_again(void **state)
{
    (void)state;
    static const char *const same[] = {"If-None-Match: \"1\"\r\n", "If-None-Match: *\r\n",
                                       "If-None-Match: \"0\" , W/\"1\" ,\"5\"\r\n"};
    static const char *const other[] = {"If-None-Match: \"2\"\r\n", "If-None-Match: \"11\"\r\n",
                                        "If-None-Match: \"1\"x, \r\n", "If-None-Match:\r\n"};
    assert_int_equal(put("/config/a", "x"), 201);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_int_equal(ask_with("GET", "/config/a", same[i], NULL), 304);
        assert_header("ETag: \"1\"");
        assert_body("");
    }
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        assert_int_equal(ask_with("GET", "/config/a", other[i], NULL), 200);
}

static void former_versions_are_read_and_put_again(void **state)
{
    (void)state;
    assert_int_equal(put("/config/a?source=me", "one"), 201);
    assert_int_equal(put("/config/a", "\xff"), 200);
    assert_int_equal(ask("DELETE", "/config/a", NULL), 200);
    assert_int_equal(get("/config/a?version=1"), 200);
    assert_body("one");
    assert_header("ETag: \"1\"");
    assert_header("Weir-Revision: 2");
    assert_int_equal(get("/config/a?history"), 200);
    assert_body(
        "{\"name\":\"a\",\"versions\":[\n"
        "{\"version\":1,\"revision\":2,\"modified_ms\":5000,\"source\":\"me\",\"value\":\"one\"},\n"
        "{\"version\":2,\"revision\":3,\"modified_ms\":5000,\"hex\":\"ff\"},\n"
        "{\"version\":3,\"revision\":4,\"modified_ms\":5000,\"deleted\":true}]}\n");
    assert_int_equal(ask("POST", "/config/a?rollback=1", NULL), 200);
    assert_body("{\"revision\":5,\"version\":4}\n");
    assert_int_equal(get("/config/a"), 200);
    assert_body("one");
    assert_int_equal(get("/config/a?version=3"), 404);
    assert_body("version: not found\n");
    assert_int_equal(get("/config/a?version=9"), 404);
    assert_int_equal(get("/config/a?version=0"), 400);
    assert_int_equal(get("/config/a?version=x"), 400);
    assert_body("version: expected a digit\n");
    assert_int_equal(get("/config/b?history"), 404);
    assert_int_equal(get("/config/a%20b?history"), 400);
    assert_body("name, environment or label: invalid argument\n");
    assert_int_equal(ask("POST", "/config/a?rollback=9", NULL), 404);
    assert_int_equal(ask("POST", "/config/a?rollback=-1", NULL), 400);
}

static void a_validator_tells_why_it_refuses(void **state)
{
    (void)state;
    weir_config_validator const validator = {.pattern = "*/limit",
                                             .check = WEIR_CONFIG_CHECK_REGEX,
                                             .regex = "^[0-9]+$"};
    assert_int_equal(weir_config_add_validator(a.config, &validator, NULL), WEIR_OK);
    assert_int_equal(put("/config/a/limit", "many"), 400);
    assert_body("a/limit: does not match ^[0-9]+$\n");
    assert_int_equal(put("/config/a/limit", "7"), 201);
    assert_int_equal(ask("POST", "/config",
                         "{\"values\":[{\"name\":\"b/limit\",\"value\":\"1\"},"
                         "{\"name\":\"a/limit\",\"value\":\"x\"}]}"),
                     400);
    assert_body("a/limit: does not match ^[0-9]+$\n");
    assert_int_equal(get("/config/b/limit"), 404); /* All or nothing. */
}

static void all_is_exported_and_imported(void **state)
{
    (void)state;
    char document[256];
    assert_int_equal(put("/config/b", "2"), 201);
    assert_int_equal(put("/config/a/x?label=l", "1"), 201);
    assert_int_equal(get("/config"), 200);
    assert_header("Content-Type: application/json");
    assert_body(
        "{\"revision\":3,\"values\":[\n{\"name\":\"a/x\",\"label\":\"l\",\"value\":\"1\"},\n"
        "{\"name\":\"b\",\"value\":\"2\"}],\n\"rules\":[]}\n");
    assert_int_equal(get("/config?pattern=a/**&watch=false"), 200);
    assert_body("{\"revision\":3,\"values\":[\n{\"name\":\"a/x\",\"label\":\"l\",\"value\":\"1\"}],"
                "\n\"rules\":[]}\n");
    (void)snprintf(document, sizeof document, "%s", a.body);
    assert_int_equal(ask("DELETE", "/config/a/x?label=l", NULL), 200);
    assert_int_equal(ask("POST", "/config", document), 200);
    assert_body("{\"revision\":5}\n");
    assert_int_equal(get("/config/a/x?label=l"), 200);
    assert_body("1");
    assert_int_equal(ask("POST", "/config", "{\n\"values\":7}"), 400);
    assert_int_equal(strncmp(a.body, "line 2: ", 8), 0);
    assert_int_equal(ask("POST", "/config", ""), 400);
}

static void head_is_get_without_a_body(void **state)
{
    (void)state;
    assert_int_equal(put("/config/a", "x"), 201);
    assert_int_equal(ask("HEAD", "/config/a", NULL), 200);
    assert_header("ETag: \"1\"");
    assert_header("Content-Length: 1");
    assert_body("");
    assert_int_equal(ask("HEAD", "/config?watch", NULL), 200);
    assert_header("Content-Type: application/x-ndjson");
    assert_int_equal(weir_admin_streams(a.admin), 0);
}

static void a_body_over_the_limit_is_refused(void **state)
{
    (void)state;
    static char large[1002];
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(put("/config/a", large), 413);
    assert_body("body: over a size limit\n");
    large[1000] = '\0';
    assert_int_equal(put("/config/a", large), 201);
    /* In pieces of unknown number. */
    int const fd = raw_connect();
    raw_send(fd, "PUT /config/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    raw_send(fd, "258\r\n");
    large[600] = '\0';
    raw_send(fd, large);
    raw_send(fd, "\r\n258\r\n");
    raw_send(fd, large);
    assert_int_equal(end_request(fd), 413);
    assert_int_equal(get("/config/a"), 200);
    assert_header("ETag: \"1\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_value_is_put_read_and_deleted),
        TEST(names_are_percent_decoded_and_values_are_any_bytes),
        TEST(layers_are_written_by_their_names_and_read_by_who_asks),
        TEST(a_gray_release_reaches_whom_it_is_for),
        TEST(a_write_compares_versions_when_told_to),
        TEST(a_condition_that_cannot_be_checked_is_refused),
        TEST(a_value_that_did_not_change_is_not_sent_again),
        TEST(former_versions_are_read_and_put_again),
        TEST(a_validator_tells_why_it_refuses),
        TEST(all_is_exported_and_imported),
        TEST(head_is_get_without_a_body),
        TEST(a_body_over_the_limit_is_refused),
    };
    return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}

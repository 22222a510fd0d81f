#include <weir/admin.h>

#include "support/admin_fixture.h"

/* ---- Answers that come later ---- */

static void a_write_is_answered_once_it_is_safe(void **state)
{
    (void)state;
    a.slow.quick = false;
    int const fd = begin_request("PUT", "/config/a", "", "x");
    until(a.slow.count == 1);
    settle();
    raw_read(fd);
    assert_int_equal(f.got_size, 0);
    slow_kv_drain(&a.slow);
    assert_int_equal(end_request(fd), 201);
}

static void a_client_that_goes_does_not_stop_its_write(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *body;
    } cases[] = {{"PUT", "/config/a", "x"},
                 {"PUT", "/services/s/i", "{}"},
                 {"GET", "/config/a?history", NULL},
                 {"GET", "/config/a?version=1", NULL}};
    a.slow.quick = false;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int const fd = begin_request(cases[i].method, cases[i].target, "", cases[i].body);
        until(a.slow.count == 1);
        raw_reset(fd);
        until(weir_http_server_connections(f.server) == 0);
        slow_kv_drain(&a.slow);
    }
    a.slow.quick = true;
    assert_int_equal(get("/config/a"), 200);
    assert_body("x");
    assert_int_equal(get("/services/s/i"), 200);
}

static void a_client_that_goes_within_its_body_writes_nothing(void **state)
{
    (void)state;
    int const fd = raw_connect();
    raw_send(fd, "PUT /config/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
    until(weir_http_server_exchanges(f.server) == 1);
    settle();
    raw_reset(fd);
    until(weir_http_server_connections(f.server) == 0);
    assert_int_equal(get("/config/a"), 404);
}

static void what_the_space_says_later_is_told(void **state)
{
    (void)state;
    static const struct {
        int code, status;
    } cases[] = {{WEIR_EREADONLY, 503},
                 {WEIR_ECLOSED, 503},
                 {WEIR_ESYSTEM, 503},
                 {WEIR_ETOOLARGE, 413},
                 {WEIR_ENOMEM, 500}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        a.slow.fail = cases[i].code;
        assert_int_equal(put("/config/a", "x"), cases[i].status);
        assert_int_equal(put("/services/s/i", "{}"), cases[i].status);
        assert_int_equal(get("/config/a?history"), cases[i].status);
        assert_int_equal(get("/config/a?version=1"), cases[i].status);
        a.slow.fail = WEIR_OK;
        a.slow.refuse = cases[i].code;
        assert_int_equal(put("/config/a", "x"), cases[i].status);
        assert_int_equal(ask("DELETE", "/services/s/i", NULL), cases[i].status);
        assert_int_equal(get("/config/a?history"), cases[i].status);
        a.slow.refuse = WEIR_OK;
    }
    a.slow.fail = WEIR_EREADONLY;
    assert_int_equal(put("/config/a", "x"), 503);
    assert_header("Retry-After: 1");
    assert_int_equal(strncmp(a.body, "config: ", 8), 0);
}

static void a_config_that_was_never_in_sync_is_asked_for_later(void **state)
{
    (void)state;
    weir_env const env = fake_env_hooks(&a.space);
    weir_config_options config = WEIR_CONFIG_OPTIONS_INIT;
    weir_admin_destroy(a.admin);
    weir_config_destroy(a.config);
    config.kv = &a.kv;
    config.env = &env;
    a.slow.quick = false;
    assert_int_equal(weir_config_create(&a.config, &config), WEIR_OK);
    a.options.config = a.config;
    create_admin();
    static const char *const pages[] = {"/config/a", "/config", "/config?watch"};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        assert_int_equal(get(pages[i]), 503);
        assert_header("Retry-After: 1");
        assert_body("config: not in sync yet\n");
    }
    a.slow.quick = true;
    slow_kv_drain(&a.slow);
    assert_int_equal(get("/config/a"), 404);
}

/* ---- Ends ---- */

static void an_admin_that_goes_cuts_what_is_in_progress(void **state)
{
    (void)state;
    a.slow.quick = false;
    int const writing = begin_request("PUT", "/config/a", "", "x");
    until(a.slow.count == 1);
    int const reading = raw_connect();
    raw_send(reading, "PUT /config/b HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
    until(weir_http_server_exchanges(f.server) == 2);
    settle();
    weir_admin_destroy(a.admin);
    a.admin = NULL;
    assert_int_equal(end_request(writing), 0);
    assert_int_equal(end_request(reading), 0);
    a.slow.quick = true;
    slow_kv_drain(&a.slow); /* The write is told to nobody. */
    create_admin();
    assert_int_equal(get("/config/a"), 200);
    assert_int_equal(get("/config/b"), 404);
}

static void a_server_that_goes_first_does_no_harm(void **state)
{
    (void)state;
    a.slow.quick = false;
    int const writing = begin_request("PUT", "/config/a", "", "x");
    until(a.slow.count == 1);
    int const watching = begin_request("GET", "/config?watch", "", NULL);
    until(weir_admin_streams(a.admin) == 1);
    weir_http_server_destroy(f.server);
    f.server = NULL;
    assert_int_equal(weir_admin_streams(a.admin), 0);
    raw_close(writing);
    raw_close(watching);
    slow_kv_drain(&a.slow);
}

/* Heads and bodies of answers may fill the exchange by themselves, many times. */
static void a_narrow_exchange_passes_all(void **state)
{
    (void)state;
    weir_http_server_destroy(f.server);
    serve_with(1);
    assert_int_equal(put("/config/a", "some value"), 201);
    assert_int_equal(get("/config/a"), 200);
    assert_body("some value");
    assert_int_equal(get("/services/"), 400);
    int const fd = raw_connect();
    raw_send(fd, "GET /config/a HTTP/1.1\r\nHost: x\r\n\r\nGET /config/a HTTP/1.1\r\nHost: x\r\n"
                 "Connection: close\r\n\r\n");
    assert_int_equal(end_request(fd), 200);
    assert_non_null(strstr(strstr(f.got, "some value") + 1, "some value"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_is_answered_once_it_is_safe),
        TEST(a_client_that_goes_does_not_stop_its_write),
        TEST(a_client_that_goes_within_its_body_writes_nothing),
        TEST(what_the_space_says_later_is_told),
        TEST(a_config_that_was_never_in_sync_is_asked_for_later),
        TEST(an_admin_that_goes_cuts_what_is_in_progress),
        TEST(a_server_that_goes_first_does_no_harm),
        TEST(a_narrow_exchange_passes_all),
    };
    return cmocka_run_group_tests_name("admin_life", tests, NULL, NULL);
}

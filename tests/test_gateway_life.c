/* Gateway: its pages, its updates, its end, and what happens without memory. */
#include "support/gateway_fixture.h"

static void the_admin_pages_tell_what_is(void **state)
{
    (void)state;
    start_two("limit 100/s burst=10\n");
    assert_int_equal(get("/s"), 200);
    assert_int_equal(get("/nowhere"), 404);
    assert_int_equal(admin_page("GET", "/healthz"), 200);
    assert_int_equal(admin_page("GET", "/readyz?now"), 200);
    assert_int_equal(admin_page("POST", "/healthz"), 403); /* Without a token, only reads. */
    assert_int_equal(admin_page("GET", "/other"), 404);
    assert_int_equal(admin_page("GET", "/status"), 200);
    assert_non_null(strstr(reply.head, "\"state\":\"ready\",\"in_flight\":0"));
    assert_non_null(strstr(reply.head, "\"limiter\":{\"remaining\":9,\"refused\":0}"));
    assert_non_null(strstr(reply.head, "\"breaker\":{\"state\":\"closed\",\"calls\":1"));
    assert_int_equal(admin_page("GET", "/metrics"), 200);
    assert_non_null(strstr(reply.head,
                           "http_server_request_duration_seconds_count{http_request_method=\"GET\","
                           "http_response_status_code=\"404\",http_route=\"\",error_type=\"\",url_"
                           "scheme=\"http\"} 1\n"));
    assert_non_null(strstr(reply.head,
                           "http_server_request_duration_seconds_count{http_request_method=\"GET\","
                           "http_response_status_code=\"200\",http_route=\"/"
                           "s\",error_type=\"\",url_scheme=\"http\"} 1\n"));
}

static void draining_ends_when_the_last_request_has(void **state)
{
    (void)state;
    start_two("");
    int const fd = connect_proxy();
    tell(fd, "GET /s/hold HTTP/1.1\r\nHost: x\r\n\r\n");
    settle();
    weir_gateway_drain(f.gateway, on_drained, &f.drained);
    settle();
    assert_false(f.drained);
    assert_int_equal(admin_page("GET", "/readyz"), 503);
    (void)weir_http_exchange_respond(f.held, 200, NULL, NULL, 0);
    (void)read_all(fd, UINT64_MAX);
    assert_non_null(strstr(reply.head, "Connection: close"));
    (void)close(fd);
    settle();
    assert_true(f.drained);
}

static void an_update_keeps_what_stays_and_lets_the_rest_finish(void **state)
{
    (void)state;
    start_two("balance random\nbreaker consecutive=1 rest=50s rest_max=60s\n");
    assert_int_equal(get("/s/500"), 500);
    assert_int_equal(get("/s/500"), 500);
    assert_int_equal(get("/s"), 503);
    assert_int_equal(update(TWO "balance random\nbreaker consecutive=1 rest=50s rest_max=60s\n"
                                "timeout 9s\n"),
                     WEIR_OK);
    assert_int_equal(get("/s"), 503); /* The breakers are as open as before. */
    assert_non_null(strstr(reply.head, "Retry-After: "));
    assert_int_equal(update(TWO "balance round_robin\nbreaker off\n"), WEIR_OK);
    int const fd = connect_proxy();
    tell(fd, "GET /s/hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    settle();
    assert_int_equal(update("service t\nroute /t\nmember a ${A}\n"), WEIR_OK);
    assert_int_equal(get("/s"), 404);
    assert_int_equal(get("/t"), 200);
    (void)weir_http_exchange_respond(f.held, 200, NULL, "late", 4);
    (void)read_all(fd, UINT64_MAX);
    assert_non_null(strstr(reply.head, "\r\n\r\nlate"));
    (void)close(fd);
}

static void an_update_that_cannot_be_changes_nothing(void **state)
{
    (void)state;
    start_two("");
    assert_int_equal(update(TWO "health http / method=GE{T\n"), WEIR_EINVAL);
    assert_string_equal(f.error.field, "health");
    assert_int_equal(f.error.line, 7);
    weir_gateway_config *config;
    static const char text[] = "proxy 127.0.0.1:1\nadmin 127.0.0.1:0\n"
                               "service s\nroute /s\nmember a 127.0.0.1:1\n";
    assert_int_equal(weir_gateway_config_parse(&config, text, sizeof text - 1, NULL, NULL, NULL,
                                               &f.error),
                     WEIR_OK);
    assert_int_equal(weir_gateway_update(f.gateway, config, &f.error), WEIR_EINVAL);
    assert_non_null(strstr(f.error.message, "cannot change"));
    weir_gateway_config_destroy(config);
    assert_int_equal(get("/s"), 200);
}

static void an_address_in_use_is_named(void **state)
{
    (void)state;
    char text[256];
    weir_gateway_config *config;
    int const size = snprintf(text, sizeof text,
                              "proxy 127.0.0.1:%u\nadmin 127.0.0.1:0\n"
                              "service s\nroute /s\nmember a 127.0.0.1:1\n",
                              start_upstream(0));
    assert_int_equal(weir_gateway_config_parse(&config, text, (size_t)size, NULL, NULL, NULL,
                                               &f.error),
                     WEIR_OK);
    assert_int_equal(weir_gateway_create(&f.gateway, f.loop, config, NULL, &f.error), WEIR_ESYSTEM);
    assert_string_equal(f.error.field, "proxy");
    assert_non_null(strstr(f.error.message, "cannot listen on 127.0.0.1:"));
    assert_null(f.gateway);
    weir_gateway_config_destroy(config);
}

static void destroying_it_cuts_what_runs(void **state)
{
    (void)state;
    start_two("retry attempts=2 base=9s cap=9s\n");
    int const held = connect_proxy(), waiting = connect_proxy();
    tell(held, "GET /s/hold HTTP/1.1\r\nHost: x\r\n\r\n");
    tell(waiting, "GET /s/500 HTTP/1.1\r\nHost: x\r\n\r\n");
    settle();
    weir_gateway_destroy(f.gateway);
    f.gateway = NULL;
    settle();
    assert_int_equal(read_all(held, UINT64_MAX), 0);
    (void)close(held);
    (void)close(waiting);
}

static void create_and_update_survive_every_failed_allocation(void **state)
{
    (void)state;
    (void)start_upstream(0);
    static const char services[] = "service s\nroute /s\nmember a ${A}\nretry attempts=2\n";
    settle();
    size_t const before = f.fake.live_bytes;
    f.fake.calls = 0;
    for (f.fake.fail_at = 1; try_start(services) == WEIR_ENOMEM;
         f.fake.fail_at++, f.fake.calls = 0) {
        assert_null(f.gateway);
        settle();
        assert_int_equal(f.fake.live_bytes, before);
    }
    assert_true(f.fake.fail_at > 10);
    f.fake.calls = 0;
    for (f.fake.fail_at = 1; update(services) == WEIR_ENOMEM; f.fake.fail_at++, f.fake.calls = 0) {
        f.fake.fail_at += 1000; /* None while it is asked. */
        assert_int_equal(get("/s"), 200);
        f.fake.fail_at -= 1000;
    }
    f.fake.fail_at = 0;
    assert_int_equal(get("/s"), 200);
}

/* Whatever fails, the client gets an answer or sees its connection closed, and the next one served.
 */
static void a_request_survives_every_failed_allocation(void **state)
{
    (void)state;
    start_two("retry attempts=2 base=0 cap=0\nbreaker off\n");
    static const char *const paths[] = {"/s", "/s/500", "/nowhere"};
    for (size_t i = 0; i < 3; i++) {
        bool failed = true;
        for (unsigned n = 1; failed; n++) {
            assert_in_range(n, 1, 200);
            f.fake.calls = 0;
            f.fake.fail_at = n;
            int const status = ask("PUT", paths[i], "body");
            failed = f.fake.calls >= n;
            f.fake.fail_at = 0;
            f.fake.now_ns += 5000 * MS; /* Who could not accept tries again. */
            settle();
            assert_true(status == 0 || status == 200 || status == 404 || status >= 500);
            assert_int_equal(get("/s"), 200);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_admin_pages_tell_what_is),
        TEST(draining_ends_when_the_last_request_has),
        TEST(an_update_keeps_what_stays_and_lets_the_rest_finish),
        TEST(an_update_that_cannot_be_changes_nothing),
        TEST(an_address_in_use_is_named),
        TEST(destroying_it_cuts_what_runs),
        TEST(create_and_update_survive_every_failed_allocation),
        TEST(a_request_survives_every_failed_allocation),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("gateway_life", tests, NULL, NULL);
}

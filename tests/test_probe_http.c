/* A prober over HTTP, against real servers on this machine. */
#include "support/probe_fixture.h"

#include <weir/probe_http.h>

static weir_probe_http *prober;
static weir_probe_http_options options;
static int status_to_give;
static const char *body_to_give;
static unsigned asked;

static int setup(void **state)
{
    options = (weir_probe_http_options)WEIR_PROBE_HTTP_OPTIONS_INIT;
    status_to_give = 200;
    body_to_give = "all is well here";
    asked = 0;
    prober = NULL;
    return probe_setup(state);
}

static int teardown(void **state)
{
    weir_loop_task_destroy(task);
    weir_health_destroy(health);
    weir_probe_http_destroy(prober);
    return fixture_teardown(state);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void give(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    (void)user;
    asked++;
    say_slice(request->method);
    say(" ");
    say_slice(request->target);
    say(" ");
    say_slice(request->authority);
    (void)weir_http_exchange_respond(exchange, status_to_give, "text/plain", body_to_give,
                                     strlen(body_to_give));
}

static void create(void)
{
    weir_http_client_options client = WEIR_HTTP_CLIENT_OPTIONS_INIT;
    client.max_idle_per_address = 1;
    if (f.client == NULL)
        assert_int_equal(weir_http_client_create(&f.client, f.loop, &client), WEIR_OK);
    options.address = address_text();
    assert_int_equal(weir_probe_http_create(&prober, f.client, &options), WEIR_OK);
    add_check(weir_probe_http_start, weir_probe_http_cancel, prober);
}

static void serve_and_create(void)
{
    weir_http_server_options server = WEIR_HTTP_SERVER_OPTIONS_INIT;
    server.on_request = give;
    serve(&server);
    create();
}

static void asks_for_what_it_is_told_and_passes_on_an_expected_status(void **state)
{
    (void)state;
    options.method = "HEAD";
    options.target = "/healthz?deep=1";
    options.host = "shop.example";
    serve_and_create();
    weir_health_status const status = run_once();
    assert_told("HEAD /healthz?deep=1 shop.example");
    assert_int_equal(status.state, WEIR_HEALTH_UP);
    assert_int_equal(status.figure, 200);
}

static void sends_headers_and_its_address_as_host(void **state)
{
    (void)state;
    weir_http_header const header = {weir_http_str("X-Probe"), weir_http_str("weir")};
    options.headers = &header;
    options.header_count = 1;
    int const listener = raw_listen();
    create();
    start_run();
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    char expected[128];
    (void)snprintf(expected, sizeof expected, "GET / HTTP/1.1\r\nHost: %s\r\nX-Probe: weir\r\n\r\n",
                   address_text());
    assert_got(expected);
    raw_close(fd);
    raw_close(listener);
}

static void reads_ranges_of_statuses(void **state)
{
    (void)state;
    options.expect = "200-299,401";
    options.warn = "429";
    serve_and_create();
    static const struct {
        int status;
        weir_health_state state;
    } cases[] = {{200, WEIR_HEALTH_UP},  {299, WEIR_HEALTH_UP},   {300, WEIR_HEALTH_DOWN},
                 {401, WEIR_HEALTH_UP},  {400, WEIR_HEALTH_DOWN}, {429, WEIR_HEALTH_WARN},
                 {503, WEIR_HEALTH_DOWN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        status_to_give = cases[i].status;
        weir_health_status const status = run_once();
        assert_int_equal(status.state, cases[i].state);
        assert_int_equal(status.figure, cases[i].status);
    }
    assert_string_equal(status_now().note, "unexpected status");
}

static void looks_for_some_bytes_in_the_body(void **state)
{
    (void)state;
    options.body = "is well";
    serve_and_create();
    assert_int_equal(run_once().state, WEIR_HEALTH_UP);
    body_to_give = "all is ill";
    assert_int_equal(run_once().state, WEIR_HEALTH_DOWN);
    assert_string_equal(status_now().note, "the body lacks what is expected");
    body_to_give = "";
    assert_int_equal(run_once().state, WEIR_HEALTH_DOWN);
    body_to_give = "is is wis well";
    assert_int_equal(run_once().state, WEIR_HEALTH_UP);
}

static void finds_bytes_that_come_in_two_parts_and_none_beyond_its_bound(void **state)
{
    (void)state;
    options.body = "aab";
    options.body_bytes = 8;
    int const listener = raw_listen();
    create();
    start_run();
    int fd = raw_accept(listener);
    raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nxaa");
    settle();
    raw_send(fd, "abx");
    until(!status_now().running);
    assert_int_equal(status_now().state, WEIR_HEALTH_UP);
    start_run(); /* Over the same connection: the endless body is cut off. */
    raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n123456aab");
    until(!status_now().running);
    assert_int_equal(status_now().state, WEIR_HEALTH_DOWN);
    until(raw_ended(fd));
    raw_close(fd);
    raw_close(listener);
}

static void uses_one_connection_again_and_again(void **state)
{
    (void)state;
    serve_and_create();
    for (unsigned i = 0; i < 5; i++) {
        (void)run_once();
        assert_int_equal(weir_http_server_connections(f.server), 1);
    }
    assert_int_equal(asked, 5);
}

static void fails_when_nobody_listens(void **state)
{
    (void)state;
    raw_close(raw_listen()); /* A port that is free now. */
    create();
    weir_health_status const status = run_once();
    assert_int_equal(status.state, WEIR_HEALTH_DOWN);
    assert_int_equal(status.figure, ECONNREFUSED);
    assert_string_not_equal(status.note, "");
}

static void a_server_that_does_not_answer_is_cut_off_at_the_timeout(void **state)
{
    (void)state;
    int const listener = raw_listen();
    create();
    start_run();
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    advance_ms(999);
    assert_true(status_now().running);
    advance_ms(1);
    assert_int_equal(status_now().state, WEIR_HEALTH_DOWN);
    assert_int_equal(status_now().timeouts, 1);
    until(raw_ended(fd));
    raw_close(fd);
    raw_close(listener);
}

/* However impatient the client is with others. */
static void the_timeout_is_that_of_the_check(void **state)
{
    (void)state;
    int const listener = raw_listen();
    weir_http_client_options client = WEIR_HTTP_CLIENT_OPTIONS_INIT;
    client.connect_ms = client.head_ms = client.stall_ms = 100;
    assert_int_equal(weir_http_client_create(&f.client, f.loop, &client), WEIR_OK);
    create();
    start_run();
    int const fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    advance_ms(999);
    assert_true(status_now().running);
    raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    until(!status_now().running);
    assert_int_equal(status_now().state, WEIR_HEALTH_UP);
    raw_close(fd);
    raw_close(listener);
}

/* A method that is not safe is not repeated by the client. */
static void a_kept_connection_that_closes_as_it_is_asked_again_says_nothing(void **state)
{
    (void)state;
    int const listener = raw_listen();
    options.method = "POST";
    create();
    start_run();
    int fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    until(!status_now().running);
    f.got_size = 0;
    start_run();
    until(raw_has(fd, "\r\n\r\n"));
    raw_close(fd);
    until(!status_now().running);
    assert_int_equal(status_now().state, WEIR_HEALTH_UP);
    assert_int_equal(status_now().discarded, 1);
    start_run(); /* On a new connection it is the target's own doing. */
    fd = raw_accept(listener);
    until(raw_has(fd, "\r\n\r\n"));
    raw_close(fd);
    until(!status_now().running);
    assert_int_equal(status_now().state, WEIR_HEALTH_DOWN);
    raw_close(listener);
}

static void want_of_descriptors_is_not_the_targets_fault(void **state)
{
    (void)state;
    raw_close(raw_listen());
    create();
    limit_descriptors(0);
    weir_health_status const status = run_once();
    limit_descriptors(-1);
    assert_int_equal(status.state, WEIR_HEALTH_UNKNOWN);
    assert_int_equal(status.discarded, 1);
}

static void destroying_the_client_or_the_prober_in_a_run_does_no_harm(void **state)
{
    (void)state;
    int const listener = raw_listen();
    create();
    start_run();
    int fd = raw_accept(listener);
    weir_http_client_destroy(f.client);
    f.client = NULL;
    until(!status_now().running);
    assert_int_equal(status_now().discarded, 1);
    assert_int_equal(weir_health_remove(health, check), WEIR_OK);
    weir_probe_http_destroy(prober);
    raw_close(fd);
    create();
    start_run();
    fd = raw_accept(listener);
    assert_int_equal(weir_health_remove(health, check), WEIR_OK);
    weir_probe_http_destroy(prober);
    weir_probe_http_destroy(NULL);
    prober = NULL;
    until(raw_ended(fd));
    raw_close(fd);
    raw_close(listener);
}

static void refuses(void)
{
    weir_probe_http *made;
    assert_int_equal(weir_probe_http_create(&made, f.client, &options), WEIR_EINVAL);
    assert_null(made);
    options = (weir_probe_http_options)WEIR_PROBE_HTTP_OPTIONS_INIT;
    options.address = "127.0.0.1:80";
}

#define REFUSES(field, value)                                                                      \
    do {                                                                                           \
        options.field = (value);                                                                   \
        refuses();                                                                                 \
    } while (0)

static void refuses_options_out_of_range(void **state)
{
    (void)state;
    char long_body[257];
    memset(long_body, 'x', sizeof long_body - 1);
    long_body[256] = '\0';
    weir_http_header const split = {weir_http_str("X"), weir_http_str("a\r\nb")};
    weir_http_client_options client = WEIR_HTTP_CLIENT_OPTIONS_INIT;
    assert_int_equal(weir_http_client_create(&f.client, f.loop, &client), WEIR_OK);
    REFUSES(address, NULL);
    REFUSES(address, "nowhere");
    REFUSES(method, NULL);
    REFUSES(method, "GE T");
    REFUSES(method, "CONNECT");
    REFUSES(target, NULL);
    REFUSES(target, "");
    REFUSES(target, "/a b");
    REFUSES(host, "a\r\nb");
    REFUSES(expect, NULL);
    REFUSES(expect, "");
    REFUSES(expect, "199");
    REFUSES(expect, "600");
    REFUSES(expect, "299-200");
    REFUSES(expect, "200-");
    REFUSES(expect, "200,");
    REFUSES(expect, "200,201,202,203,204,205,206,207,208");
    REFUSES(warn, "x");
    REFUSES(body, "");
    REFUSES(body, long_body);
    REFUSES(body_bytes, 0);
    REFUSES(body_bytes, (1U << 24) + 1);
    REFUSES(header_count, 1);
    REFUSES(header_count, 65);
    REFUSES(struct_size, 1);
    options.body = "x";
    REFUSES(method, "HEAD");
    options.body = NULL;
    options.headers = &split;
    options.header_count = 1;
    refuses();
}

static void create_survives_a_failed_allocation(void **state)
{
    (void)state;
    weir_http_client_options client = WEIR_HTTP_CLIENT_OPTIONS_INIT;
    assert_int_equal(weir_http_client_create(&f.client, f.loop, &client), WEIR_OK);
    options.address = "127.0.0.1:80";
    f.fake.calls = 0;
    f.fake.fail_at = 1;
    weir_probe_http *made;
    assert_int_equal(weir_probe_http_create(&made, f.client, &options), WEIR_ENOMEM);
    assert_null(made);
}

static void a_run_survives_every_failed_allocation(void **state)
{
    (void)state;
    serve_and_create();
    unsigned fail_at = 1;
    do { /* Of the prober's, or of the server's: then the target failed. */
        f.fake.calls = 0;
        f.fake.fail_at = fail_at++;
        start_run();
        settle();
        advance_ms(1000); /* A server without memory may not answer. */
        assert_false(status_now().running);
    } while (f.fake.calls >= f.fake.fail_at && fail_at < 100);
    assert_in_range(fail_at, 3, 99);
    f.fake.fail_at = 0;
    advance_ms(2000); /* By now it accepts again. */
    assert_int_equal(run_once().state, WEIR_HEALTH_UP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(asks_for_what_it_is_told_and_passes_on_an_expected_status),
        TEST(sends_headers_and_its_address_as_host),
        TEST(reads_ranges_of_statuses),
        TEST(looks_for_some_bytes_in_the_body),
        TEST(finds_bytes_that_come_in_two_parts_and_none_beyond_its_bound),
        TEST(uses_one_connection_again_and_again),
        TEST(fails_when_nobody_listens),
        TEST(a_server_that_does_not_answer_is_cut_off_at_the_timeout),
        TEST(the_timeout_is_that_of_the_check),
        TEST(a_kept_connection_that_closes_as_it_is_asked_again_says_nothing),
        TEST(want_of_descriptors_is_not_the_targets_fault),
        TEST(destroying_the_client_or_the_prober_in_a_run_does_no_harm),
        TEST(refuses_options_out_of_range),
        TEST(create_survives_a_failed_allocation),
        TEST(a_run_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("probe_http", tests, NULL, NULL);
}

/* The gateway's active checks: who is asked, who is left out, and what a reload keeps. */
#include "support/gateway_fixture.h"

#define FAST " interval=1s timeout=500ms rise=1 fall=2\n"

static unsigned asked[2]; /* For /healthz, of each upstream. */
static bool ill[2];

static void serve_health(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    size_t const i = user == &f.served[0] ? 0 : 1;
    if (!weir_http_equals(request->path, "/healthz")) {
        serve(exchange, request, user);
        return;
    }
    asked[i]++;
    (void)weir_http_exchange_respond(exchange, ill[i] ? 503 : 200, NULL, "well", 4);
}

static void start_checked(const char *more)
{
    char services[512];
    asked[0] = asked[1] = 0;
    ill[0] = ill[1] = false;
    for (int i = 0; i < 2; i++) {
        weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
        options.on_request = serve_health;
        options.user = &f.served[i];
        assert_int_equal(weir_http_server_create(&f.upstreams[i], f.loop, &options), WEIR_OK);
    }
    (void)snprintf(services, sizeof services, TWO "%s", more);
    start(services);
}

/* In steps of 10 ms, all that happens meanwhile. */
static void pass_ms(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        fake_env_advance_ms(&f.fake, 10);
        for (int j = 0; j < 20; j++)
            step();
    }
}

static bool status_has(const char *text)
{
    assert_int_equal(admin_page("GET", "/status"), 200);
    return strstr(reply.head, text) != NULL;
}

static void ask_six(unsigned a, unsigned b)
{
    f.served[0] = f.served[1] = 0;
    for (int i = 0; i < 6; i++)
        assert_int_equal(get("/s/x"), 200);
    assert_int_equal(f.served[0], a);
    assert_int_equal(f.served[1], b);
}

static void a_member_that_fails_its_checks_is_left_out_until_it_passes(void **state)
{
    (void)state;
    start_checked("health http /healthz" FAST);
    pass_ms(1100);
    assert_true(asked[0] > 0);
    assert_true(asked[1] > 0);
    ask_six(3, 3);
    ill[0] = true;
    pass_ms(2100);
    ask_six(0, 6);
    assert_true(status_has("\"flags\":[\"unhealthy\"]"));
    assert_true(status_has("\"health\":{\"state\":\"down\",\"counter\":0"));
    assert_true(status_has("\"figure\":503,\"note\":\"unexpected status\""));
    assert_true(status_has("\"health\":{\"state\":\"up\",\"counter\":2"));
    ill[0] = false;
    pass_ms(1100);
    ask_six(3, 3);
    assert_false(status_has("unhealthy"));
}

/* Two of three checks of a member that serves are saved; one that serves nobody is checked. */
static void calls_that_succeed_stand_for_checks(void **state)
{
    (void)state;
    start_checked("balance first\nhealth http /healthz skip=2 interval=1s jitter=1%\n");
    pass_ms(2500);
    unsigned const before[2] = {asked[0], asked[1]};
    for (int i = 0; i < 60; i++) {
        assert_int_equal(get("/s/x"), 200);
        pass_ms(200);
    }
    assert_int_equal(f.served[0], 60);
    assert_in_range(asked[0] - before[0], 3, 5);
    assert_in_range(asked[1] - before[1], 11, 13);
    assert_true(status_has("\"state\":\"up\""));
}

static void metrics_show_the_checks(void **state)
{
    (void)state;
    start_checked("health http /healthz" FAST);
    ill[1] = true;
    pass_ms(2100);
    assert_int_equal(admin_page("GET", "/metrics"), 200);
    char const *const page = strstr(reply.head, "weir_health_state{");
    assert_non_null(page);
    assert_non_null(strstr(page, "weir_health_state{weir_service=\"s\",weir_member=\"a\"} 1\n"));
    assert_non_null(strstr(page, "weir_health_state{weir_service=\"s\",weir_member=\"b\"} 3\n"));
    assert_non_null(strstr(page, "weir_health_stalls_total 0\n"));
}

static void when_nobody_passes_all_are_asked_all_the_same(void **state)
{
    (void)state;
    start_checked("health http /healthz" FAST);
    ill[0] = ill[1] = true;
    pass_ms(2100);
    assert_true(status_has("unhealthy"));
    ask_six(3, 3); /* The balancer's panic: sooner some answers than none. */
}

/* Who waits for us must not fall when those do that we wait for: readiness does not cascade. */
static void we_stay_ready_however_sick_the_members_are(void **state)
{
    (void)state;
    start_checked("health http /healthz" FAST "panic off\n");
    ill[0] = ill[1] = true;
    pass_ms(2100);
    assert_int_equal(get("/s/x"), 503);
    assert_int_equal(admin_page("GET", "/readyz"), 200);
    assert_int_equal(admin_page("GET", "/healthz"), 200);
}

static void a_member_that_starts_as_down_waits_for_its_first_pass(void **state)
{
    (void)state;
    start_checked("health tcp start=down" FAST);
    settle();
    assert_true(status_has("unhealthy"));
    pass_ms(1100);
    assert_false(status_has("unhealthy"));
    ask_six(3, 3);
}

static void a_member_that_does_not_say_what_is_expected_times_out(void **state)
{
    (void)state;
    start_checked("health tcp send=GET expect=+PONG" FAST); /* An HTTP server waits for more. */
    pass_ms(2100);
    assert_true(status_has("\"timeouts\":"));
    assert_true(status_has("\"note\":\"no answer in time\""));
    assert_true(status_has("\"flags\":[\"unhealthy\"]"));
    assert_int_equal(update(TWO "health tcp send=PING\\n expect=HTTP/1.1" FAST), WEIR_OK);
    pass_ms(1000);
    assert_int_equal(update(TWO "health tcp" FAST), WEIR_OK); /* In the midst of runs. */
    pass_ms(1200);
    assert_false(status_has("unhealthy"));
}

static void a_silent_page_is_cut_off_at_the_timeout(void **state)
{
    (void)state;
    start_checked("health http /hold" FAST);
    pass_ms(2100);
    assert_true(status_has("\"note\":\"no answer in time\""));
    f.held = NULL;
}

static void checks_go_to_another_port_if_they_are_told_so(void **state)
{
    (void)state;
    char more[128];
    start_checked("");
    (void)snprintf(more, sizeof more, TWO "health http /healthz port=%u" FAST,
                   weir_http_server_address(f.upstreams[1]).port);
    assert_int_equal(update(more), WEIR_OK);
    pass_ms(1100);
    assert_int_equal(asked[0], 0);
    assert_in_range(asked[1], 2, 4);
}

static void a_reload_keeps_the_checks_that_are_the_same(void **state)
{
    (void)state;
    start_checked("health http /healthz" FAST);
    ill[0] = true;
    pass_ms(2100);
    ask_six(0, 6);
    unsigned const before = asked[0];
    for (int i = 0; i < 10; i++) /* A reload runs no check of its own, and forgets nothing. */
        assert_int_equal(update("service s\nroute /t\nmember a ${A}\nmember b ${B}\n"
                                "health http /healthz" FAST),
                         WEIR_OK);
    settle();
    assert_int_equal(asked[0], before);
    assert_true(status_has("\"health\":{\"state\":\"down\""));
    assert_true(status_has("\"flags\":[\"unhealthy\"]"));
    ill[0] = false;
    pass_ms(1100);
    assert_false(status_has("unhealthy")); /* It tells the service that is there now. */
}

static void a_check_that_changes_leaves_the_sick_out_until_the_new_one_passes(void **state)
{
    (void)state;
    start_checked("health http /healthz" FAST);
    ill[0] = true;
    pass_ms(2100);
    assert_int_equal(update(TWO "health tcp rise=1 interval=3s\n"), WEIR_OK);
    settle();
    assert_true(status_has("unhealthy"));
    pass_ms(3200); /* Its port is open: by the new check it is well. */
    assert_false(status_has("unhealthy"));
}

static void turning_checks_off_brings_the_sick_back(void **state)
{
    (void)state;
    start_checked("health http /healthz" FAST);
    ill[0] = true;
    pass_ms(2100);
    assert_true(status_has("unhealthy"));
    assert_int_equal(update(TWO "health off\n"), WEIR_OK);
    assert_false(status_has("unhealthy"));
    assert_false(status_has("\"health\""));
    unsigned const before = asked[0];
    pass_ms(3000);
    assert_int_equal(asked[0], before);
}

static void a_member_that_leaves_is_checked_no_more(void **state)
{
    (void)state;
    start_checked("health http /healthz" FAST);
    ill[0] = true;
    pass_ms(2100);
    assert_int_equal(update("service s\nroute /s\nmember b ${B}\nhealth http /healthz" FAST),
                     WEIR_OK);
    unsigned const before = asked[0];
    pass_ms(2100);
    assert_int_equal(asked[0], before);
    assert_int_equal(update("service other\nroute /s\nmember b ${B}\n"), WEIR_OK);
    unsigned const of_b = asked[1];
    pass_ms(2100);
    assert_int_equal(asked[1], of_b);
}

static void what_cannot_be_sent_is_refused_at_the_start_and_at_a_reload(void **state)
{
    (void)state;
    start_checked("health http /healthz" FAST);
    assert_int_equal(update(TWO "health http /h{ method=GE{T\n"), WEIR_EINVAL);
    assert_string_equal(f.error.field, "health");
    pass_ms(1100);
    assert_true(status_has("\"health\":{\"state\":\"up\"")); /* The old ones go on. */
    weir_gateway_destroy(f.gateway);
    f.gateway = NULL;
    assert_int_equal(try_start(TWO "health http / method=CONNECT\n"), WEIR_EINVAL);
}

static void create_and_update_survive_every_failed_allocation(void **state)
{
    (void)state;
    start_checked("");
    weir_gateway_destroy(f.gateway);
    f.gateway = NULL;
    f.fake.fail_at = 1;
    for (int result = WEIR_ENOMEM; result != WEIR_OK; f.fake.fail_at++) {
        f.fake.calls = 0;
        result = try_start(TWO "health http /healthz" FAST);
        assert_true(result == WEIR_OK || result == WEIR_ENOMEM);
        assert_in_range(f.fake.fail_at, 1, 500);
    }
    f.fake.fail_at = 1;
    for (int result = WEIR_ENOMEM; result != WEIR_OK; f.fake.fail_at++) {
        f.fake.calls = 0;
        result = update(TWO "health tcp send=x expect=y" FAST);
        assert_true(result == WEIR_OK || result == WEIR_ENOMEM);
        assert_in_range(f.fake.fail_at, 1, 500);
    }
    f.fake.fail_at = 0;
}

static void a_flag_that_finds_no_memory_is_set_a_little_later(void **state)
{
    (void)state;
    start_checked("health http /healthz" FAST);
    pass_ms(1100);
    ill[0] = true;
    for (int i = 0; i < 1000 && !status_has("\"state\":\"down\""); i++) {
        f.fake.fail_at = f.fake.calls + 1; /* Whatever comes next. */
        fake_env_advance_ms(&f.fake, 10);
        step();
        step();
        f.fake.fail_at = 0;
        settle();
    }
    assert_true(status_has("\"state\":\"down\""));
    pass_ms(200);
    ask_six(0, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_that_fails_its_checks_is_left_out_until_it_passes),
        TEST(calls_that_succeed_stand_for_checks),
        TEST(metrics_show_the_checks),
        TEST(when_nobody_passes_all_are_asked_all_the_same),
        TEST(we_stay_ready_however_sick_the_members_are),
        TEST(a_member_that_starts_as_down_waits_for_its_first_pass),
        TEST(a_member_that_does_not_say_what_is_expected_times_out),
        TEST(a_silent_page_is_cut_off_at_the_timeout),
        TEST(checks_go_to_another_port_if_they_are_told_so),
        TEST(a_reload_keeps_the_checks_that_are_the_same),
        TEST(a_check_that_changes_leaves_the_sick_out_until_the_new_one_passes),
        TEST(turning_checks_off_brings_the_sick_back),
        TEST(a_member_that_leaves_is_checked_no_more),
        TEST(what_cannot_be_sent_is_refused_at_the_start_and_at_a_reload),
        TEST(create_and_update_survive_every_failed_allocation),
        TEST(a_flag_that_finds_no_memory_is_set_a_little_later),
    };
    return cmocka_run_group_tests_name("gateway_health", tests, NULL, NULL);
}

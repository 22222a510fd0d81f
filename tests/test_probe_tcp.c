/* A prober over TCP, against real sockets on this machine. */
#include "support/probe_fixture.h"

#include <weir/probe_tcp.h>

static weir_probe_tcp *prober;
static weir_probe_tcp_options options;

static int setup(void **state)
{
    options = (weir_probe_tcp_options)WEIR_PROBE_TCP_OPTIONS_INIT;
    prober = NULL;
    return probe_setup(state);
}

static int teardown(void **state)
{
    weir_loop_task_destroy(task);
    weir_health_destroy(health);
    weir_probe_tcp_destroy(prober);
    return fixture_teardown(state);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void create(void)
{
    options.address = address_text();
    assert_int_equal(weir_probe_tcp_create(&prober, f.loop, &options), WEIR_OK);
    add_check(weir_probe_tcp_start, weir_probe_tcp_cancel, prober);
}

static void say_hello(const char *send, const char *expect)
{
    options.send = send;
    options.send_size = strlen(send);
    options.expect = expect;
    options.expect_size = strlen(expect);
}

static void passes_when_it_can_connect_and_leaves_by_a_reset(void **state)
{
    (void)state;
    int const listener = raw_listen();
    create();
    assert_int_equal(run_once().state, WEIR_HEALTH_UP);
    settle();
    int const fd = accept(listener, NULL, NULL);
    if (fd >= 0) { /* Where the handshake's last packet can be held back, nobody is bothered. */
        until(raw_ended(fd));
        assert_true(f.got_reset);
        raw_close(fd);
    }
    raw_close(listener);
}

static void fails_when_nobody_listens(void **state)
{
    (void)state;
    raw_close(raw_listen());
    create();
    weir_health_status const status = run_once();
    assert_int_equal(status.state, WEIR_HEALTH_DOWN);
    assert_int_equal(status.figure, ECONNREFUSED);
    assert_string_equal(status.note, "cannot connect");
}

static void sends_and_waits_for_what_it_expects(void **state)
{
    (void)state;
    say_hello("PING\r\n", "+PONG");
    int const listener = raw_listen();
    create();
    start_run();
    int const fd = raw_accept(listener);
    until(raw_has(fd, "PING\r\n"));
    raw_send(fd, "hello +PO");
    settle();
    assert_true(status_now().running);
    raw_send(fd, "NG\r\n");
    until(!status_now().running);
    assert_int_equal(status_now().state, WEIR_HEALTH_UP);
    until(raw_ended(fd));
    raw_close(fd);
    raw_close(listener);
}

static void waits_for_a_banner_without_sending(void **state)
{
    (void)state;
    options.expect = "220 ";
    options.expect_size = 4;
    int const listener = raw_listen();
    create();
    start_run();
    int const fd = raw_accept(listener);
    raw_send(fd, "220 mail.example ESMTP\r\n");
    until(!status_now().running);
    assert_int_equal(status_now().state, WEIR_HEALTH_UP);
    raw_close(fd);
    raw_close(listener);
}

static void fails_when_the_peer_closes_or_resets_first(void **state)
{
    (void)state;
    say_hello("PING", "+PONG");
    int const listener = raw_listen();
    create();
    start_run();
    int fd = raw_accept(listener);
    until(raw_has(fd, "PING")); /* Or its close would be a reset. */
    raw_close(fd);
    until(!status_now().running);
    assert_string_equal(status_now().note, "closed before what is expected came");
    start_run();
    fd = raw_accept(listener);
    raw_reset(fd);
    until(!status_now().running);
    assert_int_equal(status_now().state, WEIR_HEALTH_DOWN);
    assert_int_equal(status_now().figure, ECONNRESET);
    raw_close(listener);
}

static void fails_when_too_much_else_comes(void **state)
{
    (void)state;
    options.max_bytes = 10;
    say_hello("", "+PONG");
    int const listener = raw_listen();
    create();
    start_run();
    int const fd = raw_accept(listener);
    raw_send(fd, "0123456789+PONG");
    until(!status_now().running);
    assert_int_equal(status_now().state, WEIR_HEALTH_DOWN);
    assert_string_equal(status_now().note, "what is expected did not come");
    raw_close(fd);
    raw_close(listener);
}

static void a_peer_that_says_nothing_is_left_at_the_timeout(void **state)
{
    (void)state;
    say_hello("PING", "+PONG");
    int const listener = raw_listen();
    create();
    start_run();
    int const fd = raw_accept(listener);
    until(raw_has(fd, "PING"));
    advance_ms(1000);
    assert_int_equal(status_now().state, WEIR_HEALTH_DOWN);
    assert_int_equal(status_now().timeouts, 1);
    until(raw_ended(fd));
    raw_close(fd);
    raw_close(listener);
}

static void want_of_descriptors_or_memory_is_not_the_targets_fault(void **state)
{
    (void)state;
    int const listener = raw_listen();
    create();
    limit_descriptors(0);
    weir_health_status status = run_once();
    limit_descriptors(-1);
    assert_int_equal(status.discarded, 1);
    f.fake.calls = 0;
    f.fake.fail_at = 1;
    status = run_once();
    assert_int_equal(status.discarded, 2);
    assert_int_equal(status.state, WEIR_HEALTH_UNKNOWN);
    f.fake.fail_at = 0;
    assert_int_equal(run_once().state, WEIR_HEALTH_UP);
    raw_close(listener);
}

static void destroying_it_in_a_run_does_no_harm(void **state)
{
    (void)state;
    say_hello("PING", "+PONG");
    int const listener = raw_listen();
    create();
    start_run();
    int const fd = raw_accept(listener);
    assert_int_equal(weir_health_remove(health, check), WEIR_OK);
    weir_probe_tcp_destroy(prober);
    weir_probe_tcp_destroy(NULL);
    prober = NULL;
    until(raw_ended(fd));
    raw_close(fd);
    raw_close(listener);
}

#define REFUSES(field, value)                                                                      \
    do {                                                                                           \
        weir_probe_tcp *made;                                                                      \
        weir_probe_tcp_options wrong = WEIR_PROBE_TCP_OPTIONS_INIT;                                \
        wrong.address = "127.0.0.1:80";                                                            \
        wrong.field = (value);                                                                     \
        assert_int_equal(weir_probe_tcp_create(&made, f.loop, &wrong), WEIR_EINVAL);               \
        assert_null(made);                                                                         \
    } while (0)

static void refuses_options_out_of_range(void **state)
{
    (void)state;
    REFUSES(struct_size, 1);
    REFUSES(address, NULL);
    REFUSES(address, "somewhere");
    REFUSES(send_size, 1);
    REFUSES(send_size, 65537);
    REFUSES(expect_size, 1);
    REFUSES(expect_size, 256);
    REFUSES(max_bytes, 0);
    REFUSES(max_bytes, (1U << 24) + 1);
}

static void create_survives_a_failed_allocation(void **state)
{
    (void)state;
    options.address = "127.0.0.1:80";
    f.fake.calls = 0;
    f.fake.fail_at = 1;
    assert_int_equal(weir_probe_tcp_create(&prober, f.loop, &options), WEIR_ENOMEM);
    assert_null(prober);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(passes_when_it_can_connect_and_leaves_by_a_reset),
        TEST(fails_when_nobody_listens),
        TEST(sends_and_waits_for_what_it_expects),
        TEST(waits_for_a_banner_without_sending),
        TEST(fails_when_the_peer_closes_or_resets_first),
        TEST(fails_when_too_much_else_comes),
        TEST(a_peer_that_says_nothing_is_left_at_the_timeout),
        TEST(want_of_descriptors_or_memory_is_not_the_targets_fault),
        TEST(destroying_it_in_a_run_does_no_harm),
        TEST(refuses_options_out_of_range),
        TEST(create_survives_a_failed_allocation),
    };
    return cmocka_run_group_tests_name("probe_tcp", tests, NULL, NULL);
}

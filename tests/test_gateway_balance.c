/* Gateway: who serves: keys, stickiness, and outliers. */
#include "support/gateway_fixture.h"

#include <stdio.h>

/* A GET with more header lines. */
static int get_with(const char *path, const char *headers)
{
    char text[512];
    int const fd = connect_proxy();
    (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n",
                   path, headers);
    tell(fd, text);
    (void)read_all(fd, UINT64_MAX);
    (void)close(fd);
    return (int)strtol(reply.head + strlen("HTTP/1.1 "), NULL, 10);
}

/* How many of the two served since the last time. */
static unsigned served_by(void)
{
    unsigned const by = (f.served[0] > 0 ? 1u : 0u) + (f.served[1] > 0 ? 1u : 0u);
    f.served[0] = f.served[1] = 0;
    return by;
}

static void the_same_key_goes_to_the_same_member(void **state)
{
    (void)state;
    static const char *const algorithms[] = {"ketama", "maglev", "rendezvous", "jump"};
    static const char *const keys[] = {"header X-User", "cookie user", "source", "path"};
    for (size_t i = 0; i < 4; i++) {
        char service[128];
        (void)snprintf(service, sizeof service, "balance %s bound=200%%\nhash %s\n", algorithms[i],
                       keys[i]);
        start_two(service);
        for (int call = 0; call < 8; call++)
            assert_int_equal(get_with("/s/a", "X-User: 17\r\nCookie: a=b; user=17\r\n"), 200);
        assert_int_equal(served_by(), 1);
        assert_int_equal(teardown(NULL), 0);
        assert_int_equal(setup(NULL), 0);
    }
}

static void other_keys_go_elsewhere_and_none_anywhere(void **state)
{
    (void)state;
    start_two("balance maglev\nhash header X-User\n");
    for (int user = 0; user < 16; user++) {
        char header[32];
        (void)snprintf(header, sizeof header, "x-user: %d\r\n", user);
        assert_int_equal(get_with("/s", header), 200);
    }
    assert_int_equal(served_by(), 2);
    for (int i = 0; i < 16; i++)
        assert_int_equal(get_with("/s", "Cookie: user=1\r\n"), 200);
    assert_int_equal(served_by(), 2);
}

static void a_client_stays_with_the_member_that_its_cookie_names(void **state)
{
    (void)state;
    start_two("balance round_robin\nsticky cookie weir_member\n");
    assert_int_equal(get("/s"), 200);
    const char *const cookie = strstr(reply.head, "Set-Cookie: weir_member=");
    assert_non_null(cookie);
    assert_non_null(strstr(cookie, "; Path=/; HttpOnly\r\n"));
    char header[64];
    (void)snprintf(header, sizeof header, "Cookie: x=y;weir_member=%c\r\n",
                   cookie[strlen("Set-Cookie: weir_member=")]);
    (void)served_by();
    for (int i = 0; i < 8; i++) {
        assert_int_equal(get_with("/s", header), 200);
        assert_null(strstr(reply.head, "Set-Cookie"));
    }
    assert_int_equal(served_by(), 1);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(get_with("/s", "Cookie: weir_member=gone\r\n"), 200);
        assert_non_null(strstr(reply.head, "Set-Cookie: weir_member="));
    }
    assert_int_equal(served_by(), 2);
}

static void a_header_may_name_the_member(void **state)
{
    (void)state;
    start_two("sticky header X-Member\n");
    for (int i = 0; i < 8; i++) {
        assert_int_equal(get_with("/s", "X-Member: b\r\n"), 200);
        assert_null(strstr(reply.head, "Set-Cookie"));
    }
    assert_int_equal(f.served[1], 8);
}

/* RFC 6265, 5.4 sends "a=b; c=d" in one header; proxies may part it, and blanks may be tabs. */
static void cookies_are_found_wherever_they_stand(void **state)
{
    (void)state;
    static const char *const found[] = {"Cookie: m=b\r\n", "Cookie: a=1; \tm=b\t ; z=2\r\n",
                                        "Cookie: x=m; mm=a; m=b\r\n",
                                        "Cookie: other\r\nCookie: m=b;\r\n"};
    static const char *const absent[] = {"Cookie: \r\n",    "Cookie: m\r\n",
                                         "Cookie: m=\r\n",  "Cookie: ;;; mb=b\r\n",
                                         "Cookie: M=b\r\n", "X: m=b\r\n"};
    start_two("sticky cookie m\n");
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        assert_int_equal(get_with("/s", found[i]), 200);
        assert_int_equal(get_with("/s", found[i]), 200);
        assert_null(strstr(reply.head, "Set-Cookie"));
    }
    assert_int_equal(f.served[0], 0);
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_int_equal(get_with("/s", absent[i]), 200);
    assert_int_equal(f.served[0], 3); /* In turns. */
}

static void a_name_too_long_to_be_a_members_is_none(void **state)
{
    (void)state;
    char header[256];
    start_two("sticky header X-Member\n");
    (void)snprintf(header, sizeof header, "X-Member: %0200d\r\n", 1);
    assert_int_equal(get_with("/s", header), 200);
    assert_int_equal(get_with("/s", "X-Member:\r\n"), 200);
    assert_int_equal(served_by(), 2);
}

static void the_query_is_no_part_of_the_path(void **state)
{
    (void)state;
    start_two("balance maglev\nhash path\n");
    for (int i = 0; i < 16; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "/s/a?page=%d", i);
        assert_int_equal(get(path), 200);
    }
    assert_int_equal(served_by(), 1);
    for (int i = 0; i < 16; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "/s/%d", i);
        assert_int_equal(get(path), 200);
    }
    assert_int_equal(served_by(), 2);
}

static void an_outlier_is_ejected_told_of_and_returns(void **state)
{
    (void)state;
    start_two("breaker off\noutlier consecutive=3 base=20s jitter=1ms\n");
    for (int i = 0; i < 6; i++)
        (void)get_with(i % 2 == 0 ? "/s/500" : "/s", "");
    assert_int_equal(admin_page("GET", "/status"), 200);
    assert_non_null(strstr(reply.head, "\"flags\":[\"ejected\"]"));
    assert_non_null(strstr(reply.head, "\"outlier\":{\"ejected\":true,\"ejections\":1"));
    assert_non_null(strstr(reply.head, "\"detection\":\"consecutive\""));
    assert_int_equal(admin_page("GET", "/metrics"), 200);
    bool const is_a =
        strstr(reply.head, "weir_member_ejected{weir_service=\"s\",weir_member=\"a\"} 1\n");
    bool const is_b =
        strstr(reply.head, "weir_member_ejected{weir_service=\"s\",weir_member=\"b\"} 1\n");
    assert_true(is_a != is_b);
    (void)served_by();
    for (int i = 0; i < 6; i++)
        assert_int_equal(get("/s"), 200);
    assert_int_equal(served_by(), 1);
    f.fake.now_ns += 21000 * MS;
    settle();
    for (int i = 0; i < 6; i++)
        assert_int_equal(get("/s"), 200);
    assert_int_equal(served_by(), 2);
}

static void who_says_that_it_is_busy_is_not_ejected(void **state)
{
    (void)state;
    start_two("breaker off\noutlier consecutive=1 gateway=1\n");
    for (int i = 0; i < 6; i++)
        assert_int_equal(get("/s/busy"), 503);
    assert_int_equal(admin_page("GET", "/status"), 200);
    assert_null(strstr(reply.head, "\"ejected\":true"));
}

/* 100 / 0.25 = 400 and 100 / 0.75: three to one. */
static void weights_come_from_what_members_report(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "TEXT",
                                      "TEXT x",
                                      "TEXT rps_fractional",
                                      "BIN AAAA",
                                      "TEXT rps_fractional=",
                                      "TEXT rps_fractional=1.2.3",
                                      "TEXT rps_fractional=1234567890123456",
                                      "TEXT rps_fractional=1;eps=2"};
    start_two("balance smooth_weighted\nbreaker off\nreports on blackout=0s update=1s\n");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        f.load = bad[i];
        assert_int_equal(get("/s/load"), 200);
        assert_int_equal(get("/s/load"), 200);
    }
    f.fake.now_ns += 1000 * MS;
    settle();
    (void)served_by();
    for (int i = 0; i < 8; i++)
        assert_int_equal(get("/s"), 200);
    assert_int_equal(f.served[0], 4); /* One is not known: alike. */
    f.load = "TEXT named_metrics.queue=7, application_utilization=0.2,\t rps_fractional=100.0 ,"
             "cpu_utilization=0.9, eps=5";
    assert_int_equal(get("/s/load"), 200);
    assert_int_equal(get("/s/load"), 200);
    f.fake.now_ns += 1000 * MS;
    settle();
    (void)served_by();
    for (int i = 0; i < 8; i++)
        assert_int_equal(get("/s"), 200);
    assert_int_equal(f.served[0], 6);
}

static void the_algorithm_may_change_while_it_runs(void **state)
{
    (void)state;
    start_two("balance ketama\n");
    assert_int_equal(get("/s"), 200);
    assert_int_equal(update(TWO "balance peak_ewma\nslow_start 10s\noutlier consecutive=5\n"),
                     WEIR_OK);
    assert_int_equal(get("/s"), 200);
    assert_int_equal(admin_page("GET", "/status"), 200);
    assert_non_null(strstr(reply.head, "\"balance\":\"peak_ewma\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_key_goes_to_the_same_member),
        TEST(other_keys_go_elsewhere_and_none_anywhere),
        TEST(a_client_stays_with_the_member_that_its_cookie_names),
        TEST(a_header_may_name_the_member),
        TEST(cookies_are_found_wherever_they_stand),
        TEST(a_name_too_long_to_be_a_members_is_none),
        TEST(the_query_is_no_part_of_the_path),
        TEST(an_outlier_is_ejected_told_of_and_returns),
        TEST(who_says_that_it_is_busy_is_not_ejected),
        TEST(weights_come_from_what_members_report),
        TEST(the_algorithm_may_change_while_it_runs),
    };
    return cmocka_run_group_tests_name("gateway_balance", tests, NULL, NULL);
}

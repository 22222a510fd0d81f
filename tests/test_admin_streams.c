#include <weir/admin.h>

#include "support/admin_fixture.h"

/* ---- A client that reads a stream ---- */

/* Watches that read history are served by it. */
static void run_store(void)
{
    weir_task const task = weir_store_task(a.store);
    (void)task.run(task.self, a.space.now_ns);
}

static int open_stream(const char *target)
{
    size_t const before = weir_admin_streams(a.admin);
    int const fd = begin_request("GET", target, "", NULL);
    until(weir_admin_streams(a.admin) == before + 1);
    until(raw_has(fd, "\"begun\""));
    return fd;
}

/* All lines that came, without the frames around them. */
static const char *lines_of(int fd)
{
    static char out[FIXTURE_TEXT];
    run_store();
    settle();
    raw_read(fd);
    const char *p = strstr(f.got, "\r\n\r\n");
    out[0] = '\0';
    for (p = p != NULL ? p + 4 : ""; *p != '\0';) {
        char *chunk;
        unsigned long const size = strtoul(p, &chunk, 16);
        assert_int_equal(strncmp(chunk, "\r\n", 2), 0);
        if (size == 0)
            break;
        (void)strncat(out, chunk + 2, size);
        p = chunk + 2 + size + 2;
    }
    return out;
}

static bool sees(int fd, const char *text)
{
    run_store();
    return raw_has(fd, text);
}

#define assert_lines(fd, expected)                                                                 \
    do {                                                                                           \
        until(strlen(lines_of(fd)) >= strlen(expected));                                           \
        assert_string_equal(lines_of(fd), expected);                                               \
    } while (0)

static void change(const char *name, const char *value)
{
    assert_int_equal(weir_config_set(a.config, name, value, NULL, NULL, NULL), WEIR_OK);
}

static void run_admin(uint64_t now_ms)
{
    weir_task const task = weir_admin_task(a.admin);
    assert_int_equal(task.run(task.self, now_ms * MS), (now_ms + 15000) * MS);
}

/* ---- Lines ---- */

static void changes_of_values_are_told_line_by_line(void **state)
{
    (void)state;
    weir_config_rule const rule = {.name = "a",
                                   .rule = "r",
                                   .environment = "test",
                                   .value = weir_bytes_of("gray")};
    weir_config_change const raw = {.name = "a",
                                    .environment = "e",
                                    .label = "l",
                                    .value = weir_bytes_of("\xfe\x01")};
    change("a", "1");
    int const fd = open_stream("/config?watch");
    change("a", "2\n");
    assert_int_equal(weir_config_apply(a.config, &raw, 1, NULL, NULL, NULL), WEIR_OK);
    assert_int_equal(weir_config_delete(a.config, "a", NULL, NULL), WEIR_OK);
    assert_int_equal(weir_config_release(a.config, &rule, NULL, NULL, NULL), WEIR_OK);
    assert_int_equal(weir_config_abandon(a.config, "a", "r", NULL, NULL), WEIR_OK);
    assert_lines(fd,
                 "{\"kind\":\"begun\",\"revision\":2}\n"
                 "{\"kind\":\"set\",\"revision\":3,\"name\":\"a\",\"version\":2,\"value\":\"2\\n\","
                 "\"previous\":{\"version\":1,\"value\":\"1\"}}\n"
                 "{\"kind\":\"set\",\"revision\":4,\"name\":\"a\",\"environment\":\"e\","
                 "\"label\":\"l\",\"version\":1,\"hex\":\"fe01\"}\n"
                 "{\"kind\":\"deleted\",\"revision\":5,\"name\":\"a\",\"version\":3,"
                 "\"deleted\":true,\"previous\":{\"version\":2,\"value\":\"2\\n\"}}\n"
                 "{\"kind\":\"rule_put\",\"revision\":6,\"name\":\"a\",\"environment\":\"test\","
                 "\"rule\":\"r\",\"version\":1,\"value\":\"gray\"}\n"
                 "{\"kind\":\"rule_gone\",\"revision\":7,\"name\":\"a\",\"environment\":\"test\","
                 "\"rule\":\"r\",\"version\":1,\"deleted\":true,\"previous\":{\"version\":1,"
                 "\"value\":\"gray\"}}\n");
    assert_header("Content-Type: application/x-ndjson");
    assert_header("Transfer-Encoding: chunked");
    raw_close(fd);
    until(weir_admin_streams(a.admin) == 0);
}

static void a_stream_resumes_at_a_revision_and_follows_a_pattern(void **state)
{
    (void)state;
    change("a/x", "1");
    change("b/x", "2");
    change("a/y", "3");
    int const fd = open_stream("/config?watch=true&pattern=a/*&revision=3");
    change("a/y/z", "4");
    change("a/x", "5");
    assert_lines(fd, "{\"kind\":\"begun\",\"revision\":2}\n"
                     "{\"kind\":\"set\",\"revision\":4,\"name\":\"a/y\",\"version\":1,"
                     "\"value\":\"3\"}\n"
                     "{\"kind\":\"set\",\"revision\":6,\"name\":\"a/x\",\"version\":2,"
                     "\"value\":\"5\",\"previous\":{\"version\":1,\"value\":\"1\"}}\n");
    raw_close(fd);
}

static void a_stream_that_fell_behind_the_history_says_so_and_ends(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        change("a", "x"); /* Two changes each, beside the first: 32 are kept. */
    int const fd = begin_request("GET", "/config?watch&revision=2", "", NULL);
    until(raw_has(fd, "begun"));
    for (int i = 0; i < 5; i++)
        run_store();
    assert_int_equal(end_request(fd), 200);
    assert_int_equal(weir_admin_streams(a.admin), 0);
    assert_non_null(strstr(f.got, "{\"kind\":\"compacted\",\"revision\":"));
    assert_non_null(strstr(f.got, "\r\n0\r\n\r\n")); /* Complete. */
}

static void a_space_that_closes_ends_streams(void **state)
{
    (void)state;
    int const values = open_stream("/config?watch");
    int const services = open_stream("/services?watch");
    weir_store_destroy(a.store);
    a.store = NULL;
    assert_int_equal(end_request(services), 200);
    assert_non_null(strstr(a.body, "{\"kind\":\"closed\",\"revision\":1}\n"));
    f.got_size = 0;
    f.got_end = false;
    (void)end_request(values);
    assert_non_null(strstr(f.got, "{\"kind\":\"closed\",\"revision\":"));
    assert_non_null(strstr(f.got, "\r\n0\r\n\r\n"));
    assert_int_equal(weir_admin_streams(a.admin), 0);
}

static void changes_of_services_are_told_line_by_line(void **state)
{
    (void)state;
    weir_instance instance = WEIR_INSTANCE_INIT;
    instance.service = "s";
    instance.id = "i";
    instance.stamp = 5;
    assert_int_equal(weir_registry_register(a.registry, &instance, NULL, NULL), WEIR_OK);
    instance.service = "t";
    assert_int_equal(weir_registry_register(a.registry, &instance, NULL, NULL), WEIR_OK);
    int const fd = open_stream("/services?watch&service=s");
    assert_int_equal(weir_registry_set_status(a.registry, "s", "i", WEIR_INSTANCE_DOWN, NULL, NULL),
                     WEIR_OK);
    assert_int_equal(weir_registry_deregister(a.registry, "s", "i", NULL, NULL), WEIR_OK);
    assert_int_equal(weir_registry_deregister(a.registry, "t", "i", NULL, NULL), WEIR_OK);
#define I_UP   "\"effective\":\"UP\",\"status\":\"UP\",\"port\":0,\"weight\":1,\"stamp\":5}"
#define I_DOWN "\"effective\":\"DOWN\",\"status\":\"DOWN\",\"port\":0,\"weight\":1,\"stamp\":5}"
#define ABOUT  "\"service\":\"s\",\"id\":\"i\""
    assert_lines(fd, "{\"kind\":\"begun\",\"revision\":0}\n"
                     "{\"kind\":\"resync\",\"revision\":3}\n"
                     "{\"kind\":\"listed\",\"revision\":3," ABOUT ",\"instance\":{" ABOUT
                     ",\"revision\":2," I_UP "}\n"
                     "{\"kind\":\"synced\",\"revision\":3}\n"
                     "{\"kind\":\"status\",\"revision\":4," ABOUT ",\"instance\":{" ABOUT
                     ",\"revision\":4," I_DOWN ",\"previous\":{" ABOUT ",\"revision\":2," I_UP "}\n"
                     "{\"kind\":\"deregistered\",\"revision\":5," ABOUT ",\"previous\":{" ABOUT
                     ",\"revision\":4," I_DOWN "}\n");
    raw_close(fd);
    until(weir_admin_streams(a.admin) == 0);
    int const again = open_stream("/services?watch&revision=5");
    assert_lines(again, "{\"kind\":\"begun\",\"revision\":4}\n"
                        "{\"kind\":\"deregistered\",\"revision\":5," ABOUT ",\"previous\":{" ABOUT
                        ",\"revision\":4," I_DOWN "}\n"
                        "{\"kind\":\"deregistered\",\"revision\":6,\"service\":\"t\",\"id\":\"i\","
                        "\"previous\":{\"service\":\"t\",\"id\":\"i\",\"revision\":3," I_UP "}\n");
    raw_close(again);
}

/* ---- Slow, silent and many ---- */

static void a_client_that_reads_slowly_is_told_all_the_same(void **state)
{
    (void)state;
    static const int count = 20;
    weir_http_server_destroy(f.server);
    serve_with(1); /* Each line fills it. */
    int const values = open_stream("/config?watch");
    int const services = open_stream("/services?watch&service=s");
    weir_instance instance = WEIR_INSTANCE_INIT;
    instance.service = "s";
    instance.id = "i";
    for (int i = 0; i < count / 4; i++)
        assert_int_equal(weir_registry_register(a.registry, &instance, NULL, NULL), WEIR_OK);
    until(sees(services, "\"revision\":6,\"service\""));
    f.got_size = 0;
    for (int i = 0; i < count / 2; i++)
        change("a", "x");
    run_admin(1000);
    for (int i = 0; i < count / 2; i++) {
        char seen[64];
        (void)snprintf(seen, sizeof seen, "\"version\":%d,\"value\"", i + 1);
        until(sees(values, seen));
    }
    raw_close(values);
    raw_close(services);
}

/* A blank line has filled the exchange when the next change comes. */
static void a_line_that_finds_no_room_waits(void **state)
{
    (void)state;
    weir_http_server_destroy(f.server);
    serve_with(1);
    int const fd = open_stream("/config?watch");
    settle();
    run_admin(1000); /* It spoke: nothing. */
    run_admin(20000);
    run_admin(40000); /* The line before is not sent yet: nothing. */
    change("a", "1");
    change("a", "2");
    assert_lines(fd, "{\"kind\":\"begun\",\"revision\":1}\n\n"
                     "{\"kind\":\"set\",\"revision\":2,\"name\":\"a\",\"version\":1,"
                     "\"value\":\"1\"}\n"
                     "{\"kind\":\"set\",\"revision\":3,\"name\":\"a\",\"version\":2,"
                     "\"value\":\"2\",\"previous\":{\"version\":1,\"value\":\"1\"}}\n");
    raw_close(fd);
}

static void a_silent_stream_gets_blank_lines(void **state)
{
    (void)state;
    int const fd = open_stream("/config?watch");
    weir_task const task = weir_admin_task(a.admin);
    run_admin(1000);
    assert_int_equal(task.run(task.self, 15999 * MS), 16000 * MS); /* Too early. */
    run_admin(16000);
    change("a", "1");
    run_admin(31000); /* It spoke. */
    run_admin(46000);
    advance_ms(3600000); /* The server lets it be silent. */
    assert_lines(fd, "{\"kind\":\"begun\",\"revision\":1}\n\n"
                     "{\"kind\":\"set\",\"revision\":2,\"name\":\"a\",\"version\":1,"
                     "\"value\":\"1\"}\n\n");
    raw_close(fd);
}

static void streams_are_bounded_and_end_with_their_clients(void **state)
{
    (void)state;
    weir_admin_destroy(a.admin);
    a.options.max_streams = 1;
    create_admin();
    int const fd = open_stream("/services?watch");
    assert_int_equal(get("/config?watch"), 503);
    assert_body("streams: too many\n");
    raw_reset(fd);
    until(weir_admin_streams(a.admin) == 0);
    int const other = open_stream("/config?watch");
    raw_close(other);
    until(weir_admin_streams(a.admin) == 0);
}

static void another_token_cuts_streams_that_came_with_the_old_one(void **state)
{
    (void)state;
    int const fd = open_stream("/config?watch");
    assert_int_equal(weir_admin_set_token(a.admin, ""), WEIR_OK); /* The same: none. */
    assert_int_equal(weir_admin_streams(a.admin), 1);
    assert_int_equal(weir_admin_set_token(a.admin, "new"), WEIR_OK);
    assert_int_equal(weir_admin_streams(a.admin), 0);
    until(raw_ended(fd));
    assert_null(strstr(f.got, "\r\n0\r\n")); /* The client sees that it was cut. */
    raw_close(fd);
    change("a", "1");
}

static void an_admin_that_goes_cuts_its_streams(void **state)
{
    (void)state;
    int const values = open_stream("/config?watch");
    int const services = open_stream("/services?watch");
    weir_admin_destroy(a.admin);
    a.admin = NULL;
    until(raw_ended(values));
    until(raw_ended(services));
    raw_close(values);
    raw_close(services);
    change("a", "1");
}

static void a_watch_that_cannot_go_on_is_cut(void **state)
{
    (void)state;
    weir_http_server_destroy(f.server);
    serve_with(1);
    int const fd = open_stream("/config?watch");
    settle();
    change("a", "1");
    a.slow.refuse_watch = WEIR_ECLOSED;
    until(raw_ended(fd));
    assert_null(strstr(f.got, "\r\n0\r\n"));
    assert_int_equal(weir_admin_streams(a.admin), 0);
    assert_int_equal(get("/config?watch"), 503); /* Nor begin. */
    raw_close(fd);
}

static void what_is_no_stream_does_not_begin_one(void **state)
{
    (void)state;
    assert_int_equal(ask("HEAD", "/services?watch", NULL), 200);
    assert_header("Content-Type: application/x-ndjson");
    assert_int_equal(get("/services?watch&revision=-1"), 400);
    assert_body("revision: expected a digit\n");
    char target[700] = "/config?watch&pattern=";
    memset(target + 22, 'a', 600);
    assert_int_equal(get(target), 400);
    assert_body("pattern: invalid argument\n");
    assert_int_equal(weir_admin_streams(a.admin), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_of_values_are_told_line_by_line),
        TEST(a_stream_resumes_at_a_revision_and_follows_a_pattern),
        TEST(a_stream_that_fell_behind_the_history_says_so_and_ends),
        TEST(a_space_that_closes_ends_streams),
        TEST(changes_of_services_are_told_line_by_line),
        TEST(a_client_that_reads_slowly_is_told_all_the_same),
        TEST(a_line_that_finds_no_room_waits),
        TEST(a_silent_stream_gets_blank_lines),
        TEST(streams_are_bounded_and_end_with_their_clients),
        TEST(another_token_cuts_streams_that_came_with_the_old_one),
        TEST(an_admin_that_goes_cuts_its_streams),
        TEST(a_watch_that_cannot_go_on_is_cut),
        TEST(what_is_no_stream_does_not_begin_one),
    };
    return cmocka_run_group_tests_name("admin_streams", tests, NULL, NULL);
}

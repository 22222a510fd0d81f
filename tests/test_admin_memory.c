#include <weir/admin.h>

#include "support/admin_fixture.h"

static const struct {
    const char *method, *target, *body;
    int status;
} requests[] = {
    {"GET", "/config/a", NULL, 200},
    {"GET", "/config", NULL, 200},
    {"GET", "/config/a?history", NULL, 200},
    {"GET", "/config/a?version=1", NULL, 200},
    {"GET", "/services", NULL, 200},
    {"GET", "/services/s", NULL, 200},
    {"GET", "/services/s/i", NULL, 200},
    {"GET", "/services/s/none", NULL, 404},
    {"PUT", "/config/b", "some value", 201},
    {"DELETE", "/config/b", NULL, 200},
    {"POST", "/config/a?rollback=1", NULL, 200},
    {"POST", "/config", "{\"values\":[{\"name\":\"c\",\"value\":\"1\"}]}", 200},
    {"PUT", "/services/s/j", "{\"host\":\"h\"}", 204},
    {"PUT", "/services/s/j/status", "DOWN", 204},
    {"PUT", "/services/s/j/override", "UP", 204},
    {"POST", "/services/s/j/drain", NULL, 204},
    {"POST", "/services/s/j/heartbeat", NULL, 204},
    {"DELETE", "/services/s/j", NULL, 204},
};

#define REQUESTS (sizeof requests / sizeof requests[0])

/* As many services as make a list of them grow. */
static void fill(void)
{
    weir_instance instance = WEIR_INSTANCE_INIT;
    char name[8];
    instance.service = name;
    instance.id = "i";
    for (int i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof name, i == 0 ? "s" : "s%d", i);
        assert_int_equal(weir_registry_register(a.registry, &instance, NULL, NULL), WEIR_OK);
    }
    assert_int_equal(weir_config_set(a.config, "a", "1", NULL, NULL, NULL), WEIR_OK);
    assert_int_equal(weir_config_set(a.config, "a", "2", NULL, NULL, NULL), WEIR_OK);
}

static int ask_number(size_t i)
{
    return ask(requests[i].method, requests[i].target, requests[i].body);
}

static void create_survives_every_failed_allocation(void **state)
{
    (void)state;
    fake_env fake = {.fail_at = 1};
    weir_env const env = fake_env_hooks(&fake);
    weir_admin_options options = WEIR_ADMIN_OPTIONS_INIT;
    weir_admin *admin;
    options.env = &env;
    for (; weir_admin_create(&admin, &options) == WEIR_ENOMEM; fake.fail_at++) {
        assert_null(admin);
        assert_int_equal(fake.live, 0);
        fake.calls = 0;
    }
    assert_int_equal(fake.fail_at, 2);
    weir_admin_destroy(admin);
    assert_int_equal(fake.live_bytes, 0);
}

/* It is 500 and nothing has changed, or it is done. */
static void every_request_survives_every_failed_allocation(void **state)
{
    (void)state;
    fill();
    for (size_t i = 0; i < REQUESTS; i++) {
        for (unsigned n = 1;; n++) {
            uint64_t const revision = weir_store_revision(a.store);
            size_t const live = a.memory.live_bytes;
            a.memory.fail_at = a.memory.calls + n;
            int const status = ask_number(i);
            a.memory.fail_at = 0;
            assert_int_equal(a.memory.live_bytes, live);
            if (status == requests[i].status)
                break;
            assert_int_equal(status, 500);
            assert_non_null(strchr(a.body, ':')); /* Of what it was lacking. */
            assert_int_equal(weir_store_revision(a.store), revision);
        }
    }
}

/* What the config and the registry lack is told, too. */
static void what_is_below_may_lack_memory(void **state)
{
    (void)state;
    fill();
    for (size_t i = 0; i < REQUESTS; i++) {
        a.space.fail_at = a.space.calls + 1;
        int const status = ask_number(i);
        bool const asked = a.space.calls >= a.space.fail_at;
        a.space.fail_at = 0;
        assert_true(status == 500 || (!asked && status == requests[i].status) ||
                    (status == 404 && i > 8));
    }
}

/* ---- Streams ---- */

static int stream(const char *target)
{
    int const fd = begin_request("GET", target, "", NULL);
    until(raw_has(fd, "\r\n\r\n"));
    return fd;
}

static void change(void)
{
    assert_int_equal(weir_config_set(a.config, "a", "2", NULL, NULL, NULL), WEIR_OK);
    assert_int_equal(weir_registry_set_status(a.registry, "s", "i", WEIR_INSTANCE_DOWN, NULL, NULL),
                     WEIR_OK);
}

/* Either it is refused, or it is cut, so that nobody takes it for whole. */
static void a_stream_that_lacks_memory_is_refused_or_cut(void **state)
{
    (void)state;
    static const char *const targets[] = {"/config?watch", "/services?watch"};
    fake_env *const memories[] = {&a.memory, &a.space, &f.fake};
    fill();
    for (size_t i = 0; i < 6; i++) {
        fake_env *const memory = memories[i / 2];
        bool well = false;
        for (unsigned n = 1; !well; n++) {
            size_t const live = a.memory.live_bytes;
            int const fd = begin_request("GET", targets[i % 2], "", NULL);
            until(weir_http_server_connections(f.server) == 1);
            memory->fail_at = memory->calls + n;
            settle();
            well = memory->calls < memory->fail_at;
            memory->fail_at = 0;
            until(weir_admin_streams(a.admin) == 1 || raw_ended(fd));
            raw_read(fd);
            assert_null(strstr(f.got, "\r\n0\r\n"));
            raw_reset(fd);
            until(weir_http_server_connections(f.server) == 0);
            assert_int_equal(a.memory.live_bytes, live);
        }
    }
}

static void a_line_that_lacks_memory_cuts_its_stream(void **state)
{
    (void)state;
    static const char *const targets[] = {"/config?watch", "/services?watch&service=s"};
    fill();
    for (size_t i = 0; i < 2; i++) {
        bool well = false;
        for (unsigned n = 1; !well; n++) {
            int const fd = stream(targets[i]);
            until(raw_has(fd, i == 0 ? "begun" : "synced"));
            a.memory.fail_at = a.memory.calls + n;
            change();
            well = a.memory.calls < a.memory.fail_at;
            a.memory.fail_at = 0;
            assert_int_equal(weir_admin_streams(a.admin), well ? 1 : 0);
            raw_reset(fd);
            until(weir_http_server_connections(f.server) == 0);
        }
    }
}

static void a_watch_that_lacks_memory_to_go_on_is_tried_again(void **state)
{
    (void)state;
    weir_task const store = weir_store_task(a.store);
    weir_task const task = weir_admin_task(a.admin);
    fill();
    weir_http_server_destroy(f.server);
    serve_with(1);
    int const fd = stream("/config?watch");
    until(raw_has(fd, "begun"));
    settle();
    change(); /* Fills the exchange: the watch pauses. */
    a.space.fail_at = a.space.calls + 1;
    settle();
    assert_true(a.space.calls >= a.space.fail_at);
    change();
    a.space.fail_at = 0;
    (void)store.run(store.self, a.space.now_ns);
    settle();
    assert_false(raw_has(fd, "\"version\":4,"));
    (void)task.run(task.self, 1000 * MS);
    until((store.run(store.self, a.space.now_ns), raw_has(fd, "\"version\":4,")));
    raw_close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create_survives_every_failed_allocation),
        TEST(every_request_survives_every_failed_allocation),
        TEST(what_is_below_may_lack_memory),
        TEST(a_stream_that_lacks_memory_is_refused_or_cut),
        TEST(a_line_that_lacks_memory_cuts_its_stream),
        TEST(a_watch_that_lacks_memory_to_go_on_is_tried_again),
    };
    return cmocka_run_group_tests_name("admin_memory", tests, NULL, NULL);
}

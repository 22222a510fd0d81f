/* Gateway: services that come out of the config center and members out of the registry, beside
 * those of the file; and what is kept in a folder. */
#include "support/gateway_fixture.h"
#include "support/store_folder.h"

static unsigned problems;
static char problem[256];

static void note_problem(const char *name, const char *message, void *user)
{
    (void)user;
    problems++;
    (void)snprintf(problem, sizeof problem, "%s: %s", name, message);
}

static weir_gateway_config *config_with(const char *globals, const char *services)
{
    static char text[2048];
    weir_gateway_config *config = NULL;
    int const size = snprintf(text, sizeof text, "proxy 127.0.0.1:0\nadmin 127.0.0.1:0\n%s%s",
                              globals, services);
    assert_int_equal(weir_gateway_config_parse(&config, text, (size_t)size, port_variable, NULL,
                                               NULL, &f.error),
                     WEIR_OK);
    return config;
}

static int start_with(const char *globals, const char *services)
{
    weir_gateway_options options = WEIR_GATEWAY_OPTIONS_INIT;
    weir_gateway_config *const config = config_with(globals, services);
    options.on_problem = note_problem;
    problems = 0;
    int const result = weir_gateway_create(&f.gateway, f.loop, config, &options, &f.error);
    weir_gateway_config_destroy(config);
    return result;
}

static void set(const char *name, const char *value)
{
    weir_config *const center = weir_gateway_get_config(f.gateway);
    assert_int_equal(weir_config_set(center, name, value, NULL, NULL, NULL), WEIR_OK);
}

static void get_value(const char *name, char *out, size_t room)
{
    weir_config *const center = weir_gateway_get_config(f.gateway);
    if (weir_config_get(center, name, NULL, out, room, NULL) != WEIR_OK)
        (void)snprintf(out, room, "(none)");
}

static void assert_value(const char *name, const char *expected)
{
    char value[128];
    get_value(name, value, sizeof value);
    assert_string_equal(value, expected);
}

static void enter(const char *service, const char *id, const char *host, uint32_t port)
{
    weir_instance instance = WEIR_INSTANCE_INIT;
    instance.service = service;
    instance.id = id;
    instance.host = host;
    instance.port = port;
    assert_int_equal(weir_registry_register(weir_gateway_get_registry(f.gateway), &instance, NULL,
                                            NULL),
                     WEIR_OK);
}

static uint32_t port_of(int upstream)
{
    return weir_http_server_address(f.upstreams[upstream]).port;
}

/* ---- Registry ---- */

static void who_registers_is_called_beside_the_members_of_the_file(void **state)
{
    (void)state;
    (void)start_upstream(0);
    (void)start_upstream(1);
    assert_int_equal(start_with("", "service s\nroute /s\nmember a ${A}\n"), WEIR_OK);
    enter("s", "b", "127.0.0.1", port_of(1));
    settle();
    for (int i = 0; i < 10; i++)
        assert_int_equal(get("/s"), 200);
    assert_int_equal(f.served[0], 5);
    assert_int_equal(f.served[1], 5);
    assert_int_equal(weir_registry_deregister(weir_gateway_get_registry(f.gateway), "s", "b", NULL,
                                              NULL),
                     WEIR_OK);
    settle();
    for (int i = 0; i < 10; i++)
        assert_int_equal(get("/s"), 200);
    assert_int_equal(f.served[0], 15);
}

static void a_service_may_have_nobody_yet(void **state)
{
    (void)state;
    (void)start_upstream(0);
    assert_int_equal(start_with("", "service s\nroute /s\n"), WEIR_OK);
    assert_int_equal(get("/s"), 503);
    enter("s", "a", "127.0.0.1", port_of(0));
    settle();
    assert_int_equal(get("/s"), 200);
    for (int i = 0; i < 200; i++) { /* 180 s without a heartbeat, and every task on time. */
        f.fake.now_ns += 900 * MS;
        step();
        step();
    }
    assert_int_equal(get("/s"), 503);
}

static void an_address_that_cannot_be_called_is_told_and_left_out(void **state)
{
    (void)state;
    (void)start_upstream(0);
    assert_int_equal(start_with("", "service s\nroute /s\nmember a ${A}\n"), WEIR_OK);
    enter("s", "b", "example.org", 80);
    settle();
    assert_string_equal(problem, "b: \"b\" cannot be called at \"example.org:80\"");
    for (int i = 0; i < 4; i++)
        assert_int_equal(get("/s"), 200);
    assert_int_equal(admin_page("GET", "/metrics"), 200);
    assert_non_null(strstr(reply.head, "weir_problems_total 1\n"));
    assert_non_null(strstr(reply.head, "weir_registry_instances 1\n"));
}

/* An id that a cookie cannot hold makes no stickiness, and above all no header of its own. */
static void an_odd_id_sets_no_cookie(void **state)
{
    (void)state;
    (void)start_upstream(0);
    assert_int_equal(start_with("", "service s\nroute /s\nsticky cookie at\n"), WEIR_OK);
    enter("s", "odd; Domain=x", "127.0.0.1", port_of(0));
    settle();
    assert_int_equal(get("/s"), 200);
    assert_null(strstr(reply.head, "Set-Cookie"));
}

/* ---- Config center ---- */

static void a_service_of_the_config_center_is_served(void **state)
{
    (void)state;
    char members[64];
    (void)start_upstream(0);
    assert_int_equal(start_with("", ""), WEIR_OK);
    assert_int_equal(get("/t"), 404);
    (void)snprintf(members, sizeof members, "a 127.0.0.1:%u", port_of(0));
    set("services/t/members", members);
    settle();
    assert_int_equal(get("/t"), 404); /* Nothing is routed to it. */
    set("services/t/route", "/t");
    settle();
    assert_int_equal(get("/t"), 200);
    set("services/t/route", "/u");
    settle();
    assert_int_equal(get("/t"), 404);
    assert_int_equal(get("/u"), 200);
    assert_int_equal(weir_config_delete(weir_gateway_get_config(f.gateway), "services/t/route",
                                        NULL, NULL),
                     WEIR_OK);
    settle();
    assert_int_equal(get("/u"), 404);
}

static void a_policy_of_the_config_center_is_in_force_at_once(void **state)
{
    (void)state;
    start_two("");
    assert_int_equal(get("/s"), 200);
    set("services/_/limit", "1/h burst=1");
    settle();
    assert_int_equal(get("/s"), 200);
    assert_int_equal(get("/s"), 429);
    set("services/s/limit", "off");
    settle();
    assert_int_equal(get("/s"), 200);
    set("services/_/health", "http /healthz interval=1s timeout=1s");
    settle();
    assert_int_equal(admin_page("GET", "/status"), 200);
    assert_non_null(strstr(reply.head, "\"health\":{\"state\":"));
}

static void what_cannot_be_is_refused_where_it_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *says;
    } wrong[] = {
        {"services/s/route", "s", "route: \"s\": expected a path"},
        {"services/s/health", "http / method=GE{T", "health: this method"},
        {"services/s/sticky", "cookie a=b", "sticky: expected the name"},
        {"services/s/members", "a example.org:80", "cannot be called at"},
        {"services/s/rout", "/s", "expected services/<service>/<directive>"},
    };
    start_two("");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        weir_config_error error;
        assert_int_equal(weir_config_set(weir_gateway_get_config(f.gateway), wrong[i].name,
                                         wrong[i].value, NULL, NULL, &error),
                         WEIR_EINVAL);
        if (strstr(error.message, wrong[i].says) == NULL)
            fail_msg("%s: %s", wrong[i].value, error.message);
    }
    assert_int_equal(get("/s"), 200);
}

static void of_two_with_one_route_the_first_by_name_has_the_calls(void **state)
{
    (void)state;
    (void)start_upstream(0);
    (void)start_upstream(1);
    assert_int_equal(start_with("", "service b\nroute /x\nmember m ${B}\n"), WEIR_OK);
    char members[64];
    (void)snprintf(members, sizeof members, "m 127.0.0.1:%u", port_of(0));
    set("services/a/members", members);
    set("services/a/route", "/x");
    settle();
    assert_int_equal(problems, 1);
    assert_string_equal(problem, "b: its route is that of another, which has the calls");
    assert_int_equal(get("/x"), 200);
    assert_int_equal(f.served[0], 1);
}

static void the_file_says_its_own_and_leaves_what_others_say(void **state)
{
    (void)state;
    (void)start_upstream(0);
    (void)start_upstream(1);
    assert_int_equal(start_with("", "service s\nroute /s\nmember a ${A}\ntimeout 5s\nretry "
                                    "attempts=2\n"),
                     WEIR_OK);
    assert_value("services/s/timeout", "5s");
    set("services/s/timeout", "7s");
    set("services/s/limit", "9/s");
    set("services/t/route", "/t");
    assert_int_equal(update("service s\nroute /s\nmember a ${A}\ntimeout 5s\n"), WEIR_OK);
    assert_value("services/s/timeout", "5s"); /* The file says it again. */
    assert_value("services/s/retry", "(none)");
    assert_value("services/s/limit", "9/s");
    assert_value("services/t/route", "/t");
    assert_int_equal(update("service s\nroute /s\nmember a ${A}\n"), WEIR_OK);
    assert_value("services/s/timeout", "(none)");
}

static void a_layer_of_this_environment_outranks_the_file(void **state)
{
    (void)state;
    (void)start_upstream(0);
    assert_int_equal(start_with("environment prod\nlabel eu\n",
                                "service s\nroute /s\nmember a ${A}\nlimit off\n"),
                     WEIR_OK);
    weir_config_change const change = {.name = "services/s/limit",
                                       .environment = "prod",
                                       .value = weir_bytes_of("1/h burst=1")};
    assert_int_equal(weir_config_apply(weir_gateway_get_config(f.gateway), &change, 1, NULL, NULL,
                                       NULL),
                     WEIR_OK);
    settle();
    assert_int_equal(get("/s"), 200);
    assert_int_equal(get("/s"), 429);
}

/* ---- A folder ---- */

static void what_is_kept_in_a_folder_outlives_the_gateway(void **state)
{
    (void)state;
    char globals[96];
    (void)snprintf(globals, sizeof globals, "data %s\n", store_folder_make());
    (void)start_upstream(0);
    assert_int_equal(start_with(globals, "service s\nroute /s\nmember a ${A}\n"), WEIR_OK);
    set("services/s/limit", "1/h burst=1");
    enter("t", "one", "127.0.0.1", 80);
    settle();
    weir_gateway_config *const config = config_with(globals, "");
    weir_gateway *second;
    assert_int_equal(weir_gateway_create(&second, f.loop, config, NULL, &f.error), WEIR_EBUSY);
    assert_string_equal(f.error.field, "data");
    weir_gateway_config_destroy(config);
    weir_gateway_destroy(f.gateway);
    assert_int_equal(start_with(globals, "service s\nroute /s\nmember a ${A}\n"), WEIR_OK);
    assert_value("services/s/limit", "1/h burst=1");
    assert_int_equal(get("/s"), 200);
    assert_int_equal(get("/s"), 429);
    weir_registry_view view;
    weir_registry_begin(weir_gateway_get_registry(f.gateway), "t", &view);
    assert_int_equal(view.count, 1);
    weir_registry_end(&view);
    weir_gateway_destroy(f.gateway);
    f.gateway = NULL;
    store_folder_remove();
    assert_int_equal(start_with("data /dev/null/none\n", ""), WEIR_ESYSTEM);
    assert_string_equal(f.error.field, "data");
    assert_null(f.gateway);
}

/* ---- Without memory ---- */

#define CHECKED                                                                                    \
    "service s\nroute /s\nmember a ${A}\nmember b ${B}\nhealth http /healthz interval=1s "         \
    "timeout=1s\nservice t\nroute /t\nmember a ${A}\n"

/* Time for what was put off. */
static void let_it_catch_up(void)
{
    for (int i = 0; i < 30; i++) {
        f.fake.now_ns += 100 * MS;
        settle();
    }
}

static void a_start_fails_or_all_is_in_force_a_little_later(void **state)
{
    (void)state;
    (void)start_upstream(0);
    (void)start_upstream(1);
    settle();
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        size_t const before = f.fake.live_bytes;
        assert_in_range(n, 1, 1000);
        f.fake.calls = 0;
        f.fake.fail_at = n;
        int const result = start_with("token x\n", CHECKED);
        failed = f.fake.calls >= n;
        f.fake.fail_at = 0;
        if (result == WEIR_OK) {
            let_it_catch_up();
            assert_int_equal(get("/s"), 200);
            assert_int_equal(get("/t"), 200);
            weir_gateway_destroy(f.gateway);
            f.gateway = NULL;
            settle();
        } else {
            assert_int_equal(result, WEIR_ENOMEM);
            assert_null(f.gateway);
            settle();
            assert_int_equal(f.fake.live_bytes, before);
        }
    }
}

static void an_update_fails_or_all_is_in_force_a_little_later(void **state)
{
    (void)state;
    (void)start_upstream(0);
    (void)start_upstream(1);
    assert_int_equal(start_with("", "service u\nroute /u\nmember a ${A}\n"), WEIR_OK);
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        assert_in_range(n, 1, 2000);
        f.fake.calls = 0;
        f.fake.fail_at = n;
        int const result = update(n % 2 == 0 ? "service u\nroute /u\nmember a ${A}\n" : CHECKED);
        failed = f.fake.calls >= n;
        f.fake.fail_at = 0;
        assert_true(result == WEIR_OK || result == WEIR_ENOMEM);
        let_it_catch_up();
        int const u = get("/u"), t = get("/t"); /* One of the two, and whole. */
        assert_int_equal(u == 200, t == 404);
        assert_int_equal(t == 200, u == 404);
        assert_true(result == WEIR_ENOMEM || u == (n % 2 == 0 ? 200 : 404));
    }
}

static void a_change_that_finds_no_memory_is_in_force_a_little_later(void **state)
{
    (void)state;
    char members[64];
    (void)start_upstream(0);
    (void)start_upstream(1);
    assert_int_equal(start_with("", ""), WEIR_OK);
    (void)snprintf(members, sizeof members, "a 127.0.0.1:%u\nb 127.0.0.1:%u", port_of(0),
                   port_of(1));
    set("services/s/members", members);
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        assert_in_range(n, 1, 1000);
        let_it_catch_up();
        set("services/s/health", n % 3 == 0   ? "off"
                                 : n % 3 == 1 ? "tcp interval=1s timeout=1s"
                                              : "http /healthz interval=1s timeout=1s");
        set("services/s/route", n % 2 == 0 ? "/s" : "/z");
        set("services/t/route", "/t");
        f.fake.calls = 0;
        f.fake.fail_at = n;
        for (int i = 0; i < 3; i++)
            step();
        failed = f.fake.calls >= n;
        f.fake.fail_at = 0;
        let_it_catch_up();
        assert_int_equal(get(n % 2 == 0 ? "/s" : "/z"), 200);
        assert_int_equal(get(n % 2 == 0 ? "/z" : "/s"), 404);
        assert_int_equal(get("/t"), 503);
        assert_int_equal(weir_config_delete(weir_gateway_get_config(f.gateway), "services/t/route",
                                            NULL, NULL),
                         WEIR_OK);
    }
}

static void a_directive_has_at_most_4095_bytes(void **state)
{
    (void)state;
    static char longer[4097];
    start_two("");
    weir_gateway_destroy(f.gateway);
    assert_int_equal(start_with("", TWO), WEIR_OK);
    weir_config *const center = weir_gateway_get_config(f.gateway);
    weir_config_error error;
    memset(longer, ' ', sizeof longer - 1);
    memcpy(longer, "/s", 2);
    assert_int_equal(weir_config_set(center, "services/s/route", longer, NULL, NULL, &error),
                     WEIR_EINVAL);
    assert_string_equal(error.message, "route: is too long");
    longer[4095] = '\0';
    set("services/s/route", longer);
    settle();
    assert_int_equal(problems, 0);
    assert_int_equal(get("/s"), 200);
}

/* ---- Values that nobody has checked ---- */

static void a_malformed_value_that_others_wrote_leaves_the_service_as_it_was(void **state)
{
    (void)state;
    static char longer[5000];
    start_two("");
    weir_gateway_destroy(f.gateway);
    assert_int_equal(start_with("", TWO), WEIR_OK);
    weir_config_remove_validators(weir_gateway_get_config(f.gateway),
                                  weir_gateway_get_mesh(f.gateway));
    memset(longer, 'x', sizeof longer - 1);
    set("services/s/route", "s");
    settle();
    assert_string_equal(problem, "services/s/route: \"s\": expected a path that begins with /");
    set("services/s/route", longer);
    settle();
    assert_string_equal(problem, "services/s/route: is too long");
    assert_int_equal(get("/s"), 200);
    set("services/s/route", "/s");
    set("services/s/health", "http / method=GE{T");
    settle();
    assert_string_equal(problem, "s: its health check cannot be sent");
    assert_int_equal(get("/s"), 200);
    set("services/_/route", "/all"); /* A route is nobody else's. */
    set("services/odd", "x");
    settle();
    assert_int_equal(get("/all"), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_registers_is_called_beside_the_members_of_the_file),
        TEST(a_service_may_have_nobody_yet),
        TEST(an_address_that_cannot_be_called_is_told_and_left_out),
        TEST(an_odd_id_sets_no_cookie),
        TEST(a_service_of_the_config_center_is_served),
        TEST(a_policy_of_the_config_center_is_in_force_at_once),
        TEST(what_cannot_be_is_refused_where_it_is_written),
        TEST(of_two_with_one_route_the_first_by_name_has_the_calls),
        TEST(the_file_says_its_own_and_leaves_what_others_say),
        TEST(a_layer_of_this_environment_outranks_the_file),
        TEST(what_is_kept_in_a_folder_outlives_the_gateway),
        TEST(a_start_fails_or_all_is_in_force_a_little_later),
        TEST(an_update_fails_or_all_is_in_force_a_little_later),
        TEST(a_change_that_finds_no_memory_is_in_force_a_little_later),
        TEST(a_directive_has_at_most_4095_bytes),
        TEST(a_malformed_value_that_others_wrote_leaves_the_service_as_it_was),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("gateway_center", tests, NULL, NULL);
}

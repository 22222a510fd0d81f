/* Mesh: policies out of the config center and members out of the registry, in force after one run.
 */
#include "support/mesh_fixture.h"

/* ---- Policies ---- */

static void a_policy_is_in_force_after_one_run_of_the_task(void **state)
{
    (void)state;
    set("services/orders/members", "a 10.0.0.1:80");
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    assert_non_null(orders);
    for (int i = 0; i < 10; i++)
        assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
    (void)run();
    f.wakes = 0;
    set("services/orders/limit", "2/h burst=2");
    assert_int_equal(f.wakes, 1);
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK); /* Not yet. */
    (void)run();
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_ELIMITED);
    assert_int_equal(weir_config_delete(f.config, "services/orders/limit", NULL, NULL), WEIR_OK);
    (void)run();
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
}

static void what_is_known_is_in_force_when_a_service_is_opened(void **state)
{
    (void)state;
    set("services/orders/limit", "1/h burst=1");
    set("services/orders/balance", "first");
    enter("orders", "b", "10.0.0.2", 80);
    enter("orders", "a", "10.0.0.1", 80);
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    char who[32];
    assert_string_equal(members_of(orders), "a=10.0.0.1:80 b=10.0.0.2:80");
    assert_int_equal(call(orders, WEIR_SUCCESS, who), WEIR_OK);
    assert_string_equal(who, "a");
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_ELIMITED);
}

static void a_change_keeps_breakers_and_counts(void **state)
{
    (void)state;
    set("services/orders/members", "a 10.0.0.1:80");
    set("services/orders/breaker", "consecutive=2 rest=60s rest_max=60s");
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    assert_int_equal(call(orders, WEIR_FAILURE, NULL), WEIR_OK);
    assert_int_equal(call(orders, WEIR_FAILURE, NULL), WEIR_OK);
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_EOPEN);
    set("services/orders/timeout", "1s");
    set("services/orders/members", "b 10.0.0.2:80\na 10.0.0.1:80 weight=3");
    (void)run();
    char who[32];
    for (int i = 0; i < 4; i++) { /* a is as open as before. */
        assert_int_equal(call(orders, WEIR_SUCCESS, who), WEIR_OK);
        assert_string_equal(who, "b");
    }
    weir_caller_stats stats;
    weir_caller_get_stats(orders, &stats);
    assert_int_equal(stats.attempts, 6);
}

static void underscore_speaks_for_all_who_have_nothing_of_their_own(void **state)
{
    (void)state;
    set("services/_/limit", "1/h burst=1");
    set("services/users/limit", "off");
    set("services/orders/members", "a 10.0.0.1:80");
    set("services/users/members", "a 10.0.0.1:80");
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    weir_caller *const users = weir_mesh_caller(f.mesh, "users");
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_ELIMITED);
    assert_int_equal(call(users, WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(call(users, WEIR_SUCCESS, NULL), WEIR_OK);
    set("services/_/limit", "3/h burst=3"); /* What was taken stays taken. */
    (void)run();
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_ELIMITED);
}

static void a_policy_may_be_that_of_one_environment(void **state)
{
    (void)state;
    weir_config_change const change = {.name = "services/orders/limit",
                                       .environment = "prod",
                                       .value = weir_bytes_of("1/h burst=1")};
    set("services/orders/members", "a 10.0.0.1:80");
    set("services/orders/limit", "off");
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(weir_config_apply(f.config, &change, 1, NULL, NULL, NULL), WEIR_OK);
    (void)run();
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_ELIMITED);
}

static void the_options_in_force_can_be_seen(void **state)
{
    (void)state;
    weir_mesh_service *service;
    set("services/orders/timeout", "2s");
    set("services/orders/zone", "west");
    set("services/orders/breaker", "off");
    assert_int_equal(weir_mesh_open(f.mesh, "orders", &service), WEIR_OK);
    const weir_caller_options *const options = weir_mesh_service_options(service);
    assert_int_equal(options->timeout_ns, 2 * SECOND);
    assert_string_equal(options->balancer->zone, "west");
    assert_null(options->breaker);
    assert_null(options->limiter);
    weir_mesh_close(service);
}

/* Whatever is told, what is written in answer is in force after the next run. */
static void what_is_written_in_a_callback_is_not_lost(void **state)
{
    (void)state;
    weir_mesh_service *service;
    assert_int_equal(weir_mesh_open(f.mesh, "orders", &service), WEIR_OK);
    answer_name = "services/orders/timeout";
    answer_value = "5s";
    set("services/orders/timeout", "1s");
    (void)run(); /* Tells of the first, and is answered. */
    (void)run();
    assert_int_equal(weir_mesh_service_options(service)->timeout_ns, 5 * SECOND);
    answer_name = "services/orders/members";
    answer_value = "a 10.0.0.1:80";
    write_past_validators("services/orders/members", "nobody\n");
    (void)run(); /* The same of a problem. */
    (void)run();
    assert_string_equal(members_of(weir_mesh_service_caller(service)), "a=10.0.0.1:80");
    weir_mesh_close(service);
}

/* Also of a problem that is told while the service is opened. */
static void what_is_written_while_a_service_opens_is_not_lost(void **state)
{
    (void)state;
    weir_mesh_service *service;
    write_past_validators("services/orders/timeout", "soon");
    answer_name = "services/orders/timeout";
    answer_value = "5s";
    assert_int_equal(weir_mesh_open(f.mesh, "orders", &service), WEIR_OK);
    assert_int_equal(f.problems, 1);
    (void)run();
    assert_int_equal(weir_mesh_service_options(service)->timeout_ns, 5 * SECOND);
    weir_mesh_close(service);
}

static void a_malformed_value_is_refused_where_it_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *says;
    } wrong[] = {
        {"services/orders/limit", "fast", "limit: \"fast\": expected COUNT/s"},
        {"services/orders/limit", "5/s burst=0", "limit.burst: \"0\": too small"},
        {"services/orders/limit", "5/s\n6/s", "limit: is more than one line"},
        {"services/orders/balance", "maglev table=12", "balance: these values do not go together"},
        {"services/orders/members", "a 1:1\nb\n", "line 2: member: expected an id and an address"},
        {"services/orders/members", "a 1:1\n\na 2:2", "line 3: member: \"a\" is there already"},
        {"services/orders/members", "a 1:1 hue=red", "line 1: member.hue: there is no such"},
        {"services/orders/members", "a nowhere", "member: \"a\" cannot be called at \"nowhere\""},
        {"services/orders/limt", "5/s", "expected services/<service>/<directive>"},
        {"services/orders", "5/s", "expected services/<service>/<directive>"},
        {"services/_/members", "a 1:1", "expected services/<service>/<directive>"},
        {"services/\xff/limit", "5/s", "not a name"},
    };
    f.refused_address = "nowhere";
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(try_set(wrong[i].name, wrong[i].value), WEIR_EINVAL);
        if (strstr(f.error.message, wrong[i].says) == NULL)
            fail_msg("%s: %s", wrong[i].value, f.error.message);
    }
    assert_int_equal(try_set("services/orders/limit", "5/s"), WEIR_OK);
    assert_int_equal(try_set("elsewhere", "anything"), WEIR_OK);
}

static void a_malformed_value_that_others_wrote_leaves_what_was(void **state)
{
    (void)state;
    set("services/orders/members", "a 10.0.0.1:80");
    set("services/orders/limit", "2/h burst=2");
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    write_past_validators("services/orders/limit", "fast");
    write_past_validators("services/orders/members", "b");
    (void)run();
    assert_int_equal(f.problems, 2);
    assert_string_equal(f.problem, "services/orders/members|member|expected an id and an address");
    assert_string_equal(members_of(orders), "a=10.0.0.1:80");
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_ELIMITED);
    enter("orders", "c", "10.0.0.3", 80); /* The registry's go on coming. */
    (void)run();
    assert_string_equal(members_of(orders), "a=10.0.0.1:80 c=10.0.0.3:80");
}

static void the_first_policy_takes_defaults_for_what_is_malformed(void **state)
{
    (void)state;
    static char huge[6000];
    memset(huge, 'x', sizeof huge - 1);
    write_past_validators("services/orders/limit", "fast");
    write_past_validators("services/orders/balance", "maglev table=12");
    set("services/orders/members", "a 10.0.0.1:80");
    assert_int_equal(call(weir_mesh_caller(f.mesh, "orders"), WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(f.problems, 2);
    assert_int_equal(try_set("services/orders/retry", huge), WEIR_EINVAL);
    assert_non_null(strstr(f.error.message, "longer than"));
}

static int check_colour(const char *directive, weir_bytes value, weir_mesh_error *error, void *user)
{
    (void)user;
    if (strcmp(directive, "colour") != 0)
        return WEIR_ENOTFOUND;
    if (value.size == 3)
        return WEIR_OK;
    (void)snprintf(error->field, sizeof error->field, "colour");
    (void)snprintf(error->message, sizeof error->message, "is not red");
    return WEIR_EINVAL;
}

static void a_program_may_have_directives_of_its_own(void **state)
{
    (void)state;
    weir_mesh_destroy(f.mesh);
    f.options.check = check_colour;
    f.options.prefix = "routes.";
    assert_int_equal(weir_mesh_create(&f.mesh, &f.options), WEIR_OK);
    assert_int_equal(try_set("routes.orders/colour", "red"), WEIR_OK);
    assert_int_equal(try_set("routes.orders/colour", "blue"), WEIR_EINVAL);
    assert_non_null(strstr(f.error.message, "colour: is not red"));
    assert_int_equal(try_set("routes.orders/sound", "loud"), WEIR_EINVAL);
    assert_int_equal(try_set("services/orders/sound", "loud"), WEIR_OK); /* Nobody's any more. */
}

/* ---- Members ---- */

static void who_registers_is_called_and_who_leaves_is_not(void **state)
{
    (void)state;
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_EEMPTY);
    (void)run();
    f.wakes = 0;
    enter("orders", "b", "10.0.0.2", 80);
    enter("users", "u", "10.0.0.9", 80);
    assert_int_equal(f.wakes, 1);
    (void)run();
    assert_string_equal(members_of(orders), "b=10.0.0.2:80");
    enter("orders", "a", "10.0.0.1", 80);
    (void)run();
    assert_string_equal(members_of(orders), "a=10.0.0.1:80 b=10.0.0.2:80");
    assert_int_equal(weir_registry_drain(f.registry, "orders", "b", true, NULL, NULL), WEIR_OK);
    (void)run();
    assert_string_equal(members_of(orders), "a=10.0.0.1:80");
    assert_int_equal(weir_registry_deregister(f.registry, "orders", "a", NULL, NULL), WEIR_OK);
    (void)run();
    assert_string_equal(members_of(orders), "");
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_EEMPTY);
}

static void what_a_health_check_reports_counts_within_a_second(void **state)
{
    (void)state;
    enter("orders", "a", "10.0.0.1", 80);
    enter("orders", "b", "10.0.0.2", 80);
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    (void)run();
    assert_int_equal(weir_registry_report_health(f.registry, "orders", "a", false), WEIR_OK);
    assert_true(run() <= f.fake.now_ns + SECOND);
    assert_string_equal(members_of(orders), "b=10.0.0.2:80");
    assert_int_equal(weir_registry_report_health(f.registry, "orders", "b", false), WEIR_OK);
    (void)run(); /* None is well: all are tried. */
    assert_string_equal(members_of(orders), "a=10.0.0.1:80 b=10.0.0.2:80");
}

static void members_of_the_directive_come_first_and_keep_their_ids(void **state)
{
    (void)state;
    enter("orders", "a", "10.0.0.1", 80);
    enter("orders", "b", "10.0.0.2", 80);
    set("services/orders/members", "z 10.0.0.9:80\nb 10.0.0.8:80 weight=2 zone=west\n");
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    assert_string_equal(members_of(orders), "z=10.0.0.9:80 b=10.0.0.8:80 a=10.0.0.1:80");
}

static void an_instance_tells_weight_zone_labels_and_endpoints(void **state)
{
    (void)state;
    weir_label const labels[] = {{"team", "blue"}};
    weir_endpoint const endpoints[] = {{"grpc", NULL, 9090}, {"admin", "10.0.0.7", 7070}};
    weir_instance instance = WEIR_INSTANCE_INIT;
    instance.service = "orders";
    instance.id = "six";
    instance.host = "fe80::1";
    instance.port = 80;
    instance.weight = 7;
    instance.zone = "west";
    instance.metadata = labels;
    instance.metadata_count = 1;
    instance.endpoints = endpoints;
    instance.endpoint_count = 2;
    assert_int_equal(weir_registry_register(f.registry, &instance, NULL, NULL), WEIR_OK);
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    weir_call c;
    weir_attempt attempt;
    assert_int_equal(weir_caller_begin(orders, &c, NULL, f.fake.now_ns, &attempt, NULL), WEIR_OK);
    assert_string_equal(attempt.member->address, "[fe80::1]:80");
    assert_int_equal(attempt.member->weight, 7);
    assert_string_equal(attempt.member->zone, "west");
    assert_int_equal(attempt.member->label_count, 1);
    assert_string_equal(attempt.member->labels[0].value, "blue");
    assert_ptr_equal(attempt.user, NULL); /* Its place. */
    weir_caller_cancel(&c, f.fake.now_ns);
    set("services/orders/endpoint", "grpc");
    (void)run();
    assert_string_equal(members_of(orders), "six=[fe80::1]:9090");
    set("services/orders/endpoint", "admin");
    (void)run();
    assert_string_equal(members_of(orders), "six=10.0.0.7:7070");
    set("services/orders/endpoint", "none");
    (void)run();
    assert_string_equal(members_of(orders), "");
    assert_string_equal(f.problem, "six|member|\"six\" cannot be called at \"[fe80::1]:0\"");
}

static void who_cannot_be_called_is_left_out_and_told(void **state)
{
    (void)state;
    f.refused_address = "example.org:80";
    enter("orders", "a", "example.org", 80);
    enter("orders", "b", "10.0.0.2", 80);
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    assert_string_equal(members_of(orders), "b=10.0.0.2:80");
    assert_string_equal(f.problem, "a|member|\"a\" cannot be called at \"example.org:80\"");
    write_past_validators("services/orders/members", "c example.org:80");
    (void)run();
    assert_string_equal(members_of(orders), "b=10.0.0.2:80");
    assert_string_equal(f.problem, "c|member|\"c\" cannot be called at \"example.org:80\"");
}

static void who_is_found_when_the_registry_gets_in_sync_is_called(void **state)
{
    (void)state;
    enter("orders", "a", "10.0.0.1", 80);
    weir_mesh_destroy(f.mesh);
    weir_registry_destroy(f.registry);
    f.slow.quick = false;
    weir_kv const slow = slow_kv_of(&f.slow);
    weir_registry_options options = WEIR_REGISTRY_OPTIONS_INIT;
    options.kv = &slow;
    options.env = &f.env;
    assert_int_equal(weir_registry_create(&f.registry, &options), WEIR_OK);
    f.options.registry = f.registry;
    assert_int_equal(weir_mesh_create(&f.mesh, &f.options), WEIR_OK);
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    assert_string_equal(members_of(orders), "");
    slow_kv_drain(&f.slow);
    (void)run();
    assert_string_equal(members_of(orders), "a=10.0.0.1:80");
}

/* ---- Services ---- */

static void it_runs_once_a_second_and_when_a_caller_wants_to(void **state)
{
    (void)state;
    assert_int_equal(run(), WEIR_NEVER); /* Nobody to look after. */
    assert_non_null(weir_mesh_caller(f.mesh, "orders"));
    assert_int_equal(run(), f.fake.now_ns + SECOND);
    set("services/orders/outlier", "interval=300ms");
    (void)run();
    assert_true(run() <= f.fake.now_ns + 300 * MS);
}

static void a_service_opened_twice_is_one_and_goes_with_the_last(void **state)
{
    (void)state;
    weir_mesh_service *one, *other;
    weir_mesh_stats stats;
    assert_int_equal(weir_mesh_open(f.mesh, "orders", &one), WEIR_OK);
    assert_int_equal(weir_mesh_open(f.mesh, "orders", &other), WEIR_OK);
    assert_ptr_equal(one, other);
    assert_string_equal(weir_mesh_service_name(one), "orders");
    weir_mesh_close(other);
    weir_mesh_get_stats(f.mesh, &stats);
    assert_int_equal(stats.services, 1);
    weir_caller *const caller = weir_mesh_caller(f.mesh, "orders");
    assert_ptr_equal(caller, weir_mesh_service_caller(one));
    assert_ptr_equal(caller, weir_mesh_caller(f.mesh, "orders"));
    weir_mesh_close(one); /* Who has asked for the caller keeps it. */
    weir_mesh_get_stats(f.mesh, &stats);
    assert_int_equal(stats.services, 1);
    assert_int_equal(weir_mesh_open(f.mesh, "users", &one), WEIR_OK);
    weir_mesh_close(one);
    weir_mesh_close(NULL);
    weir_mesh_get_stats(f.mesh, &stats);
    assert_int_equal(stats.services, 1);
    assert_int_equal(stats.pending, 0);
}

static void close_it(const weir_mesh_event *event, void *user)
{
    weir_mesh_service **const service = user;
    weir_mesh_service *other;
    if (event->kind != WEIR_MESH_POLICY || *service == NULL)
        return;
    weir_mesh_close(*service);
    *service = NULL;
    assert_int_equal(weir_mesh_open(f.mesh, "other", &other), WEIR_OK);
    weir_mesh_close(other);
}

static void services_may_be_opened_and_closed_while_they_are_told_of(void **state)
{
    (void)state;
    weir_mesh_service *service = NULL;
    weir_mesh_stats stats;
    weir_mesh_destroy(f.mesh);
    f.options.on_event = close_it;
    f.options.user = &service;
    assert_int_equal(weir_mesh_create(&f.mesh, &f.options), WEIR_OK);
    assert_int_equal(weir_mesh_open(f.mesh, "orders", &service), WEIR_OK);
    set("services/orders/timeout", "3s");
    (void)run();
    assert_null(service);
    weir_mesh_get_stats(f.mesh, &stats);
    assert_int_equal(stats.services, 0);
}

static void a_name_must_be_one_that_both_sides_can_have(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "_", "a/b", "a b", "a@b", "a:b", "$a", "{a}", "a\n"};
    static char long_name[WEIR_MESH_MAX_NAME + 2];
    weir_mesh_service *service;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(weir_mesh_open(f.mesh, wrong[i], &service), WEIR_EINVAL);
        assert_null(service);
        assert_null(weir_mesh_caller(f.mesh, wrong[i]));
    }
    memset(long_name, 'x', sizeof long_name - 1);
    assert_int_equal(weir_mesh_open(f.mesh, long_name, &service), WEIR_EINVAL);
    long_name[WEIR_MESH_MAX_NAME] = '\0';
    assert_int_equal(weir_mesh_open(f.mesh, long_name, &service), WEIR_OK);
    weir_mesh_close(service);
    assert_int_equal(weir_mesh_open(f.mesh, NULL, &service), WEIR_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_policy_is_in_force_after_one_run_of_the_task),
        TEST(what_is_known_is_in_force_when_a_service_is_opened),
        TEST(a_change_keeps_breakers_and_counts),
        TEST(underscore_speaks_for_all_who_have_nothing_of_their_own),
        TEST(a_policy_may_be_that_of_one_environment),
        TEST(the_options_in_force_can_be_seen),
        TEST(what_is_written_in_a_callback_is_not_lost),
        TEST(what_is_written_while_a_service_opens_is_not_lost),
        TEST(a_malformed_value_is_refused_where_it_is_written),
        TEST(a_malformed_value_that_others_wrote_leaves_what_was),
        TEST(the_first_policy_takes_defaults_for_what_is_malformed),
        TEST(a_program_may_have_directives_of_its_own),
        TEST(who_registers_is_called_and_who_leaves_is_not),
        TEST(what_a_health_check_reports_counts_within_a_second),
        TEST(members_of_the_directive_come_first_and_keep_their_ids),
        TEST(an_instance_tells_weight_zone_labels_and_endpoints),
        TEST(who_cannot_be_called_is_left_out_and_told),
        TEST(who_is_found_when_the_registry_gets_in_sync_is_called),
        TEST(it_runs_once_a_second_and_when_a_caller_wants_to),
        TEST(a_service_opened_twice_is_one_and_goes_with_the_last),
        TEST(services_may_be_opened_and_closed_while_they_are_told_of),
        TEST(a_name_must_be_one_that_both_sides_can_have),
    };
    return cmocka_run_group_tests_name("mesh", tests, NULL, NULL);
}

/* The mesh without memory: every allocation of every function fails in turn. */
#include "support/mesh_fixture.h"

static void create_survives_every_failed_allocation(void **state)
{
    (void)state;
    weir_mesh_destroy(f.mesh);
    int result = WEIR_ENOMEM;
    for (unsigned n = 1; result == WEIR_ENOMEM; n++) {
        size_t const before = f.fake.live_bytes;
        assert_in_range(n, 1, 50);
        f.fake.calls = 0;
        f.fake.fail_at = n;
        result = weir_mesh_create(&f.mesh, &f.options);
        f.fake.fail_at = 0;
        if (result != WEIR_ENOMEM)
            break;
        assert_null(f.mesh);
        assert_int_equal(f.fake.live_bytes, before);
        assert_int_equal(try_set("services/orders/anything", "x"), WEIR_OK); /* No validator. */
    }
    assert_int_equal(result, WEIR_OK);
    assert_int_equal(try_set("services/orders/anything", "y"), WEIR_EINVAL);
}

static void open_survives_every_failed_allocation(void **state)
{
    (void)state;
    weir_mesh_service *service;
    weir_mesh_stats stats;
    int result = WEIR_ENOMEM;
    set("services/orders/members", "a 10.0.0.1:80");
    enter("orders", "b", "10.0.0.2", 80);
    for (unsigned n = 1; result == WEIR_ENOMEM; n++) {
        assert_in_range(n, 1, 200);
        size_t const before = f.fake.live_bytes;
        f.fake.calls = 0;
        f.fake.fail_at = n;
        result = weir_mesh_open(f.mesh, "orders", &service);
        f.fake.fail_at = 0;
        weir_mesh_get_stats(f.mesh, &stats);
        assert_int_equal(stats.services, result == WEIR_OK);
        if (result == WEIR_ENOMEM) {
            assert_null(service);
            assert_true(f.fake.live_bytes <= before + 1024); /* A map's slots may stay. */
        }
    }
    assert_int_equal(result, WEIR_OK);
    assert_string_equal(members_of(weir_mesh_service_caller(service)),
                        "a=10.0.0.1:80 b=10.0.0.2:80");
    weir_mesh_close(service);
}

/* Whatever fails, once there is memory all of it is in force a moment later. */
static void a_change_that_finds_no_memory_is_in_force_a_little_later(void **state)
{
    (void)state;
    weir_mesh_service *service;
    weir_mesh_stats stats;
    assert_int_equal(weir_mesh_open(f.mesh, "orders", &service), WEIR_OK);
    (void)run();
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        char members[64], expected[64];
        assert_in_range(n, 1, 300);
        (void)snprintf(members, sizeof members, "a 10.0.0.1:%u", n);
        (void)snprintf(expected, sizeof expected, "a=10.0.0.1:%u", n);
        set("services/orders/members", members);
        set("services/orders/breaker", n % 2 == 0 ? "off" : "consecutive=3");
        set("services/orders/balance", n % 2 == 0 ? "ketama" : "maglev table=13");
        f.fake.calls = 0;
        f.fake.fail_at = n;
        uint64_t const next_ns = run();
        failed = f.fake.calls >= n;
        f.fake.fail_at = 0;
        weir_mesh_get_stats(f.mesh, &stats);
        assert_true(stats.pending == 0 || next_ns <= f.fake.now_ns + 100 * MS);
        f.fake.now_ns = next_ns;
        (void)run();
        weir_mesh_get_stats(f.mesh, &stats);
        assert_int_equal(stats.pending, 0);
        assert_string_equal(members_of(weir_mesh_service_caller(service)), expected);
        assert_int_equal(weir_mesh_service_options(service)->breaker == NULL, n % 2 == 0);
    }
    assert_int_equal(f.problems, 0);
    weir_mesh_close(service);
}

static void a_check_says_that_there_was_no_memory(void **state)
{
    (void)state;
    static const struct {
        const char *directive, *value;
    } all[] = {{"members", "a 1:1"}, {"limit", "5/s"}, {"balance", "maglev"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        weir_mesh_error error;
        int result = WEIR_ENOMEM;
        for (unsigned n = 1; result == WEIR_ENOMEM; n++) {
            size_t const before = f.fake.live_bytes;
            f.fake.calls = 0;
            f.fake.fail_at = n;
            result = weir_mesh_check(all[i].directive, weir_bytes_of(all[i].value), &f.env, &error);
            assert_int_equal(f.fake.live_bytes, before);
            assert_in_range(n, 1, 50);
        }
        f.fake.fail_at = 0;
        assert_int_equal(result, WEIR_OK);
    }
    f.fake.calls = 0;
    f.fake.fail_at = 1; /* The validator's. */
    assert_int_equal(try_set("services/orders/limit", "5/s"), WEIR_ENOMEM);
    f.fake.fail_at = 0;
    assert_int_equal(try_set("services/orders/limit", "5/s"), WEIR_OK);
}

static void options_out_of_their_range_are_refused(void **state)
{
    (void)state;
    static char prefix[129];
    weir_env const bad = {.struct_size = 1};
    weir_mesh *mesh;
    weir_mesh_error error;
    weir_mesh_options options = f.options;
    memset(prefix, 'p', sizeof prefix - 1);
    assert_int_equal(weir_mesh_create(&mesh, NULL), WEIR_EINVAL);
    options.config = NULL;
    assert_int_equal(weir_mesh_create(&mesh, &options), WEIR_EINVAL);
    static const char *const prefixes[] = {NULL, "", "a*", "a?", prefix};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        options = f.options;
        options.prefix = prefixes[i];
        assert_int_equal(weir_mesh_create(&mesh, &options), WEIR_EINVAL);
        assert_null(mesh);
    }
    options = f.options;
    options.env = &bad;
    assert_int_equal(weir_mesh_create(&mesh, &options), WEIR_EINVAL);
    assert_int_equal(weir_mesh_check("limit", weir_bytes_of("1/s"), &bad, &error), WEIR_EINVAL);
    assert_int_equal(weir_mesh_check("wobble", weir_bytes_of("1"), NULL, &error), WEIR_ENOTFOUND);
    weir_mesh_destroy(NULL);
}

/* Members out of the config alone, and nobody listening. */
static void a_mesh_needs_no_registry_and_no_listener(void **state)
{
    (void)state;
    weir_mesh_destroy(f.mesh);
    weir_mesh_options options = WEIR_MESH_OPTIONS_INIT;
    options.config = f.config;
    options.env = &f.env;
    assert_int_equal(weir_mesh_create(&f.mesh, &options), WEIR_OK);
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    set("services/orders/members", "a 10.0.0.1:80\n# nobody else\n");
    (void)run();
    assert_string_equal(members_of(orders), "a=10.0.0.1:80");
    write_past_validators("services/orders/limit", "fast");
    (void)run();
    weir_mesh_stats stats;
    weir_mesh_get_stats(f.mesh, &stats);
    assert_int_equal(stats.problems, 1);
}

static void count_calls(const char *service, const weir_caller_event *event, void *user)
{
    assert_string_equal(service, "orders");
    f.calls += event->kind == WEIR_CALLER_ENDED;
    assert_ptr_equal(user, &f);
}

static void what_callers_tell_is_passed_on_with_their_service(void **state)
{
    (void)state;
    weir_mesh_destroy(f.mesh);
    f.options.on_call = count_calls;
    f.options.user = &f;
    assert_int_equal(weir_mesh_create(&f.mesh, &f.options), WEIR_OK);
    write_past_validators("services/orders/balance",
                          "maglev table=12"); /* Not at create, either. */
    set("services/orders/members", "a 10.0.0.1:80");
    weir_caller *const orders = weir_mesh_caller(f.mesh, "orders");
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(f.calls, 1);
    set("services/orders/balance", "random");
    (void)run();
    write_past_validators("services/orders/balance", "maglev table=12");
    (void)run();
    assert_int_equal(f.problems, 2);
    assert_int_equal(call(orders, WEIR_SUCCESS, NULL), WEIR_OK);
    assert_int_equal(f.calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create_survives_every_failed_allocation),
        TEST(open_survives_every_failed_allocation),
        TEST(a_change_that_finds_no_memory_is_in_force_a_little_later),
        TEST(a_check_says_that_there_was_no_memory),
        TEST(options_out_of_their_range_are_refused),
        TEST(a_mesh_needs_no_registry_and_no_listener),
        TEST(what_callers_tell_is_passed_on_with_their_service),
    };
    return cmocka_run_group_tests_name("mesh_memory", tests, NULL, NULL);
}

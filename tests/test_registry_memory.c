/* The registry without memory: every allocation of every function fails in turn, and the bound that
 * the header gives. */
#include "support/registry_fixture.h"

static void wipe(void)
{
    char end[1];
    weir_kv_keys const all = weir_kv_prefix((weir_bytes){"", 0}, end);
    assert_int_equal(weir_store_delete(f.store, &all, NULL), WEIR_OK);
}

/* Fails each allocation in turn: WEIR_ENOMEM and nothing has changed, or it was done, and shows at
 * the latest once memory is there again. */
static void sweep(int (*act)(void), const char *before, const char *after)
{
    bool done = false;
    for (unsigned n = 1; !done; n++) {
        f.fake.calls = 0;
        f.fake.fail_at = n;
        f.done = 0;
        int const code = act();
        done = f.fake.calls < n;
        f.fake.fail_at = 0;
        if (code == WEIR_ENOMEM) {
            pass_ms(2000);
            assert_there(before);
            continue;
        }
        assert_int_equal(code, WEIR_OK);
        pass_ms(2000);
        assert_true(stats_now().synced);
        if (f.done > 0 && f.result.code == WEIR_OK) {
            assert_there(after);
            wipe();
            weir_kv_op const op = {.kind = WEIR_KV_PUT,
                                   .range.keys.key = {"registry/orders/z", 17},
                                   .value = {"{\"permanent\":true}", 18}};
            weir_kv_txn const txn = {.then_ops = &op, .then_count = 1};
            assert_int_equal(f.kv.txn(f.kv.self, &txn, NULL, NULL), WEIR_OK);
        } else {
            assert_int_equal(f.result.code, WEIR_ENOMEM);
            assert_there(before);
        }
    }
}

static int act_register(void)
{
    f.instance.id = "a";
    return weir_registry_register(f.registry, &f.instance, remember_result, &f);
}

static int act_deregister(void)
{
    return weir_registry_deregister(f.registry, "orders", "z", remember_result, &f);
}

static int act_metadata(void)
{
    return weir_registry_set_metadata(f.registry, "orders", "z", "k", "v", remember_result, &f);
}

static void put_z(void)
{
    assert_int_equal(weir_store_put(f.store, weir_bytes_of("registry/orders/z"),
                                    weir_bytes_of("{\"permanent\":true}"), 0, NULL),
                     WEIR_OK);
}

static void registering_survives_every_failed_allocation(void **state)
{
    (void)state;
    put_z();
    sweep(act_register, "z", "a z");
}

static void deregistering_survives_every_failed_allocation(void **state)
{
    (void)state;
    put_z();
    sweep(act_deregister, "z", "");
}

static void changing_survives_every_failed_allocation(void **state)
{
    (void)state;
    put_z();
    sweep(act_metadata, "z", "z");
}

static void keeping_survives_every_failed_allocation(void **state)
{
    (void)state;
    bool done = false;
    for (unsigned n = 1; !done; n++) {
        weir_registry_keeper *keeper;
        f.instance.id = "a";
        f.instance.stamp = n;
        f.fake.calls = 0;
        f.fake.fail_at = n;
        int const code = weir_registry_keep(f.registry, &f.instance, NULL, NULL, &keeper);
        done = f.fake.calls < n;
        f.fake.fail_at = 0;
        if (code == WEIR_ENOMEM) {
            assert_null(keeper);
            assert_there("");
            continue;
        }
        assert_int_equal(code, WEIR_OK);
        pass_ms(4000);
        assert_there("a");
        f.fake.calls = 0;
        f.fake.fail_at = 1;
        assert_int_equal(weir_registry_release(keeper), WEIR_ENOMEM);
        f.fake.fail_at = 0;
        assert_int_equal(weir_registry_release(keeper), WEIR_OK);
        wipe(); /* The mark, too. */
    }
}

static void watching_survives_every_failed_allocation(void **state)
{
    (void)state;
    bool done = false;
    put_z();
    for (unsigned n = 1; !done; n++) {
        static listener all;
        weir_registry_watch_options options = WEIR_REGISTRY_WATCH_OPTIONS_INIT;
        options.fn = listen_to;
        options.user = &all;
        all = (listener){.told = 0};
        f.fake.calls = 0;
        f.fake.fail_at = n;
        int const code = weir_registry_watch_start(f.registry, &options, &all.watch);
        put_z();
        done = f.fake.calls < n;
        f.fake.fail_at = 0;
        if (code == WEIR_ENOMEM) {
            assert_null(all.watch);
            pass_ms(2000);
            continue;
        }
        assert_int_equal(code, WEIR_OK);
        pass_ms(4000); /* Whatever failed, it is listed again. */
        unsigned const told = all.told;
        put_z();
        assert_int_equal(all.told, told + 1);
        assert_int_equal(all.events[told].kind, WEIR_REGISTRY_CHANGED);
        weir_registry_watch_stop(all.watch);
    }
}

static void reports_survive_every_failed_allocation(void **state)
{
    (void)state;
    put_z();
    f.fake.fail_at = f.fake.calls + 1;
    assert_int_equal(weir_registry_report_health(f.registry, "orders", "z", false), WEIR_ENOMEM);
    f.fake.fail_at = 0;
    pass_ms(1000);
    assert_available("z");
    assert_true(stats_now().synced);
}

static void create_survives_every_failed_allocation(void **state)
{
    (void)state;
    bool done = false;
    put_z();
    weir_registry_destroy(f.registry);
    f.registry = NULL;
    for (unsigned n = 1; !done; n++) {
        f.fake.calls = 0;
        f.fake.fail_at = n;
        int const code = weir_registry_create(&f.registry, &f.options);
        done = f.fake.calls < n;
        f.fake.fail_at = 0;
        if (code == WEIR_ENOMEM) {
            assert_null(f.registry);
            assert_int_equal(f.fake.live, 0);
            continue;
        }
        assert_int_equal(code, WEIR_OK);
        pass_ms(2000);
        assert_true(stats_now().synced);
        assert_there("z");
        weir_registry_destroy(f.registry);
        f.registry = NULL;
    }
}

static void memory_of_an_instance_is_bounded_as_the_header_says(void **state)
{
    (void)state;
    char id[8];
    f.instance.host = NULL;
    for (int i = 0; i < 1000; i++) {
        (void)sprintf(id, "i%05d", i);
        enter(id);
    }
    (void)run_task();
    weir_registry_stats const stats = stats_now();
    size_t const strings = 2 * (6 + 1 + 6 + 1) + 6; /* Names, in key and record, and NULs. */
    assert_true(stats.bytes / stats.instances < 600 + strings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(registering_survives_every_failed_allocation),
        TEST(deregistering_survives_every_failed_allocation),
        TEST(changing_survives_every_failed_allocation),
        TEST(keeping_survives_every_failed_allocation),
        TEST(watching_survives_every_failed_allocation),
        TEST(reports_survive_every_failed_allocation),
        TEST(create_survives_every_failed_allocation),
        TEST(memory_of_an_instance_is_bounded_as_the_header_says),
    };
    return cmocka_run_group_tests_name("registry_memory", tests, NULL, NULL);
}

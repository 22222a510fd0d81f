/* Keepers, lost races, answers that come late, ends at any moment. */
#include "support/registry_fixture.h"

static weir_registry_result ended;
static unsigned endings;

static void remember_end(const weir_registry_result *result, void *user)
{
    (void)user;
    ended = *result;
    endings++;
}

static weir_registry_keeper *keep(const char *id)
{
    weir_registry_keeper *keeper;
    endings = 0;
    f.instance.id = id;
    assert_int_equal(weir_registry_keep(f.registry, &f.instance, remember_end, NULL, &keeper),
                     WEIR_OK);
    slow_kv_drain(&f.slow);
    return keeper;
}

static void wipe(void)
{
    char end[1];
    weir_kv_keys const all = weir_kv_prefix((weir_bytes){"", 0}, end);
    assert_int_equal(weir_store_delete(f.store, &all, NULL), WEIR_OK);
}

/* go-kit#1043, kratos#3883, rpcx#420, dubbo#5135: a service never comes back after a lease loss or
 * a server outage. */
static void what_is_kept_comes_back_with_its_latest_record(void **state)
{
    (void)state;
    weir_registry_keeper *const keeper = keep("a");
    assert_available("a");
    pass_ms(3600000); /* The task renews. */
    assert_available("a");
    assert_int_equal(stats_now().evicted, 0);
    assert_int_equal(result_of(weir_registry_set_metadata(f.registry, "orders", "a", "k", "v",
                                                          remember_result, &f)),
                     WEIR_OK);
    assert_int_equal(result_of(weir_registry_set_override(f.registry, "orders", "a",
                                                          WEIR_INSTANCE_OUT_OF_SERVICE,
                                                          remember_result, &f)),
                     WEIR_OK);
    for (int i = 0; i < 3; i++) {
        wipe(); /* The server lost all. */
        pass_ms(2000);
        assert_there("a");
        assert_available("");
        weir_registry_view view;
        weir_registry_begin(f.registry, "orders", &view);
        assert_string_equal(view.instances[0]->metadata[0].value, "v");
        weir_registry_end(&view);
    }
    assert_int_equal(endings, 0);
    assert_int_equal(weir_registry_release(keeper), WEIR_OK);
    assert_there("");
    pass_ms(3600000);
    assert_there("");
    assert_int_equal(weir_registry_release(NULL), WEIR_OK);
}

/* The same: it goes on for ever, with growing pauses. */
static void a_keeper_never_gives_up(void **state)
{
    (void)state;
    weir_registry_keeper *const keeper = keep("a");
    pass_ms(10000);
    f.slow.fail = WEIR_ESYSTEM;
    wipe();
    unsigned const before = f.slow.txns;
    pass_ms(31000); /* 0, 1, 3, 7, 15 and 31 s after it was lost. */
    assert_int_equal(f.slow.txns - before, 6);
    pass_ms(300000); /* Each 30 s. */
    assert_int_equal(f.slow.txns - before, 16);
    assert_there("");
    f.slow.fail = WEIR_OK;
    f.slow.refuse = WEIR_EREADONLY;
    pass_ms(60000);
    f.slow.refuse = WEIR_OK;
    pass_ms(30000);
    assert_available("a");
    assert_int_equal(endings, 0);
    assert_int_equal(weir_registry_release(keeper), WEIR_OK);
}

/* Never resurrect a deregistered one. */
static void what_anybody_deregistered_is_not_kept_any_more(void **state)
{
    (void)state;
    weir_registry_keeper *const keeper = keep("a");
    assert_int_equal(leave("a"), WEIR_OK);
    pass_ms(3600000);
    assert_there("");
    assert_int_equal(endings, 1);
    assert_int_equal(ended.code, WEIR_ENOTFOUND);
    enter("a"); /* Another program's. */
    assert_int_equal(weir_registry_release(keeper), WEIR_OK);
    assert_there("a");
}

static void what_a_newer_registration_replaced_is_not_kept_any_more(void **state)
{
    (void)state;
    weir_registry_keeper *const keeper = keep("a");
    f.instance.stamp = 6000000;
    f.instance.zone = "new";
    enter("a");
    pass_ms(1000);
    assert_int_equal(endings, 1);
    assert_int_equal(ended.code, WEIR_ESTALE);
    assert_int_equal(weir_registry_release(keeper), WEIR_OK);
    assert_there("a");
    f.instance.stamp = 7;
    weir_registry_keeper *const second = keep("a"); /* Older from the beginning. */
    pass_ms(1000);
    assert_int_equal(endings, 1);
    assert_int_equal(ended.code, WEIR_ESTALE);
    assert_int_equal(weir_registry_release(second), WEIR_OK);
}

static void a_keeper_takes_its_lease_back_from_another_node(void **state)
{
    (void)state;
    weir_registry *const first = f.registry;
    weir_registry *second;
    f.instance.stamp = 9;
    weir_registry_keeper *const keeper = keep("a");
    f.options.node = "second";
    assert_int_equal(weir_registry_create(&second, &f.options), WEIR_OK);
    f.registry = second;
    enter("a");
    f.registry = first;
    assert_int_equal(beat("a"), WEIR_ENOTFOUND);
    pass_ms(30000);
    assert_int_equal(beat("a"), WEIR_OK);
    weir_registry_destroy(second);
    assert_int_equal(weir_registry_release(keeper), WEIR_OK);
}

static void one_instance_has_one_keeper(void **state)
{
    (void)state;
    weir_registry_keeper *const keeper = keep("a");
    weir_registry_keeper *second;
    assert_int_equal(weir_registry_keep(f.registry, &f.instance, NULL, NULL, &second), WEIR_EBUSY);
    assert_null(second);
    f.instance.id = "";
    assert_int_equal(weir_registry_keep(f.registry, &f.instance, NULL, NULL, &second), WEIR_EINVAL);
    f.instance.permanent = true;
    weir_registry_keeper *const permanent = keep("p");
    pass_ms(100000);
    assert_there("a p");
    assert_int_equal(weir_registry_release(keeper), WEIR_OK);
    weir_registry_destroy(f.registry); /* With a keeper still there: what it kept stays. */
    (void)permanent;
    assert_int_equal(weir_registry_create(&f.registry, &f.options), WEIR_OK);
    assert_there("p");
}

static void a_keeper_may_be_released_while_it_registers(void **state)
{
    (void)state;
    weir_registry_keeper *keeper;
    f.slow.quick = false;
    f.instance.id = "a";
    endings = 0;
    assert_int_equal(weir_registry_keep(f.registry, &f.instance, remember_end, NULL, &keeper),
                     WEIR_OK);
    assert_int_equal(weir_registry_release(keeper), WEIR_OK);
    slow_kv_drain(&f.slow);
    pass_ms(100000);
    assert_there("");
    assert_int_equal(endings, 0);
}

static weir_registry_keeper *leaving;

/* Allowed in a callback: here of another's event, amid the keeper's own registration. */
static void release_keeper(void *user)
{
    (void)user;
    int const refuse = f.slow.refuse;
    f.slow.refuse = WEIR_OK;
    assert_int_equal(weir_registry_release(leaving), WEIR_OK);
    f.slow.refuse = refuse;
}

static void a_keeper_may_be_released_amid_a_registration_that_is_refused(void **state)
{
    (void)state;
    leaving = keep("a");
    f.slow.refuse = WEIR_ENOMEM;
    f.slow.before = release_keeper;
    wipe();
    pass_ms(2000); /* The task puts it back, in vain. */
    assert_null(f.slow.before);
    f.instance.id = "b";
    f.slow.before = release_keeper;
    assert_int_equal(weir_registry_keep(f.registry, &f.instance, remember_end, NULL, &leaving),
                     WEIR_ENOMEM);
    assert_null(f.slow.before);
    assert_null(leaving);
    f.slow.refuse = WEIR_OK;
    pass_ms(100000);
    assert_there("");
    assert_int_equal(endings, 0);
}

static void a_keeper_whose_first_answer_is_late_is_kept(void **state)
{
    (void)state;
    weir_registry_keeper *keeper;
    f.slow.quick = false;
    f.instance.id = "a";
    assert_int_equal(weir_registry_keep(f.registry, &f.instance, NULL, NULL, &keeper), WEIR_OK);
    pass_ms(60000);
    wipe();
    pass_ms(5000);
    assert_available("a");
    assert_int_equal(leave("a"), WEIR_OK); /* Nobody asked to be told of the end. */
    pass_ms(5000);
    assert_there("");
    assert_int_equal(weir_registry_release(keeper), WEIR_OK);
}

static void an_instance_may_go_and_come_back_in_one_batch(void **state)
{
    (void)state;
    f.instance.stamp = 1;
    enter("a");
    f.slow.refuse_watch = WEIR_ENOMEM;
    recreate(); /* Lists, and cannot watch yet. */
    weir_bytes const key = weir_bytes_of("registry/orders/a");
    weir_kv_keys const a = {key, {NULL, 0}};
    assert_int_equal(weir_store_delete(f.store, &a, NULL), WEIR_OK);
    assert_int_equal(weir_store_put(f.store, key, weir_bytes_of("{\"weight\":9}"), 0, NULL),
                     WEIR_OK);
    f.slow.refuse_watch = WEIR_OK;
    pass_ms(1000);
    weir_task const task = weir_store_task(f.store);
    (void)task.run(task.self, f.fake.now_ns);
    assert_available("a");
    weir_registry_view view;
    weir_registry_begin(f.registry, "orders", &view);
    assert_int_equal(view.instances[0]->weight, 9);
    weir_registry_end(&view);
}

/* ---- Races ---- */

static unsigned race_left;

static void race_put(void *user)
{
    char value[64];
    if (race_left-- == 0)
        return;
    (void)sprintf(value, "{\"weight\":%u,\"stamp\":3}", race_left);
    assert_int_equal(weir_store_put(f.store, weir_bytes_of("registry/orders/a"),
                                    weir_bytes_of(value), 0, NULL),
                     WEIR_OK);
    f.slow.before = race_put;
    f.slow.user = user;
}

static void a_change_that_loses_a_race_is_made_again_on_what_is_there_then(void **state)
{
    (void)state;
    f.instance.stamp = 3;
    enter("a");
    race_left = 3;
    f.slow.before = race_put;
    assert_int_equal(result_of(weir_registry_set_metadata(f.registry, "orders", "a", "k", "v",
                                                          remember_result, &f)),
                     WEIR_OK);
    weir_registry_view view;
    weir_registry_begin(f.registry, "orders", &view);
    assert_int_equal(view.instances[0]->weight, 0); /* The last of the others' changes... */
    assert_string_equal(view.instances[0]->metadata[0].value, "v"); /* ...and ours. */
    weir_registry_end(&view);
    race_left = 100;
    f.slow.before = race_put;
    assert_int_equal(result_of(
                         weir_registry_drain(f.registry, "orders", "a", true, remember_result, &f)),
                     WEIR_EBUSY);
    f.slow.before = NULL;
}

static void race_break(void *user)
{
    (void)user;
    assert_int_equal(weir_store_put(f.store, weir_bytes_of("registry/orders/a"),
                                    weir_bytes_of("broken"), 0, NULL),
                     WEIR_OK);
}

static void a_broken_value_can_be_replaced_and_taken_out_but_not_changed(void **state)
{
    (void)state;
    race_break(NULL);
    assert_int_equal(result_of(
                         weir_registry_drain(f.registry, "orders", "a", true, remember_result, &f)),
                     WEIR_EPROTOCOL);
    enter("a");
    assert_there("a");
    race_break(NULL);
    assert_int_equal(leave("a"), WEIR_OK);
    assert_there("");
}

static void race_leave(void *user)
{
    (void)user;
    weir_kv_op const ops[] = {
        {.kind = WEIR_KV_DELETE, .range.keys.key = {"registry/orders/a", 17}},
        {.kind = WEIR_KV_PUT,
         .range.keys.key = {"registry/orders//a", 18},
         .value = {"{\"by\":1,\"stamp\":8}", 18}},
    };
    weir_kv_txn const txn = {.then_ops = ops, .then_count = 2};
    assert_int_equal(weir_store_kv(f.store).txn(f.store, &txn, NULL, NULL), WEIR_OK);
}

static void a_registration_that_meets_a_deregistration_under_way_loses(void **state)
{
    (void)state;
    f.instance.stamp = 8;
    enter("a");
    f.slow.before = race_leave;
    assert_int_equal(register_code("a"), WEIR_ESTALE);
    f.instance.stamp = 9;
    enter("a");
    f.slow.before = race_leave;
    assert_int_equal(leave("a"), WEIR_ENOTFOUND);
}

static void marks_of_other_programs_may_be_anything(void **state)
{
    (void)state;
    assert_int_equal(weir_store_put(f.store, weir_bytes_of("registry/orders//a"),
                                    weir_bytes_of("x"), 0, NULL),
                     WEIR_OK);
    f.instance.stamp = 1;
    enter("a");
}

/* ---- Answers that come late ---- */

static void changes_are_in_force_when_the_space_says_so(void **state)
{
    (void)state;
    f.slow.quick = false;
    f.instance.id = "a";
    f.done = 0;
    assert_int_equal(weir_registry_register(f.registry, &f.instance, remember_result, &f), WEIR_OK);
    assert_int_equal(f.done, 0);
    assert_there("");
    slow_kv_drain(&f.slow);
    assert_int_equal(f.done, 1);
    assert_there("a");
    assert_int_equal(weir_registry_deregister(f.registry, "orders", "a", remember_result, &f),
                     WEIR_OK);
    assert_there("a");
    slow_kv_drain(&f.slow);
    assert_int_equal(f.done, 2);
    assert_there("");
}

static void changes_under_way_are_told_of_the_end(void **state)
{
    (void)state;
    enter("a");
    f.slow.quick = false;
    f.done = 0;
    f.instance.id = "b";
    assert_int_equal(weir_registry_register(f.registry, &f.instance, remember_result, &f), WEIR_OK);
    assert_int_equal(weir_registry_drain(f.registry, "orders", "a", true, remember_result, &f),
                     WEIR_OK);
    assert_int_equal(weir_registry_deregister(f.registry, "orders", "a", remember_result, &f),
                     WEIR_OK);
    assert_int_equal(weir_registry_deregister(f.registry, "orders", "a", NULL, NULL), WEIR_OK);
    static listener all;
    all = (listener){.told = 0};
    weir_registry_watch_options options = WEIR_REGISTRY_WATCH_OPTIONS_INIT;
    options.fn = listen_to;
    options.user = &all;
    assert_int_equal(weir_registry_watch_start(f.registry, &options, &all.watch), WEIR_OK);
    weir_registry_destroy(f.registry);
    f.registry = NULL;
    assert_int_equal(f.done, 3);
    assert_int_equal(f.result.code, WEIR_ECLOSED);
    slow_kv_drain(&f.slow); /* Nobody is there to hear of it. */
    assert_int_equal(f.done, 3);
    assert_int_equal(all.told, 0);
}

static void what_the_space_refuses_is_told(void **state)
{
    (void)state;
    enter("a");
    f.slow.refuse = WEIR_EREADONLY;
    f.done = 0;
    assert_int_equal(register_code("b"), WEIR_EREADONLY);
    assert_int_equal(weir_registry_deregister(f.registry, "orders", "a", remember_result, &f),
                     WEIR_EREADONLY);
    assert_int_equal(f.done, 0);
    f.slow.refuse = WEIR_OK;
    f.slow.fail = WEIR_ESYSTEM;
    assert_int_equal(register_code("b"), WEIR_ESYSTEM);
    assert_int_equal(leave("a"), WEIR_ESYSTEM);
    f.slow.fail = WEIR_OK;
    assert_there("a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_kept_comes_back_with_its_latest_record),
        TEST(a_keeper_never_gives_up),
        TEST(what_anybody_deregistered_is_not_kept_any_more),
        TEST(what_a_newer_registration_replaced_is_not_kept_any_more),
        TEST(a_keeper_takes_its_lease_back_from_another_node),
        TEST(one_instance_has_one_keeper),
        TEST(a_keeper_may_be_released_while_it_registers),
        TEST(a_keeper_may_be_released_amid_a_registration_that_is_refused),
        TEST(a_keeper_whose_first_answer_is_late_is_kept),
        TEST(an_instance_may_go_and_come_back_in_one_batch),
        TEST(a_change_that_loses_a_race_is_made_again_on_what_is_there_then),
        TEST(a_broken_value_can_be_replaced_and_taken_out_but_not_changed),
        TEST(a_registration_that_meets_a_deregistration_under_way_loses),
        TEST(marks_of_other_programs_may_be_anything),
        TEST(changes_are_in_force_when_the_space_says_so),
        TEST(changes_under_way_are_told_of_the_end),
        TEST(what_the_space_refuses_is_told),
    };
    return cmocka_run_group_tests_name("registry_life", tests, NULL, NULL);
}

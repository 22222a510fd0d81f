/* Watches: every change in order, resumed, paused, lost and found again. */
#include "support/registry_fixture.h"

static int change_status(const char *id, weir_instance_status status)
{
    return result_of(
        weir_registry_set_status(f.registry, "orders", id, status, remember_result, &f));
}

static void a_watch_tells_what_is_there_and_then_every_change(void **state)
{
    (void)state;
    static listener all;
    all = (listener){.told = 0};
    f.instance.stamp = 1;
    enter("a");
    watch_from(&all, NULL, 0);
    enter("b");
    assert_int_equal(change_status("b", WEIR_INSTANCE_DOWN), WEIR_OK);
    enter("a"); /* The same contents: compared by revision, it is a change. */
    assert_int_equal(result_of(
                         weir_registry_drain(f.registry, "orders", "a", true, remember_result, &f)),
                     WEIR_OK);
    assert_int_equal(leave("b"), WEIR_OK);
    pass_ms(90000);
    assert_string_equal(story_of(&all), "resync listed:a synced registered:b status:b changed:a "
                                        "status:a deregistered:b expired:a");
    assert_int_equal(all.events[4].before, WEIR_INSTANCE_UP);
    assert_int_equal(all.events[4].status, WEIR_INSTANCE_DOWN);
    assert_int_equal(all.events[7].before, WEIR_INSTANCE_DOWN);
    assert_int_equal(all.events[7].status, WEIR_INSTANCE_UNKNOWN); /* It is gone. */
    for (unsigned i = 1; i < all.told; i++)
        assert_true(all.events[i].revision >= all.events[i - 1].revision);
    assert_int_equal(stats_now().watches, 1);
    weir_registry_watch_stop(all.watch);
    assert_int_equal(stats_now().watches, 0);
    weir_registry_watch_stop(NULL);
}

/* nacos#1218: watching a group. */
static void a_watch_of_one_service_hears_of_no_other(void **state)
{
    (void)state;
    static listener orders;
    orders = (listener){.told = 0};
    watch_from(&orders, "orders", 0);
    f.instance.service = "orders2";
    enter("x");
    f.instance.service = "order";
    enter("y");
    f.instance.service = "orders";
    enter("a");
    assert_int_equal(leave("a"), WEIR_OK);
    assert_string_equal(story_of(&orders), "resync synced registered:a deregistered:a");
}

/* nacos#2384: a listener fails, then A -> B -> A is lost. */
static void a_watch_resumes_from_a_revision_and_misses_nothing(void **state)
{
    (void)state;
    static listener late;
    late = (listener){.told = 0};
    enter("a");
    uint64_t const from = f.result.revision + 1;
    assert_int_equal(change_status("a", WEIR_INSTANCE_DOWN), WEIR_OK);
    assert_int_equal(change_status("a", WEIR_INSTANCE_UP), WEIR_OK);
    assert_int_equal(leave("a"), WEIR_OK);
    watch_from(&late, "orders", from);
    run_store();
    assert_string_equal(story_of(&late), "status:a status:a deregistered:a");
    assert_int_equal(late.events[0].revision, from);
    assert_int_equal(late.events[2].before, WEIR_INSTANCE_UP);
}

static void a_watch_from_a_forgotten_revision_begins_with_a_resync(void **state)
{
    (void)state;
    static listener late;
    late = (listener){.told = 0};
    enter("a");
    enter("b");
    assert_int_equal(leave("a"), WEIR_OK);
    assert_int_equal(weir_store_compact(f.store, weir_store_revision(f.store)), WEIR_OK);
    watch_from(&late, NULL, 2);
    run_store();
    assert_string_equal(story_of(&late), "resync listed:b synced");
}

static void a_watch_pauses_exactly_where_it_says_so(void **state)
{
    (void)state;
    for (unsigned at = 1; at <= 9; at++) {
        static listener slow;
        char root[16];
        (void)sprintf(root, "at%u/", at);
        f.options.root = root;
        recreate();
        slow = (listener){.pause_at = at};
        enter("a");
        enter("b");
        watch_from(&slow, NULL, 0);
        for (int i = 0; i < 3; i++) {
            enter("c");
            assert_int_equal(leave("c"), WEIR_OK);
        }
        run_store();
        assert_int_equal(slow.told, at); /* Not one more. */
        weir_registry_watch_resume(slow.watch);
        weir_registry_watch_resume(slow.watch); /* Once is enough. */
        run_store();
        if (at > 4) /* What it lists is what is there when it asks. */
            assert_string_equal(story_of(&slow),
                                "resync listed:a listed:b synced registered:c deregistered:c "
                                "registered:c deregistered:c registered:c deregistered:c");
        assert_int_equal(slow.told, 10);
    }
}

/* Several changes in one revision, by another program. */
static void a_pause_within_a_revision_tells_the_rest_of_it_later(void **state)
{
    (void)state;
    for (unsigned at = 3; at <= 5; at++) {
        static listener slow;
        slow = (listener){.pause_at = at};
        watch_from(&slow, "together", 0);
        weir_kv_op ops[3] = {{.kind = WEIR_KV_PUT}, {.kind = WEIR_KV_PUT}, {.kind = WEIR_KV_PUT}};
        static const char *const keys[] = {"registry/together/a", "registry/together/b",
                                           "registry/together/c"};
        for (int i = 0; i < 3; i++) {
            ops[i].range.keys.key = weir_bytes_of(keys[i]);
            ops[i].value = weir_bytes_of("{}");
        }
        weir_kv_txn txn = {.then_ops = ops, .then_count = 3};
        assert_int_equal(f.kv.txn(f.kv.self, &txn, NULL, NULL), WEIR_OK);
        assert_int_equal(slow.told, at);
        weir_registry_watch_resume(slow.watch);
        run_store();
        assert_string_equal(story_of(&slow),
                            "resync synced registered:a registered:b registered:c");
        for (int i = 0; i < 3; i++)
            ops[i].kind = WEIR_KV_DELETE;
        assert_int_equal(f.kv.txn(f.kv.self, &txn, NULL, NULL), WEIR_OK);
        run_store();
        assert_int_equal(slow.told, 8);
        assert_int_equal(slow.events[7].kind, WEIR_REGISTRY_EXPIRED);
        weir_registry_watch_stop(slow.watch);
    }
}

static void one_of_two_that_go_at_once_may_have_left_on_purpose(void **state)
{
    (void)state;
    static listener all;
    all = (listener){.told = 0};
    enter("a");
    enter("b");
    uint64_t const from = f.result.revision + 1;
    weir_kv_op const ops[] = {
        {.kind = WEIR_KV_DELETE, .range.keys.key = {"registry/orders/a", 17}},
        {.kind = WEIR_KV_DELETE, .range.keys.key = {"registry/orders/b", 17}},
        {.kind = WEIR_KV_PUT, .range.keys.key = {"registry/orders//b", 18}, .value = {"{}", 2}},
    };
    weir_kv_txn const txn = {.then_ops = ops, .then_count = 3};
    assert_int_equal(f.kv.txn(f.kv.self, &txn, NULL, NULL), WEIR_OK);
    watch_from(&all, NULL, from);
    run_store();
    assert_string_equal(story_of(&all), "expired:a deregistered:b");
    assert_there("");
}

static void a_watch_that_fell_behind_is_told_to_resync(void **state)
{
    (void)state;
    static listener slow;
    slow = (listener){.pause_at = 2};
    watch_from(&slow, NULL, 0);
    enter("a");
    enter("b");
    assert_int_equal(leave("a"), WEIR_OK);
    assert_int_equal(weir_store_compact(f.store, weir_store_revision(f.store)), WEIR_OK);
    weir_registry_watch_resume(slow.watch);
    run_store();
    enter("c");
    assert_string_equal(story_of(&slow), "resync synced resync listed:b synced registered:c");
}

static void a_watch_may_stop_itself_wherever_it_is(void **state)
{
    (void)state;
    for (unsigned at = 1; at <= 7; at++) {
        static listener brief;
        char root[16];
        (void)sprintf(root, "at%u/", at);
        f.options.root = root;
        recreate();
        brief = (listener){.stop_at = at};
        enter("a");
        watch_from(&brief, NULL, 0);
        enter("b");
        assert_int_equal(leave("a"), WEIR_OK);
        assert_int_equal(leave("b"), WEIR_OK);
        assert_int_equal(brief.told, at < 6 ? at : 6);
        assert_int_equal(stats_now().watches, at <= 6 ? 0 : 1);
    }
}

static void a_long_list_comes_in_pages_at_one_revision(void **state)
{
    (void)state;
    static listener paged;
    char id[8];
    for (int i = 0; i < 600; i++) {
        (void)sprintf(id, "i%03d", i);
        enter(id);
    }
    f.slow.quick = false;
    paged = (listener){.told = 0};
    weir_registry_watch_options options = WEIR_REGISTRY_WATCH_OPTIONS_INIT;
    options.fn = listen_to;
    options.user = &paged;
    assert_int_equal(weir_registry_watch_start(f.registry, &options, &paged.watch), WEIR_OK);
    slow_kv_run(&f.slow);
    assert_int_equal(paged.told, 257);
    f.instance.id = "late";
    assert_int_equal(weir_registry_register(f.registry, &f.instance, NULL, NULL), WEIR_OK);
    slow_kv_drain(&f.slow);
    run_store();
    assert_int_equal(paged.told, 603); /* resync, 600, synced, and the late one. */
    assert_string_equal(paged.events[602 % EVENTS].id, "late");
    assert_int_equal(paged.events[602 % EVENTS].kind, WEIR_REGISTRY_REGISTERED);
    recreate();
    slow_kv_drain(&f.slow);
    assert_int_equal(stats_now().instances, 601);
}

static void a_list_whose_history_goes_meanwhile_begins_again(void **state)
{
    (void)state;
    static listener paged;
    char id[8];
    for (int i = 0; i < 300; i++) {
        (void)sprintf(id, "i%03d", i);
        enter(id);
    }
    f.slow.quick = false;
    paged = (listener){.told = 0};
    weir_registry_watch_options options = WEIR_REGISTRY_WATCH_OPTIONS_INIT;
    options.fn = listen_to;
    options.user = &paged;
    assert_int_equal(weir_registry_watch_start(f.registry, &options, &paged.watch), WEIR_OK);
    slow_kv_run(&f.slow);
    f.instance.id = "late";
    assert_int_equal(weir_registry_register(f.registry, &f.instance, NULL, NULL), WEIR_OK);
    slow_kv_request *const page = f.slow.waiting[0];
    f.slow.waiting[0] = f.slow.waiting[1];
    f.slow.count = 1;
    slow_kv_run(&f.slow);
    assert_int_equal(weir_store_compact(f.store, weir_store_revision(f.store)), WEIR_OK);
    f.slow.waiting[f.slow.count++] = page;
    slow_kv_drain(&f.slow);
    assert_int_equal(paged.told, 257 + 303);
    assert_int_equal(paged.events[257].kind, WEIR_REGISTRY_RESYNC);
    assert_int_equal(paged.events[(257 + 302) % EVENTS].kind, WEIR_REGISTRY_SYNCED);
}

static void lists_and_watches_that_fail_are_tried_again_later(void **state)
{
    (void)state;
    static listener all;
    all = (listener){.told = 0};
    enter("a");
    f.slow.fail = WEIR_ESYSTEM;
    watch_from(&all, NULL, 0);
    pass_ms(3000); /* 1 s and 2 s later. */
    assert_int_equal(all.told, 0);
    f.slow.fail = WEIR_OK;
    f.slow.refuse = WEIR_ENOMEM;
    pass_ms(4000);
    f.slow.refuse = WEIR_OK;
    f.slow.refuse_watch = WEIR_ENOMEM;
    assert_int_equal(all.told, 0);
    pass_ms(8000);
    assert_string_equal(story_of(&all), "resync listed:a synced");
    enter("b");
    f.slow.refuse_watch = WEIR_OK;
    pass_ms(30000);
    run_store();
    assert_string_equal(story_of(&all), "resync listed:a synced registered:b");
}

static void the_end_of_the_space_is_told(void **state)
{
    (void)state;
    static listener all;
    all = (listener){.told = 0};
    enter("a");
    watch_from(&all, NULL, 0);
    weir_store_destroy(f.store);
    assert_string_equal(story_of(&all), "resync listed:a synced closed");
    assert_false(stats_now().synced);
    assert_available("a");
    (void)run_task();
    weir_registry_destroy(f.registry);
    f.registry = NULL;
    f.store = NULL;
}

static void the_view_itself_resyncs_and_sees_what_it_missed(void **state)
{
    (void)state;
    f.slow.refuse_watch = WEIR_ENOMEM;
    f.instance.permanent = true;
    recreate();
    enter("a");
    enter("b");
    enter("c");
    assert_there(""); /* Its watch cannot begin. */
    assert_false(stats_now().synced);
    assert_int_equal(leave("b"), WEIR_OK);
    assert_int_equal(weir_store_compact(f.store, weir_store_revision(f.store)), WEIR_OK);
    f.slow.refuse_watch = WEIR_OK;
    pass_ms(1000);
    run_store();
    assert_there("a c");
    assert_int_equal(stats_now().resyncs, 1);
    assert_true(stats_now().synced);
}

static void watches_that_are_not_right_are_refused(void **state)
{
    (void)state;
    weir_registry_watch *watch;
    weir_registry_watch_options options = WEIR_REGISTRY_WATCH_OPTIONS_INIT;
    assert_int_equal(weir_registry_watch_start(f.registry, &options, &watch), WEIR_EINVAL);
    options.fn = listen_to;
    options.service = "a/b";
    assert_int_equal(weir_registry_watch_start(f.registry, &options, &watch), WEIR_EINVAL);
    assert_null(watch);
    options.service = NULL;
    options.struct_size = 0;
    assert_int_equal(weir_registry_watch_start(f.registry, &options, &watch), WEIR_EINVAL);
}

static void values_that_are_no_instances_make_no_events(void **state)
{
    (void)state;
    static listener all;
    all = (listener){.told = 0};
    watch_from(&all, NULL, 0);
    weir_bytes const key = weir_bytes_of("registry/orders/a");
    static const char *const values[] = {"{}", "broken", "{\"weight\":2}"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(weir_store_put(f.store, key, weir_bytes_of(values[i]), 0, NULL), WEIR_OK);
    assert_int_equal(weir_store_put(f.store, weir_bytes_of("registry/x"), weir_bytes_of("{}"), 0,
                                    NULL),
                     WEIR_OK);
    assert_string_equal(story_of(&all), "resync synced registered:a changed:a");
    assert_int_equal(weir_store_put(f.store, key, weir_bytes_of("broken"), 0, NULL), WEIR_OK);
    static listener second;
    second = (listener){.told = 0};
    watch_from(&second, NULL, 0);
    assert_string_equal(story_of(&second), "resync synced");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_watch_tells_what_is_there_and_then_every_change),
        TEST(a_watch_of_one_service_hears_of_no_other),
        TEST(a_watch_resumes_from_a_revision_and_misses_nothing),
        TEST(a_watch_from_a_forgotten_revision_begins_with_a_resync),
        TEST(a_watch_pauses_exactly_where_it_says_so),
        TEST(a_pause_within_a_revision_tells_the_rest_of_it_later),
        TEST(one_of_two_that_go_at_once_may_have_left_on_purpose),
        TEST(a_watch_that_fell_behind_is_told_to_resync),
        TEST(a_watch_may_stop_itself_wherever_it_is),
        TEST(a_long_list_comes_in_pages_at_one_revision),
        TEST(a_list_whose_history_goes_meanwhile_begins_again),
        TEST(lists_and_watches_that_fail_are_tried_again_later),
        TEST(the_end_of_the_space_is_told),
        TEST(the_view_itself_resyncs_and_sees_what_it_missed),
        TEST(watches_that_are_not_right_are_refused),
        TEST(values_that_are_no_instances_make_no_events),
    };
    return cmocka_run_group_tests_name("registry_watch", tests, NULL, NULL);
}

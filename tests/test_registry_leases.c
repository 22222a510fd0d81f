/* Leases: expiry, self-preservation, eviction caps, stalls, restarts. */
#include "support/registry_fixture.h"

static void an_instance_that_falls_silent_expires_after_exactly_90_s(void **state)
{
    (void)state;
    enter("a");
    f.instance.permanent = true;
    enter("p");
    pass_ms(30000);
    assert_int_equal(beat("a"), WEIR_OK);
    assert_int_equal(beat("p"), WEIR_OK);
    pass_ms(89999);
    assert_there("a p");
    pass_ms(1);
    assert_there("p");
    assert_int_equal(beat("a"), WEIR_ENOTFOUND);
    assert_int_equal(stats_now().evicted, 1);
    pass_ms(86400000);
    assert_there("p");
}

static void heartbeats_keep_a_lease_and_never_touch_the_space(void **state)
{
    (void)state;
    enter("a");
    uint64_t const revision = weir_store_revision(f.store);
    for (int i = 0; i < 100; i++) {
        pass_ms(89000);
        assert_int_equal(beat("a"), WEIR_OK);
    }
    assert_there("a");
    assert_int_equal(weir_store_revision(f.store), revision);
    assert_int_equal(weir_registry_heartbeat_at(f.registry, "orders", "b", f.fake.now_ns),
                     WEIR_ENOTFOUND);
    assert_int_equal(weir_registry_heartbeat(f.registry, "", "a"), WEIR_ENOTFOUND);
    assert_int_equal(weir_registry_heartbeat(f.registry, "orders", NULL), WEIR_ENOTFOUND);
    assert_int_equal(weir_registry_heartbeat(f.registry, NULL, "a"), WEIR_ENOTFOUND);
}

/* Nacos: beat and removal times of its own. */
static void an_instance_may_have_its_own_times(void **state)
{
    (void)state;
    f.instance.renew_ms = 1000;
    f.instance.expire_ms = 3000;
    enter("quick");
    f.instance.renew_ms = 60000;
    f.instance.expire_ms = 200000;
    enter("slow");
    pass_ms(2999);
    assert_there("quick slow");
    pass_ms(1);
    assert_there("slow");
    pass_ms(196999);
    assert_there("slow");
    pass_ms(1);
    assert_there("");
}

static void what_others_change_of_an_instance_does_not_renew_its_lease(void **state)
{
    (void)state;
    f.instance.stamp = 1;
    enter("a");
    pass_ms(80000);
    assert_int_equal(result_of(
                         weir_registry_drain(f.registry, "orders", "a", true, remember_result, &f)),
                     WEIR_OK);
    pass_ms(9999);
    assert_there("a");
    pass_ms(1);
    assert_there("");
    f.instance.stamp = 2;
    enter("a");
    pass_ms(80000);
    enter("a"); /* A registration is as good as a heartbeat. */
    pass_ms(89999);
    assert_there("a");
}

static void fill(unsigned count)
{
    char id[16];
    for (unsigned i = 0; i < count; i++) {
        (void)sprintf(id, "i%03u", i);
        enter(id);
    }
}

/* The first `well` of them renew for so many times 30 s. */
static void live(unsigned well, unsigned times)
{
    char id[16];
    for (unsigned t = 0; t < times; t++) {
        for (unsigned i = 0; i < well; i++) {
            (void)sprintf(id, "i%03u", i);
            assert_int_equal(beat(id), WEIR_OK);
        }
        pass_ms(30000);
    }
}

static void few_that_fall_silent_are_removed(void **state)
{
    (void)state;
    fill(100);
    live(100, 4);
    assert_int_equal(stats_now().threshold, 170); /* int(100 * 60 / 30 * .85) */
    assert_int_equal(stats_now().renewals, 200);
    live(86, 3); /* 172 renewals a minute: strictly more than 170. */
    assert_int_equal(stats_now().instances, 86);
    assert_false(stats_now().preserving);
}

static void when_many_fall_silent_at_once_nobody_is_removed(void **state)
{
    (void)state;
    fill(100);
    live(100, 4);
    live(85, 6); /* 170 a minute: not strictly more. */
    weir_registry_stats const stats = stats_now();
    assert_int_equal(stats.renewals, 170);
    assert_int_equal(stats.instances, 100);
    assert_int_equal(stats.expired_now, 15);
    assert_true(stats.preserving);
    live(100, 3); /* They are back: it was us. */
    assert_int_equal(stats_now().expired_now, 0);
    assert_false(stats_now().preserving);
    assert_int_equal(stats_now().evicted, 0);
}

/* eureka#722: self-preservation stuck in small fleets. */
static void small_fleets_are_not_preserved(void **state)
{
    (void)state;
    fill(9);
    live(1, 4);
    assert_there("i000");
    assert_false(stats_now().preserving);
}

/* eureka#722: and it ends by itself. */
static void preservation_ends_after_its_time_and_removal_is_capped(void **state)
{
    (void)state;
    f.options.preserve_ms = 300000;
    recreate();
    fill(100);
    live(100, 4);
    live(20, 3); /* 80 are over after 90 s. */
    assert_true(stats_now().preserving);
    assert_int_equal(stats_now().instances, 100);
    live(20, 8); /* Until 270 s after it began. */
    assert_int_equal(stats_now().instances, 100);
    live(20, 1); /* 300 s: 100 - int(100 * .85) may go now... */
    assert_false(stats_now().preserving);
    assert_int_equal(stats_now().instances, 85);
    live(20, 2); /* ...then 85 - int(85 * .85) = 85 - 72. */
    assert_int_equal(stats_now().instances, 72);
    live(20, 40);
    assert_int_equal(stats_now().instances, 20);
    assert_int_equal(stats_now().evicted, 80);
}

static void victims_of_a_cap_are_random(void **state)
{
    (void)state;
    char first[4096] = "";
    bool differ = false;
    f.options.preserve_percent = 0;
    for (unsigned round = 0; round < 4; round++) {
        f.fake.random = 1000 * (round + 1);
        char root[16];
        (void)sprintf(root, "r%u/", round);
        f.options.root = root;
        recreate();
        fill(20);
        pass_ms(90000);
        assert_int_equal(stats_now().instances, 17); /* 20 - int(20 * .85) = 3 went. */
        if (round == 0)
            (void)strcpy(first, ids_of("orders", false));
        differ = differ || strcmp(first, ids_of("orders", false)) != 0;
    }
    assert_true(differ);
}

static void before_the_first_minute_is_measured_large_fleets_are_preserved(void **state)
{
    (void)state;
    f.options.renew_ms = 1000;
    f.options.expire_ms = 3000;
    recreate();
    fill(10);
    pass_ms(59999);
    assert_int_equal(stats_now().instances, 10);
    assert_true(stats_now().preserving);
}

static void a_task_run_late_takes_nothing_from_anybody(void **state)
{
    (void)state;
    enter("a");
    pass_ms(80000);
    assert_there("a");
    advance_to(f.fake.now_ns + 110 * SECOND); /* Nothing ran for so long: due 100 s ago. */
    (void)run_task();
    assert_there("a");
    pass_ms(29999); /* Nobody goes until what waits has been heard. */
    assert_there("a");
    assert_int_equal(beat("a"), WEIR_OK);
    pass_ms(89999);
    assert_there("a");
    pass_ms(1);
    assert_there("");
}

static void who_stays_silent_after_a_stall_goes_then(void **state)
{
    (void)state;
    enter("a");
    (void)run_task();
    pass_ms(60000);
    uint64_t const due_ns = run_task();
    assert_int_equal(due_ns, f.fake.now_ns + 30 * SECOND);
    advance_to(due_ns + 5 * SECOND); /* Late by 5 s: all leases are that much longer. */
    (void)run_task();
    assert_there("a");
    pass_ms(4999);
    assert_there("a");
    pass_ms(1);
    assert_there("");
}

static void a_clock_that_steps_back_ends_no_lease(void **state)
{
    (void)state;
    enter("a");
    pass_ms(50000);
    assert_int_equal(beat("a"), WEIR_OK);
    f.fake.now_ns -= 40 * SECOND;
    assert_int_equal(beat("a"), WEIR_OK); /* Older than the last: that counts. */
    (void)run_task();
    f.fake.now_ns += 40 * SECOND;
    pass_ms(89999);
    assert_there("a");
    pass_ms(1);
    assert_there("");
}

static void leases_begin_anew_with_the_registry(void **state)
{
    (void)state;
    enter("a");
    pass_ms(89000);
    recreate();
    pass_ms(89999);
    assert_there("a");
    pass_ms(1);
    assert_there("");
}

static void leases_of_other_nodes_are_left_alone(void **state)
{
    (void)state;
    enter("a");
    f.options.node = "second";
    recreate();
    enter("b");
    assert_int_equal(stats_now().leases, 1);
    pass_ms(86400000);
    assert_there("a");
}

static void nobody_is_removed_by_a_registry_that_is_not_in_sync(void **state)
{
    (void)state;
    enter("a");
    f.slow.refuse_watch = WEIR_ENOMEM;
    recreate();
    assert_there("a");
    pass_ms(95000);
    assert_there("a");
    f.slow.refuse_watch = WEIR_OK;
    pass_ms(30000); /* Until it tries again. */
    assert_there("");
}

/* The last of the expired is the first to be looked at again: lists shrink under the cursor. */
static void the_preserved_may_leave_on_purpose_at_any_time(void **state)
{
    (void)state;
    char id[16];
    fill(100);
    live(100, 4);
    live(20, 4);
    assert_true(stats_now().preserving);
    for (unsigned i = 99; i >= 20; i--) {
        (void)sprintf(id, "i%03u", i);
        assert_int_equal(leave(id), WEIR_OK);
        assert_int_equal(stats_now().expired_now, i - 20);
    }
    live(20, 3);
    assert_false(stats_now().preserving);
    assert_int_equal(stats_now().instances, 20);
}

/* Anything can happen to a victim between the decision and the transaction. */
static void enter_again(void *user)
{
    f.instance.id = user;
    assert_int_equal(weir_registry_register(f.registry, &f.instance, NULL, NULL), WEIR_OK);
}

static void whoever_registers_again_in_time_is_not_removed(void **state)
{
    (void)state;
    enter("a");
    enter("b");
    pass_ms(89999);
    assert_there("a b");
    f.slow.before = enter_again; /* It is served within, and so before, the removal of both. */
    f.slow.user = (char[]){"b"};
    pass_ms(1);
    assert_there("a b");
    pass_ms(1000); /* The one that is still over goes alone. */
    assert_there("b");
    pass_ms(89000);
    assert_there("");
}

static void a_removal_that_fails_is_tried_again(void **state)
{
    (void)state;
    enter("a");
    f.slow.fail = WEIR_ESYSTEM;
    pass_ms(95000);
    assert_there("a");
    assert_int_equal(stats_now().expired_now, 0);
    f.slow.fail = WEIR_OK;
    f.slow.refuse = WEIR_ENOMEM;
    pass_ms(5000);
    assert_there("a");
    f.slow.refuse = WEIR_OK;
    f.fake.fail_at = f.fake.calls + 1;
    pass_ms(1000);
    pass_ms(1000);
    assert_there("");
}

static void removals_under_way_survive_the_end_of_the_registry(void **state)
{
    (void)state;
    enter("a");
    pass_ms(89999);
    f.slow.quick = false;
    advance_to(f.fake.now_ns + MS);
    (void)run_task();
    assert_int_equal(stats_now().expired_now, 1);
    assert_int_equal(beat("a"), WEIR_ENOTFOUND); /* It is decided. */
    weir_registry_destroy(f.registry);
    f.registry = NULL;
    slow_kv_drain(&f.slow);
}

static void the_task_wakes_up_for_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(run_task(), WEIR_NEVER);
    unsigned const wakes = f.wakes;
    enter("a");
    assert_true(f.wakes > wakes);
    assert_int_equal(run_task(), f.fake.now_ns + 60 * SECOND); /* To count renewals. */
    assert_int_equal(leave("a"), WEIR_OK);
    assert_int_equal(run_task(), WEIR_NEVER);
}

static void leases_that_expire_together_go_in_small_slices(void **state)
{
    (void)state;
    enum { SERVICES = 100, EACH = 50 };
    f.options.preserve_percent = 0;
    f.options.evict_percent = 100;
    recreate();
    char service[16], id[16];
    for (int s = 0; s < SERVICES; s++)
        for (int i = 0; i < EACH; i++) {
            (void)sprintf(service, "s%d", s);
            (void)sprintf(id, "i%d", i);
            f.instance.service = service;
            enter(id);
        }
    pass_ms(89999);
    advance_to(f.fake.now_ns + MS);
    uint64_t most = 0;
    unsigned runs = 0;
    uint64_t left = SERVICES * EACH;
    while (left > 0) {
        assert_int_equal(run_task(), f.fake.now_ns); /* At once again. */
        uint64_t const now_left = stats_now().instances;
        most = left - now_left > most ? left - now_left : most;
        left = now_left;
        runs++;
        if (left == 0)
            break;
    }
    assert_int_equal(most, 32);
    assert_true(runs <= SERVICES * EACH / 32 + SERVICES * EACH / 256 + 2);
    assert_int_equal(stats_now().services, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_instance_that_falls_silent_expires_after_exactly_90_s),
        TEST(heartbeats_keep_a_lease_and_never_touch_the_space),
        TEST(an_instance_may_have_its_own_times),
        TEST(what_others_change_of_an_instance_does_not_renew_its_lease),
        TEST(few_that_fall_silent_are_removed),
        TEST(when_many_fall_silent_at_once_nobody_is_removed),
        TEST(small_fleets_are_not_preserved),
        TEST(preservation_ends_after_its_time_and_removal_is_capped),
        TEST(victims_of_a_cap_are_random),
        TEST(before_the_first_minute_is_measured_large_fleets_are_preserved),
        TEST(a_task_run_late_takes_nothing_from_anybody),
        TEST(who_stays_silent_after_a_stall_goes_then),
        TEST(a_clock_that_steps_back_ends_no_lease),
        TEST(leases_begin_anew_with_the_registry),
        TEST(leases_of_other_nodes_are_left_alone),
        TEST(nobody_is_removed_by_a_registry_that_is_not_in_sync),
        TEST(the_preserved_may_leave_on_purpose_at_any_time),
        TEST(whoever_registers_again_in_time_is_not_removed),
        TEST(a_removal_that_fails_is_tried_again),
        TEST(removals_under_way_survive_the_end_of_the_registry),
        TEST(the_task_wakes_up_for_nothing_else),
        TEST(leases_that_expire_together_go_in_small_slices),
    };
    return cmocka_run_group_tests_name("registry_leases", tests, NULL, NULL);
}

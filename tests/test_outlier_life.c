/* How long a host stays out, how many may be, and what is told. */
#include "support/outlier_fixture.h"

static void fail_row(size_t host)
{
    record(host, WEIR_FAILURE, f.options.consecutive_failures);
}

static void advance_to(uint64_t now_ns)
{
    f.fake.now_ns = now_ns;
    (void)run_task();
}

/* 30 s, 60 s, 90 s, ... up to 300 s. */
static void each_ejection_lasts_longer_up_to_the_longest(void **state)
{
    (void)state;
    f.options.consecutive_failures = 1;
    f.options.interval_ms = 86400000; /* No sweep takes anything off. */
    create(10);
    for (uint64_t times = 1; times <= 12; times++) {
        fail_row(0);
        uint64_t const until_ns = f.fake.now_ns + (times < 10 ? times * 30 : 300) * S;
        assert_int_equal(last_event()->until_ns, until_ns);
        assert_int_equal(last_event()->times, times);
        assert_true(run_task() <= until_ns);
        advance_to(until_ns - 1);
        assert_true(ejected(0));
        advance_to(until_ns);
        assert_false(ejected(0));
        assert_int_equal(last_event()->kind, WEIR_OUTLIER_RETURNED);
    }
}

static void healthy_sweeps_take_the_lengthening_off(void **state)
{
    (void)state;
    weir_outlier_host_stats stats;
    f.options.consecutive_failures = 1;
    create(10);
    for (int i = 0; i < 3; i++) {
        fail_row(0);
        assert_int_equal(weir_outlier_uneject(f.hosts[0], f.fake.now_ns), WEIR_OK);
    }
    weir_outlier_get_host(f.hosts[0], &stats);
    assert_int_equal(stats.times, 3);
    assert_int_equal(stats.ejections, 3);
    sweep();
    sweep();
    weir_outlier_get_host(f.hosts[0], &stats);
    assert_int_equal(stats.times, 1);
    fail_row(0);
    assert_int_equal(last_event()->until_ns, f.fake.now_ns + 60 * S);
    sweep(); /* While it is out, nothing is taken off. */
    weir_outlier_get_host(f.hosts[0], &stats);
    assert_int_equal(stats.times, 2);
}

/* Out at 10 s for 30 s, back; found out again at 50 s for 60 s, back; at 120 s for 90 s. */
static void a_sweep_that_finds_a_host_out_takes_nothing_off(void **state)
{
    (void)state;
    f.options.failure_percent = 50;
    f.options.failure_percent_min_hosts = 1;
    create(10);
    for (uint64_t times = 1; times <= 3; times++) {
        record(0, WEIR_FAILURE, 100);
        sweep();
        assert_true(ejected(0));
        assert_int_equal(last_event()->times, times);
        assert_int_equal(last_event()->until_ns, f.fake.now_ns + times * 30 * S);
        for (uint64_t i = 0; i < 3 * times; i++)
            sweep(); /* The last is when it returns: it was not in for that. */
        assert_false(ejected(0));
    }
    weir_outlier_host_stats stats;
    weir_outlier_get_host(f.hosts[0], &stats);
    assert_int_equal(stats.times, 3);
    sweep();
    weir_outlier_get_host(f.hosts[0], &stats);
    assert_int_equal(stats.times, 2);
}

static void jitter_spreads_the_returns(void **state)
{
    (void)state;
    f.options.consecutive_failures = 1;
    f.options.jitter_ms = 1000;
    f.options.max_ejected_percent = 100;
    create(50);
    uint64_t first_ns = UINT64_MAX, last_ns = 0;
    for (size_t i = 0; i < 49; i++) {
        fail_row(i);
        uint64_t const until_ns = last_event()->until_ns - f.fake.now_ns;
        assert_in_range(until_ns, 30 * S, 31 * S);
        first_ns = until_ns < first_ns ? until_ns : first_ns;
        last_ns = until_ns > last_ns ? until_ns : last_ns;
    }
    assert_true(last_ns - first_ns > 500 * MS);
}

/* envoy#3263, #17504, #26877: what a percentage means for few hosts. */
static void the_share_that_may_be_ejected_is_right_for_small_clusters(void **state)
{
    (void)state;
    static const struct {
        size_t hosts;
        uint32_t percent;
        bool one;
        uint32_t most;
    } cases[] = {{1, 100, true, 0},  {2, 10, true, 1},    {2, 10, false, 0},  {2, 100, true, 1},
                 {3, 50, false, 1},  {3, 66, true, 1},    {3, 67, true, 2},   {3, 100, true, 2},
                 {9, 10, false, 0},  {9, 10, true, 1},    {10, 10, false, 1}, {10, 19, true, 1},
                 {10, 20, false, 2}, {100, 33, true, 33}, {5, 0, false, 0},   {5, 0, true, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)setup(NULL);
        f.options.consecutive_failures = 1;
        f.options.max_ejected_percent = cases[i].percent;
        f.options.always_one = cases[i].one;
        create(cases[i].hosts);
        for (size_t host = 0; host < cases[i].hosts; host++)
            fail_row(host);
        assert_int_equal(ejected_count(), cases[i].most);
        assert_int_equal(teardown(NULL), 0);
        f.outlier = NULL;
    }
}

static void who_is_spared_is_told_and_ejected_once_there_is_room(void **state)
{
    (void)state;
    f.options.consecutive_failures = 2;
    create(10);
    fail_row(0);
    fail_row(1);
    assert_false(ejected(1));
    assert_int_equal(last_event()->kind, WEIR_OUTLIER_SPARED);
    weir_outlier_stats stats;
    weir_outlier_get_stats(f.outlier, &stats);
    assert_int_equal(stats.spared, 1);
    assert_int_equal(weir_outlier_uneject(f.hosts[0], f.fake.now_ns), WEIR_OK);
    record(1, WEIR_FAILURE, 1);
    assert_false(ejected(1));
    record(1, WEIR_FAILURE, 1); /* Twice its row: found again. */
    assert_true(ejected(1));
}

static void a_dry_run_detects_and_ejects_nobody(void **state)
{
    (void)state;
    f.options.consecutive_failures = 3;
    f.options.dry_run = true;
    create(10);
    fail_row(4);
    assert_int_equal(ejected_count(), 0);
    assert_int_equal(last_event()->kind, WEIR_OUTLIER_DETECTED);
    assert_string_equal(last_event()->id, "4");
}

/* A passing active check ends an ejection; results from before count no more. */
static void an_active_check_that_passes_unejects(void **state)
{
    (void)state;
    f.options.consecutive_failures = 3;
    create(10);
    assert_int_equal(weir_outlier_uneject(f.hosts[0], f.fake.now_ns), WEIR_EBUSY);
    fail_row(0);
    record(0, WEIR_FAILURE, 2); /* Late results of calls made before. */
    assert_int_equal(weir_outlier_uneject(f.hosts[0], f.fake.now_ns), WEIR_OK);
    assert_false(ejected(0));
    assert_int_equal(last_event()->kind, WEIR_OUTLIER_RETURNED);
    assert_int_equal(last_event()->detection, WEIR_OUTLIER_CONSECUTIVE);
    record(0, WEIR_FAILURE, 2);
    assert_false(ejected(0));
}

static void all_can_be_unejected_at_once(void **state)
{
    (void)state;
    f.options.consecutive_failures = 1;
    f.options.max_ejected_percent = 50;
    create(10);
    for (size_t host = 0; host < 5; host++)
        fail_row(host);
    assert_int_equal(ejected_count(), 5);
    weir_outlier_uneject_all(f.outlier, f.fake.now_ns);
    assert_int_equal(ejected_count(), 0);
    assert_int_equal(f.told, 10);
    assert_int_equal(last_event()->kind, WEIR_OUTLIER_RETURNED);
}

static void without_hosts_sweeps_find_nobody(void **state)
{
    (void)state;
    f.options = (weir_outlier_options)WEIR_OUTLIER_OPTIONS_INIT;
    f.options.latency_percent = 200;
    f.options.failure_percent_min_hosts = 1;
    f.options.split_local = true;
    f.options.env = &f.env;
    create(0);
    sweep();
    assert_int_equal(run_task(), f.fake.now_ns + 10 * S);
    assert_int_equal(ejected_count(), 0);
}

static void a_host_can_be_ejected_by_hand_but_not_the_last(void **state)
{
    (void)state;
    create(3);
    assert_int_equal(weir_outlier_eject(f.hosts[0], f.fake.now_ns), WEIR_OK);
    assert_int_equal(weir_outlier_eject(f.hosts[0], f.fake.now_ns), WEIR_EBUSY);
    assert_int_equal(weir_outlier_eject(f.hosts[1], f.fake.now_ns), WEIR_OK);
    assert_int_equal(weir_outlier_eject(f.hosts[2], f.fake.now_ns), WEIR_EBUSY);
    assert_int_equal(last_event()->detection, WEIR_OUTLIER_BY_HAND);
}

static void a_host_that_leaves_takes_its_ejection_along(void **state)
{
    (void)state;
    f.options.consecutive_failures = 1;
    create(10);
    fail_row(9);
    weir_outlier_leave(f.hosts[9]);
    weir_outlier_leave(f.hosts[9]);
    assert_int_equal(ejected_count(), 0);
    record(9, WEIR_FAILURE, 5); /* Late. */
    assert_int_equal(f.told, 1);
    assert_int_equal(weir_outlier_eject(f.hosts[9], f.fake.now_ns), WEIR_EBUSY);
    fail_row(8);
    assert_int_equal(ejected_count(), 1);
    assert_int_equal(last_event()->hosts, 9);
    weir_outlier_remove(f.hosts[9]);
    weir_outlier_remove(f.hosts[0]);
    weir_outlier_remove(NULL);
    weir_outlier_stats stats;
    weir_outlier_get_stats(f.outlier, &stats);
    assert_int_equal(stats.hosts, 8);
    assert_int_equal(stats.ejections, 2);
}

/* Two of four are out when the others leave: somebody must serve. */
static void when_all_that_stay_are_ejected_one_returns(void **state)
{
    (void)state;
    f.options.consecutive_failures = 1;
    f.options.max_ejected_percent = 50;
    create(4);
    fail_row(0);
    fake_env_advance_ms(&f.fake, 1000);
    fail_row(1);
    weir_outlier_leave(f.hosts[2]);
    (void)run_task();
    assert_int_equal(ejected_count(), 2); /* One is in. */
    weir_outlier_leave(f.hosts[3]);
    (void)run_task();
    assert_false(ejected(0)); /* It was to be the first. */
    assert_true(ejected(1));
    assert_int_equal(last_event()->kind, WEIR_OUTLIER_RETURNED);
    assert_string_equal(last_event()->id, "0");
    fail_row(0);
    assert_false(ejected(0));
    assert_int_equal(last_event()->kind, WEIR_OUTLIER_SPARED);
    weir_outlier_leave(f.hosts[0]);
    (void)run_task();
    assert_false(ejected(1));
    weir_outlier_remove(f.hosts[0]);
    weir_outlier_remove(f.hosts[2]);
    weir_outlier_remove(f.hosts[3]);
}

static void remove_the_host(const weir_outlier_event *event, void *user)
{
    weir_outlier_remove(f.hosts[strtoul(event->id, NULL, 10)]);
    remember(event, user);
    assert_int_equal(strlen(event->id), 1); /* It lives until this returns. */
}

static void a_host_may_be_removed_while_it_is_told_of(void **state)
{
    (void)state;
    f.options.consecutive_failures = 1;
    f.options.on_event = remove_the_host;
    create(5);
    fail_row(2);
    assert_int_equal(f.told, 1);
    weir_outlier_stats stats;
    weir_outlier_get_stats(f.outlier, &stats);
    assert_int_equal(stats.hosts, 4);
}

/* More end at once than events have room: none is lost. */
static void no_change_goes_untold_however_many_there_are(void **state)
{
    (void)state;
    f.options.consecutive_failures = 1;
    f.options.max_ejected_percent = 100;
    create(HOSTS);
    for (size_t host = 0; host < HOSTS; host++)
        fail_row(host);
    assert_int_equal(ejected_count(), HOSTS - 1);
    f.fake.now_ns += 30 * S;
    for (int i = 0; i < 10; i++)
        f.fake.now_ns = run_task();
    assert_int_equal(ejected_count(), 0);
    unsigned returned = 0;
    for (unsigned i = 0; i < f.told; i++)
        returned += f.events[i].kind == WEIR_OUTLIER_RETURNED;
    assert_int_equal(returned, HOSTS - 1);
}

/* More are found out at once than events have room: the others follow, by the same figures. */
static void a_sweep_ejects_all_that_it_finds_however_many(void **state)
{
    (void)state;
    f.options.failure_percent = 50;
    f.options.max_ejected_percent = 75;
    create(HOSTS);
    for (size_t host = 0; host < HOSTS; host++)
        record_mix(host, 50, host < HOSTS / 10 ? 0 : 40);
    fake_env_advance_ms(&f.fake, f.options.interval_ms);
    for (uint64_t next_ns = f.fake.now_ns; next_ns < 1011 * S; next_ns = run_task())
        f.fake.now_ns = next_ns;
    assert_int_equal(ejected_count(), HOSTS * 3 / 4);
    unsigned told = 0;
    for (unsigned i = 0; i < f.told; i++)
        told += f.events[i].kind == WEIR_OUTLIER_EJECTED;
    assert_int_equal(told, HOSTS * 3 / 4);
    sweep(); /* The next interval has figures of its own. */
    assert_int_equal(ejected_count(), HOSTS * 3 / 4);
}

static void a_clock_that_steps_back_ends_nothing(void **state)
{
    (void)state;
    f.options.consecutive_failures = 1;
    create(10);
    fail_row(0);
    f.fake.now_ns -= 500 * S;
    (void)run_task();
    fail_row(1);
    assert_true(ejected(0));
    f.fake.now_ns += 500 * S + 29 * S;
    (void)run_task();
    assert_true(ejected(0));
    f.fake.now_ns += 1 * S;
    (void)run_task();
    assert_false(ejected(0));
}

static void options_can_change_while_hosts_are_out(void **state)
{
    (void)state;
    f.options.consecutive_failures = 5;
    create(10);
    record(0, WEIR_FAILURE, 5);
    f.options.consecutive_failures = 2;
    f.options.max_ejected_percent = 20;
    f.options.interval_ms = 1000;
    assert_int_equal(weir_outlier_update(f.outlier, &f.options), WEIR_OK);
    assert_true(ejected(0));
    record(1, WEIR_FAILURE, 2);
    assert_true(ejected(1));
    assert_int_equal(run_task(), f.fake.now_ns + 1 * S);
    f.options.base_ms = 0;
    assert_int_equal(weir_outlier_update(f.outlier, &f.options), WEIR_EINVAL);
}

static void refuses_options_out_of_range(void **state)
{
    (void)state;
    weir_outlier *outlier;
    weir_env const bad = {.struct_size = 1};
    for (int i = 0; i < 15; i++) {
        weir_outlier_options options = WEIR_OUTLIER_OPTIONS_INIT;
        switch (i) {
        case 0: options.success_rate_min_hosts = 1; break;
        case 1: options.success_rate_min_calls = 0; break;
        case 2: options.failure_percent = 101; break;
        case 3: options.failure_percent_min_hosts = 0; break;
        case 4: options.failure_percent_min_calls = 0; break;
        case 5: options.latency_percent = 100; break;
        case 6: options.latency_percent = 100001; break;
        case 7: options.latency_min_hosts = 1; break;
        case 8: options.latency_min_calls = 0; break;
        case 9: options.interval_ms = 0; break;
        case 10: options.base_ms = 0; break;
        case 11: options.max_ms = options.base_ms - 1; break;
        case 12: options.max_ejected_percent = 101; break;
        case 13: options.env = &bad; break;
        default: options.struct_size = 0; break;
        }
        assert_int_equal(weir_outlier_create(&outlier, &options), WEIR_EINVAL);
        assert_null(outlier);
    }
    assert_int_equal(weir_outlier_create(&outlier, NULL), WEIR_OK);
    weir_outlier_host *host;
    assert_int_equal(weir_outlier_add(outlier, NULL, NULL, &host), WEIR_EINVAL);
    weir_outlier_destroy(outlier);
    weir_outlier_destroy(NULL);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    for (f.fake.fail_at = 1; weir_outlier_create(&f.outlier, &f.options) == WEIR_ENOMEM;
         f.fake.fail_at++, f.fake.calls = 0) {
        assert_null(f.outlier);
        assert_int_equal(f.fake.live_bytes, 0);
    }
    assert_true(f.fake.fail_at > 2);
    f.fake.fail_at = 0;
    for (size_t hosts = 0; hosts < 30; hosts++) {
        size_t const live_bytes = f.fake.live_bytes;
        f.fake.calls = 0;
        for (f.fake.fail_at = 1;
             weir_outlier_add(f.outlier, "x", NULL, &f.hosts[hosts]) == WEIR_ENOMEM;
             f.fake.fail_at++, f.fake.calls = 0) {
            assert_null(f.hosts[hosts]);
            assert_int_equal(f.fake.live_bytes, live_bytes);
        }
        f.fake.fail_at = 0;
    }
}

static void names_are_told(void **state)
{
    (void)state;
    for (int i = WEIR_OUTLIER_CONSECUTIVE; i <= WEIR_OUTLIER_BY_HAND; i++)
        assert_string_not_equal(weir_outlier_detection_name((weir_outlier_detection)i), "unknown");
    assert_string_equal(weir_outlier_detection_name((weir_outlier_detection)99), "unknown");
    for (int i = WEIR_OUTLIER_EJECTED; i <= WEIR_OUTLIER_SPARED; i++)
        assert_string_not_equal(weir_outlier_event_name((weir_outlier_event_kind)i), "unknown");
    assert_string_equal(weir_outlier_event_name((weir_outlier_event_kind)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_ejection_lasts_longer_up_to_the_longest),
        TEST(healthy_sweeps_take_the_lengthening_off),
        TEST(a_sweep_that_finds_a_host_out_takes_nothing_off),
        TEST(jitter_spreads_the_returns),
        TEST(the_share_that_may_be_ejected_is_right_for_small_clusters),
        TEST(who_is_spared_is_told_and_ejected_once_there_is_room),
        TEST(a_dry_run_detects_and_ejects_nobody),
        TEST(an_active_check_that_passes_unejects),
        TEST(all_can_be_unejected_at_once),
        TEST(without_hosts_sweeps_find_nobody),
        TEST(a_host_can_be_ejected_by_hand_but_not_the_last),
        TEST(a_host_that_leaves_takes_its_ejection_along),
        TEST(when_all_that_stay_are_ejected_one_returns),
        TEST(a_host_may_be_removed_while_it_is_told_of),
        TEST(no_change_goes_untold_however_many_there_are),
        TEST(a_sweep_ejects_all_that_it_finds_however_many),
        TEST(a_clock_that_steps_back_ends_nothing),
        TEST(options_can_change_while_hosts_are_out),
        TEST(refuses_options_out_of_range),
        TEST(survives_every_failed_allocation),
        TEST(names_are_told),
    };
    return cmocka_run_group_tests_name("outlier_life", tests, NULL, NULL);
}

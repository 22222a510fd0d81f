/* Tail sampling: errors and slow traces are all there, memory is bounded, nothing is forgotten. */
#include "support/fake_env.h"
#include "support/made_spans.h"
#include "support/span_sink.h"

#include <weir/tail.h>

#define SECOND UINT64_C(1000000000)
#define SLOW   UINT64_C(1000)

static fake_env fake;
static weir_env env;
static weir_tail *tail;
static weir_tail_options options;
static span_sink sink;
static unsigned wakes;

static void on_wake(void *user)
{
    (void)user;
    wakes++;
}

static int setup(void **unused)
{
    (void)unused;
    fake = (fake_env){.now_ns = 1, .random = 1, .random_step = 1};
    env = fake_env_hooks(&fake);
    sink = (span_sink){.result = WEIR_OK};
    options = (weir_tail_options)WEIR_TAIL_OPTIONS_INIT;
    options.next = span_sink_exporter(&sink);
    options.min_duration_ns = SLOW;
    options.linger_ns = 0;
    options.on_wake = on_wake;
    options.env = &env;
    wakes = 0;
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    weir_tail_destroy(tail);
    tail = NULL;
    assert_int_equal(fake.live, 0);
    return 0;
}

static void create(void)
{
    assert_int_equal(weir_tail_create(&tail, &options), WEIR_OK);
}

static made_answer give(const weir_span_data *spans, size_t count)
{
    return made_export(weir_tail_exporter(tail), "shop", spans, count);
}

static void give_one(weir_span_data span)
{
    made_answer const answer = give(&span, 1);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.result, WEIR_OK);
}

static weir_span_data failed(weir_span_data span)
{
    span.status = WEIR_SPAN_ERROR;
    return span;
}

static uint64_t run(void)
{
    weir_task const task = weir_tail_task(tail);
    return task.run(task.self, fake.now_ns);
}

static weir_tail_stats stats(void)
{
    weir_tail_stats now;
    weir_tail_get_stats(tail, &now);
    return now;
}

/* ---- What is kept ---- */

static void a_trace_with_an_error_is_kept_whole(void **unused)
{
    (void)unused;
    create();
    give_one(failed(made_span('a', 2, 1, "child", 10, 5)));
    assert_int_equal(sink.spans, 0);
    give_one(made_span('a', 1, 0, "root", 1, 20));
    assert_int_equal(sink.spans, 2);
    assert_string_equal(sink.names[0], "child");
    assert_string_equal(sink.names[1], "root");
    assert_int_equal(stats().kept, 2);
    assert_int_equal(stats().waiting_traces, 0);
    assert_int_equal(stats().waiting_bytes, 0);
}

static void a_slow_trace_is_kept_and_a_quick_one_is_not(void **unused)
{
    (void)unused;
    create();
    give_one(made_span('a', 1, 0, "quick", 1, SLOW - 1));
    give_one(made_span('b', 1, 0, "slow", 1, SLOW));
    assert_int_equal(sink.spans, 1);
    assert_string_equal(sink.names[0], "slow");
    assert_int_equal(stats().dropped, 1);
}

/* From the first start of all to the last end. */
static void a_trace_of_quick_spans_may_be_slow(void **unused)
{
    (void)unused;
    create();
    give_one(made_span('a', 2, 1, "first", 0, 10));
    give_one(made_span('a', 3, 1, "second", SLOW - 10, 10));
    give_one(made_span('a', 1, 0, "root", 5, 10));
    assert_int_equal(sink.spans, 3);
}

static void errors_are_not_kept_unless_asked_for(void **unused)
{
    (void)unused;
    options.keep_errors = false;
    create();
    give_one(failed(made_span('a', 1, 0, "root", 1, 1)));
    give_one(failed(made_span('a', 2, 1, "late", 1, 1)));
    assert_int_equal(sink.spans, 0);
}

/* Half of all: those whose randomness is in the upper half. */
static void of_the_rest_a_consistent_share_is_kept(void **unused)
{
    (void)unused;
    options.ratio = 0.5;
    create();
    weir_span_data span = made_span('a', 1, 0, "upper", 1, 1);
    span.context.trace_id[9] = 0x80;
    give_one(span);
    span = made_span('b', 1, 0, "lower", 1, 1);
    span.context.trace_id[9] = 0x7f;
    give_one(span);
    assert_int_equal(sink.spans, 1);
    assert_string_equal(sink.names[0], "upper");
    span = made_span('c', 1, 0, "explicit", 1, 1);
    span.context.state = "ot=rv:80000000000000";
    give_one(span);
    assert_int_equal(sink.spans, 2);
}

static bool keep_orders(const weir_tail_trace *trace, void *user)
{
    (void)user;
    assert_int_equal(trace->span_count, 2);
    assert_int_equal(trace->duration_ns, 9);
    return trace->root != NULL && strcmp(trace->root->name, "GET /orders") == 0;
}

static void a_callback_may_keep_more(void **unused)
{
    (void)unused;
    options.keep = keep_orders;
    create();
    for (uint8_t i = 0; i < 2; i++) {
        give_one(made_span(1 + i, 2, 1, "child", 1, 5));
        give_one(made_span(1 + i, 1, 0, i == 0 ? "GET /orders" : "GET /", 1, 9));
    }
    assert_int_equal(sink.spans, 2);
    assert_string_equal(sink.names[1], "GET /orders");
}

/* ---- When it is decided ---- */

static void a_remote_parent_begins_a_trace_here(void **unused)
{
    (void)unused;
    create();
    weir_span_data span = failed(made_span('a', 2, 1, "entry", 1, 1));
    span.parent_remote = true;
    give_one(span);
    assert_int_equal(sink.spans, 1);
}

static void a_trace_lingers_after_its_root(void **unused)
{
    (void)unused;
    options.linger_ns = SECOND;
    create();
    give_one(made_span('a', 1, 0, "root", 1, 1));
    assert_int_equal(run(), 1 + SECOND);
    give_one(failed(made_span('a', 2, 1, "late child", 1, 1)));
    fake.now_ns = SECOND;
    run();
    assert_int_equal(sink.spans, 0);
    fake.now_ns++;
    assert_int_equal(run(), WEIR_NEVER);
    assert_int_equal(sink.spans, 2);
    assert_int_equal(sink.batches, 1);
}

static void a_trace_without_a_root_waits_no_longer_than_told(void **unused)
{
    (void)unused;
    create();
    give_one(failed(made_span('a', 2, 1, "child", 1, 1)));
    give_one(made_span('b', 2, 1, "child", 1, 1));
    assert_int_equal(wakes, 2);
    assert_int_equal(run(), 1 + 30 * SECOND);
    fake.now_ns += 30 * SECOND;
    assert_int_equal(run(), WEIR_NEVER);
    assert_int_equal(sink.spans, 1);
    assert_int_equal(stats().timely, 2);
    assert_int_equal(stats().dropped, 1);
}

static void late_spans_go_the_way_of_the_rest(void **unused)
{
    (void)unused;
    create();
    give_one(failed(made_span('a', 1, 0, "root", 1, 1)));
    give_one(made_span('b', 1, 0, "root", 1, 1));
    give_one(made_span('a', 2, 1, "late", 1, 1));
    give_one(made_span('b', 2, 1, "late", 1, 1));
    assert_int_equal(sink.spans, 2);
    assert_string_equal(sink.names[1], "late");
    assert_int_equal(stats().dropped, 2);
}

static void a_late_error_is_kept_with_what_comes_after_it(void **unused)
{
    (void)unused;
    create();
    give_one(made_span('a', 1, 0, "root", 1, 1));
    give_one(failed(made_span('a', 2, 1, "error", 1, 1)));
    give_one(made_span('a', 3, 1, "after", 1, 1));
    assert_int_equal(sink.spans, 2);
    give_one(made_span('b', 1, 0, "root", 1, 1));
    give_one(made_span('b', 2, 1, "slow", 1, SLOW));
    assert_int_equal(sink.spans, 3);
}

static void decisions_are_forgotten_in_their_order(void **unused)
{
    (void)unused;
    options.max_decided = 1;
    create();
    give_one(failed(made_span('a', 1, 0, "root", 1, 1)));
    give_one(failed(made_span('b', 1, 0, "root", 1, 1)));
    give_one(made_span('a', 2, 1, "late", 1, 1)); /* As of a new trace. */
    assert_int_equal(sink.spans, 2);
    assert_int_equal(stats().waiting_spans, 1);
}

static void all_that_waits_can_be_decided_at_once(void **unused)
{
    (void)unused;
    options.linger_ns = SECOND;
    create();
    give_one(failed(made_span('a', 2, 1, "child", 1, 1)));
    give_one(failed(made_span('b', 1, 0, "root", 1, 1)));
    weir_tail_decide(tail);
    assert_int_equal(stats().waiting_spans, 0);
    run();
    assert_int_equal(sink.spans, 2);
}

/* ---- Bounds ---- */

static void want_of_room_decides_the_trace_that_waits_longest(void **unused)
{
    (void)unused;
    options.max_spans = 2;
    create();
    give_one(failed(made_span('a', 2, 1, "oldest", 1, 1)));
    give_one(failed(made_span('b', 2, 1, "older", 1, 1)));
    give_one(made_span('c', 2, 1, "new", 1, 1));
    assert_int_equal(sink.spans, 1);
    assert_string_equal(sink.names[0], "oldest");
    assert_int_equal(stats().early, 1);
    assert_int_equal(stats().waiting_spans, 2);
}

static void memory_is_bounded_and_each_span_accounted_for(void **unused)
{
    (void)unused;
    options.max_bytes = 4096;
    options.max_decided = 8;
    create();
    for (unsigned i = 0; i < 1000; i++) {
        weir_span_data const span = made_span((uint8_t)(1 + i % 50), 2, 1, "child", 1, 1);
        give_one(i % 3 == 0 ? failed(span) : span);
        assert_true(stats().waiting_bytes <= 4096);
    }
    assert_int_equal(stats().kept + stats().dropped + stats().waiting_spans, 1000);
    assert_int_equal(stats().kept, sink.spans);
    assert_int_equal(stats().failed, 0);
}

static void a_span_larger_than_all_the_room_is_lost_and_counted(void **unused)
{
    (void)unused;
    static char large[2000];
    memset(large, 'x', sizeof large - 1);
    options.max_bytes = 1024;
    create();
    give_one(made_span('a', 2, 1, large, 1, 1));
    assert_int_equal(stats().failed, 1);
}

/* A span of the very trace that has to make room. */
static void a_trace_that_fills_all_the_room_is_decided_and_goes_on(void **unused)
{
    (void)unused;
    options.max_spans = 2;
    create();
    give_one(failed(made_span('a', 2, 1, "1", 1, 1)));
    give_one(made_span('a', 3, 1, "2", 1, 1));
    give_one(made_span('a', 4, 1, "3", 1, 1));
    assert_int_equal(sink.spans, 3);
    assert_int_equal(stats().waiting_spans, 0);
}

/* ---- The exporter behind it ---- */

static weir_span_data spans[20];

static void make_failures(void)
{
    for (uint8_t i = 0; i < 20; i++)
        spans[i] = failed(made_span(1 + i, 1, 0, "root", 1, 1));
}

static void look_at_the_source(const weir_span_batch *batch)
{
    assert_int_equal(batch->resource_count, 1);
    assert_string_equal(batch->resource[0].as.string, "shop");
    assert_string_equal(batch->scope_name, "");
}

static void kept_spans_go_in_batches_and_say_who_made_them(void **unused)
{
    (void)unused;
    options.batch_size = 8;
    sink.on_batch = look_at_the_source;
    create();
    make_failures();
    assert_int_equal(give(spans, 20).count, 1);
    assert_int_equal(sink.batches, 3);
    assert_int_equal(sink.last_count, 4);
    assert_false(sink.overlapped);
}

static made_answer answer;

static void give_later(void)
{
    static const weir_span_data *list[20];
    weir_span_batch const batch = {.spans = list, .count = 20};
    weir_span_exporter const exporter = weir_tail_exporter(tail);
    make_failures();
    for (size_t i = 0; i < 20; i++)
        list[i] = &spans[i];
    answer = (made_answer){0, -100, 0};
    exporter.export_spans(exporter.self, &batch, 1000, made_done, &answer);
    memset(spans, 0, sizeof spans);
}

static void the_tracer_waits_until_all_has_gone_out(void **unused)
{
    (void)unused;
    options.batch_size = 16;
    sink.mode = SPAN_SINK_LATER;
    create();
    give_later();
    assert_int_equal(sink.deadline_ns, 1000);
    assert_int_equal(answer.count, 0);
    span_sink_answer(&sink);
    assert_int_equal(answer.count, 0);
    assert_int_equal(sink.batches, 2);
    span_sink_answer(&sink);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.result, WEIR_OK);
    sink.done(sink.token, WEIR_OK, 0); /* Twice: nothing. */
    assert_int_equal(answer.count, 1);
    assert_int_equal(stats().failed, 0);
}

static void what_the_exporter_loses_is_counted(void **unused)
{
    (void)unused;
    sink.result = WEIR_EFAILED;
    create();
    make_failures();
    assert_int_equal(give(spans, 20).result, WEIR_OK);
    assert_int_equal(stats().failed, 20);
    sink.result = WEIR_OK;
    sink.rejected = 3;
    assert_int_equal(give(spans, 10).result, WEIR_OK);
    assert_int_equal(stats().failed, 23);
    sink.rejected = 30;
    assert_int_equal(give(spans, 10).result, WEIR_OK);
    assert_int_equal(stats().failed, 33);
}

/* Each time one is given up. 7 of the first eight wait, and then 8: of each later eight, as many
 * are lost. */
static void an_exporter_that_does_not_keep_up_costs_no_more_memory(void **unused)
{
    (void)unused;
    options.batch_size = 1;
    options.max_spans = 8;
    sink.mode = SPAN_SINK_LATER;
    create();
    make_failures();
    weir_span_exporter const exporter = weir_tail_exporter(tail);
    for (int round = 0; round < 5; round++) {
        (void)give(spans, 8);
        exporter.cancel(exporter.self);
    }
    assert_int_equal(stats().kept, 40);
    assert_int_equal(stats().failed, 4 * 8);
    sink.mode = SPAN_SINK_NOW;
    run();
    assert_int_equal(sink.spans, 5 + 8);
    assert_int_equal(stats().failed, 32);
}

static void an_export_that_is_given_up_is_given_up_below(void **unused)
{
    (void)unused;
    sink.mode = SPAN_SINK_LATER;
    create();
    give_later();
    weir_span_exporter const exporter = weir_tail_exporter(tail);
    exporter.cancel(exporter.self);
    assert_int_equal(sink.cancels, 1);
    assert_int_equal(stats().failed, 20);
    assert_int_equal(answer.count, 0);
    exporter.cancel(exporter.self); /* Nothing is under way. */
    assert_int_equal(sink.cancels, 1);
}

static void the_tasks_own_exports_have_a_deadline(void **unused)
{
    (void)unused;
    options.linger_ns = 5;
    options.export_timeout_ns = 100;
    sink.mode = SPAN_SINK_LATER;
    create();
    give_one(failed(made_span('a', 1, 0, "root", 1, 1)));
    fake.now_ns = 6;
    assert_int_equal(run(), 106);
    assert_int_equal(sink.batches, 1);
    fake.now_ns = 106;
    assert_int_equal(run(), WEIR_NEVER);
    assert_int_equal(sink.cancels, 1);
    assert_int_equal(stats().failed, 1);
}

static void an_export_waits_for_the_tasks_own(void **unused)
{
    (void)unused;
    options.linger_ns = 5;
    sink.mode = SPAN_SINK_LATER;
    create();
    give_one(failed(made_span('a', 1, 0, "root", 1, 1)));
    fake.now_ns = 6;
    run();
    options.linger_ns = 0;
    give_later();
    assert_int_equal(sink.batches, 1);
    assert_int_equal(answer.count, 0);
    span_sink_answer(&sink);
    assert_int_equal(answer.count, 1);
    assert_false(sink.overlapped);
}

/* ---- Memory and options ---- */

static void each_want_of_memory_loses_a_span_at_most_and_counts_it(void **unused)
{
    (void)unused;
    for (unsigned fail_at = 1; fail_at <= 2; fail_at++) {
        fake.calls = 0;
        fake.fail_at = fail_at;
        assert_int_equal(weir_tail_create(&tail, &options), WEIR_ENOMEM);
        assert_null(tail);
        assert_int_equal(fake.live, 0);
    }
    fake.fail_at = 0;
    create();
    weir_span_data const span = failed(made_span('a', 1, 0, "root", 1, 1));
    fake.calls = 0;
    fake.fail_at = 1; /* The resource. */
    assert_int_equal(give(&span, 1).result, WEIR_ENOMEM);
    for (unsigned fail_at = 2; fail_at <= 4; fail_at++) { /* The span, the trace, the map. */
        fake.calls = fail_at == 2 ? 0 : 1;
        fake.fail_at = fail_at;
        assert_int_equal(give(&span, 1).result, WEIR_OK);
        assert_int_equal(stats().failed, fail_at - 1);
    }
    fake.fail_at = 0;
    give_one(span);
    assert_int_equal(sink.spans, 1);
    fake.calls = 0;
    fake.fail_at = 1; /* A late one. */
    assert_int_equal(give(&span, 1).result, WEIR_OK);
    assert_int_equal(stats().failed, 4);
}

static void options_out_of_range_are_refused(void **unused)
{
    (void)unused;
    weir_tail_options const good = options;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        options = good;                                                                            \
        change;                                                                                    \
        assert_int_equal(weir_tail_create(&tail, &options), WEIR_EINVAL);                          \
    } while (0)
    REFUSED(options.struct_size = 1);
    REFUSED(options.next.export_spans = NULL);
    REFUSED(options.ratio = -0.1);
    REFUSED(options.ratio = 1.1);
    REFUSED(options.ratio = strtod("nan", NULL));
    REFUSED(options.decision_wait_ns = 0);
    REFUSED(options.max_spans = 0);
    REFUSED(options.max_bytes = 1023);
    REFUSED(options.batch_size = 0);
    REFUSED(options.batch_size = 65537);
    REFUSED(options.export_timeout_ns = 0);
#undef REFUSED
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_trace_with_an_error_is_kept_whole),
        CASE(a_slow_trace_is_kept_and_a_quick_one_is_not),
        CASE(a_trace_of_quick_spans_may_be_slow),
        CASE(errors_are_not_kept_unless_asked_for),
        CASE(of_the_rest_a_consistent_share_is_kept),
        CASE(a_callback_may_keep_more),
        CASE(a_remote_parent_begins_a_trace_here),
        CASE(a_trace_lingers_after_its_root),
        CASE(a_trace_without_a_root_waits_no_longer_than_told),
        CASE(late_spans_go_the_way_of_the_rest),
        CASE(a_late_error_is_kept_with_what_comes_after_it),
        CASE(decisions_are_forgotten_in_their_order),
        CASE(all_that_waits_can_be_decided_at_once),
        CASE(want_of_room_decides_the_trace_that_waits_longest),
        CASE(memory_is_bounded_and_each_span_accounted_for),
        CASE(a_span_larger_than_all_the_room_is_lost_and_counted),
        CASE(a_trace_that_fills_all_the_room_is_decided_and_goes_on),
        CASE(kept_spans_go_in_batches_and_say_who_made_them),
        CASE(the_tracer_waits_until_all_has_gone_out),
        CASE(what_the_exporter_loses_is_counted),
        CASE(an_exporter_that_does_not_keep_up_costs_no_more_memory),
        CASE(an_export_that_is_given_up_is_given_up_below),
        CASE(the_tasks_own_exports_have_a_deadline),
        CASE(an_export_waits_for_the_tasks_own),
        CASE(each_want_of_memory_loses_a_span_at_most_and_counts_it),
        CASE(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

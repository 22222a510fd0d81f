/* Batches, flush and shutdown: facts of OpenTelemetry's batch processor, and what users miss. */
#include "support/tracer_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)

static weir_span_drop_event drops[16];
static size_t drop_count;
static unsigned wakes, ended;
static int last_result;

static void on_drop(const weir_span_drop_event *event, void *user)
{
    (void)user;
    if (drop_count < 16)
        drops[drop_count] = *event;
    drop_count++;
}

static void on_wake(void *user)
{
    (void)user;
    wakes++;
}

static void on_done(int result, void *user)
{
    (void)user;
    last_result = result;
    ended++;
}

static int setup_batches(void **unused)
{
    setup(unused);
    drop_count = wakes = ended = 0;
    options.immediate = false;
    options.queue_size = 8;
    options.batch_size = 4;
    options.max_spans = 32;
    options.on_drop = on_drop;
    options.on_wake = on_wake;
    return 0;
}

static void spans(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        weir_span span;
        char name[16];
        (void)snprintf(name, sizeof name, "%u", i);
        weir_span_start(&span, tracer, name, NULL);
        weir_span_end(&span);
    }
}

static uint64_t run(void)
{
    weir_task const task = weir_tracer_task(tracer);
    return task.run(task.self, fake.now_ns);
}

static weir_tracer_stats stats(void)
{
    weir_tracer_stats now;
    weir_tracer_get_stats(tracer, &now);
    return now;
}

/* ---- When ---- */

static void defaults_are_those_of_the_specification(void **unused)
{
    (void)unused;
    weir_tracer_options const defaults = WEIR_TRACER_OPTIONS_INIT;
    assert_int_equal(defaults.queue_size, 2048);
    assert_int_equal(defaults.batch_size, 512);
    assert_int_equal(defaults.delay_ns, 5 * SECOND);
    assert_int_equal(defaults.export_timeout_ns, 30 * SECOND);
}

static void a_full_batch_is_exported_at_once_and_asks_for_it(void **unused)
{
    (void)unused;
    create();
    spans(3);
    run();
    assert_int_equal(sink.batches, 0);
    assert_int_equal(wakes, 0);
    spans(1);
    assert_int_equal(wakes, 1);
    run();
    assert_int_equal(sink.batches, 1);
    assert_int_equal(sink.last_count, 4);
    assert_string_equal(sink.names[2], "2");
    assert_int_equal(stats().exported, 4);
}

static void what_waits_is_exported_after_the_delay(void **unused)
{
    (void)unused;
    create();
    spans(2);
    assert_int_equal(run(), 1000 + 5 * SECOND);
    fake.now_ns = 999 + 5 * SECOND;
    run();
    assert_int_equal(sink.batches, 0);
    fake.now_ns++;
    assert_int_equal(run(), 1000 + 10 * SECOND);
    assert_int_equal(sink.spans, 2);
    assert_int_equal(sink.deadline_ns, 1000 + 35 * SECOND);
}

static void after_a_delay_all_that_waits_goes_in_batches(void **unused)
{
    (void)unused;
    create();
    spans(7);
    fake.now_ns += 5 * SECOND;
    run();
    assert_int_equal(sink.batches, 2);
    assert_int_equal(sink.last_count, 3);
}

static void without_a_delay_only_full_batches_go(void **unused)
{
    (void)unused;
    options.delay_ns = WEIR_NEVER;
    create();
    spans(3);
    assert_int_equal(run(), WEIR_NEVER);
    assert_int_equal(sink.batches, 0);
}

static void exports_never_overlap(void **unused)
{
    (void)unused;
    sink.mode = SPAN_SINK_LATER;
    create();
    spans(8);
    run();
    run();
    assert_int_equal(sink.batches, 1);
    wakes = 0;
    span_sink_answer(&sink);
    assert_int_equal(wakes, 1);
    run();
    assert_int_equal(sink.batches, 2);
    assert_false(sink.overlapped);
    assert_int_equal(stats().exported, 4);
    span_sink_answer(&sink);
    run();
    assert_int_equal(stats().exported, 8);
}

static void look_at_the_program(const weir_span_batch *batch)
{
    assert_int_equal(batch->resource_count, 1);
    assert_string_equal(batch->resource[0].as.string, "orders");
    assert_string_equal(batch->scope_name, "weir");
    assert_string_equal(batch->scope_version, "");
}

static void a_batch_says_who_made_it(void **unused)
{
    (void)unused;
    char name[] = "orders";
    weir_attribute const resource = weir_attribute_string("service.name", name);
    options.resource = &resource;
    options.resource_count = 1;
    options.scope_name = "weir";
    sink.on_batch = look_at_the_program;
    create();
    memset(name, 'x', 6);
    spans(4);
    run();
    assert_int_equal(sink.batches, 1);
}

/* ---- What is not exported ---- */

static void a_full_queue_drops_counts_and_tells(void **unused)
{
    (void)unused;
    create();
    spans(10);
    assert_int_equal(stats().queued, 8);
    assert_int_equal(stats().queue_size, 8);
    assert_int_equal(dropped(WEIR_SPAN_DROP_QUEUE_FULL), 2);
    assert_int_equal(wakes, 1); /* Once, until the task has run. */
    assert_int_equal(drop_count, 2);
    assert_int_equal(drops[0].reason, WEIR_SPAN_DROP_QUEUE_FULL);
    assert_int_equal(drops[0].count, 1);
    run();
    assert_int_equal(stats().exported, 8);
}

static void a_failed_export_is_counted_with_what_the_exporter_said(void **unused)
{
    (void)unused;
    sink.result = WEIR_ESYSTEM;
    create();
    spans(4);
    run();
    assert_int_equal(dropped(WEIR_SPAN_DROP_EXPORT_FAILED), 4);
    assert_int_equal(drops[0].count, 4);
    assert_int_equal(drops[0].error, WEIR_ESYSTEM);
    assert_int_equal(stats().exported, 0);
}

static void rejected_spans_are_counted_and_never_more_than_there_were(void **unused)
{
    (void)unused;
    sink.rejected = 1;
    create();
    spans(4);
    run();
    assert_int_equal(dropped(WEIR_SPAN_DROP_REJECTED), 1);
    assert_int_equal(stats().exported, 3);
    sink.rejected = 1000;
    spans(4);
    run();
    assert_int_equal(dropped(WEIR_SPAN_DROP_REJECTED), 5);
    assert_int_equal(stats().exported, 3);
}

static void an_export_that_takes_too_long_is_cancelled_and_counted(void **unused)
{
    (void)unused;
    sink.mode = SPAN_SINK_LATER;
    create();
    spans(4);
    assert_int_equal(run(), 1000 + 5 * SECOND);
    fake.now_ns = 999 + 30 * SECOND;
    run();
    assert_int_equal(sink.cancels, 0);
    fake.now_ns++;
    run();
    assert_int_equal(sink.cancels, 1);
    assert_int_equal(dropped(WEIR_SPAN_DROP_EXPORT_TIMEOUT), 4);
    sink.done(sink.token, WEIR_OK, 0); /* Too late, and against the rules. */
    run();
    assert_int_equal(stats().exported, 0);
    sink.mode = SPAN_SINK_NOW;
    spans(4);
    run();
    assert_int_equal(stats().exported, 4);
}

static void an_answer_that_comes_twice_counts_once(void **unused)
{
    (void)unused;
    create();
    spans(4);
    run();
    sink.done(sink.token, WEIR_ESYSTEM, 0);
    run();
    assert_int_equal(stats().exported, 4);
    assert_int_equal(dropped(WEIR_SPAN_DROP_EXPORT_FAILED), 0);
}

/* ---- Flush ---- */

static void a_flush_exports_what_has_ended(void **unused)
{
    (void)unused;
    create();
    spans(3);
    assert_int_equal(weir_tracer_flush(tracer, WEIR_NEVER, NULL, NULL), WEIR_OK);
    assert_int_equal(sink.spans, 3);
    assert_int_equal(fake.slept_ns, 0);
    assert_int_equal(weir_tracer_flush(tracer, WEIR_NEVER, NULL, NULL), WEIR_OK);
    assert_int_equal(sink.batches, 1);
}

static void a_flush_that_lost_spans_says_so(void **unused)
{
    (void)unused;
    sink.result = WEIR_EFAILED;
    create();
    spans(3);
    assert_int_equal(weir_tracer_flush(tracer, WEIR_NEVER, NULL, NULL), WEIR_EFAILED);
}

static void a_flush_keeps_its_deadline_whatever_the_exporter_does(void **unused)
{
    (void)unused;
    sink.mode = SPAN_SINK_LATER;
    create();
    spans(3);
    assert_int_equal(weir_tracer_flush(tracer, 1000 + SECOND, NULL, NULL), WEIR_EDEADLINE);
    assert_int_equal(fake.now_ns, 1000 + SECOND);
    span_sink_answer(&sink); /* The export itself has longer. */
    run();
    assert_int_equal(stats().exported, 3);
}

static void a_flush_with_a_callback_is_over_when_the_export_is(void **unused)
{
    (void)unused;
    sink.mode = SPAN_SINK_LATER;
    create();
    spans(3);
    assert_int_equal(weir_tracer_flush(tracer, 7 * SECOND, on_done, NULL), WEIR_OK);
    assert_int_equal(wakes, 1);
    assert_int_equal(weir_tracer_flush(tracer, WEIR_NEVER, on_done, NULL), WEIR_EBUSY);
    run();
    spans(8); /* These are not waited for. */
    assert_int_equal(ended, 0);
    span_sink_answer(&sink);
    run();
    assert_int_equal(ended, 1);
    assert_int_equal(last_result, WEIR_OK);
    span_sink_answer(&sink);
    run();
    assert_int_equal(ended, 1);
}

static void a_timeout_outranks_completeness(void **unused)
{
    (void)unused;
    sink.mode = SPAN_SINK_LATER;
    create();
    spans(3);
    assert_int_equal(weir_tracer_flush(tracer, 2000, on_done, NULL), WEIR_OK);
    assert_int_equal(run(), 2000);
    span_sink_answer(&sink);
    fake.now_ns = 2001;
    run();
    assert_int_equal(ended, 1);
    assert_int_equal(last_result, WEIR_EDEADLINE);
}

static void flush_again(int result, void *user)
{
    on_done(result, user);
    if (ended < 3)
        assert_int_equal(weir_tracer_flush(tracer, WEIR_NEVER, flush_again, NULL), WEIR_OK);
}

static void a_flush_may_begin_another_in_its_callback(void **unused)
{
    (void)unused;
    create();
    assert_int_equal(weir_tracer_flush(tracer, WEIR_NEVER, flush_again, NULL), WEIR_OK);
    for (int i = 0; i < 3; i++)
        run();
    assert_int_equal(ended, 3);
}

/* ---- Shutdown ---- */

static void a_shutdown_exports_what_has_ended_and_records_no_more(void **unused)
{
    (void)unused;
    weir_span under_way, after;
    create();
    weir_span_start(&under_way, tracer, "under way", NULL);
    spans(3);
    assert_int_equal(weir_tracer_shutdown(tracer, WEIR_NEVER, NULL, NULL), WEIR_OK);
    assert_int_equal(sink.spans, 3);
    weir_span_start(&after, tracer, "after", NULL);
    assert_false(weir_span_recording(&after));
    assert_true(weir_trace_context_valid(&after.context));
    weir_span_end(&under_way);
    assert_int_equal(dropped(WEIR_SPAN_DROP_SHUT_DOWN), 1);
    assert_int_equal(run(), WEIR_NEVER);
    assert_int_equal(sink.spans, 3);
    assert_int_equal(weir_tracer_shutdown(tracer, WEIR_NEVER, NULL, NULL), WEIR_ECLOSED);
    assert_int_equal(weir_tracer_flush(tracer, WEIR_NEVER, NULL, NULL), WEIR_ECLOSED);
}

static void a_shutdown_keeps_its_deadline_and_counts_what_it_leaves(void **unused)
{
    (void)unused;
    sink.mode = SPAN_SINK_LATER;
    create();
    spans(7);
    assert_int_equal(weir_tracer_shutdown(tracer, 1000 + SECOND, NULL, NULL), WEIR_EDEADLINE);
    assert_int_equal(fake.now_ns, 1000 + SECOND);
    assert_int_equal(sink.cancels, 1);
    assert_int_equal(dropped(WEIR_SPAN_DROP_SHUT_DOWN), 7);
    assert_int_equal(stats().queued, 0);
}

static void a_shutdown_beside_a_flush_ends_both(void **unused)
{
    (void)unused;
    create();
    spans(3);
    assert_int_equal(weir_tracer_flush(tracer, WEIR_NEVER, on_done, NULL), WEIR_OK);
    assert_int_equal(weir_tracer_shutdown(tracer, WEIR_NEVER, NULL, NULL), WEIR_OK);
    assert_int_equal(ended, 1);
    assert_int_equal(sink.spans, 3);
}

static void an_export_under_way_is_cancelled_when_the_tracer_goes(void **unused)
{
    (void)unused;
    sink.mode = SPAN_SINK_LATER;
    create();
    spans(4);
    run();
    weir_tracer_destroy(tracer);
    tracer = NULL;
    assert_int_equal(sink.cancels, 1);
}

/* ---- Immediate, and nobody ---- */

static void an_immediate_export_waits_for_the_one_before(void **unused)
{
    (void)unused;
    options.immediate = true;
    sink.mode = SPAN_SINK_LATER;
    create();
    spans(3);
    assert_int_equal(sink.spans, 1);
    span_sink_answer(&sink);
    run();
    assert_int_equal(sink.spans, 3);
    assert_false(sink.overlapped);
}

static void without_an_exporter_spans_are_sampled_and_not_recorded(void **unused)
{
    (void)unused;
    weir_span span;
    options.exporter = (weir_span_exporter){NULL, NULL, NULL};
    create();
    weir_span_start(&span, tracer, "span", NULL);
    assert_true((span.context.flags & WEIR_TRACE_SAMPLED) != 0);
    assert_false(weir_span_recording(&span));
    weir_span_end(&span);
    assert_int_equal(stats().memory_bytes, 0);
    assert_int_equal(weir_tracer_shutdown(tracer, WEIR_NEVER, NULL, NULL), WEIR_OK);
}

static void active_spans_and_the_queue_are_gauged(void **unused)
{
    (void)unused;
    weir_span under_way;
    create();
    weir_span_start(&under_way, tracer, "under way", NULL);
    spans(2);
    assert_int_equal(stats().active, 1);
    assert_int_equal(stats().queued, 2);
    assert_int_equal(stats().memory_bytes, 3 * 1024);
    weir_span_end(&under_way);
    assert_int_equal(stats().active, 0);
    assert_int_equal(stats().queued, 3);
}

/* ---- fork() ---- */

/* What a child finds wrong; 0 = nothing. */
static int in_the_child(weir_span *inherited, weir_span *before)
{
    weir_span own;
    if (stats().queued != 0 || stats().active != 0 || weir_span_recording(inherited))
        return 1;
    weir_span_end(inherited);
    weir_span_options under = WEIR_SPAN_OPTIONS_INIT;
    under.parent = &inherited->context;
    weir_span_start(&own, tracer, "own", &under);
    if (memcmp(own.context.trace_id, inherited->context.trace_id, 16) != 0)
        return 2;
    if (memcmp(own.context.span_id, before->context.span_id, 8) == 0)
        return 3; /* Its parent's next id. */
    weir_span_end(&own);
    if (weir_tracer_flush(tracer, WEIR_NEVER, NULL, NULL) != WEIR_OK || sink.spans != 1 ||
        strcmp(sink.names[0], "own") != 0)
        return 4;
    return stats().exported == 1 ? 0 : 5;
}

static void a_child_exports_its_own_spans_alone_with_ids_of_its_own(void **unused)
{
    (void)unused;
    weir_span inherited, next;
    int status = 0;
    create();
    weir_span_start(&inherited, tracer, "inherited", NULL);
    spans(3);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t const child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* It learns its parent's next id, to compare. */
        uint8_t id[8];
        weir_span theirs;
        if (read(fds[0], id, sizeof id) != sizeof id)
            _exit(6);
        memcpy(theirs.context.span_id, id, sizeof id);
        _exit(in_the_child(&inherited, &theirs));
    }
    weir_span_start(&next, tracer, "next", NULL);
    assert_int_equal(write(fds[1], next.context.span_id, 8), 8);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(fds[0]);
    close(fds[1]);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    weir_span_end(&next);
    weir_span_end(&inherited);
    assert_int_equal(weir_tracer_flush(tracer, WEIR_NEVER, NULL, NULL), WEIR_OK);
    assert_int_equal(sink.spans, 5);
}

#define BATCHES(name) cmocka_unit_test_setup_teardown(name, setup_batches, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BATCHES(defaults_are_those_of_the_specification),
        BATCHES(a_full_batch_is_exported_at_once_and_asks_for_it),
        BATCHES(what_waits_is_exported_after_the_delay),
        BATCHES(after_a_delay_all_that_waits_goes_in_batches),
        BATCHES(without_a_delay_only_full_batches_go),
        BATCHES(exports_never_overlap),
        BATCHES(a_batch_says_who_made_it),
        BATCHES(a_full_queue_drops_counts_and_tells),
        BATCHES(a_failed_export_is_counted_with_what_the_exporter_said),
        BATCHES(rejected_spans_are_counted_and_never_more_than_there_were),
        BATCHES(an_export_that_takes_too_long_is_cancelled_and_counted),
        BATCHES(an_answer_that_comes_twice_counts_once),
        BATCHES(a_flush_exports_what_has_ended),
        BATCHES(a_flush_that_lost_spans_says_so),
        BATCHES(a_flush_keeps_its_deadline_whatever_the_exporter_does),
        BATCHES(a_flush_with_a_callback_is_over_when_the_export_is),
        BATCHES(a_timeout_outranks_completeness),
        BATCHES(a_flush_may_begin_another_in_its_callback),
        BATCHES(a_shutdown_exports_what_has_ended_and_records_no_more),
        BATCHES(a_shutdown_keeps_its_deadline_and_counts_what_it_leaves),
        BATCHES(a_shutdown_beside_a_flush_ends_both),
        BATCHES(an_export_under_way_is_cancelled_when_the_tracer_goes),
        BATCHES(an_immediate_export_waits_for_the_one_before),
        BATCHES(without_an_exporter_spans_are_sampled_and_not_recorded),
        BATCHES(active_spans_and_the_queue_are_gauged),
        BATCHES(a_child_exports_its_own_spans_alone_with_ids_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

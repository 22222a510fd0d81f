/* Contexts, sampling and limits, by the rules of the OpenTelemetry specification (Trace SDK). */
#include "support/tracer_fixture.h"

static bool same_trace(const weir_span *a, const weir_span *b)
{
    return memcmp(a->context.trace_id, b->context.trace_id, 16) == 0;
}

/* ---- Contexts ---- */

static void a_span_without_a_parent_begins_a_trace_with_a_random_id(void **unused)
{
    (void)unused;
    weir_span a, b;
    create();
    weir_span_start(&a, tracer, "a", NULL);
    weir_span_start(&b, tracer, "b", NULL);
    assert_true(weir_trace_context_valid(&a.context));
    assert_int_equal(a.context.flags, WEIR_TRACE_SAMPLED | WEIR_TRACE_RANDOM);
    assert_false(a.context.remote);
    assert_false(same_trace(&a, &b));
    assert_memory_not_equal(a.context.span_id, b.context.span_id, 8);
    weir_span_end(&a);
    weir_span_end(&b);
}

static weir_span_data seen;

static void look_at_parents(const weir_span_data *span)
{
    seen = *span;
}

static void a_child_continues_the_trace_and_copies_the_random_flag(void **unused)
{
    (void)unused;
    weir_span child;
    weir_trace_context remote = {.trace_id = {9},
                                 .span_id = {7},
                                 .flags = WEIR_TRACE_SAMPLED,
                                 .remote = true};
    weir_span_options under = WEIR_SPAN_OPTIONS_INIT;
    under.parent = &remote;
    sink.look = look_at_parents;
    create();
    weir_span_start(&child, tracer, "child", &under);
    assert_memory_equal(child.context.trace_id, remote.trace_id, 16);
    assert_memory_not_equal(child.context.span_id, remote.span_id, 8);
    assert_int_equal(child.context.flags, WEIR_TRACE_SAMPLED);
    weir_span_end(&child);
    assert_memory_equal(seen.parent_id, remote.span_id, 8);
    assert_true(seen.parent_remote);

    remote.flags = WEIR_TRACE_RANDOM;
    weir_span_start(&child, tracer, "child", &under);
    assert_true((child.context.flags & WEIR_TRACE_RANDOM) != 0);
    weir_span_end(&child);
}

static void a_parent_that_is_not_valid_is_none(void **unused)
{
    (void)unused;
    weir_span span;
    weir_trace_context const half = {.trace_id = {9}, .flags = WEIR_TRACE_SAMPLED};
    weir_span_options under = WEIR_SPAN_OPTIONS_INIT;
    under.parent = &half;
    sink.look = look_at_parents;
    create();
    weir_span_start(&span, tracer, "root", &under);
    assert_true(weir_trace_context_valid(&span.context));
    assert_memory_not_equal(span.context.trace_id, half.trace_id, 16);
    weir_span_end(&span);
    assert_memory_equal(seen.parent_id, "\0\0\0\0\0\0\0", 8);
}

static void an_ended_span_is_still_a_valid_parent(void **unused)
{
    (void)unused;
    weir_span parent, child;
    weir_span_options under = WEIR_SPAN_OPTIONS_INIT;
    create();
    weir_span_start(&parent, tracer, "parent", NULL);
    weir_span_end(&parent);
    under.parent = &parent.context;
    weir_span_start(&child, tracer, "child", &under);
    assert_true(same_trace(&parent, &child));
    weir_span_end(&child);
    assert_int_equal(sink.spans, 2);
}

static void without_a_tracer_the_context_is_passed_on_as_it_is(void **unused)
{
    (void)unused;
    weir_span span;
    weir_trace_context const remote = {
        .trace_id = {9}, .span_id = {7}, .flags = 1, .remote = true, .state = "vendor=x"};
    weir_span_options under = WEIR_SPAN_OPTIONS_INIT;
    under.parent = &remote;
    weir_span_start(&span, NULL, "nobody", &under);
    assert_memory_equal(span.context.span_id, remote.span_id, 8);
    assert_string_equal(span.context.state, "vendor=x");
    assert_false(weir_span_recording(&span));
    weir_span_end(&span);
    weir_span_start(&span, NULL, "nobody", NULL);
    assert_false(weir_trace_context_valid(&span.context));
    weir_span_end(&span);
}

static void the_same_seed_gives_the_same_ids_and_no_id_comes_twice(void **unused)
{
    (void)unused;
    static uint8_t ids[5000][8];
    weir_span span;
    decision = WEIR_SAMPLING_DROP;
    options.sampling.decide = decide;
    create();
    for (size_t i = 0; i < 5000; i++) {
        weir_span_start(&span, tracer, "", NULL);
        memcpy(ids[i], span.context.span_id, 8);
        for (size_t j = i >= 50 ? i - 50 : 0; j < i; j++)
            assert_memory_not_equal(ids[i], ids[j], 8);
    }
    weir_tracer_destroy(tracer);
    fake.random = 1;
    create();
    for (size_t i = 0; i < 5000; i++) {
        weir_span_start(&span, tracer, "", NULL);
        assert_memory_equal(span.context.span_id, ids[i], 8);
    }
}

/* ---- Sampling ---- */

static void a_dropped_span_has_ids_and_is_told_to_nobody(void **unused)
{
    (void)unused;
    weir_span span;
    decision = WEIR_SAMPLING_DROP;
    options.sampling.decide = decide;
    create();
    weir_span_start(&span, tracer, NULL, NULL);
    assert_true(weir_trace_context_valid(&span.context));
    assert_int_equal(span.context.flags, WEIR_TRACE_RANDOM);
    assert_false(weir_span_recording(&span));
    weir_span_end(&span);
    assert_int_equal(asked, 1);
    assert_int_equal(sink.spans, 0);
}

static void a_recorded_span_that_is_not_sampled_is_not_exported(void **unused)
{
    (void)unused;
    weir_span span;
    decision = WEIR_SAMPLING_RECORD;
    options.sampling.decide = decide;
    create();
    weir_span_start(&span, tracer, "span", NULL);
    assert_true(weir_span_recording(&span));
    assert_false((span.context.flags & WEIR_TRACE_SAMPLED) != 0);
    weir_span_end(&span);
    assert_int_equal(sink.spans, 0);
}

static weir_span start_under(const char *state)
{
    static weir_span span;
    weir_trace_context const parent = {.trace_id = {1}, .span_id = {1}, .state = state};
    weir_span_options under = WEIR_SPAN_OPTIONS_INIT;
    under.parent = state != NULL ? &parent : NULL;
    weir_span_start(&span, tracer, "span", &under);
    weir_span_end(&span);
    return span;
}

/* Thresholds: half of 2^56 is 8 and zeros, which are not written; a quarter is kept at 3/4. */
static void a_threshold_is_told_in_the_tracestate(void **unused)
{
    (void)unused;
    options.sampling.decide = decide;
    create();
    threshold = UINT64_C(1) << 55;
    assert_string_equal(start_under(NULL).state, "ot=th:8");
    threshold = UINT64_C(3) << 54;
    assert_string_equal(start_under(NULL).state, "ot=th:c");
    threshold = 0;
    assert_string_equal(start_under(NULL).state, "ot=th:0");
    threshold = (UINT64_C(1) << 56) - 1;
    assert_string_equal(start_under(NULL).state, "ot=th:ffffffffffffff");
    threshold = UINT64_C(1) << 55;
    assert_string_equal(start_under("a=b,ot=rv:0123456789abcd;th:c;x:y,c=d").state,
                        "ot=th:8;rv:0123456789abcd;x:y,a=b,c=d");
}

static void a_threshold_that_is_not_known_is_taken_away(void **unused)
{
    (void)unused;
    options.sampling.decide = decide;
    create();
    threshold = WEIR_SAMPLING_UNKNOWN;
    assert_string_equal(start_under("ot=th:c,a=b").state, "a=b");
    assert_string_equal(start_under("ot=th:c;rv:0123456789abcd").state, "ot=rv:0123456789abcd");
    threshold = WEIR_SAMPLING_INHERIT;
    assert_string_equal(start_under("a=b,ot=th:c").state, "a=b,ot=th:c");
    decision = WEIR_SAMPLING_DROP;
    threshold = 0;
    assert_string_equal(start_under("a=b,ot=th:c").state, "a=b");
    decision = WEIR_SAMPLING_SAMPLE;
    threshold = WEIR_SAMPLING_UNKNOWN;
    assert_null(start_under(NULL).context.state);
}

/* ---- Limits of memory ---- */

static void spans_beyond_the_records_there_are_are_counted(void **unused)
{
    (void)unused;
    weir_span spans[3];
    options.queue_size = options.batch_size = 2;
    options.max_spans = 2;
    create();
    for (int i = 0; i < 3; i++)
        weir_span_start(&spans[i], tracer, "span", NULL);
    assert_true((spans[2].context.flags & WEIR_TRACE_SAMPLED) != 0);
    assert_false(weir_span_recording(&spans[2]));
    assert_int_equal(dropped(WEIR_SPAN_DROP_NO_RECORD), 1);
    for (int i = 0; i < 3; i++)
        weir_span_end(&spans[i]);
    assert_int_equal(sink.spans, 2);
}

static void creation_survives_any_want_of_memory(void **unused)
{
    (void)unused;
    static char large[3000];
    memset(large, 'x', sizeof large - 1);
    weir_attribute const resource[] = {weir_attribute_string("service.name", large),
                                       weir_attribute_string("other", large)};
    options.resource = resource;
    options.resource_count = 2;
    options.scope_name = options.scope_version = large;
    for (unsigned fail_at = 1;; fail_at++) {
        fake.calls = 0;
        fake.fail_at = fail_at;
        int const result = weir_tracer_create(&tracer, &options);
        fake.fail_at = 0;
        if (fake.calls < fail_at) {
            assert_int_equal(result, WEIR_OK);
            break;
        }
        assert_int_equal(result, WEIR_ENOMEM);
        assert_null(tracer);
        assert_int_equal(fake.live, 0);
    }
}

static void options_out_of_range_are_refused(void **unused)
{
    (void)unused;
    weir_attribute const nameless = weir_attribute_int("", 1);
    weir_tracer_options const good = options;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        options = good;                                                                            \
        change;                                                                                    \
        assert_int_equal(weir_tracer_create(&tracer, &options), WEIR_EINVAL);                      \
        assert_null(tracer);                                                                       \
    } while (0)
    REFUSED(options.struct_size = 1);
    REFUSED(options.queue_size = 0);
    REFUSED(options.queue_size = (1u << 20) + 1);
    REFUSED(options.batch_size = 0);
    REFUSED(options.batch_size = options.queue_size + 1);
    REFUSED(options.max_spans = options.queue_size - 1);
    REFUSED(options.max_spans = (1u << 24) + 1);
    REFUSED(options.delay_ns = 0);
    REFUSED(options.export_timeout_ns = 0);
    REFUSED((options.resource = &nameless, options.resource_count = 1));
#undef REFUSED
}

static void an_older_caller_has_defaults_for_what_it_does_not_know(void **unused)
{
    (void)unused;
    weir_span span;
    weir_span_options older = WEIR_SPAN_OPTIONS_INIT;
    older.struct_size = offsetof(weir_span_options, start_ns);
    older.start_ns = 5; /* Beyond its end. */
    sink.look = look_at_parents;
    create();
    weir_span_start(&span, tracer, "span", &older);
    weir_span_end(&span);
    assert_int_equal(seen.start_ns, WALL_NS + 1000);
}

static void every_reason_has_a_name(void **unused)
{
    (void)unused;
    assert_string_equal(weir_span_drop_name(WEIR_SPAN_DROP_NO_RECORD), "no_record");
    assert_string_equal(weir_span_drop_name(WEIR_SPAN_DROP_QUEUE_FULL), "queue_full");
    assert_string_equal(weir_span_drop_name(WEIR_SPAN_DROP_EXPORT_FAILED), "export_failed");
    assert_string_equal(weir_span_drop_name(WEIR_SPAN_DROP_EXPORT_TIMEOUT), "export_timeout");
    assert_string_equal(weir_span_drop_name(WEIR_SPAN_DROP_REJECTED), "rejected");
    assert_string_equal(weir_span_drop_name(WEIR_SPAN_DROP_SHUT_DOWN), "shut_down");
    assert_string_equal(weir_span_drop_name((weir_span_drop)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_span_without_a_parent_begins_a_trace_with_a_random_id),
        CASE(a_child_continues_the_trace_and_copies_the_random_flag),
        CASE(a_parent_that_is_not_valid_is_none),
        CASE(an_ended_span_is_still_a_valid_parent),
        CASE(without_a_tracer_the_context_is_passed_on_as_it_is),
        CASE(the_same_seed_gives_the_same_ids_and_no_id_comes_twice),
        CASE(a_dropped_span_has_ids_and_is_told_to_nobody),
        CASE(a_recorded_span_that_is_not_sampled_is_not_exported),
        CASE(a_threshold_is_told_in_the_tracestate),
        CASE(a_threshold_that_is_not_known_is_taken_away),
        CASE(spans_beyond_the_records_there_are_are_counted),
        CASE(creation_survives_any_want_of_memory),
        CASE(options_out_of_range_are_refused),
        CASE(an_older_caller_has_defaults_for_what_it_does_not_know),
        CASE(every_reason_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

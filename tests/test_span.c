/* What is told of a span, by the rules of the OpenTelemetry specification (Trace API and SDK). */
#include "support/tracer_fixture.h"

static void look_at_attributes(const weir_span_data *span)
{
    const weir_attribute *const a = span->attributes;
    assert_int_equal(span->attribute_count, 9);
    assert_true(span_says(span, "string", "text"));
    assert_true(a[1].as.boolean);
    assert_int_equal(a[2].as.integer, -5);
    assert_true(a[3].as.real == 1.5);
    assert_int_equal(a[4].count, 3);
    assert_memory_equal(a[4].as.bytes, "a\0b", 3);
    assert_int_equal(a[5].count, 2);
    assert_string_equal(a[5].as.strings[1], "two");
    assert_false(a[6].as.booleans[1]);
    assert_int_equal(a[7].as.integers[1], INT64_MIN);
    assert_true(a[8].as.reals[0] == -0.5);
    assert_int_equal(span->dropped_attributes, 0);
}

static void attributes_of_every_type_are_copied(void **unused)
{
    (void)unused;
    weir_span span;
    char text[] = "text", bytes[] = "a\0b";
    const char *strings[] = {"one", "two"};
    bool booleans[] = {true, false};
    int64_t integers[] = {INT64_MAX, INT64_MIN};
    double reals[] = {-0.5};
    weir_attribute const all[] = {
        weir_attribute_string("string", text),
        weir_attribute_bool("bool", true),
        weir_attribute_int("int", -5),
        weir_attribute_double("double", 1.5),
        {.key = "bytes", .type = WEIR_ATTRIBUTE_BYTES, .count = 3, .as.bytes = bytes},
        {.key = "strings", .type = WEIR_ATTRIBUTE_STRINGS, .count = 2, .as.strings = strings},
        {.key = "bools", .type = WEIR_ATTRIBUTE_BOOLS, .count = 2, .as.booleans = booleans},
        {.key = "ints", .type = WEIR_ATTRIBUTE_INTS, .count = 2, .as.integers = integers},
        {.key = "doubles", .type = WEIR_ATTRIBUTE_DOUBLES, .count = 1, .as.reals = reals},
    };
    sink.look = look_at_attributes;
    create();
    weir_span_start(&span, tracer, "span", NULL);
    weir_span_set(&span, all, 9);
    memset(text, 'x', 4);
    memset(bytes, 'x', 3);
    memset(strings, 0, sizeof strings);
    booleans[1] = true;
    integers[1] = 0;
    reals[0] = 0;
    weir_span_end(&span);
    assert_int_equal(sink.spans, 1);
}

static void look_at_the_latest_value(const weir_span_data *span)
{
    assert_int_equal(span->attribute_count, 2);
    assert_true(span_says(span, "key", "a longer value than before"));
    assert_int_equal(span->attributes[1].as.integer, 7);
}

static void an_attribute_that_is_set_again_has_the_latest_value(void **unused)
{
    (void)unused;
    weir_span span;
    weir_attribute const first[] = {weir_attribute_int("key", 1), weir_attribute_int("kez", 7)};
    weir_attribute const again = weir_attribute_string("key", "a longer value than before");
    sink.look = look_at_the_latest_value;
    create();
    weir_span_start(&span, tracer, "span", NULL);
    weir_span_set(&span, first, 2);
    weir_span_set(&span, &again, 1);
    weir_span_end(&span);
    assert_int_equal(sink.spans, 1);
}

static void look_at_limits(const weir_span_data *span)
{
    assert_int_equal(span->attribute_count, 2);
    assert_int_equal(span->dropped_attributes, 2);
    assert_int_equal(span->event_count, 1);
    assert_int_equal(span->dropped_events, 1);
    assert_int_equal(span->link_count, 1);
    assert_int_equal(span->dropped_links, 1);
    assert_int_equal(span->events[0].attribute_count, 1);
    assert_int_equal(span->events[0].dropped_attributes, 1);
    assert_int_equal(span->links[0].attribute_count, 1);
    assert_int_equal(span->links[0].dropped_attributes, 1);
}

static void what_is_over_a_limit_is_discarded_and_counted(void **unused)
{
    (void)unused;
    weir_span span;
    weir_attribute const four[] = {weir_attribute_int("a", 1), weir_attribute_int("b", 2),
                                   weir_attribute_int("c", 3), weir_attribute_int("", 4)};
    weir_span_event const event = {.name = "event", .attributes = four, .attribute_count = 2};
    weir_span_link const link = {.attributes = four, .attribute_count = 2};
    options.max_attributes = 2;
    options.max_events = options.max_links = 1;
    options.max_event_attributes = options.max_link_attributes = 1;
    sink.look = look_at_limits;
    create();
    weir_span_start(&span, tracer, "span", NULL);
    weir_span_set(&span, four, 4);
    for (int i = 0; i < 2; i++) {
        weir_span_add_event(&span, &event);
        weir_span_add_link(&span, &link);
    }
    weir_span_end(&span);
    assert_int_equal(sink.spans, 1);
}

static void look_at_a_hundred_and_twenty_eight(const weir_span_data *span)
{
    assert_int_equal(span->attribute_count, 128);
    assert_int_equal(span->dropped_attributes, 72);
    assert_string_equal(span->attributes[127].key, "key 127");
    assert_int_equal(span->attributes[127].as.integer, 127);
    assert_int_equal(span->event_count, 128);
    assert_int_equal(span->dropped_events, 72);
    assert_string_equal(span->events[127].name, "key 127");
    assert_int_equal(span->link_count, 128);
    assert_int_equal(span->dropped_links, 72);
}

static void a_span_has_128_attributes_events_and_links_by_default(void **unused)
{
    (void)unused;
    weir_span span;
    char key[16];
    sink.look = look_at_a_hundred_and_twenty_eight;
    create();
    weir_span_start(&span, tracer, "span", NULL);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof key, "key %d", i);
        weir_attribute const attribute = weir_attribute_int(key, i);
        weir_span_event const event = {.name = key};
        weir_span_link const link = {.context = span.context};
        weir_span_set(&span, &attribute, 1);
        weir_span_add_event(&span, &event);
        weir_span_add_link(&span, &link);
    }
    weir_span_end(&span);
    assert_int_equal(sink.spans, 1);
}

static void look_at_cut_values(const weir_span_data *span)
{
    assert_true(span_says(span, "latin", "abc"));
    assert_true(span_says(span, "greek", "\xce\xb1\xce\xb2\xce\xb3"));
    assert_int_equal(span->attributes[2].count, 3);
    assert_string_equal(span->attributes[3].as.strings[0], "abc");
    assert_true(span_says(span, "broken", "\xff\xff\xff"));
}

static void values_are_cut_at_whole_characters(void **unused)
{
    (void)unused;
    weir_span span;
    const char *const strings[] = {"abcd"};
    weir_attribute const values[] = {
        weir_attribute_string("latin", "abcd"),
        weir_attribute_string("greek", "\xce\xb1\xce\xb2\xce\xb3\xce\xb4"),
        {.key = "bytes", .type = WEIR_ATTRIBUTE_BYTES, .count = 4, .as.bytes = "\1\2\3\4"},
        {.key = "strings", .type = WEIR_ATTRIBUTE_STRINGS, .count = 1, .as.strings = strings},
        weir_attribute_string("broken", "\xff\xff\xff\xff"),
    };
    options.max_value_length = 3;
    sink.look = look_at_cut_values;
    create();
    weir_span_start(&span, tracer, "span", NULL);
    weir_span_set(&span, values, 5);
    weir_span_end(&span);
    assert_int_equal(sink.spans, 1);
}

static void look_at_a_large_value(const weir_span_data *span)
{
    assert_int_equal(span->attributes[0].count, 100000);
    assert_int_equal(span->attributes[0].as.string[99999], 'x');
    assert_int_equal(span->dropped_attributes, 0);
}

static void a_value_of_any_length_is_kept_by_default(void **unused)
{
    (void)unused;
    static char text[100001];
    weir_span span;
    memset(text, 'x', 100000);
    weir_attribute const large = weir_attribute_string("large", text);
    weir_tracer_stats stats;
    sink.look = look_at_a_large_value;
    create();
    weir_span_start(&span, tracer, "span", NULL);
    weir_span_set(&span, &large, 1);
    weir_span_end(&span);
    assert_int_equal(sink.spans, 1);
    weir_tracer_get_stats(tracer, &stats); /* And its room is not kept. */
    assert_int_equal(stats.memory_bytes, 1024);
}

static void look_at_times(const weir_span_data *span)
{
    assert_int_equal(span->start_ns, WALL_NS + 1000);
    assert_int_equal(span->end_ns, WALL_NS + 4000);
    assert_int_equal(span->events[0].at_ns, WALL_NS + 3000);
    assert_int_equal(span->events[1].at_ns, WALL_NS + 2000);
    assert_string_equal(span->events[0].name, "first");
}

static void times_are_monotonic_and_told_as_those_of_the_wall(void **unused)
{
    (void)unused;
    weir_span span;
    weir_span_event const now = {.name = "first"}, then = {.name = "second", .at_ns = 2000};
    sink.look = look_at_times;
    create();
    weir_span_start(&span, tracer, "span", NULL);
    fake.now_ns = 3000;
    fake.wall_ns = 5; /* It jumps; the span does not. */
    weir_span_add_event(&span, &now);
    weir_span_add_event(&span, &then);
    weir_span_end_at(&span, 4000);
    assert_int_equal(sink.spans, 1);
}

static void look_at_no_time(const weir_span_data *span)
{
    assert_int_equal(span->end_ns, span->start_ns);
}

static void a_clock_that_steps_back_ends_no_span_before_its_start(void **unused)
{
    (void)unused;
    weir_span span;
    sink.look = look_at_no_time;
    create();
    weir_span_start(&span, tracer, "span", NULL);
    fake.now_ns = 10;
    weir_span_end(&span);
    assert_int_equal(sink.spans, 1);
}

static weir_span_status last_status;
static char last_message[32], last_name[32];

static void look_at_status(const weir_span_data *span)
{
    last_status = span->status;
    (void)snprintf(last_message, sizeof last_message, "%s", span->status_message);
    (void)snprintf(last_name, sizeof last_name, "%s", span->name);
}

static void ok_is_final_and_only_errors_have_a_message(void **unused)
{
    (void)unused;
    weir_span span;
    sink.look = look_at_status;
    create();
    weir_span_start(&span, tracer, "span", NULL);
    weir_span_set_status(&span, WEIR_SPAN_ERROR, "first");
    weir_span_set_status(&span, WEIR_SPAN_ERROR, "second");
    weir_span_set_status(&span, WEIR_SPAN_UNSET, "never");
    weir_span_set_name(&span, "another");
    weir_span_set_name(&span, NULL);
    weir_span_end(&span);
    assert_int_equal(last_status, WEIR_SPAN_ERROR);
    assert_string_equal(last_message, "second");
    assert_string_equal(last_name, "another");

    weir_span_start(&span, tracer, "span", NULL);
    weir_span_set_status(&span, WEIR_SPAN_ERROR, "first");
    weir_span_set_status(&span, WEIR_SPAN_OK, "not told");
    weir_span_set_status(&span, WEIR_SPAN_ERROR, "too late");
    weir_span_end(&span);
    assert_int_equal(last_status, WEIR_SPAN_OK);
    assert_string_equal(last_message, "");
}

static void look_at_links(const weir_span_data *span)
{
    assert_int_equal(span->link_count, 2);
    assert_int_equal(span->links[0].context.trace_id[0], 3);
    assert_string_equal(span->links[0].context.state, "vendor=x");
    assert_string_equal(span->links[0].attributes[0].key, "why");
    assert_int_equal(span->links[1].context.trace_id[0], 4);
    assert_int_equal(span->kind, WEIR_SPAN_CONSUMER);
    assert_true(span_says(span, "early", "yes"));
}

static void what_is_known_at_the_start_is_kept(void **unused)
{
    (void)unused;
    weir_span span;
    weir_attribute const early = weir_attribute_string("early", "yes");
    weir_attribute const why = weir_attribute_string("why", "batch");
    weir_span_link const links[] = {
        {.context = {.trace_id = {3}, .span_id = {3}, .state = "vendor=x"},
         .attributes = &why,
         .attribute_count = 1},
        {.context = {.trace_id = {4}, .span_id = {4}}},
    };
    weir_span_options start = WEIR_SPAN_OPTIONS_INIT;
    start.kind = WEIR_SPAN_CONSUMER;
    start.attributes = &early;
    start.attribute_count = 1;
    start.links = links;
    start.link_count = 2;
    sink.look = look_at_links;
    create();
    weir_span_start(&span, tracer, "span", &start);
    weir_span_end(&span);
    assert_int_equal(sink.spans, 1);
}

static void a_second_end_and_writes_after_it_are_ignored(void **unused)
{
    (void)unused;
    weir_span span, other;
    weir_attribute const late = weir_attribute_int("late", 1);
    weir_span_event const event = {.name = "late"};
    weir_span_link const link = {.context = {{0}, {0}, 0, false, false, NULL}};
    create();
    weir_span_start(&span, tracer, "span", NULL);
    assert_true(weir_span_recording(&span));
    weir_span_end(&span);
    assert_false(weir_span_recording(&span));
    weir_span_start(&other, tracer, "other", NULL); /* It has the record now. */
    weir_span_set(&span, &late, 1);
    weir_span_add_event(&span, &event);
    weir_span_add_link(&span, &link);
    weir_span_set_status(&span, WEIR_SPAN_ERROR, "late");
    weir_span_set_name(&span, "late");
    weir_span_end(&span);
    assert_true(weir_span_recording(&other));
    sink.look = look_at_status;
    weir_span_end(&other);
    assert_int_equal(sink.spans, 2);
    assert_string_equal(last_name, "other");
    assert_int_equal(last_status, WEIR_SPAN_UNSET);
}

static void steady_work_allocates_nothing(void **unused)
{
    (void)unused;
    weir_span span;
    weir_attribute attributes[12];
    char keys[12][8];
    for (int i = 0; i < 12; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%d", i);
        attributes[i] = weir_attribute_string(keys[i], "a value of some length, as they often are");
    }
    create();
    for (int i = 0; i < 100; i++) {
        weir_span_start(&span, tracer, "span", NULL);
        weir_span_set(&span, attributes, 12);
        weir_span_end(&span);
        if (i == 0)
            fake.calls = 0;
    }
    assert_int_equal(fake.calls, 0);
    assert_int_equal(sink.spans, 100);
}

static void tell_everything(void)
{
    weir_span span;
    const char *const strings[] = {"one", "two"};
    static char large[3000];
    memset(large, 'x', sizeof large - 1);
    weir_attribute const some[] = {
        {.key = "strings", .type = WEIR_ATTRIBUTE_STRINGS, .count = 2, .as.strings = strings},
        weir_attribute_string("large", large),
        weir_attribute_string("again", large),
        {.key = "ints", .type = WEIR_ATTRIBUTE_BYTES, .count = 2999, .as.bytes = large},
    };
    weir_span_event const event = {.name = large, .attributes = some, .attribute_count = 4};
    weir_span_link const link = {.context = {.state = large},
                                 .attributes = some,
                                 .attribute_count = 4};
    weir_span_start(&span, tracer, "short", NULL);
    weir_span_set(&span, some, 4);
    weir_span_add_event(&span, &event);
    weir_span_add_link(&span, &link);
    weir_span_set_status(&span, WEIR_SPAN_ERROR, large);
    weir_span_set_name(&span, large);
    weir_span_end(&span);
}

static uint64_t losses;

static void look_at_losses(const weir_span_data *span)
{
    losses += span->dropped_attributes + span->dropped_events + span->dropped_links;
    losses += span->status_message[0] == '\0';
    losses += strcmp(span->name, "short") == 0;
    for (size_t i = 0; i < span->event_count; i++)
        losses += span->events[i].dropped_attributes;
    for (size_t i = 0; i < span->link_count; i++)
        losses += span->links[i].dropped_attributes;
}

static void a_span_survives_any_want_of_memory_and_tells_what_it_lost(void **unused)
{
    (void)unused;
    create();
    sink.look = look_at_losses;
    for (unsigned fail_at = 1;; fail_at++) {
        uint64_t const spans = sink.spans;
        losses = 0;
        fake.calls = 0;
        fake.fail_at = fail_at;
        tell_everything();
        fake.fail_at = 0;
        if (fake.calls < fail_at) {
            assert_int_equal(losses, 0);
            break;
        }
        assert_true(sink.spans == spans ? dropped(WEIR_SPAN_DROP_NO_RECORD) > 0 : losses > 0);
        weir_tracer_destroy(tracer);
        create();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(attributes_of_every_type_are_copied),
        CASE(an_attribute_that_is_set_again_has_the_latest_value),
        CASE(what_is_over_a_limit_is_discarded_and_counted),
        CASE(a_span_has_128_attributes_events_and_links_by_default),
        CASE(values_are_cut_at_whole_characters),
        CASE(a_value_of_any_length_is_kept_by_default),
        CASE(times_are_monotonic_and_told_as_those_of_the_wall),
        CASE(a_clock_that_steps_back_ends_no_span_before_its_start),
        CASE(ok_is_final_and_only_errors_have_a_message),
        CASE(what_is_known_at_the_start_is_kept),
        CASE(a_second_end_and_writes_after_it_are_ignored),
        CASE(steady_work_allocates_nothing),
        CASE(a_span_survives_any_want_of_memory_and_tells_what_it_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

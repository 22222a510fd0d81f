/* The trace store: whole traces by any of their spans, bounded, and unmoved while looked at. */
#include "support/fake_env.h"
#include "support/made_spans.h"

#include <weir/trace_store.h>

#include <stdio.h>
#include <string.h>

static fake_env fake;
static weir_env env;
static weir_trace_store *store;
static weir_trace_store_options options;
static weir_trace_query query;
static char found[64]; /* The first byte of each trace's id, as a letter. */
static size_t spans_found;

static int setup(void **unused)
{
    (void)unused;
    fake = (fake_env){.random = 1, .random_step = 1};
    env = fake_env_hooks(&fake);
    options = (weir_trace_store_options)WEIR_TRACE_STORE_OPTIONS_INIT;
    options.env = &env;
    query = (weir_trace_query)WEIR_TRACE_QUERY_INIT;
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    weir_trace_store_destroy(store);
    store = NULL;
    assert_int_equal(fake.live, 0);
    return 0;
}

static void create(void)
{
    assert_int_equal(weir_trace_store_create(&store, &options), WEIR_OK);
}

static void add(const char *service, weir_span_data span)
{
    made_answer const answer = made_export(weir_trace_store_exporter(store), service, &span, 1);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.result, WEIR_OK);
    assert_int_equal(answer.rejected, 0);
}

static bool note(const weir_stored_trace *trace, void *user)
{
    size_t const count = strlen(found);
    (void)user;
    found[count] = (char)trace->trace_id[0];
    found[count + 1] = '\0';
    spans_found += trace->span_count;
    return true;
}

static const char *find(void)
{
    found[0] = '\0';
    spans_found = 0;
    assert_int_equal(weir_trace_store_find(store, &query, note, NULL), WEIR_OK);
    return found;
}

static weir_trace_store_stats stats(void)
{
    weir_trace_store_stats now;
    weir_trace_store_get_stats(store, &now);
    return now;
}

static void three_traces(void)
{
    weir_span_data span = made_span('a', 1, 0, "GET /orders", 1000, 50);
    add("shop", span);
    span = made_span('a', 2, 1, "SELECT", 1010, 30);
    span.status = WEIR_SPAN_ERROR;
    add("database", span);
    add("shop", made_span('b', 1, 0, "GET /stock", 2000, 5));
    span = made_span('c', 1, 0, "GET /orders", 3000, 500);
    weir_attribute const attributes[] = {weir_attribute_string("tenant", "blue"),
                                         weir_attribute_int("size", 3)};
    span.attributes = attributes;
    span.attribute_count = 2;
    add(NULL, span);
}

static void all_traces_are_found_that_came_last_first(void **unused)
{
    (void)unused;
    create();
    assert_string_equal(find(), "");
    three_traces();
    assert_string_equal(find(), "cba");
    assert_int_equal(spans_found, 4);
    assert_int_equal(weir_trace_store_find(store, NULL, note, NULL), WEIR_OK);
    assert_string_equal(found, "cbacba");
    assert_int_equal(stats().traces, 3);
    assert_int_equal(stats().spans, 4);
}

static void a_trace_is_found_by_its_id(void **unused)
{
    (void)unused;
    uint8_t const b[16] = {'b'}, x[16] = {'b', 1};
    create();
    three_traces();
    query.trace_id = b;
    assert_string_equal(find(), "b");
    query.trace_id = x;
    assert_string_equal(find(), "");
}

static void a_trace_is_found_by_any_of_its_spans(void **unused)
{
    (void)unused;
    create();
    three_traces();
    query.service = "database";
    assert_string_equal(find(), "a");
    assert_int_equal(spans_found, 2); /* The whole of it. */
    query.operation = "GET /orders";
    assert_string_equal(find(), ""); /* But one of them must be all of it. */
    query.service = "shop";
    assert_string_equal(find(), "a");
    query.service = NULL;
    assert_string_equal(find(), "ca");
}

static void durations_and_times_bound_what_is_found(void **unused)
{
    (void)unused;
    create();
    three_traces();
    query.min_duration_ns = 50;
    assert_string_equal(find(), "ca");
    query.min_duration_ns = 51;
    assert_string_equal(find(), "c");
    query.min_duration_ns = 0;
    query.max_duration_ns = 5;
    assert_string_equal(find(), "b");
    query.max_duration_ns = UINT64_MAX;
    query.from_ns = 2000;
    assert_string_equal(find(), "cb");
    query.to_ns = 3000;
    assert_string_equal(find(), "b");
}

static void errors_and_attributes_are_asked_for(void **unused)
{
    (void)unused;
    create();
    three_traces();
    query.status = WEIR_SPAN_ERROR;
    assert_string_equal(find(), "a");
    query.status = -1;
    query.attribute = "tenant";
    assert_string_equal(find(), "c");
    query.value = "blue";
    assert_string_equal(find(), "c");
    query.value = "green";
    assert_string_equal(find(), "");
    query.attribute = "size";
    assert_string_equal(find(), "");
    query.value = NULL;
    assert_string_equal(find(), "c");
    query.attribute = NULL;
    query.limit = 2;
    assert_string_equal(find(), "cb");
}

static bool look_at_a(const weir_stored_trace *trace, void *user)
{
    unsigned *const calls = user;
    ++*calls;
    assert_int_equal(trace->start_ns, 1000);
    assert_int_equal(trace->end_ns, 1050);
    assert_int_equal(trace->error_count, 1);
    assert_string_equal(trace->spans[0].service, "shop");
    assert_string_equal(trace->spans[0].span->name, "GET /orders");
    assert_string_equal(trace->spans[1].service, "database");
    return false;
}

static void a_trace_tells_its_times_and_errors(void **unused)
{
    (void)unused;
    unsigned calls = 0;
    create();
    three_traces();
    query.to_ns = 2001;
    query.operation = "SELECT";
    assert_int_equal(weir_trace_store_find(store, &query, look_at_a, &calls), WEIR_OK);
    assert_int_equal(calls, 1);
}

/* ---- A span is copied with all that it says ---- */

static bool look_at_everything(const weir_stored_trace *trace, void *user)
{
    const weir_span_data *const span = trace->spans[0].span;
    const weir_attribute *const a = span->attributes;
    unsigned *const calls = user;
    ++*calls;
    assert_string_equal(span->context.state, "ot=th:8");
    assert_string_equal(span->status_message, "broken");
    assert_int_equal(span->attribute_count, 9);
    assert_string_equal(a[0].as.string, "cut"); /* And ended, though it was not. */
    assert_true(a[1].as.boolean);
    assert_int_equal(a[2].as.integer, 7);
    assert_true(a[3].as.real == 0.5);
    assert_memory_equal(a[4].as.bytes, "\0\1", 2);
    assert_string_equal(a[5].as.strings[1], "two");
    assert_true(a[6].as.booleans[0]);
    assert_int_equal(a[7].as.integers[1], -2);
    assert_true(a[8].as.reals[0] == 2.5);
    assert_int_equal(span->event_count, 1);
    assert_string_equal(span->events[0].name, "event");
    assert_string_equal(span->events[0].attributes[0].key, "string");
    assert_int_equal(span->link_count, 1);
    assert_string_equal(span->links[0].context.state, "a=b");
    assert_string_equal(span->links[0].attributes[0].as.string, "cut");
    return true;
}

static void add_everything(void)
{
    char text[] = "cutoff";
    const char *strings[] = {"one", "two"};
    bool booleans[] = {true};
    int64_t integers[] = {1, -2};
    double reals[] = {2.5};
    weir_attribute all[] = {
        weir_attribute_text("string", text, 3),
        weir_attribute_bool("bool", true),
        weir_attribute_int("int", 7),
        weir_attribute_double("double", 0.5),
        {.key = "bytes", .type = WEIR_ATTRIBUTE_BYTES, .count = 2, .as.bytes = "\0\1"},
        {.key = "strings", .type = WEIR_ATTRIBUTE_STRINGS, .count = 2, .as.strings = strings},
        {.key = "bools", .type = WEIR_ATTRIBUTE_BOOLS, .count = 1, .as.booleans = booleans},
        {.key = "ints", .type = WEIR_ATTRIBUTE_INTS, .count = 2, .as.integers = integers},
        {.key = "doubles", .type = WEIR_ATTRIBUTE_DOUBLES, .count = 1, .as.reals = reals},
    };
    weir_span_event const event = {.name = "event", .attributes = all, .attribute_count = 1};
    weir_span_link const link = {.context = {.state = "a=b"},
                                 .attributes = all,
                                 .attribute_count = 1};
    weir_span_data span = made_span('e', 1, 0, "everything", 1, 1);
    span.context.state = "ot=th:8";
    span.status = WEIR_SPAN_ERROR;
    span.status_message = "broken";
    span.attributes = all;
    span.attribute_count = 9;
    span.events = &event;
    span.event_count = 1;
    span.links = &link;
    span.link_count = 1;
    add("shop", span);
    memset(text, 'x', 3);
    memset(all, 0, sizeof all);
}

static void a_span_is_copied_with_all_that_it_says(void **unused)
{
    (void)unused;
    unsigned calls = 0;
    create();
    add_everything();
    assert_int_equal(weir_trace_store_find(store, NULL, look_at_everything, &calls), WEIR_OK);
    assert_int_equal(calls, 1);
}

/* ---- Bounds ---- */

static void the_oldest_trace_goes_first_and_whole(void **unused)
{
    (void)unused;
    options.max_spans = 4;
    create();
    three_traces(); /* a a b c */
    add("shop", made_span('d', 1, 0, "GET /", 4000, 1));
    assert_string_equal(find(), "dcb");
    assert_int_equal(stats().evicted, 2);
    assert_int_equal(stats().spans, 3);
    add("shop", made_span('b', 2, 1, "late", 2001, 1));
    add("shop", made_span('b', 3, 1, "later", 2002, 1)); /* Not at the cost of its own trace. */
    assert_string_equal(find(), "db");
    assert_int_equal(stats().evicted, 3);
}

static void a_trace_that_is_too_large_by_itself_is_refused_the_rest(void **unused)
{
    (void)unused;
    options.max_spans = 2;
    create();
    add("shop", made_span('a', 1, 0, "1", 1, 1));
    add("shop", made_span('a', 2, 1, "2", 1, 1));
    weir_span_data const third = made_span('a', 3, 1, "3", 1, 1);
    made_answer const answer = made_export(weir_trace_store_exporter(store), "shop", &third, 1);
    assert_int_equal(answer.result, WEIR_OK);
    assert_int_equal(answer.rejected, 1);
    assert_int_equal(stats().refused, 1);
    assert_int_equal(stats().spans, 2);
}

static void memory_is_bounded_too(void **unused)
{
    (void)unused;
    options.max_bytes = 4096;
    create();
    for (int i = 0; i < 1000; i++) {
        add("shop", made_span((uint8_t)('a' + i % 26), (uint8_t)i, 0, "GET /", 1, 1));
        assert_true(stats().bytes <= 4096);
    }
    assert_true(stats().spans > 3);
    assert_int_equal(stats().spans + stats().evicted, 1000);
    static char large[5000];
    memset(large, 'x', sizeof large - 1);
    weir_span_data const span = made_span('z', 1, 0, large, 1, 1);
    made_answer const answer = made_export(weir_trace_store_exporter(store), "shop", &span, 1);
    assert_int_equal(answer.rejected, 1);
}

/* ---- While it is looked at ---- */

static bool clear_and_look(const weir_stored_trace *trace, void *user)
{
    (void)user;
    weir_trace_store_clear(store);
    add("shop", made_span('x', 1, 0, "new", 1, 1));
    spans_found += strlen(trace->spans[0].span->name); /* Still there. */
    return true;
}

static void what_is_looked_at_stays_whatever_becomes_of_the_store(void **unused)
{
    (void)unused;
    create();
    three_traces();
    spans_found = 0;
    assert_int_equal(weir_trace_store_find(store, NULL, clear_and_look, NULL), WEIR_OK);
    assert_int_equal(spans_found, strlen("GET /orders"
                                         "GET /stock"
                                         "GET /orders"));
    assert_string_equal(find(), "x");
}

static void every_call_survives_a_want_of_memory(void **unused)
{
    (void)unused;
    options.max_spans = 1000;
    fake.calls = 0;
    fake.fail_at = 1;
    assert_int_equal(weir_trace_store_create(&store, &options), WEIR_ENOMEM);
    assert_null(store);
    fake.fail_at = 0;
    create();
    for (unsigned fail_at = 1; fail_at <= 3; fail_at++) { /* The span, the trace, the map. */
        weir_span_data const span = made_span('a', 1, 0, "1", 1, 1);
        fake.calls = 0;
        fake.fail_at = fail_at;
        made_answer const answer = made_export(weir_trace_store_exporter(store), "shop", &span, 1);
        fake.fail_at = 0;
        assert_int_equal(answer.rejected, 1);
        assert_int_equal(stats().spans, 0);
        assert_int_equal(stats().traces, 0);
    }
    three_traces();
    for (unsigned fail_at = 1; fail_at <= 3; fail_at++) {
        fake.calls = 0;
        fake.fail_at = fail_at;
        found[0] = '\0';
        assert_int_equal(weir_trace_store_find(store, NULL, note, NULL), WEIR_ENOMEM);
        fake.fail_at = 0;
        assert_string_equal(found, "");
    }
    assert_string_equal(find(), "cba");
}

static void options_out_of_range_are_refused(void **unused)
{
    (void)unused;
    options.max_spans = 0;
    assert_int_equal(weir_trace_store_create(&store, &options), WEIR_EINVAL);
    options.max_spans = 1;
    options.max_bytes = 1023;
    assert_int_equal(weir_trace_store_create(&store, &options), WEIR_EINVAL);
    options.max_bytes = 1024;
    options.struct_size = 1;
    assert_int_equal(weir_trace_store_create(&store, &options), WEIR_EINVAL);
    options.struct_size = sizeof options;
    create();
    query.struct_size = 1;
    assert_int_equal(weir_trace_store_find(store, &query, note, NULL), WEIR_EINVAL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(all_traces_are_found_that_came_last_first),
        CASE(a_trace_is_found_by_its_id),
        CASE(a_trace_is_found_by_any_of_its_spans),
        CASE(durations_and_times_bound_what_is_found),
        CASE(errors_and_attributes_are_asked_for),
        CASE(a_trace_tells_its_times_and_errors),
        CASE(a_span_is_copied_with_all_that_it_says),
        CASE(the_oldest_trace_goes_first_and_whole),
        CASE(a_trace_that_is_too_large_by_itself_is_refused_the_rest),
        CASE(memory_is_bounded_too),
        CASE(what_is_looked_at_stays_whatever_becomes_of_the_store),
        CASE(every_call_survives_a_want_of_memory),
        CASE(options_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Propagation: W3C Trace Context Level 2, B3 and Jaeger, by examples and rules of their texts. */
#include "support/fake_env.h"
#include "support/fields.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN   "00f067aa0ba902b7"
#define PARENT "00-" TRACE "-" SPAN "-01"

static fields f;
static weir_trace_context context;
static char state[WEIR_TRACESTATE_SIZE];

static int setup(void **unused)
{
    (void)unused;
    f.count = 0;
    f.room = FIELDS_MAX;
    return 0;
}

static int extract(unsigned formats)
{
    weir_carrier const carrier = fields_carrier(&f);
    return weir_propagation_extract(formats, &carrier, &context, state);
}

static int inject(unsigned formats)
{
    weir_carrier const carrier = fields_carrier(&f);
    return weir_propagation_inject(formats, &context, &carrier);
}

static void assert_ids(const char *trace, const char *span)
{
    char text[WEIR_TRACEPARENT_SIZE];
    weir_traceparent_format(&context, text);
    assert_memory_equal(text + 3, trace, 32);
    assert_memory_equal(text + 36, span, 16);
}

/* ---- traceparent ---- */

static void a_traceparent_is_read_and_written_as_it_was(void **unused)
{
    (void)unused;
    char text[WEIR_TRACEPARENT_SIZE];
    assert_int_equal(weir_traceparent_parse(&context, PARENT, 55), WEIR_OK);
    assert_int_equal(context.trace_id[0], 0x4b);
    assert_int_equal(context.trace_id[15], 0x36);
    assert_int_equal(context.span_id[1], 0xf0);
    assert_int_equal(context.flags, WEIR_TRACE_SAMPLED);
    assert_true(weir_trace_context_valid(&context));
    weir_traceparent_format(&context, text);
    assert_string_equal(text, PARENT);
    assert_int_equal(weir_traceparent_parse(&context, "\t " PARENT " ", 58), WEIR_OK);
}

static void of_all_letters_only_lower_case_digits_are_read_at_every_place(void **unused)
{
    (void)unused;
    char text[] = PARENT;
    for (size_t at = 0; at < 55; at++) {
        char const was = text[at];
        for (int letter = 1; letter < 256; letter++) {
            bool const digit = (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f');
            text[at] = (char)letter;
            bool const good = was == '-' ? letter == '-' : digit;
            assert_int_equal(weir_traceparent_parse(&context, text, 55),
                             good ? WEIR_OK : WEIR_EPROTOCOL);
        }
        text[at] = was;
    }
}

static void flags_but_sampled_and_random_are_not_passed_on(void **unused)
{
    (void)unused;
    char text[WEIR_TRACEPARENT_SIZE];
    assert_int_equal(weir_traceparent_parse(&context, "00-" TRACE "-" SPAN "-ff", 55), WEIR_OK);
    assert_int_equal(context.flags, WEIR_TRACE_SAMPLED | WEIR_TRACE_RANDOM);
    weir_traceparent_format(&context, text);
    assert_string_equal(text + 53, "03");
}

static void a_traceparent_that_is_not_to_the_letter_is_none(void **unused)
{
    (void)unused;
    static const char *const wrong[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-",
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-01-",
        "00-" TRACE "-" SPAN "-01-what-the-future-will-be-like",
        "00-" TRACE "-" SPAN "-01.",
        "ff-" TRACE "-" SPAN "-01",
        "FF-" TRACE "-" SPAN "-01",
        "0-" TRACE "-" SPAN "-01",
        "000-" TRACE "-" SPAN "-01",
        ".0-" TRACE "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-.bf92f3577b34da6a3ce929d0e0e4736-" SPAN "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
        "00-" TRACE "-00F067AA0BA902B7-01",
        "00-" TRACE "-" SPAN "-0G",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-" TRACE "-" SPAN "_01",
        "cc-" TRACE "-" SPAN "-01.what-the-future-will-not-be-like",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (weir_traceparent_parse(&context, wrong[i], strlen(wrong[i])) != WEIR_EPROTOCOL)
            fail_msg("taken: %s", wrong[i]);
        assert_false(weir_trace_context_valid(&context));
    }
}

static void a_version_to_come_is_read_as_far_as_it_is_known(void **unused)
{
    (void)unused;
    static const char *const good[] = {
        "cc-" TRACE "-" SPAN "-01",
        "cc-" TRACE "-" SPAN "-01-what-the-future-will-be-like",
        "01-" TRACE "-" SPAN "-01-",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[WEIR_TRACEPARENT_SIZE];
        assert_int_equal(weir_traceparent_parse(&context, good[i], strlen(good[i])), WEIR_OK);
        weir_traceparent_format(&context, text);
        assert_string_equal(text, PARENT); /* Always version 00. */
    }
}

static void two_traceparents_are_none(void **unused)
{
    (void)unused;
    assert_int_equal(extract(WEIR_PROPAGATE_DEFAULT), WEIR_ENOTFOUND);
    fields_add(&f, "traceparent", PARENT);
    assert_int_equal(extract(WEIR_PROPAGATE_DEFAULT), WEIR_OK);
    assert_true(context.remote);
    fields_add(&f, "traceparent", "00-" TRACE "-b7ad6b7169203331-01");
    assert_int_equal(extract(WEIR_PROPAGATE_DEFAULT), WEIR_EPROTOCOL);
    assert_false(weir_trace_context_valid(&context));
}

/* ---- tracestate ---- */

static const char *state_of(const char *first, const char *second)
{
    f.count = 0;
    fields_add(&f, "traceparent", PARENT);
    fields_add(&f, "tracestate", first);
    if (second != NULL)
        fields_add(&f, "tracestate", second);
    assert_int_equal(extract(WEIR_PROPAGATE_TRACECONTEXT), WEIR_OK);
    return context.state;
}

static void tracestate_is_joined_in_order_without_blanks_and_empty_members(void **unused)
{
    (void)unused;
    assert_string_equal(state_of("foo=1,bar=2", NULL), "foo=1,bar=2");
    assert_string_equal(state_of("foo=1", "bar=2"), "foo=1,bar=2");
    assert_string_equal(state_of("foo=1 \t , \t bar=2, \t baz=3", NULL), "foo=1,bar=2,baz=3");
    assert_string_equal(state_of("foo=1,", ",bar=2"), "foo=1,bar=2");
    assert_string_equal(state_of("", "foo=1"), "foo=1");
    assert_string_equal(state_of("foo= 1", NULL),
                        "foo= 1"); /* Blanks before a value are its own. */
    assert_string_equal(state_of("0a/b*c-d_e@f=x", NULL), "0a/b*c-d_e@f=x");
}

static void a_malformed_tracestate_leaves_the_traceparent_alone(void **unused)
{
    (void)unused;
    static const char *const wrong[] = {
        "foo",       "foo =1", "FOO=1", "foo.bar=1", "foo@=1,bar=2=3", "foo=1\x7f",
        "foo=b\x01", "=1",     "@a=1",  "-a=1",      "foo=",           "é=1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_string_equal(state_of(wrong[i], NULL), "");
    assert_ids(TRACE, SPAN);
}

static void keys_values_and_members_have_their_bounds(void **unused)
{
    (void)unused;
    char text[700], key[258], expected[700];
    memset(key, 'k', 256);
    key[256] = '\0';
    (void)snprintf(text, sizeof text, "%s=1", key);
    assert_string_equal(state_of(text, NULL), text);
    (void)snprintf(text, sizeof text, "k%s=1", key);
    assert_string_equal(state_of(text, NULL), "");
    (void)snprintf(text, sizeof text, "a=%s", key);
    assert_string_equal(state_of(text, NULL), text);
    (void)snprintf(text, sizeof text, "a=%sk", key);
    assert_string_equal(state_of(text, NULL), "");
    size_t size = 0;
    for (int i = 1; i <= 32; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%sbar%02d=%02d",
                                 i > 1 ? "," : "", i, i);
    (void)snprintf(expected, sizeof expected, "%s", text);
    assert_string_equal(state_of(text, NULL), expected);
    assert_string_equal(state_of(text, "one=more"), ""); /* 33 members. */
}

/* 512 characters: long members go first, then those at the end. */
static void what_does_not_fit_is_left_out(void **unused)
{
    (void)unused;
    char filler[129], text[2000];
    memset(filler, 'x', 128);
    filler[128] = '\0';
    (void)snprintf(text, sizeof text, "a=%.100s,b=%.127s,c=%.100s,d=%.100s,e=%.100s", filler,
                   filler, filler, filler, filler);
    const char *const got = state_of(text, NULL); /* b has 129 bytes. */
    assert_int_equal(strlen(got), 4 * 102 + 3);
    assert_null(strstr(got, "b="));
    assert_non_null(strstr(got, ",e=x"));
    (void)snprintf(text, sizeof text, "a=%.100s,b=%.126s,c=%.100s,d=%.100s,e=%.100s", filler,
                   filler, filler, filler, filler);
    assert_null(strstr(state_of(text, NULL), "e=")); /* 128 bytes are not long. */
    assert_int_equal(strlen(context.state), 128 + 3 * 102 + 3);
}

static void a_member_is_found_put_first_and_removed(void **unused)
{
    (void)unused;
    char out[WEIR_TRACESTATE_SIZE];
    const char *value;
    size_t size;
    assert_true(weir_tracestate_get("foo=1,bar=22", "bar", &value, &size));
    assert_int_equal(size, 2);
    assert_memory_equal(value, "22", 2);
    assert_false(weir_tracestate_get("foo=1,bar=22", "ba", &value, &size));
    assert_false(weir_tracestate_get(NULL, "ba", &value, &size));
    assert_int_equal(weir_tracestate_set(out, "foo=1,bar=2", "ot", "th:8"), WEIR_OK);
    assert_string_equal(out, "ot=th:8,foo=1,bar=2");
    assert_int_equal(weir_tracestate_set(out, "foo=1,bar=2", "bar", "3"), WEIR_OK);
    assert_string_equal(out, "bar=3,foo=1");
    assert_int_equal(weir_tracestate_set(out, "foo=1,bar=2", "foo", NULL), WEIR_OK);
    assert_string_equal(out, "bar=2");
    assert_int_equal(weir_tracestate_set(out, NULL, "a", "b"), WEIR_OK);
    assert_string_equal(out, "a=b");
    assert_int_equal(weir_tracestate_set(out, "foo=1", "A", "b"), WEIR_EINVAL);
    assert_string_equal(out, "foo=1");
    assert_int_equal(weir_tracestate_set(out, "foo=1", "a", "b,c"), WEIR_EINVAL);
    assert_int_equal(weir_tracestate_set(out, "foo=1", "a", ""), WEIR_EINVAL);
    assert_int_equal(weir_tracestate_set(out, "not a state", "a", "b"), WEIR_OK);
    assert_string_equal(out, "a=b");
    char full[400] = "";
    for (int i = 0; i < 32; i++)
        (void)snprintf(full + strlen(full), sizeof full - strlen(full), "%sm%d=1", i > 0 ? "," : "",
                       i);
    assert_int_equal(weir_tracestate_set(out, full, "new", "1"), WEIR_OK);
    assert_memory_equal(out, "new=1,m0=1,", 11);
    assert_null(strstr(out, "m31=1")); /* The 33rd is one too many. */
}

/* ---- All formats ---- */

static void what_is_injected_is_extracted_again(void **unused)
{
    (void)unused;
    static const unsigned formats[] = {WEIR_PROPAGATE_TRACECONTEXT, WEIR_PROPAGATE_B3,
                                       WEIR_PROPAGATE_B3MULTI, WEIR_PROPAGATE_JAEGER};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        for (unsigned sampled = 0; sampled < 2; sampled++) {
            f.count = 0;
            assert_int_equal(weir_traceparent_parse(&context, PARENT, 55), WEIR_OK);
            context.flags = (uint8_t)sampled;
            assert_int_equal(inject(formats[i]), WEIR_OK);
            assert_int_equal(extract(formats[i]), WEIR_OK);
            assert_ids(TRACE, SPAN);
            assert_int_equal(context.flags, sampled);
            assert_true(context.remote);
            assert_false(context.debug);
        }
}

static void headers_are_as_their_texts_have_them(void **unused)
{
    (void)unused;
    assert_int_equal(weir_traceparent_parse(&context, PARENT, 55), WEIR_OK);
    context.state = "foo=1";
    assert_int_equal(inject(31), WEIR_OK);
    assert_string_equal(fields_of(&f, "traceparent"), PARENT);
    assert_string_equal(fields_of(&f, "tracestate"), "foo=1");
    assert_string_equal(fields_of(&f, "b3"), TRACE "-" SPAN "-1");
    assert_string_equal(fields_of(&f, "x-b3-traceid"), TRACE);
    assert_string_equal(fields_of(&f, "x-b3-spanid"), SPAN);
    assert_string_equal(fields_of(&f, "x-b3-sampled"), "1");
    assert_null(fields_of(&f, "x-b3-flags"));
    assert_string_equal(fields_of(&f, "uber-trace-id"), TRACE ":" SPAN ":0:1");
    f.count = 0;
    context.debug = true;
    assert_int_equal(inject(28), WEIR_OK);
    assert_string_equal(fields_of(&f, "b3"), TRACE "-" SPAN "-d");
    assert_string_equal(fields_of(&f, "x-b3-flags"), "1");
    assert_null(fields_of(&f, "x-b3-sampled"));
    assert_string_equal(fields_of(&f, "uber-trace-id"), TRACE ":" SPAN ":0:3");
}

static void what_is_not_valid_or_has_no_room_is_told(void **unused)
{
    (void)unused;
    weir_trace_context const none = {.flags = 0};
    weir_carrier const carrier = fields_carrier(&f);
    assert_int_equal(weir_propagation_inject(1, &none, &carrier), WEIR_EINVAL);
    assert_int_equal(weir_traceparent_parse(&context, PARENT, 55), WEIR_OK);
    context.state = "foo=1";
    for (size_t room = 0; room < 7; room++) {
        f.count = 0;
        f.room = room;
        assert_int_equal(inject(29), WEIR_ENOMEM);
    }
    f.count = 0;
    f.room = 7;
    assert_int_equal(inject(29), WEIR_OK);
}

static void b3_in_one_header_is_read_in_all_its_forms(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int result, flags;
        bool debug;
    } all[] = {
        {TRACE "-" SPAN, WEIR_OK, 0, false},
        {TRACE "-" SPAN "-0", WEIR_OK, 0, false},
        {TRACE "-" SPAN "-1", WEIR_OK, 1, false},
        {TRACE "-" SPAN "-d", WEIR_OK, 1, true},
        {TRACE "-" SPAN "-1-05e3ac9a4f6e3b90", WEIR_OK, 1, false},
        {"0", WEIR_ENOTFOUND, 0, false},
        {"1", WEIR_ENOTFOUND, 0, false},
        {"d", WEIR_ENOTFOUND, 0, false},
        {"", WEIR_EPROTOCOL, 0, false},
        {"2", WEIR_EPROTOCOL, 0, false},
        {TRACE, WEIR_EPROTOCOL, 0, false},
        {TRACE "-" SPAN "-2", WEIR_EPROTOCOL, 0, false},
        {TRACE "-" SPAN "-1-", WEIR_EPROTOCOL, 0, false},
        {TRACE "-" SPAN "-", WEIR_EPROTOCOL, 0, false},
        {TRACE "-" SPAN "-1-05", WEIR_EPROTOCOL, 0, false},
        {TRACE "-0000000000000000-1", WEIR_EPROTOCOL, 0, false},
        {"4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN, WEIR_EPROTOCOL, 0, false},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        f.count = 0;
        fields_add(&f, "b3", all[i].text);
        if (extract(WEIR_PROPAGATE_B3) != all[i].result)
            fail_msg("%s", all[i].text);
        assert_int_equal(context.flags, all[i].flags);
        assert_int_equal(context.debug, all[i].debug);
    }
    f.count = 0;
    fields_add(&f, "b3", "a3ce929d0e0e4736-" SPAN "-1"); /* 64 bits. */
    assert_int_equal(extract(WEIR_PROPAGATE_B3), WEIR_OK);
    assert_ids("0000000000000000a3ce929d0e0e4736", SPAN);
}

static void b3_in_several_headers_is_read_in_all_its_forms(void **unused)
{
    (void)unused;
    static const struct {
        const char *trace, *span, *sampled, *flags;
        int result, out;
    } all[] = {
        {TRACE, SPAN, NULL, NULL, WEIR_OK, 0},         {TRACE, SPAN, "1", NULL, WEIR_OK, 1},
        {TRACE, SPAN, "0", NULL, WEIR_OK, 0},          {TRACE, SPAN, "true", NULL, WEIR_OK, 1},
        {TRACE, SPAN, "false", NULL, WEIR_OK, 0},      {TRACE, SPAN, "0", "1", WEIR_OK, 1},
        {TRACE, SPAN, NULL, "0", WEIR_OK, 0},          {TRACE, SPAN, "d", NULL, WEIR_EPROTOCOL, 0},
        {TRACE, NULL, "1", NULL, WEIR_EPROTOCOL, 0},   {NULL, SPAN, "1", NULL, WEIR_ENOTFOUND, 0},
        {"12", SPAN, "1", NULL, WEIR_EPROTOCOL, 0},    {TRACE, "12", "1", NULL, WEIR_EPROTOCOL, 0},
        {TRACE, SPAN, "yes", NULL, WEIR_EPROTOCOL, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        f.count = 0;
        if (all[i].trace != NULL)
            fields_add(&f, "x-b3-traceid", all[i].trace);
        if (all[i].span != NULL)
            fields_add(&f, "x-b3-spanid", all[i].span);
        if (all[i].sampled != NULL)
            fields_add(&f, "x-b3-sampled", all[i].sampled);
        if (all[i].flags != NULL)
            fields_add(&f, "x-b3-flags", all[i].flags);
        if (extract(WEIR_PROPAGATE_B3MULTI) != all[i].result)
            fail_msg("case %zu", i);
        assert_int_equal(context.flags, all[i].out);
    }
}

static void jaegers_header_is_read_with_and_without_leading_zeros(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int result, flags;
    } all[] = {
        {TRACE ":" SPAN ":0:1", WEIR_OK, 1},
        {TRACE ":f067aa0ba902b7:0:0", WEIR_OK, 0},
        {TRACE "%3Af067aa0ba902b7%3a0%3A3", WEIR_OK, 1},
        {TRACE ":F067AA0BA902B7:" SPAN ":01", WEIR_OK, 1},
        {TRACE ":" SPAN ":0", WEIR_EPROTOCOL, 0},
        {TRACE ":" SPAN ":0:", WEIR_EPROTOCOL, 0},
        {TRACE ":" SPAN ":0:100", WEIR_EPROTOCOL, 0},
        {TRACE "0:" SPAN ":0:1", WEIR_EPROTOCOL, 0},
        {"0:" SPAN ":0:1", WEIR_EPROTOCOL, 0},
        {TRACE ":x:0:1", WEIR_EPROTOCOL, 0},
        {"", WEIR_EPROTOCOL, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        f.count = 0;
        fields_add(&f, "uber-trace-id", all[i].text);
        if (extract(WEIR_PROPAGATE_JAEGER) != all[i].result)
            fail_msg("%s", all[i].text);
        assert_int_equal(context.flags, all[i].flags);
        if (all[i].result == WEIR_OK)
            assert_ids(TRACE, SPAN);
    }
    char text[200];
    memset(text, '0', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    f.count = 0;
    fields_add(&f, "uber-trace-id", text);
    assert_int_equal(extract(WEIR_PROPAGATE_JAEGER), WEIR_EPROTOCOL);
}

static void the_first_format_that_is_there_counts(void **unused)
{
    (void)unused;
    fields_add(&f, "b3", TRACE "-b7ad6b7169203331-1");
    fields_add(&f, "uber-trace-id", TRACE ":1:0:1");
    assert_int_equal(extract(31), WEIR_OK);
    assert_ids(TRACE, "b7ad6b7169203331");
    fields_add(&f, "traceparent", PARENT);
    assert_int_equal(extract(31), WEIR_OK);
    assert_ids(TRACE, SPAN);
    f.count = 0;
    fields_add(&f, "traceparent", "malformed");
    fields_add(&f, "b3", TRACE "-b7ad6b7169203331-1");
    assert_int_equal(extract(31), WEIR_OK);
    assert_int_equal(extract(3), WEIR_EPROTOCOL);
    f.count = 1;
    assert_int_equal(extract(31), WEIR_EPROTOCOL);
}

static void formats_have_the_names_of_the_environment_variable(void **unused)
{
    (void)unused;
    unsigned formats;
    assert_int_equal(weir_propagation_parse("tracecontext,baggage", &formats), WEIR_OK);
    assert_int_equal(formats, WEIR_PROPAGATE_DEFAULT);
    assert_int_equal(weir_propagation_parse(" b3 ,b3multi,, jaeger", &formats), WEIR_OK);
    assert_int_equal(formats, 28);
    assert_int_equal(weir_propagation_parse("none", &formats), WEIR_OK);
    assert_int_equal(formats, 0);
    assert_int_equal(weir_propagation_parse("xray,b3", &formats), WEIR_EINVAL);
    assert_int_equal(formats, WEIR_PROPAGATE_B3);
}

static void a_process_is_told_by_its_environment(void **unused)
{
    (void)unused;
    weir_carrier const carrier = weir_carrier_environment();
    char room[WEIR_BAGGAGE_SIZE];
    assert_int_equal(unsetenv("TRACEPARENT"), 0);
    assert_int_equal(weir_propagation_extract(1, &carrier, &context, state), WEIR_ENOTFOUND);
    assert_int_equal(setenv("TRACEPARENT", PARENT, 1), 0);
    assert_int_equal(setenv("TRACESTATE", "foo=1", 1), 0);
    assert_int_equal(setenv("BAGGAGE", "a=b", 1), 0);
    assert_int_equal(weir_propagation_extract(1, &carrier, &context, state), WEIR_OK);
    assert_ids(TRACE, SPAN);
    assert_string_equal(context.state, "foo=1");
    assert_int_equal(weir_baggage_extract(&carrier, room), WEIR_OK);
    assert_string_equal(room, "a=b");
    assert_int_equal(setenv("TRACESTATE", "", 1), 0); /* Empty is as if it were not set. */
    assert_int_equal(weir_propagation_extract(1, &carrier, &context, state), WEIR_OK);
    assert_string_equal(context.state, "");
    context.span_id[7] = 1;
    assert_int_equal(weir_propagation_inject(9, &context, &carrier), WEIR_OK);
    assert_string_equal(getenv("TRACEPARENT"), "00-" TRACE "-00f067aa0ba90201-01");
    assert_string_equal(getenv("X_B3_TRACEID"), TRACE);
    assert_int_equal(weir_baggage_inject("c=d", &carrier), WEIR_OK);
    assert_string_equal(getenv("BAGGAGE"), "c=d");
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_traceparent_is_read_and_written_as_it_was),
        TEST(of_all_letters_only_lower_case_digits_are_read_at_every_place),
        TEST(flags_but_sampled_and_random_are_not_passed_on),
        TEST(a_traceparent_that_is_not_to_the_letter_is_none),
        TEST(a_version_to_come_is_read_as_far_as_it_is_known),
        TEST(two_traceparents_are_none),
        TEST(tracestate_is_joined_in_order_without_blanks_and_empty_members),
        TEST(a_malformed_tracestate_leaves_the_traceparent_alone),
        TEST(keys_values_and_members_have_their_bounds),
        TEST(what_does_not_fit_is_left_out),
        TEST(a_member_is_found_put_first_and_removed),
        TEST(what_is_injected_is_extracted_again),
        TEST(headers_are_as_their_texts_have_them),
        TEST(what_is_not_valid_or_has_no_room_is_told),
        TEST(b3_in_one_header_is_read_in_all_its_forms),
        TEST(b3_in_several_headers_is_read_in_all_its_forms),
        TEST(jaegers_header_is_read_with_and_without_leading_zeros),
        TEST(the_first_format_that_is_there_counts),
        TEST(formats_have_the_names_of_the_environment_variable),
        TEST(a_process_is_told_by_its_environment),
    };
    return cmocka_run_group_tests_name("propagation", tests, NULL, NULL);
}

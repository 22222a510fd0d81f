/* examples/tracecontext as a process: what it sends when it is asked with headers of all kinds, by
 * the rules of W3C Trace Context that its validation suite tries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/tracecontext_process.h"

#define TRACE  "12345678901234567890123456789012"
#define PARENT "1234567890123456"
#define VALID  "traceparent: 00-" TRACE "-" PARENT "-01\r\n"

static peer_reply reply;

/* POST /test with these headers and this body; the status. */
static int ask(const char *headers, const char *body)
{
    static char request[262144];
    int const size = snprintf(request, sizeof request,
                              "POST /test HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s",
                              headers, strlen(body), body);
    assert_in_range(size, 1, (int)sizeof request - 1);
    return peer_ask(service.port, request, &reply);
}

/* With one post to the harness. */
static const received *ask_once(const char *headers)
{
    char body[128];
    int const before = received_count();
    (void)snprintf(body, sizeof body,
                   "[{\"url\": \"http://127.0.0.1:%u/callback\", \"arguments\": []}]", h.port);
    assert_int_equal(ask(headers, body), 200);
    assert_int_equal(received_count(), before + 1);
    h.count = before; /* Nobody else is under way. */
    return &h.got[before];
}

/* ---- What was sent ---- */

typedef struct parent {
    char trace[33], span[17], flags[3];
} parent;

/* There is one traceparent, of version 00, to the letter. */
static parent sent_parent(const received *r)
{
    char text[128], other[128];
    parent p;
    assert_true(header(r, "traceparent", 0, text, sizeof text));
    assert_false(header(r, "traceparent", 1, other, sizeof other));
    assert_int_equal(strlen(text), 55);
    assert_int_equal(strspn(text, "0123456789abcdef-"), 55);
    assert_int_equal(sscanf(text, "00-%32[0-9a-f]-%16[0-9a-f]-%2[0-9a-f]", p.trace, p.span,
                            p.flags),
                     3);
    assert_int_equal(strlen(p.trace) + strlen(p.span) + strlen(p.flags), 50);
    assert_string_not_equal(p.trace, "00000000000000000000000000000000");
    assert_string_not_equal(p.span, "0000000000000000");
    return p;
}

/* All of the tracestate that was sent; "": none. */
static const char *sent_state(const received *r)
{
    static char text[1024];
    char other[1024];
    if (!header(r, "tracestate", 0, text, sizeof text))
        return "";
    assert_false(header(r, "tracestate", 1, other, sizeof other));
    return text;
}

/* ---- traceparent ---- */

typedef struct rule {
    const char *says;
    const char *headers;
    const char *flags; /* That the post has; NULL: the trace begins afresh. */
    const char *state;
} rule;

static void check_rule(const rule *r)
{
    const received *const got = ask_once(r->headers);
    parent const p = sent_parent(got);
    bool const kept = strcmp(p.trace, TRACE) == 0;
    const char *const state = sent_state(got);
    bool const good = kept == (r->flags != NULL) && strcmp(p.span, PARENT) != 0 &&
                      (!kept || strcmp(p.flags, r->flags) == 0) && strcmp(state, r->state) == 0;
    if (!good)
        fail_msg("%s: %s-%s-%s, tracestate \"%s\"", r->says, p.trace, p.span, p.flags, state);
}

#define CHECK_RULES(rules)                                                                         \
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules)[0]; i++)                                  \
    check_rule(&(rules)[i])

#define WITH(value) "traceparent: " value "\r\n"

static void a_traceparent_is_continued_or_else_the_trace_begins_afresh(void **state)
{
    (void)state;
    static const rule rules[] = {
        {"one that is valid is continued", VALID, "01", ""},
        {"without one, a trace begins", "", NULL, ""},
        {"its name is in any case", "TraceParent: 00-" TRACE "-" PARENT "-01\r\n", "01", ""},
        {"its name is in capitals", "TRACEPARENT: 00-" TRACE "-" PARENT "-01\r\n", "01", ""},
        {"a name with a hyphen is another", "trace-parent: 00-" TRACE "-" PARENT "-01\r\n", NULL,
         ""},
        {"a name with a dot is another", "trace.parent: 00-" TRACE "-" PARENT "-01\r\n", NULL, ""},
        {"blanks around it do not count", WITH(" \t 00-" TRACE "-" PARENT "-01 \t"), "01", ""},
        {"two, both valid, are none", VALID VALID, NULL, ""},
        {"two that differ are none", VALID WITH("00-" TRACE "-1234567890123457-01"), NULL, ""},
        {"two, one of them malformed, are none", WITH("x") VALID, NULL, ""},
        {"an empty one", WITH(""), NULL, ""},
        {"version ff", WITH("ff-" TRACE "-" PARENT "-01"), NULL, ""},
        {"a version that is not hexadecimal", WITH("0g-" TRACE "-" PARENT "-01"), NULL, ""},
        {"a version with a dot", WITH(".0-" TRACE "-" PARENT "-01"), NULL, ""},
        {"a version of one digit", WITH("0-" TRACE "-" PARENT "-01"), NULL, ""},
        {"a version of three digits", WITH("000-" TRACE "-" PARENT "-01"), NULL, ""},
        {"a trace id of zeros", WITH("00-00000000000000000000000000000000-" PARENT "-01"), NULL,
         ""},
        {"a trace id with a dot", WITH("00-.2345678901234567890123456789012-" PARENT "-01"), NULL,
         ""},
        {"a trace id in capitals", WITH("00-ABCDEF78901234567890123456789012-" PARENT "-01"), NULL,
         ""},
        {"a trace id too long", WITH("00-" TRACE "3-" PARENT "-01"), NULL, ""},
        {"a trace id too short", WITH("00-1234567890123456789012345678901-" PARENT "-01"), NULL,
         ""},
        {"a parent id of zeros", WITH("00-" TRACE "-0000000000000000-01"), NULL, ""},
        {"a parent id with a dot", WITH("00-" TRACE "-.234567890123456-01"), NULL, ""},
        {"a parent id in capitals", WITH("00-" TRACE "-ABCDEF7890123456-01"), NULL, ""},
        {"a parent id too long", WITH("00-" TRACE "-" PARENT "7-01"), NULL, ""},
        {"a parent id too short", WITH("00-" TRACE "-123456789012345-01"), NULL, ""},
        {"flags that are not hexadecimal", WITH("00-" TRACE "-" PARENT "-.0"), NULL, ""},
        {"flags of which one digit is not", WITH("00-" TRACE "-" PARENT "-0x"), NULL, ""},
        {"flags in capitals", WITH("00-" TRACE "-" PARENT "-0F"), NULL, ""},
        {"flags too long", WITH("00-" TRACE "-" PARENT "-001"), NULL, ""},
        {"flags too short", WITH("00-" TRACE "-" PARENT "-1"), NULL, ""},
        {"version 00 with a hyphen at its end", WITH("00-" TRACE "-" PARENT "-01-"), NULL, ""},
        {"version 00 with more", WITH("00-" TRACE "-" PARENT "-01-what"), NULL, ""},
    };
    CHECK_RULES(rules);
}

static void of_a_later_version_what_version_00_has_is_read(void **state)
{
    (void)state;
    static const rule rules[] = {
        {"it has no more", WITH("cc-" TRACE "-" PARENT "-01"), "01", ""},
        {"it has more behind a hyphen", WITH("cc-" TRACE "-" PARENT "-01-what-the-future"), "01",
         ""},
        {"it has a hyphen and nothing behind", WITH("cc-" TRACE "-" PARENT "-01-"), "01", ""},
        {"it goes on without a hyphen", WITH("cc-" TRACE "-" PARENT "-01.what"), NULL, ""},
        {"it goes on with a digit", WITH("cc-" TRACE "-" PARENT "-010"), NULL, ""},
        {"its ids are as strict", WITH("cc-" TRACE "-0000000000000000-01"), NULL, ""},
    };
    CHECK_RULES(rules);
}

static void flags_that_are_known_are_passed_on_and_the_others_are_zero(void **state)
{
    (void)state;
    static const rule rules[] = {
        {"sampled", WITH("00-" TRACE "-" PARENT "-01"), "01", ""},
        {"not sampled", WITH("00-" TRACE "-" PARENT "-00"), "00", ""},
        {"random", WITH("00-" TRACE "-" PARENT "-02"), "02", ""},
        {"sampled and random", WITH("00-" TRACE "-" PARENT "-03"), "03", ""},
        {"all eight", WITH("00-" TRACE "-" PARENT "-ff"), "03", ""},
        {"of a later version", WITH("01-" TRACE "-" PARENT "-09"), "01", ""},
    };
    CHECK_RULES(rules);
}

/* ---- tracestate ---- */

#define STATE(value) "tracestate: " value "\r\n"

static void a_tracestate_goes_with_its_traceparent_as_it_is(void **state)
{
    (void)state;
    static const rule rules[] = {
        {"one header", VALID STATE("foo=1,bar=2"), "01", "foo=1,bar=2"},
        {"its name is in any case", VALID "TraceState: foo=1\r\n", "01", "foo=1"},
        {"a name with a hyphen is another", VALID "trace-state: foo=1\r\n", "01", ""},
        {"it stands before the traceparent", STATE("foo=1") VALID, "01", "foo=1"},
        {"without a traceparent it is dropped", STATE("foo=1"), NULL, ""},
        {"with a malformed traceparent, too", WITH("00-x") STATE("foo=1"), NULL, ""},
        {"with two traceparents, too", VALID VALID STATE("foo=1"), NULL, ""},
        {"several headers are joined in order",
         VALID STATE("foo=1,bar=2") STATE("rojo=1,congo=2") STATE("baz=3"), "01",
         "foo=1,bar=2,rojo=1,congo=2,baz=3"},
        {"an empty one is none", VALID STATE(""), "01", ""},
        {"empty headers among others count not", VALID STATE("") STATE("foo=1") STATE(""), "01",
         "foo=1"},
        {"empty members are left out", VALID STATE("foo=1,,,bar=2,"), "01", "foo=1,bar=2"},
        {"blanks around members are left out", VALID STATE("foo=1 \t , \t bar=2, \t baz=3"), "01",
         "foo=1,bar=2,baz=3"},
        {"blanks at the start of a value are its own", VALID STATE("foo= 1"), "01", "foo= 1"},
        {"blanks within a value are its own", VALID STATE("foo=1 2"), "01", "foo=1 2"},
        {"a key that comes twice is passed on twice", VALID STATE("foo=1,foo=2"), "01",
         "foo=1,foo=2"},
    };
    CHECK_RULES(rules);
}

static void a_tracestate_that_is_malformed_leaves_the_traceparent_alone(void **state)
{
    (void)state;
    static const rule rules[] = {
        {"all characters of a key", VALID STATE("foo-_*/@0=1"), "01", "foo-_*/@0=1"},
        {"a key that begins with a digit", VALID STATE("0foo=1"), "01", "0foo=1"},
        {"a key of a tenant", VALID STATE("foo@bar=1,0t@s=2"), "01", "foo@bar=1,0t@s=2"},
        {"all kinds of characters of a value", VALID STATE("foo=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"),
         "01", "foo=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"},
        {"a key with a blank", VALID STATE("foo bar=1"), "01", ""},
        {"a key with a blank behind", VALID STATE("foo =1"), "01", ""},
        {"a key in capitals", VALID STATE("FOO=1"), "01", ""},
        {"a key with a dot", VALID STATE("foo.bar=1"), "01", ""},
        {"a key that begins with @", VALID STATE("@foo=1"), "01", ""},
        {"no key", VALID STATE("=1"), "01", ""},
        {"no value", VALID STATE("foo="), "01", ""},
        {"no equals sign", VALID STATE("foo"), "01", ""},
        {"a value with an equals sign", VALID STATE("foo=bar=baz"), "01", ""},
        {"one bad member among good ones", VALID STATE("foo=1,bar"), "01", ""},
        {"one bad header among good ones", VALID STATE("foo=1") STATE("BAR=2"), "01", ""},
    };
    CHECK_RULES(rules);
}

/* "k1=1" to "k<count>=1", with commas between, as a header. */
static void write_members(char *out, size_t room, int count)
{
    int size = snprintf(out, room, VALID "tracestate: k1=1");
    for (int i = 2; i <= count; i++)
        size += snprintf(out + size, room - (size_t)size, ",k%d=1", i);
    (void)snprintf(out + size, room - (size_t)size, "\r\n");
}

static void a_tracestate_has_32_members_and_256_characters_of_key_and_value(void **state)
{
    (void)state;
    char headers[2048], letters[258], expected[1024];
    write_members(headers, sizeof headers, 32);
    const char *const members = strstr(headers, "k1=1");
    (void)snprintf(expected, sizeof expected, "%.*s", (int)strcspn(members, "\r"), members);
    check_rule(&(rule){"32 members", headers, "01", expected});
    write_members(headers, sizeof headers, 33);
    check_rule(&(rule){"33 members", headers, "01", ""});
    memset(letters, 'v', sizeof letters);
    for (int size = 256; size <= 257; size++) {
        const char *const limit = size == 256 ? "within" : "beyond";
        (void)snprintf(expected, sizeof expected, "%.*s=1", size, letters);
        (void)snprintf(headers, sizeof headers, VALID "tracestate: %s\r\n", expected);
        check_rule(&(rule){limit, headers, "01", size == 256 ? expected : ""});
        (void)snprintf(expected, sizeof expected, "t=%.*s", size, letters);
        (void)snprintf(headers, sizeof headers, VALID "tracestate: %s\r\n", expected);
        check_rule(&(rule){limit, headers, "01", size == 256 ? expected : ""});
    }
    (void)snprintf(expected, sizeof expected, "%.241s@%.14s=1", letters, letters);
    (void)snprintf(headers, sizeof headers, VALID "tracestate: %s\r\n", expected);
    check_rule(&(rule){"241 of tenant and 14 of system", headers, "01", expected});
}

/* ---- Several posts ---- */

static void all_posts_of_a_request_continue_its_trace_each_as_a_span_of_its_own(void **state)
{
    (void)state;
    static char body[4096];
    parent parents[20];
    int size = snprintf(body, sizeof body, "[");
    for (int i = 0; i < 20; i++) /* More than are under way at once. */
        size +=
            snprintf(body + size, sizeof body - (size_t)size,
                     "%s{\"url\":\"http://localhost:%u/%d?q=1#f\",\"arguments\":[%d, \"\\u00e9\"]}",
                     i > 0 ? "," : "", h.port, i % 5, i);
    (void)snprintf(body + size, sizeof body - (size_t)size, "]");
    assert_int_equal(ask(VALID STATE("foo=1"), body), 200);
    assert_int_equal(received_count(), 20);
    unsigned seen = 0;
    for (int i = 0; i < 20; i++) {
        char type[64], expected[64];
        int number = -1;
        parents[i] = sent_parent(&h.got[i]);
        assert_string_equal(parents[i].trace, TRACE);
        assert_string_not_equal(parents[i].span, PARENT);
        assert_string_equal(sent_state(&h.got[i]), "foo=1");
        for (int other = 0; other < i; other++)
            assert_string_not_equal(parents[other].span, parents[i].span);
        assert_true(header(&h.got[i], "Content-Type", 0, type, sizeof type));
        assert_string_equal(type, "application/json");
        assert_int_equal(sscanf(h.got[i].body, "[%d", &number), 1);
        (void)snprintf(expected, sizeof expected, "[%d, \"\\u00e9\"]", number);
        assert_string_equal(h.got[i].body, expected);
        (void)snprintf(expected, sizeof expected, "POST /%d?q=1 HTTP/1.1\r\n", number % 5);
        assert_memory_equal(h.got[i].head, expected, strlen(expected));
        seen |= 1U << number;
    }
    assert_int_equal(seen, (1U << 20) - 1);
}

static void without_a_trace_all_posts_of_a_request_are_in_the_one_that_begins(void **state)
{
    (void)state;
    char body[256], first[33];
    (void)snprintf(body, sizeof body,
                   "[{\"url\":\"http://127.0.0.1:%u/\",\"arguments\":[]},"
                   "{\"arguments\":[],\"url\":\"http://127.0.0.1:%u\"}]",
                   h.port, h.port);
    assert_int_equal(ask("", body), 200);
    assert_int_equal(received_count(), 2);
    (void)snprintf(first, sizeof first, "%s", sent_parent(&h.got[0]).trace);
    assert_string_equal(sent_parent(&h.got[1]).trace, first);
    assert_string_not_equal(sent_parent(&h.got[1]).span, sent_parent(&h.got[0]).span);
    assert_int_equal(ask("", body), 200);
    assert_string_not_equal(sent_parent(&h.got[2]).trace, first);
}

static void arguments_may_call_the_service_again(void **state)
{
    (void)state;
    char body[512];
    (void)snprintf(body, sizeof body,
                   "[{\"url\":\"http://127.0.0.1:%u/test\",\"arguments\":"
                   "[{\"url\":\"http:\\/\\/127.0.0.1:%u\\u002fa\",\"arguments\":[]},"
                   " {\"url\":\"http://127.0.0.1:%u/b\",\"arguments\":[[{}]]}]}]",
                   service.port, h.port, h.port);
    assert_int_equal(ask(VALID STATE("foo=1"), body), 200);
    assert_int_equal(received_count(), 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(sent_parent(&h.got[i]).trace, TRACE);
        assert_string_equal(sent_state(&h.got[i]), "foo=1");
        bool const a = strncmp(h.got[i].head, "POST /a ", 8) == 0;
        assert_string_equal(h.got[i].body, a ? "[]" : "[[{}]]");
    }
    assert_string_not_equal(sent_parent(&h.got[0]).span, sent_parent(&h.got[1]).span);
}

/* ---- Failures ---- */

static void a_url_that_fails_is_named_when_all_others_are_done(void **state)
{
    (void)state;
    char body[512], url[64];
    int const closed = peer_listen(0);
    uint16_t const port = peer_port(closed);
    assert_int_equal(close(closed), 0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/gone", port);
    (void)snprintf(body, sizeof body,
                   "[{\"url\":\"%s\",\"arguments\":[]},"
                   "{\"url\":\"http://127.0.0.1:%u/\",\"arguments\":[]}]",
                   url, h.port);
    assert_int_equal(ask(VALID, body), 502);
    assert_non_null(strstr(reply.body, "1 of 2 posts failed"));
    assert_non_null(strstr(reply.body, url));
    assert_int_equal(received_count(), 1);
    (void)snprintf(body, sizeof body, "[{\"url\":\"http://127.0.0.1:%u/5\",\"arguments\":[]}]",
                   h.port);
    assert_int_equal(ask(VALID, body), 502);
    assert_non_null(strstr(reply.body, "it answered 500"));
    static const char *const urls[] = {"https://127.0.0.1:1/",
                                       "http://nowhere.example/",
                                       "http://",
                                       "http://[::1/",
                                       "http://a@127.0.0.1:1/",
                                       "http://127.0.0.1:99999/",
                                       "http://127.0.0.1:1?q",
                                       ""};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        (void)snprintf(body, sizeof body, "[{\"url\":\"%s\",\"arguments\":[]}]", urls[i]);
        assert_int_equal(ask(VALID, body), 502);
        assert_non_null(strstr(reply.body, urls[i]));
    }
}

#define ELEMENT(arguments) "[{\"url\":\"http://127.0.0.1:1/\",\"arguments\":" arguments "}]"

static void what_is_not_understood_is_400_and_nothing_is_posted(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        " ",
        "[",
        "]",
        "[]x",
        "[],",
        "[1,]",
        "[,1]",
        "{}",
        "1",
        "null",
        "\"x\"",
        "[1]",
        "[[]]",
        "[{}]",
        "[{\"url\":\"http://127.0.0.1:1/\"}]",
        "[{\"arguments\":[]}]",
        "[{\"url\":1,\"arguments\":[]}]",
        "[{\"url\":\"\\u0000\",\"arguments\":[]}]",
        "[{\"url\":\"\\u00e9\",\"arguments\":[]}]",
        "[{\"url\":\"a\",\"url\":\"b\",\"arguments\":[]}]",
        "[{\"url\":\"a\",\"arguments\":[],\"arguments\":[]}]",
        ELEMENT("{}"),
        ELEMENT("1"),
        ELEMENT("[tru]"),
        ELEMENT("[nul]"),
        ELEMENT("[falsee]"),
        ELEMENT("[01]"),
        ELEMENT("[-]"),
        ELEMENT("[1.]"),
        ELEMENT("[.5]"),
        ELEMENT("[1e]"),
        ELEMENT("[1e+]"),
        ELEMENT("[+1]"),
        ELEMENT("[\"]"),
        ELEMENT("[\"\t\"]"),
        ELEMENT("[\"\\x\"]"),
        ELEMENT("[\"\\u12g4\"]"),
        ELEMENT("[\"\\u12\"]"),
        ELEMENT("[\"\\\"]"),
        ELEMENT("[{1:2}]"),
        ELEMENT("[{\"a\"}]"),
        ELEMENT("[{\"a\":}]"),
        ELEMENT("[{\"a\":1,}]"),
        ELEMENT("[1 2]"),
        ELEMENT("[}"),
        ELEMENT("[\f]"),
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        if (ask(VALID, bodies[i]) != 400)
            fail_msg("%s: %d", bodies[i], reply.status);
    assert_int_equal(received_count(), 0);
}

static void all_of_json_is_passed_on_to_the_byte(void **state)
{
    (void)state;
    static const char arguments[] =
        "[ 0 ,-1.5e+3,1E-2, 20, "
        "true,false,null,\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\uD83D\\uDE00\",\"\",\n"
        "\t{ } ,{\"a\" : [ ],\"a\":{\"\\u0000\":1}}, \"\xC3\xA9\"]";
    char body[512];
    (void)snprintf(body, sizeof body,
                   " [ { \"\xC3\xA9\" : 1, \"more\": {}, \"\\u0061rguments\" : %s ,"
                   " \"url\":\"HTTP://127.0.0.1:%u/\" } ]\r\n",
                   arguments, h.port);
    assert_int_equal(ask("", body), 200);
    assert_int_equal(received_count(), 1);
    assert_string_equal(h.got[0].body, arguments);
    assert_int_equal(ask("", " [ ] "), 200); /* Nothing to do. */
    assert_int_equal(received_count(), 1);
}

static void what_is_too_large_is_refused(void **state)
{
    (void)state;
    static char body[200000];
    int size = snprintf(body, sizeof body, "[");
    for (int i = 0; i < 1001; i++)
        size += snprintf(body + size, sizeof body - (size_t)size,
                         "%s{\"url\":\"http://127.0.0.1:%u/\",\"arguments\":[]}", i > 0 ? "," : "",
                         h.port);
    (void)snprintf(body + size, sizeof body - (size_t)size, "]");
    assert_int_equal(ask("", body), 400);
    for (int depth = 62; depth <= 63; depth++) { /* The array and the object are two of 64. */
        size = snprintf(body, sizeof body,
                        "[{\"url\":\"http://127.0.0.1:%u/\",\"arguments\":", h.port);
        memset(body + size, '[', (size_t)depth);
        memset(body + size + depth, ']', (size_t)depth);
        (void)snprintf(body + size + 2 * depth, 3, "}]");
        assert_int_equal(ask("", body), depth == 62 ? 200 : 400);
    }
    assert_int_equal(received_count(), 1);
    assert_int_equal(peer_ask(service.port,
                              "POST /test HTTP/1.1\r\nHost: x\r\nContent-Length: 10485761\r\n\r\n",
                              &reply),
                     413);
}

static void there_is_nothing_else_to_be_asked(void **state)
{
    (void)state;
    char allow[16];
    assert_int_equal(peer_ask(service.port, "GET /test HTTP/1.1\r\nHost: x\r\n\r\n", &reply), 405);
    assert_true(peer_header(&reply, "Allow", allow, sizeof allow));
    assert_string_equal(allow, "POST");
    assert_int_equal(peer_ask(service.port,
                              "POST /Test HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]",
                              &reply),
                     404);
}

/* ---- Its end ---- */

static void it_ends_well_when_told_also_in_the_midst_of_a_request(void **state)
{
    (void)state;
    char body[128], request[512];
    assert_int_equal(service_end(SIGINT), 0);
    service_start();
    int const silent = peer_listen(0); /* Accepted by the system, answered by nobody. */
    int const fd = peer_connect(service.port);
    int const half = peer_connect(service.port);
    static const char begun[] = "POST /test HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[";
    assert_true(peer_send(half, begun, sizeof begun - 1));
    (void)snprintf(body, sizeof body, "[{\"url\":\"http://127.0.0.1:%u/\",\"arguments\":[]}]",
                   peer_port(silent));
    (void)snprintf(request, sizeof request,
                   "POST /test HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
                   body);
    assert_true(peer_send(fd, request, strlen(request)));
    int const asked = accept(silent, NULL, NULL); /* It is posted. */
    assert_true(asked >= 0);
    assert_int_equal(service_end(SIGTERM), 0);
    int const open[] = {asked, fd, half, silent};
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        assert_int_equal(close(open[i]), 0);
}

static void who_asks_may_go_before_the_posts_are_done(void **state)
{
    (void)state;
    char body[128], request[512];
    int const slow = peer_listen(0);
    int const fd = peer_connect(service.port);
    (void)snprintf(body, sizeof body, "[{\"url\":\"http://127.0.0.1:%u/\",\"arguments\":[]}]",
                   peer_port(slow));
    (void)snprintf(request, sizeof request,
                   "POST /test HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
                   body);
    assert_true(peer_send(fd, request, strlen(request)));
    int const asked = accept(slow, NULL, NULL);
    assert_true(asked >= 0);
    assert_int_equal(close(fd), 0);
    (void)ask_once(VALID); /* So it has seen that, or will before what follows. */
    assert_int_equal(close(asked), 0);
    (void)ask_once(VALID);
    assert_int_equal(close(slow), 0);
    assert_int_equal(service_end(SIGTERM), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_traceparent_is_continued_or_else_the_trace_begins_afresh),
        TEST(of_a_later_version_what_version_00_has_is_read),
        TEST(flags_that_are_known_are_passed_on_and_the_others_are_zero),
        TEST(a_tracestate_goes_with_its_traceparent_as_it_is),
        TEST(a_tracestate_that_is_malformed_leaves_the_traceparent_alone),
        TEST(a_tracestate_has_32_members_and_256_characters_of_key_and_value),
        TEST(all_posts_of_a_request_continue_its_trace_each_as_a_span_of_its_own),
        TEST(without_a_trace_all_posts_of_a_request_are_in_the_one_that_begins),
        TEST(arguments_may_call_the_service_again),
        TEST(a_url_that_fails_is_named_when_all_others_are_done),
        TEST(what_is_not_understood_is_400_and_nothing_is_posted),
        TEST(all_of_json_is_passed_on_to_the_byte),
        TEST(what_is_too_large_is_refused),
        TEST(there_is_nothing_else_to_be_asked),
        TEST(it_ends_well_when_told_also_in_the_midst_of_a_request),
        TEST(who_asks_may_go_before_the_posts_are_done),
    };
    if (access(service_path(), X_OK) != 0) {
        printf("SKIPPED: %s is not built\n", service_path());
        return 0;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("tracecontext", tests, NULL, NULL);
}

/*
 * examples/tracecontext, driven as the W3C's validation suite for Trace Context does: what it is
 * asked with, and what it asks others with, by the rules of that suite.
 */
#include "support/fake_env.h"
#include "support/sidecar_process.h"

#include <weir/http.h>

#include <pthread.h>
#include <stdarg.h>

#define TRACE  "12345678901234567890123456789012"
#define PARENT "00-" TRACE "-1234567890123456-01"

typedef struct heard {
    char traceparent[128], tracestate[1024], body[256];
    unsigned parents;
} heard;

static struct {
    pid_t process;
    FILE *out;
    uint16_t port; /* Of the service. */
    weir_loop *loop;
    weir_http_server *harness;
    uint16_t harness_port;
    pthread_mutex_t lock; /* Guards all below: the harness has a thread. */
    heard requests[8];
    size_t count;
} w = {.lock = PTHREAD_MUTEX_INITIALIZER};

static peer_reply reply;

/* ---- The harness ---- */

static void on_body(weir_http_exchange *exchange, const void *data, size_t size, void *user)
{
    heard *const own = user;
    (void)exchange;
    pthread_mutex_lock(&w.lock);
    size_t const used = strlen(own->body);
    (void)snprintf(own->body + used, sizeof own->body - used, "%.*s", (int)size,
                   (const char *)data);
    pthread_mutex_unlock(&w.lock);
}

static void on_end(weir_http_exchange *exchange, void *user)
{
    (void)user;
    (void)weir_http_exchange_respond(exchange, 200, NULL, NULL, 0);
}

static void on_request(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    static const weir_http_exchange_events events = {.on_body = on_body, .on_end = on_end};
    (void)user;
    pthread_mutex_lock(&w.lock);
    heard *const own = &w.requests[w.count < 8 ? w.count++ : 7];
    memset(own, 0, sizeof *own);
    for (size_t i = 0; i < request->header_count; i++) {
        const weir_http_header *const header = &request->headers[i];
        if (weir_http_equals(header->name, "traceparent")) {
            own->parents++;
            (void)snprintf(own->traceparent, sizeof own->traceparent, "%.*s",
                           (int)header->value.size, header->value.data);
        }
        if (weir_http_equals(header->name, "tracestate"))
            (void)snprintf(own->tracestate, sizeof own->tracestate, "%.*s", (int)header->value.size,
                           header->value.data);
    }
    pthread_mutex_unlock(&w.lock);
    weir_http_exchange_handle(exchange, &events, own);
}

/* ---- The service ---- */

static void start_service(void)
{
    const char *const path = getenv("WEIR_TRACECONTEXT");
    unsigned port = 0;
    int ends[2];
    char line[128];
    assert_int_equal(pipe(ends), 0);
    w.process = fork();
    if (w.process == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
#if defined(__linux__)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* It does not outlive the test. */
#endif
        (void)execl(path != NULL ? path : "build/examples/tracecontext/tracecontext",
                    "tracecontext", "127.0.0.1:0", (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    w.out = fdopen(ends[0], "r");
    assert_non_null(w.out);
    assert_non_null(fgets(line, sizeof line, w.out));
    assert_int_equal(sscanf(line, "tracecontext 127.0.0.1:%u", &port), 1);
    w.port = (uint16_t)port;
}

static int setup(void **state)
{
    (void)state;
    weir_http_server_options options = WEIR_HTTP_SERVER_OPTIONS_INIT;
    options.on_request = on_request;
    start_service();
    assert_int_equal(weir_loop_create(&w.loop, NULL), WEIR_OK);
    assert_int_equal(weir_http_server_create(&w.harness, w.loop, &options), WEIR_OK);
    w.harness_port = weir_http_server_address(w.harness).port;
    return weir_loop_start(w.loop);
}

static int teardown(void **state)
{
    int status;
    (void)state;
    (void)kill(w.process, SIGTERM);
    assert_int_equal(waitpid(w.process, &status, 0), w.process);
    (void)fclose(w.out);
    weir_loop_stop(w.loop);
    assert_int_equal(weir_loop_join(w.loop), WEIR_OK);
    weir_http_server_destroy(w.harness);
    weir_loop_destroy(w.loop);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* POST /test with these headers, each with its line's end, and this body. */
static int post(const char *headers, const char *body)
{
    static char request[8192];
    pthread_mutex_lock(&w.lock);
    w.count = 0;
    pthread_mutex_unlock(&w.lock);
    (void)snprintf(request, sizeof request,
                   "POST /test HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n%s",
                   strlen(body), headers, body);
    return peer_ask(w.port, request, &reply);
}

static const char *harness_url(void)
{
    static char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/callback", w.harness_port);
    return url;
}

/* As the suite does: one call, back to the harness. What that heard. */
static heard ask(const char *headers)
{
    char body[256];
    (void)snprintf(body, sizeof body, "[{\"url\": \"%s\", \"arguments\": []}]", harness_url());
    assert_int_equal(post(headers, body), 200);
    pthread_mutex_lock(&w.lock);
    size_t const count = w.count;
    heard const first = w.requests[0];
    pthread_mutex_unlock(&w.lock);
    assert_int_equal(count, 1);
    assert_int_equal(first.parents, 1);
    assert_int_equal(strlen(first.traceparent), 55);
    assert_memory_equal(first.traceparent, "00-", 3);
    return first;
}

static bool continues(const heard *h)
{
    return memcmp(h->traceparent + 3, TRACE, 32) == 0;
}

/* ---- traceparent ---- */

static void a_trace_is_continued_with_a_span_id_of_its_own(void **state)
{
    (void)state;
    heard const h = ask("traceparent: " PARENT "\r\n");
    assert_true(continues(&h));
    assert_memory_not_equal(h.traceparent + 36, "1234567890123456", 16);
    assert_memory_equal(h.traceparent + 53, "01", 2);
}

static void without_a_traceparent_a_trace_begins(void **state)
{
    (void)state;
    heard const first = ask(""), second = ask("");
    assert_memory_not_equal(first.traceparent + 3, second.traceparent + 3, 32);
    assert_memory_not_equal(first.traceparent + 3, "00000000000000000000000000000000", 32);
}

static void names_of_headers_mean_any_case(void **state)
{
    (void)state;
    heard const h = ask("TraceParent: " PARENT "\r\nTrAcEsTaTe: foo=1\r\n");
    assert_true(continues(&h));
    assert_string_equal(h.tracestate, "foo=1");
}

static void a_traceparent_to_the_letter_is_continued_and_no_other(void **state)
{
    static const struct {
        const char *value;
        bool good;
    } all[] = {
        {PARENT, true},
        {"  " PARENT "\t", true},
        {"cc-" TRACE "-1234567890123456-01", true},
        {"cc-" TRACE "-1234567890123456-01-what-the-future-will-be-like", true},
        {"cc-" TRACE "-1234567890123456-01.what-the-future-will-be-like", false},
        {"00-" TRACE "-1234567890123456-01-", false},
        {"00-" TRACE "-1234567890123456-01-what-the-future", false},
        {"ff-" TRACE "-1234567890123456-01", false},
        {".0-" TRACE "-1234567890123456-01", false},
        {"0-" TRACE "-1234567890123456-01", false},
        {"000-" TRACE "-1234567890123456-01", false},
        {"00-00000000000000000000000000000000-1234567890123456-01", false},
        {"00-.2345678901234567890123456789012-1234567890123456-01", false},
        {"00-123456789012345678901234567890123-1234567890123456-01", false},
        {"00-1234567890123456789012345678901-1234567890123456-01", false},
        {"00-1234567890123456789012345678901A-1234567890123456-01", false},
        {"00-" TRACE "-0000000000000000-01", false},
        {"00-" TRACE "-.234567890123456-01", false},
        {"00-" TRACE "-12345678901234567-01", false},
        {"00-" TRACE "-123456789012345-01", false},
        {"00-" TRACE "-1234567890123456-.1", false},
        {"00-" TRACE "-1234567890123456-1", false},
        {"00-" TRACE "-1234567890123456-001", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char headers[256];
        (void)snprintf(headers, sizeof headers, "traceparent: %s\r\n", all[i].value);
        heard const h = ask(headers);
        assert_int_equal(continues(&h), all[i].good);
    }
}

static void two_traceparents_are_none(void **state)
{
    (void)state;
    heard const h = ask("traceparent: " PARENT "\r\ntraceparent: " PARENT "\r\n");
    assert_false(continues(&h));
}

static void flags_that_are_not_known_are_not_passed_on(void **state)
{
    (void)state;
    heard h = ask("traceparent: 00-" TRACE "-1234567890123456-ff\r\n");
    assert_true(continues(&h));
    assert_memory_equal(h.traceparent + 53, "03", 2); /* Sampled, and random. */
}

/* ---- tracestate ---- */

static void a_tracestate_goes_on_and_never_without_a_traceparent(void **state)
{
    (void)state;
    heard h = ask("traceparent: " PARENT "\r\ntracestate: foo=1,bar=2\r\n");
    assert_string_equal(h.tracestate, "foo=1,bar=2");
    h = ask("tracestate: foo=1\r\n");
    assert_string_equal(h.tracestate, "");
    h = ask("traceparent: 00-" TRACE "-123\r\ntracestate: foo=1\r\n");
    assert_string_equal(h.tracestate, "");
}

static void several_tracestates_are_one_in_their_order(void **state)
{
    (void)state;
    heard h = ask("traceparent: " PARENT "\r\ntracestate: foo=1,bar=2\r\n"
                  "tracestate: rojo=1,congo=2\r\ntracestate: baz=3\r\n");
    assert_string_equal(h.tracestate, "foo=1,bar=2,rojo=1,congo=2,baz=3");
    h = ask("traceparent: " PARENT "\r\ntracestate: foo=1\r\ntracestate:\r\ntracestate: bar=2\r\n");
    assert_string_equal(h.tracestate, "foo=1,bar=2");
    h = ask("traceparent: " PARENT "\r\ntracestate: foo=1 \t , \t bar=2, \t baz=3\r\n");
    assert_string_equal(h.tracestate, "foo=1,bar=2,baz=3");
}

static void a_tracestate_that_is_malformed_is_dropped_and_the_trace_is_not(void **state)
{
    static const char *const bad[] = {"foo =1",     "FOO=1",       "foo.bar=1", "foo",
                                      "=1",         "foo=bar=baz", "foo=1;bar", "foo=1,bar",
                                      "@foo=1,bar", "-fo=1"};
    static const bool is_bad[] = {true, true, true, true, true, true, false, true, true, true};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char headers[256];
        (void)snprintf(headers, sizeof headers, "traceparent: %s\r\ntracestate: %s\r\n", PARENT,
                       bad[i]);
        heard const h = ask(headers);
        assert_true(continues(&h));
        assert_int_equal(h.tracestate[0] == '\0', is_bad[i]);
    }
}

static void keys_of_tenants_and_long_ones_pass(void **state)
{
    static char headers[2048], expected[600];
    (void)state;
    (void)snprintf(expected, sizeof expected, "foo@bar=1,a-b_c*d/e@f=2,%0240d=3", 7);
    (void)snprintf(headers, sizeof headers, "traceparent: %s\r\ntracestate: %s\r\n", PARENT,
                   expected);
    heard const h = ask(headers);
    assert_string_equal(h.tracestate, expected);
}

static void thirty_two_members_pass_and_more_do_not(void **state)
{
    static char headers[1024];
    (void)state;
    for (int members = 32; members <= 33; members++) {
        int size = snprintf(headers, sizeof headers, "traceparent: %s\r\ntracestate: b0=1", PARENT);
        for (int i = 1; i < members; i++)
            size += snprintf(headers + size, sizeof headers - (size_t)size, ",b%d=1", i);
        (void)snprintf(headers + size, sizeof headers - (size_t)size, "\r\n");
        heard const h = ask(headers);
        assert_true(continues(&h));
        assert_int_equal(strstr(h.tracestate, "b31=1") != NULL, members == 32);
    }
}

/* ---- Calls ---- */

static void several_urls_are_several_spans_of_one_trace(void **state)
{
    static char body[512];
    (void)state;
    (void)snprintf(body, sizeof body,
                   "[{\"url\":\"%s\",\"arguments\":[{\"a\\\"\":[1.5e3,null,true]}]},"
                   "{\"arguments\":[],\"url\":\"%s\"},{\"url\":\"%s\"}]",
                   harness_url(), harness_url(), harness_url());
    assert_int_equal(post("traceparent: " PARENT "\r\n", body), 200);
    pthread_mutex_lock(&w.lock);
    assert_int_equal(w.count, 3);
    unsigned with_arguments = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_true(continues(&w.requests[i]));
        with_arguments += strcmp(w.requests[i].body, "[{\"a\\\"\":[1.5e3,null,true]}]") == 0;
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(w.requests[i].traceparent + 36, w.requests[j].traceparent + 36,
                                    16);
    }
    assert_int_equal(with_arguments, 1);
    pthread_mutex_unlock(&w.lock);
}

static void a_service_that_calls_itself_stays_in_the_trace(void **state)
{
    static char body[512];
    (void)state;
    (void)snprintf(body, sizeof body,
                   "[{\"url\":\"http://localhost:%u/test\",\"arguments\":"
                   "[{\"url\":\"%s\",\"arguments\":[]},{\"url\":\"%s\",\"arguments\":[]}]}]",
                   w.port, harness_url(), harness_url());
    assert_int_equal(post("traceparent: " PARENT "\r\ntracestate: foo=1\r\n", body), 200);
    pthread_mutex_lock(&w.lock);
    assert_int_equal(w.count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(continues(&w.requests[i]));
        assert_string_equal(w.requests[i].tracestate, "foo=1");
    }
    pthread_mutex_unlock(&w.lock);
}

static void what_cannot_be_done_is_told(void **state)
{
    static const char *const malformed[] = {"",
                                            "{}",
                                            "[",
                                            "[{]",
                                            "[{\"url\":1}]",
                                            "[{\"arguments\":[]}]",
                                            "[{}] x",
                                            "[{\"url\":\"a\"},]",
                                            "[{\"url\":\"\\x\"}]",
                                            "[01]",
                                            "[{\"url\":\"a\" \"arguments\":[]}]"};
    char body[256];
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        assert_int_equal(post("", malformed[i]), 400);
    assert_int_equal(post("", "[]"), 200);
    assert_int_equal(post("", "[{\"url\":\"https://example.org/\",\"arguments\":[]}]"), 502);
    assert_non_null(strstr(reply.body, "https://example.org/"));
    (void)snprintf(body, sizeof body,
                   "[{\"url\":\"http://127.0.0.1:1/\",\"arguments\":[]},{\"url\":\"%s\"}]",
                   harness_url());
    assert_int_equal(post("", body), 502);
    assert_non_null(strstr(reply.body, "http://127.0.0.1:1/"));
    pthread_mutex_lock(&w.lock);
    assert_int_equal(w.count, 1); /* The other was asked all the same. */
    pthread_mutex_unlock(&w.lock);
    assert_int_equal(peer_ask(w.port, "GET /test HTTP/1.1\r\nHost: x\r\n\r\n", &reply), 404);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_trace_is_continued_with_a_span_id_of_its_own),
        TEST(without_a_traceparent_a_trace_begins),
        TEST(names_of_headers_mean_any_case),
        TEST(a_traceparent_to_the_letter_is_continued_and_no_other),
        TEST(two_traceparents_are_none),
        TEST(flags_that_are_not_known_are_not_passed_on),
        TEST(a_tracestate_goes_on_and_never_without_a_traceparent),
        TEST(several_tracestates_are_one_in_their_order),
        TEST(a_tracestate_that_is_malformed_is_dropped_and_the_trace_is_not),
        TEST(keys_of_tenants_and_long_ones_pass),
        TEST(thirty_two_members_pass_and_more_do_not),
        TEST(several_urls_are_several_spans_of_one_trace),
        TEST(a_service_that_calls_itself_stays_in_the_trace),
        TEST(what_cannot_be_done_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

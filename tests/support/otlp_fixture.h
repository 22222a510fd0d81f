/* A collector on the http fixture's loop that answers as scripted, and an exporter to it. */
#ifndef WEIR_TEST_OTLP_FIXTURE_H
#define WEIR_TEST_OTLP_FIXTURE_H

#include "support/http_fixture.h"
#include "support/span_samples.h"

#include <weir/otlp.h>

#define COLLECTOR_BODY  (1 << 17)
#define COLLECTOR_HOLDS (-1) /* As a status: no answer. */

typedef struct collector {
    int status; /* Of the answers to come; 0 = 200. */
    const char *header, *value, *answer;
    size_t statuses_left; /* Answers with `status`; those after them are 200. 0 = no limit. */
    unsigned requests;
    char head[1024]; /* Target and headers of the latest, a line each. */
    char body[COLLECTOR_BODY];
    size_t body_size;
    weir_http_exchange *held;
} collector;

static collector c;
static weir_otlp *otlp;
static weir_otlp_options options;

/* How the latest export ended. */
static int told_result;
static size_t told_rejected;
static unsigned told_count;
/* The latest warning. */
static weir_otlp_warning warned;
static char warned_message[256];
static unsigned warned_count;

static inline void collector_answer(weir_http_exchange *exchange)
{
    int status = c.status != 0 ? c.status : 200;
    if (c.statuses_left > 0 && --c.statuses_left == 0)
        c.status = 0;
    if (status == COLLECTOR_HOLDS) {
        c.held = exchange;
        return;
    }
    const char *const answer = c.answer != NULL ? c.answer : "{}";
    weir_http_header const header = {weir_http_str(c.header), weir_http_str(c.value)};
    weir_http_response const response = {.status = status,
                                         .headers = &header,
                                         .header_count = c.header != NULL,
                                         .body_size = strlen(answer)};
    (void)weir_http_exchange_respond_with(exchange, &response, answer);
}

static inline void collector_on_body(weir_http_exchange *exchange, const void *data, size_t size,
                                     void *user)
{
    (void)exchange;
    (void)user;
    size_t const room = COLLECTOR_BODY - 1 - c.body_size;
    size_t const kept = size < room ? size : room;
    memcpy(c.body + c.body_size, data, kept);
    c.body_size += kept;
    c.body[c.body_size] = '\0';
}

static inline void collector_on_end(weir_http_exchange *exchange, void *user)
{
    (void)user;
    c.requests++;
    collector_answer(exchange);
}

static inline void collector_on_abort(weir_http_exchange *exchange, int code, void *user)
{
    (void)code;
    (void)user;
    if (c.held == exchange)
        c.held = NULL;
    (void)weir_http_exchange_finish(exchange);
}

static inline void collector_on_request(weir_http_exchange *exchange,
                                        const weir_http_request *request, void *user)
{
    static const weir_http_exchange_events events = {collector_on_body, collector_on_end, NULL,
                                                     collector_on_abort};
    (void)user;
    int size = snprintf(c.head, sizeof c.head, "%.*s %.*s\n", (int)request->method.size,
                        request->method.data, (int)request->target.size, request->target.data);
    for (size_t i = 0; i < request->header_count; i++)
        size += snprintf(c.head + size, sizeof c.head - (size_t)size, "%.*s: %.*s\n",
                         (int)request->headers[i].name.size, request->headers[i].name.data,
                         (int)request->headers[i].value.size, request->headers[i].value.data);
    c.body_size = 0;
    weir_http_exchange_handle(exchange, &events, NULL);
}

static inline void on_warning(const weir_otlp_warning *warning, void *user)
{
    assert_ptr_equal(user, &warned);
    assert_non_null(warning->message);
    warned = *warning;
    (void)snprintf(warned_message, sizeof warned_message, "%s", warning->message);
    warned_count++;
}

static inline void on_exported(void *token, int result, size_t rejected)
{
    assert_ptr_equal(token, &told_result);
    told_result = result;
    told_rejected = rejected;
    told_count++;
}

static inline int otlp_setup(void **state)
{
    memset(&c, 0, sizeof c);
    otlp = NULL;
    options = (weir_otlp_options)WEIR_OTLP_OPTIONS_INIT;
    options.on_warning = on_warning;
    options.user = &warned;
    told_count = warned_count = 0;
    memset(&warned, 0, sizeof warned);
    return fixture_setup(state);
}

static inline int otlp_teardown(void **state)
{
    weir_otlp_destroy(otlp);
    return fixture_teardown(state);
}

#define OTLP_TEST(name) cmocka_unit_test_setup_teardown(name, otlp_setup, otlp_teardown)

/* To what listens at f.address. */
static inline void create_exporter(void)
{
    static char endpoint[WEIR_ADDRESS_TEXT_SIZE + 8];
    char address[WEIR_ADDRESS_TEXT_SIZE];
    weir_address_format(&f.address, address);
    (void)snprintf(endpoint, sizeof endpoint, "http://%s", address);
    options.endpoint = endpoint;
    assert_int_equal(weir_otlp_create(&otlp, f.loop, &options), WEIR_OK);
}

static inline void serve_and_create(void)
{
    weir_http_server_options server = WEIR_HTTP_SERVER_OPTIONS_INIT;
    server.on_request = collector_on_request;
    serve(&server);
    create_exporter();
}

static inline void export_batch_of(const weir_span_batch *batch, uint64_t deadline_ns)
{
    weir_span_exporter const exporter = weir_otlp_exporter(otlp);
    exporter.export_spans(exporter.self, batch, deadline_ns, on_exported, &told_result);
}

/* One span "x", by 30 s from now. */
static inline void export_one(void)
{
    weir_span_data const span = sample_span("x");
    const weir_span_data *const spans[] = {&span};
    weir_span_batch const batch = sample_batch(spans, 1);
    export_batch_of(&batch, f.fake.now_ns + 30000 * MS);
}

static inline void cancel_export(void)
{
    weir_span_exporter const exporter = weir_otlp_exporter(otlp);
    exporter.cancel(exporter.self);
}

static inline weir_otlp_stats stats_now(void)
{
    weir_otlp_stats stats;
    weir_otlp_get_stats(otlp, WEIR_OTLP_TRACES, &stats);
    return stats;
}

#define assert_exported(result, rejected)                                                          \
    do {                                                                                           \
        until(told_count > 0);                                                                     \
        assert_int_equal(told_count, 1);                                                           \
        assert_int_equal(told_result, result);                                                     \
        assert_int_equal(told_rejected, rejected);                                                 \
        told_count = 0;                                                                            \
    } while (0)

#endif

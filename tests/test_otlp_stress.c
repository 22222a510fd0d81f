/* A tracer's thread that exports, cancels and exports again, while another one runs the loop. */
#include "support/fake_env.h"
#include "support/span_samples.h"

#include <weir/otlp.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define ROUNDS 400

static atomic_uint taken, told, cancelled_and_told;
static atomic_bool cancelled;

static void answer(weir_http_exchange *exchange, const weir_http_request *request, void *user)
{
    (void)request;
    (void)user;
    (void)weir_http_exchange_respond(exchange, 200, "application/json", "{}", 2);
}

static void on_exported(void *token, int result, size_t rejected)
{
    (void)token;
    (void)rejected;
    if (atomic_load(&cancelled))
        atomic_fetch_add(&cancelled_and_told, 1);
    if (result == WEIR_OK)
        atomic_fetch_add(&taken, 1);
    atomic_fetch_add(&told, 1);
}

/* Each export is told exactly once, or, once its cancel has returned, never. */
static void every_export_is_told_once_or_cancelled(void **state)
{
    (void)state;
    weir_loop *loop;
    weir_http_server *server;
    weir_otlp *otlp;
    char address[WEIR_ADDRESS_TEXT_SIZE], endpoint[WEIR_ADDRESS_TEXT_SIZE + 8];
    weir_http_server_options serving = WEIR_HTTP_SERVER_OPTIONS_INIT;
    weir_otlp_options options = WEIR_OTLP_OPTIONS_INIT;
    serving.on_request = answer;
    assert_int_equal(weir_loop_create(&loop, NULL), WEIR_OK);
    assert_int_equal(weir_http_server_create(&server, loop, &serving), WEIR_OK);
    weir_address const where = weir_http_server_address(server);
    weir_address_format(&where, address);
    (void)snprintf(endpoint, sizeof endpoint, "http://%s", address);
    options.endpoint = endpoint;
    assert_int_equal(weir_otlp_create(&otlp, loop, &options), WEIR_OK);
    assert_int_equal(weir_loop_start(loop), WEIR_OK);

    weir_span_data const span = sample_span("x");
    const weir_span_data *const spans[] = {&span};
    weir_span_batch const batch = sample_batch(spans, 1);
    weir_span_exporter const exporter = weir_otlp_exporter(otlp);
    struct timespec const pause = {.tv_nsec = 20000};
    unsigned given_up = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned const before = atomic_load(&told);
        exporter.export_spans(exporter.self, &batch, WEIR_NEVER, on_exported, NULL);
        for (unsigned waits = 0; atomic_load(&told) == before; waits++) {
            if (i % 2 == 0 && waits == i % 7) {
                exporter.cancel(exporter.self);
                atomic_store(&cancelled, true);
                (void)nanosleep(&pause, NULL);
                given_up += atomic_load(&told) == before;
                atomic_store(&cancelled, false);
                break;
            }
            (void)nanosleep(&pause, NULL);
        }
    }
    assert_int_equal(atomic_load(&told) + given_up, ROUNDS);
    assert_int_equal(atomic_load(&cancelled_and_told), 0);
    assert_int_equal(atomic_load(&taken), atomic_load(&told));
    weir_loop_stop(loop);
    assert_int_equal(weir_loop_join(loop), WEIR_OK);
    weir_otlp_stats stats;
    weir_otlp_get_stats(otlp, WEIR_OTLP_TRACES, &stats);
    assert_int_equal(stats.batches, ROUNDS);
    weir_otlp_destroy(otlp);
    weir_http_server_destroy(server);
    weir_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_export_is_told_once_or_cancelled),
    };
    return cmocka_run_group_tests_name("otlp threads", tests, NULL, NULL);
}

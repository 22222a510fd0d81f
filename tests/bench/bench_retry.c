/* Retry: the whole of a call that needed none, and one more delay. */
#include "support/bench.h"

#include <weir/retry.h>

static void first_success(void *ctx, unsigned thread, uint64_t iterations)
{
    weir_retry retry;
    uint64_t at_ns;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        bench_use((uint64_t)weir_retry_begin(&retry, ctx, i, i));
        bench_use((uint64_t)weir_retry_next(&retry, WEIR_SUCCESS, i, 0, &at_ns));
    }
}

static void next_delay(void *ctx, unsigned thread, uint64_t iterations)
{
    weir_retry retry;
    uint64_t at_ns = 0;
    (void)thread;
    if (weir_retry_begin(&retry, ctx, 0, 1) != WEIR_OK)
        abort();
    for (uint64_t i = 0; i < iterations; i++) {
        bench_use((uint64_t)weir_retry_next(&retry, WEIR_FAILURE, i, 0, &at_ns));
        bench_use(at_ns);
    }
}

int main(void)
{
    weir_retry_options options = WEIR_RETRY_OPTIONS_INIT;
    options.max_attempts = UINT32_MAX;
    bench_run("retry.begin_success", 1, 1, first_success, &options);
    bench_run("retry.next", 1, 1, next_delay, &options);
    return 0;
}

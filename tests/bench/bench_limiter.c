/* The limiter: admitted with the time given and with the clock read, and refused. */
#include "support/bench.h"

#include <weir/limiter.h>

static void try_at(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        bench_use((uint64_t)weir_limiter_try_at(ctx, 1, i, NULL));
}

static void try_now(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++)
        bench_use((uint64_t)weir_limiter_try(ctx, 1, NULL));
}

static void deny(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    uint64_t retry_after_ns = 0;
    for (uint64_t i = 0; i < iterations; i++) {
        bench_use((uint64_t)weir_limiter_try_at(ctx, 1, 0, &retry_after_ns));
        bench_use(retry_after_ns);
    }
}

int main(void)
{
    /* Wide enough that nothing is refused: a year of bursts, a permit a nanosecond. */
    weir_limiter_options wide = WEIR_LIMITER_OPTIONS_INIT;
    wide.limit = wide.period_ns;
    wide.burst = UINT64_C(1) << 55;
    weir_limiter_options narrow = WEIR_LIMITER_OPTIONS_INIT;
    narrow.limit = narrow.burst = 1;
    weir_limiter *limiter = NULL;
    if (weir_limiter_create(&limiter, &wide))
        return 1;
    bench_run("limiter.try_at", 1, 1, try_at, limiter);
    bench_run("limiter.try", 1, 1, try_now, limiter);
    bench_run("limiter.try", 2, 1, try_now, limiter);
    weir_limiter_destroy(limiter);
    if (weir_limiter_create(&limiter, &narrow) || weir_limiter_try_at(limiter, 1, 0, NULL))
        return 1;
    bench_run("limiter.deny", 1, 1, deny, limiter);
    bench_run("limiter.deny", 2, 1, deny, limiter);
    weir_limiter_destroy(limiter);
    return 0;
}

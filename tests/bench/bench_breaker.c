/* The price of a guarded call that goes through, and of one that does not. */
#include "support/bench.h"

#include <weir/breaker.h>

static void enter_leave(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        weir_breaker_permit permit;
        if (weir_breaker_enter_at(ctx, 1000 + i, &permit, NULL) == WEIR_OK)
            weir_breaker_leave_at(ctx, &permit, WEIR_SUCCESS, 1000 + i);
    }
}

static void enter_leave_mixed(void *ctx, unsigned thread, uint64_t iterations)
{
    for (uint64_t i = 0; i < iterations; i++) {
        weir_breaker_permit permit;
        if (weir_breaker_enter_at(ctx, 1000 + i, &permit, NULL) == WEIR_OK)
            weir_breaker_leave_at(ctx, &permit,
                                  (i + thread) % 10 == 0 ? WEIR_FAILURE : WEIR_SUCCESS, 1000 + i);
    }
}

static void refuse(void *ctx, unsigned thread, uint64_t iterations)
{
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        weir_breaker_permit permit;
        uint64_t retry_after_ns;
        if (weir_breaker_enter_at(ctx, 1000 + i, &permit, &retry_after_ns) == WEIR_OK)
            abort();
    }
}

static weir_breaker *create(weir_breaker_window window)
{
    weir_breaker_options options = WEIR_BREAKER_OPTIONS_INIT;
    weir_breaker *breaker;
    options.window = window;
    if (weir_breaker_create(&breaker, &options))
        abort();
    return breaker;
}

int main(void)
{
    weir_breaker *breaker = create(WEIR_BREAKER_COUNT_WINDOW);
    bench_run("breaker.enter_leave", 1, 100, enter_leave, breaker);
    bench_run("breaker.enter_leave", 2, 100, enter_leave, breaker);
    bench_run("breaker.enter_leave_mixed", 1, 100, enter_leave_mixed, breaker);
    bench_run("breaker.enter_leave_mixed", 2, 100, enter_leave_mixed, breaker);
    weir_breaker_open_until(breaker, WEIR_NEVER - 1);
    bench_run("breaker.refuse", 1, 100, refuse, breaker);
    weir_breaker_destroy(breaker);
    breaker = create(WEIR_BREAKER_TIME_WINDOW);
    bench_run("breaker.enter_leave_time_window", 1, 10, enter_leave, breaker);
    bench_run("breaker.enter_leave_time_window", 2, 10, enter_leave, breaker);
    weir_breaker_destroy(breaker);
    return 0;
}
